//! Tests that can't come out as they were meant, judging by the values that known events have.

use serde_json::Value;

use crate::config::evidence::{Origin, Seen};
use crate::config::load::Whole;
use crate::path::STEPS;
use crate::problem::{Location, Problem, Problems};
use crate::rules::Held;
use crate::rules::check::Look;
use crate::rules::condition::{Test, Tree};
use crate::rules::operand::Operand;
use crate::rules::operator::Holds;
use crate::rules::value::Literal;

/// Tests of one value on what is a list in every known event.
pub(super) fn list(whole: &Whole, problems: &mut Problems) {
    each_test(whole, |test, place, heard| {
        let Some(operator) = of_one_value(test) else { return };
        let nodes: Vec<&Value> = heard.iter().flat_map(|seen| seen.nodes(&test.on)).collect();
        if nodes.is_empty() || !nodes.iter().all(|node| node.is_array()) {
            return;
        }
        let message = format!("`{}` is a list, and `{operator}` looks at one value", test.path);
        let path = if test.path.starts_with('$') { &*test.path } else { "" };
        problems.push(
            Problem::warning("list-as-value", message)
                .at(place)
                .hint(format!("did you mean `{path}[*]`, one of its elements?")),
        );
    });
}

/// Tests that fail on every known event that has something for them.
pub(super) fn unreadable(whole: &Whole, problems: &mut Problems) {
    let zone = whole.zone();
    each_test(whole, |test, place, heard| {
        let mut last = None;
        for seen in heard {
            let nodes = seen.nodes(&test.on);
            if nodes.iter().all(|node| node.is_null()) {
                continue;
            }
            if nodes.iter().all(|node| node.is_array()) {
                return;
            }
            let mut look = Look { zone: &zone, received: whole.now, steps: &mut { STEPS }, hints: true };
            let outcome = test.check.on_nodes(&nodes, &mut look);
            if outcome.held != Held::Failed {
                return;
            }
            last = Some((seen, outcome.note.unwrap_or_default()));
        }
        let Some((seen, note)) = last else { return };
        let message = format!("`{}` is nothing that this test can read, in {}: {note}", test.path, seen.called());
        problems.push(
            Problem::warning("wrong-kind-of-value", message)
                .at(place)
                .hint("a test that fails stops its rule: use another operator, or a path one step longer"),
        );
    });
}

/// `ne` and `not_in` on what some samples lack.
pub(super) fn absent(whole: &Whole, problems: &mut Problems) {
    for hearing in whole.hearings() {
        let heard: Vec<&Seen> = whole.heard(&hearing).into_iter().filter(|seen| seen.is_real()).collect();
        for (condition, _) in &hearing.conditions {
            positive(&condition.tree, &[], &mut |test, beside| {
                let operators = test.check.parts().iter().map(|(row, _)| row.name);
                let Some(operator) = operators.clone().find(|name| ["ne", "not_in"].contains(name)) else { return };
                let is_sure = operators.count() > 1 || beside.iter().filter(|path| **path == &*test.path).count() > 1;
                let (lacking, having): (Vec<&Seen>, Vec<&Seen>) =
                    heard.iter().partition(|seen| seen.nodes(&test.on).is_empty());
                let (Some(lacking), Some(place), false) = (sample_first(&lacking), &test.on.place, is_sure) else {
                    return;
                };
                if having.is_empty() {
                    return;
                }
                let message = format!(
                    "where `{}` is absent, `{operator}` does not hold: {} lacks it",
                    test.path,
                    lacking.called()
                );
                let opposite = if operator == "ne" { "VALUE" } else { "[VALUE, …]" };
                problems.push(Problem::warning("ne-of-absent", message).at(place).hint(format!(
                    "write `not: {{{}: {opposite}}}` if the absent is meant too, else add `exists: true`",
                    test.path
                )));
            });
        }
    }
}

fn sample_first<'s>(seen: &[&'s Seen]) -> Option<&'s Seen> {
    seen.iter().find(|seen| matches!(seen.from, Origin::Own | Origin::Sample(_))).or(seen.first()).copied()
}

/// Every test of every condition, with its place and the known events that it would be asked of.
fn each_test(whole: &Whole, mut look: impl FnMut(&Test, &Location, &[&Seen])) {
    for hearing in whole.hearings() {
        let heard = whole.heard(&hearing);
        for test in hearing.conditions.iter().flat_map(|(condition, _)| condition.tree.tests()) {
            if let Some(place) = &test.on.place {
                look(test, place, &heard);
            }
        }
    }
}

/// Every test that must hold, none within a `not`, with the paths of those that must hold together with it.
fn positive<'t>(tree: &'t Tree, beside: &[&'t str], look: &mut impl FnMut(&'t Test, &[&'t str])) {
    match tree {
        Tree::All(parts) => {
            let own = parts.iter().filter_map(|part| match part {
                Tree::Test(test) => Some(&*test.path),
                _ => None,
            });
            let all: Vec<&str> = beside.iter().copied().chain(own).collect();
            parts.iter().for_each(|part| positive(part, &all, look));
        }
        Tree::Any(parts) => parts.iter().for_each(|part| positive(part, beside, look)),
        Tree::Not(_) => {}
        Tree::Test(test) => look(test, beside),
    }
}

/// The first operator of a test that looks at one value which is no list.
fn of_one_value(test: &Test) -> Option<&'static str> {
    let takes_no_list = |operand: &Operand, name: &str| match operand {
        Operand::Value(literal) => !matches!(literal, Literal::List(_)),
        _ => !["contains", "length"].contains(&name),
    };
    let mut parts = test.check.parts().iter();
    let found = parts.find(|(row, operand)| matches!(row.holds, Holds::Node(_)) && takes_no_list(operand, row.name));
    found.map(|(row, _)| row.name)
}
