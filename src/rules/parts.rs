//! The parts of a rule or an action that have keys of their own. Pure.

use std::fmt;
use std::sync::Arc;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::calendar::{Periods, Workdays, moments};
use super::hours::{DayTimes, Hours};
use super::{At, Condition, Globs, KeySpec, Name};
use crate::clock::plus;

/// `at: 3d before $.data.metadata.release_date`, `at: 1h after midnight of release_date in Pacific/Auckland`.
#[derive(Debug, Clone)]
pub struct AtDate {
    /// Added to the date: negative for `before`.
    pub offset: SignedDuration,
    /// The business days that `offset` stands for: they are counted in its place.
    pub days: Option<Workdays>,
    /// The zone in which the date's midnight is meant, in place of the date's own moment.
    pub midnight: Option<TimeZone>,
    /// Where the date stands.
    pub path: Name,
}

impl AtDate {
    /// The moment that a date stands for: itself, or its midnight. `zone` is that of dates.
    pub fn date(&self, date: Timestamp, zone: &TimeZone) -> Timestamp {
        let Some(there) = &self.midnight else { return date };
        let [midnight, _] = moments(there, zone.to_datetime(date).date(), Time::midnight());
        midnight.unwrap_or(date)
    }

    /// When it falls, by its date.
    pub fn falls(&self, date: Timestamp) -> Timestamp {
        match &self.days {
            Some(days) => days.from(date),
            None => plus(date, self.offset),
        }
    }

    /// Where its date stands, as text.
    pub fn place(&self) -> String {
        let path = &self.path.text;
        match self.midnight.as_ref().and_then(TimeZone::iana_name) {
            Some(zone) => format!("midnight of {path} in {zone}"),
            None => path.clone(),
        }
    }
}

/// `threshold: {count, within, per}`.
#[derive(Debug, Clone)]
pub struct Threshold {
    /// How many matches.
    pub count: u64,
    /// Within this span, by their `created`.
    pub within: SignedDuration,
    /// Counted apart by this; `None`: all together.
    pub per: Option<KeySpec>,
}

/// `flood: {times, least}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodBrake {
    /// How many times its busiest hour a rule may send in an hour.
    pub times: u64,
    /// How many messages in an hour are no flood, whatever is usual.
    pub least: u64,
}

/// `hours:` of a rule or action.
#[derive(Debug, Clone)]
pub enum HoursChoice {
    /// `always`: overrides the destination's.
    Always,
    /// A window.
    Within(Arc<Hours>),
}

/// `missing: {events, when, for}`, or `{events, when, each, by}`.
#[derive(Debug, Clone)]
pub struct Missing {
    /// What should come.
    pub events: Globs,
    /// What must hold for it to count.
    pub when: Option<Condition>,
    /// When none has come for too long.
    pub expected: Expected,
}

/// When none has come for too long.
#[derive(Debug, Clone)]
pub enum Expected {
    /// So long after the last, or since the waiting began.
    For(SignedDuration),
    /// By a moment of each period.
    Each(Arc<Periods>),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::For(span) => write!(f, "for {}", crate::yaml::span_text(*span)),
            Expected::Each(periods) => write!(f, "{periods}"),
        }
    }
}

/// `attach: {csv, columns}`.
#[derive(Debug, Clone)]
pub struct Attach {
    /// The file's name, a template.
    pub csv: At<String>,
    /// The name of each column, and what selects its value in an event.
    pub columns: Vec<(String, Name)>,
}

/// `throttle:`.
#[derive(Debug, Clone)]
pub struct Throttle {
    /// Counted apart by this; `None`: all together.
    pub per: Option<KeySpec>,
    /// How many within the window.
    pub max: u64,
    /// The sliding window.
    pub every: SignedDuration,
    /// Whether the rest goes into a digest (at the window's end) instead of nowhere.
    pub rest_digest: bool,
}

/// `digest:`.
#[derive(Debug, Clone)]
pub struct Digest {
    /// Collected apart by this; `None`: all together.
    pub per: Option<KeySpec>,
    /// When it goes out.
    pub when: DigestTime,
    /// The most events one message shows.
    pub limit: usize,
}

/// When a digest goes out.
#[derive(Debug, Clone)]
pub enum DigestTime {
    /// So long after its first event.
    Every(SignedDuration),
    /// At this time of day on these days, in this zone.
    At(Arc<DayTimes>),
}
