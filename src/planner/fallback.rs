//! Fallbacks: a message that did not arrive goes to the destinations that its own names, once: when it is late, or when its
//! delivery is dead. Beyond ten a minute they go as one summary.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Assignment, Delivery, DeliveryId, MessageOp, NewDelivery, Say, Severity};
use crate::event::{Seq, Signal};
use crate::planner::case::{Case, OWN_KEY};
use crate::planner::draft::summary;
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::planner::why::RuleOutcome;

/// How many go to a destination as they are within [`MINUTE`].
const EACH_MAX: u64 = 10;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// How many events a summary shows.
const SUMMARY_MAX: usize = 50;

/// What went to one destination as a fallback within a minute, and what waits for the summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fallen {
    /// When the minute is over.
    pub until: Timestamp,
    /// How many came.
    #[serde(default)]
    pub count: u64,
    /// The newest that wait, oldest first.
    #[serde(default)]
    pub rest: Vec<Waits>,
    /// How many more wait.
    #[serde(default)]
    pub more: u64,
}

/// One that waits for the summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waits {
    pub id: DeliveryId,
    pub event: Seq,
    pub rule: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl Doc for Fallen {
    const KIND: &'static str = "fallback";

    fn events(&self) -> Vec<Seq> {
        self.rest.iter().map(|waits| waits.event).collect()
    }
}

/// That the fallbacks of a delivery were notified of it while it was still tried: its death tells nobody again. Kept under its
/// id until it is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// When they were.
    pub at: Timestamp,
}

impl Doc for Told {
    const KIND: &'static str = "told";
}

impl Told {
    /// Where that of a delivery is kept.
    pub fn slot(delivery: &DeliveryId) -> Slot<Self> {
        Slot::one(&[delivery.as_str()])
    }
}

/// A message that did not arrive, as its fallbacks see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lost<'a> {
    /// What tells this loss of its delivery from another.
    pub origin: &'a str,
    pub delivery: &'a NewDelivery,
    /// Why, in words.
    pub reason: &'a str,
}

/// Whether a delivery has fallbacks: what is a fallback itself goes nowhere else, and an update of what was shown is no
/// message.
pub(crate) fn falls_back(delivery: &NewDelivery) -> bool {
    delivery.assignment.died.is_none() && !delivery.act.changes()
}

/// The key of the case that a delivery speaks of while that is open, except for one that only one event is about: that ends by
/// itself, which is no reason to say nothing.
pub(crate) fn key_of(delivery: &NewDelivery) -> Option<&str> {
    let case = delivery.assignment.case.as_ref().filter(|case| !case.closed && delivery.lane.is_some())?;
    let is_own = case.key.strip_prefix(OWN_KEY).is_some_and(|rest| rest.starts_with('/'));
    (!is_own).then_some(case.key.as_str())
}

/// Why a delivery died, in words.
pub(crate) fn reason(died: &NewDelivery, signal: &Signal) -> String {
    let said = ["reason", "error", "last_error"].iter().find_map(|name| signal.data.get(*name)?.as_str());
    format!("{}: {}", whose(died), said.unwrap_or("given up"))
}

/// Why the fallback is notified of a delivery that is still tried, in words.
pub(crate) fn lateness(late: &Delivery, now: Now<'_>) -> String {
    let planned = &late.planned;
    let since = now.said(planned.due);
    let tried = match late.last_error.as_deref().filter(|_| late.attempts > 0) {
        Some(last) => format!("; the last attempt: {last}"),
        None => String::new(),
    };
    format!("{}: not delivered since {since}, still trying{tried}", whose(planned))
}

/// Where it was to go, and what it speaks of.
fn whose(delivery: &NewDelivery) -> String {
    match key_of(delivery) {
        Some(key) => format!("`{}`, case `{key}`", delivery.destination),
        None => format!("`{}`", delivery.destination),
    }
}

/// The timer that looks whether a delivery arrived. One that is set again for another moment stands beside the first.
pub(crate) fn looks_at(delivery: &NewDelivery, due: Timestamp) -> Effect {
    let key = key_of(delivery).map(str::to_owned);
    let meaning = Meaning::Late { delivery: delivery.id.clone(), rule: delivery.rule.clone(), key };
    Effect::set_timer(id(&["late", delivery.id.as_str(), &due.as_millisecond().to_string()]), due, None, &meaning)
}

