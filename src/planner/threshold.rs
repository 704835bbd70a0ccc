//! Thresholds: a rule acts only when enough matches came within a span, counted apart by a key. Then the count begins anew.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{from_ms, plus};
use crate::event::Seq;
use crate::planner::effect::{Effect, Next, Now};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::rules::{Judgement, Threshold};
use crate::yaml::span_text;

/// How long a count is kept beyond its span: matches may arrive late, and are counted by their `created`.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The matches that were counted for one key, under the rule and the key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// When each was created, in ms, and which it was; oldest first.
    #[serde(default)]
    pub seen: Vec<(i64, Seq)>,
    /// When the last of them was planned, in ms.
    #[serde(default)]
    pub last_ms: i64,
    /// The span that was counted by, in ms.
    #[serde(default)]
    pub within_ms: i64,
}

impl Doc for Counted {
    const KIND: &'static str = "threshold";

    fn events(&self) -> Vec<Seq> {
        self.seen.iter().map(|(_, seq)| *seq).collect()
    }
}

/// Which count: that of a rule, apart by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ThresholdId<'a> {
    pub rule: &'a str,
    /// All matches, those of one value, or those that lack one.
    pub group: String,
}

impl<'a> ThresholdId<'a> {
    /// The count that a match of a rule belongs to, if it has one.
    pub fn of(judgement: &'a Judgement<'_>) -> Option<(Self, &'a Threshold)> {
        let threshold = judgement.rule.threshold.as_ref().filter(|_| judgement.accepts())?;
        let group = match &judgement.threshold {
            None => "all".to_owned(),
            Some(Ok(key)) => format!("of {key}"),
            Some(Err(_)) => "none".to_owned(),
        };
        Some((Self { rule: &judgement.rule.name.value, group }, threshold))
    }

    /// Where it is kept, of the rule with these names.
    pub fn slot(&self, names: &[String]) -> Slot<Counted> {
        Slot::under(names, &[&self.group])
    }

    fn timer(&self) -> String {
        id(&["threshold", self.rule, &self.group])
    }

    fn looks_again(&self, due: Timestamp) -> Effect {
        let meaning = Meaning::Threshold { rule: self.rule.into(), group: self.group.clone() };
        Effect::set_timer(self.timer(), due, None, &meaning)
    }
}

/// What a count says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Enough: these were counted, oldest first.
    Reached(Vec<Seq>),
    /// Not enough yet.
    Still(String),
}

impl Counted {
    /// When nothing of it is needed any more.
    fn ends(&self) -> Timestamp {
        plus(plus(from_ms(self.last_ms), SignedDuration::from_millis(self.within_ms)), KEPT)
    }

    /// A match is counted.
    pub fn count(
        known: Option<Self>,
        threshold: &Threshold,
        of: &ThresholdId<'_>,
        (created, seq): (Timestamp, Seq),
        now: Now<'_>,
    ) -> (Count, Next<Self>) {
        let mut counted = known.filter(|known| known.ends() > now.at).unwrap_or_default();
        counted.seen.push((created.as_millisecond(), seq));
        counted.seen.sort_unstable();
        counted.within_ms = i64::try_from(threshold.within.as_millis()).unwrap_or(i64::MAX);
        counted.last_ms = now.at.as_millisecond();
        let newest_ms = counted.seen.last().map_or(i64::MIN, |(at_ms, _)| *at_ms);
        let within_ms = counted.within_ms;
        counted.seen.retain(|(at_ms, _)| at_ms.saturating_add(within_ms) > newest_ms);
        let count = counted.seen.len();
        if u64::try_from(count).unwrap_or(u64::MAX) >= threshold.count {
            let seen = counted.seen.into_iter().map(|(_, seq)| seq).collect();
            return (Count::Reached(seen), (None, vec![Effect::DropTimer(of.timer())]));
        }
        let note = format!("counted {count} of {} within {}", threshold.count, span_text(threshold.within));
        let timer = of.looks_again(counted.ends());
        (Count::Still(note), (Some(counted), vec![timer]))
    }

    /// A count may be of no use any more.
    pub fn due(self, of: &ThresholdId<'_>, now: Now<'_>) -> Next<Self> {
        let ends = self.ends();
        if ends > now.at { (Some(self), vec![of.looks_again(ends)]) } else { (None, Vec::new()) }
    }
}
