//! Claiming: what, how much, in which order, and when to look again.

use fanfare::delivery::{AttemptOutcome, State};
use fanfare::event::own;
use fanfare::pace::Limits;
use fanfare::store::{Claimed, Room};
use jiff::SignedDuration;

use super::bench::{Bench, LEASE, at, delivered, delivery, due, id_of, is_lost, retry, room, start, to};

fn narrow(concurrency: u32, wanted: u32) -> Room {
    Room { limits: Limits { spacing: None, burst: 1, concurrency }, wanted, ..room("slack") }
}

pub async fn a_delivery_is_claimed_when_it_is_due_and_not_before(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![due("dlv_1", at(10))]).await;
    assert!(bench.claim(at(9)).await.claims.is_empty());
    let claim = bench.claim_one(at(10)).await;
    assert_eq!(claim.delivery.planned, due("dlv_1", at(10)));
    assert!(bench.claim(at(10)).await.claims.is_empty(), "it is taken");
}

pub async fn a_claim_counts_the_attempt(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
    let claim = bench.claim_one(at(3)).await;
    assert_eq!((claim.delivery.attempts, claim.delivery.state), (1, State::Sending));
    assert_eq!((claim.delivery.first_attempt, claim.until), (Some(at(3)), at(3 + LEASE)));
    assert_eq!(bench.find("dlv_1").await, claim.delivery, "and it stands in the store before it is answered");
    bench.end(&claim, retry(at(20)), at(4)).await;
    let again = bench.claim_one(at(20)).await;
    assert_eq!((again.delivery.attempts, again.delivery.first_attempt), (2, Some(at(3))));
    assert!(again.token > claim.token);
}

pub async fn the_oldest_due_goes_first(bench: Bench) {
    bench.event("evt_1").await;
    let all = vec![due("dlv_c", at(3)), due("dlv_a", at(1)), due("dlv_b1", at(2)), due("dlv_b2", at(2))];
    bench.deliveries(all).await;
    assert_eq!(bench.claimed_ids(at(5)).await, ["dlv_a", "dlv_b1", "dlv_b2", "dlv_c"]);
}

pub async fn no_more_are_claimed_than_wanted(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries((0..9).map(|n| delivery(&format!("dlv_{n}"))).collect()).await;
    assert!(bench.claim_in(start(), &[narrow(10, 0)]).await.claims.is_empty());
    let first = bench.claim_in(start(), &[narrow(10, 4)]).await.claims;
    assert_eq!(first.iter().map(id_of).collect::<Vec<_>>(), ["dlv_0", "dlv_1", "dlv_2", "dlv_3"]);
}

pub async fn what_is_under_way_counts_against_the_concurrency(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries((0..5).map(|n| delivery(&format!("dlv_{n}"))).collect()).await;
    let first = bench.claim_in(start(), &[narrow(2, 10)]).await.claims;
    assert_eq!(first.len(), 2);
    assert!(bench.claim_in(at(1), &[narrow(2, 10)]).await.claims.is_empty());
    bench.end(&first[0], delivered(), at(2)).await;
    assert_eq!(bench.claim_in(at(2), &[narrow(2, 10)]).await.claims.len(), 1);
}

pub async fn only_rooms_that_are_asked_for_are_claimed(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1"), to("pager", "dlv_2"), to("gone", "dlv_3")]).await;
    let claimed = bench.claim_in(start(), &[room("slack"), room("pager"), room("unknown")]).await;
    assert_eq!(claimed.claims.iter().map(id_of).collect::<Vec<_>>(), ["dlv_1", "dlv_2"]);
    assert_eq!(bench.state("dlv_3").await, State::Due);
}

pub async fn a_lease_that_ran_out_is_claimed_by_another(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
    let first = bench.claim_one(start()).await;
    assert!(bench.claim(at(LEASE - 1)).await.claims.is_empty());
    let second = bench.claim_one(at(LEASE)).await;
    assert_eq!(second.delivery.attempts, 2);
    assert!(second.token > first.token);
    assert!(is_lost(bench.settle(&first, delivered(), at(LEASE)).await));
    bench.end(&second, delivered(), at(LEASE + 1)).await;
}

pub async fn a_lost_attempt_is_recorded_as_ambiguous(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
    let first = bench.claim_one(at(5)).await;
    let second = bench.claim_one(at(100)).await;
    bench.end(&second, delivered(), at(101)).await;
    let (_, attempts) = bench.delivery(&first.delivery.planned.id).await.unwrap().unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.outcome)).collect();
    assert_eq!(told, [(1, AttemptOutcome::Ambiguous), (2, AttemptOutcome::Delivered)]);
    assert_eq!((attempts[0].at, attempts[0].took_ms), (at(5), LEASE as u64 * 1000));
    assert!(!attempts[0].answer.is_empty());
}

