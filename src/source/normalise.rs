//! From verified bytes to an [`Event`]: which field is the type, the id and the time.
//!
//! Total: what was signed is always an event. Where the body is no JSON object with a usable type it is one of type
//! `fanfare.unparsed`, so that it is kept, shown, and can be matched by a rule. Pure.

use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::clock::from_ms;
use crate::event::{Event, EventId, TYPE_MAX, UNPARSED};
use crate::json;
use crate::path::{Path, STEPS};
use crate::source::Source;
use crate::source::scheme::{Proven, UNSIGNED};

/// The longest id of a sender's that is kept, in bytes.
pub const ID_MAX: usize = 256;

/// Keys that must not stand twice at the top of a body: readers disagree on which one counts, and everything hangs on
/// them.
const ONCE: [&str; 3] = ["type", "event", "id"];

/// Where a sender puts something.
#[derive(Debug, Clone)]
pub enum FieldLocation {
    /// In one of these keys of the body; the first that has it in a usable form.
    Keys(&'static [&'static str]),
    /// Where this path leads in the body.
    Path(Arc<Path>),
    /// In this header, its name in lower case. An id there is believed only where the scheme signs it.
    Header(Arc<str>),
    /// In the header that the scheme signs as id.
    Signed,
    /// In the second of these keys, within the first of the body.
    Within(&'static str, &'static str),
    /// In this header, and more precisely in this key of the body: `release` and `published` make `release.published`.
    Refined(&'static str, &'static str),
}

/// Makes the event; its body is left unread.
pub(super) fn event(source: &Source, headers: &HeaderMap, proven: &Proven<'_>, now: Timestamp) -> Event {
    let raw: Arc<[u8]> = proven.body.as_ref().into();
    let wanted = wanted(source);
    let read = match &wanted {
        Some(keys) => json::read_top(&raw, keys),
        None => json::read(&raw),
    };
    let read = read.filter(|document| !document.doubled.iter().any(|key| ONCE.contains(&key.as_str())));
    let body = read.map_or(Value::Null, |document| document.value);
    let finder = Finder { headers, proven, body: &body };
    let kind = if body.is_object() { finder.kind(&source.kind) } else { None };
    let id = match &source.id {
        // A header is believed only where the signature covers it: a captured request with a new id in a header that
        // nobody signed would otherwise be a new event.
        FieldLocation::Header(_) | FieldLocation::Signed => proven.id.and_then(short).map(str::to_owned),
        _ if kind.is_none() => None,
        location => finder.id(location),
    };
    let created = kind.as_ref().and_then(|_| finder.time(&source.time));
    Event {
        source: source.name.clone(),
        id: id.map_or_else(|| EventId::of_body(&raw), |id| EventId(id.into())),
        created: created.unwrap_or(now),
        received: now,
        body: Value::Null,
        kind: kind.unwrap_or_else(|| UNPARSED.into()),
        raw,
        proof: proof(proven).into(),
    }
}

/// The keys at the top of a body that say which event it is; `None` where a path leads further down.
fn wanted(source: &Source) -> Option<Vec<&'static str>> {
    let mut keys = ONCE.to_vec();
    for location in [&source.kind, &source.id, &source.time] {
        match location {
            FieldLocation::Keys(more) => keys.extend(*more),
            FieldLocation::Refined(_, key) | FieldLocation::Within(key, _) => keys.push(key),
            FieldLocation::Header(_) | FieldLocation::Signed => {}
            FieldLocation::Path(_) => return None,
        }
    }
    Some(keys)
}

/// `jewelmusic:t,v1 secret 1`: which scheme and which of the secrets, from 1.
fn proof(proven: &Proven<'_>) -> String {
    if proven.scheme == UNSIGNED {
        return UNSIGNED.to_owned();
    }
    let form = if proven.stringified { " json_stringify" } else { "" };
    format!("{} secret {}{form}", proven.scheme, proven.secret + 1)
}

impl Source {
    /// The event type that a body says, where this source reads it from the body alone.
    pub fn kind_in(&self, body: &Value) -> Option<String> {
        let kind = in_body(body, &self.kind).into_iter().filter_map(Value::as_str).find(|kind| !kind.is_empty())?;
        is_kind(kind).then(|| kind.to_owned())
    }
}

