//! What the reference does when something comes due: reminders, ends of cases, digests, openings of hours.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::Event;
use super::reference::{
    Case, Collected, HELD_BACK_KEPT, Held, Hold, How, Occasion, Reference, Said, Slot, Timer, Window,
};
use super::spec::{Action, Ms, Spec};

/// What comes due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Act { at: (String, String), nth: i64, action: String, event: i64 },
    Closing { line: String, nth: i64 },
    End { at: (String, String), nth: i64 },
    Rearm { at: (String, String), nth: i64 },
    Forget((String, String)),
    Digest(Slot),
    Hold((String, Ms)),
    Missing(String),
    Mute(String),
    Throttle((String, String, String)),
}

/// Starts an action's timer in a case, or moves it where its date or its words have changed. `kept` is the date that is
/// known already, where the event's own doesn't count.
pub(super) fn schedule(case: &mut Case, action: &Action, event: &Event, kept: Option<Ms>, now: Ms) {
    let Some(times) = action.times() else { return };
    let date = action.before.and_then(|_| kept.or(event.date));
    let first = match (action.before, date) {
        (Some(before), Some(date)) => date - before,
        (Some(_), None) => return,
        (None, _) => case.told + action.after.or(action.repeat).unwrap_or_default(),
    };
    if case.acked && action.before.is_none() {
        return;
    }
    let kept_created = case.timers.get(action.name).filter(|_| kept.is_some()).map(|old| old.created);
    let created = kept_created.unwrap_or(action.before.map(|_| event.created));
    if let Some(old) = case.timers.get_mut(action.name) {
        if created.is_some() && created < old.created {
            // Of two dates, the one said later holds, whichever came later.
            return;
        }
        if old.first == first && old.times == times {
            old.created = created.max(old.created);
            return;
        }
    }
    let old = case.timers.get(action.name);
    let fired = old.map_or(0, |old| old.fired);
    let due = match (fired, action.repeat) {
        (0, _) => Some(first),
        (_, Some(every)) if !case.acked => Some(next_of(first, every, now)),
        _ => Some(first).filter(|first| action.before.is_some() && *first > now),
    };
    // What speaks of a date speaks of the one that holds.
    let event = old.filter(|old| old.date == date).map_or(event, |old| &old.event).clone();
    let timer = Timer { event, first, due, fired, times, date, created, waits: false, set: true };
    case.timers.insert(action.name.to_owned(), timer);
}

/// Sets when a case ends by itself.
pub(super) fn schedule_end(case: &mut Case, spec: &Spec) {
    if case.ends != spec.closes_after {
        case.ends = spec.closes_after;
        case.end_due = case.ends.map(|span| case.last + span);
    }
}

/// The first moment of a series after `now`.
fn next_of(first: Ms, every: Ms, now: Ms) -> Ms {
    let mut at = first;
    while at <= now {
        at += every * ((now - at) / every).max(1);
    }
    at
}

impl Window {
    pub(super) fn let_through(&mut self, now: Ms) {
        let last = self.acted.last().copied().unwrap_or(now);
        self.acted.push(last.max(now));
    }
}

fn named<'s>(specs: &'s [Spec], line: &str) -> Option<&'s Spec> {
    specs.iter().find(|spec| spec.line == line)
}

impl Reference {
    pub(super) fn fire(&mut self, specs: &[Spec], now: Ms, due: Due) {
        match due {
            Due::Act { at, nth, action, event } => self.act(specs, now, &at, nth, (&action, event)),
            Due::Closing { line, nth } => self.closing(specs, now, &line, nth),
            Due::End { at, nth } => self.end(specs, now, &at, nth),
            Due::Rearm { at, nth } => self.rearm(specs, now, &at, nth),
            Due::Forget(at) => {
                if self.closed.get(&at).is_some_and(|closed| closed.until <= now) {
                    self.closed.remove(&at);
                }
            }
            Due::Digest(slot) => self.tell_digest(specs, now, &slot),
            Due::Hold(at) => self.open_hours(specs, now, at),
            Due::Missing(line) => self.missing(specs, now, line),
            Due::Mute(id) => {
                if self.mutes.get(&id).is_some_and(|mute| mute.until <= now) {
                    self.mutes.remove(&id);
                }
            }
            Due::Throttle(at) => {
                let Some(window) = self.windows.get_mut(&at) else { return };
                let last = window.acted.last().copied().unwrap_or(Ms::MIN / 2);
                let kept = if window.held_back > 0 { HELD_BACK_KEPT.max(window.every) } else { window.every };
                window.look = last + kept;
                if window.look <= now {
                    self.windows.remove(&at);
                }
            }
        }
    }

