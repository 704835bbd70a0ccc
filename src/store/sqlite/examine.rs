//! Looks at a database without opening it as a store: for a copy, for `doctor` and for `check`. Whether a process has it open or
//! not makes no difference; nothing in it is changed.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use rusqlite::{Connection, OpenFlags};

use super::connect::{APPLICATION, Location, MIGRATIONS, copy};
use super::{inbox, planning};
use crate::clock::from_ms;
use crate::delivery::State;
use crate::event::{Seq, body_hash};
use crate::store::rows::TROUBLES;
use crate::store::{Error, EventFilter, Examination, Glance, Trouble, Wanted};

/// How many faults of each kind are reported.
const FAULTS_MAX: usize = 20;

/// Of the last events that a sender dated, the shortest time between that and their arrival.
const YOUNGEST: &str = "SELECT min(received - created) FROM (
    SELECT received, created FROM inbox WHERE what = 0 AND source <> 'fanfare' ORDER BY seq DESC LIMIT 100)";

/// Writes a whole copy of the database to `to`, as it is at one moment. Gives its size in bytes.
pub fn backup(address: &str, base: &Path, to: &Path) -> Result<u64, Error> {
    let place = Location::read(address, base)?.itself()?;
    if to.exists() {
        return Err(Error::Unusable(format!("`{}` exists: name a new file for the copy", to.display())));
    }
    let conn = look_into(&place)?;
    copy(&conn, to)?;
    to.metadata().map(|meta| meta.len()).map_err(|error| Error::Unavailable(format!("the copy is gone: {error}")))
}

/// All files that the database at an address may have.
pub fn files(address: &str, base: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(Location::read(address, base)?.itself()?.files())
}

/// Reads all of the database and says what is wrong with it.
pub fn examine(address: &str, base: &Path) -> Result<Examination, Error> {
    let place = Location::read(address, base)?.itself()?;
    let conn = look_into(&place)?;
    let mut faults = Vec::new();
    let mut rows = conn.prepare(&format!("PRAGMA integrity_check({FAULTS_MAX})"))?;
    for row in rows.query_map([], |row| row.get::<_, String>(0))? {
        faults.extend(Some(row?).filter(|row| row != "ok"));
    }
    for row in conn.prepare("PRAGMA foreign_key_check")?.query_map([], |row| row.get::<_, String>(0))?.take(FAULTS_MAX)
    {
        faults.push(format!("a row of `{}` belongs to no delivery", row?));
    }
    faults.extend(garbled(&conn)?);
    let changed = changed_bodies(&conn)?;
    faults.extend(changed.iter().take(FAULTS_MAX).map(|seq| format!("the body at position {seq} was changed on disk")));
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let perhaps = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    Ok(Examination {
        schema: number("SELECT * FROM pragma_user_version")?,
        schema_known: i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
        engine: format!("SQLite {}", rusqlite::version()),
        events: number("SELECT count(*) FROM inbox WHERE what = 0")?.max(0).cast_unsigned(),
        bytes: place.bytes(),
        alive: perhaps("SELECT max(value) FROM meta WHERE name = 'alive'")?.map(from_ms),
        newest: perhaps("SELECT max(received) FROM (SELECT received FROM inbox ORDER BY seq DESC LIMIT 100)")?
            .map(from_ms),
        youngest: perhaps(YOUNGEST)?.map(SignedDuration::from_millis),
        open: None,
        oldest: perhaps("SELECT received FROM inbox ORDER BY seq LIMIT 1").or_else(none_there)?.map(from_ms),
        troubles: troubles(&conn)?,
        faults,
    })
}

fn none_there(error: rusqlite::Error) -> rusqlite::Result<Option<i64>> {
    if error == rusqlite::Error::QueryReturnedNoRows { Ok(None) } else { Err(error) }
}

