//! Dispatch: due deliveries → claim, render, compose, send, verdict, settle.
//!
//! The attempt is counted, and its lease taken, before the first byte leaves; only the claim's token settles it. A
//! crash between sending and settling sends again, with the same id: at least once, the repeats bounded by what was
//! under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::channels::{Reply, Request, Verdict, account, mark};
use crate::clock::plus;
use crate::config::prepare::{Job, Tokens, to_keep};
use crate::delivery::{Attempt, AttemptOutcome, Delivery, MessageOp, Receipt, State};
use crate::event::{EventId, Seq};
use crate::message::Rendered;
use crate::pace::{Limits, Retry, Tried};
use crate::secret::Secret;
use crate::steps::{Live, links};
use crate::store;
use crate::store::{Claim, Claimed, Room, Settlement, signals};
use crate::telemetry::Of;

/// How many deliveries one process has under way, over all destinations, before only [`OWN_PLACES`] are left.
const UNDER_WAY_MAX: u32 = 64;
/// How many places each destination has for itself, however many the others take: any number of destinations that don't answer
/// never delays one that does.
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
        // What waits for a destination that is no longer configured is taken up too: a person must be notified.
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

/// A message that was planned later than this after its event was meant to be late.
const PROMPT: SignedDuration = SignedDuration::from_hours(1);

/// What is said of the event in logs and signals.
struct About {
    id: EventId,
    kind: Arc<str>,
    is_echo: bool,
    received: Timestamp,
}

/// Carries out one claim, from rendering to settling.
pub async fn carry_out(live: &Live, claim: Claim) -> Result<(), store::Error> {
    let began = live.clock.now();
    let planned = &claim.delivery.planned;
    if planned.act == MessageOp::Close && !claim.shown {
        return live.store.release(&claim, State::Cancelled, "nothing of the case was shown here", began).await;
    }
    let snapshot = live.snapshot.load_full();
    let known = snapshot.destinations.get(&planned.destination).cloned();
    if known.as_ref().is_some_and(|destination| plus(began, destination.timeout) > claim.until) {
        // Held up since the claim was asked for: another may take it before this attempt is over.
        return give_back(live, &claim, "its lease was nearly over", began).await;
    }
    let wanted = wanted_events(&claim);
    let events = match live.recent.all(&wanted) {
        Some(events) => events,
        None => live.store.events(&wanted).await?,
    };
    let event = events.iter().find(|(seq, _)| *seq == planned.assignment.event).map(|(_, event)| event);
    let about = event.map(|event| About {
        id: event.id.clone(),
        kind: event.kind.clone(),
        is_echo: event.is_echo(),
        received: event.received,
    });
    let job = match known {
        Some(destination) => Job::new(snapshot, destination, claim.clone(), events, began),
        None => Err(format!("there is no destination `{}` any more", planned.destination)),
    };
    let ended = match job {
        Ok(job) => {
            let has_links = !claim.delivery.planned.assignment.links.is_empty();
            let tokens = if has_links { links::tokens(live, began).await? } else { Tokens::None };
            match send(live, &Arc::new(job.with_tokens(tokens))).await? {
                Some(ended) => ended,
                None => {
                    let why = "too much else was to be rendered before it";
                    return give_back(live, &claim, why, live.clock.now()).await;
                }
            }
        }
        Err(reason) => Ended::impossible(reason),
    };
    settle(live, &claim, ended, began, about).await
}

/// Nothing was sent: the next claim starts again.
async fn give_back(live: &Live, claim: &Claim, reason: &str, now: Timestamp) -> Result<(), store::Error> {
    let state = if claim.delivery.attempts > 1 { State::Retrying } else { State::Due };
    live.store.release(claim, state, reason, now).await
}

