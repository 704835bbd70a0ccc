//! Deadlines of messages that later matches change. They have dice of their own, so that a seed without one makes the same
//! history as before.

use serde_json::Value;

use super::scripts::{Dice, one};

/// Puts one into most histories with a message that later matches change. Somebody may move it. Nobody takes it away: a
/// match that comes while a rule has none moves none.
pub fn put_into(versions: &mut [Vec<Value>], seed: u64) {
    let mut dice = Dice::with_seed(seed ^ 0x6465_6164_6c69_6e65);
    let is_card = |action: &Value| action["update"] == true;
    let has_card = |rule: &Value| rule["actions"].as_array().is_some_and(|actions| actions.iter().any(is_card));
    if dice.u32(0..3) == 0 || !versions.iter().flatten().any(has_card) {
        return;
    }
    // Dates are from a day ago to six days ahead.
    let all = [
        "$.data.date",
        "2d before $.data.date",
        "9d before $.data.date",
        "2d after $.data.date",
        "7d after $.data.date",
        "2bd after $.data.date",
    ];
    let first = one(&mut dice, &all);
    for rule in versions.iter_mut().flatten().filter(|rule| has_card(rule)) {
        let deadline = if dice.u32(0..4) == 0 { one(&mut dice, &all) } else { first };
        let Some(actions) = rule["actions"].as_array_mut() else { continue };
        for card in actions.iter_mut().filter(|action| is_card(action)) {
            card["deadline"] = deadline.into();
        }
    }
}
