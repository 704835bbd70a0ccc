//! One round of planning: its batch is judged, planned and committed, or, where that can't be, piece by piece.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::batch::Batch;
use super::beside::Beside;
use super::size::{Mark, Size};
use crate::event::{Command, Entry, Item};
use crate::planner::ledger::DueTimer;
use crate::planner::why::{Decision, Outcome};
use crate::planner::{self, Destinations, Entered, Fired, Inputs, Plan, What};
use crate::rules::{Judgement, RuleSet};
use crate::steps::Live;
use crate::store;
use crate::store::PlannerLease;

/// What is judged in one round takes about so many bytes; planning and storing it several times that.
const JUDGED_BYTES_MAX: usize = 4 << 20;
/// And about so many steps.
const JUDGED_STEPS_MAX: u64 = 4_000_000;
/// The last resort: a round that has judged for so long goes on with what it has.
const JUDGED_TIME_MAX: Duration = Duration::from_secs(1);

/// What is said of an entry that made planning panic.
const PANICKED: &str = "planning this failed; the log has the details, please report them";
/// What is said of an entry that made the process end.
const DIED: &str = "the process ended each time that this was planned; its log may say why, please report it";

/// One round of planning, under one lease.
pub(super) struct Round<'l> {
    pub live: &'l Live,
    pub lease: PlannerLease,
    pub rules: &'l RuleSet,
    pub places: Destinations,
    pub batch: &'l Batch,
    pub beside: Beside,
    /// Whether it leaves a mark.
    pub noted: bool,
    pub now: Timestamp,
}

/// What one round may still judge.
struct Room {
    bytes: usize,
    steps: u64,
    until: Instant,
}

impl Room {
    fn new() -> Self {
        Self { bytes: JUDGED_BYTES_MAX, steps: JUDGED_STEPS_MAX, until: Instant::now() + JUDGED_TIME_MAX }
    }

    fn is_full(&self) -> bool {
        self.bytes == 0 || self.steps == 0 || Instant::now() > self.until
    }

    fn take<'j>(&mut self, judgements: impl IntoIterator<Item = &'j Judgement<'j>>) {
        for judgement in judgements {
            self.bytes = self.bytes.saturating_sub(judgement.weight());
            self.steps = self.steps.saturating_sub(judgement.steps);
        }
    }
}

