//! The planner's lease, its documents and timers, and the commit of a plan.

use std::collections::BTreeSet;

use fanfare::delivery::Lane;
use fanfare::event::{Event, Item};
use fanfare::planner::why::Decision;
use fanfare::planner::{Cancel, DocChange, End, Key, Keys, Plan, Timer};
use serde_json::json;

use super::bench::{Bench, at, delivery, in_lane, is_lost, start};

fn key(kind: &str, id: &str) -> Key {
    Key { kind: kind.into(), id: id.into() }
}

fn doc(kind: &str, id: &str, text: Option<&str>) -> DocChange {
    DocChange { key: key(kind, id), text: text.map(str::to_owned), events: Vec::new() }
}

fn timer(seconds: i64, text: &str) -> Option<Timer> {
    Some(Timer { due: at(seconds), event: None, text: text.into() })
}

fn why(event: i64, rule: &str, outcome: &str) -> Decision {
    Decision {
        event,
        rule: rule.into(),
        outcome: outcome.into(),
        note: "because".into(),
        detail: json!({"all": [{"held": true, "value": 1250.00}]}),
    }
}

pub async fn one_holder_plans_at_a_time(bench: Bench) {
    assert!(bench.lease("a", start(), at(10)).await.unwrap().is_some());
    assert_eq!(bench.lease("b", at(9), at(20)).await.unwrap(), None);
}

pub async fn a_holder_keeps_its_token(bench: Bench) {
    let first = bench.lease("a", start(), at(10)).await.unwrap().unwrap();
    let second = bench.lease("a", at(4), at(14)).await.unwrap().unwrap();
    assert_eq!(second, first, "more than half is left");
    let third = bench.lease("a", at(5), at(15)).await.unwrap().unwrap();
    let fourth = bench.lease("a", at(60), at(70)).await.unwrap().unwrap();
    assert_eq!((first.token, first.token), (third.token, fourth.token));
    assert_eq!((third.until, fourth.until), (at(15), at(70)));
    assert!(bench.lease("a", at(61), at(62)).await.unwrap().unwrap().until <= at(62), "asked to end sooner, it does");
}

pub async fn a_lease_that_ran_out_is_anothers_with_a_higher_token(bench: Bench) {
    let first = bench.lease("a", start(), at(10)).await.unwrap().unwrap();
    let second = bench.lease("b", at(10), at(20)).await.unwrap().unwrap();
    assert!(second.token > first.token);
    assert_eq!(bench.lease("a", at(11), at(21)).await.unwrap(), None);
}

pub async fn a_lease_that_ends_far_ahead_after_the_clock_was_set_back_is_anothers(bench: Bench) {
    let first = bench.lease("a", at(7200), at(7204)).await.unwrap().unwrap();
    let second = bench.lease("b", at(3600), at(3604)).await.unwrap().unwrap();
    assert_eq!(second.token, first.token + 1);
    assert_eq!(second.until, at(3604));
    assert_eq!(
        bench.lease("c", at(3590), at(3594)).await.unwrap(),
        None,
        "clocks that differ by seconds are no reason"
    );
}

pub async fn a_lost_lease_cannot_commit(bench: Bench) {
    let first = bench.lease("a", start(), at(10)).await.unwrap().unwrap();
    let second = bench.lease("b", at(10), at(20)).await.unwrap().unwrap();
    assert!(is_lost(bench.commit(&first, Plan::default(), at(11)).await));
    assert!(bench.commit(&second, Plan::default(), at(11)).await.is_ok());
}

pub async fn a_refused_plan_changes_nothing(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![in_lane("case_1", "dlv_1")]).await;
    bench.event("evt_2").await;
    let old = bench.planner().await;
    bench.lease("b", at(4000), at(5000)).await.unwrap().unwrap();
    let plan = Plan {
        upto: Some(2),
        cancel: vec![Cancel { lane: Lane("case_1".into()), action: None, act: None, reason: "newer".into() }],
        deliveries: vec![delivery("dlv_2")],
        docs: vec![doc("case", "c", Some("{}"))],
        timers: vec![("t".into(), timer(1, "x"))],
        events: vec![Event::own("fanfare.mute.ended", "m", start(), json!({}))],
        whys: vec![why(2, "r", "matched")],
        ended: vec![End { lane: Lane("case_1".into()), closed: true }],
    };
    assert!(is_lost(bench.commit(&old, plan, at(4001)).await));
    let waiting = bench.waiting(at(4000), 10).await.unwrap();
    assert_eq!(waiting.entries.len(), 1);
    assert!(waiting.timers.is_empty());
    assert!(bench.docs("case", "", 10).await.unwrap().is_empty());
    assert!(bench.whys(2).await.unwrap().is_empty());
    assert_eq!(bench.claimed_ids(start()).await, ["dlv_1"]);
}

pub async fn a_plan_moves_on_in_the_inbox_and_never_back(bench: Bench) {
    let first = bench.event("evt_1").await;
    let second = bench.event("evt_2").await;
    bench.plan(Plan { upto: Some(second), ..Plan::default() }).await;
    bench.plan(Plan { upto: Some(first), ..Plan::default() }).await;
    assert!(bench.waits().await.entries.is_empty());
    let third = bench.event("evt_3").await;
    assert_eq!(bench.waits().await.entries[0].seq, third);
}

