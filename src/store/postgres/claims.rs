//! Claiming deliveries, and ending claims. What becomes of a row is [`life`](crate::store::life)'s to say, what a
//! destination may do [`Pace`]'s; here they meet in one transaction.
//!
//! Whoever waits for locks takes them in one order, so that no two wait for each other: the planner's row, deliveries in
//! the order of planning, destinations by name, lanes, the head of the inbox. Claims pass over deliveries that somebody
//! else has locked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::deliveries::{COLUMNS, OPEN, Stored, read};
use super::inbox::{Arrival, is_echo};
use super::link::{Lines, Link, STEP_MAX, Tx, get, given, held, maybe_text, text};
use crate::clock::from_ms;
use crate::delivery::{Attempt, DeliveryId, Lane, NewDelivery, Outcome, Receipt, State};
use crate::event::Signal;
use crate::pace::Pace;
use crate::store::life::{LaneState, Taken, capped_attempt, whole};
use crate::store::rows::{self, json};
use crate::store::{Claim, Claimed, Error, Room, Settlement, signals};

/// Whether nothing of the same lane that was planned before is still open.
const LANE_FREE: &str = "(d.lane IS NULL OR NOT EXISTS (
    SELECT 1 FROM deliveries AS e WHERE e.lane = d.lane AND e.n < d.n AND e.lane IS NOT NULL
       AND e.state IN ('due', 'retrying', 'sending')))";

/// How a destination looks at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    under_way: u32,
    /// When the next delivery comes due, or the next lease ends, that has not yet.
    later: Option<Timestamp>,
    /// Whether any delivery could be taken as far as it and its lane say.
    due: bool,
    /// Whether its row in `paces` is there.
    known: bool,
}

impl Look {
    fn places(&self, room: &Room) -> u32 {
        room.limits.concurrency.saturating_sub(self.under_way)
    }

    /// When something of this room could be claimed next. `had_places` is from before anything was taken.
    fn again(&self, room: &Room, now: Timestamp, had_places: bool, free_at: Timestamp) -> Option<Timestamp> {
        // Where all places are taken, the end of a lease is all that there is to wait for.
        let soon = (had_places && self.places(room) > 0 && self.due).then(|| free_at.max(now));
        self.later.into_iter().chain(soon).min()
    }
}

/// Looks at destinations, in the order of the rooms.
async fn look(link: &Link, now: Timestamp, rooms: &[&Room]) -> Result<Vec<Look>, Error> {
    let names: Vec<_> = rooms.iter().map(|room| held(&room.destination)).collect();
    let sql = format!(
        "SELECT (SELECT count(*) FROM deliveries WHERE destination = r.name AND state = 'sending' AND next > $2),
                (SELECT min(next) FROM deliveries WHERE destination = r.name AND {OPEN} AND next > $2),
                EXISTS (SELECT 1 FROM deliveries AS d WHERE d.destination = r.name AND d.{OPEN} AND d.next <= $2
                           AND {LANE_FREE}),
                EXISTS (SELECT 1 FROM paces WHERE destination = r.name)
           FROM unnest($1) WITH ORDINALITY AS r (name, n) ORDER BY r.n"
    );
    let looks = link.rows(&sql, given![names, now.as_millisecond()]).await?;
    let looks = looks.iter().map(|row| {
        Ok(Look {
            under_way: u32::try_from(get::<i64>(row, 0)?).unwrap_or(u32::MAX),
            later: get::<Option<i64>>(row, 1)?.map(from_ms),
            due: get(row, 2)?,
            known: get(row, 3)?,
        })
    });
    looks.collect()
}

/// Takes what each room has place for. Where there is nothing to take, nothing is locked and nothing is written.
pub(super) async fn claim(lines: &Lines, now: Timestamp, until: Timestamp, rooms: &[Room]) -> Result<Claimed, Error> {
    let rooms: Vec<&Room> = rooms.iter().filter(|room| room.wanted > 0).collect();
    if rooms.is_empty() {
        return Ok(Claimed::default());
    }
    let link = lines.link().await?;
    let looks = look(&link, now, &rooms).await;
    let mut claimed = Claimed::default();
    let mut open = Vec::new();
    let mut unknown = Vec::new();
    for (room, look) in rooms.iter().zip(looks?) {
        if look.due && look.places(room) > 0 {
            open.push(*room);
            if !look.known {
                unknown.push(held(&room.destination));
            }
        } else {
            let next = look.again(room, now, look.places(room) > 0, now);
            claimed.next = [claimed.next, next].into_iter().flatten().min();
        }
    }
    if !unknown.is_empty() {
        let sql = "INSERT INTO paces (destination) SELECT unnest($1) ON CONFLICT DO NOTHING";
        link.run(sql, given![unknown]).await?;
    }
    link.end(Ok(()))?;
    if open.is_empty() {
        return Ok(claimed);
    }
    let tx = lines.begin(STEP_MAX).await?;
    let result = tx.claim(now, until, &open).await;
    let taken = tx.end(result).await?;
    claimed.claims = taken.claims;
    claimed.next = [claimed.next, taken.next].into_iter().flatten().min();
    Ok(claimed)
}

