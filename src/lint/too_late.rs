//! Reminders that come only after their case has ended by itself.

use jiff::SignedDuration;

use crate::config::load::Whole;
use crate::problem::{Problem, Problems};
use crate::yaml::span_text;

/// Reminders whose first time is not before the rule's `closes_after`: only further matches, each of which puts the end off,
/// let them come.
pub(super) fn after_the_end(whole: &Whole, problems: &mut Problems) {
    for rule in whole.rules.rules.iter().filter(|rule| rule.enabled) {
        let Some(ends) = rule.closes_after else { continue };
        for action in &rule.actions {
            let Some(first) = action.after.or(action.repeat).filter(|first| *first >= ends) else { continue };
            let word = if action.after.is_some() { "after" } else { "repeat" };
            let message = format!(
                "`{word}: {}` comes too late: the cases of `{}` end {} after their last match",
                span_text(first),
                rule.name.value,
                span_text(ends),
            );
            let longer = span_text(first.saturating_add(SignedDuration::from_secs(86_400)));
            problems.push(
                Problem::warning("after-the-end", message)
                    .at(&action.place.first_line())
                    .hint(format!("increase `closes_after: {longer}`, or remind sooner")),
            );
        }
    }
}
