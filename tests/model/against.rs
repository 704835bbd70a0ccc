//! A planner held against the reference: each plan that is committed must say what the reference says, and no more.

use std::collections::BTreeSet;

use fanfare::delivery::{Act, NewDelivery, Say};
use fanfare::event::{Command, Event, Item, MISSING, Seq};
use fanfare::planner::{Keys, Plan, arm_keys};
use fanfare::store::Waiting;
use jiff::Timestamp;
use serde_json::Value;

use super::reference::{self, Entry, How, Mute, Reference, Said};
use super::spec::{Ms, Spec};

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Other rules, or another planner.
    Arms,
    /// Open cases under other rules.
    Sweeps,
    /// Entries and timers.
    Plans,
}

impl Doing {
    /// What a planner is about, by what it asks its store for first.
    pub fn of_keys(keys: &Keys) -> Self {
        if *keys == arm_keys() { Self::Arms } else { Self::Plans }
    }
}

/// A plan that was committed.
pub struct Planned<'a> {
    pub specs: &'a [Spec],
    pub doing: Doing,
    pub now: Timestamp,
    /// What waited when it was committed.
    pub waiting: &'a Waiting,
    pub plan: &'a Plan,
}

/// The reference beside a planner.
#[derive(Default)]
pub struct Against {
    pub reference: Reference,
    /// Planned up to here.
    pub upto: Seq,
    /// What has borne each name: the rule's line.
    pub lines: Vec<(String, &'static str)>,
}

impl Against {
    /// Beside a planner whose rules have these names.
    pub fn new<'s>(specs: impl IntoIterator<Item = &'s Spec>) -> Self {
        let mut against = Self::default();
        for spec in specs {
            let names = spec.formerly.iter().chain([&spec.name]);
            against.lines.extend(names.map(|name| ((*name).to_owned(), spec.line)));
        }
        against
    }

    /// A plan was committed. Gives what is wrong with it.
    pub fn planned(&mut self, planned: &Planned<'_>) -> Vec<String> {
        let Planned { specs, doing, now, waiting, plan } = *planned;
        if is_mark(plan) {
            return Vec::new();
        }
        self.reference.latest = Default::default();
        let mut wrong: Vec<String> = plan
            .whys
            .iter()
            .filter(|why| why.outcome == "parked" || why.outcome == "failed")
            .map(|why| format!("{}: {}: {}", why.rule, why.outcome, why.note))
            .collect();
        let now_ms = ms(now);
        if doing != Doing::Plans {
            match doing {
                Doing::Arms => self.reference.arm(specs, now_ms),
                _ => self.reference.sweep(specs, now_ms),
            }
            if !plan.deliveries.is_empty() {
                wrong.push(format!("new rules alone made {} deliveries", plan.deliveries.len()));
            }
            return wrong;
        }
        if let Some(upto) = plan.upto {
            if upto <= self.upto {
                wrong.push(format!("planned up to {upto} again, after {}", self.upto));
                return wrong;
            }
            self.upto = upto;
        }
        let entries = waiting.entries.iter().filter(|entry| plan.upto.is_some_and(|upto| entry.seq <= upto));
        let entries: Vec<&fanfare::event::Entry> = entries.collect();
        let read: Vec<Entry> = entries.iter().map(|entry| self.read(entry.seq, &entry.item)).collect();
        // What came due after the last of them came waits for what may stand behind it.
        let by = match entries.iter().rev().find_map(|entry| came(&entry.item)) {
            Some(last) => last,
            None if entries.is_empty() => Ms::MAX,
            None => Ms::MIN,
        };
        let mut expected = self.reference.tick(specs, now_ms, &read, by);
        let mut said: Vec<Said> = plan.deliveries.iter().filter_map(|planned| self.said(planned)).collect();
        let mut missed: Vec<(String, Ms)> = plan.events.iter().filter_map(|event| self.absence(event)).collect();
        expected.said.sort();
        expected.missed.sort();
        said.sort();
        missed.sort();
        if (&said, &missed) != (&expected.said, &expected.missed) {
            wrong.push(format!("planned at {now} of {read:?}\n  {said:?} {missed:?}\nand not\n  {expected:?}"));
        }
        wrong
    }

