//! What goes on beside judging: the runtime's other work, and the lease, which is prolonged while a round takes long.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::plus;
use crate::steps::Live;
use crate::steps::apart::lower_priority;
use crate::store::PlannerLease;

/// How often the lease is looked at: each lasts for four of these.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Budgets end judging long before. Should something escape them, the lease is let go of, so that another plans; that this
/// process stalls is reported by its own watch.
const JUDGING_MAX: Duration = Duration::from_secs(120);

/// Does the planner's work on a thread of its own: judging takes none of the runtime's, and what it takes of memory is used
/// again by the next round, not held by many threads. It ends as the work does, with its panic if it has one.
pub(in crate::steps) async fn on_a_thread(work: impl Future<Output = ()> + Send + 'static) {
    let (end, ended) = oneshot::channel();
    let runtime = Handle::current();
    let planner = std::thread::Builder::new().name("planner".into()).spawn(move || {
        lower_priority();
        let done = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
        // Where nobody waits any more, nobody need know.
        let _ = end.send(done);
    });
    match planner {
        Err(error) => resume_unwind(Box::new(format!("can't start the planner's thread: {error}"))),
        Ok(_) => {
            if let Ok(Err(panic)) = ended.await {
                resume_unwind(panic);
            }
        }
    }
}

/// Beside a round.
pub(super) struct Beside {
    judging: Arc<Mutex<Option<Instant>>>,
    longest_ms: AtomicU64,
}

/// What prolongs the lease; it ends with the round, when this is dropped.
pub(super) struct Renewal(Option<JoinHandle<()>>);

impl Beside {
    /// Prolongs the lease from now on. Where there is one thread alone, nothing goes on beside.
    pub fn start(live: &Live, lease: &PlannerLease) -> (Self, Renewal) {
        let judging: Arc<Mutex<Option<Instant>>> = Arc::default();
        let task = has_threads().then(|| {
            let (store, clock, holder, token) =
                (live.store.clone(), live.clock.clone(), live.holder.clone(), lease.token);
            let since = judging.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    let began = *since.lock().unwrap_or_else(PoisonError::into_inner);
                    if began.is_some_and(|began| began.elapsed() > JUDGING_MAX) {
                        tracing::error!("planning does not end: another process may plan");
                        return;
                    }
                    let now = clock.now();
                    match store.lease(&holder, now, plus(now, super::LEASE)).await {
                        Ok(Some(held)) if held.token == token => {}
                        // Another has it: the commit will be refused.
                        Ok(_) => return,
                        // The commit will say it.
                        Err(_) => {}
                    }
                }
            })
        });
        (Self { judging, longest_ms: AtomicU64::default() }, Renewal(task))
    }

    /// Does what may take long, while the runtime goes on with everything else on its other threads.
    pub fn apart<T>(&self, work: impl FnOnce() -> T) -> T {
        let since = |at| *self.judging.lock().unwrap_or_else(PoisonError::into_inner) = at;
        let began = Instant::now();
        since(Some(began));
        let done = if has_threads() { tokio::task::block_in_place(work) } else { work() };
        since(None);
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.longest_ms.fetch_max(took_ms, Ordering::Relaxed);
        done
    }

    /// How long the longest of it took.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed))
    }
}

impl Renewal {
    /// Panics as the renewal does: anyone who watches the planner sees it. Never ends.
    pub async fn panics(&mut self) {
        if let Some(task) = &mut self.0
            && let Err(error) = task.await
            && error.is_panic()
        {
            resume_unwind(error.into_panic());
        }
        std::future::pending().await
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

fn has_threads() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}
