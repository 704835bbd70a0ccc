//! Runs the steps: the outermost loops, the only place (but the wire) that waits.
//!
//! A wake-up is a hint; each loop looks again within a second whatever happens. Ending is orderly: nothing new is
//! begun, what is under way finishes within a limit, what was claimed and not sent is given back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::clock::plus;
use crate::server::{self, Drain, Limits};
use crate::steps::alive::Pulse;
use crate::steps::progress::Look;
use crate::steps::retain::Calendar;
use crate::steps::supervisor::Supervisor;
use crate::steps::watch::Task;
use crate::steps::{
    Bounds, Live, StepResult, alive, backfill, dispatch, memory, plan, receive, reload, retain, supervisor, watch,
};
use crate::store;
use crate::store::{Claim, Hint};

/// No loop sleeps longer: polling is the truth.
const POLL: Duration = Duration::from_secs(1);
/// How long planning rests after a transaction for each thing that it planned, and at most: so that under a flood many
/// events share the next one instead of each having its own, and receiving has the cores. One that comes alone, or after a
/// few others, hardly waits for it.
const BREATH: Duration = Duration::from_millis(2);
const BREATH_MAX: Duration = Duration::from_millis(25);
/// Where others share the store, and much is under way, dispatching looks for work no oftener, so that what ends meanwhile
/// shares the next claim: each costs all of them a lock and a wait for the disk.
const GATHER: Duration = Duration::from_millis(10);
/// So little under way is not much: then nothing waits.
const LITTLE: usize = 16;
/// On a store of its own, how long dispatching rests after it found work, for the same reason. A lone event never waits for
/// it.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a loop waits after the store failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// What the admin's listener answers even while all else is at work.
const PROBES: &[&str] = &["/healthz", "/readyz"];
/// How long finishing may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);
/// How often finished things are looked for that retention may take.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How long it rests between two transactions.
const PRUNE_REST: Duration = Duration::from_millis(100);

/// How often it is looked whether another process was asked for a backfill.
const BACKFILL_EVERY: Duration = Duration::from_secs(10);

/// How often the clock is set right by the store's.
const ANCHOR_EVERY: Duration = Duration::from_secs(60);
/// A machine whose clock is further off says so.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(60);

/// A running program.
#[derive(Debug)]
pub struct Running {
    live: Arc<Live>,
    /// Where webhooks are received.
    pub webhooks: SocketAddr,
    /// Where the admin surface is.
    pub admin: SocketAddr,
    listeners: Vec<Drain>,
    watched: Vec<JoinHandle<()>>,
}

/// The row of a listener in the table of tasks.
fn listener(name: &'static str, serving: JoinHandle<()>) -> Task {
    Task::once(name, "a restart binds its address again", async move {
        match serving.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => {}
        }
    })
}

/// Binds both listeners and starts every step. `admin` is what the admin listener serves.
pub async fn run(live: Arc<Live>, admin: axum::Router) -> std::io::Result<Running> {
    let settings = live.snapshot.load().settings.clone();
    // Before anything is timed.
    anchor(&live).await;
    let webhooks_listener = server::listen::bind(settings.listen)?;
    let admin_listener = server::listen::bind(settings.admin)?;
    for listener in [&webhooks_listener, &admin_listener] {
        live.transport.listens(listener.local_addr()?);
    }
    let tls = settings.tls.is_some().then(|| tls(&live)).transpose()?;
    let Bounds { headers, answer, connections, admin_connections, .. } = live.bounds;
    let limits = Limits { connections, headers, answer, probes: &[] };
    let receiving = server::serve(webhooks_listener, receive::router(live.clone()), limits, tls)?;
    let limits = Limits { connections: admin_connections, probes: PROBES, ..limits };
    let administering = server::serve(admin_listener, admin, limits, None)?;
    let (webhooks, admin_address) = (receiving.address, administering.address);
    let listeners = vec![receiving.drain, administering.drain];
    // Only now is somebody there to take events in.
    let alive_before = match alive::mark(&live, live.clock.now()).await {
        Ok(before) => before,
        Err(error) => {
            live.telemetry.store_failed("mark", &error.to_string());
            None
        }
    };
    if let Some(supervisor) = &live.supervisor {
        supervisor.ready(&format!("receives at {webhooks}"));
    }
    let mut tasks = vec![listener("webhooks", receiving.task), listener("admin", administering.task)];
    tasks.extend(table(&live, alive_before));
    tasks.extend(watchdog(&live));
    let watched = tasks.into_iter().map(|task| tokio::spawn(watch::keep(live.clone(), task))).collect();
    Ok(Running { live, webhooks, admin: admin_address, listeners, watched })
}