/// Keeps the rendered message, as long as the claim lives.
pub(super) async fn keep(lines: &Lines, id: &DeliveryId, token: u64, message: &str) -> Result<(), Error> {
    let sql = "WITH mine AS (SELECT n FROM deliveries WHERE id = $1 AND token = $2 AND state = 'sending' FOR UPDATE)
        UPDATE contents SET message = $3 WHERE n = (SELECT n FROM mine)";
    let kept = lines.run_alone(sql, given![held(id.as_str()), token.cast_signed(), held(message)]).await?;
    if kept == 0 { Err(Error::Lost) } else { Ok(()) }
}

impl Tx {
    async fn claim(&self, now: Timestamp, until: Timestamp, rooms: &[&Room]) -> Result<Claimed, Error> {
        // Sent together, done one after the other: what is looked at has been locked.
        let (paces, before) = tokio::join!(
            biased;
            self.lock_paces(rooms),
            look(self, now, rooms),
        );
        let (mut paces, before) = (paces?, before?);
        let (mut told, mut all, mut free) = (Vec::new(), Vec::new(), Vec::new());
        for (room, look) in rooms.iter().zip(&before) {
            let ready = self.ready(&room.destination, now, room.wanted.min(look.places(room)), &mut told).await?;
            let mut free_at = now;
            if !ready.is_empty() {
                let stored = paces.get(&room.destination).copied().flatten();
                let mut pace = stored.unwrap_or_default();
                let wanted = u32::try_from(ready.len()).unwrap_or(u32::MAX);
                let admitted = pace.admit(&room.limits, wanted, now, until);
                if stored != Some(pace) {
                    self.set_pace(&room.destination, &pace).await?;
                    paces.insert(room.destination.clone(), Some(pace));
                }
                if admitted < wanted {
                    free_at = pace.free_at(&room.limits);
                }
                for (mut stored, taken) in ready.into_iter().take(admitted as usize) {
                    self.record_lost(&stored, &taken, now).await?;
                    stored.row.take(now, until);
                    all.push(stored);
                }
            }
            free.push(free_at);
        }
        let mut claimed = Claimed::default();
        let taken: Vec<&Stored> = all.iter().collect();
        let (written, after) = tokio::join!(
            biased;
            self.update_deliveries(&taken),
            look(self, now, rooms),
        );
        let after = written.and(after)?;
        for (((room, before), after), free_at) in rooms.iter().zip(&before).zip(&after).zip(free) {
            let next = after.again(room, now, before.places(room) > 0, free_at);
            claimed.next = [claimed.next, next].into_iter().flatten().min();
        }
        claimed.claims = self.claims_of(all, until).await?;
        self.tell_all(told, now).await?;
        Ok(claimed)
    }

    /// How destinations stand, which nobody else changes until this transaction ends.
    async fn lock_paces(&self, rooms: &[&Room]) -> Result<BTreeMap<String, Option<Pace>>, Error> {
        let names: Vec<_> = rooms.iter().map(|room| held(&room.destination)).collect();
        let sql = "SELECT destination, pace FROM paces WHERE destination = ANY($1) ORDER BY destination FOR UPDATE";
        let rows = self.rows(sql, given![names]).await?;
        rows.iter().map(|row| Ok((text(row, 0)?, pace_of(maybe_text(row, 1)?)))).collect()
    }

