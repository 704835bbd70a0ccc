//! Whether a match is one of enough, or takes a sum where its rule acts: until then it is only counted, or summed.

use crate::event::Seq;
use crate::planner::flow::Planning;
use crate::planner::inputs::Judged;
use crate::planner::sums::{Summand, Summed, Total};
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

/// The sum with a match, if its rule acts at that; nothing within, where it sums nothing up. `None`: it doesn't act.
pub(crate) fn summed(
    work: &mut Planning<'_>,
    judged: &Judged<'_>,
    judgement: &Judgement<'_>,
    trace: &mut Trace,
) -> Option<Option<String>> {
    let summand = match Summand::of(judgement, judged.event.created) {
        None => return Some(None),
        Some(Ok(summand)) => summand,
        Some(Err(reason)) => {
            trace.fail(format!("not summed: {reason}"));
            return None;
        }
    };
    let slot = summand.of.slot(&work.names(judgement.rule));
    let (total, (kept, effects)) = Summed::add(work.state.load(&slot), &summand, work.now);
    work.state.save(&slot, kept.as_ref());
    work.apply(effects, trace);
    match total {
        Total::Reached(sum) => Some(Some(sum)),
        Total::Still(note) => {
            trace.rule(RuleOutcome::Counted, note);
            None
        }
        Total::Refused(reason) => {
            trace.fail(format!("not summed: {reason}"));
            None
        }
    }
}
