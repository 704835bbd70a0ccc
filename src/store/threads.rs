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
    ended: watch::Sender<Option<String>>,
}

impl Threads {
    /// None yet.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { closing: AtomicBool::new(false), ended: watch::Sender::new(None) }) }
    }

    /// To be held by a thread or task for as long as it runs.
    pub fn begin(&self, name: &str) -> Running {
        Running { threads: self.clone(), name: name.to_owned() }
    }

    /// From now on they may end.
    pub fn closing(&self) {
        self.shared.closing.store(true, Ordering::SeqCst);
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
    }
}
