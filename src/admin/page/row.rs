//! An event as a line of a list: what it is about, in words.

use serde_json::{Value, json};

use crate::admin::view::{EventView, value};
use crate::event::{Event, Seq};
use crate::message::template;
use crate::rules::RuleSet;

/// The largest body that is read for a list, in bytes: of a larger one only the type is reported.
const READ_MAX: usize = 64 << 10;
/// What a date may be called by which somebody has to act.
const DUE: [&str; 6] = ["deadline", "due_at", "due_date", "due", "respond_by", "expires_at"];

/// An event: its facts, its type in words and its subject.
pub(super) fn event(rules: Option<&RuleSet>, seq: Seq, event: Event) -> Value {
    let mut row = value(&EventView::of(seq, &event));
    row["own"] = event.is_own().into();
    let event = if event.raw.len() <= READ_MAX { event.read() } else { event };
    let names = rules.map(|rules| rules.names_in(&event)).unwrap_or_default();
    let (kind, subject) = template::subject(&event, &names);
    row["kind"] = kind.into();
    row["subject"] = subject.into();
    row["due"] = due(&event);
    row["severity"] = event.data().get("severity").filter(|severity| severity.is_string()).cloned().unwrap_or_default();
    row
}

/// The date by which somebody has to act, if the event names one.
fn due(event: &Event) -> Value {
    let data = event.data();
    let found = DUE.iter().find_map(|name| data.get(*name).filter(|value| !value.is_null()));
    match found {
        Some(Value::String(text)) => text.as_str().into(),
        Some(Value::Number(seconds)) => {
            let at = seconds.as_i64().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            at.map(|at| at.to_string()).into()
        }
        _ => Value::Null,
    }
}

/// A count with its noun.
pub(super) fn count(n: u64, one: &str, many: &str) -> Value {
    json!(if n == 1 { format!("1 {one}") } else { format!("{n} {many}") })
}
