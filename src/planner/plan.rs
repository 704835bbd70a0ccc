//! What planning comes to: plain data, which the store commits in one transaction.

use crate::delivery::{Lane, MessageOp, NewDelivery};
use crate::event::{Event, Seq};
use crate::planner::loaded::{DocChange, Timer};
use crate::planner::why::Decision;

/// Everything that planning a batch changes, committed in one transaction.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Plan {
    /// The inbox is planned up to and including this entry; `None` when only timers were planned.
    pub upto: Option<Seq>,
    /// Untried deliveries that are called off, before the new ones are made.
    pub cancel: Vec<Cancel>,
    /// Deliveries to make; one that exists already (by id) stays as it is.
    pub deliveries: Vec<NewDelivery>,
    /// State to write or delete.
    pub docs: Vec<DocChange>,
    /// Timers to set (by id, replacing) or, with `None`, to take away.
    pub timers: Vec<(String, Option<Timer>)>,
    /// Fanfare's own events, appended to the inbox and planned in their turn.
    pub events: Vec<Event>,
    /// What happened for each event and rule.
    pub whys: Vec<Decision>,
    /// The lanes of cases that ended: once their deliveries are over too, nothing will be said in them again.
    pub ended: Vec<End>,
}

/// The end of a lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The case at one destination.
    pub lane: Lane,
    /// Whether its case was closed. What died of it, or was called off, is not sent again by hand then: it would open
    /// again what is closed. The case of an event without a key just ends, and says nothing about what it told.
    pub closed: bool,
}

/// Calls off what a lane still has untried: its deliveries that are due and had no attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancel {
    /// The case at one destination.
    pub lane: Lane,
    /// Only deliveries of this action: a newer reminder takes the place of an older one, not of an announcement.
    pub action: Option<String>,
    /// Only deliveries that do this: a newer change takes the place of an older one, not of the message.
    pub act: Option<MessageOp>,
    /// In words.
    pub reason: String,
}
