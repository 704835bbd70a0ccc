//! What the team wants: rules, the conditions they judge events by, and what they ask for.
//!
//! Pure: text goes in ([`parse()`]), values and problems come out; an event goes in ([`RuleSet::judge`]), judgements with
//! all their reasons come out. Knows nothing of stores, channels or time beyond its input.
//!
//! The grammar, `?` for what may be left out and `…|[…]` for one or a list:
//!
//! ```text
//! file      = {rules: [rule], names?: {WORD: PATH|[PATH]}, lists?: {WORD: [value]}, hours?: {WORD: hours}, mutes?: [mute],
//!              people?: {NAME: person}, maps?: {NAME: {by: on, VALUE: NAME or TEXT, …, else?: NAME or TEXT}}}
//! rule      = {name, events: GLOB|[GLOB] or missing: {events, when?, for: SPAN or each: PERIOD, by: TIME},
//!              source?, when?: condition,
//!              case?: key, closed_by?: closer|[closer], closes_after?: SPAN, on_close?: action|[action],
//!              threshold?: {count, within: SPAN, per?: key}, sum?: {of, window, per?: key, gt? …}, throttle?, digest?, hours?, flood?: {times?, least?}, actions: action|[action],
//!              formerly?, description?, enabled?, shadow?, links?}
//! condition = on | [condition] | {on: test, any: conditions, all: conditions, not: condition}
//! on        = PATH | WORD
//! test      = value | [value] | {OPERATOR: operand, …, ignore_case?}
//! key       = on | [on]
//! closer    = GLOB | {events: GLOB|[GLOB], when?: condition, case?: key}
//! action    = {to: DESTINATION|[DESTINATION], message: NAME or text: TEXT, severity?, with?,
//!              mention?: NAME or {map: NAME}, …, name?,
//!              when?: condition, otherwise?, once?, after?: SPAN|[SPAN], repeat?: SPAN, at?: DATE|[DATE],
//!              throttle?: {per?: key, max?, every: SPAN, rest?}, digest?: {per?: key, every: SPAN or at: TIME, …},
//!              hours?: always | WORD | {days?, from?, to?, except?, timezone?, outside?},
//!              links?: none | LINK | [LINK], attach?: {csv: TEXT, columns: {COLUMN: on}}}
//! ```
//!
//! The keys are listed with what they are for in [`keys`], the operators in [`operator::TABLE`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

pub use self::calendar::Workdays;
pub use self::condition::Condition;
pub use self::glob::Globs;
pub use self::hours::Hours;
pub(crate) use self::judge::number_key;
pub use self::parse::parse;
pub use self::parts::{
    AtDate, Attach, Digest, DigestTime, Expected, FloodBrake, HoursChoice, Missing, Threshold, Throttle,
};
pub use self::roster::{Mapped, Person, Reach, ValueMap};
pub use self::sum::{Compare, Sum, SumTest, Window};
use self::value::Literal;
pub use self::version::Version;
use crate::decimal::Decimal;
use crate::delivery::{LinkOp, Mention, Say, Severity};
use crate::event::Mute;
use crate::path::Path;
use crate::problem::Location;

pub mod calendar;
pub mod check;
pub mod condition;
mod facts;
pub mod glob;
pub mod hours;
mod index;
mod judge;
pub mod keys;
pub mod operand;
pub mod operator;
pub mod parse;
mod parts;
pub mod plain;
mod reading;
mod roster;
pub mod schema;
mod sum;
pub mod trial;
pub mod value;
pub mod version;

/// Everything that stands in the rules folder, compiled.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// The rules, in no order that means anything.
    pub rules: Vec<Rule>,
    /// Rules that could not be read whole. Never in force; known so that what else is wrong with them can be told at once.
    pub unfinished: Vec<Rule>,
    /// Words of `lists:`, `hours:` and `maps:` that no rule and no mute names, each with its section.
    pub unused: Vec<(&'static str, At<String>)>,
    /// `names:`: what a word stands for, first path that selects something wins. Those of source presets are among
    /// them, by source; a file's own name comes before a preset's.
    pub names: BTreeMap<String, Name>,
    /// `lists:`, the values that `in: NAME` reads.
    pub lists: BTreeMap<String, Arc<List>>,
    /// `hours:`, windows by their names.
    pub hours: BTreeMap<String, Arc<Hours>>,
    /// Planned mutes from files.
    pub mutes: Vec<FileMute>,
    /// `people:`, by name.
    pub people: BTreeMap<String, Person>,
    /// `maps:`, from what events say to people or addresses.
    pub maps: BTreeMap<String, ValueMap>,
    /// The default zone, if one is set.
    pub zone: Option<TimeZone>,
    /// What all of this was read from.
    pub version: Version,
    /// Which rules a type reaches.
    pub(crate) index: index::Index,
}

/// The names that the sources' presets bring: by source, by name, the paths in order.
pub type Presets = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// A list of `lists:`.
#[derive(Debug)]
pub struct List {
    /// Its values.
    pub values: Vec<Literal>,
    /// Where its name stands.
    pub place: Location,
}

