//! From signed bytes to an event: id, type and time, and what is kept unparsed.

use fanfare::event::{EventId, UNPARSED};
use fanfare::secret::Secret;
use fanfare::source::scheme::Outgoing;
use fanfare::store::Appended;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

use super::{headers, now, open, parsed, signed, source};

fn jewelmusic(body: &str) -> fanfare::event::Event {
    signed(&source("jewelmusic"), body.as_bytes())
}

#[test]
fn the_page_s_shape_and_the_sdks_shapes_give_the_same_event() {
    for body in [
        r#"{"id":"evt_1","type":"release.live","created":1767603600,"data":{}}"#,
        r#"{"id":"evt_1","type":"release.live","timestamp":"2026-01-05T09:00:00Z","data":{}}"#,
        r#"{"id":"evt_1","event":"release.live","created":"2026-01-05T10:00:00+01:00","livemode":true}"#,
        r#"{"type":null,"event":"release.live","id":"evt_1","created":null,"timestamp":1767603600}"#,
        r#"{"type":"","event":"release.live","id":"evt_1","created":"soon","timestamp":"2026-01-05T09:00:00"}"#,
        " {\"id\" : \"evt_1\" , \"type\" : \"release.live\", \"created\" : 1767603600.0 }\r\n",
    ] {
        let event = jewelmusic(body);
        assert_eq!((event.id.as_str(), &*event.kind), ("evt_1", "release.live"), "{body}");
        assert_eq!(event.created, Timestamp::from_second(1_767_603_600).unwrap(), "{body}");
        assert_eq!((event.received, &*event.source), (now(), "them"));
        assert_eq!(&*event.raw, body.as_bytes());
    }
}

