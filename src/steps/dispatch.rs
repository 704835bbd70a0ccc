//! Dispatch: due deliveries → claim, render, compose, send, verdict, settle.
//!
//! The attempt is counted, and its lease taken, before the first byte leaves; only the claim's token settles it. A
//! crash between sending and settling sends again, with the same id: at least once, the repeats bounded by what was
//! under way.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::channels::{Form, Reply, Request, Sending, Verdict, account, mark};
use crate::clock::plus;
use crate::config::{Destination, Snapshot};
use crate::delivery::{Act, Assignment, Attempt, Outcome, State};
use crate::event::{Event, HOP_HEADER, Seq};
use crate::message::{Context, Rendered};
use crate::pace::{Limits, Retry, Tried};
use crate::secret::Secret;
use crate::steps::Live;
use crate::store;
use crate::store::life::SETTLED;
use crate::store::{Claim, Claimed, Room, Settlement, signals};
use crate::telemetry::Of;

/// How many deliveries one process has under way, over all destinations, before only [`OWN_PLACES`] are left.
const UNDER_WAY_MAX: u32 = 64;
/// So many places each destination has for itself, however many the others take: those that don't answer, be they ever
/// so many, never delay one that does.
const OWN_PLACES: u32 = 4;
/// How much longer than an attempt's deadline its lease lasts: by then the attempt is over for certain.
const LEASE_SLACK: SignedDuration = SignedDuration::from_secs(30);
/// A settlement is tried again until so long before the lease ends.
const SETTLE_MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// Takes what may be sent now. `under_way` is what this process has under way, by destination.
pub async fn claim(live: &Live, under_way: &HashMap<String, u32>, now: Timestamp) -> Result<Claimed, store::Error> {
    let snapshot = live.snapshot.load_full();
    let mut free = UNDER_WAY_MAX.saturating_sub(under_way.values().sum());
    let mut rooms = Vec::new();
    for destination in live.store.waiting_destinations().await? {
        // What waits for a destination that is no longer configured is taken up too: a person must hear of it.
        let (limits, timeout, give_up) = match snapshot.destinations.get(&destination) {
            Some(known) => (known.limits.clone(), known.timeout, known.retry.give_up),
            None => (Limits { spacing: None, burst: 1, concurrency: 4 }, SignedDuration::ZERO, SignedDuration::MAX),
        };
        let mine = under_way.get(&destination).copied().unwrap_or(0);
        let wanted = limits.concurrency.saturating_sub(mine).min(free.max(OWN_PLACES.saturating_sub(mine)));
        if wanted > 0 {
            free = free.saturating_sub(wanted);
            rooms.push(Room { destination, limits, lease: timeout + LEASE_SLACK, give_up, wanted });
        }
    }
    if rooms.is_empty() {
        return Ok(Claimed::default());
    }
    let claimed = live.store.claim(now, &rooms).await?;
    if claimed.told {
        live.to_plan.notify_one();
    }
    Ok(claimed)
}

/// Carries out one claim, from rendering to settling.
pub async fn carry_out(live: &Live, claim: Claim) -> Result<(), store::Error> {
    let began = live.clock.now();
    let planned = &claim.delivery.planned;
    if planned.act == Act::Close && !claim.shown {
        return live.store.release(&claim, State::Cancelled, "nothing of the case was shown here", began).await;
    }
    let snapshot = live.snapshot.load_full();
    let known = snapshot.destinations.get(&planned.destination);
    if known.is_some_and(|destination| plus(began, destination.timeout) > claim.until) {
        // Held up since the claim was asked for: another may take it before this attempt is over.
        let state = if claim.delivery.attempts > 1 { State::Retrying } else { State::Due };
        return live.store.release(&claim, state, "its lease was nearly over", began).await;
    }
    let events = live.store.events(&wanted_events(&claim)).await?;
    let event = find(&events, planned.assignment.event);
    let ended = match (known, event) {
        (None, _) => Ended::impossible(format!("there is no destination `{}` any more", planned.destination)),
        (_, None) => Ended::impossible("the event was removed by retention before this could be sent".into()),
        (Some(destination), Some(event)) => {
            let rendered = match kept(&claim) {
                Some(rendered) => rendered,
                None => {
                    let rendered = render(live, &snapshot, destination, &claim, event, &events, began);
                    live.store.keep(&claim, with_settled(&rendered, &settled(&claim))).await?;
                    rendered
                }
            };
            let ended = attempt(live, &snapshot, destination, &claim, event, &rendered, began).await;
            keep_settled(live, &claim, &rendered, &ended.verdict).await?;
            ended
        }
    };
    settle(live, &claim, ended, began, event).await
}

