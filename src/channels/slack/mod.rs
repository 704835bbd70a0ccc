//! Slack: by an incoming webhook, which can only post, or by a bot's token, which also answers in threads and marks
//! what it posted as closed.
//!
//! Pure. A message is Block Kit (see `blocks`), and beside it always a `text`, which notifications and screen readers
//! read and which goes alone when the blocks are refused. `text` is escaped, short enough, and not to be formatted; no
//! link in it unfolds. Slack answers `ok`, or an error in a short word, by a webhook; by its Web API always 200, and
//! JSON that says `ok` or the same words.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use self::answer::{Answer, answer, by_word};
use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Address, Can, Channel, ChannelKind, Choice, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness, Limit, Mappable,
    Mentions, Reply, Request, Sending, Takes, Verdict, endpoint, words,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::message::template::native::Format;
use crate::message::{Native, fit};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod answer;
mod blocks;
mod credentials;
mod likeness;
mod mrkdwn;
mod rich;
mod table;

/// The Web API, unless `url:` says otherwise.
const API: &str = "https://slack.com/api";
/// Where Slack's own webhooks are.
const SLACK: [&str; 2] = ["slack.com", "slack-gov.com"];
/// Slack cuts a longer `text` into several messages.
const TEXT: Limit = Limit::characters("`text`", 4000);
/// What is left of it by ours.
const TEXT_MAX: usize = TEXT.max - 200;

/// Slack.
pub const KIND: ChannelKind = ChannelKind {
    name: "slack",
    summary: "A message in a Slack channel, by a webhook or by a bot; a bot also uses threads and marks closed cases",
    example: "\
type: slack
token: xoxb-000000000000-FAKE-q7ZkT4mW9sB2xN6vC1
channel: \"#releases\"
broadcast: true
url: https://slack.com/api
# Or, in place of all of these, a webhook, which can only post:
# webhook_url: https://hooks.slack.com/services/T0000FAKE/B0000FAKE/q7ZkT4mW9sB2xN6vC1aaaaaa
",
    keys: &[
        KeyDoc::new(
            "webhook_url",
            Takes::Choice,
            "An incoming webhook's URL, which posts to its one channel; may be a choice. Either this or `token`",
        )
        .secret(),
        KeyDoc::new(
            "token",
            Takes::Text,
            "A bot's token (`xoxb-…`) with the scope `chat:write`, and the bot invited to its channels",
        )
        .secret(),
        KeyDoc::new(
            "channel",
            Takes::Address,
            "With `token`: a channel's id or #name; may be a choice or a map, which may also give a person's id",
        ),
        KeyDoc::new(
            "broadcast",
            Takes::Truth,
            "With `token`: whether the channel also shows messages of a case's thread; `false` by default",
        ),
        KeyDoc::new("url", Takes::Text, "With `token`: another address of the Web API").secret(),
    ],
    can: Can { threads: true, edits: true, resolves: false },
    pages: false,
    shows_links: true,
    reports: false,
    queues: None,
    spacing: Some(SignedDuration::from_secs(1)),
    burst: 1,
    limits: &[
        TEXT,
        blocks::BLOCKS,
        blocks::HEADER,
        blocks::BLOCK_TEXT,
        table::ROWS,
        table::CELLS,
        rich::URL,
        blocks::ALT,
        blocks::SUM,
    ],
    native: Some(Format::Json(Some(mrkdwn::escape_value))),
    likeness: Likeness { dress: Dress::Chat, draw: likeness::draw },
    mentions: Some(Mentions {
        is: |id| mrkdwn::mention(id).is_some(),
        words: "is nobody in Slack; write a person's id (`U…`), a group's (`S…`), `here`, `channel` or `everyone`",
    }),
    overrides: &[],
    credentials: credentials::ALL,
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct Slack {
    facts: Facts,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Webhook(Choice<Secret>),
    Bot(Bot),
}

#[derive(Debug)]
struct Bot {
    token: Secret,
    channel: Address<String>,
    broadcast: bool,
    api: Secret,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let errors_before = problems.count().0;
    let webhook = fields.node("webhook_url", problems);
    let token = fields.text("token", problems);
    let keys = BotKeys {
        channel: fields.node("channel", problems),
        broadcast: fields.truth("broadcast", problems),
        url: fields.node("url", problems),
    };
    let slack = match (webhook, token) {
        (Some(webhook), None) => read_webhook(webhook, &keys, problems),
        (None, Some((token, node))) => read_bot(&token, node, &keys, fields, problems),
        (Some(node), Some(_)) => {
            problems.push(
                Problem::error("wrong-key", "`webhook_url` and `token` exclude each other")
                    .at(&node.place)
                    .hint("a bot's `token` with a `channel` can do everything that a webhook can; remove one of them"),
            );
            None
        }
        // Neither is there; unless one is, and what is wrong with it has been said.
        (None, None) => {
            if problems.count().0 == errors_before {
                fields.missing("webhook_url", problems);
            }
            None
        }
    };
    slack.map(|slack| Box::new(slack) as Box<dyn Channel>)
}

/// The message that a rehearsal answers with.
const TAKEN_TS: &str = "1767607200.000100";

/// The keys that go with `token`.
struct BotKeys<'n> {
    channel: Option<&'n Node>,
    broadcast: Option<bool>,
    url: Option<&'n Node>,
}

