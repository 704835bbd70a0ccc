//! One round of planning: its batch is judged, planned and committed, or, where that can't be, piece by piece.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::batch::Batch;
use super::beside::Beside;
use super::size::{Mark, Size, name_of_entry, name_of_timer};
use crate::delivery::Delivery;
use crate::event::{Command, Entry, Event, Item, Seq};
use crate::planner::loaded::{DocChange, DueTimer};
use crate::planner::why::{Decision, RuleOutcome};
use crate::planner::{self, Destinations, Entered, Fired, Inputs, Keys, LoadedState, Plan, What};
use crate::rules::{Judgement, RuleSet};
use crate::steps::Live;
use crate::store;
use crate::store::PlannerLease;

/// What is judged in one round takes about this many bytes; planning and storing it several times that.
const JUDGED_BYTES_MAX: usize = 4 << 20;
/// And about this many steps.
const JUDGED_STEPS_MAX: u64 = 4_000_000;
/// The last resort: a round that has judged for so long goes on with what it has.
pub(in crate::steps) const JUDGED_TIME_MAX: Duration = Duration::from_secs(1);

/// What is said of an entry that made planning panic.
const PANICKED: &str = "planning this failed; the log has the details; please report them";
/// What is said of an entry that made the process end.
const DIED: &str = "the process ended each time that this was planned; its log may say why, please report it";

/// One round of planning, under one lease.
pub(super) struct PlanningRound<'l> {
    pub live: &'l Live,
    pub lease: PlannerLease,
    pub rules: &'l RuleSet,
    pub places: Destinations,
    pub batch: &'l Batch,
    pub beside: Beside,
    pub size: &'l Size,
    pub now: Timestamp,
}

/// What is planned together, its bodies read.
struct Read<'r> {
    entries: Vec<Entry>,
    timers: &'r [DueTimer],
    /// The earlier events that these entries and timers speak of.
    carried: BTreeMap<Seq, Event>,
}

/// How far a round came.
pub(super) struct Done {
    /// The last entry that it planned.
    pub upto: Option<Seq>,
    /// Until when timers came due that stayed behind.
    pub left: Option<Timestamp>,
}

/// What one round may still judge.
struct Room {
    bytes: usize,
    steps: u64,
    until: Option<Instant>,
}

impl Room {
    fn new(judging: Duration) -> Self {
        Self { bytes: JUDGED_BYTES_MAX, steps: JUDGED_STEPS_MAX, until: Instant::now().checked_add(judging) }
    }

    fn is_full(&self) -> bool {
        self.bytes == 0 || self.steps == 0 || self.until.is_some_and(|until| Instant::now() > until)
    }

    fn take<'j>(&mut self, judgements: impl IntoIterator<Item = &'j Judgement<'j>>) {
        for judgement in judgements {
            self.bytes = self.bytes.saturating_sub(judgement.weight());
            self.steps = self.steps.saturating_sub(judgement.steps);
        }
    }
}

