//! The words that the channels for people share: a title that is never empty, the line that says where a message comes
//! from, the mark of a closed case.
//!
//! Pure. Plain text only: each channel escapes it in its own way.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

use crate::channels::{Footer, Sending};
use crate::delivery::{MessageOp, Severity};
use crate::locale::{Locale, fill};
use crate::message::{Field, fit, plain, text};
use crate::secret::Secret;

/// The rule's name, for a team.
pub fn rule<'s>(sending: &Sending<'s>) -> Option<&'s str> {
    Some(sending.rule).filter(|_| !sending.outside)
}

/// The title in one line; the rule's name where the message has none, or the event's type for people outside.
pub fn title(sending: &Sending<'_>) -> String {
    let title = text::one_line(&sending.rendered.message.title);
    let title =
        if title.is_empty() { text::one_line(rule(sending).unwrap_or(event_text(sending, "type"))) } else { title };
    if sending.act == MessageOp::Close { format!("{}: {title}", sending.locale.words.closed) } else { title }
}

/// What stands for the severity: read at a glance, and without telling colours apart.
pub fn sign(sending: &Sending<'_>) -> &'static str {
    match sending.rendered.message.severity {
        _ if sending.act == MessageOp::Close => "☑️",
        Severity::Info => "🔵",
        Severity::Success => "✅",
        Severity::Warning => "⚠️",
        Severity::Critical => "🚨",
    }
}

/// Title, body and fields as plain text, each on lines of its own.
pub fn plain(sending: &Sending<'_>) -> String {
    let message = &sending.rendered.message;
    let parts = [title(sending), plain::blocks(&message.body).trim().to_owned(), facts(&message.fields)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Fields as plain text, a line each.
pub fn facts(fields: &[Field]) -> String {
    let line = |field: &Field| format!("{}: {}", or_dash(&field.name), or_dash(&field.value));
    fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Where it comes from: `critical · fraud-needs-a-person · fraud.action_required`.
fn origin(sending: &Sending<'_>) -> String {
    let severity = sending.rendered.message.severity.name();
    let kind = event_text(sending, "type");
    let parts = [severity, rule(sending).unwrap_or_default(), kind];
    let parts: Vec<String> = parts.iter().map(|part| text::one_line(part)).filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

/// What stands below the message, in one line; by default where it comes from, for a team, and nothing for others.
pub fn footer(sending: &Sending<'_>, is_team: bool) -> Option<String> {
    match sending.footer {
        Footer::Usual => is_team.then(|| origin(sending)),
        Footer::None => None,
        Footer::Text(footer) => Some(text::one_line(footer)).filter(|footer| !footer.is_empty()),
    }
}

/// A text of the event: `source`, `type`, `created`; empty if it isn't there.
pub fn event_text<'s>(sending: &Sending<'s>, key: &str) -> &'s str {
    sending.event.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What a link says that has no text of its own: where it leads, so that nobody is led elsewhere.
pub fn link_text(locale: &Locale, link: &str) -> String {
    let url = Url::parse(link).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().trim_start_matches("www.");
    fill(locale.words.open_on, &[host])
}

/// A text in one line; a dash where there is none, since services refuse empty texts.
pub fn or_dash(text: &str) -> String {
    match text::one_line(text) {
        text if text.is_empty() => "–".to_owned(),
        text => text,
    }
}

/// At most `max` UTF-16 units of the text: as services count, or stricter.
pub fn short(text: &str, max: usize) -> String {
    fit::text(text, max, fit::utf16)
}

/// What people can do about the case, a line each, as plain text.
pub fn links(sending: &Sending<'_>) -> impl Iterator<Item = String> {
    sending.links.iter().map(|button| format!("{}: {}", button.label, button.url))
}

/// What people can do about the case, then where to look further: what a button says, and where it leads. A link of more
/// than `max` UTF-16 units is left out.
pub fn buttons<'s>(sending: &Sending<'s>, max: usize) -> impl Iterator<Item = (String, &'s str)> {
    let own = sending.links.iter().map(|button| (button.label.clone(), button.url.as_str()));
    let link = sending.rendered.message.link.as_ref().and_then(|link| within(link, max));
    own.chain(link.map(|link| (link_text(sending.locale, link), link)))
}

/// A URL of at most `max` UTF-16 units: a longer one is left out, as a part of it leads elsewhere.
pub fn within(url: &str, max: usize) -> Option<&str> {
    Some(url).filter(|url| fit::utf16(url) <= max)
}

/// The colour that stands for the severity, as 0xRRGGBB.
pub fn colour(sending: &Sending<'_>) -> u32 {
    match sending.rendered.message.severity {
        _ if sending.act == MessageOp::Close => 0x6B_7280,
        Severity::Info => 0x3B_82F6,
        Severity::Success => 0x22_C55E,
        Severity::Warning => 0xF5_9E0B,
        Severity::Critical => 0xDC_2626,
    }
}

/// What a case is known by to a service that takes a key of ours: its lane, or else the delivery; a hash where that has more
/// than `max` UTF-16 units.
pub fn case_key(sending: &Sending<'_>, max: usize) -> String {
    let case = sending.lane.unwrap_or(sending.id.as_str());
    if fit::utf16(case) <= max { case.to_owned() } else { format!("sha256:{}", hex::encode(Sha256::digest(case))) }
}

/// Eight digits of a secret's hash: enough to tell the secrets of one file apart, too few to guess one by.
pub fn mark(secret: &Secret) -> String {
    let digest = hex::encode(Sha256::digest(secret.open()));
    format!("-{}", digest.get(..8).unwrap_or_default())
}

/// Fields as a mapping, for services that show one: 60 of them, with a name of 128 units and a value of 1,024 each.
pub fn named(fields: &[Field]) -> Map<String, Value> {
    const FIELDS_MAX: usize = 60;
    const NAME_MAX: usize = 128;
    const VALUE_MAX: usize = 1024;
    let mut named = Map::new();
    for field in fields.iter().take(FIELDS_MAX) {
        let name = match short(field.name.trim(), NAME_MAX) {
            name if name.is_empty() => "field".to_owned(),
            name => name,
        };
        // Two fields of one name are two facts.
        let mut key = name.clone();
        let mut nth = 2;
        while named.contains_key(&key) {
            key = format!("{name} ({nth})");
            nth += 1;
        }
        named.insert(key, short(&field.value, VALUE_MAX).into());
    }
    if let Some(more) = fields.len().checked_sub(FIELDS_MAX).filter(|more| *more > 0) {
        named.insert("…".into(), format!("and {more} more").into());
    }
    named
}
