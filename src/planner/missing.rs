//! `missing`: what a rule expects, and by when. When it has not come in time, an own event says so, which opens a case in
//! its turn; the next that comes closes that.
//!
//! With `for` a rule has one such case, with `each` one for each period. The cases of periods are too many to be loaded with
//! whatever comes: what closes them sets a timer for each, and until that fires they count as closed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::plus;
use crate::event::{Event, MISSING, Seq};
use crate::planner::case::MISSING_KEY;
use crate::planner::effect::{Effect, Next};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::rules::calendar::{Period, Periods};
use crate::rules::{Expected, Missing};
use crate::yaml::span_text;

/// What a rule waits for, under its name. Armed when the rule is first loaded, and it lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Awaited {
    /// The rule that waits.
    pub rule: String,
    /// When the last one came, or the waiting began.
    pub since: Timestamp,
    /// Whether its absence was reported already, by a rule with `for`.
    #[serde(default)]
    pub told: bool,
    /// When the next period begins that is checked, of a rule with `each` that takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// When the last one was received, of a rule with `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came: Option<Timestamp>,
    /// The periods whose absence was reported, and which nothing has closed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub open: BTreeSet<String>,
    /// The periods whose cases are about to close, since it came.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub closing: BTreeSet<String>,
}

impl Doc for Awaited {
    const KIND: &'static str = "missing";
}

/// The key of the case that an own event opens.
pub(crate) fn key_of(told_by: &Event) -> &str {
    told_by.data().get("period").and_then(Value::as_str).unwrap_or(MISSING_KEY)
}

impl Awaited {
    /// Where it is kept, of the rule with these names.
    pub fn slot(names: &[String]) -> Slot<Self> {
        Slot::under(names, &[])
    }

    /// Waits from now on.
    fn anew(rule: &str, now: Timestamp) -> Self {
        let (open, closing) = (BTreeSet::new(), BTreeSet::new());
        Self { rule: rule.into(), since: now, told: false, from: None, came: None, open, closing }
    }

    /// The next period that is checked: what is kept, as long as one begins then by the rule in force.
    fn period(&self, periods: &Periods, now: Timestamp) -> Option<Period> {
        self.from.and_then(|from| periods.from(from)).or_else(|| periods.first_from(now))
    }

    /// When it is looked at next.
    fn is_over(&self, missing: &Missing, now: Timestamp) -> Option<Effect> {
        let due = match &missing.expected {
            Expected::For(span) => plus(self.since, *span),
            Expected::Each(periods) => self.period(periods, now)?.by,
        };
        let meaning = Meaning::Missing { rule: self.rule.clone() };
        Some(Effect::set_timer(id(&["missing", &self.rule]), due, None, &meaning))
    }

    /// A rule that takes part is in force: it begins to wait, or goes on; its times may have changed meanwhile.
    pub fn arm(known: Option<Self>, rule: &str, missing: &Missing, now: Timestamp) -> Next<Self> {
        let mut awaited = Self { rule: rule.into(), ..known.unwrap_or_else(|| Self::anew(rule, now)) };
        awaited.from = match &missing.expected {
            Expected::For(_) => None,
            Expected::Each(periods) => awaited.period(periods, now).map(|period| period.from),
        };
        let waits = awaited.from.is_some() || !awaited.told;
        let timer = waits.then(|| awaited.is_over(missing, now)).flatten();
        (Some(awaited), timer.into_iter().collect())
    }

    /// A rule that takes no part sees no event, so it can't know what is missing: should it take part again, it begins
    /// to wait anew. An absence that it told stays told while its case is open.
    pub fn suspend(self, rule: &str) -> Next<Self> {
        let timer = vec![Effect::DropTimer(id(&["missing", rule]))];
        let stays = self.told || self.is_owed();
        (stays.then_some(Self { from: None, ..self }), timer)
    }

    /// No rule in force waits for it any more. The cases of its periods may still be open.
    pub fn disarm(self) -> Next<Self> {
        let timer = Effect::DropTimer(id(&["missing", &self.rule]));
        (self.is_owed().then_some(Self { from: None, ..self }), vec![timer])
    }

    /// Whether cases of its periods are still to be closed.
    fn is_owed(&self) -> bool {
        !self.open.is_empty() || !self.closing.is_empty()
    }

