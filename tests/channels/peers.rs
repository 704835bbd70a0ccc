//! The services that stand in for the real ones are as strict: what a real one refuses, they refuse, and whom a value
//! would ping, they see.

use fanfare::channels::HttpRequest;
use fanfare::secret::Secret;
use serde_json::{Value, json};

use super::judges::Service;
use crate::support::discord_peer::{self, Discord};
use crate::support::http_peer::Recorded;
use crate::support::pagerduty_peer::{self, PagerDuty, ROUTING_KEY};
use crate::support::slack_peer::{self, Slack, TOKEN};

fn request(path: &str, body: &Value) -> Recorded {
    Recorded::of(&HttpRequest {
        method: "POST",
        url: Secret::new(format!("https://peer.example{path}")),
        headers: vec![
            ("content-type".into(), Secret::new("application/json")),
            ("authorization".into(), Secret::new(format!("Bearer {TOKEN}"))),
        ],
        body: body.to_string().into_bytes(),
    })
}

/// The same object with further keys.
fn with(base: &Value, more: Value) -> Value {
    let mut object = base.as_object().unwrap().clone();
    object.extend(more.as_object().unwrap().clone());
    Value::Object(object)
}

/// A text of this many characters.
fn long(count: usize) -> String {
    "x".repeat(count)
}

