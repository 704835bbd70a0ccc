//! A real upgrade: databases that released programs left in the middle of their work open, and everything goes on.
//!
//! `fixtures/schema-N.sql` is what the program whose newest schema was N had in its file when it was killed. Before a
//! schema N + 1 is released, a database of N is dumped and put beside them: the last test here asks for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanfare::clock::{VirtualClock, from_ms, plus};
use fanfare::steps::Bounds;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::app::{App, eventually};
use crate::support::folder::Folder;
use crate::support::http_peer::HttpPeer;

/// As it was, except for where the receiver is.
const CONFIG: &str = r#"
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
store: sqlite:data/fanfare.db
sources:
  jewelmusic: {preset: jewelmusic, path: /webhooks/jewelmusic, secrets: [now-secret-0123456789abcdef0123456789]}
destinations:
  desk: {type: http, url: "PEER/desk", retry: {first: 5m, max: 5m}}
  gone: {type: http, url: "PEER/gone", retry: {first: 5m, max: 5m}}
  slow: {type: http, url: "PEER/slow", timeout: 60s}
"#;

/// As they were.
const RULES: &str = "rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    closes_after: 30d
    actions:
      - {to: desk, text: 'Fraud in {{ data.case_id }}'}
      - {to: desk, after: 2h, text: 'Still open: {{ data.case_id }}'}
    on_close: [{to: desk, text: 'Over: {{ case.key }}'}]
  - name: live
    events: release.live
    actions: [{to: desk, digest: {every: 3h}}]
  - name: payment
    events: royalty.payment
    actions: [{to: gone, text: 'Paid: {{ event.id }}'}, {to: desk, text: 'Paid: {{ event.id }}'}]
  - name: slow
    events: track.changed
    actions: [{to: slow, text: 'New: {{ data.title }}'}]
";

/// What was taken in, oldest first. The last was not planned yet.
const TAKEN: [(&str, &str); 6] = [
    ("evt_fraud", "fraud.action_required"),
    ("evt_live", "release.live"),
    ("evt_paid", "royalty.payment"),
    ("evt_paid_2", "royalty.payment"),
    ("evt_slow", "track.changed"),
    ("evt_late", "release.live"),
];

fn fixture(schema: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/store/fixtures/schema-{schema}.sql"))
}

/// A number from the database in this folder.
fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Makes the database that was dumped, and gives when its last event came.
fn restore(schema: i64, path: &Path) -> Timestamp {
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let conn = Connection::open(path).unwrap();
    // A dump names tables by the alphabet, whatever refers to what.
    conn.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA page_size = 8192; PRAGMA journal_mode = WAL").unwrap();
    conn.execute_batch(&std::fs::read_to_string(fixture(schema)).unwrap()).unwrap();
    drop(conn);
    assert_eq!(number(path, "SELECT * FROM pragma_user_version"), schema);
    from_ms(number(path, "SELECT max(received) FROM inbox WHERE source = 'jewelmusic'"))
}

/// The program of today on it, its receiver and its clock.
struct Upgraded {
    app: App,
    peer: HttpPeer,
    clock: VirtualClock,
    killed: Timestamp,
    schema: i64,
}

impl Upgraded {
    /// Starts three minutes after the old one was killed.
    async fn start(schema: i64) -> Self {
        let peer = HttpPeer::start().await;
        let folder = Folder::new(CONFIG, &peer.url(""), RULES);
        let killed = restore(schema, &folder.file("data/fanfare.db"));
        let clock = VirtualClock::new(plus(killed, SignedDuration::from_mins(3)));
        let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
        Self { app, peer, clock, killed, schema }
    }

    /// So long after the old one was killed.
    fn later(&self, minutes: i64) {
        self.clock.set(plus(self.killed, SignedDuration::from_mins(minutes)));
    }

    /// Waits until this is all that was sent, in any order.
    async fn sends(&self, what: &str, expected: &[&str]) {
        let schema = self.schema;
        let said = |request: &crate::support::http_peer::Recorded| {
            let title = request.json()["message"]["title"].as_str().unwrap_or_default().to_owned();
            format!("{} {title}", request.target)
        };
        eventually(&format!("{what}, from schema {schema}"), async || {
            (self.peer.requests().len() >= expected.len()).then_some(())
        })
        .await;
        let mut sent: Vec<String> = self.peer.requests().iter().map(said).collect();
        sent.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(sent, expected, "{what}, from schema {schema}");
    }

