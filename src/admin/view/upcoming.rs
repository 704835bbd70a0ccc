//! What waits for its time, as the API answers it.

use serde::Serialize;
use utoipa::ToSchema;

/// Something that waits for its time.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Upcoming)]
pub(crate) struct UpcomingView {
    /// Its id, which is another once its time has moved.
    pub id: String,
    /// `reminder`, `digest`, `held` (messages that wait for hours or an embargo), `flood` (what a
    /// rule that floods holds), `case` (closes by itself), `mute` (ends),
    /// `deadline` (of `missing`) or `late` (a fallback).
    pub what: &'static str,
    /// When.
    #[schema(format = DateTime)]
    pub due: String,
    /// In words.
    pub words: String,
    /// The rule.
    pub rule: Option<String>,
    /// The key of its case.
    pub key: Option<String>,
    /// The id of its case.
    pub case: Option<String>,
    /// Who acknowledged that.
    pub acked_by: Option<String>,
    /// The delivery that it is about.
    pub delivery: Option<String>,
    /// Where it goes by the rules in force.
    pub to: Vec<String>,
    /// The places of the newest events in it, newest first.
    pub events: Vec<i64>,
    /// How many more it has.
    pub more: u64,
    /// Whether it can be sent now.
    pub send: bool,
    /// Whether it can be cancelled.
    pub cancel: bool,
}

/// What was asked of something that waits for its time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpcomingAct {
    /// Its id.
    pub id: String,
    /// Who asked.
    pub by: String,
    /// What that does, in a sentence.
    pub told: String,
}
