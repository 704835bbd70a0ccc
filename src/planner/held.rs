//! Hours, and the held queue: messages that wait for a destination's window to open, and go then: one as it is, several as
//! one summary.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Addressed, Assignment, DeliveryId, Mention, MessagePart, NewDelivery, Say, Severity};
use crate::event::{Event, Seq, UpcomingOp};
use crate::planner::case::{CaseRef, is_zero};
use crate::planner::draft::summary;
use crate::planner::effect::{Effect, Next};
use crate::planner::inputs::DestinationFacts;
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::{HeldRef, Meaning};
use crate::rules::{Action, HoursChoice, RuleSet};

/// How many messages wait in full; of older ones it is only known whose they are.
const HELD_MAX: usize = 100;
/// Of how many older ones that is known. Of those before them only the number is kept.
const REST_MAX: usize = 400;
/// How many messages a summary shows.
const SUMMARY_MAX: usize = 50;
/// And of how many events at most: a message may be a digest of many.
const SUMMARY_EVENTS_MAX: usize = 1000;

/// What waits for a destination until one moment, under both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub destination: String,
    pub opens: Timestamp,
    /// Oldest first.
    pub held: Vec<Held>,
    /// Those before them, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<Rest>,
    /// How many more there were.
    #[serde(default)]
    pub more: u64,
    /// What a person asked for: that is done the next time it is looked at, to all that is here then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub does: UpcomingOp,
    pub by: String,
    pub at: Timestamp,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub delivery: NewDelivery,
    /// The open case that it belongs to: with that closed it is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseRef>,
    /// Whether a timer of the case made it: a newer one takes its place.
    #[serde(default)]
    pub reminder: bool,
    /// Which of its action's reminders there it is: see [`Case::reminds`](crate::planner::case::Case::reminds).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u64,
    /// Under embargo until then, whatever becomes of hours and rules, and though a person asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embargo: Option<Timestamp>,
}

/// What is kept of a message that waits where many do: enough to know whether it still counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rest {
    pub rule: String,
    pub action: String,
    pub event: Seq,
    pub id: DeliveryId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseRef>,
    #[serde(default)]
    pub reminder: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Addressed>,
}

impl From<Held> for Rest {
    fn from(Held { delivery, case, reminder, .. }: Held) -> Self {
        let NewDelivery { id, rule, action, event, assignment, .. } = delivery;
        let Assignment { severity, to, .. } = assignment;
        Self { rule, action, event, id, case, reminder, severity, to }
    }
}

impl Doc for Waiting {
    const KIND: &'static str = "hold";

    fn events(&self) -> Vec<Seq> {
        let assigned = |held: &Held| {
            let mut events = held.delivery.assignment.events.clone();
            events.extend([held.delivery.event, held.delivery.assignment.event]);
            events
        };
        let rest = self.rest.iter().map(|rest| rest.event);
        let events: BTreeSet<Seq> = self.held.iter().flat_map(assigned).chain(rest).collect();
        events.into_iter().collect()
    }
}

/// When a message may go to its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opens {
    /// At once.
    Now,
    /// Not before then.
    At(Timestamp),
    /// Not now, and it isn't to be told later either.
    Drop,
    /// The window never opens.
    Never,
}

/// When a message of this action may go to a destination: the action's hours (its own, else the rule's) say, else the
/// destination's.
pub(crate) fn opens(action: &Action, destination: Option<&DestinationFacts>, now: Timestamp) -> Opens {
    let hours = action.hours.as_ref().or_else(|| destination?.hours.as_ref());
    let Some(HoursChoice::Within(hours)) = hours else { return Opens::Now };
    match hours.closed_until(now) {
        None => Opens::Now,
        Some(_) if hours.drop => Opens::Drop,
        Some(until) if until == Timestamp::MAX => Opens::Never,
        Some(until) => Opens::At(until),
    }
}

/// Until when nothing about an event may go to a destination, if that has an embargo.
///
/// # Errors
/// Why that is not known, in words: then nothing may go there at all.
pub(crate) fn embargo(
    rules: &RuleSet,
    destination: Option<&DestinationFacts>,
    event: &Event,
) -> Result<Option<Timestamp>, String> {
    let at = destination.and_then(|destination| destination.embargo.as_ref());
    at.map(|at| rules.moment(at, event)).transpose()
}

impl Waiting {
    /// Where the queue of a destination for one opening is kept.
    pub fn slot(destination: &str, opens: Timestamp) -> Slot<Self> {
        Slot::one(&[destination, &opens.to_string()])
    }

    /// Where what a rule that floods would send to a destination is kept.
    pub fn braked(destination: &str, rule: &str) -> Slot<Self> {
        Slot::one(&[destination, "flood", rule])
    }

    /// What must be known when it goes.
    pub fn refs(&self) -> BTreeSet<HeldRef> {
        let named = |rule: &str, action: &str, case: &Option<CaseRef>| HeldRef {
            rule: rule.to_owned(),
            action: action.to_owned(),
            key: case.as_ref().map(|case| case.key.clone()),
        };
        let held = self.held.iter().map(|held| named(&held.delivery.rule, &held.delivery.action, &held.case));
        let rest = self.rest.iter().map(|rest| named(&rest.rule, &rest.action, &rest.case));
        held.chain(rest).collect()
    }

