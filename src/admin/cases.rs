//! Open cases: what waits for a person, who acknowledged it, what comes next; acknowledging and closing by hand.
//!
//! Reads the planner's documents; what a person asks goes through the inbox like everything else. Cases may be very
//! many: they are read in pages, and never all at once.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::answer::{Answer, Id, Moment, Refused, Shared, ask, json_answer, near};
use crate::admin::audit;
use crate::admin::caller::{Asking, Caller};
use crate::admin::events::head;
use crate::admin::paging::{LIMIT, limit, page_answer};
use crate::admin::sent::sent;
use crate::admin::view::{CaseAct, CaseActs, CaseView, CaseWhole, DeliveryView, EventView, OrphanedView, TimerView};
use crate::config::Snapshot;
use crate::event::Command;
use crate::planner::{Case, Keys, Pending, case_keys, names_for};
use crate::problem::Problem;
use crate::rules::{RuleSet, number_key};
use crate::steps::{Live, plan};

/// The kind of the planner's documents.
const KIND: &str = "case";
/// How many documents are read at once.
const PAGE: usize = 500;
/// Cases are counted up to this many.
const COUNTED_MAX: usize = 10_000;
/// The longest note of a person, in characters.
const NOTE_MAX: usize = 500;

/// Which cases. All that is given must hold.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CaseQuery {
    /// of this rule
    pub rule: Option<String>,
    /// with this key
    pub key: Option<String>,
    /// acknowledged by someone, or by nobody
    pub acked: Option<bool>,
    /// waiting for a person, or only kept: for its thread, for `once`, or acknowledged
    pub waiting: Option<bool>,
    /// opened at or after
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Moment>,
    /// opened before
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Moment>,
    /// after this id, for the next page
    pub after: Option<String>,
    /// at most this many, by default 50
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// From when, and until when.
type Span = (Option<Timestamp>, Option<Timestamp>);

impl CaseQuery {
    fn accepts(&self, case: &Case, names: &[String], (since, until): Span) -> bool {
        (self.rule.is_none() || names.contains(&case.rule))
            && self.key.as_ref().is_none_or(|key| &case.key == key || case.key == number_key(key))
            && self.acked.is_none_or(|acked| case.acked.is_some() == acked)
            && self.waiting.is_none_or(|waiting| case.waits_for_a_person() == waiting)
            && since.is_none_or(|since| case.opened >= since)
            && until.is_none_or(|until| case.opened < until)
    }
}

