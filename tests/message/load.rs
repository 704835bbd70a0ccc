//! The templates folder.
