//! What the histories found, each told again by itself.

use super::histories::{Kind, play};
use super::scripts::{Script, Step};
use super::spec::{Action, DAY, Digest, HOUR, Spec, Throttle};

/// A history of one case that stays open for days.
fn reminded(action: Action) -> Script {
    let spec = Spec {
        line: "case",
        name: "case",
        events: vec!["opened"],
        case: true,
        closes_after: Some(5 * DAY),
        actions: vec![Action { repeat: Some(2 * HOUR), ..action }],
        ..Spec::default()
    };
    let opened = Step::Send { number: 1, kind: "opened", key: "K1", late: 0, date: 0 };
    Script { versions: vec![vec![spec]], steps: vec![opened, Step::Wait(4 * DAY)] }
}

#[test]
fn each_digest_of_a_case_s_reminders_is_made_though_all_speak_about_the_same_event() {
    let digest = Some(Digest { every: DAY, limit: 5 });
    let (wrong, said) = play(Kind::Memory, &reminded(Action { digest, ..Action::new("sum", &["mail"]) }));
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(
        said, 4,
        "one a day, the announcement among them; what is collected when the case is forgotten is not told"
    );
    let throttle = Some(Throttle { max: 1, every: DAY, rest_digest: true });
    let (wrong, said) = play(Kind::Memory, &reminded(Action { throttle, ..Action::new("rest", &["mail"]) }));
    assert_eq!(wrong, Vec::<String>::new());
    assert!(said > 5, "{said}");
}

#[test]
fn a_date_that_another_event_brings_in_time_is_reported_with_that_event() {
    let spec = Spec {
        line: "dated",
        name: "dated",
        events: vec!["opened"],
        case: true,
        actions: vec![Action { before: Some(0), ..Action::new("due", &["mail"]) }],
        ..Spec::default()
    };
    let opened = |number, date| Step::Send { number, kind: "opened", key: "K1", late: 0, date };
    // The date is past when the second event comes, with another that is past too; neither was notified of yet.
    let steps = vec![opened(1, -HOUR), Step::Plan, opened(2, -2 * HOUR)];
    let (wrong, said) = play(Kind::Memory, &Script { versions: vec![vec![spec]], steps });
    assert_eq!((wrong, said), (Vec::new(), 1));
}
