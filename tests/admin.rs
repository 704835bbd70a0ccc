//! The admin surface: who gets in, what they can ask for, and what they see.

mod api;
mod asks;
mod audit;
mod backtest;
pub mod browser;
mod cases;
mod clockwork;
mod desk;
mod drill;
mod guard;
mod many;
mod metrics;
mod mutes;
mod page;
mod rights;
mod upcoming;
mod why;

use crate::support::app::{App, event, eventually};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};

/// A running program whose only destination has answered everything so: at once dead with 400, waiting with 503.
async fn start(peer: &HttpPeer) -> App {
    let config = CONFIG.replace("{first: 1s, max: 1s}", "{first: 1h, max: 1h}");
    App::start(Folder::new(&config, &peer.url("/ledger"), EVERYTHING)).await
}

/// Sends an event whose delivery ends in this state, and gives the delivery's id.
async fn delivery(app: &App, peer: &HttpPeer, event_id: &str, state: &str) -> String {
    peer.answer(match state {
        "delivered" => Answer::status(200),
        "dead" => Answer::status(400).body("no such thing"),
        _ => Answer::status(503),
    });
    assert_eq!(app.send(&event(event_id, "release.live")).await.status, 200);
    eventually(&format!("{event_id} {state}"), async || {
        let found = app.json(&format!("/api/v1/deliveries?event={event_id}&state={state}")).await;
        found[0]["id"].as_str().map(str::to_owned)
    })
    .await
}