pub async fn three_lost_leases_in_a_row_set_a_delivery_aside(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1"), due("dlv_2", at(300))]).await;
    let one = narrow(1, 1);
    for n in 0..3 {
        let claimed = bench.claim_in(at(n * 100), std::slice::from_ref(&one)).await.claims;
        assert_eq!(id_of(&claimed[0]), "dlv_1", "{n}");
    }
    let fourth = bench.claim_in(at(300), &[one]).await.claims;
    assert_eq!(fourth.iter().map(id_of).collect::<Vec<_>>(), ["dlv_2"], "it takes no other's place");
    let set_aside = bench.find("dlv_1").await;
    assert_eq!((set_aside.state, set_aside.attempts), (State::Dead, 3));
    assert_eq!(set_aside.finished, Some(at(300)));
    assert!(set_aside.last_error.unwrap().contains("without an outcome"));
    assert_eq!(bench.delivery(&set_aside.planned.id).await.unwrap().unwrap().1.len(), 3);
}

pub async fn an_outcome_ends_the_row_of_lost_leases(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
    bench.claim_one(at(0)).await;
    bench.claim_one(at(100)).await;
    let third = bench.claim_one(at(200)).await;
    bench.end(&third, retry(at(300)), at(201)).await;
    bench.claim_one(at(300)).await;
    bench.claim_one(at(400)).await;
    assert_eq!(bench.claim_one(at(500)).await.delivery.attempts, 6);
}

pub async fn a_delivery_set_aside_is_reported_with_its_reason(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
    for n in 0..3 {
        bench.claim_one(at(n * 100)).await;
    }
    assert_eq!(bench.claim(at(300)).await, Claimed { told: true, ..Claimed::default() });
    let told = bench.signals().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind.as_str(), told[0].rule.as_deref()), (own::DEAD, Some("live")));
    assert_eq!(told[0].died.as_deref(), Some(&delivery("dlv_1")));
    assert!(!told[0].from_own);
    assert!(bench.claim(at(400)).await.claims.is_empty());
    assert_eq!(bench.signals().await.len(), 1, "once");
}

pub async fn next_is_when_something_more_comes_due(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![due("dlv_1", at(30)), due("dlv_2", at(20)), to("other", "dlv_3")]).await;
    assert_eq!(bench.claim(start()).await.next, Some(at(20)));
    let claimed = bench.claim(at(20)).await;
    assert_eq!((claimed.claims.len(), claimed.next), (1, Some(at(30))));
}

pub async fn next_is_when_a_lease_ends(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1"), delivery("dlv_2")]).await;
    let claimed = bench.claim_in(start(), &[narrow(1, 1)]).await;
    assert_eq!(claimed.next, Some(at(LEASE)), "nothing else can be claimed before");
}

pub async fn next_is_now_where_only_the_caller_had_no_room(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1"), delivery("dlv_2")]).await;
    let claimed = bench.claim_in(start(), &[narrow(10, 1)]).await;
    assert_eq!((claimed.claims.len(), claimed.next), (1, Some(start())));
}

pub async fn nothing_to_wait_for_is_no_next(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![to("other", "dlv_1")]).await;
    assert_eq!(bench.claim(start()).await, Claimed::default());
    assert_eq!(bench.claim_in(start(), &[]).await, Claimed::default());
}

pub async fn waiting_to_be_claimed_is_not_held_against_the_patience(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
    let first = bench.claim_one(at(10)).await;
    assert_eq!(first.delivery.counts_from, Some(at(10)), "waiting for the first attempt counts not at all");
    bench.end(&first, retry(at(20)), at(11)).await;
    // Due again at 20, claimed at 80: for a minute something else was in the way.
    let second = bench.claim_one(at(80)).await;
    assert_eq!(second.delivery.counts_from, Some(at(70)));
    assert_eq!(second.delivery.first_attempt, Some(at(10)));
}

pub async fn each_claim_lasts_as_long_as_its_own_destination_may_take(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![to("pager", "dlv_1"), to("slow", "dlv_2")]).await;
    let rooms = [("pager", 35), ("slow", 330)]
        .map(|(name, seconds)| Room { lease: SignedDuration::from_secs(seconds), ..room(name) });
    let claims = bench.claim_in(start(), &rooms).await.claims;
    assert_eq!(claims.iter().map(|claim| claim.until).collect::<Vec<_>>(), [at(35), at(330)]);
    // The replica dies. What pages somebody waits for nobody else's patience.
    let again = bench.claim_in(at(35), &rooms).await.claims;
    assert_eq!(again.iter().map(id_of).collect::<Vec<_>>(), ["dlv_1"]);
}
