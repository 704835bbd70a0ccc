//! The clock leaps by a day, forwards and back, under a running program: nothing fires in masses, nothing is forgotten,
//! nothing stands still.

use std::sync::Arc;

use fanfare::clock::{Clock, VirtualClock};
use fanfare::planner::Plan;
use fanfare::secret::Secret;
use fanfare::steps::{Bounds, alive};
use fanfare::store;
use jiff::{SignedDuration, Timestamp};

use crate::store::bench::{self, day, delivery, room};
use crate::support::app::{App, event, eventually, soon};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::load::deliveries;

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
    peer.requests().iter().filter(|request| request.json()["message"]["title"] == text).count()
}

async fn delivered(app: &App, count: u64) {
    eventually("they are delivered", async || {
        (app.json("/api/v1/status").await["deliveries"]["delivered"] == count).then_some(())
    })
    .await;
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
async fn a_day_back_events_come_through_and_what_waits_is_not_put_off_for_a_day() {
    let (peer, slow) = (HttpPeer::start().await, HttpPeer::start().await);
    slow.always(Answer::hang());
    let clock = start();
    let config = format!("{CONFIG}  slow: {{type: http, url: \"{}\", concurrency: 1, rate: 1/m}}\n", slow.url("/slow"));
    let rules = format!("{RULES}  - {{name: slow, events: release.*, actions: [{{to: slow, text: slow}}]}}\n");
    let folder = Folder::new(&config, &peer.url("/ledger"), &rules);
    let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
    // One waits to be tried again, one is under way, one waits for its turn.
    peer.answer(Answer::status(503));
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    soon("the one that is refused", peer.received(1)).await;
    assert_eq!(app.send(&event("evt_2", "release.live")).await.status, 200);
    soon("under way", slow.received(1)).await;
    eventually("the others wait", async || {
        let status = app.json("/api/v1/status").await["deliveries"].clone();
        let now = ["retrying", "sending", "due", "delivered"].map(|state| status[state].as_u64().unwrap());
        (now == [1, 1, 1, 1]).then_some(())
    })
    .await;
    clock.advance(SignedDuration::from_hours(-24));
    assert_eq!(app.send(&event("evt_3", "release.live")).await.status, 200);
    soon("the new one", peer.received(3)).await;
    // As the loop does once a minute.
    alive::mark(&app.live, clock.now()).await.unwrap();
    soon("the one that waited to be tried again", peer.received(4)).await;
    assert_eq!(slow.requests().len(), 1, "what is under way is not sent twice");
    delivered(&app, 3).await;
    // Were it killed now, the next start would send what was under way, and what waited behind it, each in its turn.
    let image = Folder::new(&config, &peer.url("/ledger"), &rules);
    std::fs::create_dir(image.file("data")).unwrap();
    for name in ["data/fanfare.db", "data/fanfare.db-wal"] {
        std::fs::copy(app.folder.file(name), image.file(name)).unwrap();
    }
    app.live.drain();
    slow.always(Answer::status(200));
    let again = App::start_with(image, Bounds::default(), Arc::new(clock.clone())).await;
    eventually("what was under way, and what waited for its turn", async || {
        clock.advance(SignedDuration::from_secs(2));
        (slow.requests().len() >= 4).then_some(())
    })
    .await;
    delivered(&again, 6).await;
    // None is lost, and none goes out twice but the one that was refused, and the one whose answer never came.
    for peer in [&peer, &slow] {
        assert_eq!(
            deliveries(&peer.requests()),
            [("evt_1", 2), ("evt_2", 1), ("evt_3", 1)].map(|(id, n)| (id.into(), n)).into()
        );
    }
    again.end().await;
}

#[tokio::test]
async fn killed_and_then_set_back_by_a_day_the_next_start_sends_what_was_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let address = Secret::new("sqlite:x.db");
    let store = store::open(&address, folder.path()).await.unwrap();
    let lease = store.lease("a", day(2), day(3)).await.unwrap().unwrap();
    let plan = Plan { deliveries: vec![delivery("dlv_1")], ..Plan::default() };
    store.commit(&lease, plan, day(2)).await.unwrap();
    store.alive(day(2)).await.unwrap();
    assert_eq!(store.claim(day(2), &[room("slack")]).await.unwrap().claims.len(), 1);
    // As a kill leaves it: nothing is ended.
    drop(store);
    let after = store::open(&address, folder.path()).await.unwrap();
    assert!(after.claim(day(1), &[room("slack")]).await.unwrap().claims.is_empty());
    after.alive(day(1)).await.unwrap();
    let again = after.claim(day(1), &[room("slack")]).await.unwrap().claims.remove(0);
    assert_eq!(again.delivery.attempts, 2);
    after.settle(&again, bench::delivered(), day(1)).await.unwrap();
}
