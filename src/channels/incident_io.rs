//! incident.io, by an alert source's HTTP endpoint: a case is an alert, fired, updated and resolved under one key.
//!
//! Pure. The key makes a repeated alert harmless. The description is Markdown, so every value in it is escaped; the title
//! and the metadata are shown as they are. After api-docs.incident.io, "Alert Events V2".

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Can, Channel, ChannelKind, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness, Limit, Picture, Reply,
    Request, Sending, Takes, Verdict, endpoint, markdown, picture, words,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt};
use crate::message::{fit, plain};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

const BODY: Limit = Limit::bytes("the whole event", 512 * 1024);
/// Ours: characters of a title, a key, and a description.
const TITLE_MAX: usize = 400;
const KEY_MAX: usize = 255;
const DESCRIPTION_MAX: usize = 16_000;

/// How addresses of alert sources begin.
const SOURCES: &str = "https://api.incident.io/v2/alert_events/";
/// How to get one.
const MAKE_ONE: &str = "in incident.io, open `Alerts`, `Create alert source`, choose `HTTP`, and copy its address: `/v2/alert_events/http/…`";

/// incident.io.
pub const KIND: ChannelKind = ChannelKind {
    name: "incident_io",
    summary: "An alert in incident.io, which is resolved when its case closes",
    example: "\
type: incident_io
url: https://api.incident.io/v2/alert_events/http/01HXYZEXAMPLE0000000000000
token: FAKEq7ZkT4mW9sB2xN6vC1aaaaaaaaaaaaaaaaaa
",
    keys: &[
        KeyDoc::new("url", Takes::Text, "The address of an alert source of the type HTTP, all of it")
            .required()
            .secret(),
        KeyDoc::new("token", Takes::Text, "The token of the same alert source").required().secret(),
    ],
    can: Can { threads: true, edits: false, resolves: true },
    pages: true,
    shows_links: true,
    reports: false,
    queues: None,
    // An alert source takes 120 a minute.
    spacing: Some(SignedDuration::from_millis(500)),
    burst: 1,
    limits: &[BODY],
    native: None,
    likeness: Likeness { dress: Dress::Incident, draw },
    mentions: None,
    overrides: &[],
    credentials: &[
        Credential {
            is: |text| text.starts_with(SOURCES),
            what: "the address of an alert source of incident.io",
            key: Some("url"),
            hint: "`type: incident_io` takes it as `url`, beside the `token`",
        },
        Credential {
            is: |text| text.starts_with("https://app.incident.io/"),
            what: "a page of incident.io, which takes no alerts",
            key: None,
            hint: MAKE_ONE,
        },
    ],
    warnings: &[],
    parse,
};

#[derive(Debug)]
struct IncidentIo {
    facts: Facts,
    url: Secret,
    token: Secret,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let url = fields.required_node("url", problems).and_then(|node| url(node, problems));
    let token = fields.required("token", problems).and_then(|(text, node)| {
        endpoint::token(
            text.trim(),
            node,
            "the page of the alert source shows it beside the address, without `Bearer`",
            problems,
        )
    });
    let (parsed, token) = (url?, token?);
    let url = Secret::new(parsed.as_str());
    let facts = Facts {
        can: KIND.can,
        secrets: std::iter::once(&token).chain(endpoint::holds_secret(&parsed).then_some(&url)).cloned().collect(),
        address: endpoint::host(&parsed),
        endpoints: endpoint::endpoints([&url]),
        names: Vec::new(),
        mapped: None,
        by_event: false,
    };
    Some(Box::new(IncidentIo { facts, url, token }))
}

/// The address of an alert source; whatever it is where it isn't incident.io's own.
fn url(node: &Node, problems: &mut Problems) -> Option<Url> {
    let url = endpoint::read(node, problems)?;
    if url.host_str() == Some("api.incident.io") && !url.as_str().starts_with(SOURCES) {
        problems.push(
            Problem::error("wrong-url", "this address of incident.io takes no alerts").at(&node.place).hint(MAKE_ONE),
        );
        return None;
    }
    Some(url)
}

impl Channel for IncidentIo {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let mut event = json!({
            "title": words::short(&words::title(sending), TITLE_MAX),
            "status": if sending.act == MessageOp::Close { "resolved" } else { "firing" },
            "deduplication_key": words::case_key(sending, KEY_MAX),
        });
        if sending.act != MessageOp::Close {
            fill(&mut event, sending);
        }
        let mut request = HttpRequest::json("POST", self.url.clone(), &event);
        request.headers.push(("authorization".to_owned(), Secret::new(format!("Bearer {}", self.token.open()))));
        Ok(Request::Http(request))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, body, .. } = reply else { return shared(Family::Service, reply) };
        // A proxy or a portal that answers for the service: nobody may have been alerted.
        if (200..300).contains(status) && body.trim_ascii_start().starts_with(b"<") {
            return Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status} with a page"));
        }
        shared(Family::Service, reply)
    }

    fn remembers(&self, sending: &Sending<'_>) -> Option<Receipt> {
        Some(Receipt::from_iter([("deduplication_key".to_owned(), words::case_key(sending, KEY_MAX).into())]))
    }

    fn taken(&self, request: &Request) -> Reply {
        let key = &picture::document(request)["deduplication_key"];
        Reply::http(202, json!({"status": "success", "deduplication_key": key}).to_string())
    }

    fn chosen(&self, _root: &Value, _names: &Map<String, Value>) -> Option<String> {
        None
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// What people read, and what the service routes by.
fn fill(event: &mut Value, sending: &Sending<'_>) {
    let message = &sending.rendered.message;
    let dialect = markdown::COMMON;
    let mut description = if sending.form == Form::Rich {
        dialect.render_within(&message.body, DESCRIPTION_MAX)
    } else {
        words::short(plain::blocks(&message.body).trim(), DESCRIPTION_MAX)
    };
    if sending.form == Form::Plain {
        words::links(sending).for_each(|line| description.push_str(&format!("\n\n{line}")));
        event["description"] = description.trim().into();
        return;
    }
    let links = sending.links.iter().map(|button| dialect.link(&button.url, &(dialect.escape)(&button.label, true)));
    let links = links.collect::<Vec<_>>().join(" · ");
    if !links.is_empty() {
        description = format!("{description}\n\n{links}");
    }
    event["description"] = description.trim().into();
    if let Some(link) = message.link.as_ref().filter(|link| fit::utf16(link) <= 2048) {
        event["source_url"] = link.as_str().into();
    }
    let mut metadata = words::named(&message.fields);
    for (key, value) in [
        ("severity", Some(message.severity.name())),
        ("rule", words::rule(sending)),
        ("type", Some(words::event_text(sending, "type"))),
        ("source", Some(words::event_text(sending, "source"))),
    ] {
        metadata.extend(value.map(|value| (key.to_owned(), value.into())));
    }
    event["metadata"] = metadata.into();
}

/// An alert.
fn draw(request: &Request) -> Picture {
    let document = &picture::document(request);
    let status = picture::text_of(document, "status");
    let mut drawn = Picture {
        title: format!("{status}: {}", picture::text_of(document, "title")),
        accent: if status == "resolved" { "#1a7f4b" } else { "#b3261e" }.into(),
        ..Picture::default()
    };
    drawn.plain(&picture::text_of(document, "description").replace('\\', ""));
    for (name, value) in document["metadata"].as_object().into_iter().flatten() {
        drawn.fact(name, value.as_str().unwrap_or_default());
    }
    if let Some(url) = document["source_url"].as_str() {
        drawn.link("open", url);
    }
    drawn.fact("alert", picture::text_of(document, "deduplication_key"));
    drawn
}
