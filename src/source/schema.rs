//! A source as JSON Schema, for editors: made from the tables of its keys, presets and schemes. Pure.

use serde_json::{Value, json};

use crate::source::parse::{HMAC_KEYS, KEYS};
use crate::source::presets::PRESETS;
use crate::source::scheme::{Algorithm, Encoding};
use crate::yaml::schema::{any_number, described, object, one_or_more, pattern, text, with, words};

/// The schema of a source. A value that holds a `${…}` may be anything.
pub fn schema() -> Value {
    let keys = |keys: &'static [(&'static str, &'static str)]| {
        keys.iter().map(|(key, doc)| (*key, described(takes(key), &sentence(doc))))
    };
    let plain = object(keys(KEYS), &["preset", "secrets"]);
    let hmac = object(keys(KEYS).chain(keys(HMAC_KEYS)), &["preset", "secrets"]);
    let is_hmac = json!({"properties": {"preset": {"const": "hmac"}}, "required": ["preset"]});
    json!({
        "description": "A sender: who it is, where it posts to, its secrets.",
        "if": is_hmac,
        "then": hmac,
        "else": plain,
    })
}

fn takes(key: &str) -> Value {
    match key {
        "preset" => {
            let each = PRESETS.iter().map(|preset| described(json!({"const": preset.name}), &sentence(preset.doc)));
            json!({"anyOf": each.chain([placeholder()]).collect::<Vec<_>>()})
        }
        "path" => or_placeholder(pattern("^(/[A-Za-z0-9._~-]+)+$")),
        "secrets" => one_or_more(text()),
        "tolerance" => with(or_placeholder(crate::yaml::schema::span()), json!({"default": "3h"})),
        "accept" => any_number(or_placeholder(words(["raw", "json_stringify"]))),
        "max_body" => with(or_placeholder(size()), json!({"default": "1MiB"})),
        "unsigned" => any_number(or_placeholder(pattern(r"^[^*?{!]+$"))),
        "api_url" => or_placeholder(pattern("^https?://")),
        "backfill" => or_placeholder(words(["auto", "manual"])),
        "algorithm" => or_placeholder(words(Algorithm::ALL.map(|(name, _)| name))),
        "encoding" => or_placeholder(words(Encoding::ALL.map(|(name, _)| name))),
        _ => text(),
    }
}

fn size() -> Value {
    json!({"type": ["string", "integer"], "pattern": r"^\s*[0-9]+\s*([Bb]|[KkMm][Ii]?[Bb])?\s*$"})
}

fn placeholder() -> Value {
    pattern(r"\$\{")
}

fn or_placeholder(schema: Value) -> Value {
    json!({"anyOf": [schema, placeholder()]})
}

fn sentence(doc: &str) -> String {
    let mut chars = doc.chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
