//! Slow and many: whoever keeps a connection without saying anything loses it, and nobody else does.

use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::RealClock;
use fanfare::steps::Bounds;

use super::{PATH, folder};
use crate::support::app::{App, event, page_signature};
use crate::support::folder::SECRET;
use crate::support::http_peer::HttpPeer;
use crate::support::raw::{Connection, exchange, post};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

async fn app(bounds: Bounds) -> App {
    let peer = HttpPeer::start().await;
    App::start_with(folder(&peer), bounds, Arc::new(RealClock)).await
}

fn request() -> Vec<u8> {
    let body = event("evt_1", "release.live");
    post(PATH, &[("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))], body.as_bytes())
}

#[tokio::test]
async fn headers_that_do_not_end_lose_the_connection() {
    let app = app(Bounds { headers: SHORT, ..Bounds::default() }).await;
    for start in ["", "P", "POST /webhooks/jewelmusic HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let mut connection = Connection::open(app.webhooks).await;
        connection.send(start.as_bytes()).await;
        assert!(connection.is_closed(LONG).await, "{start:?}");
    }
    app.end().await;
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_keep_a_connection() {
    let app = app(Bounds { headers: SHORT, ..Bounds::default() }).await;
    let mut connection = Connection::open(app.webhooks).await;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut sent = 0;
    while connection.send(b"P").await {
        ticks.tick().await;
        sent += 1;
        assert!(sent < 1_000, "20 s of single bytes");
    }
    app.end().await;
}

#[tokio::test]
async fn a_connection_that_waits_for_another_request_is_closed() {
    let app = app(Bounds { headers: SHORT, ..Bounds::default() }).await;
    let mut connection = Connection::open(app.webhooks).await;
    connection.send(&request()).await;
    assert_eq!(connection.answer().await.status, 200);
    assert!(connection.is_closed(LONG).await);
    app.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_408() {
    let app = app(Bounds { body: SHORT, ..Bounds::default() }).await;
    let whole = request();
    for missing in [1, 50] {
        let mut connection = Connection::open(app.webhooks).await;
        connection.send(&whole[..whole.len() - missing]).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 408, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let mut connection = Connection::open(app.webhooks).await;
    connection
        .send(b"POST /webhooks/jewelmusic HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        .await;
    assert_eq!(connection.answer().await.status, 408);
    assert_eq!(app.head().await, 0);
    app.end().await;
}

#[tokio::test]
async fn a_flood_of_connections_shuts_out_neither_probes_nor_for_long_senders() {
    let app = app(Bounds { headers: SHORT, connections: 8, ..Bounds::default() }).await;
    let mut flood = Vec::new();
    for _ in 0..8 {
        let mut connection = Connection::open(app.webhooks).await;
        connection.send(b"POST ").await;
        flood.push(connection);
    }
    let mut further = Connection::open(app.webhooks).await;
    further.send(&request()).await;
    assert_eq!(further.answer().await.status, 0, "one more is closed at once");
    assert_eq!(app.ask("GET", "/readyz").await.status, 200);
    for connection in &mut flood {
        assert!(connection.is_closed(LONG).await);
    }
    assert_eq!(exchange(app.webhooks, &request()).await.status, 200);
    app.end().await;
}