    fn act(&mut self, specs: &[Spec], now: Ms, at: &(String, String), nth: i64, (action, event): (&str, i64)) {
        let Some(mut case) = self.cases.get(at).filter(|case| case.nth == nth).cloned() else { return };
        let Some(timer) = case.timers.get_mut(action).filter(|timer| timer.due.is_some_and(|due| due <= now)) else {
            return;
        };
        let spec = named(specs, &at.0);
        let acted = spec.and_then(|spec| spec.actions.iter().find(|candidate| candidate.name == action));
        let Some((spec, acted)) = spec.zip(acted) else {
            (timer.waits, timer.set) = (true, false);
            self.cases.insert(at.clone(), case);
            return;
        };
        if acted.times() != Some(timer.times) {
            // The rules have changed meanwhile: it may not be due at all.
            timer.set = false;
            case.rearm_due = Some(now);
            self.cases.insert(at.clone(), case);
            return;
        }
        if timer.event.seq != event {
            // What it is to speak of came in this very tick: it does at the next.
            return;
        }
        timer.fired += 1;
        timer.waits = false;
        timer.due = acted.repeat.filter(|_| !case.acked).map(|every| next_of(timer.first, every, now));
        timer.set = timer.due.is_some();
        let event = timer.event.clone();
        // The case is known by its own key, which for `missing` is not the event's.
        let event = Event { key: at.1.clone(), ..event };
        self.announce(spec, acted, &event, Occasion::Reminder, Some(&mut case), now);
        self.cases.insert(at.clone(), case);
    }

    fn closing(&mut self, specs: &[Spec], now: Ms, line: &str, nth: i64) {
        let Some(found) = self.closings.iter().position(|(_, of, case)| of == line && case.nth == nth) else { return };
        let (_, _, case) = self.closings.remove(found);
        self.say_ended(specs, now, line, case);
    }

    fn end(&mut self, specs: &[Spec], now: Ms, at: &(String, String), nth: i64) {
        let Some(case) = self.cases.get_mut(at).filter(|case| case.nth == nth) else { return };
        if let Some(spec) = named(specs, &at.0).filter(|spec| spec.closes_after != case.ends) {
            case.end_due = None;
            return schedule_end(case, spec);
        }
        let due = case.last + case.ends.unwrap_or_default();
        case.end_due = Some(due);
        if due <= now
            && let Some(case) = self.take(specs, &at.0, &at.1, now)
        {
            self.say_ended(specs, now, &at.0, case);
        }
    }

    fn say_ended(&mut self, specs: &[Spec], now: Ms, line: &str, case: Case) {
        let opening = case.opening.clone();
        match named(specs, line) {
            Some(spec) => self.say_closed(spec, case, &opening, now),
            // Nobody says anything of it any more, but what was shown is marked.
            None => self.say_closed(&Spec { line: leak(line), ..Spec::default() }, case, &opening, now),
        }
    }

    fn rearm(&mut self, specs: &[Spec], now: Ms, at: &(String, String), nth: i64) {
        let Some(mut case) = self.cases.get(at).filter(|case| case.nth == nth).cloned() else { return };
        case.rearm_due = None;
        if let Some(spec) = named(specs, &at.0) {
            let opening = Event { key: at.1.clone(), ..case.opening.clone() };
            for action in &spec.actions {
                let Some(times) = action.times() else { continue };
                if let Some(timer) = case.timers.get_mut(action.name).filter(|timer| timer.times == times) {
                    timer.set |= timer.waits && timer.due.is_some();
                    continue;
                }
                let kept = case.timers.get(action.name).and_then(|timer| timer.date);
                schedule(&mut case, action, &opening, kept, now);
            }
            schedule_end(&mut case, spec);
        }
        self.cases.insert(at.clone(), case);
    }

    pub(super) fn collect(
        &mut self,
        spec: &Spec,
        action: &Action,
        event: &Event,
        to: &str,
        (rest, due, limit): (bool, Ms, usize),
        (suppressed, of): (u64, Option<(String, i64)>),
    ) -> Ms {
        let slot = (spec.line.to_owned(), action.name.to_owned(), event.key.clone(), to.to_owned(), rest);
        let fresh = Collected { due, events: Vec::new(), more: 0, suppressed: 0, reminders: BTreeMap::new() };
        let collected = self.digests.entry(slot).or_insert(fresh);
        let is_new = !collected.events.contains(&event.seq);
        if is_new {
            collected.events.push(event.seq);
        }
        match of {
            Some(of) if is_new => _ = collected.reminders.insert(event.seq, of),
            Some(_) => {}
            None => _ = collected.reminders.remove(&event.seq),
        }
        while collected.events.len() > limit {
            let oldest = collected.events.remove(0);
            collected.reminders.remove(&oldest);
            collected.more += 1;
        }
        collected.suppressed += suppressed;
        collected.due
    }

    fn tell_digest(&mut self, specs: &[Spec], now: Ms, slot: &Slot) {
        if self.digests.get(slot).is_none_or(|digest| digest.due > now) {
            return;
        }
        let Some(mut collected) = self.digests.remove(slot) else { return };
        let (line, action, key, to, rest) = slot;
        let acted = named(specs, line).and_then(|spec| spec.action(action));
        // What only reminded of a case that is over, or that somebody took, need not be said.
        for (event, (key, nth)) in &collected.reminders {
            let case = self.cases.get(&(line.clone(), key.clone())).filter(|case| case.nth == *nth);
            let dated = acted.is_some_and(|acted| acted.before.is_some());
            if case.is_none_or(|case| case.acked && !dated) {
                collected.events.retain(|collected| collected != event);
            }
        }
        if let Some(acted) = acted
            && !collected.events.is_empty()
            && !self.is_muted(line, to, now)
        {
            let said = Said {
                line: line.clone(),
                action: action.clone(),
                to: to.clone(),
                how: How::Message,
                events: collected.events.into_iter().collect(),
                more: collected.more,
                suppressed: collected.suppressed,
                count: 0,
            };
            self.deliver(acted.hours, said, Occasion::Match, None, now);
            let window = self.windows.get_mut(&(line.clone(), action.clone(), key.clone()));
            if let Some(window) = window.filter(|window| *rest && window.rest_told != Some(now)) {
                window.acted.retain(|acted| acted + window.every > now);
                window.let_through(now);
                window.rest_told = Some(now);
            }
        }
    }

