//! A message as Block Kit: header, body, fields, image, link, and a line that says where it comes from.
//!
//! Pure. Text that may hold a value stands only in `plain_text` and in `rich_text`, where Slack interprets nothing: no
//! sign of a title can become bold, a link or a mention, and what people copy is what the value was. (The older
//! `mrkdwn` knows no escape for `*`, `_`, `~` and backticks.) The link is text, not a button: Slack takes a click on a
//! button for an interaction, and marks it with a warning where no app answers it, as none does behind a webhook.
//!
//! Limits after docs.slack.dev, "Block Kit": see the constants. Lengths are counted in UTF-16 units.

use serde_json::{Map, Value, json};

use crate::channels::slack::rich::{Style, URL, anchor, filled, flow, rich, section, size, text, vec_of_text};
use crate::channels::slack::{mrkdwn, table};
use crate::channels::{Limit, Sending, words};
use crate::message::{Block, Field, fit, plain};

pub const BLOCKS: Limit = Limit::items("blocks", 50);
/// Of them, for the body.
const BODY_BLOCKS_MAX: usize = 40;
pub const HEADER: Limit = Limit::characters("a `header`", 150);
/// A title that is too long for a header stands in bold, and may be so long.
const TITLE_MAX: usize = 1000;
/// As for a `section`; Slack gives no limit of its own for `rich_text`.
pub const BLOCK_TEXT: Limit = Limit::characters("the text of another block", 3000);
pub const ALT: Limit = Limit::characters("an image's `alt_text`", 2000);
/// Slack gives no number; it refused 11,300 characters and took 9,600.
pub const SUM: Limit = Limit::characters("all text of all blocks", 9600);
/// What is left of it by ours.
const SUM_MAX: usize = SUM.max - 600;
/// Ours: fields, their names, their values.
const FIELDS_MAX: usize = 30;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 600;
/// The deepest level of a list.
const INDENT_MAX: usize = 8;

/// The whole message.
pub fn of(sending: &Sending<'_>) -> Vec<Value> {
    let message = &sending.rendered.message;
    let mut around = Vec::new();
    if let Some(mentions) = mentions(sending) {
        around.push(mentions);
    }
    around.push(title(sending));
    let head = around.len();
    around.extend(fields(&message.fields));
    around.extend(image(sending));
    around.extend(message.link.as_deref().and_then(|to| link(sending, to)));
    around.extend(links(sending));
    around.extend(words::footer(sending, true).map(|footer| context(&words::short(&footer, 500))));
    let tail = around.split_off(head);

    let room = SUM_MAX.saturating_sub(size(&around) + size(&tail));
    let mut blocks = around;
    blocks.extend(body(&message.body, room));
    blocks.extend(tail);
    blocks.truncate(BLOCKS.max);
    blocks
}

/// The only block of `mrkdwn`, which holds nothing but ids that stand in `fanfare.yaml`. An update pings nobody.
pub fn mentions(sending: &Sending<'_>) -> Option<Value> {
    let mentions: Vec<String> = sending.pinged().iter().filter_map(|id| mrkdwn::mention(id)).collect();
    (!mentions.is_empty()).then(|| json!({"type": "section", "text": {"type": "mrkdwn", "text": mentions.join(" ")}}))
}

/// The line that marks a message as closed.
pub fn closed(sending: &Sending<'_>) -> Value {
    context(&format!("☑️ {}", sending.locale.words.closed))
}

fn title(sending: &Sending<'_>) -> Value {
    let title = format!("{} {}", words::sign(sending), words::title(sending));
    if fit::utf16(&title) <= HEADER.max {
        return json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}});
    }
    rich(vec![section(vec![text(&words::short(&title, TITLE_MAX), Style::BOLD)])])
}

fn context(text: &str) -> Value {
    json!({"type": "context", "elements": [{"type": "plain_text", "text": text, "emoji": false}]})
}

fn fields(fields: &[Field]) -> Option<Value> {
    let mut elements = Vec::new();
    let mut taken = 0;
    for (nth, field) in fields.iter().enumerate() {
        let name = words::short(&words::or_dash(&field.name), NAME_MAX);
        let value = words::short(&words::or_dash(&field.value), VALUE_MAX);
        taken += fit::utf16(&name) + fit::utf16(&value) + 3;
        let newline = if elements.is_empty() { "" } else { "\n" };
        if nth == FIELDS_MAX || taken > BLOCK_TEXT.max - 30 {
            elements.push(text(&format!("{newline}… and {} more", fields.len() - nth), Style::NONE));
            break;
        }
        elements.push(text(&format!("{newline}{name}: "), Style::BOLD));
        elements.push(text(&value, Style::NONE));
    }
    (!elements.is_empty()).then(|| rich(vec![section(elements)]))
}

fn image(sending: &Sending<'_>) -> Option<Value> {
    let image = sending.rendered.message.image.as_deref().filter(|image| fit::utf16(image) <= URL.max)?;
    let alt = words::short(&words::title(sending), ALT.max);
    Some(json!({"type": "image", "image_url": image, "alt_text": alt}))
}

fn link(sending: &Sending<'_>, link: &str) -> Option<Value> {
    let element = anchor(link, &words::link_text(sending.locale, link), Style::NONE)?;
    Some(rich(vec![section(vec![element])]))
}

