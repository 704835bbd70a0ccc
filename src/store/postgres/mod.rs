//! A store in one PostgreSQL database: what several replicas share.
//!
//! Any number of processes receive and dispatch; one plans, under a lease that is an ordinary row with a fencing token.
//! Nothing lives in a session: no lock outlasts its transaction, no statement is prepared, so a pooler in transaction mode
//! may stand between. Every verb has a deadline; what was not answered by then is [`Error::Unavailable`], and the next
//! call finds a new connection.

mod claims;
mod connect;
mod deliveries;
mod ends;
mod error;
mod examine;
mod hints;
mod inbox;
mod intake;
mod link;
mod look;
mod patience;
mod platform;
mod planning;
mod prune;
mod schema;
mod tls;
mod batch;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use self::batch::{Batch, Most};
use self::claims::Kept;
use self::connect::Address;
use self::ends::End;
pub(super) use self::examine::examine;
use self::hints::Hints;
use self::inbox::Arrival;
use self::intake::Intake;
use self::link::{Lines, PEOPLE_MAX, STEP_MAX, get, given, within};
use super::{
    Answer, Appended, Census, Claim, Claimed, Conflict, DeliveryFilter, Error, EventFilter, Hint, PlannerLease, Room,
    Settlement, Standing, Store, Waiting,
};
use crate::clock::from_ms;
use crate::delivery::{Attempt, Delivery, DeliveryId, State};
use crate::event::{Event, Item, Seq};
use crate::planner::loaded::DueTimer;
use crate::planner::why::Decision;
use crate::planner::{Keys, LoadedState, Plan};
use crate::store::look::{Became, DecisionFilter, Decisions, Found, Tally, Words};
use crate::store::rows::probe;
use crate::store::threads::Threads;
use jiff::Timestamp;

/// Reads an address without going there.
pub(super) fn check(address: &str, base: &Path) -> Result<(), Error> {
    Address::read(address, base).map(drop)
}

/// A store in one PostgreSQL database.
pub(super) struct Postgres {
    lines: Arc<Lines>,
    hints: Hints,
    intake: Intake,
    /// Claims that ended.
    ends: Batch<End, ()>,
    /// Messages that were rendered.
    kept: Batch<Kept, ()>,
    /// Events to be rendered, a few for each who asks.
    rendered: Batch<Vec<Seq>, Vec<(Seq, Event)>>,
    threads: Threads,
}

/// The names of its tasks.
const INTAKE: &str = "store-intake";
const ENDS: &str = "store-ends";
const KEPT: &str = "store-kept";
const RENDERED: &str = "store-rendered";

/// Deliveries that are under way together end together, about: so long is waited for the others.
const REST: Duration = Duration::from_millis(5);

/// Who asks for more events than this asks for himself alone.
const EVENTS_FEW: usize = 16;

impl Postgres {
    /// Opens the database at `postgres://…`, and makes its tables if they aren't there.
    pub async fn open(address: &str, base: &Path) -> Result<Self, Error> {
        let address = Address::read(address, base)?;
        let lines = Arc::new(connect::open(&address).await?);
        let threads = Threads::new();
        let hints = Hints::start(address, threads.begin("store-hints"));
        let teller = hints.teller();
        let intake = intake::start(lines.clone(), threads.begin(INTAKE), move || {
            let _ = teller.try_send(Hint::Plan);
        });
        let with = |lines: &Arc<Lines>| {
            let lines = lines.clone();
            move || lines.clone()
        };
        let of_ends = with(&lines);
        let most = Most { count: 256, bytes: 1 << 20, of: End::bytes, rest: REST };
        let ends = Batch::start(most, threads.begin(ENDS), move |all| ends::end(of_ends(), all));
        let of_kept = with(&lines);
        let most = Most { count: 256, bytes: 1 << 20, of: |kept: &Kept| kept.message.len(), rest: REST };
        let kept = Batch::start(most, threads.begin(KEPT), move |all| claims::keep(of_kept(), all));
        let of_rendered = with(&lines);
        // Their bodies are all in memory together: 64 of the largest are 64 MiB.
        let most = Most { count: 64, bytes: 64, of: Vec::len, rest: Duration::ZERO };
        let rendered = Batch::start(most, threads.begin(RENDERED), move |all| inbox::events_for(of_rendered(), all));
        Ok(Self { lines, hints, intake, ends, kept, rendered, threads })
    }
}

/// Reads for a step, or for people.
macro_rules! read {
    ($store:expr, |$link:ident| $work:expr) => {
        Box::pin(within(STEP_MAX, async move {
            let $link = $store.lines.link().await?;
            let answer = $work.await;
            $link.end(answer)
        }))
    };
}

