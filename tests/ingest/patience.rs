//! Slow and many: anyone who keeps a connection without saying anything loses it, and nobody else does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::RealClock;
use fanfare::steps::Bounds;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::{PATH, folder};
use crate::support::app::{App, event, eventually, page_signature};
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

/// Listeners that wait forever, so that anyone who gets in gets in at another's cost.
fn endless() -> Bounds {
    let hour = Duration::from_secs(3600);
    Bounds { headers: hour, body: hour, answer: hour, connections: 32, admin_connections: 16, ..Bounds::default() }
}

async fn served(app: &App) {
    assert_eq!(exchange(app.webhooks, &request()).await.status, 200);
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(app.ask("GET", probe).await.status, 200, "{probe}");
    }
}

#[tokio::test]
async fn a_flood_of_idle_connections_shuts_out_neither_probes_nor_senders() {
    let app = app(endless()).await;
    let mut flood = Vec::new();
    for address in [app.webhooks, app.admin] {
        for said in ["", "POST "].repeat(100) {
            let mut connection = Connection::open(address).await;
            connection.send(said.as_bytes()).await;
            flood.push(connection);
        }
    }
    served(&app).await;
    assert!(flood[0].is_closed(LONG).await, "the one that has waited longest has lost its place");
    drop(flood);
    app.end().await;
}

/// Lets this process open this many files and sockets: of each connection of a flood it has both ends.
fn may_open(files: u32) {
    let (process, limit) = (std::process::id().to_string(), format!("--nofile={files}:"));
    let _ = std::process::Command::new("prlimit").args(["--pid", &process, &limit]).status();
}

#[tokio::test]
async fn two_thousand_idle_connections_and_130_half_sent_logins_keep_out_neither_a_sender_nor_a_probe() {
    may_open(8192);
    let hour = Duration::from_secs(3600);
    // As many places as a server has that nobody configured; only nobody loses one for being slow.
    let app = app(Bounds { headers: hour, body: hour, answer: hour, ..Bounds::default() }).await;
    let login =
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 100\r\n\r\ntoken=";
    let mut flood = Vec::new();
    for (address, said, count) in [(app.webhooks, &b""[..], 2_000), (app.admin, &login[..], 130)] {
        for _ in 0..count {
            let mut connection = Connection::open(address).await;
            connection.send(said).await;
            flood.push(connection);
        }
    }
    eventually("a sender is served", async || (exchange(app.webhooks, &request()).await.status == 200).then_some(()))
        .await;
    for probe in ["/healthz", "/readyz"] {
        eventually(probe, async || (app.ask("GET", probe).await.status == 200).then_some(())).await;
    }
    assert!(flood[0].is_closed(LONG).await, "the one that has waited longest has lost its place");
    drop(flood);
    app.end().await;
}

#[tokio::test]
async fn bodies_that_do_not_come_hold_no_place_that_a_sender_needs() {
    let app = app(endless()).await;
    let (whole, mut flood) = (request(), Vec::new());
    let login =
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 100\r\n\r\ntoken=";
    for (address, half) in [(app.webhooks, &whole[..whole.len() - 1]), (app.admin, &login[..])] {
        for _ in 0..50 {
            let mut connection = Connection::open(address).await;
            connection.send(half).await;
            flood.push(connection);
        }
    }
    // A request that has just begun is not turned out; the next try finds one that has waited longer.
    eventually("a sender is served", async || (exchange(app.webhooks, &request()).await.status == 200).then_some(()))
        .await;
    eventually("a probe is answered", async || (app.ask("GET", "/healthz").await.status == 200).then_some(())).await;
    drop(flood);
    app.end().await;
}

/// Sends requests until nothing more is taken, and reads no answer.
async fn never_read(address: SocketAddr, request: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let many = request.repeat(50);
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(500), stream.write_all(&many)).await {}
    stream
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_holds_no_permit_that_a_sender_needs() {
    let app = app(endless()).await;
    let mut flood = tokio::task::JoinSet::new();
    for address in [app.webhooks, app.admin] {
        for _ in 0..40 {
            flood.spawn(async move { never_read(address, b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n").await });
        }
    }
    let flood = flood.join_all().await;
    eventually("a sender is served", async || (exchange(app.webhooks, &request()).await.status == 200).then_some(()))
        .await;
    eventually("a probe is answered", async || (app.ask("GET", "/healthz").await.status == 200).then_some(())).await;
    drop(flood);
    app.end().await;
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_loses_the_connection() {
    let app = app(Bounds { answer: SHORT, ..Bounds::default() }).await;
    for address in [app.webhooks, app.admin] {
        let mut stream = never_read(address, b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        // Nothing more is taken, until it is closed: then writing fails.
        let written = tokio::time::timeout(LONG, async { while stream.write_all(b"GET ").await.is_ok() {} }).await;
        assert!(written.is_ok(), "{address}");
    }
    app.end().await;
}

#[tokio::test]
async fn a_sender_that_has_said_all_it_has_to_say_gets_its_answer() {
    let app = app(Bounds::default()).await;
    let mut connection = Connection::open(app.webhooks).await;
    connection.send(&request()).await;
    connection.finish().await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"accepted".into()));
    assert!(connection.is_closed(LONG).await);
    let mut connection = Connection::open(app.admin).await;
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    connection.finish().await;
    assert_eq!(connection.answer().await.status, 200);
    app.end().await;
}

#[tokio::test]
async fn beyond_the_bytes_that_may_be_in_flight_a_large_body_is_asked_for_again_and_a_small_one_is_taken() {
    let app = app(Bounds { body_bytes: 1 << 20, ..Bounds::default() }).await;
    let large = |id: &str| {
        let body = format!(r#"{{"id":"{id}","type":"release.live","data":"{}"}}"#, "x".repeat(600_000));
        post(PATH, &[("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))], body.as_bytes())
    };
    let mut held = Vec::new();
    let refused = loop {
        let number = held.len();
        assert!(number < 4, "each holds more than half of it");
        let mut connection = Connection::open(app.webhooks).await;
        let whole = large(&format!("evt_{number}"));
        connection.send(&whole[..whole.len() - 1]).await;
        held.push((connection, whole));
        let mut connection = Connection::open(app.webhooks).await;
        connection.send(&large(&format!("evt_other_{number}"))).await;
        let answer = connection.answer().await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(exchange(app.webhooks, &request()).await.status, 200, "small ones don't wait for large ones");
    for (connection, whole) in &mut held {
        connection.send(&whole[whole.len() - 1..]).await;
        assert!(matches!(connection.answer().await.status, 200 | 503));
    }
    let mut connection = Connection::open(app.webhooks).await;
    connection.send(&large("evt_after")).await;
    assert_eq!(connection.answer().await.status, 200, "room is given back");
    app.end().await;
}
