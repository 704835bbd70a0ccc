//! What must reach somebody in time: what goes nowhere else when it can't be delivered, what escalates before anybody was notified,
//! what an odd value silences.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::clock::plus;
use crate::config::load::Whole;
use crate::delivery::Severity;
use crate::problem::{Problem, Problems};
use crate::rules::{Action, Condition, HoursChoice};

/// A week is looked through in steps of this.
const STEP: SignedDuration = SignedDuration::from_mins(30);
const STEPS: i32 = 7 * 24 * 2;

const HINT: &str = "name another destination, preferably of another channel: `fallback: [finance]`";

/// Destinations that page people and have no fallback, and critical actions none of whose destinations has one.
pub(super) fn no_fallback(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = &whole.destinations else { return };
    let has = |name: &str| destinations.get(name).is_none_or(|destination| !destination.fallback.is_empty());
    let mut told = BTreeSet::new();
    for destination in destinations.values().filter(|destination| destination.kind.pages && !has(&destination.name)) {
        told.insert(destination.name.as_str());
        let message =
            format!("`{}` pages people, and a message that it can't deliver goes nowhere else", destination.name);
        problems.push(Problem::warning("no-fallback", message).at(&destination.place).hint(HINT));
    }
    let is_critical = |action: &&Action| action.severity == Some(Severity::Critical) && !action.deadline;
    for rule in whole.rules.rules.iter().filter(|rule| rule.enabled) {
        for action in rule.actions.iter().filter(is_critical) {
            if action.to.is_empty() || action.to.iter().any(|to| has(&to.value)) {
                continue;
            }
            // Of one that pages it was said already.
            let Some(first) = action.to.iter().find(|to| told.insert(to.value.as_str())) else { continue };
            let message = format!("this message is critical, and `{}` has no `fallback`", first.value);
            problems.push(Problem::warning("no-fallback", message).at(&first.place).hint(HINT));
        }
    }
}

/// Reminders that at some hours come with or before a message of the opening that waits for its hours: `after` counts from
/// the first message, and another may wait longer.
pub(super) fn too_soon(whole: &Whole, problems: &mut Problems) {
    for rule in whole.rules.rules.iter().filter(|rule| rule.enabled) {
        let opening = |action: &&Action| action.after.is_none() && action.at.is_none() && action.digest.is_none();
        let told: Vec<(&str, &Action)> = rule.actions.iter().filter(opening).flat_map(places).collect();
        if told.iter().all(|(to, action)| window(whole, to, action).is_none()) {
            continue;
        }
        for action in &rule.actions {
            let Some(after) = action.after.or(action.repeat.filter(|_| action.at.is_none())) else { continue };
            let told = escalated(&told, action);
            let overtaken = |(to, _)| overtaken(whole, &told, (to, action), after);
            let Some((to, first)) = places(action).find_map(overtaken) else {
                continue;
            };
            let message =
                format!("of a case that opens at a time such as {first}, this comes before the message to `{to}`");
            problems.push(
                Problem::warning("escalates-too-soon", message)
                    .at(&action.place.first_line())
                    .hint("give both the same hours, or send the first at once: `hours: always`"),
            );
        }
    }
}

/// What a reminder escalates: the messages of the opening that have its own condition, where it has one; else all.
fn escalated<'t>(told: &[(&'t str, &'t Action)], reminder: &Action) -> Vec<(&'t str, &'t Action)> {
    let condition = |action: &Action| action.when.as_ref().map(|when| when.tree.signature());
    let own = condition(reminder);
    let same: Vec<_> = told.iter().copied().filter(|(_, action)| own.is_some() && condition(action) == own).collect();
    if same.is_empty() { told.to_vec() } else { same }
}

fn places(action: &Action) -> impl Iterator<Item = (&str, &Action)> {
    action.to.iter().map(move |to| (to.value.as_str(), action))
}

/// The window that a message of an action waits for at a destination.
fn window<'w>(whole: &'w Whole, to: &str, action: &'w Action) -> Option<&'w crate::rules::Hours> {
    let of_destination = || whole.destinations.as_ref()?.get(to)?.hours.as_ref();
    match action.hours.as_ref().or_else(of_destination)? {
        HoursChoice::Within(hours) if !hours.drop => Some(hours),
        _ => None,
    }
}

/// A destination that is notified of an opening no sooner than the reminder, and a moment of such an opening, in words.
fn overtaken<'t>(
    whole: &Whole,
    told: &[(&'t str, &Action)],
    (to, reminder): (&str, &Action),
    after: SignedDuration,
) -> Option<(&'t str, String)> {
    let goes = |to: &str, action: &Action, at: Timestamp| {
        window(whole, to, action).and_then(|hours| hours.closed_until(at)).unwrap_or(at)
    };
    // A Monday, in the week that is looked through.
    let monday = crate::clock::from_ms(1_767_571_200_000);
    (0..STEPS).find_map(|step| {
        let opened = plus(monday, STEP * step);
        let at: Vec<(&str, Timestamp)> = told.iter().map(|(to, action)| (*to, goes(to, action, opened))).collect();
        let first = at.iter().map(|(_, at)| *at).min()?;
        let comes = goes(to, reminder, plus(first, after));
        let late = at.iter().find(|(_, at)| *at >= comes)?;
        let zone = whole.zone();
        let opened = jiff::fmt::strtime::format("%a %H:%M", zone.to_datetime(opened)).ok()?;
        Some((late.0, opened))
    })
}

/// Rules and actions that page people and don't say what becomes of an event that their condition can't read.
pub(super) fn may_fail(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = &whole.destinations else { return };
    let pages = |action: &&Action| {
        action.to.iter().any(|to| destinations.get(&to.value).is_some_and(|destination| destination.kind.pages))
    };
    for rule in whole.rules.rules.iter().filter(|rule| rule.enabled) {
        let of_rule = rule.actions.iter().find(pages).and(rule.when.as_ref()).filter(|_| rule.if_failed.is_none());
        let silent = rule.actions.iter().filter(pages).filter(|action| action.if_failed.is_none());
        let of_actions = silent.filter_map(|action| action.when.as_ref());
        let can_fail = |when: &&Condition| when.can_fail();
        let Some(when) = of_rule.into_iter().chain(of_actions).find(can_fail) else { continue };
        let message = format!("`{}` pages, and an event that this can't read pages nobody", rule.name.value);
        problems.push(
            Problem::note("may-fail", message)
                .at(&when.place.first_line())
                .hint("write `if_failed: act` to page anyway, or `if_failed: skip`"),
        );
    }
}
