//! The same life in two stores: whatever is done, in whatever order, they answer the same.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use fanfare::delivery::{AttemptOutcome, DeliveryId, Lane, MessageOp, NewDelivery, State};
use fanfare::event::{Event, Item};
use fanfare::pace::{Limits, Next};
use fanfare::planner::why::Decision;
use fanfare::planner::{Cancel, DocChange, End, Key, Keys, Plan, Timer};
use fanfare::secret::Secret;
use fanfare::store::{Claim, DeliveryFilter, Error, EventFilter, Room, Settlement, Store, Waiting, open};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::postgres;

use super::bench::{at, attempt, delivery, event_of, receipt};

/// How many lives, and how many steps in each.
const LIVES: u64 = 8;
const STEPS: usize = 250;

/// Two stores that live the same life.
struct Twins {
    one: Arc<dyn Store>,
    other: Arc<dyn Store>,
    random: fastrand::Rng,
    /// Seconds since the start; now and then it stands still.
    now: i64,
    claims: Vec<Claim>,
    names: u32,
}

/// Both answers, which must be the same.
macro_rules! both {
    ($twins:expr, $verb:ident ( $($given:expr),* )) => {{
        let one = $twins.one.$verb($($given),*).await;
        let other = $twins.other.$verb($($given),*).await;
        same(stringify!($verb), one, other)
    }};
}

fn same<T: PartialEq + Debug>(verb: &str, one: Result<T, Error>, other: Result<T, Error>) -> Option<T> {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one, other, "{verb}");
            Some(one)
        }
        (Err(Error::Lost), Err(Error::Lost)) => None,
        (one, other) => panic!("{verb}: {one:?} and {other:?}"),
    }
}

/// What waits, with bodies read: whether a store has read them already is its own business.
fn read(mut waiting: Waiting) -> Waiting {
    for entry in &mut waiting.entries {
        entry.item = entry.item.clone().read();
    }
    waiting
}

impl Twins {
    async fn waiting(&self, limit: usize) -> Waiting {
        let one = self.one.waiting(self.now(), limit).await.map(read);
        let other = self.other.waiting(self.now(), limit).await.map(read);
        same("waiting", one, other).unwrap()
    }

    async fn open(seed: u64, other: String, folder: &Path) -> Self {
        Self {
            one: open(&Secret::new("memory:"), folder).await.unwrap(),
            other: open(&Secret::new(other), folder).await.unwrap(),
            random: fastrand::Rng::with_seed(seed),
            now: 0,
            claims: Vec::new(),
            names: 0,
        }
    }

    fn now(&self) -> Timestamp {
        at(self.now)
    }

    fn name(&mut self, few: u32) -> String {
        self.random.u32(..few).to_string()
    }

    fn destination(&mut self) -> String {
        ["slack", "pager"][self.random.usize(..2)].to_owned()
    }

    async fn step(&mut self) {
        self.now += self.random.i64(0..40) * i64::from(self.random.bool());
        match self.random.u32(..20) {
            0..4 => self.receive().await,
            4..8 => self.plan().await,
            8..11 => self.claim().await,
            11..15 => self.settle().await,
            15 => self.keep_or_release().await,
            16 => self.by_hand().await,
            17 => self.prune().await,
            _ => self.look().await,
        }
    }

    async fn receive(&mut self) {
        let source = ["jewelmusic", "shop", "fanfare"][self.random.usize(..3)];
        let (id, n) = (self.name(30), self.random.u32(..3));
        let event = Event { received: self.now(), ..event_of(source, &id, json!({"type": "t", "id": id, "n": n})) };
        if self.random.u32(..6) == 0 {
            both!(self, tell(Item::Event(Box::new(event.clone())), self.now()));
        } else {
            both!(self, append(event.clone()));
        }
    }

    fn new_delivery(&mut self) -> NewDelivery {
        self.names += self.random.u32(..2);
        let lane = self.random.bool().then(|| Lane(format!("case_{}", self.random.u32(..4))));
        let mut new = delivery(&format!("dlv_{}", self.names));
        (new.event, new.destination, new.lane) = (self.random.i64(1..20), self.destination(), lane);
        (new.due, new.action) = (at(self.now + self.random.i64(0..60)), self.name(2));
        new.assignment.event = new.event;
        new.act = if self.random.bool() { MessageOp::Open } else { MessageOp::Close };
        new
    }

    async fn plan(&mut self) {
        let holder = ["a", "b"][usize::from(self.random.u32(..10) == 0)];
        let Some(Some(lease)) = both!(self, lease(holder, self.now(), at(self.now + 20))) else { return };
        let waiting = self.waiting(5).await;
        let cancel = Cancel {
            lane: Lane(format!("case_{}", self.random.u32(..4))),
            action: self.random.bool().then(|| "1".to_owned()),
            act: None,
            reason: "newer".into(),
        };
        let doc = DocChange {
            key: Key { kind: "case".into(), id: self.name(5) },
            text: self.random.bool().then(|| "{}".to_owned()),
            events: vec![self.random.i64(1..20)],
        };
        let due = at(self.now + self.random.i64(0..100));
        let timer = Timer { due, event: self.random.bool().then_some(3), text: "t".into() };
        let plan = Plan {
            upto: waiting.entries.last().map(|entry| entry.seq),
            cancel: Vec::from_iter(self.random.bool().then_some(cancel)),
            deliveries: (0..self.random.usize(..4)).map(|_| self.new_delivery()).collect(),
            docs: vec![doc],
            timers: vec![(self.name(4), self.random.bool().then_some(timer))],
            events: vec![Event::own("fanfare.mute.ended", &self.name(6), self.now(), json!({}))],
            whys: Vec::from_iter(waiting.entries.first().map(|entry| Decision {
                event: entry.seq,
                rule: "r".into(),
                outcome: "matched".into(),
                note: String::new(),
                detail: json!([1.50]),
            })),
            ended: Vec::from_iter(
                self.random
                    .bool()
                    .then(|| End { lane: Lane(format!("case_{}", self.random.u32(..4))), closed: self.random.bool() }),
            ),
        };
        both!(self, commit(&lease, plan.clone(), self.now()));
    }

