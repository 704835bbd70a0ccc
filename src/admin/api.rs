//! `/api/v1`: lists, single things, and what a person may ask for. JSON in and out; errors are RFC 9457 documents.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::audit::{Asking, Origin};
pub(crate) use crate::admin::paging::{LIMIT, LIMIT_MAX, limit, page_answer};
use crate::admin::{audit, bulk, cases, drill, links, mutes, view};
use crate::delivery::{DeliveryId, State as DeliveryState};
use crate::event::{Command, Event, Item, Seq};
use crate::planner::Orphan;
use crate::rules::value::written_time;
use crate::steps::reload::{self, Reloaded};
use crate::steps::{Live, judged};
use crate::store;
use crate::store::{DeliveryFilter, EventFilter, PAGE_BYTES_MAX};

/// The longest name of a person, in characters.
const NAME_MAX: usize = 100;

pub(crate) type Shared = State<Arc<Live>>;

/// The routes below `/api/v1`.
pub fn router() -> Router<Arc<Live>> {
    Router::new()
        .route("/openapi.json", get(|| async { ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json")) }))
        .route("/status", get(status))
        .route("/events", get(events))
        .route("/events/replay", post(bulk::replay))
        .route("/events/{id}", get(event))
        .route("/events/{id}/replay", post(replay))
        .route("/deliveries", get(deliveries))
        .route("/deliveries/retry", post(bulk::retry))
        .route("/deliveries/cancel", post(bulk::cancel))
        .route("/deliveries/{id}", get(delivery))
        .route("/deliveries/{id}/retry", post(retry))
        .route("/deliveries/{id}/cancel", post(cancel))
        .route("/cases", get(cases::list))
        .route("/cases/{id}", get(cases::show))
        .route("/cases/{id}/ack", post(cases::ack))
        .route("/cases/{id}/close", post(cases::close))
        .route("/mutes", get(mutes::list).post(mutes::add))
        .route("/mutes/{id}/end", post(mutes::end))
        .route("/links/rotate", post(links::rotate))
        .route("/audit", get(audit::list))
        .route("/destinations", get(destinations))
        .route("/destinations/{id}/drill", post(drill::run))
}

/// An RFC 9457 document.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let document = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [(CONTENT_TYPE, "application/problem+json")], document.to_string() + "\n").into_response()
}

pub(crate) fn json_answer(document: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], document.to_string() + "\n").into_response()
}

/// Why an answer is none.
pub enum Refused {
    /// There is no such thing.
    NotFound(String),
    /// The question makes no sense.
    Bad(String),
    /// The store failed.
    Store(store::Error),
}

impl Refused {
    /// In words.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::NotFound(what) | Self::Bad(what) => what.clone(),
            Self::Store(error) => error.to_string(),
        }
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self::Bad(rejection.body_text())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound(what) => problem(StatusCode::NOT_FOUND, &what),
            Self::Bad(what) => problem(StatusCode::BAD_REQUEST, &what),
            Self::Store(error) => problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        }
    }
}

pub(crate) type Answer = Result<Response, Refused>;

/// A time in a query: RFC 3339, or, local to the default zone, `2026-01-05 11:00` or a date alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Moment(String);

impl Moment {
    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether a form left it empty.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The moment; `name` is the parameter's.
    pub fn at(asked: Option<&Self>, name: &str, live: &Live) -> Result<Option<Timestamp>, Refused> {
        let Some(Self(text)) = asked else { return Ok(None) };
        let zone = live.snapshot.load().settings.zone();
        written_time(text, &zone).map(Some).map_err(|note| Refused::Bad(format!("`{name}`: {note}")))
    }
}

