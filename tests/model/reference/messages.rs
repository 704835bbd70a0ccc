//! `docs/RULES.md`, from throttle to mutes: what stands between a rule and a message. "**The order** of these checks, for each
//! message: `when`, case, mute, throttle, digest, hours, flood."

use std::collections::{BTreeMap, BTreeSet};

use fanfare::clock::from_ms;
use fanfare::delivery::MessageOp;
use fanfare::event::{Seq, UpcomingOp};
use fanfare::rules::{Action, ActionJudgement, DigestTime, HoursChoice};

use super::super::{DAY, Ms, ms};
use super::cards::card_of;
use super::cases::{Facts, span_ms};
use super::moments::{next_of, within};
use super::{Due, Now, Reference, Said};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way.
    Sent,
    /// It was called off before it was sent.
    CalledOff,
    Muted,
    /// A throttle held it back.
    Throttled,
    /// It waits for its digest.
    Collected {
        until: Ms,
        rest: bool,
    },
    /// It waits for hours, and is looked at again at a time.
    Held {
        until: Ms,
        due: Ms,
    },
    /// Its rule floods: it waits for a person.
    Braked,
    /// Hours dropped it, or it waited and its case closed.
    Dropped,
    /// Its digest went.
    Gone,
    /// It was reported in a summary.
    Summed,
}

/// A message that a rule asked for.
#[derive(Debug, Clone)]
pub struct Message {
    pub(super) line: String,
    pub(super) action: String,
    pub(super) to: String,
    /// What was asked for at once, with one count of its throttle.
    ask: u64,
    pub(super) case: Option<usize>,
    /// The case as it stood.
    facts: Option<Facts>,
    reminder: bool,
    /// When it was asked for.
    at: Ms,
    /// Whether its throttle has forgotten it: a clock that was set back by more than the window makes nobody wait for it.
    forgotten: bool,
    /// The latest that a clock has shown since, when all was planned that had come due.
    seen: Ms,
    events: Vec<Seq>,
    more: u64,
    suppressed: u64,
    sum: Option<String>,
    pub(super) address: Option<String>,
    pub(super) throttle: String,
    pub(super) digest: String,
    /// Whether its throttle let it through.
    passed: bool,
    /// Whether it is the digest of what its throttle held back.
    rest: bool,
    /// Whether a file goes with it.
    file: bool,
    /// Whether later matches change it.
    card: bool,
    /// Whether the deadline of such a message has passed.
    overdue: bool,
    /// The event that it is about.
    about: Seq,
    pub(super) fate: Fate,
    /// Which of all that were sent it was.
    pub(super) sent: usize,
}

/// What a rule asks for.
pub struct Asked<'j> {
    pub line: String,
    pub one: &'j ActionJudgement<'j>,
    pub event: Seq,
    pub case: Option<usize>,
    pub reminder: bool,
    /// What a threshold counted together with it, oldest first.
    pub counted: Vec<Seq>,
    /// The sum with it, if its rule has one.
    pub sum: Option<String>,
}

/// What a throttle says.
#[derive(Debug, Clone, Copy)]
pub enum Passes {
    Yes { suppressed: u64 },
    Later { until: Ms },
    No,
}

impl Message {
    /// A clock shows this.
    pub(super) fn seen(&mut self, now: Ms) {
        self.seen = self.seen.max(now);
    }

    fn is_of(&self, other: &Message) -> bool {
        (&self.line, card_of(&self.action), &self.to) == (&other.line, card_of(&other.action), &other.to)
    }
}

impl Reference {
    /// An action speaks to each of its destinations. A throttle counts that once, wherever it goes.
    pub(super) fn say(&mut self, now: &mut Now<'_>, asked: &Asked<'_>) {
        self.asks += 1;
        let like = self.message(now, asked, "");
        self.forget_what_is_to_come(now, asked.one.action, &like);
        let passes = self.passes(now, asked);
        for to in &asked.one.action.to {
            if self.change(now, asked, &to.value) {
                continue;
            }
            self.say_to(now, asked, &to.value, passes);
        }
    }

