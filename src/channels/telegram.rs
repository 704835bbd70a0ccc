//! Telegram, by a bot: later messages of a case answer its first, which is marked when the case closes.
//!
//! Pure. A message is plain text and beside it `entities`, which say where it is bold or a link, so that nothing in a
//! value needs an escape (see `text`). Telegram has no key for repetitions: an attempt without an answer is sent again, and
//! may arrive twice. The token stands in the path of each URL. After core.telegram.org/bots/api.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::verdict::{Family, seconds, shared};
use crate::channels::{
    Address, Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness,
    Mappable, Mentions, Moved, Override, Picture, Reply, Request, Sending, Takes, Verdict, endpoint, overrides,
    picture,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod text;

/// The Bot API, unless `url:` says otherwise.
const API: &str = "https://api.telegram.org";
/// Where a receipt has the chat's number, and the one that it had before it became a supergroup.
const CHAT_ID: &str = "chat_id";
const MOVED_FROM: &str = "moved_from";
/// The topic `General` in links. The Bot API finds no topic of this number: a message without one goes there.
const GENERAL: u64 = 1;
/// The message that a rehearsal answers with.
const TAKEN_ID: u64 = 1001;

/// What an action may say of its messages.
const TOPIC: Override = Override {
    name: "topic",
    doc: "The topic of the group to post to",
    is: |value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).is_some_and(|topic| topic > 0),
    takes: "the number of a topic: the last one in its link",
};
const SILENT: Override = Override {
    name: "silent",
    doc: "`true` notifies without a sound",
    is: Value::is_boolean,
    takes: "`true` or `false`",
};

/// Telegram.
pub const KIND: ChannelKind = ChannelKind {
    name: "telegram",
    summary: "A message in a Telegram chat, group or channel, by a bot; uses replies and topics, and marks closed cases",
    example: "\
type: telegram
token: 1234567890:FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaa
chat: \"-1001234567890\"
topic: \"5\"
url: https://api.telegram.org
",
    keys: &[
        KeyDoc::new("token", Takes::Text, "The bot's token, from @BotFather").required().secret(),
        KeyDoc::new(
            "chat",
            Takes::Address,
            "The chat's number, quoted, or the @name of a public channel or group; may be a choice or a map",
        )
        .required(),
        KeyDoc::new("topic", Takes::Choice, "The number of a topic in a group with topics, quoted; may be a choice"),
        KeyDoc::new("url", Takes::Text, "The address of a Bot API server of your own").secret(),
    ],
    can: Can { threads: true, edits: true, resolves: false },
    pages: false,
    shows_links: true,
    reports: false,
    queues: None,
    // 20 a minute in a group.
    spacing: Some(SignedDuration::from_secs(3)),
    burst: 1,
    limits: &[text::TEXT, text::ENTITIES],
    native: None,
    likeness: Likeness { dress: Dress::Chat, draw },
    mentions: Some(Mentions {
        is: |id| Mention::of(id).is_some(),
        words: "is nobody in Telegram; write a person's `@name`, or the number of their account",
    }),
    overrides: &[TOPIC, SILENT],
    credentials: &[
        Credential {
            is: is_token,
            what: "the token of a Telegram bot",
            key: Some("token"),
            hint: "`type: telegram` takes it as `token`, with a `chat`",
        },
        Credential {
            is: |text| text.starts_with("https://t.me/") || text.starts_with("https://web.telegram.org/"),
            what: "a link to a place in Telegram, which nothing can be posted to",
            key: None,
            hint: "`type: telegram` takes a bot's `token` and the number of the chat as `chat`",
        },
    ],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct Telegram {
    facts: Facts,
    token: Secret,
    chat: Address<Chat>,
    topic: Option<Choice<u64>>,
    api: Secret,
}

/// A chat, by its number or its name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Chat {
    Number(i64),
    Name(String),
}

impl Chat {
    fn of(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix('@') {
            let is_name = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return is_name.then(|| Self::Name(text.to_owned()));
        }
        text.parse().ok().filter(|number| *number != 0).map(Self::Number)
    }

