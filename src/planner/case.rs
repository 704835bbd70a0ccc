//! A case: what an event is about, from the match that opens it to its close, and the timers that run meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{from_ms, plus};
use crate::delivery::{Act, CaseFacts, Lane};
use crate::event::Seq;
use crate::planner::End;
use crate::planner::announce::{Announcement, Occasion};
use crate::planner::book::{Doc, id};
use crate::planner::inputs::{Carried, names_for, rule_named};
use crate::planner::round::Round;
use crate::planner::successor::successor;
use crate::planner::timer::Meaning;
use crate::planner::why::{Outcome, Trace};
use crate::rules::{Action, ActionJudgement, Held, Rule};

/// An open case, as the ledger keeps it under kind `case` and the id `RULE/KEY`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The rule it belongs to.
    pub rule: String,
    /// The rule's name when it opened: ids are made from this, so a rename changes none.
    pub root: String,
    /// What it is about.
    pub key: String,
    /// Which case with this key: the place of its opening event, so that none is counted twice.
    pub nth: u64,
    /// The opening event.
    pub event: Seq,
    /// When the opening was planned.
    pub opened: Timestamp,
    /// The latest `created` among its matches: a close from before that doesn't end it.
    pub newest: Timestamp,
    /// How many matches it has had.
    #[serde(default)]
    pub count: u64,
    /// When the last of them was planned.
    pub last: Timestamp,
    /// Who took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<String>,
    /// When they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked_at: Option<Timestamp>,
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
    /// Destinations that heard of it in a summary, where it has no place of its own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub summed: BTreeSet<String>,
    /// What runs by the clock, by action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timers: BTreeMap<String, Scheduled>,
    /// The `closes_after` that its end was set by, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_s: Option<i64>,
}

/// The first announcement at a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// What all of the case's deliveries there have in common.
    pub lane: Lane,
    /// The action that announced it.
    pub action: String,
    /// The event that it told of.
    pub event: Seq,
}

/// A timed action of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The event that it tells of: the one at which it first held, mostly the opening; for an `at`, the one that brought
    /// the date.
    pub event: Seq,
    /// When it would be due first.
    pub first: Timestamp,
    /// When it is due next; `None`: no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
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

/// What a match brings to its case's timers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brought {
    /// The match.
    pub event: Seq,
    /// Its `created`, where that is known: of two dates that of the later one holds.
    pub created: Option<Timestamp>,
}

/// How a case came to its end, but for an event that closed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A person closed it.
    ByHand(String),
    /// Nothing came for `closes_after`.
    Forgotten,
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
        events.sort_unstable();
        events.dedup();
        events
    }
}

impl Case {
    /// A case that opens now.
    pub fn open(rule: &str, key: &str, event: Seq, created: Timestamp, now: Timestamp) -> Self {
        Self {
            rule: rule.into(),
            root: rule.into(),
            key: key.into(),
            nth: u64::try_from(event).unwrap_or_default(),
            event,
            opened: now,
            newest: created,
            count: 1,
            last: now,
            acked: None,
            acked_at: None,
            shadow: false,
            own: false,
            lanes: BTreeMap::new(),
            summed: BTreeSet::new(),
            timers: BTreeMap::new(),
            ends_s: None,
        }
    }

    /// What templates may know of it.
    pub fn facts(&self, closed: bool) -> CaseFacts {
        CaseFacts { key: self.key.clone(), opened: self.opened, count: self.count, last: self.last, closed }
    }

    /// What an announcement at a destination does to what stands there, and in which lane.
    pub fn announce(&mut self, destination: &str, action: &str, event: Seq) -> (Lane, Act) {
        if let Some(shown) = self.lanes.get(destination) {
            return (shown.lane.clone(), Act::Again);
        }
        let lane = Lane::of(&self.root, &self.key, self.nth, destination);
        let shown = Shown { lane: lane.clone(), action: action.into(), event };
        self.lanes.insert(destination.into(), shown);
        (lane, Act::Open)
    }

    /// Whether something of it was said at a destination: alone, or in a summary.
    pub(crate) fn told(&self, destination: &str) -> bool {
        self.lanes.contains_key(destination) || self.summed.contains(destination)
    }

