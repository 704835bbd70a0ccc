//! The message that nobody wrote.
