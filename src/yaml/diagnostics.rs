//! What people most often meant where YAML's syntax broke, said at the line where the mistake is.
//!
//! The parser stops where it can go on no longer, which may be lines below the cause: a quotation mark or a bracket
//! that was never closed, a blank that is missing behind a colon. The cause is reported; where the parser stopped is
//! the second place.

use std::ops::Range;
use std::sync::Arc;

use serde_yaml::granit_parser::ErrorKind;

use crate::problem::{File, Location, Problem};

mod brackets;
mod quotes;

/// What is known where the syntax broke.
pub(super) struct Broken<'a> {
    pub file: &'a Arc<File>,
    /// Where the parser stopped.
    pub at: usize,
    /// Where its last event ended.
    pub read_to: usize,
    /// The last event, if it was a plain scalar.
    pub plain: Option<Range<usize>>,
    /// Where the innermost `[` or `{` that is open stands.
    pub bracket: Option<usize>,
}

const QUOTE_ALL: &str = "quote it: put \"…\" around the whole text";
const SPACES: &str = "indent with spaces";

/// The problem where the syntax broke.
pub(super) fn syntax(broken: &Broken<'_>, kind: &ErrorKind) -> Problem {
    use ErrorKind as E;
    if let Some(odd) = broken.odd_blank() {
        return odd;
    }
    let problem = in_quotes(broken, kind).or_else(|| in_flow(broken, kind)).or_else(|| in_block(broken, kind));
    problem.unwrap_or_else(|| match kind {
        E::MissingTagUri
        | E::UnclosedVerbatimTag
        | E::InvalidTagTerminator
        | E::ExpectedTagBang
        | E::InvalidTagEscape
        | E::UndeclaredTagHandle
        | E::InvalidGlobalTagCharacter => broken.quote("`!` begins a tag in YAML"),
        E::RecursionLimitExceeded => Problem::error("too-deep", "nested too deep").at(&broken.place(broken.at)),
        E::DirectiveDisallowed => Problem::error("syntax", "a line that begins with `%` is a directive in YAML")
            .at(&broken.place(broken.at))
            .hint("remove it; files are read as YAML 1.2"),
        E::BomInsideDocument => Problem::error("syntax", "the file contains a byte order mark")
            .at(&broken.place(broken.at))
            .hint("only the beginning of a file may have one; delete it"),
        other => Problem::error("syntax", format!("this is not YAML: {}", said(other))).at(&broken.place(broken.at)),
    })
}

/// What is wrong with a quoted text, or with a sign that needs quotes.
fn in_quotes(broken: &Broken<'_>, kind: &ErrorKind) -> Option<Problem> {
    use ErrorKind as E;
    Some(match kind {
        E::InvalidTrailingDoubleQuotedScalar | E::InvalidTrailingSingleQuotedScalar => broken.goes_on_after_quote(),
        E::UnclosedQuotedScalar | E::InvalidQuotedScalarIndent | E::DocumentIndicatorInQuotedScalar => {
            broken.unclosed_quote()
        }
        E::UnknownQuotedScalarEscape
        | E::InvalidQuotedScalarHexEscape
        | E::InvalidLowSurrogateHexEscape
        | E::InvalidLowSurrogate
        | E::MissingLowSurrogate
        | E::UnpairedLowSurrogate
        | E::InvalidUnicodeEscape => broken.escape(),
        E::MissingAnchorOrAliasName => broken.quote(&format!(
            "`{}` begins {} in YAML",
            broken.sign_before(),
            if broken.sign_before() == '*' { "an alias" } else { "an anchor" }
        )),
        E::UnexpectedCharacter { character } => broken.character(*character),
        _ => return None,
    })
}

