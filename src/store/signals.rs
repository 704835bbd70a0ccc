//! What the store itself has to tell: a delivery that died, a destination that fails or is well again.
//!
//! Pure. The store makes these within the transaction that changes the row, since only there is it known that something
//! changed, and changed once. What an own event set off is marked so, and the planner makes nothing of it: no loop.

use jiff::Timestamp;
use serde_json::json;

use crate::clock::from_ms;
use crate::delivery::{Delivery, NewDelivery};
use crate::event::{Signal, own};
use crate::pace::Change;
use crate::store::Standing;

/// Says that `delivery` died, for its fallbacks and anyone who listens. `is_own`: one of Fanfare's own events set it off.
pub fn died(delivery: &NewDelivery, attempts: u32, reason: &str, is_own: bool, at: Timestamp) -> Signal {
    let data = json!({"delivery": delivery.id.as_str(), "rule": delivery.rule, "destination": delivery.destination,
        "attempts": attempts, "reason": reason});
    Signal {
        rule: Some(delivery.rule.clone()),
        destination: Some(delivery.destination.clone()),
        from_own: is_own,
        died: Some(Box::new(delivery.clone())),
        ..Signal::new(own::DEAD, data, at)
    }
}

/// The same of one that was lost too often or given up.
pub(super) fn buried(dead: &Delivery, own: bool, at: Timestamp) -> Signal {
    died(&dead.planned, dead.attempts, dead.last_error.as_deref().unwrap_or_default(), own, at)
}

/// Says that a destination changed, by an attempt that ended with these words.
pub fn changed(standing: Standing, change: Change, reason: &str, is_own: bool, at: Timestamp) -> Signal {
    let Standing { destination, pace } = standing;
    let (kind, data) = match change {
        Change::Failing => {
            let paused_until = (pace.open_ms != 0).then(|| from_ms(pace.open_ms).to_string());
            (
                own::FAILING,
                json!({"destination": destination, "reason": reason, "failures": pace.failures,
                "paused_until": paused_until}),
            )
        }
        Change::Recovered => (own::RECOVERED, json!({"destination": destination})),
    };
    Signal { destination: Some(destination), from_own: is_own, ..Signal::new(kind, data, at) }
}
