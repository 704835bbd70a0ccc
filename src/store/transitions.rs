//! What a delivery's row goes through: claimed, lost, settled, released, revived, called off.
//!
//! Pure, and shared by every store, so that they cannot differ: a store reads a [`Row`], lets it change here, and writes
//! it back within the same transaction.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{Claim, Error, Settlement};
use crate::clock::{from_ms, plus};
use crate::delivery::{Attempt, AttemptOutcome, Delivery, NewDelivery, Receipt, State};
use crate::pace::Pace;
use crate::planner::Cancel;

/// How many attempts in a row without an outcome, and the delivery is set aside: whatever it does to the process that
/// carries it out, it must not do that forever.
pub const LOST_MAX: u32 = 3;

/// How many deliveries of a destination that is down are looked at in one claim for whether they are to be given up.
pub const OVERDUE_MAX: u32 = 256;

/// The longest text that is kept of what was sent and what came back, in bytes.
pub const TEXT_MAX: usize = 4096;

/// By no more than this the clocks of replicas differ.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(1);

/// The length of a week, in ms.
const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;

/// A delivery with what only the store needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The delivery.
    pub delivery: Delivery,
    /// Grows with each claim; only the newest claim's holder may change anything.
    pub token: u64,
    /// When the attempt under way began.
    pub started: Option<Timestamp>,
    /// How many attempts in a row ended without an outcome.
    pub lost: u32,
}

/// What a taken delivery brought to light.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The attempt whose process ended before it did, to be recorded.
    pub lost: Option<Attempt>,
    /// Whether the delivery may be carried out; if not, it is dead by now.
    pub alive: bool,
}

impl Row {
    /// As planned.
    pub fn new(planned: NewDelivery, now: Timestamp) -> Self {
        let planned = NewDelivery { due: whole(planned.due), ..planned };
        let delivery = Delivery {
            state: State::Due,
            next: planned.due,
            planned,
            attempts: 0,
            first_attempt: None,
            counts_from: None,
            message: None,
            plain: false,
            last_error: None,
            created: whole(now),
            finished: None,
        };
        Self { delivery, token: 0, started: None, lost: 0 }
    }

    /// Looks at a due row before it is taken. If its last attempt never ended, that one is lost: it is to be recorded,
    /// and after [`LOST_MAX`] of them the delivery is dead.
    pub fn recover(&mut self, now: Timestamp) -> Taken {
        if self.delivery.state != State::Sending {
            return Taken { lost: None, alive: true };
        }
        self.lost += 1;
        let at = self.started.unwrap_or(self.delivery.next);
        let lost = Attempt {
            number: self.delivery.attempts,
            at,
            took_ms: u64::try_from(self.delivery.next.duration_since(at).as_millis()).unwrap_or(0),
            outcome: AttemptOutcome::Ambiguous,
            sent: String::new(),
            answer: "no outcome was recorded: the process ended, or stalled, during the attempt".into(),
        };
        self.delivery.last_error = Some(lost.answer.clone());
        let alive = self.lost < LOST_MAX;
        self.delivery.state = State::Retrying;
        if !alive {
            let reason = format!("dead: {LOST_MAX} attempts in a row ended without an outcome");
            self.finish(State::Dead, Some(reason), now);
        }
        Taken { lost: Some(lost), alive }
    }

    /// From when on `give_up` counts, as of now: what it has waited since it was due, or since its lane was free, counts
    /// only as far as its destination was known to be down meanwhile. `used` is when something last happened in its lane.
    fn counts_from(&self, used: Option<Timestamp>, pace: &Pace, now: Timestamp) -> Timestamp {
        let delivery = &self.delivery;
        let free = used.map_or(delivery.next, |used| delivery.next.max(used));
        plus(delivery.counts_from.unwrap_or(delivery.planned.due), pace.up(free.min(now), now))
    }

    /// When it is given up, as far as is known now, if its destination stays down.
    pub fn ends(&self, used: Option<Timestamp>, pace: &Pace, give_up: SignedDuration, now: Timestamp) -> Timestamp {
        plus(self.counts_from(used, pace, now), give_up)
    }

