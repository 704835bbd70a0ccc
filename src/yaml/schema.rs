//! What the values of our files look like as JSON Schema (draft 2020-12): one function for each getter of
//! [`Fields`](super::Fields), so that a schema allows what the reader takes and not more.
//!
//! Editors read schemas to complete and to mark while one types; `check` remains the judge, since a schema sees one file
//! and no path, template or name of another. Each language describes itself (`rules::schema`, `rules::trial::schema`,
//! `source::schema`, `channels::schema`, `config::schema`) with these pieces. Pure.

use serde_json::{Map, Value, json};

/// The dialect that all schemas are written in.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A time span, as [`span_of_time`](super::span_of_time) reads it.
pub const SPAN: &str = r"^\s*([0-9]+(ms|s|m|h|d|w))+\s*$";

/// A date (`2026-03-27`), or a moment with its zone, as times are written in rules.
pub const MOMENT: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$";

/// A text. A number or truth value is taken as it is written, as [`Fields::text`](super::Fields::text) does.
pub fn text() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

/// A text of this form.
pub fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// One of these words.
pub fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Value {
    json!({"enum": words.into_iter().collect::<Vec<_>>()})
}

/// One of these words, which an editor offers, or anything else that `other` allows.
pub fn suggested<'w>(known: impl IntoIterator<Item = &'w str>, other: Value) -> Value {
    json!({"anyOf": [words(known), other]})
}

/// `true` or `false`.
pub fn truth() -> Value {
    json!({"type": "boolean"})
}

/// A whole number of at least `least`; quoted it is one too.
pub fn whole(least: u64) -> Value {
    json!({"anyOf": [{"type": "integer", "minimum": least}, pattern("^[0-9]+$")]})
}

/// A time span.
pub fn span() -> Value {
    pattern(SPAN)
}

/// Any scalar, a null that is written out among them.
pub fn scalar() -> Value {
    json!({"type": ["string", "number", "boolean", "null"]})
}

/// One, or a list of at least one.
pub fn one_or_more(item: Value) -> Value {
    json!({"anyOf": [item.clone(), {"type": "array", "items": item, "minItems": 1}]})
}

/// One, or a list that may be empty.
pub fn any_number(item: Value) -> Value {
    json!({"anyOf": [item.clone(), {"type": "array", "items": item}]})
}

/// A mapping whose keys are the user's own.
pub fn mapping(values: Value) -> Value {
    json!({"type": "object", "additionalProperties": values})
}

/// A mapping with these keys and no other.
pub fn object(keys: impl IntoIterator<Item = (&'static str, Value)>, required: &[&str]) -> Value {
    let properties: Map<String, Value> = keys.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Something that is described under `$defs`.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// The same, and that.
#[must_use]
pub fn with(mut schema: Value, more: Value) -> Value {
    if let (Some(schema), Value::Object(more)) = (schema.as_object_mut(), more) {
        schema.extend(more);
    }
    schema
}

/// The same, with what people read of it.
#[must_use]
pub fn described(schema: Value, doc: &str) -> Value {
    with(schema, json!({"description": doc}))
}

/// A whole schema: its name, what it describes, its root, and what the root refers to.
pub fn document(name: &str, title: &str, root: Value, defs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let defs: Map<String, Value> = defs.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let head = json!({"$schema": DIALECT, "$id": format!("urn:fanfare:{name}"), "title": title});
    with(with(head, root), json!({"$defs": defs}))
}
