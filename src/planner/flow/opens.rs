//! The way of a held queue: its window opens, and what waited goes: one message as it is, several as one summary for each
//! address.

use jiff::Timestamp;

use crate::delivery::{Addressed, DeliveryId};
use crate::event::UpcomingOp;
use crate::planner::cards;
use crate::planner::case::CaseRef;
use crate::planner::flow::Planning;
use crate::planner::flow::announce::send;
use crate::planner::flow::occasion::{Occasion, quiet, silenced};
use crate::planner::held::{Asked, Held, Opens, Rest, Waiting, opens, summarise};
use crate::planner::mute::Audible;
use crate::planner::names::{action_named, names_for};
use crate::planner::state::Slot;
use crate::planner::why::{RuleOutcome, Trace};

/// What becomes of a message that waited.
enum Goes {
    Now(Box<Held>),
    /// It waits on, for another opening.
    Later(Timestamp),
    Never,
}

/// A window opens: what waited goes, unless its case or the rules have changed their mind.
pub(crate) fn hours_open(work: &mut Planning<'_>, destination: &str, slot: &Slot<Waiting>) {
    let Some(Waiting { opens, held, rest, more, asked, .. }) = work.state.load(slot) else { return };
    // Before anything is decided: what waits on may wait in the same slot.
    work.state.save(slot, None);
    let hurry = match asked {
        Some(Asked { does: UpcomingOp::Cancel, by, .. }) => return call_off(work, (held, rest), &by),
        Some(Asked { does: UpcomingOp::Send, by, .. }) => Some(by),
        None => None,
    };
    let (mut going, mut files, mut waits_on) = (Vec::new(), Vec::new(), None);
    for held in held {
        let mut trace = Trace::default();
        let (event, rule) = (held.delivery.event, held.delivery.rule.clone());
        let card = held.delivery.assignment.update.then(|| (held.delivery.id.clone(), held.case.clone()));
        match may_go(work, held, (opens, hurry.as_deref()), &mut trace) {
            // A file goes as it is.
            Goes::Now(held) if held.delivery.assignment.attach.is_some() => files.push(*held),
            Goes::Now(held) => going.push(*held),
            Goes::Later(opens) => waits_on = Some(opens),
            Goes::Never => {
                if let Some((id, case)) = card {
                    forget_card(work, (&rule, &id), case.as_ref());
                }
            }
        }
        work.decide(trace, event, &rule);
    }
    let (mut rest, mut more) = (rest, more);
    if work.destinations.shadow {
        (rest, more) = (Vec::new(), 0);
    }
    rest.retain(|rest| still_counts(work, rest));
    files.into_iter().for_each(|held| send_held(work, held));
    if let Some(opens) = waits_on.filter(|_| going.is_empty()) {
        return keep_rest(work, &Waiting::slot(destination, opens), rest, more);
    }
    for (to, going, rest) in by_address(going, rest) {
        // Whose they were that nobody knows any more is not known either: the first says that there were more.
        go(work, destination, (to, going), (rest, std::mem::take(&mut more)));
    }
}

/// What waited, apart by the address that a map gave; all together where there is none.
fn by_address(going: Vec<Held>, rest: Vec<Rest>) -> Vec<(Option<Addressed>, Vec<Held>, Vec<Rest>)> {
    let mut apart: Vec<(Option<Addressed>, Vec<Held>, Vec<Rest>)> = Vec::new();
    let at = |apart: &mut Vec<(Option<Addressed>, Vec<Held>, Vec<Rest>)>, to: Option<Addressed>| {
        let known = apart.iter().position(|(known, ..)| *known == to);
        known.unwrap_or_else(|| {
            apart.push((to, Vec::new(), Vec::new()));
            apart.len() - 1
        })
    };
    for held in going {
        let at = at(&mut apart, held.delivery.assignment.to.clone());
        if let Some((_, going, _)) = apart.get_mut(at) {
            going.push(held);
        }
    }
    for one in rest {
        let at = at(&mut apart, one.to.clone());
        if let Some((_, _, rest)) = apart.get_mut(at) {
            rest.push(one);
        }
    }
    apart
}