/// How an attempt ended, before it is recorded.
struct Ended {
    verdict: Verdict,
    sent: String,
    retry: Retry,
}

impl Ended {
    /// No attempt can be made, now or later.
    fn impossible(reason: String) -> Self {
        let verdict = Verdict::new(Outcome::Permanent, reason);
        Self { verdict, sent: String::new(), retry: Retry::default() }
    }
}

fn wanted_events(claim: &Claim) -> Vec<Seq> {
    let assignment = &claim.delivery.planned.assignment;
    let mut wanted = assignment.events.clone();
    wanted.push(assignment.event);
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn find(events: &[(Seq, Event)], seq: Seq) -> Option<&Event> {
    events.iter().find(|(at, _)| *at == seq).map(|(_, event)| event)
}

/// The message that an earlier attempt rendered.
fn kept(claim: &Claim) -> Option<Rendered> {
    claim.delivery.message.as_deref().and_then(|text| serde_json::from_str(text).ok())
}

/// The marks of the recipients that earlier attempts are done with.
fn settled(claim: &Claim) -> Vec<String> {
    let kept: Option<Value> = claim.delivery.message.as_deref().and_then(|text| serde_json::from_str(text).ok());
    kept.and_then(|mut kept| serde_json::from_value(kept.get_mut(SETTLED)?.take()).ok()).unwrap_or_default()
}

/// The message as it is kept, with the recipients that are done with.
fn with_settled(rendered: &Rendered, settled: &[String]) -> String {
    let mut kept = serde_json::to_value(rendered).unwrap_or_default();
    if let Some(kept) = kept.as_object_mut().filter(|_| !settled.is_empty()) {
        kept.insert(SETTLED.to_owned(), settled.into());
    }
    kept.to_string()
}

/// Keeps which recipients this attempt is done with, before anything else: nobody gets it twice, should the process end
/// now.
async fn keep_settled(live: &Live, claim: &Claim, rendered: &Rendered, verdict: &Verdict) -> Result<(), store::Error> {
    if verdict.outcome == Outcome::Delivered || verdict.settled.is_empty() {
        return Ok(());
    }
    let mut all = settled(claim);
    all.extend(verdict.settled.iter().map(|recipient| mark(&claim.delivery.planned.id, recipient)));
    let message = with_settled(rendered, &all);
    insist(live, claim, "keep", || live.store.keep(claim, message.clone())).await
}

/// While the lease lasts, does again what the store could not do: what was sent must not be sent again because the store
/// was away for a moment.
async fn insist<'s>(
    live: &Live,
    claim: &Claim,
    doing: &'static str,
    mut ask: impl FnMut() -> store::Answer<'s, ()>,
) -> Result<(), store::Error> {
    loop {
        match ask().await {
            Err(store::Error::Unavailable(said)) if plus(live.clock.now(), SETTLE_MARGIN) < claim.until => {
                live.telemetry.store_failed(doing, &said);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            done => return done,
        }
    }
}

/// Renders, once: every later attempt says the same.
fn render(
    live: &Live,
    snapshot: &Snapshot,
    destination: &Destination,
    claim: &Claim,
    event: &Event,
    events: &[(Seq, Event)],
    now: Timestamp,
) -> Rendered {
    let planned = &claim.delivery.planned;
    let assignment = &planned.assignment;
    let mut context = spoken_of(snapshot, &planned.rule, assignment, event, events, now);
    let mut failed = None;
    for part in &assignment.parts {
        let Some(event) = find(events, part.assignment.event) else { continue };
        let alone = spoken_of(snapshot, &part.rule, &part.assignment, event, events, now);
        let (told, problem) = snapshot.templates.told(&part.assignment.say, &alone, part.reminder);
        context.parts.push(told);
        failed = failed.or(problem);
    }
    let native = destination.kind.native.map(|ending| (destination.kind.name, ending));
    let mut rendered = snapshot.templates.render(&assignment.say, &context, native);
    rendered.problem = rendered.problem.or(failed);
    live.telemetry.rendered(assignment.say.name(), rendered.problem.as_deref(), rendered.undefined);
    rendered
}

/// All that the message of this assignment may speak of.
fn spoken_of<'a>(
    snapshot: &'a Snapshot,
    rule: &'a str,
    assignment: &'a Assignment,
    event: &'a Event,
    events: &'a [(Seq, Event)],
    now: Timestamp,
) -> Context<'a> {
    let rules = snapshot.rules.as_deref();
    let found = rules.and_then(|rules| rules.rules.iter().find(|candidate| candidate.name.value == rule));
    Context {
        event,
        events: assignment.events.iter().filter_map(|seq| find(events, *seq)).collect(),
        more: assignment.more,
        suppressed: assignment.suppressed,
        parts: Vec::new(),
        names: rules.map(|rules| rules.names_in(event)).unwrap_or_default(),
        case: assignment.case.clone(),
        rule,
        rule_description: found.and_then(|rule| rule.description.as_deref()),
        with: assignment.with.clone(),
        severity: assignment.severity,
        died: assignment.died.as_deref(),
        now,
        zone: snapshot.settings.timezone.clone().unwrap_or(jiff::tz::TimeZone::UTC),
        admin_url: snapshot.settings.admin_url.as_deref(),
    }
}

