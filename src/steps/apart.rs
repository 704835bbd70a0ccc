//! Threads for what can wait: rendering, judging and loading. Receiving and answering come before them, for the system's
//! scheduler too. Touches the scheduler, and nothing else.

use std::fmt;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// How much lower their priority is (`nice`): where both want a core, they get about a tenth of it.
const LOWER_BY: i32 = 10;
/// A thread with nothing to do stays for this long.
const KEPT: Duration = Duration::from_secs(10);

/// Lowers the priority of the calling thread, for good.
pub(super) fn lower_priority() {
    // What is the thread's on Linux is the whole process's elsewhere: there it stays as it is. A process that was started
    // with a lower priority than this keeps that.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, LOWER_BY);
}

/// Some threads of lower priority.
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    /// This many at most; each is started when there is work for it.
    pub fn new(most: usize) -> Self {
        let mut threads = Builder::new_current_thread();
        threads.max_blocking_threads(most).thread_keep_alive(KEPT).thread_name("apart");
        Self(threads.on_thread_start(lower_priority).build().ok())
    }

    /// Has one of them do the work. Nobody waits for it.
    pub fn start(&self, work: impl FnOnce() + Send + 'static) {
        drop(match &self.0 {
            Some(threads) => threads.spawn_blocking(work),
            // None could be had: then it is one of those that everything else has too.
            None => tokio::task::spawn_blocking(work),
        });
    }
}

impl Drop for Threads {
    /// What is under way goes on, and nobody waits for it.
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Threads")
    }
}