/// The row of the task that notifies the service manager, where one waits for that.
fn watchdog(live: &Arc<Live>) -> Option<Task> {
    let every = live.supervisor.as_ref()?.every()?;
    let live = live.clone();
    Some(Task::again("watchdog", "the next notice is due soon", move || {
        let live = live.clone();
        async move { supervisor::watchdog_loop(&live, every).await }
    }))
}

/// The main tasks but the listeners, in the order in which an event meets them: what each does when it ends, and why.
fn table(live: &Arc<Live>, alive_before: Option<Timestamp>) -> Vec<Task> {
    let with = |live: &Arc<Live>| {
        let live = live.clone();
        move || live.clone()
    };
    let (of_store, of_plan, of_dispatch) = (live.clone(), with(live), with(live));
    let (of_reload, of_prune, of_mark, of_beat) = (with(live), with(live), with(live), with(live));
    let (of_look, of_anchor, of_hints, of_backfill) = (with(live), with(live), with(live), with(live));
    // What was claimed is carried out to its end, no matter who claims the next.
    let under_way = Arc::new(tokio::sync::Mutex::new(UnderWay::default()));
    vec![
        Task::once("store", "what its thread was doing is not known", store_watch(of_store)),
        Task::again("plan", "it goes by what is committed", move || plan::on_a_thread(plan_loop(of_plan()))),
        Task::again("dispatch", "deliveries in progress continue, and leases hold", move || {
            dispatch_loop(of_dispatch(), under_way.clone())
        }),
        Task::again("reload", "it reads the files again", move || reload::watch(of_reload())),
        Task::again("retain", "it processes the remaining work", move || prune_loop(of_prune(), alive_before)),
        Task::again("mark", "the next mark is due in a minute", move || mark_loop(of_mark())),
        Task::again("heartbeat", "the next call is due soon", move || beat_loop(of_beat())),
        Task::again("progress", "it checks again", move || look_loop(of_look())),
        Task::again("anchor", "it measures again", move || anchor_loop(of_anchor())),
        Task::again("backfill", "what it asked for is kept", move || backfill_loop(of_backfill())),
        Task::again("hints", "each is only a hint", move || hint_loop(of_hints())),
    ]
}

