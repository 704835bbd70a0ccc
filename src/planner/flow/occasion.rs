//! What sets a message off, and what keeps it from being sent whatever it says: shadow, and the silence of an opening.

use jiff::Timestamp;

use crate::planner::case::Case;
use crate::planner::flow::Planning;
use crate::rules::Rule;

/// What sets an announcement off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A match.
    Match,
    /// A timer of a case.
    Reminder,
    /// The close of a case.
    Close,
    /// A match that is planned again.
    Replay,
}

/// Why a person keeps the messages of an opening back at a moment, in words.
pub(crate) fn silenced(work: &Planning<'_>, case: Option<&Case>, at: Timestamp) -> Option<String> {
    let silence = case?.silenced(at)?;
    Some(format!("muted until {} by {}: only this case", work.now.said(silence.until), silence.by))
}

/// Whether what a rule says is planned, counted and shown, but not sent.
pub(crate) fn quiet(work: &Planning<'_>, rule: &Rule, occasion: Occasion, case: Option<&Case>) -> bool {
    let opened_in_shadow = occasion == Occasion::Reminder && case.is_some_and(|case| case.shadow);
    work.destinations.shadow || rule.shadow || opened_in_shadow
}
