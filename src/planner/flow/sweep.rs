//! When rules come into force that were not in force last: the open cases are brought in line with them, a page at a
//! time, so that very many of them hold up nothing else and are never in memory together.
//!
//! How far it got is a document, committed with each page: a restart goes on there, and one under the same rules has
//! nothing to do. What a page has not reached yet is safe, since a timer compares itself with its rule before it fires.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::planner::case::Case;
use crate::planner::flow::Planning;
use crate::planner::inputs::Destinations;
use crate::planner::loaded::{Key, LoadedState};
use crate::planner::plan::Plan;
use crate::planner::reminders::{differs, realign};
use crate::planner::state::{Doc, Slot, id};
use crate::rules::RuleSet;

/// The cases that are still to be brought in line with rules that came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// What tells these rules from others.
    rules: String,
    /// The id of the last case that was looked at; `None`: all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

impl Doc for Sweep {
    const KIND: &'static str = "sweep";
}

impl Sweep {
    /// The kind of the documents that it goes through.
    pub const CASES: &'static str = Case::KIND;

    /// Where it is kept.
    pub(crate) fn key() -> Key {
        Key { kind: Self::KIND.into(), id: id(&["cases"]) }
    }

    /// What is left to do under rules that `rules` tells from others, by what was kept.
    pub fn left(loaded: &LoadedState, rules: &str) -> Option<Self> {
        let known = loaded.docs.get(&Self::key()).and_then(|text| serde_json::from_str::<Self>(text).ok());
        match known.filter(|known| known.rules == rules) {
            Some(known) => known.after.is_some().then_some(known),
            None => Some(Self { rules: rules.into(), after: Some(String::new()) }),
        }
    }

    /// The page to look at next is the one after this id.
    pub fn after(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// Plans one page of open cases, as the store keeps them, by id; `is_last` if no more come after it. Those whose
    /// rule's timed actions have changed get a timer that is due at once and brings their opening event: an `after`
    /// edited to a time already past fires once, what is gone fires nothing. Gives the plan, and what is left then.
    #[expect(clippy::too_many_arguments, reason = "what a page is planned by")]
    pub fn page(
        self,
        rules: &RuleSet,
        destinations: &Destinations,
        page: &[(String, String)],
        is_last: bool,
        now: Timestamp,
    ) -> (Plan, Option<Self>) {
        let mut work = Planning::new(rules, destinations, LoadedState::default(), now);
        // One that can't be read is left alone, here as everywhere.
        for case in page.iter().filter_map(|(_, text)| serde_json::from_str::<Case>(text).ok()) {
            let rule = rules.named(&case.rule).filter(|rule| rule.enabled);
            if rule.is_some_and(|rule| differs(&case, rule)) {
                work.act([realign(&case, now)]);
            }
        }
        let last = page.last().map(|(id, _)| id.clone()).filter(|_| !is_last);
        let reached = Self { after: last, ..self };
        work.state.save(&Slot::one(&["cases"]), Some(&reached));
        let left = reached.after.is_some().then_some(reached);
        (work.into_plan(), left)
    }
}
