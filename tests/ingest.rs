//! Through the front door: what is signed is kept before it is answered, and nothing else gets anywhere.

mod hostile;
mod listening;
mod patience;
mod tls;
mod unparsed;

use std::collections::HashSet;

use crate::support::app::{App, event, json, now_s, page_signature, soon, timed_signature};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, OLD_SECRET, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::raw::{exchange, post};

const PATH: &str = "/webhooks/jewelmusic";

fn folder(peer: &HttpPeer) -> Folder {
    Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)
}

#[tokio::test]
async fn every_scheme_with_every_secret_is_accepted_once() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer)).await;
    let mut sent = 0;
    for (which, secret) in [("now", SECRET), ("old", OLD_SECRET)] {
        for name in ["X-JewelMusic-Signature", "JewelMusic-Signature", "x-jewelmusic-signature"] {
            for scheme in ["page", "sdk"] {
                let id = format!("evt_{which}_{name}_{scheme}");
                let body = event(&id, "release.live");
                let signature = match scheme {
                    "page" => page_signature(secret, body.as_bytes()),
                    _ => timed_signature(secret, now_s(), body.as_bytes()),
                };
                let request = post(PATH, &[(name, signature)], body.as_bytes());
                for status in ["accepted", "duplicate", "duplicate"] {
                    let answer = exchange(app.webhooks, &request).await;
                    assert_eq!(answer.status, 200, "{id}: {}", answer.text());
                    assert_eq!(answer.header("content-type"), Some("application/json"));
                    assert_eq!(answer.text(), format!(r#"{{"status":"{status}","event":"{id}"}}"#));
                }
                sent += 1;
            }
        }
    }
    assert_eq!(app.head().await, sent, "duplicates are stored once");
    let requests = soon("all deliveries", peer.received(12)).await;
    let ids: HashSet<_> = requests.iter().map(|request| request.json()["event"]["id"].to_string()).collect();
    assert_eq!(ids.len(), 12);
    app.end().await;
}

#[tokio::test]
async fn an_event_is_on_disk_when_its_answer_comes() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let body = event("evt_durable", "release.live");
    let request = post(PATH, &[("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))], body.as_bytes());
    let process = Process::start(folder.path()).await;
    assert_eq!(exchange(process.webhooks, &request).await.status, 200);
    process.kill().await;

    let process = Process::start(folder.path()).await;
    let events = json(process.admin, "/api/v1/events").await;
    assert_eq!(events[0]["id"], "evt_durable");
    let again = exchange(process.webhooks, &request).await;
    assert_eq!(again.text(), r#"{"status":"duplicate","event":"evt_durable"}"#);
}

#[tokio::test]
async fn of_twenty_at_once_one_is_accepted() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer)).await;
    let body = event("evt_storm", "release.live");
    let request = post(PATH, &[("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))], body.as_bytes());
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (address, request) = (app.webhooks, request.clone());
        answers.spawn(async move { exchange(address, &request).await.json()["status"].as_str().unwrap().to_owned() });
    }
    let answers = answers.join_all().await;
    assert_eq!(answers.iter().filter(|status| *status == "accepted").count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| *status == "duplicate").count(), 19, "{answers:?}");
    soon("the delivery", peer.received(1)).await;
    app.end().await;
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn a_known_id_with_another_body_is_kept_and_not_acted_on() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer)).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.json()["status"], "accepted");
    soon("the delivery", peer.received(1)).await;
    assert_eq!(app.send(&event("evt_1", "release.rejected")).await.json()["status"], "duplicate");
    let seen = app.json("/api/v1/events/evt_1").await;
    assert_eq!(seen["type"], "release.live");
    assert!(seen["conflicts"][0]["raw"].as_str().unwrap().contains("release.rejected"), "{seen}");
    let metrics = app.ask("GET", "/metrics").await.text();
    assert!(metrics.contains(r#"fanfare_events_total{source="jewelmusic",outcome="conflict"} 1"#), "{metrics}");
    app.end().await;
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn any_content_type_will_do() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer)).await;
    let kinds = ["text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "", "a/b/c;;;"];
    for (number, kind) in kinds.into_iter().enumerate() {
        let body = event(&format!("evt_{number}"), "release.live");
        let signature = page_signature(SECRET, body.as_bytes());
        let headers = [("X-JewelMusic-Signature", signature), ("Content-Type", kind.to_owned())];
        let answer = exchange(app.webhooks, &post(PATH, &headers, body.as_bytes())).await;
        assert_eq!(answer.json()["status"], "accepted", "{kind}");
    }
    assert!(app.json("/api/v1/events").await.as_array().unwrap().iter().all(|event| event["type"] == "release.live"));
    app.end().await;
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_path_makes_no_difference() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer)).await;
    let body = event("evt_1", "release.live");
    let headers = [("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))];
    for (path, status) in [("/webhooks/jewelmusic/", "accepted"), (PATH, "duplicate")] {
        let answer = exchange(app.webhooks, &post(path, &headers, body.as_bytes())).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &status.into()), "{path}");
    }
    app.end().await;
}

