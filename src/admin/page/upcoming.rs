//! `/upcoming`: everything that has a time: reminders, digests with what is in them, held messages, deliveries that are tried
//! again, ends of mutes, what is missing when it doesn't come.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{link, now, page, row, with_frame};
use crate::admin::answer::{Refused, Shared};
use crate::admin::caller::Caller;
use crate::admin::page::people;
use crate::delivery::State as DeliveryState;
use crate::event::Seq;
use crate::planner::ledger::DueTimer;
use crate::planner::{Case, Collected, DigestId, Key, Keys, Meaning, Waiting, names_for};
use crate::rules::RuleSet;
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// How many a page has.
const SHOWN: usize = 40;
/// How many events of a digest, or messages of a held queue, are named.
const NAMED: usize = 5;
/// How many timers are read for one page: some mean nothing to people.
const READ: usize = 200;

/// Where a page begins: after this timer.
#[derive(Deserialize, Default)]
pub(crate) struct UpcomingQuery {
    due: Option<Timestamp>,
    after: Option<String>,
}

/// `/upcoming`.
pub(crate) async fn list(State(live): Shared, caller: Caller, Query(query): Query<UpcomingQuery>) -> Response {
    page(values(&live, &caller, query).await, "upcoming.html")
}

async fn values(live: &Arc<Live>, caller: &Caller, query: UpcomingQuery) -> Result<Value, Refused> {
    let is_first = query.due.is_none();
    let (comes, next) =
        coming(live, (query.due.unwrap_or(Timestamp::MIN), query.after.unwrap_or_default()), SHOWN).await?;
    let snapshot = live.snapshot.load_full();
    let retrying = DeliveryFilter {
        states: vec![DeliveryState::Retrying, DeliveryState::Due],
        limit: SHOWN,
        ..DeliveryFilter::default()
    };
    let retrying = if is_first { live.store.list_deliveries(&retrying).await? } else { Vec::new() };
    let next = next.map(|(due, id)| link("/upcoming", &[("due", Some(&due.to_string())), ("after", Some(&id))]));
    Ok(with_frame(
        live,
        caller,
        json!({
            "comes": comes,
            "retrying": now::with_events(live, snapshot.rules.as_deref(), &retrying).await?,
            "next": next,
            "is_first": is_first,
            "back": "/upcoming",
        }),
    ))
}

/// What comes soonest.
pub(super) async fn soonest(live: &Arc<Live>, limit: usize) -> Result<Vec<Value>, Refused> {
    Ok(coming(live, (Timestamp::MIN, String::new()), limit).await?.0)
}

/// What comes after a timer, and where to go on.
async fn coming(
    live: &Arc<Live>,
    (due, after): (Timestamp, String),
    limit: usize,
) -> Result<(Vec<Value>, Option<(Timestamp, String)>), Refused> {
    let timers = live.store.timers((due, &after), READ).await?;
    let is_all = timers.len() < READ;
    let snapshot = live.snapshot.load_full();
    let mut rows = Vec::new();
    let mut last = None;
    for timer in timers {
        if rows.len() >= limit {
            return Ok((rows, last));
        }
        last = Some((timer.timer.due, timer.id.clone()));
        if let Some(row) = told(live, snapshot.rules.as_deref(), timer).await? {
            rows.push(row);
        }
    }
    Ok((rows, last.filter(|_| !is_all)))
}

/// What a timer means to people; `None` for what only Fanfare needs to know.
async fn told(live: &Arc<Live>, rules: Option<&RuleSet>, timer: DueTimer) -> Result<Option<Value>, Refused> {
    let Some(meaning) = Meaning::parse(&timer.timer.text) else { return Ok(None) };
    let mut told = match meaning {
        Meaning::Act { rule, key, action, .. } => reminder(live, rules, (&rule, &key, &action)).await?,
        Meaning::End { rule, key, .. } => {
            of_case(live, rules, (&rule, &key), "closes by itself, if nothing more comes").await?
        }
        Meaning::Digest { rule, action, key, destination, rest, .. } => {
            let id = DigestId { rule: &rule, action: &action, key: &key, destination: &destination, rest };
            digest(live, rules, &id).await?
        }
        Meaning::Opens { destination, opens, .. } => held(live, rules, &destination, opens).await?,
        Meaning::Mute { id } => Some(json!({"what": "mute ends", "words": id, "path": "/mutes"})),
        Meaning::Missing { rule } => Some(json!({
            "what": "deadline", "words": format!("{rule} acts, if nothing comes"), "rule": rule,
        })),
        Meaning::Late { delivery, rule, .. } => Some(json!({
            "what": "late", "words": "Its fallback gets it, if it is not delivered by then", "rule": rule,
            "path": people::path("deliveries", delivery.as_str()),
        })),
        Meaning::Rearm { .. }
        | Meaning::Closing { .. }
        | Meaning::Came { .. }
        | Meaning::Forget { .. }
        | Meaning::Throttle { .. }
        | Meaning::Threshold { .. }
        | Meaning::Sum { .. }
        | Meaning::Signal { .. }
        | Meaning::Fallback { .. }
        | Meaning::Unmatched { .. }
        | Meaning::Audited { .. }
        | Meaning::Link { .. } => None,
    };
    if let Some(told) = &mut told {
        told["due"] = timer.timer.due.to_string().into();
    }
    Ok(told)
}

