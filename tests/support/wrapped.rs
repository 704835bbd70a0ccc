//! A store with something on the way to it: all its verbs, of which a test changes those that it is about.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use fanfare::delivery::{Attempt, Delivery, DeliveryId, State};
use fanfare::event::{Event, Item, Seq};
use fanfare::planner::loaded::DueTimer;
use fanfare::planner::why::Decision;
use fanfare::planner::{Keys, LoadedState, Plan};
use fanfare::store::look::{Became, DecisionFilter, Decisions, Found, Tally, Words};
use fanfare::store::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, EventFilter, Hint, PlannerLease, Room,
    Settlement, Standing, Store, Waiting,
};
use jiff::Timestamp;

/// A call that something may happen to.
#[derive(Debug, Clone, Copy)]
pub enum Call<'a> {
    Tell,
    Lease,
    Load(&'a Keys),
    Commit(&'a Plan),
    Claim,
    Docs(&'a str),
    WaitingDestinations,
    /// What only people look at, by its verb.
    Look(&'static str),
}

impl Call<'_> {
    /// What the verb is called.
    pub fn verb(self) -> &'static str {
        match self {
            Call::Tell => "tell",
            Call::Lease => "lease",
            Call::Load(_) => "load",
            Call::Commit(_) => "commit",
            Call::Claim => "claim",
            Call::Docs(_) => "docs",
            Call::WaitingDestinations => "waiting_destinations",
            Call::Look(verb) => verb,
        }
    }
}

/// What is on the way to a store.
pub trait Way: Send + Sync + 'static {
    /// What happens to a call on its way; an error, and it never arrives.
    fn meet<'a>(&'a self, call: Call<'a>) -> Answer<'a, ()>;

    /// What happens to a commit, there and back.
    fn commit<'a>(&'a self, store: &'a dyn Store, lease: PlannerLease, plan: Plan, now: Timestamp) -> Answer<'a, u64> {
        Box::pin(async move {
            self.meet(Call::Commit(&plan)).await?;
            store.commit(&lease, plan, now).await
        })
    }
}

/// A store with something on the way to it.
pub struct Wrapped<W> {
    pub store: Arc<dyn Store>,
    pub way: W,
}

impl<W: Way> Store for Wrapped<W> {
    fn append(&self, event: Event) -> Answer<'_, Appended> {
        self.store.append(event)
    }

    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq> {
        Box::pin(async move {
            self.way.meet(Call::Tell).await?;
            self.store.tell(item, now).await
        })
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>> {
        let holder = holder.to_owned();
        Box::pin(async move {
            self.way.meet(Call::Lease).await?;
            self.store.lease(&holder, now, until).await
        })
    }

    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting> {
        self.store.waiting(now, limit)
    }

    fn load(&self, keys: &Keys) -> Answer<'_, LoadedState> {
        let keys = keys.clone();
        Box::pin(async move {
            self.way.meet(Call::Load(&keys)).await?;
            self.store.load(&keys).await
        })
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        self.store.events(seqs)
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        self.way.commit(&*self.store, lease.clone(), plan, now)
    }

    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed> {
        let rooms = rooms.to_vec();
        Box::pin(async move {
            self.way.meet(Call::Claim).await?;
            self.store.claim(now, &rooms).await
        })
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
        let filter = filter.clone();
        Box::pin(async move {
            self.way.meet(Call::Look("list_events")).await?;
            self.store.list_events(&filter).await
        })
    }

    fn list_places(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        let seqs = seqs.to_vec();
        Box::pin(async move {
            self.way.meet(Call::Look("list_places")).await?;
            self.store.list_places(&seqs).await
        })
    }

    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found> {
        let (filter, words) = (filter.clone(), words.cloned());
        Box::pin(async move {
            self.way.meet(Call::Look("search")).await?;
            self.store.search(&filter, words.as_ref()).await
        })
    }

    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions> {
        let filter = filter.clone();
        Box::pin(async move {
            self.way.meet(Call::Look("decisions")).await?;
            self.store.decisions(&filter).await
        })
    }

    fn became(&self, events: &[Seq], most: usize) -> Answer<'_, BTreeMap<Seq, Became>> {
        let events = events.to_vec();
        Box::pin(async move {
            self.way.meet(Call::Look("became")).await?;
            self.store.became(&events, most).await
        })
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
        Box::pin(async move {
            self.way.meet(Call::Look("whys")).await?;
            self.store.whys(event).await
        })
    }

    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>> {
        let filter = filter.clone();
        Box::pin(async move {
            self.way.meet(Call::Look("list_deliveries")).await?;
            self.store.list_deliveries(&filter).await
        })
    }

    fn beyond(&self, before: Option<&DeliveryId>, many: usize) -> Answer<'_, Option<DeliveryId>> {
        self.store.beyond(before, many)
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>> {
        let id = id.clone();
        Box::pin(async move {
            self.way.meet(Call::Look("delivery")).await?;
            self.store.delivery(&id).await
        })
    }

    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>> {
        let (kind, after) = (kind.to_owned(), after.to_owned());
        Box::pin(async move {
            self.way.meet(Call::Docs(&kind)).await?;
            self.store.docs(&kind, &after, limit).await
        })
    }

    fn waiting_destinations(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            self.way.meet(Call::WaitingDestinations).await?;
            self.store.waiting_destinations().await
        })
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

    fn time(&self) -> Answer<'_, Option<Timestamp>> {
        self.store.time()
    }

    fn hint(&self) -> Pin<Box<dyn Future<Output = Hint> + Send + '_>> {
        self.store.hint()
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        self.store.ended()
    }

    fn threads(&self) -> &'static [&'static str] {
        self.store.threads()
    }

    fn end_thread(&self, name: &str) {
        self.store.end_thread(name);
    }

    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>> {
        self.store.alive(now)
    }

    fn close(&self) -> Answer<'_, ()> {
        self.store.close()
    }
}
