//! `/upcoming`: everything that has a time: what the planner's timers say, and deliveries that are tried again.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::people::{self, Who};
use super::{link, now, page, with_frame};
use crate::admin::answer::{Id, Refused, Shared};
use crate::admin::caller::Caller;
use crate::admin::upcoming;
use crate::admin::view::{UpcomingView, value};
use crate::delivery::State as DeliveryState;
use crate::event::{Seq, UpcomingOp};
use crate::rules::RuleSet;
use crate::steps::Live;
use crate::store::DeliveryFilter;

/// How many a page has.
const SHOWN: usize = 40;

/// Where a page begins: after what has this id; and what was asked last.
#[derive(Deserialize, Default)]
pub(crate) struct UpcomingQuery {
    after: Option<String>,
    asked: Option<String>,
}

/// `/upcoming`.
pub(crate) async fn list(State(live): Shared, caller: Caller, Query(query): Query<UpcomingQuery>) -> Response {
    page(values(&live, &caller, query).await, "upcoming.html")
}

/// The button that sends something now.
pub(crate) async fn send(State(live): Shared, caller: Caller, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = upcoming::act(&live, &id, (UpcomingOp::Send, Some(who.by())), &caller).await;
    people::asked(answer, "/upcoming?asked=send", &who)
}

/// The button that cancels it.
pub(crate) async fn cancel(State(live): Shared, caller: Caller, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = upcoming::act(&live, &id, (UpcomingOp::Cancel, Some(who.by())), &caller).await;
    people::asked(answer, "/upcoming?asked=cancel", &who)
}

async fn values(live: &Arc<Live>, caller: &Caller, query: UpcomingQuery) -> Result<Value, Refused> {
    let is_first = query.after.is_none();
    let (comes, next) = upcoming::coming(live, query.after.as_deref(), SHOWN).await?;
    let rules = live.snapshot.load_full().rules.clone();
    let retrying = DeliveryFilter {
        states: vec![DeliveryState::Retrying, DeliveryState::Due],
        limit: SHOWN,
        ..DeliveryFilter::default()
    };
    let retrying = if is_first { live.store.list_deliveries(&retrying).await? } else { Vec::new() };
    let next = next.map(|next| link("/upcoming", &[("after", Some(&next))]));
    Ok(with_frame(
        live,
        caller,
        json!({
            "comes": rows(live, rules.as_deref(), &comes).await?,
            "retrying": now::with_events(live, rules.as_deref(), &retrying).await?,
            "next": next,
            "is_first": is_first,
            "asked": query.asked,
            "acts": true,
            "back": "/upcoming",
        }),
    ))
}

/// What comes soonest.
pub(super) async fn soonest(live: &Arc<Live>, limit: usize) -> Result<Vec<Value>, Refused> {
    let rules = live.snapshot.load_full().rules.clone();
    rows(live, rules.as_deref(), &upcoming::coming(live, None, limit).await?.0).await
}

/// Each as a line: with what it is about in words, and where there is more of it.
async fn rows(live: &Arc<Live>, rules: Option<&RuleSet>, comes: &[UpcomingView]) -> Result<Vec<Value>, Refused> {
    let seqs: Vec<Seq> = comes.iter().flat_map(|one| one.events.iter().copied()).collect();
    let about = now::about(live, rules, &seqs).await?;
    Ok(comes.iter().map(|one| row(one, &about)).collect())
}

fn row(one: &UpcomingView, about: &BTreeMap<Seq, Value>) -> Value {
    let mut row = value(one);
    let path = match (one.what, &one.case, &one.delivery) {
        (_, Some(case), _) => Some(people::path("cases", case)),
        (_, _, Some(delivery)) => Some(people::path("deliveries", delivery)),
        ("mute", ..) => Some("/mutes".to_owned()),
        _ => None,
    };
    let events: Vec<&Value> = one.events.iter().filter_map(|seq| about.get(seq)).collect();
    match one.case {
        Some(_) => row["about"] = json!(events.first()),
        None => row["items"] = json!(events),
    }
    row["path"] = path.into();
    row["act"] = people::path("upcoming", &one.id).into();
    row
}
