//! Render: preparing what is sent, on threads that nobody else waits for.
//!
//! Templates are bounded by fuel, output and steps, and a sender's event by its size. This is the last resort below that:
//! a few renderings at a time, one of them of a large event, and none that holds up its delivery for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::channels::Request;
use crate::config::prepare::{Job, Prepared, prepare};
use crate::delivery::Say;
use crate::message::Rendered;
use crate::steps::apart::Threads;

/// The most renderings at a time.
const AT_ONCE: usize = 4;
/// How many threads there are for them: those that were given up and go on keep theirs.
const THREADS_MAX: usize = 8;
/// A rendering that takes longer is given up. A lease lasts well beyond that and [`TURN_MAX`].
const LIMIT: Duration = Duration::from_secs(5);
/// A delivery waits no longer for its turn; then it is let go of, and comes back.
const TURN_MAX: Duration = Duration::from_secs(15);
/// Words that were given up so often are left alone until a reload.
const STRIKES_MAX: u32 = 3;
/// Events that take more bytes than this once they are read are rendered one at a time: a rendering takes several times
/// that.
const LARGE: usize = 2 << 20;

/// Where messages are rendered.
#[derive(Debug)]
pub struct Renderer {
    /// `None`: on the caller's own thread.
    turns: Option<Turns>,
    /// How long one may take.
    pub limit: Duration,
    strikes: Mutex<Strikes>,
}

/// Who renders when, and where.
#[derive(Debug)]
struct Turns {
    threads: Threads,
    any: Semaphore,
    large: Semaphore,
}

impl Turns {
    /// Waits for a turn, which is over when it is dropped. `None` if it didn't come in time.
    async fn take(&self, job: &Job) -> Option<(SemaphorePermit<'_>, Option<SemaphorePermit<'_>>)> {
        let turn = async {
            // Large ones wait for each other first, so that they leave turns to the others.
            let large = if job.weight() > LARGE { Some(self.large.acquire().await.ok()?) } else { None };
            Some((self.any.acquire().await.ok()?, large))
        };
        timeout(TURN_MAX, turn).await.ok().flatten()
    }
}

/// How often which words were given up, since which reload.
#[derive(Debug, Default)]
struct Strikes {
    since: Timestamp,
    counts: HashMap<String, u32>,
}

impl Default for Renderer {
    fn default() -> Self {
        let turns =
            Turns { threads: Threads::new(THREADS_MAX), any: Semaphore::new(AT_ONCE), large: Semaphore::new(1) };
        Self { turns: Some(turns), limit: LIMIT, strikes: Mutex::default() }
    }
}

impl Renderer {
    /// One that renders on the caller's own thread: for rehearsals, where nobody else waits.
    pub fn inline() -> Self {
        Self { turns: None, limit: LIMIT, strikes: Mutex::default() }
    }

    /// What is to be sent. What can't be rendered in time is replaced by the default message, which says why. `None` if so
    /// much else was to be rendered before it that its turn did not come: nothing was done.
    pub async fn prepare(&self, job: &Arc<Job>) -> Option<Prepared> {
        let Some(turns) = &self.turns else { return Some(prepare(job)) };
        let _turn = turns.take(job).await?;
        if let Some(reason) = self.given_up(job) {
            return Some(placeholder(job, reason).await);
        }
        let own = job.clone();
        let reason = match timeout(self.limit, turns.threads.run(move || prepare(&own))).await {
            Ok(Ok(prepared)) => return Some(prepared),
            Ok(Err(_)) => format!("rendering {} failed within Fanfare", words(job.is_at())),
            // It goes on, and nobody waits for it.
            Err(_) => self.strike(job),
        };
        Some(placeholder(job, reason).await)
    }

    /// Counts a rendering that took too long, and says so.
    fn strike(&self, job: &Job) -> String {
        let (since, said) = (job.snapshot.since, job.is_at());
        let mut strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        if strikes.since != since {
            *strikes = Strikes { since, counts: HashMap::new() };
        }
        *strikes.counts.entry(key(said)).or_default() += 1;
        format!("rendering {} took longer than {:?}", words(said), self.limit)
    }

    /// Why words of this job are not even tried.
    fn given_up(&self, job: &Job) -> Option<String> {
        let strikes = self.strikes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_struck = |say: &&Say| strikes.counts.get(&key(say)).is_some_and(|count| *count >= STRIKES_MAX);
        let said = job.says().find(is_struck).filter(|_| strikes.since == job.snapshot.since)?;
        let limit = self.limit;
        Some(format!(
            "rendering {} took longer than {limit:?} {STRIKES_MAX} times: it is tried again after a reload",
            words(said)
        ))
    }
}

/// The default message, made beside the threads of those that were given up: they may all be taken.
async fn placeholder(job: &Arc<Job>, reason: String) -> Prepared {
    let own = job.clone();
    let made = tokio::task::spawn_blocking(move || own.placeholder(&reason)).await;
    made.unwrap_or_else(|_| Prepared {
        rendered: Rendered::nothing(),
        was_kept: true,
        request: Err::<Request, String>("rendering the default message failed within Fanfare".into()),
        remembers: None,
        recipients: Vec::new(),
        tokens: Vec::new(),
    })
}

fn key(say: &Say) -> String {
    match say {
        Say::Message(name) => format!("message {name}"),
        Say::Text(text) => format!("text {text}"),
        Say::Default | Say::Summary => say.name().to_owned(),
    }
}

fn words(say: &Say) -> String {
    match say {
        Say::Message(name) => format!("`{name}.md`"),
        Say::Text(_) => "the rule's text".into(),
        Say::Default | Say::Summary => "the default message".into(),
    }
}
