//! Killed at any moment: what was answered 2xx is carried out, and repeated no more than what was under way.
//!
//! `FANFARE_CRASH_ROUNDS` sets how often, and `FANFARE_CRASH_SEED` from which dice; a failure names both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::app::{event, eventually, json, page_signature, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET};
use crate::support::http_peer::{HttpPeer, Recorded};
use crate::support::process::Process;
use crate::support::raw::{Connection, post};

const SENDERS: usize = 8;
/// `concurrency` of the only destination: so many deliveries are under way at most.
const UNDER_WAY: usize = 4;

/// What senders know for certain.
#[derive(Default)]
struct Sent {
    accepted: Mutex<Vec<String>>,
    more: Notify,
}

impl Sent {
    fn count(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    async fn reaches(&self, count: usize) {
        loop {
            let more = self.more.notified();
            if self.count() >= count {
                return;
            }
            more.await;
        }
    }
}

/// Posts one event after the other until the connection breaks. Only what was answered 200 is noted.
async fn sender(address: SocketAddr, name: String, sent: Arc<Sent>) {
    let mut connection = Connection::open(address).await;
    for number in 0.. {
        let id = format!("evt_{name}_{number}");
        let body = event(&id, "release.live");
        let signature = page_signature(SECRET, body.as_bytes());
        let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
        if !connection.send(&request).await {
            return;
        }
        let answer = connection.answer().await;
        match answer.status {
            200 => sent.accepted.lock().unwrap().push(id),
            // Killed, or draining: nothing is promised.
            _ => return,
        }
        sent.more.notify_waiters();
    }
}

fn load(process: &Process, round: usize, sent: &Arc<Sent>) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        senders.spawn(sender(process.webhooks, format!("{round}_{number}"), sent.clone()));
    }
    senders
}

/// Waits until everything is planned and delivered.
async fn until_done(process: &Process) {
    eventually("all is delivered", async || {
        let status = json(process.admin, "/api/v1/status").await;
        let waiting: u64 =
            ["due", "sending", "retrying"].iter().filter_map(|state| status["deliveries"][state].as_u64()).sum();
        (status["inbox"]["head"] == status["inbox"]["planned"] && waiting == 0).then_some(())
    })
    .await;
}

/// How often each event came out; under which key must be the same each time.
fn deliveries(requests: &[Recorded]) -> BTreeMap<String, usize> {
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

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_loses_nothing_that_was_accepted() {
    let rounds = usize::try_from(number("FANFARE_CRASH_ROUNDS", 20)).unwrap();
    let seed = number("FANFARE_CRASH_SEED", 20_260_105);
    println!("FANFARE_CRASH_ROUNDS={rounds} FANFARE_CRASH_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let sent = Arc::new(Sent::default());
    for round in 0..rounds {
        let process = Process::start(folder.path()).await;
        let senders = load(&process, round, &sent);
        // A moment of the intake in one round, of the delivery in the next, counted so that it comes on any machine.
        if round % 2 == 0 {
            soon("events", sent.reaches(sent.count() + dice.usize(1..150))).await;
        } else {
            soon("deliveries", peer.received(peer.requests().len() + dice.usize(1..60))).await;
        }
        let log = process.kill().await;
        assert!(!log.contains("panicked"), "round {round}: {log}");
        senders.join_all().await;
    }
    let process = Process::start(folder.path()).await;
    until_done(&process).await;
    let accepted = sent.accepted.lock().unwrap().clone();
    let dead = json(process.admin, "/api/v1/deliveries?state=dead").await;
    assert_eq!(dead, serde_json::json!([]), "nobody refused anything");
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{status}\n{log}");

    let times = deliveries(&peer.requests());
    let lost: Vec<_> = accepted.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    let repeats = times.values().map(|times| times - 1).sum::<usize>();
    println!("{} accepted, {} delivered, {repeats} repeated in {rounds} kills", accepted.len(), times.len());
    assert!(repeats <= rounds * UNDER_WAY, "{repeats} repeats");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_end_under_load_it_finishes_and_loses_nothing() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let sent = Arc::new(Sent::default());
    for round in 0..3 {
        let process = Process::start(folder.path()).await;
        let senders = load(&process, round, &sent);
        soon("events", sent.reaches(sent.count() + 50)).await;
        let (status, log) = process.terminate().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
        senders.join_all().await;
    }
    let process = Process::start(folder.path()).await;
    until_done(&process).await;
    let times = deliveries(&peer.requests());
    let accepted = sent.accepted.lock().unwrap().clone();
    let lost: Vec<_> = accepted.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert!(times.values().all(|times| *times == 1), "an orderly end repeats nothing");
}

#[tokio::test]
async fn a_second_process_on_the_same_store_is_refused_and_told_why() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let first = Process::start(folder.path()).await;
    let Err(log) = Process::try_start(folder.path(), "info", &[]).await else { panic!("two run on one store") };
    assert!(log.contains("is in use by another Fanfare: stop that one"), "{log}");
    assert_eq!(json(first.admin, "/readyz").await["ready"], true, "the first is left in peace");
    first.kill().await;
    // A lock must not outlive its process.
    Process::start(folder.path()).await;
}
