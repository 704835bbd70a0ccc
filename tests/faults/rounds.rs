//! Rounds of planning that are too large, too dear or deadly: the planner does less at a time, sets aside what it can't
//! cope with, and anyone who sends notices nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fanfare::channels::wire::Transport;
use fanfare::channels::{Reply, Request};
use fanfare::clock::{Clock, RealClock, VirtualClock, plus};
use fanfare::config::Snapshot;
use fanfare::config::load;
use fanfare::config::substitute::RealEnvironment;
use fanfare::event::{Event, EventId, Item};
use fanfare::secret::Secret;
use fanfare::steps::{Live, StepResult, plan};
use fanfare::store;
use fanfare::store::{DeliveryFilter, EventFilter, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::app::{event, json, page_signature, while_it_moves};
use crate::support::flawed::{Fate, Flawed};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::load::{send, until_done};
use crate::support::process::{Process, command};
use crate::support::raw::{exchange, post};

/// One message for each event, and a case for each release.
const CASES: &str = "rules:
  - name: told
    events: 'release.*'
    case: $.data.release_id
    actions: [{to: ledger, text: '{{ event.id }}'}]
";

/// Sends nothing.
struct Nobody;

impl Transport for Nobody {
    fn send<'a>(&'a self, _: &'a str, _: &'a Request, _: Duration) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(std::future::ready(Reply::http(200, "")))
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_767_607_200).unwrap()
}

fn snapshot(rules: &str) -> Arc<Snapshot> {
    let folder = Folder::new(CONFIG, "https://ledger.example/", rules);
    let loaded = load::load(&folder.file("fanfare.yaml"), &RealEnvironment, start());
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    Arc::new(loaded.snapshot.unwrap())
}

fn live(store: Arc<dyn Store>, snapshot: &Arc<Snapshot>, clock: Arc<dyn Clock>, seed: u64) -> Live {
    Live::new(store, snapshot.clone(), clock, Arc::new(Nobody), seed)
}

async fn in_memory() -> Arc<dyn Store> {
    store::open(&Secret::new("memory:"), std::path::Path::new("")).await.unwrap()
}

async fn append(store: &dyn Store, release: &str) {
    let body = json!({"id": release, "type": "release.live", "data": {"release_id": release}});
    append_body(store, release, &body).await;
}

async fn append_body(store: &dyn Store, id: &str, body: &Value) {
    let event = Event {
        source: "jewelmusic".into(),
        id: EventId(id.into()),
        kind: "release.live".into(),
        created: start(),
        received: start(),
        raw: body.to_string().into_bytes().into(),
        body: body.clone(),
        proof: "".into(),
    };
    store.append(event).await.unwrap();
}

/// The releases that were notified of.
async fn told(store: &dyn Store) -> BTreeSet<String> {
    let filter = DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() };
    let all = store.list_deliveries(&filter).await.unwrap();
    all.into_iter().filter_map(|one| Some(one.planned.assignment.case?.key)).collect()
}

#[tokio::test]
async fn what_the_process_dies_of_again_and_again_is_found_and_parked_and_all_others_are_reported() {
    let (store, snapshot, clock) = (in_memory().await, snapshot(CASES), VirtualClock::new(start()));
    for number in 0..40 {
        append(&*store, &format!("R{number}")).await;
    }
    let (mut deaths, mut batches) = (0, Vec::new());
    loop {
        assert!(deaths < 20, "it dies of it forever: {batches:?}");
        let size = Arc::new(Mutex::new(0));
        let seen = size.clone();
        let deadly = Flawed::loading(&store, move |keys| {
            let cases = keys.one.iter().filter(|key| key.kind == "case");
            *seen.lock().unwrap() = cases.clone().count();
            let is_deadly = cases.clone().any(|key| key.id.ends_with("R17"));
            if is_deadly { Fate::Hangs } else { Fate::Well }
        });
        let process = live(Arc::new(deadly), &snapshot, Arc::new(clock.clone()), deaths);
        let all = async { while plan::step(&process, clock.now()).await.unwrap().has_worked() {} };
        if tokio::time::timeout(Duration::from_millis(500), all).await.is_ok() {
            break;
        }
        // Its process is gone, and another may plan once its lease is over.
        batches.push(*size.lock().unwrap());
        deaths += 1;
        clock.advance(SignedDuration::from_secs(5));
    }
    let told = told(&*store).await;
    assert_eq!(told.len(), 39, "{told:?}");
    assert!(!told.contains("R17"));
    assert!(batches.windows(2).all(|pair| pair[1] <= pair[0].div_ceil(2).max(1)), "halved each time: {batches:?}");
    let seq = store.find_event("R17").await.unwrap()[0];
    let why = store.whys(seq).await.unwrap();
    assert_eq!(why[0].outcome, "parked", "{why:?}");
    assert!(why[0].note.contains("the process ended each time"), "{}", why[0].note);
    let own = store.list_events(&EventFilter { source: Some("fanfare".into()), limit: 10, ..EventFilter::default() });
    assert!(own.await.unwrap().iter().any(|(_, event)| event.clone().read().data()["entry"] == seq), "it is notified");
    assert_eq!(store.docs("planning", "", 1).await.unwrap(), [], "the mark is gone");
}

