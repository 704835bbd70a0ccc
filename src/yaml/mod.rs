//! YAML, read strictly, with the place of everything.
//!
//! The one module that knows the YAML crate. It gives a tree of [`Node`]s, and [`Fields`] to take a mapping apart so
//! that every unknown, missing or misshapen key is reported at once. Only what YAML 1.2's core schema writes in its
//! plainest form is a number, a truth value or null: `no`, `012` and `1_000` stay text. Tags, merge keys, duplicate
//! keys, directives and several documents are errors; aliases are followed within a budget.

use std::sync::Arc;

use serde_json::Value;

pub use self::fields::{Fields, KeyHint, named, span_hint, span_of_time, span_text};
use crate::problem::{File, Location, Problem, Problems};

mod fields;
mod diagnostics;
mod read;
pub mod schema;

/// The largest file that is read, in bytes.
pub const SIZE_MAX: usize = 1 << 20;
/// The most nodes a file may have, aliases followed.
pub const NODES_MAX: usize = 200_000;
/// The deepest nesting, aliases followed.
pub const DEPTH_MAX: usize = 64;
/// The most mistakes that are reported of one file; it is not read further.
pub const MISTAKES_MAX: usize = 500;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it stands, quotes included.
    pub place: Location,
    /// Whether a plain scalar: neither quoted nor a block.
    pub plain: bool,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in JSON's grammar, with the text it was written as.
    Number(String),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The text of it; a number's or truth value's own text.
    pub text: String,
    /// Where it stands.
    pub place: Location,
}

impl Node {
    /// The kind in words: `a list`, `text`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "a truth value",
            NodeKind::Number(_) => "a number",
            NodeKind::Text(_) => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar, numbers and truth values as written. `None` for null, lists and mappings.
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) | NodeKind::Number(text) => Some(text),
            NodeKind::Bool(true) => Some("true"),
            NodeKind::Bool(false) => Some("false"),
            NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => None,
        }
    }

    /// The elements: a list's, or the node itself as the only one (`to: oncall` is `to: [oncall]`). Nothing for null.
    pub fn one_or_more(&self) -> &[Node] {
        match &self.kind {
            NodeKind::List(items) => items,
            NodeKind::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The value in JSON, numbers with their text.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(truth) => Value::Bool(*truth),
            NodeKind::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            NodeKind::Text(text) => Value::String(text.clone()),
            NodeKind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeKind::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect())
            }
        }
    }

    /// A problem of this node: `expected` what, found what.
    pub fn expected(&self, what: &str) -> Problem {
        let problem =
            Problem::error("wrong-kind", format!("expected {what}, found {}", self.kind_name())).at(&self.place);
        match self.cut_by_comment() {
            Some(_) if self.kind == NodeKind::Null => problem.hint(QUOTE_COMMENT),
            _ => problem,
        }
    }

    /// The comment that follows a plain scalar, or stands where a value is missing, on its own line: `title: Track #1`
    /// is the title `Track`. YAML is content with that; anyone who reads a title, text, glob or path should not be.
    pub fn cut_by_comment(&self) -> Option<Location> {
        let absent = self.kind == NodeKind::Null && self.place.span.is_empty();
        if !absent && (!self.plain || self.place.text().starts_with('*')) {
            return None;
        }
        let file = &self.place.file;
        let (before, after) = file.text.split_at_checked(self.place.span.end)?;
        // No further than a line for people is long.
        let after = after.get(..after.floor_char_boundary(COMMENT_MAX)).unwrap_or_default();
        let after = after.lines().next().unwrap_or_default();
        // What is absent stands either right behind its key, before the colon, or behind its `- ` and the comment.
        let line = match before.rsplit('\n').next() {
            Some(line) if absent && after.is_empty() => line.trim_start_matches([' ', '-']),
            _ => after,
        };
        let signs: &[char] = if absent { &[' ', '\t', ':'] } else { &[' ', '\t'] };
        let comment = line.trim_start_matches(signs);
        let end = self.place.span.end + if line.len() == after.len() { after.len() } else { 0 };
        let start = end - comment.len();
        let cut = comment.starts_with('#') && file.text.get(..start)?.ends_with([' ', '\t']);
        cut.then(|| Location::new(file, start..start + comment.trim_end().len()))
    }
}

/// How far behind a value a comment is looked for, in bytes.
const COMMENT_MAX: usize = 1024;

/// What to do where a `#` turned text into a comment.
pub(crate) const QUOTE_COMMENT: &str = "` #` begins a comment; if it belongs to the text, quote it: \"…\"";

/// Reads the one document of a file. `None` where the syntax is broken (the problem says so) or the file is empty.
///
/// A mistake in the syntax ends the reading; other mistakes are reported, and the reading goes on without what is
/// mistaken.
pub fn read(file: &Arc<File>, problems: &mut Problems) -> Option<Node> {
    if is_too_large(file, problems) {
        return None;
    }
    read::document(file, problems)
}

/// Whether a file is longer than [`SIZE_MAX`], which is reported. Of such a file no more may have been read.
pub fn is_too_large(file: &Arc<File>, problems: &mut Problems) -> bool {
    let is_too_large = file.text.len() > SIZE_MAX;
    if is_too_large {
        problems.push(
            Problem::error("too-large", "the file is longer than 1 MiB")
                .at(&Location::new(file, 0..0))
                .hint("spread it over several files, each smaller"),
        );
    }
    is_too_large
}

/// Whether `text` is a number in JSON's grammar (RFC 8259, section 6).
pub fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let places = digits(fraction);
        if places == 0 {
            return false;
        }
        rest = &fraction[places..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let places = digits(exponent);
        return places > 0 && places == exponent.len();
    }
    rest.is_empty()
}
