//! The answer to "why did I (not) get this": kept for each event and each rule whose glob accepted it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Seq;

/// What one rule did about one event (or one timer about the event that set it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyRow {
    /// The event.
    pub event: Seq,
    /// The rule.
    pub rule: String,
    /// In one word: `matched`, `missed`, `failed`, `throttled`, `muted`, `held`, `digest`, `closed`, `late`, `shadow`,
    /// `cancelled`, `parked`.
    pub outcome: String,
    /// In a sentence, for people.
    pub note: String,
    /// The whole reasons, as JSON: the condition's tree, the actions'.
    pub detail: Value,
}
