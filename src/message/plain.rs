//! Messages as good plain text: what is sent where no markup may be, and what tests compare.

use unicode_segmentation::UnicodeSegmentation;

use crate::message::{Block, Inline, Message};

/// The whole message: title, body, fields and link, an empty line between them.
pub fn message(message: &Message) -> String {
    let mut parts = vec![message.title.clone(), blocks(&message.body)];
    let fields: Vec<String> = message.fields.iter().map(|field| format!("{}: {}", field.name, field.value)).collect();
    parts.push(fields.join("\n"));
    parts.extend(message.link.clone());
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// Blocks, an empty line between them.
pub fn blocks(blocks: &[Block]) -> String {
    let parts: Vec<String> = blocks.iter().map(block).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// Inlines without their markup; a link shows its target after its text.
pub fn inlines(inlines: &[Inline]) -> String {
    let mut text = String::new();
    write_inlines(inlines, true, &mut text);
    text
}

/// Inlines as the words alone, without the targets of links, on one line.
pub fn words(inlines: &[Inline]) -> String {
    let mut text = String::new();
    write_inlines(inlines, false, &mut text);
    text.replace('\n', " ")
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(_, inner) | Block::Paragraph(inner) => inlines(inner),
        Block::Bullets(items) => list(items, |_| "- ".to_owned()),
        Block::Numbered(first, items) => list(items, |nth| format!("{}. ", first.saturating_add(nth))),
        Block::Quote(inner) => indent(&blocks(inner), "> ", "> "),
        Block::Code(_, code) => indent(code, "    ", "    "),
        Block::Table(head, rows) => table(head, rows),
        Block::Rule => "---".to_owned(),
    }
}

fn list(items: &[Vec<Block>], mark: impl Fn(u64) -> String) -> String {
    let mut lines = Vec::new();
    for (item, nth) in items.iter().zip(0..) {
        let mark = mark(nth);
        // Within an item, what follows its text comes without an empty line, as it was most likely written.
        let parts: Vec<String> = item.iter().map(block).filter(|part| !part.is_empty()).collect();
        lines.push(indent(&parts.join("\n"), &mark, &" ".repeat(mark.len())));
    }
    lines.join("\n")
}

/// `first` before the first line, `rest` before the others; empty lines get no blanks at their end.
fn indent(text: &str, first: &str, rest: &str) -> String {
    let mut lines = Vec::new();
    for (nth, line) in text.split('\n').enumerate() {
        let mark = if nth == 0 { first } else { rest };
        lines.push(format!("{mark}{line}").trim_end().to_owned());
    }
    lines.join("\n")
}

/// Columns in line, a rule under the head.
fn table(head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>]) -> String {
    let text_of = |row: &[Vec<Inline>]| row.iter().map(|cell| inlines(cell)).collect::<Vec<String>>();
    let head = text_of(head);
    let rows: Vec<Vec<String>> = rows.iter().map(|row| text_of(row)).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = std::iter::once(&head).chain(&rows).filter_map(|row| row.get(column));
            cells.map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &[String]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, wide)| format!("{cell}{}", " ".repeat(wide.saturating_sub(width(cell)))));
        cells.collect::<Vec<String>>().join(" | ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|wide| "-".repeat(*wide)).collect::<Vec<String>>().join("-|-");
    let lines = [line(&head), rule].into_iter().chain(rows.iter().map(|row| line(row)));
    lines.collect::<Vec<String>>().join("\n")
}

fn width(text: &str) -> usize {
    text.graphemes(true).count()
}

fn write_inlines(inlines: &[Inline], targets: bool, out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) | Inline::Code(text) => out.push_str(text),
            Inline::Emphasis(inner) | Inline::Strong(inner) | Inline::Strike(inner) => {
                write_inlines(inner, targets, out);
            }
            Inline::Link(target, inner) => {
                let start = out.len();
                write_inlines(inner, targets, out);
                if targets && out.get(start..) != Some(target) {
                    out.push_str(&format!(" ({target})"));
                }
            }
            Inline::Break => out.push('\n'),
        }
    }
}
