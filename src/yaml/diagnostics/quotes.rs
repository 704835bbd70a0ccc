//! Mistakes in quoted texts, and signs that need quotes.

use super::{Broken, QUOTE_ALL, shortened};
use crate::problem::{Location, Problem};

impl Broken<'_> {
    /// Where the quoted text that was being read begins: behind the last event, blanks, comments and signs.
    fn quote_start(&self) -> Option<usize> {
        let end = self.text().len().min(self.at.saturating_add(1));
        let mut at = self.read_to;
        while at < end {
            let rest = self.rest(at);
            let first = rest.chars().next()?;
            match first {
                '"' | '\'' => return Some(at),
                '#' => at += rest.find('\n').unwrap_or(rest.len()),
                '&' | '!' => at += rest.find(char::is_whitespace).unwrap_or(rest.len()),
                first => at += first.len_utf8(),
            }
        }
        None
    }

    /// `'it's'`, `"{{ title }}" is out`, or a quotation mark that an earlier line left open.
    pub(super) fn goes_on_after_quote(&self) -> Problem {
        let Some(start) = self.quote_start() else { return self.quote("text follows a quoted text") };
        if self.line_start(start) != self.line_start(self.at) {
            return self.unclosed_quote().also(&self.place(self.at), "it ends here, and this can't follow");
        }
        let problem = Problem::error("syntax", "text follows the closing quotation mark").at(&self.place(self.at));
        match self.requoted(start) {
            Some(text) => problem.hint(format!("quote all of it: \"{}\"", shortened(&text))),
            None => problem.hint("quote all of it, and double the quotation marks within '…'"),
        }
    }

    /// The value that begins with the quotation mark at `start`, without its quotation marks; `None` if it could not be
    /// put in double ones as it is, or isn't all that stands on the rest of its line.
    fn requoted(&self, start: usize) -> Option<String> {
        if self.bracket.is_some() {
            return None;
        }
        let line = self.rest(start).lines().next()?.trim_end();
        let quote = line.chars().next()?;
        let text = line.get(1..)?;
        let text = match quote {
            '\'' => text.strip_suffix('\'').unwrap_or(text).to_owned(),
            _ => text.replacen('"', "", 1),
        };
        (!text.contains(['"', '\\', '#'])).then_some(text)
    }

    pub(super) fn unclosed_quote(&self) -> Problem {
        let start = self.quote_start().unwrap_or(self.at);
        let sign = self.rest(start).chars().next().unwrap_or('"');
        let problem =
            Problem::error("syntax", format!("the quotation mark `{sign}` is not closed")).at(&self.place(start));
        match sign {
            '\'' => problem.hint("within '…' an apostrophe is written twice: ''"),
            _ => problem,
        }
    }

    /// A `\` that means nothing within double quotes.
    pub(super) fn escape(&self) -> Problem {
        let start = self.quote_start().unwrap_or(self.at);
        let mut rest = self.rest(start).char_indices();
        while let Some((offset, c)) = rest.next() {
            if c != '\\' {
                continue;
            }
            let Some((_, escaped)) = rest.next() else { break };
            let needed = match escaped {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                c if "0abtnvfre \"/\\N_LP\t\n\r".contains(c) => continue,
                _ => 0,
            };
            let at = start + offset;
            let digits: String = self.rest(at + 2).chars().take_while(char::is_ascii_hexdigit).take(needed).collect();
            let character = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
            if needed > 0 && digits.len() == needed && character.is_some() {
                continue;
            }
            let end = at + 1 + escaped.len_utf8() + digits.len();
            let sign = self.text().get(at..end).unwrap_or_default();
            return Problem::error("syntax", format!("`{sign}` is not an escape within \"…\""))
                .at(&Location::new(self.file, at..end))
                .hint("for a backslash write two, or put '…' around the text");
        }
        Problem::error("syntax", "an escape within \"…\" is broken").at(&self.place(start))
    }

    /// `@name`, `` `name` ``, `%name`, or a control character.
    pub(super) fn character(&self, character: char) -> Problem {
        if character.is_control() {
            return Problem::error(
                "syntax",
                format!("the control character U+{:04X} can't appear here", character as u32),
            )
            .at(&self.place(self.at));
        }
        if self.bracket().is_some_and(|open| !self.is_continued(open)) {
            return self.in_brackets();
        }
        if character == '@' {
            return self.at_sign();
        }
        match character {
            // Between backticks it could not be read.
            '`' => self.quote("a backtick can't begin an unquoted text"),
            _ => self.quote(&format!("`{character}` can't begin an unquoted text")),
        }
    }

    /// `@name`, as people are called in chats.
    fn at_sign(&self) -> Problem {
        let is_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == '.';
        let rest = self.rest(self.at);
        let len = rest.find(|c| c != '@' && !is_name(c)).unwrap_or(rest.len());
        let name = rest.get(..len).unwrap_or_default();
        let problem = Problem::error("quote-it", "`@` can't begin an unquoted text")
            .at(&Location::new(self.file, self.at..self.at + len));
        match shortened(name.trim_start_matches('@')).as_str() {
            "" => problem.hint(QUOTE_ALL),
            bare => problem.hint(format!("to name somebody, remove it: `{bare}`; in a text, quote it: \"@{bare}\"")),
        }
    }
}
