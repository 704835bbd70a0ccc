//! The admin surface: the page, the API, metrics and health, on a listener of their own.
//!
//! Everything but the probes stands behind [`guard`]: a known Host, the token where one is set, and for changes proof
//! that no other site's page sent them. It reads the store and speaks to the planner through the inbox, like everyone.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use jiff::Timestamp;
use serde_json::json;

use crate::steps::Live;
use crate::store;

mod answer;
pub mod api;
mod audit;
mod backfill;
mod bulk;
pub(crate) mod caller;
mod cases;
mod deliveries;
mod document;
mod drill;
mod events;
mod floods;
pub mod guard;
mod links;
pub(crate) mod live;
mod mutes;
pub mod page;
mod paging;
mod sent;
mod session;
mod status;
mod upcoming;
mod view;

/// The header of answers that names the zone in which people see times, and in which times without a zone are read.
pub(crate) const ZONE_HEADER: &str = "fanfare-timezone";

/// What stands beside the page in the demo.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    /// Its routes, below `/demo`.
    pub routes: Router<Arc<Live>>,
    /// Stirred when it shows something else.
    pub pulse: Arc<live::Pulse>,
}

/// What the admin listener serves.
pub fn router(live: Arc<Live>) -> Router {
    routes(live, Router::new(), Arc::new(live::Pulse::default()))
}

/// The same, with the demo beside the page.
pub(crate) fn router_beside(live: Arc<Live>, beside: Beside) -> Router {
    routes(live, beside.routes, beside.pulse).layer(Extension(caller::InDemo))
}

fn routes(live: Arc<Live>, beside: Router<Arc<Live>>, pulse: Arc<live::Pulse>) -> Router {
    let guarded = Router::new()
        .route("/", get(page::now::now))
        .route("/login", get(page::login).post(session::log_in))
        .route("/style.css", get(page::style))
        .route("/app.js", get(page::script))
        .route("/events", get(page::events::list))
        .route("/events/{seq}", get(page::events::one))
        .route("/events/{seq}/evidence", get(page::evidence::look))
        .route("/events/{seq}/sample.json", get(page::evidence::sample))
        .route("/events/{seq}/test.yaml", get(page::evidence::test))
        .route("/events/{seq}/replay", post(page::events::replay))
        .route("/deliveries", get(page::deliveries::list))
        .route("/deliveries/retry", post(page::deliveries::retry_all))
        .route("/deliveries/{id}", get(page::deliveries::one))
        .route("/deliveries/{id}/retry", post(page::deliveries::retry))
        .route("/deliveries/{id}/cancel", post(page::deliveries::cancel))
        .route("/upcoming", get(page::upcoming::list))
        .route("/upcoming/{id}/send", post(page::upcoming::send))
        .route("/upcoming/{id}/cancel", post(page::upcoming::cancel))
        .route("/rules", get(page::rules::list))
        .route("/playground", get(page::playground::look).post(page::playground::attempt))
        .route("/destinations", get(page::destinations::list).post(page::destinations::test))
        .route("/cases", get(page::people::cases))
        .route("/cases/{id}", get(page::people::case))
        .route("/cases/{id}/ack", post(page::people::ack))
        .route("/cases/{id}/close", post(page::people::close))
        .route("/mutes", get(page::people::mutes).post(page::people::mute))
        .route("/mutes/{id}/end", post(page::people::unmute))
        .route("/audit", get(page::people::audit))
        .route("/metrics", get(metrics))
        .route("/-/reload", post(status::reload))
        .nest("/api/v1", api::router().layer(middleware::from_fn_with_state(live.clone(), zone)))
        .merge(beside)
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(live.clone(), guard::whole))
        .layer(Extension(guard::budget()))
        .layer(Extension(pulse))
        .layer(middleware::from_fn_with_state(live.clone(), guard::guard));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .merge(guarded)
        .layer(Extension(Arc::new(session::Failures::default())))
        .layer(middleware::from_fn(guard::documents))
        .layer(middleware::from_fn(guard::headers))
        .with_state(live)
}

async fn zone(State(live): State<Arc<Live>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let zone = live.snapshot.load().settings.zone();
    if let Some(name) = zone.iana_name().and_then(|name| HeaderValue::from_str(name).ok()) {
        response.headers_mut().insert(ZONE_HEADER, name);
    }
    response
}

async fn not_allowed() -> Response {
    answer::problem(StatusCode::METHOD_NOT_ALLOWED, "this can't be done here; `/api/v1/openapi.json` says what can")
}

async fn not_found() -> Response {
    answer::problem(StatusCode::NOT_FOUND, "there is nothing here")
}

/// 200 as long as events can be appended, and are planned and dispatched; the body says which rules are in force, and to whom
/// it may see that, what is wrong with the files on disk.
async fn readyz(
    State(live): State<Arc<Live>>,
    Extension(failures): Extension<Arc<session::Failures>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let asking = session::Asking { failures: &failures, from: from.ip(), at: live.clock.now() };
    let snapshot = live.snapshot.load();
    let stale = live.stale.load();
    let commits = tokio::time::timeout(live.bounds.commit, live.store.probe()).await;
    let commits = commits.unwrap_or_else(|_| Err(store::Error::Unavailable("no commit in time".into())));
    let stalls = live.progress.stalls();
    let has_failed = live.failure().is_some();
    let is_ready = commits.is_ok() && stalls.is_empty() && !has_failed && !live.is_draining();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let moves = |step| if stalls.iter().any(|stall| stall.step == step) { "stalled" } else { "moves" };
    let mut body = json!({
        "ready": status == StatusCode::OK,
        "store": match &commits {
            Ok(()) => "commits",
            Err(store::Error::Full) => "the disk is full",
            Err(_) => "can't commit",
        },
        "plan": moves("plan"),
        "dispatch": moves("dispatch"),
        "failed": has_failed,
        "tasks_ended": live.tasks.ends(),
        "draining": live.is_draining(),
        "rules": {
            "in_force": snapshot.rules.is_some(),
            "count": snapshot.rule_count(),
            "hash": snapshot.hash,
            "since": snapshot.since.to_string(),
            "stale": stale.is_some(),
        },
    });
    if let Some(absence) = live.absence.load().as_ref() {
        body["absence"] = absence.json();
    }
    if let Some(report) = stale.as_deref().filter(|_| guard::may_see(&live, &headers, &asking)) {
        body["rules"]["report"] = report.into();
    }
    (status, [(CONTENT_TYPE, "application/json")], body.to_string() + "\n").into_response()
}

async fn metrics(State(live): State<Arc<Live>>) -> Response {
    match live.store.census().await {
        Ok(census) => {
            let waited = census.oldest_due.map_or(0.0, |due| age_s(live.clock.now(), due));
            live.telemetry.inbox(census.head, census.planned);
            live.telemetry.census(&census.deliveries, waited, census.bytes);
        }
        Err(error) => live.telemetry.store_failed("census", &error.to_string()),
    }
    if let Ok(standings) = live.store.standings().await {
        for standing in standings {
            live.telemetry.failing(&standing.destination, standing.pace.is_failing());
        }
    }
    if let Ok(count) = cases::count(&live).await {
        live.telemetry.cases(count.open, count.waiting);
    }
    let snapshot = live.snapshot.load();
    if let Some(certificate) = snapshot.settings.tls.as_ref().and_then(|tls| tls.certificate.as_ref()) {
        live.telemetry.certificate(certificate.expires);
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], live.telemetry.metrics()).into_response()
}

fn age_s(now: Timestamp, then: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64().max(0.0)
}
