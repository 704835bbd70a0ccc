//! Discord, by a webhook: an embed for each message, with the severity as its colour; marked as closed by an edit.
//!
//! Pure. Discord reads Markdown everywhere in an embed but in its footer, so every value is escaped, and nothing in it
//! can be a link, an emoji or a mention; `allowed_mentions` lets none but the action's own people be pinged. Limits
//! after discord.com/developers/docs, "Webhook" and "Message": see the constants. Lengths are counted in UTF-16 units,
//! of which a text has at least as many as of whatever Discord counts.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::verdict::{Family, seconds, shared};
use crate::channels::{
    Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness, Limit, Mentions,
    Override, Reply, Request, Sending, Takes, Verdict, endpoint, overrides, words,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::message::template::native::Format;
use crate::message::{Native, fit};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

mod embed;
mod likeness;
mod markdown;

const CONTENT: Limit = Limit::characters("`content`", 2000);
/// `SUPPRESS_EMBEDS`: a plain message shows no previews of links.
const SUPPRESS_EMBEDS: u64 = 4;

/// What an action may say of its messages.
const THREAD: Override = Override {
    name: "thread_id",
    doc: "The thread of the webhook's channel to post to",
    is: |value| value.as_str().is_some_and(is_snowflake),
    takes: "a thread's id, quoted: a number of 15 to 20 digits",
};

/// Discord.
pub const KIND: ChannelKind = ChannelKind {
    name: "discord",
    summary: "A message in a Discord channel or thread, by a webhook; marked as closed when its case closes",
    example: "\
type: discord
webhook_url: https://discord.com/api/webhooks/123456789012345678/FAKE-xJ3vQ0yT8wRkN5bZ1cL7dM2pS4aG6hUe
thread_id: \"234567890123456789\"
username: Label news
",
    keys: &[
        KeyDoc::new(
            "webhook_url",
            Takes::Choice,
            "The webhook's URL, from the channel's settings, Integrations; may be a choice",
        )
        .required()
        .secret(),
        KeyDoc::new(
            "thread_id",
            Takes::Choice,
            "The thread of that channel to post to, quoted; a forum channel needs one; may be a choice",
        ),
        KeyDoc::new("username", Takes::Text, "The name to post under, instead of the webhook's own"),
    ],
    can: Can { threads: false, edits: true, resolves: false },
    pages: false,
    shows_links: true,
    reports: false,
    queues: None,
    spacing: Some(SignedDuration::from_millis(500)),
    burst: 1,
    limits: &[
        CONTENT,
        embed::TITLE,
        embed::DESCRIPTION,
        embed::FIELDS,
        embed::NAME,
        embed::VALUE,
        embed::FOOTER,
        embed::URL,
        embed::SUM,
    ],
    native: Some(Format::Json(Some(markdown::escape_value))),
    likeness: Likeness { dress: Dress::DarkChat, draw: likeness::draw },
    mentions: Some(Mentions {
        is: |id| Mention::of(id).is_some(),
        words: "is nobody in Discord; write a user's id, `&` and a role's id, `here` or `everyone`",
    }),
    overrides: &[THREAD],
    credentials: &[
        Credential {
            // What ends with `/slack` speaks Slack's language, for anyone who knows that only.
            is: |text| {
                text.starts_with("https://discord") && text.contains("/api/webhooks/") && !text.ends_with("/slack")
            },
            what: "the URL of a Discord webhook",
            key: Some("webhook_url"),
            hint: "`type: discord` takes it as `webhook_url`",
        },
        Credential {
            is: |text| text.starts_with("https://discord.com/channels/") || text.starts_with("https://discord.gg/"),
            what: "a link to a place in Discord, which nothing can be posted to",
            key: None,
            hint: MAKE_ONE,
        },
    ],
    warnings: &[],
    parse,
};

/// The message and the channel that a rehearsal answers with.
const TAKEN_ID: &str = "1199887766554433221";
const TAKEN_CHANNEL: &str = "1199887766554433220";

/// How to get a URL that works.
const MAKE_ONE: &str = "in the channel's settings, open `Integrations`, `Webhooks`, make one, and copy its URL";

#[derive(Debug)]
struct Discord {
    facts: Facts,
    webhook: Choice<Secret>,
    thread: Option<Choice<String>>,
    username: Option<String>,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let webhook =
        fields.required_node("webhook_url", problems).and_then(|node| Choice::parse(node, problems, &mut webhook));
    let has_thread = fields.has("thread_id");
    let thread = fields.node("thread_id", problems).and_then(|node| Choice::parse(node, problems, &mut snowflake));
    let username = fields.text("username", problems).map(|(name, node)| username(name, node, problems));
    if (has_thread && thread.is_none()) || username == Some(None) {
        return None;
    }
    let webhook = webhook?;
    // The token alone: the rest of the URL, with the webhook's id, is in what Discord answers, and in receipts.
    let token = |webhook: &Secret| webhook.open().trim_end_matches('/').rsplit('/').next().map(Secret::new);
    let facts = Facts {
        can: KIND.can,
        secrets: webhook.all().into_iter().filter_map(token).collect(),
        address: endpoint::hosts(webhook.all()),
        endpoints: endpoint::endpoints(webhook.all()),
        names: webhook.name().into_iter().chain(thread.as_ref().and_then(Choice::name)).collect(),
        mapped: None,
        by_event: webhook.is_by_event() || thread.as_ref().is_some_and(Choice::is_by_event),
    };
    Some(Box::new(Discord { facts, webhook, thread, username: username.flatten() }))
}

/// `https://discord.com/api/webhooks/ID/TOKEN`, whatever the host.
fn webhook(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let url = endpoint::read(node, problems)?;
    let parts: Vec<&str> = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let is_webhook = matches!(parts.as_slice(), [.., "webhooks", id, _token] if is_snowflake(id));
    if !is_webhook {
        problems.push(
            Problem::error("wrong-url", "this is not a webhook URL")
                .at(&node.place)
                .hint("it ends with `/webhooks/ID/TOKEN`, without `/slack` or `/github` behind it"),
        );
        return None;
    }
    // A query of the author's would be in the way of ours, and a `thread_id` has its own key.
    let mut url = url;
    url.set_query(None);
    url.set_fragment(None);
    Some(Secret::new(url))
}

/// The webhook's name in messages ("Create Webhook": which names are valid).
fn username(name: String, node: &Node, problems: &mut Problems) -> Option<String> {
    let lower = name.to_lowercase();
    let is_valid = (1..=80).contains(&fit::utf16(&name)) && !lower.contains("discord") && !lower.contains("clyde");
    if !is_valid {
        problems.push(
            Problem::error("wrong-name", "Discord refuses this name for a webhook")
                .at(&node.place)
                .hint("a name has up to 80 characters, and neither `discord` nor `clyde` in it"),
        );
    }
    is_valid.then_some(name)
}

fn snowflake(node: &Node, problems: &mut Problems) -> Option<String> {
    match node.scalar().filter(|id| is_snowflake(id)) {
        Some(id) => Some(id.to_owned()),
        None => {
            problems.push(
                Problem::error("wrong-id", "this is not a Discord id")
                    .at(&node.place)
                    .hint("an id is a number of 15 to 20 digits; `Copy Thread ID` gives it, with developer mode on"),
            );
            None
        }
    }
}

fn is_snowflake(id: &str) -> bool {
    (15..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}

impl Channel for Discord {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let body = match (sending.form, &sending.rendered.native) {
            (Form::Plain, _) => self.plain(sending),
            (Form::Rich, Some(Native::Json(Value::Object(native)))) => self.native(sending, native),
            (Form::Rich, _) => self.rich(sending),
        };
        // A plain change or close comes after the edit was refused: it is said anew.
        let edited = match (sending.act, sending.form) {
            (MessageOp::Close, Form::Rich) if receipt_text(sending, "id").is_none() => return Ok(Request::Nothing),
            (act, Form::Rich) if act.changes() => receipt_text(sending, "id"),
            _ => None,
        };
        let method = if edited.is_some() { "PATCH" } else { "POST" };
        Ok(Request::Http(HttpRequest::json(method, self.url(sending, edited)?, &Value::Object(body))))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let answer = reply.json();
        let verdict = shared(Family::Service, reply);
        match status {
            204 => verdict,
            200..=299 => match answer.as_ref().and_then(receipt) {
                Some(receipt) => verdict.receipt(receipt).wait(pause(reply)),
                None => Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, and not with the message")),
            },
            _ => by_code(verdict, answer.as_ref()),
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, _request: &Request) -> Reply {
        Reply::http(200, json!({"id": TAKEN_ID, "channel_id": TAKEN_CHANNEL}).to_string())
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        let webhook = self.webhook.chosen(root, names, |_| None);
        let thread =
            self.thread.as_ref().and_then(|thread| thread.chosen(root, names, |id| Some(format!("thread {id}"))));
        let all: Vec<String> = webhook.into_iter().chain(thread).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// JSON error codes (discord.com/developers/docs, "Opcodes and Status Codes") where the status alone says too little.
fn by_code(verdict: Verdict, answer: Option<&Value>) -> Verdict {
    let said = |key: &str| answer.and_then(|answer| answer.get(key));
    let outcome = |outcome, failing| Verdict { outcome, failing, wait: None, ..verdict.clone() };
    match said("code").and_then(Value::as_i64) {
        // Unknown message: somebody deleted what was to be marked as closed.
        Some(10_008) => Verdict::new(AttemptOutcome::Delivered, "the message was deleted; there is nothing to update"),
        // Request entity too large, empty message, invalid form body, invalid JSON; too many edits of an old message.
        Some(40_005 | 50_006 | 50_035 | 50_109 | 30_046) => outcome(AttemptOutcome::Refused, false),
        // Unknown channel or webhook, missing access or permission, invalid webhook token, archived or locked thread,
        // a forum without a thread.
        Some(10_003 | 10_015 | 50_001 | 50_013 | 50_027 | 50_083 | 160_005 | 220_001) => {
            outcome(AttemptOutcome::Permanent, true)
        }
        _ if verdict.outcome == AttemptOutcome::Limited => {
            let asked = said("retry_after").and_then(|wait| seconds(&wait.to_string()));
            let wait = verdict.wait.max(asked);
            verdict.wait(wait)
        }
        _ => verdict,
    }
}

/// What is needed to find the message again.
fn receipt(answer: &Value) -> Option<Receipt> {
    answer.get("id")?.as_str().filter(|id| is_snowflake(id))?;
    let keys = ["id", "channel_id", "webhook_id"];
    Some(keys.into_iter().filter_map(|key| Some((key.to_owned(), answer.get(key)?.as_str()?.into()))).collect())
}

fn receipt_text<'s>(sending: &Sending<'s>, key: &str) -> Option<&'s str> {
    sending.receipt?.get(key)?.as_str()
}

/// How long to pause when this was the last request of the present window.
fn pause(reply: &Reply) -> Option<SignedDuration> {
    if reply.header("x-ratelimit-remaining")?.trim() != "0" {
        return None;
    }
    seconds(reply.header("x-ratelimit-reset-after")?.trim())
}

impl Discord {
    /// Where to post, or which message to edit. What was sent by one webhook can be edited by that one only, so the
    /// receipt decides, even if the event that closes the case would choose another.
    fn url(&self, sending: &Sending<'_>, edited: Option<&str>) -> Result<Secret, String> {
        let theirs = receipt_text(sending, "webhook_id").and_then(|id| {
            let part = format!("/webhooks/{id}/");
            self.webhook.all().into_iter().find(|webhook| webhook.open().contains(&part))
        });
        let webhook = theirs.map_or_else(|| self.webhook.pick(sending), Ok)?;
        let mut url = Url::parse(webhook.open()).map_err(|_| "the webhook's URL is broken")?;
        if let (Some(id), Ok(mut path)) = (edited, url.path_segments_mut()) {
            path.pop_if_empty().extend(["messages", id]);
        }
        let thread = match (overrides::text(sending, &THREAD), &self.thread) {
            (Some(thread), _) => Some(thread),
            (None, Some(thread)) => Some(thread.pick(sending)?.clone()),
            (None, None) => None,
        };
        {
            let mut query = url.query_pairs_mut();
            if edited.is_none() {
                query.append_pair("wait", "true");
            }
            // A message's channel is its thread, so an edit goes where the message went.
            let thread = match edited {
                Some(_) => receipt_text(sending, "channel_id").filter(|_| thread.is_some()),
                None => thread.as_deref(),
            };
            if let Some(thread) = thread {
                query.append_pair("thread_id", thread);
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        Ok(Secret::new(url))
    }

    fn rich(&self, sending: &Sending<'_>) -> Map<String, Value> {
        let mut body = self.frame(sending);
        let (content, _) = pings(sending);
        if !content.is_empty() {
            body.insert("content".into(), content.into());
        }
        body.insert("embeds".into(), json!([embed::of(sending)]));
        body
    }

    /// One text, without embeds and markup.
    fn plain(&self, sending: &Sending<'_>) -> Map<String, Value> {
        let mut body = self.frame(sending);
        let (mut content, _) = pings(sending);
        if !content.is_empty() {
            content.push('\n');
        }
        let link = sending.rendered.message.link.as_ref().filter(|link| fit::utf16(link) <= CONTENT.max / 4);
        let mut tail = link.map(|link| format!("\n<{}>", link.replace('@', "%40"))).unwrap_or_default();
        tail.extend(sending.links.iter().map(|button| format!("\n{}: <{}>", button.label, button.url)));
        let room = CONTENT.max.saturating_sub(fit::utf16(&content) + fit::utf16(&tail));
        content.push_str(&markdown::escape_within(&quiet(&words::plain(sending)), room));
        content.push_str(&tail);
        body.insert("content".into(), content.into());
        body.insert("flags".into(), SUPPRESS_EMBEDS.into());
        body
    }

    /// The author's own JSON. Who is pinged, by what name and in which thread stays ours.
    fn native(&self, sending: &Sending<'_>, native: &Map<String, Value>) -> Map<String, Value> {
        const THEIRS: [&str; 4] = ["content", "embeds", "components", "flags"];
        let mut body = self.frame(sending);
        body.extend(THEIRS.iter().filter_map(|key| Some(((*key).to_owned(), native.get(*key)?.clone()))));
        let (pings, _) = pings(sending);
        let mark =
            if sending.act == MessageOp::Close { format!("{}:", sending.locale.words.closed) } else { String::new() };
        let content = quiet(body.get("content").and_then(Value::as_str).unwrap_or_default());
        let parts = [pings.as_str(), mark.as_str(), content.as_str()];
        let content = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
        if !content.is_empty() {
            body.insert("content".into(), content.join(" ").into());
        }
        body
    }

    fn frame(&self, sending: &Sending<'_>) -> Map<String, Value> {
        let mut body = Map::new();
        let is_edit = sending.act.changes() && sending.form == Form::Rich && receipt_text(sending, "id").is_some();
        if let Some(username) = self.username.as_ref().filter(|_| !is_edit) {
            body.insert("username".into(), username.as_str().into());
        }
        let (_, allowed) = pings(sending);
        body.insert("allowed_mentions".into(), allowed);
        body
    }
}

/// Whom an id of `mentions:` means.
enum Mention<'s> {
    User(&'s str),
    Role(&'s str),
    Everyone(&'s str),
}

impl<'s> Mention<'s> {
    fn of(id: &'s str) -> Option<Self> {
        match id.strip_prefix('&') {
            Some(role) if is_snowflake(role) => Some(Mention::Role(role)),
            None if is_snowflake(id) => Some(Mention::User(id)),
            None if matches!(id, "here" | "everyone") => Some(Mention::Everyone(id)),
            _ => None,
        }
    }
}

/// The mentions as text, and who may be pinged: they, and never anyone whom a value names. An edit pings nobody.
fn pings(sending: &Sending<'_>) -> (String, Value) {
    let (mut words, mut users, mut roles, mut parse) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for mention in sending.pinged().iter().filter_map(|id| Mention::of(id)) {
        match mention {
            Mention::User(id) => {
                words.push(format!("<@{id}>"));
                users.push(id);
            }
            Mention::Role(id) => {
                words.push(format!("<@&{id}>"));
                roles.push(id);
            }
            Mention::Everyone(word) => {
                words.push(format!("@{word}"));
                parse.push("everyone");
            }
        }
    }
    let mut allowed = Map::new();
    parse.dedup();
    allowed.insert("parse".into(), json!(parse));
    if !users.is_empty() {
        allowed.insert("users".into(), json!(users));
    }
    if !roles.is_empty() {
        allowed.insert("roles".into(), json!(roles));
    }
    (words.join(" "), Value::Object(allowed))
}

/// The text with `@everyone` and `@here` broken by a space of no width. Discord looks for them in the content as it is,
/// backslashes and all, and finds them where the action's own mention lets it look.
fn quiet(text: &str) -> String {
    text.replace("@everyone", "@\u{200b}everyone").replace("@here", "@\u{200b}here")
}
