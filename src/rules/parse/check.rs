//! Tests: from a scalar, a list or a mapping of operators to a [`Check`].
//!
//! Pure. What each operator takes stands in its row of the table; here it is read.

use std::sync::Arc;

use jiff::tz::TimeZone;
use regex::RegexBuilder;
use unicode_normalization::UnicodeNormalization;

use super::super::check::Check;
use super::super::glob::{Glob, inner};
use super::super::operand::{Operand, OperandKind, Values};
use super::super::operator::{self, Holds, IGNORE_CASE, Operator, TABLE};
use super::super::value::{Literal, Text, comparable, time_of_text};
use super::{Reader, comment_after};
use crate::decimal::Decimal;
use crate::problem::{Problem, Problems, nearest};
use crate::yaml::{Key, Kind, Node, span_of_time};

/// The longest regular expression, in bytes.
const REGEX_MAX: usize = 1024;
/// The largest compiled regular expression, in bytes.
const REGEX_SIZE: usize = 1 << 18;

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
            Kind::Map(entries) if !entries.is_empty() => return self.operators(node, entries, on),
            Kind::Map(_) => {
                self.problems.push(Problem::error("empty", "an empty test").at(&node.place).hint("write an operator"));
                return None;
            }
            Kind::List(_) => ("in", operator::named("in")?),
            _ => ("eq", operator::named("eq")?),
        };
        let operand = self.operand(operator, name, node, on, false)?;
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
                let operand = self.operand(operator, &key.text, operand_node, on, folded)?;
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
        let Kind::Bool(folded) = node.kind else {
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
                Problem::error("misplaced-operator", format!("`{}` can't stand {inside}", key.text))
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
                    .hint("for absent or otherwise, put `not:` round the opposite"),
            );
        }
    }

    fn operand(&mut self, row: &'static Operator, name: &str, node: &Node, on: On, folded: bool) -> Option<Operand> {
        if node.kind == Kind::Null && (node.place.text().trim().is_empty() || row.operand != OperandKind::Value) {
            self.problems.push(node.expected(&format!("{} for `{name}`", row.operand.words())));
            return None;
        }
        if on == On::Size && !node.one_or_more().iter().all(|item| matches!(item.kind, Kind::Number(_))) {
            self.problems.push(node.expected("a number, or a test on a number such as `{gte: 2}`"));
            return None;
        }
        let zone = self.zone();
        let expected = || node.expected(&format!("{} for `{name}`", row.operand.words()));
        let read = match row.operand {
            OperandKind::Value => literal(node, folded, &zone, self.problems).map(Operand::Value).ok_or(None),
            OperandKind::Values => self.values(node, name),
            OperandKind::Bound => bound(node, &zone).ok_or_else(|| Some(not_bound(node, expected()))),
            OperandKind::Regex => text(node, self.problems)
                .ok_or_else(|| Some(expected()))
                .and_then(|text| regex(text, node, folded).map(|regex| Operand::Regex(Box::new(regex))).map_err(Some)),
            OperandKind::Glob => text(node, self.problems)
                .ok_or_else(|| Some(expected()))
                .and_then(|text| glob(text, node, folded).map(|glob| Operand::Glob(glob, folded)).map_err(Some)),
            OperandKind::Text => text(node, self.problems)
                .map(|text| Operand::Text(Text::new(text, folded)))
                .ok_or_else(|| Some(expected())),
            OperandKind::Scalar => match (node.scalar(), scalar(node, folded, &zone, self.problems)) {
                (Some(text), Some(element)) => Ok(Operand::Part(Text::new(text, folded), element)),
                _ => Err(None),
            },
            OperandKind::Span => {
                node.scalar().and_then(span_of_time).map(Operand::Span).ok_or_else(|| Some(not_span(node)))
            }
            OperandKind::Truth => match node.kind {
                Kind::Bool(truth) => Ok(Operand::Truth(truth)),
                _ => Err(Some(expected())),
            },
            OperandKind::Size => self.check(node, On::Size).map(|check| Operand::Test(Box::new(check))).ok_or(None),
            OperandKind::Test => self.check(node, On::Node).map(|check| Operand::Test(Box::new(check))).ok_or(None),
        };
        match read {
            Ok(operand) => Some(operand),
            Err(problem) => {
                problem.into_iter().for_each(|problem| self.problems.push(problem));
                None
            }
        }
    }

    /// A list of scalars, or the name of one.
    fn values(&mut self, node: &Node, name: &str) -> Result<Operand, Option<Problem>> {
        let zone = self.zone();
        match &node.kind {
            Kind::List(items) if items.is_empty() => {
                Err(Some(Problem::error("empty", "an empty list, of which nothing is one").at(&node.place)))
            }
            Kind::List(items) => {
                let literals: Vec<Option<Literal>> =
                    items.iter().map(|item| scalar(item, false, &zone, self.problems)).collect();
                let literals: Option<Vec<Literal>> = literals.into_iter().collect();
                literals.map(|literals| Operand::Values(Arc::new(Values::new(literals)))).ok_or(None)
            }
            Kind::Text(word) => match self.shared.lists.get(word) {
                Some(list) => Ok(Operand::Values(Arc::new(Values::new(list.values.clone())))),
                // One that could not be read has been reported.
                None if self.shared.places.contains_key(&("lists", word.clone())) => Err(None),
                None => {
                    let problem = Problem::error("unknown-list", format!("there is no list `{word}` in `lists:`"));
                    let problem = problem.at(&node.place).suggest(word, self.shared.lists.keys().map(String::as_str));
                    let few = problem.hint.is_none();
                    Err(Some(if few { problem.hint(format!("write `{name}: [{word}]`")) } else { problem }))
                }
            },
            _ => Err(Some(node.expected(&format!("{} for `{name}`", OperandKind::Values.words())))),
        }
    }

    fn zone(&self) -> TimeZone {
        self.shared.zone.clone().unwrap_or(TimeZone::UTC)
    }
}

