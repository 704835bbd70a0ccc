//! What only a file can do: be opened again, be full, be damaged, be somebody else's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanfare::delivery::AttemptOutcome;
use fanfare::event::{Item, UNPARSED};
use fanfare::planner::Plan;
use fanfare::secret::Secret;
use fanfare::store::{Appended, Error, EventFilter, Store, backup, examine, open};
use rusqlite::Connection;
use serde_json::json;

use super::bench::{at, day, delivered, delivery, event, event_of, room, start};

const NAME: &str = "fanfare.db";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Opens the database in a folder.
async fn try_open(folder: &Path, options: &str) -> Result<Arc<dyn Store>, Error> {
    open(&Secret::new(format!("sqlite:{NAME}{options}")), folder).await
}

async fn reopen(folder: &Path) -> Arc<dyn Store> {
    try_open(folder, "").await.unwrap()
}

/// Why it can't be opened.
async fn refusal(folder: &Path) -> String {
    match try_open(folder, "").await {
        Err(Error::Unusable(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was opened"),
    }
}

/// What a crash leaves at this moment: the files as they are, copied while the store is open.
fn crash(folder: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    for name in [NAME.to_owned(), format!("{NAME}-wal")] {
        if folder.join(&name).exists() {
            std::fs::copy(folder.join(&name), image.path().join(&name)).unwrap();
        }
    }
    image
}

async fn append_all(store: &Arc<dyn Store>, from: usize, count: usize) {
    let all: Vec<_> = (from..from + count)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.append(event(&format!("evt_{n}"))).await.unwrap() })
        })
        .collect();
    for one in all {
        assert!(matches!(one.await.unwrap(), Appended::Fresh(_)));
    }
}

async fn assert_known(store: &Arc<dyn Store>, count: usize) {
    for n in 0..count {
        let again = store.append(event(&format!("evt_{n}"))).await.unwrap();
        assert!(matches!(again, Appended::Duplicate { conflict: false, .. }), "{n}: {again:?}");
    }
}

/// A database that was closed, with some events, some planned.
async fn closed_database(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await;
    append_all(&store, 0, count).await;
    store.close().await.unwrap();
    folder
}

fn wal_bytes(folder: &Path) -> u64 {
    folder.join(format!("{NAME}-wal")).metadata().map_or(0, |meta| meta.len())
}

#[test]
fn what_was_answered_is_there_after_a_crash() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = reopen(folder.path()).await;
        append_all(&store, 0, 50).await;
        let lease = store.lease("a", start(), at(60)).await.unwrap().unwrap();
        let plan = Plan { upto: Some(50), deliveries: vec![delivery("dlv_1")], ..Plan::default() };
        store.commit(&lease, plan, start()).await.unwrap();
        let claim = store.claim(start(), &[room("slack")]).await.unwrap().claims.remove(0);
        append_all(&store, 50, 10).await;

        let image = crash(folder.path());
        let after = reopen(image.path()).await;
        assert_known(&after, 60).await;
        assert_eq!(after.waiting(start(), 100).await.unwrap().entries.len(), 10);
        // Anyone who held leases is dead: another plans, and sends what was under way, without waiting for their end.
        assert_eq!(after.lease("b", at(1), at(61)).await.unwrap().unwrap().token, lease.token + 1);
        let again = after.claim(at(1), &[room("slack")]).await.unwrap().claims.remove(0);
        assert_eq!((&again.delivery.planned, again.delivery.attempts), (&claim.delivery.planned, 2));
        assert!(matches!(after.settle(&claim, delivered(), at(2)).await, Err(Error::Lost)));
        after.settle(&again, delivered(), at(2)).await.unwrap();
        let (_, attempts) = after.delivery(&claim.delivery.planned.id).await.unwrap().unwrap();
        assert_eq!(attempts[0].outcome, AttemptOutcome::Ambiguous);
    });
}

#[test]
fn ids_are_known_from_memory_from_tables_and_after_both_were_left_by_a_crash() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = reopen(folder.path()).await;
        append_all(&store, 0, 3000).await;
        // Moves them to their week's table.
        store.prune(start(), start(), 10).await.unwrap();
        append_all(&store, 3000, 500).await;
        assert_known(&store, 3500).await;

        let image = crash(folder.path());
        let after = reopen(image.path()).await;
        assert_known(&after, 3500).await;
        append_all(&after, 3500, 1).await;
        after.close().await.unwrap();
        let again = reopen(image.path()).await;
        assert_known(&again, 3501).await;
        assert_eq!(again.find_event("evt_7").await.unwrap().len(), 1);
    });
}

