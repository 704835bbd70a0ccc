//! The page: what came, what it led to, and what needs a person. Rendered here, read-only but for retrying.
//!
//! Plain HTML and one style sheet, no script: the policy in `guard` forbids it. Every value goes through the template
//! engine's HTML escaping.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::Environment;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::api::{Id, Refused, event_document, find_event, head};
use crate::admin::audit::{Asking, Origin};
use crate::admin::{audit, bulk, cases, mutes, view};
use crate::delivery::{Delivery, DeliveryId, State as DeliveryState};
use crate::event::{Event, Seq};
use crate::message::{Rendered, plain};
use crate::steps::Live;
use crate::steps::alive::Absence;
use crate::store::{DeliveryFilter, EventFilter};

pub mod people;

/// How many events and deliveries the first page shows.
const SHOWN: usize = 40;

/// The members of values that are times.
const TIMES: &[&str] = &[
    "created", "received", "next", "finished", "since", "now", "at", "opened", "last", "acked_at", "ends", "from",
    "until",
];

/// The templates: part of the program, so that a mistake in one shows in the first test.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    let files = [
        ("base.html", include_str!("page/base.html")),
        ("home.html", include_str!("page/home.html")),
        ("event.html", include_str!("page/event.html")),
        ("delivery.html", include_str!("page/delivery.html")),
        ("cases.html", include_str!("page/cases.html")),
        ("case.html", include_str!("page/case.html")),
        ("mutes.html", include_str!("page/mutes.html")),
        ("muted.html", include_str!("page/muted.html")),
        ("audit.html", include_str!("page/audit.html")),
        ("login.html", include_str!("page/login.html")),
        ("missing.html", include_str!("page/missing.html")),
    ];
    for (name, text) in files {
        if let Err(error) = environment.add_template(name, text) {
            tracing::error!(name, %error, "a page template is broken");
        }
    }
    environment
});

type Shared = State<Arc<Live>>;

/// `/style.css`.
pub async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page/style.css")).into_response()
}

#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    wrong: Option<String>,
}

/// `/login`.
pub(crate) async fn login(Query(query): Query<LoginQuery>) -> Response {
    html(StatusCode::OK, "login.html", json!({"wrong": query.wrong.is_some()}))
}

#[derive(Deserialize, Default)]
pub(crate) struct HomeQuery {
    state: Option<String>,
    r#type: Option<String>,
}

/// `/`: how things stand, what needs a person, what came, what went.
pub(crate) async fn home(State(live): Shared, Query(query): Query<HomeQuery>) -> Response {
    page(home_values(&live, query).await, "home.html")
}

/// `/events/SEQ`: one event, what every rule did about it, and what went. Links are to places; an id will do too.
pub(crate) async fn event(State(live): Shared, Id(id): Id) -> Response {
    page(event_values(&live, &id).await, "event.html")
}

/// `/deliveries/ID`: one delivery, its message, its attempts.
pub(crate) async fn delivery(State(live): Shared, Id(id): Id) -> Response {
    page(delivery_values(&live, &id).await, "delivery.html")
}

