//! Cases: what never ends, what stands alone, what is swallowed, what a change leaves behind.

use std::collections::BTreeMap;

use crate::config::load::Whole;
use crate::delivery::{Say, Severity};
use crate::planner;
use crate::problem::{Problem, Problems, nearest};
use crate::rules::{Action, HoursChoice, KeySpec, Rule, Throttle};

/// The most keys of orphaned cases that are named.
const KEYS_MAX: usize = 5;

/// Cases that repeat their reminders and that nothing closes.
pub(super) fn never_closes(whole: &Whole, problems: &mut Problems) {
    for rule in active(whole).filter(|rule| rule.case.is_some()) {
        if !rule.closed_by.is_empty() || rule.closes_after.is_some() {
            continue;
        }
        if let Some(action) = rule.actions.iter().find(|action| action.repeat.is_some()) {
            let name = &rule.name.value;
            let message = format!("the cases of `{name}` never close, so this repeats until somebody acts");
            problems.push(
                Problem::warning("never-closes", message)
                    .at(&action.place.first_line())
                    .hint("say what ends them: `closed_by: TYPE`, `closes_after: 90d`, or both"),
            );
        }
    }
}

/// Cases whose further messages stand alone, where nothing else asks for a case.
pub(super) fn cannot_thread(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = &whole.destinations else { return };
    for rule in active(whole).filter(|rule| rule.case.is_some() && rule.on_close.is_empty()) {
        let needs_case = |action: &Action| action.once || action.update || is_timed(action);
        if rule.actions.iter().any(needs_case) {
            continue;
        }
        for to in rule.actions.iter().filter(|action| action.digest.is_none()).flat_map(|action| &action.to) {
            if destinations
                .get(&to.value)
                .is_some_and(|to| to.kind.can.keeps_together() && !to.channel.facts().can.keeps_together())
            {
                let message = format!("`{}` can't thread: each message of a case appears separately there", to.value);
                problems.push(
                    Problem::note("cannot-thread", message)
                        .at(&to.place)
                        .hint("`once: true` announces only the opening; a bot's `token:` in `fanfare.yaml` threads"),
                );
            }
        }
    }
}

/// Cases that only the template of a severity would make wait for a person: what it comes to is not known when they open.
pub(super) fn severity_by_template(whole: &Whole, problems: &mut Problems) {
    for rule in active(whole).filter(|rule| rule.case.is_some()) {
        let asks =
            |action: &Action| action.severity == Some(Severity::Critical) || action.after.or(action.repeat).is_some();
        if rule.actions.iter().any(asks) {
            continue;
        }
        for action in rule.actions.iter().filter(|action| action.severity.is_none()) {
            let Say::Message(name) = &action.say.value else { continue };
            let Some(place) = whole.templates.may_be_critical(name) else { continue };
            let message = format!(
                "cases of `{}` don't wait for a person: a template says whether this is critical",
                rule.name.value
            );
            problems.push(Problem::note("severity-by-template", message).at(&action.say.place).also(&place, "here").hint(
                "where somebody must look, write `severity: critical` on an action, with a `when` if need be, or remind: `after: 2h`",
            ));
        }
    }
}

/// Reminders that hours or a throttle drop for good.
pub(super) fn swallowed(whole: &Whole, problems: &mut Problems) {
    for rule in active(whole) {
        for action in rule.actions.iter().filter(|action| is_timed(action)) {
            let mut said = |message: String, hint: &str| {
                let problem = Problem::warning("swallowed-escalation", message);
                problems.push(problem.at(&action.place.first_line()).hint(hint));
            };
            if let Some(place) = dropping(whole, action) {
                let message = format!("the hours of {place} drop this reminder outside the window");
                said(message, "write `outside: hold`, or give the action `hours: always`");
            }
            if let Some(throttle) = action.throttle.as_ref().filter(|throttle| drops(throttle, action, rule)) {
                let per = if throttle.per.is_some() { "what it counts by" } else { "all cases" };
                said(
                    format!("the throttle may drop this reminder: it counts {per} together"),
                    "give the action a throttle of its own, with `per:` what the `case:` is, or `rest: digest`",
                );
            }
        }
    }
}

/// Open cases that the rules no longer speak of.
pub(super) fn orphaned(whole: &Whole, problems: &mut Problems) {
    let mut by_rule: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
    for orphan in planner::orphans(&whole.rules, &whole.past.cases) {
        by_rule.entry((orphan.rule, orphan.actions.is_empty())).or_default().push(orphan.key);
    }
    for ((name, is_gone), keys) in by_rule {
        let cases = cases_words(&keys);
        let rule = whole.rules.rule(&name);
        let problem = match rule.filter(|_| !is_gone) {
            Some(rule) => Problem::warning(
                "orphaned-cases",
                format!("{cases} of `{name}` waits for a reminder that the rule no longer has"),
            )
            .at(&rule.name.place)
            .hint("a missing reminder never fires; give actions a `name`, so that you can change their words"),
            None => {
                let known = whole.rules.rules.iter().map(|rule| rule.name.value.as_str());
                let near = nearest(&name, known.clone()).or_else(|| {
                    let mut known = known.clone();
                    known.find(|other| other.contains(name.as_str()) || name.contains(other))
                });
                let near = near.map_or("the new rule".to_owned(), |near| format!("`{near}`"));
                Problem::warning("orphaned-cases", format!("{cases} of the removed rule `{name}` stays open"))
                    .hint(format!("if it was renamed, write `formerly: {name}` in {near}; else close them"))
            }
        };
        problems.push(problem);
    }
}

/// `the open case A`, or `the open cases A, B and 7 more`, each of which…
fn cases_words(keys: &[String]) -> String {
    let shown: Vec<String> = keys.iter().take(KEYS_MAX).map(|key| format!("`{key}`")).collect();
    match keys.len() {
        1 => format!("the open case {}", shown.join("")),
        many if many > KEYS_MAX => {
            format!("each of the {many} open cases {} and {} more", shown.join(", "), many - KEYS_MAX)
        }
        many => format!("each of the {many} open cases {}", shown.join(", ")),
    }
}

fn active(whole: &Whole) -> impl Iterator<Item = &Rule> {
    whole.rules.rules.iter().filter(|rule| rule.enabled)
}

fn is_timed(action: &Action) -> bool {
    action.after.is_some() || action.repeat.is_some() || action.at.is_some()
}

/// Whose hours drop what comes outside of them.
fn dropping(whole: &Whole, action: &Action) -> Option<String> {
    let drops = |hours: &HoursChoice| matches!(hours, HoursChoice::Within(window) if window.drop);
    if let Some(hours) = &action.hours {
        return drops(hours).then(|| "the action or its rule".to_owned());
    }
    let mut places = action.to.iter().filter_map(|to| whole.destinations.as_ref()?.get(&to.value));
    let dropping = places.find(|destination| destination.hours.as_ref().is_some_and(drops))?;
    Some(format!("`{}`", dropping.name))
}

/// Whether a throttle may drop a reminder: one that counts by the case itself drops none that comes no sooner than it
/// allows.
fn drops(throttle: &Throttle, action: &Action, rule: &Rule) -> bool {
    if throttle.rest_digest {
        return false;
    }
    let texts = |key: &KeySpec| -> Vec<String> { key.0.iter().map(|name| name.text.clone()).collect() };
    let by_case = match (&throttle.per, &rule.case) {
        (Some(per), Some(case)) => texts(per) == texts(case),
        _ => false,
    };
    let slow = action.repeat.is_none_or(|repeat| throttle.every <= repeat);
    !(by_case && slow)
}
