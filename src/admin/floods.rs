//! Rules that are held because they suddenly sent many times their usual: which, and what a person decides about them.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::answer::{Answer, By, Id, Refused, Shared, ask, json_answer, near};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::event::Command;
use crate::planner::{Brake, Flood};
use crate::steps::Live;

/// The kind of the planner's documents.
const KIND: &str = "flood";
/// How many documents are read at once.
const PAGE: usize = 200;

/// A rule that is held.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Flood)]
pub(crate) struct FloodView {
    /// The rule.
    pub rule: String,
    /// Since when.
    pub since: String,
    /// When what is held goes by itself.
    pub ends: String,
    /// How many messages are held.
    pub held: u64,
    /// How many messages it may send in an hour.
    pub limit: u64,
    /// How many it sent in its busiest hour of the last seven days.
    pub usual: u64,
}

impl From<&Brake> for FloodView {
    fn from(brake: &Brake) -> Self {
        let Brake { rule, since, ends, limit, usual, count, .. } = brake;
        let (since, ends) = (since.to_string(), ends.to_string());
        Self { rule: rule.clone(), since, ends, held: *count, limit: *limit, usual: *usual }
    }
}

/// The rules that are held and wait for a person.
async fn held(live: &Live) -> Result<Vec<Brake>, Refused> {
    let (mut held, mut after) = (Vec::new(), String::new());
    loop {
        let page = live.store.docs(KIND, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(held) };
        after.clone_from(last);
        let floods = page.iter().filter_map(|(_, text)| serde_json::from_str::<Flood>(text).ok());
        held.extend(floods.filter_map(|flood| flood.brake).filter(|brake| brake.decided.is_none()));
    }
}

/// Rules that are held because they flood
#[utoipa::path(get, path = "/floods", responses((status = 200, description = "The rules that are held", body = [FloodView])))]
pub(crate) async fn list(State(live): Shared) -> Answer {
    Ok(json_answer(&held(&live).await?.iter().map(FloodView::from).collect::<Vec<_>>()))
}

/// Send what a rule holds
#[utoipa::path(post, path = "/floods/{id}/let-go", params(Id, By), responses((status = 200, description = "What it held", body = FloodView)))]
pub(crate) async fn let_go(
    State(live): Shared,
    Id(rule): Id,
    caller: Caller,
    query: Result<Query<By>, QueryRejection>,
) -> Answer {
    decide(&live, (&rule, false), query?, &caller).await
}

/// Drop what a rule holds
#[utoipa::path(post, path = "/floods/{id}/drop", params(Id, By), responses((status = 200, description = "What it held", body = FloodView)))]
pub(crate) async fn drop_held(
    State(live): Shared,
    Id(rule): Id,
    caller: Caller,
    query: Result<Query<By>, QueryRejection>,
) -> Answer {
    decide(&live, (&rule, true), query?, &caller).await
}

async fn decide(live: &Live, (rule, drop): (&str, bool), query: Query<By>, caller: &Caller) -> Answer {
    let by = caller.by(query.0.by.as_deref())?;
    let all = held(live).await?;
    let Some(brake) = all.iter().find(|brake| brake.rule == rule) else {
        let hint = near(rule, all.iter().map(|brake| brake.rule.as_str()), "");
        return Err(Refused::NotFound(format!("rule `{rule}` holds nothing{hint}")));
    };
    let act = if drop { "dropped" } else { "let go" };
    audit::record(live, caller.asking(&by, None), act, format!("the flood of rule `{rule}`")).await?;
    ask(live, Command::Flood { rule: rule.to_owned(), by, drop }).await?;
    Ok(json_answer(&FloodView::from(brake)))
}
