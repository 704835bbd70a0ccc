//! From Markdown to blocks, values kept as text.
//!
//! The Markdown (CommonMark with tables and strikethrough) that is parsed holds a placeholder for each value, so a
//! value can't be markup. Afterwards the values go into the tree as literal text. Raw HTML is text; a line break in
//! the source is a line break in the message, since people who write on two lines mean two lines.

use std::iter::Peekable;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, OffsetIter, Options, Parser, Tag, TagEnd};

use crate::message::link::{self, Dead, LinkPart};
use crate::message::pieces::{Masked, Piece, TooMany};
use crate::message::{Block, Inline, text};

/// How deep blocks and inlines may nest; what nests deeper belongs to the level above it.
const DEPTH_MAX: usize = 16;

/// A link that was dropped, its text kept: where in the masked text it stands, and why.
pub type DeadLink = (Range<usize>, Dead);

/// The blocks that a template's output makes.
pub fn blocks(pieces: &[Piece]) -> Result<Vec<Block>, TooMany> {
    Ok(parse(&Masked::of(pieces)?).0)
}

/// The blocks of a masked text, and the links that were dropped.
pub fn parse(masked: &Masked<'_>) -> (Vec<Block>, Vec<DeadLink>) {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(&masked.text, options).into_offset_iter().peekable();
    let mut builder = Builder { masked, events, dead: Vec::new() };
    let blocks = builder.blocks(0);
    (blocks, builder.dead)
}

/// What becomes of line breaks within a run of text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// They stay.
    Break,
    /// They are spaces: headings, table cells, link texts.
    Space,
}

struct Builder<'m, 'p> {
    masked: &'m Masked<'p>,
    events: Peekable<OffsetIter<'m>>,
    dead: Vec<DeadLink>,
}

