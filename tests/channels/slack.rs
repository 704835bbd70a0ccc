//! Whole cases in Slack, over the wire, and what is wrong with a destination.

use std::time::Duration;

use fanfare::channels::wire::{Guard, Wire};
use fanfare::channels::{Form, Reply, Verdict};
use fanfare::delivery::{AttemptOutcome, MessageOp};
use serde_json::json;

use super::destinations::{self, Destination, build};
use crate::support::http_peer::Answer;
use crate::support::parsing::channel;
use crate::support::sending::Given;
use crate::support::slack_peer::{SlackPeer, TOKEN};

/// Long enough for loopback on a busy machine; no test waits for it.
const AMPLE: Duration = Duration::from_secs(20);

/// Composes, sends, and judges the answer, as the dispatcher does.
pub async fn deliver(destination: &Destination, given: &Given) -> Verdict {
    let channel = &destination.channel;
    let request = channel.compose(&given.sending()).unwrap();
    let reply = Wire::new(Guard::default()).unwrap().send(&request, AMPLE).await;
    channel.verdict(&reply.redacted(&channel.facts().secrets))
}

/// A message of a case.
pub fn of_case(act: MessageOp) -> Given {
    Given { act, lane: Some("case_1".into()), ..Given::default() }
}

fn bot(peer: &SlackPeer, more: &str) -> Destination {
    build("slack", &format!("type: slack\ntoken: {TOKEN}\nurl: {}\n{more}", peer.api()))
}

#[tokio::test]
async fn a_case_is_one_message_with_its_thread_and_marked_when_it_closes() {
    let peer = SlackPeer::start().await;
    let bot = bot(&peer, "channel: \"#releases\"\n");
    let opened = deliver(&bot, &of_case(MessageOp::Open)).await;
    let receipt = opened.receipt.expect("a receipt");
    let again = Given { receipt: Some(receipt.clone()), ..of_case(MessageOp::Again) };
    assert_eq!(deliver(&bot, &again).await.outcome, AttemptOutcome::Delivered);
    let close = Given { receipt: Some(receipt), ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&bot, &close).await.outcome, AttemptOutcome::Delivered);

    let slack = peer.slack();
    assert_eq!(slack.posts.len(), 2);
    assert_eq!(slack.posts[0].channel, "C0000RELS");
    assert_eq!(slack.posts[1].thread.as_ref(), Some(&slack.posts[0].ts));
    assert!(!slack.posts[1].broadcast);
    assert_eq!(slack.posts[0].updates, 1);
    assert_eq!(slack.posts[0].blocks[0]["text"]["text"], "☑️ Closed: Midnight City is live");
    peer.assert_clean();
}

#[tokio::test]
async fn what_belongs_to_a_case_stays_in_its_channel_whatever_later_events_choose() {
    let peer = SlackPeer::start().await;
    let bot = bot(&peer, "channel: {by: label, map: {Warp: \"#warp\"}, else: \"#releases\"}\n");
    let context = json!({"label": "Warp"}).as_object().unwrap().clone();
    let opened = deliver(&bot, &Given { context, ..of_case(MessageOp::Open) }).await;
    let receipt = opened.receipt;
    // The closing event names no label.
    for act in [MessageOp::Again, MessageOp::Close] {
        let later = Given { receipt: receipt.clone(), ..of_case(act) };
        assert_eq!(deliver(&bot, &later).await.outcome, AttemptOutcome::Delivered);
    }
    let channels: Vec<String> = peer.slack().posts.iter().map(|post| post.channel.clone()).collect();
    assert_eq!(channels, ["C0000WARP", "C0000WARP"]);
    assert_eq!(peer.slack().posts[0].updates, 1);
    peer.assert_clean();
}

#[tokio::test]
async fn a_thread_is_shown_in_the_channel_where_broadcast_says_so() {
    let peer = SlackPeer::start().await;
    let bot = bot(&peer, "channel: \"#releases\"\nbroadcast: true\n");
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    deliver(&bot, &Given { receipt, ..of_case(MessageOp::Again) }).await;
    assert!(!peer.slack().posts[0].broadcast);
    assert!(peer.slack().posts[1].broadcast);
    peer.assert_clean();
}

#[tokio::test]
async fn a_close_of_what_was_never_shown_sends_nothing() {
    let peer = SlackPeer::start().await;
    let bot = bot(&peer, "channel: \"#releases\"\n");
    let webhook = build("slack", &format!("type: slack\nwebhook_url: {}\n", peer.webhook_url()));
    for destination in [&bot, &webhook] {
        let verdict = deliver(destination, &of_case(MessageOp::Close)).await;
        assert_eq!(verdict.outcome, AttemptOutcome::Delivered);
    }
    assert!(peer.http.requests().is_empty());
    assert!(bot.channel.facts().can.closes());
    assert!(!webhook.channel.facts().can.closes());
}

#[tokio::test]
async fn a_close_that_may_not_edit_is_said_in_the_thread() {
    let peer = SlackPeer::start().await;
    let bot = bot(&peer, "channel: \"#releases\"\n");
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    peer.http.answer(Answer::status(200).json(&json!({"ok": false, "error": "edit_window_closed"})));
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&bot, &close).await.outcome, AttemptOutcome::Refused);
    let plain = Given { form: Form::Plain, ..close };
    assert_eq!(deliver(&bot, &plain).await.outcome, AttemptOutcome::Delivered);
    let slack = peer.slack();
    assert_eq!(slack.posts[1].thread.as_ref(), Some(&slack.posts[0].ts));
    assert!(slack.posts[1].text.starts_with("☑️ Closed: Midnight City is live"), "{}", slack.posts[1].text);
}

