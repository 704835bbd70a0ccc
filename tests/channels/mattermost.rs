//! Whole cases in Mattermost, over the wire, and what is wrong with a destination.

use fanfare::channels::Form;
use fanfare::delivery::{AttemptOutcome, MessageOp, Severity};
use serde_json::json;

use super::destinations::{self, Destination, build};
use super::judges::mattermost::{CHANNEL, MattermostPeer, TOKEN, WEBHOOK};
use super::slack::{deliver, of_case};
use crate::support::http_peer::Answer;
use crate::support::sending::Given;

fn bot(peer: &MattermostPeer) -> Destination {
    let url = peer.http.url("");
    build("mattermost", &format!("type: mattermost\nurl: {url}\ntoken: {TOKEN}\nchannel: {CHANNEL}\n"))
}

#[tokio::test]
async fn a_case_is_a_post_with_its_thread_and_is_marked_when_it_closes() {
    let peer = MattermostPeer::start().await;
    let bot = bot(&peer);
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    for act in [MessageOp::Again, MessageOp::Close] {
        let given = Given { receipt: receipt.clone(), ..of_case(act) };
        assert_eq!(deliver(&bot, &given).await.outcome, AttemptOutcome::Delivered);
    }
    let posts = peer.service().posts;
    assert_eq!((posts.len(), posts[0].edits, posts[1].edits), (2, 1, 0));
    assert_eq!(posts[0].text, "☑️ **Closed: Midnight City is live**");
    assert_eq!(posts[1].root.as_ref(), Some(&posts[0].id));
    peer.assert_clean();
}

#[tokio::test]
async fn a_critical_post_is_urgent_where_it_begins_a_thread() {
    let peer = MattermostPeer::start().await;
    let hook = build("mattermost", &format!("type: mattermost\nwebhook_url: {}\n", peer.http.url(WEBHOOK)));
    let mut given = of_case(MessageOp::Open);
    given.rendered.message.severity = Severity::Critical;
    for destination in [bot(&peer), hook] {
        assert_eq!(deliver(&destination, &given).await.outcome, AttemptOutcome::Delivered);
    }
    let again = Given { receipt: Some(of_post(&peer)), act: MessageOp::Again, ..given };
    assert_eq!(deliver(&bot(&peer), &again).await.outcome, AttemptOutcome::Delivered);
    let priorities: Vec<_> = peer.service().posts.iter().map(|post| post.priority.clone()).collect();
    assert_eq!(priorities, [Some(json!({"priority": "urgent"})), Some(json!({"priority": "urgent"})), None]);
    peer.assert_clean();
}

fn of_post(peer: &MattermostPeer) -> fanfare::delivery::Receipt {
    let post = peer.service().posts[0].clone();
    json!({"id": post.id, "channel_id": post.channel}).as_object().unwrap().clone()
}

#[tokio::test]
async fn a_close_is_said_in_the_thread_where_an_edit_is_refused_and_not_where_the_post_is_gone() {
    let peer = MattermostPeer::start().await;
    let bot = bot(&peer);
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    peer.http.answer(Answer::status(400).json(&json!({"id": "api.post.update_post.too_late", "message": "too late"})));
    assert_eq!(deliver(&bot, &close).await.outcome, AttemptOutcome::Refused);
    assert_eq!(deliver(&bot, &Given { form: Form::Plain, ..close.clone() }).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.service().posts[1].root.as_ref(), Some(&peer.service().posts[0].id));
    peer.http.answer(
        Answer::status(404).json(&json!({"id": "app.post.get.app_error", "message": "Unable to get the post."})),
    );
    assert_eq!(deliver(&bot, &close).await.outcome, AttemptOutcome::Delivered);
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    let with = |keys: &str| format!("type: mattermost\n{keys}\n");
    for (yaml, expected) in [
        (with(""), "the destination has no `webhook_url`"),
        (
            with("webhook_url: https://chat.label.example/label/channels/town-square"),
            "this is not the URL of a webhook",
        ),
        (
            with(&format!("webhook_url: https://chat.label.example{WEBHOOK}\nchannel: {CHANNEL}")),
            "`channel` and `url` need",
        ),
        (with(&format!("webhook_url: https://chat.label.example{WEBHOOK}\ntoken: {TOKEN}")), "exclude each other"),
        (with(&format!("token: {TOKEN}\nchannel: {CHANNEL}")), "a bot has no `url`"),
        (
            with(&format!("token: {TOKEN}\nurl: https://chat.label.example\nchannel: releases")),
            "this is not the id of a channel",
        ),
        (
            with("token: FAKE\nurl: https://chat.label.example\nchannel: 4xp9fdt77pncbef59f4k1qe83o"),
            "this is not the token",
        ),
        (
            format!("type: discord\nwebhook_url: https://chat.label.example{WEBHOOK}\n"),
            "the URL of a Mattermost webhook",
        ),
    ] {
        let said = destinations::problems(&yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
        assert!(said.iter().all(|said| !said.contains("FAKE")), "{said:?}");
    }
}

#[test]
fn what_people_write_has_few_signs_before_it() {
    let bot = destinations::one("mattermost");
    let title = |value: &str| {
        let mut given = Given::default();
        given.rendered.message.title = value.into();
        let request = bot.channel.compose(&given.sending()).unwrap();
        let body: serde_json::Value = serde_json::from_slice(request.body().unwrap()).unwrap();
        body["message"].as_str().unwrap().trim_start_matches("✅ **").trim_end_matches("**").to_owned()
    };
    for plain in ["Invoice paid: 12.00", "Beyoncé - Halo", "snake_case_name", "12:30:45", "A&R, R & B", "-5 degrees"] {
        assert_eq!(title(plain).replace("&amp;", "&"), plain);
    }
    for (value, escaped) in [
        ("**bold**", "\\*\\*bold\\*\\*"),
        ("https://evil.example", "https&#58;//evil.example"),
        ("<https://evil.example|Invoice>", "&lt;https&#58;//evil.example&#124;Invoice&gt;"),
        ("@channel", "@\u{200b}channel"),
        ("#lanterns", "\\#lanterns"),
        (":tada:", "&#58;tada:"),
    ] {
        assert_eq!(title(value), escaped);
    }
}
