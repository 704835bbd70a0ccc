//! The team's own samples: what they make sure, what stays open without them, and where they come from.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{CONFIG, PARTIAL, codes, folder, loaded, report};
use crate::support::app::App;
use crate::support::folder::{self as live, Folder};
use crate::support::http_peer::HttpPeer;

/// A rule for a type of the team's own, and one for the event that JewelMusic's page shows.
const RULES: &str = "rules:
  - {name: own, events: label.signed, when: {$.data.advance: {gte: 1}}, actions: {to: oncall, message: signed}}
  - {name: live, events: release.live, actions: {to: oncall, message: live}}
";
const SIGNED: &str =
    "---\ntitle: \"{{ data.band }}\"\n---\nSigned by {{ data.who.name }} for {{ data.advance|decimal }}.\n";
/// Every field of the page's event.
const LIVE: &str =
    "---\ntitle: \"{{ data.title }} by {{ data.artist }}, {{ data.release_id }} is {{ data.status }}\"\n---
{% for platform in data.platforms %}{{ platform.name }} {{ platform.status }}\n{% endfor %}
{{ data.metadata.isrc }} {{ data.metadata.upc }} {{ data.metadata.release_date }}\n";

fn with(more: &[(&str, &str)]) -> tempfile::TempDir {
    let files = [
        ("fanfare.yaml", CONFIG),
        ("rules/r.yaml", RULES),
        ("templates/signed.md", SIGNED),
        ("templates/live.md", LIVE),
    ];
    folder(&[&files[..], more].concat())
}