    async fn claim(&mut self) {
        let spacing = self.random.bool().then(|| SignedDuration::from_secs(self.random.i64(1..30)));
        let limits = Limits { spacing, burst: self.random.u32(1..4), concurrency: self.random.u32(..5) };
        let rooms = ["slack", "pager"].map(|destination| Room {
            destination: destination.into(),
            limits: limits.clone(),
            lease: SignedDuration::from_secs(30),
            give_up: SignedDuration::from_secs(60),
            wanted: self.random.u32(..4),
        });
        let claimed = both!(self, claim(self.now(), &rooms)).unwrap();
        self.claims.extend(claimed.claims);
    }

    /// A claim of before, which may be lost by now.
    fn some_claim(&mut self) -> Option<Claim> {
        if self.claims.is_empty() {
            return None;
        }
        let place = self.random.usize(..self.claims.len());
        Some(match self.random.u32(..8) {
            0 => self.claims[place].clone(),
            _ => self.claims.swap_remove(place),
        })
    }

    async fn settle(&mut self) {
        let Some(claim) = self.some_claim() else { return };
        let outcome = AttemptOutcome::ALL[self.random.usize(..6)];
        let state = match outcome {
            AttemptOutcome::Delivered => State::Delivered,
            AttemptOutcome::Permanent => State::Dead,
            _ => State::Retrying,
        };
        let settlement = Settlement {
            attempt: attempt(outcome),
            next: Next { state, at: at(self.now + self.random.i64(0..50)), plain: self.random.bool() },
            receipt: self.random.bool().then(|| receipt(&self.name(100))),
            wait: self.random.bool().then(|| SignedDuration::from_secs(self.random.i64(0..100))),
            failing: self.random.bool(),
            signals: Vec::new(),
        };
        both!(self, settle(&claim, settlement.clone(), self.now()));
    }

    async fn keep_or_release(&mut self) {
        let Some(claim) = self.some_claim() else { return };
        if self.random.bool() {
            both!(self, keep(&claim, "{}".to_owned()));
            self.claims.push(claim);
        } else {
            let state = [State::Due, State::Cancelled][self.random.usize(..2)];
            both!(self, release(&claim, state, "given back", self.now()));
        }
    }

    async fn by_hand(&mut self) {
        let ids: Vec<_> = (0..3).map(|_| DeliveryId(format!("dlv_{}", self.random.u32(..=self.names)))).collect();
        if self.random.bool() {
            both!(self, revive(&ids, self.now()));
        } else {
            both!(self, cancel(&ids, "by hand", self.now()));
        }
    }

    /// All of it at once, since the order within is each store's own.
    async fn prune(&mut self) {
        let (before, before_dead) = (at(self.now - self.random.i64(0..300)), at(self.now - 1000));
        for store in [&self.one, &self.other] {
            while store.prune(before, before_dead, 1000).await.unwrap() > 0 {}
        }
    }

    async fn look(&mut self) {
        let all = DeliveryFilter { limit: 1000, ..DeliveryFilter::default() };
        for delivery in both!(self, list_deliveries(&all)).unwrap() {
            both!(self, delivery(&delivery.planned.id));
        }
        for (seq, event) in both!(self, list_events(&EventFilter { limit: 1000, ..EventFilter::default() })).unwrap() {
            both!(self, conflicts(seq));
            both!(self, whys(seq));
            both!(self, find_event(event.id.as_str()));
        }
        let keys = Keys { all: ["case".to_owned()].into(), ..Keys::default() };
        both!(self, load(&keys));
        both!(self, docs("case", "1", 3));
        self.waiting(100).await;
        both!(self, standings());
        both!(self, waiting_destinations());
        let one = self.one.census().await.unwrap();
        let other = self.other.census().await.unwrap();
        assert_eq!(one, fanfare::store::Census { bytes: one.bytes, ..other });
    }
}

/// Lives of memory and of another store beside it.
fn live(other: impl Fn() -> String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for seed in 0..LIVES {
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut twins = Twins::open(seed, other(), folder.path()).await;
            for _ in 0..STEPS {
                twins.step().await;
            }
            twins.look().await;
            assert!(twins.names > 10, "seed {seed}: little happened");
        });
    }
}

#[test]
fn sqlite_and_memory_that_live_the_same_life_answer_the_same() {
    live(|| "sqlite:twin.db".to_owned());
}

#[test]
fn postgres_and_memory_that_live_the_same_life_answer_the_same() {
    live(postgres::fresh);
}

#[test]
fn postgres_behind_a_pooler_lives_the_same_life_too() {
    live(postgres::fresh_behind_a_pooler);
}
