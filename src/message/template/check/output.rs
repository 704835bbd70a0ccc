//! A rendering for `check`, with where each piece of it comes from.

use std::ops::Range;

use minijinja::{OutputSpan, OutputSpanKind};

use crate::message::pieces::{Piece, PieceKind};
use crate::message::template::engine::MARK;

/// A rendering with where each piece comes from.
pub(super) struct Output {
    pub pieces: Vec<Piece>,
    /// For each piece: its start in the masked text, its template, its range there.
    origins: Vec<(usize, String, Range<usize>)>,
    pub undefined: bool,
}

impl Output {
    pub fn of(output: &str, spans: &[OutputSpan]) -> Self {
        let mut pieces = Vec::new();
        let mut origins = Vec::new();
        let mut at = 0;
        let mut undefined = false;
        for span in spans {
            let text = output.get(span.output_range()).unwrap_or_default();
            origins.push((at, span.name().to_owned(), span.source_range()));
            if span.kind() == OutputSpanKind::Raw {
                at += text.len();
                pieces.push(Piece::Raw(text.to_owned()));
            } else {
                undefined |= text.contains(MARK);
                // A placeholder is four bytes long.
                at += 4;
                let kind = if text.contains(MARK) { PieceKind::Nothing } else { kind_of(text) };
                pieces.push(Piece::Value(text.to_owned(), kind));
            }
        }
        Self { pieces, origins, undefined }
    }

    /// The length of the masked text.
    pub fn len(&self) -> usize {
        self.origins.last().zip(self.pieces.last()).map_or(0, |((start, ..), piece)| match piece {
            Piece::Raw(text) => start + text.len(),
            Piece::Value(..) => start + 4,
        })
    }

    /// The template and the range there that a byte of the masked text comes from.
    pub fn origin(&self, at: usize) -> Option<(&str, Range<usize>)> {
        let index = self.origins.iter().rposition(|(start, ..)| *start <= at)?;
        let (start, name, range) = self.origins.get(index)?;
        match self.pieces.get(index)? {
            Piece::Raw(_) => {
                let from = (range.start + at - start).min(range.end);
                Some((name, from..(from + 1).min(range.end)))
            }
            Piece::Value(..) => Some((name, range.clone())),
        }
    }

    pub fn pieces_in(&self, range: Range<usize>) -> Vec<&Piece> {
        let within = self.origins.iter().zip(&self.pieces).filter(|((start, ..), _)| range.contains(start));
        within.map(|(_, piece)| piece).collect()
    }
}

/// What a printed text was most likely: `check` renders without knowing. Where it matters (outside of quotes in JSON) text
/// that reads as JSON would be taken for JSON, which makes no difference for whether the document can be parsed.
fn kind_of(text: &str) -> PieceKind {
    if serde_json::from_str::<serde_json::Value>(text).is_ok() { PieceKind::Json } else { PieceKind::Text }
}
