//! What acts on many: replaying events, retrying and cancelling deliveries.
//!
//! Always a batch at a time, with a cursor to the next, so that neither side ever holds many; and by places that never
//! change, so that what comes, goes or changes meanwhile makes nothing be done twice or left out. Anyone who asks counts
//! first, by the same batches.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::answer::{Answer, Moment, Refused, Shared, ask, json_answer};
use crate::admin::audit;
use crate::admin::caller::{Asking, Caller};
use crate::admin::cases::known_rule;
use crate::admin::events::find_event;
use crate::admin::paging::{LIMIT_MAX, limit};
use crate::delivery::{DeliveryId, State as DeliveryState};
use crate::event::{Command, Event, OWN_SOURCE, Seq};
use crate::rules::{Globs, Rule, RuleSet};
use crate::steps::Live;
use crate::store::{DeliveryFilter, EventFilter, PAGE_BYTES_MAX};

/// How many events are replayed in one batch: each is a commit.
const REPLAYS_MAX: usize = 200;
/// How many entries may wait for the planner before more replays are asked of it: what senders send must not wait behind
/// them for long.
const LAG_MAX: Seq = 500;

/// A glob on types, with what the store can narrow by.
pub(crate) struct Types {
    globs: Option<Globs>,
    kind: Option<String>,
}

impl Types {
    /// Reads the glob of a query; none accepts every type.
    pub fn read(glob: Option<&str>) -> Result<Self, Refused> {
        let Some(glob) = glob else { return Ok(Self { globs: None, kind: None }) };
        let globs = Globs::of(&[glob]).map_err(|problems| {
            let words: Vec<String> = problems.iter().map(super::cases::said).collect();
            Refused::Bad(format!("`type`: {}", words.join("; ")))
        })?;
        let literal = glob.split(|c: char| !(c.is_alphanumeric() || "._-:/".contains(c))).next().unwrap_or_default();
        let kind = if literal == glob { glob.to_owned() } else { format!("{literal}*") };
        Ok(Self { globs: Some(globs), kind: Some(kind) })
    }

    /// What the store can narrow by.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Whether it accepts the type of an event.
    pub fn accept(&self, event: &Event) -> bool {
        self.globs.as_ref().is_none_or(|globs| globs.accept(&event.kind, event.is_own()))
    }
}

/// Events by a filter and a glob, as many as the filter wants: fewer only where there are no more, or where their bodies
/// are large.
pub(crate) async fn events(live: &Live, mut filter: EventFilter, types: &Types) -> Result<Vec<(Seq, Event)>, Refused> {
    filter.kind.clone_from(&types.kind);
    let wanted = filter.limit;
    let (mut found, mut bytes): (Vec<(Seq, Event)>, usize) = (Vec::new(), 0);
    while found.len() < wanted && bytes < PAGE_BYTES_MAX {
        filter.limit = wanted - found.len();
        let page = live.store.list_events(&filter).await?;
        let Some((last, _)) = page.last() else { break };
        match filter.after {
            Some(_) => filter.after = Some(*last),
            None => filter.before = Some(*last),
        }
        let page = page.into_iter().filter(|(_, event)| types.accept(event));
        found.extend(page.inspect(|(_, event)| bytes += event.raw.len()));
    }
    Ok(found)
}

/// Which events to plan again. All that is given must hold.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplayQuery {
    /// of these types, as a glob: `release.*`
    #[serde(rename = "type")]
    kind: Option<String>,
    /// of this source
    source: Option<String>,
    /// received at or after
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// received before
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Moment>,
    /// only for this rule, and only events that it acts on
    rule: Option<String>,
    /// make deliveries anew
    #[serde(default)]
    again: bool,
    /// after this `seq`, for the next batch
    after: Option<i64>,
    /// up to this `seq`: what comes later is no part of it
    upto: Option<i64>,
    /// at most this many in this batch
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// only count
    #[serde(default)]
    count: bool,
    /// who asks
    by: Option<String>,
}

/// What one batch did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayedBatch {
    /// How many events of the batch are meant.
    found: usize,
    /// How many of them are planned again.
    replayed: usize,
    /// After which `seq` the next batch begins; `null` after the last.
    next: Option<i64>,
    /// The end of what was asked for.
    upto: i64,
    /// Whether the planner is behind, and the same batch should be asked for later.
    waits: bool,
}

