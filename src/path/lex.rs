//! A path's tokens (RFC 9535, section 2.1), with the mistakes that lie within one.

use std::ops::Range;

use super::PathError;

/// A piece of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub span: Range<usize>,
    /// Whether white space stands before it.
    pub blank_before: bool,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// `[`
    Open,
    /// `]`
    Close,
    /// `(`
    ParenOpen,
    /// `)`
    ParenClose,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// `?`
    Question,
    /// `*`
    Star,
    /// `!`
    Not,
    /// `&&` or `||`
    Junction,
    /// `==`, `!=`, `<`, `<=`, `>` or `>=`
    Comparison,
    /// A quoted text, its quotes included.
    Text,
    /// A number in JSON's grammar.
    Number,
    /// A name, a function's name, `true`, `false` or `null`.
    Name,
}

/// The tokens of a text, in order.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, PathError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        if matches!(first, ' ' | '\t' | '\n' | '\r') {
            at += 1;
            continue;
        }
        let (kind, len) = token(text, at, first)?;
        let blank_before = tokens.last().map_or(0, |token| token.span.end) < at;
        tokens.push(Token { kind, span: at..at + len, blank_before });
        at += len;
    }
    Ok(tokens)
}

/// The kind and length of the token that begins at `at` with `first`.
fn token(text: &str, at: usize, first: char) -> Result<(TokenKind, usize), PathError> {
    let rest = text.get(at..).unwrap_or_default();
    let two = rest.get(..2).unwrap_or_default();
    let kind = match two {
        ".." => TokenKind::DotDot,
        "&&" | "||" => TokenKind::Junction,
        "==" if rest.starts_with("===") => return Err(PathError::new(at, "`===` is no operator").hint("write `==`")),
        "==" | "!=" | "<=" | ">=" => TokenKind::Comparison,
        _ => return one_character(text, at, first),
    };
    Ok((kind, 2))
}

fn one_character(text: &str, at: usize, first: char) -> Result<(TokenKind, usize), PathError> {
    let rest = text.get(at..).unwrap_or_default();
    let kind = match first {
        '$' => TokenKind::Root,
        '@' => TokenKind::Current,
        '.' => TokenKind::Dot,
        '[' => TokenKind::Open,
        ']' => TokenKind::Close,
        '(' => TokenKind::ParenOpen,
        ')' => TokenKind::ParenClose,
        ',' => TokenKind::Comma,
        ':' => TokenKind::Colon,
        '?' => TokenKind::Question,
        '*' => TokenKind::Star,
        '!' => TokenKind::Not,
        '<' if rest.starts_with("<>") => return Err(PathError::new(at, "`<>` is no operator").hint("write `!=`")),
        '<' | '>' => TokenKind::Comparison,
        '\'' | '"' => return Ok((TokenKind::Text, quoted(text, at, first)?)),
        '0'..='9' => return Ok((TokenKind::Number, number(rest))),
        '-' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) && !ends_a_name(text, at) => {
            return Ok((TokenKind::Number, number(rest)));
        }
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '`' | '\u{b4}' => {
            return Err(PathError::new(at, format!("`{first}` is no quotation mark here")).hint("use a straight `'`"));
        }
        first if is_name_start(first) => {
            return Ok((TokenKind::Name, rest.find(|c| !is_name(c)).unwrap_or(rest.len())));
        }
        _ => return Err(stray(text, at, first)),
    };
    Ok((kind, 1))
}

