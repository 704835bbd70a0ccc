//! When rules come into force: what runs by the clock is brought in line with them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::planner::flow::Planning;
use crate::planner::flow::sweep::Sweep;
use crate::planner::held::Waiting;
use crate::planner::inputs::Destinations;
use crate::planner::loaded::{Keys, LoadedState};
use crate::planner::missing::Awaited;
use crate::planner::mute::Muting;
use crate::planner::own::Noticed;
use crate::planner::plan::Plan;
use crate::planner::state::Doc;
use crate::rules::RuleSet;

/// What [`arm`] and [`Sweep::left`] need to know: of kinds of which there are few. Cases are not among them.
pub fn arm_keys() -> Keys {
    let kinds = [Waiting::KIND, Awaited::KIND, Muting::KIND, Noticed::KIND];
    let all = kinds.into_iter().map(str::to_owned).collect();
    Keys { all, one: BTreeSet::from([Sweep::key()]), ..Keys::default() }
}

/// To be planned once whenever a planner begins with rules: at start, after a reload, and when the lease was another's.
/// Doing it again changes nothing.
///
/// - A `missing` rule that is new begins to wait, and so does one that takes part again; one that is gone or takes no part
///   no longer does.
/// - Planned mutes of files get their end; one that was taken out of its file has ended.
/// - What is held for hours is looked at anew, as its window may have changed.
///
/// Open cases, of which there may be very many, are brought in line by [`Sweep`].
pub fn arm(rules: &RuleSet, destinations: &Destinations, loaded: LoadedState, now: Timestamp) -> Plan {
    let mut work = Planning::new(rules, destinations, loaded, now);
    arm_missing(&mut work);
    let (docs, effects) = Muting::arm(work.state.all(), &rules.mutes, work.now);
    for (mute, muting) in docs {
        work.state.save(&Muting::slot(&mute), muting.as_ref());
    }
    work.act(effects);
    for waiting in work.state.all::<Waiting>() {
        work.act([waiting.looked_at(now)]);
    }
    work.into_plan()
}

fn arm_missing(work: &mut Planning<'_>) {
    for awaited in work.state.all::<Awaited>() {
        if work.rules.named(&awaited.rule).is_none_or(|rule| rule.missing.is_none()) {
            work.due(&Awaited::slot(std::slice::from_ref(&awaited.rule)), |awaited, _| awaited.disarm());
        }
    }
    for rule in &work.rules.rules {
        let Some(missing) = &rule.missing else { continue };
        let (slot, name) = (Awaited::slot(&work.names(rule)), &rule.name.value);
        if rule.enabled {
            work.turn(&slot, |known, now| Awaited::arm(known, name, missing, now.at));
        } else {
            work.due(&slot, |awaited, _| awaited.suspend(name));
        }
    }
}
