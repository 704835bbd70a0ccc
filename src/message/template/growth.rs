//! What a template may not build, since it could grow without end: MiniJinja counts instructions, not how large a list
//! of lists becomes that is put into itself, nor how deep.
//!
//! Looks at tokens, as `scan` does. What holds afterwards: a list or mapping that a template builds holds values of the
//! event and of its own text, never what the template itself has built before; so it is no larger than the text that
//! builds it times the event. `+` and `*` are taken where one side is plainly a number or a text, so that no list is
//! joined with a list; `~`, which would write out a list of any size, is not taken at all.
//!
//! MiniJinja has no hook for it: nothing of ours runs where a list is written out or kept in a namespace, a comparison walks
//! through what is nested without charging for it, and dropping a list that is nested deep enough overflows the stack.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::message::template::names::KEYWORDS;
use crate::message::template::scan::{Found, TagPart, Token};

mod rules;

/// Filters that give a number or a text, or fail.
const SCALAR: [&str; 21] = [
    "abs",
    "ago",
    "bool",
    "capitalize",
    "count",
    "date",
    "decimal",
    "float",
    "format",
    "indent",
    "int",
    "join",
    "length",
    "lower",
    "money",
    "replace",
    "round",
    "string",
    "title",
    "trim",
    "upper",
];
/// Filters that build lists.
const BUILDERS: [&str; 7] = ["batch", "dictsort", "groupby", "items", "list", "slice", "zip"];
/// Names of the context that are numbers.
const NUMBERS: [&str; 2] = ["more", "suppressed"];
/// The largest number that something may be multiplied with that is perhaps a list.
const TIMES_MAX: u64 = 1000;
/// How often names are gone through: one that is built of another that is given below it is found in the second round.
const ROUNDS: usize = 4;

/// Everything that could grow without end.
pub(super) fn found(source: &str, parts: &[TagPart]) -> Vec<Found> {
    let built = built(parts);
    let mut found = Vec::new();
    for TagPart { tokens, .. } in parts {
        let look = Look { source, tokens, built: &built };
        look.joined(&mut found);
        look.sums(&mut found);
        look.literals(&mut found);
        look.attribute(&mut found);
    }
    found
}

/// The names that may stand for what the template has built: lists and mappings, and what is taken out of them or passed
/// on.
fn built(parts: &[TagPart]) -> BTreeSet<String> {
    let mut built = BTreeSet::new();
    for _ in 0..ROUNDS {
        let before = built.len();
        for TagPart { tokens, .. } in parts {
            built.extend(given(tokens, &built));
        }
        if built.len() == before {
            break;
        }
    }
    built
}

