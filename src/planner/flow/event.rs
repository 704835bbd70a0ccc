//! The way of an event: what each rule makes of it. Its case is closed, opened, or goes on, and each action acts at once,
//! waits for its time, or stays out.

use jiff::Timestamp;

use crate::event::{Event, Seq};
use crate::planner::cards;
use crate::planner::case::{Case, MISSING_KEY, OWN_KEY};
use crate::planner::closes::Closed;
use crate::planner::effect::Now;
use crate::planner::flow::announce::{Announcement, announce};
use crate::planner::flow::change::change;
use crate::planner::flow::close::{Closing, end_case};
use crate::planner::flow::count::{counted, summed};
use crate::planner::flow::occasion::Occasion;
use crate::planner::flow::{Planning, reasons, unread_of};
use crate::planner::inputs::Judged;
use crate::planner::missing::{Awaited, key_of};
use crate::planner::names::present_name;
use crate::planner::own::Unmatched;
use crate::planner::reminders::{Brought, is_overtaken, schedule, schedule_end, unacknowledge};
use crate::planner::state::id;
use crate::planner::why::{Decision, RuleOutcome, Trace, because};
use crate::rules::{Action, ActionJudgement, Held, Judgement, Rule, RuleSet, Why};

/// Why a case is no longer acknowledged that nobody took back.
const GROWN: &str = "a reminder's own condition holds first at this match";

/// Why an action that acts once did not.
const OPEN_ALREADY: &str = "`once`: the case was open already";

/// The case that a match belongs to.
enum Belongs {
    /// To none: the rule has no cases.
    Nowhere,
    /// To this one, which it opened or found open.
    To { case: Box<Case>, opened: bool },
    /// To one that has closed already.
    Late,
}

/// What each rule makes of an event. One that closes and opens does both, in that order: it ends what was, and begins anew.
pub(crate) fn event(work: &mut Planning<'_>, judged: &Judged<'_>) {
    unmatched(work, judged);
    for judgement in &judged.judgements {
        let mut trace = Trace::default();
        match &judgement.closes {
            Some(key) => closes(work, judged, judgement, key, &mut trace),
            None => not_closed(judgement, &mut trace),
        }
        if judgement.rule.missing.is_some() && judgement.held.is_none() {
            awaited(work, judged, judgement, &mut trace);
        }
        if let Some(held) = judgement.held {
            matched(work, judged, judgement, held, &mut trace);
        }
        work.tell(trace, judged.seq, Some(judged.event), judgement.rule);
    }
}

/// What `event` leaves out: for each rule whose globs accept the event, in their order, its name, and why it misses if it
/// just misses. Nothing that is kept has a part in that.
pub fn misses(rules: &RuleSet, seq: Seq, event: &Event) -> Vec<(String, Option<Decision>)> {
    let judged = Judged::whole(rules, seq, event);
    let missed = |judgement: &Judgement<'_>| {
        let mut trace = Trace::default();
        not_closed(judgement, &mut trace);
        if judgement.rule.missing.is_some() && judgement.held.is_none() {
            not_awaited(judgement, &mut trace);
        }
        if let Some(held) = judgement.held {
            holds(judgement, held, &mut trace);
        }
        trace.row(seq, &judgement.rule.name.value)
    };
    let of = |judgement: &Judgement<'_>| {
        let why = if judgement.is_miss() { missed(judgement) } else { None };
        (judgement.rule.name.value.clone(), why)
    };
    judged.judgements.iter().map(of).collect()
}

/// A type that no rule names is reported.
fn unmatched(work: &mut Planning<'_>, judged: &Judged<'_>) {
    if judged.named || judged.event.is_own() {
        return;
    }
    let kind = &*judged.event.kind;
    let mut trace = Trace::default();
    trace.rule(RuleOutcome::Missed, format!("no rule names the type `{kind}`"));
    work.decide(trace, judged.seq, "");
    work.turn(&Unmatched::slot(kind), |known, now| {
        Unmatched::take(known, judged.event, &judged.seq.to_string(), now.at)
    });
}

