//! Plan: committed events, and timers come due → judge → plan → one transaction.
//!
//! Under the planner's lease: one plans at a time per store, and a plan whose lease was lost changes nothing. A crash
//! before the commit plans again from nothing. An entry that planning can't cope with is parked with the reason, and
//! the ones after it go on.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::clock::plus;
use crate::config::Snapshot;
use crate::event::{Command, Entry, Event, Item, Seq};
use crate::planner::ledger::DueTimer;
use crate::planner::why::{Decision, Outcome};
use crate::planner::{self, DestinationFacts, Destinations, Entered, Fired, Inputs, Plan, Sweep};
use crate::rules::RuleSet;
use crate::steps::{Live, StepResult};
use crate::store;
use crate::store::{PlannerLease, Waiting};

/// The most entries, and the most timers, of one transaction.
const BATCH: usize = 1024;
/// The most events that one transaction plans again: their bodies are all in memory together.
const REPLAYS: usize = 64;
/// How many open cases are brought in line with new rules between two transactions of planning.
const PAGE: usize = 512;
/// How long the right to plan lasts: as long as another waits after this process died.
const LEASE: SignedDuration = SignedDuration::from_secs(4);
/// How soon to ask again while another plans.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// Plans what waits.
pub async fn step(live: &Live, now: Timestamp) -> Result<StepResult, store::Error> {
    let snapshot = live.snapshot.load_full();
    let Some(rules) = snapshot.rules.clone() else {
        // Rules are broken: events are kept, and wait until they are right, here or at whoever's are.
        return Ok(StepResult::Idle(None));
    };
    if let Some(rest) = rest(live, &snapshot, now).await? {
        return Ok(rest);
    }
    let Some(lease) = live.store.lease(&live.holder, now, plus(now, LEASE)).await? else {
        return Ok(StepResult::Idle(Some(plus(now, ASK_AGAIN))));
    };
    let is_armed = arm(live, &lease, &snapshot, &rules, now).await?;
    let mut waiting = live.store.waiting(now, BATCH).await?;
    // Replays are in no hurry, and end nothing that a timer could overtake: nothing waits behind them alone.
    let only_replays = waiting.entries.len() < BATCH && waiting.entries.iter().all(is_replay);
    bound_replays(&mut waiting.entries);
    if !only_replays {
        hold_back(&mut waiting);
    }
    if waiting.entries.is_empty() && waiting.timers.is_empty() {
        return Ok(if is_armed { StepResult::Idle(waiting.next_timer) } else { StepResult::Worked });
    }
    let carried = live.store.events(&wanted(&waiting.entries, &waiting.timers)).await?;
    let places = places(live, &snapshot);
    let before = before(live, &waiting.entries).await?;
    let round = Round { live, lease, rules, places, carried: carried.into_iter().collect(), before, now };
    if !round.plan(&waiting.entries, &waiting.timers).await? {
        round.plan_singly(&waiting.entries, &waiting.timers).await?;
    }
    Ok(StepResult::Worked)
}

/// Timers that came due after the last of these entries came wait for the entries behind it: a close that was accepted in
/// time must not be overtaken by the reminder that it ends, however long the inbox is. Nothing says when a command came,
/// so behind commands alone they wait for the next round.
fn hold_back(waiting: &mut Waiting) {
    let Waiting { entries, timers, .. } = waiting;
    let came = |entry: &Entry| match &entry.item {
        Item::Event(event) => Some(event.received),
        Item::Signal(signal) => Some(signal.at),
        Item::Command(_) => None,
    };
    if !entries.is_empty() {
        let last = entries.iter().rev().find_map(came);
        timers.retain(|due| last.is_some_and(|last| due.timer.due <= last));
    }
}

/// What was brought in line with the rules last.
#[derive(Debug, Clone)]
pub(super) struct Armed {
    /// Under this lease: another's rules may have been others.
    token: u64,
    /// For this snapshot.
    snapshot: Arc<Snapshot>,
    /// The open cases that are still to come.
    left: Option<Sweep>,
}

