//! ntfy: a notification on phones that follow a topic, replaced when its case closes.
//!
//! Pure. All text goes as JSON strings, which ntfy shows as they are. Each message has a `sequence_id` of ours, so what is
//! sent again replaces what arrived. A topic is as good as a password: anyone who knows its name reads it, where the
//! server asks for no token. After docs.ntfy.sh, "Publishing", and the server's own limits as of version 2.28.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Button, Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness, Limit,
    Override, Picture, Reply, Request, Sending, Takes, Verdict, endpoint, overrides, picture, words,
};
use crate::delivery::{AttemptOutcome, LinkOp, MessageOp, Receipt, Severity};
use crate::message::{fit, plain};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

/// The hosted server, unless `url:` says otherwise.
const SERVER: &str = "https://ntfy.sh";
/// The server makes a file of a longer one.
const MESSAGE: Limit = Limit::bytes("`message`", 4096);
const TITLE: Limit = Limit::bytes("`title`", 1024);
const ACTIONS: Limit = Limit::items("`actions`", 3);
/// The server reads twice the length of a message.
const BODY: Limit = Limit::bytes("the whole request", 2 * 4096);
/// Ours: characters of a title, bytes of a URL.
const TITLE_MAX: usize = 200;
const URL_MAX: usize = 700;
/// A topic, and an id of a sequence, have at most this many letters, digits, `-` and `_`.
const NAME_MAX: usize = 64;
/// A visitor who has used up what is free gets another request each five seconds.
const LIMITED_WAIT: SignedDuration = SignedDuration::from_secs(5);
/// Where the day's quota is used up.
const QUOTA_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// What an action may say of its messages.
const PRIORITY: Override = Override {
    name: "priority",
    doc: "How loud: `1` comes without a sound, `5` may ring until somebody looks; by default by severity",
    is: |value| value.as_u64().is_some_and(|priority| (1..=5).contains(&priority)),
    takes: "a number from 1 to 5",
};

