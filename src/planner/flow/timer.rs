//! The way of a timer that has come due: each finds out whether what it was set for still is so, and acts by the rules that
//! are in force now.

use serde_json::json;

use crate::delivery::Addressed;
use crate::planner::audit::Audited;
use crate::planner::case::{Case, Ending};
use crate::planner::closes::Closed;
use crate::planner::digest::{Collected, DigestId, LIMIT, goes_out};
use crate::planner::fallback::Fallen;
use crate::planner::flow::announce::{Announcement, Draft, announce, deliver};
use crate::planner::flow::change::change;
use crate::planner::flow::close::{Closing, end_case, say_ended, take_away};
use crate::planner::flow::flooded::flood_due;
use crate::planner::flow::lost::late;
use crate::planner::flow::occasion::Occasion;
use crate::planner::flow::opens::hours_open;
use crate::planner::flow::{Planning, unread_of};
use crate::planner::held::Waiting;
use crate::planner::inputs::{Carried, Fired};
use crate::planner::links::Linked;
use crate::planner::missing::Awaited;
use crate::planner::mute::{Audible, Muting};
use crate::planner::names::{action_named, names_for, present_name};
use crate::planner::own::{NoticedId, Unmatched};
use crate::planner::reminders::{Brought, act_timer, align, end_timer, ends_otherwise, fire, realign, schedule_end};
use crate::planner::renamed::{inherit, renamed};
use crate::planner::sums::SumId;
use crate::planner::threshold::ThresholdId;
use crate::planner::throttle::ThrottleId;
use crate::planner::timer::Meaning;
use crate::planner::why::{Decision, RuleOutcome, Trace};
use crate::rules::{ActionJudgement, Judgement};

/// Plans one due timer. It is spent, unless planning it, or an entry before it, set it anew.
pub(crate) fn timer(work: &mut Planning<'_>, fired: &Fired<'_>) {
    let id = &fired.due.id;
    // What came before in this batch may have taken it away or moved it: events that precede its new time may stand behind.
    if work.timers.get(id).is_some_and(|set| set.as_ref().is_none_or(|timer| timer.due != fired.due.timer.due)) {
        return;
    }
    work.timers.insert(id.clone(), None);
    if let Some(reason) = &fired.parked {
        return park(work, fired, reason);
    }
    if let Some(meaning) = &fired.meaning {
        come_due(work, meaning, fired.carried.as_ref());
    }
}

fn come_due(work: &mut Planning<'_>, meaning: &Meaning, carried: Option<&Carried<'_>>) {
    match meaning {
        Meaning::Act { rule, key, nth, action } => {
            if let Some(case) = work.nth_case(rule, key, *nth) {
                act_due(work, case, action, carried);
            }
        }
        Meaning::Rearm { rule, key, nth } => {
            if let Some(case) = work.nth_case(rule, key, *nth) {
                realign_due(work, case, carried);
            }
        }
        Meaning::End { rule, key, nth } => {
            if let Some(case) = work.nth_case(rule, key, *nth) {
                end_due(work, case, carried);
            }
        }
        Meaning::Closing { case, ending, .. } => say_ended(work, case, ending, carried),
        Meaning::Digest { rule, action, key, destination, rest, .. } => {
            digest_due(work, DigestId { rule, action, key, destination, rest: *rest });
        }
        Meaning::Opens { destination, opens, .. } => hours_open(work, destination, &Waiting::slot(destination, *opens)),
        Meaning::Missing { rule } => missing_due(work, rule),
        Meaning::Came { rule, key } => came_due(work, rule, key, carried),
        Meaning::Forget { rule, key } => {
            let of = (present_name(work.rules, rule), key.as_str());
            let slot = Closed::slot(&names_for(work.rules, rule), key);
            work.due(&slot, |closed, now| closed.due(of, now.at));
        }
        Meaning::Flood { rule, .. } => flood_due(work, rule),
        Meaning::Threshold { rule, group } => {
            let of = ThresholdId { rule: present_name(work.rules, rule), group: group.clone() };
            work.due(&of.slot(&names_for(work.rules, rule)), |counted, now| counted.due(&of, now));
        }
        Meaning::Sum { rule, group } => {
            let of = SumId { rule: present_name(work.rules, rule), group: group.clone() };
            work.due(&of.slot(&names_for(work.rules, rule)), |summed, now| summed.due(&of, now));
        }
        Meaning::Throttle { rule, action, key } => {
            let of = ThrottleId { rule: present_name(work.rules, rule), action, key };
            work.due(&of.slot(&names_for(work.rules, rule)), |window, now| window.due(&of, now));
        }
        Meaning::Signal { kind, rule, destination } => {
            let of = NoticedId { kind, rule, destination };
            work.due(&of.slot(), |noticed, now| noticed.due(&of, now.at));
        }
        Meaning::Late { delivery, .. } => late(work, delivery),
        Meaning::Fallback { destination } => {
            let is_configured = work.facts(destination).is_some();
            work.due(&Fallen::slot(destination), |fallen, now| fallen.due(destination, is_configured, now.at));
        }
        Meaning::Mute { id } => {
            work.due(&Muting::slot(id), |muting, now| muting.due(now));
            work.gather_mutes();
        }
        Meaning::Unmatched { kind } => work.due(&Unmatched::slot(kind), |told, now| told.due(now.at)),
        Meaning::Audited { at } => work.due(&Audited::slot(*at), |_, _| (None, Vec::new())),
        Meaning::Link { id } => work.due(&Linked::slot(id), |linked, now| linked.due(id, now.at)),
    }
}

