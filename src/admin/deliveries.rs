//! `/api/v1/deliveries`: what was sent or is to be, one of them with its attempts, sending it again and calling it off.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::answer::{Answer, By, Id, Moment, Refused, Shared, json_answer};
use crate::admin::audit;
use crate::admin::bulk;
use crate::admin::caller::{Asking, Caller};
use crate::admin::events::find_event;
use crate::admin::paging::{LIMIT, LOOKED_AT, limit, page_answer};
use crate::admin::view::{DeliveryView, DeliveryWhole};
use crate::delivery::{Delivery, DeliveryId, State as DeliveryState};
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// Which deliveries. All that is given must hold.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// in one of these states, with commas
    state: Option<String>,
    /// to this destination
    destination: Option<String>,
    /// of this rule
    rule: Option<String>,
    /// of this event, by its id or `seq`
    event: Option<String>,
    /// planned at or after
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// planned before the one with this id, for the next page
    before: Option<String>,
    /// leave out this many
    skip: Option<usize>,
    /// at most this many, by default 50
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Deliveries, newest first
#[utoipa::path(get, path = "/deliveries", params(DeliveryQuery), responses((status = 200, description = "Deliveries", body = [DeliveryView])))]
pub(crate) async fn list(State(live): Shared, uri: Uri, query: Result<Query<DeliveryQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let states = query.state.as_deref().map(bulk::states_of).transpose()?.unwrap_or_default();
    let events = match &query.event {
        Some(id) => vec![find_event(&live, id).await?],
        None => Vec::new(),
    };
    let filter = DeliveryFilter {
        states,
        destination: query.destination,
        rule: query.rule,
        events,
        since: Moment::at(query.since.as_ref(), "since", &live)?,
        before: query.before.map(DeliveryId),
        skip: query.skip.unwrap_or(0),
        limit: limit(query.limit)?.unwrap_or(LIMIT),
        ..DeliveryFilter::default()
    };
    let (deliveries, next) = look(&live, filter).await?;
    let list: Vec<DeliveryView> = deliveries.iter().map(DeliveryView::from).collect();
    Ok(page_answer(&list, &uri, ("before", next.map(|next| next.to_string()))))
}

/// Deliveries by a filter, newest first, and before which the next look goes on. A look takes no long time, however many
/// there are and however few are meant: what no index finds is looked for among [`LOOKED_AT`] only.
pub(crate) async fn look(
    live: &Live,
    mut filter: DeliveryFilter,
) -> Result<(Vec<Delivery>, Option<DeliveryId>), Refused> {
    let is_rare = |state: &DeliveryState| !matches!(state, DeliveryState::Delivered | DeliveryState::Cancelled);
    let has_index = !filter.events.is_empty() || (!filter.states.is_empty() && filter.states.iter().all(is_rare));
    // A number of them that is left out is counted from the newest.
    filter.within = (!has_index && filter.skip == 0).then_some(LOOKED_AT);
    let found = live.store.list_deliveries(&filter).await?;
    let next = match found.last() {
        _ if filter.skip > 0 => None,
        Some(last) if found.len() >= filter.limit => Some(last.planned.id.clone()),
        _ => beyond(live, &filter).await?,
    };
    Ok((found, next))
}

/// Where a look goes on that found all it could: nowhere, once all that is left was planned before `since`.
async fn beyond(live: &Live, filter: &DeliveryFilter) -> Result<Option<DeliveryId>, Refused> {
    let Some(within) = filter.within else { return Ok(None) };
    let next = live.store.beyond(filter.before.as_ref(), within).await?;
    if let (Some(next), Some(since)) = (&next, filter.since)
        && let Some((last, _)) = live.store.delivery(next).await?
        && last.created < since
    {
        return Ok(None);
    }
    Ok(next)
}

/// One delivery: its message and attempts
#[utoipa::path(get, path = "/deliveries/{id}", params(Id), responses((status = 200, description = "The delivery", body = DeliveryWhole)))]
pub(crate) async fn one(State(live): Shared, Id(id): Id) -> Answer {
    let found = live.store.delivery(&DeliveryId(id.clone())).await?;
    let (delivery, attempts) = found.ok_or_else(|| Refused::NotFound(format!("there is no delivery `{id}`")))?;
    Ok(json_answer(&DeliveryWhole::of(&delivery, &attempts)))
}

/// How many deliveries are sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retried {
    retried: u64,
}

/// Retry a delivery now, rendered anew
#[utoipa::path(post, path = "/deliveries/{id}/retry", params(Id, By), responses((status = 200, description = "It is due", body = Retried)))]
pub(crate) async fn retry(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<By>, QueryRejection>,
) -> Answer {
    let Query(By { by }) = query?;
    let by = caller.by(by.as_deref())?;
    let ids = [DeliveryId(id)];
    let retried = live.store.revive(&ids, live.clock.now()).await?;
    if retried == 0 && is_outdated(&live, &ids[0]).await? {
        return Err(Refused::NotFound(format!(
            "delivery `{}` speaks of a case that has closed since: to send it anyway, replay its event",
            ids[0]
        )));
    }
    live.to_dispatch.notify_one();
    changed(&live, retried, &ids, ("retried", caller.asking(&by, None))).await?;
    Ok(json_answer(&Retried { retried }))
}

/// Whether a delivery that could not be retried is over: then only the close of its case is in the way.
async fn is_outdated(live: &Live, id: &DeliveryId) -> Result<bool, Refused> {
    let found = live.store.delivery(id).await?;
    Ok(found.is_some_and(|(delivery, _)| matches!(delivery.state, DeliveryState::Dead | DeliveryState::Cancelled)))
}

/// How many deliveries are called off.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cancelled {
    cancelled: u64,
}

/// Cancel a delivery that was not sent yet
#[utoipa::path(post, path = "/deliveries/{id}/cancel", params(Id, By), responses((status = 200, description = "It is cancelled", body = Cancelled)))]
pub(crate) async fn cancel(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<By>, QueryRejection>,
) -> Answer {
    let Query(By { by }) = query?;
    let by = caller.by(by.as_deref())?;
    let ids = [DeliveryId(id)];
    let cancelled = live.store.cancel(&ids, "cancelled by hand", live.clock.now()).await?;
    changed(&live, cancelled, &ids, ("cancelled", caller.asking(&by, None))).await?;
    Ok(json_answer(&Cancelled { cancelled }))
}

async fn changed(
    live: &Live,
    count: u64,
    ids: &[DeliveryId],
    (what, asking): (&str, Asking<'_>),
) -> Result<(), Refused> {
    if count == 0 {
        let id = ids.first().map(DeliveryId::as_str).unwrap_or_default();
        return Err(Refused::NotFound(format!("no delivery `{id}` that could be {what}")));
    }
    audit::record(live, asking, what, bulk::named(ids)).await
}
