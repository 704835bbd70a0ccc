//! What retention takes and what it leaves.

use fanfare::delivery::{Lane, State};
use fanfare::event::{Command, Event, Item};
use fanfare::planner::why::Decision;
use fanfare::planner::{DocChange, End, Key, Plan, Timer};
use fanfare::store::{Appended, DeliveryFilter};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::bench::{
    Bench, at, day, dead, delivered, delivered_as, delivery, event, event_of, in_lane, receipt, received, start,
};

/// Before everything that a case does.
const NEVER: Timestamp = Timestamp::MIN;

pub async fn old_events_go_with_their_whys(bench: Bench) {
    let old = bench.event("old").await;
    let young = bench.receive(received("young", day(2))).await;
    let why = |event| Decision {
        event,
        rule: "r".into(),
        outcome: "missed".into(),
        note: String::new(),
        detail: Value::Null,
    };
    bench.plan(Plan { upto: Some(young), whys: vec![why(old), why(young)], ..Plan::default() }).await;
    assert_eq!(bench.prune_all(day(1), NEVER).await, 1);
    assert!(!bench.is_there(old).await && bench.is_there(young).await);
    assert!(bench.whys(old).await.unwrap().is_empty());
    assert_eq!(bench.whys(young).await.unwrap().len(), 1);
    assert!(bench.find_event("old").await.unwrap().is_empty());
}

pub async fn an_unplanned_event_stays(bench: Bench) {
    let planned = bench.event("planned").await;
    let unplanned = bench.event("unplanned").await;
    bench.plan(Plan { upto: Some(planned), ..Plan::default() }).await;
    bench.prune_all(day(1), NEVER).await;
    assert!(!bench.is_there(planned).await);
    assert_eq!(bench.waits().await.entries[0].seq, unplanned);
}

pub async fn an_event_that_a_document_needs_stays_until_it_does_not(bench: Bench) {
    let needed = bench.event("needed").await;
    let doc = |events| DocChange { key: Key { kind: "case".into(), id: "c".into() }, text: Some("{}".into()), events };
    bench.plan(Plan { upto: Some(needed), docs: vec![doc(vec![needed, needed])], ..Plan::default() }).await;
    bench.prune_all(day(1), NEVER).await;
    assert!(bench.is_there(needed).await);
    bench.plan(Plan { docs: vec![doc(vec![])], ..Plan::default() }).await;
    bench.prune_all(day(1), NEVER).await;
    assert!(!bench.is_there(needed).await);
}

pub async fn an_event_that_a_timer_needs_stays(bench: Bench) {
    let needed = bench.event("needed").await;
    let timer = Timer { due: day(40), event: Some(needed), text: String::new() };
    bench.plan(Plan { upto: Some(needed), timers: vec![("t".into(), Some(timer))], ..Plan::default() }).await;
    bench.prune_all(day(1), NEVER).await;
    assert!(bench.is_there(needed).await);
    bench.plan(Plan { timers: vec![("t".into(), None)], ..Plan::default() }).await;
    bench.prune_all(day(1), NEVER).await;
    assert!(!bench.is_there(needed).await);
}

pub async fn an_event_stays_as_long_as_a_delivery_of_it(bench: Bench) {
    let seq = bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
    bench.prune_all(day(9), day(9)).await;
    assert!(bench.is_there(seq).await, "it is still to be rendered");
    let claim = bench.claim_one(day(1)).await;
    bench.end(&claim, delivered(), day(1)).await;
    bench.prune_all(day(1), day(1)).await;
    assert!(bench.is_there(seq).await);
    assert_eq!(bench.prune_all(day(2), NEVER).await, 2);
    assert!(!bench.is_there(seq).await);
    assert_eq!(bench.delivery(&claim.delivery.planned.id).await.unwrap(), None);
}

pub async fn an_event_of_a_digest_stays_with_the_digest(bench: Bench) {
    let first = bench.event("evt_1").await;
    let second = bench.event("evt_2").await;
    let mut digest = delivery("digest");
    (digest.event, digest.assignment.event, digest.assignment.events) = (second, second, vec![first, second]);
    bench.deliveries(vec![digest]).await;
    bench.prune_all(day(1), NEVER).await;
    assert!(bench.is_there(first).await && bench.is_there(second).await);
}

pub async fn dead_deliveries_outlive_delivered_ones(bench: Bench) {
    let seq = bench.event("evt_1").await;
    bench.deliveries(["dead", "done", "off"].map(delivery).into()).await;
    let claims = bench.claim(start()).await.claims;
    bench.end(&claims[0], dead(), at(1)).await;
    bench.end(&claims[1], delivered(), at(1)).await;
    bench.release(&claims[2], State::Cancelled, "not shown", at(1)).await.unwrap();
    bench.prune_all(day(1), NEVER).await;
    assert_eq!(bench.ids(DeliveryFilter::default()).await, ["dead"]);
    assert!(bench.is_there(seq).await, "a person may still want it tried again");
    bench.prune_all(day(1), day(1)).await;
    assert!(bench.ids(DeliveryFilter::default()).await.is_empty());
}

