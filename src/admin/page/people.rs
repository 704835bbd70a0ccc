//! The pages on which people act: cases, with who acknowledged them and buttons to acknowledge and close them; what is muted, with
//! a form for more and a button to end it; and what people did.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{filled, link, now, page, row, with_frame};
use crate::admin::answer::{Id, Refused, Shared};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::cases::{self, CaseQuery, Wish};
use crate::admin::paging::{LIMIT_MAX, LOOKED_AT};
use crate::admin::view::value;
use crate::admin::{bulk, mutes};
use crate::clock::plus;
use crate::event::Seq;
use crate::planner::Case;
use crate::planner::why::Decision;
use crate::rules::RuleSet;
use crate::steps::Live;
use crate::store::look::{DecisionFilter, Words};
use crate::store::{DeliveryFilter, EventFilter};

/// How many cases the page shows.
const SHOWN: usize = 60;
/// How many closed ones, and acts of people.
const PAGE: usize = 40;
/// How far back it is looked what a mute would have silenced.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How many of what it would have silenced are named.
const NAMED: usize = 8;
/// What the list of cases is asked.
#[derive(Deserialize, Default)]
pub(crate) struct CasesQuery {
    rule: Option<String>,
    asked: Option<String>,
    /// `open`, `waiting` or `closed`.
    show: Option<String>,
    before: Option<Seq>,
}

/// `/cases`: what is open, first what nobody acknowledged.
pub(crate) async fn cases(State(live): Shared, caller: Caller, Query(query): Query<CasesQuery>) -> Response {
    page(cases_values(&live, &caller, query).await, "cases.html")
}

/// `/cases/ID`: one case, what comes next, what was sent.
pub(crate) async fn case(State(live): Shared, caller: Caller, Id(id): Id) -> Response {
    page(case_values(&live, &caller, &id).await, "case.html")
}

/// The form beside the buttons.
#[derive(Deserialize)]
pub(crate) struct Who {
    #[serde(default)]
    by: String,
    #[serde(default)]
    note: String,
    /// Where the button stands.
    back: Option<String>,
}

impl Who {
    /// The name that was given.
    pub(super) fn by(&self) -> &str {
        &self.by
    }

    fn wish(&self) -> Wish {
        Wish { by: Some(self.by.clone()), note: Some(self.note.clone()), rule: None }
    }
}

/// The button that acknowledges a case.
pub(crate) async fn ack(State(live): Shared, caller: Caller, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = cases::acknowledge(&live, &id, &who.wish(), &caller).await;
    asked(answer, "/cases?asked=ack", &who)
}

/// The button that closes a case.
pub(crate) async fn close(State(live): Shared, caller: Caller, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = cases::end(&live, &id, &who.wish(), &caller).await;
    asked(answer, "/cases?asked=close", &who)
}

/// What the list of mutes is asked: what came of the last form, and what the next must say.
#[derive(Deserialize, Default)]
pub(crate) struct MutesQuery {
    asked: Option<String>,
    #[serde(flatten)]
    wish: MuteWish,
}

/// A mute as the form describes it. Empty fields mean nothing.
#[derive(Deserialize, Default, Clone)]
pub(crate) struct MuteWish {
    rule: Option<String>,
    destination: Option<String>,
    events: Option<String>,
    r#for: Option<String>,
    reason: Option<String>,
    by: Option<String>,
}

impl MuteWish {
    fn without_blanks(self) -> Self {
        Self {
            rule: filled(self.rule),
            destination: filled(self.destination),
            events: filled(self.events),
            r#for: filled(self.r#for),
            reason: filled(self.reason),
            by: filled(self.by),
        }
    }

    fn says_what(&self) -> bool {
        self.rule.is_some() || self.destination.is_some() || self.events.is_some()
    }
}

