//! Hours: messages that wait for a destination's window to open, and go then: one as it is, several as one summary.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Act, Assignment, DeliveryId, NewDelivery, Part, Say, Severity};
use crate::event::Seq;
use crate::planner::announce::{Draft, Occasion, Window};
use crate::planner::book::{Doc, id};
use crate::planner::case::Case;
use crate::planner::inputs::names_for;
use crate::planner::round::Round;
use crate::planner::timer::{HeldRef, Meaning};
use crate::planner::why::{Outcome, Trace};

/// So many messages wait in full; of older ones it is only known whose they are.
const HELD_MAX: usize = 100;
/// Of so many older ones. Of those before them only the number is kept.
const REST_MAX: usize = 400;
/// So many messages a summary tells of.
const SUMMARY_MAX: usize = 50;
/// And of so many events at most: a message may be a digest of many.
const SUMMARY_EVENTS_MAX: usize = 1000;

/// What waits for a destination until one moment, under both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub destination: String,
    pub opens: Timestamp,
    /// Oldest first.
    pub held: Vec<Held>,
    /// Those before them, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<Rest>,
    /// How many more there were.
    #[serde(default)]
    pub more: u64,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub delivery: NewDelivery,
    /// The open case that it belongs to: with that closed it is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<HeldCase>,
    /// Whether a timer of the case made it: a newer one takes its place.
    #[serde(default)]
    pub reminder: bool,
}

/// What is kept of a message that waits where many do: enough to know whether it still counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rest {
    pub rule: String,
    pub action: String,
    pub event: Seq,
    pub id: DeliveryId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<HeldCase>,
    #[serde(default)]
    pub reminder: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl From<Held> for Rest {
    fn from(Held { delivery, case, reminder }: Held) -> Self {
        let severity = delivery.assignment.severity;
        let NewDelivery { id, rule, action, event, .. } = delivery;
        Self { rule, action, event, id, case, reminder, severity }
    }
}

/// Which case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldCase {
    pub key: String,
    pub nth: u64,
}

impl Doc for Waiting {
    const KIND: &'static str = "hold";

    fn events(&self) -> Vec<Seq> {
        let assigned = |held: &Held| {
            let mut events = held.delivery.assignment.events.clone();
            events.extend([held.delivery.event, held.delivery.assignment.event]);
            events
        };
        let rest = self.rest.iter().map(|rest| rest.event);
        let events: BTreeSet<Seq> = self.held.iter().flat_map(assigned).chain(rest).collect();
        events.into_iter().collect()
    }
}

impl Waiting {
    /// What its timer says: all that must be known when the window opens.
    pub fn meaning(&self) -> Meaning {
        let named = |rule: &str, action: &str, case: &Option<HeldCase>| HeldRef {
            rule: rule.to_owned(),
            action: action.to_owned(),
            key: case.as_ref().map(|case| case.key.clone()),
        };
        let held = self.held.iter().map(|held| named(&held.delivery.rule, &held.delivery.action, &held.case));
        let rest = self.rest.iter().map(|rest| named(&rest.rule, &rest.action, &rest.case));
        Meaning::Hold { destination: self.destination.clone(), opens: self.opens, held: held.chain(rest).collect() }
    }
}

/// The id of what waits for a destination until a moment.
pub(crate) fn hold_parts(destination: &str, opens: Timestamp) -> [String; 2] {
    [destination.to_owned(), opens.to_string()]
}

/// What becomes of a message that waited.
enum Goes {
    Now(Box<Held>),
    /// It waits on, for another opening.
    Later,
    Never,
}

/// Whether a reminder takes the place of an older one: of the same case, or, without a case to belong to, of the same event.
fn replaces(newer: &Held, older: &Held) -> bool {
    let about = |held: &Held| (held.case.clone(), held.case.is_none().then_some(held.delivery.event));
    newer.reminder
        && older.reminder
        && about(newer) == about(older)
        && (&older.delivery.rule, &older.delivery.action) == (&newer.delivery.rule, &newer.delivery.action)
}

