//! What providers publish, written out.

use fanfare::secret::Secret;
use fanfare::source::scheme::Outgoing;
use fanfare::source::{Refusal, Request, Source, open, presets};
use jiff::Timestamp;

use super::headers;

fn source(preset: &str, secret: &str) -> Source {
    Source::of("them", presets::named(preset).unwrap(), vec![Secret::new(secret)])
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn the_example_of_github_s_documentation_verifies() {
    let github = source("github", "It's a Secret to Everybody");
    let headers = headers(&[
        ("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
        ("X-GitHub-Event", "ping"),
    ]);
    let event = open(&github, &Request { headers: &headers, body: b"Hello, World!" }, at(0)).unwrap();
    assert_eq!((&*event.kind, &*event.raw), ("fanfare.unparsed", &b"Hello, World!"[..]));
}

#[test]
fn the_reference_vector_of_standard_webhooks_verifies_and_is_what_we_sign() {
    let theirs = source("standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let body = br#"{"test": 2432232314}"#;
    let pairs = [
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
    ];
    let headers = headers(&pairs);
    let event = open(&theirs, &Request { headers: &headers, body }, at(1_614_265_400)).unwrap();
    assert_eq!(event.id.as_str(), "msg_p5jXN8AQM9LWM0D4loKWxJek");
    let outgoing = Outgoing { id: pairs[1].1, kind: "", body, at: at(1_614_265_330) };
    let ours = theirs.sign(None, &outgoing).unwrap();
    assert_eq!(ours, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// The vector of the tests of Stripe's own libraries, its retired `v0` and all.
#[test]
fn the_vector_of_stripe_s_libraries_verifies() {
    let stripe = source("stripe", "webhook_secret");
    let signature = "t=1533204620,v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613,\
                     v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef";
    let headers = headers(&[("Stripe-Signature", signature)]);
    let body = include_bytes!("stripe.json");
    let event = open(&stripe, &Request { headers: &headers, body }, at(1_533_204_720)).unwrap();
    assert_eq!((event.id.as_str(), &*event.kind), ("evt_123", "invoiceitem.created"));
    assert_eq!(event.created, at(1_533_204_620));
}

/// The vector of the tests of PagerDuty's own Go library; while a secret is rotated, another code stands beside it.
#[test]
fn the_vector_of_pagerduty_s_library_verifies() {
    let pagerduty = source("pagerduty", "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK");
    let body = include_bytes!("pagerduty.json");
    let code = "v1=0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd";
    let other = "v1=7020c8a7ec668a9b7012bc3dd82e483394b038f4230acc6785efbf2a7d8bcaf5";
    for value in [code.to_owned(), format!("{other},{code}"), format!("{code}, {other}")] {
        let headers = headers(&[("X-PagerDuty-Signature", value.as_str())]);
        let event = open(&pagerduty, &Request { headers: &headers, body }, at(1_619_458_600)).unwrap();
        assert_eq!((event.id.as_str(), &*event.kind), ("01BWDWL3NYY7LUFPZCC28QUCMK", "incident.priority_updated"));
        assert_eq!(event.created.to_string(), "2021-04-26T17:36:27.458Z");
    }
    let forged = headers(&[("X-PagerDuty-Signature", other)]);
    assert!(open(&pagerduty, &Request { headers: &forged, body }, at(1_619_458_600)).is_err());
    let outgoing = Outgoing { id: "", kind: "incident.priority_updated", body, at: at(0) };
    assert_eq!(pagerduty.sign(None, &outgoing).unwrap(), [("x-pagerduty-signature".to_owned(), code.to_owned())]);
}

/// The verifying functions of JewelMusic's JavaScript, Python and Java SDKs all accept this one.
#[test]
fn what_the_sdks_verify_verifies() {
    let jewelmusic = source("jewelmusic", "whsec-sdk-äöü-4f1d2c");
    let body = r#"{"id":"evt_sdk_1","type":"release.live","timestamp":"2026-01-05T10:00:00Z","data":{"release":{"id":"rel_1","title":"Río Abajo","artist":"Joana Vale"}}}"#;
    let timed = "t=1767607200,v1=f34afe659bc55c2a5ea56c82d2de8aba5c8da1e4fa63785555d57750ef2990a2";
    let page = "sha256=14919432c3a9b9c198774e8f530cdef2383fd9fc84a235f1be5013711a58231e";
    let mut events = Vec::new();
    for value in [timed, page] {
        let headers = headers(&[("X-JewelMusic-Signature", value)]);
        let request = Request { headers: &headers, body: body.as_bytes() };
        events.push(open(&jewelmusic, &request, at(1_767_607_300)).unwrap());
    }
    let outgoing = Outgoing { id: "", kind: "release.live", body: body.as_bytes(), at: at(1_767_607_200) };
    for (scheme, value) in [("jewelmusic:t,v1", timed), ("jewelmusic:sha256", page)] {
        assert_eq!(jewelmusic.sign(Some(scheme), &outgoing).unwrap()[0].1, value);
    }
    assert_eq!(events[0].id, events[1].id);
    assert_eq!(events[0].created, at(1_767_607_200));
}

/// As LabelGrid's page says that it signs, with a code that OpenSSL made.
#[test]
fn what_labelgrid_sends_verifies_and_has_the_names_of_other_senders() {
    let labelgrid = source("labelgrid", "labelgrid-secret-4f1d2c");
    let body = br#"{"event":"delivery.failed","timestamp":"2026-01-05T10:00:00+00:00","webhook_id":7,"data":{"release_id":4711,"release_title":"Salt on the Window","outlet_name":"Beatport","status":"failed","message":"artwork too small"}}"#;
    let code = "f334a789fe187ee1e85c765e831bcd36c38cdacf4b7ad7412e16fa8ed5574554";
    let signed = headers(&[("X-Webhook-Signature", code), ("X-Webhook-Event", "takedown.completed")]);
    let event = open(&labelgrid, &Request { headers: &signed, body }, at(1_767_607_300)).unwrap();
    // The header is not signed, and not believed.
    assert_eq!((&*event.kind, event.created), ("delivery.failed", at(1_767_607_200)));
    let again = open(&labelgrid, &Request { headers: &signed, body }, at(1_767_607_900)).unwrap();
    assert_eq!(event.id, again.id, "it has no id of its own, and is known by its body");
    for code in ["", &code[1..], &code.replace('a', "b")] {
        let forged = headers(&[("X-Webhook-Signature", code)]);
        assert!(open(&labelgrid, &Request { headers: &forged, body }, at(1_767_607_300)).is_err());
    }
    assert!(
        open(
            &labelgrid,
            &Request { headers: &headers(&[("X-Webhook-Event", "delivery.failed")]), body },
            at(1_767_607_300)
        )
        .is_err()
    );
    let names = presets::preset_names("labelgrid").iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(names, ["release", "title", "store"]);
    let outgoing = Outgoing { id: "", kind: "delivery.failed", body, at: at(1_767_607_200) };
    assert!(labelgrid.sign(None, &outgoing).unwrap().contains(&("x-webhook-signature".to_owned(), code.to_owned())));
}

/// As Royalti.io's page says that it signs, with a code that OpenSSL made; and what it leaves unsigned.
#[test]
fn what_royalti_signs_verifies_and_what_it_leaves_unsigned_is_taken_only_where_that_is_listed() {
    let mut royalti = source("royalti", "royalti-secret-91c07e");
    let body = br#"{"event":"PAYMENT_COMPLETED","timestamp":"2026-01-05T10:00:00.000Z","data":{"amount":1250.5,"currency":"EUR"}}"#;
    let code = "b016d9cdbc384551a838653f8649d4305fb3a7ebdd4060e00e4aac336ee1747c";
    let signed = headers(&[("X-Royalti-Signature", code)]);
    let event = open(&royalti, &Request { headers: &signed, body }, at(1_767_607_300)).unwrap();
    assert_eq!(
        (&*event.kind, event.created, &*event.proof),
        ("PAYMENT_COMPLETED", at(1_767_607_200), "royalti secret 1")
    );
    let asset = br#"{"event":"ASSET_CREATED","id":"evt_1","data":{"title":"Salt on the Window"}}"#;
    let bare = headers::<&str, &str>(&[]);
    let take = |source: &Source, headers, body: &[u8]| open(source, &Request { headers, body }, at(1_767_607_300));
    assert_eq!(take(&royalti, &bare, asset).unwrap_err(), Refusal::Unsigned);
    assert!(!royalti.may_be_taken(&bare));

    royalti.unsigned = vec!["ASSET_CREATED".into()];
    assert!(royalti.may_be_taken(&bare));
    let event = take(&royalti, &bare, asset).unwrap();
    assert_eq!((&*event.kind, &*event.proof), ("ASSET_CREATED", "unsigned"));
    assert_eq!(event.id, take(&royalti, &bare, asset).unwrap().id, "it is known by its body, and by no id of its own");
    assert_ne!(event.id.as_str(), "evt_1");
    // Money stays signed, and a wrong signature is refused whatever it is about.
    assert_eq!(take(&royalti, &bare, body).unwrap_err(), Refusal::Unsigned);
    assert_eq!(take(&royalti, &bare, b"not an event").unwrap_err(), Refusal::Unsigned);
    assert_eq!(take(&royalti, &signed, asset).unwrap_err(), Refusal::Signature);
}
