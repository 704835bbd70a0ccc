//! The way of a message that did not arrive: its delivery is late, or died. Its destination's fallbacks are notified, once, unless
//! its case has closed or somebody acknowledged it.

use jiff::{SignedDuration, Timestamp};

use crate::clock::plus;
use crate::delivery::{Delivery, DeliveryId, NewDelivery, State};
use crate::event::{Seq, Signal};
use crate::planner::case::Case;
use crate::planner::fallback::{Lost, Told, falls_back, key_of, lateness, looks_at, reason};
use crate::planner::flow::Planning;
use crate::planner::flow::fall_back::fall_back_to;
use crate::planner::names::names_for;
use crate::planner::why::{RuleOutcome, Trace};

/// How long after its fallbacks were notified of a delivery it is looked at again, whether that may be forgotten.
const LOOKED_AT_AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// Sets the deadline of each new delivery whose fallbacks are notified when it is late.
pub(crate) fn watch(work: &mut Planning<'_>) {
    let watched =
        work.plan.deliveries.iter().filter_map(|delivery| Some(looks_at(delivery, deadline(work, delivery)?)));
    let timers: Vec<_> = watched.collect();
    work.act(timers);
}

/// When a delivery's fallbacks are to be told, if it was not delivered by then.
fn deadline(work: &Planning<'_>, delivery: &NewDelivery) -> Option<Timestamp> {
    let facts = work.facts(&delivery.destination).filter(|_| falls_back(delivery))?;
    let after = facts.fallback_after.filter(|_| !facts.fallback.is_empty())?;
    Some(plus(delivery.due, after))
}

/// A delivery should have arrived by now.
pub(crate) fn late(work: &mut Planning<'_>, delivery: &DeliveryId) {
    let (slot, now) = (Told::slot(delivery), work.now.at);
    let told = work.state.load(&slot);
    // Where it just died, that is still to be planned, and must find that its fallbacks know.
    let just_died =
        |late: &Delivery| late.state == State::Dead && late.finished.is_some_and(|at| plus(at, LOOKED_AT_AGAIN) > now);
    let is_open = |late: &&Delivery| !late.state.is_final() || told.is_some() && just_died(late);
    let Some(late) = work.deliveries.get(delivery).filter(is_open).cloned() else {
        return work.state.save(&slot, None);
    };
    if told.is_some() {
        return work.act([looks_at(&late.planned, plus(now, LOOKED_AT_AGAIN))]);
    }
    match deadline(work, &late.planned) {
        // The rules for it changed meanwhile.
        None => return,
        Some(deadline) if deadline > now => return work.act([looks_at(&late.planned, deadline)]),
        Some(_) => {}
    }
    let reason = lateness(&late, work.now);
    if fall_back(work, Lost { origin: "late", delivery: &late.planned, reason: &reason }) {
        work.state.save(&slot, Some(&Told { at: now }));
        work.act([looks_at(&late.planned, plus(now, LOOKED_AT_AGAIN))]);
    }
}

/// A delivery died, or one of its recipients is lost.
pub(crate) fn died(work: &mut Planning<'_>, seq: Seq, died: &NewDelivery, signal: &Signal) {
    let slot = Told::slot(&died.id);
    if work.state.load(&slot).is_some() {
        if work.deliveries.get(&died.id).is_none_or(|delivery| delivery.state == State::Dead) {
            work.state.save(&slot, None);
        }
        return;
    }
    if falls_back(died) {
        // Where it was noticed is part of it: one that was tried again by hand, and died again, is reported again.
        fall_back(work, Lost { origin: &seq.to_string(), delivery: died, reason: &reason(died, signal) });
    }
}

/// A message goes to its destination's fallbacks. Gives whether any is reported.
fn fall_back(work: &mut Planning<'_>, lost: Lost<'_>) -> bool {
    let NewDelivery { event, rule, action, destination, .. } = lost.delivery;
    let Some(facts) = work.facts(destination).filter(|_| !work.destinations.shadow) else { return false };
    let (mut trace, mut is_sent) = (Trace::default(), false);
    let to: Vec<&String> = facts.fallback.iter().filter(|name| *name != destination).collect();
    match wanted_by(work, lost.delivery) {
        _ if to.is_empty() => {}
        Err(note) => trace.action(RuleOutcome::Cancelled, action, None, format!("goes to no fallback: {note}")),
        Ok(mut case) => {
            for fallback in to {
                is_sent |= fall_back_to(work, fallback, lost, case.as_mut(), &mut trace);
            }
            case.iter().for_each(|case| work.save_case(case));
        }
    }
    work.decide(trace, *event, rule);
    is_sent
}

/// The open case that a message belongs to, if to any; or why that doesn't want it said any more.
fn wanted_by(work: &mut Planning<'_>, lost: &NewDelivery) -> Result<Option<Case>, String> {
    let Some(key) = key_of(lost) else { return Ok(None) };
    let is_of = |case: &Case| case.lanes.get(&lost.destination).map(|shown| &shown.lane) == lost.lane.as_ref();
    match work.case(&names_for(work.rules, &lost.rule), key).filter(is_of) {
        None => Err(format!("case `{key}` has closed")),
        Some(Case { acked: Some(by), .. }) => Err(format!("{by} acknowledged the case")),
        case => Ok(case),
    }
}
