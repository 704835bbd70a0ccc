//! The world that a seed makes: its time, its dice, its weather, and the replicas that live in it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fanfare::clock::{Clock, from_ms};
use fanfare::config::Snapshot;
use fanfare::delivery::DeliveryId;
use fanfare::steps::render::Renderer;
use fanfare::steps::{Live, StepResult, dispatch, plan, receive, watch};
use fanfare::store::Store;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::broken::Breakage;
use super::label::versions;
use super::ledger::Ledger;
use super::life::{Life, Stage};
use super::people;
use super::shelf::Shelf;
use super::wire::{Mood, Post};
use crate::model::against::Doing;

/// The first moment of every world, in ms: a Monday.
pub const START_MS: i64 = 1_767_607_200_000;

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sky {
    Clear,
    /// How many calls in a thousand fail, before or after they did anything.
    Flaky(u32),
    /// Nobody reaches it.
    Away,
    /// It takes nothing in.
    Full,
}

/// Everything that the replicas share.
pub struct World {
    origin: Instant,
    jump_ms: AtomicI64,
    dice: Mutex<fastrand::Rng>,
    pub raw: Arc<dyn Store>,
    pub breakage: Breakage,
    /// How many replicas there are.
    pub places: usize,
    pub ledger: Mutex<Ledger>,
    pub sky: Mutex<Sky>,
    pub moods: Mutex<BTreeMap<String, Mood>>,
    pub replicas: Mutex<Vec<Arc<Replica>>>,
    /// Which version of the files is on the disk.
    pub version: AtomicUsize,
    /// Whether faults have ended.
    calm: AtomicBool,
    last: AtomicI64,
    /// What happened, if anybody wants to know.
    story: Option<Mutex<Vec<String>>>,
    /// What a store that looks for duplicates outside of its transaction believes to know.
    pub believed: Mutex<BTreeMap<String, i64>>,
}

/// The clock of a replica: the world's, a little off.
pub struct SimClock {
    world: Arc<World>,
    skew_ms: i64,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        from_ms(self.world.now_ms() + self.skew_ms)
    }
}

impl World {
    pub fn new(seed: u64, raw: Arc<dyn Store>, breakage: Breakage, told: bool) -> Arc<Self> {
        people::seed(seed);
        let mut dice = fastrand::Rng::with_seed(seed);
        Arc::new(Self {
            places: dice.usize(1..4),
            origin: Instant::now(),
            jump_ms: AtomicI64::new(0),
            dice: Mutex::new(dice),
            raw,
            breakage,
            ledger: Mutex::new(Ledger::default()),
            sky: Mutex::new(Sky::Clear),
            moods: Mutex::new(BTreeMap::new()),
            replicas: Mutex::new(Vec::new()),
            version: AtomicUsize::new(0),
            calm: AtomicBool::new(false),
            last: AtomicI64::new(0),
            story: told.then(Mutex::default),
            believed: Mutex::default(),
        })
    }

