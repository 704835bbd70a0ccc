//! Receive: from a socket to a durable event, then 2xx.
//!
//! Evaluates no rule, so no rule can make it slow or refuse. A request that passes framing, size and age and has a
//! right signature is always kept: the sender would give up on a 4xx. Answers give an attacker no detail; the log does.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::event::{Event, HOP_HEADER, HOPS_MAX, UNPARSED};
use crate::links;
use crate::server::body::{self, Budget, Unread};
use crate::server::problem;
use crate::source;
use crate::source::{Refusal, Source};
use crate::steps::Live;
use crate::steps::act::{self, Actor};
use crate::store::Appended;

/// What stands for a source where a request has none.
const NO_SOURCE: &str = "none";
/// Of a path that no source has, the log shows this many characters.
const PATH_SHOWN: usize = 200;
/// A body of more bytes than this waits for its turn to be opened.
const LARGE: usize = 64 * 1024;
/// This many large bodies are opened at a time: what reading JSON takes is many times what the text takes.
const OPENED_AT_ONCE: usize = 2;

/// The service behind the webhooks' listener.
pub fn router(live: Arc<Live>) -> axum::Router {
    let budget = Budget::new(live.bounds.body_bytes);
    let actor = Actor { live: live.clone(), budget: budget.clone() };
    let receiver = Receiver { live, budget, large: Semaphore::new(OPENED_AT_ONCE) };
    let links = axum::Router::new().route("/act/{*token}", any(act::answer)).with_state(Arc::new(actor));
    axum::Router::new().fallback(webhook).with_state(Arc::new(receiver)).merge(links)
}

struct Receiver {
    live: Arc<Live>,
    /// Bytes of bodies in flight.
    budget: Budget,
    /// Turns to open a large body.
    large: Semaphore,
}

/// Why a request goes no further.
enum Rejection {
    Method(Method),
    Encoding,
    Unread(Unread),
    Loop,
    Refused(Refusal),
    NoCommit(String),
}

async fn webhook(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let live = &receiver.live;
    if live.is_draining() {
        return live.come_again();
    }
    let Some(source) = source_at(live, request.uri().path()) else {
        let path: String = links::without_token(request.uri().path()).chars().take(PATH_SHOWN).collect();
        live.telemetry.refused(NO_SOURCE, "not_found", &format!("no source has the path {path:?}"));
        return problem(StatusCode::NOT_FOUND);
    };
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let mut response = match receiver.receive(&source, request).await {
        Ok(response) => response,
        Err(rejection) => reject(live, &source, rejection),
    };
    if chunked {
        // A length beside the chunks was left aside; a proxy may have gone by it. Nothing that follows is read
        // (RFC 9112, section 6.1).
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The source that posts to this path; a slash at its end makes no difference.
fn source_at(live: &Live, path: &str) -> Option<Arc<Source>> {
    let plain = path.strip_suffix('/').unwrap_or(path);
    live.snapshot.load().sources.values().find(|source| source.path == plain || source.path == path).cloned()
}

impl Receiver {
    /// One request, from top to bottom.
    async fn receive(&self, source: &Source, request: Request) -> Result<Response, Rejection> {
        let live = &self.live;
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(Rejection::Method(parts.method));
        }
        check_framing(&parts.headers, source.max_body)?;
        if !source.may_be_taken(&parts.headers) {
            // Anyone who asks before it sends a body need not send it.
            if !parts.headers.contains_key(EXPECT) {
                body::discard(body, source.max_body, live.bounds.body).await.map_err(Rejection::Unread)?;
            }
            return Err(Rejection::Refused(Refusal::Unsigned));
        }
        let held =
            body::read(body, source.max_body, live.bounds.body, &self.budget).await.map_err(Rejection::Unread)?;
        let hops = hops(&parts.headers);
        let since = live.sending_again.load().get(&*source.name).copied();
        let patient = since.map(|since| source.sending_again_since(since, live.clock.now()));
        let event = self.open(patient.as_ref().unwrap_or(source), &parts.headers, &held.bytes).await?.after(hops);
        if hops > HOPS_MAX {
            return Err(Rejection::Loop);
        }
        // What was signed is in the event.
        drop(held.bytes);
        let (id, kind) = (event.id.clone(), event.kind.clone());
        let appended = tokio::time::timeout(live.bounds.commit, live.store.append(event))
            .await
            .map_err(|_| Rejection::NoCommit("no commit in time".into()))?
            .map_err(|error| {
                live.noticed(&error);
                Rejection::NoCommit(error.to_string())
            })?;
        drop(held.share);
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
        Ok(accepted(&json!({"status": status, "event": id})))
    }

    /// Verifies and normalises; a large body when its turn comes.
    async fn open(&self, source: &Source, headers: &HeaderMap, body: &[u8]) -> Result<Event, Rejection> {
        let turn = if body.len() > LARGE {
            let turn = tokio::time::timeout(self.live.bounds.commit, self.large.acquire()).await;
            Some(turn.map_err(|_| Rejection::Unread(Unread::NoRoom))?)
        } else {
            None
        };
        let request = source::Request { headers, body };
        let event = source::open_unread(source, &request, self.live.clock.now()).map_err(Rejection::Refused);
        drop(turn);
        event
    }
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
        return Err(Rejection::Unread(Unread::TooLarge));
    }
    Ok(())
}

fn reject(live: &Live, source: &Source, rejection: Rejection) -> Response {
    let note = |reason, detail: &str| live.telemetry.refused(&source.name, reason, detail);
    match rejection {
        Rejection::Method(method) => {
            let method: String = method.as_str().chars().take(PATH_SHOWN).collect();
            note("method", &format!("{method}; only POST is answered"));
            let mut response = problem(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            response
        }
        Rejection::Encoding => {
            note("encoding", "a Content-Encoding");
            problem(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        }
        Rejection::Unread(Unread::TooLarge) => {
            note("too_large", "a body over max_body");
            problem(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Rejection::Loop => {
            note("loop", "Fanfare forwarded it repeatedly: a destination leads back here");
            problem(StatusCode::LOOP_DETECTED)
        }
        Rejection::Unread(Unread::TooSlow) => {
            note("too_slow", "the body did not come in time");
            problem(StatusCode::REQUEST_TIMEOUT)
        }
        Rejection::Unread(Unread::Broken) => {
            note("broken", "the body ended early");
            problem(StatusCode::BAD_REQUEST)
        }
        Rejection::Unread(Unread::NoRoom) => {
            note("no_room", "too many bytes of bodies in flight");
            live.come_again()
        }
        Rejection::Refused(refusal) => {
            note(refusal.reason(), &refusal.to_string());
            problem(StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED))
        }
        Rejection::NoCommit(said) => {
            live.telemetry.store_failed("append", &said);
            live.come_again()
        }
    }
}

fn accepted(document: &serde_json::Value) -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}
