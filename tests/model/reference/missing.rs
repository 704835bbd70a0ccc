//! `docs/RULES.md`, "missing: notice silence".

use fanfare::clock::from_ms;
use fanfare::event::{Event, Seq};
use fanfare::rules::calendar::{Each, MonthDay, Periods};
use fanfare::rules::{Expected, Held, Rule, RuleSet};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use super::super::{DAY, Ms, ms};
use super::cases::span_ms;
use super::messages::Asked;
use super::{Due, Now, Reference};

/// What a rule waits for.
#[derive(Clone)]
pub struct Wait {
    /// Its clock runs from here.
    since: Ms,
    /// When it is looked at next: a clock that is set back doesn't make it run out earlier.
    not_before: Ms,
    /// Whether it ran out.
    missed: bool,
    /// Whether its rule is in force.
    is_awake: bool,
    /// Of a rule with `each`: when the next period begins that is looked at.
    next: Option<Ms>,
    /// When the last one was received.
    received: Option<Ms>,
    /// Periods that passed without one, of which the event is on its way.
    absent: Vec<String>,
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
        let owed: Vec<String> = self.waits.keys().filter(|line| self.is_owed(line)).cloned().collect();
        self.waits.retain(|line, _| lines.contains(line) || owed.contains(line));
        for (line, wait) in &mut self.waits {
            wait.is_awake = lines.contains(line);
            wait.next = wait.next.filter(|_| wait.is_awake);
        }
        for line in lines {
            let rule = self.rule(rules, &line);
            let periods = rule.and_then(|rule| periods(rule)).cloned();
            let wait = self.waits.entry(line).or_insert_with(|| Wait::anew(now));
            wait.not_before = wait.since + rule.map(span_of).unwrap_or_default();
            // "The first period that counts begins after Fanfare loads the rule."
            wait.next = periods.map(|periods| match wait.next {
                Some(next) if period_at(&periods, next).0 == next => next,
                _ => first_from(&periods, now),
            });
        }
    }

    /// Whether periods without one are still to be closed.
    fn is_owed(&self, line: &str) -> bool {
        let is_open =
            self.cases.iter().any(|case| case.line == line && case.of_period && (!case.closed || case.came.is_some()));
        is_open || self.waits.get(line).is_some_and(|wait| !wait.absent.is_empty())
    }

    /// "When the time is up, a case opens".
    pub(super) fn missing(&self, now: &Now<'_>) -> Vec<(Ms, Due)> {
        let due = |(line, wait): (&String, &Wait)| {
            let missing = self.rule(now.rules, line)?.missing.as_ref()?;
            let at = match &missing.expected {
                Expected::For(_) if wait.missed => return None,
                Expected::For(span) => (wait.since + span_ms(*span)).max(wait.not_before),
                // "If none came since the period began, a case opens at that time."
                Expected::Each(periods) => period_at(periods, wait.next?).1,
            };
            Some((at, Due::Missing(line.clone())))
        };
        self.waits.iter().filter_map(due).collect()
    }

    /// The clock ran out: an event of its own goes before the rule.
    pub(super) fn miss(&mut self, now: &mut Now<'_>, line: String) {
        let each = self.rule(now.rules, &line).and_then(periods).cloned();
        let wait = self.waits.get_mut(&line).unwrap();
        if let (Some(periods), Some(from)) = (each, wait.next) {
            wait.next = Some(period_at(&periods, from).2);
            if wait.received.is_none_or(|received| received < from) {
                wait.absent.push(name_of(&periods, from));
                now.missed.push((line, from));
            }
            return;
        }
        wait.missed = true;
        now.missed.push((line, wait.since));
    }

    /// The event of its own came: nothing has come meanwhile.
    pub(super) fn nothing_came(&mut self, now: &mut Now<'_>, seq: Seq, event: &Event) {
        let (line, since) = self.absence(event);
        let Some(rule) = self.rule(now.rules, &line) else { return };
        let Some(wait) = self.waits.get_mut(&line) else { return };
        let period = event.data()["period"].as_str();
        let still = match period {
            None => wait.since == since,
            Some(period) => {
                let at = wait.absent.iter().position(|absent| absent == period);
                at.map(|at| wait.absent.remove(at)).is_some()
            }
        };
        if !still {
            return;
        }
        let judgement = now.rules.judge_rule(rule, event);
        let case = self.join(now, rule, &line, Some(period.unwrap_or(KEY).to_owned()), seq, event);
        self.cases[case].of_period = period.is_some();
        let first = self.messages.len();
        for one in judgement.actions.iter().filter(|one| one.held == Held::Held && one.action.after.is_none()) {
            self.say(
                now,
                &Asked {
                    line: line.clone(),
                    one,
                    event: seq,
                    case: Some(case),
                    reminder: false,
                    counted: Vec::new(),
                    sum: None,
                },
            );
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
        if let Some(wait) = self.waits.get_mut(&line) {
            wait.received = wait.received.max(Some(ms(event.received)));
            wait.absent.clear();
        }
        // "The next such event closes all of them": what is said there is said by the next plan.
        for case in self.cases.iter_mut().filter(|case| case.line == line && case.of_period) {
            case.comes(now.ms, seq);
        }
        if let Some(case) = self.open_case(&line, KEY) {
            let judgement = now.rules.judge_rule(rule, event);
            self.close(now, Some(rule), case, seq, &judgement.on_close);
        }
    }

    /// "and restarts with each such event", and where a case ends before one came.
    pub(super) fn starts_anew(&mut self, now: &Now<'_>, line: &str) {
        let span = self.rule(now.rules, line).map(span_of);
        if let (Some(wait), Some(span)) = (self.waits.get_mut(line), span) {
            if wait.missed {
                wait.not_before = now.ms + span;
            } else if wait.not_before <= now.ms {
                wait.not_before = wait.since + span;
            }
            (wait.since, wait.missed) = (now.ms, false);
        }
    }

    /// The cases of periods that what came closes.
    pub(super) fn coming(&self) -> Vec<(Ms, Due)> {
        let cases = self.cases.iter().enumerate();
        cases.filter_map(|(at, case)| Some((case.came?.0, Due::Came(at)))).collect()
    }

    pub(super) fn close_what_came(&mut self, now: &mut Now<'_>, case: usize) {
        let Some((_, seq)) = self.cases[case].came.take() else { return };
        let event = self.events[&seq].clone();
        match self.rule(now.rules, &self.cases[case].line) {
            Some(rule) => {
                let judgement = now.rules.judge_rule(rule, &event);
                self.close(now, Some(rule), case, seq, &judgement.on_close);
            }
            None => self.close(now, None, case, seq, &[]),
        }
    }

    /// How many rules have something to keep.
    pub(super) fn count_waits(&self) -> usize {
        self.waits.iter().filter(|(line, wait)| wait.is_awake || self.is_owed(line)).count()
    }
}

