//! What is not taken: `~`, sums and products that could join lists, and what was built put into what is built.

use std::ops::Range;

use super::{Look, NUMBERS, SCALAR, TIMES_MAX, equals};
use crate::message::template::scan::{Found, Token};

impl Look<'_> {
    pub(super) fn joined(&self, found: &mut Vec<Found>) {
        for at in (0..self.tokens.len()).filter(|at| self.is_sign(*at, '~')) {
            found.push(self.found(
                at,
                "`~` is not supported: it could print a list of any size".into(),
                "write the values one after the other, `{{ a }}{{ b }}`; within an expression `[a, b]|join`",
            ));
        }
    }

    pub(super) fn sums(&self, found: &mut Vec<Found>) {
        for at in 1..self.tokens.len() {
            if !self.ends_value(at - 1) {
                continue;
            }
            if self.is_sign(at, '+') && !self.left_is_scalar(at) && !self.right_is_scalar(at + 1) {
                found.push(self.found(
                    at,
                    "`+` could join lists here, and again and again".into(),
                    "say what it adds: `a|float + b` for numbers, `a|string + b` for texts",
                ));
            }
            let is_times = self.is_sign(at, '*') && !self.is_sign(at + 1, '*') && !self.is_sign(at - 1, '*');
            if is_times && !self.times_is_bounded(at) {
                found.push(self.found(
                    at,
                    "`*` could repeat a list here, and again and again".into(),
                    "say what it multiplies: `a|float * b|float`",
                ));
            }
        }
    }

    /// A number that is written out and small, beside something that was not built here; or numbers on both sides.
    fn times_is_bounded(&self, at: usize) -> bool {
        let small = |at: usize| {
            let number = self.tokens.get(at).filter(|(token, _)| *token == Token::Number);
            let text = number.and_then(|(_, span)| self.source.get(span.clone()));
            text.is_some_and(|text| {
                text.split('.').next().and_then(|whole| whole.parse::<u64>().ok()).is_some_and(|n| n <= TIMES_MAX)
            })
        };
        let (left, right) = (self.left_is_scalar(at), self.right_is_scalar(at + 1));
        if left && right {
            return true;
        }
        let chained = |side: &mut dyn Iterator<Item = usize>| {
            side.take_while(|at| !matches!(self.token(*at), Some(Token::Sign(',' | '(' | ')' | '[' | ']'))))
                .any(|at| self.is_sign(at, '*'))
        };
        let plain = |from: usize| match self.token(from) {
            Some(Token::Name(_)) => !self.is_built(from),
            _ => false,
        };
        let alone = !chained(&mut (0..at).rev()) && !chained(&mut (at + 1..self.tokens.len()));
        // `data.score * 100`, `100 * data.score`
        alone && ((small(at + 1) && plain(self.root(at - 1))) || (small(at - 1) && plain(at + 1)))
    }

    /// Where a dotted name that ends here begins.
    fn root(&self, end: usize) -> usize {
        let mut at = end;
        while at >= 2 && self.before(at) == Some(&Token::Sign('.')) {
            at -= 2;
        }
        at
    }

    /// Whether what stands before a sign is plainly a number or a text.
    fn left_is_scalar(&self, sign: usize) -> bool {
        let Some(end) = sign.checked_sub(1) else { return false };
        if self.filtered(end) {
            return true;
        }
        let (start, is_scalar) = match self.token(end) {
            Some(Token::Number | Token::Text(_)) => (end, self.before(end) != Some(&Token::Sign('.'))),
            Some(Token::Name(name)) => {
                let root = self.root(end);
                (root, self.is_number(root, name))
            }
            Some(Token::Sign(')')) => match self.open(end) {
                Some(open) if open == 0 || !self.ends_value(open - 1) => (open, self.group_is_scalar(open, end)),
                Some(open) => (open, false),
                None => (end, false),
            },
            _ => (end, false),
        };
        // `a|float + b + c`: what a sum of numbers gives is a number.
        is_scalar
            || (start >= 2
                && matches!(self.before(start), Some(Token::Sign('+' | '-' | '/' | '%')))
                && (self.left_is_scalar(start - 1)))
    }

    fn group_is_scalar(&self, open: usize, close: usize) -> bool {
        let inner = self.tokens.get(open + 1..close).unwrap_or_default();
        Look { tokens: inner, ..*self }.ends_scalar()
    }

    /// `loop.index`, `case.count`, `more`.
    fn is_number(&self, root: usize, last: &str) -> bool {
        match self.token(root) {
            Some(Token::Name(name)) if name == "loop" || name == "case" => name != last,
            Some(Token::Name(name)) => NUMBERS.contains(&name.as_str()) && name == last,
            _ => false,
        }
    }

    /// Whether what stands behind a sign is plainly a number or a text.
    fn right_is_scalar(&self, start: usize) -> bool {
        let mut at = start;
        while self.is_sign(at, '-') || self.is_sign(at, '+') {
            at += 1;
        }
        let mut is_scalar = match self.token(at) {
            Some(Token::Number | Token::Text(_)) => true,
            Some(Token::Sign('(')) => {
                let close = self.close(at);
                let is_scalar = self.group_is_scalar(at, close);
                at = close;
                is_scalar
            }
            Some(Token::Name(name)) => self.is_number(at, name),
            _ => return false,
        };
        // Members, calls and filters behind it: the last filter decides.
        loop {
            match (self.token(at + 1), self.token(at + 2)) {
                (Some(Token::Sign('.')), Some(Token::Name(name))) => {
                    is_scalar = self.is_number(at, name);
                    at += 2;
                }
                (Some(Token::Sign('(' | '[')), _) => {
                    let is_call_of_filter = self.filtered(self.close(at + 1));
                    is_scalar = is_call_of_filter;
                    at = self.close(at + 1);
                }
                (Some(Token::Sign('|')), Some(Token::Name(name))) => {
                    is_scalar = SCALAR.contains(&name.as_str());
                    at += 2;
                }
                _ => return is_scalar,
            }
        }
    }

    pub(super) fn literals(&self, found: &mut Vec<Found>) {
        for range in self.built_here() {
            if self.is_used_up(&range) {
                continue;
            }
            for at in range.clone().filter(|at| self.is_built(*at)) {
                let Some(Token::Name(name)) = self.token(at) else { continue };
                found.push(self.found(
                    at,
                    format!("`{name}` may be a list that this template has built, and can't be put into another"),
                    "write the value itself; to join texts `[a, b]|join`",
                ));
            }
        }
        found.dedup();
    }

    /// Whether a list is only looked through where it stands: `x in [a, b]`, `[a, b]|join`.
    fn is_used_up(&self, range: &Range<usize>) -> bool {
        self.becomes_scalar(range.end) || self.before(range.start) == Some(&Token::Name("in".into()))
    }

    /// Whether a filter right behind what ends there makes a number or a text of it.
    fn becomes_scalar(&self, end: usize) -> bool {
        match (self.token(end + 1), self.token(end + 2)) {
            (Some(Token::Sign('|')), Some(Token::Name(name))) => SCALAR.contains(&name.as_str()),
            _ => false,
        }
    }

    /// `{% set ns.list = … %}`: what outlives a turn of a loop can't be what was built before.
    pub(super) fn attribute(&self, found: &mut Vec<Found>) {
        if self.token(0) != Some(&Token::Name("set".into())) {
            return;
        }
        let Some(equals) = equals(self.tokens) else { return };
        let has_dot = (1..equals).any(|at| self.is_sign(at, '.'));
        let value = Look { tokens: self.tokens.get(equals + 1..).unwrap_or_default(), ..*self };
        let target: Vec<&Token> = (1..equals).filter_map(|at| self.token(at)).collect();
        if !has_dot || value.ends_scalar() {
            return;
        }
        let used_up: Vec<Range<usize>> =
            value.built_here().into_iter().filter(|range| value.is_used_up(range)).collect();
        for at in 0..value.tokens.len() {
            let is_counted = used_up.iter().any(|range| range.contains(&at));
            // `ns.found = ns.found or …` keeps what was there.
            let stays = target.iter().enumerate().all(|(nth, token)| value.token(at + nth) == Some(token))
                && !value.is_sign(at + target.len(), '.');
            if value.is_built(at) && !is_counted && !stays && !value.is_reckoned(at) {
                let Some(Token::Name(name)) = value.token(at) else { continue };
                found.push(value.found(
                    at,
                    format!("`{name}` may be a list that this template has built, and can't be kept in an attribute"),
                    "keep numbers and texts there: `ns.sum + x|float`, `[ns.text, x]|join`",
                ));
            }
        }
    }

    /// Whether a name is only reckoned with or compared, which gives no list.
    fn is_reckoned(&self, at: usize) -> bool {
        let mut end = at;
        while self.is_sign(end + 1, '.') {
            end += 2;
        }
        let sign = |token: Option<&Token>| {
            matches!(token, Some(Token::Sign('+' | '-' | '/' | '%' | '<' | '>' | '=' | '!')))
                || matches!(token, Some(Token::Name(word)) if ["if", "is", "in", "not"].contains(&word.as_str()))
        };
        sign(self.token(end + 1)) || sign(self.before(at)) || self.becomes_scalar(end)
    }
}