impl Fallen {
    /// Where the minute of a destination is kept.
    pub fn slot(destination: &str) -> Slot<Self> {
        Slot::one(&[destination])
    }

    /// A message falls back to a destination, where it joins its case, if that is open.
    pub fn take(
        known: Option<Self>,
        destination: &str,
        lost: Lost<'_>,
        case: Option<&mut Case>,
        now: Now<'_>,
    ) -> Next<Self> {
        let Lost { origin, delivery: died, reason } = lost;
        let action = died.action.as_str();
        let (mut fallen, timer) = Self::within(known, destination, now.at);
        fallen.count = fallen.count.saturating_add(1);
        let origin = id(&["fallback", died.id.as_str(), origin]);
        let id = DeliveryId::of(&origin, &died.rule, action, destination, 0);
        let note = |note: String| Effect::action(RuleOutcome::Fallback, action, Some(destination), note);
        if fallen.count > EACH_MAX {
            case.into_iter().for_each(|case| _ = case.summed.insert(destination.into()));
            let (event, rule, severity) = (died.assignment.event, died.rule.clone(), died.assignment.severity);
            fallen.rest.push(Waits { id, event, rule, reason: reason.into(), severity });
            if fallen.rest.len() > SUMMARY_MAX {
                fallen.rest.remove(0);
                fallen.more = fallen.more.saturating_add(1);
            }
            let waits = note(format!("in the summary of {} for fallback `{destination}`", now.said(fallen.until)));
            return (Some(fallen), timer.into_iter().chain([waits]).collect());
        }
        let goes = note(format!("goes to fallback `{destination}`"));
        let mut assignment = died.assignment.clone();
        assignment.died = Some(reason.into());
        // Names from the mentions of another destination mean nothing here, and nor do its topics and priorities.
        assignment.mention.clear();
        assignment.overrides.clear();
        assignment.to = None;
        assignment.links.clear();
        let said = case.map(|case| case.announce(destination, action, died.event));
        let (lane, act) = said.map_or((None, MessageOp::Open), |(lane, act)| (Some(lane), act));
        let (due, destination) = (now.at, destination.into());
        let delivery = NewDelivery { id, destination, act, lane, due, assignment, ..died.clone() };
        (Some(fallen), timer.into_iter().chain([goes, Effect::Deliver(Box::new(delivery))]).collect())
    }

    /// The minute that runs, or one that begins.
    fn within(known: Option<Self>, destination: &str, now: Timestamp) -> (Self, Option<Effect>) {
        match known {
            Some(known) if known.until > now => (known, None),
            over => {
                let until = plus(now, MINUTE);
                let meaning = Meaning::Fallback { destination: destination.into() };
                let timer = Effect::set_timer(id(&["fallback", destination]), until, None, &meaning);
                // A minute that is over, but whose timer has not been planned yet, may have left some.
                let (rest, more) = over.map(|over| (over.rest, over.more)).unwrap_or_default();
                (Self { until, count: 0, rest, more }, Some(timer))
            }
        }
    }

    /// The minute is over: what came beyond the tenth goes as one message, where the destination still is.
    pub fn due(self, destination: &str, is_configured: bool, now: Timestamp) -> Next<Self> {
        if self.until > now {
            return (Some(self), Vec::new());
        }
        let summary = self.rest.last().filter(|_| is_configured).map(|last| self.summary(last, destination, now));
        (None, summary.into_iter().map(|delivery| Effect::Deliver(Box::new(delivery))).collect())
    }

    fn summary(&self, last: &Waits, destination: &str, now: Timestamp) -> NewDelivery {
        let mut events: Vec<Seq> = self.rest.iter().map(|waits| waits.event).collect();
        events.sort_unstable();
        events.dedup();
        let all = self.more.saturating_add(u64::try_from(self.rest.len()).unwrap_or_default());
        let told = Assignment {
            severity: self.rest.iter().filter_map(|waits| waits.severity).max(),
            more: self.more,
            died: Some(format!("{all} messages, the last one for {}", last.reason)),
            ..Assignment::saying(Say::Summary, events.last().copied().unwrap_or(last.event))
        };
        let origin = id(&["fallbacks", last.id.as_str()]);
        summary(&origin, (&last.rule, destination), last.event, Assignment { events, ..told }, now)
    }
}
