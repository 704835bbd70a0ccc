//! What a state machine asks for beside its new state, as data. Only the flow carries effects out.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::delivery::{Lane, NewDelivery};
use crate::event::{Event, Seq, Signal};
use crate::planner::loaded::Timer;
use crate::planner::plan::{Cancel, End};
use crate::planner::timer::Meaning;
use crate::planner::why::{RuleOutcome, moment};

/// The present moment, and the zone in which people see times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now<'a> {
    pub at: Timestamp,
    pub zone: &'a TimeZone,
}

impl Now<'_> {
    /// A moment as people say it.
    pub fn said(self, at: Timestamp) -> String {
        moment(at, self.at, self.zone)
    }
}

/// What a machine comes to: the state that it leaves (`None`: nothing is kept), and what it asks for.
pub(crate) type Next<D> = (Option<D>, Vec<Effect>);

/// One thing that a state machine asks for.
#[derive(Debug)]
pub(crate) enum Effect {
    /// A delivery is made.
    Deliver(Box<NewDelivery>),
    /// What a lane still has untried is called off.
    Cancel(Cancel),
    /// Nothing will be said in a lane again.
    EndLane(End),
    /// A service that was reported in a lane need not be understood any more when it speaks of that.
    ForgetRaised(Lane),
    /// A timer is set, in place of one with the same id.
    SetTimer(String, Timer),
    /// A timer is taken away.
    DropTimer(String),
    /// An own event, as it is.
    OwnEvent(Box<Event>),
    /// Something to be told as an own event, with what tells it from others of its kind: more of the same within a
    /// minute is reported as one.
    Signal(String, Box<Signal>),
    /// A line of the decision: what came of the rule as a whole, or of one action, perhaps at one destination.
    Trace { outcome: RuleOutcome, action: Option<String>, to: Option<String>, note: String },
}

impl Effect {
    pub fn set_timer(id: String, due: Timestamp, event: Option<Seq>, meaning: &Meaning) -> Self {
        Self::SetTimer(id, Timer { due, event, text: meaning.text() })
    }

    pub fn cancel(lane: &Lane, action: Option<&str>, reason: impl Into<String>) -> Self {
        let action = action.map(str::to_owned);
        Self::Cancel(Cancel { lane: lane.clone(), action, act: None, reason: reason.into() })
    }

    /// What came of the rule as a whole.
    pub fn rule(outcome: RuleOutcome, note: impl Into<String>) -> Self {
        Self::Trace { outcome, action: None, to: None, note: note.into() }
    }

    /// What came of one action, perhaps at one destination.
    pub fn action(outcome: RuleOutcome, action: &str, to: Option<&str>, note: impl Into<String>) -> Self {
        Self::Trace { outcome, action: Some(action.into()), to: to.map(str::to_owned), note: note.into() }
    }
}
