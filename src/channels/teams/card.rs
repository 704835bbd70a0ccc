//! A message as an Adaptive Card, in the envelope that the workflows of Teams read.
//!
//! Pure. Text that may hold a value stands only in `TextRun`s, where Teams reads no Markdown, no link and no mention; the
//! one `TextBlock` of a rich card holds ids of `fanfare.yaml`. Version 1.4, which all clients of Teams draw.

use serde_json::{Map, Value, json};

use crate::channels::picture::{self, Picture, items, text_of};
use crate::channels::runs::{self, Line, Run, Style};
use crate::channels::{Form, Limit, Request, Sending, words};
use crate::delivery::Severity;
use crate::message::{Block, Field, fit};

/// "Message size limit" of the connector. Teams counts it after it has encoded the message anew.
pub const SIZE: Limit = Limit::bytes("the whole message, with 6 bytes for each character beyond ASCII", 28 * 1024);
/// What is left of it by ours: Teams has refused messages of less.
const SIZE_MAX: usize = 18 * 1024;
/// As many as a card shows.
pub const ACTIONS: Limit = Limit::items("the buttons of a card", 6);
/// Ours: characters of a title, of a text for an image, of a URL, of a field's name and value; fields, and the bytes of all.
const TITLE_MAX: usize = 400;
const ALT_MAX: usize = 100;
const URL_MAX: usize = 2048;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 400;
const FIELDS_MAX: usize = 30;
const FIELDS_SIZE_MAX: usize = 6 * 1024;

/// The whole request body.
pub fn of(sending: &Sending<'_>) -> Value {
    let (mentions, entities) = mentions(sending);
    let actions = actions(sending);
    if sending.form == Form::Plain {
        let room = SIZE_MAX - 4096;
        let cost = |part: &str| weight(&Value::from(escape(part)).to_string());
        let said = fit::text(&words::plain(sending), room, cost);
        let body = mentions.into_iter().chain([text_block(&escape(&said))]).collect();
        return envelope(body, actions, entities);
    }
    let head: Vec<Value> = mentions.into_iter().chain([title(sending)]).collect();
    let message = &sending.rendered.message;
    let mut tail = fields(&message.fields);
    tail.extend(image(sending));
    tail.extend(words::footer(sending, true).map(|footer| small(&words::short(&footer, TITLE_MAX))));
    let around = envelope([head.clone(), tail.clone()].concat(), actions.clone(), entities.clone());
    let room = SIZE_MAX.saturating_sub(weight(&around.to_string()));
    envelope([head, body(&message.body, room), tail].concat(), actions, entities)
}

/// The default workflow takes each card out of `attachments`.
fn envelope(body: Vec<Value>, actions: Vec<Value>, entities: Vec<Value>) -> Value {
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    });
    if !actions.is_empty() {
        card["actions"] = actions.into();
    }
    if !entities.is_empty() {
        card["msteams"]["entities"] = entities.into();
    }
    json!({
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card}],
    })
}

/// Bytes, where everything beyond ASCII may be written `\u1234`.
fn weight(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() }).sum()
}

/// A line of mentions, and what makes them mentions.
fn mentions(sending: &Sending<'_>) -> (Option<Value>, Vec<Value>) {
    let said: Vec<String> = sending.mentions.iter().map(|id| format!("<at>{id}</at>")).collect();
    let entity =
        |(id, text): (&String, &String)| json!({"type": "mention", "text": text, "mentioned": {"id": id, "name": id}});
    let entities = sending.mentions.iter().zip(&said).map(entity).collect();
    ((!said.is_empty()).then(|| text_block(&said.join(" "))), entities)
}

fn text_block(text: &str) -> Value {
    json!({"type": "TextBlock", "text": text, "wrap": true})
}

fn title(sending: &Sending<'_>) -> Value {
    let title = format!("{} {}", words::sign(sending), words::title(sending));
    let style = match sending.rendered.message.severity {
        Severity::Info => "accent",
        Severity::Success => "good",
        Severity::Warning => "warning",
        Severity::Critical => "attention",
    };
    let mut run = text_run(&Run::new(words::short(&title, TITLE_MAX), Style::BOLD));
    run.insert("size".into(), "Large".into());
    json!({"type": "Container", "style": style, "bleed": true, "items": [rich(vec![run], true)]})
}

fn body(blocks: &[Block], room: usize) -> Vec<Value> {
    let size = |blocks: &[Block]| weight(&Value::from(render(blocks)).to_string());
    render(&fit::blocks(blocks, room, &size).blocks)
}

fn render(blocks: &[Block]) -> Vec<Value> {
    runs::lines(blocks)
        .iter()
        .map(|line| rich(line.runs.iter().map(|run| run_of(line, run)).collect(), line.begins))
        .collect()
}

fn run_of(line: &Line, run: &Run) -> Map<String, Value> {
    // Teams joins blanks, which hold columns apart.
    let text = if line.is_code { run.text.replace("  ", "\u{a0}\u{a0}") } else { run.text.clone() };
    text_run(&Run { text, ..run.clone() })
}

