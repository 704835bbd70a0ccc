//! A message's body in Markdown, for services that read it: the structure is the same for all, and what of a value has to
//! be escaped is the matter of each.
//!
//! Pure. What stands in code is not escaped: nothing is markup there but its end.

use crate::message::{Block, Inline, fit, plain};

/// A service's Markdown.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// A text of which nothing is markup, where it begins a line or goes on in one.
    pub escape: Escape,
    /// The same within a link's text, where every bracket counts.
    pub escape_in_link: Escape,
}

/// Markdown as CommonMark has it, where a backslash before any sign makes it text.
pub const COMMON: Dialect = Dialect { escape: escape_common, escape_in_link: escape_common };

/// Makes a value text; whether a line begins with it.
pub type Escape = fn(&str, bool) -> String;

impl Dialect {
    /// The blocks, as such services show them best.
    pub fn render(&self, blocks: &[Block]) -> String {
        let each = blocks.iter().map(|block| self.block(block));
        each.filter(|text| !text.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    /// As many of the blocks as fit into `max` units.
    pub fn render_within(&self, blocks: &[Block], max: usize) -> String {
        self.render(&fit::blocks(blocks, max, &|blocks| fit::utf16(&self.render(blocks))).blocks)
    }

    fn block(&self, block: &Block) -> String {
        match block {
            Block::Heading(level @ 1..=3, inlines) => {
                let text = self.one_line(inlines);
                if text.is_empty() { text } else { format!("{} {text}", "#".repeat(usize::from(*level))) }
            }
            Block::Heading(_, inlines) => around("**", &self.one_line(inlines)),
            Block::Paragraph(inlines) => self.written(inlines, self.escape),
            Block::Bullets(items) => self.list(items, |_| "- ".to_owned()),
            Block::Numbered(first, items) => self.list(items, |nth| format!("{}. ", first.saturating_add(nth))),
            Block::Quote(blocks) => indented(&self.render(blocks), "> ", "> "),
            Block::Code(language, text) => fenced(language, text),
            Block::Table(..) => fenced("", &plain::blocks(std::slice::from_ref(block))),
            // Discord draws no lines.
            Block::Rule => "———".to_owned(),
        }
    }

    /// Items, the lines of each one aligned behind its mark, so that what stands in an item stays in it.
    fn list(&self, items: &[Vec<Block>], mark: impl Fn(u64) -> String) -> String {
        let item = |(nth, blocks): (usize, &Vec<Block>)| {
            let mark = mark(nth as u64);
            let each = blocks.iter().map(|block| self.block(block));
            let text = each.filter(|text| !text.trim().is_empty()).collect::<Vec<_>>().join("\n");
            let text = if text.is_empty() { "–".to_owned() } else { text };
            indented(&text, &mark, &" ".repeat(mark.len()))
        };
        items.iter().enumerate().map(item).collect::<Vec<_>>().join("\n")
    }

    fn one_line(&self, inlines: &[Inline]) -> String {
        self.written(inlines, self.escape).replace('\n', " ")
    }

    /// Each piece is escaped as if a line began with it; texts that follow each other are one.
    fn written(&self, inlines: &[Inline], escape: Escape) -> String {
        let (mut line, mut said) = (String::new(), String::new());
        for piece in inlines {
            if let Inline::Text(text) = piece {
                said.push_str(text);
                continue;
            }
            line.push_str(&escape(&std::mem::take(&mut said), begins(&line)));
            line.push_str(&self.inline(piece, escape));
        }
        let rest = escape(&said, begins(&line));
        line + &rest
    }

    fn inline(&self, inline: &Inline, escape: Escape) -> String {
        match inline {
            Inline::Text(text) => escape(text, true),
            Inline::Emphasis(inner) => around("*", &self.written(inner, escape)),
            Inline::Strong(inner) => around("**", &self.written(inner, escape)),
            Inline::Strike(inner) => around("~~", &self.written(inner, escape)),
            Inline::Code(text) => code(text),
            Inline::Link(target, inner) => self.link(target, &self.written(inner, self.escape_in_link)),
            Inline::Break => "\n".to_owned(),
        }
    }

    /// `[text](target)`: the target is encoded, and so is what could end it, or the emphasis round it.
    pub fn link(&self, target: &str, text: &str) -> String {
        const ENDS: [(&str, &str); 5] = [("(", "%28"), (")", "%29"), ("*", "%2A"), ("~~", "%7E%7E"), ("`", "%60")];
        let target = ENDS.iter().fold(target.to_owned(), |target, (sign, encoded)| target.replace(sign, encoded));
        let is_plain = !target.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\\".contains(c));
        let is_web = target.starts_with("https://") || target.starts_with("http://");
        if !(is_plain && is_web) {
            return text.to_owned();
        }
        let text = text.replace('\n', " ");
        let text = if text.trim().is_empty() { (self.escape_in_link)(&target, true) } else { text };
        format!("[{text}]({target})")
    }
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

fn begins(line: &str) -> bool {
    line.is_empty() || line.ends_with('\n')
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

/// What of a line stands before a sign, so far as that makes the sign begin a block.
#[derive(Debug, Clone, Copy)]
pub struct LineStart {
    /// Nothing but blanks.
    pub is_start: bool,
    /// Nothing but digits after them.
    pub is_number: bool,
}

impl LineStart {
    /// Of a text with which a line begins, or goes on.
    pub fn new(begins: bool) -> Self {
        Self { is_start: begins, is_number: begins }
    }

    /// The sign stands there now.
    pub fn goes_on(&mut self, c: char) {
        match c {
            '\n' => *self = Self::new(true),
            _ if c.is_ascii_digit() => self.is_start = false,
            _ if c.is_whitespace() => {}
            _ => *self = Self::new(false),
        }
    }
}

fn escape_common(text: &str, begins: bool) -> String {
    const SIGNS: &str = "\\`*_[]<>#|~&!";
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let mut line = LineStart::new(begins);
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let begins_block = (line.is_start && "-+=".contains(c)) || (line.is_number && ".)".contains(c));
        let begins_link = c == ':' && rest.starts_with("//");
        if SIGNS.contains(c) || begins_block || begins_link {
            escaped.push('\\');
        }
        escaped.push(if c == ' ' && line.is_start { '\u{a0}' } else { c });
        line.goes_on(c);
    }
    escaped
}
