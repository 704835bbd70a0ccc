//! A connection while it is borrowed: asking on it, and transactions.
//!
//! Nothing is left on a connection that its next borrower could meet, since behind a pooler in transaction mode that may
//! be another program: every statement is unnamed, every setting ends with its transaction, no lock outlives one. A
//! connection whose last answer is not known is closed, never given back.

use std::borrow::Cow;
use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::types::{FromSqlOwned, ToSql, Type};
use tokio_postgres::{Client, Row};

use super::error::closed;
use crate::store::Error;
use crate::store::rows::unreadable;

/// How long anything may take that a step waits for: after that the answer is [`Error::Unavailable`].
pub(super) const STEP_MAX: Duration = Duration::from_secs(5);

/// The same for what people ask, and for retention, which may read much.
pub(super) const PEOPLE_MAX: Duration = Duration::from_secs(20);

/// Where connections come from.
pub(super) struct Lines {
    pool: Pool,
    /// The level that commits are made at.
    durable: &'static str,
    /// People's questions take part of the connections, so that no listing keeps a step waiting.
    people: Semaphore,
    closed: AtomicBool,
}

impl Lines {
    /// Connections from this pool; `durable` is the level that commits are made at.
    pub fn new(pool: Pool, durable: &'static str) -> Self {
        let people = Semaphore::new(pool.status().max_size.div_ceil(2));
        Self { pool, durable, people, closed: AtomicBool::new(false) }
    }

    /// A connection.
    pub async fn link(&self) -> Result<Link, Error> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        Ok(Link(Some(self.pool.get().await?)))
    }

    /// A connection in a transaction, whose statements may take so long.
    pub async fn begin(&self, limit: Duration) -> Result<Tx, Error> {
        let tx = self.prepare(limit).await?;
        tx.begin().await?;
        Ok(tx)
    }

    /// The same, but that it begins with [`Tx::begin`], which may be sent together with its first statements.
    pub async fn prepare(&self, limit: Duration) -> Result<Tx, Error> {
        Ok(Tx { link: self.link().await?, opening: self.opening(limit) })
    }

    /// Does one thing in a transaction of its own, all sent at once.
    pub async fn run_alone(&self, sql: &str, given: &[Given<'_>]) -> Result<Vec<Row>, Error> {
        let tx = self.prepare(STEP_MAX).await?;
        // Where the statement fails, what is called a commit rolls back.
        let (begun, ran, committed) = tokio::join!(biased; tx.begin(), tx.rows(sql, given), tx.send_commit());
        tx.ended(begun.and(ran).and_then(|rows| committed.map(|()| rows)))
    }

    /// How a transaction begins.
    fn opening(&self, limit: Duration) -> String {
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = {}; \
             SET LOCAL statement_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = {}",
            self.durable,
            limit.as_millis(),
            2 * limit.as_millis(),
        )
    }

    /// A place among those who ask for people.
    pub async fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.people.acquire().await.map_err(|_| closed())
    }

    /// Gives out no connection any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.people.close();
        self.pool.close();
    }
}

/// What takes longer is not waited for: whether it came about is not known.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Unavailable(format!("PostgreSQL did not answer within {} s", limit.as_secs()))),
    }
}

/// A borrowed connection. Closed when dropped, unless it was given back with [`Link::end`].
pub(super) struct Link(Option<Object>);

impl Link {
    /// The connection itself.
    pub fn client(&self) -> Result<&Client, Error> {
        self.0.as_ref().map(|object| &***object).ok_or_else(closed)
    }

    /// All rows of an answer.
    pub async fn rows(&self, sql: &str, given: &[Given<'_>]) -> Result<Vec<Row>, Error> {
        Ok(self.client()?.query_typed(sql, given).await?)
    }

    /// The first row, if there is one.
    pub async fn first(&self, sql: &str, given: &[Given<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, given).await?.into_iter().next())
    }

