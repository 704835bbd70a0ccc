//! What the cases stand at: an open store, a time, and short words for what is done often.

use std::sync::Arc;

use fanfare::clock::plus;
use fanfare::delivery::{
    Assignment, Attempt, AttemptOutcome, Delivery, DeliveryId, Lane, Mention, MessageOp, NewDelivery, Receipt, Say,
    State,
};
use fanfare::event::{Entry, Event, EventId, Item, Seq, Signal};
use fanfare::pace::{Limits, Next};
use fanfare::planner::Plan;
use fanfare::secret::Secret;
use fanfare::store::{
    Appended, Claim, Claimed, DeliveryFilter, Error, PlannerLease, Room, Settlement, Store, Waiting, open,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use crate::support::postgres;

/// 2026-01-05T10:00:00Z, a Monday.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_767_607_200).unwrap()
}

/// How many seconds after [`start`].
pub fn at(seconds: i64) -> Timestamp {
    plus(start(), SignedDuration::from_secs(seconds))
}

/// How many days after [`start`].
pub fn day(days: i64) -> Timestamp {
    at(days * 86_400)
}

/// How long the claims of [`Bench::claim`] last, in seconds.
pub const LEASE: i64 = 40;

/// An open store in a folder of its own.
pub struct Bench {
    pub store: Arc<dyn Store>,
    /// Gone with the bench.
    _folder: TempDir,
}

impl std::ops::Deref for Bench {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl Bench {
    /// Opens an empty store; `postgres:` is one on the server that tests share.
    pub async fn open(address: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = if address == "postgres:" { postgres::fresh() } else { address.to_owned() };
        let store = open(&Secret::new(address), folder.path()).await.unwrap();
        Self { store, _folder: folder }
    }

    /// Appends a fresh event with this id, received at [`start`].
    pub async fn event(&self, id: &str) -> Seq {
        self.receive(event(id)).await
    }

    /// Appends a fresh event.
    pub async fn receive(&self, event: Event) -> Seq {
        match self.append(event).await.unwrap() {
            Appended::Fresh(seq) => seq,
            other => panic!("{other:?}"),
        }
    }

    /// The right to plan.
    pub async fn planner(&self) -> PlannerLease {
        self.lease("bench", start(), at(3600)).await.unwrap().unwrap()
    }

    /// Commits a plan at [`start`]. Gives the number of new deliveries.
    pub async fn plan(&self, plan: Plan) -> u64 {
        self.plan_at(plan, start()).await
    }

    pub async fn plan_at(&self, plan: Plan, now: Timestamp) -> u64 {
        let lease = self.planner().await;
        self.commit(&lease, plan, now).await.unwrap()
    }

    /// Appends an event and plans these deliveries for it.
    pub async fn deliveries(&self, deliveries: Vec<NewDelivery>) {
        let upto = self.waiting(start(), 1000).await.unwrap().entries.last().map(|entry| entry.seq);
        self.plan(Plan { upto, deliveries, ..Plan::default() }).await;
    }

    /// Claims at most ten deliveries to `slack`.
    pub async fn claim(&self, now: Timestamp) -> Claimed {
        self.claim_in(now, &[room("slack")]).await
    }

    pub async fn claim_in(&self, now: Timestamp, rooms: &[Room]) -> Claimed {
        self.store.claim(now, rooms).await.unwrap()
    }

    /// Claims exactly one delivery to `slack`.
    pub async fn claim_one(&self, now: Timestamp) -> Claim {
        let mut claims = self.claim(now).await.claims;
        assert_eq!(claims.len(), 1, "{claims:?}");
        claims.remove(0)
    }

    /// The ids of what can be claimed to `slack`.
    pub async fn claimed_ids(&self, now: Timestamp) -> Vec<String> {
        self.claim(now).await.claims.iter().map(id_of).collect()
    }

    /// Ends a claim.
    pub async fn end(&self, claim: &Claim, settlement: Settlement, now: Timestamp) {
        self.settle(claim, settlement, now).await.unwrap();
    }

    /// A delivery that must be there.
    pub async fn find(&self, id: &str) -> Delivery {
        self.delivery(&DeliveryId(id.into())).await.unwrap().unwrap().0
    }

    pub async fn state(&self, id: &str) -> State {
        self.find(id).await.state
    }

    /// Signals that wait for the planner.
    pub async fn signals(&self) -> Vec<Signal> {
        let entries = self.waiting(start(), 1000).await.unwrap().entries;
        let signals = entries.into_iter().filter_map(|entry| match entry.item {
            Item::Signal(signal) => Some(signal),
            _ => None,
        });
        signals.collect()
    }

    /// What waits, bodies read.
    pub async fn waits(&self) -> Waiting {
        let waiting = self.waiting(start(), 1000).await.unwrap();
        let read = |entry: Entry| Entry { seq: entry.seq, item: entry.item.read() };
        Waiting { entries: waiting.entries.into_iter().map(read).collect(), ..waiting }
    }

