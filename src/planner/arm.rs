//! When rules come into force: what runs by the clock is brought in line with them.

use jiff::Timestamp;

use crate::planner::Plan;
use crate::planner::book::{Doc, id};
use crate::planner::case::Case;
use crate::planner::hold::Waiting;
use crate::planner::inputs::{Places, rule_named};
use crate::planner::ledger::{Keys, Ledger};
use crate::planner::missing::Awaited;
use crate::planner::mute::Muting;
use crate::planner::own::Noticed;
use crate::planner::round::Round;
use crate::rules::{Rule, RuleSet};

/// What [`arm`] needs to know.
pub fn arm_keys() -> Keys {
    let kinds = [Case::KIND, Waiting::KIND, Awaited::KIND, Muting::KIND, Noticed::KIND];
    Keys { all: kinds.into_iter().map(str::to_owned).collect(), ..Keys::default() }
}

/// To be planned once whenever a planner begins with rules: at start, after a reload, and when the lease was another's.
/// Doing it again changes nothing.
///
/// - A `missing` rule that is new begins to wait; one that is gone no longer does.
/// - Open cases whose rule's timed actions have changed get a timer that is due at once and brings their opening event:
///   an `after` edited to a time already past fires once, what is gone fires nothing.
/// - Planned mutes of files get their end; one that was taken out of its file has ended.
/// - What is held for hours is looked at anew, as its window may have changed.
pub fn arm(rules: &RuleSet, places: &Places, ledger: Ledger, now: Timestamp) -> Plan {
    let mut round = Round::with(rules, places, ledger, now);
    for case in round.book.all::<Case>() {
        round.arm_case(&case);
    }
    round.disarm_missing();
    for rule in &rules.rules {
        if let Some(missing) = rule.missing.as_ref().filter(|_| rule.enabled) {
            round.arm_missing(rule, missing);
        }
    }
    round.arm_mutes();
    round.arm_holds();
    round.into_plan()
}

impl Round<'_> {
    fn arm_case(&mut self, case: &Case) {
        let Some(rule) = rule_named(self.rules, &case.rule).filter(|rule| rule.enabled) else { return };
        if !differs(case, rule) {
            return;
        }
        self.set_rearm(case);
    }

    fn arm_mutes(&mut self) {
        let known: Vec<Muting> = self.book.all();
        for file in &self.rules.mutes {
            if file.mute.until > self.now && !known.iter().any(|muting| muting.mute == file.mute) {
                let old = known.iter().find(|muting| muting.mute.id == file.mute.id).cloned();
                let muting = old.unwrap_or_else(|| Muting::in_file(file.mute.clone()));
                self.begin_mute(Muting { mute: file.mute.clone(), in_file: true, ..muting });
            }
        }
        for muting in known.iter().filter(|muting| muting.in_file) {
            if self.rules.mutes.iter().any(|file| file.mute.id == muting.mute.id) {
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

/// Whether a case's timers are not those that the rule asks for now.
fn differs(case: &Case, rule: &Rule) -> bool {
    if case.ends_s != rule.closes_after.map(|span| span.as_secs()) {
        return true;
    }
    rule.actions.iter().any(|action| match (action.spec(), case.timers.get(&action.id)) {
        (Some(spec), Some(timer)) => timer.waits || timer.spec != spec,
        (Some(_), None) => true,
        (None, _) => false,
    })
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

/// The open cases that rules would orphan: whose rule is gone, or whose actions that wait for their time are.
pub fn orphans<'c>(rules: &RuleSet, cases: impl IntoIterator<Item = &'c Case>) -> Vec<Orphan> {
    let orphan = |case: &Case| {
        let (rule, key) = (case.rule.clone(), case.key.clone());
        let Some(present) = rule_named(rules, &case.rule) else {
            return Some(Orphan { rule, key, actions: Vec::new() });
        };
        let waiting = case.timers.iter().filter(|(_, timer)| timer.due.is_some() && !timer.waits);
        let gone = waiting.filter(|(id, _)| !present.actions.iter().any(|action| &action.id == *id));
        let actions: Vec<String> = gone.map(|(id, _)| id.clone()).collect();
        (!actions.is_empty()).then_some(Orphan { rule, key, actions })
    };
    cases.into_iter().filter_map(orphan).collect()
}
