//! Mutes: silence that someone asked for, from files and at run time, and the account of it at the end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::event::{Event, Mute, Signal, own};
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::names::present_name;
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::rules::{FileMute, Held, RuleSet};

/// A mute as it is kept, under kind `mute` and its id; for one from a file, what it has muted.
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

/// The mutes that may apply, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Mutes<'a>(Vec<Active<'a>>);

/// A mute ready to be asked.
#[derive(Debug)]
pub(crate) struct Active<'a> {
    pub mute: Mute,
    test: Test<'a>,
}

/// What `events` and `when` of a mute come to.
#[derive(Debug)]
enum Test<'a> {
    InFile(&'a FileMute),
    AtRunTime(Box<FileMute>),
    /// Its globs or its condition can't be read by the rules in force. It mutes nothing: silence must be certain.
    Broken,
}

/// A message, as mutes see it. Without an event (a digest, a summary, a fallback) only mutes that ask for no particular
/// events apply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audible<'a> {
    pub rule: &'a str,
    pub destination: &'a str,
    pub event: Option<&'a Event>,
    /// When what it is about came to us.
    pub at: Timestamp,
}

impl Active<'_> {
    /// Whether it stands in a file.
    pub fn in_file(&self) -> bool {
        matches!(self.test, Test::InFile(_))
    }

    fn accepts(&self, event: Option<&Event>) -> bool {
        match (&self.test, event) {
            (Test::Broken, _) => false,
            (_, None) => self.mute.events.is_empty() && self.mute.when.is_none(),
            (Test::InFile(test), Some(event)) => test.accepts(event) == Held::Held,
            (Test::AtRunTime(test), Some(event)) => test.accepts(event) == Held::Held,
        }
    }
}

impl<'a> Mutes<'a> {
    /// The mutes of files, and those that were made at run time.
    pub fn of(rules: &'a RuleSet, known: Vec<Muting>, now: Timestamp) -> Self {
        let in_files = rules.mutes.iter().filter(|file| {
            let ended = known.iter().any(|known| known.mute.id == file.mute.id && known.ended);
            // Events that came while it held may be planned a little after its end.
            !ended && file.mute.from <= now
        });
        let in_files = in_files.map(|file| Active { mute: file.mute.clone(), test: Test::InFile(file) });
        let mut all: Vec<Active<'a>> = in_files.collect();
        for muting in known.into_iter().filter(|known| !known.in_file) {
            let test = rules.mute(&muting.mute).map_or(Test::Broken, |test| Test::AtRunTime(Box::new(test)));
            all.push(Active { mute: muting.mute, test });
        }
        all.sort_by(|a, b| a.mute.id.cmp(&b.mute.id));
        Self(all)
    }