/// What should have come by now: an own event says so, and opens the case in its turn.
fn missing_due(work: &mut Planning<'_>, rule: &str) {
    let Some(rule) = work.rules.named(rule).filter(|rule| rule.enabled) else { return };
    let Some(missing) = &rule.missing else { return };
    let (slot, identity) = (Awaited::slot(&work.names(rule)), work.identity(rule));
    work.due(&slot, |awaited, now| awaited.due(&rule.name.value, missing, identity, now.at));
}

/// It came, and closes the case of a period in which it had not.
fn came_due(work: &mut Planning<'_>, rule: &str, key: &str, carried: Option<&Carried<'_>>) {
    let Some(case) = work.case(&names_for(work.rules, rule), key) else { return forget_closing(work, rule, key) };
    let mut trace = Trace::default();
    trace.rule(RuleOutcome::Closed, format!("it came: closed case `{key}`"));
    let rule = work.rules.named(rule).filter(|rule| rule.enabled);
    let closing = Closing::by_carried(carried, &case);
    end_case(work, &case, rule, &closing, &mut trace);
    match (rule, carried) {
        (Some(rule), Some(carried)) => work.tell(trace, carried.seq, Some(carried.event), rule),
        _ => work.decide(trace, case.event, &case.rule),
    }
}

/// The case of a period never opened, or has closed meanwhile.
fn forget_closing(work: &mut Planning<'_>, rule: &str, key: &str) {
    let in_force = work.rules.named(rule).is_some_and(|rule| rule.missing.is_some());
    work.due(&Awaited::slot(&names_for(work.rules, rule)), |awaited, _| awaited.forgotten(key, in_force));
}

/// A timer that could not be planned.
fn park(work: &mut Planning<'_>, fired: &Fired<'_>, reason: &str) {
    let rule = fired.meaning.as_ref().and_then(Meaning::rule);
    if let Some(event) = fired.due.timer.event {
        let mut trace = Trace::default();
        trace.rule(RuleOutcome::Parked, format!("a timer could not be planned: {reason}"));
        work.decide(trace, event, rule.unwrap_or_default());
    }
    let data = json!({"reason": reason, "timer": fired.due.id});
    work.signal_failed(&format!("parked/{}", fired.due.id), rule, false, data);
}

