//! A store in one SQLite file: what one process needs for years.
//!
//! One thread writes (`writer.rs`), and what arrives together shares a commit; a few read (`reader.rs`); one looks after
//! the file (`maintenance.rs`). A further process is locked out. Every connection writes through to the disk at each commit:
//! nothing here is faster by forgetting.

mod claims;
mod connect;
mod deliveries;
mod error;
mod examine;
mod identity;
mod ids;
mod inbox;
mod look;
mod maintenance;
mod planning;
mod prune;
mod reader;
mod reserve;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use self::connect::{Location, Role};
pub(super) use self::examine::{backup, examine, files, glance};
use self::ids::IdKey;
use self::inbox::Arrival;
use self::maintenance::{Maintenance, Notifier, Task};
use self::reader::Readers;
use self::reserve::Reserve;
use self::writer::{Asked, Job, Needs, Writer, WriterState};
use super::threads::Threads;
use super::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, Error, EventFilter, PAGE_BYTES_MAX,
    PlannerLease, Room, Settlement, Standing, Store, Waiting,
};
use crate::delivery::{Attempt, Delivery, DeliveryId, State};
use crate::event::{Event, EventId, Item, Seq};
use crate::planner::loaded::DueTimer;
use crate::planner::why::Decision;
use crate::planner::{Keys, LoadedState, Plan};
use crate::store::look::{Became, DecisionFilter, Decisions, Found, Tally, Words};
use crate::store::transitions::Row;

/// Reads an address without going there.
pub(super) fn check(address: &str, base: &Path) -> Result<(), Error> {
    Location::read(address, base).map(drop)
}

/// A store in one SQLite file.
pub(super) struct Sqlite {
    place: Location,
    key: IdKey,
    writer: Option<mpsc::Sender<Job>>,
    /// What the steps read.
    steps: Readers,
    /// What people read.
    people: Readers,
    notifier: Arc<Notifier>,
    threads: Threads,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// No other process opens the file while this is held.
    lock: Mutex<Option<File>>,
}

impl Sqlite {
    /// Opens `PATH` or `PATH?max_mib=N`, and makes it if it isn't there.
    pub fn open(address: &str, base: &Path) -> Result<Self, Error> {
        let place = Location::read(address, base)?.itself()?;
        let (lock, conn) = connect::open(&place).or_else(|error| match reserve::gave_way(&place, &error) {
            true => connect::open(&place),
            false => Err(error),
        })?;
        let state = WriterState::new(conn)?;
        let key = state.key;
        let (notifier, tasks) = Notifier::new();
        let (queue, jobs) = mpsc::channel(writer::QUEUE);
        let reserve = Reserve::new(&place, &state.conn, state.next_seq > 1)?;
        notifier.full.store(reserve.is_spent(), std::sync::atomic::Ordering::Relaxed);
        let reader = || connect::further(&place, Role::Reader);
        let threads = Threads::new();
        let (steps, mut handles) = Readers::start(STEPS, vec![reader()?], &threads)?;
        let (people, more) = Readers::start(PEOPLE, vec![reader()?, reader()?], &threads)?;
        handles.extend(more);
        let maintenance = Maintenance {
            conn: connect::further(&place, Role::Maintenance)?,
            key,
            notifier: notifier.clone(),
            writer: queue.downgrade(),
            reserve: place.beside(".reserve"),
        };
        handles.push(spawn(&threads, MAINTENANCE, move || maintenance.run(tasks))?);
        let identity = place.identity();
        let (notified, location) = (notifier.clone(), place.clone());
        let writer =
            Writer { state, notifier: notified, reserve, place: location, identity, is_synced: true, stopped: None };
        handles.push(spawn(&threads, WRITER, move || writer.run(jobs))?);
        Ok(Self {
            place,
            key,
            writer: Some(queue),
            steps,
            people,
            notifier,
            threads,
            handles: Mutex::new(handles),
            lock: Mutex::new(Some(lock)),
        })
    }

    async fn queue(&self, job: Job) -> Result<(), Error> {
        let writer = self.writer.as_ref().ok_or_else(|| self.threads.gone())?;
        writer.send(job).await.map_err(|_| self.threads.gone())
    }

