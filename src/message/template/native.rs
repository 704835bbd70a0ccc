//! A channel's own format: `NAME.slack.json` and its like. The template's text is the structure; values only ever fill
//! strings, or are single values, so that no event can add a key, an element or an attribute.
//!
//! JSON is parsed with a placeholder for each value. Within quotes a value is text; outside of them it is a whole JSON
//! value: text in quotes, a number or truth value as it is, nothing as `null`, a list or mapping as itself. In HTML a
//! value may stand in text and in quoted attributes; in one that holds a URL it is encoded, http(s) or nothing; anywhere
//! else (a tag's name, a script, a style, a comment) it is left out.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::message::link::{self, Part};
use crate::message::pieces::{Kind, Masked, Piece};
use crate::message::{html, text};

/// One row a channel that takes a format of its own.
pub struct Row {
    /// The channel's name.
    pub channel: &'static str,
    /// The ending of its files.
    pub ending: &'static str,
    /// What a value becomes within a JSON string under a key, where the service reads markup in its texts; its URLs are
    /// then http(s) or empty.
    armour: Option<fn(&str, &str) -> String>,
}

/// The channels that take one.
pub const ROWS: [Row; 4] = [
    Row { channel: "slack", ending: "json", armour: Some(slack) },
    Row { channel: "discord", ending: "json", armour: Some(discord) },
    Row { channel: "email", ending: "html", armour: None },
    Row { channel: "http", ending: "json", armour: None },
];

/// Why a rendering is no document of its format: in words, and where in the masked text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the masked text.
    pub at: usize,
}

/// Slack decodes `&`, `<` and `>` and takes `*`, `_`, `~` and backticks for markup, which an invisible space undoes.
fn slack(key: &str, text: &str) -> String {
    let text = text::clean(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '*' | '_' | '~' | '`' if matches!(key, "text" | "value" | "pretext" | "fallback") => {
                out.push('\u{200b}');
                out.push(c);
                out.push('\u{200b}');
            }
            c => out.push(c),
        }
    }
    out
}

/// Discord reads Markdown in some of its texts, with a backslash before what is meant as itself.
fn discord(key: &str, text: &str) -> String {
    let text = text::clean(text);
    let markdown = matches!(key, "content" | "description" | "value" | "title" | "name");
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if markdown
            && matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '[' | ']' | '(' | ')' | '#' | '-' | '+')
        {
            out.push('\\');
        }
        out.push(c);
        if c == '@' {
            out.push('\u{200b}');
        }
    }
    out
}

/// Whether a JSON key's text is a URL, not words.
fn is_url_key(key: &str) -> bool {
    key == "url" || key.ends_with("_url") || key.ends_with("_link")
}

/// The JSON document that a rendering is, for `channel`.
pub(crate) fn json(pieces: &[Piece], channel: &str) -> Result<Value, Broken> {
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
        Broken { message: format!("this is no JSON: {words}"), at }
    })?;
    let armour = ROWS.iter().find(|row| row.channel == channel).and_then(|row| row.armour);
    Ok(Filler { masked: &masked, bare, armour }.fill(document, ""))
}

