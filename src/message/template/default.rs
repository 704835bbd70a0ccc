//! The message for an event that nobody wrote one for: its type in words, the most telling of what it holds, short
//! facts. Good for any event; a raw dump only where there is nothing else.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::decimal::Decimal;
use crate::delivery::Severity;
use crate::event::{Event, OWN_SOURCE};
use crate::locale::{self, Locale, fill};
use crate::message::link::{self, LinkPart};
use crate::message::template::context::{Context, Told as Held};
use crate::message::template::filters;
use crate::message::{Block, Field, Inline, Message, fit, text};

/// The most facts.
const FIELDS_MAX: usize = 8;
/// The longest fact, in characters.
const FACT_MAX: usize = 120;
/// The longest that a part of a title may be.
const SUBJECT_MAX: usize = 100;
/// What the amount that an event is about may be called.
const AMOUNTS: [&str; 3] = ["amount", "total", "total_amount"];
/// The longest raw dump.
const DUMP_MAX: usize = 1500;

/// The message for one event.
pub(crate) fn message(context: &Context<'_>) -> Message {
    let told = Told::of(context.event, &context.names, context.locale);
    let mut body = Vec::new();
    if told.subject.is_none() && told.fields.is_empty() {
        body.extend(dump(context.event));
    }
    if context.suppressed > 0 {
        let forms = context.locale.words.dropped;
        let note = fill(locale::counted(forms, context.suppressed), &[&context.suppressed.to_string()]);
        body.push(Block::Paragraph(vec![Inline::Text(note)]));
    }
    Message {
        title: told.title(),
        severity: severity(context.event),
        link: told.link.or_else(|| admin_link(context.event, context.admin_url)),
        fields: told.fields,
        image: told.picture,
        body,
    }
}

/// The message for several: the title of each with its link, where they were messages that waited; else what each event
/// is about.
pub(crate) fn summary(context: &Context<'_>) -> Message {
    let mut items: Vec<Vec<Block>> = match context.parts.is_empty() {
        true => context.events.iter().map(|event| about(event, context)).collect(),
        false => context.parts.iter().map(|part| item(part.message.title.clone(), line_link(part))).collect(),
    };
    let count = items.len() as u64 + context.more;
    if context.more > 0 {
        items.push(vec![Block::Paragraph(vec![Inline::Text(context.locale.and_more(context.more))])]);
    }
    let severities = context.parts.iter().map(|part| part.message.severity);
    let severity = match context.parts.is_empty() {
        true => context.events.iter().map(|event| severity(event)).max(),
        false => severities.max(),
    };
    Message {
        title: text::one_line(&summary_title(context, count)),
        severity: severity.unwrap_or_default(),
        link: None,
        fields: Vec::new(),
        image: None,
        body: if items.is_empty() { Vec::new() } else { vec![Block::Bullets(items)] },
    }
}

/// `3 × Release live`, where that is what they are: as many events as messages, all of one type, and none of them told
/// before.
fn summary_title(context: &Context<'_>, count: u64) -> String {
    let same = context.events.iter().all(|event| event.kind == context.event.kind);
    let is_of_events = context.parts.is_empty();
    let anew = context.parts.len() == context.events.len() && !context.parts.iter().any(|part| part.reminder);
    let words = &context.locale.words;
    match count.to_string() {
        count if same && (is_of_events || anew) => {
            format!("{count} × {}", sentence(&context.event.kind, context.locale))
        }
        shown if is_of_events && context.outside => format!("{shown} × {}", words.event),
        shown if is_of_events => fill(words.events_for, &[&shown, context.rule]),
        shown => fill(locale::counted(words.held, count), &[&shown]),
    }
}

/// What an event is about, with its link.
fn about(event: &Event, context: &Context<'_>) -> Vec<Block> {
    let none = Map::new();
    // The names were looked up in the newest only.
    let names = if std::ptr::eq(event, context.event) { &context.names } else { &none };
    let told = Told::of(event, names, context.locale);
    let link = told.link.clone().or_else(|| admin_link(event, context.admin_url));
    item(told.title(), link)
}