impl Running {
    /// Ends in order: stops accepting, finishes what is under way within a limit, closes the store.
    pub async fn drain(self) -> Result<(), store::Error> {
        self.live.drain();
        self.live.supervisor.iter().for_each(Supervisor::stopping);
        self.listeners.iter().for_each(Drain::drain);
        let ending = async {
            for task in self.watched {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(DRAIN_LIMIT + Duration::from_secs(2), ending).await.is_err() {
            tracing::warn!("not everything finished in time; the next start sends interrupted deliveries again");
        }
        self.live.store.close().await
    }
}

/// TLS with the certificate of whatever snapshot is in force.
fn tls(live: &Arc<Live>) -> std::io::Result<Arc<rustls::ServerConfig>> {
    let live = live.clone();
    server::tls::config(Box::new(move || {
        Some(live.snapshot.load().settings.tls.as_ref()?.certificate.as_ref()?.key.clone())
    }))
}

/// Waits for a wake-up, a moment, or the next look.
async fn wait(wake: &Notify, clock_now: Timestamp, until: Option<Timestamp>) {
    let until = until.map_or(POLL, |until| Duration::try_from(until.duration_since(clock_now)).unwrap_or_default());
    // At least a millisecond, so that a moment that has just passed can't spin.
    let _ = tokio::time::timeout(until.clamp(Duration::from_millis(1), POLL), wake.notified()).await;
}

/// Ends when one of the store's own threads does, and says which.
async fn store_watch(live: Arc<Live>) {
    tokio::select! {
        which = live.store.ended() => live.fail(which),
        () = live.drained() => {}
    }
}

fn breath(planned: u64) -> Duration {
    BREATH.saturating_mul(u32::try_from(planned.max(1)).unwrap_or(u32::MAX)).min(BREATH_MAX)
}

async fn plan_loop(live: Arc<Live>) {
    while !live.is_draining() {
        let now = live.clock.now();
        let step = plan::step(&live, now).await;
        if step.is_ok() {
            live.progress.planned();
        }
        match step {
            Ok(StepResult::Worked(count)) => live.drained_or(breath(count)).await,
            Ok(StepResult::Idle(until)) => wait(&live.to_plan, now, until).await,
            Err(error) => failed(&live, "plan", &error).await,
        }
    }
}

async fn dispatch_loop(live: Arc<Live>, under_way: Arc<tokio::sync::Mutex<UnderWay>>) {
    let mut under_way = under_way.lock_owned().await;
    let (mut looked, mut is_busy) = (Instant::now(), false);
    while !live.is_draining() {
        let rest = match live.store.is_shared() {
            true if under_way.tasks.len() > LITTLE => GATHER,
            false if is_busy => PAUSE,
            _ => Duration::ZERO,
        };
        if let Some(rest) = rest.checked_sub(looked.elapsed()) {
            live.drained_or(rest).await;
        }
        looked = Instant::now();
        while let Some(done) = under_way.tasks.try_join_next_with_id() {
            under_way.ended(&live, done);
        }
        let now = live.clock.now();
        let claimed = match dispatch::claim(&live, &under_way.counts, now).await {
            Ok(claimed) => claimed,
            Err(error) => {
                failed(&live, "claim", &error).await;
                continue;
            }
        };
        live.progress.claimed();
        is_busy = !claimed.claims.is_empty();
        if !is_busy {
            tokio::select! {
                () = wait(&live.to_dispatch, now, claimed.next) => {}
                Some(done) = under_way.tasks.join_next_with_id() => under_way.ended(&live, done),
            }
        }
        for claim in claimed.claims {
            under_way.begin(&live, claim);
        }
    }
    while let Some(done) = under_way.tasks.join_next_with_id().await {
        under_way.ended(&live, done);
    }
}

/// The deliveries that this process is carrying out.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Result<(), store::Error>>,
    destinations: HashMap<tokio::task::Id, String>,
    counts: HashMap<String, u32>,
}

impl UnderWay {
    fn begin(&mut self, live: &Arc<Live>, claim: Claim) {
        let destination = claim.delivery.planned.destination.clone();
        *self.counts.entry(destination.clone()).or_default() += 1;
        let (id, lease) = (claim.delivery.planned.id.clone(), claim.until.duration_since(live.clock.now()));
        let worker = live.clone();
        let task = self.tasks.spawn(async move { dispatch::carry_out(&worker, claim).await });
        live.progress.begun(task.id(), id, Duration::try_from(lease).unwrap_or_default());
        self.destinations.insert(task.id(), destination);
    }

    fn ended(&mut self, live: &Live, done: Result<(tokio::task::Id, Result<(), store::Error>), JoinError>) {
        let id = match &done {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        live.progress.ended(id);
        if let Some(destination) = self.destinations.remove(&id)
            && let Some(count) = self.counts.get_mut(&destination)
        {
            *count = count.saturating_sub(1);
        }
        match done {
            Ok((_, Ok(()))) => {}
            // Another took the delivery: its lease had run out, and the new owner decides.
            Ok((_, Err(store::Error::Lost))) => live.telemetry.store_failed("settle", "the lease had run out"),
            Ok((_, Err(error))) => {
                live.telemetry.store_failed("settle", &error.to_string());
                live.noticed(&error);
            }
            // The lease runs out, and the store counts how often that happens before it sets the delivery aside.
            Err(panic) => tracing::error!(%panic, "processing a delivery failed"),
        }
    }
}

/// Takes what retention no longer wants, a little at a time.
async fn prune_loop(live: Arc<Live>, alive_before: Option<Timestamp>) {
    let mut calendar = Calendar::from(alive_before);
    let mut asked = Instant::now();
    while !live.is_draining() {
        let passed = std::mem::replace(&mut asked, Instant::now()).elapsed();
        let at = calendar.at(live.clock.now(), passed);
        match retain::step(&live, at).await {
            Ok(StepResult::Idle(_)) => live.drained_or(PRUNE_EVERY).await,
            Ok(StepResult::Worked(_)) => live.drained_or(PRUNE_REST).await,
            Err(error) => {
                failed(&live, "prune", &error).await;
                live.drained_or(PRUNE_EVERY).await;
            }
        }
    }
}

/// Learns about work that other replicas made.
async fn hint_loop(live: Arc<Live>) {
    while !live.is_draining() {
        tokio::select! {
            hint = live.store.hint() => match hint {
                Hint::Plan => live.to_plan.notify_one(),
                Hint::Dispatch => live.to_dispatch.notify_one(),
            },
            () = live.drained() => {}
        }
    }
}

/// Keeps the clock right where others share the store, so that all go by one.
async fn anchor_loop(live: Arc<Live>) {
    let mut told = false;
    while !live.is_draining() {
        live.drained_or(ANCHOR_EVERY).await;
        match anchor(&live).await {
            None => return live.drained().await,
            Some(off) if off.abs() > SKEW_MAX => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(
                        seconds = off.as_secs(),
                        "this machine's clock differs from the store's: correct it"
                    );
                }
            }
            Some(_) => told = false,
        }
    }
}

