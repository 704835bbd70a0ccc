//! `missing`: a case that opens when what should come has not come for a time, and closes with the next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::plus;
use crate::event::{Event, MISSING};
use crate::planner::book::{Doc, id};
use crate::planner::close::Closing;
use crate::planner::inputs::{Judged, names_of, rule_named};
use crate::planner::matching::MISSING_KEY;
use crate::planner::round::{Round, reasons};
use crate::planner::timer::Meaning;
use crate::planner::why::{Outcome, Trace, because};
use crate::rules::{Held, Judgement, Missing, Rule, Why};
use crate::yaml::span_text;

/// What a rule waits for, under its name. Armed when the rule is first loaded, and it lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Awaited {
    /// The rule that waits.
    pub rule: String,
    /// When the last one came, or the waiting began.
    pub since: Timestamp,
    /// Whether its absence was told already.
    #[serde(default)]
    pub told: bool,
}

impl Doc for Awaited {
    const KIND: &'static str = "missing";
}

impl Awaited {
    fn from(rule: &str, since: Timestamp) -> Self {
        Self { rule: rule.into(), since, told: false }
    }
}

impl Round<'_> {
    /// Waits no longer for what no rule in force speaks of.
    pub fn disarm_missing(&mut self) {
        for awaited in self.book.all::<Awaited>() {
            if rule_named(self.rules, &awaited.rule).is_none_or(|rule| rule.missing.is_none()) {
                self.book.delete::<Awaited>(&[&awaited.rule]);
                self.drop_timer(id(&["missing", &awaited.rule]));
            }
        }
    }

    /// A rule that takes no part hears of nothing, so it can't tell what is missing: should it take part again, it begins
    /// to wait anew. An absence that it told stays told while its case is open.
    pub fn suspend_missing(&mut self, rule: &Rule) {
        let names = names_of(self.rules, rule);
        let name = rule.name.value.as_str();
        if self.book.adopt::<Awaited>(&names, &[]).is_some_and(|awaited| !awaited.told) {
            self.book.delete::<Awaited>(&[name]);
            self.drop_timer(id(&["missing", name]));
        }
    }

    /// Begins to wait, or goes on; the rule's `for` may have changed meanwhile.
    pub fn arm_missing(&mut self, rule: &Rule, missing: &Missing) {
        let names = names_of(self.rules, rule);
        let name = rule.name.value.as_str();
        let known = self.book.adopt::<Awaited>(&names, &[]);
        let mut awaited = known.unwrap_or_else(|| Awaited::from(name, self.now));
        awaited.rule = name.into();
        self.book.put(&[name], &awaited);
        if !awaited.told {
            self.set_missing(name, plus(awaited.since, missing.span));
        }
    }

    fn set_missing(&mut self, rule: &str, due: Timestamp) {
        self.set_timer(id(&["missing", rule]), due, None, &Meaning::Missing { rule: rule.into() });
    }

    /// The case has closed: the waiting begins anew, if its rule takes part.
    pub fn rearm_missing(&mut self, rule: &str) {
        let Some(rule) = rule_named(self.rules, rule) else { return };
        let Some(missing) = &rule.missing else { return };
        let name = rule.name.value.as_str();
        if !rule.enabled {
            return self.book.delete::<Awaited>(&[name]);
        }
        self.book.put(&[name], &Awaited::from(name, self.now));
        self.set_missing(name, plus(self.now, missing.span));
    }

    /// Something came that may be what was awaited.
    pub fn awaited(&mut self, judged: &Judged<'_>, judgement: &Judgement<'_>, trace: &mut Trace) {
        reasons(judgement, trace);
        if judgement.arrived {
            return self.arrived(judged, judgement.rule, trace);
        }
        match judgement.why.as_ref().map(Why::held) {
            Some(Held::Failed) => trace.fail(format!("`missing`: {}", because(judgement.why.as_ref()))),
            _ => trace.rule(Outcome::Missed, format!("not what is awaited: {}", because(judgement.why.as_ref()))),
        }
    }

    fn arrived(&mut self, judged: &Judged<'_>, rule: &Rule, trace: &mut Trace) {
        let names = self.names(rule);
        let name = rule.name.value.as_str();
        let known = self.book.adopt::<Awaited>(&names, &[]);
        if let Some(case) = self.case(&names, MISSING_KEY) {
            trace.rule(Outcome::Closed, "it came: closed the case");
            let judged_alone = self.rules.judge_rule(rule, judged.event);
            self.end_case(&case, Some(rule), &Closing::by_event(judged, &judged_alone.on_close), trace);
            return;
        }
        trace.rule(Outcome::Closed, "it came");
        self.book.put(&[name], &Awaited::from(name, self.now));
        // A timer that is set already finds out by itself that its time has moved.
        if let (None | Some(Awaited { told: true, .. }), Some(missing)) = (known, &rule.missing) {
            self.set_missing(name, plus(self.now, missing.span));
        }
    }

    /// The time is over: an own event tells it, and opens the case in its turn.
    pub fn missing_due(&mut self, rule: &str) {
        let Some(rule) = rule_named(self.rules, rule).filter(|rule| rule.enabled) else { return };
        let Some(missing) = &rule.missing else { return };
        let names = self.names(rule);
        let name = rule.name.value.as_str();
        let Some(awaited) = self.book.adopt::<Awaited>(&names, &[]).filter(|awaited| !awaited.told) else { return };
        let due = plus(awaited.since, missing.span);
        if due > self.now {
            return self.set_missing(name, due);
        }
        let own = id(&["own", MISSING, self.identity(rule), &awaited.since.to_string()]);
        let data = json!({"rule": name, "since": awaited.since, "for": span_text(missing.span)});
        self.plan.events.push(Event::own(MISSING, &own, self.now, data));
        self.book.put(&[name], &Awaited { told: true, ..awaited });
    }

    /// Whether the own event that tells an absence still holds, or it came meanwhile.
    pub fn opens_missing(&mut self, judged: &Judged<'_>, rule: &Rule, trace: &mut Trace) -> bool {
        let names = self.names(rule);
        let awaited = self.book.adopt::<Awaited>(&names, &[]);
        let since = judged.event.data().get("since").and_then(Value::as_str).and_then(|since| since.parse().ok());
        let holds = awaited.is_some_and(|awaited| awaited.told && Some(awaited.since) == since);
        if !holds {
            trace.rule(Outcome::Late, "it came after all");
        }
        holds
    }
}
