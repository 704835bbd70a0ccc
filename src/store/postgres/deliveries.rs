//! Deliveries as rows: planned, read, written back, listed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use tokio_postgres::Row as SqlRow;

use super::link::{Given, Link, Tx, get, give, given, held, maybe_text, most, text};
use crate::clock::from_ms;
use crate::delivery::{Attempt, AttemptOutcome, Delivery, DeliveryId, Lane, MessageOp, NewDelivery, State};
use crate::event::Seq;
use crate::pace::Pace;
use crate::planner::Cancel;
use crate::store::look::COUNTED_MAX;
use crate::store::rows::{self, json, of_word, unsaid, word};
use crate::store::transitions::{CLOSED, LaneState, Row};
use crate::store::{Census, DeliveryFilter, Error, Standing};

/// The columns of a delivery, in the order that [`stored`] reads them.
pub(super) const COLUMNS: &str = "d.n, d.id, d.event, d.rule, d.action, d.destination, d.act, d.lane, d.due, d.state,
    d.next, d.attempts, d.first_attempt, d.counts_from, d.plain, d.last_error, d.created, d.finished, d.token, d.started,
    d.lost, c.assignment, c.message, (SELECT l.used FROM lanes AS l WHERE l.lane = d.lane) FROM deliveries AS d JOIN contents AS c ON c.n = d.n";

/// The place of the delivery with this id.
const PLACE: &str = "SELECT n FROM deliveries WHERE id = ?";

/// The newest place before that of the delivery with this id, or of all where none is named.
const NEWEST: &str = "SELECT max(n) FROM deliveries WHERE n < CASE WHEN ? IS NULL THEN 9223372036854775807
    ELSE (SELECT n FROM deliveries WHERE id = ?) END";

/// The condition of the index of those that are not final.
pub(super) const OPEN: &str = "state IN ('due', 'retrying', 'sending')";

/// A delivery and its place in the order of planning.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub n: i64,
    pub row: Row,
    /// When something last happened in its lane.
    pub used: Option<Timestamp>,
}

