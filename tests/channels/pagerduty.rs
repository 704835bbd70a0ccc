//! Whole incidents at PagerDuty, over the wire, and what is wrong with a destination.

use fanfare::channels::Form;
use fanfare::delivery::{AttemptOutcome, MessageOp};
use serde_json::json;

use super::destinations::{self, Destination, build};
use super::slack::{deliver, of_case};
use crate::support::http_peer::Answer;
use crate::support::pagerduty_peer::{PagerDutyPeer, ROUTING_KEY, SECOND_ROUTING_KEY};
use crate::support::sending::Given;

fn service(peer: &PagerDutyPeer) -> Destination {
    build("pagerduty", &format!("type: pagerduty\nrouting_key: {ROUTING_KEY}\nurl: {}\n", peer.url()))
}

#[tokio::test]
async fn a_case_is_one_incident_however_often_it_is_reported_and_is_resolved() {
    let peer = PagerDutyPeer::start().await;
    let oncall = service(&peer);
    let receipt = deliver(&oncall, &of_case(MessageOp::Open)).await.receipt;
    assert_eq!(receipt.as_ref().map(|receipt| receipt["dedup_key"].clone()), Some(json!("case_1")));
    let again = Given { receipt: receipt.clone(), ..of_case(MessageOp::Again) };
    assert_eq!(deliver(&oncall, &again).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.pagerduty().open(), ["case_1"]);
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&oncall, &close).await.outcome, AttemptOutcome::Delivered);
    let pagerduty = peer.pagerduty();
    assert_eq!((pagerduty.incidents.len(), pagerduty.incidents[0].triggers, pagerduty.open().len()), (1, 2, 0));
    peer.assert_clean();
}

#[tokio::test]
async fn a_page_without_an_answer_is_sent_again_and_pages_once() {
    let peer = PagerDutyPeer::start().await;
    let oncall = service(&peer);
    peer.http.lose_answers(1);
    assert_eq!(deliver(&oncall, &Given::default()).await.outcome, AttemptOutcome::Ambiguous);
    assert_eq!(deliver(&oncall, &Given::default()).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.pagerduty().incidents.len(), 1);
    // Without a case, the delivery itself is the incident.
    assert_eq!(peer.pagerduty().open(), [Given::default().id.as_str()]);
    peer.assert_clean();
}

#[tokio::test]
async fn a_close_meets_the_service_that_was_paged_whatever_its_own_event_chooses() {
    let peer = PagerDutyPeer::start().await;
    let yaml = format!(
        "type: pagerduty\nrouting_key: {{by: label, map: {{Warp: {SECOND_ROUTING_KEY}}}, else: {ROUTING_KEY}}}\nurl: {}\n",
        peer.url()
    );
    let oncall = build("pagerduty", &yaml);
    let context = json!({"label": "Warp"}).as_object().unwrap().clone();
    let receipt = deliver(&oncall, &Given { context, ..of_case(MessageOp::Open) }).await.receipt;
    assert_eq!(peer.pagerduty().incidents[0].routing_key, SECOND_ROUTING_KEY);
    deliver(&oncall, &Given { receipt, ..of_case(MessageOp::Close) }).await;
    assert_eq!((peer.pagerduty().open().len(), peer.pagerduty().dropped), (0, 0));
    peer.assert_clean();
}

#[tokio::test]
async fn what_is_refused_for_its_form_pages_in_the_plain_one() {
    let peer = PagerDutyPeer::start().await;
    let oncall = service(&peer);
    let refusal = json!({"status": "invalid event", "errors": ["'links' is invalid"]});
    peer.http.answer(Answer::status(400).json(&refusal));
    assert_eq!(deliver(&oncall, &of_case(MessageOp::Open)).await.outcome, AttemptOutcome::Refused);
    let plain = Given { form: Form::Plain, ..of_case(MessageOp::Open) };
    assert_eq!(deliver(&oncall, &plain).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.pagerduty().incidents[0].summary, "Midnight City is live");
    let sent = peer.http.requests()[1].json();
    assert!(sent.get("links").is_none() && sent.get("images").is_none(), "{sent}");
    peer.assert_clean();
}

#[tokio::test]
async fn a_key_of_a_case_that_is_too_long_is_the_same_key_each_time() {
    let peer = PagerDutyPeer::start().await;
    let oncall = service(&peer);
    for act in [MessageOp::Open, MessageOp::Again, MessageOp::Close] {
        let given = Given { lane: Some("a very long key ".repeat(40)), ..of_case(act) };
        assert_eq!(deliver(&oncall, &given).await.outcome, AttemptOutcome::Delivered);
    }
    assert_eq!((peer.pagerduty().incidents.len(), peer.pagerduty().open().len()), (1, 0));
    peer.assert_clean();
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    for (yaml, expected) in [
        ("type: pagerduty\n", "the destination has no `routing_key`"),
        ("type: pagerduty\nrouting_key: short\n", "a routing key has 32 characters, and this one has 5"),
        ("type: pagerduty\nrouting_key: [a]\n", "expected an integration key"),
        ("type: pagerduty\nrouting_key: 0123456789abcdef0123456789abcdef\nurl: eu\n", "this URL can't be posted to"),
        ("type: pagerduty\nrouting_key: 0123456789abcdef0123456789abcdef\nregion: eu\n", "has no key `region`"),
    ] {
        let said = destinations::problems(yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
    }
}
