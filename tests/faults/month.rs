//! A virtual month and a half of steady load: with retention, the database and the memory stay as they are.

use std::path::Path;
use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::steps::retain::{self, Calendar};
use fanfare::steps::{Turn, alive};
use jiff::SignedDuration;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::by_hand::ByHand;
use crate::support::folder::Folder;

/// Names the folder, in the process of its own in which memory can be measured.
const CHILD: &str = "FANFARE_TEST_MONTH";

const CONFIG: &str = "
store: STORE
retention: 5d
sources:
  jewelmusic: {preset: jewelmusic, secrets: [now-secret-0123456789abcdef0123456789]}
destinations:
  ledger: {type: http, url: 'http://127.0.0.1:9/ledger', concurrency: 64}
  desk: {type: http, url: 'http://127.0.0.1:9/desk', concurrency: 64}
";

/// A bit of everything that keeps something: cases, timers, digests, throttles, what is missing.
const RULES: &str = "rules:
  - name: everything
    events: '*'
    actions: [{to: ledger, text: '{{ event.id }}'}]
  - name: cases
    events: release.submitted
    case: $.data.release_id
    closed_by: release.live
    closes_after: 2d
    actions:
      - {to: desk, text: 'opened'}
      - {to: desk, after: 12h, text: 'still open'}
    on_close: [{to: desk, text: 'closed'}]
  - name: digest
    events: release.live
    actions: [{to: desk, digest: {every: 6h}}]
  - name: seldom
    events: release.live
    throttle: {max: 2, every: 1h}
    actions: [{to: desk, text: 'seldom'}]
  - name: dead
    events: fanfare.delivery.dead
    actions: [{to: ledger, text: 'dead'}]
";

/// Four hours: what comes in them comes at once.
const STEP: SignedDuration = SignedDuration::from_hours(4);
const STEPS_A_DAY: i64 = 6;
const EVENTS_A_STEP: i64 = 24;

/// Lives from `from` to `to`, in days.
async fn live(hand: &ByHand, calendar: &mut Calendar, from: i64, to: i64) {
    for step in from * STEPS_A_DAY..to * STEPS_A_DAY {
        for number in 0..EVENTS_A_STEP {
            let n = step * EVENTS_A_STEP + number;
            let kind = if number % 2 == 0 { "release.submitted" } else { "release.live" };
            let data = json!({"release_id": format!("rel_{}", n / 2 % 40), "title": "x".repeat(400)});
            hand.receive(&format!("evt_{n}"), kind, data).await;
        }
        // One in a while dies.
        hand.answer(if step % 9 == 8 { 410 } else { 200 });
        hand.turn().await;
        hand.clock.advance(STEP);
        hand.turn().await;
        hand.take_sent();
        alive::mark(&hand.live, hand.clock.now()).await.unwrap();
        // As the loop does: until there is nothing more.
        let at = calendar.at(hand.clock.now(), Duration::try_from(STEP).unwrap());
        while retain::step(&hand.live, at).await.unwrap() == Turn::Worked {}
    }
}

/// Rows by table, and the bytes of the file.
fn measure(folder: &Path) -> Value {
    let path = folder.join("data/fanfare.db");
    let conn = Connection::open(&path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut rows = serde_json::Map::new();
    for name in names {
        let count: i64 = conn.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
        let name = if name.starts_with("ids_") { "ids" } else { &name };
        let before = rows.get(name).and_then(Value::as_i64).unwrap_or(0);
        rows.insert(name.to_owned(), (before + count).into());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let memory_kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    json!({"rows": rows, "bytes": path.metadata().unwrap().len(), "memory_kib": memory_kib})
}

fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// What the child does: prints how things are after 25 and after 45 days.
fn month(folder: &Path) {
    block_on(async {
        let hand = ByHand::start(folder, "2026-01-05T08:00:00Z".parse().unwrap(), 10).await;
        let mut calendar = Calendar::default();
        live(&hand, &mut calendar, 0, 25).await;
        println!("measured {}", measure(folder));
        live(&hand, &mut calendar, 25, 45).await;
        println!("measured {}", measure(folder));
        hand.live.store.close().await.unwrap();
    });
}

#[test]
fn a_month_of_steady_load_leaves_database_and_memory_as_they_are() {
    if let Ok(folder) = std::env::var(CHILD) {
        return month(Path::new(&folder));
    }
    let folder = Folder::new(&CONFIG.replace("STORE", "sqlite:data/fanfare.db"), "", RULES);
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::month::a_month_of_steady_load_leaves_database_and_memory_as_they_are"])
        .args(["--nocapture", "--test-threads", "1"])
        .env(CHILD, folder.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{output}\n{}", String::from_utf8_lossy(&child.stderr));
    let measured = output.lines().filter_map(|line| Some(line.split_once("measured ")?.1));
    let measured: Vec<Value> = measured.map(|text| serde_json::from_str(text).unwrap()).collect();
    let [before, after] = measured.as_slice() else { panic!("{output}") };
    println!("{before}\n{after}");

    let number = |of: &Value, name: &str| of[name].as_f64().unwrap();
    assert!(number(after, "bytes") < 1.15 * number(before, "bytes"), "the file grows: {before}\n{after}");
    assert!(number(after, "memory_kib") < 1.15 * number(before, "memory_kib") + 4096.0, "memory: {before}\n{after}");
    for (table, count) in after["rows"].as_object().unwrap() {
        let (before, count) = (before["rows"][table].as_f64().unwrap_or(0.0), count.as_f64().unwrap());
        // Ids go by whole weeks.
        let weekly = if table == "ids" { 7.0 * (STEPS_A_DAY * EVENTS_A_STEP) as f64 } else { 0.0 };
        assert!(count <= 1.2 * before + 40.0 + weekly, "`{table}` grows: {before}, {count}");
    }
    let rows = &after["rows"];
    let a_day = (STEPS_A_DAY * EVENTS_A_STEP) as f64;
    let events = rows["inbox"].as_f64().unwrap();
    assert!((4.0 * a_day..9.0 * a_day).contains(&events), "five days of events and what still needs them: {events}");
    assert!(rows["deliveries"].as_f64().unwrap() > 4.0 * a_day);
}

#[test]
fn a_store_in_memory_forgets_by_the_same_step() {
    let folder = Folder::new(&CONFIG.replace("STORE", "'memory:'"), "", RULES);
    block_on(async {
        let hand = ByHand::start(folder.path(), "2026-01-05T08:00:00Z".parse().unwrap(), 10).await;
        let mut calendar = Calendar::default();
        live(&hand, &mut calendar, 0, 9).await;
        let first = hand.live.store.events(&[1, 2, 3]).await.unwrap();
        assert!(first.is_empty(), "nine days later, of five: {first:?}");
        assert!(hand.live.store.find_event("evt_1000").await.unwrap().len() == 1, "what is younger is there");
        // Its id is known for longer.
        let again = hand.receive("evt_1", "release.live", json!({})).await;
        assert!(matches!(again, fanfare::store::Appended::Duplicate { .. }), "{again:?}");
    });
}