/// What is wrong with brackets or braces.
fn in_flow(broken: &Broken<'_>, kind: &ErrorKind) -> Option<Problem> {
    use ErrorKind as E;
    Some(match kind {
        E::UnclosedFlowCollection { open } => {
            Problem::error("syntax", format!("the `{open}` is never closed")).at(&broken.place(broken.at))
        }
        E::MismatchedFlowCollectionEnd { open, close } => {
            broken.bracketed(Problem::error("syntax", format!("`{close}` is where the `{open}` should be closed")))
        }
        E::MisplacedFlowCollectionEnd => {
            Problem::error("syntax", format!("`{}` closes nothing that is open", broken.sign()))
                .at(&broken.place(broken.at))
                .hint("take it out, or quote the text that it belongs to")
        }
        E::ExpectedFlowMappingSeparator
        | E::ExpectedFlowSequenceSeparator
        | E::InvalidColonPlacement
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping
        | E::BlockEntryInFlowCollection
        | E::InvalidFlowScalarIndent
        | E::FlowMappingValueAdjacentCollection
            if broken.bracket().is_some() =>
        {
            broken.in_brackets()
        }
        _ => return None,
    })
}

/// What is wrong with keys, entries, indentation or a block of text.
fn in_block(broken: &Broken<'_>, kind: &ErrorKind) -> Option<Problem> {
    use ErrorKind as E;
    Some(match kind {
        E::MappingValueNotAllowed | E::InvalidColonPlacement => broken.second_colon(),
        E::SimpleKeyExpected | E::InvalidSimpleKey => broken.no_key(),
        E::ExpectedBlockMappingKey | E::ExpectedBlockSequenceEntry | E::InvalidIndentation => broken.misplaced(),
        E::BlockSequenceEntryNotAllowed => Problem::error("syntax", "a list can't begin on the line of its key")
            .at(&broken.place(broken.at))
            .hint("put each `- ` on a line of its own, or quote the text: \"- …\""),
        E::CommentInterceptedScalar => broken.comment(),
        E::TabInBlockIndentation
        | E::TabNotAllowed
        | E::TabInIndentation
        | E::TabAtBlockScalarStart
        | E::TabInPlainScalar
        | E::InvalidBlockEntryWhitespace
        | E::InvalidMappingValueWhitespace => broken.tab(),
        E::InvalidBlockScalarHeader | E::ZeroBlockScalarIndent if broken.compared().is_some() => {
            let number = broken.compared().unwrap_or_default();
            broken
                .quote("`>` begins a block of text in YAML")
                .hint(format!("for more than that write `{{gt: {number}}}`, for at least that `{{gte: {number}}}`"))
        }
        E::InvalidBlockScalarHeader | E::ZeroBlockScalarIndent => {
            broken.quote(&format!("`{}` begins a block of text in YAML", broken.block_sign()))
        }
        _ => return None,
    })
}

/// The parser's own words, less the context that the place gives.
fn said(kind: &ErrorKind) -> String {
    let said = kind.to_string();
    match said.rsplit_once(", ") {
        Some((context, rest)) if context.starts_with("while ") => rest.to_owned(),
        _ => said,
    }
}

