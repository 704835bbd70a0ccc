//! What retention takes, in small pieces.

use jiff::{SignedDuration, Timestamp};

use super::writer::Desk;
use crate::clock::plus;
use crate::event::Seq;
use crate::store::{Error, LANE_KEPT};

/// Events that nothing kept needs any more.
const OLD_EVENTS: &str = "SELECT seq FROM inbox WHERE seq <= ?1 AND received < ?2
      AND NOT EXISTS (SELECT 1 FROM doc_events AS e WHERE e.seq = inbox.seq)
      AND NOT EXISTS (SELECT 1 FROM timers AS e WHERE e.event = inbox.seq AND e.event IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM deliveries AS e WHERE e.event = inbox.seq)
      AND NOT EXISTS (SELECT 1 FROM delivery_events AS e WHERE e.seq = inbox.seq)
    ORDER BY seq LIMIT ?3";

impl Desk {
    /// Deletes at most `limit` things. Gives how many.
    pub fn prune(&mut self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Result<u64, Error> {
        let mut left = limit;
        for (states, before) in [("'delivered', 'cancelled'", before), ("'dead'", before_dead)] {
            left -= self.prune_deliveries(states, before, left)?;
        }
        left -= self.prune_events(before, left)?;
        left -= self.prune_conflicts(before_dead, left)?;
        left -= self.prune_lanes(before_dead, left)?;
        left -= self.drop_weeks(before_dead.as_millisecond(), left)?;
        let pruned = (limit - left) as u64;
        self.written += pruned * 4096;
        self.freed |= pruned > 0;
        Ok(pruned)
    }

    /// With their contents, attempts and needs, which go with them by themselves.
    fn prune_deliveries(&mut self, states: &str, before: Timestamp, limit: usize) -> Result<usize, Error> {
        let sql = format!(
            "DELETE FROM deliveries WHERE n IN (
                 SELECT n FROM deliveries WHERE state IN ('delivered', 'dead', 'cancelled')
                    AND state IN ({states}) AND finished < ?1 LIMIT ?2)"
        );
        Ok(self.conn.prepare_cached(&sql)?.execute((before.as_millisecond(), most(limit)))?)
    }

    /// With what rules did about them. Only what is planned, and whose id stands in a week's table, so that it stays
    /// known.
    fn prune_events(&mut self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        let upto = self.meta("planned")?.min(self.indexed);
        let old: Vec<Seq> = self
            .conn
            .prepare_cached(OLD_EVENTS)?
            .query_map((upto, before.as_millisecond(), most(limit)), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for seq in &old {
            self.conn.prepare_cached("DELETE FROM whys WHERE event = ?1")?.execute([seq])?;
            self.conn.prepare_cached("DELETE FROM inbox WHERE seq = ?1")?.execute([seq])?;
        }
        Ok(old.len())
    }

    fn prune_conflicts(&mut self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        let sql = "DELETE FROM conflicts WHERE n IN (SELECT n FROM conflicts WHERE received < ?1 LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute((before.as_millisecond(), most(limit)))?)
    }

    fn prune_lanes(&mut self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        let before = plus(before, SignedDuration::ZERO - LANE_KEPT);
        let sql = "DELETE FROM lanes WHERE lane IN (SELECT lane FROM lanes WHERE used < ?1 LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute((before.as_millisecond(), most(limit)))?)
    }
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