impl Tx {
    /// Makes deliveries, but those that were made before. Gives how many.
    pub async fn insert_deliveries(&self, planned: Vec<NewDelivery>, now: Timestamp) -> Result<u64, Error> {
        let mut seen = HashSet::new();
        let rows = planned.into_iter().filter(|planned| seen.insert(planned.id.clone()));
        let rows: Vec<Delivery> = rows.map(|planned| Row::new(planned, now).delivery).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        let all = || rows.iter().map(|row| &row.planned);
        let acts: Vec<String> = all().map(|planned| word(&planned.act)).collect::<Result<_, _>>()?;
        let assignments = all().map(|planned| Ok(held(&rows::text(&planned.assignment)?).into_owned()));
        let assignments: Vec<String> = assignments.collect::<Result<_, Error>>()?;
        let (mut needing, mut needs) = (Vec::new(), Vec::new());
        for planned in all() {
            let further = planned.assignment.events.iter().copied().chain([planned.assignment.event]);
            for seq in further.filter(|seq| *seq != planned.event).collect::<BTreeSet<Seq>>() {
                needing.push(held(planned.id.as_str()));
                needs.push(seq);
            }
        }
        let made = self
            .one(
                "WITH planned AS (
                     SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) WITH ORDINALITY
                         AS p (id, event, rule, action, destination, act, lane, due, state, created, assignment, n)
                 ), made AS (
                     INSERT INTO deliveries (id, event, rule, action, destination, act, lane, due, state, next, attempts,
                                             plain, created, token, lost)
                     SELECT id, event, rule, action, destination, act, lane, due, state, due, 0, false, created, 0, 0
                       FROM planned ORDER BY n
                     ON CONFLICT (id) DO NOTHING RETURNING n, id
                 ), said AS (
                     INSERT INTO contents (n, assignment)
                     SELECT m.n, p.assignment FROM made AS m JOIN planned AS p ON p.id = m.id
                 ), needed AS (
                     INSERT INTO delivery_events (n, seq)
                     SELECT m.n, e.seq FROM made AS m JOIN unnest($12, $13) AS e (id, seq) ON e.id = m.id
                 )
                 SELECT count(*) FROM made",
                given![
                    all().map(|planned| held(planned.id.as_str())).collect::<Vec<_>>(),
                    all().map(|planned| planned.event).collect::<Vec<i64>>(),
                    all().map(|planned| held(&planned.rule)).collect::<Vec<_>>(),
                    all().map(|planned| held(&planned.action)).collect::<Vec<_>>(),
                    all().map(|planned| held(&planned.destination)).collect::<Vec<_>>(),
                    acts,
                    all().map(|planned| planned.lane.as_ref().map(|lane| held(&lane.0))).collect::<Vec<_>>(),
                    all().map(|planned| planned.due.as_millisecond()).collect::<Vec<i64>>(),
                    rows.iter().map(|row| row.state.name()).collect::<Vec<&str>>(),
                    rows.iter().map(|row| row.created.as_millisecond()).collect::<Vec<i64>>(),
                    assignments,
                    needing,
                    needs,
                ],
            )
            .await?;
        Ok(get::<i64>(&made, 0)?.max(0).cast_unsigned())
    }

    /// Calls off what lanes have untried.
    pub async fn cancel_untried(&self, cancels: &[Cancel], now: Timestamp) -> Result<(), Error> {
        if cancels.is_empty() {
            return Ok(());
        }
        let lanes: Vec<_> = cancels.iter().map(|cancel| held(&cancel.lane.0)).collect();
        let sql = format!(
            "SELECT {COLUMNS} WHERE d.lane = ANY($1) AND d.lane IS NOT NULL AND d.{OPEN} AND d.state = 'due'
              ORDER BY d.n FOR UPDATE OF d"
        );
        let mut all = read(self.rows(&sql, given![lanes]).await?)?;
        let mut changed = BTreeSet::new();
        for cancel in cancels {
            for (place, stored) in all.iter_mut().enumerate() {
                let is_of_lane = stored.row.delivery.planned.lane.as_ref() == Some(&cancel.lane);
                if is_of_lane && stored.row.is_replaced_by(cancel) && stored.row.cancel(&cancel.reason, now) {
                    changed.insert(place);
                }
            }
        }
        let changed: Vec<&Stored> = changed.into_iter().filter_map(|place| all.get(place)).collect();
        self.update_deliveries(&changed).await
    }

    /// Makes deliveries due, to be rendered anew. Gives how many.
    pub async fn revive(&self, ids: &[DeliveryId], now: Timestamp) -> Result<u64, Error> {
        let names: Vec<_> = ids.iter().map(|id| held(id.as_str())).collect();
        let sql =
            "SELECT d.id FROM deliveries AS d JOIN lanes AS l ON l.lane = d.lane WHERE d.id = ANY($1) AND l.ended = $2";
        let mut closed = BTreeSet::new();
        for row in self.rows(sql, given![names, CLOSED]).await? {
            closed.insert(text(&row, 0)?);
        }
        self.count_changed(ids, true, |row| row.revive(closed.contains(row.delivery.planned.id.as_str()), now)).await
    }

    /// Changes what can be changed of these. Gives how many. With `anew`, their messages are written back too.
    pub async fn count_changed(
        &self,
        ids: &[DeliveryId],
        anew: bool,
        mut change: impl FnMut(&mut Row) -> bool,
    ) -> Result<u64, Error> {
        let names: Vec<_> = ids.iter().map(|id| held(id.as_str())).collect();
        // In the order of planning, as everybody does who locks several.
        let sql = format!("SELECT {COLUMNS} WHERE d.id = ANY($1) ORDER BY d.n FOR UPDATE OF d");
        let mut all: HashMap<DeliveryId, Stored> = HashMap::new();
        for stored in read(self.rows(&sql, given![names]).await?)? {
            all.insert(stored.row.delivery.planned.id.clone(), stored);
        }
        let (mut count, mut changed) = (0, BTreeSet::new());
        for id in ids {
            if let Some(stored) = all.get_mut(id)
                && change(&mut stored.row)
            {
                count += 1;
                changed.insert(id);
            }
        }
        let changed: Vec<&Stored> = changed.into_iter().filter_map(|id| all.get(id)).collect();
        self.update_deliveries(&changed).await?;
        if anew && !changed.is_empty() {
            let places: Vec<i64> = changed.iter().map(|stored| stored.n).collect();
            let messages = changed.iter().map(|stored| stored.row.delivery.message.as_deref().map(held));
            let messages: Vec<_> = messages.collect();
            let sql = "UPDATE contents AS c SET message = u.message FROM unnest($1, $2) AS u (n, message)
                WHERE c.n = u.n";
            self.run(sql, given![places, messages]).await?;
        }
        Ok(count)
    }

    /// Writes back what may have changed, except for the messages. What ended leaves its lane to the next: from now on
    /// that one waits for no other.
    pub async fn update_deliveries(&self, changed: &[&Stored]) -> Result<(), Error> {
        if changed.is_empty() {
            return Ok(());
        }
        let all = || changed.iter().map(|stored| &stored.row.delivery);
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        self.run(
            "UPDATE deliveries AS d SET state = u.state, next = u.next, attempts = u.attempts,
                    first_attempt = u.first_attempt, counts_from = u.counts_from, plain = u.plain,
                    last_error = u.last_error, finished = u.finished, token = u.token, started = u.started, lost = u.lost
               FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS u (n, state, next, attempts,
                    first_attempt, counts_from, plain, last_error, finished, token, started, lost)
              WHERE d.n = u.n",
            given![
                changed.iter().map(|stored| stored.n).collect::<Vec<i64>>(),
                all().map(|delivery| delivery.state.name()).collect::<Vec<&str>>(),
                all().map(|delivery| delivery.next.as_millisecond()).collect::<Vec<i64>>(),
                all().map(|delivery| i64::from(delivery.attempts)).collect::<Vec<i64>>(),
                all().map(|delivery| ms(delivery.first_attempt)).collect::<Vec<Option<i64>>>(),
                all().map(|delivery| ms(delivery.counts_from)).collect::<Vec<Option<i64>>>(),
                all().map(|delivery| delivery.plain).collect::<Vec<bool>>(),
                all().map(|delivery| delivery.last_error.as_deref().map(held)).collect::<Vec<_>>(),
                all().map(|delivery| ms(delivery.finished)).collect::<Vec<Option<i64>>>(),
                changed.iter().map(|stored| stored.row.token.cast_signed()).collect::<Vec<i64>>(),
                changed.iter().map(|stored| ms(stored.row.started)).collect::<Vec<Option<i64>>>(),
                changed.iter().map(|stored| i64::from(stored.row.lost)).collect::<Vec<i64>>(),
            ],
        )
        .await?;
        let ended = all().filter_map(|delivery| Some((delivery.planned.lane.clone()?, delivery.finished?)));
        self.note_lanes(&ended.map(|(lane, finished)| (lane, (LaneState::default(), finished))).collect()).await
    }

    /// Records an attempt.
    pub async fn insert_attempt(&self, n: i64, attempt: &Attempt) -> Result<(), Error> {
        self.run(
            "INSERT INTO attempts (n, number, at, took_ms, outcome, sent, answer) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (n, number) DO UPDATE SET at = excluded.at, took_ms = excluded.took_ms,
                outcome = excluded.outcome, sent = excluded.sent, answer = excluded.answer",
            given![
                n,
                i64::from(attempt.number),
                attempt.at.as_millisecond(),
                i64::try_from(attempt.took_ms).unwrap_or(i64::MAX),
                attempt.outcome.name(),
                held(&attempt.sent),
                held(&attempt.answer),
            ],
        )
        .await
        .map(drop)
    }
}

