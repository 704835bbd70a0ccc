//! When rules come into force: what runs by the clock is brought in line with them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::planner::Plan;
use crate::planner::book::{Doc, id};
use crate::planner::case::Case;
use crate::planner::hold::Waiting;
use crate::planner::inputs::{Destinations, rule_named};
use crate::planner::ledger::{Keys, Ledger};
use crate::planner::missing::Awaited;
use crate::planner::mute::Muting;
use crate::planner::own::Noticed;
use crate::planner::round::Round;
use crate::planner::successor::successor;
use crate::planner::sweep::Sweep;
use crate::rules::RuleSet;

/// What [`arm`] and [`Sweep::left`] need to know: of kinds of which there are few. Cases are not among them.
pub fn arm_keys() -> Keys {
    let kinds = [Waiting::KIND, Awaited::KIND, Muting::KIND, Noticed::KIND];
    Keys { all: kinds.into_iter().map(str::to_owned).collect(), one: BTreeSet::from([Sweep::key()]) }
}

/// To be planned once whenever a planner begins with rules: at start, after a reload, and when the lease was another's.
/// Doing it again changes nothing.
///
/// - A `missing` rule that is new begins to wait, and so does one that takes part again; one that is gone or takes no part
///   no longer does.
/// - Planned mutes of files get their end; one that was taken out of its file has ended.
/// - What is held for hours is looked at anew, as its window may have changed.
///
/// Open cases, of which there may be very many, are brought in line by [`Sweep`].
pub fn arm(rules: &RuleSet, places: &Destinations, ledger: Ledger, now: Timestamp) -> Plan {
    let mut round = Round::with(rules, places, ledger, now);
    round.disarm_missing();
    for rule in &rules.rules {
        match &rule.missing {
            Some(missing) if rule.enabled => round.arm_missing(rule, missing),
            Some(_) => round.suspend_missing(rule),
            None => {}
        }
    }
    round.arm_mutes();
    round.arm_holds();
    round.into_plan()
}

impl Round<'_> {
    fn arm_mutes(&mut self) {
        let mut known: Vec<Muting> = self.book.all();
        let in_files = |id: &str| self.rules.mutes.iter().any(|file| file.mute.id == id);
        for file in &self.rules.mutes {
            if file.mute.until <= self.now || known.iter().any(|muting| muting.mute == file.mute) {
                continue;
            }
            // Its reason, its author or its end were edited: it goes on, with what it has counted.
            let same = |muting: &Muting| {
                muting.mute.id == file.mute.id
                    || (muting.in_file && !in_files(&muting.mute.id) && muting.mute.silences_as(&file.mute))
            };
            let old = known.iter().position(same).map(|at| known.remove(at));
            if let Some(old) = old.as_ref().filter(|old| old.mute.id != file.mute.id) {
                self.book.delete::<Muting>(&[&old.mute.id]);
                self.drop_timer(id(&["mute", &old.mute.id]));
            }
            let muting = old.unwrap_or_else(|| Muting::in_file(file.mute.clone()));
            // One that a person ended begins again where its file gives it more time.
            let ended = muting.ended && file.mute.until <= muting.mute.until;
            self.begin_mute(Muting { mute: file.mute.clone(), in_file: true, ended, ..muting });
        }
        for muting in known.iter().filter(|muting| muting.in_file) {
            if in_files(&muting.mute.id) {
                continue;
            }
            if !muting.ended {
                self.end_mute(muting, "taken out of the rules");
            }
            self.book.delete::<Muting>(&[&muting.mute.id]);
            self.drop_timer(id(&["mute", &muting.mute.id]));
        }
    }

    fn arm_holds(&mut self) {
        for waiting in self.book.all::<Waiting>() {
            let timer = id(&["hold", &waiting.destination, &waiting.opens.to_string()]);
            self.set_timer(timer, self.now, None, &waiting.meaning());
        }
    }
}

/// An open case that the rules in force no longer speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The rule that it belonged to.
    pub rule: String,
    /// Its key.
    pub key: String,
    /// The timed actions that are gone; empty where the whole rule is.
    pub actions: Vec<String>,
}

/// The open cases that rules would orphan: whose rule is gone, or whose actions that wait for their time are. Of one that
/// only has other words now nothing is left behind.
pub fn orphans<'c>(rules: &RuleSet, cases: impl IntoIterator<Item = &'c Case>) -> Vec<Orphan> {
    let orphan = |case: &Case| {
        let (rule, key) = (case.rule.clone(), case.key.clone());
        let Some(present) = rule_named(rules, &case.rule) else {
            return Some(Orphan { rule, key, actions: Vec::new() });
        };
        let waiting = case.timers.iter().filter(|(_, timer)| timer.due.is_some() && !timer.waits);
        let gone = waiting.filter(|(id, _)| {
            present.actions.iter().all(|action| &action.id != *id) && successor(present, case, id).is_none()
        });
        let actions: Vec<String> = gone.map(|(id, _)| id.clone()).collect();
        (!actions.is_empty()).then_some(Orphan { rule, key, actions })
    };
    cases.into_iter().filter_map(orphan).collect()
}