/// A timed action is due: where its case is open and nobody acknowledged it, it acts.
fn act_due(work: &mut Planning<'_>, mut case: Case, action: &str, carried: Option<&Carried<'_>>) {
    let now = work.now.at;
    let Some(timer) = case.timers.get(action).filter(|timer| timer.due.is_some_and(|due| due <= now)) else { return };
    let (event, due, spec) = (timer.event, timer.due.unwrap_or(now), &timer.spec);
    let Some((carried, judgement, acted)) = asked_for(action, carried) else {
        return not_asked_for(work, case, action);
    };
    if acted.action.spec().as_ref() != Some(spec) {
        // The rules changed, and this case has not been brought in line with them yet: it may not be due at all.
        return work.act([realign(&case, now)]);
    }
    if carried.seq != event {
        // An entry of this batch brought another date: it speaks of that, as soon as that event is at hand.
        work.act([act_timer(&case, action, event, due)]);
        return work.save_case(&case);
    }
    let Some((origin, next)) = fire(&mut case, acted.action, now) else { return };
    work.act(next);
    let mut trace = Trace::default();
    let (rule, seq, event) = (judgement.rule, carried.seq, carried.event);
    let (again, occasion, facts, unread) = (0, Occasion::Reminder, None, unread_of(judgement, acted));
    let announcement =
        Announcement { rule, acted, seq, event, origin, again, occasion, facts, unread, counted: &[], sum: None };
    let is_changed = acted.action.update && change(work, &announcement, Some(&mut case), &mut trace);
    let is_sent = announce(work, &announcement, Some(&mut case), &mut trace).is_some() || is_changed;
    if is_sent && (acted.action.at.is_none() || work.is_critical(acted.action)) {
        case.asks(now);
    }
    work.tell(trace, seq, Some(event), rule);
    work.save_case(&case);
}

/// What the rules in force make of the event that a timer carries, where they still ask for its action.
fn asked_for<'c, 'a>(
    action: &str,
    carried: Option<&'c Carried<'a>>,
) -> Option<(&'c Carried<'a>, &'c Judgement<'a>, &'c ActionJudgement<'a>)> {
    let carried = carried?;
    let judgement = carried.judgement.as_ref().filter(|judgement| judgement.rule.enabled)?;
    let acted = judgement.actions.iter().find(|acted| acted.action.id == action)?;
    acted.accepts().then_some((carried, judgement, acted))
}

/// A timer's rule or action is gone, takes no part, or no longer means this event: nothing is sent, and it fires should they
/// come back while the case is open.
fn not_asked_for(work: &mut Planning<'_>, mut case: Case, action: &str) {
    let Some(timer) = case.timers.get_mut(action) else { return };
    timer.waits = true;
    let event = timer.event;
    let present = work.rules.named(&case.rule).filter(|rule| rule.enabled);
    if present.is_some_and(|present| renamed(present, &case, action).is_some()) {
        // It has other words now, and goes on under them as soon as the case is brought in line.
        work.act([realign(&case, work.now.at)]);
        return work.save_case(&case);
    }
    let mut trace = Trace::default();
    trace.action(RuleOutcome::Cancelled, action, None, "not sent: the rules in force no longer ask for it");
    work.decide(trace, event, &case.rule);
    work.save_case(&case);
}

/// The rules changed, and an event of a case is at hand: brings the case's timers in line with them.
fn realign_due(work: &mut Planning<'_>, mut case: Case, carried: Option<&Carried<'_>>) {
    let Some(carried) = carried else { return };
    let Some(judgement) = carried.judgement.as_ref().filter(|judgement| judgement.rule.enabled) else { return };
    let mut trace = Trace::default();
    // First, so that what goes on under other words is not begun a second time.
    if carried.seq == case.event {
        let effects = inherit(&mut case, judgement);
        work.act(effects);
    }
    for acted in &judgement.actions {
        let by = Brought { event: carried.seq, created: Some(carried.event.created), from: None };
        match align(&mut case, acted, by, work.now) {
            Ok(effects) => work.apply(effects, &mut trace),
            Err(reason) => trace.fail(reason),
        }
    }
    let timer = schedule_end(&mut case, judgement.rule);
    work.act(timer);
    work.save_case(&case);
    work.tell(trace, carried.seq, Some(carried.event), judgement.rule);
}