fn read_webhook(node: &Node, keys: &BotKeys<'_>, problems: &mut Problems) -> Option<Slack> {
    if let Some(node) = keys.channel.or(keys.url) {
        problems.push(
            Problem::error("wrong-key", "`channel` and `url` need `token`")
                .at(&node.place)
                .hint("a webhook posts only to its own channel; remove this, or use a bot's `token`"),
        );
    }
    let webhook = Choice::parse(node, problems, &mut endpoint::read_secret)?;
    let facts = endpoint::facts(Can::NOTHING, &webhook);
    Some(Slack { facts, way: Way::Webhook(webhook) })
}

fn read_bot(
    token: &str,
    token_node: &Node,
    keys: &BotKeys<'_>,
    fields: &Fields<'_>,
    problems: &mut Problems,
) -> Option<Slack> {
    let token = endpoint::token(token, token_node, "a bot's token begins with `xoxb-`", problems);
    let api = match keys.url {
        Some(node) => endpoint::read(node, problems),
        None => Url::parse(API).ok(),
    };
    if keys.channel.is_none() {
        problems.push(
            Problem::error("missing-key", format!("{} has no `channel`", fields.what))
                .at(&token_node.place)
                .hint("a bot needs a channel: `channel: \"#releases\"`"),
        );
    }
    let channel = keys.channel.and_then(|node| Address::parse(node, &CHANNEL, problems, &mut channel_name));
    let (url, channel, token) = (api?, channel?, token?);
    let api = Secret::new(url.as_str());
    let channels: Vec<&str> = channel.all().into_iter().map(String::as_str).collect();
    let facts = Facts {
        can: KIND.can,
        secrets: std::iter::once(&token).chain(endpoint::holds_secret(&url).then_some(&api)).cloned().collect(),
        address: format!("{} {}", endpoint::host(&url), channels.join(", ")).trim_end().to_owned(),
        endpoints: endpoint::endpoints([&api]),
        names: channel.name().into_iter().collect(),
        mapped: channel.mapped(),
        by_event: channel.is_by_event(),
    };
    let bot = Bot { token, channel, broadcast: keys.broadcast.unwrap_or(false), api };
    Some(Slack { facts, way: Way::Bot(bot) })
}

