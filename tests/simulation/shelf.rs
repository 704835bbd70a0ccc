//! The store as one replica sees it: the shared one in memory, behind everything that can go wrong on the way there.
//!
//! Each call may fail before it did anything or after it did all, may be slow, and may be the last thing that its process
//! does. What really happened is asked to the ledger.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fanfare::clock::from_ms;
use fanfare::delivery::{Attempt, Delivery, DeliveryId, State};
use fanfare::event::{Event, EventId, Item, Seq};
use fanfare::planner::links::LinkKeys;
use fanfare::planner::loaded::DueTimer;
use fanfare::planner::why::Decision;
use fanfare::planner::{Keys, LoadedState, Plan, Sweep};
use fanfare::store::look::{Became, DecisionFilter, Decisions, Found, Tally, Words};
use fanfare::store::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, Error, EventFilter, PlannerLease, Room,
    Settlement, Standing, Store, Waiting,
};
use jiff::{SignedDuration, Timestamp};

use super::broken::Breakage;
use super::label::versions;
use super::life::Killed;
use super::world::{Doom, MAIN, Replica, Sky, World};
use crate::model::against::{Doing, Planned};

/// A store behind a replica's way to it.
pub struct Shelf {
    pub world: Arc<World>,
    pub replica: Weak<Replica>,
}

/// What a call does beyond reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Reads,
    /// Takes something in, which a full disk can't.
    TakesIn,
    /// Writes, with what room was kept for it.
    Notes,
}

/// What becomes of a call after it was carried out.
enum After {
    Answer,
    Lost,
    Broken,
    Crash,
    Killed,
    Pause(u64),
}

impl Shelf {
    fn replica(&self) -> Arc<Replica> {
        self.replica.upgrade().expect("who calls is there")
    }

    /// What happens on the way there. What comes of the call on the way back.
    async fn before(&self, verb: Verb) -> Result<After, Error> {
        let fate = self.fate(verb).await;
        let mut ledger = self.world.ledger();
        ledger.counts.calls += 1;
        match fate {
            Err(_) => ledger.counts.failed += 1,
            Ok(After::Lost | After::Broken) => ledger.counts.unanswered += 1,
            Ok(After::Answer | After::Crash | After::Killed | After::Pause(_)) => {}
        }
        fate
    }

    async fn fate(&self, verb: Verb) -> Result<After, Error> {
        let (world, replica) = (&self.world, self.replica());
        if world.is_calm() {
            return Ok(After::Answer);
        }
        let doom = replica.step(world);
        let sky = *world.sky.lock().unwrap();
        self.linger(sky).await;
        match doom {
            Some(Doom::End) => {
                world.tell(|| format!("replica {} ends within a call ({verb:?})", replica.number));
                if world.chance(500) {
                    replica.life.end().await;
                }
                return Ok(After::Crash);
            }
            Some(Doom::Task) if MAIN.try_with(|_| ()).is_err() => replica.next_main_task_dies(),
            Some(Doom::Task) => {
                world.tell(|| format!("replica {}: a main task dies within a call ({verb:?})", replica.number));
                world.ledger().counts.tasks += 1;
                if world.chance(500) {
                    resume_unwind(Box::new(Killed));
                }
                return Ok(After::Killed);
            }
            Some(Doom::Pause(ms)) if world.chance(500) => return Ok(After::Pause(ms)),
            Some(Doom::Pause(ms)) => replica.pause(world, ms).await,
            None => {}
        }
        match sky {
            Sky::Away => return Err(Error::Unavailable("away".into())),
            Sky::Full if verb == Verb::TakesIn => return Err(Error::Full),
            _ => {}
        }
        let fails = if let Sky::Flaky(permille) = sky { permille } else { 2 };
        if !world.chance(fails) {
            return Ok(After::Answer);
        }
        match world.roll(|dice| dice.u32(0..40)) {
            0 => Err(Error::Broken("broken before".into())),
            1 if verb != Verb::Reads => Ok(After::Broken),
            2..=20 if verb != Verb::Reads => Ok(After::Lost),
            _ => Err(Error::Unavailable("lost on the way there".into())),
        }
    }

