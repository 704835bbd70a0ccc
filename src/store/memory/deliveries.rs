//! Deliveries in memory.

mod claims;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::with_set;
use crate::delivery::{Attempt, AttemptOutcome, Delivery, DeliveryId, Lane, NewDelivery, Receipt, State};
use crate::event::Seq;
use crate::pace::Pace;
use crate::planner::{Cancel, End};
use crate::store::look::COUNTED_MAX;
use crate::store::transitions::{LaneState, OVERDUE_MAX, Row, Taken, whole};
use crate::store::{Census, Claim, DeliveryFilter, Error, Room, Standing};

/// Deliveries by when they are next looked at, and in the order of planning.
type Queue = HashMap<String, BTreeSet<(Timestamp, u64)>>;

/// All deliveries, and what helps to find them.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    rows: BTreeMap<u64, Row>,
    attempts: HashMap<u64, Vec<Attempt>>,
    by_id: HashMap<DeliveryId, u64>,
    /// Those due and retrying, of each destination.
    waiting: Queue,
    /// Those sending, of each destination.
    sending: Queue,
    /// Those of a lane that are not final.
    open: HashMap<Lane, BTreeSet<u64>>,
    lanes: HashMap<Lane, Remembered>,
    paces: BTreeMap<String, Pace>,
    /// How many deliveries need an event.
    needs: HashMap<Seq, usize>,
    last: u64,
}

/// A lane, when something happened in it last, and whether its case has ended, or was closed.
#[derive(Debug, Default)]
struct Remembered {
    state: LaneState,
    used: Timestamp,
    ended: bool,
    closed: bool,
}

/// The events that a delivery renders, each once.
fn needed(planned: &NewDelivery) -> BTreeSet<Seq> {
    planned.assignment.events.iter().copied().chain([planned.event, planned.assignment.event]).collect()
}

impl Deliveries {
    /// Makes a delivery. `false` if it was made before.
    pub fn insert(&mut self, planned: NewDelivery, now: Timestamp) -> bool {
        if self.by_id.contains_key(&planned.id) {
            return false;
        }
        for seq in needed(&planned) {
            *self.needs.entry(seq).or_default() += 1;
        }
        self.last += 1;
        self.by_id.insert(planned.id.clone(), self.last);
        self.rows.insert(self.last, Row::new(planned, now));
        self.file(self.last, true);
        true
    }

    /// The newest deliveries that were planned since.
    pub fn planned_since(&self, since: Timestamp) -> impl Iterator<Item = &Delivery> {
        let newest = self.rows.values().rev().take(usize::try_from(COUNTED_MAX).unwrap_or(usize::MAX));
        newest.map(|row| &row.delivery).filter(move |delivery| delivery.created >= since)
    }

    /// Takes a delivery out, with all that belongs to it.
    pub fn remove(&mut self, n: u64) {
        self.file(n, false);
        self.attempts.remove(&n);
        let Some(row) = self.rows.remove(&n) else { return };
        self.by_id.remove(&row.delivery.planned.id);
        for seq in needed(&row.delivery.planned) {
            if let Some(count) = self.needs.get_mut(&seq) {
                *count -= 1;
                if *count == 0 {
                    self.needs.remove(&seq);
                }
            }
        }
    }

    /// Whether a delivery needs this event.
    pub fn needs(&self, seq: Seq) -> bool {
        self.needs.contains_key(&seq)
    }

    /// Files a row where it is looked for, or takes it out from there.
    fn file(&mut self, n: u64, there: bool) {
        let Some(row) = self.rows.get(&n) else { return };
        let delivery = &row.delivery;
        let queue = match delivery.state {
            State::Due | State::Retrying => Some(&mut self.waiting),
            State::Sending => Some(&mut self.sending),
            State::Delivered | State::Dead | State::Cancelled => None,
        };
        let Some(queue) = queue else { return };
        let place = (delivery.next, n);
        with_set(queue, &delivery.planned.destination, |set| {
            if there {
                set.insert(place)
            } else {
                set.remove(&place)
            };
        });
        if let Some(lane) = &delivery.planned.lane {
            with_set(&mut self.open, lane, |set| {
                if there {
                    set.insert(n)
                } else {
                    set.remove(&n)
                };
            });
        }
    }

