//! The SQLite store stays as quick with very much in it. Every statement finds what it wants by an index: none goes through a whole table, however many
//! events, cases, timers and deliveries there are. Read from the source, so that a new one is not forgotten.

use fanfare::delivery::DeliveryId;
use fanfare::planner::loaded::DocChange;
use fanfare::planner::{Key, Plan, Timer};
use fanfare::secret::Secret;
use fanfare::store::{self, Appended, Room};
use rusqlite::{Connection, OpenFlags};

use super::bench::{at, day, dead, delivered, delivery, received, room, start};

/// What stands for a name in a statement's text.
const NAMES: &[(&str, &str)] = &[
    ("{WAITING}", "state IN ('due', 'retrying')"),
    ("{waiting}", "state IN ('due', 'retrying')"),
    ("{state}", "state = 'sending'"),
    ("AND STATE AND", "AND state = 'sending' AND"),
    ("{states}", "'delivered', 'cancelled'"),
    ("{week}", "2900"),
    ("{name}", "ids_2900"),
    ("{order}", "DESC"),
    ("{after}", "5"),
];

/// Where it is right to look at all rows.
const SCANS: &[(&str, &str)] = &[
    ("examine.rs", "a doctor looks at everything"),
    ("FROM paces", "one row for each destination"),
    ("sqlite_schema", "one row for each table"),
    ("UPDATE planner", "one row"),
    ("AND state = '{word}'", "what waits, all of it, by the index that holds nothing else"),
    ("SELECT count(*) FROM ids_2900", "a week's ids, once when a run of the index ends"),
];