    /// What lies ahead by more than the window was counted by a clock that has been set back since.
    fn forget_what_is_to_come(&mut self, now: &Now<'_>, action: &Action, like: &Message) {
        let Some(throttle) = &action.throttle else { return };
        for other in &mut self.messages {
            let is_alike = (&other.line, &other.action, &other.throttle) == (&like.line, &like.action, &like.throttle);
            other.forgotten |= is_alike && other.at > now.ms + span_ms(throttle.every);
        }
    }

    pub(super) fn say_to(&mut self, now: &mut Now<'_>, asked: &Asked<'_>, to: &str, passes: Passes) {
        let action = asked.one.action;
        let mut message = self.message(now, asked, to);
        // What is read late was due when it came; what comes due by itself, and what a close says, now.
        let closes = asked.case.is_some_and(|case| self.cases[case].closed);
        let is_read = !asked.reminder && !closes && now.reading == Some(asked.event);
        let received = if is_read { ms(self.events[&asked.event].received) } else { now.ms };
        let muted = [received, now.ms].into_iter().any(|at| self.is_muted(&message.line, to, at));
        if !muted {
            message.address = self.address(now, asked.case, asked.event, to);
            let kept = message.address.iter().map(|address| (to.to_owned(), address.clone()));
            asked.case.into_iter().for_each(|case| self.cases[case].addresses.extend(kept.clone()));
        }
        message.fate = if muted {
            Fate::Muted
        } else {
            match passes {
                Passes::Yes { suppressed } => {
                    (message.passed, message.suppressed) = (true, suppressed);
                    let withheld = || self.withhold(now, asked.event, to).or_else(|| self.hold(now, action, to));
                    let fate = self.collect(action, &message).or_else(withheld);
                    // "Closes, updates, replays and fallbacks pass."
                    let spec = self.rule(now.rules, &message.line).and_then(|rule| rule.flood);
                    fate.unwrap_or_else(|| self.brake(now, &message.line, spec.as_ref().filter(|_| !closes)))
                }
                Passes::Later { until } => {
                    // What waits there already keeps its time, also where a person sent what waited elsewhere.
                    let is_there = |other: &&Message| other.is_of(&message) && other.throttle == message.throttle;
                    let collecting = self.messages.iter().filter(is_there).find_map(|other| match other.fate {
                        Fate::Collected { until, rest: true } => Some(until),
                        _ => None,
                    });
                    Fate::Collected { until: collecting.unwrap_or(until), rest: true }
                }
                Passes::No => Fate::Throttled,
            }
        };
        // "A message that waits for its hours is replaced as well."
        if (asked.reminder || message.card) && matches!(message.fate, Fate::Sent | Fate::Held { .. }) {
            self.replace(now, &message);
        }
        self.send(now, message);
        let last = self.messages.len() - 1;
        if let Fate::Held { until, .. } = self.messages[last].fate {
            self.wait(last, until);
        }
    }

    pub(super) fn message(&self, now: &Now<'_>, asked: &Asked<'_>, to: &str) -> Message {
        let key = |key: &Option<Result<String, String>>| key.clone().and_then(Result::ok).unwrap_or_default();
        let card = asked.one.action.update;
        let (events, more) = match asked.case.filter(|_| card) {
            Some(case) => self.matches(case),
            None if asked.counted.is_empty() => (vec![asked.event], 0),
            None => (asked.counted.clone(), 0),
        };
        Message {
            line: asked.line.clone(),
            action: asked.one.action.id.clone(),
            to: to.to_owned(),
            ask: self.asks,
            case: asked.case,
            facts: asked.case.map(|case| self.cases[case].facts()),
            // What an acknowledgement stops: of a deadline, the case is still open.
            reminder: asked.reminder && !card,
            at: now.ms,
            forgotten: false,
            seen: now.ms,
            events,
            more,
            suppressed: 0,
            sum: asked.sum.clone(),
            address: None,
            throttle: key(&asked.one.throttle),
            digest: key(&asked.one.digest),
            passed: false,
            rest: false,
            file: false,
            card,
            overdue: asked.case.is_some_and(|case| self.is_overdue(now, case, asked.one.action)),
            about: asked.event,
            fate: Fate::Sent,
            sent: 0,
        }
    }

    /// A message goes out, if nothing stood in its way.
    fn send(&mut self, now: &mut Now<'_>, mut message: Message) {
        if message.fate == Fate::Sent {
            self.sent += 1;
            message.sent = self.sent;
            let act = self.joins(&message);
            now.said.push((Some(self.messages.len()), self.said(&message, act)));
        }
        self.messages.push(message);
    }

