//! Very many open cases, by the steps themselves at a time that only the test moves.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fanfare::channels::wire::Transport;
use fanfare::channels::{Reply, Request};
use fanfare::clock::{Clock, VirtualClock};
use fanfare::config::Snapshot;
use fanfare::config::load;
use fanfare::config::substitute::RealEnvironment;
use fanfare::delivery::State;
use fanfare::event::{Event, EventId};
use fanfare::secret::Secret;
use fanfare::steps::{Live, StepResult, dispatch, plan};
use fanfare::store::{self, DeliveryFilter, Store};
use serde_json::json;

use super::stage::{hours, minutes, start};
use crate::support::folder::{CONFIG, Folder};

const RULES: &str = "rules:
  - name: stuck
    events: release.submitted
    case: $.data.release_id
    closed_by: release.live
    actions: [{name: insist, to: ledger, after: 2h, text: \"insist\"}]
";

/// A receiver that takes everything and counts it.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Transport for Counting {
    fn send<'a>(&'a self, _: &'a str, _: &'a Request, _: Duration) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Reply::http(200, "")))
    }
}

/// The steps on one store, under rules that change.
struct Steps {
    folder: Folder,
    store: Arc<dyn Store>,
    clock: VirtualClock,
    receiver: Arc<Counting>,
    live: Live,
}

impl Steps {
    async fn begin(rules: &str) -> Self {
        let folder = Folder::new(CONFIG, "https://ledger.example/", rules);
        let store = store::open(&Secret::new("memory:"), Path::new("")).await.unwrap();
        let (clock, receiver) = (VirtualClock::new(start()), Arc::new(Counting::default()));
        let live = live(&folder, &store, &clock, &receiver);
        Self { folder, store, clock, receiver, live }
    }

    /// The process ends without a word; another begins on the same store, with the files as they stand.
    fn restart(&mut self) {
        self.live = live(&self.folder, &self.store, &self.clock, &self.receiver);
    }

    fn reload(&self, rules: &str) {
        self.folder.write("rules/main.yaml", rules);
        self.live.snapshot.store(Arc::new(snapshot(&self.folder)));
    }

    async fn append(&self, kind: &str, release: &str) {
        let (id, now) = (format!("evt_{kind}_{release}"), self.clock.now());
        let body = json!({"id": id, "type": kind, "data": {"release_id": release}});
        let event = Event {
            source: "jewelmusic".into(),
            id: EventId(id.into()),
            kind: kind.into(),
            created: now,
            received: now,
            raw: body.to_string().into_bytes().into(),
            body,
            proof: String::new().into(),
        };
        self.store.append(event).await.unwrap();
    }

    async fn plan(&self) -> StepResult {
        plan::step(&self.live, self.clock.now()).await.unwrap()
    }

    /// All that there is to do at this moment.
    async fn settle(&self) {
        loop {
            let planned = self.plan().await;
            let claimed = dispatch::claim(&self.live, &HashMap::new(), self.clock.now()).await.unwrap();
            for claim in &claimed.claims {
                dispatch::carry_out(&self.live, claim.clone()).await.unwrap();
            }
            if matches!(planned, StepResult::Idle(_)) && claimed.claims.is_empty() {
                return;
            }
        }
    }

    fn sent(&self) -> usize {
        self.receiver.0.load(Ordering::SeqCst)
    }
}

fn snapshot(folder: &Folder) -> Snapshot {
    let loaded = load::load(&folder.file("fanfare.yaml"), &RealEnvironment, start());
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    loaded.snapshot.unwrap()
}

fn live(folder: &Folder, store: &Arc<dyn Store>, clock: &VirtualClock, receiver: &Arc<Counting>) -> Live {
    Live::new(store.clone(), Arc::new(snapshot(folder)), Arc::new(clock.clone()), receiver.clone(), 7)
}

#[tokio::test]
async fn rules_that_change_reach_each_of_very_many_open_cases_once_over_a_restart_in_their_midst() {
    const CASES: usize = 1300;
    let mut steps = Steps::begin(RULES).await;
    for number in 0..CASES {
        steps.append("release.submitted", &format!("R{number}")).await;
    }
    steps.settle().await;
    steps.clock.advance(hours(1));
    // For all of them that is past, and each page of them is at once; a restart goes on where it was.
    steps.reload(&RULES.replace("after: 2h", "after: 30m"));
    assert!(steps.plan().await.has_worked());
    steps.restart();
    steps.settle().await;
    assert_eq!(steps.sent(), CASES);
    steps.restart();
    steps.clock.advance(hours(2));
    steps.settle().await;
    assert_eq!(steps.sent(), CASES, "each once");
    let dead = DeliveryFilter { states: vec![State::Dead, State::Cancelled], limit: 10, ..DeliveryFilter::default() };
    assert_eq!(steps.store.list_deliveries(&dead).await.unwrap(), []);
}

#[tokio::test]
async fn other_work_goes_on_while_very_many_open_cases_are_brought_in_line() {
    let steps = Steps::begin(RULES).await;
    for number in 0..1300 {
        steps.append("release.submitted", &format!("R{number}")).await;
    }
    steps.settle().await;
    steps.reload(&RULES.replace("after: 2h", "after: 90m"));
    assert!(steps.plan().await.has_worked());
    // A page, and then what waits.
    steps.append("release.live", "R1299").await;
    let before = steps.store.census().await.unwrap();
    assert!(before.planned < before.head);
    assert!(steps.plan().await.has_worked());
    let after = steps.store.census().await.unwrap();
    assert_eq!(after.planned, after.head, "it does not wait for the third page");
    steps.settle().await;
    steps.clock.advance(minutes(90));
    steps.settle().await;
    assert_eq!(steps.sent(), 1299);
}

#[tokio::test]
async fn a_close_that_came_in_time_is_not_overtaken_by_the_reminder_however_long_the_inbox_is() {
    let steps = Steps::begin(RULES).await;
    steps.append("release.submitted", "A").await;
    steps.append("release.submitted", "B").await;
    steps.settle().await;
    // Much is received and nothing planned, as while rules are broken.
    steps.clock.advance(hours(1));
    for number in 0..2500 {
        steps.append("track.created", &number.to_string()).await;
    }
    steps.append("release.live", "A").await;
    steps.clock.advance(hours(2));
    steps.settle().await;
    assert_eq!(steps.sent(), 1, "of the other alone");
}
