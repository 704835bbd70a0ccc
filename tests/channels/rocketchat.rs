//! Whole cases in Rocket.Chat, over the wire, and what is wrong with a destination.

use fanfare::channels::Form;
use fanfare::delivery::{AttemptOutcome, MessageOp};
use serde_json::json;

use super::destinations::{self, Destination, build};
use super::judges::rocketchat::{ROOM, RocketChatPeer, TOKEN, USER, WEBHOOK};
use super::slack::{deliver, of_case};
use crate::support::http_peer::Answer;
use crate::support::sending::Given;

fn bot(peer: &RocketChatPeer) -> Destination {
    let url = peer.http.url("");
    let yaml = format!("type: rocketchat\nurl: {url}\ntoken: {TOKEN}\nuser_id: {USER}\nchannel: \"#releases\"\n");
    build("rocketchat", &yaml)
}

#[tokio::test]
async fn a_case_is_a_message_with_its_thread_and_is_marked_when_it_closes() {
    let peer = RocketChatPeer::start().await;
    let bot = bot(&peer);
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    assert_eq!(receipt.as_ref().unwrap()["rid"], ROOM);
    for act in [MessageOp::Again, MessageOp::Close] {
        let given = Given { receipt: receipt.clone(), ..of_case(act) };
        assert_eq!(deliver(&bot, &given).await.outcome, AttemptOutcome::Delivered);
    }
    let messages = peer.service().messages;
    assert_eq!((messages.len(), messages[0].edits, messages[1].edits), (2, 1, 0));
    assert!(messages[0].text.starts_with("☑️ **Closed: Midnight City is live**"), "{}", messages[0].text);
    assert_eq!(messages[1].thread.as_ref(), Some(&messages[0].id));
    peer.assert_clean();
}

#[tokio::test]
async fn a_close_is_said_in_the_thread_where_an_edit_is_refused_and_not_where_the_message_is_gone() {
    let peer = RocketChatPeer::start().await;
    let bot = bot(&peer);
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    for word in ["Message editing is blocked [error-message-editing-blocked]", "[error-action-not-allowed]"] {
        peer.http.answer(Answer::status(400).json(&json!({"success": false, "error": word})));
        assert_eq!(deliver(&bot, &close).await.outcome, AttemptOutcome::Refused, "{word}");
    }
    assert_eq!(deliver(&bot, &Given { form: Form::Plain, ..close.clone() }).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.service().messages[1].thread.as_ref(), Some(&peer.service().messages[0].id));
    peer.change(|server| server.messages.clear());
    assert_eq!(deliver(&bot, &close).await.outcome, AttemptOutcome::Delivered);
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    let with = |keys: &str| format!("type: rocketchat\n{keys}\n");
    let hook = format!("https://chat.label.example{WEBHOOK}");
    for (yaml, expected) in [
        (with(""), "the destination has no `webhook_url`"),
        (with("webhook_url: https://chat.label.example/channel/releases"), "this is not the URL of a webhook"),
        (with(&format!("webhook_url: {hook}\nchannel: \"#releases\"")), "`channel` and `url` need"),
        (with(&format!("webhook_url: {hook}\ntoken: {TOKEN}")), "exclude each other"),
        (with(&format!("token: {TOKEN}\nuser_id: {USER}\nchannel: \"#a\"")), "a bot has no `url`"),
        (with(&format!("token: {TOKEN}\nurl: https://chat.label.example\nchannel: \"#a\"")), "a bot has no `user_id`"),
        (
            with(&format!("token: {TOKEN}\nuser_id: ann lee\nurl: https://chat.label.example\nchannel: a")),
            "is not the id of a user",
        ),
        (
            with(&format!("token: {TOKEN}\nuser_id: {USER}\nurl: https://chat.label.example\nchannel: \"#\"")),
            "a channel's #name",
        ),
        (
            with("webhook_url: https://chat.label.example/hooks/fakeq7zkt4mw9sb2xn6vc1FAKE"),
            "the URL of a Mattermost webhook",
        ),
        (format!("type: mattermost\nwebhook_url: {hook}\n"), "the URL of a Rocket.Chat webhook"),
    ] {
        let said = destinations::problems(&yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}

#[test]
fn a_value_is_no_markup_and_most_are_sent_as_they_are() {
    let bot = destinations::one("rocketchat");
    let title = |value: &str| {
        let mut given = Given::default();
        given.rendered.message.title = value.into();
        let request = bot.channel.compose(&given.sending()).unwrap();
        let body: serde_json::Value = serde_json::from_slice(request.body().unwrap()).unwrap();
        let text = body["text"].as_str().unwrap().lines().next().unwrap().to_owned();
        text.trim_start_matches("✅ ").replace("**", "").replace('\u{2060}', "¦")
    };
    for plain in ["Invoice paid: 12.00", "Beyoncé - Halo", "12:30:45", "A&R", "1. FC Köln", "(feat. Ann)"] {
        assert_eq!(title(plain).trim_start_matches(['¦', '1']), plain.trim_start_matches('1'));
    }
    for (value, sent) in [
        ("*NSYNC*", "\\*NSYNC\\*"),
        ("snake_case_name _x_", "snake_case_name \\_x\\_"),
        ("~a~ `b`", "\\~a\\~ \\`b\\`"),
        ("[a](https://evil.example)", "[a]¦(https:¦//evil.¦example)"),
        ("<https://evil.example|a>", "<¦https:¦//evil.¦example|a>"),
        ("at 1.2.3.4 +4930", "at 1.¦2.¦3.4 +¦4930"),
        ("@all #a :tada: ||x||", "@¦all #¦a :¦tada: |¦|x|¦|"),
        ("- a", "¦- a"),
        ("\\*a", "\\¦\\*a"),
    ] {
        assert_eq!(title(value), sent, "{value}");
    }
}
