//! The operators: one table whose rows know everything about them.
//!
//! What `when` accepts, the nearest name, the words of `explain`, the schema, the documentation and a test that runs
//! every example are read from [`TABLE`]. To add an operator, add a row.

use std::cmp::Ordering;

use serde_json::Value;

use super::Held;
use super::check::{CheckOutcome, Look};
use super::operand::{Operand, OperandKind};
use super::value::comparable;
use crate::codes::{is_isrc, is_upc};

mod holds;

use self::holds::{aged, coded, contains, equals, every, is_in, length, none, on_text, ordered, sized};

/// Everything about one operator.
#[derive(Debug)]
pub struct Operator {
    /// Its key.
    pub name: &'static str,
    /// What it takes.
    pub operand: OperandKind,
    /// When it holds, in a sentence without a full stop.
    pub doc: &'static str,
    /// The words of `explain`, with `{}` for the operand.
    pub phrase: &'static str,
    /// Whether `ignore_case: true` may stand beside it.
    pub ignores_case: bool,
    /// Run by a test, shown in the documentation.
    pub examples: &'static [Example],
    /// The test itself.
    pub holds: Holds,
}

/// A test, what a path selected, and how it comes out.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The test, as it stands in a rule.
    pub test: &'static str,
    /// The nodes, as a JSON array.
    pub nodes: &'static str,
    /// How it comes out.
    pub held: Held,
}

