//! How a case closes: by an event, by hand, or forgotten; and closes that come before what they close.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Act, Assignment, DeliveryId, NewDelivery, Say};
use crate::event::{Event, Seq};
use crate::planner::announce::{Announcement, Occasion};
use crate::planner::book::{Doc, id};
use crate::planner::case::{Case, Ending};
use crate::planner::inputs::{Carried, Judged, names_for, rule_named};
use crate::planner::round::{Round, reasons};
use crate::planner::timer::Meaning;
use crate::planner::why::{Outcome, Trace, because};
use crate::rules::{ActionJudgement, Held, Judgement, Rule};

/// For so long a close is remembered, so that an opening that comes after it is known to be late.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A remembered close, under the rule and key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// The latest `created` of a closing event.
    pub created: Timestamp,
    /// The place of that event.
    pub by: Seq,
    /// When it is forgotten.
    pub until: Timestamp,
}

impl Doc for Closed {
    const KIND: &'static str = "closed";
}

/// What sets a close off, and what `on_close` tells of.
pub(crate) struct Closing<'a> {
    seq: Seq,
    event: Option<&'a Event>,
    /// What ids are made from.
    origin: String,
    on_close: &'a [ActionJudgement<'a>],
}

impl<'a> Closing<'a> {
    /// An event closes it.
    pub fn by_event(judged: &'a Judged<'_>, on_close: &'a [ActionJudgement<'a>]) -> Self {
        let origin = id(&[&judged.event.source, judged.event.id.as_str()]);
        Self { seq: judged.seq, event: Some(judged.event), origin, on_close }
    }
}

