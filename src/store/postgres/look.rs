//! Looking for things, and counting them: a bounded part of the inbox at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::inbox::{COLUMNS, only_events};
use super::link::{Link, get, given, held, most, text};
use crate::clock::from_ms;
use crate::delivery::DeliveryId;
use crate::event::Seq;
use crate::planner::loaded::{DueTimer, Timer};
use crate::planner::why::Decision;
use crate::store::look::{
    BYTES_MAX, Became, Chip, Counted, DecisionFilter, Decisions, Found, PLACES_MAX, TALLIES_MAX, Tally, Words, hour_ms,
};
use crate::store::rows::{kinds, of_word, unreadable};
use crate::store::{Error, EventFilter};

/// How many places are asked for at once.
const WINDOW: i64 = 2048;

/// The oldest and the newest place of the inbox.
async fn ends(link: &Link) -> Result<Option<(Seq, Seq)>, Error> {
    let row = link.one("SELECT min(seq), max(seq) FROM inbox", given![]).await?;
    Ok(get::<Option<Seq>>(&row, 0)?.zip(get(&row, 1)?))
}

/// Looks for events from a place back.
pub(super) async fn search(link: &Link, filter: &EventFilter, words: Option<&Words>) -> Result<Found, Error> {
    let Some((oldest, newest)) = ends(link).await? else { return Ok(Found::default()) };
    let mut to = filter.before.unwrap_or(Seq::MAX).min(newest.saturating_add(1));
    let last = oldest.max(to.saturating_sub(PLACES_MAX));
    let (exact, prefix) = kinds(filter);
    // A window of the largest bodies is cut where they make a look's bytes together.
    let sql = format!(
        "SELECT {COLUMNS} FROM (
             SELECT *, sum(length(raw)) OVER (ORDER BY seq DESC) - length(raw) AS before FROM inbox
              WHERE seq >= $1 AND seq < $2 AND what = 0
                AND ($3 IS NULL OR source = $3) AND ($4 IS NULL OR type = $4) AND ($5 IS NULL OR starts_with(type, $5))
                AND ($6 IS NULL OR received >= $6) AND ($7 IS NULL OR received < $7)
         ) AS page WHERE before < $8 ORDER BY seq DESC"
    );
    let (mut events, mut bytes) = (Vec::new(), 0);
    while to > last {
        let from = last.max(to.saturating_sub(WINDOW));
        let rows = link
            .rows(
                &sql,
                given![
                    from,
                    to,
                    filter.source.as_deref().map(held),
                    exact.map(held),
                    prefix.map(held),
                    filter.since.map(Timestamp::as_millisecond),
                    filter.until.map(Timestamp::as_millisecond),
                    most(BYTES_MAX),
                ],
            )
            .await?;
        for row in rows {
            let (seq, id, kind): (Seq, String, String) = (get(&row, 0)?, text(&row, 3)?, text(&row, 4)?);
            let raw: &[u8] = row.try_get(9).map_err(unreadable)?;
            bytes += raw.len();
            if words.is_none_or(|words| words.are_in(&id, &kind, raw)) {
                events.extend(only_events(vec![row])?);
            }
            if events.len() >= filter.limit || bytes >= BYTES_MAX {
                return Ok(Found { events, next: (seq > oldest).then_some(seq) });
            }
        }
        to = from;
    }
    Ok(Found { events, next: (to > oldest).then_some(to) })
}