/// Composes, sends, and asks the channel what the answer means.
async fn attempt(
    live: &Live,
    snapshot: &Snapshot,
    destination: &Destination,
    claim: &Claim,
    event: &Event,
    rendered: &Rendered,
    at: Timestamp,
) -> Ended {
    let planned = &claim.delivery.planned;
    let names = planned.assignment.mention.iter();
    let mentions: Vec<String> = names.filter_map(|name| destination.mentions.get(name).cloned()).collect();
    let sending = Sending {
        id: &planned.id,
        at,
        planned: claim.delivery.created,
        act: planned.act,
        form: if claim.delivery.plain { Form::Plain } else { Form::Rich },
        rendered,
        rule: &planned.rule,
        event: &event_json(event),
        root: &event.root(),
        context: &context(snapshot, claim, event),
        mentions: &mentions,
        lane: planned.lane.as_ref().map(|lane| lane.0.as_str()),
        receipt: claim.receipt.as_ref(),
        settled: &settled(claim),
    };
    let mut request = match destination.channel.compose(&sending) {
        Ok(request) => request,
        Err(reason) => return Ended::impossible(reason),
    };
    if let Request::Http(request) = &mut request {
        // Should it come back to a Fanfare, by whatever ways, the circle ends there.
        request.headers.push((HOP_HEADER.into(), Secret::new(event.hops().saturating_add(1).to_string())));
    }
    let reply = match &request {
        Request::Nothing => Reply::Nothing,
        request => {
            let deadline = Duration::try_from(destination.timeout).unwrap_or(Duration::from_secs(10));
            live.transport.send(&destination.name, request, deadline).await
        }
    };
    let secrets = destination.channel.secrets();
    let mut verdict = destination.channel.verdict(&reply.redacted(&secrets).dated(live.clock.now()));
    if matches!(verdict.outcome, Outcome::Delivered | Outcome::Partial) && verdict.receipt.is_none() {
        verdict.receipt = destination.channel.remembers(&sending);
    }
    Ended { verdict, sent: account(&request, &secrets), retry: destination.retry }
}

