//! The answer to "why did I (not) get this": kept for each event and each rule whose glob accepted it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::plus;
use crate::event::Seq;
use crate::rules::value::shown;
use crate::rules::{Held, Why};

/// What one rule did about one event (or one timer about the event that set it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The event.
    pub event: Seq,
    /// The rule; empty for what concerns none, such as a type that no rule names.
    pub rule: String,
    /// In one word: that of a [`RuleOutcome`].
    pub outcome: String,
    /// In a sentence, for people.
    pub note: String,
    /// The whole reasons, as JSON: `when` and `closes` (the conditions' trees), `case`, `closed` (the key of the case that
    /// it closed), `actions` (a list of `action`, `to`, `outcome`, `note`), `failed` (a list of texts) and `by_hand` (what a
    /// person did, in words); each only where there is something to say.
    pub detail: Value,
}

impl Decision {
    /// What came of its actions.
    pub fn actions(&self) -> impl Iterator<Item = Came<'_>> {
        self.detail.get("actions").and_then(Value::as_array).into_iter().flatten().map(Came)
    }

    /// What could not be read, as texts: a rule that did act may still have failed in part.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        self.detail.get("failed").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

/// What came of one action, as a row keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Came<'r>(&'r Value);

impl Came<'_> {
    /// Whether it is this action, and this came of it, with this note if one is named.
    pub fn is(self, action: &str, outcome: RuleOutcome, note: Option<&str>) -> bool {
        let has = |key: &str, text: &str| self.0.get(key).and_then(Value::as_str) == Some(text);
        has("action", action) && has("outcome", outcome.name()) && note.is_none_or(|note| has("note", note))
    }
}

/// What came of one event for one rule, or one of its actions at one destination. From what matters most to what
/// matters least: a row's word is the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleOutcome {
    /// The rule accepted it and acted, or will.
    Matched,
    /// A delivery died, and its message went to the fallback.
    Fallback,
    /// Waits for hours to begin.
    Held,
    /// Waits for its digest.
    Digest,
    /// Would have been sent.
    Shadow,
    /// Too many within the throttle's window.
    Throttled,
    /// One of too few for the rule's threshold.
    Counted,
    /// Someone asked for silence.
    Muted,
    /// It came outside hours that drop.
    Dropped,
    /// Called off before it was sent.
    Cancelled,
    /// It came after the close that it belongs before.
    Late,
    /// It closed a case, or would have.
    Closed,
    /// A value was of a kind that can't be read, or absent where one was due.
    Failed,
    /// The rule's condition doesn't hold.
    Missed,
    /// It could not be planned.
    Parked,
}

impl RuleOutcome {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            RuleOutcome::Matched => "matched",
            RuleOutcome::Fallback => "fallback",
            RuleOutcome::Held => "held",
            RuleOutcome::Digest => "digest",
            RuleOutcome::Shadow => "shadow",
            RuleOutcome::Throttled => "throttled",
            RuleOutcome::Counted => "counted",
            RuleOutcome::Muted => "muted",
            RuleOutcome::Dropped => "dropped",
            RuleOutcome::Cancelled => "cancelled",
            RuleOutcome::Late => "late",
            RuleOutcome::Closed => "closed",
            RuleOutcome::Failed => "failed",
            RuleOutcome::Missed => "missed",
            RuleOutcome::Parked => "parked",
        }
    }
}

/// How many notes make a row's sentence; the rest is in the detail.
const NOTES_MAX: usize = 4;

/// A row while it is being written.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    steps: Vec<(RuleOutcome, String)>,
    detail: Map<String, Value>,
    actions: Vec<Value>,
    failed: Vec<String>,
    accepted: bool,
}

impl Trace {
    /// Something came of the rule as a whole.
    pub fn rule(&mut self, outcome: RuleOutcome, note: impl Into<String>) {
        self.steps.push((outcome, note.into()));
    }

    /// Something came of one action, perhaps at one destination.
    pub fn action(&mut self, outcome: RuleOutcome, action: &str, to: Option<&str>, note: impl Into<String>) {
        let note = note.into();
        let mut row = json!({"action": action, "outcome": outcome.name(), "note": note});
        if let (Some(to), Some(row)) = (to, row.as_object_mut()) {
            row.insert("to".into(), to.into());
        }
        self.actions.push(row);
        self.steps.push((outcome, note));
    }