/// Lists what rules did.
pub(super) async fn decisions(link: &Link, filter: &DecisionFilter) -> Result<Decisions, Error> {
    let Some((oldest, newest)) = ends(link).await? else { return Ok(Decisions::default()) };
    let to = filter.before.unwrap_or(Seq::MAX).min(newest.saturating_add(1));
    let last = oldest.max(to.saturating_sub(PLACES_MAX));
    let outcomes = (!filter.outcomes.is_empty()).then(|| format!(",{},", filter.outcomes.join(",")));
    let sql = "SELECT event, rule, outcome, note, detail FROM whys WHERE event >= $1 AND event < $2
                  AND ($3 IS NULL OR rule = $3) AND ($4 IS NULL OR strpos($4, ',' || outcome || ',') > 0)
                ORDER BY event DESC, n DESC LIMIT $5";
    let most = most(filter.limit.saturating_add(1));
    let rows = link.rows(sql, given![last, to, filter.rule.as_deref().map(held), outcomes, most]).await?;
    let decision = |row| {
        let detail = text(row, 4)?;
        Ok::<_, Error>(Decision {
            event: get(row, 0)?,
            rule: text(row, 1)?,
            outcome: text(row, 2)?,
            note: text(row, 3)?,
            detail: serde_json::from_str(&detail).unwrap_or_default(),
        })
    };
    let list = rows.iter().map(decision).collect::<Result<_, _>>()?;
    Ok(Decisions::of(list, filter.limit, last, oldest))
}

/// What came, what rules did and what was planned, by the hour.
pub(super) async fn tally(link: &Link, since: Timestamp) -> Result<Tally, Error> {
    let sql = "SELECT hour, what, name, kind, n, last FROM tallies WHERE hour >= $1 ORDER BY hour DESC LIMIT $2";
    let rows = link.rows(sql, given![hour_ms(since), TALLIES_MAX]).await?;
    let counted = |row: &Row| {
        let (name, kind, count, last) = (text(row, 2)?, text(row, 3)?, get(row, 4)?, get(row, 5)?);
        Ok::<_, Error>(Counted { hour: get(row, 0)?, what: get(row, 1)?, name, kind, count, last })
    };
    Ok(Tally::of(rows.iter().map(counted).collect::<Result<Vec<_>, _>>()?))
}

/// What became of events.
pub(super) async fn became(link: &Link, events: Vec<Seq>, most: usize) -> Result<BTreeMap<Seq, Became>, Error> {
    let most = super::link::most(most);
    let (sent, outcomes) = tokio::join!(
        biased;
        async { link.rows(
            "SELECT a.seq, d.id, d.destination, d.state FROM unnest($1) AS a (seq) CROSS JOIN LATERAL (
                 SELECT n, id, destination, state FROM deliveries WHERE n = ANY (ARRAY(
                     SELECT e.n FROM deliveries AS e WHERE e.event = a.seq
                     UNION ALL SELECT e.n FROM delivery_events AS e WHERE e.seq = a.seq))
                  ORDER BY n DESC LIMIT $2) AS d
              ORDER BY a.seq, d.n DESC",
            given![events, most],
        ).await },
        async { link.rows("SELECT DISTINCT event, outcome FROM whys WHERE event = ANY($1)", given![events]).await },
    );
    let mut all: BTreeMap<Seq, Became> = events.iter().map(|seq| (*seq, Became::default())).collect();
    for row in &sent? {
        let (id, destination, state) = (DeliveryId(text(row, 1)?), text(row, 2)?, of_word(text(row, 3)?)?);
        let became = all.entry(get(row, 0)?).or_default();
        became.deliveries.push(Chip { id, destination, state });
    }
    for row in &outcomes? {
        all.entry(get(row, 0)?).or_default().outcomes.insert(text(row, 1)?);
    }
    Ok(all)
}

/// Timers after this one.
pub(super) async fn timers(link: &Link, after: (Timestamp, &str), limit: usize) -> Result<Vec<DueTimer>, Error> {
    let sql = "SELECT id, due, event, text FROM timers WHERE (due, id) > ($1, $2) ORDER BY due, id LIMIT $3";
    let rows = link.rows(sql, given![after.0.as_millisecond(), held(after.1), most(limit)]).await?;
    let timer = |row| {
        let timer = Timer { due: from_ms(get(row, 1)?), event: get(row, 2)?, text: text(row, 3)? };
        Ok(DueTimer { id: text(row, 0)?, timer })
    };
    rows.iter().map(timer).collect()
}
