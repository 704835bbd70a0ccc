//! Rules that are not in force yet, tried on events that came: at a running server, and out of a file.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::app::eventually;
use crate::support::cli::Ran;
use crate::support::folder::Folder;
use crate::support::http_peer::Answer;
use crate::support::process::BINARY;

/// What is in force while the events come.
const THEN: &str = r#"
rules:
  - {name: live, events: release.live, actions: {to: ledger, text: "{{ title }} is live"}}
  - {name: rejected, events: release.rejected, actions: {to: heads, text: "{{ title }} was rejected"}}
"#;

/// What is tried: one rule as it was, one that is narrower, one that is new and in shadow.
const NOW: &str = r#"
rules:
  - {name: live, events: release.live, actions: {to: ledger, text: "{{ title }} is out now"}}
  - name: rejected
    events: release.rejected
    when: {$.data.label: Warp}
    actions: {to: heads, text: "{{ title }} was rejected"}
  - name: stuck
    shadow: true
    events: release.submitted
    case: $.data.release_id
    closed_by: release.live
    actions: {to: heads, after: 3h, text: "{{ title }} is stuck"}
"#;

/// A program that had a day of events under [`THEN`].
async fn a_day() -> Desk {
    let desk = Desk::start(THEN).await;
    for (id, kind, release, label) in [
        ("evt_1", "release.submitted", "Halo", "Warp"),
        ("evt_2", "release.submitted", "Echo", "Ninja"),
        ("evt_3", "release.live", "Halo", "Warp"),
        ("evt_4", "release.rejected", "Echo", "Ninja"),
        ("evt_5", "release.rejected", "Wave", "Warp"),
    ] {
        desk.send(id, kind, json!({"release_id": release, "title": release, "label": label})).await;
        desk.passes(1);
    }
    desk
}

/// A folder of candidates beside the server's.
fn candidates(desk: &Desk, rules: &str) -> Folder {
    let config = std::fs::read_to_string(desk.app.folder.file("fanfare.yaml")).unwrap();
    Folder::new(&config, "", rules)
}

async fn backtest(desk: &Desk, rules: &str, more: &[&str]) -> Ran {
    let folder = candidates(desk, rules);
    let config = folder.file("fanfare.yaml");
    let mut arguments = vec!["--config", config.to_str().unwrap(), "backtest"];
    arguments.extend(["--since", "2026-01-05", "--until", "2026-01-06"]);
    arguments.extend(more);
    desk.run(&arguments).await
}

