//! How long a message is waited for whose destination is down: as long as was configured, whatever holds it up.

use std::sync::Arc;

use fanfare::clock::{Clock, VirtualClock, plus};
use fanfare::delivery::{Delivery, State};
use fanfare::steps::Bounds;
use fanfare::store::DeliveryFilter;
use jiff::SignedDuration;

use crate::support::app::{App, event, eventually};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::HttpPeer;

/// As [`folder`] has it.
const GIVE_UP: SignedDuration = SignedDuration::from_secs(2);

/// The pager `ledger` is down and is waited for two seconds; `chat` is its fallback.
fn folder(chat: &HttpPeer) -> Folder {
    let config = CONFIG.replace("max: 1s}", "max: 1s, give_up: 2s}, fallback: [chat]");
    let chat = format!("  chat: {{type: http, url: \"{}\"}}\n", chat.url("/"));
    // Nobody listens at the discard port.
    Folder::new(&format!("{config}{chat}"), "http://127.0.0.1:9/", EVERYTHING)
}

/// What was to go to the pager.
async fn paged(app: &App) -> Vec<Delivery> {
    let filter = DeliveryFilter { destination: Some("ledger".into()), limit: 100, ..DeliveryFilter::default() };
    let mut all = app.live.store.list_deliveries(&filter).await.unwrap();
    all.retain(|one| one.planned.rule == "everything");
    all
}

/// Waits until all this many were tried, or it is known that trying is of no use. The clock stands still meanwhile.
async fn tried(app: &App, count: usize) {
    eventually("each was tried, or is not to be", async || {
        let all = paged(app).await;
        let is_down = app.live.store.standings().await.unwrap().iter().any(|standing| standing.pace.is_failing());
        let is_under_way = all.iter().any(|one| one.state == State::Sending);
        let is_tried = all.iter().all(|one| one.attempts > 0);
        (all.len() == count && !is_under_way && (is_tried || is_down)).then_some(())
    })
    .await;
}

/// Three seconds go by in steps, each done with before the next: what is recorded is the program's own time.
async fn three_seconds(app: &App, clock: &VirtualClock) {
    for _ in 0..12 {
        clock.advance(SignedDuration::from_millis(250));
        eventually("all that is due is done", async || {
            app.live.to_plan.notify_one();
            app.live.to_dispatch.notify_one();
            let now = clock.now();
            let is_over = |one: &Delivery| plus(one.planned.due, GIVE_UP) <= now;
            let is_done = |one: &Delivery| one.state.is_final() || (one.state != State::Sending && !is_over(one));
            paged(app).await.iter().all(is_done).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_a_pager_that_is_down_is_reported_elsewhere_in_time_breaker_or_not() {
    let chat = HttpPeer::start().await;
    let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
    let app = App::start_with(folder(&chat), Bounds::default(), Arc::new(clock.clone())).await;
    // The first ones open the breaker; for the last one nobody even tries.
    for (ids, count) in
        [(&["evt_0", "evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6", "evt_7"][..], 8), (&["evt_late"], 9)]
    {
        for id in ids {
            app.send(&event(id, "release.live")).await;
        }
        tried(&app, count).await;
        three_seconds(&app, &clock).await;
        for one in paged(&app).await {
            assert_eq!(one.state, State::Dead, "{one:?}");
            let waited = one.finished.unwrap().duration_since(one.planned.due);
            assert!(waited >= GIVE_UP && waited < SignedDuration::from_secs(3), "{waited:?}: {one:?}");
        }
        chat.received(count).await;
    }
    let all = paged(&app).await;
    let known_to_be_down = |one: &Delivery| one.last_error.as_ref().unwrap().contains("known to be down");
    assert!(all.iter().any(known_to_be_down), "{all:#?}");
    let reasons = chat.requests().iter().filter(|told| told.text().contains("given up 2s after it became due")).count();
    assert!(reasons > 0, "its reason goes with it");
    app.end().await;
}
