//! Where a template stands in its file: from an offset in a scalar's text back to the line that people edit.

use std::ops::Range;
use std::sync::Arc;

use minijinja::{Error, ErrorKind};

use crate::message::template::scan::Scan;
use crate::problem::{File, Location, Problem};

/// The code of the problem that a template does too much work.
pub(crate) const ENDLESS: &str = "endless-template";

/// A template's text within a file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    file: Arc<File>,
    /// The template's text.
    pub text: String,
    offsets: Offsets,
}

#[derive(Debug, Clone)]
enum Offsets {
    /// The text stands in the file as it is, from here on.
    From(usize),
    /// Where each byte of the text stands; one more for the end.
    Table(Vec<usize>),
}

impl Source {
    /// The part of a file from `start` to its end.
    pub fn rest(file: &Arc<File>, start: usize) -> Self {
        let text = file.text.get(start..).unwrap_or_default().to_owned();
        Self { file: file.clone(), text, offsets: Offsets::From(start) }
    }

    /// A YAML scalar with this text at this place, whatever its style.
    pub fn scalar(place: &Location, text: &str) -> Self {
        let offsets = if place.text() == text {
            Offsets::From(place.span.start)
        } else {
            Offsets::Table(align(place.text(), text).into_iter().map(|at| at + place.span.start).collect())
        };
        Self { file: place.file.clone(), text: text.to_owned(), offsets }
    }

    /// A text that stands in no file.
    pub fn bare(text: &str) -> Self {
        Self::rest(&File::new("", text), 0)
    }

    /// The bytes `span` of the text, in the file.
    pub fn place(&self, span: Range<usize>) -> Location {
        let at = |offset: usize| match &self.offsets {
            Offsets::From(start) => start + offset.min(self.text.len()),
            Offsets::Table(table) => table.get(offset).or(table.last()).copied().unwrap_or(0),
        };
        let (start, end) = (at(span.start), at(span.end));
        Location::new(&self.file, start..end.max(start))
    }

    /// The beginning of its file.
    pub fn start(&self) -> Location {
        Location::new(&self.file, 0..0)
    }

    /// Where MiniJinja found something.
    pub fn place_of(&self, error: &Error) -> Location {
        if let Some(range) = error.range() {
            return self.place(range);
        }
        let line = error.line().unwrap_or(1).saturating_sub(1);
        let start: usize = self.text.split_inclusive('\n').take(line).map(str::len).sum();
        let len = self.text.get(start..).and_then(|rest| rest.lines().next()).map_or(0, str::len);
        self.place(start..start + len)
    }
}

/// Where each byte of `text` stands in `raw`, the scalar as it was written: quotes, escapes, folded lines and indentation
/// are passed over. One entry more than `text` has bytes.
fn align(raw: &str, text: &str) -> Vec<usize> {
    let quote = raw.chars().next().filter(|c| matches!(c, '"' | '\''));
    let mut at = match raw.chars().next() {
        Some('"' | '\'') => 1,
        Some('|' | '>') => raw.find('\n').map_or(raw.len(), |line| line + 1),
        _ => 0,
    };
    let mut table = Vec::with_capacity(text.len() + 1);
    for c in text.chars() {
        let (start, next) = step(raw, at, c, quote);
        at = next;
        table.extend(std::iter::repeat_n(start, c.len_utf8()));
    }
    table.push(at);
    table
}

/// Where `c` of the text stands in `raw` from `at` on, and where its successor is to be looked for.
fn step(raw: &str, mut at: usize, c: char, quote: Option<char>) -> (usize, usize) {
    while let Some(r) = raw.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = raw.get(at..).unwrap_or_default();
        match (quote, r) {
            (Some('"'), '\\') => {
                let len = match rest.chars().nth(1) {
                    Some('x') => 4,
                    Some('u') => 6,
                    Some('U') => 10,
                    // A line that goes on.
                    Some('\n') => {
                        let blank = rest.get(2..).unwrap_or_default();
                        at += 2 + (blank.len() - blank.trim_start().len());
                        continue;
                    }
                    Some(other) => 1 + other.len_utf8(),
                    None => 1,
                };
                return (at, (at + len).min(raw.len()));
            }
            (Some('\''), '\'') if c == '\'' => return (at, at + rest.len().min(2)),
            _ if r == c => return (at, at + r.len_utf8()),
            // Folded: a line break and the indentation after it are one space.
            _ if c == ' ' && r == '\n' => return (at, at + (rest.len() - rest.trim_start().len())),
            _ if r.is_whitespace() => at += r.len_utf8(),
            _ => return (at, at),
        }
    }
    (raw.len(), raw.len())
}

