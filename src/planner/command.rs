//! What people ask for: close, ack, mute, unmute. A replay comes with its event, and is planned like one.

use crate::event::Command;
use crate::planner::book::id;
use crate::planner::inputs::{names_for, rule_named};
use crate::planner::prospect::stays_when_taken;
use crate::planner::round::Round;
use crate::planner::why::{Outcome, Trace};

impl Round<'_> {
    /// Does what was asked. What is not there any more is passed over: whoever asked was told what there was.
    pub fn command(&mut self, command: &Command) {
        match command {
            Command::CloseCase { rule, key, by } => self.close_by_hand(rule, key, by),
            Command::AckCase { rule, key, by } => self.ack(rule, key, by),
            Command::Mute(mute) => self.mute(mute),
            Command::Unmute { id, by } => self.unmute(id, by),
            // Comes as `What::Replay`, with its event.
            Command::Replay { .. } => {}
        }
    }

    /// Someone took a case: `after` and `repeat` stop, and what of them was never tried is called off. A date (`at`)
    /// comes all the same, once.
    fn ack(&mut self, rule: &str, key: &str, by: &str) {
        let names = names_for(self.rules, rule);
        let Some(mut case) = self.case(&names, key) else { return };
        let present = rule_named(self.rules, rule);
        let mut stopped = Vec::new();
        for (action, timer) in &mut case.timers {
            let in_force = present.and_then(|rule| rule.actions.iter().find(|candidate| &candidate.id == action));
            if !stays_when_taken(timer, in_force) {
                timer.due = None;
                stopped.push(action.clone());
            }
        }
        for action in &stopped {
            self.drop_timer(case.timer_id(&id(&["act", action])));
            for shown in case.lanes.values() {
                self.cancel(&shown.lane, Some(action), &format!("{by} took the case"));
            }
        }
        case.acked = Some(by.into());
        case.acked_at = Some(self.now);
        let mut trace = Trace::default();
        trace.rule(Outcome::Cancelled, format!("{by} took case `{}`: no more reminders of it", case.key));
        self.plan.whys.extend(trace.row(case.event, &case.rule));
        self.save_case(&case);
    }
}
