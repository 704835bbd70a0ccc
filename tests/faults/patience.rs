//! How long a message is waited for whose destination is down: as long as was configured, whatever holds it up.

use fanfare::delivery::State;
use fanfare::store::DeliveryFilter;
use jiff::SignedDuration;

use crate::support::app::{App, event, eventually};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::HttpPeer;

/// The pager `ledger` is down and is waited for two seconds; `chat` is its fallback.
fn folder(chat: &HttpPeer) -> Folder {
    let config = CONFIG.replace("max: 1s}", "max: 1s, give_up: 2s}, fallback: [chat]");
    let chat = format!("  chat: {{type: http, url: \"{}\"}}\n", chat.url("/"));
    // Nobody listens at the discard port.
    Folder::new(&format!("{config}{chat}"), "http://127.0.0.1:9/", EVERYTHING)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_a_pager_that_is_down_is_reported_elsewhere_in_time_breaker_or_not() {
    let chat = HttpPeer::start().await;
    let app = App::start(folder(&chat)).await;
    // The first ones open the breaker; for the last ones nobody even tries.
    for n in 0..8 {
        app.send(&event(&format!("evt_{n}"), "release.live")).await;
    }
    chat.received(8).await;
    app.send(&event("evt_late", "release.live")).await;
    chat.received(9).await;
    let filter = DeliveryFilter { destination: Some("ledger".into()), limit: 100, ..DeliveryFilter::default() };
    let all = app.live.store.list_deliveries(&filter).await.unwrap();
    let of_events: Vec<_> = all.iter().filter(|one| one.planned.rule == "everything").collect();
    for one in &of_events {
        let waited = one.finished.unwrap().duration_since(one.planned.due);
        assert_eq!(one.state, State::Dead, "{one:?}");
        // Three on a machine that does nothing else; it was thirty hours by default, and minutes here.
        assert!(
            waited >= SignedDuration::from_secs(2) && waited < SignedDuration::from_secs(12),
            "{waited:?}: {one:?}"
        );
    }
    let late = of_events.iter().find(|one| one.last_error.as_ref().unwrap().contains("known to be down"));
    assert!(late.is_some(), "{of_events:#?}");
    eventually("its reason goes with it", async || {
        chat.requests().iter().any(|told| told.text().contains("given up 2s after it became due")).then_some(())
    })
    .await;
    app.end().await;
}
