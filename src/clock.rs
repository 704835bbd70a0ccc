//! The only way that time enters.
//!
//! Everything else receives `now`. The real clock reads the system's; the virtual one stands still until it is moved,
//! so that a test of a year takes no time. Nothing here waits: waiting is the business of the outermost loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Tells the time. Cheap to call and to share.
pub trait Clock: Send + Sync {
    /// The present moment, to the millisecond.
    fn now(&self) -> Timestamp;

    /// Moves it on by `span`, so that it goes by a clock that others share; gives how far it is ahead of this machine's
    /// then. A clock that goes by nobody's stays as it is.
    fn correct(&self, _span: SignedDuration) -> SignedDuration {
        SignedDuration::ZERO
    }
}

/// The system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        from_ms(Timestamp::now().as_millisecond())
    }
}

/// The system's clock, set right by one that others share: replicas go by the clock of their database.
#[derive(Debug, Default)]
pub struct AnchoredClock(AtomicI64);

impl Clock for AnchoredClock {
    fn now(&self) -> Timestamp {
        plus(RealClock.now(), SignedDuration::from_millis(self.0.load(Ordering::SeqCst)))
    }

    fn correct(&self, span: SignedDuration) -> SignedDuration {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(0);
        let before_ms = self.0.fetch_add(span_ms, Ordering::SeqCst);
        SignedDuration::from_millis(before_ms.saturating_add(span_ms))
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<AtomicI64>);

impl VirtualClock {
    /// Stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millisecond())))
    }

    /// Moves to `at`, forwards or backwards.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millisecond(), Ordering::SeqCst);
    }

    /// Moves on by `span`.
    pub fn advance(&self, span: SignedDuration) {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.set(from_ms(self.now().as_millisecond().saturating_add(ms)));
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// The moment that is `ms` milliseconds after 1970, held within what a calendar can show.
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// `at` plus `span`, held within what a calendar can show.
pub fn plus(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(if span.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