#[tokio::test]
async fn a_message_that_somebody_deleted_needs_no_mark() {
    let peer = SlackPeer::start().await;
    let bot = bot(&peer, "channel: \"#releases\"\n");
    let receipt = deliver(&bot, &of_case(MessageOp::Open)).await.receipt;
    peer.forget();
    let verdict = deliver(&bot, &Given { receipt, ..of_case(MessageOp::Close) }).await;
    assert_eq!((verdict.outcome, verdict.failing), (AttemptOutcome::Delivered, false));
}

#[tokio::test]
async fn a_webhook_posts_pings_and_says_when_it_is_limited() {
    let peer = SlackPeer::start().await;
    let webhook = build("slack", &format!("type: slack\nwebhook_url: {}\n", peer.webhook_url()));
    peer.http.answer(Answer::status(429).header("Retry-After", "7").body("rate_limited"));
    let given = Given { mentions: vec!["U024BE7LH".into(), "here".into()], ..Given::default() };
    let limited = deliver(&webhook, &given).await;
    assert_eq!(limited.outcome, AttemptOutcome::Limited);
    assert_eq!(limited.wait.map(|wait| wait.as_secs()), Some(7));
    assert_eq!(deliver(&webhook, &given).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.slack().posts[0].pings, ["<@U024BE7LH>", "<!here>"]);
    peer.assert_clean();
}

#[tokio::test]
async fn a_lost_answer_is_ambiguous() {
    let peer = SlackPeer::start().await;
    let webhook = build("slack", &format!("type: slack\nwebhook_url: {}\n", peer.webhook_url()));
    peer.http.lose_answers(1);
    assert_eq!(deliver(&webhook, &Given::default()).await.outcome, AttemptOutcome::Ambiguous);
    assert_eq!(peer.slack().posts.len(), 1);
}

#[tokio::test]
async fn a_wrong_token_or_hook_marks_the_destination_failing() {
    let peer = SlackPeer::start().await;
    let yaml = format!("type: slack\ntoken: xoxb-another\nchannel: \"#releases\"\nurl: {}\n", peer.api());
    let hook = format!("type: slack\nwebhook_url: {}/services/T0/B0/gone\n", peer.http.url(""));
    let unknown = format!("type: slack\ntoken: {TOKEN}\nchannel: \"#nowhere\"\nurl: {}\n", peer.api());
    for yaml in [yaml, hook, unknown] {
        let verdict = deliver(&build("slack", &yaml), &Given::default()).await;
        assert_eq!((verdict.outcome, verdict.failing), (AttemptOutcome::Permanent, true), "{yaml}: {verdict:?}");
    }
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    for (yaml, expected) in [
        ("type: slack\n", "the destination has no `webhook_url`"),
        ("type: slack\nwebhook_url: https://a.example/x\ntoken: xoxb-1\nchannel: a\n", "exclude each other"),
        ("type: slack\nwebhook_url: https://a.example/x\nchannel: a\n", "`channel` and `url` need `token`"),
        ("type: slack\ntoken: xoxb-1\n", "the destination has no `channel`"),
        ("type: slack\ntoken: xoxb-1\nchannel: \"\"\n", "expected a channel's id or name"),
        ("type: slack\nwebhook_url: hooks.slack.com/x\n", "this URL can't be posted to"),
        ("type: slack\nwebhook_ulr: https://a.example/x\n", "has no key `webhook_ulr`"),
        ("type: slack\ntoken: \"xoxb 1\"\nchannel: a\n", "this is not a token"),
        ("type: slack\ntoken: xoxb-1\nchannel: {by: label, map: {}}\n", "a choice has no `else`"),
    ] {
        let said = destinations::problems(yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
    }
}

#[test]
fn an_id_that_cannot_be_mentioned_is_reported_apart() {
    let slack = destinations::one("slack");
    for id in ["U024BE7LH", "W012A3CDE", "S0614TZR7", "here", "channel", "everyone"] {
        assert_eq!(slack.kind.mention(id), Ok(()), "{id}");
    }
    for id in ["", "U", "@lead", "u024be7lh", "lead", "C024BE7LR", "U024BE7LH> <!channel", "<@U024BE7LH>"] {
        assert!(slack.kind.mention(id).is_err(), "{id}");
    }
}

#[test]
fn what_only_looks_like_slack_may_say_yes_in_its_own_words() {
    let judge = |host: &str, said: &str| {
        let hook = format!("type: slack\nwebhook_url: https://{host}/services/T0000FAKE/B0000FAKE/q7ZkT4mW9sB2\n");
        channel(&hook).verdict(&Reply::http(200, said)).outcome
    };
    for said in ["", "accepted", "{\"status\": \"queued\"}", "<html>thanks</html>"] {
        for host in ["chat.label.example", "notslack.com", "hooks.slack.com.evil.example"] {
            assert_eq!(
                judge(host, said),
                AttemptOutcome::Delivered,
                "{host} {said}: or it would get it again and again"
            );
        }
        for host in ["hooks.slack.com", "hooks.slack-gov.com"] {
            assert_ne!(judge(host, said), AttemptOutcome::Delivered, "{host} {said}: a portal or a proxy answered");
        }
    }
    assert_eq!(judge("hooks.slack.com", "ok"), AttemptOutcome::Delivered);
    assert_eq!(
        judge("chat.label.example", "{\"ok\": false, \"error\": \"no_text\"}"),
        AttemptOutcome::Refused,
        "a no is one"
    );
}
