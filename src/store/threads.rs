//! The threads and tasks that a store can't do without: when one ends by itself, that is seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::store::Error;

/// All of one store's.
#[derive(Debug, Clone)]
pub(super) struct Threads {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// From now on they end because they are asked to.
    closing: AtomicBool,
    /// How many run.
    running: watch::Sender<usize>,
    ended: watch::Sender<Option<String>>,
}

impl Threads {
    /// None yet.
    pub fn new() -> Self {
        let (running, ended) = (watch::Sender::new(0), watch::Sender::new(None));
        Self { shared: Arc::new(Shared { closing: AtomicBool::new(false), running, ended }) }
    }

    /// To be held by a thread or task for as long as it runs.
    pub fn begin(&self, name: &str) -> Running {
        self.shared.running.send_modify(|running| *running += 1);
        Running { threads: self.clone(), name: name.to_owned() }
    }

    /// From now on they may end.
    pub fn closing(&self) {
        self.shared.closing.store(true, Ordering::SeqCst);
    }

    /// Ends when at most `most` of them still run. A thread that is joined before that may wait for what only the caller's
    /// runtime can do.
    pub async fn at_most(&self, most: usize) {
        // The sender lives as long as this.
        let _ = self.shared.running.subscribe().wait_for(|running| *running <= most).await;
    }

    /// Why one of them doesn't answer.
    pub fn gone(&self) -> Error {
        if self.shared.closing.load(Ordering::SeqCst) {
            return Error::Unavailable("the store is closed".into());
        }
        // What it was doing is not known; anyone who waits for [`Threads::ended`] has the process start anew.
        Error::Unavailable("a thread of the store has ended".into())
    }

    /// Ends when one of them has ended by itself, and says which.
    pub async fn ended(&self) -> String {
        let mut ended = self.shared.ended.subscribe();
        let ended = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
        ended.ok().flatten().unwrap_or_default()
    }
}

/// A thread or task that runs.
#[derive(Debug)]
pub(super) struct Running {
    threads: Threads,
    name: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.threads.shared.closing.load(Ordering::SeqCst) {
            let how = if std::thread::panicking() { "panicked" } else { "ended" };
            self.threads.shared.ended.send_replace(Some(format!("the store's `{}` has {how}", self.name)));
        }
        self.threads.shared.running.send_modify(|running| *running = running.saturating_sub(1));
    }
}
