//! The shared table: what each answer means.

use fanfare::channels::verdict::{Family, in_words, masked, one_line, retry_after, seconds, shared};
use fanfare::channels::{Reply, Verdict};
use fanfare::delivery::AttemptOutcome;
use jiff::SignedDuration;
use proptest::prelude::*;

fn answer(status: u16, headers: &[(&str, &str)]) -> Reply {
    Reply::Http {
        status,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: b"said".to_vec(),
        whole: true,
    }
}

/// Status, then for somebody's endpoint and for a service: the outcome, `!` where the destination is failing.
const TABLE: &str = "
200 delivered  delivered
201 delivered  delivered
202 delivered  delivered
204 delivered  delivered
299 delivered  delivered
301 permanent  permanent
302 permanent  permanent
304 permanent  permanent
307 permanent  permanent
400 permanent  refused
401 temporary  permanent!
402 temporary  permanent
403 temporary  permanent!
404 temporary  permanent!
405 temporary  permanent
408 temporary  temporary
409 temporary  permanent
410 permanent! permanent!
413 permanent  refused
415 permanent  permanent
418 temporary  permanent
422 permanent  refused
425 temporary  temporary
429 limited    limited
451 temporary  permanent
499 temporary  permanent
500 temporary  temporary
501 temporary  temporary
502 temporary  temporary
503 temporary  temporary
504 temporary  temporary
529 temporary  temporary
599 temporary  temporary
101 temporary  temporary
999 temporary  temporary
";

#[test]
fn every_status_has_its_verdict() {
    let word = |verdict: Verdict| format!("{}{}", verdict.outcome.name(), if verdict.failing { "!" } else { "" });
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let mut cells = line.split_whitespace();
        let status = cells.next().unwrap().parse().unwrap();
        let http = word(shared(Family::Http, &answer(status, &[])));
        let service = word(shared(Family::Service, &answer(status, &[])));
        assert_eq!((Some(http.as_str()), Some(service.as_str())), (cells.next(), cells.next()), "{line}");
    }
}

#[test]
fn what_was_not_sent_is_temporary_and_what_was_not_answered_ambiguous() {
    for family in [Family::Http, Family::Service] {
        let outcome = |reply| shared(family, &reply).outcome;
        assert_eq!(outcome(Reply::NotSent("x".into())), AttemptOutcome::Temporary);
        assert_eq!(outcome(Reply::NoAnswer("x".into())), AttemptOutcome::Ambiguous);
        assert_eq!(outcome(Reply::Nothing), AttemptOutcome::Delivered);
    }
}

#[test]
fn a_wait_that_makes_sense_is_kept() {
    const DATE: (&str, &str) = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
    let ms = SignedDuration::from_millis;
    let table = [
        ("0", Some(ms(0))),
        ("5", Some(ms(5000))),
        (" 5 ", Some(ms(5000))),
        ("0.65", Some(ms(650))),
        ("9999999999", Some(SignedDuration::from_hours(366 * 24))),
        ("99999999999999999999999999", Some(SignedDuration::from_hours(366 * 24))),
        ("Wed, 21 Oct 2026 07:29:30 GMT", Some(ms(90_000))),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(ms(0))),
        ("-1", None),
        ("+5", None),
        ("NaN", None),
        ("inf", None),
        ("1e9", None),
        ("", None),
        (".", None),
        ("5s", None),
        ("soon", None),
        ("1.2.3", None),
        ("５", None),
    ];
    for (text, expected) in table {
        assert_eq!(retry_after(&answer(429, &[DATE, ("retry-after", text)])), expected, "{text:?}");
    }
    let no_date = answer(429, &[("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT")]);
    assert_eq!(retry_after(&no_date), None);
}

#[test]
fn a_date_to_wait_for_counts_from_our_own_clock_where_the_answer_has_none() {
    let now = "2026-10-21T07:28:00Z".parse().unwrap();
    let asked = [("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT")];
    let wait = |reply: Reply| shared(Family::Http, &reply.dated(now)).wait;
    assert_eq!(wait(answer(503, &asked)), Some(SignedDuration::from_secs(90)));
    let theirs = [asked[0], ("date", "Wed, 21 Oct 2026 07:29:00 GMT")];
    assert_eq!(wait(answer(503, &theirs)), Some(SignedDuration::from_secs(30)), "theirs goes before ours");
}

