//! A look at a template's expressions without running them: the filters, tests, functions and partials they name.
//!
//! MiniJinja finds an unknown filter only where it runs into it. This finds all of them at once, also in a branch that
//! no sample takes. It knows the words of the language, not its grammar: what is no template is MiniJinja's to report.

use std::ops::Range;

use minijinja::Environment;
use minijinja::value::{Rest, Value};

use crate::locale::STYLES;
use crate::message::template::engine::REMOVED_FILTERS;
use crate::message::template::filters::FILTERS;
use crate::message::template::growth;
use crate::message::template::names::{BUILTIN_FILTERS, FUNCTIONS, KEYWORDS, OTHERS_FILTERS, TESTS};
use crate::message::text;
use crate::problem::{Problem, nearest};

/// The most mistakes of one kind that are reported per template.
const TOLD_MAX: usize = 100;

/// A word at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// The word; of a string, what it holds.
    pub text: String,
    /// Where it stands in the template, in bytes.
    pub span: Range<usize>,
}

/// What stands in a template's expressions and tags.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    filters: Vec<Word>,
    tests: Vec<Word>,
    calls: Vec<Word>,
    /// Partials named by a string; whether each may be missing.
    pub includes: Vec<(Word, bool)>,
    /// Names that are read.
    pub names: Vec<Word>,
    /// Names that the template gives a value itself.
    given: Vec<String>,
    /// Every tag and expression.
    pub(super) parts: Vec<TagPart>,
    /// The tags, comments and expressions that are still open, outermost first: what they begin with, and where.
    open: Vec<Word>,
    /// Characters that rendering takes for itself.
    reserved: Vec<Range<usize>>,
}

/// Which partials there are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Partials<'a> {
    /// None can be included here.
    None,
    /// These.
    Named(&'a [String]),
}

/// Something wrong, at its place in the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// For programs.
    pub code: &'static str,
    /// What.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
    /// Where, in bytes.
    pub span: Range<usize>,
}

/// A token of a tag or expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Number,
    Sign(char),
}

/// Tokens with where each stands.
pub(super) type Tokens = Vec<(Token, Range<usize>)>;

/// A tag, its word first, or an expression.
#[derive(Debug)]
pub(super) struct TagPart {
    pub is_tag: bool,
    pub tokens: Tokens,
    /// Where the text goes on behind it.
    pub end: usize,
}

/// Reads a template.
pub(crate) fn scan(source: &str) -> Scan {
    let mut scan = Scan::default();
    for (at, c) in source.char_indices().filter(|(_, c)| text::is_reserved(*c)) {
        scan.reserved.push(at..at + c.len_utf8());
    }
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find('{')).map(|found| found + at) {
        let inner = open + 2;
        at = match source.get(open..inner) {
            Some("{#") => match source.get(inner..).and_then(|rest| rest.find("#}")) {
                Some(end) => inner + end + 2,
                None => scan.never_closed("{#", open, source.len()),
            },
            Some("{{") => {
                let (tokens, end) = tokens(source, inner, "}}");
                scan.expression(&tokens);
                scan.parts.push(TagPart { is_tag: false, tokens, end });
                if source.get(..end).is_some_and(|read| read.ends_with("}}")) {
                    end
                } else {
                    scan.never_closed("{{", open, end)
                }
            }
            Some("{%") => {
                let (tokens, end) = tokens(source, inner, "%}");
                scan.tag(&tokens);
                scan.nests(&tokens, open..end);
                let is_raw = matches!(tokens.first(), Some((Token::Name(name), _)) if name == "raw");
                scan.parts.push(TagPart { is_tag: true, tokens, end });
                if is_raw { end_of_raw(source, end) } else { end }
            }
            _ => open + 1,
        };
    }
    scan
}

/// Where the text goes on behind what must not be read.
fn end_of_raw(source: &str, from: usize) -> usize {
    let rest = source.get(from..).unwrap_or_default();
    let end = rest.match_indices("endraw").find(|(at, _)| {
        let before = rest.get(..*at).unwrap_or_default().trim_end().trim_end_matches(['-', '+']);
        before.ends_with("{%")
    });
    end.map_or(source.len(), |(at, word)| from + at + word.len())
}

