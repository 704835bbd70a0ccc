//! Hours: messages that wait for a destination's window to open, and go then: one as it is, several as one summary.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Act, Assignment, DeliveryId, NewDelivery, Say};
use crate::event::Seq;
use crate::planner::announce::{Draft, Occasion, Window};
use crate::planner::book::{Doc, id};
use crate::planner::case::Case;
use crate::planner::inputs::names_for;
use crate::planner::round::Round;
use crate::planner::timer::{HeldRef, Meaning};
use crate::planner::why::{Outcome, Tale};

/// So many messages wait in full; of older ones only the number is kept.
const HELD_MAX: usize = 100;
/// So many events a summary shows.
const SUMMARY_MAX: usize = 50;

/// What waits for a destination until one moment, under both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub destination: String,
    pub opens: Timestamp,
    /// Oldest first.
    pub held: Vec<Held>,
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
        let events: BTreeSet<Seq> = self.held.iter().flat_map(assigned).collect();
        events.into_iter().collect()
    }
}

impl Waiting {
    /// What its timer says: all that must be known when the window opens.
    pub fn meaning(&self) -> Meaning {
        let refs = self.held.iter().map(|held| HeldRef {
            rule: held.delivery.rule.clone(),
            action: held.delivery.action.clone(),
            key: held.case.as_ref().map(|case| case.key.clone()),
        });
        Meaning::Hold { destination: self.destination.clone(), opens: self.opens, held: refs.collect() }
    }
}

