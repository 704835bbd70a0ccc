//! What actions say otherwise than their destinations, held against what those let an action override.

use serde_json::Value;

use crate::channels::ChannelKind;
use crate::config::check::{Destinations, Known, actions};
use crate::problem::{Problem, Problems};
use crate::rules::{Action, At, RuleSet};

/// Reports what a destination doesn't take.
pub(super) fn check(rules: &RuleSet, known: &Known<'_>, problems: &mut Problems) {
    let Some(destinations) = known.destinations else { return };
    for action in rules.rules.iter().chain(&rules.unfinished).flat_map(actions) {
        for (key, value) in &action.overrides {
            one(action, (key, value), destinations, problems);
        }
    }
}

fn one(action: &Action, (key, value): (&At<String>, &At<Value>), known: &Destinations, problems: &mut Problems) {
    for destination in action.to.iter().filter_map(|to| known.get(&to.value)) {
        let ChannelKind { name: kind, overrides, keys, .. } = destination.kind;
        let Some(found) = overrides.iter().find(|known| known.name == key.value) else {
            let message =
                format!("an action can't override `{}` of `{}`, of the type `{kind}`", key.value, destination.name);
            let problem = Problem::error("no-override", message).at(&key.place);
            let is_key = keys.iter().any(|known| known.name == key.value);
            problems.push(match (overrides.is_empty(), is_key) {
                (_, true) => problem.hint("that is decided in `fanfare.yaml`: write a destination of its own for it"),
                (true, false) => problem.hint(format!("nothing can be overridden at the type `{kind}`; remove it")),
                (false, false) => problem.suggest(&key.value, overrides.iter().map(|known| known.name)),
            });
            return;
        };
        if !(found.is)(&value.value) {
            let message = format!("`{}` of `{}` takes {}", key.value, destination.name, found.takes);
            problems.push(Problem::error("wrong-override", message).at(&value.place));
            return;
        }
    }
}
