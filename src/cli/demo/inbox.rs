//! The demo's inboxes: local servers that stand in for every channel, and keep what they got.
//!
//! They answer as the real services do when all is well, so that the demo sends exactly what it would send there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use crate::channels::{ChannelKind, Dress, Endpoint, HttpRequest, MailRequest, Picture, Reply, Request};
use crate::config::Destination;
use crate::secret::Secret;

/// The most that are kept.
const KEPT_MAX: usize = 500;

/// One thing that arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    /// Its number, from 1.
    pub number: usize,
    /// The channel.
    pub channel: &'static str,
    /// What its service dresses a message in.
    pub dress: Dress,
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
    fn keep(&self, kind: &ChannelKind, destination: &str, picture: Picture, raw: String) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let number = arrived.last().map_or(1, |last| last.number + 1);
        if arrived.len() >= KEPT_MAX {
            arrived.remove(0);
        }
        arrived.push(Arrived {
            number,
            channel: kind.name,
            dress: kind.likeness.dress,
            destination: destination.to_owned(),
            picture,
            raw,
        });
    }

    /// The number of what arrived last.
    pub(super) fn last(&self) -> usize {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).last().map_or(0, |last| last.number)
    }

    /// What arrived after `number`, oldest first.
    pub(super) fn after(&self, number: usize) -> Vec<Arrived> {
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.iter().filter(|one| one.number > number).cloned().collect()
    }
}

/// What the servers know.
#[derive(Debug, Clone)]
pub(super) struct Served {
    /// Where it is kept.
    pub inbox: Arc<Inbox>,
    /// Whose inboxes they are, by name: the first part of a path.
    pub destinations: Arc<BTreeMap<String, Arc<Destination>>>,
}

impl Served {
    /// Keeps what came for a destination, and answers as its service does.
    fn take(&self, to: &str, destination: &Destination, request: &Request) -> Reply {
        if let Some(picture) = destination.kind.picture(request) {
            let body = match request {
                Request::Http(http) => &http.body,
                Request::Mail(mail) => &mail.message,
                Request::Nothing => &Vec::new(),
            };
            self.inbox.keep(destination.kind, to, picture, String::from_utf8_lossy(body).replace('\r', ""));
        }
        destination.channel.taken(request)
    }

    /// Keeps a mail, no matter who it is for: a mail server knows people, not destinations.
    pub(super) fn mail(&self, to: Vec<String>, message: Vec<u8>) {
        let server = |destination: &Destination| {
            let mut endpoints = destination.channel.facts().endpoints.iter();
            endpoints.find_map(|endpoint| match endpoint {
                Endpoint::Mail(server) => Some(server.clone()),
                Endpoint::Web(_) => None,
            })
        };
        let found = self.destinations.values().find_map(|destination| Some((destination, server(destination)?)));
        if let Some((destination, server)) = found {
            let people = to.join(", ");
            let mail = MailRequest { server, envelope_to: to, message };
            self.take(&people, destination, &Request::Mail(Box::new(mail)));
        }
    }
}

/// The servers of all channels that speak HTTP.
pub(super) fn router(served: Served) -> Router {
    Router::new().fallback(any(post)).with_state(served)
}

async fn post(State(served): State<Served>, method: Method, uri: Uri, body: Bytes) -> Response {
    let name = uri.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    let Some(destination) = served.destinations.get(name) else { return StatusCode::NOT_FOUND.into_response() };
    let method = ["PUT", "PATCH"].into_iter().find(|known| *known == method.as_str()).unwrap_or("POST");
    let (url, headers) = (Secret::new(uri.to_string()), Vec::new());
    let request = Request::Http(HttpRequest { method, url, headers, body: body.into() });
    match served.take(name, destination, &request) {
        Reply::Http { status, body, .. } => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), [(CONTENT_TYPE, "application/json")], body)
                .into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}
