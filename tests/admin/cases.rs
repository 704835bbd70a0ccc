//! Open cases: who acknowledged them, what comes next, acknowledging and closing them by API, page and command line.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::app::eventually;
use crate::support::raw::exchange;

const RULES: &str = r#"
rules:
  - name: fraud
    events: fraud.opened
    case: $.data.case_id
    closed_by: fraud.resolved
    closes_after: 90d
    actions:
      - {name: page, to: ledger, text: "fraud"}
      - {name: remind, to: [heads, ledger], text: "still open", after: 2h, repeat: 4h}
      - {name: due, to: heads, text: "due", at: "1d before $.data.date"}
    on_close: {name: over, to: [heads, ledger], text: "over"}
  - name: stuck
    events: release.submitted
    case: $.data.case_id
    actions: {name: late, to: ledger, text: "stuck", after: 7d}
"#;

async fn start() -> Desk {
    Desk::start(RULES).await
}

/// Opens, or adds to, the case with this key.
async fn open(desk: &Desk, id: &str, kind: &str, key: &str) {
    desk.send(id, kind, json!({"case_id": key, "date": "2026-03-01"})).await;
}

/// The ids of the cases that a query finds.
async fn cases(desk: &Desk, query: &str) -> Vec<String> {
    desk.each(&format!("/api/v1/cases{query}"), "id").await
}

#[tokio::test]
async fn a_case_shows_what_it_is_about_and_what_comes_next() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    open(&desk, "evt_2", "fraud.opened", "C1").await;
    let list = desk.app.json("/api/v1/cases").await;
    let timer = |action: &str, to: Value, next: &str| json!({"action": action, "to": to, "next": next, "fired": 0, "waits": false});
    let expected = json!([{
        "id": "fraud/C1", "state": "open", "rule": "fraud", "key": "C1", "event": 1,
        "opened": "2026-01-05T10:00:00Z", "count": 2, "last": "2026-01-05T10:00:00Z",
        "waiting": true, "acked_by": null, "acked_at": null, "waits_since": "2026-01-05T10:00:00Z", "note": null, "shadow": false, "destinations": ["ledger"],
        "ends": "2026-04-05T10:00:00Z", "orphaned": null,
        "timers": [
            timer("remind", json!(["heads", "ledger"]), "2026-01-05T12:00:00Z"),
            timer("due", json!(["heads"]), "2026-02-28T00:00:00Z"),
        ],
    }]);
    assert_eq!(list, expected, "{list:#}");
    let shown = desk.app.json("/api/v1/cases/fraud%2FC1").await;
    assert_eq!((&shown["opening"]["id"], &shown["opening"]["type"]), (&"evt_1".into(), &"fraud.opened".into()));
    let sent = shown["deliveries"].as_array().unwrap();
    assert_eq!(sent.len(), 2, "the opening and what followed: {shown:#}");
    assert!(sent.iter().all(|one| one["destination"] == "ledger" && one["state"] == "delivered"), "{shown:#}");
    desk.app.end().await;
}

#[tokio::test]
async fn cases_are_filtered_and_paged() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    desk.passes(1);
    open(&desk, "evt_2", "fraud.opened", "a/b c").await;
    open(&desk, "evt_3", "release.submitted", "C1").await;
    assert_eq!(desk.app.ask("POST", "/api/v1/cases/fraud%2FC1/ack?by=ana").await.status, 200);
    desk.planned().await;
    for (query, expected) in [
        ("", vec!["fraud/C1", "fraud/a%2Fb c", "stuck/C1"]),
        ("?rule=stuck", vec!["stuck/C1"]),
        ("?key=C1", vec!["fraud/C1", "stuck/C1"]),
        ("?key=a/b%20c", vec!["fraud/a%2Fb c"]),
        ("?acked=true", vec!["fraud/C1"]),
        ("?acked=false", vec!["fraud/a%2Fb c", "stuck/C1"]),
        ("?waiting=true", vec!["fraud/a%2Fb c"]),
        ("?waiting=false", vec!["fraud/C1", "stuck/C1"]),
        ("?since=2026-01-05T10:30:00Z", vec!["fraud/a%2Fb c", "stuck/C1"]),
        ("?until=2026-01-05T10:30:00Z", vec!["fraud/C1"]),
        ("?limit=1", vec!["fraud/C1"]),
        ("?limit=1&after=fraud/C1", vec!["fraud/a%2Fb c"]),
        ("?after=stuck/C1", vec![]),
    ] {
        assert_eq!(cases(&desk, query).await, expected, "{query}");
    }
    let wrong = desk.app.ask("GET", "/api/v1/cases?rule=frau").await;
    assert_eq!(
        (wrong.status, wrong.json()["detail"].as_str()),
        (400, Some("there is no rule `frau`; did you mean `fraud`?"))
    );
    assert_eq!(
        desk.app.json("/api/v1/status").await["cases"],
        json!({"open": 3, "unacknowledged": 2, "waiting": 1, "more": false})
    );
    desk.app.end().await;
}

