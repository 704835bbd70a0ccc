//! `fanfare test` as it is run: what it prints and which code it ends with.

use std::process::{Command, Output};

use serde_json::Value;

fn fanfare(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env_remove("FANFARE_CONFIG")
        .output()
        .unwrap()
}

fn house(arguments: &[&str]) -> Output {
    fanfare(&[&["--config", "tests/trial/house/fanfare.yaml", "test"], arguments].concat())
}

/// A folder with one test file that fails in one of two tests.
fn failing() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "tests:\n  - name: a <good> one\n    rules: [live]\n    steps: [{send: {type: a}}]\n  - name: a bad one\n    \
                rules: [live]\n    steps:\n      - send: release.live\n      - expect: [{to: team}]\n";
    std::fs::write(folder.path().join("some.test.yaml"), text).unwrap();
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_exit_code_says_whether_all_pass() {
    let folder = failing();
    let path = folder.path().to_str().unwrap();
    for (arguments, code) in [
        (vec![], 0),
        (vec!["--coverage"], 0),
        (vec!["--filter", "*any order"], 0),
        (vec!["tests/trial/house/rules/everything.test.yaml"], 0),
        (vec![path], 1),
        (vec![path, "--filter", "a <good> one"], 0),
        (vec!["--filter", "any order"], 1),
        (vec!["tests/trial/wrong/steps.yaml"], 1),
        (vec!["no/such/path"], 2),
        (vec!["--filter", "{a"], 2),
        (vec!["--format", "xml"], 2),
    ] {
        let output = house(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_program_reads_what_failed_where() {
    let folder = failing();
    let output = house(&[folder.path().to_str().unwrap(), "--format", "json", "--coverage"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["passed"], &document["failed"]), (&1.into(), &1.into()));
    let failure = &document["tests"][1]["failures"][0];
    assert_eq!(failure["message"], "sent, and not expected");
    assert_eq!(
        (&failure["line"], &failure["sent"]["to"], &failure["expected"]),
        (&9.into(), &"ledger".into(), &Value::Null)
    );
    assert_eq!(document["coverage"]["rules"]["reached"], 1);
}

#[test]
fn a_build_server_reads_junit_whatever_a_test_is_called() {
    let folder = failing();
    let output = house(&[folder.path().to_str().unwrap(), "--format", "junit"]);
    let xml = text(&output.stdout);
    assert!(xml.contains("<testsuites name=\"fanfare\" tests=\"2\" failures=\"1\""), "{xml}");
    assert!(xml.contains("<testcase name=\"a &lt;good&gt; one\""), "{xml}");
    assert!(xml.contains("<failure message=\"sent, and not expected\">"), "{xml}");
}

#[test]
fn check_tells_the_mistakes_of_tests_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    let rules = "rules:\n  - {name: a, events: release.live, actions: {to: team, text: A}}\n";
    std::fs::write(folder.path().join("rules/a.yaml"), rules).unwrap();
    let tests = "tests:\n  - name: b\n    steps: [{send: release.liev}]\n";
    std::fs::write(folder.path().join("rules/a.test.yaml"), tests).unwrap();
    let config = folder.path().join("fanfare.yaml");
    let output = fanfare(&["--config", config.to_str().unwrap(), "check", "--rules-only"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("there is no sample `release.liev`"), "{}", text(&output.stdout));
}

#[test]
fn an_event_of_any_source_can_be_explained_without_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("order.json");
    std::fs::write(&event, r#"{"type": "order.paid", "data": {"number": 17}}"#).unwrap();
    let event = event.to_str().unwrap();
    let house = ["--config", "tests/trial/house/fanfare.yaml", "explain", event];
    for (source, outcome) in [("shop", "matched"), ("jewelmusic", "missed")] {
        let output = fanfare(&[&house[..], &["--source", source, "--rule", "order", "--format", "json"]].concat());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(document["rules"][0]["outcome"], outcome, "{source}: {}", text(&output.stderr));
    }
}
