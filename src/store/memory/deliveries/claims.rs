//! Claiming deliveries in memory, giving up those that have waited too long, and ending claims.

use jiff::Timestamp;

use super::super::World;
use crate::clock::plus;
use crate::delivery::{Attempt, DeliveryId};
use crate::pace::Pace;
use crate::store::transitions::{Row, Taken, capped_attempt};
use crate::store::{Claimed, Error, Room, Settlement, signals};

impl World {
    /// Takes what each room has place for.
    pub fn claim(&mut self, now: Timestamp, rooms: &[Room]) -> Claimed {
        let mut claimed = Claimed::default();
        for room in rooms.iter().filter(|room| room.wanted > 0) {
            let next = self.claim_room(now, room, &mut claimed);
            claimed.next = [claimed.next, next].into_iter().flatten().min();
        }
        claimed
    }

    fn claim_room(&mut self, now: Timestamp, room: &Room, claimed: &mut Claimed) -> Option<Timestamp> {
        let until = plus(now, room.lease);
        let shut_out = self.deliveries.paces.get(&room.destination).copied().filter(|pace| pace.shuts_out(now));
        let given_up = shut_out.and_then(|pace| self.give_up(room, &pace, now, &mut claimed.told));
        let under_way = self.deliveries.under_way(&room.destination, now);
        let places = (room.limits.concurrency as usize).saturating_sub(under_way);
        let ready = self.ready(&room.destination, now, places.min(room.wanted as usize), &mut claimed.told);
        let mut free_at = now;
        if !ready.is_empty() {
            let pace = self.deliveries.paces.entry(room.destination.clone()).or_default();
            let wanted = u32::try_from(ready.len()).unwrap_or(u32::MAX);
            let admitted = pace.admit(&room.limits, wanted, now, until);
            let pace = *pace;
            if admitted < wanted {
                free_at = pace.free_at(&room.limits);
            }
            for (n, row, taken) in ready.into_iter().take(admitted as usize) {
                let used = self.deliveries.lane_used(&row);
                self.deliveries.record_lost(n, &taken, now);
                self.deliveries.change(n, |old| {
                    *old = row;
                    old.take(now, until, used, &pace);
                });
                claimed.claims.extend(self.deliveries.claim_of(n, until));
            }
        }
        let next = self.deliveries.look_again(room, now, places, free_at);
        [given_up, next].into_iter().flatten().min()
    }

    /// Gives up what has waited too long for a destination that is known to be down. Gives when to look again.
    fn give_up(&mut self, room: &Room, pace: &Pace, now: Timestamp, told: &mut bool) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let overdue = self.deliveries.overdue(&room.destination, now);
        let mut ended = 0;
        for n in overdue.iter().copied() {
            let Some(mut row) = self.deliveries.rows.get(&n).cloned() else { continue };
            let ends = row.ends(self.deliveries.lane_used(&row), pace, room.give_up, now);
            if ends > now {
                next = Some(next.map_or(ends, |next| next.min(ends)));
                continue;
            }
            let taken = row.recover(now);
            if taken.alive {
                row.give_up(room.give_up, now);
            }
            self.bury(n, row, &taken, now);
            ended += 1;
        }
        *told |= ended > 0;
        // Where all that were looked at have ended, others may be overdue too.
        if ended > 0 && ended == overdue.len() { Some(now) } else { next }
    }

    /// The deliveries that could be taken, oldest first. One that was lost too often is set aside on the way.
    fn ready(&mut self, destination: &str, now: Timestamp, most: usize, told: &mut bool) -> Vec<(u64, Row, Taken)> {
        loop {
            let mut ready = Vec::new();
            let mut buried = false;
            for n in self.deliveries.due(destination, now, most) {
                let Some(mut row) = self.deliveries.rows.get(&n).cloned() else { continue };
                let taken = row.recover(now);
                if taken.alive {
                    ready.push((n, row, taken));
                } else {
                    self.bury(n, row, &taken, now);
                    buried = true;
                }
            }
            if !buried {
                return ready;
            }
            *told = true;
        }
    }

    /// A delivery that was lost too often or given up: dead, and said so.
    fn bury(&mut self, n: u64, row: Row, taken: &Taken, now: Timestamp) {
        self.deliveries.record_lost(n, taken, now);
        let delivery = row.delivery.clone();
        self.deliveries.change(n, |old| *old = row);
        let own = self.inbox.is_echo(delivery.planned.event);
        let reason = delivery.last_error.as_deref().unwrap_or_default();
        self.signal(signals::died(&delivery.planned, delivery.attempts, reason, own, now), now);
    }

    /// Ends a claim with its attempt.
    pub fn settle(&mut self, id: &DeliveryId, token: u64, settlement: Settlement, now: Timestamp) -> Result<(), Error> {
        let deliveries = &mut self.deliveries;
        let n = deliveries.guarded(id, token)?;
        let settled = deliveries.change(n, |row| {
            row.settle(&settlement, now);
            (row.delivery.attempts, row.delivery.planned.clone())
        });
        let Some((number, planned)) = settled else { return Err(Error::Lost) };
        let attempt = Attempt { number, ..capped_attempt(&settlement.attempt) };
        deliveries.note_lane(&planned, attempt.outcome, settlement.receipt.as_ref(), now);
        let pace = deliveries.paces.entry(planned.destination.clone()).or_default();
        let change = pace.after(attempt.outcome, settlement.wait, settlement.failing, now);
        let pace = *pace;
        if let Some(change) = change {
            let own = self.inbox.is_echo(planned.event);
            self.signal(signals::changed(&planned.destination, change, &pace, &attempt.answer, own, now), now);
        }
        self.deliveries.attempts.entry(n).or_default().push(attempt);
        for signal in settlement.signals {
            self.signal(signal, now);
        }
        Ok(())
    }
}
