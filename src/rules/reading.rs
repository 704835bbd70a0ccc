//! One event under judgement: what each path selects in it, found once however many rules ask.
//!
//! Pure. A path's result and its cost are kept for the event; every rule that uses the path is charged that cost, so
//! that whether a rule stays within its budget doesn't depend on the other rules.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::check::Look;
use super::{Name, Query};
use crate::event::Event;
use crate::path::{Exceeded, Part, Path, PathError, STEPS};

/// The steps that one rule may take on one event.
pub const RULE_STEPS: u64 = 2 * STEPS;

/// The most values of a selection that reasons show.
const SHOWN_MAX: usize = 8;
/// The longest text that reasons show, in characters.
const TEXT_MAX: usize = 120;

/// An event under judgement.
pub(crate) struct Reading<'e> {
    event: &'e Event,
    root: &'e Value,
    zone: &'e TimeZone,
    selections: Vec<Option<Selection<'e>>>,
}

type Nodes<'e> = Rc<[&'e Value]>;

/// What a path selects, and how many steps that took.
#[derive(Clone)]
struct Selection<'e> {
    nodes: Result<Nodes<'e>, Exceeded>,
    cost: u64,
}

/// What one rule may still spend on one event.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(RULE_STEPS)
    }
}

impl<'e> Reading<'e> {
    /// Opens an event; `root` is its [`Event::root`].
    pub(crate) fn new(event: &'e Event, root: &'e Value, zone: &'e TimeZone) -> Self {
        Self { event, root, zone, selections: Vec::new() }
    }

    /// The zone of dates without one.
    pub(crate) fn zone(&self) -> &'e TimeZone {
        self.zone
    }

    /// The source of the event.
    pub(crate) fn source(&self) -> &'e str {
        &self.event.source
    }

    /// What tests may know and spend.
    pub(crate) fn look<'b>(&self, budget: &'b mut Budget) -> Look<'b>
    where
        'e: 'b,
    {
        let received: Timestamp = self.event.received;
        Look { zone: self.zone, received, steps: &mut budget.0 }
    }

    /// What the first of a name's paths that selects something selects.
    pub(crate) fn select(&mut self, name: &Name, budget: &mut Budget) -> Result<Nodes<'e>, Exceeded> {
        let mut nodes = Nodes::from([]);
        for query in name.queries(&self.event.source) {
            nodes = self.query(query, budget)?;
            if !nodes.is_empty() {
                break;
            }
        }
        Ok(nodes)
    }

    fn query(&mut self, query: &Query, budget: &mut Budget) -> Result<Nodes<'e>, Exceeded> {
        if self.selections.len() <= query.id {
            self.selections.resize(query.id + 1, None);
        }
        let root = self.root;
        let Some(place) = self.selections.get_mut(query.id) else { return Err(Exceeded) };
        let selection = place.get_or_insert_with(|| run(&query.path, root));
        budget.0 = budget.0.checked_sub(selection.cost).ok_or(Exceeded)?;
        selection.nodes.clone()
    }

    /// Where a plain path that selected nothing met a list: `$.data.platforms`.
    pub(crate) fn list_on_the_way(&self, path: &Path) -> Option<String> {
        let mut value = self.root;
        let mut walked = String::from("$");
        for part in path.parts() {
            let Part::Member(member) = part else { return None };
            match value {
                Value::Array(_) => return Some(walked),
                Value::Object(members) => value = members.get(member)?,
                _ => return None,
            }
            walked = format!("{walked}.{member}");
        }
        None
    }
}

fn run<'e>(path: &Path, root: &'e Value) -> Selection<'e> {
    let mut steps = STEPS;
    let nodes = path.select(root, &mut steps).map(Rc::from);
    Selection { nodes, cost: STEPS.saturating_sub(steps) }
}

impl Name {
    /// The paths that count for events of this source.
    pub fn queries(&self, source: &str) -> &[Query] {
        self.by_source.iter().find(|(of, _)| **of == *source).map_or(&self.paths, |(_, paths)| paths)
    }
}

/// The paths of a set of rules, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths(HashMap<String, Query>);

impl Paths {
    /// The path with this text, compiled once.
    pub(crate) fn get(&mut self, text: &str) -> Result<Query, PathError> {
        match self.0.get(text) {
            Some(query) => Ok(query.clone()),
            None => Ok(self.add(Arc::new(Path::parse(text)?))),
        }
    }

    /// A path of another set, with its number in this one.
    pub(crate) fn put(&mut self, query: &Query) -> Query {
        match self.0.get(query.path.text()) {
            Some(known) => known.clone(),
            None => self.add(query.path.clone()),
        }
    }

    fn add(&mut self, path: Arc<Path>) -> Query {
        let query = Query { id: self.0.len(), path };
        self.0.insert(query.path.text().to_owned(), query.clone());
        query
    }
}

/// A selection as reasons show it: the first few values, shortened.
pub(crate) fn shortened(nodes: &[&Value]) -> Vec<Value> {
    let mut values: Vec<Value> = nodes.iter().take(SHOWN_MAX).map(|value| short(value, 2)).collect();
    if nodes.len() > SHOWN_MAX {
        values.push(format!("… {} more", nodes.len() - SHOWN_MAX).into());
    }
    values
}

fn short(value: &Value, depth: usize) -> Value {
    match value {
        Value::String(text) if text.chars().nth(TEXT_MAX).is_some() => {
            let start: String = text.chars().take(TEXT_MAX).collect();
            format!("{start}…").into()
        }
        Value::Array(items) if depth == 0 && !items.is_empty() => "[…]".into(),
        Value::Object(members) if depth == 0 && !members.is_empty() => "{…}".into(),
        Value::Array(items) => {
            let mut shown: Vec<Value> = items.iter().take(SHOWN_MAX).map(|item| short(item, depth - 1)).collect();
            if items.len() > SHOWN_MAX {
                shown.push(format!("… {} more", items.len() - SHOWN_MAX).into());
            }
            shown.into()
        }
        Value::Object(members) => {
            let mut shown = Map::new();
            for (key, member) in members.iter().take(SHOWN_MAX) {
                shown.insert(key.chars().take(TEXT_MAX).collect(), short(member, depth - 1));
            }
            if members.len() > SHOWN_MAX {
                shown.insert("…".into(), format!("{} more", members.len() - SHOWN_MAX).into());
            }
            shown.into()
        }
        // A number may be as long as a text.
        Value::Number(number) if number.as_str().len() > TEXT_MAX => {
            format!("{}…", number.as_str().get(..TEXT_MAX).unwrap_or_default()).into()
        }
        other => other.clone(),
    }
}
