//! People and maps as JSON Schema. Pure.

use serde_json::{Value, json};

use crate::locale;
use crate::yaml::schema::{any_number, described, object, reference, text, words};

/// A name, a map that says whom, or a list of them.
pub(super) fn mentions() -> Value {
    let by_map = object([("map", described(text(), "A map of `maps:`."))], &["map"]);
    any_number(json!({"anyOf": [text(), by_map]}))
}

/// A person: any further key is an address or an id, by the kind of channel.
pub(super) fn person() -> Value {
    let properties = json!({
        "name": described(text(), "As people call them."),
        "timezone": described(text(), "The zone in which they read times."),
        "locale": described(words(locale::ALL.map(|locale| locale.code)), "The language of messages to them alone."),
    });
    json!({"type": "object", "properties": properties, "additionalProperties": text()})
}

/// A map: any key but `by` and `else` is a value.
pub(super) fn value_map() -> Value {
    let properties = json!({
        "by": described(reference("on"), "What to read in an event: a path, or a name of `names:`."),
        "else": described(text(), "For every other value, and none."),
    });
    json!({"type": "object", "properties": properties, "required": ["by"], "additionalProperties": text(), "minProperties": 2})
}