    /// What a right clock shows, in ms.
    pub fn true_ms(&self) -> i64 {
        START_MS + i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// What the clocks of the replicas show, in ms.
    pub fn now_ms(&self) -> i64 {
        self.true_ms() + self.jump_ms.load(Ordering::Relaxed)
    }

    /// The clocks are off by so much from now on. A process marks its time in the store each minute, and so notices.
    pub async fn jump(&self, to_ms: i64) {
        let last = from_ms(self.now_ms());
        let before = self.jump_ms.swap(to_ms, Ordering::Relaxed);
        for mark in [last, from_ms(self.now_ms())] {
            self.raw.alive(mark).await.unwrap();
        }
        self.tell(|| format!("the clocks jump by {}", SignedDuration::from_millis(to_ms - before)));
        self.ledger().jumped(to_ms - before);
        self.poke_all();
    }

    /// Throws dice.
    pub fn roll<T>(&self, throw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        throw(&mut self.dice.lock().unwrap())
    }

    /// Whether something happens that happens so often in a thousand.
    pub fn chance(&self, permille: u32) -> bool {
        self.roll(|dice| dice.u32(0..1000)) < permille
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Faults end.
    pub async fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        *self.sky.lock().unwrap() = Sky::Clear;
        self.moods.lock().unwrap().clear();
        for replica in self.living() {
            *replica.doom.lock().unwrap() = (0, Doom::End);
            replica.life.turn(Stage::Runs);
        }
        self.jump(0).await;
    }

    /// Adds to the story.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(story) = &self.story {
            let at = from_ms(self.true_ms());
            story.lock().unwrap().push(format!("{at} {}", what()));
        }
    }

    pub fn story(&self) -> Vec<String> {
        self.story.as_ref().map(|story| story.lock().unwrap().clone()).unwrap_or_default()
    }

    /// The replicas that are not dead.
    pub fn living(&self) -> Vec<Arc<Replica>> {
        let all = self.replicas.lock().unwrap();
        all.iter().filter(|replica| replica.life.stage() != Stage::Dead).cloned().collect()
    }

    /// Any of them, if there is one.
    pub fn any_living(&self) -> Option<Arc<Replica>> {
        let living = self.living();
        (!living.is_empty()).then(|| living[self.roll(|dice| dice.usize(0..living.len()))].clone())
    }

    /// Something changed that everybody may have missed.
    pub fn poke_all(&self) {
        for replica in self.replicas.lock().unwrap().iter() {
            replica.planned.notify_one();
            replica.dispatched.notify_one();
        }
    }

    /// Something changed in the store: where there is something to do, all look within a second, since polling is the
    /// truth.
    pub async fn poke(&self) {
        let waiting = self.raw.waiting(from_ms(self.now_ms()), 1).await;
        let to_plan = waiting.is_ok_and(|waiting| !waiting.entries.is_empty());
        let to_send = self.raw.waiting_destinations().await.is_ok_and(|waiting| !waiting.is_empty());
        for replica in self.replicas.lock().unwrap().iter() {
            if to_plan {
                replica.planned.notify_one();
            }
            if to_send {
                replica.dispatched.notify_one();
            }
        }
    }

    /// A replica that starts now, in this place.
    pub fn start(self: &Arc<Self>, place: usize) -> Arc<Replica> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (skew_ms, seed) = self.roll(|dice| (dice.i64(-100..=100), dice.u64(..)));
        let life = Life::new();
        let version = self.version.load(Ordering::Relaxed);
        let replica = Arc::new_cyclic(|replica| {
            let clock = Arc::new(SimClock { world: self.clone(), skew_ms });
            let shelf = Arc::new(Shelf { world: self.clone(), replica: replica.clone() });
            let post = Arc::new(Post { world: self.clone(), replica: replica.clone() });
            let mut live = Live::new(shelf, versions()[version].clone(), clock, post, seed);
            live.renderer = Renderer::inline();
            live.judging = Duration::MAX;
            live.links.draw = people::draw;
            live.holder = format!("replica-{number}");
            let live = Arc::new(live);
            Replica {
                number,
                router: receive::router(live.clone()),
                live,
                life: life.clone(),
                planned: Notify::new(),
                dispatched: Notify::new(),
                doom: Mutex::new((0, Doom::End)),
                under_way: Mutex::new(HashMap::new()),
                doing: Mutex::new(Doing::Plans),
                planning: AtomicUsize::new(version),
            }
        });
        self.tell(|| format!("replica {number} starts in place {place}"));
        let mut replicas = self.replicas.lock().unwrap();
        replicas.retain(|old| old.life.stage() != Stage::Dead);
        replicas.push(replica.clone());
        drop(replicas);
        let (world, own) = (self.clone(), replica.clone());
        self.main_task("plan", &replica, move || planning(world.clone(), own.clone()));
        let (world, own) = (self.clone(), replica.clone());
        self.main_task("dispatch", &replica, move || dispatching(world.clone(), own.clone()));
        tokio::spawn(life.bind(pruning(self.clone(), replica.clone())));
        tokio::spawn(life.bind(ending(replica.clone())));
        replica
    }

    /// Runs a main task for as long as the replica lives, watched as the real ones are.
    fn main_task<F: Future<Output = ()> + Send + 'static>(
        &self,
        name: &'static str,
        replica: &Arc<Replica>,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) {
        let life = replica.life.clone();
        let start = move || {
            let bound = life.bind(MAIN.scope((), work()));
            async move {
                // With its process it doesn't end: it is no more.
                if bound.await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
        };
        if self.breakage == Breakage::NobodyWatches {
            tokio::spawn(start());
            return;
        }
        let task = watch::Task::again(name, "it goes by what is committed", start);
        tokio::spawn(replica.life.bind(watch::keep(replica.live.clone(), task)));
    }

    /// Keeps a place filled: when its replica has died, another starts after a while.
    pub async fn keep(self: Arc<Self>, place: usize) {
        loop {
            let replica = self.start(place);
            replica.life.died.notified().await;
            self.tell(|| format!("replica {} is dead", replica.number));
            if replica.life.has_panicked() {
                self.ledger().violate(format!("replica {} panicked", replica.number));
            }
            let away = self.roll(|dice| match dice.u32(0..10) {
                0..=5 => dice.u64(100..5_000),
                6..=8 => dice.u64(5_000..120_000),
                _ => dice.u64(120_000..4 * 3_600_000),
            });
            let away = if self.is_calm() { 1_000 } else { away };
            self.ledger().died(replica.number, self.true_ms(), away.cast_signed());
            tokio::time::sleep(Duration::from_millis(away)).await;
        }
    }
}

