//! PagerDuty, by its Events API v2: a case is an incident, opened, added to and resolved under one `dedup_key`.
//!
//! Pure. The key makes a repeated trigger harmless, so an attempt without an answer is simply sent again. All text
//! goes as JSON strings, which PagerDuty shows as they are: nothing in a value can be markup here. Limits after
//! developer.pagerduty.com, "Events API v2": a summary of 1,024 characters, a key of 255, a body of 512 KB.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness, Limit, Picture,
    Reply, Request, Sending, Takes, Verdict, endpoint, picture, words,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt, Severity};
use crate::message::{fit, plain};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

/// Where events go unless `url:` says otherwise.
const URL: &str = "https://events.pagerduty.com/v2/enqueue";
const SUMMARY: Limit = Limit::characters("`payload.summary`", 1024);
const KEY: Limit = Limit::characters("`dedup_key`", 255);
const BODY: Limit = Limit::bytes("the whole event", 512 * 1024);
/// An integration's key has exactly this many characters.
const ROUTING_KEY_LEN: usize = 32;
/// Ours, so that the whole body stays far below 512 KB however its characters are encoded.
const BODY_MAX: usize = 16_000;
/// PagerDuty asks those who are over their rate to come back after a while, and often doesn't say when.
const LIMITED_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// PagerDuty.
pub const KIND: ChannelKind = ChannelKind {
    name: "pagerduty",
    summary: "An incident in PagerDuty (Events API v2), which is resolved when its case closes",
    example: "\
type: pagerduty
routing_key: 0123456789abcdef0123456789abcdef
url: https://events.eu.pagerduty.com/v2/enqueue
",
    keys: &[
        KeyDoc::new(
            "routing_key",
            Takes::Choice,
            "The integration key of a service, from its integration of the type `Events API V2`; may be a choice",
        )
        .required()
        .secret(),
        KeyDoc::new(
            "url",
            Takes::Text,
            "Another endpoint; for the EU region `https://events.eu.pagerduty.com/v2/enqueue`",
        )
        .secret(),
    ],
    can: Can { threads: true, edits: false, resolves: true },
    pages: true,
    shows_links: true,
    reports: true,
    queues: None,
    spacing: Some(SignedDuration::from_millis(500)),
    burst: 1,
    limits: &[SUMMARY, KEY, BODY],
    native: None,
    likeness: Likeness { dress: Dress::Incident, draw },
    mentions: None,
    overrides: &[],
    credentials: &[
        Credential {
            is: |text| text.starts_with("https://events.") && text.contains("pagerduty.com/"),
            what: "the address of PagerDuty's Events API",
            key: Some("url"),
            hint: "`type: pagerduty` takes it as `url`, beside the `routing_key`",
        },
        Credential {
            is: |text| {
                text.starts_with("https://") && text.contains(".pagerduty.com/service") && !text.contains("//api.")
            },
            what: "a page of PagerDuty, which takes no events",
            key: None,
            hint: "take the integration key of the service's integration of the type `Events API V2`, as `routing_key`",
        },
    ],
    warnings: &[(
        "odd-routing-key",
        "A PagerDuty routing key has the wrong form",
        "Copy the integration key of Events API v2",
    )],
    parse,
};

#[derive(Debug)]
struct PagerDuty {
    facts: Facts,
    routing_key: Choice<Secret>,
    url: Secret,
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let is_elsewhere = fields.has("url");
    let url = match fields.node("url", problems) {
        Some(node) => endpoint::read(node, problems),
        None => Url::parse(URL).ok(),
    };
    let routing_key = fields.required_node("routing_key", problems).and_then(|node| {
        Choice::parse(node, problems, &mut |node, problems| routing_key(node, is_elsewhere, problems))
    });
    let (parsed, routing_key) = (url?, routing_key?);
    let url = Secret::new(parsed.as_str());
    let facts = Facts {
        can: KIND.can,
        secrets: routing_key
            .all()
            .into_iter()
            .chain(endpoint::holds_secret(&parsed).then_some(&url))
            .cloned()
            .collect(),
        address: endpoint::host(&parsed),
        endpoints: endpoint::endpoints([&url]),
        names: routing_key.name().into_iter().collect(),
        mapped: None,
        by_event: routing_key.is_by_event(),
    };
    Some(Box::new(PagerDuty { facts, routing_key, url }))
}

