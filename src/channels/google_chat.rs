//! Google Chat, by a space's webhook: a card for each message, those of a case in one thread.
//!
//! Pure. The thread's key and the request's id are ours: a case needs nothing remembered, and an attempt that is made again
//! gives the message that is there. Text stands in the card alone, which reads a few HTML tags, so every value is escaped
//! as HTML; a mention works in `text` only, which holds ids of `fanfare.yaml`. The URL's `key` and `token` are its
//! password. After developers.google.com/workspace/chat, "Use webhooks" and "Cards v2".

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::picture::{self, Picture, items, text_of};
use crate::channels::runs::{self, Line, Run, Style};
use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness, Limit, Mentions,
    Reply, Request, Sending, Takes, Verdict, endpoint, words,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::message::html::escape;
use crate::message::{Block, Field, fit};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

/// Text and cards together.
const SIZE: Limit = Limit::bytes("the whole message", 32_000);
/// What is left of it by ours.
const SIZE_MAX: usize = 28_000;
const THREAD_KEY: Limit = Limit::characters("the key of a thread", 4000);
/// Ours: characters of a title, of all text beside the card, of a URL, of a field's name and value; fields.
const TITLE_MAX: usize = 400;
const FALLBACK_MAX: usize = 500;
const URL_MAX: usize = 2048;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 300;
const FIELDS_MAX: usize = 20;
/// How to get a URL that works.
const MAKE_ONE: &str = "in Google Chat, open the space's menu, `Apps & integrations`, Webhooks, and copy the URL";
/// The space that a rehearsal answers with.
const TAKEN_SPACE: &str = "spaces/AAAAexample";

