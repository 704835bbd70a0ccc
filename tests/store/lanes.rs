//! The deliveries of one case to one destination: in order, and knowing of each other.

use fanfare::delivery::{AttemptOutcome, CaseFacts, DeliveryId, Lane, NewDelivery, State};
use fanfare::planner::{Cancel, End, Plan};

use super::bench::{
    Bench, at, dead, delivered, delivered_as, delivery, in_lane, receipt, retry, room, settlement, start,
};

async fn two(bench: &Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![in_lane("case_1", "dlv_open"), in_lane("case_1", "dlv_close")]).await;
}

fn replace(lane: &str, deliveries: Vec<&str>) -> Plan {
    Plan {
        cancel: vec![Cancel {
            lane: Lane(lane.into()),
            action: None,
            act: None,
            reason: "replaced by a newer one".into(),
        }],
        deliveries: deliveries.into_iter().map(|id| in_lane(lane, id)).collect(),
        ..Plan::default()
    }
}

pub async fn a_close_waits_for_what_was_announced_before_it(bench: Bench) {
    two(&bench).await;
    let open = bench.claim_one(start()).await;
    assert_eq!(open.delivery.planned.id.0, "dlv_open");
    assert!(bench.claim(at(1)).await.claims.is_empty(), "while it is under way");
    bench.end(&open, retry(at(60)), at(2)).await;
    let waiting = bench.claim(at(3)).await;
    assert!(waiting.claims.is_empty(), "while it waits for its next attempt");
    assert_eq!(waiting.next, Some(at(60)));
    let open = bench.claim_one(at(60)).await;
    bench.end(&open, delivered_as("1.2"), at(61)).await;
    let close = bench.claim_one(at(61)).await;
    assert_eq!(close.delivery.planned.id.0, "dlv_close");
    assert_eq!((close.receipt, close.shown), (Some(receipt("1.2")), true));
}

pub async fn lanes_do_not_hold_each_other_back(bench: Bench) {
    bench.event("evt_1").await;
    let all = [("case_1", "a1"), ("case_1", "a2"), ("case_2", "b1"), ("case_2", "b2")];
    bench.deliveries(all.map(|(lane, id)| in_lane(lane, id)).into()).await;
    assert_eq!(bench.claimed_ids(start()).await, ["a1", "b1"]);
}

pub async fn deliveries_without_a_lane_wait_for_nobody(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![in_lane("case_1", "a1"), in_lane("case_1", "a2"), delivery("b"), delivery("c")]).await;
    assert_eq!(bench.claimed_ids(start()).await, ["a1", "b", "c"]);
}

pub async fn a_dead_predecessor_lets_the_next_go(bench: Bench) {
    two(&bench).await;
    let open = bench.claim_one(start()).await;
    bench.end(&open, dead(), at(1)).await;
    let close = bench.claim_one(at(1)).await;
    assert_eq!((close.delivery.planned.id.0.as_str(), close.shown, close.receipt), ("dlv_close", false, None));
}

pub async fn the_first_receipt_of_a_lane_stays(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(["a", "b", "c"].map(|id| in_lane("case_1", id)).into()).await;
    let first = bench.claim_one(start()).await;
    bench.end(&first, delivered(), at(1)).await;
    for ts in ["1.1", "2.2"] {
        let claim = bench.claim_one(at(2)).await;
        bench.end(&claim, delivered_as(ts), at(3)).await;
    }
    bench.plan(Plan { deliveries: vec![in_lane("case_1", "d"), in_lane("case_2", "e")], ..Plan::default() }).await;
    let claims = bench.claim(at(4)).await.claims;
    assert_eq!(claims[0].receipt, Some(receipt("1.1")), "the first that gave one back");
    assert_eq!((claims[1].receipt.as_ref(), claims[1].shown), (None, false), "another lane's is its own");
}

pub async fn an_ambiguous_attempt_may_have_been_shown(bench: Bench) {
    two(&bench).await;
    let open = bench.claim_one(start()).await;
    bench.end(&open, settlement(AttemptOutcome::Ambiguous, State::Dead, start()), at(1)).await;
    let close = bench.claim_one(at(1)).await;
    assert_eq!((close.shown, close.receipt), (true, None));
}

pub async fn a_permanent_failure_was_shown_to_nobody(bench: Bench) {
    for outcome in
        [AttemptOutcome::Permanent, AttemptOutcome::Temporary, AttemptOutcome::Limited, AttemptOutcome::Refused]
    {
        let name = outcome.name();
        bench.event(name).await;
        bench.deliveries(vec![in_lane(name, &format!("{name}_1")), in_lane(name, &format!("{name}_2"))]).await;
        let open = bench.claim_one(at(7200)).await;
        bench.end(&open, settlement(outcome, State::Dead, start()), start()).await;
        let close = bench.claim_one(at(7200)).await;
        assert!(!close.shown, "{name}");
        bench.end(&close, delivered(), start()).await;
    }
}

