//! The demo's inboxes: local servers that stand in for every channel, keep what they got, and show it on a page.
//!
//! They answer as the real services do when all is well, so that the demo sends exactly what it would send there.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use crate::cli::demo::page;
use crate::cli::picture::{self, Picture};

/// The most that are kept.
const KEPT_MAX: usize = 500;

/// One thing that arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    /// Its number, from 1.
    pub number: usize,
    /// The channel.
    pub channel: &'static str,
    /// The destination, as far as the channel's inbox tells.
    pub destination: String,
    /// How it looks.
    pub picture: Picture,
    /// The bytes as text.
    pub raw: String,
}

/// All inboxes.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    arrived: Mutex<Vec<Arrived>>,
}

impl Inbox {
    fn keep(&self, channel: &'static str, destination: &str, picture: Picture, raw: String) -> usize {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let number = arrived.last().map_or(1, |last| last.number + 1);
        if arrived.len() >= KEPT_MAX {
            arrived.remove(0);
        }
        arrived.push(Arrived { number, channel, destination: destination.to_owned(), picture, raw });
        number
    }

    /// Keeps a mail.
    pub(super) fn mail(&self, to: &[String], mail: &[u8]) {
        let raw = String::from_utf8_lossy(mail).replace('\r', "");
        self.keep("email", &to.join(", "), picture::of_mail(&raw), raw);
    }

    /// What arrived after `number`, oldest first.
    pub(super) fn after(&self, number: usize) -> Vec<Arrived> {
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.iter().filter(|one| one.number > number).cloned().collect()
    }
}

/// The servers of all channels that speak HTTP, and the page.
pub(super) fn router(inbox: Arc<Inbox>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/slack/{destination}", post(slack))
        .route("/discord/api/webhooks/1199887766554433221/{destination}", post(discord))
        .route(
            "/discord/api/webhooks/1199887766554433221/{destination}/messages/{message}",
            axum::routing::patch(discord_edit),
        )
        .route("/pagerduty/{destination}", post(pagerduty))
        .route("/http/{destination}", any(http))
        .route("/http/{destination}/{*rest}", any(http))
        .with_state(inbox)
}

type Shared = State<Arc<Inbox>>;

fn parse(body: &Bytes) -> Result<(Value, String), Box<Response>> {
    let raw = String::from_utf8_lossy(body).into_owned();
    match serde_json::from_str(&raw) {
        Ok(document) => Ok((document, raw)),
        Err(_) => Err(Box::new((StatusCode::BAD_REQUEST, "invalid_payload").into_response())),
    }
}

async fn slack(State(inbox): Shared, Path(destination): Path<String>, body: Bytes) -> Response {
    match parse(&body) {
        Ok((document, raw)) => {
            inbox.keep("slack", &destination, picture::of_slack(&document), raw);
            "ok".into_response()
        }
        Err(refusal) => *refusal,
    }
}

async fn discord(State(inbox): Shared, Path(destination): Path<String>, body: Bytes) -> Response {
    match parse(&body) {
        Ok((document, raw)) => {
            let number = inbox.keep("discord", &destination, picture::of_discord(&document), raw);
            json_answer(
                StatusCode::OK,
                &json!({"id": format!("12{number:017}"), "channel_id": "1199887766554433222", "type": 0}),
            )
        }
        Err(refusal) => *refusal,
    }
}

async fn discord_edit(
    State(inbox): Shared,
    Path((destination, message)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    match parse(&body) {
        Ok((document, raw)) => {
            inbox.keep("discord", &format!("{destination}, edit of {message}"), picture::of_discord(&document), raw);
            json_answer(StatusCode::OK, &json!({"id": message, "channel_id": "1199887766554433222", "type": 0}))
        }
        Err(refusal) => *refusal,
    }
}

async fn pagerduty(State(inbox): Shared, Path(destination): Path<String>, body: Bytes) -> Response {
    match parse(&body) {
        Ok((document, raw)) => {
            let key = document["dedup_key"].clone();
            inbox.keep("pagerduty", &destination, picture::of_pagerduty(&document), raw);
            let answer = json!({"status": "success", "message": "Event processed", "dedup_key": key});
            json_answer(StatusCode::ACCEPTED, &answer)
        }
        Err(refusal) => *refusal,
    }
}

async fn http(State(inbox): Shared, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().trim_start_matches("/http/");
    let destination = path.split('/').next().unwrap_or_default();
    let raw = String::from_utf8_lossy(&body).into_owned();
    let document = serde_json::from_str(&raw).unwrap_or_default();
    inbox.keep("http", destination, picture::of_http(&document, uri.path()), raw);
    StatusCode::NO_CONTENT.into_response()
}

fn json_answer(status: StatusCode, document: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

async fn page(State(inbox): Shared) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, policy)];
    (headers, page::page(&inbox.after(0))).into_response()
}
