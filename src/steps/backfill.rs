//! Asks senders to send again what failed while nobody listened. What is to be asked for stands in the store, so that a restart
//! goes on with it, and so that of several processes one asks. The events come as any others do.
//!
//! Each step is one call at most, with a deadline; only the transport waits.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::channels::Request;
use crate::clock::plus;
use crate::event::{BackfillAsked, BackfillReport, Command, Item};
use crate::planner::{Backfill, Backfills};
use crate::steps::{Live, StepResult};
use crate::store;

mod answers;
mod course;

use self::course::Course;

/// The kind of the planner's documents.
const KIND: &str = "backfill";
/// How many sources are looked at.
const SOURCES_MAX: usize = 256;
/// The deadline of a call.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// How often it is reported how far it is; less than what makes another process go on with it.
const REPORT_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// How soon to look whether a report was planned.
const SOON: SignedDuration = SignedDuration::from_millis(200);

/// What this process asks senders for.
#[derive(Debug, Default)]
pub struct Backfilling {
    of: BTreeMap<String, Mine>,
}

/// One backfill in this process.
#[derive(Debug)]
struct Mine {
    asked: BackfillAsked,
    course: Course,
    /// When it was reported last.
    reported: Option<Timestamp>,
    /// Whether that report said that it ended.
    ended: bool,
}

/// What is known of backfills, by source.
pub async fn known(live: &Live) -> Result<Vec<Backfills>, store::Error> {
    let docs = live.store.docs(KIND, "", SOURCES_MAX).await?;
    Ok(docs.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect())
}

/// One call to one sender, if something is to be asked for.
pub async fn step(live: &Live, mine: &mut Backfilling, now: Timestamp) -> Result<StepResult, store::Error> {
    let known = known(live).await?;
    patience(live, &known, now);
    let open: Vec<&Backfill> = known.iter().filter_map(Backfills::open).collect();
    mine.of.retain(|source, mine| open.iter().any(|one| one.asked.source == *source && one.asked == mine.asked));
    let mut until: Option<Timestamp> = None;
    for one in open {
        let next = match advance(live, mine, one, now).await? {
            StepResult::Worked(did) => return Ok(StepResult::Worked(did)),
            StepResult::Idle(next) => next,
        };
        until = until.into_iter().chain(next).min();
    }
    Ok(StepResult::Idle(until))
}

/// While a source sends again what failed, what it signed at that time is not too old.
fn patience(live: &Live, known: &[Backfills], now: Timestamp) {
    let lasts = known.iter().filter_map(|of| {
        let lasting = of.all.iter().filter(|one| one.lasts(now));
        Some((of.source.clone(), lasting.map(|one| one.asked.since).min()?))
    });
    let lasts: BTreeMap<String, Timestamp> = lasts.collect();
    if **live.sending_again.load() != lasts {
        live.sending_again.store(std::sync::Arc::new(lasts));
    }
}

/// Goes on with one.
async fn advance(
    live: &Live,
    all: &mut Backfilling,
    one: &Backfill,
    now: Timestamp,
) -> Result<StepResult, store::Error> {
    let alone = !live.store.is_shared();
    if !alone && !one.is_free_for(&live.holder, now) {
        return Ok(StepResult::Idle(Some(plus(now, REPORT_EVERY))));
    }
    let snapshot = live.snapshot.load_full();
    let source = snapshot.sources.get(&one.asked.source);
    let mine = all.of.entry(one.asked.source.clone()).or_insert_with(|| Mine {
        asked: one.asked.clone(),
        course: Course::new(source.map(|source| &**source), &one.asked, now),
        reported: None,
        ended: false,
    });
    let is_due = mine.reported.is_none_or(|at| now.duration_since(at) >= REPORT_EVERY);
    if is_due || (mine.course.is_over() && !mine.ended) {
        mine.report(live, alone, now).await?;
        return Ok(StepResult::Idle(Some(plus(now, SOON))));
    }
    if mine.ended || !one.is_held_by(&live.holder) {
        return Ok(StepResult::Idle(Some(plus(now, SOON))));
    }
    if mine.course.not_before > now {
        // It is reported meanwhile that somebody is there.
        return Ok(StepResult::Idle(Some(mine.course.not_before.min(plus(now, REPORT_EVERY)))));
    }
    let Some(request) = mine.course.request() else {
        mine.course.end("the address of the sender's API can't be read");
        return Ok(StepResult::Worked(1));
    };
    let request = Request::Http(request);
    let sent = live.transport.send("backfill", &request, CALL_DEADLINE);
    let reply = tokio::select! {
        reply = sent => reply,
        () = live.drained() => return Ok(StepResult::Idle(None)),
    };
    let now = live.clock.now();
    mine.course.hear(&reply.dated(now), now);
    Ok(StepResult::Worked(1))
}

impl Mine {
    /// Says how far it is, by which this process also takes and keeps it.
    async fn report(&mut self, live: &Live, alone: bool, now: Timestamp) -> Result<(), store::Error> {
        let report = BackfillReport {
            source: self.asked.source.clone(),
            asked: self.asked.at,
            span: (self.asked.since, self.asked.until),
            holder: live.holder.clone(),
            alone,
            progress: self.course.progress.clone(),
            ended: self.course.is_over(),
            failed: self.course.failed().map(str::to_owned),
        };
        self.ended = report.ended;
        live.store.tell(Item::Command(Command::Backfilling(Box::new(report))), now).await?;
        live.to_plan.notify_one();
        self.reported = Some(now);
        Ok(())
    }
}
