//! Plan: committed events, and timers come due → judge → plan → one transaction.
//!
//! Under the planner's lease: one plans at a time per store, and a plan whose lease was lost changes nothing. A crash
//! before the commit plans again from nothing. An entry that planning can't cope with is parked with the reason, and
//! the ones after it go on. A round is bounded by what it loads, by what judging takes and by what comes of it
//! (`plan/round.rs`); after a failure, or a death in its midst, the next one is smaller (`plan/size.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::batch::Batch;
use self::beside::Beside;
pub(super) use self::beside::on_a_thread;
pub(super) use self::round::JUDGED_TIME_MAX;
use self::round::{Done, PlanningRound};
pub(super) use self::size::Size;
use crate::clock::plus;
use crate::config::Snapshot;
use crate::delivery::Severity;
use crate::planner::{self, DestinationFacts, Destinations, Sweep};
use crate::rules::RuleSet;
use crate::steps::{Live, StepResult, judged, links};
use crate::store;
use crate::store::PlannerLease;

mod batch;
mod beside;
mod round;
mod size;

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
        // Rules are broken: events are kept, and wait until the rules are right, in this process or another.
        return Ok(StepResult::Idle(None));
    };
    if let Some(rest) = rest(live, &snapshot, now).await? {
        return Ok(rest);
    }
    let Some(lease) = live.store.lease(&live.holder, now, plus(now, LEASE)).await? else {
        return Ok(StepResult::Idle(Some(plus(now, ASK_AGAIN))));
    };
    let is_armed = Arming { live, lease: &lease, snapshot: &snapshot, rules: &rules, now }.arm().await?;
    links::keep(live, &lease, &snapshot, now).await?;
    let mut size = Size::under(live, &lease).await?;
    let batch = Batch::load(live, &mut size, now).await?;
    if batch.is_empty() {
        return Ok(if is_armed { StepResult::Idle(batch.next_timer) } else { StepResult::Worked(0) });
    }
    if !Arc::ptr_eq(&snapshot, &live.snapshot.load()) {
        // Of these some may have come after other rules were said to be in force: those plan them.
        return Ok(StepResult::Worked(0));
    }
    let places = places(live, &snapshot);
    let (beside, mut renewal) = Beside::start(live, &lease);
    let round = PlanningRound { live, lease, rules: &rules, places, batch: &batch, beside, size: &size, now };
    let planned = tokio::select! {
        biased;
        planned = round.run() => planned,
        () = renewal.panics() => return Ok(StepResult::Worked(0)),
    };
    let judged = round.beside.longest();
    drop((round, renewal));
    match &planned {
        Ok(Done { upto, left }) => size.grow(*upto, *left),
        Err(error) => size.shrink(&batch, live.clock.now().duration_since(now), judged, error),
    }
    size.keep(live);
    planned.map(|_| StepResult::Worked((batch.entries.len() + batch.timers.len()) as u64))
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
/// every two seconds, and at rest nothing must be written. Where several share the store it is kept up all the same: each
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

/// Brings what runs by the clock in line with the rules.
struct Arming<'a> {
    live: &'a Live,
    lease: &'a PlannerLease,
    snapshot: &'a Arc<Snapshot>,
    rules: &'a RuleSet,
    now: Timestamp,
}

impl Arming<'_> {
    /// Once for each snapshot and lease, and then the open cases, a page at each call. Whether that is all.
    async fn arm(&self) -> Result<bool, store::Error> {
        let Self { live, lease, snapshot, rules, now } = *self;
        let armed = live.armed.load_full();
        let same = |armed: &&Armed| armed.token == lease.token && Arc::ptr_eq(&armed.snapshot, snapshot);
        let left = match Option::as_ref(&armed).filter(same) {
            Some(armed) => match armed.left.clone() {
                None => return Ok(true),
                Some(left) => self.sweep(left).await?,
            },
            None => {
                let judges = judged::record(live, rules, live.store.census().await?.planned + 1).await?;
                let loaded = live.store.load(&planner::arm_keys()).await?;
                let places = places(live, snapshot);
                // Another program may ask otherwise of the same rules.
                let left = Sweep::left(&loaded, &format!("{} {}", snapshot.hash, env!("CARGO_PKG_VERSION")));
                // Should it panic, planning goes on by the timers that are set.
                let plan = catch_unwind(AssertUnwindSafe(|| planner::arm(rules, &places, loaded, now)));
                let mut plan = plan.unwrap_or_default();
                plan.docs.extend(judges);
                live.store.commit(lease, plan, now).await?;
                match left {
                    None => None,
                    Some(left) => self.sweep(left).await?,
                }
            }
        };
        let is_all = left.is_none();
        live.armed.store(Arc::new(Some(Armed { token: lease.token, snapshot: snapshot.clone(), left })));
        Ok(is_all)
    }

    /// Brings one page of open cases in line with the rules. Gives what is left.
    async fn sweep(&self, left: Sweep) -> Result<Option<Sweep>, store::Error> {
        let Self { live, lease, snapshot, rules, now } = *self;
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
}

/// The configuration as the planner wants it.
pub fn places(live: &Live, snapshot: &Snapshot) -> Destinations {
    let named = snapshot.destinations.values().map(|destination| {
        let channel = destination.channel.facts();
        let facts = DestinationFacts {
            hours: destination.hours.clone(),
            closes: channel.can.closes(),
            edits: channel.can.edits,
            // A summary would go to the address that one of its events chooses.
            goes_alone: channel.can.resolves || channel.by_event,
            shows_links: destination.kind.shows_links && !destination.external,
            reports: destination.kind.reports,
            reach: destination.reach.clone(),
            embargo: destination.audience.as_ref().and_then(|audience| audience.embargo.clone()),
            fallback: destination.fallback.iter().map(|(name, _)| name.clone()).collect(),
            fallback_after: destination.fallback_after,
        };
        (destination.name.clone(), facts)
    });
    let zone = snapshot.settings.zone();
    let critical = snapshot.templates.of_severity(Severity::Critical).map(str::to_owned).collect();
    Destinations { named: named.collect(), critical, shadow: live.shadow, zone, links: links::linking(live, snapshot) }
}