/// Reads for people, few at a time.
macro_rules! look {
    ($store:expr, |$link:ident| $work:expr) => {
        Box::pin(within(PEOPLE_MAX, async move {
            let _place = $store.lines.place().await?;
            let $link = $store.lines.link().await?;
            let answer = $work.await;
            $link.end(answer)
        }))
    };
}

/// Does something in a transaction.
macro_rules! write {
    ($store:expr, $limit:expr, |$tx:ident| $work:expr) => {
        Box::pin(within($limit, async move {
            let $tx = $store.lines.begin($limit).await?;
            let answer = $work.await;
            $tx.end(answer).await
        }))
    };
}

impl Store for Postgres {
    fn append(&self, event: Event) -> Answer<'_, Appended> {
        Box::pin(self.intake.ask(Arrival::event(event)))
    }

    fn tell(&self, item: Item, now: Timestamp) -> Answer<'_, Seq> {
        Box::pin(async move {
            match self.intake.ask(Arrival::item(item, now)?).await? {
                Appended::Fresh(seq) | Appended::Duplicate { seq, .. } => Ok(seq),
            }
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Answer<'_, Option<PlannerLease>> {
        let holder = holder.to_owned();
        Box::pin(within(STEP_MAX, async move {
            let link = self.lines.link().await?;
            let standing = planning::standing(&link, &holder, now, until).await;
            match link.end(standing)? {
                planning::Standing::Stays(lease) => Ok(lease),
                planning::Standing::Open(_) => {
                    let tx = self.lines.begin(STEP_MAX).await?;
                    let lease = tx.lease(&holder, now, until).await;
                    tx.end(lease).await
                }
            }
        }))
    }

    fn waiting(&self, now: Timestamp, limit: usize) -> Answer<'_, Waiting> {
        read!(self, |link| inbox::waiting(&link, now, limit))
    }

    fn load(&self, keys: &Keys) -> Answer<'_, LoadedState> {
        let keys = keys.clone();
        read!(self, |link| planning::load(&link, &keys))
    }

    fn events(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        let seqs = seqs.to_vec();
        if seqs.len() <= EVENTS_FEW {
            return Box::pin(self.rendered.ask(seqs));
        }
        read!(self, |link| inbox::events(&link, &seqs))
    }

    fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Answer<'_, u64> {
        let lease = lease.clone();
        Box::pin(async move {
            let new = write!(self, STEP_MAX, |tx| tx.commit(&lease, plan, now)).await?;
            if new > 0 {
                self.hints.tell(Hint::Dispatch);
            }
            Ok(new)
        })
    }

    fn claim(&self, now: Timestamp, rooms: &[Room]) -> Answer<'_, Claimed> {
        let rooms = rooms.to_vec();
        Box::pin(within(STEP_MAX, async move { claims::claim(&self.lines, now, &rooms).await }))
    }

    fn keep(&self, claim: &Claim, message: String) -> Answer<'_, ()> {
        let (id, token) = (claim.delivery.planned.id.clone(), claim.token);
        Box::pin(self.kept.ask(Kept { id, token, message }))
    }

    fn settle(&self, claim: &Claim, settlement: Settlement, now: Timestamp) -> Answer<'_, ()> {
        Box::pin(self.ends.ask(End::settled(claim, settlement, now)))
    }

    fn release(&self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Answer<'_, ()> {
        Box::pin(self.ends.ask(End::released(claim, state, reason, now)))
    }

    fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Answer<'_, u64> {
        let ids = ids.to_vec();
        write!(self, PEOPLE_MAX, |tx| tx.revive(&ids, now))
    }

    fn cancel(&self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Answer<'_, u64> {
        let (ids, reason) = (ids.to_vec(), reason.to_owned());
        write!(self, PEOPLE_MAX, |tx| tx.count_changed(&ids, false, |row| row.cancel(&reason, now)))
    }

    fn list_events(&self, filter: &EventFilter) -> Answer<'_, Vec<(Seq, Event)>> {
        let filter = filter.clone();
        look!(self, |link| inbox::list(&link, &filter))
    }

    fn list_places(&self, seqs: &[Seq]) -> Answer<'_, Vec<(Seq, Event)>> {
        let seqs = seqs.to_vec();
        look!(self, |link| inbox::places(&link, seqs))
    }

    fn search(&self, filter: &EventFilter, words: Option<&Words>) -> Answer<'_, Found> {
        let (filter, words) = (filter.clone(), words.cloned());
        look!(self, |link| look::search(&link, &filter, words.as_ref()))
    }

    fn decisions(&self, filter: &DecisionFilter) -> Answer<'_, Decisions> {
        let filter = filter.clone();
        look!(self, |link| look::decisions(&link, &filter))
    }

    fn became(&self, events: &[Seq], most: usize) -> Answer<'_, BTreeMap<Seq, Became>> {
        let events = events.to_vec();
        look!(self, |link| look::became(&link, events, most))
    }

    fn tally(&self, since: Timestamp) -> Answer<'_, Tally> {
        look!(self, |link| look::tally(&link, since))
    }

    fn timers(&self, after: (Timestamp, &str), limit: usize) -> Answer<'_, Vec<DueTimer>> {
        let (due, id) = (after.0, after.1.to_owned());
        look!(self, |link| look::timers(&link, (due, &id), limit))
    }

    fn find_event(&self, id: &str) -> Answer<'_, Vec<Seq>> {
        let id = id.to_owned();
        look!(self, |link| inbox::find(&link, &id))
    }

    fn conflicts(&self, event: Seq) -> Answer<'_, Vec<Conflict>> {
        look!(self, |link| inbox::conflicts(&link, event))
    }

    fn whys(&self, event: Seq) -> Answer<'_, Vec<Decision>> {
        look!(self, |link| planning::whys(&link, event))
    }

    fn list_deliveries(&self, filter: &DeliveryFilter) -> Answer<'_, Vec<Delivery>> {
        let filter = filter.clone();
        look!(self, |link| deliveries::list(&link, &filter))
    }

    fn beyond(&self, before: Option<&DeliveryId>, many: usize) -> Answer<'_, Option<DeliveryId>> {
        let before = before.cloned();
        look!(self, |link| deliveries::beyond(&link, before.as_ref(), many))
    }

    fn delivery(&self, id: &DeliveryId) -> Answer<'_, Option<(Delivery, Vec<Attempt>)>> {
        let id = id.clone();
        look!(self, |link| deliveries::delivery(&link, &id))
    }

    fn docs(&self, kind: &str, after: &str, limit: usize) -> Answer<'_, Vec<(String, String)>> {
        let (kind, after) = (kind.to_owned(), after.to_owned());
        look!(self, |link| planning::docs(&link, &kind, &after, limit))
    }

    fn waiting_destinations(&self) -> Answer<'_, Vec<String>> {
        read!(self, |link| deliveries::waiting_destinations(&link))
    }

    fn standings(&self) -> Answer<'_, Vec<Standing>> {
        look!(self, |link| deliveries::standings(&link))
    }

    fn census(&self) -> Answer<'_, Census> {
        look!(self, |link| deliveries::census(&link))
    }

    fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Answer<'_, u64> {
        write!(self, PEOPLE_MAX, |tx| tx.prune(before, before_dead, limit))
    }

    fn probe(&self) -> Answer<'_, ()> {
        // What an event's append does, taken back, and then a write that changes nothing, through to the disk.
        write!(self, STEP_MAX, |tx| async {
            let probe = Arrival::signal(&probe(), Timestamp::UNIX_EPOCH)?;
            tx.run("SAVEPOINT probe", given![]).await?;
            tx.append(&[probe]).await?;
            tx.run("ROLLBACK TO SAVEPOINT probe", given![]).await?;
            tx.run("UPDATE fanfare SET schema = schema", given![]).await.map(drop)
        })
    }

    fn alive(&self, now: Timestamp) -> Answer<'_, Option<Timestamp>> {
        write!(self, STEP_MAX, |tx| async {
            let sql = "UPDATE alive SET at = $1 FROM (SELECT at FROM alive FOR UPDATE) AS before RETURNING before.at";
            let before: Option<i64> = get(&tx.one(sql, given![now.as_millisecond()]).await?, 0)?;
            let before = before.map(from_ms);
            if before.is_some_and(|before| before > now) {
                tx.run(crate::store::rows::SET_BACK, given![now.as_millisecond()]).await?;
            }
            Ok(before)
        })
    }

    fn time(&self) -> Answer<'_, Option<Timestamp>> {
        read!(self, |link| async {
            let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
            Ok(Some(from_ms(get(&link.one(sql, given![]).await?, 0)?)))
        })
    }

    fn hint(&self) -> Pin<Box<dyn Future<Output = Hint> + Send + '_>> {
        Box::pin(self.hints.hear())
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(self.threads.ended())
    }

    fn threads(&self) -> &'static [&'static str] {
        &[INTAKE, ENDS, KEPT, RENDERED]
    }

    fn end_thread(&self, name: &str) {
        match name {
            INTAKE => self.intake.stop(),
            ENDS => self.ends.stop(),
            KEPT => self.kept.stop(),
            _ => self.rendered.stop(),
        }
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.threads.closing();
            // What was handed in is still committed.
            tokio::join!(self.intake.close(), self.ends.close(), self.kept.close(), self.rendered.close());
            self.lines.close();
            Ok(())
        })
    }
}
