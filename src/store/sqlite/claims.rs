//! Claiming deliveries, and ending claims. What becomes of a row is [`transitions`](crate::store::transitions)'s to say, what a
//! destination may do [`Pace`]'s; here they meet in one transaction.

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;

use super::deliveries::Stored;
use super::inbox::is_echo;
use super::writer::WriterState;
use crate::clock::from_ms;
use crate::delivery::{Attempt, AttemptOutcome, DeliveryId, Lane, NewDelivery, Receipt, State};
use crate::pace::Pace;
use crate::planner::End;
use crate::store::room::{Patience, admit, earlier};
use crate::store::rows::{json, text};
use crate::store::transitions::{CLOSED, ENDED, LaneState, OVERDUE_MAX, Row, Taken, capped_attempt};
use crate::store::{Claim, Claimed, Error, Room, Settlement, Standing, signals};

/// Due deliveries of a destination, oldest first, whose lane is free; `STATE` is the partial index's own term.
const DUE: &str = "SELECT n, next FROM deliveries AS d WHERE destination = ?1 AND STATE AND next <= ?2
     AND (lane IS NULL OR NOT EXISTS (
         SELECT 1 FROM deliveries AS e
          WHERE e.lane = d.lane AND e.n < d.n AND e.lane IS NOT NULL AND e.state IN ('due', 'sending', 'retrying')))
     ORDER BY next, n LIMIT ?3";

const WAITING: &str = "state IN ('due', 'retrying')";
const SENDING: &str = "state = 'sending'";

impl WriterState {
    /// Takes what each room has place for.
    pub fn claim(&mut self, now: Timestamp, rooms: &[Room]) -> Result<Claimed, Error> {
        let mut claimed = Claimed::default();
        for room in rooms.iter().filter(|room| room.wanted > 0) {
            let next = self.claim_room(now, room, &mut claimed)?;
            claimed.next = earlier(claimed.next, next);
        }
        Ok(claimed)
    }

    /// Takes what one room has place for. Gives when to look again.
    fn claim_room(&mut self, now: Timestamp, room: &Room, claimed: &mut Claimed) -> Result<Option<Timestamp>, Error> {
        let pace = self.pace(&room.destination)?;
        let given_up = match pace.filter(|pace| pace.shuts_out(now)) {
            Some(pace) => self.give_up(room, pace, now, &mut claimed.told)?,
            None => None,
        };
        let places = room.limits.concurrency.saturating_sub(self.under_way(&room.destination, now)?);
        let most = room.wanted.min(places);
        let ready = self.ready(&room.destination, now, most, &mut claimed.told)?;
        let (found, most) = (ready.len(), most as usize);
        let admitted = admit(room, pace, found, now);
        if admitted.is_new {
            self.set_pace(&room.destination, &admitted.pace)?;
        }
        for (mut row, taken) in ready.into_iter().take(admitted.count) {
            let used = self.lane_used(&row)?;
            self.record_lost(&row, &taken, now)?;
            row.row.take(now, admitted.until, used, &admitted.pace);
            self.update_delivery(&row)?;
            claimed.claims.push(self.claim_of(row, admitted.until)?);
        }
        // Where all places are taken, the end of a lease is all that there is to wait for.
        let is_full = admitted.count >= places as usize;
        let is_more = found > admitted.count || (found == most && !self.due(&room.destination, now, 1)?.is_empty());
        let free_at = (!is_full && is_more).then_some(admitted.free_at);
        Ok(earlier(given_up, earlier(free_at, self.look_again(room, now)?)))
    }

    /// Gives up what has waited too long for a destination that is known to be down. Gives when to look again.
    fn give_up(
        &mut self,
        room: &Room,
        pace: Pace,
        now: Timestamp,
        told: &mut bool,
    ) -> Result<Option<Timestamp>, Error> {
        let mut patience = Patience::new(room, pace, now);
        for n in self.overdue(&room.destination, now)? {
            let Some(mut stored) = self.delivery_at(n)? else { continue };
            let used = self.lane_used(&stored)?;
            if let Some(taken) = patience.judge(&mut stored.row, used) {
                self.bury(&stored, &taken, now)?;
            }
        }
        *told |= patience.has_ended_any();
        Ok(patience.look_again())
    }

