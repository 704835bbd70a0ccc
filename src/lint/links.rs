//! Links that people are meant to see in a message, and don't.

use crate::config::Destination;
use crate::config::load::Whole;
use crate::delivery::Say;
use crate::problem::{Problem, Problems};
use crate::rules::{Action, Rule};

/// Rules and actions that ask for links, where nothing says where those lead.
pub(super) fn nowhere(whole: &Whole, problems: &mut Problems) {
    // Nobody knows where `fanfare.yaml` was not read.
    if whole.destinations.is_none() || whole.has_links {
        return;
    }
    for rule in whole.rules.rules.iter().filter(|rule| rule.enabled) {
        let of_actions = rule.actions.iter().filter_map(|action| action.links.as_ref());
        let Some(asked) = rule.links.iter().chain(of_actions).find(|asked| !asked.value.is_empty()) else { continue };
        let message = format!("the messages of `{}` carry no links: `fanfare.yaml` has none", rule.name.value);
        problems.push(
            Problem::warning("links-nowhere", message)
                .at(&asked.place.first_line())
                .hint("add how people reach the address of `listen`: `links: {url: \"https://hooks.label.example\"}`"),
        );
    }
}

/// Messages of a case in a format of the channel's own, where the message itself would show links.
pub(super) fn native(whole: &Whole, problems: &mut Problems) {
    let Some(destinations) = whole.destinations.as_ref().filter(|_| whole.has_links) else { return };
    for rule in whole.rules.rules.iter().filter(|rule| rule.enabled && rule.case.is_some()) {
        for action in &rule.actions {
            let Say::Message(name) = &action.say.value else { continue };
            let told = action.to.iter().filter_map(|to| destinations.get(&to.value).map(AsRef::as_ref));
            let own = |destination: &&Destination| {
                let format = destination.kind.native.map(|native| native.ending());
                format.is_some_and(|ending| whole.templates.has_native(name, destination.kind.name, ending))
            };
            let Some(found) = told.filter(own).find(|found| is_meant(rule, action, found)) else { continue };
            let kind = found.kind.name;
            let message =
                format!("`{name}` has a format of its own for `{kind}`, in which `{}` shows no links", found.name);
            problems.push(
                Problem::note("native-without-links", message)
                    .at(&action.say.place.first_line())
                    .hint("use the message itself there, or write `links: none`"),
            );
        }
    }
}

/// Whether a destination would show links of this action's message.
fn is_meant(rule: &Rule, action: &Action, destination: &Destination) -> bool {
    let shows = destination.kind.shows_links && !destination.external;
    match (&action.links, &rule.links) {
        (Some(own), _) => !own.value.is_empty(),
        (None, _) if !shows => false,
        (None, Some(all)) => !all.value.is_empty(),
        // By default while a reminder is to come.
        (None, None) => rule.actions.iter().any(|other| other.at.is_none() && (other.after.or(other.repeat)).is_some()),
    }
}
