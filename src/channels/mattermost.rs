//! Mattermost: by an incoming webhook, which can only post, or by a bot's token, which also answers in threads and marks
//! what it posted as closed.
//!
//! Pure. A message is a line of text with its title, and an attachment with the rest (see `post`). A webhook answers `ok`,
//! the REST API with the post. Neither knows a key for repetitions. After developers.mattermost.com, "Incoming webhooks"
//! and "Message attachments", and api.mattermost.com.

use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::own_server::{self, Bot, Given, Hints};
use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Address, Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness,
    Mappable, Mentions, Override, Reply, Request, Sending, Takes, Verdict, endpoint, overrides, picture,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt, Severity};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod markdown;
mod post;

/// An id of the server's: a token, a channel, a post.
const ID_LEN: usize = 26;
/// The post that a rehearsal answers with.
const TAKEN_ID: &str = "b7ykw1ppxtfmpfawjrktkyd8sh";

/// What an action may say of its messages.
const PRIORITY: Override = Override {
    name: "priority",
    doc: "Of a message that begins a thread; by default `urgent` if it is critical",
    is: |value| matches!(value.as_str(), Some(STANDARD | "important" | "urgent")),
    takes: "`standard`, `important` or `urgent`",
};
/// Mattermost takes it only under a licence; a server without one refuses it, and the plain form goes without.
const REQUESTED_ACK: Override = Override {
    name: "requested_ack",
    doc: "`true` asks everybody to acknowledge a message that begins a thread and has a priority; needs a licence",
    is: Value::is_boolean,
    takes: "`true` or `false`",
};
/// A priority like none.
const STANDARD: &str = "standard";

