//! Claiming deliveries in memory, giving up those that have waited too long, and ending claims.

use jiff::Timestamp;

use super::super::World;
use crate::delivery::{Attempt, DeliveryId};
use crate::pace::Pace;
use crate::store::room::{Patience, admit, earlier};
use crate::store::transitions::{Row, Taken, capped_attempt};
use crate::store::{Claimed, Error, Room, Settlement, Standing, signals};

impl World {
    /// Takes what each room has place for.
    pub fn claim(&mut self, now: Timestamp, rooms: &[Room]) -> Claimed {
        let mut claimed = Claimed::default();
        for room in rooms.iter().filter(|room| room.wanted > 0) {
            let next = self.claim_room(now, room, &mut claimed);
            claimed.next = earlier(claimed.next, next);
        }
        claimed
    }

    fn claim_room(&mut self, now: Timestamp, room: &Room, claimed: &mut Claimed) -> Option<Timestamp> {
        let pace = self.deliveries.paces.get(&room.destination).copied();
        let shut_out = pace.filter(|pace| pace.shuts_out(now));
        let given_up = shut_out.and_then(|pace| self.give_up(room, pace, now, &mut claimed.told));
        let under_way = self.deliveries.under_way(&room.destination, now);
        let places = (room.limits.concurrency as usize).saturating_sub(under_way);
        let ready = self.ready(&room.destination, now, places.min(room.wanted as usize), &mut claimed.told);
        let admitted = admit(room, pace, ready.len(), now);
        if admitted.is_new {
            self.deliveries.paces.insert(room.destination.clone(), admitted.pace);
        }
        for (n, row, taken) in ready.into_iter().take(admitted.count) {
            let used = self.deliveries.lane_used(&row);
            self.deliveries.record_lost(n, &taken, now);
            self.deliveries.change(n, |old| {
                *old = row;
                old.take(now, admitted.until, used, &admitted.pace);
            });
            claimed.claims.extend(self.deliveries.claim_of(n, admitted.until));
        }
        earlier(given_up, self.deliveries.look_again(room, now, places, admitted.free_at))
    }

    /// Gives up what has waited too long for a destination that is known to be down. Gives when to look again.
    fn give_up(&mut self, room: &Room, pace: Pace, now: Timestamp, told: &mut bool) -> Option<Timestamp> {
        let mut patience = Patience::new(room, pace, now);
        for n in self.deliveries.overdue(&room.destination, now) {
            let Some(mut row) = self.deliveries.rows.get(&n).cloned() else { continue };
            let used = self.deliveries.lane_used(&row);
            if let Some(taken) = patience.judge(&mut row, used) {
                self.bury(n, row, &taken, now);
            }
        }
        *told |= patience.has_ended_any();
        patience.look_again()
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
        self.signal(signals::buried(&delivery, own, now), now);
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
            let standing = Standing { destination: planned.destination, pace };
            self.signal(signals::changed(standing, change, &attempt.answer, own, now), now);
        }
        self.deliveries.attempts.entry(n).or_default().push(attempt);
        for signal in settlement.signals {
            self.signal(signal, now);
        }
        Ok(())
    }
}
