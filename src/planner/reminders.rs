//! What runs by the clock in a case: an action's `after`, `repeat` and `at`, and the case's own `closes_after`. Timers run
//! from when people could first be notified of the opening, and later matches don't restart them.

use jiff::{SignedDuration, Timestamp};

use crate::clock::{from_ms, plus};
use crate::event::Seq;
use crate::planner::case::{Case, Scheduled};
use crate::planner::effect::{Effect, Now};
use crate::planner::state::id;
use crate::planner::timer::Meaning;
use crate::planner::why::RuleOutcome;
use crate::rules::{Action, ActionJudgement, Rule, Workdays};

/// What a match brings to its case's timers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brought {
    /// The match.
    pub event: Seq,
    /// Its `created`, where that is known: of two dates that of the later one holds.
    pub created: Option<Timestamp>,
    /// From when on an action counts whose condition holds first at this match, which the case was open for already.
    pub from: Option<Timestamp>,
}

impl Action {
    /// Whether it waits for a time of its case rather than acting at a match.
    pub(crate) fn is_timed(&self) -> bool {
        self.after.is_some() || self.at.is_some()
    }

    /// What its timer goes by, as text: a change of it moves the timer.
    pub(crate) fn spec(&self) -> Option<String> {
        if !self.is_timed() && self.repeat.is_none() {
            return None;
        }
        let seconds = |span: Option<SignedDuration>| span.map(|span| span.as_secs());
        let at = self.at.as_ref().map(|at| {
            let offset = at.days.as_ref().map_or_else(|| at.offset.as_secs().to_string(), Workdays::spec);
            format!("{offset} {}", at.place())
        });
        let after = match &self.after_days {
            Some(days) => format!("Some({})", days.spec()),
            None => format!("{:?}", seconds(self.after)),
        };
        Some(format!("{after} {:?} {:?}", seconds(self.repeat), at))
    }

    /// Whether the date of its `at` stands elsewhere than it did for a timer that was set by this [`Action::spec`].
    fn is_dated_elsewhere(&self, spec: &str) -> bool {
        let path = |spec: &str| spec.split_once("Some(\"")?.1.split_once(' ').map(|(_, path)| path.to_owned());
        let now = self.spec().as_deref().and_then(path);
        now.zip(path(spec)).is_some_and(|(now, then)| now != then)
    }

    /// When it acts first, counted from a moment.
    pub(crate) fn first_from(&self, from: Timestamp) -> Timestamp {
        match &self.after_days {
            Some(days) => days.from(from),
            None => plus(from, self.after.or(self.repeat).unwrap_or_default()),
        }
    }

    /// Where it goes, sorted.
    pub(crate) fn destinations(&self) -> Vec<String> {
        let mut to: Vec<String> = self.to.iter().map(|to| to.value.clone()).collect();
        to.sort();
        to
    }
}

/// The first moment of a series that is after `now`: missed ones are not made up for. A series without steps has none.
fn next_of(first: Timestamp, every: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    if first > now {
        return Some(first);
    }
    let passed = now.as_millisecond().saturating_sub(first.as_millisecond());
    let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let steps = passed.checked_div(every_ms).filter(|_| every_ms > 0)?.saturating_add(1);
    Some(plus(first, SignedDuration::from_millis(every_ms.saturating_mul(steps))))
}

/// When an action's `at` falls, and the date that it goes by.
fn date(acted: &ActionJudgement<'_>) -> Result<Option<(Timestamp, Timestamp)>, String> {
    let Some(at) = &acted.action.at else { return Ok(None) };
    match &acted.at {
        Some(Ok(due)) => {
            // Stores keep timers to the millisecond.
            let due = from_ms(due.as_millisecond());
            let date = acted.date.unwrap_or_else(|| plus(due, at.offset.checked_neg().unwrap_or_default()));
            Ok(Some((due, from_ms(date.as_millisecond()))))
        }
        Some(Err(reason)) => Err(format!("`at`: {reason}")),
        None => Err("`at`: no date".into()),
    }
}

/// The timer of an action of a case, which brings the event that it is about.
pub(crate) fn act_timer(case: &Case, action: &str, event: Seq, due: Timestamp) -> Effect {
    let (rule, key) = (case.rule.clone(), case.key.clone());
    let meaning = Meaning::Act { rule, key, nth: case.nth, action: action.into() };
    Effect::set_timer(case.act_id(action), due, Some(event), &meaning)
}

/// Has a case brought in line with the rules as soon as its opening event is at hand.
pub(crate) fn realign(case: &Case, now: Timestamp) -> Effect {
    realign_by(case, "rearm", case.event, now)
}

