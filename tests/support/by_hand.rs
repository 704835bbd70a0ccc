//! The program's steps on real files and a virtual clock, driven by hand: a month passes in seconds, and nothing happens
//! that the test didn't ask for. What is sent is written down, and taken.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fanfare::channels::wire::Transport;
use fanfare::channels::{Reply, Request};
use fanfare::clock::{Clock, VirtualClock};
use fanfare::config::load;
use fanfare::config::substitute::RealEnvironment;
use fanfare::event::{Event, EventId};
use fanfare::steps::{Live, dispatch, plan};
use fanfare::store;
use fanfare::store::Appended;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What was sent: to whom, and the JSON body.
pub type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// Takes everything, and writes it down; answers this status.
struct Taking(Sent, Arc<Mutex<u16>>);

impl Transport for Taking {
    fn send<'a>(
        &'a self,
        destination: &'a str,
        request: &'a Request,
        _: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        let body = match request {
            Request::Http(request) => serde_json::from_slice(&request.body).unwrap_or_default(),
            _ => Value::Null,
        };
        self.0.lock().unwrap().push((destination.to_owned(), body));
        Box::pin(std::future::ready(Reply::http(*self.1.lock().unwrap(), "ok")))
    }
}

/// The program, standing still.
pub struct ByHand {
    pub live: Arc<Live>,
    pub clock: VirtualClock,
    pub sent: Sent,
    status: Arc<Mutex<u16>>,
}

impl ByHand {
    /// On the configuration in this folder, at this time; dead deliveries and ids are kept for this many days.
    pub async fn start(folder: &Path, now: Timestamp, days_dead: i64) -> Self {
        let clock = VirtualClock::new(now);
        let loaded = load::load(&folder.join("fanfare.yaml"), &RealEnvironment, now);
        let report = loaded.report();
        let mut snapshot = loaded.snapshot.unwrap_or_else(|| panic!("{report}"));
        assert!(snapshot.rules.is_some(), "{report}");
        snapshot.settings.retention_dead = SignedDuration::from_hours(24 * days_dead);
        let store = store::open(&snapshot.settings.store, folder).await.unwrap();
        let (sent, status) = (Sent::default(), Arc::new(Mutex::new(200)));
        let transport = Arc::new(Taking(sent.clone(), status.clone()));
        let live = Live::new(store, Arc::new(snapshot), Arc::new(clock.clone()), transport, 7);
        Self { live: Arc::new(live), clock, sent, status }
    }

    /// From now on every request is answered so.
    pub fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// Appends events that come now, together.
    pub async fn receive_all(&self, all: Vec<(String, &str, Value)>) {
        let mut under_way = tokio::task::JoinSet::new();
        for (id, kind, data) in all {
            let (live, event) = (self.live.clone(), self.event(&id, kind, data));
            under_way.spawn(async move { live.store.append(event).await.unwrap() });
        }
        let answers = under_way.join_all().await;
        assert!(answers.iter().all(|answer| matches!(answer, Appended::Fresh(_))), "{answers:?}");
    }

    /// Appends an event that comes now.
    pub async fn receive(&self, id: &str, kind: &str, data: Value) -> Appended {
        self.live.store.append(self.event(id, kind, data)).await.unwrap()
    }

    /// An event that comes now.
    fn event(&self, id: &str, kind: &str, data: Value) -> Event {
        let now = self.clock.now();
        let body = json!({"id": id, "type": kind, "created": now.as_second(), "data": data});
        Event {
            source: "jewelmusic".into(),
            id: EventId(id.into()),
            kind: kind.into(),
            created: now,
            received: now,
            raw: body.to_string().into_bytes().into(),
            body,
            proof: "by hand".into(),
        }
    }

    /// Plans and sends until there is nothing more to do now.
    pub async fn turn(&self) {
        loop {
            while plan::step(&self.live, self.clock.now()).await.unwrap().has_worked() {}
            let claimed = dispatch::claim(&self.live, &HashMap::new(), self.clock.now()).await.unwrap();
            if claimed.claims.is_empty() {
                return;
            }
            let mut under_way = tokio::task::JoinSet::new();
            for claim in claimed.claims {
                let live = self.live.clone();
                under_way.spawn(async move { dispatch::carry_out(&live, claim).await.unwrap() });
            }
            under_way.join_all().await;
        }
    }

    /// What was sent since it was asked for last.
    pub fn take_sent(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }
}
