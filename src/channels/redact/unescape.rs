//! A text as it reads without its escapes, and where each byte of that stands in the text. Pure.

use std::ops::Range;

/// A text, perhaps unescaped.
pub(super) struct View {
    bytes: Vec<u8>,
    /// For each byte, where what it comes from begins and ends in the text.
    places: Vec<(usize, usize)>,
}

/// The named entities that software writes in place of the characters that HTML and XML can't hold.
const ENTITIES: [(&[u8], u8); 6] =
    [(b"amp;", b'&'), (b"lt;", b'<'), (b"gt;", b'>'), (b"quot;", b'"'), (b"apos;", b'\''), (b"sol;", b'/')];
/// The longest numeric entity: `&#x0010FFFF;`.
const NUMERIC_MAX: usize = 12;

impl View {
    /// The text as it is.
    pub(super) fn of(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), places: (0..text.len()).map(|at| (at, at + 1)).collect() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in the text these bytes come from.
    pub(super) fn place(&self, range: Range<usize>) -> Option<(usize, usize)> {
        let places = self.places.get(range)?;
        Some((places.first()?.0, places.last()?.1))
    }

    /// The same with one layer of escapes undone; `None` if there is none.
    pub(super) fn unescaped(&self) -> Option<Self> {
        let mut view = Self { bytes: Vec::with_capacity(self.bytes.len()), places: Vec::new() };
        let mut at = 0;
        let mut any = false;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (decoded, length) = escape(rest).unwrap_or((Decoded::byte(rest[0]), 1));
            any |= length > 1;
            if let Some(place) = self.place(at..at + length) {
                view.bytes.extend_from_slice(decoded.bytes());
                view.places.extend(decoded.bytes().iter().map(|_| place));
            }
            at += length;
        }
        any.then_some(view)
    }
}

/// What one escape stands for.
struct Decoded([u8; 4], usize);

impl Decoded {
    fn byte(byte: u8) -> Self {
        Self([byte, 0, 0, 0], 1)
    }

    fn char(c: char) -> Self {
        let mut bytes = [0; 4];
        let length = c.encode_utf8(&mut bytes).len();
        Self(bytes, length)
    }

    fn bytes(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

/// The escape that stands at the start, and its length.
fn escape(text: &[u8]) -> Option<(Decoded, usize)> {
    match text {
        [b'%', high, low, ..] => Some((Decoded::byte(number(&[*high, *low], 16)?.try_into().ok()?), 3)),
        [b'&', b'#', rest @ ..] => {
            let end = rest.iter().take(NUMERIC_MAX).position(|byte| *byte == b';')?;
            let digits = rest.get(..end)?;
            let code = match digits {
                [b'x' | b'X', digits @ ..] => number(digits, 16)?,
                digits => number(digits, 10)?,
            };
            Some((Decoded::char(char::from_u32(code)?), end + 3))
        }
        [b'&', rest @ ..] => {
            let (name, byte) = ENTITIES.iter().find(|(name, _)| rest.starts_with(name))?;
            Some((Decoded::byte(*byte), name.len() + 1))
        }
        [b'\\', b'u', rest @ ..] => utf16(rest),
        [b'\\', b'x', high, low, ..] => Some((Decoded::byte(number(&[*high, *low], 16)?.try_into().ok()?), 4)),
        [b'\\', b'n', ..] => Some((Decoded::byte(b'\n'), 2)),
        [b'\\', b'r', ..] => Some((Decoded::byte(b'\r'), 2)),
        [b'\\', b't', ..] => Some((Decoded::byte(b'\t'), 2)),
        [b'\\', escaped @ (b'/' | b'"' | b'\\' | b'\''), ..] => Some((Decoded::byte(*escaped), 2)),
        _ => None,
    }
}

/// What follows `\u`: four digits, or twice four of a surrogate pair. Gives the length with the `\u`.
fn utf16(rest: &[u8]) -> Option<(Decoded, usize)> {
    let first = number(rest.get(..4)?, 16)?;
    if let Some(c) = char::from_u32(first) {
        return Some((Decoded::char(c), 6));
    }
    let second = number(rest.get(4..10)?.strip_prefix(b"\\u")?, 16)?;
    let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    let c = char::decode_utf16(pair).next()?.ok()?;
    Some((Decoded::char(c), 12))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u32::from_str_radix(digits, radix).ok()
}
