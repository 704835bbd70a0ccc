//! What nobody uses, and what nobody receives.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::load::Whole;
use crate::delivery::Say;
use crate::event::own;
use crate::problem::{Problem, Problems};
use crate::rules::{Action, HoursChoice, RuleSet};

/// Destinations that no rule and no fallback speaks to.
pub(super) fn destinations(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = &whole.destinations else { return };
    let fallbacks = destinations.values().flat_map(|destination| destination.fallback.iter().map(|(name, _)| name));
    let told = actions(&whole.rules).flat_map(|action| action.to.iter().map(|to| &to.value));
    let spoken_to: BTreeSet<&str> = told.chain(fallbacks).map(String::as_str).collect();
    for destination in destinations.values().filter(|destination| !spoken_to.contains(destination.name.as_str())) {
        problems.push(
            Problem::warning("unused-destination", format!("no rule sends to `{}`", destination.name))
                .at(&destination.place)
                .hint("remove it, or name it in a rule's `to:`"),
        );
    }
}

/// Messages that no rule says.
pub(super) fn templates(whole: &Whole, problems: &mut Problems) {
    let said: BTreeSet<&str> = actions(&whole.rules)
        .filter_map(|action| match &action.say.value {
            Say::Message(name) => Some(name.as_str()),
            Say::Text(_) | Say::Default | Say::Summary => None,
        })
        .collect();
    for name in whole.templates.names().into_iter().filter(|name| !said.contains(name)) {
        let problem = Problem::warning("unused-message", format!("no rule uses the message `{name}`"))
            .hint("remove the template, or name it in a rule: `message: …`");
        problems.push(match whole.templates.place(name) {
            Some(place) => problem.at(&place),
            None => problem,
        });
    }
}

/// Lists that no condition reads.
pub(super) fn lists(whole: &Whole, problems: &mut Problems) {
    for (_, word) in whole.rules.unused.iter().filter(|(section, _)| *section == "lists") {
        problems.push(
            Problem::warning("unused-list", format!("no condition uses the list `{}`", word.value))
                .at(&word.place)
                .hint(format!("remove it, or use it: `{{in: {}}}`", word.value)),
        );
    }
}

/// Maps that no mention and no destination's address goes by.
pub(super) fn maps(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = &whole.destinations else { return };
    let used: Vec<&str> = destinations.values().filter_map(|to| Some(&*to.reach.as_ref()?.map)).collect();
    for word in whole.rules.unused_maps(&used) {
        problems.push(
            Problem::warning("unused-map", format!("nothing uses the map `{}`", word.value))
                .at(&word.place)
                .hint("remove it, or use it: `mention: {map: …}`, or as a destination's address in `fanfare.yaml`"),
        );
    }
}

/// Hours that no rule, no action and no destination keeps.
pub(super) fn hours(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = &whole.destinations else { return };
    let kept = |word: &str| {
        let Some(hours) = whole.rules.hours.get(word) else { return true };
        let mut all = destinations.values().filter_map(|destination| destination.hours.as_ref());
        all.any(|choice| matches!(choice, HoursChoice::Within(kept) if Arc::ptr_eq(kept, hours)))
    };
    for (_, word) in whole.rules.unused.iter().filter(|(section, word)| *section == "hours" && !kept(&word.value)) {
        problems.push(
            Problem::warning("unused-hours", format!("nothing uses the hours `{}`", word.value)).at(&word.place).hint(
                format!("remove them, or use them: `hours: {}` in a rule, an action or a destination", word.value),
            ),
        );
    }
}

/// What Fanfare can't do, and nobody would notice.
pub(super) fn unheard(whole: &Whole, problems: &mut Problems) {
    let rules = &whole.rules.rules;
    if rules.is_empty() {
        return;
    }
    for (kind, what) in [(own::DEAD, "a delivery that died"), (own::RULE_FAILED, "a rule that failed")] {
        if !rules.iter().any(|rule| rule.enabled && rule.events.accept(kind, true)) {
            problems.push(
                Problem::warning("unheard", format!("no rule handles `{kind}`: nobody would notice {what}"))
                    .hint(format!("add a rule with `events: {kind}`, or `events: \"fanfare.*\"`")),
            );
        }
    }
}

fn actions(rules: &RuleSet) -> impl Iterator<Item = &Action> {
    rules.rules.iter().flat_map(|rule| rule.all_actions())
}
