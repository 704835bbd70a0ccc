//! The way of one announcement: mute, throttle, digest, hours, and then a delivery. Each may end it, and says why.

use jiff::Timestamp;

use crate::clock::from_ms;
use crate::delivery::{Addressed, CaseFacts, DeliveryId, Mention, MessageOp, NewDelivery, Severity};
use crate::event::{Event, Seq};
use crate::planner::cards;
use crate::planner::case::{Case, Scheduled};
use crate::planner::closes::untold;
use crate::planner::digest::{Collected, DigestId, Share, first_due, kept};
use crate::planner::draft::{Route, assignment};
use crate::planner::effect::Effect;
use crate::planner::flow::Planning;
use crate::planner::flow::fall_back::unaddressed;
use crate::planner::flow::hold::{brakes, held};
use crate::planner::flow::occasion::{Occasion, quiet, silenced};
use crate::planner::held::{Held, Opens, Waiting, embargo, opens};
use crate::planner::mute::Audible;
use crate::planner::throttle::{Admission, ThrottleId, Window};
use crate::planner::why::{RuleOutcome, Trace};
use crate::rules::{Action, ActionJudgement, Rule};

/// Something that an action has to say.
#[derive(Debug)]
pub(crate) struct Announcement<'a> {
    pub rule: &'a Rule,
    pub acted: &'a ActionJudgement<'a>,
    /// The event that it is about.
    pub seq: Seq,
    pub event: &'a Event,
    /// What delivery ids are made from: the event, or a timer's firing.
    pub origin: String,
    /// The number of a replay; else 0.
    pub again: u64,
    pub occasion: Occasion,
    /// What to say of the case where none is open: a replay opens none.
    pub facts: Option<CaseFacts>,
    /// What the rule could not read, and acts on all the same.
    pub unread: Option<String>,
    /// The matches that its rule's threshold counted, oldest first; the last of them is not always the event.
    pub counted: &'a [Seq],
    /// The sum with it, where its rule has one.
    pub sum: Option<String>,
}

/// A delivery on its last stretch: hours, shadow, lane.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub rule: &'a Rule,
    pub action: &'a Action,
    pub occasion: Occasion,
    /// Until when the destination must not receive it.
    pub until: Option<Timestamp>,
    pub delivery: NewDelivery,
}

impl Announcement<'_> {
    /// When what it is about came to us: mutes go by that too.
    fn at(&self, now: Timestamp) -> Timestamp {
        match self.occasion {
            Occasion::Match => self.event.received,
            Occasion::Reminder | Occasion::Close | Occasion::Replay => now,
        }
    }
}

/// Takes an announcement through mute, throttle, digest and hours. `case` is the case that it belongs to; for one that has
/// just closed, as it stood. Gives when people are notified first, as far as is known now, if any are.
///
/// The order matters: what is muted counts in no throttle, what a throttle holds back is in no digest but that of its rest,
/// and only what goes out by itself waits for hours. A digest passes hours when it goes out.
pub(crate) fn announce(
    work: &mut Planning<'_>,
    said: &Announcement<'_>,
    mut case: Option<&mut Case>,
    trace: &mut Trace,
) -> Option<Timestamp> {
    let to = audible(work, said, case.as_deref(), trace);
    if to.is_empty() {
        return None;
    }
    let mut to: Vec<Recipient<'_>> =
        to.into_iter().map(|destination| recipient(work, said, case.as_deref_mut(), destination)).collect();
    let suppressed = admit(work, said, case.as_deref_mut(), &to, trace)?;
    let mut first: Option<Timestamp> = None;
    for Recipient { destination, to } in to.drain(..) {
        let until = match embargo(work.rules, work.facts(destination), said.event) {
            Ok(until) => until,
            Err(reason) => {
                trace.fail(format!("not sent to `{destination}`, which has an embargo: {reason}"));
                continue;
            }
        };
        let to = match to {
            Ok(to) => to,
            Err(reason) => {
                trace.fail(format!("no address at `{destination}`: {reason}"));
                let draft = draft(work, said, case.as_deref(), (destination, None, suppressed));
                let due = match quiet(work, said.rule, said.occasion, case.as_deref()) {
                    true => None,
                    false => unaddressed(work, &draft.delivery, &reason, case.as_deref_mut(), trace),
                };
                first = first.into_iter().chain(due).min();
                continue;
            }
        };
        if let Some(due) = collect(work, said, case.as_deref_mut(), (destination, to.clone(), suppressed), trace) {
            first = first.into_iter().chain([due]).min();
            continue;
        }
        let draft = Draft { until, ..draft(work, said, case.as_deref(), (destination, to, suppressed)) };
        let due = deliver(work, draft, case.as_deref_mut(), trace);
        first = first.into_iter().chain(due).min();
    }
    mentions_nobody(work, said, trace);
    first
}

