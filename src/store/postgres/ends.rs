//! Ending claims, for many at once: what became of them is written in one transaction.
//!
//! A claim that is alive is the row as it was claimed: nobody else changes it meanwhile. So nothing need be read to end
//! one, and its token, looked at while the row is locked, tells whether it is alive.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::inbox::is_echo;
use super::link::{Lines, STEP_MAX, Tx, given, held, text, within};
use crate::delivery::{Attempt, DeliveryId, Lane, State};
use crate::event::Signal;
use crate::pace::{Change, Pace};
use crate::store::transitions::{LaneState, Row, capped_attempt};
use crate::store::{Claim, Error, Settlement, Standing, signals};

/// A claim that ended.
pub(super) struct End {
    /// The delivery as it is from now on, with the claim's token.
    row: Row,
    /// With an attempt, and what it led to; or without.
    attempted: Option<(Attempt, Settlement)>,
    now: Timestamp,
}

impl End {
    /// With an attempt.
    pub fn settled(claim: &Claim, settlement: Settlement, now: Timestamp) -> Self {
        let mut row = row(claim);
        let attempt = Attempt { number: row.delivery.attempts, ..capped_attempt(&settlement.attempt) };
        row.settle(&settlement, now);
        Self { row, attempted: Some((attempt, settlement)), now }
    }

    /// Without one.
    pub fn released(claim: &Claim, state: State, reason: &str, now: Timestamp) -> Self {
        let mut row = row(claim);
        row.release(state, reason, now);
        Self { row, attempted: None, now }
    }

    /// About how large it is.
    pub fn bytes(&self) -> usize {
        let signals = self.attempted.as_ref().map_or(0, |(_, settlement)| settlement.signals.len());
        512 + signals * 4096
            + self.attempted.as_ref().map_or(0, |(attempt, _)| attempt.sent.len() + attempt.answer.len())
    }

    fn id(&self) -> &DeliveryId {
        &self.row.delivery.planned.id
    }

    fn destination(&self) -> &str {
        &self.row.delivery.planned.destination
    }

    /// What it does to its destination's pace. Gives what people are notified.
    fn applied(&self, pace: &mut Option<Pace>) -> Option<Change> {
        let Some((attempt, settlement)) = &self.attempted else {
            pace.iter_mut().for_each(Pace::spared);
            return None;
        };
        let pace = pace.get_or_insert_default();
        pace.after(attempt.outcome, settlement.wait, settlement.failing, self.now)
    }
}

/// The row that a claim is of.
fn row(claim: &Claim) -> Row {
    Row { delivery: claim.delivery.clone(), token: claim.token, started: None, lost: 0 }
}

/// Ends them. Of each: [`Error::Lost`] if the claim is not alive any more.
pub(super) async fn end(lines: Arc<Lines>, ends: Vec<End>) -> Result<Vec<Result<(), Error>>, Error> {
    within(STEP_MAX, async {
        let tx = lines.prepare(STEP_MAX).await?;
        match tx.write_ends(&ends).await {
            Ok(written) => written.ended(tx, &ends).await,
            Err(error) => tx.end(Err(error)).await,
        }
    })
    .await
}

/// What is left to do once the deliveries, their attempts and the paces are written.
struct Written {
    /// Whose claims were alive.
    alive: Vec<bool>,
    lanes: BTreeMap<Lane, (LaneState, Timestamp)>,
    told: Vec<Signal>,
}

impl Written {
    /// Writes the rest, and commits.
    async fn ended(self, tx: Tx, ends: &[End]) -> Result<Vec<Result<(), Error>>, Error> {
        let now = ends.iter().map(|end| end.now).max().unwrap_or_default();
        let done = if self.told.is_empty() {
            // Sent together: where the first fails, the second rolls back.
            let (noted, committed) = tokio::join!(biased; tx.note_lanes(&self.lanes), tx.send_commit());
            tx.ended(noted.and(committed))
        } else {
            let told = async {
                tx.note_lanes(&self.lanes).await?;
                tx.tell_all(self.told, now).await
            };
            let told = told.await;
            tx.end(told).await
        };
        done.map(|()| self.alive.into_iter().map(|alive| if alive { Ok(()) } else { Err(Error::Lost) }).collect())
    }
}

