//! One process of the bench: fills a store with open cases, or runs on one and measures.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare::admin;
use fanfare::channels::wire::Transport;
use fanfare::channels::{Reply, Request};
use fanfare::clock::{Clock, RealClock};
use fanfare::config::Snapshot;
use fanfare::config::load;
use fanfare::config::substitute::NoEnvironment;
use fanfare::event::{Event, EventId};
use fanfare::secret::Secret;
use fanfare::steps::run;
use fanfare::steps::{Live, StepResult, plan};
use fanfare::store::{self, DeliveryFilter, Store};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How many events arrive together while a store is filled.
const TOGETHER: usize = 512;
/// How many timers come due while lateness is measured, and how far apart.
const TIMERS: usize = 100;
const APART: Duration = Duration::from_millis(20);
/// How many events make the batch that is planned.
const BATCH: usize = 256;

const CONFIG: &str = r#"
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
store: sqlite:cases.db
sources:
  bench: {preset: jewelmusic, path: /bench, secrets: [bench-secret]}
destinations:
  sink: {type: http, url: "https://sink.example/", concurrency: 64}
"#;

/// Cases that wait for a week and for a month, and others that wait for a second.
const RULES: &str = "rules:
  - name: long
    events: release.submitted
    case: $.data.release_id
    closed_by: release.live
    closes_after: 90d
    actions:
      - {name: insist, to: sink, after: 7d, repeat: 1d}
      - {name: despair, to: sink, after: 30d}
  - name: short
    events: fraud.action_required
    case: $.data.case_id
    actions: [{name: insist, to: sink, after: 1s}]
";

/// Takes everything at once.
struct Sink;

impl Transport for Sink {
    fn send<'a>(&'a self, _: &'a str, _: &'a Request, _: Duration) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(std::future::ready(Reply::http(200, "")))
    }
}

/// Does what it is asked to with the store in this folder.
pub fn run(what: &str, folder: &Path, size: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match what {
        "--fill" => runtime.block_on(fill(folder, size)),
        _ => runtime.block_on(measure(folder, size)),
    }
}

fn snapshot(folder: &Path, rules: &str) -> Arc<Snapshot> {
    std::fs::create_dir_all(folder.join("rules")).unwrap();
    std::fs::write(folder.join("fanfare.yaml"), CONFIG).unwrap();
    std::fs::write(folder.join("rules/main.yaml"), rules).unwrap();
    let loaded = load::load(&folder.join("fanfare.yaml"), &NoEnvironment, RealClock.now());
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    Arc::new(loaded.snapshot.unwrap())
}

async fn live(folder: &Path, rules: &str) -> Arc<Live> {
    let store = store::open(&Secret::new("sqlite:cases.db"), folder).await.unwrap();
    Arc::new(Live::new(store, snapshot(folder, rules), Arc::new(RealClock), Arc::new(Sink), 7))
}

fn event(id: String, kind: &str, data: Value) -> Event {
    let now = RealClock.now();
    let body = json!({"id": id, "type": kind, "created": now.as_second(), "data": data});
    Event {
        source: "bench".into(),
        id: EventId(id.into()),
        kind: kind.into(),
        created: now,
        received: now,
        raw: body.to_string().into_bytes().into(),
        body,
        proof: "bench".into(),
    }
}

fn submitted(id: String, release: usize) -> Event {
    // About as long as a real one.
    let data = json!({
        "release_id": format!("rel_{release}"), "title": "Midnight City", "artist": "M83", "label": "Naïve",
        "tracks": (0..12).map(|n| json!({"position": n, "title": format!("Track {n}"), "isrc": "FRZ111100001"}))
            .collect::<Vec<_>>(),
    });
    event(id, "release.submitted", data)
}

async fn append(store: &Arc<dyn Store>, events: impl Iterator<Item = Event>) {
    let mut together = JoinSet::new();
    for event in events {
        let store = store.clone();
        together.spawn(async move { store.append(event).await.unwrap() });
    }
    together.join_all().await;
}

async fn plan_all(live: &Live) {
    while matches!(plan::step(live, RealClock.now()).await.unwrap(), StepResult::Worked(_)) {}
}

