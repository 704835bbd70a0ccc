//! Which event ids are known: the newest in memory, the others in one table a week.
//!
//! Ids are random, so an index of them in the answer's way would write a page for each. The hot set maps a keyed hash of
//! each id that is not yet indexed to its place in the inbox; the maintenance moves them to the `ids_WEEK` tables in sorted
//! bulk (see `maintenance.rs`), `indexed` in `meta` says how far, and starting rebuilds only what came after. An id enters
//! the hot set when its transaction is committed and not before. Hashes are keyed with a secret of this database, and a
//! hit is confirmed on the row itself, or, once retention took the row, by a second hash that covers the source.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest as _, Sha256};

use super::error::damaged;
use super::writer::WriterState;
use crate::event::{EventId, Seq};
use crate::store::Error;
use crate::store::transitions::week_end;

/// The secret that ids are hashed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdKey([u8; 16]);

impl IdKey {
    /// The one of this database.
    pub fn load(conn: &Connection) -> Result<Self, Error> {
        conn.query_row("SELECT value FROM meta WHERE name = 'id_key'", [], |row| row.get(0))
            .optional()?
            .map(Self)
            .ok_or_else(|| damaged("no key for ids"))
    }

    /// The hash of an id.
    pub fn hash(&self, id: &EventId) -> i64 {
        self.digest(&[id.as_str()])
    }

    /// The hash of source and id: what tells two sources' equal ids apart when the event itself is gone.
    pub fn check(&self, source: &str, id: &EventId) -> i64 {
        self.digest(&[source, id.as_str()])
    }

    fn digest(&self, parts: &[&str]) -> i64 {
        let mut hash = Sha256::new();
        hash.update(self.0);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut first = [0; 8];
        first.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        i64::from_be_bytes(first)
    }
}

/// Ids that are not yet indexed.
#[derive(Debug, Default)]
pub(super) struct Hot {
    places: HashMap<i64, Seq>,
    /// Further places with the same hash: the same id from another source.
    more: BTreeSet<(i64, Seq)>,
}

impl Hot {
    /// An event with this hash is committed at this place.
    pub fn insert(&mut self, hash: i64, seq: Seq) {
        if let Some(other) = self.places.insert(hash, seq)
            && other != seq
        {
            self.more.insert((hash, other));
        }
    }

    /// All places with this hash, newest first.
    pub fn find(&self, hash: i64) -> impl Iterator<Item = Seq> {
        let first = self.places.get(&hash).copied();
        let more = if self.more.is_empty() { None } else { Some(self.more.range((hash, Seq::MIN)..=(hash, Seq::MAX))) };
        first.into_iter().chain(more.into_iter().flatten().rev().map(|(_, seq)| *seq))
    }

    /// Forgets what is indexed by now.
    pub fn forget(&mut self, upto: Seq) {
        self.places.retain(|_, seq| *seq > upto);
        self.more.retain(|(_, seq)| *seq > upto);
        if self.places.capacity() > 4 * self.places.len().max(1024) {
            self.places.shrink_to(2 * self.places.len());
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len() + self.more.len()
    }
}

/// One id as it stands in a week's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IdRow {
    /// The week of its receipt.
    pub week: i64,
    /// [`IdKey::hash`].
    pub hash: i64,
    /// Its place.
    pub seq: Seq,
    /// [`IdKey::check`].
    pub check: i64,
    /// The hash of its body.
    pub body: i64,
}

/// The weeks' tables.
#[derive(Debug, Default)]
pub(super) struct Cold {
    weeks: BTreeSet<i64>,
    /// Looks a hash up in all of them; newest first.
    lookup: String,
}

impl Cold {
    /// The tables that are there.
    pub fn load(conn: &Connection) -> Result<Self, Error> {
        let mut named =
            conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'ids_[0-9]*'")?;
        let names = named.query_map([], |row| row.get::<_, String>(0))?;
        let mut cold = Self::default();
        for name in names {
            cold.weeks.extend(name?.strip_prefix("ids_").and_then(|week| week.parse::<i64>().ok()));
        }
        cold.word();
        Ok(cold)
    }

    /// The weeks that there are tables of.
    pub fn weeks(&self) -> impl Iterator<Item = i64> {
        self.weeks.iter().copied()
    }

    /// A table was made, and that is committed.
    pub fn made(&mut self, week: i64) {
        self.weeks.insert(week);
        self.word();
    }

    /// A table was dropped, and that is committed.
    pub fn dropped(&mut self, week: i64) {
        self.weeks.remove(&week);
        self.word();
    }

    fn word(&mut self) {
        self.lookup.clear();
        for week in self.weeks.iter().rev() {
            let union = if self.lookup.is_empty() { "" } else { " UNION ALL " };
            // Writing to a String never fails.
            let _ = write!(self.lookup, "{union}SELECT seq, c, body FROM ids_{week} WHERE h = ?1");
        }
    }

