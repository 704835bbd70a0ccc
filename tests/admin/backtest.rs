//! Rules that are not in force yet, tried on events that came: at a running server, and out of a file.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::cli::Ran;
use crate::support::folder::Folder;
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
    assert!(text.starts_with("5 events, 2026-01-05 to 2026-01-06 (UTC)\n"), "{text}");
    assert!(text.contains("\n+ 2026-01-05 14:00  stuck to heads: Echo is stuck  (evt_2)"), "{text}");
    assert!(text.contains("\n- 2026-01-05 13:00  rejected to heads  (evt_4)"), "{text}");
    // What was tried changed nothing at the server.
    assert_eq!(desk.each("/api/v1/deliveries", "rule").await.len(), 3);
    desk.app.end().await;
}

#[tokio::test]
async fn rules_that_say_the_same_to_the_same_people_differ_in_nothing() {
    let desk = a_day().await;
    let text = backtest(&desk, THEN, &[]).await.good_with("the same people hear of the same events");
    assert!(!text.contains("\n+ ") && !text.contains("\n- "), "{text}");
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
        ("{\"id\": 7}", "error: -:2: this is no event as `fanfare events export` writes it: invalid type: integer `7`"),
        ("what", "error: -:2: this is no event as `fanfare events export` writes it: expected value"),
        (
            &good.replace("\"raw\"", "\"body\""),
            "error: -:2: it has no body, neither `raw` nor `raw_base64`: write it with `fanfare events export`",
        ),
        (&good.replace("\"raw\":\"{", "\"raw_base64\":\"%"), "error: -:2: `raw_base64` is no base64"),
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