#[tokio::test]
async fn one_death_and_a_second_are_no_reason_to_park_what_comes_through_after_that() {
    let (store, snapshot, clock) = (in_memory().await, snapshot(CASES), VirtualClock::new(start()));
    append(&*store, "R1").await;
    for round in 0..3 {
        let unlucky = Flawed::loading(&store, move |keys| match keys.one.iter().any(|key| key.kind == "case") {
            true if round < 2 => Fate::Hangs,
            _ => Fate::Well,
        });
        let process = live(Arc::new(unlucky), &snapshot, Arc::new(clock.clone()), round);
        let all = async { while plan::step(&process, clock.now()).await.unwrap().has_worked() {} };
        assert_eq!(tokio::time::timeout(Duration::from_millis(500), all).await.is_ok(), round == 2);
        clock.advance(SignedDuration::from_secs(5));
    }
    assert_eq!(told(&*store).await.len(), 1);
}

#[tokio::test]
async fn a_round_that_fails_is_tried_again_in_smaller_ones_until_it_comes_through() {
    let (store, snapshot, clock) = (in_memory().await, snapshot(CASES), VirtualClock::new(start()));
    for number in 0..300 {
        append(&*store, &format!("R{number}")).await;
    }
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = largest.clone();
    let slow = Flawed::committing(&store, move |plan| {
        if plan.deliveries.len() > 20 {
            return Fate::Fails;
        }
        seen.fetch_max(plan.deliveries.len(), Ordering::SeqCst);
        Fate::Well
    });
    let process = live(Arc::new(slow), &snapshot, Arc::new(clock.clone()), 1);
    let mut failed = 0;
    for _ in 0..200 {
        match plan::step(&process, clock.now()).await {
            Ok(StepResult::Idle(_)) => break,
            Ok(StepResult::Worked(_)) => {}
            Err(_) => failed += 1,
        }
    }
    assert_eq!(told(&*store).await.len(), 300);
    assert!(failed > 0 && largest.load(Ordering::SeqCst) > 1, "it grows again after a success");
}

#[tokio::test]
async fn on_a_machine_that_is_slow_beyond_measure_rounds_are_small_and_the_same_comes_of_them() {
    for (judging, expected) in [(Duration::MAX, 1), (Duration::ZERO, 40)] {
        let (store, snapshot, clock) = (in_memory().await, snapshot(CASES), VirtualClock::new(start()));
        for number in 0..40 {
            append(&*store, &format!("R{number}")).await;
        }
        let rounds = Arc::new(AtomicUsize::new(0));
        let seen = rounds.clone();
        let counted = Flawed::committing(&store, move |plan| {
            seen.fetch_add(usize::from(!plan.deliveries.is_empty()), Ordering::SeqCst);
            Fate::Well
        });
        let mut process = live(Arc::new(counted), &snapshot, Arc::new(clock.clone()), 1);
        process.judging = judging;
        while plan::step(&process, clock.now()).await.unwrap().has_worked() {}
        assert_eq!(told(&*store).await.len(), 40);
        assert_eq!(rounds.load(Ordering::SeqCst), expected, "{judging:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_takes_longer_than_the_lease_keeps_it() {
    let (store, snapshot) = (in_memory().await, snapshot(CASES));
    append(&*store, "R1").await;
    let rounds = Arc::new(AtomicUsize::new(0));
    let seen = rounds.clone();
    let slow = Flawed::loading(&store, move |keys| match keys.one.iter().any(|key| key.kind == "case") {
        true => {
            seen.fetch_add(1, Ordering::SeqCst);
            Fate::Late(Duration::from_secs(7))
        }
        false => Fate::Well,
    });
    let planner = live(Arc::new(slow), &snapshot, Arc::new(RealClock), 1);
    let planned = async { while plan::step(&planner, RealClock.now()).await.unwrap().has_worked() {} };
    let other = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticks.tick().await;
            let now = RealClock.now();
            let lease = store.lease("another", now, plus(now, SignedDuration::from_secs(4))).await.unwrap();
            assert_eq!(lease, None, "another got the lease in the midst of the round");
        }
    };
    tokio::select! { () = planned => {}, () = other => {} }
    assert_eq!(told(&*store).await.len(), 1);
    assert_eq!(rounds.load(Ordering::SeqCst), 1, "planned once");
}

/// The most memory that a process had, and what it has now, in MiB.
fn memory(process: &Process) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        found.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    };
    (line("VmHWM:"), line("VmRSS:"))
}

/// How many rules on `release.*` that all miss, beside one that tells.
fn misses(count: usize) -> String {
    let mut rules = EVERYTHING.replace("'*'", "release.live");
    for number in 0..count {
        let when = format!("{{$.data.label: {{eq: none-{number}}}, $.data.release_id: {{starts_with: 'x{number}'}}}}");
        writeln!(
            rules,
            "  - {{name: miss-{number}, events: 'release.*', when: {when}, actions: [{{to: ledger, text: x}}]}}"
        )
        .unwrap();
    }
    rules
}