fn realign_by(case: &Case, what: &str, event: Seq, now: Timestamp) -> Effect {
    let meaning = Meaning::Rearm { rule: case.rule.clone(), key: case.key.clone(), nth: case.nth };
    Effect::set_timer(case.timer_id(what), now, Some(event), &meaning)
}

/// The timer of a case's end, where it ends by itself.
pub(crate) fn end_timer(case: &Case) -> Option<Effect> {
    let meaning = Meaning::End { rule: case.rule.clone(), key: case.key.clone(), nth: case.nth };
    Some(Effect::set_timer(case.timer_id("end"), case.ends()?, Some(case.event), &meaning))
}

/// Sets when a case ends by itself: a `closes_after` after its last match. A timer that is set already finds out by itself
/// that its time has moved.
pub(crate) fn schedule_end(case: &mut Case, rule: &Rule) -> Option<Effect> {
    if !ends_otherwise(case, rule) {
        return None;
    }
    case.ends_s = rule.closes_after.map(|span| span.as_secs());
    Some(end_timer(case).unwrap_or_else(|| Effect::DropTimer(case.timer_id("end"))))
}

/// Whether a case's end was set by another `closes_after` than its rule has now.
pub(crate) fn ends_otherwise(case: &Case, rule: &Rule) -> bool {
    case.ends_s != rule.closes_after.map(|span| span.as_secs())
}

/// Starts an action's timer in a case, or moves it where the action's `at` or its words in the rule have changed. `Err` says
/// why its date is not known.
pub(crate) fn schedule(
    case: &mut Case,
    acted: &ActionJudgement<'_>,
    by: Brought,
    now: Now<'_>,
) -> Result<Vec<Effect>, String> {
    let action = acted.action;
    let Some(spec) = action.spec() else { return Ok(Vec::new()) };
    let date = date(acted)?;
    if case.acked.is_some() && action.at.is_none() {
        return Ok(Vec::new());
    }
    let known = case.timers.get(&action.id);
    let from = known.map_or(by.from.filter(|_| action.when.is_some()), |known| known.from);
    let first = date.map_or_else(|| action.first_from(from.unwrap_or_else(|| case.counts_from())), |(due, _)| due);
    let created = by.created.filter(|_| action.at.is_some());
    if let Some(old) = case.timers.get_mut(&action.id) {
        if old.created > created && created.is_some() {
            // A retry may bring an older match after a newer one: what that said of the date holds.
            return Ok(Vec::new());
        }
        if old.first == first && old.spec == spec {
            old.created = old.created.max(created);
            return Ok(Vec::new());
        }
        if old.first == first && old.has_passed_for_good() && action.at.is_some() {
            // Other words for the same time bring it no second time.
            (old.spec, old.date, old.created) = (spec, date.map(|(_, date)| date), old.created.max(created));
            return Ok(Vec::new());
        }
    }
    let old = case.timers.get(&action.id);
    let fired = old.map_or(0, |old| old.fired);
    let due = match (fired, action.repeat) {
        (0, _) => Some(first),
        // It has fired: only what lies ahead may follow.
        (_, Some(every)) if case.acked.is_none() => next_of(first, every, now.at),
        (_, _) => Some(first).filter(|first| action.at.is_some() && *first > now.at),
    };
    // What a person has sent now still goes now, and counts for the time that holds now.
    let hurried = old.filter(|old| old.early.is_some()).and_then(|old| old.due);
    let early = due.filter(|due| hurried.is_some_and(|now| now < *due));
    let due = if early.is_some() { hurried } else { due };
    let date = date.map(|(_, date)| date);
    // What speaks of a date speaks of the one that holds.
    let holds_always = action.when.is_none() && action.at.is_none() && !action.otherwise;
    let own = if holds_always { case.event } else { by.event };
    let event = old.filter(|old| old.date == date).map_or(own, |old| old.event);
    let (waits, to) = (false, action.destinations());
    let scheduled = Scheduled { event, first, from, due, early, fired, spec, date, created, waits, to };
    case.timers.insert(action.id.clone(), scheduled);
    let Some(due) = due else { return Ok(vec![Effect::DropTimer(case.act_id(&action.id))]) };
    let note = format!("acts {} if the case is still open then", now.said(due));
    let outcome = if case.shadow { RuleOutcome::Shadow } else { RuleOutcome::Matched };
    Ok(vec![act_timer(case, &action.id, event, due), Effect::action(outcome, &action.id, None, note)])
}