    /// The deliveries that could be taken, oldest first. One that was lost too often is set aside on the way.
    async fn ready(
        &self,
        destination: &str,
        now: Timestamp,
        limit: u32,
        told: &mut Vec<Signal>,
    ) -> Result<Vec<(Stored, Taken)>, Error> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        loop {
            let mut ready = Vec::new();
            let mut buried = false;
            for mut stored in self.due(destination, now, limit).await? {
                let taken = stored.row.recover(now);
                if taken.alive {
                    ready.push((stored, taken));
                } else {
                    told.push(self.bury(&stored, &taken, now).await?);
                    buried = true;
                }
            }
            if !buried {
                return Ok(ready);
            }
        }
    }

    /// Due deliveries of a destination, oldest first, whose lane is free and that nobody else has in hand.
    async fn due(&self, destination: &str, now: Timestamp, limit: u32) -> Result<Vec<Stored>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE d.destination = $1 AND d.{OPEN} AND d.next <= $2 AND {LANE_FREE}
              ORDER BY d.next, d.n LIMIT $3 FOR UPDATE OF d SKIP LOCKED"
        );
        read(self.rows(&sql, given![held(destination), now.as_millisecond(), i64::from(limit)]).await?)
    }

    async fn claims_of(&self, all: Vec<Stored>, until: Timestamp) -> Result<Vec<Claim>, Error> {
        let lanes: BTreeSet<_> =
            all.iter().filter_map(|stored| stored.row.delivery.planned.lane.as_ref()).cloned().collect();
        let states = self.lanes(&lanes).await?;
        let claims = all.into_iter().map(|stored| {
            let lane = stored.row.delivery.planned.lane.as_ref().and_then(|lane| states.get(lane));
            let lane = lane.cloned().unwrap_or_default();
            Claim {
                token: stored.row.token,
                until: whole(until),
                delivery: stored.row.delivery,
                receipt: lane.receipt,
                shown: lane.shown,
            }
        });
        Ok(claims.collect())
    }

    /// Records the attempt whose process ended before it did: perhaps somebody saw it.
    async fn record_lost(&self, stored: &Stored, taken: &Taken, now: Timestamp) -> Result<(), Error> {
        let Some(lost) = &taken.lost else { return Ok(()) };
        self.insert_attempt(stored.n, lost).await?;
        self.note_lane(&stored.row.delivery.planned, Outcome::Ambiguous, None, now).await
    }

    /// A delivery that was lost too often: dead. Gives how that is told.
    async fn bury(&self, stored: &Stored, taken: &Taken, now: Timestamp) -> Result<Signal, Error> {
        self.record_lost(stored, taken, now).await?;
        self.update_deliveries(&[stored]).await?;
        let delivery = &stored.row.delivery;
        let own = is_echo(self, delivery.planned.event).await?;
        let reason = delivery.last_error.as_deref().unwrap_or_default();
        Ok(signals::died(&delivery.planned, delivery.attempts, reason, own, now))
    }

    /// Puts what was noticed into the inbox: the last thing that a transaction does.
    async fn tell_all(&self, told: Vec<Signal>, now: Timestamp) -> Result<(), Error> {
        let told: Vec<Arrival> = told.iter().map(|signal| Arrival::signal(signal, now)).collect::<Result<_, _>>()?;
        self.append(&told).await.map(drop)
    }

    /// Ends a claim with its attempt.
    pub async fn settle(
        &self,
        id: &DeliveryId,
        token: u64,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut stored = self.guarded(id, token).await?;
        let attempt = Attempt { number: stored.row.delivery.attempts, ..capped_attempt(&settlement.attempt) };
        stored.row.settle(&settlement, now);
        let planned = &stored.row.delivery.planned;
        let (written, recorded, told) = tokio::join!(
            biased;
            async { self.update_deliveries(&[&stored]).await },
            async { self.insert_attempt(stored.n, &attempt).await },
            async { self.note_pace(planned, &settlement, &attempt.answer, now).await },
        );
        written.and(recorded)?;
        let mut told = told?;
        self.note_lane(planned, attempt.outcome, settlement.receipt.as_ref(), now).await?;
        told.extend(settlement.signals);
        self.tell_all(told, now).await
    }

    /// Ends a claim without an attempt.
    pub async fn release(
        &self,
        id: &DeliveryId,
        token: u64,
        state: State,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut stored = self.guarded(id, token).await?;
        stored.row.release(state, reason, now);
        self.update_deliveries(&[&stored]).await?;
        let destination = &stored.row.delivery.planned.destination;
        let spared = |pace: &mut Pace| pace.spared();
        if let Some(mut pace) = self.pace(destination, false).await?
            && changes(&mut pace, spared)
            && let Some(mut pace) = self.pace(destination, true).await?
            && changes(&mut pace, spared)
        {
            self.set_pace(destination, &pace).await?;
        }
        Ok(())
    }

    async fn guarded(&self, id: &DeliveryId, token: u64) -> Result<Stored, Error> {
        let stored = self.delivery_named(id).await?.ok_or(Error::Lost)?;
        stored.row.guard(token)?;
        Ok(stored)
    }

    /// What an attempt's end does to its destination's pace. Mostly nothing, and then nobody need wait for anybody: it is
    /// as if it had ended just when the pace was read.
    async fn note_pace(
        &self,
        planned: &NewDelivery,
        settlement: &Settlement,
        reason: &str,
        now: Timestamp,
    ) -> Result<Vec<Signal>, Error> {
        let destination = &planned.destination;
        let after = |before: Option<Pace>| {
            let mut pace = before.unwrap_or_default();
            let change = pace.after(settlement.attempt.outcome, settlement.wait, settlement.failing, now);
            (before != Some(pace) || change.is_some()).then_some((pace, change))
        };
        if after(self.pace(destination, false).await?).is_none() {
            return Ok(Vec::new());
        }
        let sql = "INSERT INTO paces (destination) VALUES ($1) ON CONFLICT DO NOTHING";
        self.run(sql, given![held(destination)]).await?;
        let Some((pace, change)) = after(self.pace(destination, true).await?) else { return Ok(Vec::new()) };
        self.set_pace(destination, &pace).await?;
        let Some(change) = change else { return Ok(Vec::new()) };
        let own = is_echo(self, planned.event).await?;
        Ok(vec![signals::changed(destination, change, &pace, reason, own, now)])
    }

    async fn note_lane(
        &self,
        planned: &NewDelivery,
        outcome: Outcome,
        receipt: Option<&Receipt>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(lane) = &planned.lane else { return Ok(()) };
        let before = self.lanes(&BTreeSet::from([lane.clone()])).await?.remove(lane);
        let mut state = before.unwrap_or_default();
        state.after(outcome, receipt);
        let receipt = state.receipt.as_ref().map(rows::text).transpose()?;
        // Two that end at once were both shown if either was, and the first receipt stays.
        self.run(
            "INSERT INTO lanes AS l (lane, receipt, shown, used) VALUES ($1, $2, $3, $4)
             ON CONFLICT (lane) DO UPDATE SET receipt = coalesce(l.receipt, excluded.receipt),
                shown = l.shown OR excluded.shown, used = excluded.used",
            given![held(&lane.0), receipt.as_deref().map(held), state.shown, now.as_millisecond()],
        )
        .await
        .map(drop)
    }

    async fn lanes(&self, lanes: &BTreeSet<Lane>) -> Result<BTreeMap<Lane, LaneState>, Error> {
        if lanes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<_> = lanes.iter().map(|lane| held(&lane.0)).collect();
        let sql = "SELECT lane, receipt, shown FROM lanes WHERE lane = ANY($1)";
        let mut found = BTreeMap::new();
        for row in self.rows(sql, given![names]).await? {
            let receipt = maybe_text(&row, 1)?.and_then(|receipt| json(&receipt).ok());
            found.insert(Lane(text(&row, 0)?), LaneState { receipt, shown: get(&row, 2)? });
        }
        Ok(found)
    }

    async fn pace(&self, destination: &str, lock: bool) -> Result<Option<Pace>, Error> {
        let lock = if lock { " FOR UPDATE" } else { "" };
        let sql = format!("SELECT pace FROM paces WHERE destination = $1{lock}");
        let row = self.first(&sql, given![held(destination)]).await?;
        Ok(row.map(|row| maybe_text(&row, 0)).transpose()?.and_then(pace_of))
    }

    async fn set_pace(&self, destination: &str, pace: &Pace) -> Result<(), Error> {
        let sql = "UPDATE paces SET pace = $2 WHERE destination = $1";
        self.run(sql, given![held(destination), rows::text(pace)?]).await.map(drop)
    }
}

/// A pace as it stands in its row. One that can't be read holds nobody back.
fn pace_of(text: Option<String>) -> Option<Pace> {
    text.map(|text| json(&text).unwrap_or_default())
}

/// Changes it. Gives whether anything came of it.
fn changes(pace: &mut Pace, change: impl FnOnce(&mut Pace)) -> bool {
    let before = *pace;
    change(pace);
    before != *pace
}
