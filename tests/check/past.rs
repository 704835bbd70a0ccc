//! What a store adds: fields that events really had, and open cases that a change would leave behind.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::app::{App, eventually};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::HttpPeer;

/// A rule with a reminder.
pub const RULES: &str = "rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.case_id
    closed_by: fraud.resolved
    actions:
      - {to: ledger, text: look}
      - {to: ledger, text: still, after: 2h, repeat: 4h, name: again}
";

/// What `check` says of a folder, as a program reads it: code, message and hint of each.
fn check(folder: &Path) -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["check", "--format", "json", "--config"])
        .arg(folder.join("fanfare.yaml"))
        .env_remove("FANFARE_CONFIG")
        .output()
        .unwrap();
    let problems: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |problem: &Value, key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let said =
        |problem: &Value| (text(problem, "code"), format!("{} ({})", text(problem, "message"), text(problem, "hint")));
    problems.as_array().unwrap().iter().map(said).collect()
}

fn of<'s>(said: &'s [(String, String)], code: &str) -> Vec<&'s str> {
    said.iter().filter(|(found, _)| found == code).map(|(_, said)| said.as_str()).collect()
}

/// A server with two open cases, whose events have a field that no sample has.
async fn with_cases(peer: &HttpPeer) -> App {
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), RULES)).await;
    for id in ["C1", "C2"] {
        let body = format!(
            r#"{{"id":"evt_{id}","type":"fraud.action_required","created":1767607200,"data":{{"case_id":"{id}","moon_phase":"full"}}}}"#
        );
        assert_eq!(app.send(&body).await.status, 200);
    }
    eventually("two cases", async || (app.live.store.docs("case", "", 10).await.unwrap().len() == 2).then_some(()))
        .await;
    app
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.join("data")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_rule_that_is_gone_leaves_its_open_cases_behind_and_check_names_them() {
    let peer = HttpPeer::start().await;
    let app = with_cases(&peer).await;
    assert_eq!(of(&check(app.folder.path()), "orphaned-cases"), Vec::<&str>::new());

    // Beside the running server, which doesn't notice.
    let folder = app.folder.path().to_owned();
    let renamed = RULES.replace("name: fraud\n", "name: fraud-cases\n");
    let candidate = tempfile::TempDir::new().unwrap();
    let config = std::fs::read_to_string(folder.join("fanfare.yaml")).unwrap();
    let config = config.replace("sqlite:data", &format!("sqlite:{}/data", folder.display()));
    std::fs::create_dir(candidate.path().join("rules")).unwrap();
    std::fs::write(candidate.path().join("fanfare.yaml"), config).unwrap();
    std::fs::write(candidate.path().join("rules/main.yaml"), &renamed).unwrap();
    let said = check(candidate.path());
    let [told] = of(&said, "orphaned-cases")[..] else { panic!("{said:?}") };
    assert!(told.contains("2 open cases `C1`, `C2` of the removed rule `fraud`"), "{told}");
    assert!(told.contains("`formerly: fraud` in `fraud-cases`"), "{told}");
    assert_eq!(app.json("/readyz").await["ready"], true);

    // Said to be the same rule, it takes its cases over.
    let known = renamed.replace("events:", "formerly: fraud\n    events:");
    std::fs::write(candidate.path().join("rules/main.yaml"), known).unwrap();
    assert_eq!(of(&check(candidate.path()), "orphaned-cases"), Vec::<&str>::new());

    // Only called and worded otherwise, a reminder is the same.
    let reworded = RULES.replace("name: again", "name: more").replace("text: still", "text: yet");
    std::fs::write(candidate.path().join("rules/main.yaml"), &reworded).unwrap();
    assert_eq!(of(&check(candidate.path()), "orphaned-cases"), Vec::<&str>::new());

    // A reminder that waits is gone.
    std::fs::write(candidate.path().join("rules/main.yaml"), reworded.replace("after: 2h", "after: 9h")).unwrap();
    let said = check(candidate.path());
    let [told] = of(&said, "orphaned-cases")[..] else { panic!("{said:?}") };
    assert!(told.contains("waits for a reminder that the rule no longer has"), "{told}");

    // And the same when no server runs: no file is left beside the database.
    let folder = app.end().await;
    let before = files(folder.path());
    std::fs::write(candidate.path().join("rules/main.yaml"), &renamed).unwrap();
    assert_eq!(of(&check(candidate.path()), "orphaned-cases").len(), 1);
    assert_eq!(files(folder.path()), before);
}

#[tokio::test]
async fn a_field_that_an_event_really_had_is_known() {
    let peer = HttpPeer::start().await;
    let app = with_cases(&peer).await;
    let with = |path: &str| RULES.replace("    case:", &format!("    when: {{{path}: full}}\n    case:"));
    app.folder.write("rules/main.yaml", &with("$.data.moon_phase"));
    assert_eq!(of(&check(app.folder.path()), "unknown-path"), Vec::<&str>::new());
    app.folder.write("rules/main.yaml", &with("$.data.moonphase"));
    let said = check(app.folder.path());
    let [told] = of(&said, "unknown-path")[..] else { panic!("{said:?}") };
    assert!(told.contains("neither a sample nor an event seen"), "{told}");
    assert!(told.contains("did you mean `$.data.moon_phase`?"), "{told}");
    app.end().await;
}

#[tokio::test]
async fn a_reload_names_the_open_cases_that_it_leaves_behind_once() {
    let peer = HttpPeer::start().await;
    let app = with_cases(&peer).await;
    app.folder.write("rules/main.yaml", &RULES.replace("name: fraud\n", "name: other\n"));
    let answer = app.ask("POST", "/-/reload").await.json();
    // The watcher may have been quicker: then it has told the log.
    if answer["reloaded"] == true {
        let cases = answer["orphaned_cases"].as_array().unwrap();
        let keys: BTreeSet<&str> = cases.iter().map(|case| case["key"].as_str().unwrap()).collect();
        assert_eq!(keys, BTreeSet::from(["C1", "C2"]), "{answer}");
        assert!(cases.iter().all(|case| case["rule"] == "fraud" && case["actions"] == serde_json::json!([])));
    }
    // They were left behind before: that is no news.
    app.folder.write("rules/more.yaml", "lists: {vip: [A]}\n");
    let answer = app.ask("POST", "/-/reload").await.json();
    assert_eq!(answer["orphaned_cases"].as_array().map_or(0, Vec::len), 0, "{answer}");
    app.end().await;
}

#[test]
fn a_store_that_cant_be_read_is_passed_over_in_silence() {
    let folder = Folder::new(CONFIG, "http://127.0.0.1:9/x", RULES);
    for content in [None, Some(&b"no database at all"[..]), Some(b"")] {
        if let Some(content) = content {
            std::fs::create_dir_all(folder.file("data")).unwrap();
            std::fs::write(folder.file("data/fanfare.db"), content).unwrap();
        }
        let codes: BTreeSet<String> = check(folder.path()).into_iter().map(|(code, _)| code).collect();
        assert!(!codes.contains("orphaned-cases") && !codes.contains("unreadable"), "{codes:?}");
    }
}
