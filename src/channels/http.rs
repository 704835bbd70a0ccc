//! Anybody's HTTP endpoint: the delivery as JSON, under the delivery's id on every attempt, signed if wanted.
//!
//! Pure. Host, scheme and port are literal, path and query may hold values. The signature is that of Standard Webhooks
//! (github.com/standard-webhooks/standard-webhooks, version 1), so that a receiver has a library for it; the id lets it
//! drop a repetition.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::HeaderName;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Can, Channel, ChannelKind, Choice, Dress, Facts, HttpRequest, KeyDoc, Likeness, Picture, Reply, Request, Sending,
    Takes, Verdict, WebServer, endpoint, picture, words,
};
use crate::delivery::Receipt;
use crate::json::written;
use crate::message::inline::UrlTemplate;
use crate::message::template::native::Format;
use crate::message::{Native, plain};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

/// Headers that belong to the connection (RFC 9110, section 7.6.1), not to anyone who configures a destination.
const CONNECTION: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that are made for each attempt.
const OURS: [&str; 5] = ["x-fanfare-hop", "idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"];
/// Headers whose values are no secrets.
const OPEN: [&str; 5] = ["accept", "accept-language", "cache-control", "content-type", "user-agent"];

/// How an event may be delivered.
const METHODS: [&str; 3] = ["POST", "PUT", "PATCH"];

/// HTTP.
pub const KIND: ChannelKind = ChannelKind {
    name: "http",
    summary: "An HTTP request with the event and the message as JSON, signed if wanted",
    example: "\
type: http
url: https://ledger.label.example/events/{{ event.id }}
method: PUT
headers:
  Authorization: Bearer 0123456789abcdef
sign: {secret: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz}
",
    keys: &[
        KeyDoc::new(
            "url",
            Takes::Choice,
            "The URL; path and query may contain `{{ … }}`, each value percent-encoded; may be a choice",
        )
        .required()
        .secret(),
        KeyDoc::new("method", Takes::Word(&METHODS), "`POST` (the default), `PUT` or `PATCH`"),
        KeyDoc::new("headers", Takes::Headers, "Additional headers, by name; their values may be secrets").secret(),
        KeyDoc::new(
            "sign",
            Takes::Sign,
            "`{secret: whsec_…}`: signs each attempt as Standard Webhooks do; several secrets, during a \
                  rotation, give several signatures",
        )
        .secret(),
    ],
    can: Can::NOTHING,
    pages: false,
    shows_links: false,
    reports: false,
    queues: None,
    spacing: None,
    burst: 1,
    limits: &[],
    native: Some(Format::Json(None)),
    likeness: Likeness { dress: Dress::Call, draw },
    mentions: None,
    overrides: &[],
    credentials: &[],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct Http {
    facts: Facts,
    url: Choice<Target>,
    method: &'static str,
    headers: Vec<(String, Secret)>,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Target {
    template: UrlTemplate,
    /// As it stands in the file: what must not be shown.
    written: Secret,
}

/// A signing secret, as written and as the bytes that it stands for.
struct Key {
    written: Secret,
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("•••")
    }
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let url = fields.required_node("url", problems).and_then(|node| Choice::parse(node, problems, &mut target));
    let method = match fields.text("method", problems) {
        Some((text, node)) => method(&text, node, problems),
        None => Some("POST"),
    };
    let headers = match fields.node("headers", problems) {
        Some(node) => headers(node, problems),
        None => Some(Vec::new()),
    };
    let keys = match fields.node("sign", problems) {
        Some(node) => keys(node, problems),
        None => Some(Vec::new()),
    };
    let (url, headers, keys) = (url?, headers?, keys?);
    let written = || url.all().into_iter().map(|target| &target.written);
    let facts = Facts {
        can: KIND.can,
        secrets: secrets(written(), &headers, &keys),
        address: endpoint::hosts(written()),
        endpoints: endpoint::endpoints(written()),
        names: url.name().into_iter().collect(),
        mapped: None,
        by_event: url.is_by_event() || !url.all().iter().all(|target| target.template.is_literal()),
    };
    Some(Box::new(Http { facts, url, method: method?, headers, keys }))
}

fn secrets<'s>(urls: impl Iterator<Item = &'s Secret>, headers: &[(String, Secret)], keys: &[Key]) -> Vec<Secret> {
    let mut secrets: Vec<Secret> = urls.cloned().collect();
    for (_, value) in headers.iter().filter(|(name, _)| !OPEN.contains(&name.as_str())) {
        secrets.push(value.clone());
        // Without its scheme: `Bearer …`.
        secrets.extend(value.open().split_once(' ').map(|(_, token)| Secret::new(token)));
    }
    for key in keys {
        secrets.push(key.written.clone());
        secrets.extend(key.written.open().strip_prefix("whsec_").map(Secret::new));
    }
    secrets
}

