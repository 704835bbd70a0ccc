//! Render: preparing what is sent, on threads that nobody else waits for.
//!
//! Templates are bounded by fuel, output and steps, and a sender's event by its size. This is the last resort below that:
//! a few renderings at a time, one of them of a large event, and none that holds up its delivery for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::channels::Request;
use crate::config::prepare::{Job, Prepared, prepare};
use crate::delivery::Say;
use crate::message::Rendered;

mod turns;

use self::turns::{Outcome, Turns};

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
    /// Whose turn of the large ones it is: they wait for each other first, so that they leave turns to the others.
    large: Semaphore,
    /// How long one may take.
    pub limit: Duration,
    strikes: Arc<Mutex<Strikes>>,
}

/// How often which words were given up, since which reload.
#[derive(Debug, Default)]
struct Strikes {
    since: Timestamp,
    counts: HashMap<String, u32>,
}

impl Default for Renderer {
    fn default() -> Self {
        Self { turns: Some(Turns::new()), ..Self::inline() }
    }
}

impl Renderer {
    /// One that renders on the caller's own thread: for rehearsals, where nobody else waits.
    pub fn inline() -> Self {
        Self { turns: None, large: Semaphore::new(1), limit: LIMIT, strikes: Arc::default() }
    }

    /// What is to be sent. What can't be rendered in time is replaced by the default message, which says why. `None` if so
    /// much else was to be rendered before it that its turn did not come: nothing was done.
    pub async fn prepare(&self, job: &Arc<Job>) -> Option<Prepared> {
        let Some(turns) = &self.turns else { return Some(prepare(job)) };
        let last = Instant::now() + TURN_MAX;
        let _large = match job.weight() > LARGE {
            true => Some(timeout_at(last, self.large.acquire()).await.ok()?.ok()?),
            false => None,
        };
        let (own, strikes, limit) = (job.clone(), self.strikes.clone(), self.limit);
        let work = move || {
            let struck = strikes.lock().unwrap_or_else(PoisonError::into_inner).given_up(&own, limit);
            struck.map_or_else(|| Ok(prepare(&own)), Err)
        };
        let reason = match turns.take(work, last, limit).await {
            Outcome::Done(Ok(prepared)) => return Some(prepared),
            Outcome::Done(Err(reason)) => reason,
            Outcome::Panicked => format!("rendering {} failed within Fanfare", words(job.is_at())),
            Outcome::GivenUp => self.strike(job),
            Outcome::NoTurn => return None,
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
}

impl Strikes {
    /// Why words of this job are not even tried.
    fn given_up(&self, job: &Job, limit: Duration) -> Option<String> {
        let is_struck = |say: &&Say| self.counts.get(&key(say)).is_some_and(|count| *count >= STRIKES_MAX);
        let said = job.says().find(is_struck).filter(|_| self.since == job.snapshot.since)?;
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
