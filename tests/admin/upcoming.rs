//! What waits for its time: listed, sent now and cancelled by API, page and command line.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::app::{eventually, soon};

/// Three things that wait: a reminder, a digest, a message for the morning.
const RULES: &str = r#"
rules:
  - name: fraud
    events: fraud.opened
    case: $.data.id
    closes_after: 90d
    actions:
      - {name: remind, to: ledger, text: "still open", after: 2h, repeat: 4h}
  - name: list
    events: royalty.paid
    actions: {to: heads, text: "{{ events|length }} paid", digest: {every: 8h}}
  - name: night
    events: release.live
    hours: {days: mon-fri, from: "20:00", to: "22:00", timezone: UTC}
    actions: {to: ledger, text: "live"}
"#;

/// A desk on which one of each waits.
async fn start() -> Desk {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", json!({"id": "C1", "title": "Lanterns", "artist": "Ólöf Brim"})).await;
    desk.send("evt_2", "royalty.paid", json!({"title": "Nightfall", "artist": "Ólöf Brim"})).await;
    desk.send("evt_3", "royalty.paid", json!({"title": "Daybreak", "artist": "Ólöf Brim"})).await;
    desk.send("evt_4", "release.live", json!({"title": "Harbour", "artist": "Ólöf Brim"})).await;
    desk
}

/// What waits, and can be sent.
async fn waiting(desk: &Desk) -> Vec<Value> {
    let list = desk.app.json("/api/v1/upcoming").await;
    list.as_array().unwrap().iter().filter(|item| item["cancel"] == true).cloned().collect()
}

/// The path of what a person does with the one of a kind.
async fn to(desk: &Desk, what: &str, verb: &str) -> String {
    let all = waiting(desk).await;
    let id = all.iter().find(|item| item["what"] == what).unwrap()["id"].as_str().unwrap();
    format!("/api/v1/upcoming/{}/{verb}?by=ana", id.replace('%', "%25").replace('/', "%2F"))
}

#[tokio::test]
async fn what_waits_is_listed_with_its_time_the_soonest_first() {
    let desk = start().await;
    let all = waiting(&desk).await;
    let told: Vec<Value> = all
        .iter()
        .map(|item| json!([item["what"], item["due"], item["words"], item["to"], item["events"], item["send"]]))
        .collect();
    let expected = [
        json!(["reminder", "2026-01-05T12:00:00Z", "is sent if the case is still open", ["ledger"], [1], true]),
        json!(["digest", "2026-01-05T18:00:00Z", "2 events", ["heads"], [3, 2], true]),
        json!(["held", "2026-01-05T20:00:00Z", "1 message", ["ledger"], [4], true]),
    ];
    assert_eq!(told, expected);
    assert_eq!((&all[0]["case"], &all[0]["rule"]), (&"fraud/C1".into(), &"fraud".into()));
    let whole = desk.each("/api/v1/upcoming", "id").await;
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = desk.each(&format!("/api/v1/upcoming?limit=1{after}"), "id").await;
        let Some(last) = page.last() else { break };
        after = format!("&after={}", last.replace('%', "%25").replace('/', "%2F"));
        paged.extend(page);
    }
    assert_eq!(paged, whole, "page by page, none is skipped and none comes twice");
    desk.app.end().await;
}

