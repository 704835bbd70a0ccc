//! What must reach somebody, and goes nowhere else when it can't be delivered.

use std::collections::BTreeSet;

use crate::config::suspect::Whole;
use crate::delivery::Severity;
use crate::problem::{Problem, Problems};
use crate::rules::Action;

const HINT: &str = "name another destination, best of another channel: `fallback: [finance]`";

/// Destinations that page people and have no fallback, and critical actions none of whose destinations has one.
pub(super) fn missing(whole: &Whole<'_>, problems: &mut Problems) {
    let Some(destinations) = whole.destinations else { return };
    let has = |name: &str| destinations.get(name).is_none_or(|destination| !destination.fallback.is_empty());
    let mut told = BTreeSet::new();
    for destination in destinations.values().filter(|destination| destination.kind.pages && !has(&destination.name)) {
        told.insert(destination.name.as_str());
        let message = format!("`{}` pages people, and what it can't be told goes nowhere else", destination.name);
        problems.push(Problem::warning("no-fallback", message).at(&destination.place).hint(HINT));
    }
    let is_critical = |action: &&Action| action.severity == Some(Severity::Critical);
    for rule in whole.rules.rules.iter().filter(|rule| rule.enabled) {
        for action in rule.actions.iter().filter(is_critical) {
            if action.to.is_empty() || action.to.iter().any(|to| has(&to.value)) {
                continue;
            }
            // Of one that pages it was said already.
            let Some(first) = action.to.iter().find(|to| told.insert(to.value.as_str())) else { continue };
            let message = format!("this is critical, and `{}` has no `fallback`", first.value);
            problems.push(Problem::warning("no-fallback", message).at(&first.place).hint(HINT));
        }
    }
}
