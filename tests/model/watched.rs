//! A store under watch: each plan that is committed through it is held against the reference.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fanfare::delivery::{Attempt, Delivery, DeliveryId, State};
use fanfare::event::{Event, Item, Seq};
use fanfare::planner::ledger::DueTimer;
use fanfare::planner::why::Decision;
use fanfare::planner::{Keys, Ledger, Plan, Sweep};
use fanfare::store::look::{DecisionFilter, Decisions, Found, Tally, Words};
use fanfare::store::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, Error, EventFilter, PlannerLease, Room,
    Settlement, Standing, Store, Waiting,
};
use jiff::Timestamp;

use super::against::{Against, Doing, Planned};
use super::spec::Spec;

/// What is seen, and outlives the store.
pub struct Watch {
    pub against: Mutex<Against>,
    /// The rules in force.
    pub specs: Mutex<Vec<Spec>>,
    doing: Mutex<Doing>,
    /// Whether the next commits are lost on the way.
    pub loses: AtomicBool,
    pub wrong: Mutex<Vec<String>>,
    /// How many deliveries were made.
    pub said: Mutex<u64>,
}

impl Watch {
    pub fn new(against: Against, specs: Vec<Spec>) -> Arc<Self> {
        Arc::new(Self {
            against: Mutex::new(against),
            specs: Mutex::new(specs),
            doing: Mutex::new(Doing::Plans),
            loses: AtomicBool::new(false),
            wrong: Mutex::default(),
            said: Mutex::default(),
        })
    }

    fn planned(&self, plan: &Plan, waiting: &Waiting, now: Timestamp) {
        let specs = self.specs.lock().unwrap();
        let planned = Planned { specs: &specs, doing: *self.doing.lock().unwrap(), now, waiting, plan };
        let wrong = self.against.lock().unwrap().planned(&planned);
        self.wrong.lock().unwrap().extend(wrong);
        *self.said.lock().unwrap() += plan.deliveries.len() as u64;
    }
}

/// A store under watch.
pub struct Watched {
    pub store: Arc<dyn Store>,
    pub watch: Arc<Watch>,
}

impl Store for Watched {
    fn append(&self, event: Event) -> Answer<'_, Appended> {
        self.store.append(event)
    }

    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq> {
        self.store.tell(item, now)
    }

    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>> {
        self.store.lease(holder, now, until)
    }

    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting> {
        self.store.waiting(now, limit)
    }

    fn ledger(&self, keys: &Keys) -> Answer<'_, Ledger> {
        *self.watch.doing.lock().unwrap() = Doing::of_keys(keys);
        self.store.ledger(keys)
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        self.store.events(seqs)
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        let lease = lease.clone();
        Box::pin(async move {
            if self.watch.loses.load(Ordering::Relaxed) {
                return Err(Error::Unavailable("lost".into()));
            }
            let mut waiting = self.store.waiting(now, 4096).await?;
            for entry in &mut waiting.entries {
                entry.item = entry.item.clone().read();
            }
            let new = self.store.commit(&lease, plan.clone(), now).await?;
            self.watch.planned(&plan, &waiting, now);
            let count = plan.deliveries.len() as u64;
            if new != count {
                let what = format!("{count} deliveries were planned, and {new} were new");
                self.watch.wrong.lock().unwrap().push(what);
            }
            Ok(new)
        })
    }

    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed> {
        self.store.claim(now, rooms)
    }

    fn keep(&self, claim: &Claim, message: String) -> Answer<'_, ()> {
        self.store.keep(claim, message)
    }

    fn settle(&self, claim: &Claim, settlement: Settlement, now: Timestamp) -> Answer<'_, ()> {
        self.store.settle(claim, settlement, now)
    }

    fn release(&self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Answer<'_, ()> {
        self.store.release(claim, state, reason, now)
    }

    fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Answer<'_, u64> {
        self.store.revive(ids, now)
    }

    fn cancel(&self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Answer<'_, u64> {
        self.store.cancel(ids, reason, now)
    }

    fn list_events(&self, filter: &EventFilter) -> Answer<'_, Vec<(Seq, Event)>> {
        self.store.list_events(filter)
    }

    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found> {
        self.store.search(filter, words)
    }

    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions> {
        self.store.decisions(filter)
    }

    fn tally(&self, since: Timestamp) -> Answer<'_, Tally> {
        self.store.tally(since)
    }

    fn timers(&self, after: (Timestamp, &str), limit: usize) -> Answer<'_, Vec<DueTimer>> {
        self.store.timers(after, limit)
    }

    fn find_event(&self, id: &str) -> Answer<'_, Vec<Seq>> {
        self.store.find_event(id)
    }

    fn conflicts(&self, event: Seq) -> Answer<'_, Vec<Conflict>> {
        self.store.conflicts(event)
    }

    fn whys(&self, event: Seq) -> Answer<'_, Vec<Decision>> {
        self.store.whys(event)
    }

    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>> {
        self.store.list_deliveries(filter)
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>> {
        self.store.delivery(id)
    }

    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>> {
        if kind == Sweep::CASES {
            *self.watch.doing.lock().unwrap() = Doing::Sweeps;
        }
        self.store.docs(kind, after, limit)
    }

    fn waiting_destinations(&self) -> Answer<'_, Vec<String>> {
        self.store.waiting_destinations()
    }

    fn standings(&self) -> Answer<'_, Vec<Standing>> {
        self.store.standings()
    }

    fn census(&self) -> Answer<'_, Census> {
        self.store.census()
    }

    fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Answer<'_, u64> {
        self.store.prune(before, before_dead, limit)
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.store.probe()
    }

    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>> {
        self.store.alive(now)
    }

    fn close(&self) -> Answer<'_, ()> {
        self.store.close()
    }
}