    /// The id of a timer of it.
    pub(crate) fn timer_id(&self, what: &str) -> String {
        id(&["case", &self.root, &self.key, &self.nth.to_string(), what])
    }
}

impl Action {
    /// Whether it waits for a time of its case rather than acting at a match.
    pub(crate) fn is_timed(&self) -> bool {
        self.after.is_some() || self.at.is_some()
    }

    /// What its timer goes by, as text: a change of it moves the timer.
    pub(crate) fn spec(&self) -> Option<String> {
        if !self.is_timed() && self.repeat.is_none() {
            return None;
        }
        let seconds = |span: Option<SignedDuration>| span.map(|span| span.as_secs());
        let at = self.at.as_ref().map(|at| format!("{} {}", at.offset.as_secs(), at.path.text));
        Some(format!("{:?} {:?} {:?}", seconds(self.after), seconds(self.repeat), at))
    }

    /// Whether the date of its `at` stands elsewhere than it did for a timer that was set by this [`Action::spec`].
    fn is_dated_elsewhere(&self, spec: &str) -> bool {
        let path = |spec: &str| spec.split_once("Some(\"")?.1.split_once(' ').map(|(_, path)| path.to_owned());
        let now = self.spec().as_deref().and_then(path);
        now.zip(path(spec)).is_some_and(|(now, then)| now != then)
    }

    /// Where it goes, sorted.
    pub(crate) fn places(&self) -> Vec<String> {
        let mut to: Vec<String> = self.to.iter().map(|to| to.value.clone()).collect();
        to.sort();
        to
    }
}

/// The first moment of a series that is after `now`: missed ones are not made up for. A series without steps has none.
fn next_of(first: Timestamp, every: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    if first > now {
        return Some(first);
    }
    let passed = now.as_millisecond().saturating_sub(first.as_millisecond());
    let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let steps = passed.checked_div(every_ms).filter(|_| every_ms > 0)?.saturating_add(1);
    Some(plus(first, SignedDuration::from_millis(every_ms.saturating_mul(steps))))
}

