//! The whole program but its sockets and its disk, on virtual time, with everything going wrong that can, by a seed.
//!
//! One to three replicas receive, plan and dispatch on one store; a sender signs and sends again; destinations fail, lie
//! and fall silent; processes die within any call, or are held up beyond their leases; clocks jump; files are reloaded.
//! Each seed is a hundred days and more than fifty events. A ledger watches, and says what should not be.
//!
//! `FANFARE_SEEDS` sets how many seeds are tried, and `FANFARE_SEED` the first; one alone is reported in full.

mod broken;
mod chaos;
mod found;
mod label;
mod ledger;
mod life;
mod log;
mod people;
mod sender;
mod shelf;
mod wire;
mod world;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fanfare::clock::from_ms;
use fanfare::delivery::{DeliveryId, State};
use fanfare::secret::Secret;
use fanfare::store;

use self::broken::Breakage;
use self::ledger::Counts;
use self::world::World;
use crate::model::{DAY, HOUR, Ms};

/// How long it is sent for and things go wrong.
const STORMY: Ms = 72 * DAY;
/// How long it takes for all to be done after that: the longest case lasts 20 days.
const CALM: Ms = 33 * DAY;

/// A seed calls the store a few thousand times; this many are for nothing.
const CALLS_MAX: u64 = 100_000;

/// What a seed came to.
struct Outcome {
    violations: Vec<String>,
    counts: Counts,
    /// How many days went by.
    days: i64,
    story: Vec<String>,
}

/// One seed from beginning to end.
fn simulate(seed: u64, breakage: Breakage, told: bool) -> Outcome {
    let _log = log::begin(breakage);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let raw = store::open(&Secret::new("memory:"), Path::new("")).await.unwrap();
        let world = World::new(seed, raw, breakage, told);
        for place in 0..world.places {
            tokio::spawn(world.clone().keep(place));
        }
        let clusters = world.roll(|dice| sender::clusters(dice, STORMY - DAY));
        sender::send_all(&world, &clusters);
        chaos::unleash(&world, &clusters, STORMY);
        if pass(&world, STORMY).await {
            world.tell(|| "calm".into());
            world.calm_down().await;
            sleep(4 * HOUR).await;
            all_goes_on(&world).await;
            if pass(&world, CALM).await {
                look_at_open(&world).await;
                close(&world).await;
            }
        }
        let ledger = world.ledger();
        let days = (world.true_ms() - world::START_MS) / DAY;
        Outcome { violations: ledger.violations.clone(), counts: ledger.counts, days, story: world.story() }
    })
}

/// Lets time go by, an hour at a time; false where something spins: that is a violation, and nothing more is to be seen.
async fn pass(world: &World, span: Ms) -> bool {
    for _ in 0..span / HOUR {
        sleep(HOUR).await;
        give_up_in_time(world).await;
        let calls = world.ledger().counts.calls;
        if calls > CALLS_MAX {
            world
                .ledger()
                .violate(format!("the store was called {calls} times: something does the same again and again"));
            return false;
        }
    }
    true
}

/// Nothing is tried for longer than it may be, except for an attempt that is under way.
async fn give_up_in_time(world: &World) {
    let overdue = world.ledger().overdue(world.true_ms());
    for id in overdue {
        let row = world.raw.delivery(&id).await.unwrap();
        if let Some((row, _)) = row.filter(|(row, _)| !row.state.is_final() && row.state != State::Sending) {
            world.ledger().violate(format!("{id} is not given up long after its time: {row:?}"));
        }
    }
}

async fn sleep(span: Ms) {
    tokio::time::sleep(Duration::from_millis(span.unsigned_abs())).await;
}

/// Looks at the deliveries that may have ended, before retention takes them.
async fn look_at_open(world: &World) {
    let open = world.ledger().unended();
    look_at(world, open).await;
}

async fn look_at(world: &World, open: Vec<DeliveryId>) {
    for id in open {
        match world.raw.delivery(&id).await.unwrap() {
            Some((delivery, _)) if delivery.state.is_final() => {
                world.ledger().ended(&id, delivery.state, delivery.last_error);
            }
            Some(_) => {}
            None => world.ledger().violate(format!("{id} is gone, and never came to an end")),
        }
    }
}

/// Hours after the last fault nothing waits for it any more.
async fn all_goes_on(world: &World) {
    let census = world.raw.census().await.unwrap();
    if census.planned != census.head {
        let what = format!("hours after the last fault, planning stands at {} of {}", census.planned, census.head);
        world.ledger().violate(what);
    }
    // A clock that was a day ahead when something was put off keeps it waiting for that day, and no longer.
    let latest = world.now_ms() + DAY + 3 * HOUR;
    let open = world.ledger().unended();
    for id in open {
        let row = world.raw.delivery(&id).await.unwrap();
        if let Some((row, _)) = row.filter(|(row, _)| !row.state.is_final() && row.next > from_ms(latest)) {
            world.ledger().violate(format!("hours after the last fault, {id} waits until {}: {row:?}", row.next));
        }
    }
}

