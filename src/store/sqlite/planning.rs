//! The planner's part: its lease, its documents and timers, and the commit of a plan.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::writer::WriterState;
use crate::clock::from_ms;
use crate::event::Seq;
use crate::planner::Plan;
use crate::planner::loaded::{DocChange, Key, Keys, LoadedState, Timer};
use crate::planner::why::Decision;
use crate::store::rows::{json, text};
use crate::store::transitions::{holds_on, is_over, whole};
use crate::store::{Error, PlannerLease};

impl WriterState {
    /// Takes or keeps the planner's lease.
    pub fn lease(&mut self, holder: &str, now: Timestamp, until: Timestamp) -> Result<Option<PlannerLease>, Error> {
        let held: Option<(String, i64, i64)> = self
            .conn
            .prepare_cached("SELECT holder, token, until FROM planner WHERE one = 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let token = match held {
            None => 1,
            Some((by, token, ends)) if by == holder && holds_on(from_ms(ends), now, until) => {
                return Ok(Some(PlannerLease { token: token.cast_unsigned(), until: from_ms(ends) }));
            }
            Some((by, token, _)) if by == holder => token,
            Some((_, token, ends)) if is_over(from_ms(ends), now, until) => token + 1,
            Some(_) => return Ok(None),
        };
        let until = whole(until);
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO planner (one, holder, token, until) VALUES (1, ?1, ?2, ?3)")?
            .execute((holder, token, until.as_millisecond()))?;
        self.written += 8192;
        Ok(Some(PlannerLease { token: token.cast_unsigned(), until }))
    }

    /// Commits a plan under its lease. Gives how many deliveries were new.
    pub fn commit(&mut self, lease: &PlannerLease, plan: &Plan, now: Timestamp) -> Result<u64, Error> {
        let token: Option<i64> = self
            .conn
            .prepare_cached("SELECT token FROM planner WHERE one = 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        if token.map(i64::cast_unsigned) != Some(lease.token) {
            return Err(Error::Lost);
        }
        for cancel in &plan.cancel {
            self.cancel_untried(cancel, now)?;
        }
        let mut new = 0;
        for delivery in &plan.deliveries {
            new += u64::from(self.insert_delivery(delivery, now)?);
        }
        for end in &plan.ended {
            self.end_lane(end, now)?;
        }
        for change in &plan.docs {
            self.change_doc(change)?;
        }
        for (id, timer) in &plan.timers {
            self.set_timer(id, timer.as_ref())?;
        }
        for event in &plan.events {
            self.append_own(event)?;
        }
        for why in &plan.whys {
            self.note_why(why)?;
        }
        if let Some(upto) = plan.upto {
            self.set_meta("planned", upto.max(self.meta("planned")?))?;
        }
        self.written += 4096 * (2 + plan.docs.len() + plan.timers.len()) as u64;
        Ok(new)
    }

    fn change_doc(&mut self, change: &DocChange) -> Result<(), Error> {
        let key = (change.key.kind.as_str(), change.key.id.as_str());
        self.conn.prepare_cached("DELETE FROM doc_events WHERE kind = ?1 AND id = ?2")?.execute(key)?;
        let Some(text) = &change.text else {
            self.conn.prepare_cached("DELETE FROM docs WHERE kind = ?1 AND id = ?2")?.execute(key)?;
            return Ok(());
        };
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO docs (kind, id, text) VALUES (?1, ?2, ?3)")?
            .execute((key.0, key.1, text))?;
        let mut needs =
            self.conn.prepare_cached("INSERT OR IGNORE INTO doc_events (kind, id, seq) VALUES (?1, ?2, ?3)")?;
        for seq in &change.events {
            needs.execute((key.0, key.1, seq))?;
        }
        Ok(())
    }

    fn set_timer(&mut self, id: &str, timer: Option<&Timer>) -> Result<(), Error> {
        match timer {
            None => self.conn.prepare_cached("DELETE FROM timers WHERE id = ?1")?.execute([id])?,
            Some(timer) => self
                .conn
                .prepare_cached(
                    "INSERT INTO timers (id, due, event, text) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET due = excluded.due, event = excluded.event, text = excluded.text",
                )?
                .execute((id, timer.due.as_millisecond(), timer.event, &timer.text))?,
        };
        Ok(())
    }

    fn note_why(&mut self, why: &Decision) -> Result<(), Error> {
        let detail = text(&why.detail)?;
        self.written += detail.len() as u64 + 256;
        self.conn
            .prepare_cached("INSERT INTO whys (event, rule, outcome, note, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((why.event, &why.rule, &why.outcome, &why.note, detail))?;
        Ok(())
    }
}

/// Loads documents.
pub(super) fn load(conn: &Connection, keys: &Keys) -> Result<LoadedState, Error> {
    let tx = conn.unchecked_transaction()?;
    let mut loaded = LoadedState::default();
    let mut one = tx.prepare_cached("SELECT text FROM docs WHERE kind = ?1 AND id = ?2")?;
    for key in &keys.one {
        let text = one.query_row((&key.kind, &key.id), |row| row.get(0)).optional()?;
        loaded.docs.extend(text.map(|text| (key.clone(), text)));
    }
    let mut all = tx.prepare_cached("SELECT id, text FROM docs WHERE kind = ?1")?;
    for kind in &keys.all {
        let rows = all.query_map([kind], |row| Ok((Key { kind: kind.clone(), id: row.get(0)? }, row.get(1)?)))?;
        for row in rows {
            let (key, text) = row?;
            loaded.docs.insert(key, text);
        }
    }
    Ok(loaded)
}

/// Documents of a kind, by id, after `after`.
pub(super) fn docs(conn: &Connection, kind: &str, after: &str, limit: usize) -> Result<Vec<(String, String)>, Error> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut page = conn.prepare_cached("SELECT id, text FROM docs WHERE kind = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?;
    let rows = page.query_map((kind, after, most), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row| row.map_err(Error::from)).collect()
}

/// What each rule did about an event, in the order in which it happened.
pub(super) fn whys(conn: &Connection, event: Seq) -> Result<Vec<Decision>, Error> {
    let mut rows = conn.prepare_cached("SELECT rule, outcome, note, detail FROM whys WHERE event = ?1 ORDER BY n")?;
    let mut rows = rows.query([event])?;
    let mut whys = Vec::new();
    while let Some(row) = rows.next()? {
        let detail: String = row.get(3)?;
        whys.push(Decision {
            event,
            rule: row.get(0)?,
            outcome: row.get(1)?,
            note: row.get(2)?,
            detail: json(&detail).unwrap_or_default(),
        });
    }
    Ok(whys)
}