/// ntfy.
pub const KIND: ChannelKind = ChannelKind {
    name: "ntfy",
    summary: "A notification on phones and desktops, by ntfy.sh or an ntfy server of your own; replaced when its case closes",
    example: "\
type: ntfy
url: https://ntfy.sh
topic: label-oncall-FAKE7ZkT4mW9
token: tk_FAKE7ZkT4mW9sB2xN6vC1aaaaaaaa
",
    keys: &[
        KeyDoc::new("topic", Takes::Choice, "The topic, which people follow in the app; may be a choice")
            .required()
            .secret(),
        KeyDoc::new("token", Takes::Text, "An access token (`tk_…`), where the server asks for one").secret(),
        KeyDoc::new("url", Takes::Text, "The address of your own server; by default https://ntfy.sh").secret(),
    ],
    can: Can { threads: false, edits: true, resolves: false },
    pages: true,
    shows_links: true,
    reports: false,
    queues: None,
    spacing: Some(SignedDuration::from_secs(5)),
    burst: 60,
    limits: &[MESSAGE, TITLE, ACTIONS, BODY],
    native: None,
    likeness: Likeness { dress: Dress::Incident, draw },
    mentions: None,
    overrides: &[PRIORITY],
    credentials: &[
        Credential {
            is: |text| text.starts_with("tk_") && text.len() == 32,
            what: "an access token of ntfy",
            key: Some("token"),
            hint: "`type: ntfy` takes it as `token`, with a `topic`",
        },
        Credential {
            is: |text| text.strip_prefix("https://ntfy.sh/").is_some_and(|topic| !topic.is_empty()),
            what: "the address of a topic",
            key: None,
            hint: "write the last part of it alone, as `topic` of `type: ntfy`",
        },
    ],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct Ntfy {
    facts: Facts,
    server: Secret,
    topic: Choice<Secret>,
    token: Option<Secret>,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let topic = fields.required_node("topic", problems).and_then(|node| Choice::parse(node, problems, &mut topic));
    let token = match fields.text("token", problems) {
        Some((text, node)) => {
            Some(endpoint::token(text.trim(), node, "an access token of ntfy begins with `tk_`", problems)?)
        }
        None => None,
    };
    let url = match fields.node("url", problems) {
        Some(node) => server(node, problems),
        None => Url::parse(SERVER).ok(),
    };
    let (topic, url) = (topic?, url?);
    let server = Secret::new(url.as_str());
    let held = endpoint::holds_secret(&url).then_some(&server);
    let facts = Facts {
        can: KIND.can,
        secrets: topic.all().into_iter().chain(&token).chain(held).cloned().collect(),
        address: endpoint::host(&url),
        endpoints: endpoint::endpoints([&server]),
        names: topic.name().into_iter().collect(),
        mapped: None,
        by_event: topic.is_by_event(),
    };
    Some(Box::new(Ntfy { facts, server, topic, token }))
}

fn is_name(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_plain && !text.is_empty() && text.len() <= NAME_MAX
}

fn topic(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let found = node.scalar().map(str::trim).filter(|topic| is_name(topic));
    if found.is_none() {
        problems.push(
            Problem::error("wrong-topic", "this is not a topic of ntfy")
                .at(&node.place)
                .hint("a topic has up to 64 letters, digits, `-` and `_`; write it without the server's address"),
        );
    }
    found.map(Secret::new)
}

/// JSON goes to the root of a server.
fn server(node: &Node, problems: &mut Problems) -> Option<Url> {
    let url = endpoint::read(node, problems)?;
    if url.path() == "/" {
        return Some(url);
    }
    problems.push(
        Problem::error("wrong-url", "this is not the address of a server alone: a path follows it")
            .at(&node.place)
            .hint("write `https://host`, and what follows it as `topic`"),
    );
    None
}

impl Channel for Ntfy {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let sequence = match sending.act {
            MessageOp::Update | MessageOp::Close => {
                match sending.receipt.and_then(|receipt| receipt.get("sequence_id")).and_then(Value::as_str) {
                    Some(first) => first.to_owned(),
                    None if sending.act == MessageOp::Update => name(sending.lane.unwrap_or(sending.id.as_str())),
                    None => return Ok(Request::Nothing),
                }
            }
            // A reminder has to ring, so it stands by itself.
            MessageOp::Again => name(sending.id.as_str()),
            MessageOp::Open => name(sending.lane.unwrap_or(sending.id.as_str())),
        };
        let mut body = json!({"topic": self.topic.pick(sending)?.open(), "sequence_id": sequence});
        fill(&mut body, sending);
        let mut request = HttpRequest::json("POST", self.server.clone(), &body);
        if let Some(token) = &self.token {
            request.headers.push(("authorization".to_owned(), Secret::new(format!("Bearer {}", token.open()))));
        }
        Ok(Request::Http(request))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let verdict = shared(Family::Service, reply);
        let answer = reply.json().unwrap_or_default();
        match status {
            200..=299 if answer["event"] == "message" => match answer["sequence_id"].as_str() {
                Some(id) => verdict.receipt(Receipt::from_iter([("sequence_id".to_owned(), id.into())])),
                // A server before 2.16 replaces nothing.
                None => verdict,
            },
            200..=299 => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, and not with the message"))
            }
            429 => {
                let wait = if answer["code"] == 42_908 { QUOTA_WAIT } else { LIMITED_WAIT };
                let asked = verdict.wait.unwrap_or(wait);
                verdict.wait(Some(asked))
            }
            _ => verdict,
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, request: &Request) -> Reply {
        let sent = picture::document(request);
        Reply::http(
            200,
            json!({"id": "hwQ2YpKdmg", "event": "message", "sequence_id": sent["sequence_id"]}).to_string(),
        )
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        self.topic.chosen(root, names, |_| None)
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// A name for a sequence: the text, or what of its hash fits.
fn name(text: &str) -> String {
    if is_name(text) { text.to_owned() } else { hex::encode(&Sha256::digest(text)[..16]) }
}

/// As it stands in JSON, without the quotes.
fn size(text: &str) -> usize {
    Value::from(text).to_string().len() - 2
}

fn fill(body: &mut Value, sending: &Sending<'_>) {
    let message = &sending.rendered.message;
    let title = fit::text(&words::short(&words::title(sending), TITLE_MAX), TITLE.max, size);
    body["priority"] = priority(sending).into();
    if sending.form == Form::Rich {
        if let Some(tag) = tag(sending) {
            body["tags"] = json!([tag]);
        }
        let usable = |url: &&String| url.len() <= URL_MAX;
        if let Some(link) = message.link.as_ref().filter(usable) {
            body["click"] = link.as_str().into();
        }
        if let Some(image) = message.image.as_ref().filter(usable) {
            body["attach"] = image.as_str().into();
        }
        let actions: Vec<Value> = sending.links.iter().take(ACTIONS.max).map(action).collect();
        if !actions.is_empty() {
            body["actions"] = actions.into();
        }
    }
    let tail = tail(sending);
    let parts = [plain::blocks(&message.body).trim().to_owned(), words::facts(&message.fields)];
    let text = joined(parts);
    let room = MESSAGE.max.min(BODY.max.saturating_sub(body.to_string().len() + size(&title) + 32));
    let text = fit::text(&text, room.saturating_sub(size(&tail) + 4), size);
    match joined([text, tail]) {
        // The server would say `triggered`.
        text if text.trim().is_empty() => body["message"] = title.into(),
        text => {
            body["title"] = title.into();
            body["message"] = text.into();
        }
    }
}

/// What stands below, which is never cut; links too where nothing else shows them.
fn tail(sending: &Sending<'_>) -> String {
    let footer = words::footer(sending, true).map(|footer| words::short(&footer, TITLE_MAX));
    let link = sending.rendered.message.link.clone().filter(|link| link.len() <= URL_MAX);
    let links = link.into_iter().chain(words::links(sending)).filter(|_| sending.form == Form::Plain);
    joined(footer.into_iter().chain(links))
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Acknowledging takes one tap; what ends or silences a case asks first, on a page.
fn action(button: &Button) -> Value {
    let label = &button.label;
    if button.does != LinkOp::Acknowledge {
        return json!({"action": "view", "label": label, "url": button.url});
    }
    json!({
        "action": "http",
        "label": label,
        "url": button.url,
        "method": "POST",
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        "body": "by=ntfy",
        "clear": true,
    })
}

/// How loud: from 1, without a sound, to 5, which the app may let ring until somebody looks.
fn priority(sending: &Sending<'_>) -> u8 {
    let asked = overrides::text(sending, &PRIORITY).and_then(|asked| asked.parse().ok());
    match sending.rendered.message.severity {
        _ if sending.act.changes() => 2,
        _ if asked.is_some() => asked.unwrap_or_default(),
        Severity::Info | Severity::Success => 3,
        Severity::Warning => 4,
        Severity::Critical => 5,
    }
}

/// The name of the emoji that the app shows before the title.
fn tag(sending: &Sending<'_>) -> Option<&'static str> {
    match sending.rendered.message.severity {
        _ if sending.act == MessageOp::Close => Some("ballot_box_with_check"),
        Severity::Info => None,
        Severity::Success => Some("white_check_mark"),
        Severity::Warning => Some("warning"),
        Severity::Critical => Some("rotating_light"),
    }
}

/// A notification.
fn draw(request: &Request) -> Picture {
    let document = &picture::document(request);
    let mut drawn = Picture {
        title: document["title"].as_str().unwrap_or("notification").to_owned(),
        accent: if document["priority"].as_u64() > Some(3) { "#b3261e" } else { "#338574" }.into(),
        ..Picture::default()
    };
    drawn.plain(picture::text_of(document, "message"));
    for key in ["click", "attach"] {
        if let Some(url) = document[key].as_str() {
            drawn.fact(key, url);
        }
    }
    picture::items(document, "actions")
        .for_each(|action| drawn.link(picture::text_of(action, "label"), picture::text_of(action, "url")));
    drawn
}
