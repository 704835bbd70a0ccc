//! Operands: what an operator's row says it takes, read from a node.
//!
//! Pure. Every reader reports what is wrong and gives `None`, so that the reading goes on.

use std::sync::Arc;

use jiff::tz::TimeZone;
use regex::RegexBuilder;
use unicode_normalization::UnicodeNormalization;

use super::super::glob::{Glob, inner};
use super::super::operand::{Operand, OperandKind, Values};
use super::super::operator::Operator;
use super::super::value::{Literal, Text, comparable, written_time};
use super::check::On;
use super::{Reader, not_cut_within};
use crate::decimal::Decimal;
use crate::path::SizedRegex;
use crate::problem::{Problem, Problems};
use crate::yaml::{Node, NodeKind, is_json_number, span_hint, span_of_time};

/// The longest regular expression, in bytes.
const REGEX_MAX: usize = 1024;
/// The largest compiled regular expression, in bytes.
const REGEX_SIZE: usize = 1 << 18;
/// What each is counted as at least, in bytes: what it takes beside its program.
const REGEX_LEAST: usize = 1 << 14;
/// What all of them may take together, in bytes.
pub(super) const REGEX_ALL: usize = 1 << 25;

/// An operator as it is written.
#[derive(Clone, Copy)]
pub(super) struct Written<'w> {
    pub row: &'static Operator,
    pub name: &'w str,
    /// In any case.
    pub folded: bool,
}

impl Reader<'_> {
    /// The operand of an operator that is written as `name`.
    pub(super) fn operand(
        &mut self,
        Written { row, name, folded }: Written<'_>,
        node: &Node,
        on: On,
    ) -> Option<Operand> {
        let written_out = !node.place.text().trim().is_empty();
        if node.kind == NodeKind::Null && !(written_out && row.operand == OperandKind::Value) {
            self.problems.push(node.expected(&format!("{} for `{name}`", row.operand.words())));
            return None;
        }
        if on == On::Size && !node.one_or_more().iter().all(|item| matches!(item.kind, NodeKind::Number(_))) {
            self.problems.push(node.expected("a number, or a test on a number such as `{gte: 2}`"));
            return None;
        }
        let zone = self.zone();
        let problems = &mut *self.problems;
        match row.operand {
            OperandKind::Value => literal(node, folded, &zone, problems).map(Operand::Value),
            OperandKind::Values => self.values(node, name),
            OperandKind::Bound => bound(node, name, &zone, problems),
            OperandKind::Regex => {
                let regex = regex(node, name, folded, &mut self.regex_left, problems);
                regex.map(|regex| Operand::Regex(Box::new(regex)))
            }
            OperandKind::Glob => glob(node, name, folded, problems).map(|glob| Operand::Glob(glob, folded)),
            OperandKind::Text => text(node, name, problems).map(|text| Operand::Text(Text::new(text, folded))),
            OperandKind::Scalar => {
                let element = scalar(node, folded, &zone, problems)?;
                node.scalar().map(|text| Operand::Part(Text::new(text, folded), element))
            }
            OperandKind::Span => span(node, problems),
            OperandKind::Truth => match node.kind {
                NodeKind::Bool(truth) => Some(Operand::Truth(truth)),
                _ => {
                    problems.push(node.expected(&format!("`true` or `false` for `{name}`")));
                    None
                }
            },
            OperandKind::Size => self.check(node, On::Size).map(|check| Operand::Test(Box::new(check))),
            OperandKind::Test => self.check(node, On::Node).map(|check| Operand::Test(Box::new(check))),
        }
    }

    /// A list of scalars, or the name of one.
    fn values(&mut self, node: &Node, name: &str) -> Option<Operand> {
        let zone = self.zone();
        match &node.kind {
            NodeKind::List(items) if items.is_empty() => {
                self.problems.push(Problem::error("empty", "an empty list, of which nothing is one").at(&node.place));
                None
            }
            NodeKind::List(items) => {
                let literals: Vec<Option<Literal>> =
                    items.iter().map(|item| scalar(item, false, &zone, self.problems)).collect();
                let literals = literals.into_iter().collect::<Option<Vec<Literal>>>()?;
                Some(Operand::Values(Arc::new(Values::new(literals))))
            }
            NodeKind::Text(word) => match self.shared.lists.get(word) {
                Some(list) => {
                    self.used.insert(("lists", word.clone()));
                    Some(Operand::Values(Arc::new(Values::new(list.values.clone()))))
                }
                None => {
                    self.no_such_list(word, node, name);
                    None
                }
            },
            _ => {
                self.problems.push(node.expected(&format!("{} for `{name}`", OperandKind::Values.words())));
                None
            }
        }
    }

    fn no_such_list(&mut self, word: &str, node: &Node, name: &str) {
        // One that could not be read has been reported.
        if self.shared.places.contains_key(&("lists", word.to_owned())) {
            return;
        }
        let problem = Problem::error("unknown-list", format!("there is no list `{word}` in `lists:`")).at(&node.place);
        let problem = problem.suggest(word, self.shared.lists.keys().map(String::as_str));
        self.problems.push(match problem.hint {
            None => problem.hint(format!("write `{name}: [{word}]`")),
            Some(_) => problem,
        });
    }

    fn zone(&self) -> TimeZone {
        self.shared.zone.clone().unwrap_or(TimeZone::UTC)
    }
}

