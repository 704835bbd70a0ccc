//! What must be loaded before a batch can be planned: exactly the documents that its entries and timers can touch.

use jiff::Timestamp;

use crate::event::Command;
use crate::planner::book::{Doc, key};
use crate::planner::case::Case;
use crate::planner::close::Closed;
use crate::planner::digest::{Collected, made_of};
use crate::planner::fallback::Fallen;
use crate::planner::hold::{Waiting, hold_parts};
use crate::planner::inputs::{Fired, Inputs, Judged, What, names_for, names_of, rule_named};
use crate::planner::ledger::Keys;
use crate::planner::matching::MISSING_KEY;
use crate::planner::missing::Awaited;
use crate::planner::mute::Muting;
use crate::planner::own::{Failing, Noticed, Unmatched};
use crate::planner::throttle::Window;
use crate::planner::timer::Meaning;
use crate::rules::{Action, ActionJudgement, HoursChoice, Rule};

/// What [`super::plan`] needs to know for these inputs. Few documents are of the kinds that are asked for whole: mutes,
/// and what a minute's coalescing keeps.
pub fn keys(inputs: &Inputs<'_>) -> Keys {
    let mut wanted = Wanted { inputs, keys: Keys::default() };
    for kind in [Muting::KIND, Noticed::KIND, Fallen::KIND] {
        wanted.keys.all.insert(kind.into());
    }
    for entered in &inputs.entries {
        match &entered.what {
            What::Event(judged) | What::Replay { event: Some(judged), .. } => wanted.event(judged),
            What::Command(command) => wanted.command(command),
            What::Signal(signal) => {
                signal.destination.iter().for_each(|destination| wanted.one::<Failing>(&[destination]));
            }
            What::Replay { event: None, .. } | What::Parked { .. } => {}
        }
    }
    for fired in &inputs.timers {
        wanted.timer(fired);
    }
    wanted.keys
}

struct Wanted<'i, 'a> {
    inputs: &'i Inputs<'a>,
    keys: Keys,
}

impl Wanted<'_, '_> {
    fn one<D: Doc>(&mut self, parts: &[&str]) {
        self.keys.one.insert(key::<D>(parts));
    }

    fn event(&mut self, judged: &Judged<'_>) {
        if !judged.named {
            self.one::<Unmatched>(&[&judged.event.kind]);
        }
        for judgement in &judged.judgements {
            let names = names_of(self.inputs.rules, judgement.rule);
            if judgement.rule.missing.is_some() {
                self.case(&names, MISSING_KEY);
                self.actions(judgement.rule, &self.inputs.rules.judge_rule(judgement.rule, judged.event).on_close);
            }
            for key in [&judgement.case, &judgement.closes].into_iter().flatten().flatten() {
                self.case(&names, key);
            }
            self.actions(judgement.rule, &judgement.actions);
            self.actions(judgement.rule, &judgement.on_close);
        }
    }

    /// A case and what goes with it.
    fn case(&mut self, names: &[String], key: &str) {
        for name in names {
            self.one::<Case>(&[name, key]);
            self.one::<Closed>(&[name, key]);
            self.one::<Awaited>(&[name]);
        }
    }

    fn case_of(&mut self, rule: &str, key: &str) {
        self.case(&names_for(self.inputs.rules, rule), key);
    }

    /// What announcing these actions can touch.
    fn actions(&mut self, rule: &Rule, judged: &[ActionJudgement<'_>]) {
        let names = names_of(self.inputs.rules, rule);
        for acted in judged {
            let action = acted.action;
            let throttle = acted.throttle.as_ref().map_or(Some(""), |key| key.as_deref().ok());
            let throttle = throttle.filter(|_| action.throttle.is_some());
            let digest = acted.digest.as_ref().map_or(Some(""), |key| key.as_deref().ok());
            let digest = digest.filter(|_| action.digest.is_some());
            for name in &names {
                throttle.into_iter().for_each(|key| self.one::<Window>(&[name, &action.id, key]));
                for to in action.to.iter().map(|to| to.value.as_str()) {
                    throttle.into_iter().for_each(|key| self.digest(name, &action.id, key, to, true));
                    digest.into_iter().for_each(|key| self.digest(name, &action.id, key, to, false));
                }
            }
            action.to.iter().for_each(|to| self.hold(action, &to.value));
        }
    }

    fn digest(&mut self, name: &str, action: &str, key: &str, destination: &str, rest: bool) {
        self.one::<Collected>(&[name, action, key, destination, made_of(rest)]);
    }

    /// What waits for the opening that a message of this action would wait for.
    fn hold(&mut self, action: &Action, destination: &str) {
        let own = self.inputs.places.named.get(destination).and_then(|place| place.hours.as_ref());
        let Some(HoursChoice::Within(hours)) = action.hours.as_ref().or(own) else { return };
        if let Some(opens) = hours.closed_until(self.inputs.now) {
            self.held(destination, opens);
        }
    }

    fn held(&mut self, destination: &str, opens: Timestamp) {
        let [destination, opens] = hold_parts(destination, opens);
        self.one::<Waiting>(&[&destination, &opens]);
    }

    fn action_named(&mut self, rule: &str, action: &str, destination: &str) {
        let rules = self.inputs.rules;
        let Some(rule) = rule_named(rules, rule) else { return };
        let action = rule.actions.iter().chain(&rule.on_close).find(|candidate| candidate.id == action);
        action.into_iter().for_each(|action| self.hold(action, destination));
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::CloseCase { rule, key, .. } | Command::AckCase { rule, key, .. } => self.case_of(rule, key),
            Command::Mute(_) | Command::Unmute { .. } | Command::Replay { .. } => {}
        }
    }

    fn timer(&mut self, fired: &Fired<'_>) {
        let Some(meaning) = &fired.meaning else { return };
        if let Some(judgement) = fired.carried.as_ref().and_then(|carried| carried.judgement.as_ref()) {
            self.actions(judgement.rule, &judgement.actions);
            self.actions(judgement.rule, &judgement.on_close);
        }
        match meaning {
            Meaning::Act { rule, key, .. } | Meaning::Rearm { rule, key, .. } | Meaning::End { rule, key, .. } => {
                self.case_of(rule, key);
            }
            Meaning::Closing { rule, case, .. } => self.case_of(rule, &case.key),
            Meaning::Forget { rule, key } => self.case_of(rule, key),
            Meaning::Digest { rule, action, key, destination, rest, cases } => {
                cases.iter().for_each(|case| self.case_of(rule, case));
                for name in names_for(self.inputs.rules, rule) {
                    self.digest(&name, action, key, destination, *rest);
                    self.one::<Window>(&[&name, action, key]);
                }
                self.action_named(rule, action, destination);
            }
            Meaning::Hold { destination, opens, held } => {
                self.held(destination, *opens);
                for held in held {
                    self.action_named(&held.rule, &held.action, destination);
                    held.key.iter().for_each(|key| self.case_of(&held.rule, key));
                }
            }
            Meaning::Throttle { rule, action, key } => {
                for name in names_for(self.inputs.rules, rule) {
                    self.one::<Window>(&[&name, action, key]);
                }
            }
            Meaning::Missing { rule } => self.case_of(rule, MISSING_KEY),
            Meaning::Unmatched { kind } => self.one::<Unmatched>(&[kind]),
            // Of kinds that are loaded whole.
            Meaning::Signal { .. } | Meaning::Fallback { .. } | Meaning::Mute { .. } => {}
        }
    }
}
