//! `/api/v1/stream`: tells open pages, and programs, that something moved, by server-sent events. An event says how things
//! stand in numbers; what moved, a page looks up by itself.
//!
//! However many look on, the store is asked about once a second. A stream holds one of few places, ends after a while, and
//! when its reader takes nothing; browsers come again by themselves.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};
use utoipa::ToSchema;

use crate::admin::answer::{Shared, problem};
use crate::admin::view;
use crate::delivery::State as DeliveryState;
use crate::steps::Live;

/// How many streams there are at once.
const STREAMS_MAX: usize = 64;
/// How often the store is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Numbers stay below this, so that every reader of JSON has them whole.
const OTHER_MAX: u64 = 1 << 53;
/// How long a stream lasts.
const LASTS: Duration = Duration::from_secs(600);
/// After this many looks at which nothing had moved, a comment is sent: only writing shows that a reader is gone.
const QUIET_LOOKS: u32 = 2;

/// What all streams share.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Counts what moved beside the store.
    stirred: AtomicU64,
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
    /// Something moved that the store knows nothing of.
    pub fn stir(&self) {
        self.stirred.fetch_add(1, Ordering::Relaxed);
    }

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
                let mut report = DefaultHasher::new();
                live.stale.load().hash(&mut report);
                let (stale, stirred) = (report.finish(), self.stirred.load(Ordering::Relaxed));
                let count = |(state, count): &(DeliveryState, u64)| (state.name(), *count);
                let moved = Moved {
                    head: census.head,
                    planned: census.planned,
                    deliveries: census.deliveries.iter().map(count).collect(),
                    timers: census.timers,
                    rules: live.snapshot.load().hash.clone(),
                    is_stale: live.stale.load().is_some(),
                    other: stale.wrapping_add(stirred) % OTHER_MAX,
                };
                view::value(&moved).to_string()
            }
            Err(_) => String::new(),
        };
        *seen = Some((Instant::now(), beat.clone()));
        beat
    }
}

/// How things stand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Moved {
    /// The newest place of the inbox.
    head: i64,
    /// Up to where it is planned.
    planned: i64,
    /// Deliveries by state.
    deliveries: BTreeMap<&'static str, u64>,
    /// What waits for a time.
    timers: u64,
    /// The hash of the rules in force.
    rules: String,
    /// Whether files on disk are broken, and older rules stay in force.
    #[serde(rename = "stale")]
    is_stale: bool,
    /// Changes with whatever else moved, such as the report of broken files.
    other: u64,
}

/// Server-sent events: `moved`, at most one a second, whenever something did
#[utoipa::path(get, path = "/stream", responses((status = 200, description = "Events named `moved`, each with this as its data", content_type = "text/event-stream", body = Moved)))]
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