    /// Plans all that waits, so that retention may take it.
    pub async fn plan_all(&self) {
        let upto = self.waits().await.entries.last().map(|entry| entry.seq);
        self.plan(Plan { upto, ..Plan::default() }).await;
    }

    /// Prunes until there is nothing more. Gives how many.
    pub async fn prune_all(&self, before: Timestamp, before_dead: Timestamp) -> u64 {
        let mut all = 0;
        loop {
            let pruned = self.prune(before, before_dead, 100).await.unwrap();
            if pruned == 0 {
                return all;
            }
            all += pruned;
        }
    }

    /// Events by place, their bodies read.
    pub async fn events(&self, seqs: &[Seq]) -> Result<Vec<(Seq, Event)>, Error> {
        let found = self.store.events(seqs).await?;
        Ok(found.into_iter().map(|(seq, event)| (seq, event.read())).collect())
    }

    pub async fn is_there(&self, seq: Seq) -> bool {
        !self.events(&[seq]).await.unwrap().is_empty()
    }

    /// The ids of all deliveries, newest first.
    pub async fn ids(&self, filter: DeliveryFilter) -> Vec<String> {
        let found = self.list_deliveries(&DeliveryFilter { limit: 100, ..filter }).await.unwrap();
        found.into_iter().map(|delivery| delivery.planned.id.0).collect()
    }
}

pub fn id_of(claim: &Claim) -> String {
    claim.delivery.planned.id.0.clone()
}

/// An event of `jewelmusic`, received at [`start`].
pub fn event(id: &str) -> Event {
    event_of("jewelmusic", id, json!({"id": id, "type": "track.live", "data": {"title": "Nightfall"}}))
}

pub fn event_of(source: &str, id: &str, body: serde_json::Value) -> Event {
    Event {
        source: source.into(),
        id: EventId(id.into()),
        kind: body["type"].as_str().unwrap_or("track.live").into(),
        created: start(),
        received: start(),
        raw: body.to_string().into_bytes().into(),
        body,
        proof: "jewelmusic:t,v1 secret 1".into(),
    }
}

/// An event received then.
pub fn received(id: &str, at: Timestamp) -> Event {
    Event { received: at, ..event(id) }
}

/// A delivery to `slack`, due at [`start`], about the event at place 1.
pub fn delivery(id: &str) -> NewDelivery {
    NewDelivery {
        id: DeliveryId(id.into()),
        event: 1,
        rule: "live".into(),
        action: "a".into(),
        destination: "slack".into(),
        act: MessageOp::Open,
        lane: None,
        due: start(),
        assignment: Assignment {
            mention: vec![Mention::Named("lead".into())],
            ..Assignment::saying(Say::Text("**{{ data.title }}** is live".into()), 1)
        },
    }
}

pub fn due(id: &str, due: Timestamp) -> NewDelivery {
    NewDelivery { due, ..delivery(id) }
}

pub fn to(destination: &str, id: &str) -> NewDelivery {
    NewDelivery { destination: destination.into(), ..delivery(id) }
}

pub fn in_lane(lane: &str, id: &str) -> NewDelivery {
    NewDelivery { lane: Some(Lane(lane.into())), ..delivery(id) }
}

/// Much room: ten at a time, no rate, and patience for a year.
pub fn room(destination: &str) -> Room {
    Room {
        destination: destination.into(),
        limits: Limits { spacing: None, burst: 1, concurrency: 10 },
        lease: SignedDuration::from_secs(LEASE),
        give_up: SignedDuration::from_hours(24 * 365),
        wanted: 10,
    }
}

pub fn attempt(outcome: AttemptOutcome) -> Attempt {
    Attempt {
        number: 1,
        at: start(),
        took_ms: 120,
        outcome,
        sent: "{\"text\":\"…\"}".into(),
        answer: format!("answer: {}", outcome.name()),
    }
}

/// An attempt ended so, and this follows.
pub fn settlement(outcome: AttemptOutcome, state: State, at: Timestamp) -> Settlement {
    Settlement {
        attempt: attempt(outcome),
        next: Next { state, at, plain: false },
        receipt: None,
        wait: None,
        failing: false,
        signals: Vec::new(),
    }
}

pub fn delivered() -> Settlement {
    settlement(AttemptOutcome::Delivered, State::Delivered, start())
}

pub fn delivered_as(ts: &str) -> Settlement {
    Settlement { receipt: Some(receipt(ts)), ..delivered() }
}

pub fn receipt(ts: &str) -> Receipt {
    json!({"ts": ts}).as_object().unwrap().clone()
}

pub fn retry(at: Timestamp) -> Settlement {
    settlement(AttemptOutcome::Temporary, State::Retrying, at)
}

pub fn dead() -> Settlement {
    settlement(AttemptOutcome::Permanent, State::Dead, start())
}

pub fn is_lost<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Lost))
}