/// The masked text with quotes round each placeholder that stands outside of a string, and which those are.
fn quote_bare(masked: &Masked<'_>) -> (String, HashSet<char>) {
    let mut quoted = String::with_capacity(masked.text.len());
    let mut bare = HashSet::new();
    let (mut within, mut escaped) = (false, false);
    for c in masked.text.chars() {
        let placeholder = text::is_reserved(c);
        if !within && placeholder {
            bare.insert(c);
            quoted.push('"');
            quoted.push(c);
            quoted.push('"');
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
    armour: Option<fn(&str, &str) -> String>,
}

impl Filler<'_, '_> {
    fn fill(&self, document: Value, key: &str) -> Value {
        match document {
            Value::String(text) => self.string(&text, key),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.fill(item, key)).collect()),
            Value::Object(map) => {
                let mut filled = Map::new();
                for (key, value) in map {
                    let key = match self.string(&key, "") {
                        Value::String(key) => key,
                        other => other.to_string(),
                    };
                    let value = self.fill(value, &key);
                    filled.insert(key, value);
                }
                Value::Object(filled)
            }
            other => other,
        }
    }

    fn string(&self, text: &str, key: &str) -> Value {
        let mut chars = text.chars();
        if let (Some(only), None) = (chars.next(), chars.next())
            && self.bare.contains(&only)
            && let Some((value, kind)) = self.masked.value(only)
        {
            return match kind {
                Kind::Nothing => Value::Null,
                Kind::Json => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
                Kind::Text => Value::String(self.text(&[Part::Value(value)], key)),
            };
        }
        Value::String(self.text(&self.masked.parts(text), key))
    }

    fn text(&self, parts: &[Part<'_>], key: &str) -> String {
        let has_value = parts.iter().any(|part| matches!(part, Part::Value(_)));
        if has_value && self.armour.is_some() && is_url_key(key) {
            return link::target(parts).unwrap_or_default();
        }
        let text = parts.iter().map(|part| match (part, self.armour) {
            (Part::Value(value), Some(armour)) => armour(key, value),
            (Part::Raw(text) | Part::Value(text), _) => (*text).to_owned(),
        });
        text.collect()
    }
}

/// Where in HTML something stands.
#[derive(Debug, Clone, PartialEq)]
enum Spot {
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
    let mut writer =
        HtmlWriter { masked: &masked, out: String::new(), spot: Spot::Text, tag: String::new(), url: None };
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
    spot: Spot,
    /// The tag that is open.
    tag: String,
    /// The masked text of the URL attribute that is open.
    url: Option<String>,
}

impl HtmlWriter<'_, '_> {
    /// A value; whether it could stand there.
    fn value(&mut self, placeholder: char, value: &str) -> bool {
        match &self.spot {
            Spot::Text => {
                self.out.push_str(&html::escape(&text::clean(value)).replace('\n', "<br>\n"));
                true
            }
            Spot::Quoted(name, _) => match &mut self.url {
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
        let spot = std::mem::replace(&mut self.spot, Spot::Text);
        self.spot = match spot {
            Spot::Text if rest.starts_with("<!--") => Spot::Comment,
            Spot::Text
                if c == '<' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '!') =>
            {
                Spot::TagName(String::new())
            }
            Spot::Text => Spot::Text,
            Spot::TagName(mut name) => match c {
                '>' => self.end_of_tag(&name),
                c if c.is_whitespace() => {
                    self.tag = name;
                    Spot::Tag
                }
                c => {
                    name.push(c.to_ascii_lowercase());
                    Spot::TagName(name)
                }
            },
            Spot::Tag => match c {
                '>' => {
                    let tag = std::mem::take(&mut self.tag);
                    self.end_of_tag(&tag)
                }
                c if c.is_whitespace() || c == '/' => Spot::Tag,
                c => Spot::Name(c.to_ascii_lowercase().to_string()),
            },
            Spot::Name(mut name) => match c {
                '=' => Spot::Equals(name),
                '>' => {
                    let tag = std::mem::take(&mut self.tag);
                    self.end_of_tag(&tag)
                }
                c if c.is_whitespace() => Spot::Tag,
                c => {
                    name.push(c.to_ascii_lowercase());
                    Spot::Name(name)
                }
            },
            Spot::Equals(name) => match c {
                '"' | '\'' => {
                    let is_url = matches!(
                        name.as_str(),
                        "href"
                            | "src"
                            | "action"
                            | "formaction"
                            | "background"
                            | "poster"
                            | "cite"
                            | "data"
                            | "srcset"
                            | "xlink:href"
                            | "ping"
                            | "longdesc"
                    );
                    self.url = is_url.then(String::new);
                    Spot::Quoted(name, c)
                }
                '>' => {
                    let tag = std::mem::take(&mut self.tag);
                    self.end_of_tag(&tag)
                }
                c if c.is_whitespace() => Spot::Equals(name),
                _ => Spot::Unquoted,
            },
            Spot::Quoted(name, quote) => {
                if c == quote {
                    if let Some(url) = self.url.take() {
                        self.end_of_url(&url);
                    }
                    Spot::Tag
                } else {
                    if let Some(url) = &mut self.url {
                        url.push(c);
                        self.spot = Spot::Quoted(name, quote);
                        return;
                    }
                    Spot::Quoted(name, quote)
                }
            }
            Spot::Unquoted => match c {
                '>' => {
                    let tag = std::mem::take(&mut self.tag);
                    self.end_of_tag(&tag)
                }
                c if c.is_whitespace() => Spot::Tag,
                _ => Spot::Unquoted,
            },
            Spot::Comment if c == '>' && self.out.ends_with("--") => Spot::Text,
            Spot::Comment => Spot::Comment,
            Spot::Raw(name) => {
                let closes = rest
                    .get(2..)
                    .is_some_and(|rest| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(&name)));
                if c == '<' && rest.starts_with("</") && closes {
                    Spot::TagName(String::new())
                } else {
                    Spot::Raw(name)
                }
            }
        };
        self.out.push(c);
    }

    fn end_of_tag(&mut self, name: &str) -> Spot {
        match name {
            "script" | "style" | "xmp" | "iframe" | "noembed" | "noframes" | "noscript" | "plaintext" => {
                Spot::Raw(name.to_owned())
            }
            _ => Spot::Text,
        }
    }

    /// A URL attribute without values is the template's own; one with values is http(s) or empty.
    fn end_of_url(&mut self, url: &str) {
        let parts = self.masked.parts(url);
        if parts.iter().any(|part| matches!(part, Part::Value(_))) {
            self.out.push_str(&html::escape(&link::target(&parts).unwrap_or_default()));
        } else {
            self.out.push_str(url);
        }
    }
}
