//! When is outside hours, and when does the window open.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// A window of hours.
#[derive(Debug, Clone)]
pub struct Hours {
    /// Monday first.
    pub days: [bool; 7],
    /// From.
    pub from: Time,
    /// To; before `from`: across midnight.
    pub to: Time,
    /// Dates on which it doesn't open.
    pub except: Vec<Date>,
    /// The zone.
    pub zone: TimeZone,
    /// Whether what falls outside is dropped rather than held.
    pub drop: bool,
}

impl Hours {
    /// `None` while the window is open at `at`; else when it opens next (`Timestamp::MAX`: never).
    pub fn closed_until(&self, at: Timestamp) -> Option<Timestamp> {
        todo!("{at}")
    }
}

/// A time of day on some days.
#[derive(Debug, Clone)]
pub struct DayTimes {
    /// Monday first.
    pub days: [bool; 7],
    /// The time of day.
    pub at: Time,
    /// The zone.
    pub zone: TimeZone,
}

impl DayTimes {
    /// The next such moment after `at`.
    pub fn next(&self, at: Timestamp) -> Timestamp {
        todo!("{at}")
    }
}
