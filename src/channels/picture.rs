//! How a message looks where it arrives: from a channel's request to a picture for a page and the terminal.
//!
//! A picture is a likeness, not the service's own rendering: headings, text, facts, links and the accent colour. It is
//! made of the bytes that go over the wire, and of nothing else; all of them is escaped before it stands in a page. Pure.

use serde_json::Value;

use crate::channels::{ChannelKind, Request};
use crate::message::html::escape;

/// How the messages of a kind of channel look.
#[derive(Debug, Clone, Copy)]
pub struct Likeness {
    /// What stands around them.
    pub dress: Dress,
    /// Draws a request that is not [`Request::Nothing`].
    pub draw: fn(&Request) -> Picture,
}

/// What stands around a message on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// A chat's post, with who says it and a stripe at its side.
    Chat,
    /// The same on the dark ground that the chat's users know.
    DarkChat,
    /// A mail.
    Mail,
    /// An incident or alert.
    Incident,
    /// A call of a program.
    Call,
}

impl ChannelKind {
    /// What a request looks like; `None` where nothing is sent.
    pub fn picture(&self, request: &Request) -> Option<Picture> {
        (!matches!(request, Request::Nothing)).then(|| (self.likeness.draw)(request))
    }

    /// The picture in the dress of its channel, as HTML.
    pub fn dressed(&self, picture: &Picture) -> String {
        let accent = picture.colour().unwrap_or("#8a8a99");
        let title = escape(&picture.title);
        let html = &picture.html;
        match self.likeness.dress {
            Dress::Chat | Dress::DarkChat => format!(
                "<div class=\"chat{}\"><i>F</i><div><p class=\"who\"><b>Fanfare</b><small>APP</small></p>\
                 <div class=\"embed\" style=\"border-left-color:{accent}\"><h3>{title}</h3>{html}</div></div></div>",
                if self.likeness.dress == Dress::DarkChat { " dark" } else { "" }
            ),
            Dress::Mail => {
                format!("<div class=\"mail\"><p class=\"who\"><b>Fanfare</b></p><h3>{title}</h3>{html}</div>")
            }
            Dress::Incident => {
                format!("<div class=\"incident\" style=\"border-top-color:{accent}\"><h3>{title}</h3>{html}</div>")
            }
            Dress::Call => format!("<div class=\"call\"><h3>{title}</h3>{html}</div>"),
        }
    }
}

/// The JSON of an HTTP request; null where it has none.
pub(super) fn document(request: &Request) -> Value {
    request.body().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
}

/// A likeness of one message.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The line that one reads first.
    pub title: String,
    /// The colour at its side, as CSS; empty for none.
    pub accent: String,
    /// What stands below the title, as plain text.
    pub text: Vec<String>,
    /// The same as HTML.
    pub html: String,
    /// The whole document, where the message is one: a mail's HTML, for a frame of its own.
    pub document: Option<String>,
}

impl Picture {
    /// The accent, if it is a colour and nothing that could be more than one.
    pub fn colour(&self) -> Option<&str> {
        let digits = self.accent.strip_prefix('#')?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(self.accent.as_str())
    }

    /// Adds lines of text, with their HTML.
    pub(super) fn line(&mut self, plain: impl Into<String>, html: &str) {
        let plain = plain.into();
        if !plain.trim().is_empty() {
            self.text.extend(plain.lines().map(str::to_owned));
            self.html.push_str(html);
        }
    }

    /// Adds a paragraph.
    pub(super) fn plain(&mut self, text: &str) {
        self.line(text, &format!("<p>{}</p>", escape(text).replace('\n', "<br>")));
    }

    /// Adds a name with its value.
    pub(super) fn fact(&mut self, name: &str, value: &str) {
        let html = format!("<p><span class=\"name\">{}</span> {}</p>", escape(name), escape(value));
        self.line(format!("{name}: {value}"), &html);
    }

    /// Adds a link, as a button.
    pub(super) fn link(&mut self, text: &str, url: &str) {
        let html = format!("<p><span class=\"button\" title=\"{}\">{}</span></p>", escape(url), escape(text));
        self.line(format!("[{text}] {url}"), &html);
    }
}

/// The text under a key, or none.
pub(super) fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// The items of the list under a key, or none.
pub(super) fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}
