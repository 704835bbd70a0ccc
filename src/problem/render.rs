//! A problem for people: its lines with a caret. Where a file may hold secrets, dots stand for what must not be shown. Pure.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Padding, Renderer, Snippet};

use super::file::visible_from;
use super::{DOTS, File, Gravity, Location, Problem};

/// A hint up to this many characters stands beside the caret; a longer one on a line of its own.
const LABEL_MAX: usize = 48;
/// Two places of one file are shown in one piece of it if they are no more lines apart.
const APART_MAX: usize = 100;

impl Problem {
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
        let shown = self.place.as_ref().is_some_and(Location::can_be_shown);
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
            group = group.elements(elements(piece));
        }
        if let (Some(hint), None) = (&hint, beside) {
            group = group.element(Level::HELP.message(hint.as_ref()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let rendered = renderer.render(&[group]);
        match self.place.iter().chain(self.also.iter().map(|(place, _)| place)).any(|place| place.file.is_guarded()) {
            true => without_gaps(&rendered),
            false => rendered,
        }
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
/// shown.
fn elements<'p>(marks: &[Mark<'p>]) -> Vec<Element<'p>> {
    let Some((_, first, _)) = marks.first() else { return vec![Padding.into()] };
    let file = &first.file;
    let path = visible(&file.path);
    // The place is named apart from the lines: dots in them would change its column.
    let origin = Origin::path(path.clone()).line(first.line()).char_column(first.column());
    if !first.can_be_shown() {
        return vec![origin.into()];
    }
    let lines = marks.iter().map(|(_, place, _)| file.line_of(place.span.start));
    let top = lines.clone().min().unwrap_or_default();
    let bottom = lines.max().unwrap_or_default();
    let (start, end) = (visible_from(&file.text, file.line(top).start), file.line(bottom).end);
    let excerpt = Excerpt::of(file, start..end);
    let annotations = marks.iter().map(|(kind, place, label)| {
        let span = place.first_line().span;
        kind.span(excerpt.at(span.start, false)..excerpt.at(span.end, true))
            .label(label.map(|label| visible(label).into_owned()))
    });
    let annotations: Vec<_> = annotations.collect();
    let snippet = Snippet::source(excerpt.text).line_start(top + 1).annotations(annotations);
    if file.is_guarded() { vec![origin.into(), snippet.into()] } else { vec![snippet.path(path).into()] }
}

/// A piece of the file, and the bytes that stand for it.
struct Moved {
    from: Range<usize>,
    to: Range<usize>,
    is_shown: bool,
}

/// Without the lines that stand between a place and its lines where they are two elements.
fn without_gaps(rendered: &str) -> String {
    let is_gap = |line: &&str| {
        // A colour is an escape sequence, which ends with an `m`.
        let bare: String = line
            .split('\u{1b}')
            .map(|part| part.strip_prefix('[').map_or(part, |code| code.split_once('m').map_or("", |(_, text)| text)))
            .collect();
        bare.trim() == ":::"
    };
    rendered.lines().filter(|line| !is_gap(line)).collect::<Vec<_>>().join("\n")
}

/// Some lines of a file as they are shown, and where its bytes went.
struct Excerpt<'f> {
    text: Cow<'f, str>,
    moved: Vec<Moved>,
}

impl<'f> Excerpt<'f> {
    fn of(file: &'f File, within: Range<usize>) -> Self {
        let text = file.text.get(within.clone()).unwrap_or_default();
        if !file.is_guarded() {
            let text = without_c1(text);
            return Self { moved: vec![Moved { from: within, to: 0..text.len(), is_shown: true }], text };
        }
        let (mut out, mut moved) = (String::new(), Vec::new());
        let mut put = |from: Range<usize>, text: &str, is_shown| {
            let start = out.len();
            out.push_str(text);
            moved.push(Moved { from, to: start..out.len(), is_shown });
        };
        for (piece, is_shown) in file.pieces(within) {
            let text = file.text.get(piece.clone()).unwrap_or_default();
            if is_shown {
                put(piece, &without_c1(text), true);
                continue;
            }
            // Lines stay lines.
            let mut at = piece.start;
            for line in text.split_inclusive('\n') {
                let bare = line.trim_end_matches(['\r', '\n']);
                if !bare.is_empty() {
                    put(at..at + bare.len(), DOTS, false);
                }
                put(at + bare.len()..at + line.len(), line.get(bare.len()..).unwrap_or_default(), true);
                at += line.len();
            }
        }
        Self { text: out.into(), moved }
    }

    /// Where the byte `at` of the file stands now; of one that is hidden, where the dots for it begin or end.
    fn at(&self, at: usize, end: bool) -> usize {
        let holds = |moved: &&Moved| at < moved.from.end || (end && at == moved.from.end);
        let Some(Moved { from, to, is_shown }) = self.moved.iter().find(holds) else { return self.text.len() };
        match at.saturating_sub(from.start) {
            0 => to.start,
            offset if *is_shown => (to.start + offset).min(to.end),
            _ if end => to.end,
            _ => to.start,
        }
    }
}

/// The renderer shows ASCII's control characters, but sends these, of two bytes each, as they are.
fn without_c1(text: &str) -> Cow<'_, str> {
    let c1 = '\u{80}'..='\u{9f}';
    if !text.contains(|c| c1.contains(&c)) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if c1.contains(&c) { '·' } else { c }).collect()
}

/// The text with its control characters written out, but line breaks.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let hidden =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if hidden(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}
