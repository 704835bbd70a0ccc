//! The operating system gives no more: file descriptors.

use tokio::net::TcpStream;

use crate::support::app::eventually;
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::HttpPeer;
use crate::support::load::{send, until_done};
use crate::support::process::Process;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_it_refuses_and_recovers() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING);
    let process = Process::start_under("ulimit -n 64", folder.path()).await;
    assert_eq!(send(process.webhooks, "evt_before").await.status, 200);
    // Connections without end, on both listeners, and nobody says a word.
    let mut held = Vec::new();
    for address in [process.webhooks, process.admin] {
        for _ in 0..150 {
            held.extend(TcpStream::connect(address).await);
        }
    }
    for number in 0..5 {
        let answer = send(process.webhooks, &format!("evt_during_{number}")).await;
        assert!(matches!(answer.status, 0 | 200 | 503), "{}: {}", answer.status, answer.text());
    }
    drop(held);
    eventually("it takes events again", async || {
        (send(process.webhooks, "evt_after").await.status == 200).then_some(())
    })
    .await;
    until_done(process.admin).await;
    let told: Vec<String> =
        peer.requests().iter().map(|r| r.json()["event"]["id"].as_str().unwrap().to_owned()).collect();
    assert!(told.contains(&"evt_before".into()) && told.contains(&"evt_after".into()), "{told:?}");
    let (status, log) = process.terminate().await;
    assert!(status.success() && !log.contains("panicked"), "{status}\n{log}");
}
