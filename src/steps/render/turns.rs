//! Whose turn it is to be rendered. A few places serve what waits, each one thing after the other: under load no thread falls
//! asleep between two of them, to be woken for the next. Knows nothing of what it does.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::steps::apart::Threads;

/// The most that are done at a time.
const AT_ONCE: usize = 4;
/// How many threads there are for them: those that were given up and go on keep theirs.
const THREADS_MAX: usize = 8;
/// So often anyone who waits looks whether its turn has begun.
const LOOK: Duration = Duration::from_secs(1);

/// What waits, and who serves it.
#[derive(Debug)]
pub(super) struct Turns {
    threads: Threads,
    desk: Arc<Desk>,
}

/// What became of work.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// It was done.
    Done(T),
    /// It panicked.
    Panicked,
    /// It takes too long: it goes on, and nobody waits for it.
    GivenUp,
    /// Its turn did not come in time: nothing was done.
    NoTurn,
}

#[derive(Debug)]
struct Desk(Mutex<Queue>);

/// No longer than what is under way.
#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Asked>,
    /// How many places serve nobody.
    free: usize,
}

/// One that serves. A thread that can't be had gives it back as one does that is done.
struct Place {
    desk: Arc<Desk>,
    /// Whether it is one of [`AT_ONCE`]. It isn't once what it does was given up, or it is given back.
    counts: Arc<AtomicBool>,
}

struct Asked {
    turn: Arc<Turn>,
    work: Box<dyn FnOnce() + Send>,
}

/// How far one has come.
#[derive(Debug)]
struct Turn(Mutex<Stage>);

#[derive(Debug)]
enum Stage {
    Waits,
    /// Since when, and whether the place that serves it counts.
    Begun(Instant, Arc<AtomicBool>),
    Over,
}

impl Turns {
    pub fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), free: AT_ONCE };
        Self { threads: Threads::new(THREADS_MAX), desk: Arc::new(Desk(Mutex::new(queue))) }
    }

    /// Does work when its turn comes, which it waits for until `last`, and for no longer than `limit` from then on.
    pub async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        last: Instant,
        limit: Duration,
    ) -> Outcome<T> {
        let (reply, mut answer) = oneshot::channel();
        let turn = Arc::new(Turn(Mutex::new(Stage::Waits)));
        // Anyone who asked may be gone: nobody is left to tell.
        let work = Box::new(move || drop(reply.send(work())));
        self.desk.queue().waiting.push_back(Asked { turn: turn.clone(), work });
        self.serve();
        let mut until = Instant::now() + limit.min(LOOK);
        loop {
            match timeout_at(until, &mut answer).await {
                Ok(done) => return done.map_or(Outcome::Panicked, Outcome::Done),
                Err(_) => match self.look(&turn, last, limit) {
                    Ok(next) => until = next,
                    Err(outcome) => return outcome,
                },
            }
        }
    }

    /// Has a free place serve what waits.
    fn serve(&self) {
        if let Some(place) = self.desk.place() {
            self.threads.start(move || place.serve());
        }
    }

    /// When to look again at a turn that is not over; else what became of it, which it is left to.
    fn look<T>(&self, turn: &Arc<Turn>, last: Instant, limit: Duration) -> Result<Instant, Outcome<T>> {
        let now = Instant::now();
        let mut stage = turn.stage();
        match &*stage {
            Stage::Waits if now < last => Ok(last.min(now + limit.min(LOOK))),
            Stage::Waits => {
                *stage = Stage::Over;
                self.desk.queue().waiting.retain(|asked| !Arc::ptr_eq(&asked.turn, turn));
                Err(Outcome::NoTurn)
            }
            Stage::Begun(at, _) if now < *at + limit => Ok(*at + limit),
            Stage::Begun(_, counts) => {
                self.desk.queue().free(counts);
                self.serve();
                Err(Outcome::GivenUp)
            }
            // Its answer is on the way.
            Stage::Over => Ok(now + LOOK),
        }
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for what waits, if one is free.
    fn place(self: &Arc<Self>) -> Option<Place> {
        let mut queue = self.queue();
        if queue.waiting.is_empty() {
            return None;
        }
        queue.free = queue.free.checked_sub(1)?;
        Some(Place { desk: self.clone(), counts: Arc::new(AtomicBool::new(true)) })
    }
}

impl Queue {
    /// Gives a place back, unless that was done.
    fn free(&mut self, counts: &AtomicBool) {
        if counts.swap(false, Ordering::Relaxed) {
            self.free += 1;
        }
    }
}

impl Place {
    /// Does what waits, one after the other, until there is nothing left, or the place no longer counts.
    fn serve(&self) {
        while let Some(Asked { turn, work }) = self.next() {
            if turn.begin(&self.counts) {
                // The panic has been said, and the answer that doesn't come says it to who waits.
                let _ = catch_unwind(AssertUnwindSafe(work));
                *turn.stage() = Stage::Over;
            }
        }
    }

    fn next(&self) -> Option<Asked> {
        let mut queue = self.desk.queue();
        if !self.counts.load(Ordering::Relaxed) {
            return None;
        }
        let next = queue.waiting.pop_front();
        if next.is_none() {
            // While it is sure that nothing waits.
            queue.free(&self.counts);
        }
        next
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.desk.queue().free(&self.counts);
    }
}

impl Turn {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is still wanted.
    fn begin(&self, counts: &Arc<AtomicBool>) -> bool {
        let mut stage = self.stage();
        let waits = matches!(*stage, Stage::Waits);
        if waits {
            *stage = Stage::Begun(Instant::now(), counts.clone());
        }
        waits
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}
