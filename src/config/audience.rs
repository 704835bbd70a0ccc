//! What may leave to people outside of the team: `fields` and `embargo` of an external destination.
//!
//! `check` refuses an action that would break either. And whatever rules and templates say, [`Audience::seen`] takes out of
//! an event what may not leave before anything is rendered, the planner holds what is under embargo, and `refusal` looks
//! again before a message is composed.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::config::{Destination, Late};
use crate::event::{Event, UNPARSED};
use crate::path::{Path, PathPart};
use crate::problem::{Location, Problem, Problems};
use crate::rules::{AtDate, KeySpec, Name, RuleSet};

/// What an external destination may be told, and from when on.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    /// All that may leave of an event; `None`: everything.
    pub fields: Option<Vec<Name>>,
    /// Nothing about an event goes before this date in it.
    pub embargo: Option<AtDate>,
}

/// Reads what a destination says of it, now that the rules' names are known.
pub(super) fn read(
    destination: &str,
    external: bool,
    late: &Late,
    rules: &RuleSet,
    problems: &mut Problems,
) -> Option<Audience> {
    let nodes = [("fields", &late.fields), ("embargo", &late.embargo)];
    for (key, node) in nodes.iter().filter_map(|(key, node)| Some((key, node.as_ref()?))).filter(|_| !external) {
        let message = format!("`{key}` of `{destination}` is only for an external destination");
        problems.push(Problem::error("does-not-fit", message).at(&node.place).hint("add `external: true`"));
    }
    if late.fields.is_none() && late.embargo.is_none() {
        return None;
    }
    let fields = late.fields.as_ref().map(|node| rules.read_fields(node, problems));
    let embargo = late.embargo.as_ref().and_then(|node| rules.read_until(node, problems));
    Some(Audience { fields, embargo })
}

impl Audience {
    /// An event without what may not leave. Its id, type, source and times are its envelope, and stay.
    pub fn seen(&self, event: Event) -> Event {
        let Some(fields) = &self.fields else { return event };
        let mut body = Value::Null;
        for query in fields.iter().flat_map(|name| name.queries(&event.source)) {
            copy(&query.path, &event.body, &mut body);
        }
        if body.is_null() && &*event.kind != UNPARSED {
            body = Value::Object(Map::new());
        }
        Event { raw: body.to_string().into_bytes().into(), body, ..event }
    }

    /// Whether all that a name or path may select may leave.
    pub fn allows(&self, name: &Name) -> bool {
        name.all_queries().all(|query| self.allows_parts(&parts(&query.path)))
    }

    /// Whether all of a key may leave.
    pub fn allows_key(&self, key: &KeySpec) -> bool {
        key.names().all(|name| self.allows(name))
    }

    /// Whether what stands at the end of these steps from `$` may leave.
    pub fn allows_parts(&self, wanted: &[String]) -> bool {
        let Some(fields) = &self.fields else { return true };
        let mut allowed = fields.iter().flat_map(Name::all_queries).map(|query| parts(&query.path));
        let is_envelope = matches!(wanted, [one] if ["id", "type", "source", "created"].contains(&one.as_str()));
        is_envelope || allowed.any(|allowed| wanted.starts_with(&allowed))
    }
}

/// The steps of a path to one value.
fn parts(path: &Path) -> Vec<String> {
    let step = |part| match part {
        PathPart::Member(name) => name.to_owned(),
        PathPart::Index(index) => format!("[{index}]"),
        PathPart::Several => "[*]".to_owned(),
    };
    path.parts().map(step).collect()
}

/// Copies what a path selects to the same place in another document.
fn copy(path: &Path, from: &Value, to: &mut Value) {
    let (mut source, mut steps) = (from, Vec::new());
    for part in path.parts() {
        let found = match part {
            PathPart::Member(name) => source.get(name).map(|found| (Step::Member(name.to_owned()), found)),
            PathPart::Index(index) => {
                let list = source.as_array().map_or(&[][..], Vec::as_slice);
                let at = usize::try_from(if index < 0 { index + list.len() as i64 } else { index }).ok();
                at.and_then(|at| Some((Step::Index(at), list.get(at)?)))
            }
            PathPart::Several => None,
        };
        let Some((step, found)) = found else { return };
        steps.push(step);
        source = found;
    }
    let mut place = to;
    for step in steps {
        place = match step {
            Step::Member(name) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let Some(map) = place.as_object_mut() else { return };
                map.entry(name).or_insert(Value::Null)
            }
            Step::Index(at) => {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let Some(list) = place.as_array_mut() else { return };
                if list.len() <= at {
                    list.resize(at + 1, Value::Null);
                }
                let Some(found) = list.get_mut(at) else { return };
                found
            }
        };
    }
    *place = source.clone();
}

enum Step {
    Member(String),
    Index(usize),
}

/// Why a message about these events must not be sent at a moment.
pub(super) fn refusal<'e>(
    destination: &Destination,
    rules: Option<&RuleSet>,
    events: impl Iterator<Item = &'e Event>,
    now: Timestamp,
) -> Option<String> {
    let embargo = destination.audience.as_ref()?.embargo.as_ref()?;
    for event in events {
        let read = event.clone().read();
        match rules.map(|rules| rules.moment(embargo, &read)) {
            None => return Some("no rules are in force, so its embargo is not known".to_owned()),
            Some(Err(why)) => return Some(format!("its embargo is not known: {why}")),
            Some(Ok(until)) if until > now => return Some(format!("under embargo until {until}")),
            Some(Ok(_)) => {}
        }
    }
    None
}

/// Where something stands that may not leave.
pub(super) fn withheld(what: &str, destination: &str, place: &Location) -> Problem {
    let message = format!("`{what}` may not leave to `{destination}`: it is none of its `fields`");
    Problem::error("withheld", message)
        .at(place)
        .hint("leave it out, or add it to `fields` of the destination in `fanfare.yaml`")
}
