//! The way of what another service says: what a person did there to something that Fanfare raised.

use crate::event::Reported;
use crate::planner::flow::Planning;
use crate::planner::flow::people::{acknowledge, audit, close, unacknowledge};
use crate::planner::inputs::Judged;
use crate::planner::why::{RuleOutcome, Trace};

/// Acts on the opening that a report means, if that is still open, and writes it down in any case.
pub(crate) fn reported(work: &mut Planning<'_>, judged: &Judged<'_>) {
    let Some((report, of)) = &judged.report else { return };
    let case = of.as_ref().and_then(|of| work.nth_case(&of.rule, &of.key, of.nth));
    let who = (report.by.as_str(), report.service);
    let nothing = |why: &str| (format!("{}: {why}", report.name), "reported");
    let created = judged.event.created;
    let (on, act) = match (&report.does, case) {
        (Reported::Nothing(why), _) => nothing(why),
        (_, None) => nothing("nothing of that is open here"),
        (_, Some(case)) if case.reported.is_some_and(|newest| newest > created) => {
            nothing("something that happened after it came before it")
        }
        (does, Some(mut case)) => {
            case.reported = Some(created);
            let by = format!("{}, in {}", report.by, report.service);
            let on = format!("{}, by {}", case.said(), report.name);
            match does {
                Reported::Acknowledged if case.acked.is_some() => {
                    work.save_case(&case);
                    nothing("the case was acknowledged already")
                }
                Reported::Acknowledged => {
                    acknowledge(work, &mut case, &by, None);
                    (on, "acknowledged")
                }
                Reported::Unacknowledged if case.acked.is_none() => {
                    work.save_case(&case);
                    nothing("nobody had acknowledged the case")
                }
                Reported::Unacknowledged => {
                    unacknowledge(work, &mut case, &by);
                    (on, "unacknowledged")
                }
                Reported::Closed => {
                    close(work, &case, &by, None);
                    (on, "closed")
                }
                Reported::Nothing(_) => return,
            }
        }
    };
    let mut trace = Trace::default();
    trace.rule(RuleOutcome::Matched, format!("{act}: {on}"));
    work.decide(trace, judged.seq, "");
    audit(work, who, act, on);
}