/// A value with the place where it was written.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Location,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, unique; state belongs to it.
    pub name: At<String>,
    /// Names it had before: their state is taken over.
    pub formerly: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// Whether it takes part at all.
    pub enabled: bool,
    /// Planned, counted, shown; nothing is sent.
    pub shadow: bool,
    /// Which event types. Empty where `missing` is set.
    pub events: Globs,
    /// Only events of this source.
    pub source: Option<String>,
    /// Where that stands.
    pub source_place: Option<Location>,
    /// What must hold.
    pub when: Option<Condition>,
    /// What becomes of an event that `when` can't read, where the rule says.
    pub if_failed: Option<IfFailed>,
    /// Acts only at enough matches within a span.
    pub threshold: Option<Threshold>,
    /// Acts only at the match that takes a sum somewhere.
    pub sum: Option<Sum>,
    /// What an event is about.
    pub case: Option<KeySpec>,
    /// What closes a case.
    pub closed_by: Vec<Closer>,
    /// A forgotten case ends after this.
    pub closes_after: Option<SignedDuration>,
    /// In place of `events`: opens a case when none came for a time.
    pub missing: Option<Missing>,
    /// Whether it is held when it suddenly sends many times its usual.
    pub flood: Option<FloodBrake>,
    /// What it asks for.
    pub actions: Vec<Action>,
    /// What it asks for when a case closes.
    pub on_close: Vec<Action>,
    /// What people can do from its messages, where destinations show that; `None`: acknowledge, while a reminder is to come.
    pub links: Option<At<Vec<LinkOp>>>,
}

/// What becomes of an event that the `when` of a rule or an action can't read: `if_failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfFailed {
    /// Nothing.
    Skip,
    /// The same as if it had held.
    Act,
}

/// What an action asks for.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its identity within the rule: its `name`, else a digest of what it says and when; never its place.
    pub id: String,
    /// Where it stands.
    pub place: Location,
    /// Destinations, each once.
    pub to: Vec<At<String>>,
    /// What it says.
    pub say: At<Say>,
    /// Wins over the message's.
    pub severity: Option<Severity>,
    /// Constants for the template.
    pub with: Map<String, Value>,
    /// What it says otherwise than its destinations, of how a message comes there: by key.
    pub overrides: Vec<(At<String>, At<Value>)>,
    /// Who is to be mentioned.
    pub mention: Vec<At<Mention>>,
    /// Its own condition.
    pub when: Option<Condition>,
    /// What becomes of an event that `when` can't read, where the action says.
    pub if_failed: Option<IfFailed>,
    /// Acts when no action of the rule with a `when` acted.
    pub otherwise: bool,
    /// Acts at the opening of a case only.
    pub once: bool,
    /// Later matches of its case change its message.
    pub update: bool,
    /// It is the deadline of such a message: when it comes, the message becomes critical.
    pub deadline: bool,
    /// So long after the opening, while the case is open and nobody acknowledged it.
    pub after: Option<SignedDuration>,
    /// The business days that `after` stands for: they are counted in its place.
    pub after_days: Option<Workdays>,
    /// Which of the times in a list it is, from 1.
    pub step: Option<u32>,
    /// And again every so often.
    pub repeat: Option<SignedDuration>,
    /// So long before (negative) or after a date in the event.
    pub at: Option<AtDate>,
    /// The action's own, else the rule's.
    pub throttle: Option<Throttle>,
    /// The action's own, else the rule's.
    pub digest: Option<Digest>,
    /// The action's own, else the rule's; `None`: the destination's decide.
    pub hours: Option<HoursChoice>,
    /// What people can do from the message, wherever it goes; `None`: the rule's.
    pub links: Option<At<Vec<LinkOp>>>,
    /// The file that goes with its digest.
    pub attach: Option<Attach>,
}

/// A path, or several of which the first that selects something wins.
#[derive(Debug, Clone)]
pub struct Name {
    /// As it is written: a name or a path.
    pub text: String,
    /// Compiled, in order.
    pub paths: Vec<Query>,
    /// A preset's: what stands in place of `paths` for events of these sources.
    pub by_source: Vec<(Arc<str>, Vec<Query>)>,
    /// Where it stands, if in a file.
    pub place: Option<Location>,
}

/// A path that is evaluated once for an event, however many rules ask.
#[derive(Debug, Clone)]
pub struct Query {
    /// The path.
    pub path: Arc<Path>,
    /// Which of the distinct paths it is.
    pub(crate) id: usize,
}

/// One path or name, or several that make one key together.
#[derive(Debug, Clone)]
pub struct KeySpec(pub Vec<Name>);

/// What closes a case.
#[derive(Debug, Clone)]
pub struct Closer {
    /// Which event types.
    pub events: Globs,
    /// What must hold.
    pub when: Option<Condition>,
    /// The key in the closing event, where it differs from the rule's `case`.
    pub case: Option<KeySpec>,
}

