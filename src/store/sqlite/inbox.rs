//! The inbox: appending in the answer's way, and reading it back.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde_json::Value;

use super::ids::{IdKey, Known};
use super::writer::WriterState;
use crate::clock::from_ms;
use crate::event::{Command, Entry, Event, EventId, Item, MISSING, OWN_SOURCE, Seq, Signal, body_hash};
use crate::json::weight_read;
use crate::planner::loaded::{DueTimer, Timer};
use crate::store::rows::{self, COMMAND, EVENT, SET_BACK, SIGNAL, damaged, kinds, text, unreadable};
use crate::store::{Appended, CONFLICTS_MAX, Conflict, Error, EventFilter, PAGE_BYTES_MAX, WAITING_BYTES_MAX, Waiting};

/// The columns of an entry, in the order that [`entry`] reads them.
pub(super) const COLUMNS: &str = "seq, what, source, id, type, created, received, proof, body, raw";

/// How many places a listing looks at within one read transaction.
pub(super) const WINDOW: i64 = 4096;

/// An event on its way in, with its hashes, which its caller computes so that the writer need not.
pub(super) struct Arrival {
    event: Event,
    hash: i64,
    body: i64,
}

impl Arrival {
    /// The event as it arrives.
    pub fn new(mut event: Event, key: &IdKey) -> Self {
        // Only the raw body is stored; what was parsed is let go of by the thread that made it, not by the writer.
        event.body = Value::Null;
        Self { hash: key.hash(&event.id), body: event.body_hash().cast_signed(), event }
    }
}

impl WriterState {
    /// Notes that somebody was there at `now`; gives when that was noted last before.
    pub fn alive(&mut self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut before = self.conn.prepare_cached("SELECT value FROM meta WHERE name = 'alive'")?;
        let before: Option<i64> = before.query_row([], |row| row.get(0)).optional()?;
        let sql = "INSERT INTO meta (name, value) VALUES ('alive', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1";
        self.conn.prepare_cached(sql)?.execute([now.as_millisecond()])?;
        let before = before.map(from_ms);
        if before.is_some_and(|before| before > now) {
            self.conn.prepare_cached(SET_BACK)?.execute([now.as_millisecond()])?;
        }
        Ok(before)
    }

    /// Appends an event, unless it is known.
    pub fn append(&mut self, arrival: &Arrival) -> Result<Appended, Error> {
        let Arrival { event, hash, body } = arrival;
        if let Some(Known { seq, body: first }) = self.known(&event.source, &event.id, *hash)? {
            let conflict = first != *body;
            if conflict {
                self.keep_conflict(seq, event)?;
            }
            return Ok(Appended::Duplicate { seq, conflict });
        }
        let seq = self.next_seq;
        self.insert(seq, EVENT, event, *body)?;
        self.pending.push((*hash, seq));
        Ok(Appended::Fresh(seq))
    }

    /// Appends an event of our own making.
    pub fn append_own(&mut self, event: &Event) -> Result<Appended, Error> {
        let arrival = Arrival::new(event.clone(), &self.key);
        self.append(&arrival)
    }

    /// Appends whatever it is.
    pub fn tell(&mut self, item: &Item, now: Timestamp) -> Result<Seq, Error> {
        match item {
            Item::Event(event) => match self.append_own(event)? {
                Appended::Fresh(seq) | Appended::Duplicate { seq, .. } => Ok(seq),
            },
            Item::Command(command) => self.note(COMMAND, "command", text(command)?, now),
            Item::Signal(signal) => self.note(SIGNAL, "signal", text(signal)?, now),
        }
    }

    /// Appends what Fanfare noticed.
    pub fn signal(&mut self, signal: &Signal, now: Timestamp) -> Result<Seq, Error> {
        self.note(SIGNAL, "signal", text(signal)?, now)
    }

    fn note(&mut self, what: i64, kind: &str, json: String, now: Timestamp) -> Result<Seq, Error> {
        let event = rows::note(kind, json, now);
        let seq = self.next_seq;
        self.insert(seq, what, &event, event.body_hash().cast_signed())?;
        Ok(seq)
    }