/// The members of a list, each as one line.
fn lines(list: &Value, members: &[&str]) -> Vec<String> {
    let text = |item: &Value| {
        let cell = |member: &&str| item[*member].as_str().map_or_else(|| item[*member].to_string(), str::to_owned);
        members.iter().map(cell).collect::<Vec<_>>().join(" ")
    };
    list.as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn what_candidates_would_have_sent_stands_beside_what_was_sent() {
    let desk = a_day().await;
    let ran = backtest(&desk, NOW, &["--format", "json"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let document = ran.json();
    assert_eq!(document["events"], 5);
    assert_eq!(
        lines(&document["rules"], &["rule", "destination", "would", "was"]),
        ["live ledger 1 1", "rejected heads 1 2", "stuck heads 1 0"],
        "{document:#}"
    );
    let more = lines(&document["more"], &["rule", "event", "at", "title"]);
    assert_eq!(more, ["stuck evt_2 2026-01-05T14:00:00Z Echo is stuck"], "{document:#}");
    assert_eq!(lines(&document["fewer"], &["rule", "event", "destination"]), ["rejected evt_4 heads"]);
    assert_eq!(document["not_compared"], 0);

    let text = backtest(&desk, NOW, &[]).await.good();
    assert!(text.starts_with("5 events, 2026-01-05 to 2026-01-06 UTC\n"), "{text}");
    assert!(text.contains("\n+ 2026-01-05 14:00  stuck to heads: Echo is stuck  (evt_2)"), "{text}");
    assert!(text.contains("\n- 2026-01-05 13:00  rejected to heads  (evt_4)"), "{text}");
    // What was tried changed nothing at the server.
    assert_eq!(desk.each("/api/v1/deliveries", "rule").await.len(), 3);
    desk.app.end().await;
}

#[tokio::test]
async fn rules_that_say_the_same_to_the_same_people_differ_in_nothing() {
    let desk = a_day().await;
    let text = backtest(&desk, THEN, &[]).await.good_with("the same people get messages about the same events");
    assert!(!text.contains("\n+ ") && !text.contains("\n- "), "{text}");
    desk.app.end().await;
}

/// Rules with everything that people and failures change beside the events.
const BY_HAND: &str = r#"
rules:
  - name: fraud
    events: fraud.opened
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {name: page, to: slow, text: "fraud"}
      - {name: tell, to: ledger, text: "fraud"}
      - {name: remind, to: heads, text: "still open", after: 2h, repeat: 2h}
    on_close: {name: over, to: ledger, text: "over"}
  - {name: live, events: release.live, actions: {to: ledger, text: "{{ title }} is live"}}
  - {name: paid, events: royalty.paid, actions: {to: bank, text: "paid"}}
"#;

/// What came of a backtest of rules that nobody changed: how many messages are not comparable, and why.
async fn apart(desk: &Desk, rules: &str) -> Vec<String> {
    let document = backtest(desk, rules, &["--format", "json"]).await.json();
    assert_eq!((&document["more"], &document["fewer"]), (&json!([]), &json!([])), "{document:#}");
    for row in document["rules"].as_array().unwrap() {
        assert_eq!(row["would"], row["was"], "{document:#}");
    }
    let text = backtest(desk, rules, &[]).await.good_with("the same people get messages about the same events");
    assert!(!text.contains("\n+ ") && !text.contains("\n- "), "{text}");
    let apart = lines(&document["not_comparable"], &["rule", "destination", "event", "why"]);
    assert_eq!(text.matches("\n~ ").count(), apart.len(), "{text}");
    apart
}

async fn start_by_hand() -> Desk {
    let more = "  slow: {type: http, url: \"PEER\", rate: 1/h, burst: 1}\n  \
                bank: {type: http, url: \"PEER\", fallback: [ledger]}\n";
    Desk::start_with(BY_HAND, more).await
}

/// Sends an event, and waits until it is planned, though not until all is sent.
async fn plan(desk: &Desk, id: &str, kind: &str, data: Value) {
    let created = desk.app.live.clock.now().as_second();
    let body = json!({"id": id, "type": kind, "created": created, "data": data});
    assert_eq!(desk.app.send(&body.to_string()).await.status, 200);
    eventually("planned", async || {
        let inbox = desk.app.json("/api/v1/status").await["inbox"].clone();
        (inbox["head"] == inbox["planned"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_case_that_closes_in_the_second_in_which_it_opened_is_no_difference() {
    let desk = start_by_hand().await;
    // The first uses up what `slow` may be sent in an hour, so that the second waits, and is called off by its close.
    plan(&desk, "evt_1", "fraud.opened", json!({"case_id": "C1"})).await;
    plan(&desk, "evt_2", "fraud.opened", json!({"case_id": "C2"})).await;
    plan(&desk, "evt_3", "fraud.resolved", json!({"case_id": "C2"})).await;
    plan(&desk, "evt_4", "fraud.resolved", json!({"case_id": "C1"})).await;
    desk.planned().await;
    let apart = apart(&desk, BY_HAND).await;
    assert_eq!(apart, ["fraud slow evt_2 called off: its case has closed"]);
    desk.app.end().await;
}

#[tokio::test]
async fn what_a_fallback_said_is_no_difference() {
    let desk = start_by_hand().await;
    desk.peer.answer(Answer::status(400).body("no such account"));
    desk.send("evt_1", "royalty.paid", json!({})).await;
    eventually("told", async || {
        (desk.each("/api/v1/deliveries?destination=ledger&state=delivered", "rule").await == ["paid"]).then_some(())
    })
    .await;
    let apart = apart(&desk, BY_HAND).await;
    assert_eq!(apart, ["paid ledger evt_1 in place of a message that could not be delivered"]);
    desk.app.end().await;
}

#[tokio::test]
async fn what_people_muted_acknowledged_closed_and_replayed_is_no_difference() {
    let desk = start_by_hand().await;
    let muted = ["mute", "add", "--rule", "live", "--for", "1h", "--reason", "moving"];
    assert_eq!(desk.run(&muted).await.code, 0);
    desk.planned().await;
    desk.send("evt_1", "release.live", json!({"title": "Halo"})).await;
    desk.passes(1);
    desk.send("evt_2", "release.live", json!({"title": "Echo"})).await;
    assert_eq!(desk.run(&["events", "replay", "evt_2", "--again"]).await.code, 0);
    desk.planned().await;
    desk.send("evt_3", "fraud.opened", json!({"case_id": "C1"})).await;
    assert_eq!(desk.run(&["cases", "ack", "C1"]).await.code, 0);
    desk.planned().await;
    desk.passes(3);
    desk.send("evt_4", "fraud.opened", json!({"case_id": "C2"})).await;
    assert_eq!(desk.run(&["cases", "close", "C2"]).await.code, 0);
    desk.passes(1);
    desk.planned().await;
    desk.send("evt_5", "fraud.resolved", json!({"case_id": "C1"})).await;
    let apart = apart(&desk, BY_HAND).await;
    for (part, why) in [
        ("live ledger evt_1", "muted until"),
        ("live ledger evt_2", "planned again by hand"),
        ("fraud heads evt_3", "acknowledged by ana"),
        ("fraud heads evt_4", "closed by ana"),
        ("fraud ledger evt_4", "closed by ana"),
    ] {
        assert!(apart.iter().any(|line| line.starts_with(part) && line.contains(why)), "{part}: {apart:#?}");
    }
    desk.app.end().await;
}

#[tokio::test]
async fn one_rule_alone_is_compared_with_what_it_sent_itself() {
    let desk = a_day().await;
    let document = backtest(&desk, NOW, &["--rule", "rejected", "--format", "json"]).await.json();
    assert_eq!(lines(&document["rules"], &["rule", "would", "was"]), ["rejected 1 2"]);
    let wrong = backtest(&desk, NOW, &["--rule", "rejectd"]).await;
    assert_eq!(wrong.code, 1);
    assert_eq!(wrong.err, "error: there is no rule `rejectd`; did you mean `rejected`?\n");
    desk.app.end().await;
}

#[tokio::test]
async fn messages_about_events_from_before_are_counted_and_not_compared() {
    let desk = a_day().await;
    let folder = candidates(&desk, NOW);
    let config = folder.file("fanfare.yaml");
    let arguments = ["--config", config.to_str().unwrap(), "backtest", "--since", "2026-01-05T13:30:00Z"];
    let document = desk.run(&[&arguments[..], &["--format", "json"]].concat()).await.json();
    assert_eq!((&document["events"], &document["not_compared"]), (&json!(1), &json!(0)), "{document:#}");
    let all = desk.run(&[&arguments[..3], &["--since", "2027-01-01"]].concat()).await;
    assert_eq!((all.code, all.err.as_str()), (0, "no event was received in that time\n"));
    desk.app.end().await;
}

/// Runs it on a text that comes through standard input.
fn through_a_pipe(rules: &str, text: &str, more: &[&str]) -> Ran {
    let folder = Folder::new(crate::support::folder::CONFIG, "http://127.0.0.1:9", rules);
    let config = folder.file("fanfare.yaml");
    let rules_only =
        std::fs::read_to_string(&config).unwrap() + "  heads: {type: http, url: \"http://127.0.0.1:9/\"}\n";
    std::fs::write(&config, rules_only).unwrap();
    let mut child = Command::new(BINARY)
        .args(["--config", config.to_str().unwrap(), "backtest", "--events", "-"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test]
async fn an_export_is_played_without_a_server() {
    let desk = a_day().await;
    let export = desk.run(&["events", "export"]).await.good();
    desk.app.end().await;
    let document = through_a_pipe(NOW, &export, &["--format", "json"]).json();
    assert_eq!(
        lines(&document["rules"], &["rule", "would", "was"]),
        ["live 1 null", "rejected 1 null", "stuck 1 null"]
    );
    assert_eq!((&document["fewer"], &document["not_compared"]), (&Value::Null, &Value::Null));
    let text = through_a_pipe(NOW, &export, &["--show", "1"]).good();
    assert!(text.contains("\n2026-01-05 12:00  live to ledger: Halo is out now  (evt_3)\n"), "{text}");
    assert!(text.ends_with("and 2 more; `--show 3` lists all\n"), "{text}");
}

#[test]
fn a_line_that_is_no_event_is_named() {
    let good = r#"{"id":"e","seq":1,"source":"jewelmusic","type":"release.live","created":"2026-01-05T10:00:00Z","received":"2026-01-05T10:00:00Z","raw":"{\"id\":\"e\",\"type\":\"release.live\"}"}"#;
    for (line, why) in [
        (
            "{\"id\": 7}",
            "error: -:2: this is not an event as `fanfare events export` writes it: invalid type: integer `7`",
        ),
        ("what", "error: -:2: this is not an event as `fanfare events export` writes it: expected value"),
        (
            &good.replace("\"raw\"", "\"body\""),
            "error: -:2: it has no body, neither `raw` nor `raw_base64`: write it with `fanfare events export`",
        ),
        (&good.replace("\"raw\":\"{", "\"raw_base64\":\"%"), "error: -:2: `raw_base64` is not base64"),
    ] {
        let ran = through_a_pipe(THEN, &format!("{good}\n{line}\n"), &[]);
        assert!(ran.code == 1 && ran.out.is_empty() && ran.err.starts_with(why), "{ran:?}");
    }
}

#[test]
fn broken_candidates_are_reported_and_nothing_is_played() {
    let ran = through_a_pipe("rules:\n  - {name: x, evnts: '*', actions: {to: ledger}}\n", "", &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("did you mean `events`?"), "{}", ran.err);
}
