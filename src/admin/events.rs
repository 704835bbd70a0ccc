//! `/api/v1/events`: what came, one event with all that is known of it, and planning it again.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::answer::{Answer, Id, Moment, Refused, Shared, ask, json_answer};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::paging::{LIMIT, LIMIT_MAX, limit, page_answer};
use crate::admin::view::{ConflictView, DecisionView, DeliveryView, EventView, EventWhole};
use crate::admin::{backfill, bulk, cases};
use crate::event::{Command, Event, Seq};
use crate::steps::{Live, judged};
use crate::store::{DeliveryFilter, EventFilter, PAGE_BYTES_MAX};

/// Which events.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// of this source
    source: Option<String>,
    /// of these types, as a glob: `release.*`
    #[serde(rename = "type")]
    kind: Option<String>,
    /// received at or after
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// received before
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Moment>,
    /// before this `seq`, for the next page
    before: Option<i64>,
    /// after this `seq`, and then oldest first
    after: Option<i64>,
    /// at most this many, by default 50
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// with the body as it came: `raw`, or `raw_base64` where it is no text
    #[serde(default)]
    raw: bool,
}

/// Events, newest first
#[utoipa::path(get, path = "/events", params(EventQuery), responses((status = 200, description = "Events", body = [EventView])))]
pub(crate) async fn list(State(live): Shared, uri: Uri, query: Result<Query<EventQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let cursor = if query.after.is_some() { "after" } else { "before" };
    let filter = EventFilter {
        source: query.source,
        kind: None,
        since: Moment::at(query.since.as_ref(), "since", &live)?,
        until: Moment::at(query.until.as_ref(), "until", &live)?,
        before: query.before,
        after: query.after,
        limit: limit(query.limit)?.unwrap_or(LIMIT),
    };
    let types = bulk::Types::read(query.kind.as_deref())?;
    let wanted = filter.limit;
    let events = bulk::events(&live, filter, &types).await?;
    let view = if query.raw { EventView::raw } else { EventView::of };
    let list: Vec<EventView> = events.iter().map(|(seq, event)| view(*seq, event)).collect();
    // Large bodies end a page early, so that only an empty one says that there are no more.
    let bytes: usize = events.iter().map(|(_, event)| event.raw.len()).sum();
    let is_full = list.len() >= wanted || bytes >= PAGE_BYTES_MAX;
    let next = events.last().filter(|_| is_full).map(|(seq, _)| seq.to_string());
    Ok(page_answer(&list, &uri, (cursor, next)))
}

/// The event at this place of the inbox, its body not read: for what shows only its type and times.
pub(crate) async fn head(live: &Live, seq: Seq) -> Result<Option<Event>, Refused> {
    let filter = EventFilter {
        after: Some(seq.saturating_sub(1)),
        before: Some(seq.saturating_add(1)),
        limit: 1,
        ..EventFilter::default()
    };
    Ok(live.store.list_events(&filter).await?.pop().map(|(_, event)| event))
}

/// The event with this id, or at this place of the inbox; the newest where several sources use one id.
pub(crate) async fn find_event(live: &Live, id: &str) -> Result<Seq, Refused> {
    let mut found = live.store.find_event(id).await?;
    if found.is_empty()
        && let Ok(seq) = id.parse()
        && head(live, seq).await?.is_some()
    {
        found.push(seq);
    }
    found.first().copied().ok_or_else(|| Refused::NotFound(format!("there is no event `{id}`")))
}

/// One event: its body, what each rule did, its deliveries
#[utoipa::path(get, path = "/events/{id}", params(Id), responses((status = 200, description = "The event", body = EventWhole)))]
pub(crate) async fn one(State(live): Shared, Id(id): Id) -> Answer {
    let seq = find_event(&live, &id).await?;
    Ok(json_answer(&whole(&live, seq).await?))
}

/// An event with all that is known of it: what rules did, deliveries, conflicts.
pub(crate) async fn whole(live: &Live, seq: Seq) -> Result<EventWhole, Refused> {
    let events = live.store.events(&[seq]).await?;
    let Some((_, event)) = events.into_iter().next() else {
        return Err(Refused::NotFound(format!("there is no event at {seq}")));
    };
    let event = event.read();
    let filter = DeliveryFilter { events: vec![seq], limit: LIMIT_MAX, ..DeliveryFilter::default() };
    let deliveries = live.store.list_deliveries(&filter).await?;
    // Before its rules are read, or it might seem that they made nothing of it.
    let planned = live.store.census().await?.planned >= seq;
    let whys = judged::decisions(live, seq, &event).await?;
    let conflicts = live.store.conflicts(seq).await?;
    let backfill = backfill::of_event(live, &event).await?;
    Ok(EventWhole {
        event: EventView::read(seq, &event),
        planned,
        rules: whys.iter().map(DecisionView::from).collect(),
        deliveries: deliveries.iter().map(DeliveryView::from).collect(),
        backfill,
        conflicts: conflicts.iter().map(ConflictView::from).collect(),
    })
}

/// How an event is planned again.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplayQuery {
    /// only for this rule
    rule: Option<String>,
    /// make deliveries anew
    #[serde(default)]
    again: bool,
    /// who asks
    by: Option<String>,
}

/// How many events are planned again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    replayed: u64,
}

/// Plan an event again with the rules in force
#[utoipa::path(post, path = "/events/{id}/replay", params(Id, ReplayQuery), responses((status = 200, description = "It is planned again", body = Replayed)))]
pub(crate) async fn replay(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<ReplayQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let event = find_event(&live, &id).await?;
    if let (Some(rule), Some(rules)) = (&query.rule, &live.snapshot.load_full().rules) {
        cases::known_rule(rules, rule)?;
    }
    let by = caller.by(query.by.as_deref())?;
    let again = bulk::round(&live, query.again);
    let asking = caller.asking(&by, None);
    audit::record(&live, asking, "replayed", bulk::planned_again(&format!("event `{id}`"), query.rule.as_deref()))
        .await?;
    ask(&live, Command::Replay { event, again, rule: query.rule }).await?;
    Ok(json_answer(&Replayed { replayed: 1 }))
}
