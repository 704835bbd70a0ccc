//! Discord's Markdown: escaping that leaves nothing of a value to be markup, and a message's body written in it.
//!
//! Pure. Discord takes a backslash before any sign that is neither letter, digit nor white space for the sign itself,
//! so the escaped text reads, and copies, exactly as the value was.

use crate::message::template::native::Spot;
use crate::message::{Block, Inline, fit, plain, text};

/// Signs that can begin or end markup in the midst of a line: emphasis, code, spoilers, links, mentions (`<@1>`), emoji
/// (`:x:`), and the colon without which no URL is a link. The `@` keeps `@everyone` from being drawn as if it had pinged.
const ANYWHERE: &str = "\\*_~`|<>[]():@#";
/// Signs that can begin a list at the start of a line.
const AT_LINE_START: &str = "-+";

/// The same text, of which nothing is markup, wherever it goes on. Only what would be markup where it stands gets its
/// backslash: notifications, and some clients, show them.
pub fn escape(text: &str) -> String {
    escape_from(text, true)
}

/// The same for a text that goes on in a line, or begins one.
fn escape_from(text: &str, begins: bool) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    // What stands in the line so far: nothing but white space, nothing but digits after it, or more. A text that begins a
    // line may have its number before it, so at its start both can be.
    let (mut is_start, mut is_number) = (begins, begins);
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let around = Around { before, rest, is_start, is_number };
        if around.is_markup(c) {
            escaped.push('\\');
        }
        escaped.push(c);
        match c {
            '\n' => (is_start, is_number) = (true, false),
            _ if c.is_ascii_digit() => (is_start, is_number) = (false, is_start || is_number),
            _ if c.is_whitespace() => is_number = false,
            _ => (is_start, is_number) = (false, false),
        }
        before = Some(c);
    }
    escaped
}

/// What a sign stands in. At the ends of the text, anything may be beside it.
struct Around<'t> {
    before: Option<char>,
    rest: &'t str,
    is_start: bool,
    is_number: bool,
}

impl Around<'_> {
    /// Whether Discord may take the sign for markup.
    fn is_markup(&self, c: char) -> bool {
        let (before, after) = (self.before, self.rest.chars().next());
        let blank = |c: Option<char>| c.is_some_and(char::is_whitespace);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let ends = blank(after) || after.is_none();
        match c {
            '\\' | '`' => true,
            '*' => self.is_start || !(blank(before) && blank(after)),
            '_' => !(word(before) && word(after)),
            // One alone is no markup, but the end of the text may be beside another.
            '~' | '|' => [before, after].into_iter().any(|beside| beside.is_none_or(|beside| beside == c)),
            // What begins a mention, an emoji, a time, a link begins with none of these.
            '<' => !(blank(after) || after.is_some_and(|c| c.is_ascii_digit())),
            '#' => self.is_start && (ends || after == Some('#')),
            '>' => self.is_start && (ends || after == Some('>')),
            '-' | '+' => self.is_start && (ends || after == Some('#')),
            '.' => self.is_number && ends,
            '(' => before == Some(']'),
            '@' => self.rest.starts_with("everyone") || self.rest.starts_with("here"),
            ':' => self.rest.starts_with("//") || self.begins_emoji(),
            _ => false,
        }
    }

    /// Whether a colon begins the name of an emoji: `:tada:`, but not the minutes of `12:30:45`.
    fn begins_emoji(&self) -> bool {
        let Some((name, _)) = self.rest.split_once(':') else { return false };
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_+-".contains(c));
        let is_time = name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_digit());
        is_name && !(is_time && self.before.is_some_and(|c| c.is_ascii_digit()))
    }
}

