//! `docs/RULES.md`, "Reminders".

use fanfare::clock::from_ms;
use fanfare::rules::{Action, Held, Rule, Workdays};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::super::{DAY, Ms, ms};
use super::cases::{Case, Match, span_ms};
use super::messages::Asked;
use super::{Due, Now, Reference};

impl Reference {
    /// "Fanfare plans a reminder when it is due, by the rules in force then. If you change the rule, the reminder changes with
    /// it." Until new rules have reached a case, what they change waits.
    pub(super) fn reminders(&self, now: &Now<'_>) -> Vec<(Ms, Due)> {
        let mut all = Vec::new();
        for (at, case) in self.cases.iter().enumerate().filter(|(_, case)| !case.closed) {
            let Some(old) = &case.set_by else { continue };
            let new = self.rule(now.rules, &case.line);
            for action in old.actions.iter().filter(|action| !case.passed.contains(&action.id)) {
                if action.step.is_some() && !case.steps.contains(&action.id) {
                    continue;
                }
                let present = new.and_then(|rule| rule.actions.iter().find(|other| other.id == action.id));
                let is_same = present.is_none_or(|present| is_at_the_same_times(present, action));
                let by = new.filter(|_| present.is_some()).unwrap_or(old);
                let Some(moment) = self.moment(now, by, present.unwrap_or(action), case) else { continue };
                match is_same {
                    true => all.push((moment, Due::Reminder(at, action.id.clone()))),
                    false if !case.early.contains_key(&action.id) => {}
                    false => all.push((moment, Due::Hurried(at, action.id.clone()))),
                }
            }
        }
        all
    }

    /// When a reminder of an open case acts next: at its time, or, if a person has it sent now, "at once".
    pub(super) fn moment(&self, now: &Now<'_>, rule: &Rule, action: &Action, case: &Case) -> Option<Ms> {
        let set_for = self.set_for(now, rule, action, case)?;
        Some(case.early.get(&action.id).map_or(set_for, |early| set_for.min(*early)))
    }

    /// The time that a reminder of an open case is set for.
    pub(super) fn set_for(&self, now: &Now<'_>, rule: &Rule, action: &Action, case: &Case) -> Option<Ms> {
        let acted = case.reminded.iter().filter(|(id, ..)| *id == action.id);
        if action.at.is_some() {
            let (moment, from) = self.dated(now, rule, action, case)?;
            // Once it was sent, a date that is past when it comes is not told again, whether a match brings it or other rules.
            let came = case.dates.get(&action.id).map_or(from.at, |(_, since)| from.at.max(*since));
            let past = moment <= came && acted.clone().next().is_some();
            return (!past && !acted.into_iter().any(|(_, told, _)| *told == moment)).then_some(moment);
        }
        if case.acknowledged {
            return None;
        }
        after_and_repeat(rule, action, case, acted.map(|(.., at)| *at).next_back())
    }

    /// "A later match with another date moves `at`, and the message then describes that match. An older match that arrives late
    /// doesn't move it."
    pub(super) fn dated<'c>(
        &self,
        now: &Now<'_>,
        rule: &Rule,
        action: &Action,
        case: &'c Case,
    ) -> Option<(Ms, &'c Match)> {
        let mut newest: Option<(Ms, &Match)> = None;
        for one in &case.matches {
            let judgement = now.rules.judge_rule(rule, &self.events[&one.seq]);
            let judged = judgement.actions.iter().find(|judged| judged.action.id == action.id)?;
            // To a match that its `when` leaves out, a deadline is nothing either.
            let date = judged.at.as_ref().filter(|_| !action.deadline || judged.held == Held::Held);
            let Some(Ok(date)) = date else { continue };
            match newest {
                Some((moment, from)) if one.created < from.created || moment == ms(*date) => {}
                _ => newest = Some((ms(*date), one)),
            }
        }
        newest
    }

    /// "that long after people could first be notified of the opening, if the case is still open", "again at that interval,
    /// until the case closes". "A reminder whose time is past acts at once. Reminders that were due while Fanfare was down become
    /// one."
    pub(super) fn remind(&mut self, now: &mut Now<'_>, case: usize, action: &str) {
        let line = self.cases[case].line.clone();
        let rule = self.rule(now.rules, &line);
        let asked = rule.and_then(|rule| rule.actions.iter().find(|one| one.id == action));
        let (Some(rule), Some(asked)) = (rule, asked) else {
            // It comes should they come back, as soon as they have reached the case.
            self.cases[case].passed.insert(action.to_owned());
            return;
        };
        let dated = self.dated(now, rule, asked, &self.cases[case]).filter(|_| asked.at.is_some());
        let (moment, seq) = match dated {
            Some((moment, from)) => (moment, from.seq),
            None => (now.ms, self.cases[case].opening().seq),
        };
        let set_for = self.set_for(now, rule, asked, &self.cases[case]).unwrap_or(now.ms).max(now.ms);
        self.cases[case].reminded.push((action.to_owned(), moment, set_for));
        self.cases[case].early.remove(action);
        if asked.deadline {
            self.cases[case].overdue.push((action.to_owned(), moment));
        }
        let event = self.events[&seq].clone();
        let judgement = now.rules.judge_rule(rule, &event);
        if let Some(one) = judgement.actions.iter().find(|one| one.action.id == action && one.held == Held::Held) {
            self.say(
                now,
                &Asked {
                    line: line.clone(),
                    one,
                    event: seq,
                    case: Some(case),
                    reminder: true,
                    counted: Vec::new(),
                    sum: None,
                },
            );
        }
    }
}