    /// The clock was set back: due is what was due at a time still to come, and what is to be tried again and was tried
    /// last at such a time. What was planned for later stays.
    pub fn set_back(&mut self, now: Timestamp) {
        let tried_ahead = |n: &u64| self.attempts.get(n).is_some_and(|all| all.iter().any(|attempt| attempt.at > now));
        let is_stuck = |n: &u64, Delivery { state, next, planned, created, .. }: &Delivery| match state {
            State::Due => *next != planned.due || planned.due <= *created,
            State::Retrying => tried_ahead(n),
            _ => false,
        };
        let ahead = self.rows.iter().filter(|(_, row)| row.delivery.next > now);
        let stuck: Vec<u64> = ahead.filter(|(n, row)| is_stuck(n, &row.delivery)).map(|(n, _)| *n).collect();
        for n in stuck {
            self.change(n, |row| row.delivery.next = whole(now));
        }
    }

    /// Changes a row, and files it anew.
    fn change<T>(&mut self, n: u64, change: impl FnOnce(&mut Row) -> T) -> Option<T> {
        self.file(n, false);
        let was_final = self.rows.get(&n).is_some_and(|row| row.delivery.state.is_final());
        let changed = self.rows.get_mut(&n).map(change);
        self.file(n, true);
        // What ended leaves its lane to the next: from now on that one waits for no other.
        let ended =
            self.rows.get(&n).map(|row| &row.delivery).filter(|delivery| !was_final && delivery.state.is_final());
        if let Some((lane, used)) = ended.and_then(|delivery| delivery.planned.lane.clone().zip(delivery.finished)) {
            self.lanes.entry(lane).or_default().used = used;
        }
        changed
    }

    /// Changes what can be changed of these. Gives how many.
    pub fn count_changed(&mut self, ids: &[DeliveryId], mut change: impl FnMut(&mut Row) -> bool) -> u64 {
        let mut count = 0;
        for id in ids {
            if let Some(n) = self.by_id.get(id).copied() {
                count += u64::from(self.change(n, &mut change).unwrap_or(false));
            }
        }
        count
    }

    /// Calls off what a lane has untried.
    pub fn cancel_untried(&mut self, cancel: &Cancel, now: Timestamp) {
        for n in self.open.get(&cancel.lane).cloned().unwrap_or_default() {
            self.change(n, |row| row.is_replaced_by(cancel) && row.cancel(&cancel.reason, now));
        }
    }

    /// Keeps the rendered message.
    pub fn keep(&mut self, id: &DeliveryId, token: u64, message: String) -> Result<(), Error> {
        let n = self.guarded(id, token)?;
        self.change(n, |row| row.delivery.message = Some(message));
        Ok(())
    }

    /// Ends a claim without an attempt.
    pub fn release(&mut self, claim: &Claim, state: State, reason: &str, now: Timestamp) -> Result<(), Error> {
        let n = self.guarded(&claim.delivery.planned.id, claim.token)?;
        let destination = self.change(n, |row| {
            row.release(state, reason, now);
            row.delivery.planned.destination.clone()
        });
        if let Some(pace) = destination.and_then(|destination| self.paces.get_mut(&destination)) {
            pace.spared();
        }
        Ok(())
    }

    /// The row of a live claim.
    fn guarded(&self, id: &DeliveryId, token: u64) -> Result<u64, Error> {
        let n = *self.by_id.get(id).ok_or(Error::Lost)?;
        self.rows.get(&n).ok_or(Error::Lost)?.guard(token)?;
        Ok(n)
    }

    /// Due deliveries of a destination, oldest first, whose lane is free.
    fn due(&self, destination: &str, now: Timestamp, most: usize) -> Vec<u64> {
        let mut due: Vec<(Timestamp, u64)> = Vec::new();
        for queue in [&self.waiting, &self.sending] {
            let places = queue.get(destination).into_iter().flatten().take_while(|(next, _)| *next <= now);
            due.extend(places.filter(|(_, n)| self.is_lane_free(*n)).take(most).copied());
        }
        due.sort_unstable();
        due.into_iter().take(most).map(|(_, n)| n).collect()
    }

