//! The way of a change: a match of a case changes the message that stands at a destination. That notifies nobody, so it passes
//! mutes and hours.

use crate::delivery::MessageOp;
use crate::planner::cards::{can_change, goes_beside, next, stands};
use crate::planner::case::Case;
use crate::planner::effect::Effect;
use crate::planner::flow::Planning;
use crate::planner::flow::announce::{Announcement, Draft, draft};
use crate::planner::flow::occasion::{Occasion, quiet};
use crate::planner::plan::Cancel;
use crate::planner::why::{RuleOutcome, Trace};

/// Changes what stands, where that can be changed. Gives whether anything is.
pub(crate) fn change(
    work: &mut Planning<'_>,
    said: &Announcement<'_>,
    case: Option<&mut Case>,
    trace: &mut Trace,
) -> bool {
    let Some(case) = case else { return false };
    let (action, before) = (said.acted.action, work.plan.deliveries.len());
    for destination in action.to.iter().map(|to| to.value.as_str()) {
        if stands(action, Some(case), destination) {
            change_at(work, said, case, destination, trace);
        }
    }
    work.plan.deliveries.len() > before
}

fn change_at(work: &mut Planning<'_>, said: &Announcement<'_>, case: &mut Case, destination: &str, trace: &mut Trace) {
    let id = said.acted.action.id.as_str();
    let mut note = |outcome, note: String| trace.action(outcome, id, Some(destination), note);
    let Some(facts) = work.facts(destination) else {
        return trace.fail(format!("destination `{destination}` is not configured"));
    };
    let can_change = can_change(case, destination, facts.edits);
    if !can_change && goes_beside(said.acted.action, case, destination) {
        return;
    }
    let shown = case.lanes.get(destination).filter(|_| can_change).map(|shown| shown.lane.clone());
    let card = case.cards.get(destination);
    let (Some(lane), Some(changed)) = (shown, card.map(|card| card.changed)) else {
        let why = format!("not sent: the message at `{destination}` can't change, and the close brings the last one");
        return note(RuleOutcome::Cancelled, why);
    };
    if said.occasion == Occasion::Replay && said.again == 0 {
        return note(RuleOutcome::Cancelled, format!("the message at `{destination}` says it already"));
    }
    if quiet(work, said.rule, said.occasion, Some(case)) {
        return note(RuleOutcome::Shadow, format!("in shadow: would change the message at `{destination}`"));
    }
    note(RuleOutcome::Matched, format!("changes the message at `{destination}`"));
    let to = case.addresses.get(destination).cloned();
    let Draft { mut delivery, .. } = draft(work, said, Some(case), (destination, to, 0));
    (delivery.lane, delivery.act) = (Some(lane.clone()), MessageOp::Update);
    delivery.due = next(changed, work.now.at);
    if let Some(card) = case.cards.get_mut(destination) {
        card.changed = delivery.due;
    }
    let reason = "a newer change replaced it".to_owned();
    work.act([Effect::Cancel(Cancel { lane, action: None, act: Some(MessageOp::Update), reason })]);
    work.plan.deliveries.push(delivery);
}
