//! The reference: a naive reading of what the rules' language says about cases, throttles, digests, hours, mutes and
//! `missing`, for rules of the form of [`Spec`].
//! It holds everything in plain maps, looks at all of it at every tick, and knows nothing of stores, documents or ids.
//! It is reported at which moments the planner planned, and with which entries; it says what had to come of that.

use std::collections::{BTreeMap, BTreeSet};

use super::due::{Due, is_unheard, schedule, schedule_end, was_notified};
use super::spec::{Action, DAY, Hours, Ms, Spec};

/// What stands at one place of the inbox.
#[derive(Debug, Clone)]
pub enum Entry {
    Event(Event),
    Close {
        line: String,
        key: String,
    },
    Ack {
        line: String,
        key: String,
    },
    Mute(Mute),
    Unmute {
        id: String,
    },
    /// Fanfare's own word that something is missing.
    Missing {
        line: String,
        since: Ms,
        seq: i64,
        at: Ms,
    },
    /// Nothing that the reference knows of.
    Other,
}

/// An event.
#[derive(Debug, Clone)]
pub struct Event {
    pub seq: i64,
    pub kind: String,
    pub key: String,
    pub created: Ms,
    pub received: Ms,
    pub date: Option<Ms>,
}

/// Silence for a rule or a destination.
#[derive(Debug, Clone)]
pub struct Mute {
    pub id: String,
    pub line: Option<String>,
    pub to: Option<String>,
    pub from: Ms,
    pub until: Ms,
}

/// What must be said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Of which rule; a summary belongs to none.
    pub line: String,
    pub action: String,
    pub to: String,
    pub how: How,
    /// The events that it reports, by their places.
    pub events: BTreeSet<i64>,
    pub more: u64,
    pub suppressed: u64,
    /// How many matches its case has had; 0 without a case.
    pub count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    Message,
    Update,
    Summary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    Match,
    Reminder,
    Close,
}

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) key: String,
    pub(super) nth: i64,
    pub(super) opening: Event,
    /// When people could first be notified of its opening; that, if it told nobody.
    pub(super) told: Ms,
    pub(super) newest: Ms,
    pub(super) last: Ms,
    pub(super) count: u64,
    pub(super) acked: bool,
    pub(super) ends: Option<Ms>,
    pub(super) end_due: Option<Ms>,
    pub(super) rearm_due: Option<Ms>,
    pub(super) timers: BTreeMap<String, Timer>,
    /// By destination: the action and event that were shown first.
    pub(super) shown: BTreeMap<String, (String, i64)>,
    /// Destinations that got it in a summary.
    pub(super) summed: BTreeSet<String>,
}

pub(super) type Times = (Option<Ms>, Option<Ms>, Option<Ms>);

#[derive(Debug, Clone)]
pub(super) struct Timer {
    pub(super) event: Event,
    pub(super) first: Ms,
    pub(super) due: Option<Ms>,
    pub(super) fired: u64,
    pub(super) times: Times,
    pub(super) date: Option<Ms>,
    /// The latest `created` of what brought the date.
    pub(super) created: Option<Ms>,
    /// Came due while the rules didn't ask for it.
    pub(super) waits: bool,
    /// Whether it would wake anybody.
    pub(super) set: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub(super) created: Ms,
    pub(super) until: Ms,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    pub(super) acted: Vec<Ms>,
    pub(super) held_back: u64,
    pub(super) rest_told: Option<Ms>,
    pub(super) every: Ms,
    pub(super) look: Ms,
}
#[derive(Debug, Clone)]
pub(super) struct Collected {
    pub(super) due: Ms,
    pub(super) events: Vec<i64>,
    pub(super) more: u64,
    pub(super) suppressed: u64,
    /// The events that only a reminder notified of, with the key and number of their case.
    pub(super) reminders: BTreeMap<i64, (String, i64)>,
}

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) said: Said,
    /// Key and number of its case.
    pub(super) case: Option<(String, i64)>,
    pub(super) reminder: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Hold {
    pub(super) due: Ms,
    pub(super) held: Vec<Held>,
}

#[derive(Debug, Clone)]
pub(super) struct Awaited {
    pub(super) since: Ms,
    pub(super) told: bool,
    pub(super) due: Option<Ms>,
}

/// A digest: of which rule and action, for which key and destination, and whether it is a throttle's rest.
pub(super) type Slot = (String, String, String, String, bool);