impl Tx {
    /// Begins, and writes what became of deliveries and of their destinations.
    async fn write_ends(&self, ends: &[End]) -> Result<Written, Error> {
        // One claim ends once: anyone who asks a second time is too late.
        let mut seen = HashSet::new();
        let firsts: Vec<bool> = ends.iter().map(|end| seen.insert(end.id())).collect();
        let asked: Vec<&End> = ends.iter().zip(&firsts).filter_map(|(end, first)| first.then_some(end)).collect();
        let destinations: BTreeSet<&str> = asked.iter().map(|end| end.destination()).collect();
        let (begun, found, paces) = tokio::join!(
            biased;
            self.begin(),
            self.end_deliveries(&asked),
            self.paces(&destinations, false),
        );
        begun?;
        let (found, paces) = (found?, paces?);
        let alive: Vec<bool> =
            ends.iter().zip(firsts).map(|(end, first)| first && found.contains(end.id().as_str())).collect();
        let mut at: BTreeMap<&str, Vec<&End>> = BTreeMap::new();
        let mut lanes: BTreeMap<Lane, (LaneState, Timestamp)> = BTreeMap::new();
        let mut signals = Vec::new();
        for end in ends.iter().zip(&alive).filter_map(|(end, alive)| alive.then_some(end)) {
            at.entry(end.destination()).or_default().push(end);
            let delivery = &end.row.delivery;
            if let Some(lane) =
                delivery.planned.lane.as_ref().filter(|_| end.attempted.is_some() || delivery.state.is_final())
            {
                let (state, used) = lanes.entry(lane.clone()).or_default();
                if let Some((attempt, settlement)) = &end.attempted {
                    state.after(attempt.outcome, settlement.receipt.as_ref());
                }
                *used = end.now.max(*used);
            }
            let Some((_, settlement)) = &end.attempted else { continue };
            signals.extend(settlement.signals.iter().cloned());
        }
        // Mostly nothing changes, and then nobody need wait for anybody: it is as if they had ended just when the paces
        // were read.
        at.retain(|destination, ends| {
            let before = paces.get(*destination).copied().flatten();
            let (after, told) = fold(before, ends);
            after != before || !told.is_empty()
        });
        let mut told = self.change_paces(&at).await?;
        told.extend(signals);
        Ok(Written { alive, lanes, told })
    }

