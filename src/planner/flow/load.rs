//! What must be loaded before a batch can be planned: the documents that its entries and timers can touch. The machines say
//! where theirs stand, by the same slots that the flow then reads.

use crate::delivery::DeliveryId;
use crate::event::{Command, Event};
use crate::planner::audit::Audited;
use crate::planner::backfill::Backfills;
use crate::planner::case::{Case, MISSING_KEY};
use crate::planner::closes::Closed;
use crate::planner::digest::DigestId;
use crate::planner::fallback::{Fallen, Told, key_of};
use crate::planner::flood::Flood;
use crate::planner::held::{Opens, Waiting, embargo, opens};
use crate::planner::inputs::{Fired, Inputs, Judged, What};
use crate::planner::links::{LinkKeys, Linked};
use crate::planner::loaded::Keys;
use crate::planner::missing::{self, Awaited};
use crate::planner::mute::Muting;
use crate::planner::names::{action_named, names_for, names_of};
use crate::planner::own::{Failing, Noticed, Unmatched};
use crate::planner::state::{Doc, Slot};
use crate::planner::sums::{SumId, Summand};
use crate::planner::threshold::ThresholdId;
use crate::planner::throttle::ThrottleId;
use crate::planner::timer::{HeldRef, Meaning};
use crate::rules::{Action, ActionJudgement, Judgement, Rule};

