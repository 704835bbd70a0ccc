//! Mattermost's Markdown: escaping that leaves nothing of a value to be markup, a link or a mention.
//!
//! Pure. Its parser takes a backslash before few signs only, so the others go as HTML entities, which it shows as the signs.
//! Names after `@` are looked for in the text as it is, and only a space of no width keeps one from being found. Neither is
//! any `<`, `|` or `>` left, of which the server would make links as Slack writes them.

use crate::channels::markdown::{Dialect, LineStart};
use crate::message::fit;

/// A message's body in it.
pub const DIALECT: Dialect = Dialect { escape: escape_from, escape_in_link: escape_from };

/// The same text, of which nothing is markup.
pub fn escape(text: &str) -> String {
    escape_from(text, true)
}

/// As much of the text as is at most `max` units long when it is escaped.
pub fn escape_within(text: &str, max: usize) -> String {
    // Each sign is counted with its escape, which it has in some places only.
    let cost = |part: &str| part.chars().map(|c| c.len_utf16() + escape_len(c)).sum();
    escape(&fit::text(text, max, cost))
}

/// The most that an escape adds to a sign.
fn escape_len(c: char) -> usize {
    match c {
        '<' | '>' => 3,
        '|' | '$' | '=' | ':' | '&' => 4,
        c if c.is_ascii_punctuation() => 1,
        _ => 0,
    }
}

/// Plain text that calls nobody.
pub fn quiet(text: &str) -> String {
    text.replace('@', "@\u{200b}").replace('<', "<\u{200b}")
}

fn escape_from(text: &str, begins: bool) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let mut line = LineStart::new(begins);
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let after = rest.chars().next();
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let ends = after.is_none_or(char::is_whitespace);
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' => escaped.push_str("&#124;"),
            '$' => escaped.push_str("&#36;"),
            '&' if word(after) || after == Some('#') => escaped.push_str("&amp;"),
            '=' if line.is_start => escaped.push_str("&#61;"),
            // Of a link, or of an emoji's name.
            ':' if rest.starts_with("//")
                || (!word(before) && (word(after) || matches!(after, Some('+' | '-' | '_')))) =>
            {
                escaped.push_str("&#58;")
            }
            '@' => escaped.push_str("@\u{200b}"),
            // Four of them would begin code.
            ' ' if line.is_start => escaped.push('\u{a0}'),
            '\\' | '`' | '*' | '[' | ']' | '~' => escaped.extend(['\\', c]),
            '_' if !(word(before) && word(after)) => escaped.extend(['\\', c]),
            '#' if line.is_start || (!word(before) && word(after)) => escaped.extend(['\\', c]),
            '-' | '+' if line.is_start && (ends || after == Some(c) || after == Some('#')) => escaped.extend(['\\', c]),
            '.' | ')' if line.is_number && ends => escaped.extend(['\\', c]),
            '.' if ends_with_www(&escaped) => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
        line.goes_on(c);
        before = Some(c);
    }
    escaped
}

/// Of an address without a scheme.
fn ends_with_www(text: &str) -> bool {
    let start = text.len().checked_sub(3);
    start.and_then(|start| text.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case("www"))
}