/// A case: its rule, key and number. What is said in it, and not yet sent, can be called off.
pub(super) type Lane = (String, String, i64);

/// All that is known.
#[derive(Debug, Default)]
pub struct Reference {
    pub(super) cases: BTreeMap<(String, String), Case>,
    pub(super) closed: BTreeMap<(String, String), Closed>,
    pub(super) closings: Vec<(Ms, String, Case)>,
    pub(super) windows: BTreeMap<(String, String, String), Window>,
    pub(super) digests: BTreeMap<Slot, Collected>,
    pub(super) holds: BTreeMap<(String, Ms), Hold>,
    pub(super) awaited: BTreeMap<String, Awaited>,
    pub(super) mutes: BTreeMap<String, Mute>,
    /// Destinations that can change what they showed.
    pub updating: BTreeSet<String>,
    /// What is said in this tick, and in which case.
    pub(super) said: Vec<(Option<Lane>, Said)>,
    /// The rules whose absence must be told, and since when they wait.
    pub(super) missed: Vec<(String, Ms)>,
    /// How late the latest of the timers of a tick fired, and which that was.
    pub latest: (Ms, String),
}

/// What a tick comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Ticked {
    pub said: Vec<Said>,
    /// The own events that tell an absence.
    pub missed: Vec<(String, Ms)>,
}

/// The key of the one case of a `missing` rule.
const MISSING: &str = "missing";
/// For so long it is known how many a throttle held back.
pub(super) const HELD_BACK_KEPT: Ms = 7 * DAY;

