//! A store in which a verb panics, hangs or fails when it is told to: between the program and its real one.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fanfare::delivery::{Attempt, Delivery, DeliveryId, State};
use fanfare::event::{Event, Item, Seq};
use fanfare::planner::ledger::DueTimer;
use fanfare::planner::why::Decision;
use fanfare::planner::{Keys, Ledger, Plan};
use fanfare::steps::Live;
use fanfare::store::look::{DecisionFilter, Decisions, Found, Tally, Words};
use fanfare::store::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, Error, EventFilter, Hint, PlannerLease, Room,
    Settlement, Standing, Store, Waiting,
};
use jiff::Timestamp;
use tokio::sync::Notify;

/// What a verb does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// Panics, once.
    PanicsOnce,
    /// Panics each time.
    Panics,
    /// Answers only when it is let go.
    Hangs,
    /// Fails each time.
    Fails,
}

/// The store.
pub struct Trap {
    inner: Arc<dyn Store>,
    acts: Mutex<BTreeMap<&'static str, Act>>,
    changed: Notify,
    hanging: AtomicUsize,
}

impl Trap {
    /// Puts one before the store that these steps share; nothing is amiss yet.
    pub fn before(live: &mut Arc<Live>) -> Arc<Self> {
        let live = Arc::get_mut(live).expect("nothing runs yet");
        let trap = Self {
            inner: live.store.clone(),
            acts: Mutex::default(),
            changed: Notify::new(),
            hanging: AtomicUsize::new(0),
        };
        let trap = Arc::new(trap);
        live.store = trap.clone();
        trap
    }

    /// From now on the verb does this: `tell`, `lease`, `ledger`, `claim` or `waiting_destinations`.
    pub fn set(&self, verb: &'static str, act: Act) {
        self.acts.lock().unwrap().insert(verb, act);
    }

    /// All is well again.
    pub fn clear(&self) {
        self.acts.lock().unwrap().clear();
        self.changed.notify_waiters();
    }

    /// How often something was made to hang.
    pub fn hung(&self) -> usize {
        self.hanging.load(Ordering::SeqCst)
    }

    async fn meet(&self, verb: &'static str) -> Result<(), Error> {
        loop {
            let changed = self.changed.notified();
            let act = self.acts.lock().unwrap().get(verb).copied();
            match act {
                None => return Ok(()),
                Some(Act::PanicsOnce) => {
                    self.acts.lock().unwrap().remove(verb);
                    panic!("`{verb}` is a trap");
                }
                Some(Act::Panics) => panic!("`{verb}` is a trap"),
                Some(Act::Hangs) => {
                    self.hanging.fetch_add(1, Ordering::SeqCst);
                    changed.await;
                }
                Some(Act::Fails) => return Err(Error::Unavailable(format!("`{verb}` is a trap"))),
            }
        }
    }
}

impl Store for Trap {
    fn append(&self, event: Event) -> Answer<'_, Appended> {
        self.inner.append(event)
    }

    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq> {
        Box::pin(async move {
            self.meet("tell").await?;
            self.inner.tell(item, now).await
        })
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>> {
        let holder = holder.to_owned();
        Box::pin(async move {
            self.meet("lease").await?;
            self.inner.lease(&holder, now, until).await
        })
    }

    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting> {
        self.inner.waiting(now, limit)
    }

    fn ledger(&self, keys: &Keys) -> Answer<'_, Ledger> {
        let keys = keys.clone();
        Box::pin(async move {
            self.meet("ledger").await?;
            self.inner.ledger(&keys).await
        })
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        self.inner.events(seqs)
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        self.inner.commit(lease, plan, now)
    }

    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed> {
        let rooms = rooms.to_vec();
        Box::pin(async move {
            self.meet("claim").await?;
            self.inner.claim(now, &rooms).await
        })
    }

    fn keep(&self, claim: &Claim, message: String) -> Answer<'_, ()> {
        self.inner.keep(claim, message)
    }

    fn settle(&self, claim: &Claim, settlement: Settlement, now: Timestamp) -> Answer<'_, ()> {
        self.inner.settle(claim, settlement, now)
    }

    fn release(&self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Answer<'_, ()> {
        self.inner.release(claim, state, reason, now)
    }

    fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Answer<'_, u64> {
        self.inner.revive(ids, now)
    }

    fn cancel(&self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Answer<'_, u64> {
        self.inner.cancel(ids, reason, now)
    }

    fn list_events(&self, filter: &EventFilter) -> Answer<'_, Vec<(Seq, Event)>> {
        self.inner.list_events(filter)
    }

    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found> {
        self.inner.search(filter, words)
    }

    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions> {
        self.inner.decisions(filter)
    }

    fn tally(&self, since: Timestamp) -> Answer<'_, Tally> {
        self.inner.tally(since)
    }

    fn timers(&self, after: (Timestamp, &str), limit: usize) -> Answer<'_, Vec<DueTimer>> {
        self.inner.timers(after, limit)
    }

    fn find_event(&self, id: &str) -> Answer<'_, Vec<Seq>> {
        self.inner.find_event(id)
    }

    fn conflicts(&self, event: Seq) -> Answer<'_, Vec<Conflict>> {
        self.inner.conflicts(event)
    }

    fn whys(&self, event: Seq) -> Answer<'_, Vec<Decision>> {
        self.inner.whys(event)
    }

    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>> {
        self.inner.list_deliveries(filter)
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>> {
        self.inner.delivery(id)
    }

    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>> {
        self.inner.docs(kind, after, limit)
    }

    fn waiting_destinations(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            self.meet("waiting_destinations").await?;
            self.inner.waiting_destinations().await
        })
    }

    fn standings(&self) -> Answer<'_, Vec<Standing>> {
        self.inner.standings()
    }

    fn census(&self) -> Answer<'_, Census> {
        self.inner.census()
    }

    fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Answer<'_, u64> {
        self.inner.prune(before, before_dead, limit)
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.inner.probe()
    }

    fn time(&self) -> Answer<'_, Option<Timestamp>> {
        self.inner.time()
    }

    fn hint(&self) -> Pin<Box<dyn Future<Output = Hint> + Send + '_>> {
        self.inner.hint()
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        self.inner.ended()
    }

    fn threads(&self) -> &'static [&'static str] {
        self.inner.threads()
    }

    fn end_thread(&self, name: &str) {
        self.inner.end_thread(name);
    }

    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>> {
        self.inner.alive(now)
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}
