//! What of a path none of some documents has: to tell a misspelt field before any event comes.
//!
//! Values are only examples, so a filter lets everything pass here and an index takes every element; only the names
//! count. Where the documents end in an empty list or a null nothing is said, as nobody knows what would stand below.

use std::collections::BTreeSet;

use serde_json::Value;

use super::plan::{Filter, From, Operand, Pattern, Query, Segment, Selector};

/// The most nodes that are looked at for one segment.
const NODES_MAX: usize = 10_000;
/// The most names that are reported per absent.
const NAMES_MAX: usize = 500;

/// Where a path leads nowhere, in all of the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreachable {
    /// No mapping that stands there has a member of this name; these are the members that there are.
    Member {
        /// The name.
        name: String,
        /// What is there.
        known: BTreeSet<String>,
    },
    /// A member is asked of a list.
    List {
        /// The member's name.
        name: String,
    },
    /// A filter looks at a mapping: it is asked of each member's value, and not of the mapping.
    FilterOverMapping,
}

/// The unreachable of a query, in the order of the path.
pub(super) fn unreachable(query: &Query, documents: &[&Value]) -> Vec<Unreachable> {
    let mut walk = Walk { documents, unreachable: Vec::new() };
    walk.query(query, documents);
    walk.unreachable
}

struct Walk<'d, 'v> {
    documents: &'d [&'v Value],
    unreachable: Vec<Unreachable>,
}

impl<'v> Walk<'_, 'v> {
    fn query(&mut self, query: &Query, from: &[&'v Value]) {
        let mut nodes = from.to_vec();
        for segment in &query.segments {
            nodes = self.segment(segment, nodes);
            nodes.truncate(NODES_MAX);
        }
    }

    fn segment(&mut self, segment: &Segment, nodes: Vec<&'v Value>) -> Vec<&'v Value> {
        let nodes = if segment.descend { with_descendants(nodes) } else { nodes };
        let (mut found, mut absent) = (Vec::new(), Vec::new());
        for selector in &segment.selectors {
            match selector {
                Selector::Name(name) => {
                    let before = found.len();
                    found.extend(nodes.iter().filter_map(|node| node.get(name.as_str())));
                    absent.extend((found.len() == before).then(|| why_absent(name, &nodes)).flatten());
                }
                Selector::Filter(filter) => {
                    let children: Vec<&Value> = nodes.iter().flat_map(|node| children(node)).collect();
                    if !segment.descend && !nodes.is_empty() && nodes.iter().all(|node| node.is_object()) {
                        self.unreachable.push(Unreachable::FilterOverMapping);
                    } else {
                        self.filter(filter, &children);
                    }
                    found.extend(children);
                }
                Selector::Wildcard => found.extend(nodes.iter().flat_map(|node| children(node))),
                Selector::Index(_) | Selector::Slice(_) => {
                    found.extend(nodes.iter().filter_map(|node| node.as_array()).flatten());
                }
            }
        }
        // Of several names one is enough.
        if found.is_empty() {
            self.unreachable.extend(absent);
        }
        found
    }

    fn filter(&mut self, filter: &Filter, nodes: &[&'v Value]) {
        match filter {
            Filter::Any(parts) | Filter::All(parts) => parts.iter().for_each(|part| self.filter(part, nodes)),
            Filter::Not(part) => self.filter(part, nodes),
            Filter::Exists(from, query) => self.within(*from, query, nodes),
            Filter::Compare(left, _, right) => {
                self.operand(left, nodes);
                self.operand(right, nodes);
            }
            Filter::Matches(text, pattern) => {
                self.operand(text, nodes);
                if let Pattern::Foreign(pattern, _) = pattern {
                    self.operand(pattern, nodes);
                }
            }
        }
    }

    fn operand(&mut self, operand: &Operand, nodes: &[&'v Value]) {
        match operand {
            Operand::Literal(_) => {}
            Operand::Length(operand) => self.operand(operand, nodes),
            Operand::Query(from, query) | Operand::Count(from, query) | Operand::Value(from, query) => {
                self.within(*from, query, nodes);
            }
        }
    }

    fn within(&mut self, from: From, query: &Query, nodes: &[&'v Value]) {
        match from {
            From::Root => self.query(query, self.documents),
            From::Current => self.query(query, nodes),
        }
    }
}

/// Why none of these nodes has such a member; nothing where that can't be known.
fn why_absent(name: &str, nodes: &[&Value]) -> Option<Unreachable> {
    let mappings: Vec<_> = nodes.iter().filter_map(|node| node.as_object()).collect();
    let name = name.to_owned();
    if !mappings.is_empty() {
        let known = mappings.iter().flat_map(|members| members.keys()).take(NAMES_MAX).cloned().collect();
        return Some(Unreachable::Member { name, known });
    }
    if nodes.iter().any(|node| node.is_array()) {
        return Some(Unreachable::List { name });
    }
    nodes.iter().any(|node| !node.is_null()).then(|| Unreachable::Member { name, known: BTreeSet::new() })
}

fn children(node: &Value) -> Vec<&Value> {
    match node {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

/// The nodes and all that is below them.
fn with_descendants(nodes: Vec<&Value>) -> Vec<&Value> {
    let mut all = nodes;
    let mut at = 0;
    while let Some(node) = all.get(at).copied().filter(|_| all.len() < NODES_MAX) {
        all.extend(children(node));
        at += 1;
    }
    all
}
