//! Test files as JSON Schema, for editors. Pure.

use serde_json::{Value, json};

use super::Field;
use super::parse::ACTS;
use crate::delivery::Severity;
use crate::rules::schema::{singular_path, text_glob};
use crate::yaml::schema::{
    any_number, described, document, object, one_or_more, pattern, reference, span, suggested, text, with,
};

/// The keys of a test.
pub const TEST_KEYS: [(&str, &str); 3] = [
    ("name", "What the test says of the rules, in a sentence"),
    ("rules", "The rules that it sees; else those of the file beside it, or all"),
    ("steps", "What happens, and what is expected, in order"),
];

/// The keys beside `send`.
pub const SEND_KEYS: [(&str, &str); 2] = [
    ("set", "Paths and values: changes the event before it is sent, and makes what is missing"),
    ("source", "The source that it comes from"),
];

/// What an act of a step does.
fn act_doc(act: &str) -> &'static str {
    match act {
        "send" => "An event comes: a sample's name, a file (its path relative to this one), or the event itself",
        "expect" => "Everything that was sent since the last `expect`, in any order; `[]` for nothing",
        "wait" => "Advances the clock by this time span, and sends what is due by then",
        "at" => "Advances the clock to this time",
        "fail" => "These destinations fail from now on",
        _ => "These destinations work again",
    }
}

/// The schema of a test file. `samples` are the names that `send` knows.
pub fn schema(samples: &[&'static str]) -> Value {
    let tests = json!({"type": "array", "items": reference("test")});
    let root = object([("tests", described(tests, "The tests; each is independent."))], &["tests"]);
    let root = with(root, json!({"type": ["object", "null"], "description": "Tests of rules, for `fanfare test`."}));
    let defs = [("test", test()), ("step", step()), ("event", event(samples)), ("expectation", expectation())];
    document("tests", "A test file of Fanfare", root, defs)
}

fn test() -> Value {
    let keys = TEST_KEYS.map(|(key, doc)| {
        let takes = match key {
            "rules" => any_number(text()),
            "steps" => json!({"type": "array", "items": reference("step"), "minItems": 1}),
            _ => text(),
        };
        (key, described(takes, &format!("{doc}.")))
    });
    object(keys, &["name", "steps"])
}

fn step() -> Value {
    let acts = ACTS.map(|act| (act, described(takes(act), &format!("{}.", act_doc(act)))));
    let beside = SEND_KEYS.map(|(key, doc)| {
        let takes = if key == "set" { settings() } else { text() };
        (key, described(takes, &format!("{doc}.")))
    });
    let one = ACTS.map(|act| json!({"required": [act]}));
    let only_with_send = json!({"set": ["send"], "source": ["send"]});
    let more = json!({"description": "One step does one thing.", "oneOf": one, "dependentRequired": only_with_send});
    with(object(acts.into_iter().chain(beside), &[]), more)
}

fn takes(act: &str) -> Value {
    match act {
        "send" => reference("event"),
        "expect" => json!({"anyOf": [
            reference("expectation"),
            {"type": "array", "items": reference("expectation")},
        ]}),
        // Longer than nothing.
        "wait" => with(span(), json!({"allOf": [{"pattern": "[1-9]"}], "examples": ["2h", "1d"]})),
        "at" => {
            let form = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*$";
            with(pattern(form), json!({"examples": ["2026-03-27T17:59:00Z"]}))
        }
        _ => one_or_more(text()),
    }
}

fn event(samples: &[&'static str]) -> Value {
    let file = pattern(r"/|\.json$");
    let inline = json!({
        "type": "object",
        "properties": {"type": {"description": "The event's type."}, "data": {"description": "What happened."}},
        "anyOf": [{"required": ["type"]}, {"required": ["event"]}],
    });
    json!({"anyOf": [suggested(samples.iter().copied(), file), inline]})
}

/// A mapping from paths that select one value, not `$` itself, to what is put there.
fn settings() -> Value {
    let form = format!("^(?!\\$\\s*$){}$", singular_path());
    json!({"type": "object", "propertyNames": {"pattern": form}})
}

fn expectation() -> Value {
    let doc = |field: Field| match field {
        Field::Rule => "The rule's name; a glob.",
        Field::To => "The destination; a glob.",
        Field::Severity => "How much it matters; a glob.",
        Field::Address => "The address that a map gave: of a mail, a channel, a phone; a glob.",
        Field::File => "The file that goes with it: its name, and below that its text; a glob.",
        Field::Title => "The title as plain text; a glob such as `*C1*`.",
        Field::Text => "The whole message as plain text; a glob such as `*2 hours ago*`.",
    };
    let takes = |field: Field| match field {
        Field::Severity => suggested(Severity::ALL.map(Severity::name), text_glob()),
        _ => text_glob(),
    };
    let fields = Field::ALL.map(|field| (field.name(), described(takes(field), doc(field))));
    let ways = [
        ("changes", "In place of `to`: a later match changed the message at this destination."),
        ("closes", "In place of `to`: an update at a close, of what was shown at this destination."),
    ];
    let ways = ways.map(|(key, doc)| (key, described(text_glob(), doc)));
    let both = [["to", "closes"], ["to", "changes"], ["changes", "closes"]].map(|both| json!({"required": both}));
    let more = json!({
        "description": "One message that was sent; or one update, with `changes` or `closes`.",
        "minProperties": 1,
        "not": {"anyOf": both},
    });
    with(object(fields.into_iter().chain(ways), &[]), more)
}