#[test]
fn dropping_a_store_lets_go_of_the_file() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..3 {
            let store = reopen(folder.path()).await;
            append_all(&store, n * 10, 10).await;
        }
        assert_known(&reopen(folder.path()).await, 30).await;
    });
}

#[test]
fn a_second_opener_is_refused_until_the_first_has_closed() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let first = reopen(folder.path()).await;
        let why = refusal(folder.path()).await;
        assert!(why.contains("in use by another Fanfare") && why.contains(NAME), "{why}");
        first.append(event("evt_1")).await.unwrap();
        first.close().await.unwrap();
        assert_known(&reopen(folder.path()).await, 0).await;
    });
}

#[test]
fn closing_leaves_one_file_that_is_whole() {
    block_on(async {
        let folder = closed_database(200).await;
        assert!(!folder.path().join(format!("{NAME}-wal")).exists());
        let conn = Connection::open(folder.path().join(NAME)).unwrap();
        let (verdict, ids): (String, i64) = conn
            .query_row(
                "SELECT (SELECT * FROM pragma_integrity_check), (SELECT value FROM meta WHERE name = 'indexed')",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!((verdict.as_str(), ids), ("ok", 200));
    });
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = reopen(folder.path()).await;
        store.append(event("evt_1")).await.unwrap();
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let meta = folder.path().join(format!("{NAME}{suffix}")).metadata().unwrap();
            assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{suffix}");
        }
    });
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    block_on(async {
        let folder = closed_database(1).await;
        let path = folder.path().join(NAME);
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let before = std::fs::read(&path).unwrap();
        let why = refusal(folder.path()).await;
        assert!(why.contains("schema 99") && why.contains("newer Fanfare"), "{why}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    });
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
        let before = std::fs::read(&path).unwrap();
        let why = refusal(folder.path()).await;
        assert!(why.contains("another program"), "{why}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    });
}

#[test]
fn files_that_are_no_database_are_refused_in_words() {
    block_on(async {
        let database = closed_database(300).await;
        let whole = std::fs::read(database.path().join(NAME)).unwrap();
        let garbage: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (name, bytes) in [("garbage", &garbage[..]), ("text", b"rules:\n"), ("cut", &whole[..whole.len() / 2])] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(NAME), bytes).unwrap();
            // A header that is whole with pages missing may be seen at once, or when they are read.
            match try_open(folder.path(), "").await {
                Err(Error::Unusable(why)) => assert!(why.contains("restore a backup"), "{name}: {why}"),
                Err(other) => panic!("{name}: {other:?}"),
                Ok(store) => {
                    assert_eq!(name, "cut");
                    assert!(store.waiting(start(), 1000).await.is_err());
                }
            }
        }
    });
}

#[test]
fn an_empty_file_is_a_new_database_and_a_folder_is_none() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), b"").unwrap();
        reopen(folder.path()).await.append(event("evt_1")).await.unwrap();

        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(NAME)).unwrap();
        match try_open(folder.path(), "").await {
            Err(Error::Unusable(why)) => assert!(why.contains(NAME) && why.contains("not a regular file"), "{why}"),
            other => panic!("{:?}", other.map(drop)),
        }
    });
}

#[test]
fn addresses_that_mean_nothing_are_refused_without_repeating_them() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        for (address, word) in [
            ("mysql://root:hunter2@host/db", "unknown kind of store"),
            ("fanfare.db", "unknown kind of store"),
            ("memory:x", "unknown kind of store"),
            ("sqlite:", "names no file"),
            ("sqlite:a.db?max_mib=0", "max_mib"),
            ("sqlite:a.db?max_mb=5", "unknown option `max_mb=5`"),
        ] {
            match open(&Secret::new(address), folder.path()).await {
                Err(Error::Unusable(why)) => {
                    assert!(why.contains(word), "{address}: {why}");
                    assert!(!why.contains("hunter2"));
                }
                other => panic!("{address}: {:?}", other.map(drop)),
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    });
}

