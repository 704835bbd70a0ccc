//! When a destination was known to be down: its breaker open, or a pause that it asked for. Pure.
//!
//! What a delivery waits meanwhile counts towards its `give_up`; what it waits for a rate or for room does not. Only the
//! newest outages are kept: what waited through more of them is given up later than it could be, never earlier.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many are kept.
const KEPT: usize = 8;
/// The end of an outage that only a success ends.
const OPEN: i64 = i64::MAX;

/// The newest outages of a destination, newest first, in ms; those not in use are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outages([(i64, i64); KEPT]);

impl Outages {
    /// Whether none is known.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Down until something gets through.
    pub(super) fn begin(&mut self, now_ms: i64) {
        self.pause(now_ms, OPEN);
    }

    /// Down until `until_ms`.
    pub(super) fn pause(&mut self, now_ms: i64, until_ms: i64) {
        let [(from, until), ..] = &mut self.0;
        if *until >= now_ms && *from <= now_ms {
            *until = (*until).max(until_ms);
        } else if until_ms > now_ms {
            self.0.rotate_right(1);
            let [newest, ..] = &mut self.0;
            *newest = (now_ms, until_ms);
        }
    }

    /// Something got through; a pause until `pause_ms` stands.
    pub(super) fn end(&mut self, now_ms: i64, pause_ms: i64) {
        let [(_, until), ..] = &mut self.0;
        *until = (*until).min(pause_ms.max(now_ms));
    }

    /// Whether it is down now.
    pub(super) fn is_down(&self, now_ms: i64) -> bool {
        let [(from, until), ..] = self.0;
        from <= now_ms && now_ms < until
    }

    /// Of what begins after `latest_ms`, lets the newest begin now and forgets the others, and ends pauses by `pause_ms`: the
    /// clock was set back.
    pub(super) fn hold_within(&mut self, now_ms: i64, latest_ms: i64, pause_ms: i64) {
        for (place, outage) in self.0.iter_mut().enumerate() {
            if outage.0 > latest_ms {
                *outage = if place == 0 { (now_ms, outage.1) } else { (0, 0) };
            }
            if outage.1 != OPEN {
                outage.1 = outage.1.min(pause_ms);
            }
        }
    }

    /// How much of the time between these two moments it was not down.
    pub(super) fn up_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        let down = |(from, until): &(i64, i64)| (until.min(&to_ms) - from.max(&from_ms)).max(0);
        let down_ms: i64 = self.0.iter().map(down).sum();
        (to_ms.saturating_sub(from_ms)).saturating_sub(down_ms).max(0)
    }
}

impl Serialize for Outages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter(|outage| **outage != (0, 0)))
    }
}

impl<'de> Deserialize<'de> for Outages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all: Vec<(i64, i64)> = Vec::deserialize(deserializer)?;
        let mut outages = Self::default();
        for (kept, outage) in outages.0.iter_mut().zip(all) {
            *kept = outage;
        }
        Ok(outages)
    }
}
