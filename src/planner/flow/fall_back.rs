//! The way of a message to a fallback: because it did not arrive, or because its destination has no address for it.

use jiff::Timestamp;

use crate::delivery::NewDelivery;
use crate::planner::case::Case;
use crate::planner::fallback::{Fallen, Lost};
use crate::planner::flow::Planning;
use crate::planner::flow::occasion::silenced;
use crate::planner::mute::Audible;
use crate::planner::why::{RuleOutcome, Trace};

/// A message has no address at its destination: its fallbacks get it at once, with the reason. Gives when they do, if any does.
pub(crate) fn unaddressed(
    work: &mut Planning<'_>,
    delivery: &NewDelivery,
    reason: &str,
    mut case: Option<&mut Case>,
    trace: &mut Trace,
) -> Option<Timestamp> {
    let facts = work.facts(&delivery.destination)?;
    let lost = Lost { origin: "unaddressed", delivery, reason };
    let mut is_sent = false;
    for fallback in facts.fallback.iter().filter(|name| **name != delivery.destination) {
        is_sent |= fall_back_to(work, fallback, lost, case.as_deref_mut(), trace);
    }
    is_sent.then_some(work.now.at)
}

/// A message goes to one fallback, unless that is muted or gone. Gives whether it does.
pub(crate) fn fall_back_to(
    work: &mut Planning<'_>,
    destination: &str,
    lost: Lost<'_>,
    case: Option<&mut Case>,
    trace: &mut Trace,
) -> bool {
    let (rule, action) = (lost.delivery.rule.as_str(), lost.delivery.action.as_str());
    if work.facts(destination).is_none() {
        let note = format!("fallback `{destination}` is not configured");
        trace.action(RuleOutcome::Cancelled, action, Some(destination), note);
        return false;
    }
    let message = Audible { rule, destination, event: None, at: work.now.at };
    if let Some(note) = silenced(work, case.as_deref(), work.now.at).or_else(|| work.muted(message)) {
        trace.action(RuleOutcome::Muted, action, Some(destination), format!("fallback {note}"));
        return false;
    }
    work.turn_told(&Fallen::slot(destination), trace, |known, now| Fallen::take(known, destination, lost, case, now));
    true
}
