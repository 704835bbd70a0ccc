//! Blocks as HTML, for email: plain elements with inline styles, every text escaped.

use crate::message::{Block, Inline};

/// Blocks as HTML elements.
pub fn blocks(blocks: &[Block]) -> String {
    let mut out = String::new();
    write_blocks(blocks, &mut out);
    out
}

/// Inlines as HTML.
pub fn inlines(inlines: &[Inline]) -> String {
    let mut out = String::new();
    write_inlines(inlines, &mut out);
    out
}

/// Text as it may stand in an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    write_escaped(text, &mut out);
    out
}

fn write_escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

fn write_blocks(blocks: &[Block], out: &mut String) {
    for block in blocks {
        match block {
            Block::Heading(level, inner) => {
                // A mail's own heading is its title; those of the body stand below it.
                let level = (*level).clamp(1, 5) + 1;
                wrapped(&format!("h{level}"), "", inner, out);
            }
            Block::Paragraph(inner) => wrapped("p", "", inner, out),
            Block::Bullets(items) => {
                out.push_str("<ul>\n");
                write_items(items, out);
                out.push_str("</ul>\n");
            }
            Block::Numbered(first, items) => {
                out.push_str(&format!("<ol start=\"{first}\">\n"));
                write_items(items, out);
                out.push_str("</ol>\n");
            }
            Block::Quote(inner) => {
                out.push_str("<blockquote style=\"margin:0 0 1em;padding-left:1em;border-left:3px solid #ccc\">\n");
                write_blocks(inner, out);
                out.push_str("</blockquote>\n");
            }
            Block::Code(_, code) => {
                out.push_str("<pre style=\"padding:8px;background:#f4f4f4;white-space:pre-wrap\"><code>");
                write_escaped(code, out);
                out.push_str("</code></pre>\n");
            }
            Block::Table(head, rows) => write_table(head, rows, out),
            Block::Rule => out.push_str("<hr>\n"),
        }
    }
}

/// A list's items; one that is a single paragraph stands without it, so that the list is tight.
fn write_items(items: &[Vec<Block>], out: &mut String) {
    for item in items {
        out.push_str("<li>");
        let mut rest = item.as_slice();
        if let [Block::Paragraph(inner), more @ ..] = rest {
            write_inlines(inner, out);
            rest = more;
        }
        if !rest.is_empty() {
            out.push('\n');
            write_blocks(rest, out);
        }
        out.push_str("</li>\n");
    }
}

fn write_table(head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>], out: &mut String) {
    const CELL: &str = " style=\"padding:4px 8px;border:1px solid #ccc;text-align:left\"";
    out.push_str("<table style=\"border-collapse:collapse\">\n<tr>");
    for cell in head {
        wrapped("th", CELL, cell, out);
    }
    out.push_str("</tr>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            wrapped("td", CELL, cell, out);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn wrapped(element: &str, attributes: &str, inner: &[Inline], out: &mut String) {
    out.push_str(&format!("<{element}{attributes}>"));
    write_inlines(inner, out);
    out.push_str(&format!("</{element}>"));
    if !matches!(element, "th" | "td" | "strong" | "em" | "s") {
        out.push('\n');
    }
}

fn write_inlines(inlines: &[Inline], out: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Text(text) => write_escaped(text, out),
            Inline::Emphasis(inner) => wrapped("em", "", inner, out),
            Inline::Strong(inner) => wrapped("strong", "", inner, out),
            Inline::Strike(inner) => wrapped("s", "", inner, out),
            Inline::Code(code) => {
                out.push_str("<code>");
                write_escaped(code, out);
                out.push_str("</code>");
            }
            Inline::Link(target, inner) => {
                out.push_str("<a href=\"");
                write_escaped(target, out);
                out.push_str("\">");
                write_inlines(inner, out);
                out.push_str("</a>");
            }
            Inline::Break => out.push_str("<br>\n"),
        }
    }
}
