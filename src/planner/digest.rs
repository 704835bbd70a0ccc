//! Digests: messages that wait for each other and go out as one.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Addressed, Attach, DeliveryId, NewDelivery};
use crate::event::Seq;
use crate::planner::case::CaseRef;
use crate::planner::draft::{Route, assignment};
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::planner::why::RuleOutcome;
use crate::rules::{Action, ActionJudgement, Digest, DigestTime, Rule};

/// How many events a digest shows where nothing else is said: that of a throttle's rest.
pub(crate) const LIMIT: usize = 50;
/// How many events a digest keeps, which is the most that any shows. Older ones are only counted: nobody knows any more whether
/// their cases still want them.
const KEPT: usize = 1000;

/// How many it keeps where a file of them goes with it.
const KEPT_IN_A_FILE: usize = 5000;

/// What a digest for one destination holds, under the rule, action, key and destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Collected {
    /// When it goes out.
    pub due: Timestamp,
    /// Its first event.
    pub first: Seq,
    /// The newest events, oldest first.
    pub events: VecDeque<Seq>,
    /// How many more there were.
    #[serde(default)]
    pub more: u64,
    /// How many a throttle held back meanwhile.
    #[serde(default)]
    pub suppressed: u64,
    /// The events among them that only a case's timer brought, with that case: closed or acknowledged by then, they are
    /// left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reminders: BTreeMap<Seq, CaseRef>,
    /// Where its events go, where a map gives the destination's addresses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<Seq, Addressed>,
}

impl Doc for Collected {
    const KIND: &'static str = "digest";

    fn events(&self) -> Vec<Seq> {
        self.events.iter().copied().collect()
    }
}

/// Which digest: that of a rule's action for one destination, apart by a key; the action's own, or its throttle's rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DigestId<'a> {
    pub rule: &'a str,
    pub action: &'a str,
    pub key: &'a str,
    pub destination: &'a str,
    pub rest: bool,
}

impl<'a> DigestId<'a> {
    /// The digest that a message of an action goes into, if it has one. `Err` says why its key is not known.
    pub fn of(
        rule: &'a str,
        acted: &'a ActionJudgement<'_>,
        destination: &'a str,
    ) -> Option<(Result<Self, &'a str>, &'a Digest)> {
        let digest = acted.action.digest.as_ref()?;
        let key = match &acted.digest {
            None => Ok(""),
            Some(key) => key.as_deref().map_err(String::as_str),
        };
        let action = acted.action.id.as_str();
        Some((key.map(|key| Self { rule, action, key, destination, rest: false }), digest))
    }

    fn parts(&self) -> [&'a str; 5] {
        let made_of = if self.rest { "rest" } else { "digest" };
        [self.rule, self.action, self.key, self.destination, made_of]
    }

    /// Where it is kept, of the rule with these names.
    pub fn slot(&self, names: &[String]) -> Slot<Collected> {
        Slot::under(names, &self.parts()[1..])
    }

    fn goes_out(&self, collected: &Collected) -> Effect {
        let meaning = Meaning::Digest {
            rule: self.rule.into(),
            action: self.action.into(),
            key: self.key.into(),
            destination: self.destination.into(),
            rest: self.rest,
            cases: collected.reminders.values().map(|case| case.key.clone()).collect(),
        };
        Effect::set_timer(self.timer_id(), collected.due, None, &meaning)
    }

    fn timer_id(&self) -> String {
        id(&[&["digest"], &self.parts()[..]].concat())
    }
}

/// What comes into a digest with an announcement.
#[derive(Debug)]
pub(crate) struct Share {
    pub event: Seq,
    /// What counted together with it, oldest first; `event` may be among them.
    pub counted: Vec<Seq>,
    /// When a digest that begins with it goes out.
    pub due: Timestamp,
    /// How many a throttle held back before it.
    pub suppressed: u64,
    /// The open case whose reminder it is.
    pub reminds_of: Option<CaseRef>,
    /// How many events the digest keeps.
    pub kept: usize,
    /// The address that a map gave.
    pub to: Option<Addressed>,
}

/// Whether a file goes with a digest of an action; with one of a throttle's rest, none does.
fn has_file(action: &Action, rest: bool) -> bool {
    action.attach.is_some() && !rest
}

/// How many events a digest of an action keeps.
pub(crate) fn kept(action: &Action, rest: bool) -> usize {
    if has_file(action, rest) { KEPT_IN_A_FILE } else { KEPT }
}

/// When a digest that begins now goes out.
pub(crate) fn first_due(digest: &Digest, now: Timestamp) -> Timestamp {
    match &digest.when {
        DigestTime::Every(span) => plus(now, *span),
        DigestTime::At(times) => times.next(now),
    }
}

/// How many events a digest of an action goes out with: with a file, all that it kept.
pub(crate) fn goes_out(action: &Action, rest: bool) -> usize {
    if has_file(action, rest) { KEPT_IN_A_FILE } else { limit(action) }
}

/// How many events an action's digest shows.
fn limit(action: &Action) -> usize {
    action.digest.as_ref().map_or(LIMIT, |digest| digest.limit)
}