fn line_link(part: &Held) -> Option<String> {
    part.message.link.clone().or_else(|| part.page.clone())
}

fn item(title: String, link: Option<String>) -> Vec<Block> {
    let title = vec![Inline::Text(title)];
    vec![Block::Paragraph(match link {
        Some(link) => vec![Inline::Link(link, title)],
        None => title,
    })]
}

/// The default message in the place of one that failed, with the reason.
pub(crate) fn instead(context: &Context<'_>, reason: &str) -> Message {
    let mut message =
        if context.events.len() > 1 || !context.parts.is_empty() { summary(context) } else { message(context) };
    if context.outside {
        return message;
    }
    let note = format!("{}: {}", context.locale.words.replaces, text::one_line(reason));
    message.body.push(Block::Paragraph(vec![Inline::Emphasis(vec![Inline::Text(note)])]));
    message
}

/// The title for a message that has none.
pub(crate) fn title(context: &Context<'_>) -> String {
    Told::of(context.event, &context.names, context.locale).title()
}

/// An event for a list: its type in words, and what it is about, such as `Lanterns by Ólöf Brim`, if it names that.
pub(crate) fn subject(event: &Event, names: &Map<String, Value>) -> (String, Option<String>) {
    let Told { kind, subject, .. } = Told::of(event, names, locale::english());
    (kind, subject)
}

/// What an event reports itself.
struct Told {
    /// The type in words.
    kind: String,
    /// What it is about, in a few words.
    subject: Option<String>,
    fields: Vec<Field>,
    /// The first link that is no picture.
    link: Option<String>,
    /// The first link to a picture.
    picture: Option<String>,
}

/// What is found in an event's data.
struct Found {
    locale: &'static Locale,
    facts: Vec<Fact>,
    /// Where each fact stands, by its key.
    known: HashMap<String, usize>,
    link: Option<String>,
    picture: Option<String>,
}

/// A fact: its key, the humanised name, the text.
struct Fact {
    key: String,
    text: String,
}

impl Told {
    fn of(event: &Event, names: &Map<String, Value>, locale: &'static Locale) -> Self {
        let mut found = Found::new(locale);
        if let Value::Object(data) = event.data() {
            found.collect(data, true);
        }
        let Found { facts, known, link, picture, .. } = found;
        let (mut used, mut said) = (HashSet::<&str>::new(), HashSet::<String>::new());
        let mut pick = |keys: &[&'static str]| {
            let found = keys.iter().find_map(|key| {
                let named = names.get(*key).and_then(|value| scalar(value, locale)).filter(|text| !text.is_empty());
                named.or_else(|| Some(facts.get(*known.get(*key)?)?.text.clone()))
            })?;
            used.extend(keys);
            let shown = fit::text(&found, SUBJECT_MAX, fit::chars);
            // Whatever else says the same is said already.
            said.insert(found);
            Some(shown)
        };
        let title = pick(&["title", "track_title", "release_title", "name", "subject"]);
        let artist = pick(&["artist", "artist_name", "artistName", "primary_artist"]);
        let amount = pick(&AMOUNTS).and_then(|text| Decimal::parse_grouped(&text));
        let currency = if amount.is_some() { pick(&["currency", "currency_code"]) } else { None };
        let reason = pick(&["reason", "error", "message", "failure_reason"]);
        let mut parts = Vec::new();
        match (title, artist) {
            (Some(title), Some(artist)) => parts.push(fill(locale.words.by, &[&title, &artist])),
            (title, artist) => parts.extend(title.or(artist)),
        }
        parts.extend(amount.map(|amount| filters::amount(&amount, currency.as_deref().unwrap_or_default(), locale)));
        parts.extend(reason);
        let fields = facts
            .into_iter()
            .filter(|fact| !used.contains(fact.key.as_str()) && !said.contains(&fact.text))
            .map(|fact| Field { name: label(&fact.key, locale), value: fit::text(&fact.text, FACT_MAX, fit::chars) })
            .take(FIELDS_MAX)
            .collect();
        let subject = (!parts.is_empty()).then(|| text::one_line(&parts.join(", ")));
        Self { kind: sentence(&event.kind, locale), subject, fields, link, picture }
    }

