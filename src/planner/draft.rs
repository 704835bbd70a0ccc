//! The deliveries that the planner makes, before a case gives them a lane.

use jiff::Timestamp;

use crate::delivery::{Assignment, CaseFacts, DeliveryId, MessageOp, NewDelivery};
use crate::event::Seq;
use crate::rules::Action;

/// What an action says about one event.
pub fn assignment(action: &Action, event: Seq, case: Option<CaseFacts>) -> Assignment {
    Assignment {
        severity: action.severity,
        with: action.with.clone(),
        overrides: action.overrides.iter().map(|(key, value)| (key.value.clone(), value.value.clone())).collect(),
        mention: action.mention.iter().map(|name| name.value.clone()).collect(),
        case: case.map(|case| CaseFacts { step: action.step.unwrap_or_default(), ..case }),
        ..Assignment::saying(action.say.value.clone(), event)
    }
}

/// Whose a delivery is, and where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route<'a> {
    pub rule: &'a str,
    pub action: &'a str,
    pub destination: &'a str,
}

impl Route<'_> {
    /// A delivery of its own, due now.
    pub fn delivery(self, id: DeliveryId, event: Seq, assignment: Assignment, now: Timestamp) -> NewDelivery {
        NewDelivery {
            id,
            event,
            rule: self.rule.into(),
            action: self.action.into(),
            destination: self.destination.into(),
            act: MessageOp::Open,
            lane: None,
            due: now,
            assignment,
        }
    }
}

/// A summary of several messages for one destination, which belongs to no case. It is its newest message's rule's.
pub(crate) fn summary(
    origin: &str,
    (rule, destination): (&str, &str),
    event: Seq,
    told: Assignment,
    now: Timestamp,
) -> NewDelivery {
    let id = DeliveryId::of(origin, "", "summary", destination, 0);
    Route { rule, action: "summary", destination }.delivery(id, event, told, now)
}