/// The same within a link's text, where every bracket counts: whatever can be markup anywhere has its backslash.
fn escape_in_link(text: &str, _begins: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if ANYWHERE.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// As much of the text as is at most `max` units long when it is escaped.
pub fn escape_within(text: &str, max: usize) -> String {
    // Each sign is counted with its backslash, which it has in some places only.
    let cost = |part: &str| part.chars().map(|c| c.len_utf16() + usize::from(is_sign(c))).sum();
    escape(&fit::text(text, max, cost))
}

fn is_sign(c: char) -> bool {
    ANYWHERE.contains(c) || AT_LINE_START.contains(c) || c == '.'
}

/// The blocks, as Discord shows them best.
pub fn render(blocks: &[Block]) -> String {
    blocks.iter().map(block).filter(|text| !text.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// As many of the blocks as fit into `max` units.
pub fn render_within(blocks: &[Block], max: usize) -> String {
    render(&fit::blocks(blocks, max, &|blocks| fit::utf16(&render(blocks))).blocks)
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(level @ 1..=3, inlines) => {
            let text = one_line(inlines);
            if text.is_empty() { text } else { format!("{} {text}", "#".repeat(usize::from(*level))) }
        }
        Block::Heading(_, inlines) => around("**", &one_line(inlines)),
        Block::Paragraph(inlines) => line(inlines),
        Block::Bullets(items) => list(items, |_| "- ".to_owned()),
        Block::Numbered(first, items) => list(items, |nth| format!("{}. ", first.saturating_add(nth))),
        Block::Quote(blocks) => indented(&render(blocks), "> ", "> "),
        Block::Code(language, text) => fenced(language, text),
        Block::Table(..) => fenced("", &plain::blocks(std::slice::from_ref(block))),
        // Discord draws no lines.
        Block::Rule => "———".to_owned(),
    }
}

/// Items, the lines of each one aligned behind its mark, so that what stands in an item stays in it.
fn list(items: &[Vec<Block>], mark: impl Fn(u64) -> String) -> String {
    let item = |(nth, blocks): (usize, &Vec<Block>)| {
        let mark = mark(nth as u64);
        let text = blocks.iter().map(block).filter(|text| !text.trim().is_empty()).collect::<Vec<_>>().join("\n");
        let text = if text.is_empty() { "–".to_owned() } else { text };
        indented(&text, &mark, &" ".repeat(mark.len()))
    };
    items.iter().enumerate().map(item).collect::<Vec<_>>().join("\n")
}

fn indented(text: &str, first: &str, others: &str) -> String {
    let mut lines = String::new();
    for (nth, line) in text.split('\n').enumerate() {
        if nth > 0 {
            lines.push('\n');
        }
        lines.push_str(if nth == 0 { first } else { others });
        lines.push_str(line);
    }
    lines
}

/// Nothing is markup in a fence but its end, so no three backticks may follow each other in it.
fn fenced(language: &str, text: &str) -> String {
    let text = apart(text.trim_end_matches('\n'));
    if text.trim().is_empty() {
        return String::new();
    }
    let language: String = language.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    format!("```{language}\n{text}\n```")
}

fn apart(text: &str) -> String {
    text.replace("``", "`\u{200b}`\u{200b}")
}

fn one_line(inlines: &[Inline]) -> String {
    line(inlines).replace('\n', " ")
}

/// Each piece is escaped as if a line began with it; texts that follow each other are one.
fn line(inlines: &[Inline]) -> String {
    written(inlines, escape_from)
}

fn written(inlines: &[Inline], escape: fn(&str, bool) -> String) -> String {
    let (mut line, mut said) = (String::new(), String::new());
    for piece in inlines {
        if let Inline::Text(text) = piece {
            said.push_str(text);
            continue;
        }
        line.push_str(&escape(&std::mem::take(&mut said), begins(&line)));
        line.push_str(&inline(piece, escape));
    }
    let rest = escape(&said, begins(&line));
    line + &rest
}

fn begins(line: &str) -> bool {
    line.is_empty() || line.ends_with('\n')
}

fn inline(inline: &Inline, escape: fn(&str, bool) -> String) -> String {
    match inline {
        Inline::Text(text) => escape(text, true),
        Inline::Emphasis(inner) => around("*", &written(inner, escape)),
        Inline::Strong(inner) => around("**", &written(inner, escape)),
        Inline::Strike(inner) => around("~~", &written(inner, escape)),
        Inline::Code(text) => code(text),
        Inline::Link(target, inner) => link(target, &written(inner, escape_in_link)),
        Inline::Break => "\n".to_owned(),
    }
}

/// Marks take no white space on their inner side, so that goes outside.
fn around(mark: &str, text: &str) -> String {
    let inner = text.trim();
    if inner.is_empty() {
        return text.to_owned();
    }
    let (before, after) = text.split_once(inner).unwrap_or_default();
    format!("{before}{mark}{inner}{mark}{after}")
}

/// A span of code ends at as many backticks as it begins with: two where it holds one. Two in a row would need three,
/// which begin a block, so they are kept apart by a space of no width.
fn code(text: &str) -> String {
    let text = apart(&text.replace('\n', " "));
    if text.trim().is_empty() {
        return text;
    }
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// `[text](target)`: the target is encoded, and so is what could end it, or the emphasis round it.
fn link(target: &str, text: &str) -> String {
    const ENDS: [(&str, &str); 5] = [("(", "%28"), (")", "%29"), ("*", "%2A"), ("~~", "%7E%7E"), ("`", "%60")];
    let target = ENDS.iter().fold(target.to_owned(), |target, (sign, encoded)| target.replace(sign, encoded));
    let is_plain = !target.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\\".contains(c));
    let is_web = target.starts_with("https://") || target.starts_with("http://");
    if !(is_plain && is_web) {
        return text.to_owned();
    }
    let text = text.replace('\n', " ");
    let text = if text.trim().is_empty() { escape_in_link(&target, true) } else { text };
    format!("[{text}]({target})")
}

/// A value in an author's own JSON. Discord reads Markdown in some of its texts, with a backslash before what is meant as itself.
pub fn escape_value(spot: Spot<'_>, text: &str) -> String {
    let markdown = match spot.key {
        "content" | "description" | "value" | "title" => true,
        // A field's name is Markdown, an author's is not.
        "name" => spot.parent == "fields",
        _ => false,
    };
    let mut out = String::with_capacity(text.len());
    for c in text::clean(text).chars() {
        if markdown
            && c.is_ascii_punctuation()
            && !matches!(c, '.' | ',' | ';' | '\'' | '"' | '&' | '/' | '?' | '=' | '%')
        {
            out.push('\\');
        }
        out.push(c);
        if c == '@' {
            out.push('\u{200b}');
        }
    }
    out
}
