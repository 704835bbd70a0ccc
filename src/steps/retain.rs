//! Retention: what ended long ago goes, a little at a time, and never because of a clock that leapt.
//!
//! How old something is, only the clock says; and a clock that is set forward by a year makes everything old at once. So
//! retention goes by a time of its own, which follows the clock, but no faster than a day in an hour: a mistake that lasts
//! for an hour costs a day of history at most.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::plus;
use crate::steps::{Live, StepResult};
use crate::store;

/// How much faster than real time its own time may run.
const FASTER: i32 = 24;
/// How many things are taken in one transaction.
const STEP: usize = 500;

/// The time that retention goes by.
#[derive(Debug, Default)]
pub struct Calendar {
    at: Option<Timestamp>,
}

impl Calendar {
    /// Begins where somebody was there last: a clock that leapt while nobody was is no more right than another.
    pub fn from(last_alive: Option<Timestamp>) -> Self {
        Self { at: last_alive }
    }

    /// The time to go by at `now`, `passed` after it was asked for last by a clock that can't be set.
    pub fn at(&mut self, now: Timestamp, passed: Duration) -> Timestamp {
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let furthest = |at| plus(at, passed.checked_mul(FASTER).unwrap_or(SignedDuration::MAX));
        let at = self.at.map_or(now, |at| now.min(furthest(at)));
        self.at = Some(at);
        at
    }
}

/// Takes at most one transaction's worth of what retention no longer wants at `at`.
pub async fn step(live: &Live, at: Timestamp) -> Result<StepResult, store::Error> {
    let settings = live.snapshot.load().settings.clone();
    let before = plus(at, SignedDuration::ZERO - settings.retention);
    let before_dead = plus(at, SignedDuration::ZERO - settings.retention_dead);
    match live.store.prune(before, before_dead, STEP).await? {
        0 => Ok(StepResult::Idle(None)),
        count => Ok(StepResult::Worked(count)),
    }
}
