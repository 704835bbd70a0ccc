//! People and maps of the rules, held against the destinations: whom they can mention, and how far they reach.
//!
//! A rules file says who, `fanfare.yaml` says which addresses that may be. What doesn't fit is a problem, before anything
//! is sent.

use crate::channels::MappedBy;
use crate::channels::address::{is_of_person, person_keys};
use crate::config::Destination;
use crate::config::check::{Destinations, Known, actions};
use crate::config::reach::id_of;
use crate::delivery::Mention;
use crate::problem::{Problem, Problems};
use crate::rules::{Action, Reach, RuleSet};

/// Reports what people and maps get wrong. `is_whole`: every rules file could be read.
pub(super) fn check(rules: &RuleSet, known: &Known<'_>, is_whole: bool, problems: &mut Problems) {
    people(rules, problems);
    let Some(destinations) = known.destinations else { return };
    for action in rules.rules.iter().chain(&rules.unfinished).flat_map(actions) {
        // Whom a destination that could not be read may mention isn't known.
        if !action.to.iter().any(|to| known.broken.destinations.contains(&to.value)) {
            mentions(action, rules, destinations, problems);
        }
    }
    for destination in destinations.values() {
        if let (Some(reach), Some(by)) = (&destination.reach, &destination.channel.facts().mapped) {
            addresses(rules, destination, (reach, by), is_whole, problems);
        }
        for (name, at) in &destination.fallback {
            if destinations.get(name).is_some_and(|fallback| fallback.reach.is_some()) {
                let message = format!("the fallback `{name}` leaves its address to a map, which may have none");
                problems.push(Problem::error("fallback-by-map", message).at(at).hint("name one with a fixed address"));
            }
        }
    }
}

fn people(rules: &RuleSet, problems: &mut Problems) {
    for (name, person) in &rules.people {
        for (key, address) in &person.addresses {
            match is_of_person(key, &address.value) {
                Some(true) => {}
                Some(false) => {
                    let message = format!("`{}` is not what `{key}` of a person looks like", address.value);
                    problems.push(Problem::error("wrong-address", message).at(&address.place));
                }
                None => {
                    let problem = Problem::error("unknown-key", format!("the person `{name}` has no key `{key}`"));
                    let known = ["name", "timezone"].into_iter().chain(person_keys());
                    problems.push(problem.at(&address.place).suggest(key, known));
                }
            }
        }
    }
}

fn addresses(
    rules: &RuleSet,
    destination: &Destination,
    (reach, by): (&Reach, &MappedBy),
    is_whole: bool,
    problems: &mut Problems,
) {
    let Some(map) = rules.maps.get(&reach.map) else {
        if is_whole {
            let problem = Problem::error("no-map", format!("there is no map `{}` in `maps:`", reach.map));
            problems.push(problem.at(&by.map.1).suggest(&reach.map, rules.maps.keys().map(String::as_str)));
        }
        return;
    };
    for to in map.all() {
        if let Err(why) = rules.address_of(reach, &to.value) {
            let message = format!("`{}` reaches nobody at `{}`: {why}", to.value, destination.name);
            let problem = Problem::error("no-address", message).at(&to.place);
            let is_person = rules.people.contains_key(&to.value);
            let known = rules.people.keys().map(String::as_str).filter(|_| !is_person);
            problems.push(problem.suggest(&to.value, known));
        }
    }
    if map.otherwise.is_none() && destination.fallback.is_empty() {
        let message = format!("`{}` has no address for what the map `{}` doesn't name", destination.name, reach.map);
        let problem = Problem::error("no-else", message).at(&map.place);
        problems.push(problem.hint("add `else: …` to the map, or a `fallback` to the destination"));
    }
}

/// Reports those of an action's mentions that none of its destinations can mention.
fn mentions(action: &Action, rules: &RuleSet, destinations: &Destinations, problems: &mut Problems) {
    let all: Vec<&Destination> = action.to.iter().filter_map(|to| Some(&**destinations.get(&to.value)?)).collect();
    let known = |name: &str| all.iter().any(|destination| id_of(destination, rules, name).is_some());
    for mention in &action.mention {
        let unknown = match &mention.value {
            Mention::Named(name) if known(name) => continue,
            Mention::Named(name) => vec![(name, &mention.place)],
            Mention::Mapped { map } => {
                let values = rules.maps.get(map).into_iter().flat_map(|map| map.all());
                values.filter(|to| !known(&to.value)).map(|to| (&to.value, &to.place)).collect()
            }
        };
        for (name, place) in unknown {
            let bare = name.trim_start_matches(['@', '#', '<']);
            let names: Vec<&str> = nameable(&all, rules).collect();
            let message = format!("none of this action's destinations can mention `{name}`");
            let problem = Problem::error("no-mention", message).at(place);
            let at_destination =
                format!("say at the destination in `fanfare.yaml` who that is: `mentions: {{{bare}: …}}`");
            problems.push(match names.is_empty() {
                true => problem.hint(at_destination),
                false => problem.suggest(bare, names),
            });
        }
    }
}

/// Whom these destinations can mention.
fn nameable<'n>(all: &'n [&Destination], rules: &'n RuleSet) -> impl Iterator<Item = &'n str> {
    let own = all.iter().flat_map(|destination| destination.mentions.keys());
    let people = rules.people.keys().filter(|name| all.iter().any(|to| id_of(to, rules, name).is_some()));
    own.chain(people).map(String::as_str)
}
