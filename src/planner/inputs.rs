//! The input of planning: the batch, judged, and the configuration as plain data.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::event::{Command, Entry, Event, Item, MISSING, Opening, Report, Seq, Signal};
use crate::planner::links::Linking;
use crate::planner::loaded::DueTimer;
use crate::planner::timer::Meaning;
use crate::planner::why::Decision;
use crate::rules::{AtDate, HoursChoice, Judgement, Matches, Reach, Rule, RuleSet};

/// All that [`super::plan()`] goes by, except for what is kept.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The present moment.
    pub now: Timestamp,
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// The destinations in force.
    pub destinations: &'a Destinations,
    /// The entries, in inbox order.
    pub entries: Vec<Entered<'a>>,
    /// The timers that have come due, by due time and id.
    pub timers: Vec<Fired<'a>>,
}

/// What the planner needs to know of the configuration.
#[derive(Debug, Clone)]
pub struct Destinations {
    /// The destinations, by name. What is not here is not configured.
    pub named: BTreeMap<String, DestinationFacts>,
    /// The messages of the templates folder that say themselves, literally, that they are critical.
    pub critical: BTreeSet<String>,
    /// Whether nothing at all is sent: `serve --shadow`.
    pub shadow: bool,
    /// The zone in which people see times.
    pub zone: TimeZone,
    /// What links are made of, where messages carry any.
    pub links: Option<Linking>,
}

impl Default for Destinations {
    fn default() -> Self {
        Self { named: BTreeMap::new(), critical: BTreeSet::new(), shadow: false, zone: TimeZone::UTC, links: None }
    }
}

/// What the planner needs to know of one destination.
#[derive(Debug, Clone, Default)]
pub struct DestinationFacts {
    /// When it may be spoken to, unless an action or rule says otherwise.
    pub hours: Option<HoursChoice>,
    /// Whether its channel changes what it sent when a case closes.
    pub closes: bool,
    /// Whether its channel changes what it sent also before that.
    pub edits: bool,
    /// Whether what waited for its hours goes message by message, never as a summary.
    pub goes_alone: bool,
    /// Whether its messages carry links without being asked for by an action.
    pub shows_links: bool,
    /// Whether its service tells what people do there to what was raised.
    pub reports: bool,
    /// How it is addressed, where a map gives its addresses.
    pub reach: Option<Reach>,
    /// The date in an event before which nothing about it may go there.
    pub embargo: Option<AtDate>,
    /// Where a message goes that could not be delivered.
    pub fallback: Vec<String>,
    /// So long after a message became due it goes there if it was not delivered by then; `None`: only once its delivery is
    /// dead.
    pub fallback_after: Option<SignedDuration>,
}

/// An event with what every rule makes of it.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Its position in the inbox.
    pub seq: Seq,
    /// The event.
    pub event: &'a Event,
    /// The judgements of the rules that take part and whose globs accept it, except for those that just miss.
    pub judgements: Vec<Judgement<'a>>,
    /// The rules that just miss: nothing comes of that, and [`super::misses`] says why when somebody asks.
    pub missed: Vec<&'a Rule>,
    /// The steps that those took.
    pub steps: u64,
    /// Whether any rule at all names its type, or it is a report.
    pub named: bool,
    /// What it says that became of something that Fanfare raised, and the opening that this means, if that is known.
    pub report: Option<(Report, Option<Opening>)>,
}

impl<'a> Judged<'a> {
    /// Judges an event by the rules in force. The event that opens a `missing` case is put before its rule alone.
    pub fn new(rules: &'a RuleSet, seq: Seq, event: &'a Event) -> Self {
        Self::alone(rules, seq, event).unwrap_or_else(|| {
            let Matches { judgements, missed, steps } = rules.matches(event);
            let named = !judgements.is_empty() || !missed.is_empty() || names_any(rules, event);
            Self { seq, event, judgements, missed, steps, named, report: None }
        })
    }

    /// The same with the reasons of all rules, also of those that miss.
    pub(crate) fn whole(rules: &'a RuleSet, seq: Seq, event: &'a Event) -> Self {
        Self::alone(rules, seq, event).unwrap_or_else(|| {
            let judgements = rules.judge(event);
            let named = !judgements.is_empty() || names_any(rules, event);
            Self { seq, event, judgements, missed: Vec::new(), steps: 0, named, report: None }
        })
    }

    fn alone(rules: &'a RuleSet, seq: Seq, event: &'a Event) -> Option<Self> {
        if !event.is_own() || &*event.kind != MISSING {
            return None;
        }
        let rule = event.data().get("rule").and_then(Value::as_str).and_then(|name| rules.named(name));
        let judgements = rule.filter(|rule| rule.enabled).map(|rule| rules.judge_rule(rule, event));
        let judgements = judgements.into_iter().collect();
        Some(Self { seq, event, judgements, missed: Vec::new(), steps: 0, named: true, report: None })
    }
}

/// One position of the inbox, ready to be planned.
#[derive(Debug)]
pub struct Entered<'a> {
    /// Its position.
    pub seq: Seq,
    /// What stands there.
    pub what: What<'a>,
}

