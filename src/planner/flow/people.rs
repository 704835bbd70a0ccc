//! What people do to a case, wherever they do it.

use crate::event::Audit;
use crate::planner::audit::Audited;
use crate::planner::case::Case;
use crate::planner::closes::by_hand;
use crate::planner::flow::Planning;
use crate::planner::flow::close::take_away;
use crate::planner::reminders;
use crate::planner::why::Trace;

/// A person acknowledges a case.
pub(crate) fn acknowledge(work: &mut Planning<'_>, case: &mut Case, by: &str, note: Option<&str>) {
    let mut trace = Trace::default();
    let effects = reminders::acknowledge(case, (by, note), work.rules.named(&case.rule), work.now.at);
    trace.detail("by_hand", format!("acknowledged by {by}").into());
    work.apply(effects, &mut trace);
    work.decide(trace, case.event, &case.rule);
    work.save_case(case);
}

/// The acknowledgement of a case is taken back.
pub(crate) fn unacknowledge(work: &mut Planning<'_>, case: &mut Case, by: &str) {
    let mut trace = Trace::default();
    let effects = reminders::unacknowledge(case, by, work.rules.named(&case.rule), work.now);
    trace.detail("by_hand", format!("no longer acknowledged: {by}").into());
    work.apply(effects, &mut trace);
    work.decide(trace, case.event, &case.rule);
    work.save_case(case);
}

/// A person closes a case that nobody's event closes. What is said of that is planned from its opening event, which a timer
/// brings.
pub(crate) fn close(work: &mut Planning<'_>, case: &Case, by: &str, note: Option<&str>) {
    take_away(work, case);
    work.act([by_hand(case, by, note, work.now.at)]);
}

/// Writes down what a person did elsewhere.
pub(crate) fn audit(work: &mut Planning<'_>, (by, from): (&str, &str), act: &str, on: String) {
    let at = work.now.at;
    let act = Audit { at, by: by.into(), act: act.into(), on, note: None, from: from.into() };
    work.turn(&Audited::slot(at), |known, _| Audited::note(known, &act));
}
