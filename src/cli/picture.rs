//! How a message looks where it arrives: from each channel's payload to a picture for a page and the terminal.
//!
//! A picture is a likeness, not the service's own rendering: headings, text, facts, links and the accent colour. It is
//! made of the bytes that go over the wire, and of nothing else; all of them is escaped before it stands in a page.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::channels::Request;
use crate::cli::mime;
use crate::message::html::escape;

/// A likeness of one message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
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
    /// The accent, if it is a colour and nothing that could be more than one.
    pub(crate) fn colour(&self) -> Option<&str> {
        let digits = self.accent.strip_prefix('#')?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(self.accent.as_str())
    }

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
pub(crate) fn of_slack(document: &Value) -> Picture {
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
pub(crate) fn of_discord(document: &Value) -> Picture {
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
pub(crate) fn of_pagerduty(document: &Value) -> Picture {
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
pub(crate) fn of_http(document: &Value, path: &str) -> Picture {
    let message = &document["message"];
    let title = message["title"].as_str().unwrap_or(path).to_owned();
    let mut picture = Picture { title, ..Picture::default() };
    picture.plain(text_of(message, "text"));
    picture.fact("call", path);
    if let Some(kind) = document["event"]["type"].as_str() {
        picture.fact("event", kind);
    }
    picture
}

/// A mail: its subject, its text, and its HTML in a frame of its own.
pub(crate) fn of_mail(raw: &str) -> Picture {
    let mail = mime::read(raw);
    let mut picture = Picture { title: mail.subject, ..Picture::default() };
    picture.text = mail.text.lines().map(str::to_owned).collect();
    picture.html = match mail.html {
        Some(html) => format!("<iframe sandbox srcdoc=\"{}\"></iframe>", escape(&html)),
        None => format!("<pre>{}</pre>", escape(&mail.text)),
    };
    picture
}

/// What a request looks like at a channel; `None` where nothing is sent.
pub(crate) fn of_request(channel: &str, request: &Request) -> Option<Picture> {
    match request {
        Request::Nothing => None,
        Request::Mail(mail) => Some(of_mail(&String::from_utf8_lossy(&mail.message).replace('\r', ""))),
        Request::Http(http) => {
            let document = serde_json::from_slice(&http.body).unwrap_or_default();
            Some(match channel {
                "slack" => of_slack(&document),
                "discord" => of_discord(&document),
                "pagerduty" => of_pagerduty(&document),
                _ => of_http(&document, http.method),
            })
        }
    }
}
