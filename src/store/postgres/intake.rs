//! Appending for many at once: what arrives while one transaction is under way shares the next.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::error::closed;
use super::inbox::Arrival;
use super::link::{Lines, STEP_MAX, within};
use crate::store::{Appended, Error};

/// So many may wait to be taken up; more wait to be let in.
const QUEUE: usize = 1024;

/// The most that share a transaction.
const BATCH_MAX: usize = 512;

/// A transaction takes no more in once it has so many bytes.
const BATCH_BYTES: usize = 8 << 20;

/// Who waits for an arrival.
pub(super) type Waiter = oneshot::Sender<Result<Appended, Error>>;

/// Where arrivals are handed in.
pub(super) type Queue = mpsc::Sender<(Arrival, Waiter)>;

/// Starts to take in. It ends when nobody can hand in any more.
pub(super) fn start(lines: Arc<Lines>, done: impl Fn() + Send + 'static) -> (Queue, tokio::task::JoinHandle<()>) {
    let (queue, mut arrivals) = mpsc::channel::<(Arrival, Waiter)>(QUEUE);
    let task = tokio::spawn(async move {
        while let Some((first, waiter)) = arrivals.recv().await {
            let mut bytes = first.bytes();
            let (mut batch, mut waiters) = (vec![first], vec![waiter]);
            while batch.len() < BATCH_MAX
                && bytes < BATCH_BYTES
                && let Ok((arrival, waiter)) = arrivals.try_recv()
            {
                bytes += arrival.bytes();
                batch.push(arrival);
                waiters.push(waiter);
            }
            let committed = commit(&lines, &batch).await;
            if committed.is_ok() {
                done();
            }
            for (place, waiter) in waiters.into_iter().enumerate() {
                let result = match &committed {
                    Ok(appended) => appended.get(place).copied().ok_or_else(closed),
                    Err(error) => Err(error.clone()),
                };
                // Whoever handed it in may be gone: nobody is left to tell.
                let _ = waiter.send(result);
            }
        }
    });
    (queue, task)
}

async fn commit(lines: &Lines, batch: &[Arrival]) -> Result<Vec<Appended>, Error> {
    within(STEP_MAX, async {
        let tx = lines.begin(STEP_MAX).await?;
        let appended = tx.append(batch).await;
        tx.end(appended).await
    })
    .await
}