    /// Whether the reference would keep quiet at this time about whatever the rule has to say there.
    pub fn is_muted(&self, rule: &str, to: &str, at: Timestamp) -> bool {
        self.reference.is_muted(&self.line(rule), to, ms(at))
    }

    fn line(&self, rule: &str) -> String {
        let known = self.lines.iter().find(|(name, _)| name == rule);
        known.map_or(rule, |(_, line)| line).to_owned()
    }

    /// An entry as the reference reads it.
    fn read(&self, seq: Seq, item: &Item) -> Entry {
        match item {
            Item::Event(event) if &*event.kind == MISSING => {
                let text = |name: &str| event.data()[name].as_str().unwrap_or_default().to_owned();
                let since = text("since").parse::<Timestamp>().map(ms).unwrap_or_default();
                Entry::Missing { line: self.line(&text("rule")), since, seq, at: ms(event.created) }
            }
            Item::Event(event) => Entry::Event(reference::Event {
                seq,
                kind: event.kind.to_string(),
                key: event.data().get("key").and_then(Value::as_str).unwrap_or_default().to_owned(),
                created: ms(event.created),
                received: ms(event.received),
                date: event.data().get("date").and_then(Value::as_str).and_then(|date| date.parse().ok()).map(ms),
            }),
            Item::Command(Command::CloseCase { rule, key, .. }) => {
                Entry::Close { line: self.line(rule), key: key.clone() }
            }
            Item::Command(Command::AckCase { rule, key, .. }) => Entry::Ack { line: self.line(rule), key: key.clone() },
            Item::Command(Command::Mute(mute)) => Entry::Mute(Mute {
                id: mute.id.clone(),
                line: mute.rule.as_deref().map(|rule| self.line(rule)),
                to: mute.destination.clone(),
                from: ms(mute.from),
                until: ms(mute.until),
            }),
            Item::Command(Command::Unmute { id, .. }) => Entry::Unmute { id: id.clone() },
            Item::Command(
                Command::Replay { .. } | Command::Audit(_) | Command::ByLink { .. } | Command::RotateLinks { .. },
            )
            | Item::Signal(_) => Entry::Other,
        }
    }

    /// A delivery as the reference says it; nothing for a fallback, which follows from what happens and not from the rules.
    fn said(&self, planned: &NewDelivery) -> Option<Said> {
        let told = &planned.assignment;
        if told.died.is_some() {
            return None;
        }
        Some(Said {
            line: self.line(&planned.rule),
            action: planned.action.clone(),
            to: planned.destination.clone(),
            how: match (&told.say, planned.act) {
                (Say::Summary, _) => How::Summary,
                (_, Act::Close) => How::Update,
                _ => How::Message,
            },
            events: if told.events.is_empty() {
                BTreeSet::from([told.event])
            } else {
                told.events.iter().copied().collect()
            },
            more: told.more,
            suppressed: told.suppressed,
            count: told.case.as_ref().map_or(0, |case| case.count),
        })
    }

    /// What an own event says of an absence.
    fn absence(&self, event: &Event) -> Option<(String, Ms)> {
        match self.read(0, &Item::Event(Box::new(event.clone()))) {
            Entry::Missing { line, since, .. } => Some((line, since)),
            _ => None,
        }
    }
}

/// Whether it only says what is planned next, for anyone who comes after a death.
fn is_mark(plan: &Plan) -> bool {
    let marks = plan.docs.iter().all(|change| change.key.kind == "planning");
    !plan.docs.is_empty() && marks && *plan == Plan { docs: plan.docs.clone(), ..Plan::default() }
}

/// When an entry came, where that is known.
fn came(item: &Item) -> Option<Ms> {
    match item {
        Item::Event(event) => Some(ms(event.received)),
        Item::Signal(signal) => Some(ms(signal.at)),
        Item::Command(_) => None,
    }
}

fn ms(at: Timestamp) -> Ms {
    at.as_millisecond()
}
