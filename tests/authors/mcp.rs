//! `fanfare mcp`: what an assistant gets, asked by the client of the protocol's own library.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{RoleClient, RunningService, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::*;

const RULES: &str = "rules:
  - name: fraud
    description: Large cases page.
    events: fraud.action_required
    when: {$.data.streams_flagged: {gte: 1000}}
    actions: [{to: oncall, severity: critical, text: 'Fraud on {{ title }}'}]
  - {name: releases, events: release.*, actions: [{to: team, text: '{{ title }}'}]}
";
const TESTS: &str = "tests:
  - name: a large case pages
    steps: [{send: fraud.action_required}, {expect: [{to: oncall, rule: fraud}]}]
  - name: a release goes nowhere
    steps: [{send: release.live}, {expect: []}]
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("rules/r.yaml"), RULES).unwrap();
    fs::write(folder.path().join("rules/r.test.yaml"), TESTS).unwrap();
    folder
}

fn started(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(BINARY)
        .args([&["mcp"], arguments].concat())
        .current_dir(folder)
        .env_clear()
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// An assistant that is connected, with the process that it speaks to.
async fn assistant(folder: &Path, arguments: &[&str]) -> (Child, RunningService<RoleClient, ()>) {
    let mut child = started(folder, arguments);
    let pipes = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let client = tokio::time::timeout(Duration::from_secs(60), ().serve(pipes)).await.unwrap().unwrap();
    (child, client)
}

async fn ask(client: &RunningService<RoleClient, ()>, tool: &'static str, arguments: Value) -> (bool, String) {
    let Value::Object(arguments) = arguments else { panic!("an object") };
    let call = client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments));
    let CallToolResult { content, is_error, .. } =
        tokio::time::timeout(Duration::from_secs(120), call).await.unwrap().unwrap();
    let texts: Vec<String> = content.iter().map(|block| block.as_text().unwrap().text.clone()).collect();
    (is_error == Some(true), texts.concat())
}

#[tokio::test]
async fn an_assistant_sees_five_tools_that_only_read() {
    let folder = folder();
    let (_child, client) = assistant(folder.path(), &[]).await;
    assert!(client.peer_info().unwrap().instructions.as_ref().unwrap().contains("change nothing"));
    let tools = client.list_all_tools().await.unwrap();
    let names: BTreeSet<&str> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, BTreeSet::from(["backtest", "check", "explain", "preview", "test"]));
    for tool in &tools {
        assert_eq!(tool.annotations.as_ref().unwrap().read_only_hint, Some(true), "{}", tool.name);
        let properties = tool.input_schema["properties"].as_object().unwrap();
        assert!(properties.values().all(|one| !one["description"].as_str().unwrap().is_empty()), "{properties:?}");
    }
    let explain = tools.iter().find(|tool| tool.name == "explain").unwrap();
    let properties = &explain.input_schema["properties"];
    assert_eq!(properties["only"]["enum"], json!(["matched", "missed"]));
    assert_eq!(properties["plain"]["type"], "boolean");
    assert!(properties.get("against").is_none(), "it names a file: {properties}");
}

