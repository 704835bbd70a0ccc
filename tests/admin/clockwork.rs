//! What runs by the clock in a running program: alarms for what did not come, and the right to plan.

use std::sync::Arc;

use fanfare::clock::{Clock, VirtualClock};
use fanfare::event::{Command, Event, Item};
use fanfare::steps::{Bounds, StepResult, plan};
use fanfare::store::DeliveryFilter;
use jiff::SignedDuration;
use serde_json::json;

use super::desk::Desk;
use crate::support::app::{eventually, live};
use crate::support::folder::{CONFIG, Folder};

const LIVE: &str = "rules:\n  - {name: live, events: \"release.*\", actions: {to: ledger, text: live}}\n";

const MISSING: &str = r#"
  - name: no-royalties
    missing: {events: royalty.reported, for: 35d}
    actions: [{to: heads, text: none came}, {to: ledger, text: still none, after: 2d}]
"#;

#[tokio::test]
async fn what_a_reload_begins_to_await_is_missed_in_time() {
    let desk = Desk::start(LIVE).await;
    desk.send("evt_1", "release.live", json!({})).await;
    desk.passes(24);
    desk.app.folder.write("rules/main.yaml", &format!("{LIVE}{MISSING}"));
    assert_eq!(desk.app.ask("POST", "/-/reload").await.status, 200);
    // Its timer, and the one by which the audit list forgets the reload.
    eventually("it waits", async || (desk.app.live.store.census().await.unwrap().timers == 2).then_some(())).await;
    desk.passes(34 * 24);
    desk.send("evt_2", "release.live", json!({})).await;
    assert_eq!(desk.each("/api/v1/cases", "id").await, [""; 0], "it may still come");
    desk.passes(24);
    eventually("it is missed", async || {
        let told = desk.each("/api/v1/deliveries?rule=no-royalties", "destination").await;
        (told == ["heads"]).then_some(())
    })
    .await;
    let case = desk.app.json("/api/v1/cases/no-royalties%2Fmissing").await;
    assert_eq!(case["opened"], "2026-02-10T10:00:00Z", "35 days after the reload");
    assert_eq!(
        (&case["opening"]["type"], &case["timers"][0]["next"]),
        (&"fanfare.missing".into(), &"2026-02-12T10:00:00Z".into())
    );
    desk.send("evt_3", "royalty.reported", json!({})).await;
    assert!(desk.each("/api/v1/cases", "id").await.is_empty(), "the event came");
    desk.app.end().await;
}

#[tokio::test]
async fn at_rest_the_right_to_plan_is_let_go_and_taken_again_when_something_waits() {
    let desk = Desk::start(LIVE).await;
    desk.send("evt_1", "release.live", json!({})).await;
    desk.clock.advance(SignedDuration::from_secs(10));
    let now = desk.app.live.clock.now();
    let turn = plan::step(&desk.app.live, now).await.unwrap();
    assert!(matches!(turn, StepResult::Idle(None)), "{turn:?}");
    let until = fanfare::clock::plus(now, SignedDuration::from_secs(60));
    let other = desk.app.live.store.lease("another", now, until).await.unwrap();
    assert!(other.is_some(), "nothing was written to keep it");
    let body = json!({"id": "evt_2", "type": "release.live", "data": {}}).to_string();
    assert_eq!(desk.app.send(&body).await.status, 200);
    plan::step(&desk.app.live, now).await.unwrap();
    assert_eq!(desk.app.json("/api/v1/events/evt_2").await["planned"], false, "another has the right");
    desk.clock.advance(SignedDuration::from_secs(61));
    desk.planned().await;
    assert_eq!(desk.app.json("/api/v1/events/evt_2").await["rules"][0]["outcome"], "matched");
    desk.app.end().await;
}

#[tokio::test]
async fn many_replays_keep_no_timer_waiting() {
    let rules =
        "rules:\n  - {name: late, events: fanfare.x, case: $.id, actions: {to: ledger, text: late, after: 2h}}\n";
    let folder = Folder::new(CONFIG, "http://127.0.0.1:9/", rules);
    let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
    let live = live(&folder, Bounds::default(), Arc::new(clock.clone())).await;
    live.store.append(Event::own("fanfare.x", "evt_1", clock.now(), json!({}))).await.unwrap();
    assert!(plan::step(&live, clock.now()).await.unwrap().has_worked());
    clock.advance(SignedDuration::from_hours(2));
    let now = clock.now();
    for again in 1..=100 {
        let replay = Command::Replay { event: 1, again, rule: None };
        live.store.tell(Item::Command(replay), now).await.unwrap();
    }
    plan::step(&live, now).await.unwrap();
    let all = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    assert_eq!(live.store.list_deliveries(&all).await.unwrap().len(), 1, "it came due, and is planned");
    let census = live.store.census().await.unwrap();
    assert_eq!((census.planned, census.head), (65, 101), "no more bodies at a time than memory should hold");
    plan::step(&live, now).await.unwrap();
    assert_eq!(live.store.census().await.unwrap().planned, 101);
}