    /// The rule accepted the event, whatever becomes of its actions.
    pub fn accepted(&mut self) {
        self.accepted = true;
    }

    /// What another trace tells is part of this outcome: what is said at a close, of the close.
    pub fn absorb(&mut self, other: Trace, outcome: RuleOutcome) {
        self.steps.extend(other.steps.into_iter().map(|(_, note)| (outcome, note)));
        self.actions.extend(other.actions);
        self.failed.extend(other.failed);
        self.detail.extend(other.detail);
    }

    /// Something could not be read. It is reported as `fanfare.rule.failed`.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failed.push(reason.into());
    }

    /// One of the reasons in full.
    pub fn detail(&mut self, name: &str, value: Value) {
        self.detail.insert(name.into(), value);
    }

    /// What could not be read.
    pub fn failures(&self) -> &[String] {
        &self.failed
    }

    /// The row, if there is anything to tell.
    pub fn row(mut self, event: Seq, rule: &str) -> Option<Decision> {
        if !self.failed.is_empty() {
            self.steps.extend(self.failed.iter().map(|reason| (RuleOutcome::Failed, reason.clone())));
            self.detail.insert("failed".into(), json!(self.failed));
        }
        if self.accepted && self.steps.iter().all(|(outcome, _)| *outcome == RuleOutcome::Missed) {
            self.steps.insert(0, (RuleOutcome::Matched, "accepted, but no action acts on it".into()));
        }
        self.steps.sort_by_key(|(outcome, _)| *outcome);
        let outcome = self.steps.first()?.0;
        if !self.actions.is_empty() {
            self.detail.insert("actions".into(), self.actions.into());
        }
        let mut notes: Vec<&str> = self.steps.iter().map(|(_, note)| note.as_str()).filter(|n| !n.is_empty()).collect();
        notes.dedup();
        let more = notes.len().saturating_sub(NOTES_MAX);
        notes.truncate(NOTES_MAX);
        let mut note = notes.join("; ");
        if more > 0 {
            note.push_str(&format!("; and {more} more"));
        }
        let detail = Value::Object(self.detail);
        Some(Decision { event, rule: rule.into(), outcome: outcome.name().into(), note, detail })
    }
}

/// How many tests make a condition's sentence.
const TESTS_MAX: usize = 2;

/// Why a condition came out as it did, in a sentence: the tests that decided, and what they saw.
pub(crate) fn because(why: Option<&Why>) -> String {
    let Some(why) = why else { return "another action acts".into() };
    let tests = why.decisive();
    let more = tests.len().saturating_sub(TESTS_MAX);
    let mut said: Vec<String> = tests.into_iter().take(TESTS_MAX).filter_map(test_said).collect();
    if more > 0 {
        said.push(format!("and {more} more"));
    }
    said.join(", ")
}

fn test_said(why: &Why) -> Option<String> {
    let Why::Test { path, test, values, held, note } = why else { return None };
    let seen: Vec<String> = values.iter().take(TESTS_MAX).map(shown).collect();
    let seen = match (seen.is_empty(), values.len() > seen.len()) {
        (true, _) => "nothing is there".to_owned(),
        (false, false) => seen.join(", "),
        (false, true) => format!("{} …", seen.join(", ")),
    };
    // A note that says itself what was seen says enough, and one that nothing was seen says nothing more.
    let seen = match note {
        Some(note) if note.starts_with(&seen) => note.clone(),
        Some(note) if !values.is_empty() => format!("{seen}; {note}"),
        _ => seen,
    };
    Some(match held {
        Held::Missed => format!("does not hold: `{path}` {test} ({seen})"),
        Held::Failed => format!("unreadable: `{path}` {test} ({seen})"),
        Held::Held => format!("holds, but must not: `{path}` {test} ({seen})"),
    })
}

/// A moment as people say it, with its zone: `18:00 CET` on the same day, `Mon 09:00 CET` within the week, else with the date.
pub(crate) fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (there, here) = (at.to_zoned_datetime(zone.clone()), now.to_zoned_datetime(zone.clone()));
    let format = if there.date() == here.date() {
        "%H:%M %Z"
    } else if at > now && at < plus(now, jiff::SignedDuration::from_hours(6 * 24)) {
        "%a %H:%M %Z"
    } else {
        "%Y-%m-%d %H:%M %Z"
    };
    jiff::fmt::strtime::format(format, &there).unwrap_or_else(|_| at.to_string())
}