#[tokio::test]
async fn acknowledging_a_case_stops_its_reminders_and_not_its_dates() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    let answer = desk.app.ask("POST", "/api/v1/cases/fraud%2FC1/ack?by=ana").await.json();
    let note = "ana acknowledges case `C1` of rule `fraud`; one reminder stops, what has a date still comes; the case stays open";
    let answer = &answer["cases"][0];
    assert_eq!(answer["told"], note);
    assert_eq!((&answer["stops"][0]["action"], &answer["stays"][0]["action"]), (&"remind".into(), &"due".into()));
    desk.planned().await;
    let case = desk.app.json("/api/v1/cases/C1").await;
    assert_eq!((&case["state"], &case["acked_by"]), (&"acknowledged".into(), &"ana".into()));
    assert_eq!(case["acked_at"], "2026-01-05T10:00:00Z");
    let left: Vec<&Value> = case["timers"].as_array().unwrap().iter().map(|timer| &timer["action"]).collect();
    assert_eq!(left, ["due"], "what was asked to stop has stopped");
    desk.passes(12);
    desk.planned().await;
    assert_eq!(desk.app.json("/api/v1/deliveries").await.as_array().unwrap().len(), 1, "no reminder went");
    let again = desk.app.ask("POST", "/api/v1/cases/C1/ack?by=ben").await.json();
    assert!(
        again["cases"][0]["told"]
            .as_str()
            .unwrap()
            .starts_with("ben acknowledges case `C1` of rule `fraud`, as ana did before; no reminder"),
        "{again}"
    );
    desk.app.end().await;
}

#[tokio::test]
async fn a_case_closed_by_hand_says_so_where_the_rule_says_it() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    let answer = desk.app.ask("POST", "/api/v1/cases/fraud%2FC1/close?by=ana").await.json();
    let note = "ana closes case `C1` of rule `fraud`; 2 messages that were to come do not; `on_close` goes to ledger";
    assert_eq!(answer["cases"][0]["told"], note);
    eventually("said", async || {
        let sent = desk.each("/api/v1/deliveries?destination=ledger", "action").await;
        (sent.len() == 2 && sent.contains(&"over".to_owned())).then_some(())
    })
    .await;
    let heads = desk.app.json("/api/v1/deliveries?destination=heads").await;
    assert!(
        heads.as_array().unwrap().is_empty(),
        "the heads, whose reminder never came, get no message at the end: {heads:#}"
    );
    assert!(cases(&desk, "").await.is_empty());
    desk.passes(12);
    desk.planned().await;
    assert_eq!(desk.app.json("/api/v1/deliveries").await.as_array().unwrap().len(), 2, "no reminder went");
    let gone = desk.app.ask("POST", "/api/v1/cases/fraud%2FC1/close?by=ana").await;
    assert_eq!(gone.status, 404);
    assert_eq!(gone.json()["detail"], "there is no open case `fraud/C1`; it may have closed");
    desk.app.end().await;
}

