//! When is outside hours, and when does the window open.
//!
//! Pure: callers pass the time, the zone stands in the window. Hours are what the clock on the wall shows. Where it jumps
//! ahead, what would begin or end in the gap does so at the jump; where it is put back, an hour that is shown twice
//! counts twice for a window, and a time of day comes only the first time.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::calendar::{MonthDay, moments};
use crate::problem::Location;

/// How many days ahead an opening is looked for: more than ten years.
const DAYS_AHEAD: usize = 4000;

/// How many jumps of the clock are looked at on the way to the next opening.
const JUMPS_AHEAD: usize = 64;

/// A window of hours.
#[derive(Debug, Clone)]
pub struct Hours {
    /// The days on which it starts, Monday first.
    pub days: [bool; 7],
    /// From.
    pub from: Time,
    /// To, exclusive; before `from`: across midnight; the same: all round the clock.
    pub to: Time,
    /// Dates on which it doesn't open.
    pub except: Vec<Date>,
    /// The zone.
    pub zone: TimeZone,
    /// Whether what falls outside is dropped rather than held.
    pub drop: bool,
    /// Where it stands.
    pub place: Location,
}

impl Hours {
    /// `None` while the window is open at `at`; else when it opens next (`Timestamp::MAX`: not within ten years).
    pub fn closed_until(&self, at: Timestamp) -> Option<Timestamp> {
        if self.open(at) { None } else { Some(self.next_opening(at)) }
    }

    /// Whether the clock on the wall shows a time within the window.
    fn open(&self, at: Timestamp) -> bool {
        let wall = self.zone.to_datetime(at);
        let (date, time) = (wall.date(), wall.time());
        if self.from < self.to {
            return self.from <= time && time < self.to && self.starts(date);
        }
        (self.from <= time && self.starts(date))
            || (time < self.to && date.yesterday().is_ok_and(|yesterday| self.starts(yesterday)))
    }

    /// Whether a window starts on this date.
    fn starts(&self, date: Date) -> bool {
        on(&self.days, date) && !self.except.contains(&date)
    }

    /// The first moment after `at`, at which it is closed, when it is open.
    fn next_opening(&self, at: Timestamp) -> Timestamp {
        let by_day = self.next_start(at);
        // The clock may also be put back into a window that has ended.
        self.zone
            .following(at)
            .map(|jump| jump.timestamp())
            .take(JUMPS_AHEAD)
            .take_while(|jump| *jump < by_day)
            .find(|jump| self.open(*jump))
            .unwrap_or(by_day)
    }

    fn next_start(&self, at: Timestamp) -> Timestamp {
        let Some(mut date) = before(self.zone.to_datetime(at).date()) else { return Timestamp::MAX };
        for _ in 0..DAYS_AHEAD {
            if self.starts(date) {
                let starts = moments(&self.zone, date, self.from).into_iter().flatten();
                if let Some(start) = starts.filter(|start| *start > at && self.open(*start)).min() {
                    return start;
                }
            }
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        Timestamp::MAX
    }
}

/// A time of day on some days.
#[derive(Debug, Clone)]
pub struct DayTimes {
    /// Monday first.
    pub days: [bool; 7],
    /// In place of `days`, where there are any.
    pub month_days: Vec<MonthDay>,
    /// The time of day.
    pub at: Time,
    /// The zone.
    pub zone: TimeZone,
}

impl DayTimes {
    /// The next such moment after `at`; `Timestamp::MAX` if there is none.
    pub fn next(&self, at: Timestamp) -> Timestamp {
        let Some(mut date) = before(self.zone.to_datetime(at).date()) else { return Timestamp::MAX };
        // Nine days show each day of the week after `at`, and sixty-two each day of the month; a few more, for zones that
        // have left out a whole day.
        for _ in 0..if self.month_days.is_empty() { 16 } else { 70 } {
            if self.is_on(date)
                && let [Some(moment), _] = moments(&self.zone, date, self.at)
                && moment > at
            {
                return moment;
            }
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        Timestamp::MAX
    }

    fn is_on(&self, date: Date) -> bool {
        match self.month_days.as_slice() {
            [] => on(&self.days, date),
            days => days.iter().any(|day| day.is(date)),
        }
    }
}

fn on(days: &[bool; 7], date: Date) -> bool {
    let day = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
    days.get(day).copied().unwrap_or_default()
}

/// The day before; where time begins, that day itself.
fn before(date: Date) -> Option<Date> {
    date.yesterday().or(Ok::<_, jiff::Error>(date)).ok()
}
