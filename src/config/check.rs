//! Whether the parts fit together: names that rules, templates and destinations use of each other.
//!
//! Each part reports its own mistakes; here are those that only the whole can see, and what is legal and surely not
//! meant.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{Destination, HoursName, Settings};
use crate::delivery::Say;
use crate::event::{Event, EventId, OWN_SOURCE};
use crate::message::{Context, Templates};
use crate::problem::{Problem, Problems};
use crate::rules::glob::Glob;
use crate::rules::parse::times::hours_choice;
use crate::rules::{Action, Held, Rule, RuleSet};
use crate::source::{Source, presets, samples};

/// The source that samples are taken to come from.
const DEFAULT_SOURCE: &str = "jewelmusic";

/// Destinations by name, as a snapshot holds them.
pub type Destinations = BTreeMap<String, Arc<Destination>>;

/// Gives each destination its hours, now that the named windows of the rules files are known.
pub fn hours(
    destinations: Vec<(Destination, Option<HoursName>)>,
    rules: &RuleSet,
    settings: &Settings,
    problems: &mut Problems,
) -> Destinations {
    let mut all = Destinations::new();
    for (mut destination, hours) in destinations {
        destination.hours =
            hours.and_then(|hours| hours_choice(&hours.node, &rules.hours, settings.timezone.as_ref(), problems));
        all.insert(destination.name.clone(), Arc::new(destination));
    }
    all
}

/// Reports names that lead nowhere, and things that nobody uses. `destinations` is `None` where none are known.
pub fn names(
    rules: &RuleSet,
    templates: &Templates,
    sources: &BTreeMap<String, Arc<Source>>,
    destinations: Option<&Destinations>,
    problems: &mut Problems,
) {
    for rule in &rules.rules {
        for action in actions(rule) {
            message(action, templates, problems);
            if let Some(destinations) = destinations {
                places(action, destinations, problems);
            }
        }
        if let Some(name) = &rule.source
            && destinations.is_some()
            && !sources.contains_key(name)
            && name != OWN_SOURCE
        {
            let problem = Problem::error("no-source", format!("there is no source `{name}`"));
            let problem = problem.suggest(name, sources.keys().map(String::as_str));
            problems.push(match &rule.source_place {
                Some(place) => problem.at(place),
                None => problem,
            });
        }
    }
    unused_templates(rules, templates, problems);
    if let Some(destinations) = destinations {
        address_names(rules, destinations, problems);
        fallbacks(destinations, problems);
        unused_destinations(rules, destinations, problems);
    }
    types(rules, sources, problems);
    unheard(rules, problems);
}

/// All that a rule may say, at an event and at a close.
fn actions(rule: &Rule) -> impl Iterator<Item = &Action> {
    rule.actions.iter().chain(&rule.on_close)
}

fn message(action: &Action, templates: &Templates, problems: &mut Problems) {
    if let Say::Message(name) = &action.say.value {
        let known = templates.names();
        if !known.contains(&name.as_str()) {
            problems.push(
                Problem::error("no-message", format!("there is no message `{name}`"))
                    .at(&action.say.place)
                    .suggest(name, known),
            );
        }
    }
}

fn places(action: &Action, destinations: &Destinations, problems: &mut Problems) {
    for to in action.to.iter().filter(|to| !destinations.contains_key(&to.value)) {
        problems.push(
            Problem::error("no-destination", format!("there is no destination `{}`", to.value))
                .at(&to.place)
                .suggest(&to.value, destinations.keys().map(String::as_str)),
        );
    }
    let known: BTreeSet<&str> = action
        .to
        .iter()
        .filter_map(|to| destinations.get(&to.value))
        .flat_map(|destination| destination.mentions.keys().map(String::as_str))
        .collect();
    for name in action.mention.iter().filter(|name| !known.contains(name.value.as_str())) {
        problems.push(
            Problem::error("no-mention", format!("none of this action's destinations knows whom `{}` is", name.value))
                .at(&name.place)
                .suggest(&name.value, known.iter().copied()),
        );
    }
}

