//! Channels' own formats.

use fanfare::delivery::Say;
use fanfare::message::{Context, Native, Rendered};
use serde_json::{Value, json};

use super::{context, event, templates};

fn native(name: &str, template: &str, data: Value) -> Rendered {
    let event = event("release.live", data);
    let mut parts = name.split('.');
    let (channel, ending) = (parts.next().unwrap(), parts.next().unwrap());
    let templates = templates(&[("m.md", "The message"), (&format!("m.{name}"), template)]);
    templates.render(&Say::Message("m".into()), &context(&event), Some((channel, ending)))
}

fn json_of(rendered: &Rendered) -> &Value {
    match &rendered.native {
        Some(Native::Json(json)) => json,
        other => panic!("{other:?}: {:?}", rendered.problem),
    }
}

#[test]
fn a_value_in_quotes_is_text_and_one_without_is_a_value() {
    let template = r#"{"text": "{{ data.title }} has {{ data.n }}", "title": {{ data.title }}, "n": {{ data.n }}, "yes": {{ data.yes }},
        "none": {{ data.none }}, "empty": "{{ data.none }}", "list": {{ data.list }}, "json": {{ data.list|tojson }},
        "{{ data.title }}": {{ data.amount }}, "tags": [{% for x in data.list %}"{{ x }}", {% endfor %}],}"#;
    let data = r#"{"title": "A \"B\"\n", "n": 9007199254740993, "yes": true, "list": ["a", 1], "amount": 1250.00}"#;
    let data: Value = serde_json::from_str(data).unwrap();
    let rendered = native("http.json", template, data);
    let expected = r#"{"text":"A \"B\"\n has 9007199254740993","title":"A \"B\"\n","n":9007199254740993,"yes":true,"none":null,"empty":"","list":["a",1],"json":["a",1],"A \"B\"\n":1250.00,"tags":["a","1"]}"#;
    assert_eq!(json_of(&rendered).to_string(), expected);
    assert_eq!(rendered.undefined, 2);
}

#[test]
fn text_that_looks_like_json_stays_text() {
    for text in ["true", "5", "null", "{\"a\": 1}", "[1, 2]", "\"x\"", "1, \"admin\": true"] {
        let rendered = native("http.json", "{\"a\": {{ data.v }}, \"b\": \"{{ data.v }}\"}", json!({"v": text}));
        assert_eq!(json_of(&rendered), &json!({"a": text, "b": text}));
    }
}

#[test]
fn a_result_that_is_no_json_sends_the_message_and_says_so() {
    let rendered = native("slack.json", "{\"text\": \"{{ data.title }}\"", json!({"title": "A"}));
    assert_eq!(rendered.native, None);
    assert_eq!(rendered.message.title, "The message");
    assert!(rendered.problem.unwrap().starts_with("`m.slack.json`: this is not JSON: EOF while parsing an object"));
}

#[test]
fn slack_takes_a_value_for_text() {
    let data = json!({"v": "*x* rel_a <!channel> & `b`", "url": "https://a.example/?a=1&b=2", "bad": "javascript:x"});
    let template = r#"{"text": "{{ data.v }}", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*{{ data.v }}*"}},
        {"type": "header", "text": {"type": "plain_text", "text": "{{ data.v }}"}}], "url": "{{ data.url }}",
        "image_url": "{{ data.bad }}", "thumb_url": "https://a.example/{{ data.v }}"}"#;
    let slack = native("slack.json", template, data);
    let slack = json_of(&slack);
    let armoured =
        "\u{200b}*\u{200b}x\u{200b}*\u{200b} rel_a &lt;!channel&gt; &amp; \u{200b}`\u{200b}b\u{200b}`\u{200b}";
    assert_eq!(slack["text"], armoured);
    assert_eq!(slack["blocks"][0]["text"]["text"], format!("*{armoured}*"));
    assert_eq!(slack["blocks"][1]["text"]["text"], "*x* rel_a <!channel> & `b`");
    assert_eq!(slack["url"], "https://a.example/?a=1&b=2");
    assert_eq!(slack["image_url"], "");
    assert!(slack["thumb_url"].as_str().unwrap().starts_with("https://a.example/%2Ax%2A%20rel_a%20%3C%21channel"));
}

#[test]
fn discord_takes_a_value_for_text() {
    let data = json!({"v": "*x* [a](https://b.example) <@1> @everyone", "url": "https://a.example/?a=1&b=2"});
    let template = r#"{"content": "**{{ data.v }}**", "embeds": [{"author": {"name": "{{ data.v }}"}, "url": "{{ data.url }}",
        "fields": [{"name": "{{ data.v }}", "value": "{{ data.v }}"}], "footer": {"text": "{{ data.v }}"}}]}"#;
    let discord = native("discord.json", template, data);
    let discord = json_of(&discord);
    let armoured = "\\*x\\* \\[a\\]\\(https\\://b.example\\) \\<\\@\u{200b}1\\> \\@\u{200b}everyone";
    let plain = "*x* [a](https://b.example) <@\u{200b}1> @\u{200b}everyone";
    assert_eq!(discord["content"], format!("**{armoured}**"));
    let embed = &discord["embeds"][0];
    assert_eq!(embed["fields"][0], json!({"name": armoured, "value": armoured}));
    assert_eq!(embed["author"]["name"], plain);
    assert_eq!(embed["footer"]["text"], plain);
    assert_eq!(embed["url"], "https://a.example/?a=1&b=2");
}

#[test]
fn only_the_channel_that_is_asked_for_takes_its_own_format() {
    let event = event("release.live", json!({}));
    let templates = templates(&[("m.md", "x"), ("m.slack.json", "{}")]);
    let say = Say::Message("m".into());
    assert!(templates.render(&say, &context(&event), Some(("slack", "json"))).native.is_some());
    for other in [Some(("discord", "json")), Some(("slack", "html")), None] {
        assert_eq!(templates.render(&say, &context(&event), other).native, None);
    }
}

#[test]
fn a_fallback_says_why_in_the_message_not_in_the_channels_own_format() {
    let event = event("release.live", json!({}));
    let templates = templates(&[("m.md", "---\ntitle: T\n---\nx"), ("m.slack.json", "{}")]);
    let context = Context { died: Some("410 channel_is_archived"), ..context(&event) };
    let rendered = templates.render(&Say::Message("m".into()), &context, Some(("slack", "json")));
    assert_eq!(rendered.native, None);
    assert_eq!(
        fanfare::message::plain::blocks(&rendered.message.body),
        "This message could not be delivered to its destination: 410 channel_is_archived\n\nx"
    );
}