    /// The first row, which must be there.
    pub async fn one(&self, sql: &str, given: &[Given<'_>]) -> Result<Row, Error> {
        self.first(sql, given).await?.ok_or_else(|| unreadable("a row that every store has is missing"))
    }

    /// Does something that answers nothing. Gives how many rows it came to.
    pub async fn run(&self, sql: &str, given: &[Given<'_>]) -> Result<u64, Error> {
        Ok(self.client()?.execute_typed(sql, given).await?)
    }

    /// If all went well, others may have the connection.
    pub fn end<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_ok() {
            drop(self.0.take());
        }
        result
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// A connection in a transaction. Dropped before its end, it is rolled back, since its connection is closed.
pub(super) struct Tx {
    link: Link,
    opening: String,
}

impl Deref for Tx {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl Tx {
    /// Begins.
    pub async fn begin(&self) -> Result<(), Error> {
        Ok(self.client()?.batch_execute(&self.opening).await?)
    }

    /// Commits, which may be sent together with the last statements: after one that failed it rolls back. If its answer is
    /// lost, so is whether it came about: [`Error::Unavailable`]. Then comes [`Tx::ended`].
    pub async fn send_commit(&self) -> Result<(), Error> {
        Ok(self.client()?.batch_execute("COMMIT").await?)
    }

    /// It has ended. If all went well, others may have the connection.
    pub fn ended<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        self.link.end(result)
    }

    /// Commits, or rolls back where something went wrong.
    pub async fn end<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Ok(value) => {
                let committed = self.send_commit().await;
                self.ended(committed.map(|()| value))
            }
            Err(error) => {
                let rolled = self.client()?.batch_execute("ROLLBACK").await;
                let _ = self.ended(rolled.map_err(Error::from));
                Err(error)
            }
        }
    }
}

/// A parameter with its type, so that no statement need be prepared to know it.
pub(super) type Given<'a> = (&'a (dyn ToSql + Sync), Type);

/// What can be a parameter.
pub(super) trait Bind: ToSql + Sync {
    /// Its type.
    const TYPE: Type;
}

macro_rules! kinds {
    ($($rust:ty: $kind:ident / $array:ident),+ $(,)?) => { $(
        impl Bind for $rust { const TYPE: Type = Type::$kind; }
        impl Bind for Option<$rust> { const TYPE: Type = Type::$kind; }
        impl Bind for Vec<$rust> { const TYPE: Type = Type::$array; }
        impl Bind for Vec<Option<$rust>> { const TYPE: Type = Type::$array; }
    )+ };
}

kinds! {
    i64: INT8 / INT8_ARRAY,
    bool: BOOL / BOOL_ARRAY,
    String: TEXT / TEXT_ARRAY,
    &str: TEXT / TEXT_ARRAY,
    Cow<'_, str>: TEXT / TEXT_ARRAY,
    &[u8]: BYTEA / BYTEA_ARRAY,
}

/// A value as a parameter.
pub(super) fn give<T: Bind>(value: &T) -> Given<'_> {
    (value, T::TYPE)
}

/// Parameters, in order.
macro_rules! given {
    ($($value:expr),* $(,)?) => { &[$($crate::store::postgres::link::give(&$value)),*] };
}
pub(super) use given;

/// Stands for NUL in text, which PostgreSQL can't hold, and for itself, each with a letter behind it.
const MARK: char = '\u{10ffff}';

/// Text as PostgreSQL can hold it. Equal texts stay equal, and a beginning stays a beginning.
pub(super) fn held(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut held = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => held.extend([MARK, '0']),
            MARK => held.extend([MARK, '1']),
            c => held.push(c),
        }
    }
    Cow::Owned(held)
}

/// The text that [`held`] was given.
pub(super) fn told(held: String) -> String {
    if !held.contains(MARK) {
        return held;
    }
    let mut text = String::with_capacity(held.len());
    let mut rest = held.chars();
    while let Some(c) = rest.next() {
        text.push(match c {
            MARK if rest.next() == Some('0') => '\0',
            c => c,
        });
    }
    text
}

/// A column's value.
pub(super) fn get<T: FromSqlOwned>(row: &Row, column: usize) -> Result<T, Error> {
    row.try_get(column).map_err(unreadable)
}

/// A column's text.
pub(super) fn text(row: &Row, column: usize) -> Result<String, Error> {
    get(row, column).map(told)
}

/// A column's text, if there is any.
pub(super) fn maybe_text(row: &Row, column: usize) -> Result<Option<String>, Error> {
    Ok(get::<Option<String>>(row, column)?.map(told))
}

/// A count as PostgreSQL takes it.
pub(super) fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