    /// Has the writer do something within a transaction; answers when it is committed.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut WriterState) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_with(Needs::Sync, work).await
    }

    /// The same, for what needs less of the disk, or more.
    async fn write_with<T: Send + 'static>(
        &self,
        needs: Needs,
        work: impl FnMut(&mut WriterState) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (job, answer) = Asked::job(needs, work);
        self.queue(job).await?;
        answer.await.map_err(|_| self.threads.gone())?
    }

    /// Moves the ids in memory to their tables.
    async fn index(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        if !self.notifier.ask(Task::Index(reply)) {
            return Err(self.threads.gone());
        }
        answer.await.map_err(|_| self.threads.gone())?
    }

    /// Ends what reads and what looks after the file, then the writer, so that it is the last to let go of it.
    async fn end(&self) -> Result<(), Error> {
        self.threads.closing();
        // What could not be indexed is indexed after the next start.
        let _ = self.index().await;
        let (reply, stopped) = oneshot::channel();
        if self.notifier.ask(Task::Stop(reply)) {
            let _ = stopped.await;
        }
        self.steps.stop();
        self.people.stop();
        // All but the writer: of two that let go of the file at the same time, neither would remove its log.
        self.threads.at_most(1).await;
        let (reply, done) = oneshot::channel();
        if self.queue(Job::Close(reply)).await.is_ok() {
            let _ = done.await;
        }
        self.join();
        Ok(())
    }

    /// Waits for the threads, which have nothing more to do, and lets others open the file.
    fn join(&self) {
        let threads = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lock) = lock.filter(|_| !self.place.beside("-wal").exists()) {
            connect::mark_closed(&lock);
        }
    }
}

impl Drop for Sqlite {
    /// Like an end without warning, except that no thread is left behind.
    fn drop(&mut self) {
        self.threads.closing();
        self.steps.stop();
        self.people.stop();
        let (reply, _) = oneshot::channel();
        self.notifier.ask(Task::Stop(reply));
        self.writer.take();
        self.join();
    }
}

/// The names of its threads.
const STEPS: &str = "store-steps";
const PEOPLE: &str = "store-people";
const MAINTENANCE: &str = "store-maintenance";
const WRITER: &str = "store-writer";

fn spawn(threads: &Threads, name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let running = threads.begin(name);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _running = running;
            work();
        })
        .map_err(|error| Error::Unavailable(format!("can't start the thread `{name}`: {error}")))
}

