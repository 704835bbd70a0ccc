//! A rolling upgrade: the next version brings the database up to date under load, while replicas of this version go on,
//! start again, and are replaced one after the other.

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

    sent.stop.store(true, Ordering::SeqCst);
    senders.join_all().await;
    until_done(&first).await;
    let dead = json(first.admin, "/api/v1/deliveries?state=dead").await;
    assert_eq!(dead, serde_json::json!([]), "nobody refused anything");
    let times = told(&peer.requests());
    let lost: Vec<String> =
        sent.accepted.lock().unwrap().iter().filter(|id| !times.contains_key(*id)).cloned().collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    let repeats: usize = times.values().map(|times| times - 1).sum();
    assert!(repeats <= UNDER_WAY, "more than was under way at the death of one: {repeats}");
    for replica in [first, second] {
        let (status, log) = replica.terminate().await;
        assert!(status.success() && !log.contains("panicked"), "{status}\n{log}");
    }

    // The version after the next takes away what this one uses: it starts no more.
    server.sql(&format!("UPDATE {schema}.fanfare SET oldest = schema"));
    let Err(log) = Process::try_start(folder.path(), "info", &[]).await else { panic!("it started") };
    assert!(log.contains("made by a newer Fanfare"), "{log}");
}
