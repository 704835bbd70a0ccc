//! What a timer means: the text that only the planner reads.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryId;
use crate::planner::case::{Case, Ending};

/// What a timer means. A variant that this program doesn't know makes the timer one that nothing comes of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Meaning {
    /// An action's `after`, `repeat` or `at` in a case.
    Act { rule: String, key: String, nth: u64, action: String },
    /// The rules changed: a case's timed actions are to be brought in line.
    Rearm { rule: String, key: String, nth: u64 },
    /// A case's `closes_after`.
    End { rule: String, key: String, nth: u64 },
    /// A case was closed by hand: what follows from that needs its opening event.
    Closing { rule: String, case: Box<Case>, ending: Ending },
    /// A close need not be remembered any more.
    Forget { rule: String, key: String },
    /// A digest goes out.
    Digest {
        rule: String,
        action: String,
        key: String,
        destination: String,
        rest: bool,
        /// The keys of the cases whose reminders are in it.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        cases: BTreeSet<String>,
    },
    /// A window of hours opens, and with it a held queue.
    #[serde(rename = "hold")]
    Opens { destination: String, opens: Timestamp, held: BTreeSet<HeldRef> },
    /// A rule that floods is let go, or how much it sends need not be known any more.
    Flood {
        rule: String,
        /// The name that its queues have, if it is held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<String>,
        /// What must be known of what they hold, by destination.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        held: BTreeMap<String, BTreeSet<HeldRef>>,
    },
    /// What a threshold counted may be of no use any more.
    Threshold { rule: String, group: String },
    /// A sum may be of no use any more.
    Sum { rule: String, group: String },
    /// A throttle's window may be empty.
    Throttle { rule: String, action: String, key: String },
    /// A minute of own events of one kind is over.
    Signal { kind: String, rule: String, destination: String },
    /// A message should have been delivered by now.
    Late {
        delivery: DeliveryId,
        rule: String,
        /// The key of its case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A minute of fallbacks to one destination is over.
    Fallback { destination: String },
    /// A mute ends.
    Mute { id: String },
    /// What should have come by now.
    Missing { rule: String },
    /// It came, after its absence in a period was reported: that period's case closes.
    Came { rule: String, key: String },
    /// A type that no rule names may be told again.
    Unmatched { kind: String },
    /// What people asked for around this time need not be known any more.
    Audited { at: Timestamp },
    /// A link of messages expires.
    Link { id: String },
}

/// What must be known when a held message may go: its rule and action for the hours, its case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct HeldRef {
    pub rule: String,
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Meaning {
    /// Reads a timer's text.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As a timer's text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The rule that it is about, before which the event that it carries is put.
    pub fn rule(&self) -> Option<&str> {
        match self {
            Meaning::Act { rule, .. }
            | Meaning::Rearm { rule, .. }
            | Meaning::End { rule, .. }
            | Meaning::Closing { rule, .. }
            | Meaning::Forget { rule, .. }
            | Meaning::Digest { rule, .. }
            | Meaning::Throttle { rule, .. }
            | Meaning::Threshold { rule, .. }
            | Meaning::Sum { rule, .. }
            | Meaning::Flood { rule, .. }
            | Meaning::Late { rule, .. }
            | Meaning::Missing { rule }
            | Meaning::Came { rule, .. } => Some(rule),
            Meaning::Opens { .. }
            | Meaning::Signal { .. }
            | Meaning::Fallback { .. }
            | Meaning::Mute { .. }
            | Meaning::Unmatched { .. }
            | Meaning::Audited { .. }
            | Meaning::Link { .. } => None,
        }
    }
}
