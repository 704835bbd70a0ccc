//! The file that goes with a digest, as it is planned. Plain data.

use serde::{Deserialize, Serialize};

/// A file of a digest's events, a row each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Its name, a template.
    pub csv: String,
    /// Each column: its name, and the name or path that selects its value in an event.
    pub columns: Vec<(String, String)>,
    /// How many of the events the message itself shows, the newest.
    pub shown: usize,
}
