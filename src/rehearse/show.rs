//! What one action says to one destination of one event, down to the bytes: found by rehearsing it.
//!
//! The event goes the way that it would go in a server, on a store and a clock of its own, until the message has been
//! sent: at once, after two hours, in Friday's digest. Where the rule would never say it of this event, it is composed
//! as if it did, and the answer says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::channels::{Form, Request, Sending};
use crate::clock::plus;
use crate::config::{Destination, Snapshot};
use crate::delivery::{Act, CaseFacts, DeliveryId, Receipt, Say};
use crate::event::{Event, MISSING};
use crate::message::{Context, Rendered};
use crate::rules::{Action, Rule, RuleSet};
use crate::steps::dispatch::event_json;
use crate::steps::rehearse::{Rehearsal, Sent, Stage, Stuck};

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

/// What is to be shown.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// What it says.
    pub say: &'a Say,
    /// The rule and its action that say it; `None` for a message that no rule says.
    pub action: Option<(&'a Rule, &'a Action)>,
    /// Where it goes.
    pub destination: Arc<Destination>,
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
pub async fn show(base: &Snapshot, wanted: &Wanted<'_>) -> Result<Shown, String> {
    if let Some((rule, action)) = wanted.action
        && let Ok(Some(sent)) = rehearsed(base, wanted, rule, action).await
        && let Some(request) = sent.request
    {
        return Ok(Shown { request, rendered: sent.rendered, at: Some(sent.at) });
    }
    composed(base, wanted)
}

/// Plays the event with this rule alone until the action has been sent.
async fn rehearsed(base: &Snapshot, wanted: &Wanted<'_>, rule: &Rule, action: &Action) -> Result<Option<Sent>, Stuck> {
    let Some(rules) = &base.rules else { return Ok(None) };
    let mut only = rules.only(&BTreeSet::from([rule.name.value.clone()]));
    // A planned silence says nothing of how a message looks.
    only.mutes.clear();
    let stage = Stage::of_one(base, wanted.destination.clone());
    let mut rehearsal = stage.rehearse(Arc::new(only), wanted.now, SEED).await?;
    rehearsal.turns_max = TURNS_MAX;
    // What is said when nothing came is said of nothing.
    if rule.missing.is_none() {
        rehearsal.receive(wanted.event.clone()).await?;
    }
    for until in UNTIL {
        rehearsal.wait_until(plus(wanted.now, until)).await?;
        if let Some(sent) = found(&mut rehearsal, action, &wanted.destination.name) {
            return Ok(Some(sent));
        }
    }
    Ok(None)
}

fn found(rehearsal: &mut Rehearsal, action: &Action, destination: &str) -> Option<Sent> {
    let is_it = |sent: &Sent| sent.action == action.id && sent.destination == destination && sent.act != Act::Close;
    rehearsal.take_sent().into_iter().find(is_it)
}

/// The message as if the rule said it at once.
fn composed(base: &Snapshot, wanted: &Wanted<'_>) -> Result<Shown, String> {
    let rendered = rendered(base, wanted);
    let named = wanted.action.map_or(&[][..], |(_, action)| action.mention.as_slice());
    let mentions: Vec<String> =
        named.iter().filter_map(|name| wanted.destination.mentions.get(&name.value).cloned()).collect();
    let how = How { act: Act::Open, mentions: &mentions, lane: None, receipt: None };
    let request = compose(base, wanted, &rendered, &how)?;
    Ok(Shown { request, rendered, at: None })
}

/// What the message says, as if the rule said it at once.
pub(super) fn rendered(base: &Snapshot, wanted: &Wanted<'_>) -> Rendered {
    let no_rules = RuleSet::default();
    let rules = base.rules.as_deref().unwrap_or(&no_rules);
    let Wanted { say, action, destination, event, now } = wanted;
    let context = Context {
        event,
        events: vec![event],
        more: 0,
        suppressed: 0,
        parts: Vec::new(),
        names: rules.names_in(event),
        case: action.and_then(|(rule, _)| case_of(rules, rule, event, *now)),
        rule: action.map_or("preview", |(rule, _)| &rule.name.value),
        rule_description: action.and_then(|(rule, _)| rule.description.as_deref()),
        with: action.map(|(_, action)| action.with.clone()).unwrap_or_default(),
        severity: action.and_then(|(_, action)| action.severity),
        died: None,
        now: *now,
        zone: base.settings.timezone.clone().unwrap_or(TimeZone::UTC),
        admin_url: base.settings.admin_url.as_deref(),
    };
    let native = destination.kind.native.map(|ending| (destination.kind.name, ending));
    base.templates.render(say, &context, native)
}

/// How a message goes to its channel.
pub(super) struct How<'h> {
    pub act: Act,
    pub mentions: &'h [String],
    pub lane: Option<&'h str>,
    pub receipt: Option<&'h Receipt>,
}

/// What the channel makes of it.
pub(super) fn compose(
    base: &Snapshot,
    wanted: &Wanted<'_>,
    rendered: &Rendered,
    how: &How<'_>,
) -> Result<Request, String> {
    let no_rules = RuleSet::default();
    let rules = base.rules.as_deref().unwrap_or(&no_rules);
    let Wanted { action, destination, event, now, .. } = wanted;
    let rule = action.map_or("preview", |(rule, _)| &rule.name.value);
    let with = action.map(|(_, action)| action.with.clone()).unwrap_or_default();
    let case = action.and_then(|(rule, _)| case_of(rules, rule, event, *now));
    let mut reads = rules.names_in(event);
    let more = [("rule", json!({"name": rule})), ("with", json!(with)), ("data", event.data().clone())];
    reads.extend(more.map(|(word, value)| (word.to_owned(), value)));
    reads.insert("event".into(), event_json(event));
    reads.extend(case.map(|case| ("case".to_owned(), json!(case))));
    let said = action.map_or("preview", |(_, action)| &action.id);
    destination.channel.compose(&Sending {
        id: &DeliveryId::of(event.id.as_str(), rule, said, &destination.name, 0),
        at: *now,
        planned: *now,
        act: how.act,
        form: Form::Rich,
        rendered,
        rule,
        event: &event_json(event),
        root: &event.root(),
        context: &reads,
        mentions: how.mentions,
        lane: how.lane,
        receipt: how.receipt,
    })
}

/// The case that the event would be about.
fn case_of(rules: &RuleSet, rule: &Rule, event: &Event, now: Timestamp) -> Option<CaseFacts> {
    rule.case.as_ref()?;
    let judged = rules.judge_rule(rule, event);
    let key = judged.case.and_then(Result::ok).unwrap_or_else(|| "C1".into());
    Some(CaseFacts { key, opened: now, count: 1, last: now, closed: false })
}

/// The own event that opens a case because nothing came, as `missing` rules see it.
pub fn missing(rule: &Rule, now: Timestamp) -> Event {
    let span = rule.missing.as_ref().map(|missing| format!("{:#}", missing.span)).unwrap_or_default();
    Event::own(MISSING, "fanfare.missing/sample", now, json!({"rule": rule.name.value, "since": now, "for": span}))
}

impl Stage {
    /// A stage on which this is the only destination.
    fn of_one(base: &Snapshot, destination: Arc<Destination>) -> Self {
        Self::new(Snapshot {
            settings: base.settings.clone(),
            sources: base.sources.clone(),
            destinations: BTreeMap::from([(destination.name.clone(), destination)]),
            rules: base.rules.clone(),
            templates: base.templates.clone(),
            hash: base.hash.clone(),
            since: base.since,
            seen: base.seen.clone(),
        })
    }
}
