//! What a destination is spared: the rate, the breaker, the pause it asked for.

use fanfare::delivery::{AttemptOutcome, State};
use fanfare::event::{Event, own};
use fanfare::pace::Limits;
use fanfare::store::{Room, Settlement};
use jiff::SignedDuration;
use serde_json::json;

use super::bench::{Bench, at, dead, delivered, delivery, retry, room, settlement, start, to};

fn rated() -> Room {
    let limits = Limits { spacing: Some(SignedDuration::from_secs(10)), burst: 2, concurrency: 10 };
    Room { limits, ..room("slack") }
}

async fn some(bench: &Bench, count: usize) {
    bench.event("evt_1").await;
    bench.deliveries((0..count).map(|n| delivery(&format!("dlv_{n}"))).collect()).await;
}

/// Fails five times in a row, which opens the breaker at second 1.
async fn break_it(bench: &Bench) {
    let claims = bench.claim(start()).await.claims;
    assert!(claims.len() >= 5);
    for claim in claims.iter().take(5) {
        bench.end(claim, retry(at(2)), at(1)).await;
    }
    for claim in claims.iter().skip(5) {
        bench.release(claim, State::Due, "", at(1)).await.unwrap();
    }
}

pub async fn a_rate_is_kept_over_claims(bench: Bench) {
    some(&bench, 6).await;
    let mut taken = Vec::new();
    for second in [0, 1, 9, 10, 19, 20, 21, 60] {
        taken.push(bench.claim_in(at(second), &[rated()]).await.claims.len());
    }
    assert_eq!(taken, [2, 0, 0, 1, 0, 1, 0, 2]);
}

pub async fn next_is_when_the_rate_allows_more(bench: Bench) {
    some(&bench, 3).await;
    let claimed = bench.claim_in(start(), &[rated()]).await;
    assert_eq!((claimed.claims.len(), claimed.next), (2, Some(at(10))));
    for claim in &claimed.claims {
        bench.end(claim, delivered(), at(1)).await;
    }
    assert_eq!(bench.claim_in(at(2), &[rated()]).await.next, Some(at(10)));
}

pub async fn five_failures_open_the_breaker_and_one_probe_goes_through(bench: Bench) {
    some(&bench, 8).await;
    break_it(&bench).await;
    let shut_out = bench.claim(at(10)).await;
    assert!(shut_out.claims.is_empty());
    assert_eq!(shut_out.next, Some(at(31)), "half a minute");
    assert_eq!(bench.find("dlv_0").await.attempts, 1, "waiting costs no attempt");
    let probe = bench.claim(at(31)).await;
    assert_eq!(probe.claims.len(), 1);
    assert!(bench.claim(at(32)).await.claims.is_empty(), "one at a time");
    bench.end(&probe.claims[0], retry(at(500)), at(33)).await;
    assert_eq!(bench.claim(at(60)).await.next, Some(at(93)), "twice as long");
    let probe = bench.claim(at(93)).await.claims;
    bench.end(&probe[0], delivered(), at(94)).await;
    assert_eq!(bench.claim(at(94)).await.claims.len(), 6, "and all may go again");
}

pub async fn a_probe_given_back_lets_another_go(bench: Bench) {
    some(&bench, 6).await;
    break_it(&bench).await;
    let probe = bench.claim(at(31)).await.claims.remove(0);
    bench.release(&probe, State::Cancelled, "nothing was shown", at(32)).await.unwrap();
    assert_eq!(bench.claim(at(32)).await.claims.len(), 1);
}

pub async fn a_destination_that_fails_is_reported_once_and_its_recovery_once(bench: Bench) {
    some(&bench, 6).await;
    let claims = bench.claim(start()).await.claims;
    for claim in &claims[..3] {
        bench.end(claim, Settlement { failing: true, ..dead() }, at(1)).await;
    }
    let told = bench.signals().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind.as_str(), told[0].destination.as_deref()), (own::FAILING, Some("slack")));
    assert_eq!(told[0].data["reason"], "answer: permanent");
    for claim in &claims[3..5] {
        bench.end(claim, delivered(), at(2)).await;
    }
    let kinds: Vec<String> = bench.signals().await.into_iter().map(|signal| signal.kind).collect();
    assert_eq!(kinds, [own::FAILING, own::RECOVERED]);
    let standing = bench.standings().await.unwrap().remove(0);
    assert!(!standing.pace.is_failing());
}

pub async fn what_an_own_event_set_off_is_marked_so(bench: Bench) {
    let own = Event::own("fanfare.delivery.dead", "own-1", start(), json!({"delivery": "dlv_0"}));
    let seq = bench.receive(own).await;
    let about = |id: &str| {
        let mut delivery = delivery(id);
        delivery.event = seq;
        delivery
    };
    bench.deliveries(vec![about("dlv_1"), about("dlv_2")]).await;
    let claims = bench.claim(start()).await.claims;
    bench.end(&claims[0], Settlement { failing: true, ..dead() }, at(1)).await;
    for n in 1..4 {
        bench.claim(at(n * 100)).await;
    }
    let told = bench.signals().await;
    assert_eq!(told.len(), 2, "a destination that fails, a delivery that was lost too often");
    assert!(told.iter().all(|signal| signal.from_own));
}

pub async fn a_limited_destination_pauses_for_as_long_as_it_asked(bench: Bench) {
    some(&bench, 2).await;
    let claims = bench.claim(start()).await.claims;
    let limited = settlement(AttemptOutcome::Limited, State::Retrying, at(121));
    bench.end(&claims[0], Settlement { wait: Some(SignedDuration::from_secs(120)), ..limited }, at(1)).await;
    bench.release(&claims[1], State::Due, "", at(1)).await.unwrap();
    let paused = bench.claim(at(120)).await;
    assert!(paused.claims.is_empty());
    assert_eq!(paused.next, Some(at(121)));
    assert_eq!(bench.claim(at(121)).await.claims.len(), 2);
}

pub async fn standings_show_every_destination_spoken_to(bench: Bench) {
    bench.event("evt_1").await;
    bench.deliveries(vec![to("b", "dlv_1"), to("a", "dlv_2"), to("silent", "dlv_3")]).await;
    bench.claim_in(start(), &[room("a"), room("b"), room("nothing")]).await;
    let names: Vec<String> =
        bench.standings().await.unwrap().into_iter().map(|standing| standing.destination).collect();
    assert_eq!(names, ["a", "b"]);
}
