//! Opens the file: who may, with which settings, and of which schema.
//!
//! Every connection is made here, so that none is without `synchronous = FULL` in the write-ahead log: with less, a
//! power cut takes back what was answered.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::damaged;
use crate::store::Error;

/// The schema, a file a step. Never change one that was released: add the next.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("0001_inbox.sql"),
    include_str!("0002_planner.sql"),
    include_str!("0003_deliveries.sql"),
    include_str!("0004_counts.sql"),
    include_str!("0005_lanes.sql"),
    include_str!("0006_tallies.sql"),
];

/// Marks a file as ours: `Fanf`.
pub(super) const APPLICATION: i32 = 0x4661_6e66;

/// Before this version, a checkpoint that meets another connection's write can damage the file (the WAL-reset bug).
const SQLITE_MIN: i32 = 3_051_003;

/// After an unclean end, a file up to this size is checked as a whole before it is used.
const CHECK_BYTES_MAX: u64 = 64 << 20;

/// A chain of this many links leads to nothing.
const LINKS_MAX: usize = 40;

/// How often a lock that another holds is tried again, and how long after.
const LOCK_TRIES: u32 = 25;
const LOCK_REST: Duration = Duration::from_millis(20);

/// A log that starts anew is cut to this many bytes.
pub(super) const WAL_KEPT: u64 = 16 << 20;

/// SQLite's page, in bytes: twice the usual, since two writes a page are what a commit of many events costs.
pub(super) const PAGE_BYTES: u64 = 8192;

/// Where the database is, and how large it may grow.
#[derive(Debug, Clone)]
pub(super) struct Location {
    /// The file.
    pub path: PathBuf,
    /// At most this many pages.
    pub max_pages: Option<u64>,
}

impl Location {
    /// Reads `PATH` or `PATH?max_mib=N`; a relative path is relative to `base`.
    pub fn read(address: &str, base: &Path) -> Result<Self, Error> {
        let (path, options) = address.split_once('?').unwrap_or((address, ""));
        if path.is_empty() {
            return Err(Error::Unusable("`store: sqlite:` names no file: write `sqlite:data/fanfare.db`".into()));
        }
        let mut max_pages = None;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let max_mib = option.strip_prefix("max_mib=").and_then(|value| value.parse::<u64>().ok());
            let Some(max_mib @ 1..=16_000_000) = max_mib else {
                return Err(Error::Unusable(format!(
                    "unknown option `{option}` in the store's address: known is `max_mib=N`, the most that the database may \
                     grow to, in MiB"
                )));
            };
            max_pages = Some(max_mib * (1 << 20) / PAGE_BYTES);
        }
        Ok(Self { path: base.join(path), max_pages })
    }

    /// The same, with the path of the file itself where the one that was written is a link to it: all who open it by any
    /// name must meet at the files beside it, and SQLite puts its own there too.
    pub fn itself(mut self) -> Result<Self, Error> {
        let written = self.path.clone();
        for _ in 0..LINKS_MAX {
            let Ok(to) = self.path.read_link() else { return Ok(self) };
            self.path = self.path.parent().unwrap_or(Path::new("")).join(to);
        }
        Err(Error::Unusable(format!("`{}` is a link that leads to itself", written.display())))
    }

    /// A file beside the database: its name and `suffix`.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// All files of the database that there may be.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.path.clone()];
        files.extend(["-wal", "-shm", ".lock", ".reserve"].map(|suffix| self.beside(suffix)));
        files
    }

    /// Refuses what is no regular file where one of the store's should be: a named pipe would keep anyone who opens it
    /// waiting. And a database of two names, since two processes would not meet beside it.
    pub fn check_files(&self) -> Result<(), Error> {
        let refused = |path: &Path, what: &str| Err(Error::Unusable(format!("`{}` {what}", path.display())));
        for path in self.files() {
            let Ok(meta) = path.symlink_metadata() else { continue };
            if !meta.is_file() {
                return refused(&path, "is not a regular file: name another for `store:`, or take it away");
            }
            if path == self.path && meta.nlink() > 1 {
                return refused(
                    &path,
                    "has a second name (a hard link): SQLite would lose what is written by one of them",
                );
            }
        }
        Ok(())
    }

    /// Bytes on disk, the write-ahead log included.
    pub fn bytes(&self) -> u64 {
        let length = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
        length(&self.path) + length(&self.beside("-wal"))
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The only one that writes.
    Writer,
    /// Looks after the write-ahead log and the index of ids; writes nothing itself.
    Maintenance,
    /// Reads only.
    Reader,
}