#[tokio::test]
async fn a_case_is_found_by_its_key_where_that_is_enough() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    open(&desk, "evt_2", "release.submitted", "C1").await;
    open(&desk, "evt_3", "fraud.opened", "a/b").await;
    for (said, id) in [
        ("fraud%2FC1", "fraud/C1"),
        ("a%2Fb", "fraud/a%2Fb"),
        ("fraud%2Fa%2Fb", "fraud/a%2Fb"),
        ("fraud%2Fa%252Fb", "fraud/a%2Fb"),
    ] {
        assert_eq!(desk.app.json(&format!("/api/v1/cases/{said}")).await["id"], id, "{said}");
    }
    for (said, status, detail) in [
        ("C1", 400, "several open cases have the key `C1`: `fraud/C1`, `stuck/C1`"),
        ("fruad%2FC1", 404, "there is no open case `fruad/C1`; did you mean `fraud/C1`?"),
        ("a%2Fc", 404, "there is no open case `a/c`; did you mean `a/b`?"),
        ("nothing-like-it", 404, "there is no open case `nothing-like-it`; it may have closed"),
    ] {
        let answer = desk.app.ask("GET", &format!("/api/v1/cases/{said}")).await;
        assert_eq!((answer.status, answer.json()["detail"].as_str().unwrap()), (status, detail));
    }
    desk.app.end().await;
}

#[tokio::test]
async fn nobody_acknowledges_a_case_without_a_name() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    for by in ["", "?by=", "?by=%20", "?by=a%00b", "?by=a%0Ab", &format!("?by={}", "x".repeat(101)), "?yb=ana"] {
        for verb in ["ack", "close"] {
            let answer = desk.app.ask("POST", &format!("/api/v1/cases/C1/{verb}{by}")).await;
            assert_eq!(answer.status, 400, "{verb}{by}: {}", answer.text());
        }
    }
    assert_eq!(desk.app.head().await, 1, "nothing was asked of the planner");
    desk.app.end().await;
}

#[tokio::test]
async fn a_case_whose_rule_is_gone_is_shown_as_orphaned_and_can_be_closed() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    open(&desk, "evt_2", "release.submitted", "C2").await;
    let (fraud, stuck) = RULES.split_once("  - name: stuck").unwrap();
    let without_reminder: String =
        fraud.lines().filter(|line| !line.contains("name: remind")).map(|line| format!("{line}\n")).collect();
    assert!(without_reminder.len() < fraud.len() && !stuck.is_empty());
    desk.app.folder.write("rules/main.yaml", &without_reminder);
    assert_eq!(desk.app.ask("POST", "/-/reload").await.status, 200);
    let one = desk.app.json("/api/v1/cases/fraud%2FC1").await;
    assert_eq!(one["orphaned"], json!({"rule": false, "actions": ["remind"]}));
    let two = desk.app.json("/api/v1/cases/stuck%2FC2").await;
    assert_eq!(two["orphaned"], json!({"rule": true, "actions": []}));
    assert_eq!(two["timers"][0]["to"], json!([]));
    let page = desk.app.ask("GET", "/cases/stuck%2FC2").await.text();
    assert!(page.contains("Its rule is gone"), "{page}");
    assert_eq!(desk.app.ask("POST", "/api/v1/cases/stuck%2FC2/close?by=ana").await.status, 200);
    eventually("closed", async || (cases(&desk, "").await == ["fraud/C1"]).then_some(())).await;
    desk.app.end().await;
}

