//! `/live`: tells pages that are open that something moved, by server-sent events. It says nothing of what: a page looks again
//! by itself.
//!
//! However many look on, the store is asked about once a second. A stream holds one of few places, ends after a while, and
//! when its reader takes nothing; browsers come again by themselves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{Mutex, mpsc};

use crate::admin::answer::{Shared, problem};
use crate::steps::Live;

/// How many streams there are at once.
const STREAMS_MAX: usize = 64;
/// How often the store is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a stream lasts.
const LASTS: Duration = Duration::from_secs(600);
/// After this many looks at which nothing had moved, a comment is sent: only writing shows that a reader is gone.
const QUIET_LOOKS: u32 = 2;

/// What all streams share.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    streams: AtomicUsize,
    /// How things stood when somebody looked last.
    seen: Mutex<Option<(Instant, String)>>,
}

/// One of the places, given back when dropped.
struct Taken(Arc<Pulse>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pulse {
    fn take(self: &Arc<Self>) -> Option<Taken> {
        let taken = Taken(self.clone());
        (self.streams.fetch_add(1, Ordering::Relaxed) < STREAMS_MAX).then_some(taken)
    }

    /// How things stand, in a text that changes with them; empty where the store can't say.
    async fn beat(&self, live: &Live) -> String {
        let mut seen = self.seen.lock().await;
        if let Some((at, beat)) = seen.as_ref()
            && at.elapsed() < LOOK_EVERY
        {
            return beat.clone();
        }
        let beat = match live.store.census().await {
            Ok(census) => {
                let counts: Vec<String> = census.deliveries.iter().map(|(_, count)| count.to_string()).collect();
                let hash = &live.snapshot.load().hash;
                let stale = live.stale.load().is_some();
                format!("{}.{}.{}.{}.{hash}.{stale}", census.head, census.planned, counts.join("."), census.timers)
            }
            Err(_) => String::new(),
        };
        *seen = Some((Instant::now(), beat.clone()));
        beat
    }
}

/// `GET /live`.
pub(crate) async fn stream(State(live): Shared, Extension(pulse): Extension<Arc<Pulse>>) -> Response {
    let Some(taken) = pulse.take() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open; this one is not kept up to date");
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(tell(live, taken, sender));
    let headers =
        [(CONTENT_TYPE, "text/event-stream"), (axum::http::HeaderName::from_static("x-accel-buffering"), "no")];
    (headers, Body::new(Feed(receiver))).into_response()
}

/// Reports whatever moves, until the reader is gone, the process ends or its time is over.
async fn tell(live: Arc<Live>, taken: Taken, sender: mpsc::Sender<Bytes>) {
    let begun = Instant::now();
    let (mut last, mut quiet) = (String::new(), 0);
    while begun.elapsed() < LASTS && !live.is_draining() && !sender.is_closed() {
        let beat = taken.0.beat(&live).await;
        quiet += 1;
        let said = if beat != last {
            Some(format!("event: moved\ndata: {beat}\n\n"))
        } else {
            (quiet >= QUIET_LOOKS).then(|| ": still here\n\n".to_owned())
        };
        if let Some(said) = said {
            // A reader that takes nothing is reported less; the connection's own deadline ends it.
            if sender.try_send(said.into()).is_ok() {
                (last, quiet) = (beat, 0);
            }
        }
        live.drained_or(LOOK_EVERY).await;
    }
}

/// A body that is sent as it comes.
struct Feed(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Feed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
