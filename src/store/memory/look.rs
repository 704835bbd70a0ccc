//! Looking for things in memory, and counting them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::World;
use super::inbox::{Inbox, accepts, unread};
use super::planning::Planning;
use crate::clock::from_ms;
use crate::delivery::Delivery;
use crate::event::{Item, Seq};
use crate::planner::loaded::DueTimer;
use crate::planner::why::Decision;
use crate::store::look::{
    BYTES_MAX, Became, Came, Chip, Decided, DecisionFilter, Decisions, Found, PLACES_MAX, Sent, Tally, Words, hour_ms,
};
use crate::store::{DeliveryFilter, EventFilter};

impl Inbox {
    /// Looks for events from a place back.
    pub fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Found {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let newest = filter.before.unwrap_or(Seq::MAX);
        let Some((first, _)) = self.items.range(..newest).next_back() else { return Found::default() };
        for (seq, (_, item)) in self.items.range(..newest).rev() {
            if first - seq >= PLACES_MAX || bytes >= BYTES_MAX || events.len() >= filter.limit {
                return Found { events, next: Some(seq.saturating_add(1)) };
            }
            let Item::Event(event) = item else { continue };
            if !accepts(filter, event) {
                continue;
            }
            bytes += event.raw.len();
            if words.is_none_or(|words| words.are_in_event(event)) {
                events.push((*seq, unread(event)));
            }
        }
        Found { events, next: None }
    }
}

impl Planning {
    /// Timers after this one.
    pub fn timers_after(&self, after: (Timestamp, &str), limit: usize) -> Vec<DueTimer> {
        let after = (after.0, after.1.to_owned());
        let later = self.by_due.range(after.clone()..).filter(|at| **at != after).take(limit);
        later.filter_map(|(_, id)| Some(DueTimer { id: id.clone(), timer: self.timers.get(id)?.clone() })).collect()
    }
}

/// The beginning of the hour.
fn hour(at: Timestamp) -> Timestamp {
    from_ms(hour_ms(at))
}

impl World {
    /// Lists what rules did.
    pub fn decisions(&self, filter: &DecisionFilter) -> Decisions {
        let head = self.inbox.head().saturating_add(1);
        let to = filter.before.unwrap_or(head).min(head);
        let oldest = self.inbox.items.keys().next().copied().unwrap_or(0);
        let last = oldest.max(to.saturating_sub(PLACES_MAX));
        let wanted = |why: &&Decision| {
            filter.rule.as_ref().is_none_or(|rule| &why.rule == rule)
                && (filter.outcomes.is_empty() || filter.outcomes.contains(&why.outcome))
        };
        let all = self.planning.whys.range(last.min(to)..to).rev();
        let found = all.flat_map(|(_, whys)| whys.iter().rev().filter(wanted)).take(filter.limit.saturating_add(1));
        Decisions::of(found.cloned().collect(), filter.limit, last, oldest)
    }

    /// Counts what came, what is not planned yet left out.
    pub fn tally(&self, since: Timestamp) -> Tally {
        let since = hour(since);
        let mut events = BTreeMap::<(Timestamp, String, String), u64>::new();
        let mut decisions = BTreeMap::<(Timestamp, String, String), (u64, Timestamp)>::new();
        for (seq, (received, item)) in self.inbox.items.range(..=self.planning.planned) {
            let Item::Event(event) = item else { continue };
            if *received < since {
                continue;
            }
            *events.entry((hour(*received), event.source.to_string(), event.kind.to_string())).or_default() += 1;
            for why in self.planning.whys.get(seq).into_iter().flatten() {
                let key = (hour(*received), why.rule.clone(), why.outcome.clone());
                let (count, last) = decisions.entry(key).or_insert((0, *received));
                *count += 1;
                *last = (*last).max(*received);
            }
        }
        let came = |((hour, source, kind), count)| Came { hour, source, kind, count };
        let decided = |((hour, rule, outcome), (count, last))| Decided { hour, rule, outcome, count, last };
        let sent = |((hour, rule), count)| Sent { hour, rule, count };
        let mut messages = BTreeMap::<(Timestamp, String), u64>::new();
        for delivery in self.deliveries.planned_since(since) {
            *messages.entry((hour(delivery.created), delivery.planned.rule.clone())).or_default() += 1;
        }
        Tally {
            events: events.into_iter().map(came).collect(),
            decisions: decisions.into_iter().map(decided).collect(),
            messages: messages.into_iter().map(sent).collect(),
        }
    }

    /// What became of events.
    pub fn became(&self, events: &[Seq], most: usize) -> BTreeMap<Seq, Became> {
        let of = |seq: &Seq| {
            let filter = DeliveryFilter { events: vec![*seq], limit: most, ..DeliveryFilter::default() };
            let chip =
                |one: Delivery| Chip { id: one.planned.id, destination: one.planned.destination, state: one.state };
            let whys = self.planning.whys.get(seq).into_iter().flatten();
            let deliveries = self.deliveries.list(&filter).into_iter().map(chip).collect();
            (*seq, Became { deliveries, outcomes: whys.map(|why| why.outcome.clone()).collect() })
        };
        events.iter().map(of).collect()
    }
}
