//! The inbox: appending in the answer's way, and reading it back.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use super::link::{Lines, Link, STEP_MAX, Tx, get, given, held, most, text, within};
use crate::clock::from_ms;
use crate::event::{Command, Entry, Event, EventId, Item, MISSING, OWN_SOURCE, Seq, Signal, body_hash};
use crate::json::weight_read;
use crate::planner::loaded::{DueTimer, Timer};
use crate::store::rows::{self, COMMAND, EVENT, SIGNAL, damaged};
use crate::store::transitions::week_of;
use crate::store::{Appended, CONFLICTS_MAX, Conflict, Error, EventFilter, PAGE_BYTES_MAX, WAITING_BYTES_MAX, Waiting};

/// The columns of an entry, in the order that [`entry`] reads them.
pub(super) const COLUMNS: &str = "seq, what, source, id, type, created, received, proof, body, raw";

/// Something on its way in, with its hashes, which its caller computes so that nobody waits for them.
pub(super) struct Arrival {
    what: i64,
    event: Event,
    /// The hash of the id, where that makes a duplicate.
    hash: Option<Vec<u8>>,
    body: i64,
}

impl Arrival {
    /// An event as it arrives.
    pub fn event(mut event: Event) -> Self {
        // Only the raw body is stored.
        event.body = Value::Null;
        let body = event.body_hash().cast_signed();
        Self { what: EVENT, hash: Some(hash(event.id.as_str())), body, event }
    }

    /// Whatever it is.
    pub fn item(item: Item, now: Timestamp) -> Result<Self, Error> {
        match item {
            Item::Event(event) => Ok(Self::event(*event)),
            Item::Command(command) => Ok(Self::note(COMMAND, "command", rows::text(&command)?, now)),
            Item::Signal(signal) => Self::signal(&signal, now),
        }
    }

    /// What Fanfare noticed.
    pub fn signal(signal: &Signal, now: Timestamp) -> Result<Self, Error> {
        Ok(Self::note(SIGNAL, "signal", rows::text(signal)?, now))
    }

    fn note(what: i64, kind: &str, json: String, now: Timestamp) -> Self {
        let event = rows::note(kind, json, now);
        Self { what, hash: None, body: event.body_hash().cast_signed(), event }
    }

    /// About how large it is.
    pub fn bytes(&self) -> usize {
        self.event.raw.len() + 512
    }
}

/// What ids are looked up by.
fn hash(id: &str) -> Vec<u8> {
    Sha256::digest(id.as_bytes()).to_vec()
}

/// Where what is known stands, by the hash of its id and its source, with the hash of its body.
type Known = HashMap<(Vec<u8>, String), (Seq, i64)>;

