//! JSONPath (RFC 9535): parsed by `jsonpath-rust`, checked, planned and evaluated here.
//!
//! Pure. A text goes through `lex` (tokens, and mistakes within one), `mistakes` (what people write by habit from
//! elsewhere, with the way to write it here), the crate's parser, and `plan` (types of functions, exact literals,
//! compiled patterns). The evaluator borrows nodes, never takes a pattern from an event, and counts its steps, so that
//! no path and no event can make it run for long or deep.

use std::fmt;

use serde_json::Value;

pub use self::functions::SizedRegex;
use self::plan::{Query, Segment, Selector};
pub use self::unreachable::Unreachable;

mod eval;
mod functions;
mod unreachable;
mod lex;
mod mistakes;
mod plan;

/// The steps that one evaluation may take: one for each node visited, one for each [`BYTES_A_STEP`] of a text or number
/// that is read, and for a pattern by its compiled size times the text that it is looked for in.
pub const STEPS: u64 = 100_000;

/// How many bytes of a text count as one step.
pub const BYTES_A_STEP: usize = 64;

/// The longest path, in bytes.
pub const TEXT_MAX: usize = 1024;

/// The most segments of a path, or of a query within one of its filters.
pub const SEGMENTS_MAX: usize = 20;

/// A compiled path.
#[derive(Debug)]
pub struct Path {
    text: String,
    query: Query,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError {
    /// What is wrong.
    pub message: String,
    /// Where in the text it begins, in bytes, on a character border; the text's length for what is missing at its end.
    pub offset: usize,
    /// What to do.
    pub hint: Option<String>,
}

/// The step budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded;

/// One step of a path, as static checks and `set:` see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathPart<'p> {
    /// The member with this name.
    Member(&'p str),
    /// The element at this index; from the end where negative.
    Index(i64),
    /// Anything that can select several nodes: a wildcard, a slice, a filter, a list of selectors, a descent.
    Several,
}

impl Path {
    /// Compiles. The patterns of `match()` and `search()` must be written in the path; one taken from the document is
    /// refused, since it would be the sender's code.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        plan::parse(text, plan::Patterns::Written).map(|query| Self { text: text.to_owned(), query })
    }

    /// Compiles all of RFC 9535, patterns from the document too: for documents that are one's own, and for the
    /// standard's compliance suite. Such a pattern is small and its compilation costs steps; one that is too large, or
    /// broken, matches nothing, as section 2.4.6 has it.
    pub fn parse_rfc9535(text: &str) -> Result<Self, PathError> {
        plan::parse(text, plan::Patterns::Anywhere).map(|query| Self { text: text.to_owned(), query })
    }

    /// The nodes that it selects, in RFC 9535's order, members in the document's; `steps` is what is left of the
    /// budget. A node that is reached twice stands there twice.
    pub fn select<'v>(&self, root: &'v Value, steps: &mut u64) -> Result<Vec<&'v Value>, Exceeded> {
        eval::select(&self.query, root, steps)
    }

    /// Where it leads nowhere, whichever of these documents it is asked of.
    pub fn unreachable(&self, documents: &[&Value]) -> Vec<Unreachable> {
        unreachable::unreachable(&self.query, documents)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it selects at most one node, whatever the document (RFC 9535, section 2.3.5.1: a singular query).
    pub fn is_singular(&self) -> bool {
        self.query.singular
    }

    /// Its steps from `$` on. A singular path has only members and indices.
    pub fn parts(&self) -> impl Iterator<Item = PathPart<'_>> {
        self.query.segments.iter().map(Segment::part)
    }
}

impl Segment {
    fn part(&self) -> PathPart<'_> {
        match (self.descend, self.selectors.as_slice()) {
            (false, [Selector::Name(name)]) => PathPart::Member(name),
            (false, [Selector::Index(index)]) => PathPart::Index(*index),
            _ => PathPart::Several,
        }
    }
}

impl PathError {
    /// An error at `offset`, without a hint as yet.
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), offset, hint: None }
    }

    /// The same, with what to do.
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for PathError {
    /// In one line, without the offset: `` `=` is no operator (write `==`) ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PathError {}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the path takes more than {STEPS} steps on this event")
    }
}

impl std::error::Error for Exceeded {}
