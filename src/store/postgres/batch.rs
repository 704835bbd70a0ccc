//! Doing for many at once: what is asked for while one transaction is under way shares the next.
//!
//! So a lone caller never waits for company, and the more ask, the less each costs: one lock, one statement and one wait
//! for the disk serve all of them. Several such queues and several replicas work beside each other; what one queue does, it
//! does one after the other.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::error::closed;
use super::link::{STEP_MAX, within};
use crate::store::Error;
use crate::store::threads::Running;

/// How many may wait to be taken up; more wait to be let in.
const QUEUE: usize = 1024;

/// What shares a transaction at most.
pub(super) struct Most<Q> {
    /// How many.
    pub count: usize,
    /// No further one once they have this many bytes.
    pub bytes: usize,
    /// How many one has, about.
    pub of: fn(&Q) -> usize,
    /// After many that came together there are more to come: so long is waited for them.
    pub rest: Duration,
}

/// So few are not waited after.
const FEW: usize = 4;

/// Who waits for an answer.
type Waiter<A> = oneshot::Sender<Result<A, Error>>;

/// What is asked for, and by whom.
type Asked<Q, A> = (Q, Waiter<A>);

/// Where many ask, and are answered together.
pub(super) struct Batch<Q, A> {
    /// Gone once nothing is taken any more.
    queue: Mutex<Option<mpsc::Sender<Asked<Q, A>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<Q: Send + 'static, A: Send + 'static> Batch<Q, A> {
    /// Starts. `work` gives as many answers as it was asked for, in their order, or the one failure of all. It ends with
    /// the last who could ask.
    pub fn start<F>(most: Most<Q>, running: Running, work: impl Fn(Vec<Q>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Vec<Result<A, Error>>, Error>> + Send,
    {
        let (queue, mut asked) = mpsc::channel::<Asked<Q, A>>(QUEUE);
        let task = tokio::spawn(async move {
            let _running = running;
            while let Some(first) = asked.recv().await {
                // Anyone who asks at this very moment as well.
                tokio::task::yield_now().await;
                let (batch, waiters) = gather(&most, first, &mut asked);
                if batch.is_empty() {
                    continue;
                }
                let rests = batch.len() > FEW && !most.rest.is_zero();
                let mut answers = work(batch).await.map(Vec::into_iter);
                for waiter in waiters {
                    let answer = match &mut answers {
                        Ok(answers) => answers.next().unwrap_or_else(|| Err(closed())),
                        Err(error) => Err(error.clone()),
                    };
                    // Anyone who asked may be gone: nobody is left to tell.
                    let _ = waiter.send(answer);
                }
                if rests {
                    tokio::time::sleep(most.rest).await;
                }
            }
        });
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(task)) }
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, what: Q) -> Result<A, Error> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        within(STEP_MAX, async {
            let (waiter, answer) = oneshot::channel();
            queue.send((what, waiter)).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        })
        .await
    }

    /// Takes nothing more.
    pub fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The same, and what was asked for is still done.
    pub async fn close(&self) {
        self.stop();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

/// All that has been asked for by now, but what nobody waits for any more: who stopped waiting was reported that it may not have
/// been done, and asks again.
fn gather<Q, A>(
    most: &Most<Q>,
    first: Asked<Q, A>,
    asked: &mut mpsc::Receiver<Asked<Q, A>>,
) -> (Vec<Q>, Vec<Waiter<A>>) {
    let (mut batch, mut waiters, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut next = Some(first);
    while let Some((what, waiter)) = next {
        if !waiter.is_closed() {
            bytes += (most.of)(&what);
            batch.push(what);
            waiters.push(waiter);
        }
        let is_full = batch.len() >= most.count || bytes >= most.bytes;
        next = if is_full { None } else { asked.try_recv().ok() };
    }
    (batch, waiters)
}
