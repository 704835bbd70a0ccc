//! `fanfare explain`: the shape that programs read, what comes first, and why a rule doesn't receive an event.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const RULES: &str = "rules:
  - name: far
    events: royalty.*
    when: {$.data.amount: {gte: 1000}, $.data.currency: USD, $.data.a: b}
    actions: {to: t}
  - name: near
    events: royalty.*
    when: {any: [{$.data.amount: {gte: 1000}}, {not: $.data.amount}], $.data.currency: EUR}
    actions: {to: t}
  - name: acts
    events: royalty.*
    when: $.data.amount
    case: $.data.id
    actions:
      - {to: t}
      - {to: [u, v], after: 2h, when: {$.data.currency: USD}}
  - name: can-t-tell
    events: royalty.*
    when: {$.data.list: {gt: 5}}
    actions: {to: t}
  - {name: of-another, events: royalty.*, source: elsewhere, actions: {to: t}}
  - {name: off, events: royalty.*, enabled: false, actions: {to: t}}
  - {name: other-type, events: release.live, actions: {to: t}}
";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("rules/r.yaml"), RULES).unwrap();
    let event = json!({"type": "royalty.paid", "id": "evt_1", "data": {"id": "P1", "amount": 998.5, "currency": "EUR", "list": [1]}});
    fs::write(folder.path().join("event.json"), event.to_string()).unwrap();
    folder
}

fn explained(arguments: &[&str]) -> Value {
    let folder = folder();
    let all = [&["explain", "event.json", "--format", "json"], arguments].concat();
    serde_json::from_str(&said(folder.path(), &all)).unwrap()
}

fn names(document: &Value) -> Vec<&str> {
    document["rules"].as_array().unwrap().iter().map(|rule| rule["rule"].as_str().unwrap()).collect()
}

/// Every leaf has the five, every group its parts and how it came out.
fn check_tree(why: &Value) {
    let keys: BTreeSet<&str> = why.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(["held", "missed", "failed"].contains(&why["held"].as_str().unwrap()), "{why}");
    if let Some(parts) = why.get("all").or(why.get("any")) {
        assert_eq!(keys.len(), 2, "{why}");
        parts.as_array().unwrap().iter().for_each(check_tree);
    } else if let Some(part) = why.get("not") {
        assert_eq!(keys.len(), 2, "{why}");
        check_tree(part);
    } else {
        assert_eq!(keys, BTreeSet::from(["path", "test", "values", "held", "note"]), "{why}");
    }
}

#[test]
fn a_program_reads_the_whole_condition_with_every_value() {
    let document = explained(&[]);
    assert_eq!(document["event"]["type"], "royalty.paid");
    for rule in document["rules"].as_array().unwrap() {
        check_tree(&rule["why"]);
        assert!(rule["matched"].is_boolean() && rule["outcome"].is_string() && rule["actions"].is_array());
    }
    let near = &explained(&["--rule", "near"])["rules"][0];
    let expected = json!({"all": [
        {"any": [
            {"path": "$.data.amount", "test": "is at least 1000", "values": [998.5], "held": "missed", "note": "998.5 is 1.5 short"},
            {"not": {"path": "$.data.amount", "test": "is there", "values": [998.5], "held": "held", "note": null}, "held": "missed"},
        ], "held": "missed"},
        {"path": "$.data.currency", "test": "is \"EUR\"", "values": ["EUR"], "held": "held", "note": null},
    ], "held": "missed"});
    assert_eq!(near["why"].to_string(), expected.to_string());
    let actions = &explained(&["--rule", "acts"])["rules"][0]["actions"];
    assert_eq!((&actions[0]["held"], &actions[1]["held"]), (&json!("held"), &json!("missed")));
    assert_eq!(actions[1]["to"], json!(["u", "v"]));
}

#[test]
fn what_acts_comes_first_then_the_nearest_miss() {
    assert_eq!(names(&explained(&[]))[..4], ["acts", "can-t-tell", "near", "far"]);
    assert_eq!(names(&explained(&["--only", "matched"])), ["acts"]);
    assert!(!names(&explained(&["--only", "missed"])).contains(&"acts"));
}

#[test]
fn a_rule_that_doesn_t_hear_says_why() {
    let why = |rule: &str| {
        let document = explained(&["--rule", rule]);
        let leaf = &document["rules"][0]["why"];
        (leaf["path"].as_str().unwrap().to_owned(), leaf["test"].as_str().unwrap().to_owned(), leaf["values"].clone())
    };
    assert_eq!(why("of-another"), ("$.source".into(), "is \"elsewhere\"".into(), json!(["jewelmusic"])));
    assert_eq!(why("off"), ("enabled".into(), "is true".into(), json!([false])));
    assert_eq!(why("other-type"), ("$.type".into(), "is like release.live".into(), json!(["royalty.paid"])));
    let folder = folder();
    let out = said(folder.path(), &["explain", "event.json"]);
    for line in
        ["for other types: other-type", "for other sources: of-another", "not enabled: off", "998.5 is 1.5 short"]
    {
        assert!(out.contains(line), "no `{line}` in\n{out}");
    }
    assert!(out.contains("failed  can-t-tell") && out.contains("[*]"), "{out}");
    let named = said(folder.path(), &["explain", "event.json", "--rule", "other-type"]);
    assert!(named.contains("✗ $.type is like release.live"), "{named}");
}