/// What must hold in the end.
async fn close(world: &World) {
    world.ledger().close();
    let documents = world.ledger().documents();
    for (kind, expected) in documents {
        let found = world.raw.docs(kind, "", usize::MAX).await.unwrap().len();
        if found != expected {
            world.ledger().violate(format!("{found} documents of kind {kind} in the end, and not {expected}"));
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// How the seeds went.
#[derive(Debug, Default)]
struct Tally {
    seeds: u64,
    /// All of them together.
    sum: Counts,
    /// The fewest days of a seed, the fewest events that were sent in one, and that were accepted.
    least: Option<(i64, u64, u64)>,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        let counts = &outcome.counts;
        self.seeds += 1;
        self.sum += *counts;
        let (days, sent, accepted) = self.least.unwrap_or((i64::MAX, u64::MAX, u64::MAX));
        self.least = Some((days.min(outcome.days), sent.min(counts.sent), accepted.min(counts.accepted)));
    }

    /// What was seen, for people.
    fn report(&self, took: Duration) -> String {
        let Self { seeds, sum, least } = self;
        let (days, sent, accepted) = least.unwrap_or_default();
        let rate = *seeds as f64 / took.as_secs_f64().max(f64::EPSILON);
        format!(
            "{seeds} seeds in {took:.1?}, {rate:.1} a second, each at least {days} days with {sent} events, {accepted} \
             of them accepted\n  {} events, {} deliveries, {} attempts, {} of them repeats, {} dead, {} called off\n  {} \
             crashes, {} hold-ups, {} dead tasks, {} jumps of the clock, {} reloads, {} links; of {} calls of the store {} failed and {} were done \
             and not answered",
            sum.accepted,
            sum.deliveries,
            sum.attempts,
            sum.repeats,
            sum.dead,
            sum.cancelled,
            sum.deaths,
            sum.pauses,
            sum.tasks,
            sum.jumps,
            sum.reloads,
            sum.links,
            sum.calls,
            sum.failed,
            sum.unanswered,
        )
    }
}

/// Every this many seeds, a long run says how far it is.
const PROGRESS_EVERY: u64 = 500;

/// Tries seeds on all cores until one fails, and gives that.
fn search(first: u64, count: u64, breakage: Breakage, tally: &Mutex<Tally>) -> Option<(u64, Vec<String>)> {
    let next = AtomicU64::new(first);
    let found = Mutex::new(None::<(u64, Vec<String>)>);
    let stop = AtomicBool::new(false);
    let began = std::time::Instant::now();
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let outcome = simulate(seed, breakage, false);
            let mut tally = tally.lock().unwrap();
            tally.add(&outcome);
            let done = tally.seeds;
            if done.is_multiple_of(PROGRESS_EVERY) && done < count {
                println!("{}% of {count}: {}", 100 * done / count, tally.report(began.elapsed()));
            }
            drop(tally);
            if !outcome.violations.is_empty() {
                stop.store(true, Ordering::Relaxed);
                let mut found = found.lock().unwrap();
                if found.as_ref().is_none_or(|(known, _)| seed < *known) {
                    *found = Some((seed, outcome.violations));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner().unwrap()
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_doubled_early_or_out_of_order() {
    let (first, count) = (number("FANFARE_SEED"), number("FANFARE_SEEDS"));
    if let (Some(seed), None | Some(1)) = (first, count) {
        let outcome = simulate(seed, Breakage::None, true);
        println!("{}\n{:?}", outcome.story.join("\n"), outcome.counts);
        assert!(outcome.violations.is_empty(), "seed {seed}:\n{}", outcome.violations.join("\n"));
        return;
    }
    let tally = Mutex::new(Tally::default());
    let began = std::time::Instant::now();
    let failed = search(first.unwrap_or(1), count.unwrap_or(60), Breakage::None, &tally);
    let tally = tally.into_inner().unwrap();
    println!("{}", tally.report(began.elapsed()));
    if let Some((seed, violations)) = failed {
        panic!(
            "seed {seed}:\n{}\nto see it again: FANFARE_SEED={seed} cargo test --test it simulation::whatever -- \
             --nocapture",
            violations.join("\n")
        );
    }
    let (days, sent, accepted) = tally.least.unwrap();
    assert!(days >= 100 && sent >= 50, "a seed had {days} days and {sent} events");
    // The sender gives up what nobody took for hours, and that must not be much of it.
    assert!(accepted >= 40, "of one seed's events only {accepted} were accepted");
    let Counts { repeats, dead, cancelled, deaths, pauses, tasks, jumps, reloads, links, failed, unanswered, .. } =
        tally.sum;
    let lost = log::lost();
    let all = [repeats, dead, cancelled, deaths, pauses, tasks, jumps, reloads, links, failed, unanswered, lost];
    assert!(all.iter().all(|count| *count > 0), "not everything went wrong: {:?}", tally.sum);
}

#[test]
fn a_seed_is_the_same_each_time() {
    let (first, second) = (simulate(7, Breakage::None, true), simulate(7, Breakage::None, true));
    assert!(first.story.len() > 100, "{}", first.story.len());
    let differ = first.story.iter().zip(&second.story).find(|(one, other)| one != other);
    assert_eq!(differ, None);
    assert_eq!((first.story.len(), first.counts), (second.story.len(), second.counts));
    assert!(simulate(8, Breakage::None, true).story != first.story);
}

#[test]
fn what_is_broken_below_the_program_is_noticed_within_few_seeds() {
    for breakage in Breakage::ALL {
        let found = search(1, 60, breakage, &Mutex::default());
        let (seed, violations) = found.unwrap_or_else(|| panic!("{breakage:?} was not noticed"));
        println!("{breakage:?}: seed {seed}: {}", violations[0]);
    }
}