fn fanfare(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("FANFARE_CONFIG")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_type_of_ones_own_starts_and_its_samples_make_the_warnings_exact() {
    // Nothing is known of it: a type that Fanfare doesn't know is all there is to say.
    let unknown = with(&[]);
    let said = loaded(&unknown);
    let without = [&PARTIAL[..], &["unknown-type"]].concat();
    assert_eq!(report(&unknown, &said, &without), "");
    assert!(said.snapshot.unwrap().rules.is_some());

    // A sample has it otherwise: a warning where it stands, and the rules are in force all the same.
    let other = r#"{"type": "label.signed", "data": {"band": "Low Tide", "advanse": 5000, "who": {"nick": "Sam"}}}"#;
    let known = with(&[("samples/tuesday.json", other)]);
    let said = loaded(&known);
    let shown = report(&known, &said, &PARTIAL);
    assert_eq!(said.problems.count().0, 0, "{shown}");
    assert!(said.snapshot.unwrap().rules.is_some());
    assert!(shown.contains("warning[undefined]: `data.who.name` is undefined"), "{shown}");
    assert!(shown.contains("templates/signed.md:4:14"), "{shown}");
    assert!(shown.contains("did you mean `$.data.advanse`?"), "{shown}");

    // It is as the rule reads it: nothing is left to say but that the type is new.
    let right = other.replace("advanse", "advance").replace("nick", "name");
    let exact = with(&[("samples/tuesday.json", &right)]);
    assert_eq!(report(&exact, &loaded(&exact), &without), "");

    // And the commands for authors go by it.
    let (works, text) = fanfare(exact.path(), &["explain", "label.signed"]);
    assert!(works && text.contains("matched  own") && text.contains("5000"), "{text}");
    let (works, text) = fanfare(exact.path(), &["preview", "signed", "--as", "email"]);
    assert!(works && text.contains("Signed by Sam for 5,000."), "{text}");
    let test = "tests:\n  - name: it tells\n    steps:\n      - send: label.signed\n      - expect: [{to: oncall}]\n";
    std::fs::write(exact.path().join("rules/r.test.yaml"), test).unwrap();
    let (works, text) = fanfare(exact.path(), &["test"]);
    assert!(works, "{text}");
    let (_, text) = fanfare(exact.path(), &["send", "--list"]);
    assert!(text.contains("tuesday") && text.contains("yours, `samples/tuesday.json`"), "{text}");
}

#[test]
fn what_the_page_shows_has_no_warning_and_what_no_sample_has_is_no_error() {
    let page = with(&[]);
    assert!(!codes(&loaded(&page)).contains("undefined"));
    let invented = with(&[("templates/live.md", "{{ data.moon_phase }} {{ data.title|nosuch }}\n")]);
    let said = loaded(&invented);
    let shown = report(&invented, &said, &PARTIAL);
    assert!(shown.contains("warning[undefined]: `data.moon_phase` is undefined"), "{shown}");
    assert!(shown.contains("error[unknown-filter]") || shown.contains("error[template"), "{shown}");
    assert_eq!(said.problems.count().0, 1, "{shown}");
}

#[test]
fn a_name_that_nobody_defines_is_an_error_also_where_no_event_is_known() {
    let folder = with(&[("templates/signed.md", "{{ bandd }}\n")]);
    let shown = report(&folder, &loaded(&folder), &PARTIAL);
    assert!(shown.contains("error[undefined]: `bandd` is undefined\n --> templates/signed.md:1:4"), "{shown}");
}

#[test]
fn samples_take_the_place_of_those_that_are_built_in() {
    let live = r#"{"type": "release.live", "data": {"release": {"name": "Salt"}}}"#;
    let folder = with(&[("samples/live.json", live)]);
    let shown = report(&folder, &loaded(&folder), &PARTIAL);
    assert!(shown.contains("`data.title` is undefined"), "{shown}");
    let (works, text) = fanfare(folder.path(), &["explain", "release.live"]);
    assert!(works && !text.contains("Salt on the Window"), "{text}");
    let sdk = folder.path().join("templates/live.md");
    std::fs::write(sdk, "{{ data.release.name }}\n").unwrap();
    assert!(!codes(&loaded(&folder)).contains("undefined"));
}

#[test]
fn a_bad_sample_is_reported_where_it_is_bad_and_stops_nothing() {
    let rows = [
        ("{\"type\": \"a.b\",\n \"data\": {x}}", "samples/s.json:2:11"),
        ("[1]", "samples/s.json:1:1"),
        ("{\"data\": {}}", "samples/s.json:1:1"),
        ("{\"source\": \"jewelmusik\", \"type\": \"a.b\", \"body\": {}}", "did you mean `jewelmusic`?"),
    ];
    for (text, place) in rows {
        let folder = with(&[("samples/s.json", text)]);
        let said = loaded(&folder);
        let shown = report(&folder, &said, &PARTIAL);
        assert!(shown.contains("warning[bad-sample]") && shown.contains(place), "{text}\n{shown}");
        assert!(said.snapshot.unwrap().rules.is_some(), "{shown}");
    }
}

#[tokio::test]
async fn what_came_becomes_samples_that_are_never_written_over_unasked() {
    let peer = HttpPeer::start().await;
    let app = App::start(Folder::new(live::CONFIG, &peer.url("/ledger"), super::past::RULES)).await;
    for (id, data) in [("1", r#"{"sum": 1.50}"#), ("2", r#"{"sum": 2}"#), ("3", r#"{"sum": 3, "note": "x"}"#)] {
        let body = format!(r#"{{"id":"evt_{id}","type":"label.paid","created":1767607200,"data":{data}}}"#);
        assert_eq!(app.send(&body).await.status, 200);
    }
    let folder = app.folder.path().to_owned();
    let server = format!("http://{}", app.admin);
    let export = |more: &'static str| {
        let (folder, server) = (folder.clone(), server.clone());
        tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["events", "export", "--samples", "samples", "--admin", &server];
            arguments.extend(Some(more).filter(|more| !more.is_empty()));
            fanfare(&folder, &arguments)
        })
    };
    let (works, said) = export("").await.unwrap();
    assert!(works && said.contains("2 samples in samples"), "{said}");
    let read = |name: &str| std::fs::read_to_string(folder.join("samples").join(name)).unwrap();
    let newest: Value = serde_json::from_str(&read("label.paid.json")).unwrap();
    assert_eq!((&newest["id"], &newest["data"]["note"]), (&"evt_3".into(), &"x".into()));
    assert!(read("label.paid-2.json").contains("\"sum\": 2\n"), "{}", read("label.paid-2.json"));

    std::fs::write(folder.join("samples/label.paid-2.json"), "mine").unwrap();
    let (works, said) = export("").await.unwrap();
    assert!(!works && said.contains("`samples/label.paid.json` already exists"), "{said}");
    assert_eq!(read("label.paid-2.json"), "mine");
    let (works, said) = export("--force").await.unwrap();
    assert!(works, "{said}");
    assert_ne!(read("label.paid-2.json"), "mine");
    app.end().await;
}
