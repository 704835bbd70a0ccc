//! Deliveries as rows: planned, read, written back, listed.

use std::fmt::Write as _;

use jiff::Timestamp;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params_from_iter};
use serde::de::DeserializeOwned;

use super::writer::WriterState;
use crate::clock::from_ms;
use crate::delivery::{Attempt, AttemptOutcome, Delivery, DeliveryId, Lane, MessageOp, NewDelivery, State};
use crate::event::Seq;
use crate::pace::Pace;
use crate::planner::Cancel;
use crate::store::rows::{self, json, text, unsaid, word};
use crate::store::transitions::Row;
use crate::store::{Census, DeliveryFilter, Error, Standing};

/// The columns of a delivery, in the order that [`stored`] reads them.
const COLUMNS: &str = "d.n, d.id, d.event, d.rule, d.action, d.destination, d.act, d.lane, d.due, d.state, d.next,
    d.attempts, d.first_attempt, d.counts_from, d.plain, d.last_error, d.created, d.finished, d.token, d.started,
    d.lost, c.assignment, c.message FROM deliveries AS d JOIN contents AS c ON c.n = d.n";

/// The place of the delivery with this id.
const PLACE: &str = "SELECT n FROM deliveries WHERE id = ?";

/// The newest place before that of the delivery with this id, or of all where none is named.
const NEWEST: &str = "SELECT max(n) FROM deliveries WHERE n < CASE WHEN ? IS NULL THEN 9223372036854775807
    ELSE (SELECT n FROM deliveries WHERE id = ?) END";

/// A delivery and its place in the order of planning.
#[derive(Debug)]
pub(super) struct Stored {
    pub n: i64,
    pub row: Row,
}

