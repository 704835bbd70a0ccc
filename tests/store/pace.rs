//! The retry schedule, the rate and the breaker, over all kinds of input.

use fanfare::clock::plus;
use fanfare::delivery::{AttemptOutcome, State};
use fanfare::pace::{Change, Limits, Next, Pace, RETRY_AFTER_MAX, Retry, Tried};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::bench::{at, start};

fn ms(ms: i64) -> SignedDuration {
    SignedDuration::from_millis(ms)
}

fn tried(outcome: AttemptOutcome, number: u32) -> Tried {
    Tried { outcome, wait: None, number, plain: false, from: start() }
}

fn patient() -> Retry {
    Retry { give_up: SignedDuration::from_hours(24 * 365), ..Retry::default() }
}

/// The wait after an attempt that failed for now.
fn wait(retry: &Retry, number: u32, dice: f64) -> SignedDuration {
    let next = retry.next(&tried(AttemptOutcome::Temporary, number), start(), dice);
    assert_eq!(next.state, State::Retrying);
    next.at.duration_since(start())
}

#[test]
fn waits_double_from_the_first_to_the_longest() {
    let waits: Vec<i64> = (1..=10).map(|number| wait(&patient(), number, 1.0).as_secs()).collect();
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
    assert_eq!(wait(&patient(), 3, 0.0).as_secs(), 10, "half of it at least");
    assert_eq!(wait(&patient(), u32::MAX, 1.0).as_secs(), 900);
}

#[test]
fn what_becomes_of_a_delivery_follows_from_the_outcome() {
    let retry = Retry::default();
    for (outcome, plain, state) in [
        (AttemptOutcome::Delivered, false, State::Delivered),
        (AttemptOutcome::Permanent, false, State::Dead),
        (AttemptOutcome::Refused, false, State::Retrying),
        (AttemptOutcome::Refused, true, State::Dead),
        (AttemptOutcome::Limited, false, State::Retrying),
        (AttemptOutcome::Temporary, false, State::Retrying),
        (AttemptOutcome::Ambiguous, false, State::Retrying),
    ] {
        let next = retry.next(&Tried { plain, ..tried(outcome, 1) }, at(1), 0.5);
        assert_eq!(
            (next.state, next.plain),
            (state, plain || outcome == AttemptOutcome::Refused),
            "{outcome:?} {plain}"
        );
    }
    let refused = retry.next(&tried(AttemptOutcome::Refused, 1), at(1), 0.5);
    assert_eq!(refused, Next { state: State::Retrying, at: at(1), plain: true }, "plain text goes at once");
}

#[test]
fn the_later_of_schedule_and_retry_after_is_kept_up_to_an_hour() {
    for (asked, waited) in [(0, 5), (3, 5), (60, 60), (3600, 3600), (1_000_000_000, 3600), (-7, 5)] {
        let limited = Tried { wait: Some(SignedDuration::from_secs(asked)), ..tried(AttemptOutcome::Limited, 1) };
        let next = Retry::default().next(&limited, start(), 1.0);
        assert_eq!(next.at, at(waited), "{asked}");
    }
}

#[test]
fn the_last_attempt_is_just_when_patience_ends() {
    let retry = Retry { give_up: SignedDuration::from_mins(10), ..Retry::default() };
    let next = |now| retry.next(&tried(AttemptOutcome::Temporary, 8), now, 1.0);
    assert_eq!(next(at(100)).at, at(600), "the schedule says later");
    assert_eq!((next(at(599)).state, next(at(599)).at), (State::Retrying, at(600)));
    assert_eq!(next(at(600)).state, State::Dead);
    let why = retry.given_up(&tried(AttemptOutcome::Temporary, 8), at(600)).unwrap();
    assert!(why.contains("given up 10m after it became due"), "{why}");
    // What it waited for a rate has moved `from` on.
    let waited = Tried { from: at(300), ..tried(AttemptOutcome::Temporary, 2) };
    assert_eq!(retry.next(&waited, at(600), 1.0).state, State::Retrying);
}

#[test]
fn who_asks_for_more_patience_than_is_left_is_not_asked_again_and_that_is_said() {
    let retry = Retry { give_up: SignedDuration::from_mins(10), ..Retry::default() };
    let asked = Tried { wait: Some(SignedDuration::from_mins(30)), ..tried(AttemptOutcome::Limited, 1) };
    assert_eq!(retry.next(&asked, at(1), 1.0).state, State::Dead);
    let why = retry.given_up(&asked, at(1)).unwrap();
    assert!(why.contains("wait of 30m") && why.contains("10m after it became due"), "{why}");
    for outcome in [AttemptOutcome::Delivered, AttemptOutcome::Permanent, AttemptOutcome::Refused] {
        assert_eq!(retry.given_up(&Tried { outcome, ..asked }, at(9000)), None, "{outcome:?} ends by itself");
    }
}