/// A database as the first schema left it, with one event.
fn database_of_schema_1(path: &Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(include_str!("../../src/store/sqlite/0001_inbox.sql")).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 1; PRAGMA application_id = 0x46616e66")
        .unwrap();
    let event = event("evt_old");
    conn.execute(
        "INSERT INTO inbox VALUES (7, 0, 'jewelmusic', 'evt_old', 'track.live', ?1, ?1, '', ?2, ?3)",
        (start().as_millisecond(), event.body_hash().cast_signed(), &*event.raw),
    )
    .unwrap();
}

#[test]
fn an_older_schema_is_brought_up_to_date_and_a_copy_kept() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        database_of_schema_1(&folder.path().join(NAME));
        let store = reopen(folder.path()).await;
        assert_eq!(store.append(event("evt_old")).await.unwrap(), Appended::Duplicate { seq: 7, conflict: false });
        let lease = store.lease("a", start(), at(60)).await.unwrap().unwrap();
        let plan = Plan { upto: Some(7), deliveries: vec![delivery("dlv_1")], ..Plan::default() };
        assert_eq!(store.commit(&lease, plan, start()).await.unwrap(), 1);

        let copies: Vec<PathBuf> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains(".before-"))
            .collect();
        assert_eq!(copies.len(), 1, "{copies:?}");
        let copy = Connection::open(&copies[0]).unwrap();
        let (version, events): (i64, i64) = copy
            .query_row("SELECT (SELECT * FROM pragma_user_version), (SELECT count(*) FROM inbox)", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!((version, events), (1, 1));
    });
}

#[test]
fn a_schema_that_fails_half_way_leaves_what_was_there() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        database_of_schema_1(&path);
        // In the way of the third step.
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE paces (x)").unwrap();
        let why = refusal(folder.path()).await;
        assert!(why.contains("nothing was changed"), "{why}");
        let conn = Connection::open(&path).unwrap();
        let tables: i64 =
            conn.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'docs'", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
        conn.execute_batch("DROP TABLE paces").unwrap();
        drop(conn);
        reopen(folder.path()).await.probe().await.unwrap();
    });
}

#[test]
fn a_full_disk_refuses_events_and_still_settles() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = try_open(folder.path(), "?max_mib=1").await.unwrap();
        let lease = store.lease("a", start(), day(9)).await.unwrap().unwrap();
        store.append(event("evt_0")).await.unwrap();
        let deliveries = (0..20).map(|n| delivery(&format!("dlv_{n}"))).collect();
        store.commit(&lease, Plan { upto: Some(1), deliveries, ..Plan::default() }, start()).await.unwrap();
        let claims = store.claim(start(), &[room("slack")]).await.unwrap().claims;

        let large = |n: usize| event_of("jewelmusic", &format!("large_{n}"), json!({"text": "x".repeat(20_000)}));
        let mut kept = 0;
        let refused = loop {
            match store.append(large(kept)).await {
                Ok(_) => kept += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, Error::Full) && (10..60).contains(&kept), "{refused:?} after {kept}");
        for claim in &claims {
            store.keep(claim, "m".repeat(20_000)).await.unwrap();
            store.settle(claim, delivered(), at(1)).await.unwrap();
        }
        assert!(matches!(store.append(event("small")).await, Err(Error::Full)), "what is left is not for events");
        assert!(matches!(store.probe().await, Err(Error::Full)), "and it is not ready");
        assert_eq!(store.waiting(start(), 100).await.unwrap().entries.len(), kept, "none of them half");

        // Retention makes room, and all is as before.
        let lease = store.lease("a", at(2), day(9)).await.unwrap().unwrap();
        store.commit(&lease, Plan { upto: Some(1000), ..Plan::default() }, at(2)).await.unwrap();
        while store.prune(day(1), day(1), 100).await.unwrap() > 0 {}
        store.probe().await.unwrap();
        assert!(matches!(store.append(large(kept)).await, Ok(Appended::Fresh(_))));
        assert!(matches!(store.append(large(0)).await, Ok(Appended::Duplicate { .. })));
    });
}