/// What waited for one address goes.
fn go(
    work: &mut Planning<'_>,
    destination: &str,
    (to, going): (Option<Addressed>, Vec<Held>),
    (rest, more): (Vec<Rest>, u64),
) {
    let goes_alone = work.facts(destination).is_some_and(|facts| facts.goes_alone);
    let older = rest.len() as u64 + more;
    match (going.len(), older) {
        (0, 0) => {}
        (1, 0) => going.into_iter().for_each(|held| send_held(work, held)),
        _ if goes_alone => {
            // Their cases are resolved one by one, so each is an incident of its own; only the words of those are gone that
            // nobody can keep in full.
            if older > 0 {
                work.plan.deliveries.extend(summarise((destination, to), &[], (&rest, more), work.now.at));
            }
            going.into_iter().for_each(|held| send_held(work, held));
        }
        _ => {
            note_summed(work, destination, &going, &rest);
            work.plan.deliveries.extend(summarise((destination, to), &going, (&rest, more), work.now.at));
        }
    }
}

/// A message that waited for this opening, if it still may go now; at any hour, if somebody asked for that.
fn may_go(
    work: &mut Planning<'_>,
    mut held: Held,
    (opened, hurry): (Timestamp, Option<&str>),
    trace: &mut Trace,
) -> Goes {
    let delivery = &mut held.delivery;
    let to = delivery.destination.clone();
    let action_id = delivery.action.clone();
    let mut comes_to = |goes, outcome, note: String| {
        trace.action(outcome, &action_id, Some(&to), note);
        goes
    };
    let Some((rule, action)) = action_named(work.rules, &delivery.rule, &delivery.action) else {
        let note = "held, and then not sent: the rules in force no longer ask for it";
        return comes_to(Goes::Never, RuleOutcome::Cancelled, note.into());
    };
    delivery.rule.clone_from(&rule.name.value);
    if work.facts(&to).is_none() {
        let note = format!("held, and then not sent: `{to}` is no longer configured");
        return comes_to(Goes::Never, RuleOutcome::Cancelled, note);
    }
    if let Some(belongs) = &held.case
        && let Some(why) = work.unwanted(belongs, &delivery.rule, held.reminder, Some(action))
    {
        return comes_to(Goes::Never, why.outcome(), format!("held, and then not sent: {}", why.said(belongs)));
    }
    let case = held.case.as_ref().and_then(|belongs| work.case(&names_for(work.rules, &rule.name.value), &belongs.key));
    let reminders = case.as_ref().filter(|_| held.reminder);
    let is_replaced = reminders.is_some_and(|case| case.reminded_since(&to, &action_id, held.number));
    let card = case.as_ref().filter(|_| delivery.assignment.update).map(|case| case.cards.get(&to));
    if is_replaced || card.is_some_and(|card| card.is_none_or(|card| !card.wants(&delivery.id))) {
        let note = "held, and then not sent: a newer message took its place";
        return comes_to(Goes::Never, RuleOutcome::Cancelled, note.into());
    }
    if let Some(until) = held.embargo.filter(|until| *until > work.now.at) {
        wait_on(work, held, until);
        return Goes::Later(until);
    }
    match if hurry.is_some() { Opens::Now } else { opens(action, work.facts(&to), work.now.at) } {
        Opens::Drop => {
            return comes_to(Goes::Never, RuleOutcome::Dropped, format!("dropped for `{to}`: outside hours"));
        }
        Opens::At(opens) => {
            if opens != opened {
                let note = format!("held until {} (hours of `{to}`)", work.now.said(opens));
                comes_to(Goes::Never, RuleOutcome::Held, note);
            }
            wait_on(work, held, opens);
            return Goes::Later(opens);
        }
        Opens::Now | Opens::Never => {}
    }
    // Only now that it would go: a mute that ends while it still waits takes nothing away.
    let message = Audible { rule: &delivery.rule, destination: &to, event: None, at: work.now.at };
    if let Some(note) = silenced(work, case.as_ref(), work.now.at).or_else(|| work.muted(message)) {
        return comes_to(Goes::Never, RuleOutcome::Muted, note);
    }
    if quiet(work, rule, Occasion::Match, None) {
        return comes_to(Goes::Never, RuleOutcome::Shadow, format!("in shadow: would go to `{to}`"));
    }
    held.delivery.due = work.now.at;
    let note = match hurry {
        Some(by) => format!("held, and goes to `{to}` now: {by} sent it"),
        None => format!("held, and now goes to `{to}`"),
    };
    comes_to(Goes::Now(Box::new(held)), RuleOutcome::Matched, note)
}

