//! An action without a name is known by what it says and when. Where its words were edited, what waited for the old words
//! goes on under the new ones, and what was said is not said again.

use crate::planner::case::Case;
use crate::planner::effect::Effect;
use crate::planner::reminders::act_timer;
use crate::rules::{Action, Judgement, Rule};

/// The action that a case's timer belongs to now, where the rule no longer has the one that set it: the only new one that
/// goes to the same destinations at the same time. What waits already in the case under its own id is not new.
pub(crate) fn renamed<'r>(rule: &'r Rule, case: &Case, gone: &str) -> Option<&'r Action> {
    let timer = case.timers.get(gone).filter(|_| rule.actions.iter().all(|action| action.id != gone))?;
    let fits = |action: &&Action| {
        // Older programs didn't keep the destinations.
        let same_destinations = timer.to.is_empty() || timer.to == action.destinations();
        same_destinations && !case.timers.contains_key(&action.id) && action.spec().as_ref() == Some(&timer.spec)
    };
    let mut fitting = rule.actions.iter().filter(fits);
    fitting.next().filter(|_| fitting.next().is_none())
}

/// Hands the timers of actions that the rule no longer has to those that took their place, as they stand: what has fired has
/// fired.
pub(crate) fn inherit(case: &mut Case, judgement: &Judgement<'_>) -> Vec<Effect> {
    let (rule, mut effects) = (judgement.rule, Vec::new());
    let mut gone: Vec<(u64, String)> = case.timers.iter().map(|(id, timer)| (timer.fired, id.clone())).collect();
    // Of two that one action could follow, it follows the one that said more.
    gone.sort_by(|a, b| b.cmp(a));
    for (_, old) in gone {
        let Some(heir) = renamed(rule, case, &old) else { continue };
        let holds = judgement.actions.iter().any(|acted| acted.action.id == heir.id && acted.accepts());
        let Some(timer) = case.timers.get(&old) else { continue };
        if !holds && timer.event == case.event {
            // It asks for something else of the event: another action, which happens to go there at that time.
            continue;
        }
        let Some(mut timer) = case.timers.remove(&old) else { continue };
        effects.push(Effect::DropTimer(case.act_id(&old)));
        effects.extend(timer.due.map(|due| act_timer(case, &heir.id, timer.event, due)));
        for shown in case.lanes.values_mut().filter(|shown| shown.action == old) {
            shown.action.clone_from(&heir.id);
        }
        timer.to = heir.destinations();
        case.timers.insert(heir.id.clone(), timer);
    }
    effects
}
