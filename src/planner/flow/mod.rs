//! The flow: the only code that knows all state machines. It loads their documents, asks them in order, and carries out the
//! effects that they ask for. There are three ways through it, a file each: `event` (also an event that is planned again),
//! `timer` and `command` (what people ask for and what Fanfare noticed). All of them end in `announce`, `close` or `lost`. `arm` and
//! `sweep` are for rules that come into force, and `load` says what must be loaded before any of it.

pub(crate) mod announce;
pub(crate) mod arm;
pub(crate) mod change;
pub(crate) mod close;
pub(crate) mod command;
pub(crate) mod count;
pub(crate) mod event;
pub(crate) mod fall_back;
pub(crate) mod hold;
pub(crate) mod flooded;
pub(crate) mod links;
pub(crate) mod load;
pub(crate) mod lost;
pub(crate) mod occasion;
pub(crate) mod opens;
pub(crate) mod people;
pub(crate) mod report;
pub(crate) mod sweep;
pub(crate) mod timer;
pub(crate) mod upcoming;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::delivery::{Delivery, DeliveryId, MessageOp, NewDelivery, Say, Severity};
use crate::event::{Event, Seq, Signal, own};
use crate::planner::case::{Case, CaseRef};
use crate::planner::closes::end_lanes;
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::inputs::{DestinationFacts, Destinations};
use crate::planner::links::Raised;
use crate::planner::loaded::{LoadedState, Timer};
use crate::planner::missing::Awaited;
use crate::planner::mute::{Audible, Mutes, Muting};
use crate::planner::names::{identity, names_for, names_of, present_name};
use crate::planner::own::{Failing, Noticed, NoticedId};
use crate::planner::plan::{Cancel, Plan};
use crate::planner::state::{Doc, Slot, State};
use crate::planner::wanted::{Unwanted, unwanted};
use crate::planner::why::{RuleOutcome, Trace, because};
use crate::rules::{Action, ActionJudgement, Held, Judgement, Rule, RuleSet, Why};

/// The planning of one batch: what is known, and what was decided so far. What one entry changes is seen by those after it.
#[derive(Debug)]
pub(crate) struct Planning<'a> {
    pub now: Now<'a>,
    pub rules: &'a RuleSet,
    pub destinations: &'a Destinations,
    pub state: State,
    /// How the deliveries stand that were asked for.
    pub deliveries: BTreeMap<DeliveryId, Delivery>,
    pub plan: Plan,
    /// Timers set, or with `None` taken away.
    pub timers: BTreeMap<String, Option<Timer>>,
    /// How many of the deliveries planned so far have been given their links.
    pub offered: usize,
    mutes: Mutes<'a>,
}

impl<'a> Planning<'a> {
    pub fn new(rules: &'a RuleSet, destinations: &'a Destinations, mut loaded: LoadedState, now: Timestamp) -> Self {
        let deliveries = std::mem::take(&mut loaded.deliveries);
        let mut planning = Self {
            now: Now { at: now, zone: &destinations.zone },
            rules,
            destinations,
            state: State::new(loaded),
            deliveries,
            plan: Plan::default(),
            timers: BTreeMap::new(),
            offered: 0,
            mutes: Mutes::default(),
        };
        planning.gather_mutes();
        planning
    }

    pub fn into_plan(self) -> Plan {
        Plan { docs: self.state.into_changes(), timers: self.timers.into_iter().collect(), ..self.plan }
    }

    /// Carries out what a machine asks for; its lines go into this decision.
    pub fn apply(&mut self, effects: impl IntoIterator<Item = Effect>, trace: &mut Trace) {
        for effect in effects {
            match effect {
                Effect::Deliver(delivery) => self.plan.deliveries.push(*delivery),
                Effect::Cancel(cancel) => self.cancel(cancel),
                Effect::EndLane(end) => self.plan.ended.push(end),
                Effect::ForgetRaised(lane) => self.state.forget(&Raised::slot(&lane)),
                Effect::SetTimer(id, timer) => _ = self.timers.insert(id, Some(timer)),
                Effect::DropTimer(id) => _ = self.timers.insert(id, None),
                Effect::OwnEvent(event) => self.plan.events.push(*event),
                Effect::Signal(origin, signal) => self.signal(&origin, &signal),
                Effect::Trace { outcome, action: None, note, .. } => trace.rule(outcome, note),
                Effect::Trace { outcome, action: Some(action), to, note } => {
                    trace.action(outcome, &action, to.as_deref(), note);
                }
            }
        }
    }

    /// Carries out what a machine asks for where no decision is being written.
    pub fn act(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.apply(effects, &mut Trace::default());
    }

