//! HTTP, against every kind of receiver.

use std::time::Instant;

use fanfare::channels::verdict::{Family, shared};
use fanfare::channels::{HttpRequest, Reply, Request};
use fanfare::delivery::AttemptOutcome;
use fanfare::secret::Secret;
use tokio::net::TcpListener;

use super::{AMPLE, SHORT, no_answer, not_sent, post, wire, wire_under};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::smtp_peer::{Setup, SmtpPeer};
use crate::support::tls;

#[tokio::test]
async fn a_request_arrives_as_it_was_composed() {
    let peer = HttpPeer::start().await;
    let request = Request::Http(HttpRequest {
        method: "PUT",
        url: Secret::new(peer.url("/a/b%2Fc?d=e")),
        headers: vec![("x-token".into(), Secret::new("s3cret")), ("user-agent".into(), Secret::new("label/1"))],
        body: b"body".to_vec(),
    });
    let reply = wire().send(&request, AMPLE).await;
    assert!(matches!(reply, Reply::Http { status: 200, whole: true, ref body, .. } if body == b"ok"), "{reply:?}");
    let [seen] = &peer.requests()[..] else { panic!("one request") };
    assert_eq!((seen.method.as_str(), seen.target.as_str(), &*seen.body), ("PUT", "/a/b%2Fc?d=e", &b"body"[..]));
    assert_eq!(seen.header("x-token"), Some("s3cret"));
    assert_eq!(seen.header("user-agent"), Some("label/1"));
    assert_eq!(seen.header("content-length"), Some("4"));
    assert_eq!(seen.header("transfer-encoding"), None);
}

#[tokio::test]
async fn we_say_who_we_are_and_ask_for_no_compression() {
    let peer = HttpPeer::start().await;
    wire().send(&post(&peer.url("/")), AMPLE).await;
    let seen = &peer.requests()[0];
    assert_eq!(seen.header("user-agent"), Some(concat!("fanfare/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn a_connection_serves_more_than_one_request() {
    let peer = HttpPeer::start().await;
    let wire = wire();
    for _ in 0..3 {
        wire.send(&post(&peer.url("/")), AMPLE).await;
    }
    assert_eq!((peer.requests().len(), peer.connections()), (3, 1));
}

#[tokio::test]
async fn a_refused_port_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let why = not_sent(wire().send(&post(&format!("http://{address}/")), AMPLE).await);
    assert_eq!(why, "the connection was refused");
}

#[tokio::test]
async fn a_name_that_nobody_knows_means_not_sent() {
    let why = not_sent(wire().send(&post("https://nowhere.invalid/hook"), AMPLE).await);
    assert_eq!(why, "the name `nowhere.invalid` could not be looked up");
}

#[tokio::test]
async fn a_receiver_that_never_answers_had_the_request() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::hang());
    let begun = Instant::now();
    let why = no_answer(wire().send(&post(&peer.url("/")), SHORT).await);
    assert_eq!(why, "no answer within 300ms");
    assert!(begun.elapsed() < SHORT * 10);
    assert_eq!(peer.received(1).await.len(), 1);
}

#[tokio::test]
async fn a_handshake_that_never_ends_means_not_sent() {
    // Takes connections (the system does) and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let why = not_sent(wire().send(&post(&url), SHORT).await);
    assert_eq!(why, "no connection within 300ms");
}