pub async fn a_delivery_planned_twice_is_made_once(bench: Bench) {
    bench.event("evt_1").await;
    let both = Plan { deliveries: vec![delivery("dlv_1"), delivery("dlv_2")], ..Plan::default() };
    assert_eq!(bench.plan(both.clone()).await, 2);
    let claim = bench.claim(start()).await.claims.remove(0);
    assert_eq!(bench.plan(both).await, 0);
    let found = bench.find("dlv_1").await;
    assert_eq!(found, claim.delivery, "it stays as it is");
}

pub async fn documents_are_replaced_and_deleted(bench: Bench) {
    let loaded = async || {
        let keys = Keys { all: BTreeSet::from(["case".to_owned()]), ..Keys::default() };
        bench.load(&keys).await.unwrap().docs.into_iter().collect::<Vec<_>>()
    };
    bench.plan(Plan { docs: vec![doc("case", "a", Some("1")), doc("case", "b", Some("2"))], ..Plan::default() }).await;
    bench.plan(Plan { docs: vec![doc("case", "a", Some("3")), doc("case", "c", None)], ..Plan::default() }).await;
    assert_eq!(loaded().await, [(key("case", "a"), "3".to_owned()), (key("case", "b"), "2".to_owned())]);
    bench.plan(Plan { docs: vec![doc("case", "a", None)], ..Plan::default() }).await;
    assert_eq!(loaded().await, [(key("case", "b"), "2".to_owned())]);
}

pub async fn a_ledger_loads_what_its_keys_name_and_no_more(bench: Bench) {
    let docs = ["mute/a", "mute/b", "case/a", "case/b", "cases/x"].map(|name| {
        let (kind, id) = name.split_once('/').unwrap();
        doc(kind, id, Some(name))
    });
    bench.plan(Plan { docs: docs.into(), ..Plan::default() }).await;
    let keys = Keys {
        deliveries: BTreeSet::new(),
        one: BTreeSet::from([key("case", "b"), key("case", "missing"), key("mute", "a")]),
        all: BTreeSet::from(["mute".to_owned(), "throttle".to_owned()]),
    };
    let found: Vec<String> = bench.load(&keys).await.unwrap().docs.into_values().collect();
    assert_eq!(found, ["case/b", "mute/a", "mute/b"]);
}

pub async fn timers_come_due_in_order_of_time_and_id(bench: Bench) {
    let timers = [("z", 5), ("b", 10), ("a", 10), ("later", 11), ("last", 90)];
    let timers = timers.map(|(id, seconds)| (id.to_owned(), timer(seconds, id)));
    bench.plan(Plan { timers: timers.into(), ..Plan::default() }).await;
    let due = bench.waiting(at(10), 10).await.unwrap();
    let ids: Vec<_> = due.timers.iter().map(|due| due.id.as_str()).collect();
    assert_eq!(ids, ["z", "a", "b"]);
    assert_eq!(due.timers[0].timer, timer(5, "z").unwrap());
    assert_eq!(due.next_timer, Some(at(11)));
    let page = bench.waiting(at(10), 2).await.unwrap();
    assert_eq!(page.timers.len(), 2);
    assert_eq!(page.next_timer, Some(at(11)));
    assert_eq!(bench.waiting(at(90), 10).await.unwrap().next_timer, None);
}

pub async fn a_timer_set_again_is_moved(bench: Bench) {
    bench.plan(Plan { timers: vec![("t".into(), timer(5, "one"))], ..Plan::default() }).await;
    bench.plan(Plan { timers: vec![("t".into(), timer(50, "two"))], ..Plan::default() }).await;
    assert!(bench.waiting(at(49), 10).await.unwrap().timers.is_empty());
    assert_eq!(bench.waiting(at(50), 10).await.unwrap().timers[0].timer.text, "two");
    bench.plan(Plan { timers: vec![("t".into(), None), ("never".into(), None)], ..Plan::default() }).await;
    let none = bench.waiting(at(99), 10).await.unwrap();
    assert!(none.timers.is_empty() && none.next_timer.is_none());
}

pub async fn own_events_are_planned_once(bench: Bench) {
    let own = Event::own("fanfare.event.unmatched", "track.odd/2026-01-05", start(), json!({"type": "track.odd"}));
    bench.plan(Plan { events: vec![own.clone(), own.clone()], ..Plan::default() }).await;
    bench.plan(Plan { events: vec![own.clone()], ..Plan::default() }).await;
    let entries = bench.waits().await.entries;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].item, Item::Event(Box::new(own)));
}

pub async fn whys_are_kept_by_event_in_order(bench: Bench) {
    bench.event("evt_1").await;
    bench.event("evt_2").await;
    let first = [why(1, "b", "matched"), why(1, "a", "missed"), why(2, "a", "failed")];
    bench.plan(Plan { whys: first.to_vec(), ..Plan::default() }).await;
    bench.plan(Plan { whys: vec![why(1, "b", "held")], ..Plan::default() }).await;
    let expected = [why(1, "b", "matched"), why(1, "a", "missed"), why(1, "b", "held")];
    assert_eq!(bench.whys(1).await.unwrap(), expected);
    assert_eq!(bench.whys(2).await.unwrap().len(), 1);
}

pub async fn a_plan_without_entries_leaves_the_inbox_alone(bench: Bench) {
    let seq = bench.event("evt_1").await;
    bench.plan(Plan { timers: vec![("t".into(), timer(5, "x"))], ..Plan::default() }).await;
    assert_eq!(bench.waits().await.entries[0].seq, seq);
    assert_eq!(bench.census().await.unwrap().planned, 0);
}