impl WriterState {
    /// Makes a delivery. `false` if it was made before.
    pub fn insert_delivery(&mut self, planned: &NewDelivery, now: Timestamp) -> Result<bool, Error> {
        let Row { delivery, .. } = Row::new(planned.clone(), now);
        let planned = &delivery.planned;
        let made = self
            .conn
            .prepare_cached(
                "INSERT INTO deliveries (id, event, rule, action, destination, act, lane, due, state, next, attempts,
                                         plain, created, token, lost)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, 0, 0, ?10, 0, 0) ON CONFLICT (id) DO NOTHING",
            )?
            .execute((
                planned.id.as_str(),
                planned.event,
                &planned.rule,
                &planned.action,
                &planned.destination,
                word(&planned.act)?,
                planned.lane.as_ref().map(|lane| &lane.0),
                planned.due.as_millisecond(),
                delivery.state.name(),
                delivery.created.as_millisecond(),
            ))?;
        if made == 0 {
            return Ok(false);
        }
        let n = self.conn.last_insert_rowid();
        let assignment = text(&planned.assignment)?;
        self.written += assignment.len() as u64 + 2048;
        self.conn.prepare_cached("INSERT INTO contents (n, assignment) VALUES (?1, ?2)")?.execute((n, assignment))?;
        let mut needs = self.conn.prepare_cached("INSERT OR IGNORE INTO delivery_events (n, seq) VALUES (?1, ?2)")?;
        for seq in
            planned.assignment.events.iter().chain([&planned.assignment.event]).filter(|seq| **seq != planned.event)
        {
            needs.execute((n, seq))?;
        }
        Ok(true)
    }

    /// Calls off what a lane has untried.
    pub fn cancel_untried(&mut self, cancel: &Cancel, now: Timestamp) -> Result<(), Error> {
        let all: Vec<i64> = self
            .conn
            .prepare_cached(
                "SELECT n FROM deliveries
                  WHERE lane = ?1 AND lane IS NOT NULL AND state IN ('due', 'sending', 'retrying') ORDER BY n",
            )?
            .query_map([&cancel.lane.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for n in all {
            if let Some(mut stored) = self.delivery_at(n)?
                && stored.row.is_replaced_by(cancel)
                && stored.row.cancel(&cancel.reason, now)
            {
                self.update_delivery(&stored)?;
                self.free_lane(&stored, now)?;
            }
        }
        Ok(())
    }

    /// Makes deliveries due, to be rendered anew.
    pub fn revive(&mut self, ids: &[DeliveryId], now: Timestamp) -> Result<u64, Error> {
        let mut revived = 0;
        for id in ids {
            if let Some(mut stored) = self.delivery_named(id)?
                && stored.row.revive(self.is_closed(&stored.row.delivery.planned)?, now)
            {
                self.update_delivery(&stored)?;
                self.conn
                    .prepare_cached("UPDATE contents SET message = ?2 WHERE n = ?1")?
                    .execute((stored.n, &stored.row.delivery.message))?;
                revived += 1;
            }
        }
        Ok(revived)
    }

    /// Calls deliveries off.
    pub fn cancel(&mut self, ids: &[DeliveryId], reason: &str, now: Timestamp) -> Result<u64, Error> {
        let mut cancelled = 0;
        for id in ids {
            if let Some(mut stored) = self.delivery_named(id)?
                && stored.row.cancel(reason, now)
            {
                self.update_delivery(&stored)?;
                self.free_lane(&stored, now)?;
                cancelled += 1;
            }
        }
        Ok(cancelled)
    }

    /// The delivery at a place of the order.
    pub fn delivery_at(&self, n: i64) -> Result<Option<Stored>, Error> {
        let mut row = self.conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE d.n = ?1"))?;
        let mut rows = row.query([n])?;
        rows.next()?.map(stored).transpose()
    }

    /// The delivery with this id.
    pub fn delivery_named(&self, id: &DeliveryId) -> Result<Option<Stored>, Error> {
        named(&self.conn, id)
    }

    /// Writes back what may have changed, except for the message. `OR FAIL`, since a job that fails is undone as a whole:
    /// otherwise SQLite copies each page first, to undo the statement alone, because it has triggers.
    pub fn update_delivery(&mut self, stored: &Stored) -> Result<(), Error> {
        let Row { delivery, token, started, lost } = &stored.row;
        self.written += 8192;
        self.conn
            .prepare_cached(
                "UPDATE OR FAIL deliveries SET state = ?2, next = ?3, attempts = ?4, first_attempt = ?5, counts_from = ?6,
                        plain = ?7, last_error = ?8, finished = ?9, token = ?10, started = ?11, lost = ?12
                  WHERE n = ?1",
            )?
            .execute((
                stored.n,
                delivery.state.name(),
                delivery.next.as_millisecond(),
                delivery.attempts,
                delivery.first_attempt.map(Timestamp::as_millisecond),
                delivery.counts_from.map(Timestamp::as_millisecond),
                delivery.plain,
                &delivery.last_error,
                delivery.finished.map(Timestamp::as_millisecond),
                token.cast_signed(),
                started.map(Timestamp::as_millisecond),
                lost,
            ))?;
        Ok(())
    }

    /// Records an attempt.
    pub fn insert_attempt(&mut self, n: i64, attempt: &Attempt) -> Result<(), Error> {
        self.written += (attempt.sent.len() + attempt.answer.len()) as u64 + 4096;
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO attempts (n, number, at, took_ms, outcome, sent, answer)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                n,
                attempt.number,
                attempt.at.as_millisecond(),
                i64::try_from(attempt.took_ms).unwrap_or(i64::MAX),
                attempt.outcome.name(),
                &attempt.sent,
                &attempt.answer,
            ))?;
        Ok(())
    }
}

fn named(conn: &Connection, id: &DeliveryId) -> Result<Option<Stored>, Error> {
    let mut row = conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE d.id = ?1"))?;
    let mut rows = row.query([id.as_str()])?;
    rows.next()?.map(stored).transpose()
}

/// A delivery and its attempts.
pub(super) fn delivery(conn: &Connection, id: &DeliveryId) -> Result<Option<(Delivery, Vec<Attempt>)>, Error> {
    let tx = conn.unchecked_transaction()?;
    let Some(stored) = named(&tx, id)? else { return Ok(None) };
    let mut rows = tx.prepare_cached(
        "SELECT number, at, took_ms, outcome, sent, answer FROM attempts WHERE n = ?1 ORDER BY number",
    )?;
    let mut rows = rows.query([stored.n])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        attempts.push(Attempt {
            number: row.get(0)?,
            at: from_ms(row.get(1)?),
            took_ms: row.get::<_, i64>(2)?.max(0).cast_unsigned(),
            outcome: of_word::<AttemptOutcome>(row, 3)?,
            sent: row.get(4)?,
            answer: row.get(5)?,
        });
    }
    Ok(Some((stored.row.delivery, attempts)))
}

