//! What tests reach: which rules matched, which tests of conditions held and which did not, which actions acted, which
//! branches of templates were taken.
//!
//! Found by judging, with the same judge, the events that tests sent and those that Fanfare made of them; templates note
//! their branches themselves while they are rendered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::event::Event;
use crate::message::template::branches::Taken;
use crate::problem::Location;
use crate::rules::{Condition, Held, Rule, RuleSet, Why};

/// A condition of a rule: its own, a closer's, or an action's.
type Spot = (String, String);

/// What was reached.
#[derive(Debug, Default, Clone)]
pub struct Coverage {
    matched: BTreeSet<String>,
    acted: BTreeSet<(String, String)>,
    /// For each test of a condition, in the order of the file: whether it held, whether it didn't.
    tests: BTreeMap<Spot, Vec<(bool, bool)>>,
}

/// How much was reached, of how much.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reached {
    /// Rules that matched, of the enabled ones.
    pub rules: (usize, usize),
    /// Tests of conditions: held or not held, two for each.
    pub conditions: (usize, usize),
    /// Actions that acted.
    pub actions: (usize, usize),
    /// Branches of templates, and of the rules' own texts, that were taken.
    pub branches: (usize, usize),
    /// What was not reached: of the rules in their order, then of the templates.
    pub gaps: Vec<Gap>,
}

/// Something that no test reached.
#[derive(Debug, Clone, Serialize)]
pub struct Gap {
    /// The rule; `None` where it is of a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What was not reached, in words.
    pub what: String,
    /// Its file.
    pub file: String,
    /// Its line there.
    pub line: usize,
}

impl Coverage {
    /// Records what an event reaches.
    pub fn judge(&mut self, rules: &RuleSet, event: &Event) {
        let own = event.is_own();
        for rule in rules.rules.iter().filter(|rule| rule.enabled) {
            if rule.source.as_ref().is_some_and(|source| **source != *event.source) {
                continue;
            }
            if rule.events.accept(&event.kind, own) {
                let held = rule.when.as_ref().is_none_or(|when| self.test(rules, spot(rule, "when"), when, event));
                if held {
                    self.matched.insert(rule.name.value.clone());
                    self.actions(rules, rule, event, false);
                }
            }
            for (nth, closer) in rule.closed_by.iter().enumerate() {
                if !closer.events.accept(&event.kind, own) {
                    continue;
                }
                let spot = || spot(rule, &format!("closed_by {nth}"));
                if closer.when.as_ref().is_none_or(|when| self.test(rules, spot(), when, event)) {
                    self.actions(rules, rule, event, true);
                }
            }
            let missing = rule.missing.as_ref().filter(|missing| missing.events.accept(&event.kind, own));
            if let Some(when) = missing.and_then(|missing| missing.when.as_ref()) {
                self.test(rules, spot(rule, "missing"), when, event);
            }
        }
    }

    /// Notes that an action led to a delivery.
    pub fn act(&mut self, rule: &str, action: &str) {
        self.matched.insert(rule.to_owned());
        self.acted.insert((rule.to_owned(), action.to_owned()));
    }

    /// All that both reached.
    pub fn add(&mut self, other: Coverage) {
        self.matched.extend(other.matched);
        self.acted.extend(other.acted);
        for (spot, tests) in other.tests {
            let known = self.tests.entry(spot).or_default();
            known.resize(known.len().max(tests.len()), (false, false));
            for (known, (held, missed)) in known.iter_mut().zip(tests) {
                *known = (known.0 || held, known.1 || missed);
            }
        }
    }

    fn actions(&mut self, rules: &RuleSet, rule: &Rule, event: &Event, close: bool) {
        let actions = if close { &rule.on_close } else { &rule.actions };
        for action in actions {
            if let Some(when) = &action.when {
                self.test(rules, spot(rule, &format!("action {}", action.id)), when, event);
            }
        }
    }

    /// Judges one condition, and notes how each of its tests came out.
    fn test(&mut self, rules: &RuleSet, spot: Spot, when: &Condition, event: &Event) -> bool {
        let (held, why) = rules.holds(when, event);
        let known = self.tests.entry(spot).or_default();
        let mut at = 0;
        note(&why, known, &mut at);
        held == Held::Held
    }