/// The cases that a query asks for, by id.
pub(crate) async fn find(live: &Live, query: &CaseQuery, limit: usize) -> Result<Vec<(String, Case)>, Refused> {
    let snapshot = live.snapshot.load_full();
    let names = match (&query.rule, &snapshot.rules) {
        (Some(rule), Some(rules)) => names_for(rules, rule),
        (Some(rule), None) => vec![rule.clone()],
        (None, _) => Vec::new(),
    };
    let span = (Moment::at(query.since.as_ref(), "since", live)?, Moment::at(query.until.as_ref(), "until", live)?);
    let mut found = Vec::new();
    let mut after = query.after.clone().unwrap_or_default();
    while found.len() < limit {
        let page = live.store.docs(KIND, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        let cases = page.into_iter().filter_map(|(id, text)| Some((id, serde_json::from_str::<Case>(&text).ok()?)));
        found.extend(cases.filter(|(_, case)| query.accepts(case, &names, span)));
    }
    found.truncate(limit);
    Ok(found)
}

/// How many cases are open, and how many of them nobody acknowledged.
#[derive(Debug, Default, Clone, Copy, Serialize, ToSchema)]
#[schema(as = CaseCount)]
pub(crate) struct Count {
    /// How many are open.
    pub open: usize,
    /// How many of them nobody acknowledged.
    pub unacknowledged: usize,
    /// How many of those wait for a person.
    pub waiting: usize,
    /// Whether there are more than were counted.
    pub more: bool,
}

/// Counts open cases, up to a limit.
pub(crate) async fn count(live: &Live) -> Result<Count, Refused> {
    let mut count = Count::default();
    let mut after = String::new();
    loop {
        let page = live.store.docs(KIND, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(count) };
        if count.open >= COUNTED_MAX {
            return Ok(Count { more: true, ..count });
        }
        after.clone_from(last);
        let cases: Vec<Case> = page.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect();
        count.open += cases.len();
        count.unacknowledged += cases.iter().filter(|case| case.acked.is_none()).count();
        count.waiting += cases.iter().filter(|case| case.waits_for_a_person()).count();
    }
}

/// Open cases, by id
#[utoipa::path(get, path = "/cases", params(CaseQuery), responses((status = 200, description = "Open cases", body = [CaseView])))]
pub(crate) async fn list(State(live): Shared, uri: Uri, query: Result<Query<CaseQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let limit = limit(query.limit)?.unwrap_or(LIMIT);
    let found = find(&live, &query, limit).await?;
    let snapshot = live.snapshot.load_full();
    if let (Some(rule), Some(rules), true) = (&query.rule, &snapshot.rules, found.is_empty()) {
        known_rule(rules, rule)?;
    }
    let list: Vec<CaseView> = found.iter().map(|(id, case)| seen(id, case, snapshot.rules.as_deref())).collect();
    let next = found.last().filter(|_| list.len() >= limit).map(|(id, _)| id.clone());
    Ok(page_answer(&list, &uri, ("after", next)))
}

/// One open case: what comes next, what was sent where
#[utoipa::path(get, path = "/cases/{id}", params(Id), responses((status = 200, description = "The case", body = CaseWhole)))]
pub(crate) async fn show(State(live): Shared, Id(id): Id) -> Answer {
    Ok(json_answer(&document(&live, &id).await?))
}

/// A case with what was sent where.
pub(crate) async fn document(live: &Live, said: &str) -> Result<CaseWhole, Refused> {
    let (id, case) = named(live, said).await?;
    let snapshot = live.snapshot.load_full();
    let opening = head(live, case.event).await?;
    Ok(CaseWhole {
        opening: opening.map(|event| EventView::of(case.event, &event)),
        deliveries: sent(live, &case).await?.iter().map(DeliveryView::from).collect(),
        case: seen(&id, &case, snapshot.rules.as_deref()),
    })
}

/// The case that somebody speaks of: by its id, or by its key where only one open case has that.
pub(crate) async fn named(live: &Live, said: &str) -> Result<(String, Case), Refused> {
    let mut found = all_named(live, said, None).await?;
    if found.len() > 1 {
        let ids: Vec<String> = found.iter().map(|(id, _)| format!("`{id}`")).collect();
        return Err(Refused::Bad(format!("several open cases have the key `{said}`: {}", ids.join(", "))));
    }
    found.pop().ok_or_else(|| gone(said, None))
}

/// The cases that somebody speaks of, one at least: that with this id, or all that are open with this key, of every rule or
/// of the one that is named.
async fn all_named(live: &Live, said: &str, rule: Option<&str>) -> Result<Vec<(String, Case)>, Refused> {
    let snapshot = live.snapshot.load_full();
    let names = match (rule, &snapshot.rules) {
        (Some(rule), Some(rules)) => {
            known_rule(rules, rule)?;
            names_for(rules, rule)
        }
        (rule, _) => rule.into_iter().map(str::to_owned).collect(),
    };
    let keys = case_keys(snapshot.rules.as_deref(), said);
    let wanted = Keys { one: keys.named.iter().chain(&keys.keyed).cloned().collect(), ..Keys::default() };
    let loaded = live.store.load(&wanted).await?;
    let read = |key: &crate::planner::Key| {
        let case = serde_json::from_str::<Case>(loaded.docs.get(key)?).ok()?;
        (names.is_empty() || names.contains(&case.rule)).then(|| (key.id.clone(), case))
    };
    if let Some(found) = keys.named.iter().find_map(read) {
        return Ok(vec![found]);
    }
    let found: Vec<(String, Case)> = keys.keyed.iter().filter_map(read).collect();
    match (found.is_empty(), rule) {
        (false, _) => Ok(found),
        (true, Some(rule)) => Err(gone(said, Some(rule))),
        (true, None) => Err(unknown(live, said).await?),
    }
}

/// That there is no such case, or none of this rule.
fn gone(said: &str, rule: Option<&str>) -> Refused {
    let of = rule.map(|rule| format!(" of rule `{rule}`")).unwrap_or_default();
    Refused::NotFound(format!("there is no open case `{said}`{of}; it may have closed"))
}

/// That there is no such case, with the nearest of the first page.
async fn unknown(live: &Live, said: &str) -> Result<Refused, Refused> {
    let first = live.store.docs(KIND, "", PAGE).await?;
    let keys: Vec<Case> = first.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect();
    let ids = first.iter().map(|(id, _)| id.as_str()).chain(keys.iter().map(|case| case.key.as_str()));
    let hint = near(said, ids, "; it may have closed");
    Ok(Refused::NotFound(format!("there is no open case `{said}`{hint}")))
}

/// Refuses the name of a rule that is not in force.
pub(crate) fn known_rule(rules: &RuleSet, name: &str) -> Result<(), Refused> {
    if rules.named(name).is_some() {
        return Ok(());
    }
    let problem = Problem::error("unknown-rule", format!("there is no rule `{name}`"));
    let problem = problem.suggest(name, rules.rules.iter().map(|rule| rule.name.value.as_str()));
    Err(Refused::Bad(said(&problem)))
}

/// A problem without a place, in one line.
pub(crate) fn said(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message.clone(),
    }
}

