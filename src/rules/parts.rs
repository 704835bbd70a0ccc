//! The parts of a rule or an action that have keys of their own. Pure.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;

use super::calendar::Periods;
use super::hours::{DayTimes, Hours};
use super::{At, Condition, Globs, KeySpec, Name};

/// `at: 3d before $.data.metadata.release_date`.
#[derive(Debug, Clone)]
pub struct AtDate {
    /// Added to the date: negative for `before`.
    pub offset: SignedDuration,
    /// Where the date stands.
    pub path: Name,
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