fn target(node: &Node, problems: &mut Problems) -> Option<Target> {
    let Some(text) = node.scalar() else {
        problems.push(node.expected("a URL"));
        return None;
    };
    let template = UrlTemplate::parse(text, &node.place, problems)?;
    // The host is literal, so that what it says stands before it is rendered.
    if let Some(why) = WebServer::of_url(&Secret::new(text)).and_then(|server| endpoint::denied(&server.host)) {
        problems.push(why.at(&node.place));
        return None;
    }
    Some(Target { template, written: Secret::new(text) })
}

fn method(text: &str, node: &Node, problems: &mut Problems) -> Option<&'static str> {
    let found = METHODS.into_iter().find(|method| *method == text);
    if found.is_none() {
        let problem = Problem::error("wrong-method", format!("`{text}` is not a supported method"));
        problems.push(problem.at(&node.place).suggest(text, METHODS));
    }
    found
}

fn headers(node: &Node, problems: &mut Problems) -> Option<Vec<(String, Secret)>> {
    let before = problems.count().0;
    let mut fields = Fields::of(node, "`headers`", problems)?;
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (key, node) in fields.rest() {
        let name = key.text.to_ascii_lowercase();
        let wrong = |message: String| Problem::error("wrong-header", message).at(&key.place);
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            problems.push(wrong(format!("`{}` is not a header name", key.text)));
        } else if CONNECTION.contains(&name.as_str()) {
            problems.push(wrong(format!("the connection sets the header `{}` itself", key.text)));
        } else if OURS.contains(&name.as_str()) {
            problems.push(wrong(format!("Fanfare sets the header `{}` for each attempt", key.text)));
        } else if headers.iter().any(|(known, _)| *known == name) {
            problems.push(wrong(format!("the header `{}` appears here twice", key.text)));
        }
        match node.scalar() {
            Some(value) if is_visible(value) => headers.push((name, Secret::new(value))),
            Some(_) => problems.push(
                Problem::error("wrong-header", format!("the value of `{}` can't appear in a header", key.text))
                    .at(&node.place)
                    .hint("only visible ASCII characters, with single spaces between them, can"),
            ),
            None => problems.push(node.expected(&format!("text for `{}`", key.text))),
        }
    }
    (problems.count().0 == before).then_some(headers)
}