impl Round<'_> {
    /// An event closes a case: the one whose matches were all created no later than itself.
    pub fn close(
        &mut self,
        judged: &Judged<'_>,
        judgement: &Judgement<'_>,
        closes: &Result<String, String>,
        trace: &mut Trace,
    ) {
        reasons(judgement, trace);
        let key = match closes {
            Ok(key) => key,
            Err(reason) => return trace.fail(format!("closes no case: {reason}")),
        };
        let (rule, created) = (judgement.rule, judged.event.created);
        let names = self.names(rule);
        self.remember_close(&names, key, created, judged.seq);
        let Some(case) = self.case(&names, key) else {
            return trace.rule(Outcome::Closed, format!("closes case `{key}`, which was not open"));
        };
        if case.newest > created {
            let (newest, created) = (self.moment(case.newest), self.moment(created));
            let note =
                format!("leaves case `{key}` open: it closes what came until {created}, and {newest} came since");
            return trace.rule(Outcome::Closed, note);
        }
        trace.rule(Outcome::Closed, format!("closed case `{key}`"));
        self.end_case(&case, Some(rule), &Closing::by_event(judged, &judgement.on_close), trace);
    }

    /// Ends a case, and says so.
    pub fn end_case(&mut self, case: &Case, rule: Option<&Rule>, closing: &Closing<'_>, trace: &mut Trace) {
        self.call_off(case);
        self.say_closed(case, rule, closing, trace);
    }

    fn remember_close(&mut self, names: &[String], key: &str, created: Timestamp, by: Seq) {
        let Some(name) = names.first() else { return };
        let until = plus(self.now, REMEMBERED);
        let known = self.book.adopt::<Closed>(names, &[key]);
        let closed = match known {
            Some(known) if known.created > created => Closed { until, ..known },
            _ => Closed { created, by, until },
        };
        self.book.put(&[name, key], &closed);
        let meaning = Meaning::Forget { rule: name.clone(), key: key.into() };
        self.set_timer(id(&["closed", name, key]), until, None, &meaning);
    }

    /// The `created` of the close that an opening comes too late for, if it does. One of the same `created`, which often
    /// is in whole seconds, does not: silence would be worse.
    pub fn late(&mut self, names: &[String], key: &str, judged: &Judged<'_>) -> Option<Timestamp> {
        let closed = self.book.adopt::<Closed>(names, &[key])?;
        let late = closed.until > self.now && judged.event.created < closed.created;
        late.then_some(closed.created)
    }

    /// A close has been remembered for long enough.
    pub fn forget_close(&mut self, rule: &str, key: &str) {
        let names = names_for(self.rules, rule);
        let Some(closed) = self.book.adopt::<Closed>(&names, &[key]) else { return };
        let Some(name) = names.first() else { return };
        if closed.until <= self.now {
            self.book.delete::<Closed>(&[name, key]);
        } else {
            let meaning = Meaning::Forget { rule: name.clone(), key: key.into() };
            self.set_timer(id(&["closed", name, key]), closed.until, None, &meaning);
        }
    }

    /// What a close takes away: the case, its timers, and what was never tried at its destinations.
    fn call_off(&mut self, case: &Case) {
        for shown in case.lanes.values() {
            self.cancel(&shown.lane, None, "its case has closed");
        }
        for action in case.timers.keys() {
            self.drop_timer(case.timer_id(&id(&["act", action])));
        }
        self.drop_timer(case.timer_id("end"));
        self.delete_case(case, true);
        self.rearm_missing(&case.rule);
    }

    /// What a close says: the `on_close` actions, and then an update at each destination that can change what it
    /// showed. In this order, since a further message would open an incident again.
    fn say_closed(&mut self, case: &Case, rule: Option<&Rule>, closing: &Closing<'_>, trace: &mut Trace) {
        let mut closed = case.clone();
        let mut said = Trace::default();
        if let (Some(rule), Some(event)) = (rule, closing.event) {
            for acted in closing.on_close.iter() {
                if acted.held == Held::Failed {
                    let why = because(acted.why.as_ref());
                    said.fail(format!("action `{}` of `on_close`: {why}", acted.action.id));
                }
                if acted.held != Held::Held {
                    continue;
                }
                let origin = id(&["on_close", &closing.origin]);
                let occasion = Occasion::Close;
                let announcement =
                    Announcement { rule, acted, seq: closing.seq, event, origin, again: 0, occasion, facts: None };
                self.announce(&announcement, Some(&mut closed), &mut said);
            }
        }
        trace.absorb(said, Outcome::Closed);
        let shadow = self.places.shadow || rule.is_some_and(|rule| rule.shadow);
        for (destination, shown) in &case.lanes {
            if shadow || !self.place(destination).is_some_and(|place| place.closes) {
                continue;
            }
            let action = rule.and_then(|rule| rule.actions.iter().find(|action| action.id == shown.action));
            let origin = id(&["close", &closing.origin]);
            let identity = rule.map_or(case.rule.as_str(), |rule| self.identity(rule));
            self.plan.deliveries.push(NewDelivery {
                id: DeliveryId::of(&origin, identity, &shown.action, destination, case.nth),
                event: closing.seq,
                rule: case.rule.clone(),
                action: shown.action.clone(),
                destination: destination.clone(),
                act: Act::Close,
                lane: Some(shown.lane.clone()),
                due: self.now,
                assignment: Assignment {
                    say: action.map_or(Say::Default, |action| action.say.value.clone()),
                    severity: action.and_then(|action| action.severity),
                    with: action.map(|action| action.with.clone()).unwrap_or_default(),
                    mention: Vec::new(),
                    event: shown.event,
                    events: Vec::new(),
                    more: 0,
                    suppressed: 0,
                    parts: Vec::new(),
                    case: Some(case.facts(true)),
                    died: None,
                },
            });
            trace.action(Outcome::Closed, &shown.action, Some(destination), format!("updates `{destination}`"));
        }
    }

    /// Closes a case that nobody's event closes. What follows is planned from its opening event, which a timer that is
    /// due at once brings.
    pub fn close_by_hand(&mut self, rule: &str, key: &str, by: &str) {
        let names = names_for(self.rules, rule);
        let Some(case) = self.case(&names, key) else { return };
        self.call_off(&case);
        let ending = Ending::ByHand(by.into());
        let meaning = Meaning::Closing { rule: case.rule.clone(), case: Box::new(case.clone()), ending };
        self.set_timer(case.timer_id("closing"), self.now, Some(case.event), &meaning);
    }

    /// The opening event of a case that was closed by hand is at hand.
    pub fn closing_due(&mut self, rule: &str, case: &Case, ending: &Ending, carried: Option<&Carried<'_>>) {
        self.say_ended(rule, case, ending, carried);
    }

    /// `closes_after`: a case whose last match is so long ago ends.
    pub fn end_due(&mut self, rule: &str, key: &str, nth: u64, carried: Option<&Carried<'_>>) {
        let names = names_for(self.rules, rule);
        let Some(mut case) = self.case(&names, key).filter(|case| case.nth == nth) else { return };
        let rule_now = rule_named(self.rules, rule).filter(|rule| rule.enabled);
        if let Some(rule) = rule_now.filter(|rule| rule.closes_after.map(|span| span.as_secs()) != case.ends_s) {
            // The rules changed, and this case has not been brought in line with them yet.
            self.schedule_end(&mut case, rule);
            return self.save_case(&case);
        }
        let due = plus(case.last, SignedDuration::from_secs(case.ends_s.unwrap_or_default()));
        if due > self.now {
            let meaning = Meaning::End { rule: case.rule.clone(), key: key.into(), nth };
            return self.set_timer(case.timer_id("end"), due, Some(case.event), &meaning);
        }
        self.call_off(&case);
        self.say_ended(rule, &case, &Ending::Forgotten, carried);
    }

    fn say_ended(&mut self, rule: &str, case: &Case, ending: &Ending, carried: Option<&Carried<'_>>) {
        let mut trace = Trace::default();
        trace.rule(
            Outcome::Closed,
            match ending {
                Ending::ByHand(by) => format!("case `{}` closed by {by}", case.key),
                Ending::Forgotten => format!("case `{}` closed: nothing came for `closes_after`", case.key),
            },
        );
        let rule = rule_named(self.rules, rule).filter(|rule| rule.enabled);
        let judgement = carried.and_then(|carried| carried.judgement.as_ref());
        let closing = Closing {
            seq: case.event,
            event: carried.map(|carried| carried.event),
            origin: case.timer_id("closing"),
            on_close: judgement.map_or(&[], |judgement| judgement.on_close.as_slice()),
        };
        self.say_closed(case, rule, &closing, &mut trace);
        match rule {
            Some(rule) => self.tell(trace, case.event, carried.map(|carried| carried.event), rule),
            None => self.plan.whys.extend(trace.row(case.event, &case.rule)),
        }
    }
}