    /// Writes what became of deliveries whose claims are alive, and records their attempts. Gives which these are.
    async fn end_deliveries(&self, ends: &[&End]) -> Result<HashSet<String>, Error> {
        let all = || ends.iter().map(|end| &end.row.delivery);
        let ms = |at: Option<Timestamp>| at.map(Timestamp::as_millisecond);
        let attempts = || ends.iter().filter_map(|end| end.attempted.as_ref().map(|(attempt, _)| (end.id(), attempt)));
        let sql = "WITH held AS (
                 SELECT d.n, e.* FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS e (id, token, state, next,
                        attempts, first_attempt, counts_from, plain, last_error, finished, lost)
                   JOIN deliveries AS d ON d.id = e.id AND d.token = e.token AND d.state = 'sending'
                  ORDER BY d.n FOR UPDATE OF d
             ), written AS (
                 UPDATE deliveries AS d SET state = h.state, next = h.next, attempts = h.attempts,
                        first_attempt = h.first_attempt, counts_from = h.counts_from, plain = h.plain,
                        last_error = h.last_error, finished = h.finished, started = NULL, lost = coalesce(h.lost, d.lost)
                   FROM held AS h WHERE d.n = h.n RETURNING d.n, d.id
             ), recorded AS (
                 INSERT INTO attempts (n, number, at, took_ms, outcome, sent, answer)
                 SELECT w.n, a.number, a.at, a.took_ms, a.outcome, a.sent, a.answer
                   FROM unnest($12, $13, $14, $15, $16, $17, $18) AS a (id, number, at, took_ms, outcome, sent, answer)
                   JOIN written AS w ON w.id = a.id
                 ON CONFLICT (n, number) DO UPDATE SET at = excluded.at, took_ms = excluded.took_ms,
                    outcome = excluded.outcome, sent = excluded.sent, answer = excluded.answer
             ) SELECT id FROM written";
        let lost = ends.iter().map(|end| end.attempted.is_some().then_some(i64::from(end.row.lost)));
        let found = self
            .rows(
                sql,
                given![
                    ends.iter().map(|end| held(end.id().as_str())).collect::<Vec<_>>(),
                    ends.iter().map(|end| end.row.token.cast_signed()).collect::<Vec<i64>>(),
                    all().map(|delivery| delivery.state.name()).collect::<Vec<&str>>(),
                    all().map(|delivery| delivery.next.as_millisecond()).collect::<Vec<i64>>(),
                    all().map(|delivery| i64::from(delivery.attempts)).collect::<Vec<i64>>(),
                    all().map(|delivery| ms(delivery.first_attempt)).collect::<Vec<Option<i64>>>(),
                    all().map(|delivery| ms(delivery.counts_from)).collect::<Vec<Option<i64>>>(),
                    all().map(|delivery| delivery.plain).collect::<Vec<bool>>(),
                    all().map(|delivery| delivery.last_error.as_deref().map(held)).collect::<Vec<_>>(),
                    all().map(|delivery| ms(delivery.finished)).collect::<Vec<Option<i64>>>(),
                    lost.collect::<Vec<Option<i64>>>(),
                    attempts().map(|(id, _)| held(id.as_str())).collect::<Vec<_>>(),
                    attempts().map(|(_, attempt)| i64::from(attempt.number)).collect::<Vec<i64>>(),
                    attempts().map(|(_, attempt)| attempt.at.as_millisecond()).collect::<Vec<i64>>(),
                    attempts()
                        .map(|(_, attempt)| i64::try_from(attempt.took_ms).unwrap_or(i64::MAX))
                        .collect::<Vec<i64>>(),
                    attempts().map(|(_, attempt)| attempt.outcome.name()).collect::<Vec<&str>>(),
                    attempts().map(|(_, attempt)| held(&attempt.sent)).collect::<Vec<_>>(),
                    attempts().map(|(_, attempt)| held(&attempt.answer)).collect::<Vec<_>>(),
                ],
            )
            .await?;
        found.iter().map(|row| text(row, 0)).collect()
    }

    /// Changes the paces of destinations by what ended there. Gives what is notified of that.
    async fn change_paces(&self, ends: &BTreeMap<&str, Vec<&End>>) -> Result<Vec<Signal>, Error> {
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        let destinations: BTreeSet<&str> = ends.keys().copied().collect();
        let names: Vec<_> = destinations.iter().map(|destination| held(destination)).collect();
        let sql = "INSERT INTO paces (destination) SELECT unnest($1) ON CONFLICT DO NOTHING";
        let (made, locked) = tokio::join!(
            biased;
            async { self.run(sql, given![names]).await },
            self.paces(&destinations, true),
        );
        let locked = made.and(locked)?;
        let (mut changed, mut told) = (Vec::new(), Vec::new());
        for (destination, ends) in ends {
            let before = locked.get(*destination).copied().flatten();
            let (after, changes) = fold(before, ends);
            changed.extend(after.filter(|_| after != before).map(|pace| (*destination, pace)));
            told.extend(changes);
        }
        self.set_paces(&changed).await?;
        let mut signals = Vec::with_capacity(told.len());
        for (end, change, pace) in told {
            let own = is_echo(self, end.row.delivery.planned.event).await?;
            let reason = end.attempted.as_ref().map_or("", |(attempt, _)| &attempt.answer);
            let standing = Standing { destination: end.destination().to_owned(), pace };
            signals.push(signals::changed(standing, change, reason, own, end.now));
        }
        Ok(signals)
    }
}

/// What their ends do to a destination's pace, one after the other, and what of that is reported.
fn fold<'e>(before: Option<Pace>, ends: &[&'e End]) -> (Option<Pace>, Vec<(&'e End, Change, Pace)>) {
    let (mut pace, mut told) = (before, Vec::new());
    for end in ends {
        if let Some(change) = end.applied(&mut pace) {
            told.push((*end, change, pace.unwrap_or_default()));
        }
    }
    (pace, told)
}