/// The statements of a source file: its string literals that begin as one does, with their names filled in.
fn statements(file: &str, source: &str) -> Vec<String> {
    let columns = match file {
        "deliveries.rs" => "d.n, d.id, c.assignment FROM deliveries AS d JOIN contents AS c ON c.n = d.n",
        _ => "seq, what, source, id, type, created, received, proof, body, raw",
    };
    let mut found = Vec::new();
    for (at, _) in source.match_indices('"') {
        let rest = &source[at + 1..];
        if !["SELECT ", "UPDATE ", "DELETE "].iter().any(|verb| rest.starts_with(verb)) {
            continue;
        }
        let text = rest.split('"').next().unwrap_or_default().replace("{COLUMNS}", columns);
        let text = NAMES.iter().fold(text, |text, (name, value)| text.replace(name, value));
        found.extend(text.split(';').map(|one| one.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    found
}

#[tokio::test]
async fn no_statement_goes_through_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let store = store::open(&Secret::new("sqlite:x.db"), folder.path()).await.unwrap();
    store.close().await.unwrap();
    let conn = Connection::open_with_flags(folder.path().join("x.db"), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    conn.execute_batch("CREATE TABLE IF NOT EXISTS ids_2900 (h INTEGER, seq INTEGER, c INTEGER, body INTEGER, PRIMARY KEY (h, seq)) WITHOUT ROWID")
        .unwrap();
    let (mut looked, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir("src/store/sqlite").unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_source = path.extension().is_some_and(|ending| ending == "rs");
        let source = if is_source { std::fs::read_to_string(&path).unwrap() } else { String::new() };
        for statement in statements(&file, &source) {
            if SCANS.iter().any(|(known, _)| file == *known || statement.contains(known)) {
                continue;
            }
            looked += 1;
            let mut explained = conn
                .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
                .unwrap_or_else(|error| panic!("{file}: {statement}: {error}"));
            let steps: Vec<String> =
                explained.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<_, _>>().unwrap();
            // A page, newest first, reads as many rows as it shows; and so does the newest alone.
            let is_page = statement.ends_with("WHERE 1") || statement.ends_with("LIMIT 1");
            // What a subquery has limited, what is no table, and the few that are under way.
            let fine = ["SUBQUERY", "SCAN (", "CONSTANT ROW", "deliveries_sending"];
            let is_scan = |step: &&String| step.starts_with("SCAN") && !fine.iter().any(|word| step.contains(word));
            if let Some(step) = steps.iter().find(is_scan).filter(|_| !is_page) {
                wrong.push(format!("{file}: {statement}\n    {step}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(looked > 45, "only {looked} statements were found");
}

/// What the census says beside what a count of all rows says.
async fn counted(store: &dyn store::Store, path: &std::path::Path) -> [Vec<i64>; 2] {
    let census = store.census().await.unwrap();
    let said = std::iter::once(census.timers).chain(census.deliveries.iter().map(|(_, n)| *n));
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let timers = count("SELECT count(*) FROM timers");
    let states = census.deliveries.iter();
    let rows = states.map(|(state, _)| count(&format!("SELECT count(*) FROM deliveries WHERE state = '{state}'")));
    [said.map(|n| i64::try_from(n).unwrap()).collect(), std::iter::once(timers).chain(rows).collect()]
}

#[tokio::test]
async fn what_is_counted_as_it_comes_and_goes_is_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = store::open(&Secret::new("sqlite:x.db"), folder.path()).await.unwrap();
    let lease = store.lease("a", start(), day(900)).await.unwrap().unwrap();
    let timer = |due| Some(Timer { due, event: None, text: "{}".into() });
    let timers = ["a", "b", "c"].map(|id| (id.to_owned(), timer(at(60))));
    let deliveries = (0..6).map(|n| delivery(&format!("dlv_{n}"))).collect();
    let plan = Plan { timers: timers.into(), deliveries, ..Plan::default() };
    store.commit(&lease, plan, start()).await.unwrap();
    // One is moved, one is taken away, one was never there; and a delivery is made twice.
    let timers = [("a", timer(at(90))), ("b", None), ("x", None)].map(|(id, timer)| (id.to_owned(), timer));
    let plan = Plan { timers: timers.into(), deliveries: vec![delivery("dlv_0")], ..Plan::default() };
    store.commit(&lease, plan, start()).await.unwrap();
    let claims = store.claim(start(), &[Room { wanted: 3, ..room(&delivery("").destination) }]).await.unwrap().claims;
    assert_eq!(claims.len(), 3);
    store.settle(&claims[0], delivered(), at(1)).await.unwrap();
    store.settle(&claims[1], dead(), at(1)).await.unwrap();
    store.cancel(&[DeliveryId("dlv_4".into())], "no", at(1)).await.unwrap();
    store.revive(&[claims[1].delivery.planned.id.clone()], at(2)).await.unwrap();
    let [said, rows] = counted(&*store, &path).await;
    assert_eq!(said, rows);
    assert_eq!(rows[0], 2, "timers");
    store.prune(day(1), day(1), 100).await.unwrap();
    let [said, rows] = counted(&*store, &path).await;
    assert_eq!(said, rows);
    store.close().await.unwrap();

    // As a program left it that knew no counts.
    let conn = Connection::open(&path).unwrap();
    let triggers: Vec<String> = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    triggers.iter().for_each(|name| conn.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    conn.execute_batch(
        "DROP TABLE counts; DROP TABLE tallies; DROP INDEX conflicts_received;
         DROP INDEX lanes_ended; ALTER TABLE lanes DROP COLUMN ended; PRAGMA user_version = 3",
    )
    .unwrap();
    drop(conn);
    let store = store::open(&Secret::new("sqlite:x.db"), folder.path()).await.unwrap();
    assert_eq!(counted(&*store, &path).await[0], rows);
    store.close().await.unwrap();
}

#[tokio::test]
async fn retention_passes_over_very_many_events_that_are_needed_and_finds_those_behind_them() {
    const NEEDED: usize = 2500;
    let folder = tempfile::tempdir().unwrap();
    let store = store::open(&Secret::new("sqlite:x.db"), folder.path()).await.unwrap();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..NEEDED + 20 {
        let store = store.clone();
        all.spawn(async move { store.append(received(&format!("evt_{number}"), start())).await.unwrap() });
    }
    all.join_all().await;
    let young = store.append(received("evt_young", day(5))).await.unwrap();
    let Appended::Fresh(last) = young else { panic!("{young:?}") };
    let lease = store.lease("a", start(), day(900)).await.unwrap().unwrap();
    let needed = i64::try_from(NEEDED).unwrap();
    let doc = DocChange {
        key: Key { kind: "case".into(), id: "r/C1".into() },
        text: Some("{}".into()),
        events: (1..=needed).collect(),
    };
    store.commit(&lease, Plan { upto: Some(last), docs: vec![doc], ..Plan::default() }, start()).await.unwrap();
    let mut pieces = Vec::new();
    while pieces.last() != Some(&0) {
        pieces.push(store.prune(day(1), day(1), 500).await.unwrap());
    }
    assert!(pieces.len() > 2, "more than one piece was looked at: {pieces:?}");
    let seqs: Vec<i64> = (1..=last).collect();
    let left: Vec<i64> = store.events(&seqs).await.unwrap().into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(left, (1..=needed).chain([last]).collect::<Vec<_>>());
    store.close().await.unwrap();
}
