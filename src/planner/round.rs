//! One planning round at work: the book of documents, the plan so far, and the way of one event through it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::delivery::{Act, Lane};
use crate::event::{Event, Seq};
use crate::planner::book::Book;
use crate::planner::inputs::{DestinationFacts, Destinations, Fired, Inputs, Judged, names_of, rule_named};
use crate::planner::ledger::{Ledger, Timer};
use crate::planner::mute::ActiveMute;
use crate::planner::timer::Meaning;
use crate::planner::why::{Decision, Outcome, Trace, because, moment};
use crate::planner::{Cancel, Plan};
use crate::rules::{Action, Held, Judgement, Rule, RuleSet};

/// A round. Its methods stand with the state machines that they belong to.
pub(crate) struct Round<'a> {
    pub now: Timestamp,
    pub rules: &'a RuleSet,
    pub places: &'a Destinations,
    pub book: Book,
    pub plan: Plan,
    /// Timers set, or with `None` taken away, by this round.
    pub timers: BTreeMap<String, Option<Timer>>,
    /// The mutes that may apply, by id.
    pub mutes: Vec<ActiveMute<'a>>,
}

impl<'a> Round<'a> {
    pub fn new(inputs: &Inputs<'a>, ledger: Ledger) -> Self {
        Self::with(inputs.rules, inputs.places, ledger, inputs.now)
    }

    pub fn with(rules: &'a RuleSet, places: &'a Destinations, ledger: Ledger, now: Timestamp) -> Self {
        let mut round = Self {
            now,
            rules,
            places,
            book: Book::new(ledger),
            plan: Plan::default(),
            timers: BTreeMap::new(),
            mutes: Vec::new(),
        };
        round.load_mutes();
        round
    }

    pub fn into_plan(self) -> Plan {
        Plan { docs: self.book.into_changes(), timers: self.timers.into_iter().collect(), ..self.plan }
    }

    /// The way of one event: what each rule makes of it. An event that closes and opens does both, in that order.
    pub fn event(&mut self, judged: &Judged<'_>) {
        self.unmatched(judged);
        for judgement in &judged.judgements {
            let mut trace = Trace::default();
            match &judgement.closes {
                Some(closes) => self.close(judged, judgement, closes, &mut trace),
                None => not_closed(judgement, &mut trace),
            }
            if judgement.rule.missing.is_some() && judgement.held.is_none() {
                self.awaited(judged, judgement, &mut trace);
            }
            if let Some(held) = judgement.held {
                self.matched(judged, judgement, held, &mut trace);
            }
            self.tell(trace, judged.seq, Some(judged.event), judgement.rule);
        }
    }

    /// An event planned again: what isn't there is made, and no case is opened.
    pub fn replay(&mut self, judged: Option<&Judged<'_>>, again: u64, only: Option<&str>, before: &[Decision]) {
        let Some(judged) = judged else { return };
        let only = only.map(|only| rule_named(self.rules, only).map_or(only, |rule| &rule.name.value));
        for judgement in &judged.judgements {
            if only.is_some_and(|only| judgement.rule.name.value != only) {
                continue;
            }
            let mut trace = Trace::default();
            if let Some(closes) = &judgement.closes {
                self.close(judged, judgement, closes, &mut trace);
            }
            if let Some(held) = judgement.held {
                // Anew means anew, whatever was.
                let before = if again == 0 { before } else { &[] };
                let names = self.names(judgement.rule);
                let before: Vec<&Decision> = before.iter().filter(|row| names.contains(&row.rule)).collect();
                self.matched_again(judged, judgement, (held, again), &before, &mut trace);
            }
            self.tell(trace, judged.seq, Some(judged.event), judgement.rule);
        }
    }

    /// An entry that could not be planned.
    pub fn park(&mut self, seq: Seq, own: bool, reason: &str) {
        let mut trace = Trace::default();
        trace.rule(Outcome::Parked, format!("could not be planned: {reason}"));
        self.plan.whys.extend(trace.row(seq, ""));
        let data = [("reason", json!(reason)), ("entry", json!(seq))];
        self.signal_failed(&format!("parked/{seq}"), None, own, data);
    }

