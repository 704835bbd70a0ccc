//! Whether the parts fit together: names that rules, templates and destinations use of each other.
//!
//! Each part reports its own mistakes; here are those that only the whole can see. What is legal and surely not meant
//! is reported a layer above.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::prepare::{self, Spoken};
use crate::config::settings::Broken;
use crate::config::{Destination, Late, Settings, audience};
use crate::delivery::{Assignment, CaseFacts, Say};
use crate::event::{Event, OWN_SOURCE};
use crate::message::template::check::Heard;
use crate::message::{Context, Templates};
use crate::planner;
use crate::problem::{Location, Problem, Problems, nearest};
use crate::rules::parse::times::hours_choice;
use crate::rules::{Action, Rule, RuleSet};
use crate::source::Source;

/// Destinations by name, as a snapshot holds them.
pub type Destinations = BTreeMap<String, Arc<Destination>>;

/// Gives each destination its hours and its audience, now that the words of the rules files are known.
pub fn bind(
    destinations: Vec<(Destination, Late)>,
    rules: &RuleSet,
    settings: &Settings,
    problems: &mut Problems,
) -> Destinations {
    let mut all = Destinations::new();
    for (mut destination, late) in destinations {
        destination.hours =
            late.hours.as_ref().and_then(|node| hours_choice(node, &rules.hours, settings.timezone.as_ref(), problems));
        destination.audience = audience::read(&destination.name, destination.external, &late, rules, problems);
        all.insert(destination.name.clone(), Arc::new(destination));
    }
    all
}

/// What rules may name.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// The templates.
    pub templates: &'k Templates,
    /// The sources.
    pub sources: &'k BTreeMap<String, Arc<Source>>,
    /// The destinations; `None` where none are known.
    pub destinations: Option<&'k Destinations>,
    /// What is there and could not be read, which has been told.
    pub broken: &'k Broken,
}

impl Known<'_> {
    fn destination(&self, name: &str) -> bool {
        self.broken.destinations.contains(name) || self.destinations.is_none_or(|known| known.contains_key(name))
    }

    fn source(&self, name: &str) -> bool {
        name == OWN_SOURCE || self.broken.sources.contains(name) || self.sources.contains_key(name)
    }
}

/// Reports names that lead nowhere.
pub fn names(rules: &RuleSet, known: &Known<'_>, problems: &mut Problems) {
    for rule in rules.rules.iter().chain(&rules.unfinished) {
        for action in actions(rule) {
            message(action, known.templates, problems);
            places(action, known, problems);
        }
        if let Some(name) = &rule.source
            && known.destinations.is_some()
            && !known.source(name)
        {
            let problem = Problem::error("no-source", format!("there is no source `{name}`"));
            let problem = problem.suggest(name, known.sources.keys().map(String::as_str));
            problems.push(match &rule.source_place {
                Some(place) => problem.at(place),
                None => problem,
            });
        }
    }
    for to in rules.mutes.iter().filter_map(|mute| mute.destination.as_ref()) {
        place(&to.value, &to.place, known, problems);
    }
    if let Some(destinations) = known.destinations {
        address_names(rules, destinations, problems);
        fallbacks(destinations, known, problems);
    }
}

/// All that a rule may say, at an event and at a close.
pub(super) fn actions(rule: &Rule) -> impl Iterator<Item = &Action> {
    rule.actions.iter().chain(&rule.on_close)
}

fn message(action: &Action, templates: &Templates, problems: &mut Problems) {
    if let Say::Message(name) = &action.say.value {
        let known = templates.names();
        if !known.contains(&name.as_str()) {
            let problem = Problem::error("no-message", format!("there is no message `{name}`")).at(&action.say.place);
            problems.push(match nearest(name, known.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None if name.contains(['{', ' ']) => problem.hint("write words in place as `text: \"…\"`"),
                None => problem.suggest(name, known).hint_more(&format!("write it: `templates/{name}.md`")),
            });
        }
    }
}

fn place(name: &str, at: &Location, known: &Known<'_>, problems: &mut Problems) {
    if let Some(destinations) = known.destinations
        && !known.destination(name)
    {
        problems.push(
            Problem::error("no-destination", format!("there is no destination `{name}`"))
                .at(at)
                .suggest(name, destinations.keys().chain(&known.broken.destinations).map(String::as_str)),
        );
    }
}

fn places(action: &Action, known: &Known<'_>, problems: &mut Problems) {
    for to in &action.to {
        place(&to.value, &to.place, known, problems);
    }
}

/// Reports names in a destination's address that nobody defines: a choice would quietly fall to its `else`.
fn address_names(rules: &RuleSet, destinations: &Destinations, problems: &mut Problems) {
    for destination in destinations.values() {
        for (name, place) in &destination.channel.facts().names {
            if !rules.names.contains_key(name) {
                problems.push(
                    Problem::error("no-name", format!("there is no name `{name}` in `names:`"))
                        .at(place)
                        .suggest(name, rules.names.keys().map(String::as_str)),
                );
            }
        }
    }
}