/// The button on a delivery's page.
pub(crate) async fn retry(State(live): Shared, headers: HeaderMap, Id(id): Id) -> Response {
    let ids = [DeliveryId(id.clone())];
    let by = people::remembered(&headers);
    match retried(&live, &ids, &by).await {
        Ok(0) => Refused::NotFound(
            "it can't be sent again: it is under way, was delivered, or its case has closed since; \
             to tell of its event all the same, replay that"
                .into(),
        )
        .into_response(),
        Ok(_) => {
            live.to_dispatch.notify_one();
            (StatusCode::SEE_OTHER, [(LOCATION, format!("/deliveries/{id}"))]).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

/// By whoever gave a name in this browser last.
async fn retried(live: &Live, ids: &[DeliveryId], by: &str) -> Result<u64, Refused> {
    let by = audit::by(Some(by))?;
    let count = live.store.revive(ids, live.clock.now()).await?;
    if count > 0 {
        let asking = Asking { by: &by, from: Origin::Page, note: None };
        audit::record(live, asking, "retried", bulk::named(ids)).await?;
    }
    Ok(count)
}

async fn home_values(live: &Live, query: HomeQuery) -> Result<Value, Refused> {
    let states = query.state.as_deref().and_then(DeliveryState::named).into_iter().collect();
    let filter = DeliveryFilter { states, limit: SHOWN, ..DeliveryFilter::default() };
    let deliveries = live.store.list_deliveries(&filter).await?;
    let dead = DeliveryFilter { states: vec![DeliveryState::Dead], limit: SHOWN, ..DeliveryFilter::default() };
    let dead = live.store.list_deliveries(&dead).await?;
    let filter = EventFilter { kind: query.r#type.clone(), limit: SHOWN, ..EventFilter::default() };
    let events = live.store.list_events(&filter).await?;
    let types = types(live, &events, deliveries.iter().map(|delivery| delivery.planned.event)).await?;
    let census = live.store.census().await?;
    let standings = live.store.standings().await?;
    let now = live.clock.now();
    let muted = mutes::known(live).await?;
    let muted: Vec<_> = muted.iter().filter(|known| known.is_active(now)).collect();
    let snapshot = live.snapshot.load();
    let row = |delivery: &Delivery| {
        let mut row = view::delivery(delivery);
        row["event_type"] = types.get(&delivery.planned.event).map(|kind| &**kind).into();
        row
    };
    let counts: Vec<Value> = DeliveryState::ALL
        .iter()
        .map(|state| {
            let count = census.deliveries.iter().find(|(of, _)| of == state).map_or(0, |(_, count)| *count);
            json!({"state": state, "count": count})
        })
        .collect();
    let destinations: Vec<Value> = snapshot
        .destinations
        .values()
        .map(|destination| {
            let pace = standings.iter().find(|standing| standing.destination == destination.name);
            json!({
                "name": destination.name,
                "type": destination.kind.name,
                "address": &destination.channel.facts().address,
                "failing": pace.is_some_and(|standing| standing.pace.failing || standing.pace.failures > 0),
            })
        })
        .collect();
    Ok(with_frame(
        live,
        json!({
            "events": events.iter().map(|(seq, event)| view::event(*seq, event)).collect::<Vec<_>>(),
            "deliveries": deliveries.iter().map(row).collect::<Vec<_>>(),
            "dead": dead.iter().map(view::delivery).collect::<Vec<_>>(),
            "total": census.deliveries.iter().map(|(_, count)| count).sum::<u64>(),
            "counts": counts,
            "destinations": destinations,
            "cases": cases::count(live).await?.view(),
            "mutes": muted.iter().map(|known| known.view(now)).collect::<Vec<_>>(),
            "lag": census.head - census.planned,
            "absence": live.absence.load().as_ref().as_ref().map(Absence::json),
            "state": query.state,
            "type": query.r#type,
        }),
    ))
}

/// The types of these events, most of which are listed already. No body is read for it.
async fn types(
    live: &Live,
    listed: &[(Seq, Event)],
    asked: impl Iterator<Item = Seq>,
) -> Result<HashMap<Seq, Arc<str>>, Refused> {
    let mut types: HashMap<Seq, Arc<str>> = listed.iter().map(|(seq, event)| (*seq, event.kind.clone())).collect();
    for seq in asked {
        if !types.contains_key(&seq)
            && let Some(event) = head(live, seq).await?
        {
            types.insert(seq, event.kind);
        }
    }
    Ok(types)
}

async fn event_values(live: &Live, id: &str) -> Result<Value, Refused> {
    let place = match id.parse() {
        Ok(seq) => event_document(live, seq).await.ok(),
        Err(_) => None,
    };
    let document = match place {
        Some(document) => document,
        None => event_document(live, find_event(live, id).await?).await?,
    };
    let body = serde_json::to_string_pretty(document.get("body").unwrap_or(&Value::Null)).unwrap_or_default();
    Ok(with_frame(live, json!({"event": document, "body": body})))
}

async fn delivery_values(live: &Live, id: &str) -> Result<Value, Refused> {
    let found = live.store.delivery(&DeliveryId(id.to_owned())).await?;
    let (delivery, attempts) = found.ok_or_else(|| Refused::NotFound(format!("there is no delivery `{id}`")))?;
    let rendered: Option<Rendered> = delivery.message.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let text = rendered.as_ref().map(|rendered| plain::message(&rendered.message));
    let view = view::delivery_whole(&delivery, &attempts);
    Ok(with_frame(live, json!({"delivery": view, "text": text})))
}

/// Adds what every page shows: which rules are in force, and whether files on disk are broken.
fn with_frame(live: &Live, mut values: Value) -> Value {
    let snapshot = live.snapshot.load();
    values["frame"] = json!({
        "rules": snapshot.rule_count(),
        "hash": snapshot.hash,
        "since": snapshot.since.to_string(),
        "in_force": snapshot.rules.is_some(),
        "stale": live.stale.load().as_deref(),
        "now": live.clock.now().to_string(),
        "zone": snapshot.settings.timezone.as_ref().and_then(TimeZone::iana_name).unwrap_or("UTC"),
    });
    values
}

fn page(values: Result<Value, Refused>, template: &str) -> Response {
    match values {
        Ok(values) => html(StatusCode::OK, template, values),
        Err(refusal) => refused(refusal),
    }
}

/// A refusal, for someone who looks at a page.
fn refused(refusal: Refused) -> Response {
    let (status, title, what) = match refusal {
        Refused::NotFound(what) => (StatusCode::NOT_FOUND, "Not found", what),
        Refused::Bad(what) => (StatusCode::BAD_REQUEST, "That can't be done", what),
        refusal @ Refused::Store(_) => return refusal.into_response(),
    };
    html(status, "missing.html", json!({"title": title, "what": what}))
}

fn html(status: StatusCode, template: &str, mut values: Value) -> Response {
    localise(&mut values);
    let rendered = TEMPLATES.get_template(template).and_then(|template| template.render(shown(&values)));
    match rendered {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(template, %error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page could not be rendered; the log says why\n").into_response()
        }
    }
}

/// The values as templates take them: a number as its own text, since none is reckoned with here.
fn shown(value: &Value) -> minijinja::Value {
    match value {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(truth) => minijinja::Value::from(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(number) => minijinja::Value::from(number),
            None => minijinja::Value::from(number.to_string()),
        },
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Array(items) => items.iter().map(shown).collect(),
        // Collected as a map: pairs by themselves would make a list.
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), shown(value))).collect::<BTreeMap<_, _>>().into()
        }
    }
}

/// Shows times in the default zone, to the second, and says which that is.
fn localise(values: &mut Value) {
    let zone = values["frame"]["zone"].as_str().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
    for_each_time(values, &zone);
}

fn for_each_time(value: &mut Value, zone: &TimeZone) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                let is_time = TIMES.contains(&key.as_str());
                match inner.as_str().filter(|_| is_time).and_then(|text| text.parse::<Timestamp>().ok()) {
                    Some(at) => {
                        *inner = at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string().into()
                    }
                    // The body is the sender's: it is shown as it came.
                    None if key != "body" => for_each_time(inner, zone),
                    None => {}
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_time(item, zone)),
        _ => {}
    }
}
