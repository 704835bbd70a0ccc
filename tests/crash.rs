//! Killed at any moment: what was answered 2xx is carried out, and repeated no more than what was under way.
//!
//! `FANFARE_CRASH_ROUNDS` sets how often, and `FANFARE_CRASH_SEED` from which dice; a failure names both.

use std::sync::Arc;

use crate::support::app::{json, while_it_moves};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, UNDER_WAY};
use crate::support::http_peer::HttpPeer;
use crate::support::load::{Sent, deliveries, load, until_done};
use crate::support::process::Process;

const SENDERS: usize = 8;

/// Waits until the receiver has seen this many requests.
async fn receives(peer: &HttpPeer, count: usize) {
    while_it_moves("deliveries", async || {
        let now = peer.requests().len();
        if now >= count { Ok(()) } else { Err(now) }
    })
    .await;
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_loses_nothing_that_was_accepted() {
    let rounds = usize::try_from(number("FANFARE_CRASH_ROUNDS", 20)).unwrap();
    let seed = number("FANFARE_CRASH_SEED", 20_260_105);
    println!("FANFARE_CRASH_ROUNDS={rounds} FANFARE_CRASH_SEED={seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let sent = Arc::new(Sent::default());
    for round in 0..rounds {
        let process = Process::start(folder.path()).await;
        let senders = load(process.webhooks, SENDERS, round, &sent);
        // A moment of the intake in one round, of the delivery in the next, counted so that it comes on any machine.
        if round % 2 == 0 {
            sent.reaches(sent.count() + dice.usize(1..150)).await;
        } else {
            receives(&peer, peer.requests().len() + dice.usize(1..60)).await;
        }
        let log = process.kill().await;
        assert!(!log.contains("panicked"), "round {round}: {log}");
        senders.join_all().await;
    }
    let process = Process::start(folder.path()).await;
    until_done(process.admin).await;
    let accepted = sent.accepted();
    let dead = json(process.admin, "/api/v1/deliveries?state=dead").await;
    assert_eq!(dead, serde_json::json!([]), "nobody refused anything");
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{status}\n{log}");

    let times = deliveries(&peer.requests());
    let lost: Vec<_> = accepted.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    let repeats = times.values().map(|times| times - 1).sum::<usize>();
    let most = rounds * UNDER_WAY;
    println!(
        "{} accepted in {rounds} kills: 0 lost, {repeats} repeated of at most {most}, each under its own key; {} were \
         stored, and killed before the answer",
        accepted.len(),
        times.len() - accepted.len(),
    );
    assert!(repeats <= most, "{repeats} repeats");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_end_under_load_it_finishes_and_loses_nothing() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let sent = Arc::new(Sent::default());
    for round in 0..3 {
        let process = Process::start(folder.path()).await;
        let senders = load(process.webhooks, SENDERS, round, &sent);
        sent.reaches(sent.count() + 50).await;
        let (status, log) = process.terminate().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
        senders.join_all().await;
    }
    let process = Process::start(folder.path()).await;
    until_done(process.admin).await;
    let times = deliveries(&peer.requests());
    let accepted = sent.accepted();
    let lost: Vec<_> = accepted.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert!(times.values().all(|times| *times == 1), "an orderly end repeats nothing");
}

#[tokio::test]
async fn a_second_process_on_the_same_store_is_refused_and_told_why() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let first = Process::start(folder.path()).await;
    let Err(log) = Process::try_start(folder.path(), "info", &[]).await else { panic!("two run on one store") };
    assert!(log.contains("is in use by another Fanfare: stop that one"), "{log}");
    assert_eq!(json(first.admin, "/readyz").await["ready"], true, "the first is left in peace");
    first.kill().await;
    // A lock must not outlive its process.
    Process::start(folder.path()).await;
}