    /// What it does where it goes: "Later matches belong to it and appear in the same place".
    fn joins(&mut self, message: &Message) -> MessageOp {
        let again = message.case.is_some_and(|case| self.told(case).contains_key(&message.to));
        if let Some(case) = message.case.filter(|_| message.card) {
            self.cases[case].cards.entry(message.to.clone()).or_insert(!again);
        }
        if again { MessageOp::Again } else { MessageOp::Open }
    }

    pub(super) fn said(&self, message: &Message, act: MessageOp) -> Said {
        Said {
            line: message.line.clone(),
            action: message.action.clone(),
            to: message.to.clone(),
            act,
            summary: false,
            events: message.events.clone(),
            more: message.more,
            suppressed: message.suppressed,
            sum: message.sum.clone(),
            address: message.address.clone(),
            critical: message.overdue,
            case: message.case.and(message.facts.clone()),
            overdue: message.overdue,
        }
    }

    /// Where a case was reported, and by which action of which event first.
    pub(super) fn told(&self, case: usize) -> BTreeMap<String, (String, Seq)> {
        let is_sent = |message: &&Message| matches!(message.fate, Fate::Sent | Fate::CalledOff);
        let sent = self.messages.iter().filter(|message| message.case == Some(case)).filter(is_sent);
        let mut sent: Vec<&Message> = sent.collect();
        sent.sort_by_key(|message| message.sent);
        let sent = sent.into_iter().rev();
        let said = sent.map(|message| (message.to.clone(), (message.action.clone(), message.about)));
        said.chain(self.cases[case].fell.clone()).collect()
    }

    /// A newer reminder takes the place of an unsent one: "A waiting reminder is replaced by a newer one of its action".
    fn replace(&mut self, now: &mut Now<'_>, newer: &Message) {
        let messages = &mut self.messages;
        let alike = |older: &Message| older.case == newer.case && older.is_of(newer);
        now.said.retain(|(at, _)| {
            let older = at.map(|at| &mut messages[at]).filter(|older| alike(older));
            older.map(|older| older.fate = Fate::CalledOff).is_none()
        });
        let held = messages.iter_mut().filter(|older| alike(older) && matches!(older.fate, Fate::Held { .. }));
        held.for_each(|older| older.fate = Fate::Dropped);
    }

    /// Calls off what this very plan was about to say: nothing of it has been sent yet.
    pub(super) fn call_off(&mut self, now: &mut Now<'_>, case: usize, means: impl Fn(&str) -> bool) {
        let messages = &mut self.messages;
        now.said.retain(|(message, _)| {
            let message = message.map(|at| &mut messages[at]);
            let message = message.filter(|message| message.case == Some(case) && means(&message.action));
            message.map(|message| message.fate = Fate::CalledOff).is_none()
        });
    }

    /// "This sends at most three messages an hour for each release. `max` defaults to 1. The window slides. Fanfare drops the
    /// excess, and the next message can print the number … With `rest: digest`, the excess comes as one message at the end of
    /// the window. A match counts once, for all its destinations."
    fn passes(&self, now: &Now<'_>, asked: &Asked<'_>) -> Passes {
        let Some(throttle) = &asked.one.action.throttle else { return Passes::Yes { suppressed: 0 } };
        let every = span_ms(throttle.every);
        let like = self.message(now, asked, "");
        let alike = |other: &&Message| {
            (&other.line, &other.action, &other.throttle) == (&like.line, &like.action, &like.throttle)
        };
        let passed = self.messages.iter().filter(alike).filter(|other| other.passed);
        let asks: BTreeMap<u64, (Ms, Ms, bool)> =
            passed.map(|other| (other.ask, (other.at, other.seen, other.forgotten))).collect();
        let counted = asks.values().filter(|(_, _, forgotten)| !forgotten);
        let within = within(every, counted.map(|(at, seen, _)| (*at, now.ms.max(*seen))));
        if (within.len() as u64) < throttle.max {
            // What was held back is forgotten a week after the last that passed, also by a clock that was ahead for a while.
            let those = self.messages.iter().filter(alike).filter(|other| other.passed);
            let touched = those.map(|other| (other.at, other.seen)).max();
            let read = now.reading.filter(|seq| *seq == asked.event && !asked.reminder);
            let came = read.map_or(now.ms, |seq| ms(self.events[&seq].received));
            if touched.is_none_or(|(at, seen)| came.max(seen) - at >= 7 * DAY) {
                return Passes::Yes { suppressed: 0 };
            }
            let since = asks.keys().max().copied().unwrap_or_default();
            let back = self.messages.iter().filter(alike);
            let back = back.filter(|other| other.ask > since && other.fate == Fate::Throttled);
            return Passes::Yes { suppressed: back.map(|other| other.ask).collect::<BTreeSet<_>>().len() as u64 };
        }
        if !throttle.rest_digest {
            return Passes::No;
        }
        // The window's end: when the next one would pass.
        let last = within.len().saturating_sub(usize::try_from(throttle.max).unwrap());
        let frees = within.get(last).copied().unwrap_or(now.ms) + every;
        Passes::Later { until: frees }
    }