/// Sets the clock right by the store's, of three looks by the quickest. Gives how far the store's is ahead of this
/// machine's; `None` where there is no such clock.
async fn anchor(live: &Live) -> Option<SignedDuration> {
    let mut best: Option<(SignedDuration, SignedDuration)> = None;
    for _ in 0..3 {
        let before = live.clock.now();
        // What keeps it from answering is known to the steps.
        let there = match live.store.time().await {
            Ok(there) => there?,
            Err(_) => break,
        };
        let took = live.clock.now().duration_since(before);
        let ahead = there.duration_since(plus(before, took / 2));
        if best.is_none_or(|(_, least)| took < least) {
            best = Some((ahead, took));
        }
    }
    // What lies within the look itself is no difference.
    let ahead = best
        .map_or(SignedDuration::ZERO, |(ahead, took)| if ahead.abs() > took { ahead } else { SignedDuration::ZERO });
    Some(live.clock.correct(ahead))
}

/// Asks senders to send again what failed.
async fn backfill_loop(live: Arc<Live>) {
    let mut backfilling = backfill::Backfilling::default();
    while !live.is_draining() {
        let now = live.clock.now();
        match backfill::step(&live, &mut backfilling, now).await {
            Ok(StepResult::Worked(_)) => {}
            Ok(StepResult::Idle(Some(until))) => wait(&live.to_backfill, now, Some(until)).await,
            Ok(StepResult::Idle(None)) => {
                let _ = tokio::time::timeout(BACKFILL_EVERY, live.to_backfill.notified()).await;
            }
            Err(error) => failed(&live, "backfill", &error).await,
        }
    }
}

/// Marks in the store that somebody is there, and gives back the memory that nobody uses.
async fn mark_loop(live: Arc<Live>) {
    loop {
        live.drained_or(alive::MARK_EVERY).await;
        if live.is_draining() {
            return;
        }
        if let Err(error) = alive::mark(&live, live.clock.now()).await {
            failed(&live, "mark", &error).await;
        }
        let _ = tokio::task::spawn_blocking(memory::give_back).await;
    }
}

/// Looks whether events move.
async fn look_loop(live: Arc<Live>) {
    let mut look = Look::default();
    while !live.is_draining() {
        look.look(&live).await;
        live.drained_or(Look::every(&live)).await;
    }
}

/// Calls anyone who watches.
async fn beat_loop(live: Arc<Live>) {
    let mut pulse = Pulse::default();
    while !live.is_draining() {
        pulse.beat(&live).await;
        live.drained_or(Pulse::every(&live)).await;
    }
}

async fn failed(live: &Live, doing: &'static str, error: &store::Error) {
    // Another holds the lease by now: that is no failure.
    if !matches!(error, store::Error::Lost) {
        live.telemetry.store_failed(doing, &error.to_string());
        live.progress.failed(doing, &error.to_string());
        live.noticed(error);
    }
    live.drained_or(AFTER_ERROR).await;
}
