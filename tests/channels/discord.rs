//! Whole cases in Discord, over the wire, and what is wrong with a destination.

use fanfare::channels::{Form, Reply, Request};
use fanfare::delivery::{AttemptOutcome, MessageOp};
use fanfare::message::Native;
use fanfare::pace::{Limits, Pace};
use serde_json::json;

use super::destinations::{self, Destination, build};
use super::slack::{deliver, of_case};
use crate::support::discord_peer::{CHANNEL, DiscordPeer, limited};
use crate::support::http_peer::Answer;
use crate::support::sending::Given;

fn webhook(peer: &DiscordPeer, more: &str) -> Destination {
    build("discord", &format!("type: discord\nwebhook_url: {}\n{more}", peer.webhook_url()))
}

#[tokio::test]
async fn a_case_is_reported_again_and_its_first_message_marked_when_it_closes() {
    let peer = DiscordPeer::start().await;
    let webhook = webhook(&peer, "");
    let receipt = deliver(&webhook, &of_case(MessageOp::Open)).await.receipt;
    for act in [MessageOp::Again, MessageOp::Close] {
        let given = Given { receipt: receipt.clone(), ..of_case(act) };
        assert_eq!(deliver(&webhook, &given).await.outcome, AttemptOutcome::Delivered);
    }
    let discord = peer.discord();
    assert_eq!(discord.messages.len(), 2);
    assert_eq!(discord.messages[0].edits, 1);
    assert_eq!(discord.messages[0].channel, CHANNEL);
    assert_eq!(discord.messages[0].embeds[0]["title"], "Closed: Midnight City is live");
    assert_eq!(discord.messages[1].edits, 0);
    peer.assert_clean();
}

#[tokio::test]
async fn in_a_thread_all_of_a_case_is_in_that_thread() {
    let peer = DiscordPeer::start().await;
    let webhook = webhook(&peer, "thread_id: \"234567890123456789\"\n");
    let receipt = deliver(&webhook, &of_case(MessageOp::Open)).await.receipt;
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&webhook, &close).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.discord().messages[0].channel, "234567890123456789");
    assert_eq!(peer.discord().messages[0].edits, 1);
    peer.assert_clean();
}

#[tokio::test]
async fn an_edit_goes_by_the_webhook_that_posted_whatever_the_closing_event_chooses() {
    let peer = DiscordPeer::start().await;
    let other = peer.http.url("/api/webhooks/923456789012345678/other");
    let yaml = format!(
        "type: discord\nwebhook_url: {{by: label, map: {{Warp: \"{}\"}}, else: \"{other}\"}}\n",
        peer.webhook_url()
    );
    let webhook = build("discord", &yaml);
    let context = json!({"label": "Warp"}).as_object().unwrap().clone();
    let receipt = deliver(&webhook, &Given { context, ..of_case(MessageOp::Open) }).await.receipt;
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    assert_eq!(deliver(&webhook, &close).await.outcome, AttemptOutcome::Delivered);
    assert_eq!(peer.discord().messages[0].edits, 1);
    peer.assert_clean();
}

#[tokio::test]
async fn a_close_is_said_anew_where_an_edit_is_refused_and_not_at_all_where_nothing_stands() {
    let peer = DiscordPeer::start().await;
    let webhook = webhook(&peer, "");
    assert_eq!(deliver(&webhook, &of_case(MessageOp::Close)).await.outcome, AttemptOutcome::Delivered);
    assert!(peer.http.requests().is_empty());

    let receipt = deliver(&webhook, &of_case(MessageOp::Open)).await.receipt;
    let close = Given { receipt, ..of_case(MessageOp::Close) };
    peer.http.answer(Answer::status(429).json(&json!({"message": "Maximum number of edits", "code": 30046})));
    assert_eq!(deliver(&webhook, &close).await.outcome, AttemptOutcome::Refused);
    assert_eq!(
        deliver(&webhook, &Given { form: Form::Plain, ..close.clone() }).await.outcome,
        AttemptOutcome::Delivered
    );
    assert!(peer.discord().messages[1].content.starts_with("Closed: Midnight City is live"));

    peer.forget();
    let verdict = deliver(&webhook, &close).await;
    assert_eq!((verdict.outcome, verdict.failing), (AttemptOutcome::Delivered, false));
}

#[tokio::test]
async fn only_the_people_of_the_action_are_pinged_and_once() {
    let peer = DiscordPeer::start().await;
    let webhook = webhook(&peer, "");
    let mentions = ["223456789012345678", "&323456789012345678", "everyone", "not an id"];
    let mentions: Vec<String> = mentions.iter().map(|id| (*id).to_owned()).collect();
    let mut given = Given { mentions, ..of_case(MessageOp::Open) };
    given.rendered.message.title = "@here <@423456789012345678>".into();
    given.receipt = deliver(&webhook, &given).await.receipt;
    given.act = MessageOp::Close;
    deliver(&webhook, &given).await;
    let pings = ["@everyone", "<@223456789012345678>", "<@&323456789012345678>"];
    assert_eq!(peer.discord().messages[0].pings, pings);
    peer.assert_clean();
}

