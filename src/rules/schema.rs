//! Rules files as JSON Schema, for editors: made from the tables that the reader and the documentation go by.
//!
//! Pure. A schema sees one file, so whatever two files must agree on is left to `check`: whether a destination, a message,
//! a name or a list is there. What one mapping can get wrong by itself, it refuses; `tests/schema` holds it to every
//! mistake there is a golden report of, and to every good file.

use serde_json::{Map, Value, json};

use self::action::{SchemaPosition, action, both_rest_and_digest};
use self::calendar::{after, at, days, missing, month_days};
use self::roster::{mentions, person, value_map};
use super::Window;
use super::glob::GLOB_MAX;
use super::keys::{self, MapDoc, Takes};
use super::operand::OperandKind;
use super::operator::{Holds, IGNORE_CASE, Operator, TABLE};
use super::parse::shared::RESERVED;
use crate::delivery::Severity;
use crate::yaml::schema::{
    any_number, described, document, mapping, object, one_or_more, pattern, reference, scalar, span, suggested, text,
    truth, whole, with, words,
};

mod action;
mod calendar;
mod roster;

/// A plain word: what may be a name of `names:`.
const WORD: &str = "[A-Za-z_][A-Za-z0-9_]*";
/// A time of day.
const TIME: &str = "([01]?[0-9]|2[0-3]):[0-5][0-9]";
/// What no name may hold: control characters.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// What the schema offers that is known elsewhere. Everything else is allowed too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'k> {
    /// Event types.
    pub types: &'k [&'static str],
    /// The names that presets bring.
    pub names: &'k [&'static str],
}

/// The schema of a rules file.
pub fn schema(known: &Known<'_>) -> Value {
    let root = with(mapping_of(&keys::FILE, &[]), json!({"type": ["object", "null"], "description": FILE}));
    let maps = [
        ("rule", rule()),
        ("action", action(SchemaPosition::Anywhere)),
        ("plain_action", action(SchemaPosition::NoCase)),
        ("missing_action", action(SchemaPosition::Missing)),
        ("closing_action", action(SchemaPosition::Closing)),
        ("closer", mapping_of(&keys::CLOSER, &["events"])),
        ("missing", missing()),
        ("threshold", mapping_of(&keys::THRESHOLD, &["count", "within"])),
        ("sum", mapping_of(&keys::SUM, &["of", "window"])),
        ("flood", mapping_of(&keys::FLOOD, &[])),
        ("throttle", mapping_of(&keys::THROTTLE, &["every"])),
        ("digest", digest()),
        ("attach", mapping_of(&keys::ATTACH, &["csv", "columns"])),
        ("window", window()),
        ("mute", mute()),
    ];
    let words = [
        ("condition", condition()),
        ("conditions", conditions()),
        ("test", test("operators")),
        ("node_test", test("node_operators")),
        ("size", size()),
        ("operators", operators(On::Selection)),
        ("node_operators", operators(On::Node)),
        ("number_operators", operators(On::Number)),
        ("glob", glob(known)),
        ("on", on(known)),
        ("key_part", key_part(known)),
        ("path", pattern(&path())),
        ("name", name()),
    ];
    document("rules", "A rules file of Fanfare", root, maps.into_iter().chain(words))
}

const FILE: &str = "Rules of Fanfare, and the words that all files share.";

/// A mapping with the keys of a table.
fn mapping_of(map: &MapDoc, required: &[&str]) -> Value {
    let keys = map.keys.iter().map(|key| (key.name, described(takes(key.takes), &format!("{}.", key.doc))));
    object(keys, required)
}

fn destinations() -> Value {
    json!({"anyOf": [text(), {"type": "array", "items": text(), "minItems": 1, "uniqueItems": true}]})
}

