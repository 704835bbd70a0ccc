//! Text messages by Twilio: what they say, what they cost, and what is wrong with a destination.

use std::sync::Arc;

use fanfare::channels::wire::{Guard, Wire};
use fanfare::clock::{Clock, VirtualClock};
use fanfare::delivery::{AttemptOutcome, State};
use jiff::SignedDuration;
use jiff::fmt::rfc2822;

use super::destinations::{self, Destination, build};
use super::house::{House, start};
use super::judges::twilio::TwilioPeer;
use super::slack::deliver;
use crate::support::http_peer::Answer;
use crate::support::sending::Given;

const LOGIN: &str = "account_sid: AC0123456789abcdef0123456789abcdef\nauth_token: FAKE456789abcdef0123456789abcdef\n";

fn phone(peer: &TwilioPeer) -> Destination {
    let url = peer.http.url("");
    let keys = "from: \"+15005550006\"\nto: \"+49 (30) 123-456-789\"\n";
    build("twilio", &format!("type: twilio\nurl: {url}\n{LOGIN}{keys}"))
}

fn titled(title: &str) -> Given {
    let mut given = Given::default();
    given.rendered.message.title = title.into();
    given.rendered.message.body.clear();
    given.rendered.message.fields.clear();
    given.rendered.message.link = None;
    given
}

#[tokio::test]
async fn typography_and_pictures_cost_nothing_where_the_rest_is_plain() {
    let peer = TwilioPeer::start().await;
    let phone = phone(&peer);
    for (title, said) in [
        ("“Lanterns” – it’s live… 🎉", "\"Lanterns\" - it's live... "),
        ("Beyoncé, façade, Ångström €5", "Beyoncé, facade, Ångström €5"),
        ("שירים חדשים", "שירים חדשים"),
        ("🎉", "🎉"),
    ] {
        assert_eq!(deliver(&phone, &titled(title)).await.outcome, AttemptOutcome::Delivered);
        assert_eq!(peer.service().texts.last().map(String::as_str), Some(said));
    }
    peer.assert_clean();
}

/// Sends a text by the program, which loses no time with waiting; gives how many attempts it took.
async fn send(peer: &TwilioPeer) -> u32 {
    send_to(peer, "\"+4930123456789\"").await.1
}

/// The same to these numbers; gives what became of it, too.
async fn send_to(peer: &TwilioPeer, to: &str) -> (House, u32) {
    let keys = format!("type: twilio\nurl: {}\n{LOGIN}from: \"+15005550006\"\nto: {to}\n", peer.http.url(""));
    let wire = Arc::new(Wire::new(Guard::default()).unwrap());
    let house = House::new(&[("phone", keys)], &VirtualClock::new(start()), wire).await;
    house.receive(1).await;
    house.until_done().await;
    let all = house.deliveries().await;
    assert_eq!(all[0].state, State::Delivered, "{all:#?}");
    (house, all[0].attempts)
}

#[tokio::test]
async fn several_people_get_a_text_each_and_nobody_gets_it_twice() {
    const TO: &str = "[\"+4930123456781\", \"+4930123456782\", \"+4930123456781\", \"+4930123456783\"]";
    let phones = ["+4930123456781", "+4930123456782", "+4930123456783"];
    let peer = at(start()).await;
    let (house, attempts) = send_to(&peer, TO).await;
    assert_eq!((attempts, peer.service().phones), (3, phones.map(str::to_owned).to_vec()));
    // None waits as what failed waits.
    let took = house.clock.now().duration_since(start());
    assert!(took < SignedDuration::from_secs(5), "{took:#}");
    peer.assert_clean();
    // Where the end of one is unclear, it is looked for.
    let peer = at(start()).await;
    peer.http.lose_answers(2);
    send_to(&peer, TO).await;
    assert_eq!(peer.service().phones, phones);
}

