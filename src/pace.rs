//! How fast a destination is spoken to: the retry schedule, the rate and the breaker. Pure.
//!
//! All of it is timestamps in one small [`Pace`] per destination, kept in the store, so that a restart and other
//! replicas respect it. The store applies [`Pace::admit`] when it claims, [`Pace::after`] when it settles and
//! [`Pace::spared`] when a claim ends without an attempt, each within its own transaction.
//!
//! A clock that was set back leaves times far ahead: none is ever held to be later than a right clock could have made
//! it, so an hour's jump costs no hour's silence.

mod outages;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{AttemptOutcome, State};

pub use self::outages::Outages;

/// The longest that a Retry-After is believed.
pub const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(1);

/// How many failures in a row open the breaker.
const BREAKER_FAILURES: u32 = 5;
/// The breaker's first pause; it doubles with each failed probe.
const BREAKER_FIRST: SignedDuration = SignedDuration::from_secs(30);
/// The breaker's longest pause.
const BREAKER_MAX: SignedDuration = SignedDuration::from_mins(15);
/// By so much the time that one caller has asked by may lie before another's that asked earlier: a call that is slow to
/// reach the store is overtaken. Only an older time shows that the clock was set back.
const OVERTAKEN_MAX: SignedDuration = SignedDuration::from_secs(10);
/// A probe's place is never held for longer, whatever its lease says.
const PROBE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// When to try again and when to give up: `retry: {first, max, give_up}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first wait; it doubles from there.
    pub first: SignedDuration,
    /// The longest wait.
    pub max: SignedDuration,
    /// How long after it became due the delivery is dead.
    pub give_up: SignedDuration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: SignedDuration::from_secs(5),
            max: SignedDuration::from_mins(15),
            give_up: SignedDuration::from_hours(24),
        }
    }
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Its state.
    pub state: State,
    /// When it is tried again, if it is retrying.
    pub at: Timestamp,
    /// Whether plain text goes next.
    pub plain: bool,
}

/// What one attempt taught, as far as it decides the next.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// How long the other side asked to wait.
    pub wait: Option<SignedDuration>,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// Whether it was plain text already.
    pub plain: bool,
    /// From when on `give_up` counts: `Delivery::counts_from`, which is when the delivery became due, moved on by what
    /// it waited since for the destination's rate and concurrency.
    pub from: Timestamp,
}

impl Tried {
    /// How long the other side asked to wait, as far as that is believed.
    fn asked(&self) -> SignedDuration {
        self.wait.unwrap_or_default().clamp(SignedDuration::ZERO, RETRY_AFTER_MAX)
    }

    /// The least wait. One that was limited and not told for how long waits as its destination does.
    fn pause(&self) -> SignedDuration {
        if self.outcome == AttemptOutcome::Limited && self.wait.is_none() { BREAKER_FIRST } else { self.asked() }
    }
}

impl Retry {
    /// The state after an attempt: the later of the schedule and the wait that was asked for. Where only the schedule
    /// leads beyond `give_up`, the last attempt is at its end; where the other side asks for a longer wait than is left,
    /// there is no further one.
    /// `dice` is a random number in 0..1: waits are spread over half to all of their length, so that many that failed
    /// together do not come back together.
    pub fn next(&self, tried: &Tried, now: Timestamp, dice: f64) -> Next {
        let done = |state| Next { state, at: now, plain: tried.plain };
        match tried.outcome {
            AttemptOutcome::Delivered => return done(State::Delivered),
            AttemptOutcome::Permanent => return done(State::Dead),
            AttemptOutcome::Refused if tried.plain => return done(State::Dead),
            AttemptOutcome::Refused => return Next { state: State::Retrying, at: now, plain: true },
            AttemptOutcome::Limited
            | AttemptOutcome::Temporary
            | AttemptOutcome::Partial
            | AttemptOutcome::Ambiguous => {}
        }
        if self.given_up(tried, now).is_some() {
            return done(State::Dead);
        }
        // Where one of several has it, the next one's turn is no repetition.
        let goes_on = tried.wait.filter(|_| tried.outcome == AttemptOutcome::Partial);
        let at = plus(now, goes_on.unwrap_or_else(|| self.wait(tried.number, dice).max(tried.pause())));
        Next { state: State::Retrying, at: at.min(plus(tried.from, self.give_up)), plain: tried.plain }
    }