/// What a key takes.
fn takes(takes: Takes) -> Value {
    match takes {
        Takes::Rules => json!({"type": ["array", "null"], "items": reference("rule")}),
        Takes::Words => with(
            nullable(one_or_more(reference("path"))),
            json!({"propertyNames": {"allOf": [word(), not_reserved()]}}),
        ),
        Takes::Lists => nullable(json!({"type": "array", "items": scalar()})),
        Takes::Windows => with(nullable(reference("window")), json!({"propertyNames": {"not": {"const": "always"}}})),
        Takes::People => nullable(person()),
        Takes::Maps => nullable(value_map()),
        Takes::Mentions => mentions(),
        Takes::Mutes => json!({"type": ["array", "null"], "items": reference("mute")}),
        Takes::Name => reference("name"),
        Takes::Text | Takes::Source | Takes::Rule | Takes::Destination | Takes::Message => text(),
        Takes::Names => any_number(text()),
        Takes::Truth => truth(),
        Takes::Globs => one_or_more(reference("glob")),
        Takes::Destinations => destinations(),
        Takes::Severity => words(Severity::ALL.map(Severity::name)),
        Takes::IfFailed => words(["skip", "act"]),
        Takes::Links => links(),
        Takes::Constants => json!({"type": "object"}),
        Takes::Condition => reference("condition"),
        Takes::CaseKey => one_or_more(reference("key_part")),
        Takes::Closers => one_or_more(json!({"anyOf": [reference("glob"), reference("closer")]})),
        Takes::Span => with(span(), json!({"examples": ["30m", "2h", "7d"]})),
        // Less than a minute, as far as it is one number with its unit.
        Takes::Repeat => with(span(), json!({"not": {"pattern": r"^\s*0*([0-5]?[0-9]s|[0-5]?[0-9]{1,4}ms)\s*$"}})),
        Takes::Date => one_or_more(at()),
        Takes::OneDate => at(),
        Takes::Actions => one_or_more(reference("action")),
        Takes::Closing => one_or_more(reference("closing_action")),
        Takes::Missing => reference("missing"),
        Takes::Throttle => reference("throttle"),
        Takes::Digest => reference("digest"),
        Takes::Hours => json!({"anyOf": [suggested(["always"], json!({"type": "string"})), reference("window")]}),
        Takes::Max => with(whole(1), json!({"default": 1})),
        Takes::Limit => with(whole(1), json!({"default": 50})),
        Takes::Rest => with(words(["drop", "digest"]), json!({"default": "drop"})),
        Takes::Outside => with(words(["hold", "drop"]), json!({"default": "hold"})),
        Takes::TimeOfDay => with(pattern(&format!("^{TIME}$")), json!({"examples": ["09:00", "18:30"]})),
        Takes::EndOfDay => with(pattern(&format!("^({TIME}|24:00)$")), json!({"examples": ["18:00", "24:00"]})),
        Takes::Days => days(),
        Takes::Dates => any_number(pattern("^[0-9]{4}-[0-9]{2}-[0-9]{2}$")),
        Takes::Zone => with(text(), json!({"examples": ["Europe/Berlin", "America/New_York", "UTC"]})),
        Takes::Moment => pattern(crate::yaml::schema::MOMENT),
        Takes::MonthDays => month_days(),
        Takes::Attach => reference("attach"),
        Takes::Threshold => reference("threshold"),
        Takes::Sum => reference("sum"),
        Takes::Flood => reference("flood"),
        Takes::Path => reference("key_part"),
        Takes::Window => words(Window::ALL.map(Window::name)),
        Takes::Number => json!({"type": "number"}),
        Takes::Count | Takes::Times | Takes::Least => count(takes),
        Takes::After => after(),
        Takes::Columns => with(mapping(reference("key_part")), json!({"minProperties": 1, "maxProperties": 50})),
        Takes::Each => words(["day", "week", "month"]),
        Takes::By => with(text(), json!({"examples": ["15 12:00", "last 18:00", "fri 16:00", "10:00"]})),
    }
}

/// A number of matches or messages.
fn count(takes: Takes) -> Value {
    match takes {
        Takes::Times => with(whole(2), json!({"default": 10, "maximum": 100_000})),
        Takes::Least => with(whole(1), json!({"default": 20, "maximum": 100_000})),
        _ => with(whole(2), json!({"maximum": 1000})),
    }
}

/// `none`, or each kind of link at most once.
fn links() -> Value {
    let link = with(
        pattern(r"^(acknowledge|close|mute\s*([0-9]+(ms|s|m|h|d|w))+)$"),
        json!({"examples": ["acknowledge", "close", "mute 1h"]}),
    );
    let list = json!({"type": "array", "items": link.clone(), "uniqueItems": true, "maxItems": 3});
    json!({"anyOf": [words(["none"]), link, list]})
}

fn nullable(values: Value) -> Value {
    with(mapping(values), json!({"type": ["object", "null"]}))
}

fn word() -> Value {
    pattern(&format!("^{WORD}$"))
}

fn not_reserved() -> Value {
    let operators = TABLE.iter().map(|row| row.name);
    json!({"not": words(RESERVED.iter().copied().chain(operators))})
}

fn name() -> Value {
    let edge = format!(r"[^\s{CONTROL}]");
    let form = format!("^{edge}([^{CONTROL}]*{edge})?$");
    json!({"type": ["string", "number", "boolean"], "pattern": form, "maxLength": 100})
}

// --- paths and globs ---

