//! What rules mean: a naive reading of docs/RULES.md, written apart from the planner, for a person to hold against the page.
//!
//! It keeps everything that happened (who matched, what was asked for, what became of it) and answers each question by
//! looking through all of it again. A file for each part of the page; every function quotes the sentence that it stands
//! for. It uses the parsed rules and their judgement of an event; of the planner it knows nothing but what a plan says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fanfare::delivery::MessageOp;
use fanfare::event::{Command, Entry, Event, Item, MISSING, Mute, Seq, UpcomingOp};
use fanfare::rules::{Hours, Rule, RuleSet};

use self::cases::{Case, Close};
use self::floods::Flooding;
use self::messages::{Fate, Message};
use self::missing::Wait;
use self::sums::Summed;
use self::threshold::Counted;
use super::{Ms, ms};

mod addresses;
mod cards;
mod cases;
mod floods;
mod messages;
mod missing;
mod moments;
mod mutes;
mod parts;
mod reminders;
mod sums;
mod threshold;
mod upcoming;

/// What a delivery says, as far as rules decide it.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The rule, whatever it is called at the moment.
    pub line: String,
    pub action: String,
    pub to: String,
    pub act: MessageOp,
    /// Whether it is one summary of several held messages.
    pub summary: bool,
    /// Oldest first.
    pub events: Vec<Seq>,
    pub more: u64,
    pub suppressed: u64,
    pub sum: Option<String>,
    /// The address that a map gave.
    pub address: Option<String>,
    /// Whether it is critical, whatever its message says.
    pub critical: bool,
    /// How many matches its case has had, and whether that is closed.
    pub case: Option<(String, Ms, u64, Ms, bool)>,
    /// Whether the deadline of its message has passed.
    pub overdue: bool,
}

/// What a plan must make.
#[derive(Debug, Default)]
pub struct Expected {
    pub said: Vec<Said>,
    /// The rules that missed something, each with the moment since when.
    pub missed: Vec<(String, Ms)>,
}

/// Something that comes due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Ending(usize),
    Reach(usize),
    Reminder(usize, String),
    /// One that a person sends now, under rules that have not reached its case: unless a match brings them, it waits.
    Hurried(usize, String),
    Forgotten(usize),
    Digest(usize),
    /// What waits at a destination for an opening. After what is due as the window opens: a reminder takes the place of one
    /// that waits.
    Opening(String, Ms),
    Missing(String),
    Came(usize),
    Flooded(String),
    /// What a person asked for of what waits at a destination for an opening: last, so that what joins it goes with it.
    Asked(String, Ms),
}

/// Everything that has happened.
#[derive(Default, Clone)]
pub struct Reference {
    /// The destinations that can change what they showed.
    pub updating: BTreeSet<String>,
    /// Those of them that can change it before the close.
    pub editing: BTreeSet<String>,
    /// The destinations whose address a map gives, and that map.
    pub mapped: BTreeMap<String, String>,
    /// The destinations that hear nothing about an event before the date in it.
    pub embargoed: BTreeSet<String>,
    /// The hours of destinations.
    pub asleep: BTreeMap<String, Arc<Hours>>,
    /// How long after its moment something acted in the last plan, at most, and what.
    pub latest: (Ms, String),
    /// What has borne each name: the rule's line.
    lines: BTreeMap<String, String>,
    events: BTreeMap<Seq, Arc<Event>>,
    cases: Vec<Case>,
    closes: Vec<Close>,
    messages: Vec<Message>,
    asks: u64,
    sent: usize,
    mutes: Vec<Mute>,
    /// What a person asked for of the messages that wait at a destination for an opening, and when.
    asked: BTreeMap<(String, Ms), (Ms, UpcomingOp)>,
    waits: BTreeMap<String, Wait>,
    counted: Vec<Counted>,
    summed: Vec<Summed>,
    floods: Vec<Flooding>,
}

/// A moment of planning: the rules in force, and what they make.
struct Now<'r> {
    rules: &'r RuleSet,
    ms: Ms,
    /// The entry that is read.
    reading: Option<Seq>,
    /// What it says, each with its message if it is one.
    said: Vec<(Option<usize>, Said)>,
    missed: Vec<(String, Ms)>,
    /// What was read.
    read: BTreeSet<Seq>,
}

