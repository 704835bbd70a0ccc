//! The page: what waits for a person, what came and what it led to, and what comes next. Rendered here.
//!
//! HTML, one style sheet and one script, all from here; it reads without the script, which only keeps it up to date. The policy
//! in `guard` forbids whatever else. Every value goes through the template engine's HTML escaping.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::{Environment, State};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::admin::answer::Refused;
use crate::admin::caller::Caller;
use crate::message::html::escape;
use crate::steps::Live;

mod chart;
pub mod deliveries;
pub mod destinations;
pub mod events;
pub mod evidence;
mod likeness;
pub mod now;
pub mod people;
pub mod playground;
mod row;
pub mod rules;
pub mod upcoming;
mod why;

/// The templates: part of the program, so that a mistake in one shows in the first test. Each with the place in the
/// navigation that it belongs to.
const FILES: [(&str, &str, &str); 28] = [
    ("base.html", include_str!("page/base.html"), ""),
    ("card.html", include_str!("page/card.html"), ""),
    ("line.html", include_str!("page/line.html"), ""),
    ("rows.html", include_str!("page/rows.html"), ""),
    ("now.html", include_str!("page/now.html"), "now"),
    ("events.html", include_str!("page/events.html"), "events"),
    ("event.html", include_str!("page/event.html"), "events"),
    ("evidence.html", include_str!("page/evidence.html"), "events"),
    ("deliveries.html", include_str!("page/deliveries.html"), "deliveries"),
    ("delivery.html", include_str!("page/delivery.html"), "deliveries"),
    ("sent.html", include_str!("page/sent.html"), ""),
    ("cases.html", include_str!("page/cases.html"), "cases"),
    ("case.html", include_str!("page/case.html"), "cases"),
    ("upcoming.html", include_str!("page/upcoming.html"), "upcoming"),
    ("rules.html", include_str!("page/rules.html"), "rules"),
    ("plain.html", include_str!("page/plain.html"), ""),
    ("playground.html", include_str!("page/playground.html"), "rules"),
    ("message.html", include_str!("page/message.html"), ""),
    ("destinations.html", include_str!("page/destinations.html"), "destinations"),
    ("mutes.html", include_str!("page/mutes.html"), "mutes"),
    ("muted.html", include_str!("page/muted.html"), ""),
    ("audit.html", include_str!("page/audit.html"), "audit"),
    ("tree.html", include_str!("page/tree.html"), ""),
    ("who.html", include_str!("page/who.html"), ""),
    ("comes.html", include_str!("page/comes.html"), ""),
    ("login.html", include_str!("page/login.html"), ""),
    // Served by the demo alone.
    ("demo.html", include_str!("page/demo.html"), "demo"),
    ("missing.html", include_str!("page/missing.html"), ""),
];

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.add_filter("time", time);
    environment.add_filter("ago", ago);
    environment.add_filter("ticks", ticks);
    for (name, text, _) in FILES {
        if let Err(error) = environment.add_template(name, text) {
            tracing::error!(name, %error, "a page template is broken");
        }
    }
    environment
});

/// `/style.css`.
pub async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page/style.css")).into_response()
}

/// `/app.js`.
pub async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page/app.js")).into_response()
}

#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    wrong: Option<String>,
}

/// `/login`.
pub(crate) async fn login(Query(query): Query<LoginQuery>) -> Response {
    html(StatusCode::OK, "login.html", json!({"wrong": query.wrong.is_some()}))
}

/// Adds what every page shows: which rules are in force, and whether files on disk are broken.
pub(super) fn with_frame(live: &Live, caller: &Caller, mut values: Value) -> Value {
    let snapshot = live.snapshot.load();
    values["frame"] = json!({
        "rules": snapshot.rule_count(),
        "hash": snapshot.hash,
        "since": snapshot.since.to_string(),
        "in_force": snapshot.rules.is_some(),
        "stale": live.stale.load().as_deref(),
        "now": live.clock.now().to_string(),
        "caller": caller.frame(),
        "zone": snapshot.settings.timezone.as_ref().and_then(TimeZone::iana_name).unwrap_or("UTC"),
    });
    values
}

/// The demo's page.
pub(crate) fn demo(live: &Live, caller: &Caller, values: Value) -> Response {
    page(Ok(with_frame(live, caller, values)), "demo.html")
}

pub(super) fn page(values: Result<Value, Refused>, template: &str) -> Response {
    match values {
        Ok(values) => html(StatusCode::OK, template, values),
        Err(refusal) => refused(refusal),
    }
}

/// A refusal, for someone who looks at a page.
pub(super) fn refused(refusal: Refused) -> Response {
    let (status, title, what) = match refusal {
        Refused::NotFound(what) => (StatusCode::NOT_FOUND, "Not found", what),
        Refused::Bad(what) => (StatusCode::BAD_REQUEST, "That can't be done", what),
        refusal @ Refused::Store(_) => return refusal.into_response(),
    };
    html(status, "missing.html", json!({"title": title, "what": what}))
}

