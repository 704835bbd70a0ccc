//! Messages that later matches of their case change: what a case keeps for them, and what they say.

use jiff::{SignedDuration, Timestamp};

use crate::clock::plus;
use crate::delivery::{Assignment, DeliveryId, MessageOp, NewDelivery};
use crate::event::Seq;
use crate::planner::case::{Card, Case, Scheduled};
use crate::rules::{Action, Rule};

/// How many matches a case keeps for such messages. Of older ones only the number is kept.
const MATCHES_MAX: usize = 200;
/// A message changes at most so often.
const APART: SignedDuration = SignedDuration::from_secs(1);

/// A match of a case: kept, if the rule has such a message.
pub(crate) fn keep(case: &mut Case, rule: &Rule, seq: Seq) {
    if !rule.actions.iter().any(|action| action.update) {
        return;
    }
    if case.matches.is_empty() && case.event != seq {
        case.matches.push(case.event);
    }
    case.matches.push(seq);
    while case.matches.len() > MATCHES_MAX {
        case.matches.remove(0);
        case.more = case.more.saturating_add(1);
    }
}

/// Puts all that a case has into what its message says.
pub(crate) fn tell_all(told: &mut Assignment, case: Option<&Case>) {
    told.update = true;
    told.events = case.map(|case| case.matches.clone()).filter(|all| !all.is_empty()).unwrap_or(vec![told.event]);
    told.event = told.events.last().copied().unwrap_or(told.event);
    told.more = case.map_or(0, |case| case.more);
}

/// Whether a message of an action stands at a destination, so that a match changes it.
pub(crate) fn stands(action: &Action, case: Option<&Case>, destination: &str) -> bool {
    action.update && case.is_some_and(|case| case.cards.get(destination).is_some_and(|card| card.went))
}

/// Whether the deadline of a message of a case at a destination has come. `falls` is when it falls by the match that is
/// announced, if that counts.
pub(crate) fn is_overdue(
    case: &Case,
    rule: &Rule,
    destination: &str,
    falls: impl Fn(&Action, &Scheduled) -> Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let mut deadlines = rule.actions.iter().filter(|action| action.deadline);
    deadlines.any(|action| {
        // Sent early, it has come; cancelled, it comes at its time all the same.
        let came = |timer: &Scheduled| timer.due.is_none() && timer.early.is_none_or(|at| at <= now);
        let is_over = |timer: &Scheduled| {
            timer.fired > 0
                && match falls(action, timer).filter(|falls| *falls != timer.first) {
                    Some(falls) => falls <= now,
                    None => came(timer),
                }
        };
        case.timers.get(&action.id).is_some_and(is_over) && action.to.iter().any(|to| to.value == destination)
    })
}

/// Whether what stands at a destination can be changed.
pub(crate) fn can_change(case: &Case, destination: &str, edits: bool) -> bool {
    edits && case.lanes.contains_key(destination) && case.cards.get(destination).is_some_and(|card| card.first)
}

/// Whether an action sends a message beside one that stands at a destination and can't change: a deadline does, and whatever
/// comes while its message waits, whose place it takes.
pub(crate) fn goes_beside(action: &Action, case: &Case, destination: &str) -> bool {
    action.deadline || case.cards.get(destination).is_some_and(|card| card.beside.is_some())
}

/// When a change may go after the last one. One that waits is replaced, and goes at its time.
pub(crate) fn next(changed: Timestamp, now: Timestamp) -> Timestamp {
    if changed > now { changed } else { plus(changed, APART).max(now) }
}

/// Remembers that a message of a case went, as the first there or below another, or that it waits.
pub(crate) fn remember(case: Option<&mut Case>, delivery: &NewDelivery, went: bool, now: Timestamp) {
    let Some(case) = case.filter(|_| delivery.assignment.update) else { return };
    let id = delivery.id.clone();
    if let Some(card) = case.cards.get_mut(&delivery.destination).filter(|card| card.went) {
        // A deadline's, beside what stands there and stays the first.
        card.beside = Some(id).filter(|_| !went);
        return;
    }
    let first = went && delivery.act == MessageOp::Open;
    case.cards.insert(delivery.destination.clone(), Card { id, went, first, changed: now, beside: None });
}

/// A message that waited goes no more, or in a summary, where nothing can change: the next match sends its message anew.
pub(crate) fn forget(case: &mut Case, id: &DeliveryId) {
    case.cards.retain(|_, card| card.went || card.id != *id);
    for card in case.cards.values_mut() {
        _ = card.beside.take_if(|beside| beside == id);
    }
}

/// The action whose message stands at a destination, where it is the first of its case and so can change.
pub(crate) fn first_at<'r>(case: &Case, rule: Option<&'r Rule>, destination: &str) -> Option<&'r Action> {
    case.cards.get(destination).filter(|card| card.went && card.first)?;
    action_at(rule, destination)
}

/// The action whose message may stand at a destination.
pub(crate) fn action_at<'r>(rule: Option<&'r Rule>, destination: &str) -> Option<&'r Action> {
    let mut cards = rule?.actions.iter().filter(|action| action.update);
    cards.find(|action| action.to.iter().any(|to| to.value == destination))
}

/// The same at a close: with the event that closed the case, if one did.
pub(crate) fn tell_all_at_the_end(told: &mut Assignment, case: &Case, closed_by: Seq) {
    tell_all(told, Some(case));
    if told.event < closed_by {
        told.events.push(closed_by);
    }
    (told.case, told.mention) = (Some(case.facts(true)), Vec::new());
}