/// A delivery and its attempts.
pub(super) async fn delivery(link: &Link, id: &DeliveryId) -> Result<Option<(Delivery, Vec<Attempt>)>, Error> {
    let name = held(id.as_str());
    // One statement, so that both are as they were at one moment.
    let sql = format!(
        "SELECT x.*, a.number, a.at, a.took_ms, a.outcome, a.sent, a.answer
           FROM (SELECT {COLUMNS} WHERE d.id = $1) AS x LEFT JOIN attempts AS a ON a.n = x.n ORDER BY a.number"
    );
    let rows = link.rows(&sql, given![name]).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut attempts = Vec::new();
    for row in &rows {
        let Some(number) = get::<Option<i64>>(row, 24)? else { continue };
        attempts.push(Attempt {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            at: from_ms(get(row, 25)?),
            took_ms: get::<i64>(row, 26)?.max(0).cast_unsigned(),
            outcome: of_word::<AttemptOutcome>(text(row, 27)?)?,
            sent: text(row, 28)?,
            answer: text(row, 29)?,
        });
    }
    Ok(Some((stored(first)?.row.delivery, attempts)))
}

/// Lists deliveries, newest first.
pub(super) async fn list(link: &Link, filter: &DeliveryFilter) -> Result<Vec<Delivery>, Error> {
    let mut sql = format!("SELECT {COLUMNS} WHERE true");
    let mut given: Vec<Given<'_>> = Vec::new();
    let mut and = |term: &str, value| {
        given.push(value);
        // Writing to a String never fails.
        let _ = write!(sql, " AND {}", term.replace('?', &format!("${}", given.len())));
    };
    let (destination, rule) = (filter.destination.as_deref().map(held), filter.rule.as_deref().map(held));
    let before = filter.before.as_ref().map(|id| held(id.as_str()));
    let since = filter.since.map(Timestamp::as_millisecond);
    let states: Vec<String> = filter.states.iter().map(|state| format!("'{state}'")).collect();
    let lanes: Vec<_> = filter.lanes.iter().map(|lane| held(&lane.0)).collect();
    if let Some(destination) = &destination {
        and("d.destination = ?", give(destination));
    }
    if let Some(rule) = &rule {
        and("d.rule = ?", give(rule));
    }
    if !filter.events.is_empty() {
        // As one list of rows: by an OR, and in their order, the database reads all rows there are.
        let of = "SELECT e.n FROM deliveries AS e WHERE e.event = ANY(?)
                  UNION ALL SELECT n FROM delivery_events WHERE seq = ANY(?)";
        and(&format!("d.n = ANY (ARRAY({of}))"), give(&filter.events));
    }
    if !lanes.is_empty() {
        and("d.lane = ANY(?)", give(&lanes));
    }
    if let Some(since) = &since {
        and("d.created >= ?", give(since));
    }
    if let Some(before) = &before {
        and(&format!("d.n < ({PLACE})"), give(before));
    }
    if let Some(within) = filter.within.map(most) {
        and(&format!("d.n > ({NEWEST}) - {within}"), give(&before));
    }
    if !states.is_empty() {
        // In the words of the indexes that hold only such.
        let _ = write!(sql, " AND d.state IN ({})", states.join(", "));
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let _ = write!(sql, " ORDER BY d.n DESC LIMIT {} OFFSET {}", count(filter.limit), count(filter.skip));
    let found = read(link.rows(&sql, &given).await?)?;
    Ok(found.into_iter().map(|stored| stored.row.delivery).collect())
}

/// The last of `many` that were planned before this one, unless it is the last of all.
pub(super) async fn beyond(link: &Link, before: Option<&DeliveryId>, many: usize) -> Result<Option<DeliveryId>, Error> {
    let after = format!("({}) - $2", NEWEST.replace('?', "$1"));
    let sql = format!(
        "SELECT id FROM deliveries WHERE n > {after} AND EXISTS (SELECT 1 FROM deliveries WHERE n <= {after})
          ORDER BY n LIMIT 1"
    );
    let row = link.first(&sql, given![before.map(|id| held(id.as_str())), most(many)]).await?;
    row.map(|row| text(&row, 0).map(DeliveryId)).transpose()
}

/// The destinations for which deliveries wait or are under way.
pub(super) async fn waiting_destinations(link: &Link) -> Result<Vec<String>, Error> {
    // From one destination to the next by their index, since very many deliveries may wait for each.
    let sql = format!(
        "WITH RECURSIVE next AS (
             SELECT (SELECT min(destination) FROM deliveries WHERE {OPEN}) AS destination
             UNION ALL
             SELECT (SELECT min(d.destination) FROM deliveries AS d WHERE d.{OPEN} AND d.destination > next.destination)
               FROM next WHERE next.destination IS NOT NULL
         ) SELECT destination FROM next WHERE destination IS NOT NULL"
    );
    let mut all = Vec::new();
    for row in link.rows(&sql, given![]).await? {
        all.push(text(&row, 0)?);
    }
    all.sort_unstable();
    Ok(all)
}