    /// A timer that could not be planned.
    pub fn park_timer(&mut self, fired: &Fired<'_>, reason: &str) {
        let rule = fired.meaning.as_ref().and_then(Meaning::rule);
        if let Some(event) = fired.due.timer.event {
            let mut trace = Trace::default();
            trace.rule(Outcome::Parked, format!("a timer could not be planned: {reason}"));
            self.plan.whys.extend(trace.row(event, rule.unwrap_or_default()));
        }
        let data = [("reason", json!(reason)), ("timer", json!(fired.due.id))];
        self.signal_failed(&format!("parked/{}", fired.due.id), rule, false, data);
    }

    /// Ends a trace: its row, and an own event if something failed. `event` is what was judged, if it was at hand; what
    /// an own event sets off is not told.
    pub fn tell(&mut self, trace: Trace, seq: Seq, event: Option<&Event>, rule: &Rule) {
        if !trace.failures().is_empty() {
            let reasons = json!(trace.failures());
            let first = reasons.get(0).cloned().unwrap_or(Value::Null);
            let (id, kind) = event.map_or((Value::Null, Value::Null), |e| (json!(e.id.as_str()), json!(&*e.kind)));
            let data = [("reason", first), ("reasons", reasons), ("event", id), ("type", kind)];
            let own = event.is_some_and(Event::is_echo);
            self.signal_failed(&format!("{seq}"), Some(&rule.name.value), own, data);
        }
        self.plan.whys.extend(trace.row(seq, &rule.name.value));
    }

    /// What is known of a destination.
    pub fn place(&self, name: &str) -> Option<&'a DestinationFacts> {
        self.places.named.get(name)
    }

    /// The names of a rule in force under which its state may stand.
    pub fn names(&self, rule: &Rule) -> Vec<String> {
        names_of(self.rules, rule)
    }

    /// The name of a rule that ids of deliveries are made from: its first, so that one that was renamed makes no second
    /// delivery of an event that is planned again.
    pub fn identity<'r>(&self, rule: &'r Rule) -> &'r str {
        let first = rule.formerly.first().filter(|first| !self.rules.rules.iter().any(|r| &r.name.value == *first));
        first.unwrap_or(&rule.name.value)
    }

    /// A rule in force that takes part, and its action (of a match, else of a close).
    pub fn action_named(&self, rule: &str, action: &str) -> Option<(&'a Rule, &'a Action)> {
        let rule = rule_named(self.rules, rule).filter(|rule| rule.enabled)?;
        let action = rule.actions.iter().chain(&rule.on_close).find(|candidate| candidate.id == action)?;
        Some((rule, action))
    }

    /// A moment as people say it.
    pub fn moment(&self, at: Timestamp) -> String {
        moment(at, self.now, &self.places.zone)
    }

    pub fn set_timer(&mut self, id: String, due: Timestamp, event: Option<Seq>, meaning: &Meaning) {
        self.timers.insert(id, Some(Timer { due, event, text: meaning.text() }));
    }

    pub fn drop_timer(&mut self, id: String) {
        self.timers.insert(id, None);
    }

    /// Calls off what a lane still has untried, in this plan and before it. A close's update is never called off.
    pub fn cancel(&mut self, lane: &Lane, action: Option<&str>, reason: &str) {
        self.plan.deliveries.retain(|delivery| {
            delivery.act == Act::Close
                || delivery.lane.as_ref() != Some(lane)
                || action.is_some_and(|action| delivery.action != action)
        });
        let cancel = Cancel { lane: lane.clone(), action: action.map(str::to_owned), reason: reason.into() };
        if !self.plan.cancel.contains(&cancel) {
            self.plan.cancel.push(cancel);
        }
    }
}

/// A closer's globs accepted the event, and its condition didn't.
fn not_closed(judgement: &Judgement<'_>, trace: &mut Trace) {
    let Some(why) = &judgement.closes_why else { return };
    reasons(judgement, trace);
    match why.held() {
        Held::Failed => trace.fail(format!("`closed_by`: {}", because(Some(why)))),
        _ => trace.rule(Outcome::Missed, format!("closes nothing: {}", because(Some(why)))),
    }
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
