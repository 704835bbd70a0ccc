//! The `when` of a rule: one recursive walk that always returns its reasons.
//!
//! Pure. Every part is run, even where the outcome is already certain, so that reasons are whole.

use std::sync::Arc;

use super::check::{Check, CheckOutcome, EXCEEDED};
use super::reading::{Budget, Reading};
use super::{Held, Name, Why};
use crate::problem::Location;

/// A compiled condition.
#[derive(Debug, Clone)]
pub struct Condition {
    pub(crate) tree: Tree,
    /// Where it stands.
    pub place: Location,
}

/// How a condition is put together.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    /// All must hold.
    All(Vec<Tree>),
    /// One must hold.
    Any(Vec<Tree>),
    /// It must not hold.
    Not(Box<Tree>),
    /// A test on what a path selects.
    Test(Test),
}

/// A test on what a path selects.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    /// The path or name.
    pub on: Name,
    /// As it is written, shared with every reason.
    pub path: Arc<str>,
    /// The test.
    pub check: Check,
}

impl Condition {
    /// How it comes out for an event, and why.
    pub(crate) fn judge(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Why {
        self.tree.judge(reading, budget)
    }

    /// How it comes out, by the same steps, without the reasons: they cost many times what the tests do.
    pub(crate) fn held(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Held {
        self.tree.held(reading, budget)
    }

    /// Whether a value of a kind that a test of it can't read makes it fail.
    pub fn can_fail(&self) -> bool {
        self.tree.can_fail()
    }

    /// The paths and names that it uses, in the order of the file.
    pub fn names(&self) -> Vec<&Name> {
        let mut names = Vec::new();
        self.tree.collect(&mut names);
        names
    }
}

impl Tree {
    fn can_fail(&self) -> bool {
        match self {
            Tree::All(parts) | Tree::Any(parts) => parts.iter().any(Tree::can_fail),
            Tree::Not(part) => part.can_fail(),
            Tree::Test(test) => test.check.parts().iter().any(|(operator, _)| operator.can_fail()),
        }
    }

    fn judge(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Why {
        let mut judged =
            |parts: &[Tree]| -> Vec<Why> { parts.iter().map(|part| part.judge(reading, budget)).collect() };
        match self {
            Tree::All(parts) => {
                let all = judged(parts);
                Why::All { held: Held::all(all.iter().map(Why::held)), all }
            }
            Tree::Any(parts) => {
                let any = judged(parts);
                Why::Any { held: Held::any(any.iter().map(Why::held)), any }
            }
            Tree::Not(part) => {
                let not = part.judge(reading, budget);
                Why::Not { held: not.held().inverted(), not: Box::new(not) }
            }
            Tree::Test(test) => test.judge(reading, budget),
        }
    }

    fn held(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Held {
        match self {
            Tree::All(parts) => Held::all(parts.iter().map(|part| part.held(reading, budget))),
            Tree::Any(parts) => Held::any(parts.iter().map(|part| part.held(reading, budget))),
            Tree::Not(part) => part.held(reading, budget).inverted(),
            Tree::Test(test) => test.held(reading, budget),
        }
    }

    /// The same for two conditions that ask the same, wherever they stand.
    pub(crate) fn signature(&self) -> String {
        let all = |parts: &[Tree]| -> String { parts.iter().map(|part| part.signature() + "; ").collect() };
        match self {
            Tree::All(parts) => format!("all({})", all(parts)),
            Tree::Any(parts) => format!("any({})", all(parts)),
            Tree::Not(part) => format!("not({})", part.signature()),
            Tree::Test(test) => format!("{} {}", test.path, test.check.words()),
        }
    }

    /// Every test in it.
    pub(crate) fn tests(&self) -> Vec<&Test> {
        match self {
            Tree::All(parts) | Tree::Any(parts) => parts.iter().flat_map(Tree::tests).collect(),
            Tree::Not(part) => part.tests(),
            Tree::Test(test) => vec![test],
        }
    }

    fn collect<'t>(&'t self, names: &mut Vec<&'t Name>) {
        match self {
            Tree::All(parts) | Tree::Any(parts) => parts.iter().for_each(|part| part.collect(names)),
            Tree::Not(part) => part.collect(names),
            Tree::Test(test) => names.push(&test.on),
        }
    }
}

impl Test {
    fn held(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Held {
        match reading.select(&self.on, budget) {
            Ok(nodes) => self.check.on_nodes(&nodes, &mut reading.look(budget, false)).held,
            Err(_) => Held::Failed,
        }
    }

    fn judge(&self, reading: &mut Reading<'_>, budget: &mut Budget) -> Why {
        let (values, mut outcome) = match reading.select(&self.on, budget) {
            Ok(nodes) => (reading.shown(&nodes), self.check.on_nodes(&nodes, &mut reading.look(budget, true))),
            Err(_) => (Vec::new(), CheckOutcome::failed(EXCEEDED)),
        };
        if values.is_empty()
            && outcome.held != Held::Held
            && let [query] = self.on.queries(reading.source())
            && let Some(list) = reading.list_on_the_way(&query.path)
        {
            outcome.note = Some(format!("`{list}` is a list: did you mean `{list}[*]`?"));
        }
        Why::Test {
            path: self.path.clone(),
            test: self.check.words().clone(),
            values,
            held: outcome.held,
            note: outcome.note.map(noted),
        }
    }
}

/// The longest hint, in characters: a value in it may be as long as an event.
const NOTE_MAX: usize = 400;

fn noted(note: String) -> String {
    match note.char_indices().nth(NOTE_MAX) {
        Some((end, _)) => format!("{}…", note.get(..end).unwrap_or_default()),
        None => note,
    }
}

impl Why {
    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        match self {
            Why::All { all: parts, .. } | Why::Any { any: parts, .. } => {
                32 + parts.iter().map(Why::weight).sum::<usize>()
            }
            Why::Not { not, .. } => 32 + not.weight(),
            Why::Test { values, note, .. } => {
                let hint = note.as_ref().map_or(0, String::len);
                size_of::<Why>() + hint + values.iter().map(crate::json::weight).sum::<usize>()
            }
        }
    }

    /// How it came out.
    pub fn held(&self) -> Held {
        match self {
            Why::All { held, .. } | Why::Any { held, .. } | Why::Not { held, .. } | Why::Test { held, .. } => *held,
        }
    }

    /// The tests that made it come out as it did, for a sentence: those of the same outcome, or, beneath a `not`, of
    /// the other one.
    pub fn decisive(&self) -> Vec<&Why> {
        let mut tests = Vec::new();
        self.collect(self.held(), &mut tests);
        tests
    }

    fn collect<'w>(&'w self, wanted: Held, tests: &mut Vec<&'w Why>) {
        if self.held() != wanted {
            return;
        }
        match self {
            Why::All { all: parts, .. } | Why::Any { any: parts, .. } => {
                parts.iter().for_each(|part| part.collect(wanted, tests));
            }
            Why::Not { not, .. } => not.collect(wanted.inverted(), tests),
            Why::Test { .. } => tests.push(self),
        }
    }
}
