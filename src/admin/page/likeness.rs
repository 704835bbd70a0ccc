//! A message as people see it where it went: its title, its words, its facts. Every text is escaped here, and a picture is
//! a link, since the page asks nobody else for anything.

use serde_json::{Value, json};

use crate::admin::page::markup;
use crate::channels::{Dress, Request};
use crate::config::Destination;
use crate::message::html::escape;
use crate::message::{Block, Inline, Native, Rendered};

/// The message, for a template.
pub(super) fn of(rendered: &Rendered) -> Value {
    let message = &rendered.message;
    let mut body = String::new();
    blocks(&message.body, &mut body);
    let native = rendered.native.as_ref().map(|native| match native {
        Native::Json(document) => serde_json::to_string_pretty(document).unwrap_or_default(),
        Native::Html(html) => html.clone(),
    });
    json!({
        "title": message.title,
        "severity": message.severity,
        "link": message.link,
        "image": message.image,
        "fields": message.fields.iter().map(|field| json!({"name": field.name, "value": field.value})).collect::<Vec<_>>(),
        "body": markup(body),
        "native": native,
        "problem": rendered.problem,
    })
}

/// What a request looks like where it arrives, without secrets; a mail as its text, since its own styles are not allowed here.
pub(super) fn of_request(destination: &Destination, request: &Request) -> Value {
    let Some(picture) = destination.kind.picture(request) else { return Value::Null };
    let (dress, body) = match destination.kind.likeness.dress {
        Dress::Mail => ("mail", format!("<pre>{}</pre>", escape(&picture.text.join("\n")))),
        Dress::Chat => ("chat", picture.html),
        Dress::DarkChat => ("chat dark", picture.html),
        Dress::Incident => ("incident", picture.html),
        Dress::Call => ("call", picture.html),
    };
    let redact = |text: &str| destination.redactor.redact(text);
    json!({"title": redact(&picture.title), "dress": dress, "body": markup(redact(&body))})
}

fn blocks(all: &[Block], out: &mut String) {
    for block in all {
        match block {
            Block::Heading(_, inner) => element("h4", inner, out),
            Block::Paragraph(inner) => element("p", inner, out),
            Block::Bullets(items) => list("ul", items, out),
            Block::Numbered(_, items) => list("ol", items, out),
            Block::Quote(inner) => {
                out.push_str("<blockquote>");
                blocks(inner, out);
                out.push_str("</blockquote>");
            }
            Block::Code(_, text) => out.push_str(&format!("<pre>{}</pre>", escape(text))),
            Block::Table(head, rows) => table(head, rows, out),
            Block::Rule => out.push_str("<hr>"),
        }
    }
}

fn list(name: &str, items: &[Vec<Block>], out: &mut String) {
    out.push_str(&format!("<{name}>"));
    for item in items {
        out.push_str("<li>");
        blocks(item, out);
        out.push_str("</li>");
    }
    out.push_str(&format!("</{name}>"));
}

fn table(head: &[Vec<Inline>], rows: &[Vec<Vec<Inline>>], out: &mut String) {
    out.push_str("<table><thead><tr>");
    head.iter().for_each(|cell| element("th", cell, out));
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| element("td", cell, out));
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
}

fn element(name: &str, inner: &[Inline], out: &mut String) {
    out.push_str(&format!("<{name}>"));
    inlines(inner, out);
    out.push_str(&format!("</{name}>"));
}

fn inlines(all: &[Inline], out: &mut String) {
    for inline in all {
        match inline {
            Inline::Text(text) => out.push_str(&escape(text)),
            Inline::Emphasis(inner) => element("em", inner, out),
            Inline::Strong(inner) => element("strong", inner, out),
            Inline::Strike(inner) => element("s", inner, out),
            Inline::Code(text) => out.push_str(&format!("<code>{}</code>", escape(text))),
            Inline::Link(target, inner) => {
                out.push_str(&format!("<a rel=\"noreferrer noopener\" href=\"{}\">", escape(target)));
                inlines(inner, out);
                out.push_str("</a>");
            }
            Inline::Break => out.push_str("<br>"),
        }
    }
}
