//! Permits: a listener's connections, and which of them gives its permit to the next. No I/O.
//!
//! Anyone who waits for its other side (for a header, for the rest of a body, for an answer to be taken) holds nothing that
//! another could not use better. So a listener whose permits are all taken is one that works, not one that is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A request that has begun keeps its permit for at least this long, whatever it waits for: a sender that sends is never
/// turned out by a flood.
const GRACE: Duration = Duration::from_millis(500);
/// Of this many permits one is kept for probes.
const FOR_EACH_KEPT: usize = 8;
/// The most permits that are kept.
const KEPT_MAX: usize = 16;

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for a header, or is idle.
    Header = 0,
    /// It waits for a body.
    Body = 1,
    /// It waits for an answer to be taken.
    Answer = 2,
    /// It is ours to work on.
    Working = 3,
    /// Its permit was given away.
    GivenAway = 4,
}

const PHASES: [Phase; 5] = [Phase::Header, Phase::Body, Phase::Answer, Phase::Working, Phase::GivenAway];

/// One connection's permit.
#[derive(Debug)]
pub(super) struct Permit {
    /// The phase, and since when, in milliseconds from `epoch`: one word, so that a request takes no lock.
    state: AtomicU64,
    epoch: Instant,
    /// Only probes are answered here.
    pub is_kept: bool,
    given_away: Notify,
}

impl Permit {
    fn new(epoch: Instant, is_kept: bool) -> Self {
        let permit = Self { state: AtomicU64::new(0), epoch, is_kept, given_away: Notify::new() };
        permit.state.store(permit.encoded(Phase::Header), Ordering::Relaxed);
        permit
    }

    fn encoded(&self, phase: Phase) -> u64 {
        let ms = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        ms << 3 | phase as u64
    }

    /// Enters a phase. False if the permit was given away: then nothing more is begun.
    fn enter(&self, phase: Phase) -> bool {
        let next = self.encoded(phase);
        let entered = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
            (phase_of(state) != Phase::GivenAway).then_some(next)
        });
        entered.is_ok()
    }

    /// A request's header has come; whether its body has yet to come.
    pub fn begins(&self, body_comes: bool) -> bool {
        self.enter(if body_comes { Phase::Body } else { Phase::Working })
    }

    /// A request has come whole.
    pub fn works(&self) -> bool {
        self.enter(Phase::Working)
    }

    /// A request is answered.
    pub fn waits(&self) {
        self.enter(Phase::Header);
    }

    /// An answer can't be written, since what was written before wasn't taken.
    pub fn stalls(&self) {
        self.enter(Phase::Answer);
    }

    /// All answers were written.
    pub fn flows(&self) {
        if phase_of(self.state.load(Ordering::Relaxed)) == Phase::Answer {
            self.enter(Phase::Header);
        }
    }

    /// Ends when the permit was given away.
    pub async fn given_away(&self) {
        self.given_away.notified().await;
    }

    /// Since when it waits for its other side, if it is one to give away now.
    fn to_give(&self, state: u64, now_ms: u64) -> Option<u64> {
        let since_ms = state >> 3;
        let grace_ms = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        match phase_of(state) {
            Phase::Header => Some(since_ms),
            Phase::Body | Phase::Answer => (now_ms.saturating_sub(since_ms) >= grace_ms).then_some(since_ms),
            Phase::Working | Phase::GivenAway => None,
        }
    }
}

fn phase_of(state: u64) -> Phase {
    PHASES.get(usize::try_from(state & 7).unwrap_or_default()).copied().unwrap_or(Phase::Working)
}

/// A listener's permits.
#[derive(Debug)]
pub(super) struct Permits {
    epoch: Instant,
    /// For anybody.
    normal: usize,
    /// For probes alone.
    kept: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    permits: HashMap<u64, Arc<Permit>>,
    kept: usize,
    next: u64,
}

impl Open {
    fn remove(&mut self, id: u64) -> bool {
        match self.permits.remove(&id) {
            Some(permit) => {
                self.kept -= usize::from(permit.is_kept);
                true
            }
            None => false,
        }
    }

    /// The connection that has waited longest for its other side.
    fn longest_waiting(&self, now_ms: u64) -> Option<(u64, Arc<Permit>, u64)> {
        let waiting = self.permits.iter().filter_map(|(id, permit)| {
            let state = permit.state.load(Ordering::SeqCst);
            Some((permit.to_give(state, now_ms)?, *id, permit, state))
        });
        let (_, id, permit, state) = waiting.min_by_key(|(since_ms, id, ..)| (*since_ms, *id))?;
        Some((id, permit.clone(), state))
    }
}

impl Permits {
    /// This many, a few of them kept for probes.
    pub fn new(connections: usize) -> Arc<Self> {
        let kept = (connections / FOR_EACH_KEPT).min(KEPT_MAX);
        Arc::new(Self { epoch: Instant::now(), normal: connections - kept, kept, open: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit for a new connection: a free one, or that of the connection that has waited longest, or one of those that
    /// are kept. `None` where every connection is at work.
    pub fn take(self: &Arc<Self>) -> Option<Taken> {
        let mut open = self.lock();
        let is_kept = if open.permits.len() - open.kept < self.normal {
            false
        } else if let Some(given) = self.give_away(&mut open) {
            given.is_kept
        } else if open.kept < self.kept {
            true
        } else {
            return None;
        };
        let permit = Arc::new(Permit::new(self.epoch, is_kept));
        open.next += 1;
        let id = open.next;
        open.kept += usize::from(is_kept);
        open.permits.insert(id, permit.clone());
        Some(Taken { permits: self.clone(), id, permit })
    }

    /// Closes the connection that has waited longest, if there is one: for when the system gives no more.
    pub fn make_room(&self) {
        self.give_away(&mut self.lock());
    }

    fn give_away(&self, open: &mut Open) -> Option<Arc<Permit>> {
        let now_ms = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        loop {
            let (id, permit, seen) = open.longest_waiting(now_ms)?;
            let given = (seen & !7) | Phase::GivenAway as u64;
            // What has begun to work meanwhile stays.
            if permit.state.compare_exchange(seen, given, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                open.remove(id);
                permit.given_away.notify_one();
                return Some(permit);
            }
        }
    }
}

/// A permit that is taken; given back when dropped.
#[derive(Debug)]
pub(super) struct Taken {
    permits: Arc<Permits>,
    id: u64,
    pub permit: Arc<Permit>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.permits.lock().remove(self.id);
    }
}