    /// Why there is no attempt after this one, though a later one might succeed; `None` if there is one.
    pub fn given_up(&self, tried: &Tried, now: Timestamp) -> Option<String> {
        if matches!(tried.outcome, AttemptOutcome::Delivered | AttemptOutcome::Permanent | AttemptOutcome::Refused) {
            return None;
        }
        let ends = plus(tried.from, self.give_up);
        if now >= ends {
            return Some(format!("given up {:#} after it became due (`give_up`)", self.give_up));
        }
        let asked = tried.asked();
        (plus(now, asked) > ends).then(|| {
            format!(
                "given up: it asks for a wait of {asked:#}, and `give_up` is {:#} after it became due",
                self.give_up
            )
        })
    }

    /// The wait after attempt `number`.
    fn wait(&self, number: u32, dice: f64) -> SignedDuration {
        let first = self.first.as_millis().max(1);
        let full = first.saturating_mul(1 << number.saturating_sub(1).min(40)).min(self.max.as_millis().max(1));
        let spread = (full as f64 * (0.5 + dice.clamp(0.0, 1.0) / 2.0)) as i64;
        SignedDuration::from_millis(spread)
    }
}

/// What a destination may do at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The least time between two sends, on average.
    pub spacing: Option<SignedDuration>,
    /// How many may go at once before the spacing is kept.
    pub burst: u32,
    /// How many may be under way at a time.
    pub concurrency: u32,
}

impl Limits {
    /// How far ahead of even spacing a burst may run, in ms.
    fn slack_ms(&self) -> i64 {
        self.spacing.map_or(0, whole_ms).saturating_mul(i64::from(self.burst.max(1) - 1))
    }
}

/// A length in whole milliseconds, at least one.
fn whole_ms(span: SignedDuration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// How a destination stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// When the next send would be on time if all were evenly spaced (GCRA's theoretical arrival time), in ms.
    #[serde(default)]
    pub slot_ms: i64,
    /// Nothing goes before this: the other side asked for a pause, in ms.
    #[serde(default)]
    pub cool_ms: i64,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// The breaker is open until then, and half open after, in ms; 0 while it is shut.
    #[serde(default)]
    pub open_ms: i64,
    /// A probe is under way through the half-open breaker, and has its place until then, in ms; 0 if none is.
    #[serde(default)]
    pub probe_ms: i64,
    /// How often in a row the breaker has opened.
    #[serde(default)]
    pub opened: u32,
    /// Marked failing: revoked, archived or gone, until something is delivered again.
    #[serde(default)]
    pub failing: bool,
    /// When it was known to be down.
    #[serde(default, skip_serializing_if = "Outages::is_empty")]
    pub outages: Outages,
}

/// What people are notified about a destination when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was well, and now it is marked failing or its breaker is open.
    Failing,
    /// It was failing, and something got through.
    Recovered,
}

impl Pace {
    /// How many of `wanted` sends may go now, and takes their slots. Where the breaker is half open: one probe, whose
    /// place is held until `until`, when its lease ends.
    pub fn admit(&mut self, limits: &Limits, wanted: u32, now: Timestamp, until: Timestamp) -> u32 {
        let now_ms = now.as_millisecond();
        self.hold_within(limits, now_ms);
        if now_ms < self.not_before_ms() {
            return 0;
        }
        let half_open = self.open_ms != 0;
        let most = if half_open { wanted.min(1) } else { wanted };
        let admitted = self.take_slots(limits, most, now_ms);
        if half_open && admitted == 1 {
            self.probe_ms = until.as_millisecond().max(now_ms + 1);
        }
        admitted
    }

    /// Takes as many slots of the rate as are free, at most `most`.
    fn take_slots(&mut self, limits: &Limits, most: u32, now_ms: i64) -> u32 {
        let Some(spacing) = limits.spacing else { return most };
        let latest_ms = now_ms.saturating_add(limits.slack_ms());
        let mut taken = 0;
        while taken < most && self.slot_ms <= latest_ms {
            self.slot_ms = self.slot_ms.max(now_ms).saturating_add(whole_ms(spacing));
            taken += 1;
        }
        taken
    }

    /// When something may go again, as far as is known now.
    pub fn free_at(&self, limits: &Limits) -> Timestamp {
        let slot_ms = if limits.spacing.is_some() { self.slot_ms.saturating_sub(limits.slack_ms()) } else { 0 };
        crate::clock::from_ms(self.not_before_ms().max(slot_ms))
    }

    fn not_before_ms(&self) -> i64 {
        self.cool_ms.max(self.open_ms).max(self.probe_ms)
    }

