//! The one thread that writes: jobs that arrive together share a transaction, and are answered when it is durable; one of
//! which none needs that is answered when it is ordered before all that is durable later.
//!
//! If one of them but a plain append fails, the transaction is begun anew and each is done again in a savepoint of its own, so
//! it takes nothing of its neighbours with it. A full disk fails the batch, sets the reserve free and does once more what must
//! go on even then; a disk that fails to write ends all writing, since what it holds is no longer known (a commit is never
//! tried twice).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _};
use tokio::sync::mpsc;

use super::connect::{Location, checkpoint, copy_log};
use super::error::damaged;
use super::identity::{Identity, Lost};
use super::ids::{Cold, Hot, IdKey};
use super::maintenance::Notifier;
use super::reserve::Reserve;
use crate::event::Seq;
use crate::store::Error;
use crate::store::rows::probe;

mod job;

use self::job::{Append, Done, Task};
pub(super) use self::job::{Asked, Job, Needs};

/// How many jobs wait for the writer at most; more wait to be queued.
pub(super) const QUEUE: usize = 1024;

/// How many jobs share one transaction at most.
const BATCH_MAX: usize = 256;

/// From this size on the write-ahead log is emptied by the writer itself, so that it starts anew: the maintenance, who copies
/// alongside, never catches up with the last page while there is load.
const WAL_RESTART_BYTES: u64 = 16 << 20;

/// From this size on the writer waits until the log could be emptied.
const WAL_BYTES_MAX: u64 = 48 << 20;

/// The longest that the writer waits for that, at a time.
const WAL_PATIENCE: Duration = Duration::from_secs(2);

/// The longest that it waits for anyone who is in the way of copying a log that nobody will find again.
const LOST_LOG_PATIENCE: Duration = Duration::from_secs(10);

/// So much may be written before the log's size is looked at.
const LOOK_BYTES: u64 = 1 << 20;

/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Something to do once a transaction is committed, and only then.
type AfterCommit = Box<dyn FnOnce(&mut WriterState) + Send>;

/// What the writer has before it: the connection, and what it knows by heart.
pub(super) struct WriterState {
    pub conn: Connection,
    pub key: IdKey,
    pub hot: Hot,
    pub cold: Cold,
    /// The ids of events up to here are indexed.
    pub indexed: Seq,
    /// Retention has looked at the inbox up to here.
    pub looked_at: Seq,
    /// The place that the next entry gets.
    pub next_seq: Seq,
    /// Ids of this transaction: hash and place.
    pub pending: Vec<(i64, Seq)>,
    /// About this many bytes went to the write-ahead log since it was last looked at.
    pub written: u64,
    /// Something was deleted, so that a full disk may have room again.
    pub freed: bool,
    after_commit: Vec<AfterCommit>,
}

impl WriterState {
    /// Loads what is known by heart.
    pub fn new(conn: Connection) -> Result<Self, Error> {
        let key = IdKey::load(&conn)?;
        let cold = Cold::load(&conn)?;
        let mut state = Self {
            conn,
            key,
            cold,
            hot: Hot::default(),
            indexed: 0,
            looked_at: 0,
            next_seq: 0,
            pending: Vec::new(),
            written: 0,
            freed: false,
            after_commit: Vec::new(),
        };
        state.indexed = state.meta("indexed")?;
        let newest: Option<Seq> = state.conn.query_row("SELECT max(seq) FROM inbox", [], |row| row.get(0))?;
        // Places that were planned may have been pruned, and are not given again.
        state.next_seq = newest.unwrap_or(0).max(state.meta("planned")?).max(state.indexed) + 1;
        state.warm()?;
        Ok(state)
    }

    /// Fills the hot set with the ids that are not indexed.
    fn warm(&mut self) -> Result<(), Error> {
        let mut rows = self.conn.prepare("SELECT seq, id FROM inbox WHERE seq > ?1 AND what = 0")?;
        let rows = rows.query_map([self.indexed], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (seq, id) = row?;
            self.hot.insert(self.key.hash(&crate::event::EventId(id.into())), seq);
        }
        Ok(())
    }