/// Lists deliveries, newest first.
pub(super) fn list(conn: &Connection, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Error> {
    let mut sql = format!("SELECT {COLUMNS} WHERE 1");
    let mut given: Vec<Sql> = Vec::new();
    let mut and = |term: &str, value: Sql| {
        given.push(value);
        // Writing to a String never fails.
        let _ = write!(sql, " AND {}", term.replace('?', &format!("?{}", given.len())));
    };
    if let Some(destination) = &filter.destination {
        and("d.destination = ?", destination.clone().into());
    }
    if let Some(rule) = &filter.rule {
        and("d.rule = ?", rule.clone().into());
    }
    if let Some(since) = filter.since {
        and("d.created >= ?", since.as_millisecond().into());
    }
    if let Some(before) = &filter.before {
        and(&format!("d.n < ({PLACE})"), before.0.clone().into());
    }
    if let Some(within) = filter.within {
        // Bound as null where there is no such delivery; then all are meant.
        let before = filter.before.as_ref().map(|id| id.0.clone());
        and(&format!("d.n > ({NEWEST}) - {}", i64::try_from(within).unwrap_or(i64::MAX)), before.into());
    }
    if !filter.lanes.is_empty() {
        let from = given.len() + 1;
        given.extend(filter.lanes.iter().map(|lane| Sql::from(lane.0.clone())));
        let names: Vec<String> = (from..=given.len()).map(|n| format!("?{n}")).collect();
        let _ = write!(sql, " AND d.lane IN ({})", names.join(", "));
    }
    if !filter.events.is_empty() {
        let events: Vec<String> = filter.events.iter().map(Seq::to_string).collect();
        let events = events.join(", ");
        // As one list of rows: each of its halves by an index of its own.
        let _ = write!(
            sql,
            " AND d.n IN (SELECT e.n FROM deliveries AS e WHERE e.event IN ({events})
                  UNION ALL SELECT n FROM delivery_events WHERE seq IN ({events}))"
        );
    }
    if !filter.states.is_empty() {
        let words: Vec<String> = filter.states.iter().map(|state| format!("'{state}'")).collect();
        let _ = match filter.states.iter().all(|state| !matches!(state, State::Delivered | State::Cancelled)) {
            // Few among many: found by the indexes that hold only such.
            true => write!(sql, " AND d.n IN ({})", rare(&filter.states)),
            false => write!(sql, " AND d.state IN ({})", words.join(", ")),
        };
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let _ = write!(sql, " ORDER BY d.n DESC LIMIT {} OFFSET {}", count(filter.limit), count(filter.skip));
    let mut rows = conn.prepare_cached(&sql)?;
    let mut rows = rows.query(params_from_iter(given))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(stored(row)?.row.delivery);
    }
    Ok(found)
}

/// Finds deliveries in states that few are in, each by the index that knows it.
fn rare(states: &[State]) -> String {
    let waiting = "state IN ('due', 'retrying')";
    let found = states.iter().map(|word| match word {
        State::Due | State::Retrying => format!("SELECT n FROM deliveries WHERE {waiting} AND state = '{word}'"),
        State::Sending => "SELECT n FROM deliveries WHERE state = 'sending'".to_owned(),
        State::Delivered | State::Dead | State::Cancelled => {
            format!("SELECT n FROM deliveries WHERE state IN ('delivered', 'dead', 'cancelled') AND state = '{word}'")
        }
    });
    found.collect::<Vec<_>>().join(" UNION ALL ")
}

/// The last of `many` that were planned before this one, unless it is the last of all.
pub(super) fn beyond(conn: &Connection, before: Option<&DeliveryId>, many: usize) -> Result<Option<DeliveryId>, Error> {
    let after = format!("({}) - ?2", NEWEST.replace('?', "?1"));
    let mut row = conn.prepare_cached(&format!(
        "SELECT id FROM deliveries WHERE n > {after} AND EXISTS (SELECT 1 FROM deliveries WHERE n <= {after})
          ORDER BY n LIMIT 1"
    ))?;
    let given = (before.map(DeliveryId::as_str), i64::try_from(many).unwrap_or(i64::MAX));
    Ok(row.query_row(given, |row| row.get(0).map(DeliveryId)).optional()?)
}

