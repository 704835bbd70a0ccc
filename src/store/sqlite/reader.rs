//! Threads that read, each with a connection of its own that can't write.
//!
//! They are threads and not a runtime's, so that a store works wherever its futures are polled. The steps have one to
//! themselves: no listing for a person keeps the planner waiting.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::Error;

/// How many readings wait at most; more wait to be queued.
const QUEUE: usize = 64;

type Reading = Box<dyn FnOnce(&Connection) + Send>;

/// Some threads that share a queue.
pub(super) struct Readers {
    queue: Mutex<Option<mpsc::Sender<Reading>>>,
}

impl Readers {
    /// Starts a thread for each connection.
    pub fn start(name: &str, conns: Vec<Connection>) -> Result<(Self, Vec<JoinHandle<()>>), Error> {
        let (queue, readings) = mpsc::channel::<Reading>(QUEUE);
        let readings = Arc::new(Mutex::new(readings));
        let threads = conns.into_iter().map(|conn| {
            let readings = readings.clone();
            super::spawn(name, move || {
                loop {
                    // Held while waiting: one thread waits at a time, the others for it.
                    let reading = readings.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                    let Some(reading) = reading else { return };
                    reading(&conn);
                }
            })
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok((Self { queue: Mutex::new(Some(queue)) }, threads))
    }

    /// Reads.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let closed = || Error::Unavailable("the store is closed".into());
        let (reply, answer) = oneshot::channel();
        let reading: Reading = Box::new(move |conn| drop(reply.send(work(conn))));
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        queue.send(reading).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Lets the threads end when they have done what is queued.
    pub fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