pub async fn a_lost_attempt_may_have_been_shown(bench: Bench) {
    two(&bench).await;
    bench.claim_one(start()).await;
    let again = bench.claim_one(at(100)).await;
    bench.end(&again, dead(), at(101)).await;
    assert!(bench.claim_one(at(101)).await.shown);
}

pub async fn a_newer_message_replaces_an_untried_one(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![in_lane("case_1", "old"), in_lane("case_2", "other")]).await;
    bench.plan(replace("case_1", vec!["new"])).await;
    let old = bench.find("old").await;
    assert_eq!((old.state, old.finished), (State::Cancelled, Some(start())));
    assert_eq!(old.last_error.as_deref(), Some("replaced by a newer one"));
    assert_eq!(bench.claimed_ids(start()).await, ["other", "new"]);
}

pub async fn a_reminder_replaces_no_message_of_another_action(bench: Bench) {
    bench.event("evt_1").await;
    let mut reminder = in_lane("case_1", "reminder");
    reminder.action = "remind".into();
    bench.deliveries(vec![in_lane("case_1", "announcement"), reminder]).await;
    let mut plan = replace("case_1", vec!["newer"]);
    plan.cancel[0].action = Some("remind".into());
    bench.plan(plan).await;
    assert_eq!(bench.state("announcement").await, State::Due);
    assert_eq!(bench.state("reminder").await, State::Cancelled);
}

pub async fn a_tried_message_is_not_replaced(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![in_lane("case_1", "sending"), in_lane("case_2", "retrying")]).await;
    let claims = bench.claim(start()).await.claims;
    bench.end(&claims[1], retry(at(60)), at(1)).await;
    bench.plan(replace("case_1", vec!["new_1"])).await;
    bench.plan(replace("case_2", vec!["new_2"])).await;
    assert_eq!((bench.state("sending").await, bench.state("retrying").await), (State::Sending, State::Retrying));
    assert!(bench.claim(at(2)).await.claims.is_empty(), "and the new ones wait for them");
}

pub async fn a_revived_predecessor_holds_its_lane_again(bench: Bench) {
    two(&bench).await;
    let open = bench.claim_one(start()).await;
    bench.end(&open, dead(), at(1)).await;
    bench.revive(&[DeliveryId("dlv_open".into())], at(2)).await.unwrap();
    let claims = bench.claim_in(at(2), &[room("slack")]).await.claims;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].delivery.planned.id.0, "dlv_open");
}

/// A delivery in the lane `case_1` that speaks of its case as open, or as closed.
fn of_case(id: &str, closed: bool) -> NewDelivery {
    let facts =
        CaseFacts { key: "k".into(), opened: start(), count: 1, last: start(), closed, step: 0, overdue: false };
    let mut new = in_lane("case_1", id);
    new.assignment.case = Some(facts);
    new
}

/// Ends the lane `case_1`, with three deliveries of it that died: an opening, one that waits behind it and was called
/// off, and what was said of its close.
async fn all_dead(bench: &Bench, closed: bool) -> [DeliveryId; 3] {
    bench.event("evt_1").await;
    let deliveries = vec![of_case("open", false), of_case("again", false), of_case("over", true)];
    let ended = vec![End { lane: Lane("case_1".into()), closed }];
    bench.plan(Plan { deliveries, ended, ..Plan::default() }).await;
    let ids = ["open", "again", "over"].map(|id| DeliveryId(id.into()));
    let open = bench.claim_one(start()).await;
    bench.end(&open, dead(), at(1)).await;
    bench.cancel(&ids[1..2], "its case has closed", at(1)).await.unwrap();
    let over = bench.claim_one(at(1)).await;
    bench.end(&over, dead(), at(2)).await;
    ids
}

pub async fn what_spoke_of_a_case_that_closed_is_not_revived_and_what_said_so_is(bench: Bench) {
    let ids = all_dead(&bench, true).await;
    assert_eq!(bench.revive(&ids, at(3)).await.unwrap(), 1);
    assert_eq!(bench.claimed_ids(at(3)).await, ["over"]);
    assert_eq!((bench.state("open").await, bench.state("again").await), (State::Dead, State::Cancelled));
}

pub async fn what_spoke_of_a_case_that_just_ended_is_revived(bench: Bench) {
    let ids = all_dead(&bench, false).await;
    assert_eq!(bench.revive(&ids, at(3)).await.unwrap(), 3);
    assert_eq!(bench.claimed_ids(at(3)).await, ["open"]);
}

pub async fn what_still_waits_in_a_lane_that_closed_may_be_hurried(bench: Bench) {
    bench.event("evt_1").await;
    let ended = vec![End { lane: Lane("case_1".into()), closed: true }];
    bench.plan(Plan { deliveries: vec![of_case("open", false)], ..Plan::default() }).await;
    let open = bench.claim_one(start()).await;
    bench.end(&open, retry(at(600)), at(1)).await;
    bench.plan(Plan { ended, ..Plan::default() }).await;
    assert_eq!(bench.revive(&[DeliveryId("open".into())], at(2)).await.unwrap(), 1);
    assert_eq!(bench.claimed_ids(at(2)).await, ["open"]);
}