/// A destination, and the address there where a map gives it; `Err` says why there is none.
struct Recipient<'s> {
    destination: &'s str,
    to: Result<Option<Addressed>, String>,
}

/// Where an announcement goes at a destination. An opening keeps the address that it began with, as long as that is allowed.
fn recipient<'s>(
    work: &Planning<'_>,
    said: &Announcement<'_>,
    case: Option<&mut Case>,
    destination: &'s str,
) -> Recipient<'s> {
    let Some(reach) = work.facts(destination).and_then(|facts| facts.reach.as_ref()) else {
        return Recipient { destination, to: Ok(None) };
    };
    let kept = case.as_ref().and_then(|case| case.addresses.get(destination));
    if let Some(kept) = kept.filter(|kept| reach.allows(&kept.address)) {
        return Recipient { destination, to: Ok(Some(kept.clone())) };
    }
    let found = work.rules.address(reach, said.event);
    if let (Some(case), Ok(found)) = (case, &found) {
        case.addresses.insert(destination.to_owned(), found.clone());
    }
    Recipient { destination, to: found.map(Some) }
}

/// Records the maps that say nobody to mention; the message goes all the same.
fn mentions_nobody(work: &Planning<'_>, said: &Announcement<'_>, trace: &mut Trace) {
    for mention in &said.acted.action.mention {
        let Mention::Mapped { map } = &mention.value else { continue };
        if let Err(reason) = work.rules.mapped(map, said.event) {
            trace.fail(format!("mentions nobody: {reason}"));
        }
    }
}

/// What an announcement says at a destination, due now.
pub(crate) fn draft<'a>(
    work: &Planning<'_>,
    said: &Announcement<'a>,
    case: Option<&Case>,
    (destination, to, suppressed): (&str, Option<Addressed>, u64),
) -> Draft<'a> {
    let action = said.acted.action;
    let closed = said.occasion == Occasion::Close;
    let facts = case.map(|case| case.facts(closed)).or_else(|| said.facts.clone());
    let mut told = assignment(action, said.seq, facts);
    told.suppressed = suppressed;
    told.to = to;
    told.events = said.counted.to_vec();
    told.sum.clone_from(&said.sum);
    if action.update {
        cards::tell_all(&mut told, case);
        // Its timers are brought in line with it only after that.
        let falls = |deadline: &Action, timer: &Scheduled| {
            let is_newest = timer.created.is_none_or(|known| known <= said.event.created);
            let at = deadline.at.as_ref().filter(|_| is_newest)?;
            // Stores keep timers to the millisecond.
            work.rules.moment(at, said.event).ok().map(|at| from_ms(at.as_millisecond()))
        };
        let overdue = |case: &Case| cards::is_overdue(case, said.rule, destination, falls, work.now.at);
        let is_overdue = case.is_some_and(overdue);
        if let Some(facts) = told.case.as_mut().filter(|_| is_overdue) {
            (facts.overdue, told.severity) = (true, Some(Severity::Critical));
        }
    }
    told.unread.clone_from(&said.unread);
    let route = Route { rule: &said.rule.name.value, action: &action.id, destination };
    let id = DeliveryId::of(&said.origin, work.identity(said.rule), &action.id, destination, said.again);
    let delivery = route.delivery(id, said.seq, told, work.now.at);
    Draft { rule: said.rule, action, occasion: said.occasion, until: None, delivery }
}

/// The destinations of an announcement that are configured, that no mute covers, and where no message stands that it changes;
/// of a close's, those that know what has closed.
fn audible<'s>(
    work: &mut Planning<'_>,
    said: &Announcement<'s>,
    case: Option<&Case>,
    trace: &mut Trace,
) -> Vec<&'s str> {
    let action = said.acted.action;
    // A mute counts that covers it when it came, and one that covers it now that it would go.
    let (came, goes) = (said.at(work.now.at), work.now.at);
    let moments = [Some(came), (goes != came).then_some(goes)];
    let keeps_back = |work: &mut Planning<'_>, destination: &str| {
        moments.into_iter().flatten().find_map(|at| {
            let message = Audible { rule: &said.rule.name.value, destination, event: Some(said.event), at };
            silenced(work, case, at).or_else(|| work.muted(message))
        })
    };
    let mut audible = Vec::new();
    let all = action.to.iter().map(|to| to.value.as_str());
    let told: Vec<&str> = all.filter(|to| !is_changed(work, action, case, to)).collect();
    for destination in told {
        if work.facts(destination).is_none() {
            trace.fail(format!("destination `{destination}` is not configured"));
        } else if !tells_the_end(said.occasion, case, destination)
            && let Some(note) = keeps_back(work, destination)
        {
            trace.action(RuleOutcome::Muted, &action.id, Some(destination), note);
        } else if said.occasion == Occasion::Close
            && !quiet(work, said.rule, said.occasion, case)
            && case.is_some_and(|case| untold(said.rule, case, destination))
        {
            let note = format!("not sent to `{destination}`, which got no message of the case");
            trace.action(RuleOutcome::Cancelled, &action.id, Some(destination), note);
        } else {
            audible.push(destination);
        }
    }
    audible
}

