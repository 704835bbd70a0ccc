//! What a message looks like in Discord: content and embeds as a picture. Pure.

use std::sync::LazyLock;

use regex::Regex;

use crate::channels::Request;
use crate::channels::picture::{self, Picture, items, text_of};
use crate::message::html::escape;

/// Embeds, and what stands before them.
pub fn draw(request: &Request) -> Picture {
    let document = &picture::document(request);
    let mut picture = Picture::default();
    let content = text_of(document, "content");
    if !content.is_empty() {
        picture.plain(&unmarked(content));
    }
    for embed in items(document, "embeds") {
        if picture.title.is_empty() {
            picture.title = unmarked(text_of(embed, "title"));
        }
        if let Some(colour) = embed["color"].as_u64() {
            picture.accent = format!("#{:06x}", colour & 0xff_ffff);
        }
        picture.plain(&unmarked(text_of(embed, "description")));
        items(embed, "fields")
            .for_each(|field| picture.fact(&unmarked(text_of(field, "name")), &unmarked(text_of(field, "value"))));
        if let Some(url) = embed["url"].as_str() {
            picture.link("open", url);
        }
        let footer = text_of(&embed["footer"], "text");
        picture.line(footer, &format!("<small>{}</small>", escape(footer)));
    }
    picture
}

/// Discord's Markdown without its backslashes and stars: near enough for a likeness.
fn unmarked(text: &str) -> String {
    static LINK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[((?:\\.|[^\]\\])*)\]\([^)\s]*\)").ok());
    let text = LINK.as_ref().map_or(text.into(), |link| link.replace_all(text, "$1"));
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '*' => {}
            c => out.push(c),
        }
    }
    out
}
