//! Why a rule did or did not act: every outcome, from a signed event to what `events show` prints.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::app::eventually;

const RULES: &str = r#"
hours:
  evening: {days: mon-sun, from: "20:00", to: "22:00", timezone: UTC}
  evening-only: {days: mon-sun, from: "20:00", to: "22:00", timezone: UTC, outside: drop}
mutes:
  - {reason: stock-taking, by: ops, events: "muted.*", until: 2026-01-07}
rules:
  - {name: acts, events: matched, actions: {to: ledger, text: x}}
  - {name: misses, events: "m*", when: {$.data.label: Warp, $.data.n: {gte: 10}}, actions: {to: ledger, text: x}}
  - {name: fails, events: failed, when: {$.data.n: {gte: 10}}, actions: {to: ledger, text: x}}
  - {name: fails-in-part, events: failed, case: $.data.absent, actions: {to: ledger, text: x}}
  - {name: throttled, events: throttled, throttle: {max: 1, every: 1h}, actions: {to: ledger, text: x}}
  - {name: muted, events: "muted.*", actions: {to: ledger, text: x}}
  - {name: held, events: held, hours: evening, actions: {to: ledger, text: x}}
  - {name: dropped, events: held, hours: evening-only, actions: {to: ledger, text: x}}
  - {name: collects, events: digest, digest: {every: 2h}, actions: {to: ledger, text: x}}
  - {name: shadow, events: shadow, shadow: true, actions: {to: ledger, text: x}}
  - name: case
    events: opened
    case: $.data.key
    closed_by: closed
    actions: [{to: ledger, text: x, once: true}, {name: later, to: heads, text: x, after: 2h}]
  - {name: branch, events: branch, actions: [{to: ledger, text: x, when: {$.data.n: 1}}, {to: heads, text: x, otherwise: true}]}
  - {name: dies, events: dies, actions: {to: broken, text: x}}
"#;

const BROKEN: &str = "  broken: {type: http, url: \"http://127.0.0.1:9/\", retry: {first: 1s, max: 1s, give_up: 0s}, fallback: [heads]}\n";

