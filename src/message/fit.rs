//! Shortening, at block borders, by characters, UTF-16 units or bytes.