/// A path as far as a pattern can tell: names and brackets behind `$`, a blank only in brackets.
fn path() -> String {
    let name = r"[A-Za-z_\u0080-\uffff\U00010000-\U0010ffff][A-Za-z0-9_\u0080-\uffff\U00010000-\U0010ffff]*";
    let name = name.replace(r"\U00010000-\U0010ffff", "\u{10000}-\u{10ffff}");
    format!(r"^\$(\s*(\.\.?({name}|\*)|(\.\.)?\[.*\]))*$")
}

/// A path that selects at most one node: member names and indexes.
pub(super) fn singular_path() -> String {
    let name = "[A-Za-z_\\u0080-\\uffff\u{10000}-\u{10ffff}][A-Za-z0-9_\\u0080-\\uffff\u{10000}-\u{10ffff}]*";
    let quoted = r#"'([^'\\]|\\.)*'|"([^"\\]|\\.)*""#;
    format!(r"\$(\s*(\.{name}|\[\s*(-?[0-9]+|{quoted})\s*\]))*")
}

fn on(known: &Known<'_>) -> Value {
    let path_or_word = json!({"anyOf": [reference("path"), {"allOf": [word(), not_reserved()]}]});
    described(suggested(known.names.iter().copied(), path_or_word), "A path such as `$.data.severity`, or a name.")
}

fn key_part(known: &Known<'_>) -> Value {
    let singular = pattern(&format!("^({}|{WORD})$", singular_path()));
    described(suggested(known.names.iter().copied(), singular), "A path that selects at most one value, or a name.")
}

/// Braces within braces, as deep as the reader goes. `plain` is what may stand there beside them.
fn braces(plain: &str) -> String {
    let inner = (0..8).fold(String::new(), |inner, _| match inner.as_str() {
        "" => format!("{plain}*"),
        inner => format!(r"({plain}|\{{{inner}\}})*"),
    });
    format!(r"({plain}|\{{{inner}\}})+")
}

fn glob(known: &Known<'_>) -> Value {
    let form = pattern(&format!("^!?{}$", braces(r"[^{}\s]")));
    let form = with(form, json!({"maxLength": GLOB_MAX + 1}));
    let doc = "An event type, or a glob: `*` is any run of characters, `{a,b}` either, `!` takes away.";
    described(suggested(known.types.iter().copied(), form), doc)
}

/// A glob over any text.
pub(super) fn text_glob() -> Value {
    with(text(), json!({"pattern": format!("^{}$", braces("[^{}]")), "maxLength": GLOB_MAX}))
}

// --- conditions ---

fn condition() -> Value {
    let list = json!({"type": "array", "items": reference("condition"), "minItems": 1});
    let schema = json!({"anyOf": [reference("on"), list, reference("conditions")]});
    described(schema, "A path that must select something; a list or mapping of conditions that must all hold.")
}

/// A mapping of conditions: every key but the groups' is a path or a name.
fn conditions() -> Value {
    let group = json!({"anyOf": [
        {"type": "array", "items": reference("condition"), "minItems": 1},
        reference("conditions"),
    ]});
    let one = json!({"anyOf": [
        reference("on"),
        {"type": "array", "items": reference("condition"), "minItems": 1, "maxItems": 1},
        {"allOf": [reference("conditions"), {"maxProperties": 1}]},
    ]});
    json!({
        "type": "object",
        "properties": {
            "any": described(group.clone(), "One of them must hold."),
            "all": described(group, "All of them must hold."),
            "not": described(one, "This one must not hold."),
        },
        "additionalProperties": reference("test"),
        "propertyNames": {"anyOf": [words(["any", "all", "not"]), reference("on")]},
        "minProperties": 1,
    })
}

fn test(operators: &str) -> Value {
    let list = json!({"type": "array", "items": scalar(), "minItems": 1});
    let schema = json!({"anyOf": [scalar(), list, reference(operators)]});
    described(schema, "A value: equals. A list: equals one of them. A mapping: operators.")
}

fn size() -> Value {
    let list = json!({"type": "array", "items": {"type": "number"}, "minItems": 1});
    json!({"anyOf": [{"type": "number"}, list, reference("number_operators")]})
}

/// What a test looks at: not every operator fits everywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// All that a path selects.
    Selection,
    /// One node, within `every` and `none`.
    Node,
    /// A number of things, within `length` and `count`.
    Number,
}

impl On {
    fn doc(self) -> &'static str {
        match self {
            On::Selection => "Operators on what a path selects: all must hold of the same value.",
            On::Node => "Operators on one value.",
            On::Number => "Operators on a number of things.",
        }
    }

    fn takes(self, row: &Operator) -> bool {
        match self {
            On::Selection => true,
            On::Node => matches!(row.holds, Holds::Node(_)),
            On::Number => matches!(row.operand, OperandKind::Value | OperandKind::Values | OperandKind::Bound),
        }
    }
}