/// What `events show` prints of the rules: lines of rule, outcome and why.
async fn shown(desk: &Desk, id: &str) -> String {
    let out = desk.run(&["events", "show", id]).await.good();
    let table = out.split("\n\n").nth(1).unwrap();
    let rows: Vec<String> =
        table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    rows.join("\n")
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn each_rule_says_why_it_did_or_did_not_act() {
    let desk = Desk::start_with(RULES, BROKEN).await;
    let mut wrong = Vec::new();
    for (id, kind, data, expected) in [
        (
            "m1",
            "matched",
            json!({}),
            "acts matched goes to `ledger`\nmisses missed does not hold: `$.data.label` is \"Warp\" (nothing is there), does not hold: `$.data.n` is at least 10 (nothing is there)",
        ),
        (
            "m2",
            "missed",
            json!({"label": "Warp", "n": 3}),
            "misses missed does not hold: `$.data.n` is at least 10 (3 is 7 short)",
        ),
        (
            "m3",
            "missed",
            json!({"label": "Ninja", "n": 3}),
            "misses missed does not hold: `$.data.label` is \"Warp\" (\"Ninja\"), does not hold: `$.data.n` is at least 10 (3 is 7 short)",
        ),
        (
            "f1",
            "failed",
            json!({"n": [1, 2]}),
            "fails failed unreadable: `$.data.n` is at least 10 (a list: did you mean `[*]`?)\n\
             fails-in-part matched goes to `ledger`; no case: `$.data.absent` selects nothing",
        ),
        ("t1", "throttled", json!({}), "throttled matched goes to `ledger`"),
        ("t2", "throttled", json!({}), "throttled throttled more than 1 within the throttle's window, until 11:00 UTC"),
        (
            "q1",
            "muted.one",
            json!({}),
            "misses missed does not hold: `$.data.label` is \"Warp\" (nothing is there), does not hold: `$.data.n` is at least 10 (nothing is there)\nmuted muted muted until Wed 00:00 UTC by ops: stock-taking",
        ),
        (
            "h1",
            "held",
            json!({}),
            "held held held until 20:00 UTC (hours of `ledger`)\ndropped dropped dropped for `ledger`: outside hours",
        ),
        ("d1", "digest", json!({}), "collects digest in the digest of 12:00 UTC for `ledger`"),
        ("s1", "shadow", json!({}), "shadow shadow in shadow: would go to `ledger`"),
        (
            "o1",
            "opened",
            json!({"key": "K"}),
            "case matched goes to `ledger`; acts 12:00 UTC if the case is still open then",
        ),
        (
            "o2",
            "opened",
            json!({"key": "K"}),
            "case matched accepted, but no action acts on it; `once`: the case was open already",
        ),
        ("c1", "closed", json!({"key": "K"}), "case closed closed case `K`"),
        ("c2", "closed", json!({"key": "K"}), "case closed closes case `K`, which was not open"),
        ("b1", "branch", json!({"n": 1}), "branch matched goes to `ledger`; another action acts"),
        ("b2", "branch", json!({"n": 2}), "branch matched goes to `heads`; does not hold: `$.data.n` is 1 (2)"),
        ("n1", "nobody", json!({}), "missed no rule names the type `nobody`"),
    ] {
        desk.send(id, kind, data).await;
        let got = shown(&desk, id).await;
        if got != expected {
            wrong.push(format!("{id}:\n{got}\ninstead of\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // An opening that was created before the close that came already.
    let created = desk.app.live.clock.now().as_second() - 60;
    desk.send_as(json!({"id": "l1", "type": "opened", "created": created, "data": {"key": "K"}})).await;
    assert_eq!(shown(&desk, "l1").await, "case late late: case `K` was closed by an event of 10:00 UTC");
    desk.app.end().await;
}

#[tokio::test]
async fn what_happens_later_is_reported_at_its_event_too() {
    let desk = Desk::start_with(RULES, BROKEN).await;
    desk.send("o1", "opened", json!({"key": "K"})).await;
    desk.send("h1", "held", json!({})).await;
    desk.send("d1", "digest", json!({})).await;
    assert_eq!(desk.run(&["cases", "ack", "K"]).await.code, 0);
    desk.planned().await;
    let expected = "case matched goes to `ledger`; acts 12:00 UTC if the case is still open then\n\
                    case cancelled ana acknowledged case `K`: no more reminders of it";
    assert_eq!(shown(&desk, "o1").await, expected);
    desk.passes(10);
    let whys = async |id: &str, count: usize| {
        eventually("told", async || {
            let whys = desk.app.json(&format!("/api/v1/events/{id}")).await["rules"].clone();
            (whys.as_array().unwrap().len() == count).then_some(whys)
        })
        .await
    };
    whys("h1", 3).await;
    whys("d1", 2).await;
    let expected = "held held held until 20:00 UTC (hours of `ledger`)\ndropped dropped dropped for `ledger`: outside hours\n\
                    held matched held, and now goes to `ledger`";
    assert_eq!(shown(&desk, "h1").await, expected);
    assert!(
        shown(&desk, "d1")
            .await
            .starts_with("collects digest in the digest of 12:00 UTC for `ledger`\ncollects matched ")
    );
    desk.send("x1", "dies", json!({})).await;
    whys("x1", 2).await;
    assert_eq!(shown(&desk, "x1").await, "dies matched goes to `broken`\ndies fallback goes to fallback `heads`");
    desk.app.end().await;
}

#[tokio::test]
async fn programs_get_the_whole_reasons() {
    let desk = Desk::start_with(RULES, BROKEN).await;
    desk.send("m2", "missed", json!({"label": "Warp", "n": 3})).await;
    let shown = desk.run(&["events", "show", "m2", "--format", "json"]).await.json();
    let row = &shown["rules"][0];
    assert_eq!((&row["rule"], &row["outcome"]), (&"misses".into(), &"missed".into()));
    let tests: Vec<(&Value, &Value)> =
        row["why"]["when"]["all"].as_array().unwrap().iter().map(|test| (&test["path"], &test["held"])).collect();
    let (label, n) = (json!("$.data.label"), json!("$.data.n"));
    assert_eq!(tests, [(&label, &json!("held")), (&n, &json!("missed"))], "{row:#}");
    assert_eq!(row["why"]["when"]["all"][1]["values"], json!([3]));
    desk.app.end().await;
}

#[tokio::test]
async fn an_event_that_waits_for_rules_says_so() {
    let desk = Desk::start("rules:\n  - {name: x, evnts: y}\n").await;
    let body = json!({"id": "w1", "type": "x", "data": {}}).to_string();
    assert_eq!(desk.app.send(&body).await.status, 200);
    let out = desk.run(&["events", "show", "w1"]).await.good();
    assert!(out.contains("it is not planned yet: the planner is busy, or no rules are in force"), "{out}");
    assert!(desk.app.ask("GET", "/events/1").await.text().contains("It is not planned yet"));
    desk.app.end().await;
}
