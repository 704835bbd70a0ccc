//! Cases in text files.