fn text_run(run: &Run) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("type".into(), "TextRun".into());
    out.insert("text".into(), run.text.as_str().into());
    let Style { bold, italic, strike, code } = run.style;
    let marks: [(bool, &str, Value); 4] = [
        (bold, "weight", "Bolder".into()),
        (italic, "italic", true.into()),
        (strike, "strikethrough", true.into()),
        (code, "fontType", "Monospace".into()),
    ];
    out.extend(marks.into_iter().filter(|(is, ..)| *is).map(|(_, key, value)| (key.to_owned(), value)));
    if let Some(link) = run.link.as_deref().and_then(|url| words::within(url, URL_MAX)) {
        out.insert("selectAction".into(), json!({"type": "Action.OpenUrl", "url": link}));
    }
    out
}

fn rich(inlines: Vec<Map<String, Value>>, begins: bool) -> Value {
    let spacing = if begins { "Default" } else { "None" };
    json!({"type": "RichTextBlock", "inlines": inlines, "spacing": spacing})
}

fn small(text: &str) -> Value {
    let mut run = text_run(&Run::new(text, Style::default()));
    run.insert("size".into(), "Small".into());
    run.insert("isSubtle".into(), true.into());
    rich(vec![run], true)
}

fn fields(fields: &[Field]) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut taken = 0;
    for (nth, field) in fields.iter().enumerate() {
        let name = format!("{}: ", words::short(&words::or_dash(&field.name), NAME_MAX));
        let value = words::short(&words::or_dash(&field.value), VALUE_MAX);
        let inlines = vec![text_run(&Run::new(name, Style::BOLD)), text_run(&Run::new(value, Style::default()))];
        let line = rich(inlines, nth == 0);
        taken += weight(&line.to_string());
        if nth == FIELDS_MAX || taken > FIELDS_SIZE_MAX {
            lines.push(small(&format!("… and {} more", fields.len() - nth)));
            break;
        }
        lines.push(line);
    }
    lines
}

/// Teams shows an image by https only.
fn image(sending: &Sending<'_>) -> Option<Value> {
    let image = sending.rendered.message.image.as_deref().and_then(|url| words::within(url, URL_MAX))?;
    let alt = words::short(&words::title(sending), ALT_MAX);
    image.starts_with("https://").then(|| json!({"type": "Image", "url": image, "altText": alt, "size": "Large"}))
}

/// What people can do about the case, then where to look further.
fn actions(sending: &Sending<'_>) -> Vec<Value> {
    let action = |(title, url): (String, &str)| json!({"type": "Action.OpenUrl", "title": title, "url": url});
    words::buttons(sending, URL_MAX).take(ACTIONS.max).map(action).collect()
}

/// Plain text for a `TextBlock`, whose Markdown takes a backslash before a sign for the sign itself. Each line is a
/// paragraph, as a line break alone is none. No `<at>` is left that a mention of the action's could be taken for.
fn escape(text: &str) -> String {
    const SIGNS: &str = "\\*_[]()`~#<>|!";
    let line = |line: &str| {
        let mut out = String::with_capacity(line.len() + line.len() / 8);
        for (at, c) in line.char_indices() {
            let (before, after) =
                (line.get(..at).unwrap_or_default(), line.get(at + c.len_utf8()..).unwrap_or_default());
            let begins = before.trim().is_empty();
            let is_number = !begins && before.trim().bytes().all(|byte| byte.is_ascii_digit());
            let is_list = (begins && matches!(c, '-' | '+')) || (is_number && c == '.');
            if SIGNS.contains(c) || is_list || (c == ':' && after.starts_with("//")) {
                out.push('\\');
            }
            out.push(c);
            if c == '<' {
                out.push('\u{200b}');
            }
        }
        out
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(line).collect::<Vec<_>>().join("\n\n")
}

/// A card as a picture.
pub fn draw(request: &Request) -> Picture {
    let document = picture::document(request);
    let card = &document["attachments"][0]["content"];
    let mut drawn = Picture::default();
    for element in items(card, "body") {
        match text_of(element, "type") {
            "Container" => {
                drawn.title = items(element, "items").map(said).collect::<Vec<_>>().join(" ");
                drawn.accent = match text_of(element, "style") {
                    "good" => "#1a7f4b",
                    "warning" => "#b26a00",
                    "attention" => "#b3261e",
                    _ => "#4f52b2",
                }
                .into();
            }
            "RichTextBlock" => drawn.plain(&said(element)),
            "TextBlock" => drawn.plain(text_of(element, "text")),
            "Image" => drawn.fact("image", text_of(element, "url")),
            _ => {}
        }
    }
    items(card, "actions").for_each(|action| drawn.link(text_of(action, "title"), text_of(action, "url")));
    drawn
}

fn said(element: &Value) -> String {
    items(element, "inlines").map(|run| text_of(run, "text")).collect()
}
