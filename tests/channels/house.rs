//! The program's steps in memory, on a clock that is moved by hand, with any destinations: each event is a message to all of
//! them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use fanfare::channels::wire::Transport;
use fanfare::clock::{Clock, VirtualClock, plus};
use fanfare::config::load;
use fanfare::config::substitute::RealEnvironment;
use fanfare::delivery::Delivery;
use fanfare::event::{Event, EventId};
use fanfare::secret::Secret;
use fanfare::steps::{Live, dispatch, plan};
use fanfare::store;
use fanfare::store::DeliveryFilter;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::folder::Folder;

/// The program, standing still.
pub struct House {
    live: Live,
    pub clock: VirtualClock,
}

/// When it starts.
pub fn start() -> Timestamp {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

impl House {
    /// With these destinations, each by its name and its keys.
    pub async fn new(destinations: &[(&str, String)], clock: &VirtualClock, transport: Arc<dyn Transport>) -> Self {
        let mut config =
            "sources:\n  jewelmusic: {preset: jewelmusic, secrets: [now-secret-0123456789abcdef0123456789]}\ndestinations:\n"
                .to_owned();
        for (name, keys) in destinations {
            config.push_str(&format!("  {name}:\n"));
            keys.lines().for_each(|line| config.push_str(&format!("    {line}\n")));
        }
        let names: Vec<&str> = destinations.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let rules = format!(
            "rules:\n  - name: told\n    events: release.live\n    actions: [{{to: [{names}], text: '{{{{ event.id }}}} is live'}}]\n"
        );
        let folder = Folder::new(&config, "", &rules);
        let loaded = load::load(&folder.file("fanfare.yaml"), &RealEnvironment, start());
        assert!(!loaded.problems.has_errors(), "{}", loaded.report());
        let store = store::open(&Secret::new("memory:"), Path::new("")).await.unwrap();
        let snapshot = Arc::new(loaded.snapshot.unwrap());
        let live = Live::new(store, snapshot, Arc::new(clock.clone()), transport, 7);
        Self { live, clock: clock.clone() }
    }

    /// This many events come.
    pub async fn receive(&self, count: usize) {
        for nth in 0..count {
            let body = json!({"id": format!("evt_{nth}"), "type": "release.live", "data": {"release_id": "rel_1"}});
            let event = Event {
                source: "jewelmusic".into(),
                id: EventId(format!("evt_{nth}").into()),
                kind: "release.live".into(),
                created: start(),
                received: start(),
                raw: body.to_string().into_bytes().into(),
                body,
                proof: "by hand".into(),
            };
            self.live.store.append(event).await.unwrap();
        }
    }

    /// Plans and sends, and moves the clock on to whatever is next, until nothing is.
    pub async fn until_done(&self) {
        loop {
            let now = self.clock.now();
            while plan::step(&self.live, now).await.unwrap().has_worked() {}
            let claimed = dispatch::claim(&self.live, &HashMap::new(), now).await.unwrap();
            for claim in &claimed.claims {
                dispatch::carry_out(&self.live, claim.clone()).await.unwrap();
            }
            match claimed.next {
                _ if !claimed.claims.is_empty() => {}
                Some(next) => self.clock.set(next.max(plus(now, SignedDuration::from_millis(1)))),
                None => return,
            }
            let waits = self.clock.now().duration_since(start()) > SignedDuration::from_hours(23);
            assert!(!waits, "it never ends: {:#?}", self.deliveries().await.iter().find(|one| !one.state.is_final()));
        }
    }

    /// What became of everything.
    pub async fn deliveries(&self) -> Vec<Delivery> {
        let all = DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() };
        self.live.store.list_deliveries(&all).await.unwrap()
    }

    /// What was answered to the attempts of a delivery.
    pub async fn answers(&self, delivery: &Delivery) -> Vec<String> {
        let (_, attempts) = self.live.store.delivery(&delivery.planned.id).await.unwrap().unwrap();
        attempts.into_iter().map(|attempt| attempt.answer).collect()
    }
}
