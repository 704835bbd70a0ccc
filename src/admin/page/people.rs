//! The pages on which people act: open cases, with who acknowledged them and buttons to acknowledge and close them; what is muted, with
//! a button to end that; and what people did.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{page, with_frame};
use crate::admin::api::{Id, LIMIT_MAX, Refused, Shared};
use crate::admin::audit::{self, Origin};
use crate::admin::cases::{self, CaseQuery, Wish};
use crate::admin::mutes;
use crate::planner::Case;
use crate::steps::Live;

/// How many cases the page shows.
const SHOWN: usize = 200;
/// Remembers a person's name from one form to the next, in their browser alone.
const NAME_COOKIE: &str = "fanfare_by";

/// What the list of cases is asked.
#[derive(Deserialize, Default)]
pub(crate) struct CasesQuery {
    rule: Option<String>,
    asked: Option<String>,
}

/// `/cases`: what is open, first what nobody acknowledged.
pub(crate) async fn cases(State(live): Shared, headers: HeaderMap, Query(query): Query<CasesQuery>) -> Response {
    page(cases_values(&live, &headers, query).await, "cases.html")
}

/// `/cases/ID`: one case, what comes next, what was sent.
pub(crate) async fn case(State(live): Shared, headers: HeaderMap, Id(id): Id) -> Response {
    page(case_values(&live, &headers, &id).await, "case.html")
}

/// The form beside the buttons.
#[derive(Deserialize)]
pub(crate) struct Who {
    #[serde(default)]
    by: String,
    #[serde(default)]
    note: String,
}

impl Who {
    fn wish(&self) -> Wish {
        Wish { by: Some(self.by.clone()), note: Some(self.note.clone()), rule: None }
    }
}

/// The button that acknowledges a case.
pub(crate) async fn ack(State(live): Shared, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = cases::acknowledge(&live, &id, &who.wish(), Origin::Page).await;
    asked(answer, "/cases?asked=ack", &who)
}

/// The button that closes a case.
pub(crate) async fn close(State(live): Shared, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = cases::end(&live, &id, &who.wish(), Origin::Page).await;
    asked(answer, "/cases?asked=close", &who)
}

/// What the list of mutes is asked.
#[derive(Deserialize, Default)]
pub(crate) struct MutesQuery {
    asked: Option<String>,
}

/// `/mutes`: what is silent now or will be.
pub(crate) async fn mutes(State(live): Shared, headers: HeaderMap, Query(query): Query<MutesQuery>) -> Response {
    page(mutes_values(&live, &headers, query).await, "mutes.html")
}

/// `/audit`: what people asked for.
pub(crate) async fn audit(State(live): Shared) -> Response {
    page(audit_values(&live).await, "audit.html")
}

/// The button that ends a mute.
pub(crate) async fn unmute(State(live): Shared, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = mutes::finish(&live, &id, Some(&who.by), Origin::Page).await;
    asked(answer, "/mutes?asked=end", &who)
}

/// Back to the list, which says what was asked; the name is remembered.
fn asked(answer: Result<Value, Refused>, back: &str, who: &Who) -> Response {
    if let Err(refused) = answer {
        return super::refused(refused);
    }
    let name: String = form_urlencoded::byte_serialize(who.by.trim().as_bytes()).collect();
    let cookie = format!("{NAME_COOKIE}={name}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000");
    (StatusCode::SEE_OTHER, [(LOCATION, back.to_owned()), (SET_COOKIE, cookie)]).into_response()
}

/// The name that was given last in this browser.
pub(super) fn remembered(headers: &HeaderMap) -> String {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut named = all.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| {
        let value = cookie.trim().strip_prefix(NAME_COOKIE)?.strip_prefix('=')?;
        form_urlencoded::parse(value.as_bytes()).next().map(|(name, _)| name.into_owned())
    });
    named.next().unwrap_or_default()
}

/// The path of a page about one thing, its id encoded.
pub(crate) fn path(kind: &str, id: &str) -> String {
    let mut url = url::Url::parse("http://localhost").ok();
    if let Some(mut segments) = url.as_mut().and_then(|url| url.path_segments_mut().ok()) {
        segments.extend([kind, id]);
    }
    url.map(|url| url.path().to_owned()).unwrap_or_default()
}

/// What waits for a person comes first, then what nobody took, the newest first.
fn rank(case: &Case) -> (bool, bool, std::cmp::Reverse<Timestamp>) {
    (!case.waits_for_a_person(), case.acked.is_some(), std::cmp::Reverse(case.opened))
}

async fn cases_values(live: &Arc<Live>, headers: &HeaderMap, query: CasesQuery) -> Result<Value, Refused> {
    let rule = query.rule.filter(|rule| !rule.is_empty());
    let wanted = CaseQuery { rule: rule.clone(), ..CaseQuery::default() };
    let mut found = cases::find(live, &wanted, LIMIT_MAX).await?;
    let many = found.len();
    found.sort_by_key(|(_, case)| rank(case));
    found.truncate(SHOWN);
    let rules = live.snapshot.load_full().rules.clone();
    let rows = found.iter().map(|(id, case)| {
        let mut row = cases::seen(id, case, rules.as_deref());
        row["path"] = path("cases", id).into();
        row
    });
    Ok(with_frame(
        live,
        json!({
            "cases": rows.collect::<Vec<_>>(),
            "more": many > SHOWN,
            "shown": SHOWN,
            "rule": rule,
            "asked": query.asked,
            "by": remembered(headers),
        }),
    ))
}

async fn case_values(live: &Arc<Live>, headers: &HeaderMap, id: &str) -> Result<Value, Refused> {
    let mut document = cases::document(live, id).await?;
    document["path"] = path("cases", document["id"].as_str().unwrap_or_default()).into();
    Ok(with_frame(live, json!({"case": document, "by": remembered(headers)})))
}

async fn audit_values(live: &Arc<Live>) -> Result<Value, Refused> {
    let mut acts = audit::acts(live, None, SHOWN + 1).await?;
    let more = acts.len() > SHOWN;
    acts.truncate(SHOWN);
    Ok(with_frame(live, json!({"acts": acts, "more": more, "shown": SHOWN})))
}

async fn mutes_values(live: &Arc<Live>, headers: &HeaderMap, query: MutesQuery) -> Result<Value, Refused> {
    let now = live.clock.now();
    let rows = mutes::known(live).await?.into_iter().map(|known| {
        let mut row = known.view(now);
        row["path"] = path("mutes", row["id"].as_str().unwrap_or_default()).into();
        row
    });
    let rows: Vec<Value> = rows.collect();
    Ok(with_frame(live, json!({"mutes": rows, "asked": query.asked, "by": remembered(headers)})))
}
