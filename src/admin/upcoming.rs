//! What waits for its time: reminders, digests with what is in them, held messages, ends of mutes, what is missing when it
//! doesn't come. Sending it now, and cancelling it.
//!
//! The list is that of the planner's timers, read in pages, each with the document that it is about. What a person asks goes
//! through the inbox, and the planner does it to what still waits then.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Uri;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::admin::answer::{Answer, By, Id, Refused, Shared, ask, json_answer};
use crate::admin::audit;
use crate::admin::caller::Caller;
use crate::admin::paging::{LIMIT, limit, page_answer};
use crate::admin::view::{UpcomingAct, UpcomingView};
use crate::event::{Command, Seq, UpcomingOp};
use crate::planner::loaded::DueTimer;
use crate::planner::{Case, Collected, DigestId, Key, Keys, LoadedState, Meaning, Waiting, names_for};
use crate::rules::{Action, RuleSet};
use crate::steps::Live;

/// How many events of a digest, or messages of a held queue, are named.
const NAMED: usize = 5;
/// How many timers are read at once: some mean nothing to people.
const READ: usize = 200;
/// The documents of at least this many are loaded at once.
const LEAST: usize = 16;
/// How many are read for one page.
const READ_MAX: usize = 2_000;

/// Where a list begins.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UpcomingQuery {
    /// after the one with this id, for the next page
    pub after: Option<String>,
    /// at most this many, by default 50
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

/// What waits for its time, the soonest first
#[utoipa::path(get, path = "/upcoming", params(UpcomingQuery), responses((status = 200, description = "What waits", body = [UpcomingView])))]
pub(crate) async fn list(State(live): Shared, uri: Uri, query: Result<Query<UpcomingQuery>, QueryRejection>) -> Answer {
    let Query(query) = query?;
    let (list, next) = coming(&live, query.after.as_deref(), limit(query.limit)?.unwrap_or(LIMIT)).await?;
    Ok(page_answer(&list, &uri, ("after", next)))
}

/// Send something now that waits for its time
#[utoipa::path(post, path = "/upcoming/{id}/send", params(Id, By), responses((status = 200, description = "What that does", body = UpcomingAct)))]
pub(crate) async fn send(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<By>, QueryRejection>,
) -> Answer {
    let Query(By { by }) = query?;
    Ok(json_answer(&act(&live, &id, (UpcomingOp::Send, by.as_deref()), &caller).await?))
}

/// Cancel something that waits for its time: it is not sent
#[utoipa::path(post, path = "/upcoming/{id}/cancel", params(Id, By), responses((status = 200, description = "What that does", body = UpcomingAct)))]
pub(crate) async fn cancel(
    State(live): Shared,
    Id(id): Id,
    caller: Caller,
    query: Result<Query<By>, QueryRejection>,
) -> Answer {
    let Query(By { by }) = query?;
    Ok(json_answer(&act(&live, &id, (UpcomingOp::Cancel, by.as_deref()), &caller).await?))
}

/// What comes after the one with this id, and where to go on.
pub(crate) async fn coming(
    live: &Arc<Live>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<UpcomingView>, Option<String>), Refused> {
    let mut place = match after {
        None => (Timestamp::MIN, String::new()),
        Some(id) => match place(id) {
            Some(place) => place,
            None => return Ok((Vec::new(), None)),
        },
    };
    let rules = live.snapshot.load_full().rules.clone();
    let mut found = Vec::new();
    for _ in 0..READ_MAX / READ {
        let timers = live.store.timers((place.0, &place.1), READ).await?;
        let is_all = timers.len() < READ;
        // No more documents at once than a page may need.
        for timers in timers.chunks(limit.max(LEAST)) {
            let about = About::load(live, rules.as_deref(), timers).await?;
            for timer in timers {
                if found.len() >= limit {
                    return Ok((found, Some(id_of(place.0, &place.1))));
                }
                place = (timer.timer.due, timer.id.clone());
                found.extend(about.seen(timer));
            }
        }
        if is_all {
            return Ok((found, None));
        }
    }
    Ok((found, Some(id_of(place.0, &place.1))))
}

/// Sends something now, or cancels it: says what that does, once it is sure to be done.
pub(crate) async fn act(
    live: &Arc<Live>,
    id: &str,
    (does, by): (UpcomingOp, Option<&str>),
    caller: &Caller,
) -> Result<UpcomingAct, Refused> {
    let by = caller.person(by)?;
    let snapshot = live.snapshot.load_full();
    let timer = find(live, id).await?;
    let view = match &timer {
        Some(timer) => About::load(live, snapshot.rules.as_deref(), std::slice::from_ref(timer)).await?.seen(timer),
        None => None,
    };
    let (Some(timer), Some(view)) = (timer, view) else {
        return Err(Refused::NotFound(format!("nothing waits as `{id}`: it was sent, cancelled or moved meanwhile")));
    };
    let can = if does == UpcomingOp::Send { view.send } else { view.cancel };
    let what = named(&view);
    if !can {
        return Err(Refused::Bad(format!("{what} can't be {}: {}", done(does), why_not(&view))));
    }
    let at = timer.timer.due.to_zoned_datetime(snapshot.settings.zone()).strftime("%Y-%m-%d %H:%M %Z");
    let told = match does {
        UpcomingOp::Send => format!("{by} sends {what} now, not at {at}"),
        UpcomingOp::Cancel => format!("{by} cancels {what}, which was due {at}"),
    };
    audit::record(live, caller.asking(&by, None), done(does), what).await?;
    let (timer, due) = (timer.timer.text, timer.timer.due);
    ask(live, Command::Upcoming { timer, due, does, by: by.clone() }).await?;
    Ok(UpcomingAct { id: view.id, by, told })
}