/// Plan a batch of events again, oldest first
#[utoipa::path(post, path = "/events/replay", params(ReplayQuery), responses((status = 200, description = "One batch", body = ReplayedBatch)))]
pub(crate) async fn replay(
    State(live): Shared,
    caller: Caller,
    query: Result<Query<ReplayQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let by = caller.by(query.by.as_deref())?;
    let snapshot = live.snapshot.load_full();
    let Some(rules) = snapshot.rules.clone() else {
        return Err(Refused::Bad("no rules are in force, so nothing can be planned; fix them first".into()));
    };
    if let Some(rule) = &query.rule {
        known_rule(&rules, rule)?;
    }
    if [&query.kind, &query.source, &query.rule].iter().all(|part| part.is_none())
        && query.since.is_none()
        && query.until.is_none()
    {
        return Err(Refused::Bad("say which: `type`, `source`, `since`, `until` or `rule`".into()));
    }
    let census = live.store.census().await?;
    let (after, upto) = (query.after.unwrap_or(0), query.upto.unwrap_or(census.head));
    if !query.count && census.head - census.planned > LAG_MAX {
        return Ok(json_answer(&ReplayedBatch { found: 0, replayed: 0, next: Some(after), upto, waits: true }));
    }
    let filter = EventFilter {
        source: query.source.clone(),
        since: Moment::at(query.since.as_ref(), "since", &live)?,
        until: Moment::at(query.until.as_ref(), "until", &live)?,
        after: Some(after),
        before: Some(upto.saturating_add(1)),
        limit: limit(query.limit)?.unwrap_or(REPLAYS_MAX).clamp(1, if query.count { LIMIT_MAX } else { REPLAYS_MAX }),
        ..EventFilter::default()
    };
    let types = Types::read(query.kind.as_deref())?;
    let page = events(&live, filter, &types).await?;
    let next = page.last().map(|(seq, _)| *seq);
    let rule = query.rule.as_deref().and_then(|rule| rules.named(rule));
    // One body at a time is read.
    let mut wanted: Vec<Seq> = Vec::new();
    for (seq, event) in page {
        if is_meant(&query, &rules, rule, event) {
            wanted.push(seq);
        }
    }
    let mut replayed = 0;
    if !query.count && !wanted.is_empty() {
        let on = format!("{} events from `{}` on", wanted.len(), wanted.first().copied().unwrap_or_default());
        let asking = caller.asking(&by, None);
        audit::record(&live, asking, "replayed", planned_again(&on, query.rule.as_deref())).await?;
        let again = round(&live, query.again);
        for seq in &wanted {
            ask(&live, Command::Replay { event: *seq, again, rule: query.rule.clone() }).await?;
            replayed += 1;
        }
    }
    Ok(json_answer(&ReplayedBatch { found: wanted.len(), replayed, next, upto, waits: false }))
}

/// The number of a round that makes deliveries anew, or 0 for one that makes only what isn't there.
pub(crate) fn round(live: &Live, again: bool) -> u64 {
    if again { live.clock.now().as_millisecond().unsigned_abs() } else { 0 }
}

/// Whether an event is to be replayed: Fanfare's own only where the type or source names them, and with a rule only what
/// that acts on.
fn is_meant(query: &ReplayQuery, rules: &RuleSet, rule: Option<&Rule>, event: Event) -> bool {
    let own = query.kind.is_some() || query.source.as_deref() == Some(OWN_SOURCE);
    if event.is_own() && !own {
        return false;
    }
    let Some(rule) = rule else { return true };
    let judged = rules.judge(&event.read());
    let judgement = judged.iter().find(|judgement| judgement.rule.name.value == rule.name.value);
    judgement.is_some_and(|judgement| judgement.accepts() || judgement.closes.is_some())
}

/// Which deliveries. All that is given must hold.
#[derive(Debug, Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// in one of these states, with commas
    state: Option<String>,
    /// to this destination
    destination: Option<String>,
    /// of this rule
    rule: Option<String>,
    /// of this event, by its id or `seq`
    event: Option<String>,
    /// planned at or after
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
    /// planned before the one with this id, for the next batch
    #[param(value_type = Option<String>)]
    before: Option<DeliveryId>,
    /// at most this many in this batch
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// only count
    #[serde(default)]
    count: bool,
    /// who asks
    by: Option<String>,
}

/// What one batch did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetriedBatch {
    /// How many deliveries the batch has.
    found: usize,
    /// How many of them are sent again.
    retried: u64,
    /// Before which delivery the next batch begins; `null` after the last.
    next: Option<String>,
}

