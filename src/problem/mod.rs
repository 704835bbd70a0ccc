//! What is wrong in a user's file: a [`Problem`] with what, where and how to fix it.
//!
//! Problems are collected, never thrown: anyone who reads a file goes on after a mistake and reports all of them at once.
//! A message has no full stop, stands in plain words with values in backticks, and reads well without colour. Pure.

use std::fmt;

pub use self::file::{File, Location};
use self::render::visible;

mod file;
mod render;

/// What stands for a text that must not be shown.
pub const DOTS: &str = "•••";

/// Whether a problem stops what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gravity {
    /// Legal, and often meant: what it comes to is easily taken for something else.
    Note,
    /// Legal, and surely not meant.
    Warning,
    /// Nothing is loaded while it stands.
    Error,
}

impl Gravity {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Gravity::Note => "note",
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
    pub place: Option<Location>,
    /// A second place that explains the first, with what to say there.
    pub also: Option<(Location, String)>,
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

    /// A note without a place as yet.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self { gravity: Gravity::Note, ..Self::error(code, message) }
    }

    /// The same, there.
    #[must_use]
    pub fn at(mut self, place: &Location) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// The same, with a second place.
    #[must_use]
    pub fn also(mut self, place: &Location, label: impl Into<String>) -> Self {
        self.also = Some((place.clone(), label.into()));
        self
    }

    /// The same, with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with this before what to do.
    #[must_use]
    pub fn hint_more(mut self, first: &str) -> Self {
        self.hint = Some(self.hint.map_or_else(|| first.to_owned(), |hint| format!("{first}; {hint}")));
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
}

impl fmt::Display for Problem {
    /// One line: `rules/fraud.yaml:3:12: error: unknown key `evnts` (did you mean `events`?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |text: &str| visible(text).replace('\n', " ");
        if let Some(place) = &self.place {
            write!(f, "{}:{}:{}: ", line(&place.file.path), place.line(), place.column())?;
        }
        write!(f, "{}: {}", self.gravity.name(), line(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, " ({})", line(hint)),
            None => Ok(()),
        }
    }
}

/// The most problems that are kept: nobody reads more, and a file made to be wrong must not fill memory or a terminal.
pub const KEPT_MAX: usize = 250;

/// All that is wrong, in the order of reading. Beyond [`KEPT_MAX`] they are only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    kept: Vec<Problem>,
    /// How many notes, warnings and errors are not kept.
    left_out: [usize; 3],
}

impl Problems {
    /// Nothing wrong as yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn push(&mut self, problem: Problem) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push(problem);
        } else {
            self.left_out[problem.gravity as usize] += 1;
        }
    }

    /// All of another's.
    pub fn extend(&mut self, other: Problems) {
        for (own, others) in self.left_out.iter_mut().zip(other.left_out) {
            *own += others;
        }
        other.kept.into_iter().for_each(|problem| self.push(problem));
    }

    /// The same, each changed.
    #[must_use]
    pub fn map(self, change: impl FnMut(Problem) -> Problem) -> Self {
        Self { kept: self.kept.into_iter().map(change).collect(), ..self }
    }

    /// Whether anything stops what was asked for.
    pub fn has_errors(&self) -> bool {
        self.of(Gravity::Error) > 0
    }

    /// How many there are beyond those that [`Problems::iter`] gives.
    pub fn left_out(&self) -> usize {
        self.left_out.iter().sum()
    }

    /// How many errors, how many warnings.
    pub fn count(&self) -> (usize, usize) {
        (self.of(Gravity::Error), self.of(Gravity::Warning))
    }

    /// How many are of this gravity.
    pub fn of(&self, gravity: Gravity) -> usize {
        self.kept.iter().filter(|problem| problem.gravity == gravity).count() + self.left_out[gravity as usize]
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// One after the other, as far as they are kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.kept.iter()
    }

    /// Sorts by file and place, and drops what was said twice. What has no place comes first.
    pub fn sort(&mut self) {
        self.kept.sort_by_cached_key(|problem| {
            let place = problem.place.as_ref().map(|place| (place.file.path.clone(), place.span.start, place.span.end));
            (place, problem.code, problem.message.clone())
        });
        self.kept.dedup();
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.kept.into_iter()
    }
}

/// The known name that `name` was probably meant to be, if one is near enough: at most a third of the letters wrong.
/// Upper and lower case, `-`, `_` and blanks count as equal.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase().replace(['-', ' '], "_");
    let len = folded.chars().count();
    known
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase().replace(['-', ' '], "_");
            let other_len = other.chars().count();
            let allowed = (len.max(other_len) / 3).max(1);
            // No nearer than the lengths are: spares the long names, whose comparison would be dear.
            if len.abs_diff(other_len) > allowed {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&folded, &other);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