    pub(super) fn hold(&mut self, held: Held, opens: Ms) {
        let hold = self.holds.entry((held.said.to.clone(), opens)).or_default();
        hold.due = opens;
        hold.held.retain(|older| {
            let same =
                (&older.said.line, &older.said.action, &older.case) == (&held.said.line, &held.said.action, &held.case);
            let same_event = held.case.is_some() || older.said.events == held.said.events;
            !(held.reminder && older.reminder && same && same_event)
        });
        hold.held.push(held);
    }

    fn open_hours(&mut self, specs: &[Spec], now: Ms, at: (String, Ms)) {
        if self.holds.get(&at).is_none_or(|hold| hold.due > now) {
            return;
        }
        let Some(Hold { held, .. }) = self.holds.remove(&at) else { return };
        let mut going: Vec<Held> = Vec::new();
        for held in held {
            let (line, to) = (held.said.line.clone(), held.said.to.clone());
            let Some(action) = named(specs, &line).and_then(|spec| spec.action(&held.said.action)) else { continue };
            if let Some((key, nth)) = &held.case {
                let case = self.cases.get(&(line.clone(), key.clone())).filter(|case| case.nth == *nth);
                let Some(case) = case else { continue };
                if case.acked && held.reminder && action.before.is_none() {
                    continue;
                }
            }
            if self.is_muted(&line, &to, now) {
                continue;
            }
            match action.hours.and_then(|hours| Some((hours, hours.closed_until(now)?))) {
                None => going.push(held),
                Some((hours, _)) if hours.drop => {}
                Some((_, opens)) => self.hold(held, opens),
            }
        }
        // What a pager shows is resolved case by case, so nothing of it is summed up.
        let goes_alone = going.first().is_some_and(|held| self.updating.contains(&held.said.to));
        if going.len() == 1 || goes_alone {
            for Held { said, case, reminder } in going {
                let occasion = if reminder { Occasion::Reminder } else { Occasion::Match };
                let at = case.map(|(key, _)| (said.line.clone(), key));
                let mut case = at.as_ref().and_then(|at| self.cases.get(at).cloned());
                self.say(said, occasion, case.as_mut());
                if let Some((at, case)) = at.zip(case) {
                    self.cases.insert(at, case);
                }
            }
        } else if let Some(newest) = going.last() {
            for held in &going {
                let at = held.case.clone().map(|(key, _)| (held.said.line.clone(), key));
                if let Some(case) = at.and_then(|at| self.cases.get_mut(&at)) {
                    case.summed.insert(held.said.to.clone());
                }
            }
            let events: BTreeSet<i64> = going.iter().flat_map(|held| held.said.events.clone()).collect();
            let said = Said {
                line: newest.said.line.clone(),
                action: "summary".into(),
                to: newest.said.to.clone(),
                how: How::Summary,
                events,
                more: 0,
                suppressed: going.iter().map(|held| held.said.suppressed).sum(),
                count: 0,
            };
            self.say(said, Occasion::Match, None);
        }
    }

    fn missing(&mut self, specs: &[Spec], now: Ms, line: String) {
        let Some(span) = named(specs, &line).and_then(|spec| spec.missing) else {
            // Nobody waits any more; should somebody again, it is armed anew.
            return;
        };
        let Some(awaited) = self.awaited.get_mut(&line).filter(|awaited| !awaited.told) else { return };
        awaited.due = Some(awaited.since + span).filter(|due| *due > now);
        if awaited.due.is_none() {
            awaited.told = true;
            let since = awaited.since;
            self.missed.push((line, since));
        }
    }
}

/// The few names of rules live as long as the tests.
fn leak(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

/// Whether a destination was notified of a case, alone or in a summary.
pub(super) fn was_notified(case: &Case, to: &str) -> bool {
    case.shown.contains_key(to) || case.summed.contains(to)
}

/// Whether the rule speaks to a destination, and never did in this case: it needs no message at its close.
pub(super) fn is_unheard(spec: &Spec, case: &Case, to: &str) -> bool {
    let speaking: Vec<&Action> = spec.actions.iter().filter(|action| action.to.contains(&to)).collect();
    let sums_up =
        |action: &&Action| action.digest.is_some() || action.throttle.is_some_and(|throttle| throttle.rest_digest);
    let heard = was_notified(case, to) || speaking.iter().any(sums_up);
    !speaking.is_empty() && !heard
}
