//! Receive: from a socket to a durable event, then 2xx.
//!
//! Evaluates no rule, so no rule can make it slow or refuse. A request that passes framing, size and age and has a
//! right signature is always kept: the sender would give up on a 4xx. Answers give an attacker no detail; the log does.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::event::{HOP_HEADER, HOPS_MAX, UNPARSED};
use crate::source;
use crate::source::{Refusal, Source};
use crate::steps::Live;
use crate::store::Appended;

/// The service behind the webhooks' listener.
pub fn router(live: Arc<Live>) -> axum::Router {
    axum::Router::new().fallback(webhook).with_state(live)
}

/// Why a request goes no further.
enum Rejection {
    Method,
    Encoding,
    TooLarge,
    Loop,
    TooSlow,
    Broken,
    Refused(Refusal),
    NoCommit(String),
}

async fn webhook(State(live): State<Arc<Live>>, request: Request) -> Response {
    if live.is_draining() {
        return come_again(&live);
    }
    let path = request.uri().path();
    let Some(source) = live.snapshot.load().sources.values().find(|source| source.path == path).cloned() else {
        return problem(StatusCode::NOT_FOUND, "Not Found");
    };
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let mut response = match receive(&live, &source, request).await {
        Ok(response) => response,
        Err(rejection) => reject(&live, &source, rejection),
    };
    if chunked {
        // A length beside the chunks was left aside; a proxy may have gone by it. Nothing that follows is read
        // (RFC 9112, section 6.1).
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// One request, from top to bottom.
async fn receive(live: &Live, source: &Source, request: Request) -> Result<Response, Rejection> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Err(Rejection::Method);
    }
    check_framing(&parts.headers, source.max_body)?;
    let body = read(body, source.max_body, live.bounds.body).await?;
    let request = source::Request { headers: &parts.headers, body: &body };
    let hops = hops(&parts.headers);
    let event = source::open(source, &request, live.clock.now()).map_err(Rejection::Refused)?.after(hops);
    if hops > HOPS_MAX {
        return Err(Rejection::Loop);
    }
    let (id, kind) = (event.id.clone(), event.kind.clone());
    let appended = tokio::time::timeout(live.bounds.commit, live.store.append(event))
        .await
        .map_err(|_| Rejection::NoCommit("no commit in time".into()))?
        .map_err(|error| {
            live.noticed(&error);
            Rejection::NoCommit(error.to_string())
        })?;
    let (outcome, status) = match appended {
        Appended::Fresh(_) if &*kind == UNPARSED => ("unparsed", "accepted"),
        Appended::Fresh(_) => ("accepted", "accepted"),
        Appended::Duplicate { conflict: true, .. } => ("conflict", "duplicate"),
        Appended::Duplicate { conflict: false, .. } => ("duplicate", "duplicate"),
    };
    if matches!(appended, Appended::Fresh(_)) {
        live.to_plan.notify_one();
    }
    live.telemetry.received(&source.name, &id, &kind, outcome);
    Ok(json_response(StatusCode::OK, "application/json", &json!({"status": status, "event": id})))
}

/// How many times what comes was sent on by a Fanfare, as the last of them says.
fn hops(headers: &HeaderMap) -> u32 {
    let said = headers.get(HOP_HEADER).and_then(|hops| hops.to_str().ok());
    said.map_or(0, |said| said.trim().parse().unwrap_or(u32::MAX))
}

/// What can be refused before the body is read. Nothing is ever decompressed, so no bomb can go off.
fn check_framing(headers: &HeaderMap, max_body: usize) -> Result<(), Rejection> {
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(Rejection::Encoding);
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > max_body as u64) {
        return Err(Rejection::TooLarge);
    }
    Ok(())
}

async fn read(body: Body, max_body: usize, deadline: Duration) -> Result<bytes::Bytes, Rejection> {
    match tokio::time::timeout(deadline, to_bytes(body, max_body)).await {
        Err(_) => Err(Rejection::TooSlow),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_length_limit(&error) => Err(Rejection::TooLarge),
        Ok(Err(_)) => Err(Rejection::Broken),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

fn reject(live: &Live, source: &Source, rejection: Rejection) -> Response {
    let note = |reason, detail: &str| live.telemetry.refused(&source.name, reason, detail);
    match rejection {
        Rejection::Method => {
            let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            response
        }
        Rejection::Encoding => {
            note("encoding", "a Content-Encoding");
            problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type")
        }
        Rejection::TooLarge => {
            note("too_large", "a body over max_body");
            problem(StatusCode::PAYLOAD_TOO_LARGE, "Content Too Large")
        }
        Rejection::Loop => {
            note("loop", "it was sent on by Fanfare again and again: a destination leads back here");
            problem(StatusCode::LOOP_DETECTED, "Loop Detected")
        }
        Rejection::TooSlow => {
            note("too_slow", "the body did not come in time");
            problem(StatusCode::REQUEST_TIMEOUT, "Request Timeout")
        }
        Rejection::Broken => {
            note("broken", "the body broke off");
            problem(StatusCode::BAD_REQUEST, "Bad Request")
        }
        Rejection::Refused(refusal) => {
            note(refusal.reason(), &refusal.to_string());
            match refusal.status() {
                400 => problem(StatusCode::BAD_REQUEST, "Bad Request"),
                431 => problem(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large"),
                _ => problem(StatusCode::UNAUTHORIZED, "Unauthorized"),
            }
        }
        Rejection::NoCommit(said) => {
            live.telemetry.store_failed("append", &said);
            come_again(live)
        }
    }
}

/// 503: the sender comes again, at a time of its own so that not all come at once.
fn come_again(live: &Live) -> Response {
    let now_ms = live.clock.now().as_millisecond();
    let seconds = 30 + fastrand::Rng::with_seed(live.seed ^ now_ms.unsigned_abs()).u64(0..=60);
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// An RFC 9457 problem document that says no more than its status.
pub fn problem(status: StatusCode, title: &'static str) -> Response {
    let document = json!({"type": "about:blank", "title": title, "status": status.as_u16()});
    json_response(status, "application/problem+json", &document)
}

fn json_response(status: StatusCode, kind: &'static str, document: &serde_json::Value) -> Response {
    (status, [(CONTENT_TYPE, kind)], document.to_string()).into_response()
}