/// What is to become of arrivals.
pub(super) struct Arranged<'a> {
    /// The answers, in the order of arrival.
    pub appended: Vec<Appended>,
    /// What is new, each with its place.
    pub fresh: Vec<(Seq, &'a Arrival)>,
    /// What came with a known id and another body.
    pub conflicts: Vec<(Seq, &'a Event)>,
    /// The place that was given last.
    pub head: Seq,
}

impl<'a> Arranged<'a> {
    /// Gives places from `head` on to all that aren't known.
    pub fn new(arrivals: &'a [Arrival], mut head: Seq, mut known: Known) -> Self {
        let (mut fresh, mut conflicts) = (Vec::new(), Vec::new());
        let appended = arrivals.iter().map(|arrival| {
            let key = arrival.hash.as_deref().map(|hash| (hash.to_vec(), arrival.event.source.to_string()));
            if let Some((seq, body)) = key.as_ref().and_then(|key| known.get(key)).copied() {
                let conflict = body != arrival.body;
                if conflict {
                    conflicts.push((seq, &arrival.event));
                }
                return Appended::Duplicate { seq, conflict };
            }
            head += 1;
            fresh.push((head, arrival));
            known.extend(key.map(|key| (key, (head, arrival.body))));
            Appended::Fresh(head)
        });
        let appended = appended.collect();
        Self { appended, fresh, conflicts, head }
    }
}

impl Tx {
    /// Appends all of these that aren't known. From here to its end the transaction has the inbox for itself, so this is
    /// the last thing that it does.
    pub async fn append(&self, arrivals: &[Arrival]) -> Result<Vec<Appended>, Error> {
        if arrivals.is_empty() {
            return Ok(Vec::new());
        }
        let (head, known) = self.take_head(arrivals).await?;
        self.insert_all(Arranged::new(arrivals, head, known)).await
    }

    /// Inserts what is new, and keeps what conflicts.
    pub async fn insert_all(&self, arranged: Arranged<'_>) -> Result<Vec<Appended>, Error> {
        self.insert(&arranged.fresh, arranged.head).await?;
        for (of, event) in arranged.conflicts {
            self.keep_conflict(of, event).await?;
        }
        Ok(arranged.appended)
    }

    /// Waits for anyone who appends, and then looks what is known: in this order, so that nothing is missed. Gives the place
    /// that was given last, and what is known.
    pub async fn take_head(&self, arrivals: &[Arrival]) -> Result<(Seq, Known), Error> {
        let named = || arrivals.iter().filter_map(|arrival| Some((arrival.hash.as_deref()?, arrival)));
        let hashes: Vec<&[u8]> = named().map(|(hash, _)| hash).collect();
        let sources: Vec<_> = named().map(|(_, arrival)| held(&arrival.event.source)).collect();
        // Sent together, done one after the other: the second sees all that was committed before the first had the lock.
        let (head, known) = tokio::join!(
            biased;
            async { self.one("SELECT seq FROM head FOR UPDATE", given![]).await },
            async { self.rows(
                "SELECT i.h, i.source, i.seq, i.body FROM unnest($1, $2) AS a (h, source)
                   JOIN ids AS i ON i.h = a.h AND i.source = a.source",
                given![hashes, sources],
            ).await },
        );
        let (head, mut places) = (get(&head?, 0)?, HashMap::new());
        for row in known? {
            places.insert((get(&row, 0)?, text(&row, 1)?), (get(&row, 2)?, get(&row, 3)?));
        }
        Ok((head, places))
    }

    pub async fn insert(&self, fresh: &[(Seq, &Arrival)], head: Seq) -> Result<(), Error> {
        if fresh.is_empty() {
            return Ok(());
        }
        let events = || fresh.iter().map(|(_, arrival)| &arrival.event);
        let seqs: Vec<i64> = fresh.iter().map(|(seq, _)| *seq).collect();
        let whats: Vec<i64> = fresh.iter().map(|(_, arrival)| arrival.what).collect();
        let sources: Vec<_> = events().map(|event| held(&event.source)).collect();
        let ids: Vec<_> = events().map(|event| held(event.id.as_str())).collect();
        let kinds: Vec<_> = events().map(|event| held(&event.kind)).collect();
        let created: Vec<i64> = events().map(|event| event.created.as_millisecond()).collect();
        let received: Vec<i64> = events().map(|event| event.received.as_millisecond()).collect();
        let proofs: Vec<_> = events().map(|event| held(&event.proof)).collect();
        let bodies: Vec<i64> = fresh.iter().map(|(_, arrival)| arrival.body).collect();
        let raws: Vec<&[u8]> = events().map(|event| &*event.raw).collect();
        let hashes: Vec<Option<&[u8]>> = fresh.iter().map(|(_, arrival)| arrival.hash.as_deref()).collect();
        let weeks: Vec<i64> = events().map(|event| week_of(event.received)).collect();
        let (rows, ids, head) = tokio::join!(
            biased;
            async { self.run(
                "INSERT INTO inbox (seq, what, source, id, type, created, received, proof, body, raw)
                 SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                given![seqs, whats, sources, ids, kinds, created, received, proofs, bodies, raws],
            ).await },
            async { self.run(
                "INSERT INTO ids (h, source, seq, body, week)
                 SELECT * FROM unnest($1, $2, $3, $4, $5) AS i (h, source, seq, body, week) WHERE h IS NOT NULL",
                given![hashes, sources, seqs, bodies, weeks],
            ).await },
            async { self.run("UPDATE head SET seq = $1", given![head]).await },
        );
        rows.and(ids).and(head).map(drop)
    }

    /// Keeps what came with a known id and another body: each body once, and not without end.
    async fn keep_conflict(&self, of: Seq, event: &Event) -> Result<(), Error> {
        self.run(
            "INSERT INTO conflicts (of, received, raw) SELECT $1, $2, $3
              WHERE (SELECT count(*) FROM conflicts WHERE of = $1) < $4
                AND NOT EXISTS (SELECT 1 FROM conflicts WHERE of = $1 AND raw = $3)",
            given![of, event.received.as_millisecond(), &*event.raw, most(CONFLICTS_MAX)],
        )
        .await
        .map(drop)
    }
}

/// What waits for the planner.
pub(super) async fn waiting(link: &Link, now: Timestamp, limit: usize) -> Result<Waiting, Error> {
    let (now, limit) = (now.as_millisecond(), most(limit));
    let entries = format!(
        "SELECT {COLUMNS} FROM (
             SELECT *, sum(length(raw)) OVER (ORDER BY seq) - length(raw) AS before FROM (
                 SELECT * FROM inbox WHERE seq > (SELECT planned FROM planner) ORDER BY seq LIMIT $1) AS next
         ) AS page WHERE before < $2 ORDER BY seq"
    );
    let (entries, timers, next) = tokio::join!(
    biased;
    async { link.rows(&entries, given![limit, most(PAGE_BYTES_MAX)]).await },
    async { link.rows(
        "SELECT id, due, event, text FROM timers WHERE due <= $1 ORDER BY due, id LIMIT $2",
        given![now, limit]
    ).await },
    async { link.one("SELECT min(due) FROM timers WHERE due > $1", given![now]).await },
    );
    let timers = timers?.into_iter().map(|row| {
        let timer = Timer { due: from_ms(get(&row, 1)?), event: get(&row, 2)?, text: text(&row, 3)? };
        Ok(DueTimer { id: text(&row, 0)?, timer })
    });
    Ok(Waiting {
        entries: read_within(&entries?)?,
        timers: timers.collect::<Result<_, Error>>()?,
        next_timer: get::<Option<i64>>(&next?, 0)?.map(from_ms),
    })
}