/// What [`crate::planner::plan()`] needs to know for these inputs. Few documents are of the kinds that are asked for
/// whole: mutes, and what a minute's coalescing keeps.
pub fn keys(inputs: &Inputs<'_>) -> Keys {
    let mut wanted = Wanted { inputs, keys: Keys::default() };
    wanted.keys.all.extend([Muting::KIND, Noticed::KIND, Fallen::KIND].map(str::to_owned));
    for entered in &inputs.entries {
        match &entered.what {
            What::Event(judged) => {
                wanted.event(judged);
                wanted.reported(judged);
            }
            What::Replay { event: Some(judged), .. } => wanted.event(judged),
            What::Command(Command::ByLink { of, .. }) => {
                wanted.case_of(&of.rule, &of.key);
                wanted.one(Audited::slot(inputs.now));
            }
            What::Command(Command::RotateLinks { .. }) => wanted.one(LinkKeys::slot()),
            What::Command(Command::CloseCase { rule, key, .. } | Command::AckCase { rule, key, .. }) => {
                wanted.case_of(rule, key);
            }
            What::Command(Command::Upcoming { timer, .. }) => {
                Meaning::parse(timer).iter().for_each(|meaning| wanted.meant(meaning));
            }
            What::Command(Command::Flood { rule, .. }) => wanted.one(Flood::slot(&names_for(inputs.rules, rule))),
            What::Command(Command::Backfill(asked)) => wanted.one(Backfills::slot(&asked.source)),
            What::Command(Command::Backfilling(report)) => wanted.one(Backfills::slot(&report.source)),
            What::Command(Command::Audit(act)) => wanted.one(Audited::slot(act.at)),
            What::Signal(signal) => {
                signal.destination.iter().for_each(|to| wanted.one(Failing::slot(to)));
                signal.died.iter().for_each(|died| wanted.lost(&died.id, &died.rule, key_of(died)));
            }
            What::Command(_) | What::Replay { event: None, .. } | What::Parked { .. } => {}
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
    fn one<D: Doc>(&mut self, slot: Slot<D>) {
        self.keys.one.extend(slot.keys());
    }

    fn event(&mut self, judged: &Judged<'_>) {
        if !judged.named {
            self.one(Unmatched::slot(&judged.event.kind));
        }
        for judgement in &judged.judgements {
            let names = names_of(self.inputs.rules, judgement.rule);
            if judgement.rule.missing.is_some() {
                self.case(&names, MISSING_KEY);
                if judged.event.is_own() {
                    self.case(&names, missing::key_of(judged.event));
                }
                let alone = self.inputs.rules.judge_rule(judgement.rule, judged.event);
                self.actions(judgement.rule, &alone.on_close, judged.event);
            }
            for key in [&judgement.case, &judgement.closes].into_iter().flatten().flatten() {
                self.case(&names, key);
            }
            if let Some((of, _)) = ThresholdId::of(judgement) {
                self.one(of.slot(&names));
            }
            if let Some(Ok(summand)) = Summand::of(judgement, judged.event.created) {
                self.one(summand.of.slot(&names));
            }
            for written in [&judgement.case_written, &judgement.closes_written].into_iter().flatten() {
                self.case(&names, written);
            }
            self.judgement(judgement, judged.event);
        }
    }

    /// A case, and what opens and closes it.
    fn case(&mut self, names: &[String], key: &str) {
        self.one(Case::slot(names, key));
        self.one(Closed::slot(names, key));
        self.one(Awaited::slot(names));
    }

    /// The case that a report means, and the audit list.
    fn reported(&mut self, judged: &Judged<'_>) {
        let Some((_, of)) = &judged.report else { return };
        of.iter().for_each(|of| self.case_of(&of.rule, &of.key));
        self.one(Audited::slot(self.inputs.now));
    }

    fn case_of(&mut self, rule: &str, key: &str) {
        self.case(&names_for(self.inputs.rules, rule), key);
    }

    /// A delivery that did not arrive, whether that was reported, and its case.
    fn lost(&mut self, delivery: &DeliveryId, rule: &str, key: Option<&str>) {
        self.keys.deliveries.insert(delivery.clone());
        self.one(Told::slot(delivery));
        key.iter().for_each(|key| self.case_of(rule, key));
    }

    fn judgement(&mut self, judgement: &Judgement<'_>, event: &Event) {
        self.actions(judgement.rule, &judgement.actions, event);
        self.actions(judgement.rule, &judgement.on_close, event);
    }

    /// What announcing these actions can touch: their throttles, with the digests of their rest, their digests, and what
    /// waits for the same opening.
    fn actions(&mut self, rule: &Rule, judged: &[ActionJudgement<'_>], event: &Event) {
        let names = names_of(self.inputs.rules, rule);
        let name = rule.name.value.as_str();
        for acted in judged {
            let throttle = ThrottleId::of(name, acted).and_then(|(of, _)| of.ok());
            throttle.into_iter().for_each(|of| self.one(of.slot(&names)));
            for destination in acted.action.to.iter().map(|to| to.value.as_str()) {
                let rest =
                    throttle.map(|of| DigestId { rule: name, action: of.action, key: of.key, destination, rest: true });
                let digest = DigestId::of(name, acted, destination).and_then(|(of, _)| of.ok());
                rest.into_iter().chain(digest).for_each(|of| self.one(of.slot(&names)));
                self.held(acted.action, destination);
                self.braked(rule, &names, destination);
                let facts = self.inputs.destinations.named.get(destination);
                if let Ok(Some(until)) = embargo(self.inputs.rules, facts, event) {
                    self.one(Waiting::slot(destination, until));
                }
            }
        }
    }

    /// What waits for the opening that a message of this action would wait for.
    fn held(&mut self, action: &Action, destination: &str) {
        let facts = self.inputs.destinations.named.get(destination);
        if let Opens::At(opens) = opens(action, facts, self.inputs.now) {
            self.one(Waiting::slot(destination, opens));
        }
    }

    /// What is held of a rule that floods, and whether it does.
    fn braked(&mut self, rule: &Rule, names: &[String], destination: &str) {
        if rule.flood.is_some() {
            self.one(Flood::slot(names));
            names.iter().for_each(|name| self.one(Waiting::braked(destination, name)));
        }
    }

    /// The same for a message that waited already.
    fn held_again(&mut self, rule: &str, action: &str, destination: &str) {
        if let Some((_, action)) = action_named(self.inputs.rules, rule, action) {
            self.held(action, destination);
        }
    }

    /// A message that waits, and its case.
    fn waits(&mut self, held: &HeldRef, destination: &str) {
        self.held_again(&held.rule, &held.action, destination);
        held.key.iter().for_each(|key| self.case_of(&held.rule, key));
    }

    fn timer(&mut self, fired: &Fired<'_>) {
        let Some(meaning) = &fired.meaning else { return };
        if let Some(carried) = &fired.carried {
            carried.judgement.iter().for_each(|judgement| self.judgement(judgement, carried.event));
        }
        self.meant(meaning);
    }

    /// What a timer means, whether it has come due or a person asks for it.
    fn meant(&mut self, meaning: &Meaning) {
        match meaning {
            Meaning::Act { rule, key, .. }
            | Meaning::Rearm { rule, key, .. }
            | Meaning::End { rule, key, .. }
            | Meaning::Forget { rule, key } => self.case_of(rule, key),
            Meaning::Closing { rule, case, .. } => self.case_of(rule, &case.key),
            Meaning::Missing { rule } => self.case_of(rule, MISSING_KEY),
            Meaning::Came { rule, key } => self.case_of(rule, key),
            Meaning::Digest { rule, action, key, destination, rest, cases } => {
                let names = names_for(self.inputs.rules, rule);
                self.one(DigestId { rule, action, key, destination, rest: *rest }.slot(&names));
                self.one(ThrottleId { rule, action, key }.slot(&names));
                self.held_again(rule, action, destination);
                if let Some((rule, _)) = action_named(self.inputs.rules, rule, action) {
                    self.braked(rule, &names, destination);
                }
                cases.iter().for_each(|case| self.case_of(rule, case));
            }
            Meaning::Opens { destination, opens, held } => {
                self.one(Waiting::slot(destination, *opens));
                held.iter().for_each(|held| self.waits(held, destination));
            }
            Meaning::Flood { rule, queue, held } => {
                self.one(Flood::slot(&names_for(self.inputs.rules, rule)));
                for (destination, held) in held {
                    queue.iter().for_each(|queue| self.one(Waiting::braked(destination, queue)));
                    held.iter().for_each(|held| self.waits(held, destination));
                }
            }
            Meaning::Sum { rule, group } => {
                self.one(SumId { rule, group: group.clone() }.slot(&names_for(self.inputs.rules, rule)));
            }
            Meaning::Threshold { rule, group } => {
                self.one(ThresholdId { rule, group: group.clone() }.slot(&names_for(self.inputs.rules, rule)));
            }
            Meaning::Throttle { rule, action, key } => {
                self.one(ThrottleId { rule, action, key }.slot(&names_for(self.inputs.rules, rule)));
            }
            Meaning::Late { delivery, rule, key } => self.lost(delivery, rule, key.as_deref()),
            Meaning::Unmatched { kind } => self.one(Unmatched::slot(kind)),
            Meaning::Audited { at } => self.one(Audited::slot(*at)),
            Meaning::Link { id } => self.one(Linked::slot(id)),
            // Of kinds that are loaded whole.
            Meaning::Signal { .. } | Meaning::Fallback { .. } | Meaning::Mute { .. } => {}
        }
    }
}
