//! Whole alerts in Jira Service Management, over the wire, and what is wrong with a destination.

use fanfare::channels::Form;
use fanfare::delivery::{AttemptOutcome, MessageOp};
use serde_json::json;

use super::destinations::{self, Destination, build};
use super::judges::jsm::{JsmPeer, KEY};
use super::slack::{deliver, of_case};
use crate::support::sending::Given;

fn ops(peer: &JsmPeer, more: &str) -> Destination {
    let url = peer.http.url("/jsm/ops/integration/v2");
    build("jsm", &format!("type: jsm\napi_key: {KEY}\nurl: {url}\n{more}"))
}

#[tokio::test]
async fn a_case_is_an_alert_with_a_note_for_each_later_message_and_is_closed() {
    let peer = JsmPeer::start().await;
    let ops = ops(&peer, "responders: [team:Label Ops, \"user:ann@label.example\"]\n");
    let mut given = of_case(MessageOp::Open);
    for act in [MessageOp::Open, MessageOp::Again, MessageOp::Close] {
        given.act = act;
        assert_eq!(deliver(&ops, &given).await.outcome, AttemptOutcome::Delivered);
        given.receipt = ops.channel.remembers(&given.sending());
    }
    let alerts = peer.service().alerts;
    assert_eq!((alerts.len(), alerts[0].count, alerts[0].is_open), (1, 1, false));
    assert_eq!(alerts[0].alias, "case_1");
    assert!(alerts[0].notes[0].starts_with("Midnight City is live"), "{:?}", alerts[0].notes);
    let responders = json!([{"type": "team", "name": "Label Ops"}, {"type": "user", "username": "ann@label.example"}]);
    assert_eq!(alerts[0].body["responders"], responders);
    peer.assert_clean();
}

#[tokio::test]
async fn an_alert_that_is_sent_again_stays_one_and_a_strange_alias_is_found_again() {
    let peer = JsmPeer::start().await;
    let ops = ops(&peer, "priority: P2\n");
    peer.http.lose_answers(1);
    for form in [Form::Rich, Form::Plain] {
        deliver(&ops, &Given { form, lane: Some("a/b ü?".into()), ..of_case(MessageOp::Open) }).await;
    }
    assert_eq!((peer.service().alerts.len(), peer.service().alerts[0].count), (1, 2));
    assert_eq!(peer.service().alerts[0].body["priority"], "P2");
    let close = Given { lane: Some("a/b ü?".into()), ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&ops, &close).await.outcome, AttemptOutcome::Delivered);
    assert!(!peer.service().alerts[0].is_open);
    peer.assert_clean();
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    let with = |keys: &str| format!("type: jsm\napi_key: {KEY}\n{keys}\n");
    for (yaml, expected) in [
        ("type: jsm\n".to_owned(), "the destination has no `api_key`"),
        ("type: jsm\napi_key: GenieKey FAKE\n".to_owned(), "this is not the key of an integration"),
        (with("responders: Label Ops"), "`Label Ops` is nobody who can be alerted"),
        (with("priority: P6"), "`P6` is not a priority"),
        (with("url: https://api.eu.opsgenie.com/v2"), "Opsgenie ends on 5 April 2027"),
    ] {
        let said = destinations::problems(&yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}