    fn insert(&mut self, seq: Seq, what: i64, event: &Event, body: i64) -> Result<(), Error> {
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO inbox (seq, what, source, id, type, created, received, proof, body, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        insert.execute((
            seq,
            what,
            &*event.source,
            event.id.as_str(),
            &*event.kind,
            event.created.as_millisecond(),
            event.received.as_millisecond(),
            &*event.proof,
            body,
            &*event.raw,
        ))?;
        self.next_seq = seq + 1;
        self.written += event.raw.len() as u64 + 512;
        Ok(())
    }

    /// Keeps what came with a known id and another body: each body once, and not without end.
    fn keep_conflict(&mut self, of: Seq, event: &Event) -> Result<(), Error> {
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO conflicts (of, received, raw) SELECT ?1, ?2, ?3
             WHERE (SELECT count(*) FROM conflicts WHERE of = ?1) < ?4
               AND NOT EXISTS (SELECT 1 FROM conflicts WHERE of = ?1 AND raw = ?3)",
        )?;
        let most = i64::try_from(CONFLICTS_MAX).unwrap_or(i64::MAX);
        let kept = insert.execute((of, event.received.as_millisecond(), &*event.raw, most))?;
        self.written += kept as u64 * (event.raw.len() as u64 + 8192);
        Ok(())
    }
}

/// What waits for the planner.
pub(super) fn waiting(conn: &Connection, now: Timestamp, limit: usize) -> Result<Waiting, Error> {
    let tx = conn.unchecked_transaction()?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let planned: Seq = tx.query_row("SELECT value FROM meta WHERE name = 'planned'", [], |row| row.get(0))?;
    let mut after = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM inbox WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
    let mut rows = after.query((planned, most))?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        bytes += weight_read(row.get_ref(9)?.as_bytes().unwrap_or_default());
        if bytes > WAITING_BYTES_MAX && !entries.is_empty() {
            break;
        }
        entries.push(entry(row)?.0);
    }
    let now_ms = now.as_millisecond();
    let mut due =
        tx.prepare_cached("SELECT id, due, event, text FROM timers WHERE due <= ?1 ORDER BY due, id LIMIT ?2")?;
    let timers = due.query_map((now_ms, most), |row| {
        let timer = Timer { due: from_ms(row.get(1)?), event: row.get(2)?, text: row.get(3)? };
        Ok(DueTimer { id: row.get(0)?, timer })
    })?;
    let timers = timers.collect::<Result<_, _>>()?;
    let next: Option<i64> =
        tx.prepare_cached("SELECT min(due) FROM timers WHERE due > ?1")?.query_row([now_ms], |row| row.get(0))?;
    Ok(Waiting { entries, timers, next_timer: next.map(from_ms) })
}

/// Events by place, their bodies not read, until those make this many bytes together.
pub(super) fn events(conn: &Connection, seqs: &[Seq], bytes_max: usize) -> Result<Vec<(Seq, Event)>, Error> {
    let mut one = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM inbox WHERE seq = ?1 AND what = 0"))?;
    let (mut found, mut bytes) = (Vec::with_capacity(seqs.len()), 0);
    for seq in seqs {
        if bytes >= bytes_max {
            break;
        }
        let mut rows = one.query([seq])?;
        if let Some(row) = rows.next()?
            && let (Entry { item: Item::Event(event), .. }, size) = entry(row)?
        {
            found.push((*seq, *event));
            bytes += size;
        }
    }
    Ok(found)
}

