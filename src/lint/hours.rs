//! Windows of hours that are easily taken for others.

use std::sync::Arc;

use crate::config::load::Whole;
use crate::problem::{Problem, Problems};
use crate::rules::{Hours, HoursChoice};

/// Windows on some days that go on past midnight.
pub(super) fn across_midnight(whole: &Whole, problems: &mut Problems) {
    let chosen = |choice: &'_ HoursChoice| match choice {
        HoursChoice::Within(hours) => Some(hours.clone()),
        HoursChoice::Always => None,
    };
    let of_rules = whole.rules.rules.iter().flat_map(|rule| &rule.actions).filter_map(|action| action.hours.as_ref());
    let of_destinations = whole.destinations.iter().flatten();
    let of_destinations = of_destinations.filter_map(|(_, destination)| destination.hours.as_ref());
    let chosen = of_rules.chain(of_destinations).filter_map(chosen);
    let mut told: Vec<Arc<Hours>> = Vec::new();
    for hours in whole.rules.hours.values().cloned().chain(chosen) {
        let ends_next_day = hours.to < hours.from && hours.to != jiff::civil::Time::midnight();
        if !ends_next_day || hours.days == [true; 7] || told.iter().any(|other| Arc::ptr_eq(other, &hours)) {
            continue;
        }
        let message = "this window continues past midnight, and `days` are the days on which it begins";
        let hint = format!(
            "so the last of them ends on the day after it, at {0}, and the first one's hours before {0} are outside",
            hours.to.strftime("%H:%M")
        );
        problems.push(Problem::note("across-midnight", message).at(&hours.place.first_line()).hint(hint));
        told.push(hours);
    }
}
