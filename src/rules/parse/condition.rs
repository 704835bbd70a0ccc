//! `when`: from a node to a tree of conditions.
//!
//! Pure. A text is a path that must select something; a list and a mapping hold as a whole; `any`, `all` and `not`
//! group; every other key is a path or name with a test.

use super::super::check::Check;
use super::super::condition::{Condition, Test, Tree};
use super::super::operand::Operand;
use super::super::operator;
use super::super::value::time_of_text;
use super::{Reader, not_cut_within};
use crate::problem::Problem;
use crate::yaml::{Key, Node, NodeKind};

impl Reader<'_> {
    /// A whole condition.
    pub(super) fn condition(&mut self, node: &Node) -> Option<Condition> {
        let tree = self.tree(node)?;
        Some(Condition { tree, place: node.place.clone() })
    }

    fn tree(&mut self, node: &Node) -> Option<Tree> {
        match &node.kind {
            NodeKind::Text(path) => {
                not_cut_within(node, self.problems);
                let on = self.name(path, &node.place)?;
                let exists = operator::named("exists")?;
                let check = Check::new(vec![(exists, Operand::Truth(true))], "is there");
                Some(Tree::Test(Test { path: path.as_str().into(), on, check }))
            }
            NodeKind::List(items) if !items.is_empty() => {
                let parts = items.iter().map(|item| self.tree(item)).collect();
                whole(parts).map(all)
            }
            NodeKind::Map(entries) if !entries.is_empty() => {
                let parts = entries.iter().map(|(key, node)| self.entry(key, node)).collect();
                whole(parts).map(all)
            }
            _ => {
                let problem = match &node.kind {
                    NodeKind::List(_) | NodeKind::Map(_) => {
                        Problem::error("empty", "an empty condition").at(&node.place)
                    }
                    _ => node.expected("a condition: a path, a list, or a mapping"),
                };
                self.problems.push(problem.hint("write `$.data.severity: high`, or a path that must select something"));
                None
            }
        }
    }

    fn entry(&mut self, key: &Key, node: &Node) -> Option<Tree> {
        match key.text.as_str() {
            "any" => self.group(key, node).map(Tree::Any),
            "all" => self.group(key, node).map(Tree::All),
            "not" => self.not(key, node).map(|part| Tree::Not(Box::new(part))),
            word if !self.shared.names.contains_key(word) && other_word(word).is_some() => {
                let meant = other_word(word).unwrap_or_default();
                self.problems.push(
                    Problem::error("unknown-name", format!("conditions have no `{word}`"))
                        .at(&key.place)
                        .hint(format!("did you mean `{meant}`?")),
                );
                if matches!(node.kind, NodeKind::List(_) | NodeKind::Map(_)) {
                    self.tree(node);
                }
                None
            }
            path => {
                let on = self.name(path, &key.place);
                let check = self.test(key, node);
                Some(Tree::Test(Test { path: path.into(), on: on?, check: check? }))
            }
        }
    }

    /// What `any` and `all` take: a list or a mapping, each entry one condition.
    fn group(&mut self, key: &Key, node: &Node) -> Option<Vec<Tree>> {
        match &node.kind {
            NodeKind::List(items) if !items.is_empty() => whole(items.iter().map(|item| self.tree(item)).collect()),
            NodeKind::Map(entries) if !entries.is_empty() => {
                whole(entries.iter().map(|(key, node)| self.entry(key, node)).collect())
            }
            _ => {
                let what = format!("a list or a mapping of conditions for `{}`", key.text);
                self.problems.push(match &node.kind {
                    NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => {
                        Problem::error("empty", format!("`{}` has no conditions", key.text)).at(&key.place)
                    }
                    _ => node.expected(&what),
                });
                None
            }
        }
    }

    /// What `not` takes: exactly one condition.
    fn not(&mut self, key: &Key, node: &Node) -> Option<Tree> {
        let parts = match &node.kind {
            NodeKind::List(items) => items.len(),
            NodeKind::Map(entries) => entries.len(),
            NodeKind::Null => 0,
            _ => 1,
        };
        if parts != 1 {
            self.problems.push(
                Problem::error("not-one", format!("`not` takes exactly one condition, here are {parts}"))
                    .at(&key.place)
                    .hint("write `not: {any: …}` for none of them, or `not: {all: …}` for not all of them"),
            );
            // What else is wrong with them is reported all the same.
            if parts > 1 {
                self.tree(node);
            }
            return None;
        }
        self.tree(node)
    }

    fn test(&mut self, key: &Key, node: &Node) -> Option<Check> {
        if node.kind == NodeKind::Null && node.place.text().trim().is_empty() {
            self.problems.push(
                Problem::error("empty", format!("`{}` has no test", key.text))
                    .at(&key.place)
                    .hint("write `{exists: true}` if it must be there, or `null` if it must be null"),
            );
            return None;
        }
        self.warn_of_lookalike(node);
        self.check(node, super::check::On::Selection)
    }

    /// Text that surely was meant as something else.
    fn warn_of_lookalike(&mut self, node: &Node) {
        let NodeKind::Text(text) = &node.kind else { return };
        if node.plain && ["yes", "no", "on", "off", "Yes", "No", "On", "Off"].contains(&text.as_str()) {
            self.problems.push(
                Problem::warning("looks-like-truth", format!("`{text}` is text here, not a truth value"))
                    .at(&node.place)
                    .hint("write `true` or `false`; or quote it, if the text is meant"),
            );
        }
        if node.plain && self.shared.lists.contains_key(text) {
            self.problems.push(
                Problem::warning(
                    "looks-like-list",
                    format!("only the very text `{text}` equals this, and `lists:` has one of that name"),
                )
                .at(&node.place)
                .hint(format!("did you mean `{{in: {text}}}`? If the text is meant, quote it")),
            );
        }
        for (sign, name) in [(">=", "gte"), ("<=", "lte"), (">", "gt"), ("<", "lt"), ("!=", "ne"), ("==", "eq")] {
            let Some(rest) = text.strip_prefix(sign).map(str::trim) else { continue };
            if crate::yaml::is_json_number(rest) || time_of_text(rest, &jiff::tz::TimeZone::UTC).is_ok() {
                self.problems.push(
                    Problem::warning("looks-like-operator", format!("only the very text `{text}` equals this"))
                        .at(&node.place)
                        .hint(format!("did you mean `{{{name}: {rest}}}`?")),
                );
            }
            return;
        }
    }
}

/// What other languages call `any`, `all` and `not`.
fn other_word(word: &str) -> Option<&'static str> {
    match word {
        "or" | "either" | "some" | "anyOf" | "any_of" | "one_of" | "OR" => Some("any"),
        "and" | "both" | "allOf" | "all_of" | "AND" => Some("all"),
        "unless" | "except" | "NOT" | "nor" => Some("not"),
        _ => None,
    }
}

/// One part stands for itself.
fn all(mut parts: Vec<Tree>) -> Tree {
    match parts.pop() {
        Some(part) if parts.is_empty() => part,
        Some(part) => {
            parts.push(part);
            Tree::All(parts)
        }
        None => Tree::All(parts),
    }
}

/// All parts, if all could be read; each has been read, so that all problems are known.
fn whole(parts: Vec<Option<Tree>>) -> Option<Vec<Tree>> {
    parts.into_iter().collect()
}