/// Takes the file for this process alone, makes it if it isn't there, and brings its schema up to date. The file must
/// stay locked for as long as any connection is open.
pub(super) fn open(place: &Location) -> Result<(File, Connection), Error> {
    assert_version(rusqlite::version_number())?;
    let mut lock = take(place)?;
    warn_of_lost_log(&lock, place);
    let ended_badly = place.beside("-wal").metadata().is_ok_and(|meta| meta.len() > 0);
    let conn = bare(place, Role::Writer)?;
    migrate(&conn, place)?;
    settle(&conn, Role::Writer)?;
    if ended_badly && place.bytes() <= CHECK_BYTES_MAX {
        check(&conn)?;
    }
    end_leases(&conn)?;
    mark_in_use(&mut lock, place);
    Ok((lock, conn))
}

/// What stands in the lock's file while the database is open, and after a process that ended without closing it.
fn mark(place: &Location) -> Option<String> {
    let (device, number, _) = place.identity().database?;
    Some(format!("in use {device}:{number}\n"))
}

fn mark_in_use(lock: &mut File, place: &Location) {
    if let Some(mark) = mark(place) {
        // It only serves a warning: on a disk that is full it is missing, and no more.
        let _ = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(mark.as_bytes()));
    }
}

/// Notes that the database was closed: anyone who closed it last has taken the log away himself.
pub(super) fn mark_closed(lock: &File) {
    let _ = lock.set_len(0);
}

/// Says that a process ended without closing this very database, and that the log that it left is gone.
fn warn_of_lost_log(lock: &File, place: &Location) {
    let mut left = String::new();
    let mut lock = lock;
    let read = std::io::Read::by_ref(&mut lock).take(64).read_to_string(&mut left);
    if read.is_ok() && mark(place) == Some(left) && !place.beside("-wal").exists() {
        tracing::error!(
            database = %place.path.display(),
            "the last process ended without closing the store, and the log that it left (`-wal`) is gone. Unless another \
             program copied it into the database, the last acknowledged events are lost"
        );
    }
}

/// Anyone who held a lease is dead, since the file is locked: nothing waits for leases to run out, nor, where the clock was
/// set back since, for the time at which they began.
fn end_leases(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch(
        "UPDATE deliveries SET next = min(started, coalesce((SELECT value FROM meta WHERE name = 'alive'), started))
          WHERE state = 'sending' AND started IS NOT NULL;
         UPDATE planner SET until = 0",
    )?;
    Ok(())
}

/// A further connection to a database that [`open`] has brought up to date.
pub(super) fn further(place: &Location, role: Role) -> Result<Connection, Error> {
    let conn = bare(place, role)?;
    settle(&conn, role)?;
    Ok(conn)
}

fn assert_version(version: i32) -> Result<(), Error> {
    if version < SQLITE_MIN {
        return Err(Error::Unusable(format!(
            "SQLite {} can damage a database under load: build with 3.51.3 or later",
            rusqlite::version()
        )));
    }
    Ok(())
}

/// Makes the folder and the file, readable for nobody else, and locks out every other process.
fn take(place: &Location) -> Result<File, Error> {
    let shown = place.path.display();
    let failed = |what: &str, error: std::io::Error| Error::Unavailable(format!("can't {what} `{shown}`: {error}"));
    if let Some(folder) = place.path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed("make the folder of", error))?;
    }
    place.check_files()?;
    let lock = private(&place.beside(".lock")).map_err(|error| failed("lock", error))?;
    match patiently(&lock) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::Unusable(format!(
                "`{shown}` is in use by another Fanfare: stop that one, or give this one a `store:` of its own"
            )));
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
    }
    refuse_lost(place)?;
    private(&place.path).map_err(|error| failed("open", error))?;
    if let Some(folder) = place.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        // So that the file's name itself survives a power cut.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("sync the folder of", error))?;
    }
    Ok(lock)
}

/// Locks it. One that is just ending, or a process that another has just started, may hold it for a moment yet.
fn patiently(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_REST),
            done => return done,
        }
    }
    lock.try_lock()
}

/// Refuses to begin anew where a store stood: its reserve is made after it, so where that is and the database has nothing
/// in it, somebody took it away, and every id with it.
fn refuse_lost(place: &Location) -> Result<(), Error> {
    let length = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
    let reserve = place.beside(".reserve");
    if length(&place.path) > 0 || length(&reserve) == 0 {
        return Ok(());
    }
    let (shown, what) = (place.path.display(), if place.path.exists() { "is empty" } else { "is gone" });
    Err(Error::Unusable(format!(
        "`{shown}` {what}, though a store stood there: put it or a copy of it back; to begin with nothing, delete `{}` too",
        reserve.display()
    )))
}

/// Opens or makes a file that only its owner may read.
pub(super) fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    // Should a named pipe have come there meanwhile, nobody waits for its other end.
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NONBLOCK);
    options.open(path)
}