#[tokio::test]
async fn an_assistant_learns_who_is_notified_if_something_happens() {
    let folder = folder();
    let (mut child, client) = assistant(folder.path(), &[]).await;
    let (wrong, answer) = ask(&client, "explain", json!({"event": "fraud.action_required"})).await;
    assert!(!wrong && answer.contains("matched  fraud\n") && answer.contains("✓ to oncall"), "{answer}");
    // An event that nobody sent yet, as the object that it is.
    let small = json!({"type": "fraud.action_required", "data": {"streams_flagged": 12}});
    let (wrong, answer) = ask(&client, "explain", json!({"event": small, "only": "missed", "rule": "fraud"})).await;
    assert!(!wrong && answer.contains("✗ $.data.streams_flagged is at least 1000  → 12"), "{answer}");
    let (wrong, answer) = ask(&client, "explain", json!({"plain": true})).await;
    assert!(!wrong && answer.contains("it sends the text `Fraud on {{ title }}` to `oncall` as critical"), "{answer}");
    let (wrong, answer) = ask(&client, "preview", json!({"name": "fraud", "as": "slack"})).await;
    assert!(!wrong && answer.contains("Fraud on "), "{answer}");
    let (wrong, answer) = ask(&client, "check", json!({})).await;
    assert!(!wrong && answer.contains("1 rules file"), "{answer}");
    // What a command finds wrong is an answer, too.
    let (wrong, answer) = ask(&client, "test", json!({"filter": "*nowhere"})).await;
    assert!(!wrong && answer.contains("sent, and not expected"), "{answer}");
    // Files are read as they are now.
    fs::write(folder.path().join("rules/r.yaml"), RULES.replace("oncall", "night-shift")).unwrap();
    let (_, answer) = ask(&client, "explain", json!({"event": "fraud.action_required"})).await;
    assert!(answer.contains("✓ to night-shift"), "{answer}");

    client.cancel().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn an_assistant_can_neither_read_files_nor_slip_in_a_flag() {
    let folder = folder();
    fs::write(folder.path().join("secret.json"), r#"{"type": "x", "token": "t0ps3cret"}"#).unwrap();
    let (_child, client) = assistant(folder.path(), &[]).await;
    for event in ["secret.json", "-", "./secret.json", "/etc/passwd"] {
        let (wrong, answer) = ask(&client, "explain", json!({"event": event, "body": true})).await;
        assert!(wrong && answer.contains("not a file") && !answer.contains("t0ps3cret"), "{event}: {answer}");
    }
    for (tool, arguments, says) in [
        ("explain", json!({"event": "--against=secret.json"}), "neither a file nor a sample"),
        ("explain", json!({"evnt": "release.live"}), "did you mean `event`?"),
        ("preview", json!({"name": "fraud"}), "`as` is missing"),
        ("preview", json!({"name": "fraud", "as": "slack", "out": "x.html"}), "no argument `out`"),
        ("preview", json!({"name": "fraud", "as": ["slack"]}), "`as` takes a text"),
        ("explain", json!({"plain": true, "rule": "frauds"}), "did you mean `fraud`?"),
        ("test", json!({"filter": "{"}), "--filter"),
    ] {
        let (wrong, answer) = ask(&client, tool, arguments.clone()).await;
        assert!(wrong && answer.contains(says), "{tool} {arguments}: {answer}");
    }
    let unknown = client.call_tool(CallToolRequestParams::new("serve")).await;
    assert!(unknown.unwrap_err().to_string().contains("no tool `serve`"));
}

#[tokio::test]
async fn a_backtest_plays_the_export_that_the_person_named() {
    let folder = folder();
    let raw = json!({"type": "release.live", "id": "evt_1", "data": {"title": "Lanterns"}}).to_string();
    let at = "2026-01-05T10:00:00Z";
    let event = json!({"id": "evt_1", "seq": 1, "source": "jewelmusic", "type": "release.live", "created": at, "received": at, "proof": "", "raw": raw});
    fs::write(folder.path().join("events.jsonl"), format!("{event}\n")).unwrap();
    let (_child, client) = assistant(folder.path(), &["--events", "events.jsonl"]).await;
    let (wrong, answer) = ask(&client, "backtest", json!({"rule": ["releases"], "show": 5})).await;
    assert!(!wrong && answer.contains("Lanterns"), "{answer}");
}

#[tokio::test]
async fn nothing_but_the_protocol_stands_on_standard_output() {
    let folder = folder();
    let mut child = started(folder.path(), &[]);
    let mut to = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The ids of JSON-RPC are numbers or texts.
    for (id, method, params) in [
        (
            json!(1),
            "initialize",
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}),
        ),
        (json!("two"), "tools/call", json!({"name": "check", "arguments": {}, "_meta": {"progressToken": 7}})),
    ] {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        to.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap().unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
        if method == "initialize" {
            to.write_all(b"{\"jsonrpc\": \"2.0\", \"method\": \"notifications/initialized\"}\n").await.unwrap();
        }
    }
    drop(to);
    let rest = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap();
    assert_eq!(rest, None);
}