/// Whether Slack itself answers at a webhook's URL.
fn is_slacks(webhook: &Secret) -> bool {
    let url = Url::parse(webhook.open()).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    SLACK.iter().any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// What a map may give: a channel by its name or id, or a person.
const CHANNEL: Mappable<String> =
    Mappable { field: Some(KIND.name), is: is_channel, read: |text| Some(text.to_owned()) };

fn is_channel(text: &str) -> bool {
    let is_name = |name: &str| !name.contains(|c: char| c.is_whitespace() || c.is_control() || "#@/:<>&,".contains(c));
    match text.strip_prefix('#') {
        Some(name) => (1..=80).contains(&name.chars().count()) && is_name(name),
        None => {
            let is_id = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            is_id && (8..=16).contains(&text.len()) && text.starts_with(['C', 'D', 'G', 'U', 'W'])
        }
    }
}

fn channel_name(node: &Node, problems: &mut Problems) -> Option<String> {
    match node.scalar().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Some(name.to_owned()),
        None => {
            problems.push(node.expected("a channel's id or name").hint("quote a name: \"#releases\""));
            None
        }
    }
}

impl Channel for Slack {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        match &self.way {
            // A webhook tells nothing about what it posted, so there is nothing to change.
            Way::Webhook(_) if sending.act == MessageOp::Close => Ok(Request::Nothing),
            Way::Webhook(webhook) => Ok(post(webhook.pick(sending)?.clone(), None, content(sending))),
            Way::Bot(bot) => bot.compose(sending),
        }
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, body, whole, .. } = reply else { return shared(Family::Service, reply) };
        let by_status = shared(Family::Service, reply);
        if *status == 429 || *status >= 500 {
            return by_status;
        }
        let said = String::from_utf8_lossy(body);
        let is_taken = (200..300).contains(status);
        match (&self.way, answer(if *whole { &said } else { "" })) {
            (_, Answer::Ok(receipt)) if is_taken => Verdict { receipt, ..by_status },
            (Way::Webhook(_), Answer::Word("ok")) if is_taken => by_status,
            (_, Answer::Error(word)) => by_word(&word, by_status, reply),
            // What only speaks Slack's language, such as Mattermost or a gateway, has its own words for a yes.
            (Way::Webhook(webhook), _) if is_taken && !webhook.all().into_iter().any(is_slacks) => by_status,
            (Way::Webhook(_), Answer::Word(word)) => by_word(word, by_status, reply),
            // Neither `ok` nor a reason: a portal or a proxy answered, or the answer broke off.
            _ if is_taken => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, but not in Slack's format"))
            }
            _ => by_status,
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, request: &Request) -> Reply {
        match &self.way {
            Way::Webhook(_) => Reply::http(200, "ok"),
            Way::Bot(_) => {
                let sent: Value = request.body().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
                let (channel, ts) = (&sent["channel"], sent.get("ts").and_then(Value::as_str).unwrap_or(TAKEN_TS));
                Reply::http(200, json!({"ok": true, "channel": channel, "ts": ts}).to_string())
            }
        }
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        match &self.way {
            Way::Webhook(webhook) => webhook.chosen(root, names, |_| None),
            Way::Bot(bot) => bot.channel.chosen(root, names, |channel| Some(channel.clone())),
        }
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Bot {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let known = |key: &str| sending.receipt?.get(key)?.as_str();
        // Where the first message of the case is: it stays there, even if this event would choose another channel.
        let first = known("channel").zip(known("ts"));
        let mut body = Map::new();
        let mut method = "chat.postMessage";
        match (sending.act, first) {
            (MessageOp::Close, None) => return Ok(Request::Nothing),
            (act, Some((channel, ts))) if act.changes() && sending.form == Form::Rich => {
                method = "chat.update";
                body.insert("channel".into(), channel.into());
                body.insert("ts".into(), ts.into());
            }
            // A plain one comes after the change was refused: it is said in the thread.
            (MessageOp::Again | MessageOp::Update | MessageOp::Close, Some((channel, ts))) => {
                body.insert("channel".into(), channel.into());
                body.insert("thread_ts".into(), ts.into());
                if self.broadcast {
                    body.insert("reply_broadcast".into(), true.into());
                }
            }
            _ => {
                body.insert("channel".into(), self.channel.pick(sending)?.as_str().into());
            }
        }
        let mut content = content(sending);
        if method == "chat.update" {
            for key in ["unfurl_links", "unfurl_media", "mrkdwn"] {
                content.remove(key);
            }
            // Unlike a post, an update would read `text` as if a person had typed it.
            content.insert("parse".into(), "none".into());
        }
        body.extend(content);
        let url = format!("{}/{method}", self.api.open().trim_end_matches('/'));
        Ok(post(Secret::new(url), Some(&self.token), body))
    }
}

