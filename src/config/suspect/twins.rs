//! Two rules that tell one place the same.

use crate::config::suspect::Whole;
use crate::delivery::Say;
use crate::problem::{Problem, Problems};
use crate::rules::{Action, Condition, Globs, Rule};

/// Actions of two rules that say the same to one destination, of the same events, under the same condition.
pub(super) fn said_twice(whole: &Whole<'_>, problems: &mut Problems) {
    let rules: Vec<&Rule> =
        whole.rules.rules.iter().filter(|rule| rule.enabled && !rule.shadow && rule.missing.is_none()).collect();
    for (nth, second) in rules.iter().enumerate() {
        for first in rules.iter().take(nth).filter(|first| alike(whole, first, second)) {
            for action in &second.actions {
                let Some(twin) = first.actions.iter().find(|twin| same(twin, action)) else { continue };
                let Some(to) = action.to.iter().find(|to| twin.to.iter().any(|other| other.value == to.value)) else {
                    continue;
                };
                let message = format!(
                    "`{}` and `{}` tell `{}` the same of the same events",
                    first.name.value, second.name.value, to.value
                );
                problems.push(
                    Problem::warning("said-twice", message)
                        .at(&action.say.place.first_line())
                        .also(&twin.say.place.first_line(), "said here too")
                        .hint("leave one out, or make their `events` or `when` differ"),
                );
            }
        }
    }
}

/// Whether an event can match both, and if it matches one, matches the other, as far as their conditions go.
fn alike(whole: &Whole<'_>, one: &Rule, other: &Rule) -> bool {
    let sources = one.source == other.source || one.source.is_none() || other.source.is_none();
    sources && signature(one.when.as_ref()) == signature(other.when.as_ref()) && overlap(whole, one, other)
}

fn overlap(whole: &Whole<'_>, one: &Rule, other: &Rule) -> bool {
    let texts = |globs: &Globs| -> Vec<String> { globs.texts().iter().map(|glob| glob.text.clone()).collect() };
    let known = whole.known_types().unwrap_or_default();
    let both = |kind: &str, own: bool| one.events.accept(kind, own) && other.events.accept(kind, own);
    // Types that one of them names are known to that one.
    let named = [&one.events, &other.events].into_iter().flat_map(|globs| globs.texts());
    let mut named = named.filter(|glob| !glob.text.contains(['*', '?', '{', '!'])).map(|glob| glob.text.as_str());
    texts(&one.events) == texts(&other.events)
        || known.into_iter().any(|kind| both(kind, false))
        || named.any(|kind| both(kind, false) || both(kind, true))
}

fn signature(condition: Option<&Condition>) -> Option<String> {
    condition.map(|condition| condition.tree.signature())
}

/// Whether two actions say the same at the same time.
fn same(one: &Action, other: &Action) -> bool {
    let at = |action: &Action| action.at.as_ref().map(|at| (at.offset, at.path.text.clone()));
    let says_something = !matches!(one.say.value, Say::Summary);
    says_something
        && one.say.value == other.say.value
        && one.with == other.with
        && (one.after, one.repeat, one.once, one.otherwise) == (other.after, other.repeat, other.once, other.otherwise)
        && at(one) == at(other)
        && signature(one.when.as_ref()) == signature(other.when.as_ref())
}
