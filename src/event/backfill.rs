//! What is said of a backfill in the inbox: that a span of time is asked for, and how far that is. Words only.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A span of time of which a sender is asked to send again what failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillAsked {
    /// Of this source.
    pub source: String,
    /// When it was asked for; names it.
    pub at: Timestamp,
    /// What was created from then on.
    pub since: Timestamp,
    /// What was created before then.
    pub until: Timestamp,
    /// Who asked.
    pub by: String,
}

/// A process reports how far a backfill is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillReport {
    /// Of this source.
    pub source: String,
    /// Which of its backfills.
    pub asked: Timestamp,
    /// The span that this process asks for.
    pub span: (Timestamp, Timestamp),
    /// The process.
    pub holder: String,
    /// Whether no other process shares its store: the process that had it before is gone.
    pub alone: bool,
    /// How far it is.
    pub progress: BackfillProgress,
    /// Whether it ended.
    pub ended: bool,
    /// Why it ended before its time.
    pub failed: Option<String>,
}

/// How far a backfill is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackfillProgress {
    /// How many events the sender was asked for, and agreed to send.
    pub asked: u64,
    /// How many can't be had.
    pub missing: u64,
    /// Some of those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Missed>,
    /// What it waits for, if it does: the sender's limit, or its recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// What can't be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// What the sender calls its delivery.
    pub delivery: String,
    /// The event's type, as the sender's log says.
    pub kind: String,
    /// Why.
    pub why: String,
}

impl Missed {
    /// In a line.
    pub fn account(&self) -> String {
        format!("{} ({}): {}", self.kind, self.delivery, self.why)
    }
}