    async fn linger(&self, sky: Sky) {
        let slow = if matches!(sky, Sky::Flaky(_)) { 60 } else { 5 };
        let span = self.world.roll(|dice| match dice.u32(0..1000) {
            n if n < slow => dice.u64(100..4_000),
            n if n < 200 => dice.u64(1..5),
            _ => 0,
        });
        if span > 0 {
            tokio::time::sleep(Duration::from_millis(span)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    /// What happens on the way back.
    async fn after<T>(&self, after: After, answer: Result<T, Error>) -> Result<T, Error> {
        match after {
            After::Answer => answer,
            After::Lost => Err(Error::Unavailable("lost on the way back".into())),
            After::Broken => Err(Error::Broken("broken after".into())),
            After::Crash => self.replica().life.end().await,
            After::Killed => resume_unwind(Box::new(Killed)),
            After::Pause(ms) => {
                self.replica().pause(&self.world, ms).await;
                answer
            }
        }
    }

    async fn take(&self, event: Event) -> Result<Appended, Error> {
        let appended = self.world.raw.append(event.clone()).await;
        if let Ok(Appended::Fresh(seq)) = appended {
            self.world.ledger().appended(&event, seq);
            self.world.poke().await;
        }
        appended
    }

    /// The answer comes first, and what it promises after it, if ever.
    async fn take_later(&self, event: Event) -> Result<Appended, Error> {
        if self.world.raw.find_event(event.id.as_str()).await?.is_empty() {
            let (world, replica) = (self.world.clone(), self.replica());
            let later = async move {
                let wait = world.roll(|dice| dice.u64(1..3_000));
                tokio::time::sleep(Duration::from_millis(wait)).await;
                let shelf = Shelf { world, replica: Arc::downgrade(&replica) };
                let _ = shelf.take(event).await;
            };
            tokio::spawn(self.replica().life.bind(later));
            return Ok(Appended::Fresh(self.world.raw.census().await?.head + 1));
        }
        self.take(event).await
    }

    /// The look-up and the append are two steps: between them another may come.
    async fn take_apart(&self, mut event: Event) -> Result<Appended, Error> {
        let id = event.id.to_string();
        let known = self.world.believed.lock().unwrap().get(&id).copied();
        if let Some(seq) = known {
            return Ok(Appended::Duplicate { seq, conflict: false });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        // The store itself would notice: what is missing here is its unique index.
        let number = self.world.roll(|dice| dice.u32(..));
        event.id = EventId(format!("{id}\u{200b}{number}").into());
        let appended = self.take(event).await;
        if let Ok(Appended::Fresh(seq)) = appended {
            self.world.believed.lock().unwrap().insert(id, seq);
        }
        appended
    }

    /// A plan as it is written.
    fn written(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        if self.world.breakage == Breakage::LatenessForgotten {
            plan.timers.retain(|(id, timer)| timer.is_none() || !id.starts_with("late/"));
        }
        plan
    }

    fn token(&self, claim: &Claim) -> Claim {
        let newest = self.world.ledger().newest_token(&claim.delivery.planned.id);
        match (self.world.breakage, newest) {
            (Breakage::OutcomeWithoutToken, Some(token)) => Claim { token, ..claim.clone() },
            _ => claim.clone(),
        }
    }
}

impl Store for Shelf {
    fn append(&self, event: Event) -> Answer<'_, Appended> {
        Box::pin(async move {
            let after = self.before(Verb::TakesIn).await?;
            let appended = match self.world.breakage {
                Breakage::CommitAfterAnswer => self.take_later(event).await,
                Breakage::DedupeOutside => self.take_apart(event).await,
                _ => self.take(event).await,
            };
            self.after(after, appended).await
        })
    }

    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq> {
        Box::pin(async move {
            let after = self.before(Verb::TakesIn).await?;
            let told = self.world.raw.tell(item, now).await;
            self.world.poke().await;
            self.after(after, told).await
        })
    }

    fn is_shared(&self) -> bool {
        self.world.places > 1
    }

    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>> {
        let shared = self.world.breakage == Breakage::PlannersShare;
        let holder = if shared { "anybody".to_owned() } else { holder.to_owned() };
        Box::pin(async move {
            let after = self.before(Verb::Notes).await?;
            let lease = self.world.raw.lease(&holder, now, until).await;
            self.after(after, lease).await
        })
    }

    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting> {
        Box::pin(async move {
            let after = self.before(Verb::Reads).await?;
            let waiting = self.world.raw.waiting(now, limit).await;
            self.after(after, waiting).await
        })
    }

    fn load(&self, keys: &Keys) -> Answer<'_, LoadedState> {
        // Of all who ask, one plans.
        if MAIN.try_with(|()| ()).is_ok() {
            *self.replica().doing.lock().unwrap() = Doing::of_keys(keys);
        }
        let keys = keys.clone();
        Box::pin(async move {
            let after = self.before(Verb::Reads).await?;
            let ledger = self.world.raw.load(&keys).await;
            self.after(after, ledger).await
        })
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        let seqs = seqs.to_vec();
        Box::pin(async move {
            let after = self.before(Verb::Reads).await?;
            let events = self.world.raw.events(&seqs).await;
            self.after(after, events).await
        })
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        let lease = lease.clone();
        Box::pin(async move {
            let after = self.before(Verb::TakesIn).await?;
            let world = &self.world;
            let waiting = world.raw.waiting(now, 4096).await?;
            // What has ended can't be called off any more.
            let meant = world.ledger().meant(&plan);
            super::look_at(world, meant).await;
            let made = world.raw.commit(&lease, self.written(&plan), now).await;
            let keeps_keys = plan.docs.iter().any(|change| change.key == LinkKeys::key());
            if made.is_ok() && !keeps_keys {
                let replica = self.replica();
                let doing = *replica.doing.lock().unwrap();
                let snapshot = &versions()[replica.planning.load(Ordering::Relaxed)];
                let count = plan.deliveries.len();
                world.tell(|| {
                    let by = (replica.number, doing, from_ms(now.as_millisecond()));
                    format!("replica {} {:?} at {}: up to {:?}, {count} deliveries", by.0, by.1, by.2, plan.upto)
                });
                let planned = Planned {
                    rules: snapshot.rules.as_ref().unwrap(),
                    doing,
                    now,
                    waiting: &waiting,
                    plan: &plan,
                    may_be_part: true,
                };
                world.ledger().planned(&planned, world.true_ms(), world.is_calm());
                world.poke().await;
            }
            self.after(after, made).await
        })
    }

    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed> {
        let mut granted = rooms.to_vec();
        if matches!(self.world.breakage, Breakage::ClaimsOverlap) {
            granted.iter_mut().for_each(|room| room.lease = SignedDuration::from_millis(1));
        }
        let forgiving = self.world.breakage == Breakage::WaitingForgiven;
        if forgiving {
            granted.iter_mut().for_each(|room| room.give_up = SignedDuration::from_hours(24 * 365));
        }
        let rooms = rooms.to_vec();
        Box::pin(async move {
            let after = self.before(Verb::Notes).await?;
            let world = &self.world;
            world.ledger().claims(now);
            let mut claimed = world.raw.claim(now, &granted).await;
            if let Ok(claimed) = &mut claimed {
                for claim in &mut claimed.claims {
                    if forgiving {
                        claim.delivery.counts_from = Some(now);
                    }
                    let room = rooms.iter().find(|room| room.destination == claim.delivery.planned.destination);
                    claim.until = room.map_or(claim.until, |room| now + room.lease);
                    let behind = world.ledger().ahead_in_lane(&claim.delivery.planned.id);
                    let mut open = Vec::new();
                    for id in behind {
                        let row = world.raw.delivery(&id).await?;
                        open.extend(row.filter(|(row, _)| !row.state.is_final()).map(|_| id));
                    }
                    let number = self.replica().number;
                    world.tell(|| format!("replica {number} claims {}", claim.delivery.planned.id));
                    world.ledger().claimed(claim, number, now, world.true_ms(), &open);
                }
            }
            self.after(after, claimed).await
        })
    }

    fn keep(&self, claim: &Claim, message: String) -> Answer<'_, ()> {
        let claim = claim.clone();
        Box::pin(async move {
            let after = self.before(Verb::Notes).await?;
            let kept = self.world.raw.keep(&claim, message).await;
            self.after(after, kept).await
        })
    }

    fn settle(&self, claim: &Claim, settlement: Settlement, now: Timestamp) -> Answer<'_, ()> {
        let claim = self.token(claim);
        Box::pin(async move {
            let id = claim.delivery.planned.id.clone();
            let outcome = settlement.attempt.outcome;
            let after = self.before(Verb::Notes).await.inspect_err(|_| {
                self.world.ledger().excuse_one(&id, claim.token, "the store failed");
            })?;
            let settled = self.world.raw.settle(&claim, settlement.clone(), now).await;
            let world = &self.world;
            world.tell(|| format!("replica {} settles {id}: {outcome:?}, {settled:?}", self.replica().number));
            world.ledger().settled(
                &claim,
                self.replica().number,
                &settlement,
                settled.is_ok(),
                (world.now_ms(), world.true_ms()),
            );
            if settled.is_ok() {
                world.poke().await;
            }
            self.after(after, settled).await
        })
    }

