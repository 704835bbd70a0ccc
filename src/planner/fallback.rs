//! Fallbacks: a dead delivery's message goes to the destinations that its own names, at once; beyond ten a minute as one
//! summary.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::delivery::{Act, Assignment, DeliveryId, NewDelivery, Say, Severity};
use crate::event::{Seq, Signal};
use crate::planner::book::{Doc, id};
use crate::planner::round::Round;
use crate::planner::timer::Meaning;
use crate::planner::why::{Outcome, Trace};

/// So many go to a destination as they are within [`MINUTE`].
const EACH_MAX: u64 = 10;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// So many events a summary shows.
const SUMMARY_MAX: usize = 50;

/// What went to one destination as a fallback within a minute, and what waits for the summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fallen {
    /// When the minute is over.
    pub until: Timestamp,
    /// How many came.
    #[serde(default)]
    pub count: u64,
    /// The newest that wait, oldest first.
    #[serde(default)]
    pub rest: Vec<Waits>,
    /// How many more wait.
    #[serde(default)]
    pub more: u64,
}

/// One that waits for the summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waits {
    pub id: DeliveryId,
    pub event: Seq,
    pub rule: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl Doc for Fallen {
    const KIND: &'static str = "fallback";

    fn events(&self) -> Vec<Seq> {
        self.rest.iter().map(|waits| waits.event).collect()
    }
}

impl Round<'_> {
    /// A delivery died. Its message goes to its destination's fallbacks; what was a fallback itself goes nowhere else,
    /// and an update of what was shown is no message.
    pub fn fall_back(&mut self, seq: Seq, died: &NewDelivery, signal: &Signal) {
        if died.assignment.died.is_some() || died.act == Act::Close || self.places.shadow {
            return;
        }
        let Some(place) = self.place(&died.destination) else { return };
        let said = ["reason", "error", "last_error"].iter().find_map(|name| signal.data.get(*name)?.as_str());
        let reason = format!("`{}`: {}", died.destination, said.unwrap_or("given up"));
        let mut trace = Trace::default();
        for destination in place.fallback.iter().filter(|name| **name != died.destination) {
            self.fall_back_to(destination, seq, died, &reason, &mut trace);
        }
        self.plan.whys.extend(trace.row(died.event, &died.rule));
    }

    fn fall_back_to(&mut self, destination: &str, seq: Seq, died: &NewDelivery, reason: &str, trace: &mut Trace) {
        let action = died.action.as_str();
        if self.place(destination).is_none() {
            let note = format!("fallback `{destination}` is not configured");
            return trace.action(Outcome::Cancelled, action, Some(destination), note);
        }
        if let Some(note) = self.muted_named(&died.rule, destination, None, self.now) {
            return trace.action(Outcome::Muted, action, Some(destination), format!("fallback {note}"));
        }
        let old = self.book.get::<Fallen>(&[destination]);
        let known = old.clone().filter(|fallen| fallen.until > self.now);
        let mut fallen = known.unwrap_or_else(|| {
            let until = plus(self.now, MINUTE);
            let meaning = Meaning::Fallback { destination: destination.into() };
            self.set_timer(id(&["fallback", destination]), until, None, &meaning);
            // A minute that is over, but whose timer has not been planned yet, may have left some.
            let (rest, more) = old.map(|old| (old.rest, old.more)).unwrap_or_default();
            Fallen { until, count: 0, rest, more }
        });
        fallen.count = fallen.count.saturating_add(1);
        // The death's own place is part of the id: one that was tried again by hand, and died again, is told again.
        let origin = id(&["fallback", died.id.as_str(), &seq.to_string()]);
        let id = DeliveryId::of(&origin, &died.rule, action, destination, 0);
        if fallen.count > EACH_MAX {
            let note = format!("in the summary of {} for fallback `{destination}`", self.moment(fallen.until));
            trace.action(Outcome::Fallback, action, Some(destination), note);
            let (event, rule, severity) = (died.assignment.event, died.rule.clone(), died.assignment.severity);
            fallen.rest.push(Waits { id, event, rule, reason: reason.into(), severity });
            if fallen.rest.len() > SUMMARY_MAX {
                fallen.rest.remove(0);
                fallen.more = fallen.more.saturating_add(1);
            }
        } else {
            trace.action(Outcome::Fallback, action, Some(destination), format!("goes to fallback `{destination}`"));
            let mut assignment = died.assignment.clone();
            assignment.died = Some(reason.into());
            // Names from the mentions of another destination mean nothing here.
            assignment.mention.clear();
            self.plan.deliveries.push(NewDelivery {
                id,
                destination: destination.into(),
                act: Act::Open,
                lane: None,
                due: self.now,
                assignment,
                ..died.clone()
            });
        }
        self.book.put(&[destination], &fallen);
    }

    /// The minute is over: what came beyond the tenth goes as one.
    pub fn fallback_due(&mut self, destination: &str) {
        let Some(fallen) = self.book.get::<Fallen>(&[destination]).filter(|fallen| fallen.until <= self.now) else {
            return;
        };
        self.book.delete::<Fallen>(&[destination]);
        let Some(last) = fallen.rest.last() else { return };
        if self.place(destination).is_none() {
            return;
        }
        let mut events: Vec<Seq> = fallen.rest.iter().map(|waits| waits.event).collect();
        events.sort_unstable();
        events.dedup();
        let all = fallen.more.saturating_add(u64::try_from(fallen.rest.len()).unwrap_or_default());
        let origin = id(&["fallbacks", last.id.as_str()]);
        self.plan.deliveries.push(NewDelivery {
            id: DeliveryId::of(&origin, "", "summary", destination, 0),
            event: last.event,
            rule: last.rule.clone(),
            action: "summary".into(),
            destination: destination.into(),
            act: Act::Open,
            lane: None,
            due: self.now,
            assignment: Assignment {
                say: Say::Summary,
                severity: fallen.rest.iter().filter_map(|waits| waits.severity).max(),
                with: serde_json::Map::new(),
                mention: Vec::new(),
                event: events.last().copied().unwrap_or(last.event),
                events,
                more: fallen.more,
                suppressed: 0,
                parts: Vec::new(),
                case: None,
                died: Some(format!("{all} deliveries died, the last one for {}", last.reason)),
            },
        });
    }
}
