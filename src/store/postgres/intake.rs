//! Appending for many at once.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Most};
use super::inbox::{Arranged, Arrival};
use super::link::{Lines, STEP_MAX, within};
use crate::store::threads::Running;
use crate::store::{Appended, Error};

/// What shares a transaction.
const MOST: Most<Arrival> = Most { count: 512, bytes: 8 << 20, of: Arrival::bytes, rest: Duration::ZERO };

/// Where arrivals are handed in.
pub(super) type Intake = Batch<Arrival, Appended>;

/// Starts to take in; `done` is called after each commit.
pub(super) fn start(lines: Arc<Lines>, running: Running, done: impl Fn() + Clone + Send + 'static) -> Intake {
    Batch::start(MOST, running, move |batch| {
        let (lines, done) = (lines.clone(), done.clone());
        async move {
            let appended = within(STEP_MAX, commit(&lines, &batch)).await?;
            done();
            Ok(appended.into_iter().map(Ok).collect())
        }
    })
}

async fn commit(lines: &Lines, batch: &[Arrival]) -> Result<Vec<Appended>, Error> {
    let tx = lines.prepare(STEP_MAX).await?;
    let (begun, taken) = tokio::join!(biased; tx.begin(), tx.take_head(batch));
    let arranged = match begun.and(taken) {
        Ok((head, known)) => Arranged::new(batch, head, known),
        Err(error) => return tx.end(Err(error)).await,
    };
    if !arranged.conflicts.is_empty() {
        let appended = tx.insert_all(arranged).await;
        return tx.end(appended).await;
    }
    // Sent together, so that others wait no longer for the inbox than must be.
    let (inserted, committed) = tokio::join!(biased; tx.insert(&arranged.fresh, arranged.head), tx.send_commit());
    tx.ended(inserted.and(committed).map(|()| arranged.appended))
}
