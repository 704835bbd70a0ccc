//! Messages: rendering, and values that stay text.

use std::sync::Arc;

use fanfare::delivery::Say;
use fanfare::event::{Event, EventId};
use fanfare::message::{Context, Rendered, Templates, plain};
use fanfare::problem::{File, Problems};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

mod beside;
mod check;
mod cases;
mod csv;
mod default;
mod engine;
mod fit;
mod growth;
mod hostile;
mod languages;
mod large;
mod links;
mod load;
mod natives;
mod numbers;

/// An event of JewelMusic's with this type and data, made at the start of 2026.
pub fn event(kind: &str, data: Value) -> Event {
    let created: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let body = json!({"id": "evt_1", "type": kind, "created": created.as_second(), "data": data});
    event_of(kind, &body.to_string())
}

/// An event with this body, as text.
pub fn event_of(kind: &str, body: &str) -> Event {
    let created: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    Event {
        source: "jewelmusic".into(),
        id: EventId("evt_1".into()),
        kind: kind.into(),
        created,
        received: created,
        body: serde_json::from_str(body).unwrap(),
        raw: body.as_bytes().into(),
        proof: "test".into(),
    }
}

/// A context about this event, three hours later.
pub fn context(event: &Event) -> Context<'_> {
    Context {
        event,
        events: Vec::new(),
        more: 0,
        suppressed: 0,
        sum: None,
        parts: Vec::new(),
        names: Map::new(),
        case: None,
        rule: "the-rule",
        rule_description: None,
        with: Map::new(),
        severity: None,
        died: None,
        now: "2026-01-05T13:00:00Z".parse().unwrap(),
        zone: TimeZone::UTC,
        locale: fanfare::locale::english(),
        outside: false,
        admin_url: None,
    }
}

/// A folder of templates, by file name.
pub fn files(files: &[(&str, &str)]) -> Vec<Arc<File>> {
    files.iter().map(|(name, text)| File::new(format!("templates/{name}"), *text)).collect()
}

/// Templates that are right.
pub fn templates(of: &[(&str, &str)]) -> Templates {
    let mut problems = Problems::new();
    let templates = Templates::load(&files(of), fanfare::channels::formats(), &mut problems);
    assert!(problems.is_empty(), "{}", shown(&problems));
    templates
}

/// The problems that loading and checking with this context report, a line each.
pub fn problems(of: &[(&str, &str)], contexts: &[Context<'_>]) -> String {
    let mut problems = Problems::new();
    let templates = Templates::load(&files(of), fanfare::channels::formats(), &mut problems);
    templates.check(contexts, &mut problems);
    shown(&problems)
}

pub fn shown(problems: &Problems) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// What the message `m.md` with this text says about the event.
pub fn render(template: &str, event: &Event) -> Rendered {
    templates(&[("m.md", template)]).render(&Say::Message("m".into()), &context(event), None)
}

/// A body's plain text about this data; the template must not fail.
pub fn body(template: &str, data: Value) -> String {
    let event = event("release.live", data);
    let rendered = render(&format!("---\ntitle: T\n---\n{template}"), &event);
    assert_eq!(rendered.problem, None);
    plain::blocks(&rendered.message.body)
}

/// Why a body about this data can't be rendered.
pub fn failure(template: &str, data: Value) -> String {
    let event = event("release.live", data);
    let rendered = render(&format!("---\ntitle: T\n---\n{template}"), &event);
    rendered.problem.expect("it should fail")
}
