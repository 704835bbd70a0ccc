//! `fanfare explain --plain`: rules in sentences, for reviewers who don't read YAML.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::*;

/// A rule with everything that no shipped rule and no recipe says.
const RARE: &str = include_str!("plain/rare.yaml");

/// The files of a folder of rules.
fn folder(rules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("rules")).unwrap();
    fs::create_dir_all(folder.path().join("templates")).unwrap();
    fs::write(folder.path().join("templates/page.md"), "---\ntitle: Page\n---\n{{ event.type }}\n").unwrap();
    fs::write(folder.path().join("rules/r.yaml"), rules).unwrap();
    folder
}

fn golden(name: &str, is: &str) {
    let path = Path::new("tests/authors/plain").join(name);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&path, is).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), is, "{}: `UPDATE=1` accepts it", path.display());
}

#[test]
fn every_shipped_rule_and_recipe_reads_as_sentences() {
    golden("shipped.txt", &said(Path::new("."), &["explain", "--plain"]));
    golden("cookbook.txt", &said(Path::new("docs/cookbook"), &["explain", "--plain"]));
}

#[test]
fn whatever_a_rule_may_say_has_its_words() {
    let folder = folder(RARE);
    golden("rare.txt", &said(folder.path(), &["explain", "--plain"]));
    let one = said(folder.path(), &["explain", "--plain", "--rule", "nobody"]);
    assert!(one.starts_with("nobody\n") && !one.contains("everything"), "{one}");
    let unknown = fanfare(folder.path(), &["explain", "--plain", "--rule", "nobdy"]);
    assert!(text(&unknown.stderr).contains("did you mean `nobody`?"), "{}", text(&unknown.stderr));
}

#[test]
fn a_program_gets_the_sentences_with_what_stands_below_them() {
    let folder = folder(RARE);
    let rules: Value = serde_json::from_str(&said(folder.path(), &["explain", "--plain", "--format", "json"])).unwrap();
    let everything = &rules[0];
    assert_eq!(everything["rule"], "everything");
    let sentences = everything["sentences"].as_array().unwrap();
    let page = sentences.iter().find(|one| one["text"].as_str().unwrap().contains("`oncall`")).unwrap();
    assert_eq!(
        page["parts"][1]["text"],
        "At most 3 messages in 1 hour for each `release`. The rest comes as one message at the end."
    );
}

#[test]
fn a_reviewer_sees_what_the_change_makes_a_rule_say() {
    let before = folder(
        "rules:
  - {name: live, events: release.live, actions: [{to: team, text: live}, {to: heads, text: live}]}
  - {name: same, events: release.live, actions: [{to: team, text: same}]}
  - {name: gone, events: release.live, actions: [{to: team, text: gone}]}
",
    );
    let after = folder(
        "rules:
  - {name: live, events: release.live, when: {$.data.label: Warp}, actions: [{to: team, text: live}, {to: heads, text: live, severity: warning}]}
  - {name: same, description: Only this., events: release.live, actions: [{to: team, text: same}]}
  - {name: 'new ```', events: release.live, actions: [{to: team, text: 'a ``` b'}]}
",
    );
    let config = before.path().join("fanfare.yaml");
    let said = said(after.path(), &["explain", "--plain", "--against", config.to_str().unwrap()]);
    golden("change.txt", &said);
}
