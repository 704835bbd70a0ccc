//! What events look like: the built-in samples, what rule tests send, and events that a store has seen. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::event::{Event, EventId};
use crate::planner::Case;
use crate::problem::{File, Problems};
use crate::rules::trial::{self, Body, Known, What};
use crate::rules::{Name, RuleSet};
use crate::source::{Source, samples};

/// The source, and the preset, that samples are taken to come from where none is configured.
pub const DEFAULT_SOURCE: &str = "jewelmusic";

/// What happened before, as far as a store tells: nothing where there is none.
#[derive(Debug, Default)]
pub struct Past {
    /// Some of the latest events.
    pub events: Vec<Event>,
    /// The open cases.
    pub cases: Vec<Case>,
}

/// One event that is known.
#[derive(Debug)]
pub struct Seen {
    /// Where it comes from.
    pub from: Origin,
    /// The event.
    pub event: Event,
    /// Its `$`.
    pub root: Value,
}

/// Where a known event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The built-in sample of this name.
    Sample(&'static str),
    /// A step of a rule test.
    Test,
    /// The store.
    Past,
}

/// All events that are known.
#[derive(Debug)]
pub struct Evidence(Vec<Seen>);

impl Evidence {
    /// Samples and what tests send come from `source`.
    pub fn new(samples: Vec<(&'static str, Event)>, tests: Vec<Event>, past: &Past) -> Self {
        let samples = samples.into_iter().map(|(name, event)| (Origin::Sample(name), event));
        let tests = tests.into_iter().map(|event| (Origin::Test, event));
        let past = past.events.iter().map(|event| (Origin::Past, event.clone()));
        let seen = |(from, event): (Origin, Event)| Seen { from, root: event.root(), event };
        Self(samples.chain(tests).chain(past).map(seen).collect())
    }

    /// All that is known.
    pub fn iter(&self) -> impl Iterator<Item = &Seen> {
        self.0.iter()
    }
}

/// The name that samples' source has here: of the first source of their preset.
pub fn sample_source(sources: &BTreeMap<String, Arc<Source>>) -> Arc<str> {
    let source = sources.values().find(|source| source.preset.name == DEFAULT_SOURCE);
    source.map_or(DEFAULT_SOURCE, |source| &source.name).into()
}

/// Every sample as an event of `source`, by name.
pub fn sample_events(source: &Arc<str>, now: Timestamp) -> Vec<(&'static str, Event)> {
    let mut dice = fastrand::Rng::with_seed(1);
    let event = |sample: &samples::Sample| {
        let instance = sample.instance(&mut dice, now);
        (sample.name, event(source, &instance.kind, instance.body, now))
    };
    samples::ALL.iter().map(event).collect()
}

fn event(source: &Arc<str>, kind: &str, body: Value, now: Timestamp) -> Event {
    let raw: Arc<[u8]> = body.to_string().into_bytes().into();
    let id = body.get("id").and_then(Value::as_str).map_or_else(|| EventId::of_body(&raw), |id| EventId(id.into()));
    Event {
        source: source.clone(),
        id,
        kind: kind.into(),
        created: now,
        received: now,
        raw,
        body,
        proof: "sample".into(),
    }
}

/// What the steps of test files send: the author's own word on what events look like. What a step sends from a file of
/// its own, or from a source other than `source`, is left out; mistakes of tests are told elsewhere.
pub fn of_tests(tests: &[Arc<File>], rules: &RuleSet, source: &Arc<str>, now: Timestamp) -> Vec<Event> {
    let names: Vec<&'static str> = samples::ALL.iter().map(|sample| sample.name).collect();
    let known = Known {
        rules,
        files: &BTreeSet::new(),
        destinations: &BTreeSet::new(),
        sources: &BTreeSet::new(),
        samples: &names,
        sample: &|name| samples::named(name).map(samples::Sample::body),
        read: &|_, _| Err(String::new()),
    };
    let mut unheard = Problems::new();
    let tests = tests.iter().flat_map(|file| trial::parse(file, &known, &mut unheard));
    let sends = tests.flat_map(|test| test.steps).filter_map(|step| match step.what {
        What::Send(send) if send.source.as_ref().is_none_or(|named| **named == **source) => Some(send),
        _ => None,
    });
    let read = |send: Box<trial::Send>| {
        let Body::Json(mut body) = send.body.clone() else { return None };
        send.set(&mut body).ok()?;
        let named = ["type", "event"].into_iter().find_map(|key| body.get(key)?.as_str());
        let kind = named.unwrap_or(&send.kind).to_owned();
        Some(event(source, &kind, body, now))
    };
    sends.filter_map(read).collect()
}

impl Seen {
    /// What a path or name selects in it.
    pub fn nodes(&self, name: &Name) -> Vec<&Value> {
        let mut queries = name.queries(&self.event.source).iter();
        let selected = |query: &crate::rules::Query| {
            let mut steps = crate::path::STEPS;
            query.path.select(&self.root, &mut steps).ok().filter(|nodes| !nodes.is_empty())
        };
        queries.find_map(selected).unwrap_or_default()
    }

    /// Whether it is a sample or was really seen, and is not what a test made up.
    pub fn is_real(&self) -> bool {
        self.from != Origin::Test
    }

    /// What it is called, for a sentence.
    pub fn called(&self) -> String {
        match self.from {
            Origin::Sample(name) => format!("the sample `{name}`"),
            Origin::Test => format!("an event `{}` of a test", self.event.kind),
            Origin::Past => format!("the event `{}`", self.event.id),
        }
    }
}
