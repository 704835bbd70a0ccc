//! The patterns of `match()` and `search()`: I-Regexp (RFC 9485), in linear time and bounded memory.

use regex::{Regex, RegexBuilder};

/// The most memory that a compiled pattern may take, in bytes.
const SIZE_MAX: usize = 1 << 20;
/// The size that is tried first. Most patterns fit it.
const SIZE_LEAST: usize = 1 << 9;
/// How many times a byte of text may meet a byte of a compiled pattern in one step. At worst each meets each: that takes
/// 150 ns for a byte of text and a KiB of pattern, and so a microsecond for a step.
const MEETINGS_A_STEP: u64 = 1 << 13;
/// The same for a pattern that comes from a document.
const FOREIGN_SIZE_MAX: usize = 32 << 10;
/// The longest pattern that a document may bring, in bytes.
pub(super) const FOREIGN_LEN_MAX: usize = 256;
/// The deepest nesting of groups.
const NEST_MAX: u32 = 32;

/// How a pattern meets a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// `match()`: the whole text.
    Whole,
    /// `search()`: any part of it.
    Part,
}

/// A pattern with the memory that it takes once compiled, in bytes.
#[derive(Debug, Clone)]
pub struct SizedRegex {
    /// The pattern.
    pub regex: Regex,
    /// At most this.
    pub size: usize,
}

impl SizedRegex {
    /// Compiles under growing limits, the last of them `most`: what a pattern takes is not told, but that it fits is.
    ///
    /// # Errors
    /// As `build`, for the first limit that isn't too small.
    pub fn compile(most: usize, build: impl Fn(usize) -> Result<Regex, regex::Error>) -> Result<Self, regex::Error> {
        let mut size = SIZE_LEAST;
        loop {
            match build(size) {
                Err(regex::Error::CompiledTooBig(_)) if size < most => size = (2 * size).min(most),
                built => return built.map(|regex| Self { regex, size }),
            }
        }
    }

    /// The steps that looking for it in this many bytes may take at worst.
    pub fn steps(&self, bytes: usize) -> u64 {
        steps(self.size, bytes)
    }
}

fn steps(size: usize, bytes: usize) -> u64 {
    (size as u64).saturating_mul(bytes as u64) / MEETINGS_A_STEP
}

/// The same for a pattern that a document brought.
pub(super) fn foreign_steps(bytes: usize) -> u64 {
    steps(FOREIGN_SIZE_MAX, bytes)
}

/// Compiles a pattern that is written in the path. The error says what is wrong, in one line.
pub(super) fn compile(pattern: &str, extent: Extent) -> Result<SizedRegex, String> {
    SizedRegex::compile(SIZE_MAX, |size| build(pattern, extent, size)).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    })
}

/// Compiles a pattern that a document brought; `None` where it is broken or too large.
pub(super) fn compile_foreign(pattern: &str, extent: Extent) -> Option<Regex> {
    if pattern.len() > FOREIGN_LEN_MAX {
        return None;
    }
    build(pattern, extent, FOREIGN_SIZE_MAX).ok()
}

/// I-Regexp is nearly a subset of the crate's syntax. Two things differ: its `.` leaves out `\r` as well as `\n`, which
/// is the crate's CRLF mode, and its classes know no set operations.
fn build(pattern: &str, extent: Extent, size: usize) -> Result<Regex, regex::Error> {
    let plain = without_set_operations(pattern);
    let whole = match extent {
        Extent::Whole => format!(r"\A(?:{plain})\z"),
        Extent::Part => plain,
    };
    // The pattern must be whole by itself: `a)|(b` is none, though it fits between the brackets above.
    if extent == Extent::Whole {
        RegexBuilder::new(pattern).size_limit(size).nest_limit(NEST_MAX).build()?;
    }
    RegexBuilder::new(&whole).crlf(true).size_limit(size).dfa_size_limit(2 * size).nest_limit(NEST_MAX).build()
}

/// Escapes `&` and `~` within classes, where the crate takes `&&` and `~~` for operators.
fn without_set_operations(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut depth = 0usize;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                plain.push(c);
                plain.extend(chars.next());
                continue;
            }
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '&' | '~' if depth > 0 => plain.push('\\'),
            _ => {}
        }
        plain.push(c);
    }
    plain
}