/// The button that mutes.
pub(crate) async fn mute(State(live): Shared, caller: Caller, Form(wish): Form<MuteWish>) -> Response {
    let wish = wish.without_blanks();
    let who = Who { by: wish.by.clone().unwrap_or_default(), note: String::new(), back: None };
    let asked_for = [
        ("rule", &wish.rule),
        ("destination", &wish.destination),
        ("events", &wish.events),
        ("for", &wish.r#for),
        ("reason", &wish.reason),
        ("by", &wish.by),
    ];
    let given = asked_for.iter().filter_map(|(name, value)| Some(((*name).to_owned(), Value::from((*value).clone()?))));
    let answer = mutes::begin(&live, given.collect::<Map<_, _>>(), &caller).await;
    asked(answer, "/mutes?asked=mute", &who)
}

/// `/mutes`: what is silent now or will be.
pub(crate) async fn mutes(State(live): Shared, caller: Caller, Query(query): Query<MutesQuery>) -> Response {
    page(mutes_values(&live, &caller, query).await, "mutes.html")
}

/// Where the list of acts goes on.
#[derive(Deserialize, Default)]
pub(crate) struct ActsQuery {
    before: Option<String>,
}

/// `/audit`: what people asked for.
pub(crate) async fn audit(State(live): Shared, caller: Caller, Query(query): Query<ActsQuery>) -> Response {
    page(audit_values(&live, &caller, query.before).await, "audit.html")
}

/// The button that ends a mute.
pub(crate) async fn unmute(State(live): Shared, caller: Caller, Id(id): Id, Form(who): Form<Who>) -> Response {
    let answer = mutes::finish(&live, &id, Some(&who.by), &caller).await;
    asked(answer, "/mutes?asked=end", &who)
}

/// Back to the list, which says what was asked; the name is remembered.
pub(super) fn asked<T>(answer: Result<T, Refused>, back: &str, who: &Who) -> Response {
    if let Err(refused) = answer {
        return super::refused(refused);
    }
    let back = safe(who.back.clone(), back);
    let mut sent = (StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response();
    if !who.by.trim().is_empty()
        && let Ok(cookie) = HeaderValue::from_str(&Caller::remembering(&who.by))
    {
        sent.headers_mut().insert(SET_COOKIE, cookie);
    }
    sent
}

/// Where to go back to, if that is a path of this page; else elsewhere.
pub(super) fn safe(back: Option<String>, otherwise: &str) -> String {
    let is_path = |path: &String| {
        path.starts_with('/') && !path[1..].starts_with(['/', '\\']) && path.bytes().all(|byte| byte.is_ascii_graphic())
    };
    back.filter(is_path).unwrap_or_else(|| otherwise.to_owned())
}

/// The path of a page about one thing, its id encoded.
pub(crate) fn path(kind: &str, id: &str) -> String {
    let mut url = url::Url::parse("http://localhost").ok();
    if let Some(mut segments) = url.as_mut().and_then(|url| url.path_segments_mut().ok()) {
        segments.extend([kind, id]);
    }
    url.map(|url| url.path().to_owned()).unwrap_or_default()
}

/// What waits for a person comes first, then what nobody acknowledged, the newest first.
pub(super) fn rank(case: &Case) -> (bool, bool, std::cmp::Reverse<Timestamp>) {
    (!case.waits_for_a_person(), case.acked.is_some(), std::cmp::Reverse(case.opened))
}

/// Cases as lines, each with what its opening event is about.
pub(super) async fn rows(
    live: &Live,
    rules: Option<&RuleSet>,
    found: &[(String, Case)],
) -> Result<Vec<Value>, Refused> {
    let seqs: Vec<Seq> = found.iter().map(|(_, case)| case.event).collect();
    let about = now::about(live, rules, &seqs).await?;
    let row = |(id, case): &(String, Case)| {
        let mut row = value(&cases::seen(id, case, rules));
        row["path"] = path("cases", id).into();
        row["about"] = about.get(&case.event).cloned().unwrap_or_default();
        // What comes next by itself, as far as the rules in force still say it.
        let timers = row["timers"].as_array().map(Vec::as_slice).unwrap_or_default();
        row["comes"] = timers.iter().find(|timer| timer["waits"] != true).cloned().unwrap_or_default();
        row
    };
    Ok(found.iter().map(row).collect())
}

async fn cases_values(live: &Arc<Live>, caller: &Caller, query: CasesQuery) -> Result<Value, Refused> {
    let rule = filled(query.rule);
    let show = filled(query.show).unwrap_or_else(|| "open".into());
    let snapshot = live.snapshot.load_full();
    let rules = snapshot.rules.as_deref();
    let (closed, next) =
        if show == "closed" { closed(live, rules, &rule, query.before).await? } else { Default::default() };
    let mut found = Vec::new();
    if show != "closed" {
        let wanted = CaseQuery { rule: rule.clone(), ..CaseQuery::default() };
        found = cases::find(live, &wanted, LIMIT_MAX).await?;
        found.retain(|(_, case)| show != "waiting" || case.waits_for_a_person());
    }
    let many = found.len();
    found.sort_by_key(|(_, case)| rank(case));
    found.truncate(SHOWN);
    let tab = |name: &str| link("/cases", &[("show", Some(name)), ("rule", rule.as_deref())]);
    let tabs: Vec<Value> = ["open", "waiting", "closed"]
        .iter()
        .map(|name| json!({"name": name, "path": tab(name), "here": *name == show}))
        .collect();
    let next = next.map(|next| {
        link("/cases", &[("show", Some("closed")), ("rule", rule.as_deref()), ("before", Some(&next.to_string()))])
    });
    Ok(with_frame(
        live,
        caller,
        json!({
            "cases": rows(live, rules, &found).await?,
            "closed": closed,
            "next": next,
            "more": many > SHOWN,
            "shown": SHOWN,
            "rule": rule,
            "show": show,
            "tabs": tabs,
            "asked": query.asked,
            "back": null,
        }),
    ))
}

/// The closes of cases, the newest first: by the event that closed them, or that opened them where a person did.
async fn closed(
    live: &Live,
    rules: Option<&RuleSet>,
    rule: &Option<String>,
    before: Option<Seq>,
) -> Result<(Vec<Value>, Option<Seq>), Refused> {
    let filter = DecisionFilter { rule: rule.clone(), outcomes: vec!["closed".into()], before, limit: PAGE };
    let found = live.store.decisions(&filter).await?;
    // What closed nothing is none of it: no case was open, or what a `missing` rule waits for came in time.
    let list: Vec<Decision> =
        found.list.into_iter().filter(|decision| decision.detail.get("closed").is_some()).collect();
    let seqs: Vec<Seq> = list.iter().map(|decision| decision.event).collect();
    let about = now::about(live, rules, &seqs).await?;
    let row = |decision: &Decision| {
        json!({
            "rule": decision.rule, "note": decision.note, "event": decision.event, "case": decision.detail.get("case"),
            "by_hand": decision.detail.get("by_hand"),
            "about": about.get(&decision.event).cloned().unwrap_or_default(),
        })
    };
    Ok((list.iter().map(row).collect(), found.next))
}

async fn case_values(live: &Arc<Live>, caller: &Caller, id: &str) -> Result<Value, Refused> {
    let mut document = value(&cases::document(live, id).await?);
    document["path"] = path("cases", document["id"].as_str().unwrap_or_default()).into();
    let rules = live.snapshot.load_full().rules.clone();
    let event = document["event"].as_i64().unwrap_or_default();
    let about = now::about(live, rules.as_deref(), &[event]).await?.into_values().next().unwrap_or_default();
    let back = document["path"].clone();
    Ok(with_frame(live, caller, json!({"case": document, "about": about, "back": back})))
}

async fn audit_values(live: &Arc<Live>, caller: &Caller, before: Option<String>) -> Result<Value, Refused> {
    let is_first = before.is_none();
    let acts = audit::acts(live, before.as_deref(), PAGE).await?;
    let last = acts.last().filter(|_| acts.len() == PAGE).map(|act| act.id.as_str());
    let next = last.map(|last| link("/audit", &[("before", Some(last))]));
    Ok(with_frame(live, caller, json!({"acts": acts, "next": next, "is_first": is_first})))
}

async fn mutes_values(live: &Arc<Live>, caller: &Caller, query: MutesQuery) -> Result<Value, Refused> {
    let now = live.clock.now();
    let known = mutes::known(live).await?.into_iter().map(|known| {
        let mut row = value(&known.view(now));
        row["path"] = path("mutes", row["id"].as_str().unwrap_or_default()).into();
        row
    });
    // What is over comes last.
    let (over, known): (Vec<Value>, Vec<Value>) = known.partition(|row| row["state"] == "over");
    let wish = query.wish.without_blanks();
    let would = if wish.says_what() { Some(would_silence(live, &wish).await?) } else { None };
    let snapshot = live.snapshot.load_full();
    let rules: Vec<&str> =
        snapshot.rules.iter().flat_map(|rules| &rules.rules).map(|rule| rule.name.value.as_str()).collect();
    Ok(with_frame(
        live,
        caller,
        json!({
            "mutes": known, "over": over, "asked": query.asked, "would": would,
            "rules": rules, "destinations": snapshot.destinations.keys().collect::<Vec<_>>(),
            "wish": {
                "rule": wish.rule, "destination": wish.destination, "events": wish.events, "for": wish.r#for,
                "reason": wish.reason,
            },
        }),
    ))
}

/// What a mute would have silenced in the last days.
async fn would_silence(live: &Live, wish: &MuteWish) -> Result<Value, Refused> {
    let since = plus(live.clock.now(), SignedDuration::ZERO - LOOK_BACK);
    let filter = DeliveryFilter {
        rule: wish.rule.clone(),
        destination: wish.destination.clone(),
        since: Some(since),
        within: Some(LOOKED_AT),
        limit: LIMIT_MAX,
        ..DeliveryFilter::default()
    };
    let mut found = live.store.list_deliveries(&filter).await?;
    let is_cut = found.len() == LIMIT_MAX;
    if let Some(glob) = &wish.events {
        let types = bulk::Types::read(Some(glob))?;
        let kind = types.kind().map(str::to_owned);
        let filter = EventFilter { kind, since: Some(since), limit: LIMIT_MAX, ..EventFilter::default() };
        let events = live.store.search(&filter, None::<&Words>).await?.events;
        let events: Vec<Seq> = events.iter().filter(|(_, event)| types.accept(event)).map(|(seq, _)| *seq).collect();
        // Newest first.
        found.retain(|delivery| events.binary_search_by(|seq| delivery.planned.event.cmp(seq)).is_ok());
    }
    let rules = live.snapshot.load_full().rules.clone();
    let named = found.get(..found.len().min(NAMED)).unwrap_or_default();
    Ok(json!({
        "words": row::count(found.len() as u64, "message", "messages"),
        "cut": is_cut,
        "days": LOOK_BACK.as_hours() / 24,
        "deliveries": now::with_events(live, rules.as_deref(), named).await?,
        "more": found.len().saturating_sub(NAMED),
    }))
}