    /// How much of these rules was reached.
    pub fn reached(&self, rules: &RuleSet) -> Reached {
        let mut reached = Reached::default();
        for rule in rules.rules.iter().filter(|rule| rule.enabled) {
            let matched = self.matched.contains(&rule.name.value);
            reached.rules.0 += usize::from(matched);
            reached.rules.1 += 1;
            if !matched {
                reached.gap(rule, &rule.name.place, "no test makes it match");
            }
            for (name, when) in conditions(rule) {
                self.condition(rule, &name, when, &mut reached);
            }
            for action in rule.all_actions() {
                let acted = self.acted.contains(&(rule.name.value.clone(), action.id.clone()));
                reached.actions.0 += usize::from(acted);
                reached.actions.1 += 1;
                if matched && !acted {
                    let to: Vec<&str> = action.to.iter().map(|to| to.value.as_str()).collect();
                    reached.gap(rule, &action.place, &format!("no test makes the action to {} act", to.join(", ")));
                }
            }
        }
        reached
    }

    fn condition(&self, rule: &Rule, name: &str, when: &Condition, reached: &mut Reached) {
        let known = self.tests.get(&spot(rule, name));
        let matched = self.matched.contains(&rule.name.value);
        for (nth, name) in when.names().into_iter().enumerate() {
            let (held, missed) = known.and_then(|known| known.get(nth)).copied().unwrap_or_default();
            reached.conditions.0 += usize::from(held) + usize::from(missed);
            reached.conditions.1 += 2;
            let place = name.place.as_ref().unwrap_or(&when.place);
            let path = &name.text;
            match (held, missed) {
                (true, true) => {}
                (false, true) => reached.gap(rule, place, &format!("the test on `{path}` never holds")),
                (true, false) => reached.gap(rule, place, &format!("the test on `{path}` always holds")),
                // Of a rule that never matches, that is enough to know.
                (false, false) if !matched => {}
                (false, false) => reached.gap(rule, place, &format!("the test on `{path}` is never made")),
            }
        }
    }
}

impl Reached {
    /// Adds what was reached of templates.
    pub fn add_branches(&mut self, taken: Taken) {
        self.branches = (taken.taken, taken.of);
        self.gaps.extend(taken.untaken.into_iter().map(|one| {
            let (file, line) = (one.place.file.path.clone(), one.place.line());
            Gap { rule: None, what: one.what, file, line }
        }));
    }

    fn gap(&mut self, rule: &Rule, place: &Location, what: &str) {
        let (file, line) = (place.file.path.clone(), place.line());
        self.gaps.push(Gap { rule: Some(rule.name.value.clone()), what: what.to_owned(), file, line });
    }
}

/// Where the tests of a rule's condition are noted.
fn spot(rule: &Rule, name: &str) -> Spot {
    (rule.name.value.clone(), name.to_owned())
}

/// Every condition of a rule, with the name of its spot.
fn conditions(rule: &Rule) -> Vec<(String, &Condition)> {
    let own = rule.when.iter().map(|when| ("when".to_owned(), when));
    let closers = rule.closed_by.iter().enumerate();
    let closers = closers.filter_map(|(nth, closer)| Some((format!("closed_by {nth}"), closer.when.as_ref()?)));
    let missing = rule.missing.iter().filter_map(|missing| Some(("missing".to_owned(), missing.when.as_ref()?)));
    let actions = rule.all_actions();
    let actions = actions.filter_map(|action| Some((format!("action {}", action.id), action.when.as_ref()?)));
    own.chain(closers).chain(missing).chain(actions).collect()
}

/// Records how each test of a tree came out. One beneath a `not` is noted for itself.
fn note(why: &Why, known: &mut Vec<(bool, bool)>, at: &mut usize) {
    match why {
        Why::All { all: parts, .. } | Why::Any { any: parts, .. } => {
            parts.iter().for_each(|part| note(part, known, at));
        }
        Why::Not { not, .. } => note(not, known, at),
        Why::Test { held, .. } => {
            known.resize(known.len().max(*at + 1), (false, false));
            if let Some((held_once, missed_once)) = known.get_mut(*at) {
                *held_once |= *held == Held::Held;
                *missed_once |= *held != Held::Held;
            }
            *at += 1;
        }
    }
}
