//! Discord's Markdown: escaping that leaves nothing of a value to be markup.
//!
//! Pure. Discord takes a backslash before any sign that is neither letter, digit nor white space for the sign itself,
//! so the escaped text reads, and copies, exactly as the value was.

use crate::channels::markdown::Dialect;
use crate::message::template::native::Spot;
use crate::message::{fit, text};

/// A message's body in it.
pub const DIALECT: Dialect = Dialect { escape: escape_from, escape_in_link };

/// Signs that can begin or end markup in the midst of a line: emphasis, code, spoilers, links, mentions (`<@1>`), emoji
/// (`:x:`), and the colon without which no URL is a link. The `@` keeps `@everyone` from being drawn as if it had pinged.
const ANYWHERE: &str = "\\*_~`|<>[]():@#";
/// Signs that can begin a list at the start of a line.
const AT_LINE_START: &str = "-+";

/// The same text, of which nothing is markup, wherever it goes on. Only what would be markup where it stands gets its
/// backslash: notifications, and some clients, show them.
pub fn escape(text: &str) -> String {
    escape_from(text, true)
}

/// The same for a text that goes on in a line, or begins one.
fn escape_from(text: &str, begins: bool) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    // What stands in the line so far: nothing but white space, nothing but digits after it, or more. A text that begins a
    // line may have its number before it, so at its start both can be.
    let (mut is_start, mut is_number) = (begins, begins);
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let around = Around { before, rest, is_start, is_number };
        if around.is_markup(c) {
            escaped.push('\\');
        }
        escaped.push(c);
        match c {
            '\n' => (is_start, is_number) = (true, false),
            _ if c.is_ascii_digit() => (is_start, is_number) = (false, is_start || is_number),
            _ if c.is_whitespace() => is_number = false,
            _ => (is_start, is_number) = (false, false),
        }
        before = Some(c);
    }
    escaped
}

/// What a sign stands in. At the ends of the text, anything may be beside it.
struct Around<'t> {
    before: Option<char>,
    rest: &'t str,
    is_start: bool,
    is_number: bool,
}

impl Around<'_> {
    /// Whether Discord may take the sign for markup.
    fn is_markup(&self, c: char) -> bool {
        let (before, after) = (self.before, self.rest.chars().next());
        let blank = |c: Option<char>| c.is_some_and(char::is_whitespace);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let ends = blank(after) || after.is_none();
        match c {
            '\\' | '`' => true,
            '*' => self.is_start || !(blank(before) && blank(after)),
            '_' => !(word(before) && word(after)),
            // One alone is no markup, but the end of the text may be beside another.
            '~' | '|' => [before, after].into_iter().any(|beside| beside.is_none_or(|beside| beside == c)),
            // What begins a mention, an emoji, a time, a link begins with none of these.
            '<' => !(blank(after) || after.is_some_and(|c| c.is_ascii_digit())),
            '#' => self.is_start && (ends || after == Some('#')),
            '>' => self.is_start && (ends || after == Some('>')),
            '-' | '+' => self.is_start && (ends || after == Some('#')),
            '.' => self.is_number && ends,
            '(' => before == Some(']'),
            '@' => self.rest.starts_with("everyone") || self.rest.starts_with("here"),
            ':' => self.rest.starts_with("//") || self.begins_emoji(),
            _ => false,
        }
    }

    /// Whether a colon begins the name of an emoji: `:tada:`, but not the minutes of `12:30:45`.
    fn begins_emoji(&self) -> bool {
        let Some((name, _)) = self.rest.split_once(':') else { return false };
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_+-".contains(c));
        let is_time = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_digit());
        is_name && !(is_time && self.before.is_some_and(|c| c.is_ascii_digit()))
    }
}

/// The same within a link's text, where every bracket counts: whatever can be markup anywhere has its backslash.
fn escape_in_link(text: &str, _begins: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if ANYWHERE.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// As much of the text as is at most `max` units long when it is escaped.
pub fn escape_within(text: &str, max: usize) -> String {
    // Each sign is counted with its backslash, which it has in some places only.
    let cost = |part: &str| part.chars().map(|c| c.len_utf16() + usize::from(is_sign(c))).sum();
    escape(&fit::text(text, max, cost))
}

fn is_sign(c: char) -> bool {
    ANYWHERE.contains(c) || AT_LINE_START.contains(c) || c == '.'
}

/// A value in an author's own JSON. Discord reads Markdown in some of its texts, with a backslash before what is meant as itself.
pub fn escape_value(spot: Spot<'_>, text: &str) -> String {
    let markdown = match spot.key {
        "content" | "description" | "value" | "title" => true,
        // A field's name is Markdown, an author's is not.
        "name" => spot.parent == "fields",
        _ => false,
    };
    let mut out = String::with_capacity(text.len());
    for c in text::clean(text).chars() {
        if markdown
            && c.is_ascii_punctuation()
            && !matches!(c, '.' | ',' | ';' | '\'' | '"' | '&' | '/' | '?' | '=' | '%')
        {
            out.push('\\');
        }
        out.push(c);
        if c == '@' {
            out.push('\u{200b}');
        }
    }
    out
}
