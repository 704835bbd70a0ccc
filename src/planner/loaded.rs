//! What the planner knows: plain documents, loaded before and written after.
//!
//! The store keeps them as text under a kind and an id and understands none of it, so that a new kind of state needs no
//! change there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Delivery, DeliveryId};
use crate::event::Seq;

/// Where a document is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// `case`, `throttle`, `digest`, `mute` …
    pub kind: String,
    /// Unique within the kind.
    pub id: String,
}

/// What must be loaded before planning.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Keys {
    /// These documents.
    pub one: BTreeSet<Key>,
    /// All documents of these kinds.
    pub all: BTreeSet<String>,
    /// These deliveries, as they stand.
    pub deliveries: BTreeSet<DeliveryId>,
}

/// What was loaded: the text of each document found, and how deliveries stand.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct LoadedState {
    /// By key; what is absent does not exist.
    pub docs: BTreeMap<Key, String>,
    /// By id, without their rendered messages; what is absent does not exist.
    pub deliveries: BTreeMap<DeliveryId, Delivery>,
}

/// A document written, or (without text) deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct DocChange {
    /// Which.
    pub key: Key,
    /// Its new text.
    pub text: Option<String>,
    /// The events it will need again: retention leaves them.
    pub events: Vec<Seq>,
}

/// Something that comes due. Its id is its own: setting it again replaces it.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// When.
    pub due: Timestamp,
    /// The event that it will need again: retention leaves it.
    pub event: Option<Seq>,
    /// What it means, as text that only the planner reads.
    pub text: String,
}

/// A timer that has come due.
#[derive(Debug, Clone, PartialEq)]
pub struct DueTimer {
    /// Its id.
    pub id: String,
    /// As it was set.
    pub timer: Timer,
}
