//! Rules and actions by the names that state, timers and people know them by, former names among them.

use crate::rules::{Action, Rule, RuleSet};

/// The rule with this name, else the one that had it before.
pub fn rule_named<'a>(rules: &'a RuleSet, name: &str) -> Option<&'a Rule> {
    rules.named(name)
}

/// Whether a rule bears this name now.
fn is_borne(rules: &RuleSet, name: &str) -> bool {
    rules.named(name).is_some_and(|rule| rule.name.value == name)
}

/// The present name of a rule, or the same name where no rule in force bears it.
pub(crate) fn present_name<'a>(rules: &'a RuleSet, name: &'a str) -> &'a str {
    rule_named(rules, name).map_or(name, |rule| rule.name.value.as_str())
}

/// The names under which a rule's state may stand: its own first, then former ones that no other rule bears now.
pub(crate) fn names_of(rules: &RuleSet, rule: &Rule) -> Vec<String> {
    let former = rule.formerly.iter().filter(|former| !is_borne(rules, former));
    std::iter::once(&rule.name.value).chain(former).cloned().collect()
}

/// The same for the name of a rule that may be gone.
pub fn names_for(rules: &RuleSet, name: &str) -> Vec<String> {
    rule_named(rules, name).map_or_else(|| vec![name.to_owned()], |rule| names_of(rules, rule))
}

/// The name of a rule that ids of deliveries are made from: its first, so that one that was renamed makes no second
/// delivery of an event that is planned again.
pub(crate) fn identity<'r>(rules: &RuleSet, rule: &'r Rule) -> &'r str {
    let first = rule.formerly.first().filter(|first| !is_borne(rules, first));
    first.unwrap_or(&rule.name.value)
}

/// A rule in force that takes part, and its action (of a match, else of a close).
pub(crate) fn action_named<'a>(rules: &'a RuleSet, rule: &str, action: &str) -> Option<(&'a Rule, &'a Action)> {
    let rule = rule_named(rules, rule).filter(|rule| rule.enabled)?;
    let action = rule.actions.iter().chain(&rule.on_close).find(|candidate| candidate.id == action)?;
    Some((rule, action))
}
