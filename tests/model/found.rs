//! What the histories found, each told again by itself.

use serde_json::{Value, json};

use super::histories::{Kind, play};
use super::scripts::{Script, Step};
use super::{DAY, HOUR, MINUTE, Ms};

fn opened(number: usize, date: Ms) -> Step {
    Step::Send { number, kind: "opened", key: "K1", late: 0, date }
}

/// A history of one case that stays open for days, which sends a message every other hour.
fn reminded(with: &str, what: Value) -> Script {
    let mut action = json!({"name": "sum", "to": "mail", "repeat": "2h"});
    action[with] = what;
    let rule =
        json!({"name": "case", "events": "opened", "case": "$.data.key", "closes_after": "5d", "actions": action});
    Script { versions: vec![json!({"rules": [rule]})], steps: vec![opened(1, 0), Step::Wait(4 * DAY)] }
}

#[test]
fn each_digest_of_a_case_s_reminders_is_made_though_all_speak_about_the_same_event() {
    let (wrong, said) = play(Kind::Memory, &reminded("digest", json!({"every": "1d", "limit": 5})));
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(
        said, 4,
        "one a day, the announcement among them; what is collected when the case is forgotten is not told"
    );
    let throttle = json!({"max": 1, "every": "1d", "rest": "digest"});
    let (wrong, said) = play(Kind::Memory, &reminded("throttle", throttle));
    assert_eq!(wrong, Vec::<String>::new());
    assert!(said > 5, "{said}");
}

#[test]
fn a_date_that_another_event_brings_in_time_is_reported_with_that_event() {
    let due = json!({"name": "due", "to": "mail", "at": "$.data.date"});
    let rule = json!({"name": "dated", "events": "opened", "case": "$.data.key", "actions": due});
    // The date is past when the second event comes, with another that is past too; neither was announced yet.
    let steps = vec![opened(1, -HOUR), Step::Plan, opened(2, -2 * HOUR)];
    let (wrong, said) = play(Kind::Memory, &Script { versions: vec![json!({"rules": [rule]})], steps });
    assert_eq!((wrong, said), (Vec::new(), 1));
}

#[test]
fn a_clock_that_is_set_back_does_not_bring_the_end_of_a_case_nearer() {
    let say = |name: &str| json!({"name": name, "to": "chat"});
    let rule = json!({"name": "case", "events": "opened", "case": "$.data.key", "closes_after": "2d", "actions": say("open"), "on_close": say("over")});
    let heard = [opened(1, 0), Step::Wait(2 * MINUTE), opened(2, 0), Step::Plan];
    let steps = heard.into_iter().chain([Step::Jump(-DAY), opened(3, 0)]).collect();
    let (wrong, said) = play(Kind::Memory, &Script { versions: vec![json!({"rules": [rule]})], steps });
    assert_eq!((wrong, said), (Vec::new(), 4));
}

#[test]
fn a_clock_that_is_set_back_does_not_bring_the_end_of_a_wait_nearer() {
    let rule = json!({"name": "awaited", "missing": {"events": "opened", "for": "3d"}, "closes_after": "12h", "actions": {"name": "ask", "to": "chat"}});
    // It waits anew since the end of the case of the first absence.
    let steps = vec![Step::Wait(4 * DAY), opened(1, 0), Step::Jump(-DAY), Step::Wait(4 * DAY)];
    let (wrong, said) = play(Kind::Memory, &Script { versions: vec![json!({"rules": [rule]})], steps });
    assert_eq!(wrong, Vec::<String>::new());
    assert!(said > 2, "{said}");
}

#[test]
fn a_reminder_that_waited_never_takes_the_place_of_one_that_is_due_as_the_window_opens() {
    let hours = json!({"days": "mon-sun", "from": "22:00", "to": "06:00", "timezone": "UTC"});
    let late = json!({"name": "late", "to": "chat", "after": "2h", "repeat": "5h", "hours": hours});
    let rule = json!({"name": "case", "events": "opened", "case": "$.data.key", "closes_after": "3d", "actions": late});
    // Opened at ten: due at noon, at five, which takes the place of that, and at ten, as the window opens.
    let steps = vec![opened(1, 0), Step::Wait(11 * HOUR), opened(2, 0)];
    let (wrong, _) = play(Kind::Memory, &Script { versions: vec![json!({"rules": [rule]})], steps });
    assert_eq!(wrong, Vec::<String>::new());
}
