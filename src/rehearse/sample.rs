//! Events to rehearse with: the samples, as their sources would take them, and Fanfare's own; and which of them suits a rule.
//!
//! A sample goes the way of every event: it is signed with a throw-away secret, verified, and normalised by its source, so
//! that what is shown is what a server would see.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::config::samples::Sample;
use crate::config::{DEFAULT_PRESET, Snapshot};
use crate::event::{Event, own};
use crate::rehearse::show;
use crate::rules::{Action, Rule};
use crate::secret::Secret;
use crate::source::{self, Outgoing, Request, Source, presets, samples};

/// What signs an event that never leaves this process. Every scheme can use it.
const THROW_AWAY: &str = "whsec_Zm9yIG9uZSBldmVudCB0aGF0IG5ldmVyIGxlYXZlcw==";

/// A rule and its action.
pub type Spoken<'s> = (&'s Rule, &'s Action);

/// The body of an event, and its type as far as it is known.
#[derive(Debug, Clone)]
pub struct Picked {
    /// The raw body.
    pub body: Vec<u8>,
    /// The type, for senders that put it into a header.
    pub kind: String,
    /// The id, for senders that put it into a header.
    pub id: String,
    /// Its source, if it says one.
    pub source: Option<String>,
}

/// A sample as it would be sent now.
pub fn of_sample(sample: Sample, now: Timestamp) -> Picked {
    let fresh = samples::fresh(sample.body, &sample.kind, &mut fastrand::Rng::new(), now);
    Picked { body: fresh.raw(), kind: sample.kind, id: fresh.id, source: sample.source }
}

/// The source that an event is taken to come from: the named one, or the one of the sender that Fanfare is made for, or
/// the first. `Err` says which names there are.
pub fn source_of(snapshot: &Snapshot, name: Option<&str>) -> Result<Arc<Source>, String> {
    let sources = &snapshot.sources;
    match name {
        Some(name) => sources.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = sources.keys().map(String::as_str).collect();
            format!("there is no source `{name}`; known: {}", known.join(", "))
        }),
        None => match snapshot.default_source() {
            Some(source) => Ok(source.clone()),
            None => {
                let preset = presets::named(DEFAULT_PRESET).ok_or("the preset `jewelmusic` is missing")?;
                Ok(Arc::new(Source::of(DEFAULT_PRESET, preset, Vec::new())))
            }
        },
    }
}

/// The event as a server would see it. `Err` says why its source would refuse it.
pub fn event(picked: &Picked, source: &Source, now: Timestamp) -> Result<Event, String> {
    let throw_away = source.with_secrets(vec![Secret::new(THROW_AWAY)]);
    let outgoing = Outgoing { id: &picked.id, kind: &picked.kind, body: &picked.body, at: now };
    let signed = throw_away.sign(None, &outgoing).ok_or("this source's scheme can't be signed here")?;
    let mut headers = HeaderMap::new();
    for (name, value) in signed {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        headers.append(name, HeaderValue::try_from(value).map_err(|error| error.to_string())?);
    }
    let request = Request { headers: &headers, body: &picked.body };
    source::open(&throw_away, &request, now).map_err(|refusal| refusal.to_string())
}

/// Every event that is at hand: the samples, as their sources take them, and Fanfare's own. `Err` names a sample that its
/// source would refuse.
pub fn all(snapshot: &Snapshot, now: Timestamp) -> Result<Vec<Event>, String> {
    let samples = snapshot.samples.all().into_iter().map(|sample| {
        let picked = of_sample(sample, now);
        let source = source_of(snapshot, picked.source.as_deref())?;
        event(&picked, &source, now)
    });
    samples.chain(own::ALL.iter().map(|own| Ok(own.event(now)))).collect()
}

/// The first event at hand that one of these acts on; else one whose type its rule names; else any.
pub fn fitting(snapshot: &Snapshot, spoken: &[Spoken<'_>], now: Timestamp) -> Result<Event, String> {
    if let [(rule, _), ..] = spoken
        && rule.missing.is_some()
    {
        return Ok(show::missing(rule, now));
    }
    let events = all(snapshot, now)?;
    let by = |fits: &dyn Fn(&Rule, &Action, &Event) -> bool| {
        spoken.iter().find_map(|(rule, action)| events.iter().find(|event| fits(rule, action, event)))
    };
    let acts = |rule: &Rule, action: &Action, event: &Event| acts(snapshot, rule, action, event);
    let receives = |rule: &Rule, _: &Action, event: &Event| receives(rule, event);
    let found = by(&acts).or_else(|| by(&receives)).or(events.first());
    found.cloned().ok_or_else(|| "there is no sample to show it with".to_owned())
}

fn receives(rule: &Rule, event: &Event) -> bool {
    rule.globs().any(|globs| globs.accept(&event.kind, event.is_own()))
}

/// Whether the action speaks of this event.
pub fn acts(snapshot: &Snapshot, rule: &Rule, action: &Action, event: &Event) -> bool {
    let Some(rules) = &snapshot.rules else { return false };
    rules.judge(event).iter().filter(|judgement| std::ptr::eq(judgement.rule, rule)).any(|judgement| {
        let matched = judgement.actions.iter().filter(|_| judgement.accepts());
        let closed = judgement.on_close.iter().filter(|_| judgement.closes.is_some());
        matched.chain(closed).any(|acted| std::ptr::eq(acted.action, action) && acted.accepts())
    })
}
