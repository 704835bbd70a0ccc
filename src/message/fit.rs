//! Shortening: whole blocks first, then items and rows, then words; never within what a reader takes for one
//! character, and always with an ellipsis.
//!
//! Generic over what a channel counts. [`text`] takes the measure of a text ([`chars`], [`utf16`], [`bytes()`], or one that
//! counts what escaping adds); [`blocks`] takes the measure of blocks, which a channel gives by writing them.

use unicode_segmentation::UnicodeSegmentation;

use crate::message::{Block, Inline};

/// What stands where something was left out.
pub const ELLIPSIS: &str = "…";

/// The length in characters (Unicode scalar values).
pub fn chars(text: &str) -> usize {
    text.chars().count()
}

/// The length in UTF-16 code units.
pub fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The length in bytes of UTF-8.
pub fn bytes(text: &str) -> usize {
    text.len()
}

/// The text, shortened to at most `max` by `measure`, which must add up: the measure of a whole is the sum of the
/// measures of its parts. Cut at a word where one ends near enough. Empty if not even the ellipsis fits.
pub fn text(text: &str, max: usize, measure: impl Fn(&str) -> usize) -> String {
    if measure(text) <= max {
        return text.to_owned();
    }
    let Some(room) = max.checked_sub(measure(ELLIPSIS)) else { return String::new() };
    let mut used = 0;
    let mut end = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += measure(grapheme);
        if used > room {
            break;
        }
        end = at + grapheme.len();
    }
    let kept = at_word(text.get(..end).unwrap_or_default(), text.get(end..).unwrap_or_default());
    format!("{kept}{ELLIPSIS}")
}

/// `kept` up to its last whole word, unless that would lose more than half of it.
fn at_word<'a>(kept: &'a str, rest: &str) -> &'a str {
    let whole = rest.starts_with(char::is_whitespace) || kept.ends_with(char::is_whitespace);
    let trimmed = kept.trim_end();
    if whole {
        return trimmed;
    }
    match trimmed.rfind(char::is_whitespace) {
        Some(at) if at * 2 >= trimmed.len() => trimmed.get(..at).unwrap_or(trimmed).trim_end(),
        _ => trimmed,
    }
}

/// What came of shortening blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// What fits.
    pub blocks: Vec<Block>,
    /// Whether anything was left out.
    pub cut: bool,
}

/// The blocks, shortened to at most `max` by `measure`, which must not fall when something is added. What doesn't fit is
/// left out from the end: whole blocks, then items of a list and rows of a table, with how many more there were; a
/// paragraph or code is cut within itself only where little stands before it.
pub fn blocks(blocks: &[Block], max: usize, measure: &dyn Fn(&[Block]) -> usize) -> Fitted {
    if measure(blocks) <= max {
        return Fitted { blocks: blocks.to_vec(), cut: false };
    }
    let blocks = cut_blocks(blocks, &|kept| measure(kept) <= max, &|kept| measure(kept).saturating_mul(2) < max);
    Fitted { blocks, cut: true }
}

/// The inlines, shortened to at most `max` by `measure`, which must not fall when something is added.
pub fn inlines(inlines: &[Inline], max: usize, measure: &dyn Fn(&[Inline]) -> usize) -> Vec<Inline> {
    if measure(inlines) <= max {
        return inlines.to_vec();
    }
    cut_inlines(inlines, &|kept| measure(kept) <= max)
}

/// Whether what is given fits.
type Fits<'a, T> = &'a dyn Fn(&[T]) -> bool;