/// What a process comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doom {
    /// It dies.
    End,
    /// One of its main tasks dies.
    Task,
    /// It is held up for this many ms.
    Pause(u64),
}

/// A process.
pub struct Replica {
    pub number: i64,
    pub live: Arc<Live>,
    pub router: axum::Router,
    pub life: Arc<Life>,
    /// Something may be to plan, or to send, that another replica made.
    planned: Notify,
    dispatched: Notify,
    /// After this many more steps it comes to this; 0: to nothing.
    pub doom: Mutex<(u32, Doom)>,
    under_way: Mutex<HashMap<String, u32>>,
    /// What it commits next is for.
    pub doing: Mutex<Doing>,
    /// The version by which it plans at the moment.
    pub planning: AtomicUsize,
}

impl Replica {
    /// One more step. Gives what it comes to with this one.
    pub fn step(&self, world: &World) -> Option<Doom> {
        let mut doom = self.doom.lock().unwrap();
        if doom.0 == 0 || world.is_calm() {
            return None;
        }
        doom.0 -= 1;
        (doom.0 == 0).then_some(doom.1)
    }

    /// The next step of a main task is its last.
    pub fn next_main_task_dies(&self) {
        *self.doom.lock().unwrap() = (1, Doom::Task);
    }

    /// Is held up, here and now.
    pub async fn pause(self: &Arc<Self>, world: &World, ms: u64) {
        world.tell(|| format!("replica {} is held up for {ms} ms", self.number));
        world.ledger().paused(self.number, world.true_ms(), ms.cast_signed());
        self.life.turn(Stage::Paused);
        let replica = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            replica.life.turn(Stage::Runs);
        });
        tokio::task::yield_now().await;
    }

    /// The version of the files that is in force.
    pub fn version(&self) -> usize {
        let in_force: Arc<Snapshot> = self.live.snapshot.load_full();
        versions().iter().position(|version| Arc::ptr_eq(version, &in_force)).unwrap_or_default()
    }

    /// Other files are in force from now on.
    pub fn reload(&self, version: usize) {
        self.live.snapshot.store(versions()[version].clone());
        self.live.to_plan.notify_one();
        self.live.to_dispatch.notify_one();
    }
}

tokio::task_local! {
    /// Which claim is being carried out.
    pub static CLAIM: (DeliveryId, u64);
    /// A main task is at work.
    pub static MAIN: ();
}