#[tokio::test]
async fn the_page_has_buttons_that_acknowledge_and_close() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    open(&desk, "evt_2", "fraud.opened", "<b>x</b>/../é").await;
    let home = desk.app.ask("GET", "/").await.text();
    assert!(home.contains("Waits for a person") && home.contains(">C1</a>"), "{home}");
    let page = desk.app.ask("GET", "/cases").await.text();
    assert!(!page.contains("<b>x</b>") && page.contains("&lt;b&gt;x"), "{page}");
    let path = "/cases/fraud%2F%3Cb%3Ex%3C%252Fb%3E%252F..%252F%C3%A9";
    assert!(page.replace("&#x2f;", "/").contains(&format!("formaction=\"{path}/ack\"")), "{page}");
    assert_eq!(desk.app.ask("GET", path).await.status, 200);
    let refused = desk.submit(&format!("{path}/ack"), "by=").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let taken = desk.submit(&format!("{path}/ack"), "by=ana+b%C3%A9&note=calling+%3Cthem%3E").await;
    assert_eq!((taken.status, taken.header("location")), (303, Some("/cases?asked=ack")), "{}", taken.text());
    let cookie = taken.header("set-cookie").unwrap();
    assert!(cookie.starts_with("fanfare_by=ana+b%C3%A9; HttpOnly; SameSite=Strict"), "{cookie}");
    desk.planned().await;
    let page = desk.app.ask("GET", "/cases").await.text();
    assert!(page.contains("<b>ana bé</b>") && page.contains(": calling &lt;them&gt;"), "{page}");
    let closed = desk.submit("/cases/fraud%2FC1/close", "by=ana").await;
    assert_eq!((closed.status, closed.header("location")), (303, Some("/cases?asked=close")));
    eventually("closed", async || (cases(&desk, "").await.len() == 1).then_some(())).await;
    let gone = desk.submit("/cases/fraud%2FC1/close", "by=ana").await;
    assert_eq!(gone.status, 404);
    desk.app.end().await;
}

#[tokio::test]
async fn the_name_given_last_stands_in_the_form() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    let request = format!(
        "GET /cases HTTP/1.1\r\nHost: {}\r\nCookie: other=1; fanfare_by=ana+%22b%22\r\nConnection: close\r\n\r\n",
        desk.app.admin
    );
    let page = exchange(desk.app.admin, request.as_bytes()).await.text();
    assert!(page.contains("value=\"ana &quot;b&quot;\""), "{page}");
    desk.app.end().await;
}

#[tokio::test]
async fn another_sites_page_acknowledges_no_case() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    let form = "by=mallory";
    let request = format!(
        "POST /cases/fraud%2FC1/ack HTTP/1.1\r\nHost: {}\r\nOrigin: https://evil.example\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n{form}",
        desk.app.admin,
        form.len()
    );
    assert_eq!(exchange(desk.app.admin, request.as_bytes()).await.status, 403);
    assert_eq!(desk.app.head().await, 1);
    desk.app.end().await;
}

#[tokio::test]
async fn the_command_line_lists_shows_acknowledges_and_closes() {
    let desk = start().await;
    assert_eq!(desk.run(&["cases", "list"]).await.good(), "no open cases\n");
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    open(&desk, "evt_2", "release.submitted", "C2").await;
    let list = desk.run(&["cases", "list"]).await.good();
    let expected = "\
state    by  rule   key  opened                   matches  next                                      id
waiting      fraud  C1   2026-01-05 10:00:00 UTC  1        2026-01-05 12:00:00 UTC to heads, ledger  fraud/C1
kept         stuck  C2   2026-01-05 10:00:00 UTC  1        2026-01-12 10:00:00 UTC to ledger         stuck/C2
";
    assert_eq!(list, expected, "{list}");
    let told = desk.run(&["cases", "ack", "C1"]).await.good();
    assert!(told.starts_with("ana acknowledges case `C1` of rule `fraud`; one reminder stops"), "{told}");
    desk.planned().await;
    assert_eq!(desk.run(&["cases", "list", "--acked", "--format", "json"]).await.json()[0]["acked_by"], "ana");
    assert_eq!(desk.run(&["cases", "list", "--acked=false", "--format", "json"]).await.json()[0]["id"], "stuck/C2");
    let shown = desk.run(&["cases", "show", "fraud/C1"]).await.good();
    let id = desk.app.json("/api/v1/deliveries?rule=fraud").await[0]["id"].as_str().unwrap().to_owned();
    let expected = format!(
        "\
fraud/C1  acknowledged by ana 2026-01-05 10:00:00 UTC
rule fraud, key C1
opened 2026-01-05 10:00:00 UTC by event evt_1 (fraud.opened), 1 match, the last 2026-01-05 10:00:00 UTC
closes 2026-04-05 10:00:00 UTC if no event comes

next: 2026-02-28 00:00:00 UTC to heads

state      destination  rule   event  attempts  planned                  id                              last error
delivered  ledger       fraud  1      1         2026-01-05 10:00:00 UTC  {id}
"
    );
    assert_eq!(shown, expected, "{shown}");
    let told = desk.run(&["cases", "close", "stuck/C2", "--by", "ben"]).await.good();
    assert_eq!(told, "ben closes case `C2` of rule `stuck`; what was still to come does not\n");
    eventually("closed", async || (cases(&desk, "").await == ["fraud/C1"]).then_some(())).await;
    let gone = desk.run(&["cases", "ack", "frad/C1"]).await;
    assert_eq!((gone.code, gone.out.as_str()), (1, ""));
    assert_eq!(gone.err, "error: there is no open case `frad/C1`; did you mean `fraud/C1`? (404 Not Found)\n");
    desk.app.end().await;
}

