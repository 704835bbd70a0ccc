//! The disk fails, fills up, can't be written to, or has something else where the store was. A process of its own each
//! time: what counts is what it answers, how it ends, and what is there when it starts again.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::support::app::{ask, eventually, json, while_it_moves};
use crate::support::fault::Disk;
use crate::support::folder::{CONFIG, EVERYTHING, Folder, UNDER_WAY};
use crate::support::http_peer::HttpPeer;
use crate::support::load::{Sent, deliveries, load, request, send, until_done, waiting};
use crate::support::process::{Process, command};
use crate::support::raw;

/// Starts on this disk; what it logged if it ends instead.
async fn start(folder: &Folder, disk: &Disk, more: &[(&str, &str)]) -> Result<Process, String> {
    let variables = disk.variables();
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied());
    Process::try_start(folder.path(), "info", &variables.collect::<Vec<_>>()).await
}

/// Everything that was accepted came out, under one key each.
async fn nothing_is_lost(folder: &Folder, peer: &HttpPeer, accepted: &[String]) {
    let process = Process::start(folder.path()).await;
    until_done(process.admin).await;
    let times = deliveries(&peer.requests());
    let lost: Vec<_> = accepted.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    for id in accepted {
        assert_eq!(send(process.webhooks, id).await.json()["status"], "duplicate", "{id}");
    }
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_is_never_answered_with_success_and_ends_the_process() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let (disk, sent) = (Disk::of(folder.path()), Arc::new(Sent::default()));
    for round in 0..4 {
        disk.is("well");
        let process = start(&folder, &disk, &[]).await.unwrap();
        let senders = load(process.webhooks, 4, round, &sent);
        sent.reaches(sent.count() + 10 + 15 * round).await;
        disk.is("sync");
        let (status, log) = process.ended().await;
        assert_eq!(status.code(), Some(70), "round {round}: {log}");
        assert!(log.contains("the disk failed") && !log.contains("panicked"), "round {round}: {log}");
        senders.join_all().await;
    }
    let refused = sent.refused();
    assert!(!refused.is_empty() && refused.iter().all(|answer| answer.status == 503), "{refused:?}");
    nothing_is_lost(&folder, &peer, &sent.accepted()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_nothing_that_was_answered_and_repeats_only_what_was_under_way() {
    for round in 0..6 {
        let peer = HttpPeer::start().await;
        let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
        let (disk, sent) = (Disk::of(folder.path()), Arc::new(Sent::default()));
        let synced = folder.file("synced");
        let process = start(&folder, &disk, &[("FAULT_SYNCED", synced.to_str().unwrap())]).await.unwrap();
        let senders = load(process.webhooks, 4, round, &sent);
        sent.reaches(20 + 15 * round).await;
        let log = process.kill().await;
        assert!(!log.contains("panicked"), "{log}");
        senders.join_all().await;
        // Of what no sync brought to the disk, a part is there.
        let log = OpenOptions::new().write(true).open(folder.file("data/fanfare.db-wal")).unwrap();
        let (whole, certain) = (log.metadata().unwrap().len(), std::fs::read_to_string(&synced).unwrap());
        let certain: u64 = certain.parse().unwrap();
        assert!(certain <= whole, "{certain} of {whole} bytes");
        log.set_len(certain + (whole - certain) * round as u64 / 6).unwrap();
        nothing_is_lost(&folder, &peer, &sent.accepted()).await;
        let repeats: usize = deliveries(&peer.requests()).values().map(|times| times - 1).sum();
        assert!(repeats <= UNDER_WAY, "round {round}: {repeats} repeats, {certain} of {whole} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_it_asks_to_come_again_settles_what_is_under_way_and_goes_on_by_itself() {
    let peer = HttpPeer::start().await;
    let slow = CONFIG.replace("concurrency: 4", "concurrency: 2, rate: 20/s");
    let folder = Folder::new(&slow, &peer.url("/ledger"), EVERYTHING);
    let disk = Disk::of(folder.path());
    let process = start(&folder, &disk, &[]).await.unwrap();
    eventually("the reserve", async || folder.file("data/fanfare.db.reserve").exists().then_some(())).await;
    let ids: Vec<String> = (0..40).map(|number| format!("evt_{number}")).collect();
    for id in &ids {
        assert_eq!(send(process.webhooks, id).await.status, 200);
    }
    eventually("planned", async || {
        let status = json(process.admin, "/api/v1/status").await;
        (status["inbox"]["head"] == status["inbox"]["planned"]).then_some(())
    })
    .await;
    disk.is("full");
    let refused = eventually("refused", async || {
        let answer = send(process.webhooks, "evt_refused").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 503);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((30..=90).contains(&wait), "{wait}");
    let ready = ask(process.admin, "GET", "/readyz").await;
    assert_eq!((ready.status, ready.json()["store"].as_str()), (503, Some("the disk is full")));
    // What is under way is sent and noted all the same.
    while_it_moves("what was accepted is delivered", async || {
        let status = json(process.admin, "/api/v1/status").await;
        if waiting(&status) == 0 { Ok(()) } else { Err(status["deliveries"].clone()) }
    })
    .await;
    assert_eq!(send(process.webhooks, "evt_refused").await.status, 503, "and still nothing is taken in");
    disk.is("well");
    eventually("it takes events again", async || {
        (send(process.webhooks, "evt_after").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(ask(process.admin, "GET", "/readyz").await.status, 200);
    until_done(process.admin).await;
    let times = deliveries(&peer.requests());
    assert!(ids.iter().all(|id| times.get(id) == Some(&1)), "none is lost, none is repeated: {times:?}");
    let (status, log) = process.terminate().await;
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_became_read_only_ends_it_and_holds_up_the_next_start_until_it_is_well() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let (disk, sent) = (Disk::of(folder.path()), Arc::new(Sent::default()));
    let process = start(&folder, &disk, &[]).await.unwrap();
    let senders = load(process.webhooks, 2, 0, &sent);
    sent.reaches(20).await;
    disk.is("readonly");
    let (status, log) = process.ended().await;
    assert_eq!(status.code(), Some(70), "{log}");
    senders.join_all().await;
    assert!(sent.refused().iter().all(|answer| answer.status == 503));
    let Err(log) = start(&folder, &disk, &[]).await else { panic!("it runs, and can't keep anything") };
    assert!(log.contains("data/fanfare.db") && log.contains("Read-only file system"), "{log}");
    disk.is("well");
    nothing_is_lost(&folder, &peer, &sent.accepted()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_taken_away_takes_nothing_in_any_more() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    for taken in ["deleted", "replaced", "cut short"] {
        let process = Process::start(folder.path()).await;
        eventually("the reserve", async || folder.file("data/fanfare.db.reserve").exists().then_some(())).await;
        assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
        let (code, _, said) = command(folder.path(), &["backup", "copy.db"]);
        assert_eq!(code, 0, "{said}");
        match taken {
            "deleted" => std::fs::remove_file(folder.file("data/fanfare.db")).unwrap(),
            "cut short" => {
                OpenOptions::new().write(true).open(folder.file("data/fanfare.db")).unwrap().set_len(4096).unwrap()
            }
            _ => {
                std::fs::copy(folder.file("copy.db"), folder.file("other.db")).unwrap();
                std::fs::rename(folder.file("other.db"), folder.file("data/fanfare.db")).unwrap();
            }
        }
        let answer = send(process.webhooks, "evt_2").await;
        assert_ne!(answer.status, 200, "nobody would find it again");
        let (status, log) = process.ended().await;
        assert_eq!(status.code(), Some(70), "{log}");
        assert!(log.contains("was deleted, replaced or cut short while it was in use"), "{log}");
        if taken == "deleted" {
            let (code, _, said) = command(folder.path(), &["serve"]);
            assert!(code == 1 && said.contains("is gone, though a store stood there"), "{said}");
        }
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.file(&format!("data/fanfare.db{ending}")));
        }
        std::fs::rename(folder.file("copy.db"), folder.file("data/fanfare.db")).unwrap();
        let process = Process::start(folder.path()).await;
        assert_eq!(send(process.webhooks, "evt_1").await.json()["status"], "duplicate");
        process.terminate().await;
    }
}

#[tokio::test]
async fn what_is_no_store_of_its_own_is_refused_and_left_as_it_is() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    eventually("the reserve", async || folder.file("data/fanfare.db.reserve").exists().then_some(())).await;
    process.terminate().await;
    let path = folder.file("data/fanfare.db");
    let whole = std::fs::read(&path).unwrap();
    let changed = |sql: &str| {
        let copy = folder.file("changed.db");
        std::fs::write(&copy, &whole).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        std::fs::read(&copy).unwrap()
    };
    let mut torn = whole.clone();
    torn[4096..].fill(0xff);
    for (what, bytes, word) in [
        ("nothing", Vec::new(), "is empty, though a store stood there"),
        ("a text", b"Dear diary, ".repeat(1000), "is damaged (file is not a database)"),
        ("another program's", changed("PRAGMA application_id = 7"), "is a database of another program"),
        ("a newer schema's", changed("PRAGMA user_version = 99"), "has schema 99, made by a newer Fanfare"),
        ("torn", torn, "is damaged"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let (code, _, said) = command(folder.path(), &["serve"]);
        assert!(code == 1 && said.contains(word) && !said.contains("panicked"), "{what}: {code} {said}");
        assert!(std::fs::read(&path).unwrap() == bytes, "{what} is left as it is");
    }
}

/// A database as the first schema left it, with one event and one delivery's worth of pages.
fn old_database(path: &Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(include_str!("../../src/store/sqlite/0001_inbox.sql")).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 1; PRAGMA application_id = 0x46616e66")
        .unwrap();
    conn.execute("INSERT INTO conflicts (of, received, raw) VALUES (1, 0, zeroblob(50000))", []).unwrap();
}

#[tokio::test]
async fn killed_at_any_write_of_a_migration_it_has_the_old_schema_whole_or_the_new() {
    let peer = HttpPeer::start().await;
    let (mut old, mut new) = (0, 0);
    let mut step = 0;
    for round in 1.. {
        // Closer together where it matters: at the beginning, and never more than a dozen apart.
        step += round.min(12);
        let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
        std::fs::create_dir(folder.file("data")).unwrap();
        old_database(&folder.file("data/fanfare.db"));
        let disk = Disk::of(folder.path());
        let started = start(&folder, &disk, &[("FAULT_KILL", &step.to_string())]).await;
        let conn = Connection::open(folder.file("data/fanfare.db")).unwrap();
        let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!((sound.as_str(), number("SELECT count(*) FROM conflicts")), ("ok", 1), "at write {step}");
        let tables = number("SELECT count(*) FROM sqlite_schema WHERE name IN ('docs', 'deliveries', 'attempts')");
        match number("SELECT * FROM pragma_user_version") {
            1 => old += usize::from(tables == 0),
            _ => new += usize::from(tables == 3),
        }
        drop(conn);
        assert_eq!(old + new, round, "at write {step} it is neither: {tables} new tables");
        if started.is_ok() {
            break;
        }
        // The next start brings it to its end.
        let process = Process::start(folder.path()).await;
        assert_eq!(send(process.webhooks, "evt_1").await.status, 200, "after write {step}");
        process.kill().await;
    }
    assert!(old >= 4 && new >= 1, "{old} before, {new} after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_taken_away_is_noticed_at_the_next_event_and_nothing_that_was_answered_is_lost() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    for taken in ["deleted", "replaced"] {
        let process = Process::start(folder.path()).await;
        let ids: Vec<String> = (0..30).map(|number| format!("evt_{taken}_{number}")).collect();
        for id in &ids {
            assert_eq!(send(process.webhooks, id).await.status, 200);
        }
        let log = folder.file("data/fanfare.db-wal");
        std::fs::remove_file(&log).unwrap();
        if taken == "replaced" {
            std::fs::write(&log, "").unwrap();
        }
        let answer = send(process.webhooks, &format!("evt_{taken}_late")).await;
        assert_ne!(answer.status, 200, "nobody would find it again");
        let (status, said) = process.ended().await;
        assert!(!status.success() && said.contains("fanfare.db-wal` was deleted, replaced"), "{status} {said}");
        let _ = std::fs::remove_file(&log);
        let process = Process::start(folder.path()).await;
        for id in &ids {
            assert_eq!(send(process.webhooks, id).await.json()["status"], "duplicate", "{id} was answered");
        }
        process.terminate().await;
    }
}

/// A connection that leaves the log as it is.
fn connect(folder: &Folder) -> Connection {
    let conn = Connection::open(folder.file("data/fanfare.db")).unwrap();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    conn.busy_timeout(Duration::from_millis(500)).unwrap();
    conn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_taken_away_is_copied_whole_even_if_another_connection_is_just_copying_it() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
    let is_kept_waiting = |conn: &Connection, mode: &str| {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        conn.query_row(&sql, [], |row| row.get::<_, bool>(0)).unwrap()
    };
    // One that reads what was before `evt_2`, so that the one that copies can't get past that, and holds on for a while.
    let (reading, copying, looking) = (connect(&folder), connect(&folder), connect(&folder));
    for conn in [&copying, &looking] {
        conn.execute_batch("SELECT * FROM meta").unwrap();
    }
    reading.execute_batch("BEGIN; SELECT * FROM meta").unwrap();
    assert_eq!(send(process.webhooks, "evt_2").await.status, 200);
    // It is refused at once while another copies, and otherwise waits for the one that reads, with the lock in its hand.
    let is_taken = Arc::new(AtomicBool::new(false));
    let copying = tokio::task::spawn_blocking({
        let is_taken = is_taken.clone();
        move || while is_kept_waiting(&copying, "RESTART") && !is_taken.load(Ordering::Relaxed) {}
    });
    while !is_kept_waiting(&looking, "PASSIVE") {}
    std::fs::remove_file(folder.file("data/fanfare.db-wal")).unwrap();
    is_taken.store(true, Ordering::Relaxed);
    let late = tokio::spawn(async move { (send(process.webhooks, "evt_late").await, process) });
    copying.await.unwrap();
    drop(reading);
    let (answer, process) = late.await.unwrap();
    assert_ne!(answer.status, 200, "nobody would find it again");
    let (_, said) = process.ended().await;
    assert!(!said.contains("could not be copied"), "{said}");
    let process = Process::start(folder.path()).await;
    for id in ["evt_1", "evt_2"] {
        assert_eq!(send(process.webhooks, id).await.json()["status"], "duplicate", "{id} was answered");
    }
    process.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_cut_short_is_noticed_before_the_next_event_is_answered() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
    // Open before: the process may end by itself before anything more comes.
    let mut connection = raw::Connection::open(process.webhooks).await;
    OpenOptions::new().write(true).open(folder.file("data/fanfare.db-wal")).unwrap().set_len(0).unwrap();
    connection.send(&request("evt_2")).await;
    assert_ne!(connection.answer().await.status, 200, "it would stand behind a hole");
    let (status, said) = process.ended().await;
    // Planning may read what is gone before anything is written.
    let is_seen =
        said.contains("fanfare.db-wal` was deleted, replaced or cut short") || said.contains("the disk failed");
    assert!(status.code() == Some(70) && is_seen, "{said}");
    let conn = Connection::open(folder.file("data/fanfare.db")).unwrap();
    let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok", "nothing of what is left of the log was copied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_cut_short_and_has_grown_again_is_noticed_too() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
    let mut connection = raw::Connection::open(process.webhooks).await;
    // As it is where a write was under way: it goes to its place, behind a hole.
    let log = OpenOptions::new().write(true).open(folder.file("data/fanfare.db-wal")).unwrap();
    let length = log.metadata().unwrap().len();
    log.set_len(0).and_then(|()| log.set_len(length + (1 << 20))).unwrap();
    connection.send(&request("evt_2")).await;
    assert_ne!(connection.answer().await.status, 200, "it would stand behind a hole");
    assert_eq!(process.ended().await.0.code(), Some(70));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_after_a_kill_says_that_the_log_is_gone_and_one_after_an_end_in_order_does_not() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let said = "ended without closing the store, and the log that it left";
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_1").await.status, 200);
    let (_, log) = process.terminate().await;
    assert!(!log.contains(said), "{log}");
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_2").await.status, 200);
    let log = process.kill().await;
    assert!(!log.contains(said), "{log}");
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_2").await.json()["status"], "duplicate");
    let log = process.kill().await;
    assert!(!log.contains(said), "the log was there: {log}");
    for ending in ["-wal", "-shm"] {
        std::fs::remove_file(folder.file(&format!("data/fanfare.db{ending}"))).unwrap();
    }
    let process = Process::start(folder.path()).await;
    let (_, log) = process.terminate().await;
    assert!(log.contains(said), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_whatever_the_name_by_which_it_opens_the_store() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start(folder.path()).await;
    std::os::unix::fs::symlink("data/fanfare.db", folder.file("other.db")).unwrap();
    std::os::unix::fs::symlink("other.db", folder.file("third.db")).unwrap();
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    for name in ["other.db", "third.db"] {
        folder.write(&format!("{name}.yaml"), &config.replace("data/fanfare.db", name));
        let (code, _, said) = command(folder.path(), &["--config", &format!("{name}.yaml"), "serve"]);
        assert!(code == 1 && said.contains("is in use by another Fanfare"), "{name}: {said}");
    }
    process.terminate().await;
    std::fs::hard_link(folder.file("data/fanfare.db"), folder.file("hard.db")).unwrap();
    let (code, _, said) = command(folder.path(), &["serve"]);
    assert!(code == 1 && said.contains("has a second name"), "{said}");
    std::fs::remove_file(folder.file("hard.db")).unwrap();
    // By a link it is the same store.
    folder.write("fanfare.yaml", &config.replace("data/fanfare.db", "third.db"));
    let process = Process::start(folder.path()).await;
    assert!(folder.file("data/fanfare.db.lock").exists() && !folder.file("third.db.lock").exists());
    process.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_pipe_where_the_store_should_be_keeps_no_command_waiting() {
    let peer = HttpPeer::start().await;
    for name in ["fanfare.db", "fanfare.db-wal", "fanfare.db.lock", "fanfare.db.reserve"] {
        let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
        Process::start(folder.path()).await.terminate().await;
        let at = folder.file(&format!("data/{name}"));
        let _ = std::fs::remove_file(&at);
        assert!(std::process::Command::new("mkfifo").arg(&at).status().unwrap().success());
        for arguments in [&["serve"][..], &["doctor"], &["backup", "copy.db"]] {
            let (code, out, said) = command(folder.path(), arguments);
            assert!(code == 1 && (out + &said).contains("is not a regular file"), "{name} {arguments:?}: {said}");
        }
        assert_eq!(command(folder.path(), &["check"]).0, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_again_on_a_full_disk_it_settles_what_is_under_way_and_takes_nothing_in_until_there_is_room() {
    for reserve in ["set free", "kept"] {
        let peer = HttpPeer::start().await;
        let slow = CONFIG.replace("concurrency: 4", "concurrency: 1, rate: 5/s");
        let folder = Folder::new(&slow, &peer.url("/ledger"), EVERYTHING);
        let disk = Disk::of(folder.path());
        let process = start(&folder, &disk, &[]).await.unwrap();
        let path = folder.file("data/fanfare.db.reserve");
        eventually("the reserve", async || (path.metadata().is_ok_and(|meta| meta.len() >= 8 << 20)).then_some(()))
            .await;
        let ids: Vec<String> = (0..15).map(|number| format!("evt_{number}")).collect();
        for id in &ids {
            assert_eq!(send(process.webhooks, id).await.status, 200);
        }
        eventually("planned", async || {
            let status = json(process.admin, "/api/v1/status").await;
            (status["inbox"]["head"] == status["inbox"]["planned"]).then_some(())
        })
        .await;
        if reserve == "set free" {
            disk.is("full");
            eventually("the reserve is set free", async || {
                send(process.webhooks, "evt_refused").await;
                (!path.exists()).then_some(())
            })
            .await;
        }
        process.kill().await;
        disk.is("full");
        let process = start(&folder, &disk, &[]).await.unwrap_or_else(|log| panic!("{reserve}: {log}"));
        assert_eq!(send(process.webhooks, "evt_refused").await.status, 503, "{reserve}");
        while_it_moves("what was accepted is delivered", async || {
            let status = json(process.admin, "/api/v1/status").await;
            if waiting(&status) == 0 { Ok(()) } else { Err(status["deliveries"].clone()) }
        })
        .await;
        let times = deliveries(&peer.requests());
        assert!(ids.iter().all(|id| times.contains_key(id)), "{reserve}: {times:?}");
        disk.is("well");
        eventually("it takes events again", async || {
            (send(process.webhooks, "evt_after").await.status == 200).then_some(())
        })
        .await;
        let (status, log) = process.terminate().await;
        assert!(status.success(), "{reserve}: {log}");
    }
}