/// How a case looks: its facts, what comes next, and what the rules in force no longer have of it.
pub(crate) fn seen(id: &str, case: &Case, rules: Option<&RuleSet>) -> CaseView {
    let rule = rules.and_then(|rules| rules.named(&case.rule));
    let pending = rules.map(|rules| case.pending(rules)).unwrap_or_default();
    let orphan = rules.and_then(|rules| case.orphaned(rules));
    CaseView {
        id: id.to_owned(),
        state: if case.acked.is_some() { "acknowledged" } else { "open" },
        waiting: case.waits_for_a_person(),
        rule: rule.map_or_else(|| case.rule.clone(), |rule| rule.name.value.clone()),
        key: case.key.clone(),
        event: case.event,
        opened: case.opened.to_string(),
        count: case.count,
        last: case.last.to_string(),
        acked_by: case.acked.clone(),
        acked_at: case.acked_at.map(|at| at.to_string()),
        waits_since: case.waits.filter(|_| case.waits_for_a_person()).map(|at| at.to_string()),
        note: case.acked_note.clone(),
        shadow: case.shadow,
        destinations: case.lanes.keys().cloned().collect(),
        ends: case.ends().map(|at| at.to_string()),
        timers: pending.iter().map(TimerView::from).collect(),
        orphaned: orphan.map(|orphan| OrphanedView { rule: orphan.actions.is_empty(), actions: orphan.actions }),
    }
}

/// What a person asks about a case, beside its name.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wish {
    /// who asks
    #[param(required)]
    pub by: Option<String>,
    /// what they leave for those who look later
    pub note: Option<String>,
    /// only the case of this rule
    pub rule: Option<String>,
}

/// Who asks, and the note that they leave.
struct Person {
    by: String,
    note: Option<String>,
}

impl Person {
    fn asking(&self, caller: &Caller) -> Asking<'_> {
        caller.asking(&self.by, self.note.as_deref())
    }
}

/// A case as the audit list names it.
fn name_of(case: &Case) -> String {
    format!("case `{}` of rule `{}`", case.key, case.rule)
}

impl Wish {
    fn person(&self, caller: &Caller) -> Result<Person, Refused> {
        let by = caller.person(self.by.as_deref())?;
        let note = self.note.as_deref().map(str::trim).filter(|note| !note.is_empty());
        if note.is_some_and(|note| note.chars().count() > NOTE_MAX || note.chars().any(char::is_control)) {
            return Err(Refused::Bad(format!("`note` is one line of at most {NOTE_MAX} characters")));
        }
        Ok(Person { by, note: note.map(str::to_owned) })
    }
}

/// Acknowledge cases: their reminders stop, they stay open
#[utoipa::path(post, path = "/cases/{id}/ack", params(Id, Wish), responses((status = 200, description = "What that does", body = CaseActs)))]
pub(crate) async fn ack(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<Wish>, QueryRejection>,
) -> Answer {
    let Query(wish) = query?;
    Ok(json_answer(&acknowledge(&live, &id, &wish, &caller).await?))
}

/// Close cases by hand
#[utoipa::path(post, path = "/cases/{id}/close", params(Id, Wish), responses((status = 200, description = "What that does", body = CaseActs)))]
pub(crate) async fn close(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<Wish>, QueryRejection>,
) -> Answer {
    let Query(wish) = query?;
    Ok(json_answer(&end(&live, &id, &wish, &caller).await?))
}