/// Until when there is nothing to plan, where that can be known without the right to plan: keeping that up is a write
/// every two seconds, and at rest nothing shall be written. Where several share the store it is kept up all the same: each
/// that takes it from another has to bring everything in line with its rules first.
async fn rest(live: &Live, snapshot: &Arc<Snapshot>, now: Timestamp) -> Result<Option<StepResult>, store::Error> {
    let armed = live.armed.load_full();
    let is_armed = Option::as_ref(&armed).is_some_and(|it| it.left.is_none() && Arc::ptr_eq(&it.snapshot, snapshot));
    if live.store.is_shared() || !is_armed {
        return Ok(None);
    }
    let waiting = live.store.waiting(now, 1).await?;
    let is_empty = waiting.entries.is_empty() && waiting.timers.is_empty();
    Ok(is_empty.then_some(StepResult::Idle(waiting.next_timer)))
}

/// Brings what runs by the clock in line with the rules: once for each snapshot and lease, and then the open cases, a
/// page at each call. Whether that is all.
async fn arm(
    live: &Live,
    lease: &PlannerLease,
    snapshot: &Arc<Snapshot>,
    rules: &RuleSet,
    now: Timestamp,
) -> Result<bool, store::Error> {
    let armed = live.armed.load_full();
    let same = |armed: &&Armed| armed.token == lease.token && Arc::ptr_eq(&armed.snapshot, snapshot);
    let left = match Option::as_ref(&armed).filter(same) {
        Some(armed) => match armed.left.clone() {
            None => return Ok(true),
            Some(left) => sweep(live, lease, snapshot, rules, left, now).await?,
        },
        None => {
            let ledger = live.store.ledger(&planner::arm_keys()).await?;
            let places = places(live, snapshot);
            // Another program may ask otherwise of the same rules.
            let left = Sweep::left(&ledger, &format!("{} {}", snapshot.hash, env!("CARGO_PKG_VERSION")));
            // Should it panic, planning goes on by the timers that are set.
            if let Ok(plan) = catch_unwind(AssertUnwindSafe(|| planner::arm(rules, &places, ledger, now))) {
                live.store.commit(lease, plan, now).await?;
            }
            match left {
                None => None,
                Some(left) => sweep(live, lease, snapshot, rules, left, now).await?,
            }
        }
    };
    let is_all = left.is_none();
    live.armed.store(Arc::new(Some(Armed { token: lease.token, snapshot: snapshot.clone(), left })));
    Ok(is_all)
}

/// Brings one page of open cases in line with the rules. Gives what is left.
async fn sweep(
    live: &Live,
    lease: &PlannerLease,
    snapshot: &Snapshot,
    rules: &RuleSet,
    left: Sweep,
    now: Timestamp,
) -> Result<Option<Sweep>, store::Error> {
    let page = live.store.docs(Sweep::CASES, left.after(), PAGE).await?;
    let places = places(live, snapshot);
    let is_last = page.len() < PAGE;
    // The same.
    let Ok((plan, left)) = catch_unwind(AssertUnwindSafe(|| left.page(rules, &places, &page, is_last, now))) else {
        return Ok(None);
    };
    live.store.commit(lease, plan, now).await?;
    Ok(left)
}

/// The configuration as the planner wants it.
pub fn places(live: &Live, snapshot: &Snapshot) -> Destinations {
    let named = snapshot.destinations.values().map(|destination| {
        let facts = DestinationFacts {
            hours: destination.hours.clone(),
            closes: destination.channel.closes(),
            goes_alone: destination.channel.goes_alone(),
            fallback: destination.fallback.iter().map(|(name, _)| name.clone()).collect(),
        };
        (destination.name.clone(), facts)
    });
    let zone = snapshot.settings.timezone.clone().unwrap_or(jiff::tz::TimeZone::UTC);
    Destinations { named: named.collect(), shadow: live.shadow, zone }
}

/// What a row is counted as: its word, and as failed too where a rule did something and failed in part.
fn counted(why: &Decision) -> impl Iterator<Item = (String, String)> {
    let failed = Outcome::Failed.name();
    let in_part = why.outcome != failed && why.failed().next().is_some();
    let words = std::iter::once(why.outcome.clone()).chain(in_part.then(|| failed.to_owned()));
    let rule = why.rule.clone();
    words.map(move |word| (rule.clone(), word))
}

fn is_replay(entry: &Entry) -> bool {
    matches!(&entry.item, Item::Command(Command::Replay { .. }))
}

/// Leaves what follows too many replays for the next transaction.
fn bound_replays(entries: &mut Vec<Entry>) {
    let mut replays = entries.iter().enumerate().filter(|(_, entry)| is_replay(entry));
    if let Some((at, _)) = replays.nth(REPLAYS) {
        entries.truncate(at);
    }
}