/// A closer's globs accepted the event, and its condition didn't.
fn not_closed(judgement: &Judgement<'_>, trace: &mut Trace) {
    let Some(why) = &judgement.closes_why else { return };
    reasons(judgement, trace);
    match why.held() {
        Held::Failed => trace.fail(format!("`closed_by`: {}", because(Some(why)))),
        _ => trace.rule(RuleOutcome::Missed, format!("closes nothing: {}", because(Some(why)))),
    }
}

/// An event closes a case: the one whose matches were all created no later than itself.
fn closes(
    work: &mut Planning<'_>,
    judged: &Judged<'_>,
    judgement: &Judgement<'_>,
    key: &Result<String, String>,
    trace: &mut Trace,
) {
    reasons(judgement, trace);
    let key = match key {
        Ok(key) => key,
        Err(reason) => return trace.fail(format!("closes no case: {reason}")),
    };
    let (rule, created) = (judgement.rule, judged.event.created);
    let names = work.names(rule);
    let key = open_as(work, &names, key, judgement.closes_written.as_deref());
    // Also where no case is open: what it closes may come after it.
    work.turn_told(&Closed::slot(&names, key), trace, |known, now| {
        Closed::remember(known, (&rule.name.value, key), (created, judged.seq), now.at)
    });
    let Some(case) = work.case(&names, key) else {
        return trace.rule(RuleOutcome::Closed, format!("closes case `{key}`, which was not open"));
    };
    if case.newest > created {
        let (newest, created) = (work.now.said(case.newest), work.now.said(created));
        let note = format!("leaves case `{key}` open: it closes what came until {created}, and {newest} came since");
        return trace.rule(RuleOutcome::Closed, note);
    }
    trace.rule(RuleOutcome::Closed, format!("closed case `{key}`"));
    end_case(work, &case, Some(rule), &Closing::by_event(judged, &judgement.on_close), trace);
}

/// Something came that may be what a `missing` rule waits for.
fn awaited(work: &mut Planning<'_>, judged: &Judged<'_>, judgement: &Judgement<'_>, trace: &mut Trace) {
    if !judgement.arrived {
        return not_awaited(judgement, trace);
    }
    reasons(judgement, trace);
    let rule = judgement.rule;
    let names = work.names(rule);
    match work.case(&names, MISSING_KEY) {
        Some(case) => {
            trace.rule(RuleOutcome::Closed, "it came: closed the case");
            let judged_alone = work.rules.judge_rule(rule, judged.event);
            end_case(work, &case, Some(rule), &Closing::by_event(judged, &judged_alone.on_close), trace);
        }
        None => trace.rule(RuleOutcome::Closed, "it came"),
    }
    let Some(missing) = &rule.missing else { return };
    let it = (judged.seq, judged.event.received);
    let came = |known, now: Now<'_>| Awaited::came(known, &rule.name.value, missing, it, now.at);
    work.turn_told(&Awaited::slot(&names), trace, came);
}

/// It is not what a `missing` rule waits for.
fn not_awaited(judgement: &Judgement<'_>, trace: &mut Trace) {
    reasons(judgement, trace);
    let why = because(judgement.why.as_ref());
    match judgement.why.as_ref().map(Why::held) {
        Some(Held::Failed) => trace.fail(format!("`missing`: {why}")),
        _ => trace.rule(RuleOutcome::Missed, format!("not the expected event: {why}")),
    }
}

