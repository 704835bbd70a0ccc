//! Wrong and hostile requests, each with the status that it gets. The program runs as a process, so that a panic on any
//! of its threads would stand in its log.

use super::{PATH, folder};
use crate::support::app::{ask, code, event, json, now_s, page_signature, timed_signature};
use crate::support::folder::SECRET;
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::raw::{Connection, exchange, post};

/// What it says, the bytes that are sent, and the status; 0 where the connection is closed without an answer.
type Row = (&'static str, Vec<u8>, u16);

const BODY: &str = r#"{"id":"evt_never","type":"release.live","data":{}}"#;

fn good() -> String {
    page_signature(SECRET, BODY.as_bytes())
}

/// A request with this signature header.
fn signed(value: impl AsRef<[u8]>) -> Vec<u8> {
    post(PATH, &[("X-JewelMusic-Signature", value)], BODY.as_bytes())
}

/// A request with a good signature and these headers besides.
fn with(headers: &[(&str, &str)]) -> Vec<u8> {
    let good = good();
    let mut all = vec![("X-JewelMusic-Signature", good.as_str())];
    all.extend(headers);
    post(PATH, &all, BODY.as_bytes())
}

/// A request whose signature is made over another body than it has.
fn changed(body: &str) -> Vec<u8> {
    post(PATH, &[("X-JewelMusic-Signature", good())], body.as_bytes())
}

fn timed(t: &str) -> Vec<u8> {
    signed(format!("t={t},v1={}", code(SECRET, &[t.as_bytes(), b".", BODY.as_bytes()])))
}

fn lines(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn signatures() -> Vec<Row> {
    let good = good();
    let digits = good.trim_start_matches("sha256=").to_owned();
    let v1 = code(SECRET, &[now_s().to_string().as_bytes(), b".", BODY.as_bytes()]);
    let nine = format!("t={},{}v1={v1}", now_s(), "v1=00,".repeat(8));
    vec![
        ("no signature header", post::<&str>(PATH, &[], BODY.as_bytes()), 401),
        ("an empty signature header", signed(""), 401),
        ("a code of 63 digits", signed(&good[..good.len() - 1]), 401),
        ("a code of 65 digits", signed(format!("{good}0")), 401),
        ("a code of 128 digits", signed(format!("{good}{digits}")), 401),
        ("no code", signed("sha256="), 401),
        ("a code that is not hex", signed(format!("sha256={}", "z".repeat(64))), 401),
        ("a code without its prefix", signed(&digits), 401),
        ("a prefix in capitals", signed(format!("SHA256={digits}")), 401),
        ("another algorithm's prefix", signed(format!("sha1={digits}")), 401),
        ("a third secret", signed(page_signature("third-secret", BODY.as_bytes())), 401),
        ("an empty secret", signed(page_signature("", BODY.as_bytes())), 401),
        ("bytes that are no text", signed(b"sha256=\xff\xfe"), 401),
        ("one changed byte", changed(&BODY.replace("live", "lime")), 401),
        ("a line break more", changed(&format!("{BODY}\n")), 401),
        ("a body that a proxy printed anew", changed(&BODY.replace(':', ": ")), 401),
        ("no body where there was one", changed(""), 401),
        ("two headers, the good one first", with(&[("X-JewelMusic-Signature", "sha256=00")]), 400),
        (
            "two headers, the good one last",
            post(PATH, &[("X-JewelMusic-Signature", "sha256=00"), ("X-JewelMusic-Signature", &good)], BODY.as_bytes()),
            400,
        ),
        ("two names that differ", with(&[("JewelMusic-Signature", "sha256=00")]), 400),
        ("nine signatures", signed(nine), 400),
        ("two times", signed(format!("t=1,t={},v1={v1}", now_s())), 400),
        ("a time three hours and a bit back", timed(&(now_s() - 3 * 3600 - 60).to_string()), 401),
        ("a time six minutes ahead", timed(&(now_s() + 360).to_string()), 401),
        ("a time in 1970", timed("0"), 401),
        ("a negative time", timed("-1"), 401),
        ("a time with a plus", timed(&format!("+{}", now_s())), 401),
        ("a hexadecimal time", timed("0x10"), 401),
        ("a time of twenty digits", timed("99999999999999999999"), 401),
        ("no time", timed(""), 401),
        ("an empty v1", signed(format!("t={},v1=", now_s())), 401),
        (
            "a code made for another time",
            signed(timed_signature(SECRET, 1, BODY.as_bytes()).replace("t=1,", &format!("t={},", now_s()))),
            401,
        ),
        ("a body code as a timed one", signed(format!("t={},v1={digits}", now_s())), 401),
        ("a signature header of 9 KiB", signed("a".repeat(9 * 1024)), 431),
    ]
}

fn framing() -> Vec<Row> {
    let good = good();
    let length = BODY.len();
    let chunked = |coding: &str, chunks: &str| {
        lines(&format!(
            "POST {PATH} HTTP/1.1\nHost: a\nX-JewelMusic-Signature: {good}\nTransfer-Encoding: {coding}\n\n{chunks}"
        ))
    };
    let megabyte = format!("{:x}\n{}\n", 1 << 20, "a".repeat(1 << 20));
    vec![
        ("gzip", with(&[("Content-Encoding", "gzip")]), 415),
        ("br", with(&[("Content-Encoding", "br")]), 415),
        ("gzip twice", with(&[("Content-Encoding", "gzip, gzip")]), 415),
        ("gzip after identity", with(&[("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]), 415),
        ("10 GB declared", lines(&format!("POST {PATH} HTTP/1.1\nHost: a\nContent-Length: 10737418240\n\n")), 413),
        (
            "10 GB declared, to be asked for",
            lines(&format!("POST {PATH} HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 10737418240\n\n")),
            413,
        ),
        ("one byte over the limit", post(PATH, &[("X-JewelMusic-Signature", &good)], &vec![b'a'; (1 << 20) + 1]), 413),
        ("chunks over the limit", chunked("chunked", &format!("{megabyte}1\na\n0\n\n")), 413),
        ("chunks without end", chunked("chunked", &megabyte.repeat(3)), 413),
        ("a chunk of 2^64 bytes", chunked("chunked", "ffffffffffffffff1\n"), 400),
        ("a chunk without a size", chunked("chunked", "zz\nab\n0\n\n"), 400),
        ("gzip as a transfer coding", chunked("gzip", ""), 400),
        ("chunked, then gzip", chunked("chunked, gzip", "0\n\n"), 400),
        (
            "two lengths",
            lines(&format!("POST {PATH} HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 2\n\nab")),
            400,
        ),
        ("a negative length", lines(&format!("POST {PATH} HTTP/1.1\nHost: a\nContent-Length: -1\n\n")), 400),
        (
            "a length that is not a number",
            lines(&format!("POST {PATH} HTTP/1.1\nHost: a\nContent-Length: 1e3\n\n")),
            400,
        ),
        (
            "a length that is too small",
            lines(&format!(
                "POST {PATH} HTTP/1.1\nHost: a\nX-JewelMusic-Signature: {good}\nContent-Length: {}\n\n{BODY}",
                length - 1
            )),
            401,
        ),
        ("a header of 64 KiB", with(&[("X-Long", &"a".repeat(64 * 1024))]), 431),
        ("two Hosts", with(&[("Host", "other.example")]), 400),
        ("two Hosts that say the same", with(&[("Host", "fanfare.example")]), 400),
        ("two hundred headers", with(&vec![("X-Many", "a"); 200]), 431),
        ("a header without a name", with(&[("", "a")]), 400),
        ("a header name with a space", with(&[("X Y", "a")]), 400),
        ("a header with a NUL", with(&[("X-Nul", "a\0b")]), 400),
        ("a folded header", with(&[("X-Fold", "a\r\n b")]), 400),
    ]
}

fn requests() -> Vec<Row> {
    let method = |method: &str| lines(&format!("{method} {PATH} HTTP/1.1\nHost: a\nContent-Length: 0\n\n"));
    let path = |path: &str| post(path, &[("X-JewelMusic-Signature", good())], BODY.as_bytes());
    vec![
        ("GET", method("GET"), 405),
        ("PUT", method("PUT"), 405),
        ("DELETE", method("DELETE"), 405),
        ("PATCH", method("PATCH"), 405),
        ("OPTIONS", method("OPTIONS"), 405),
        ("TRACE", method("TRACE"), 405),
        ("a method that nobody knows", method("NOTIFY"), 405),
        ("a method in small letters", method("post"), 405),
        ("another path", path("/webhooks/other"), 404),
        ("two slashes more", path("/webhooks/jewelmusic//"), 404),
        ("two slashes", path("//webhooks/jewelmusic"), 404),
        ("a path with dots", path("/x/../webhooks/jewelmusic"), 404),
        ("a path in capitals", path("/WEBHOOKS/JEWELMUSIC"), 404),
        ("a path in percent signs", path("/webhooks/jewel%6dusic"), 404),
        ("the root", path("/"), 404),
        ("the probes are elsewhere", lines("GET /healthz HTTP/1.1\nHost: a\n\n"), 404),
        ("the metrics are elsewhere", lines("GET /metrics HTTP/1.1\nHost: a\n\n"), 404),
        ("the API is elsewhere", lines("GET /api/v1/events HTTP/1.1\nHost: a\n\n"), 404),
        ("reloading is elsewhere", path("/-/reload"), 404),
        ("a path of 20 KiB", path(&format!("/{}", "a".repeat(20 * 1024))), 431),
        ("HTTP/0.9", b"GET /webhooks/jewelmusic\r\n\r\n".to_vec(), 400),
        ("HTTP/3.0", lines(&format!("POST {PATH} HTTP/3.0\nHost: a\nContent-Length: 0\n\n")), 400),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 0),
        ("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n".to_vec(), 400),
        ("no HTTP at all", b"EHLO fanfare.example\r\n\r\n".to_vec(), 400),
        ("zeros", vec![0; 1024], 400),
        ("a method of spaces", b"     \r\n\r\n".to_vec(), 400),
        ("a target with a space", b"POST /webhooks/jewel music HTTP/1.1\r\n\r\n".to_vec(), 400),
    ]
}

#[tokio::test]
async fn a_wrong_request_gets_its_status_and_stores_nothing() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let process = Process::start(folder.path()).await;
    let rows = [signatures(), framing(), requests()].concat();
    assert!(rows.len() >= 80);
    let mut wrong = Vec::new();
    for (says, request, status) in &rows {
        let mut connection = Connection::open(process.webhooks).await;
        connection.send(request).await;
        let answer = connection.answer().await;
        if answer.status != *status {
            wrong.push(format!("{says}: {} instead of {status}: {}", answer.status, answer.text()));
        }
        if !answer.body.is_empty() && answer.status == *status {
            let document = answer.json();
            let keys: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
            assert_eq!(keys, ["type", "title", "status"], "{says} tells too much: {document}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{says}");
        }
        if answer.status == 405 {
            assert_eq!(answer.header("allow"), Some("POST"), "{says}");
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(json(process.admin, "/api/v1/status").await["inbox"]["head"], 0);
    assert_eq!(json(process.admin, "/api/v1/events").await, serde_json::json!([]));

    let body = event("evt_after", "release.live");
    let request = post(PATH, &[("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()))], body.as_bytes());
    assert_eq!(exchange(process.webhooks, &request).await.status, 200, "it still serves");
    assert_eq!(ask(process.admin, "GET", "/readyz").await.status, 200);
    let (status, log) = process.terminate().await;
    assert!(status.success(), "{status}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_request_that_ends_early_stores_nothing() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let process = Process::start(folder.path()).await;
    let whole = with(&[]);
    for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut connection = Connection::open(process.webhooks).await;
        connection.send(&whole[..length]).await;
        connection.finish().await;
        let answer = connection.answer().await;
        assert!(matches!(answer.status, 0 | 400), "after {length} bytes: {}", answer.status);
    }
    assert_eq!(json(process.admin, "/api/v1/status").await["inbox"]["head"], 0);
    let (status, log) = process.terminate().await;
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn what_follows_a_refused_body_is_not_taken_for_a_request() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let process = Process::start(folder.path()).await;
    let inner = with(&[]);
    let mut outer =
        lines(&format!("POST {PATH} HTTP/1.1\nHost: a\nContent-Length: {}\n\n", (1 << 20) + 1 + inner.len()));
    outer.extend(&inner);
    let mut connection = Connection::open(process.webhooks).await;
    connection.send(&outer).await;
    assert_eq!(connection.answer().await.status, 413);
    connection.send(&vec![b'a'; (1 << 20) + 1]).await;
    assert_eq!(connection.answer().await.status, 0, "the connection ends with the refusal");
    assert_eq!(json(process.admin, "/api/v1/status").await["inbox"]["head"], 0);
}

#[tokio::test]
async fn nothing_hides_behind_a_length_beside_chunks() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let process = Process::start(folder.path()).await;
    let smuggled = with(&[]);
    for order in ["Transfer-Encoding: chunked\nContent-Length: 5", "Content-Length: 5\nTransfer-Encoding: chunked"] {
        let mut request =
            lines(&format!("POST {PATH} HTTP/1.1\nHost: a\nX-JewelMusic-Signature: sha256=00\n{order}\n\n0\n\n"));
        request.extend(&smuggled);
        let mut connection = Connection::open(process.webhooks).await;
        connection.send(&request).await;
        assert_eq!(connection.answer().await.status, 401, "{order}");
        assert_eq!(connection.answer().await.status, 0, "the connection ends: {order}");
    }
    assert_eq!(json(process.admin, "/api/v1/status").await["inbox"]["head"], 0);
}

#[tokio::test]
async fn a_path_that_no_source_has_and_a_method_that_is_not_answered_are_counted_and_logged() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    let process = Process::start(folder.path()).await;
    for (request, status) in requests()
        .into_iter()
        .filter_map(|(says, request, status)| matches!(says, "another path" | "PUT").then_some((request, status)))
    {
        assert_eq!(exchange(process.webhooks, &request).await.status, status);
    }
    let metrics = ask(process.admin, "GET", "/metrics").await.text();
    for counted in [r#"{source="none",outcome="not_found"} 1"#, r#"{source="jewelmusic",outcome="method"} 1"#] {
        assert!(metrics.contains(&format!("fanfare_refused_total{counted}")), "{metrics}");
    }
    let (_, log) = process.terminate().await;
    assert!(log.contains(r#"no source has the path \"/webhooks/other\""#), "{log}");
    assert!(log.contains("PUT; only POST is answered"), "{log}");
}