/// Reports names in a destination's address that nobody defines: a choice would quietly fall to its `else`.
fn address_names(rules: &RuleSet, destinations: &Destinations, problems: &mut Problems) {
    for destination in destinations.values() {
        for (name, place) in destination.channel.names() {
            if !rules.names.contains_key(&name) {
                problems.push(
                    Problem::error("no-name", format!("there is no name `{name}` in `names:`"))
                        .at(&place)
                        .suggest(&name, rules.names.keys().map(String::as_str)),
                );
            }
        }
    }
}

/// Reports a destination that is Fanfare itself: every delivery would be an event, for ever.
pub fn own_listeners(destinations: &Destinations, settings: &Settings, problems: &mut Problems) {
    for destination in destinations.values() {
        let Ok(address) = destination.channel.address().parse::<SocketAddr>() else { continue };
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

fn fallbacks(destinations: &Destinations, problems: &mut Problems) {
    for destination in destinations.values() {
        for (name, place) in &destination.fallback {
            if name == &destination.name {
                problems.push(
                    Problem::error("own-fallback", format!("`{name}` is its own fallback"))
                        .at(place)
                        .hint("name another destination, best of another channel"),
                );
            } else if !destinations.contains_key(name) {
                problems.push(
                    Problem::error("no-destination", format!("there is no destination `{name}`"))
                        .at(place)
                        .suggest(name, destinations.keys().map(String::as_str)),
                );
            }
        }
    }
}

fn unused_destinations(rules: &RuleSet, destinations: &Destinations, problems: &mut Problems) {
    let spoken_to: BTreeSet<&str> = rules
        .rules
        .iter()
        .flat_map(actions)
        .flat_map(|action| action.to.iter().map(|to| to.value.as_str()))
        .chain(destinations.values().flat_map(|destination| destination.fallback.iter().map(|(name, _)| name.as_str())))
        .collect();
    for destination in destinations.values().filter(|destination| !spoken_to.contains(destination.name.as_str())) {
        problems.push(
            Problem::warning("unused-destination", format!("no rule speaks to `{}`", destination.name))
                .at(&destination.place),
        );
    }
}

fn unused_templates(rules: &RuleSet, templates: &Templates, problems: &mut Problems) {
    let said: BTreeSet<&str> = rules
        .rules
        .iter()
        .flat_map(actions)
        .filter_map(|action| match &action.say.value {
            Say::Message(name) => Some(name.as_str()),
            Say::Text(_) | Say::Default | Say::Summary => None,
        })
        .collect();
    for name in templates.names().into_iter().filter(|name| !said.contains(name)) {
        problems.push(Problem::warning("unused-message", format!("no rule says the message `{name}`")));
    }
}

/// Warns of globs that match no type that any source is known to send: never an error, since senders add types.
fn types(rules: &RuleSet, sources: &BTreeMap<String, Arc<Source>>, problems: &mut Problems) {
    let known: Vec<&str> = match sources.values().map(|source| source.preset).collect::<Vec<_>>() {
        // A source whose types nobody knows may send anything.
        presets if presets.iter().any(|preset| preset.types.is_empty()) => return,
        presets if presets.is_empty() => presets::named(DEFAULT_SOURCE).map_or(Vec::new(), |p| p.types.to_vec()),
        presets => presets.into_iter().flat_map(|preset| preset.types.iter().copied()).collect(),
    };
    for rule in &rules.rules {
        let globs = rule.closed_by.iter().map(|closer| &closer.events).chain([&rule.events]);
        let missing = rule.missing.iter().map(|missing| &missing.events);
        for glob in globs.chain(missing).flat_map(|globs| globs.texts()) {
            let text = glob.text.as_str();
            if text.starts_with('!') || text.starts_with("fanfare.") {
                continue;
            }
            if Glob::parse(text).is_ok_and(|glob| known.iter().any(|kind| glob.matches(kind))) {
                continue;
            }
            let near = known.iter().copied().filter(|_| !text.contains(['*', '?', '{']));
            let problem = Problem::warning("unknown-type", format!("no known event type matches `{text}`"));
            problems.push(match &glob.place {
                Some(place) => problem.at(place).suggest(text, near),
                None => problem,
            });
        }
    }
}

/// Warns when nobody would hear of what Fanfare can't do.
fn unheard(rules: &RuleSet, problems: &mut Problems) {
    if rules.rules.is_empty() {
        return;
    }
    for (kind, what) in
        [("fanfare.delivery.dead", "a delivery that died"), ("fanfare.rule.failed", "a rule that failed")]
    {
        if !rules.rules.iter().any(|rule| rule.enabled && rule.events.accept(kind, true)) {
            problems.push(
                Problem::warning("unheard", format!("no rule listens to `{kind}`: nobody would hear of {what}"))
                    .hint(format!("add a rule with `events: {kind}`, or `events: \"fanfare.*\"`")),
            );
        }
    }
}

/// Renders every message that a rule says with every sample that the rule accepts: what a template asks for and no
/// such event has is reported where it stands.
pub fn renderings(
    rules: &RuleSet,
    templates: &Templates,
    settings: &Settings,
    now: Timestamp,
    problems: &mut Problems,
) {
    let samples = sample_events(now);
    let mut by_message: BTreeMap<&str, Vec<Context<'_>>> = BTreeMap::new();
    for rule in &rules.rules {
        let opening = opening(rules, rule, &samples);
        let closing = samples.iter().filter(|event| closes(rule, event));
        let closing: Vec<&Event> = closing.chain(opening.iter().copied()).collect();
        let said = rule.actions.iter().map(|action| (action, &opening));
        for (action, heard) in said.chain(rule.on_close.iter().map(|action| (action, &closing))) {
            let contexts = heard.iter().map(|event| context(rules, rule, action, event, settings, now));
            match &action.say.value {
                Say::Message(name) => by_message.entry(name).or_default().extend(contexts),
                Say::Text(text) => {
                    let contexts: Vec<Context<'_>> = contexts.collect();
                    templates.check_text(text, &action.say.place, &contexts, problems);
                }
                Say::Default | Say::Summary => {}
            }
        }
    }
    for (name, contexts) in by_message {
        templates.check_message(name, &contexts, problems);
    }
}

/// The samples that a rule would speak of: those that it accepts; where it accepts none, since a sample's values are
/// only examples, all whose type it names.
fn opening<'e>(rules: &RuleSet, rule: &Rule, samples: &'e [Event]) -> Vec<&'e Event> {
    let named: Vec<&Event> = samples.iter().filter(|event| rule.events.accept(&event.kind, event.is_own())).collect();
    let holds = |event: &&Event| rules.judge_rule(rule, event).held == Some(Held::Held);
    let accepted: Vec<&Event> = named.iter().copied().filter(holds).collect();
    if accepted.is_empty() { named } else { accepted }
}