#[test]
fn slack_refuses_what_slack_refuses() {
    let base = json!({"text": "t", "unfurl_links": false, "unfurl_media": false});
    let header = |text: String| json!({"type": "header", "text": {"type": "plain_text", "text": text}});
    let inline =
        |inline: Value| json!({"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [inline]}]});
    let section = |text: &str| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let fine = [
        json!({}),
        json!({"blocks": [header(long(150))]}),
        json!({"blocks": vec![json!({"type": "divider"}); 50]}),
        json!({"blocks": [inline(json!({"type": "text", "text": "<b> & *x*"})), section("&lt;b&gt; &amp; <https://a.example|a>")]}),
    ];
    for more in fine {
        let mut slack = Slack::default();
        slack.serve(&request(slack_peer::WEBHOOK, &with(&base, more.clone())));
        assert_eq!(slack.refusals, Vec::<String>::new(), "{more}");
    }
    for (word, more) in [
        ("no_text", json!({"text": " "})),
        ("msg_too_long", json!({"text": long(4001)})),
        ("invalid_payload", json!({"text": "a & b"})),
        ("invalid_payload", json!({"text": "a &nbsp; b"})),
        ("invalid_payload", json!({"text": "a > b"})),
        ("invalid_payload", json!({"text": "<b>bold"})),
        ("invalid_payload", json!({"channel": "#elsewhere"})),
        ("invalid_arguments", json!({"unfurl_links": true})),
        ("invalid_arguments", json!({"link_names": true})),
        ("invalid_arguments", json!({"colour": "red"})),
        ("invalid_blocks", json!({"blocks": vec![json!({"type": "divider"}); 51]})),
        ("invalid_blocks", json!({"blocks": [header(long(151))]})),
        ("invalid_blocks", json!({"blocks": [header(String::new())]})),
        ("invalid_blocks", json!({"blocks": [section(&long(3001))]})),
        ("invalid_blocks", json!({"blocks": [inline(json!({"type": "text", "text": ""}))]})),
        ("invalid_blocks", json!({"blocks": [inline(json!({"type": "text", "text": "a", "style": {"blink": true}}))]})),
        ("invalid_blocks", json!({"blocks": [inline(json!({"type": "link", "url": "javascript:alert(1)"}))]})),
        ("invalid_blocks", json!({"blocks": [inline(json!({"type": "link", "url": "https://a.example|b"}))]})),
        ("invalid_blocks", json!({"blocks": [{"type": "rich_text", "elements": []}]})),
        ("invalid_blocks", json!({"blocks": [{"type": "image", "image_url": "https://a.example"}]})),
        ("invalid_blocks", json!({"blocks": [{"type": "marquee"}]})),
        ("msg_blocks_too_long", json!({"blocks": vec![section(&long(2500)); 4]})),
    ] {
        let mut slack = Slack::default();
        slack.serve(&request(slack_peer::WEBHOOK, &with(&base, more.clone())));
        assert!(slack.posts.is_empty() && slack.refusals[0].starts_with(word), "{more}: {:?}", slack.refusals);
    }
}

#[test]
fn slack_sees_every_mention() {
    let base = json!({"text": "t", "unfurl_links": false, "unfurl_media": false});
    let rich = |inline: Value| json!({"blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [inline]}]}]});
    for more in [
        json!({"text": "a <!channel> b"}),
        json!({"text": "<@U024BE7LH|lead>"}),
        json!({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "<!subteam^S0614TZR7>"}}]}),
        rich(json!({"type": "broadcast", "range": "channel"})),
        rich(json!({"type": "user", "user_id": "U024BE7LH"})),
    ] {
        let mut slack = Slack::default();
        slack.serve(&request(slack_peer::WEBHOOK, &with(&base, more.clone())));
        assert_eq!(slack.posts[0].pings.len(), 1, "{more}");
    }
}

#[test]
fn discord_refuses_what_discord_refuses_and_sees_who_is_pinged() {
    let base = json!({"content": "c", "allowed_mentions": {"parse": []}});
    let embed = |embed: Value| json!({ "embeds": [embed] });
    let fields = |count: usize| vec![json!({"name": "n", "value": "v"}); count];
    for (code, more) in [
        ("", json!({})),
        ("", json!({"content": long(2000)})),
        ("", embed(json!({"title": long(256), "description": long(4096), "fields": fields(25)}))),
        ("50006", json!({"content": " "})),
        ("50035", json!({"content": long(2001)})),
        ("50035", json!({"allowed_mentions": null})),
        ("50035", json!({"allowed_mentions": {"parse": ["users"]}})),
        ("50035", json!({"tts": true})),
        ("50035", embed(json!({"title": long(257)}))),
        ("50035", embed(json!({"title": " "}))),
        ("50035", embed(json!({"description": long(4097)}))),
        ("50035", embed(json!({"fields": fields(26)}))),
        ("50035", embed(json!({"fields": [{"name": "n", "value": ""}]}))),
        ("50035", embed(json!({"fields": [{"name": long(257), "value": "v"}]}))),
        ("50035", embed(json!({"color": 0x100_0000}))),
        ("50035", embed(json!({"url": "javascript:alert(1)"}))),
        ("50035", embed(json!({"timestamp": "yesterday"}))),
        ("50035", json!({"embeds": vec![json!({"description": long(3001)}); 2]})),
    ] {
        let mut discord = Discord::default();
        discord.serve(&request(discord_peer::WEBHOOK, &with(&base, more.clone())));
        let refusal = discord.refusals.first().map(String::as_str).unwrap_or_default();
        assert!(refusal.starts_with(code) && refusal.is_empty() == code.is_empty(), "{more}: {refusal}");
    }
    let all = json!({"content": "@everyone <@223456789012345678> <@323456789012345678>",
        "allowed_mentions": {"parse": ["everyone"], "users": ["223456789012345678"]}});
    let mut discord = Discord::default();
    discord.serve(&request(discord_peer::WEBHOOK, &all));
    assert_eq!(discord.messages[0].pings, ["@everyone", "<@223456789012345678>"]);
}

#[test]
fn pagerduty_refuses_what_pagerduty_refuses() {
    let payload = json!({"summary": "s", "severity": "info", "source": "here"});
    let base = json!({"routing_key": ROUTING_KEY, "dedup_key": "k", "event_action": "trigger", "payload": payload});
    for (word, more) in [
        ("", json!({})),
        ("'routing_key'", json!({"routing_key": "0".repeat(32)})),
        ("'dedup_key'", json!({"dedup_key": long(256)})),
        ("'event_action'", json!({"event_action": "shout"})),
        ("no 'payload'", json!({"payload": null})),
        ("'summary'", json!({"payload": with(&payload, json!({"summary": long(1025)}))})),
        ("'summary'", json!({"payload": with(&payload, json!({"summary": ""}))})),
        ("'severity'", json!({"payload": with(&payload, json!({"severity": "success"}))})),
        ("'source'", json!({"payload": with(&payload, json!({"source": ""}))})),
        ("'timestamp'", json!({"payload": with(&payload, json!({"timestamp": "yesterday"}))})),
        ("'custom_details'", json!({"payload": with(&payload, json!({"custom_details": []}))})),
        ("an image", json!({"images": [{"src": "http://a.example/x.png"}]})),
        ("unknown key", json!({"links": [{"url": "https://a.example"}]})),
        ("unknown key", json!({"colour": "red"})),
        ("the event has", json!({"client": long(512 * 1024)})),
    ] {
        let mut pagerduty = PagerDuty::default();
        pagerduty.serve(&request(pagerduty_peer::PATH, &with(&base, more.clone())));
        let refusal = pagerduty.refusals.first().map(String::as_str).unwrap_or_default();
        let start: String = more.to_string().chars().take(200).collect();
        assert!(refusal.starts_with(word) && refusal.is_empty() == word.is_empty(), "{start}: {refusal}");
    }
}