impl Reference {
    /// How many there are of each thing that a store keeps: cases, digests, holds, closes remembered, throttles.
    pub fn counts(&self) -> [(&'static str, usize); 5] {
        [
            ("case", self.cases.len()),
            ("digest", self.digests.len()),
            ("hold", self.holds.len()),
            ("closed", self.closed.len()),
            ("throttle", self.windows.len()),
        ]
    }

    /// The open cases, by rule and key.
    pub fn open(&self) -> Vec<(String, String)> {
        self.cases.keys().cloned().collect()
    }

    /// Open cases are brought in line with rules that have come into force.
    pub fn sweep(&mut self, specs: &[Spec], now: Ms) {
        for ((line, _), case) in &mut self.cases {
            let Some(spec) = specs.iter().find(|spec| spec.line == line) else { continue };
            let differs = case.ends != spec.closes_after
                || spec.actions.iter().any(|action| match (action.times(), case.timers.get(action.name)) {
                    (Some(times), Some(timer)) => timer.waits || timer.times != times,
                    (Some(_), None) => true,
                    (None, _) => false,
                });
            if differs {
                case.rearm_due = Some(now);
            }
        }
    }

    /// Rules come into force, or another planner takes over.
    pub fn arm(&mut self, specs: &[Spec], now: Ms) {
        let of = |line: &str| specs.iter().find(|spec| spec.line == line).and_then(|spec| spec.missing);
        self.awaited.retain(|line, _| of(line).is_some());
        for spec in specs {
            let Some(span) = spec.missing else { continue };
            let fresh = Awaited { since: now, told: false, due: None };
            let awaited = self.awaited.entry(spec.line.into()).or_insert(fresh);
            if !awaited.told {
                awaited.due = Some(awaited.since + span);
            }
        }
        for hold in self.holds.values_mut() {
            hold.due = now;
        }
    }

    /// The planner planned these entries, and then what was due, as far as it was due by then.
    pub fn tick(&mut self, specs: &[Spec], now: Ms, entries: &[Entry], by: Ms) -> Ticked {
        let due = self.due(now.min(by));
        for entry in entries {
            self.entry(specs, now, entry);
        }
        for (at, due) in due {
            self.latest = std::mem::take(&mut self.latest).max((now - at, format!("{due:?}")));
            self.fire(specs, now, due);
        }
        let said = std::mem::take(&mut self.said).into_iter().map(|(_, said)| said).collect();
        Ticked { said, missed: std::mem::take(&mut self.missed) }
    }

    fn due(&self, now: Ms) -> Vec<(Ms, Due)> {
        let mut due: Vec<(Ms, Due)> = self.timers().into_iter().filter(|(at, _)| *at <= now).collect();
        due.sort();
        due
    }

    fn timers(&self) -> Vec<(Ms, Due)> {
        let mut all = Vec::new();
        for (at, case) in &self.cases {
            let nth = case.nth;
            for (action, timer) in case.timers.iter().filter(|(_, timer)| timer.set) {
                let event = timer.event.seq;
                let act = || Due::Act { at: at.clone(), nth, action: action.clone(), event };
                all.extend(timer.due.map(|due| (due, act())));
            }
            all.extend(case.end_due.map(|due| (due, Due::End { at: at.clone(), nth })));
            all.extend(case.rearm_due.map(|due| (due, Due::Rearm { at: at.clone(), nth })));
        }
        let closing =
            |(due, line, case): &(Ms, String, Case)| (*due, Due::Closing { line: line.clone(), nth: case.nth });
        all.extend(self.closings.iter().map(closing));
        all.extend(self.closed.iter().map(|(at, closed)| (closed.until, Due::Forget(at.clone()))));
        all.extend(self.digests.iter().map(|(slot, digest)| (digest.due, Due::Digest(slot.clone()))));
        all.extend(self.holds.iter().map(|(at, hold)| (hold.due, Due::Hold(at.clone()))));
        all.extend(self.awaited.iter().filter_map(|(line, awaited)| Some((awaited.due?, Due::Missing(line.clone())))));
        all.extend(self.mutes.values().map(|mute| (mute.until, Due::Mute(mute.id.clone()))));
        all.extend(self.windows.iter().map(|(at, window)| (window.look, Due::Throttle(at.clone()))));
        all
    }

    fn entry(&mut self, specs: &[Spec], now: Ms, entry: &Entry) {
        match entry {
            Entry::Event(event) => {
                for spec in specs {
                    let named = spec.events.iter().any(|kind| *kind == event.kind);
                    if spec.closed_by.iter().any(|kind| *kind == event.kind) {
                        self.close(spec, now, event);
                    }
                    match spec.missing {
                        Some(span) if named => self.arrived(spec, span, now, event),
                        None if named => self.matched(spec, now, event),
                        _ => {}
                    }
                }
            }
            Entry::Close { line, key } => {
                if let Some(case) = self.take(specs, line, key, now) {
                    self.closings.push((now, line.clone(), case));
                }
            }
            Entry::Ack { line, key } => self.ack(specs, line, key),
            Entry::Mute(mute) => _ = self.mutes.insert(mute.id.clone(), mute.clone()),
            Entry::Unmute { id } => _ = self.mutes.remove(id),
            Entry::Missing { line, since, seq, at } => {
                let awaited = self.awaited.get(line).is_some_and(|awaited| awaited.told && awaited.since == *since);
                if let Some(spec) = specs.iter().find(|spec| spec.line == line).filter(|_| awaited) {
                    let (kind, key) = ("fanfare.missing".to_owned(), MISSING.to_owned());
                    let event = Event { seq: *seq, kind, key, created: *at, received: *at, date: None };
                    self.matched(spec, now, &event);
                }
            }
            Entry::Other => {}
        }
    }

    fn matched(&mut self, spec: &Spec, now: Ms, event: &Event) {
        if !spec.case && spec.missing.is_none() {
            for action in &spec.actions {
                self.announce(spec, action, event, Occasion::Match, None, now);
            }
            return;
        }
        let at = (spec.line.to_owned(), event.key.clone());
        let late = |closed: &Closed| closed.until > now && event.created < closed.created;
        if self.closed.get(&at).is_some_and(late) {
            return;
        }
        let known = self.cases.remove(&at);
        let opened = known.is_none();
        let mut case = match known {
            Some(case) => Case { count: case.count + 1, last: now, newest: case.newest.max(event.created), ..case },
            None => Case {
                key: at.1.clone(),
                nth: event.seq,
                opening: event.clone(),
                told: now,
                newest: event.created,
                last: now,
                count: 1,
                acked: false,
                ends: None,
                end_due: None,
                rearm_due: None,
                timers: BTreeMap::new(),
                shown: BTreeMap::new(),
                summed: BTreeSet::new(),
            },
        };
        let acts = || spec.actions.iter().filter(|action| opened || !action.once);
        let mut told = None::<Ms>;
        for action in acts().filter(|action| !action.is_timed()) {
            let first = self.announce(spec, action, event, Occasion::Match, Some(&mut case), now);
            told = told.into_iter().chain(first).min();
        }
        if opened {
            case.told = told.unwrap_or(now);
        }
        acts().for_each(|action| schedule(&mut case, action, event, None, now));
        schedule_end(&mut case, spec);
        self.cases.insert(at, case);
    }

    fn close(&mut self, spec: &Spec, now: Ms, event: &Event) {
        let at = (spec.line.to_owned(), event.key.clone());
        let until = now + DAY;
        let closed = match self.closed.get(&at) {
            Some(known) if known.created > event.created => Closed { until, ..known.clone() },
            _ => Closed { created: event.created, until },
        };
        self.closed.insert(at.clone(), closed);
        if self.cases.get(&at).is_some_and(|case| case.newest <= event.created)
            && let Some(case) = self.cases.remove(&at)
        {
            self.call_off(&(at.0, at.1, case.nth), None);
            self.say_closed(spec, case, event, now);
        }
    }

    pub(super) fn say_closed(&mut self, spec: &Spec, mut case: Case, event: &Event, now: Ms) {
        let shown = case.shown.clone();
        let count = case.count;
        for action in &spec.on_close {
            self.announce(spec, action, event, Occasion::Close, Some(&mut case), now);
        }
        for (to, (action, event)) in shown {
            if self.updating.contains(&to) {
                let line = spec.line.to_owned();
                let events = BTreeSet::from([event]);
                let said = Said { line, action, to, how: How::Update, events, more: 0, suppressed: 0, count };
                self.said.push((None, said));
            }
        }
    }

    /// Takes an open case away; what it waited for begins anew.
    pub(super) fn take(&mut self, specs: &[Spec], line: &str, key: &str, now: Ms) -> Option<Case> {
        let case = self.cases.remove(&(line.to_owned(), key.to_owned()))?;
        self.call_off(&(line.to_owned(), key.to_owned(), case.nth), None);
        let span = specs.iter().find(|spec| spec.line == line).and_then(|spec| spec.missing);
        if let Some(span) = span {
            self.awaited.insert(line.into(), Awaited { since: now, told: false, due: Some(now + span) });
        }
        Some(case)
    }

    fn ack(&mut self, specs: &[Spec], line: &str, key: &str) {
        let Some(case) = self.cases.get_mut(&(line.to_owned(), key.to_owned())) else { return };
        let spec = specs.iter().find(|spec| spec.line == line);
        let mut stopped = Vec::new();
        for (name, timer) in &mut case.timers {
            let dated = spec.and_then(|spec| spec.action(name)).is_some_and(|action| action.before.is_some());
            if timer.fired > 0 || !dated {
                timer.due = None;
                stopped.push(name.clone());
            }
        }
        case.acked = true;
        let lane = (line.to_owned(), key.to_owned(), case.nth);
        stopped.iter().for_each(|action| self.call_off(&lane, Some((action, None))));
    }

    /// Unsays what was said of a case in this tick: all of it, or one action's, at one destination.
    fn call_off(&mut self, lane: &Lane, only: Option<(&str, Option<&str>)>) {
        self.said.retain(|(of, said)| {
            let meant = only.is_none_or(|(action, to)| said.action == action && to.is_none_or(|to| said.to == to));
            of.as_ref() != Some(lane) || !meant
        });
    }

    fn arrived(&mut self, spec: &Spec, span: Ms, now: Ms, event: &Event) {
        let line = spec.line.to_owned();
        let was = self.awaited.get(&line).cloned();
        if let Some(case) = self.cases.remove(&(line.clone(), MISSING.to_owned())) {
            self.call_off(&(line.clone(), MISSING.to_owned(), case.nth), None);
            self.awaited.insert(line, Awaited { since: now, told: false, due: Some(now + span) });
            return self.say_closed(spec, case, event, now);
        }
        // A timer that is set finds out by itself that its time has moved.
        let due = was.filter(|was| !was.told).map_or(Some(now + span), |was| was.due);
        self.awaited.insert(line, Awaited { since: now, told: false, due });
    }

    pub fn is_muted(&self, line: &str, to: &str, at: Ms) -> bool {
        self.mutes.values().any(|mute| {
            mute.from <= at
                && at < mute.until
                && mute.line.as_ref().is_none_or(|muted| muted == line)
                && mute.to.as_ref().is_none_or(|muted| muted == to)
        })
    }

    /// Mute, throttle, digest, hours; then it is said. Gives when people are notified first, if any are.
    pub(super) fn announce(
        &mut self,
        spec: &Spec,
        action: &Action,
        event: &Event,
        occasion: Occasion,
        mut case: Option<&mut Case>,
        now: Ms,
    ) -> Option<Ms> {
        let heard_at = if occasion == Occasion::Match { event.received } else { now };
        let knows =
            |to: &str| occasion != Occasion::Close || case.as_ref().is_none_or(|case| !is_unheard(spec, case, to));
        let ends = |to: &str| occasion == Occasion::Close && case.as_ref().is_some_and(|case| was_notified(case, to));
        let audible = |to: &&str| (ends(to) || !self.is_muted(spec.line, to, heard_at)) && knows(to);
        let to: Vec<&str> = action.to.iter().copied().filter(audible).collect();
        if to.is_empty() {
            return None;
        }
        let mut told = None::<Ms>;
        let reminded =
            case.as_ref().filter(|_| occasion == Occasion::Reminder).map(|case| (case.key.clone(), case.nth));
        // What a throttle held back tells nobody now.
        let suppressed = self.admit(spec, action, event, &to, (now, &reminded))?;
        for to in to {
            if let Some(digest) = action.digest {
                let of = reminded.clone();
                let due =
                    self.collect(spec, action, event, to, (false, now + digest.every, digest.limit), (suppressed, of));
                told = told.into_iter().chain([due]).min();
                continue;
            }
            let said = Said {
                line: spec.line.into(),
                action: action.name.into(),
                to: to.into(),
                how: How::Message,
                events: BTreeSet::from([event.seq]),
                more: 0,
                suppressed,
                count: case.as_ref().map_or(0, |case| case.count),
            };
            let goes = self.deliver(action.hours, said, occasion, case.as_deref_mut(), now);
            told = told.into_iter().chain(goes).min();
        }
        told
    }

    /// How many were held back before this one, if it may go.
    fn admit(
        &mut self,
        spec: &Spec,
        action: &Action,
        event: &Event,
        to: &[&str],
        (now, of): (Ms, &Option<(String, i64)>),
    ) -> Option<u64> {
        let Some(throttle) = action.throttle else { return Some(0) };
        let at = (spec.line.to_owned(), action.name.to_owned(), event.key.clone());
        let fresh = Window { look: now + throttle.every, ..Window::default() };
        let window = self.windows.entry(at).or_insert(fresh);
        window.every = throttle.every;
        window.acted.retain(|acted| acted + throttle.every > now);
        if window.acted.len() < throttle.max {
            window.let_through(now);
            return Some(std::mem::take(&mut window.held_back));
        }
        if throttle.rest_digest {
            let frees = window.acted[window.acted.len() - throttle.max] + throttle.every;
            let limit = action.digest.map_or(50, |digest| digest.limit);
            for to in to {
                self.collect(spec, action, event, to, (true, frees, limit), (0, of.clone()));
            }
        } else {
            window.held_back += 1;
        }
        None
    }

    pub(super) fn deliver(
        &mut self,
        hours: Option<Hours>,
        said: Said,
        occasion: Occasion,
        case: Option<&mut Case>,
        now: Ms,
    ) -> Option<Ms> {
        let ends = occasion == Occasion::Close && case.as_ref().is_some_and(|case| was_notified(case, &said.to));
        match hours.filter(|_| !ends).and_then(|hours| Some((hours, hours.closed_until(now)?))) {
            None => {
                self.say(said, occasion, case);
                Some(now)
            }
            Some((hours, _)) if hours.drop => None,
            Some((_, opens)) => {
                let case = case.filter(|_| occasion != Occasion::Close).map(|case| (case.key.clone(), case.nth));
                self.hold(Held { said, case, reminder: occasion == Occasion::Reminder }, opens);
                Some(opens)
            }
        }
    }

    pub(super) fn say(&mut self, said: Said, occasion: Occasion, case: Option<&mut Case>) {
        let mut lane = None;
        if let Some(case) = case.filter(|case| occasion != Occasion::Close || case.shown.contains_key(&said.to)) {
            let of = (said.line.clone(), case.key.clone(), case.nth);
            if occasion == Occasion::Reminder && case.shown.contains_key(&said.to) {
                // A newer reminder takes the place of one that was not sent.
                self.call_off(&of, Some((&said.action, Some(&said.to))));
            }
            let event = said.events.first().copied().unwrap_or_default();
            case.shown.entry(said.to.clone()).or_insert((said.action.clone(), event));
            lane = Some(of);
        }
        self.said.push((lane, said));
    }
}