/// Whether what stands at a destination is changed, or stays as it is, in place of a message. A deadline sends one where
/// nothing can change.
fn is_changed(work: &Planning<'_>, action: &Action, case: Option<&Case>, destination: &str) -> bool {
    let edits = work.facts(destination).is_some_and(|facts| facts.edits);
    let stays =
        |case: &Case| cards::can_change(case, destination, edits) || !cards::goes_beside(action, case, destination);
    cards::stands(action, case, destination) && case.is_some_and(stays)
}

/// Whether the action's throttle lets an announcement through; if so, how many it held back before. The rest goes nowhere, or
/// into a digest at the window's end. What a person plans again is not counted.
fn admit(
    work: &mut Planning<'_>,
    said: &Announcement<'_>,
    mut case: Option<&mut Case>,
    to: &[Recipient<'_>],
    trace: &mut Trace,
) -> Option<u64> {
    let throttle = ThrottleId::of(&said.rule.name.value, said.acted).filter(|_| said.occasion != Occasion::Replay);
    let (of, throttle) = match throttle {
        None => return Some(0),
        Some((Err(reason), _)) => {
            trace.fail(format!("not throttled: {reason}"));
            return Some(0);
        }
        Some((Ok(of), throttle)) => (of, throttle),
    };
    let slot = of.slot(&work.names(said.rule));
    let (admission, (window, effects)) = Window::admit(work.state.load(&slot), throttle, &of, work.now);
    work.state.save(&slot, window.as_ref());
    let admitted = match admission {
        Admission::Passes(held_back) => Some(held_back),
        Admission::HoldsBack(frees) => {
            for Recipient { destination, to } in to.iter().filter(|_| throttle.rest_digest) {
                let digest = DigestId { rule: of.rule, action: of.action, key: of.key, destination, rest: true };
                match to {
                    Ok(to) => {
                        let share = (frees, 0, to.clone());
                        gather(work, said, case.as_deref_mut(), (&digest, share), trace);
                    }
                    Err(reason) => trace.fail(format!("no address at `{destination}`: {reason}")),
                }
            }
            None
        }
    };
    work.apply(effects, trace);
    admitted
}

/// Puts an announcement into the action's digest, if it has one, and gives when that goes out. Where the digest's key is absent
/// it acts at once.
fn collect(
    work: &mut Planning<'_>,
    said: &Announcement<'_>,
    case: Option<&mut Case>,
    (destination, to, suppressed): (&str, Option<Addressed>, u64),
    trace: &mut Trace,
) -> Option<Timestamp> {
    match DigestId::of(&said.rule.name.value, said.acted, destination)? {
        (Err(reason), _) => {
            trace.fail(format!("not in a digest: {reason}"));
            None
        }
        (Ok(of), digest) => {
            let due = first_due(digest, work.now.at);
            gather(work, said, case, (&of, (due, suppressed, to)), trace);
            let slot = of.slot(&work.names(said.rule));
            Some(work.state.load(&slot).map_or(due, |collected| collected.due))
        }
    }
}

/// Puts an announcement into a digest, and notes that in its case. Only a reminder depends on its case being open.
fn gather(
    work: &mut Planning<'_>,
    said: &Announcement<'_>,
    mut case: Option<&mut Case>,
    (of, (due, suppressed, to)): (&DigestId<'_>, (Timestamp, u64, Option<Addressed>)),
    trace: &mut Trace,
) {
    case.iter_mut().for_each(|case| _ = case.collected.insert(of.destination.to_owned()));
    let reminds_of = case.as_deref().filter(|_| said.occasion == Occasion::Reminder).and_then(Case::awaited_by);
    let kept = kept(said.acted.action, of.rest);
    let counted = said.counted.to_vec();
    let share = Share { event: said.seq, counted, due, suppressed, reminds_of, kept, to };
    let slot = of.slot(&work.names(said.rule));
    work.turn_told(&slot, trace, |known, now| Collected::collect(known, share, of, now));
}

/// Whether this says at a destination the end of what was said there before: that passes mutes and hours, or people would go
/// on with what is over.
fn tells_the_end(occasion: Occasion, case: Option<&Case>, destination: &str) -> bool {
    occasion == Occasion::Close && case.is_some_and(|case| case.was_notified(destination))
}

/// The last stretch: waits for hours, or becomes a delivery. Gives when it goes, if it does.
pub(crate) fn deliver(
    work: &mut Planning<'_>,
    draft: Draft<'_>,
    mut case: Option<&mut Case>,
    trace: &mut Trace,
) -> Option<Timestamp> {
    let quiet = quiet(work, draft.rule, draft.occasion, case.as_deref());
    let (action, to) = (draft.action.id.as_str(), draft.delivery.destination.clone());
    if let Some(until) = draft.until.filter(|until| *until > work.now.at) {
        let until_words = work.now.said(until);
        if quiet {
            let note = format!("in shadow: would be held for `{to}` until {until_words} (embargo)");
            trace.action(RuleOutcome::Shadow, action, Some(&to), note);
            return None;
        }
        trace.action(RuleOutcome::Held, action, Some(&to), format!("held until {until_words} (embargo of `{to}`)"));
        let held = held(work, draft.delivery, (draft.occasion, draft.until), case);
        join(work, held, until);
        return Some(until);
    }
    let passes = tells_the_end(draft.occasion, case.as_deref(), &to);
    match if passes { Opens::Now } else { opens(draft.action, work.facts(&to), work.now.at) } {
        Opens::Now => {}
        Opens::Never => trace.fail(format!("the hours for `{to}` never begin, so they are not kept")),
        Opens::Drop => {
            let note = format!("dropped for `{to}`: outside hours");
            trace.action(RuleOutcome::Dropped, action, Some(&to), note);
            return None;
        }
        Opens::At(opens) if quiet => {
            let note = format!("in shadow: would be held for `{to}` until {}", work.now.said(opens));
            trace.action(RuleOutcome::Shadow, action, Some(&to), note);
            return None;
        }
        Opens::At(opens) => {
            let note = format!("held until {} (hours of `{to}`)", work.now.said(opens));
            trace.action(RuleOutcome::Held, action, Some(&to), note);
            hold(work, draft, case, opens);
            return Some(opens);
        }
    }
    if quiet {
        trace.action(RuleOutcome::Shadow, action, Some(&to), format!("in shadow: would go to `{to}`"));
        return None;
    }
    if brakes(work, draft.rule, (&draft.delivery, draft.occasion, draft.until), case.as_deref_mut(), trace) {
        return Some(work.now.at);
    }
    let note = match &draft.delivery.assignment.to {
        None => format!("goes to `{to}`"),
        Some(at) => format!("goes to `{to}`, {}", at.address),
    };
    trace.action(RuleOutcome::Matched, action, Some(&to), note);
    if let Some(case) = case.as_mut().filter(|_| draft.occasion == Occasion::Reminder) {
        case.reminds(&to, action);
    }
    send(work, draft.delivery, draft.occasion, case);
    Some(work.now.at)
}

/// Keeps a message until its window opens.
fn hold(work: &mut Planning<'_>, draft: Draft<'_>, case: Option<&mut Case>, opens: Timestamp) {
    let held = held(work, draft.delivery, (draft.occasion, draft.until), case);
    join(work, held, opens);
}

/// A message joins those that wait for a moment at its destination.
pub(crate) fn join(work: &mut Planning<'_>, held: Held, opens: Timestamp) {
    let slot = Waiting::slot(&held.delivery.destination, opens);
    work.turn(&slot, |known, _| Waiting::join(known, held, opens));
}

/// Makes the delivery, in its case's lane. A newer reminder takes the place of an untried one.
pub(crate) fn send(work: &mut Planning<'_>, mut delivery: NewDelivery, occasion: Occasion, case: Option<&mut Case>) {
    // What is said at a close joins the lane of what was shown, and begins none.
    let joins = |case: &&mut Case| occasion != Occasion::Close || case.lanes.contains_key(&delivery.destination);
    if let Some(case) = case.filter(joins) {
        let (lane, act) = case.announce(&delivery.destination, &delivery.action, delivery.event);
        if occasion == Occasion::Reminder && act == MessageOp::Again {
            work.act([Effect::cancel(&lane, Some(&delivery.action), "a newer reminder replaced it")]);
        }
        (delivery.lane, delivery.act) = (Some(lane), act);
        cards::remember(Some(case), &delivery, true, work.now.at);
    }
    work.plan.deliveries.push(delivery);
}