/// Waits for a wake-up, for what another replica did (which is seen by polling, within a second), or for a time.
async fn wait(world: &World, wake: &Notify, others: &Notify, left: Duration) {
    let polled = async {
        others.notified().await;
        let late = world.roll(|dice| dice.u64(1..1000));
        tokio::time::sleep(Duration::from_millis(late)).await;
    };
    tokio::select! {
        biased;
        () = wake.notified() => {}
        () = polled => {}
        () = tokio::time::sleep(left) => {}
    }
}

fn left(replica: &Replica, until: Option<Timestamp>, most: Duration) -> Duration {
    let now = replica.live.clock.now();
    let left = until.map_or(most, |until| Duration::try_from(until.duration_since(now)).unwrap_or_default());
    left.clamp(Duration::from_millis(1), most)
}

/// How long a loop rests after its store failed this many times in a row: the real one always looks again within a second,
/// which over hours is too often for a simulation.
fn after_error(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(8))
}

/// As the real loop, but that it polls only when somebody else may have done something: a hundred days have too many
/// seconds.
async fn planning(world: Arc<World>, replica: Arc<Replica>) {
    let mut failures = 0;
    loop {
        let now = replica.live.clock.now();
        let wake = &replica.live.to_plan;
        replica.planning.store(replica.version(), Ordering::Relaxed);
        let turn = plan::step(&replica.live, now).await;
        failures = if turn.is_err() { failures + 1 } else { 0 };
        match turn {
            Ok(StepResult::Worked(_)) => tokio::time::sleep(Duration::from_millis(25)).await,
            Ok(StepResult::Idle(until)) => {
                // Another holds the lease: there is something to do for it, or else nothing before the next timer.
                let until = match world.raw.waiting(now, 1).await {
                    Ok(waiting) if waiting.entries.is_empty() && waiting.timers.is_empty() => waiting.next_timer,
                    _ => until,
                };
                wait(&world, wake, &replica.planned, left(&replica, until, Duration::from_secs(24 * 3600))).await;
            }
            Err(error) => {
                replica.live.noticed(&error);
                tokio::time::sleep(after_error(failures)).await;
            }
        }
    }
}

async fn dispatching(world: Arc<World>, replica: Arc<Replica>) {
    let mut failures = 0;
    loop {
        let now = replica.live.clock.now();
        let under_way = replica.under_way.lock().unwrap().clone();
        let claimed = match dispatch::claim(&replica.live, &under_way, now).await {
            Ok(claimed) => claimed,
            Err(error) => {
                replica.live.noticed(&error);
                failures += 1;
                tokio::time::sleep(after_error(failures)).await;
                continue;
            }
        };
        failures = 0;
        if claimed.claims.is_empty() {
            let left = left(&replica, claimed.next, Duration::from_secs(24 * 3600));
            wait(&world, &replica.live.to_dispatch, &replica.dispatched, left).await;
        }
        for claim in claimed.claims {
            let destination = claim.delivery.planned.destination.clone();
            *replica.under_way.lock().unwrap().entry(destination.clone()).or_default() += 1;
            let (worker, named) = (replica.clone(), (claim.delivery.planned.id.clone(), claim.token));
            let carried = CLAIM.scope(named, async move {
                let ended = dispatch::carry_out(&worker.live, claim).await;
                if let Err(error) = ended {
                    worker.live.noticed(&error);
                }
                *worker.under_way.lock().unwrap().entry(destination).or_default() -= 1;
                worker.live.to_dispatch.notify_one();
            });
            tokio::spawn(replica.life.bind(carried));
        }
    }
}

async fn pruning(world: Arc<World>, replica: Arc<Replica>) {
    loop {
        let wait = world.roll(|dice| dice.u64(6 * 3600..48 * 3600));
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let settings = replica.live.snapshot.load().settings.clone();
        let now = replica.live.clock.now();
        let before = now - settings.retention;
        let before_dead = now - settings.retention_dead;
        while let Ok(1..) = replica.live.store.prune(before, before_dead, 50).await {}
    }
}

/// A store that failed for good ends the process.
async fn ending(replica: Arc<Replica>) {
    replica.live.failed().await;
    replica.life.end().await;
}
