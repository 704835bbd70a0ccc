//! Several replicas on one PostgreSQL, as processes under load: one is killed, the server crashes, and nothing that was
//! answered is lost; what belongs to all of them happens once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fanfare::clock::{AnchoredClock, Clock, RealClock};
use fanfare::steps::Bounds;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::app::{App, event, eventually, eventually_within, json, page_signature, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET, UNDER_WAY};
use crate::support::http_peer::{HttpPeer, Recorded};
use crate::support::load::waiting;
use crate::support::postgres::{self, Server};
use crate::support::process::Process;
use crate::support::raw::{Connection, post};

mod failover;
mod rolling;

/// Reports everything; and a case that is insisted on once, three seconds after it opened.
const LADDER: &str = "rules:
  - name: everything
    events: 'release.*'
    actions: [{to: ledger, text: '{{ event.id }}'}]
  - name: ladder
    events: fraud.action_required
    case: $.data.release_id
    actions:
      - {to: ledger, text: 'first {{ event.id }}'}
      - {to: ledger, after: 3s, text: 'insist {{ event.id }}'}
";

/// The files of replicas on the store at an address. They may be the same for all: their ports are any that are free.
fn folder(address: &str, peer: &HttpPeer, rules: &str) -> Folder {
    let config = CONFIG.replace("sqlite:data/fanfare.db", &format!("\"{address}\""));
    assert!(config.contains(address));
    Folder::new(&config, &peer.url("/ledger"), rules)
}

/// What senders know for certain.
#[derive(Default)]
struct Sent {
    accepted: Mutex<BTreeSet<String>>,
    refused: Mutex<BTreeMap<u16, usize>>,
    stop: AtomicBool,
}

