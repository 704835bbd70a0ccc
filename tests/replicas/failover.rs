//! PostgreSQL fails over to a synchronous standby, several times, under load: what was answered is on both, so nothing of
//! it is lost.

use super::*;

/// How often a standby takes over: `FANFARE_PROMOTIONS`, or twice.
fn promotions() -> usize {
    std::env::var("FANFARE_PROMOTIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_fails_over_to_a_synchronous_standby_and_nothing_accepted_is_lost() {
    let promotions = promotions();
    let mut primary = Server::start("wal_level = replica\nmax_wal_senders = 4");
    let schema = primary.fresh_schema();
    let mut standby = primary.standby();
    let peer = HttpPeer::start().await;
    let sent = Arc::new(Sent::default());
    for round in 0..promotions {
        // One process throughout a failover; another server takes the place of the one that is gone.
        let address = primary.either(&standby, &schema);
        let folder = folder(&address, &peer, LADDER);
        let process = Process::start(folder.path()).await;
        sent.stop.store(false, Ordering::SeqCst);
        let mut senders = JoinSet::new();
        for nth in 0..3 {
            senders.spawn(sender(vec![process.webhooks], format!("{round}_{nth}"), sent.clone()));
        }
        let before = sent.count();
        soon("events", sent.reaches(before + 100)).await;
        primary.down("immediate");
        standby.promote();
        let before = sent.count();
        soon("events after the failover", sent.reaches(before + 100)).await;
        sent.stop.store(true, Ordering::SeqCst);
        senders.join_all().await;
        until_done(&process).await;
        let (status, log) = process.terminate().await;
        assert!(status.success() && !log.contains("panicked"), "{log}");
        primary = standby;
        standby = primary.standby();
    }
    let times = told(&peer.requests());
    let lost: Vec<String> =
        sent.accepted.lock().unwrap().iter().filter(|id| !times.contains_key(*id)).cloned().collect();
    assert!(lost.is_empty(), "accepted and lost in {promotions} promotions: {lost:?}");
    let repeats: usize = times.values().map(|times| times - 1).sum();
    assert!(repeats <= promotions * UNDER_WAY, "more than was under way: {repeats}");
    eprintln!("{} accepted, 0 lost, {repeats} sent again in {promotions} promotions", sent.count());
}
