//! Whether each operator's test holds.

use std::cmp::Ordering;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::super::Held;
use super::super::check::{CheckOutcome, Look};
use super::super::operand::Operand;
use super::super::value::{LIST_HINT, distance, kind_of, number_of, shown, span_words, text_of, time_of};

pub(super) fn equals(operand: &Operand, value: &Value, look: &mut Look<'_>) -> CheckOutcome {
    let Operand::Value(literal) = operand else { return CheckOutcome::of(false) };
    if !look.hints {
        return CheckOutcome::of(literal.is(value, look.zone));
    }
    match literal.equals(value, look.zone) {
        Ok(()) => CheckOutcome::of(true),
        Err(note) => CheckOutcome::missed(note),
    }
}

pub(super) fn is_in(operand: &Operand, value: &Value, look: &mut Look<'_>) -> CheckOutcome {
    let Operand::Values(values) = operand else { return CheckOutcome::of(false) };
    match values.contain(value, look) {
        true => CheckOutcome::of(true),
        false if look.hints => CheckOutcome::missed(values.surprise(value)),
        false => CheckOutcome::of(false),
    }
}

pub(super) fn ordered(
    operand: &Operand,
    value: &Value,
    look: &mut Look<'_>,
    accept: fn(Ordering) -> bool,
) -> CheckOutcome {
    match operand {
        Operand::Number(bound, bound_text) => match number_of(value) {
            Some((number, _)) if accept(number.cmp(bound)) => CheckOutcome::of(true),
            Some(_) if !look.hints => CheckOutcome::of(false),
            Some((number, text)) => CheckOutcome::missed(distance((bound, bound_text), (&number, text))),
            None => CheckOutcome::failed(unreadable(value, "number")),
        },
        Operand::Time(bound) => match time_of(value, look.zone) {
            Ok(time) if accept(time.cmp(bound)) => CheckOutcome::of(true),
            Ok(_) if !look.hints => CheckOutcome::of(false),
            Ok(time) => CheckOutcome::missed(match time.cmp(bound) {
                Ordering::Less => Some(format!("{} too early", span_words(bound.duration_since(time)))),
                Ordering::Greater => Some(format!("{} too late", span_words(time.duration_since(*bound)))),
                Ordering::Equal => None,
            }),
            Err(note) => CheckOutcome::failed(note),
        },
        _ => CheckOutcome::of(false),
    }
}

/// A code of the trade.
pub(super) fn coded(operand: &Operand, value: &Value, is_right: fn(&str) -> bool) -> CheckOutcome {
    let Operand::Truth(truth) = operand else { return CheckOutcome::of(false) };
    match text_of(value) {
        Some(text) => CheckOutcome::of(is_right(text) == *truth),
        None => CheckOutcome::failed(unreadable(value, "text")),
    }
}

/// `accept` receives how the age of the time compares with the span.
pub(super) fn aged(
    operand: &Operand,
    value: &Value,
    look: &mut Look<'_>,
    accept: fn(Ordering) -> bool,
) -> CheckOutcome {
    let Operand::Span(span) = operand else { return CheckOutcome::of(false) };
    match time_of(value, look.zone) {
        Ok(time) => {
            let age = look.received.duration_since(time);
            if !look.hints {
                return CheckOutcome::of(accept(age.cmp(span)));
            }
            let note = match age.is_negative() {
                true => format!("{} after the receipt", span_words(age)),
                false => format!("{} old at the receipt", span_words(age)),
            };
            let held = if accept(age.cmp(span)) { Held::Held } else { Held::Missed };
            CheckOutcome { held, note: (held == Held::Missed).then_some(note) }
        }
        Err(note) => CheckOutcome::failed(note),
    }
}

pub(super) fn on_text(value: &Value, holds: impl FnOnce(&str) -> bool) -> CheckOutcome {
    match text_of(value) {
        Some(text) => CheckOutcome::of(holds(text)),
        None => CheckOutcome::failed(unreadable(value, "text")),
    }
}

pub(super) fn contains(operand: &Operand, value: &Value, look: &mut Look<'_>) -> CheckOutcome {
    let Operand::Part(part, element) = operand else { return CheckOutcome::of(false) };
    match value {
        Value::Array(items) => CheckOutcome::of(items.iter().any(|item| element.is(item, look.zone))),
        Value::Object(members) => CheckOutcome::of(members.keys().any(|key| part.same(key))),
        _ => on_text(value, |text| part.alike(text).contains(part.form.as_str())),
    }
}

pub(super) fn length(operand: &Operand, value: &Value, look: &mut Look<'_>) -> CheckOutcome {
    let length = match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => match text_of(value) {
            Some(text) if text.is_ascii() => text.len(),
            Some(text) => text.nfc().count(),
            None => return CheckOutcome::failed(format!("{} has no length", kind_of(value))),
        },
    };
    sized(operand, length, look, "long")
}

pub(super) fn sized(operand: &Operand, size: usize, look: &mut Look<'_>, word: &str) -> CheckOutcome {
    let Operand::Test(check) = operand else { return CheckOutcome::of(false) };
    let outcome = check.on_node(&Value::from(size), look);
    let note = (outcome.held != Held::Held).then(|| format!("{size} {word}"));
    CheckOutcome { held: outcome.held, note }
}

pub(super) fn every(operand: &Operand, nodes: &[&Value], look: &mut Look<'_>) -> CheckOutcome {
    if nodes.is_empty() {
        return CheckOutcome::missed("selects nothing".to_owned());
    }
    unless_one(Held::Missed, operand, nodes, look)
}

pub(super) fn none(operand: &Operand, nodes: &[&Value], look: &mut Look<'_>) -> CheckOutcome {
    unless_one(Held::Held, operand, nodes, look)
}

/// Holds unless the test comes out as `against` on one node; failed where one can't be read.
pub(super) fn unless_one(against: Held, operand: &Operand, nodes: &[&Value], look: &mut Look<'_>) -> CheckOutcome {
    let Operand::Test(check) = operand else { return CheckOutcome::of(false) };
    let mut all = CheckOutcome::of(true);
    for node in nodes {
        let outcome = look.without_hints(|look| check.on_node(node, look));
        if outcome.held == against {
            // Report the reason for this one.
            let note = look.hints.then(|| look.for_nothing(|look| check.on_node(node, look).note)).flatten();
            return CheckOutcome::missed(note.unwrap_or_else(|| format!("{} is among them", shown(node))));
        }
        if outcome.held == Held::Failed && all.held == Held::Held {
            all = outcome;
        }
    }
    all
}

/// What is said of a value that an operator can't read.
pub(super) fn unreadable(value: &Value, wanted: &str) -> String {
    match value {
        Value::Array(_) => LIST_HINT.into(),
        Value::String(_) => format!("{} is not a {wanted}", shown(value)),
        _ => format!("{}, not a {wanted}", kind_of(value)).replace("a text", "text"),
    }
}