/// A character that begins nothing.
fn stray(text: &str, at: usize, stray: char) -> PathError {
    let rest = text.get(at..).unwrap_or_default();
    let error = PathError::new(at, format!("`{stray}` means nothing here"));
    match stray {
        '=' if rest.starts_with("=~") => {
            PathError::new(at, "`=~` is no operator").hint("write `search(@.name, 'pattern')`")
        }
        '=' => PathError::new(at, "`=` is no operator").hint("write `==`"),
        '&' => PathError::new(at, "`&` is no operator").hint("write `&&`"),
        '|' => PathError::new(at, "`|` is no operator").hint("write `||`"),
        '~' | '^' => error.hint("RFC 9535 has no way to a key or a parent"),
        '-' if text.get(..at).is_some_and(|before| before.ends_with("@.length")) => {
            error.hint("an index from the end is negative: `[-1]` is the last element")
        }
        _ if ends_a_name(text, at) => match name_around(text, at) {
            Some((name, fixed)) => PathError::new(at, format!("`{stray}` can't stand in an unquoted name"))
                .hint(format!("quote `{name}`: `{fixed}`")),
            None => error,
        },
        '+' | '-' | '/' | '%' => error.hint("RFC 9535 has no arithmetic"),
        _ => error,
    }
}

/// Whether a shorthand name ends right before `at`.
fn ends_a_name(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let name = before.trim_end_matches(is_name);
    name.len() < before.len() && name.ends_with('.')
}

/// The whole of what was meant as a shorthand name and is none, for the name that `at` lies in, or behind; and the text
/// with it in brackets.
pub(super) fn name_around(text: &str, at: usize) -> Option<(String, String)> {
    let dot = text.get(..at)?.rfind('.')?;
    let meant = text.get(dot + 1..)?;
    let len = meant.find(['.', '[', ']', '=', '!', '<', '>', '&', '|', ',', ')', '(']).unwrap_or(meant.len());
    let name = meant.get(..len)?.trim();
    let end = dot + 1 + meant.get(..len)?.trim_end().len();
    let quoted = name.replace('\\', "\\\\").replace('\'', "\\'");
    // `..` keeps its dots: `$..['a b']`.
    let before = text.get(..dot)?;
    let before = if before.ends_with('.') { text.get(..=dot)? } else { before };
    Some((name.to_owned(), format!("{before}['{quoted}']{}", text.get(end..)?)))
}

pub(super) fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

pub(super) fn is_name(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

/// The length of the number at the start, as far as JSON's grammar goes.
fn number(rest: &str) -> usize {
    let digits = |from: usize| rest.get(from..).unwrap_or_default().bytes().take_while(u8::is_ascii_digit).count();
    let byte = |at: usize| rest.as_bytes().get(at).copied();
    let mut len = usize::from(rest.starts_with('-'));
    len += digits(len);
    if byte(len) == Some(b'.') && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
    }
    if matches!(byte(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(byte(len + 1), Some(b'+' | b'-')));
        let places = digits(len + 1 + sign);
        if places > 0 {
            len += 1 + sign + places;
        }
    }
    len
}

/// The length of the quoted text at `at`, its quotes included.
fn quoted(text: &str, at: usize, quote: char) -> Result<usize, PathError> {
    let body = text.get(at + 1..).unwrap_or_default();
    let mut chars = body.char_indices();
    while let Some((offset, c)) = chars.next() {
        let here = at + 1 + offset;
        match c {
            _ if c == quote => return Ok(offset + 2),
            '\\' => match chars.next() {
                Some((_, 'b' | 'f' | 'n' | 'r' | 't' | '/' | '\\' | 'u')) => {}
                Some((_, escaped)) if escaped == quote => {}
                Some((_, escaped)) => {
                    return Err(PathError::new(here, format!("`\\{escaped}` is no escape within {quote}…{quote}"))
                        .hint(format!("for a backslash write two: `\\\\{escaped}`")));
                }
                None => break,
            },
            '\u{0}'..='\u{1f}' => {
                return Err(PathError::new(here, "a control character can't stand in a quoted text")
                    .hint("write `\\n` for a line break, `\\t` for a tab, `\\u0000` for any"));
            }
            _ => {}
        }
    }
    Err(PathError::new(at, format!("the quotation mark `{quote}` is never closed")))
}
