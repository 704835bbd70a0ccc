//! Whom a message is for, where rules files say it: an address that a map gave, and people to mention. Plain data.

use serde::{Deserialize, Serialize};

/// The address that a map gave for a message, as it was planned: an opening keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Addressed {
    /// The address: of a mail, of a channel, of a phone.
    pub address: String,
    /// Whose it is, by their name in `people:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

/// Who is to be mentioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mention {
    /// A name of the destination's `mentions:`, or of `people:`.
    Named(String),
    /// Whom a map says.
    Mapped {
        /// The map.
        map: String,
    },
}