    fn title(&self) -> String {
        match &self.subject {
            Some(subject) => format!("{}: {subject}", self.kind),
            // An id is better than nothing to tell one from the other.
            None => match self.fields.iter().find(|field| field.name.ends_with("ID")) {
                Some(id) => format!("{}: {}", self.kind, id.value),
                None => self.kind.clone(),
            },
        }
    }
}

impl Found {
    fn new(locale: &'static Locale) -> Self {
        Self { locale, facts: Vec::new(), known: HashMap::new(), link: None, picture: None }
    }

    /// The short facts of `data`, and of the mappings in it, one level deep; and the first link and picture.
    fn collect(&mut self, data: &Map<String, Value>, deeper: bool) {
        for (key, value) in data {
            if let Value::String(url) = value
                && (url.starts_with("https://") || url.starts_with("http://"))
            {
                let place = if is_picture(key, url) { &mut self.picture } else { &mut self.link };
                if place.is_none() {
                    *place = link::target(&[LinkPart::Value(url)]).ok();
                }
                continue;
            }
            let text = match value {
                Value::Object(inner) => match sum(inner, self.locale).filter(|_| !AMOUNTS.contains(&key.as_str())) {
                    Some(sum) => Some(sum),
                    None => {
                        if deeper {
                            self.collect(inner, false);
                        }
                        continue;
                    }
                },
                Value::Array(items) => listed(items, self.locale),
                other => scalar(other, self.locale),
            };
            if let Some(text) = text.filter(|text| !text.is_empty() && !self.known.contains_key(key)) {
                self.known.insert(key.clone(), self.facts.len());
                self.facts.push(Fact { key: key.clone(), text });
            }
        }
    }
}

