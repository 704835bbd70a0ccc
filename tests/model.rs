//! A reference for what rules mean, written apart from the planner, and what is held against it.

use jiff::Timestamp;

pub mod against;
mod deadlines;
mod found;
mod histories;
mod overdue;
mod quotes;
pub mod reference;
mod scripts;
mod watched;
mod words;

/// Milliseconds, of a moment or of a span.
pub type Ms = i64;

pub const SECOND: Ms = 1000;
pub const MINUTE: Ms = 60 * SECOND;
pub const HOUR: Ms = 60 * MINUTE;
pub const DAY: Ms = 24 * HOUR;

/// A moment in milliseconds.
pub fn ms(at: Timestamp) -> Ms {
    at.as_millisecond()
}
