//! What an open case still has to come, and what taking or closing it would do: told to people before they ask for it.
//!
//! The state machines decide by the same functions, so that what is told is what happens, unless an event comes between.

use jiff::{SignedDuration, Timestamp};

use crate::clock::plus;
use crate::planner::Orphan;
use crate::planner::announce::unheard;
use crate::planner::arm::orphans;
use crate::planner::book::{Doc, id};
use crate::planner::case::{Case, Scheduled};
use crate::planner::inputs::{Destinations, names_of, rule_named};
use crate::planner::ledger::Key;
use crate::planner::matching::MISSING_KEY;
use crate::planner::successor::successor;
use crate::rules::{Action, RuleSet};

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
    /// Whether it comes although somebody took the case: a date does, once.
    pub stays: bool,
    /// Whether it came due while its rule or action took no part: it fires when that does again.
    pub waits: bool,
}

/// What is said when a case closes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// The destinations whose channel changes what it showed.
    pub updates: Vec<String>,
    /// Where `on_close` actions go, each where its own condition holds: to those that heard of the case.
    pub says: Vec<String>,
}

/// Whether taking a case leaves this timer of it: that of a date that has not come yet.
pub(crate) fn stays_when_taken(timer: &Scheduled, action: Option<&Action>) -> bool {
    timer.fired == 0 && action.is_some_and(|action| action.at.is_some())
}

impl Case {
    /// The id under which people speak of it: rule and key.
    pub fn name(&self) -> String {
        id(&[&self.rule, &self.key])
    }

    /// What runs by the clock, the soonest first.
    pub fn pending(&self, rules: &RuleSet) -> Vec<Pending> {
        let rule = rule_named(rules, &self.rule);
        let mut all: Vec<Pending> = self
            .timers
            .iter()
            .filter_map(|(name, timer)| {
                let present = rule.and_then(|rule| rule.actions.iter().find(|action| &action.id == name));
                let action = present.or_else(|| successor(rule?, self, name));
                Some(Pending {
                    action: name.clone(),
                    to: action.into_iter().flat_map(|action| &action.to).map(|to| to.value.clone()).collect(),
                    next: timer.due?,
                    fired: timer.fired,
                    stays: stays_when_taken(timer, action),
                    waits: timer.waits,
                })
            })
            .collect();
        all.sort_by(|a, b| (a.next, &a.action).cmp(&(b.next, &b.action)));
        all
    }

    /// When it ends by itself, should no further match come.
    pub fn ends(&self) -> Option<Timestamp> {
        Some(plus(self.last, SignedDuration::from_secs(self.ends_s?)))
    }

    /// What the rules in force no longer have of it; `None` if they have everything.
    pub fn orphaned(&self, rules: &RuleSet) -> Option<Orphan> {
        orphans(rules, [self]).pop()
    }

    /// What is said when it closes.
    pub fn farewell(&self, rules: &RuleSet, places: &Destinations) -> Farewell {
        let rule = rule_named(rules, &self.rule).filter(|rule| rule.enabled);
        let shadow = places.shadow || rule.is_some_and(|rule| rule.shadow);
        if shadow {
            return Farewell::default();
        }
        let closes = |name: &&String| places.named.get(*name).is_some_and(|place| place.closes);
        let mut says: Vec<String> = Vec::new();
        if let Some(rule) = rule {
            let to = rule.on_close.iter().flat_map(|action| &action.to).map(|to| &to.value);
            says.extend(to.filter(|to| !unheard(rule, self, to)).cloned());
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
        if rule.case.is_some() || (rule.missing.is_some() && said == MISSING_KEY) {
            keys.keyed.extend(under(said));
        }
    }
    keys
}
