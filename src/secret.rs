//! A secret: it opens by one method and prints as dots.
//!
//! Everything that must not reach a log, an error, the page or the database has this type from the moment it is
//! read from the environment or a file. Only `source/scheme.rs`, `channels/`, `store::open`, the admin token check
//! and `sign`ing for `send` open one; `tests/layers.rs` holds that list.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Text that must never be shown. Its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself. Call it as late as can be, and keep the result out of every value that lives on.
    pub fn open(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.open().is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}