#[tokio::test]
async fn a_key_that_two_rules_have_is_acknowledged_and_closed_in_both() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    open(&desk, "evt_2", "release.submitted", "C1").await;
    open(&desk, "evt_3", "release.submitted", "C2").await;
    let told = desk.run(&["cases", "ack", "C1", "--note", "on the phone with them"]).await.good();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines[0].starts_with("ana acknowledges case `C1` of rule `fraud`; one reminder stops"), "{told}");
    assert!(lines[1].starts_with("ana acknowledges case `C1` of rule `stuck`; one reminder stops"), "{told}");
    desk.planned().await;
    assert_eq!(cases(&desk, "?acked=true").await, ["fraud/C1", "stuck/C1"]);
    desk.run(&["cases", "list", "--acked"]).await.good_with("ana: on the phone with them");
    desk.run(&["cases", "show", "stuck/C1"]).await.good_with("\nnote: on the phone with them\n");
    assert_eq!(desk.app.json("/api/v1/cases/stuck%2FC1").await["note"], "on the phone with them");
    let page = desk.app.ask("GET", "/cases/fraud%2FC1").await.text();
    assert!(page.contains("on the phone with them"), "{page}");
    let why = desk.app.json("/api/v1/events/evt_2").await["rules"].to_string();
    assert!(why.contains("ana acknowledged case `C1` (on the phone with them)"), "{why}");

    let nowhere = desk.run(&["cases", "close", "C2", "--rule", "fraud"]).await;
    assert_eq!(nowhere.err, "error: there is no open case `C2` of rule `fraud`; it may have closed (404 Not Found)\n");
    let wrong = desk.run(&["cases", "close", "C1", "--rule", "frau"]).await;
    assert_eq!(wrong.err, "error: there is no rule `frau`; did you mean `fraud`? (400 Bad Request)\n");
    let told = desk.run(&["cases", "close", "C1", "--rule", "stuck", "--note", "live"]).await.good();
    assert!(told.starts_with("ana closes case `C1` of rule `stuck`") && told.lines().count() == 1, "{told}");
    eventually("closed", async || (cases(&desk, "").await == ["fraud/C1", "stuck/C2"]).then_some(())).await;
    eventually("told at its event", async || {
        let why = desk.app.json("/api/v1/events/evt_2").await["rules"].to_string();
        why.contains("case `C1` closed by ana (live)").then_some(())
    })
    .await;
    desk.run(&["cases", "close", "C1"]).await.good_with("of rule `fraud`");
    desk.app.end().await;
}

const MANY: &str = r#"
rules:
  - name: kept
    events: live
    case: $.data.id
    closes_after: 90d
    actions: [{to: ledger, text: live, once: true}]
  - name: slow
    events: slow
    case: $.data.id
    closes_after: 90d
    actions: [{to: ledger, text: slow}, {to: heads, text: late, after: 5h}]
  - name: urgent
    events: [urgent, live]
    case: $.data.id
    closes_after: 90d
    actions: [{to: ledger, text: urgent}, {to: heads, text: late, after: 1h}]
"#;

