//! What one round plans: entries and timers as they wait, with the earlier events that they speak of, within bounds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::size::Size;
use crate::event::{Command, Entry, Event, Item, Opening, Report, Seq};
use crate::json::weight_read;
use crate::planner::Keys;
use crate::planner::links::Raised;
use crate::planner::loaded::DueTimer;
use crate::planner::why::Decision;
use crate::steps::Live;
use crate::store;
use crate::store::WAITING_BYTES_MAX;

/// The most events that one round plans again.
const REPLAYS: usize = 64;
/// How many earlier events are loaded at a time: no more are in memory beyond what is allowed.
const CARRIED_AT_ONCE: usize = 8;
/// What one decision of an event that is planned again takes, in bytes, about.
const DECISION_BYTES: usize = 2048;

/// What one round plans.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Inbox entries, in order.
    pub entries: Vec<Entry>,
    /// Timers that have come due, in order.
    pub timers: Vec<DueTimer>,
    /// Whether timers wait behind these that are due as they are.
    pub has_more_timers: bool,
    /// When the next timer comes due that has not yet.
    pub next_timer: Option<Timestamp>,
    /// The earlier events that entries and timers speak of. Bodies are read in the round, under its mark: reading is what
    /// takes the most memory.
    pub carried: BTreeMap<Seq, Event>,
    /// What came so far of the events that are planned again, but not anew.
    pub before: BTreeMap<Seq, Vec<Decision>>,
    /// What events report of what Fanfare raised in the service that sent them, with the opening that each means.
    pub reports: BTreeMap<Seq, (Report, Option<Opening>)>,
    /// Timers that go without entries came due until then.
    until: Timestamp,
}

impl Batch {
    /// Loads what waits, as much as the size allows.
    pub async fn load(live: &Live, size: &mut Size, now: Timestamp) -> Result<Self, store::Error> {
        let waiting = live.store.waiting(now, size.entries().max(size.timers())).await?;
        let has_more_timers = waiting.timers.len() >= size.timers();
        let mut batch = Self {
            entries: waiting.entries,
            timers: waiting.timers,
            has_more_timers,
            next_timer: waiting.next_timer,
            until: now,
            ..Self::default()
        };
        batch.timers.truncate(size.timers());
        match size.goes_on_with(&mut batch.timers) {
            Some(until) => {
                batch.until = until;
                batch.entries.clear();
            }
            None => batch.cut_entries(size.entries()),
        }
        let mut room = WAITING_BYTES_MAX;
        batch.load_replayed(live, &mut room).await?;
        let wanted: Vec<Option<Seq>> = batch.timers.iter().map(|due| due.timer.event).collect();
        let loaded = batch.carry(live, &wanted, &mut room).await?;
        batch.has_more_timers |= loaded < batch.timers.len();
        batch.timers.truncate(loaded);
        batch.load_reports(live).await?;
        Ok(batch)
    }

    /// Reads what events report, and which openings they mean.
    async fn load_reports(&mut self, live: &Live) -> Result<(), store::Error> {
        let snapshot = live.snapshot.load_full();
        let reports = |entry: &Entry| match &entry.item {
            Item::Event(event) => {
                let reports = snapshot.sources.get(&*event.source)?.preset.reports?;
                // Entries come unread.
                let report = reports(&Event::clone(event).read())?;
                Some((entry.seq, report))
            }
            _ => None,
        };
        let reports: Vec<(Seq, Report)> = self.entries.iter().filter_map(reports).collect();
        if reports.is_empty() {
            return Ok(());
        }
        let one = reports.iter().map(|(_, report)| Raised::key(&report.raised)).collect();
        let loaded = live.store.load(&Keys { one, ..Keys::default() }).await?;
        for (seq, report) in reports {
            let raised = loaded.docs.get(&Raised::key(&report.raised));
            let raised = raised.and_then(|text| serde_json::from_str::<Raised>(text).ok());
            self.reports.insert(seq, (report, raised.map(|raised| raised.of)));
        }
        Ok(())
    }

