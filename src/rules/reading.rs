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

use super::check::{BYTES_A_STEP, Look};
use super::{Name, Query};
use crate::event::Event;
use crate::path::{Exceeded, Path, PathError, PathPart, STEPS};

/// The steps that one rule may take on one event.
pub const RULE_STEPS: u64 = 2 * STEPS;

/// The steps that all rules together may take on one event; what they share counts once. Far more than many rules take,
/// and seconds at worst: so anyone who comes behind such an event doesn't wait for long.
pub const EVENT_STEPS: u64 = 40 * RULE_STEPS;

/// The most nodes that selections of one event keep, all together. What goes beyond is found anew for each rule.
const KEPT_MAX: usize = 1 << 20;
/// The most bytes that one test's reasons show of what was selected, about.
const TEST_SHOWN_MAX: usize = 2048;
/// The same for all rules on one event together.
const EVENT_SHOWN_MAX: usize = 4 << 20;

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
    /// How many nodes they keep.
    kept: usize,
    /// What all rules may still spend.
    left: u64,
    /// What reasons may still show.
    shown_left: usize,
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
pub(crate) struct Budget {
    left: u64,
    given: u64,
    /// What it was charged for, and others had paid for already.
    shared: u64,
    /// What was found for it first.
    found: u64,
    /// What was found for it when the same rule was judged without reasons: it shares that with itself only.
    before: u64,
}

impl Budget {
    fn of(given: u64) -> Self {
        Self { left: given, given, shared: 0, found: 0, before: 0 }
    }

    /// The same rule begins anew, with all its steps: what it found before is its own, not another's.
    pub(crate) fn anew(&self) -> Self {
        Self { before: self.found, ..Self::of(self.given) }
    }

    /// Spends what reading a text costs.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), Exceeded> {
        self.spend((text.len() / BYTES_A_STEP) as u64)
    }

    fn spend(&mut self, steps: u64) -> Result<(), Exceeded> {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(Exceeded)
    }

    /// The steps that were taken for it alone.
    pub(crate) fn taken(&self) -> u64 {
        self.given.saturating_sub(self.left).saturating_sub(self.shared.saturating_sub(self.before))
    }
}

impl<'e> Reading<'e> {
    /// Opens an event; `root` is its [`Event::root`].
    pub(crate) fn new(event: &'e Event, root: &'e Value, zone: &'e TimeZone) -> Self {
        Self { event, root, zone, selections: Vec::new(), kept: 0, left: EVENT_STEPS, shown_left: EVENT_SHOWN_MAX }
    }

    /// What the next rule may spend.
    pub(crate) fn budget(&self) -> Budget {
        Budget::of(RULE_STEPS.min(self.left))
    }

    /// The rule is done. Gives the steps that it took, those that it shared left out.
    pub(crate) fn done(&mut self, budget: &Budget) -> u64 {
        self.left = self.left.saturating_sub(budget.taken());
        budget.taken()
    }

    /// A selection as reasons show it.
    pub(crate) fn shown(&mut self, nodes: &[&Value]) -> Vec<Value> {
        let given = TEST_SHOWN_MAX.min(self.shown_left);
        let mut left = given;
        let shown = shortened(nodes, &mut left);
        self.shown_left -= given - left;
        shown
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
    pub(crate) fn look<'b>(&self, budget: &'b mut Budget, hints: bool) -> Look<'b>
    where
        'e: 'b,
    {
        let received: Timestamp = self.event.received;
        Look { zone: self.zone, received, steps: &mut budget.left, hints }
    }

    /// What the first of a name's paths that selects something selects.
    pub(crate) fn select(&mut self, name: &Name, budget: &mut Budget) -> Result<Nodes<'e>, Exceeded> {
        let mut nodes = None;
        for query in name.queries(&self.event.source) {
            let found = self.query(query, budget)?;
            let is_done = !found.is_empty();
            nodes = Some(found);
            if is_done {
                break;
            }
        }
        Ok(nodes.unwrap_or_default())
    }

    fn query(&mut self, query: &Query, budget: &mut Budget) -> Result<Nodes<'e>, Exceeded> {
        if self.selections.len() <= query.id {
            self.selections.resize(query.id + 1, None);
        }
        let Some(place) = self.selections.get_mut(query.id) else { return Err(Exceeded) };
        if let Some(known) = place {
            budget.shared += known.cost.min(budget.left);
            budget.spend(known.cost)?;
            return known.nodes.clone();
        }
        let found = run(&query.path, self.root);
        let count = found.nodes.as_ref().map_or(0, |nodes| nodes.len());
        if self.kept + count <= KEPT_MAX {
            self.kept += count;
            *place = Some(found.clone());
        }
        budget.found += found.cost.min(budget.left);
        budget.spend(found.cost)?;
        found.nodes
    }

    /// Where a plain path that selected nothing met a list: `$.data.platforms`.
    pub(crate) fn list_on_the_way(&self, path: &Path) -> Option<String> {
        let mut value = self.root;
        let mut walked = String::from("$");
        for part in path.parts() {
            let PathPart::Member(member) = part else { return None };
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

/// A selection as reasons show it: the first few values, shortened to about `left` bytes.
fn shortened(nodes: &[&Value], left: &mut usize) -> Vec<Value> {
    let mut values: Vec<Value> = nodes.iter().take(SHOWN_MAX).map(|value| short(value, 2, left)).collect();
    if nodes.len() > SHOWN_MAX {
        values.push(format!("… {} more", nodes.len() - SHOWN_MAX).into());
    }
    values
}

fn short(value: &Value, depth: usize, left: &mut usize) -> Value {
    // What a value takes beside its text.
    *left = left.saturating_sub(8);
    match value {
        Value::String(text) => cut(text, left).into(),
        Value::Array(items) if (depth == 0 || *left == 0) && !items.is_empty() => "[…]".into(),
        Value::Object(members) if (depth == 0 || *left == 0) && !members.is_empty() => "{…}".into(),
        Value::Array(items) => {
            let mut shown: Vec<Value> = items.iter().take(SHOWN_MAX).map(|item| short(item, depth - 1, left)).collect();
            if items.len() > SHOWN_MAX {
                shown.push(format!("… {} more", items.len() - SHOWN_MAX).into());
            }
            shown.into()
        }
        Value::Object(members) => {
            let mut shown = Map::new();
            for (key, member) in members.iter().take(SHOWN_MAX) {
                let key: String = key.chars().take(TEXT_MAX).collect();
                *left = left.saturating_sub(key.len());
                shown.insert(key, short(member, depth - 1, left));
            }
            if members.len() > SHOWN_MAX {
                shown.insert("…".into(), format!("{} more", members.len() - SHOWN_MAX).into());
            }
            shown.into()
        }
        // A number may be as long as a text.
        Value::Number(number) if number.as_str().len() > TEXT_MAX => cut(number.as_str(), left).into(),
        other => other.clone(),
    }
}

/// The beginning of a text.
fn cut(text: &str, left: &mut usize) -> String {
    let most = TEXT_MAX.min(*left);
    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
    *left = left.saturating_sub(end);
    let start = text.get(..end).unwrap_or_default();
    if end < text.len() { format!("{start}…") } else { start.to_owned() }
}