#[test]
fn the_log_stays_bounded_under_load() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = reopen(folder.path()).await;
        let (mut most, mut written) = (0, 0);
        for round in 0..80 {
            let all: Vec<_> = (0..8)
                .map(|n| {
                    let store = store.clone();
                    let text = "x".repeat(200_000);
                    tokio::spawn(async move {
                        store.append(event_of("jewelmusic", &format!("{round}/{n}"), json!({"text": text}))).await
                    })
                })
                .collect();
            for one in all {
                one.await.unwrap().unwrap();
                written += 200_000;
            }
            most = most.max(wal_bytes(folder.path()));
        }
        assert!(written > 100 << 20);
        assert!(most < 64 << 20, "{most}");
        store.close().await.unwrap();
        assert_eq!(wal_bytes(folder.path()), 0);
    });
}

#[test]
fn a_flipped_bit_makes_no_panic_and_no_wrong_body() {
    block_on(async {
        let database = closed_database(500).await;
        let whole = std::fs::read(database.path().join(NAME)).unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut whole_events, mut noticed) = (0, 0);
        for _ in 0..60 {
            let folder = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            let place = random.usize(..bytes.len());
            bytes[place] ^= 1 << random.u32(..8);
            std::fs::write(folder.path().join(NAME), &bytes).unwrap();
            let Ok(store) = try_open(folder.path(), "").await else {
                noticed += 1;
                continue;
            };
            match store.list_events(&EventFilter { limit: 1000, ..EventFilter::default() }).await {
                Err(_) => noticed += 1,
                Ok(events) => {
                    for (_, found) in events {
                        let found = found.read();
                        let sent = event(found.id.as_str());
                        // A flipped id is another id; a body is its own, or it is said that it isn't.
                        let same = found.raw == sent.raw && found.body == sent.body;
                        let told = found.body.is_null() && found.proof.contains("changed on disk");
                        let other_id = found.body["id"] != found.id.as_str();
                        assert!(same || told || other_id, "{place}: {found:?}");
                        whole_events += usize::from(same);
                        noticed += usize::from(told);
                    }
                }
            }
            let _ = store.claim(start(), &[room("slack")]).await;
            let _ = store.census().await;
            let _ = store.close().await;
        }
        assert!(whole_events > 1000 && noticed > 3, "{whole_events} {noticed}");
    });
}

#[test]
fn a_body_changed_on_disk_is_not_passed_off_as_signed() {
    block_on(async {
        let folder = closed_database(3).await;
        let conn = Connection::open(folder.path().join(NAME)).unwrap();
        conn.execute("UPDATE inbox SET raw = CAST('{\"type\": \"forged\"}' AS BLOB) WHERE seq = 2", []).unwrap();
        drop(conn);
        let store = reopen(folder.path()).await;
        let entries = store.waiting(start(), 10).await.unwrap().entries;
        let Item::Event(forged) = &entries[1].item else { panic!("{entries:?}") };
        assert_eq!((&*forged.kind, &forged.body), (UNPARSED, &serde_json::Value::Null));
        assert!(forged.proof.contains("changed on disk"), "{}", forged.proof);
        assert_eq!(entries.len(), 3, "and the planner goes on");
        store.append(event("evt_9")).await.unwrap();
    });
}

#[test]
fn a_backup_of_an_open_store_is_whole_and_opens() {
    block_on(async {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = reopen(folder.path()).await;
        append_all(&store, 0, 100).await;
        let address = Secret::new(format!("sqlite:{NAME}"));
        let to = elsewhere.path().join(NAME);
        let bytes = backup(&address, folder.path(), &to).await.unwrap();
        assert_eq!(bytes, to.metadata().unwrap().len());
        append_all(&store, 100, 10).await;
        assert!(
            matches!(backup(&address, folder.path(), &to).await, Err(Error::Unusable(why)) if why.contains("exists"))
        );

        let copy = reopen(elsewhere.path()).await;
        assert_known(&copy, 100).await;
        assert!(matches!(copy.append(event("evt_105")).await, Ok(Appended::Fresh(_))));
    });
}