/// Any value that stands in a rule. Null must be written out.
fn literal(node: &Node, folded: bool, zone: &TimeZone, problems: &mut Problems) -> Option<Literal> {
    match &node.kind {
        NodeKind::List(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, folded, zone, problems)).collect();
            items.into_iter().collect::<Option<_>>().map(Literal::List)
        }
        NodeKind::Map(entries) => {
            let members: Vec<_> = entries
                .iter()
                .map(|(key, node)| Some((Text::new(&key.text, folded), literal(node, folded, zone, problems)?)))
                .collect();
            members.into_iter().collect::<Option<_>>().map(Literal::Map)
        }
        _ => scalar(node, folded, zone, problems),
    }
}

/// A text, number, truth value, or a null that is written out.
pub(super) fn scalar(node: &Node, folded: bool, zone: &TimeZone, problems: &mut Problems) -> Option<Literal> {
    match &node.kind {
        NodeKind::Null if !node.place.text().trim().is_empty() => Some(Literal::Null),
        NodeKind::Bool(truth) => Some(Literal::Truth(*truth)),
        NodeKind::Number(number) => {
            warn_of_thousands(node, number, problems);
            Some(Literal::Number(Decimal::parse(number)?, number.clone()))
        }
        NodeKind::Text(text) => {
            not_cut_within(node, problems);
            if text.starts_with(['“', '”', '„', '‘', '’', '«']) && text.chars().count() > 1 {
                problems.push(
                    Problem::warning(
                        "looks-like-quotes",
                        format!("the quotation marks of `{text}` are part of the text"),
                    )
                    .at(&node.place)
                    .hint("write \"…\", or no marks at all"),
                );
            }
            Some(Literal::text(text, folded, zone))
        }
        _ => {
            problems.push(node.expected("a text, a number or a truth value"));
            None
        }
    }
}

fn text<'n>(node: &'n Node, name: &str, problems: &mut Problems) -> Option<&'n str> {
    not_cut_within(node, problems);
    if node.scalar().is_none() {
        problems.push(node.expected(&format!("a text for `{name}`")));
    }
    node.scalar()
}

fn bound(node: &Node, name: &str, zone: &TimeZone, problems: &mut Problems) -> Option<Operand> {
    let problem = match &node.kind {
        NodeKind::Number(number) => {
            warn_of_thousands(node, number, problems);
            return Some(Operand::Number(Decimal::parse(number)?, number.clone()));
        }
        NodeKind::Text(text) if Decimal::parse_grouped(text).is_some() => {
            Problem::error("wrong-kind", format!("`{text}` is text"))
                .at(&node.place)
                .hint("write a plain number without quotes and groups: `1000`, `12.5`")
        }
        NodeKind::Text(text) => match written_time(text, zone) {
            Ok(time) => return Some(Operand::Time(time)),
            Err(note) => {
                let begins_as_one =
                    text.bytes().take(5).map(|byte| byte.is_ascii_digit()).eq([true, true, true, true, false])
                        && text.as_bytes().get(4) == Some(&b'-');
                let message = if begins_as_one { note } else { format!("`{text}` is neither a number nor a time") };
                if let Some(decimal) = with_point(text) {
                    let problem = Problem::error("wrong-kind", message).at(&node.place);
                    problems.push(problem.hint(format!("write a decimal point: `{decimal}`")));
                    return None;
                }
                let plain: String = text.chars().filter(|c| !matches!(c, '_' | ' ' | ',' | '\'')).collect();
                Problem::error("wrong-kind", message).at(&node.place).hint(match is_json_number(&plain) {
                    true => format!("write a plain number: `{plain}`"),
                    false => format!("write {}", OperandKind::Bound.words()),
                })
            }
        },
        _ => node.expected(&format!("{} for `{name}`", OperandKind::Bound.words())),
    };
    problems.push(problem);
    None
}