/// What people can do about the case, in one line. Links and no buttons: a click on a button goes to Slack, which shows an
/// error where the app answers no interactions.
pub fn links(sending: &Sending<'_>) -> Option<Value> {
    let mut elements = Vec::new();
    for button in sending.links {
        let Some(anchor) = anchor(&button.url, &button.label, Style::BOLD) else { continue };
        if !elements.is_empty() {
            elements.push(text(" · ", Style::NONE));
        }
        elements.push(anchor);
    }
    (!elements.is_empty()).then(|| rich(vec![section(elements)]))
}

/// As many of the blocks as fit into `room` units, each one as a block of its own, so that Slack spaces them.
fn body(blocks: &[Block], room: usize) -> Vec<Value> {
    let native = blocks.iter().position(table::is_native);
    let one = |(nth, one): (usize, &Block)| {
        let one = std::slice::from_ref(one);
        if Some(nth) == native {
            let too_long = |blocks: &[Block]| table::is_too_long(blocks, BLOCK_TEXT.max);
            return fit::blocks(one, room, &|one| if too_long(one) { usize::MAX } else { size(&render(one)) }).blocks;
        }
        fit::blocks(one, BLOCK_TEXT.max, &|one| size(&one.iter().filter_map(block).collect::<Vec<_>>())).blocks
    };
    let each: Vec<Block> = blocks.iter().enumerate().flat_map(one).collect();
    let measure = |blocks: &[Block]| {
        let rendered = render(blocks);
        if rendered.len() > BODY_BLOCKS_MAX { usize::MAX } else { size(&rendered) }
    };
    render(&fit::blocks(&each, room, &measure).blocks)
}

/// The first table that can be one is a table.
fn render(blocks: &[Block]) -> Vec<Value> {
    let native = blocks.iter().position(table::is_native);
    let one = |(nth, one): (usize, &Block)| {
        let table = if Some(nth) == native { table::of(one) } else { None };
        table.or_else(|| block(one))
    };
    blocks.iter().enumerate().filter_map(one).collect()
}

fn block(block: &Block) -> Option<Value> {
    if *block == Block::Rule {
        return Some(json!({"type": "divider"}));
    }
    let mut elements = Vec::new();
    add(block, 0, &mut elements);
    (!elements.is_empty()).then(|| rich(elements))
}

/// The elements of one block, at this level of lists.
fn add(block: &Block, level: usize, elements: &mut Vec<Value>) {
    match block {
        Block::Heading(_, inlines) => elements.extend(filled("rich_text_section", flow(inlines, Style::BOLD))),
        Block::Paragraph(inlines) => elements.extend(filled("rich_text_section", flow(inlines, Style::NONE))),
        Block::Bullets(items) => list(None, items, level, elements),
        Block::Numbered(first, items) => list(Some(*first), items, level, elements),
        Block::Quote(blocks) => {
            elements.extend(filled("rich_text_quote", vec_of_text(plain::blocks(blocks).trim())));
        }
        Block::Code(_, code) => elements.extend(filled("rich_text_preformatted", vec_of_text(code.trim_end()))),
        Block::Table(..) => {
            elements.extend(filled(
                "rich_text_preformatted",
                vec_of_text(plain::blocks(std::slice::from_ref(block)).trim_end()),
            ));
        }
        Block::Rule => elements.extend(filled("rich_text_section", vec_of_text("———"))),
    }
}

/// A list in which other blocks stand is several elements: one for each run of items, and what stands between.
fn list(first: Option<u64>, items: &[Vec<Block>], level: usize, elements: &mut Vec<Value>) {
    let mut run: Vec<Value> = Vec::new();
    let mut run_begins = 0;
    for (nth, item) in items.iter().enumerate() {
        if run.is_empty() {
            run_begins = nth;
        }
        let is_text = |block: &&Block| matches!(block, Block::Paragraph(_) | Block::Heading(..));
        let texts: Vec<&Block> = item.iter().take_while(is_text).collect();
        run.push(section(item_text(&texts)));
        let rest = item.get(texts.len()..).unwrap_or_default();
        if !rest.is_empty() {
            elements.push(list_element(first, run_begins, std::mem::take(&mut run), level));
            rest.iter().for_each(|block| add(block, level + 1, elements));
        }
    }
    if !run.is_empty() {
        elements.push(list_element(first, run_begins, run, level));
    }
}

fn item_text(texts: &[&Block]) -> Vec<Value> {
    let mut elements = Vec::new();
    for block in texts {
        let more = match block {
            Block::Heading(_, inlines) => flow(inlines, Style::BOLD),
            Block::Paragraph(inlines) => flow(inlines, Style::NONE),
            _ => Vec::new(),
        };
        if !elements.is_empty() && !more.is_empty() {
            elements.push(text("\n", Style::NONE));
        }
        elements.extend(more);
    }
    if elements.is_empty() { vec_of_text("–") } else { elements }
}

fn list_element(first: Option<u64>, run_begins: usize, items: Vec<Value>, level: usize) -> Value {
    let mut element = Map::new();
    element.insert("type".into(), "rich_text_list".into());
    element.insert("style".into(), if first.is_some() { "ordered" } else { "bullet" }.into());
    element.insert("indent".into(), level.min(INDENT_MAX).into());
    // How far the first number is from 1.
    let offset = first.map_or(0, |first| first.saturating_sub(1).saturating_add(run_begins as u64));
    if offset > 0 {
        element.insert("offset".into(), offset.into());
    }
    element.insert("elements".into(), items.into());
    Value::Object(element)
}
