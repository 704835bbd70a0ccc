//! `/events`: what came, found by words and filters; and one event, with what every rule did about it and what went.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::now::{about, lines};
use super::{filled, likeness, link, page, redirect, refused, row, why, with_frame};
use crate::admin::answer::{Id, Moment, Refused, Shared};
use crate::admin::audit;
use crate::admin::bulk;
use crate::admin::caller::Caller;
use crate::admin::events::{find_event, head, whole};
use crate::admin::view::value;
use crate::delivery::DeliveryId;
use crate::event::{Command, OWN_SOURCE, Seq};
use crate::message::Rendered;
use crate::planner::why::Decision;
use crate::rules::RuleSet;
use crate::steps::Live;
use crate::store::EventFilter;
use crate::store::look::{DecisionFilter, Words};

/// How many events a page has.
const SHOWN: usize = 40;
/// How many of an event's deliveries are shown whole.
const WHOLE: usize = 12;

/// What is looked for. Empty fields of the form mean nothing.
#[derive(Deserialize, Default)]
pub(crate) struct EventsQuery {
    q: Option<String>,
    r#type: Option<String>,
    source: Option<String>,
    since: Option<Moment>,
    until: Option<Moment>,
    rule: Option<String>,
    outcome: Option<String>,
    before: Option<Seq>,
}

/// `/events`.
pub(crate) async fn list(State(live): Shared, caller: Caller, Query(query): Query<EventsQuery>) -> Response {
    // An id leads to its event.
    if let Some(id) = filled(query.q.clone()).filter(|typed| !typed.contains(char::is_whitespace))
        && let Ok(found) = live.store.find_event(&id).await
        && let Some(seq) = found.first()
    {
        return redirect(&format!("/events/{seq}"));
    }
    page(values(&live, &caller, query).await, "events.html")
}

