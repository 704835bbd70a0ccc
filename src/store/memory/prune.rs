//! What retention takes from memory.

use jiff::{SignedDuration, Timestamp};

use super::World;
use crate::clock::plus;
use crate::event::Seq;
use crate::store::LANE_KEPT;
use crate::store::transitions::{week_end, week_of};

impl World {
    /// Deletes about `limit` things at most. Gives how many.
    pub fn prune(&mut self, before: Timestamp, before_dead: Timestamp, limit: usize) -> u64 {
        let finished = self.deliveries.finished(before, before_dead, limit);
        let mut pruned = finished.len();
        finished.into_iter().for_each(|n| self.deliveries.remove(n));
        pruned += self.prune_events(before, limit - pruned);
        if pruned < limit {
            pruned += self.forget_ids(before_dead);
            let before_open = plus(before_dead, SignedDuration::ZERO - LANE_KEPT);
            pruned += self.deliveries.forget_lanes(before_dead, before_open);
        }
        pruned as u64
    }

    fn prune_events(&mut self, before: Timestamp, limit: usize) -> usize {
        let planned = self.planning.planned;
        let items = self.inbox.items.range(..=planned);
        let old = items.filter(|(seq, (received, _))| {
            *received < before && !self.planning.needs(**seq) && !self.deliveries.needs(**seq)
        });
        let old: Vec<Seq> = old.take(limit).map(|(seq, _)| *seq).collect();
        for seq in &old {
            self.inbox.remove(*seq);
            self.planning.whys.remove(seq);
        }
        old.len()
    }

    fn forget_ids(&mut self, before: Timestamp) -> usize {
        let inbox = &mut self.inbox;
        let mut forgotten = 0;
        inbox.ids.retain(|_, known| {
            let count = known.len();
            known.retain(|(_, known)| week_end(week_of(known.received)) > before);
            forgotten += count - known.len();
            !known.is_empty()
        });
        inbox.conflicts.retain(|_, kept| {
            let count = kept.len();
            kept.retain(|conflict| conflict.received >= before);
            forgotten += count - kept.len();
            !kept.is_empty()
        });
        forgotten
    }
}
