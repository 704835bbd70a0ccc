//! Reading bodies: within a deadline, a length, and a budget of bytes that all connections share.
//!
//! Memory is asked for as a body comes, not as it is announced: anyone who announces much and sends little holds little.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of each body these bytes are outside of the budget, so that large ones don't shut out the many that are small.
const FREE: usize = 16 * 1024;
/// How much more is asked for than there is, each time that it isn't enough.
const GROWTH: usize = 4;

/// The bytes of bodies that may be in flight together.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// This many.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }
}

/// A body, and its share of the budget.
#[derive(Debug)]
pub struct Held {
    /// The body.
    pub bytes: Bytes,
    /// Its share, given back when dropped: to be kept as long as what was made of the body is in flight.
    pub share: Share,
}

/// A share of the budget.
#[derive(Debug, Default)]
pub struct Share {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// It is longer than allowed.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// It broke off.
    Broken,
    /// Too many bytes are in flight.
    NoRoom,
}

/// Reads a body of at most `max` bytes.
///
/// # Errors
///
/// [`Unread`]. Where the budget is spent, the rest is read and dropped, so that the answer is seen.
pub async fn read(body: Body, max: usize, deadline: Duration, budget: &Budget) -> Result<Held, Unread> {
    match tokio::time::timeout(deadline, gather(body, max, budget)).await {
        Ok(read) => read,
        Err(_) => Err(Unread::TooSlow),
    }
}

/// Reads and drops a body of at most `max` bytes, for an answer that doesn't depend on it: one that is sent while the
/// client still writes may be lost.
///
/// # Errors
///
/// [`Unread::TooSlow`] where it did not come in time.
pub async fn discard(body: Body, max: usize, deadline: Duration) -> Result<(), Unread> {
    tokio::time::timeout(deadline, drop_rest(body, max)).await.map_err(|_| Unread::TooSlow)
}

async fn drop_rest(mut body: Body, max: usize) {
    let mut left = max;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

async fn gather(mut body: Body, max: usize, budget: &Budget) -> Result<Held, Unread> {
    let first = next(&mut body).await?.unwrap_or_default();
    if first.len() > max {
        return Err(Unread::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(Held { bytes: first, share: Share::default() });
    }
    let announced = usize::try_from(body.size_hint().upper().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let most = first.len().saturating_add(announced).min(max);
    let mut gathered = Vec::with_capacity(most.min(FREE).max(first.len()));
    gathered.extend_from_slice(&first);
    drop(first);
    let mut share: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = next(&mut body).await? {
        let needed = gathered.len() + frame.len();
        if needed > max {
            return Err(Unread::TooLarge);
        }
        if needed > gathered.capacity() {
            let room = needed.max(gathered.capacity().saturating_mul(GROWTH).min(most));
            let Some(more) = budget.take(room - gathered.capacity()) else {
                drop((gathered, share));
                drop_rest(body, max).await;
                return Err(Unread::NoRoom);
            };
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
            gathered.reserve_exact(room - gathered.len());
        }
        gathered.extend_from_slice(&frame);
    }
    Ok(Held { bytes: gathered.into(), share: Share { _permit: share } })
}

/// The next bytes; `None` at the end. Trailers are nothing to us.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Unread> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(Unread::Broken),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
