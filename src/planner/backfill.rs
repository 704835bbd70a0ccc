//! Asking a sender to send again what failed: which spans of time were asked for, by whom, how far that is, and how it ended.
//! The steps ask the sender; here stands what a restart, another process and people need to know of it.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::plus;
use crate::event::{BackfillAsked, BackfillProgress, BackfillReport, Missed, Signal, own};
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::state::{Doc, Slot};

/// How many of a source are remembered.
const KEPT_MAX: usize = 20;
/// How long after its end something may still come of it.
pub const LINGERS: SignedDuration = SignedDuration::from_mins(10);
/// How long after its last report another process may go on with one.
const SILENT_MAX: SignedDuration = SignedDuration::from_secs(60);

/// The backfills of one source, kept under kind `backfill`; the newest last, and only that may be under way.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Backfills {
    /// The source.
    pub source: String,
    /// Each with its span.
    pub all: Vec<Backfill>,
}

/// One span of time that a sender is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    /// What was asked for.
    #[serde(flatten)]
    pub asked: BackfillAsked,
    /// Which process asks the sender, and when it last reported.
    #[serde(default)]
    pub holder: Option<(String, Timestamp)>,
    /// How far it is.
    #[serde(default)]
    pub progress: BackfillProgress,
    /// When it ended.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// Why it ended before its time.
    #[serde(default)]
    pub failed: Option<String>,
}

impl Doc for Backfills {
    const KIND: &'static str = "backfill";
}

impl Backfills {
    /// Where it is kept.
    pub(crate) fn slot(source: &str) -> Slot<Self> {
        Slot::one(&[source])
    }

    /// The one that is under way.
    pub fn open(&self) -> Option<&Backfill> {
        self.all.last().filter(|last| last.ended.is_none())
    }

    /// The one that an event may have come by: it was created within the span that was asked for, and came since.
    pub fn brought(&self, created: Timestamp, received: Timestamp) -> Option<&Backfill> {
        self.all.iter().rev().find(|one| {
            let asked = &one.asked;
            (asked.since..asked.until).contains(&created) && received >= asked.at && one.lasts(received)
        })
    }

    /// A span is asked for. One that is under way already grows by it.
    pub(crate) fn ask(known: Option<Self>, asked: &BackfillAsked) -> Next<Self> {
        let mut backfills = known.unwrap_or_else(|| Self { source: asked.source.clone(), all: Vec::new() });
        match backfills.all.last_mut().filter(|last| last.ended.is_none()) {
            Some(open) => {
                open.asked.since = open.asked.since.min(asked.since);
                open.asked.until = open.asked.until.max(asked.until);
            }
            None => backfills.all.push(Backfill::begun(asked.clone())),
        }
        let many = backfills.all.len().saturating_sub(KEPT_MAX);
        backfills.all.drain(..many);
        (Some(backfills), Vec::new())
    }

    /// A process reports: that it takes the one under way, how far it is, or how it ended. Of two processes the one that has it
    /// keeps it, until it is silent for too long.
    pub(crate) fn report(self, report: &BackfillReport, now: Now<'_>, origin: &str) -> Next<Self> {
        let mut backfills = self;
        let Some(open) = backfills.all.last_mut().filter(|last| last.may_be_held(report, now.at)) else {
            return (Some(backfills), Vec::new());
        };
        open.holder = Some((report.holder.clone(), now.at));
        open.progress = report.progress.clone();
        // What grew meanwhile has not been asked for whole.
        let mut effects = Vec::new();
        if report.ended && report.span == (open.asked.since, open.asked.until) {
            open.ended = Some(now.at);
            open.failed.clone_from(&report.failed);
            let signal = Signal::new(own::BACKFILL_ENDED, open.told(), now.at);
            effects.push(Effect::Signal(origin.to_owned(), Box::new(signal)));
        }
        (Some(backfills), effects)
    }
}

impl Backfill {
    /// One that nobody has begun.
    pub fn begun(asked: BackfillAsked) -> Self {
        Self { asked, holder: None, progress: BackfillProgress::default(), ended: None, failed: None }
    }

    /// Whether the process that reports may go on with it.
    fn may_be_held(&self, report: &BackfillReport, now: Timestamp) -> bool {
        let is_free = report.alone || self.is_free_for(&report.holder, now);
        self.ended.is_none() && self.asked.at == report.asked && is_free
    }

    /// Whether something may still come of it.
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.ended.is_none_or(|ended| now <= plus(ended, LINGERS))
    }

    /// Whether a process of this name may go on with it.
    pub fn is_free_for(&self, holder: &str, now: Timestamp) -> bool {
        self.holder.as_ref().is_none_or(|(held, at)| held == holder || now.duration_since(*at) > SILENT_MAX)
    }

    /// Whether this process has it.
    pub fn is_held_by(&self, holder: &str) -> bool {
        self.holder.as_ref().is_some_and(|(held, _)| held == holder)
    }

    /// How it is, in a sentence without a full stop.
    pub fn account(&self) -> String {
        let progress = &self.progress;
        let mut said = format!("asked the sender for {}", count(progress.asked, "event"));
        if progress.missing > 0 {
            let _ = write!(said, "; {} can't be had", count(progress.missing, "event"));
        }
        if let Some(failed) = &self.failed {
            let _ = write!(said, "; it stopped early: {failed}");
        }
        said
    }

    fn told(&self) -> serde_json::Value {
        let BackfillAsked { source, since, until, by, .. } = &self.asked;
        let missing: Vec<String> = self.progress.examples.iter().map(Missed::account).collect();
        json!({
            "source": source, "since": since.to_string(), "until": until.to_string(), "by": by,
            "asked": self.progress.asked, "missing": self.progress.missing, "not_had": missing,
            "reason": self.failed, "account": self.account(),
        })
    }
}

fn count(number: u64, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}
