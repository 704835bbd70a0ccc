//! Decides what a batch of inbox entries and due timers leads to. Pure: what is known in, what to do out.
//!
//! [`keys()`] says what must be loaded, the store loads it into a [`LoadedState`], and [`plan()`] decides, synchronously and
//! without I/O. It is the only code that changes cases, throttles, digests, mutes and timers, and it runs once
//! at a time, so order is simple and every store gives the same result. When rules are first in force, [`arm`] brings
//! what runs by the clock in line with them.
//!
//! ```text
//!   event ─▶ judged ─▶ close? ─▶ arrived? ─▶ late? ─▶ case ─▶ each action ─▶ timer, or announce:
//!                                                              mute ─▶ throttle ─▶ digest ─▶ hours ─▶ delivery
//!   timer ─▶ reminder, closes_after, digest, opening of hours, end of a mute … ─▶ the same announce
//!   command, signal ─▶ close, ack, mute, replay; own events
//!   a delivery that died or is late ─▶ its fallbacks
//! ```
//!
//! A state machine is a file with one small document kind and functions from state, input and the present moment to the next
//! state and effects; it knows no other machine. The `flow` knows them all: it loads their documents, asks them in
//! order, and carries their effects out. [`loaded`] says what a document is, and the modules stand in the order in which they
//! use each other.

pub mod loaded;
pub mod why;
mod plan;
mod names;
mod state;

mod case;
mod timer;
mod effect;
mod draft;
mod inputs;

mod audit;
mod backfill;
mod cards;
mod closes;
mod digest;
mod fallback;
mod flood;
mod held;
pub mod links;
mod missing;
mod mute;
mod own;
mod reminders;
mod renamed;
mod sums;
mod threshold;
mod throttle;
mod wanted;

mod flow;
mod pending;

pub use self::audit::Audited;
pub use self::backfill::{Backfill, Backfills};
pub use self::case::Case;
pub(crate) use self::digest::{Collected, DigestId};
pub use self::draft::assignment;
pub use self::flood::{Brake, Decided, Flood};
pub use self::flow::arm::{arm, arm_keys};
pub use self::flow::event::misses;
use self::flow::links::offer;
pub use self::flow::load::keys;
use self::flow::report::reported;
pub use self::flow::sweep::Sweep;
use self::flow::{Planning, command, event, lost, timer as due};
pub(crate) use self::held::Waiting;
pub use self::inputs::{DestinationFacts, Destinations, Entered, Fired, Inputs, Judged, What};
pub use self::loaded::{DocChange, Key, Keys, LoadedState, Timer};
pub use self::mute::Muting;
pub use self::names::names_for;
pub use self::pending::{CaseKeys, Farewell, Orphan, Pending, case_keys, orphans};
pub use self::plan::{Cancel, End, Plan};
pub(crate) use self::timer::Meaning;

/// Plans a batch: the entries in inbox order, then the timers in the order given. Total: whatever stands in an event,
/// a document or a timer, there is a plan. What an entry changes is seen by those after it, so planning a batch and
/// planning its entries one by one have the same result.
///
/// `loaded` holds what [`keys()`] asked for with the same inputs. Should it panic all the same, no matter who calls plans the
/// batch one by one and puts [`Entered::parked`] or [`Fired::parked`] in the place of what it can't plan.
pub fn plan(inputs: &Inputs<'_>, loaded: LoadedState) -> Plan {
    let mut work = Planning::new(inputs.rules, inputs.destinations, loaded, inputs.now);
    for entered in &inputs.entries {
        match &entered.what {
            What::Event(judged) => {
                reported(&mut work, judged);
                event::event(&mut work, judged);
            }
            What::Signal(signal) => command::noticed(&mut work, entered.seq, signal),
            What::Command(command) => command::command(&mut work, entered.seq, command),
            What::Replay { again, rule, event: Some(judged), before } => {
                event::replay(&mut work, judged, *again, *rule, before);
            }
            // Retention took the event.
            What::Replay { event: None, .. } => {}
            What::Parked { own, reason } => work.park(entered.seq, *own, reason),
        }
        offer(&mut work);
        work.plan.upto = Some(entered.seq);
    }
    // Entries first: a close that came in time is not overtaken by the reminder that it ends.
    for fired in &inputs.timers {
        due::timer(&mut work, fired);
        offer(&mut work);
    }
    // Last, of what was not called off by then.
    lost::watch(&mut work);
    work.into_plan()
}