/// How each destination stands.
pub(super) async fn standings(link: &Link) -> Result<Vec<Standing>, Error> {
    let mut all = Vec::new();
    for row in link.rows("SELECT destination, pace FROM paces WHERE pace IS NOT NULL", given![]).await? {
        // One that can't be read holds nobody back.
        let pace = json::<Pace>(&text(&row, 1)?).unwrap_or_default();
        all.push(Standing { destination: text(&row, 0)?, pace });
    }
    all.sort_unstable_by(|a, b| a.destination.cmp(&b.destination));
    Ok(all)
}

/// How the store stands.
pub(super) async fn census(link: &Link) -> Result<Census, Error> {
    // Each state's own partial index is counted, never the table, and no further than people care.
    let counts = State::ALL.map(|state| few("deliveries", indexed_term(state)));
    let sql = format!(
        "SELECT (SELECT seq FROM head), (SELECT planned FROM planner), ({}),
                (SELECT min(next) FROM deliveries WHERE {OPEN} AND state <> 'sending'), ({BYTES}), ({})",
        few("timers", "true"),
        counts.join("), (")
    );
    let row = link.one(&sql, given![]).await?;
    let planned: Seq = get(&row, 1)?;
    let mut deliveries = Vec::with_capacity(State::ALL.len());
    for (place, state) in State::ALL.into_iter().enumerate() {
        deliveries.push((state, count(link, get(&row, 5 + place)?, ("deliveries", indexed_term(state))).await?));
    }
    Ok(Census {
        head: get::<Seq>(&row, 0)?.max(planned),
        planned,
        deliveries,
        oldest_due: get::<Option<i64>>(&row, 3)?.map(from_ms),
        timers: count(link, get(&row, 2)?, ("timers", "true")).await?,
        bytes: get::<Option<i64>>(&row, 4)?.unwrap_or(0).max(0).cast_unsigned(),
    })
}