impl<'r> Now<'r> {
    fn new(rules: &'r RuleSet, ms: Ms) -> Self {
        Self { rules, ms, reading: None, said: Vec::new(), missed: Vec::new(), read: BTreeSet::new() }
    }
}

impl Reference {
    /// Beside a planner that will have these rules, one after another.
    pub fn new<'r>(versions: impl IntoIterator<Item = &'r RuleSet>) -> Self {
        let mut reference = Self::default();
        for rule in versions.into_iter().flat_map(|rules| &rules.rules) {
            let names: Vec<&String> = rule.formerly.iter().chain([&rule.name.value]).collect();
            let known = names.iter().find_map(|name| reference.lines.get(*name));
            let line = known.unwrap_or(&rule.name.value).clone();
            reference.lines.extend(names.into_iter().map(|name| (name.clone(), line.clone())));
        }
        reference
    }

    /// "A rule's state belongs to its name … Give the old name in `formerly`".
    pub fn line(&self, rule: &str) -> String {
        self.lines.get(rule).map_or(rule, String::as_str).to_owned()
    }

    /// The rule of a line, as it is in force, if it is enabled.
    fn rule<'r>(&self, rules: &'r RuleSet, line: &str) -> Option<&'r Rule> {
        rules.rules.iter().find(|rule| rule.enabled && self.line(&rule.name.value) == line)
    }

    /// A plan: these entries in their order, and then what had come due by `by` when they were read.
    pub fn plan(&mut self, rules: &RuleSet, now: Ms, entries: &[&Entry], by: Ms) -> Expected {
        let due = self.due(&Now::new(rules, now), by);
        let expected = self.plan_these(rules, now, entries, (due, by));
        // "When a mute ends", it has ended: a clock that is set back begins nothing again.
        self.mutes.retain(|mute| ms(mute.until) > by.min(now));
        self.forget_closes(by.min(now));
        self.messages.iter_mut().for_each(|message| message.seen(by.min(now)));
        self.counted.iter_mut().for_each(|counted| counted.seen(by.min(now)));
        self.floods.iter_mut().for_each(|flood| flood.seen(by.min(now)));
        self.forget_asked(by.min(now));
        expected
    }

    /// How many things have come due by `by`.
    pub fn count_due(&self, rules: &RuleSet, now: Ms, by: Ms) -> usize {
        self.due(&Now::new(rules, now), by).len()
    }

    fn plan_these(
        &mut self,
        rules: &RuleSet,
        now: Ms,
        entries: &[&Entry],
        (due, by): (Vec<(Ms, Due)>, Ms),
    ) -> Expected {
        let mut now = Now::new(rules, now);
        for entry in entries {
            now.reading = Some(entry.seq);
            now.read.insert(entry.seq);
            self.enter(&mut now, entry);
        }
        now.reading = None;
        due.into_iter().for_each(|(at, due)| self.act(&mut now, at, due, by));
        Expected { said: now.said.into_iter().map(|(_, said)| said).collect(), missed: now.missed }
    }

    fn enter(&mut self, now: &mut Now<'_>, entry: &Entry) {
        match &entry.item {
            Item::Event(event) => {
                self.events.insert(entry.seq, Arc::new((**event).clone()));
                if &*event.kind == MISSING {
                    self.nothing_came(now, entry.seq, event);
                } else {
                    self.happened(now, entry.seq, event);
                }
            }
            Item::Command(Command::CloseCase { rule, key, .. }) => self.close_by_hand(now, &self.line(rule), key),
            Item::Command(Command::AckCase { rule, key, .. }) => self.acknowledge(now, &self.line(rule), key),
            Item::Command(Command::Mute(mute)) => self.mute(mute),
            Item::Command(Command::Unmute { id, .. }) => self.unmute(id),
            Item::Command(Command::Upcoming { timer, due, does, .. }) => self.upcoming(now, timer, (ms(*due), *does)),
            Item::Command(Command::ByLink { of, does, .. }) => self.by_link(now, of, *does),
            Item::Command(Command::Flood { rule, drop, .. }) => self.decide(now, rule, *drop),
            Item::Command(
                Command::Replay { .. }
                | Command::Audit(_)
                | Command::RotateLinks { .. }
                | Command::Backfill(_)
                | Command::Backfilling(_),
            )
            | Item::Signal(_) => {}
        }
    }

    /// An event happened: "every rule that matches acts". One that closes and opens does both, in that order.
    fn happened(&mut self, now: &mut Now<'_>, seq: Seq, event: &Event) {
        for judgement in now.rules.judge(event) {
            if judgement.arrived {
                self.came_at_last(now, seq, event, judgement.rule);
            }
            if let Some(Ok(key)) = &judgement.closes {
                self.close_by_event(now, seq, event, &judgement, key);
            }
            self.matched(now, seq, event, &judgement);
        }
    }

    /// What comes due, still, if entries have not put an end to it.
    fn act(&mut self, now: &mut Now<'_>, at: Ms, due: Due, by: Ms) {
        let due = self.asked_instead(due);
        let is_read = |case: usize| self.cases[case].matches.iter().any(|one| now.read.contains(&one.seq));
        let due = match due {
            // It is like any other, now that the match has brought the rules.
            Due::Hurried(case, action) if is_read(case) => Due::Reminder(case, action),
            Due::Hurried(..) => return,
            due => due,
        };
        if !self.due(now, by).contains(&(at, due.clone())) {
            return;
        }
        let set_at = match due {
            Due::Forgotten(case) | Due::Reminder(case, _) | Due::Hurried(case, _) => self.cases[case].set_at,
            _ => at,
        };
        // Where new rules change nothing about a case, nobody sees when they reach it.
        if now.ms - at.max(set_at) > self.latest.0 && !matches!(due, Due::Reach(_)) {
            self.latest = (now.ms - at.max(set_at), format!("{due:?}"));
        }
        match due {
            Due::Reach(case) => self.reached(now, case),
            Due::Ending(case) => self.end(now, case),
            Due::Forgotten(case) => self.forget(now, case),
            Due::Reminder(case, action) if self.speaks_of_what_was_read(now, case, &action) => {}
            Due::Reminder(case, action) | Due::Hurried(case, action) => self.remind(now, case, &action),
            Due::Digest(first) => self.send_digest(now, first),
            Due::Opening(to, until) | Due::Asked(to, until) => self.send_held(now, &to, until),
            Due::Missing(line) => self.miss(now, line),
            Due::Came(case) => self.close_what_came(now, case),
            Due::Flooded(line) => self.end_flood(now, &line),
        }
    }

    /// How many documents of each kind there must be in the end.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let groups = |fates: &dyn Fn(&Message) -> bool| self.messages.iter().filter(|one| fates(one)).count();
        vec![
            ("case", self.cases.iter().filter(|case| !case.closed).count()),
            ("flood", 0),
            ("digest", groups(&|message| matches!(message.fate, Fate::Collected { .. }))),
            ("hold", groups(&|message| matches!(message.fate, Fate::Held { .. }))),
            ("missing", self.count_waits()),
            ("mute", 0),
            ("threshold", 0),
            ("throttle", 0),
        ]
    }

    /// What has come due by `by` and not after now, in the order of its moments.
    fn due(&self, now: &Now<'_>, by: Ms) -> Vec<(Ms, Due)> {
        let mut all = self.ending();
        all.extend(self.reaching());
        all.extend(self.forgotten(now));
        all.extend(self.reminders(now));
        all.extend(self.digests());
        all.extend(self.openings());
        all.extend(self.asked());
        all.extend(self.missing(now));
        all.extend(self.coming());
        all.extend(self.flooded());
        all.retain(|(at, _)| *at <= by.min(now.ms));
        all.sort();
        all
    }
}

/// When an entry came, where that is known.
pub fn came(item: &Item) -> Option<Ms> {
    match item {
        Item::Event(event) => Some(ms(event.received)),
        Item::Signal(signal) => Some(ms(signal.at)),
        Item::Command(_) => None,
    }
}
