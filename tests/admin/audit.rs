//! Who did what: by page, command line and API, in the order of time, and for a bounded time.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::raw::exchange;

const RULES: &str = r#"
rules:
  - {name: fraud, events: fraud.opened, case: $.data.case_id, actions: {to: ledger, text: "fraud"}}
  - {name: live, events: release.live, actions: {to: heads, text: "live"}}
"#;

/// The list as lines, newest first.
async fn acts(desk: &Desk) -> Vec<String> {
    let list = desk.app.json("/api/v1/audit").await;
    let line = |act: &Value| {
        let cell = |key: &str| act[key].as_str().unwrap_or("-").to_owned();
        [cell("by"), cell("act"), cell("on"), cell("note"), cell("from")].join(" | ")
    };
    list.as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn everybody_sees_later_who_did_what_and_from_where() {
    let desk = Desk::start(RULES).await;
    assert_eq!(desk.run(&["audit"]).await.good(), "there are no entries yet\n");
    for (id, kind) in [("evt_1", "fraud.opened"), ("evt_2", "fraud.opened"), ("evt_3", "release.live")] {
        desk.send(id, kind, json!({"case_id": id})).await;
    }
    assert_eq!(desk.run(&["cases", "ack", "evt_1", "--note", "on it"]).await.code, 0);
    let closed = desk.submit("/cases/fraud%2Fevt_2/close", "by=ben&note=").await;
    assert_eq!(closed.status, 303, "{}", closed.text());
    let muted = ["mute", "add", "--rule", "live", "--until", "2026-01-05 18:00", "--reason", "moving"];
    let told = desk.run(&muted).await.good();
    desk.planned().await;
    let mute = told.split("  ").next().unwrap().to_owned();
    assert_eq!(desk.run(&["mute", "end", &mute, "--by", "cem"]).await.code, 0);
    assert_eq!(desk.run(&["events", "replay", "evt_3"]).await.code, 0);
    // As curl asks: without a header of our own, and without a name.
    let request = format!("POST /-/reload HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", desk.app.admin);
    assert_eq!(exchange(desk.app.admin, request.as_bytes()).await.status, 200);
    desk.planned().await;
    let expected = [
        "somebody | reloaded | the files: nothing had changed | - | api".to_owned(),
        "ana | replayed | event `evt_3` | - | command".to_owned(),
        format!("cem | unmuted | mute `{mute}`: rule `live` | - | command"),
        "ana | muted | rule `live` until 2026-01-05 18:00 UTC | moving | command".to_owned(),
        "ben | closed | case `evt_2` of rule `fraud` | - | page".to_owned(),
        "ana | acknowledged | case `evt_1` of rule `fraud` | on it | command".to_owned(),
    ];
    assert_eq!(acts(&desk).await, expected);
    let text = desk.run(&["audit", "--limit", "1"]).await.good();
    assert!(text.contains("2026-01-05 10:00:00 UTC  somebody  reloaded  the files: nothing had changed"), "{text}");
    let json = desk.run(&["audit", "--format", "json"]).await.json();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["at"]), (6, &"2026-01-05T10:00:00Z".into()));
    let page = desk.app.ask("GET", "/audit").await.text();
    assert!(page.contains("on it") && page.contains("case `evt_2` of rule `fraud`"), "{page}");
    desk.app.end().await;
}

#[tokio::test]
async fn what_was_retried_and_cancelled_is_in_the_list_too() {
    let desk = Desk::start(RULES).await;
    desk.peer.answer(crate::support::http_peer::Answer::status(400).body("no"));
    desk.send("evt_1", "release.live", json!({})).await;
    let dead = desk.each("/api/v1/deliveries?state=dead", "id").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(desk.run(&["deliveries", "retry", "--rule", "live", "--yes"]).await.code, 0);
    desk.planned().await;
    assert_eq!(acts(&desk).await, [format!("ana | retried | delivery `{}` | - | command", dead[0])]);
    desk.app.end().await;
}

#[tokio::test]
async fn the_list_goes_back_ninety_days_and_is_bounded_within_them() {
    let desk = Desk::start(RULES).await;
    for _ in 0..103 {
        assert_eq!(desk.app.ask("POST", "/-/reload?by=ana").await.status, 200);
    }
    desk.planned().await;
    let list = acts(&desk).await;
    assert_eq!(list.len(), 50);
    assert_eq!(list[0], "somebody | asked | 3 more within ten minutes, which are not listed | - | command");
    assert_eq!(desk.app.json("/api/v1/audit?limit=1000").await.as_array().unwrap().len(), 101);
    desk.passes(24 * 45);
    assert_eq!(desk.app.ask("POST", "/-/reload?by=ben").await.status, 200);
    desk.planned().await;
    assert_eq!(desk.app.json("/api/v1/audit?limit=1000").await.as_array().unwrap().len(), 102);
    desk.passes(24 * 46);
    crate::support::app::eventually("forgotten", async || {
        (acts(&desk).await == ["ben | reloaded | the files: nothing had changed | - | command"]).then_some(())
    })
    .await;
    desk.app.end().await;
}
