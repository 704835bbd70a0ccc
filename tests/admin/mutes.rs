//! Mutes: asking for silence, what is refused, what is silent, ending it; by API, page and command line.

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::app::eventually;

const RULES: &str = r#"
mutes:
  - {reason: stock-taking, by: ops, destination: heads, until: 2026-01-07}
  - {reason: carnival, by: ops, events: "x.*", from: 2026-02-16, until: 2026-02-18}
rules:
  - {name: fraud, events: "fraud.*", actions: {to: ledger, text: "{{ event.id }}"}}
  - {name: live, events: release.live, actions: [{to: ledger, text: "{{ event.id }}"}, {to: heads, text: "{{ event.id }}"}]}
  - {name: ended, events: fanfare.mute.ended, actions: {to: ledger, text: "{{ data.reason }}: {{ data.muted }}"}}
"#;

/// Asks for a mute with these parts beside a name, a reason and a time.
async fn mute(desk: &Desk, parts: Value) -> Value {
    let answer = desk.app.send_json("POST", "/api/v1/mutes", &whole(parts)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    desk.planned().await;
    answer.json()
}

fn whole(parts: Value) -> Value {
    let mut whole = json!({"by": "ana", "reason": "takedown", "for": "2h"});
    for (key, value) in parts.as_object().unwrap() {
        whole[key] = value.clone();
    }
    whole
}

/// Where an event's message went.
async fn heard(desk: &Desk, id: &str, kind: &str, data: Value) -> Vec<String> {
    desk.send(id, kind, data).await;
    let mut to = desk.each(&format!("/api/v1/deliveries?event={id}"), "destination").await;
    to.sort();
    to
}

#[tokio::test]
async fn what_is_muted_is_silent_until_its_time_is_over() {
    let desk = Desk::start(RULES).await;
    let made = mute(&desk, json!({"rule": "fraud"})).await;
    assert_eq!(made["until"], "2026-01-05T12:00:00Z");
    let note = "muted: rule `fraud` until 2026-01-05 12:00 UTC, by ana: takedown";
    assert_eq!((&made["note"], &made["state"]), (&note.into(), &"active".into()));
    assert!(heard(&desk, "evt_1", "fraud.opened", json!({})).await.is_empty());
    assert!(desk.peer.requests().is_empty());
    let why = &desk.app.json("/api/v1/events/evt_1").await["rules"][0];
    assert_eq!((&why["outcome"], &why["note"]), (&"muted".into(), &"muted until 12:00 UTC by ana: takedown".into()));
    let listed = desk.app.json("/api/v1/mutes").await;
    assert_eq!(
        (&listed[0]["id"], &listed[0]["muted"], &listed[0]["rules"]),
        (&made["id"], &1.into(), &json!({"fraud": 1}))
    );
    desk.passes(2);
    eventually("its end is reported", async || {
        let told = desk.app.json("/api/v1/deliveries?rule=ended").await;
        (told.as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    assert_eq!(heard(&desk, "evt_2", "fraud.opened", json!({})).await, ["ledger"]);
    assert_eq!(desk.each("/api/v1/mutes", "reason").await, ["stock-taking", "carnival"]);
    desk.app.end().await;
}

#[tokio::test]
async fn each_part_narrows_a_mute() {
    let desk = Desk::start(RULES).await;
    desk.run(&["mute", "end", &desk.each("/api/v1/mutes", "id").await[0]]).await.good_with("it still stands in");
    desk.planned().await;
    for (n, (parts, kind, data, to)) in [
        (json!({"destination": "heads"}), "release.live", json!({}), vec!["ledger"]),
        (json!({"events": "release.*"}), "release.live", json!({}), vec![]),
        (json!({"events": ["track.*", "!track.live"]}), "release.live", json!({}), vec!["heads", "ledger"]),
        (json!({"when": "$.data.label: Warp"}), "release.live", json!({"label": "Warp"}), vec![]),
        (json!({"when": "$.data.label: Warp"}), "release.live", json!({"label": "Ninja"}), vec!["heads", "ledger"]),
        (json!({"when": {"$.data.n": {"gte": 3}}}), "release.live", json!({"n": 4}), vec![]),
        (
            json!({"when": "any:\n  - $.data.n: {gte: 9}\n  - $.data.m: [1, 2]"}),
            "release.live",
            json!({"m": 2}),
            vec![],
        ),
        (json!({"rule": "live", "destination": "ledger"}), "release.live", json!({}), vec!["heads"]),
        (json!({"rule": "live", "from": "2026-01-05T11:00:00Z"}), "release.live", json!({}), vec!["heads", "ledger"]),
    ]
    .into_iter()
    .enumerate()
    {
        let made = mute(&desk, parts.clone()).await;
        assert_eq!(heard(&desk, &format!("evt_{n}"), kind, data).await, to, "{parts}");
        let id = made["id"].as_str().unwrap();
        assert_eq!(desk.app.ask("POST", &format!("/api/v1/mutes/{id}/end?by=ben")).await.status, 200);
        desk.planned().await;
    }
    desk.app.end().await;
}

#[tokio::test]
async fn a_mute_with_a_mistake_is_refused_with_its_place_and_the_way_out() {
    let desk = Desk::start(RULES).await;
    for (parts, said) in [
        (json!({"rule": "fruad"}), &["there is no rule `fruad`", "did you mean `fraud`?", "mute:3:7"][..]),
        (json!({"destination": "ledgre"}), &["there is no destination `ledgre`", "did you mean `ledger`?"]),
        (
            json!({"when": "$.data.label: {equals: Warp}"}),
            &["there is no operator `equals`", "did you mean `eq`?", "$.data.label: {equals: Warp}"],
        ),
        (json!({"when": "$.data[: 1"}), &["$.data["]),
        (json!({"when": "  "}), &["when"]),
        (json!({"when": "$.data.a: 1\nrule: live"}), &["`rule`"]),
        (json!({"events": "{a"}), &["{a"]),
        (json!({"evnts": "a.*", "rule": "live"}), &["a mute has no key `evnts`", "did you mean `events`?"]),
        (json!({}), &["this mute would silence everything", "`events: \"*\"` if all is meant"]),
        (
            json!({"rule": "live", "for": null, "until": "2026-01-05T09:00:00Z"}),
            &["would be over already: it ends 2026-01-05 09:00 UTC"],
        ),
        (json!({"rule": "live", "for": null, "until": "tomorrow"}), &["tomorrow", "2026-12-24T18:00:00Z"]),
        (json!({"rule": "live", "for": "2 hours"}), &["`for` is a time span, such as `30m`"]),
        (json!({"rule": "live", "for": "0s"}), &["`for` is a time span"]),
        (json!({"rule": "live", "for": 2}), &["`for` is a time span"]),
        (json!({"rule": "live", "until": "2026-01-09"}), &["`for` and `until` say the same"]),
        (json!({"rule": "live", "for": null}), &["say for how long"]),
        (json!({"rule": "live", "from": "2026-01-06", "for": "1h"}), &["this mute ends before it begins"]),
        (json!({"rule": "live", "by": " "}), &["say who asks: `by`"]),
        (json!({"rule": "live", "by": "a\nb"}), &["`by` is not a name"]),
        (json!({"rule": "live", "reason": null}), &["say why: `reason`"]),
        (json!({"rule": "live", "reason": "x".repeat(501)}), &["`reason` is one line"]),
        (json!({"rule": ["live"]}), &["rule"]),
    ] {
        let answer = desk.app.send_json("POST", "/api/v1/mutes", &whole(parts.clone())).await;
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 400, "{parts}: {}", answer.text());
        for said in said {
            assert!(detail.contains(said), "{parts}: `{said}` is not in:\n{detail}");
        }
    }
    for body in ["", "[]", "{", "null"] {
        let request = format!(
            "POST /api/v1/mutes HTTP/1.1\r\nHost: {}\r\nFanfare-Request: 1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            desk.app.admin,
            body.len()
        );
        assert_eq!(crate::support::raw::exchange(desk.app.admin, request.as_bytes()).await.status, 400, "{body}");
    }
    assert_eq!(desk.app.head().await, 0, "nothing was asked of the planner");
    desk.app.end().await;
}

#[tokio::test]
async fn a_mute_ends_at_the_next_time_that_somebody_means_by_a_day_and_an_hour() {
    // A Monday, at eleven.
    let desk = Desk::start_in("Europe/Berlin", RULES).await;
    for (said, until) in [
        ("18:00", "2026-01-05 18:00 CET"),
        ("11:00", "2026-01-06 11:00 CET"),
        ("9:30", "2026-01-06 09:30 CET"),
        ("friday 09:00", "2026-01-09 09:00 CET"),
        ("Fri 09:00", "2026-01-09 09:00 CET"),
        ("mon 10:00", "2026-01-12 10:00 CET"),
        ("monday 12:00", "2026-01-05 12:00 CET"),
        ("tomorrow 09:00", "2026-01-06 09:00 CET"),
        ("2026-03-29 09:00", "2026-03-29 09:00 CEST"),
    ] {
        let told = desk.run(&["mute", "add", "--rule", "live", "--reason", "moving", "--until", said]).await.good();
        assert!(told.contains(&format!("until {until}, by")), "{said}: {told}");
    }
    for said in ["friday", "25:00", "noon", "fr 09:00", "someday 09:00", "18"] {
        let refused = desk.run(&["mute", "add", "--rule", "live", "--reason", "moving", "--until", said]).await;
        assert_eq!(refused.code, 1, "{said}");
        assert!(
            refused.err.contains("is not a time") && refused.err.contains("2026-12-24 18:00"),
            "{said}: {}",
            refused.err
        );
    }
    desk.run(&["mute", "list"]).await.good_with("2026-01-09 09:00:00 CET");
    desk.app.end().await;
}

#[tokio::test]
async fn mutes_of_files_are_listed_with_their_place_and_can_be_ended() {
    let desk = Desk::start(RULES).await;
    let list = desk.app.json("/api/v1/mutes").await;
    assert_eq!(
        (&list[0]["reason"], &list[0]["state"], &list[0]["in_file"]),
        (&"stock-taking".into(), &"active".into(), &true.into())
    );
    assert_eq!((&list[1]["reason"], &list[1]["state"]), (&"carnival".into(), &"planned".into()));
    let place = list[0]["place"].as_str().unwrap();
    assert!(place.ends_with("rules/main.yaml:3:5"), "{place}");
    assert_eq!(heard(&desk, "evt_1", "release.live", json!({})).await, ["ledger"]);
    let id = list[0]["id"].as_str().unwrap();
    let answer = desk.app.ask("POST", &format!("/api/v1/mutes/{id}/end?by=ben")).await.json();
    let note = format!(
        "ben ends mute `{id}`; 1 message was muted, and is not sent later; it still stands in {place}: take it out there"
    );
    assert_eq!(answer["note"], note);
    desk.planned().await;
    assert_eq!(heard(&desk, "evt_2", "release.live", json!({})).await, ["heads", "ledger"]);
    assert_eq!(desk.app.json("/api/v1/mutes").await[0]["state"], "over");
    let again = desk.app.ask("POST", &format!("/api/v1/mutes/{id}/end?by=ben")).await;
    assert_eq!(again.status, 404, "{}", again.text());
    desk.app.end().await;
}

#[tokio::test]
async fn the_command_line_mutes_lists_and_ends() {
    let desk = Desk::start("rules:\n  - {name: fraud, events: \"fraud.*\", actions: {to: ledger, text: hi}}\n").await;
    assert_eq!(desk.run(&["mute", "list"]).await.good(), "nothing is muted\n");
    let added = desk
        .run(&["mute", "add", "--rule", "fraud", "--when", "$.data.n: {gte: 3}", "--for", "2h", "--reason", "takedown"])
        .await
        .good();
    let (id, note) = added.split_once("  ").unwrap();
    assert_eq!(
        note,
        "muted: rule `fraud`, events that its condition accepts until 2026-01-05 12:00 UTC, by ana: takedown\n"
    );
    desk.planned().await;
    let expected = format!(
        "\
state   what                                     until                    by   reason    held back  id                     file
active  rule fraud, when {{\"$.data.n\":{{\"gte\":3}}}}  2026-01-05 12:00:00 UTC  ana  takedown  0          {id}
"
    );
    let listed = desk.run(&["mute", "list"]).await.good();
    assert_eq!(listed, expected, "{listed}");
    assert_eq!(desk.run(&["mute", "list", "--format", "json"]).await.json()[0]["when"], r#"{"$.data.n":{"gte":3}}"#);
    let wrong = desk.run(&["mute", "add", "--rule", "fruad", "--for", "2h", "--reason", "x"]).await;
    let expected = "\
error[unknown-rule]: there is no rule `fruad`
 --> mute:1:7
  |
1 | rule: \"fruad\"
  |       ^^^^^^^ did you mean `fraud`?
";
    assert_eq!((wrong.code, wrong.out.as_str(), wrong.err.as_str()), (1, "", expected), "{}", wrong.err);
    let both =
        desk.run(&["mute", "add", "--rule", "fraud", "--for", "2h", "--until", "2026-02-01", "--reason", "x"]).await;
    assert_eq!(both.code, 2, "{both:?}");
    let near = desk.run(&["mute", "end", &format!("x{id}")]).await;
    assert_eq!(near.err, format!("error: there is no mute `x{id}`; did you mean `{id}`? (404 Not Found)\n"));
    let ended = desk.run(&["mute", "end", &id[..9], "--by", "ben"]).await.good();
    assert_eq!(ended, format!("ben ends mute `{id}`; 0 messages were muted, and are not sent later\n"));
    desk.planned().await;
    assert_eq!(desk.run(&["mute", "list"]).await.good(), "nothing is muted\n");
    desk.app.end().await;
}

#[tokio::test]
async fn the_page_shows_what_is_muted_and_ends_it() {
    let desk = Desk::start(RULES).await;
    let made = mute(&desk, json!({"rule": "fraud", "reason": "<i>takedown</i>"})).await;
    let home = desk.app.ask("GET", "/").await.text();
    assert!(
        home.contains("Muted now") && home.contains("&lt;i&gt;takedown") && home.contains("stock-taking"),
        "{home}"
    );
    assert!(!home.contains("carnival"), "what is planned is silent later");
    let page = desk.app.ask("GET", "/mutes").await.text();
    assert!(page.contains("carnival") && !page.contains("<i>"), "{page}");
    let path = format!("/mutes/{}/end", made["id"].as_str().unwrap());
    assert!(page.replace("&#x2f;", "/").contains(&format!("formaction=\"{path}\"")), "{page}");
    assert_eq!(desk.submit(&path, "by=").await.status, 400);
    let ended = desk.submit(&path, "by=ben").await;
    assert_eq!((ended.status, ended.header("location")), (303, Some("/mutes?asked=end")));
    desk.planned().await;
    let home = desk.app.ask("GET", "/").await.text();
    assert!(!home.contains("data-label=\"why\">&lt;i&gt;takedown"), "{home}");
    desk.app.end().await;
}