/// The tokens up to `close`, and where the text goes on behind it. A `-` or `+` at either end only says what becomes of
/// the white space there.
fn tokens(source: &str, from: usize, close: &str) -> (Tokens, usize) {
    let mut tokens = Tokens::new();
    let is_sign = source.get(from..).is_some_and(|rest| rest.starts_with(['-', '+']));
    let mut at = from + usize::from(is_sign);
    let mut braces = 0usize;
    while let Some(rest) = source.get(at..) {
        let Some(c) = rest.chars().next() else { break };
        if rest.starts_with(close) && (braces == 0 || close != "}}") {
            tokens.pop_if(|(token, span)| matches!(token, Token::Sign('-' | '+')) && span.end == at);
            return (tokens, at + close.len());
        }
        let len = match c {
            '"' | '\'' => {
                let len = string_len(rest, c);
                let inner = rest.get(1..len.saturating_sub(1).max(1)).unwrap_or_default();
                tokens.push((Token::Text(inner.to_owned()), at..at + len));
                len
            }
            c if c.is_alphabetic() || c == '_' => {
                let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push((Token::Name(rest.get(..len).unwrap_or_default().to_owned()), at..at + len));
                len
            }
            c if c.is_ascii_digit() => {
                let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                tokens.push((Token::Number, at..at + len));
                len
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                match c {
                    '{' => braces += 1,
                    '}' => braces = braces.saturating_sub(1),
                    _ => {}
                }
                tokens.push((Token::Sign(c), at..at + c.len_utf8()));
                c.len_utf8()
            }
        };
        at += len;
    }
    (tokens, source.len())
}

/// The length of the string that `text` begins with, quotes included.
fn string_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Tags that go on until a tag of their own ends them.
const BLOCKS: [&str; 9] = ["if", "for", "with", "set", "filter", "macro", "call", "block", "autoescape"];

impl Scan {
    /// Remembers what begins and never ends; gives where the text goes on.
    fn never_closed(&mut self, sign: &str, at: usize, end: usize) -> usize {
        self.open.push(Word { text: sign.to_owned(), span: at..at + sign.len() });
        end
    }

    /// Which tags are open behind this one.
    fn nests(&mut self, tokens: &Tokens, span: Range<usize>) {
        let Some((Token::Name(tag), _)) = tokens.first() else { return };
        if let Some(ended) = tag.strip_prefix("end") {
            if self.open.last().is_some_and(|open| open.text == ended) {
                self.open.pop();
            }
            return;
        }
        let is_one_tag = tag == "set" && tokens.iter().any(|(token, _)| *token == Token::Sign('='));
        if BLOCKS.contains(&tag.as_str()) && !is_one_tag {
            self.open.push(Word { text: tag.clone(), span });
        }
    }

    /// What begins and never ends: the words for it, what ends it, and where it begins. The innermost, as the others may
    /// only seem open for its sake.
    pub fn unclosed(&self) -> Option<(String, String, Range<usize>)> {
        let open = self.open.last()?;
        let (begins, ends) = match open.text.as_str() {
            "{#" => ("{#".to_owned(), "#}".to_owned()),
            "{{" => ("{{".to_owned(), "}}".to_owned()),
            tag => (format!("{{% {tag} %}}"), format!("{{% end{tag} %}}")),
        };
        Some((begins, ends, open.span.clone()))
    }