async fn values(live: &Arc<Live>, caller: &Caller, query: EventsQuery) -> Result<Value, Refused> {
    let (typed, kind, source) = (filled(query.q), filled(query.r#type), filled(query.source));
    let (rule, outcome) = (filled(query.rule), filled(query.outcome));
    let since = query.since.filter(|since| !since.is_empty());
    let until = query.until.filter(|until| !until.is_empty());
    let snapshot = live.snapshot.load_full();
    let rules = snapshot.rules.as_deref();
    let (rows, next) = if rule.is_some() || outcome.is_some() {
        decided(live, rules, (rule.clone(), outcome.clone()), query.before).await?
    } else {
        let types = bulk::Types::read(kind.as_deref())?;
        let filter = EventFilter {
            source: source.clone(),
            kind: types.kind().map(str::to_owned),
            since: Moment::at(since.as_ref(), "since", live)?,
            until: Moment::at(until.as_ref(), "until", live)?,
            before: query.before,
            after: None,
            limit: SHOWN,
        };
        let words = typed.as_deref().and_then(Words::read);
        let found = live.store.search(&filter, words.as_ref()).await?;
        let events = found.events.into_iter().filter(|(_, event)| types.accept(event)).collect();
        (lines(live, rules, events).await?, found.next)
    };
    let before = next.map(|next| next.to_string());
    let (from, to) = (since.as_ref().map(Moment::text), until.as_ref().map(Moment::text));
    let parameters = |before| {
        let (typed, kind, source) = (typed.as_deref(), kind.as_deref(), source.as_deref());
        let shared = [("q", typed), ("type", kind), ("source", source), ("since", from), ("until", to)];
        let decided = [("rule", rule.as_deref()), ("outcome", outcome.as_deref()), ("before", before)];
        link("/events", &[&shared[..], &decided[..]].concat())
    };
    let looked = match next {
        Some(next) => head(live, next).await?.map(|event| event.received.to_string()),
        None => None,
    };
    Ok(with_frame(
        live,
        caller,
        json!({
            "events": rows,
            "next": before.as_deref().map(|before| parameters(Some(before))),
            "looked": looked,
            "is_first": query.before.is_none(),
            "first": parameters(None),
            "q": typed, "type": kind, "source": source, "since": from, "until": to, "rule": rule, "outcome": outcome,
            "sources": snapshot.sources.keys().collect::<Vec<_>>(),
            "filtered": kind.is_some() || source.is_some() || from.is_some() || to.is_some(),
        }),
    ))
}

/// Events on which a rule came to an outcome, each with what that rule said.
async fn decided(
    live: &Live,
    rules: Option<&RuleSet>,
    (rule, outcome): (Option<String>, Option<String>),
    before: Option<Seq>,
) -> Result<(Vec<Value>, Option<Seq>), Refused> {
    let filter = DecisionFilter { rule, outcomes: outcome.into_iter().collect(), before, limit: SHOWN };
    let found = live.store.decisions(&filter).await?;
    let seqs: Vec<Seq> = found.list.iter().map(|decision| decision.event).collect();
    let about = about(live, rules, &seqs).await?;
    let row = |decision: &Decision| {
        let mut row = about.get(&decision.event)?.clone();
        row["said"] = json!({"rule": decision.rule, "outcome": decision.outcome, "note": decision.note});
        Some(row)
    };
    Ok((found.list.iter().filter_map(row).collect(), found.next))
}

/// `/events/SEQ`: one event, what every rule did about it, and what went. Links are to places; an id will do too.
pub(crate) async fn one(State(live): Shared, caller: Caller, Id(id): Id) -> Response {
    page(event_values(&live, &caller, &id).await, "event.html")
}

async fn event_values(live: &Live, caller: &Caller, id: &str) -> Result<Value, Refused> {
    let place = match id.parse() {
        Ok(seq) => whole(live, seq).await.ok(),
        Err(_) => None,
    };
    let found = match place {
        Some(found) => found,
        None => whole(live, find_event(live, id).await?).await?,
    };
    let mut document = value(&found);
    let body = serde_json::to_string_pretty(document.get("body").unwrap_or(&Value::Null)).unwrap_or_default();
    let is_json = document.get("body").is_some_and(Value::is_object) && document["source"] != OWN_SOURCE;
    let snapshot = live.snapshot.load_full();
    let rules = snapshot.rules.as_deref();
    let seq = document["seq"].as_i64().unwrap_or_default();
    let about = match head(live, seq).await? {
        Some(event) => row::event(rules, seq, event),
        None => Value::Null,
    };
    if let Some(decisions) = document["rules"].as_array_mut() {
        decisions.iter_mut().for_each(with_trees);
        // What acted comes first.
        decisions.sort_by_key(|decision| decision["outcome"] == "missed");
    }
    let ids = document["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<DeliveryId> =
        ids.iter().filter_map(|one| Some(DeliveryId(one["id"].as_str()?.to_owned()))).take(WHOLE).collect();
    let mut sent = Vec::new();
    for id in &ids {
        if let Some((delivery, attempts)) = live.store.delivery(id).await? {
            sent.push(super::deliveries::whole(live, &delivery, &attempts));
        }
    }
    Ok(with_frame(
        live,
        caller,
        json!({
            "event": document, "body": body, "body_is_json": is_json, "about": about, "sent": sent,
        }),
    ))
}

/// The conditions of a decision as trees.
fn with_trees(decision: &mut Value) {
    decision["tree"] = why::tree(decision["why"].get("when"));
    decision["closes"] = why::tree(decision["why"].get("closes"));
    decision["actions"] = decision["why"].get("actions").cloned().unwrap_or_default();
    decision["failed"] = decision["why"].get("failed").cloned().unwrap_or_default();
    decision["by_hand"] = decision["why"].get("by_hand").cloned().unwrap_or_default();
}

/// What a delivery says, as it looks where it went.
pub(super) fn likeness(message: Option<&str>) -> Value {
    let rendered: Option<Rendered> = message.and_then(|text| serde_json::from_str(text).ok());
    rendered.as_ref().map(likeness::of).unwrap_or_default()
}

/// The form that plans an event again.
#[derive(Deserialize)]
pub(crate) struct Replay {
    #[serde(default)]
    by: String,
    /// Whether messages that were sent are sent anew.
    #[serde(default)]
    again: Option<String>,
}

/// The button that plans an event again.
pub(crate) async fn replay(State(live): Shared, caller: Caller, Id(id): Id, Form(form): Form<Replay>) -> Response {
    match replayed(&live, &caller, &id, &form).await {
        Ok(()) => redirect(&format!("/events/{id}?asked=replay")),
        Err(refusal) => refused(refusal).into_response(),
    }
}

async fn replayed(live: &Live, caller: &Caller, id: &str, form: &Replay) -> Result<(), Refused> {
    let event = find_event(live, id).await?;
    let by = caller.by(Some(&form.by))?;
    let asking = caller.asking(&by, None);
    audit::record(live, asking, "replayed", bulk::planned_again(&format!("event `{id}`"), None)).await?;
    let again = bulk::round(live, form.again.is_some());
    crate::admin::answer::ask(live, Command::Replay { event, again, rule: None }).await
}