/// Writes events into the store of a process that does not run.
async fn fill(folder: &Folder, count: usize, kind: &str) {
    let loaded = load::load(&folder.file("fanfare.yaml"), &RealEnvironment, start());
    let store = store::open(&loaded.snapshot.unwrap().settings.store, folder.path()).await.unwrap();
    for number in 0..count {
        let id = format!("evt_{number}");
        let body: Value = serde_json::from_str(&event(&id, kind)).unwrap();
        store.tell(Item::Event(Box::new(as_received(&id, kind, &body))), start()).await.unwrap();
    }
    store.close().await.unwrap();
}

fn as_received(id: &str, kind: &str, body: &Value) -> Event {
    Event {
        source: "jewelmusic".into(),
        id: EventId(id.into()),
        kind: kind.into(),
        created: start(),
        received: RealClock.now(),
        raw: body.to_string().into_bytes().into(),
        body: body.clone(),
        proof: "".into(),
    }
}

/// Waits until the inbox is planned.
async fn until_planned(process: &Process) {
    while_it_moves("all is planned", async || {
        let inbox = json(process.admin, "/api/v1/status").await["inbox"].clone();
        if inbox["head"] == inbox["planned"] { Ok(()) } else { Err(inbox) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_rules_that_miss_a_thousand_waiting_events_take_less_than_128_mib() {
    const EVENTS: usize = 1100;
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &misses(300));
    fill(&folder, EVENTS, "release.live").await;
    let process = Process::start(folder.path()).await;
    until_planned(&process).await;
    until_done(process.admin).await;
    let (most, now) = memory(&process);
    println!("{most} MiB at most, {now} MiB now");
    assert!(most < 128, "{most} MiB");
    assert!(now <= most && now < 100, "{now} MiB afterwards");
    assert_eq!(peer.requests().len(), EVENTS);
    let log = process.kill().await;
    assert!(!log.contains("panicked") && !log.contains("the process ended"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_five_thousand_rules_judge_what_waits_webhooks_are_answered_within_a_second() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &misses(5000));
    fill(&folder, 20, "release.submitted").await;
    let process = Process::start(folder.path()).await;
    while_it_moves("the first is planned", async || {
        let planned = json(process.admin, "/api/v1/status").await["inbox"]["planned"].as_i64();
        if planned > Some(0) { Ok(()) } else { Err(()) }
    })
    .await;
    let mut slowest = Duration::ZERO;
    for number in 0..100 {
        let began = Instant::now();
        assert_eq!(send(process.webhooks, &format!("evt_during_{number}")).await.status, 200);
        slowest = slowest.max(began.elapsed());
    }
    let status = json(process.admin, "/api/v1/status").await;
    let (most, now) = memory(&process);
    println!("the slowest took {slowest:?}; {most} MiB at most, {now} MiB now; {}", status["inbox"]);
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(most < 256, "{most} MiB");
    let log = process.kill().await;
    assert!(!log.contains("panicked") && !log.contains("the process ended"), "{log}");
}

/// Found nowhere in a text of zeros and ones, but only after each place was tried with each of its ten thousand states.
const HEAVY: &str = "rules:
  - name: heavy
    events: 'release.*'
    when: {$.data.text: {matches: '(?:[01]{1,40}){1,40}x'}}
    actions: [{to: ledger, text: heavy}]
  - name: light
    events: 'release.*'
    when: {$.data.text: {matches: '01'}}
    actions: [{to: ledger, text: '{{ event.id }}'}]
";

/// 400 KB of zeros and ones.
fn heavy_event(id: &str) -> String {
    let mut dice = fastrand::Rng::with_seed(1);
    let text: String = (0..400_000).map(|_| if dice.bool() { '0' } else { '1' }).collect();
    json!({"id": id, "type": "release.live", "created": 1_767_607_200, "data": {"text": text}}).to_string()
}

async fn send_body(process: &Process, body: &str) -> u16 {
    let signature = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
    exchange(process.webhooks, &post("/webhooks/jewelmusic", &[signature], body.as_bytes())).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heavy_pattern_on_a_long_text_fails_alone_and_holds_up_nobody() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), HEAVY);
    let process = Process::start(folder.path()).await;
    for number in 0..5 {
        assert_eq!(send_body(&process, &heavy_event(&format!("evt_heavy_{number}"))).await, 200);
    }
    let mut slowest = Duration::ZERO;
    for number in 0..100 {
        let began = Instant::now();
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    until_planned(&process).await;
    peer.received(5).await;
    let shown = json(process.admin, "/api/v1/events/evt_heavy_0").await.to_string();
    assert!(shown.contains("too many steps for one rule and one event"), "{shown:.2000}");
    process.kill().await;
    // The same as at the desk.
    folder.write("heavy.json", &heavy_event("evt_heavy"));
    let (_, said, errors) = command(folder.path(), &["explain", "heavy.json"]);
    assert!(said.contains("too many steps for one rule and one event"), "{said:.2000}{errors}");
}
