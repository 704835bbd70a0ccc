//! The events that were planned last: most deliveries are sent a moment after they were planned, and need not ask the
//! store for what they are about. A hint, bounded in bytes: an event that is missing here is loaded. Touches nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::event::{Entry, Event, Item, Seq};

/// The most bytes of bodies that are kept.
const BYTES_MAX: usize = 4 << 20;
/// What an event takes beside its body, about, in bytes.
const BESIDE: usize = 512;

/// Events by place, the newest; their bodies are not read.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    events: BTreeMap<Seq, Event>,
    bytes: usize,
}

impl Recent {
    /// Keeps the events among these, and lets go of the oldest.
    pub fn keep<'e>(&self, entries: impl Iterator<Item = &'e Entry>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            let Item::Event(event) = &entry.item else { continue };
            kept.bytes = kept.bytes.saturating_add(size(event));
            if let Some(old) = kept.events.insert(entry.seq, Event::clone(event)) {
                kept.bytes = kept.bytes.saturating_sub(size(&old));
            }
        }
        while kept.bytes > BYTES_MAX {
            let Some((_, old)) = kept.events.pop_first() else { break };
            kept.bytes = kept.bytes.saturating_sub(size(&old));
        }
    }

    /// These events; `None` if one of them is missing.
    pub fn all(&self, seqs: &[Seq]) -> Option<Vec<(Seq, Event)>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seqs.iter().map(|seq| Some((*seq, kept.events.get(seq)?.clone()))).collect()
    }
}

fn size(event: &Event) -> usize {
    event.raw.len().saturating_add(BESIDE)
}
