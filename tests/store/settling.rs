//! Ending claims, and what people do to deliveries by hand.

use fanfare::delivery::{AttemptOutcome, DeliveryId, State};
use fanfare::event::Signal;
use fanfare::pace::Next;
use fanfare::store::transitions::TEXT_MAX;
use fanfare::store::{Settlement, signals};

use super::bench::{Bench, LEASE, at, attempt, dead, delivered, delivery, is_lost, retry, settlement, start};

/// A bench with one delivery, due.
async fn one(bench: &Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1")]).await;
}

fn ids(ids: &[&str]) -> Vec<DeliveryId> {
    ids.iter().map(|id| DeliveryId((*id).into())).collect()
}

pub async fn a_delivered_attempt_ends_the_delivery(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(at(1)).await;
    bench.end(&claim, delivered(), at(2)).await;
    let found = bench.find("dlv_1").await;
    assert_eq!((found.state, found.finished, found.last_error), (State::Delivered, Some(at(2)), None));
    assert!(bench.claim(at(10_000)).await.claims.is_empty());
}

pub async fn a_retry_waits_for_its_time(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    bench.end(&claim, retry(at(60)), at(1)).await;
    let found = bench.find("dlv_1").await;
    assert_eq!((found.state, found.next, found.finished), (State::Retrying, at(60), None));
    assert_eq!(found.last_error.as_deref(), Some("answer: temporary"));
    assert!(bench.claim(at(59)).await.claims.is_empty());
    bench.claim_one(at(60)).await;
}

pub async fn a_lost_lease_cannot_settle(bench: Bench) {
    one(&bench).await;
    let first = bench.claim_one(start()).await;
    let second = bench.claim_one(at(LEASE)).await;
    let before = bench.find("dlv_1").await;
    assert!(is_lost(bench.settle(&first, dead(), at(LEASE)).await));
    assert!(is_lost(bench.release(&first, State::Due, "late", at(LEASE)).await));
    assert_eq!(bench.find("dlv_1").await, before);
    assert_eq!(bench.delivery(&ids(&["dlv_1"])[0]).await.unwrap().unwrap().1.len(), 1, "the lost one alone");
    bench.end(&second, delivered(), at(LEASE + 1)).await;
}

pub async fn a_claim_is_settled_once(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    bench.end(&claim, delivered(), at(1)).await;
    assert!(is_lost(bench.settle(&claim, retry(at(9)), at(2)).await));
    assert_eq!(bench.state("dlv_1").await, State::Delivered);
}

pub async fn a_late_settlement_counts_while_nobody_took_over(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    bench.end(&claim, delivered(), at(LEASE + 60)).await;
    assert_eq!(bench.state("dlv_1").await, State::Delivered);
}

pub async fn the_kept_message_is_there_at_the_next_attempt(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    assert_eq!(claim.delivery.message, None);
    bench.keep(&claim, "{\"title\":\"…\"}".into()).await.unwrap();
    bench.end(&claim, retry(at(5)), at(1)).await;
    assert_eq!(bench.claim_one(at(5)).await.delivery.message.as_deref(), Some("{\"title\":\"…\"}"));
}

pub async fn a_lost_claim_keeps_no_message(bench: Bench) {
    one(&bench).await;
    let first = bench.claim_one(start()).await;
    let second = bench.claim_one(at(LEASE)).await;
    assert!(is_lost(bench.keep(&first, "old".into()).await));
    bench.keep(&second, "new".into()).await.unwrap();
    assert_eq!(bench.find("dlv_1").await.message.as_deref(), Some("new"));
}

pub async fn attempts_are_recorded_in_order_and_cut_to_size(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    let mut long = retry(at(5));
    long.attempt.sent = "é".repeat(TEXT_MAX);
    long.attempt.answer = format!("x{}", "🎺".repeat(TEXT_MAX));
    bench.end(&claim, long, at(1)).await;
    let claim = bench.claim_one(at(5)).await;
    bench.end(&claim, Settlement { attempt: attempt(AttemptOutcome::Delivered), ..delivered() }, at(6)).await;
    let (found, attempts) = bench.delivery(&claim.delivery.planned.id).await.unwrap().unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(attempts[0].sent.len(), TEXT_MAX);
    assert!(attempts[0].answer.len() <= TEXT_MAX && attempts[0].answer.ends_with('🎺'));
    assert!(found.last_error.unwrap().len() <= TEXT_MAX);
    assert_eq!((attempts[1].took_ms, attempts[1].at), (120, start()));
}