    /// The deliveries of a destination that have been due the longest, whether their lane is free or not.
    fn overdue(&self, destination: &str, now: Timestamp) -> Result<Vec<i64>, Error> {
        let mut found = Vec::new();
        for state in [WAITING, SENDING] {
            let sql = format!(
                "SELECT n FROM deliveries WHERE destination = ?1 AND {state} AND next <= ?2 ORDER BY next, n LIMIT ?3"
            );
            let mut rows = self.conn.prepare_cached(&sql)?;
            let rows = rows.query_map((destination, now.as_millisecond(), OVERDUE_MAX), |row| row.get(0))?;
            for row in rows {
                found.push(row?);
            }
        }
        Ok(found)
    }

    /// When something last happened in the lane of a delivery.
    fn lane_used(&self, stored: &Stored) -> Result<Option<Timestamp>, Error> {
        let Some(lane) = &stored.row.delivery.planned.lane else { return Ok(None) };
        let mut row = self.conn.prepare_cached("SELECT used FROM lanes WHERE lane = ?1")?;
        let used: Option<i64> = row.query_row([&lane.0], |row| row.get(0)).optional()?;
        Ok(used.map(from_ms))
    }

    /// The deliveries that could be taken, oldest first. One that was lost too often is set aside on the way.
    fn ready(
        &mut self,
        destination: &str,
        now: Timestamp,
        most: u32,
        told: &mut bool,
    ) -> Result<Vec<(Stored, Taken)>, Error> {
        loop {
            let mut ready = Vec::new();
            let mut buried = false;
            for n in self.due(destination, now, most)? {
                let Some(mut stored) = self.delivery_at(n)? else { continue };
                let taken = stored.row.recover(now);
                if taken.alive {
                    ready.push((stored, taken));
                } else {
                    self.bury(&stored, &taken, now)?;
                    buried = true;
                }
            }
            if !buried {
                return Ok(ready);
            }
            *told = true;
        }
    }