    fn release(&self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Answer<'_, ()> {
        let (claim, reason) = (self.token(claim), reason.to_owned());
        Box::pin(async move {
            let after = self.before(Verb::Notes).await?;
            let released = self.world.raw.release(&claim, state, &reason, now).await;
            if released.is_ok() {
                self.world.ledger().released(&claim);
                self.world.poke().await;
            }
            self.after(after, released).await
        })
    }

    fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Answer<'_, u64> {
        self.world.raw.revive(ids, now)
    }

    fn cancel(&self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Answer<'_, u64> {
        self.world.raw.cancel(ids, reason, now)
    }

    fn list_events(&self, filter: &EventFilter) -> Answer<'_, Vec<(Seq, Event)>> {
        self.world.raw.list_events(filter)
    }

    fn list_places(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        self.world.raw.list_places(seqs)
    }

    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found> {
        self.world.raw.search(filter, words)
    }

    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions> {
        self.world.raw.decisions(filter)
    }

    fn became(&self, events: &[Seq], most: usize) -> Answer<'_, BTreeMap<Seq, Became>> {
        self.world.raw.became(events, most)
    }

    fn tally(&self, since: Timestamp) -> Answer<'_, Tally> {
        self.world.raw.tally(since)
    }

    fn timers(&self, after: (Timestamp, &str), limit: usize) -> Answer<'_, Vec<DueTimer>> {
        self.world.raw.timers(after, limit)
    }

    fn find_event(&self, id: &str) -> Answer<'_, Vec<Seq>> {
        self.world.raw.find_event(id)
    }

    fn conflicts(&self, event: Seq) -> Answer<'_, Vec<Conflict>> {
        self.world.raw.conflicts(event)
    }

    fn whys(&self, event: Seq) -> Answer<'_, Vec<Decision>> {
        self.world.raw.whys(event)
    }

    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>> {
        self.world.raw.list_deliveries(filter)
    }

    fn beyond(&self, before: Option<&DeliveryId>, many: usize) -> Answer<'_, Option<DeliveryId>> {
        self.world.raw.beyond(before, many)
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>> {
        self.world.raw.delivery(id)
    }

    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>> {
        if kind == Sweep::CASES {
            *self.replica().doing.lock().unwrap() = Doing::Sweeps;
        }
        let (kind, id) = (kind.to_owned(), after.to_owned());
        Box::pin(async move {
            let after = self.before(Verb::Reads).await?;
            let docs = self.world.raw.docs(&kind, &id, limit).await;
            self.after(after, docs).await
        })
    }

    fn waiting_destinations(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async move {
            let after = self.before(Verb::Reads).await?;
            let waiting = self.world.raw.waiting_destinations().await;
            self.after(after, waiting).await
        })
    }

    fn standings(&self) -> Answer<'_, Vec<Standing>> {
        self.world.raw.standings()
    }

    fn census(&self) -> Answer<'_, Census> {
        self.world.raw.census()
    }

    fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Answer<'_, u64> {
        Box::pin(async move {
            let after = self.before(Verb::Notes).await?;
            super::look_at_open(&self.world).await;
            let pruned = self.world.raw.prune(before, before_dead, limit).await;
            self.after(after, pruned).await
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.world.raw.probe()
    }

    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>> {
        self.world.raw.alive(now)
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