    /// The deliveries of a destination that have been due the longest, whether their lane is free or not.
    fn overdue(&self, destination: &str, now: Timestamp) -> Vec<u64> {
        let queues = [&self.waiting, &self.sending];
        let due = queues.into_iter().flat_map(|queue| {
            let places = queue.get(destination).into_iter().flatten();
            places.take_while(|(next, _)| *next <= now).take(OVERDUE_MAX as usize).map(|(_, n)| *n)
        });
        due.collect()
    }

    /// When something last happened in the lane of a delivery.
    fn lane_used(&self, row: &Row) -> Option<Timestamp> {
        let lane = row.delivery.planned.lane.as_ref()?;
        self.lanes.get(lane).map(|lane| lane.used)
    }

    fn is_lane_free(&self, n: u64) -> bool {
        let lane = self.rows.get(&n).and_then(|row| row.delivery.planned.lane.as_ref());
        let first = lane.and_then(|lane| self.open.get(lane)).and_then(BTreeSet::first);
        first.is_none_or(|first| *first >= n)
    }

    fn under_way(&self, destination: &str, now: Timestamp) -> usize {
        self.sending.get(destination).map_or(0, |places| places.range((now, u64::MAX)..).count())
    }

    fn note_lane(&mut self, planned: &NewDelivery, outcome: AttemptOutcome, receipt: Option<&Receipt>, now: Timestamp) {
        if let Some(lane) = &planned.lane {
            let lane = self.lanes.entry(lane.clone()).or_default();
            lane.state.after(outcome, receipt);
            lane.used = whole(now);
        }
    }

    /// The case of a lane has ended.
    pub fn end_lane(&mut self, end: End, now: Timestamp) {
        let lane = self.lanes.entry(end.lane).or_default();
        (lane.ended, lane.used) = (true, whole(now));
        lane.closed |= end.closed;
    }

    /// Makes deliveries due, to be rendered anew. Gives how many.
    pub fn revive(&mut self, ids: &[DeliveryId], now: Timestamp) -> u64 {
        let is_closed = |row: &Row| {
            let lane = row.delivery.planned.lane.as_ref().and_then(|lane| self.lanes.get(lane));
            lane.is_some_and(|lane| lane.closed)
        };
        let closed = ids.iter().filter_map(|id| self.by_id.get(id)).filter_map(|n| self.rows.get(n));
        let closed: BTreeSet<DeliveryId> =
            closed.filter(|row| is_closed(row)).map(|row| row.delivery.planned.id.clone()).collect();
        self.count_changed(ids, |row| row.revive(closed.contains(&row.delivery.planned.id), now))
    }

    fn record_lost(&mut self, n: u64, taken: &Taken, now: Timestamp) {
        let planned = self.rows.get(&n).map(|row| row.delivery.planned.clone());
        if let (Some(lost), Some(planned)) = (&taken.lost, planned) {
            self.attempts.entry(n).or_default().push(lost.clone());
            self.note_lane(&planned, AttemptOutcome::Ambiguous, None, now);
        }
    }

    fn claim_of(&self, n: u64, until: Timestamp) -> Option<Claim> {
        let row = self.rows.get(&n)?;
        let lane = row.delivery.planned.lane.as_ref().and_then(|lane| self.lanes.get(lane));
        Some(Claim {
            delivery: row.delivery.clone(),
            token: row.token,
            until: whole(until),
            receipt: lane.and_then(|lane| lane.state.receipt.clone()),
            shown: lane.is_some_and(|lane| lane.state.shown),
        })
    }

    /// When something of this room could be claimed next.
    fn look_again(&self, room: &Room, now: Timestamp, places: usize, free_at: Timestamp) -> Option<Timestamp> {
        let later = [&self.waiting, &self.sending]
            .into_iter()
            .filter_map(|queue| queue.get(&room.destination)?.range((now, u64::MAX)..).next().map(|(next, _)| *next));
        let has_place = places > 0 && room.limits.concurrency as usize > self.under_way(&room.destination, now);
        let now = (has_place && !self.due(&room.destination, now, 1).is_empty()).then_some(free_at);
        later.chain(now).min()
    }

