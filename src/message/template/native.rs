//! A channel's own format: `NAME.slack.json` and its like. The template's text is the structure; values only ever fill
//! strings, or are single values, so that no event can add a key, an element or an attribute.
//!
//! JSON is parsed with a placeholder for each value. Within quotes a value is text; outside of them it is a whole JSON
//! value: text in quotes, a number or truth value as it is, nothing as `null`, a list or mapping as itself. In HTML a
//! value may stand in text and in quoted attributes; in one that holds a URL it is encoded, http(s) or nothing; anywhere
//! else (a tag's name, a script, a style, a comment) it is left out.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::message::link::{self, LinkPart};
use crate::message::pieces::{Masked, Piece, PieceKind};
use crate::message::{html, text};

/// The format of a channel's own files.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// JSON. With an escape where the service reads markup in its texts; its URLs are then http(s) or empty.
    Json(Option<Escape>),
    /// HTML.
    Html,
}

/// What a value becomes within a JSON string.
pub type Escape = fn(Spot<'_>, &str) -> String;

impl Format {
    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Html => "html",
        }
    }
}

/// Where in a JSON document a string stands.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    /// Its key, or that of the list it is in.
    pub key: &'a str,
    /// The key of the object that it is in.
    pub parent: &'a str,
    /// What that object says as its `type`.
    pub kind: &'a str,
}

/// Why a rendering is no document of its format: in words, and where in the masked text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the masked text.
    pub at: usize,
}

/// Whether a JSON key's text is a URL, not words.
fn is_url_key(key: &str) -> bool {
    key == "url" || key.ends_with("_url") || key.ends_with("_link")
}

/// The JSON document that a rendering is.
pub(crate) fn json(pieces: &[Piece], escape: Option<Escape>) -> Result<Value, Broken> {
    let masked =
        Masked::of(pieces).map_err(|_| Broken { message: "more than 65,000 values are printed".into(), at: 0 })?;
    let (quoted, bare) = quote_bare(&masked);
    let document: Value = serde_json::from_str(&quoted).map_err(|error| {
        let line_start: usize =
            masked.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        // Quotes that were put in shift the column; the line is right.
        let at = (line_start + error.column().saturating_sub(1)).min(masked.text.len());
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default().to_owned();
        Broken { message: format!("this is not JSON: {words}"), at }
    })?;
    Ok(Filler { masked: &masked, bare, escape }.fill(document, Spot { key: "", parent: "", kind: "" }))
}

/// The masked text with quotes round each placeholder that stands outside of a string, and which those are. A comma before
/// a closing bracket is left out, so that a loop may write one after each element.
fn quote_bare(masked: &Masked<'_>) -> (String, HashSet<char>) {
    let mut quoted = String::with_capacity(masked.text.len());
    let mut bare = HashSet::new();
    let (mut within, mut escaped) = (false, false);
    for (at, c) in masked.text.char_indices() {
        if !within && text::is_reserved(c) {
            bare.insert(c);
            quoted.extend(['"', c, '"']);
            continue;
        }
        if !within && c == ',' {
            let next = masked.text.get(at + 1..).unwrap_or_default().trim_start();
            quoted.push(if next.starts_with([']', '}']) { ' ' } else { ',' });
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if within => escaped = true,
            '"' => within = !within,
            _ => {}
        }
        quoted.push(c);
    }
    (quoted, bare)
}

struct Filler<'m, 'p> {
    masked: &'m Masked<'p>,
    bare: HashSet<char>,
    escape: Option<Escape>,
}

impl Filler<'_, '_> {
    fn fill(&self, document: Value, spot: Spot<'_>) -> Value {
        match document {
            Value::String(text) => self.string(&text, spot),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.fill(item, spot)).collect()),
            Value::Object(map) => {
                let kind = map.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
                let mut filled = Map::new();
                for (key, value) in map {
                    let key = self.key(&key);
                    let value = self.fill(value, Spot { key: &key, parent: spot.key, kind: &kind });
                    filled.insert(key, value);
                }
                Value::Object(filled)
            }
            other => other,
        }
    }

    /// A key with values in it is the text that they make.
    fn key(&self, key: &str) -> String {
        let parts = self.masked.parts(key);
        parts.iter().map(|(LinkPart::Raw(text) | LinkPart::Value(text))| *text).collect()
    }

    fn string(&self, text: &str, spot: Spot<'_>) -> Value {
        let mut chars = text.chars();
        if let (Some(only), None) = (chars.next(), chars.next())
            && self.bare.contains(&only)
            && let Some((value, kind)) = self.masked.value(only)
        {
            return match kind {
                PieceKind::Nothing => Value::Null,
                PieceKind::Json => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
                PieceKind::Text => Value::String(self.text(&[LinkPart::Value(value)], spot)),
            };
        }
        Value::String(self.text(&self.masked.parts(text), spot))
    }

    fn text(&self, parts: &[LinkPart<'_>], spot: Spot<'_>) -> String {
        let has_value = parts.iter().any(|part| matches!(part, LinkPart::Value(_)));
        if has_value && self.escape.is_some() && is_url_key(spot.key) {
            return link::target(parts).unwrap_or_default();
        }
        let text = parts.iter().map(|part| match (part, self.escape) {
            (LinkPart::Value(value), Some(escape)) => escape(spot, value),
            (LinkPart::Raw(text) | LinkPart::Value(text), _) => (*text).to_owned(),
        });
        text.collect()
    }
}

/// The attributes that hold a URL.
const URLS: [&str; 12] = [
    "href",
    "src",
    "action",
    "formaction",
    "background",
    "poster",
    "cite",
    "data",
    "srcset",
    "xlink:href",
    "ping",
    "longdesc",
];

