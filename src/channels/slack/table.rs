//! A table as Slack's `table` block, whose cells hold rich text, in which nothing is interpreted.
//!
//! Pure. Slack takes one of them in a message; it has said of several that it refuses them. So further tables stand as
//! aligned text, and so does one with too many columns.

use serde_json::{Value, json};

use crate::channels::Limit;
use crate::channels::slack::rich::{Style, flow, rich, section, size};
use crate::message::{Block, Inline};

pub const ROWS: Limit = Limit::items("the rows of a `table`", 100);
pub const CELLS: Limit = Limit::items("the cells of a row", 20);

/// Whether the block can be one.
pub fn is_native(block: &Block) -> bool {
    matches!(block, Block::Table(head, rows) if (1..=CELLS.max).contains(&columns(head, rows)))
}

/// Whether a table among these has more rows than one may have, or a cell of more than `max` units.
pub fn is_too_long(blocks: &[Block], max: usize) -> bool {
    blocks.iter().any(|block| match block {
        Block::Table(head, rows) => {
            let cells = head.iter().chain(rows.iter().flatten());
            rows.len() >= ROWS.max || cells.into_iter().any(|inlines| size(&[cell(inlines, Style::NONE)]) > max)
        }
        _ => false,
    })
}

/// The block, if it can be one.
pub fn of(block: &Block) -> Option<Value> {
    let Block::Table(head, rows) = block else { return None };
    let columns = columns(head, rows);
    if !is_native(block) || rows.len() >= ROWS.max {
        return None;
    }
    let row = |cells: &[Vec<Inline>], style| -> Vec<Value> {
        (0..columns).map(|nth| cell(cells.get(nth).map_or(&[][..], Vec::as_slice), style)).collect()
    };
    let all: Vec<Vec<Value>> =
        std::iter::once(row(head, Style::BOLD)).chain(rows.iter().map(|cells| row(cells, Style::NONE))).collect();
    let settings = vec![json!({"is_wrapped": true}); columns];
    Some(json!({"type": "table", "rows": all, "column_settings": settings}))
}

fn columns(head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>]) -> usize {
    rows.iter().map(Vec::len).fold(head.len(), usize::max)
}

fn cell(inlines: &[Inline], style: Style) -> Value {
    match flow(inlines, style) {
        // Slack refuses empty cells.
        elements if elements.is_empty() => json!({"type": "raw_text", "text": " "}),
        elements => rich(vec![section(elements)]),
    }
}