fn closes(rule: &Rule, event: &Event) -> bool {
    rule.closed_by.iter().any(|closer| closer.events.accept(&event.kind, event.is_own()))
}

fn context<'a>(
    rules: &RuleSet,
    rule: &'a Rule,
    action: &Action,
    event: &'a Event,
    settings: &'a Settings,
    now: Timestamp,
) -> Context<'a> {
    Context {
        event,
        events: vec![event],
        more: 0,
        suppressed: 0,
        names: rules.names_in(event),
        case: rule.case.as_ref().map(|_| crate::delivery::CaseFacts {
            key: "C1".into(),
            opened: now,
            count: 1,
            last: now,
            closed: false,
        }),
        rule: &rule.name.value,
        rule_description: rule.description.as_deref(),
        with: action.with.clone(),
        severity: action.severity,
        died: None,
        now,
        zone: settings.timezone.clone().unwrap_or(TimeZone::UTC),
        admin_url: settings.admin_url.as_deref(),
    }
}

/// Every sample as an event of the sender that Fanfare is made for.
fn sample_events(now: Timestamp) -> Vec<Event> {
    let mut dice = fastrand::Rng::with_seed(1);
    let event = |sample: &samples::Sample| {
        let instance = sample.instance(&mut dice, now);
        Event {
            source: DEFAULT_SOURCE.into(),
            id: EventId(instance.id.as_str().into()),
            kind: instance.kind.as_str().into(),
            created: now,
            received: now,
            raw: instance.raw().into(),
            body: instance.body,
            proof: "sample".into(),
        }
    };
    samples::ALL.iter().map(event).collect()
}
