//! Ending all links of messages: those that were sent lead nowhere from then on.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::json;

use crate::admin::api::{Answer, Refused, Shared, ask, json_answer};
use crate::admin::audit::{self, Asking, Origin};
use crate::event::Command;

/// Who asks.
#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct By {
    by: Option<String>,
}

/// `POST /links/rotate`.
pub(crate) async fn rotate(State(live): Shared, from: Origin, query: Result<Query<By>, QueryRejection>) -> Answer {
    let Query(By { by }) = query?;
    let by = audit::by(by.as_deref())?;
    if live.snapshot.load().settings.links.is_none() {
        return Err(Refused::Bad("messages carry no links: `links` is not in fanfare.yaml".into()));
    }
    audit::record(&live, Asking { by: &by, from, note: None }, "rotated", "the key of all links".into()).await?;
    ask(&live, Command::RotateLinks { by: by.clone() }).await?;
    Ok(json_answer(&json!({"rotated": true, "by": by})))
}
