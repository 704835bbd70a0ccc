//! The thread that looks after the file: copies the write-ahead log alongside the writer, and moves ids to their tables.
//!
//! Both would make those wait who append, so neither happens in the writer: what the log holds is copied on a connection
//! of its own, and the ids, read and sorted here, reach the writer in small pieces between its batches.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::connect::checkpoint;
use super::ids::{IdKey, IdRow};
use super::writer::{Asked, Job, Needs, WriterState};
use crate::clock::from_ms;
use crate::event::{EventId, Seq};
use crate::store::Error;
use crate::store::transitions::week_of;

/// How often it looks by itself.
const TICK: Duration = Duration::from_secs(30);

/// How many ids in memory are worth a run; the more stand in the newest table already, the more, so that each of its pages
/// is written for many ids at once.
const RUN_MIN: usize = 1 << 16;
const RUN_MAX: usize = 1 << 18;

/// How many ids one piece of work writes.
const PIECE: usize = 512;

/// How many rows are read within one read transaction.
const PAGE: i64 = 4096;

/// What the maintenance is asked for.
pub(super) enum Task {
    /// Something was written: look at the log.
    Look,
    /// Move all ids to their tables.
    Index(oneshot::Sender<Result<(), Error>>),
    /// End, and say so.
    Stop(oneshot::Sender<()>),
}

/// How the writer reaches the maintenance without waiting.
pub(super) struct Notifier {
    tasks: Sender<Task>,
    rung: AtomicBool,
    /// How many ids are in memory.
    pub hot: AtomicUsize,
    /// The disk is full: what room is left is not for the index.
    pub full: AtomicBool,
}

impl Notifier {
    /// A notifier, and where its tasks arrive.
    pub fn new() -> (Arc<Self>, Receiver<Task>) {
        let (tasks, arriving) = std::sync::mpsc::channel();
        (
            Arc::new(Self {
                tasks,
                rung: AtomicBool::new(false),
                hot: AtomicUsize::new(0),
                full: AtomicBool::new(false),
            }),
            arriving,
        )
    }

    /// Asks to look at the log; once is enough until it did.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // A maintenance that has ended has nothing left to look after.
            let _ = self.tasks.send(Task::Look);
        }
    }

    /// Asks for anything. `false` if the maintenance has ended.
    pub fn ask(&self, task: Task) -> bool {
        self.tasks.send(task).is_ok()
    }
}

/// The maintenance's thread.
pub(super) struct Maintenance {
    pub conn: Connection,
    pub key: IdKey,
    pub notifier: Arc<Notifier>,
    /// Weak: the maintenance must not keep the writer alive.
    pub writer: mpsc::WeakSender<Job>,
    /// The file of the reserve.
    pub reserve: PathBuf,
}

impl Maintenance {
    /// Works until it is asked to end.
    pub fn run(self, tasks: Receiver<Task>) {
        if !self.is_full() {
            super::reserve::make(&self.reserve);
        }
        let mut newest = self.newest_table().unwrap_or(0);
        loop {
            match tasks.recv_timeout(TICK) {
                Ok(Task::Look) => {
                    self.notifier.rung.store(false, Ordering::Release);
                    let worth = (newest / 4).clamp(RUN_MIN, RUN_MAX);
                    if self.notifier.hot.load(Ordering::Relaxed) >= worth && !self.is_full() {
                        newest += self.index().unwrap_or(0);
                    }
                }
                Ok(Task::Index(reply)) => {
                    let indexed = self.index();
                    newest += indexed.as_ref().map_or(0, |count| *count);
                    // Anyone who asked may be gone.
                    let _ = reply.send(indexed.map(drop));
                    // Pruning or closing comes next: the writer rings when there is enough to copy.
                    continue;
                }
                Ok(Task::Stop(reply)) => {
                    drop(self);
                    let _ = reply.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) if self.is_full() => {}
                Err(RecvTimeoutError::Timeout) => {
                    // What fails here is tried again, and the writer meets the same failure and says so.
                    let _ = self.index();
                    newest = self.newest_table().unwrap_or(newest);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.copy_log();
        }
    }

    fn is_full(&self) -> bool {
        self.notifier.full.load(Ordering::Relaxed)
    }

    /// Copies what it can of the log to the database. Nobody waits for it.
    fn copy_log(&self) {
        if checkpoint(&self.conn, "NOOP").is_ok_and(|(log, copied)| log == copied) {
            return;
        }
        // Where the log was cut short, zeros would be copied over pages: the writer sees that, and says so.
        if self.write(|_| Ok(())).is_err() {
            return;
        }
        // A checkpoint that fails to write says what the writer must know: it stops there, and says why.
        if let Err(error @ (Error::Broken(_) | Error::Unusable(_))) = checkpoint(&self.conn, "PASSIVE") {
            let _ = self.write(move |_| Err::<(), _>(error.clone()));
        }
    }

    /// Moves ids to the tables of their weeks, in runs. Gives how many.
    fn index(&self) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let (rows, upto) = self.next_run()?;
            let Some(upto) = upto else { return Ok(count) };
            count += rows.len();
            let mut weeks: Vec<i64> = rows.iter().map(|row| row.week).collect();
            weeks.dedup();
            for week in weeks {
                self.write(move |writer| writer.make_week(week))?;
            }
            for piece in rows.chunks(PIECE) {
                let piece = piece.to_vec();
                self.write(move |writer| writer.index(&piece))?;
            }
            self.write(move |writer| writer.indexed(upto))?;
        }
    }

    /// The next ids to be indexed, sorted, and the place up to which they are.
    fn next_run(&self) -> Result<(Vec<IdRow>, Option<Seq>), Error> {
        let mut from: Seq =
            self.conn.query_row("SELECT value FROM meta WHERE name = 'indexed'", [], |row| row.get(0))?;
        let (mut rows, mut upto) = (Vec::new(), None);
        let mut page = self.conn.prepare_cached(
            "SELECT seq, what, source, id, received, body FROM inbox WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        while rows.len() < RUN_MAX {
            let before = from;
            let mut found = page.query((from, PAGE))?;
            while let Some(row) = found.next()? {
                from = row.get(0)?;
                if row.get::<_, i64>(1)? == 0 {
                    let (source, id): (String, String) = (row.get(2)?, row.get(3)?);
                    let id = EventId(id.into());
                    let (hash, check) = (self.key.hash(&id), self.key.check(&source, &id));
                    rows.push(IdRow { week: week_of(from_ms(row.get(4)?)), hash, seq: from, check, body: row.get(5)? });
                }
            }
            if from == before {
                break;
            }
            upto = Some(from);
        }
        rows.sort_unstable();
        Ok((rows, upto))
    }

    /// How many ids stand in the newest week's table, about.
    fn newest_table(&self) -> Result<usize, Error> {
        let name: Option<String> = self.conn.query_row(
            "SELECT max(name) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'ids_[0-9]*'",
            [],
            |row| row.get(0),
        )?;
        let Some(name) = name else { return Ok(0) };
        let count: i64 = self.conn.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Has the writer do something, and waits until it is committed.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut WriterState) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let gone = || Error::Unavailable("the store is closed".into());
        let (job, answer) = Asked::job(Needs::Sync, work);
        self.writer.upgrade().ok_or_else(gone)?.blocking_send(job).map_err(|_| gone())?;
        answer.blocking_recv().map_err(|_| gone())?
    }
}
