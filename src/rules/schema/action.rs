//! The schema of actions. Pure.

use serde_json::{Map, Value, json};

use super::{mapping_of, none_of, requires};
use crate::rules::keys;
use crate::yaml::schema::with;

/// Where an action stands, which decides the keys it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaPosition {
    /// In a rule with a case.
    Anywhere,
    /// In a rule that has none: nothing stays open that could be reminded of.
    NoCase,
    /// In a rule with `missing`: there is no event to look at.
    Missing,
    /// In `on_close`: it goes at once.
    Closing,
}

fn truly(key: &str) -> Value {
    json!({"properties": {key: {"const": true}}, "required": [key]})
}

/// A throttle whose rest goes into a digest, beside another digest.
pub(super) fn both_rest_and_digest() -> Value {
    let rest = json!({"properties": {"rest": {"const": "digest"}}, "required": ["rest"]});
    json!({"properties": {"throttle": rest}, "required": ["throttle", "digest"]})
}

pub(super) fn action(place: SchemaPosition) -> Value {
    let (doc, forbidden): (&str, &[&str]) = match place {
        SchemaPosition::Anywhere => ("A message: what to send, to which destinations, and when.", &[]),
        SchemaPosition::NoCase => (
            "A message to send. Without a `case` nothing is sent later.",
            &["once", "update", "after", "repeat", "at", "links"],
        ),
        SchemaPosition::Missing => {
            ("A message to send when no event came.", &["when", "otherwise", "update", "at", "attach"])
        }
        SchemaPosition::Closing => (
            "A message to send when a case closes; it goes at once.",
            &["once", "update", "after", "repeat", "at", "throttle", "digest", "hours", "links", "attach"],
        ),
    };
    // `false` says the same as nothing.
    let not_here = |key: &&str| ((*key).to_owned(), json!({"const": false}));
    let here: Map<String, Value> = forbidden.iter().map(not_here).collect();
    let with_update = ["after", "repeat", "at", "throttle", "digest"];
    let all = [
        json!({"if": truly("update"), "then": {"allOf": [none_of(&with_update), {"not": truly("once")}]}}),
        json!({"not": {"required": ["message", "text"]}}),
        json!({"dependentSchemas": {"at": none_of(&["after", "repeat"])}}),
        json!({"not": both_rest_and_digest()}),
        json!({"not": {"allOf": [truly("otherwise"), requires("when")]}}),
        json!({"dependentRequired": {"if_failed": ["when"]}}),
        json!({"properties": here}),
    ];
    with(mapping_of(&keys::ACTION, &["to"]), json!({"description": doc, "allOf": all}))
}
