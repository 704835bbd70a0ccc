//! What is held when a message is sent, whatever was planned: where a map may lead, and what an embargo holds back.

use std::sync::Arc;

use fanfare::channels::Request;
use fanfare::config::prepare::{Job, prepare};
use fanfare::delivery::{Addressed, Assignment, Delivery, DeliveryId, MessageOp, NewDelivery, Say, State};
use fanfare::event::Event;
use fanfare::store::Claim;
use jiff::Timestamp;
use serde_json::json;

use crate::message::event_of;

use super::{folder, loaded, now};

const CONFIG: &str = r##"
timezone: UTC
sources:
  jewelmusic: {preset: jewelmusic, secrets: "${env:S}"}
destinations:
  mail: {type: email, smtp: "${env:SMTP}", from: f@label.example, to: {map: managers, allow: "*@label.example"}}
  room: {type: slack, token: "${env:SLACK}", channel: {map: managers, allow: ["#*", "U*"]}, fallback: mailbox}
  phone: {type: twilio, account_sid: AC0123456789abcdef0123456789abcdef, auth_token: "${env:T}", from: "+15005550006", to: {map: managers, allow: "+49*"}, fallback: mailbox}
  chat: {type: telegram, token: "${env:TG}", chat: {map: chats, allow: "*"}}
  post: {type: mattermost, url: https://chat.label.example, token: fakeq7zkt4mw9sb2xn6vc1FAKE, channel: {map: posts, allow: "*"}}
  press: {type: email, smtp: "${env:SMTP}", from: f@label.example, to: p@press.example, external: true, embargo: until $.data.date}
  mailbox: {type: email, smtp: "${env:SMTP}", from: f@label.example, to: m@label.example}
"##;

const RULES: &str = r##"
people:
  sam: {email: sam@label.example, slack: U024BE7LH, phone: "+493012345678", timezone: America/New_York}
maps:
  managers: {by: $.data.artist, Mira: sam, else: sam}
  chats: {by: $.data.artist, else: "-1001234567890"}
  posts: {by: $.data.artist, else: 4xp9fdt77pncbef59f4k1qe83o}
rules:
  - {name: r, events: release.live, actions: {to: [mail, room, phone, chat, post, press], text: "Out {{ data.at|date('%H:%M') }}"}}
"##;

/// What would be sent to a destination at a moment, as `to` was planned.
fn prepared(destination: &str, to: Option<(&str, Option<&str>)>, at: Timestamp) -> Result<Request, String> {
    let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", RULES)]);
    let loaded = loaded(&folder);
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    let snapshot = Arc::new(loaded.snapshot.unwrap());
    let body =
        json!({"type": "release.live", "data": {"artist": "Mira", "date": "2026-02-01", "at": "2026-01-05T12:00:00Z"}});
    let event = Event { created: now(), received: now(), ..event_of("release.live", &body.to_string()) };
    let text = Say::Text("Out {{ data.at|date('%H:%M') }}".into());
    let address = |(address, person): (&str, Option<&str>)| Addressed {
        address: address.into(),
        person: person.map(str::to_owned),
    };
    let planned = NewDelivery {
        id: DeliveryId("dlv_1".into()),
        event: 1,
        rule: "r".into(),
        action: "a".into(),
        destination: destination.into(),
        act: MessageOp::Open,
        lane: None,
        due: now(),
        assignment: Assignment { to: to.map(address), ..Assignment::saying(text, 1) },
    };
    let delivery = Delivery {
        planned,
        state: State::Sending,
        next: at,
        attempts: 1,
        first_attempt: Some(at),
        counts_from: Some(at),
        message: None,
        plain: false,
        last_error: None,
        created: at,
        finished: None,
    };
    let claim = Claim { delivery, token: 0, until: at, receipt: None, shown: false };
    let known = snapshot.destinations[destination].clone();
    prepare(&Job::new(snapshot, known, claim, vec![(1, event)], at).unwrap()).request
}

fn body(request: &Request) -> String {
    String::from_utf8_lossy(request.body().unwrap()).into_owned()
}

#[test]
fn each_channel_sends_to_the_address_that_was_planned_and_a_person_reads_their_own_time() {
    let Ok(Request::Mail(mail)) = prepared("mail", Some(("sam@label.example", Some("sam"))), now()) else {
        panic!("no mail")
    };
    assert_eq!(mail.envelope_to, ["sam@label.example"]);
    let letter = String::from_utf8_lossy(&mail.message).into_owned();
    assert!(letter.contains("To: sam@label.example") && letter.contains("Out 07:00"), "{letter}");
    for (destination, to, wanted) in [
        ("room", "#halide", r##""channel":"#halide""##),
        ("room", "U024BE7LH", r#""channel":"U024BE7LH""#),
        ("phone", "+493012345678", "To=%2B493012345678"),
        ("chat", "-1001234567890", r#""chat_id":-1001234567890"#),
        ("post", "4xp9fdt77pncbef59f4k1qe83o", r#""channel_id":"4xp9fdt77pncbef59f4k1qe83o""#),
    ] {
        let sent = body(&prepared(destination, Some((to, None)), now()).unwrap());
        assert!(sent.contains(wanted) && sent.contains("12"), "{destination}: {sent}");
    }
}

#[test]
fn what_allow_does_not_let_through_is_not_sent_even_if_it_was_planned() {
    for (destination, to) in [
        ("mail", "sam@elsewhere.example"),
        ("mail", "sam@label.example,x@elsewhere.example"),
        ("mail", "#halide"),
        ("room", "C024BE7LH"),
        ("room", "https://hooks.slack.com/x"),
        ("phone", "+15005550001"),
    ] {
        let refused = prepared(destination, Some((to, None)), now()).map(|_| ()).unwrap_err();
        assert!(refused.contains("is outside of what `allow` in `fanfare.yaml` lets through"), "{to}: {refused}");
    }
    let refused = prepared("mail", None, now()).map(|_| ()).unwrap_err();
    assert_eq!(refused, "no address was chosen for it by the map `managers`");
}

#[test]
fn what_is_under_embargo_is_not_sent_even_if_it_was_planned() {
    let refused = prepared("press", None, "2026-01-31T23:59:59Z".parse().unwrap()).map(|_| ()).unwrap_err();
    assert_eq!(refused, "under embargo until 2026-02-01T00:00:00Z");
    assert!(prepared("press", None, "2026-02-01T00:00:00Z".parse().unwrap()).is_ok());
}
