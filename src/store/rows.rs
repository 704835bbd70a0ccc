//! How values stand in the rows of a database, whichever it is: as JSON, as single words; and what stands for words that
//! were damaged there. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Error, EventFilter};
use crate::delivery::{Assignment, Say};
use crate::event::{Event, EventId, OWN_SOURCE, Seq, Signal, UNPARSED};

/// What an inbox row is.
pub const EVENT: i64 = 0;
/// See [`EVENT`].
pub const COMMAND: i64 = 1;
/// See [`EVENT`].
pub const SIGNAL: i64 = 2;

/// The clock was set back to `$1`: due is what was due at a time still to come, what was under way then when its process
/// ended, and what is to be tried again and was tried last at such a time. What was planned for later stays.
pub const SET_BACK: &str = "UPDATE deliveries SET next = $1 WHERE next > $1 AND (
       (state = 'due' AND (next <> due OR due <= created))
    OR (state = 'sending' AND next <= started)
    OR (state = 'retrying' AND EXISTS (SELECT 1 FROM attempts AS a WHERE a.n = deliveries.n AND a.at > $1)))
    AND state IN ('due', 'sending', 'retrying')";

/// What does not arrive, a row a destination: its name, dead, tried again, and what the last of them met.
pub const TROUBLES: &str = "SELECT d.destination, sum(CASE WHEN d.state = 'dead' THEN 1 ELSE 0 END),
       sum(CASE WHEN d.state = 'retrying' THEN 1 ELSE 0 END),
       (SELECT e.last_error FROM deliveries AS e WHERE e.destination = d.destination AND e.state IN ('dead', 'retrying')
           AND e.last_error IS NOT NULL ORDER BY e.n DESC LIMIT 1),
       (SELECT p.pace FROM paces AS p WHERE p.destination = d.destination)
  FROM deliveries AS d WHERE d.state IN ('dead', 'retrying') GROUP BY d.destination ORDER BY d.destination";

/// A command or signal, as JSON, in the shape of an inbox row.
pub fn note(kind: &str, json: String, now: Timestamp) -> Event {
    Event {
        source: "".into(),
        id: EventId("".into()),
        kind: kind.into(),
        created: now,
        received: now,
        body: Value::Null,
        raw: json.into_bytes().into(),
        proof: "".into(),
    }
}

/// What a probe appends, and takes back.
pub fn probe() -> Signal {
    Signal::new("fanfare.probe", Value::Null, Timestamp::UNIX_EPOCH)
}

/// One row can't be read; the others can.
pub fn unreadable(what: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("a row can't be read ({what}): restore a backup, or let `doctor` look at the store"))
}

/// Text that was written as JSON.
pub fn json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(unreadable)
}

/// A value as JSON.
pub fn text<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unavailable(format!("can't be written as JSON: {error}")))
}

/// A unit variant's word, as serde names it.
pub fn word<T: Serialize>(value: &T) -> Result<String, Error> {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => Ok(word),
        other => Err(Error::Unavailable(format!("{other:?} is not a word"))),
    }
}

/// The variant with this word.
pub fn of_word<T: DeserializeOwned>(word: String) -> Result<T, Error> {
    serde_json::from_value(Value::String(word)).map_err(unreadable)
}

/// What a delivery says whose words were changed on disk: somebody should know that there was something.
pub fn unsaid(event: Seq) -> Assignment {
    let say = "The text of this message is lost: its row in the store is damaged.";
    Assignment::saying(Say::Text(say.into()), event)
}

/// What is left of an inbox row that was changed on disk: an unparsed event that says so, which people see and rules may
/// match, and the planner goes on.
pub fn damaged(seq: Seq, row: Event) -> Event {
    let source = if row.source.is_empty() { OWN_SOURCE.into() } else { row.source };
    let id = if row.id.as_str().is_empty() { EventId(format!("damaged:{seq}").into()) } else { row.id };
    Event {
        source,
        id,
        kind: UNPARSED.into(),
        proof: "none: the body was changed on disk after it was verified".into(),
        body: Value::Null,
        ..row
    }
}

/// What a filter says of types: exactly this one, or those that begin so.
pub fn kinds(filter: &EventFilter) -> (Option<&str>, Option<&str>) {
    match filter.kind.as_deref() {
        Some(kind) => match kind.strip_suffix('*') {
            Some(prefix) => (None, Some(prefix)),
            None => (Some(kind), None),
        },
        None => (None, None),
    }
}
