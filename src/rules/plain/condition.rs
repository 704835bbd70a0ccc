//! Conditions in words: short ones within a sentence, others as lines below it. Pure.

use super::Sentence;
use super::words::{code, list};
use crate::rules::condition::{Test, Tree};
use crate::rules::operator::Holds;

/// The most tests that one sentence takes.
const INLINE_MAX: usize = 2;

/// A short condition within a sentence; `None` where lines read better.
pub(super) fn inline(tree: &Tree) -> Option<String> {
    let few = |parts: &[Tree]| -> Option<Vec<String>> {
        let simple = parts.len() <= INLINE_MAX && parts.iter().all(|part| matches!(part, Tree::Test(_)));
        simple.then(|| parts.iter().filter_map(inline).collect())
    };
    match tree {
        Tree::Test(test) => Some(words(test)),
        Tree::All(parts) | Tree::Any(parts) if parts.len() == 1 => parts.first().and_then(inline),
        Tree::All(parts) => few(parts).map(|parts| list(&parts, "and")),
        Tree::Any(parts) => few(parts).map(|parts| list(&parts, "or")),
        Tree::Not(part) => match &**part {
            Tree::Test(test) => Some(format!("not: {}", words(test))),
            Tree::All(_) | Tree::Any(_) | Tree::Not(_) => None,
        },
    }
}

/// A condition as lines, and what is said above them.
pub(super) fn block(tree: &Tree) -> (&'static str, Vec<Sentence>) {
    match tree {
        Tree::All(parts) | Tree::Any(parts) if parts.len() == 1 => match parts.first() {
            Some(only) => block(only),
            None => ("if this holds", Vec::new()),
        },
        Tree::All(parts) => ("if all of these hold", parts.iter().map(line).collect()),
        Tree::Any(parts) => ("if at least one of these holds", parts.iter().map(line).collect()),
        Tree::Not(_) | Tree::Test(_) => ("if this holds", vec![line(tree)]),
    }
}

fn line(tree: &Tree) -> Sentence {
    let (head, parts): (&str, &[Tree]) = match tree {
        Tree::Test(test) => return Sentence::new(words(test)),
        Tree::All(parts) | Tree::Any(parts) if parts.len() == 1 => match parts.first() {
            Some(only) => return line(only),
            None => return Sentence::new("nothing"),
        },
        Tree::All(parts) => ("all of these:", parts),
        Tree::Any(parts) => ("at least one of these:", parts),
        Tree::Not(part) => match &**part {
            Tree::Test(test) => return Sentence::new(format!("not: {}", words(test))),
            Tree::All(parts) => ("not all of these:", parts),
            Tree::Any(parts) => ("none of these:", parts),
            Tree::Not(inner) => return line(inner),
        },
    };
    Sentence { text: head.into(), parts: parts.iter().map(line).collect() }
}

/// The words of `explain`, with the path set apart.
fn words(test: &Test) -> String {
    let check = test.check.words().replace('`', "'");
    let of_all =
        test.check.parts().first().is_some_and(|(row, _)| matches!(row.holds, Holds::Nodes(_)) && row.name != "exists");
    if of_all { format!("of {}, {check}", code(&test.path)) } else { format!("{} {check}", code(&test.path)) }
}
