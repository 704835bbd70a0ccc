//! The syntax and the limits of Block Kit and of Slack's text.

use serde_json::Value;

use super::{Checked, refuse};
use crate::channels::judges::units;

/// What is found on the way through a message.
pub struct Check {
    pub pings: Vec<String>,
    pub units: usize,
    pub has_table: bool,
}

impl Check {
    pub fn block(&mut self, block: &Value) -> Checked {
        match kind(block)? {
            "header" => {
                keys(block, &["type", "text"])?;
                self.text_object(block.get("text"), &["plain_text"], 150)
            }
            "section" => {
                keys(block, &["type", "text", "fields"])?;
                let fields = block.get("fields").and_then(Value::as_array);
                if fields.is_none() || block.get("text").is_some() {
                    self.text_object(block.get("text"), &["plain_text", "mrkdwn"], 3000)?;
                }
                if fields.is_some_and(|fields| fields.is_empty() || fields.len() > 10) {
                    return refuse("invalid_blocks", "a section has 1 to 10 fields");
                }
                fields
                    .into_iter()
                    .flatten()
                    .try_for_each(|field| self.text_object(Some(field), &["plain_text", "mrkdwn"], 2000))
            }
            "context" => {
                keys(block, &["type", "elements"])?;
                let elements = list(block, "elements", 10)?;
                elements.iter().try_for_each(|text| self.text_object(Some(text), &["plain_text", "mrkdwn"], 3000))
            }
            "divider" => keys(block, &["type"]),
            "image" => {
                keys(block, &["type", "image_url", "alt_text"])?;
                self.url(block.get("image_url"))?;
                self.string(block.get("alt_text"), 2000).map(drop)
            }
            "rich_text" => {
                keys(block, &["type", "elements"])?;
                let before = self.units;
                list(block, "elements", usize::MAX)?.iter().try_for_each(|element| self.rich(element))?;
                if self.units - before > 3000 {
                    return refuse("invalid_blocks", "more than 3000 characters in one rich_text");
                }
                Ok(())
            }
            "table" => self.table(block),
            other => refuse("invalid_blocks", format!("a block of type `{other}`")),
        }
    }

    fn table(&mut self, block: &Value) -> Checked {
        keys(block, &["type", "rows", "column_settings"])?;
        if std::mem::replace(&mut self.has_table, true) {
            return refuse("invalid_blocks", "only_one_table_allowed");
        }
        let rows = list(block, "rows", 100)?;
        let columns = rows[0].as_array().map_or(0, Vec::len);
        if !(1..=20).contains(&columns) || rows.iter().any(|row| row.as_array().map(Vec::len) != Some(columns)) {
            return refuse("invalid_blocks", "a row has 1 to 20 cells, and all have as many");
        }
        list(block, "column_settings", 20)?.iter().try_for_each(|column| keys(column, &["align", "is_wrapped"]))?;
        let before = self.units;
        for cell in rows.iter().filter_map(Value::as_array).flatten() {
            match kind(cell)? {
                "raw_text" => {
                    keys(cell, &["type", "text"])?;
                    self.string(cell.get("text"), 3000)?;
                }
                "rich_text" => self.block(cell)?,
                other => return refuse("invalid_blocks", format!("`{other}` as a cell")),
            }
        }
        if self.units - before > 10_000 {
            return refuse("invalid_blocks", "more than 10000 characters in a table");
        }
        Ok(())
    }

    fn rich(&mut self, element: &Value) -> Checked {
        match kind(element)? {
            "rich_text_section" | "rich_text_quote" | "rich_text_preformatted" => {
                keys(element, &["type", "elements", "border"])?;
                list(element, "elements", usize::MAX)?.iter().try_for_each(|inline| self.inline(inline))
            }
            "rich_text_list" => {
                keys(element, &["type", "style", "indent", "offset", "border", "elements"])?;
                if !matches!(element.get("style").and_then(Value::as_str), Some("bullet" | "ordered")) {
                    return refuse("invalid_blocks", "a list is `bullet` or `ordered`");
                }
                if element.get("indent").is_some_and(|indent| indent.as_u64().is_none_or(|indent| indent > 8)) {
                    return refuse("invalid_blocks", "a list's indent is 0 to 8");
                }
                list(element, "elements", usize::MAX)?.iter().try_for_each(|item| match kind(item)? {
                    "rich_text_section" => self.rich(item),
                    other => refuse("invalid_blocks", format!("`{other}` as an item")),
                })
            }
            other => refuse("invalid_blocks", format!("`{other}` in rich_text")),
        }
    }