#[tokio::test]
async fn who_wants_no_more_is_said_and_the_others_get_theirs() {
    let peer = at(start()).await;
    peer.change(|twilio| twilio.stopped = vec!["+4930123456781".into()]);
    let (house, attempts) = send_to(&peer, "[\"+4930123456781\", \"+4930123456782\"]").await;
    assert_eq!((attempts, peer.service().phones), (2, vec!["+4930123456782".to_owned()]));
    let answers = house.answers(&house.deliveries().await[0]).await;
    assert!(answers[0].contains("21610") && answers[0].ends_with("; 1 more to go"), "{answers:?}");
}

async fn at(created: jiff::Timestamp) -> TwilioPeer {
    let peer = TwilioPeer::start().await;
    let created = rfc2822::DateTimePrinter::new().timestamp_to_string(&created).unwrap();
    peer.change(|twilio| twilio.created = created);
    peer
}

#[tokio::test]
async fn a_text_whose_end_is_unclear_is_looked_for_and_not_sent_again_blindly() {
    let peer = at(start()).await;
    peer.http.lose_answers(1);
    assert_eq!(send(&peer).await, 2);
    assert_eq!(peer.service().texts.len(), 1, "it got through the first time");
    // While nobody can look, nothing is sent.
    let peer = at(start()).await;
    peer.http.answer(Answer::status(500)).answer(Answer::status(503)).answer(Answer::status(503));
    assert_eq!(send(&peer).await, 4);
    let methods: Vec<String> = peer.http.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET", "GET", "GET", "POST"]);
}

#[tokio::test]
async fn a_text_that_did_not_get_through_is_sent_again() {
    // The one that stands there is an older one with the same words.
    let peer = at(start() - jiff::SignedDuration::from_mins(5)).await;
    peer.change(|twilio| twilio.texts.push("[success] evt_0 is live".into()));
    peer.http.answer(Answer::status(500));
    assert_eq!(send(&peer).await, 2);
    assert_eq!(peer.service().texts.len(), 2);
    // A key that may send need not be one that may read.
    let peer = at(start()).await;
    peer.http.answer(Answer::status(500)).answer(Answer::status(403));
    assert_eq!(send(&peer).await, 2);
    assert_eq!(peer.service().texts.len(), 1);
}

#[test]
fn a_preview_says_how_many_segments_are_paid_for_and_there_are_two_at_most() {
    let phone = destinations::one("twilio");
    for (title, segments) in [
        ("x".repeat(160), "segments: 1"),
        ("x".repeat(161), "segments: 2"),
        ("x ".repeat(5000), "segments: 2"),
        ("ש".repeat(70), "segments: 1"),
        ("ש".repeat(5000), "segments: 2"),
    ] {
        let request = phone.channel.compose(&titled(&title).sending()).unwrap();
        let picture = phone.kind.picture(&request).unwrap();
        assert!(picture.text.contains(&segments.to_owned()), "{segments}: {:?}", picture.text);
    }
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    let ends = "from: \"+15005550006\"\nto: \"+4930123456789\"\n";
    let sid = "0123456789abcdef0123456789abcdef";
    for (yaml, expected) in [
        (ends.to_owned(), "the destination has no `account_sid`"),
        (format!("account_sid: AC{sid}\n{ends}"), "the destination has no `auth_token`"),
        (format!("account_sid: AC1\nauth_token: FAKE\n{ends}"), "this is not such a SID of Twilio"),
        (format!("account_sid: SK{sid}\nauth_token: FAKE\n{ends}"), "`account_sid` is the SID of an API key of Twilio"),
        (format!("{LOGIN}api_key_sid: SK{sid}\n{ends}"), "an API key has an `api_key_sid` and an `api_key_secret`"),
        (format!("{LOGIN}to: \"+4930123456789\"\n"), "the destination has no `from`"),
        (format!("{LOGIN}messaging_service: MG{sid}\n{ends}"), "exclude each other"),
        (
            format!("{LOGIN}from: a\nto: [\"+4930123456789\", \"030 123456\"]\n"),
            "this is not a phone number with its country",
        ),
    ] {
        let said = destinations::problems(&format!("type: twilio\n{yaml}"));
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}