/// The first entries, as many as may be read together.
fn read_within(found: &[Row]) -> Result<Vec<Entry>, Error> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for row in found {
        bytes += weight_read(row.try_get(9).map_err(rows::unreadable)?);
        if bytes > WAITING_BYTES_MAX && !entries.is_empty() {
            break;
        }
        entries.push(entry(row)?);
    }
    Ok(entries)
}

/// Events by place, for many who ask at once.
pub(super) async fn events_for(
    lines: Arc<Lines>,
    asked: Vec<Vec<Seq>>,
) -> Result<Vec<Result<Vec<(Seq, Event)>, Error>>, Error> {
    let all: Vec<Seq> = asked.iter().flatten().copied().collect();
    let found = within(STEP_MAX, async {
        let link = lines.link().await?;
        let found = events(&link, &all).await;
        link.end(found)
    });
    let mut found = found.await?.into_iter().peekable();
    // They come in the order in which they were asked for, those that are missing left out.
    let mut answer = |seqs: &Vec<Seq>| Ok(seqs.iter().filter_map(|seq| found.next_if(|(at, _)| at == seq)).collect());
    Ok(asked.iter().map(&mut answer).collect())
}

/// Events by place.
pub(super) async fn events(link: &Link, seqs: &[Seq]) -> Result<Vec<(Seq, Event)>, Error> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {COLUMNS} FROM inbox WHERE seq = ANY($1) AND what = 0");
    let mut found: HashMap<Seq, Event> =
        only_events(link.rows(&sql, given![seqs.to_vec()]).await?)?.into_iter().collect();
    // In the order, and as often, as they were asked for.
    let mut left: HashMap<Seq, usize> = HashMap::new();
    seqs.iter().for_each(|seq| *left.entry(*seq).or_default() += 1);
    let all = seqs.iter().filter_map(|seq| {
        let left = left.get_mut(seq)?;
        *left -= 1;
        let event = if *left == 0 { found.remove(seq) } else { found.get(seq).cloned() };
        Some((*seq, event?))
    });
    Ok(all.collect())
}

/// Events by place, in the order asked for, until their bodies make a page together.
pub(super) async fn places(link: &Link, seqs: Vec<Seq>) -> Result<Vec<(Seq, Event)>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM (
             SELECT i.*, a.k, sum(length(i.raw)) OVER (ORDER BY a.k) - length(i.raw) AS before
               FROM unnest($1) WITH ORDINALITY AS a (seq, k) JOIN inbox AS i ON i.seq = a.seq WHERE i.what = 0
         ) AS page WHERE before < $2 ORDER BY k"
    );
    only_events(link.rows(&sql, given![seqs, most(PAGE_BYTES_MAX)]).await?)
}