/// The id of what waits for a destination until a moment.
pub(crate) fn hold_parts(destination: &str, opens: Timestamp) -> [String; 2] {
    [destination.to_owned(), opens.to_string()]
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
        let mut waiting = known.unwrap_or_else(|| Waiting { destination, opens, held: Vec::new(), more: 0 });
        waiting.held.retain(|older| {
            let replaced = held.reminder
                && older.reminder
                && older.case == held.case
                && (&older.delivery.rule, &older.delivery.action) == (&held.delivery.rule, &held.delivery.action);
            !replaced && older.delivery.id != held.delivery.id
        });
        waiting.held.push(held);
        while waiting.held.len() > HELD_MAX {
            waiting.held.remove(0);
            waiting.more = waiting.more.saturating_add(1);
        }
        self.set_timer(id(&["hold", parts[0], parts[1]]), opens, None, &waiting.meaning());
        self.book.put(&parts, &waiting);
    }

    /// The window opens: what waited goes, unless its case has closed or the rules have changed their mind.
    pub fn hours_open(&mut self, destination: &str, opens: Timestamp) {
        let parts = hold_parts(destination, opens);
        let parts = [parts[0].as_str(), parts[1].as_str()];
        let Some(Waiting { held, mut more, .. }) = self.book.get::<Waiting>(&parts) else { return };
        self.book.delete::<Waiting>(&parts);
        let mut going = Vec::new();
        for held in held {
            let mut tale = Tale::default();
            let (event, rule) = (held.delivery.event, held.delivery.rule.clone());
            going.extend(self.may_go(held, opens, &mut tale));
            self.plan.whys.extend(tale.row(event, &rule));
        }
        if self.places.shadow {
            more = 0;
        }
        match going.len() {
            0 => self.add_more(&parts, more),
            1 if more == 0 => going.into_iter().for_each(|held| self.send_held(held)),
            _ => {
                self.note_summed(destination, &going);
                self.summarise(destination, &going, more);
            }
        }
    }

    /// Nothing goes yet after all: what was only counted still counts.
    fn add_more(&mut self, parts: &[&str; 2], more: u64) {
        if let Some(mut waiting) = self.book.get::<Waiting>(parts) {
            waiting.more = waiting.more.saturating_add(more);
            self.book.put(parts, &waiting);
        }
    }

    /// A message that waited until `opened`, if it still may go now.
    fn may_go(&mut self, mut held: Held, opened: Timestamp, tale: &mut Tale) -> Option<Held> {
        let delivery = &mut held.delivery;
        let to = delivery.destination.clone();
        let action_id = delivery.action.clone();
        let mut out = |outcome, note: String| tale.action(outcome, &action_id, Some(&to), note);
        let Some((rule, action)) = self.action_named(&delivery.rule, &delivery.action) else {
            out(Outcome::Cancelled, "held, and then not sent: the rules in force no longer ask for it".into());
            return None;
        };
        delivery.rule.clone_from(&rule.name.value);
        if self.place(&to).is_none() {
            out(Outcome::Cancelled, format!("held, and then not sent: `{to}` is no longer configured"));
            return None;
        }
        if let Some(belongs) = &held.case {
            let names = self.names(rule);
            let case = self.case(&names, &belongs.key).filter(|case| case.nth == belongs.nth);
            if case.is_none() {
                out(Outcome::Closed, format!("held, and then not sent: case `{}` has closed", belongs.key));
                return None;
            }
            if let Some(by) = case.and_then(|case| case.acked).filter(|_| held.reminder && action.at.is_none()) {
                out(Outcome::Cancelled, format!("held, and then not sent: {by} took the case"));
                return None;
            }
        }
        if let Some(note) = self.muted(rule, &to, None, self.now) {
            out(Outcome::Muted, note);
            return None;
        }
        match self.window(action, &to) {
            Window::Until(opens) => {
                if opens != opened {
                    out(Outcome::Held, format!("held until {} (hours of `{to}`)", self.moment(opens)));
                }
                self.keep_held(held, opens);
                return None;
            }
            Window::Drop => {
                out(Outcome::Dropped, format!("dropped for `{to}`: outside hours"));
                return None;
            }
            Window::Open | Window::Never => {}
        }
        if self.quiet(rule, Occasion::Match, None) {
            out(Outcome::Shadow, format!("in shadow: would go to `{to}`"));
            return None;
        }
        out(Outcome::Matched, format!("held, and now goes to `{to}`"));
        held.delivery.due = self.now;
        Some(held)
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

    /// Notes in their cases that these messages were told in a summary.
    fn note_summed(&mut self, destination: &str, going: &[Held]) {
        for held in going {
            let Some(belongs) = &held.case else { continue };
            let names = names_for(self.rules, &held.delivery.rule);
            if let Some(mut case) = self.case(&names, &belongs.key) {
                case.summed.insert(destination.to_owned());
                self.save_case(&case);
            }
        }
    }

    /// Several messages go as one summary of titles and links, which belongs to no case. It is the newest's rule's.
    fn summarise(&mut self, destination: &str, going: &[Held], mut more: u64) {
        let Some(newest) = going.last().map(|held| &held.delivery) else { return };
        let mut events: Vec<Seq> = Vec::new();
        for assignment in going.iter().map(|held| &held.delivery.assignment) {
            more = more.saturating_add(assignment.more);
            let told = if assignment.events.is_empty() { &[assignment.event][..] } else { &assignment.events };
            events.extend(told.iter().filter(|event| !events.contains(event)).copied().collect::<Vec<_>>());
        }
        events.sort_unstable();
        let left_out = events.len().saturating_sub(SUMMARY_MAX);
        more = more.saturating_add(u64::try_from(left_out).unwrap_or_default());
        let events = events.split_off(left_out);
        let mut mention: Vec<String> = Vec::new();
        for name in going.iter().flat_map(|held| &held.delivery.assignment.mention) {
            if !mention.contains(name) {
                mention.push(name.clone());
            }
        }
        let origin = id(&["hold", destination, newest.id.as_str()]);
        self.plan.deliveries.push(NewDelivery {
            id: DeliveryId::of(&origin, "", "summary", destination, 0),
            event: newest.event,
            rule: newest.rule.clone(),
            action: "summary".into(),
            destination: destination.into(),
            act: Act::Open,
            lane: None,
            due: self.now,
            assignment: Assignment {
                say: Say::Summary,
                severity: going.iter().filter_map(|held| held.delivery.assignment.severity).max(),
                with: serde_json::Map::new(),
                mention,
                event: events.last().copied().unwrap_or(newest.event),
                events,
                more,
                suppressed: going.iter().map(|held| held.delivery.assignment.suppressed).sum(),
                case: None,
                died: None,
            },
        });
    }
}