    /// "The first event opens the digest. An hour later one message goes out, for each artist. A digest can also go at a time
    /// of day".
    fn collect(&self, action: &Action, message: &Message) -> Option<Fate> {
        let digest = action.digest.as_ref()?;
        let mut alike = self.messages.iter().filter(|other| other.is_of(message) && other.digest == message.digest);
        let collecting = alike.find_map(|other| match other.fate {
            Fate::Collected { until, rest: false } => Some(until),
            _ => None,
        });
        let until = collecting.unwrap_or_else(|| match &digest.when {
            DigestTime::Every(span) => message.at + span_ms(*span),
            DigestTime::At(times) => next_of(times, message.at),
        });
        Some(Fate::Collected { until, rest: false })
    }

    /// "Set hours on a rule, an action, or a destination … The nearest wins … `always` on an action overrides the others."
    /// "Outside the window, messages wait until it opens … `outside: drop` drops all of them."
    fn hold(&self, now: &Now<'_>, action: &Action, to: &str) -> Option<Fate> {
        let hours = match &action.hours {
            Some(HoursChoice::Always) => None,
            Some(HoursChoice::Within(hours)) => Some(hours),
            None => self.asleep.get(to),
        };
        let until = ms(hours?.closed_until(from_ms(now.ms))?);
        Some(if hours?.drop { Fate::Dropped } else { Fate::Held { until, due: until } })
    }

    /// `docs/CHANNELS.md`, on `embargo`: it holds a message until a date in its event. Then the destination's hours apply.
    fn withhold(&self, now: &Now<'_>, event: Seq, to: &str) -> Option<Fate> {
        let event = self.events.get(&event).filter(|_| self.embargoed.contains(to))?;
        let until = ms(event.data()["date"].as_str()?.parse().ok()?);
        (until > now.ms).then_some(Fate::Held { until, due: until })
    }

    /// Each digest that collects, by its first message.
    pub(super) fn digests(&self) -> Vec<(Ms, Due)> {
        let collected = self.messages.iter().enumerate().filter_map(|(at, message)| match message.fate {
            Fate::Collected { until, .. } => Some((until, Due::Digest(at))),
            _ => None,
        });
        collected.collect()
    }

    /// "`events` holds the events, oldest first. `limit` … keeps the newest, and `more` is the number left out". "A digest leaves
    /// out a reminder whose case has closed or was acknowledged, and `more` doesn't count it."
    pub(super) fn send_digest(&mut self, now: &mut Now<'_>, first: usize) {
        let one = self.messages[first].clone();
        let within = self.in_digest(first);
        let wanted: Vec<usize> = within.iter().copied().filter(|at| self.is_wanted(&self.messages[*at])).collect();
        for at in &within {
            self.messages[*at].fate = Fate::Gone;
        }
        let Some(rule) = self.rule(now.rules, &one.line) else { return };
        let Some(action) = rule.actions.iter().find(|action| action.id == one.action) else { return };
        for share in self.apart(&wanted) {
            self.send_share(now, &one, action, &share);
        }
    }