/// Whether a link leads to a picture: by what it is called, or how it ends.
fn is_picture(key: &str, url: &str) -> bool {
    const CALLED: [&str; 5] = ["artwork", "cover", "image", "picture", "thumbnail"];
    const ENDINGS: [&str; 5] = [".jpg", ".jpeg", ".png", ".gif", ".webp"];
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    words(key).iter().any(|word| CALLED.contains(&word.as_str())) || ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// What is nothing but an amount with its currency. Under a name of its own, such as `withheld`, it is a fact of its own,
/// and not the amount that the event is about.
fn sum(map: &Map<String, Value>, locale: &'static Locale) -> Option<String> {
    let (amount, currency) = match (map.get("amount").or_else(|| map.get("value")), map.get("currency")) {
        (Some(amount), Some(currency)) if map.len() == 2 => (scalar(amount, locale)?, scalar(currency, locale)?),
        _ => return None,
    };
    Some(filters::amount(&Decimal::parse_grouped(&amount)?, &currency, locale))
}

/// A scalar as people read it.
fn scalar(value: &Value, locale: &Locale) -> Option<String> {
    match value {
        Value::String(text) => Some(text::one_line(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => {
            let [yes, no] = locale.words.truth;
            Some(if *truth { yes } else { no }.to_owned())
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A short list: its scalars, or the names of what is in it, with how each stands.
fn listed(items: &[Value], locale: &Locale) -> Option<String> {
    const SHOWN: usize = 6;
    let mut words = Vec::new();
    for item in items.iter().take(SHOWN) {
        words.push(match item {
            Value::Object(map) => {
                let named = |keys: [&str; 3]| keys.iter().find_map(|key| scalar(map.get(*key)?, locale));
                let name = named(["name", "title", "id"])?;
                match named(["status", "state", "role"]) {
                    Some(status) => format!("{name} ({status})"),
                    None => name,
                }
            }
            other => scalar(other, locale)?,
        });
    }
    if items.len() > SHOWN {
        words.push(fill(locale.words.more, &[&(items.len() - SHOWN).to_string()]));
    }
    Some(words.join(", "))
}

/// `royalty.payment.completed` as `Royalty payment completed`.
fn sentence(kind: &str, locale: &Locale) -> String {
    let own = kind.strip_prefix("fanfare.").filter(|_| kind != crate::event::UNPARSED);
    let words = words(own.unwrap_or(kind)).join(" ");
    let words = text::one_line(&words);
    let words = fit::text(if words.is_empty() { locale.words.event } else { &words }, SUBJECT_MAX, fit::chars);
    match own {
        Some(_) => format!("Fanfare: {words}"),
        None => capital(&words),
    }
}

/// `release_id` as `Release ID`.
fn label(key: &str, locale: &Locale) -> String {
    const ACRONYMS: [&str; 10] = ["id", "isrc", "upc", "url", "ip", "iswc", "ean", "api", "bpm", "usd"];
    let words: Vec<String> = words(key)
        .into_iter()
        .map(|word| if ACRONYMS.contains(&word.as_str()) { word.to_uppercase() } else { word })
        .collect();
    let label = capital(&text::one_line(&words.join(" ")));
    fit::text(if label.is_empty() { locale.words.value } else { &label }, 60, fit::chars)
}

/// The words of a name in `snake_case`, `kebab-case`, `camelCase` or with dots, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_lower = false;
    for c in name.chars() {
        let ends = matches!(c, '.' | '_' | '-' | '/' | ':') || c.is_whitespace() || (c.is_uppercase() && before_lower);
        if ends && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if (c.is_alphanumeric() || !matches!(c, '.' | '_' | '-' | '/' | ':'))
            && !c.is_whitespace()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// How much an event matters, by the words it uses of itself; `info` where none is well known.
fn severity(event: &Event) -> Severity {
    let data = event.data();
    let said = ["severity", "level", "priority", "risk"].iter().find_map(|key| data.get(*key)?.as_str());
    if let Some(severity) = said.and_then(|word| severity_of_word(&word.to_lowercase())) {
        return severity;
    }
    let words = words(&event.kind);
    let says = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    // In this order: `fraud.resolved` is good news, for all that it is about fraud.
    if says(&["resolved", "recovered"]) {
        Severity::Success
    } else if says(&["critical", "fatal", "emergency"]) {
        Severity::Critical
    } else if says(&["failed", "failing", "failure", "error", "rejected", "dead", "suspicious", "fraud"])
        || says(&["exceeded", "expired", "denied", "blocked", "unparsed"])
    {
        Severity::Warning
    } else if says(&["live", "completed", "approved", "released", "succeeded", "success"]) {
        Severity::Success
    } else {
        Severity::Info
    }
}

fn severity_of_word(word: &str) -> Option<Severity> {
    Some(match word {
        "critical" | "fatal" | "emergency" | "urgent" | "p1" | "sev1" => Severity::Critical,
        "high" | "error" | "major" | "medium" | "moderate" | "warning" | "warn" => Severity::Warning,
        "low" | "minor" | "info" | "informational" | "notice" | "none" => Severity::Info,
        "success" | "ok" => Severity::Success,
        _ => return None,
    })
}

/// The event's page, on the admin page.
pub(crate) fn admin_link(event: &Event, admin_url: Option<&str>) -> Option<String> {
    if &*event.source == OWN_SOURCE && event.id.as_str().is_empty() {
        return None;
    }
    let base = format!("{}/events/", admin_url?.trim_end_matches('/'));
    link::target(&[LinkPart::Raw(&base), LinkPart::Value(event.id.as_str())]).ok()
}

/// The body as it came, where there is nothing better.
fn dump(event: &Event) -> Option<Block> {
    let body = match &event.body {
        Value::Null => String::from_utf8_lossy(&event.raw).into_owned(),
        Value::Object(map)
            if map.keys().all(|key| matches!(key.as_str(), "id" | "type" | "created" | "event" | "timestamp")) =>
        {
            return None;
        }
        body => {
            serde_json::to_string_pretty(event.body.get("data").filter(|data| !data.is_null()).unwrap_or(body)).ok()?
        }
    };
    let code = fit::text(text::clean(&body).trim(), DUMP_MAX, fit::chars);
    (!code.is_empty() && code != "{}").then(|| Block::Code(String::new(), code))
}