#[tokio::test]
async fn the_list_begins_with_what_waits_for_somebody_and_is_due_first() {
    let desk = Desk::start(MANY).await;
    for (n, (kind, id)) in
        [("live", "A"), ("slow", "B"), ("urgent", "C"), ("urgent", "D"), ("slow", "A")].into_iter().enumerate()
    {
        desk.send(&format!("evt_{n}"), kind, json!({"id": id})).await;
        desk.clock.advance(jiff::SignedDuration::from_mins(1));
    }
    assert_eq!(desk.app.ask("POST", "/api/v1/cases/urgent%2FD/ack?by=ana").await.status, 200);
    desk.planned().await;
    let seen = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|case| format!("{} {}", case["id"], case["waiting"])).collect()
    };
    let all = desk.run(&["cases", "list", "--format", "json"]).await.json();
    let expected = ["urgent/A", "urgent/C", "slow/B", "slow/A"].map(|id| format!("\"{id}\" true"));
    let kept = ["kept/A", "urgent/D"].map(|id| format!("\"{id}\" false"));
    assert_eq!(seen(&all), [&expected[..], &kept[..]].concat());
    let two = desk.run(&["cases", "list", "--limit", "2", "--format", "json"]).await.json();
    assert_eq!(seen(&two), expected[..2]);
    let waiting = desk.run(&["cases", "list", "--waiting", "--format", "json"]).await.json();
    assert_eq!(seen(&waiting), expected);
    let rest = desk.run(&["cases", "list", "--waiting=false"]).await.good();
    let states: Vec<&str> = rest.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(states, ["kept", "acknowledged"], "{rest}");
    desk.app.end().await;
}

#[tokio::test]
async fn a_key_that_several_cases_have_shows_them_all() {
    let desk = Desk::start(MANY).await;
    desk.send("evt_1", "live", json!({"id": "A"})).await;
    let shown = desk.run(&["cases", "show", "A"]).await.good();
    for part in ["kept/A  nobody acknowledged it, and it waits for nobody", "urgent/A  waits for a person, and nobody"]
    {
        assert!(shown.contains(part), "{shown}");
    }
    let shown = desk.run(&["cases", "show", "A", "--format", "json"]).await.json();
    let ids: Vec<&Value> = shown.as_array().unwrap().iter().map(|case| &case["id"]).collect();
    assert_eq!(ids, ["kept/A", "urgent/A"]);
    assert_eq!(shown[1]["deliveries"][0]["destination"], "ledger");
    let one = desk.run(&["cases", "show", "urgent/A", "--format", "json"]).await.json();
    assert_eq!((&one["id"], &one["opening"]["id"]), (&"urgent/A".into(), &"evt_1".into()));
    desk.app.end().await;
}

#[tokio::test]
async fn a_note_is_one_line_that_can_be_read() {
    let desk = start().await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    for note in ["a%0Ab", &"x".repeat(501)] {
        let answer = desk.app.ask("POST", &format!("/api/v1/cases/C1/ack?by=ana&note={note}")).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["detail"], "`note` is one line of at most 500 characters");
    }
    let empty = desk.app.ask("POST", "/api/v1/cases/C1/ack?by=ana&note=%20").await;
    assert_eq!((empty.status, &empty.json()["note"]), (200, &Value::Null));
    desk.app.end().await;
}

#[tokio::test]
async fn the_old_word_names_the_new_one() {
    let desk = start().await;
    let old = desk.run(&["cases", "take", "C1", "--by", "ana"]).await;
    assert_eq!((old.code, old.err.as_str()), (1, "error: `cases take` is `cases ack` now: it acknowledges\n"));
    desk.app.end().await;
}