impl PlanningRound<'_> {
    /// Plans what there is room for.
    pub async fn run(&self) -> Result<Done, store::Error> {
        let (entries, timers) = (&self.batch.entries[..], &self.batch.timers[..]);
        if self.size.is_stale() {
            self.change(Mark::clear()).await?;
        }
        if !self.size.is_alone() {
            if self.size.noted() {
                self.change(self.size.mark(&self.live.holder, self.batch, None).set()).await?;
            }
            if let Some((planned, fired)) = self.plan(entries, timers).await? {
                return Ok(self.done(planned, fired));
            }
        }
        self.plan_alone(entries, timers).await?;
        Ok(self.done(entries.len(), timers.len()))
    }

    fn done(&self, entries: usize, timers: usize) -> Done {
        let last = entries.checked_sub(1).and_then(|last| self.batch.entries.get(last));
        Done { upto: last.map(|entry| entry.seq), left: self.left(entries, timers) }
    }

    /// Until when timers came due that stayed behind, after this many entries and timers were planned.
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
        let Ok(read) = self.beside.apart(|| catch_unwind(AssertUnwindSafe(|| self.read(entries, timers)))) else {
            return Ok(None);
        };
        let judge = || catch_unwind(AssertUnwindSafe(|| self.inputs(&read)));
        let Ok(inputs) = self.beside.apart(judge) else { return Ok(None) };
        self.decide(inputs).await
    }

    fn read<'r>(&self, entries: &[Entry], timers: &'r [DueTimer]) -> Read<'r> {
        let replayed = entries.iter().filter_map(|entry| match &entry.item {
            Item::Command(Command::Replay { event, .. }) => Some(*event),
            _ => None,
        });
        let wanted = replayed.chain(timers.iter().filter_map(|due| due.timer.event));
        let carried = wanted.filter_map(|seq| Some((seq, self.batch.carried.get(&seq)?.clone().read()))).collect();
        let entries = entries.iter().map(|entry| Entry { seq: entry.seq, item: entry.item.clone().read() });
        Read { entries: entries.collect(), timers, carried }
    }

    /// Plans one by one, so that only what can't be coped with is parked.
    async fn plan_alone(&self, entries: &[Entry], timers: &[DueTimer]) -> Result<(), store::Error> {
        for entry in entries {
            if let Some(reason) = self.try_alone(&name_of_entry(entry), std::slice::from_ref(entry), &[]).await? {
                if let Item::Event(event) = &entry.item {
                    self.live.telemetry.parked(&event.id, reason);
                }
                let inputs = Inputs { entries: vec![Entered::parked(entry, reason)], ..self.nothing() };
                self.decide(inputs).await?;
            }
        }
        for timer in timers {
            if let Some(reason) = self.try_alone(&name_of_timer(timer), &[], std::slice::from_ref(timer)).await? {
                let inputs = Inputs { timers: vec![Fired::parked(timer, reason)], ..self.nothing() };
                self.decide(inputs).await?;
            }
        }
        Ok(())
    }

    /// Plans one thing. Gives why it is to be parked, if it is.
    async fn try_alone(
        &self,
        name: &str,
        entries: &[Entry],
        timers: &[DueTimer],
    ) -> Result<Option<&'static str>, store::Error> {
        if self.size.is_culprit(name) {
            return Ok(Some(DIED));
        }
        if self.size.noted() {
            self.change(self.size.mark(&self.live.holder, self.batch, Some(name)).set()).await?;
        }
        Ok(self.plan(entries, timers).await?.is_none().then_some(PANICKED))
    }

    /// Changes one document.
    async fn change(&self, doc: DocChange) -> Result<(), store::Error> {
        let plan = Plan { docs: vec![doc], ..Plan::default() };
        self.live.store.commit(&self.lease, plan, self.now).await.map(drop)
    }

    fn nothing(&self) -> Inputs<'_> {
        let (entries, timers) = (Vec::new(), Vec::new());
        Inputs { now: self.now, rules: self.rules, destinations: &self.places, entries, timers }
    }

    /// Judges as much as there is room for: the entries, and then the timers that go with those.
    fn inputs<'i>(&'i self, read: &'i Read<'_>) -> Inputs<'i> {
        let (entries, timers) = (&read.entries, read.timers);
        let mut room = Room::new(self.live.judging);
        let (mut entered, mut fired) = (Vec::new(), Vec::new());
        for entry in entries {
            if room.is_full() && !entered.is_empty() {
                break;
            }
            let one = self.entered(entry, &read.carried);
            if let What::Event(judged) | What::Replay { event: Some(judged), .. } = &one.what {
                room.take(&judged.judgements);
                room.steps = room.steps.saturating_sub(judged.steps);
            }
            entered.push(one);
        }
        let is_cut = entered.len() < entries.len();
        let by = if is_cut { self.batch.by(entered.len()) } else { Some(Timestamp::MAX) };
        for due in timers.iter().take_while(|due| by.is_some_and(|by| due.timer.due <= by)) {
            if room.is_full() && !(entered.is_empty() && fired.is_empty()) {
                break;
            }
            let event = due.timer.event.and_then(|seq| read.carried.get(&seq));
            let one = Fired::new(self.rules, due, event);
            room.take(one.carried.as_ref().and_then(|carried| carried.judgement.as_ref()));
            fired.push(one);
        }
        Inputs { entries: entered, timers: fired, ..self.nothing() }
    }

    fn entered<'i>(&'i self, entry: &'i Entry, carried: &'i BTreeMap<Seq, Event>) -> Entered<'i> {
        let replayed = match &entry.item {
            Item::Command(Command::Replay { event, .. }) => carried.get_key_value(event),
            _ => None,
        };
        let before = replayed.and_then(|(seq, _)| self.batch.before.get(seq)).cloned().unwrap_or_default();
        let entered = Entered::new(self.rules, entry, replayed.map(|(seq, event)| (*seq, event))).knowing(before);
        entered.reporting(self.batch.reports.get(&entry.seq).cloned())
    }

    async fn decide(&self, inputs: Inputs<'_>) -> Result<Option<(usize, usize)>, store::Error> {
        let keys = || catch_unwind(AssertUnwindSafe(|| planner::keys(&inputs)));
        let Ok(keys) = self.beside.apart(keys) else { return Ok(None) };
        let loaded = self.known(&keys).await?;
        let plan = || catch_unwind(AssertUnwindSafe(|| planner::plan(&inputs, loaded)));
        let Ok(plan) = self.beside.apart(plan) else { return Ok(None) };
        let counts = (inputs.entries.len(), inputs.timers.len());
        let missed = missed(&inputs);
        drop(inputs);
        self.commit(plan, counts).await?;
        for (rule, events) in missed {
            self.live.telemetry.rule(rule, RuleOutcome::Missed.name(), events);
        }
        Ok(Some(counts))
    }

    /// What planning asks for.
    async fn known(&self, keys: &Keys) -> Result<LoadedState, store::Error> {
        let mut loaded = self.live.store.load(keys).await?;
        for id in &keys.deliveries {
            if let Some((delivery, _)) = self.live.store.delivery(id).await? {
                loaded.deliveries.insert(id.clone(), Delivery { message: None, ..delivery });
            }
        }
        Ok(loaded)
    }

    async fn commit(&self, mut plan: Plan, (entries, timers): (usize, usize)) -> Result<(), store::Error> {
        let outcomes = plan.whys.iter().flat_map(counted).collect::<Vec<_>>();
        if self.size.noted() {
            plan.docs.push(Mark::clear());
        }
        if !plan.deliveries.is_empty() {
            // Before the commit: dispatch may look at once.
            self.live.recent.keep(self.batch.entries.iter().take(entries));
        }
        let made = self.live.store.commit(&self.lease, plan, self.now).await?;
        for (rule, outcome) in outcomes {
            self.live.telemetry.rule(&rule, &outcome, 1);
        }
        self.live.telemetry.planned(entries, timers, made);
        if made > 0 {
            self.live.to_dispatch.notify_one();
        }
        Ok(())
    }
}

/// How many events each rule just missed.
fn missed<'r>(inputs: &Inputs<'r>) -> BTreeMap<&'r str, u64> {
    let mut missed = BTreeMap::new();
    for entered in &inputs.entries {
        let What::Event(judged) = &entered.what else { continue };
        judged.missed.iter().for_each(|rule| *missed.entry(rule.name.value.as_str()).or_default() += 1);
    }
    missed
}

/// What a row is counted as: its word, and as failed too where a rule did something and failed in part.
fn counted(why: &Decision) -> impl Iterator<Item = (String, String)> {
    let failed = RuleOutcome::Failed.name();
    let in_part = why.outcome != failed && why.failed().next().is_some();
    let words = std::iter::once(why.outcome.clone()).chain(in_part.then(|| failed.to_owned()));
    let rule = why.rule.clone();
    words.map(move |word| (rule.clone(), word))
}