impl<'m> Builder<'m, '_> {
    /// Blocks up to the end of the container that was just entered, which is taken too.
    fn blocks(&mut self, depth: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        // Containers that were too deep to open, and whose ends are to be passed over.
        let mut passed = 0;
        while let Some((event, _)) = self.events.peek() {
            if is_inline(event) {
                // A tight list's items hold their text without a paragraph.
                let inlines = self.inlines(Lines::Break, depth, true);
                blocks.extend(paragraph(inlines));
                continue;
            }
            let Some((event, _)) = self.events.next() else { break };
            match event {
                Event::End(_) if passed > 0 => passed -= 1,
                Event::End(_) => break,
                Event::Rule => blocks.push(Block::Rule),
                Event::Start(tag) => match self.block(tag, depth) {
                    Some(block) => blocks.extend(block),
                    None => passed += 1,
                },
                _ => {}
            }
        }
        blocks
    }

    /// The block that `tag` begins, or that there is nothing in it. `None`: it is too deep to open.
    fn block(&mut self, tag: Tag<'m>, depth: usize) -> Option<Option<Block>> {
        let container = matches!(tag, Tag::BlockQuote(_) | Tag::List(_) | Tag::Item);
        if container && depth >= DEPTH_MAX {
            return None;
        }
        Some(match tag {
            Tag::Paragraph => paragraph(self.inlines(Lines::Break, depth, false)),
            Tag::Heading { level, .. } => {
                let inlines = trim(self.inlines(Lines::Space, depth, false));
                (!inlines.is_empty()).then_some(Block::Heading(level_number(level), inlines))
            }
            Tag::BlockQuote(_) => Some(self.blocks(depth + 1)).filter(|inner| !inner.is_empty()).map(Block::Quote),
            Tag::CodeBlock(kind) => Some(self.code(kind)),
            Tag::List(first) => self.list(first, depth),
            Tag::Table(_) => self.table(depth),
            Tag::HtmlBlock => paragraph(self.html()),
            // Not enabled, or only within the above: what they hold counts as if they weren't there.
            _ => return None,
        })
    }

    fn list(&mut self, first: Option<u64>, depth: usize) -> Option<Block> {
        let mut items = Vec::new();
        while let Some((event, _)) = self.events.next() {
            match event {
                Event::Start(Tag::Item) => {
                    let item = self.blocks(depth + 1);
                    if !item.is_empty() {
                        items.push(item);
                    }
                }
                Event::End(_) => break,
                _ => {}
            }
        }
        if items.is_empty() {
            return None;
        }
        Some(match first {
            Some(first) => Block::Numbered(first, items),
            None => Block::Bullets(items),
        })
    }

    fn table(&mut self, depth: usize) -> Option<Block> {
        let mut head = Vec::new();
        let mut rows = Vec::new();
        let mut row = Vec::new();
        while let Some((event, _)) = self.events.next() {
            match event {
                Event::Start(Tag::TableCell) => row.push(trim(self.inlines(Lines::Space, depth, false))),
                Event::End(TagEnd::TableHead) => head = std::mem::take(&mut row),
                Event::End(TagEnd::TableRow) => rows.push(std::mem::take(&mut row)),
                Event::End(TagEnd::Table) => break,
                _ => {}
            }
        }
        (!head.is_empty()).then_some(Block::Table(head, rows))
    }

    fn code(&mut self, kind: CodeBlockKind<'m>) -> Block {
        let language = match kind {
            CodeBlockKind::Indented => String::new(),
            CodeBlockKind::Fenced(info) => {
                let info = self.literal(&info);
                let word = info.split_whitespace().next().unwrap_or_default();
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '#' | '.');
                if word.len() <= 32 && word.chars().all(plain) { word.to_owned() } else { String::new() }
            }
        };
        let mut code = String::new();
        while let Some((event, _)) = self.events.next() {
            match event {
                Event::Text(text) => code.push_str(&self.literal(&text)),
                Event::End(_) => break,
                _ => {}
            }
        }
        code.truncate(code.trim_end_matches('\n').len());
        Block::Code(language, code)
    }

    fn html(&mut self) -> Vec<Inline> {
        let mut run = Run::new(Lines::Break);
        for (event, _) in self.events.by_ref() {
            match event {
                Event::Html(html) | Event::InlineHtml(html) | Event::Text(html) => {
                    run.text(&html.replace('\n', ""), self.masked);
                    run.push(Inline::Break);
                }
                Event::End(_) => break,
                _ => {}
            }
        }
        run.inlines
    }

    /// Inlines up to the end of what was just entered, which is taken too; or, where `loose`, up to the next event
    /// that is no inline, which stays.
    fn inlines(&mut self, lines: Lines, depth: usize, loose: bool) -> Vec<Inline> {
        let mut run = Run::new(lines);
        let mut passed = 0;
        while let Some((event, _)) = self.events.peek() {
            if loose && passed == 0 && !is_inline(event) {
                break;
            }
            let Some((event, range)) = self.events.next() else { break };
            match event {
                Event::End(_) if passed > 0 => passed -= 1,
                Event::End(_) => break,
                Event::Text(text) => run.text(&text, self.masked),
                Event::Code(code) => {
                    let code = text::clean(&self.literal(&code)).replace('\n', " ");
                    if !code.trim().is_empty() {
                        run.push(Inline::Code(code));
                    }
                }
                Event::InlineHtml(html) | Event::Html(html) => {
                    if matches!(html.trim_end_matches(['>', '/', ' ']), "<br" | "<BR") {
                        run.push_break();
                    } else {
                        run.text(&html, self.masked);
                    }
                }
                Event::SoftBreak | Event::HardBreak => run.push_break(),
                Event::Start(tag) => {
                    if depth >= DEPTH_MAX {
                        passed += 1;
                    } else {
                        self.span(tag, &range, &mut run, depth + 1);
                    }
                }
                _ => {}
            }
        }
        run.inlines
    }

    /// Emphasis, a link and the like.
    fn span(&mut self, tag: Tag<'m>, range: &Range<usize>, run: &mut Run, depth: usize) {
        let wrap: fn(Vec<Inline>) -> Inline = match tag {
            Tag::Emphasis => Inline::Emphasis,
            Tag::Strong => Inline::Strong,
            Tag::Strikethrough => Inline::Strike,
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                return self.link(&dest_url, range, run, depth);
            }
            _ => {
                let inner = self.inlines(run.lines, depth, false);
                return run.extend(inner);
            }
        };
        let inner = self.inlines(run.lines, depth, false);
        if shows(&inner) {
            run.push(wrap(inner));
        } else {
            run.extend(inner);
        }
    }

    fn link(&mut self, target: &str, range: &Range<usize>, run: &mut Run, depth: usize) {
        let label = trim(self.inlines(Lines::Space, depth, false));
        match link::target(&self.masked.parts(target)) {
            Ok(target) => {
                let label = if shows(&label) { without_links(label) } else { vec![Inline::Text(target.clone())] };
                run.push(Inline::Link(target, label));
            }
            Err(dead) => {
                self.dead.push((range.clone(), dead));
                run.extend(label);
            }
        }
    }

    /// A part of the masked text with its values put back, cleaned.
    fn literal(&self, text: &str) -> String {
        let mut literal = String::new();
        for part in self.masked.parts(text) {
            match part {
                LinkPart::Raw(raw) => literal.push_str(raw),
                LinkPart::Value(value) => literal.push_str(text::clean(value).trim_end_matches('\n')),
            }
        }
        literal
    }
}

