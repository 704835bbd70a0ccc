//! Mutes: silence that someone asked for, from files and at run time, and the account of it at the end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::event::{Event, Mute, Signal};
use crate::planner::book::{Doc, id};
use crate::planner::inputs::rule_named;
use crate::planner::round::Round;
use crate::planner::timer::Meaning;
use crate::rules::{FileMute, Held, Rule};

/// A mute as the ledger keeps it, under kind `mute` and its id; for one from a file, what it has muted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Muting {
    /// What is muted, for how long, by whom and why.
    pub mute: Mute,
    /// Whether it stands in a file, where its end must be written too.
    #[serde(default)]
    pub in_file: bool,
    /// Whether it was ended by hand while it stands in a file.
    #[serde(default)]
    pub ended: bool,
    /// How many messages it kept back, by rule.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

impl Doc for Muting {
    const KIND: &'static str = "mute";
}

/// A mute ready to be asked.
pub(crate) struct ActiveMute<'a> {
    mute: Mute,
    test: Test<'a>,
}

/// What `events` and `when` of a mute come to.
enum Test<'a> {
    InFile(&'a FileMute),
    AtRunTime(Box<FileMute>),
    /// Its globs or its condition can't be read by the rules in force. It mutes nothing: silence must be certain.
    Broken,
}

impl Test<'_> {
    fn accepts(&self, event: &Event) -> bool {
        match self {
            Test::InFile(test) => test.accepts(event) == Held::Held,
            Test::AtRunTime(test) => test.accepts(event) == Held::Held,
            Test::Broken => false,
        }
    }
}

impl Round<'_> {
    /// Gathers the mutes of files and ledger.
    pub fn load_mutes(&mut self) {
        let known: Vec<Muting> = self.book.all();
        let (rules, now) = (self.rules, self.now);
        let in_files = rules.mutes.iter().filter(|file| {
            let ended = known.iter().any(|known| known.mute.id == file.mute.id && known.ended);
            // Events that came while it held may be planned a little after its end.
            !ended && file.mute.from <= now
        });
        self.mutes = in_files.map(|file| ActiveMute { mute: file.mute.clone(), test: Test::InFile(file) }).collect();
        for muting in known.into_iter().filter(|known| !known.in_file) {
            let test = rules.mute(&muting.mute).map_or(Test::Broken, |test| Test::AtRunTime(Box::new(test)));
            self.mutes.push(ActiveMute { mute: muting.mute, test });
        }
        self.mutes.sort_by(|a, b| a.mute.id.cmp(&b.mute.id));
    }

    /// Whether a message of a rule to a destination is muted, and why in words. Without an event (a digest, a summary,
    /// a fallback) only mutes that ask for no particular events apply. Counts it.
    pub fn muted(&mut self, rule: &Rule, destination: &str, event: Option<&Event>, at: Timestamp) -> Option<String> {
        self.muted_named(&rule.name.value, destination, event, at)
    }

    /// The same for a rule that may be gone.
    pub fn muted_named(
        &mut self,
        rule: &str,
        destination: &str,
        event: Option<&Event>,
        at: Timestamp,
    ) -> Option<String> {
        if self.mutes.is_empty() {
            return None;
        }
        let present = rule_named(self.rules, rule).map_or(rule, |rule| rule.name.value.as_str());
        let rules = self.rules;
        let covers = |active: &&ActiveMute<'_>| {
            let mute = &active.mute;
            let names =
                |name: &String| rule_named(rules, name).map_or(name.as_str(), |r| r.name.value.as_str()) == present;
            mute.from <= at
                && at < mute.until
                && mute.rule.as_ref().is_none_or(names)
                && mute.destination.as_ref().is_none_or(|name| name == destination)
                && match event {
                    Some(event) => active.test.accepts(event),
                    None => mute.events.is_empty() && mute.when.is_none() && !matches!(active.test, Test::Broken),
                }
        };
        let active = self.mutes.iter().find(covers)?;
        let (mute, in_file) = (active.mute.clone(), matches!(active.test, Test::InFile(_)));
        let known = self.book.get::<Muting>(&[&mute.id]);
        let mut muting = known.unwrap_or_else(|| Muting { in_file, ..Muting::of(mute.clone()) });
        *muting.counts.entry(present.to_owned()).or_default() += 1;
        self.book.put(&[&mute.id], &muting);
        Some(format!("muted until {} by {}: {}", self.moment(mute.until), mute.by, mute.reason))
    }

    /// Someone asks for silence.
    pub fn mute(&mut self, mute: &Mute) {
        self.begin_mute(Muting::of(mute.clone()));
        self.load_mutes();
    }

    /// Writes a mute and sets its end.
    pub fn begin_mute(&mut self, muting: Muting) {
        let name = muting.mute.id.clone();
        self.set_timer(id(&["mute", &name]), muting.mute.until, None, &Meaning::Mute { id: name.clone() });
        self.book.put(&[&name], &muting);
    }

    /// Someone ends a mute before its time.
    pub fn unmute(&mut self, name: &str, by: &str) {
        let in_file = self.rules.mutes.iter().find(|file| file.mute.id == name);
        let known = self.book.get::<Muting>(&[name]);
        let Some(muting) = known.or_else(|| in_file.map(|file| Muting::in_file(file.mute.clone()))) else { return };
        if muting.ended {
            return;
        }
        self.end_mute(&muting, &format!("ended by {by}"));
        if in_file.is_some() {
            self.begin_mute(Muting { ended: true, in_file: true, ..muting });
        } else {
            self.book.delete::<Muting>(&[name]);
            self.drop_timer(id(&["mute", name]));
        }
        self.load_mutes();
    }

    /// A mute's time is over.
    pub fn mute_due(&mut self, name: &str) {
        let Some(muting) = self.book.get::<Muting>(&[name]) else { return };
        // Stores keep timers to the millisecond.
        if muting.mute.until.as_millisecond() > self.now.as_millisecond() {
            return self.begin_mute(muting);
        }
        if !muting.ended {
            self.end_mute(&muting, "its time is over");
        }
        self.book.delete::<Muting>(&[name]);
        self.load_mutes();
    }

    /// Tells the end of a mute, with its counts.
    pub fn end_mute(&mut self, muting: &Muting, ended: &str) {
        let mute = &muting.mute;
        if mute.from > self.now {
            return;
        }
        let mut data = Map::new();
        for (name, value) in [
            ("mute", json!(mute.id)),
            ("reason", json!(mute.reason)),
            ("by", json!(mute.by)),
            ("ended", json!(ended)),
            ("from", json!(mute.from)),
            ("until", json!(mute.until)),
            ("muted", json!(muting.counts.values().sum::<u64>())),
            ("rules", json!(muting.counts)),
        ] {
            data.insert(name.into(), value);
        }
        let (rule, destination) = (mute.rule.clone(), mute.destination.clone());
        let kind = "fanfare.mute.ended".into();
        let signal = Signal { kind, rule, destination, at: self.now, data, from_own: false, died: None };
        self.signal(&mute.id, &signal);
    }
}

impl Muting {
    /// A mute made at run time, which has muted nothing yet.
    pub fn of(mute: Mute) -> Self {
        Self { mute, in_file: false, ended: false, counts: BTreeMap::new() }
    }

    /// What a mute from a file has muted: nothing yet.
    pub(crate) fn in_file(mute: Mute) -> Self {
        Self { in_file: true, ..Self::of(mute) }
    }
}