#[test]
fn one_that_was_limited_without_a_hint_is_tried_again_when_its_destination_may_be() {
    let mut pace = Pace::default();
    pace.after(AttemptOutcome::Limited, None, false, start());
    let next = Retry::default().next(&tried(AttemptOutcome::Limited, 1), start(), 1.0);
    assert_eq!(next.at, at(30));
    let limits = Limits { spacing: None, burst: 1, concurrency: 1 };
    assert_eq!(pace.free_at(&limits), next.at, "never before, so that it is never in the past");
}

proptest! {
    #[test]
    fn later_waits_are_never_shorter_before_the_longest_is_reached(
        first_ms in 1..600_000_i64, max_ms in 1..86_400_000_i64, number in 1..40_u32, a in 0.0..1.0, b in 0.0..1.0,
    ) {
        let retry = Retry { first: ms(first_ms), max: ms(max_ms), ..patient() };
        let (sooner, later) = (wait(&retry, number, a), wait(&retry, number + 1, b));
        prop_assert!(later <= ms(max_ms) && sooner <= ms(max_ms));
        prop_assert!(wait(&retry, number + 1, a) >= sooner);
        if wait(&retry, number + 1, 1.0) < ms(max_ms) {
            prop_assert!(later >= sooner - ms(1));
        }
    }

    #[test]
    fn no_answer_can_make_a_delivery_wait_beyond_reason(
        asked in any::<i64>(), number in any::<u32>(), dice in any::<f64>(), max_ms in 0..86_400_000_i64,
    ) {
        let retry = Retry { max: ms(max_ms), ..patient() };
        let limited = Tried { wait: Some(SignedDuration::from_secs(asked)), ..tried(AttemptOutcome::Limited, number) };
        let next = retry.next(&limited, start(), dice);
        prop_assert!(next.at >= start());
        prop_assert!(next.at <= plus(start(), RETRY_AFTER_MAX.max(ms(max_ms))));
    }

    #[test]
    fn a_rate_is_never_exceeded_in_any_window(
        spacing_ms in 1..5_000_i64, burst in 1..20_u32,
        calls in prop::collection::vec((0..20_000_i64, 1..30_u32), 1..60),
    ) {
        let limits = Limits { spacing: Some(ms(spacing_ms)), burst, concurrency: 100 };
        let mut pace = Pace::default();
        let mut now = start();
        let mut sent: Vec<(i64, u32)> = Vec::new();
        for (pause, wanted) in calls {
            now = plus(now, ms(pause));
            let free_at = pace.free_at(&limits);
            let admitted = pace.admit(&limits, wanted, now, plus(now, ms(30_000)));
            prop_assert!(admitted <= wanted);
            prop_assert_eq!(admitted > 0, free_at <= now, "free_at tells the truth");
            sent.push((now.as_millisecond(), admitted));
        }
        for (from, (start_ms, _)) in sent.iter().enumerate() {
            let mut total = 0;
            for (end_ms, count) in &sent[from..] {
                total += i64::from(*count);
                prop_assert!(total <= i64::from(burst) + (end_ms - start_ms) / spacing_ms);
            }
        }
    }

    #[test]
    fn a_rate_is_used_in_full(spacing_ms in 1..5_000_i64, burst in 1..20_u32, steps in 1..200_i64) {
        let limits = Limits { spacing: Some(ms(spacing_ms)), burst, concurrency: 100 };
        let mut pace = Pace::default();
        let mut total = 0;
        for step in 0..=steps {
            let now = plus(start(), ms(step * spacing_ms));
            total += i64::from(pace.admit(&limits, 1000, now, plus(now, ms(30_000))));
        }
        prop_assert_eq!(total, i64::from(burst) + steps);
    }

    #[test]
    fn whatever_happens_a_destination_is_tried_again_within_an_hour(
        events in prop::collection::vec((0..6_usize, 0..4_000_000_i64, any::<bool>(), any::<i64>()), 0..60),
        back_ms in 0..4_000_000_i64,
    ) {
        let limits = Limits { spacing: Some(ms(1000)), burst: 5, concurrency: 4 };
        let mut pace = Pace::default();
        let mut now = start();
        for (outcome, pause, failing, asked) in events {
            now = plus(now, ms(pause));
            pace.admit(&limits, 3, now, plus(now, ms(40_000)));
            pace.after(AttemptOutcome::ALL[outcome], Some(SignedDuration::from_secs(asked)), failing, now);
        }
        // The clock is set back; nothing waits for the time that it was.
        now = plus(now, ms(-back_ms));
        pace.admit(&limits, 0, now, now);
        prop_assert!(pace.free_at(&limits) <= plus(now, RETRY_AFTER_MAX));
    }
}