/// A message waits on, for another opening.
fn wait_on(work: &mut Planning<'_>, held: Held, opens: Timestamp) {
    let slot = Waiting::slot(&held.delivery.destination, opens);
    work.turn(&slot, |known, _| Waiting::wait_on(known, held, opens));
}

/// A person cancelled what waited.
fn call_off(work: &mut Planning<'_>, (held, rest): (Vec<Held>, Vec<Rest>), by: &str) {
    let held = held.into_iter().map(Rest::from);
    for Rest { rule, action, event, id, case, .. } in rest.into_iter().chain(held) {
        let mut trace = Trace::default();
        trace.action(RuleOutcome::Cancelled, &action, None, format!("held, and then not sent: {by} cancelled it"));
        trace.detail("by_hand", format!("cancelled by {by}").into());
        work.decide(trace, event, &rule);
        forget_card(work, (&rule, &id), case.as_ref());
    }
}

/// A message that waited can't change any more: the next match sends its message anew.
fn forget_card(work: &mut Planning<'_>, (rule, id): (&str, &DeliveryId), case: Option<&CaseRef>) {
    let Some(belongs) = case else { return };
    if let Some(mut case) = work.case(&names_for(work.rules, rule), &belongs.key) {
        cards::forget(&mut case, id);
        work.save_case(&case);
    }
}

/// Whether a message of which the words are gone would still go.
fn still_counts(work: &mut Planning<'_>, rest: &Rest) -> bool {
    let Some((_, action)) = action_named(work.rules, &rest.rule, &rest.action) else { return false };
    let belongs = rest.case.as_ref();
    belongs.is_none_or(|belongs| work.unwanted(belongs, &rest.rule, rest.reminder, Some(action)).is_none())
}

/// Nothing goes yet after all: what was only counted still counts.
fn keep_rest(work: &mut Planning<'_>, slot: &Slot<Waiting>, rest: Vec<Rest>, more: u64) {
    if let Some(mut waiting) = work.state.load(slot) {
        waiting.rest.extend(rest);
        waiting.more = waiting.more.saturating_add(more);
        work.state.save(slot, Some(&waiting));
    }
}

/// One message goes as it is, in its case's lane.
fn send_held(work: &mut Planning<'_>, held: Held) {
    let Held { delivery, case, reminder, .. } = held;
    let names = names_for(work.rules, &delivery.rule);
    let mut case = case.and_then(|belongs| work.case(&names, &belongs.key));
    let occasion = if reminder { Occasion::Reminder } else { Occasion::Match };
    send(work, delivery, occasion, case.as_mut());
    if let Some(case) = case {
        work.save_case(&case);
    }
}

/// Records in their cases that these messages were reported in a summary.
fn note_summed(work: &mut Planning<'_>, destination: &str, going: &[Held], rest: &[Rest]) {
    let going = going.iter().map(|held| (&held.delivery.rule, &held.case, &held.delivery.id));
    for (rule, belongs, id) in going.chain(rest.iter().map(|rest| (&rest.rule, &rest.case, &rest.id))) {
        let Some(belongs) = belongs else { continue };
        let names = names_for(work.rules, rule);
        if let Some(mut case) = work.case(&names, &belongs.key) {
            case.summed.insert(destination.to_owned());
            cards::forget(&mut case, id);
            work.save_case(&case);
        }
    }
}
