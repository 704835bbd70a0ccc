//! The schema of days and periods. Pure.

use serde_json::{Value, json};

use super::{TIME, WORD, mapping_of, none_of, requires, singular_path};
use crate::rules::calendar::DAYS;
use crate::rules::keys;
use crate::yaml::schema::{one_or_more, pattern, span, with};

/// `missing`.
pub(super) fn missing() -> Value {
    let by = |each: &str, form: String| {
        let is_it = json!({"properties": {"each": {"const": each}}, "required": ["each"]});
        json!({"if": is_it, "then": {"properties": {"by": {"pattern": form}}}})
    };
    let month_day = r"(0?[1-9]|[12][0-9]|3[01]|last)";
    let more = json!({
        "oneOf": [requires("for"), {"required": ["each", "by"]}],
        "dependentSchemas": {"for": none_of(&["each", "by", "timezone"])},
        "allOf": [
            by("day", format!(r"^\s*{TIME}\s*$")),
            by("week", format!(r"^\s*({})\s+{TIME}\s*$", weekday())),
            by("month", format!(r"^\s*{month_day}\s+{TIME}\s*$")),
        ],
    });
    with(mapping_of(&keys::MISSING, &["events"]), more)
}

/// `at`: a date in the event.
pub(super) fn at() -> Value {
    let span = r"(([0-9]+(ms|s|m|h|d|w))+|[0-9]+bd)";
    let path = format!("({}|{WORD})", singular_path());
    let to = format!(r"({path}|midnight of\s+{path}\s+in\s+[A-Za-z_/+0-9-]+)");
    let form = pattern(&format!(r"^({span}\s(before|after)\s\s*{to}\s*|{to})$"));
    with(form, json!({"examples": ["3d before $.data.metadata.release_date"]}))
}

/// `after`: spans, or business days.
pub(super) fn after() -> Value {
    let days = pattern("^[1-9][0-9]{0,2}bd$");
    one_or_more(json!({"anyOf": [with(span(), json!({"examples": ["30m", "2h", "7d"]})), days]}))
}

/// Days of the month: a number as it is, or a text.
pub(super) fn month_days() -> Value {
    let number = json!({"type": "integer", "minimum": 1, "maximum": 31});
    one_or_more(json!({"anyOf": [number, pattern(r"^\s*(0?[1-9]|[12][0-9]|3[01]|last)\s*$")]}))
}

/// A day of the week; upper and lower case are the same.
fn weekday() -> String {
    let any_case = |day: &str| -> String { day.chars().map(|c| format!("[{}{c}]", c.to_ascii_uppercase())).collect() };
    DAYS.map(any_case).join("|")
}

/// `mon-fri`, `fri`, or a list; upper and lower case are the same.
pub(super) fn days() -> Value {
    let day = format!(r"\s*({})\s*", weekday());
    let form = with(pattern(&format!("^{day}(-{day})?$")), json!({"examples": ["mon-fri", "fri"]}));
    one_or_more(form)
}