    fn due(&self, destination: &str, now: Timestamp, most: u32) -> Result<Vec<i64>, Error> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let mut due: Vec<(i64, i64)> = Vec::new();
        for state in [WAITING, SENDING] {
            let mut rows = self.conn.prepare_cached(&DUE.replace("STATE", state))?;
            let rows =
                rows.query_map((destination, now.as_millisecond(), most), |row| Ok((row.get(1)?, row.get(0)?)))?;
            for row in rows {
                due.push(row?);
            }
        }
        due.sort_unstable();
        Ok(due.into_iter().take(most as usize).map(|(_, n)| n).collect())
    }

    /// When something of this room that is not due yet, or under way, could be claimed next.
    fn look_again(&self, room: &Room, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut next = None;
        for state in [WAITING, SENDING] {
            let sql = format!("SELECT min(next) FROM deliveries WHERE destination = ?1 AND {state} AND next > ?2");
            let given = (&room.destination, now.as_millisecond());
            let at: Option<i64> = self.conn.prepare_cached(&sql)?.query_row(given, |row| row.get(0))?;
            next = earlier(next, at.map(from_ms));
        }
        Ok(next)
    }

    fn under_way(&self, destination: &str, now: Timestamp) -> Result<u32, Error> {
        let mut count = self.conn.prepare_cached(
            "SELECT count(*) FROM deliveries WHERE destination = ?1 AND state = 'sending' AND next > ?2",
        )?;
        Ok(count.query_row((destination, now.as_millisecond()), |row| row.get(0))?)
    }

    fn claim_of(&self, stored: Stored, until: Timestamp) -> Result<Claim, Error> {
        let lane = match &stored.row.delivery.planned.lane {
            Some(lane) => self.lane(lane)?.unwrap_or_default(),
            None => LaneState::default(),
        };
        Ok(Claim {
            token: stored.row.token,
            until: crate::store::transitions::whole(until),
            delivery: stored.row.delivery,
            receipt: lane.receipt,
            shown: lane.shown,
        })
    }

    /// Records the attempt whose process ended before it did: perhaps somebody saw it.
    fn record_lost(&mut self, stored: &Stored, taken: &Taken, now: Timestamp) -> Result<(), Error> {
        let Some(lost) = &taken.lost else { return Ok(()) };
        self.insert_attempt(stored.n, lost)?;
        self.note_lane(&stored.row.delivery.planned, AttemptOutcome::Ambiguous, None, now)
    }

    /// A delivery that was lost too often or given up: dead, and said so.
    fn bury(&mut self, stored: &Stored, taken: &Taken, now: Timestamp) -> Result<(), Error> {
        self.record_lost(stored, taken, now)?;
        self.update_delivery(stored)?;
        self.free_lane(stored, now)?;
        let delivery = &stored.row.delivery;
        let own = is_echo(&self.conn, delivery.planned.event)?;
        self.signal(&signals::buried(delivery, own, now), now).map(drop)
    }

    /// Keeps the rendered message.
    pub fn keep(&mut self, id: &DeliveryId, token: u64, message: &str) -> Result<(), Error> {
        let kept = self
            .conn
            .prepare_cached(
                "UPDATE contents SET message = ?3
                  WHERE n = (SELECT n FROM deliveries WHERE id = ?1 AND token = ?2 AND state = 'sending')",
            )?
            .execute((id.as_str(), token.cast_signed(), message))?;
        self.written += message.len() as u64 + 4096;
        if kept == 1 { Ok(()) } else { Err(Error::Lost) }
    }

    /// Ends a claim with its attempt. The row is what the claim becomes by it.
    pub fn settle(&mut self, row: &Row, settlement: &Settlement, now: Timestamp) -> Result<(), Error> {
        let n = self.end_claim(row)?;
        let attempt = Attempt { number: row.delivery.attempts, ..capped_attempt(&settlement.attempt) };
        self.insert_attempt(n, &attempt)?;
        let planned = &row.delivery.planned;
        self.note_lane(planned, attempt.outcome, settlement.receipt.as_ref(), now)?;
        self.note_pace(planned, settlement, &attempt.answer, now)?;
        for signal in &settlement.signals {
            self.signal(signal, now)?;
        }
        Ok(())
    }

    /// Writes what a live claim's row becomes with the end of its attempt. Gives its place in the order of planning. `OR FAIL`
    /// as in [`Self::update_delivery`].
    fn end_claim(&mut self, row: &Row) -> Result<i64, Error> {
        let delivery = &row.delivery;
        self.written += 8192;
        let mut update = self.conn.prepare_cached(
            "UPDATE OR FAIL deliveries SET state = ?3, next = ?4, plain = ?5, last_error = ?6, finished = ?7, started = NULL, lost = 0
              WHERE id = ?1 AND token = ?2 AND state = 'sending' RETURNING n",
        )?;
        let ended = update.query_row(
            (
                delivery.planned.id.as_str(),
                row.token.cast_signed(),
                delivery.state.name(),
                delivery.next.as_millisecond(),
                delivery.plain,
                &delivery.last_error,
                delivery.finished.map(Timestamp::as_millisecond),
            ),
            |row| row.get(0),
        );
        ended.optional()?.ok_or(Error::Lost)
    }

    /// Ends a claim without an attempt.
    pub fn release(&mut self, mut stored: Stored, state: State, reason: &str, now: Timestamp) -> Result<(), Error> {
        stored.row.release(state, reason, now);
        self.update_delivery(&stored)?;
        self.free_lane(&stored, now)?;
        let destination = &stored.row.delivery.planned.destination;
        let pace = self.pace(destination)?.unwrap_or_default();
        let mut spared = pace;
        spared.spared();
        if spared != pace {
            self.set_pace(destination, &spared)?;
        }
        Ok(())
    }

    /// The row of a live claim.
    pub fn guarded(&self, id: &DeliveryId, token: u64) -> Result<Stored, Error> {
        let stored = self.delivery_named(id)?.ok_or(Error::Lost)?;
        stored.row.guard(token)?;
        Ok(stored)
    }

    fn note_pace(
        &mut self,
        planned: &NewDelivery,
        settlement: &Settlement,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let before = self.pace(&planned.destination)?;
        let mut pace = before.unwrap_or_default();
        let change = pace.after(settlement.attempt.outcome, settlement.wait, settlement.failing, now);
        if before != Some(pace) {
            self.set_pace(&planned.destination, &pace)?;
        }
        if let Some(change) = change {
            let own = is_echo(&self.conn, planned.event)?;
            let standing = Standing { destination: planned.destination.clone(), pace };
            self.signal(&signals::changed(standing, change, reason, own, now), now)?;
        }
        Ok(())
    }

    fn note_lane(
        &mut self,
        planned: &NewDelivery,
        outcome: AttemptOutcome,
        receipt: Option<&Receipt>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(lane) = &planned.lane else { return Ok(()) };
        let before = self.lane(lane)?;
        let mut state = before.clone().unwrap_or_default();
        state.after(outcome, receipt);
        let receipt = state.receipt.as_ref().map(text).transpose()?;
        self.conn
            .prepare_cached(
                "INSERT INTO lanes (lane, receipt, shown, used) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (lane) DO UPDATE SET receipt = excluded.receipt, shown = excluded.shown, used = excluded.used",
            )?
            .execute((&lane.0, receipt, state.shown, now.as_millisecond()))?;
        self.written += 4096;
        Ok(())
    }

    /// What ended without an attempt leaves its lane to the next: from now on that one waits for no other.
    pub fn free_lane(&mut self, stored: &Stored, now: Timestamp) -> Result<(), Error> {
        let delivery = &stored.row.delivery;
        let Some(lane) = delivery.planned.lane.as_ref().filter(|_| delivery.state.is_final()) else { return Ok(()) };
        self.conn
            .prepare_cached(
                "INSERT INTO lanes (lane, shown, used) VALUES (?1, 0, ?2)
                 ON CONFLICT (lane) DO UPDATE SET used = excluded.used",
            )?
            .execute((&lane.0, now.as_millisecond()))?;
        self.written += 4096;
        Ok(())
    }

    /// The case of a lane has ended.
    pub fn end_lane(&mut self, end: &End, now: Timestamp) -> Result<(), Error> {
        self.conn
            .prepare_cached(
                "INSERT INTO lanes (lane, shown, used, ended) VALUES (?1, 0, ?2, ?3)
                 ON CONFLICT (lane) DO UPDATE SET used = excluded.used, ended = max(ended, excluded.ended)",
            )?
            .execute((&end.lane.0, now.as_millisecond(), if end.closed { CLOSED } else { ENDED }))?;
        self.written += 4096;
        Ok(())
    }

    fn lane(&self, lane: &Lane) -> Result<Option<LaneState>, Error> {
        let mut row = self.conn.prepare_cached("SELECT receipt, shown FROM lanes WHERE lane = ?1")?;
        let found: Option<(Option<String>, bool)> =
            row.query_row([&lane.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((receipt, shown)) = found else { return Ok(None) };
        Ok(Some(LaneState { receipt: receipt.and_then(|receipt| json(&receipt).ok()), shown }))
    }

    /// Whether the case of a delivery was closed.
    pub fn is_closed(&self, planned: &NewDelivery) -> Result<bool, Error> {
        let Some(lane) = &planned.lane else { return Ok(false) };
        let mut row = self.conn.prepare_cached("SELECT 1 FROM lanes WHERE lane = ?1 AND ended = ?2")?;
        Ok(row.exists((&lane.0, CLOSED))?)
    }

    fn pace(&self, destination: &str) -> Result<Option<Pace>, Error> {
        let mut row = self.conn.prepare_cached("SELECT pace FROM paces WHERE destination = ?1")?;
        let found: Option<String> = row.query_row([destination], |row| row.get(0)).optional()?;
        // One that can't be read holds nobody back.
        Ok(found.map(|pace| json(&pace).unwrap_or_default()))
    }

    fn set_pace(&mut self, destination: &str, pace: &Pace) -> Result<(), Error> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO paces (destination, pace) VALUES (?1, ?2)")?
            .execute((destination, text(pace)?))?;
        self.written += 4096;
        Ok(())
    }
}
