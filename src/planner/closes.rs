//! How a case closes, and closes that are remembered because they may come before what they close.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Assignment, DeliveryId, MessageOp, NewDelivery, Say};
use crate::event::Seq;
use crate::planner::case::{Case, Ending};
use crate::planner::draft::{Route, assignment};
use crate::planner::effect::{Effect, Next};
use crate::planner::plan::End;
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::rules::{Action, Rule};

/// How long a close is remembered, so that an opening that comes after it is known to be late: as long as ids by default, since
/// what a sender is asked for again may be old.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A remembered close, under the rule and key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// The latest `created` of a closing event.
    pub created: Timestamp,
    /// The position of that event.
    pub by: Seq,
    /// When it is forgotten.
    pub until: Timestamp,
}

impl Doc for Closed {
    const KIND: &'static str = "closed";
}

impl Closed {
    /// Where the close with this key is kept, of the rule with these names.
    pub fn slot(names: &[String], key: &str) -> Slot<Self> {
        Slot::under(names, &[key])
    }

    /// A close came: of several the one that was created last counts.
    pub fn remember(
        known: Option<Self>,
        (rule, key): (&str, &str),
        (created, by): (Timestamp, Seq),
        now: Timestamp,
    ) -> Next<Self> {
        // A clock that is set back shortens nothing.
        let until = plus(now, REMEMBERED).max(known.as_ref().map_or(now, |known| known.until));
        let closed = match known {
            Some(known) if known.created > created => Self { until, ..known },
            _ => Self { created, by, until },
        };
        let timer = closed.is_forgotten(rule, key);
        (Some(closed), vec![timer])
    }

    fn is_forgotten(&self, rule: &str, key: &str) -> Effect {
        let meaning = Meaning::Forget { rule: rule.into(), key: key.into() };
        Effect::set_timer(id(&["closed", rule, key]), self.until, None, &meaning)
    }

    /// Whether an opening comes too late for it. One of the same `created`, which often is in whole seconds, does not:
    /// silence would be worse.
    pub fn came_before(&self, created: Timestamp, now: Timestamp) -> bool {
        self.until > now && created < self.created
    }

    /// It has been remembered for long enough, unless another came since.
    pub fn due(self, (rule, key): (&str, &str), now: Timestamp) -> Next<Self> {
        let timer = self.is_forgotten(rule, key);
        if self.until > now { (Some(self), vec![timer]) } else { (None, Vec::new()) }
    }
}

/// What a close takes away beside the case: its timers, its lanes, and what was never tried at its destinations.
pub(crate) fn call_off(case: &Case) -> Vec<Effect> {
    let lanes = case.lanes.values().map(|shown| Effect::cancel(&shown.lane, None, "its case has closed"));
    let timers = case.timers.keys().map(|action| Effect::DropTimer(case.act_id(action)));
    let end = [Effect::DropTimer(case.timer_id("end"))];
    lanes.chain(timers).chain(end).chain(end_lanes(case, true)).collect()
}

/// Says that nothing more comes in the lanes of a case: it was closed, or just ended.
pub(crate) fn end_lanes(case: &Case, closed: bool) -> impl Iterator<Item = Effect> {
    case.lanes.values().flat_map(move |shown| {
        let forgets = shown.raised.then(|| Effect::ForgetRaised(shown.lane.clone()));
        [Effect::EndLane(End { lane: shown.lane.clone(), closed })].into_iter().chain(forgets)
    })
}

/// A case was closed by hand: what is said of that needs its opening event, which a timer that is due at once brings.
pub(crate) fn by_hand(case: &Case, by: &str, note: Option<&str>, now: Timestamp) -> Effect {
    let ending = Ending::ByHand(note.map_or_else(|| by.to_owned(), |note| format!("{by} ({note})")));
    let meaning = Meaning::Closing { rule: case.rule.clone(), case: Box::new(case.clone()), ending };
    Effect::set_timer(case.timer_id("closing"), now, Some(case.event), &meaning)
}

/// What updates of a close are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update<'a> {
    /// The event that they are counted to.
    pub seq: Seq,
    /// What sets the close off, for ids.
    pub origin: &'a str,
    /// The rule that the case belongs to, where it is still in force.
    pub rule: Option<&'a Rule>,
    /// What the rule's ids are made from.
    pub identity: &'a str,
    /// The action whose message is changed, where matches change it: it says the last, whatever it is called by now.
    pub card: Option<&'a Action>,
}

/// The update of what was shown at a destination.
pub(crate) fn update(case: &Case, destination: &str, by: Update<'_>, now: Timestamp) -> Option<NewDelivery> {
    let shown = case.lanes.get(destination)?;
    let is_shown = |action: &&Action| action.id == shown.action;
    let action = by.card.or_else(|| by.rule?.actions.iter().find(is_shown));
    let plain = || Assignment::saying(Say::Default, shown.event);
    let told = action.map_or_else(plain, |action| assignment(action, shown.event, None));
    let to = case.addresses.get(destination).cloned();
    let told = Assignment { mention: Vec::new(), to, case: Some(case.facts(true)), ..told };
    let id = DeliveryId::of(&id(&["close", by.origin]), by.identity, &shown.action, destination, case.nth);
    let route = Route { rule: &case.rule, action: &shown.action, destination };
    Some(NewDelivery { act: MessageOp::Close, lane: Some(shown.lane.clone()), ..route.delivery(id, by.seq, told, now) })
}

/// Whether the rule's actions speak to a destination, and none of them has in this case: it waited for hours, was muted, or
/// did not come to it. What went into a digest counts as said.
pub(crate) fn untold(rule: &Rule, case: &Case, destination: &str) -> bool {
    let is_said = case.was_notified(destination) || case.collected.contains(destination);
    !is_said && rule.actions.iter().any(|action| action.to.iter().any(|to| to.value == destination))
}
