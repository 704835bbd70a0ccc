//! What is wrong in a user's file: a [`Problem`] with what, where and how to mend it.
//!
//! Problems are collected, never thrown: whoever reads a file goes on after a mistake and reports all of them at once.
//! A message has no full stop, stands in plain words with values in backticks, and reads well without colour.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A user's file: the path as people know it, and the text that problems point into.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// The path to show.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl File {
    /// A file with this path and text.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into() })
    }
}

/// A range of bytes in a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<File>,
    /// The bytes, within the text, on character borders.
    pub span: Range<usize>,
}

impl Place {
    /// The bytes `span` of `file`, moved to character borders and into the text where they are not.
    pub fn new(file: &Arc<File>, span: Range<usize>) -> Self {
        let text = &file.text;
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        Self { file: file.clone(), span: start..end }
    }

    /// The part of this place that starts `offset` bytes in and is `len` bytes long, held within it.
    pub fn part(&self, offset: usize, len: usize) -> Self {
        let start = (self.span.start + offset).min(self.span.end);
        Self::new(&self.file, start..(start + len).min(self.span.end))
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.file.text[..self.span.start].matches('\n').count() + 1
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> usize {
        let before = &self.file.text[..self.span.start];
        before.rsplit('\n').next().unwrap_or_default().chars().count() + 1
    }

    /// The text at this place, as it was written.
    pub fn text(&self) -> &str {
        &self.file.text[self.span.clone()]
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Place {
    /// `rules/fraud.yaml:3:12`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.path, self.line(), self.column())
    }
}

/// Whether a problem stops what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gravity {
    /// Legal, and surely not meant.
    Warning,
    /// Nothing is loaded while it stands.
    Error,
}

impl Gravity {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Gravity::Warning => "warning",
            Gravity::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A short, stable name for programs, such as `unknown-key`.
    pub code: &'static str,
    /// Error or warning.
    pub gravity: Gravity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// A second place that explains the first, with what to say there.
    pub also: Option<(Place, String)>,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// An error without a place as yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, gravity: Gravity::Error, message: message.into(), place: None, also: None, hint: None }
    }

    /// A warning without a place as yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { gravity: Gravity::Warning, ..Self::error(code, message) }
    }

    /// The same, there.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// The same, with a second place.
    #[must_use]
    pub fn also(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.also = Some((place.clone(), label.into()));
        self
    }

    /// The same, with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with `did you mean` the nearest of `known`; or, if none is near and they are few, all of them.
    #[must_use]
    pub fn suggest<'a>(self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(name, known.iter().copied()) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() || known.len() > 24 => self,
            None => {
                let all: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                self.hint(format!("known: {}", all.join(", ")))
            }
        }
    }

    /// The problem for people: message, place, the line with a caret, and the way out.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.gravity {
            Gravity::Error => Level::ERROR,
            Gravity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str()).id(self.code);
        let mut group = match &self.place {
            None => Group::with_title(title),
            Some(place) => {
                let mut primary = AnnotationKind::Primary.span(place.span.clone());
                if let Some(hint) = &self.hint {
                    primary = primary.label(hint.as_str());
                }
                let mut snippet =
                    Snippet::source(place.file.text.as_str()).path(place.file.path.as_str()).annotation(primary);
                if let Some((also, label)) = &self.also
                    && Arc::ptr_eq(&also.file, &place.file)
                {
                    snippet = snippet.annotation(AnnotationKind::Context.span(also.span.clone()).label(label.as_str()));
                }
                title.element(snippet)
            }
        };
        if let Some((also, label)) = &self.also
            && !self.place.as_ref().is_some_and(|place| Arc::ptr_eq(&also.file, &place.file))
        {
            group = group.element(
                Snippet::source(also.file.text.as_str())
                    .path(also.file.path.as_str())
                    .annotation(AnnotationKind::Context.span(also.span.clone()).label(label.as_str())),
            );
        }
        if let (None, Some(hint)) = (&self.place, &self.hint) {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl fmt::Display for Problem {
    /// One line: `rules/fraud.yaml:3:12: error: unknown key `evnts` (did you mean `events`?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.gravity.name(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All that is wrong, in the order of reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Nothing wrong as yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// All of another's.
    pub fn extend(&mut self, other: Problems) {
        self.0.extend(other.0);
    }

    /// Whether anything stops what was asked for.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.gravity == Gravity::Error)
    }

    /// How many errors, how many warnings.
    pub fn count(&self) -> (usize, usize) {
        let errors = self.0.iter().filter(|problem| problem.gravity == Gravity::Error).count();
        (errors, self.0.len() - errors)
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Sorts by file and place, and drops what was said twice.
    pub fn sort(&mut self) {
        let key = |problem: &Problem| {
            problem.place.as_ref().map(|place| (place.file.path.clone(), place.span.start, place.span.end))
        };
        self.0.sort_by_key(key);
        self.0.dedup();
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The known name that `name` was probably meant to be, if one is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase().replace(['-', ' '], "_");
    known
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase().replace(['-', ' '], "_");
            (strsim::damerau_levenshtein(&folded, &other), candidate)
        })
        .filter(|(distance, candidate)| *distance <= (name.chars().count().max(candidate.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