/// Visible ASCII, blanks only within (RFC 9110, section 5.5, without what is obsolete).
fn is_visible(value: &str) -> bool {
    !value.is_empty() && value.trim() == value && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn keys(node: &Node, problems: &mut Problems) -> Option<Vec<Key>> {
    let before = problems.count().0;
    let mut fields = Fields::of(node, "`sign`", problems)?;
    if !fields.has("secret") {
        fields.missing("secret", problems);
    }
    let mut keys = Vec::new();
    let written = fields.texts("secret", problems);
    // A second one that the environment doesn't have (`${env:OLD:-}`) is left out.
    let given: Vec<_> = written.iter().filter(|(text, _)| !text.is_empty() || written.len() == 1).collect();
    for (text, node) in &given {
        match Key::parse(text) {
            Some(key) => keys.push(key),
            None => problems.push(
                Problem::error("wrong-signing-secret", "this is not a signing secret")
                    .at(&node.place)
                    .hint("write `whsec_` and 24 to 64 random bytes in base64: `openssl rand -base64 32` makes some"),
            ),
        }
    }
    if given.is_empty() && !written.is_empty() {
        problems.push(Problem::error("no-signing-secret", "all signing secrets are empty").at(&node.place));
    }
    fields.finish(problems);
    (problems.count().0 == before).then_some(keys)
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        let mac = Hmac::new_from_slice(&bytes).ok().filter(|_| (24..=64).contains(&bytes.len()))?;
        Some(Self { written: Secret::new(text), mac })
    }

    /// `v1,` and the signature of `id.timestamp.body`.
    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl Channel for Http {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let url = self.url.pick(sending)?.template.render(sending.root, sending.context)?;
        let body = body(sending).into_bytes();
        let mut headers = self.headers.clone();
        if !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".into(), Secret::new("application/json")));
        }
        headers.push(("idempotency-key".into(), Secret::new(sending.id.as_str())));
        headers.push(("webhook-id".into(), Secret::new(sending.id.as_str())));
        headers.extend(self.signature(sending.id.as_str(), sending.at, &body));
        Ok(Request::Http(HttpRequest { method: self.method, url: Secret::new(url), headers, body }))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        shared(Family::Http, reply)
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, _request: &Request) -> Reply {
        Reply::http(200, "")
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        self.url.chosen(root, names, |_| None)
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Http {
    /// The headers of Standard Webhooks, with one signature for each secret; none without secrets.
    fn signature(&self, id: &str, at: Timestamp, body: &[u8]) -> Vec<(String, Secret)> {
        if self.keys.is_empty() {
            return Vec::new();
        }
        let seconds = at.as_second();
        let signatures: Vec<String> = self.keys.iter().map(|key| key.sign(id, seconds, body)).collect();
        vec![
            ("webhook-timestamp".into(), Secret::new(seconds.to_string())),
            ("webhook-signature".into(), Secret::new(signatures.join(" "))),
        ]
    }
}

/// What the template's own JSON says, else the delivery, its event and its message.
fn body(sending: &Sending<'_>) -> String {
    if let Some(Native::Json(native)) = &sending.rendered.native {
        return native.to_string();
    }
    let message = &sending.rendered.message;
    let message = json!({
        "title": message.title,
        "text": plain::blocks(&message.body),
        "severity": message.severity,
        "link": message.link,
        "fields": message.fields,
    });
    let links = sending.links.iter().map(|link| json!({"does": link.does.word(), "url": link.url}));
    let links: Value = links.collect();
    let links = if sending.links.is_empty() { String::new() } else { format!(r#","links":{links}"#) };
    // Written out of its parts: the event may be large, and is not copied for this.
    let id = json!(sending.id);
    let rule = words::rule(sending).map(|rule| format!(r#""rule":{},"#, json!(rule))).unwrap_or_default();
    format!(r#"{{"id":{id},{rule}"event":{},"message":{}{links}}}"#, written(sending.event), written(&message))
}

/// The default body, or whatever else a template makes of it.
fn draw(request: &Request) -> Picture {
    let document = &picture::document(request);
    let message = &document["message"];
    let method = if let Request::Http(http) = request { http.method } else { "call" };
    let title = message["title"].as_str().unwrap_or(method).to_owned();
    let mut drawn = Picture { title, ..Picture::default() };
    drawn.plain(picture::text_of(message, "text"));
    drawn.fact("call", method);
    if let Some(kind) = document["event"]["type"].as_str() {
        drawn.fact("event", kind);
    }
    drawn
}
