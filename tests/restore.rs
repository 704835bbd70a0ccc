//! Backups, restored step by step as docs/OPERATING.md says: what was due goes out, what came later may come again.

use crate::support::app::{json, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer, Recorded};
use crate::support::load::{send, until_done};
use crate::support::postgres::Server;
use crate::support::process::{Process, command};

/// The events whose messages came, in order, without repeats.
fn events(requests: &[Recorded]) -> Vec<String> {
    let mut found: Vec<String> =
        requests.iter().map(|request| request.json()["message"]["title"].as_str().unwrap().to_owned()).collect();
    found.dedup();
    found
}

/// Runs on a receiver that is down: one event before the backup, one after it.
async fn before_and_after(folder: &Folder, peer: &HttpPeer, back_up: impl FnOnce()) {
    let process = Process::start(folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_done").await.status, 200);
    soon("a message that arrives", peer.received(1)).await;
    until_done(process.admin).await;
    peer.always(Answer::status(503));
    assert_eq!(send(process.webhooks, "evt_due").await.status, 200);
    soon("an attempt that fails", peer.received(2)).await;
    back_up();
    assert_eq!(send(process.webhooks, "evt_later").await.status, 200);
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{log}");
}

/// Starts on what was restored, with a receiver that is up again.
async fn goes_on(folder: &Folder, peer: &HttpPeer) {
    let seen = peer.requests().len();
    peer.always(Answer::status(200));
    let process = Process::start(folder.path()).await;
    soon("what was due", peer.received(seen + 1)).await;
    for (event, answer) in [("evt_done", "duplicate"), ("evt_due", "duplicate"), ("evt_later", "accepted")] {
        assert_eq!(send(process.webhooks, event).await.json()["status"], answer, "{event}");
    }
    soon("the event that was resent", peer.received(seen + 2)).await;
    until_done(process.admin).await;
    assert_eq!(events(&peer.requests()[seen..]), ["evt_due", "evt_later"]);
    assert_eq!(json(process.admin, "/api/v1/deliveries?state=dead").await, serde_json::json!([]));
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_copy_sends_what_was_due_and_accepts_again_what_came_after_it() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    before_and_after(&folder, &peer, || {
        let (code, _, said) = command(folder.path(), &["backup", "copy.db"]);
        assert_eq!(code, 0, "{said}");
    })
    .await;

    std::fs::create_dir(folder.file("aside")).unwrap();
    for ending in ["", "-wal", "-shm"] {
        let name = format!("fanfare.db{ending}");
        let (from, to) = (folder.file(&format!("data/{name}")), folder.file(&format!("aside/{name}")));
        assert!(std::fs::rename(from, to).is_ok() || !ending.is_empty(), "{name}");
    }
    std::fs::rename(folder.file("copy.db"), folder.file("data/fanfare.db")).unwrap();
    goes_on(&folder, &peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_dump_of_postgresql_sends_what_was_due_and_accepts_again_what_came_after_it() {
    let peer = HttpPeer::start().await;
    let server = Server::start("");
    server.sql("CREATE DATABASE live");
    let address = format!("postgres://fanfare@127.0.0.1:{}/live?sslmode=disable", server.port());
    let config = CONFIG.replace("sqlite:data/fanfare.db", &address);
    let folder = Folder::new(&config, &peer.url("/ledger"), EVERYTHING);
    let mut dump = None;
    before_and_after(&folder, &peer, || dump = Some(server.dump("live"))).await;
    server.sql("DROP DATABASE live");
    server.sql("CREATE DATABASE live");
    server.restore(&dump.unwrap(), "live");
    goes_on(&folder, &peer).await;
}
