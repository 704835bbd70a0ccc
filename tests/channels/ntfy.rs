//! Whole cases by ntfy, over the wire, and what is wrong with a destination.

use fanfare::delivery::{AttemptOutcome, MessageOp};

use super::destinations::{self, Destination, build};
use super::judges::ntfy::{NtfyPeer, TOKEN};
use super::slack::{deliver, of_case};
use crate::support::sending::Given;

fn topic(peer: &NtfyPeer) -> Destination {
    build("ntfy", &format!("type: ntfy\nurl: {}\ntopic: oncall\ntoken: {TOKEN}\n", peer.http.url("")))
}

#[tokio::test]
async fn a_reminder_rings_by_itself_and_a_close_replaces_the_first_notification() {
    let peer = NtfyPeer::start().await;
    let oncall = topic(&peer);
    let receipt = deliver(&oncall, &of_case(MessageOp::Open)).await.receipt;
    let again = Given { receipt: receipt.clone(), ..of_case(MessageOp::Again) };
    assert_eq!(deliver(&oncall, &again).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.service().shown.len(), 2);
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&oncall, &close).await.outcome, AttemptOutcome::Delivered);
    let shown = peer.service().shown;
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!((&shown[1].1[..], &shown[1].2["title"]), ("case_1", &"Closed: Midnight City is live".into()));
    assert_eq!(shown[1].2["priority"], 2);
    peer.assert_clean();
}

#[tokio::test]
async fn a_message_without_an_answer_is_sent_again_and_shown_once() {
    let peer = NtfyPeer::start().await;
    let oncall = topic(&peer);
    peer.http.lose_answers(1);
    assert_eq!(deliver(&oncall, &Given::default()).await.outcome, AttemptOutcome::Ambiguous);
    assert_eq!(deliver(&oncall, &Given::default()).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.service().shown.len(), 1);
    peer.assert_clean();
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    for (yaml, expected) in [
        ("type: ntfy\n", "the destination has no `topic`"),
        ("type: ntfy\ntopic: on call\n", "this is not a topic of ntfy"),
        ("type: ntfy\ntopic: https://ntfy.sh/oncall-FAKE\n", "`topic` is the address of a topic"),
        ("type: ntfy\ntopic: oncall\nurl: https://ntfy.label.example/oncall-FAKE\n", "a path follows it"),
        ("type: ntfy\ntopic: oncall\ntoken: two words FAKE\n", "this is not a token"),
        ("type: ntfy\ntopic: tk_FAKE7ZkT4mW9sB2xN6vC1aaaaaaaa\n", "`topic` is an access token of ntfy"),
    ] {
        let said = destinations::problems(yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}
