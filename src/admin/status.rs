//! `/api/v1/status`, `/api/v1/destinations` and reloading: the server as a whole.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::admin::answer::{Answer, By, Refused, Shared, json_answer, problem};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::cases;
use crate::admin::paging::LIMIT_MAX;
use crate::admin::view::DestinationView;
use crate::planner::Orphan;
use crate::steps::reload::{self, Reloaded};

/// How the server stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    rules: RulesStatus,
    inbox: InboxStatus,
    /// How many deliveries are in each state.
    deliveries: BTreeMap<&'static str, u64>,
    cases: cases::Count,
    /// The size of the store, in bytes.
    store_bytes: u64,
}

/// The rules in force.
#[derive(Debug, Serialize, ToSchema)]
struct RulesStatus {
    /// How many.
    count: usize,
    /// What tells these files from others.
    hash: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// Whether any are.
    in_force: bool,
    /// What is wrong with the files on disk while older ones stay in force.
    stale: Option<String>,
    /// The settings that a restart would change.
    needs_restart: Vec<&'static str>,
}

/// How far planning has come.
#[derive(Debug, Serialize, ToSchema)]
struct InboxStatus {
    /// The place of the newest entry.
    head: i64,
    /// The place of the newest that is planned.
    planned: i64,
}

/// The status of the server
#[utoipa::path(get, path = "/status", responses((status = 200, description = "Rules in force, inbox, deliveries by state", body = Status)))]
pub(crate) async fn show(State(live): Shared) -> Answer {
    let census = live.store.census().await?;
    let snapshot = live.snapshot.load();
    let rules = RulesStatus {
        count: snapshot.rule_count(),
        hash: snapshot.hash.clone(),
        since: snapshot.since.to_string(),
        in_force: snapshot.rules.is_some(),
        stale: live.stale.load().as_deref().map(str::to_owned),
        needs_restart: reload::needs_restart(&live.bound, &snapshot.settings),
    };
    Ok(json_answer(&Status {
        rules,
        inbox: InboxStatus { head: census.head, planned: census.planned },
        deliveries: census.deliveries.iter().map(|(state, count)| (state.name(), *count)).collect(),
        cases: cases::count(&live).await?,
        store_bytes: census.bytes,
    }))
}

/// Destinations and their status
#[utoipa::path(get, path = "/destinations", responses((status = 200, description = "Destinations", body = [DestinationView])))]
pub(crate) async fn destinations(State(live): Shared) -> Answer {
    let standings = live.store.standings().await?;
    let snapshot = live.snapshot.load();
    let view = |destination: &crate::config::Destination| {
        let pace = standings.iter().find(|standing| standing.destination == destination.name);
        DestinationView {
            id: destination.name.clone(),
            kind: destination.kind.name,
            address: destination.channel.facts().address.clone(),
            failing: pace.is_some_and(|standing| standing.pace.is_failing()),
            failures: pace.map_or(0, |standing| standing.pace.failures),
        }
    };
    let list: Vec<DestinationView> = snapshot.destinations.values().map(|destination| view(destination)).collect();
    Ok(json_answer(&list))
}

/// Reloads, and says what came of it: 200, or 422 with the whole report.
pub(crate) async fn reload(State(live): Shared, caller: Caller, query: Result<Query<By>, QueryRejection>) -> Response {
    let by = match query.map_err(Refused::from).and_then(|Query(By { by })| caller.by(by.as_deref())) {
        Ok(by) => by,
        Err(refused) => return refused.into_response(),
    };
    let reloaded = reload::reload(&live).await;
    let on = match &reloaded {
        Some(Reloaded::Changed { hash, .. }) => format!("the files: `{hash}` is in force"),
        Some(Reloaded::Same) => "the files: nothing had changed".to_owned(),
        Some(Reloaded::Refused(_)) => "the files: they are broken, what was in force stays".to_owned(),
        None => "the files: it failed".to_owned(),
    };
    // What was done is done, and answered: a list that can't be written is reported in the log.
    if let Err(refused) = audit::record(&live, caller.asking(&by, None), "reloaded", on).await {
        live.telemetry.store_failed("audit", &refused.said());
    }
    match reloaded {
        Some(Reloaded::Changed { hash, needs_restart, orphans }) => {
            let orphan = |orphan: &Orphan| json!({"rule": orphan.rule, "key": orphan.key, "actions": orphan.actions});
            let orphans: Vec<Value> = orphans.iter().take(LIMIT_MAX).map(orphan).collect();
            json_answer(
                &json!({"reloaded": true, "hash": hash, "needs_restart": needs_restart, "orphaned_cases": orphans}),
            )
        }
        Some(Reloaded::Same) => json_answer(&json!({"reloaded": false, "hash": live.snapshot.load().hash})),
        Some(Reloaded::Refused(report)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &report),
        None => problem(StatusCode::INTERNAL_SERVER_ERROR, "reloading failed; the log says why"),
    }
}
