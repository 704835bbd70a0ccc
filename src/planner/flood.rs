//! The flood brake: a rule that suddenly sends many times its usual is held until a person lets it go or drops it; left alone, it
//! goes after a day.
//!
//! The usual is the busiest hour of the last seven days. What is held waits in queues of its own, which the flow keeps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::plus;
use crate::event::{Signal, own};
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::{HeldRef, Meaning};
use crate::rules::FloodBrake;

/// How far back the usual is known.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long what is held waits for a person.
const WAITS: SignedDuration = SignedDuration::from_hours(24);
/// How long a rule that a person let go is not held again.
const FREE: SignedDuration = SignedDuration::from_hours(1);

/// How much a rule sends, and whether it is held; under the rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Flood {
    /// Hours since 1970, and how many messages were sent in each; oldest first, without those in which none was.
    #[serde(default)]
    pub hours: Vec<(i64, u64)>,
    /// It is not held before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_until: Option<Timestamp>,
    /// It is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<Brake>,
}

/// A rule is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brake {
    /// The rule, by its name then: its queues have that name.
    pub rule: String,
    /// Since when.
    pub since: Timestamp,
    /// What is held goes then by itself.
    pub ends: Timestamp,
    /// How many messages it may send in an hour.
    pub limit: u64,
    /// How many it sent in its busiest hour before.
    pub usual: u64,
    /// How many are held.
    pub count: u64,
    /// A person has decided; what is held goes, or is dropped, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// What must be known when they go, by destination.
    pub(crate) held: BTreeMap<String, BTreeSet<HeldRef>>,
}

/// What a person decided about what is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Who.
    pub by: String,
    /// Whether it is dropped.
    pub drop: bool,
}

impl Doc for Flood {
    const KIND: &'static str = "flood";
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Passes,
    /// It waits in the queue of the rule with this name until then.
    Held(String, Timestamp),
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}

impl Flood {
    /// Where it is kept, of the rule with these names.
    pub(crate) fn slot(names: &[String]) -> Slot<Self> {
        Slot::under(names, &[])
    }

    fn looks_again(rule: &str, due: Timestamp, brake: Option<&Brake>) -> Effect {
        let queue = brake.map(|brake| brake.rule.clone());
        let held = brake.map(|brake| brake.held.clone()).unwrap_or_default();
        Effect::set_timer(id(&["flood", rule]), due, None, &Meaning::Flood { rule: rule.into(), queue, held })
    }

    /// Forgets hours that are too far back, and those ahead of a clock that was set back.
    fn slide(&mut self, now: Timestamp) {
        let (from, to) = (hour(plus(now, -KEPT)), hour(now));
        self.hours.retain(|(hour, _)| (from..=to).contains(hour));
    }

    /// Adds to the count of the present hour, and gives it.
    fn add(&mut self, messages: u64, now: Timestamp) -> u64 {
        let of = hour(now);
        match self.hours.last_mut() {
            Some((hour, count)) if *hour == of => {
                *count = count.saturating_add(messages);
                *count
            }
            _ => {
                self.hours.push((of, messages));
                messages
            }
        }
    }

    /// A message is to be sent.
    pub(crate) fn send(known: Option<Self>, spec: &FloodBrake, rule: &str, now: Now<'_>) -> (Flow, Next<Self>) {
        let is_new = known.is_none();
        let mut flood = known.unwrap_or_default();
        if let Some(brake) = &mut flood.brake {
            brake.count = brake.count.saturating_add(1);
            let flow = Flow::Held(brake.rule.clone(), brake.ends);
            return (flow, (Some(flood), Vec::new()));
        }
        flood.slide(now.at);
        let before = flood.hours.iter().filter(|(of, _)| *of < hour(now.at));
        let usual = before.map(|(_, count)| *count).max().unwrap_or_default();
        let limit = usual.saturating_mul(spec.times).max(spec.least);
        let is_free = flood.free_until.is_some_and(|until| now.at < until);
        let sent = flood.hours.last().filter(|(of, _)| *of == hour(now.at)).map_or(0, |(_, count)| *count);
        if sent < limit || is_free {
            flood.add(1, now.at);
            let timer = is_new.then(|| Self::looks_again(rule, plus(now.at, KEPT), None));
            return (Flow::Passes, (Some(flood), timer.into_iter().collect()));
        }
        let (since, ends) = (now.at, plus(now.at, WAITS));
        let rule = rule.to_owned();
        let signal = Signal::new(
            own::FLOODING,
            json!({"sent": sent, "usual": usual, "since": since.to_string(), "ends": ends.to_string()}),
            now.at,
        );
        let signal = Signal { rule: Some(rule.clone()), ..signal };
        let flow = Flow::Held(rule.clone(), ends);
        flood.brake = Some(Brake { rule, since, ends, limit, usual, count: 1, decided: None, held: BTreeMap::new() });
        (flow, (Some(flood), vec![Effect::Signal(since.to_string(), Box::new(signal))]))
    }

    /// A message joined those that wait for a destination: all of those are known by this.
    pub(crate) fn gathers(mut self, rule: &str, destination: &str, refs: BTreeSet<HeldRef>) -> Next<Self> {
        let Some(brake) = &mut self.brake else { return (Some(self), Vec::new()) };
        brake.held.insert(destination.to_owned(), refs);
        let timer = Self::looks_again(rule, brake.ends, Some(brake));
        (Some(self), vec![timer])
    }

    /// A person decides: what is held goes, or is dropped, at once.
    pub(crate) fn decide(mut self, rule: &str, decided: Decided, now: Now<'_>) -> Next<Self> {
        let Some(brake) = &mut self.brake else { return (Some(self), Vec::new()) };
        brake.decided = Some(decided);
        brake.ends = now.at;
        let timer = Self::looks_again(rule, now.at, Some(brake));
        (Some(self), vec![timer])
    }

    /// What is held goes, if its time has come: gives what ended, if so. What went is usual from now on, what was dropped is not.
    pub(crate) fn due(mut self, rule: &str, now: Now<'_>) -> (Option<Brake>, Next<Self>) {
        // Stores keep timers to the millisecond.
        let comes = |at: Timestamp| at.as_millisecond() <= now.at.as_millisecond();
        self.slide(now.at);
        let Some(brake) = self.brake.take_if(|brake| comes(brake.ends)) else {
            if let Some(brake) = &self.brake {
                let timer = Self::looks_again(rule, brake.ends, Some(brake));
                return (None, (Some(self), vec![timer]));
            }
            let Some((last, _)) = self.hours.last() else { return (None, (None, Vec::new())) };
            let due = Timestamp::from_second(last.saturating_mul(3600)).unwrap_or(now.at);
            let timer = Self::looks_again(rule, plus(due, KEPT + SignedDuration::from_hours(2)), None);
            return (None, (Some(self), vec![timer]));
        };
        if brake.decided.as_ref().is_some_and(|decided| decided.drop) {
            self.hours.retain(|(of, _)| *of != hour(now.at));
        } else {
            self.add(brake.count, now.at);
            self.free_until = Some(plus(now.at, FREE));
        }
        let timer = Self::looks_again(rule, plus(now.at, KEPT), None);
        (Some(brake), (Some(self), vec![timer]))
    }
}