/// What one batch did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CancelledBatch {
    /// How many deliveries the batch has.
    found: usize,
    /// How many of them are called off.
    cancelled: u64,
    /// Before which delivery the next batch begins; `null` after the last.
    next: Option<String>,
}

impl DeliveriesQuery {
    async fn filter(self, live: &Live, otherwise: &[DeliveryState]) -> Result<DeliveryFilter, Refused> {
        if [&self.state, &self.destination, &self.rule, &self.event].iter().all(|part| part.is_none())
            && self.since.is_none()
        {
            return Err(Refused::Bad("say which: `state`, `destination`, `rule`, `event` or `since`".into()));
        }
        let states = match &self.state {
            Some(states) => states_of(states)?,
            None => otherwise.to_vec(),
        };
        let events = match &self.event {
            Some(id) => vec![find_event(live, id).await?],
            None => Vec::new(),
        };
        Ok(DeliveryFilter {
            states,
            destination: self.destination,
            rule: self.rule,
            events,
            since: Moment::at(self.since.as_ref(), "since", live)?,
            before: self.before,
            limit: limit(self.limit)?.unwrap_or(LIMIT_MAX).max(1),
            ..DeliveryFilter::default()
        })
    }
}

/// Several states, with commas.
pub(crate) fn states_of(names: &str) -> Result<Vec<DeliveryState>, Refused> {
    let all = DeliveryState::ALL.map(DeliveryState::name);
    let read = |name: &str| {
        DeliveryState::named(name.trim()).ok_or_else(|| {
            let near = crate::problem::nearest(name, all).map(|near| format!("did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| format!("the states are {}", all.join(", ")));
            Refused::Bad(format!("there is no state `{name}`; {hint}"))
        })
    };
    names.split(',').map(read).collect()
}

/// Retry a batch of deliveries now, newest first
#[utoipa::path(post, path = "/deliveries/retry", params(DeliveriesQuery), responses((status = 200, description = "One batch", body = RetriedBatch)))]
pub(crate) async fn retry(
    State(live): Shared,
    caller: Caller,
    query: Result<Query<DeliveriesQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let count = query.count;
    let by = caller.by(query.by.as_deref())?;
    let ids = batch(&live, query.filter(&live, &[DeliveryState::Dead]).await?).await?;
    let done = if count { 0 } else { live.store.revive(&ids, live.clock.now()).await? };
    live.to_dispatch.notify_one();
    recorded(&live, caller.asking(&by, None), ("retried", done), &ids).await?;
    Ok(json_answer(&RetriedBatch { found: ids.len(), retried: done, next: ids.last().map(ToString::to_string) }))
}

/// Cancel a batch of deliveries, newest first
#[utoipa::path(post, path = "/deliveries/cancel", params(DeliveriesQuery), responses((status = 200, description = "One batch", body = CancelledBatch)))]
pub(crate) async fn cancel(
    State(live): Shared,
    caller: Caller,
    query: Result<Query<DeliveriesQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let count = query.count;
    let by = caller.by(query.by.as_deref())?;
    let ids = batch(&live, query.filter(&live, &[DeliveryState::Due, DeliveryState::Retrying]).await?).await?;
    let done = if count { 0 } else { live.store.cancel(&ids, "cancelled by hand", live.clock.now()).await? };
    recorded(&live, caller.asking(&by, None), ("cancelled", done), &ids).await?;
    Ok(json_answer(&CancelledBatch { found: ids.len(), cancelled: done, next: ids.last().map(ToString::to_string) }))
}

async fn recorded(
    live: &Live,
    asking: Asking<'_>,
    (act, done): (&str, u64),
    ids: &[DeliveryId],
) -> Result<(), Refused> {
    if done > 0 { audit::record(live, asking, act, named(ids)).await } else { Ok(()) }
}

/// Deliveries as the audit list names them.
pub(crate) fn named(ids: &[DeliveryId]) -> String {
    match ids {
        [] => "no delivery".to_owned(),
        [id] => format!("delivery `{id}`"),
        [first, .., last] => format!("{} deliveries, `{last}` to `{first}`", ids.len()),
    }
}

/// Events that were planned again, as the audit list names them.
pub(crate) fn planned_again(what: &str, rule: Option<&str>) -> String {
    rule.map_or_else(|| what.to_owned(), |rule| format!("{what}, for rule `{rule}`"))
}

async fn batch(live: &Live, filter: DeliveryFilter) -> Result<Vec<DeliveryId>, Refused> {
    let found = live.store.list_deliveries(&filter).await?;
    Ok(found.into_iter().map(|delivery| delivery.planned.id).collect())
}
