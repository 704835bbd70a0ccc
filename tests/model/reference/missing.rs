//! `docs/RULES.md`, "missing: notice silence".

use fanfare::event::{Event, Seq};
use fanfare::rules::{Held, Rule, RuleSet};

use super::super::{Ms, ms};
use super::cases::span_ms;
use super::messages::Asked;
use super::{Due, Now, Reference};

/// What a rule waits for.
#[derive(Clone)]
pub struct Wait {
    /// Its clock runs from here.
    since: Ms,
    /// A clock that is set back doesn't make it run out earlier than it would have.
    not_before: Ms,
    /// Whether it ran out.
    missed: bool,
}

/// The key of the only case of such a rule.
const KEY: &str = "missing";

impl Reference {
    /// "The clock starts when Fanfare first loads the rule". "While a rule is switched off … it receives nothing, so its clock
    /// restarts when you switch it on."
    pub fn load(&mut self, rules: &RuleSet, now: Ms) {
        let waiting = rules.rules.iter().filter(|rule| rule.enabled && rule.missing.is_some());
        let lines: Vec<String> = waiting.map(|rule| self.line(&rule.name.value)).collect();
        self.look_at_held(now);
        self.waits.retain(|line, _| lines.contains(line));
        for line in lines {
            let wait = self.waits.entry(line).or_insert(Wait { since: now, not_before: now, missed: false });
            wait.not_before = wait.since;
        }
    }

    /// "When the time is up, a case opens".
    pub(super) fn missing(&self, now: &Now<'_>) -> Vec<(Ms, Due)> {
        let due = |(line, wait): (&String, &Wait)| {
            let missing = self.rule(now.rules, line)?.missing.as_ref()?;
            (!wait.missed)
                .then(|| ((wait.since + span_ms(missing.span)).max(wait.not_before), Due::Missing(line.clone())))
        };
        self.waits.iter().filter_map(due).collect()
    }

    /// The clock ran out: an event of its own goes before the rule.
    pub(super) fn miss(&mut self, now: &mut Now<'_>, line: String) {
        let wait = self.waits.get_mut(&line).unwrap();
        wait.missed = true;
        now.missed.push((line, wait.since));
    }

    /// The event of its own came: nothing has come meanwhile.
    pub(super) fn nothing_came(&mut self, now: &mut Now<'_>, seq: Seq, event: &Event) {
        let (line, since) = self.absence(event);
        let Some(rule) = self.rule(now.rules, &line) else { return };
        if self.waits.get(&line).is_none_or(|wait| wait.since != since) {
            return;
        }
        let judgement = now.rules.judge_rule(rule, event);
        let case = self.join(now, rule, &line, Some(KEY.to_owned()), seq, event);
        let first = self.messages.len();
        for one in judgement.actions.iter().filter(|one| one.held == Held::Held && one.action.after.is_none()) {
            self.say(now, &Asked { line: line.clone(), one, event: seq, case: Some(case), reminder: false });
        }
        self.opened(now, case, first);
    }

    /// The rule and the start of the clock that such an event speaks of.
    pub fn absence(&self, event: &Event) -> (String, Ms) {
        let text = |name: &str| event.data()[name].as_str().unwrap_or_default().to_owned();
        (self.line(&text("rule")), text("since").parse().map(ms).unwrap_or_default())
    }

    /// "and restarts with each such event. When the time is up, a case opens; the next such event closes it."
    pub(super) fn came_at_last(&mut self, now: &mut Now<'_>, seq: Seq, event: &Event, rule: &Rule) {
        let line = self.line(&rule.name.value);
        self.starts_anew(now, &line);
        if let Some(case) = self.open_case(&line, KEY) {
            let judgement = now.rules.judge_rule(rule, event);
            self.close(now, Some(rule), case, seq, &judgement.on_close);
        }
    }

    /// "and restarts with each such event", and where a case ends before one came.
    pub(super) fn starts_anew(&mut self, now: &Now<'_>, line: &str) {
        let span =
            self.rule(now.rules, line).and_then(|rule| rule.missing.as_ref()).map(|missing| span_ms(missing.span));
        if let (Some(wait), Some(span)) = (self.waits.get_mut(line), span) {
            let not_before = if wait.missed { now.ms } else { wait.not_before.max(wait.since + span) };
            *wait = Wait { since: now.ms, not_before, missed: false };
        }
    }
}