/// The destinations for which deliveries wait or are under way.
pub(super) fn waiting_destinations(conn: &Connection) -> Result<Vec<String>, Error> {
    let mut all = std::collections::BTreeSet::new();
    for waiting in ["state IN ('due', 'retrying')", "state = 'sending'"] {
        // From one destination to the next by their index, since very many deliveries may wait for each.
        let sql = format!("SELECT min(destination) FROM deliveries WHERE {waiting} AND destination > ?1");
        let mut next = conn.prepare_cached(&sql)?;
        let mut last = String::new();
        while let Some(destination) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
            all.insert(destination.clone());
            last = destination;
        }
    }
    Ok(all.into_iter().collect())
}

/// How each destination stands.
pub(super) fn standings(conn: &Connection) -> Result<Vec<Standing>, Error> {
    let mut rows = conn.prepare_cached("SELECT destination, pace FROM paces ORDER BY destination")?;
    let mut rows = rows.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(Standing {
            destination: row.get(0)?,
            pace: json::<Pace>(&row.get::<_, String>(1)?).unwrap_or_default(),
        });
    }
    Ok(all)
}

/// How the store stands, except for its size.
pub(super) fn census(conn: &Connection) -> Result<Census, Error> {
    let tx = conn.unchecked_transaction()?;
    let number = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    let planned = number("SELECT value FROM meta WHERE name = 'planned'")?.unwrap_or(0);
    let head = number("SELECT max(seq) FROM inbox")?.unwrap_or(0).max(planned);
    let counted = |what: &str| {
        let mut row = tx.prepare_cached("SELECT n FROM counts WHERE what = ?1")?;
        let n = row.query_row([what], |row| row.get::<_, i64>(0)).optional()?;
        Ok::<u64, Error>(n.unwrap_or(0).max(0).cast_unsigned())
    };
    let deliveries = State::ALL.into_iter().map(|state| Ok((state, counted(state.name())?)));
    let deliveries = deliveries.collect::<Result<_, Error>>()?;
    let oldest_due = number("SELECT min(next) FROM deliveries WHERE state IN ('due', 'retrying')")?.map(from_ms);
    Ok(Census { head, planned, deliveries, oldest_due, timers: counted("timers")?, bytes: 0 })
}

fn stored(row: &SqlRow<'_>) -> Result<Stored, Error> {
    let at = |column: usize| row.get::<_, i64>(column).map(from_ms);
    let maybe = |column: usize| row.get::<_, Option<i64>>(column).map(|at| at.map(from_ms));
    let event: Seq = row.get(2)?;
    let planned = NewDelivery {
        id: DeliveryId(row.get(1)?),
        event,
        rule: row.get(3)?,
        action: row.get(4)?,
        destination: row.get(5)?,
        act: of_word::<MessageOp>(row, 6)?,
        lane: row.get::<_, Option<String>>(7)?.map(Lane),
        due: at(8)?,
        assignment: json(row.get_ref(21)?.as_str().unwrap_or_default()).unwrap_or_else(|_| unsaid(event)),
    };
    let delivery = Delivery {
        planned,
        state: of_word::<State>(row, 9)?,
        next: at(10)?,
        attempts: row.get(11)?,
        first_attempt: maybe(12)?,
        counts_from: maybe(13)?,
        message: row.get(22)?,
        plain: row.get(14)?,
        last_error: row.get(15)?,
        created: at(16)?,
        finished: maybe(17)?,
    };
    let token = row.get::<_, i64>(18)?.cast_unsigned();
    Ok(Stored { n: row.get(0)?, row: Row { delivery, token, started: maybe(19)?, lost: row.get(20)? } })
}

/// The variant with the word in this column.
fn of_word<T: DeserializeOwned>(row: &SqlRow<'_>, column: usize) -> Result<T, Error> {
    rows::of_word(row.get(column)?)
}
