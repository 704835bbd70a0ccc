//! The audit list: who asked for what, when, from where. What is asked goes through the inbox like everything else.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Uri;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::admin::answer::{Answer, Refused, Shared, ask};
use crate::admin::caller::{Asking, NOBODY};
use crate::admin::paging::{LIMIT, limit, page_answer};
use crate::admin::view::Act;
use crate::event::{Audit, Command};
use crate::planner::Audited;
use crate::steps::Live;

/// The kind of the planner's documents.
const KIND: &str = "audit";
/// How many documents are read at once.
const PAGE: usize = 20;

/// Writes down what somebody asked for: `act` in one word, such as `closed`, `on` what it was done to.
pub(crate) async fn record(live: &Live, asking: Asking<'_>, act: &str, on: String) -> Result<(), Refused> {
    let Asking { by, from, note } = asking;
    let audit = Audit {
        at: live.clock.now(),
        by: by.to_owned(),
        act: act.to_owned(),
        on,
        note: note.map(str::to_owned),
        from: from.name().to_owned(),
    };
    ask(live, Command::Audit(Box::new(audit))).await
}

/// Which of the list.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// before the one with this id, for the next page
    before: Option<String>,
    /// at most this many, by default 50
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Actions of people in the last 90 days, newest first
#[utoipa::path(get, path = "/audit", params(AuditQuery), responses((status = 200, description = "What people did", body = [Act])))]
pub(crate) async fn list(State(live): Shared, uri: Uri, query: Result<Query<AuditQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let limit = limit(query.limit)?.unwrap_or(LIMIT);
    let list = acts(&live, query.before.as_deref(), limit).await?;
    let next = list.last().filter(|_| list.len() >= limit).map(|act| act.id.clone());
    Ok(page_answer(&list, &uri, ("before", next)))
}

/// Acts, newest first, before the one with this id; none, if there is no such one.
pub(crate) async fn acts(live: &Live, before: Option<&str>, limit: usize) -> Result<Vec<Act>, Refused> {
    let before = match before.map(place) {
        Some(None) => return Ok(Vec::new()),
        Some(before) => before,
        None => None,
    };
    let mut after = before.map(|(document, _)| format!("{:012}", document.saturating_sub(1))).unwrap_or_default();
    let mut found = Vec::new();
    while found.len() < limit {
        let page = live.store.docs(KIND, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        for (id, text) in &page {
            let Ok(audited) = serde_json::from_str::<Audited>(text) else { continue };
            let upto = before.filter(|(document, _)| id.parse() == Ok(*document)).map(|(_, nth)| nth);
            found.extend(rows(id, &audited).into_iter().filter(|(nth, _)| upto.is_none_or(|upto| *nth < upto)));
        }
    }
    found.truncate(limit);
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// The acts of a document, newest first, each with its place in it.
fn rows(id: &str, audited: &Audited) -> Vec<(usize, Act)> {
    let acts = audited.acts.iter().enumerate().map(|(nth, act)| {
        let row = Act {
            id: format!("{id}-{nth}"),
            at: act.at.to_string(),
            by: act.by.clone(),
            act: act.act.clone(),
            on: act.on.clone(),
            note: act.note.clone(),
            from: act.from.clone(),
        };
        (nth, row)
    });
    let last = audited.acts.last().filter(|_| audited.more > 0).map(|last| {
        let nth = audited.acts.len();
        let on = format!("{} more within ten minutes, which are not listed", audited.more);
        let (at, from) = (last.at.to_string(), last.from.clone());
        let (by, act) = (NOBODY.to_owned(), "asked".to_owned());
        let row = Act { id: format!("{id}-{nth}"), at, by, act, on, note: None, from };
        (nth, row)
    });
    let mut all: Vec<(usize, Act)> = acts.chain(last).collect();
    all.reverse();
    all
}

/// The place that an id names.
fn place(id: &str) -> Option<(i64, usize)> {
    let (document, nth) = id.split_once('-')?;
    Some((document.parse().ok()?, nth.parse().ok()?))
}
