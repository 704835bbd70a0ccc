//! What one action says to one destination of one event, down to the bytes: found by rehearsing it.
//!
//! The event goes the way that it would go in a server, on a store and a clock of its own, after those that came before
//! it, until the message has been sent: at once, after two hours, in Friday's digest, in the thread of the first. Where the
//! rule would never say it of this event, it is prepared as if it did, and the answer says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::channels::Request;
use crate::clock::plus;
use crate::config::prepare::{Job, prepare};
use crate::config::{Destination, Snapshot};
use crate::delivery::{Assignment, CaseFacts, Delivery, DeliveryId, MessageOp, NewDelivery, Say, State};
use crate::event::{Event, MISSING, Seq};
use crate::message::Rendered;
use crate::planner;
use crate::rehearse::{Rehearsal, Sent, Stage, Stuck};
use crate::rules::{Action, Expected, Rule};
use crate::store::Claim;

/// Until then a message must have been sent, seen from its event: further and further on, so that what comes soon is
/// found soon.
const UNTIL: [SignedDuration; 5] = [
    SignedDuration::ZERO,
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(48),
    SignedDuration::from_hours(24 * 45),
    SignedDuration::from_hours(24 * 400),
];
/// The most turns that one message is worth.
const TURNS_MAX: u64 = 5_000;
/// All chance in it comes from here; nothing of a message depends on it.
const SEED: u64 = 1;
/// The event's place in the inbox of a message that no inbox has seen.
const FIRST: Seq = 1;

/// What is to be shown.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// What it says.
    pub say: &'a Say,
    /// The rule and its action that say it; `None` for a message that no rule says.
    pub action: Option<(&'a Rule, &'a Action)>,
    /// Where it goes.
    pub destination: Arc<Destination>,
    /// The events that came before, such as the one that opened the case, each at the time that it was received.
    pub before: &'a [Event],
    /// The event.
    pub event: &'a Event,
    /// When the event comes.
    pub now: Timestamp,
}

/// What would be sent.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The bytes, and where to.
    pub request: Request,
    /// The message that they were made of.
    pub rendered: Rendered,
    /// When it would be sent; `None` where the rule doesn't say it of this event.
    pub at: Option<Timestamp>,
}

/// Finds what would be sent. `Err` says what keeps the channel from composing it.
pub async fn show(base: &Arc<Snapshot>, wanted: &Wanted<'_>) -> Result<Shown, String> {
    if let Some((rule, action)) = wanted.action
        && let Ok(Some(sent)) = rehearsed(base, wanted, rule, action).await
    {
        let request = sent.request.unwrap_or(Request::Nothing);
        return Ok(Shown { request, rendered: sent.rendered, at: Some(sent.at) });
    }
    let prepared = prepare(&at_once(base, wanted)?);
    Ok(Shown { request: prepared.request?, rendered: prepared.rendered, at: None })
}

/// Plays the events with this rule alone until the action has been sent; where the event closes the case, and the action
/// is none of its `on_close`, until what was shown of it has been changed.
async fn rehearsed(base: &Snapshot, wanted: &Wanted<'_>, rule: &Rule, action: &Action) -> Result<Option<Sent>, Stuck> {
    let Some(rules) = &base.rules else { return Ok(None) };
    let mut only = rules.only(&BTreeSet::from([rule.name.value.clone()]));
    // A planned silence says nothing of how a message looks.
    only.mutes.clear();
    let mut judged = rules.judge(wanted.event).into_iter();
    let closes = judged.any(|judgement| judgement.rule.name.value == rule.name.value && judgement.closes.is_some());
    let is_said_then = rule.on_close.iter().any(|known| known.id == action.id);
    let stage = Stage::of_one(base, wanted.destination.clone());
    let start = wanted.before.first().map_or(wanted.now, |first| first.received);
    let mut rehearsal = stage.rehearse(Arc::new(only), start, SEED).await?;
    rehearsal.turns_max = TURNS_MAX;
    for event in wanted.before {
        rehearsal.wait_until(event.received).await?;
        rehearsal.receive(event.clone()).await?;
    }
    rehearsal.wait_until(wanted.now).await?;
    drop(rehearsal.take_sent());
    // What is said when nothing came is said of nothing.
    if rule.missing.is_none() {
        rehearsal.receive(wanted.event.clone()).await?;
    }
    for until in UNTIL {
        rehearsal.wait_until(plus(wanted.now, until)).await?;
        if let Some(sent) = found(&mut rehearsal, action, closes && !is_said_then) {
            return Ok(Some(sent));
        }
    }
    Ok(None)
}