/// The names that a tag gives what was built.
fn given(tokens: &[(Token, Range<usize>)], built: &BTreeSet<String>) -> Vec<String> {
    let Some((Token::Name(tag), _)) = tokens.first() else { return Vec::new() };
    let rest = tokens.get(1..).unwrap_or_default();
    let names = |tokens: &[(Token, Range<usize>)]| -> Vec<String> {
        let names = tokens.iter().filter_map(|(token, _)| match token {
            Token::Name(name) if !KEYWORDS.contains(&name.as_str()) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    };
    let builds = |value: &[(Token, Range<usize>)]| Look { source: "", tokens: value, built }.builds();
    match tag.as_str() {
        "set" => match equals(rest) {
            Some(at) => {
                let (target, value) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
                let is_attribute = target.iter().any(|(token, _)| *token == Token::Sign('.'));
                match (is_attribute, builds(value)) {
                    (true, _) => names(target).into_iter().take(1).collect(),
                    (false, true) => names(target),
                    (false, false) => Vec::new(),
                }
            }
            None => Vec::new(),
        },
        "with" if builds(rest) => names(rest),
        "for" => {
            let at = rest.iter().position(|(token, _)| *token == Token::Name("in".into())).unwrap_or(rest.len());
            let value = rest.get(at..).unwrap_or_default();
            let is_recursive = value.iter().any(|(token, _)| *token == Token::Name("recursive".into()));
            // The names themselves, and not what `in` and the like are.
            if is_recursive || builds(value) { names(rest.get(..at).unwrap_or_default()) } else { Vec::new() }
        }
        "macro" | "call" | "from" | "import" => names(rest),
        _ => Vec::new(),
    }
}

/// Where the `=` of an assignment stands.
fn equals(tokens: &[(Token, Range<usize>)]) -> Option<usize> {
    tokens.iter().position(|(token, _)| *token == Token::Sign('='))
}

struct Look<'a> {
    source: &'a str,
    tokens: &'a [(Token, Range<usize>)],
    built: &'a BTreeSet<String>,
}

impl Look<'_> {
    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|(token, _)| token)
    }

    fn before(&self, at: usize) -> Option<&Token> {
        self.token(at.checked_sub(1)?)
    }

    fn is_sign(&self, at: usize, sign: char) -> bool {
        self.token(at) == Some(&Token::Sign(sign))
    }

    fn found(&self, at: usize, message: String, hint: &str) -> Found {
        let span = self.tokens.get(at).map_or(0..0, |(_, span)| span.clone());
        Found { code: "unbounded", message, hint: Some(hint.into()), span }
    }

    /// Whether what stands there ends a value, so that a sign behind it joins and a bracket behind it looks into it.
    fn ends_value(&self, at: usize) -> bool {
        match self.token(at) {
            Some(Token::Name(name)) => {
                !KEYWORDS.contains(&name.as_str()) || ["true", "false", "none"].contains(&name.as_str())
            }
            Some(Token::Text(_) | Token::Number) => true,
            Some(Token::Sign(sign)) => matches!(sign, ')' | ']' | '}'),
            None => false,
        }
    }

    /// The bracket that closes the one at `open`.
    fn close(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for (at, (token, _)) in self.tokens.iter().enumerate().skip(open) {
            match token {
                Token::Sign('(' | '[' | '{') => depth += 1,
                Token::Sign(')' | ']' | '}') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at;
                    }
                }
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// The bracket that opens the one at `close`.
    fn open(&self, close: usize) -> Option<usize> {
        (0..close)
            .rev()
            .find(|at| matches!(self.token(*at), Some(Token::Sign('(' | '[' | '{'))) && self.close(*at) == close)
    }

    /// A list, mapping or tuple that is written out, or made by a call: from its opening bracket to its closing one.
    fn built_here(&self) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        for at in 0..self.tokens.len() {
            let looks_into = at > 0 && self.ends_value(at - 1);
            let maker = match self.before(at) {
                Some(Token::Name(name)) => ["dict", "namespace"].contains(&name.as_str()),
                _ => false,
            };
            let is_container = match self.token(at) {
                Some(Token::Sign('[')) => !looks_into,
                Some(Token::Sign('{')) => true,
                Some(Token::Sign('(')) => maker || (!looks_into && self.has_comma(at)),
                _ => false,
            };
            if is_container {
                ranges.push(at..self.close(at));
            }
        }
        ranges
    }

    fn has_comma(&self, open: usize) -> bool {
        let close = self.close(open);
        let mut at = open + 1;
        while at < close {
            match self.token(at) {
                Some(Token::Sign(',')) => return true,
                Some(Token::Sign('(' | '[' | '{')) => at = self.close(at),
                _ => {}
            }
            at += 1;
        }
        false
    }

    /// Whether a name there stands for what was built.
    fn is_built(&self, at: usize) -> bool {
        let Some(Token::Name(name)) = self.token(at) else { return false };
        let is_key = self.is_sign(at + 1, '=') && !self.is_sign(at + 2, '=');
        let is_filter = self.before(at) == Some(&Token::Sign('|'));
        self.built.contains(name) && self.before(at) != Some(&Token::Sign('.')) && !is_filter && !is_key
    }

    /// Whether the value of this expression may be something that the template has built.
    fn builds(&self) -> bool {
        if self.ends_scalar() {
            return false;
        }
        let by_filter = |at: usize| match (self.before(at), self.token(at)) {
            (Some(Token::Sign('|')), Some(Token::Name(name))) => BUILDERS.contains(&name.as_str()),
            _ => false,
        };
        !self.built_here().is_empty() || (0..self.tokens.len()).any(|at| self.is_built(at) || by_filter(at))
    }

    /// Whether the whole expression ends with a filter that gives a number or a text.
    fn ends_scalar(&self) -> bool {
        let depends = |token: &Token| matches!(token, Token::Name(name) if name == "if" || name == "else");
        let last = self.tokens.len().checked_sub(1);
        !self.tokens.iter().any(|(token, _)| depends(token)) && last.is_some_and(|at| self.filtered(at))
    }

    /// Whether what ends here ends with a filter that gives a number or a text.
    fn filtered(&self, end: usize) -> bool {
        let name = if self.is_sign(end, ')') { self.open(end).and_then(|open| open.checked_sub(1)) } else { Some(end) };
        let Some(at) = name else { return false };
        match (self.before(at), self.token(at)) {
            (Some(Token::Sign('|')), Some(Token::Name(name))) => SCALAR.contains(&name.as_str()),
            _ => false,
        }
    }
}
