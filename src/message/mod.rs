//! What is said, before any channel: a [`Message`], made once from a template and an event.
//!
//! Knows Markdown and MiniJinja; knows no channel, no destination and no rule. Values from events reach a message as
//! text only: never as markup, a mention, a header, or more than the one link target they were put into.

use serde::{Deserialize, Serialize};

pub use self::template::Templates;
pub use self::template::context::{Context, Told};
use crate::delivery::Severity;

pub mod csv;
pub mod fit;
pub mod html;
pub mod inline;
pub mod link;
pub mod markdown;
pub mod pieces;
pub mod plain;
pub mod template;
pub mod text;

/// A message, ready for any channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// One line of plain text.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// Where to look further: an http(s) URL, already encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Short facts beside the body, in order: name and value, plain text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// A picture: an http(s) URL, already encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The body, as blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub body: Vec<Block>,
}

/// A short fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// What it is called.
    pub name: String,
    /// What it is.
    pub value: String,
}

/// A block of the body: what is shortened, or left out, as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// A heading, level 1 to 6.
    Heading(u8, Vec<Inline>),
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// A bullet list.
    Bullets(Vec<Vec<Block>>),
    /// A numbered list that starts with the number.
    Numbered(u64, Vec<Vec<Block>>),
    /// A quotation.
    Quote(Vec<Block>),
    /// Code, with its language if one was named.
    Code(String, String),
    /// A table: the head, and the rows.
    Table(Vec<Vec<Inline>>, Vec<Vec<Vec<Inline>>>),
    /// A rule across.
    Rule,
}

/// A piece of text within a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inline {
    /// Plain text; never markup, whatever it holds.
    Text(String),
    /// Emphasis.
    Emphasis(Vec<Inline>),
    /// Strong emphasis.
    Strong(Vec<Inline>),
    /// Struck out.
    Strike(Vec<Inline>),
    /// Code.
    Code(String),
    /// A link: an http(s) target, already encoded, and its text.
    Link(String, Vec<Inline>),
    /// A line break.
    Break,
}

/// What replaces the rendering for one channel: the result of `NAME.slack.json` and its like, already parsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Native {
    /// A JSON document.
    Json(serde_json::Value),
    /// An HTML document, values escaped.
    Html(String),
}

/// What is kept with a delivery: the message, and what replaces it where the channel has a rendering of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendered {
    /// The message; also what plain text is made from when the native form is refused.
    pub message: Message,
    /// The replacement, if the template has one for the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<Native>,
    /// What went wrong in rendering: then this is the default message instead, or a part of the template's own was
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How many values were printed that the event doesn't have; each is empty in the message.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undefined: u32,
    /// The file that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
}

/// A file that goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name, safe on every system.
    pub name: String,
    /// What stands in it: a table as [`csv`] writes it.
    pub text: String,
}

impl Rendered {
    /// What says nothing, where nothing can be said.
    pub fn nothing() -> Self {
        let message = Message {
            title: String::new(),
            severity: Severity::default(),
            link: None,
            fields: Vec::new(),
            image: None,
            body: Vec::new(),
        };
        Self { message, native: None, problem: None, undefined: 0, file: None }
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