/// The document of a kind under one of these ids.
async fn document<T: serde::de::DeserializeOwned>(live: &Live, keys: Vec<Key>) -> Result<Option<T>, Refused> {
    let ledger = live.store.ledger(&Keys { one: keys.iter().cloned().collect(), ..Keys::default() }).await?;
    let texts = keys.iter().filter_map(|key| ledger.docs.get(key));
    Ok(texts.filter_map(|text| serde_json::from_str(text).ok()).next())
}

fn names(rules: Option<&RuleSet>, rule: &str) -> Vec<String> {
    rules.map_or_else(|| vec![rule.to_owned()], |rules| names_for(rules, rule))
}

/// A reminder, or what an action does by a date.
async fn reminder(
    live: &Arc<Live>,
    rules: Option<&RuleSet>,
    (rule, key, action): (&str, &str, &str),
) -> Result<Option<Value>, Refused> {
    let found = rules.and_then(|rules| rules.named(rule)?.actions.iter().find(|known| known.id == action));
    let to: Vec<&str> = found.into_iter().flat_map(|action| &action.to).map(|to| to.value.as_str()).collect();
    let Some(mut told) = of_case(live, rules, (rule, key), "is sent again").await? else { return Ok(None) };
    told["what"] = "reminder".into();
    told["to"] = json!(to);
    Ok(Some(told))
}

/// Something about an open case.
async fn of_case(
    live: &Arc<Live>,
    rules: Option<&RuleSet>,
    (rule, key): (&str, &str),
    words: &str,
) -> Result<Option<Value>, Refused> {
    let keys = Case::slot(&names(rules, rule), key).keys().collect();
    let Some(case) = document::<Case>(live, keys).await? else { return Ok(None) };
    let about = now::about(live, rules, &[case.event]).await?.into_values().next().unwrap_or_default();
    Ok(Some(json!({
        "what": "case", "words": words, "rule": rule, "key": key, "about": about, "ack": case.acked.is_none(),
        "acked_by": case.acked, "path": people::path("cases", &case.name()),
    })))
}

/// A digest, with the newest of what is in it.
async fn digest(live: &Arc<Live>, rules: Option<&RuleSet>, id: &DigestId<'_>) -> Result<Option<Value>, Refused> {
    let keys = id.slot(&names(rules, id.rule)).keys().collect();
    let Some(collected) = document::<Collected>(live, keys).await? else { return Ok(None) };
    let count = collected.events.len() as u64 + collected.more;
    let newest: Vec<Seq> = collected.events.iter().rev().take(NAMED).copied().collect();
    let about = now::about(live, rules, &newest).await?;
    Ok(Some(json!({
        "what": "digest", "words": row::count(count, "event", "events"), "rule": id.rule, "to": [id.destination],
        "items": about.into_values().rev().collect::<Vec<_>>(), "more": count.saturating_sub(NAMED as u64),
    })))
}

/// Messages that wait until a destination's hours begin.
async fn held(
    live: &Arc<Live>,
    rules: Option<&RuleSet>,
    destination: &str,
    opens: Timestamp,
) -> Result<Option<Value>, Refused> {
    let keys = Waiting::slot(destination, opens).keys().collect();
    let Some(waiting) = document::<Waiting>(live, keys).await? else { return Ok(None) };
    let count = waiting.held.len() as u64 + waiting.rest.len() as u64 + waiting.more;
    let newest: Vec<Seq> = waiting.held.iter().rev().take(NAMED).map(|held| held.delivery.event).collect();
    let about = now::about(live, rules, &newest).await?;
    Ok(Some(json!({
        "what": "held", "words": row::count(count, "message", "messages"), "to": [destination],
        "items": about.into_values().rev().collect::<Vec<_>>(), "more": count.saturating_sub(NAMED as u64),
    })))
}