/// Reports a destination that is Fanfare itself: every delivery would be an event, without end.
pub fn own_listeners(destinations: &Destinations, settings: &Settings, problems: &mut Problems) {
    for destination in destinations.values() {
        let Ok(address) = destination.channel.facts().address.parse::<SocketAddr>() else { continue };
        let here = [settings.listen, settings.admin].into_iter().find(|own| {
            own.port() != 0 && own.port() == address.port() && (own.ip() == address.ip() || address.ip().is_loopback())
        });
        if let Some(own) = here {
            problems.push(
                Problem::error(
                    "own-address",
                    format!("`{}` leads to {own}, where Fanfare itself listens", destination.name),
                )
                .at(&destination.place),
            );
        }
    }
}

fn fallbacks(destinations: &Destinations, known: &Known<'_>, problems: &mut Problems) {
    for destination in destinations.values() {
        for (name, at) in &destination.fallback {
            if name == &destination.name {
                problems.push(
                    Problem::error("own-fallback", format!("`{name}` is its own fallback"))
                        .at(at)
                        .hint("name another destination, preferably of another channel"),
                );
            } else {
                place(name, at, known, problems);
            }
        }
    }
}

/// Renders every message that a rule says with every known event that the rule accepts: what a template asks for and no
/// such event has is a warning where it stands. Where none is known, only names that can't be are reported.
pub fn renderings(
    rules: &RuleSet,
    templates: &Templates,
    settings: &Settings,
    samples: &[Event],
    now: Timestamp,
) -> Problems {
    let mut problems = Problems::new();
    let names: Vec<&str> = rules.names.keys().map(String::as_str).collect();
    let names = Some(names.as_slice());
    let mut by_message: BTreeMap<&str, Vec<Context<'_>>> = BTreeMap::new();
    let said: Vec<Said<'_>> = rules.rules.iter().flat_map(|rule| said(rules, rule, samples, now)).collect();
    for Said { rule, action, assignment, heard } in &said {
        let contexts = heard.iter().map(|event| {
            let (name, description) = (rule.name.value.as_str(), rule.description.as_deref());
            let spoken = Spoken { rule: name, description, assignment, event, events: vec![event] };
            prepare::context(Some(rules), settings, spoken, now)
        });
        if let Some(attach) = &action.attach {
            let contexts: Vec<Context<'_>> = contexts.clone().collect();
            templates.check_text(
                &attach.csv.value,
                &attach.csv.place,
                Heard { contexts: &contexts, names },
                &mut problems,
            );
        }
        match &action.say.value {
            Say::Message(name) => by_message.entry(name).or_default().extend(contexts),
            Say::Text(text) => {
                let contexts: Vec<Context<'_>> = contexts.collect();
                templates.check_text(text, &action.say.place, Heard { contexts: &contexts, names }, &mut problems);
            }
            Say::Default | Say::Summary => {}
        }
    }
    for (name, contexts) in by_message {
        templates.check_message(name, Heard { contexts: &contexts, names }, &mut problems);
    }
    // What such a rule's texts will know depends on what is to be fixed: they are only read.
    for action in rules.unfinished.iter().flat_map(actions) {
        if let Say::Text(text) = &action.say.value {
            templates.check_text(text, &action.say.place, Heard::default(), &mut problems);
        }
    }
    problems
}

/// The samples that a rule would speak of: those that it accepts; where it accepts none, since a sample's values are
/// only examples, all whose type it names.
fn opening<'e>(rules: &RuleSet, rule: &Rule, samples: &'e [Event]) -> Vec<&'e Event> {
    let named: Vec<&Event> = samples.iter().filter(|event| rule.events.accept(&event.kind, event.is_own())).collect();
    let holds = |event: &&Event| rules.judge_rule(rule, event).accepts();
    let accepted: Vec<&Event> = named.iter().copied().filter(holds).collect();
    if accepted.is_empty() { named } else { accepted }
}

fn closes(rule: &Rule, event: &Event) -> bool {
    rule.closed_by.iter().any(|closer| closer.events.accept(&event.kind, event.is_own()))
}

/// What an action says, and of which samples.
struct Said<'r> {
    rule: &'r Rule,
    action: &'r Action,
    assignment: Assignment,
    heard: Vec<&'r Event>,
}

/// Whether an action is one of `on_close`.
fn at_a_close(rule: &Rule, action: &Action) -> bool {
    rule.on_close.iter().any(|other| other.id == action.id)
}

/// All that a rule says, as if it said it of the first event of a case.
fn said<'r>(rules: &RuleSet, rule: &'r Rule, samples: &'r [Event], now: Timestamp) -> Vec<Said<'r>> {
    let opening = opening(rules, rule, samples);
    let closing: Vec<&Event> =
        samples.iter().filter(|event| closes(rule, event)).chain(opening.iter().copied()).collect();
    let case = |_: &_| CaseFacts {
        key: "C1".into(),
        opened: now,
        count: 1,
        last: now,
        closed: false,
        step: 0,
        overdue: false,
    };
    let said = |action: &'r Action, heard: &Vec<&'r Event>| {
        let mut assignment = planner::assignment(action, 0, rule.case.as_ref().map(case));
        let is_summed =
            rule.sum.is_some() && action.digest.is_none() && !action.is_timed() && !at_a_close(rule, action);
        assignment.sum = is_summed.then(|| "100".to_owned());
        Said { rule, action, assignment, heard: heard.clone() }
    };
    let matched = rule.actions.iter().map(|action| said(action, &opening));
    matched.chain(rule.on_close.iter().map(|action| said(action, &closing))).collect()
}