    /// It came. Where a rule has `for`, no case of its absence is open; the cases of periods are closed one by one.
    pub fn came(
        known: Option<Self>,
        rule: &str,
        missing: &Missing,
        (seq, received): (Seq, Timestamp),
        now: Timestamp,
    ) -> Next<Self> {
        let is_unset = known.as_ref().is_none_or(|known| known.told && known.from.is_none());
        let mut awaited = known.unwrap_or_else(|| Self::anew(rule, now));
        (awaited.since, awaited.told) = (now, false);
        if let Expected::Each(periods) = &missing.expected {
            awaited.from = awaited.period(periods, now).map(|period| period.from);
            awaited.came = awaited.came.max(Some(received));
        }
        let mut effects = Vec::new();
        for key in std::mem::take(&mut awaited.open) {
            let meaning = Meaning::Came { rule: rule.into(), key: key.clone() };
            effects.push(Effect::set_timer(id(&["came", rule, &key]), now, Some(seq), &meaning));
            awaited.closing.insert(key);
        }
        // A timer that is set already finds out by itself that its time has moved.
        effects.extend(is_unset.then(|| awaited.is_over(missing, now)).flatten());
        (Some(awaited), effects)
    }

    /// A case of its absence has closed: with `for`, the waiting begins anew, where the rule takes part.
    pub fn closed(
        known: Option<Self>,
        key: &str,
        (rule, missing, takes_part): (&str, &Missing, bool),
        now: Timestamp,
    ) -> Next<Self> {
        let mut awaited = known.unwrap_or_else(|| Self::anew(rule, now));
        awaited.open.remove(key);
        awaited.closing.remove(key);
        if key != MISSING_KEY {
            return (Some(awaited), Vec::new());
        }
        (awaited.since, awaited.told) = (now, false);
        if !takes_part {
            return awaited.suspend(rule);
        }
        let is_for = matches!(missing.expected, Expected::For(_));
        let timer = is_for.then(|| awaited.is_over(missing, now)).flatten();
        (Some(awaited), timer.into_iter().collect())
    }

    /// The case of a period is gone, perhaps after its rule.
    pub fn forgotten(mut self, key: &str, in_force: bool) -> Next<Self> {
        self.open.remove(key);
        self.closing.remove(key);
        let stays = in_force || self.is_owed();
        (stays.then_some(self), Vec::new())
    }

    /// The time is over, unless one came since the timer was set. `identity` is what the rule's ids are made from.
    pub fn due(self, rule: &str, missing: &Missing, identity: &str, now: Timestamp) -> Next<Self> {
        let waiting = Self { rule: rule.into(), ..self };
        match &missing.expected {
            Expected::For(_) if waiting.told => (Some(waiting), Vec::new()),
            Expected::For(span) if plus(waiting.since, *span) > now => {
                let timer = waiting.is_over(missing, now);
                (Some(waiting), timer.into_iter().collect())
            }
            Expected::For(span) => {
                let own = id(&["own", MISSING, identity, &waiting.since.to_string()]);
                let data = json!({"rule": rule, "since": waiting.since, "for": span_text(*span)});
                let event = Effect::OwnEvent(Box::new(Event::own(MISSING, &own, now, data)));
                (Some(Self { told: true, ..waiting }), vec![event])
            }
            Expected::Each(periods) => waiting.period_due(periods, missing, identity, now),
        }
    }

    /// The time of a period is over: it is checked once, and then the next.
    fn period_due(mut self, periods: &Periods, missing: &Missing, identity: &str, now: Timestamp) -> Next<Self> {
        let Some(period) = self.period(periods, now) else { return (Some(self), Vec::new()) };
        let mut effects = Vec::new();
        self.from = Some(period.from);
        if period.by <= now {
            if self.came.is_none_or(|came| came < period.from) {
                let own = id(&["own", MISSING, identity, &period.key]);
                let data = json!({
                    "rule": self.rule, "period": period.key, "each": periods.each.name(), "since": period.from,
                    "by": period.by,
                });
                effects.push(Effect::OwnEvent(Box::new(Event::own(MISSING, &own, now, data))));
                self.open.insert(period.key.clone());
            }
            self.from = periods.after(&period).map(|next| next.from);
        }
        effects.extend(self.is_over(missing, now));
        (Some(self), effects)
    }

    /// Whether the own event that tells an absence still holds: else it came between that event and its planning.
    pub fn is_absent(known: Option<&Self>, told_by: &Event) -> bool {
        let since = told_by.data().get("since").and_then(Value::as_str).and_then(|since| since.parse().ok());
        known.is_some_and(|awaited| match key_of(told_by) {
            MISSING_KEY => awaited.told && Some(awaited.since) == since,
            period => awaited.open.contains(period),
        })
    }
}