    /// Whether there is nothing to plan.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.timers.is_empty()
    }

    /// Which timers go with the first this many entries: those that came due after the last of these entries came wait for the
    /// entries behind it. A close that was accepted in time must not be overtaken by the reminder that it ends, however
    /// long the inbox is.
    pub fn by(&self, entries: usize) -> Option<Timestamp> {
        let came = |entry: &Entry| match &entry.item {
            Item::Event(event) => Some(event.received),
            Item::Signal(signal) => Some(signal.at),
            // Nothing says when it came, so behind commands alone timers wait for the next round.
            Item::Command(_) => None,
        };
        match self.entries.get(..entries) {
            None | Some([]) => Some(self.until),
            Some(entries) => entries.iter().rev().find_map(came),
        }
    }

    fn cut_entries(&mut self, most: usize) {
        // Replays are in no hurry, and end nothing that a timer could overtake: nothing waits behind them alone.
        let only_replays = self.entries.len() < most && self.entries.iter().all(is_replay);
        self.entries.truncate(most);
        let replays = self.entries.iter().enumerate().filter(|(_, entry)| is_replay(entry)).nth(REPLAYS);
        if let Some((at, _)) = replays {
            self.entries.truncate(at);
        }
        if !only_replays {
            self.hold_back(self.entries.len());
        }
    }

    fn hold_back(&mut self, entries: usize) {
        let by = self.by(entries);
        self.timers.retain(|due| by.is_some_and(|by| due.timer.due <= by));
    }

    /// Loads the events that are planned again, and what came of them; those for which there is no room are left for the
    /// next round, with all that stands behind them.
    async fn load_replayed(&mut self, live: &Live, room: &mut usize) -> Result<(), store::Error> {
        let replays = |entry: &Entry| match &entry.item {
            Item::Command(Command::Replay { event, again, .. }) => Some((*event, *again)),
            _ => None,
        };
        let wanted: Vec<Option<Seq>> =
            self.entries.iter().map(|entry| replays(entry).map(|(event, _)| event)).collect();
        let mut loaded = self.carry(live, &wanted, room).await?;
        let mut rows_left = WAITING_BYTES_MAX / DECISION_BYTES;
        for (at, entry) in self.entries.iter().enumerate().take(loaded) {
            if let Some((event, 0)) = replays(entry) {
                if rows_left == 0 {
                    loaded = at;
                    break;
                }
                let rows = live.store.whys(event).await?;
                rows_left = rows_left.saturating_sub(rows.len());
                self.before.insert(event, rows);
            }
        }
        if loaded < self.entries.len() {
            self.entries.truncate(loaded);
            self.hold_back(loaded);
        }
        Ok(())
    }

    /// Loads events until there is no room left. Gives for how many of `wanted` that is done: for some at least.
    async fn carry(&mut self, live: &Live, wanted: &[Option<Seq>], room: &mut usize) -> Result<usize, store::Error> {
        let mut done = 0;
        let mut missing = BTreeSet::new();
        for (at, seq) in wanted.iter().enumerate() {
            missing.extend(seq.filter(|seq| !self.carried.contains_key(seq)));
            if missing.len() < CARRIED_AT_ONCE && at + 1 < wanted.len() {
                continue;
            }
            if !missing.is_empty() {
                let seqs: Vec<Seq> = std::mem::take(&mut missing).into_iter().collect();
                for (seq, event) in live.store.events(&seqs).await? {
                    *room = room.saturating_sub(weight_read(&event.raw));
                    self.carried.insert(seq, event);
                }
            }
            done = at + 1;
            if *room == 0 {
                break;
            }
        }
        Ok(done)
    }
}

fn is_replay(entry: &Entry) -> bool {
    matches!(&entry.item, Item::Command(Command::Replay { .. }))
}
