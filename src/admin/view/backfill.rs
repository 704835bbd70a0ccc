//! A backfill, as the API answers it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Missed;
use crate::planner::Backfill;

/// A span of time of which a sender is asked to send again what failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backfill)]
pub(crate) struct BackfillView {
    /// The source.
    pub source: String,
    /// When it was asked for.
    pub at: String,
    /// What was created from then on.
    pub since: String,
    /// What was created before then.
    pub until: String,
    /// Who asked.
    pub by: String,
    /// `running` or `ended`.
    pub state: &'static str,
    /// How many events the sender was asked for, and agreed to send.
    pub asked: u64,
    /// How many can't be had.
    pub missing: u64,
    /// Some of those, each with its reason.
    pub examples: Vec<String>,
    /// What it waits for, if it does.
    pub waits: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// Why it ended before its time.
    pub failed: Option<String>,
    /// All of that in a sentence.
    pub account: String,
}

impl From<&Backfill> for BackfillView {
    fn from(backfill: &Backfill) -> Self {
        let (asked, progress) = (&backfill.asked, &backfill.progress);
        Self {
            source: asked.source.clone(),
            at: asked.at.to_string(),
            since: asked.since.to_string(),
            until: asked.until.to_string(),
            by: asked.by.clone(),
            state: if backfill.ended.is_some() { "ended" } else { "running" },
            asked: progress.asked,
            missing: progress.missing,
            examples: progress.examples.iter().map(Missed::account).collect(),
            waits: progress.waits.clone().filter(|_| backfill.ended.is_none()),
            ended: backfill.ended.map(|ended| ended.to_string()),
            failed: backfill.failed.clone(),
            account: backfill.account(),
        }
    }
}