/// What comes of an event that a rule's globs accept.
fn matched(work: &mut Planning<'_>, judged: &Judged<'_>, judgement: &Judgement<'_>, held: Held, trace: &mut Trace) {
    if !holds(judgement, held, trace) {
        return;
    }
    let Some(counted) = counted(work, judged, judgement, trace) else { return };
    let Some(sum) = summed(work, judged, judgement, trace) else { return };
    let (mut case, opened) = match belongs(work, judged, judgement, trace) {
        Belongs::Late => return,
        Belongs::Nowhere => (None, true),
        Belongs::To { case, opened } => (Some(case), opened),
    };
    case.iter_mut().for_each(|case| cards::keep(case, judgement.rule, judged.seq));
    trace.accepted();
    let acting: Vec<&ActionJudgement<'_>> =
        judgement.actions.iter().filter(|acted| acts(acted, opened, trace)).collect();
    let (mut told, mut is_critical): (Option<Timestamp>, bool) = (None, false);
    let at_once = acting.iter().filter(|acted| !acted.action.is_timed());
    // Only the first message of a case at a destination can change.
    let (cards, others): (Vec<_>, Vec<_>) = at_once.partition(|acted| acted.action.update);
    for acted in cards.into_iter().chain(others) {
        let announcement =
            Announcement { counted: &counted, sum: sum.clone(), ..announcement(judged, judgement, acted) };
        change(work, &announcement, case.as_deref_mut(), trace);
        let first = announce(work, &announcement, case.as_deref_mut(), trace);
        is_critical |= first.is_some() && work.is_critical(acted.action);
        told = told.into_iter().chain(first).min();
    }
    if let Some(mut case) = case {
        if opened {
            case.told = told.filter(|told| *told > case.opened);
        }
        let from = (!opened).then(|| told.unwrap_or(work.now.at));
        if from.is_some() && case.acked.is_some() && grows(&case, &acting) {
            let effects = unacknowledge(&mut case, GROWN, Some(judgement.rule), work.now);
            work.apply(effects, trace);
        }
        // Also of one that spoke just now: it may repeat.
        let by = Brought { event: judged.seq, created: Some(judged.event.created), from };
        for (nth, acted) in acting.iter().enumerate() {
            if is_overtaken(&case, acting.get(nth..).unwrap_or_default(), by, work.now.at) {
                continue;
            }
            match schedule(&mut case, acted, by, work.now) {
                Ok(effects) => work.apply(effects, trace),
                Err(reason) => trace.fail(reason),
            }
        }
        if is_critical || (told.is_some() && escalates(&case, judgement.rule)) {
            case.asks(work.now.at);
        }
        let timer = schedule_end(&mut case, judgement.rule);
        work.act(timer);
        work.save_case(&case);
    }
}

