//! Fanfare's own events: the first of a kind at once, more of it as one a minute, and none that one of them set off.
//!
//! Except for one: where it was notified that a destination fails, it is notified that it is well again, whichever message found
//! out. Each such pair begins with something that no own event set off, so that no loop can arise.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::plus;
use crate::event::{Event, Signal, own};
use crate::planner::effect::{Effect, Next};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;

/// One own event of the same kind, rule and destination within this.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// A type that no rule names is reported once within this.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How many earlier ones are reported in full beside the last; the rest only by number.
const OTHERS_MAX: usize = 9;

/// What came of one kind, rule and destination since the last own event about it, under these three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noticed {
    /// Until then the next waits.
    #[serde(default)]
    pub until: Timestamp,
    /// How many wait.
    #[serde(default)]
    pub count: u64,
    /// The last of them.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// Some of those before it.
    #[serde(default)]
    pub others: Vec<Value>,
}

impl Doc for Noticed {
    const KIND: &'static str = "signal";
}

/// A type that no rule names was reported, under the type.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unmatched {
    /// When it may be told again.
    pub until: Timestamp,
}

impl Doc for Unmatched {
    const KIND: &'static str = "unmatched";
}

/// It was reported that a destination fails, and not yet that it is well again; under the destination.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// Since when.
    pub since: Timestamp,
}

impl Doc for Failing {
    const KIND: &'static str = "failing";
}

/// What is noticed together: one kind, rule and destination.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoticedId<'a> {
    pub kind: &'a str,
    pub rule: &'a str,
    pub destination: &'a str,
}

impl<'a> NoticedId<'a> {
    pub fn of(signal: &'a Signal) -> Self {
        let part = |name: &'a Option<String>| name.as_deref().unwrap_or_default();
        Self { kind: &signal.kind, rule: part(&signal.rule), destination: part(&signal.destination) }
    }

    /// Where it is kept.
    pub fn slot(&self) -> Slot<Noticed> {
        Slot::one(&[self.kind, self.rule, self.destination])
    }
}

impl Noticed {
    /// Something was noticed: it is notified at once, or waits for the minute's end. `origin` tells it from others of its kind.
    pub fn take(known: Option<Self>, origin: &str, signal: &Signal, now: Timestamp) -> Next<Self> {
        let at_once = known.as_ref().is_none_or(|known| known.until <= now);
        let mut noticed = known.unwrap_or_default();
        if noticed.count > 0 {
            noticed.others.push(Value::Object(std::mem::take(&mut noticed.data)));
        }
        if noticed.others.len() > OTHERS_MAX {
            noticed.others.remove(0);
        }
        noticed.count = noticed.count.saturating_add(1);
        noticed.data = signal.data.clone();
        if at_once { noticed.tell(&NoticedId::of(signal), origin, now) } else { (Some(noticed), Vec::new()) }
    }

    /// Makes the own event, and a minute's pause after it.
    fn tell(self, of: &NoticedId<'_>, origin: &str, now: Timestamp) -> Next<Self> {
        let NoticedId { kind, rule, destination } = *of;
        let mut data = self.data;
        for (name, value) in [("rule", rule), ("destination", destination)] {
            if !value.is_empty() {
                data.insert(name.into(), value.into());
            }
        }
        data.insert("count".into(), self.count.into());
        if !self.others.is_empty() {
            data.insert("others".into(), self.others.into());
        }
        let name = id(&["own", kind, rule, destination, origin, &now.to_string()]);
        let event = Event::own(kind, &name, now, Value::Object(data));
        let until = plus(now, MINUTE);
        let timer = id(&["signal", kind, rule, destination]);
        let meaning = Meaning::Signal { kind: kind.into(), rule: rule.into(), destination: destination.into() };
        let effects = vec![Effect::OwnEvent(Box::new(event)), Effect::set_timer(timer, until, None, &meaning)];
        (Some(Self { until, ..Self::default() }), effects)
    }

    /// The minute is over: what came meanwhile is reported as one, or nothing need be remembered.
    pub fn due(self, of: &NoticedId<'_>, now: Timestamp) -> Next<Self> {
        match self.count {
            _ if self.until > now => (Some(self), Vec::new()),
            0 => (None, Vec::new()),
            _ => self.tell(of, "", now),
        }
    }
}

impl Failing {
    /// Where it is kept.
    pub fn slot(destination: &str) -> Slot<Self> {
        Slot::one(&[destination])
    }

    /// Whether this is the beginning or the end of such a failure.
    pub fn is_about(signal: &Signal) -> bool {
        matches!(signal.kind.as_str(), own::FAILING | own::RECOVERED)
    }

    /// Keeps that a destination's failing was reported, until it is well again. And whether this is that end.
    pub fn pair(known: Option<Self>, signal: &Signal) -> (Option<Self>, bool) {
        match signal.kind.as_str() {
            own::FAILING if !signal.from_own => (Some(Self { since: signal.at }), false),
            own::RECOVERED => (None, known.is_some()),
            _ => (known, false),
        }
    }
}

impl Unmatched {
    /// Where it is kept.
    pub fn slot(kind: &str) -> Slot<Self> {
        Slot::one(&[kind])
    }

    /// An event came whose type no rule names: told once a day.
    pub fn take(known: Option<Self>, event: &Event, origin: &str, now: Timestamp) -> Next<Self> {
        if known.as_ref().is_some_and(|told| told.until > now) {
            return (known, Vec::new());
        }
        let (kind, until) = (&*event.kind, plus(now, DAY));
        let meaning = Meaning::Unmatched { kind: kind.into() };
        let timer = Effect::set_timer(id(&["unmatched", kind]), until, None, &meaning);
        let data = json!({"type": kind, "source": &*event.source, "event": event.id});
        let signal = Signal::new(own::UNMATCHED, data, now);
        (Some(Self { until }), vec![timer, Effect::Signal(origin.into(), Box::new(signal))])
    }

    /// A type may be told again.
    pub fn due(self, now: Timestamp) -> Next<Self> {
        (Some(self).filter(|told| told.until > now), Vec::new())
    }
}