    fn json(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Name(name) => name.as_str().into(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => name.clone(),
        }
    }

    /// Whether it is the chat that a receipt is from.
    fn is_of(&self, receipt: &Receipt) -> bool {
        match self {
            Self::Number(number) => {
                [CHAT_ID, MOVED_FROM].iter().any(|key| receipt.get(*key).and_then(Value::as_i64) == Some(*number))
            }
            Self::Name(name) => {
                let theirs = receipt.get("username").and_then(Value::as_str).unwrap_or_default();
                name.trim_start_matches('@').eq_ignore_ascii_case(theirs)
            }
        }
    }
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let token = fields.required("token", problems).and_then(|(text, node)| token(&text, node, problems));
    let chat = fields.required_node("chat", problems).and_then(|node| Address::parse(node, &CHAT, problems, &mut chat));
    let has_topic = fields.has("topic");
    let topic = fields.node("topic", problems).and_then(|node| Choice::parse(node, problems, &mut topic));
    let url = match fields.node("url", problems) {
        Some(node) => endpoint::read(node, problems),
        None => Url::parse(API).ok(),
    };
    let (token, chat, url) = (token?, chat?, url?);
    if has_topic && topic.is_none() {
        return None;
    }
    let api = Secret::new(url.as_str().trim_end_matches('/'));
    let chats: Vec<String> = chat.all().into_iter().map(Chat::shown).collect();
    let facts = Facts {
        can: KIND.can,
        secrets: std::iter::once(&token).chain(endpoint::holds_secret(&url).then_some(&api)).cloned().collect(),
        address: format!("{} {}", endpoint::host(&url), chats.join(", ")).trim_end().to_owned(),
        endpoints: endpoint::endpoints([&api]),
        names: chat.name().into_iter().chain(topic.as_ref().and_then(Choice::name)).collect(),
        mapped: chat.mapped(),
        by_event: chat.is_by_event() || topic.as_ref().is_some_and(Choice::is_by_event),
    };
    Some(Box::new(Telegram { facts, token, chat, topic, api }))
}

fn is_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(id, secret)| {
        let is_id = id.len() >= 6 && id.bytes().all(|byte| byte.is_ascii_digit());
        is_id && secret.len() >= 30 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
}

fn token(text: &str, node: &Node, problems: &mut Problems) -> Option<Secret> {
    if !is_token(text.trim()) {
        problems.push(
            Problem::error("wrong-token", "this is not the token of a Telegram bot")
                .at(&node.place)
                .hint("@BotFather gives it: a number, `:` and 35 characters, without `bot` before it"),
        );
        return None;
    }
    Some(Secret::new(text.trim()))
}

/// What a map may give. A person's number is also that of the chat with them, once they wrote to the bot.
const CHAT: Mappable<Chat> = Mappable { field: Some(KIND.name), is: |text| Chat::of(text).is_some(), read: Chat::of };

fn chat(node: &Node, problems: &mut Problems) -> Option<Chat> {
    let found = node.scalar().and_then(|text| Chat::of(text.trim()));
    if found.is_none() {
        problems.push(
            Problem::error("wrong-id", "this is not a chat in Telegram")
                .at(&node.place)
                .hint("write the chat's number, such as \"-1001234567890\", or the @name of a public one, quoted"),
        );
    }
    found
}

fn topic(node: &Node, problems: &mut Problems) -> Option<u64> {
    let found = node.scalar().and_then(|text| text.trim().parse().ok()).filter(|topic| *topic > 0);
    if found.is_none() {
        problems.push(
            Problem::error("wrong-id", "this is not the number of a topic")
                .at(&node.place)
                .hint("it is the last number in the link of the topic: https://t.me/c/1234567890/5"),
        );
    }
    found
}

/// Whom an id of `mentions:` means.
enum Mention<'s> {
    Name(&'s str),
    User(u64),
}

