//! How large a round may be: as large as any, smaller after a failure, and smaller after the process died in its midst.
//!
//! A process that dies while it plans leaves a mark: a document that is written before a round and deleted by its commit.
//! That costs a commit, so it is written only for the first round under a lease, and after that until a round of full
//! size came through. Anyone who takes the lease next and finds a mark plans an eighth of what it names; where that was one
//! entry, and two processes died of it, each thing alone; and what [`PARKED_AFTER`] died of is parked. A process that finds
//! its own name in a mark lives: the store failed it, or it lost its lease. One that was only held up beyond its lease
//! leaves a mark too, so it takes that many: a few marks in a row may be chance.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use crate::event::{Entry, Seq};
use crate::planner::loaded::{DocChange, DueTimer, Key};
use crate::steps::Live;
use crate::store;
use crate::store::PlannerLease;

/// The most entries, and the most timers, of one round.
const BATCH: usize = 1024;
/// A round that a process died in is this many times smaller the next time: few deaths lead to one entry, and what comes
/// through doubles again.
const SMALLER: usize = 8;
/// After this many deaths on one entry, with what came due with it, each is planned alone.
const DEATHS_MAX: usize = 2;
/// This many deaths on one thing, the later ones while it was planned alone, and it is parked.
const PARKED_AFTER: usize = 6;
/// So often judged alone for longer than a lease, which was lost, and it is parked.
const LOST_MAX: u32 = 2;
/// A round that took longer, and failed, had too many timers if it had no more than one entry.
const LONG: SignedDuration = SignedDuration::from_secs(2);

/// What is being planned, for anyone who comes after a death.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// How many entries.
    entries: usize,
    /// The first thing, and the only one if it is planned alone.
    first: String,
    /// The last entry.
    upto: Seq,
    #[serde(default)]
    alone: bool,
    /// Who left such a mark for this, the last of them this one.
    by: Vec<String>,
}

impl Mark {
    const KIND: &'static str = "planning";

    fn key() -> Key {
        Key { kind: Self::KIND.into(), id: "round".into() }
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

/// How an entry is named in marks.
pub(super) fn name_of_entry(entry: &Entry) -> String {
    format!("entry {}", entry.seq)
}

/// How a timer is named in marks.
pub(super) fn name_of_timer(timer: &DueTimer) -> String {
    format!("timer {}", timer.id)
}

/// How large a round may be, under one lease.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::steps) struct Size {
    token: u64,
    entries: usize,
    timers: usize,
    /// Whether rounds leave a mark.
    noted: bool,
    /// Whether a mark stands that says nothing any more.
    is_stale: bool,
    /// What the process before died of, if it did.
    died: Option<Mark>,
    /// Whether that is planned thing by thing.
    alone: bool,
    /// What is parked, since the process died of it alone or never came to its end.
    culprit: Option<String>,
    /// What was under way alone when a lease was lost, and how often in a row.
    lost: Option<(String, u32)>,
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
        let mut size = Self { token: lease.token, ..Self::after(Mark::find(live).await?, &live.holder) };
        if known.lost.is_some() {
            (size.lost, size.entries) = (known.lost, 1);
        }
        if size.died.is_some() {
            tracing::warn!(entries = size.entries, "a process ended while it planned: the next round is smaller");
        }
        size.keep(live);
        Ok(size)
    }

    /// Keeps it for the next round.
    pub(super) fn keep(&self, live: &Live) {
        *live.planning.lock().unwrap_or_else(PoisonError::into_inner) = self.clone();
    }

    fn after(mark: Option<Mark>, holder: &str) -> Self {
        let whole = Self { entries: BATCH, timers: BATCH, noted: true, ..Self::default() };
        let Some(mark) = mark else { return whole };
        let deaths = mark.by.iter().filter(|by| *by != holder).count();
        let (entries, alone) = ((mark.entries / SMALLER).max(1), deaths >= DEATHS_MAX);
        let culprit = (mark.alone && deaths >= PARKED_AFTER).then(|| mark.first.clone());
        Self { entries, alone, culprit, died: Some(mark), ..whole }
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

    /// Whether a mark stands that says nothing any more.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Whether each thing is planned alone.
    pub(super) fn is_alone(&self) -> bool {
        self.alone || self.lost.as_ref().is_some_and(|(_, times)| *times >= LOST_MAX)
    }

    /// Whether this is to be parked.
    pub(super) fn is_culprit(&self, name: &str) -> bool {
        let lost = self.lost.as_ref().is_some_and(|(lost, times)| lost == name && *times >= LOST_MAX);
        lost || self.culprit.as_deref() == Some(name)
    }

    /// The mark of a round of these; alone, if one of them is named.
    pub(super) fn mark(&self, holder: &str, batch: &Batch, alone: Option<&str>) -> Mark {
        let entries = batch.entries.len();
        let first = batch.entries.first().map(name_of_entry);
        let first = first.or_else(|| batch.timers.first().map(name_of_timer)).unwrap_or_default();
        // Of several entries nobody knows which it was.
        let is_same = |died: &&Mark| died.entries <= 1 && (alone.is_some() || died.first == first);
        let before = self.died.iter().filter(|died| entries <= 1 && is_same(died));
        let mut by: Vec<String> = before.flat_map(|died| &died.by).filter(|by| *by != holder).cloned().collect();
        by.push(holder.to_owned());
        let upto = batch.entries.last().map_or(0, |entry| entry.seq);
        Mark { entries, first: alone.unwrap_or(&first).to_owned(), upto, alone: alone.is_some(), by }
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

    /// A round came through, up to this entry; timers that came due until `left` stayed behind.
    pub(super) fn grow(&mut self, upto: Option<Seq>, left: Option<Timestamp>) {
        self.noted &= self.entries < BATCH;
        // What the process died of is still to come.
        let is_near = self.died.as_ref().is_some_and(|died| upto.unwrap_or(0) < died.upto);
        if !is_near {
            self.entries = (2 * self.entries).min(BATCH);
            self.died = None;
        }
        self.timers = (2 * self.timers).min(BATCH);
        (self.alone, self.is_stale) = (false, false);
        (self.culprit, self.lost) = (None, None);
        self.left = left;
    }

    /// A round failed after `took`, of which its longest judging was `judged`. Marks say something of deaths only while the
    /// store does what it is asked; and a lease that is lost says something of an entry only if judging outlasted it: a
    /// store that is slow to answer loses leases, too.
    pub(super) fn shrink(&mut self, batch: &Batch, took: SignedDuration, judged: Duration, error: &store::Error) {
        let (entries, timers) = (batch.entries.len(), batch.timers.len());
        match (entries, timers) {
            (2.., _) => self.entries = entries / 2,
            (_, 2..) if took >= LONG => self.timers = timers / 2,
            (1, _) => self.entries = 1,
            _ => {}
        }
        if !matches!(error, store::Error::Lost) {
            (self.is_stale, self.noted) = (self.is_stale || self.noted, false);
        } else if let [entry] = &batch.entries[..]
            && judged >= super::LEASE.unsigned_abs()
        {
            let name = name_of_entry(entry);
            let times = self.lost.as_ref().filter(|(lost, _)| *lost == name).map_or(0, |(_, times)| *times);
            self.lost = Some((name, times + 1));
        }
    }
}
