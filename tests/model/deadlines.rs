//! Deadlines of messages that later matches change. They have dice of their own, so that a seed without one makes the same
//! history as before.

use fanfare::event::Command;
use serde_json::{Value, json};

use super::scripts::{Dice, Step, one};

/// What the planner does otherwise than `docs/RULES.md` says. The histories leave it out until it is fixed: then its line and
/// all that asks for it go.
pub mod mistakes {
    /// Another message at a deadline takes the place of the first: PagerDuty gets a last message as well as the close, and a
    /// channel that holds the other one, or sums it up, gets none.
    pub const LAST_IS_MISTAKEN: bool = true;
    /// A past date that comes after a date was put off makes nothing critical.
    pub const PAST_AFTER_PUT_OFF: bool = true;
    /// An acknowledgement ends what has acted and was put off, also a reminder with `at`.
    pub const ENDS_AT_ACKNOWLEDGEMENT: bool = true;
    /// What a person sends before its time is critical once, and not in later changes. Once a person has cancelled a deadline,
    /// an older match that comes late moves it.
    pub const FORGETS_WHAT_WAS_SENT_EARLY: bool = true;
    /// A match that comes while the rules have no deadline doesn't move it: when they have it again, the older date counts.
    pub const STAYS_WHILE_IT_IS_GONE: bool = true;
}

/// Puts one into most histories with a message that later matches change. Somebody may move it or take it away.
pub fn put_into(versions: &mut [Vec<Value>], steps: &mut Vec<Step>, seed: u64) {
    let mut dice = Dice::with_seed(seed ^ 0x6465_6164_6c69_6e65);
    let is_card = |action: &Value| action["update"] == true;
    let has_card = |rule: &Value| rule["actions"].as_array().is_some_and(|actions| actions.iter().any(is_card));
    if dice.u32(0..3) == 0 || !versions.iter().flatten().any(has_card) {
        return;
    }
    // Dates are from a day ago to six days ahead.
    let (coming, past) = (["2d", "3d", "7d", "2bd"], ["9d", "12d"]);
    let mut all = vec!["$.data.date".to_owned(), "2d before $.data.date".to_owned(), "none".to_owned()];
    let after = coming.map(|span| format!("{span} after $.data.date"));
    if mistakes::PAST_AFTER_PUT_OFF {
        all = if dice.bool() { after.into() } else { past.map(|span| format!("{span} before $.data.date")).into() };
    } else {
        all.extend(after);
    }
    all.retain(|deadline| deadline != "none" || !mistakes::STAYS_WHILE_IT_IS_GONE);
    if mistakes::ENDS_AT_ACKNOWLEDGEMENT {
        steps.retain(|step| !matches!(step, Step::Person(Command::AckCase { .. })));
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let (first, to) = (one(&mut dice, &all), one(&mut dice, &[&["board"][..], &["board", "mail"], &["chat", "board"]]));
    for rule in versions.iter_mut().flatten().filter(|rule| has_card(rule)) {
        let deadline = if dice.u32(0..4) == 0 { one(&mut dice, &all) } else { first };
        let Some(actions) = rule["actions"].as_array_mut() else { continue };
        let has_other = actions.iter().any(|action| !is_card(action) && action["to"].to_string().contains("board"));
        for card in actions.iter_mut().filter(|action| is_card(action)) {
            if deadline != "none" {
                card["deadline"] = deadline.into();
            }
            if mistakes::LAST_IS_MISTAKEN {
                let is_held = card.get("hours").is_some() && !has_other;
                card["to"] = if is_held { json!(["board"]) } else { json!(to) };
                card.as_object_mut().filter(|_| !is_held).map(|card| card.remove("hours"));
            }
        }
    }
}
