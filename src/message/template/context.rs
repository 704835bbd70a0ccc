//! What templates may speak of, as MiniJinja takes it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::Error;
use minijinja::value::{Enumerator, Object, Value};
use serde_json::Map;

use crate::delivery::{CaseFacts, Severity};
use crate::event::Event;
use crate::locale::Locale;
use crate::message::Message;
use crate::message::template::engine::Facts;

/// The names that are the context's own: `names:` in rules may not use them.
pub const WORDS: [&str; 10] = ["event", "data", "case", "rule", "with", "events", "more", "suppressed", "sum", "died"];

/// A held message as a summary reports it.
#[derive(Debug, Clone)]
pub struct Told {
    /// What it would have said by itself.
    pub message: Message,
    /// Whether a timer of its case asked for it.
    pub reminder: bool,
    /// Where the page shows its event, for a message without a link.
    pub page: Option<String>,
}

/// All that a message may speak of.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The event, or a digest's newest.
    pub event: &'a Event,
    /// A digest's or summary's events, oldest first.
    pub events: Vec<&'a Event>,
    /// How many more there were.
    pub more: u64,
    /// How many were held back.
    pub suppressed: u64,
    /// The exact sum with the event, where its rule has one.
    pub sum: Option<&'a str>,
    /// The held messages that a summary reports, oldest first; where it is of events, there are none.
    pub parts: Vec<Told>,
    /// What each of the rules' `names:` selects in the event; null for one that selects nothing, which is then
    /// undefined, and known by its name.
    pub names: Map<String, serde_json::Value>,
    /// The case.
    pub case: Option<CaseFacts>,
    /// The rule's name.
    pub rule: &'a str,
    /// The rule's description.
    pub rule_description: Option<&'a str>,
    /// The action's constants.
    pub with: Map<String, serde_json::Value>,
    /// The action's severity, which wins.
    pub severity: Option<Severity>,
    /// Why the delivery whose fallback this is died.
    pub died: Option<&'a str>,
    /// For `ago`.
    pub now: Timestamp,
    /// For `date` where no zone is named.
    pub zone: TimeZone,
    /// The language of what is not the template's own words, and of the template where there are several.
    pub locale: &'static Locale,
    /// Whether people outside of the team read it: Fanfare adds no rule, file or destination of the team.
    pub outside: bool,
    /// The admin page's URL, for links.
    pub admin_url: Option<&'a str>,
}

impl Context<'_> {
    /// The names and values that templates see.
    pub(crate) fn values(&self, facts: &Facts) -> Vec<(String, Value)> {
        let event = EventObject::of(self.event, facts);
        let data = event.data.clone();
        let events: Vec<Value> =
            self.events.iter().map(|event| Value::from_object(EventObject::of(event, facts))).collect();
        let mut values: Vec<(String, Value)> = Vec::new();
        for (name, value) in &self.names {
            if !value.is_null() && !WORDS.contains(&name.as_str()) {
                values.push((name.clone(), facts.value(value)));
            }
        }
        let rule = Value::from_pairs([
            ("name", Value::from(self.rule)),
            ("description", self.rule_description.map_or(Value::from(()), Value::from)),
        ]);
        values.extend([
            ("event".to_owned(), Value::from_object(event)),
            ("data".to_owned(), data),
            ("rule".to_owned(), rule),
            ("with".to_owned(), facts.mapping(&self.with)),
            ("events".to_owned(), Value::from(events)),
            ("more".to_owned(), Value::from(self.more)),
            ("suppressed".to_owned(), Value::from(self.suppressed)),
        ]);
        if let Some(case) = &self.case {
            values.push(("case".to_owned(), case_value(case)));
        }
        if let Some(sum) = self.sum {
            values.push(("sum".to_owned(), Value::from(sum)));
        }
        if let Some(died) = self.died {
            values.push(("died".to_owned(), Value::from(died)));
        }
        values
    }
}

fn case_value(case: &CaseFacts) -> Value {
    Value::from_pairs([
        ("key", Value::from(case.key.as_str())),
        ("opened", Value::from(case.opened.to_string())),
        ("count", Value::from(case.count)),
        ("last", Value::from(case.last.to_string())),
        ("closed", Value::from(case.closed)),
        ("step", Value::from(case.step)),
        ("overdue", Value::from(case.overdue)),
    ])
}

/// An event as templates see it: `id`, `type`, `source`, `created`, `received`, `body`, `raw`, and its `data`.
#[derive(Debug)]
pub(crate) struct EventObject {
    id: Value,
    kind: Value,
    source: Value,
    created: Value,
    received: Value,
    body: Value,
    raw: Arc<[u8]>,
    data: Value,
}

impl EventObject {
    fn of(event: &Event, facts: &Facts) -> Self {
        let body = facts.value(&event.body);
        let data = match event.body.get("data") {
            Some(serde_json::Value::Object(_)) => body.get_attr("data").unwrap_or_default(),
            _ => body.clone(),
        };
        Self {
            id: Value::from(event.id.as_str()),
            kind: Value::from(&*event.kind),
            source: Value::from(&*event.source),
            created: Value::from(event.created.to_string()),
            received: Value::from(event.received.to_string()),
            body,
            raw: event.raw.clone(),
            data,
        }
    }

    /// What paths read, as [`Event::root`] has it.
    pub fn root(&self, facts: &Facts) -> Result<serde_json::Value, Error> {
        let body = serde_json::from_str(&facts.json(&self.body)?).unwrap_or_default();
        let mut root = match body {
            serde_json::Value::Object(map) => map,
            _ => Map::new(),
        };
        for (name, value) in
            [("id", &self.id), ("type", &self.kind), ("created", &self.created), ("source", &self.source)]
        {
            root.insert(name.to_owned(), serde_json::Value::from(value.to_string()));
        }
        Ok(serde_json::Value::Object(root))
    }
}

/// The keys of an event, in the order in which they print.
pub(crate) const EVENT_KEYS: [&str; 8] = ["id", "type", "source", "created", "received", "data", "body", "raw"];

impl Object for EventObject {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(match key.as_str()? {
            "id" => self.id.clone(),
            "type" => self.kind.clone(),
            "source" => self.source.clone(),
            "created" => self.created.clone(),
            "received" => self.received.clone(),
            "data" => self.data.clone(),
            "body" => self.body.clone(),
            "raw" => Value::from(String::from_utf8_lossy(&self.raw)),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&EVENT_KEYS)
    }
}
