//! Ending all links of messages: those that were sent lead nowhere from then on.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::answer::{Answer, By, Refused, Shared, ask, json_answer};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::event::Command;

/// That it is done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rotated {
    rotated: bool,
    /// Who asked.
    by: String,
}

/// End all links of messages that were sent
#[utoipa::path(post, path = "/links/rotate", params(By), responses((status = 200, description = "They lead nowhere now", body = Rotated)))]
pub(crate) async fn rotate(State(live): Shared, caller: Caller, query: Result<Query<By>, QueryRejection>) -> Answer {
    let Query(By { by }) = query?;
    let by = caller.by(by.as_deref())?;
    if live.snapshot.load().settings.links.is_none() {
        return Err(Refused::Bad("messages carry no links: `links` is not in fanfare.yaml".into()));
    }
    audit::record(&live, caller.asking(&by, None), "rotated", "the key of all links".into()).await?;
    ask(&live, Command::RotateLinks { by: by.clone() }).await?;
    Ok(json_answer(&Rotated { rotated: true, by }))
}