#[tokio::test]
async fn a_digest_is_sent_now_a_reminder_is_cancelled_and_held_messages_go() {
    let desk = start().await;
    let (digest, reminder) = (to(&desk, "digest", "send").await, to(&desk, "reminder", "cancel").await);
    let answer = desk.app.ask("POST", &digest).await;
    assert_eq!(
        answer.json()["told"],
        "ana sends the digest of rule `list` for `heads` now, not at 2026-01-05 18:00 UTC"
    );
    let sent = soon("the digest", desk.peer.received(1)).await;
    assert!(sent[0].text().contains("2 paid"), "{}", sent[0].text());
    assert_eq!(desk.app.ask("POST", &reminder).await.status, 200);
    assert_eq!(desk.app.ask("POST", &to(&desk, "held", "send").await).await.status, 200);
    soon("the held message", desk.peer.received(2)).await;
    desk.planned().await;
    for path in [&digest, &reminder] {
        let again = desk.app.ask("POST", path).await;
        assert_eq!(again.status, 404, "{path}: {}", again.text());
        assert!(again.text().contains("sent, cancelled or moved meanwhile"), "{}", again.text());
    }
    let left = waiting(&desk).await;
    assert_eq!((left.len(), &left[0]["due"]), (1, &"2026-01-05T16:00:00Z".into()), "the next time of the reminder");
    assert_eq!(desk.each("/api/v1/audit", "act").await, ["sent", "cancelled", "sent"]);
    assert_eq!(desk.each("/api/v1/audit", "on").await[1], "the reminder of case `C1` of rule `fraud`");
    let why = desk.app.json("/api/v1/events/evt_1").await["rules"].to_string();
    assert!(why.contains("not sent 12:00 UTC: ana cancelled it"), "{why}");
    desk.app.end().await;
}

#[tokio::test]
async fn what_sends_no_message_or_is_no_longer_asked_for_is_refused_with_the_reason() {
    let desk = start().await;
    let reminder = to(&desk, "reminder", "send").await;
    let list = desk.app.json("/api/v1/upcoming").await;
    let close = list.as_array().unwrap().iter().find(|item| item["what"] == "case").unwrap().clone();
    let path = format!("/api/v1/upcoming/{}/cancel?by=ana", close["id"].as_str().unwrap().replace('/', "%2F"));
    let answer = desk.app.ask("POST", &path).await;
    assert!(answer.status == 400 && answer.text().contains("it sends no message"), "{}", answer.text());
    let unnamed = desk.app.ask("POST", reminder.trim_end_matches("?by=ana")).await;
    assert!(unnamed.status == 400 && unnamed.text().contains("say who asks"), "{}", unnamed.text());
    desk.app
        .folder
        .write("rules/main.yaml", RULES.split("  - name: list").next().unwrap().replace("fraud\n", "other\n").as_str());
    assert_eq!(desk.app.ask("POST", "/-/reload").await.status, 200);
    let answer = desk.app.ask("POST", &reminder).await;
    assert!(
        answer.status == 400 && answer.text().contains("the rules in force no longer ask for it"),
        "{}",
        answer.text()
    );
    for id in ["none", "1.none", "x.y", "9999999999999999999.z"] {
        assert_eq!(desk.app.ask("POST", &format!("/api/v1/upcoming/{id}/send?by=ana")).await.status, 404, "{id}");
    }
    assert_eq!(desk.app.json("/api/v1/upcoming?after=none").await, json!([]));
    desk.app.end().await;
}

#[tokio::test]
async fn the_command_line_and_the_page_do_the_same() {
    let desk = start().await;
    let list = desk.run(&["upcoming", "list"]).await;
    assert!(list.out.contains("2 events") && list.out.contains("is sent if the case is still open"), "{list:?}");
    let all = waiting(&desk).await;
    let id = all[1]["id"].as_str().unwrap();
    let sent = desk.run(&["upcoming", "send", id, "--by", "ben"]).await;
    assert!(sent.out.contains("ben sends the digest of rule `list`"), "{sent:?}");
    soon("the digest", desk.peer.received(1)).await;
    let again = desk.run(&["upcoming", "cancel", id, "--by", "ben"]).await;
    assert!(again.err.contains("sent, cancelled or moved meanwhile"), "{again:?}");
    let held = all[2]["id"].as_str().unwrap().replace('/', "%2F");
    let answer = desk.submit(&format!("/upcoming/{held}/cancel"), "by=cem&back=%2Fupcoming").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    eventually("it no longer waits", async || (waiting(&desk).await.len() == 1).then_some(())).await;
    let page = desk.app.ask("GET", "/upcoming").await.text();
    assert!(page.contains("Lanterns by Ólöf Brim") && !page.contains("Harbour"), "{page}");
    assert_eq!(desk.each("/api/v1/audit", "from").await, ["page", "command"]);
    desk.app.end().await;
}