    /// What waits for the same digest.
    pub(super) fn in_digest(&self, first: usize) -> Vec<usize> {
        let one = &self.messages[first];
        let is_collected = |fate: Fate| matches!(fate, Fate::Collected { .. });
        let is_in = |other: &Message| {
            let same = if one.fate.is_rest() { other.throttle == one.throttle } else { other.digest == one.digest };
            other.is_of(one) && same && is_collected(other.fate) && other.fate.is_rest() == one.fate.is_rest()
        };
        (0..self.messages.len()).filter(|at| is_in(&self.messages[*at])).collect()
    }

    /// What a digest has for one address.
    fn send_share(&mut self, now: &mut Now<'_>, one: &Message, action: &Action, wanted: &[usize]) {
        if one.fate.is_rest() {
            self.forget_what_is_to_come(now, action, one);
        }
        let events: BTreeSet<Seq> = wanted.iter().flat_map(|at| self.messages[*at].events.clone()).collect();
        // "The file has a row for each event, whatever `limit` says".
        let all = action.attach.is_some() && !one.fate.is_rest();
        let limit = if all { usize::MAX } else { action.digest.as_ref().map_or(50, |digest| digest.limit) };
        let more = events.len().saturating_sub(limit);
        let shown: Vec<Seq> = events.into_iter().skip(more).collect();
        let mut together = self
            .messages
            .iter()
            .filter(|other| one.fate.is_rest() && other.rest && other.at == now.ms && other.throttle == one.throttle);
        let together = together.find(|other| (&other.line, &other.action) == (&one.line, &one.action));
        let ask = together.map_or(self.asks + 1, |other| other.ask);
        self.asks = self.asks.max(ask);
        let mut message = Message {
            ask,
            rest: one.fate.is_rest(),
            file: all,
            case: None,
            reminder: false,
            at: now.ms,
            forgotten: false,
            seen: now.ms,
            events: shown,
            more: more as u64,
            suppressed: 0,
            sum: None,
            passed: one.fate.is_rest(),
            fate: Fate::Sent,
            address: self.messages[wanted[0]].address.clone(),
            ..one.clone()
        };
        message.fate = if self.is_muted(&message.line, &message.to, now.ms) {
            Fate::Muted
        } else {
            let spec = self.rule(now.rules, &message.line).and_then(|rule| rule.flood);
            let fate = self.hold(now, action, &message.to);
            fate.unwrap_or_else(|| self.brake(now, &message.line, spec.as_ref()))
        };
        self.send(now, message);
        let last = self.messages.len() - 1;
        if let Fate::Held { until, .. } = self.messages[last].fate {
            self.wait(last, until);
        }
    }

    /// Whether a reminder's case is still open and nobody took it.
    fn is_wanted(&self, message: &Message) -> bool {
        let case = message.case.filter(|_| message.reminder).map(|case| &self.cases[case]);
        case.is_none_or(|case| !case.closed && !case.acknowledged)
    }

    /// When rules are loaded, hours may have changed: all that waits for them is looked at.
    pub(super) fn look_at_held(&mut self, now: Ms) {
        for message in &mut self.messages {
            if let Fate::Held { due, .. } = &mut message.fate {
                *due = now;
            }
        }
    }

    /// Whether a summary announced a case.
    pub(super) fn is_summed(&self, case: usize, to: &str) -> bool {
        self.of_case(case, to).any(|message| message.fate == Fate::Summed)
    }

    /// Whether a case is in a digest.
    pub(super) fn is_collected(&self, case: usize, to: &str) -> bool {
        self.of_case(case, to).any(|message| matches!(message.fate, Fate::Gone | Fate::Collected { .. }))
    }

