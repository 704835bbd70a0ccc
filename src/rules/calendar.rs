//! Days of the month, the periods in each of which something must come, and business days.
//!
//! Pure: callers pass the time, the zone stands in the period. Periods are local: a day begins when the clock on the wall
//! shows midnight, a week on Monday, a month on its first day.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// The days of the week, as they are written.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A day of a month. A day that a month lacks is its last day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MonthDay {
    /// The first to the thirty-first.
    Day(i8),
    /// The last.
    Last,
}

impl MonthDay {
    /// Whether a date is that day of its month.
    pub fn is(self, date: Date) -> bool {
        self.of(date) == date
    }

    /// That day of a date's month.
    fn of(self, date: Date) -> Date {
        let day = match self {
            MonthDay::Day(day) => day.clamp(1, date.days_in_month()),
            MonthDay::Last => date.days_in_month(),
        };
        Date::new(date.year(), date.month(), day).unwrap_or(date)
    }
}

/// How long a period is, and on which of its days something must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    /// A day.
    Day,
    /// A week, by this day of it, counted from Monday.
    Week(i8),
    /// A month.
    Month(MonthDay),
}

impl Each {
    /// The word for it: `month`.
    pub fn name(self) -> &'static str {
        match self {
            Each::Day => "day",
            Each::Week(_) => "week",
            Each::Month(_) => "month",
        }
    }
}

/// `each: month, by: "15 12:00"`.
#[derive(Debug, Clone)]
pub struct Periods {
    /// How long each is.
    pub each: Each,
    /// The time of day by which something must have come.
    pub time: Time,
    /// The zone.
    pub zone: TimeZone,
}

impl std::fmt::Display for Periods {
    /// `each month by 15 12:00`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "each {} by ", self.each.name())?;
        match self.each {
            Each::Day => {}
            Each::Week(day) => {
                let day = usize::try_from(day).ok().and_then(|day| DAYS.get(day));
                write!(f, "{} ", day.unwrap_or(&"mon"))?;
            }
            Each::Month(MonthDay::Day(day)) => write!(f, "{day} ")?,
            Each::Month(MonthDay::Last) => write!(f, "last ")?,
        }
        write!(f, "{}", self.time.strftime("%H:%M"))
    }
}

/// One period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// What it is called: `2026-03-16`, `2026-W12`, `2026-03`.
    pub key: String,
    /// When it begins.
    pub from: Timestamp,
    /// When something must have come.
    pub by: Timestamp,
    /// Its first day.
    first: Date,
}

impl Periods {
    /// The first period that begins at `at` or later. `None` where time ends.
    pub fn first_from(&self, at: Timestamp) -> Option<Period> {
        let mut period = self.beginning(self.first_day(self.zone.to_datetime(at).date()))?;
        // Two more: for a zone that has left out a whole day, and for one whose clock shows midnight twice.
        for _ in 0..3 {
            if period.from >= at {
                break;
            }
            period = self.after(&period)?;
        }
        Some(period)
    }

    /// The period that begins at this moment, if one does.
    pub fn from(&self, at: Timestamp) -> Option<Period> {
        self.first_from(at).filter(|period| period.from == at)
    }

    /// The period after one.
    pub fn after(&self, period: &Period) -> Option<Period> {
        let next = match self.each {
            Each::Day => period.first.tomorrow().ok()?,
            Each::Week(_) => period.first.checked_add(jiff::Span::new().days(7)).ok()?,
            Each::Month(_) => period.first.last_of_month().tomorrow().ok()?,
        };
        self.beginning(next)
    }

    /// The first day of the period of a date.
    fn first_day(&self, date: Date) -> Date {
        match self.each {
            Each::Day => date,
            Each::Week(_) => {
                let back = jiff::Span::new().days(date.weekday().to_monday_zero_offset());
                date.checked_sub(back).unwrap_or(date)
            }
            Each::Month(_) => date.first_of_month(),
        }
    }

    fn beginning(&self, first: Date) -> Option<Period> {
        let (key, last) = match self.each {
            Each::Day => (first.to_string(), first),
            Each::Week(day) => {
                let week = first.iso_week_date();
                let last = first.checked_add(jiff::Span::new().days(day)).ok()?;
                (format!("{:04}-W{:02}", week.year(), week.week()), last)
            }
            Each::Month(day) => (format!("{:04}-{:02}", first.year(), first.month()), day.of(first)),
        };
        let [from, _] = moments(&self.zone, first, Time::midnight());
        let [by, _] = moments(&self.zone, last, self.time);
        Some(Period { key, from: from?, by: by?, first })
    }
}

/// A number of business days: Monday to Friday, without holidays.
#[derive(Debug, Clone, PartialEq)]
pub struct Workdays {
    /// How many; negative for before.
    pub count: i32,
    /// Days that don't count.
    pub holidays: Arc<BTreeSet<Date>>,
    /// The zone in which days are counted.
    pub zone: TimeZone,
}

impl Workdays {
    /// The moment that is this number of business days from another, at the same time of day. Where time ends, that moment itself.
    pub fn from(&self, at: Timestamp) -> Timestamp {
        let wall = self.zone.to_datetime(at);
        let (mut date, mut left) = (wall.date(), self.count.unsigned_abs());
        while left > 0 {
            let next = if self.count < 0 { date.yesterday() } else { date.tomorrow() };
            let Ok(next) = next else { return at };
            date = next;
            let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
            left -= u32::from(!weekend && !self.holidays.contains(&date));
        }
        let [moment, _] = moments(&self.zone, date, wall.time());
        moment.unwrap_or(at)
    }

    /// As text that differs where it would count differently.
    pub fn spec(&self) -> String {
        let days = self.holidays.iter().map(|date| i64::from(date.year()) * 400 + i64::from(date.day_of_year()));
        let holidays = days.fold(0i64, |sum, day| sum.wrapping_mul(31).wrapping_add(day));
        format!("{}bd#{holidays:x}", self.count)
    }
}

/// When the clock shows this: once, or twice where it is put back; in a gap the moment of the jump stands for it.
pub(super) fn moments(zone: &TimeZone, date: Date, time: Time) -> [Option<Timestamp>; 2] {
    let wall = date.to_datetime(time);
    let by = |offset: Offset| offset.to_timestamp(wall).ok();
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => [by(offset), None],
        AmbiguousOffset::Fold { before, after } => [by(before), by(after)],
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the offset after the jump, a time in the gap lies just before the jump.
            let jump = by(after).and_then(|moment| zone.following(moment).next());
            [jump.map(|jump| jump.timestamp()), None]
        }
    }
}
