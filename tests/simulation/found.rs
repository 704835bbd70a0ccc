//! What the simulation found, each told again by itself.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fanfare::channels::wire::Transport;
use fanfare::channels::{Reply, Request};
use fanfare::clock::{VirtualClock, from_ms};
use fanfare::delivery::State;
use fanfare::event::{Event, EventId};
use fanfare::pace::{Limits, Pace};
use fanfare::secret::Secret;
use fanfare::steps::render::Renderer;
use fanfare::steps::{Live, dispatch, plan};
use fanfare::store;
use fanfare::store::{Claim, Store};
use jiff::SignedDuration;
use serde_json::json;

use super::label::versions;
use super::world::START_MS;

/// A wire that counts.
#[derive(Default)]
struct Counts(AtomicUsize);

impl Transport for Counts {
    fn send<'a>(
        &'a self,
        _destination: &'a str,
        _request: &'a Request,
        _deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(ready(Reply::http(200, "ok")))
    }
}

/// One process on a store in memory, at a given time.
struct Small {
    live: Live,
    clock: VirtualClock,
    wire: Arc<Counts>,
}

impl Small {
    async fn new() -> Self {
        let clock = VirtualClock::new(from_ms(START_MS));
        let wire = Arc::new(Counts::default());
        let store = store::open(&Secret::new("memory:"), Path::new("")).await.unwrap();
        let mut live = Live::new(store, versions()[0].clone(), Arc::new(clock.clone()), wire.clone(), 1);
        live.renderer = Renderer::inline();
        live.judging = Duration::MAX;
        Self { live, clock, wire }
    }

    fn store(&self) -> &dyn Store {
        &*self.live.store
    }

    /// An event that makes one delivery, planned.
    async fn event(&self, id: &str) {
        let body = json!({"id": id, "type": "track.uploaded", "data": {"key": "K"}});
        let now = from_ms(START_MS);
        let event = Event {
            source: "jewelmusic".into(),
            id: EventId(id.into()),
            kind: "track.uploaded".into(),
            created: now,
            received: now,
            raw: Arc::from(body.to_string().into_bytes()),
            body,
            proof: "test".into(),
        };
        self.store().append(event).await.unwrap();
        plan::step(&self.live, now).await.unwrap();
    }

    async fn claim(&self) -> Vec<Claim> {
        use fanfare::clock::Clock;
        dispatch::claim(&self.live, &HashMap::new(), self.clock.now()).await.unwrap().claims
    }
}

#[tokio::test]
async fn an_attempt_that_could_outlive_its_lease_is_not_begun_and_not_counted() {
    let small = Small::new().await;
    small.event("evt_1").await;
    let claims = small.claim().await;
    // Held up between asking for the claim and carrying it out: the lease is 40 seconds, the attempt may take ten.
    small.clock.advance(SignedDuration::from_secs(31));
    dispatch::carry_out(&small.live, claims[0].clone()).await.unwrap();
    assert_eq!(small.wire.0.load(Ordering::Relaxed), 0, "another could send it meanwhile");
    let id = &claims[0].delivery.planned.id;
    let (waits, _) = small.store().delivery(id).await.unwrap().unwrap();
    assert_eq!((waits.state, waits.attempts), (State::Due, 0));

    let claims = small.claim().await;
    assert_eq!(claims.len(), 1, "it is due again at once");
    small.clock.advance(SignedDuration::from_secs(29));
    dispatch::carry_out(&small.live, claims[0].clone()).await.unwrap();
    let (sent, attempts) = small.store().delivery(id).await.unwrap().unwrap();
    assert_eq!((sent.state, attempts.len()), (State::Delivered, 1));
}

#[test]
fn a_claim_that_was_overtaken_by_a_later_one_gives_none_of_its_time_away() {
    let at = |ms| from_ms(START_MS + ms);
    let limits = Limits { spacing: Some(SignedDuration::from_secs(2)), burst: 1, concurrency: 4 };
    let mut pace = Pace::default();
    assert_eq!(pace.admit(&limits, 1, at(3_000), at(43_000)), 1);
    // Asked for earlier, and slow on its way.
    assert_eq!(pace.admit(&limits, 1, at(100), at(40_100)), 0);
    assert_eq!(pace.admit(&limits, 1, at(4_999), at(45_000)), 0, "less than two seconds after the last");
    assert_eq!(pace.admit(&limits, 1, at(5_000), at(45_000)), 1);
    // A clock that was set back is no such call, and nothing waits an hour for it.
    assert_eq!(pace.admit(&limits, 1, at(-3_600_000), at(-3_560_000)), 0);
    assert_eq!(pace.admit(&limits, 1, at(-3_598_000), at(-3_558_000)), 1);
}
