//! `docs/RULES.md`, "Send now or cancel what waits".

use fanfare::event::UpcomingOp;
use fanfare::rules::{Action, Rule};
use serde_json::Value;

use super::super::Ms;
use super::cases::Case;
use super::messages::Fate;
use super::reminders::is_at_the_same_times;
use super::{Due, Now, Reference};

impl Reference {
    /// A person asks for what was due then. "What was sent or cancelled meanwhile stays as it is." What is to be sent now, and
    /// comes due just now, comes.
    pub(super) fn upcoming(&mut self, now: &mut Now<'_>, timer: &str, (due, does): (Ms, UpcomingOp)) {
        let meaning: Value = serde_json::from_str(timer).unwrap();
        if let Some(of) = meaning.get("act") {
            return self.reminder_asked(now, of, (due, does));
        }
        let mut waiting = self.digests().into_iter().chain(self.openings());
        let Some((at, what)) = waiting.find(|(_, what)| self.is_meant(&meaning, what)) else { return };
        match what {
            Due::Digest(first) if at == due => self.digest_by_hand(now, first, (due, does)),
            Due::Opening(to, until) => self.opening_by_hand(now, (to, until), does),
            _ => {}
        }
    }

    /// The reminder of an open case that was due then. "Nothing happens if the rules in force no longer ask for a reminder." Until
    /// new rules have reached the case, its time is that of the old ones.
    fn reminder_asked(&mut self, now: &Now<'_>, of: &Value, (due, does): (Ms, UpcomingOp)) {
        let is_meant = |case: &Case| !case.closed && of["nth"].as_i64() == Some(case.opening().seq);
        let Some(at) = self.cases.iter().position(|case| is_meant(case) && self.is_line(of, case)) else { return };
        let case = &self.cases[at];
        let named = |rule: &&Rule| rule.actions.iter().any(|one| of["action"] == *one.id);
        let (Some(old), Some(new)) =
            (case.set_by.as_ref().filter(named), self.rule(now.rules, &case.line).filter(named))
        else {
            return;
        };
        let action = |rule: &'_ Rule| rule.actions.iter().find(|one| of["action"] == *one.id).unwrap().clone();
        let (before, present) = (action(old), action(new));
        let (rule, asked) = if is_at_the_same_times(&before, &present) { (new, present) } else { (old, before) };
        let is_set = asked.step.is_none() || case.steps.contains(&asked.id);
        if !is_set || self.moment(now, rule, &asked, case) != Some(due) {
            return;
        }
        let rule = rule.clone();
        self.reminder_by_hand(now, at, (&rule, &asked), (due, does));
    }

    fn is_line(&self, of: &Value, case: &Case) -> bool {
        of["rule"].as_str().is_some_and(|rule| self.line(rule) == case.line)
    }

    /// "acts at once, and counts for the time that it was set for: `repeat` goes on after that time"; "counts as sent: `repeat`
    /// goes on at its next time".
    fn reminder_by_hand(
        &mut self,
        now: &Now<'_>,
        case: usize,
        (rule, asked): (&Rule, &Action),
        (due, does): (Ms, UpcomingOp),
    ) {
        let action = &asked.id;
        if does == UpcomingOp::Send {
            if due > now.ms {
                self.cases[case].early.insert(action.clone(), now.ms);
            }
            return;
        }
        let dated = self.dated(now, rule, asked, &self.cases[case]).filter(|_| asked.at.is_some());
        let moment = dated.map_or(now.ms, |(moment, _)| moment);
        let set_for = self.set_for(now, rule, asked, &self.cases[case]).unwrap_or(now.ms).max(now.ms);
        self.cases[case].reminded.push((action.clone(), moment, set_for));
        self.cases[case].early.remove(action);
    }

    /// "goes at once with what it holds"; "its events are not sent". "the next event opens another".
    fn digest_by_hand(&mut self, now: &Now<'_>, first: usize, (due, does): (Ms, UpcomingOp)) {
        for at in self.in_digest(first) {
            match (does, &mut self.messages[at].fate) {
                (UpcomingOp::Cancel, fate) => *fate = Fate::Gone,
                (UpcomingOp::Send, Fate::Collected { until, .. }) if due > now.ms => *until = now.ms,
                _ => {}
            }
        }
    }

    /// "all that wait for the same opening go at once, as they would when it comes"; "none of them is sent". The next plan says
    /// so.
    fn opening_by_hand(&mut self, now: &Now<'_>, (to, until): (String, Ms), does: UpcomingOp) {
        if does == UpcomingOp::Cancel || until > now.ms {
            self.asked.insert((to.clone(), until), (now.ms, does));
            self.look_again(&to, until, now.ms);
        }
    }

    /// What people asked for of what waits for an opening.
    pub(super) fn asked(&self) -> Vec<(Ms, Due)> {
        let asked = self.asked.iter().filter(|((to, until), _)| self.waits_for(to, *until));
        asked.map(|((to, until), (at, _))| (*at, Due::Asked(to.clone(), *until))).collect()
    }

    /// What waits is looked at for another reason, such as new rules: what was asked of it is done.
    pub(super) fn asked_instead(&self, due: Due) -> Due {
        match due {
            Due::Opening(to, until) if self.asked.contains_key(&(to.clone(), until)) => Due::Asked(to, until),
            due => due,
        }
    }

    /// Where nothing waits any more, because newer messages took its place, nothing is left of what was asked either.
    pub(super) fn forget_asked(&mut self, now: Ms) {
        let mut asked = std::mem::take(&mut self.asked);
        asked.retain(|(to, until), (at, _)| *at > now || self.waits_for(to, *until));
        self.asked = asked;
    }

    fn waits_for(&self, to: &str, opening: Ms) -> bool {
        let waits = |fate: Fate| matches!(fate, Fate::Held { until, .. } if until == opening);
        self.messages.iter().any(|message| message.to == to && waits(message.fate))
    }

    /// "A later match with another date moves `at`, and the message then describes that match": if a person has it sent now and
    /// that match is read in the same plan, the next plan sends it.
    pub(super) fn speaks_of_what_was_read(&self, now: &Now<'_>, case: usize, action: &str) -> bool {
        let case = &self.cases[case];
        let rule = self.rule(now.rules, &case.line).filter(|_| case.early.contains_key(action));
        let asked =
            rule.and_then(|rule| Some((rule, rule.actions.iter().find(|one| one.id == action && one.at.is_some())?)));
        let dated = asked.and_then(|(rule, asked)| self.dated(now, rule, asked, case));
        dated.is_some_and(|(_, from)| now.read.contains(&from.seq))
    }
}