fn done(does: UpcomingOp) -> &'static str {
    match does {
        UpcomingOp::Send => "sent",
        UpcomingOp::Cancel => "cancelled",
    }
}

/// What it is, for people.
fn named(view: &UpcomingView) -> String {
    let (rule, key) = (view.rule.as_deref().unwrap_or_default(), view.key.as_deref().unwrap_or_default());
    match view.what {
        "reminder" => format!("the reminder of case `{key}` of rule `{rule}`"),
        "digest" => format!("the digest of rule `{rule}` for `{}`", view.to.join(", ")),
        "flood" => format!("what rule `{rule}` holds"),
        "held" => format!("{} held for `{}`", view.words, view.to.join(", ")),
        what => format!("the {what} `{}`", view.words),
    }
}

fn why_not(view: &UpcomingView) -> &'static str {
    match view.what {
        "held" => "an embargo holds it",
        "reminder" | "digest" => "the rules in force no longer ask for it",
        _ => "it sends no message",
    }
}

/// The id of what is due then: it is another as soon as that has moved.
fn id_of(due: Timestamp, timer: &str) -> String {
    format!("{}.{timer}", due.as_millisecond())
}

/// When what has this id was due, and its timer.
fn place(id: &str) -> Option<(Timestamp, String)> {
    let (due_ms, timer) = id.split_once('.')?;
    Some((Timestamp::from_millisecond(due_ms.parse().ok()?).ok()?, timer.to_owned()))
}

/// The timer with this id, if it is still set for the same time.
async fn find(live: &Live, id: &str) -> Result<Option<DueTimer>, Refused> {
    let Some((due, timer)) = place(id) else { return Ok(None) };
    // Whatever is a little less: it stands among the first after that.
    let mut after = timer.clone();
    after.pop();
    loop {
        let page = live.store.timers((due, &after), READ).await?;
        let is_last = page.len() < READ || page.last().is_none_or(|last| last.timer.due > due);
        if let Some(last) = page.last() {
            after.clone_from(&last.id);
        }
        match page.into_iter().find(|one| one.id == timer && one.timer.due == due) {
            Some(found) => return Ok(Some(found)),
            None if is_last => return Ok(None),
            None => {}
        }
    }
}

/// What timers are about: the documents that say it, loaded at once, and the rules in force.
struct About<'r> {
    rules: Option<&'r RuleSet>,
    now: Timestamp,
    loaded: LoadedState,
}

impl<'r> About<'r> {
    async fn load(live: &Live, rules: Option<&'r RuleSet>, timers: &[DueTimer]) -> Result<Self, Refused> {
        let meanings = timers.iter().filter_map(|timer| Meaning::parse(&timer.timer.text));
        let one = meanings.flat_map(|meaning| keys(rules, &meaning)).collect();
        let loaded = live.store.load(&Keys { one, ..Keys::default() }).await?;
        Ok(Self { rules, now: live.clock.now(), loaded })
    }

