//! The clock leaps by a day, forwards and back, under a running program: nothing fires in masses, nothing is forgotten,
//! nothing stands still.

use std::sync::Arc;

use fanfare::clock::{Clock, VirtualClock};
use fanfare::steps::{Bounds, alive};
use jiff::{SignedDuration, Timestamp};

use crate::support::app::{App, event, eventually, soon};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::{Answer, HttpPeer};

const RULES: &str = "rules:
  - name: everything
    events: '*'
    actions: [{to: ledger, text: 'event'}]
  - name: case
    events: fraud.*
    case: $.data.release_id
    closes_after: 30d
    actions: [{to: ledger, after: 1h, repeat: 1h, text: 'reminder'}]
  - name: digest
    events: fraud.*
    actions: [{to: ledger, digest: {every: 1h}, text: 'digest'}]
";

async fn app(peer: &HttpPeer, clock: &VirtualClock) -> App {
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), RULES);
    App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await
}

fn start() -> VirtualClock {
    VirtualClock::new("2026-01-05T10:00:00Z".parse::<Timestamp>().unwrap())
}

/// How many messages said this.
fn said(peer: &HttpPeer, text: &str) -> usize {
    peer.requests().iter().filter(|request| request.json()["message"]["text"] == text).count()
}

async fn until_said(peer: &HttpPeer, text: &str, times: usize) {
    eventually(text, async || (said(peer, text) >= times).then_some(())).await;
}

#[tokio::test]
async fn a_day_ahead_each_timer_fires_once_and_nothing_is_forgotten() {
    let peer = HttpPeer::start().await;
    let clock = start();
    let app = app(&peer, &clock).await;
    for number in 0..3 {
        assert_eq!(app.send(&event(&format!("evt_{number}"), "fraud.detected")).await.status, 200);
    }
    until_said(&peer, "event", 3).await;
    clock.advance(SignedDuration::from_hours(24));
    until_said(&peer, "reminder", 1).await;
    until_said(&peer, "digest", 1).await;
    // What comes then comes through as ever, and after it nothing of the leap is left to come.
    assert_eq!(app.send(&event("evt_after", "release.live")).await.status, 200);
    until_said(&peer, "event", 4).await;
    assert_eq!((said(&peer, "reminder"), said(&peer, "digest")), (1, 1), "not one for each hour of the day");
    assert_eq!(app.json("/api/v1/events").await.as_array().unwrap().len(), 4, "retention took none");
    // An hour on, the next.
    clock.advance(SignedDuration::from_hours(1));
    until_said(&peer, "reminder", 2).await;
    app.end().await;
}

#[tokio::test]
async fn ten_years_ahead_retention_takes_nothing_at_once() {
    let peer = HttpPeer::start().await;
    let clock = start();
    let first = app(&peer, &clock).await;
    assert_eq!(first.send(&event("evt_1", "release.live")).await.status, 200);
    until_said(&peer, "event", 1).await;
    // Also not by a start at the wrong time.
    let folder = first.end().await;
    clock.advance(SignedDuration::from_hours(24 * 3650));
    let again = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
    assert_eq!(again.send(&event("evt_2", "release.live")).await.status, 200);
    until_said(&peer, "event", 2).await;
    let events = again.json("/api/v1/events").await;
    assert!(events.as_array().unwrap().iter().any(|event| event["id"] == "evt_1"), "{events}");
    assert_eq!(again.send(&event("evt_1", "release.live")).await.json()["status"], "duplicate");
    again.end().await;
}

#[tokio::test]
async fn a_day_back_events_come_through_and_retries_are_not_put_off_for_a_day() {
    let peer = HttpPeer::start().await;
    let clock = start();
    let app = app(&peer, &clock).await;
    peer.answer(Answer::status(503));
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    eventually("it waits to be tried again", async || {
        let all = app.json("/api/v1/deliveries?state=retrying").await;
        (all.as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    clock.advance(SignedDuration::from_hours(-24));
    assert_eq!(app.send(&event("evt_2", "release.live")).await.status, 200);
    soon("the new one", peer.received(2)).await;
    // As the loop does once a minute.
    alive::mark(&app.live, clock.now()).await.unwrap();
    soon("the one that waited", peer.received(3)).await;
    let told: Vec<_> = peer.requests().iter().map(|request| request.json()["event"]["id"].clone()).collect();
    assert_eq!(told, ["evt_1", "evt_2", "evt_1"]);
    app.end().await;
}