    /// Lists deliveries, newest first.
    pub fn list(&self, filter: &DeliveryFilter) -> Vec<Delivery> {
        let before = self.before(filter.before.as_ref());
        let after = filter.within.map_or(0, |many| self.after(before, many));
        let rows = self.rows.range(after.saturating_add(1).min(before)..before).rev();
        let accepted = rows.map(|(_, row)| &row.delivery).filter(|delivery| {
            let planned = &delivery.planned;
            (filter.states.is_empty() || filter.states.contains(&delivery.state))
                && filter.destination.as_ref().is_none_or(|destination| planned.destination == *destination)
                && filter.rule.as_ref().is_none_or(|rule| planned.rule == *rule)
                && (filter.events.is_empty() || needed(planned).iter().any(|event| filter.events.contains(event)))
                && (filter.lanes.is_empty() || planned.lane.as_ref().is_some_and(|lane| filter.lanes.contains(lane)))
                && filter.since.is_none_or(|since| delivery.created >= since)
        });
        accepted.skip(filter.skip).take(filter.limit).cloned().collect()
    }

    /// The place before which those stand that were planned before this one, or all.
    fn before(&self, id: Option<&DeliveryId>) -> u64 {
        id.map_or(u64::MAX, |id| self.by_id.get(id).copied().unwrap_or(0))
    }

    /// The place after which the newest this many before a place stand.
    fn after(&self, before: u64, many: usize) -> u64 {
        let newest = self.rows.range(..before).next_back().map_or(0, |(n, _)| *n);
        newest.saturating_sub(u64::try_from(many).unwrap_or(u64::MAX))
    }

    /// The last of `many` that were planned before this one, unless it is the last of all.
    pub fn beyond(&self, before: Option<&DeliveryId>, many: usize) -> Option<DeliveryId> {
        let before = self.before(before);
        let after = self.after(before, many);
        self.rows.range(..=after).next()?;
        self.rows.range(after.saturating_add(1)..before).next().map(|(_, row)| row.delivery.planned.id.clone())
    }

    /// A delivery and its attempts.
    pub fn one(&self, id: &DeliveryId) -> Option<(Delivery, Vec<Attempt>)> {
        let n = self.by_id.get(id)?;
        let attempts = self.attempts.get(n).cloned().unwrap_or_default();
        Some((self.rows.get(n)?.delivery.clone(), attempts))
    }

    /// The destinations for which deliveries wait or are under way.
    pub fn waiting_destinations(&self) -> Vec<String> {
        let all: BTreeSet<&String> = self.waiting.keys().chain(self.sending.keys()).collect();
        all.into_iter().cloned().collect()
    }

    /// How each destination stands.
    pub fn standings(&self) -> Vec<Standing> {
        let all = self.paces.iter();
        all.map(|(destination, pace)| Standing { destination: destination.clone(), pace: *pace }).collect()
    }

    /// How many there are in each state, and since when the oldest waits.
    pub fn count(&self, census: &mut Census) {
        let of = |state| self.rows.values().filter(|row| row.delivery.state == state).count() as u64;
        census.deliveries = State::ALL.into_iter().map(|state| (state, of(state))).collect();
        census.oldest_due = self.waiting.values().filter_map(|places| places.first()).map(|(next, _)| *next).min();
    }

    /// Final deliveries that ended before these times: dead ones before the second.
    pub fn finished(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Vec<u64> {
        let old = |row: &Row| {
            let before = if row.delivery.state == State::Dead { before_dead } else { before };
            row.delivery.finished.is_some_and(|finished| finished < before)
        };
        self.rows.iter().filter(|(_, row)| old(row)).take(limit).map(|(n, _)| *n).collect()
    }

    /// Forgets lanes that nothing happened in since: of cases that ended, unless a delivery still waits in them, and of
    /// others. Gives how many.
    pub fn forget_lanes(&mut self, before_ended: Timestamp, before: Timestamp) -> usize {
        let count = self.lanes.len();
        let open = &self.open;
        self.lanes.retain(|name, lane| {
            let is_over = lane.ended && lane.used < before_ended && !open.contains_key(name);
            lane.used >= before && !is_over
        });
        count - self.lanes.len()
    }
}
