//! Jira Service Management Operations, and Opsgenie until its end: a case is an alert, noted to and closed under its alias.
//!
//! Pure. The alias makes a repeated alert harmless: an open one with it counts up. The service answers `202` before it has
//! looked at anything but the key, so a wrong responder shows in the alert alone. After developer.atlassian.com, "JSM
//! Operations API, Integration events", and docs.opsgenie.com, "Alert API".

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use url::Url;

use crate::channels::verdict::{Family, shared};
use crate::channels::{
    Can, Channel, ChannelKind, Choice, Credential, Dress, Facts, Form, HttpRequest, KeyDoc, Likeness, Limit, Override,
    Picture, Reply, Request, Sending, Takes, Verdict, endpoint, overrides, picture, words,
};
use crate::delivery::{AttemptOutcome, MessageOp, Receipt, Severity};
use crate::message::{fit, plain};
use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::yaml::{Fields, Node};

/// Where alerts go, unless `url:` says otherwise.
const API: &str = "https://api.atlassian.com/jsm/ops/integration/v2";
const MESSAGE: Limit = Limit::characters("`message`", 130);
const ALIAS: Limit = Limit::characters("`alias`", 512);
const DESCRIPTION: Limit = Limit::characters("`description`", 15_000);
const DETAILS: Limit = Limit::characters("all names and values of `details`", 8000);
const TAGS: Limit = Limit::items("`tags`", 20);
const TAG: Limit = Limit::characters("a tag", 50);
const RESPONDERS: Limit = Limit::items("`responders`", 50);
/// From the highest to the lowest.
const PRIORITIES: [&str; 5] = ["P1", "P2", "P3", "P4", "P5"];
/// What a responder may be, and the key of its name.
const RESPONDER_TYPES: [(&str, &str); 4] =
    [("team", "name"), ("user", "username"), ("escalation", "name"), ("schedule", "name")];

/// What an action may say of its alerts.
const PRIORITY: Override = Override {
    name: "priority",
    doc: "`P1` to `P5`",
    is: |value| value.as_str().is_some_and(|priority| PRIORITIES.contains(&priority)),
    takes: "`P1`, `P2`, `P3`, `P4` or `P5`",
};

/// Jira Service Management.
pub const KIND: ChannelKind = ChannelKind {
    name: "jsm",
    summary: "An alert in Jira Service Management or Opsgenie, which is closed when its case closes",
    example: "\
type: jsm
api_key: 01234567-89ab-cdef-0123-456789abFAKE
responders: [team:Label Ops, user:ann@label.example]
priority: P1
url: https://api.atlassian.com/jsm/ops/integration/v2
",
    keys: &[
        KeyDoc::new("api_key", Takes::Choice, "The key of an integration of the type `API`; may be a choice")
            .required()
            .secret(),
        KeyDoc::new(
            "responders",
            Takes::List,
            "Who is alerted: `team:NAME`, `user:MAIL`, `escalation:NAME`, `schedule:NAME`",
        ),
        KeyDoc::new(
            "priority",
            Takes::Word(&PRIORITIES),
            "`P1` to `P5`; by default `P1` for critical, `P3` for warnings, `P5` for others",
        ),
        KeyDoc::new("url", Takes::Text, "Another address, such as `https://api.eu.opsgenie.com/v2`").secret(),
    ],
    can: Can { threads: true, edits: false, resolves: true },
    pages: true,
    shows_links: true,
    reports: false,
    queues: Some("look in the list of alerts, and whether its responders are right"),
    spacing: Some(SignedDuration::from_millis(500)),
    burst: 1,
    limits: &[MESSAGE, ALIAS, DESCRIPTION, DETAILS, TAGS, TAG, RESPONDERS],
    native: None,
    likeness: Likeness { dress: Dress::Incident, draw },
    mentions: None,
    overrides: &[PRIORITY],
    credentials: &[Credential {
        is: |text| text.starts_with("https://api.atlassian.com/jsm/ops/") || is_opsgenie(text),
        what: "the address of alerts in Jira Service Management",
        key: Some("url"),
        hint: "`type: jsm` takes it as `url`, beside the `api_key`",
    }],
    warnings: &[(
        "opsgenie-ends",
        "A destination uses Opsgenie, which Atlassian switches off on 5 April 2027",
        "Move to Jira Service Management, make an API integration there, and remove `url`",
    )],
    parse,
};

#[derive(Debug)]
struct Jsm {
    facts: Facts,
    api_key: Choice<Secret>,
    responders: Vec<Value>,
    priority: Option<&'static str>,
    api: Secret,
}

fn is_opsgenie(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.host_str().unwrap_or_default().ends_with("opsgenie.com"))
}