#[tokio::test]
async fn an_empty_secret_verifies_nothing() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let config = CONFIG.replace("PEER", &peer.url("/ledger")).replace(OLD_SECRET, "\"${env:NOT_SET_ANYWHERE:-}\"");
    folder.write("fanfare.yaml", &config);
    let app = App::start(folder).await;
    let body = event("evt_1", "release.live");
    for signature in [page_signature("", body.as_bytes()), timed_signature("", now_s(), body.as_bytes())] {
        let answer =
            exchange(app.webhooks, &post(PATH, &[("X-JewelMusic-Signature", signature)], body.as_bytes())).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(app.send(&body).await.status, 200, "the other secret still does");
    app.end().await;
}

#[tokio::test]
async fn without_any_secret_it_does_not_start() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let secrets = format!("{SECRET}, {OLD_SECRET}");
    let config = CONFIG.replace("PEER", &peer.url("/ledger")).replace(&secrets, "\"${env:NOT_SET_ANYWHERE:-}\"");
    folder.write("fanfare.yaml", &config);
    let Err(log) = Process::try_start(folder.path(), "info", &[]).await else { panic!("it started") };
    assert!(log.contains("secret") && log.contains("fanfare.yaml"), "{log}");
}

#[tokio::test]
async fn what_cannot_be_committed_is_not_accepted_and_asked_for_again() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let config = CONFIG.replace("PEER", &peer.url("/ledger")).replace("fanfare.db", "fanfare.db?max_mib=1");
    folder.write("fanfare.yaml", &config);
    folder.write("rules/main.yaml", "rules: []\n");
    let app = App::start(folder).await;
    let mut accepted = Vec::new();
    let refused = loop {
        let id = format!("evt_{}", accepted.len());
        let body = format!(r#"{{"id":"{id}","type":"x.y","data":{{"filler":"{}"}}}}"#, "é".repeat(20_000));
        let answer = app.send(&body).await;
        if answer.status != 200 {
            break answer;
        }
        accepted.push(id);
        assert!(accepted.len() < 100, "1 MiB holds no 4 MiB");
    };
    assert_eq!(refused.status, 503);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((30..=90).contains(&seconds), "{seconds}");
    let kept = app.json("/api/v1/events?source=jewelmusic&limit=1000").await;
    let kept: HashSet<_> =
        kept.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kept, accepted.into_iter().collect());
    app.end().await;
}

#[tokio::test]
async fn a_secret_that_was_saved_on_windows_verifies_what_is_signed_with_it() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    let (before, after) = config.split_once("secrets: [").unwrap();
    let after = after.split_once(']').unwrap().1;
    folder.write("fanfare.yaml", &format!("{before}secrets: \"${{file:secret}}\"{after}"));
    folder.write("secret", &format!("\u{feff}{SECRET}\r\n"));
    let app = App::start(folder).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    app.end().await;
}
