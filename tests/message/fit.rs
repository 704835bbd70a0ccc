//! Shortening.