/// The operators that fit there.
fn operators(on: On) -> Value {
    let rows: Vec<&Operator> = TABLE.iter().filter(|row| on.takes(row)).collect();
    let operand = |row: &Operator| if on == On::Number { number_operand(row.operand) } else { operand(row.operand) };
    let mut properties: Map<String, Value> =
        rows.iter().map(|row| (row.name.to_owned(), described(operand(row), &format!("{}.", row.doc)))).collect();
    properties.insert(IGNORE_CASE.0.into(), described(truth(), &format!("{}.", IGNORE_CASE.1)));
    let required = |fits: &dyn Fn(&Operator) -> bool| -> Vec<Value> {
        rows.iter().filter(|row| fits(row)).map(|row| requires(row.name)).collect()
    };
    let schema = json!({
        "description": on.doc(),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "dependentSchemas": {(IGNORE_CASE.0): {"anyOf": required(&|row| row.ignores_case)}},
    });
    if on != On::Selection {
        return schema;
    }
    let absent = json!({"properties": {"exists": {"const": false}}, "required": ["exists"]});
    let needs = required(&|row| matches!(row.holds, Holds::Node(_)) || row.name == "every");
    with(schema, json!({"if": absent, "then": {"not": {"anyOf": needs}}}))
}

fn operand(kind: OperandKind) -> Value {
    match kind {
        OperandKind::Value => json!({}),
        OperandKind::Values => {
            let list = json!({"type": "array", "items": scalar(), "minItems": 1});
            json!({"anyOf": [list, {"type": "string"}]})
        }
        OperandKind::Bound => json!({"anyOf": [{"type": "number"}, pattern(crate::yaml::schema::MOMENT)]}),
        OperandKind::Regex => with(text(), json!({"maxLength": 1024})),
        OperandKind::Glob => with(text_glob(), json!({"not": {"pattern": "^!"}})),
        OperandKind::Text => text(),
        OperandKind::Scalar => scalar(),
        OperandKind::Size => reference("size"),
        OperandKind::Span => with(span(), json!({"examples": ["7d"]})),
        OperandKind::Truth => truth(),
        OperandKind::Test => reference("node_test"),
    }
}

fn number_operand(kind: OperandKind) -> Value {
    match kind {
        OperandKind::Values => json!({"type": "array", "items": {"type": "number"}, "minItems": 1}),
        _ => json!({"type": "number"}),
    }
}

// --- rules and what they hold ---

fn requires(key: &str) -> Value {
    json!({"required": [key]})
}

fn none_of(keys: &[&str]) -> Value {
    json!({"not": {"anyOf": keys.iter().map(|key| requires(key)).collect::<Vec<_>>()}})
}

fn rule() -> Value {
    let actions = |of: &str| json!({"properties": {"actions": one_or_more(reference(of))}});
    let close = json!({"anyOf": [requires("case"), requires("missing")]});
    let more = json!({
        "description": "A rule: which events, what must hold, and which messages to send.",
        "oneOf": [requires("events"), requires("missing")],
        "dependentSchemas": {
            "missing": {"allOf": [none_of(&["when", "case", "closed_by", "threshold", "sum"]), actions("missing_action")]},
            "sum": none_of(&["threshold"]),
            "closed_by": requires("case"),
            "closes_after": close,
            "on_close": close,
        },
        "if": none_of(&["case", "missing"]),
        "then": actions("plain_action"),
        "allOf": [{
            "if": none_of(&["digest"]),
            "then": {"properties": {"actions": one_or_more(json!({"dependentRequired": {"attach": ["digest"]}}))}},
        }, {
            // An action without a throttle of its own would have both.
            "if": both_rest_and_digest(), "then": {"properties": {"actions": one_or_more(requires("throttle"))}}}],
    });
    with(mapping_of(&keys::RULE, &["name", "actions"]), more)
}

fn digest() -> Value {
    let more = json!({
        "oneOf": [requires("every"), requires("at")],
        "dependentSchemas": {
            "every": none_of(&["days", "month_days", "timezone"]),
            "month_days": none_of(&["days"]),
        },
    });
    with(mapping_of(&keys::DIGEST, &[]), more)
}

/// A window of hours: whole in itself, for destinations too.
pub fn window() -> Value {
    with(mapping_of(&keys::HOURS, &[]), json!({"dependentRequired": {"from": ["to"], "to": ["from"]}}))
}

fn mute() -> Value {
    let what = ["events", "rule", "destination", "when"].map(requires);
    with(mapping_of(&keys::MUTE, &["until"]), json!({"anyOf": what}))
}