fn parse(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
    let api_key =
        fields.required_node("api_key", problems).and_then(|node| Choice::parse(node, problems, &mut api_key));
    let before = problems.count().0;
    let responders = fields.texts("responders", problems);
    let responders: Vec<Value> =
        responders.iter().take(RESPONDERS.max).filter_map(|(text, node)| responder(text, node, problems)).collect();
    let priority = fields.text("priority", problems).and_then(|(text, node)| priority(&text, node, problems));
    let url = match fields.node("url", problems) {
        Some(node) => api(node, problems),
        None => Url::parse(API).ok(),
    };
    let (api_key, url) = (api_key?, url?);
    if problems.count().0 > before {
        return None;
    }
    let api = Secret::new(url.as_str().trim_end_matches('/'));
    let facts = Facts {
        can: KIND.can,
        secrets: api_key.all().into_iter().chain(endpoint::holds_secret(&url).then_some(&api)).cloned().collect(),
        address: endpoint::host(&url),
        endpoints: endpoint::endpoints([&api]),
        names: api_key.name().into_iter().collect(),
        mapped: None,
        by_event: api_key.is_by_event(),
    };
    Some(Box::new(Jsm { facts, api_key, responders, priority, api }))
}

fn api_key(node: &Node, problems: &mut Problems) -> Option<Secret> {
    let found = node.scalar().map(str::trim);
    if found.is_some_and(|key| key.starts_with("ATATT")) {
        problems.push(
            Problem::error("wrong-token", "this is a person's API token of Atlassian, which can't raise alerts")
                .at(&node.place)
                .hint("take the key of the team's API integration: `Operations`, `Integrations`, `API`"),
        );
        return None;
    }
    let found = found.filter(|key| key.len() >= 8 && key.bytes().all(|byte| byte.is_ascii_graphic()));
    if found.is_none() {
        problems.push(
            Problem::error("wrong-token", "this is not the key of an integration")
                .at(&node.place)
                .hint("the page of the API integration shows it, without `GenieKey`"),
        );
    }
    found.map(Secret::new)
}

fn responder(text: &str, node: &Node, problems: &mut Problems) -> Option<Value> {
    let found = text.split_once(':').and_then(|(kind, name)| {
        let (kind, key) = RESPONDER_TYPES.into_iter().find(|(known, _)| *known == kind.trim())?;
        let name = name.trim();
        (!name.is_empty()).then(|| json!({"type": kind, key: name}))
    });
    if found.is_none() {
        problems.push(
            Problem::error("wrong-responder", format!("`{text}` is nobody who can be alerted"))
                .at(&node.place)
                .hint("write `team:NAME`, `user:MAIL`, `escalation:NAME` or `schedule:NAME`"),
        );
    }
    found
}

fn priority(text: &str, node: &Node, problems: &mut Problems) -> Option<&'static str> {
    let found = PRIORITIES.into_iter().find(|priority| *priority == text);
    if found.is_none() {
        let problem = Problem::error("wrong-priority", format!("`{text}` is not a priority"));
        problems.push(problem.at(&node.place).suggest(text, PRIORITIES));
    }
    found
}

fn api(node: &Node, problems: &mut Problems) -> Option<Url> {
    let url = endpoint::read(node, problems)?;
    if url.host_str().unwrap_or_default().ends_with(".atlassian.net") {
        problems.push(
            Problem::error("wrong-url", "this is the address of a site of Atlassian, which takes no alerts")
                .at(&node.place)
                .hint("alerts of every site go to one address, which is the default: remove `url`"),
        );
        return None;
    }
    if is_opsgenie(url.as_str()) {
        problems.push(
            Problem::warning("opsgenie-ends", "Opsgenie ends on 5 April 2027, and this address with it")
                .at(&node.place)
                .hint("make an API integration in Jira Service Management, take its key, and remove `url`"),
        );
    }
    Some(url)
}

