//! Looking for things, and counting them: a bounded part of the inbox at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::Connection;

use super::inbox::{COLUMNS, WINDOW, entry};
use crate::clock::from_ms;
use crate::delivery::DeliveryId;
use crate::event::{Item, Seq};
use crate::planner::loaded::{DueTimer, Timer};
use crate::planner::why::Decision;
use crate::store::look::{
    BYTES_MAX, Became, Chip, Counted, DecisionFilter, Decisions, Found, PLACES_MAX, TALLIES_MAX, Tally, Words, hour_ms,
};
use crate::store::rows::{kinds, of_word};
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

/// What came, what rules did and what was planned, by the hour.
pub(super) fn tally(conn: &Connection, since: Timestamp) -> Result<Tally, Error> {
    let sql = "SELECT hour, what, name, kind, n, last FROM tallies WHERE hour >= ?1 ORDER BY hour DESC LIMIT ?2";
    let mut newest = conn.prepare_cached(sql)?;
    let rows = newest.query_map((hour_ms(since), TALLIES_MAX), |row| {
        let (name, kind, count, last) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
        Ok(Counted { hour: row.get(0)?, what: row.get(1)?, name, kind, count, last })
    })?;
    Ok(Tally::of(rows.collect::<Result<Vec<_>, _>>()?))
}

/// What became of events.
pub(super) fn became(conn: &Connection, events: &[Seq], most: usize) -> Result<BTreeMap<Seq, Became>, Error> {
    let tx = conn.unchecked_transaction()?;
    let mut sent = tx.prepare_cached(
        "SELECT id, destination, state FROM deliveries WHERE n IN (
             SELECT e.n FROM deliveries AS e WHERE e.event = ?1 UNION ALL SELECT n FROM delivery_events WHERE seq = ?1)
          ORDER BY n DESC LIMIT ?2",
    )?;
    let mut outcomes = tx.prepare_cached("SELECT DISTINCT outcome FROM whys WHERE event = ?1")?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut all = BTreeMap::new();
    for seq in events {
        let mut rows = sent.query((seq, most))?;
        let mut became = Became::default();
        while let Some(row) = rows.next()? {
            let (id, destination, state) = (DeliveryId(row.get(0)?), row.get(1)?, of_word(row.get(2)?)?);
            became.deliveries.push(Chip { id, destination, state });
        }
        became.outcomes = outcomes.query_map([seq], |row| row.get(0))?.collect::<Result<_, _>>()?;
        all.insert(*seq, became);
    }
    Ok(all)
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