impl Round<'_> {
    /// Plans what there is room for. Gives until when timers came due that stayed behind.
    pub async fn run(&self, size: &Size) -> Result<Option<Timestamp>, store::Error> {
        let (entries, timers) = (&self.batch.entries[..], &self.batch.timers[..]);
        if size.is_alone() {
            self.plan_alone(size, entries, timers).await?;
            return Ok(self.left(entries.len(), timers.len()));
        }
        if self.noted {
            self.note(&size.mark(self.batch)).await?;
        }
        match self.plan(entries, timers).await? {
            Some((planned, fired)) => Ok(self.left(planned, fired)),
            None => {
                self.plan_alone(size, entries, timers).await?;
                Ok(self.left(entries.len(), timers.len()))
            }
        }
    }

    /// Until when timers came due that stayed behind, after so many entries and timers were planned.
    fn left(&self, entries: usize, timers: usize) -> Option<Timestamp> {
        let by = self.batch.by(entries)?;
        let has_more = match self.batch.timers.get(timers) {
            Some(next) => next.timer.due <= by,
            None => self.batch.has_more_timers,
        };
        has_more.then_some(by)
    }

    /// Plans as much of it as there is room for in one transaction, and gives how many entries and timers that was. `None`
    /// if judging or planning panicked: then nothing was changed.
    async fn plan(&self, entries: &[Entry], timers: &[DueTimer]) -> Result<Option<(usize, usize)>, store::Error> {
        let judge = || catch_unwind(AssertUnwindSafe(|| self.inputs(entries, timers)));
        let Ok(inputs) = self.beside.apart(judge) else { return Ok(None) };
        self.decide(inputs).await
    }

    /// Plans one by one, so that only what can't be coped with is parked.
    async fn plan_alone(&self, size: &Size, entries: &[Entry], timers: &[DueTimer]) -> Result<(), store::Error> {
        for entry in entries {
            let name = format!("entry {}", entry.seq);
            let died = size.died_of(&name);
            if died || !self.try_alone(&name, std::slice::from_ref(entry), &[]).await? {
                let reason = if died { DIED } else { PANICKED };
                if let Item::Event(event) = &entry.item {
                    self.live.telemetry.parked(&event.id, reason);
                }
                let inputs = Inputs { entries: vec![Entered::parked(entry, reason)], ..self.inputs(&[], &[]) };
                self.decide(inputs).await?;
            }
        }
        for timer in timers {
            let name = format!("timer {}", timer.id);
            let died = size.died_of(&name);
            if died || !self.try_alone(&name, &[], std::slice::from_ref(timer)).await? {
                let reason = if died { DIED } else { PANICKED };
                let inputs = Inputs { timers: vec![Fired::parked(timer, reason)], ..self.inputs(&[], &[]) };
                self.decide(inputs).await?;
            }
        }
        Ok(())
    }

    async fn try_alone(&self, name: &str, entries: &[Entry], timers: &[DueTimer]) -> Result<bool, store::Error> {
        if self.noted {
            self.note(&Mark::alone(name)).await?;
        }
        Ok(self.plan(entries, timers).await?.is_some())
    }

    /// Leaves a mark of what is planned next.
    async fn note(&self, mark: &Mark) -> Result<(), store::Error> {
        let plan = Plan { docs: vec![mark.set()], ..Plan::default() };
        self.live.store.commit(&self.lease, plan, self.now).await.map(drop)
    }

    /// Judges as much as there is room for: the entries, and then the timers that go with those.
    fn inputs<'i>(&'i self, entries: &'i [Entry], timers: &'i [DueTimer]) -> Inputs<'i> {
        let mut room = Room::new();
        let (mut entered, mut fired) = (Vec::new(), Vec::new());
        for entry in entries {
            if room.is_full() && !entered.is_empty() {
                break;
            }
            let one = self.entered(entry);
            if let What::Event(judged) | What::Replay { event: Some(judged), .. } = &one.what {
                room.take(&judged.judgements);
            }
            entered.push(one);
        }
        let is_cut = entered.len() < entries.len();
        let by = if is_cut { self.batch.by(entered.len()) } else { Some(Timestamp::MAX) };
        for due in timers.iter().take_while(|due| by.is_some_and(|by| due.timer.due <= by)) {
            if room.is_full() && !(entered.is_empty() && fired.is_empty()) {
                break;
            }
            let event = due.timer.event.and_then(|seq| self.batch.carried.get(&seq));
            let one = Fired::new(self.rules, due, event);
            room.take(one.carried.as_ref().and_then(|carried| carried.judgement.as_ref()));
            fired.push(one);
        }
        Inputs { now: self.now, rules: self.rules, destinations: &self.places, entries: entered, timers: fired }
    }

    fn entered<'i>(&'i self, entry: &'i Entry) -> Entered<'i> {
        let replayed = match &entry.item {
            Item::Command(Command::Replay { event, .. }) => self.batch.carried.get_key_value(event),
            _ => None,
        };
        let before = replayed.and_then(|(seq, _)| self.batch.before.get(seq)).cloned().unwrap_or_default();
        Entered::new(self.rules, entry, replayed.map(|(seq, event)| (*seq, event))).knowing(before)
    }

    async fn decide(&self, inputs: Inputs<'_>) -> Result<Option<(usize, usize)>, store::Error> {
        let keys = || catch_unwind(AssertUnwindSafe(|| planner::keys(&inputs)));
        let Ok(keys) = self.beside.apart(keys) else { return Ok(None) };
        let ledger = self.live.store.ledger(&keys).await?;
        let plan = || catch_unwind(AssertUnwindSafe(|| planner::plan(&inputs, ledger)));
        let Ok(plan) = self.beside.apart(plan) else { return Ok(None) };
        let counts = (inputs.entries.len(), inputs.timers.len());
        drop(inputs);
        self.commit(plan, counts).await?;
        Ok(Some(counts))
    }

    async fn commit(&self, mut plan: Plan, (entries, timers): (usize, usize)) -> Result<(), store::Error> {
        let outcomes = plan.whys.iter().flat_map(counted).collect::<Vec<_>>();
        if self.noted {
            plan.docs.push(Mark::clear());
        }
        let made = self.live.store.commit(&self.lease, plan, self.now).await?;
        for (rule, outcome) in outcomes {
            self.live.telemetry.rule(&rule, &outcome);
        }
        self.live.telemetry.planned(entries, timers, made);
        if made > 0 {
            self.live.to_dispatch.notify_one();
        }
        Ok(())
    }
}

/// What a row is counted as: its word, and as failed too where a rule did something and failed in part.
fn counted(why: &Decision) -> impl Iterator<Item = (String, String)> {
    let failed = Outcome::Failed.name();
    let in_part = why.outcome != failed && why.failed().next().is_some();
    let words = std::iter::once(why.outcome.clone()).chain(in_part.then(|| failed.to_owned()));
    let rule = why.rule.clone();
    words.map(move |word| (rule.clone(), word))
}