/// Prepares, keeps what was rendered, sends, and asks the channel what the answer means. `None` if there was no turn to
/// prepare it.
async fn send(live: &Live, job: &Arc<Job>) -> Result<Option<Ended>, store::Error> {
    let Some(prepared) = live.renderer.prepare(job).await else { return Ok(None) };
    let rendered = &prepared.rendered;
    if !prepared.was_kept {
        let said = job.claim.delivery.planned.assignment.say.name();
        live.telemetry.rendered(said, rendered.problem.as_deref(), rendered.undefined);
        live.store.keep(&job.claim, to_keep(rendered, &job.settled)).await?;
    }
    let ended = match prepared.request {
        Ok(request) => attempt(live, job, &request, (prepared.remembers, &prepared.tokens)).await,
        Err(reason) => Ended::impossible(reason),
    };
    let ended = Ended { verdict: ended.verdict.of_first(&prepared.recipients), ..ended };
    keep_settled(live, job, &prepared.rendered, &ended.verdict).await?;
    Ok(Some(ended))
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
        let verdict = Verdict::new(AttemptOutcome::Permanent, reason);
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

/// Keeps which recipients this attempt is done with, before anything else: nobody gets it twice, should the process end
/// now.
async fn keep_settled(live: &Live, job: &Job, rendered: &Rendered, verdict: &Verdict) -> Result<(), store::Error> {
    if verdict.outcome == AttemptOutcome::Delivered || verdict.settled.is_empty() {
        return Ok(());
    }
    let claim = &job.claim;
    let mut all = job.settled.clone();
    all.extend(verdict.settled.iter().map(|recipient| mark(&claim.delivery.planned.id, recipient)));
    let message = to_keep(rendered, &all);
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

/// Whether an earlier attempt may have got through: all but those that were certainly turned away.
async fn may_have_arrived(live: &Live, delivery: &Delivery) -> bool {
    if delivery.attempts < 2 {
        return false;
    }
    let Ok(Some((_, attempts))) = live.store.delivery(&delivery.planned.id).await else { return true };
    let turned_away = |attempt: &&Attempt| {
        matches!(attempt.outcome, AttemptOutcome::Limited | AttemptOutcome::Refused)
            && attempt.number < delivery.attempts
    };
    // An attempt that a crash cut short has no record.
    (attempts.iter().filter(turned_away).count() as u64) + 1 < u64::from(delivery.attempts)
}

/// Sends, and asks the channel what the answer means. `remembers` is what it knows of its own of what was sent.
async fn attempt(
    live: &Live,
    job: &Job,
    request: &Request,
    (remembers, tokens): (Option<Receipt>, &[Secret]),
) -> Ended {
    let destination = &job.destination;
    let redactor = destination.redactor.and(tokens);
    let ask = async |request: &Request| {
        let deadline = Duration::try_from(destination.timeout).unwrap_or(Duration::from_secs(10));
        let reply = live.transport.send(&destination.name, request, deadline).await;
        reply.redacted_by(&redactor).dated(live.clock.now())
    };
    let delivery = &job.claim.delivery;
    let known = match destination.channel.looks(request) {
        Some(question) if may_have_arrived(live, delivery).await => {
            destination.channel.has(request, delivery.created, &ask(&question).await)
        }
        _ => None,
    };
    let mut verdict = match (known, request) {
        (Some(known), _) => known,
        (None, Request::Nothing) => destination.channel.verdict(&Reply::Nothing),
        (None, request) => {
            let reply = ask(request).await;
            match destination.channel.moved(request, &reply) {
                Some(moved) => {
                    live.telemetry.moved(&destination.name, &moved.notice);
                    let there = destination.channel.verdict(&ask(&moved.request).await);
                    moved.verdict(there)
                }
                None => destination.channel.verdict(&reply),
            }
        }
    };
    if matches!(verdict.outcome, AttemptOutcome::Delivered | AttemptOutcome::Partial) && verdict.receipt.is_none() {
        verdict.receipt = remembers;
    }
    Ended { verdict, sent: account(request, &redactor), retry: destination.retry }
}

/// Whether a message goes as soon as it can: reminders, digests and what waited for its hours were meant to be late.
fn is_prompt(claim: &Claim, about: &About) -> bool {
    let planned_after = claim.delivery.created.duration_since(about.received);
    planned_after < PROMPT && claim.delivery.planned.assignment.events.is_empty()
}

/// Records the attempt and what follows from it.
async fn settle(
    live: &Live,
    claim: &Claim,
    ended: Ended,
    began: Timestamp,
    about: Option<About>,
) -> Result<(), store::Error> {
    let settlement = settlement(live, claim, ended, began, about.as_ref().is_some_and(|about| about.is_echo));
    insist(live, claim, "settle", || live.store.settle(claim, settlement.clone(), live.clock.now())).await?;
    let planned = &claim.delivery.planned;
    let Settlement { attempt, next, .. } = &settlement;
    let of = Of {
        delivery: &planned.id,
        destination: &planned.destination,
        rule: &planned.rule,
        event: about.as_ref().map(|about| (&about.id, &*about.kind)),
    };
    live.telemetry.attempted(of, attempt);
    if next.state.is_final() {
        live.telemetry.finished(of, next.state, &attempt.answer);
        if let Some(about) = about.as_ref().filter(|about| next.state == State::Delivered && is_prompt(claim, about)) {
            live.telemetry.reached(&planned.destination, live.clock.now().duration_since(about.received));
        }
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
    // Who never will have it is notified of at once; the others may still be served.
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