impl Round<'_> {
    /// Keeps a message until its window opens.
    pub fn hold(&mut self, draft: Draft<'_>, case: Option<&Case>, opens: Timestamp) {
        let Draft { occasion, mut delivery, .. } = draft;
        let reminder = occasion == Occasion::Reminder;
        // A case of its own ends with its timers, which is no reason to say nothing.
        let belongs = case.filter(|case| occasion != Occasion::Close && !case.own);
        if let (None, Some(shown)) = (belongs, case.and_then(|case| case.lanes.get(&delivery.destination))) {
            // It tells of the close, so it must not be dropped for it; what it stands beside is known already.
            (delivery.lane, delivery.act) = (Some(shown.lane.clone()), Act::Again);
        }
        let case = belongs.map(|case| HeldCase { key: case.key.clone(), nth: case.nth });
        self.keep_held(Held { delivery, case, reminder }, opens);
    }

    fn keep_held(&mut self, held: Held, opens: Timestamp) {
        let destination = held.delivery.destination.clone();
        let parts = hold_parts(&destination, opens);
        let parts = [parts[0].as_str(), parts[1].as_str()];
        let known = self.book.get::<Waiting>(&parts);
        let fresh = || Waiting { destination, opens, held: Vec::new(), rest: Vec::new(), more: 0 };
        let mut waiting = known.unwrap_or_else(fresh);
        waiting.held.retain(|older| !replaces(&held, older) && older.delivery.id != held.delivery.id);
        waiting.held.push(held);
        while waiting.held.len() > HELD_MAX {
            waiting.rest.push(waiting.held.remove(0).into());
        }
        while waiting.rest.len() > REST_MAX {
            waiting.rest.remove(0);
            waiting.more = waiting.more.saturating_add(1);
        }
        self.set_timer(id(&["hold", parts[0], parts[1]]), opens, None, &waiting.meaning());
        self.book.put(&parts, &waiting);
    }

    /// The window opens: what waited goes, unless its case has closed or the rules have changed their mind.
    pub fn hours_open(&mut self, destination: &str, opens: Timestamp) {
        let parts = hold_parts(destination, opens);
        let parts = [parts[0].as_str(), parts[1].as_str()];
        let Some(Waiting { held, rest, mut more, .. }) = self.book.get::<Waiting>(&parts) else { return };
        self.book.delete::<Waiting>(&parts);
        let mut going = Vec::new();
        let mut waits_on = false;
        for held in held {
            let mut trace = Trace::default();
            let (event, rule) = (held.delivery.event, held.delivery.rule.clone());
            match self.may_go(held, opens, &mut trace) {
                Goes::Now(held) => going.push(*held),
                Goes::Later => waits_on = true,
                Goes::Never => {}
            }
            self.plan.whys.extend(trace.row(event, &rule));
        }
        if self.places.shadow {
            more = 0;
        }
        let rest: Vec<Rest> = rest.into_iter().filter(|rest| !self.places.shadow && self.still_counts(rest)).collect();
        if going.is_empty() && waits_on {
            return self.keep_rest(&parts, rest, more);
        }
        let goes_alone = self.place(destination).is_some_and(|place| place.goes_alone);
        let older = rest.len() as u64 + more;
        match (going.len(), older) {
            (0, 0) => {}
            (1, 0) => going.into_iter().for_each(|held| self.send_held(held)),
            _ if goes_alone => {
                // Their cases are resolved one by one, so each is an incident of its own; only the words of those are gone
                // that nobody can keep in full.
                if older > 0 {
                    self.summarise(destination, &[], &rest, more);
                }
                going.into_iter().for_each(|held| self.send_held(held));
            }
            _ => {
                let cases = going.iter().map(|held| (&held.delivery.rule, &held.case));
                self.note_summed(destination, cases.chain(rest.iter().map(|rest| (&rest.rule, &rest.case))));
                self.summarise(destination, &going, &rest, more);
            }
        }
    }

    /// Whether a message of which the words are gone would still go.
    fn still_counts(&mut self, rest: &Rest) -> bool {
        let Some((rule, _)) = self.action_named(&rest.rule, &rest.action) else { return false };
        let names = self.names(rule);
        rest.case.as_ref().is_none_or(|belongs| {
            let case = self.case(&names, &belongs.key).filter(|case| case.nth == belongs.nth);
            case.is_some_and(|case| !(rest.reminder && case.acked.is_some()))
        })
    }

    /// Nothing goes yet after all: what was only counted still counts.
    fn keep_rest(&mut self, parts: &[&str; 2], rest: Vec<Rest>, more: u64) {
        if let Some(mut waiting) = self.book.get::<Waiting>(parts) {
            waiting.rest.extend(rest);
            waiting.more = waiting.more.saturating_add(more);
            self.book.put(parts, &waiting);
        }
    }

    /// A message that waited until `opened`, if it still may go now.
    fn may_go(&mut self, mut held: Held, opened: Timestamp, trace: &mut Trace) -> Goes {
        let delivery = &mut held.delivery;
        let to = delivery.destination.clone();
        let action_id = delivery.action.clone();
        let mut out = |outcome, note: String| trace.action(outcome, &action_id, Some(&to), note);
        let Some((rule, action)) = self.action_named(&delivery.rule, &delivery.action) else {
            out(Outcome::Cancelled, "held, and then not sent: the rules in force no longer ask for it".into());
            return Goes::Never;
        };
        delivery.rule.clone_from(&rule.name.value);
        if self.place(&to).is_none() {
            out(Outcome::Cancelled, format!("held, and then not sent: `{to}` is no longer configured"));
            return Goes::Never;
        }
        if let Some(belongs) = &held.case {
            let names = self.names(rule);
            let case = self.case(&names, &belongs.key).filter(|case| case.nth == belongs.nth);
            if case.is_none() {
                out(Outcome::Closed, format!("held, and then not sent: case `{}` has closed", belongs.key));
                return Goes::Never;
            }
            if let Some(by) = case.and_then(|case| case.acked).filter(|_| held.reminder && action.at.is_none()) {
                out(Outcome::Cancelled, format!("held, and then not sent: {by} took the case"));
                return Goes::Never;
            }
        }
        if let Some(note) = self.muted(rule, &to, None, self.now) {
            out(Outcome::Muted, note);
            return Goes::Never;
        }
        match self.window(action, &to) {
            Window::Until(opens) => {
                if opens != opened {
                    out(Outcome::Held, format!("held until {} (hours of `{to}`)", self.moment(opens)));
                }
                self.keep_held(held, opens);
                return Goes::Later;
            }
            Window::Drop => {
                out(Outcome::Dropped, format!("dropped for `{to}`: outside hours"));
                return Goes::Never;
            }
            Window::Open | Window::Never => {}
        }
        if self.quiet(rule, Occasion::Match, None) {
            out(Outcome::Shadow, format!("in shadow: would go to `{to}`"));
            return Goes::Never;
        }
        out(Outcome::Matched, format!("held, and now goes to `{to}`"));
        held.delivery.due = self.now;
        Goes::Now(Box::new(held))
    }

    /// One message goes as it is, in its case's lane.
    fn send_held(&mut self, held: Held) {
        let Held { delivery, case, reminder } = held;
        let names = names_for(self.rules, &delivery.rule);
        let mut case = case.and_then(|belongs| self.case(&names, &belongs.key));
        let Some((rule, action)) = self.action_named(&delivery.rule, &delivery.action) else { return };
        let occasion = if reminder { Occasion::Reminder } else { Occasion::Match };
        self.send(Draft { rule, action, occasion, delivery }, case.as_mut());
        if let Some(case) = case {
            self.save_case(&case);
        }
    }

    /// Records in their cases that these messages were told in a summary.
    fn note_summed<'h>(&mut self, destination: &str, cases: impl Iterator<Item = (&'h String, &'h Option<HeldCase>)>) {
        for (rule, belongs) in cases {
            let Some(belongs) = belongs else { continue };
            let names = names_for(self.rules, rule);
            if let Some(mut case) = self.case(&names, &belongs.key) {
                case.summed.insert(destination.to_owned());
                self.save_case(&case);
            }
        }
    }

    /// Several messages go as one summary of titles and links, which belongs to no case. It is the newest's rule's. Of
    /// `rest` and `more` it only says how many they were.
    fn summarise(&mut self, destination: &str, going: &[Held], rest: &[Rest], more: u64) {
        let newest = going.last().map(|held| (&held.delivery.id, &held.delivery.rule, held.delivery.event));
        let Some((newest, rule, event)) = newest.or_else(|| rest.last().map(|rest| (&rest.id, &rest.rule, rest.event)))
        else {
            return;
        };
        let (parts, events) = told(going);
        let left_out = going.len() - parts.len() + rest.len();
        let mut mention: Vec<String> = Vec::new();
        for name in going.iter().flat_map(|held| &held.delivery.assignment.mention) {
            if !mention.contains(name) {
                mention.push(name.clone());
            }
        }
        // What each says about how much it matters counts when it is rendered; of the others only this is known.
        let severity = rest.iter().filter_map(|rest| rest.severity).max();
        let severity = severity.max(going.iter().filter_map(|held| held.delivery.assignment.severity).max());
        let origin = id(&["hold", destination, newest.as_str()]);
        self.plan.deliveries.push(NewDelivery {
            id: DeliveryId::of(&origin, "", "summary", destination, 0),
            event,
            rule: rule.clone(),
            action: "summary".into(),
            destination: destination.into(),
            act: Act::Open,
            lane: None,
            due: self.now,
            assignment: Assignment {
                say: Say::Summary,
                severity,
                with: serde_json::Map::new(),
                mention,
                event: events.last().copied().unwrap_or(event),
                events,
                more: more.saturating_add(u64::try_from(left_out).unwrap_or_default()),
                suppressed: going.iter().map(|held| held.delivery.assignment.suppressed).sum(),
                parts,
                case: None,
                died: None,
            },
        });
    }
}

/// The newest of these messages, oldest first, and the events that they are about.
fn told(going: &[Held]) -> (Vec<Part>, Vec<Seq>) {
    let (mut parts, mut events) = (Vec::new(), BTreeSet::new());
    for Held { delivery, reminder, .. } in going.iter().rev().take(SUMMARY_MAX) {
        let assignment = &delivery.assignment;
        let more: BTreeSet<Seq> = assignment.events.iter().copied().chain([assignment.event]).collect();
        if !parts.is_empty() && events.len() + more.len() > SUMMARY_EVENTS_MAX {
            break;
        }
        events.extend(more);
        parts.push(Part { rule: delivery.rule.clone(), reminder: *reminder, assignment: assignment.clone() });
    }
    parts.reverse();
    (parts, events.into_iter().collect())
}
