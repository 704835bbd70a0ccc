//! Escalations over a real end of the process: killed without warning, on a store on disk.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::json;

use crate::support::app::{eventually, json as ask, now_s, page_signature, soon};
use crate::support::folder::{CONFIG, Folder, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::raw::{exchange, post};

/// The submitter gets a message, and another about the silence after some seconds.
fn rules(after_s: u64) -> String {
    format!(
        "rules:
  - name: stuck
    events: release.submitted
    case: $.data.release_id
    closed_by: release.live
    actions:
      - {{name: opened, to: ledger, text: \"opened {{{{ data.release_id }}}}\"}}
      - {{name: insist, to: ledger, after: {after_s}s, text: \"insist {{{{ data.release_id }}}}\"}}
"
    )
}

async fn send(address: SocketAddr, kind: &str, release: &str) {
    let id = format!("evt_{kind}_{release}");
    let body = json!({"id": id, "type": kind, "created": now_s(), "data": {"release_id": release}}).to_string();
    let signature = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
    let answer = exchange(address, &post("/webhooks/jewelmusic", &[signature], body.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Under how many keys this was said: what was under way at a kill comes again under its own.
fn said(peer: &HttpPeer, words: &str) -> usize {
    let keys: BTreeSet<String> = peer
        .requests()
        .iter()
        .filter(|request| request.json()["message"].to_string().contains(words))
        .map(|request| request.header("idempotency-key").unwrap().to_owned())
        .collect();
    keys.len()
}

async fn receives(peer: &HttpPeer, words: &str) {
    eventually(words, async || (said(peer, words) > 0).then_some(())).await;
}

/// Waits until everything is planned and delivered that is due.
async fn until_done(process: &Process) {
    eventually("all is delivered", async || {
        let status = ask(process.admin, "/api/v1/status").await;
        let waiting: u64 =
            ["due", "sending", "retrying"].iter().filter_map(|state| status["deliveries"][state].as_u64()).sum();
        (status["inbox"]["head"] == status["inbox"]["planned"] && waiting == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_that_is_pending_at_a_kill_fires_once_after_the_restart() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules(2));
    let process = Process::start(folder.path()).await;
    send(process.webhooks, "release.submitted", "A").await;
    receives(&peer, "opened A").await;
    assert_eq!(said(&peer, "insist A"), 0, "it is pending when the process is killed");
    process.kill().await;

    // Killed again in the moment in which it is said, and once more with nothing pending.
    let process = Process::start(folder.path()).await;
    receives(&peer, "insist A").await;
    process.kill().await;
    let process = Process::start(folder.path()).await;
    until_done(&process).await;
    process.kill().await;
    let process = Process::start(folder.path()).await;
    send(process.webhooks, "release.submitted", "B").await;
    receives(&peer, "insist B").await;
    until_done(&process).await;
    assert_eq!((said(&peer, "opened A"), said(&peer, "insist A"), said(&peer, "insist B")), (1, 1, 1));
    process.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_whose_case_closes_after_the_restart_does_not_fire() {
    // On a slow machine the close may come too late to be one: then again, with more time.
    for after_s in [4, 8, 16, 32, 64] {
        let peer = HttpPeer::start().await;
        let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules(after_s));
        let process = Process::start(folder.path()).await;
        send(process.webhooks, "release.submitted", "A").await;
        send(process.webhooks, "release.submitted", "B").await;
        soon("both are reported", peer.received(2)).await;
        process.kill().await;
        let process = Process::start(folder.path()).await;
        if said(&peer, "insist") > 0 {
            continue;
        }
        send(process.webhooks, "release.live", "A").await;
        eventually("the close is planned", async || {
            let status = ask(process.admin, "/api/v1/status").await;
            (status["inbox"]["planned"] == 3).then_some(())
        })
        .await;
        if said(&peer, "insist") > 0 {
            continue;
        }
        // The other's comes at the same time, and later by its place.
        receives(&peer, "insist B").await;
        until_done(&process).await;
        assert_eq!((said(&peer, "insist A"), said(&peer, "insist B")), (0, 1));
        process.terminate().await;
        return;
    }
    panic!("this machine takes a minute to start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_whose_close_was_accepted_and_not_planned_before_the_kill_does_not_fire() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules(2));
    let process = Process::start(folder.path()).await;
    send(process.webhooks, "release.submitted", "A").await;
    send(process.webhooks, "release.submitted", "B").await;
    soon("both are reported", peer.received(2)).await;
    process.kill().await;
    let is_early = said(&peer, "insist") == 0;
    assert!(is_early, "both are pending at the kill");

    // With rules that are broken it receives, and plans nothing.
    folder.write("rules/main.yaml", "rules: [");
    let process = Process::start(folder.path()).await;
    send(process.webhooks, "release.live", "A").await;
    eventually("both are overdue", async || {
        let status = ask(process.admin, "/api/v1/status").await;
        assert_eq!(status["inbox"]["planned"], 2, "nothing is planned: {status}");
        let is_overdue = peer.requests().iter().all(|request| {
            let received = request.json()["event"]["received"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            now_s() > received.as_second() + 2
        });
        is_overdue.then_some(())
    })
    .await;
    process.kill().await;

    folder.write("rules/main.yaml", &rules(2));
    let process = Process::start(folder.path()).await;
    receives(&peer, "insist B").await;
    until_done(&process).await;
    assert_eq!((said(&peer, "insist A"), said(&peer, "insist B")), (0, 1));
    process.terminate().await;
}
