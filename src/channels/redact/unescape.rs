//! A text as it reads without its escapes, and where each byte of that stands in the text. Pure.

use std::borrow::Cow;
use std::ops::Range;

/// A text, perhaps unescaped.
pub(super) struct View<'t> {
    bytes: Cow<'t, [u8]>,
    /// Where its parts come from, in order.
    runs: Vec<Run>,
}

/// A part of a view.
struct Run {
    /// Where it begins in the view; it ends where the next begins.
    begins: usize,
    /// Where in the text what it comes from begins and ends.
    place: (usize, usize),
    /// Whether each of its bytes comes from all of that: an escape. If not, they stand there as they are.
    is_escape: bool,
}

impl Run {
    /// Where the byte at a place of the view comes from.
    fn place(&self, at: usize) -> (usize, usize) {
        let from = self.place.0 + (at - self.begins);
        if self.is_escape { self.place } else { (from, from + 1) }
    }
}

/// The named entities that software writes in place of the characters that HTML and XML can't hold.
const ENTITIES: [(&[u8], u8); 6] =
    [(b"amp;", b'&'), (b"lt;", b'<'), (b"gt;", b'>'), (b"quot;", b'"'), (b"apos;", b'\''), (b"sol;", b'/')];
/// What escapes begin with.
const ESCAPING: [u8; 3] = *b"%&\\";
/// The longest numeric entity: `&#x0010FFFF;`.
const NUMERIC_MAX: usize = 12;

impl<'t> View<'t> {
    /// The text as it is.
    pub(super) fn of(text: &'t str) -> Self {
        let whole = Run { begins: 0, place: (0, text.len()), is_escape: false };
        Self { bytes: text.as_bytes().into(), runs: vec![whole] }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in the text these bytes come from.
    pub(super) fn place(&self, range: Range<usize>) -> Option<(usize, usize)> {
        let last = range.end.checked_sub(1)?;
        Some((self.run(range.start)?.place(range.start).0, self.run(last)?.place(last).1))
    }

    /// The part that a byte is in.
    fn run(&self, at: usize) -> Option<&Run> {
        self.runs.get(self.runs.partition_point(|run| run.begins <= at).checked_sub(1)?)
    }

    /// The same with one layer of escapes undone; `None` if there is none.
    pub(super) fn unescaped(&self) -> Option<View<'static>> {
        let (mut bytes, mut runs) = (Vec::new(), Vec::new());
        let (mut done, mut at) = (0, 0);
        while let Some(next) = self.bytes.get(at..)?.iter().position(|byte| ESCAPING.contains(byte)) {
            at += next;
            let Some((decoded, length)) = self.bytes.get(at..).and_then(escape) else {
                at += 1;
                continue;
            };
            self.copy(done..at, &mut bytes, &mut runs);
            runs.push(Run { begins: bytes.len(), place: self.place(at..at + length)?, is_escape: true });
            bytes.extend_from_slice(decoded.bytes());
            at += length;
            done = at;
        }
        if done == 0 {
            return None;
        }
        self.copy(done..self.bytes.len(), &mut bytes, &mut runs);
        Some(View { bytes: bytes.into(), runs })
    }

    /// Copies what is in this range as it is.
    fn copy(&self, range: Range<usize>, bytes: &mut Vec<u8>, runs: &mut Vec<Run>) {
        if range.is_empty() {
            return;
        }
        let first = self.runs.partition_point(|run| run.begins <= range.start).saturating_sub(1);
        for run in self.runs.get(first..).unwrap_or_default().iter().take_while(|run| run.begins < range.end) {
            let (from, is_escape) = (run.begins.max(range.start), run.is_escape);
            let place = if is_escape { run.place } else { (run.place(from).0, run.place.1) };
            runs.push(Run { begins: bytes.len() + (from - range.start), place, is_escape });
        }
        bytes.extend_from_slice(self.bytes.get(range).unwrap_or_default());
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
