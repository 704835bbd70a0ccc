//! Links that messages carry: what they do, and by which id the store knows them. Plain data.

use serde::{Deserialize, Serialize};

/// A link that a message carries. It acts only with the code that the store's key gives it, which stands nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it does.
    pub does: LinkOp,
    /// Under this id, in hex, the store knows what it is for.
    pub id: String,
}

/// What a link does once a person confirms it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkOp {
    /// Acknowledges the case.
    Acknowledge,
    /// Closes the case.
    Close,
    /// Silences the messages of this opening, for this many seconds.
    Mute(u32),
}

impl LinkOp {
    /// As rules say it: `acknowledge`, `close`, `mute 1h`.
    pub fn word(self) -> String {
        match self {
            LinkOp::Acknowledge => "acknowledge".into(),
            LinkOp::Close => "close".into(),
            LinkOp::Mute(seconds) => format!("mute {}", span(seconds)),
        }
    }

    /// What a button says.
    pub fn label(self) -> String {
        match self {
            LinkOp::Acknowledge => "Acknowledge".into(),
            LinkOp::Close => "Close".into(),
            LinkOp::Mute(seconds) => format!("Mute for {}", span(seconds)),
        }
    }
}

/// A span in its largest whole unit: `1h`, `90m`.
pub fn span(seconds: u32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}
