//! What the histories found about deadlines, each told again by itself.

use fanfare::event::{Command, UpcomingOp};
use serde_json::{Value, json};

use super::histories::{Kind, play};
use super::scripts::{Script, Step};
use super::{DAY, HOUR, Ms};

fn send(number: usize, kind: &'static str, date: Ms) -> Step {
    Step::Send { number, kind, key: "K1", late: 0, date }
}

fn acknowledged() -> Step {
    let (rule, key, by) = ("case".into(), "K1".into(), "cem".into());
    Step::Person(Command::AckCase { rule, key, by, note: None })
}

fn card(to: &Value, deadline: &str) -> Value {
    let mut card = json!({"name": "card", "to": to, "text": "{{ events|length }}", "update": true});
    if !deadline.is_empty() {
        card["deadline"] = deadline.into();
    }
    card
}

fn rule(actions: &Value) -> Value {
    let rule = json!({"name": "case", "events": "opened", "case": "$.data.key", "closed_by": "closed", "closes_after": "40d", "actions": actions});
    json!({"rules": [rule]})
}

fn by_day(mut action: Value) -> Value {
    action["hours"] = json!({"from": "09:00", "to": "18:00", "timezone": "UTC"});
    action
}

fn told_as_documented(versions: &[Value], steps: &[Step]) {
    let (wrong, _) = play(Kind::Memory, &Script { versions: versions.to_vec(), steps: steps.to_vec() });
    assert_eq!(wrong, Vec::<String>::new());
}

const DATE: &str = "$.data.date";

#[test]
fn an_incident_that_was_overdue_is_closed_by_its_card_without_a_last_message() {
    let rules = rule(&json!([card(&json!("pager"), DATE)]));
    told_as_documented(&[rules], &[send(1, "opened", HOUR), Step::Wait(DAY), send(2, "closed", 0)]);
}

#[test]
fn the_last_message_comes_though_the_case_closes_while_the_other_one_waits_for_its_hours() {
    let rules = rule(&json!([by_day(card(&json!("chat"), DATE))]));
    told_as_documented(&[rules], &[send(1, "opened", 9 * HOUR), Step::Wait(10 * HOUR), send(2, "closed", 0)]);
}

#[test]
fn the_last_message_comes_though_the_other_one_was_part_of_a_summary() {
    let late = by_day(json!({"name": "late", "to": "chat", "after": "10h"}));
    let rules = rule(&json!([by_day(card(&json!("chat"), DATE)), late]));
    told_as_documented(&[rules], &[send(1, "opened", 9 * HOUR), Step::Wait(2 * DAY), send(2, "closed", 0)]);
}

#[test]
fn a_past_date_after_one_that_put_it_off_makes_the_message_critical_again() {
    let rules = rule(&json!([card(&json!("board"), DATE)]));
    let steps = [send(1, "opened", -DAY), Step::Wait(HOUR), send(2, "opened", 5 * DAY), Step::Wait(HOUR)];
    told_as_documented(&[rules], &[&steps[..], &[send(3, "opened", -DAY)]].concat());
}

#[test]
fn an_acknowledgement_does_not_stop_a_deadline_that_was_put_off() {
    let rules = rule(&json!([card(&json!("board"), DATE)]));
    let steps =
        [send(1, "opened", DAY), Step::Wait(2 * DAY), send(2, "opened", 5 * DAY), Step::Wait(HOUR), acknowledged()];
    told_as_documented(&[rules], &steps);
}

#[test]
fn an_acknowledgement_does_not_stop_a_reminder_at_a_date_that_was_put_off() {
    let rules = rule(&json!([{"name": "due", "to": "chat", "at": DATE}]));
    let steps =
        [send(1, "opened", DAY), Step::Wait(2 * DAY), send(2, "opened", 5 * DAY), Step::Wait(HOUR), acknowledged()];
    told_as_documented(&[rules], &steps);
}

#[test]
fn what_a_person_made_critical_before_its_time_stays_so() {
    let rules = rule(&json!([card(&json!("board"), DATE)]));
    let now = Step::Hand { nth: 0, does: UpcomingOp::Send };
    let steps =
        [send(1, "opened", 5 * DAY), Step::Wait(HOUR), now, Step::Wait(HOUR), send(2, "opened", 5 * DAY - 2 * HOUR)];
    told_as_documented(&[rules], &steps);
}

#[test]
fn an_older_match_that_comes_late_makes_nothing_critical_whose_deadline_was_cancelled() {
    let rules = rule(&json!([card(&json!("board"), DATE)]));
    let cancel = Step::Hand { nth: 0, does: UpcomingOp::Cancel };
    let older = Step::Send { number: 2, kind: "opened", key: "K1", late: DAY, date: -DAY };
    told_as_documented(&[rules], &[send(1, "opened", 5 * DAY), Step::Wait(HOUR), cancel, Step::Wait(HOUR), older]);
}