    async fn post(&self, id: &str, kind: &str, data: Value) -> Value {
        let body = json!({"id": id, "type": kind, "created": self.killed.as_second() + 60, "data": data});
        let answer = self.app.send(&body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// What was known is known, and whole.
    async fn knows_what_was(&self) {
        let schema = self.schema;
        let events = self.app.json("/api/v1/events?limit=100").await;
        for (id, kind) in TAKEN {
            let event = events.as_array().unwrap().iter().find(|event| event["id"] == id);
            assert_eq!(event.unwrap_or_else(|| panic!("{schema}: {id} in {events}"))["type"], kind, "{schema}");
            let again = self.post(id, kind, json!({"another": "body"})).await;
            assert_eq!(again["status"], "duplicate", "{schema}: {id}");
        }
        let dead = self.app.json("/api/v1/deliveries?state=dead").await;
        assert_eq!(dead.as_array().unwrap().len(), 2, "{schema}: {dead}");
        let one = self.app.json(&format!("/api/v1/deliveries/{}", dead[0]["id"].as_str().unwrap())).await;
        let attempts = one["attempts_made"].as_array().unwrap();
        assert!(attempts.len() == 1 && attempts[0]["answer"].as_str().unwrap().contains("410"), "{schema}: {one}");
        let cases = self.app.json("/api/v1/cases").await;
        assert_eq!((cases.as_array().unwrap().len(), &cases[0]["key"]), (1, &json!("C7")), "{schema}: {cases}");
    }

    /// A person wants what was dead.
    async fn retries_the_dead(&self) {
        for dead in self.app.json("/api/v1/deliveries?state=dead").await.as_array().unwrap() {
            let path = format!("/api/v1/deliveries/{}/retry", dead["id"].as_str().unwrap());
            assert_eq!(self.app.ask("POST", &path).await.status, 200, "{}", self.schema);
        }
    }
}

async fn goes_on(schema: i64) {
    let up = Upgraded::start(schema).await;
    // What was under way when it was killed goes out once more, by the next claim.
    let mut sent = vec!["/slow New: Wait"];
    up.sends("what was under way", &sent).await;
    up.knows_what_was().await;
    up.later(10);
    sent.extend(["/desk Paid: evt_paid_2", "/gone Paid: evt_paid_2"]);
    up.sends("what waited to be tried again", &sent).await;
    up.later(121);
    sent.push("/desk Still open: C7");
    up.sends("the open case's reminder", &sent).await;
    up.later(181);
    sent.push("/desk 2 × Release live");
    up.sends("the digest, with what was not planned yet", &sent).await;
    up.post("evt_resolved", "fraud.resolved", json!({"case_id": "C7"})).await;
    sent.push("/desk Over: C7");
    up.sends("the close of the case that the old program opened", &sent).await;
    assert_eq!(up.app.json("/api/v1/cases").await, json!([]), "{schema}");
    up.retries_the_dead().await;
    sent.extend(["/desk Paid: evt_paid", "/gone Paid: evt_paid"]);
    up.sends("what was dead, as a person wants it", &sent).await;
    up.post("evt_new", "track.changed", json!({"title": "Wake up"})).await;
    sent.push("/slow New: Wake up");
    up.sends("what comes now", &sent).await;
    let folder = up.app.end().await;
    is_whole(&folder.file("data/fanfare.db"), schema);
}

/// Of today's schema, with a copy of what was beside it, and with counts that are right.
fn is_whole(path: &Path, schema: i64) {
    let newest = number(path, "SELECT * FROM pragma_user_version");
    assert_eq!(number(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    let wrong = "SELECT count(*) FROM counts WHERE n <> CASE what WHEN 'timers' THEN (SELECT count(*) FROM timers)
                 ELSE (SELECT count(*) FROM deliveries WHERE state = what) END";
    assert_eq!(number(path, wrong), 0, "the counts, from schema {schema}");
    let copy = path.with_file_name(format!("fanfare.db.before-{newest}"));
    assert_eq!(copy.exists(), schema < newest, "a copy of what was");
    if schema < newest {
        assert_eq!(number(&copy, "SELECT * FROM pragma_user_version"), schema);
        assert_eq!(number(&copy, "SELECT count(*) FROM inbox WHERE source = 'jewelmusic'"), 6);
    }
}

#[tokio::test]
async fn a_database_of_the_first_release_opens_and_goes_on() {
    goes_on(3).await;
}

#[tokio::test]
async fn a_database_of_each_later_schema_opens_and_goes_on() {
    let mut schema = 4;
    while fixture(schema).exists() {
        goes_on(schema).await;
        schema += 1;
    }
    assert!(schema > 4);
}

#[tokio::test]
async fn there_is_a_database_of_every_schema_before_the_newest() {
    let folder = Folder::new(CONFIG, "http://127.0.0.1:9", RULES);
    let folder = App::start(folder).await.end().await;
    let newest = number(&folder.file("data/fanfare.db"), "SELECT * FROM pragma_user_version");
    for schema in 3..newest {
        let file = fixture(schema);
        assert!(file.exists(), "dump a database in the middle of its work as `{}`", file.display());
    }
}
