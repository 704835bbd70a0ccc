//! `sum`: a running total that a rule acts at, of what events say, apart by a key and by windows of the calendar.
//!
//! Pure: callers pass the moment. Sums are exact decimals.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::calendar::moments;
use super::{KeySpec, Name};
use crate::decimal::Decimal;

/// The most characters of a number that is summed.
const NUMBER_MAX: usize = 100;

/// `sum: {of, per, window, gt …}`.
#[derive(Debug, Clone)]
pub struct Sum {
    /// What is summed.
    pub of: Name,
    /// Summed apart by this; `None`: all together.
    pub per: Option<KeySpec>,
    /// Each sum is of one of these.
    pub window: Window,
    /// The zone of the windows.
    pub zone: TimeZone,
    /// All must hold of the sum. Where there is none, the rule acts at each match.
    pub tests: Vec<SumTest>,
}

/// A test of a sum.
#[derive(Debug, Clone)]
pub struct SumTest {
    /// How it is compared.
    pub by: Compare,
    /// With what.
    pub bound: Decimal,
    /// As it is written.
    pub text: String,
}

/// How a sum is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Above.
    Gt,
    /// At least.
    Gte,
    /// Below.
    Lt,
    /// At most.
    Lte,
}

impl Compare {
    /// All of them.
    pub const ALL: [Compare; 4] = [Compare::Gt, Compare::Gte, Compare::Lt, Compare::Lte];

    /// Its key.
    pub fn name(self) -> &'static str {
        match self {
            Compare::Gt => "gt",
            Compare::Gte => "gte",
            Compare::Lt => "lt",
            Compare::Lte => "lte",
        }
    }

    /// In words, before a number.
    pub fn words(self) -> &'static str {
        match self {
            Compare::Gt => "above",
            Compare::Gte => "to at least",
            Compare::Lt => "below",
            Compare::Lte => "to at most",
        }
    }
}

impl SumTest {
    /// Whether it holds of a sum.
    pub fn holds(&self, sum: &Decimal) -> bool {
        match self.by {
            Compare::Gt => *sum > self.bound,
            Compare::Gte => *sum >= self.bound,
            Compare::Lt => *sum < self.bound,
            Compare::Lte => *sum <= self.bound,
        }
    }
}

/// A part of the calendar, local to a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// From midnight to midnight.
    Day,
    /// From Monday on.
    Week,
    /// From its first day on.
    Month,
    /// Three months, from January, April, July or October on.
    Quarter,
    /// From 1 January on.
    Year,
}

impl Window {
    /// All of them.
    pub const ALL: [Window; 5] = [Window::Day, Window::Week, Window::Month, Window::Quarter, Window::Year];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
            Window::Quarter => "quarter",
            Window::Year => "year",
        }
    }

    /// The first day of the window of a moment, and when the next one begins. Where time ends, the moment itself.
    pub fn of(self, at: Timestamp, zone: &TimeZone) -> (Date, Timestamp) {
        let date = zone.to_datetime(at).date();
        let month = |month: i8| Date::new(date.year(), month, 1).unwrap_or(date);
        let (first, length) = match self {
            Window::Day => (date, jiff::Span::new().days(1)),
            Window::Week => {
                let back = jiff::Span::new().days(date.weekday().to_monday_zero_offset());
                (date.checked_sub(back).unwrap_or(date), jiff::Span::new().days(7))
            }
            Window::Month => (date.first_of_month(), jiff::Span::new().months(1)),
            Window::Quarter => (month((date.month() - 1) / 3 * 3 + 1), jiff::Span::new().months(3)),
            Window::Year => (month(1), jiff::Span::new().years(1)),
        };
        let [next, _] = moments(zone, first.checked_add(length).unwrap_or(first), Time::midnight());
        (first, next.unwrap_or(at))
    }
}

/// A number that is summed; `Err` says in words why it can't be.
pub(super) fn summand(value: &serde_json::Value) -> Result<Decimal, String> {
    let number = super::value::number_of(value).filter(|(_, text)| text.len() <= NUMBER_MAX);
    number.map(|(number, _)| number).ok_or_else(|| format!("{}, not a number to sum", super::value::kind_of(value)))
}
