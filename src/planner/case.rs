//! A case: what an event is about, from the match that opens it to its close. Its document and what follows from that
//! alone; its timers run in `reminders`, its close in `closes`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Addressed, CaseFacts, DeliveryId, Lane, MessageOp};
use crate::event::{Opening, Seq};
use crate::planner::loaded::Key;
use crate::planner::names::names_for;
use crate::planner::state::{Doc, Slot, id};
use crate::rules::RuleSet;

/// The key of the one case that a `missing` rule has.
pub(crate) const MISSING_KEY: &str = "missing";

/// An open case, kept under kind `case` and the id `RULE/KEY`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The rule it belongs to.
    pub rule: String,
    /// The rule's name when it opened: ids are made from this, so a rename changes none.
    pub root: String,
    /// What it is about.
    pub key: String,
    /// Which case with this key: the position of its opening event, so that none is counted twice.
    pub nth: u64,
    /// The opening event.
    pub event: Seq,
    /// When the opening was planned.
    pub opened: Timestamp,
    /// From when on `after` and `repeat` count: when people could first be told, as its opening was planned; the opening, if it
    /// told nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
    /// The latest `created` among its matches: a close from before that doesn't end it.
    pub newest: Timestamp,
    /// How many matches it has had.
    #[serde(default)]
    pub count: u64,
    /// When the last of them was planned.
    pub last: Timestamp,
    /// Who acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<String>,
    /// When they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked_at: Option<Timestamp>,
    /// Since when it waits for a person: from its first message that is critical, or that is, or comes before, an `after` or
    /// `repeat`. Until somebody acknowledges it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Timestamp>,
    /// What they left for those who look later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked_note: Option<String>,
    /// Whether it was opened in shadow: then no reminder of it is ever sent, or leaving the shadow would begin with a
    /// flood.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shadow: bool,
    /// Whether its event had no key: it lasts only while a timer of it runs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub own: bool,
    /// Where it was announced, by destination.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<String, Shown>,
    /// Destinations where it was said in a summary only.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub summed: BTreeSet<String>,
    /// Destinations where it went into a digest.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub collected: BTreeSet<String>,
    /// The addresses that a map gave its first messages, by destination: they stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<String, Addressed>,
    /// Where a message stands, or waits, that later matches change, by destination.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cards: BTreeMap<String, Card>,
    /// The newest matches, oldest first, where its rule has such messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<Seq>,
    /// How many more matches there were before those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
    /// How many reminders of an action there were for a destination, under both: of those that wait, only the last still goes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reminded: BTreeMap<String, u64>,
    /// What runs by the clock, by action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timers: BTreeMap<String, Scheduled>,
    /// The `closes_after` that its end was set by, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_s: Option<i64>,
    /// The silence that a person asked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
    /// When the newest thing happened that a service reported of it: what comes later and happened before changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Timestamp>,
}

/// The first announcement at a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// What all of the case's deliveries there have in common.
    pub lane: Lane,
    /// The action that announced it.
    pub action: String,
    /// The event that it was about.
    pub event: Seq,
    /// Whether it is remembered by which key the destination's service speaks of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub raised: bool,
}

/// A message that later matches change, at one destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The newest delivery of it that is no change.
    pub id: DeliveryId,
    /// Whether that went: until then it waits.
    #[serde(default)]
    pub went: bool,
    /// Whether it is the first message of the case there: only that can change.
    #[serde(default)]
    pub first: bool,
    /// When it changed last, or when its last change is due.
    pub changed: Timestamp,
    /// The message beside it that its deadline sends where it can't change, as long as that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<DeliveryId>,
}

impl Card {
    /// Whether a message that waits is still to go: no newer one took its place.
    pub(crate) fn wants(&self, id: &DeliveryId) -> bool {
        if self.went { self.beside.as_ref() == Some(id) } else { self.id == *id }
    }
}

/// Silence that a person asked for, of this opening only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Who asked.
    pub by: String,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// A timed action of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The event that it is about: the one at which it first held, mostly the opening; for an `at`, the one that brought
    /// the date.
    pub event: Seq,
    /// When it would be due first.
    pub first: Timestamp,
    /// From when on it counts, where its action's `when` held first at a later match than the opening: when people could first
    /// be notified of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When it is due next; `None`: no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The time that it was set for, where a person has it sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Timestamp>,
    /// How often it has come due.
    #[serde(default)]
    pub fired: u64,
    /// The `after`, `repeat` and `at` that it was set by.
    #[serde(default)]
    pub spec: String,
    /// The date of its `at`, without the offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// The latest `created` of the matches that brought this date: an older one that comes late doesn't move it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Whether it came due while its rule or action took no part: it fires when that does again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub waits: bool,
    /// Where its action went when it was set, sorted: by this and its `spec` it is known should the action's words change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
}

impl Scheduled {
    /// Whether it acted at its date, or a person had it sent early or cancelled, and it comes no more.
    pub(crate) fn has_passed_for_good(&self) -> bool {
        self.fired > 0 && self.due.is_none() && self.date.is_some()
    }
}

/// Which of the cases with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CaseRef {
    pub key: String,
    pub nth: u64,
}

/// How a case came to its end, except for an event that closed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A person closed it: their name, and the note that they left.
    ByHand(String),
    /// Nothing came for `closes_after`.
    Forgotten,
}

/// What the key of a case begins with that only one event is about.
pub(crate) const OWN_KEY: &str = "event";

pub(crate) fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Doc for Case {
    const KIND: &'static str = "case";

    fn events(&self) -> Vec<Seq> {
        let shown = self.lanes.values().map(|shown| shown.event);
        let waiting = self.timers.values().filter(|timer| timer.due.is_some()).map(|timer| timer.event);
        let mut events: Vec<Seq> = std::iter::once(self.event).chain(shown).chain(waiting).collect();
        events.extend(&self.matches);
        events.sort_unstable();
        events.dedup();
        events
    }
}

