//! A real upgrade: databases that released versions wrote, in the middle of their work, open and go on.
//!
//! `fixtures/schema-N.db` was written by the program whose newest schema was N: `UPDATE=1 cargo test --test it -- upgrade`
//! writes the one of this program, if it isn't there. Never write one anew that was released.

use std::path::{Path, PathBuf};

use fanfare::clock::plus;
use fanfare::delivery::State;
use fanfare::store::{Appended, DeliveryFilter, EventFilter};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::by_hand::ByHand;
use crate::support::folder::Folder;

const CONFIG: &str = "
store: sqlite:data/fanfare.db
sources:
  jewelmusic: {preset: jewelmusic, secrets: [now-secret-0123456789abcdef0123456789]}
destinations:
  desk: {type: http, url: 'http://127.0.0.1:9/desk', retry: {first: 5m, max: 5m}}
  gone: {type: http, url: 'http://127.0.0.1:9/gone'}
";

const RULES: &str = "rules:
  - name: fraud
    events: fraud.detected
    case: $.data.case_id
    closed_by: fraud.resolved
    closes_after: 30d
    actions:
      - {to: desk, text: 'Fraud in {{ data.case_id }}'}
      - {to: desk, after: 2h, text: 'Still open: {{ data.case_id }}'}
  - name: live
    events: release.live
    actions: [{to: desk, digest: {every: 3h}}]
  - name: payment
    events: royalty.paid
    actions: [{to: gone, text: 'Paid: {{ data.amount }}'}, {to: desk, text: 'Paid: {{ data.amount }}'}]
";

fn start() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

fn after(minutes: i64) -> Timestamp {
    plus(start(), SignedDuration::from_mins(minutes))
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/fixtures")
}

fn folder() -> Folder {
    Folder::new(CONFIG, "", RULES)
}

fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Works until something of everything is there: an open case with its timer, an open digest, a dead delivery, one that
/// waits to be tried again, what went well, an event that isn't planned yet.
async fn work(folder: &Folder) {
    let hand = ByHand::start(folder.path(), start(), 90).await;
    hand.receive("evt_fraud", "fraud.detected", json!({"case_id": "C7"})).await;
    hand.receive("evt_live", "release.live", json!({"title": "Midnight City"})).await;
    hand.turn().await;
    hand.answer(410);
    hand.clock.set(after(1));
    hand.receive("evt_paid", "royalty.paid", json!({"amount": "12.50"})).await;
    hand.turn().await;
    hand.answer(503);
    hand.clock.set(after(2));
    hand.receive("evt_paid_2", "royalty.paid", json!({"amount": "99.00"})).await;
    hand.turn().await;
    hand.receive("evt_late", "release.live", json!({"title": "Kasimir"})).await;
    hand.live.store.close().await.unwrap();
}

/// The schema's number, and what a database holds, for a look before and after.
fn schema_of(path: &Path) -> i64 {
    let conn = Connection::open(path).unwrap();
    conn.query_row("SELECT * FROM pragma_user_version", [], |row| row.get(0)).unwrap()
}

fn said(sent: &[(String, Value)]) -> Vec<String> {
    let text = |body: &Value| body["message"]["text"].as_str().unwrap_or_default().to_owned();
    sent.iter().map(|(to, body)| format!("{to}: {}", text(body))).collect()
}

#[test]
fn a_database_that_a_released_version_wrote_opens_and_goes_on() {
    let mut fixtures: Vec<PathBuf> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "db"))
        .collect();
    fixtures.sort();
    assert!(!fixtures.is_empty());
    for fixture in fixtures {
        let name = fixture.file_name().unwrap().to_string_lossy().into_owned();
        let folder = folder();
        std::fs::create_dir(folder.file("data")).unwrap();
        std::fs::copy(&fixture, folder.file("data/fanfare.db")).unwrap();
        assert_eq!(name, format!("schema-{}.db", schema_of(&fixture)));
        block_on(goes_on(&folder, &name));
    }
}

