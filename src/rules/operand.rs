//! What operators take: kinds of operands, and operands compiled.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::check::{Check, Look};
use super::glob::Glob;
use super::value::{LIST_HINT, Literal, Text, comparable};
use crate::decimal::Decimal;
use crate::path::SizedRegex;

/// What kind of operand an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperandKind {
    /// Any value.
    Value,
    /// A list of values, or the name of one from `lists:`.
    Values,
    /// A number or a time.
    Bound,
    /// A regular expression.
    Regex,
    /// A glob.
    Glob,
    /// A text.
    Text,
    /// A text or another scalar.
    Scalar,
    /// A test on a number.
    Size,
    /// A time span.
    Span,
    /// `true` or `false`.
    Truth,
    /// A test on each node.
    Test,
}

impl OperandKind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            OperandKind::Value => "a value",
            OperandKind::Values => "a list of values, or the name of one from `lists:`",
            OperandKind::Bound => "a number, or a time such as \"2026-03-27T18:00:00Z\" or \"2026-03-27\"",
            OperandKind::Regex => "a regular expression",
            OperandKind::Glob => "a glob",
            OperandKind::Text => "a text",
            OperandKind::Scalar => "a text, a number or a truth value",
            OperandKind::Size => "a number, or a test on a number such as `{gte: 2}`",
            OperandKind::Span => "a time span such as `7d`",
            OperandKind::Truth => "`true` or `false`",
            OperandKind::Test => "a test",
        }
    }
}

/// A compiled operand.
#[derive(Debug, Clone)]
pub enum Operand {
    /// A value.
    Value(Literal),
    /// Several values.
    Values(Arc<Values>),
    /// A number, with the text it was written as.
    Number(Decimal, String),
    /// A time.
    Time(Timestamp),
    /// A regular expression.
    Regex(Box<SizedRegex>),
    /// A glob, and whether case is ignored.
    Glob(Glob, bool),
    /// A text.
    Text(Text),
    /// What `contains` looks for: as a text and as an element.
    Part(Text, Literal),
    /// A time span.
    Span(SignedDuration),
    /// A truth value.
    Truth(bool),
    /// A test.
    Test(Box<Check>),
}

/// A list of values: texts are looked up, all else is gone through.
#[derive(Debug, Clone, Default)]
pub struct Values {
    texts: HashSet<String>,
    others: Vec<Literal>,
}

impl Values {
    /// From the values of a list.
    pub fn new(literals: Vec<Literal>) -> Self {
        let mut values = Self::default();
        for literal in literals {
            match literal {
                Literal::Text(text, None) => {
                    values.texts.insert(text.form);
                }
                other => values.others.push(other),
            }
        }
        values
    }

    /// All of them; texts in the form in which they are compared.
    pub(crate) fn literals(&self, zone: &TimeZone) -> impl Iterator<Item = Literal> {
        let texts = self.texts.iter().map(|text| Literal::text(text, false, zone));
        texts.chain(self.others.iter().cloned())
    }

    pub(crate) fn contain(&self, value: &Value, look: &Look<'_>) -> bool {
        let among_texts = match value {
            Value::String(text) => self.texts.contains(&*comparable(text, false)),
            _ => false,
        };
        among_texts || self.others.iter().any(|other| other.is(value, look.zone))
    }

    /// What may surprise in a value that is not among them.
    pub(crate) fn surprise(&self, value: &Value) -> Option<String> {
        match value {
            Value::Array(_) => Some(LIST_HINT.into()),
            Value::Number(number) if self.texts.contains(number.as_str()) => {
                Some("a number, and the rule says text: remove the quotes".into())
            }
            Value::String(text) if self.texts.len() <= 50 && text.len() <= 200 => {
                let near = self.texts.iter().find(|known| Text::new(known, true).same(text));
                near.map(|near| format!("only upper and lower case differ from `{near}`"))
            }
            _ => None,
        }
    }
}

impl Operand {
    /// How much dearer than a plain comparison it makes an operator.
    pub fn weight(&self) -> u64 {
        match self {
            Operand::Values(values) => 1 + values.others.len() as u64,
            Operand::Glob(glob, _) => glob.weight(),
            _ => 1,
        }
    }

    /// Whether it is compared with what is in a list or mapping, not with that as a whole.
    pub(super) fn compares_inside(&self) -> bool {
        matches!(self, Operand::Value(Literal::List(_) | Literal::Map(_)) | Operand::Values(_) | Operand::Part(..))
    }

    /// Whether it takes upper and lower case for the same.
    pub(super) fn folds(&self) -> bool {
        match self {
            Operand::Value(literal) => literal.folds(),
            Operand::Glob(_, folded) => *folded,
            Operand::Text(text) | Operand::Part(text, _) => text.folded,
            _ => false,
        }
    }
}