fn found(rehearsal: &mut Rehearsal, action: &Action, is_close: bool) -> Option<Sent> {
    let is_it = |sent: &Sent| match is_close {
        // The first message of the case is changed, whichever action said it.
        true => sent.act == MessageOp::Close,
        false => !sent.act.changes() && sent.action == action.id,
    };
    rehearsal.take_sent().into_iter().find(is_it)
}

/// The message as if the rule said it at once.
pub(super) fn at_once(base: &Arc<Snapshot>, wanted: &Wanted<'_>) -> Result<Job, String> {
    let Wanted { action, destination, event, now, .. } = wanted;
    let case = action.and_then(|(rule, _)| case_of(base, rule, event, *now));
    let mut assignment = match action {
        Some((_, action)) => planner::assignment(action, FIRST, case),
        None => Assignment::saying(wanted.say.clone(), FIRST),
    };
    if let (Some(reach), Some(rules)) = (&destination.reach, &base.rules) {
        assignment.to = Some(rules.address(reach, event)?);
    }
    if action.is_none_or(|(_, action)| action.digest.is_some()) {
        assignment.events.push(FIRST);
    }
    let (rule, said) = action.map_or(("preview", "preview"), |(rule, action)| (&rule.name.value, &action.id));
    let planned = NewDelivery {
        id: DeliveryId::of(event.id.as_str(), rule, said, &destination.name, 0),
        event: FIRST,
        rule: rule.to_owned(),
        action: said.to_owned(),
        destination: destination.name.clone(),
        act: MessageOp::Open,
        lane: None,
        due: *now,
        assignment,
    };
    let events = vec![(FIRST, (*event).clone())];
    Job::new(base.clone(), destination.clone(), claim(planned, *now), events, *now)
}

/// A claim of a delivery that no store knows of.
fn claim(planned: NewDelivery, now: Timestamp) -> Claim {
    let delivery = Delivery {
        planned,
        state: State::Sending,
        next: now,
        attempts: 1,
        first_attempt: Some(now),
        counts_from: Some(now),
        message: None,
        plain: false,
        last_error: None,
        created: now,
        finished: None,
    };
    Claim { delivery, token: 0, until: now, receipt: None, shown: false }
}

/// The case that the event would be about.
fn case_of(base: &Snapshot, rule: &Rule, event: &Event, now: Timestamp) -> Option<CaseFacts> {
    rule.case.as_ref()?;
    let judged = base.rules.as_deref().map(|rules| rules.judge_rule(rule, event));
    let key = judged.and_then(|judged| judged.case?.ok()).unwrap_or_else(|| "C1".into());
    Some(CaseFacts { key, opened: now, count: 1, last: now, closed: false, step: 0, overdue: false })
}

/// The own event that opens a case because nothing came, as `missing` rules see it.
pub fn missing(rule: &Rule, now: Timestamp) -> Event {
    let data = match rule.missing.as_ref().map(|missing| &missing.expected) {
        Some(Expected::Each(periods)) => {
            let period = periods.first_from(now);
            let (key, from, by) = period.map(|period| (period.key, period.from, period.by)).unwrap_or_default();
            json!({"rule": rule.name.value, "period": key, "each": periods.each.name(), "since": from, "by": by})
        }
        Some(Expected::For(span)) => json!({"rule": rule.name.value, "since": now, "for": format!("{span:#}")}),
        None => json!({"rule": rule.name.value}),
    };
    Event::own(MISSING, "fanfare.missing/sample", now, data)
}

impl Stage {
    /// A stage on which this is the only destination.
    fn of_one(base: &Snapshot, destination: Arc<Destination>) -> Self {
        Self::new(Snapshot { destinations: BTreeMap::from([(destination.name.clone(), destination)]), ..base.clone() })
    }
}
