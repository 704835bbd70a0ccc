//! How large a round may be: as large as any, smaller after a failure, and smaller after the process died in its midst.
//!
//! A process that dies while it plans leaves a mark: a document that is written before a round and deleted by its commit.
//! That costs a commit, so it is written only for the first round under a lease, and after that until a round of full
//! size came through. Whoever takes the lease next and finds a mark plans half of what it names; where that was one
//! entry, and the process died of it again, each thing alone; and what it died of alone is parked.

use std::sync::PoisonError;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use crate::planner::ledger::{DocChange, DueTimer, Key};
use crate::steps::Live;
use crate::store;
use crate::store::PlannerLease;

/// The most entries, and the most timers, of one round.
const BATCH: usize = 1024;
/// So many deaths on one entry, and what came due with it, and each is planned alone.
const DEATHS_MAX: u32 = 2;
/// A round that took longer, and failed, had too many timers if it had no more than one entry.
const LONG: SignedDuration = SignedDuration::from_secs(2);

/// What is being planned, for whoever comes after a death.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// How many entries.
    entries: usize,
    /// How often the process has died so already.
    #[serde(default)]
    deaths: u32,
    /// What is planned alone.
    #[serde(default)]
    alone: Option<String>,
}

impl Mark {
    const KIND: &'static str = "planning";

    fn key() -> Key {
        Key { kind: Self::KIND.into(), id: "round".into() }
    }

    /// The mark of one thing.
    pub fn alone(name: &str) -> Self {
        Self { entries: 1, deaths: DEATHS_MAX, alone: Some(name.to_owned()) }
    }

    /// Sets it.
    pub fn set(&self) -> DocChange {
        // A plain struct always has a JSON text.
        let text = serde_json::to_string(self).unwrap_or_default();
        DocChange { key: Self::key(), text: Some(text), events: Vec::new() }
    }

    /// Takes it away.
    pub fn clear() -> DocChange {
        DocChange { key: Self::key(), text: None, events: Vec::new() }
    }

    async fn find(live: &Live) -> Result<Option<Self>, store::Error> {
        let found = live.store.docs(Self::KIND, "", 1).await?;
        Ok(found.first().and_then(|(_, text)| serde_json::from_str(text).ok()))
    }
}

/// How large a round may be, under one lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::steps) struct Size {
    token: u64,
    entries: usize,
    timers: usize,
    /// Whether rounds leave a mark.
    noted: bool,
    /// How often the process died of a round that had no more than one entry.
    deaths: u32,
    /// What it died of alone.
    culprit: Option<String>,
    /// Timers that came due until then are left of the last round: no entry goes before them.
    left: Option<Timestamp>,
}

impl Size {
    /// The size under this lease. If that is a new one, it goes by what the last holder left.
    pub(super) async fn under(live: &Live, lease: &PlannerLease) -> Result<Self, store::Error> {
        let known = live.planning.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.token == lease.token {
            return Ok(known);
        }
        let size = Self { token: lease.token, ..Self::after(Mark::find(live).await?) };
        if size.entries < BATCH {
            tracing::warn!(entries = size.entries, "the process ended while it planned: the next round is smaller");
        }
        size.keep(live);
        Ok(size)
    }

    /// Keeps it for the next round.
    pub(super) fn keep(&self, live: &Live) {
        *live.planning.lock().unwrap_or_else(PoisonError::into_inner) = self.clone();
    }

    fn after(mark: Option<Mark>) -> Self {
        let whole = Self { entries: BATCH, timers: BATCH, noted: true, ..Self::default() };
        match mark {
            None => whole,
            Some(Mark { alone: culprit @ Some(_), .. }) => Self { entries: 1, deaths: DEATHS_MAX, culprit, ..whole },
            Some(Mark { entries, .. }) if entries > 1 => Self { entries: entries / 2, ..whole },
            Some(Mark { deaths, .. }) => Self { entries: 1, deaths: deaths + 1, ..whole },
        }
    }

    /// The most entries.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// The most timers.
    pub(super) fn timers(&self) -> usize {
        self.timers
    }

    /// Whether rounds leave a mark.
    pub(super) fn noted(&self) -> bool {
        self.noted
    }

    /// Whether each thing is planned alone.
    pub(super) fn is_alone(&self) -> bool {
        self.deaths >= DEATHS_MAX
    }

    /// Whether the process died of this alone.
    pub(super) fn died_of(&self, name: &str) -> bool {
        self.culprit.as_deref() == Some(name)
    }

    /// The mark of a round.
    pub(super) fn mark(&self, batch: &Batch) -> Mark {
        Mark { entries: batch.entries.len(), deaths: self.deaths, alone: None }
    }

    /// Until when the timers came due that are left of the last round; then only they stay.
    pub(super) fn goes_on_with(&mut self, timers: &mut Vec<DueTimer>) -> Option<Timestamp> {
        let count = timers.iter().take_while(|due| self.left.is_some_and(|until| due.timer.due <= until)).count();
        if count == 0 {
            self.left = None;
        } else {
            timers.truncate(count);
        }
        self.left
    }

    /// A round came through; timers that came due until `left` stayed behind.
    pub(super) fn grow(&mut self, left: Option<Timestamp>) {
        self.noted &= self.entries < BATCH;
        self.entries = (2 * self.entries).min(BATCH);
        self.timers = (2 * self.timers).min(BATCH);
        self.deaths = 0;
        self.culprit = None;
        self.left = left;
    }

    /// A round failed.
    pub(super) fn shrink(&mut self, batch: &Batch, took: SignedDuration) {
        match (batch.entries.len(), batch.timers.len()) {
            (entries @ 2.., _) => self.entries = entries / 2,
            (_, timers @ 2..) if took >= LONG => self.timers = timers / 2,
            (1, _) => self.entries = 1,
            _ => {}
        }
    }
}
