//! Slack's text syntax, as far as it is needed: escaping, mentions, and keeping mentions out of an author's own JSON.
//!
//! Pure. Values stand in blocks of `rich_text` and `plain_text`, where nothing is markup and nothing needs an escape;
//! what is left for this syntax is the `text` beside the blocks, and the line of mentions.

use serde_json::{Value, json};

use crate::message::template::native::Spot;
use crate::message::{fit, text};

/// Escaped as docs.slack.dev, "Formatting message text" asks: these three signs and no others. Without a `<`, nothing
/// is a link or a mention.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As much of the text as is at most `max` units long when it is escaped; no entity is cut.
pub fn escape_within(text: &str, max: usize) -> String {
    escape(&fit::text(text, max, |part| fit::utf16(&escape(part))))
}

/// The mention of a person (`U…`, `W…`), a group (`S…`), or everybody (`here`, `channel`, `everyone`).
pub fn mention(id: &str) -> Option<String> {
    let is_id = id.len() >= 3 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    match id.chars().next() {
        _ if matches!(id, "here" | "channel" | "everyone") => Some(format!("<!{id}>")),
        Some('U' | 'W') if is_id => Some(format!("<@{id}>")),
        Some('S') if is_id => Some(format!("<!subteam^{id}>")),
        _ => None,
    }
}

/// The author's JSON with every mention in it made plain text: in `mrkdwn` and in elements of `rich_text`. A value may
/// stand anywhere in it, and only an action's `mention:` may ping.
pub fn without_mentions(value: &mut Value) {
    match value {
        Value::String(text) => *text = inert(text),
        Value::Array(items) => items.iter_mut().for_each(without_mentions),
        Value::Object(map) => {
            let id = match map.get("type").and_then(Value::as_str) {
                // Nothing is interpreted in these, and an entity would be shown as it is.
                Some("plain_text" | "text") => return,
                Some("user") => map.get("user_id"),
                Some("usergroup") => map.get("usergroup_id"),
                Some("broadcast") => map.get("range"),
                _ => None,
            };
            match id.map(|id| format!("@{}", id.as_str().unwrap_or_default())) {
                Some(text) => *value = json!({"type": "text", "text": text}),
                None => map.values_mut().for_each(without_mentions),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with `<!…>` and `<@…>` escaped, except for dates, which ping nobody.
fn inert(text: &str) -> String {
    let mut parts = text.split('<');
    let mut inert = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let pings = part.starts_with(['!', '@']) && !part.starts_with("!date^");
        if pings {
            inert.push_str("&lt;");
            inert.push_str(&part.replacen('>', "&gt;", 1));
        } else {
            inert.push('<');
            inert.push_str(part);
        }
    }
    inert
}

/// A value in an author's own JSON. Slack reads entities, and markup within `*`, `_`, `~` and backticks, except for `plain_text` and the text of `rich_text`. An
/// invisible space undoes markup; within a word there is none to undo, and an id can be copied.
pub fn escape_value(spot: Spot<'_>, value: &str) -> String {
    let text = text::clean(value);
    if matches!(spot.kind, "plain_text" | "text") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '*' | '_' | '~' if word(before) && word(rest.peek().copied()) => out.push(c),
            '*' | '_' | '~' | '`' => out.extend(['\u{200b}', c, '\u{200b}']),
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}