#[tokio::test]
async fn a_value_pings_nobody_even_where_the_action_mentions_all() {
    let peer = DiscordPeer::start().await;
    let webhook = webhook(&peer, "");
    let mut given = Given { mentions: vec!["here".into()], ..of_case(MessageOp::Open) };
    given.rendered.message.title = "@everyone".into();
    given.rendered.message.link = Some("https://label.example/@everyone".into());
    let native = Native::Json(json!({"content": "@everyone", "embeds": [{"title": "@everyone"}]}));
    for (form, native) in [(Form::Rich, None), (Form::Plain, None), (Form::Rich, Some(native))] {
        (given.form, given.rendered.native) = (form, native);
        assert_eq!(deliver(&webhook, &given).await.outcome, AttemptOutcome::Delivered);
    }
    for message in peer.discord().messages {
        assert_eq!(message.pings, ["@here"], "{message:?}");
    }
}

#[test]
fn the_last_request_of_a_window_pauses_the_destination_until_the_next_one() {
    let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "1.5")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let body = json!({"id": "800000000000000000"}).to_string().into_bytes();
    let verdict =
        destinations::one("discord").channel.verdict(&Reply::Http { status: 200, headers, body, whole: true });
    let now: jiff::Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let limits = Limits { spacing: None, burst: 1, concurrency: 4 };
    let mut pace = Pace::default();
    pace.after(verdict.outcome, verdict.wait, verdict.failing, now);
    assert_eq!(pace.admit(&limits, 1, now, now), 0);
    assert_eq!(pace.free_at(&limits), "2026-01-05T10:00:01.5Z".parse().unwrap());
}

#[tokio::test]
async fn a_limit_waits_as_long_as_discord_asks_and_a_lost_answer_is_ambiguous() {
    let peer = DiscordPeer::start().await;
    let webhook = webhook(&peer, "");
    peer.http.answer(limited(0.65));
    let verdict = deliver(&webhook, &Given::default()).await;
    assert_eq!(verdict.outcome, AttemptOutcome::Limited);
    assert_eq!(verdict.wait.map(|wait| wait.as_millis()), Some(1000));
    peer.http.lose_answers(1);
    assert_eq!(deliver(&webhook, &Given::default()).await.outcome, AttemptOutcome::Ambiguous);
}

#[test]
fn what_is_wrong_with_a_destination_is_said() {
    for (yaml, expected) in [
        ("type: discord\n", "the destination has no `webhook_url`"),
        ("type: discord\nwebhook_url: https://discord.com/api/webhooks/123456789012345678\n", "not a webhook URL"),
        ("type: discord\nwebhook_url: https://discord.com/api/webhooks/1/x/slack\n", "not a webhook URL"),
        (
            "type: discord\nwebhook_url: https://discord.com/api/webhooks/123456789012345678/x\nthread_id: general\n",
            "this is not a Discord id",
        ),
        (
            "type: discord\nwebhook_url: https://discord.com/api/webhooks/123456789012345678/x\nusername: Discord news\n",
            "Discord refuses this name",
        ),
        ("type: discord\nwebhook: https://a.example\n", "has no key `webhook`"),
    ] {
        let said = destinations::problems(yaml);
        assert!(said.iter().any(|said| said.contains(expected)), "{yaml} gives {said:#?}");
    }
}

#[test]
fn an_id_that_cannot_be_mentioned_is_reported_apart() {
    let discord = destinations::one("discord");
    for id in ["223456789012345678", "&323456789012345678", "here", "everyone"] {
        assert_eq!(discord.kind.mention(id), Ok(()), "{id}");
    }
    for id in ["", "&", "lead", "channel", "@223456789012345678", "223456789012345678> @everyone", "1"] {
        assert!(discord.kind.mention(id).is_err(), "{id}");
    }
}

#[test]
fn what_people_write_has_no_backslash_where_nothing_is_markup() {
    let discord = destinations::one("discord");
    let title = |value: &str| {
        let mut given = Given::default();
        given.rendered.message.title = value.into();
        let Request::Http(request) = discord.channel.compose(&given.sending()).unwrap() else { panic!("no request") };
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        body["embeds"][0]["title"].as_str().unwrap().to_owned()
    };
    for plain in [
        "Invoice paid: 12.00",
        "Lanterns (Sped Up) [Remix]",
        "Beyoncé - Halo",
        "A#1, C#",
        "5 * 3 * 2",
        "snake_case_name",
        "12:30:45",
        "a | b",
        "ann@label.example",
        "<3",
        "2024.5",
        "-5 degrees",
        "1,200.50 EUR",
        "a > b",
    ] {
        assert_eq!(title(plain), plain);
    }
    for (markup, escaped) in [
        ("**bold**", "\\*\\*bold\\*\\*"),
        ("https://evil.example", "https\\://evil.example"),
        ("[a](https://evil.example)", "[a]\\(https\\://evil.example)"),
        (":tada:", "\\:tada:"),
        ("# heading", "\\# heading"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("||spoiler||", "\\|\\|spoiler\\|\\|"),
        ("<@223456789012345678>", "\\<@223456789012345678>"),
        ("a\\*", "a\\\\\\*"),
    ] {
        assert_eq!(title(markup), escaped);
    }
}
