//! Where everything durable is: the inbox, the planner's state, deliveries and their attempts.
//!
//! One trait, its verbs in the order in which an event lives; three ways to keep it (`memory`, `sqlite`, `postgres`),
//! held to one conformance suite. A store decides nothing: what a destination may do is [`Pace`]'s to say, what an event leads to
//! the planner's. It never reads the clock; callers pass the time. Guards stand in the signatures: only a [`PlannerLease`]
//! commits a plan, only a [`Claim`]'s token settles a delivery.

mod address;
pub mod look;
mod memory;
mod postgres;
mod room;
mod rows;
pub mod signals;
mod sqlite;
mod threads;
pub mod transitions;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use jiff::{SignedDuration, Timestamp};

pub use self::address::{Examination, Glance, Trouble, Wanted, backup, check, examine, files, glance, open, remembers};
use crate::delivery::{Attempt, Delivery, DeliveryId, Lane, Receipt, State};
use crate::event::{Entry, Event, Item, Seq, Signal};
use crate::pace::{Limits, Next, Pace};
use crate::planner::loaded::DueTimer;
use crate::planner::why::Decision;
use crate::planner::{Keys, LoadedState, Plan};
use crate::store::look::{Became, DecisionFilter, Decisions, Found, Tally, Words};

/// How many different bodies are kept that came with the id of one event.
pub const CONFLICTS_MAX: usize = 8;

/// A page of events ends when their bodies make this many bytes together, however many were asked for.
pub const PAGE_BYTES_MAX: usize = 8 << 20;

/// What waits for the planner is given out until it takes about this many bytes, read: one entry at least.
pub const WAITING_BYTES_MAX: usize = 24 << 20;

/// How much longer than a dead delivery the lane of a case is remembered that hasn't ended: one that stays open for a
/// year still finds what it announced.
pub const LANE_KEPT: SignedDuration = SignedDuration::from_hours(365 * 24);

/// An answer to come.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Why a store could not do what it was asked. A variant for each case that somebody tells apart.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The lease or claim is another's by now; nothing was changed.
    #[error("the lease was lost to another")]
    Lost,
    /// No room on the disk; nothing was changed, reading and settling may still work.
    #[error("the disk is full")]
    Full,
    /// It may work again later; whether anything was changed is not known.
    #[error("the store can't be reached: {0}")]
    Unavailable(String),
    /// The disk reported a failure while writing: what it holds can't be known until the process starts anew.
    #[error("the disk failed: {0}")]
    Broken(String),
    /// The store is not one that this program can use: another program's file, a newer schema, damage.
    #[error("{0}")]
    Unusable(String),
}

/// What became of an appended event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is new, and durable.
    Fresh(Seq),
    /// Its (source, id) is known and durable; nothing more is done.
    Duplicate {
        /// Where the first stands, or stood before retention took it.
        seq: Seq,
        /// Whether this one has another body: it is kept beside the first, flagged, and not acted on.
        conflict: bool,
    },
}

/// The right to plan, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannerLease {
    /// Grows with each change of holder: an older one commits nothing.
    pub token: u64,
    /// Until then.
    pub until: Timestamp,
}

/// What waits for the planner.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Waiting {
    /// Inbox entries after the last planned one, in order.
    pub entries: Vec<Entry>,
    /// Timers that have come due, by due time and id.
    pub timers: Vec<DueTimer>,
    /// When the next timer comes due that has not yet.
    pub next_timer: Option<Timestamp>,
}

/// How many deliveries of one destination may be claimed.
#[derive(Debug, Clone)]
pub struct Room {
    /// The destination.
    pub destination: String,
    /// Its limits; what is under way already, on any replica, counts against them.
    pub limits: Limits,
    /// How long a claim on one of its deliveries lasts.
    pub lease: SignedDuration,
    /// How long after it became due a delivery is given up while the destination is known to be down.
    pub give_up: SignedDuration,
    /// At most this many now.
    pub wanted: u32,
}

/// The right to carry out one delivery, for a time. The attempt was counted when it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The delivery, `attempts` counting this one.
    pub delivery: Delivery,
    /// Only this settles it.
    pub token: u64,
    /// Until then; then another may take it.
    pub until: Timestamp,
    /// What the first delivered message of its lane gave back.
    pub receipt: Option<Receipt>,
    /// Whether any message of its lane was delivered, or was perhaps.
    pub shown: bool,
}

/// What was claimed, and when to look again if nothing happens before.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Claimed {
    /// The claims; fewer than asked for where a lane, a pace or the limits hold others back.
    pub claims: Vec<Claim>,
    /// When the next delivery may be claimed or given up, as far as is known now.
    pub next: Option<Timestamp>,
    /// Whether a delivery died on the way: what is notified of that is to be planned.
    pub told: bool,
}

