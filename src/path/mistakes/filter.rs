//! Mistakes within filters: words, calls and comparisons.

use super::super::PathError;
use super::super::lex::TokenKind;
use super::{Check, FUNCTIONS, as_filter};
use crate::problem::nearest;

impl Check<'_> {
    /// In a filter: operands, operators and calls.
    pub(super) fn in_filter(&self, at: usize, kind: TokenKind) -> Result<(), PathError> {
        match kind {
            TokenKind::Name => self.word_in_filter(at),
            TokenKind::Comparison => self.comparison(at),
            TokenKind::Close if self.before(at) == Some(TokenKind::Question) => {
                Err(self.error(at, "the filter is empty").hint("write `[?@.name == 'x']`"))
            }
            TokenKind::Question => Err(self.error(at, "`?` stands where a filter has begun already")),
            _ => Ok(()),
        }
    }

    /// A word that is no member's name: a function, a literal, or a text without its quotes.
    fn word_in_filter(&self, at: usize) -> Result<(), PathError> {
        let word = self.word(at);
        if let Some(next) = self.tokens.get(at + 1).filter(|token| token.kind == TokenKind::ParenOpen) {
            return self.called(at, word, next.blank_before);
        }
        if matches!(word, "true" | "false" | "null") {
            return Ok(());
        }
        if let Some(error) = self.word_operator(at) {
            return Err(error);
        }
        let literal = match word.to_ascii_lowercase().as_str() {
            "true" => Some("true"),
            "false" => Some("false"),
            "null" | "none" | "nil" | "undefined" => Some("null"),
            _ => None,
        };
        let error = self.error(at, format!("`{word}` needs quotes"));
        Err(match literal {
            Some(literal) => error.hint(format!("write `'{word}'` for the text, `{literal}` for the value")),
            None => error.hint(format!("write `'{word}'` for the text, `@.{word}` for the member")),
        })
    }

    fn called(&self, at: usize, name: &str, blank: bool) -> Result<(), PathError> {
        if !FUNCTIONS.contains(&name) {
            let error = self.error(at, format!("there is no function `{name}`"));
            return Err(match nearest(name, FUNCTIONS) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("known: {}", FUNCTIONS.map(|name| format!("`{name}`")).join(", "))),
            });
        }
        if blank {
            return Err(self.error(at, format!("a blank stands between `{name}` and its `(`")));
        }
        self.arguments(at, name)
    }

    /// How many arguments a call has, and whether those that must be paths are.
    fn arguments(&self, at: usize, name: &str) -> Result<(), PathError> {
        let (takes, example) = match name {
            "match" | "search" => (2, "a text and a pattern, `@.name, 'pattern'`"),
            "count" | "value" => (1, "a path, `@.name`"),
            _ => (1, "one value, `@.name`"),
        };
        let first = at + 2;
        let found = match self.kind(first) {
            Some(TokenKind::ParenClose) => 0,
            _ => 1 + self.commas(first),
        };
        let wants_path = matches!(name, "count" | "value");
        if found != takes || (wants_path && !matches!(self.kind(first), Some(TokenKind::Root | TokenKind::Current))) {
            return Err(self.error(at, format!("`{name}(…)` takes {example}")));
        }
        Ok(())
    }

    /// The commas of the level that the token at `from` lies in, from there on.
    fn commas(&self, from: usize) -> usize {
        let mut commas = 0;
        let mut depth = 0usize;
        for at in from..self.tokens.len() {
            match self.kind(at) {
                Some(TokenKind::Open | TokenKind::ParenOpen) => depth += 1,
                Some(TokenKind::Close | TokenKind::ParenClose) if depth == 0 => break,
                Some(TokenKind::Close | TokenKind::ParenClose) => depth -= 1,
                Some(TokenKind::Comma) if depth == 0 => commas += 1,
                _ => {}
            }
        }
        commas
    }

    /// `and`, `or`, `not` and other words that are operators elsewhere.
    pub(super) fn word_operator(&self, at: usize) -> Option<PathError> {
        let word = self.word(at);
        let hint = match word.to_ascii_lowercase().as_str() {
            "and" => "write `&&`",
            "or" => "write `||`",
            "not" => "write `!`",
            "is" | "eq" => "write `==`",
            "in" => "write `@ == 'a' || @ == 'b'`",
            "contains" | "matches" | "like" => "write `search(@.name, 'pattern')`",
            _ => return None,
        };
        Some(self.error(at, format!("`{word}` is no operator in a path")).hint(hint))
    }

    /// A comparison's operands are literals, singular queries and functions that give a value.
    fn comparison(&self, at: usize) -> Result<(), PathError> {
        let (from, to) = (self.operand_start(at), self.operand_end(at));
        if self.before(from) == Some(TokenKind::Not) && self.kind(from) != Some(TokenKind::ParenOpen) {
            return Err(self
                .error(from - 1, "`!` can't stand before a comparison")
                .hint(format!("write `!({})`", self.words(from, to))));
        }
        for (operand, until) in [(from, at), (at + 1, to)] {
            if self.selects_several(operand, until) {
                let several = self.words(operand, until);
                let error =
                    self.error(operand, format!("`{several}` can select several values, and a comparison takes one"));
                let fixed =
                    (operand == from).then(|| as_filter(several, self.word(at), self.words(at + 1, to))).flatten();
                return Err(match fixed {
                    Some(fixed) => error.hint(format!("did you mean `{fixed}`?")),
                    None => error,
                });
            }
            let name = self.word(operand);
            if self.kind(operand + 1) == Some(TokenKind::ParenOpen) && matches!(name, "match" | "search") {
                return Err(self
                    .error(operand, format!("`{name}(…)` is true or false by itself, and can't be compared"))
                    .hint(format!("leave the comparison out; `!{name}(…)` for the opposite")));
            }
        }
        Ok(())
    }

    fn operand_start(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for before in (0..at).rev() {
            match self.kind(before) {
                Some(TokenKind::Close | TokenKind::ParenClose) => depth += 1,
                Some(TokenKind::Open | TokenKind::ParenOpen) if depth > 0 => depth -= 1,
                Some(TokenKind::Open | TokenKind::ParenOpen) => return before + 1,
                Some(
                    TokenKind::Question
                    | TokenKind::Junction
                    | TokenKind::Comma
                    | TokenKind::Comparison
                    | TokenKind::Not,
                ) if depth == 0 => {
                    return before + 1;
                }
                _ => {}
            }
        }
        0
    }

    fn operand_end(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for after in at + 1..self.tokens.len() {
            match self.kind(after) {
                Some(TokenKind::Open | TokenKind::ParenOpen) => depth += 1,
                Some(TokenKind::Close | TokenKind::ParenClose) if depth > 0 => depth -= 1,
                Some(TokenKind::Close | TokenKind::ParenClose) => return after,
                Some(TokenKind::Junction | TokenKind::Comma | TokenKind::Comparison) if depth == 0 => return after,
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// Whether the tokens are a query that is not singular.
    fn selects_several(&self, from: usize, to: usize) -> bool {
        if !matches!(self.kind(from), Some(TokenKind::Root | TokenKind::Current)) {
            return false;
        }
        let mut depth = 0usize;
        for at in from..to {
            match self.kind(at) {
                Some(TokenKind::Open | TokenKind::ParenOpen) => depth += 1,
                Some(TokenKind::Close | TokenKind::ParenClose) => depth = depth.saturating_sub(1),
                Some(TokenKind::DotDot | TokenKind::Star) if depth == 0 => return true,
                Some(TokenKind::Star | TokenKind::Colon | TokenKind::Comma | TokenKind::Question) if depth == 1 => {
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}
