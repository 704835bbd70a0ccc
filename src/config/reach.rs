//! How far rules files reach: the addresses that a map may give at a destination, and whom a message mentions there.
//!
//! `check` holds people and maps against the destinations before anything is sent; where the files change between planning
//! and sending, `refusal` holds the same line.

use crate::channels::MappedBy;
use crate::config::Destination;
use crate::delivery::{Addressed, Mention, MessageOp, NewDelivery};
use crate::event::Event;
use crate::problem::{Problem, Problems};
use crate::rules::glob::{Glob, inner};
use crate::rules::{Reach, RuleSet};

/// The most people that one message mentions.
const MENTIONED_MAX: usize = 20;

/// How a destination is addressed that leaves its address to a map.
pub(super) fn reach(by: &MappedBy, problems: &mut Problems) -> Reach {
    let mut allow = Vec::new();
    for (text, place) in &by.allow {
        match Glob::parse(text) {
            Ok(glob) => allow.push(glob),
            Err(error) => {
                let mut problem = Problem::error("wrong-glob", error.message).at(&inner(place, text, error.offset));
                problem.hint = error.hint;
                problems.push(problem);
            }
        }
    }
    Reach { map: by.map.0.clone(), field: by.field, is: by.is, allow }
}

/// The id of somebody at a destination: by its `mentions:`, else of that person.
pub(super) fn id_of<'n>(destination: &'n Destination, rules: &'n RuleSet, name: &str) -> Option<&'n str> {
    let own = destination.mentions.get(name).map(String::as_str);
    own.or_else(|| {
        let address = rules.people.get(name)?.addresses.get(destination.kind.name)?;
        let knows = destination.kind.mentions.is_some_and(|mentions| (mentions.is)(&address.value));
        knows.then_some(&*address.value)
    })
}

/// The ids of those that a message mentions, each once. Maps are asked for each of its events.
pub(super) fn mentioned<'e>(
    planned: &NewDelivery,
    destination: &Destination,
    rules: Option<&RuleSet>,
    events: impl Iterator<Item = &'e Event> + Clone,
) -> Vec<String> {
    let empty = RuleSet::default();
    let rules = rules.unwrap_or(&empty);
    let mut ids: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let id = id_of(destination, rules, name).filter(|id| !ids.iter().any(|known| known == id));
        ids.extend(id.filter(|_| ids.len() < MENTIONED_MAX).map(str::to_owned));
    };
    for mention in &planned.assignment.mention {
        match mention {
            Mention::Named(name) => add(name),
            Mention::Mapped { map } => {
                for event in events.clone() {
                    let read = event.clone().read();
                    rules.mapped(map, &read).into_iter().for_each(|mapped| add(&mapped.to.value));
                }
            }
        }
    }
    ids
}

/// Why a message must not go where it was planned to: the configuration in force allows it no more, or nothing was chosen.
pub(super) fn refusal(destination: &Destination, act: MessageOp, to: Option<&Addressed>) -> Option<String> {
    let reach = destination.reach.as_ref().filter(|_| act != MessageOp::Close)?;
    match to {
        None => Some(format!("no address was chosen for it by the map `{}`", reach.map)),
        Some(to) if reach.allows(&to.address) => None,
        Some(to) => Some(format!("`{}` is outside of what `allow` in `fanfare.yaml` lets through", to.address)),
    }
}

/// The address that the configuration and its maps choose for an event, and why, for people; `None` where there is nothing
/// to choose.
pub fn chosen(destination: &Destination, rules: &RuleSet, event: &Event) -> Option<String> {
    let Some(reach) = &destination.reach else {
        return destination.channel.chosen(&event.root(), &rules.names_in(event));
    };
    let why = |by: Option<&str>| match (by, rules.maps.get(&reach.map)) {
        (Some(by), Some(map)) => format!("as {} is {by}", map.by.text),
        _ => format!("the `else` of the map {}", reach.map),
    };
    let found = rules.mapped(&reach.map, event);
    Some(match found.and_then(|found| Ok((rules.address_of(reach, &found.to.value)?, why(found.by)))) {
        Ok((Addressed { address, person: Some(person) }, why)) => format!("{address} of {person}, {why}"),
        Ok((Addressed { address, .. }, why)) => format!("{address}, {why}"),
        Err(why) if destination.fallback.is_empty() => format!("nobody: {why}"),
        Err(why) => {
            let fallback: Vec<&str> = destination.fallback.iter().map(|(name, _)| name.as_str()).collect();
            format!("its fallback {}: {why}", fallback.join(", "))
        }
    })
}