/// How an attempt ended, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The attempt.
    pub attempt: Attempt,
    /// The delivery's next state.
    pub next: Next,
    /// How to find what was sent.
    pub receipt: Option<Receipt>,
    /// How long the other side asked to wait.
    pub wait: Option<jiff::SignedDuration>,
    /// Whether the destination itself is broken.
    pub failing: bool,
    /// What Fanfare noticed: into the inbox with it, in the same transaction.
    pub signals: Vec<Signal>,
}

/// Which events to list. All given must hold; newest first, except for what `after` says.
#[derive(Debug, Default, Clone)]
pub struct EventFilter {
    /// Of this source.
    pub source: Option<String>,
    /// Of exactly this type, or with a trailing `*`, of types that begin so.
    pub kind: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Before this place of the inbox, for the next page.
    pub before: Option<Seq>,
    /// After this place of the inbox, and then oldest first: for who reads on from there.
    pub after: Option<Seq>,
    /// At most this many.
    pub limit: usize,
}

/// Which deliveries to list. All given must hold; newest first.
#[derive(Debug, Default, Clone)]
pub struct DeliveryFilter {
    /// In one of these states; any if empty.
    pub states: Vec<State>,
    /// To this destination.
    pub destination: Option<String>,
    /// Of this rule.
    pub rule: Option<String>,
    /// Of one of these events; of any, if empty.
    pub events: Vec<Seq>,
    /// In one of these lanes; in any or none, if empty.
    pub lanes: Vec<Lane>,
    /// Planned at or after.
    pub since: Option<Timestamp>,
    /// Planned before this one, whatever becomes of either meanwhile: for anyone who changes what is listed page by page.
    /// None are, if it is not there.
    pub before: Option<DeliveryId>,
    /// Among the newest this many, or the newest before `before`, whatever else is asked of them: for anyone who needs an
    /// answer soon. All, if `None`. [`Store::beyond`] says where the next look goes on.
    pub within: Option<usize>,
    /// Skip this many, for the next page.
    pub skip: usize,
    /// At most this many.
    pub limit: usize,
}

/// An event that came with a known id and another body.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// The event whose id it bears.
    pub of: Seq,
    /// When it came.
    pub received: Timestamp,
    /// Its body.
    pub raw: Vec<u8>,
}

/// One destination's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The destination.
    pub destination: String,
    /// Its pace.
    pub pace: Pace,
}

/// What another process has made work for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// The inbox has something.
    Plan,
    /// Deliveries may be due.
    Dispatch,
}

/// How the store stands, for probes, metrics and the page.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Census {
    /// The newest place of the inbox.
    pub head: Seq,
    /// Planned up to here.
    pub planned: Seq,
    /// How many deliveries are in each state, of those not yet pruned; about how many, above [`look::COUNTED_MAX`].
    pub deliveries: Vec<(State, u64)>,
    /// When the oldest delivery that waits came due.
    pub oldest_due: Option<Timestamp>,
    /// How many timers are set; about how many, above [`look::COUNTED_MAX`].
    pub timers: u64,
    /// Bytes on disk, write-ahead log included.
    pub bytes: u64,
}

/// A place where everything durable is.
pub trait Store: Send + Sync {
    /// Appends an event unless its (source, id) is known. Answers when it is durable; events that arrive together
    /// share one commit.
    fn append(&self, event: Event) -> Answer<'_, Appended>;

    /// Appends a command or a signal.
    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq>;

    /// Whether other processes may use it at the same time.
    fn is_shared(&self) -> bool {
        false
    }

    /// Takes, or keeps, the right to plan, until `until`; while more than half of that is left anyway, it stays as it is
    /// and nothing is written. `None` while another holds it. `holder` must be this process's alone.
    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>>;

    /// What waits for the planner: at most `limit` entries, of no more than about [`WAITING_BYTES_MAX`] once they are read,
    /// which their bodies are not yet ([`Item::read`]), and `limit` timers.
    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting>;

    /// Loads documents.
    fn load(&self, keys: &Keys) -> Answer<'_, LoadedState>;

    /// Events by place, their bodies not read ([`Event::read`]); those that retention took are missing.
    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>>;

    /// Commits a plan, all of it or nothing. [`Error::Lost`] if the lease is another's. Gives the number of
    /// deliveries that were new.
    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64>;

    /// Takes due deliveries whose lane is free, within each room, its limits and its pace, for as long as its lease. A
    /// delivery whose lease has run out counts as due. Counts the attempt before the first byte leaves. What waits too long
    /// for a destination that is known to be down is dead, and so is what was lost too often; both are reported.
    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed>;

    /// Keeps the rendered message, so that every attempt says the same.
    fn keep(&self, claim: &Claim, message: String) -> Answer<'_, ()>;

    /// Ends a claim: records the attempt, sets the state, the pace and the receipt, appends the signals.
    /// [`Error::Lost`] if the token is stale; then nothing is changed.
    fn settle(&self, claim: &Claim, settlement: Settlement, now: Timestamp) -> Answer<'_, ()>;