    fn inline(&mut self, inline: &Value) -> Checked {
        const STYLES: [&str; 4] = ["bold", "italic", "strike", "code"];
        if let Some(style) = inline.get("style") {
            keys(style, &STYLES)?;
            if style.as_object().is_some_and(|style| style.values().any(|value| !value.is_boolean())) {
                return refuse("invalid_blocks", "a style is true or false");
            }
        }
        match kind(inline)? {
            "text" => {
                keys(inline, &["type", "text", "style"])?;
                self.string(inline.get("text"), 3000).map(drop)
            }
            "link" => {
                keys(inline, &["type", "url", "text", "style"])?;
                if inline.get("text").is_some() {
                    self.string(inline.get("text"), 3000)?;
                }
                self.url(inline.get("url"))
            }
            "user" | "usergroup" | "broadcast" => {
                self.pings.push(inline.to_string());
                Ok(())
            }
            other => refuse("invalid_blocks", format!("`{other}` in a section")),
        }
    }

    fn text_object(&mut self, object: Option<&Value>, kinds: &[&str], max: usize) -> Checked {
        let Some(object) = object else { return refuse("invalid_blocks", "no text object") };
        let kind = kind(object)?;
        if !kinds.contains(&kind) {
            return refuse("invalid_blocks", format!("text of the type `{kind}`"));
        }
        keys(object, if kind == "plain_text" { &["type", "text", "emoji"] } else { &["type", "text", "verbatim"] })?;
        let text = self.string(object.get("text"), max)?;
        if kind == "mrkdwn" { self.mrkdwn(&text) } else { Ok(()) }
    }

    fn string(&mut self, value: Option<&Value>, max: usize) -> Checked<String> {
        let Some(text) = value.and_then(Value::as_str) else { return refuse("invalid_blocks", "text is missing") };
        if text.is_empty() || units(text) > max {
            return refuse("invalid_blocks", format!("text of {} characters, 1 to {max} allowed", units(text)));
        }
        self.units += units(text);
        Ok(text.to_owned())
    }

    fn url(&mut self, value: Option<&Value>) -> Checked {
        let url = self.string(value, 3000)?;
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>|".contains(c)) {
            return refuse("invalid_blocks", format!("`{url}` is not a URL"));
        }
        Ok(())
    }

    /// Entities are the three that there are, angle brackets are links and mentions, and every mention is noted.
    pub fn mrkdwn(&mut self, text: &str) -> Checked {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>']) {
            rest = &rest[at..];
            if let Some(entity) = ["&amp;", "&lt;", "&gt;"].into_iter().find(|entity| rest.starts_with(entity)) {
                rest = &rest[entity.len()..];
                continue;
            }
            let Some((inner, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
                return refuse(
                    "invalid_payload",
                    format!("a bare sign before `{}`", rest.chars().take(20).collect::<String>()),
                );
            };
            rest = after;
            let target = inner.split('|').next().unwrap_or_default();
            match target {
                _ if target.starts_with("!date^") || target.starts_with('#') => {}
                _ if target.starts_with(['!', '@']) => self.pings.push(format!("<{target}>")),
                _ if target.starts_with("https://") || target.starts_with("http://") => {}
                _ => return refuse("invalid_payload", format!("`<{inner}>` is neither link nor mention")),
            }
        }
        Ok(())
    }
}

fn kind(value: &Value) -> Checked<&str> {
    match value.get("type").and_then(Value::as_str) {
        Some(kind) => Ok(kind),
        None => refuse("invalid_blocks", format!("no type: {value}")),
    }
}

fn keys(value: &Value, known: &[&str]) -> Checked {
    let Some(map) = value.as_object() else { return refuse("invalid_blocks", format!("no object: {value}")) };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => refuse("invalid_blocks", format!("`{key}` doesn't belong into {value}")),
        None => Ok(()),
    }
}

fn list<'v>(value: &'v Value, key: &str, max: usize) -> Checked<&'v Vec<Value>> {
    match value.get(key).and_then(Value::as_array) {
        Some(items) if !items.is_empty() && items.len() <= max => Ok(items),
        _ => refuse("invalid_blocks", format!("`{key}` is not a list of 1 to {max}")),
    }
}
