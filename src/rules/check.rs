//! A test: the operators that one key of a condition asks for, run on what its path selected.
//!
//! Pure. Operators of nodes must all hold on the same node, and one such node is enough; operators of the selection
//! (`exists`, `every`, `none`, `count`) look at all nodes. A step budget bounds the work on any event.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Held;
use super::operand::Operand;
use super::operator::{Holds, Operator};
use super::value::text_of;

/// How many bytes of a text count as one step.
pub(super) const BYTES_A_STEP: usize = 32;
/// The same where case is ignored and the text is not plain ASCII.
const FOLDED_BYTES_A_STEP: usize = 8;

/// A compiled test.
#[derive(Debug, Clone)]
pub struct Check {
    /// The operators with their operands, in the order of the file.
    parts: Vec<(&'static Operator, Operand)>,
    /// In words: `is at least 1000 and is less than 5000`.
    words: Arc<str>,
}

/// How a test came out, with a hint if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOutcome {
    /// How.
    pub held: Held,
    /// What failed and by how much.
    pub note: Option<String>,
}

impl CheckOutcome {
    /// Held or missed.
    pub fn of(held: bool) -> Self {
        Self { held: if held { Held::Held } else { Held::Missed }, note: None }
    }

    /// Missed, with a hint.
    pub fn missed(note: impl Into<Option<String>>) -> Self {
        Self { held: Held::Missed, note: note.into() }
    }

    /// Failed, with the reason.
    pub fn failed(note: impl Into<String>) -> Self {
        Self { held: Held::Failed, note: Some(note.into()) }
    }

    /// Both must hold; the note is that of the first that decides.
    fn and(self, other: Self) -> Self {
        let held = Held::all([self.held, other.held]);
        let note = if self.held == held { self.note } else { None };
        let note = note.or(if other.held == held { other.note } else { None });
        Self { held, note }
    }
}

/// What a test may know beside the values, and what it may still spend.
#[derive(Debug)]
pub struct Look<'a> {
    /// The zone of dates without one.
    pub zone: &'a TimeZone,
    /// When the event was received: `newer_than` and `older_than` are seen from there.
    pub received: Timestamp,
    /// The steps that the rule has left for this event.
    pub steps: &'a mut u64,
    /// Whether anybody reads why a test missed: hints cost more than the test itself.
    pub hints: bool,
}

impl Look<'_> {
    /// Spends steps; `false` when there are not this many left.
    pub fn spend(&mut self, steps: u64) -> bool {
        let left = self.steps.checked_sub(steps);
        *self.steps = left.unwrap_or(0);
        left.is_some()
    }

    /// Looks once more at what was paid for: whether anybody reads hints changes no budget.
    pub fn for_nothing<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = *self.steps;
        let done = work(self);
        *self.steps = before;
        done
    }

    /// Does something whose hints nobody reads.
    pub fn without_hints<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let hints = std::mem::replace(&mut self.hints, false);
        let done = work(self);
        self.hints = hints;
        done
    }
}

/// What is said when the budget is used up.
pub const EXCEEDED: &str = "too many steps for one rule and one event";

impl Held {
    /// All must hold: one that missed is a miss, else one that failed is a failure.
    pub fn all(parts: impl IntoIterator<Item = Held>) -> Held {
        parts.into_iter().fold(Held::Held, |all, part| match (all, part) {
            (Held::Missed, _) | (_, Held::Missed) => Held::Missed,
            (Held::Failed, _) | (_, Held::Failed) => Held::Failed,
            (Held::Held, Held::Held) => Held::Held,
        })
    }

    /// One must hold: one that held is enough, else one that failed is a failure.
    pub fn any(parts: impl IntoIterator<Item = Held>) -> Held {
        parts.into_iter().map(Held::inverted).fold(Held::Held, |all, part| Held::all([all, part])).inverted()
    }

    /// Must not hold; what failed stays failed.
    #[must_use]
    pub fn inverted(self) -> Held {
        match self {
            Held::Held => Held::Missed,
            Held::Missed => Held::Held,
            Held::Failed => Held::Failed,
        }
    }
}

