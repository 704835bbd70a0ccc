//! What is wrong in a user's file: a [`Problem`] with what, where and how to mend it.
//!
//! Problems are collected, never thrown: whoever reads a file goes on after a mistake and reports all of them at once.
//! A message has no full stop, stands in plain words with values in backticks, and reads well without colour.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Padding, Renderer, Snippet};

/// A hint up to this many characters stands beside the caret; a longer one on a line of its own.
const LABEL_MAX: usize = 48;
/// Two places of one file are shown in one piece of it if they are no more lines apart.
const APART_MAX: usize = 100;
/// A line that is longer, in bytes, is named and not shown: it is no text for people.
const LINE_MAX: usize = 8 << 10;

/// A user's file: the path as people know it, and the text that problems point into.
pub struct File {
    /// The path to show.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// Where each line begins; found when first asked for.
    lines: OnceLock<Vec<usize>>,
}

impl File {
    /// A file with this path and text.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into(), lines: OnceLock::new() })
    }

    fn lines(&self) -> &[usize] {
        self.lines
            .get_or_init(|| std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The index of the line that holds the byte `at`.
    fn line_of(&self, at: usize) -> usize {
        self.lines().partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Where the line with this index begins and where it ends, its line break left out.
    fn line(&self, index: usize) -> Range<usize> {
        let end = self.text.len();
        let start = self.lines().get(index).copied().unwrap_or(end);
        let next = self.lines().get(index + 1).copied().unwrap_or(end);
        let line = self.text.get(start..next).unwrap_or_default();
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }
}

impl PartialEq for File {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.text == other.text
    }
}

impl Eq for File {}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A range of bytes in a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: Arc<File>,
    /// The bytes, within the text, on character borders.
    pub span: Range<usize>,
}

impl Location {
    /// The bytes `span` of `file`, moved to character borders and into the text where they are not.
    pub fn new(file: &Arc<File>, span: Range<usize>) -> Self {
        let text = &file.text;
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        Self { file: file.clone(), span: start..end }
    }

    /// The part of this place that starts `offset` bytes in and is `len` bytes long, held within it.
    pub fn part(&self, offset: usize, len: usize) -> Self {
        let start = self.span.start.saturating_add(offset).min(self.span.end);
        Self::new(&self.file, start..start.saturating_add(len).min(self.span.end))
    }

    /// As much of this place as lies on its first line.
    pub fn first_line(&self) -> Self {
        let end = self.file.line(self.file.line_of(self.span.start)).end;
        Self { file: self.file.clone(), span: self.span.start..self.span.end.min(end).max(self.span.start) }
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.file.line_of(self.span.start) + 1
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> usize {
        let line = self.file.line(self.file.line_of(self.span.start));
        let line = visible_from(&self.file.text, line.start)..self.span.start;
        self.file.text.get(line).unwrap_or_default().chars().count() + 1
    }

    fn can_be_shown(&self) -> bool {
        self.file.line(self.file.line_of(self.span.start)).len() <= LINE_MAX
    }

    /// The text at this place, as it was written.
    pub fn text(&self) -> &str {
        self.file.text.get(self.span.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Location {
    /// `rules/fraud.yaml:3:12`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.path, self.line(), self.column())
    }
}

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
    /// Whether its line is only named: a secret stands there.
    pub unshown: bool,
    /// A second place that explains the first, with what to say there.
    pub also: Option<(Location, String)>,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// An error without a place as yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            gravity: Gravity::Error,
            message: message.into(),
            place: None,
            unshown: false,
            also: None,
            hint: None,
        }
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

    /// The same, there, where the line must not be shown.
    #[must_use]
    pub fn at_unshown(self, place: &Location) -> Self {
        Self { unshown: true, ..self.at(place) }
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

    /// The problem for people: message, place, the line with a caret, and the way out. Ends without a line break.
    ///
    /// Control characters of the user's text are shown, not sent: no file can move the cursor of who reads this.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.gravity {
            Gravity::Error => Level::ERROR,
            Gravity::Warning => Level::WARNING,
            Gravity::Note => Level::NOTE,
        };
        let hint = self.hint.as_deref().map(visible);
        let shown = !self.unshown && self.place.as_ref().is_some_and(Location::can_be_shown);
        let beside = hint.as_deref().filter(|hint| shown && hint.chars().count() <= LABEL_MAX);
        let mut group = Group::with_title(level.primary_title(visible(&self.message)).id(self.code));
        let mut pieces: Vec<Vec<Mark<'_>>> = Vec::new();
        pieces.extend(self.place.as_ref().map(|place| vec![(AnnotationKind::Primary, place, beside)]));
        if let Some((place, label)) = &self.also {
            let mark = (AnnotationKind::Context, place, Some(label.as_str()));
            match pieces.first_mut().filter(|_| self.together()) {
                Some(piece) => piece.push(mark),
                None => pieces.push(vec![mark]),
            }
        }
        for piece in &pieces {
            group = group.element(element(piece, !self.unshown));
        }
        if let (Some(hint), None) = (&hint, beside) {
            group = group.element(Level::HELP.message(hint.as_ref()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// Whether both places are near enough to be shown in one piece of their file.
    fn together(&self) -> bool {
        match (&self.place, &self.also) {
            (Some(place), Some((also, _))) => {
                Arc::ptr_eq(&place.file, &also.file)
                    && place.line().abs_diff(also.line()) <= APART_MAX
                    && place.can_be_shown()
                    && also.can_be_shown()
            }
            _ => false,
        }
    }
}

/// A place to be marked, and what to say there.
type Mark<'p> = (AnnotationKind, &'p Location, Option<&'p str>);

/// The lines of all these places of one file, marked; or only the first one's name, where its line is too long to be
/// shown, or must not be.
fn element<'p>(marks: &[Mark<'p>], shown: bool) -> Element<'p> {
    let Some((_, first, _)) = marks.first() else { return Padding.into() };
    let file = &first.file;
    let path = visible(&file.path);
    if !shown || !first.can_be_shown() {
        return Origin::path(path).line(first.line()).char_column(first.column()).into();
    }
    let lines = marks.iter().map(|(_, place, _)| file.line_of(place.span.start));
    let top = lines.clone().min().unwrap_or_default();
    let bottom = lines.max().unwrap_or_default();
    let (start, end) = (visible_from(&file.text, file.line(top).start), file.line(bottom).end);
    let text = file.text.get(start..end).unwrap_or_default();
    let annotations = marks.iter().map(|(kind, place, label)| {
        let span = place.first_line().span;
        let within = |at: usize| at.saturating_sub(start).min(text.len());
        kind.span(within(span.start)..within(span.end)).label(label.map(|label| visible(label).into_owned()))
    });
    Snippet::source(without_c1(text)).line_start(top + 1).path(path).annotations(annotations).into()
}

/// The renderer shows ASCII's control characters, but sends these, of two bytes each, as they are.
fn without_c1(text: &str) -> Cow<'_, str> {
    let c1 = '\u{80}'..='\u{9f}';
    if !text.contains(|c| c1.contains(&c)) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if c1.contains(&c) { '·' } else { c }).collect()
}

/// Where a line that begins at `start` is seen to begin: behind the byte order mark, in the first one.
fn visible_from(text: &str, start: usize) -> usize {
    if start == 0 && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { start }
}

/// The text with its control characters written out, but line breaks.
fn visible(text: &str) -> Cow<'_, str> {
    let hidden =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if hidden(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
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