    /// Gives it up: its destination has been down for too long.
    pub fn give_up(&mut self, give_up: SignedDuration, now: Timestamp) {
        let mut reason =
            format!("given up {give_up:#} after it became due (`give_up`), while its destination was known to be down");
        if let Some(last) = self.delivery.last_error.as_deref().filter(|_| self.delivery.attempts > 0) {
            reason = format!("{reason}; the last attempt: {last}");
        }
        self.finish(State::Dead, Some(reason), now);
    }

    /// Takes it for an attempt: the attempt is counted here, before the first byte leaves. `used` is when something last
    /// happened in its lane, `pace` how its destination stands.
    pub fn take(&mut self, now: Timestamp, until: Timestamp, used: Option<Timestamp>, pace: &Pace) {
        let now = whole(now);
        let counts_from = self.counts_from(used, pace, now);
        let delivery = &mut self.delivery;
        delivery.counts_from = Some(counts_from);
        delivery.first_attempt = delivery.first_attempt.or(Some(now));
        delivery.state = State::Sending;
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.next = whole(until);
        self.token += 1;
        self.started = Some(now);
    }

    /// Only the newest claim may go on, and only once.
    ///
    /// # Errors
    /// [`Error::Lost`] if the claim was taken over or has ended.
    pub fn guard(&self, token: u64) -> Result<(), Error> {
        let live = self.delivery.state == State::Sending && self.token == token;
        if live { Ok(()) } else { Err(Error::Lost) }
    }

    /// A claim's row once its attempt has ended: nobody else changes it while the claim holds, so it needs no reading.
    pub fn settled(claim: &Claim, settlement: &Settlement, now: Timestamp) -> Self {
        let mut row = Self { delivery: claim.delivery.clone(), token: claim.token, started: None, lost: 0 };
        row.settle(settlement, now);
        row
    }

    /// An attempt ended.
    pub fn settle(&mut self, settlement: &Settlement, now: Timestamp) {
        let next = settlement.next;
        let failed = settlement.attempt.outcome != AttemptOutcome::Delivered;
        self.lost = 0;
        self.started = None;
        self.delivery.plain = next.plain;
        if failed {
            self.delivery.last_error = Some(capped(&settlement.attempt.answer));
        }
        if next.state.is_final() {
            self.finish(next.state, None, now);
        } else {
            self.delivery.state = next.state;
            self.delivery.next = whole(next.at);
        }
    }

    /// A claim ended without an attempt, which is counted back.
    pub fn release(&mut self, state: State, reason: &str, now: Timestamp) {
        self.delivery.attempts = self.delivery.attempts.saturating_sub(1);
        if self.delivery.attempts == 0 {
            self.delivery.first_attempt = None;
        }
        self.started = None;
        if state.is_final() {
            self.finish(state, Some(reason.to_owned()), now);
        } else {
            self.delivery.state = state;
            self.delivery.next = whole(now);
        }
    }

    /// A person wants it tried again, rendered anew and with a fresh `give_up`. `false` if it can't be: it is in progress or
    /// was delivered; or it is over, speaks of an open case, and that has closed since, as `closed` says.
    pub fn revive(&mut self, closed: bool, now: Timestamp) -> bool {
        let case = self.delivery.planned.assignment.case.as_ref();
        let is_outdated = closed && self.delivery.state.is_final() && case.is_none_or(|case| !case.closed);
        if is_outdated || matches!(self.delivery.state, State::Sending | State::Delivered) {
            return false;
        }
        self.delivery.state = State::Due;
        self.delivery.next = whole(now);
        self.delivery.first_attempt = None;
        self.delivery.counts_from = Some(whole(now));
        self.delivery.message = self.delivery.message.as_deref().and_then(settled_alone);
        self.delivery.plain = false;
        self.delivery.finished = None;
        self.lost = 0;
        true
    }

    /// Calls it off. `false` if it is final, or under way.
    pub fn cancel(&mut self, reason: &str, now: Timestamp) -> bool {
        let waits = matches!(self.delivery.state, State::Due | State::Retrying);
        if waits {
            self.finish(State::Cancelled, Some(reason.to_owned()), now);
        }
        waits
    }

