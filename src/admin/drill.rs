//! A drill from here: one marked message to one destination, now, as `fanfare drill` sends it; and what came back.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use crate::admin::answer::{Answer, Id, Refused, Shared, json_answer, near};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::cases::known_rule;
use crate::admin::view::DrilledView;
use crate::config::{Destination, Snapshot};
use crate::rehearse::drill::{Stop, drill, fresh, stops};
use crate::rehearse::sample::fitting;
use crate::rehearse::show::Wanted;
use crate::rules::{Rule, RuleSet};
use crate::steps::Live;

/// One is under way at a time: a drill goes past the rates that keep a destination from being flooded.
static TURN: Semaphore = Semaphore::const_new(1);

/// Whose message is sent, and who asks.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DrillQuery {
    /// as the message of this rule; by default of the first that sends there
    pub rule: Option<String>,
    /// who asks
    pub by: Option<String>,
}

/// Send a marked test message to a destination, now
#[utoipa::path(post, path = "/destinations/{id}/drill", params(Id, DrillQuery), responses((status = 200, description = "What came back", body = DrilledView)))]
pub(crate) async fn run(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<DrillQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    Ok(json_answer(&drilled(&live, &id, &query, &caller).await?))
}

/// Sends it, and gives what came back.
pub(crate) async fn drilled(
    live: &Arc<Live>,
    name: &str,
    query: &DrillQuery,
    caller: &Caller,
) -> Result<DrilledView, Refused> {
    let by = caller.by(query.by.as_deref())?;
    let snapshot = live.snapshot.load_full();
    let destination = known(&snapshot, name)?;
    let Some(rules) = snapshot.rules.clone() else {
        return Err(Refused::Bad("no rules are in force, so there is no message to send; fix them first".into()));
    };
    speaking(&snapshot, &rules, name, query.rule.as_deref())?;
    if live.shadow {
        return Err(Refused::Bad("this server runs in shadow, and sends nothing".into()));
    }
    let turn =
        TURN.try_acquire().map_err(|_| Refused::Bad("another drill is under way; ask again in a moment".into()))?;
    let asking = caller.asking(&by, None);
    audit::record(live, asking, "drilled", format!("destination `{name}`")).await?;
    // A task of its own, so that what a drill raises is closed again though nobody waits for the answer. Rendering may keep
    // a thread busy.
    let (on, rule, runtime) = (live.clone(), query.rule.clone(), Handle::current());
    let sent = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        runtime.block_on(send(&on, &snapshot, &rules, &destination, rule.as_deref()))
    });
    sent.await.map_err(|_| Refused::Bad("the drill failed; the log says why".into()))?
}

fn known(snapshot: &Snapshot, name: &str) -> Result<Arc<Destination>, Refused> {
    snapshot.destinations.get(name).cloned().ok_or_else(|| {
        let hint = near(name, snapshot.destinations.keys().map(String::as_str), "");
        Refused::NotFound(format!("there is no destination `{name}`{hint}"))
    })
}

/// The rule whose message goes there, and where in it: the named one, or the first.
fn speaking<'r>(
    snapshot: &Snapshot,
    rules: &'r RuleSet,
    to: &str,
    named: Option<&str>,
) -> Result<Option<(&'r Rule, Stop<'r>)>, Refused> {
    let speaks = |rule: &'r Rule| {
        let stop = stops(snapshot, rule).into_iter().find(|stop| stop.destination.name == to)?;
        Some((rule, stop))
    };
    let Some(name) = named.map(str::trim).filter(|name| !name.is_empty()) else {
        return Ok(rules.rules.iter().find_map(speaks));
    };
    known_rule(rules, name)?;
    match rules.named(name).and_then(speaks) {
        Some(found) => Ok(Some(found)),
        None => Err(Refused::Bad(format!("rule `{name}` does not send to `{to}`"))),
    }
}

async fn send(
    live: &Live,
    snapshot: &Arc<Snapshot>,
    rules: &RuleSet,
    destination: &Arc<Destination>,
    named: Option<&str>,
) -> Result<DrilledView, Refused> {
    let now = live.clock.now();
    let stop = speaking(snapshot, rules, &destination.name, named)?;
    let action = stop.as_ref().map(|(rule, stop)| (*rule, stop.action));
    let event = fresh(fitting(snapshot, action.as_slice(), now).map_err(Refused::Bad)?);
    let say = action.map_or(crate::delivery::Say::Default, |(_, action)| action.say.value.clone());
    let wanted = Wanted { say: &say, action, destination: destination.clone(), before: &[], event: &event, now };
    let drilled = drill(snapshot, &wanted, &*live.transport).await;
    let confirm = stop.as_ref().and_then(|(_, stop)| stop.unconfirmed(&drilled));
    Ok(DrilledView {
        destination: destination.name.clone(),
        kind: destination.kind.name,
        address: destination.channel.facts().address.clone(),
        rule: action.map(|(rule, _)| rule.name.value.clone()),
        event: event.kind.to_string(),
        outcome: drilled.outcome,
        answer: drilled.answer,
        closed: drilled.closed.map(|verdict| verdict.outcome),
        confirm,
    })
}