/// Google Chat.
pub const KIND: ChannelKind = ChannelKind {
    name: "google_chat",
    summary: "A card in a space of Google Chat, by a webhook; messages of a case stand in one thread",
    example: "\
type: google_chat
webhook_url: https://chat.googleapis.com/v1/spaces/AAAAexample/messages?key=AIzaFAKE-q7ZkT4mW9sB2xN6vC1aaaaaaaaaaaa&token=FAKE-xJ3vQ0yT8wRkN5bZ1cL7dM2pS4aG6hUe
",
    keys: &[KeyDoc::new(
        "webhook_url",
        Takes::Choice,
        "The webhook's URL, from the space's settings, `key` and `token` included; may be a choice",
    )
    .required()
    .secret()],
    can: Can { threads: true, edits: false, resolves: false },
    pages: false,
    shows_links: true,
    reports: false,
    queues: None,
    spacing: Some(SignedDuration::from_secs(1)),
    burst: 1,
    limits: &[SIZE, THREAD_KEY],
    native: None,
    likeness: Likeness { dress: Dress::Chat, draw },
    mentions: Some(Mentions {
        is: |id| id == "all" || (id.len() >= 10 && id.len() <= 25 && id.bytes().all(|byte| byte.is_ascii_digit())),
        words: "is nobody in Google Chat; write the number of a person's account, or `all`",
    }),
    overrides: &[],
    credentials: &[
        Credential {
            is: |text| text.starts_with("https://chat.googleapis.com/v1/spaces/"),
            what: "the URL of a webhook in Google Chat",
            key: Some("webhook_url"),
            hint: "`type: google_chat` takes it as `webhook_url`",
        },
        Credential {
            is: |text| {
                text.starts_with("https://chat.google.com/") || text.starts_with("https://mail.google.com/chat/")
            },
            what: "a link to a space, which nothing can be posted to",
            key: None,
            hint: MAKE_ONE,
        },
    ],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct GoogleChat {
    facts: Facts,
    webhook: Choice<Secret>,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let webhook = fields.required_node("webhook_url", problems)?;
    let webhook = Choice::parse(webhook, problems, &mut read)?;
    // The space's name is in what is answered, and in receipts.
    let secrets = webhook.all().into_iter().filter_map(|webhook| Url::parse(webhook.open()).ok());
    let secrets = secrets.flat_map(|url| url.query_pairs().map(|(_, value)| Secret::new(value)).collect::<Vec<_>>());
    let facts = Facts { secrets: secrets.collect(), ..endpoint::facts(KIND.can, &webhook) };
    Some(Box::new(GoogleChat { facts, webhook }))
}

/// `https://chat.googleapis.com/v1/spaces/SPACE/messages?key=…&token=…`, whatever the host.
fn read(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let url = endpoint::read(node, problems)?;
    let parts: Vec<&str> = url.path_segments().into_iter().flatten().collect();
    let has = |key: &str| url.query_pairs().any(|(found, value)| found == key && !value.is_empty());
    if !matches!(parts.as_slice(), [.., "spaces", _, "messages"]) || !has("key") || !has("token") {
        problems.push(
            Problem::error("wrong-url", "this is not a webhook URL: `/spaces/…/messages`, `key` or `token` is missing")
                .at(&node.place)
                .hint(MAKE_ONE),
        );
        return None;
    }
    Some(Secret::new(url.as_str()))
}

impl Channel for GoogleChat {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        if sending.act == MessageOp::Close {
            return Ok(Request::Nothing);
        }
        let mut url = Url::parse(self.webhook(sending)?.open()).map_err(|_| "the webhook's URL is broken")?;
        let mut body = content(sending);
        url.query_pairs_mut().append_pair("requestId", sending.id.as_str());
        if sending.lane.is_some() {
            url.query_pairs_mut().append_pair("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD");
            body["thread"] = json!({"threadKey": words::case_key(sending, THREAD_KEY.max)});
        }
        let mut request = HttpRequest::json("POST", Secret::new(url), &body);
        request.headers = vec![("content-type".to_owned(), Secret::new("application/json; charset=UTF-8"))];
        Ok(Request::Http(request))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let verdict = shared(Family::Service, reply);
        let answer = reply.json().unwrap_or_default();
        match (status, text_of(&answer, "name")) {
            (200..=299, name) if name.starts_with("spaces/") => {
                let space = name.split('/').take(2).collect::<Vec<_>>().join("/");
                verdict.receipt(Receipt::from_iter([("space".to_owned(), space.into())]))
            }
            (200..=299, _) => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, and not with the message"))
            }
            _ => match text_of(&answer["error"], "message") {
                "" => verdict,
                said => Verdict { reason: format!("{status} {said}"), ..verdict },
            },
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, request: &Request) -> Reply {
        let url = match request {
            Request::Http(http) => Url::parse(http.url.open()).ok(),
            Request::Mail(_) | Request::Nothing => None,
        };
        let parts: Vec<String> = url.iter().filter_map(Url::path_segments).flatten().map(str::to_owned).collect();
        let space = match parts.as_slice() {
            [.., spaces, id, _] => format!("{spaces}/{id}"),
            _ => TAKEN_SPACE.to_owned(),
        };
        Reply::http(200, json!({"name": format!("{space}/messages/example")}).to_string())
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        self.webhook.chosen(root, names, |_| None)
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl GoogleChat {
    /// Where a case began, even if this event would choose another space.
    fn webhook(&self, sending: &Sending<'_>) -> Result<&Secret, String> {
        let space = sending.receipt.and_then(|receipt| receipt.get("space")).and_then(Value::as_str);
        let theirs = space.and_then(|space| {
            let part = format!("/{space}/messages");
            self.webhook.all().into_iter().find(|webhook| webhook.open().contains(&part))
        });
        theirs.map_or_else(|| self.webhook.pick(sending), Ok)
    }
}

/// All that doesn't say where it goes.
fn content(sending: &Sending<'_>) -> Value {
    let mentions: Vec<String> = sending.mentions.iter().map(|id| format!("<users/{id}>")).collect();
    let around = message(sending, &mentions, String::new());
    let room = SIZE_MAX.saturating_sub(around.to_string().len());
    let text = if sending.form == Form::Plain {
        // What is cut at is never within an escape.
        let said = fit::text(&words::plain(sending), room, |part| size(&broken(part)));
        broken(&said)
    } else {
        let blocks = &sending.rendered.message.body;
        html(&fit::blocks(blocks, room, &|blocks| size(&html(blocks))).blocks)
    };
    message(sending, &mentions, text)
}

/// As it stands in JSON.
fn size(text: &str) -> usize {
    Value::from(text).to_string().len()
}

/// The message around this text, which is HTML.
fn message(sending: &Sending<'_>, mentions: &[String], text: String) -> Value {
    let message = &sending.rendered.message;
    let paragraph = |text: String| json!({"textParagraph": {"text": text}});
    let title = format!("{} {}", words::sign(sending), words::short(&words::title(sending), TITLE_MAX));
    let mut widgets = Vec::new();
    if sending.form == Form::Rich {
        widgets.push(paragraph(format!("<b>{}</b>", escape(&title))));
    }
    if !text.is_empty() {
        widgets.push(paragraph(text));
    }
    if sending.form == Form::Rich {
        widgets.extend(fields(&message.fields).map(paragraph));
        widgets.extend(image(sending));
    }
    let buttons = buttons(sending);
    if !buttons.is_empty() {
        widgets.push(json!({"buttonList": {"buttons": buttons}}));
    }
    if sending.form == Form::Rich
        && let Some(footer) = words::footer(sending, true)
    {
        widgets.push(paragraph(format!("<i>{}</i>", escape(&words::short(&footer, TITLE_MAX)))));
    }
    let mut body = json!({
        "cardsV2": [{"cardId": "message", "card": {"sections": [{"widgets": widgets}]}}],
        "fallbackText": words::short(&title, FALLBACK_MAX),
    });
    if !mentions.is_empty() {
        body["text"] = mentions.join(" ").into();
    }
    body
}

fn fields(fields: &[Field]) -> Option<String> {
    let line = |field: &Field| {
        let name = words::short(&words::or_dash(&field.name), NAME_MAX);
        let value = words::short(&words::or_dash(&field.value), VALUE_MAX);
        format!("<b>{}:</b> {}", escape(&name), escape(&value))
    };
    let mut lines: Vec<String> = fields.iter().take(FIELDS_MAX).map(line).collect();
    if let Some(more) = fields.len().checked_sub(FIELDS_MAX).filter(|more| *more > 0) {
        lines.push(format!("… and {more} more"));
    }
    (!lines.is_empty()).then(|| lines.join("<br>"))
}

/// Google shows an image by https only.
fn image(sending: &Sending<'_>) -> Option<Value> {
    let image = sending.rendered.message.image.as_deref().and_then(|url| words::within(url, URL_MAX))?;
    let alt = words::short(&words::title(sending), NAME_MAX);
    image.starts_with("https://").then(|| json!({"image": {"imageUrl": image, "altText": alt}}))
}

/// What people can do about the case, then where to look further.
fn buttons(sending: &Sending<'_>) -> Vec<Value> {
    words::buttons(sending, URL_MAX)
        .map(|(text, url)| json!({"text": text, "onClick": {"openLink": {"url": url}}}))
        .collect()
}

/// Plain text as HTML, with its line breaks.
fn broken(text: &str) -> String {
    escape(text).replace('\n', "<br>")
}

fn html(blocks: &[Block]) -> String {
    let mut out = String::new();
    for line in runs::lines(blocks) {
        if !out.is_empty() {
            out.push_str(if line.begins { "<br><br>" } else { "<br>" });
        }
        line.runs.iter().for_each(|run| out.push_str(&tagged(&line, run)));
    }
    out
}

fn tagged(line: &Line, run: &Run) -> String {
    let mut text = escape(&run.text);
    if line.is_code {
        text = text.replace("  ", "\u{a0}\u{a0}");
    }
    let Style { bold, italic, strike, .. } = run.style;
    for (_, tag) in [(bold, "b"), (italic, "i"), (strike, "s")].into_iter().filter(|(is, _)| *is) {
        text = format!("<{tag}>{text}</{tag}>");
    }
    match run.link.as_deref().and_then(|url| words::within(url, URL_MAX)) {
        Some(link) => format!("<a href=\"{}\">{text}</a>", escape(link)),
        None => text,
    }
}

/// A card as a picture.
fn draw(request: &Request) -> Picture {
    let document = picture::document(request);
    let mut drawn = Picture { accent: "#1a73e8".into(), ..Picture::default() };
    let card = &document["cardsV2"][0]["card"];
    for widget in items(card, "sections").flat_map(|section| items(section, "widgets")) {
        let text = read_html(text_of(&widget["textParagraph"], "text"));
        if drawn.title.is_empty() {
            drawn.title = text;
        } else {
            drawn.plain(&text);
        }
        if let Some(image) = widget["image"]["imageUrl"].as_str() {
            drawn.fact("image", image);
        }
        items(&widget["buttonList"], "buttons")
            .for_each(|button| drawn.link(text_of(button, "text"), text_of(&button["onClick"]["openLink"], "url")));
    }
    drawn
}

/// Our own HTML as text: line breaks, and what is between the tags.
fn read_html(html: &str) -> String {
    let mut text = String::new();
    for (nth, part) in html.replace("<br>", "\n").split('<').enumerate() {
        text.push_str(if nth == 0 { part } else { part.split_once('>').map_or("", |(_, rest)| rest) });
    }
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, sign)| text.replace(entity, sign))
}