    /// Whether this calls it off, if it is of that lane: it waits, was never tried, and is of the action that is meant.
    pub fn is_replaced_by(&self, cancel: &Cancel) -> bool {
        let planned = &self.delivery.planned;
        let meant = cancel.action.as_ref().is_none_or(|action| *action == planned.action)
            && cancel.act.is_none_or(|act| act == planned.act);
        meant && self.delivery.state == State::Due && self.delivery.attempts == 0
    }

    fn finish(&mut self, state: State, reason: Option<String>, now: Timestamp) {
        let now = whole(now);
        self.delivery.state = state;
        self.delivery.next = now;
        self.delivery.finished = Some(now);
        self.started = None;
        if let Some(reason) = reason {
            self.delivery.last_error = Some(capped(&reason));
        }
    }
}

/// What a lane remembers: how to find its first message, and whether anybody may have seen one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LaneState {
    /// What the first delivered message gave back.
    pub receipt: Option<Receipt>,
    /// Whether any message was delivered, or perhaps.
    pub shown: bool,
}

/// How a lane stands in a database whose case has ended; 0 is one whose case is open.
pub const ENDED: i64 = 1;
/// The same of one whose case ended since it was closed.
pub const CLOSED: i64 = 2;

impl LaneState {
    /// An attempt of the lane ended so. Gives whether anything changed.
    pub fn after(&mut self, outcome: AttemptOutcome, receipt: Option<&Receipt>) -> bool {
        let before = (self.shown, self.receipt.is_some());
        let is_taken = matches!(outcome, AttemptOutcome::Delivered | AttemptOutcome::Partial);
        self.shown |= is_taken || outcome == AttemptOutcome::Ambiguous;
        if is_taken && self.receipt.is_none() {
            self.receipt = receipt.cloned();
        }
        before != (self.shown, self.receipt.is_some())
    }
}

/// Under this a kept message holds which recipients are done with.
pub const SETTLED: &str = "settled";

/// What is kept of a message that is to be rendered anew: which recipients are done with, if any are.
fn settled_alone(message: &str) -> Option<String> {
    let mut message: Map<String, Value> = serde_json::from_str(message).ok()?;
    let settled = message.remove(SETTLED)?;
    Some(Value::Object(Map::from_iter([(SETTLED.to_owned(), settled)])).to_string())
}

/// The week since 1970 that a moment is in: ids are forgotten by whole weeks.
pub fn week_of(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(WEEK_MS)
}

/// When a week ends.
pub fn week_end(week: i64) -> Timestamp {
    from_ms(week.saturating_add(1).saturating_mul(WEEK_MS))
}

/// Whether a lease need not be prolonged yet: more than half of the time that is asked for is left. So a holder that asks
/// all the time writes seldom.
pub fn holds_on(ends: Timestamp, now: Timestamp, until: Timestamp) -> bool {
    let (left, asked) = (ends.duration_since(now), until.duration_since(now));
    left.is_positive() && left.as_millis() * 2 > asked.as_millis() && ends <= until
}

/// Whether the right to plan that another has is over: its time has come, or lies so far ahead that the clock must have
/// been set back since it was given. Taking it too early would harm nothing: the other's plan would be refused.
pub fn is_over(ends: Timestamp, now: Timestamp, until: Timestamp) -> bool {
    ends <= now || ends > plus(until, CLOCKS_APART)
}

/// The moment to the millisecond: all that is kept.
pub fn whole(at: Timestamp) -> Timestamp {
    from_ms(at.as_millisecond())
}

/// The text, cut at a character's border to [`TEXT_MAX`] bytes.
pub fn capped(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// The attempt, its texts cut to [`TEXT_MAX`].
pub fn capped_attempt(attempt: &Attempt) -> Attempt {
    let mut attempt = attempt.clone();
    attempt.at = whole(attempt.at);
    attempt.sent = capped(&attempt.sent);
    attempt.answer = capped(&attempt.answer);
    attempt
}