impl Channel for Jsm {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        let alias = words::case_key(sending, ALIAS.max);
        let is_known = sending.receipt.is_some();
        let (of_alert, body) = match sending.act {
            MessageOp::Close => ("close", json!({"source": "Fanfare", "user": "Fanfare"})),
            MessageOp::Again if is_known && sending.form == Form::Rich => {
                let note = with_links(&words::plain(sending), sending);
                ("notes", json!({"note": note, "source": "Fanfare", "user": "Fanfare"}))
            }
            _ => ("", self.alert(sending, &alias)),
        };
        let mut url = Url::parse(self.api.open()).map_err(|_| "the address of the API is broken")?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("alerts");
            if !of_alert.is_empty() {
                path.extend([alias.as_str(), of_alert]);
            }
        }
        if !of_alert.is_empty() {
            url.query_pairs_mut().append_pair("identifierType", "alias");
        }
        let key = self.api_key(sending)?;
        let mut request = HttpRequest::json("POST", Secret::new(url), &body);
        request.headers.push(("authorization".to_owned(), Secret::new(format!("GenieKey {}", key.open()))));
        Ok(Request::Http(request))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let Reply::Http { status, .. } = reply else { return shared(Family::Service, reply) };
        let answer = reply.json().unwrap_or_default();
        match status {
            202 => Verdict::new(AttemptOutcome::Delivered, "202 Accepted: queued"),
            200..=299 if answer.get("requestId").is_none() => {
                Verdict::new(AttemptOutcome::Ambiguous, format!("answered {status}, where the service answers 202"))
            }
            _ => shared(Family::Service, reply),
        }
    }

    fn remembers(&self, sending: &Sending<'_>) -> Option<Receipt> {
        let key = self.api_key(sending).ok().map(words::mark)?;
        let alias = words::case_key(sending, ALIAS.max);
        Some(Receipt::from_iter([("alias".to_owned(), alias.into()), ("key".to_owned(), key.into())]))
    }

    fn asks_after(&self, request: &Request, reply: &Reply) -> Option<Request> {
        let Request::Http(sent) = request else { return None };
        let answer = reply.json()?;
        let mut url = Url::parse(self.api.open()).ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(["alerts", "requests", answer["requestId"].as_str()?]);
        let headers = sent.headers.iter().filter(|(name, _)| name == "authorization").cloned().collect();
        Some(Request::Http(HttpRequest { method: "GET", url: Secret::new(url), headers, body: Vec::new() }))
    }

    fn became(&self, reply: &Reply) -> Option<Result<String, String>> {
        // 404 as long as it was not processed.
        let answer = reply.json()?;
        let status = picture::text_of(&answer["data"], "status").to_owned();
        answer["data"]["isSuccess"].as_bool().map(|is_success| if is_success { Ok(status) } else { Err(status) })
    }

    fn taken(&self, _request: &Request) -> Reply {
        let id = "43a29c5c-3dbf-4fa4-9c26-f4f71023e120";
        Reply::http(202, json!({"result": "Request will be processed", "requestId": id}).to_string())
    }

    fn chosen(&self, root: &Value, names: &Map<String, Value>) -> Option<String> {
        self.api_key.chosen(root, names, |_| None)
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Jsm {
    /// The key that the case began with, even if this event would choose another.
    fn api_key(&self, sending: &Sending<'_>) -> Result<&Secret, String> {
        let known = sending.receipt.and_then(|receipt| receipt.get("key")).and_then(Value::as_str);
        let theirs = self.api_key.all().into_iter().find(|key| known == Some(words::mark(key).as_str()));
        theirs.map_or_else(|| self.api_key.pick(sending), Ok)
    }

    fn alert(&self, sending: &Sending<'_>, alias: &str) -> Value {
        let message = &sending.rendered.message;
        let priority = self.priority.unwrap_or(priority_of(message.severity));
        let mut alert = json!({
            "message": words::short(&words::title(sending), MESSAGE.max),
            "alias": alias,
            "priority": overrides::text(sending, &PRIORITY).unwrap_or_else(|| priority.to_owned()),
            "source": "Fanfare",
        });
        let said = match sending.form {
            Form::Rich => plain::blocks(&message.body).trim().to_owned(),
            Form::Plain => words::plain(sending),
        };
        alert["description"] = with_links(&said, sending).into();
        if !self.responders.is_empty() {
            alert["responders"] = self.responders.clone().into();
        }
        if sending.form == Form::Rich {
            let tags =
                [message.severity.name(), words::rule(sending).unwrap_or_default(), words::event_text(sending, "type")];
            let tags = tags.into_iter().filter(|tag| !tag.is_empty()).map(|tag| words::short(tag, TAG.max));
            alert["tags"] = tags.take(TAGS.max).collect::<Vec<_>>().into();
            alert["details"] = details(words::named(&message.fields)).into();
        }
        alert
    }
}

/// As many as there is room for.
fn details(named: Map<String, Value>) -> Map<String, Value> {
    let mut taken = 0;
    let fits = |(name, value): &(String, Value)| {
        taken += fit::utf16(name) + value.as_str().map_or(0, fit::utf16);
        taken <= DETAILS.max
    };
    named.into_iter().take_while(fits).collect()
}

/// As much of a text as there is room for, and below it what people can do and where to look.
fn with_links(text: &str, sending: &Sending<'_>) -> String {
    let links = words::buttons(sending, 2048).map(|(text, url)| format!("{text}: {url}"));
    let links = links.collect::<Vec<_>>().join("\n");
    let room = DESCRIPTION.max.saturating_sub(fit::utf16(&links) + 2);
    format!("{}\n\n{links}", words::short(text, room)).trim().to_owned()
}

fn priority_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::Warning => "P3",
        Severity::Info | Severity::Success => "P5",
    }
}

/// An alert, a note to it, or its close.
fn draw(request: &Request) -> Picture {
    let document = &picture::document(request);
    let (title, accent) = match (document["message"].as_str(), document["note"].as_str()) {
        (Some(message), _) => (format!("{}: {message}", picture::text_of(document, "priority")), "#b3261e"),
        (None, Some(_)) => ("note".to_owned(), "#b26a00"),
        (None, None) => ("close the alert".to_owned(), "#1a7f4b"),
    };
    let mut drawn = Picture { title, accent: accent.into(), ..Picture::default() };
    drawn.plain(picture::text_of(document, "description"));
    drawn.plain(picture::text_of(document, "note"));
    for (name, value) in document["details"].as_object().into_iter().flatten() {
        drawn.fact(name, value.as_str().unwrap_or_default());
    }
    drawn
}
