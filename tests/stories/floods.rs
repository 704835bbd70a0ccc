//! A rule that suddenly sends far too much: people get what is usual, one message that says so, and what they decide about the
//! rest.

use std::sync::Arc;

use fanfare::clock::VirtualClock;
use fanfare::steps::Bounds;
use serde_json::json;

use crate::support::app::{App, event, eventually};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::{HttpPeer, Recorded};

const RULES: &str = "rules:
  - {name: live, events: release.live, flood: {times: 10, least: 3}, actions: [{to: ledger, text: '{{ event.id }}'}]}
  - {name: floods, events: fanfare.rule.flooding, actions: [{to: ledger, text: 'flooding: {{ data.rule }}'}]}
";

async fn start(peer: &HttpPeer) -> App {
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), RULES);
    let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
    let app = App::start_with(folder, Bounds::default(), Arc::new(clock)).await;
    for number in 0..8 {
        assert_eq!(app.send(&event(&format!("evt_{number}"), "release.live")).await.status, 200);
    }
    eventually("the rest is held", async || {
        let held = app.json("/api/v1/floods").await;
        (held[0]["held"] == 5).then_some(())
    })
    .await;
    // Three as usual, and one that says so.
    let mut told: Vec<String> = peer.received(4).await.iter().map(Recorded::text).collect();
    told.retain(|text| text.contains("flooding: live"));
    assert_eq!(told.len(), 1, "{told:?}");
    app
}

async fn held(app: &App) -> usize {
    app.json("/api/v1/floods").await.as_array().unwrap().len()
}

#[tokio::test]
async fn what_a_flooding_rule_holds_goes_as_one_summary_when_a_person_lets_it_go() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let answer = app.ask("POST", "/api/v1/floods/lives/let-go?by=nadia").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("did you mean `live`?"), "{}", answer.text());
    assert_eq!(app.ask("POST", "/api/v1/floods/live/let-go?by=nadia").await.json()["held"], 5);
    let all = peer.received(5).await;
    let summary = all[4].json()["message"].to_string();
    for number in 3..8 {
        assert!(summary.contains(&format!("evt_{number}")), "{summary}");
    }
    eventually("nothing is held", async || (held(&app).await == 0).then_some(())).await;
    let audit = app.json("/api/v1/audit").await;
    assert_eq!((&audit[0]["by"], &audit[0]["act"]), (&json!("nadia"), &json!("let go")), "{audit}");
    app.end().await;
}

#[tokio::test]
async fn what_a_flooding_rule_holds_stands_among_what_is_to_come_and_is_sent_from_there() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let coming = app.json("/api/v1/upcoming").await;
    let flood = coming.as_array().unwrap().iter().find(|one| one["what"] == "flood").unwrap();
    assert_eq!((&flood["rule"], &flood["send"], &flood["cancel"]), (&json!("live"), &json!(true), &json!(true)));
    let send = format!("/api/v1/upcoming/{}/send?by=nadia", flood["id"].as_str().unwrap().replace('/', "%2F"));
    let told = app.ask("POST", &send).await.json()["told"].to_string();
    assert!(told.contains("nadia sends what rule `live` holds now"), "{told}");
    peer.received(5).await;
    eventually("nothing is held", async || (held(&app).await == 0).then_some(())).await;
    app.end().await;
}

#[tokio::test]
async fn what_a_flooding_rule_holds_is_not_sent_when_a_person_drops_it_also_after_a_restart() {
    let peer = HttpPeer::start().await;
    let folder = start(&peer).await.end().await;
    let clock = VirtualClock::new("2026-01-05T10:00:30Z".parse().unwrap());
    let app = App::start_with(folder, Bounds::default(), Arc::new(clock)).await;
    assert_eq!(held(&app).await, 1);
    assert_eq!(app.ask("POST", "/api/v1/floods/live/drop?by=nadia").await.status, 200);
    eventually("nothing is held", async || (held(&app).await == 0).then_some(())).await;
    eventually("the page says why", async || {
        let event = app.json("/api/v1/events/evt_7").await;
        event["rules"].to_string().contains("nadia dropped what the rule held").then_some(())
    })
    .await;
    assert_eq!(peer.requests().len(), 4);
    app.end().await;
}
