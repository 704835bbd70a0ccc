//! What the store itself has to tell: a delivery that died, a destination that fails or is well again.
//!
//! Pure. The store makes these within the transaction that changes the row, since only there is it known that something
//! changed, and changed once. What an own event set off is marked so, and the planner makes nothing of it: no loop.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::delivery::NewDelivery;
use crate::event::Signal;
use crate::pace::{Change, Pace};

/// A delivery is dead.
pub const DEAD: &str = "fanfare.delivery.dead";
/// A destination is marked failing, or its breaker has opened.
pub const FAILING: &str = "fanfare.destination.failing";
/// A destination that was failing has accepted something.
pub const RECOVERED: &str = "fanfare.destination.recovered";

/// Says that `delivery` died, for its fallbacks and anyone who listens. `own`: one of Fanfare's own events set it off.
pub fn died(delivery: &NewDelivery, attempts: u32, reason: &str, own: bool, at: Timestamp) -> Signal {
    let mut data = Map::new();
    data.insert("delivery".into(), delivery.id.as_str().into());
    data.insert("rule".into(), delivery.rule.as_str().into());
    data.insert("destination".into(), delivery.destination.as_str().into());
    data.insert("attempts".into(), attempts.into());
    data.insert("reason".into(), reason.into());
    Signal {
        kind: DEAD.into(),
        rule: Some(delivery.rule.clone()),
        destination: Some(delivery.destination.clone()),
        at,
        data,
        from_own: own,
        died: Some(Box::new(delivery.clone())),
    }
}

/// Says that a destination changed, by an attempt that ended with these words.
pub fn changed(destination: &str, change: Change, pace: &Pace, reason: &str, own: bool, at: Timestamp) -> Signal {
    let mut data = Map::new();
    data.insert("destination".into(), destination.into());
    if change == Change::Failing {
        data.insert("reason".into(), reason.into());
        data.insert("failures".into(), pace.failures.into());
        if pace.open_ms != 0 {
            data.insert("paused_until".into(), Value::from(crate::clock::from_ms(pace.open_ms).to_string()));
        }
    }
    Signal {
        kind: match change {
            Change::Failing => FAILING.into(),
            Change::Recovered => RECOVERED.into(),
        },
        rule: None,
        destination: Some(destination.to_owned()),
        at,
        data,
        from_own: own,
        died: None,
    }
}
