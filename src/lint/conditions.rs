//! Conditions that can never hold, or always do, whatever an event says; and tests that look at different things than
//! they seem to.
//!
//! What a finite test allows (`eq`, `in`) is tried out with the very evaluator; ranges are compared. Whatever else there
//! is counts as possible.

use serde_json::Value;

use crate::config::load::Whole;
use crate::lint::heard::Hearing;
use crate::path::STEPS;
use crate::problem::{Location, Problem, Problems};
use crate::rules::check::{Check, Look};
use crate::rules::condition::{Test, Tree};
use crate::rules::operand::Operand;
use crate::rules::operator::{Holds, Operator};
use crate::rules::value::Literal;
use crate::rules::{Condition, Held};

/// What an operator asks, and of what.
type Term<'t> = (&'static Operator, &'t Operand);

/// What stands in every event.
const ALWAYS_THERE: [&str; 5] = ["$", "$.id", "$.type", "$.created", "$.source"];
/// The most values of a list that are tried out.
const TRIED_MAX: usize = 1_000;

/// Conditions that can never hold.
pub(super) fn never(whole: &Whole, problems: &mut Problems) {
    for hearing in whole.hearings() {
        for (condition, under) in &hearing.conditions {
            for test in condition.tree.tests() {
                alone(whole, &hearing, test, problems);
            }
            together(whole, condition, *under, problems);
        }
    }
}

/// Tests that hold whatever the event says.
pub(super) fn always(whole: &Whole, problems: &mut Problems) {
    for hearing in whole.hearings() {
        for (condition, _) in &hearing.conditions {
            for test in condition.tree.tests() {
                if let (Some(why), Some(place)) = (always_holds(whole, &hearing, test), &test.on.place) {
                    let problem = Problem::warning("always-holds", format!("this test always holds: {why}"));
                    problems.push(problem.at(place).hint("remove it, or fix its value"));
                }
            }
            each_group(&condition.tree, &mut |tree| {
                if let Tree::Any(parts) = tree
                    && let Some(place) = opposites(parts)
                {
                    let problem =
                        Problem::warning("always-holds", "one of these always holds: a test and its opposite");
                    problems.push(problem.at(&place).hint("leave the whole `any` out, or fix one of them"));
                }
            });
        }
    }
}

/// Two tests of one mapping on elements of one list.
pub(super) fn different_elements(whole: &Whole, problems: &mut Problems) {
    for hearing in whole.hearings() {
        for (condition, _) in &hearing.conditions {
            each_group(&condition.tree, &mut |tree| {
                let Tree::All(parts) = tree else { return };
                let elements: Vec<(&Test, &str, &str)> = parts.iter().filter_map(element).collect();
                for (nth, (second, list, behind)) in elements.iter().enumerate() {
                    let before = elements.iter().take(nth);
                    let first = before.into_iter().find(|(_, other, rest)| other == list && rest != behind);
                    if let (Some((first, _, of_first)), Some(place)) = (first, &second.on.place)
                        && shares_mapping(place)
                    {
                        let message = format!("these tests may hold for two different elements of `{list}`");
                        let filter = format!("`{list}[?@{of_first} == … && @{behind} == …]`");
                        let problem = Problem::warning("different-elements", message).at(place);
                        let problem = problem.hint(format!("for one that passes both write {filter}"));
                        problems.push(match &first.on.place {
                            Some(first) => problem.also(first, "the other test"),
                            None => problem,
                        });
                    }
                }
            });
        }
    }
}

// --- never ---

/// One test that contradicts itself, or its rule's types.
fn alone(whole: &Whole, hearing: &Hearing<'_>, test: &Test, problems: &mut Problems) {
    let Some(place) = &test.on.place else { return };
    let why = if contradicts_itself(whole, &test.check, false) {
        impossible(whole, test)
    } else if &*test.path == "$.type" && no_type(whole, hearing, &test.check) {
        format!("the rule receives only {}", hearing.types())
    } else if ALWAYS_THERE.contains(&&*test.path) && asks_absent(test) {
        format!("`{}` is always there", test.path)
    } else {
        return;
    };
    problems.push(
        Problem::warning("never-holds", format!("this test never holds: {why}"))
            .at(place)
            .hint("operators of one test must hold together; for either of them write `any:`"),
    );
}

