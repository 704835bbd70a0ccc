//! The words of the calendar, in every third history. They have dice of their own, so that a seed makes the same history as
//! before in all others.

use fanfare::event::{Command, UpcomingOp};
use serde_json::{Value, json};

use super::scripts::{Dice, Step, one};

/// Puts them into versions of rules.
pub fn put_into(versions: &mut [Vec<Value>], seed: u64) {
    if !seed.is_multiple_of(3) {
        return;
    }
    let mut dice = Dice::with_seed(seed ^ 0x6361_6c65_6e64_6172);
    let (awaits, collects, attaches) = (expected(&mut dice), month_days(&mut dice), dice.bool());
    let sums = dice_of_sums(seed);
    let (counts, counts_cases, lists) = (dice.bool(), dice.u32(0..4) == 0, dice.bool());
    let steps = [
        &["2d before $.data.date", "6h before $.data.date"][..],
        &["2bd before $.data.date", "$.data.date", "1d after $.data.date"],
    ];
    let before: Value = one(&mut dice, &steps).into();
    for rules in versions {
        // Somebody may have changed them.
        let awaits = if dice.u32(0..3) == 0 { expected(&mut dice) } else { awaits.clone() };
        for rule in rules {
            if counts && rule["name"] == "plain" {
                rule["threshold"] = threshold(&mut dice);
            }
            if let Some(sum) = sums.as_ref().filter(|_| rule["name"] == "plain" && !counts) {
                rule["sum"] = sum.clone();
            }
            if counts_cases && rule.get("case").is_some() {
                rule["threshold"] = json!({"count": 2, "within": "9d", "per": "$.data.key"});
            }
            if rule.get("missing").is_some() {
                rule["missing"] = awaits.clone();
                rule["closes_after"] = one(&mut dice, &["12h", "10d", "40d"]).into();
            }
            let waits = rule.get("missing").is_some();
            for action in rule["actions"].as_array_mut().into_iter().flatten() {
                if lists && action.get("after").is_some() && !waits {
                    action["after"] =
                        one(&mut dice, &[&["2h", "1d"][..], &["10m", "2h", "3d"], &["2bd", "1d"], &["3bd"]]).into();
                }
                if lists && action.get("at").is_some() {
                    action["at"] = before.clone();
                }
                if action.get("digest").is_some() {
                    action["digest"] = collects.clone();
                    if attaches {
                        action["attach"] = json!({"csv": "events.csv", "columns": {"Key": "$.data.key"}});
                    }
                }
            }
        }
    }
}

/// In every fifth history, a message of a case that later matches change, beside others of that case.
pub fn put_cards_into(versions: &mut [Vec<Value>], seed: u64) {
    if seed % 5 != 1 {
        return;
    }
    let mut dice = Dice::with_seed(seed ^ 0x6361_7264_7300);
    let to = one(&mut dice, &[&["board"][..], &["board", "mail"], &["chat", "board"], &["pager", "board", "night"]]);
    let mut card = json!({"name": "card", "to": to, "text": "{{ events|length }}", "update": true});
    if dice.bool() {
        let (from, to) = one(&mut dice, &[("09:00", "18:00"), ("22:00", "06:00")]);
        card["hours"] = json!({"from": from, "to": to, "timezone": "UTC"});
    }
    if dice.u32(0..3) == 0 {
        card["when"] = json!({"$.data.date": {"gt": "2026-01-08"}});
    }
    let (also, first) = (dice.bool(), dice.bool());
    for rule in versions.iter_mut().flatten().filter(|rule| rule["events"] == json!(["opened", "both"])) {
        let Some(actions) = rule["actions"].as_array_mut() else { continue };
        for other in actions.iter_mut().filter(|_| also) {
            let mut all: Vec<Value> = other["to"].as_array().cloned().unwrap_or_else(|| vec![other["to"].clone()]);
            all.push("board".into());
            other["to"] = all.into();
        }
        actions.insert(if first { 0 } else { actions.len() }, card.clone());
    }
}

/// In every other history, people who don't wait for what waits.
pub fn put_hands_into(steps: &mut Vec<Step>, seed: u64) {
    let mut dice = Dice::with_seed(seed ^ 0x6861_6e64_7300);
    for _ in 0..if seed.is_multiple_of(2) { dice.usize(1..8) } else { 0 } {
        let does = one(&mut dice, &[UpcomingOp::Send, UpcomingOp::Cancel]);
        steps.insert(dice.usize(0..=steps.len()), Step::Hand { nth: dice.usize(0..10), does });
    }
}

