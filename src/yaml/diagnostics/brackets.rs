//! Mistakes within brackets and braces.

use std::ops::Range;

use super::{Broken, indent};
use crate::problem::Problem;

impl Broken<'_> {
    /// Where the value that the mistake is in begins and ends, within the bracket at `open`: up to the comma or the
    /// closing bracket that is not its own, and no further than its line.
    pub(super) fn value_within(&self, open: usize) -> Range<usize> {
        let before = self.text().get(open..self.at).unwrap_or_default();
        let start = [", ", ": ", "\n"].iter().filter_map(|sign| before.rfind(sign).map(|at| at + sign.len())).max();
        let start = open + start.unwrap_or(1).min(before.len());
        let start = start + self.rest(start).len() - self.rest(start).trim_start_matches(' ').len();
        let mut depth = 0usize;
        let ends = |c: char| {
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' if depth > 0 => depth -= 1,
                ']' | '}' | '\n' => return true,
                ',' => return depth == 0,
                _ => {}
            }
            false
        };
        let len = self.rest(start).find(ends).unwrap_or(self.rest(start).len());
        start..start + self.rest(start).get(..len).unwrap_or_default().trim_end().len()
    }

    /// Where the innermost bracket that is open stands: the reader knows it, or the parser was not yet sure of it, since
    /// it could have begun a key.
    pub(super) fn bracket(&self) -> Option<usize> {
        let unread = self.text().get(self.read_to..self.at)?;
        let mut open = Vec::new();
        let mut before = ' ';
        for (at, c) in unread.char_indices() {
            match c {
                '[' | '{' => {
                    // Elsewhere it is part of a text, and so is the one that closes it.
                    let begins = matches!(before, ' ' | '\n' | '\t' | ',' | '[' | '{');
                    open.push(begins.then_some(self.read_to + at));
                }
                ']' | '}' => drop(open.pop()),
                _ => {}
            }
            before = c;
        }
        open.into_iter().rev().find_map(|open| open).or(self.bracket)
    }

    /// With the bracket that is open, where that stands on another line.
    pub(super) fn bracketed(&self, problem: Problem) -> Problem {
        let problem = problem.at(&self.place(self.at));
        match self.bracket() {
            Some(open) if self.line_start(open) != self.line_start(self.at) => {
                problem.also(&self.place(open), "opened here")
            }
            _ => problem,
        }
    }

    /// Something that can't stand between brackets, or a bracket that was not closed on its line.
    pub(super) fn in_brackets(&self) -> Problem {
        let open = self.bracket().unwrap_or(self.at);
        let sign = self.rest(open).chars().next().unwrap_or('[');
        if !self.is_continued(open) {
            return Problem::error("syntax", format!("the `{sign}` is never closed"))
                .at(&self.place(open))
                .also(&self.place(self.at), "this can't appear within it");
        }
        match self.sign() {
            '{' | '[' | '"' | '\'' | '*' | '?' => {
                self.quote(&format!("`{}` can't appear in an unquoted text within brackets", self.sign()))
            }
            ':' => self
                .bracketed(Problem::error("quote-it", "a second `:` within brackets"))
                .hint("a text with `: ` in it must be quoted: \"…\""),
            '-' => self
                .bracketed(Problem::error("syntax", "`- ` can't appear within brackets"))
                .hint("remove the `- `, or the brackets"),
            _ => self.bracketed(Problem::error("syntax", "a comma or a closing bracket is missing before this")),
        }
    }

    /// Whether the mistake is on the bracket's line, or what the bracket holds goes on below it: the line ends with the bracket or a comma, and the line
    /// of the mistake is indented further.
    pub(super) fn is_continued(&self, open: usize) -> bool {
        let line = self.rest(open).lines().next().unwrap_or_default();
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        self.line_start(open) == self.line_start(self.at)
            || (line.ends_with(['[', '{', ',']) && indent(self.line(self.at)) > indent(self.line(open)))
    }
}