    fn tag(&mut self, tokens: &Tokens) {
        let Some((Token::Name(tag), _)) = tokens.first() else { return };
        let rest = tokens.get(1..).unwrap_or_default();
        match tag.as_str() {
            "filter" => {
                if let Some((Token::Name(name), span)) = rest.first() {
                    self.filters.push(Word { text: name.clone(), span: span.clone() });
                }
                self.expression(rest.get(1..).unwrap_or_default());
            }
            "include" | "import" | "from" | "extends" => self.include(rest),
            "set" | "with" | "for" => {
                // `for a, b in …`, `set a = …`, `with a = 1, b = 2`: a name that is given is followed by `=`, `,` or `in`.
                for pair in rest.windows(2) {
                    if let [(Token::Name(name), _), (next, _)] = pair
                        && matches!(next, Token::Sign('=' | ','))
                    {
                        self.given.push(name.clone());
                    }
                }
                let before_in = rest.split(|(token, _)| *token == Token::Name("in".into())).next().unwrap_or_default();
                if let Some((Token::Name(name), _)) = before_in.last().filter(|_| tag == "for" || rest.len() == 1) {
                    self.given.push(name.clone());
                }
                self.expression(rest);
            }
            "macro" | "call" => {
                for (token, _) in rest {
                    if let Token::Name(name) = token
                        && (tag == "macro" || rest.first().is_some_and(|(first, _)| *first == Token::Sign('(')))
                    {
                        self.given.push(name.clone());
                    }
                }
                self.expression(rest);
            }
            "block" | "endblock" | "raw" | "endraw" | "endmacro" => {}
            _ => self.expression(rest),
        }
    }

    fn include(&mut self, rest: &[(Token, Range<usize>)]) {
        let optional = rest.iter().any(|(token, _)| *token == Token::Name("missing".into()));
        let mut named = false;
        for (token, span) in rest {
            match token {
                Token::Text(text) => {
                    let inner = span.start + 1..span.end.saturating_sub(1).max(span.start + 1);
                    self.includes.push((Word { text: text.clone(), span: inner }, optional));
                }
                // What an import gives a name to; the words between the names do no harm.
                Token::Name(name) if named => self.given.push(name.clone()),
                Token::Name(name) => named = matches!(name.as_str(), "as" | "import"),
                _ => {}
            }
        }
    }

    fn expression(&mut self, tokens: &[(Token, Range<usize>)]) {
        for (nth, (token, span)) in tokens.iter().enumerate() {
            let before = nth.checked_sub(1).and_then(|at| tokens.get(at)).map(|(token, _)| token);
            let after = tokens.get(nth + 1).map(|(token, _)| token);
            let word = |text: &str| Word { text: text.to_owned(), span: span.clone() };
            let Token::Name(name) = token else { continue };
            match before {
                Some(Token::Sign('.')) => {}
                Some(Token::Sign('|')) => self.filters.push(word(name)),
                Some(Token::Name(is)) if is == "is" && name != "not" => self.tests.push(word(name)),
                Some(Token::Name(not))
                    if not == "not"
                        && nth >= 2
                        && tokens.get(nth - 2).is_some_and(|(is, _)| *is == Token::Name("is".into())) =>
                {
                    self.tests.push(word(name));
                }
                _ if KEYWORDS.contains(&name.as_str()) => {}
                _ if after == Some(&Token::Sign('(')) => self.calls.push(word(name)),
                _ => self.names.push(word(name)),
            }
        }
    }