impl Check {
    /// A test of at least one operator.
    pub fn new(parts: Vec<(&'static Operator, Operand)>, words: impl Into<Arc<str>>) -> Self {
        Self { parts, words: words.into() }
    }

    /// The operators with their operands, in the order of the file.
    pub(crate) fn parts(&self) -> &[(&'static Operator, Operand)] {
        &self.parts
    }

    /// In words.
    pub fn words(&self) -> &Arc<str> {
        &self.words
    }

    /// On all that a path selected.
    pub fn on_nodes(&self, nodes: &[&Value], look: &mut Look<'_>) -> CheckOutcome {
        let mut all = CheckOutcome::of(true);
        for (operator, operand) in &self.parts {
            if let Holds::Nodes(holds) = operator.holds {
                all = all.and(holds(operand, nodes, look));
            }
        }
        if self.parts.iter().any(|(operator, _)| matches!(operator.holds, Holds::Node(_))) {
            all = all.and(self.on_one_of(nodes, look));
        }
        all
    }

    /// One node must pass the whole test.
    fn on_one_of(&self, nodes: &[&Value], look: &mut Look<'_>) -> CheckOutcome {
        match nodes {
            [] => CheckOutcome::missed(look.hints.then(|| "selects nothing".to_owned())),
            [node] => self.on_node(node, look),
            // Why one of several missed says little about the others.
            nodes => look.without_hints(|look| self.on_one_of_several(nodes, look)),
        }
    }

    fn on_one_of_several(&self, nodes: &[&Value], look: &mut Look<'_>) -> CheckOutcome {
        let mut failed = None;
        for node in nodes {
            let outcome = self.on_node(node, look);
            match outcome.held {
                Held::Held => return outcome,
                Held::Failed => failed = failed.or(Some(outcome)),
                Held::Missed => {}
            }
        }
        failed.unwrap_or_else(|| CheckOutcome::of(false))
    }

    /// On one node: all operators must hold.
    pub fn on_node(&self, node: &Value, look: &mut Look<'_>) -> CheckOutcome {
        let mut all = CheckOutcome::of(true);
        for (operator, operand) in &self.parts {
            all = all.and(match operator.holds {
                Holds::Node(holds) if *look.steps > 0 && look.spend(cost(node, operand)) => holds(operand, node, look),
                Holds::Node(_) => CheckOutcome::failed(EXCEEDED),
                Holds::Nodes(holds) => holds(operand, &[node], look),
            });
        }
        all
    }
}

/// What it costs to run an operator on a value: steps by what it may walk at worst. One takes less than a microsecond.
fn cost(value: &Value, operand: &Operand) -> u64 {
    let walked = match (value, operand) {
        (Value::Array(_) | Value::Object(_), operand) if operand.compares_inside() => inside(value, operand),
        (Value::Array(items), _) => items.len() as u64,
        (Value::Object(members), _) => members.len() as u64,
        (value, operand) => text_of(value).map_or(0, |text| read(text, operand)),
    };
    let searched = match operand {
        Operand::Regex(regex) => text_of(value).map_or(0, |text| regex.steps(text.len())),
        _ => 0,
    };
    walked.saturating_add(1).saturating_mul(operand.weight()).saturating_add(searched)
}

/// What reading a text costs. Taking upper and lower case for the same is dear where the text is not plain.
fn read(text: &str, operand: &Operand) -> u64 {
    let bytes = if operand.folds() && !text.is_ascii() { FOLDED_BYTES_A_STEP } else { BYTES_A_STEP };
    (text.len() / bytes) as u64
}

/// What reading all that is in a list or mapping costs.
fn inside(value: &Value, operand: &Operand) -> u64 {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + inside(item, operand)).sum(),
        Value::Object(members) => {
            members.iter().map(|(key, member)| 1 + read(key, operand) + inside(member, operand)).sum()
        }
        _ => text_of(value).map_or(0, |text| read(text, operand)),
    }
}
