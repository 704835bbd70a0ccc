//! The schema, a file a step, and how far a database has come.

use super::link::{Lines, PEOPLE_MAX, Tx, get, given, within};
use crate::store::Error;

/// Never change one that was released: add the next.
pub(super) const STEPS: &[&str] = &[
    include_str!("0001_inbox.sql"),
    include_str!("0002_planner.sql"),
    include_str!("0003_deliveries.sql"),
    include_str!("0004_lanes.sql"),
];

/// The number that those who bring the schema up to date at the same time wait for each other by: `Fanf`.
const LOCK: i64 = 0x4661_6e66;

/// Brings the schema up to date. Any number may do so at once; one does it, the others wait and find it done.
pub(super) async fn migrate(lines: &Lines) -> Result<(), Error> {
    within(PEOPLE_MAX, async {
        let tx = lines.begin(PEOPLE_MAX).await?;
        let result = step_up(&tx).await;
        tx.end(result).await
    })
    .await
}

async fn step_up(tx: &Tx) -> Result<(), Error> {
    // It ends with the transaction, as all locks here do.
    tx.rows("SELECT pg_advisory_xact_lock($1)", given![LOCK]).await?;
    let done = version(tx).await?.unwrap_or(0);
    if done > STEPS.len() {
        return Err(newer(done));
    }
    if done == STEPS.len() {
        return Ok(());
    }
    let client = tx.client()?;
    if done == 0 {
        client.batch_execute("CREATE TABLE fanfare (schema bigint NOT NULL); INSERT INTO fanfare VALUES (0)").await?;
    }
    for step in STEPS.iter().skip(done) {
        client.batch_execute(step).await.map_err(|error| match error.code() {
            Some(&tokio_postgres::error::SqlState::DUPLICATE_TABLE) => Error::Unusable(
                "the database has tables of another program: give Fanfare a database, or a role and schema, of its own"
                    .into(),
            ),
            _ => error.into(),
        })?;
    }
    let now = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    tx.run("UPDATE fanfare SET schema = $1", given![now]).await.map(drop)
}

/// The number of the schema; `None` where there is none.
pub(super) async fn version(link: &super::link::Link) -> Result<Option<usize>, Error> {
    let there = link.one("SELECT to_regclass('fanfare') IS NOT NULL", given![]).await?;
    if !get::<bool>(&there, 0)? {
        return Ok(None);
    }
    let row = link.one("SELECT schema FROM fanfare", given![]).await?;
    Ok(Some(usize::try_from(get::<i64>(&row, 0)?).unwrap_or(usize::MAX)))
}

/// Made by a program that knows more.
pub(super) fn newer(version: usize) -> Error {
    Error::Unusable(format!("the database was made by a newer Fanfare (schema {version}): use that one"))
}
