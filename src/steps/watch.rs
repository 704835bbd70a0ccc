//! Watches the process's main tasks: none of them ends unseen.
//!
//! A task that ends or panics while the process isn't draining starts anew, where its row says that this can be done, but
//! not again and again: then, and where it can't be done, the process ends, so that a supervisor starts it anew. Either is
//! logged, counted, and told to the rules as `fanfare.task.failed`.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::task::{AbortHandle, JoinError};
use tokio::time::Instant;

use crate::event::{Item, Signal, own};
use crate::steps::Live;

/// So often a task starts anew at most …
pub const AGAIN_MAX: usize = 3;
/// … within this; then the process ends.
pub const AGAIN_WITHIN: Duration = Duration::from_secs(60);
/// How long a task that ended stays away.
const REST: Duration = Duration::from_millis(200);
/// The store takes the own event within this, or there is none.
const TELL_MAX: Duration = Duration::from_secs(1);
/// The most characters of a panic's message that are asked to rules.
const REASON_CHARS: usize = 300;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A row of the table: one main task, and what follows when it ends.
pub struct Task {
    name: &'static str,
    /// Why it may start anew, or may not; for anyone who reads the table, and the log.
    reason: &'static str,
    start: Start,
}

enum Start {
    /// It begins, as often as need be.
    Again(Arc<dyn Fn() -> Work + Send + Sync>),
    /// It begins once.
    Once(Work),
}

impl Task {
    /// A task that starts anew when it ends, since `reason`.
    pub fn again<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        reason: &'static str,
        start: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        Self { name, reason, start: Start::Again(Arc::new(move || Box::pin(start()))) }
    }

    /// A task with whose end the process ends, since `reason`.
    pub fn once(name: &'static str, reason: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { name, reason, start: Start::Once(Box::pin(work)) }
    }
}

/// What is known of the tasks that are watched.
#[derive(Debug, Default)]
pub struct Tasks {
    rows: Mutex<BTreeMap<&'static str, Known>>,
}

#[derive(Debug)]
struct Known {
    running: AbortHandle,
    ends: u64,
}

impl Tasks {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<&'static str, Known>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self, name: &'static str, running: AbortHandle) {
        let mut rows = self.rows();
        let ends = rows.get(name).map_or(0, |known| known.ends);
        rows.insert(name, Known { running, ends });
    }

    fn ended(&self, name: &'static str) {
        if let Some(known) = self.rows().get_mut(name) {
            known.ends += 1;
        }
    }

    /// The names of all.
    pub fn names(&self) -> Vec<&'static str> {
        self.rows().keys().copied().collect()
    }

    /// Those that ended by themselves since the process started, and how often.
    pub fn ends(&self) -> BTreeMap<&'static str, u64> {
        self.rows().iter().filter(|(_, known)| known.ends > 0).map(|(name, known)| (*name, known.ends)).collect()
    }

    /// Ends one, as if it had failed: for tests.
    #[doc(hidden)]
    pub fn abort(&self, name: &str) -> bool {
        self.rows().get(name).map(|known| known.running.abort()).is_some()
    }
}

/// Runs a task until the process drains.
pub async fn keep(live: Arc<Live>, task: Task) {
    let Task { name, reason, start } = task;
    // Should even this end where it shouldn't, the process does too.
    let watch = Watch { live: live.clone(), name };
    let again = match start {
        Start::Again(again) => again,
        Start::Once(work) => {
            if let Some(how) = run(&live, name, work).await {
                end(&live, name, &how, reason).await;
            }
            return drop(watch);
        }
    };
    let mut ends = VecDeque::new();
    loop {
        let start = again.clone();
        let Some(how) = run(&live, name, Box::pin(async move { start().await })).await else { break };
        let now = Instant::now();
        ends.retain(|end| now.duration_since(*end) < AGAIN_WITHIN);
        if ends.len() >= AGAIN_MAX {
            end(&live, name, &how, "it has restarted too often").await;
            break;
        }
        ends.push_back(now);
        live.telemetry.task_ended(name, &how, &format!("it restarts: {reason}"));
        tell(&live, name, &how, true).await;
        live.drained_or(REST).await;
        if live.is_draining() {
            break;
        }
    }
    drop(watch);
}

/// Runs it to its end. How it ended; none if that is in order, since the process drains.
async fn run(live: &Live, name: &'static str, work: Work) -> Option<String> {
    let running = tokio::spawn(work);
    live.tasks.begun(name, running.abort_handle());
    let ended = running.await;
    if live.is_draining() {
        return None;
    }
    live.tasks.ended(name);
    Some(match ended {
        Ok(()) => "it returned".to_owned(),
        Err(error) => said(error),
    })
}

fn said(error: JoinError) -> String {
    if !error.is_panic() {
        return "it was stopped".to_owned();
    }
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let text: String = text.unwrap_or("no message").chars().take(REASON_CHARS).collect();
    format!("it panicked: {text}")
}

async fn end(live: &Live, name: &'static str, how: &str, reason: &str) {
    live.telemetry.task_ended(name, how, &format!("the process ends: {reason}"));
    tell(live, name, how, false).await;
    live.fail(format!("the task `{name}` ended: {how}"));
}

/// Tells the rules; where the process ends, after the next start.
async fn tell(live: &Live, name: &'static str, how: &str, again: bool) {
    let data = json!({"task": name, "reason": how, "then": if again { "started anew" } else { "the process ended" }});
    let at = live.clock.now();
    let signal = Signal::new(own::TASK_FAILED, data, at);
    match tokio::time::timeout(TELL_MAX, live.store.tell(Item::Signal(signal), at)).await {
        Ok(Ok(_)) => live.to_plan.notify_one(),
        Ok(Err(error)) => live.telemetry.store_failed("tell", &error.to_string()),
        Err(_) => live.telemetry.store_failed("tell", "no commit in time"),
    }
}

/// Ends the process where the watch over a task ends before its time.
struct Watch {
    live: Arc<Live>,
    name: &'static str,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.live.is_draining() {
            self.live.fail(format!("the task `{}` is no longer watched", self.name));
        }
    }
}
