//! The way of links: which messages get which, and what follows when a person confirms one.

use jiff::SignedDuration;

use crate::clock::plus;
use crate::delivery::{Link, LinkOp, MessageOp, NewDelivery};
use crate::event::Opening;
use crate::planner::case::{Case, Silence};
use crate::planner::flow::Planning;
use crate::planner::flow::event::escalates;
use crate::planner::flow::people::{acknowledge, audit, close};
use crate::planner::links::{LinkKeys, Linked, Raised};
use crate::planner::names::{action_named, names_for};
use crate::rules::{Action, Rule};

/// Where what a link did came from, for the audit list.
const FROM: &str = "link";

/// Gives the messages that were planned since the last call what people can do from them, and remembers what was raised in
/// services that tell what people do there.
pub(crate) fn offer(work: &mut Planning<'_>) {
    let from = std::mem::replace(&mut work.offered, work.plan.deliveries.len());
    for at in from..work.plan.deliveries.len() {
        let Some(delivery) = work.plan.deliveries.get(at).cloned() else { return };
        let Some(case) = case_of(work, &delivery) else { continue };
        raise(work, &delivery, &case);
        let links = links(work, &delivery, &case);
        if let Some(delivery) = work.plan.deliveries.get_mut(at) {
            delivery.assignment.links = links;
        }
    }
}

/// The open case that a message is said in.
fn case_of(work: &mut Planning<'_>, delivery: &NewDelivery) -> Option<Case> {
    let lane = delivery.lane.as_ref().filter(|_| delivery.act != MessageOp::Close)?;
    let key = &delivery.assignment.case.as_ref().filter(|case| !case.closed)?.key;
    let case = work.case(&names_for(work.rules, &delivery.rule), key)?;
    case.lanes.get(&delivery.destination).is_some_and(|shown| &shown.lane == lane).then_some(case)
}

/// Remembers by which key the service of a destination will speak of a case.
fn raise(work: &mut Planning<'_>, delivery: &NewDelivery, case: &Case) {
    let is_sent = work.facts(&delivery.destination).is_some_and(|facts| facts.reports);
    let Some(shown) = case.lanes.get(&delivery.destination).filter(|shown| is_sent && !shown.raised) else { return };
    work.state.save(&Raised::slot(&shown.lane), Some(&Raised { of: case.opening() }));
    let mut case = case.clone();
    if let Some(shown) = case.lanes.get_mut(&delivery.destination) {
        shown.raised = true;
    }
    work.save_case(&case);
}

/// The links of a message, each with its document.
fn links(work: &mut Planning<'_>, delivery: &NewDelivery, case: &Case) -> Vec<Link> {
    let Some(linking) = work.destinations.links.clone() else { return Vec::new() };
    let Some(lane) = &delivery.lane else { return Vec::new() };
    let mut links = Vec::new();
    for does in wanted(work, delivery, case) {
        let id = linking.id(lane, does);
        let linked = Linked {
            of: case.opening(),
            does,
            destination: delivery.destination.clone(),
            delivery: delivery.id.clone(),
            until: plus(delivery.due.max(work.now.at), linking.expires),
        };
        work.act([linked.expires(&id)]);
        work.state.save(&Linked::slot(&id), Some(&linked));
        links.push(Link { does, id });
    }
    links
}

/// What people can do from a message: what its action asks for; else, where the destination shows that, what its rule asks
/// for; else acknowledge, while a reminder is to come.
fn wanted(work: &Planning<'_>, delivery: &NewDelivery, case: &Case) -> Vec<LinkOp> {
    let Some((rule, action)) = action_named(work.rules, &delivery.rule, &delivery.action) else { return Vec::new() };
    let shows = work.facts(&delivery.destination).is_some_and(|facts| facts.shows_links);
    // What a fallback says is the words of an action that asked another destination.
    let own = action.links.as_ref().filter(|_| shows || action.to.iter().any(|to| to.value == delivery.destination));
    let asked = match (own, &rule.links) {
        (Some(own), _) => own.value.clone(),
        (None, _) if !shows => Vec::new(),
        (None, Some(all)) => all.value.clone(),
        (None, None) if reminds(case, rule, action) => vec![LinkOp::Acknowledge],
        (None, None) => Vec::new(),
    };
    asked.into_iter().filter(|does| *does != LinkOp::Acknowledge || case.acked.is_none()).collect()
}

/// Whether somebody acknowledging a case would spare people reminders: one is to come, or this is one.
fn reminds(case: &Case, rule: &Rule, action: &Action) -> bool {
    escalates(case, rule) || (action.at.is_none() && (action.after.is_some() || action.repeat.is_some()))
}

/// A person confirmed what a link does. What is done already, or over, stays as it is, and was reported them.
pub(crate) fn by_link(work: &mut Planning<'_>, of: &Opening, does: LinkOp, by: &str) {
    let Some(mut case) = work.nth_case(&of.rule, &of.key, of.nth) else { return };
    let act = match does {
        LinkOp::Acknowledge if case.acked.is_some() => return,
        LinkOp::Acknowledge => {
            acknowledge(work, &mut case, by, None);
            "acknowledged"
        }
        LinkOp::Close => {
            close(work, &case, by, None);
            "closed"
        }
        LinkOp::Mute(_) if case.silenced(work.now.at).is_some() => return,
        LinkOp::Mute(seconds) => {
            let (from, until) = (work.now.at, plus(work.now.at, SignedDuration::from_secs(seconds.into())));
            case.silence = Some(Silence { by: by.into(), from, until });
            work.save_case(&case);
            "muted"
        }
    };
    audit(work, (by, FROM), act, case.said());
}

/// Someone ends all links.
pub(crate) fn rotate(work: &mut Planning<'_>) {
    let Some(fresh) = work.destinations.links.as_ref().map(|links| links.fresh) else { return };
    work.turn(&LinkKeys::slot(), |known, now| (known.map(|keys| keys.rotated(fresh, now.at)), Vec::new()));
}