/// Lists events, their bodies not read: window by window, so that no read holds the write-ahead log for long.
pub(super) fn list(conn: &Connection, filter: &EventFilter) -> Result<Vec<(Seq, Event)>, Error> {
    let (oldest, newest): (Option<Seq>, Option<Seq>) =
        conn.query_row("SELECT (SELECT min(seq) FROM inbox), (SELECT max(seq) FROM inbox)", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let (Some(oldest), Some(newest)) = (oldest, newest) else { return Ok(Vec::new()) };
    // The places that are left to look at, `to` not among them.
    let mut from = filter.after.map_or(oldest, |after| after.saturating_add(1)).max(oldest);
    let mut to = filter.before.unwrap_or(Seq::MAX).min(newest.saturating_add(1));
    let (exact, prefix) = kinds(filter);
    let order = if filter.after.is_some() { "ASC" } else { "DESC" };
    let mut page = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM inbox WHERE seq >= ?1 AND seq < ?2 AND what = 0
           AND (?3 IS NULL OR source = ?3) AND (?4 IS NULL OR type = ?4) AND (?5 IS NULL OR instr(type, ?5) = 1)
           AND (?6 IS NULL OR received >= ?6) AND (?7 IS NULL OR received < ?7)
         ORDER BY seq {order}"
    ))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while from < to && found.len() < filter.limit && bytes < PAGE_BYTES_MAX {
        let window = match filter.after {
            Some(_) => (from, to.min(from.saturating_add(WINDOW))),
            None => (from.max(to.saturating_sub(WINDOW)), to),
        };
        let mut rows = page.query((
            window.0,
            window.1,
            filter.source.as_deref(),
            exact,
            prefix,
            filter.since.map(Timestamp::as_millisecond),
            filter.until.map(Timestamp::as_millisecond),
        ))?;
        while found.len() < filter.limit
            && bytes < PAGE_BYTES_MAX
            && let Some(row) = rows.next()?
        {
            let (Entry { seq, item }, size) = entry(row)?;
            if let Item::Event(event) = item {
                found.push((seq, *event));
                bytes += size;
            }
        }
        (from, to) = if filter.after.is_some() { (window.1, to) } else { (from, window.0) };
    }
    Ok(found)
}

/// What came with the id of this event and another body.
pub(super) fn conflicts(conn: &Connection, of: Seq) -> Result<Vec<Conflict>, Error> {
    let mut rows = conn.prepare_cached("SELECT received, raw FROM conflicts WHERE of = ?1 ORDER BY n")?;
    let rows = rows.query_map([of], |row| Ok(Conflict { of, received: from_ms(row.get(0)?), raw: row.get(1)? }))?;
    rows.map(|row| row.map_err(Error::from)).collect()
}

/// Whether the event at this place is Fanfare's word about itself ([`Event::is_echo`]), which raises no further one.
pub(super) fn is_echo(conn: &Connection, seq: Seq) -> Result<bool, Error> {
    let mut row = conn.prepare_cached("SELECT source = ?2 AND type <> ?3 FROM inbox WHERE seq = ?1 AND what = 0")?;
    let own = (seq, OWN_SOURCE, MISSING);
    Ok(row.query_row(own, |row| row.get(0)).optional()?.unwrap_or(false))
}

/// One row of the inbox, its body not read, and how long that is. A row that isn't what was written is not passed off as it.
pub(super) fn entry(row: &Row<'_>) -> Result<(Entry, usize), Error> {
    let seq: Seq = row.get(0)?;
    let what: i64 = row.get(1)?;
    let raw = row.get_ref(9)?.as_bytes().unwrap_or_default();
    let whole = row.get_ref(8)?.as_i64() == Ok(body_hash(raw).cast_signed());
    let event = |text: &dyn Fn(usize) -> Result<String, Error>| {
        Ok::<_, Error>(Event {
            source: text(2)?.into(),
            id: EventId(text(3)?.into()),
            kind: text(4)?.into(),
            created: from_ms(row.get(5)?),
            received: from_ms(row.get(6)?),
            proof: text(7)?.into(),
            body: Value::Null,
            raw: raw.into(),
        })
    };
    let item = match what {
        COMMAND => serde_json::from_slice::<Command>(raw).ok().map(Item::Command),
        SIGNAL => serde_json::from_slice::<Signal>(raw).ok().map(Item::Signal),
        _ => {
            let text = |column| row.get_ref(column)?.as_str().map(str::to_owned).map_err(unreadable);
            Some(Item::Event(Box::new(event(&text)?)))
        }
    };
    let item = match item.filter(|_| whole) {
        Some(item) => item,
        None => {
            let text =
                |column| Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes().unwrap_or_default()).into_owned());
            Item::Event(Box::new(damaged(seq, event(&text)?)))
        }
    };
    Ok((Entry { seq, item }, raw.len()))
}
