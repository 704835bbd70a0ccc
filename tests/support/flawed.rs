//! A store on whose way something goes wrong: where the planner loads what it must know, and where it commits.

use std::sync::Arc;
use std::time::Duration;

use fanfare::delivery::{Attempt, Delivery, DeliveryId, State};
use fanfare::event::{Event, Item, Seq};
use fanfare::planner::ledger::DueTimer;
use fanfare::planner::why::Decision;
use fanfare::planner::{Keys, Ledger, Plan};
use fanfare::store::look::{DecisionFilter, Decisions, Found, Tally, Words};
use fanfare::store::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, Error, EventFilter, PlannerLease, Room,
    Settlement, Standing, Store, Waiting,
};
use jiff::Timestamp;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Well,
    /// It never returns: who called dies of it.
    Hangs,
    /// It is not done.
    Fails,
    /// It is done so much later.
    Late(Duration),
}

impl Fate {
    async fn befall(self) -> Result<(), Error> {
        match self {
            Self::Well => Ok(()),
            Self::Hangs => std::future::pending().await,
            Self::Fails => Err(Error::Unavailable("PostgreSQL did not answer within 5 s".into())),
            Self::Late(by) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
        }
    }
}

type Hook<T> = Box<dyn Fn(&T) -> Fate + Send + Sync>;

/// A store with flaws.
pub struct Flawed {
    store: Arc<dyn Store>,
    ledger: Hook<Keys>,
    commit: Hook<Plan>,
}

impl Flawed {
    pub fn new(store: &Arc<dyn Store>) -> Self {
        Self { store: store.clone(), ledger: Box::new(|_| Fate::Well), commit: Box::new(|_| Fate::Well) }
    }

    /// What becomes of loading.
    pub fn loading(self, ledger: impl Fn(&Keys) -> Fate + Send + Sync + 'static) -> Self {
        Self { ledger: Box::new(ledger), ..self }
    }

    /// What becomes of committing.
    pub fn committing(self, commit: impl Fn(&Plan) -> Fate + Send + Sync + 'static) -> Self {
        Self { commit: Box::new(commit), ..self }
    }
}

impl Store for Flawed {
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
        let (fate, keys) = ((self.ledger)(keys), keys.clone());
        Box::pin(async move {
            fate.befall().await?;
            self.store.ledger(&keys).await
        })
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        self.store.events(seqs)
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        let (fate, lease) = ((self.commit)(&plan), lease.clone());
        Box::pin(async move {
            fate.befall().await?;
            self.store.commit(&lease, plan, now).await
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