    /// Ends a claim without an attempt: a close of what was never shown is cancelled, a claim given back at shutdown is
    /// due again.
    fn release(&self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Answer<'_, ()>;

    /// Makes dead, cancelled or waiting deliveries due now, to be rendered anew; but none that is over and speaks of a case
    /// that has closed since. Gives how many it did.
    fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Answer<'_, u64>;

    /// Calls off deliveries that are not final and not under way. Gives how many it did.
    fn cancel(&self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Answer<'_, u64>;

    /// Lists events. Their bodies are not read: most lists show none, and read they take many times the room. Who needs one
    /// calls [`Event::read`].
    fn list_events(&self, filter: &EventFilter) -> Answer<'_, Vec<(Seq, Event)>>;

    /// Events by place, in the order asked for, for people: as [`Store::list_events`] they end early where their bodies are
    /// large, and those that retention took are missing.
    fn list_places(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>>;

    /// Looks for events, the newest first, that a filter and words accept. What the filter says of `after` does not count. Reads
    /// no more than [`look::PLACES_MAX`] places and about [`look::BYTES_MAX`] bytes of bodies, and says where to go on.
    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found>;

    /// What became of events: of each its newest `most` deliveries, and the outcomes that rules came to.
    fn became(&self, events: &[Seq], most: usize) -> Answer<'_, BTreeMap<Seq, Became>>;

    /// What came, what rules did about it and what was planned, from the hour on that `since` is in: by the hour, of about a
    /// month, at most [`look::TALLIES_MAX`] counts.
    fn tally(&self, since: Timestamp) -> Answer<'_, Tally>;

    /// Lists what rules did, on the newest events first, on those at no more than [`look::PLACES_MAX`] places.
    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions>;

    /// Timers that are set, by due time and id, after this one.
    fn timers(&self, after: (Timestamp, &str), limit: usize) -> Answer<'_, Vec<DueTimer>>;

    /// The places of an event id, newest first, of whichever source.
    fn find_event(&self, id: &str) -> Answer<'_, Vec<Seq>>;

    /// What came with the id of this event and another body.
    fn conflicts(&self, event: Seq) -> Answer<'_, Vec<Conflict>>;

    /// What each rule did about an event.
    fn whys(&self, event: Seq) -> Answer<'_, Vec<Decision>>;

    /// Lists deliveries.
    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>>;

    /// The last of `many` deliveries that were planned last, or last before this one; `None` where none were planned before
    /// those.
    fn beyond(&self, before: Option<&DeliveryId>, many: usize) -> Answer<'_, Option<DeliveryId>>;

    /// A delivery and its attempts.
    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>>;

    /// Documents of a kind, by id, after `after`.
    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>>;

    /// The destinations for which deliveries wait or are under way, sorted.
    fn waiting_destinations(&self) -> Answer<'_, Vec<String>>;

    /// How each destination stands that was ever spoken to.
    fn standings(&self) -> Answer<'_, Vec<Standing>>;

    /// How the store stands.
    fn census(&self) -> Answer<'_, Census>;

    /// Deletes at most `limit` things that ended or came before `before`: final deliveries, and planned events that no
    /// document, timer or kept delivery needs, with what rules did about them. Dead deliveries, and what came with a known
    /// id and another body, go only if older than `before_dead`, and so do lanes whose case has ended and in which nothing
    /// waits; those of open cases [`LANE_KEPT`] later; ids by whole weeks (see [`transitions::week_of`]) that ended before it. Gives about how many; 0 when there is nothing more.
    fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Answer<'_, u64>;

    /// Whether it can take something in and commit it now: by the way that an event goes, though nothing stays of it but a
    /// write through to the disk.
    fn probe(&self) -> Answer<'_, ()>;

    /// The time by the clock that all who share the store go by; `None` where only this process uses it, so that its own
    /// clock is as good as any.
    fn time(&self) -> Answer<'_, Option<Timestamp>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Ends when another process that shares the store has made work; never where there is none. Only a hint: one may be
    /// lost, or be told for nothing.
    fn hint(&self) -> Pin<Box<dyn Future<Output = Hint> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    /// Ends when a thread or task that the store can't do without has ended by itself, and says which; never where there is
    /// none. The process must start anew then.
    fn ended(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(std::future::pending())
    }

    /// The names of those threads and tasks: for tests.
    #[doc(hidden)]
    fn threads(&self) -> &'static [&'static str] {
        &[]
    }

    /// Ends one of them, as if it had failed: for tests.
    #[doc(hidden)]
    fn end_thread(&self, _name: &str) {}

    /// Records, durably, that somebody was there to take events in at `now`; gives when that was noted last before. Where
    /// that is still to come, the clock was set back: what was due at such a time, or was tried then and waits to be tried
    /// again, is due now, so that it doesn't wait for the clock to come there again. Like taking something in, it fails where the disk is
    /// full.
    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>>;

    /// Finishes what is under way and lets go of the files.
    fn close(&self) -> Answer<'_, ()>;
}
