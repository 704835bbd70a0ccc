//! Which files a database was opened with, and what became of them since: a file that is deleted, replaced or cut must not be
//! overlooked. Reads the files' names and sizes, and of the log a few bytes.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use super::connect::{Location, WAL_KEPT};

/// What stands before the log's frames, in bytes.
const WAL_HEADER: u64 = 32;

/// The two files that hold what was committed: device, number and length in bytes of each; none if it isn't there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub database: Option<(u64, u64, u64)>,
    pub log: Option<(u64, u64, u64)>,
}

impl Identity {
    /// What became of these files: the first that isn't the same any more, or is shorter than it can have become by itself.
    pub fn lost(&self, now: &Self) -> Option<Lost> {
        let is_other = |before: Option<(u64, u64, u64)>, now: Option<(u64, u64, u64)>| {
            before.map(|file| (file.0, file.1)) != now.map(|file| (file.0, file.1))
        };
        let is_cut = |before: Option<(u64, u64, u64)>, now: Option<(u64, u64, u64)>, kept: u64| {
            now.is_some_and(|now| before.is_some_and(|before| now.2 < before.2.min(kept)))
        };
        match () {
            // Nothing takes pages away from the database; a log that starts anew is cut to what is kept.
            () if is_other(self.database, now.database) || is_cut(self.database, now.database, u64::MAX) => {
                Some(Lost::Database)
            }
            () if is_other(self.log, now.log) => Some(Lost::Log),
            () if is_cut(self.log, now.log, WAL_KEPT) => Some(Lost::LogsEnd),
            () => None,
        }
    }
}

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The database's file, or its end.
    Database,
    /// The log's name: anyone who has it open still has all of it.
    Log,
    /// The end of the log.
    LogsEnd,
}

impl Location {
    /// Which files stand there now.
    pub fn identity(&self) -> Identity {
        let of = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino(), meta.len()));
        Identity { database: of(&self.path), log: of(&self.beside("-wal")) }
    }

    /// Whether the log was cut short and has grown again since it was this long, in bytes: where its first or its last
    /// frame stood then, there is nothing now. (SQLite, "WAL-mode File Format": 32 bytes of header with the size of a page
    /// at 8, then frames of 24 bytes and a page, which start with the page's number.)
    pub fn has_hole(&self, before: u64) -> bool {
        let Ok(log) = File::open(self.beside("-wal")) else { return false };
        let number = |at: u64| {
            let mut four = [0; 4];
            log.read_exact_at(&mut four, at).ok().map(|()| u32::from_be_bytes(four))
        };
        let (Some(kind), Some(page)) = (number(0), number(8)) else { return false };
        let frame = 24 + u64::from(page);
        let frames = before.saturating_sub(WAL_HEADER) / frame;
        frames > 0 && (kind == 0 || number(WAL_HEADER + (frames - 1) * frame) == Some(0))
    }
}
