//! A store that forgets: for tests, rehearsals, and to see what keeping things costs.
//!
//! Plain collections behind one lock, and the same answers as any other store's. Nothing in it waits.

mod deliveries;
mod inbox;
mod look;
mod planning;
mod prune;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use self::deliveries::Deliveries;
use self::inbox::Inbox;
use self::planning::Planning;
use super::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, Error, EventFilter, PlannerLease, Room,
    Settlement, Standing, Store, Waiting,
};
use crate::delivery::{Attempt, Delivery, DeliveryId, State};
use crate::event::{Event, Item, Seq, Signal};
use crate::planner::loaded::DueTimer;
use crate::planner::why::Decision;
use crate::planner::{Keys, LoadedState, Plan};
use crate::store::look::{Became, DecisionFilter, Decisions, Found, Tally, Words};

/// A store that forgets.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<World>);

/// All that it holds.
#[derive(Debug, Default)]
struct World {
    inbox: Inbox,
    planning: Planning,
    deliveries: Deliveries,
    alive: Option<Timestamp>,
    closed: bool,
}

impl World {
    fn signal(&mut self, signal: Signal, now: Timestamp) {
        self.inbox.push(Item::Signal(signal), now);
    }
}

impl Memory {
    /// Does something with all that it holds; the answer is there at once.
    fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut World) -> Result<T, Error>) -> Answer<'_, T> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer =
            if world.closed { Err(Error::Unavailable("the store is closed".into())) } else { work(&mut world) };
        Box::pin(std::future::ready(answer))
    }
}

/// What stands under `key`, made if it isn't there; gone again when it is left empty.
fn with_set<K: Eq + std::hash::Hash + Clone, V: Ord>(
    sets: &mut HashMap<K, BTreeSet<V>>,
    key: &K,
    change: impl FnOnce(&mut BTreeSet<V>),
) {
    if !sets.contains_key(key) {
        sets.insert(key.clone(), BTreeSet::new());
    }
    if let Some(set) = sets.get_mut(key) {
        change(set);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

impl Store for Memory {
    fn append(&self, event: Event) -> Answer<'_, Appended> {
        self.with(|world| Ok(world.inbox.append(event)))
    }

    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq> {
        self.with(|world| {
            Ok(match item {
                Item::Event(event) => match world.inbox.append(*event) {
                    Appended::Fresh(seq) | Appended::Duplicate { seq, .. } => seq,
                },
                other => world.inbox.push(other, now),
            })
        })
    }

    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>> {
        self.with(|world| Ok(world.planning.lease(holder, now, until)))
    }

    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting> {
        self.with(|world| {
            let (timers, next_timer) = world.planning.due(now, limit);
            Ok(Waiting { entries: world.inbox.after(world.planning.planned, limit), timers, next_timer })
        })
    }

    fn load(&self, keys: &Keys) -> Answer<'_, LoadedState> {
        self.with(|world| Ok(world.planning.load(keys)))
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        self.with(|world| Ok(world.inbox.events(seqs)))
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        let lease = lease.clone();
        self.with(move |world| world.commit(&lease, plan, now))
    }

    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed> {
        self.with(|world| Ok(world.claim(now, rooms)))
    }

    fn keep(&self, claim: &Claim, message: String) -> Answer<'_, ()> {
        self.with(|world| world.deliveries.keep(&claim.delivery.planned.id, claim.token, message))
    }

    fn settle(&self, claim: &Claim, settlement: Settlement, now: Timestamp) -> Answer<'_, ()> {
        self.with(|world| world.settle(&claim.delivery.planned.id, claim.token, settlement, now))
    }

    fn release(&self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Answer<'_, ()> {
        self.with(|world| world.deliveries.release(claim, state, reason, now))
    }

    fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Answer<'_, u64> {
        self.with(|world| Ok(world.deliveries.revive(ids, now)))
    }

    fn cancel(&self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Answer<'_, u64> {
        self.with(|world| Ok(world.deliveries.count_changed(ids, |row| row.cancel(reason, now))))
    }

    fn list_events(&self, filter: &EventFilter) -> Answer<'_, Vec<(Seq, Event)>> {
        self.with(|world| Ok(world.inbox.list(filter)))
    }

    fn list_places(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        self.with(|world| Ok(world.inbox.list_places(seqs)))
    }

    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found> {
        self.with(|world| Ok(world.inbox.search(filter, words)))
    }

    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions> {
        self.with(|world| Ok(world.decisions(filter)))
    }

    fn became(&self, events: &[Seq], most: usize) -> Answer<'_, BTreeMap<Seq, Became>> {
        self.with(|world| Ok(world.became(events, most)))
    }

    fn tally(&self, since: Timestamp) -> Answer<'_, Tally> {
        self.with(|world| Ok(world.tally(since)))
    }

    fn timers(&self, after: (Timestamp, &str), limit: usize) -> Answer<'_, Vec<DueTimer>> {
        self.with(|world| Ok(world.planning.timers_after(after, limit)))
    }

    fn find_event(&self, id: &str) -> Answer<'_, Vec<Seq>> {
        self.with(|world| Ok(world.inbox.find(id)))
    }

    fn conflicts(&self, event: Seq) -> Answer<'_, Vec<Conflict>> {
        self.with(|world| Ok(world.inbox.conflicts.get(&event).cloned().unwrap_or_default()))
    }

    fn whys(&self, event: Seq) -> Answer<'_, Vec<Decision>> {
        self.with(|world| Ok(world.planning.whys.get(&event).cloned().unwrap_or_default()))
    }

    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>> {
        self.with(|world| Ok(world.deliveries.list(filter)))
    }

    fn beyond(&self, before: Option<&DeliveryId>, many: usize) -> Answer<'_, Option<DeliveryId>> {
        self.with(|world| Ok(world.deliveries.beyond(before, many)))
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>> {
        self.with(|world| Ok(world.deliveries.one(id)))
    }

    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>> {
        self.with(|world| Ok(world.planning.docs(kind, after, limit)))
    }

    fn waiting_destinations(&self) -> Answer<'_, Vec<String>> {
        self.with(|world| Ok(world.deliveries.waiting_destinations()))
    }

    fn standings(&self) -> Answer<'_, Vec<Standing>> {
        self.with(|world| Ok(world.deliveries.standings()))
    }

    fn census(&self) -> Answer<'_, Census> {
        self.with(|world| {
            let planned = world.planning.planned;
            let mut census = Census {
                head: world.inbox.head().max(planned),
                planned,
                timers: world.planning.timers.len() as u64,
                ..Census::default()
            };
            world.deliveries.count(&mut census);
            Ok(census)
        })
    }

    fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Answer<'_, u64> {
        self.with(|world| Ok(world.prune(before, before_dead, limit)))
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.with(|_| Ok(()))
    }

    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>> {
        self.with(|world| {
            let before = world.alive.replace(now);
            if before.is_some_and(|before| before > now) {
                world.deliveries.set_back(now);
            }
            Ok(before)
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *world = World { closed: true, ..World::default() };
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Things by the event they are about.
type ByEvent<T> = BTreeMap<Seq, Vec<T>>;