    /// One turn of a machine: its document is loaded, the machine says what is kept and what it asks for, and both are done.
    pub fn turn<D: Doc>(&mut self, slot: &Slot<D>, turn: impl FnOnce(Option<D>, Now<'a>) -> Next<D>) {
        self.turn_told(slot, &mut Trace::default(), turn);
    }

    /// The same, with its lines in this decision.
    pub fn turn_told<D: Doc>(
        &mut self,
        slot: &Slot<D>,
        trace: &mut Trace,
        turn: impl FnOnce(Option<D>, Now<'a>) -> Next<D>,
    ) {
        let known = self.state.load(slot);
        let was_there = known.is_some();
        let (kept, effects) = turn(known, self.now);
        // What is there and can't be read is left alone.
        if was_there || kept.is_some() {
            self.state.save(slot, kept.as_ref());
        }
        self.apply(effects, trace);
    }

    /// The turn of a machine that a timer was set for: nothing, if its document is gone.
    pub fn due<D: Doc>(&mut self, slot: &Slot<D>, turn: impl FnOnce(D, Now<'a>) -> Next<D>) {
        self.turn(slot, |known, now| known.map_or_else(|| (None, Vec::new()), |known| turn(known, now)));
    }

    /// Calls off what a lane still has untried, in this plan and before it. A close's update is never called off.
    fn cancel(&mut self, cancel: Cancel) {
        let is_meant = |delivery: &NewDelivery| {
            delivery.act != MessageOp::Close
                && delivery.lane.as_ref() == Some(&cancel.lane)
                && cancel.action.as_ref().is_none_or(|action| delivery.action == *action)
                && cancel.act.is_none_or(|act| delivery.act == act)
        };
        let before = self.plan.deliveries.iter().take(self.offered).filter(|delivery| is_meant(delivery)).count();
        self.plan.deliveries.retain(|delivery| !is_meant(delivery));
        self.offered = self.offered.saturating_sub(before);
        if !self.plan.cancel.contains(&cancel) {
            self.plan.cancel.push(cancel);
        }
    }

    /// Makes an own event of a signal, or keeps it for the next. `origin` tells it from others of its kind.
    pub fn signal(&mut self, origin: &str, signal: &Signal) {
        // What an own event set off is not told, or each would set off another; except for the end of what was reported.
        if !self.ends_a_failure(signal) && signal.from_own {
            return;
        }
        let take = |known, now: Now<'_>| Noticed::take(known, origin, signal, now.at);
        self.turn(&NoticedId::of(signal).slot(), take);
    }

    fn ends_a_failure(&mut self, signal: &Signal) -> bool {
        let Some(destination) = signal.destination.as_deref().filter(|_| Failing::is_about(signal)) else {
            return false;
        };
        let mut ends = false;
        self.turn(&Failing::slot(destination), |known, _| {
            let (kept, is_end) = Failing::pair(known, signal);
            ends = is_end;
            (kept, Vec::new())
        });
        ends
    }

    /// A rule, or the planning of something, failed: told as `fanfare.rule.failed`.
    pub fn signal_failed(&mut self, origin: &str, rule: Option<&str>, from_own: bool, data: Value) {
        let signal = Signal::new(own::RULE_FAILED, data, self.now.at);
        self.signal(origin, &Signal { rule: rule.map(str::to_owned), from_own, ..signal });
    }

    /// Ends a decision: its row, if there is anything to tell.
    pub fn decide(&mut self, trace: Trace, event: Seq, rule: &str) {
        self.plan.whys.extend(trace.row(event, rule));
    }

    /// Ends a decision, with an own event if something failed. `event` is what was judged, if it was at hand; what an own
    /// event sets off is not told.
    pub fn tell(&mut self, trace: Trace, seq: Seq, event: Option<&Event>, rule: &Rule) {
        if let Some(first) = trace.failures().first() {
            let (id, kind) = (event.map(|event| &event.id), event.map(|event| &*event.kind));
            let data = json!({"reason": first, "reasons": trace.failures(), "event": id, "type": kind});
            let own = event.is_some_and(Event::is_echo);
            self.signal_failed(&format!("{seq}"), Some(&rule.name.value), own, data);
        }
        self.decide(trace, seq, &rule.name.value);
    }

    /// Whether what an action says is critical, by the action or by the literal word of its message.
    pub fn is_critical(&self, action: &Action) -> bool {
        match (action.severity, &action.say.value) {
            (Some(severity), _) => severity == Severity::Critical,
            (None, Say::Message(name)) => self.destinations.critical.contains(name),
            (None, _) => false,
        }
    }

    /// What is known of a destination.
    pub fn facts(&self, destination: &str) -> Option<&'a DestinationFacts> {
        self.destinations.named.get(destination)
    }

    /// The names of a rule in force under which its state may stand.
    pub fn names(&self, rule: &Rule) -> Vec<String> {
        names_of(self.rules, rule)
    }

    /// The name of a rule that ids are made from.
    pub fn identity<'r>(&self, rule: &'r Rule) -> &'r str {
        identity(self.rules, rule)
    }

