//! Digests: messages that wait for each other and go out as one.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Act, DeliveryId, NewDelivery};
use crate::event::Seq;
use crate::planner::announce::{Announcement, Draft, Occasion, assignment};
use crate::planner::book::{Doc, id};
use crate::planner::case::Case;
use crate::planner::hold::HeldCase;
use crate::planner::inputs::{names_for, rule_named};
use crate::planner::round::Round;
use crate::planner::timer::Meaning;
use crate::planner::why::{Outcome, Trace};
use crate::rules::DigestTime;

/// So many events a digest shows where nothing else is said: that of a throttle's rest.
const LIMIT: usize = 50;

/// What a digest for one destination holds, under the rule, action, key and destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Collected {
    /// When it goes out.
    pub due: Timestamp,
    /// Its first event.
    pub first: Seq,
    /// The newest events that it will show, oldest first.
    pub events: VecDeque<Seq>,
    /// How many more there were.
    #[serde(default)]
    pub more: u64,
    /// How many a throttle held back meanwhile.
    #[serde(default)]
    pub suppressed: u64,
    /// The events among them that only a case's timer told of, with that case: closed or taken by then, they are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reminders: BTreeMap<Seq, HeldCase>,
}

impl Doc for Collected {
    const KIND: &'static str = "digest";

    fn events(&self) -> Vec<Seq> {
        self.events.iter().copied().collect()
    }
}

/// The last part of a digest's id: what it is made of.
pub(crate) fn made_of(rest: bool) -> &'static str {
    if rest { "rest" } else { "digest" }
}

/// Where a digest is kept, beyond its rule.
struct Slot<'a> {
    action: &'a str,
    key: &'a str,
    destination: &'a str,
    rest: bool,
}

impl<'a> Slot<'a> {
    fn parts(&self, rule: &'a str) -> [&'a str; 5] {
        [rule, self.action, self.key, self.destination, made_of(self.rest)]
    }

    /// What the timer of what is collected there says.
    fn meaning(&self, rule: &str, collected: &Collected) -> Meaning {
        Meaning::Digest {
            rule: rule.into(),
            action: self.action.into(),
            key: self.key.into(),
            destination: self.destination.into(),
            rest: self.rest,
            cases: collected.reminders.values().map(|case| case.key.clone()).collect(),
        }
    }
}

/// What comes into a digest with an announcement.
struct Share {
    /// When a digest that begins with it goes out.
    due: Timestamp,
    limit: usize,
    suppressed: u64,
    /// The open case whose timer it is.
    case: Option<HeldCase>,
}

impl Collected {
    fn new(due: Timestamp, first: Seq) -> Self {
        Self { due, first, events: VecDeque::new(), more: 0, suppressed: 0, reminders: BTreeMap::new() }
    }

    /// Takes an event in; of more than the limit the oldest are only counted.
    fn take(&mut self, event: Seq, share: Share) {
        match share.case {
            Some(case) if !self.events.contains(&event) => _ = self.reminders.insert(event, case),
            Some(_) => {}
            // What tells of the match itself stays, whatever becomes of its case.
            None => _ = self.reminders.remove(&event),
        }
        if !self.events.contains(&event) {
            self.events.push_back(event);
        }
        while self.events.len() > share.limit.max(1) {
            if let Some(oldest) = self.events.pop_front() {
                self.reminders.remove(&oldest);
            }
            self.more = self.more.saturating_add(1);
        }
        self.suppressed = self.suppressed.saturating_add(share.suppressed);
    }
}

/// The case that what is announced ends with: that of a timer's message. A case of its own ends with its timers, which is
/// no reason to say nothing.
fn reminds_of(said: &Announcement<'_>, case: Option<&Case>) -> Option<HeldCase> {
    let case = case.filter(|case| said.occasion == Occasion::Reminder && !case.own)?;
    Some(HeldCase { key: case.key.clone(), nth: case.nth })
}