async fn fill(folder: &Path, size: usize) {
    let live = live(folder, RULES).await;
    for first in (0..size).step_by(TOGETHER) {
        let releases = first..size.min(first + TOGETHER);
        append(&live.store, releases.map(|release| submitted(format!("evt_{release}"), release))).await;
        plan_all(&live).await;
    }
    assert!(live.store.census().await.unwrap().timers as usize >= size);
    live.store.close().await.unwrap();
}

async fn measure(folder: &Path, size: usize) {
    let mut said: BTreeMap<&str, f64> = BTreeMap::new();
    let began = Instant::now();
    let live = live(folder, RULES).await;
    plan_all(&live).await;
    said.insert("start_ms", ms(began));
    said.insert("memory_mib", resident("VmRSS:"));

    // Further matches of cases all over the store, and some new ones.
    let releases = (0..BATCH).map(|n| (n * 7919) % (size + size / 8));
    append(&live.store, releases.enumerate().map(|(n, release)| submitted(format!("evt_more_{n}"), release))).await;
    let began = Instant::now();
    plan_all(&live).await;
    said.insert("plan_ms", ms(began));
    let began = Instant::now();
    live.store.census().await.unwrap();
    said.insert("census_ms", ms(began));

    let running = run::run(live.clone(), admin::router(live.clone())).await.unwrap();
    let late = lateness(&live, "calm").await;
    said.insert("late_p50_ms", late[late.len() / 2]);
    said.insert("late_max_ms", late[late.len() - 1]);

    let changed = RULES.replace("after: 7d", "after: 8d");
    let other = snapshot(folder, &changed);
    let began = Instant::now();
    live.snapshot.store(other);
    live.to_plan.notify_one();
    let (took, late) = tokio::join!(brought_in_line(&live, size, began), lateness(&live, "reload"));
    said.insert("reload_ms", took);
    said.insert("reload_late_ms", late[late.len() - 1]);
    said.insert("peak_mib", resident("VmHWM:"));
    running.drain().await.unwrap();
    println!("{}", serde_json::to_string(&said).unwrap());
}

/// Opens cases whose timers come due a second later, one after the other, and gives by how much each was late, in ms,
/// sorted: the time from when it was due until its delivery was planned.
async fn lateness(live: &Live, round: &str) -> Vec<f64> {
    let mut ticks = tokio::time::interval(APART);
    let mut opened = BTreeSet::new();
    for number in 0..TIMERS {
        ticks.tick().await;
        let case = format!("{round}_{number}");
        live.store
            .append(event(format!("evt_{case}"), "fraud.action_required", json!({"case_id": case})))
            .await
            .unwrap();
        live.to_plan.notify_one();
        opened.insert(case);
    }
    let filter = DeliveryFilter { rule: Some("short".into()), limit: 10 * TIMERS, ..DeliveryFilter::default() };
    loop {
        ticks.tick().await;
        let made = live.store.list_deliveries(&filter).await.unwrap();
        let mut late: Vec<f64> = made
            .iter()
            .filter_map(|delivery| {
                let case = delivery.planned.assignment.case.as_ref()?;
                opened.get(&case.key)?;
                Some(delivery.created.duration_since(case.opened).as_millis() as f64 - 1000.0)
            })
            .collect();
        if late.len() == TIMERS {
            late.sort_by(f64::total_cmp);
            return late;
        }
    }
}

/// How long it took until the last case goes by the changed rules, in ms.
async fn brought_in_line(live: &Live, size: usize, began: Instant) -> f64 {
    let mut ticks = tokio::time::interval(APART);
    // By id, the last of them; and in the midst of a page, any.
    let mut waiting: Vec<String> = (0..size).step_by((size / 50).max(1)).map(|n| format!("long/rel_{n}")).collect();
    while let Some(id) = waiting.last() {
        // The one behind the id just before it.
        let before = &id[..id.len() - 1];
        let page = live.store.docs("case", before, 64).await.unwrap();
        let found = page.iter().find(|(found, _)| found == id).map(|(_, text)| text.contains("691200"));
        match found {
            Some(false) => {
                ticks.tick().await;
            }
            Some(true) | None => {
                waiting.pop();
            }
        }
    }
    ms(began)
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

/// A line of this process's own account, in MiB.
fn resident(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|found| found.strip_prefix(line)).and_then(|rest| rest.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
