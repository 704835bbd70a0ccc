//! Decides what a batch of inbox entries and due timers leads to. Pure: what is known in, what to do out.
//!
//! [`keys`] says what must be loaded, the store loads it into a [`Ledger`], and [`plan`] decides, synchronously and
//! without I/O. It is the only code that changes cases, throttles, digests, mutes and timers, and it runs in one place
//! at a time, so order is simple and every store gives the same result.

pub mod ledger;
pub mod why;

pub use self::ledger::{DocChange, Key, Keys, Ledger, Timer};
use crate::delivery::{Lane, NewDelivery};
use crate::event::{Event, Seq};

/// Everything one planning round changes, committed in one transaction.
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
    pub whys: Vec<why::WhyRow>,
}

/// Calls off what a lane still has untried: its deliveries that are due and had no attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancel {
    /// The case at one destination.
    pub lane: Lane,
    /// Only deliveries of this action: a newer reminder takes the place of an older one, not of an announcement.
    pub action: Option<String>,
    /// In words.
    pub reason: String,
}
