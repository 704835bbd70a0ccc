//! A user's file and the places in it; and, of a file that may hold secrets, what may be shown. Pure.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

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
    /// The parts that may be shown; `None` where all of it may be.
    shown: Option<OnceLock<Vec<Range<usize>>>>,
}

impl File {
    /// A file with this path and text.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into(), lines: OnceLock::new(), shown: None })
    }

    /// A file that may hold secrets: nothing of it is shown but what [`File::show`] allows.
    pub fn guarded(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let shown = Some(OnceLock::new());
        Arc::new(Self { path: path.into(), text: text.into(), lines: OnceLock::new(), shown })
    }

    /// Whether it may hold secrets.
    pub fn is_guarded(&self) -> bool {
        self.shown.is_some()
    }

    /// Allows these parts of a guarded file to be shown; they are in order and apart. Only the first call counts.
    pub fn show(&self, parts: Vec<Range<usize>>) {
        if let Some(shown) = &self.shown {
            // Who comes second has read the same text.
            let _ = shown.set(parts);
        }
    }

    /// What of these bytes may be shown, and what not, in order: pieces of at least a byte.
    pub fn pieces(&self, within: Range<usize>) -> Vec<(Range<usize>, bool)> {
        let Some(shown) = &self.shown else { return vec![(within, true)] };
        let mut pieces = Vec::new();
        let mut at = within.start;
        let mut add = |piece: Range<usize>, is_shown| {
            if !piece.is_empty() {
                pieces.push((piece, is_shown));
            }
        };
        for part in shown.get().into_iter().flatten() {
            let part = part.start.clamp(at, within.end)..part.end.clamp(at, within.end);
            add(at..part.start, false);
            at = part.end;
            add(part, true);
        }
        add(at..within.end, false);
        pieces
    }

    pub(super) fn lines(&self) -> &[usize] {
        self.lines
            .get_or_init(|| std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The index of the line that holds the byte `at`.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.lines().partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Where the line with this index begins and where it ends, its line break left out.
    pub(super) fn line(&self, index: usize) -> Range<usize> {
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

    pub(super) fn can_be_shown(&self) -> bool {
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

/// Where a line that begins at `start` is seen to begin: behind the byte order mark, in the first one.
pub(super) fn visible_from(text: &str, start: usize) -> usize {
    if start == 0 && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { start }
}
