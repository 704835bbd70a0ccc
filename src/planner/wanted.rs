//! Whether the case that a waiting message belongs to still wants it said. Everything that waits asks here: the held queue,
//! digests, and what is only counted.

use crate::planner::case::{Case, CaseRef};
use crate::planner::why::RuleOutcome;
use crate::rules::Action;

/// Why a case no longer wants a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unwanted {
    /// It has closed; another with the same key may have opened since.
    Closed,
    /// This person acknowledged it, which ends its reminders.
    Acknowledged(String),
}

/// Why the case that a message belongs to doesn't want it any more, if so. `now` is the case that is open with its key.
/// A close ends everything that was to be said of the case. Acknowledging ends its reminders, except for a date (`at`):
/// that comes all the same.
pub(crate) fn unwanted(
    belongs: &CaseRef,
    now: Option<&Case>,
    is_reminder: bool,
    action: Option<&Action>,
) -> Option<Unwanted> {
    let Some(case) = now.filter(|case| case.nth == belongs.nth) else { return Some(Unwanted::Closed) };
    let is_dated = action.is_some_and(|action| action.at.is_some());
    case.acked.clone().filter(|_| is_reminder && !is_dated).map(Unwanted::Acknowledged)
}

impl Unwanted {
    /// What came of the message.
    pub fn outcome(&self) -> RuleOutcome {
        match self {
            Self::Closed => RuleOutcome::Closed,
            Self::Acknowledged(_) => RuleOutcome::Cancelled,
        }
    }

    /// Why, in words.
    pub fn said(&self, belongs: &CaseRef) -> String {
        match self {
            Self::Closed => format!("case `{}` has closed", belongs.key),
            Self::Acknowledged(by) => format!("{by} acknowledged the case"),
        }
    }
}