/// Whether a reminder with a condition of its own acts for the first time in a case: what was acknowledged was less.
fn grows(case: &Case, acting: &[&ActionJudgement<'_>]) -> bool {
    let reminds = |action: &Action| action.at.is_none() && action.after.or(action.repeat).is_some();
    let mut conditional = acting.iter().map(|acted| acted.action).filter(|action| action.when.is_some());
    conditional.any(|action| reminds(action) && !case.timers.contains_key(&action.id))
}

/// Whether an `after` or `repeat` is still to come of a case.
pub(crate) fn escalates(case: &Case, rule: &Rule) -> bool {
    let mut reminders = rule.actions.iter().filter(|action| action.at.is_none());
    reminders.any(|action| case.timers.get(&action.id).is_some_and(|timer| timer.due.is_some()))
}

/// Whether a rule acts on an event; else why not. What could not be read is reported in any case.
fn holds(judgement: &Judgement<'_>, held: Held, trace: &mut Trace) -> bool {
    reasons(judgement, trace);
    match held {
        Held::Held => {}
        Held::Missed => trace.rule(RuleOutcome::Missed, because(judgement.why.as_ref())),
        Held::Failed => trace.fail(because(judgement.why.as_ref())),
    }
    judgement.accepts()
}

/// Whether an action of a rule that holds acts; else why not.
fn acts(acted: &ActionJudgement<'_>, opened: bool, trace: &mut Trace) -> bool {
    let action = acted.action;
    match acted.held {
        Held::Missed => {
            if let Some(why) = &acted.why {
                trace.detail(&format!("when {}", action.id), serde_json::json!(why));
            }
            trace.action(RuleOutcome::Missed, &action.id, None, because(acted.why.as_ref()));
        }
        Held::Failed => trace.fail(format!("action `{}`: {}", action.id, because(acted.why.as_ref()))),
        Held::Held => {}
    }
    let too_late = acted.accepts() && action.once && !opened;
    if too_late {
        trace.action(RuleOutcome::Missed, &action.id, None, OPEN_ALREADY);
    }
    acted.accepts() && !too_late
}

/// Finds or opens the case of a match.
fn belongs(work: &mut Planning<'_>, judged: &Judged<'_>, judgement: &Judgement<'_>, trace: &mut Trace) -> Belongs {
    let rule = judgement.rule;
    let key = match (&rule.case, &judgement.case, &rule.missing) {
        (_, _, Some(_)) => key_of(judged.event),
        (_, Some(Ok(key)), None) => key.as_str(),
        (_, Some(Err(reason)), None) => {
            trace.fail(format!("no case: {reason}"));
            return own_case(work, judged, rule, true);
        }
        (Some(_), None, None) => {
            trace.fail("no case: no key was selected");
            return own_case(work, judged, rule, true);
        }
        (None, None, None) => return own_case(work, judged, rule, false),
    };
    let names = work.names(rule);
    let key = open_as(work, &names, key, judgement.case_written.as_deref());
    let (now, created) = (work.now.at, judged.event.created);
    let closed = work.state.load(&Closed::slot(&names, key));
    if let Some(closed) = closed.filter(|closed| closed.came_before(created, now)) {
        let closed = work.now.said(closed.created);
        trace.rule(RuleOutcome::Late, format!("late: case `{key}` was closed by an event of {closed}"));
        return Belongs::Late;
    }
    if rule.missing.is_some() {
        // It may have come between the own event that told the absence and this.
        let known = work.state.load(&Awaited::slot(&names));
        if !Awaited::is_absent(known.as_ref(), judged.event) {
            trace.rule(RuleOutcome::Late, "the event came");
            return Belongs::Late;
        }
    }
    match work.case(&names, key) {
        Some(mut case) => {
            case.goes_on(created, now);
            Belongs::To { case: Box::new(case), opened: false }
        }
        None => Belongs::To { case: Box::new(open_case(work, judged, rule, key)), opened: true },
    }
}

/// The key of a case: as it is, or with its numbers as they are written in the event, where a case is open under that only.
/// Earlier versions kept cases so.
fn open_as<'k>(work: &mut Planning<'_>, names: &[String], key: &'k str, written: Option<&'k str>) -> &'k str {
    let written = written.filter(|written| work.case(names, key).is_none() && work.case(names, written).is_some());
    written.unwrap_or(key)
}

fn open_case(work: &Planning<'_>, judged: &Judged<'_>, rule: &Rule, key: &str) -> Case {
    let mut case = Case::open(&rule.name.value, key, judged.seq, judged.event.created, work.now.at);
    case.shadow = rule.shadow || work.destinations.shadow;
    case
}

/// A case that only this event is about: where its key is absent, and where a rule without cases has timers. It lasts as long
/// as its timers.
fn own_case(work: &Planning<'_>, judged: &Judged<'_>, rule: &Rule, keyed: bool) -> Belongs {
    if !keyed && rule.actions.iter().all(|action| action.spec().is_none()) {
        return Belongs::Nowhere;
    }
    let mut case = open_case(work, judged, rule, &origin(judged, Some(OWN_KEY)));
    case.own = true;
    Belongs::To { case: Box::new(case), opened: true }
}

