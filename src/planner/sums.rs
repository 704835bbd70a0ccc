//! Running sums: a rule acts at the match that takes a sum somewhere, apart by a key and by windows of the calendar.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::plus;
use crate::decimal::Decimal;
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::rules::{Judgement, Sum};

/// How long a sum is kept beyond its window: as long as ids are, so that nothing is summed twice.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What was summed in one window for one key, under the rule, the window and the key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summed {
    /// The exact sum.
    pub sum: String,
    /// When nothing of it is needed any more.
    #[serde(default)]
    pub until: Timestamp,
}

impl Doc for Summed {
    const KIND: &'static str = "sum";
}

/// Which sum: that of a rule, of one window, apart by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SumId<'a> {
    pub rule: &'a str,
    pub group: String,
}

/// What is added to a sum.
#[derive(Debug)]
pub(crate) struct Summand<'a> {
    pub of: SumId<'a>,
    pub sum: &'a Sum,
    pub amount: &'a Decimal,
    /// When its window has been over for long enough.
    pub until: Timestamp,
}

impl<'a> Summand<'a> {
    /// What a match adds to which sum, if its rule has one. `Err` says why it isn't summed.
    pub fn of(judgement: &'a Judgement<'_>, created: Timestamp) -> Option<Result<Self, &'a str>> {
        let sum = judgement.rule.sum.as_ref().filter(|_| judgement.accepts())?;
        let summed = |(key, amount): &'a (String, Decimal)| {
            let (first, next) = sum.window.of(created, &sum.zone);
            let group = format!("{} of {first}, {key}", sum.window.name());
            let of = SumId { rule: &judgement.rule.name.value, group };
            Self { of, sum, amount, until: plus(next, KEPT) }
        };
        Some(judgement.sum.as_ref()?.as_ref().map(summed).map_err(String::as_str))
    }
}

impl SumId<'_> {
    /// Where it is kept, of the rule with these names.
    pub fn slot(&self, names: &[String]) -> Slot<Summed> {
        Slot::under(names, &[&self.group])
    }

    fn forgotten(&self, until: Timestamp) -> Effect {
        let meaning = Meaning::Sum { rule: self.rule.into(), group: self.group.clone() };
        Effect::set_timer(id(&["sum", self.rule, &self.group]), until, None, &meaning)
    }
}

/// What comes of a match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Total {
    /// It takes the sum there: that is this.
    Reached(String),
    /// It doesn't, in words.
    Still(String),
    /// It isn't summed, in words.
    Refused(&'static str),
}

impl Summed {
    /// A match is summed.
    pub fn add(known: Option<Self>, summand: &Summand<'_>, now: Now<'_>) -> (Total, Next<Self>) {
        let is_new = known.is_none();
        if summand.until <= now.at {
            return (Total::Refused("its window has been over for too long"), (known, Vec::new()));
        }
        let before = known.as_ref().and_then(|known| Decimal::parse(&known.sum)).unwrap_or_default();
        let Some(after) = before.plus(summand.amount) else {
            return (Total::Refused("the sum has more than a thousand digits"), (known, Vec::new()));
        };
        let tests = &summand.sum.tests;
        let holds = |sum: &Decimal| tests.iter().all(|test| test.holds(sum));
        let sum = after.to_string();
        let total = match tests.is_empty() || (holds(&after) && !holds(&before)) {
            true => Total::Reached(sum.clone()),
            false => Total::Still(format!("the sum is {sum}")),
        };
        let timer = is_new.then(|| summand.of.forgotten(summand.until));
        (total, (Some(Self { sum, until: summand.until }), timer.into_iter().collect()))
    }

    /// A sum may be of no use any more.
    pub fn due(self, of: &SumId<'_>, now: Now<'_>) -> Next<Self> {
        let until = self.until;
        if until > now.at { (Some(self), vec![of.forgotten(until)]) } else { (None, Vec::new()) }
    }
}