/// A timed action acts: missed repeats become one. Gives what the ids of its deliveries are made from, and the timer of
/// its next time.
pub(crate) fn fire(case: &mut Case, action: &Action, now: Timestamp) -> Option<(String, Option<Effect>)> {
    let set_for = case.timers.get(&action.id)?.early.unwrap_or(now).max(now);
    let next = pass(case, action, set_for);
    let fired = case.timers.get(&action.id)?.fired.to_string();
    Some((id(&[&case.timer_id(&action.id), &fired]), next))
}

/// The time of a timed action passes. Gives the timer of its next time, if there is one.
fn pass(case: &mut Case, action: &Action, passed: Timestamp) -> Option<Effect> {
    // What no event can close comes once.
    let ends = !case.own || case.ends_s.is_some();
    let every = action.repeat.filter(|_| case.acked.is_none() && ends);
    let timer = case.timers.get_mut(&action.id)?;
    timer.fired += 1;
    (timer.waits, timer.early) = (false, None);
    timer.due = every.and_then(|every| next_of(timer.first, every, passed));
    let (event, due) = (timer.event, timer.due?);
    Some(act_timer(case, &action.id, event, due))
}

/// A person has a reminder sent now. It counts for the time that it was set for, so that what repeats does not come twice.
pub(crate) fn hurry(case: &mut Case, action: &Action, now: Now<'_>) -> Vec<Effect> {
    let Some(timer) = case.timers.get_mut(&action.id) else { return Vec::new() };
    let (event, due) = (timer.event, timer.due);
    (timer.early, timer.due) = (due, Some(now.at));
    vec![act_timer(case, &action.id, event, now.at)]
}

/// A person cancels a reminder: its time passes, and nothing is sent. What repeats comes at its next time.
pub(crate) fn skip(case: &mut Case, action: &Action, now: Now<'_>) -> Vec<Effect> {
    let Some(timer) = case.timers.get(&action.id) else { return Vec::new() };
    let due = timer.early.or(timer.due).unwrap_or(now.at);
    let next = pass(case, action, due.max(now.at));
    if let Some(timer) = case.timers.get_mut(&action.id).filter(|timer| timer.due.is_none()) {
        timer.early = Some(due).filter(|due| *due > now.at);
    }
    vec![next.unwrap_or_else(|| Effect::DropTimer(case.act_id(&action.id)))]
}

/// The rules changed: brings the timer of one action in line with them, by the event that is at hand. What is past by now
/// fires once, at once; what is gone stays silent.
pub(crate) fn align(
    case: &mut Case,
    acted: &ActionJudgement<'_>,
    by: Brought,
    now: Now<'_>,
) -> Result<Vec<Effect>, String> {
    let (action, opening) = (acted.action, case.event);
    let Some(spec) = action.spec() else { return Ok(Vec::new()) };
    let known = case.timers.get(&action.id).cloned();
    if let Some(timer) = known.as_ref().filter(|timer| timer.spec == spec) {
        let due = timer.due.filter(|_| timer.waits);
        return Ok(due.map(|due| act_timer(case, &action.id, timer.event, due)).into_iter().collect());
    }
    // A date that a later match brought is not in the opening event: it was kept. Where it is to be found elsewhere from now
    // on, that match says what it is.
    let elsewhere = known.as_ref().filter(|timer| action.is_dated_elsewhere(&timer.spec));
    let wanted = elsewhere.map_or(opening, |timer| timer.event);
    if wanted != by.event {
        let brings = (by.event == opening).then(|| realign_by(case, &id(&["rearm", &action.id]), wanted, now.at));
        return Ok(brings.into_iter().collect());
    }
    if !acted.accepts() && known.is_none() {
        return Ok(Vec::new());
    }
    let kept = known.as_ref().filter(|_| elsewhere.is_none()).and_then(|timer| timer.date);
    let at = kept.zip(action.at.as_ref()).map(|(date, at)| Ok(at.falls(date)));
    let said = known.as_ref().and_then(|timer| timer.created);
    let created = if kept.is_some() { said } else { said.max(by.created) };
    let (why, throttle, digest, at) = (None, None, None, at.or_else(|| acted.at.clone()));
    let acted = ActionJudgement { action, held: acted.held, why, throttle, digest, at, date: kept.or(acted.date) };
    // One of several times that a case did not know is not made up for.
    if known.is_none() && action.step.is_some() && is_past(case, &acted, now.at) {
        return Ok(Vec::new());
    }
    schedule(case, &acted, Brought { event: wanted, created, from: None }, now)
}

