//! The way of what waits: how a message is kept, and whether it waits because its rule floods.

use jiff::Timestamp;

use crate::delivery::{MessageOp, NewDelivery};
use crate::planner::cards;
use crate::planner::case::Case;
use crate::planner::flood::{Flood, Flow};
use crate::planner::flow::Planning;
use crate::planner::flow::occasion::Occasion;
use crate::planner::held::{Held, Waiting};
use crate::planner::why::{RuleOutcome, Trace};
use crate::rules::Rule;

/// A message as it waits. Its embargo is kept also where that is over: a clock that is set back brings it again.
pub(crate) fn held(
    work: &Planning<'_>,
    mut delivery: NewDelivery,
    (occasion, embargo): (Occasion, Option<Timestamp>),
    mut case: Option<&mut Case>,
) -> Held {
    let is_reminder = occasion == Occasion::Reminder;
    let counted = case.as_mut().filter(|_| is_reminder);
    let number = counted.map_or(0, |case| case.reminds(&delivery.destination, &delivery.action));
    let belongs = case.as_deref().filter(|_| occasion != Occasion::Close).and_then(Case::awaited_by);
    if let (None, Some(shown)) = (&belongs, case.as_deref().and_then(|case| case.lanes.get(&delivery.destination))) {
        // It is about the close, so it must not be dropped for it; what it stands beside is known already.
        (delivery.lane, delivery.act) = (Some(shown.lane.clone()), MessageOp::Again);
    }
    cards::remember(case, &delivery, false, work.now.at);
    Held { delivery, case: belongs, reminder: is_reminder, number, embargo }
}

/// Whether a message waits because its rule floods. What a person asks for and what tells an end always pass.
pub(crate) fn brakes(
    work: &mut Planning<'_>,
    rule: &Rule,
    (delivery, occasion, embargo): (&NewDelivery, Occasion, Option<Timestamp>),
    case: Option<&mut Case>,
    trace: &mut Trace,
) -> bool {
    let is_meant = matches!(occasion, Occasion::Match | Occasion::Reminder);
    let Some(spec) = rule.flood.as_ref().filter(|_| is_meant) else { return false };
    let (names, name) = (work.names(rule), rule.name.value.as_str());
    let slot = Flood::slot(&names);
    let (flow, (kept, effects)) = Flood::send(work.state.load(&slot), spec, name, work.now);
    work.state.save(&slot, kept.as_ref());
    work.apply(effects, trace);
    let Flow::Held(queue, until) = flow else { return false };
    let to = delivery.destination.clone();
    let note = format!("held until {}: the rule floods; a person can let it go or drop it", work.now.said(until));
    trace.action(RuleOutcome::Held, &delivery.action, Some(&to), note);
    let held = held(work, delivery.clone(), (occasion, embargo), case);
    let waiting_slot = Waiting::braked(&to, &queue);
    let waiting = Waiting::joined(work.state.load(&waiting_slot), held, until);
    work.state.save(&waiting_slot, Some(&waiting));
    work.due(&slot, |flood, _| flood.gathers(name, &to, waiting.refs()));
    true
}
