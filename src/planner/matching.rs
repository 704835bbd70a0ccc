//! What a match leads to: its case is opened or goes on, and each action acts at once, waits for its time, or stays out.

use crate::planner::announce::{Announcement, Occasion};
use crate::planner::book::id;
use crate::planner::case::{Brought, Case};
use crate::planner::inputs::Judged;
use crate::planner::round::{Round, reasons};
use crate::planner::why::{Decision, Outcome, Trace, because};
use crate::rules::{Held, Judgement, Rule};

/// The key of the one case that a `missing` rule has.
pub(crate) const MISSING_KEY: &str = "missing";

/// Why an action that acts once did not.
const OPEN_ALREADY: &str = "`once`: the case was open already";

/// Whether this came of an action before, with this note if one is named.
fn was(before: &[&Decision], action: &str, outcome: Outcome, note: Option<&str>) -> bool {
    before.iter().any(|row| row.actions().any(|came| came.is(action, outcome, note)))
}

/// The case that a match belongs to.
enum Belongs {
    /// To none: the rule has no cases.
    Nowhere,
    /// To this one, which it opened or found open.
    To { case: Box<Case>, opened: bool },
    /// To one that has closed already.
    Late,
}

impl Round<'_> {
    /// What comes of an event that a rule's globs accept.
    pub fn matched(&mut self, judged: &Judged<'_>, judgement: &Judgement<'_>, held: Held, trace: &mut Trace) {
        reasons(judgement, trace);
        match held {
            Held::Missed => return trace.rule(Outcome::Missed, because(judgement.why.as_ref())),
            Held::Failed => return trace.fail(because(judgement.why.as_ref())),
            Held::Held => {}
        }
        let rule = judgement.rule;
        let (mut case, opened) = match self.belongs(judged, judgement, trace) {
            Belongs::Late => return,
            Belongs::Nowhere => (None, true),
            Belongs::To { case, opened } => (Some(case), opened),
        };
        trace.accepted();
        for acted in &judgement.actions {
            let action = acted.action;
            match acted.held {
                Held::Missed => {
                    if let Some(why) = &acted.why {
                        trace.detail(&format!("when {}", action.id), serde_json::json!(why));
                    }
                    trace.action(Outcome::Missed, &action.id, None, because(acted.why.as_ref()));
                    continue;
                }
                Held::Failed => {
                    trace.fail(format!("action `{}`: {}", action.id, because(acted.why.as_ref())));
                    continue;
                }
                Held::Held if action.once && !opened => {
                    trace.action(Outcome::Missed, &action.id, None, OPEN_ALREADY);
                    continue;
                }
                Held::Held => {}
            }
            if !action.is_timed() {
                let announcement = announcement(judged, judgement, acted, Occasion::Match, 0);
                self.announce(&announcement, case.as_deref_mut(), trace);
            }
            if let Some(case) = case.as_deref_mut() {
                let created = Some(judged.event.created);
                self.schedule(case, acted, Brought { event: judged.seq, created }, trace);
            }
        }
        if let Some(mut case) = case {
            self.schedule_end(&mut case, rule);
            self.save_case(&case);
        }
    }

    /// Finds or opens the case of a match.
    fn belongs(&mut self, judged: &Judged<'_>, judgement: &Judgement<'_>, trace: &mut Trace) -> Belongs {
        let rule = judgement.rule;
        let key = match (&rule.case, &judgement.case, &rule.missing) {
            (_, _, Some(_)) => MISSING_KEY,
            (_, Some(Ok(key)), None) => key.as_str(),
            (_, Some(Err(reason)), None) => {
                trace.fail(format!("no case: {reason}"));
                return self.own_case(judged, rule, true);
            }
            (Some(_), None, None) => {
                trace.fail("no case: no key was selected");
                return self.own_case(judged, rule, true);
            }
            (None, None, None) => return self.own_case(judged, rule, false),
        };
        let names = self.names(rule);
        if let Some(closed) = self.late(&names, key, judged) {
            let note = format!("late: case `{key}` was closed by an event of {}", self.moment(closed));
            trace.rule(Outcome::Late, note);
            return Belongs::Late;
        }
        if rule.missing.is_some() && !self.opens_missing(judged, rule, trace) {
            return Belongs::Late;
        }
        match self.case(&names, key) {
            Some(mut case) => {
                case.count = case.count.saturating_add(1);
                case.last = self.now;
                case.newest = case.newest.max(judged.event.created);
                Belongs::To { case: Box::new(case), opened: false }
            }
            None => Belongs::To { case: Box::new(self.open_case(judged, rule, key)), opened: true },
        }
    }

    fn open_case(&self, judged: &Judged<'_>, rule: &Rule, key: &str) -> Case {
        let mut case = Case::open(&rule.name.value, key, judged.seq, judged.event.created, self.now);
        case.shadow = rule.shadow || self.places.shadow;
        case
    }

    /// A case that only this event is about: where its key is absent, and where a rule without cases has timers. It
    /// lasts as long as its timers.
    fn own_case(&self, judged: &Judged<'_>, rule: &Rule, keyed: bool) -> Belongs {
        if !keyed && rule.actions.iter().all(|action| action.spec().is_none()) {
            return Belongs::Nowhere;
        }
        let key = id(&["event", &judged.event.source, judged.event.id.as_str()]);
        let mut case = self.open_case(judged, rule, &key);
        case.own = true;
        Belongs::To { case: Box::new(case), opened: true }
    }

    /// What comes of a match that is planned again: messages only. It opens no case, but speaks in one that is open.
    /// `before` is what this rule made of it so far: what was late stays late, what was said by `once` or in a digest is
    /// not said by itself now.
    pub fn matched_again(
        &mut self,
        judged: &Judged<'_>,
        judgement: &Judgement<'_>,
        (held, again): (Held, u64),
        before: &[&Decision],
        trace: &mut Trace,
    ) {
        reasons(judgement, trace);
        match held {
            Held::Missed => return trace.rule(Outcome::Missed, because(judgement.why.as_ref())),
            Held::Failed => return trace.fail(because(judgement.why.as_ref())),
            Held::Held => trace.accepted(),
        }
        let rule = judgement.rule;
        if before.iter().any(|row| row.outcome == Outcome::Late.name()) {
            return trace.rule(Outcome::Late, "late when it came: its case had closed");
        }
        let (mut case, mut facts) = (None, None);
        if let Some(Ok(key)) = &judgement.case {
            case = self.case(&self.names(rule), key);
            facts = Some(self.open_case(judged, rule, key).facts(false));
        }
        for acted in judgement.actions.iter().filter(|acted| acted.held == Held::Held && !acted.action.is_timed()) {
            let id = acted.action.id.as_str();
            let is_later = case.as_ref().is_some_and(|case| case.event != judged.seq);
            if acted.action.once && (is_later || was(before, id, Outcome::Missed, Some(OPEN_ALREADY))) {
                trace.action(Outcome::Missed, id, None, OPEN_ALREADY);
                continue;
            }
            if was(before, id, Outcome::Digest, None) {
                trace.action(Outcome::Digest, id, None, "it was in a digest already");
                continue;
            }
            let mut announcement = announcement(judged, judgement, acted, Occasion::Replay, again);
            announcement.facts.clone_from(&facts);
            self.announce(&announcement, case.as_mut(), trace);
        }
        if let Some(case) = case {
            self.save_case(&case);
        }
    }
}

fn announcement<'a>(
    judged: &'a Judged<'_>,
    judgement: &'a Judgement<'_>,
    acted: &'a crate::rules::ActionJudgement<'a>,
    occasion: Occasion,
    again: u64,
) -> Announcement<'a> {
    let origin = id(&[&judged.event.source, judged.event.id.as_str()]);
    Announcement {
        rule: judgement.rule,
        acted,
        seq: judged.seq,
        event: judged.event,
        origin,
        again,
        occasion,
        facts: None,
    }
}
