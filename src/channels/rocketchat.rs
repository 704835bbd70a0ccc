//! Rocket.Chat: by an incoming webhook, which can only post, or by a bot's token, which also answers in threads and marks
//! what it posted as closed.
//!
//! Pure. A message is one text (see `text`), since an edit changes nothing else of it; an image is an attachment. A webhook
//! answers `{"success":true}`, the REST API with the message. Neither knows a key for repetitions. After
//! developer.rocket.chat, "Post Message" and "Update Message", and the server's own code.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::own_server::{self, Bot, Given, Hints};
use crate::channels::verdict::{self, Family, shared};
use crate::channels::{
    Address, Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness,
    Mappable, Mentions, Reply, Request, Sending, Takes, Verdict, endpoint, picture,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod text;

/// The message that a rehearsal answers with.
const TAKEN_ID: &str = "CeXwh5eBbdrtvnqG6";

/// Rocket.Chat.
pub const KIND: ChannelKind = ChannelKind {
    name: "rocketchat",
    summary: "A message in a Rocket.Chat channel, by a webhook or by a bot; a bot also uses threads and marks closed cases",
    example: "\
type: rocketchat
url: https://chat.label.example
token: FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaaaaaaaaaa
user_id: rbAXPnMktTFbNpwtJ
channel: \"#releases\"
# Or, in place of these, a webhook, which can only post:
# webhook_url: https://chat.label.example/hooks/65f1c0ffee0123456789abcd/FAKEq7ZkT4mW9sB2xN6vC1aaaaaa
",
    keys: &[
        KeyDoc::new("webhook_url", Takes::Choice, "An incoming webhook's URL; may be a choice. Either this or `token`")
            .secret(),
        KeyDoc::new("token", Takes::Text, "A bot's personal access token, and the bot a member of its channels")
            .secret(),
        KeyDoc::new("user_id", Takes::Text, "With `token`: the bot's user id, which the server shows with the token"),
        KeyDoc::new(
            "channel",
            Takes::Address,
            "With `token`: a channel's #name or id, or @name; may be a choice or a map",
        ),
        KeyDoc::new("url", Takes::Text, "With `token`: the server's address").secret(),
    ],
    can: Can { threads: true, edits: true, resolves: false },
    pages: false,
    shows_links: true,
    reports: false,
    queues: None,
    spacing: Some(SignedDuration::from_secs(6)),
    burst: 1,
    limits: &[text::TEXT],
    native: None,
    likeness: Likeness { dress: Dress::Chat, draw: text::draw },
    mentions: Some(Mentions {
        is: |id| text::mention(id).is_some(),
        words: "is nobody in Rocket.Chat; write a person's or team's `@name`, `here` or `all`",
    }),
    overrides: &[],
    credentials: &[Credential {
        is: |text| Url::parse(text).is_ok_and(|url| is_hook(&url)),
        what: "the URL of a Rocket.Chat webhook",
        key: Some("webhook_url"),
        hint: "`type: rocketchat` takes it as `webhook_url`",
    }],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct RocketChat {
    facts: Facts,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Webhook(Choice<Secret>),
    Bot { token: Secret, user: String, channel: Address<String>, api: Secret },
}

/// `/hooks/`, an id and a token, at whatever path the server has.
fn is_hook(url: &Url) -> bool {
    let is_id = |text: &str, min: usize| {
        text.len() >= min && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let parts: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    matches!(parts.as_slice(), [.., "hooks", id, token] if is_id(id, 17) && is_id(token, 17))
}

const HINTS: Hints = Hints {
    webhook: "it ends with `/hooks/`, an id and a token: Administration, Integrations, Incoming",
    both: "a bot's `token` with `user_id`, `url` and `channel` can do everything that a webhook can",
};

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let user = fields.text("user_id", problems).map(|(user, _)| user);
    let found = match own_server::read(fields, &HINTS, problems)? {
        Given::Webhook(webhook) => {
            RocketChat { facts: endpoint::facts(Can::NOTHING, &webhook), way: Way::Webhook(webhook) }
        }
        Given::Bot(keys) => bot(&keys, user, problems)?,
    };
    Some(Box::new(found))
}

fn bot(keys: &Bot<'_>, user: Option<String>, problems: &mut Problems) -> Option<RocketChat> {
    let (token, node) = &keys.token;
    let token = endpoint::token(token, node, "make one under My Account, Personal Access Tokens", problems);
    let there = [("user_id", user.is_some()), ("channel", keys.channel.is_some()), ("url", keys.url.is_some())];
    let hint = "beside its `token`, write `user_id`, `url: https://chat.label.example` and `channel: \"#releases\"`";
    keys.lacks(&there, hint, problems);
    let user = user.filter(|user| is_user(user, node, problems));
    let channel = keys.channel.and_then(|node| Address::parse(node, &CHANNEL, problems, &mut channel_name));
    let url = keys.url.and_then(|node| endpoint::read(node, problems));
    let (token, user, channel, url) = (token?, user?, channel?, url?);
    let channels: Vec<&str> = channel.all().into_iter().map(String::as_str).collect();
    let address = format!("{} {}", endpoint::host(&url), channels.join(", ")).trim_end().to_owned();
    let facts = own_server::facts(KIND.can, &token, &url, &channel, address);
    Some(RocketChat { facts, way: Way::Bot { token, user, channel, api: own_server::api(&url) } })
}

fn is_user(user: &str, node: &Node, problems: &mut Problems) -> bool {
    let is_user = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_user {
        problems.push(
            Problem::error("wrong-id", "`user_id` is not the id of a user")
                .at(&node.place)
                .hint("the server shows it beside a new token; it has 17 letters and digits"),
        );
    }
    is_user
}

const CHANNEL: Mappable<String> = Mappable { field: None, is: is_channel, read: |text| Some(text.to_owned()) };

/// A channel's #name or id: a map leads to no person's own messages.
fn is_channel(text: &str) -> bool {
    let name = text.strip_prefix('#').unwrap_or(text);
    (1..=80).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn channel_name(node: &Node, problems: &mut Problems) -> Option<String> {
    let name = node.scalar().map(str::trim).filter(|name| !name.trim_start_matches(['#', '@']).is_empty());
    if name.is_none() {
        problems.push(node.expected("a channel's #name or id, or @name").hint("quote a name: \"#releases\""));
    }
    name.map(str::to_owned)
}

impl Channel for RocketChat {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        match &self.way {
            // A webhook tells nothing about what it posted, so there is nothing to change.
            Way::Webhook(_) if sending.act == MessageOp::Close => Ok(Request::Nothing),
            Way::Webhook(webhook) => {
                let body = Value::Object(text::content(sending));
                Ok(Request::Http(HttpRequest::json("POST", webhook.pick(sending)?.clone(), &body)))
            }
            Way::Bot { token, user, channel, api } => {
                let Some((method, body)) = by_bot(sending, channel)? else { return Ok(Request::Nothing) };
                let url = Secret::new(format!("{}/api/v1/{method}", api.open()));
                let mut request = HttpRequest::json("POST", url, &Value::Object(body));
                request.headers.push(("x-auth-token".to_owned(), token.clone()));
                request.headers.push(("x-user-id".to_owned(), Secret::new(user.as_str())));
                Ok(Request::Http(request))
            }
        }
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let verdict = shared(Family::Service, reply);
        let answer = reply.json().unwrap_or_default();
        match (&self.way, status) {
            (Way::Webhook(_), 200..=299) if answer["success"] == true => verdict,
            (Way::Bot { .. }, 200..=299) if answer["success"] == true => match receipt(&answer["message"]) {
                Some(receipt) => verdict.receipt(receipt),
                None => verdict,
            },
            // A portal or a proxy answered.
            (_, 200..=299) => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, but not as Rocket.Chat does"))
            }
            _ => by_words(verdict, &answer),
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, request: &Request) -> Reply {
        let mut answer = json!({"success": true});
        if let Way::Bot { .. } = &self.way {
            let sent = picture::document(request);
            let id = sent.get("msgId").and_then(Value::as_str).unwrap_or(TAKEN_ID);
            answer["message"] = json!({"_id": id, "rid": sent["roomId"]});
        }
        Reply::http(200, answer.to_string())
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        match &self.way {
            Way::Webhook(webhook) => webhook.chosen(root, names, |_| None),
            Way::Bot { channel, .. } => channel.chosen(root, names, |channel| Some(channel.clone())),
        }
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// A method of the REST API, and what it takes.
type Call = (&'static str, Map<String, Value>);

/// What is called; nothing for a close of what was never shown.
fn by_bot(sending: &Sending<'_>, channel: &Address<String>) -> Result<Option<Call>, String> {
    let known = |key: &str| sending.receipt?.get(key)?.as_str();
    // The first message of a case keeps its room, even if this event would choose another.
    let first = known("_id").zip(known("rid"));
    let mut body = text::content(sending);
    match (sending.act, first) {
        (MessageOp::Close, None) => return Ok(None),
        (act, Some((id, room))) if act.changes() && sending.form == Form::Rich => {
            body.remove("attachments");
            body.insert("msgId".into(), id.into());
            body.insert("roomId".into(), room.into());
            return Ok(Some(("chat.update", body)));
        }
        // A plain one comes after the change was refused: it is said in the thread.
        (MessageOp::Again | MessageOp::Update | MessageOp::Close, Some((id, room))) => {
            body.insert("roomId".into(), room.into());
            body.insert("tmid".into(), id.into());
        }
        _ => {
            // A name is taken there too, and `channel` would exclude threads.
            body.insert("roomId".into(), channel.pick(sending)?.as_str().into());
        }
    }
    Ok(Some(("chat.postMessage", body)))
}

fn receipt(message: &Value) -> Option<Receipt> {
    let kept = |key: &str| Some((key.to_owned(), message[key].as_str()?.into()));
    ["_id", "rid"].into_iter().map(kept).collect()
}

/// What the server's words mean; it answers 400 to all that it doesn't like.
fn by_words(verdict: Verdict, answer: &Value) -> Verdict {
    let said = match picture::text_of(answer, "error") {
        "" => picture::text_of(answer, "message"),
        said => said,
    };
    if said.is_empty() {
        return verdict;
    }
    let verdict = Verdict { reason: verdict::one_line(said), ..verdict };
    let broken =
        ["invalid-channel", "room", "not-allowed", "nvalid integration", "overriding", "blocked from", "readonly"];
    match verdict.outcome {
        AttemptOutcome::Limited => Verdict { wait: verdict.wait.or_else(|| seconds(said)), ..verdict },
        // Only an edit meets a message that is gone: somebody deleted what was to be marked as closed.
        AttemptOutcome::Refused if said.starts_with("No message found with the id") => {
            Verdict::new(AttemptOutcome::Delivered, "the message was deleted; there is nothing to update")
        }
        AttemptOutcome::Refused if said.contains("action-not-allowed") => verdict,
        AttemptOutcome::Refused if broken.iter().any(|part| said.contains(part)) => {
            Verdict { outcome: AttemptOutcome::Permanent, failing: true, ..verdict }
        }
        _ => verdict,
    }
}

/// `You must wait 43 seconds before trying this endpoint again.`
fn seconds(said: &str) -> Option<SignedDuration> {
    let (_, rest) = said.split_once("must wait ")?;
    verdict::seconds(rest.split(' ').next()?)
}
