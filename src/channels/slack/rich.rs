//! The elements of Slack's rich text, in which nothing is interpreted: texts with their style, links, sections. Pure.

use serde_json::{Map, Value, json};

use crate::channels::Limit;
use crate::message::{Block, Inline, fit, plain};

pub const URL: Limit = Limit::characters("a URL", 3000);

/// How a text looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Style {
    bold: bool,
    italic: bool,
    strike: bool,
    code: bool,
}

impl Style {
    pub const NONE: Self = Self { bold: false, italic: false, strike: false, code: false };
    pub const BOLD: Self = Self { bold: true, ..Self::NONE };

    fn json(self) -> Option<Value> {
        let marks = [("bold", self.bold), ("italic", self.italic), ("strike", self.strike), ("code", self.code)];
        let marks: Map<String, Value> =
            marks.into_iter().filter(|(_, is)| *is).map(|(name, is)| (name.to_owned(), is.into())).collect();
        (!marks.is_empty()).then_some(Value::Object(marks))
    }
}

/// Inlines as elements of a section; Slack refuses empty ones.
pub fn flow(inlines: &[Inline], style: Style) -> Vec<Value> {
    let mut elements = Vec::new();
    for inline in inlines {
        match inline {
            Inline::Text(said) if said.is_empty() => {}
            Inline::Text(said) => elements.push(text(said, style)),
            Inline::Code(said) if said.is_empty() => {}
            Inline::Code(said) => elements.push(text(said, Style { code: true, ..style })),
            Inline::Emphasis(inner) => elements.extend(flow(inner, Style { italic: true, ..style })),
            Inline::Strong(inner) => elements.extend(flow(inner, Style { bold: true, ..style })),
            Inline::Strike(inner) => elements.extend(flow(inner, Style { strike: true, ..style })),
            Inline::Break => elements.push(text("\n", style)),
            Inline::Link(target, inner) => {
                let said = plain::blocks(&[Block::Paragraph(inner.clone())]);
                match anchor(target, said.trim(), style) {
                    Some(link) => elements.push(link),
                    None => elements.extend(flow(inner, style)),
                }
            }
        }
    }
    elements
}

pub fn anchor(target: &str, said: &str, style: Style) -> Option<Value> {
    let is_web = target.starts_with("https://") || target.starts_with("http://");
    if !is_web || fit::utf16(target) > URL.max {
        return None;
    }
    let mut link = Map::new();
    link.insert("type".into(), "link".into());
    // A bar or an angle bracket would end the target in Slack's own notation of links.
    link.insert("url".into(), target.replace('|', "%7C").replace('<', "%3C").replace('>', "%3E").into());
    if !said.is_empty() {
        link.insert("text".into(), said.into());
    }
    if let Some(style) = style.json() {
        link.insert("style".into(), style);
    }
    Some(Value::Object(link))
}

pub fn text(said: &str, style: Style) -> Value {
    let mut element = Map::new();
    element.insert("type".into(), "text".into());
    element.insert("text".into(), said.into());
    if let Some(style) = style.json() {
        element.insert("style".into(), style);
    }
    Value::Object(element)
}

pub fn vec_of_text(said: &str) -> Vec<Value> {
    if said.is_empty() { Vec::new() } else { vec![text(said, Style::NONE)] }
}

pub fn section(elements: Vec<Value>) -> Value {
    json!({"type": "rich_text_section", "elements": elements})
}

pub fn filled(kind: &str, elements: Vec<Value>) -> Option<Value> {
    (!elements.is_empty()).then(|| json!({"type": kind, "elements": elements}))
}

pub fn rich(elements: Vec<Value>) -> Value {
    json!({"type": "rich_text", "elements": elements})
}

/// The units of all texts and URLs in these blocks.
pub fn size(blocks: &[Value]) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| match value {
                    Value::String(text) if matches!(key.as_str(), "text" | "url" | "image_url" | "alt_text") => {
                        fit::utf16(text)
                    }
                    Value::String(_) => 0,
                    other => of(other),
                })
                .sum(),
            _ => 0,
        }
    }
    blocks.iter().map(of).sum()
}