fn open_breaker() -> Pace {
    let mut pace = Pace::default();
    for _ in 0..4 {
        assert_eq!(pace.after(AttemptOutcome::Temporary, None, false, start()), None);
    }
    assert_eq!(pace.after(AttemptOutcome::Ambiguous, None, false, start()), Some(Change::Failing));
    pace
}

fn free() -> Limits {
    Limits { spacing: None, burst: 1, concurrency: 10 }
}

#[test]
fn a_half_open_breaker_admits_one_probe_and_no_second_while_it_runs() {
    let mut pace = open_breaker();
    assert_eq!(pace.admit(&free(), 5, at(29), at(69)), 0);
    assert_eq!(pace.admit(&free(), 5, at(30), at(70)), 1);
    assert_eq!(pace.admit(&free(), 5, at(31), at(71)), 0);
    assert_eq!(pace.free_at(&free()), at(70));
    assert_eq!(pace.admit(&free(), 5, at(70), at(110)), 1, "its process died: another probes");
}

#[test]
fn each_failed_probe_doubles_the_pause_up_to_a_quarter_of_an_hour() {
    let mut pace = open_breaker();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let now = pace.free_at(&free());
        assert_eq!(pace.admit(&free(), 1, now, plus(now, ms(40_000))), 1);
        assert_eq!(pace.after(AttemptOutcome::Temporary, None, false, now), None);
        pauses.push(pace.free_at(&free()).duration_since(now).as_secs());
    }
    assert_eq!(pauses, [60, 120, 240, 480, 900, 900, 900, 900]);
}

#[test]
fn attempts_that_were_under_way_when_the_breaker_opened_do_not_lengthen_it() {
    let mut pace = open_breaker();
    for _ in 0..3 {
        pace.after(AttemptOutcome::Temporary, None, false, at(5));
    }
    assert_eq!(pace.free_at(&free()), at(30));
}

#[test]
fn a_probe_that_gets_through_shuts_the_breaker() {
    for (outcome, change) in [
        (AttemptOutcome::Delivered, Some(Change::Recovered)),
        (AttemptOutcome::Permanent, Some(Change::Recovered)),
        (AttemptOutcome::Refused, Some(Change::Recovered)),
        (AttemptOutcome::Limited, None),
        (AttemptOutcome::Temporary, None),
    ] {
        let mut pace = open_breaker();
        pace.admit(&free(), 1, at(30), at(70));
        assert_eq!(pace.after(outcome, Some(ms(0)), false, at(31)), change, "{outcome:?}");
        assert_eq!(pace.admit(&free(), 5, at(32), at(70)) > 1, change.is_some(), "{outcome:?}");
    }
}

#[test]
fn a_destination_marked_failing_is_well_again_when_something_is_delivered() {
    let mut pace = Pace::default();
    assert_eq!(pace.after(AttemptOutcome::Permanent, None, true, start()), Some(Change::Failing));
    assert_eq!(pace.after(AttemptOutcome::Permanent, None, true, start()), None);
    assert_eq!(pace.after(AttemptOutcome::Permanent, None, false, start()), None, "it answered, and is still gone");
    assert_eq!(pace.after(AttemptOutcome::Delivered, None, false, start()), Some(Change::Recovered));
    assert_eq!(pace.after(AttemptOutcome::Delivered, None, false, start()), None);
}

#[test]
fn a_probe_needs_a_slot_of_the_rate_too() {
    let limits = Limits { spacing: Some(SignedDuration::from_secs(100)), burst: 1, concurrency: 10 };
    let mut pace = open_breaker();
    pace.slot_ms = at(50).as_millisecond();
    assert_eq!(pace.admit(&limits, 1, at(40), at(80)), 0);
    assert_eq!(pace.probe_ms, 0, "no place is taken by a probe that can't go");
    assert_eq!(pace.admit(&limits, 1, at(50), at(90)), 1);
}

#[test]
fn extreme_limits_and_times_overflow_nowhere() {
    for spacing in [SignedDuration::MAX, SignedDuration::MIN, SignedDuration::ZERO] {
        let limits = Limits { spacing: Some(spacing), burst: u32::MAX, concurrency: 0 };
        for now in [Timestamp::MIN, start(), Timestamp::MAX] {
            let mut pace = Pace { slot_ms: i64::MAX, cool_ms: i64::MAX, open_ms: i64::MIN, ..Pace::default() };
            pace.admit(&limits, 3, now, Timestamp::MAX);
            for outcome in AttemptOutcome::ALL {
                pace.after(outcome, Some(SignedDuration::MAX), true, now);
            }
            pace.free_at(&limits);
        }
    }
}

#[test]
fn what_is_stored_by_an_older_version_is_read() {
    let pace: Pace = serde_json::from_str(r#"{"slot_ms": 5}"#).unwrap();
    assert_eq!(pace, Pace { slot_ms: 5, ..Pace::default() });
}
