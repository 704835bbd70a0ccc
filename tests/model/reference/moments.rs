//! Moments: when a digest goes by its days, and which of many stand within a window.

use fanfare::clock::from_ms;
use fanfare::rules::calendar::MonthDay;
use fanfare::rules::hours::DayTimes;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::{Ms, ms};

/// The next time of day after a moment on one of a digest's days, of the week or of the month: "A day that a month lacks is
/// its last day." Day by day.
pub fn next_of(times: &DayTimes, at: Ms) -> Ms {
    assert_eq!(times.zone, TimeZone::UTC);
    let is_on = |date: Date| match times.month_days.as_slice() {
        [] => times.days[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap()],
        days => days.iter().any(|day| match day {
            MonthDay::Day(day) => date.day() == *day || (date.day() < *day && date.tomorrow().unwrap().day() == 1),
            MonthDay::Last => date.tomorrow().unwrap().day() == 1,
        }),
    };
    let mut date = TimeZone::UTC.to_datetime(from_ms(at)).date();
    loop {
        let moment = ms(TimeZone::UTC.to_timestamp(date.to_datetime(times.at)).unwrap());
        if moment > at && is_on(date) {
            return moment;
        }
        date = date.tomorrow().unwrap();
    }
}

/// The moments that stand within the window, of all with the latest that a clock has shown since each, in their order. A clock
/// that is set back lets nothing through again, and makes nothing stand within the window again.
pub fn within(every: Ms, asks: impl Iterator<Item = (Ms, Ms)>) -> Vec<Ms> {
    let mut within: Vec<Ms> = Vec::new();
    for (at, seen) in asks {
        let at = within.last().map_or(at, |last| at.max(*last));
        if at + every > seen {
            within.push(at);
        }
    }
    within
}