fn troubles(conn: &Connection) -> Result<Vec<Trouble>, Error> {
    let mut rows = conn.prepare(TROUBLES)?;
    let rows = rows.query_map([], |row| {
        let count = |column| row.get::<_, i64>(column).map(|count| count.max(0).cast_unsigned());
        let is_failing = Trouble::is_failing(row.get::<_, Option<String>>(4)?.as_deref());
        let (destination, last_error) = (row.get(0)?, row.get(3)?);
        Ok(Trouble { destination, dead: count(1)?, retrying: count(2)?, last_error, is_failing })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What stands in the rows and was never written there: a page may be whole as a page, and hold something else.
fn garbled(conn: &Connection) -> Result<Vec<String>, Error> {
    let states: Vec<String> = State::ALL.iter().map(|state| format!("'{}'", state.name())).collect();
    let looks = [
        ("docs", "NOT json_valid(text)".to_owned()),
        ("paces", "NOT json_valid(pace)".to_owned()),
        ("deliveries", format!("state NOT IN ({})", states.join(", "))),
    ];
    let mut faults = Vec::new();
    for (table, wrong) in looks {
        let count: i64 =
            conn.query_row(&format!("SELECT count(*) FROM {table} WHERE {wrong}"), [], |row| row.get(0))?;
        if count > 0 {
            faults.push(format!("{count} rows of `{table}` hold what was never written there"));
        }
    }
    Ok(faults)
}

/// The places whose bodies aren't those that were verified.
fn changed_bodies(conn: &Connection) -> Result<Vec<Seq>, Error> {
    let mut bodies = conn.prepare("SELECT seq, body, raw FROM inbox")?;
    let mut rows = bodies.query([])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        let raw = row.get_ref(2)?.as_bytes().unwrap_or_default();
        if row.get_ref(1)?.as_i64() != Ok(body_hash(raw).cast_signed()) {
            changed.push(row.get(0)?);
        }
    }
    Ok(changed)
}

/// Reads some documents and the latest events, and leaves no trace: without a write-ahead log nobody has the file open,
/// and it is read without the files beside it that SQLite would make.
pub fn glance(address: &str, base: &Path, wanted: &Wanted<'_>) -> Result<Glance, Error> {
    let place = Location::read(address, base)?.itself()?;
    let conn = if place.beside("-wal").exists() { opened(&place, &place.path)? } else { opened_alone(&place)? };
    // A person waits for the answer, and can do without it.
    conn.busy_timeout(std::time::Duration::from_millis(200))?;
    let docs = planning::docs(&conn, wanted.kind, "", wanted.docs)?;
    let events = inbox::list(&conn, &EventFilter { limit: wanted.events, ..EventFilter::default() })?;
    Ok(Glance {
        docs: docs.into_iter().map(|(_, text)| text).collect(),
        events: events.into_iter().map(|(_, event)| event.read()).collect(),
    })
}

/// Opens a file that no process has open.
fn opened_alone(place: &Location) -> Result<Connection, Error> {
    let escape = |c: char| match c {
        '%' | '?' | '#' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    let path: String = place.path.to_string_lossy().chars().map(escape).collect();
    opened(place, Path::new(&format!("file:{path}?immutable=1")))
}

fn look_into(place: &Location) -> Result<Connection, Error> {
    let conn = opened(place, &place.path)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(conn)
}

/// A connection that can't write, to a database of ours.
fn opened(place: &Location, name: &Path) -> Result<Connection, Error> {
    let shown = place.path.display();
    place.check_files()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE
        | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(name, flags)
        .map_err(|error| Error::Unavailable(format!("can't open the database `{shown}`: {error}")))?;
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if number("application_id")? != APPLICATION {
        return Err(Error::Unusable(format!("`{shown}` is not a database of Fanfare")));
    }
    let version = number("user_version")?;
    if usize::try_from(version).is_ok_and(|version| version > MIGRATIONS.len()) {
        return Err(Error::Unusable(format!("`{shown}` was made by a newer Fanfare (schema {version}): use that one")));
    }
    Ok(conn)
}