/// Whether one of several times, which a case does not know yet, needs no timer: it is past, and so is the one after it, which
/// speaks; or a newer match brought the date, for which it was past. The times after it know that match.
pub(crate) fn is_overtaken(case: &Case, steps: &[&ActionJudgement<'_>], by: Brought, now: Timestamp) -> bool {
    let Some((acted, after)) = steps.split_first() else { return false };
    let Some(step) = acted.action.step.filter(|_| !case.timers.contains_key(&acted.action.id)) else { return false };
    let after = || after.iter().zip(step + 1..).take_while(|(next, step)| next.action.step == Some(*step));
    let is_newer = |timer: &Scheduled| by.created.is_some() && timer.created > by.created;
    is_past(case, acted, now) && after().next().is_some_and(|(next, _)| is_past(case, next, now))
        || after().any(|(next, _)| case.timers.get(&next.action.id).is_some_and(is_newer))
}

/// Whether the time of an action is past before it is set.
fn is_past(case: &Case, acted: &ActionJudgement<'_>, now: Timestamp) -> bool {
    let due = match &acted.at {
        Some(at) => at.as_ref().ok().copied(),
        None => Some(acted.action.first_from(case.counts_from())),
    };
    due.is_some_and(|due| due <= now)
}

/// Whether a case's timers are not those that its rule asks for now.
pub(crate) fn differs(case: &Case, rule: &Rule) -> bool {
    ends_otherwise(case, rule)
        || rule.actions.iter().any(|action| match (action.spec(), case.timers.get(&action.id)) {
            (Some(spec), Some(timer)) => timer.waits || timer.spec != spec,
            (Some(_), None) => true,
            (None, _) => false,
        })
}

/// Whether acknowledging a case leaves this timer of it: that of a date that has not come yet.
pub(crate) fn stays_when_acknowledged(timer: &Scheduled, action: Option<&Action>) -> bool {
    let is_to_come = timer.fired == 0 || timer.early.or(timer.due) == Some(timer.first);
    is_to_come && action.is_some_and(|action| action.at.is_some())
}

/// Someone acknowledged a case: `after` and `repeat` stop, and what of them was never tried is called off. A date (`at`)
/// comes all the same, once.
pub(crate) fn acknowledge(
    case: &mut Case,
    (by, note): (&str, Option<&str>),
    rule: Option<&Rule>,
    now: Timestamp,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    let (lanes, mut stopped) = (&case.lanes, Vec::new());
    for (action, timer) in &mut case.timers {
        let in_force = rule.and_then(|rule| rule.actions.iter().find(|candidate| &candidate.id == action));
        if !stays_when_acknowledged(timer, in_force) {
            (timer.due, timer.early) = (None, None);
            stopped.push(action);
            let reason = format!("{by} acknowledged the case");
            effects.extend(lanes.values().map(|shown| Effect::cancel(&shown.lane, Some(action), reason.as_str())));
        }
    }
    let stopped: Vec<String> = stopped.into_iter().cloned().collect();
    effects.extend(stopped.iter().map(|action| Effect::DropTimer(case.act_id(action))));
    case.acked = Some(by.into());
    case.acked_at = Some(now);
    case.acked_note = note.map(str::to_owned);
    let said = note.map(|note| format!(" ({note})")).unwrap_or_default();
    let said = format!("{by} acknowledged case `{}`{said}: no more reminders of it", case.key);
    effects.push(Effect::rule(RuleOutcome::Cancelled, said));
    effects
}

/// An acknowledgement is taken back: `after` and `repeat` go on. What would have come meanwhile comes once, at once.
pub(crate) fn unacknowledge(case: &mut Case, by: &str, rule: Option<&Rule>, now: Now<'_>) -> Vec<Effect> {
    (case.acked, case.acked_at, case.acked_note) = (None, None, None);
    let said = format!("case `{}` is no longer acknowledged: {by}", case.key);
    let mut effects = vec![Effect::rule(RuleOutcome::Matched, said)];
    let ids: Vec<String> = case.timers.keys().cloned().collect();
    for id in ids {
        let action = rule.and_then(|rule| rule.actions.iter().find(|action| action.id == id));
        let Some(timer) = case.timers.get_mut(&id).filter(|timer| timer.due.is_none()) else { continue };
        let every = action.and_then(|action| action.repeat);
        timer.due = match timer.fired {
            0 => Some(timer.first.max(now.at)),
            _ => every.and_then(|every| next_of(timer.first, every, now.at)),
        };
        let (event, Some(due)) = (timer.event, timer.due) else { continue };
        effects.push(act_timer(case, &id, event, due));
        let note = format!("acts {} if the case is still open then", now.said(due));
        effects.push(Effect::action(RuleOutcome::Matched, &id, None, note));
    }
    // What an earlier match asked for while it was acknowledged was not set at all.
    effects.push(realign(case, now.at));
    effects
}