/// The earlier events that entries and timers speak of.
fn wanted(entries: &[Entry], timers: &[DueTimer]) -> Vec<Seq> {
    let replayed = entries.iter().filter_map(|entry| match &entry.item {
        Item::Command(Command::Replay { event, .. }) => Some(*event),
        _ => None,
    });
    let all: BTreeSet<Seq> = timers.iter().filter_map(|due| due.timer.event).chain(replayed).collect();
    all.into_iter().collect()
}

/// What came so far of the events that are planned again, but not anew.
async fn before(live: &Live, entries: &[Entry]) -> Result<BTreeMap<Seq, Vec<Decision>>, store::Error> {
    let mut before = BTreeMap::new();
    for entry in entries {
        if let Item::Command(Command::Replay { event, again: 0, .. }) = &entry.item {
            before.insert(*event, live.store.whys(*event).await?);
        }
    }
    Ok(before)
}

/// One round of planning, under one lease.
struct Round<'l> {
    live: &'l Live,
    lease: PlannerLease,
    rules: Arc<RuleSet>,
    places: Destinations,
    carried: BTreeMap<Seq, Event>,
    /// What came so far of events that are planned again.
    before: BTreeMap<Seq, Vec<Decision>>,
    now: Timestamp,
}

impl Round<'_> {
    /// Plans all of it in one transaction. False if judging or planning panicked: then nothing was changed.
    async fn plan(&self, entries: &[Entry], timers: &[DueTimer]) -> Result<bool, store::Error> {
        let judge = || self.inputs(entries, timers);
        let Ok(inputs) = catch_unwind(AssertUnwindSafe(judge)) else { return Ok(false) };
        self.decide(inputs).await
    }

    /// Plans one by one, so that only what can't be coped with is parked.
    async fn plan_singly(&self, entries: &[Entry], timers: &[DueTimer]) -> Result<(), store::Error> {
        const REASON: &str = "planning this failed; the log has the details, please report them";
        for entry in entries {
            if !self.plan(std::slice::from_ref(entry), &[]).await? {
                if let Item::Event(event) = &entry.item {
                    self.live.telemetry.parked(&event.id, REASON);
                }
                let inputs = Inputs { entries: vec![Entered::parked(entry, REASON)], ..self.inputs(&[], &[]) };
                self.decide(inputs).await?;
            }
        }
        for timer in timers {
            if !self.plan(&[], std::slice::from_ref(timer)).await? {
                let inputs = Inputs { timers: vec![Fired::parked(timer, REASON)], ..self.inputs(&[], &[]) };
                self.decide(inputs).await?;
            }
        }
        Ok(())
    }

    fn inputs<'i>(&'i self, entries: &'i [Entry], timers: &'i [DueTimer]) -> Inputs<'i> {
        let entered = entries.iter().map(|entry| {
            let replayed = match &entry.item {
                Item::Command(Command::Replay { event, .. }) => self.carried.get_key_value(event),
                _ => None,
            };
            let before = replayed.and_then(|(seq, _)| self.before.get(seq)).cloned().unwrap_or_default();
            Entered::new(&self.rules, entry, replayed.map(|(seq, event)| (*seq, event))).knowing(before)
        });
        let fired = timers.iter().map(|due| {
            let event = due.timer.event.and_then(|seq| self.carried.get(&seq));
            Fired::new(&self.rules, due, event)
        });
        Inputs {
            now: self.now,
            rules: &self.rules,
            destinations: &self.places,
            entries: entered.collect(),
            timers: fired.collect(),
        }
    }

    async fn decide(&self, inputs: Inputs<'_>) -> Result<bool, store::Error> {
        let Ok(keys) = catch_unwind(AssertUnwindSafe(|| planner::keys(&inputs))) else { return Ok(false) };
        let ledger = self.live.store.ledger(&keys).await?;
        let plan = || planner::plan(&inputs, ledger);
        let Ok(plan) = catch_unwind(AssertUnwindSafe(plan)) else { return Ok(false) };
        let (entries, timers) = (inputs.entries.len(), inputs.timers.len());
        drop(inputs);
        self.commit(plan, entries, timers).await?;
        Ok(true)
    }

    async fn commit(&self, plan: Plan, entries: usize, timers: usize) -> Result<(), store::Error> {
        let outcomes = plan.whys.iter().flat_map(counted).collect::<Vec<_>>();
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