#[test]
fn one_of_fanfares_own_events_can_be_explained_before_it_happens() {
    let folder = folder();
    let rules =
        "rules: [{name: trouble, events: 'fanfare.*', when: {$.data.reason: {contains: '404'}}, actions: {to: t}}]";
    fs::write(folder.path().join("rules/own.yaml"), rules).unwrap();
    let out = said(folder.path(), &["explain", "fanfare.delivery.dead", "--rule", "trouble"]);
    assert!(out.contains("matched  trouble"), "{out}");
    for (name, hint) in [
        ("fanfare.delivery.dad", "did you mean `fanfare.delivery.dead`?"),
        ("fraud.action_requird", "did you mean `fraud.action_required`?"),
        ("evt_123", "use `fanfare events show evt_123`"),
    ] {
        let output = fanfare(folder.path(), &["explain", name]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(hint), "{}", text(&output.stderr));
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let folder = folder();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(BINARY)
        .args(["explain", "event.json"])
        .current_dir(folder.path())
        .stdout(Stdio::from(writer))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let talk = text(&output.stderr);
    assert!(output.status.success() && !talk.contains("panicked"), "{talk}");
}

#[test]
fn colour_shows_where_it_is_asked_for_and_nowhere_else() {
    let folder = folder();
    let run = |variable: &str| {
        let mut command = Command::new(BINARY);
        command.args(["explain", "event.json"]).current_dir(folder.path()).env_clear().env(variable, "1");
        text(&command.output().unwrap().stdout)
    };
    assert!(run("CLICOLOR_FORCE").contains("\u{1b}[32m✓"));
    assert!(!run("NO_COLOR").contains('\u{1b}') && !run("TERM").contains('\u{1b}'));
}

#[test]
fn what_check_would_warn_of_is_one_line_and_the_answer_stands_alone() {
    let folder = folder();
    fs::write(folder.path().join("rules/odd.yaml"), "lists: {unused: [a]}\n").unwrap();
    let output = fanfare(folder.path(), &["explain", "event.json"]);
    let talk = text(&output.stderr);
    assert!(talk.lines().count() == 1 && talk.ends_with(": `fanfare check`\n"), "{talk}");
    assert!(text(&output.stdout).starts_with("royalty.paid  evt_1\n\nmatched  acts\n"));
    fs::write(folder.path().join("rules/odd.yaml"), "lists: [a]\n").unwrap();
    let broken = fanfare(folder.path(), &["explain", "event.json"]);
    assert!(broken.status.code() == Some(1) && text(&broken.stderr).contains("error["), "{broken:?}");
}

#[test]
fn the_address_that_a_choice_chose_is_named_and_no_placeholder_is() {
    let folder = folder();
    let config = "sources: {jewelmusic: {preset: jewelmusic, secrets: \"${env:S}\"}, elsewhere: {preset: stripe, secrets: \"${env:S}\"}}
destinations:
  t: {type: slack, token: \"${env:TOKEN}\", channel: {by: $.data.currency, map: {EUR: \"#euro\"}, else: \"#money\"}}
  u: {type: email, smtp: \"${env:SMTP}\", from: a@label.example, to: {by: $.data.label, map: {Warp: w@label.example}, else: all@label.example}}
  v: {type: slack, webhook_url: \"${env:HOOK}\"}
";
    fs::write(folder.path().join("fanfare.yaml"), config).unwrap();
    let out = said(folder.path(), &["explain", "event.json", "--rule", "acts"]);
    assert!(out.contains("to t (#euro, as $.data.currency is EUR)"), "{out}");
    assert!(out.contains("u (all@label.example, as $.data.label selects nothing), v after 2h"), "{out}");
    let document: Value =
        serde_json::from_str(&said(folder.path(), &["explain", "event.json", "--rule", "acts", "--format", "json"]))
            .unwrap();
    assert_eq!(document["rules"][0]["actions"][0]["chosen"], json!({"t": "#euro, as $.data.currency is EUR"}));
    let out = said(folder.path(), &["preview", "acts", "--as", "t", "--event", "event.json"]);
    assert!(out.contains("#euro, as $.data.currency is EUR:"), "{out}");
    let out = said(folder.path(), &["preview", "acts", "--as", "v", "--event", "event.json"]);
    assert!(out.contains("the bytes, for an address from the environment:") && !out.contains("placeholder"), "{out}");
}