async fn goes_on(folder: &Folder, name: &str) {
    let hand = ByHand::start(folder.path(), after(3), 90).await;
    let store = hand.live.store.clone();
    // What is known stays known, and whole.
    let events = store.list_events(&EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
    let ids: Vec<&str> = events.iter().map(|(_, event)| event.id.as_str()).collect();
    for id in ["evt_fraud", "evt_live", "evt_paid", "evt_paid_2", "evt_late"] {
        assert!(ids.contains(&id), "{name}: {ids:?}");
        let again = hand.receive(id, "release.live", json!({"another": "body"})).await;
        assert!(matches!(again, Appended::Duplicate { conflict: true, .. }), "{name}: {id} {again:?}");
    }
    assert!(events.iter().all(|(_, event)| !event.body.is_null()), "{name}: {events:?}");
    let (first, _) = events.last().unwrap();
    assert!(store.whys(*first).await.unwrap().iter().any(|why| why.rule == "fraud" && why.outcome == "matched"));
    let of = |state| DeliveryFilter { states: vec![state], limit: 100, ..DeliveryFilter::default() };
    let dead = store.list_deliveries(&of(State::Dead)).await.unwrap();
    assert_eq!(dead.len(), 2, "{name}: {dead:?}");
    let (_, attempts) = store.delivery(&dead[0].planned.id).await.unwrap().unwrap();
    assert_eq!((attempts.len(), attempts[0].number), (1, 1), "{name}: {attempts:?}");
    assert!(attempts[0].answer.contains("410"), "{name}: {attempts:?}");
    assert_eq!(store.list_deliveries(&of(State::Retrying)).await.unwrap().len(), 2, "{name}");

    // What waited to be tried again goes out, with the words that were kept.
    hand.clock.set(after(20));
    hand.turn().await;
    let mut sent = said(&hand.take_sent());
    sent.sort();
    assert_eq!(sent, ["desk: Paid: 99.00", "gone: Paid: 99.00"], "{name}");
    // The timers that were set then come due: the case's reminder, and the digest with what wasn't planned yet.
    hand.clock.set(after(121));
    hand.turn().await;
    assert_eq!(said(&hand.take_sent()), ["desk: Still open: C7"], "{name}");
    hand.clock.set(after(200));
    hand.turn().await;
    let digest = hand.take_sent();
    assert_eq!(digest.len(), 1, "{name}: {digest:?}");
    // The case is the same: its close ends it, and another event of it opens a new one.
    hand.receive("evt_resolved", "fraud.resolved", json!({"case_id": "C7"})).await;
    hand.turn().await;
    assert_eq!(store.docs("case", "", 10).await.unwrap().len(), 0, "{name}");
    // What was dead is sent when a person wants it.
    let ids: Vec<_> = dead.iter().map(|delivery| delivery.planned.id.clone()).collect();
    assert_eq!(store.revive(&ids, after(200)).await.unwrap(), 2);
    hand.take_sent();
    hand.turn().await;
    assert_eq!(hand.take_sent().len(), 2, "{name}");
    store.close().await.unwrap();
}

#[test]
fn there_is_a_database_of_every_schema_from_the_first_released_one() {
    let folder = folder();
    block_on(work(&folder));
    let newest = schema_of(&folder.file("data/fanfare.db"));
    let fixture = |schema: i64| fixtures().join(format!("schema-{schema}.db"));
    if std::env::var_os("UPDATE").is_some() && !fixture(newest).exists() {
        std::fs::create_dir_all(fixtures()).unwrap();
        std::fs::copy(folder.file("data/fanfare.db"), fixture(newest)).unwrap();
    }
    for schema in 3..=newest {
        assert!(fixture(schema).exists(), "no database of schema {schema}: UPDATE=1 writes that of this version");
    }
    block_on(goes_on(&folder, "made just now"));
}
