//! The way of what a rule that floods holds: a person decides, or its time comes, and it goes or is dropped.

use crate::planner::cards;
use crate::planner::flood::{Brake, Decided, Flood};
use crate::planner::flow::Planning;
use crate::planner::flow::opens::hours_open;
use crate::planner::held::{Held, Waiting};
use crate::planner::names::{names_for, present_name};
use crate::planner::why::{RuleOutcome, Trace};

/// A person decides about what a rule holds.
pub(crate) fn decide(work: &mut Planning<'_>, rule: &str, by: &str, drop: bool) {
    let decided = Decided { by: by.to_owned(), drop };
    let (slot, name) = (Flood::slot(&names_for(work.rules, rule)), present_name(work.rules, rule).to_owned());
    work.due(&slot, |flood, now| flood.decide(&name, decided, now));
}

/// What a rule holds goes or is dropped, if its time has come.
pub(crate) fn flood_due(work: &mut Planning<'_>, rule: &str) {
    let slot = Flood::slot(&names_for(work.rules, rule));
    let Some(flood) = work.state.load(&slot) else { return };
    let (ended, (kept, effects)) = flood.due(present_name(work.rules, rule), work.now);
    work.state.save(&slot, kept.as_ref());
    work.act(effects);
    let Some(Brake { rule: queue, held, decided, .. }) = ended else { return };
    let dropped_by = decided.filter(|decided| decided.drop).map(|decided| decided.by);
    for destination in held.keys() {
        let slot = Waiting::braked(destination, &queue);
        match &dropped_by {
            None => hours_open(work, destination, &slot),
            Some(by) => {
                if let Some(waiting) = work.state.load(&slot) {
                    drop_all(work, &waiting, by);
                    work.state.save(&slot, None);
                }
            }
        }
    }
}

/// None of what waits is sent.
fn drop_all(work: &mut Planning<'_>, waiting: &Waiting, by: &str) {
    let note = format!("held, and then not sent: {by} dropped what the rule held");
    let held = waiting.held.iter().map(|held| (&held.delivery.rule, &held.delivery.action, held.delivery.event));
    let rest = waiting.rest.iter().map(|rest| (&rest.rule, &rest.action, rest.event));
    for (rule, action, event) in held.chain(rest) {
        let mut trace = Trace::default();
        trace.action(RuleOutcome::Cancelled, action, Some(&waiting.destination), note.clone());
        work.decide(trace, event, present_name(work.rules, rule));
    }
    for Held { delivery, case, .. } in &waiting.held {
        let Some(belongs) = case else { continue };
        if let Some(mut case) = work.case(&names_for(work.rules, &delivery.rule), &belongs.key) {
            cards::forget(&mut case, &delivery.id);
            work.save_case(&case);
        }
    }
}