/// Sends the browser on, to a path of this page.
pub(crate) fn redirect(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response()
}

/// What a field of a form holds; nothing, if it was left empty.
pub(super) fn filled(field: Option<String>) -> Option<String> {
    field.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A path with those of these parameters that are there.
pub(super) fn link(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

fn html(status: StatusCode, template: &str, mut values: Value) -> Response {
    values["here"] = FILES.iter().find(|(name, ..)| *name == template).map_or("", |(.., here)| here).into();
    let rendered = TEMPLATES.get_template(template).and_then(|template| template.render(shown(&values)));
    match rendered {
        Ok(text) => (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(template, %error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page could not be rendered; the log says why\n").into_response()
        }
    }
}

/// Marks what is HTML already, made here and escaped where it was made: an object with this one member.
const MARKUP: &str = "\u{0}markup";

/// HTML that was made here, for a template to print as it is.
pub(crate) fn markup(html: String) -> Value {
    json!({MARKUP: html})
}

/// The values as templates take them: a number as its own text, since none is reckoned with here.
fn shown(value: &Value) -> minijinja::Value {
    match value {
        Value::Null => minijinja::Value::from(()),
        Value::Bool(truth) => minijinja::Value::from(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(number) => minijinja::Value::from(number),
            None => minijinja::Value::from(number.to_string()),
        },
        Value::String(text) => minijinja::Value::from(text.as_str()),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Object(map) => match map.get(MARKUP).and_then(Value::as_str) {
            Some(html) => minijinja::Value::from_safe_string(html.to_owned()),
            // Collected as a map: pairs by themselves would make a list.
            None => map.iter().map(|(key, value)| (key.clone(), shown(value))).collect::<BTreeMap<_, _>>().into(),
        },
    }
}

/// A sentence with what stands in backticks as code.
fn ticks(text: minijinja::Value) -> minijinja::Value {
    let Some(words) = text.as_str() else { return text };
    let parts: Vec<&str> = words.split('`').collect();
    // An odd one is part of the text.
    let paired = parts.len() - usize::from(parts.len().is_multiple_of(2));
    let mut html = String::new();
    for (at, part) in parts.iter().enumerate() {
        match (at % 2 == 1, at < paired) {
            (true, true) => html.push_str(&format!("<code>{}</code>", escape(part))),
            (_, true) => html.push_str(&escape(part)),
            (_, false) => html.push_str(&format!("`{}", escape(part))),
        }
    }
    minijinja::Value::from_safe_string(html)
}

/// A time as people say it, in the zone of the page: `10:00`, `Mon 10:00`, `5 Jan 10:00`.
fn time(state: &State<'_, '_>, at: minijinja::Value) -> minijinja::Value {
    written(state, &at, |at, now, zone| {
        let (there, here) = (at.to_zoned_datetime(zone.clone()), now.to_zoned_datetime(zone.clone()));
        let days = at.duration_since(now).as_hours().abs() / 24;
        let format = match () {
            () if there.date() == here.date() => "%H:%M",
            () if days < 6 => "%a %H:%M",
            () if there.year() == here.year() => "%-d %b %H:%M",
            () => "%-d %b %Y",
        };
        there.strftime(format).to_string()
    })
}

/// How long ago a time is, or in how long it comes: `5 min ago`, `in 3 h`.
fn ago(state: &State<'_, '_>, at: minijinja::Value) -> minijinja::Value {
    written(state, &at, |at, now, _| {
        let seconds = at.duration_since(now).as_secs();
        let span = match seconds.abs() {
            less if less < 60 => format!("{less} s"),
            less if less < 3_600 => format!("{} min", less / 60),
            less if less < 48 * 3_600 => format!("{} h", less / 3_600),
            more => format!("{} days", more / 86_400),
        };
        match seconds {
            -4..=0 => "just now".to_owned(),
            less if less < 0 => format!("{span} ago"),
            _ => format!("in {span}"),
        }
    })
}

/// A time in words, with the whole of it for anyone who points at it, and for programs.
fn written(
    state: &State<'_, '_>,
    at: &minijinja::Value,
    say: fn(Timestamp, Timestamp, &TimeZone) -> String,
) -> minijinja::Value {
    let Some(at) = at.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else { return at.clone() };
    let frame = |name: &str| state.lookup("frame")?.get_attr(name).ok()?.as_str().map(str::to_owned);
    let zone = frame("zone").and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC);
    let now = frame("now").and_then(|text| text.parse().ok()).unwrap_or(at);
    let whole = at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    let words = escape(&say(at, now, &zone));
    let html = format!("<time datetime=\"{}\" title=\"{}\">{words}</time>", escape(&at.to_string()), escape(&whole));
    minijinja::Value::from_safe_string(html)
}
