//! Keys that people write who know other programs, or who put a key one step too high, and the hints that they get.

use crate::yaml::KeyHint::{self, Key, Words};

const OF_A_RULE: KeyHint = Words("it belongs to a rule: indent it as the rule's `name` is");
const OF_AN_ACTION: KeyHint = Words("it belongs to an action: `actions: [{to: …, text: …}]`");
const OF_THE_RULE: KeyHint = Words("it belongs to the rule: put it beside `events`");

/// In a rules file.
pub(super) const FILE: &[(&str, KeyHint)] = &[
    ("description", OF_A_RULE),
    ("events", OF_A_RULE),
    ("when", OF_A_RULE),
    ("case", OF_A_RULE),
    ("closed_by", OF_A_RULE),
    ("closes_after", OF_A_RULE),
    ("throttle", OF_A_RULE),
    ("digest", OF_A_RULE),
    ("actions", OF_A_RULE),
    ("on_close", OF_A_RULE),
    ("destinations", Words("destinations belong in `fanfare.yaml`")),
    ("sources", Words("sources belong in `fanfare.yaml`")),
];

/// In a rule.
pub(super) const RULE: &[(&str, KeyHint)] = &[
    ("on", Key("events")),
    ("type", Key("events")),
    ("types", Key("events")),
    ("trigger", Key("events")),
    ("if", Key("when")),
    ("condition", Key("when")),
    ("conditions", Key("when")),
    ("filter", Key("when")),
    ("where", Key("when")),
    ("match", Key("when")),
    ("then", Key("actions")),
    ("do", Key("actions")),
    ("notify", Key("actions")),
    ("id", Key("name")),
    ("title", Key("name")),
    ("key", Key("case")),
    ("timezone", Words("it belongs to `hours` or `digest`; the default for all stands in `fanfare.yaml`")),
    ("group_by", Key("case")),
    ("total", Key("sum")),
    ("to", OF_AN_ACTION),
    ("message", OF_AN_ACTION),
    ("text", OF_AN_ACTION),
    ("severity", OF_AN_ACTION),
    ("with", OF_AN_ACTION),
    ("mention", OF_AN_ACTION),
    ("once", OF_AN_ACTION),
    ("after", OF_AN_ACTION),
    ("repeat", OF_AN_ACTION),
    ("at", OF_AN_ACTION),
    ("deadline", OF_AN_ACTION),
];

/// In `sum`.
pub(super) const SUM: &[(&str, KeyHint)] = &[
    ("above", Key("gt")),
    ("over", Key("gt")),
    ("exceeds", Key("gt")),
    ("below", Key("lt")),
    ("under", Key("lt")),
    ("each", Key("window")),
    ("every", Key("window")),
    ("within", Key("window")),
    ("group_by", Key("per")),
];

/// In an action.
pub(super) const ACTION: &[(&str, KeyHint)] = &[
    ("destination", Key("to")),
    ("destinations", Key("to")),
    ("channel", Key("to")),
    ("send", Key("to")),
    ("notify", Key("to")),
    ("template", Key("message")),
    ("body", Key("text")),
    ("content", Key("text")),
    ("if", Key("when")),
    ("condition", Key("when")),
    ("delay", Key("after")),
    ("wait", Key("after")),
    ("every", Key("repeat")),
    ("priority", Key("severity")),
    ("level", Key("severity")),
    ("else", Key("otherwise")),
    ("edit", Key("update")),
    ("edits", Key("update")),
    ("replace", Key("update")),
    ("events", OF_THE_RULE),
    ("case", OF_THE_RULE),
    ("closed_by", OF_THE_RULE),
    ("closes_after", OF_THE_RULE),
    ("title", Words("the first line of `text` is the title; a message has one of its own")),
];
