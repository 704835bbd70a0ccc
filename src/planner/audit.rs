//! The audit list: what people asked for, by whom, when and from where. A document holds what came within ten minutes, up
//! to a limit, and goes after ninety days, so that the list is bounded whatever is asked.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::event::Audit;
use crate::planner::effect::{Effect, Next};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;

/// How long the list goes back.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// What one document holds.
const SPAN_S: i64 = 600;
/// The most acts that a document keeps; more are counted.
const ACTS_MAX: usize = 100;
/// Ids count down, so that documents in the order of their ids are newest first.
const LAST: i64 = 999_999_999_999;

/// What people asked for within ten minutes, kept under kind `audit`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Audited {
    /// In the order in which it was planned.
    pub acts: Vec<Audit>,
    /// How many more there were.
    #[serde(default)]
    pub more: u64,
}

impl Doc for Audited {
    const KIND: &'static str = "audit";
}

impl Audited {
    /// Which ten minutes a moment belongs to: ids in their order are newest first.
    pub fn id(at: Timestamp) -> String {
        format!("{:012}", LAST - at.as_second().div_euclid(SPAN_S))
    }

    /// Where it is kept.
    pub(crate) fn slot(at: Timestamp) -> Slot<Self> {
        Slot::one(&[&Self::id(at)])
    }

    /// A person asked for something.
    pub(crate) fn note(known: Option<Self>, act: &Audit) -> Next<Self> {
        let mut audited = known.unwrap_or_default();
        if audited.acts.len() < ACTS_MAX {
            audited.acts.push(act.clone());
        } else {
            audited.more = audited.more.saturating_add(1);
        }
        let timer = id(&["audit", &Self::id(act.at)]);
        let meaning = Meaning::Audited { at: act.at };
        (Some(audited), vec![Effect::set_timer(timer, plus(act.at, KEPT), None, &meaning)])
    }
}