pub async fn a_pruned_id_stays_known_and_tells_another_body(bench: Bench) {
    let seq = bench.event("evt_1").await;
    bench.plan_all().await;
    bench.prune_all(day(1), NEVER).await;
    assert!(!bench.is_there(seq).await);
    assert_eq!(bench.append(event("evt_1")).await.unwrap(), Appended::Duplicate { seq, conflict: false });
    let other = event_of("jewelmusic", "evt_1", json!({"other": true}));
    assert_eq!(bench.append(other).await.unwrap(), Appended::Duplicate { seq, conflict: true });
    assert_eq!(bench.conflicts(seq).await.unwrap().len(), 1);
    let shop = bench.append(event_of("shop", "evt_1", json!({}))).await.unwrap();
    assert!(matches!(shop, Appended::Fresh(_)), "another source's is another");
}

pub async fn ids_are_forgotten_in_the_end(bench: Bench) {
    bench.event("old").await;
    bench.receive(received("young", day(30))).await;
    bench.plan_all().await;
    // Its week, which began on a Thursday, is not over.
    bench.prune_all(day(60), day(2)).await;
    assert!(matches!(bench.append(event("old")).await.unwrap(), Appended::Duplicate { .. }));
    bench.prune_all(day(60), day(3)).await;
    assert!(matches!(bench.append(event("old")).await.unwrap(), Appended::Fresh(_)));
    assert!(matches!(bench.append(event("young")).await.unwrap(), Appended::Duplicate { .. }));
}

pub async fn a_place_is_never_given_twice(bench: Bench) {
    let last = bench.event("evt_1").await;
    bench.plan_all().await;
    bench.prune_all(day(1), day(90)).await;
    assert!(bench.event("evt_2").await > last);
}

pub async fn pruning_is_done_in_pieces_and_ends(bench: Bench) {
    for n in 0..25 {
        bench.event(&n.to_string()).await;
    }
    let by = || "mia".to_owned();
    let close = Item::Command(Command::CloseCase { rule: "r".into(), key: "k".into(), by: by(), note: None });
    bench.tell(close, start()).await.unwrap();
    bench.plan_all().await;
    let mut pieces = Vec::new();
    loop {
        let pruned = bench.prune(day(1), NEVER, 10).await.unwrap();
        pieces.push(pruned);
        if pruned == 0 {
            break;
        }
    }
    assert_eq!(pieces, [10, 10, 6, 0]);
}

pub async fn a_receipt_outlives_its_delivery(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![in_lane("case_1", "open")]).await;
    let open = bench.claim_one(start()).await;
    bench.end(&open, delivered_as("1.2"), at(1)).await;
    bench.prune_all(day(100), day(100)).await;
    assert!(bench.ids(DeliveryFilter::default()).await.is_empty());
    let opened: Event = received("evt_close", day(100));
    bench.receive(opened).await;
    bench.deliveries(vec![in_lane("case_1", "close")]).await;
    let close = bench.claim_one(day(100)).await;
    assert_eq!((close.receipt, close.shown), (Some(receipt("1.2")), true));
}

/// Says something in the lane `case_1` then. Gives what was known of the lane.
async fn say(bench: &Bench, id: &str, at: Timestamp) -> (bool, bool) {
    bench.plan_at(Plan { deliveries: vec![in_lane("case_1", id)], ..Plan::default() }, at).await;
    let claim = bench.claim_one(at).await;
    bench.end(&claim, delivered_as("1.2"), at).await;
    (claim.receipt.is_some(), claim.shown)
}

fn ended() -> Plan {
    let ended = [true, false].map(|closed| End { lane: Lane("case_1".into()), closed });
    Plan { ended: ended.into(), ..Plan::default() }
}

pub async fn a_lane_whose_case_has_ended_goes_with_the_dead(bench: Bench) {
    bench.event("evt_1").await;
    assert_eq!(say(&bench, "open", start()).await, (false, false));
    bench.plan_at(ended(), day(1)).await;
    bench.prune_all(day(9), day(1)).await;
    assert_eq!(say(&bench, "close", day(2)).await, (true, true), "what it remembers is there as long as what died");
    bench.prune_all(day(9), day(2)).await;
    assert_eq!(say(&bench, "retried by hand", day(3)).await, (true, true), "and from what was said last");
    bench.prune_all(day(9), day(4)).await;
    assert_eq!(say(&bench, "as if new", day(9)).await, (false, false));
}

pub async fn a_lane_in_which_a_delivery_waits_stays(bench: Bench) {
    bench.event("evt_1").await;
    say(&bench, "open", start()).await;
    bench.plan(Plan { deliveries: vec![in_lane("case_1", "close")], ..ended() }).await;
    bench.prune_all(day(100), day(100)).await;
    let close = bench.claim_one(day(100)).await;
    assert_eq!((close.receipt, close.shown), (Some(receipt("1.2")), true));
}

pub async fn a_lane_that_ended_before_anything_was_said_goes_too(bench: Bench) {
    bench.event("evt_1").await;
    bench.plan_all().await;
    bench.prune_all(day(1), NEVER).await;
    bench.plan(ended()).await;
    assert_eq!(bench.prune_all(day(1), start()).await, 0);
    assert_eq!(bench.prune_all(day(1), day(1)).await, 1);
    assert_eq!(bench.prune_all(day(1), day(1)).await, 0);
}
