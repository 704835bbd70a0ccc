//! `/deliveries`: what was sent or could not be, the dead first; one of them; retrying and cancelling.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{filled, link, now, page, redirect, refused, row, with_frame};
use crate::admin::answer::{Id, Refused, Shared};
use crate::admin::audit;
use crate::admin::bulk;
use crate::admin::caller::Caller;
use crate::admin::deliveries::look;
use crate::admin::page::people::safe;
use crate::admin::paging::{LIMIT_MAX, LOOKED_AT};
use crate::admin::view::{DeliveryWhole, value};
use crate::delivery::{Attempt, Delivery, DeliveryId, State as DeliveryState};
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// How many deliveries a page has.
const SHOWN: usize = 40;
/// How many batches one press of the button retries.
const BATCHES: usize = 10;

/// Which deliveries. Empty fields of the form mean nothing.
#[derive(Deserialize, Default)]
pub(crate) struct DeliveriesQuery {
    state: Option<String>,
    destination: Option<String>,
    rule: Option<String>,
    before: Option<String>,
    asked: Option<String>,
    count: Option<u64>,
}

/// `/deliveries`.
pub(crate) async fn list(State(live): Shared, caller: Caller, Query(query): Query<DeliveriesQuery>) -> Response {
    page(values(&live, &caller, query).await, "deliveries.html")
}

async fn values(live: &Arc<Live>, caller: &Caller, query: DeliveriesQuery) -> Result<Value, Refused> {
    let (destination, rule) = (filled(query.destination), filled(query.rule));
    let state = filled(query.state).and_then(|state| DeliveryState::named(&state));
    let before = filled(query.before);
    let snapshot = live.snapshot.load_full();
    let census = live.store.census().await?;
    let filter = DeliveryFilter {
        states: state.into_iter().collect(),
        destination: destination.clone(),
        rule: rule.clone(),
        before: before.clone().map(DeliveryId),
        limit: SHOWN,
        ..DeliveryFilter::default()
    };
    let (found, next) = look(live, filter.clone()).await?;
    // Why a page isn't full though more may come.
    let looked_at = next.as_ref().filter(|_| found.len() < SHOWN).map(|_| format!("{},000", LOOKED_AT / 1000));
    let dead = dead(live, &filter).await?;
    let path = |state: Option<&str>, before: Option<&str>| {
        let parameters = [("destination", destination.as_deref()), ("rule", rule.as_deref()), ("before", before)];
        link("/deliveries", &[&[("state", state)], &parameters[..]].concat())
    };
    let states: Vec<Value> = DeliveryState::ALL
        .iter()
        .map(|of| {
            let count = census.deliveries.iter().find(|(state, _)| state == of).map_or(0, |(_, count)| *count);
            json!({"state": of, "count": count, "path": path(Some(of.name()), None), "here": state == Some(*of)})
        })
        .collect();
    let rules = snapshot.rules.as_deref();
    let first_dead = if state.is_none() { dead.get(..dead.len().min(5)).unwrap_or_default() } else { &[] };
    Ok(with_frame(
        live,
        caller,
        json!({
            "deliveries": now::with_events(live, rules, &found).await?,
            "dead": now::with_events(live, rules, first_dead).await?,
            "dead_count": dead.len(),
            "dead_more": dead.len() == LIMIT_MAX,
            "retried": query.asked.is_some().then(|| row::count(query.count.unwrap_or(0), "delivery", "deliveries")),
            "states": states,
            "all": path(None, None),
            "dead_path": path(Some("dead"), None),
            "looked_at": looked_at,
            "state": state,
            "destination": destination,
            "rule": rule,
            "destinations": snapshot.destinations.keys().collect::<Vec<_>>(),
            "next": next.map(|next| path(state.map(DeliveryState::name), Some(next.as_str()))),
            "is_first": before.is_none(),
        }),
    ))
}

