//! A rolling upgrade: the next version brings the database up to date under load, while replicas of this version go on,
//! start again, and are replaced one after the other.

use std::process::Command;

use super::*;

/// What the next version's step may do while this one runs: add tables, indexes, and columns with a default.
const NEXT: &str = "
    ALTER TABLE inbox ADD COLUMN later_version bigint NOT NULL DEFAULT 0;
    ALTER TABLE ids ADD COLUMN later_version text;
    ALTER TABLE deliveries ADD COLUMN later_version text NOT NULL DEFAULT '';
    ALTER TABLE contents ADD COLUMN later_version text;
    ALTER TABLE attempts ADD COLUMN later_version bigint;
    ALTER TABLE lanes ADD COLUMN later_version bigint NOT NULL DEFAULT 0;
    ALTER TABLE docs ADD COLUMN later_version text;
    ALTER TABLE planner ADD COLUMN later_version bigint NOT NULL DEFAULT 0;
    CREATE TABLE later_version (id bigint PRIMARY KEY);
    CREATE INDEX deliveries_later ON deliveries (later_version);
    UPDATE fanfare SET schema = schema + 1, oldest = schema;
";

/// Lets the senders stop.
async fn end(sent: &Sent, senders: JoinSet<()>) {
    sent.stop.store(true, Ordering::SeqCst);
    senders.join_all().await;
}

async fn nothing_is_lost_nor_repeated_beyond_what_was_under_way(left: &Process, peer: &HttpPeer, sent: &Sent) {
    until_done(left).await;
    let dead = json(left.admin, "/api/v1/deliveries?state=dead").await;
    assert_eq!(dead, serde_json::json!([]), "nobody refused anything");
    let times = told(&peer.requests());
    let lost: Vec<String> =
        sent.accepted.lock().unwrap().iter().filter(|id| !times.contains_key(*id)).cloned().collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    let repeats: usize = times.values().map(|times| times - 1).sum();
    assert!(repeats <= UNDER_WAY, "more than was under way at the death of one: {repeats}");
    eprintln!("{} accepted, 0 lost, {repeats} sent again", sent.count());
}

/// `FANFARE_BEFORE` names the program of the version before; `scripts/before` builds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_before_and_this_one_share_a_database_and_replace_each_other_under_load() {
    let Some(before) = std::env::var_os("FANFARE_BEFORE").filter(|path| !path.is_empty()) else {
        assert!(std::env::var_os("CI").is_none(), "FANFARE_BEFORE is missing: run scripts/before in a whole clone");
        return eprintln!("skipped: FANFARE_BEFORE names no program of the version before; scripts/before builds it");
    };
    let server = Server::start("");
    let peer = HttpPeer::start().await;
    let folder = folder(&server.fresh(), &peer, LADDER);
    let old = async || Process::try_start_by(Command::new(&before), folder.path(), "info", &[]).await.unwrap();
    let (first, second) = (old().await, old().await);
    let sent = Arc::new(Sent::default());
    let mut senders = JoinSet::new();
    for nth in 0..3 {
        senders.spawn(sender(vec![first.webhooks, second.webhooks], format!("old_{nth}"), sent.clone()));
    }
    soon("events", sent.reaches(100)).await;

    // This version beside both; then in place of the one, which ends in order, and of the other, which dies.
    let new = Process::start(folder.path()).await;
    senders.spawn(sender(vec![new.webhooks, second.webhooks], "both".into(), sent.clone()));
    soon("events at both", sent.reaches(sent.count() + 200)).await;
    let (status, log) = first.terminate().await;
    assert!(status.success() && !log.contains("panicked"), "{status}\n{log}");
    soon("events after one was replaced", sent.reaches(sent.count() + 100)).await;
    let log = second.kill().await;
    assert!(!log.contains("panicked"), "{log}");
    soon("events after both were replaced", sent.reaches(sent.count() + 100)).await;

    // And back.
    let third = old().await;
    senders.spawn(sender(vec![new.webhooks, third.webhooks], "back".into(), sent.clone()));
    soon("events at one that went back", sent.reaches(sent.count() + 100)).await;
    end(&sent, senders).await;
    nothing_is_lost_nor_repeated_beyond_what_was_under_way(&new, &peer, &sent).await;
    for replica in [new, third] {
        let (status, log) = replica.terminate().await;
        assert!(status.success() && !log.contains("panicked"), "{status}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_go_on_and_start_again_on_what_the_next_version_added_and_nothing_is_lost() {
    let server = Server::start("");
    let peer = HttpPeer::start().await;
    let address = server.fresh();
    let folder = folder(&address, &peer, LADDER);
    let first = Process::start(folder.path()).await;
    let second = Process::start(folder.path()).await;
    let sent = Arc::new(Sent::default());
    let mut senders = JoinSet::new();
    for nth in 0..3 {
        senders.spawn(sender(vec![first.webhooks, second.webhooks], format!("old_{nth}"), sent.clone()));
    }
    soon("events", sent.reaches(100)).await;
    let schema = address.split("search_path%3D").nth(1).unwrap().split('&').next().unwrap();
    // As the program does it: what a deadlock undid is done again.
    let step = format!("BEGIN {NEXT} EXIT; EXCEPTION WHEN deadlock_detected THEN NULL; END;");
    server
        .sql(&format!("SET search_path = {schema}; SET lock_timeout = '30s'; DO $$BEGIN LOOP {step} END LOOP; END$$"));
    soon("events on the newer schema", sent.reaches(sent.count() + 100)).await;

    // One is moved to another machine, the other dies: both begin again, and the database is newer than they are.
    let (status, log) = first.terminate().await;
    assert!(status.success(), "{log}");
    let first = Process::start(folder.path()).await;
    senders.spawn(sender(vec![first.webhooks, second.webhooks], "again".into(), sent.clone()));
    soon("events at one that began again", sent.reaches(sent.count() + 100)).await;
    let log = second.kill().await;
    assert!(!log.contains("panicked"), "{log}");
    let second = Process::start(folder.path()).await;
    soon("events after one died", sent.reaches(sent.count() + 100)).await;

    end(&sent, senders).await;
    nothing_is_lost_nor_repeated_beyond_what_was_under_way(&first, &peer, &sent).await;
    for replica in [first, second] {
        let (status, log) = replica.terminate().await;
        assert!(status.success() && !log.contains("panicked"), "{status}\n{log}");
    }

    // The version after the next takes away what this one uses: it starts no more.
    server.sql(&format!("UPDATE {schema}.fanfare SET oldest = schema"));
    let Err(log) = Process::try_start(folder.path(), "info", &[]).await else { panic!("it started") };
    assert!(log.contains("made by a newer Fanfare"), "{log}");
}