pub async fn a_released_claim_is_due_again_and_uncounted(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    bench.release(&claim, State::Due, "shutting down", at(1)).await.unwrap();
    let found = bench.find("dlv_1").await;
    assert_eq!((found.state, found.attempts, found.first_attempt), (State::Due, 0, None));
    assert_eq!(found.counts_from, Some(start()), "it was due then");
    let again = bench.claim_one(at(1)).await;
    assert_eq!(again.delivery.attempts, 1);
    assert!(is_lost(bench.settle(&claim, delivered(), at(2)).await), "a claim given back is over");
    assert!(bench.delivery(&again.delivery.planned.id).await.unwrap().unwrap().1.is_empty());
}

pub async fn a_released_delivery_can_be_cancelled_with_a_reason(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    bench.release(&claim, State::Cancelled, "nothing of the case was shown", at(1)).await.unwrap();
    let found = bench.find("dlv_1").await;
    assert_eq!((found.state, found.finished), (State::Cancelled, Some(at(1))));
    assert_eq!(found.last_error.as_deref(), Some("nothing of the case was shown"));
}

pub async fn a_refused_form_stays_plain(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    assert!(!claim.delivery.plain);
    let refused = settlement(AttemptOutcome::Refused, State::Retrying, at(1));
    bench.end(&claim, Settlement { next: Next { plain: true, ..refused.next }, ..refused }, at(1)).await;
    assert!(bench.claim_one(at(1)).await.delivery.plain);
}

pub async fn signals_of_a_settlement_stand_in_the_inbox(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    let said: Signal = signals::died(&claim.delivery.planned, 1, "answer: permanent", false, at(1));
    bench.end(&claim, Settlement { signals: vec![said.clone()], ..dead() }, at(1)).await;
    assert_eq!(bench.signals().await, [said]);
    assert_eq!(bench.state("dlv_1").await, State::Dead);
}

pub async fn a_dead_delivery_can_be_revived_and_is_rendered_anew(bench: Bench) {
    one(&bench).await;
    let claim = bench.claim_one(start()).await;
    bench.keep(&claim, "old".into()).await.unwrap();
    let mut settlement = dead();
    settlement.next.plain = true;
    bench.end(&claim, settlement, at(1)).await;
    assert_eq!(bench.revive(&ids(&["dlv_1", "dlv_unknown"]), at(900)).await.unwrap(), 1);
    let found = bench.find("dlv_1").await;
    assert_eq!((found.state, found.next, found.finished), (State::Due, at(900), None));
    assert_eq!((found.message, found.plain, found.first_attempt), (None, false, None));
    let claim = bench.claim_one(at(901)).await;
    assert_eq!(claim.delivery.attempts, 2, "attempts are counted on");
    assert_eq!(claim.delivery.counts_from, Some(at(901)), "with all its patience");
}

pub async fn a_delivered_one_is_not_revived(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![delivery("dlv_1"), delivery("dlv_2")]).await;
    let claims = bench.claim(start()).await.claims;
    bench.end(&claims[0], delivered(), at(1)).await;
    assert_eq!(bench.revive(&ids(&["dlv_1", "dlv_2"]), at(2)).await.unwrap(), 0, "nor one that is under way");
    assert_eq!((bench.state("dlv_1").await, bench.state("dlv_2").await), (State::Delivered, State::Sending));
}

pub async fn what_waits_can_be_cancelled_and_what_is_under_way_cannot(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries((1..=4).map(|n| delivery(&format!("dlv_{n}"))).collect()).await;
    let claims = bench.claim(start()).await.claims;
    bench.end(&claims[0], delivered(), at(1)).await;
    bench.end(&claims[1], retry(at(60)), at(1)).await;
    bench.release(&claims[2], State::Due, "", at(1)).await.unwrap();
    let all = ids(&["dlv_1", "dlv_2", "dlv_3", "dlv_4"]);
    assert_eq!(bench.cancel(&all, "by mia", at(2)).await.unwrap(), 2);
    let states = [State::Delivered, State::Cancelled, State::Cancelled, State::Sending];
    for (id, state) in all.iter().zip(states) {
        assert_eq!(bench.state(&id.0).await, state, "{id}");
    }
    assert_eq!(bench.find("dlv_3").await.last_error.as_deref(), Some("by mia"));
    assert!(bench.claim(at(61)).await.claims.iter().all(|claim| claim.delivery.planned.id.0 == "dlv_4"));
    assert_eq!(bench.revive(&all[1..2], at(70)).await.unwrap(), 1, "what was called off can be called back");
}
