//! What can be asked of a store by its address alone: to open it, to check or copy it, to look into it.
//!
//! An address may hold a password: no message repeats it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Error, Store, memory, postgres, sqlite};
use crate::event::Event;
use crate::pace::Pace;
use crate::secret::Secret;

/// Opens the store at an address: `sqlite:PATH` (relative to `base`; made if it isn't there; `?max_mib=N` limits its
/// size), `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (or `postgresql://`), which several processes may share, or
/// `memory:`, which forgets everything. A store is used on the runtime that it was opened on.
///
/// # Errors
/// [`Error::Unusable`] with what to do where the address or what is found there is wrong; [`Error::Unavailable`] where
/// the files can't be opened.
pub async fn open(address: &Secret, base: &Path) -> Result<Arc<dyn Store>, Error> {
    match address.open().split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::Sqlite::open(path, base)?)),
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(postgres::Postgres::open(address.open(), base).await?)),
        Some(("memory", "")) => Ok(Arc::new(memory::Memory::default())),
        _ => Err(unknown()),
    }
}

/// Reads an address without going there: relative paths in it are relative to `base`.
///
/// # Errors
/// [`Error::Unusable`] with what to do, where [`open`] would refuse it as written.
pub fn check(address: &Secret, base: &Path) -> Result<(), Error> {
    match address.open().split_once(':') {
        Some(("sqlite", path)) => sqlite::check(path, base),
        Some(("postgres" | "postgresql", _)) => postgres::check(address.open(), base),
        Some(("memory", "")) => Ok(()),
        _ => Err(unknown()),
    }
}

/// An address may hold a password, so it is not repeated.
fn unknown() -> Error {
    Error::Unusable(
        "unknown kind of store: write `sqlite:PATH`, such as `sqlite:data/fanfare.db`, or `postgres://USER@HOST/DATABASE`"
            .into(),
    )
}

/// Writes a whole copy of the store at an address to the file `to`, as it is at one moment, whether a process has it open
/// or not. Gives its size in bytes.
///
/// # Errors
/// As [`open`]; and where `to` exists or can't be written.
pub async fn backup(address: &Secret, base: &Path, to: &Path) -> Result<u64, Error> {
    match address.open().split_once(':') {
        Some(("sqlite", path)) => sqlite::backup(path, base, to),
        Some(("postgres" | "postgresql", _)) => Err(Error::Unusable(
            "a PostgreSQL store is copied by PostgreSQL's own means: `pg_dump --format=custom --file=FILE DATABASE`"
                .into(),
        )),
        _ => Err(Error::Unusable("only a `sqlite:` store has a file to copy".into())),
    }
}

/// Reads all of the store at an address, and says what is wrong with it. Nothing is changed.
///
/// # Errors
/// As [`open`]; [`Error::Unusable`] if it is damaged so much that it can't be read.
pub async fn examine(address: &Secret, base: &Path) -> Result<Examination, Error> {
    match address.open().split_once(':') {
        Some(("sqlite", path)) => sqlite::examine(path, base),
        Some(("postgres" | "postgresql", _)) => postgres::examine(address.open(), base).await,
        _ => Err(Error::Unusable("a `memory:` store has nothing to examine".into())),
    }
}

/// Whether the store at an address remembers anything when the process ends.
pub fn remembers(address: &Secret) -> bool {
    !address.open().starts_with("memory:")
}

/// The files that the store at an address may have, the database first; none where it keeps none itself.
///
/// # Errors
/// [`Error::Unusable`] where the address is wrong.
pub fn files(address: &Secret, base: &Path) -> Result<Vec<PathBuf>, Error> {
    match address.open().split_once(':') {
        Some(("sqlite", path)) => sqlite::files(path, base),
        _ => Ok(Vec::new()),
    }
}

/// Looks into the store at an address, if that can be done without any trace: nothing is made, changed or waited for,
/// whether a process has it open or not.
///
/// # Errors
/// [`Error::Unusable`] for a store that can't be looked into so, and whatever reading it ran into.
pub fn glance(address: &Secret, base: &Path, wanted: &Wanted<'_>) -> Result<Glance, Error> {
    match address.open().split_once(':') {
        Some(("sqlite", path)) => sqlite::glance(path, base, wanted),
        _ => Err(Error::Unusable("only a `sqlite:` store has a file to examine".into())),
    }
}

/// What a glance is for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// Documents of this kind.
    pub kind: &'w str,
    /// At most this number of them.
    pub docs: usize,
    /// At most this many events, the latest.
    pub events: usize,
}

/// What a glance saw.
#[derive(Debug, Default)]
pub struct Glance {
    /// Documents.
    pub docs: Vec<String>,
    /// Events, newest first.
    pub events: Vec<Event>,
}

/// What an examination found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// The number of its schema.
    pub schema: i64,
    /// The number of the newest schema that this program knows.
    pub schema_known: i64,
    /// The database engine, with its version.
    pub engine: String,
    /// How many events it holds.
    pub events: u64,
    /// Bytes on disk, write-ahead log included.
    pub bytes: u64,
    /// When somebody was there last to take events in; none if that was never noted.
    pub alive: Option<Timestamp>,
    /// When its newest entry came.
    pub newest: Option<Timestamp>,
    /// By how much the youngest of the last hundred events was older than its arrival, going by what its sender said:
    /// less than nothing if that clock is ahead of this one.
    pub youngest: Option<SignedDuration>,
    /// When its oldest entry came.
    pub oldest: Option<Timestamp>,
    /// The transaction of another program that has been open longest on the server, by that program's name: it keeps dead
    /// rows.
    pub open: Option<(String, SignedDuration)>,
    /// The destinations whose deliveries don't arrive, by name.
    pub troubles: Vec<Trouble>,
    /// What is wrong, in words; nothing if it is empty.
    pub faults: Vec<String>,
}

/// What does not arrive at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The destination.
    pub destination: String,
    /// How many deliveries are dead.
    pub dead: u64,
    /// How many are tried again.
    pub retrying: u64,
    /// What the last of them met, in words without secrets.
    pub last_error: Option<String>,
    /// Whether the destination is known not to be well: nothing gets through.
    pub is_failing: bool,
}

impl Trouble {
    /// Whether what is kept of a destination says that it is not well; what can't be read says nothing.
    pub(super) fn is_failing(pace: Option<&str>) -> bool {
        pace.and_then(|pace| serde_json::from_str::<Pace>(pace).ok()).is_some_and(|pace| pace.is_failing())
    }
}
