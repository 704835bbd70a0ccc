//! The words of the calendar, in every third history. They have dice of their own, so that a seed makes the same history as
//! before in all others.

use serde_json::{Value, json};

use super::scripts::{Dice, one};

/// Puts them into versions of rules.
pub fn put_into(versions: &mut [Vec<Value>], seed: u64) {
    if !seed.is_multiple_of(3) {
        return;
    }
    let mut dice = Dice::with_seed(seed ^ 0x6361_6c65_6e64_6172);
    let (awaits, collects, attaches) = (expected(&mut dice), month_days(&mut dice), dice.bool());
    for rules in versions {
        // Somebody may have changed them.
        let awaits = if dice.u32(0..3) == 0 { expected(&mut dice) } else { awaits.clone() };
        for rule in rules {
            if rule.get("missing").is_some() {
                rule["missing"] = awaits.clone();
                rule["closes_after"] = one(&mut dice, &["12h", "10d", "40d"]).into();
            }
            for action in rule["actions"].as_array_mut().into_iter().flatten() {
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