#[test]
fn type_wins_over_event() {
    assert_eq!(&*jewelmusic(r#"{"event":"a","type":"b"}"#).kind, "b");
}

#[test]
fn times_are_read_in_every_form_or_are_that_of_receipt() {
    let expected = |text: &str| text.parse::<Timestamp>().unwrap();
    for (time, created) in [
        ("1767603600", expected("2026-01-05T09:00:00Z")),
        ("1767603600.123", expected("2026-01-05T09:00:00.123Z")),
        ("1.7676036e9", expected("2026-01-05T09:00:00Z")),
        ("1767603600123", expected("2026-01-05T09:00:00.123Z")),
        ("\"1767603600\"", expected("2026-01-05T09:00:00Z")),
        ("\"2026-01-05T09:00:00Z\"", expected("2026-01-05T09:00:00Z")),
        ("\"2026-01-05T09:00:00.123456789Z\"", expected("2026-01-05T09:00:00.123Z")),
        ("\"2026-01-05T10:00:00+01:00\"", expected("2026-01-05T09:00:00Z")),
        ("\"2026-01-05T09:00:00\"", expected("2026-01-05T09:00:00Z")),
        ("\"2026-01-05 09:00:00.5\"", expected("2026-01-05T09:00:00.5Z")),
        ("\"2026-01-05\"", expected("2026-01-05T00:00:00Z")),
        ("\"20260105\"", expected("2026-01-05T00:00:00Z")),
        ("0", expected("1970-01-01T00:00:00Z")),
        ("-1", expected("1969-12-31T23:59:59Z")),
        ("null", now()),
        ("true", now()),
        ("{}", now()),
        ("\"\"", now()),
        ("\"soon\"", now()),
        ("\"...\"", now()),
        ("1e999", now()),
        ("-1e300", now()),
        ("\"99999999999999999999\"", now()),
    ] {
        let body = format!(r#"{{"type":"a","created":{time}}}"#);
        assert_eq!(jewelmusic(&body).created, created, "{time}");
    }
}

#[test]
fn an_id_that_is_no_short_text_is_the_body_s_hash() {
    let long = format!("\"{}\"", "x".repeat(257));
    for id in ["null", "\"\"", "{}", "[\"a\"]", "true", "7", "1e3", "\"a\\u0000b\"", "\"a\\nb\"", &long] {
        let body = format!(r#"{{"type":"a","id":{id}}}"#);
        let event = jewelmusic(&body);
        assert_eq!((&event.id, &*event.kind), (&EventId::of_body(body.as_bytes()), "a"), "{id}");
    }
    let without = r#"{"type":"a"}"#;
    assert_eq!(jewelmusic(without).id, EventId::of_body(without.as_bytes()));
}

#[test]
fn an_id_is_opaque() {
    for id in ["../..", "🎉", "evt 1", "sha256:0", "'; DROP TABLE", &"x".repeat(256)] {
        assert_eq!(jewelmusic(&format!(r#"{{"type":"a","id":"{id}"}}"#)).id.as_str(), id);
    }
}

#[test]
fn what_is_signed_and_cannot_be_read_is_kept_unparsed() {
    let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(257));
    let deep = format!(r#"{{"type":"a","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for body in [
        "",
        "{}",
        "hello",
        "[]",
        "\"release.live\"",
        "null",
        r#"{"type":"release.live""#,
        r#"{"type":7}"#,
        r#"{"type":""}"#,
        r#"{"type":{"name":"a"}}"#,
        r#"{"type":"a\u0000b"}"#,
        r#"{"type":"fanfare.delivery.dead"}"#,
        r#"{"type":"fanfare."}"#,
        r#"{"event":"fanfare.unparsed"}"#,
        r#"{"type":"a","type":"b"}"#,
        r#"{"type":"a","id":"1","id":"2"}"#,
        r#"{"type":"a","event":"x","event":"y"}"#,
        r#"{"type":"a","\u0074ype":"b"}"#,
        "\u{feff}{\"type\":\"a\"}",
        &long,
        &deep,
    ] {
        let event = jewelmusic(body);
        assert_eq!((&*event.kind, &event.body), (UNPARSED, &Value::Null), "{body}");
        assert_eq!(event.id, EventId::of_body(body.as_bytes()), "{body}");
        assert_eq!((event.created, &*event.raw), (now(), body.as_bytes()));
    }
    let latin1 = b"{\"type\":\"a\",\"data\":\"Mot\xf6rhead\"}";
    assert_eq!(&*signed(&source("jewelmusic"), latin1).kind, UNPARSED);
}

#[test]
fn a_type_that_only_looks_like_ours_is_a_type() {
    for kind in ["fanfare", "fanfares.a", "Fanfare.a", "a.fanfare.b"] {
        assert_eq!(&*jewelmusic(&format!(r#"{{"type":"{kind}"}}"#)).kind, kind);
    }
}

#[test]
fn other_keys_may_stand_twice() {
    let event = jewelmusic(r#"{"type":"a","data":{"n":1},"data":{"n":2}}"#);
    assert_eq!((&*event.kind, event.data().to_string()), ("a", r#"{"n":2}"#.to_owned()));
}

#[test]
fn half_an_emoji_in_a_title_doesn_t_make_an_event_unparsed() {
    let event = jewelmusic(r#"{"type":"fraud.action_required","id":"e","data":{"title":"Party \ud83c"}}"#);
    assert_eq!((&*event.kind, event.data()["title"].as_str()), ("fraud.action_required", Some("Party \u{fffd}")));
}

/// A store keeps the bytes, and reads them again.
#[test]
fn a_store_gives_back_the_event_that_was_received() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for address in ["memory:", "sqlite:f.db"] {
        let store = runtime.block_on(fanfare::store::open(&Secret::new(address), folder.path())).unwrap();
        for body in [
            r#"{"id":"1","type":"a","data":{"title":"Party \ud83c","amount":1250.00,"n":9007199254740993}}"#,
            r#"{"id":"2","type":"a","x":1,"x":2,"created":1767600000.25}"#,
            r#"{"id":"3","id":"4","type":"a"}"#,
            "no json",
        ] {
            let event = jewelmusic(body);
            let seq = match runtime.block_on(store.append(event.clone())).unwrap() {
                Appended::Fresh(seq) => seq,
                other => panic!("{other:?}"),
            };
            let found = runtime.block_on(store.events(&[seq])).unwrap().remove(0).1;
            assert_eq!(found.read(), event, "{address} {body}");
        }
    }
}

#[test]
fn what_only_verifies_re_serialised_is_only_believed_re_serialised() {
    let source = fanfare::source::Source { stringify: true, ..source("jewelmusic") };
    let compact = br#"{"type":"a","n":1}"#;
    let outgoing = Outgoing { id: "", kind: "a", body: compact, at: now() };
    let headers = headers(&source.sign(None, &outgoing).unwrap());
    let genuine = open(&source, &headers, compact).unwrap();
    for body in [r#"{ "type": "a", "n": 1.000 }"#, r#"{"type":"b","type":"a","n":2,"n":1e0}"#] {
        let event = open(&source, &headers, body.as_bytes()).unwrap();
        assert_eq!((&event.raw, &event.id, &event.body), (&genuine.raw, &genuine.id, &genuine.body), "{body}");
    }
}

#[test]
fn github_s_type_is_the_event_and_its_action() {
    let github = source("github");
    let event = |body: &[u8], kind: &str| {
        let outgoing = Outgoing { id: "72d3162e", kind, body, at: now() };
        open(&github, &headers(&github.sign(None, &outgoing).unwrap()), body).unwrap()
    };
    let published = event(br#"{"action":"published","release":{"id":1}}"#, "release");
    assert_eq!(&*published.kind, "release.published");
    assert_eq!(&*event(br#"{"ref":"refs/heads/main"}"#, "push").kind, "push");
    assert_eq!(&*event(br#"{"action":7}"#, "release.published").kind, "release");
    assert_eq!(&*event(b"payload=%7B%7D", "push").kind, UNPARSED);
}

#[test]
fn an_id_in_a_header_that_nobody_signed_never_makes_an_event_another() {
    let github = source("github");
    let body = br#"{"action":"published"}"#;
    let mut ids = Vec::new();
    for id in ["first", "second"] {
        let outgoing = Outgoing { id, kind: "release", body, at: now() };
        ids.push(open(&github, &headers(&github.sign(None, &outgoing).unwrap()), body).unwrap().id);
    }
    assert_eq!(ids, [EventId::of_body(body), EventId::of_body(body)]);
    let (source, problems) =
        parsed("preset: hmac\nid: X-Delivery\ntype: X-Event\nsecrets: [\"${env:SECRET_OF_SIXTEEN}\"]");
    let source = source.unwrap();
    assert!(problems.iter().any(|problem| problem.contains("not signed")), "{problems:?}");
    let event = signed(&source, b"{}");
    assert_eq!((&event.id, &*event.kind), (&EventId::of_body(b"{}"), "release.published"));
}

#[test]
fn hmac_finds_what_it_is_told() {
    let yaml =
        "preset: hmac\nid: $.meta.no\ntype: $.meta.what\ntime: $.meta.when\nsecrets: [\"${env:SECRET_OF_SIXTEEN}\"]";
    let (source, problems) = parsed(yaml);
    assert_eq!(problems, Vec::<String>::new());
    let event =
        signed(&source.unwrap(), br#"{"id":"x","meta":{"no":42,"what":"order.paid","when":"2026-01-05T09:00:00Z"}}"#);
    assert_eq!((event.id.as_str(), &*event.kind), ("42", "order.paid"));
    assert_eq!(event.created.to_string(), "2026-01-05T09:00:00Z");
}

proptest! {
    #[test]
    fn whatever_is_signed_is_an_event_that_can_be_kept(body in r#"\{("(type|event|id|created|data|timestamp)":("[a-z.\\u0-9]{0,8}"|[0-9]{1,25}|-1e9|null|\{\}|\[1\]),?){0,5}\}"#) {
        let event = jewelmusic(&body);
        prop_assert!(!event.kind.is_empty() && event.kind.len() <= fanfare::event::TYPE_MAX);
        prop_assert!(!event.id.as_str().is_empty() && event.id.as_str().len() <= 256);
        prop_assert!(!event.id.as_str().contains('\0') && !event.kind.contains('\0'));
        prop_assert!(&*event.kind == UNPARSED || !event.kind.starts_with("fanfare."));
        prop_assert_eq!(event.body.is_object(), &*event.kind != UNPARSED);
    }
}