struct Finder<'a> {
    headers: &'a HeaderMap,
    proven: &'a Proven<'a>,
    body: &'a Value,
}

impl Finder<'_> {
    /// A type: short, printable text that is none of Fanfare's own.
    fn kind(&self, location: &FieldLocation) -> Option<Arc<str>> {
        let kind: String = match location {
            FieldLocation::Refined(header, key) => {
                let head = self.header(header)?;
                match self.body.get(key).and_then(Value::as_str).filter(|rest| !rest.is_empty()) {
                    Some(rest) => format!("{head}.{rest}"),
                    None => head.to_owned(),
                }
            }
            FieldLocation::Header(header) => self.header(header)?.to_owned(),
            FieldLocation::Keys(_) | FieldLocation::Within(..) | FieldLocation::Path(_) | FieldLocation::Signed => {
                self.values(location).into_iter().filter_map(Value::as_str).find(|kind| !kind.is_empty())?.to_owned()
            }
        };
        is_kind(&kind).then(|| kind.into())
    }

    /// An id: short, printable text. A number is an id only where a path says that it is one: at the top of a body of
    /// a sender that we don't know it is more often the thing's own, the same in every event about it.
    fn id(&self, location: &FieldLocation) -> Option<String> {
        let value = *self.values(location).first()?;
        match (value, location) {
            (Value::String(text), _) => short(text).map(str::to_owned),
            (Value::Number(number), FieldLocation::Path(_)) => short(&number.to_string()).map(str::to_owned),
            _ => None,
        }
    }

    fn time(&self, location: &FieldLocation) -> Option<Timestamp> {
        match location {
            FieldLocation::Header(header) => self.proven.at.or_else(|| moment(self.header(header)?)),
            _ => self.values(location).into_iter().find_map(moment_of),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    fn values(&self, location: &FieldLocation) -> Vec<&Value> {
        in_body(self.body, location)
    }
}

/// What stands in the body there; a path that takes too many steps finds nothing.
fn in_body<'b>(body: &'b Value, location: &FieldLocation) -> Vec<&'b Value> {
    match location {
        FieldLocation::Keys(keys) => keys.iter().filter_map(|key| body.get(*key)).collect(),
        FieldLocation::Path(path) => {
            let mut steps = STEPS;
            path.select(body, &mut steps).unwrap_or_default()
        }
        FieldLocation::Within(outer, inner) => {
            body.get(*outer).and_then(|outer| outer.get(*inner)).into_iter().collect()
        }
        FieldLocation::Header(_) | FieldLocation::Signed | FieldLocation::Refined(..) => Vec::new(),
    }
}

/// Whether a text can be a type: short, printable, and none of Fanfare's own.
fn is_kind(kind: &str) -> bool {
    short(kind).is_some() && kind.len() <= TYPE_MAX && !kind.starts_with("fanfare.")
}

/// Text of 1 to 256 bytes without control characters (not every store can keep a NUL).
fn short(text: &str) -> Option<&str> {
    ((1..=ID_MAX).contains(&text.len()) && !text.chars().any(char::is_control)).then_some(text)
}

fn moment_of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => seconds(&number.to_string()),
        Value::String(text) => moment(text),
        _ => None,
    }
}

/// A time as text: unix seconds, or ISO 8601 with a zone or without (then UTC), or a date alone (midnight, UTC). To
/// the millisecond, as everything in the store.
pub fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    // Eight digits are a date: as seconds they would be one in 1970.
    if number && text.len() != "20260105".len() {
        return seconds(text);
    }
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    Some(from_ms(at.as_millisecond()))
}

/// Unix seconds, whole or not. What would lie beyond the year 5138 is milliseconds: some senders count in them.
fn seconds(text: &str) -> Option<Timestamp> {
    let number: f64 = text.parse().ok()?;
    let ms = if number.abs() < 1e11 { number * 1000.0 } else { number };
    // Rounded, and far within what f64 and i64 can count exactly.
    if ms.abs() < 1e14 { Timestamp::from_millisecond(ms.round() as i64).ok() } else { None }
}
