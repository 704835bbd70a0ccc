//! Tests: from a scalar, a list or a mapping of operators to a [`Check`].
//!
//! Pure. What each operator takes stands in its row of the table; here it is read.

use super::super::check::Check;
use super::super::operand::{Operand, OperandKind};
use super::super::operator::{self, Holds, IGNORE_CASE, Operator, TABLE};
use super::Reader;
use super::operand::Written;
use crate::problem::{Problem, nearest};
use crate::yaml::{Key, Node, NodeKind};

/// What a test looks at; not every operator fits everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// All that a path selects.
    Selection,
    /// Each node, within `every` and `none`.
    Node,
    /// A number of things, within `length` and `count`.
    Size,
}

/// What people write for an operator that has another name here.
const OTHER_WORDS: &[(&str, &str)] = &[
    (">", "gt"),
    (">=", "gte"),
    ("<", "lt"),
    ("<=", "lte"),
    ("==", "eq"),
    ("=", "eq"),
    ("!=", "ne"),
    ("equals", "eq"),
    ("is", "eq"),
    ("neq", "ne"),
    ("min", "gte"),
    ("max", "lte"),
    ("after", "gt"),
    ("before", "lt"),
    ("regex", "matches"),
    ("match", "matches"),
    ("like", "glob"),
    ("prefix", "starts_with"),
    ("suffix", "ends_with"),
    ("has", "contains"),
    ("includes", "contains"),
    ("nin", "not_in"),
    ("size", "length"),
    ("present", "exists"),
];

