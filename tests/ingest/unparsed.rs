//! What is signed is kept, whatever it says: a 4xx would make the sender give up.

use super::folder;
use crate::support::app::{App, event, page_signature, soon};
use crate::support::folder::SECRET;
use crate::support::http_peer::HttpPeer;
use crate::support::raw::{exchange, post};

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_kept_as_unparsed() {
    let peer = HttpPeer::start().await;
    let app = App::start(folder(&peer)).await;
    let whole = event("evt_cut", "release.live");
    let deep = [r#"{"type":"x.y","id":"evt_deep","data":"#, &"[".repeat(5_000), &"]".repeat(5_000), "}"].concat();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("cut", whole.as_bytes()[..whole.len() / 2].to_vec()),
        ("deep", deep.into_bytes()),
        ("not UTF-8", b"{\"type\":\"x.y\",\"id\":\"\xff\xfe\"}".to_vec()),
        ("overlong UTF-8", b"{\"type\":\"x.y\",\"id\":\"\xc0\xaf\"}".to_vec()),
        ("UTF-16", whole.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("typeless", br#"{"id":"evt_typeless","data":{}}"#.to_vec()),
        ("an empty type", br#"{"id":"evt_empty","type":""}"#.to_vec()),
        ("a type that is a number", br#"{"id":"evt_number","type":7}"#.to_vec()),
        ("a type that is too long", format!(r#"{{"id":"evt_long","type":"{}"}}"#, "x".repeat(300)).into_bytes()),
        ("two types", br#"{"id":"evt_two","type":"a.b","type":"c.d"}"#.to_vec()),
        ("a list", br#"[{"type":"x.y"}]"#.to_vec()),
        ("a number", b"17".to_vec()),
        ("a text", br#""release.live""#.to_vec()),
        ("null", b"null".to_vec()),
        ("nothing", Vec::new()),
        ("spaces", b" \n\t".to_vec()),
        ("an object and more", br#"{"type":"x.y"} {"type":"x.y"}"#.to_vec()),
        ("a control character", b"{\"type\":\"x.y\",\"id\":\"a\x01b\"}".to_vec()),
        ("NaN", br#"{"type":"x.y","data":{"n":NaN}}"#.to_vec()),
        ("zeros", vec![0; 4096]),
    ];
    let sent = bodies.len();
    for (number, (says, body)) in bodies.into_iter().enumerate() {
        let signature = page_signature(SECRET, &body);
        let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], &body);
        let answer = exchange(app.webhooks, &request).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &"accepted".into()), "{says}: {}", answer.text());
        let id = answer.json()["event"].as_str().unwrap().to_owned();
        let kept = app.json(&format!("/api/v1/events/{}", number + 1)).await;
        assert_eq!((&kept["id"], &kept["type"]), (&id.into(), &"fanfare.unparsed".into()), "{says}: {kept}");
        let again = exchange(app.webhooks, &request).await;
        assert_eq!(again.json()["status"], "duplicate", "{says}");
    }
    assert_eq!(app.head().await, sent as i64);
    app.end().await;
}

#[tokio::test]
async fn rules_can_listen_to_what_is_unparsed() {
    let peer = HttpPeer::start().await;
    let folder = folder(&peer);
    folder.write(
        "rules/main.yaml",
        "rules: [{name: odd, events: fanfare.unparsed, actions: [{to: ledger, text: odd}]}]\n",
    );
    let app = App::start(folder).await;
    assert_eq!(app.send("not JSON").await.status, 200);
    let requests = soon("the delivery", peer.received(1)).await;
    assert_eq!(requests[0].json()["event"]["type"], "fanfare.unparsed");
    app.end().await;
}
