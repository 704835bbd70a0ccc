//! A message as one embed of Discord. Pure. Limits after discord.com/developers/docs, "Message".

use serde_json::{Map, Value, json};

use crate::channels::discord::markdown;
use crate::channels::{Limit, Sending, words};
use crate::message::{Field, fit, text};

pub const TITLE: Limit = Limit::characters("an embed's `title`", 256);
pub const DESCRIPTION: Limit = Limit::characters("an embed's `description`", 4096);
pub const FIELDS: Limit = Limit::items("an embed's `fields`", 25);
pub const NAME: Limit = Limit::characters("a field's `name`", 256);
pub const VALUE: Limit = Limit::characters("a field's `value`", 1024);
pub const FOOTER: Limit = Limit::characters("an embed's footer", 2048);
pub const URL: Limit = Limit::characters("a URL", 2048);
pub const SUM: Limit = Limit::characters("all texts of all embeds", 6000);
/// What many fields leave to the description at least.
const DESCRIPTION_MIN: usize = 2000;
/// Short values stand side by side.
const INLINE_MAX: usize = 40;

/// The message as an embed. Title, footer and fields come first, and the description has the rest.
pub fn of(sending: &Sending<'_>) -> Value {
    let message = &sending.rendered.message;
    let mut embed = Map::new();
    let title = markdown::escape_within(&words::title(sending), TITLE.max);
    // Fans read there as well as a team.
    let footer = words::footer(sending, false).map(|footer| words::short(&footer, FOOTER.max));
    let mut room = SUM.max.saturating_sub(fit::utf16(&title) + footer.as_deref().map_or(0, fit::utf16));
    let body_wants = fit::utf16(&markdown::DIALECT.render(&message.body)).min(DESCRIPTION_MIN);
    let (fields, taken) = fields(&message.fields, room.saturating_sub(body_wants));
    room = room.saturating_sub(taken);
    let links = links(sending);
    let room = room.min(DESCRIPTION.max).saturating_sub(fit::utf16(&links));
    let mut description = markdown::DIALECT.render_within(&message.body, room);
    // At the end, where the body's own markup can't reach it.
    description.push_str(if description.is_empty() { links.trim_start() } else { &links });

    embed.insert("title".into(), title.into());
    if let Some(link) = usable(&message.link) {
        embed.insert("url".into(), link.into());
    }
    if !description.is_empty() {
        embed.insert("description".into(), description.into());
    }
    embed.insert("color".into(), words::colour(sending).into());
    if !fields.is_empty() {
        embed.insert("fields".into(), fields.into());
    }
    if let Some(image) = usable(&message.image) {
        embed.insert("image".into(), json!({"url": image}));
    }
    if let Some(footer) = footer {
        embed.insert("footer".into(), json!({"text": footer}));
    }
    embed.insert("timestamp".into(), sending.planned.to_string().into());
    Value::Object(embed)
}

/// What people can do about the case, in a paragraph of its own.
fn links(sending: &Sending<'_>) -> String {
    let all: Vec<String> = sending.links.iter().map(|button| format!("[{}]({})", button.label, button.url)).collect();
    if all.is_empty() { String::new() } else { format!("\n\n{}", all.join(" · ")) }
}

fn usable(url: &Option<String>) -> Option<&str> {
    url.as_deref().filter(|url| fit::utf16(url) <= URL.max)
}

/// As many fields as there is room for, and what they take of it. Discord refuses an empty name or value.
fn fields(fields: &[Field], room: usize) -> (Vec<Value>, usize) {
    const MORE: &str = "…";
    let shown = |text: &str, max| match markdown::escape_within(text.trim(), max) {
        text if text.is_empty() => "–".to_owned(),
        text => text,
    };
    let mut taken = 0;
    let mut all = Vec::new();
    for (nth, field) in fields.iter().enumerate() {
        let name = shown(&text::one_line(&field.name), NAME.max);
        let value = shown(&field.value, VALUE.max);
        let size = fit::utf16(&name) + fit::utf16(&value);
        let left = fields.len() - nth;
        let more = format!("and {left} more");
        if (all.len() + 1 == FIELDS.max && left > 1) || taken + size + MORE.len() + more.len() > room {
            taken += fit::utf16(MORE) + more.len();
            all.push(json!({"name": MORE, "value": more, "inline": false}));
            break;
        }
        taken += size;
        let is_short = fit::utf16(&value) <= INLINE_MAX && !value.contains('\n');
        all.push(json!({"name": name, "value": value, "inline": is_short}));
    }
    (all, taken)
}