fn bare(place: &Location, role: Role) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let conn = Connection::open_with_flags(&place.path, flags)
        .map_err(|error| Error::Unavailable(format!("can't open the database `{}`: {error}", place.path.display())))?;
    conn.busy_timeout(Duration::from_secs(10))?;
    // Plans never depend on bound values, or statements are prepared anew whenever those change.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(if role == Role::Writer { 128 } else { 32 });
    Ok(conn)
}

/// The settings that the promise rests on are read back.
fn settle(conn: &Connection, role: Role) -> Result<(), Error> {
    let cache_kib = match role {
        Role::Writer => 8192,
        Role::Maintenance => 512,
        Role::Reader => 1024,
    };
    conn.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -{cache_kib};
         PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
    ))?;
    // These answer with a row.
    for (name, value) in [("mmap_size", 0), ("wal_autocheckpoint", 0), ("journal_size_limit", WAL_KEPT.cast_signed())] {
        conn.pragma_update_and_check(None, name, value, |_| Ok(()))
            .or_else(|error| if error == rusqlite::Error::QueryReturnedNoRows { Ok(()) } else { Err(error) })?;
    }
    if role == Role::Reader {
        conn.execute_batch("PRAGMA query_only = ON")?;
    }
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = conn.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if mode != "wal" || synchronous != 2 {
        return Err(Error::Unusable(format!(
            "SQLite would not keep what it commits here (journal_mode `{mode}`, synchronous `{synchronous}`): put the \
             database on a local disk"
        )));
    }
    Ok(())
}

/// Brings the schema up to date, or says why it can't. A file of another program is not touched.
fn migrate(conn: &Connection, place: &Location) -> Result<(), Error> {
    let shown = place.path.display();
    let unusable = |error: rusqlite::Error| match Error::from(error) {
        Error::Unusable(why) => Error::Unusable(format!("`{shown}`: {why}")),
        other => other,
    };
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(unusable);
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(unusable)?;
    let fresh = application == 0 && version == 0 && tables == 0;
    if !fresh && application != APPLICATION {
        return Err(Error::Unusable(format!(
            "`{shown}` is a database of another program: name a file of its own for `store:`"
        )));
    }
    if version > known {
        return Err(Error::Unusable(format!(
            "`{shown}` has schema {version}, made by a newer Fanfare; this one knows {known}: run the newer version, or \
             restore the copy it made beside it, named `.before-` and a number"
        )));
    }
    if fresh {
        conn.execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}"))?;
    }
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(unusable)?;
    if version == known {
        return Ok(());
    }
    if version > 0 {
        copy(conn, &place.beside(&format!(".before-{known}")))?;
    }
    conn.execute_batch("PRAGMA synchronous = FULL; BEGIN IMMEDIATE")?;
    for (number, sql) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        conn.execute_batch(sql).map_err(|error| {
            Error::Unusable(format!("`{shown}` can't be brought to schema {number} ({error}); nothing was changed"))
        })?;
    }
    conn.execute_batch(&format!("PRAGMA user_version = {known}; PRAGMA application_id = {APPLICATION}; COMMIT"))?;
    Ok(())
}

/// Writes a whole copy to `to`, which is there when it is complete, and not before.
pub(super) fn copy(conn: &Connection, to: &Path) -> Result<(), Error> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Error::Full;
        }
        Error::Unavailable(format!("can't write the copy `{}`: {error}", to.display()))
    };
    // What an earlier try left.
    if part.exists() {
        std::fs::remove_file(&part).map_err(failed)?;
    }
    // So that nobody else can read it: SQLite fills an empty file.
    drop(private(&part).map_err(failed)?);
    conn.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&part, to).map_err(failed)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// How large the write-ahead log is, in bytes, and how much of it is copied, after a checkpoint of this mode. One that
/// another connection is in the way of copies what it can, or nothing.
pub(super) fn checkpoint(conn: &Connection, mode: &str) -> Result<(u64, u64), Error> {
    let mut row = conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    let bytes = |frames: i64| u64::try_from(frames).unwrap_or(0) * PAGE_BYTES;
    Ok(row.query_row([], |row| Ok((bytes(row.get(1)?), bytes(row.get(2)?))))?)
}

/// Copies the whole log, and waits this long for other connections that are in the way: one that reads what was before, or
/// copies itself (SQLite doesn't wait for that one: `sqlite3_wal_checkpoint_v2`).
pub(super) fn copy_log(conn: &Connection, patience: Duration) -> Result<(), Error> {
    let until = Instant::now() + patience;
    while conn.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))? {
        if Instant::now() > until {
            return Err(Error::Unavailable("another connection reads or copies it".into()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Reads every page and looks whether the file is whole.
pub(super) fn check(conn: &Connection) -> Result<(), Error> {
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(damaged(&verdict)) }
}
