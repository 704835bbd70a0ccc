//! The planner's part in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::{ByEvent, World};
use crate::clock::from_ms;
use crate::event::Seq;
use crate::planner::Plan;
use crate::planner::loaded::{DocChange, DueTimer, Key, Keys, LoadedState, Timer};
use crate::planner::why::Decision;
use crate::store::transitions::{holds_on, is_over, whole};
use crate::store::{Error, PlannerLease};

/// What the planner knows.
#[derive(Debug, Default)]
pub(super) struct Planning {
    pub planned: Seq,
    pub whys: ByEvent<Decision>,
    pub timers: BTreeMap<String, Timer>,
    pub by_due: BTreeSet<(Timestamp, String)>,
    docs: BTreeMap<Key, (String, Vec<Seq>)>,
    /// How many documents and timers need an event.
    needs: HashMap<Seq, usize>,
    lease: Option<(String, PlannerLease)>,
}

impl Planning {
    /// Takes or keeps the lease.
    pub fn lease(&mut self, holder: &str, now: Timestamp, until: Timestamp) -> Option<PlannerLease> {
        let token = match &self.lease {
            None => 1,
            Some((by, lease)) if by == holder && holds_on(lease.until, now, until) => return Some(lease.clone()),
            Some((by, lease)) if by == holder => lease.token,
            Some((_, lease)) if is_over(lease.until, now, until) => lease.token + 1,
            Some(_) => return None,
        };
        let lease = PlannerLease { token, until: whole(until) };
        self.lease = Some((holder.to_owned(), lease.clone()));
        Some(lease)
    }

    /// Timers that have come due, and when the next does.
    pub fn due(&self, now: Timestamp, limit: usize) -> (Vec<DueTimer>, Option<Timestamp>) {
        let due = self.by_due.iter().take_while(|(due, _)| *due <= now).take(limit);
        let due = due.filter_map(|(_, id)| Some(DueTimer { id: id.clone(), timer: self.timers.get(id)?.clone() }));
        let after = from_ms(now.as_millisecond().saturating_add(1));
        let next = self.by_due.range((after, String::new())..).next().map(|(due, _)| *due);
        (due.collect(), next)
    }

    /// Loads documents.
    pub fn load(&self, keys: &Keys) -> LoadedState {
        let mut loaded = LoadedState::default();
        for key in &keys.one {
            loaded.docs.extend(self.docs.get(key).map(|(text, _)| (key.clone(), text.clone())));
        }
        for kind in &keys.all {
            loaded.docs.extend(self.of_kind(kind, "").map(|(key, (text, _))| (key.clone(), text.clone())));
        }
        loaded
    }

    /// Documents of a kind, by id, after `after`.
    pub fn docs(&self, kind: &str, after: &str, limit: usize) -> Vec<(String, String)> {
        let docs = self.of_kind(kind, after).filter(|(key, _)| *key.id > *after);
        docs.take(limit).map(|(key, (text, _))| (key.id.clone(), text.clone())).collect()
    }

    fn of_kind<'a>(&'a self, kind: &'a str, from: &str) -> impl Iterator<Item = (&'a Key, &'a (String, Vec<Seq>))> {
        let from = Key { kind: kind.to_owned(), id: from.to_owned() };
        self.docs.range(from..).take_while(move |(key, _)| key.kind == kind)
    }

    /// Whether a document or timer needs this event.
    pub fn needs(&self, seq: Seq) -> bool {
        self.needs.contains_key(&seq)
    }

    fn need(&mut self, seq: Seq) {
        *self.needs.entry(seq).or_default() += 1;
    }

    fn need_no_more(&mut self, seq: Seq) {
        if let Some(count) = self.needs.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                self.needs.remove(&seq);
            }
        }
    }

    fn change_doc(&mut self, change: DocChange) {
        let before = match change.text {
            None => self.docs.remove(&change.key),
            Some(text) => {
                change.events.iter().for_each(|seq| self.need(*seq));
                self.docs.insert(change.key, (text, change.events))
            }
        };
        for seq in before.into_iter().flat_map(|(_, events)| events) {
            self.need_no_more(seq);
        }
    }

    fn set_timer(&mut self, id: String, timer: Option<Timer>) {
        if let Some(before) = self.timers.remove(&id) {
            self.by_due.remove(&(before.due, id.clone()));
            before.event.into_iter().for_each(|seq| self.need_no_more(seq));
        }
        if let Some(timer) = timer {
            let timer = Timer { due: whole(timer.due), ..timer };
            timer.event.into_iter().for_each(|seq| self.need(seq));
            self.by_due.insert((timer.due, id.clone()));
            self.timers.insert(id, timer);
        }
    }
}

impl World {
    /// Commits a plan under its lease.
    pub fn commit(&mut self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Result<u64, Error> {
        if self.planning.lease.as_ref().map(|(_, held)| held.token) != Some(lease.token) {
            return Err(Error::Lost);
        }
        for cancel in &plan.cancel {
            self.deliveries.cancel_untried(cancel, now);
        }
        let mut new = 0;
        for planned in plan.deliveries {
            new += u64::from(self.deliveries.insert(planned, now));
        }
        for end in plan.ended {
            self.deliveries.end_lane(end, now);
        }
        for change in plan.docs {
            self.planning.change_doc(change);
        }
        for (id, timer) in plan.timers {
            self.planning.set_timer(id, timer);
        }
        for event in plan.events {
            self.inbox.append(event);
        }
        for why in plan.whys {
            self.planning.whys.entry(why.event).or_default().push(why);
        }
        self.planning.planned = self.planning.planned.max(plan.upto.unwrap_or(0));
        Ok(new)
    }
}
