//! Room that is kept for the day on which the disk is full.
//!
//! A file beside the database, filled so that no file system makes nothing of it. When a commit finds the disk full, the
//! file is deleted: from then on no event is taken in (its sender comes again), and what is under way can still be
//! settled. When the file can be written again, all is as before. Where the database's size is limited, the limit is
//! lifted by as much.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connect::{Location, PAGE_BYTES, private};
use crate::store::Error;

/// How much is kept.
const BYTES: u64 = 8 << 20;

/// How many pages must be free under a limit before events are taken in again.
const PAGES_FREE: u64 = 64;

/// The reserve of one database.
pub(super) struct Reserve {
    path: PathBuf,
    max_pages: Option<u64>,
    spent: bool,
    tried: Option<Instant>,
}

impl Reserve {
    /// The reserve of the database at this place; sets the limit. Where the database was used before and the reserve is
    /// gone, it was set free on a full disk: it is made again at once, or is spent from the start. Otherwise anyone who
    /// looks after the file makes it, since nobody need wait for that.
    pub fn new(place: &Location, conn: &Connection, was_used: bool) -> Result<Self, Error> {
        let path = place.beside(".reserve");
        let mut reserve = Self { path, max_pages: place.max_pages, spent: false, tried: None };
        reserve.limit(conn, 0)?;
        reserve.spent = was_used && !(reserve.has_pages(conn)? && make(&reserve.path));
        if reserve.spent {
            tracing::warn!(
                reserve = %reserve.path.display(),
                "the disk is full, and the reserve can't be made again: Fanfare accepts no event until space is free; deliveries in progress continue as far as possible"
            );
            reserve.limit(conn, BYTES / PAGE_BYTES)?;
        }
        Ok(reserve)
    }

    /// Whether it was set free and could not be made again so far.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Sets it free. `false` if it was free already.
    pub fn spend(&mut self, conn: &Connection) -> bool {
        if self.spent {
            return false;
        }
        self.spent = true;
        self.tried = Some(Instant::now());
        // Where it was never made there is nothing to delete.
        let _ = std::fs::remove_file(&self.path);
        self.limit(conn, BYTES / PAGE_BYTES).is_ok()
    }

    /// Makes it again, if there is room; tried once in `every`.
    pub fn try_restore(&mut self, conn: &Connection, every: Duration) {
        if self.tried.is_some_and(|tried| tried.elapsed() < every) {
            return;
        }
        self.tried = Some(Instant::now());
        let restored = self.has_pages(conn).unwrap_or(false) && make(&self.path) && self.limit(conn, 0).is_ok();
        self.spent = !restored;
    }

    fn has_pages(&self, conn: &Connection) -> Result<bool, Error> {
        let Some(max_pages) = self.max_pages else { return Ok(true) };
        let pages = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let used = pages("page_count")? - pages("freelist_count")?;
        Ok(used.max(0).cast_unsigned() + PAGES_FREE <= max_pages)
    }

    fn limit(&self, conn: &Connection, more: u64) -> Result<(), Error> {
        if let Some(max_pages) = self.max_pages {
            let pages = i64::try_from(max_pages.saturating_add(more)).unwrap_or(i64::MAX);
            conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(())
    }
}

/// Sets the reserve of a database free that could not be opened, if that was for want of room: opening takes some, and
/// what is under way is to be settled. `false` if there is nothing to be had by it.
pub(super) fn gave_way(place: &Location, error: &Error) -> bool {
    let is_full = match error {
        Error::Full => true,
        // What SQLite says where it can't make the files beside the database.
        Error::Broken(_) => has_no_room(&place.beside(".room")),
        _ => false,
    };
    is_full && std::fs::remove_file(place.beside(".reserve")).is_ok()
}

/// Whether a file of some pages can't be written for want of room.
fn has_no_room(path: &std::path::Path) -> bool {
    let written = private(path).and_then(|mut file| file.write_all(&[0; 64 << 10]).and_then(|()| file.sync_all()));
    // It may never have come to be.
    let _ = std::fs::remove_file(path);
    written.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
}

/// Writes the file, readable for nobody else, if it isn't there. `false`, and nothing is left of it, if there is no room.
pub(super) fn make(path: &std::path::Path) -> bool {
    if path.metadata().is_ok_and(|meta| meta.len() >= BYTES) {
        // Earlier versions left it readable for others: there is nothing in it, and still it looks like a mistake.
        let _ = std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600));
        return true;
    }
    let made = write(path).is_ok();
    if !made {
        // It may never have come to be.
        let _ = std::fs::remove_file(path);
    }
    made
}

fn write(path: &std::path::Path) -> std::io::Result<()> {
    let mut file = private(path)?;
    file.set_len(0)?;
    let mut block = [0u8; 64 << 10];
    let mut written = 0;
    while written < BYTES {
        fastrand::fill(&mut block);
        file.write_all(&block)?;
        written += block.len() as u64;
    }
    file.sync_all()
}