impl Store for Sqlite {
    fn append(&self, event: Event) -> Answer<'_, Appended> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.queue(Job::Append(Box::new(Arrival::new(event, &self.key)), reply)).await?;
            answer.await.map_err(|_| self.threads.gone())?
        })
    }

    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq> {
        Box::pin(self.write(move |writer| writer.tell(&item, now)))
    }

    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>> {
        let holder = holder.to_owned();
        Box::pin(self.write(move |writer| writer.lease(&holder, now, until)))
    }

    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting> {
        Box::pin(self.steps.read(move |conn| inbox::waiting(conn, now, limit)))
    }

    fn load(&self, keys: &Keys) -> Answer<'_, LoadedState> {
        let keys = keys.clone();
        Box::pin(self.steps.read(move |conn| planning::load(conn, &keys)))
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        let seqs = seqs.to_vec();
        Box::pin(self.steps.read(move |conn| inbox::events(conn, &seqs, usize::MAX)))
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        let lease = lease.clone();
        Box::pin(self.write_with(Needs::Order, move |writer| writer.commit(&lease, &plan, now)))
    }

    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed> {
        let rooms = rooms.to_vec();
        Box::pin(self.write_with(Needs::Order, move |writer| writer.claim(now, &rooms)))
    }

    fn keep(&self, claim: &Claim, message: String) -> Answer<'_, ()> {
        let (id, token) = (claim.delivery.planned.id.clone(), claim.token);
        Box::pin(self.write_with(Needs::Order, move |writer| writer.keep(&id, token, &message)))
    }

    fn settle(&self, claim: &Claim, settlement: Settlement, now: Timestamp) -> Answer<'_, ()> {
        let row = Row::settled(claim, &settlement, now);
        Box::pin(self.write(move |writer| writer.settle(&row, &settlement, now)))
    }

    fn release(&self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Answer<'_, ()> {
        let (id, token, reason) = (claim.delivery.planned.id.clone(), claim.token, reason.to_owned());
        Box::pin(self.write(move |writer| writer.release(writer.guarded(&id, token)?, state, &reason, now)))
    }

    fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Answer<'_, u64> {
        let ids = ids.to_vec();
        Box::pin(self.write(move |writer| writer.revive(&ids, now)))
    }

    fn cancel(&self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Answer<'_, u64> {
        let (ids, reason) = (ids.to_vec(), reason.to_owned());
        Box::pin(self.write(move |writer| writer.cancel(&ids, &reason, now)))
    }

    fn list_events(&self, filter: &EventFilter) -> Answer<'_, Vec<(Seq, Event)>> {
        let filter = filter.clone();
        Box::pin(self.people.read(move |conn| inbox::list(conn, &filter)))
    }

    fn list_places(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        let seqs = seqs.to_vec();
        Box::pin(self.people.read(move |conn| inbox::events(conn, &seqs, PAGE_BYTES_MAX)))
    }

    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found> {
        let (filter, words) = (filter.clone(), words.cloned());
        Box::pin(self.people.read(move |conn| look::search(conn, &filter, words.as_ref())))
    }

    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions> {
        let filter = filter.clone();
        Box::pin(self.people.read(move |conn| look::decisions(conn, &filter)))
    }

    fn became(&self, events: &[Seq], most: usize) -> Answer<'_, BTreeMap<Seq, Became>> {
        let events = events.to_vec();
        Box::pin(self.people.read(move |conn| look::became(conn, &events, most)))
    }

    fn tally(&self, since: Timestamp) -> Answer<'_, Tally> {
        Box::pin(self.people.read(move |conn| look::tally(conn, since)))
    }

    fn timers(&self, after: (Timestamp, &str), limit: usize) -> Answer<'_, Vec<DueTimer>> {
        let (due, id) = (after.0, after.1.to_owned());
        Box::pin(self.people.read(move |conn| look::timers(conn, (due, &id), limit)))
    }

    fn find_event(&self, id: &str) -> Answer<'_, Vec<Seq>> {
        let id = EventId(id.into());
        // The writer knows the newest ids by heart.
        Box::pin(self.write(move |writer| writer.places_of(&id)))
    }

    fn conflicts(&self, event: Seq) -> Answer<'_, Vec<Conflict>> {
        Box::pin(self.people.read(move |conn| inbox::conflicts(conn, event)))
    }

    fn whys(&self, event: Seq) -> Answer<'_, Vec<Decision>> {
        Box::pin(self.people.read(move |conn| planning::whys(conn, event)))
    }

    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>> {
        let filter = filter.clone();
        Box::pin(self.people.read(move |conn| deliveries::list(conn, &filter)))
    }

    fn beyond(&self, before: Option<&DeliveryId>, many: usize) -> Answer<'_, Option<DeliveryId>> {
        let before = before.cloned();
        Box::pin(self.people.read(move |conn| deliveries::beyond(conn, before.as_ref(), many)))
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>> {
        let id = id.clone();
        Box::pin(self.people.read(move |conn| deliveries::delivery(conn, &id)))
    }

    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>> {
        let (kind, after) = (kind.to_owned(), after.to_owned());
        Box::pin(self.people.read(move |conn| planning::docs(conn, &kind, &after, limit)))
    }

    fn waiting_destinations(&self) -> Answer<'_, Vec<String>> {
        Box::pin(self.steps.read(deliveries::waiting_destinations))
    }

    fn standings(&self) -> Answer<'_, Vec<Standing>> {
        Box::pin(self.people.read(deliveries::standings))
    }

    fn census(&self) -> Answer<'_, Census> {
        Box::pin(async move {
            let census = self.people.read(deliveries::census).await?;
            Ok(Census { bytes: self.place.bytes(), ..census })
        })
    }

    fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Answer<'_, u64> {
        Box::pin(async move {
            // Only an event whose id stands in a table may go.
            self.index().await?;
            self.write(move |writer| writer.prune(before, before_dead, limit)).await
        })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.write_with(Needs::Room, WriterState::probe))
    }

    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>> {
        Box::pin(self.write_with(Needs::Room, move |writer| writer.alive(now)))
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(self.threads.ended())
    }

    fn threads(&self) -> &'static [&'static str] {
        &[STEPS, PEOPLE, MAINTENANCE, WRITER]
    }

    fn end_thread(&self, name: &str) {
        match name {
            STEPS => self.steps.stop(),
            PEOPLE => self.people.stop(),
            MAINTENANCE => drop(self.notifier.ask(Task::Stop(oneshot::channel().0))),
            _ => drop(self.writer.as_ref().map(|writer| writer.try_send(Job::Close(oneshot::channel().0)))),
        }
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(self.end())
    }
}
