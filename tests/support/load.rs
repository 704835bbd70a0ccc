//! Senders that post one event after the other, what they know for certain, and how to hold a receiver to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::task::JoinSet;

use super::app::{event, json, page_signature, while_it_moves};
use super::folder::SECRET;
use super::http_peer::Recorded;
use super::raw::{Answer, Connection, exchange, post};

/// What senders know for certain.
#[derive(Default)]
pub struct Sent {
    accepted: Mutex<Vec<String>>,
    refused: Mutex<Vec<Answer>>,
}

impl Sent {
    /// How many events were answered 200.
    pub fn count(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Their ids.
    pub fn accepted(&self) -> Vec<String> {
        self.accepted.lock().unwrap().clone()
    }

    /// The other answers that came.
    pub fn refused(&self) -> Vec<Answer> {
        self.refused.lock().unwrap().clone()
    }

    /// Waits until this many were answered 200.
    pub async fn reaches(&self, count: usize) {
        while_it_moves("events", async || {
            let now = self.count();
            if now >= count { Ok(()) } else { Err(now) }
        })
        .await;
    }
}

/// A signed request with an event.
pub fn request(id: &str) -> Vec<u8> {
    let body = event(id, "release.live");
    let signature = page_signature(SECRET, body.as_bytes());
    post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes())
}

/// Posts one event on a connection of its own.
pub async fn send(webhooks: SocketAddr, id: &str) -> Answer {
    exchange(webhooks, &request(id)).await
}

/// Posts one event after the other until one is not accepted, or the connection breaks.
async fn sender(webhooks: SocketAddr, name: String, sent: Arc<Sent>) {
    let mut connection = Connection::open(webhooks).await;
    for number in 0.. {
        let id = format!("evt_{name}_{number}");
        if !connection.send(&request(&id)).await {
            return;
        }
        let answer = connection.answer().await;
        match answer.status {
            200 => sent.accepted.lock().unwrap().push(id),
            // Killed: nothing is promised.
            0 => return,
            _ => return sent.refused.lock().unwrap().push(answer),
        }
    }
}

/// How many senders at once, each with ids that begin with the round's.
pub fn load(webhooks: SocketAddr, senders: usize, round: usize, sent: &Arc<Sent>) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for number in 0..senders {
        all.spawn(sender(webhooks, format!("{round}_{number}"), sent.clone()));
    }
    all
}

/// How many deliveries of a status document are not final.
pub fn waiting(status: &Value) -> u64 {
    ["due", "sending", "retrying"].iter().filter_map(|state| status["deliveries"][state].as_u64()).sum()
}

/// Waits until everything is planned and delivered.
pub async fn until_done(admin: SocketAddr) {
    while_it_moves("all is delivered", async || {
        let status = json(admin, "/api/v1/status").await;
        let is_done = status["inbox"]["head"] == status["inbox"]["planned"] && waiting(&status) == 0;
        if is_done { Ok(()) } else { Err((status["inbox"].clone(), status["deliveries"].clone())) }
    })
    .await;
}

/// How often each event came out; under which key must be the same each time.
pub fn deliveries(requests: &[Recorded]) -> BTreeMap<String, usize> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests {
        let body = request.json();
        let id = body["event"]["id"].as_str().unwrap().to_owned();
        let key = request.header("idempotency-key").unwrap().to_owned();
        assert_eq!(body["id"], key.as_str());
        keys.entry(id.clone()).or_default().insert(key);
        *times.entry(id).or_default() += 1;
    }
    for (id, keys) in keys {
        assert_eq!(keys.len(), 1, "`{id}` went out under several keys: {keys:?}");
    }
    times
}