/// Sends an opening whose key is written so, quotes and all.
async fn open_as(desk: &Desk, id: &str, key: &str) {
    let created = desk.app.live.clock.now().as_second();
    let body = format!(r#"{{"id":"{id}","type":"release.submitted","created":{created},"data":{{"case_id":{key}}}}}"#);
    assert_eq!(desk.app.send(&body).await.status, 200);
    desk.planned().await;
}

#[tokio::test]
async fn a_number_is_one_key_however_the_sender_writes_it() {
    let desk = start().await;
    for (nth, key) in ["103", "103.0", "1.03e2", "\"103\"", "0", "-0", "0.00", "1e2", "100"].iter().enumerate() {
        open_as(&desk, &format!("evt_{nth}"), key).await;
    }
    assert_eq!(cases(&desk, "").await, ["stuck/0", "stuck/100", "stuck/103"]);
    assert_eq!(desk.app.json("/api/v1/cases/stuck%2F103").await["count"], 4);
    // Texts are what they are: 1.10 is another version than 1.1.
    open_as(&desk, "evt_10", "\"1.10\"").await;
    open_as(&desk, "evt_11", "\"1.1\"").await;
    assert_eq!(cases(&desk, "").await, ["stuck/0", "stuck/1.1", "stuck/1.10", "stuck/100", "stuck/103"]);
    assert_eq!(cases(&desk, "?key=103.0").await, ["stuck/103"]);
    desk.run(&["cases", "close", "103.00"]).await.good_with("closes case `103` of rule `stuck`");
    desk.app.end().await;
}

#[tokio::test]
async fn a_case_that_an_earlier_version_opened_under_the_sender_s_digits_goes_on_and_closes() {
    let desk = start().await;
    let send = async |id: &str, kind: &str, key: &str| {
        let created = desk.app.live.clock.now().as_second();
        let body = format!(r#"{{"id":"{id}","type":"{kind}","created":{created},"data":{{"case_id":{key}}}}}"#);
        assert_eq!(desk.app.send(&body).await.status, 200);
        desk.planned().await;
    };
    // What is kept of a text is what an earlier version kept of the number.
    send("evt_1", "fraud.opened", "\"103.0\"").await;
    send("evt_2", "fraud.opened", "103.0").await;
    assert_eq!(cases(&desk, "").await, ["fraud/103.0"]);
    assert_eq!(desk.app.json("/api/v1/cases/fraud%2F103.0").await["count"], 2);
    send("evt_3", "fraud.resolved", "103.0").await;
    assert!(cases(&desk, "").await.is_empty());
    send("evt_4", "fraud.opened", "103.0").await;
    assert_eq!(cases(&desk, "").await, ["fraud/103"]);
    desk.app.end().await;
}

#[tokio::test]
async fn people_read_and_write_times_of_their_own_zone_and_programs_read_utc() {
    let desk = Desk::start_in("Europe/Berlin", RULES).await;
    open(&desk, "evt_1", "fraud.opened", "C1").await;
    let list = desk.run(&["cases", "list"]).await.good();
    assert!(list.contains("2026-01-05 11:00:00 CET") && list.contains("2026-01-05 13:00:00 CET to heads"), "{list}");
    let list = desk.run(&["cases", "list", "--format", "json"]).await.json();
    assert_eq!(list[0]["opened"], "2026-01-05T10:00:00Z");
    desk.run(&["events", "list"]).await.good_with("2026-01-05 11:00:00 CET");
    desk.run(&["deliveries", "list"]).await.good_with("2026-01-05 11:00:00 CET");
    let page = desk.app.ask("GET", "/cases").await.text();
    assert!(page.contains("title=\"2026-01-05 11:00:00 CET\">11:00</time>"), "{page}");
    for (since, until, count) in [
        ("2026-01-05 11:00", "2026-01-05 11:01", 1),
        ("2026-01-05 10:00", "2026-01-05 11:00", 0),
        ("2026-01-05 11:00:01", "2026-01-06", 0),
        ("2026-01-05", "2026-01-06", 1),
        ("2026-01-05T10:00:00Z", "2026-01-05T10:00:01Z", 1),
    ] {
        for what in ["cases", "events"] {
            let list = desk.run(&[what, "list", "--format", "json", "--since", since, "--until", until]).await.json();
            assert_eq!(list.as_array().unwrap().len(), count, "{what} from {since} until {until}");
        }
    }
    let muted = ["mute", "add", "--rule", "stuck", "--until", "2026-01-05 18:00", "--reason", "moving"];
    desk.run(&muted).await.good_with("until 2026-01-05 18:00 CET, by ana");
    assert_eq!(desk.app.ask("GET", "/api/v1/events?since=yesterday").await.status, 400);
    desk.app.end().await;
}
