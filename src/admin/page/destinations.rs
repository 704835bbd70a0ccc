//! `/destinations`: where messages go, whether they arrive, how fast, what was answered last; and a test message there.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{filled, page, refused, with_frame};
use crate::admin::answer::{Refused, Shared};
use crate::admin::caller::Caller;
use crate::admin::drill::{DrillQuery, drilled};
use crate::admin::view::value;
use crate::config::Destination;
use crate::delivery::{DeliveryId, State as DeliveryState};
use crate::pace::Pace;
use crate::rules::{Rule, RuleSet};
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// Among how many of the newest deliveries the last of each are looked for.
const NEWEST: usize = 400;
/// How many of the last deliveries are shown of each.
const LAST: usize = 3;
/// The most dead or waiting deliveries that are counted of one.
const COUNTED: usize = 1000;

/// `/destinations`.
pub(crate) async fn list(State(live): Shared, caller: Caller) -> Response {
    page(values(&live, &caller, None).await, "destinations.html")
}

/// The form that sends a test message.
#[derive(Deserialize)]
pub(crate) struct Test {
    #[serde(default)]
    destination: String,
    rule: Option<String>,
    #[serde(default)]
    by: String,
}

/// The button that sends a test message to a destination: the same page, with what came back.
pub(crate) async fn test(State(live): Shared, caller: Caller, Form(form): Form<Test>) -> Response {
    let query = DrillQuery { rule: filled(form.rule), by: filled(Some(form.by.clone())) };
    match drilled(&live, &form.destination, &query, &caller).await {
        Ok(told) => {
            let shown = page(values(&live, &caller.named(&form.by), Some(value(&told))).await, "destinations.html");
            ([(SET_COOKIE, Caller::remembering(&form.by))], shown).into_response()
        }
        Err(refusal) => refused(refusal),
    }
}

async fn values(live: &Arc<Live>, caller: &Caller, told: Option<Value>) -> Result<Value, Refused> {
    let standings = live.store.standings().await?;
    let newest = DeliveryFilter { limit: NEWEST, ..DeliveryFilter::default() };
    let newest = live.store.list_deliveries(&newest).await?;
    let snapshot = live.snapshot.load_full();
    let mut rows = Vec::new();
    for destination in snapshot.destinations.values() {
        let pace = standings.iter().find(|standing| standing.destination == destination.name);
        let last = newest.iter().filter(|delivery| delivery.planned.destination == destination.name).take(LAST);
        let ids: Vec<&DeliveryId> = last.map(|delivery| &delivery.planned.id).collect();
        let mut row = row(live, destination, pace.map(|standing| &standing.pace), &ids).await?;
        row["rules"] = speaking(snapshot.rules.as_deref(), &destination.name).into();
        rows.push(row);
    }
    // What fails comes first.
    rows.sort_by_key(|row| row["failing"] != true);
    Ok(with_frame(live, caller, json!({"destinations": rows, "told": told})))
}

/// The rules that send there.
fn speaking<'r>(rules: Option<&'r RuleSet>, to: &str) -> Vec<&'r str> {
    let speaks = |rule: &&Rule| rule.all_actions().any(|action| action.to.iter().any(|named| named.value == to));
    let all = rules.map_or(&[][..], |rules| &rules.rules);
    all.iter().filter(speaks).map(|rule| rule.name.value.as_str()).collect()
}

async fn row(
    live: &Live,
    destination: &Destination,
    pace: Option<&Pace>,
    newest: &[&DeliveryId],
) -> Result<Value, Refused> {
    let of = |states: Vec<DeliveryState>, limit| DeliveryFilter {
        states,
        destination: Some(destination.name.clone()),
        limit,
        ..DeliveryFilter::default()
    };
    let dead = live.store.list_deliveries(&of(vec![DeliveryState::Dead], COUNTED)).await?.len();
    let waiting = vec![DeliveryState::Due, DeliveryState::Sending, DeliveryState::Retrying];
    let waiting = live.store.list_deliveries(&of(waiting, COUNTED)).await?.len();
    let mut last = Vec::new();
    for id in newest {
        let Some((delivery, attempts)) = live.store.delivery(id).await? else { continue };
        let answer = attempts.last().map(|attempt| json!({"at": attempt.at.to_string(), "took_ms": attempt.took_ms, "outcome": attempt.outcome, "answer": attempt.answer}));
        last.push(json!({"id": delivery.planned.id, "state": delivery.state, "answer": answer}));
    }
    let limits = &destination.limits;
    Ok(json!({
        "name": destination.name,
        "type": destination.kind.name,
        "address": &destination.channel.facts().address,
        "failing": pace.is_some_and(Pace::is_failing),
        "failures": pace.map_or(0, |pace| pace.failures),
        "spacing": limits.spacing.map(|spacing| format!("{spacing:#}")),
        "burst": limits.burst,
        "concurrency": limits.concurrency,
        "timeout": format!("{:#}", destination.timeout),
        "give_up": format!("{:#}", destination.retry.give_up),
        "fallback": destination.fallback.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "dead": dead,
        "dead_more": dead == COUNTED,
        "waiting": waiting,
        "last": last,
    }))
}
