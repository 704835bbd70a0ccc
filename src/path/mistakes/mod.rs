//! What people write in a path by habit, from other dialects or by a slip, and how it is written here.
//!
//! Each check is a definite mistake by RFC 9535, so a text that passes may still be refused by the parser, but a text
//! that is refused here is no path. The parser alone would say only what it expected next.

use super::lex::{Token, TokenKind, name_around};
use super::{PathError, SEGMENTS_MAX, TEXT_MAX};

mod filter;

/// The deepest nesting of brackets and parentheses.
const NESTING_MAX: usize = 32;
/// The deepest nesting of function calls. The parser tries three readings of a call's argument, each of which may hold
/// a call, so this bounds its work.
const CALLS_MAX: usize = 4;
/// Indices stay within what every JSON implementation can count (RFC 9535, section 2.1; I-JSON).
const INDEX_MAX: i64 = (1 << 53) - 1;
/// The functions of RFC 9535, section 2.4.
const FUNCTIONS: [&str; 5] = ["length", "count", "match", "search", "value"];

/// How a path begins and how long it is: all that can be said before there are tokens.
pub(super) fn check_text(text: &str) -> Result<(), PathError> {
    if text.len() > TEXT_MAX {
        return Err(PathError::new(
            text.floor_char_boundary(TEXT_MAX),
            format!("the path is {} bytes long, more than {TEXT_MAX}", text.len()),
        ));
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(PathError::new(0, "a path is missing").hint("begin with `$`: `$.data.title`"));
    }
    if trimmed.len() < text.len() && trimmed.starts_with('$') {
        let (at, side) = if text.starts_with(trimmed) { (trimmed.len(), "behind") } else { (0, "before") };
        return Err(PathError::new(at, format!("a blank stands {side} the path")).hint(format!("write `{trimmed}`")));
    }
    if trimmed.starts_with('$') {
        return Ok(());
    }
    let rest = trimmed.trim_start_matches(['@', '#']);
    let fixed = match rest.chars().next() {
        Some('/') => Some(format!("${}", rest.replace('/', "."))),
        Some('.' | '[') => Some(format!("${rest}")),
        Some(first) if super::lex::is_name_start(first) => Some(format!("$.{rest}")),
        _ => None,
    };
    let error = PathError::new(0, "a path begins with `$`");
    Err(match fixed {
        Some(fixed) => error.hint(format!("did you mean `{fixed}`?")),
        None => error,
    })
}

/// What encloses a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// `$…` itself.
    Path,
    /// Brackets that hold names, indices, slices or wildcards.
    Brackets,
    /// Brackets behind a `?`, and parentheses there.
    Filter,
    /// A function's parentheses.
    Call,
}

/// A level of nesting.
struct Level {
    within: Within,
    opened: usize,
    segments: usize,
}

struct Check<'t> {
    text: &'t str,
    tokens: &'t [Token],
    levels: Vec<Level>,
}

/// The first mistake among the tokens, if there is one.
pub(super) fn check_tokens(text: &str, tokens: &[Token]) -> Result<(), PathError> {
    let mut check = Check { text, tokens, levels: vec![Level { within: Within::Path, opened: 0, segments: 0 }] };
    for at in 0..tokens.len() {
        check.token(at)?;
    }
    match check.levels.last() {
        Some(level) if check.levels.len() > 1 => {
            let opener = text.get(level.opened..=level.opened).unwrap_or_default();
            Err(PathError::new(level.opened, format!("the `{opener}` is never closed")))
        }
        _ => check.end(),
    }
}

impl<'t> Check<'t> {
    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn before(&self, at: usize) -> Option<TokenKind> {
        at.checked_sub(1).and_then(|before| self.kind(before))
    }

