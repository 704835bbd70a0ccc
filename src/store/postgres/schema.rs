//! The schema, a file a step, and how far a database has come.

use tokio_postgres::error::SqlState;

use super::link::{Lines, PEOPLE_MAX, Tx, get, given, within};
use crate::store::Error;

/// One of the schema's steps.
pub(super) struct Step {
    sql: &'static str,
    /// The schema that a program must know at least to go on beside those that made this step. A step that only adds, a
    /// table, an index, a column with a default, names the newest schema of the version before: replicas of both run at
    /// once while one after the other is replaced. What no version uses any longer, a step of the version after removes.
    oldest: usize,
}

/// Never change one that was released: add the next.
pub(super) const STEPS: &[Step] = &[
    Step { sql: include_str!("0001_inbox.sql"), oldest: 1 },
    Step { sql: include_str!("0002_planner.sql"), oldest: 2 },
    Step { sql: include_str!("0003_deliveries.sql"), oldest: 3 },
    Step { sql: include_str!("0004_lanes.sql"), oldest: 4 },
    Step { sql: include_str!("0005_rolling.sql"), oldest: 4 },
    Step { sql: include_str!("0006_tallies.sql"), oldest: 4 },
];

/// The step from which on the database says which programs may use it.
const ROLLING: usize = 5;

/// The number that those who bring the schema up to date at the same time wait for each other by: `Fanf`.
const LOCK: i64 = 0x4661_6e66;

/// How an attempt to bring the schema up to date ended.
#[derive(PartialEq, Eq)]
enum Ended {
    Done,
    Deadlock,
}

/// Brings the schema up to date. Any number may do so at once; one does it, the others wait and find it done. Replicas of
/// the version before go on meanwhile: they use the tables in another order than the steps change them, so PostgreSQL may
/// break a deadlock at the cost of a step, a second after it arose.
pub(super) async fn migrate(lines: &Lines) -> Result<(), Error> {
    within(PEOPLE_MAX, async {
        loop {
            let tx = lines.begin(PEOPLE_MAX).await?;
            let result = step_up(&tx).await;
            if tx.end(result).await? == Ended::Done {
                return Ok(());
            }
        }
    })
    .await
}

async fn step_up(tx: &Tx) -> Result<Ended, Error> {
    // It ends with the transaction, as all locks here do.
    tx.rows("SELECT pg_advisory_xact_lock($1)", given![LOCK]).await?;
    let done = version(tx).await?.unwrap_or(0);
    if done >= STEPS.len() {
        return is_for_us(tx, done).await.map(|()| Ended::Done);
    }
    let client = tx.client()?;
    if done == 0 {
        client.batch_execute("CREATE TABLE fanfare (schema bigint NOT NULL); INSERT INTO fanfare VALUES (0)").await?;
    }
    for step in STEPS.iter().skip(done) {
        let Err(error) = client.batch_execute(step.sql).await else { continue };
        return match error.code() {
            Some(&SqlState::T_R_DEADLOCK_DETECTED) => Ok(Ended::Deadlock),
            Some(&SqlState::DUPLICATE_TABLE) => Err(Error::Unusable(
                "the database has tables of another program: give Fanfare a database, or a role and schema, of its own"
                    .into(),
            )),
            _ => Err(error.into()),
        };
    }
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let oldest = STEPS.iter().map(|step| step.oldest).max().unwrap_or(0);
    let set = "UPDATE fanfare SET schema = $1, oldest = $2";
    tx.run(set, given![number(STEPS.len()), number(oldest)]).await?;
    Ok(Ended::Done)
}

/// Whether this program may use a database of this schema: one that the next version brought up to date, too, if that
/// only added to it.
pub(super) async fn is_for_us(link: &super::link::Link, version: usize) -> Result<(), Error> {
    if version <= STEPS.len() {
        return Ok(());
    }
    if version >= ROLLING {
        let row = link.one("SELECT oldest FROM fanfare", given![]).await?;
        if usize::try_from(get::<i64>(&row, 0)?).is_ok_and(|oldest| oldest <= STEPS.len()) {
            return Ok(());
        }
    }
    Err(newer(version))
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
fn newer(version: usize) -> Error {
    Error::Unusable(format!("the database was made by a newer Fanfare (schema {version}): use that one"))
}
