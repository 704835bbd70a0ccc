//! Tests of rules, `*.test.yaml`: read into steps and expectations, and what was sent held against what was expected.
//!
//! Pure. A file is read to its end and every mistake in it reported; whether a sample, a rule or a destination is
//! there it is notified ([`Known`]), and so are the files that a step sends. Playing the steps is not done here: that is the
//! business of the same steps that a server runs.
//!
//! ```text
//! file        = {tests: [test]}
//! test        = {name, rules?: [NAME], steps: [step]}
//! step        = {send: SAMPLE | FILE | {type, data, …}, set?: {PATH: value}, source?: NAME}
//!             | {expect: expectation|[expectation]} | {wait: SPAN} | {at: TIME}
//!             | {fail: DESTINATION|[…]} | {heal: DESTINATION|[…]}
//! expectation = {rule?: GLOB, to?: GLOB or changes?: GLOB or closes?: GLOB, title?: GLOB, text?: GLOB, severity?: GLOB,
//!                address?: GLOB, file?: GLOB}
//! ```

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use self::compare::{Compared, Said, compare};
pub use self::parse::parse;
pub use self::report::{Failed, Fault, Tone};
use self::set::Setting;
use super::glob::Glob;
use super::{At, RuleSet};
use crate::problem::{Location, Problem};

mod compare;
mod parse;
mod report;
pub mod schema;
mod set;

/// When the clock of every test starts, in unix seconds: 2026-01-05T10:00:00Z, a Monday.
pub const START_S: i64 = 1_767_607_200;

/// Gives the bytes of a file by the path of the test file that names it and its path from there, or says why it can't.
pub type ReadFile<'r> = dyn Fn(&str, &str) -> Result<Vec<u8>, String> + 'r;

/// A sample that a test sends.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its body.
    pub body: Value,
    /// Its type.
    pub kind: String,
    /// Its source, if it says one.
    pub source: Option<String>,
}

/// What a test may name, and what it can be told.
#[derive(Clone, Copy)]
pub struct Known<'k> {
    /// The rules in force, all of them.
    pub rules: &'k RuleSet,
    /// The paths of the rules files.
    pub files: &'k BTreeSet<String>,
    /// The names of the destinations.
    pub destinations: &'k BTreeSet<String>,
    /// The names of the sources.
    pub sources: &'k BTreeSet<String>,
    /// The names of the samples.
    pub samples: &'k [&'k str],
    /// The sample with this name.
    pub sample: &'k dyn Fn(&str) -> Option<Sample>,
    /// Reads what a test sends from a file.
    pub read: &'k ReadFile<'k>,
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known")
    }
}

/// One test.
#[derive(Debug, Clone)]
pub struct Test {
    /// What it says of the rules, in a sentence.
    pub name: At<String>,
    /// The names of the rules that it sees.
    pub rules: BTreeSet<String>,
    /// When its clock starts: [`START_S`], or earlier where the first step says so.
    pub start: Timestamp,
    /// What it does.
    pub steps: Vec<Step>,
}

/// One step of a test.
#[derive(Debug, Clone)]
pub struct Step {
    /// Where it stands.
    pub place: Location,
    /// What it does.
    pub what: What,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum What {
    /// An event comes.
    Send(Box<Send>),
    /// So much was sent since the last time that it was asked, and no more.
    Expect(Vec<Expectation>),
    /// The clock moves on.
    Wait(SignedDuration),
    /// The clock moves on to this time.
    At(Timestamp),
    /// These destinations fail from now on.
    Fail(Vec<String>),
    /// These work again.
    Heal(Vec<String>),
}

/// An event that a step sends: it gets an id of its own and the time of the clock, and then what was set.
#[derive(Debug, Clone)]
pub struct Send {
    /// The body.
    pub body: Body,
    /// The type, for senders that don't put it into the body.
    pub kind: String,
    /// The source that it comes from, if the step names one.
    pub source: Option<String>,
    settings: Vec<Setting>,
}

/// The body of an event to be sent.
#[derive(Debug, Clone)]
pub enum Body {
    /// A JSON object.
    Json(Value),
    /// Anything else, sent as it is.
    Raw(Vec<u8>),
}

impl Send {
    /// Sets what the step says in a body that has got its id and time.
    ///
    /// # Errors
    /// A value that is neither a list nor a mapping stands in the way.
    pub fn set(&self, body: &mut Value) -> Result<(), Box<Problem>> {
        self.settings.iter().try_for_each(|setting| setting.apply(body))
    }
}

/// One message, or one update, that should have been sent.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Where it stands.
    pub place: Location,
    /// What it is.
    pub way: Way,
    /// What it must be like.
    pub fields: Vec<(Field, Pattern)>,
}

/// What reaches people: a message, or a change to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A message: `to`.
    Message,
    /// A later match changed what stands there: `changes`.
    Change,
    /// A close changed what stands there: `closes`.
    Close,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::Message, Way::Change, Way::Close];

    /// The key of its destination.
    pub fn key(self) -> &'static str {
        match self {
            Way::Message => Field::To.name(),
            Way::Change => "changes",
            Way::Close => "closes",
        }
    }
}

/// What of a message is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The rule's name.
    Rule,
    /// The destination's name.
    To,
    /// The title.
    Title,
    /// The whole message as plain text.
    Text,
    /// The severity.
    Severity,
    /// The address that a map gave.
    Address,
    /// The file that goes with it: its name, and its text below that.
    File,
}

impl Field {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Field; 7] =
        [Field::Rule, Field::To, Field::Address, Field::Severity, Field::Title, Field::Text, Field::File];

    /// Its key.
    pub fn name(self) -> &'static str {
        match self {
            Field::Rule => "rule",
            Field::To => "to",
            Field::Title => "title",
            Field::Text => "text",
            Field::Severity => "severity",
            Field::Address => "address",
            Field::File => "file",
        }
    }
}

/// A glob as it was written.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The text.
    pub text: String,
    /// Compiled.
    pub glob: Glob,
}

impl RuleSet {
    /// A set with only these rules; what all files share stays.
    pub fn only(&self, names: &BTreeSet<String>) -> Self {
        Self {
            rules: self.rules.iter().filter(|rule| names.contains(&rule.name.value)).cloned().collect(),
            names: self.names.clone(),
            lists: self.lists.clone(),
            hours: self.hours.clone(),
            mutes: self.mutes.clone(),
            people: self.people.clone(),
            maps: self.maps.clone(),
            zone: self.zone.clone(),
            ..Self::default()
        }
    }
}