    /// The text of a token.
    fn word(&self, at: usize) -> &'t str {
        self.tokens.get(at).and_then(|token| self.text.get(token.span.clone())).unwrap_or_default()
    }

    fn start(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(self.text.len(), |token| token.span.start)
    }

    /// The text of the tokens from `from` to before `to`.
    fn words(&self, from: usize, to: usize) -> &'t str {
        let end = to.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.span.end);
        self.text.get(self.start(from)..end).unwrap_or_default()
    }

    fn error(&self, at: usize, message: impl Into<String>) -> PathError {
        PathError::new(self.start(at), message)
    }

    fn within(&self) -> Within {
        self.levels.last().map_or(Within::Path, |level| level.within)
    }

    /// A path that ends too early.
    fn end(&self) -> Result<(), PathError> {
        match self.tokens.last().map(|token| token.kind) {
            Some(TokenKind::Dot | TokenKind::DotDot) => {
                Err(PathError::new(self.text.len(), "a name is missing at the end of the path"))
            }
            _ => Ok(()),
        }
    }

    fn token(&mut self, at: usize) -> Result<(), PathError> {
        let Some(kind) = self.kind(at) else { return Ok(()) };
        self.segment(at, kind)?;
        if matches!(self.before(at), Some(TokenKind::Dot | TokenKind::DotDot)) {
            self.after_dot(at, kind)?;
        } else {
            match self.within() {
                Within::Path => self.in_path(at, kind)?,
                Within::Brackets => self.in_brackets(at, kind)?,
                Within::Filter | Within::Call => self.in_filter(at, kind)?,
            }
        }
        if kind == TokenKind::Number && self.has_leading_zero(at) {
            return Err(self.error(at, format!("`{}` begins with a zero", self.word(at))));
        }
        self.nest(at, kind)
    }

    fn has_leading_zero(&self, at: usize) -> bool {
        let digits = self.word(at).trim_start_matches('-').as_bytes();
        matches!(digits, [b'0', next, ..] if next.is_ascii_digit())
    }

    /// Counts the segments of the query that the token belongs to.
    fn segment(&mut self, at: usize, kind: TokenKind) -> Result<(), PathError> {
        let follows_descent = self.before(at) == Some(TokenKind::DotDot);
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        match kind {
            TokenKind::Root | TokenKind::Current => level.segments = 0,
            TokenKind::Dot | TokenKind::DotDot => level.segments += 1,
            TokenKind::Open if !follows_descent => level.segments += 1,
            _ => {}
        }
        if level.segments > SEGMENTS_MAX {
            return Err(self.error(at, format!("more than {SEGMENTS_MAX} segments")));
        }
        Ok(())
    }

    /// Opens and closes levels.
    fn nest(&mut self, at: usize, kind: TokenKind) -> Result<(), PathError> {
        let within = match (kind, self.within()) {
            (TokenKind::Open, _) => Within::Brackets,
            (TokenKind::Question, Within::Brackets) => {
                if let Some(level) = self.levels.last_mut() {
                    level.within = Within::Filter;
                }
                return Ok(());
            }
            (TokenKind::ParenOpen, _) if self.before(at) == Some(TokenKind::Name) => Within::Call,
            (TokenKind::ParenOpen, _) => Within::Filter,
            // A filter ends at a comma of its own brackets; the next selector may be a name.
            (TokenKind::Comma, Within::Filter) if self.opener() == Some("[") => {
                if let Some(level) = self.levels.last_mut() {
                    level.within = Within::Brackets;
                }
                return Ok(());
            }
            (TokenKind::Close | TokenKind::ParenClose, _) => return self.close(at, kind),
            _ => return Ok(()),
        };
        self.levels.push(Level { within, opened: self.start(at), segments: 0 });
        if self.levels.len() > NESTING_MAX {
            return Err(self.error(at, format!("nested deeper than {NESTING_MAX} levels")));
        }
        if self.levels.iter().filter(|level| level.within == Within::Call).count() > CALLS_MAX {
            return Err(self.error(at, format!("more than {CALLS_MAX} functions within each other")));
        }
        Ok(())
    }

    /// The sign that opened the present level; none for the path itself.
    fn opener(&self) -> Option<&'t str> {
        let level = self.levels.last().filter(|_| self.levels.len() > 1)?;
        self.text.get(level.opened..=level.opened)
    }

    fn close(&mut self, at: usize, kind: TokenKind) -> Result<(), PathError> {
        let wanted = if kind == TokenKind::Close { "[" } else { "(" };
        if self.opener() == Some(wanted) {
            self.levels.pop();
            return Ok(());
        }
        let message = match self.levels.last().filter(|_| self.levels.len() > 1) {
            Some(level) => {
                let opener = self.text.get(level.opened..=level.opened).unwrap_or_default();
                format!("`{}` stands where the `{opener}` should be closed", self.word(at))
            }
            None => format!("`{}` closes nothing", self.word(at)),
        };
        Err(self.error(at, message))
    }

    /// Behind `.` or `..`: a name, `*`, and after `..` also brackets.
    fn after_dot(&self, at: usize, kind: TokenKind) -> Result<(), PathError> {
        let dot = at.saturating_sub(1);
        let blank = self.tokens.get(at).is_some_and(|token| token.blank_before);
        match kind {
            _ if blank => Err(self.error(dot, format!("a blank stands behind the `{}`", self.word(dot)))),
            TokenKind::Name if self.kind(at + 1) == Some(TokenKind::ParenOpen) => Err(self.method(at)),
            TokenKind::Name => self.name_goes_on(at),
            TokenKind::Star => Ok(()),
            TokenKind::Open if self.kind(dot) == Some(TokenKind::DotDot) => Ok(()),
            TokenKind::Open => Err(self.error(dot, "`.` and brackets don't go together").hint("leave the `.` out")),
            TokenKind::Number => Err(self.number_after_dot(at)),
            TokenKind::Text => Err(self.error(at, "a quoted name stands in brackets").hint(format!(
                "write `{}[{}]`",
                self.text.get(..self.start(dot)).unwrap_or_default(),
                self.word(at)
            ))),
            _ => Err(self.error(at, format!("a name is missing before the `{}`", self.word(at)))),
        }
    }

    /// `$.items.length()`
    fn method(&self, at: usize) -> PathError {
        let name = self.word(at);
        let query = self.words(self.query_start(at), at - 1);
        let error = self.error(at, format!("`{name}(…)` can't be called on a path"));
        match FUNCTIONS.contains(&name) && query.starts_with('@') {
            true => error.hint(format!("write `{name}({query})`")),
            false if name == "length" => error.hint("the operator `length` counts: `$.data.items: {length: {gt: 3}}`"),
            false => error.hint("functions stand in filters: `[?length(@.name) > 3]`"),
        }
    }

    /// Where the query that the token belongs to begins.
    fn query_start(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for before in (0..at).rev() {
            match self.kind(before) {
                Some(TokenKind::Close | TokenKind::ParenClose) => depth += 1,
                Some(TokenKind::Open | TokenKind::ParenOpen) if depth > 0 => depth -= 1,
                Some(TokenKind::Root | TokenKind::Current) if depth == 0 => return before,
                _ => {}
            }
        }
        0
    }

    /// `$.data.artist name`, `$.data.2nd`: one name in two tokens.
    fn name_goes_on(&self, at: usize) -> Result<(), PathError> {
        let next = at + 1;
        if !matches!(self.kind(next), Some(TokenKind::Name | TokenKind::Number)) {
            return Ok(());
        }
        if self.within() != Within::Path
            && let Some(error) = self.word_operator(next)
        {
            return Err(error);
        }
        let error = self.error(at, "a name with a blank must be quoted");
        Err(match name_around(self.text, self.start(at)) {
            Some((_, fixed)) => error.hint(format!("quote it: `{fixed}`")),
            None => error,
        })
    }

    /// `$.items.0`, `$.2fa`
    fn number_after_dot(&self, at: usize) -> PathError {
        let (dot, next) = (at.saturating_sub(1), at + 1);
        let goes_on = self.kind(next) == Some(TokenKind::Name);
        let number = self.word(at);
        if !goes_on && number.bytes().all(|byte| byte.is_ascii_digit()) {
            let before = self.text.get(..self.start(dot)).unwrap_or_default();
            let after = self.tokens.get(at).and_then(|token| self.text.get(token.span.end..)).unwrap_or_default();
            return self
                .error(at, format!("`{number}` is an index, and stands in brackets"))
                .hint(format!("write `{before}[{number}]{after}`"));
        }
        let error = self.error(at, "a name that begins with a digit must be quoted");
        match name_around(self.text, self.start(at)) {
            Some((_, fixed)) => error.hint(format!("quote it: `{fixed}`")),
            None => error,
        }
    }

    /// Outside of all brackets.
    fn in_path(&self, at: usize, kind: TokenKind) -> Result<(), PathError> {
        let word = self.word(at);
        match kind {
            TokenKind::Root if at == 0 => Ok(()),
            TokenKind::Dot | TokenKind::DotDot | TokenKind::Open => Ok(()),
            TokenKind::Root => Err(self.error(at, "a second `$`")),
            TokenKind::Name if at == 1 => Err(self
                .error(at, "a `.` is missing after the `$`")
                .hint(format!("did you mean `$.{}`?", self.text.get(self.start(at)..).unwrap_or_default()))),
            TokenKind::Comparison => Err(self.compared_outside(at)),
            TokenKind::Junction => {
                Err(self.error(at, format!("`{word}` stands outside of a filter")).hint("filters stand in `[?…]`"))
            }
            TokenKind::Question => Err(self.error(at, "a filter stands in brackets").hint("write `[?…]`")),
            TokenKind::Current => Err(self
                .error(at, "`@` stands outside of a filter")
                .hint("filters stand in `[?…]`: `$.a[?@.b == 'x']`")),
            TokenKind::Close | TokenKind::ParenClose => Ok(()),
            _ => Err(self.error(at, format!("`{word}` means nothing outside of brackets"))),
        }
    }

    /// `$.a[*].b == 'x'`
    fn compared_outside(&self, at: usize) -> PathError {
        let (left, operator) = (self.words(0, at), self.word(at));
        let right = self.text.get(self.start(at) + operator.len()..).unwrap_or_default().trim();
        let right = if self.kind(at + 1) == Some(TokenKind::Name) && !matches!(right, "true" | "false" | "null") {
            format!("'{right}'")
        } else {
            right.to_owned()
        };
        let error = self.error(at, "a path selects, it doesn't compare, except in a filter");
        match as_filter(left, operator, &right) {
            Some(fixed) => error.hint(format!("did you mean `{fixed}`?")),
            None => error.hint(format!("write the test beside the path, `{left}: …`, with `eq`, `ne`, `gt` …")),
        }
    }

    /// In brackets, before any `?`.
    fn in_brackets(&self, at: usize, kind: TokenKind) -> Result<(), PathError> {
        let word = self.word(at);
        match kind {
            TokenKind::Text | TokenKind::Star | TokenKind::Colon | TokenKind::Comma | TokenKind::ParenClose => Ok(()),
            TokenKind::Question => Ok(()),
            TokenKind::Number => self.index(at),
            TokenKind::Close if self.before(at) == Some(TokenKind::Open) => {
                Err(self.error(at, "the brackets are empty").hint("write `[*]` for every element, `[0]` for the first"))
            }
            TokenKind::Close => Ok(()),
            TokenKind::Name => {
                Err(self.error(at, format!("`{word}` needs quotes in brackets")).hint(format!("write `['{word}']`")))
            }
            TokenKind::Current | TokenKind::ParenOpen | TokenKind::Not => {
                Err(self.error(at, "a filter begins with `?`").hint("write `[?@.name == 'x']`"))
            }
            TokenKind::Open | TokenKind::Root => Err(self.error(at, format!("`{word}` can't stand in brackets"))),
            _ => Err(self.error(at, format!("`{word}` stands outside of a filter")).hint("a filter begins with `?`")),
        }
    }

    fn index(&self, at: usize) -> Result<(), PathError> {
        let word = self.word(at);
        match word.parse::<i64>() {
            Ok(index) if word == "-0" => Err(self.error(at, "`-0` is no index").hint(format!("write `{index}`"))),
            Ok(index) if (-INDEX_MAX..=INDEX_MAX).contains(&index) => Ok(()),
            Err(_) if word.contains(['.', 'e', 'E']) => {
                Err(self.error(at, format!("`{word}` is no index: an index is a whole number")))
            }
            _ => Err(self.error(at, format!("the index `{word}` is too large"))),
        }
    }
}

/// `$.a[*].b`, `==`, `'x'` as `$.a[?@.b == 'x']`.
fn as_filter(left: &str, operator: &str, right: &str) -> Option<String> {
    if right.is_empty() {
        return None;
    }
    let wildcard = |sign: &str| left.rfind(sign).map(|at| (left.get(..at), left.get(at + sign.len()..)));
    if let Some((Some(base), Some(tail))) = wildcard("[*]").or_else(|| wildcard(".*")) {
        return Some(format!("{base}[?@{tail} {operator} {right}]"));
    }
    let (base, name) = left.rsplit_once("..")?;
    Some(format!("{base}..[?@.{name} {operator} {right}]"))
}
