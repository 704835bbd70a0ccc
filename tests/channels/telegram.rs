//! Whole cases in Telegram, over the wire, and what is wrong with a destination.

use std::sync::Arc;

use fanfare::channels::Form;
use fanfare::channels::wire::{Guard, Wire};
use fanfare::clock::VirtualClock;
use fanfare::delivery::{AttemptOutcome, MessageOp, State};
use serde_json::json;

use super::destinations::{self, Destination, build};
use super::house::{House, start};
use super::judges::telegram::{GROUP, TOKEN, TelegramPeer};
use super::slack::{deliver, of_case};
use crate::support::sending::Given;

fn bot(peer: &TelegramPeer, chat: &str) -> Destination {
    build("telegram", &format!("type: telegram\ntoken: {TOKEN}\nurl: {}\n{chat}", peer.http.url("")))
}

#[tokio::test]
async fn a_case_is_a_message_with_its_answers_in_its_topic_and_is_marked_when_it_closes() {
    let peer = TelegramPeer::start().await;
    let bot = bot(&peer, &format!("chat: \"{GROUP}\"\ntopic: 5\n"));
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    for act in [MessageOp::Again, MessageOp::Close] {
        let given = Given { receipt: receipt.clone(), ..of_case(act) };
        assert_eq!(deliver(&bot, &given).await.outcome, AttemptOutcome::Delivered);
    }
    let messages = peer.service().messages;
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].topic, messages[0].answers, messages[0].edits), (Some(5), None, 1));
    assert!(messages[0].text.starts_with("☑️ Closed: Midnight City is live"), "{}", messages[0].text);
    assert_eq!((messages[1].topic, messages[1].answers, messages[1].edits), (Some(5), Some(messages[0].id), 0));
    peer.assert_clean();
}

#[tokio::test]
async fn a_close_is_an_answer_where_the_edit_is_refused_and_nothing_where_the_chat_is_another_now() {
    let peer = TelegramPeer::start().await;
    let first = bot(&peer, "chat: \"@label_news\"\n");
    let receipt = deliver(&first, &of_case(MessageOp::Open)).await.receipt;
    let close = Given { receipt, form: Form::Plain, ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&first, &close).await.outcome, AttemptOutcome::Delivered);
    let messages = peer.service().messages;
    assert_eq!(messages[1].answers, Some(messages[0].id));
    // The same bot, with another chat in its configuration.
    let second = bot(&peer, &format!("chat: \"{GROUP}\"\n"));
    let close = Given { form: Form::Rich, ..close };
    assert_eq!(deliver(&second, &close).await.outcome, AttemptOutcome::Delivered);
    assert_eq!((peer.service().messages.len(), peer.service().messages[0].edits), (2, 0));
    peer.assert_clean();
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_followed_and_its_new_number_is_said() {
    let peer = TelegramPeer::start().await;
    peer.change(|telegram| telegram.former = Some(-42));
    let keys = format!("type: telegram\ntoken: {TOKEN}\nurl: {}\nchat: \"-42\"\n", peer.http.url(""));
    let wire = Arc::new(Wire::new(Guard::default()).unwrap());
    let house = House::new(&[("group", keys.clone())], &VirtualClock::new(start()), wire).await;
    house.receive(2).await;
    house.until_done().await;
    for delivery in house.deliveries().await {
        assert_eq!((delivery.state, delivery.attempts), (State::Delivered, 1), "{delivery:#?}");
        let answer = house.answers(&delivery).await;
        assert!(answer[0].ends_with(&format!("write `chat: \"{GROUP}\"`")), "{answer:?}");
    }
    assert_eq!(peer.service().messages.len(), 2);
    // What follows in a case knows the group by its former number.
    let bot = build("group", &keys);
    let receipt = json!({"message_id": 1001, "chat_id": GROUP, "moved_from": -42}).as_object().cloned();
    for act in [MessageOp::Again, MessageOp::Close] {
        let given = Given { receipt: receipt.clone(), ..of_case(act) };
        assert_eq!(deliver(&bot, &given).await.outcome, AttemptOutcome::Delivered);
    }
    let messages = peer.service().messages;
    assert_eq!((messages[0].edits, messages[2].answers), (1, Some(1001)));
    // A drill follows nothing: it says what to change.
    let verdict = deliver(&bot, &Given::default()).await;
    assert_eq!(verdict.outcome, AttemptOutcome::Temporary);
    assert_eq!(verdict.reason, format!("the group has become a supergroup: write `chat: \"{GROUP}\"`"));
    peer.assert_clean();
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    let with = |keys: &str| format!("type: telegram\n{keys}\n");
    for (yaml, expected) in [
        (with("chat: \"1\""), "the destination has no `token`"),
        (with(&format!("token: {TOKEN}")), "the destination has no `chat`"),
        (with(&format!("token: bot{TOKEN}\nchat: \"1\"")), "this is not the token of a Telegram bot"),
        (with(&format!("token: {TOKEN}\nchat: the group")), "this is not a chat in Telegram"),
        (with(&format!("token: {TOKEN}\nchat: https://t.me/c/1234567890/5")), "a link to a place in Telegram"),
        (with(&format!("token: {TOKEN}\nchat: \"1\"\ntopic: general")), "this is not the number of a topic"),
        (format!("type: slack\ntoken: {TOKEN}\nchannel: a\n"), "`token` is the token of a Telegram bot"),
    ] {
        let said = destinations::problems(&yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}