impl Round<'_> {
    /// The open case with this key of the rule with these names, the present one first.
    pub fn case(&mut self, names: &[String], key: &str) -> Option<Case> {
        let mut case = self.book.adopt::<Case>(names, &[key])?;
        case.rule.clone_from(names.first()?);
        Some(case)
    }

    /// Writes a case back; one without a key goes when nothing of it is left to come.
    pub fn save_case(&mut self, case: &Case) {
        let parts = [case.rule.as_str(), case.key.as_str()];
        if case.own && case.timers.values().all(|timer| timer.due.is_none()) {
            self.delete_case(case, false);
            return self.drop_timer(case.timer_id("end"));
        }
        self.book.put(&parts, case);
    }

    /// Takes a case away, and says that its lanes are over: it was closed, or just ended.
    pub fn delete_case(&mut self, case: &Case, closed: bool) {
        self.plan.ended.extend(case.lanes.values().map(|shown| End { lane: shown.lane.clone(), closed }));
        self.book.delete::<Case>(&[&case.rule, &case.key]);
    }

    pub(crate) fn set_act(&mut self, case: &Case, action: &str, event: Seq, due: Timestamp) {
        let (rule, key) = (case.rule.clone(), case.key.clone());
        let meaning = Meaning::Act { rule, key, nth: case.nth, action: action.into() };
        self.set_timer(case.timer_id(&id(&["act", action])), due, Some(event), &meaning);
    }

    /// Starts an action's timer in a case, or moves it where the action's `at` or its words in the rule have changed.
    /// Timers run from the opening; later matches don't restart them.
    pub fn schedule(&mut self, case: &mut Case, acted: &ActionJudgement<'_>, by: Brought, trace: &mut Trace) {
        let action = acted.action;
        let Some(spec) = action.spec() else { return };
        let date = match (&action.at, &acted.at) {
            (Some(at), Some(Ok(due))) => {
                // Stores keep timers to the millisecond.
                let due = from_ms(due.as_millisecond());
                Some((due, plus(due, at.offset.checked_neg().unwrap_or_default())))
            }
            (Some(_), Some(Err(reason))) => return trace.fail(format!("`at`: {reason}")),
            (Some(_), None) => return trace.fail("`at`: no date"),
            (None, _) => None,
        };
        let first = match date {
            Some((due, _)) => due,
            None => plus(case.opened, action.after.or(action.repeat).unwrap_or_default()),
        };
        if case.acked.is_some() && action.at.is_none() {
            return;
        }
        let created = by.created.filter(|_| action.at.is_some());
        if let Some(old) = case.timers.get_mut(&action.id) {
            if old.created > created && created.is_some() {
                // A retry may bring an older match after a newer one: what that said of the date holds.
                return;
            }
            if old.first == first && old.spec == spec {
                old.created = old.created.max(created);
                return;
            }
        }
        let old = case.timers.get(&action.id);
        let fired = old.map_or(0, |old| old.fired);
        let due = match (fired, action.repeat) {
            (0, _) => Some(first),
            // It has fired: only what lies ahead may follow.
            (_, Some(every)) if case.acked.is_none() => next_of(first, every, self.now),
            (_, _) => Some(first).filter(|first| action.at.is_some() && *first > self.now),
        };
        let date = date.map(|(_, date)| date);
        // What speaks of a date speaks of the one that holds.
        let event = old.filter(|old| old.date == date).map_or(by.event, |old| old.event);
        let (waits, to) = (false, action.places());
        let timer = Scheduled { event, first, due, fired, spec, date, created, waits, to };
        case.timers.insert(action.id.clone(), timer);
        match due {
            Some(due) => {
                self.set_act(case, &action.id, event, due);
                let note = format!("acts {} if the case is still open then", self.moment(due));
                let outcome = if case.shadow { Outcome::Shadow } else { Outcome::Matched };
                trace.action(outcome, &action.id, None, note);
            }
            None => self.drop_timer(case.timer_id(&id(&["act", &action.id]))),
        }
    }

    /// Sets when a case ends by itself: so long after its last match.
    pub fn schedule_end(&mut self, case: &mut Case, rule: &Rule) {
        let span = rule.closes_after.map(|span| span.as_secs());
        if case.ends_s == span {
            return;
        }
        case.ends_s = span;
        let Some(span) = rule.closes_after else { return self.drop_timer(case.timer_id("end")) };
        let meaning = Meaning::End { rule: case.rule.clone(), key: case.key.clone(), nth: case.nth };
        self.set_timer(case.timer_id("end"), plus(case.last, span), Some(case.event), &meaning);
    }

    /// A timed action is due: where the case is open and nobody took it, it acts. Missed repeats become one.
    pub fn act_due(&mut self, rule: &str, key: &str, nth: u64, action: &str, carried: Option<&Carried<'_>>) {
        let names = names_for(self.rules, rule);
        let Some(mut case) = self.case(&names, key).filter(|case| case.nth == nth) else { return };
        let now = self.now;
        let Some(timer) = case.timers.get_mut(action).filter(|timer| timer.due.is_some_and(|due| due <= now)) else {
            return;
        };
        let mut trace = Trace::default();
        let judgement =
            carried.and_then(|carried| carried.judgement.as_ref()).filter(|judgement| judgement.rule.enabled);
        let acted = judgement.and_then(|judgement| judgement.actions.iter().find(|acted| acted.action.id == action));
        let acted = acted.filter(|acted| acted.held == Held::Held);
        let (Some(carried), Some(judgement), Some(acted)) = (carried, judgement, acted) else {
            // Its rule or action is gone, takes no part, or no longer means this event: nothing is sent, and it fires
            // should they come back while the case is open.
            timer.waits = true;
            let present = rule_named(self.rules, rule).filter(|rule| rule.enabled);
            if present.is_some_and(|present| successor(present, &case, action).is_some()) {
                // It has other words now, and goes on under them as soon as the case is brought in line.
                self.set_rearm(&case);
                return self.save_case(&case);
            }
            trace.action(Outcome::Cancelled, action, None, "not sent: the rules in force no longer ask for it");
            let name = rule_named(self.rules, rule).map_or(rule, |rule| &rule.name.value);
            let event = case.timers.get(action).map_or(case.event, |timer| timer.event);
            self.plan.whys.extend(trace.row(event, name));
            return self.save_case(&case);
        };
        if acted.action.spec().as_ref() != Some(&timer.spec) {
            // The rules changed, and this case has not been brought in line with them yet: it may not be due at all.
            return self.set_rearm(&case);
        }
        if carried.seq != timer.event {
            // An entry of this round brought another date: it speaks of that, as soon as that event is at hand.
            let (event, due) = (timer.event, timer.due.unwrap_or(now));
            self.set_act(&case, action, event, due);
            return self.save_case(&case);
        }
        timer.fired += 1;
        timer.waits = false;
        let number = timer.fired.to_string();
        // What no event can close comes once.
        let ends = !case.own || case.ends_s.is_some();
        let every = acted.action.repeat.filter(|_| case.acked.is_none() && ends);
        timer.due = every.and_then(|every| next_of(timer.first, every, now));
        let (next, event) = (timer.due, timer.event);
        let origin = id(&[&case.timer_id(action), &number]);
        if let Some(next) = next {
            self.set_act(&case, action, event, next);
        }
        let announcement = Announcement {
            rule: judgement.rule,
            acted,
            seq: carried.seq,
            event: carried.event,
            origin,
            again: 0,
            occasion: Occasion::Reminder,
            facts: None,
        };
        self.announce(&announcement, Some(&mut case), &mut trace);
        self.tell(trace, carried.seq, Some(carried.event), judgement.rule);
        self.save_case(&case);
    }

    /// Has a case brought in line with the rules as soon as its opening event is at hand.
    pub fn set_rearm(&mut self, case: &Case) {
        let meaning = Meaning::Rearm { rule: case.rule.clone(), key: case.key.clone(), nth: case.nth };
        self.set_timer(case.timer_id("rearm"), self.now, Some(case.event), &meaning);
    }

    /// The rules changed: brings a case's timers in line with them. What is past by now fires once, at once; what is gone
    /// stays silent.
    pub fn rearm(&mut self, rule: &str, key: &str, nth: u64, carried: Option<&Carried<'_>>) {
        let names = names_for(self.rules, rule);
        let Some(mut case) = self.case(&names, key).filter(|case| case.nth == nth) else { return };
        let Some(carried) = carried else { return };
        let Some(judgement) = carried.judgement.as_ref().filter(|judgement| judgement.rule.enabled) else { return };
        let opening = case.event;
        let mut trace = Trace::default();
        if carried.seq == opening {
            self.inherit(&mut case, judgement);
        }
        for acted in &judgement.actions {
            let action = acted.action;
            let Some(spec) = action.spec() else { continue };
            let known = case.timers.get(&action.id).cloned();
            if let Some(timer) = known.as_ref().filter(|timer| timer.spec == spec) {
                if let Some(due) = timer.due.filter(|_| timer.waits) {
                    self.set_act(&case, &action.id, timer.event, due);
                }
                continue;
            }
            // A date that a later match brought is not in the opening event: it was kept. Where it is to be found elsewhere
            // from now on, that match says what it is.
            let elsewhere = known.as_ref().filter(|timer| action.is_dated_elsewhere(&timer.spec));
            let wanted = elsewhere.map_or(opening, |timer| timer.event);
            if wanted != carried.seq {
                if carried.seq == opening {
                    let meaning = Meaning::Rearm { rule: case.rule.clone(), key: case.key.clone(), nth };
                    self.set_timer(case.timer_id(&id(&["rearm", &action.id])), self.now, Some(wanted), &meaning);
                }
                continue;
            }
            let kept = known.as_ref().filter(|_| elsewhere.is_none()).and_then(|timer| timer.date);
            let at = kept.zip(action.at.as_ref()).map(|(date, at)| Ok(plus(date, at.offset)));
            let at = at.or_else(|| acted.at.clone());
            let said = known.as_ref().and_then(|timer| timer.created);
            let created = if kept.is_some() { said } else { said.max(Some(carried.event.created)) };
            let (held, why, throttle, digest) = (acted.held, None, None, None);
            if held == Held::Held || case.timers.contains_key(&action.id) {
                let acted = ActionJudgement { action, held, why, throttle, digest, at };
                self.schedule(&mut case, &acted, Brought { event: wanted, created }, &mut trace);
            }
        }
        self.schedule_end(&mut case, judgement.rule);
        self.save_case(&case);
        self.tell(trace, carried.seq, Some(carried.event), judgement.rule);
    }
}