impl Collected {
    /// An event comes in. The digest goes out when its first one said.
    pub fn collect(known: Option<Self>, share: Share, of: &DigestId<'_>, now: Now<'_>) -> Next<Self> {
        let is_new = known.is_none();
        let mut collected = known.unwrap_or_else(|| Self {
            due: share.due,
            first: share.event,
            events: VecDeque::new(),
            more: 0,
            suppressed: 0,
            reminders: BTreeMap::new(),
            addresses: BTreeMap::new(),
        });
        let before = collected.reminders.clone();
        collected.take_in(share);
        // The timer names the cases whose reminders are in it, so that they are loaded with it.
        let is_moved = is_new || collected.reminders != before;
        let mut effects: Vec<Effect> = is_moved.then(|| of.goes_out(&collected)).into_iter().collect();
        let note = format!("in the digest of {} for `{}`", now.said(collected.due), of.destination);
        effects.push(Effect::action(RuleOutcome::Digest, of.action, Some(of.destination), note));
        (Some(collected), effects)
    }

    fn take_in(&mut self, share: Share) {
        let (event, kept) = (share.event, share.kept);
        match share.reminds_of {
            Some(case) if !self.events.contains(&event) => _ = self.reminders.insert(event, case),
            Some(_) => {}
            // What is about the match itself stays, whatever becomes of its case.
            None => _ = self.reminders.remove(&event),
        }
        for (event, to) in share.counted.iter().chain([&event]).zip(std::iter::repeat(&share.to)) {
            self.addresses.extend(to.iter().map(|to| (*event, to.clone())));
        }
        for counted in share.counted {
            if !self.events.contains(&counted) {
                let at = self.events.partition_point(|known| *known < counted);
                self.events.insert(at, counted);
            }
        }
        if !self.events.contains(&event) {
            self.events.push_back(event);
        }
        self.show(kept);
        self.suppressed = self.suppressed.saturating_add(share.suppressed);
    }

    /// Of more than this many events the oldest are only counted.
    pub fn show(&mut self, limit: usize) {
        while self.events.len() > limit.max(1) {
            if let Some(oldest) = self.events.pop_front() {
                self.reminders.remove(&oldest);
                self.addresses.remove(&oldest);
            }
            self.more = self.more.saturating_add(1);
        }
    }

    /// What is to be done when its time seems to have come: nothing but to wait on, if it hasn't.
    pub fn waits_on(&self, of: &DigestId<'_>, now: Timestamp) -> Option<Effect> {
        (self.due > now).then(|| of.goes_out(self))
    }

    /// A person has it sent now.
    pub fn hurry(mut self, of: &DigestId<'_>, now: Timestamp) -> Next<Self> {
        self.due = now;
        let timer = of.goes_out(&self);
        (Some(self), vec![timer])
    }

    /// A person cancels it. What comes after begins another.
    pub fn cancel(of: &DigestId<'_>) -> Next<Self> {
        (None, vec![Effect::DropTimer(of.timer_id())])
    }

    /// The same apart by address: one digest for each. How many more there were is said to the first.
    pub fn apart(mut self) -> Vec<(Option<Addressed>, Self)> {
        let mut addresses = std::mem::take(&mut self.addresses);
        let mut apart: Vec<(Option<Addressed>, Self)> = Vec::new();
        for event in std::mem::take(&mut self.events) {
            let to = addresses.remove(&event);
            match apart.iter_mut().find(|(known, _)| *known == to) {
                Some((_, collected)) => collected.events.push_back(event),
                None => {
                    let (more, events) = (std::mem::take(&mut self.more), VecDeque::from([event]));
                    let first = if apart.is_empty() { self.first } else { event };
                    apart.push((to, Self { more, events, first, ..self.clone() }));
                }
            }
        }
        apart
    }

    /// The message of what it holds, by the words of the action in force. `identity` is what the rule's ids are made from.
    pub fn message(
        &self,
        of: &DigestId<'_>,
        (rule, action): (&Rule, &Action),
        (identity, to): (&str, Option<Addressed>),
        now: Timestamp,
    ) -> Option<NewDelivery> {
        let newest = self.events.back().copied()?;
        let mut told = assignment(action, newest, None);
        told.events = self.events.iter().copied().collect();
        told.more = self.more;
        told.to = to;
        told.suppressed = self.suppressed;
        told.attach = action.attach.as_ref().filter(|_| !of.rest).map(|attach| Attach {
            csv: attach.csv.value.clone(),
            columns: attach.columns.iter().map(|(column, name)| (column.clone(), name.text.clone())).collect(),
            shown: limit(action),
        });
        // Reminders of one case are all about its opening: the digests that they go into differ by their time.
        let (first, due) = (self.first.to_string(), self.due.to_string());
        let of = DigestId { rule: identity, ..*of };
        let origin = id(&[&["digest"], &of.parts()[..], &[first.as_str(), due.as_str()]].concat());
        let id = DeliveryId::of(&origin, identity, &action.id, of.destination, 0);
        let route = Route { rule: &rule.name.value, action: &action.id, destination: of.destination };
        Some(route.delivery(id, newest, told, now))
    }
}