/// A mute that stands in a file.
#[derive(Debug, Clone)]
pub struct FileMute {
    /// As one made at run time; its id follows from what it says.
    pub mute: Mute,
    /// Where its destination stands, if it names one.
    pub destination: Option<At<String>>,
    /// Its globs, compiled.
    pub events: Option<Globs>,
    /// Its condition, compiled.
    pub when: Option<Condition>,
    /// The zone of dates without one, for its condition.
    pub zone: TimeZone,
    /// Where it stands.
    pub place: Location,
}

/// How a condition came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// It holds.
    Held,
    /// It doesn't.
    Missed,
    /// It could not be read: a value of a kind that the test can't take, or too many steps.
    Failed,
}

/// Why a condition came out as it did: the whole tree, with what each path selected.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Why {
    /// All must hold.
    All {
        /// The parts.
        all: Vec<Why>,
        /// How it came out.
        held: Held,
    },
    /// One must hold.
    Any {
        /// The parts.
        any: Vec<Why>,
        /// How it came out.
        held: Held,
    },
    /// The part must not hold.
    Not {
        /// The part.
        not: Box<Why>,
        /// How it came out.
        held: Held,
    },
    /// One test on what one path selected.
    Test {
        /// The path or name as written.
        path: Arc<str>,
        /// The test in words: `is at least 1000`.
        test: Arc<str>,
        /// What was selected, shortened.
        values: Vec<Value>,
        /// How it came out.
        held: Held,
        /// A hint: what failed and by how much.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
}

/// What one rule makes of one event.
#[derive(Debug)]
pub struct Judgement<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Whether `events` and `when` accept the event as one of its own: `None` where the event only closes, or only
    /// counts against `missing`.
    pub held: Option<Held>,
    /// The reasons, where the rule (or its `missing`) has a `when`.
    pub why: Option<Why>,
    /// The key of its threshold, where that has one and the event was accepted. `Err` says what was absent.
    pub threshold: Option<Result<String, String>>,
    /// The key of its sum and what is summed, where it has one and the event was accepted. `Err` says why it isn't summed.
    pub sum: Option<Result<(String, Decimal), String>>,
    /// The case it is about, where the rule has `case:` and the event was accepted. `Err` says what was absent.
    pub case: Option<Result<String, String>>,
    /// The same with its numbers as the event writes them, where that is another: earlier versions kept cases under it.
    pub case_written: Option<String>,
    /// What became of each action of the rule, in order; filled where [`Judgement::accepts`].
    pub actions: Vec<ActionJudgement<'r>>,
    /// The key of the case it closes, where a closer accepts it. `Err` says what was absent.
    pub closes: Option<Result<String, String>>,
    /// The same with its numbers as the event writes them, where that is another.
    pub closes_written: Option<String>,
    /// The reasons of the closer's condition, where it has one.
    pub closes_why: Option<Why>,
    /// What became of each of the rule's `on_close` actions, in order; filled where `closes` is `Some(Ok(…))`, and by
    /// `judge_rule` always.
    pub on_close: Vec<ActionJudgement<'r>>,
    /// Whether it counts as what a `missing` rule waits for.
    pub arrived: bool,
    /// The steps that it took, those that it shared with rules before it left out.
    pub steps: u64,
}

impl Judgement<'_> {
    /// Whether nothing comes of the event: the rule's own condition missed, and it closes and awaits nothing.
    pub fn is_miss(&self) -> bool {
        let missed = |why: Option<&Why>| why.is_none_or(|why| why.held() == Held::Missed);
        let own = match self.held {
            Some(held) => held == Held::Missed,
            None => self.rule.missing.is_none() || (!self.arrived && missed(self.why.as_ref())),
        };
        own && self.closes.is_none() && missed(self.closes_why.as_ref())
    }
}

/// What comes of one event.
#[derive(Debug, Default)]
pub struct Matches<'r> {
    /// What the rules make of it that don't just miss.
    pub judgements: Vec<Judgement<'r>>,
    /// The rules whose globs accept it and whose conditions miss.
    pub missed: Vec<&'r Rule>,
    /// The steps that those took, without what they shared with rules before them.
    pub steps: u64,
}

/// What became of one action of a rule that holds.
#[derive(Debug)]
pub struct ActionJudgement<'r> {
    /// The action.
    pub action: &'r Action,
    /// How its `when` came out, or `otherwise`.
    pub held: Held,
    /// The reasons, where it has a `when`.
    pub why: Option<Why>,
    /// The throttle's key; `Err` says what was absent.
    pub throttle: Option<Result<String, String>>,
    /// The digest's key; `Err` says what was absent.
    pub digest: Option<Result<String, String>>,
    /// When its `at` falls; `Err` says what was absent or no date.
    pub at: Option<Result<Timestamp, String>>,
    /// The date of its `at`, without the offset.
    pub date: Option<Timestamp>,
}