/// What can't be, in words.
fn impossible(whole: &Whole, test: &Test) -> String {
    let inner = test.check.parts().iter().find_map(|(row, operand)| match operand {
        Operand::Test(check) if contradicts_itself(whole, check, row.name != "every") => Some((row.name, check)),
        _ => None,
    });
    match inner {
        Some(("every", check)) => format!("nothing {}", check.words()),
        Some((name, check)) => format!("no {name} {}", check.words()),
        None => format!("nothing {}", test.check.words()),
    }
}

/// Tests that hold together and contradict each other, those of the rule that stand before included.
fn together(whole: &Whole, condition: &Condition, under: Option<&Condition>, problems: &mut Problems) {
    let mut before: Vec<&Tree> = Vec::new();
    if let Some(under) = under {
        flatten(&under.tree, &mut before);
    }
    let outer = before.len();
    let mut groups: Vec<Vec<&Tree>> = Vec::new();
    let mut own = before;
    flatten(&condition.tree, &mut own);
    groups.push(own);
    each_group(&condition.tree, &mut |tree| {
        if let Tree::Any(parts) = tree {
            for part in parts {
                let mut group = Vec::new();
                flatten(part, &mut group);
                groups.push(group);
            }
        }
    });
    for (nth, group) in groups.iter().enumerate() {
        let from = if nth == 0 { outer } else { 0 };
        contradictory_group(whole, group, from, problems);
    }
}

/// Reports the first contradiction of tests from `from` on with any before them.
fn contradictory_group(whole: &Whole, group: &[&Tree], from: usize, problems: &mut Problems) {
    for (nth, tree) in group.iter().enumerate().skip(from) {
        let earlier = group.iter().take(nth);
        let Some((first, second)) = earlier.into_iter().find_map(|other| clash(whole, other, tree)) else { continue };
        let Some(place) = second.on.place.as_ref() else { continue };
        let message = format!("these tests on `{}` never hold together", second.path);
        let problem = Problem::warning("never-holds", message).at(place);
        let problem = problem.hint("for one or the other write a list of values, or `any:`");
        problems.push(match &first.on.place {
            Some(first) if first.file == place.file => problem.also(first, "the other test"),
            _ => problem,
        });
        return;
    }
}

/// The tests of two conditions that can't both hold.
fn clash<'t>(whole: &Whole, one: &'t Tree, other: &'t Tree) -> Option<(&'t Test, &'t Test)> {
    match (one, other) {
        (Tree::Not(not), tree) | (tree, Tree::Not(not)) => {
            let Tree::Test(inner) = &**not else { return None };
            let Tree::Test(test) = tree else { return None };
            let is_first = matches!(one, Tree::Not(_));
            (not.signature() == tree.signature()).then_some(if is_first { (inner, test) } else { (test, inner) })
        }
        (Tree::Test(one), Tree::Test(other)) if one.path == other.path && is_singular(one) => {
            let parts = one.check.parts().iter().chain(other.check.parts());
            let parts: Vec<Term<'_>> = parts.map(|(row, operand)| (*row, operand)).collect();
            let absent = (asks_absent(one) && needs_node(other)) || (asks_absent(other) && needs_node(one));
            let each_alone = [one, other].iter().any(|test| contradicts_itself(whole, &test.check, false));
            (!each_alone && (absent || contradict(whole, &parts, false))).then_some((one, other))
        }
        _ => None,
    }
}

fn flatten<'t>(tree: &'t Tree, out: &mut Vec<&'t Tree>) {
    match tree {
        Tree::All(parts) => parts.iter().for_each(|part| flatten(part, out)),
        other => out.push(other),
    }
}

