//! Backfills: asking a sender to send again what failed, and how far that is.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::admin::answer::{Answer, Moment, Refused, Shared, ask, json_answer, near};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::view::BackfillView;
use crate::clock::plus;
use crate::event::{BackfillAsked, Command, Event};
use crate::planner::Backfill;
use crate::source::parse::{RETRIES_LAST, TOLERANCE_MAX};
use crate::steps::{Live, backfill};

/// What a sender is asked for.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BackfillQuery {
    /// of this source; may be left out where only one has an `api_key`
    source: Option<String>,
    /// what was created from then on, at most 30 days ago; by default since shortly before the last absence
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// what was created before then; now by default
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Moment>,
    /// who asks
    by: Option<String>,
}

/// Backfills of the past and the present, newest first
#[utoipa::path(get, path = "/backfills", responses((status = 200, description = "Backfills", body = [BackfillView])))]
pub(crate) async fn list(State(live): Shared) -> Answer {
    let known = backfill::known(&live).await?;
    let mut all: Vec<&Backfill> = known.iter().flat_map(|of| &of.all).collect();
    all.sort_by_key(|backfill| std::cmp::Reverse(backfill.asked.at));
    Ok(json_answer(&all.into_iter().map(BackfillView::from).collect::<Vec<_>>()))
}

/// Ask a sender to send again what failed
#[utoipa::path(post, path = "/backfills", params(BackfillQuery), responses((status = 200, description = "It is asked for; the list says how far that is", body = BackfillView)))]
pub(crate) async fn begin(
    State(live): Shared,
    caller: Caller,
    query: Result<Query<BackfillQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let source = source(&live, query.source.as_deref())?;
    let now = live.clock.now();
    let since = match Moment::at(query.since.as_ref(), "since", &live)? {
        Some(since) => since,
        None => since_absence(&live)?,
    };
    let until = Moment::at(query.until.as_ref(), "until", &live)?.unwrap_or(now).min(now);
    if until.duration_since(since) <= jiff::SignedDuration::ZERO {
        return Err(Refused::Bad("`since` is not before `until`: nothing can be asked for".into()));
    }
    if since < plus(now, -TOLERANCE_MAX) {
        return Err(Refused::Bad("`since` is more than 30 days ago: older ids may be forgotten here".into()));
    }
    let by = caller.by(query.by.as_deref())?;
    let asked = BackfillAsked { source: source.clone(), at: now, since, until, by: by.clone() };
    audit::record(&live, caller.asking(&by, None), "backfilled", format!("source `{source}` since {since}")).await?;
    ask(&live, Command::Backfill(Box::new(asked.clone()))).await?;
    live.to_backfill.notify_one();
    Ok(json_answer(&BackfillView::from(&Backfill::begun(asked))))
}

/// The source that is meant, which must have an API.
fn source(live: &Live, named: Option<&str>) -> Result<String, Refused> {
    let snapshot = live.snapshot.load_full();
    let with_api: Vec<&str> =
        snapshot.sources.values().filter(|source| source.api.is_some()).map(|source| &*source.name).collect();
    match (named, with_api.as_slice()) {
        (Some(name), _) if with_api.contains(&name) => Ok(name.to_owned()),
        (Some(name), _) if snapshot.sources.contains_key(name) => {
            Err(Refused::Bad(format!("source `{name}` has no `api_key`: add it in fanfare.yaml")))
        }
        (Some(name), _) => {
            let hint = near(name, snapshot.sources.keys().map(String::as_str), "");
            Err(Refused::NotFound(format!("there is no source `{name}`{hint}")))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(Refused::Bad("no source has an `api_key`: add one in fanfare.yaml".into())),
        (None, several) => Err(Refused::Bad(format!("which source? Name one: {}", several.join(", ")))),
    }
}

fn since_absence(live: &Live) -> Result<Timestamp, Refused> {
    let absence = live.absence.load_full();
    let from = absence.as_ref().as_ref().map(|absence| plus(absence.from, -RETRIES_LAST));
    from.ok_or_else(|| Refused::Bad("since when? This server knows of no absence: name `since`, such as `2h`".into()))
}

/// The backfill that an event may have come by.
pub(crate) async fn of_event(live: &Live, event: &Event) -> Result<Option<BackfillView>, Refused> {
    let known = backfill::known(live).await?;
    let of = known.iter().find(|of| of.source == *event.source);
    Ok(of.and_then(|of| of.brought(event.created, event.received)).map(BackfillView::from))
}