impl<'s> Mention<'s> {
    fn of(id: &'s str) -> Option<Self> {
        match Chat::of(id)? {
            Chat::Name(_) => Some(Self::Name(id)),
            Chat::Number(number) => u64::try_from(number).ok().map(Self::User),
        }
    }
}

impl Channel for Telegram {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let given = sending.to.and_then(Chat::of);
        let mut ours = self.chat.all().into_iter().chain(&given);
        let first = sending.receipt.filter(|receipt| ours.any(|chat| chat.is_of(receipt)));
        let mut body = Map::new();
        let mut method = "sendMessage";
        match (sending.act, first) {
            // A receipt of a chat that is no longer configured is of no use: what stood there is out of reach.
            (MessageOp::Close, None) => return Ok(Request::Nothing),
            (act, Some(first)) if act.changes() && sending.form == Form::Rich => {
                method = "editMessageText";
                body.extend(kept(first, "chat_id", "chat_id"));
                body.extend(kept(first, "message_id", "message_id"));
            }
            (MessageOp::Again | MessageOp::Update | MessageOp::Close, Some(first)) => {
                body.extend(kept(first, "chat_id", "chat_id"));
                body.extend(kept(first, "message_thread_id", "message_thread_id"));
                let id = first.get("message_id").cloned().unwrap_or_default();
                let reply = json!({"message_id": id, "allow_sending_without_reply": true});
                body.insert("reply_parameters".into(), reply);
            }
            _ => {
                body.insert("chat_id".into(), self.chat.pick(sending)?.json());
                if let Some(topic) = self.topic(sending)?.filter(|topic| *topic != GENERAL) {
                    body.insert("message_thread_id".into(), topic.into());
                }
            }
        }
        if method == "sendMessage" && overrides::text(sending, &SILENT).is_some_and(|silent| silent == "true") {
            body.insert("disable_notification".into(), true.into());
        }
        body.extend(text::content(sending));
        let url = format!("{}/bot{}/{method}", self.api.open(), self.token.open());
        Ok(Request::Http(HttpRequest::json("POST", Secret::new(url), &Value::Object(body))))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let verdict = shared(Family::Service, reply);
        let answer = reply.json().unwrap_or_default();
        let said = picture::text_of(&answer, "description");
        let verdict = if said.is_empty() { verdict } else { Verdict { reason: said.to_owned(), ..verdict } };
        match status {
            200..=299 => match receipt(&answer["result"]).filter(|_| answer["ok"] == true) {
                Some(receipt) => verdict.receipt(receipt),
                None => Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, and not with the message")),
            },
            400 => by_words(verdict, &answer),
            429 => {
                let asked = answer["parameters"]["retry_after"].as_u64().and_then(|wait| seconds(&wait.to_string()));
                let wait = verdict.wait.max(asked);
                verdict.wait(wait)
            }
            _ => verdict,
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn moved(&self, request: &Request, reply: &Reply) -> Option<Moved> {
        let Request::Http(sent) = request else { return None };
        let (chat, mut body) = (supergroup(&reply.json()?)?, picture::document(request));
        let from = body.get_mut(CHAT_ID)?;
        let mark = Receipt::from_iter([(MOVED_FROM.to_owned(), from.take())]);
        *from = chat.into();
        let request = Request::Http(HttpRequest { body: body.to_string().into_bytes(), ..sent.clone() });
        Some(Moved { request, notice: is_supergroup(chat), mark })
    }

    fn taken(&self, request: &Request) -> Reply {
        let sent = picture::document(request);
        let id = sent.get("message_id").cloned().unwrap_or(TAKEN_ID.into());
        let mut chat = json!({"id": sent["chat_id"]});
        if let Some(name) = sent["chat_id"].as_str() {
            chat = json!({"id": -1_001_234_567_890_i64, "username": name.trim_start_matches('@')});
        }
        let mut message = json!({"message_id": id, "chat": chat});
        if let Some(topic) = sent.get("message_thread_id") {
            message["message_thread_id"] = topic.clone();
        }
        Reply::http(200, json!({"ok": true, "result": message}).to_string())
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        let chat = self.chat.chosen(root, names, |chat| Some(chat.shown()));
        let topic =
            self.topic.as_ref().and_then(|topic| topic.chosen(root, names, |topic| Some(format!("topic {topic}"))));
        let all: Vec<String> = chat.into_iter().chain(topic).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Telegram {
    /// The topic to post to: the action's, else the destination's.
    fn topic(&self, sending: &Sending<'_>) -> Result<Option<u64>, String> {
        let asked = overrides::text(sending, &TOPIC).and_then(|topic| topic.parse().ok());
        match (asked, &self.topic) {
            (Some(asked), _) => Ok(Some(asked)),
            (None, Some(topic)) => topic.pick(sending).copied().map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn kept(receipt: &Receipt, from: &str, to: &str) -> Option<(String, Value)> {
    Some((to.to_owned(), receipt.get(from)?.clone()))
}

/// What is needed to find the message again.
fn receipt(message: &Value) -> Option<Receipt> {
    let (id, chat) = (message["message_id"].as_u64()?, message["chat"]["id"].as_i64()?);
    let mut receipt = Receipt::from_iter([("message_id".to_owned(), id.into()), (CHAT_ID.to_owned(), chat.into())]);
    if let Some(name) = message["chat"]["username"].as_str() {
        receipt.insert("username".into(), name.into());
    }
    if let Some(topic) = message["message_thread_id"].as_u64() {
        receipt.insert("message_thread_id".into(), topic.into());
    }
    Some(receipt)
}

/// The number that a group has since it became a supergroup.
fn supergroup(answer: &Value) -> Option<i64> {
    answer["parameters"]["migrate_to_chat_id"].as_i64()
}

fn is_supergroup(chat: i64) -> String {
    format!("the group has become a supergroup: write `chat: \"{chat}\"`")
}

/// What a 400 means: Telegram gives it no code, but a sentence that has been the same for years.
fn by_words(verdict: Verdict, answer: &Value) -> Verdict {
    /// Nothing gets through until a person changes the destination or the chat.
    const BROKEN: [&str; 11] = [
        "chat not found",
        "thread not found",
        "topic_closed",
        "topic_deleted",
        "not enough rights",
        "have no rights",
        "need administrator rights",
        "chat_write_forbidden",
        "chat_restricted",
        "user_is_blocked",
        "group is deactivated",
    ];
    if let Some(chat) = supergroup(answer) {
        return Verdict::new(AttemptOutcome::Temporary, is_supergroup(chat));
    }
    let said = verdict.reason.to_lowercase();
    let says = |words: &str| said.contains(words);
    if says("message is not modified") {
        return Verdict { outcome: AttemptOutcome::Delivered, ..verdict };
    }
    if says("message to edit not found") || says("message_id_invalid") {
        return Verdict::new(AttemptOutcome::Delivered, "the message was deleted; there is nothing to update");
    }
    if BROKEN.iter().any(|words| says(words)) {
        return Verdict { outcome: AttemptOutcome::Permanent, failing: true, ..verdict };
    }
    verdict
}

/// A message with its buttons.
fn draw(request: &Request) -> Picture {
    let document = picture::document(request);
    let said = picture::text_of(&document, "text").replace(text::JOINER, "");
    let (title, rest) = said.split_once('\n').unwrap_or((&said, ""));
    let mut drawn = Picture { title: title.to_owned(), accent: "#2aabee".into(), ..Picture::default() };
    rest.split("\n\n").for_each(|paragraph| drawn.plain(paragraph.trim()));
    if let Some(image) = document["link_preview_options"]["url"].as_str() {
        drawn.fact("image", image);
    }
    for row in picture::items(&document["reply_markup"], "inline_keyboard") {
        let buttons = row.as_array().into_iter().flatten();
        buttons.for_each(|button| drawn.link(picture::text_of(button, "text"), picture::text_of(button, "url")));
    }
    drawn
}