/// What an operator looks at.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    /// At one node.
    Node(fn(&Operand, &Value, &mut Look<'_>) -> CheckOutcome),
    /// At all that was selected.
    Nodes(fn(&Operand, &[&Value], &mut Look<'_>) -> CheckOutcome),
}

impl Operator {
    /// Whether there are values that it can't read, as its examples show.
    pub fn can_fail(&self) -> bool {
        self.examples.iter().any(|example| example.held == Held::Failed)
    }
}

/// The operator with this name.
pub fn named(name: &str) -> Option<&'static Operator> {
    TABLE.iter().find(|operator| operator.name == name)
}

/// What may stand beside operators, and what it does.
pub const IGNORE_CASE: (&str, &str) =
    ("ignore_case", "with `true`, the text operators beside it and `eq` take upper and lower case for the same");

const fn held(test: &'static str, nodes: &'static str) -> Example {
    Example { test, nodes, held: Held::Held }
}

const fn missed(test: &'static str, nodes: &'static str) -> Example {
    Example { test, nodes, held: Held::Missed }
}

const fn failed(test: &'static str, nodes: &'static str) -> Example {
    Example { test, nodes, held: Held::Failed }
}

/// Every operator there is.
pub static TABLE: &[Operator] = &[
    Operator {
        name: "eq",
        operand: OperandKind::Value,
        doc: "The node equals the value: numbers exactly, times as moments, texts in NFC; a scalar alone means the same",
        phrase: "is {}",
        ignores_case: true,
        examples: &[
            held("{eq: high}", r#"["high"]"#),
            held("1250", r#"["1,250.00"]"#),
            held("{eq: BEYONCÉ, ignore_case: true}", r#"["Beyoncé"]"#),
            missed("{eq: 9007199254740992}", "[9007199254740993]"),
        ],
        holds: Holds::Node(equals),
    },
    Operator {
        name: "ne",
        operand: OperandKind::Value,
        doc: "The node exists and does not equal the value",
        phrase: "is not {}",
        ignores_case: false,
        examples: &[
            held("{ne: live}", r#"["failed"]"#),
            missed("{ne: live}", r#"["live"]"#),
            missed("{ne: live}", "[]"),
        ],
        holds: Holds::Node(|operand, value, look| {
            let outcome = equals(operand, value, look);
            CheckOutcome { held: outcome.held.inverted(), note: outcome.note }
        }),
    },
    Operator {
        name: "in",
        operand: OperandKind::Values,
        doc: "The node equals one of the values; a list alone means the same",
        phrase: "is one of {}",
        ignores_case: false,
        examples: &[
            held("{in: [high, critical]}", r#"["critical"]"#),
            held("[1, 2]", r#"["2.0"]"#),
            missed("{in: [high, critical]}", r#"["low"]"#),
        ],
        holds: Holds::Node(is_in),
    },
    Operator {
        name: "not_in",
        operand: OperandKind::Values,
        doc: "The node exists and equals none of the values",
        phrase: "is none of {}",
        ignores_case: false,
        examples: &[held("{not_in: [low]}", r#"["high"]"#), missed("{not_in: [low]}", r#"["low"]"#)],
        holds: Holds::Node(|operand, value, look| {
            let outcome = is_in(operand, value, look);
            CheckOutcome { held: outcome.held.inverted(), note: outcome.note }
        }),
    },
    Operator {
        name: "gt",
        operand: OperandKind::Bound,
        doc: "The node is a larger number, or a later time",
        phrase: "is more than {}",
        ignores_case: false,
        examples: &[held("{gt: 0.1}", "[0.10000000000000001]"), missed("{gt: 5}", "[5]"), failed("{gt: 5}", "[[6]]")],
        holds: Holds::Node(|operand, value, look| ordered(operand, value, look, Ordering::is_gt)),
    },
    Operator {
        name: "gte",
        operand: OperandKind::Bound,
        doc: "The node is an equal or larger number, or the same or a later time",
        phrase: "is at least {}",
        ignores_case: false,
        examples: &[
            held("{gte: 1000}", r#"["1.000,00"]"#),
            held("{gte: \"2025-09-01\"}", "[1756684800]"),
            missed("{gte: 1000}", "[1.20]"),
            failed("{gte: 1000}", r#"["a lot"]"#),
        ],
        holds: Holds::Node(|operand, value, look| ordered(operand, value, look, Ordering::is_ge)),
    },
    Operator {
        name: "lt",
        operand: OperandKind::Bound,
        doc: "The node is a smaller number, or an earlier time",
        phrase: "is less than {}",
        ignores_case: false,
        examples: &[
            held("{lt: \"2025-09-01T00:00:00Z\"}", r#"["2025-09-01T01:59:59+02:00"]"#),
            missed("{lt: 5}", "[5]"),
            failed("{lt: 5}", "[null]"),
        ],
        holds: Holds::Node(|operand, value, look| ordered(operand, value, look, Ordering::is_lt)),
    },
    Operator {
        name: "lte",
        operand: OperandKind::Bound,
        doc: "The node is an equal or smaller number, or the same or an earlier time",
        phrase: "is at most {}",
        ignores_case: false,
        examples: &[held("{lte: 5}", "[5.000]"), missed("{lte: 5}", "[5.001]"), failed("{lte: 5}", "[true]")],
        holds: Holds::Node(|operand, value, look| ordered(operand, value, look, Ordering::is_le)),
    },
    Operator {
        name: "matches",
        operand: OperandKind::Regex,
        doc: "The regular expression matches anywhere in the text, in linear time",
        phrase: "matches {}",
        ignores_case: true,
        examples: &[
            held("{matches: '\\bremix\\b', ignore_case: true}", r#"["Halo (Remix)"]"#),
            missed("{matches: '^Remix$'}", r#"["Halo (Remix)"]"#),
            failed("{matches: x}", "[null]"),
        ],
        holds: Holds::Node(|operand, value, _| {
            let Operand::Regex(regex) = operand else { return CheckOutcome::of(false) };
            on_text(value, |text| regex.regex.is_match(&comparable(text, false)))
        }),
    },
    Operator {
        name: "glob",
        operand: OperandKind::Glob,
        doc: "The glob matches the whole text: `*` any run of characters, `?` one, `{a,b}` either",
        phrase: "is like {}",
        ignores_case: true,
        examples: &[
            held("{glob: 'US?M{L,K}*'}", r#"["USJML2500001"]"#),
            missed("{glob: 'US*'}", r#"["DEUS"]"#),
            failed("{glob: 'US*'}", "[[]]"),
        ],
        holds: Holds::Node(|operand, value, _| {
            let Operand::Glob(glob, folded) = operand else { return CheckOutcome::of(false) };
            on_text(value, |text| glob.matches(&comparable(text, *folded)))
        }),
    },
    Operator {
        name: "starts_with",
        operand: OperandKind::Text,
        doc: "The text begins with the other",
        phrase: "starts with {}",
        ignores_case: true,
        examples: &[
            held("{starts_with: US}", r#"["USJML2500001"]"#),
            held("{starts_with: '12'}", "[123456789012]"),
            missed("{starts_with: us}", r#"["USJML2500001"]"#),
            failed("{starts_with: US}", "[{}]"),
        ],
        holds: Holds::Node(|operand, value, _| {
            let Operand::Text(start) = operand else { return CheckOutcome::of(false) };
            on_text(value, |text| start.alike(text).starts_with(start.form.as_str()))
        }),
    },
    Operator {
        name: "ends_with",
        operand: OperandKind::Text,
        doc: "The text ends with the other",
        phrase: "ends with {}",
        ignores_case: true,
        examples: &[
            held("{ends_with: (live)}", r#"["Halo (live)"]"#),
            missed("{ends_with: (live)}", r#"["Halo"]"#),
            failed("{ends_with: x}", "[false]"),
        ],
        holds: Holds::Node(|operand, value, _| {
            let Operand::Text(end) = operand else { return CheckOutcome::of(false) };
            on_text(value, |text| end.alike(text).ends_with(end.form.as_str()))
        }),
    },
    Operator {
        name: "contains",
        operand: OperandKind::Scalar,
        doc: "The text contains the other text, the list the element, or the mapping the key",
        phrase: "contains {}",
        ignores_case: true,
        examples: &[
            held("{contains: feat.}", r#"["Halo feat. Nobody"]"#),
            held("{contains: spotify}", r#"[["apple", "spotify"]]"#),
            held("{contains: isrc}", r#"[{"isrc": null}]"#),
            missed("{contains: 7}", "[[17]]"),
            failed("{contains: x}", "[null]"),
        ],
        holds: Holds::Node(contains),
    },
    Operator {
        name: "valid_upc",
        operand: OperandKind::Truth,
        doc: "The text is a UPC or EAN with a right check digit; with `false`, it is not",
        phrase: "is {} valid UPC",
        ignores_case: false,
        examples: &[
            held("{valid_upc: true}", r#"["885734120138"]"#),
            held("{valid_upc: true}", "[4260413780289]"),
            held("{valid_upc: false}", r#"["885734120139"]"#),
            missed("{valid_upc: true}", r#"["88573412013"]"#),
            failed("{valid_upc: true}", "[null]"),
        ],
        holds: Holds::Node(|operand, value, _| coded(operand, value, is_upc)),
    },
    Operator {
        name: "valid_isrc",
        operand: OperandKind::Truth,
        doc: "The text is an ISRC, with or without hyphens; with `false`, it is not",
        phrase: "is {} valid ISRC",
        ignores_case: false,
        examples: &[
            held("{valid_isrc: true}", r#"["DEH732600014"]"#),
            held("{valid_isrc: true}", r#"["DE-H73-26-00014"]"#),
            missed("{valid_isrc: true}", r#"["deh732600014"]"#),
            failed("{valid_isrc: true}", "[[]]"),
        ],
        holds: Holds::Node(|operand, value, _| coded(operand, value, is_isrc)),
    },
    Operator {
        name: "length",
        operand: OperandKind::Size,
        doc: "The number of characters, elements or members passes a test",
        phrase: "has a length that {}",
        ignores_case: false,
        examples: &[
            held("{length: 12}", r#"["123456789012"]"#),
            held("{length: {gte: 2}}", "[[1, 2, 3]]"),
            missed("{length: {lt: 4}}", r#"["Beyoncé"]"#),
            failed("{length: 0}", "[null]"),
        ],
        holds: Holds::Node(length),
    },
    Operator {
        name: "newer_than",
        operand: OperandKind::Span,
        doc: "The time is later than the span before the event's receipt",
        phrase: "is newer than {}",
        ignores_case: false,
        examples: &[
            held("{newer_than: 1d}", r#"["2099-01-01T00:00:00Z"]"#),
            missed("{newer_than: 1d}", "[0]"),
            failed("{newer_than: 1d}", r#"["yesterday"]"#),
        ],
        holds: Holds::Node(|operand, value, look| aged(operand, value, look, Ordering::is_lt)),
    },
    Operator {
        name: "older_than",
        operand: OperandKind::Span,
        doc: "The time is earlier than the span before the event's receipt",
        phrase: "is older than {}",
        ignores_case: false,
        examples: &[
            held("{older_than: 1d}", "[0]"),
            missed("{older_than: 1d}", r#"["2099-01-01"]"#),
            failed("{older_than: 1d}", "[[]]"),
        ],
        holds: Holds::Node(|operand, value, look| aged(operand, value, look, Ordering::is_gt)),
    },
    Operator {
        name: "exists",
        operand: OperandKind::Truth,
        doc: "The path selects something, also null; with `false`, it selects nothing",
        phrase: "is {}",
        ignores_case: false,
        examples: &[held("{exists: true}", "[null]"), held("{exists: false}", "[]"), missed("{exists: false}", "[0]")],
        holds: Holds::Nodes(|operand, nodes, _| {
            CheckOutcome::of(matches!(operand, Operand::Truth(truth) if *truth != nodes.is_empty()))
        }),
    },
    Operator {
        name: "every",
        operand: OperandKind::Test,
        doc: "The path selects something, and each node passes the test",
        phrase: "each {}",
        ignores_case: false,
        examples: &[
            held("{every: live}", r#"["live", "live"]"#),
            missed("{every: live}", r#"["live", "failed"]"#),
            missed("{every: live}", "[]"),
        ],
        holds: Holds::Nodes(every),
    },
    Operator {
        name: "none",
        operand: OperandKind::Test,
        doc: "No node passes the test, also if the path selects nothing",
        phrase: "none {}",
        ignores_case: false,
        examples: &[
            held("{none: failed}", r#"["live", "live"]"#),
            held("{none: failed}", "[]"),
            missed("{none: {starts_with: fail}}", r#"["live", "failed"]"#),
        ],
        holds: Holds::Nodes(none),
    },
    Operator {
        name: "count",
        operand: OperandKind::Size,
        doc: "The number of nodes passes a test",
        phrase: "their number {}",
        ignores_case: false,
        examples: &[
            held("{count: 0}", "[]"),
            held("{count: {gte: 2}}", r#"["live", "live"]"#),
            missed("{count: 1}", r#"["live", "live"]"#),
        ],
        holds: Holds::Nodes(|operand, nodes, look| sized(operand, nodes.len(), look, "selected")),
    },
];
