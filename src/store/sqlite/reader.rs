//! Threads that read, each with a connection of its own that can't write.
//!
//! They are threads and not a runtime's, so that a store works wherever its futures are polled. The steps have one to
//! themselves: no listing for a person keeps the planner waiting.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::Error;
use crate::store::threads::Threads;

/// How many readings wait at most; more wait to be queued.
const QUEUE: usize = 64;

type Reading = Box<dyn FnOnce(&Connection) + Send>;

/// Some threads that share a queue.
pub(super) struct Readers {
    queue: Mutex<Option<mpsc::Sender<Reading>>>,
    threads: Threads,
}

impl Readers {
    /// Starts a thread for each connection.
    pub fn start(
        name: &'static str,
        conns: Vec<Connection>,
        threads: &Threads,
    ) -> Result<(Self, Vec<JoinHandle<()>>), Error> {
        let (queue, readings) = mpsc::channel::<Reading>(QUEUE);
        let readings = Arc::new(Mutex::new(readings));
        let handles = conns.into_iter().map(|conn| {
            let readings = readings.clone();
            super::spawn(threads, name, move || {
                loop {
                    // Held while waiting: one thread waits at a time, the others for it.
                    let reading = readings.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                    let Some(reading) = reading else { return };
                    reading(&conn);
                }
            })
        });
        let handles = handles.collect::<Result<_, _>>()?;
        Ok((Self { queue: Mutex::new(Some(queue)), threads: threads.clone() }, handles))
    }

    /// Reads. A reading that panics is one that failed: the thread goes on.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let gone = || self.threads.gone();
        let (reply, answer) = oneshot::channel();
        let reading: Reading = Box::new(move |conn| {
            let read = catch_unwind(AssertUnwindSafe(|| work(conn)));
            let read = read.unwrap_or_else(|_| Err(Error::Unavailable("reading panicked; the log has it".into())));
            // Anyone who asked may be gone.
            let _ = reply.send(read);
        });
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(gone)?;
        queue.send(reading).await.map_err(|_| gone())?;
        // Nobody who waits for an answer keeps the threads from ending.
        drop(queue);
        answer.await.map_err(|_| gone())?
    }

    /// Lets the threads end when they have done what is queued.
    pub fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