/// The dead among the deliveries of a filter: they stand before its first page only.
async fn dead(live: &Live, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Refused> {
    if filter.before.is_some() {
        return Ok(Vec::new());
    }
    let dead = DeliveryFilter { states: vec![DeliveryState::Dead], within: None, limit: LIMIT_MAX, ..filter.clone() };
    Ok(live.store.list_deliveries(&dead).await?)
}

/// `/deliveries/ID`: one delivery, its message, its attempts.
pub(crate) async fn one(State(live): Shared, caller: Caller, Id(id): Id) -> Response {
    page(delivery_values(&live, &caller, &id).await, "delivery.html")
}

async fn delivery_values(live: &Live, caller: &Caller, id: &str) -> Result<Value, Refused> {
    let found = live.store.delivery(&DeliveryId(id.to_owned())).await?;
    let (delivery, attempts) = found.ok_or_else(|| Refused::NotFound(format!("there is no delivery `{id}`")))?;
    let rules = live.snapshot.load_full().rules.clone();
    let about = now::about(live, rules.as_deref(), &[delivery.planned.event]).await?;
    let about = about.into_values().next().unwrap_or_default();
    Ok(with_frame(live, caller, json!({"delivery": whole(live, &delivery, &attempts), "about": about})))
}

/// A delivery with its message as it looks, and its attempts.
pub(super) fn whole(live: &Live, delivery: &Delivery, attempts: &[Attempt]) -> Value {
    let mut view = value(&DeliveryWhole::of(delivery, attempts));
    let snapshot = live.snapshot.load();
    let channel = snapshot.destinations.get(&delivery.planned.destination).map(|destination| destination.kind.name);
    view["channel"] = channel.into();
    view["likeness"] = super::events::likeness(delivery.message.as_deref());
    view["waits"] = matches!(delivery.state, DeliveryState::Due | DeliveryState::Retrying).into();
    view["can_retry"] = (!matches!(delivery.state, DeliveryState::Delivered | DeliveryState::Sending)).into();
    view
}

/// Who presses a button, and where they were.
#[derive(Deserialize)]
pub(crate) struct Pressed {
    #[serde(default)]
    by: String,
    back: Option<String>,
}

/// The button that sends a delivery again, now.
pub(crate) async fn retry(State(live): Shared, caller: Caller, Id(id): Id, Form(form): Form<Pressed>) -> Response {
    let ids = [DeliveryId(id.clone())];
    match retried(&live, &caller, &ids, &form.by).await {
        Ok(0) => Refused::NotFound(
            "it can't be sent again: it is under way, was delivered, or its case has closed since; \
             to send it anyway, replay its event"
                .into(),
        )
        .into_response(),
        Ok(_) => redirect(&safe(form.back, &format!("/deliveries/{id}"))),
        Err(refused) => refused.into_response(),
    }
}

/// The button that calls a delivery off.
pub(crate) async fn cancel(State(live): Shared, caller: Caller, Id(id): Id, Form(form): Form<Pressed>) -> Response {
    match cancelled(&live, &caller, &DeliveryId(id.clone()), &form.by).await {
        Ok(()) => redirect(&safe(form.back, &format!("/deliveries/{id}"))),
        Err(refusal) => refused(refusal),
    }
}

async fn cancelled(live: &Live, caller: &Caller, id: &DeliveryId, by: &str) -> Result<(), Refused> {
    let by = caller.by(Some(by))?;
    let ids = [id.clone()];
    if live.store.cancel(&ids, &format!("cancelled by {by}"), live.clock.now()).await? == 0 {
        return Err(Refused::Bad("it can't be cancelled: it is under way, or it is over".into()));
    }
    audit::record(live, caller.asking(&by, None), "cancelled", bulk::named(&ids)).await
}

/// Makes deliveries due now.
async fn retried(live: &Live, caller: &Caller, ids: &[DeliveryId], by: &str) -> Result<u64, Refused> {
    let by = caller.by(Some(by))?;
    let count = live.store.revive(ids, live.clock.now()).await?;
    if count > 0 {
        live.to_dispatch.notify_one();
        let asking = caller.asking(&by, None);
        audit::record(live, asking, "retried", bulk::named(ids)).await?;
    }
    Ok(count)
}

/// Which of the dead are sent again.
#[derive(Deserialize)]
pub(crate) struct RetryAll {
    #[serde(default)]
    by: String,
    destination: Option<String>,
    rule: Option<String>,
}

/// The button that sends all dead deliveries again, or those of a destination or rule.
pub(crate) async fn retry_all(State(live): Shared, caller: Caller, Form(form): Form<RetryAll>) -> Response {
    match all_retried(&live, &caller, form).await {
        Ok(count) => redirect(&format!("/deliveries?asked=retry&count={count}")),
        Err(refusal) => refused(refusal),
    }
}

async fn all_retried(live: &Live, caller: &Caller, form: RetryAll) -> Result<u64, Refused> {
    let mut filter = DeliveryFilter {
        states: vec![DeliveryState::Dead],
        destination: filled(form.destination),
        rule: filled(form.rule),
        limit: LIMIT_MAX,
        ..DeliveryFilter::default()
    };
    let mut count = 0;
    for _ in 0..BATCHES {
        let found = live.store.list_deliveries(&filter).await?;
        let ids: Vec<DeliveryId> = found.into_iter().map(|delivery| delivery.planned.id).collect();
        let Some(last) = ids.last() else { break };
        // What could not be revived is passed over.
        filter.before = Some(last.clone());
        count += retried(live, caller, &ids, &form.by).await?;
    }
    Ok(count)
}
