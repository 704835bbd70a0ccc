//! The http channel: what an endpoint gets, and that it can be sure of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fanfare::channels::{HttpRequest, Request};
use fanfare::delivery::AttemptOutcome;
use fanfare::message::{Message, Native};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{AMPLE, wire};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::leak::assert_no_leak;
use crate::support::parsing::{channel, try_channel};
use crate::support::sending::{Given, message};

/// 24 bytes in base64.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

fn compose(destination: &str, given: &Given) -> HttpRequest {
    match channel(destination).compose(&given.sending()) {
        Ok(Request::Http(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    let mut found = request.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
    let value = found.next().map(|(_, value)| value.open());
    assert!(found.next().is_none(), "`{name}` twice");
    value
}

#[test]
fn the_body_is_the_delivery_its_event_and_its_message() {
    let request = compose("{type: http, url: 'https://ledger.example/hook'}", &Given::default());
    assert_eq!((request.method, request.url.open()), ("POST", "https://ledger.example/hook"));
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "id": "dlv_0123456789abcdef0123456789",
        "rule": "release-live",
        "event": {
            "source": "jewelmusic",
            "id": "evt_1",
            "type": "release.live",
            "created": "2026-01-05T09:59:59Z",
            "received": "2026-01-05T10:00:00Z",
            "body": {"id": "evt_1", "type": "release.live", "data": {"release_id": "rel_1", "label": "Warp"}},
        },
        "message": {
            "title": "Midnight City is live",
            "text": "It is live on 3 of 4 platforms.\n\n- Spotify\n- Deezer",
            "severity": "success",
            "link": "https://app.jewelmusic.example/releases/rel_1",
            "fields": [{"name": "Label", "value": "Warp"}, {"name": "Tracks", "value": "12"}],
        },
    });
    assert_eq!(body, expected);
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    for name in ["idempotency-key", "webhook-id"] {
        assert_eq!(header(&request, name), Some("dlv_0123456789abcdef0123456789"), "{name}");
    }
    for name in ["webhook-timestamp", "webhook-signature"] {
        assert_eq!(header(&request, name), None, "{name}");
    }
}

#[test]
fn a_number_keeps_its_digits() {
    let event: serde_json::Value =
        serde_json::from_str(r#"{"body":{"amount":1250.00,"id":9007199254740993}}"#).unwrap();
    let request = compose("{type: http, url: 'https://ledger.example/'}", &Given { event, ..Given::default() });
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.contains("1250.00") && body.contains("9007199254740993"), "{body}");
}

#[test]
fn what_is_absent_is_null_or_empty_and_never_missing() {
    let bare = Message { link: None, image: None, fields: vec![], body: vec![], ..message() };
    let request = compose("{type: http, url: 'https://ledger.example/'}", &Given::message(bare));
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body["message"],
        json!({"title": "Midnight City is live", "text": "", "severity": "success", "link": null, "fields": []})
    );
}

#[test]
fn a_template_of_its_own_replaces_the_body() {
    let given = Given::native(Native::Json(json!({"my": ["own"]})));
    let request = compose("{type: http, url: 'https://ledger.example/'}", &given);
    assert_eq!(request.body, br#"{"my":["own"]}"#);
}

#[test]
fn each_secret_signs_each_attempt() {
    let other = STANDARD.encode([7; 32]);
    let destination =
        format!("{{type: http, url: 'https://ledger.example/', sign: {{secret: [whsec_{KEY}, whsec_{other}]}}}}");
    let given = Given::default();
    let request = compose(&destination, &given);
    let signatures: Vec<String> = [STANDARD.decode(KEY).unwrap(), vec![7; 32]]
        .iter()
        .map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
            mac.update(b"dlv_0123456789abcdef0123456789.1767607205.");
            mac.update(&request.body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        })
        .collect();
    assert_eq!(header(&request, "webhook-timestamp"), Some("1767607205"));
    assert_eq!(header(&request, "webhook-signature"), Some(signatures.join(" ").as_str()));
    // The next attempt has its own time, and the same id and body.
    let later = compose(&destination, &Given { at: "2026-01-05T10:30:00Z".parse().unwrap(), ..given });
    assert_ne!(header(&later, "webhook-signature"), header(&request, "webhook-signature"));
    assert_eq!(header(&later, "webhook-id"), header(&request, "webhook-id"));
    assert_eq!(later.body, request.body);
}