/// Who asks for something, by their own word: it is asked to others, so it must be there, and be a name.
pub(crate) fn person(by: Option<&str>) -> Result<String, Refused> {
    let by = by.map(str::trim).unwrap_or_default();
    if by.is_empty() {
        return Err(Refused::Bad("say who asks: `by`".into()));
    }
    if by.chars().count() > NAME_MAX || by.chars().any(char::is_control) {
        return Err(Refused::Bad(format!("`by` is not a name: at most {NAME_MAX} characters, all of them visible")));
    }
    Ok(by.to_owned())
}

/// Who asks, in a query.
#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct By {
    pub by: Option<String>,
}

/// Puts what a person asks into the inbox.
pub(crate) async fn ask(live: &Live, command: Command) -> Result<(), Refused> {
    live.store.tell(Item::Command(command), live.clock.now()).await?;
    live.to_plan.notify_one();
    Ok(())
}

/// The id in a path, percent signs read.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(rejection) => Err(Refused::Bad(rejection.body_text())),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    source: Option<String>,
    r#type: Option<String>,
    since: Option<Moment>,
    until: Option<Moment>,
    before: Option<Seq>,
    after: Option<Seq>,
    limit: Option<usize>,
    #[serde(default)]
    raw: bool,
}

async fn events(State(live): Shared, uri: Uri, query: Result<Query<EventQuery>, QueryRejection>) -> Answer {
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
    let types = bulk::Types::read(query.r#type.as_deref())?;
    let wanted = filter.limit;
    let events = bulk::events(&live, filter, &types).await?;
    let view = if query.raw { view::event_raw } else { view::event };
    let list: Vec<Value> = events.iter().map(|(seq, event)| view(*seq, event)).collect();
    // Large bodies end a page early, so that only an empty one says that there are no more.
    let bytes: usize = events.iter().map(|(_, event)| event.raw.len()).sum();
    let is_full = list.len() >= wanted || bytes >= PAGE_BYTES_MAX;
    let next = events.last().filter(|_| is_full).map(|(seq, _)| seq.to_string());
    Ok(page_answer(list, &uri, (cursor, next)))
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
pub async fn find_event(live: &Live, id: &str) -> Result<Seq, Refused> {
    let mut found = live.store.find_event(id).await?;
    if found.is_empty()
        && let Ok(seq) = id.parse()
        && head(live, seq).await?.is_some()
    {
        found.push(seq);
    }
    found.first().copied().ok_or_else(|| Refused::NotFound(format!("there is no event `{id}`")))
}

async fn event(State(live): Shared, Id(id): Id) -> Answer {
    let seq = find_event(&live, &id).await?;
    let document = event_document(&live, seq).await?;
    Ok(json_answer(&document))
}

/// An event with all that is known of it: what rules did, deliveries, conflicts.
pub async fn event_document(live: &Live, seq: Seq) -> Result<Value, Refused> {
    let events = live.store.events(&[seq]).await?;
    let Some((_, event)) = events.into_iter().next() else {
        return Err(Refused::NotFound(format!("there is no event at {seq}")));
    };
    let event = event.read();
    let filter = DeliveryFilter { event: Some(seq), limit: LIMIT_MAX, ..DeliveryFilter::default() };
    let deliveries = live.store.list_deliveries(&filter).await?;
    // Before its rules are read, or it might seem that they made nothing of it.
    let planned = live.store.census().await?.planned >= seq;
    let whys = judged::decisions(live, seq, &event).await?;
    let conflicts = live.store.conflicts(seq).await?;
    let conflict = |conflict: &store::Conflict| json!({"received": conflict.received.to_string(), "raw": String::from_utf8_lossy(&conflict.raw)});
    let mut document = view::event_whole(seq, &event);
    document["planned"] = planned.into();
    document["rules"] = whys.iter().map(view::why).collect();
    document["deliveries"] = deliveries.iter().map(view::delivery).collect();
    document["conflicts"] = conflicts.iter().map(conflict).collect();
    Ok(document)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ReplayQuery {
    rule: Option<String>,
    #[serde(default)]
    again: bool,
    by: Option<String>,
}

async fn replay(
    State(live): Shared,
    Id(id): Id,
    from: Origin,
    query: Result<Query<ReplayQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let event = find_event(&live, &id).await?;
    if let (Some(rule), Some(rules)) = (&query.rule, &live.snapshot.load_full().rules) {
        cases::known_rule(rules, rule)?;
    }
    let by = audit::by(query.by.as_deref())?;
    let again = bulk::round(&live, query.again);
    let asking = Asking { by: &by, from, note: None };
    audit::record(&live, asking, "replayed", bulk::planned_again(&format!("event `{id}`"), query.rule.as_deref()))
        .await?;
    ask(&live, Command::Replay { event, again, rule: query.rule }).await?;
    Ok(json_answer(&json!({"replayed": 1})))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct DeliveryQuery {
    state: Option<String>,
    destination: Option<String>,
    rule: Option<String>,
    event: Option<String>,
    since: Option<Moment>,
    before: Option<String>,
    skip: Option<usize>,
    limit: Option<usize>,
}

async fn deliveries(State(live): Shared, uri: Uri, query: Result<Query<DeliveryQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let states = query.state.as_deref().map(bulk::states_of).transpose()?.unwrap_or_default();
    let event = match &query.event {
        Some(id) => Some(find_event(&live, id).await?),
        None => None,
    };
    let filter = DeliveryFilter {
        states,
        destination: query.destination,
        rule: query.rule,
        event,
        since: Moment::at(query.since.as_ref(), "since", &live)?,
        before: query.before.map(DeliveryId),
        within: None,
        skip: query.skip.unwrap_or(0),
        limit: limit(query.limit)?.unwrap_or(LIMIT),
    };
    let deliveries = live.store.list_deliveries(&filter).await?;
    let list: Vec<Value> = deliveries.iter().map(view::delivery).collect();
    let last = deliveries.last().filter(|_| list.len() >= filter.limit && filter.skip == 0);
    let next = last.map(|last| last.planned.id.to_string());
    Ok(page_answer(list, &uri, ("before", next)))
}

async fn delivery(State(live): Shared, Id(id): Id) -> Answer {
    let found = live.store.delivery(&DeliveryId(id.clone())).await?;
    let (delivery, attempts) = found.ok_or_else(|| Refused::NotFound(format!("there is no delivery `{id}`")))?;
    Ok(json_answer(&view::delivery_whole(&delivery, &attempts)))
}

async fn retry(State(live): Shared, Id(id): Id, from: Origin, query: Result<Query<By>, QueryRejection>) -> Answer {
    let Query(By { by }) = query?;
    let by = audit::by(by.as_deref())?;
    let ids = [DeliveryId(id)];
    let count = live.store.revive(&ids, live.clock.now()).await?;
    if count == 0 && is_outdated(&live, &ids[0]).await? {
        return Err(Refused::NotFound(format!(
            "delivery `{}` speaks of a case that has closed since: to send it anyway, replay its event",
            ids[0]
        )));
    }
    live.to_dispatch.notify_one();
    changed(&live, count, &ids, ("retried", Asking { by: &by, from, note: None })).await
}

/// Whether a delivery that could not be retried is over: then only the close of its case is in the way.
async fn is_outdated(live: &Live, id: &DeliveryId) -> Result<bool, Refused> {
    let found = live.store.delivery(id).await?;
    Ok(found.is_some_and(|(delivery, _)| matches!(delivery.state, DeliveryState::Dead | DeliveryState::Cancelled)))
}

async fn cancel(State(live): Shared, Id(id): Id, from: Origin, query: Result<Query<By>, QueryRejection>) -> Answer {
    let Query(By { by }) = query?;
    let by = audit::by(by.as_deref())?;
    let ids = [DeliveryId(id)];
    let count = live.store.cancel(&ids, "cancelled by hand", live.clock.now()).await?;
    changed(&live, count, &ids, ("cancelled", Asking { by: &by, from, note: None })).await
}

async fn changed(live: &Live, count: u64, ids: &[DeliveryId], (what, asking): (&str, Asking<'_>)) -> Answer {
    if count == 0 {
        let id = ids.first().map(DeliveryId::as_str).unwrap_or_default();
        return Err(Refused::NotFound(format!("no delivery `{id}` that could be {what}")));
    }
    audit::record(live, asking, what, bulk::named(ids)).await?;
    Ok(json_answer(&json!({what: count})))
}

async fn destinations(State(live): Shared) -> Answer {
    let standings = live.store.standings().await?;
    let snapshot = live.snapshot.load();
    let list: Vec<Value> = snapshot
        .destinations
        .values()
        .map(|destination| {
            let pace = standings.iter().find(|standing| standing.destination == destination.name);
            json!({
                "id": destination.name,
                "type": destination.kind.name,
                "address": &destination.channel.facts().address,
                "failing": pace.is_some_and(|standing| standing.pace.is_failing()),
                "failures": pace.map_or(0, |standing| standing.pace.failures),
            })
        })
        .collect();
    Ok(json_answer(&list.into()))
}

async fn status(State(live): Shared) -> Answer {
    let census = live.store.census().await?;
    let snapshot = live.snapshot.load();
    let deliveries: serde_json::Map<String, Value> =
        census.deliveries.iter().map(|(state, count)| (state.name().to_owned(), (*count).into())).collect();
    Ok(json_answer(&json!({
        "rules": {
            "count": snapshot.rule_count(),
            "hash": snapshot.hash,
            "since": snapshot.since.to_string(),
            "in_force": snapshot.rules.is_some(),
            "stale": live.stale.load().as_deref(),
            "needs_restart": reload::needs_restart(&live.bound, &snapshot.settings),
        },
        "inbox": {"head": census.head, "planned": census.planned},
        "deliveries": deliveries,
        "cases": cases::count(&live).await?.view(),
        "store_bytes": census.bytes,
    })))
}

/// Reloads, and says what came of it: 200, or 422 with the whole report.
pub(crate) async fn reload(State(live): Shared, from: Origin, query: Result<Query<By>, QueryRejection>) -> Response {
    let by = match query.map_err(Refused::from).and_then(|Query(By { by })| audit::by(by.as_deref())) {
        Ok(by) => by,
        Err(refused) => return refused.into_response(),
    };
    let reloaded = reload::reload(&live).await;
    let on = match &reloaded {
        Some(Reloaded::Changed { hash, .. }) => format!("the files: `{hash}` is in force"),
        Some(Reloaded::Same) => "the files: nothing had changed".to_owned(),
        Some(Reloaded::Refused(_)) => "the files: they are broken, what was in force stays".to_owned(),
        None => "the files: it failed".to_owned(),
    };
    // What was done is done, and answered: a list that can't be written is reported in the log.
    if let Err(refused) = audit::record(&live, Asking { by: &by, from, note: None }, "reloaded", on).await {
        live.telemetry.store_failed("audit", &refused.said());
    }
    match reloaded {
        Some(Reloaded::Changed { hash, needs_restart, orphans }) => {
            let orphan = |orphan: &Orphan| json!({"rule": orphan.rule, "key": orphan.key, "actions": orphan.actions});
            let orphans: Vec<Value> = orphans.iter().take(LIMIT_MAX).map(orphan).collect();
            json_answer(
                &json!({"reloaded": true, "hash": hash, "needs_restart": needs_restart, "orphaned_cases": orphans}),
            )
        }
        Some(Reloaded::Same) => json_answer(&json!({"reloaded": false, "hash": live.snapshot.load().hash})),
        Some(Reloaded::Refused(report)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &report),
        None => problem(StatusCode::INTERNAL_SERVER_ERROR, "reloading failed; the log says why"),
    }
}