fn unknown(key: &Key) -> Problem {
    let problem = Problem::error("unknown-operator", format!("there is no operator `{}`", key.text)).at(&key.place);
    let word = key.text.to_lowercase();
    if let Some((_, name)) = OTHER_WORDS.iter().find(|(other, _)| *other == word) {
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

/// Any value that stands in a rule. Null must be written out.
fn literal(node: &Node, folded: bool, zone: &TimeZone, problems: &mut Problems) -> Option<Literal> {
    match &node.kind {
        Kind::List(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, folded, zone, problems)).collect();
            items.into_iter().collect::<Option<_>>().map(Literal::List)
        }
        Kind::Map(entries) => {
            let members = entries
                .iter()
                .map(|(key, node)| Some((Text::new(&key.text, folded), literal(node, folded, zone, problems)?)));
            let members: Vec<_> = members.collect();
            members.into_iter().collect::<Option<_>>().map(Literal::Map)
        }
        _ => scalar(node, folded, zone, problems),
    }
}

/// A text, number, truth value, or a null that is written out.
pub(super) fn scalar(node: &Node, folded: bool, zone: &TimeZone, problems: &mut Problems) -> Option<Literal> {
    match &node.kind {
        Kind::Null if !node.place.text().trim().is_empty() => Some(Literal::Null),
        Kind::Bool(truth) => Some(Literal::Truth(*truth)),
        Kind::Number(number) => Some(Literal::Number(Decimal::parse(number)?, number.clone())),
        Kind::Text(_) => text(node, problems).map(|text| Literal::text(text, folded, zone)),
        _ => {
            problems.push(node.expected("a text, a number or a truth value"));
            None
        }
    }
}

/// A scalar's text. One that a `#` cut short right before a word is a problem: `Song #1`; a comment has a blank.
fn text<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n str> {
    let comment = if node.plain { comment_after(&node.place) } else { None };
    if comment.is_some_and(|comment| comment.starts_with(|c: char| !c.is_whitespace() && c != '#')) {
        problems.push(super::cut(node));
    }
    node.scalar()
}

