//! How a message looks where it arrives: from each channel's payload to a picture for the page and the terminal.
//!
//! A picture is a likeness, not the service's own rendering: headings, text, facts, links and the accent colour. All
//! that came over the wire is escaped before it stands in the page.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::cli::demo::inbox::Arrived;
use crate::cli::demo::mime;
use crate::message::html::escape;

/// A likeness of one message.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    /// The line that one reads first.
    pub title: String,
    /// The colour at its side, as CSS; empty for none.
    pub accent: String,
    /// What stands below the title, as plain text.
    pub text: Vec<String>,
    /// The same as HTML.
    pub html: String,
}

impl Picture {
    fn line(&mut self, plain: impl Into<String>, html: &str) {
        let plain = plain.into();
        if !plain.trim().is_empty() {
            self.text.extend(plain.lines().map(str::to_owned));
            self.html.push_str(html);
        }
    }

    fn plain(&mut self, text: &str) {
        self.line(text, &format!("<p>{}</p>", escape(text).replace('\n', "<br>")));
    }

    fn fact(&mut self, name: &str, value: &str) {
        let html = format!("<p><span class=\"name\">{}</span> {}</p>", escape(name), escape(value));
        self.line(format!("{name}: {value}"), &html);
    }

    fn link(&mut self, text: &str, url: &str) {
        let html = format!("<p><span class=\"button\" title=\"{}\">{}</span></p>", escape(url), escape(text));
        self.line(format!("[{text}] {url}"), &html);
    }
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// Block Kit, blocks of attachments included.
pub(super) fn of_slack(document: &Value) -> Picture {
    let mut picture = Picture::default();
    for block in items(document, "blocks") {
        slack_block(block, &mut picture);
    }
    for attachment in items(document, "attachments") {
        if picture.accent.is_empty() {
            text_of(attachment, "color").clone_into(&mut picture.accent);
        }
        items(attachment, "blocks").for_each(|block| slack_block(block, &mut picture));
    }
    if picture.title.is_empty() {
        picture.title = mrkdwn(text_of(document, "text")).0.lines().next().unwrap_or_default().to_owned();
    }
    picture
}

fn slack_block(block: &Value, picture: &mut Picture) {
    match text_of(block, "type") {
        "header" if picture.title.is_empty() => text_of(&block["text"], "text").clone_into(&mut picture.title),
        "header" => picture.plain(text_of(&block["text"], "text")),
        "section" => {
            slack_text(&block["text"], "p", picture);
            items(block, "fields").for_each(|field| slack_text(field, "p", picture));
        }
        "markdown" => picture.plain(text_of(block, "text")),
        "context" => items(block, "elements").for_each(|element| slack_text(element, "small", picture)),
        "actions" => items(block, "elements")
            .for_each(|button| picture.link(text_of(&button["text"], "text"), text_of(button, "url"))),
        "image" => picture.fact("image", text_of(block, "image_url")),
        "rich_text" => items(block, "elements").for_each(|element| {
            let (plain, html) = rich_text(element);
            picture.line(plain, &format!("<p>{html}</p>"));
        }),
        _ => {}
    }
}

fn slack_text(text: &Value, tag: &str, picture: &mut Picture) {
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

/// Embeds, and what stands before them.
pub(super) fn of_discord(document: &Value) -> Picture {
    let mut picture = Picture::default();
    let content = text_of(document, "content");
    if !content.is_empty() {
        picture.plain(&undiscord(content));
    }
    for embed in items(document, "embeds") {
        if picture.title.is_empty() {
            picture.title = undiscord(text_of(embed, "title"));
        }
        if let Some(colour) = embed["color"].as_u64() {
            picture.accent = format!("#{:06x}", colour & 0xff_ffff);
        }
        picture.plain(&undiscord(text_of(embed, "description")));
        items(embed, "fields")
            .for_each(|field| picture.fact(&undiscord(text_of(field, "name")), &undiscord(text_of(field, "value"))));
        if let Some(url) = embed["url"].as_str() {
            picture.link("open", url);
        }
        let footer = text_of(&embed["footer"], "text");
        picture.line(footer, &format!("<small>{}</small>", escape(footer)));
    }
    picture
}

/// Discord's Markdown without its backslashes and stars: near enough for a likeness.
fn undiscord(text: &str) -> String {
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

/// An Events v2 event.
pub(super) fn of_pagerduty(document: &Value) -> Picture {
    let payload = &document["payload"];
    let action = text_of(document, "event_action");
    let mut picture = Picture {
        title: format!("{action}: {}", payload["summary"].as_str().unwrap_or("the incident")),
        accent: if action == "resolve" { "#1a7f4b" } else { "#b3261e" }.into(),
        ..Picture::default()
    };
    for key in ["severity", "source", "component", "class"] {
        if let Some(value) = payload[key].as_str() {
            picture.fact(key, value);
        }
    }
    for (name, value) in payload["custom_details"].as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        picture.fact(name, &value);
    }
    items(document, "links").for_each(|link| picture.link(text_of(link, "text"), text_of(link, "href")));
    picture.fact("incident", text_of(document, "dedup_key"));
    picture
}

/// The default body of an HTTP call, or whatever else came.
pub(super) fn of_http(document: &Value, path: &str) -> Picture {
    let message = &document["message"];
    let title = message["title"].as_str().unwrap_or(path).to_owned();
    let mut picture = Picture { title, ..Picture::default() };
    picture.plain(text_of(message, "text"));
    picture.fact("path", path);
    if let Some(kind) = document["event"]["type"].as_str() {
        picture.fact("event", kind);
    }
    picture
}

/// A mail: its subject, its text, and its HTML in a frame of its own.
pub(super) fn of_mail(raw: &str) -> Picture {
    let mail = mime::read(raw);
    let mut picture = Picture { title: mail.subject, ..Picture::default() };
    picture.text = mail.text.lines().map(str::to_owned).collect();
    picture.html = match mail.html {
        Some(html) => format!("<iframe sandbox srcdoc=\"{}\"></iframe>", escape(&html)),
        None => format!("<pre>{}</pre>", escape(&mail.text)),
    };
    picture
}

/// The page: newest first, under one heading a channel.
pub(super) fn page(arrived: &[Arrived]) -> String {
    let mut page = String::from(HEAD);
    for channel in ["slack", "discord", "email", "pagerduty", "http"] {
        let of_channel: Vec<&Arrived> = arrived.iter().filter(|one| one.channel == channel).collect();
        page.push_str(&format!("<section><h2>{channel} <span>{}</span></h2>", of_channel.len()));
        of_channel.into_iter().rev().for_each(|one| page.push_str(&card(one)));
        page.push_str("</section>");
    }
    page.push_str("</main></body></html>");
    page
}

fn card(one: &Arrived) -> String {
    let Arrived { destination, picture, raw, .. } = one;
    let is_colour = picture.accent.starts_with('#') && picture.accent[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
    let accent = if is_colour { picture.accent.as_str() } else { "#8a8a99" };
    format!(
        "<article style=\"border-left-color:{accent}\"><header>{}</header><h3>{}</h3>{}<details><summary>what was \
         sent</summary><pre>{}</pre></details></article>",
        escape(destination),
        escape(&picture.title),
        picture.html,
        escape(raw),
    )
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" \
content=\"5\"><meta name=\"viewport\" content=\"width=device-width\"><title>Fanfare demo: the inboxes</title><style>\
:root{color-scheme:light dark}body{margin:0;font:15px/1.5 system-ui,sans-serif;background:light-dark(#f3f3f7,#15151a);\
color:light-dark(#1d1d23,#ececf1)}h1{margin:0;padding:1rem 2rem;font-size:1.2rem}\
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1.5rem;padding:0 2rem 2rem;align-items:start}\
h2{font-size:1rem;text-transform:capitalize;margin:.5rem 0}h2 span{opacity:.5;font-weight:400}\
article{background:light-dark(#fff,#1f1f26);border-left:4px solid;border-radius:6px;padding:.75rem 1rem;margin:0 0 1rem;\
box-shadow:0 1px 3px #0002;overflow-wrap:anywhere}article header{font-size:.8rem;opacity:.65}h3{margin:.1rem 0 .4rem;font-size:1.05rem}\
p{margin:.3rem 0}.name{opacity:.65}small{opacity:.65;display:block}.button{display:inline-block;border:1px solid #8888;\
border-radius:4px;padding:.1rem .6rem}pre{white-space:pre-wrap;font-size:.8rem;background:#8881;padding:.5rem;border-radius:4px;max-height:20rem;overflow:auto}\
summary{cursor:pointer;font-size:.8rem;opacity:.65}iframe{width:100%;height:22rem;border:1px solid #8884;border-radius:4px;background:#fff}\
</style></head><body><h1>Fanfare demo: what each channel got</h1><main>";