#[tokio::test]
async fn headers_that_drip_outlast_no_deadline() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(200).body("ok").drip());
    assert_eq!(no_answer(wire().send(&post(&peer.url("/")), SHORT).await), "no answer within 300ms");
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_said_not_to_be_whole() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(503).header("Retry-After", "7").hang_in_body("so far"));
    let reply = wire().send(&post(&peer.url("/")), SHORT).await;
    assert!(matches!(reply, Reply::Http { status: 503, whole: false, ref body, .. } if body == b"so far"), "{reply:?}");
    assert_eq!(reply.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn of_ten_gigabytes_sixty_four_kilobytes_are_read() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(200).endless());
    let reply = wire().send(&post(&peer.url("/")), AMPLE).await;
    let Reply::Http { status: 200, body, whole: false, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(body.len(), 64 * 1024);
    // The rest is what the two sockets' buffers took before the connection was dropped.
    assert!(peer.written() < 64 << 20, "{} bytes", peer.written());
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_whole() {
    for (length, expected) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let peer = HttpPeer::start().await;
        peer.answer(Answer::status(200).body(vec![b'x'; length]));
        let reply = wire().send(&post(&peer.url("/")), AMPLE).await;
        let Reply::Http { body, whole, .. } = reply else { panic!("{reply:?}") };
        assert_eq!((body.len(), whole), (64 * 1024, expected));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_an_address() {
    let elsewhere = HttpPeer::start().await;
    for (status, location) in
        [(301, elsewhere.url("/")), (302, "http://169.254.169.254/latest".into()), (307, elsewhere.url("/"))]
    {
        let peer = HttpPeer::start().await;
        peer.answer(Answer::status(status).header("Location", &location));
        let reply = wire().send(&post(&peer.url("/")), AMPLE).await;
        assert!(matches!(reply, Reply::Http { status: seen, .. } if seen == status), "{reply:?}");
        assert_eq!(shared(Family::Http, &reply).outcome, AttemptOutcome::Permanent);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn what_breaks_off_or_is_no_http_is_no_answer() {
    let flood: String = (0..100_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let table = [
        ("closed", Answer::close(), "the connection closed before an answer"),
        ("half a head", Answer::raw("HTTP/1.1 200 OK\r\nContent-Le"), "the connection closed before an answer"),
        ("garbage", Answer::raw("\0\x01\x02 what\r\n\r\n"), "what came back is not HTTP"),
        ("HTTP/0.9", Answer::raw("<html>hello</html>\r\n\r\n"), "what came back is not HTTP"),
        ("SSH", Answer::raw("SSH-2.0-OpenSSH_9.6\r\n\r\n"), "what came back is not HTTP"),
        ("a status of 99", Answer::raw("HTTP/1.1 99 What\r\n\r\n"), "what came back is not HTTP"),
        (
            "two lengths",
            Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            "what came back is not HTTP",
        ),
        ("a header without name", Answer::raw("HTTP/1.1 200 OK\r\n: x\r\n\r\n"), "what came back is not HTTP"),
        (
            "100,000 headers",
            Answer::raw(format!("HTTP/1.1 200 OK\r\n{flood}\r\n")),
            "the answer's headers are too large",
        ),
        (
            "1xx flood",
            Answer::raw("HTTP/1.1 103 Early\r\n\r\n".repeat(10_000)),
            "more than 16 interim answers, and no other",
        ),
    ];
    for (what, answer, expected) in table {
        let peer = HttpPeer::start().await;
        peer.answer(answer);
        let why = no_answer(wire().send(&post(&peer.url("/")), AMPLE).await);
        assert_eq!(why, expected, "{what}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_said_not_to_be_whole() {
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz",
    ] {
        let peer = HttpPeer::start().await;
        peer.answer(Answer::raw(raw));
        let reply = wire().send(&post(&peer.url("/")), AMPLE).await;
        assert!(
            matches!(reply, Reply::Http { status: 200, whole: false, ref body, .. } if body == b"abc"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn compressed_bytes_stay_as_they_came() {
    let peer = HttpPeer::start().await;
    peer.answer(Answer::status(200).header("Content-Encoding", "gzip").body(vec![0x1f, 0x8b, 8, 0]));
    let reply = wire().send(&post(&peer.url("/")), AMPLE).await;
    assert!(matches!(reply, Reply::Http { ref body, .. } if *body == [0x1f, 0x8b, 8, 0]), "{reply:?}");
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_fit_and_be_in_date() {
    let table = [("localhost", None), ("elsewhere", Some("not valid for")), ("expired", Some("expired"))];
    for (certificate, expected) in table {
        let peer = HttpPeer::start_tls(certificate).await;
        let reply = wire().send(&post(&peer.url("/")), AMPLE).await;
        match expected {
            None => assert!(matches!(reply, Reply::Http { status: 200, .. }), "{reply:?}"),
            Some(expected) => {
                let why = not_sent(reply);
                assert!(why.starts_with("TLS: ") && why.contains(expected), "{why}");
                assert_eq!(peer.requests().len(), 0);
            }
        }
    }
    let peer = HttpPeer::start_tls("localhost").await;
    let stranger = fanfare::channels::wire::Wire::new(fanfare::channels::wire::Guard::default()).unwrap();
    let why = not_sent(stranger.send(&post(&peer.url("/")), AMPLE).await);
    assert!(why.starts_with("TLS: ") && why.contains("UnknownIssuer"), "{why}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_gets_nothing() {
    let peer = SmtpPeer::start(Setup::default()).await;
    let why = not_sent(wire().send(&post(&format!("https://{}/", peer.address)), AMPLE).await);
    assert!(why.starts_with("TLS: "), "{why}");
}

/// The services that we speak to all prefer HTTP/2.
#[tokio::test]
async fn http_2_carries_a_request_whole() {
    use axum::body::Bytes;
    use axum::http::{HeaderMap, Version};

    async fn echo(version: Version, headers: HeaderMap, body: Bytes) -> Vec<u8> {
        let length = headers.get("content-length").map(|length| length.to_str().unwrap().to_owned());
        format!("{version:?} {length:?} {}", String::from_utf8_lossy(&body)).into_bytes()
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let server = axum_server::from_tcp_rustls(listener, tls::axum("localhost").await).unwrap();
    let app = axum::Router::new().fallback(echo);
    let serving = tokio::spawn(server.serve(app.into_make_service()));
    let reply = wire().send(&post(&url), AMPLE).await;
    let Reply::Http { status: 200, body, whole: true, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(String::from_utf8_lossy(&body), r#"HTTP/2.0 Some("17") {"hello":"world"}"#);
    serving.abort();
}

#[tokio::test]
async fn only_http_is_a_scheme() {
    for url in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "ftp://127.0.0.1/",
        "unix:/run/x.sock",
        "data:,x",
        "",
        "x",
        "http://",
        "https://:1/",
    ] {
        not_sent(wire().send(&post(url), AMPLE).await);
    }
}

#[tokio::test]
async fn no_failure_says_the_url_or_a_header() {
    const CANARY: &str = "CANARY7f3a";
    let peer = HttpPeer::start().await;
    let closed = peer.url("/").replace("127.0.0.1", "closed.example");
    let host = format!("user:{CANARY}@127.0.0.1:{}", peer.address.port());
    let urls = [
        format!("http://{host}/{CANARY}?{CANARY}#{CANARY}"),
        format!("https://{host}/{CANARY}"),
        format!("{closed}{CANARY}"),
        format!("http://user:{CANARY}@169.254.169.254/{CANARY}"),
        format!("file:///{CANARY}"),
        format!("http://127.0.0.1:1/{CANARY}"),
        format!("http://127.0.0.1:x/{CANARY}"),
    ];
    for url in urls {
        for answer in [Answer::close(), Answer::raw("what"), Answer::hang()] {
            peer.always(answer);
            let headers = vec![("authorization".to_owned(), Secret::new(format!("Bearer {CANARY}")))];
            let request = HttpRequest { method: "POST", url: Secret::new(url.as_str()), headers, body: b"x".to_vec() };
            let request = Request::Http(request);
            let wire = wire_under(Default::default(), &[("closed.example", &["127.0.0.1"])]);
            let reply = wire.send(&request, SHORT / 3).await;
            assert!(!format!("{reply:?}{request:?}{}", reply.account()).contains(CANARY), "{reply:?}");
        }
    }
    let bad = vec![("x-token".to_owned(), Secret::new(format!("{CANARY}\r\nx: y")))];
    let request = HttpRequest { method: "POST", url: Secret::new(peer.url("/")), headers: bad, body: vec![] };
    let why = not_sent(wire().send(&Request::Http(request), AMPLE).await);
    assert_eq!(why, "the value of the header `x-token` has characters that no header can carry");
}

#[tokio::test]
async fn any_deadline_is_a_deadline() {
    let peer = HttpPeer::start().await;
    let reply = wire().send(&post(&peer.url("/")), std::time::Duration::MAX).await;
    assert!(matches!(reply, Reply::Http { status: 200, .. }), "{reply:?}");
    peer.always(Answer::hang());
    let reply = wire().send(&post(&peer.url("/")), std::time::Duration::ZERO).await;
    assert!(matches!(reply, Reply::NotSent(_) | Reply::NoAnswer(_)), "{reply:?}");
}

#[tokio::test]
async fn where_nothing_is_to_be_sent_nothing_is() {
    assert_eq!(wire().send(&Request::Nothing, AMPLE).await, Reply::Nothing);
}

#[tokio::test]
async fn hints_before_an_answer_are_passed_over() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
    let peer = HttpPeer::start().await;
    peer.answer(Answer::raw(format!("{}HTTP/1.1 204 No Content\r\n\r\n", hint.repeat(10))));
    let reply = wire().send(&post(&peer.url("/")), AMPLE).await;
    assert!(matches!(reply, Reply::Http { status: 204, .. }), "{reply:?}");
}

#[tokio::test]
async fn hints_without_end_end_long_before_the_deadline() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::only_hints());
    let why = no_answer(wire().send(&post(&peer.url("/")), AMPLE * 100).await);
    assert_eq!(why, "more than 16 interim answers, and no other");
    assert!(peer.written() < 8 << 20, "{} bytes were taken", peer.written());
}

#[tokio::test]
async fn the_login_of_a_url_goes_as_a_header_and_not_in_the_request() {
    let peer = HttpPeer::start().await;
    let url = peer.url("/in?x=1#part").replace("http://", "http://a%40b:p%3Aw@");
    wire().send(&post(&url), AMPLE).await;
    let [request] = &peer.requests()[..] else { panic!("one request") };
    assert_eq!(request.header("authorization"), Some("Basic YUBiOnA6dw=="));
    assert_eq!(request.header("host"), Some(peer.address.to_string().as_str()));
}
