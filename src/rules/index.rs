//! Which rules an event type reaches, found once per type and kept; and rules by their names.
//!
//! Pure except for what it remembers. Rules that name their types are found by name; only those with wildcards are gone
//! through, and only when a type is seen for the first time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::Rule;

/// The most types whose candidates are kept.
const TYPES_MAX: usize = 4096;
/// The most candidates that are kept, of all types together: where thousands of rules have wildcards, each type has as
/// many.
const CANDIDATES_MAX: usize = 1 << 17;

/// Which rules a type reaches.
///
/// A sender may invent types without end, so what is kept is bounded: when full, all is forgotten and found again. The
/// lock is there because judging shares the set of rules; it is held for one look-up, and in a running server one
/// planner alone asks.
#[derive(Default)]
pub(crate) struct Index {
    by_type: OnceLock<ByType>,
    by_name: OnceLock<HashMap<String, usize>>,
    foreign: RwLock<Known>,
    own: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    by_type: HashMap<Arc<str>, Arc<[Candidate]>>,
    candidates: usize,
}

/// The enabled rules, by their places in the set.
#[derive(Default)]
struct ByType {
    /// Those that name all their types, by type.
    exact: HashMap<String, Vec<usize>>,
    /// The others.
    wild: Vec<usize>,
}

/// A rule that a type reaches, and by which of its globs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its place in the set of rules.
    pub rule: usize,
    /// Its `events` accept the type.
    pub events: bool,
    /// Which of its closers accept the type.
    pub closers: Vec<usize>,
    /// Its `missing` accepts the type.
    pub missing: bool,
}

impl Index {
    /// The rules that a type reaches, in their order.
    pub(crate) fn of(&self, rules: &[Rule], kind: &Arc<str>, own: bool) -> Arc<[Candidate]> {
        let known = if own { &self.own } else { &self.foreign };
        if let Some(candidates) = known.read().unwrap_or_else(PoisonError::into_inner).by_type.get(kind) {
            return candidates.clone();
        }
        let candidates = self.find(rules, kind, own);
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        known.candidates += candidates.len();
        if known.by_type.len() >= TYPES_MAX || known.candidates > CANDIDATES_MAX {
            *known = Known { candidates: candidates.len(), ..Known::default() };
        }
        known.by_type.insert(kind.clone(), candidates.clone());
        candidates
    }

    /// The place of the rule with this name, else of the one that had it before.
    pub(crate) fn named(&self, rules: &[Rule], name: &str) -> Option<usize> {
        let by_name = self.by_name.get_or_init(|| {
            let mut by_name = HashMap::new();
            for (place, rule) in rules.iter().enumerate() {
                by_name.entry(rule.name.value.clone()).or_insert(place);
            }
            for (place, rule) in rules.iter().enumerate() {
                rule.formerly.iter().for_each(|former| _ = by_name.entry(former.clone()).or_insert(place));
            }
            by_name
        });
        by_name.get(name).copied()
    }

    fn find(&self, rules: &[Rule], kind: &str, own: bool) -> Arc<[Candidate]> {
        let by_type = self.by_type.get_or_init(|| ByType::of(rules));
        let mut places: Vec<usize> = by_type.exact.get(kind).into_iter().flatten().copied().collect();
        places.extend(&by_type.wild);
        places.sort_unstable();
        places.into_iter().filter_map(|place| rules.get(place)?.candidate(place, kind, own)).collect()
    }
}

impl ByType {
    fn of(rules: &[Rule]) -> Self {
        let mut by_type = Self::default();
        for (place, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
            let Some(exact) = rule.globs().map(|globs| globs.exact()).collect::<Option<Vec<_>>>() else {
                by_type.wild.push(place);
                continue;
            };
            for kind in exact.into_iter().flatten() {
                let places = by_type.exact.entry(kind.to_owned()).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        by_type
    }
}

impl Rule {
    fn candidate(&self, rule: usize, kind: &str, own: bool) -> Option<Candidate> {
        let closers = self.closed_by.iter().enumerate().filter(|(_, closer)| closer.events.accept(kind, own));
        let candidate = Candidate {
            rule,
            events: self.events.accept(kind, own),
            closers: closers.map(|(at, _)| at).collect(),
            missing: self.missing.as_ref().is_some_and(|missing| missing.events.accept(kind, own)),
        };
        (candidate.events || candidate.missing || !candidate.closers.is_empty()).then_some(candidate)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Index")
    }
}