impl Case {
    /// Where the case with this key is kept, of the rule with these names.
    pub(crate) fn slot(names: &[String], key: &str) -> Slot<Self> {
        Slot::under(names, &[key])
    }

    /// A case that opens now.
    pub fn open(rule: &str, key: &str, event: Seq, created: Timestamp, now: Timestamp) -> Self {
        Self {
            rule: rule.into(),
            root: rule.into(),
            key: key.into(),
            nth: u64::try_from(event).unwrap_or_default(),
            event,
            opened: now,
            told: None,
            newest: created,
            count: 1,
            last: now,
            acked: None,
            acked_at: None,
            waits: None,
            acked_note: None,
            shadow: false,
            own: false,
            lanes: BTreeMap::new(),
            summed: BTreeSet::new(),
            collected: BTreeSet::new(),
            addresses: BTreeMap::new(),
            cards: BTreeMap::new(),
            matches: Vec::new(),
            more: 0,
            reminded: BTreeMap::new(),
            timers: BTreeMap::new(),
            ends_s: None,
            silence: None,
            reported: None,
        }
    }

    /// A further match finds it open.
    pub(crate) fn goes_on(&mut self, created: Timestamp, now: Timestamp) {
        self.count = self.count.saturating_add(1);
        // A clock that was set back brings no end nearer.
        self.last = self.last.max(now);
        self.newest = self.newest.max(created);
    }

    /// What templates may know of it.
    pub fn facts(&self, closed: bool) -> CaseFacts {
        CaseFacts {
            key: self.key.clone(),
            opened: self.opened,
            count: self.count,
            last: self.last,
            closed,
            step: 0,
            overdue: false,
        }
    }

    /// What an announcement at a destination does to what stands there, and in which lane.
    pub fn announce(&mut self, destination: &str, action: &str, event: Seq) -> (Lane, MessageOp) {
        if let Some(shown) = self.lanes.get(destination) {
            return (shown.lane.clone(), MessageOp::Again);
        }
        let lane = Lane::of(&self.root, &self.key, self.nth, destination);
        let shown = Shown { lane: lane.clone(), action: action.into(), event, raised: false };
        self.lanes.insert(destination.into(), shown);
        (lane, MessageOp::Open)
    }

    /// Whether a person should look at it: nobody has said yet that they do.
    pub fn waits_for_a_person(&self) -> bool {
        self.waits.is_some() && self.acked.is_none()
    }

    /// A message of it was planned that asks for a person.
    pub(crate) fn asks(&mut self, now: Timestamp) {
        self.waits = self.waits.or((self.acked.is_none()).then_some(now));
    }

    /// From when on its `after` and `repeat` count.
    pub(crate) fn counts_from(&self) -> Timestamp {
        self.told.unwrap_or(self.opened)
    }

    /// Whether something of it was said at a destination: alone, or in a summary.
    pub(crate) fn was_notified(&self, destination: &str) -> bool {
        self.lanes.contains_key(destination) || self.summed.contains(destination)
    }

    /// What a message that waits keeps of it, so as to be dropped when it closes. A case of its own ends with its timers,
    /// which is no reason to say nothing.
    pub(crate) fn awaited_by(&self) -> Option<CaseRef> {
        (!self.own).then(|| CaseRef { key: self.key.clone(), nth: self.nth })
    }

    /// Whether nothing is left to come of a case without a key.
    pub(crate) fn is_spent(&self) -> bool {
        self.own && self.timers.values().all(|timer| timer.due.is_none())
    }

    /// When it ends by itself, should no further match come.
    pub fn ends(&self) -> Option<Timestamp> {
        Some(plus(self.last, SignedDuration::from_secs(self.ends_s?)))
    }

    /// Where the case of an opening is kept, while it is open.
    pub fn places(rules: Option<&RuleSet>, of: &Opening) -> Vec<Key> {
        let names = rules.map_or_else(|| vec![of.rule.clone()], |rules| names_for(rules, &of.rule));
        Self::slot(&names, &of.key).keys().collect()
    }

    /// Which case it is.
    pub fn opening(&self) -> Opening {
        Opening { rule: self.rule.clone(), key: self.key.clone(), nth: self.nth }
    }

    /// As people are notified of it.
    pub fn said(&self) -> String {
        format!("case `{}` of rule `{}`", self.key, self.rule)
    }

    /// The silence that holds at a moment, if one does.
    pub fn silenced(&self, at: Timestamp) -> Option<&Silence> {
        self.silence.as_ref().filter(|silence| silence.from <= at && at < silence.until)
    }

    /// The id under which people speak of it: rule and key.
    pub fn name(&self) -> String {
        id(&[&self.rule, &self.key])
    }

    /// The id of a timer of it.
    pub(crate) fn timer_id(&self, what: &str) -> String {
        id(&["case", &self.root, &self.key, &self.nth.to_string(), what])
    }

    /// Counts a reminder of an action for a destination. Gives its number.
    pub(crate) fn reminds(&mut self, destination: &str, action: &str) -> u64 {
        let count = self.reminded.entry(id(&[destination, action])).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Whether there was a newer reminder of an action for a destination than the one with this number.
    pub(crate) fn reminded_since(&self, destination: &str, action: &str, number: u64) -> bool {
        self.reminded.get(&id(&[destination, action])).is_some_and(|count| *count > number)
    }

    /// The id of the timer of an action of it.
    pub(crate) fn act_id(&self, action: &str) -> String {
        self.timer_id(&id(&["act", action]))
    }
}
