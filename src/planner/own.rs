//! Fanfare's own events: the first of a kind at once, more of it as one a minute, and none that one of them set off.
//!
//! But for one: where it was told that a destination fails, it is told that it is well again, whichever message found
//! out. Each such pair begins with something that no own event set off, so that no loop can arise.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::plus;
use crate::event::{Event, Seq, Signal};
use crate::planner::book::{Doc, id};
use crate::planner::inputs::Judged;
use crate::planner::round::Round;
use crate::planner::timer::Meaning;
use crate::planner::why::{Outcome, Trace};

/// One own event of the same kind, rule and destination within this.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// A type that no rule names is told once within this.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// So many earlier ones are told in full beside the last; the rest only by number.
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

/// A type that no rule names was told, under the type.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unmatched {
    /// When it may be told again.
    pub until: Timestamp,
}

impl Doc for Unmatched {
    const KIND: &'static str = "unmatched";
}

/// It was told that a destination fails, and not yet that it is well again; under the destination.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// Since when.
    pub since: Timestamp,
}

impl Doc for Failing {
    const KIND: &'static str = "failing";
}

impl Round<'_> {
    /// Fanfare noticed something about itself.
    pub fn noticed(&mut self, seq: Seq, signal: &Signal) {
        if let Some(died) = &signal.died {
            self.fall_back(seq, died, signal);
        }
        self.signal(&seq.to_string(), signal);
    }

    /// Makes an own event of a signal, or keeps it for the next. `origin` tells it from others of its kind.
    pub fn signal(&mut self, origin: &str, signal: &Signal) {
        let ends_what_was_told = self.pair(signal);
        if signal.from_own && !ends_what_was_told {
            return;
        }
        let rule = signal.rule.clone().unwrap_or_default();
        let destination = signal.destination.clone().unwrap_or_default();
        let parts = [signal.kind.as_str(), rule.as_str(), destination.as_str()];
        let known = self.book.get::<Noticed>(&parts);
        let at_once = known.as_ref().is_none_or(|known| known.until <= self.now);
        let mut noticed = known.unwrap_or_default();
        if noticed.count > 0 {
            noticed.others.push(Value::Object(std::mem::take(&mut noticed.data)));
        }
        if noticed.others.len() > OTHERS_MAX {
            noticed.others.remove(0);
        }
        noticed.count = noticed.count.saturating_add(1);
        noticed.data = signal.data.clone();
        if at_once {
            self.tell_noticed(&parts, noticed, origin);
        } else {
            self.book.put(&parts, &noticed);
        }
    }

    /// Keeps that a destination's failing was told, until it is well again. Whether this is that end.
    fn pair(&mut self, signal: &Signal) -> bool {
        let Some(destination) = signal.destination.as_deref() else { return false };
        match signal.kind.as_str() {
            "fanfare.destination.failing" if !signal.from_own => {
                self.book.put(&[destination], &Failing { since: signal.at });
                false
            }
            "fanfare.destination.recovered" => {
                let was_told = self.book.get::<Failing>(&[destination]).is_some();
                if was_told {
                    self.book.delete::<Failing>(&[destination]);
                }
                was_told
            }
            _ => false,
        }
    }

    /// Makes the own event, and a minute's pause after it.
    fn tell_noticed(&mut self, parts: &[&str; 3], noticed: Noticed, origin: &str) {
        let [kind, rule, destination] = *parts;
        let mut data = noticed.data;
        for (name, value) in [("rule", rule), ("destination", destination)] {
            if !value.is_empty() {
                data.insert(name.into(), value.into());
            }
        }
        data.insert("count".into(), noticed.count.into());
        if !noticed.others.is_empty() {
            data.insert("others".into(), noticed.others.into());
        }
        let own = id(&["own", kind, rule, destination, origin, &self.now.to_string()]);
        self.plan.events.push(Event::own(kind, &own, self.now, Value::Object(data)));
        let until = plus(self.now, MINUTE);
        self.book.put(parts, &Noticed { until, ..Noticed::default() });
        let (kind, rule, destination) = (kind.into(), rule.into(), destination.into());
        let timer = id(&["signal", parts[0], parts[1], parts[2]]);
        self.set_timer(timer, until, None, &Meaning::Signal { kind, rule, destination });
    }

    /// The minute is over: what came meanwhile is told as one, or nothing need be remembered.
    pub fn signal_due(&mut self, kind: &str, rule: &str, destination: &str) {
        let parts = [kind, rule, destination];
        let Some(noticed) = self.book.get::<Noticed>(&parts).filter(|noticed| noticed.until <= self.now) else {
            return;
        };
        if noticed.count == 0 {
            return self.book.delete::<Noticed>(&parts);
        }
        self.tell_noticed(&parts, noticed, "");
    }

    /// A rule, or the planning of something, failed.
    pub fn signal_failed<const N: usize>(
        &mut self,
        origin: &str,
        rule: Option<&str>,
        from_own: bool,
        data: [(&str, Value); N],
    ) {
        let data = data.into_iter().filter(|(_, value)| !value.is_null());
        let signal = Signal {
            kind: "fanfare.rule.failed".into(),
            rule: rule.map(str::to_owned),
            destination: None,
            at: self.now,
            data: data.map(|(name, value)| (name.to_owned(), value)).collect(),
            from_own,
            died: None,
        };
        self.signal(origin, &signal);
    }

    /// Tells of a type that no rule names, once a day.
    pub fn unmatched(&mut self, judged: &Judged<'_>) {
        if judged.named || judged.event.is_own() {
            return;
        }
        let mut trace = Trace::default();
        let kind = &*judged.event.kind;
        trace.rule(Outcome::Missed, format!("no rule names the type `{kind}`"));
        self.plan.whys.extend(trace.row(judged.seq, ""));
        if self.book.get::<Unmatched>(&[kind]).is_some_and(|told| told.until > self.now) {
            return;
        }
        let until = plus(self.now, DAY);
        self.book.put(&[kind], &Unmatched { until });
        self.set_timer(id(&["unmatched", kind]), until, None, &Meaning::Unmatched { kind: kind.into() });
        let event = judged.event.id.as_str();
        let data = [("type", json!(kind)), ("source", json!(&*judged.event.source)), ("event", json!(event))];
        let signal = Signal {
            kind: "fanfare.event.unmatched".into(),
            rule: None,
            destination: None,
            at: self.now,
            data: data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            from_own: false,
            died: None,
        };
        self.signal(&judged.seq.to_string(), &signal);
    }

    /// A type may be told again.
    pub fn unmatched_due(&mut self, kind: &str) {
        if self.book.get::<Unmatched>(&[kind]).is_some_and(|told| told.until <= self.now) {
            self.book.delete::<Unmatched>(&[kind]);
        }
    }
}
