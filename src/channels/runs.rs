//! A message's body as lines of styled text, for services that style ranges of a text and read no markup in it.
//!
//! Pure. Lists, quotes and tables become lines with marks of plain text, which look the same in every client.

use crate::message::{Block, Inline, plain};

/// What stands before a quoted line.
const QUOTE: &str = "│ ";

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Its pieces, none of them empty, without line breaks.
    pub runs: Vec<Run>,
    /// Whether a paragraph begins with it.
    pub begins: bool,
    /// Whether it is a line of preformatted text.
    pub is_code: bool,
}

/// A piece of a line in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Plain text.
    pub text: String,
    /// How it looks.
    pub style: Style,
    /// Where it leads: an http(s) URL, already encoded.
    pub link: Option<String>,
}

/// How a text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Strong.
    pub bold: bool,
    /// Emphasized.
    pub italic: bool,
    /// Struck out.
    pub strike: bool,
    /// Of one width.
    pub code: bool,
}

impl Style {
    /// Strong, and nothing else.
    pub const BOLD: Self = Self { bold: true, italic: false, strike: false, code: false };
}

impl Run {
    /// Text in a style.
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style, link: None }
    }
}

/// The blocks as lines. Empty lines are left out, except within code.
pub fn lines(blocks: &[Block]) -> Vec<Line> {
    blocks.iter().flat_map(paragraph).collect()
}

/// A block, whose first line begins a paragraph.
fn paragraph(block: &Block) -> Vec<Line> {
    let mut lines = lines_of(block);
    if let Some(first) = lines.first_mut() {
        first.begins = true;
    }
    lines
}

fn lines_of(block: &Block) -> Vec<Line> {
    match block {
        Block::Heading(_, inlines) => flow(inlines, Style::BOLD),
        Block::Paragraph(inlines) => flow(inlines, Style::default()),
        Block::Bullets(items) => list(items, |_| "• ".to_owned()),
        Block::Numbered(first, items) => list(items, |nth| format!("{}. ", first.saturating_add(nth))),
        Block::Quote(blocks) => marked(blocks.iter().flat_map(lines_of).collect(), QUOTE, QUOTE),
        Block::Code(_, code) => fixed(code),
        Block::Table(..) => fixed(&plain::blocks(std::slice::from_ref(block))),
        Block::Rule => vec![Line { runs: vec![Run::new("———", Style::default())], ..Line::default() }],
    }
}

fn list(items: &[Vec<Block>], mark: impl Fn(u64) -> String) -> Vec<Line> {
    let item = |(nth, blocks): (usize, &Vec<Block>)| {
        let mut lines: Vec<Line> = blocks.iter().flat_map(lines_of).collect();
        if lines.is_empty() {
            lines.push(Line { runs: vec![Run::new("–", Style::default())], ..Line::default() });
        }
        // Services join blanks at the start of a line, and keep these.
        marked(lines, &mark(nth as u64), "\u{2003}")
    };
    items.iter().enumerate().flat_map(item).collect()
}

/// The lines with a mark before the first of them, and another before the others.
fn marked(lines: Vec<Line>, first: &str, others: &str) -> Vec<Line> {
    let mark = |(nth, mut line): (usize, Line)| {
        line.runs.insert(0, Run::new(if nth == 0 { first } else { others }, Style::default()));
        Line { is_code: false, ..line }
    };
    lines.into_iter().enumerate().map(mark).collect()
}

fn fixed(code: &str) -> Vec<Line> {
    let code = code.trim_end();
    if code.trim().is_empty() {
        return Vec::new();
    }
    let style = Style { code: true, ..Style::default() };
    let line = |line: &str| {
        let text = if line.is_empty() { " " } else { line };
        Line { runs: vec![Run::new(text, style)], begins: false, is_code: true }
    };
    code.split('\n').map(line).collect()
}

/// Inlines as lines, those without a visible sign left out.
fn flow(inlines: &[Inline], style: Style) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    add(inlines, style, None, &mut lines);
    lines.retain(|line| line.runs.iter().any(|run| !run.text.trim().is_empty()));
    lines
}

fn add(inlines: &[Inline], style: Style, link: Option<&str>, lines: &mut Vec<Line>) {
    for inline in inlines {
        match inline {
            Inline::Text(text) => say(text, style, link, lines),
            Inline::Code(text) => say(text, Style { code: true, ..style }, link, lines),
            Inline::Emphasis(inner) => add(inner, Style { italic: true, ..style }, link, lines),
            Inline::Strong(inner) => add(inner, Style { bold: true, ..style }, link, lines),
            Inline::Strike(inner) => add(inner, Style { strike: true, ..style }, link, lines),
            Inline::Break => lines.push(Line::default()),
            Inline::Link(target, inner) => {
                let is_web = target.starts_with("https://") || target.starts_with("http://");
                let target = Some(target.as_str()).filter(|_| is_web);
                match (target, plain::words(inner).trim().is_empty()) {
                    (Some(target), true) => say(target, style, Some(target), lines),
                    (target, _) => add(inner, style, target, lines),
                }
            }
        }
    }
}

/// Adds a text to the last line; what follows a line break begins another.
fn say(text: &str, style: Style, link: Option<&str>, lines: &mut Vec<Line>) {
    for (nth, part) in text.split('\n').enumerate() {
        if nth > 0 {
            lines.push(Line::default());
        }
        if part.is_empty() {
            continue;
        }
        let Some(line) = lines.last_mut() else { continue };
        match line.runs.last_mut() {
            Some(last) if last.style == style && last.link.as_deref() == link => last.text.push_str(part),
            _ => line.runs.push(Run { text: part.to_owned(), style, link: link.map(str::to_owned) }),
        }
    }
}