/// Counts the rows of a table, to one more than are counted.
fn few(table: &str, term: &str) -> String {
    format!("SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {term} LIMIT {}) AS few", COUNTED_MAX + 1)
}

/// How many rows there are: as many as were counted, or, above [`COUNTED_MAX`], as many as the database's own planner
/// believes, which knows it to a few percent.
async fn count(link: &Link, few: i64, (table, term): (&str, &str)) -> Result<u64, Error> {
    let few = few.max(0).cast_unsigned();
    if few <= COUNTED_MAX.cast_unsigned() {
        return Ok(few);
    }
    let plan = text(&link.one(&format!("EXPLAIN SELECT 1 FROM {table} WHERE {term}"), given![]).await?, 0)?;
    let rows = plan.split_once(" rows=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    Ok(rows.unwrap_or(0).max(few))
}

/// What the tables take on disk, with their indexes.
pub(super) const BYTES: &str = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'fanfare'::regclass)";

/// A condition that holds for this state, worded so that the partial index is found with it.
fn indexed_term(state: State) -> &'static str {
    match state {
        State::Due => "state IN ('due', 'retrying', 'sending') AND state = 'due'",
        State::Retrying => "state IN ('due', 'retrying', 'sending') AND state = 'retrying'",
        State::Sending => "state = 'sending'",
        State::Delivered => "state IN ('delivered', 'dead', 'cancelled') AND state = 'delivered'",
        State::Dead => "state IN ('delivered', 'dead', 'cancelled') AND state = 'dead'",
        State::Cancelled => "state IN ('delivered', 'dead', 'cancelled') AND state = 'cancelled'",
    }
}

/// Rows of [`COLUMNS`].
pub(super) fn read(rows: Vec<SqlRow>) -> Result<Vec<Stored>, Error> {
    rows.iter().map(stored).collect()
}

fn stored(row: &SqlRow) -> Result<Stored, Error> {
    let at = |column: usize| get::<i64>(row, column).map(from_ms);
    let maybe = |column: usize| get::<Option<i64>>(row, column).map(|at| at.map(from_ms));
    let small = |column: usize| get::<i64>(row, column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let event: Seq = get(row, 2)?;
    let planned = NewDelivery {
        id: DeliveryId(text(row, 1)?),
        event,
        rule: text(row, 3)?,
        action: text(row, 4)?,
        destination: text(row, 5)?,
        act: of_word::<MessageOp>(text(row, 6)?)?,
        lane: maybe_text(row, 7)?.map(Lane),
        due: at(8)?,
        assignment: json(&text(row, 21)?).unwrap_or_else(|_| unsaid(event)),
    };
    let delivery = Delivery {
        planned,
        state: of_word::<State>(text(row, 9)?)?,
        next: at(10)?,
        attempts: small(11)?,
        first_attempt: maybe(12)?,
        counts_from: maybe(13)?,
        message: maybe_text(row, 22)?,
        plain: get(row, 14)?,
        last_error: maybe_text(row, 15)?,
        created: at(16)?,
        finished: maybe(17)?,
    };
    let token = get::<i64>(row, 18)?.cast_unsigned();
    let row_of = Row { delivery, token, started: maybe(19)?, lost: small(20)? };
    Ok(Stored { n: get(row, 0)?, row: row_of, used: maybe(23)? })
}