fn post(url: Secret, token: Option<&Secret>, body: Map<String, Value>) -> Request {
    let mut headers = vec![("content-type".to_owned(), Secret::new("application/json; charset=utf-8"))];
    if let Some(token) = token {
        headers.push(("authorization".to_owned(), Secret::new(format!("Bearer {}", token.open()))));
    }
    Request::Http(HttpRequest { method: "POST", url, headers, body: Value::Object(body).to_string().into_bytes() })
}

/// All that doesn't say where it goes.
fn content(sending: &Sending<'_>) -> Map<String, Value> {
    let mut content = Map::new();
    content.insert("text".into(), text(sending).into());
    // Our text is not to be formatted; mentions work nevertheless.
    content.insert("mrkdwn".into(), false.into());
    match (sending.form, &sending.rendered.native) {
        (Form::Plain, _) => {}
        (Form::Rich, Some(Native::Json(native @ (Value::Object(_) | Value::Array(_))))) => {
            own(sending, native.clone(), &mut content);
        }
        (Form::Rich, _) => {
            content.insert("blocks".into(), blocks::of(sending).into());
        }
    }
    for key in ["unfurl_links", "unfurl_media", "link_names"] {
        content.insert(key.into(), false.into());
    }
    content
}

/// Mentions, sign, title, body, fields and link as text, which never is empty.
fn text(sending: &Sending<'_>) -> String {
    let message = &sending.rendered.message;
    let mut text = String::new();
    for mention in sending.pinged().iter().filter_map(|id| mrkdwn::mention(id)) {
        text.push_str(&mention);
        text.push(' ');
    }
    let link = message.link.as_ref().map(|link| format!("\n{}", mrkdwn::escape(link)));
    let mut link = link.filter(|link| fit::utf16(link) <= TEXT_MAX / 2).unwrap_or_default();
    // Where there are blocks, they show them; this is what phones announce then.
    if sending.form == Form::Plain {
        link.extend(words::links(sending).map(|line| format!("\n{}", mrkdwn::escape(&line))));
    }
    let said = format!("{} {}", words::sign(sending), words::plain(sending));
    let room = TEXT_MAX.saturating_sub(fit::utf16(&text) + fit::utf16(&link));
    text.push_str(&mrkdwn::escape_within(&said, room));
    text.push_str(&link);
    text
}

/// The author's own blocks, attachments and text in place of ours. Where it goes, and who is pinged, stays ours.
fn own(sending: &Sending<'_>, mut native: Value, content: &mut Map<String, Value>) {
    mrkdwn::without_mentions(&mut native);
    if native.is_array() {
        native = json!({ "blocks": native });
    }
    for key in ["blocks", "attachments", "text"] {
        let Some(theirs) = native.get(key).filter(|theirs| !theirs.is_null()) else { continue };
        content.insert(key.to_owned(), theirs.clone());
        if key == "text" {
            content.remove("mrkdwn");
        }
    }
    let mut first: Vec<Value> = blocks::mentions(sending).into_iter().collect();
    if sending.act == MessageOp::Close {
        first.push(blocks::closed(sending));
    }
    if first.is_empty() {
        return;
    }
    if let Some(Value::Array(blocks)) = content.get("blocks") {
        first.extend(blocks.iter().cloned());
    }
    content.insert("blocks".into(), first.into());
}
