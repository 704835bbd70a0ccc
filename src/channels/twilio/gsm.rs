//! The text of a text message: what fits into two segments, in the GSM alphabet (3GPP TS 23.038) where that can say it.
//!
//! Pure.

use unicode_normalization::UnicodeNormalization;

use crate::channels::{Sending, words};
use crate::message::{fit, plain};

/// All signs that take one place.
const ALPHABET: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Those that take two.
const EXTENSION: &str = "^{}\\[~]|€";
/// As many segments as anybody wants to pay for.
const SEGMENTS_MAX: usize = 2;
/// Of a message of several segments, each.
const SEGMENT: usize = 153;
const WIDE_SEGMENT: usize = 67;

/// Title, body and fields, as far as there is room, then what people can do; the link only where it leaves room for words.
pub fn text(sending: &Sending<'_>) -> String {
    let message = &sending.rendered.message;
    let parts = [words::title(sending), plain::blocks(&message.body).trim().to_owned(), words::facts(&message.fields)];
    let footer = words::footer(sending, false);
    let said: Vec<String> = parts.into_iter().chain(footer).filter(|part| !part.is_empty()).collect();
    let said = said.join("\n");
    let tail: String = words::links(sending).map(|line| format!("\n{line}")).collect();
    let link = message.link.as_ref().map(|link| format!("\n{link}")).unwrap_or_default();
    // Where nothing else is said, pictures are.
    let plain = simple(&said).filter(|plain| !plain.trim().is_empty());
    let (said, measure, one): (_, fn(&str) -> usize, _) = match plain {
        Some(plain) => (plain, septets, SEGMENT),
        None => (said, fit::utf16, WIDE_SEGMENT),
    };
    let max = SEGMENTS_MAX * one;
    let rest = max.saturating_sub(measure(&tail));
    let link = if measure(&link) * 2 <= rest { link } else { String::new() };
    // Links alone may take two segments, and nobody acknowledges what they can't read.
    let room = rest.saturating_sub(measure(&link)).max(one / 2);
    format!("{}{tail}{link}", shortened(&said, room, measure))
}

/// As `fit::text`, with three dots in place of the ellipsis, which is none of the alphabet.
fn shortened(text: &str, max: usize, measure: fn(&str) -> usize) -> String {
    if measure(text) <= max {
        return text.to_owned();
    }
    let cut = fit::text(text, max.saturating_sub(3), |part| if part == fit::ELLIPSIS { 0 } else { measure(part) });
    format!("{}...", cut.trim_end_matches(fit::ELLIPSIS))
}

/// How many segments a text takes.
pub fn segments(text: &str) -> usize {
    let (size, one, each) = match is_plain(text) {
        true => (septets(text), 160, SEGMENT),
        false => (fit::utf16(text), 70, WIDE_SEGMENT),
    };
    if size <= one { 1 } else { size.div_ceil(each) }
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| ALPHABET.contains(c) || EXTENSION.contains(c))
}

fn septets(text: &str) -> usize {
    text.chars().map(|c| if EXTENSION.contains(c) { 2 } else { 1 }).sum()
}

/// The text in the alphabet, if it loses nothing but typography, marks on letters, and pictures.
fn simple(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if ALPHABET.contains(c) || EXTENSION.contains(c) => out.push(c),
            '‘' | '’' | '‚' | '′' => out.push('\''),
            '“' | '”' | '„' | '«' | '»' => out.push('"'),
            '–' | '—' | '‐' | '‑' | '−' => out.push('-'),
            '…' => out.push_str("..."),
            '•' | '·' => out.push('-'),
            '×' => out.push('x'),
            '\u{a0}' | '\u{202f}' | '\u{2009}' => out.push(' '),
            c if is_picture(c) => {}
            c => {
                let base = std::iter::once(c).nfd().next().filter(|base| *base != c && ALPHABET.contains(*base))?;
                out.push(base);
            }
        }
    }
    Some(out)
}

/// Pictures, and what joins and colours them.
fn is_picture(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{fe0f}' | '\u{200d}' | '\u{20e3}')
}
