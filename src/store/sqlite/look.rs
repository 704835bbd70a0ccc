//! Looking for things, and counting them: a bounded part of the inbox at a time.

use jiff::Timestamp;
use rusqlite::Connection;

use super::inbox::{COLUMNS, WINDOW, entry};
use crate::clock::from_ms;
use crate::event::{Item, Seq};
use crate::planner::ledger::{DueTimer, Timer};
use crate::planner::why::Decision;
use crate::store::look::{
    BYTES_MAX, COUNTED_MAX, Came, Decided, DecisionFilter, Decisions, Found, HOUR_MS, PLACES_MAX, Sent, Tally, Words,
};
use crate::store::rows::kinds;
use crate::store::{Error, EventFilter};

/// The oldest and the newest place of the inbox.
fn ends(conn: &Connection) -> Result<Option<(Seq, Seq)>, Error> {
    let sql = "SELECT (SELECT min(seq) FROM inbox), (SELECT max(seq) FROM inbox)";
    let (oldest, newest): (Option<Seq>, Option<Seq>) = conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(oldest.zip(newest))
}

/// Looks for events from a place back.
pub(super) fn search(conn: &Connection, filter: &EventFilter, words: Option<&Words>) -> Result<Found, Error> {
    let Some((oldest, newest)) = ends(conn)? else { return Ok(Found::default()) };
    let mut to = filter.before.unwrap_or(Seq::MAX).min(newest.saturating_add(1));
    let last = oldest.max(to.saturating_sub(PLACES_MAX));
    let (exact, prefix) = kinds(filter);
    let mut page = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM inbox WHERE seq >= ?1 AND seq < ?2 AND what = 0
           AND (?3 IS NULL OR source = ?3) AND (?4 IS NULL OR type = ?4) AND (?5 IS NULL OR instr(type, ?5) = 1)
           AND (?6 IS NULL OR received >= ?6) AND (?7 IS NULL OR received < ?7)
         ORDER BY seq DESC"
    ))?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while to > last {
        let from = last.max(to.saturating_sub(WINDOW));
        let mut rows = page.query((
            from,
            to,
            filter.source.as_deref(),
            exact,
            prefix,
            filter.since.map(Timestamp::as_millisecond),
            filter.until.map(Timestamp::as_millisecond),
        ))?;
        while let Some(row) = rows.next()? {
            let text = |column| row.get_ref(column).map(|text| text.as_str().unwrap_or_default());
            let raw = row.get_ref(9)?.as_bytes().unwrap_or_default();
            bytes += raw.len();
            let (id, kind) = (text(3)?, text(4)?);
            if words.is_none_or(|words| words.are_in(id, kind, raw))
                && let (crate::event::Entry { seq, item: Item::Event(event) }, _) = entry(row)?
            {
                events.push((seq, *event));
            }
            if events.len() >= filter.limit || bytes >= BYTES_MAX {
                let next: Seq = row.get(0)?;
                return Ok(Found { events, next: (next > oldest).then_some(next) });
            }
        }
        to = from;
    }
    Ok(Found { events, next: (to > oldest).then_some(to) })
}

/// Lists what rules did.
pub(super) fn decisions(conn: &Connection, filter: &DecisionFilter) -> Result<Decisions, Error> {
    let Some((oldest, newest)) = ends(conn)? else { return Ok(Decisions::default()) };
    let to = filter.before.unwrap_or(Seq::MAX).min(newest.saturating_add(1));
    let last = oldest.max(to.saturating_sub(PLACES_MAX));
    let outcomes = (!filter.outcomes.is_empty()).then(|| format!(",{},", filter.outcomes.join(",")));
    let most = i64::try_from(filter.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut page = conn.prepare_cached(
        "SELECT event, rule, outcome, note, detail FROM whys WHERE event >= ?1 AND event < ?2
           AND (?3 IS NULL OR rule = ?3) AND (?4 IS NULL OR instr(?4, ',' || outcome || ',') > 0)
         ORDER BY event DESC, n DESC LIMIT ?5",
    )?;
    let rows = page.query_map((last, to, filter.rule.as_deref(), outcomes, most), |row| {
        let detail: String = row.get(4)?;
        Ok(Decision {
            event: row.get(0)?,
            rule: row.get(1)?,
            outcome: row.get(2)?,
            note: row.get(3)?,
            detail: serde_json::from_str(&detail).unwrap_or_default(),
        })
    })?;
    Ok(Decisions::of(rows.collect::<Result<_, _>>()?, filter.limit, last, oldest))
}

/// Counts what came.
pub(super) fn tally(conn: &Connection, since: Timestamp) -> Result<Tally, Error> {
    let tx = conn.unchecked_transaction()?;
    let Some((oldest, newest)) = ends(&tx)? else { return Ok(Tally::default()) };
    let from = oldest.max(newest - COUNTED_MAX + 1);
    let bounds = (from, since.as_millisecond(), HOUR_MS);
    let at = |ms: i64| from_ms(ms);
    let count = |n: i64| n.max(0).cast_unsigned();
    let mut events = tx.prepare_cached(
        "SELECT received / ?3 * ?3, source, type, count(*) FROM inbox WHERE seq >= ?1 AND what = 0 AND received >= ?2
          GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )?;
    let events = events.query_map(bounds, |row| {
        Ok(Came { hour: at(row.get(0)?), source: row.get(1)?, kind: row.get(2)?, count: count(row.get(3)?) })
    })?;
    let mut decisions = tx.prepare_cached(
        "SELECT i.received / ?3 * ?3, w.rule, w.outcome, count(*), max(i.received)
           FROM whys AS w CROSS JOIN inbox AS i ON i.seq = w.event
          WHERE w.event >= ?1 AND i.received >= ?2 AND i.what = 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )?;
    let decisions = decisions.query_map(bounds, |row| {
        let (hour, last) = (at(row.get(0)?), at(row.get(4)?));
        Ok(Decided { hour, rule: row.get(1)?, outcome: row.get(2)?, count: count(row.get(3)?), last })
    })?;
    let mut messages = tx.prepare_cached(
        "SELECT created / ?3 * ?3, rule, count(*) FROM deliveries
          WHERE n > (SELECT max(n) FROM deliveries) - ?1 AND created >= ?2 GROUP BY 1, 2 ORDER BY 1, 2",
    )?;
    let messages = messages.query_map((COUNTED_MAX, since.as_millisecond(), HOUR_MS), |row| {
        Ok(Sent { hour: at(row.get(0)?), rule: row.get(1)?, count: count(row.get(2)?) })
    })?;
    Ok(Tally {
        from,
        events: events.collect::<Result<_, _>>()?,
        decisions: decisions.collect::<Result<_, _>>()?,
        messages: messages.collect::<Result<_, _>>()?,
    })
}

/// Timers after this one.
pub(super) fn timers(conn: &Connection, after: (Timestamp, &str), limit: usize) -> Result<Vec<DueTimer>, Error> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT id, due, event, text FROM timers WHERE (due, id) > (?1, ?2) ORDER BY due, id LIMIT ?3";
    let mut page = conn.prepare_cached(sql)?;
    let rows = page.query_map((after.0.as_millisecond(), after.1, most), |row| {
        let timer = Timer { due: from_ms(row.get(1)?), event: row.get(2)?, text: row.get(3)? };
        Ok(DueTimer { id: row.get(0)?, timer })
    })?;
    rows.map(|row| row.map_err(Error::from)).collect()
}