/// An event planned again: what isn't there is made, and no case is opened. `only` is the one rule that is asked, `before`
/// what came of it so far.
pub(crate) fn replay(
    work: &mut Planning<'_>,
    judged: &Judged<'_>,
    again: u64,
    only: Option<&str>,
    before: &[Decision],
) {
    let only = only.map(|only| present_name(work.rules, only));
    for judgement in &judged.judgements {
        if only.is_some_and(|only| judgement.rule.name.value != only) {
            continue;
        }
        let mut trace = Trace::default();
        if let Some(key) = &judgement.closes {
            closes(work, judged, judgement, key, &mut trace);
        }
        if let Some(held) = judgement.held
            && holds(judgement, held, &mut trace)
        {
            // Anew means anew, whatever was.
            let before = if again == 0 { before } else { &[] };
            let names = work.names(judgement.rule);
            let before: Vec<&Decision> = before.iter().filter(|row| names.contains(&row.rule)).collect();
            trace.detail("by_hand", "planned again by hand".into());
            matched_again(work, judged, judgement, (again, &before), &mut trace);
        }
        work.tell(trace, judged.seq, Some(judged.event), judgement.rule);
    }
}

/// What comes of a match that is planned again: messages only. It opens no case, but speaks in one that is open. What was
/// late stays late, what was said by `once` or in a digest is not said by itself now.
fn matched_again(
    work: &mut Planning<'_>,
    judged: &Judged<'_>,
    judgement: &Judgement<'_>,
    (again, before): (u64, &[&Decision]),
    trace: &mut Trace,
) {
    let rule = judgement.rule;
    trace.accepted();
    if before.iter().any(|row| row.outcome == RuleOutcome::Late.name()) {
        return trace.rule(RuleOutcome::Late, "late when it came: its case had closed");
    }
    if before.iter().any(|row| row.outcome == RuleOutcome::Counted.name()) {
        return trace.rule(RuleOutcome::Counted, "it was only counted when it came, and a replay doesn't count");
    }
    let was = |action: &str, outcome: RuleOutcome, note: Option<&str>| {
        before.iter().any(|row| row.actions().any(|came| came.is(action, outcome, note)))
    };
    let (mut case, mut facts) = (None, None);
    if let Some(Ok(key)) = &judgement.case {
        let names = work.names(rule);
        let key = open_as(work, &names, key, judgement.case_written.as_deref());
        case = work.case(&names, key);
        facts = Some(open_case(work, judged, rule, key).facts(false));
    }
    for acted in judgement.actions.iter().filter(|acted| acted.accepts() && !acted.action.is_timed()) {
        let id = acted.action.id.as_str();
        let is_later = case.as_ref().is_some_and(|case| case.event != judged.seq);
        if acted.action.once && (is_later || was(id, RuleOutcome::Missed, Some(OPEN_ALREADY))) {
            trace.action(RuleOutcome::Missed, id, None, OPEN_ALREADY);
            continue;
        }
        if was(id, RuleOutcome::Digest, None) {
            trace.action(RuleOutcome::Digest, id, None, "it was in a digest already");
            continue;
        }
        let facts = facts.clone();
        let first = announcement(judged, judgement, acted);
        let announcement = Announcement { again, occasion: Occasion::Replay, facts, ..first };
        change(work, &announcement, case.as_mut(), trace);
        announce(work, &announcement, case.as_mut(), trace);
    }
    if let Some(case) = case {
        work.save_case(&case);
    }
}

/// What ids are made from where an event sets something off.
fn origin(judged: &Judged<'_>, what: Option<&str>) -> String {
    let event = [&*judged.event.source, judged.event.id.as_str()];
    id(&what.into_iter().chain(event).collect::<Vec<_>>())
}

/// What an action has to say at a match.
fn announcement<'a>(
    judged: &'a Judged<'_>,
    judgement: &'a Judgement<'_>,
    acted: &'a ActionJudgement<'a>,
) -> Announcement<'a> {
    let (seq, event, origin) = (judged.seq, judged.event, origin(judged, None));
    let (rule, unread, occasion) = (judgement.rule, unread_of(judgement, acted), Occasion::Match);
    Announcement { rule, acted, seq, event, origin, again: 0, occasion, facts: None, unread, counted: &[], sum: None }
}