/// The most leading elements for which `fits` holds of them and `tail`; `fits` must not come to hold again.
fn most<T: Clone>(all: &[T], tail: &[T], fits: Fits<'_, T>) -> usize {
    let holds = |count: usize| {
        let mut kept = all.get(..count).unwrap_or(all).to_vec();
        kept.extend_from_slice(tail);
        fits(&kept)
    };
    let (mut low, mut high) = (0, all.len());
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// `sparse` tells whether so little was kept that the next paragraph should be cut rather than left out.
fn cut_blocks(all: &[Block], fits: Fits<'_, Block>, sparse: Fits<'_, Block>) -> Vec<Block> {
    let note = [Block::Paragraph(vec![Inline::Text(ELLIPSIS.into())])];
    let count = most(all, &note, fits);
    let mut kept = all.get(..count).unwrap_or_default().to_vec();
    if let Some(next) = all.get(count) {
        let with = |block: Block| {
            let mut with = kept.clone();
            with.push(block);
            with
        };
        let part = cut_block(next, count == 0 || sparse(&kept), &|block| fits(&with(block.clone())));
        if let Some(part) = part {
            kept.push(part);
            return kept;
        }
    }
    // A heading with nothing below it announces what isn't there.
    while matches!(kept.last(), Some(Block::Heading(..) | Block::Rule)) && kept.len() > 1 {
        kept.pop();
    }
    kept.extend(note);
    if fits(&kept) { kept } else { Vec::new() }
}

/// A part of a block, ellipsis included, if any part of it fits. `within`: text may be cut within itself.
fn cut_block(block: &Block, within: bool, fits: &dyn Fn(&Block) -> bool) -> Option<Block> {
    match block {
        Block::Rule => None,
        Block::Heading(level, inner) => cut_text(inner, within, &|inner| fits(&Block::Heading(*level, inner.to_vec())))
            .map(|inner| Block::Heading(*level, inner)),
        Block::Paragraph(inner) => {
            cut_text(inner, within, &|inner| fits(&Block::Paragraph(inner.to_vec()))).map(Block::Paragraph)
        }
        Block::Code(language, code) => {
            let made = |lines: &[&str]| Block::Code(language.clone(), lines.join("\n"));
            let lines: Vec<&str> = code.split('\n').collect();
            let count = most(&lines, &[ELLIPSIS], &|lines| fits(&made(lines)));
            let mut kept = lines.get(..count).unwrap_or_default().to_vec();
            kept.push(ELLIPSIS);
            if count > 0 {
                return Some(made(&kept));
            }
            let first: Vec<&str> = code.graphemes(true).collect();
            let whole = |part: &[&str]| Block::Code(language.clone(), format!("{}{ELLIPSIS}", part.concat()));
            let count = most(&first, &[], &|part| fits(&whole(part)));
            (within && count > 0).then(|| whole(first.get(..count).unwrap_or_default()))
        }
        Block::Quote(inner) => {
            let inner = cut_blocks(inner, &|inner| fits(&Block::Quote(inner.to_vec())), &|_| within);
            (!inner.is_empty()).then_some(Block::Quote(inner))
        }
        Block::Bullets(items) => {
            cut_items(items, within, &|items| fits(&Block::Bullets(items.to_vec()))).map(Block::Bullets)
        }
        Block::Numbered(first, items) => {
            cut_items(items, within, &|items| fits(&Block::Numbered(*first, items.to_vec())))
                .map(|items| Block::Numbered(*first, items))
        }
        Block::Table(head, rows) => {
            let made = |rows: &[Vec<Vec<Inline>>]| Block::Table(head.clone(), rows.to_vec());
            let tail = [vec![vec![Inline::Text(more(rows.len()))]]];
            let count = most(rows, &tail, &|rows| fits(&made(rows)));
            let mut kept = rows.get(..count).unwrap_or_default().to_vec();
            kept.push(vec![vec![Inline::Text(more(rows.len() - count))]]);
            Some(made(&kept)).filter(|_| count > 0)
        }
    }
}

fn more(count: usize) -> String {
    format!("{ELLIPSIS} {count} more")
}

fn cut_items(items: &[Vec<Block>], within: bool, fits: Fits<'_, Vec<Block>>) -> Option<Vec<Vec<Block>>> {
    let note = |count: usize| vec![Block::Paragraph(vec![Inline::Text(more(count))])];
    let count = most(items, &[note(items.len())], fits);
    let mut kept = items.get(..count).unwrap_or_default().to_vec();
    if count == 0 {
        let first = items.first()?;
        let cut = cut_blocks(first, &|blocks| fits(&[blocks.to_vec()]), &|_| within);
        return (within && !cut.is_empty()).then(|| vec![cut]);
    }
    kept.push(note(items.len() - count));
    Some(kept)
}

fn cut_text(inner: &[Inline], within: bool, fits: Fits<'_, Inline>) -> Option<Vec<Inline>> {
    if !within {
        return None;
    }
    let kept = cut_inlines(inner, fits);
    (kept.len() > 1 || !matches!(kept.first(), None | Some(Inline::Break)))
        .then_some(kept)
        .filter(|kept| *kept != [Inline::Text(ELLIPSIS.into())])
}

/// The most of the inlines that fits with an ellipsis after it.
fn cut_inlines(all: &[Inline], fits: Fits<'_, Inline>) -> Vec<Inline> {
    let tail = [Inline::Text(ELLIPSIS.into())];
    let count = most(all, &tail, fits);
    let mut kept = all.get(..count).unwrap_or_default().to_vec();
    while kept.last() == Some(&Inline::Break) {
        kept.pop();
    }
    let part = all.get(count).and_then(|next| {
        let before = all.get(..count).unwrap_or_default();
        cut_inline(next, &|part| fits(&[before, std::slice::from_ref(part)].concat()))
    });
    match part {
        Some(part) => {
            kept = all.get(..count).unwrap_or_default().to_vec();
            kept.push(part);
            kept
        }
        None => {
            match kept.last_mut() {
                Some(Inline::Text(last)) => {
                    last.truncate(last.trim_end().len());
                    last.push_str(ELLIPSIS);
                }
                _ => kept.extend(tail),
            }
            if fits(&kept) { kept } else { Vec::new() }
        }
    }
}

/// A part of an inline, ellipsis included.
fn cut_inline(inline: &Inline, fits: &dyn Fn(&Inline) -> bool) -> Option<Inline> {
    let nested = |inner: &[Inline], wrap: &dyn Fn(Vec<Inline>) -> Inline| {
        let cut = cut_inlines(inner, &|inner| fits(&wrap(inner.to_vec())));
        (!cut.is_empty() && cut != [Inline::Text(ELLIPSIS.into())]).then(|| wrap(cut))
    };
    match inline {
        Inline::Text(text) => cut_word(text, &|part| fits(&Inline::Text(part.to_owned()))).map(Inline::Text),
        Inline::Code(text) => cut_word(text, &|part| fits(&Inline::Code(part.to_owned()))).map(Inline::Code),
        Inline::Emphasis(inner) => nested(inner, &Inline::Emphasis),
        Inline::Strong(inner) => nested(inner, &Inline::Strong),
        Inline::Strike(inner) => nested(inner, &Inline::Strike),
        Inline::Link(target, inner) => nested(inner, &|inner| Inline::Link(target.clone(), inner)),
        Inline::Break => None,
    }
}

fn cut_word(text: &str, fits: &dyn Fn(&str) -> bool) -> Option<String> {
    let graphemes: Vec<&str> = text.graphemes(true).collect();
    let count = most(&graphemes, &[ELLIPSIS], &|part| fits(&part.concat()));
    let end: usize = graphemes.iter().take(count).map(|grapheme| grapheme.len()).sum();
    let kept = at_word(text.get(..end).unwrap_or_default(), text.get(end..).unwrap_or_default());
    (!kept.is_empty()).then(|| format!("{kept}{ELLIPSIS}"))
}