    pub(super) fn of_case(&self, case: usize, to: &str) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.case == Some(case) && message.to == to)
    }

    /// What waits for hours, all together that waits at a destination for the same opening.
    pub(super) fn openings(&self) -> BTreeSet<(Ms, Due)> {
        let held = self.messages.iter().filter_map(|message| match message.fate {
            Fate::Held { until, .. } if self.asked.contains_key(&(message.to.clone(), until)) => None,
            Fate::Held { until, due } => Some((due, Due::Opening(message.to.clone(), until))),
            _ => None,
        });
        held.collect()
    }

    /// It waits, beside what waits there for the same opening.
    fn wait(&mut self, at: usize, until: Ms) {
        self.messages[at].fate = Fate::Held { until, due: until };
        let to = self.messages[at].to.clone();
        let due = self.asked.get(&(to.clone(), until)).map_or(until, |(asked, _)| *asked);
        self.look_again(&to, until, due);
    }

    /// What waits there for the same opening is looked at then.
    pub(super) fn look_again(&mut self, to: &str, until: Ms, at: Ms) {
        for other in self.messages.iter_mut().filter(|other| other.to == to) {
            if let Fate::Held { until: same, due } = &mut other.fate
                && *same == until
            {
                *due = at;
            }
        }
    }

    /// "One message goes unchanged; several become one summary with their titles and links. PagerDuty gets each message
    /// separately … Fanfare drops messages of a case that has closed since." "A summary belongs to the rule of its last
    /// message."
    pub(super) fn send_held(&mut self, now: &mut Now<'_>, to: &str, opening: Ms) {
        let waits = |message: &Message| {
            message.to == to && matches!(message.fate, Fate::Held { until, .. } if until == opening)
        };
        let there: Vec<usize> = (0..self.messages.len()).filter(|at| waits(&self.messages[*at])).collect();
        if there.is_empty() {
            return;
        }
        let asked = self.asked.remove(&(to.to_owned(), opening)).map(|(_, does)| does);
        self.release(now, to, &there, asked);
    }

    /// These waited at a destination, and go together, each if it still may.
    pub(super) fn release(&mut self, now: &mut Now<'_>, to: &str, there: &[usize], asked: Option<UpcomingOp>) {
        let mut ready = Vec::new();
        for at in there.iter().copied() {
            let message = &self.messages[at];
            if asked == Some(UpcomingOp::Cancel) {
                self.messages[at].fate = Fate::Dropped;
                continue;
            }
            let case = message.case.map(|case| &self.cases[case]);
            let over = case.is_some_and(|case| case.closed || message.reminder && case.acknowledged);
            let rule = self.rule(now.rules, &message.line);
            let action = rule.and_then(|rule| rule.all_actions().find(|action| action.id == message.action));
            let (Some(action), false) = (action, over) else {
                self.messages[at].fate = Fate::Dropped;
                continue;
            };
            let waits = self.withhold(now, message.about, to);
            match waits.or_else(|| self.hold(now, action, to).filter(|_| asked.is_none())) {
                Some(Fate::Held { until, .. }) => self.wait(at, until),
                Some(fate) => self.messages[at].fate = fate,
                // "A message that waits for its hours or its digest is not sent if a mute covers it when it would go."
                None if self.is_muted(&message.line, &message.to, now.ms) => self.messages[at].fate = Fate::Muted,
                None => ready.push(at),
            }
        }
        // "A file never becomes part of a summary".
        let (files, ready): (Vec<usize>, Vec<usize>) = ready.into_iter().partition(|at| self.messages[*at].file);
        self.send_ready(now, &files);
        for share in self.apart(&ready) {
            let alone = self.updating.contains(to) && !self.editing.contains(to);
            match share.len() > 1 && !alone {
                true => self.sum_up(now, &share),
                false => self.send_ready(now, &share),
            }
        }
    }

    fn send_ready(&mut self, now: &mut Now<'_>, ready: &[usize]) {
        for at in ready.iter().copied() {
            let message = self.messages[at].clone();
            let act = self.joins(&message);
            now.said.push((Some(at), self.said(&message, act)));
            self.sent += 1;
            (self.messages[at].fate, self.messages[at].sent) = (Fate::Sent, self.sent);
        }
    }

    fn sum_up(&mut self, now: &mut Now<'_>, parts: &[usize]) {
        let one = self.messages[parts[parts.len() - 1]].clone();
        let suppressed = parts.iter().map(|at| self.messages[*at].suppressed).sum();
        let events: BTreeSet<Seq> = parts.iter().flat_map(|at| self.messages[*at].events.clone()).collect();
        for at in parts {
            self.messages[*at].fate = Fate::Summed;
        }
        let (action, events) = ("summary".into(), events.into_iter().collect());
        let message = Message { action, case: None, events, more: 0, suppressed, sum: None, overdue: false, ..one };
        let mut said = self.said(&message, MessageOp::Open);
        said.summary = true;
        now.said.push((None, said));
    }
}