    /// Where `path`, a name or several with dots between, is read: the last place before `before`, else the first.
    pub fn place_of(&self, source: &str, path: &str, before: usize) -> Option<Range<usize>> {
        let root = path.split('.').next().unwrap_or_default();
        let reads = |word: &&Word| {
            let rest = source.get(word.span.start..).and_then(|rest| rest.strip_prefix(path));
            word.text == root && rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        let found: Vec<&Word> = self.names.iter().filter(reads).collect();
        let nearest = found.iter().rev().find(|word| word.span.start <= before).or(found.first())?;
        Some(nearest.span.start..nearest.span.start + path.len())
    }

    /// All that is wrong with a template of this text.
    pub fn problems(&self, source: &str, partials: Partials<'_>) -> Vec<Found> {
        let mut found = growth::found(source, &self.parts);
        for span in &self.reserved {
            found.push(Found {
                code: "reserved-character",
                message: "this is a character of the private-use planes".into(),
                hint: Some("remove it: nothing can show it".into()),
                span: span.clone(),
            });
        }
        for (format, span) in self.parts.iter().filter_map(|part| odd_format(&part.tokens)) {
            found.push(Found {
                code: "date-format",
                message: format!("`{format}` prints itself: a format for dates has a `%` before each letter"),
                hint: Some(match nearest(format, STYLES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write `%d.%m.%Y` for 31.12.2026, `%H:%M` for the time; or `short`, `long`, `full`".into(),
                }),
                span,
            });
        }
        let filters: Vec<&str> = FILTERS.iter().map(|filter| filter.name).chain(BUILTIN_FILTERS).collect();
        for word in self.filters.iter().filter(|word| !filters.contains(&word.text.as_str())).take(TOLD_MAX) {
            let removed =
                REMOVED_FILTERS.iter().find(|(name, _)| *name == word.text).map(|(_, hint)| (*hint).to_owned());
            let others = OTHERS_FILTERS.iter().find(|(name, _)| word.text.eq_ignore_ascii_case(name));
            let others = others.map(|(_, ours)| format!("did you mean `{ours}`?"));
            found.push(match removed.or(others) {
                Some(hint) => Found { hint: Some(hint), ..unknown("filter", word, &[]) },
                None => unknown("filter", word, &filters),
            });
        }
        for word in self.tests.iter().filter(|word| !TESTS.contains(&word.text.as_str())).take(TOLD_MAX) {
            found.push(unknown("test", word, &TESTS));
        }
        for word in self.calls.iter().take(TOLD_MAX * 100) {
            let own = self.given.contains(&word.text);
            if !own && !FUNCTIONS.contains(&word.text.as_str()) {
                found.push(unknown("function", word, &FUNCTIONS));
            }
        }
        for (word, optional) in &self.includes {
            let known = match partials {
                Partials::None => &[],
                Partials::Named(names) => names,
            };
            if !optional && !known.contains(&word.text) {
                let names: Vec<&str> = known.iter().map(String::as_str).filter(|name| name.ends_with(".md")).collect();
                found.push(unknown("partial", word, &names));
            }
        }
        found
    }
}

/// The format of a `date` that has nothing to be filled in.
fn odd_format(tokens: &Tokens) -> Option<(&str, Range<usize>)> {
    tokens.windows(4).find_map(|four| match four {
        [(Token::Sign('|'), _), (Token::Name(name), _), (Token::Sign('('), _), (Token::Text(format), span)]
            if name == "date" && !format.contains('%') && !STYLES.contains(&format.as_str()) =>
        {
            Some((format.as_str(), span.clone()))
        }
        _ => None,
    })
}

/// Makes a stand-in for each word that is unknown, so that whatever else is wrong shows all the same. No such environment
/// renders what is sent.
pub(crate) fn placeholder<'w>(
    env: &mut Environment<'static>,
    words: impl IntoIterator<Item = &'w (&'static str, String)>,
) {
    for (code, word) in words {
        match *code {
            "unknown-filter" => env.add_filter(word.clone(), |value: Value, _: Rest<Value>| value),
            "unknown-test" => env.add_test(word.clone(), |_: Value, _: Rest<Value>| true),
            "unknown-function" => env.add_function(word.clone(), |_: Rest<Value>| ""),
            // One that can't be added is reported as unknown.
            _ => drop(env.add_template_owned(word.clone(), "")),
        }
    }
}

/// The unknown words, if nothing else is wrong.
pub(crate) fn only_unknown(source: &str, found: &[Found]) -> Option<Vec<(&'static str, String)>> {
    let word = |found: &Found| {
        let text = source.get(found.span.clone()).unwrap_or_default().trim_matches(['"', '\'']);
        found.code.starts_with("unknown-").then(|| (found.code, text.to_owned()))
    };
    found.iter().map(word).collect()
}

fn unknown(what: &str, word: &Word, known: &[&str]) -> Found {
    let code = match what {
        "filter" => "unknown-filter",
        "test" => "unknown-test",
        "function" => "unknown-function",
        _ => "unknown-partial",
    };
    let message = match what {
        "partial" => format!("there is no partial `{}`", word.text),
        what => format!("unknown {what} `{}`", word.text),
    };
    let hint = match nearest(&word.text, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => Problem::error(code, "").suggest(&word.text, known.iter().copied()).hint,
    };
    Found { code, message, hint, span: word.span.clone() }
}