/// `closes_after`: a case whose last match is so long ago ends.
fn end_due(work: &mut Planning<'_>, mut case: Case, carried: Option<&Carried<'_>>) {
    let rule = work.rules.named(&case.rule).filter(|rule| rule.enabled && ends_otherwise(&case, rule));
    if let Some(rule) = rule {
        let timer = schedule_end(&mut case, rule);
        if case.ends().is_none_or(|due| due > work.now.at) {
            work.act(timer);
            return work.save_case(&case);
        }
    }
    if case.ends().is_some_and(|due| due > work.now.at) {
        return work.act(end_timer(&case));
    }
    take_away(work, &case);
    say_ended(work, &case, &Ending::Forgotten, carried);
}

/// A digest goes out, by the words of the rule in force. Only hours and a mute of its rule or destination still stand in its
/// way.
fn digest_due(work: &mut Planning<'_>, of: DigestId<'_>) {
    let names = names_for(work.rules, of.rule);
    let of = DigestId { rule: present_name(work.rules, of.rule), ..of };
    let slot = of.slot(&names);
    let Some(mut collected) = work.state.load(&slot) else { return };
    if let Some(timer) = collected.waits_on(&of, work.now.at) {
        return work.act([timer]);
    }
    work.state.save(&slot, None);
    leave_out(work, &of, &mut collected);
    let shown = action_named(work.rules, of.rule, of.action).map_or(LIMIT, |(_, action)| goes_out(action, of.rest));
    let mut is_sent = false;
    for (to, mut collected) in collected.apart() {
        collected.show(shown);
        let mut trace = Trace::default();
        is_sent |= tell_digest(work, &of, (to, &collected), &mut trace);
        if let Some(row) = trace.row(0, of.rule) {
            let rows = collected.events.iter().map(|event| Decision { event: *event, ..row.clone() });
            work.plan.whys.extend(rows);
        }
    }
    if of.rest && is_sent {
        let throttle = ThrottleId { rule: of.rule, action: of.action, key: of.key }.slot(&names);
        work.due(&throttle, |window, now| window.rest_told(now.at));
    }
}

/// Takes out the reminders of cases that want none any more.
fn leave_out(work: &mut Planning<'_>, of: &DigestId<'_>, collected: &mut Collected) {
    let action = action_named(work.rules, of.rule, of.action).map(|(_, action)| action);
    for (event, belongs) in std::mem::take(&mut collected.reminders) {
        let Some(why) = work.unwanted(&belongs, of.rule, true, action) else { continue };
        collected.events.retain(|collected| *collected != event);
        let mut trace = Trace::default();
        let note = format!("left out of the digest for `{}`: {}", of.destination, why.said(&belongs));
        trace.action(why.outcome(), of.action, Some(of.destination), note);
        work.decide(trace, event, of.rule);
    }
}

/// Sends a digest; says whether it may be.
fn tell_digest(
    work: &mut Planning<'_>,
    of: &DigestId<'_>,
    (to, collected): (Option<Addressed>, &Collected),
    trace: &mut Trace,
) -> bool {
    let destination = of.destination;
    let cancelled = |trace: &mut Trace, note: &str| {
        trace.action(RuleOutcome::Cancelled, of.action, Some(destination), note);
        false
    };
    let Some((rule, action)) = action_named(work.rules, of.rule, of.action) else {
        return cancelled(trace, "its digest was not sent: the rules in force no longer ask for it");
    };
    if work.facts(destination).is_none() {
        return cancelled(trace, &format!("its digest was not sent: `{destination}` is no longer configured"));
    }
    if let Some(note) = work.muted(Audible { rule: of.rule, destination, event: None, at: work.now.at }) {
        trace.action(RuleOutcome::Muted, of.action, Some(destination), format!("its digest was {note}"));
        return false;
    }
    let message = collected.message(of, (rule, action), (work.identity(rule), to), work.now.at);
    let Some(delivery) = message else { return false };
    deliver(work, Draft { rule, action, occasion: Occasion::Match, until: None, delivery }, None, trace);
    true
}
