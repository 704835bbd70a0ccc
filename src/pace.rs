//! How fast a destination is spoken to: the retry schedule, the rate and the breaker. Pure.
//!
//! All of it is timestamps in one small [`Pace`] per destination, kept in the store, so that a restart and other
//! replicas respect it. The store applies [`Pace::admit`] when it claims and [`Pace::after`] when it settles, each
//! within its own transaction.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Outcome, State};

/// The longest that a Retry-After is believed.
pub const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(1);

/// So many failures in a row open the breaker.
const BREAKER_FAILURES: u32 = 5;
/// The breaker's first pause; it doubles with each failed probe.
const BREAKER_FIRST: SignedDuration = SignedDuration::from_secs(30);
/// The breaker's longest pause.
const BREAKER_MAX: SignedDuration = SignedDuration::from_mins(15);

/// When to try again and when to give up: `retry: {first, max, give_up}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The first wait; it doubles from there.
    pub first: SignedDuration,
    /// The longest wait.
    pub max: SignedDuration,
    /// How long after the first attempt the delivery is dead.
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
    pub outcome: Outcome,
    /// How long the other side asked to wait.
    pub wait: Option<SignedDuration>,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// Whether it was plain text already.
    pub plain: bool,
    /// When the first attempt began.
    pub first: Timestamp,
}

impl Retry {
    /// The state after an attempt: the later of the schedule and the wait that was asked for.
    /// `dice` is a random number in 0..1: waits are spread over half to all of their length, so that many that failed
    /// together do not come back together.
    pub fn next(&self, tried: &Tried, now: Timestamp, dice: f64) -> Next {
        let done = |state| Next { state, at: now, plain: tried.plain };
        match tried.outcome {
            Outcome::Delivered => return done(State::Delivered),
            Outcome::Permanent => return done(State::Dead),
            Outcome::Refused if tried.plain => return done(State::Dead),
            Outcome::Refused => return Next { state: State::Retrying, at: now, plain: true },
            Outcome::Limited | Outcome::Temporary | Outcome::Ambiguous => {}
        }
        let asked = tried.wait.unwrap_or_default().clamp(SignedDuration::ZERO, RETRY_AFTER_MAX);
        let at = plus(now, self.wait(tried.number, dice).max(asked));
        if at > plus(tried.first, self.give_up) {
            return done(State::Dead);
        }
        Next { state: State::Retrying, at, plain: tried.plain }
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
        self.spacing.map_or(0, spacing_ms) * i64::from(self.burst.max(1) - 1)
    }
}

fn spacing_ms(spacing: SignedDuration) -> i64 {
    i64::try_from(spacing.as_millis()).unwrap_or(i64::MAX).max(1)
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
    /// The breaker is open until then, in ms; 0 while it is shut.
    #[serde(default)]
    pub open_ms: i64,
    /// How often in a row the breaker has opened.
    #[serde(default)]
    pub opened: u32,
    /// Marked failing: revoked, archived or gone, until something is delivered again.
    #[serde(default)]
    pub failing: bool,
}

impl Pace {
    /// How many of `wanted` sends may go now, and takes their slots. Where the breaker is half open, one probe.
    pub fn admit(&mut self, limits: &Limits, wanted: u32, now: Timestamp) -> u32 {
        let now_ms = now.as_millisecond();
        if now_ms < self.not_before_ms() {
            return 0;
        }
        let mut admitted = wanted;
        if self.open_ms != 0 {
            admitted = admitted.min(1);
            // The probe's place: nobody else probes until it has ended, or its time is over.
            if admitted == 1 {
                self.open_ms = now_ms + BREAKER_FIRST.as_millis() as i64;
            }
        }
        if let Some(spacing) = limits.spacing {
            let spacing_ms = spacing_ms(spacing);
            let mut free = 0;
            while free < admitted && self.slot_ms <= now_ms + limits.slack_ms() {
                self.slot_ms = self.slot_ms.max(now_ms) + spacing_ms;
                free += 1;
            }
            admitted = free;
        }
        admitted
    }

    /// When something may go again.
    pub fn free_at(&self, limits: &Limits) -> Timestamp {
        let slot_ms = if limits.spacing.is_some() { self.slot_ms - limits.slack_ms() } else { 0 };
        crate::clock::from_ms(self.not_before_ms().max(slot_ms))
    }

    fn not_before_ms(&self) -> i64 {
        self.cool_ms.max(self.open_ms)
    }

    /// What an attempt's end changes.
    pub fn after(&mut self, outcome: Outcome, wait: Option<SignedDuration>, failing: bool, now: Timestamp) {
        let now_ms = now.as_millisecond();
        match outcome {
            Outcome::Delivered => {
                *self = Self { slot_ms: self.slot_ms, cool_ms: self.cool_ms, ..Self::default() };
            }
            Outcome::Limited => {
                let wait = wait.unwrap_or(BREAKER_FIRST).clamp(SignedDuration::ZERO, RETRY_AFTER_MAX);
                self.cool_ms = self.cool_ms.max(now_ms + wait.as_millis() as i64);
                if self.open_ms != 0 {
                    self.open_ms = now_ms;
                }
            }
            Outcome::Temporary | Outcome::Ambiguous => self.failed(now_ms),
            Outcome::Permanent if failing => {
                self.failing = true;
                self.failed(now_ms);
            }
            // The destination answered: the message was wrong, not the place.
            Outcome::Permanent | Outcome::Refused => {
                self.failures = 0;
                self.open_ms = 0;
            }
        }
    }

    fn failed(&mut self, now_ms: i64) {
        self.failures = self.failures.saturating_add(1);
        if self.failures < BREAKER_FAILURES {
            return;
        }
        let pause = (BREAKER_FIRST.as_millis() as i64) << self.opened.min(10);
        self.open_ms = now_ms + pause.min(BREAKER_MAX.as_millis() as i64);
        self.opened = self.opened.saturating_add(1);
    }
}
