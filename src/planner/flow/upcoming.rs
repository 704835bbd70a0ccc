//! The way of what a person does with something that waits for its time: it is sent now, or cancelled. What is sent now goes as
//! it would at its time, by the same timer.

use jiff::Timestamp;

use crate::event::UpcomingOp;
use crate::planner::digest::{Collected, DigestId};
use crate::planner::flow::{Planning, flooded};
use crate::planner::held::{Asked, Waiting};
use crate::planner::names::{action_named, names_for, present_name};
use crate::planner::reminders;
use crate::planner::timer::Meaning;
use crate::planner::why::{Decision, RuleOutcome, Trace};

/// A person asks for something that was due then. What is gone, or waits for another time, stays as it is; so does what is
/// to be sent and comes due just now.
pub(crate) fn asked(work: &mut Planning<'_>, timer: &str, (due, does): (Timestamp, UpcomingOp), by: &str) {
    let is_due = due <= work.now.at;
    match Meaning::parse(timer) {
        Some(Meaning::Act { .. } | Meaning::Digest { .. }) if does == UpcomingOp::Send && is_due => {}
        Some(Meaning::Act { rule, key, nth, action }) => {
            reminder(work, (&rule, &key, nth), (&action, due), (does, by));
        }
        Some(Meaning::Digest { rule, action, key, destination, rest, .. }) => {
            let (action, key, destination) = (&*action, &*key, &*destination);
            digest(work, DigestId { rule: &rule, action, key, destination, rest }, due, (does, by));
        }
        Some(Meaning::Opens { destination, opens, .. }) => {
            let at = work.now.at;
            let slot = Waiting::slot(&destination, opens);
            let waiting = work.state.load(&slot).filter(|waiting| waiting.asked.is_none());
            if let Some(waiting) = waiting.filter(|_| does == UpcomingOp::Cancel || opens > at) {
                work.turn(&slot, |_, _| waiting.ask(Asked { does, by: by.to_owned(), at }));
            }
        }
        Some(Meaning::Flood { rule, queue: Some(_), .. }) => {
            flooded::decide(work, &rule, by, does == UpcomingOp::Cancel);
        }
        _ => {}
    }
}

/// A reminder, or what an action does by a date.
fn reminder(
    work: &mut Planning<'_>,
    (rule, key, nth): (&str, &str, u64),
    (action, due): (&str, Timestamp),
    (does, by): (UpcomingOp, &str),
) {
    let Some(mut case) = work.nth_case(rule, key, nth) else { return };
    let Some((_, action)) = action_named(work.rules, &case.rule, action) else { return };
    let Some(timer) = case.timers.get(&action.id).filter(|timer| is_then(timer.due, due)) else { return };
    let (event, said) = (timer.event, work.now.said(due));
    let mut trace = Trace::default();
    let effects = match does {
        UpcomingOp::Send => {
            let note = format!("sent now, and not {said}: {by} asked for it");
            trace.action(RuleOutcome::Matched, &action.id, None, note);
            reminders::hurry(&mut case, action, work.now)
        }
        UpcomingOp::Cancel => {
            trace.action(RuleOutcome::Cancelled, &action.id, None, format!("not sent {said}: {by} cancelled it"));
            reminders::skip(&mut case, action, work.now)
        }
    };
    trace.detail("by_hand", by_hand(does, by).into());
    work.apply(effects, &mut trace);
    work.decide(trace, event, &case.rule);
    work.save_case(&case);
}

/// A digest.
fn digest(work: &mut Planning<'_>, of: DigestId<'_>, due: Timestamp, (does, by): (UpcomingOp, &str)) {
    let slot = of.slot(&names_for(work.rules, of.rule));
    let of = DigestId { rule: present_name(work.rules, of.rule), ..of };
    let Some(collected) = work.state.load(&slot).filter(|collected| is_then(Some(collected.due), due)) else { return };
    let (said, destination) = (work.now.said(due), of.destination);
    let (outcome, note) = match does {
        UpcomingOp::Send => {
            (RuleOutcome::Digest, format!("its digest for `{destination}` goes now, and not {said}: {by} asked for it"))
        }
        UpcomingOp::Cancel => (
            RuleOutcome::Cancelled,
            format!("its digest for `{destination}` of {said} was not sent: {by} cancelled it"),
        ),
    };
    let mut trace = Trace::default();
    trace.action(outcome, of.action, Some(destination), note);
    trace.detail("by_hand", by_hand(does, by).into());
    if let Some(row) = trace.row(0, of.rule) {
        let rows = collected.events.iter().map(|event| Decision { event: *event, ..row.clone() });
        work.plan.whys.extend(rows);
    }
    work.turn(&slot, |_, now| match does {
        UpcomingOp::Send => collected.hurry(&of, now.at),
        UpcomingOp::Cancel => Collected::cancel(&of),
    });
}

/// Whether something is still due when a person saw it. Stores keep times to the millisecond.
fn is_then(due: Option<Timestamp>, seen: Timestamp) -> bool {
    due.is_some_and(|due| due.as_millisecond() == seen.as_millisecond())
}

fn by_hand(does: UpcomingOp, by: &str) -> String {
    match does {
        UpcomingOp::Send => format!("sent now by {by}"),
        UpcomingOp::Cancel => format!("cancelled by {by}"),
    }
}
