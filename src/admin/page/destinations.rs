//! `/destinations`: where messages go, whether they arrive, how fast, and what was answered last.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::{page, with_frame};
use crate::admin::api::{Refused, Shared};
use crate::config::Destination;
use crate::delivery::{DeliveryId, State as DeliveryState};
use crate::pace::Pace;
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// Among how many of the newest deliveries the last of each are looked for.
const NEWEST: usize = 400;
/// How many of the last deliveries are shown of each.
const LAST: usize = 3;
/// The most dead or waiting deliveries that are counted of one.
const COUNTED: usize = 1000;

/// `/destinations`.
pub(crate) async fn list(State(live): Shared) -> Response {
    page(values(&live).await, "destinations.html")
}

async fn values(live: &Arc<Live>) -> Result<Value, Refused> {
    let standings = live.store.standings().await?;
    let newest = DeliveryFilter { limit: NEWEST, ..DeliveryFilter::default() };
    let newest = live.store.list_deliveries(&newest).await?;
    let snapshot = live.snapshot.load_full();
    let mut rows = Vec::new();
    for destination in snapshot.destinations.values() {
        let pace = standings.iter().find(|standing| standing.destination == destination.name);
        let last = newest.iter().filter(|delivery| delivery.planned.destination == destination.name).take(LAST);
        let ids: Vec<&DeliveryId> = last.map(|delivery| &delivery.planned.id).collect();
        rows.push(row(live, destination, pace.map(|standing| &standing.pace), &ids).await?);
    }
    // What fails comes first.
    rows.sort_by_key(|row| row["failing"] != true);
    Ok(with_frame(live, json!({"destinations": rows})))
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