/// Someone acknowledges every open case of that name: says what that does, once it is sure to be done.
pub(crate) async fn acknowledge(
    live: &Arc<Live>,
    said: &str,
    wish: &Wish,
    caller: &Caller,
) -> Result<CaseActs, Refused> {
    let who = wish.person(caller)?;
    let found = all_named(live, said, wish.rule.as_deref()).await?;
    let snapshot = live.snapshot.load_full();
    let mut done = Vec::new();
    for (id, case) in &found {
        done.push(acknowledged(id, case, snapshot.rules.as_deref(), &who.by));
        audit::record(live, who.asking(caller), "acknowledged", name_of(case)).await?;
        let (rule, key) = (case.rule.clone(), case.key.clone());
        ask(live, Command::AckCase { rule, key, by: who.by.clone(), note: who.note.clone() }).await?;
    }
    Ok(CaseActs { by: who.by, note: who.note, cases: done })
}

/// What acknowledging a case does.
fn acknowledged(id: &str, case: &Case, rules: Option<&RuleSet>, by: &str) -> CaseAct {
    let pending = rules.map(|rules| case.pending(rules)).unwrap_or_default();
    let (stays, stops): (Vec<&Pending>, Vec<&Pending>) = pending.iter().partition(|pending| pending.stays);
    let mut told = format!("{by} acknowledges case `{}` of rule `{}`", case.key, case.rule);
    if let Some(before) = case.acked.as_ref().filter(|before| *before != by) {
        told.push_str(&format!(", as {before} did before"));
    }
    told.push_str(&match stops.len() {
        0 => "; no reminder was to come".to_owned(),
        1 => "; one reminder stops".to_owned(),
        many => format!("; {many} reminders stop"),
    });
    if !stays.is_empty() {
        told.push_str(", what has a date still comes");
    }
    told.push_str("; the case stays open");
    CaseAct {
        id: id.to_owned(),
        rule: case.rule.clone(),
        key: case.key.clone(),
        told,
        acknowledged_before: case.acked.clone(),
        stops: stops.into_iter().map(TimerView::from).collect(),
        stays: Some(stays.into_iter().map(TimerView::from).collect()),
        ..CaseAct::default()
    }
}

/// Someone closes every open case of that name: says what that does, once it is sure to be done.
pub(crate) async fn end(live: &Arc<Live>, said: &str, wish: &Wish, caller: &Caller) -> Result<CaseActs, Refused> {
    let who = wish.person(caller)?;
    let found = all_named(live, said, wish.rule.as_deref()).await?;
    let snapshot = live.snapshot.load_full();
    let mut done = Vec::new();
    for (id, case) in &found {
        done.push(closed(live, id, case, (&snapshot, &who.by)));
        audit::record(live, who.asking(caller), "closed", name_of(case)).await?;
        let (rule, key) = (case.rule.clone(), case.key.clone());
        ask(live, Command::CloseCase { rule, key, by: who.by.clone(), note: who.note.clone() }).await?;
    }
    Ok(CaseActs { by: who.by, note: who.note, cases: done })
}

/// What closing a case does.
fn closed(live: &Arc<Live>, id: &str, case: &Case, (snapshot, by): (&Arc<Snapshot>, &str)) -> CaseAct {
    let places = plan::places(live, snapshot);
    let rules = snapshot.rules.as_deref();
    let pending = rules.map(|rules| case.pending(rules)).unwrap_or_default();
    let farewell = rules.map(|rules| case.farewell(rules, &places)).unwrap_or_default();
    let mut told = format!("{by} closes case `{}` of rule `{}`", case.key, case.rule);
    match pending.len() {
        0 => {}
        1 => told.push_str("; what was still to come does not"),
        many => told.push_str(&format!("; {many} messages that were to come do not")),
    }
    if !farewell.updates.is_empty() {
        told.push_str(&format!("; {} will show it closed", farewell.updates.join(", ")));
    }
    if !farewell.says.is_empty() {
        told.push_str(&format!("; `on_close` goes to {}", farewell.says.join(", ")));
    }
    CaseAct {
        id: id.to_owned(),
        rule: case.rule.clone(),
        key: case.key.clone(),
        told,
        stops: pending.iter().map(TimerView::from).collect(),
        updates: Some(farewell.updates),
        says: Some(farewell.says),
        ..CaseAct::default()
    }
}
