//! What only a file can do: be opened again, be full, be damaged, be somebody else's.
