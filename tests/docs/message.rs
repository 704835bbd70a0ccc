//! Renders the templates of the documentation with the built-in samples.

use std::sync::Arc;

use fanfare::delivery::{CaseFacts, Say};
use fanfare::event::Event;
use fanfare::message::template::context::Context;
use fanfare::message::{Native, Rendered, Templates, plain};
use fanfare::problem::{File, Problems};
use fanfare::rules::{Presets, RuleSet, parse};
use fanfare::secret::Secret;
use fanfare::source::scheme::Outgoing;
use fanfare::source::{Request, Source, presets, samples};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::docs::loading::now;

/// A message and what it needs beside its own file.
pub struct Written<'t> {
    /// Its template.
    pub text: &'t str,
    /// Partials, by name and text.
    pub partials: &'t [(String, String)],
    /// A channel's own format: the channel, its files' ending and the text.
    pub native: Option<(&'t str, &'t str, &'t str)>,
    /// Samples by name; several make a digest.
    pub samples: Vec<&'t str>,
}

fn event(name: &str) -> Event {
    event_of(samples::named(name).unwrap_or_else(|| panic!("no sample `{name}`")).text.as_bytes())
}

/// The event that a body of JewelMusic's is.
pub fn event_of(body: &[u8]) -> Event {
    let source = Source::of("jewelmusic", presets::named("jewelmusic").unwrap(), vec![Secret::new("documentation")]);
    let outgoing = Outgoing { id: "", kind: "", body, at: now() };
    let mut headers = axum::http::HeaderMap::new();
    for (name, value) in source.sign(None, &outgoing).unwrap() {
        headers.insert(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    fanfare::source::open(&source, &Request { headers: &headers, body }, now()).unwrap()
}

/// The names that the preset brings.
fn names() -> RuleSet {
    let names = presets::preset_names("jewelmusic").iter();
    let names = names.map(|(name, paths)| ((*name).to_owned(), paths.iter().map(|path| (*path).to_owned()).collect()));
    let presets: Presets = [("jewelmusic".to_owned(), names.collect())].into();
    parse::parse(&[], &presets, None, &mut Problems::new())
}

/// Renders it, in a case that was opened three hours ago.
pub fn render(written: &Written<'_>) -> Rendered {
    let mut files: Vec<Arc<File>> = vec![File::new("templates/example.md", written.text)];
    files.extend(written.partials.iter().map(|(name, text)| File::new(format!("templates/{name}.md"), text)));
    if let Some((channel, ending, text)) = written.native {
        files.push(File::new(format!("templates/example.{channel}.{ending}"), text));
    }
    let mut problems = Problems::new();
    let templates = Templates::load(&files, fanfare::channels::formats(), &mut problems);
    let problems: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));

    let events: Vec<Event> = written.samples.iter().map(|name| event(name)).collect();
    let newest = events.last().unwrap();
    let opened = now() - SignedDuration::from_hours(3);
    let context = Context {
        event: newest,
        events: if events.len() > 1 { events.iter().collect() } else { Vec::new() },
        more: 0,
        suppressed: 0,
        sum: None,
        parts: Vec::new(),
        names: names().names_in(newest),
        case: Some(CaseFacts {
            key: "C1".into(),
            opened,
            count: 1,
            last: opened,
            closed: false,
            step: 0,
            overdue: false,
        }),
        rule: "example",
        rule_description: None,
        with: serde_json::Map::new(),
        severity: None,
        died: None,
        now: now(),
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        locale: fanfare::locale::english(),
        outside: false,
        admin_url: None,
    };
    let native = written.native.map(|(channel, ending, _)| (channel, ending));
    let rendered = templates.render(&Say::Message("example".into()), &context, native);
    assert_eq!((&rendered.problem, rendered.undefined), (&None, 0));
    rendered
}

/// How a message reads: its severity, title and plain text; or the channel's own format.
pub fn shown(rendered: &Rendered) -> String {
    match &rendered.native {
        Some(Native::Json(json)) => format!("{json:#}\n"),
        Some(Native::Html(html)) => html.clone(),
        None => format!("[{}] {}\n", rendered.message.severity, plain::message(&rendered.message).trim()),
    }
}