#[test]
fn each_recipient_of_a_mail_is_judged_for_itself() {
    let reply = |accepted: &[&str], refused: &[(&str, u16)], code: Option<u16>| Reply::Mail {
        accepted: accepted.iter().map(|to| (*to).to_owned()).collect(),
        refused: refused.iter().map(|(to, code)| ((*to).to_owned(), *code, "said".to_owned())).collect(),
        code,
        text: "kept".into(),
    };
    let judged = |reply: &Reply| {
        let verdict = shared(Family::Http, reply);
        (verdict.outcome, verdict.settled, verdict.lost)
    };
    let table: [(Reply, AttemptOutcome, &[&str], Option<&str>); 6] = [
        (reply(&["a@x"], &[], Some(250)), AttemptOutcome::Delivered, &["a@x"], None),
        (reply(&["a@x"], &[("b@x", 450)], Some(250)), AttemptOutcome::Partial, &["a@x"], None),
        (
            reply(&["a@x"], &[("b@x", 550)], Some(250)),
            AttemptOutcome::Delivered,
            &["a@x", "b@x"],
            Some("b…@x (550 said)"),
        ),
        (
            reply(&["a@x"], &[("b@x", 550), ("c@x", 452)], Some(250)),
            AttemptOutcome::Partial,
            &["a@x", "b@x"],
            Some("b…@x (550 said)"),
        ),
        (reply(&[], &[("b@x", 550), ("c@x", 452)], None), AttemptOutcome::Temporary, &["b@x"], Some("b…@x (550 said)")),
        (reply(&[], &[("b@x", 550), ("c@x", 553)], None), AttemptOutcome::Permanent, &[], None),
    ];
    for (reply, outcome, settled, lost) in table {
        let settled: Vec<String> = settled.iter().map(|to| (*to).to_owned()).collect();
        let lost = lost.map(|who| format!("refused for {who}"));
        assert_eq!(judged(&reply), (outcome, settled, lost), "{reply:?}");
    }
}

#[test]
fn only_what_is_tried_again_waits() {
    for (status, waits) in [(429, true), (503, true), (500, true), (200, false), (400, false), (410, false)] {
        let verdict = shared(Family::Http, &answer(status, &[("retry-after", "7")]));
        assert_eq!(verdict.wait.is_some(), waits, "{status}");
    }
}

#[test]
fn a_reason_is_one_short_line() {
    assert_eq!(in_words(404, "no_service"), "404 Not Found: no_service");
    assert_eq!(in_words(200, "ok"), "200 OK");
    assert_eq!(in_words(599, ""), "599");
    assert_eq!(in_words(500, "a\r\n\tb\u{1b}[2Jc\0d"), "500 Internal Server Error: a b [2Jc d");
    assert_eq!(one_line(&"x".repeat(300)), format!("{}…", "x".repeat(200)));
}

#[test]
fn an_address_is_masked() {
    assert_eq!(masked("ann@label.example"), "a…@label.example");
    assert_eq!(masked("\"a@b\"@label.example"), "\"…@label.example");
    assert_eq!(masked("nobody"), "…");
}

proptest! {
    #[test]
    fn no_reply_makes_it_panic(status in any::<u16>(), header in ".{0,40}", body in ".{0,300}") {
        let reply = Reply::Http {
            status,
            headers: vec![("retry-after".into(), header.clone()), ("date".into(), header.clone())],
            body: body.into_bytes(),
            whole: true,
        };
        for family in [Family::Http, Family::Service] {
            let verdict = shared(family, &reply);
            prop_assert!(verdict.wait.is_none_or(|wait| !wait.is_negative()));
            prop_assert!(!verdict.reason.contains('\n'));
        }
        seconds(&header);
    }
}