/// What stands at one position of the inbox, with what is needed to plan it.
#[derive(Debug)]
pub enum What<'a> {
    /// An event.
    Event(Judged<'a>),
    /// What a person asked for, except for a replay.
    Command(&'a Command),
    /// An event to be planned again.
    Replay {
        /// The number of the replay, 0 to make only what isn't there.
        again: u64,
        /// Only this rule.
        rule: Option<&'a str>,
        /// The event, unless retention took it.
        event: Option<Judged<'a>>,
        /// What came of it so far, as far as it is kept.
        before: Vec<Decision>,
    },
    /// Something that Fanfare noticed.
    Signal(&'a Signal),
    /// An entry that could not be planned: it is recorded and told, and nothing else comes of it.
    Parked {
        /// Whether it is an own event: then nothing is reported.
        own: bool,
        /// What happened.
        reason: String,
    },
}

impl<'a> Entered<'a> {
    /// Judges what stands at a position. `replayed` is the event that a [`Command::Replay`] names, if it is still there.
    pub fn new(rules: &'a RuleSet, entry: &'a Entry, replayed: Option<(Seq, &'a Event)>) -> Self {
        let what = match &entry.item {
            Item::Event(event) => What::Event(Judged::new(rules, entry.seq, event)),
            Item::Command(Command::Replay { again, rule, .. }) => What::Replay {
                again: *again,
                rule: rule.as_deref(),
                event: replayed.map(|(seq, event)| Judged::whole(rules, seq, event)),
                before: Vec::new(),
            },
            Item::Command(command) => What::Command(command),
            Item::Signal(signal) => What::Signal(signal),
        };
        Self { seq: entry.seq, what }
    }

    /// The same, with what came so far of an event that is planned again.
    #[must_use]
    pub fn knowing(mut self, rows: Vec<Decision>) -> Self {
        if let What::Replay { before, .. } = &mut self.what {
            *before = rows;
        }
        self
    }

    /// The same, with what an event reports of which opening. What is planned again reports nothing.
    #[must_use]
    pub fn reporting(mut self, report: Option<(Report, Option<Opening>)>) -> Self {
        if let (What::Event(judged), Some(report)) = (&mut self.what, report) {
            judged.named = true;
            judged.report = Some(report);
        }
        self
    }

    /// An entry that judging or planning could not cope with, so that the ones after it go on.
    pub fn parked(entry: &Entry, reason: impl Into<String>) -> Self {
        let own = match &entry.item {
            Item::Event(event) => event.is_echo(),
            Item::Signal(signal) => signal.from_own,
            Item::Command(_) => false,
        };
        Self { seq: entry.seq, what: What::Parked { own, reason: reason.into() } }
    }
}

/// A timer that has come due, with what is needed to plan it.
#[derive(Debug)]
pub struct Fired<'a> {
    /// The timer.
    pub due: &'a DueTimer,
    /// What it means; `None` if its text can't be read.
    pub(crate) meaning: Option<Meaning>,
    /// The event that it carries, with what its rule makes of it.
    pub(crate) carried: Option<Carried<'a>>,
    /// Why it could not be planned, where that was tried: then it is dropped, recorded and told.
    pub(crate) parked: Option<String>,
}

/// The event that a timer carries.
#[derive(Debug)]
pub(crate) struct Carried<'a> {
    pub seq: Seq,
    pub event: &'a Event,
    /// What the timer's rule makes of it, if that rule is in force.
    pub judgement: Option<Judgement<'a>>,
}

impl<'a> Fired<'a> {
    /// Judges what a timer carries. `event` is the one that [`super::Timer::event`] names, if it is still there.
    pub fn new(rules: &'a RuleSet, due: &'a DueTimer, event: Option<&'a Event>) -> Self {
        let meaning = Meaning::parse(&due.timer.text);
        let rule = meaning.as_ref().and_then(Meaning::rule).and_then(|name| rules.named(name));
        let carried = due.timer.event.zip(event).map(|(seq, event)| Carried {
            seq,
            event,
            judgement: rule.map(|rule| rules.judge_rule(rule, event)),
        });
        Self { due, meaning, carried, parked: None }
    }

    /// A timer that judging or planning could not cope with.
    pub fn parked(due: &'a DueTimer, reason: impl Into<String>) -> Self {
        Self { due, meaning: Meaning::parse(&due.timer.text), carried: None, parked: Some(reason.into()) }
    }
}

/// Whether any rule that takes no part names an event's type.
fn names_any(rules: &RuleSet, event: &Event) -> bool {
    rules.rules.iter().any(|rule| !rule.enabled && names_type(rule, event))
}

/// Whether a rule that takes no part names an event's type.
fn names_type(rule: &Rule, event: &Event) -> bool {
    let closers = rule.closed_by.iter().map(|closer| &closer.events);
    let missing = rule.missing.iter().map(|missing| &missing.events);
    let mut globs = std::iter::once(&rule.events).chain(closers).chain(missing);
    globs.any(|globs| globs.accept(&event.kind, event.is_own()))
}
