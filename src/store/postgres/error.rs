//! What PostgreSQL's errors mean to those who use a store.

use tokio_postgres::error::SqlState;

use crate::store::Error;

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::DISK_FULL) => Self::Full,
            _ => Self::Unavailable(told(&error)),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            deadpool_postgres::PoolError::Timeout(_) => {
                Self::Unavailable("PostgreSQL gave no connection in time".into())
            }
            deadpool_postgres::PoolError::Closed => closed(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// The store was closed on purpose.
pub(super) fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

/// What the server, or the network, says. Neither repeats a password.
fn told(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("PostgreSQL says: {} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
