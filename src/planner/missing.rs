//! `missing`: what a rule waits for, and for how long. When it has not come in time, an own event says so, which opens a
//! case in its turn; the next that comes closes that.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::plus;
use crate::event::{Event, MISSING};
use crate::planner::effect::{Effect, Next};
use crate::planner::state::{Doc, Slot, id};
use crate::planner::timer::Meaning;
use crate::rules::Missing;
use crate::yaml::span_text;

/// What a rule waits for, under its name. Armed when the rule is first loaded, and it lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Awaited {
    /// The rule that waits.
    pub rule: String,
    /// When the last one came, or the waiting began.
    pub since: Timestamp,
    /// Whether its absence was reported already.
    #[serde(default)]
    pub told: bool,
}

impl Doc for Awaited {
    const KIND: &'static str = "missing";
}

impl Awaited {
    /// Where it is kept, of the rule with these names.
    pub fn slot(names: &[String]) -> Slot<Self> {
        Slot::under(names, &[])
    }

    /// Waits from now on.
    fn anew(rule: &str, now: Timestamp) -> Self {
        Self { rule: rule.into(), since: now, told: false }
    }

    fn is_over(&self, missing: &Missing) -> Effect {
        let meaning = Meaning::Missing { rule: self.rule.clone() };
        Effect::set_timer(id(&["missing", &self.rule]), plus(self.since, missing.span), None, &meaning)
    }

    /// A rule that takes part is in force: it begins to wait, or goes on; its `for` may have changed meanwhile.
    pub fn arm(known: Option<Self>, rule: &str, missing: &Missing, now: Timestamp) -> Next<Self> {
        let awaited = Self { rule: rule.into(), ..known.unwrap_or_else(|| Self::anew(rule, now)) };
        let timer = (!awaited.told).then(|| awaited.is_over(missing));
        (Some(awaited), timer.into_iter().collect())
    }

    /// A rule that takes no part sees no event, so it can't know what is missing: should it take part again, it begins
    /// to wait anew. An absence that it told stays told while its case is open.
    pub fn suspend(self, rule: &str) -> Next<Self> {
        if self.told { (Some(self), Vec::new()) } else { (None, vec![Effect::DropTimer(id(&["missing", rule]))]) }
    }

    /// No rule in force waits for it any more.
    pub fn disarm(self) -> Next<Self> {
        (None, vec![Effect::DropTimer(id(&["missing", &self.rule]))])
    }

    /// It came while no case of its absence was open; or that case has closed (`known` is `None`): the waiting begins anew.
    pub fn came(known: Option<Self>, rule: &str, missing: &Missing, now: Timestamp) -> Next<Self> {
        let awaited = Self::anew(rule, now);
        // A timer that is set already finds out by itself that its time has moved.
        let is_unset = known.is_none_or(|known| known.told);
        let timer = is_unset.then(|| awaited.is_over(missing));
        (Some(awaited), timer.into_iter().collect())
    }

    /// The time is over, unless one came since the timer was set. `identity` is what the rule's ids are made from.
    pub fn due(self, rule: &str, missing: &Missing, identity: &str, now: Timestamp) -> Next<Self> {
        if self.told {
            return (Some(self), Vec::new());
        }
        if plus(self.since, missing.span) > now {
            let timer = Self { rule: rule.into(), ..self.clone() }.is_over(missing);
            return (Some(self), vec![timer]);
        }
        let own = id(&["own", MISSING, identity, &self.since.to_string()]);
        let data = json!({"rule": rule, "since": self.since, "for": span_text(missing.span)});
        let event = Effect::OwnEvent(Box::new(Event::own(MISSING, &own, now, data)));
        (Some(Self { told: true, ..self }), vec![event])
    }

    /// Whether the own event that tells an absence still holds: else it came between that event and its planning.
    pub fn is_absent(known: Option<&Self>, told_by: &Event) -> bool {
        let since = told_by.data().get("since").and_then(Value::as_str).and_then(|since| since.parse().ok());
        known.is_some_and(|awaited| awaited.told && Some(awaited.since) == since)
    }
}