impl Round<'_> {
    /// Puts an announcement into the action's digest, if it has one. Where the digest's key is absent it acts at once.
    pub fn collect(
        &mut self,
        said: &Announcement<'_>,
        case: Option<&Case>,
        destination: &str,
        suppressed: u64,
        trace: &mut Trace,
    ) -> bool {
        let action = said.acted.action;
        let Some(digest) = &action.digest else { return false };
        let key = match &said.acted.digest {
            Some(Ok(key)) => key.as_str(),
            None => "",
            Some(Err(reason)) => {
                trace.fail(format!("not in a digest: {reason}"));
                return false;
            }
        };
        let due = match &digest.when {
            DigestTime::Every(span) => plus(self.now, *span),
            DigestTime::At(times) => times.next(self.now),
        };
        let slot = Slot { action: &action.id, key, destination, rest: false };
        let share = Share { due, limit: digest.limit, suppressed, case: reminds_of(said, case) };
        self.gather(said, &slot, share, trace);
        true
    }

    /// Puts what a throttle held back into a digest that goes out when its window ends.
    pub fn collect_rest(
        &mut self,
        said: &Announcement<'_>,
        case: Option<&Case>,
        destination: &str,
        (key, due): (&str, Timestamp),
        trace: &mut Trace,
    ) {
        let action = said.acted.action;
        let limit = action.digest.as_ref().map_or(LIMIT, |digest| digest.limit);
        let slot = Slot { action: &action.id, key, destination, rest: true };
        let share = Share { due, limit, suppressed: 0, case: reminds_of(said, case) };
        self.gather(said, &slot, share, trace);
    }

    fn gather(&mut self, said: &Announcement<'_>, slot: &Slot<'_>, share: Share, trace: &mut Trace) {
        let rule = said.rule.name.value.as_str();
        let names = self.names(said.rule);
        let parts = slot.parts(rule);
        let known = self.book.adopt::<Collected>(&names, &parts[1..]);
        let is_new = known.is_none();
        let mut collected = known.unwrap_or_else(|| Collected::new(share.due, said.seq));
        let before = collected.reminders.clone();
        collected.take(said.seq, share);
        if is_new || collected.reminders != before {
            let meaning = slot.meaning(rule, &collected);
            self.set_timer(id(&[&["digest"], &parts[..]].concat()), collected.due, None, &meaning);
        }
        let note = format!("in the digest of {} for `{}`", self.moment(collected.due), slot.destination);
        trace.action(Outcome::Digest, slot.action, Some(slot.destination), note);
        self.book.put(&parts, &collected);
    }

    /// A digest goes out, by the words of the rule in force. Only hours and a mute of its rule or destination still
    /// stand in its way.
    pub fn digest_due(&mut self, rule: &str, action: &str, key: &str, destination: &str, rest: bool) {
        let names = names_for(self.rules, rule);
        let Some(name) = names.first() else { return };
        let slot = Slot { action, key, destination, rest };
        let parts = slot.parts(name);
        let Some(mut collected) = self.book.adopt::<Collected>(&names, &parts[1..]) else { return };
        if collected.due > self.now {
            let meaning = slot.meaning(name, &collected);
            return self.set_timer(id(&[&["digest"], &parts[..]].concat()), collected.due, None, &meaning);
        }
        self.book.delete::<Collected>(&parts);
        self.leave_out(&slot, &names, &mut collected);
        let mut trace = Trace::default();
        let is_told = self.tell_digest(&slot, name, &collected, &mut trace);
        if rest && is_told {
            self.rest_told(&names, action, key);
        }
        let name = rule_named(self.rules, name).map_or(name.as_str(), |rule| rule.name.value.as_str());
        if let Some(row) = trace.row(0, name) {
            let rows = collected.events.iter().map(|event| super::why::Decision { event: *event, ..row.clone() });
            self.plan.whys.extend(rows);
        }
    }

    /// Takes out the reminders of cases that have closed or were taken since.
    fn leave_out(&mut self, slot: &Slot<'_>, names: &[String], collected: &mut Collected) {
        let Some(name) = names.first() else { return };
        let has_date = self.action_named(name, slot.action).is_some_and(|(_, action)| action.at.is_some());
        for (event, belongs) in std::mem::take(&mut collected.reminders) {
            let case = self.case(names, &belongs.key).filter(|case| case.nth == belongs.nth);
            let (outcome, why) = match case.map(|case| case.acked.filter(|_| !has_date)) {
                None => (Outcome::Closed, format!("case `{}` has closed", belongs.key)),
                Some(Some(by)) => (Outcome::Cancelled, format!("{by} took the case")),
                Some(None) => continue,
            };
            collected.events.retain(|collected| *collected != event);
            let mut trace = Trace::default();
            let note = format!("left out of the digest for `{}`: {why}", slot.destination);
            trace.action(outcome, slot.action, Some(slot.destination), note);
            self.plan.whys.extend(trace.row(event, name));
        }
    }

    /// Sends it; says whether it may be.
    fn tell_digest(&mut self, slot: &Slot<'_>, name: &str, collected: &Collected, trace: &mut Trace) -> bool {
        let Slot { action, destination, .. } = *slot;
        let cancelled = |trace: &mut Trace, note: &str| {
            trace.action(Outcome::Cancelled, action, Some(destination), note);
            false
        };
        let Some((rule, action)) = self.action_named(name, action) else {
            return cancelled(trace, "its digest was not sent: the rules in force no longer ask for it");
        };
        if self.place(destination).is_none() {
            return cancelled(trace, &format!("its digest was not sent: `{destination}` is no longer configured"));
        }
        if let Some(note) = self.muted(rule, destination, None, self.now) {
            trace.action(Outcome::Muted, &action.id, Some(destination), format!("its digest was {note}"));
            return false;
        }
        let Some(newest) = collected.events.back().copied() else { return false };
        let mut assignment = assignment(action, newest, None);
        assignment.events = collected.events.iter().copied().collect();
        assignment.more = collected.more;
        assignment.suppressed = collected.suppressed;
        // Reminders of one case all tell of its opening: the digests that they go into are told apart by their time.
        let told_apart = [collected.first.to_string(), collected.due.to_string()];
        let told_apart = told_apart.each_ref().map(String::as_str);
        let origin = id(&[&["digest"], &slot.parts(self.identity(rule))[..], &told_apart[..]].concat());
        let delivery = NewDelivery {
            id: DeliveryId::of(&origin, self.identity(rule), &action.id, destination, 0),
            event: newest,
            rule: rule.name.value.clone(),
            action: action.id.clone(),
            destination: destination.into(),
            act: Act::Open,
            lane: None,
            due: self.now,
            assignment,
        };
        self.deliver(Draft { rule, action, occasion: Occasion::Match, delivery }, None, trace);
        true
    }
}
