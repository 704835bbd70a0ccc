//! Signs of life: the heartbeat stays away when something is wrong, and an absence is reported with its hours.

use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{VirtualClock, plus};
use fanfare::delivery::State;
use fanfare::steps::Bounds;
use fanfare::steps::alive::{self, Pulse};
use fanfare::steps::retain::Calendar;
use jiff::{SignedDuration, Timestamp};

use crate::support::app::{App, event, eventually, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};

/// A folder with a heartbeat at `/alive` of the same peer.
fn folder(peer: &HttpPeer, rules: &str) -> Folder {
    let heartbeat = format!("heartbeat: {{url: \"{}\", every: 1h}}\n", peer.url("/alive/token-4711"));
    Folder::new(&format!("{CONFIG}{heartbeat}"), &peer.url("/ledger"), rules)
}

fn beats(peer: &HttpPeer) -> usize {
    peer.requests().iter().filter(|request| request.target == "/alive/token-4711").count()
}

#[tokio::test]
async fn while_all_is_well_the_heartbeat_is_called() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer, EVERYTHING)).await;
    let requests = soon("the first call", peer.received(1)).await;
    assert_eq!((requests[0].method.as_str(), requests[0].body.len()), ("GET", 0));
    let mut pulse = Pulse::default();
    pulse.beat(&app.live).await;
    assert_eq!(beats(&peer), 2);
    // That nobody takes the call is reported once, without its URL, and harms nothing.
    peer.answer(Answer::status(500));
    pulse.beat(&app.live).await;
    let metrics = app.live.telemetry.metrics();
    assert!(metrics.contains("fanfare_heartbeats_total{result=\"failed\"} 1"), "{metrics}");
    assert!(metrics.contains("fanfare_heartbeats_total{result=\"called\"} 2"), "{metrics}");
    app.end().await;
}

#[tokio::test]
async fn without_rules_or_unable_to_commit_it_is_silent() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer, "rules: [{name: x, evens: '*'}]\n")).await;
    let mut pulse = Pulse::default();
    assert_eq!(pulse.unwell(&app.live).await.as_deref(), Some("no rules are in force"));
    pulse.beat(&app.live).await;
    assert_eq!(beats(&peer), 0);
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);

    // Once they are fixed, and the event is planned, all is well.
    app.folder.write("rules/main.yaml", EVERYTHING);
    eventually("delivered", async || {
        let census = app.live.store.census().await.unwrap();
        census.deliveries.iter().any(|(state, count)| *state == State::Delivered && *count == 1).then_some(())
    })
    .await;
    assert_eq!(pulse.unwell(&app.live).await, None);
    assert_eq!(pulse.unwell(&app.live).await, None);
    app.live.store.close().await.unwrap();
    assert!(pulse.unwell(&app.live).await.unwrap().contains("closed"), "it can't commit");
    app.end().await;
}

#[tokio::test]
async fn an_inbox_that_no_longer_moves_is_not_well() {
    let peer = HttpPeer::start().await;
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)).await;
    // Somebody else plans, and doesn't: as when another replica hangs.
    let now = app.live.clock.now();
    let mut lease = None;
    while lease.is_none() {
        lease = app
            .live
            .store
            .lease("somebody else", plus(now, SignedDuration::from_secs(10)), plus(now, SignedDuration::from_secs(60)))
            .await
            .unwrap();
    }
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    let mut pulse = Pulse::default();
    assert_eq!(pulse.unwell(&app.live).await, None, "it has only just come");
    assert!(pulse.unwell(&app.live).await.unwrap().contains("wait for planning"));
    app.end().await;
}

#[tokio::test]
async fn after_an_absence_beyond_the_senders_patience_its_hours_are_reported() {
    let peer = HttpPeer::start().await;
    let rules =
        "rules:\n  - {name: absence, events: fanfare.absence, actions: [{to: ledger, text: '{{ data.length }}'}]}\n";
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let mut folder = Folder::new(CONFIG, &peer.url("/ledger"), rules);
    // An ordinary restart, one just within the sender's retries, and a night.
    let mut now = start;
    for (away, is_absence) in [("0s", false), ("10m", false), ("156m", false), ("157m", true), ("5h12m", true)] {
        now = plus(now, away.parse().unwrap());
        let app = App::start_with(folder, Bounds::default(), Arc::new(VirtualClock::new(now))).await;
        let ready = app.json("/readyz").await;
        assert_eq!(ready["absence"].is_object(), is_absence, "{away}: {ready}");
        assert_eq!(app.ask("GET", "/").await.text().contains("Nobody was there"), is_absence, "{away}");
        let metrics = app.live.telemetry.metrics();
        assert_eq!(!metrics.contains("fanfare_absence_seconds 0"), is_absence, "{away}");
        folder = app.end().await;
    }
    let app = App::start_with(
        folder,
        Bounds::default(),
        Arc::new(VirtualClock::new(plus(now, SignedDuration::from_hours(5)))),
    )
    .await;
    let ready = app.json("/readyz").await;
    assert_eq!(ready["absence"]["from"], now.to_string());
    assert_eq!(ready["absence"]["length"], "5h");
    assert!(ready["absence"]["advice"].as_str().unwrap().contains("resend"));
    let told = soon("the rule's message", peer.received(3)).await;
    let said = told.iter().any(|request| request.text().contains("5h"));
    assert!(said, "{told:?}");
    app.end().await;
}

#[test]
fn retention_follows_the_clock_but_not_its_leaps() {
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let hours = |hours: i64| plus(start, SignedDuration::from_hours(hours));
    let hour = Duration::from_secs(3600);
    let mut calendar = Calendar::from(Some(start));
    assert_eq!(calendar.at(start, Duration::ZERO), start);
    assert_eq!(calendar.at(hours(1), hour), hours(1), "a right clock");
    // Ten years ahead: a day in an hour.
    assert_eq!(calendar.at(hours(87_600), hour), hours(25));
    assert_eq!(calendar.at(hours(87_601), hour), hours(49));
    // Set right again: at once.
    assert_eq!(calendar.at(hours(4), hour), hours(4));
    assert_eq!(calendar.at(hours(-20), hour), hours(-20), "set back");
    assert_eq!(calendar.at(hours(5), hour), hours(4), "it catches up within an hour");
    assert_eq!(calendar.at(hours(6), hour), hours(6));
    // The first start ever believes the clock; one after ten days catches up in ten hours.
    assert_eq!(Calendar::default().at(hours(9), Duration::ZERO), hours(9));
    let mut calendar = Calendar::from(Some(start));
    assert_eq!(calendar.at(hours(240), Duration::ZERO), start);
    let caught_up = (1..=10).map(|_| calendar.at(hours(240), hour)).last();
    assert_eq!(caught_up, Some(hours(240)));
    assert_eq!(alive::MARK_EVERY, Duration::from_secs(60), "idle writes are rare");
}