/// In every seventh history, messages to people outside, who hear nothing about an event before its date.
pub fn put_press_into(versions: &mut [Vec<Value>], seed: u64) {
    if seed % 7 != 2 {
        return;
    }
    let mut dice = Dice::with_seed(seed ^ 0x7072_6573_7300);
    let mut press = json!({"name": "press", "to": "press", "text": "press {{ event.id }}"});
    if dice.bool() {
        press["hours"] = json!({"from": "09:00", "to": "18:00", "timezone": "UTC"});
    }
    let in_cases = dice.bool();
    for rule in versions.iter_mut().flatten() {
        let is_meant = if in_cases { rule["events"] == json!(["opened", "both"]) } else { rule["name"] == "plain" };
        if let Some(actions) = rule["actions"].as_array_mut().filter(|_| is_meant) {
            actions.push(press.clone());
        }
    }
}

/// In every sixth history, a rule that is held if it floods, and people who let it go or drop it.
pub fn put_floods_into(versions: &mut [Vec<Value>], steps: &mut Vec<Step>, seed: u64) {
    if seed % 6 != 4 {
        return;
    }
    let mut dice = Dice::with_seed(seed ^ 0x666c_6f6f_6473);
    let flood = json!({"times": dice.usize(2..4), "least": dice.usize(1..4)});
    for rule in versions.iter_mut().flatten().filter(|rule| rule["name"] == "plain") {
        rule["flood"] = flood.clone();
        // Of what comes due at one moment at several destinations, the rules don't say what is counted first.
        for action in rule["actions"].as_array_mut().into_iter().flatten() {
            action.as_object_mut().unwrap().remove("digest");
            action.as_object_mut().unwrap().remove("attach");
            if action.get("throttle").is_some() {
                action["throttle"]["rest"] = "drop".into();
            }
        }
    }
    for _ in 0..dice.usize(0..5) {
        let decided = Command::Flood { rule: "plain".into(), drop: dice.bool(), by: "fay".into() };
        steps.insert(dice.usize(0..=steps.len()), Step::Person(decided));
    }
}

/// The map that gives a destination its addresses, in each version of the rules: in every fourth history it tells keys apart
/// and changes, else there is one address for all.
pub fn rooms(seed: u64, versions: usize) -> Vec<Value> {
    let mut dice = Dice::with_seed(seed ^ 0x726f_6f6d_7300);
    let mut room = || {
        let mut room = json!({"by": "$.data.key", "else": "all@label.example"});
        for key in ["K1", "K2", "7"] {
            if seed % 4 == 1 && dice.u32(0..3) > 0 {
                room[key] = one(&mut dice, &["a@label.example", "b@label.example"]).into();
            }
        }
        room
    };
    (0..versions).map(|_| room()).collect()
}

/// How many must come.
fn threshold(dice: &mut Dice) -> Value {
    let mut threshold = json!({"count": dice.usize(2..4), "within": one(dice, &["10m", "7h", "3d"])});
    if dice.bool() {
        threshold["per"] = "$.data.key".into();
    }
    threshold
}

/// What is summed up, in some of the histories that count nothing.
fn dice_of_sums(seed: u64) -> Option<Value> {
    let mut dice = Dice::with_seed(seed ^ 0x7375_6d73);
    let window = one(&mut dice, &["day", "week"]);
    let mut sum = json!({"of": "$.data.amount", "window": window, "timezone": "UTC"});
    if dice.bool() {
        sum["per"] = "$.data.key".into();
    }
    if dice.u32(0..4) > 0 {
        let test = one(&mut dice, &["gt", "gte", "lt", "lte"]);
        sum[test] = json!(one(&mut dice, &[1, 3, 30]));
    }
    Some(sum)
}

/// By when something must come.
fn expected(dice: &mut Dice) -> Value {
    let all = [
        ("", ""),
        ("day", "10:00"),
        ("day", "23:59"),
        ("week", "fri 16:00"),
        ("week", "mon 00:00"),
        ("month", "last 12:00"),
        ("month", "3 08:00"),
    ];
    match one(dice, &all) {
        ("", _) => json!({"events": "plain", "for": one(dice, &["1d", "3d"])}),
        (each, by) => json!({"events": "plain", "each": each, "by": by, "timezone": "UTC"}),
    }
}

fn month_days(dice: &mut Dice) -> Value {
    let days = one(dice, &[&["last"][..], &["1", "15"], &["31", "6", "10"]]);
    json!({"per": "$.data.key", "at": "09:00", "month_days": days, "timezone": "UTC", "limit": dice.usize(1..4)})
}
