//! Whole cases in Google Chat, over the wire, and what is wrong with a destination.

use fanfare::delivery::{AttemptOutcome, MessageOp};

use super::destinations::{self, Destination, build};
use super::judges::google_chat::{GoogleChatPeer, WEBHOOK};
use super::slack::{deliver, of_case};
use crate::support::sending::Given;

fn space(peer: &GoogleChatPeer) -> Destination {
    build("google_chat", &format!("type: google_chat\nwebhook_url: {}\n", peer.http.url(WEBHOOK)))
}

#[tokio::test]
async fn messages_of_a_case_stand_in_one_thread_without_anything_remembered() {
    let peer = GoogleChatPeer::start().await;
    let space = space(&peer);
    for (act, id) in [(MessageOp::Open, "dlv_1"), (MessageOp::Again, "dlv_2"), (MessageOp::Close, "dlv_3")] {
        let mut given = of_case(act);
        given.id.0 = id.into();
        assert_eq!(deliver(&space, &given).await.outcome, AttemptOutcome::Delivered);
    }
    let threads: Vec<_> = peer.service().messages.iter().map(|message| message.thread.clone()).collect();
    assert_eq!(threads, [Some("case_1".to_owned()), Some("case_1".to_owned())], "and a close adds nothing");
    peer.assert_clean();
}

#[tokio::test]
async fn a_message_without_an_answer_is_sent_again_and_stands_there_once() {
    let peer = GoogleChatPeer::start().await;
    let space = space(&peer);
    peer.http.lose_answers(1);
    assert_eq!(deliver(&space, &Given::default()).await.outcome, AttemptOutcome::Ambiguous);
    assert_eq!(deliver(&space, &Given::default()).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.service().messages.len(), 1);
    peer.assert_clean();
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    for (url, expected) in [
        ("", "the destination has no `webhook_url`"),
        ("https://chat.googleapis.com/v1/spaces/AAAA/messages?key=FAKE", "`token` is missing"),
        ("https://chat.label.example/hook?key=FAKE&token=FAKE", "this is not a webhook URL"),
        ("https://mail.google.com/chat/u/0/#chat/space/AAAA", "a link to a space"),
        ("xoxb-1-FAKE", "the token of a Slack bot"),
    ] {
        let url = if url.is_empty() { String::new() } else { format!("webhook_url: \"{url}\"\n") };
        let said = destinations::problems(&format!("type: google_chat\n{url}"));
        assert!(said.len() == 1 && said[0].contains(expected), "{url} gives {said:#?}");
        assert!(!said[0].contains("FAKE"), "{said:?}");
    }
}