#[test]
fn an_examination_finds_what_is_wrong_and_changes_nothing() {
    block_on(async {
        let folder = closed_database(50).await;
        let (address, path) = (Secret::new(format!("sqlite:{NAME}")), folder.path().join(NAME));
        let found = examine(&address, folder.path()).await.unwrap();
        assert_eq!((found.events, found.faults.len()), (50, 0), "{found:?}");
        assert_eq!(found.bytes, path.metadata().unwrap().len());

        Connection::open(&path).unwrap().execute("UPDATE inbox SET raw = x'00' WHERE seq = 7", []).unwrap();
        let before = std::fs::read(&path).unwrap();
        let found = examine(&address, folder.path()).await.unwrap();
        assert_eq!(found.faults, ["the body at position 7 was changed on disk"]);
        assert_eq!(std::fs::read(&path).unwrap(), before);

        let nothing = examine(&Secret::new("sqlite:none.db"), folder.path()).await;
        assert!(matches!(nothing, Err(Error::Unavailable(why)) if why.contains("none.db")));
        assert!(!folder.path().join("none.db").exists());
    });
}

/// Runs one test of this file again in a process of its own, under a limit of `ulimit`, with a folder to work in. Gives
/// what it printed, and whether it ended well.
#[cfg(unix)]
fn in_a_child(test: &str, folder: &Path, limit: &str) -> (String, bool) {
    let child = std::process::Command::new("sh")
        .args(["-c", &format!("trap '' XFSZ; {limit}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(CHILD, folder)
        .output()
        .unwrap();
    (String::from_utf8_lossy(&child.stdout).into_owned(), child.status.success())
}

/// Names the folder, in a child.
const CHILD: &str = "FANFARE_TEST_STORE_FOLDER";

/// The ids that a child had an answer for.
fn answered(output: &str) -> Vec<&str> {
    // The first stands behind the test's own name.
    output.lines().filter_map(|line| line.split_once("answered ")).map(|(_, id)| id).collect()
}

#[cfg(unix)]
#[test]
fn a_killed_process_keeps_all_that_it_answered() {
    if let Ok(folder) = std::env::var(CHILD) {
        block_on(async {
            let store = reopen(Path::new(&folder)).await;
            for n in 0..300 {
                store.append(event(&format!("evt_{n}"))).await.unwrap();
                println!("answered evt_{n}");
            }
            let _unanswered = store.append(event("evt_300"));
            std::process::abort();
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let (output, ended_well) =
        in_a_child("store::sqlite::a_killed_process_keeps_all_that_it_answered", folder.path(), "true");
    assert!(!ended_well);
    assert_eq!(answered(&output).len(), 300);
    block_on(async {
        let store = reopen(folder.path()).await;
        assert_known(&store, 300).await;
        assert_eq!(store.waiting(start(), 1000).await.unwrap().entries.len(), 300);
    });
}

#[cfg(unix)]
#[test]
fn a_disk_that_fails_to_write_ends_all_writing_and_loses_nothing() {
    if let Ok(folder) = std::env::var(CHILD) {
        return block_on(async {
            let store = reopen(Path::new(&folder)).await;
            let text = "x".repeat(100_000);
            for n in 0..1000 {
                match store.append(event_of("jewelmusic", &n.to_string(), json!({"text": text}))).await {
                    Ok(_) => println!("answered {n}"),
                    Err(error) => {
                        assert!(matches!(error, Error::Broken(_)), "{error:?}");
                        break;
                    }
                }
            }
            assert!(matches!(store.append(event("small")).await, Err(Error::Broken(_))), "never again");
            assert!(matches!(store.probe().await, Err(Error::Broken(_))));
            store.close().await.unwrap();
            println!("ended");
        });
    }
    let folder = tempfile::tempdir().unwrap();
    // No file may grow beyond 10 MiB: the log comes there first, and what the disk says is not that it is full.
    let test = "store::sqlite::a_disk_that_fails_to_write_ends_all_writing_and_loses_nothing";
    let (output, ended_well) = in_a_child(test, folder.path(), "ulimit -f 20480");
    assert!(ended_well && output.contains("ended"), "{output}");
    let answered = answered(&output);
    assert!((50..150).contains(&answered.len()), "{output}");
    block_on(async {
        let store = reopen(folder.path()).await;
        for id in answered {
            assert_eq!(store.find_event(id).await.unwrap().len(), 1, "{id}");
        }
        assert!(matches!(store.append(event("small")).await, Ok(Appended::Fresh(_))));
    });
}