/// Where in HTML something stands.
#[derive(Debug, Clone, PartialEq)]
enum At {
    Text,
    /// After `<`, up to the end of the tag's name.
    TagName(String),
    /// Within a tag, between attributes.
    Tag,
    /// In an attribute's name.
    Name(String),
    /// After `=`.
    Equals(String),
    /// In a quoted attribute: its name, the quote, where its text began in the output.
    Quoted(String, char),
    /// In an attribute without quotes.
    Unquoted,
    Comment,
    /// In an element whose text is no text: its name.
    Raw(String),
}

/// The HTML that a rendering is, and where in the masked text a value was left out.
pub(crate) fn html(pieces: &[Piece]) -> Result<(String, Vec<usize>), Broken> {
    let masked =
        Masked::of(pieces).map_err(|_| Broken { message: "more than 65,000 values are printed".into(), at: 0 })?;
    let mut writer = HtmlWriter { masked: &masked, out: String::new(), at: At::Text, tag: String::new(), url: None };
    let mut left_out = Vec::new();
    for (at, c) in masked.text.char_indices() {
        match masked.value(c) {
            Some((value, _)) => {
                if !writer.value(c, value) {
                    left_out.push(at);
                }
            }
            None => writer.raw(c, masked.text.get(at..).unwrap_or_default()),
        }
    }
    Ok((writer.out, left_out))
}

struct HtmlWriter<'m, 'p> {
    masked: &'m Masked<'p>,
    out: String,
    at: At,
    /// The tag that is open.
    tag: String,
    /// The masked text of the URL attribute that is open.
    url: Option<String>,
}

impl HtmlWriter<'_, '_> {
    /// A value; whether it could stand there.
    fn value(&mut self, placeholder: char, value: &str) -> bool {
        match &self.at {
            At::Text => {
                self.out.push_str(&html::escape(&text::clean(value)).replace('\n', "<br>\n"));
                true
            }
            At::Quoted(name, _) => match &mut self.url {
                Some(url) => {
                    url.push(placeholder);
                    true
                }
                // Code and styles are no text.
                None if name.starts_with("on") || name == "style" || name == "srcdoc" => false,
                None => {
                    self.out.push_str(&html::escape(&text::one_line(value)));
                    true
                }
            },
            _ => false,
        }
    }

    /// A character of the template; `rest` is the masked text from it on.
    fn raw(&mut self, c: char, rest: &str) {
        let at = std::mem::replace(&mut self.at, At::Text);
        self.at = match at {
            At::Text if rest.starts_with("<!--") => At::Comment,
            At::Text
                if c == '<' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '!') =>
            {
                At::TagName(String::new())
            }
            At::Text => At::Text,
            At::Comment if c == '>' && self.out.ends_with("--") => At::Text,
            At::Comment => At::Comment,
            At::Raw(name) => {
                let closes = rest
                    .get(2..)
                    .is_some_and(|rest| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(&name)));
                if c == '<' && rest.starts_with("</") && closes { At::TagName(String::new()) } else { At::Raw(name) }
            }
            At::Quoted(_, quote) if c == quote => {
                if let Some(url) = self.url.take() {
                    self.end_of_url(&url);
                }
                At::Tag
            }
            At::Quoted(name, quote) => {
                if let Some(url) = &mut self.url {
                    url.push(c);
                    self.at = At::Quoted(name, quote);
                    return;
                }
                At::Quoted(name, quote)
            }
            in_tag => self.raw_in_tag(in_tag, c),
        };
        self.out.push(c);
    }

    /// A character of a tag, outside of quotes.
    fn raw_in_tag(&mut self, at: At, c: char) -> At {
        match at {
            At::TagName(name) if c == '>' => self.end_of_tag(&name),
            _ if c == '>' => {
                let tag = std::mem::take(&mut self.tag);
                self.end_of_tag(&tag)
            }
            At::TagName(mut name) => match c {
                c if c.is_whitespace() => {
                    self.tag = name;
                    At::Tag
                }
                c => {
                    name.push(c.to_ascii_lowercase());
                    At::TagName(name)
                }
            },
            At::Tag => match c {
                c if c.is_whitespace() || c == '/' => At::Tag,
                c => At::Name(c.to_ascii_lowercase().to_string()),
            },
            At::Name(mut name) => match c {
                '=' => At::Equals(name),
                c if c.is_whitespace() => At::Tag,
                c => {
                    name.push(c.to_ascii_lowercase());
                    At::Name(name)
                }
            },
            At::Equals(name) => match c {
                '"' | '\'' => {
                    self.url = URLS.contains(&name.as_str()).then(String::new);
                    At::Quoted(name, c)
                }
                c if c.is_whitespace() => At::Equals(name),
                _ => At::Unquoted,
            },
            At::Unquoted if c.is_whitespace() => At::Tag,
            other => other,
        }
    }

    fn end_of_tag(&mut self, name: &str) -> At {
        match name {
            "script" | "style" | "xmp" | "iframe" | "noembed" | "noframes" | "noscript" | "plaintext" => {
                At::Raw(name.to_owned())
            }
            _ => At::Text,
        }
    }

    /// A URL attribute without values is the template's own; one with values is http(s) or empty.
    fn end_of_url(&mut self, url: &str) {
        let parts = self.masked.parts(url);
        if parts.iter().any(|part| matches!(part, LinkPart::Value(_))) {
            self.out.push_str(&html::escape(&link::target(&parts).unwrap_or_default()));
        } else {
            self.out.push_str(url);
        }
    }
}
