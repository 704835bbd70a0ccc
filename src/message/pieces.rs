//! What a template printed, in order: its own text apart from the values, so that no later step has to guess.

use crate::message::link::{self, Dead, LinkPart};
use crate::message::text;

/// One piece of a template's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The template's own text.
    Raw(String),
    /// What a value printed.
    Value(String, PieceKind),
}

/// What a printed value was, for where that matters: a JSON template outside of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Text.
    Text,
    /// A number, a truth value, a list or a mapping: its text is JSON.
    Json,
    /// Null or undefined: its text is empty.
    Nothing,
}

impl Piece {
    /// What was printed.
    pub fn text(&self) -> &str {
        match self {
            Piece::Raw(text) | Piece::Value(text, _) => text,
        }
    }

    fn part(&self) -> LinkPart<'_> {
        match self {
            Piece::Raw(text) => LinkPart::Raw(text),
            Piece::Value(text, _) => LinkPart::Value(text),
        }
    }
}

/// All of it as one line of plain text.
pub fn one_line(pieces: &[Piece]) -> String {
    let all: String = pieces.iter().map(Piece::text).collect();
    text::one_line(&all)
}

/// All of it as a link target.
pub fn target(pieces: &[Piece]) -> Result<String, Dead> {
    let parts: Vec<LinkPart<'_>> = pieces.iter().map(Piece::part).collect();
    link::target(&parts)
}

/// The first of the placeholders.
const FIRST: u32 = 0xF0000;
/// How many placeholders there are: plane 15 without its two noncharacters.
const PLACEHOLDERS: usize = 0xFFFE;

/// A template's output with a placeholder for each value: text that can be parsed as markup, whatever the values are.
#[derive(Debug)]
pub struct Masked<'p> {
    /// The text.
    pub text: String,
    values: Vec<(&'p str, PieceKind)>,
}

/// More values were printed than there are placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl<'p> Masked<'p> {
    /// Puts the placeholders in.
    pub fn of(pieces: &'p [Piece]) -> Result<Self, TooMany> {
        let mut masked = Self { text: String::new(), values: Vec::new() };
        for piece in pieces {
            match piece {
                // Templates with a reserved character are refused when they are loaded.
                Piece::Raw(text) => masked.text.extend(text.chars().filter(|c| !text::is_reserved(*c))),
                Piece::Value(text, kind) => {
                    if masked.values.len() == PLACEHOLDERS {
                        return Err(TooMany);
                    }
                    let placeholder = FIRST + u32::try_from(masked.values.len()).unwrap_or(0);
                    masked.text.extend(char::from_u32(placeholder));
                    masked.values.push((text, *kind));
                }
            }
        }
        Ok(masked)
    }

    /// The value whose placeholder `c` is.
    pub fn value(&self, c: char) -> Option<(&'p str, PieceKind)> {
        let index = u32::from(c).checked_sub(FIRST)?;
        self.values.get(index as usize).copied()
    }

    /// `text` (a part of the masked text) in parts: its own text, and the values in it.
    pub fn parts<'t>(&self, text: &'t str) -> Vec<LinkPart<'t>>
    where
        'p: 't,
    {
        let mut parts = Vec::new();
        let mut raw = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| text::is_reserved(*c)) {
            if raw < at {
                parts.extend(text.get(raw..at).map(LinkPart::Raw));
            }
            if let Some((value, _)) = self.value(c) {
                parts.push(LinkPart::Value(value));
            }
            raw = at + c.len_utf8();
        }
        if raw < text.len() {
            parts.extend(text.get(raw..).map(LinkPart::Raw));
        }
        parts
    }
}