    /// What a timer means to people; `None` for what only Fanfare needs to know, or what is gone.
    fn seen(&self, timer: &DueTimer) -> Option<UpcomingView> {
        let meaning = Meaning::parse(&timer.timer.text)?;
        let blank = UpcomingView {
            id: id_of(timer.timer.due, &timer.id),
            due: timer.timer.due.to_string(),
            ..UpcomingView::default()
        };
        match meaning {
            Meaning::Act { rule, key, action, .. } => {
                let found = in_force(self.rules, &rule, &action);
                let to = found.into_iter().flat_map(|action| &action.to).map(|to| to.value.clone()).collect();
                let (send, cancel) = (found.is_some(), found.is_some());
                let words = "is sent if the case is still open".to_owned();
                self.of_case((&rule, &key), UpcomingView { what: "reminder", words, to, send, cancel, ..blank })
            }
            Meaning::End { rule, key, .. } => {
                let words = "closes by itself, if nothing more comes".to_owned();
                self.of_case((&rule, &key), UpcomingView { what: "case", words, ..blank })
            }
            Meaning::Digest { rule, action, key, destination, rest, .. } => {
                let id = DigestId { rule: &rule, action: &action, key: &key, destination: &destination, rest };
                self.digest(&id, blank)
            }
            Meaning::Opens { destination, opens, .. } => self.held(&destination, opens, blank),
            Meaning::Mute { id } => Some(UpcomingView { what: "mute", words: id, ..blank }),
            Meaning::Missing { rule } => {
                let words = format!("{rule} acts, if nothing comes");
                Some(UpcomingView { what: "deadline", words, rule: Some(rule), ..blank })
            }
            Meaning::Late { delivery, rule, .. } => {
                let words = "Its fallback gets it, if it is not delivered by then".to_owned();
                let delivery = Some(delivery.to_string());
                Some(UpcomingView { what: "late", words, rule: Some(rule), delivery, ..blank })
            }
            Meaning::Flood { rule, queue: Some(_), .. } => {
                let words = format!("What {rule} holds goes: it sent many times its usual");
                Some(UpcomingView { what: "flood", words, rule: Some(rule), send: true, cancel: true, ..blank })
            }
            Meaning::Flood { queue: None, .. }
            | Meaning::Rearm { .. }
            | Meaning::Closing { .. }
            | Meaning::Came { .. }
            | Meaning::Forget { .. }
            | Meaning::Throttle { .. }
            | Meaning::Threshold { .. }
            | Meaning::Sum { .. }
            | Meaning::Signal { .. }
            | Meaning::Fallback { .. }
            | Meaning::Unmatched { .. }
            | Meaning::Audited { .. }
            | Meaning::Link { .. } => None,
        }
    }

    /// The document under one of these ids.
    fn document<T: serde::de::DeserializeOwned>(&self, keys: impl Iterator<Item = Key>) -> Option<T> {
        keys.filter_map(|key| serde_json::from_str(self.loaded.docs.get(&key)?).ok()).next()
    }

    /// Something about an open case.
    fn of_case(&self, (rule, key): (&str, &str), view: UpcomingView) -> Option<UpcomingView> {
        let case: Case = self.document(Case::slot(&names(self.rules, rule), key).keys())?;
        let (id, events) = (Some(case.name()), vec![case.event]);
        let (rule, key) = (Some(rule.to_owned()), Some(key.to_owned()));
        Some(UpcomingView { rule, key, case: id, events, acked_by: case.acked, ..view })
    }

    /// A digest, with the newest of what is in it.
    fn digest(&self, id: &DigestId<'_>, view: UpcomingView) -> Option<UpcomingView> {
        let collected: Collected = self.document(id.slot(&names(self.rules, id.rule)).keys())?;
        let count = collected.events.len() as u64 + collected.more;
        let events: Vec<Seq> = collected.events.iter().rev().take(NAMED).copied().collect();
        let send = in_force(self.rules, id.rule, id.action).is_some();
        Some(UpcomingView {
            what: "digest",
            words: counted(count, "event", "events"),
            rule: Some(id.rule.to_owned()),
            to: vec![id.destination.to_owned()],
            more: count.saturating_sub(events.len() as u64),
            events,
            send,
            cancel: true,
            ..view
        })
    }

    /// Messages that wait until a destination's hours begin, or an embargo ends.
    fn held(&self, destination: &str, opens: Timestamp, view: UpcomingView) -> Option<UpcomingView> {
        let waiting: Waiting = self.document(Waiting::slot(destination, opens).keys())?;
        let count = waiting.held.len() as u64 + waiting.rest.len() as u64 + waiting.more;
        let events: Vec<Seq> = waiting.held.iter().rev().take(NAMED).map(|held| held.delivery.event).collect();
        let send = waiting.held.iter().any(|held| held.embargo.is_none_or(|until| until <= self.now));
        Some(UpcomingView {
            what: "held",
            words: counted(count, "message", "messages"),
            to: vec![destination.to_owned()],
            more: count.saturating_sub(events.len() as u64),
            events,
            send,
            cancel: true,
            ..view
        })
    }
}

/// What must be loaded to say what a timer means.
fn keys(rules: Option<&RuleSet>, meaning: &Meaning) -> Vec<Key> {
    match meaning {
        Meaning::Act { rule, key, .. } | Meaning::End { rule, key, .. } => {
            Case::slot(&names(rules, rule), key).keys().collect()
        }
        Meaning::Digest { rule, action, key, destination, rest, .. } => {
            DigestId { rule, action, key, destination, rest: *rest }.slot(&names(rules, rule)).keys().collect()
        }
        Meaning::Opens { destination, opens, .. } => Waiting::slot(destination, *opens).keys().collect(),
        _ => Vec::new(),
    }
}

fn names(rules: Option<&RuleSet>, rule: &str) -> Vec<String> {
    rules.map_or_else(|| vec![rule.to_owned()], |rules| names_for(rules, rule))
}

/// An action of a rule that takes part.
fn in_force<'r>(rules: Option<&'r RuleSet>, rule: &str, action: &str) -> Option<&'r Action> {
    let rule = rules?.named(rule).filter(|rule| rule.enabled)?;
    rule.actions.iter().chain(&rule.on_close).find(|known| known.id == action)
}

/// A count with its noun.
fn counted(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
