//! What events look like: the team's samples and the built-in ones, what rule tests send, and events that a store has
//! seen. Pure.
//!
//! Built-in samples are invented, and the SDKs' shapes no evidence: what they lack is never more than a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::config::samples::{Sample, Samples};
use crate::event::own::Own;
use crate::event::{Event, EventId};
use crate::planner::Case;
use crate::problem::{File, Problems};
use crate::rules::trial::{self, Body, Known, What};
use crate::rules::{Name, RuleSet};
use crate::source::Source;
use crate::source::samples::Basis;

/// How many events of one type from the store messages are rendered with.
const PAST_MAX: usize = 20;

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
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where it comes from.
    pub from: Origin,
    /// The sample's name, or the event's type.
    pub name: String,
    /// The event.
    pub event: Event,
    /// Its `$`.
    pub root: Value,
}

/// Where a known event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A sample of the team's own.
    Own,
    /// A built-in sample.
    Sample(Basis),
    /// An event of Fanfare's own, as it always looks.
    Fanfare,
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
    pub fn new(mut samples: Vec<Seen>, tests: Vec<Event>, past: &Past) -> Self {
        let tests = tests.into_iter().map(|event| Seen::new(Origin::Test, event.kind.to_string(), event));
        let past = past.events.iter().map(|event| Seen::new(Origin::Past, event.kind.to_string(), event.clone()));
        samples.extend(tests.chain(past));
        Self(samples)
    }

    /// The events that messages are rendered with: what really came and the team's samples, for each type that has any;
    /// the built-in ones for the others. The SDKs' shapes and what tests make up are none.
    pub fn for_messages(&self) -> Vec<Event> {
        let came: BTreeSet<&str> = self.0.iter().filter(|seen| seen.came()).map(|seen| &*seen.event.kind).collect();
        let mut counts: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        let stands = |seen: &&Seen| match seen.from {
            Origin::Own | Origin::Fanfare => true,
            Origin::Past => {
                let count = counts.entry(seen.event.kind.clone()).or_default();
                *count += 1;
                *count <= PAST_MAX
            }
            Origin::Sample(basis) => basis != Basis::Sdk && !came.contains(&*seen.event.kind),
            Origin::Test => false,
        };
        self.0.iter().filter(stands).map(|seen| seen.event.clone()).collect()
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

/// Every sample as an event of its source, or of `source`.
pub fn sample_events(samples: &Samples, source: &Arc<str>, now: Timestamp) -> Vec<Seen> {
    let mut dice = fastrand::Rng::with_seed(1);
    let seen = |sample: Sample| {
        let from = sample.basis.map_or(Origin::Own, Origin::Sample);
        let source = sample.source.as_deref().map_or_else(|| source.clone(), Arc::from);
        // What came is left as it is: what it lacks is what it says.
        let body = match sample.basis {
            Some(_) => crate::source::samples::fresh(sample.body, &sample.kind, &mut dice, now).body,
            None => sample.body,
        };
        Seen::new(from, sample.name, event(&source, &sample.kind, body, now))
    };
    samples.all().into_iter().map(seen).collect()
}

/// One of Fanfare's own events, by its name.
pub fn own(own: &Own, now: Timestamp) -> Seen {
    Seen::new(Origin::Fanfare, own.kind.to_owned(), own.event(now))
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
/// its own, or from a source other than `source`, is left out; mistakes of tests are reported elsewhere.
pub fn of_tests(
    tests: &[Arc<File>],
    rules: &RuleSet,
    samples: &Samples,
    source: &Arc<str>,
    now: Timestamp,
) -> Vec<Event> {
    let known = Known {
        rules,
        files: &BTreeSet::new(),
        destinations: &BTreeSet::new(),
        sources: &BTreeSet::new(),
        samples: &samples.names(),
        sample: &|name| samples.named(name).map(trial::Sample::from),
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

impl From<Sample> for trial::Sample {
    fn from(sample: Sample) -> Self {
        Self { body: sample.body, kind: sample.kind, source: sample.source }
    }
}

impl Seen {
    fn new(from: Origin, name: String, event: Event) -> Self {
        Self { from, name, root: event.root(), event }
    }

    /// Whether it is an event that came, not one that somebody made up.
    fn came(&self) -> bool {
        matches!(self.from, Origin::Own | Origin::Past)
    }

    /// Whether what it lacks says anything: of the SDKs' shapes it doesn't.
    pub fn is_evidence(&self) -> bool {
        self.from != Origin::Sample(Basis::Sdk)
    }

    /// What a path or name selects in it.
    pub fn nodes(&self, name: &Name) -> Vec<&Value> {
        let mut queries = name.queries(&self.event.source).iter();
        let selected = |query: &crate::rules::Query| {
            let mut steps = crate::path::STEPS;
            query.path.select(&self.root, &mut steps).ok().filter(|nodes| !nodes.is_empty())
        };
        queries.find_map(selected).unwrap_or_default()
    }

    /// Whether what it lacks says anything of what is posted: it is evidence, and is not what a test made up.
    pub fn is_real(&self) -> bool {
        self.is_evidence() && self.from != Origin::Test
    }

    /// What it is called, for a sentence.
    pub fn called(&self) -> String {
        match self.from {
            Origin::Own => format!("your sample `{}`", self.name),
            Origin::Sample(_) | Origin::Fanfare => format!("the sample `{}`", self.name),
            Origin::Test => format!("an event `{}` of a test", self.event.kind),
            Origin::Past => format!("the event `{}`", self.event.id),
        }
    }
}