impl Reader<'_> {
    /// A scalar: equals. A list: one of. A mapping: operators.
    pub(super) fn check(&mut self, node: &Node, on: On) -> Option<Check> {
        let (name, operator) = match &node.kind {
            NodeKind::Map(entries) if !entries.is_empty() => return self.operators(node, entries, on),
            NodeKind::Map(_) => {
                self.problems.push(Problem::error("empty", "an empty test").at(&node.place).hint("write an operator"));
                return None;
            }
            NodeKind::List(_) => ("in", operator::named("in")?),
            _ => ("eq", operator::named("eq")?),
        };
        let operand = self.operand(Written { row: operator, name, folded: false }, node, on)?;
        let words = phrase(operator, node, &operand);
        Some(Check::new(vec![(operator, operand)], words))
    }

    fn operators(&mut self, node: &Node, entries: &[(Key, Node)], on: On) -> Option<Check> {
        let folded = self.ignore_case(entries);
        let mut parts = Vec::new();
        let mut words = Vec::new();
        let mut whole = folded.is_some();
        for (key, operand_node) in entries.iter().filter(|(key, _)| key.text != IGNORE_CASE.0) {
            let part = self.operator(key, on).and_then(|operator| {
                let folded = operator.ignores_case && folded == Some(true);
                let written = Written { row: operator, name: &key.text, folded };
                let operand = self.operand(written, operand_node, on)?;
                let phrase = phrase(operator, operand_node, &operand);
                words.push(if folded { format!("{phrase} in any case") } else { phrase });
                Some((operator, operand))
            });
            whole &= part.is_some();
            parts.extend(part);
        }
        if !whole {
            return None;
        }
        if parts.is_empty() {
            self.problems.push(
                Problem::error("empty", "a test without an operator").at(&node.place).hint("write `eq: …` beside it"),
            );
            return None;
        }
        self.contradiction(node, &parts);
        Some(Check::new(parts, words.join(" and ")))
    }

    /// Whether case is ignored; `None` where what is said of it is wrong.
    fn ignore_case(&mut self, entries: &[(Key, Node)]) -> Option<bool> {
        let Some((key, node)) = entries.iter().find(|(key, _)| key.text == IGNORE_CASE.0) else { return Some(false) };
        let NodeKind::Bool(folded) = node.kind else {
            self.problems.push(node.expected("`true` or `false` for `ignore_case`"));
            return None;
        };
        let fits = |(key, _): &(Key, Node)| operator::named(&key.text).is_some_and(|operator| operator.ignores_case);
        if !entries.iter().any(fits) && entries.len() > 1 {
            let fitting: Vec<String> =
                TABLE.iter().filter(|row| row.ignores_case).map(|row| format!("`{}`", row.name)).collect();
            self.problems.push(
                Problem::error("ignores-nothing", "`ignore_case` has no operator beside it that it could change")
                    .at(&key.place)
                    .hint(format!("it goes with {}", fitting.join(", "))),
            );
            return None;
        }
        Some(folded)
    }

    fn operator(&mut self, key: &Key, on: On) -> Option<&'static Operator> {
        let Some(operator) = operator::named(&key.text) else {
            self.problems.push(unknown(key));
            return None;
        };
        let fits = match on {
            On::Selection => true,
            On::Node => matches!(operator.holds, Holds::Node(_)),
            On::Size => {
                matches!(operator.operand, OperandKind::Value | OperandKind::Values | OperandKind::Bound)
            }
        };
        if !fits {
            let (inside, hint) = match on {
                On::Size => ("on a number of things", "`eq`, `ne`, `in`, `not_in`, `gt`, `gte`, `lt` and `lte` do"),
                _ => ("within `every` and `none`", "it looks at all that was selected: put it beside them"),
            };
            self.problems.push(
                Problem::error("misplaced-operator", format!("`{}` can't appear {inside}", key.text))
                    .at(&key.place)
                    .hint(hint),
            );
            return None;
        }
        Some(operator)
    }

    /// Operators that can never hold together.
    fn contradiction(&mut self, node: &Node, parts: &[(&'static Operator, Operand)]) {
        let absent =
            parts.iter().any(|(row, operand)| row.name == "exists" && matches!(operand, Operand::Truth(false)));
        let needs = parts.iter().find(|(row, _)| matches!(row.holds, Holds::Node(_)) || row.name == "every");
        if let (true, Some((row, _))) = (absent, needs) {
            self.problems.push(
                Problem::error("never-holds", format!("`exists: false` and `{}` never hold together", row.name))
                    .at(&node.place)
                    .hint("for absent or otherwise, put `not:` around the opposite"),
            );
        }
    }
}

fn unknown(key: &Key) -> Problem {
    let problem = Problem::error("unknown-operator", format!("there is no operator `{}`", key.text)).at(&key.place);
    let word = key.text.to_lowercase();
    // Also one of them misspelt: but not the signs, to which any short word is near.
    let long = OTHER_WORDS.iter().map(|(other, _)| *other).filter(|other| other.len() >= 5);
    let near = nearest(&word, TABLE.iter().map(|row| row.name).chain(long));
    if let Some((_, name)) = OTHER_WORDS.iter().find(|(other, _)| *other == word || near == Some(*other)) {
        return problem.hint(format!("did you mean `{name}`?"));
    }
    if ["any", "all", "not"].contains(&key.text.as_str()) {
        let hint = format!(
            "`{0}` goes round whole conditions: `{0}: {{$.data.…: …}}`; or use `ne`, `not_in`, `none`",
            key.text
        );
        return problem.hint(hint);
    }
    if key.text.starts_with('$') {
        return problem.hint("a path within a test: write the whole path as a key of its own");
    }
    let names: Vec<&str> = TABLE.iter().map(|row| row.name).chain([IGNORE_CASE.0]).collect();
    match nearest(&key.text, names.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => {
            problem.hint(format!("the operators are {}; to look at a member, put it into the path", names.join(", ")))
        }
    }
}

/// The most values of a list that the words of a test show.
const SHOWN_MAX: usize = 6;

fn phrase(row: &Operator, node: &Node, operand: &Operand) -> String {
    let words = match operand {
        Operand::Test(check) => check.words().to_string(),
        Operand::Truth(truth) => match (row.name, truth) {
            ("exists", true) => "there".into(),
            ("exists", false) => "not there".into(),
            (_, true) => "a".into(),
            (_, false) => "no".into(),
        },
        _ => match (&node.kind, row.operand) {
            (NodeKind::Text(text), OperandKind::Values | OperandKind::Span) => text.clone(),
            (NodeKind::List(items), OperandKind::Values) => {
                let mut shown: Vec<String> =
                    items.iter().take(SHOWN_MAX).map(|item| item.to_json().to_string()).collect();
                if items.len() > SHOWN_MAX {
                    shown.push(format!("{} more", items.len() - SHOWN_MAX));
                }
                shown.join(", ")
            }
            _ => node.to_json().to_string(),
        },
    };
    row.phrase.replace("{}", &words)
}