/// Whether no value passes all of these. `is_size`: the value is a number of things, never negative.
fn contradict(whole: &Whole, parts: &[Term<'_>], is_size: bool) -> bool {
    let inner = |(row, operand): &Term<'_>| match (row.name, operand) {
        ("length" | "count", Operand::Test(check)) => contradicts_itself(whole, check, true),
        ("every", Operand::Test(check)) => contradicts_itself(whole, check, false),
        _ => false,
    };
    parts.iter().any(inner) || empty_range(parts, is_size) || none_of_finite(whole, parts)
}

fn contradicts_itself(whole: &Whole, check: &Check, is_size: bool) -> bool {
    let parts: Vec<Term<'_>> = check.parts().iter().map(|(row, operand)| (*row, operand)).collect();
    contradict(whole, &parts, is_size)
}

/// Whether of the values that an `eq` or `in` names none passes the others.
fn none_of_finite(whole: &Whole, parts: &[Term<'_>]) -> bool {
    let zone = whole.zone();
    let finite = parts.iter().enumerate().find_map(|(nth, (row, operand))| match (row.name, operand) {
        ("eq", Operand::Value(literal)) => Some((nth, vec![literal.clone()])),
        ("in", Operand::Values(values)) => Some((nth, values.literals(&zone).take(TRIED_MAX).collect())),
        _ => None,
    });
    let Some((nth, literals)) = finite else { return false };
    let others: Vec<&Term<'_>> = parts.iter().enumerate().filter(|(at, _)| *at != nth).map(|(_, part)| part).collect();
    let Some(values) = literals.iter().map(plain).collect::<Option<Vec<Value>>>() else { return false };
    let is_text = values.iter().all(Value::is_string);
    // A number may be written in many ways, and a text operator may read each of them.
    let decided = |part: &&&Term<'_>| {
        matches!(part.0.holds, Holds::Node(_)) && (is_text || ORDER_AND_EQUALITY.contains(&part.0.name))
    };
    let others: Vec<&&Term<'_>> = others.iter().filter(decided).collect();
    let passes = |value: &Value, part: &Term<'_>| {
        let Holds::Node(holds) = part.0.holds else { return true };
        let mut look = Look { zone: &zone, received: whole.now, steps: &mut { STEPS }, hints: true };
        holds(part.1, value, &mut look).held == Held::Held
    };
    !others.is_empty() && !values.iter().any(|value| others.iter().all(|part| passes(value, part)))
}

const ORDER_AND_EQUALITY: [&str; 8] = ["eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte"];

/// The one value that equals it; nothing where there are many.
fn plain(literal: &Literal) -> Option<Value> {
    match literal {
        Literal::Null => Some(Value::Null),
        Literal::Truth(truth) => Some((*truth).into()),
        Literal::Number(_, text) => serde_json::from_str(text).ok(),
        Literal::Text(text, _) if !text.folded => Some(text.form.as_str().into()),
        Literal::Text(..) | Literal::List(_) | Literal::Map(_) => None,
    }
}

/// Whether no number, or no time, is within all bounds.
fn empty_range(parts: &[Term<'_>], is_size: bool) -> bool {
    let numbers = bounds(parts, |operand| match operand {
        Operand::Number(number, _) => Some(number.clone()),
        _ => None,
    });
    let times = bounds(parts, |operand| match operand {
        Operand::Time(time) => Some(*time),
        _ => None,
    });
    let negative =
        || numbers.upper.as_ref().is_some_and(|(upper, open)| upper.is_negative() || (*open && upper.is_zero()));
    numbers.is_empty() || times.is_empty() || (is_size && negative())
}

/// The narrowest bounds, each with whether the bound itself is left out.
struct Bounds<T> {
    lower: Option<(T, bool)>,
    upper: Option<(T, bool)>,
}

impl<T: Ord> Bounds<T> {
    fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Some((lower, open_below)), Some((upper, open_above))) => {
                lower > upper || (lower == upper && (*open_below || *open_above))
            }
            _ => false,
        }
    }
}

