//! Decides what a batch of inbox entries and due timers leads to. Pure: what is known in, what to do out.
//!
//! [`keys()`] says what must be loaded, the store loads it into a [`Ledger`], and [`plan`] decides, synchronously and
//! without I/O. It is the only code that changes cases, throttles, digests, mutes and timers, and it runs in one place
//! at a time, so order is simple and every store gives the same result. When rules are first in force, [`arm`] brings
//! what runs by the clock in line with them.
//!
//! ```text
//!   event ─▶ judged ─▶ close? ─▶ arrived? ─▶ late? ─▶ case ─▶ each action ─▶ timer, or announce:
//!                                                              mute ─▶ throttle ─▶ digest ─▶ hours ─▶ delivery
//!   timer ─▶ reminder, closes_after, digest, opening of hours, end of a mute … ─▶ the same announce
//!   command, signal ─▶ close, ack, mute, replay; own events and fallbacks
//! ```
//!
//! Each state machine is a file with one small document kind; [`ledger`] says what a document is.

mod announce;
mod arm;
mod book;
mod case;
mod close;
mod command;
mod digest;
mod fallback;
mod hold;
mod inputs;
mod keys;
pub mod ledger;
mod matching;
mod missing;
mod mute;
mod own;
mod prospect;
mod round;
mod successor;
mod sweep;
mod throttle;
mod timer;
pub mod why;

pub use self::announce::assignment;
pub use self::arm::{Orphan, arm, arm_keys, orphans};
pub use self::case::Case;
pub use self::inputs::{DestinationFacts, Destinations, Entered, Fired, Inputs, Judged, What, names_for, rule_named};
pub use self::keys::keys;
pub use self::ledger::{DocChange, Key, Keys, Ledger, Timer};
pub use self::mute::Muting;
pub use self::prospect::{CaseKeys, Farewell, Pending, case_keys};
use self::round::Round;
pub use self::sweep::Sweep;
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
    pub whys: Vec<why::Decision>,
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
    /// In words.
    pub reason: String,
}

/// Plans a batch: the entries in inbox order, then the timers in the order given. Total: whatever stands in an event,
/// a document or a timer, there is a plan. What an entry changes is seen by those after it, so planning a batch and
/// planning its entries one by one come to the same.
///
/// `ledger` holds what [`keys()`] asked for with the same inputs. Should it panic all the same, whoever calls plans the
/// batch one by one and puts [`Entered::parked`] or [`Fired::parked`] in the place of what it can't plan.
pub fn plan(inputs: &Inputs<'_>, ledger: Ledger) -> Plan {
    let mut round = Round::new(inputs, ledger);
    for entered in &inputs.entries {
        match &entered.what {
            What::Event(judged) => round.event(judged),
            What::Signal(signal) => round.noticed(entered.seq, signal),
            What::Command(command) => round.command(command),
            What::Replay { again, rule, event, before } => round.replay(event.as_ref(), *again, *rule, before),
            What::Parked { own, reason } => round.park(entered.seq, *own, reason),
        }
        round.plan.upto = Some(entered.seq);
    }
    for fired in &inputs.timers {
        round.timer(fired);
    }
    round.into_plan()
}
