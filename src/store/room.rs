//! What a claim takes of a destination, and what it gives up there.
//!
//! Pure, and shared by every store, so that they cannot differ: a store finds the rows, in its own way, and writes them.

use jiff::Timestamp;

use super::Room;
use super::transitions::{Row, Taken};
use crate::clock::plus;
use crate::pace::Pace;

/// How much of what is ready is taken.
pub(super) struct Admission {
    /// This many of the oldest.
    pub count: usize,
    /// How the destination stands from now on.
    pub pace: Pace,
    /// Whether that must be written.
    pub is_new: bool,
    /// When more could be taken, were there more.
    pub free_at: Timestamp,
    /// Until when what is taken is held.
    pub until: Timestamp,
}

/// Admits what a destination's pace allows of this many that are ready; `before` is how it stood, if that is known.
pub(super) fn admit(room: &Room, before: Option<Pace>, ready: usize, now: Timestamp) -> Admission {
    let until = plus(now, room.lease);
    let wanted = u32::try_from(ready).unwrap_or(u32::MAX);
    let mut pace = before.unwrap_or_default();
    let count = if wanted > 0 { pace.admit(&room.limits, wanted, now, until) } else { 0 };
    let free_at = if count < wanted { pace.free_at(&room.limits).max(now) } else { now };
    Admission { count: count as usize, pace, is_new: wanted > 0 && before != Some(pace), free_at, until }
}

/// Looks at what is overdue for a destination that is known to be down, one row after the other.
pub(super) struct Patience<'r> {
    room: &'r Room,
    pace: Pace,
    now: Timestamp,
    waits: bool,
    ended: bool,
    next: Option<Timestamp>,
}

impl<'r> Patience<'r> {
    /// With a destination that stands so.
    pub fn new(room: &'r Room, pace: Pace, now: Timestamp) -> Self {
        Self { room, pace, now, waits: false, ended: false, next: None }
    }

    /// Gives a row up if it has waited too long, and tells what came to light. `used` is when something last happened in
    /// its lane.
    pub fn judge(&mut self, row: &mut Row, used: Option<Timestamp>) -> Option<Taken> {
        let ends = row.ends(used, &self.pace, self.room.give_up, self.now);
        if ends > self.now {
            self.waits = true;
            self.next = earlier(self.next, Some(ends));
            return None;
        }
        let taken = row.recover(self.now);
        if taken.alive {
            row.give_up(self.room.give_up, self.now);
        }
        self.ended = true;
        Some(taken)
    }

    /// Whether any was given up.
    pub fn has_ended_any(&self) -> bool {
        self.ended
    }

    /// When to look again. Where all that were looked at have ended, others may be overdue too.
    pub fn look_again(&self) -> Option<Timestamp> {
        if self.ended && !self.waits { Some(self.now) } else { self.next }
    }
}

/// The earlier of two moments, as far as they are known.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
