//! Dialling: an address that is silent costs a moment, and nobody sends to themselves.

use std::net::SocketAddr;

use fanfare::channels::verdict::{Family, shared};
use fanfare::channels::wire::{Guard, Transport};
use fanfare::channels::{MailRequest, Reply, Request};
use fanfare::delivery::AttemptOutcome;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{AMPLE, denied, not_sent, post, server_at, wire, wire_under};
use crate::support::http_peer::HttpPeer;
use crate::support::smtp_peer::{Setup, SmtpPeer};

/// An address at which nobody answers, not even with a refusal: its backlog is full.
struct Silent {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silent {
    async fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(0).unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(one)) = tokio::time::timeout(super::SHORT, TcpStream::connect(address)).await {
            waiting.push(one);
        }
        Self { _listener: listener, _waiting: waiting }
    }
}

const TWO: &[(&str, &[&str])] = &[("two.example", &["127.0.0.2", "127.0.0.3", "127.0.0.1"])];

fn mail(url: &str) -> Request {
    let to = vec!["ann@label.example".into()];
    Request::Mail(Box::new(MailRequest { server: server_at(url), envelope_to: to, message: b"Subject: x".to_vec() }))
}

#[tokio::test]
async fn where_the_first_address_of_a_name_is_silent_the_next_is_used() {
    let peer = HttpPeer::start().await;
    let port = peer.address.port();
    let _silent = Silent::at(SocketAddr::from(([127, 0, 0, 2], port))).await;
    let begun = std::time::Instant::now();
    let reply = wire_under(Guard::default(), TWO).send(&post(&format!("http://two.example:{port}/")), AMPLE).await;
    assert!(matches!(reply, Reply::Http { status: 200, .. }), "{reply:?}");
    assert!(begun.elapsed() < AMPLE / 2, "a moment, not the deadline");

    let peer = SmtpPeer::start(Setup::default()).await;
    let port = peer.address.port();
    let _silent = Silent::at(SocketAddr::from(([127, 0, 0, 2], port))).await;
    let url = format!("smtp://two.example:{port}?tls=none");
    let reply = wire_under(Guard::default(), TWO).send(&mail(&url), AMPLE).await;
    assert!(matches!(reply, Reply::Mail { code: Some(250), .. }), "{reply:?}");
}

#[tokio::test]
async fn where_every_address_is_silent_the_deadline_holds() {
    let peer = HttpPeer::start().await;
    let port = peer.address.port();
    let _silent = Silent::at(SocketAddr::from(([127, 0, 0, 2], port))).await;
    let names: &[(&str, &[&str])] = &[("one.example", &["127.0.0.2"])];
    let url = format!("http://one.example:{port}/");
    let why = not_sent(wire_under(Guard::default(), names).send(&post(&url), super::SHORT).await);
    assert_eq!(why, "no connection within 300ms");
}

#[tokio::test]
async fn nothing_is_sent_to_a_listener_of_our_own_whatever_its_name() {
    let peer = HttpPeer::start().await;
    let port = peer.address.port();
    let names: &[(&str, &[&str])] = &[("us.example", &["127.0.0.1"]), ("mapped.example", &["::ffff:127.0.0.1"])];
    let wire = wire_under(Guard::default(), names);
    wire.listens(peer.address);
    for host in ["127.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost", "us.example", "mapped.example"] {
        let reply = wire.send(&post(&format!("http://{host}:{port}/")), AMPLE).await;
        let verdict = shared(Family::Http, &reply);
        assert_eq!(
            (verdict.outcome, verdict.failing),
            (AttemptOutcome::Permanent, true),
            "{host}: it never will be another"
        );
        let why = denied(reply);
        assert!(why.contains("is this Fanfare itself"), "{host}: {why}");
    }
    denied(wire.send(&mail(&format!("smtp://localhost:{port}?tls=none")), AMPLE).await);
    assert_eq!(peer.connections(), 0);
    // Another port, and another address of the same port, are somebody else's.
    let other = HttpPeer::start().await;
    let reply = wire.send(&post(&other.url("/")), AMPLE).await;
    assert!(matches!(reply, Reply::Http { status: 200, .. }), "{reply:?}");
    not_sent(wire.send(&post(&format!("http://127.0.0.2:{port}/")), AMPLE).await);
}

#[tokio::test]
async fn a_listener_at_every_address_is_our_own_at_each_of_them() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let wire = wire();
    wire.listens(listener.local_addr().unwrap());
    let mut hosts = vec!["127.0.0.1".to_owned(), "127.0.0.2".to_owned()];
    // The address that this machine would send from, if it has a network: no packet leaves for that.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_ok() {
        hosts.push(socket.local_addr().unwrap().ip().to_string());
    }
    for host in hosts {
        denied(wire.send(&post(&format!("http://{host}:{port}/")), AMPLE).await);
    }
}