pub(super) fn only_events(rows: Vec<Row>) -> Result<Vec<(Seq, Event)>, Error> {
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Entry { seq, item: Item::Event(event) } = entry(row)? {
            found.push((seq, *event));
        }
    }
    Ok(found)
}

/// Lists events.
pub(super) async fn list(link: &Link, filter: &EventFilter) -> Result<Vec<(Seq, Event)>, Error> {
    let (exact, prefix) = rows::kinds(filter);
    let (exact, prefix) = (exact.map(held), prefix.map(held));
    let order = if filter.after.is_some() { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {COLUMNS} FROM (
             SELECT *, sum(length(raw)) OVER (ORDER BY seq {order}) - length(raw) AS before FROM (
                 SELECT * FROM inbox WHERE seq > $9 AND seq < $1 AND what = 0
                    AND ($2 IS NULL OR source = $2) AND ($3 IS NULL OR type = $3)
                    AND ($4 IS NULL OR starts_with(type, $4))
                    AND ($5 IS NULL OR received >= $5) AND ($6 IS NULL OR received < $6)
                  ORDER BY seq {order} LIMIT $7) AS first
         ) AS page WHERE before < $8 ORDER BY seq {order}"
    );
    let rows = link
        .rows(
            &sql,
            given![
                filter.before.unwrap_or(Seq::MAX),
                filter.source.as_deref().map(held),
                exact,
                prefix,
                filter.since.map(Timestamp::as_millisecond),
                filter.until.map(Timestamp::as_millisecond),
                most(filter.limit),
                most(PAGE_BYTES_MAX),
                filter.after.unwrap_or(Seq::MIN),
            ],
        )
        .await?;
    only_events(rows)
}

/// The places of an event id, newest first, of whichever source, that retention left.
pub(super) async fn find(link: &Link, id: &str) -> Result<Vec<Seq>, Error> {
    let rows = link
        .rows(
            "SELECT i.seq FROM ids AS i JOIN inbox AS e ON e.seq = i.seq WHERE i.h = $1 ORDER BY i.seq DESC",
            given![&*hash(id)],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// What came with the id of this event and another body.
pub(super) async fn conflicts(link: &Link, of: Seq) -> Result<Vec<Conflict>, Error> {
    let rows = link.rows("SELECT received, raw FROM conflicts WHERE of = $1 ORDER BY n", given![of]).await?;
    rows.iter().map(|row| Ok(Conflict { of, received: from_ms(get(row, 0)?), raw: get(row, 1)? })).collect()
}

/// Whether the event at this place is Fanfare's word about itself ([`Event::is_echo`]), which raises no further one.
pub(super) async fn is_echo(link: &Link, seq: Seq) -> Result<bool, Error> {
    let sql = "SELECT source = $2 AND type <> $3 FROM inbox WHERE seq = $1 AND what = 0";
    let row = link.first(sql, given![seq, OWN_SOURCE, MISSING]).await?;
    row.map_or(Ok(false), |row| get(&row, 0))
}

/// One row of the inbox, its body not read. One that isn't what was written is not passed off as it.
fn entry(row: &Row) -> Result<Entry, Error> {
    let seq: Seq = get(row, 0)?;
    let raw: &[u8] = row.try_get(9).map_err(rows::unreadable)?;
    let whole = get::<i64>(row, 8)? == body_hash(raw).cast_signed();
    let event = Event {
        source: text(row, 2)?.into(),
        id: EventId(text(row, 3)?.into()),
        kind: text(row, 4)?.into(),
        created: from_ms(get(row, 5)?),
        received: from_ms(get(row, 6)?),
        proof: text(row, 7)?.into(),
        body: Value::Null,
        raw: raw.into(),
    };
    let item = match get::<i64>(row, 1)? {
        _ if !whole => None,
        COMMAND => serde_json::from_slice::<Command>(raw).ok().map(Item::Command),
        SIGNAL => serde_json::from_slice::<Signal>(raw).ok().map(Item::Signal),
        _ => return Ok(Entry { seq, item: Item::Event(Box::new(event)) }),
    };
    Ok(Entry { seq, item: item.unwrap_or_else(|| Item::Event(Box::new(damaged(seq, event)))) })
}
