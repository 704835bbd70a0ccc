//! Signs of life: a mark in the store once a minute, and a call to anyone who watches Fanfare for as long as all is well.
//!
//! Who is dead can't say so. The mark tells the next start how long nobody was there to take events in: if that was for
//! longer than the sender goes on sending again, what it gave up must be asked for. The call tells somebody outside, for
//! whom silence is the alarm.

use std::time::Duration;

use jiff::{SignedDuration, SignedDurationRound, Timestamp, Unit};
use serde_json::{Value, json};

use crate::channels::{HttpRequest, Reply, Request};
use crate::clock::plus;
use crate::event::{BackfillAsked, Command, Item, Seq, Signal, own};
use crate::source::parse::{RETRIES_LAST, TOLERANCE_MAX};
use crate::steps::Live;
use crate::store;

/// How often the mark is made.
pub const MARK_EVERY: Duration = Duration::from_secs(60);
/// The deadline of a call.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Who asks after an absence, for people.
const BY_ITSELF: &str = "fanfare, after an absence";
/// What to do after an absence.
const ADVICE: &str = "the sender has given up what it sent in the first part of that time: ask it to resend what failed (`fanfare backfill`)";

/// A time in which nobody could take events in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// The last sign of life before.
    pub from: Timestamp,
    /// The first one after.
    pub until: Timestamp,
}

impl Absence {
    /// How long, for people, to the minute: `5h 12m`.
    pub fn length(&self) -> String {
        let length = self.until.duration_since(self.from);
        let to_minutes = SignedDurationRound::new().smallest(Unit::Minute);
        format!("{:#}", length.round(to_minutes).unwrap_or(length))
    }

    /// As probes and own events show it.
    pub fn json(&self) -> Value {
        json!({
            "from": self.from.to_string(),
            "until": self.until.to_string(),
            "length": self.length(),
            "advice": ADVICE,
        })
    }
}

/// Makes the mark, and gives the one before. Where the last one is older than the sender's retries, says so: in the log, by a metric, at `/readyz`,
/// on the page, and to the rules as `fanfare.absence`.
pub async fn mark(live: &Live, now: Timestamp) -> Result<Option<Timestamp>, store::Error> {
    let before = live.store.alive(now).await?;
    let Some(from) = before.filter(|from| now.duration_since(*from) > RETRIES_LAST) else { return Ok(before) };
    let absence = Absence { from, until: now };
    live.telemetry.absent(absence.from, absence.until, &absence.length());
    live.absence.store(std::sync::Arc::new(Some(absence)));
    let signal = Signal::new(own::ABSENCE, absence.json(), now);
    live.store.tell(Item::Signal(signal), now).await?;
    backfill(live, &absence, now).await?;
    live.to_plan.notify_one();
    Ok(before)
}

/// Asks each sender for what it gave up meanwhile, where its source says so. It began to send that before the absence, maybe.
async fn backfill(live: &Live, absence: &Absence, now: Timestamp) -> Result<(), store::Error> {
    let snapshot = live.snapshot.load_full();
    for source in snapshot.sources.values().filter(|source| source.api.as_ref().is_some_and(|api| api.auto)) {
        let (source, by) = (source.name.to_string(), BY_ITSELF.to_owned());
        let since = plus(absence.from, -RETRIES_LAST).max(plus(now, -TOLERANCE_MAX));
        let asked = BackfillAsked { source, at: now, since, until: now, by };
        live.store.tell(Item::Command(Command::Backfill(Box::new(asked))), now).await?;
        live.to_backfill.notify_one();
    }
    Ok(())
}

/// What one call of the heartbeat leaves to the next.
#[derive(Debug, Default)]
pub struct Pulse {
    /// What stood in the inbox at the last look: by the next it must be planned.
    head: Seq,
}

impl Pulse {
    /// Why all is not well, if it isn't: nothing can be committed, nothing moves, no rules are in force, or what stood in the
    /// inbox at the last look is still not planned.
    pub async fn unwell(&mut self, live: &Live) -> Option<String> {
        if let Some(why) = live.failure() {
            return Some(why.to_owned());
        }
        if let Err(error) = live.store.probe().await {
            return Some(error.to_string());
        }
        if let Some(stall) = live.progress.stalls().first() {
            return Some(stall.why.clone());
        }
        if live.snapshot.load().rules.is_none() {
            return Some("no rules are in force".into());
        }
        let census = match live.store.census().await {
            Ok(census) => census,
            Err(error) => return Some(error.to_string()),
        };
        let before = std::mem::replace(&mut self.head, census.head);
        (census.planned < before)
            .then(|| format!("{} entries of the inbox wait for planning", census.head - census.planned))
    }

    /// Calls the heartbeat's URL if all is well. Does nothing where none is configured.
    pub async fn beat(&mut self, live: &Live) {
        let Some(heartbeat) = live.snapshot.load().settings.heartbeat.clone() else { return };
        if let Some(why) = self.unwell(live).await {
            return live.telemetry.heartbeat("withheld", &why);
        }
        let request = Request::Http(HttpRequest {
            method: "GET",
            url: heartbeat.url.clone(),
            headers: Vec::new(),
            body: Vec::new(),
        });
        let reply = live.transport.send("heartbeat", &request, CALL_DEADLINE).await.redacted(&[heartbeat.url]);
        match reply {
            Reply::Http { status: 200..=299, .. } => live.telemetry.heartbeat("called", ""),
            reply => live.telemetry.heartbeat("failed", &reply.account()),
        }
    }

    /// How long until the next call; how soon to look again where none is configured.
    pub fn every(live: &Live) -> Duration {
        let every = live.snapshot.load().settings.heartbeat.as_ref().map(|heartbeat| heartbeat.every);
        Duration::try_from(every.unwrap_or(SignedDuration::from_secs(10))).unwrap_or(MARK_EVERY)
    }
}