/// A text for a hint: its beginning, if it is long.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl Broken<'_> {
    fn text(&self) -> &str {
        &self.file.text
    }

    /// The one character at `at`; nothing at the end of a line.
    fn place(&self, at: usize) -> Location {
        let at = self.text().floor_char_boundary(at.min(self.text().len()));
        let next = self.rest(at).chars().next().filter(|c| !matches!(c, '\n' | '\r'));
        Location::new(self.file, at..at + next.map_or(0, char::len_utf8))
    }

    fn rest(&self, at: usize) -> &str {
        self.text().get(at..).unwrap_or_default()
    }

    fn sign(&self) -> char {
        self.rest(self.at).chars().next().unwrap_or(' ')
    }

    /// The sign that the parser was behind when it stopped, at the start of a name.
    fn sign_before(&self) -> char {
        let before = self.text().get(..self.at).unwrap_or_default();
        match self.sign() {
            sign @ ('*' | '&') => sign,
            _ => before.chars().next_back().filter(|c| matches!(c, '*' | '&')).unwrap_or('*'),
        }
    }

    /// `>` or `|`, which the parser has passed when it finds that no block begins.
    fn block_sign(&self) -> char {
        match self.sign() {
            sign @ ('>' | '|') => sign,
            _ => self.line_to(self.at).chars().rev().find(|c| matches!(c, '>' | '|')).unwrap_or('>'),
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text().get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1)
    }

    /// The line that `at` is in, up to there.
    fn line_to(&self, at: usize) -> &str {
        self.text().get(self.line_start(at)..at).unwrap_or_default()
    }

    /// The line that `at` is in.
    fn line(&self, at: usize) -> &str {
        self.rest(self.line_start(at)).lines().next().unwrap_or_default()
    }

    /// Where the first value of the line begins, behind its `- ` and `key: `.
    fn value(&self, at: usize) -> Range<usize> {
        let (start, line) = (self.line_start(at), self.line(at));
        let mut value = line.trim_start();
        loop {
            let next = value.strip_prefix("- ").map(str::trim_start).or_else(|| after_key(value));
            match next {
                Some(next) => value = next,
                None => break,
            }
        }
        let begin = start + line.len() - value.len();
        begin..begin + value.trim_end().len()
    }

    /// The value that the mistake is in needs quotes.
    fn quote(&self, message: &str) -> Problem {
        let value = match self.bracket {
            Some(open) => self.value_within(open),
            None => self.value(self.at),
        };
        let text = self.text().get(value.clone()).unwrap_or_default();
        let problem = Problem::error("quote-it", message);
        if !value.contains(&self.at) || text.contains(['"', '\\', '#']) {
            return problem.at(&self.place(self.at)).hint(QUOTE_ALL);
        }
        let place = if self.bracket.is_some() { Location::new(self.file, value) } else { self.place(self.at) };
        problem.at(&place).hint(format!("quote it: \"{}\"", shortened(text)))
    }

    /// A `:` where none can be: `a: b: c`, a key below a value, or a colon further up that no blank follows.
    fn second_colon(&self) -> Problem {
        let plain = self.plain.clone().filter(|plain| plain.end <= self.at).unwrap_or(self.at..self.at);
        let text = self.text().get(plain.clone()).unwrap_or_default();
        if let Some(last_line) = text.rfind('\n') {
            return self.below_plain(&plain, plain.start + last_line + 1);
        }
        Problem::error("quote-it", "a second `:` on one line")
            .at(&self.place(self.at))
            .hint("a text with `: ` in it must be quoted: \"…\"")
    }

    /// A `:` behind a plain text of several lines, of which the last begins at `last_line`: what was meant as a key is
    /// read as the end of that text.
    fn below_plain(&self, plain: &Range<usize>, last_line: usize) -> Problem {
        let first_line = self.rest(plain.start).lines().next().unwrap_or_default().trim_end();
        if let Some((key, value)) = first_line.split_once(':') {
            return Problem::error("syntax", "a space is missing behind the `:`")
                .at(&self.place(plain.start + key.len()))
                .hint(format!("write `{}: {}`", shortened(key), shortened(value)));
        }
        if self.line_to(plain.start).trim_matches([' ', '-']).is_empty() {
            return self.no_key_at(plain.start);
        }
        let key = last_line + indent(self.rest(last_line));
        Problem::error("syntax", "a key is below a value, as if it belonged to it")
            .at(&Location::new(self.file, key..self.at + 1))
            .also(&Location::new(self.file, plain.start..plain.start + first_line.len()), "the value")
            .hint("is it indented too far?")
    }

    /// A line that is neither key nor value.
    fn no_key(&self) -> Problem {
        self.no_key_at(self.line_start(self.at) + indent(self.line(self.at)))
    }

    /// The same, whose text begins at `start`.
    fn no_key_at(&self, start: usize) -> Problem {
        let text = self.rest(start).lines().next().unwrap_or_default().trim_end();
        let problem = Problem::error("syntax", "this line has no key: a `:` and a space are missing")
            .at(&Location::new(self.file, start..start + text.len()));
        match text.split_once(':') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() && !value.starts_with(' ') => {
                problem.hint(format!("write `{}: {}`", shortened(key), shortened(value)))
            }
            _ => problem.hint("if it belongs to the text above, indent it further"),
        }
    }

    /// A line whose indentation fits nothing, or something behind a value.
    fn misplaced(&self) -> Problem {
        if !self.line_to(self.at).trim_matches([' ', '-']).is_empty() {
            return self.quote("the value has ended before this");
        }
        let (start, line) = (self.line_start(self.at), self.line(self.at));
        let blanks = |indent: usize| match indent {
            0 => "not at all".to_owned(),
            1 => "by 1 space".to_owned(),
            blanks => format!("by {blanks} spaces"),
        };
        let place = Location::new(self.file, start + indent(line)..start + line.trim_end().len());
        let problem = Problem::error(
            "syntax",
            format!("this line is indented {}, which fits nothing above", blanks(indent(line))),
        )
        .at(&place);
        let before = self.text().get(..start).unwrap_or_default().trim_end();
        if before.is_empty() {
            return problem;
        }
        let (above, line) = (self.line_start(before.len()), self.line(before.len()));
        // Keys of one mapping line up, so that the `- ` before the first one counts.
        let key = line.len() - line.trim_start_matches([' ', '-']).len();
        let label = match line.trim_start().starts_with('#') {
            true => "and this one is a comment".to_owned(),
            false => format!("and this one {}", blanks(key)),
        };
        problem.also(&Location::new(self.file, above + key..above + line.trim_end().len()), label)
    }

    /// A text that would go on below a comment.
    fn comment(&self) -> Problem {
        let problem = Problem::error("quote-it", "` #` begins a comment here, and ends the text")
            .at(&self.place(self.at))
            .hint("if it belongs to the text, quote it: \"…\"");
        let next = self.rest(self.at).find('\n').map(|at| self.at + at + 1);
        match next {
            Some(next) => {
                let line = self.rest(next).lines().next().unwrap_or_default();
                let below = Location::new(self.file, next + indent(line)..next + line.trim_end().len());
                problem.also(&below, "so it can't continue here")
            }
            None => problem,
        }
    }

    /// The number that a `>` on this line was to be compared with.
    fn compared(&self) -> Option<&str> {
        let line = self.rest(self.line_start(self.at)).lines().next()?;
        let number = line.split_once(": >")?.1.trim_start_matches('=').trim();
        super::is_json_number(number).then_some(number)
    }

    /// A blank that is none for YAML, in the indentation of what was read so far: as text processors and web pages put
    /// there, and nobody sees it.
    fn odd_blank(&self) -> Option<Problem> {
        let text = &self.file.text;
        let end = text[self.at..].find('\n').map_or(text.len(), |at| self.at + at);
        let mut start = 0;
        for line in text[..end].split_inclusive('\n') {
            let indent = line.len() - line.trim_start().len();
            let odd = line[..indent].char_indices().find(|(_, c)| !c.is_ascii());
            if let Some((at, odd)) = odd {
                let at = start + at;
                return Some(
                    Problem::error(
                        "syntax",
                        format!("a space that is not a space (U+{:04X}) is in the indentation", odd as u32),
                    )
                    .at(&Location::new(self.file, at..at + odd.len_utf8()))
                    .hint(SPACES),
                );
            }
            start += line.len();
        }
        None
    }

    /// A tab where only spaces can stand.
    fn tab(&self) -> Problem {
        let from = self.line_start(self.at);
        let tab = self.rest(from).find('\t').map_or(self.at, |at| from + at);
        Problem::error("syntax", "YAML needs spaces here, not a tab")
            .at(&Location::new(self.file, tab..tab + 1))
            .hint(SPACES)
    }
}

/// The bytes of white space that a line begins with.
fn indent(line: &str) -> usize {
    let line = line.lines().next().unwrap_or_default();
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// What stands behind `key: `, where a line begins so.
fn after_key(line: &str) -> Option<&str> {
    let (key, value) = line.split_once(": ")?;
    let plain = !key.is_empty() && !key.contains(['"', '\'', '{', '[', ',', '#']);
    let value = value.trim_start();
    (plain && !value.is_empty()).then_some(value)
}