fn bounds<T: Ord>(parts: &[Term<'_>], read: impl Fn(&Operand) -> Option<T>) -> Bounds<T> {
    let mut bounds = Bounds { lower: None, upper: None };
    for (row, operand) in parts {
        let Some(value) = read(operand) else { continue };
        let open = matches!(row.name, "gt" | "lt");
        match row.name {
            "gt" | "gte" if bounds.lower.as_ref().is_none_or(|(lower, was)| (&value, open) > (lower, *was)) => {
                bounds.lower = Some((value, open));
            }
            "lt" | "lte" if bounds.upper.as_ref().is_none_or(|(upper, was)| (&value, !open) < (upper, !*was)) => {
                bounds.upper = Some((value, open));
            }
            _ => {}
        }
    }
    bounds
}

/// Whether the test passes none of the types that the rule receives.
fn no_type(whole: &Whole, hearing: &Hearing<'_>, check: &Check) -> bool {
    let passes = |kind: &str| on_type(whole, check, kind) == Held::Held;
    match exact_types(hearing) {
        Some(types) if !types.is_empty() => !types.into_iter().any(passes),
        Some(_) => false,
        // Of wildcards only what names its types can be told.
        None => check.parts().iter().any(|(row, operand)| {
            let named: Vec<Literal> = match (row.name, operand) {
                ("eq", Operand::Value(literal)) => vec![literal.clone()],
                ("in", Operand::Values(values)) => values.literals(&whole.zone()).take(TRIED_MAX).collect(),
                _ => return false,
            };
            let heard = |literal: &Literal| match literal {
                Literal::Text(text, _) => {
                    text.folded || [false, true].iter().any(|own| hearing.accepts(&text.form, *own))
                }
                _ => false,
            };
            !named.iter().any(heard)
        }),
    }
}

fn exact_types<'h>(hearing: &'h Hearing<'_>) -> Option<Vec<&'h str>> {
    let all = hearing.globs.iter().map(|globs| globs.exact()).collect::<Option<Vec<_>>>()?;
    Some(all.into_iter().flatten().collect())
}

fn on_type(whole: &Whole, check: &Check, kind: &str) -> Held {
    let zone = whole.zone();
    let mut look = Look { zone: &zone, received: whole.now, steps: &mut { STEPS }, hints: true };
    check.on_nodes(&[&Value::from(kind)], &mut look).held
}

// --- always ---

/// Why a test always holds.
fn always_holds(whole: &Whole, hearing: &Hearing<'_>, test: &Test) -> Option<String> {
    if ALWAYS_THERE.contains(&&*test.path) && test.check.parts().iter().all(|part| is_exists(part, true)) {
        return Some(format!("`{}` is always there", test.path));
    }
    if &*test.path == "$.type"
        && let Some(types) = exact_types(hearing).filter(|types| !types.is_empty())
        && types.iter().all(|kind| on_type(whole, &test.check, kind) == Held::Held)
    {
        return Some(format!("the rule receives only {}", hearing.types()));
    }
    let parts = test.check.parts();
    let idle = parts.iter().find_map(|(row, operand)| match operand {
        Operand::Test(check) if row.name == "count" && is_any_size(check) => Some("no count is negative".to_owned()),
        Operand::Test(check) if row.name == "length" && is_any_size(check) => Some("no length is negative".to_owned()),
        Operand::Test(check) if row.name == "none" && contradicts_itself(whole, check, false) => {
            Some(format!("nothing {}", check.words()))
        }
        Operand::Regex(regex) if PROBES.iter().all(|probe| regex.regex.is_match(probe)) => {
            Some("the pattern is found in every text".to_owned())
        }
        Operand::Glob(glob, _) if PROBES.iter().all(|probe| glob.matches(probe)) => {
            Some("the glob is like every text".to_owned())
        }
        Operand::Text(text) if text.form.is_empty() => Some(format!("every text {}", phrase(row))),
        Operand::Part(text, _) if text.form.is_empty() => Some(format!("every text {}", phrase(row))),
        _ => None,
    });
    // Beside another operator, one that says nothing is still one too many.
    idle.filter(|_| !parts.is_empty())
}

fn phrase(row: &Operator) -> String {
    row.phrase.replace("{}", "an empty one")
}

/// Texts that have nothing in common.
const PROBES: [&str; 4] = ["", "\u{10FFFF}", "q7 Z\n", "Ünder-\u{1F3B5}_#"];

/// Whether every number of things passes.
fn is_any_size(check: &Check) -> bool {
    check.parts().iter().all(|(row, operand)| match (row.name, operand) {
        ("gte", Operand::Number(number, _)) => number.is_zero() || number.is_negative(),
        ("gt", Operand::Number(number, _)) => number.is_negative(),
        ("ne", Operand::Value(Literal::Number(number, _))) => number.is_negative() && !number.is_zero(),
        _ => false,
    })
}

/// Where a condition and its opposite stand among these.
fn opposites(parts: &[Tree]) -> Option<Location> {
    parts.iter().find_map(|part| match part {
        Tree::Not(not) => {
            let signature = not.signature();
            let is_there = parts.iter().any(|other| other.signature() == signature);
            not.tests().first().filter(|_| is_there).and_then(|test| test.on.place.clone())
        }
        Tree::Test(test) if asks_absent(test) => {
            let is_asked = |part: &Tree| match part {
                Tree::Test(other) => {
                    other.path == test.path && other.check.parts().iter().all(|part| is_exists(part, true))
                }
                _ => false,
            };
            parts.iter().any(is_asked).then(|| test.on.place.clone()).flatten()
        }
        _ => None,
    })
}

fn is_exists((row, operand): &(&'static Operator, Operand), truth: bool) -> bool {
    row.name == "exists" && matches!(operand, Operand::Truth(found) if *found == truth)
}

/// Whether the test holds only where nothing is.
fn asks_absent(test: &Test) -> bool {
    test.check.parts().iter().any(|part| is_exists(part, false))
}

/// Whether the test holds only where something is.
fn needs_node(test: &Test) -> bool {
    let needs = |part: &(&'static Operator, Operand)| {
        matches!(part.0.holds, Holds::Node(_)) || part.0.name == "every" || is_exists(part, true)
    };
    test.check.parts().iter().any(needs)
}

fn is_singular(test: &Test) -> bool {
    test.on.all_queries().all(|query| query.path.is_singular())
}

/// A test of one of a list's elements: the list's path, and what stands behind `[*]`.
fn element(tree: &Tree) -> Option<(&Test, &str, &str)> {
    let Tree::Test(test) = tree else { return None };
    let is_of_nodes = test.check.parts().iter().all(|(row, _)| matches!(row.holds, Holds::Node(_)));
    let (list, behind) = test.path.rsplit_once("[*]")?;
    (is_of_nodes && test.path.starts_with('$') && !behind.is_empty()).then_some((test, list, behind))
}

/// Whether a key stands in the same mapping as another before it, and not in an element of a list by itself.
fn shares_mapping(key: &Location) -> bool {
    let before = key.file.text.get(..key.span.start).unwrap_or_default().trim_end_matches([' ', '\t']);
    !before.ends_with(['-', '{', '['])
}

/// Every condition that has parts, from the outside in.
fn each_group<'t>(tree: &'t Tree, look: &mut impl FnMut(&'t Tree)) {
    match tree {
        Tree::All(parts) | Tree::Any(parts) => {
            look(tree);
            parts.iter().for_each(|part| each_group(part, look));
        }
        Tree::Not(part) => each_group(part, look),
        Tree::Test(_) => {}
    }
}
