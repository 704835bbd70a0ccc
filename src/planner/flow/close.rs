//! The end of a case, whatever ended it: what was to come of it is called off, and then people are notified.

use crate::delivery::{DeliveryId, MessageOp, NewDelivery};
use crate::event::{Event, Seq};
use crate::planner::cards::{action_at, first_at, tell_all_at_the_end};
use crate::planner::case::{Case, Ending};
use crate::planner::closes::{Update, call_off, update};
use crate::planner::draft::{Route, assignment};
use crate::planner::flow::announce::{Announcement, announce};
use crate::planner::flow::occasion::Occasion;
use crate::planner::flow::{Planning, unread};
use crate::planner::inputs::{Carried, Judged};
use crate::planner::missing::Awaited;
use crate::planner::names::{names_for, names_of};
use crate::planner::state::id;
use crate::planner::why::{RuleOutcome, Trace, because};
use crate::rules::{ActionJudgement, Held, Rule};

/// What sets a close off, and what `on_close` is about.
pub(crate) struct Closing<'a> {
    seq: Seq,
    event: Option<&'a Event>,
    /// What ids are made from.
    origin: String,
    on_close: &'a [ActionJudgement<'a>],
}

impl<'a> Closing<'a> {
    /// Where `on_close` says something.
    fn destinations(&self) -> impl Iterator<Item = &'a str> {
        let acting = self.on_close.iter().filter(|acted| acted.accepts());
        acting.flat_map(|acted| acted.action.to.iter().map(|to| to.value.as_str()))
    }

    /// An event closes it.
    pub fn by_event(judged: &'a Judged<'_>, on_close: &'a [ActionJudgement<'a>]) -> Self {
        let origin = id(&[&judged.event.source, judged.event.id.as_str()]);
        Self { seq: judged.seq, event: Some(judged.event), origin, on_close }
    }

    /// What a timer carries closes a case, which may be one of several.
    pub fn by_carried(carried: Option<&'a Carried<'_>>, case: &Case) -> Self {
        let Some(carried) = carried else {
            return Self { seq: case.event, event: None, origin: case.timer_id("closing"), on_close: &[] };
        };
        let origin = id(&[&carried.event.source, carried.event.id.as_str(), &case.key]);
        let on_close = carried.judgement.as_ref().map_or(&[][..], |judgement| judgement.on_close.as_slice());
        Self { seq: carried.seq, event: Some(carried.event), origin, on_close }
    }
}

/// An event ends a case.
pub(crate) fn end_case(
    work: &mut Planning<'_>,
    case: &Case,
    rule: Option<&Rule>,
    closing: &Closing<'_>,
    trace: &mut Trace,
) {
    take_away(work, case);
    say_closed(work, case, rule, closing, trace);
}

/// Takes a case away, with what was to come of it. Before anything is said of the close: what is called off here are the
/// case's own messages, and what the close says must stay.
pub(crate) fn take_away(work: &mut Planning<'_>, case: &Case) {
    work.act(call_off(case));
    work.state.save(&Case::slot(std::slice::from_ref(&case.rule), &case.key), None);
    rearm_missing(work, &case.rule, &case.key);
}

/// The case has closed: if it was that of an absence, the waiting begins anew, where its rule takes part.
fn rearm_missing(work: &mut Planning<'_>, rule: &str, key: &str) {
    let in_force = work.rules.named(rule).and_then(|rule| Some((rule, rule.missing.as_ref()?)));
    let Some((rule, missing)) = in_force else {
        let slot = Awaited::slot(&names_for(work.rules, rule));
        return work.due(&slot, |awaited, _| awaited.forgotten(key, false));
    };
    let slot = Awaited::slot(&names_of(work.rules, rule));
    let rule = (rule.name.value.as_str(), missing, rule.enabled);
    work.turn(&slot, |known, now| Awaited::closed(known, key, rule, now.at));
}

