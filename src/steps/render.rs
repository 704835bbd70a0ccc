//! Render: preparing what is sent, on threads that nobody else waits for.
//!
//! Templates are bounded by fuel, output and steps, and a sender's event by its size. This is the last resort below that:
//! a few renderings at a time, beside the threads that receive and answer, and none that holds up its delivery for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::channels::Request;
use crate::config::prepare::{Job, Prepared, prepare};
use crate::delivery::Say;
use crate::message::Rendered;

/// The most renderings at a time.
const THREADS_MAX: usize = 4;
/// A rendering that takes longer is given up. A lease lasts well beyond twice that.
const LIMIT: Duration = Duration::from_secs(5);
/// Words that were given up so often are left alone until a reload.
const STRIKES_MAX: u32 = 3;

/// Where messages are rendered.
#[derive(Debug)]
pub struct Renderer {
    /// `None`: on the caller's own thread.
    threads: Option<Arc<Semaphore>>,
    /// How long one may take.
    pub limit: Duration,
    strikes: Mutex<Strikes>,
}

/// How often which words were given up, since which reload.
#[derive(Debug, Default)]
struct Strikes {
    since: Timestamp,
    counts: HashMap<String, u32>,
}

/// Why there is no rendering.
enum Missed {
    /// All threads were taken.
    Busy,
    /// It took too long; it goes on, and nobody waits for it.
    Slow,
    /// It panicked.
    Failed,
}

impl Default for Renderer {
    fn default() -> Self {
        Self { threads: Some(Arc::new(Semaphore::new(THREADS_MAX))), limit: LIMIT, strikes: Mutex::default() }
    }
}

impl Renderer {
    /// One that renders on the caller's own thread: for rehearsals, where nobody else waits.
    pub fn inline() -> Self {
        Self { threads: None, ..Self::default() }
    }

    /// What is to be sent. Total: what can't be rendered in time is replaced by the default message, which says why.
    pub async fn prepare(&self, job: &Arc<Job>) -> Prepared {
        let Some(threads) = &self.threads else { return prepare(job) };
        if let Some(reason) = self.given_up(job) {
            return stand_in(job, reason).await;
        }
        let reason = match self.on_thread(threads, job).await {
            Ok(prepared) => return prepared,
            Err(Missed::Busy) => format!("no thread was free to render it within {:?}", self.limit),
            Err(Missed::Failed) => format!("rendering {} failed within Fanfare", words(job.is_at())),
            Err(Missed::Slow) => self.strike(job),
        };
        stand_in(job, reason).await
    }

    async fn on_thread(&self, threads: &Arc<Semaphore>, job: &Arc<Job>) -> Result<Prepared, Missed> {
        let permit = timeout(self.limit, threads.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Missed::Busy) };
        let own = job.clone();
        let task = tokio::task::spawn_blocking(move || {
            let prepared = prepare(&own);
            // Not before: a rendering that nobody waits for still has its thread.
            drop(permit);
            prepared
        });
        match timeout(self.limit, task).await {
            Ok(Ok(prepared)) => Ok(prepared),
            Ok(Err(_)) => Err(Missed::Failed),
            Err(_) => Err(Missed::Slow),
        }
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

/// The default message, made beside the threads that others wait for, too: the event may be large.
async fn stand_in(job: &Arc<Job>, reason: String) -> Prepared {
    let own = job.clone();
    let made = tokio::task::spawn_blocking(move || own.stand_in(&reason)).await;
    made.unwrap_or_else(|_| Prepared {
        rendered: Rendered::nothing(),
        was_kept: true,
        request: Err::<Request, String>("rendering the default message failed within Fanfare".into()),
        remembers: None,
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