    /// A single value.
    pub fn meta(&self, name: &str) -> Result<i64, Error> {
        let mut row = self.conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
        row.query_row([name], |row| row.get(0))
            .optional()?
            .ok_or_else(|| damaged(format_args!("`{name}` is missing from meta")))
    }

    /// Changes a single value.
    pub fn set_meta(&self, name: &str, value: i64) -> Result<(), Error> {
        self.conn.prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?.execute((name, value))?;
        Ok(())
    }

    /// Whether an event could be appended: does it, takes it back, and leaves a write that must reach the disk.
    pub fn probe(&mut self) -> Result<(), Error> {
        let (next_seq, written) = (self.next_seq, self.written);
        self.conn.prepare_cached("SAVEPOINT probe")?.execute([])?;
        let taken = self.signal(&probe(), Timestamp::UNIX_EPOCH);
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("ROLLBACK TO probe")?.execute([])?;
            self.conn.prepare_cached("RELEASE probe")?.execute([])?;
        }
        (self.next_seq, self.written) = (next_seq, written);
        taken?;
        self.set_meta("probes", self.meta("probes")? + 1)
    }

    /// To be done when this transaction is committed.
    pub fn on_commit(&mut self, what: impl FnOnce(&mut WriterState) + Send + 'static) {
        self.after_commit.push(Box::new(what));
    }

    /// Does a batch within a transaction that it begins. Gives what its tasks came to; what its appends came to is in them.
    /// An error is the whole batch's.
    fn run_batch(
        &mut self,
        appends: &mut [Append],
        tasks: &mut [Box<dyn Task>],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let next_seq = self.next_seq;
        self.begin(appends)?;
        // Without a savepoint, which costs more than what is done within it: each page that is changed is copied first.
        let result = tasks.iter_mut().try_for_each(|task| task.run(self));
        if let Some(error) = self.of_all(&result) {
            return Err(error);
        }
        if result.is_ok() {
            return Ok(vec![Ok(()); tasks.len()]);
        }
        self.rolled_back();
        self.next_seq = next_seq;
        self.begin(appends)?;
        let each = tasks.iter_mut().map(|task| {
            let result = self.within_savepoint(task);
            self.of_all(&result).map_or(Ok(result), Err)
        });
        each.collect()
    }

    /// Begins a transaction, with what is to be appended.
    fn begin(&mut self, appends: &mut [Append]) -> Result<(), Error> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for append in appends {
            append.result = self.append(&append.arrival);
            if let Some(error) = self.of_all(&append.result) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Does a task; if it fails, nothing of it stays.
    fn within_savepoint(&mut self, task: &mut Box<dyn Task>) -> Result<(), Error> {
        let (pending, after) = (self.pending.len(), self.after_commit.len());
        self.conn.prepare_cached("SAVEPOINT job")?.execute([])?;
        let result = task.run(self);
        if result.is_err() && !self.conn.is_autocommit() {
            self.conn.prepare_cached("ROLLBACK TO job")?.execute([])?;
            self.pending.truncate(pending);
            self.after_commit.truncate(after);
        }
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("RELEASE job")?.execute([])?;
        }
        result
    }

    /// An error that is not one job's misfortune; and where SQLite gave up the transaction, there is none to go on in.
    fn of_all<T>(&self, result: &Result<T, Error>) -> Option<Error> {
        match result {
            Err(error @ (Error::Full | Error::Broken(_) | Error::Unusable(_))) => Some(error.clone()),
            Err(error) if self.conn.is_autocommit() => Some(error.clone()),
            Ok(_) if self.conn.is_autocommit() => Some(Error::Unavailable("the transaction was abandoned".into())),
            _ => None,
        }
    }

    fn committed(&mut self) {
        for (hash, seq) in std::mem::take(&mut self.pending) {
            self.hot.insert(hash, seq);
        }
        for what in std::mem::take(&mut self.after_commit) {
            what(self);
        }
    }

    fn rolled_back(&mut self) {
        self.pending.clear();
        self.after_commit.clear();
        if !self.conn.is_autocommit() {
            // If even this fails, the next BEGIN does too, and says so.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }
}

/// The writer's thread.
pub(super) struct Writer {
    pub state: WriterState,
    pub notifier: Arc<Notifier>,
    pub reserve: Reserve,
    /// Where the database is, and which files it was when it was opened.
    pub place: Location,
    pub identity: Identity,
    /// Whether commits wait for the disk, as those of a connection do at first.
    pub is_synced: bool,
    /// Why nothing is written any more.
    pub stopped: Option<Error>,
}

impl Writer {
    /// Works until there is nobody left to ask for anything, or until it is asked to close.
    pub fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = queue.blocking_recv() {
            let mut close = None;
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Close(reply) => close = Some(reply),
                    job => jobs.push(job),
                }
                if jobs.len() < BATCH_MAX && close.is_none() {
                    next = queue.try_recv().ok();
                }
            }
            self.batch(&mut jobs);
            if let Some(reply) = close {
                queue.close();
                self.copy_all();
                drop(self);
                let _ = reply.send(());
                return;
            }
            self.look_after_log();
        }
    }

    /// Copies the whole log, so that closing leaves one file. What can't be copied is copied at the next start; and where
    /// the disk has failed, nothing more is written at all.
    fn copy_all(&mut self) {
        // Reading may have met a log that was cut short before the writer did.
        if self.stopped.is_none() {
            self.stopped = self.still_there(true).err();
        }
        let conn = &self.state.conn;
        if self.stopped.is_some() {
            let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        } else {
            let _ = checkpoint(conn, "TRUNCATE");
        }
    }

    fn batch(&mut self, jobs: &mut Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        if self.reserve.is_spent() && jobs.iter().any(|job| job.needs() == Needs::Room) {
            let every = if std::mem::take(&mut self.state.freed) { Duration::ZERO } else { RETRY };
            self.reserve.try_restore(&self.state.conn, every);
        }
        let mut done = Vec::with_capacity(jobs.len());
        let mut fate = match &self.stopped {
            Some(why) => Err(why.clone()),
            None => self.transact(jobs, &mut done),
        };
        if matches!(fate, Err(Error::Full)) && self.reserve.spend(&self.state.conn) {
            // With the reserve set free, whatever isn't a new event is done once more: a delivery that was sent must not be
            // sent again for want of a place to note it.
            jobs.extend(self.refuse_appends(&mut done));
            fate = self.transact(jobs, &mut done);
        }
        if let Err(error @ (Error::Broken(_) | Error::Unusable(_))) = &fate {
            self.stopped.get_or_insert_with(|| error.clone());
        }
        for job in jobs.drain(..) {
            match job {
                Job::Append(_, reply) => done.push(Done::Append(reply, Err(Error::Full))),
                Job::Task(task) => done.push(Done::Task(task, Ok(()))),
                Job::Close(_) => {}
            }
        }
        self.notifier.full.store(self.reserve.is_spent(), Ordering::Relaxed);
        self.notifier.hot.store(self.state.hot.len(), Ordering::Relaxed);
        for done in done {
            done.answer(&fate);
        }
    }

    /// Runs the jobs in one transaction and commits it. An error is the whole batch's: nothing of it stays.
    fn transact(&mut self, jobs: &mut Vec<Job>, done: &mut Vec<Done>) -> Result<(), Error> {
        let is_synced = jobs.iter().any(|job| job.needs() != Needs::Order);
        let whole = self.still_there(false).and_then(|()| self.sync(is_synced));
        let result = whole.and_then(|()| self.run_all(jobs, done)).and_then(|()| {
            let commit = self.state.conn.prepare_cached("COMMIT")?.execute([]);
            commit.map(drop).map_err(Error::from)?;
            self.still_there(true)
        });
        match &result {
            Ok(()) => self.state.committed(),
            Err(_) => self.state.rolled_back(),
        }
        result
    }

    /// Says whether the next commits wait for the disk. Without, they are ordered all the same: the next that waits brings
    /// them along (`PRAGMA synchronous`, in the write-ahead log).
    fn sync(&mut self, waits: bool) -> Result<(), Error> {
        if self.is_synced != waits {
            let level = if waits { "FULL" } else { "NORMAL" };
            self.state.conn.execute_batch(&format!("PRAGMA synchronous = {level}"))?;
            self.is_synced = waits;
        }
        Ok(())
    }

    /// Files that were deleted, replaced or cut short go on taking commits, and nobody will find them again: nothing is
    /// answered that stands only there. What the lost log holds goes to the database once more, so that what was answered
    /// before stays. With what was `written` before it is answered, it looks into the log too.
    fn still_there(&mut self, written: bool) -> Result<(), Error> {
        let now = self.place.identity();
        let before = self.identity.log.filter(|_| written);
        let has_hole = || before.is_some_and(|log| self.place.has_hole(log.2)).then_some(Lost::LogsEnd);
        let Some(lost) = self.identity.lost(&now).or_else(has_hole) else {
            if written {
                self.identity = now;
            }
            return Ok(());
        };
        let path = if lost == Lost::Database { self.place.path.clone() } else { self.place.beside("-wal") };
        if lost == Lost::Log
            && let Err(error) = copy_log(&self.state.conn, LOST_LOG_PATIENCE)
        {
            tracing::error!(%error, "what the lost log held could not be copied to the database");
        }
        Err(Error::Broken(format!("`{}` was deleted, replaced or cut short while it was in use", path.display())))
    }

    fn run_all(&mut self, jobs: &mut Vec<Job>, done: &mut Vec<Done>) -> Result<(), Error> {
        let spent = self.reserve.is_spent();
        let (mut appends, mut tasks) = (Vec::new(), Vec::new());
        for job in jobs.drain(..) {
            match job {
                Job::Append(_, reply) if spent => done.push(Done::Append(reply, Err(Error::Full))),
                Job::Task(task) if spent && task.needs() == Needs::Room => {
                    done.push(Done::Task(task, Err(Error::Full)))
                }
                Job::Append(arrival, reply) => appends.push(Append { arrival, reply, result: Err(Error::Full) }),
                // Behind the appends that came with them: nobody who asks for one after the other sends both at once.
                Job::Task(task) => tasks.push(task),
                Job::Close(_) => {}
            }
        }
        let ended = self.state.run_batch(&mut appends, &mut tasks);
        done.extend(appends.into_iter().map(|append| Done::Append(append.reply, append.result)));
        // Where the whole batch failed, each is answered that.
        let (results, fate) = ended.map_or_else(|error| (Vec::new(), Err(error)), |results| (results, Ok(())));
        let results = results.into_iter().chain(std::iter::repeat(Ok(())));
        done.extend(tasks.into_iter().zip(results).map(|(task, result)| Done::Task(task, result)));
        fate
    }

    /// Answers the appends of a batch that found the disk full, and gives back the rest to be done again.
    fn refuse_appends(&mut self, done: &mut Vec<Done>) -> Vec<Job> {
        let mut again = Vec::new();
        for done in std::mem::take(done) {
            match done {
                Done::Append(..) => done.answer(&Err(Error::Full)),
                Done::Task(task, _) => again.push(Job::Task(task)),
            }
        }
        again
    }

    /// Keeps the write-ahead log from growing: the maintenance copies it alongside, the writer makes it start anew.
    fn look_after_log(&mut self) {
        if self.state.written < LOOK_BYTES || self.stopped.is_some() {
            return;
        }
        self.state.written = 0;
        self.notifier.ring();
        let until = Instant::now() + WAL_PATIENCE;
        loop {
            let Ok((bytes, copied)) = checkpoint(&self.state.conn, "NOOP") else { return };
            let nearly = bytes.saturating_sub(copied) < WAL_RESTART_BYTES / 4;
            if bytes < WAL_RESTART_BYTES || (bytes < WAL_BYTES_MAX && !nearly) {
                return;
            }
            match checkpoint(&self.state.conn, "PASSIVE") {
                Ok((log, copied)) if log == copied => return,
                Err(error @ (Error::Broken(_) | Error::Unusable(_))) => {
                    self.stopped = Some(error);
                    return;
                }
                _ => {}
            }
            if bytes < WAL_BYTES_MAX || Instant::now() > until {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
