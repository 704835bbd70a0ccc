//! A virtual month and a half of steady load: with retention, the database and the memory stay as they are, on every
//! store.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::steps::alive;
use fanfare::steps::retain::{self, Calendar};
use jiff::SignedDuration;
use rusqlite::Connection;
use serde_json::json;

use crate::support::by_hand::ByHand;
use crate::support::folder::Folder;
use crate::support::postgres;

/// Set in a process of its own, in which memory can be measured.
const CHILD: &str = "FANFARE_TEST_MONTH";

const CONFIG: &str = "
store: STORE
retention: KEPTd
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
        let event = |n: i64| {
            let kind = if n % 2 == 0 { "release.submitted" } else { "release.live" };
            let data = json!({"release_id": format!("rel_{}", n / 2 % 40), "title": "x".repeat(400)});
            (format!("evt_{n}"), kind, data)
        };
        hand.receive_all((step * EVENTS_A_STEP..(step + 1) * EVENTS_A_STEP).map(event).collect()).await;
        // One in a while dies.
        hand.answer(if step % 9 == 8 { 410 } else { 200 });
        hand.turn().await;
        hand.clock.advance(STEP);
        hand.turn().await;
        hand.take_sent();
        alive::mark(&hand.live, hand.clock.now()).await.unwrap();
        // As the loop does: until there is nothing more.
        let at = calendar.at(hand.clock.now(), Duration::try_from(STEP).unwrap());
        while retain::step(&hand.live, at).await.unwrap().has_worked() {}
    }
}

/// Rows by table; the tables of ids together.
fn rows(counted: impl IntoIterator<Item = (String, i64)>) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for (table, count) in counted {
        let table = if table.starts_with("ids_") { "ids".to_owned() } else { table };
        *rows.entry(table).or_default() += count;
    }
    rows
}

/// The rows of a file, and its bytes.
fn look_at_file(folder: &Path) -> (BTreeMap<String, i64>, u64) {
    let path = folder.join("data/fanfare.db");
    let conn = Connection::open(&path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
    let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let count = |name: String| {
        let count = conn.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
        (name, count)
    };
    (rows(names.into_iter().map(count)), path.metadata().unwrap().len())
}

/// The rows of a schema on the server that tests share.
fn look_at_schema(schema: &str) -> BTreeMap<String, i64> {
    let server = postgres::server();
    let names = server.sql(&format!("SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"));
    let counts: Vec<String> =
        names.lines().map(|name| format!("SELECT '{name}', count(*) FROM {schema}.{name}")).collect();
    let counted = server.sql(&counts.join(" UNION ALL "));
    rows(counted.lines().map(|line| line.split_once('|').unwrap()).map(|(name, n)| (name.into(), n.parse().unwrap())))
}

/// How long a life is, in days: events are kept for the first, what died for the second; looked at after the third and
/// the last.
type Days = [i64; 4];

const MONTH: Days = [5, 10, 25, 45];
/// Where each commit takes its time.
const SHORT: Days = [2, 4, 9, 15];

/// No table grows; `ids` go by whole weeks, so they may by one.
fn assert_flat(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>, days: Days) {
    let [_, _, first, last] = days;
    for (table, count) in after {
        let before = before.get(table).copied().unwrap_or(0);
        let weekly = if table == "ids" { 7 * STEPS_A_DAY * EVENTS_A_STEP } else { 0 };
        // Counts of an hour are kept for 31 days, whatever is kept of events.
        let share = if table == "tallies" { last.min(31) as f64 / first as f64 } else { 1.0 };
        let most = 1.2 * share * before as f64 + 40.0 + weekly as f64;
        assert!(*count as f64 <= most, "`{table}` grows: {before}, {count}");
    }
    let (a_day, kept, events) = (STEPS_A_DAY * EVENTS_A_STEP, days[0], after["inbox"]);
    let right = (kept - 1) * a_day..(kept + 4) * a_day;
    assert!(right.contains(&events), "{kept} days of events and what still needs them: {events}");
    assert!(after["deliveries"] > (kept - 1) * a_day, "{after:?}");
    assert!(after["lanes"] > 0, "{after:?}");
}

/// The memory of this process, in KiB.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Lives for this many days. Gives how things are in between and at the end, as `look` says, and the memory.
fn month<T>(folder: &Path, days: Days, look: impl Fn() -> T) -> [(T, u64); 2] {
    let [_, kept_dead, first, last] = days;
    block_on(async {
        let hand = ByHand::start(folder, "2026-01-05T08:00:00Z".parse().unwrap(), kept_dead).await;
        let mut calendar = Calendar::default();
        live(&hand, &mut calendar, 0, first).await;
        let before = (look(), memory_kib());
        live(&hand, &mut calendar, first, last).await;
        let after = (look(), memory_kib());
        hand.live.store.close().await.unwrap();
        [before, after]
    })
}

/// Runs a test of this module again in a process of its own, in which memory can be measured.
fn alone(test: &str) {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("faults::month::{test}"), "--nocapture", "--test-threads", "1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(child.status.success() && said[0].contains("1 passed"), "{}\n{}", said[0], said[1]);
}

fn assert_memory_is_flat(before_kib: u64, after_kib: u64) {
    assert!(after_kib as f64 <= 1.15 * before_kib as f64 + 4096.0, "memory grows: {before_kib}, {after_kib} KiB");
}

fn folder(store: &str, days: Days) -> Folder {
    let config = CONFIG.replace("STORE", &format!("'{store}'")).replace("KEPT", &days[0].to_string());
    Folder::new(&config, "", RULES)
}

#[test]
fn a_month_of_steady_load_leaves_the_file_and_the_memory_as_they_are() {
    if std::env::var_os(CHILD).is_none() {
        return alone("a_month_of_steady_load_leaves_the_file_and_the_memory_as_they_are");
    }
    let folder = folder("sqlite:data/fanfare.db", MONTH);
    let [((before, bytes_before), kib_before), ((after, bytes), kib)] =
        month(folder.path(), MONTH, || look_at_file(folder.path()));
    assert_flat(&before, &after, MONTH);
    assert!(bytes as f64 <= 1.15 * bytes_before as f64, "the file grows: {bytes_before}, {bytes}");
    assert_memory_is_flat(kib_before, kib);
}

#[test]
fn a_month_of_steady_load_leaves_a_store_in_memory_as_it_is() {
    if std::env::var_os(CHILD).is_none() {
        return alone("a_month_of_steady_load_leaves_a_store_in_memory_as_it_is");
    }
    let [((), kib_before), ((), kib)] = month(folder("memory:", MONTH).path(), MONTH, || ());
    assert_memory_is_flat(kib_before, kib);
}

#[test]
fn two_weeks_of_steady_load_leave_the_tables_on_postgresql_as_they_are() {
    let address = postgres::fresh();
    let schema = address.split("search_path%3D").nth(1).unwrap().split('&').next().unwrap();
    let [(before, _), (after, _)] = month(folder(&address, SHORT).path(), SHORT, || look_at_schema(schema));
    assert_flat(&before, &after, SHORT);
}

#[test]
fn a_store_in_memory_forgets_by_the_same_step() {
    let folder = folder("memory:", MONTH);
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
