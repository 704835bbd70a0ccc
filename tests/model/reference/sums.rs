//! `docs/RULES.md`, "sum: act at a total".

use fanfare::clock::from_ms;
use fanfare::decimal::Decimal;
use fanfare::event::Event;
use fanfare::rules::{Judgement, Window};
use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::super::{Ms, ms};
use super::Reference;

/// A match that was summed.
#[derive(Debug, Clone)]
pub struct Summed {
    line: String,
    group: String,
    created: Ms,
    amount: Decimal,
}

impl Reference {
    /// "The rule acts at the match that takes the sum of the quarter above 100, for each artist and currency: the test holds
    /// with it, and didn't hold before." "Without a test, the rule acts at each match." Gives the sum with this match, if the
    /// rule acts; nothing within, if it sums nothing up.
    pub(super) fn sum_up_to(&mut self, judgement: &Judgement<'_>, line: &str, event: &Event) -> Option<Option<String>> {
        let Some(sum) = &judgement.rule.sum else { return Some(None) };
        let (group, amount) = judgement.sum.clone().unwrap().unwrap();
        // "A match belongs to the window in which it was created". "Each window begins at zero."
        assert_eq!(sum.zone, TimeZone::UTC);
        let first = |at: Ms| {
            let date = TimeZone::UTC.to_datetime(from_ms(at)).date();
            match sum.window {
                Window::Day => date,
                Window::Week => date - i32::from(date.weekday().to_monday_zero_offset()).days(),
                other => panic!("no history has a {other:?}"),
            }
        };
        let created = ms(event.created);
        let same = |one: &&Summed| one.line == line && one.group == group && first(one.created) == first(created);
        let of = |all: &[Summed]| {
            let amounts = all.iter().filter(same).map(|one| &one.amount);
            amounts.fold(Decimal::from(0), |sum, amount| sum.plus(amount).unwrap())
        };
        let before = of(&self.summed);
        self.summed.push(Summed { line: line.to_owned(), group: group.clone(), created, amount });
        let after = of(&self.summed);
        let holds = |total: &Decimal| sum.tests.iter().all(|test| test.holds(total));
        let acts = sum.tests.is_empty() || holds(&after) && !holds(&before);
        acts.then(|| Some(after.to_string()))
    }
}
