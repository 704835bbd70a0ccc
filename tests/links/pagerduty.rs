//! What people do in PagerDuty is done here.

use serde_json::{Value, json};

use super::desk::{Desk, PAGER_SECRET};

const RULES: &str = r#"
rules:
  - name: fraud
    events: fraud.opened
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {name: page, to: oncall, text: "Fraud on {{ data.case_id }}", severity: critical}
      - {name: remind, to: ledger, text: "still open", after: 2h, repeat: 4h}
"#;

/// The example of PagerDuty's documentation, of this type, with this key.
fn documented(id: &str, kind: &str, key: &str) -> Value {
    let mut example: Value = serde_json::from_str(include_str!("pagerduty.json")).unwrap();
    let event = &mut example["event"];
    event["id"] = id.into();
    event["event_type"] = kind.into();
    event["occurred_at"] = "2026-01-05T10:05:00.169Z".into();
    event["data"]["incident_key"] = key.into();
    example
}

/// The program with one case, and the key under which that was raised.
async fn start() -> (Desk, String) {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "fraud.opened", "C1").await;
    let key = desk.sent("/pager")[0]["dedup_key"].as_str().unwrap().to_owned();
    (desk, key)
}

#[tokio::test]
async fn what_a_user_acknowledges_in_pagerduty_is_acknowledged() {
    let (desk, key) = start().await;
    assert_eq!(desk.pager(&documented("one", "incident.acknowledged", &key), PAGER_SECRET).await.status, 200);
    desk.planned().await;
    assert_eq!(desk.case("C1").await["acked_by"], "Tenex Engineer, in PagerDuty");
    desk.passes(48).await;
    assert!(desk.sent("/ledger").is_empty(), "no reminders");
    let expected = [
        "Tenex Engineer",
        "acknowledged",
        "case `C1` of rule `fraud`, by incident #2 (incident.acknowledged)",
        "PagerDuty",
    ];
    assert_eq!(desk.audit().await, [expected.map(str::to_owned)]);
    desk.app.end().await;
}

#[tokio::test]
async fn what_a_user_does_is_found_where_several_integrations_share_a_destination() {
    let rules = RULES.replace("to: oncall", "to: shared");
    let shared = "  shared: {type: pagerduty, url: \"PEER/pager\", burst: 9, fallback: [ledger],
           routing_key: {by: $.data.case_id, map: {C1: 11111111111111111111111111111111}, else: 22222222222222222222222222222222}}\n";
    let desk = Desk::start_with(&rules, shared).await;
    for (id, key) in [("evt_1", "C1"), ("evt_2", "C2")] {
        desk.send(id, "fraud.opened", key).await;
    }
    let keys: Vec<String> =
        desk.sent("/pager").iter().map(|sent| sent["dedup_key"].as_str().unwrap().to_owned()).collect();
    let mark = |key: &str| key.rsplit_once('-').unwrap().1.to_owned();
    assert_ne!(mark(&keys[0]), mark(&keys[1]), "each key bears the mark of its integration");
    assert_eq!(desk.pager(&documented("one", "incident.acknowledged", &keys[1]), PAGER_SECRET).await.status, 200);
    desk.planned().await;
    assert_eq!(desk.case("C2").await["acked_by"], "Tenex Engineer, in PagerDuty");
    assert_eq!(desk.case("C1").await["acked_by"], Value::Null);
    assert_eq!(desk.pager(&documented("two", "incident.resolved", &keys[0]), PAGER_SECRET).await.status, 200);
    desk.planned().await;
    assert_eq!(desk.open().await, ["C2"]);
    // A mark of no integration here, or none at all, is another incident.
    let lane = keys[1].rsplit_once('-').unwrap().0;
    for foreign in [format!("{lane}x-{}", mark(&keys[1])), format!("{}-0", keys[1])] {
        assert_eq!(desk.pager(&documented(&foreign, "incident.resolved", &foreign), PAGER_SECRET).await.status, 200);
    }
    desk.planned().await;
    assert_eq!(desk.open().await, ["C2"]);
    desk.app.end().await;
}

#[tokio::test]
async fn what_a_user_resolves_in_pagerduty_is_closed() {
    let (desk, key) = start().await;
    assert_eq!(desk.pager(&documented("one", "incident.resolved", &key), PAGER_SECRET).await.status, 200);
    desk.planned().await;
    assert!(desk.open().await.is_empty());
    assert_eq!(desk.audit().await[0][1], "closed");
    // The key is forgotten with the case.
    assert_eq!(desk.pager(&documented("two", "incident.acknowledged", &key), PAGER_SECRET).await.status, 200);
    desk.planned().await;
    assert_eq!(
        desk.audit().await[0][1..3],
        ["reported", "incident #2 (incident.acknowledged): nothing of that is open here"].map(str::to_owned)
    );
    desk.app.end().await;
}