/// The innermost error that knows where it happened: an include's is the partial's.
pub(crate) fn innermost(error: &Error) -> &Error {
    let mut found = error;
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(source) = next {
        if let Some(inner) = source.downcast_ref::<Error>()
            && inner.name().is_some()
        {
            found = inner;
        }
        next = source.source();
    }
    found
}

/// What MiniJinja says, in our words.
pub(crate) fn words(error: &Error) -> String {
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        ErrorKind::SyntaxError if detail.is_empty() => "a syntax error".into(),
        ErrorKind::SyntaxError => format!("a syntax error: {}", quoted(detail)),
        ErrorKind::OutOfFuel => "the template does too much work".into(),
        ErrorKind::UndefinedError if detail.is_empty() => "a value is undefined here".into(),
        kind if detail.is_empty() => kind.to_string(),
        _ => detail.to_owned(),
    }
}

fn quoted(detail: &str) -> String {
    detail.replace("end of variable block", "`}}`").replace("end of block", "`%}`")
}

/// The name of what an error says is undefined, such as `data.titel`.
pub(crate) fn undefined_name(error: &Error) -> Option<String> {
    let detail = error.detail()?;
    let (before, _) = detail.split_once("` is undefined")?;
    before.rsplit_once('`').map(|(_, name)| name.to_owned())
}

/// The problem of a template that can't be compiled. Where something begins and never ends, its beginning is the place to
/// look at, and not the end of the file.
pub(crate) fn syntax(source: &Source, scan: &Scan, error: &Error) -> Problem {
    let is_cut = error.detail().is_some_and(|detail| detail.contains("unexpected end of"));
    match scan.unclosed() {
        Some((begins, ends, span)) if is_cut => {
            Problem::error("template-syntax", format!("the `{begins}` is never closed"))
                .at(&source.place(span))
                .hint(format!("end it with `{ends}`"))
        }
        _ => problem(source, error),
    }
}

/// The problem of an error in the template that `source` is.
pub(crate) fn problem(source: &Source, error: &Error) -> Problem {
    let code = match error.kind() {
        ErrorKind::SyntaxError => "template-syntax",
        ErrorKind::UndefinedError => "undefined",
        ErrorKind::OutOfFuel => ENDLESS,
        _ => "template",
    };
    let problem = Problem::error(code, words(error)).at(&source.place_of(error));
    let fix = error.range().and_then(|range| fix(&source.text, range.start));
    match (error.kind(), fix) {
        (ErrorKind::SyntaxError, Some(fix)) => problem.hint(fix),
        (ErrorKind::UnknownMethod, _) => problem.hint("values have no methods; use a filter: `…|upper`"),
        _ => problem,
    }
}

/// Whether a rendering fails so with any event: it has nothing to do with values.
pub(crate) fn is_certain(error: &Error) -> bool {
    let says = |what: &str| error.detail().is_some_and(|detail| detail.contains(what));
    // Both are reported with the kind that values that don't fit have, too.
    if says("there is no time zone") || says("recursion limit exceeded") || says("takes at most") {
        return true;
    }
    matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::OutOfFuel
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::UnknownTest
            | ErrorKind::TemplateNotFound
            | ErrorKind::MissingArgument
            | ErrorKind::TooManyArguments
    )
}

/// How to fix what can't be read from `at` on, where it is one of the usual slips.
fn fix(text: &str, at: usize) -> Option<String> {
    let (before, rest) = (text.get(..at)?, text.get(at..)?);
    let signs = [("=>", ">="), ("=<", "<="), ("=", "=="), ("&&", "and"), ("||", "or"), ("!", "not")];
    let sign = signs.into_iter().find(|(sign, _)| rest.starts_with(sign) || before.ends_with(sign));
    if rest.starts_with("if") && before.trim_end().ends_with("else") {
        Some("write `{% elif … %}`".into())
    } else if let Some(path) = rest.strip_prefix("$.") {
        let end = path.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(path.len());
        let path = path.get(..end)?.trim_end_matches('.');
        let value = if path.starts_with("data.") { path.to_owned() } else { format!("event.body.{path}") };
        Some(format!("a value is written without `$`: `{{{{ {value} }}}}`"))
    } else if rest.starts_with('}') && !rest.starts_with("}}") {
        Some("end it with `}}`".into())
    } else {
        sign.map(|(_, right)| format!("write `{right}`"))
    }
}
