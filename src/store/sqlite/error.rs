//! What SQLite's errors mean to those who use a store.

use rusqlite::ErrorCode;

use crate::store::Error;
use crate::store::rows::unreadable;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            return unreadable(&error);
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::SystemIoFailure => Self::Broken(error.to_string()),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => damaged(&error),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// The file holds what was never written there: nobody writes to it any more.
pub(super) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Unusable(format!(
        "the database is damaged ({what}): stop Fanfare, keep a copy of the file and of its `-wal` file, and restore a backup"
    ))
}