    /// The mute that keeps a message back, if one does.
    pub fn covering(&self, rules: &RuleSet, said: &Audible<'_>) -> Option<&Active<'a>> {
        let covers = |active: &&Active<'_>| {
            let mute = &active.mute;
            mute.from <= said.at
                && said.at < mute.until
                && mute.rule.as_ref().is_none_or(|rule| present_name(rules, rule) == present_name(rules, said.rule))
                && mute.destination.as_ref().is_none_or(|name| name == said.destination)
                && active.accepts(said.event)
        };
        self.0.iter().find(covers)
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

    /// Where it is kept.
    pub(crate) fn slot(mute: &str) -> Slot<Self> {
        Slot::one(&[mute])
    }

    fn timer_id(mute: &str) -> String {
        id(&["mute", mute])
    }

    /// Someone asks for silence.
    pub(crate) fn begin(mute: Mute) -> Next<Self> {
        let muting = Self::of(mute);
        let timer = muting.ends();
        (Some(muting), vec![timer])
    }

    /// The timer of its end.
    fn ends(&self) -> Effect {
        let name = self.mute.id.clone();
        Effect::set_timer(Self::timer_id(&name), self.mute.until, None, &Meaning::Mute { id: name })
    }

    /// It kept a message of this rule back. With the words for why.
    pub(crate) fn keeps_back(known: Option<Self>, active: &Active<'_>, rule: &str, now: Now<'_>) -> (Self, String) {
        let mute = &active.mute;
        let mut muting = known.unwrap_or_else(|| Self { in_file: active.in_file(), ..Self::of(mute.clone()) });
        *muting.counts.entry(rule.to_owned()).or_default() += 1;
        (muting, format!("muted until {} by {}: {}", now.said(mute.until), mute.by, mute.reason))
    }

    /// Someone ends it before its time. One in a file is kept, so that the file doesn't begin it again.
    pub(crate) fn end_by_hand(self, by: &str, in_file: bool, now: Now<'_>) -> Next<Self> {
        if self.ended {
            return (Some(self), Vec::new());
        }
        let mut effects = self.told(&format!("ended by {by}"), now);
        if in_file {
            let ended = Self { ended: true, in_file: true, ..self };
            effects.push(ended.ends());
            return (Some(ended), effects);
        }
        effects.push(Effect::DropTimer(Self::timer_id(&self.mute.id)));
        (None, effects)
    }

    /// Its time is over, or it was given more.
    pub(crate) fn due(self, now: Now<'_>) -> Next<Self> {
        // Stores keep timers to the millisecond.
        if self.mute.until.as_millisecond() > now.at.as_millisecond() {
            let timer = self.ends();
            return (Some(self), vec![timer]);
        }
        (None, if self.ended { Vec::new() } else { self.told("its time has ended", now) })
    }

    /// Rules come into force: the mutes of their files begin or go on, and those that were taken out of a file have
    /// ended. Gives what becomes of each document, in order.
    pub(crate) fn arm(
        mut known: Vec<Self>,
        files: &[FileMute],
        now: Now<'_>,
    ) -> (Vec<(String, Option<Self>)>, Vec<Effect>) {
        let (mut docs, mut effects) = (Vec::new(), Vec::new());
        let in_files = |id: &str| files.iter().any(|file| file.mute.id == id);
        for file in files {
            if file.mute.until <= now.at || known.iter().any(|muting| muting.mute == file.mute) {
                continue;
            }
            // Its reason, its author or its end were edited: it goes on, with what it has counted.
            let same = |muting: &Self| {
                muting.mute.id == file.mute.id
                    || (muting.in_file && !in_files(&muting.mute.id) && muting.mute.silences_as(&file.mute))
            };
            let old = known.iter().position(same).map(|at| known.remove(at));
            if let Some(old) = old.as_ref().filter(|old| old.mute.id != file.mute.id) {
                docs.push((old.mute.id.clone(), None));
                effects.push(Effect::DropTimer(Self::timer_id(&old.mute.id)));
            }
            let muting = old.unwrap_or_else(|| Self::in_file(file.mute.clone()));
            // One that a person ended begins again where its file gives it more time.
            let ended = muting.ended && file.mute.until <= muting.mute.until;
            let muting = Self { mute: file.mute.clone(), in_file: true, ended, ..muting };
            effects.push(muting.ends());
            docs.push((muting.mute.id.clone(), Some(muting)));
        }
        for muting in known.into_iter().filter(|muting| muting.in_file && !in_files(&muting.mute.id)) {
            if !muting.ended {
                effects.extend(muting.told("removed from the rules", now));
            }
            effects.push(Effect::DropTimer(Self::timer_id(&muting.mute.id)));
            docs.push((muting.mute.id, None));
        }
        (docs, effects)
    }

    /// The account of it at its end. One that never began has none.
    fn told(&self, ended: &str, now: Now<'_>) -> Vec<Effect> {
        let mute = &self.mute;
        if mute.from > now.at {
            return Vec::new();
        }
        let data = json!({"mute": mute.id, "reason": mute.reason, "by": mute.by, "ended": ended, "from": mute.from,
            "until": mute.until, "muted": self.counts.values().sum::<u64>(), "rules": self.counts});
        let (rule, destination) = (mute.rule.clone(), mute.destination.clone());
        let signal = Signal { rule, destination, ..Signal::new(own::MUTE_ENDED, data, now.at) };
        vec![Effect::Signal(mute.id.clone(), Box::new(signal))]
    }
}