/// `1000,50` and `1.000,5` with a decimal point: in half of the world a comma parts cents.
fn with_point(text: &str) -> Option<String> {
    let (whole, cents) = text.rsplit_once(',')?;
    let decimal = format!("{}.{cents}", whole.replace(['.', ' ', '_', '\''], ""));
    (!whole.contains(',') && cents.len() < 3 && is_json_number(&decimal)).then_some(decimal)
}

/// `500.000` is five hundred: where thousands are parted by points, that is soon written for more.
fn warn_of_thousands(node: &Node, number: &str, problems: &mut Problems) {
    let Some((whole, rest)) = number.trim_start_matches('-').split_once('.') else { return };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole != "0" && whole.len() <= 3 && rest.len() == 3 && digits(whole) && digits(rest) {
        let plain = number.trim_end_matches('0').trim_end_matches('.');
        problems.push(
            Problem::warning("looks-like-thousands", format!("`{number}` is {plain}: the point is a decimal point"))
                .at(&node.place)
                .hint(format!("for thousands write `{whole}{rest}`, else `{plain}`")),
        );
    }
}

fn span(node: &Node, problems: &mut Problems) -> Option<Operand> {
    let span = node.scalar().and_then(span_of_time);
    if span.is_none() {
        problems.push(match node.scalar() {
            Some(text) => Problem::error("wrong-span", format!("`{text}` is not a time span"))
                .at(&node.place)
                .hint(span_hint(text)),
            None => node.expected(OperandKind::Span.words()),
        });
    }
    span.map(Operand::Span)
}

/// A pattern, compiled once. `left` is what the patterns of all rules may still take.
fn regex(node: &Node, name: &str, folded: bool, left: &mut usize, problems: &mut Problems) -> Option<SizedRegex> {
    let pattern: String = text(node, name, problems)?.nfc().collect();
    let wrong = |message: String| Problem::error("wrong-regex", message).at(&node.place);
    if pattern.len() > REGEX_MAX {
        problems.push(wrong(format!("a regular expression longer than {REGEX_MAX} bytes")));
        return None;
    }
    if *left == 0 {
        return None;
    }
    let built = |size| RegexBuilder::new(&pattern).case_insensitive(folded).size_limit(size).build();
    let built = SizedRegex::compile(REGEX_SIZE, built);
    *left = left.saturating_sub(built.as_ref().map_or(REGEX_SIZE, |regex| regex.size).max(REGEX_LEAST));
    if *left == 0 {
        // Told once, where it is too much; those behind it are not looked at.
        problems.push(
            Problem::error("too-many", "all regular expressions together are too large")
                .at(&node.place)
                .hint("take `glob`, `contains` or `starts_with` where they do"),
        );
        return None;
    }
    match built {
        Ok(regex) => return Some(regex),
        Err(regex::Error::CompiledTooBig(_)) => problems.push(
            wrong("this regular expression is too large once compiled".into())
                .hint("repeat less: `{100}` within `{100}` is 10,000 copies"),
        ),
        Err(other) => {
            let said = other.to_string();
            let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let looks_around = ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|sign| pattern.contains(sign));
            let problem = wrong(format!("this is not a regular expression: {last}"));
            problems.push(match (looks_around, pattern.contains('\\')) {
                (true, _) => problem.hint("it takes linear time, so there is no looking around and no back-reference"),
                (false, true) => problem.hint("in single quotes, backslashes stay as they are: '\\bremix\\b'"),
                (false, false) => problem.hint("a sign that stands for itself has a backslash before it: '\\(live\\)'"),
            });
        }
    }
    None
}

fn glob(node: &Node, name: &str, folded: bool, problems: &mut Problems) -> Option<Glob> {
    let text = text(node, name, problems)?;
    let problem = match text.strip_prefix('!') {
        Some(bare) => Problem::error("wrong-glob", "`!` takes away only in a list of event globs")
            .at(&node.place)
            .hint(format!("put `not:` around the condition, with `glob: \"{bare}\"`")),
        None => match Glob::parse(&comparable(text, folded)) {
            Ok(glob) => return Some(glob),
            Err(error) => {
                let place = inner(&node.place, text, error.offset);
                let mut problem = Problem::error("wrong-glob", error.message).at(&place);
                problem.hint = error.hint;
                problem
            }
        },
    };
    problems.push(problem);
    None
}