#[tokio::test]
async fn a_merge_a_service_and_anything_else_change_nothing_and_are_listed() {
    let (desk, key) = start().await;
    let before = desk.case("C1").await;
    let mut merged = documented("one", "incident.resolved", &key);
    merged["event"]["data"]["resolve_reason"] = json!({"type": "merge_resolve_reason", "incident": {"id": "PGR0VU3"}});
    let mut by_service = documented("two", "incident.acknowledged", &key);
    by_service["event"]["agent"] = json!({"type": "service_reference", "summary": "API Service", "id": "PF9KMXH"});
    let mut by_nobody = documented("three", "incident.resolved", &key);
    by_nobody["event"]["agent"] = Value::Null;
    let elsewhere = documented("four", "incident.acknowledged", "d3640fbd41094207a1c11e58e46b1662");
    let priority = documented("five", "incident.priority_updated", &key);
    for body in [merged, by_service, by_nobody, elsewhere, priority] {
        assert_eq!(desk.pager(&body, PAGER_SECRET).await.status, 200);
    }
    desk.planned().await;
    assert_eq!(desk.case("C1").await, before);
    let listed: Vec<String> =
        desk.audit().await.into_iter().map(|[_, act, on, _]| format!("{act}: {on}")).rev().collect();
    let expected = [
        "reported: incident #2 (incident.resolved): for another reason (merge_resolve_reason)",
        "reported: incident #2 (incident.acknowledged): no person did it",
        "reported: incident #2 (incident.resolved): no person did it",
        "reported: incident #2 (incident.acknowledged): nothing of that is open here",
        "reported: incident #2 (incident.priority_updated): changes nothing here",
    ];
    assert_eq!(listed, expected);
    let unmatched = desk.app.json("/api/v1/events?type=fanfare.*").await;
    assert_eq!(unmatched, json!([]), "nobody asked for a rule for them");
    desk.app.end().await;
}

#[tokio::test]
async fn a_forged_webhook_is_refused() {
    let (desk, key) = start().await;
    let body = documented("one", "incident.acknowledged", &key);
    assert_eq!(desk.pager(&body, "another-secret-0123456789abcdef012345").await.status, 401);
    desk.planned().await;
    assert_eq!(desk.case("C1").await["acked_by"], Value::Null);
    desk.app.end().await;
}

#[tokio::test]
async fn what_is_no_longer_acknowledged_reminds_again() {
    for kind in ["incident.unacknowledged", "incident.reopened"] {
        let (desk, key) = start().await;
        assert_eq!(desk.pager(&documented("one", "incident.acknowledged", &key), PAGER_SECRET).await.status, 200);
        desk.passes(3).await;
        assert!(desk.sent("/ledger").is_empty());
        let mut again = documented("two", kind, &key);
        // PagerDuty does it by itself after a while.
        again["event"]["agent"] = Value::Null;
        again["event"]["occurred_at"] = "2026-01-05T13:00:00Z".into();
        assert_eq!(desk.pager(&again, PAGER_SECRET).await.status, 200);
        desk.planned().await;
        desk.passes(0).await;
        assert_eq!(desk.case("C1").await["state"], "open");
        assert_eq!(desk.sent("/ledger").len(), 1, "{kind}: what would have come meanwhile comes once");
        desk.passes(3).await;
        assert_eq!(desk.sent("/ledger").len(), 2, "{kind}: and so on");
        assert_eq!(desk.audit().await[0][1], "unacknowledged");
        // One that happened before, and comes late.
        let late = documented("three", "incident.acknowledged", &key);
        assert_eq!(desk.pager(&late, PAGER_SECRET).await.status, 200);
        desk.planned().await;
        assert_eq!(desk.case("C1").await["state"], "open");
        desk.app.end().await;
    }
}

#[tokio::test]
async fn a_report_that_is_planned_again_does_not_act() {
    let (desk, key) = start().await;
    assert_eq!(desk.pager(&documented("one", "incident.acknowledged", &key), PAGER_SECRET).await.status, 200);
    desk.planned().await;
    let mut undone = documented("two", "incident.unacknowledged", &key);
    undone["event"]["occurred_at"] = "2026-01-05T10:06:00Z".into();
    assert_eq!(desk.pager(&undone, PAGER_SECRET).await.status, 200);
    desk.planned().await;
    for again in ["", "&again=true"] {
        let replayed = desk.app.ask("POST", &format!("/api/v1/events/one/replay?by=ana{again}")).await;
        assert!(replayed.status < 500, "{}", replayed.text());
    }
    desk.planned().await;
    assert_eq!(desk.case("C1").await["state"], "open");
    desk.app.end().await;
}
