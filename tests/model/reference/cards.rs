//! `docs/RULES.md`, "One message that changes".

use fanfare::delivery::MessageOp;
use fanfare::event::Seq;
use fanfare::rules::{Action, ActionJudgement, Held, Rule};

use super::messages::{Asked, Fate};
use super::{Now, Reference};

/// "A case keeps the newest 200 matches".
const MATCHES_MAX: usize = 200;

impl Reference {
    /// "`events` holds all matches of the case, oldest first", "and `more` is the number left out".
    pub(super) fn matches(&self, case: usize) -> (Vec<Seq>, u64) {
        let all: Vec<Seq> = self.cases[case].matches.iter().map(|one| one.seq).collect();
        let more = all.len().saturating_sub(MATCHES_MAX);
        (all[more..].to_vec(), more as u64)
    }

    /// "The first match sends it, and later matches change it". Gives whether there is a first at this destination.
    pub(super) fn change(&mut self, now: &mut Now<'_>, asked: &Asked<'_>, to: &str) -> bool {
        let case = asked.case.filter(|_| asked.one.action.update);
        let Some((case, is_first)) = case.and_then(|case| Some((case, *self.cases[case].cards.get(to)?))) else {
            return false;
        };
        // "A channel that can't change its messages gets the first message". "If another message of the case is already at a
        // destination, this one stands below it and can't change."
        if !is_first || !self.editing.contains(to) {
            // At a deadline: "A channel that can't change its messages gets another one, within its hours and mutes." So does a
            // channel where the message stands below another. "A message that waits for its hours is replaced as well."
            return !asked.one.action.deadline && !self.waits_at(case, &asked.one.action.id, to);
        }
        let mut message = self.message(now, asked, to);
        // It comes after the message that it changes.
        self.sent += 1;
        message.sent = self.sent;
        // "A change that is not sent yet is replaced by the next one."
        let messages = &mut self.messages;
        now.said.retain(|(at, said)| {
            let older = at.map(|at| &mut messages[at]).filter(|older| older.case == Some(case) && said.to == to);
            let older = older.filter(|_| said.act == MessageOp::Update);
            older.map(|older| older.fate = Fate::CalledOff).is_none()
        });
        let said = self.said(&message, MessageOp::Update);
        now.said.push((Some(self.messages.len()), said));
        self.messages.push(message);
        true
    }

    /// "`deadline: 1d after release_date` makes the message critical at that time if the case is still open … Later changes stay
    /// critical until the case closes, or until a match puts the date off." A person may have sent it before its time.
    pub(super) fn is_overdue(&self, now: &Now<'_>, case: usize, action: &Action) -> bool {
        let case = &self.cases[case];
        let Some(rule) = self.rule(now.rules, &case.line).filter(|_| action.update && !case.closed) else {
            return false;
        };
        let mut deadlines = rule.actions.iter().filter(|other| other.deadline);
        let Some(deadline) = deadlines.find(|other| card_of(&other.id) == card_of(&action.id)) else { return false };
        let Some((moment, _)) = self.dated(now, rule, deadline, case) else { return false };
        let has_acted = case.reminded.iter().any(|(acted, ..)| *acted == deadline.id);
        has_acted && moment <= now.ms || case.overdue.contains(&(deadline.id.clone(), moment))
    }

    /// Whether a message that later matches change waits for its hours.
    fn waits_at(&self, case: usize, action: &str, to: &str) -> bool {
        let mut held = self.of_case(case, to).filter(|message| matches!(message.fate, Fate::Held { .. }));
        held.any(|message| card_of(&message.action) == card_of(action))
    }

    /// "A channel that can't change its messages gets the first message, and at the close the last one: at any hour and in
    /// spite of mutes. It doesn't get the last one if the close resolves its incident, or if `on_close` sends something there."
    pub(super) fn last_of_cards(
        &self,
        now: &mut Now<'_>,
        (rule, case): (Option<&Rule>, usize),
        seq: Seq,
        on_close: &[ActionJudgement<'_>],
    ) {
        let is_said = |to: &str| {
            let mut said = on_close.iter().filter(|one| one.held == Held::Held).flat_map(|one| &one.action.to);
            said.any(|other| other.value == to)
        };
        for (to, is_first) in &self.cases[case].cards {
            let changes = *is_first && self.updating.contains(to);
            if let (Some(action), false, false) = (card_at(rule, to), changes, is_said(to)) {
                let events = self.all_at_the_end(case, seq);
                self.say_end(now, (case, events), &action, to, MessageOp::Again);
            }
        }
    }

    /// "At a close by an event, that event is the last of `events`."
    pub(super) fn all_at_the_end(&self, case: usize, seq: Seq) -> (Vec<Seq>, u64) {
        let (mut all, more) = self.matches(case);
        if !self.cases[case].matches.iter().any(|one| one.seq == seq) {
            all.push(seq);
        }
        (all, more)
    }
}

/// Which message a deadline makes critical.
pub(super) fn card_of(action: &str) -> &str {
    action.strip_suffix(" @ deadline").unwrap_or(action)
}

/// "The action is the only one with `update` for its destinations".
pub(super) fn card_at(rule: Option<&Rule>, to: &str) -> Option<String> {
    let mut cards = rule?.actions.iter().filter(|action| action.update && !action.deadline);
    cards.find(|action| action.to.iter().any(|other| other.value == to)).map(|action| action.id.clone())
}