fn bound(node: &Node, zone: &TimeZone) -> Option<Operand> {
    match &node.kind {
        Kind::Number(number) => Some(Operand::Number(Decimal::parse(number)?, number.clone())),
        Kind::Text(text) => time_of_text(text, zone).ok().map(Operand::Time),
        _ => None,
    }
}

fn not_bound(node: &Node, expected: Problem) -> Problem {
    match &node.kind {
        Kind::Text(text) if Decimal::parse_grouped(text).is_some() => {
            Problem::error("wrong-kind", format!("`{text}` is text"))
                .at(&node.place)
                .hint("write a plain number without quotes and groups: `1000`, `12.5`")
        }
        Kind::Text(text) if !text.starts_with(|c: char| c.is_ascii_digit()) => {
            Problem::error("wrong-kind", format!("`{text}` is neither a number nor a time"))
                .at(&node.place)
                .hint(format!("write {}", OperandKind::Bound.words()))
        }
        Kind::Text(text) => match time_of_text(text, &TimeZone::UTC) {
            Err(note) => {
                Problem::error("wrong-kind", note).at(&node.place).hint(format!("write {}", OperandKind::Bound.words()))
            }
            Ok(_) => expected,
        },
        _ => expected,
    }
}

fn not_span(node: &Node) -> Problem {
    let text = node.scalar().unwrap_or_default();
    match node.scalar() {
        Some(_) => Problem::error("wrong-span", format!("`{text}` is no span of time"))
            .at(&node.place)
            .hint("write a number and a unit: `30s`, `10m`, `2h`, `7d`"),
        None => node.expected(OperandKind::Span.words()),
    }
}

fn regex(pattern: &str, node: &Node, folded: bool) -> Result<regex::Regex, Problem> {
    if pattern.len() > REGEX_MAX {
        return Err(Problem::error("wrong-regex", format!("a regular expression longer than {REGEX_MAX} bytes"))
            .at(&node.place));
    }
    let pattern: String = pattern.nfc().collect();
    let built = RegexBuilder::new(&pattern).case_insensitive(folded).size_limit(REGEX_SIZE).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            Problem::error("wrong-regex", "this regular expression is too large once compiled")
                .at(&node.place)
                .hint("repeat less: `{100}` within `{100}` is 10,000 copies")
        }
        other => {
            let said = other.to_string();
            let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let looks_around = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|sign| pattern.contains(sign));
            Problem::error("wrong-regex", format!("this is no regular expression: {last}")).at(&node.place).hint(
                match looks_around {
                    true => "it takes linear time, so there is no looking around and no back-reference",
                    false => "in single quotes, backslashes stay as they are: '\\bremix\\b'",
                },
            )
        }
    })
}

fn glob(text: &str, node: &Node, folded: bool) -> Result<Glob, Problem> {
    let problem = match text.strip_prefix('!') {
        Some(bare) => Problem::error("wrong-glob", "`!` takes away only in a list of event globs")
            .at(&node.place)
            .hint(format!("put `not:` round the condition, with `glob: \"{bare}\"`")),
        None => match Glob::parse(&comparable(text, folded)) {
            Ok(glob) => return Ok(glob),
            Err(error) => {
                let mut problem =
                    Problem::error("wrong-glob", error.message).at(&inner(&node.place, text, error.offset));
                problem.hint = error.hint;
                problem
            }
        },
    };
    Err(problem)
}

/// The most values of a list that the words of a test show.
const SHOWN_MAX: usize = 6;

fn phrase(row: &Operator, node: &Node, operand: &Operand) -> String {
    let words = match operand {
        Operand::Test(check) => check.words().to_string(),
        Operand::Truth(true) => "there".into(),
        Operand::Truth(false) => "not there".into(),
        _ => match (&node.kind, row.operand) {
            (Kind::Text(text), OperandKind::Values | OperandKind::Span) => text.clone(),
            (Kind::List(items), OperandKind::Values) => {
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