/// A case ends that no event closes: by hand, or forgotten.
pub(crate) fn say_ended(work: &mut Planning<'_>, case: &Case, ending: &Ending, carried: Option<&Carried<'_>>) {
    let mut trace = Trace::default();
    if let Ending::ByHand(by) = ending {
        trace.detail("by_hand", format!("closed by {by}").into());
    }
    trace.rule(
        RuleOutcome::Closed,
        match ending {
            Ending::ByHand(by) => format!("case `{}` closed by {by}", case.key),
            Ending::Forgotten => format!("case `{}` closed: nothing came for `closes_after`", case.key),
        },
    );
    let rule = work.rules.named(&case.rule).filter(|rule| rule.enabled);
    let judgement = carried.and_then(|carried| carried.judgement.as_ref());
    let closing = Closing {
        seq: case.event,
        event: carried.map(|carried| carried.event),
        origin: case.timer_id("closing"),
        on_close: judgement.map_or(&[], |judgement| judgement.on_close.as_slice()),
    };
    say_closed(work, case, rule, &closing, &mut trace);
    match rule {
        Some(rule) => work.tell(trace, case.event, closing.event, rule),
        None => work.decide(trace, case.event, &case.rule),
    }
}

/// What a close says: the `on_close` actions, and then an update at each destination that can change what it showed. In this
/// order, since a further message would open an incident again.
fn say_closed(work: &mut Planning<'_>, case: &Case, rule: Option<&Rule>, closing: &Closing<'_>, trace: &mut Trace) {
    trace.detail("closed", case.key.as_str().into());
    let mut said = Trace::default();
    if let (Some(rule), Some(event)) = (rule, closing.event) {
        say_on_close(work, case, (rule, event), closing, &mut said);
    }
    trace.absorb(said, RuleOutcome::Closed);
    if work.destinations.shadow || rule.is_some_and(|rule| rule.shadow) {
        return;
    }
    say_the_last(work, case, rule, closing, trace);
    let identity = rule.map_or(case.rule.as_str(), |rule| work.identity(rule));
    for (destination, shown) in &case.lanes {
        if work.facts(destination).is_some_and(|facts| facts.closes) {
            let card = first_at(case, rule, destination);
            let by = Update { seq: closing.seq, origin: &closing.origin, rule, identity, card };
            let mut update = update(case, destination, by, work.now.at);
            if let (Some(update), Some(_)) = (&mut update, card) {
                tell_all_at_the_end(&mut update.assignment, case, closing.seq);
            }
            work.plan.deliveries.extend(update);
            trace.action(RuleOutcome::Closed, &shown.action, Some(destination), format!("updates `{destination}`"));
        }
    }
}

/// The last message at each destination whose channel can't change the first, unless `on_close` says something there.
fn say_the_last(work: &mut Planning<'_>, case: &Case, rule: Option<&Rule>, closing: &Closing<'_>, trace: &mut Trace) {
    let Some(rule) = rule else { return };
    let said: Vec<&str> = closing.destinations().collect();
    for (destination, card) in case.cards.iter().filter(|(_, card)| card.went) {
        let closes = work.facts(destination).map(|facts| facts.closes && card.first);
        let shown = case.lanes.get(destination).filter(|_| closes == Some(false));
        let (Some(shown), Some(action)) = (shown, action_at(Some(rule), destination)) else { continue };
        if said.contains(&destination.as_str()) {
            continue;
        }
        let mut told = assignment(action, shown.event, None);
        tell_all_at_the_end(&mut told, case, closing.seq);
        told.to = case.addresses.get(destination).cloned();
        let origin = id(&["last", &closing.origin]);
        let id = DeliveryId::of(&origin, work.identity(rule), &action.id, destination, case.nth);
        let route = Route { rule: &rule.name.value, action: &action.id, destination };
        let delivery = route.delivery(id, closing.seq, told, work.now.at);
        let lane = Some(shown.lane.clone());
        work.plan.deliveries.push(NewDelivery { act: MessageOp::Again, lane, ..delivery });
        trace.action(RuleOutcome::Closed, &action.id, Some(destination), format!("sends `{destination}` the last"));
    }
}

fn say_on_close(
    work: &mut Planning<'_>,
    case: &Case,
    (rule, event): (&Rule, &Event),
    closing: &Closing<'_>,
    said: &mut Trace,
) {
    let mut closed = case.clone();
    for acted in closing.on_close {
        if acted.held == Held::Failed {
            let why = because(acted.why.as_ref());
            said.fail(format!("action `{}` of `on_close`: {why}", acted.action.id));
        }
        if !acted.accepts() {
            continue;
        }
        let origin = id(&["on_close", &closing.origin]);
        let (seq, again, occasion, facts) = (closing.seq, 0, Occasion::Close, None);
        let unread = unread(acted.held, acted.why.as_ref());
        let announcement =
            Announcement { rule, acted, seq, event, origin, again, occasion, facts, unread, counted: &[], sum: None };
        announce(work, &announcement, Some(&mut closed), said);
    }
}
