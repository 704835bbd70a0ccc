//! Small templates in the configuration of channels: a URL whose path and query may hold values.
//!
//! Scheme, host, port and user are literal, which is checked when the configuration is read; each value is
//! percent-encoded for its path segment or query value, and the finished URL must still have the same origin. So an
//! event decides what is asked for, never who is asked.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::{Environment, ErrorKind};
use serde_json::{Map, Value};
use url::{Origin, Url};

use crate::locale;
use crate::message::link::{Assembly, Dead, Position};
use crate::message::pieces::Piece;
use crate::message::template::engine::{self, Facts, Mode};
use crate::message::template::scan;
use crate::message::text;
use crate::problem::{Location, Problem, Problems};

/// The one template of an environment.
const NAME: &str = "url";

/// A URL with values in its path, query or fragment. Shows nothing of itself: it may hold secrets.
#[derive(Clone)]
pub struct UrlTemplate {
    env: Arc<Environment<'static>>,
    origin: Origin,
    /// What it always comes to, if it reads nothing.
    literal: Option<Arc<str>>,
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlTemplate({})", self.origin.ascii_serialization())
    }
}

impl UrlTemplate {
    /// Reads a URL such as `https://host/releases/{{ data.release_id }}?by={{ data.artist }}`. Whatever is wrong goes to
    /// the problems, at `place`; none of them quotes the URL, which may hold secrets.
    pub fn parse(text: &str, place: &Location, problems: &mut Problems) -> Option<Self> {
        let wrong = |message: String| Problem::error("url", message).at(place);
        let literal_end = ["{{", "{%", "{#"].iter().filter_map(|sign| text.find(sign)).min().unwrap_or(text.len());
        let head = text.get(..literal_end).unwrap_or_default();
        let origin = match origin_of(head, literal_end == text.len()) {
            Ok(origin) => origin,
            Err(reason) => {
                problems.push(wrong(reason).hint("write `https://host/…`, with values only after the host"));
                return None;
            }
        };
        if text.chars().any(text::is_reserved) {
            problems.push(wrong("this URL has a character of the private-use planes".into()));
            return None;
        }
        let before = problems.count().0;
        for found in scan::scan(text).problems(text, scan::Partials::None) {
            // What stands in the template's expressions is no secret; the rest of the URL isn't shown.
            let mut problem = wrong(found.message);
            problem.hint = found.hint;
            problems.push(problem);
        }
        let mut env = engine::environment(Mode::Send);
        if let Err(error) = env.add_template_owned(NAME, text.to_owned()) {
            let detail = error.detail().unwrap_or("it can't be read").to_owned();
            problems.push(wrong(format!("the template in this URL has a mistake: {detail}")));
        }
        (problems.count().0 == before).then(|| {
            let read = Self { env: Arc::new(env), origin, literal: None };
            let nothing = || read.render(&Value::Null, &Map::new());
            Self { literal: read.is_literal().then(nothing).and_then(Result::ok).map(Arc::from), ..read }
        })
    }

    /// Whether it is the same for every message.
    pub fn is_literal(&self) -> bool {
        self.variables().is_empty()
    }

    /// The variables that it reads, such as `data.release_id`.
    pub fn variables(&self) -> Vec<String> {
        let template = self.env.get_template(NAME);
        let mut found: Vec<String> =
            template.map_or(Vec::new(), |template| template.undeclared_variables(true).into_iter().collect());
        found.sort();
        found
    }

    /// The URL for an event: `root` is its `$`, `context` what else may be named (`case`, `rule`, `with`, names). An `Err` is a
    /// fact about this event that no retry changes.
    pub fn render(&self, root: &Value, context: &Map<String, Value>) -> Result<String, String> {
        if let Some(literal) = &self.literal {
            return Ok(literal.to_string());
        }
        let facts = Arc::new(Facts::new(Timestamp::UNIX_EPOCH, TimeZone::UTC, locale::english()));
        let mut values: Vec<(String, minijinja::Value)> = Vec::new();
        let mut add = |name: &str, value: &Value| {
            if !value.is_null() && !values.iter().any(|(known, _)| known == name) {
                values.push((name.to_owned(), facts.value(value)));
            }
        };
        let data = match root.get("data") {
            Some(data @ Value::Object(_)) => data,
            _ => root,
        };
        // What the caller says of `event` and `data` comes first, if it says anything.
        for (name, value) in context {
            add(name, value);
        }
        add("data", data);
        add("event", root);
        let template = self.env.get_template(NAME).map_err(|_| "the URL has no template".to_owned())?;
        let pieces = engine::render(&template, &values, &facts).map_err(|error| match error.kind() {
            ErrorKind::OutOfFuel => "the URL's template does too much work".to_owned(),
            _ => format!("the URL can't be made: {}", error.detail().unwrap_or("its template fails")),
        })?;
        let text = assemble(&pieces)?;
        let url = Url::parse(&text).map_err(|_| "with these values this is not a URL".to_owned())?;
        if url.origin() != self.origin {
            return Err("the values would change the URL's host".to_owned());
        }
        Ok(url.into())
    }
}

/// The origin of a URL whose literal beginning is `head`.
fn origin_of(head: &str, whole: bool) -> Result<Origin, String> {
    let rest = head.strip_prefix("https://").or_else(|| head.strip_prefix("http://"));
    let Some(rest) = rest else { return Err("this URL doesn't begin with `https://` or `http://`".into()) };
    if !whole && !rest.contains(['/', '?', '#']) {
        return Err("this URL's host contains a value".into());
    }
    if head.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("this URL has whitespace or a backslash".into());
    }
    let url = Url::parse(head).map_err(|error| format!("this is not a URL: {error}"))?;
    if url.host_str().is_none() {
        return Err("this URL names no host".into());
    }
    Ok(url.origin())
}

fn assemble(pieces: &[Piece]) -> Result<String, String> {
    let mut url = Assembly::default();
    let dead = |dead: Dead| match dead {
        Dead::Segment => "a part of the URL's path is empty, or `.` or `..`".to_owned(),
        other => format!("the URL can't be made: {}", other.reason()),
    };
    for piece in pieces {
        match piece {
            Piece::Raw(text) => url.raw(text),
            Piece::Value(text, _) => {
                if url.position == Position::Authority {
                    return Err("the values would change the URL's host".to_owned());
                }
                url.value(text).map_err(dead)?;
            }
        }
    }
    url.end_segment().map_err(dead)?;
    Ok(url.text)
}