/// Mattermost.
pub const KIND: ChannelKind = ChannelKind {
    name: "mattermost",
    summary: "A message in a Mattermost channel, by a webhook or by a bot; a bot also uses threads and marks closed cases",
    example: "\
type: mattermost
url: https://chat.label.example
token: fakeq7zkt4mw9sb2xn6vc1FAKE
channel: 4xp9fdt77pncbef59f4k1qe83o
# Or, in place of these, a webhook, which can only post:
# webhook_url: https://chat.label.example/hooks/fakeq7zkt4mw9sb2xn6vc1FAKE
# username: Label news
",
    keys: &[
        KeyDoc::new("webhook_url", Takes::Choice, "An incoming webhook's URL; may be a choice. Either this or `token`")
            .secret(),
        KeyDoc::new("username", Takes::Text, "With `webhook_url`: the name to post under, where the server allows it"),
        KeyDoc::new("token", Takes::Text, "A bot's access token, and the bot a member of its channels").secret(),
        KeyDoc::new("channel", Takes::Address, "With `token`: the id of a channel; may be a choice or a map"),
        KeyDoc::new("url", Takes::Text, "With `token`: the server's address").secret(),
    ],
    can: Can { threads: true, edits: true, resolves: false },
    pages: false,
    shows_links: true,
    reports: false,
    queues: None,
    spacing: None,
    burst: 1,
    limits: &[post::TEXT, post::FOOTER],
    native: None,
    likeness: Likeness { dress: Dress::Chat, draw: post::draw },
    mentions: Some(Mentions {
        is: |id| post::mention(id).is_some(),
        words: "is nobody in Mattermost; write a person's or group's `@name`, `here`, `channel` or `all`",
    }),
    overrides: &[PRIORITY, REQUESTED_ACK],
    credentials: &[Credential {
        is: |text| Url::parse(text).is_ok_and(|url| is_hook(&url)),
        what: "the URL of a Mattermost webhook",
        key: Some("webhook_url"),
        hint: "`type: mattermost` takes it as `webhook_url`",
    }],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct Mattermost {
    facts: Facts,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Webhook { webhook: Choice<Secret>, username: Option<String> },
    Bot { token: Secret, channel: Address<String>, api: Secret },
}

/// `/hooks/` and an id, at whatever path the server has.
fn is_hook(url: &Url) -> bool {
    let parts: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    matches!(parts.as_slice(), [.., "hooks", id] if is_id(id))
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

const HINTS: Hints = Hints {
    webhook: "it ends with `/hooks/` and 26 letters and digits: Integrations, Incoming Webhooks",
    both: "a bot's `token` with `url` and `channel` can do everything that a webhook can",
};

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let username = fields.text("username", problems).map(|(name, _)| name);
    let found = match own_server::read(fields, &HINTS, problems)? {
        Given::Webhook(webhook) => {
            Mattermost { facts: endpoint::facts(Can::NOTHING, &webhook), way: Way::Webhook { webhook, username } }
        }
        Given::Bot(keys) => bot(&keys, problems)?,
    };
    Some(Box::new(found))
}

fn bot(keys: &Bot<'_>, problems: &mut Problems) -> Option<Mattermost> {
    let (token, node) = &keys.token;
    let is_token = is_id(token);
    if !is_token {
        problems.push(
            Problem::error("wrong-token", "this is not the token of a Mattermost bot")
                .at(&node.place)
                .hint("it has 26 letters and digits: Integrations, Bot Accounts"),
        );
    }
    let hint = "beside its `token`, write `url: https://chat.label.example` and `channel`, the id of a channel";
    keys.lacks(&[("channel", keys.channel.is_some()), ("url", keys.url.is_some())], hint, problems);
    let channel = keys.channel.and_then(|node| Address::parse(node, &CHANNEL, problems, &mut channel_id));
    let url = keys.url.and_then(|node| endpoint::read(node, problems));
    let (channel, url) = (channel?, url?);
    let (token, api) = (Secret::new(token.as_str()), own_server::api(&url));
    let facts = own_server::facts(KIND.can, &token, &url, &channel, endpoint::host(&url));
    is_token.then_some(Mattermost { facts, way: Way::Bot { token, channel, api } })
}

/// What a map may give.
const CHANNEL: Mappable<String> = Mappable { field: None, is: is_id, read: |text| Some(text.to_owned()) };

fn channel_id(node: &Node, problems: &mut Problems) -> Option<String> {
    let found = node.scalar().map(str::trim).filter(|id| is_id(id));
    if found.is_none() {
        problems.push(
            Problem::error("wrong-id", "this is not the id of a channel")
                .at(&node.place)
                .hint("open the channel's menu, `View Info`, and copy the ID below; it has 26 letters and digits"),
        );
    }
    found.map(str::to_owned)
}

impl Channel for Mattermost {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        match &self.way {
            // A webhook tells nothing about what it posted, so there is nothing to change.
            Way::Webhook { .. } if sending.act == MessageOp::Close => Ok(Request::Nothing),
            Way::Webhook { webhook, username } => {
                let (text, attachments) = post::content(sending);
                let mut body = json!({"text": text, "attachments": attachments});
                if let Some(username) = username {
                    body["username"] = username.as_str().into();
                }
                if let Some(priority) = priority(sending) {
                    body["priority"] = priority;
                }
                Ok(Request::Http(HttpRequest::json("POST", webhook.pick(sending)?.clone(), &body)))
            }
            Way::Bot { token, channel, api } => by_bot(sending, token, channel, api),
        }
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, body, .. } = reply else { return shared(Family::Service, reply) };
        let verdict = shared(Family::Service, reply);
        let answer = reply.json().unwrap_or_default();
        let receipt = || {
            let keys = ["id", "channel_id"];
            let kept = |key: &str| Some((key.to_owned(), answer[key].as_str()?.into()));
            keys.into_iter().map(kept).collect::<Option<Receipt>>()
        };
        match (&self.way, status) {
            (Way::Webhook { .. }, 200..=299) if body.trim_ascii() == b"ok" => verdict,
            (Way::Bot { .. }, 200..=299) if receipt().is_some() => Verdict { receipt: receipt(), ..verdict },
            // A portal or a proxy answered.
            (_, 200..=299) => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, but not as Mattermost does"))
            }
            _ => by_id(verdict, &answer),
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, request: &Request) -> Reply {
        match &self.way {
            Way::Webhook { .. } => Reply::http(200, "ok"),
            Way::Bot { .. } => {
                let channel = picture::document(request)["channel_id"].clone();
                let channel = if channel.is_null() { "of the post".into() } else { channel };
                Reply::http(201, json!({"id": TAKEN_ID, "channel_id": channel}).to_string())
            }
        }
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        match &self.way {
            Way::Webhook { webhook, .. } => webhook.chosen(root, names, |_| None),
            Way::Bot { channel, .. } => channel.chosen(root, names, |channel| Some(channel.clone())),
        }
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// By the REST API, which edits and answers.
fn by_bot(sending: &Sending<'_>, token: &Secret, channel: &Address<String>, api: &Secret) -> Result<Request, String> {
    let (text, attachments) = post::content(sending);
    let mut body = json!({"message": text, "props": {"attachments": attachments}});
    let known = |key: &str| sending.receipt?.get(key)?.as_str();
    // The first message of a case keeps its channel, even if this event would choose another.
    let first = known("id").zip(known("channel_id"));
    let (mut method, mut path) = ("POST", "posts".to_owned());
    match (sending.act, first) {
        (MessageOp::Close, None) => return Ok(Request::Nothing),
        (act, Some((id, _))) if act.changes() && sending.form == Form::Rich => {
            (method, path) = ("PUT", format!("posts/{id}/patch"));
        }
        (MessageOp::Again | MessageOp::Update | MessageOp::Close, Some((id, channel))) => {
            body["channel_id"] = channel.into();
            body["root_id"] = id.into();
        }
        _ => {
            body["channel_id"] = channel.pick(sending)?.as_str().into();
            if let Some(priority) = priority(sending) {
                body["metadata"] = json!({"priority": priority});
            }
        }
    }
    let mut request = HttpRequest::json(method, Secret::new(format!("{}/api/v4/{path}", api.open())), &body);
    request.headers.push(("authorization".to_owned(), Secret::new(format!("Bearer {}", token.open()))));
    Ok(Request::Http(request))
}

/// Only a post that begins a thread has one, and an older server may refuse it: the plain form goes without.
fn priority(sending: &Sending<'_>) -> Option<Value> {
    let is_critical = sending.rendered.message.severity == Severity::Critical;
    let asked = overrides::text(sending, &PRIORITY).or(is_critical.then(|| "urgent".to_owned()));
    let asked = asked.filter(|asked| asked != STANDARD && sending.form == Form::Rich)?;
    let mut priority = json!({ "priority": asked });
    if overrides::text(sending, &REQUESTED_ACK).is_some_and(|asked| asked == "true") {
        priority["requested_ack"] = true.into();
    }
    Some(priority)
}

/// What the server's own ids of errors mean.
fn by_id(verdict: Verdict, answer: &Value) -> Verdict {
    let id = picture::text_of(answer, "id");
    let verdict = match picture::text_of(answer, "message") {
        "" => verdict,
        said => Verdict { reason: said.to_owned(), ..verdict },
    };
    let broken =
        ["channel_locked", "webhook.channel", "webhook.user", "webhook.disabled", "webhook.invalid", "permission"];
    match verdict.outcome {
        // Only an edit meets a post that is gone: somebody deleted what was to be marked as closed.
        AttemptOutcome::Permanent if id.starts_with("app.post.get.") => {
            Verdict::new(AttemptOutcome::Delivered, "the message was deleted; there is nothing to update")
        }
        AttemptOutcome::Refused if broken.iter().any(|part| id.contains(part)) => {
            Verdict { outcome: AttemptOutcome::Permanent, failing: true, ..verdict }
        }
        _ => verdict,
    }
}
