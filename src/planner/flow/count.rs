//! Whether a match is one of enough: until then it is only counted.

use crate::event::Seq;
use crate::planner::flow::Planning;
use crate::planner::inputs::Judged;
use crate::planner::threshold::{Count, Counted, ThresholdId};
use crate::planner::why::{RuleOutcome, Trace};
use crate::rules::Judgement;

/// The matches that count together, oldest first; none where the rule acts at each. `None`: there are not enough yet.
pub(crate) fn counted(
    work: &mut Planning<'_>,
    judged: &Judged<'_>,
    judgement: &Judgement<'_>,
    trace: &mut Trace,
) -> Option<Vec<Seq>> {
    let Some((of, threshold)) = ThresholdId::of(judgement) else { return Some(Vec::new()) };
    let slot = of.slot(&work.names(judgement.rule));
    let it = (judged.event.created, judged.seq);
    let (count, (kept, effects)) = Counted::count(work.state.load(&slot), threshold, &of, it, work.now);
    work.state.save(&slot, kept.as_ref());
    work.apply(effects, trace);
    match count {
        Count::Reached(events) => Some(events),
        Count::Still(note) => {
            trace.rule(RuleOutcome::Counted, note);
            None
        }
    }
}