fn routing_key(node: &Node, is_elsewhere: bool, problems: &mut Problems) -> Option<Secret> {
    let Some(key) = node.scalar() else {
        problems.push(node.expected("an integration key"));
        return None;
    };
    let length = key.chars().count();
    if length != ROUTING_KEY_LEN && !is_elsewhere {
        problems.push(
            Problem::warning(
                "odd-routing-key",
                format!("a routing key has {ROUTING_KEY_LEN} characters, and this one has {length}"),
            )
            .at(&node.place)
            .hint("use the integration key of an integration of the type `Events API V2`"),
        );
    }
    Some(Secret::new(key))
}

impl Channel for PagerDuty {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let (routing_key, dedup_key) = self.keys(sending)?;
        let mut event = Map::new();
        event.insert("routing_key".into(), routing_key.open().into());
        event.insert("dedup_key".into(), dedup_key.into());
        if sending.act == MessageOp::Close {
            event.insert("event_action".into(), "resolve".into());
        } else {
            event.insert("event_action".into(), "trigger".into());
            event.extend(trigger(sending));
        }
        Ok(Request::Http(HttpRequest::json("POST", self.url.clone(), &Value::Object(event))))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let answer = reply.json();
        let says = |key: &str| answer.as_ref().and_then(|answer| answer.get(key)).and_then(Value::as_str);
        match status {
            202 => delivered(reply, says("dedup_key")),
            200..=299 if says("status") == Some("success") => delivered(reply, says("dedup_key")),
            // A proxy or a portal that answers for PagerDuty: nobody may have been paged.
            200..=299 => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, where PagerDuty answers 202"))
            }
            400 if answer.as_ref().is_some_and(blames_the_key) => {
                Verdict { outcome: AttemptOutcome::Permanent, failing: true, ..shared(Family::Service, reply) }
            }
            429 => {
                let verdict = shared(Family::Service, reply);
                let wait = verdict.wait.unwrap_or(LIMITED_WAIT);
                verdict.wait(Some(wait))
            }
            _ => shared(Family::Service, reply),
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, request: &Request) -> Reply {
        let sent: Value = request.body().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        Reply::http(202, json!({"status": "success", "dedup_key": sent["dedup_key"]}).to_string())
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        self.routing_key.chosen(root, names, |_| None)
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl PagerDuty {
    /// The routing key and the `dedup_key`. Where the routing key is a choice, the `dedup_key` ends with a few digits
    /// of its hash: what comes later to the case meets the same service, even if its event chooses another or none.
    fn keys(&self, sending: &Sending<'_>) -> Result<(&Secret, String), String> {
        let known = sending.receipt.and_then(|receipt| receipt.get("dedup_key")).and_then(Value::as_str);
        if let Some(known) = known {
            let theirs = self.routing_key.all().into_iter().find(|key| known.ends_with(&words::mark(key)));
            return Ok((theirs.map_or_else(|| self.routing_key.pick(sending), Ok)?, known.to_owned()));
        }
        let routing_key = self.routing_key.pick(sending)?;
        let mark = if matches!(self.routing_key, Choice::By { .. }) { words::mark(routing_key) } else { String::new() };
        Ok((routing_key, format!("{}{mark}", words::case_key(sending, KEY.max - mark.len()))))
    }
}

/// What a trigger says beside its keys. What PagerDuty refuses for its form is most likely one of the optional parts,
/// so the plain form leaves out all of them but the text.
fn trigger(sending: &Sending<'_>) -> Map<String, Value> {
    let message = &sending.rendered.message;
    let is_rich = sending.form == Form::Rich;
    let mut payload = Map::new();
    payload.insert("summary".into(), words::short(&words::title(sending), SUMMARY.max).into());
    payload.insert("severity".into(), severity(message.severity).into());
    let source = words::event_text(sending, "source");
    payload.insert("source".into(), if source.is_empty() { "fanfare" } else { source }.into());
    let mut event = Map::new();
    if is_rich {
        payload.insert("timestamp".into(), words::event_text(sending, "created").into());
        payload.insert("class".into(), words::event_text(sending, "type").into());
        payload.extend(words::rule(sending).map(|rule| ("group".to_owned(), rule.into())));
        event.insert("client".into(), "Fanfare".into());
        if let Some(link) = &message.link {
            event.insert("client_url".into(), link.as_str().into());
        }
        let more =
            message.link.iter().map(|link| json!({"href": link, "text": words::link_text(sending.locale, link)}));
        let own = sending.links.iter().map(|button| json!({"href": button.url, "text": button.label}));
        // First what a person at night is to do.
        let links: Vec<Value> = own.chain(more).collect();
        if !links.is_empty() {
            event.insert("links".into(), links.into());
        }
        // PagerDuty shows an image by https only.
        if let Some(image) = message.image.as_ref().filter(|image| image.starts_with("https://")) {
            event.insert("images".into(), json!([{"src": image, "alt": words::title(sending)}]));
        }
    }
    let details = details(sending, is_rich);
    if !details.is_empty() {
        payload.insert("custom_details".into(), details.into());
    }
    event.insert("payload".into(), payload.into());
    event
}

/// PagerDuty has no good news.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Success => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// The body and the fields, as people see them in the incident; as one text, with the links of the case, where they are not
/// to stand apart.
fn details(sending: &Sending<'_>, with_fields: bool) -> Map<String, Value> {
    let message = &sending.rendered.message;
    let mut details = Map::new();
    let mut body = plain::blocks(&message.body).trim().to_owned();
    let mut links = String::new();
    if !with_fields {
        body = format!("{body}\n{}", words::facts(&message.fields)).trim().to_owned();
        links = words::links(sending).map(|line| format!("\n{line}")).collect();
    }
    let body = words::short(&body, BODY_MAX.saturating_sub(fit::utf16(&links))) + &links;
    if !body.is_empty() {
        details.insert("message".into(), body.trim_start().into());
    }
    if !with_fields {
        return details;
    }
    details.extend(words::named(&message.fields));
    details
}

fn delivered(reply: &Reply, dedup_key: Option<&str>) -> Verdict {
    let verdict = shared(Family::Service, reply);
    match dedup_key {
        Some(key) => verdict.receipt(Receipt::from_iter([("dedup_key".to_owned(), key.into())])),
        None => verdict,
    }
}

/// `{"status": "invalid event", "errors": ["'routing_key' is invalid"]}`: no form of the message would be taken.
fn blames_the_key(answer: &Value) -> bool {
    let errors = answer.get("errors").and_then(Value::as_array).into_iter().flatten();
    errors.filter_map(Value::as_str).any(|error| error.to_lowercase().replace([' ', '_'], "").contains("routingkey"))
}

/// An Events v2 event.
fn draw(request: &Request) -> Picture {
    let document = &picture::document(request);
    let payload = &document["payload"];
    let action = picture::text_of(document, "event_action");
    let mut drawn = Picture {
        title: format!("{action}: {}", payload["summary"].as_str().unwrap_or("the incident")),
        accent: if action == "resolve" { "#1a7f4b" } else { "#b3261e" }.into(),
        ..Picture::default()
    };
    for key in ["severity", "source", "component", "class"] {
        if let Some(value) = payload[key].as_str() {
            drawn.fact(key, value);
        }
    }
    for (name, value) in payload["custom_details"].as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        drawn.fact(name, &value);
    }
    picture::items(document, "links")
        .for_each(|link| drawn.link(picture::text_of(link, "text"), picture::text_of(link, "href")));
    drawn.fact("incident", picture::text_of(document, "dedup_key"));
    drawn
}
