//! What an open case still has to come, and what acknowledging or closing it would do: told to people before they ask.
//!
//! The state machines decide by the same functions, so that what is reported is what happens, unless an event comes between.

use jiff::Timestamp;

use crate::planner::case::Case;
use crate::planner::closes::untold;
use crate::planner::inputs::Destinations;
use crate::planner::loaded::Key;
use crate::planner::names::names_of;
use crate::planner::reminders::stays_when_acknowledged;
use crate::planner::renamed::renamed;
use crate::planner::state::{Doc, id};
use crate::rules::{RuleSet, number_key};

/// Something that a case does by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The action, by its identity within the rule.
    pub action: String,
    /// Where it goes by the rules in force; empty where they no longer have the action.
    pub to: Vec<String>,
    /// When it is due next.
    pub next: Timestamp,
    /// How often it has come due.
    pub fired: u64,
    /// Whether it comes although somebody acknowledged the case: a date does, once.
    pub stays: bool,
    /// Whether it came due while its rule or action took no part: it fires when that does again.
    pub waits: bool,
}

/// What is said when a case closes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// The destinations whose channel changes what it showed.
    pub updates: Vec<String>,
    /// Where `on_close` actions go, each where its own condition holds: where something of the case was said.
    pub says: Vec<String>,
}

impl Case {
    /// What runs by the clock, the soonest first.
    pub fn pending(&self, rules: &RuleSet) -> Vec<Pending> {
        let rule = rules.named(&self.rule);
        let mut all: Vec<Pending> = self
            .timers
            .iter()
            .filter_map(|(name, timer)| {
                let present = rule.and_then(|rule| rule.actions.iter().find(|action| &action.id == name));
                let action = present.or_else(|| renamed(rule?, self, name));
                Some(Pending {
                    action: name.clone(),
                    to: action.into_iter().flat_map(|action| &action.to).map(|to| to.value.clone()).collect(),
                    next: timer.due?,
                    fired: timer.fired,
                    stays: stays_when_acknowledged(timer, action),
                    waits: timer.waits,
                })
            })
            .collect();
        all.sort_by(|a, b| (a.next, &a.action).cmp(&(b.next, &b.action)));
        all
    }

    /// What the rules in force no longer have of it; `None` if they have everything.
    pub fn orphaned(&self, rules: &RuleSet) -> Option<Orphan> {
        orphans(rules, [self]).pop()
    }

    /// What is said when it closes.
    pub fn farewell(&self, rules: &RuleSet, destinations: &Destinations) -> Farewell {
        let rule = rules.named(&self.rule).filter(|rule| rule.enabled);
        let shadow = destinations.shadow || rule.is_some_and(|rule| rule.shadow);
        if shadow {
            return Farewell::default();
        }
        let closes = |name: &&String| destinations.named.get(*name).is_some_and(|facts| facts.closes);
        let mut says: Vec<String> = Vec::new();
        if let Some(rule) = rule {
            let to = rule.on_close.iter().flat_map(|action| &action.to).map(|to| &to.value);
            says.extend(to.filter(|to| !untold(rule, self, to)).cloned());
        }
        says.sort();
        says.dedup();
        Farewell { updates: self.lanes.keys().filter(closes).cloned().collect(), says }
    }
}

/// Where the case may stand that somebody speaks of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CaseKeys {
    /// If they named it by its id, or by its rule and key. The likeliest first.
    pub named: Vec<Key>,
    /// If they named it by its key alone: one for each name of each rule that has cases.
    pub keyed: Vec<Key>,
}

/// Where to look for the case that `said` means.
pub fn case_keys(rules: Option<&RuleSet>, said: &str) -> CaseKeys {
    let key = |id: String| Key { kind: Case::KIND.into(), id };
    let mut keys = CaseKeys { named: vec![key(said.to_owned())], keyed: Vec::new() };
    let Some(rules) = rules else { return keys };
    for rule in &rules.rules {
        let names = names_of(rules, rule);
        let under = |part: &str| names.iter().map(|name| key(id(&[name, part]))).collect::<Vec<_>>();
        if let Some(rest) = names.iter().find_map(|name| said.strip_prefix(name.as_str())?.strip_prefix('/')) {
            // As a person writes a key that has a slash, and as ids do.
            keys.named.extend(under(rest));
            keys.named.extend(under(&rest.replace("%2F", "/").replace("%25", "%")));
        }
        if rule.case.is_some() || rule.missing.is_some() {
            keys.keyed.extend(under(said));
            // As somebody writes a number that has several forms.
            let number = number_key(said);
            if number != said {
                keys.keyed.extend(under(&number));
            }
        }
    }
    keys
}

/// An open case that the rules in force no longer speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The rule that it belonged to.
    pub rule: String,
    /// Its key.
    pub key: String,
    /// The timed actions that are gone; empty where the whole rule is.
    pub actions: Vec<String>,
}

/// The open cases that rules would orphan: whose rule is gone, or whose actions that wait for their time are. Of one that
/// only has other words now nothing is left behind.
pub fn orphans<'c>(rules: &RuleSet, cases: impl IntoIterator<Item = &'c Case>) -> Vec<Orphan> {
    let orphan = |case: &Case| {
        let (rule, key) = (case.rule.clone(), case.key.clone());
        let Some(present) = rules.named(&case.rule) else {
            return Some(Orphan { rule, key, actions: Vec::new() });
        };
        let waiting = case.timers.iter().filter(|(_, timer)| timer.due.is_some() && !timer.waits);
        let gone = waiting.filter(|(id, _)| {
            present.actions.iter().all(|action| &action.id != *id) && renamed(present, case, id).is_none()
        });
        let actions: Vec<String> = gone.map(|(id, _)| id.clone()).collect();
        (!actions.is_empty()).then_some(Orphan { rule, key, actions })
    };
    cases.into_iter().filter_map(orphan).collect()
}
