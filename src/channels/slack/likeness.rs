//! What a message looks like in Slack: Block Kit as a picture. Pure.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::channels::Request;
use crate::channels::picture::{self, Picture, items, text_of};
use crate::message::html::escape;

/// Block Kit, blocks of attachments included.
pub fn draw(request: &Request) -> Picture {
    let document = &picture::document(request);
    let mut picture = Picture::default();
    for block in items(document, "blocks") {
        add(block, &mut picture);
    }
    for attachment in items(document, "attachments") {
        if picture.accent.is_empty() {
            text_of(attachment, "color").clone_into(&mut picture.accent);
        }
        items(attachment, "blocks").for_each(|block| add(block, &mut picture));
    }
    if picture.title.is_empty() {
        picture.title = mrkdwn(text_of(document, "text")).0.lines().next().unwrap_or_default().to_owned();
    }
    picture
}

fn add(block: &Value, picture: &mut Picture) {
    match text_of(block, "type") {
        "header" if picture.title.is_empty() => text_of(&block["text"], "text").clone_into(&mut picture.title),
        "header" => picture.plain(text_of(&block["text"], "text")),
        "section" => {
            text(&block["text"], "p", picture);
            items(block, "fields").for_each(|field| text(field, "p", picture));
        }
        "markdown" => picture.plain(text_of(block, "text")),
        "context" => items(block, "elements").for_each(|element| text(element, "small", picture)),
        "actions" => items(block, "elements")
            .for_each(|button| picture.link(text_of(&button["text"], "text"), text_of(button, "url"))),
        "image" => picture.fact("image", text_of(block, "image_url")),
        "rich_text" => items(block, "elements").for_each(|element| {
            let (plain, html) = rich_text(element);
            picture.line(plain, &format!("<p>{html}</p>"));
        }),
        "table" => table(block, picture),
        _ => {}
    }
}

fn table(block: &Value, picture: &mut Picture) {
    let (mut plain, mut html) = (Vec::new(), String::new());
    for row in items(block, "rows") {
        let cells: Vec<(String, String)> = row.as_array().into_iter().flatten().map(rich_text).collect();
        plain.push(cells.iter().map(|(plain, _)| plain.trim()).collect::<Vec<_>>().join(" | "));
        html.push_str("<tr>");
        html.extend(cells.iter().map(|(_, html)| format!("<td>{html}</td>")));
        html.push_str("</tr>");
    }
    picture.line(plain.join("\n"), &format!("<table>{html}</table>"));
}

fn text(text: &Value, tag: &str, picture: &mut Picture) {
    let raw = text_of(text, "text");
    if text_of(text, "type") == "mrkdwn" {
        let (plain, html) = mrkdwn(raw);
        picture.line(plain, &format!("<{tag}>{html}</{tag}>"));
    } else if !raw.is_empty() {
        let html = format!("<{tag}>{}</{tag}>", escape(raw));
        picture.line(raw, &html);
    }
}

/// Slack's mrkdwn as plain text and as HTML. Its text is entity-encoded already; only `<…>` is markup.
fn mrkdwn(text: &str) -> (String, String) {
    static MARKUP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"<([^>|]*)(?:\|([^>]*))?>").ok());
    static BOLD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\*([^*\n]+)\*").ok());
    static ITALIC: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\b_([^_\n]+)_\b").ok());
    static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"`([^`\n]+)`").ok());
    let (Some(markup), Some(bold), Some(italic), Some(code)) = (&*MARKUP, &*BOLD, &*ITALIC, &*CODE) else {
        return (text.to_owned(), escape(text));
    };
    let shown = markup.replace_all(text, |found: &regex::Captures<'_>| {
        found.get(2).or(found.get(1)).map_or(String::new(), |part| part.as_str().to_owned())
    });
    let decode = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let html = shown.replace('"', "&quot;").replace('\n', "<br>");
    let html = bold.replace_all(&html, "<b>$1</b>");
    let html = italic.replace_all(&html, "<i>$1</i>");
    let html = code.replace_all(&html, "<code>$1</code>");
    let plain = bold.replace_all(&shown, "$1");
    (decode(&plain), html.into_owned())
}

/// An element of a rich_text block.
fn rich_text(element: &Value) -> (String, String) {
    if let Some(text) = element["text"].as_str() {
        let mut html = escape(text).replace('\n', "<br>");
        for (style, tag) in [("bold", "b"), ("italic", "i"), ("strike", "s"), ("code", "code")] {
            if element["style"][style] == true {
                html = format!("<{tag}>{html}</{tag}>");
            }
        }
        return (text.to_owned(), html);
    }
    let kind = text_of(element, "type");
    let mut plain = String::new();
    let mut html = String::new();
    for part in items(element, "elements") {
        let (inner_plain, inner_html) = rich_text(part);
        if kind == "rich_text_list" {
            plain.push_str(&format!("• {inner_plain}\n"));
            html.push_str(&format!("• {inner_html}<br>"));
        } else {
            plain.push_str(&inner_plain);
            html.push_str(&inner_html);
        }
    }
    (plain, html)
}