impl Wait {
    fn anew(now: Ms) -> Self {
        let (next, received, absent) = (None, None, Vec::new());
        Self { since: now, not_before: now, missed: false, is_awake: true, next, received, absent }
    }
}

/// How long a rule with `for` waits.
fn span_of(rule: &Rule) -> Ms {
    match rule.missing.as_ref().map(|missing| &missing.expected) {
        Some(Expected::For(span)) => span_ms(*span),
        _ => 0,
    }
}

fn periods(rule: &Rule) -> Option<&Periods> {
    match &rule.missing.as_ref()?.expected {
        Expected::Each(periods) => Some(periods),
        Expected::For(_) => None,
    }
}

fn date_of(at: Ms) -> Date {
    TimeZone::UTC.to_datetime(from_ms(at)).date()
}

fn midnight(date: Date) -> Ms {
    ms(TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap())
}

/// When the period around a moment began, when something must have come, and when the next begins; day by day.
fn period_at(periods: &Periods, at: Ms) -> (Ms, Ms, Ms) {
    assert_eq!(periods.zone, TimeZone::UTC);
    let begins = |date: Date| match periods.each {
        Each::Day => true,
        Each::Week(_) => date.weekday() == Weekday::Monday,
        Each::Month(_) => date.day() == 1,
    };
    let mut first = midnight(date_of(at));
    while !begins(date_of(first)) {
        first -= DAY;
    }
    let mut next = first + DAY;
    while !begins(date_of(next)) {
        next += DAY;
    }
    let days = (next - first) / DAY;
    // "A day that a month lacks is its last day."
    let nth = match periods.each {
        Each::Day => 0,
        Each::Week(day) => i64::from(day),
        Each::Month(MonthDay::Day(day)) => i64::from(day - 1).min(days - 1),
        Each::Month(MonthDay::Last) => days - 1,
    };
    let minutes = i64::from(periods.time.hour()) * 60 + i64::from(periods.time.minute());
    (first, first + nth * DAY + minutes * 60_000, next)
}

fn first_from(periods: &Periods, at: Ms) -> Ms {
    let (first, _, next) = period_at(periods, at);
    if first == at { first } else { next }
}

/// "Its `case.key` is the period: `2026-03`, `2026-W12` or `2026-03-16`."
fn name_of(periods: &Periods, from: Ms) -> String {
    let date = date_of(from);
    match periods.each {
        Each::Day => date.to_string(),
        Each::Week(_) => date.strftime("%G-W%V").to_string(),
        Each::Month(_) => date.strftime("%Y-%m").to_string(),
    }
}
