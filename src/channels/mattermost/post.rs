//! A message as a post of Mattermost: its title as text, and the rest as an attachment with the severity's colour.
//!
//! Pure. The server shows Markdown in all of it but the footer, so every value is escaped.

use serde_json::{Value, json};

use crate::channels::mattermost::markdown::{self, DIALECT, escape_within};
use crate::channels::picture::{self, Picture, items, text_of};
use crate::channels::{Form, Limit, Request, Sending, words};
use crate::message::{Field, fit};

/// The server makes several posts of a longer one.
pub const TEXT: Limit = Limit::characters("a text", 16_383);
/// The server cuts a longer one.
pub const FOOTER: Limit = Limit::characters("an attachment's footer", 300);
/// Ours: of a title, of an attachment's text, of a URL, of a field's name and value, of what notifications say; fields.
const TITLE_MAX: usize = 800;
const BODY_MAX: usize = 12_000;
const URL_MAX: usize = 2048;
const NAME_MAX: usize = 200;
const VALUE_MAX: usize = 800;
const FALLBACK_MAX: usize = 500;
const FIELDS_MAX: usize = 25;
/// Short values stand side by side.
const SHORT_MAX: usize = 40;

/// The mention of a person or group by name, or of everybody.
pub fn mention(id: &str) -> Option<String> {
    let name = id.strip_prefix('@').unwrap_or(id);
    let is_all = matches!(name, "here" | "channel" | "all");
    let is_name = id.starts_with('@')
        && (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    (is_all || is_name).then(|| format!("@{name}"))
}

/// The text and the attachments.
pub fn content(sending: &Sending<'_>) -> (String, Vec<Value>) {
    // An edit notifies nobody.
    let mut text: String = sending.pinged().iter().filter_map(|id| mention(id)).map(|mention| mention + " ").collect();
    if sending.form == Form::Plain {
        // A bare URL would be read as Markdown.
        let tail: String = ways(sending).iter().map(|link| format!("\n{link}")).collect();
        let room = TEXT.max.saturating_sub(fit::utf16(&text) + fit::utf16(&tail));
        text.push_str(&escape_within(&words::plain(sending), room));
        text.push_str(&tail);
        return (text, Vec::new());
    }
    let title = escape_within(&words::title(sending), TITLE_MAX);
    text.push_str(&format!("{} **{title}**", words::sign(sending)));
    (text, vec![attachment(sending)])
}

fn attachment(sending: &Sending<'_>) -> Value {
    let message = &sending.rendered.message;
    let links = links(sending);
    let mut body = DIALECT.render_within(&message.body, BODY_MAX.saturating_sub(fit::utf16(&links)));
    body.push_str(if body.is_empty() { links.trim_start() } else { &links });
    let mut attachment = json!({
        "fallback": words::short(&markdown::quiet(&words::title(sending)), FALLBACK_MAX),
        "color": format!("#{:06X}", words::colour(sending)),
        "text": body,
    });
    if !message.fields.is_empty() {
        attachment["fields"] = fields(&message.fields).into();
    }
    if let Some(image) = message.image.as_deref().and_then(|url| words::within(url, URL_MAX)) {
        attachment["image_url"] = image.into();
    }
    if let Some(footer) = words::footer(sending, true) {
        attachment["footer"] = words::short(&footer, FOOTER.max).into();
    }
    attachment
}

/// What people can do about the case, and where to look further, in a paragraph of its own.
fn links(sending: &Sending<'_>) -> String {
    let all = ways(sending);
    if all.is_empty() { String::new() } else { format!("\n\n{}", all.join(" · ")) }
}

fn ways(sending: &Sending<'_>) -> Vec<String> {
    words::buttons(sending, URL_MAX).map(|(text, url)| DIALECT.link(url, &markdown::escape(&text))).collect()
}

fn fields(fields: &[Field]) -> Vec<Value> {
    let field = |field: &Field| {
        let (name, value) = (words::or_dash(&field.name), words::or_dash(&field.value));
        let is_short = fit::utf16(&value) <= SHORT_MAX;
        json!({
            "title": escape_within(&name, NAME_MAX),
            "value": escape_within(&value, VALUE_MAX),
            "short": is_short,
        })
    };
    let mut all: Vec<Value> = fields.iter().take(FIELDS_MAX).map(field).collect();
    if let Some(more) = fields.len().checked_sub(FIELDS_MAX).filter(|more| *more > 0) {
        all.push(json!({"title": "…", "value": format!("and {more} more"), "short": false}));
    }
    all
}

/// Text and attachments.
pub fn draw(request: &Request) -> Picture {
    let document = picture::document(request);
    let text = document["text"].as_str().unwrap_or_else(|| text_of(&document, "message"));
    let mut drawn = Picture { title: read(text), ..Picture::default() };
    let theirs = if document.get("props").is_some() { &document["props"] } else { &document };
    for attachment in items(theirs, "attachments") {
        text_of(attachment, "color").clone_into(&mut drawn.accent);
        drawn.plain(&read(text_of(attachment, "text")));
        items(attachment, "fields")
            .for_each(|field| drawn.fact(&read(text_of(field, "title")), &read(text_of(field, "value"))));
        if let Some(image) = attachment["image_url"].as_str() {
            drawn.fact("image", image);
        }
        drawn.plain(text_of(attachment, "footer"));
    }
    drawn
}

/// Markdown without its signs: near enough for a likeness.
fn read(markdown: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&#124;", "|"), ("&#36;", "$"), ("&#61;", "="), ("&#58;", ":"), ("&amp;", "&")];
    let text = entities.iter().fold(markdown.replace("**", ""), |text, (entity, sign)| text.replace(entity, sign));
    text.replace(['\\', '\u{200b}'], "")
}