    /// All places with this hash.
    pub fn find(&self, conn: &Connection, hash: i64) -> Result<Vec<ColdHit>, Error> {
        if self.lookup.is_empty() {
            return Ok(Vec::new());
        }
        let mut lookup = conn.prepare_cached(&self.lookup)?;
        let hits =
            lookup.query_map([hash], |row| Ok(ColdHit { seq: row.get(0)?, check: row.get(1)?, body: row.get(2)? }))?;
        hits.map(|hit| hit.map_err(Error::from)).collect()
    }
}

/// What a week's table says of a hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColdHit {
    pub seq: Seq,
    pub check: i64,
    pub body: i64,
}

/// A known event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Its place.
    pub seq: Seq,
    /// The hash of its body.
    pub body: i64,
}

impl WriterState {
    /// The event that has this source and id, if one was committed, or stands earlier in this transaction.
    pub fn known(&self, source: &str, id: &EventId, hash: i64) -> Result<Option<Known>, Error> {
        let fresh = self.pending.iter().rev().filter(|(other, _)| *other == hash).map(|(_, seq)| *seq);
        for seq in fresh.chain(self.hot.find(hash)) {
            if let Some(known) = self.confirm(seq, source, id)? {
                return Ok(Some(known));
            }
        }
        for hit in self.cold.find(&self.conn, hash)? {
            if hit.check == self.key.check(source, id) {
                return Ok(Some(Known { seq: hit.seq, body: hit.body }));
            }
        }
        Ok(None)
    }

    /// The places of all events with this id, newest first, of whichever source, that retention left.
    pub fn places_of(&self, id: &EventId) -> Result<Vec<Seq>, Error> {
        let hash = self.key.hash(id);
        let mut seqs: BTreeSet<Seq> = self.hot.find(hash).collect();
        seqs.extend(self.cold.find(&self.conn, hash)?.iter().map(|hit| hit.seq));
        let mut there = self.conn.prepare_cached("SELECT 1 FROM inbox WHERE seq = ?1 AND id = ?2 AND what = 0")?;
        let mut found = Vec::new();
        for seq in seqs.into_iter().rev() {
            if there.exists((seq, id.as_str()))? {
                found.push(seq);
            }
        }
        Ok(found)
    }

    fn confirm(&self, seq: Seq, source: &str, id: &EventId) -> Result<Option<Known>, Error> {
        let mut row = self
            .conn
            .prepare_cached("SELECT body FROM inbox WHERE seq = ?1 AND id = ?2 AND source = ?3 AND what = 0")?;
        let body = row.query_row((seq, id.as_str(), source), |row| row.get(0)).optional()?;
        Ok(body.map(|body| Known { seq, body }))
    }

    /// Makes the table of a week.
    pub fn make_week(&mut self, week: i64) -> Result<(), Error> {
        if self.cold.weeks.contains(&week) {
            return Ok(());
        }
        self.conn.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS ids_{week} (
                h INTEGER NOT NULL, seq INTEGER NOT NULL, c INTEGER NOT NULL, body INTEGER NOT NULL,
                PRIMARY KEY (h, seq)
             ) STRICT, WITHOUT ROWID"
        ))?;
        self.on_commit(move |writer| writer.cold.made(week));
        Ok(())
    }

    /// Drops the tables of weeks that ended before `before_ms`. Gives how many.
    pub fn drop_weeks(&mut self, before_ms: i64, limit: usize) -> Result<usize, Error> {
        let old: Vec<i64> =
            self.cold.weeks().filter(|week| week_end(*week).as_millisecond() <= before_ms).take(limit).collect();
        for week in &old {
            self.conn.execute_batch(&format!("DROP TABLE IF EXISTS ids_{week}"))?;
            let week = *week;
            self.on_commit(move |writer| writer.cold.dropped(week));
        }
        Ok(old.len())
    }

    /// Writes sorted ids; one that stands there already stays.
    pub fn index(&mut self, rows: &[IdRow]) -> Result<(), Error> {
        for rows in rows.chunk_by(|a, b| a.week == b.week) {
            let Some(week) = rows.first().map(|row| row.week) else { continue };
            let mut insert = self.conn.prepare_cached(&format!(
                "INSERT OR IGNORE INTO ids_{week} (h, seq, c, body) VALUES (?1, ?2, ?3, ?4)"
            ))?;
            for row in rows {
                insert.execute((row.hash, row.seq, row.check, row.body))?;
            }
        }
        Ok(())
    }

    /// The ids of all events up to `upto` stand in the weeks' tables.
    pub fn indexed(&mut self, upto: Seq) -> Result<(), Error> {
        self.set_meta("indexed", upto)?;
        self.on_commit(move |state| {
            state.hot.forget(upto);
            state.indexed = upto;
        });
        Ok(())
    }
}