/// "A later match doesn't restart reminders." "No event can close such a case. Its reminders therefore
/// come once each and don't `repeat`, unless the rule has `closes_after`."
fn after_and_repeat(rule: &Rule, action: &Action, case: &Case, acted: Option<Ms>) -> Option<Ms> {
    let repeat = action.repeat.map(span_ms);
    let first = match (action.after, repeat) {
        (Some(after), _) => match &action.after_days {
            Some(days) => workdays(days, case.told),
            None => case.told + span_ms(after),
        },
        (None, Some(repeat)) => case.told + repeat,
        (None, None) => return None,
    };
    let (Some(acted), repeat) = (acted, repeat) else { return Some(first) };
    let repeat = repeat.filter(|_| case.key.is_some() || rule.closes_after.is_some())?;
    Some(if acted < first { first } else { first + ((acted - first) / repeat + 1) * repeat })
}

/// "`5bd` is five business days: Monday to Friday, without the dates of `holidays`", at the same time of day.
fn workdays(days: &Workdays, from: Ms) -> Ms {
    assert_eq!(days.zone, TimeZone::UTC);
    let (mut at, mut left) = (from, days.count);
    while left != 0 {
        at += if left > 0 { DAY } else { -DAY };
        let date = TimeZone::UTC.to_datetime(from_ms(at)).date();
        if !["Sat", "Sun"].contains(&&*date.strftime("%a").to_string()) && !days.holidays.contains(&date) {
            left -= left.signum();
        }
    }
    at
}

/// What makes steps of lists known to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    Match,
    Rules,
}

impl Reference {
    /// "Of those that are past when the case opens, only the last acts. A step that you add later acts only if its time is
    /// still to come." "An older match that arrives late" says nothing about dates.
    pub(super) fn learn_steps(&mut self, now: &Now<'_>, rule: &Rule, case: usize, by: Steps) {
        let steps: Vec<&Action> = rule.actions.iter().collect();
        let matches = &self.cases[case].matches;
        let is_old = matches.last().is_some_and(|last| matches.iter().any(|one| one.created > last.created));
        let says_nothing = |action: &Action| by == Steps::Match && is_old && action.at.is_some();
        for (nth, action) in steps.iter().enumerate().filter(|(_, action)| action.step.is_some()) {
            if says_nothing(action) {
                continue;
            }
            let past = |action: &Action| {
                let moment = match action.at {
                    Some(_) => self.dated(now, rule, action, &self.cases[case]).map(|(moment, _)| moment),
                    None => after_and_repeat(rule, action, &self.cases[case], None),
                };
                moment.is_some_and(|moment| moment <= now.ms)
            };
            let next = steps.get(nth + 1).filter(|next| next.step == action.step.map(|step| step + 1));
            let is_left_out = past(action) && (by == Steps::Rules || next.is_some_and(|next| past(next)));
            if !is_left_out {
                self.cases[case].steps.insert(action.id.clone());
            }
        }
    }
}

/// `after` and `repeat`.
pub(super) type Times = (Option<SignedDuration>, Option<SignedDuration>);

/// Whether two versions of an action act at the same times.
pub(super) fn is_at_the_same_times(one: &Action, other: &Action) -> bool {
    times(one) == times(other) && date(one) == date(other)
}

/// How far from which date an action acts, in time or in business days.
pub(super) type FromDate = (SignedDuration, bool, String);

/// At which date an action acts.
pub(super) fn date(action: &Action) -> Option<FromDate> {
    action.at.as_ref().map(|at| (at.offset, at.days.is_some(), at.path.text.clone()))
}

/// When an action acts in its case, except for a date.
pub(super) fn times(action: &Action) -> Times {
    (action.after, action.repeat)
}