/// Inlines under construction: neighbouring texts are one.
struct Run {
    inlines: Vec<Inline>,
    lines: Lines,
}

impl Run {
    fn new(lines: Lines) -> Self {
        Self { inlines: Vec::new(), lines }
    }

    fn push(&mut self, inline: Inline) {
        match (self.inlines.last_mut(), inline) {
            (Some(Inline::Text(last)), Inline::Text(more)) => last.push_str(&more),
            (_, Inline::Text(empty)) if empty.is_empty() => {}
            (_, inline) => self.inlines.push(inline),
        }
    }

    fn extend(&mut self, inlines: Vec<Inline>) {
        for inline in inlines {
            self.push(inline);
        }
    }

    fn push_break(&mut self) {
        match self.lines {
            Lines::Break => self.push(Inline::Break),
            Lines::Space => self.push(Inline::Text(" ".into())),
        }
    }

    /// Text of the template with values in it.
    fn text(&mut self, text: &str, masked: &Masked<'_>) {
        for part in masked.parts(text) {
            match part {
                LinkPart::Raw(raw) => self.push(Inline::Text(raw.to_owned())),
                LinkPart::Value(value) => {
                    let value = text::clean(value);
                    for (nth, line) in value.trim_matches('\n').split('\n').enumerate() {
                        if nth > 0 {
                            self.push_break();
                        }
                        self.push(Inline::Text(line.to_owned()));
                    }
                }
            }
        }
    }
}

fn is_inline(event: &Event<'_>) -> bool {
    match event {
        Event::Text(_) | Event::Code(_) | Event::InlineHtml(_) | Event::SoftBreak | Event::HardBreak => true,
        Event::Start(tag) => {
            matches!(tag, Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. })
        }
        _ => false,
    }
}

/// The paragraph of these inlines, if there is anything to see in it.
fn paragraph(inlines: Vec<Inline>) -> Option<Block> {
    let inlines = trim(inlines);
    shows(&inlines).then_some(Block::Paragraph(inlines))
}

/// Without breaks and white space at the ends, and with at most one empty line in a row.
fn trim(mut inlines: Vec<Inline>) -> Vec<Inline> {
    let blank = |inline: &Inline| match inline {
        Inline::Break => true,
        Inline::Text(text) => text.trim().is_empty(),
        _ => false,
    };
    while inlines.last().is_some_and(blank) {
        inlines.pop();
    }
    let leading = inlines.iter().take_while(|inline| blank(inline)).count();
    inlines.drain(..leading);
    if let Some(Inline::Text(text)) = inlines.first_mut() {
        *text = text.trim_start().to_owned();
    }
    if let Some(Inline::Text(text)) = inlines.last_mut() {
        text.truncate(text.trim_end().len());
    }
    let mut breaks = 0;
    inlines.retain(|inline| {
        breaks = if blank(inline) { breaks + usize::from(*inline == Inline::Break) } else { 0 };
        breaks <= 2
    });
    inlines
}

/// Whether there is anything to see.
pub(crate) fn shows(inlines: &[Inline]) -> bool {
    inlines.iter().any(|inline| match inline {
        Inline::Text(text) | Inline::Code(text) => !text.trim().is_empty(),
        Inline::Emphasis(inner) | Inline::Strong(inner) | Inline::Strike(inner) | Inline::Link(_, inner) => {
            shows(inner)
        }
        Inline::Break => false,
    })
}

/// A link's label holds no link of its own (an image in it was one).
fn without_links(inlines: Vec<Inline>) -> Vec<Inline> {
    let mut run = Run::new(Lines::Space);
    for inline in inlines {
        match inline {
            Inline::Link(_, inner) => run.extend(without_links(inner)),
            Inline::Emphasis(inner) => run.push(Inline::Emphasis(without_links(inner))),
            Inline::Strong(inner) => run.push(Inline::Strong(without_links(inner))),
            Inline::Strike(inner) => run.push(Inline::Strike(without_links(inner))),
            other => run.push(other),
        }
    }
    run.inlines
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