/// The example of the Standard Webhooks specification's own libraries.
#[test]
fn the_signature_is_that_of_the_standard() {
    let destination = "{type: http, url: 'https://l.example/', sign: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}}";
    let given = Given {
        id: fanfare::delivery::DeliveryId("msg_p5jXN8AQM9LWM0D4loKWxJek".into()),
        at: "2021-02-25T14:42:10Z".parse().unwrap(),
        ..Given::native(Native::Json(json!({"test": 2_432_232_314_i64})))
    };
    let request = compose(destination, &given);
    // The library's payload has a blank behind the colon; ours has not. So the same key signs ours.
    assert_eq!(request.body, br#"{"test":2432232314}"#);
    assert_eq!(header(&request, "webhook-timestamp"), Some("1614264130"));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()).unwrap();
    mac.update(br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614264130.{"test":2432232314}"#);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header(&request, "webhook-signature"), Some(expected.as_str()));
}

#[test]
fn the_url_may_hold_values_and_the_headers_secrets() {
    let destination = "
type: http
url: https://ledger.example/releases/{{ data.release_id }}
method: PUT
headers: {Authorization: Bearer t0ken, content-type: application/vnd.label+json}
";
    let request = compose(destination, &Given::default());
    assert_eq!((request.method, request.url.open()), ("PUT", "https://ledger.example/releases/rel_1"));
    assert_eq!(header(&request, "authorization"), Some("Bearer t0ken"));
    assert_eq!(header(&request, "content-type"), Some("application/vnd.label+json"));
    let given = Given { root: json!({"data": {}}), ..Given::default() };
    let why = channel(destination).compose(&given.sending()).unwrap_err();
    assert_eq!(why, "a part of the URL's path is empty, or `.` or `..`");
}

#[test]
fn a_choice_decides_where_it_goes() {
    let destination =
        "{type: http, url: {by: $.data.label, map: {Warp: 'https://warp.example/'}, else: 'https://all.example/'}}";
    assert_eq!(compose(destination, &Given::default()).url.open(), "https://warp.example/");
    let given = Given { root: json!({}), ..Given::default() };
    assert_eq!(compose(destination, &given).url.open(), "https://all.example/");
    assert_eq!(channel(destination).facts().address, "warp.example, all.example");
}

#[tokio::test]
async fn a_delivery_goes_all_the_way() {
    let peer = HttpPeer::start().await;
    peer.answer(Answer::status(503).header("Retry-After", "7"));
    let channel = channel(&format!("{{type: http, url: '{}', sign: {{secret: whsec_{KEY}}}}}", peer.url("/in")));
    let request = channel.compose(&Given::default().sending()).unwrap();
    let verdict = channel.verdict(&wire().send(&request, AMPLE).await);
    assert_eq!((verdict.outcome, verdict.wait.map(|wait| wait.as_secs())), (AttemptOutcome::Temporary, Some(7)));
    let verdict = channel.verdict(&wire().send(&request, AMPLE).await);
    assert_eq!(verdict.outcome, AttemptOutcome::Delivered);
    let [first, second] = &peer.requests()[..] else { panic!("two requests") };
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.json()["message"]["title"], "Midnight City is live");
}

