//! How long a delivery is waited for: since it was due, except for what it waited for a rate.

use fanfare::delivery::{AttemptOutcome, DeliveryId, State};
use fanfare::event::own;
use fanfare::pace::Limits;
use fanfare::store::{Room, Settlement};
use jiff::SignedDuration;

use super::bench::{Bench, at, delivered, delivery, due, id_of, in_lane, retry, room, settlement, start};

/// Ten seconds of patience.
fn impatient() -> Room {
    Room { give_up: SignedDuration::from_secs(10), ..room("slack") }
}

/// Opens the breaker at second 1 by five attempts that fail, and are due again at second 9.
async fn broken(bench: &Bench) {
    bench.event("evt_1").await;
    bench.deliveries((0..5).map(|n| delivery(&format!("dlv_{n}"))).collect()).await;
    for claim in bench.claim(start()).await.claims {
        bench.end(&claim, retry(at(9)), at(1)).await;
    }
}

pub async fn what_waits_too_long_for_a_destination_that_is_down_is_given_up_untried(bench: Bench) {
    broken(&bench).await;
    bench.deliveries(vec![due("dlv_late", at(5))]).await;
    assert!(bench.claim_in(at(14), &[impatient()]).await.claims.is_empty());
    assert_eq!(bench.state("dlv_late").await, State::Due);
    assert!(bench.claim_in(at(15), &[impatient()]).await.claims.is_empty());
    let found = bench.find("dlv_late").await;
    assert_eq!((found.state, found.attempts, found.finished), (State::Dead, 0, Some(at(15))));
    let why = found.last_error.unwrap();
    assert!(why.contains("given up 10s after it became due") && why.contains("known to be down"), "{why}");
    let told = bench.signals().await;
    let died: Vec<&str> = told.iter().filter_map(|told| Some(told.died.as_ref()?.id.as_str())).collect();
    assert!(died.contains(&"dlv_late"), "{died:?}");
    assert_eq!(told.iter().filter(|told| told.kind == own::DEAD).count(), 6, "each once");
    bench.claim_in(at(16), &[impatient()]).await;
    assert_eq!(bench.signals().await.len(), told.len(), "and once only");
}

pub async fn what_was_tried_says_with_its_death_what_the_last_attempt_said(bench: Bench) {
    broken(&bench).await;
    bench.claim_in(at(10), &[impatient()]).await;
    let found = bench.find("dlv_0").await;
    assert_eq!((found.state, found.attempts), (State::Dead, 1));
    let why = found.last_error.unwrap();
    assert!(why.ends_with("the last attempt: answer: temporary"), "{why}");
}

pub async fn what_waits_too_long_for_a_service_that_said_later_is_given_up(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1"), due("dlv_2", at(5))]).await;
    let claim = bench.claim_one(start()).await;
    let limited = settlement(AttemptOutcome::Limited, State::Retrying, at(61));
    bench.end(&claim, Settlement { wait: Some(SignedDuration::from_secs(60)), ..limited }, at(1)).await;
    bench.claim_in(at(15), &[impatient()]).await;
    assert_eq!(bench.state("dlv_2").await, State::Dead);
    assert_eq!(bench.state("dlv_1").await, State::Retrying, "its own time is yet to come");
}

pub async fn waiting_for_a_rate_is_never_given_up(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1"), delivery("dlv_2")]).await;
    let limits = Limits { spacing: Some(SignedDuration::from_secs(100)), burst: 1, concurrency: 10 };
    let slow = Room { limits, ..impatient() };
    let first = bench.claim_in(start(), std::slice::from_ref(&slow)).await.claims.remove(0);
    bench.end(&first, delivered(), at(1)).await;
    assert!(bench.claim_in(at(99), std::slice::from_ref(&slow)).await.claims.is_empty());
    let second = bench.claim_in(at(100), &[slow]).await.claims.remove(0);
    assert_eq!(second.delivery.counts_from, Some(at(100)), "with all its patience");
}

pub async fn only_the_time_that_a_destination_was_up_is_forgiven(bench: Bench) {
    broken(&bench).await;
    bench.deliveries(vec![due("dlv_late", at(10))]).await;
    let probe = bench.claim(at(31)).await.claims.remove(0);
    bench.end(&probe, delivered(), at(40)).await;
    // Up again at second 40, and taken at 60.
    let claims = bench.claim(at(60)).await.claims;
    let late = claims.iter().find(|claim| id_of(claim) == "dlv_late").unwrap();
    assert_eq!(late.delivery.counts_from, Some(at(30)), "for twenty seconds nothing was wrong");
}

pub async fn waiting_in_a_lane_counts(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![in_lane("case", "dlv_1"), in_lane("case", "dlv_2")]).await;
    let first = bench.claim_one(start()).await;
    bench.end(&first, delivered(), at(30)).await;
    let second = bench.claim_one(at(32)).await;
    assert_eq!(second.delivery.counts_from, Some(at(2)), "except for the time after its turn had come");
}

pub async fn waiting_behind_what_ends_without_an_attempt_counts(bench: Bench) {
    bench.event("evt_1").await;
    // One is called off while it waits to be tried again, one is not wanted any more when its turn comes.
    bench.deliveries(["dlv_1", "dlv_2", "dlv_3"].map(|id| in_lane("case", id)).into()).await;
    let first = bench.claim_one(start()).await;
    bench.end(&first, retry(at(100)), at(1)).await;
    bench.cancel(&[DeliveryId("dlv_1".into())], "", at(30)).await.unwrap();
    let second = bench.claim_one(at(32)).await;
    assert_eq!(second.delivery.counts_from, Some(at(2)), "except for the time after its turn had come");
    bench.release(&second, State::Cancelled, "", at(40)).await.unwrap();
    let third = bench.claim_one(at(45)).await;
    assert_eq!(third.delivery.counts_from, Some(at(5)), "the same");
}

pub async fn waiting_behind_what_is_given_up_counts(bench: Bench) {
    bench.event("evt_1").await;
    bench
        .deliveries(
            vec![in_lane("case", "dlv_1"), due("dlv_2", at(8))]
                .into_iter()
                .map(|mut planned| {
                    planned.lane = in_lane("case", "").lane;
                    planned
                })
                .collect(),
        )
        .await;
    let first = bench.claim_one(start()).await;
    let limited = settlement(AttemptOutcome::Limited, State::Retrying, at(12));
    bench.end(&first, Settlement { wait: Some(SignedDuration::from_secs(12)), ..limited }, at(1)).await;
    bench.claim_in(at(12), &[impatient()]).await;
    assert_eq!(bench.state("dlv_1").await, State::Dead);
    let second = bench.claim_in(at(14), &[impatient()]).await.claims.remove(0);
    assert_eq!(second.delivery.counts_from, Some(at(9)), "except for the time after the pause");
}

pub async fn next_is_when_the_first_is_given_up(bench: Bench) {
    broken(&bench).await;
    bench.deliveries(vec![due("dlv_late", at(5))]).await;
    assert_eq!(bench.claim_in(at(9), &[impatient()]).await.next, Some(at(10)));
    let claimed = bench.claim_in(at(10), &[impatient()]).await;
    assert_eq!((claimed.next, claimed.told), (Some(at(15)), true), "what was given up is to be planned");
}
