//! What is sent to ourselves, straight or on a way round, ends.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::{App, event, eventually};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};

const SIGNED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A configuration whose destination sends what its own source takes.
fn circle(listen: SocketAddr) -> String {
    CONFIG
        .replace("listen: 127.0.0.1:0\nadmin", &format!("listen: {listen}\nadmin"))
        .replace(
            "destinations:",
            &format!("  mirror: {{preset: standard-webhooks, path: /mirror, secrets: [{SIGNED}]}}\ndestinations:"),
        )
        .replace("url: \"PEER\",", &format!("url: \"PEER\", sign: {{secret: {SIGNED}}},"))
}

/// All deliveries, once none of them waits any more.
async fn settled(app: &App, count: usize) -> Vec<Value> {
    eventually("all deliveries are over", async || {
        let all = app.json("/api/v1/deliveries").await.as_array().unwrap().clone();
        let is_over = |one: &Value| one["state"] == "delivered" || one["state"] == "dead";
        (all.len() >= count && all.iter().all(is_over)).then_some(all)
    })
    .await
}

/// A port that nobody listens at.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_stays_one_where_a_destination_is_our_own_address_by_name() {
    let listen = free().await;
    let url = format!("http://localhost:{}/mirror", listen.port());
    let app = App::start(Folder::new(&circle(listen), &url, EVERYTHING)).await;
    app.send(&event("evt_1", "release.live")).await;
    let all = settled(&app, 1).await;
    let dead: Vec<&Value> = all.iter().filter(|one| one["rule"] == "everything" && one["state"] == "dead").collect();
    assert!(dead.iter().any(|one| one["last_error"].as_str().unwrap().contains("is this Fanfare itself")), "{all:?}");
    let events = app.json("/api/v1/events").await;
    let came = events.as_array().unwrap().iter().filter(|one| one["source"] != "fanfare").count();
    assert_eq!(came, 1, "{events:?}");
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_over_a_proxy_ends_after_three_times() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mirror", proxy.local_addr().unwrap());
    let upstream: Arc<OnceLock<SocketAddr>> = Arc::default();
    let behind = upstream.clone();
    let forwards = tokio::spawn(async move {
        while let Ok((mut one, _)) = proxy.accept().await {
            let mut other = TcpStream::connect(*behind.get().unwrap()).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut one, &mut other).await });
        }
    });
    let app = App::start(Folder::new(&circle(([127, 0, 0, 1], 0).into()), &url, EVERYTHING)).await;
    upstream.set(app.webhooks).unwrap();
    app.send(&event("evt_1", "release.live")).await;
    let all = settled(&app, 4).await;
    let events = app.json("/api/v1/events").await;
    let mirrored = events.as_array().unwrap().iter().filter(|one| one["source"] == "mirror").count();
    assert_eq!(mirrored, 3, "{events:#?}");
    let refused = |one: &&Value| one["last_error"].as_str().is_some_and(|said| said.contains("508 Loop Detected"));
    assert_eq!(all.iter().filter(refused).count(), 1, "{all:#?}");
    app.end().await;
    forwards.abort();
}