impl Sent {
    fn count(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    fn refused(&self) -> usize {
        self.refused.lock().unwrap().values().sum()
    }

    async fn reaches(self: &Arc<Self>, count: usize) {
        eventually("events are accepted", async || (self.count() >= count).then_some(())).await;
    }
}

/// One answer, from any replica that gives one; a replica that is gone is passed over, as a load balancer does.
async fn send(replicas: &[SocketAddr], nth: usize, body: &str) -> Option<(u16, String)> {
    let signature = page_signature(SECRET, body.as_bytes());
    let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
    let mut connection = Connection::try_open(replicas[nth % replicas.len()]).await?;
    if !connection.send(&request).await {
        return None;
    }
    let answer = connection.answer().await;
    (answer.status != 0).then(|| (answer.status, answer.text()))
}

/// Sends events, each again until it is accepted, as senders do.
async fn sender(replicas: Vec<SocketAddr>, name: String, sent: Arc<Sent>) {
    let mut tries = 0;
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    for number in 0.. {
        let id = format!("evt_{name}_{number}");
        loop {
            if sent.stop.load(Ordering::SeqCst) {
                return;
            }
            turns.tick().await;
            tries += 1;
            match send(&replicas, tries, &event(&id, "release.live")).await {
                Some((200, _)) => break,
                Some((status, _)) => *sent.refused.lock().unwrap().entry(status).or_default() += 1,
                None => {}
            }
        }
        sent.accepted.lock().unwrap().insert(id);
    }
}

async fn status(process: &Process) -> Value {
    json(process.admin, "/api/v1/status").await
}

/// How long the claims of a process that was killed stand: an attempt's deadline, half a minute more, and a busy machine.
const CLAIMS_STAND: Duration = Duration::from_secs(120);

/// Waits until everything is planned and delivered, also what a process had under way that is gone.
async fn until_done(process: &Process) {
    eventually_within(CLAIMS_STAND, "all is delivered", async || {
        let status = status(process).await;
        (status["inbox"]["head"] == status["inbox"]["planned"] && waiting(&status) == 0).then_some(())
    })
    .await;
}

/// How often each text came out, each under one key only.
fn told(requests: &[Recorded]) -> BTreeMap<String, usize> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests {
        let message = &request.json()["message"];
        // One line of text is its title.
        let text = [&message["title"], &message["text"]].map(|said| said.as_str().unwrap_or_default()).concat();
        keys.entry(text.clone()).or_default().insert(request.header("idempotency-key").unwrap().to_owned());
        *times.entry(text).or_default() += 1;
    }
    for (text, keys) in keys {
        assert_eq!(keys.len(), 1, "`{text}` went out under several keys: {keys:?}");
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_killed_and_postgres_crashes_and_nothing_accepted_is_lost() {
    let server = Server::start("");
    let peer = HttpPeer::start().await;
    let folder = folder(&server.fresh(), &peer, LADDER);
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Process::start(folder.path()).await);
    }
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.webhooks).collect();
    let sent = Arc::new(Sent::default());
    let mut senders = JoinSet::new();
    for nth in 0..4 {
        senders.spawn(sender(addresses.clone(), nth.to_string(), sent.clone()));
    }
    soon("events", sent.reaches(100)).await;

    // Cases open while all goes well; each is to be insisted on once, whatever happens in the meantime.
    let cases: Vec<String> = (0..5).map(|nth| format!("evt_case_{nth}")).collect();
    for (nth, id) in cases.iter().enumerate() {
        let body = event(id, "fraud.action_required").replace("rel_1", &format!("rel_{nth}"));
        // The same at all three: one event.
        let mut answers = Vec::new();
        for replica in 0..3 {
            answers.push(send(&addresses, replica, &body).await.unwrap());
        }
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        let accepted = answers.iter().filter(|(_, text)| text.contains("\"accepted\"")).count();
        assert_eq!(accepted, 1, "{answers:?}");
    }

    let killed = replicas.remove(0);
    let log = killed.kill().await;
    assert!(!log.contains("panicked"), "{log}");
    soon("events after one was killed", sent.reaches(sent.count() + 100)).await;

    let refused = sent.refused();
    server.down("immediate");
    eventually("events are refused", async || (sent.refused() > refused).then_some(())).await;
    server.up();
    soon("events after PostgreSQL came back", sent.reaches(sent.count() + 100)).await;

    sent.stop.store(true, Ordering::SeqCst);
    senders.join_all().await;
    // What the killed one had begun stands until its claims run out, and what follows in its case waits for that.
    eventually_within(CLAIMS_STAND, "each case is insisted on", async || {
        let texts = told(&peer.requests());
        cases.iter().all(|id| texts.contains_key(&format!("insist {id}"))).then_some(())
    })
    .await;
    until_done(&replicas[0]).await;
    let dead = json(replicas[0].admin, "/api/v1/deliveries?state=dead").await;
    assert_eq!(dead, serde_json::json!([]), "nobody refused anything");

    let times = told(&peer.requests());
    let accepted = sent.accepted.lock().unwrap().clone();
    let lost: Vec<_> = accepted.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    // Planned once: their keys follow from the plan. What was under way at a crash may be sent again, under its key.
    let repeats: usize = times.values().map(|times| times - 1).sum();
    assert!(repeats <= 2 * UNDER_WAY, "{repeats} repeats: {times:?}");
    let listed = json(replicas[0].admin, "/api/v1/deliveries?rule=ladder&limit=100").await;
    assert_eq!(listed.as_array().unwrap().len(), 2 * cases.len(), "each step of each ladder, once");
    let refused = sent.refused.lock().unwrap().clone();
    assert!(refused.keys().all(|status| *status == 503), "{refused:?}");
    println!("{} accepted, {repeats} repeated, refused: {refused:?}", accepted.len());
    for replica in replicas {
        let (status, log) = replica.terminate().await;
        assert!(status.success() && !log.contains("panicked"), "{status}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_plans_within_five_seconds_of_the_planners_death() {
    let peer = HttpPeer::start().await;
    let address = postgres::fresh();
    let folder = folder(&address, &peer, EVERYTHING);
    let first = Process::start(folder.path()).await;
    assert_eq!(send(&[first.webhooks], 0, &event("evt_1", "release.live")).await.unwrap().0, 200);
    soon("the first plans", peer.received(1)).await;
    let second = Process::start(folder.path()).await;
    first.kill().await;
    let died = Instant::now();
    assert_eq!(send(&[second.webhooks], 0, &event("evt_2", "release.live")).await.unwrap().0, 200);
    eventually("the second plans", async || {
        let status = status(&second).await;
        (status["inbox"]["planned"] == 2).then_some(())
    })
    .await;
    assert!(died.elapsed() < Duration::from_secs(5), "{:?}", died.elapsed());
    soon("the second delivers", peer.received(2)).await;
    assert_eq!(told(&peer.requests()).values().copied().collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_receives_another_plans_before_it_looks_again_by_itself() {
    let peer = HttpPeer::start().await;
    let folder = folder(&postgres::fresh(), &peer, EVERYTHING);
    let planner = Process::start(folder.path()).await;
    assert_eq!(send(&[planner.webhooks], 0, &event("evt_0", "release.live")).await.unwrap().0, 200);
    soon("the planner", peer.received(1)).await;
    let receiver = Process::start(folder.path()).await;
    // Each look by itself comes after up to a second: ten without a hint would take some five.
    let began = Instant::now();
    for nth in 1..=10 {
        let id = format!("evt_{nth}");
        assert_eq!(send(&[receiver.webhooks], 0, &event(&id, "release.live")).await.unwrap().0, 200);
        soon("a hinted plan", peer.received(nth + 1)).await;
    }
    assert!(began.elapsed() < Duration::from_millis(3500), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_in_the_address_is_shown_nowhere() {
    let peer = HttpPeer::start().await;
    let address = postgres::fresh().replacen("postgres://fanfare@", "postgres://fanfare:hunter2-of-the-store@", 1);
    let folder = folder(&address, &peer, EVERYTHING);
    let replica = Process::start_with(folder.path(), "trace", &[]).await;
    assert_eq!(send(&[replica.webhooks], 0, &event("evt_1", "release.live")).await.unwrap().0, 200);
    soon("a delivery", peer.received(1)).await;
    let (status, log) = replica.terminate().await;
    assert!(status.success(), "{log}");
    assert!(!log.contains("hunter2-of-the-store"), "the log shows the password");

    let away = "postgres://fanfare:hunter2-of-the-store@127.0.0.1:1/db?sslmode=disable";
    folder
        .write("fanfare.yaml", &CONFIG.replace("sqlite:data/fanfare.db", away).replace("PEER", "http://127.0.0.1:1/"));
    let Err(log) = Process::try_start(folder.path(), "trace", &[]).await else { panic!("it started without a store") };
    assert!(log.contains("the store can't be opened") && !log.contains("hunter2"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_in_transaction_mode_two_replicas_share_the_work() {
    let peer = HttpPeer::start().await;
    let folder = folder(&postgres::fresh_behind_a_pooler(), &peer, EVERYTHING);
    let replicas = [Process::start(folder.path()).await, Process::start(folder.path()).await];
    let addresses: Vec<SocketAddr> = replicas.iter().map(|replica| replica.webhooks).collect();
    let sent = Arc::new(Sent::default());
    let mut senders = JoinSet::new();
    for nth in 0..4 {
        senders.spawn(sender(addresses.clone(), nth.to_string(), sent.clone()));
    }
    soon("events", sent.reaches(200)).await;
    sent.stop.store(true, Ordering::SeqCst);
    senders.join_all().await;
    until_done(&replicas[0]).await;
    let accepted = sent.accepted.lock().unwrap().clone();
    let times = told(&peer.requests());
    assert!(accepted.iter().all(|id| times.get(id) == Some(&1)), "{times:?}");
    assert!(sent.refused.lock().unwrap().is_empty());
    for replica in replicas {
        let (status, log) = replica.terminate().await;
        assert!(status.success() && !log.contains("ERROR") && !log.contains("panicked"), "{status}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_clock_is_an_hour_off_goes_by_the_databases() {
    let peer = HttpPeer::start().await;
    let clock = Arc::new(AnchoredClock::default());
    assert_eq!(clock.correct(SignedDuration::from_hours(1)), SignedDuration::from_hours(1));
    assert!(clock.now().duration_since(RealClock.now()) > SignedDuration::from_mins(59));
    let app = App::start_with(folder(&postgres::fresh(), &peer, EVERYTHING), Bounds::default(), clock.clone()).await;
    let off = clock.now().duration_since(RealClock.now()).abs();
    assert!(off < SignedDuration::from_secs(5), "{off}");
    app.end().await;
}