/// The event as channels send it on.
pub fn event_json(event: &Event) -> Value {
    json!({
        "source": &*event.source,
        "id": event.id,
        "type": &*event.kind,
        "created": event.created.to_string(),
        "received": event.received.to_string(),
        "body": event.body,
    })
}

/// What templated addresses may name beyond the event.
fn context(snapshot: &Snapshot, claim: &Claim, event: &Event) -> Map<String, Value> {
    let mut context = snapshot.rules.as_deref().map(|rules| rules.names_in(event)).unwrap_or_default();
    let planned = &claim.delivery.planned;
    context.insert("rule".into(), json!({"name": planned.rule}));
    context.insert("with".into(), Value::Object(planned.assignment.with.clone()));
    context.insert("data".into(), event.data().clone());
    context.insert("event".into(), event_json(event));
    if let Some(case) = &planned.assignment.case {
        context.insert("case".into(), serde_json::to_value(case).unwrap_or_default());
    }
    context
}

/// Records the attempt and what follows from it.
async fn settle(
    live: &Live,
    claim: &Claim,
    ended: Ended,
    began: Timestamp,
    event: Option<&Event>,
) -> Result<(), store::Error> {
    let settlement = settlement(live, claim, ended, began, event.is_some_and(Event::is_echo));
    insist(live, claim, "settle", || live.store.settle(claim, settlement.clone(), live.clock.now())).await?;
    let planned = &claim.delivery.planned;
    let Settlement { attempt, next, .. } = &settlement;
    let of = Of {
        delivery: &planned.id,
        destination: &planned.destination,
        rule: &planned.rule,
        event: event.map(|event| (&event.id, &*event.kind)),
    };
    live.telemetry.attempted(of, attempt);
    if next.state.is_final() {
        live.telemetry.finished(of, next.state, &attempt.answer);
        // What waited behind it in its lane may go now.
        live.to_dispatch.notify_one();
        // What died has fallbacks to plan, and by trying again a destination recovers.
        if next.state != State::Delivered || attempt.number > 1 || !settlement.signals.is_empty() {
            live.to_plan.notify_one();
        }
    }
    Ok(())
}

fn settlement(live: &Live, claim: &Claim, ended: Ended, began: Timestamp, from_own: bool) -> Settlement {
    let now = live.clock.now();
    let Ended { mut verdict, sent, retry } = ended;
    let delivery = &claim.delivery;
    let tried = Tried {
        outcome: verdict.outcome,
        wait: verdict.wait,
        number: delivery.attempts,
        plain: delivery.plain,
        from: delivery.counts_from.unwrap_or(began),
    };
    if let Some(why) = retry.given_up(&tried, now) {
        verdict.reason = format!("{}; {why}", verdict.reason);
    }
    let next = retry.next(&tried, now, dice(live, claim));
    // Who never will have it is told of at once; the others may still be served.
    let lost = if next.state == State::Dead { Some(&verdict.reason) } else { verdict.lost.as_ref() };
    let died = |reason: &String| signals::died(&delivery.planned, delivery.attempts, reason, from_own, now);
    let signals = lost.into_iter().map(died).collect();
    let attempt = Attempt {
        number: delivery.attempts,
        at: began,
        took_ms: u64::try_from(now.duration_since(began).as_millis()).unwrap_or(0),
        outcome: verdict.outcome,
        sent,
        answer: verdict.reason,
    };
    Settlement { attempt, next, receipt: verdict.receipt, wait: verdict.wait, failing: verdict.failing, signals }
}

/// A number in 0..1, the same for the same attempt of the same delivery under the same seed.
fn dice(live: &Live, claim: &Claim) -> f64 {
    let mut hash = Sha256::new();
    hash.update(live.seed.to_be_bytes());
    hash.update(claim.delivery.planned.id.as_str());
    hash.update(claim.delivery.attempts.to_be_bytes());
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    fastrand::Rng::with_seed(u64::from_be_bytes(first)).f64()
}