    /// Brings back what lies further ahead than it can with a clock that only goes forwards.
    fn hold_within(&mut self, limits: &Limits, now_ms: i64) {
        let ahead = |span: SignedDuration| now_ms.saturating_add(whole_ms(span));
        self.cool_ms = self.cool_ms.min(ahead(RETRY_AFTER_MAX));
        self.open_ms = self.open_ms.min(ahead(BREAKER_MAX));
        self.probe_ms = self.probe_ms.min(ahead(PROBE_MAX));
        self.outages.hold_within(now_ms, ahead(OVERTAKEN_MAX), ahead(RETRY_AFTER_MAX));
        if let Some(spacing) = limits.spacing {
            let furthest_ms = ahead(spacing).saturating_add(limits.slack_ms());
            // A little further, and this call was overtaken: it must not give away the slots of those that overtook it.
            if self.slot_ms > furthest_ms.saturating_add(whole_ms(OVERTAKEN_MAX)) {
                self.slot_ms = furthest_ms;
            }
        }
    }

    /// Whether it is known to be down, and nothing may go to it for now.
    pub fn shuts_out(&self, now: Timestamp) -> bool {
        let now_ms = now.as_millisecond();
        now_ms < self.not_before_ms() && self.outages.is_down(now_ms)
    }

    /// How much of the time between these two moments it was not known to be down.
    pub fn up(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        SignedDuration::from_millis(self.outages.up_ms(from.as_millisecond(), to.as_millisecond()))
    }

    /// Whether people should know that it is not well: marked failing, or its breaker is not shut.
    pub fn is_failing(&self) -> bool {
        self.failing || self.open_ms != 0
    }

    /// What an attempt's end changes. `wait` is what the other side asked for, `failing` whether the destination itself
    /// is broken.
    pub fn after(
        &mut self,
        outcome: AttemptOutcome,
        wait: Option<SignedDuration>,
        failing: bool,
        now: Timestamp,
    ) -> Option<Change> {
        let was_failing = self.is_failing();
        let now_ms = now.as_millisecond();
        match outcome {
            AttemptOutcome::Delivered | AttemptOutcome::Partial => {
                self.failing = false;
                self.shut(now_ms);
                // Some services say with the last request of a window when the next one begins.
                let wait = wait.unwrap_or_default().clamp(SignedDuration::ZERO, RETRY_AFTER_MAX);
                if !wait.is_zero() {
                    self.cool_ms = self.cool_ms.max(now_ms.saturating_add(whole_ms(wait)));
                }
            }
            AttemptOutcome::Limited => {
                let wait = wait.unwrap_or(BREAKER_FIRST).clamp(SignedDuration::ZERO, RETRY_AFTER_MAX);
                self.cool_ms = self.cool_ms.max(now_ms.saturating_add(whole_ms(wait)));
                self.outages.pause(now_ms, self.cool_ms);
                // It answered, so the probe's place is free again; whether it is well is still to be seen.
                self.probe_ms = 0;
            }
            AttemptOutcome::Temporary | AttemptOutcome::Ambiguous => self.failed(now_ms),
            AttemptOutcome::Permanent if failing => {
                self.failing = true;
                self.failed(now_ms);
            }
            // The destination answered: the message was wrong, not the place.
            AttemptOutcome::Permanent | AttemptOutcome::Refused => self.shut(now_ms),
        }
        match (was_failing, self.is_failing()) {
            (false, true) => Some(Change::Failing),
            (true, false) => Some(Change::Recovered),
            _ => None,
        }
    }

    /// A claim ended without an attempt: if it was the probe, another may be.
    pub fn spared(&mut self) {
        self.probe_ms = 0;
    }

    /// Shuts the breaker. What the other side asked for, and the rate, stand.
    fn shut(&mut self, now_ms: i64) {
        let Self { slot_ms, cool_ms, failing, mut outages, .. } = *self;
        outages.end(now_ms, cool_ms);
        *self = Self { slot_ms, cool_ms, failing, outages, ..Self::default() };
    }

    fn failed(&mut self, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        // Attempts that were under way when the breaker opened say nothing new: only a probe lengthens the pause.
        let opens = if self.open_ms == 0 { self.failures >= BREAKER_FAILURES } else { self.probe_ms != 0 };
        if opens {
            let pause = whole_ms(BREAKER_FIRST) << self.opened.min(10);
            self.open_ms = now_ms.saturating_add(pause.min(whole_ms(BREAKER_MAX)));
            self.opened = self.opened.saturating_add(1);
            self.outages.begin(now_ms);
            self.probe_ms = 0;
        }
    }
}
