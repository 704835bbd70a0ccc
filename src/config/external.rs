//! Actions that would tell people outside of the team too much, or too soon. Reported before anything is in force.

use crate::config::Destination;
use crate::config::audience::{Audience, withheld};
use crate::config::check::{Destinations, actions};
use crate::message::Templates;
use crate::problem::{Problem, Problems};
use crate::rules::{Action, Rule, RuleSet};

/// Reports each action that could send a withheld field to an external destination, or break its embargo.
pub(super) fn check(rules: &RuleSet, templates: &Templates, destinations: &Destinations, problems: &mut Problems) {
    for rule in rules.rules.iter().chain(&rules.unfinished) {
        for action in actions(rule) {
            for destination in action.to.iter().filter_map(|to| destinations.get(&to.value)) {
                let Some(audience) = &destination.audience else { continue };
                if audience.fields.is_some() {
                    fields(rules, (rule, action), templates, (destination, audience), problems);
                }
                if let Some(why) = breaks(rule, action, audience) {
                    let to = &destination.name;
                    let message =
                        format!("an action of `{}` could break the embargo of `{to}`: {why}", rule.name.value);
                    problems.push(Problem::error("embargo", message).at(&action.place.first_line()).hint(
                        "send it at the date or after it, to a destination without an embargo, or without a digest and `update`",
                    ));
                }
            }
        }
    }
    for destination in destinations.values() {
        for (name, at) in &destination.fallback {
            if destinations.get(name).is_some_and(|fallback| fallback.audience.is_some()) {
                let message = format!("`{name}` is external, and a fallback would tell it what was meant for others");
                problems.push(Problem::error("external-fallback", message).at(at).hint("name one of the team's"));
            }
        }
    }
}

fn fields(
    rules: &RuleSet,
    (rule, action): (&Rule, &Action),
    templates: &Templates,
    (destination, audience): (&Destination, &Audience),
    problems: &mut Problems,
) {
    let read = templates.reads(&action.say.value);
    for variable in read.iter().filter(|variable| !may_leave(variable, rules, rule, audience)) {
        problems.push(withheld(variable, &destination.name, &action.say.place));
    }
    for (_, column) in action.attach.iter().flat_map(|attach| &attach.columns) {
        if !audience.allows(column) {
            let place = column.place.as_ref().unwrap_or(&action.place);
            problems.push(withheld(&column.text, &destination.name, place));
        }
    }
}

/// Whether what a template reads, such as `data.title`, may leave. Of a digest's `events` nothing withheld is left when it is
/// rendered.
fn may_leave(variable: &str, rules: &RuleSet, rule: &Rule, audience: &Audience) -> bool {
    if variable.starts_with('$') {
        return path_may_leave(variable, audience);
    }
    let words: Vec<&str> = variable.split('.').collect();
    let steps = |root: &[&str], rest: &[&str]| -> Vec<String> {
        root.iter().chain(rest).map(|word| (*word).to_owned()).collect()
    };
    match words.as_slice() {
        ["data", rest @ ..] | ["event", "data", rest @ ..] => audience.allows_parts(&steps(&["data"], rest)),
        ["event", "body", rest @ ..] => audience.allows_parts(&steps(&[], rest)),
        ["event", "raw"] | ["event"] => false,
        ["sum"] => rule.sum.as_ref().is_none_or(|sum| audience.allows(&sum.of)),
        ["case"] | ["case", "key"] => rule.case.as_ref().is_none_or(|case| audience.allows_key(case)),
        [name, ..] => rules.names.get(*name).is_none_or(|name| audience.allows(name)),
        [] => true,
    }
}

fn path_may_leave(path: &str, audience: &Audience) -> bool {
    let parts = path.trim_start_matches('$').split(['.', '[', ']']).map(|part| part.trim_matches(['\'', '"']));
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).map(str::to_owned).collect();
    audience.allows_parts(&parts)
}

/// Why an action could send something before the date of an embargo, if it could.
fn breaks(rule: &Rule, action: &Action, audience: &Audience) -> Option<&'static str> {
    let embargo = audience.embargo.as_ref()?;
    if rule.missing.is_some() {
        return Some("a rule with `missing` has no event, and so no date");
    }
    if action.digest.is_some() || action.throttle.as_ref().is_some_and(|throttle| throttle.rest_digest) {
        return Some("a digest has events with other dates");
    }
    if action.update {
        return Some("a message that changes has events with other dates");
    }
    let at = action.at.as_ref().filter(|at| at.path.text == embargo.path.text)?;
    (at.offset < embargo.offset).then_some("it acts before that date")
}
