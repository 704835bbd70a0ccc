//! What SQLite's errors mean to those who use a store.

use rusqlite::ErrorCode;

use crate::store::Error;

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

/// One row can't be read; the others can.
pub(super) fn unreadable(what: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("a row can't be read ({what}): restore a backup, or let `doctor` look at the store"))
}

/// Text that was written as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(unreadable)
}

/// A value as JSON.
pub(super) fn text<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Unavailable(format!("can't be written as JSON: {error}")))
}
