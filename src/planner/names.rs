//! Rules and actions by the names that state, timers and people know them by, former names among them.

use crate::rules::{Action, Rule, RuleSet};

/// The present name of a rule, or the same name where no rule in force bears it.
pub(crate) fn present_name<'a>(rules: &'a RuleSet, name: &'a str) -> &'a str {
    rules.named(name).map_or(name, |rule| rule.name.value.as_str())
}

/// The names under which a rule's state may stand: its own first, then former ones that no other rule bears now.
pub(crate) fn names_of(rules: &RuleSet, rule: &Rule) -> Vec<String> {
    let former = rule.formerly.iter().filter(|former| rules.rule(former).is_none());
    std::iter::once(&rule.name.value).chain(former).cloned().collect()
}

/// The same for the name of a rule that may be gone.
pub fn names_for(rules: &RuleSet, name: &str) -> Vec<String> {
    rules.named(name).map_or_else(|| vec![name.to_owned()], |rule| names_of(rules, rule))
}

/// The name of a rule that ids of deliveries are made from: its first, so that one that was renamed makes no second
/// delivery of an event that is planned again.
pub(crate) fn identity<'r>(rules: &RuleSet, rule: &'r Rule) -> &'r str {
    let first = rule.formerly.first().filter(|first| rules.rule(first).is_none());
    first.unwrap_or(&rule.name.value)
}

/// A rule in force that takes part, and its action (of a match, else of a close).
pub(crate) fn action_named<'a>(rules: &'a RuleSet, rule: &str, action: &str) -> Option<(&'a Rule, &'a Action)> {
    let rule = rules.named(rule).filter(|rule| rule.enabled)?;
    let action = rule.actions.iter().chain(&rule.on_close).find(|candidate| candidate.id == action)?;
    Some((rule, action))
}
