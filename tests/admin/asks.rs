//! How often a page asks the store: as often for a full list as for a short one, however many events there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fanfare::clock::VirtualClock;
use fanfare::steps::Bounds;
use fanfare::store::Answer;
use serde_json::json;

use crate::support::app::{App, eventually, live};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::HttpPeer;
use crate::support::wrapped::{Call, Way, Wrapped};

const RULES: &str = r#"
rules:
  - name: fraud
    events: fraud
    case: $.data.key
    actions:
      - {to: ledger, text: x}
      - {to: ledger, after: 2h, text: still}
  - {name: daily, events: fraud, actions: {to: ledger, text: "{{ events | length }}", digest: {every: 1h}}}
"#;

/// Counts what only people look at, and pages of cases.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Way for Counter {
    fn meet<'a>(&'a self, call: Call<'a>) -> Answer<'a, ()> {
        if matches!(call, Call::Look(_) | Call::Docs("case")) {
            *self.0.lock().unwrap().entry(call.verb()).or_default() += 1;
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

const PAGES: [&str; 12] = [
    "/",
    "/events",
    "/events?q=title",
    "/events?rule=fraud",
    "/cases",
    "/cases?show=closed",
    "/upcoming",
    "/deliveries",
    "/deliveries?rule=fraud",
    "/mutes?destination=ledger",
    "/api/v1/events",
    "/api/v1/cases",
];

#[tokio::test]
async fn a_page_asks_the_store_no_more_often_for_many_events_than_for_two() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), RULES);
    let clock = Arc::new(VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap()));
    let counter = Counter::default();
    let mut live = live(&folder, Bounds::default(), clock).await;
    let shared = Arc::get_mut(&mut live).expect("nothing runs yet");
    shared.store = Arc::new(Wrapped { store: shared.store.clone(), way: counter.clone() });
    let app = App::start_live(folder, live).await;
    let mut asked = Vec::new();
    for range in [0..2, 2..12] {
        for n in range {
            let body = json!({"id": format!("evt_{n}"), "type": "fraud", "created": 1767607200, "data": {"key": n, "title": "title"}});
            assert_eq!(app.send(&body.to_string()).await.status, 200);
        }
        eventually("planned and sent", async || {
            let status = app.json("/api/v1/status").await;
            let rests = ["due", "sending", "retrying"].iter().all(|state| status["deliveries"][state] == 0);
            (status["inbox"]["head"] == status["inbox"]["planned"] && rests).then_some(())
        })
        .await;
        let mut counts = BTreeMap::new();
        for page in PAGES {
            counter.0.lock().unwrap().clear();
            assert_eq!(app.ask("GET", page).await.status, 200, "{page}");
            counts.insert(page, counter.0.lock().unwrap().clone());
        }
        asked.push(counts);
    }
    assert_eq!(asked[0], asked[1]);
    assert!(asked[0].values().all(|calls| !calls.is_empty()), "every page looks at something: {asked:?}");
    app.end().await;
}