    /// The timer that looks at it, with all that must be known then.
    pub fn looked_at(&self, due: Timestamp) -> Effect {
        let (destination, opens, held) = (self.destination.clone(), self.opens, self.refs());
        let timer = id(&["hold", &destination, &opens.to_string()]);
        Effect::set_timer(timer, due, None, &Meaning::Opens { destination, opens, held })
    }

    /// A message joins those that wait for an opening.
    pub fn join(known: Option<Self>, held: Held, opens: Timestamp) -> Next<Self> {
        let waiting = Self::joined(known, held, opens);
        let timer = waiting.looked_at(waiting.asked.as_ref().map_or(opens, |asked| asked.at));
        (Some(waiting), vec![timer])
    }

    /// One that has waited already waits on: it stays before those that came after it.
    pub fn wait_on(known: Option<Self>, held: Held, opens: Timestamp) -> Next<Self> {
        let (mut kept, effects) = Self::join(known, held, opens);
        if let Some(queue) = kept.as_mut().map(|waiting| &mut waiting.held)
            && let Some(held) = queue.pop()
        {
            let at = queue.iter().position(|other| other.delivery.due > held.delivery.due);
            queue.insert(at.unwrap_or(queue.len()), held);
        }
        (kept, effects)
    }

    /// The same, where something else says when it goes.
    pub fn joined(known: Option<Self>, held: Held, opens: Timestamp) -> Self {
        let destination = held.delivery.destination.clone();
        let fresh = || Self { destination, opens, held: Vec::new(), rest: Vec::new(), more: 0, asked: None };
        let mut waiting = known.unwrap_or_else(fresh);
        waiting.held.retain(|older| !replaces(&held, older) && older.delivery.id != held.delivery.id);
        waiting.held.push(held);
        while waiting.held.len() > HELD_MAX {
            waiting.rest.push(waiting.held.remove(0).into());
        }
        while waiting.rest.len() > REST_MAX {
            waiting.rest.remove(0);
            waiting.more = waiting.more.saturating_add(1);
        }
        waiting
    }

    /// A person has all of it sent now, or cancels it. What waits for an embargo waits on.
    pub fn ask(mut self, asked: Asked) -> Next<Self> {
        let timer = self.looked_at(asked.at);
        self.asked = Some(asked);
        (Some(self), vec![timer])
    }
}

/// Whether a reminder, or a message that changes, takes the place of an older one: of the same case, or, without a case to
/// belong to, of the same event.
fn replaces(newer: &Held, older: &Held) -> bool {
    let about = |held: &Held| (held.case.clone(), held.case.is_none().then_some(held.delivery.event));
    let changes = |held: &Held| held.delivery.assignment.update;
    (newer.reminder && older.reminder || changes(newer) && changes(older))
        && about(newer) == about(older)
        && (&older.delivery.rule, &older.delivery.action) == (&newer.delivery.rule, &newer.delivery.action)
}

/// Several messages go as one summary of titles and links. Of `rest` and `more` it only says how many they were.
pub(crate) fn summarise(
    (destination, to): (&str, Option<Addressed>),
    going: &[Held],
    (rest, more): (&[Rest], u64),
    now: Timestamp,
) -> Option<NewDelivery> {
    let newest = going.last().map(|held| (&held.delivery.id, &held.delivery.rule, held.delivery.event));
    let (newest, rule, event) = newest.or_else(|| rest.last().map(|rest| (&rest.id, &rest.rule, rest.event)))?;
    let (parts, events) = told(going);
    let left_out = going.len() - parts.len() + rest.len();
    let mut mention: Vec<Mention> = Vec::new();
    for name in going.iter().flat_map(|held| &held.delivery.assignment.mention) {
        if !mention.contains(name) {
            mention.push(name.clone());
        }
    }
    // What each says about how much it matters counts when it is rendered; of the others only this is known.
    let severity = rest.iter().filter_map(|rest| rest.severity).max();
    let told = Assignment {
        severity: severity.max(going.iter().filter_map(|held| held.delivery.assignment.severity).max()),
        mention,
        to,
        more: more.saturating_add(u64::try_from(left_out).unwrap_or_default()),
        suppressed: going.iter().map(|held| held.delivery.assignment.suppressed).sum(),
        parts,
        ..Assignment::saying(Say::Summary, events.last().copied().unwrap_or(event))
    };
    let origin = id(&["hold", destination, newest.as_str()]);
    Some(summary(&origin, (rule, destination), event, Assignment { events, ..told }, now))
}

/// The newest of these messages, oldest first, and the events that they are about.
fn told(going: &[Held]) -> (Vec<MessagePart>, Vec<Seq>) {
    let (mut parts, mut events) = (Vec::new(), BTreeSet::new());
    for Held { delivery, reminder, .. } in going.iter().rev().take(SUMMARY_MAX) {
        let assignment = &delivery.assignment;
        let more: BTreeSet<Seq> = assignment.events.iter().copied().chain([assignment.event]).collect();
        if !parts.is_empty() && events.len() + more.len() > SUMMARY_EVENTS_MAX {
            break;
        }
        events.extend(more);
        parts.push(MessagePart { rule: delivery.rule.clone(), reminder: *reminder, assignment: assignment.clone() });
    }
    parts.reverse();
    (parts, events.into_iter().collect())
}
