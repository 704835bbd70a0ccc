//! A round that goes on thing by thing, as one does after a death: which of all that has come due a plan was of.

use fanfare::event::Entry;
use fanfare::rules::RuleSet;
use serde_json::Value;

use super::super::Ms;
use super::messages::Fate;
use super::{Due, Expected, Now, Reference};

impl Fate {
    /// Whether it waits in the digest of what a throttle held back.
    pub(super) fn is_rest(self) -> bool {
        matches!(self, Self::Collected { rest: true, .. })
    }
}

impl Reference {
    /// A plan of these entries, and of those timers alone that mean this; what means nothing here says nothing.
    pub fn plan_parts(
        &mut self,
        rules: &RuleSet,
        now: Ms,
        entries: &[&Entry],
        (meanings, by): (&[Value], Ms),
    ) -> Expected {
        let all = self.due(&Now::new(rules, now), Ms::MAX);
        let of = |meaning: &Value| all.iter().find(|(_, due)| self.is_meant(meaning, due)).cloned();
        let due = meanings.iter().filter_map(of).collect();
        self.plan_these(rules, now, entries, (due, by))
    }

    pub(super) fn is_meant(&self, meaning: &Value, due: &Due) -> bool {
        let Some((kind, of)) = meaning.as_object().and_then(|object| object.iter().next()) else { return false };
        let is_nth = |case: &usize, nth: &Value| nth.as_i64() == Some(self.cases[*case].opening().seq);
        let is_line = |line: &str| of["rule"].as_str().is_some_and(|rule| self.line(rule) == line);
        match (kind.as_str(), due) {
            ("act", Due::Reminder(case, action) | Due::Hurried(case, action)) => {
                is_nth(case, &of["nth"]) && of["action"] == **action
            }
            ("rearm", Due::Reach(case)) | ("end", Due::Forgotten(case)) => is_nth(case, &of["nth"]),
            ("closing", Due::Ending(case)) => is_nth(case, &of["case"]["nth"]),
            ("missing", Due::Missing(line)) => is_line(line),
            ("came", Due::Came(case)) => {
                is_line(&self.cases[*case].line) && of["key"].as_str() == self.cases[*case].key.as_deref()
            }
            ("digest", Due::Digest(first)) => {
                let message = &self.messages[*first];
                let is_rest = message.fate.is_rest();
                let key = if is_rest { &message.throttle } else { &message.digest };
                let is_of = of["action"] == *message.action && of["destination"] == *message.to && of["key"] == **key;
                is_line(&message.line) && is_of && of["rest"] == is_rest
            }
            ("hold", Due::Opening(to, until) | Due::Asked(to, until)) => {
                let opens = of["opens"].as_str().and_then(|at| at.parse().ok()).map(super::super::ms);
                of["destination"] == **to && opens == Some(*until)
            }
            _ => false,
        }
    }
}