#[test]
fn nothing_secret_is_ever_said() {
    let channel = channel(&format!(
        "{{type: http, url: 'https://user:CANARYpass@ledger.example/CANARY-path-that-is-long?key=CANARY-query-that-is-long', \
         headers: {{X-Token: CANARYtoken, Authorization: 'Bearer CANARYbearer'}}, sign: {{secret: whsec_{KEY}}}}}"
    ));
    let request = channel.compose(&Given::default().sending()).unwrap();
    assert_no_leak(&*channel, &request, &["CANARY", KEY]);
    assert_eq!(channel.facts().address, "ledger.example");
}

#[test]
fn what_is_wrong_is_said_where_and_how_to_fix_it() {
    const HERE: &str = "fanfare.yaml:2:";
    const KEYS: &str = "(write `whsec_` and 24 to 64 random bytes in base64: `openssl rand -base64 32` makes some)";
    let table = [
        (
            "method: GET",
            vec![format!("{HERE}9: error: `GET` is not a supported method (known: `POST`, `PUT`, `PATCH`)")],
        ),
        ("method: post", vec![format!("{HERE}9: error: `post` is not a supported method (did you mean `POST`?)")]),
        ("headers: {Host: x}", vec![format!("{HERE}11: error: the connection sets the header `Host` itself")]),
        (
            "headers: {content-LENGTH: 1}",
            vec![format!("{HERE}11: error: the connection sets the header `content-LENGTH` itself")],
        ),
        (
            "headers: {Webhook-Id: x}",
            vec![format!("{HERE}11: error: Fanfare sets the header `Webhook-Id` for each attempt")],
        ),
        ("headers: {a b: x}", vec![format!("{HERE}11: error: `a b` is not a header name")]),
        ("headers: {A: x, a: y}", vec![format!("{HERE}17: error: the header `a` appears here twice")]),
        (
            "headers: {X: \"CANARY\\r\\nY: z\"}",
            vec![format!(
                "{HERE}14: error: the value of `X` can't appear in a header (only visible ASCII characters, with \
                 single spaces between them, can)"
            )],
        ),
        ("headers: [x]", vec![format!("{HERE}10: error: expected `headers`, a mapping, found a list")]),
        ("sign: {}", vec![format!("{HERE}7: error: `sign` has no `secret`")]),
        ("sign: {secret: CANARY}", vec![format!("{HERE}16: error: this is not a signing secret {KEYS}")]),
        ("sign: {secret: whsec_c2hvcnQ=}", vec![format!("{HERE}16: error: this is not a signing secret {KEYS}")]),
        ("sign: {secret: ''}", vec![format!("{HERE}16: error: this is not a signing secret {KEYS}")]),
    ];
    for (line, expected) in table {
        let (channel, problems) = try_channel(&format!("{{type: http, url: 'https://h.example/',\n{line}}}"));
        assert!(channel.is_none(), "{line}");
        assert_eq!(problems, expected, "{line}");
        assert!(!problems.concat().contains("CANARY"), "{line}");
    }
    let (channel, problems) = try_channel("{type: http, method: PUT}");
    assert!(channel.is_none());
    assert_eq!(problems, ["fanfare.yaml:1:1: error: destination `x` has no `url`"]);
}

#[test]
fn a_second_signing_secret_may_be_empty() {
    let (channel, problems) =
        try_channel(&format!("{{type: http, url: 'https://h.example/', sign: {{secret: [whsec_{KEY}, '']}}}}"));
    assert!(channel.is_some() && problems.is_empty(), "{problems:?}");
}

#[test]
fn every_channels_example_is_right() {
    for kind in fanfare::channels::ALL {
        let (channel, problems) = try_channel(kind.example);
        assert!(channel.is_some() && problems.is_empty(), "{}: {problems:?}", kind.name);
        // Of two keys that exclude each other an example can have one.
        for key in kind.keys.iter().filter(|key| !key.doc.contains("Either this or")) {
            assert!(kind.example.contains(&format!("{}:", key.name)), "`{}` is not in the example", key.name);
        }
    }
}
