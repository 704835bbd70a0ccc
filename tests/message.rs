//! Messages: rendering, and values that stay text.