    /// The open case with this key of the rule with these names, the present one first.
    pub fn case(&mut self, names: &[String], key: &str) -> Option<Case> {
        let mut case = self.state.load(&Case::slot(names, key))?;
        case.rule.clone_from(names.first()?);
        Some(case)
    }

    /// The open case that a timer was set for, unless that has closed.
    pub fn nth_case(&mut self, rule: &str, key: &str, nth: u64) -> Option<Case> {
        let names = names_for(self.rules, rule);
        self.wanted_case(&names, key).filter(|case| case.nth == nth)
    }

    /// The open case with this key, unless what came closes it next.
    fn wanted_case(&mut self, names: &[String], key: &str) -> Option<Case> {
        let case = self.case(names, key)?;
        let missing = self.rules.named(&case.rule).and_then(|rule| rule.missing.as_ref());
        let awaited = missing.and_then(|_| self.state.load(&Awaited::slot(names)));
        awaited.is_none_or(|awaited| !awaited.closing.contains(key)).then_some(case)
    }

    /// Keeps a case; one without a key goes when nothing of it is left to come.
    pub fn save_case(&mut self, case: &Case) {
        let slot = Case::slot(std::slice::from_ref(&case.rule), &case.key);
        if case.is_spent() {
            self.state.save(&slot, None);
            self.act(end_lanes(case, false).chain([Effect::DropTimer(case.timer_id("end"))]));
        } else {
            self.state.save(&slot, Some(case));
        }
    }

    /// Why the case that a waiting message belongs to doesn't want it any more, if so. `rule` made the message, `action` is
    /// what asks for it by the rules in force.
    pub fn unwanted(
        &mut self,
        belongs: &CaseRef,
        rule: &str,
        is_reminder: bool,
        action: Option<&Action>,
    ) -> Option<Unwanted> {
        let names = names_for(self.rules, rule);
        let case = self.wanted_case(&names, &belongs.key);
        unwanted(belongs, case.as_ref(), is_reminder, action)
    }

    /// Gathers the mutes of files, and those that were made at run time, again.
    pub fn gather_mutes(&mut self) {
        self.mutes = Mutes::of(self.rules, self.state.all(), self.now.at);
    }

    /// Whether a message is muted, and why in words. Counts it.
    pub fn muted(&mut self, said: Audible<'_>) -> Option<String> {
        let active = self.mutes.covering(self.rules, &said)?;
        let slot = Muting::slot(&active.mute.id);
        let rule = present_name(self.rules, said.rule);
        let (muting, note) = Muting::keeps_back(self.state.load(&slot), active, rule, self.now);
        self.state.save(&slot, Some(&muting));
        Some(note)
    }

    /// An entry that could not be planned.
    pub fn park(&mut self, seq: Seq, own: bool, reason: &str) {
        let mut trace = Trace::default();
        trace.rule(RuleOutcome::Parked, format!("could not be planned: {reason}"));
        self.decide(trace, seq, "");
        let data = json!({"reason": reason, "entry": seq});
        self.signal_failed(&format!("parked/{seq}"), None, own, data);
    }
}

/// What a condition could not read, in words, for a message that goes all the same.
pub(crate) fn unread(held: Held, why: Option<&Why>) -> Option<String> {
    (held == Held::Failed).then(|| because(why))
}

/// What a rule or its action could not read and acts on all the same, in words.
pub(crate) fn unread_of(judgement: &Judgement<'_>, acted: &ActionJudgement<'_>) -> Option<String> {
    let by_rule = judgement.held.and_then(|held| unread(held, judgement.why.as_ref()));
    by_rule.or_else(|| unread(acted.held, acted.why.as_ref()))
}

/// The reasons of a judgement, for its row.
pub(crate) fn reasons(judgement: &Judgement<'_>, trace: &mut Trace) {
    if let Some(why) = &judgement.why {
        trace.detail("when", json!(why));
    }
    if let Some(why) = &judgement.closes_why {
        trace.detail("closes", json!(why));
    }
    if let Some(Ok(key)) = &judgement.case {
        trace.detail("case", json!(key));
    }
}
