//! What retention takes, in small pieces.

use jiff::{SignedDuration, Timestamp};
use rusqlite::OptionalExtension as _;

use super::writer::WriterState;
use crate::clock::plus;
use crate::event::Seq;
use crate::store::{Error, LANE_KEPT};

/// How many places of the inbox are looked at in one piece: of those that retention spares there may be very many, and
/// anyone who appends waits for each piece.
const WINDOW: i64 = 2048;

/// Events that nothing kept needs any more, of a piece of the inbox.
const OLD_EVENTS: &str = "SELECT seq FROM inbox WHERE seq > ?1 AND seq <= ?2 AND received < ?3
      AND NOT EXISTS (SELECT 1 FROM doc_events AS e WHERE e.seq = inbox.seq)
      AND NOT EXISTS (SELECT 1 FROM timers AS e WHERE e.event = inbox.seq AND e.event IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM deliveries AS e WHERE e.event = inbox.seq)
      AND NOT EXISTS (SELECT 1 FROM delivery_events AS e WHERE e.seq = inbox.seq)
    ORDER BY seq LIMIT ?4";

/// Lanes of cases that ended, in which nothing waits.
const ENDED_LANES: &str = "DELETE FROM lanes WHERE lane IN (
    SELECT lane FROM lanes WHERE ended > 0 AND used < ?1
       AND NOT EXISTS (SELECT 1 FROM deliveries AS e
            WHERE e.lane = lanes.lane AND e.lane IS NOT NULL AND e.state IN ('due', 'sending', 'retrying'))
     LIMIT ?2)";

impl WriterState {
    /// Deletes at most `limit` things. Gives how many, and at least 1 while there is more to look at.
    pub fn prune(&mut self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Result<u64, Error> {
        let mut left = limit;
        for (states, before) in [("'delivered', 'cancelled'", before), ("'dead'", before_dead)] {
            left -= self.prune_deliveries(states, before, left)?;
        }
        let (events, is_through) = self.prune_events(before, left)?;
        left -= events;
        left -= self.prune_conflicts(before_dead, left)?;
        left -= self.prune_lanes(before_dead, left)?;
        left -= self.drop_weeks(before_dead.as_millisecond(), left)?;
        let pruned = (limit - left) as u64;
        self.written += pruned * 4096;
        self.freed |= pruned > 0;
        Ok(if is_through { pruned } else { pruned.max(1) })
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

    /// With what rules did about them, in the piece of the inbox behind the one that was looked at last. Only what is
    /// planned, and whose id stands in a week's table, so that it stays known. Gives how many, and whether all of the
    /// inbox has been looked at.
    fn prune_events(&mut self, before: Timestamp, limit: usize) -> Result<(usize, bool), Error> {
        let upto = self.meta("planned")?.min(self.indexed);
        let before_ms = before.as_millisecond();
        let Some(piece) = self.piece(self.looked_at, upto)?.filter(|piece| !piece.is_young(before_ms)) else {
            self.looked_at = 0;
            return Ok((0, true));
        };
        let old: Vec<Seq> = self
            .conn
            .prepare_cached(OLD_EVENTS)?
            .query_map((self.looked_at, piece.end, before_ms, most(limit)), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for seq in &old {
            self.conn.prepare_cached("DELETE FROM whys WHERE event = ?1")?.execute([seq])?;
            self.conn.prepare_cached("DELETE FROM inbox WHERE seq = ?1")?.execute([seq])?;
        }
        let is_whole = old.len() < limit;
        let is_through = is_whole && piece.end >= upto;
        self.looked_at = match old.last() {
            _ if is_through => 0,
            _ if is_whole => piece.end,
            Some(last) => *last,
            None => self.looked_at,
        };
        Ok((old.len(), is_through))
    }

    /// The next piece of the inbox after `from`, up to `upto`.
    fn piece(&self, from: Seq, upto: Seq) -> Result<Option<Piece>, Error> {
        let mut row = self.conn.prepare_cached(
            "SELECT max(seq), min(received), max(received) FROM
                 (SELECT seq, received FROM inbox WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)",
        )?;
        let (end, first, last) = row.query_row((from, upto, WINDOW), |row| {
            Ok((row.get::<_, Option<Seq>>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<i64>>(2)?))
        })?;
        let mut newest = self.conn.prepare_cached("SELECT received FROM inbox ORDER BY seq DESC LIMIT 1")?;
        let newest: Option<i64> = newest.query_row([], |row| row.get(0)).optional()?;
        let piece = end.zip(first).zip(last).zip(newest);
        Ok(piece.map(|(((end, first), last), newest)| Piece { end, first, last, newest }))
    }

    fn prune_conflicts(&mut self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        let sql = "DELETE FROM conflicts WHERE n IN (SELECT n FROM conflicts WHERE received < ?1 LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute((before.as_millisecond(), most(limit)))?)
    }

    /// Of cases that ended, unless a delivery still waits in them; of others later.
    fn prune_lanes(&mut self, before: Timestamp, limit: usize) -> Result<usize, Error> {
        let ended = self.conn.prepare_cached(ENDED_LANES)?.execute((before.as_millisecond(), most(limit)))?;
        let before = plus(before, SignedDuration::ZERO - LANE_KEPT);
        let sql = "DELETE FROM lanes WHERE lane IN (SELECT lane FROM lanes WHERE used < ?1 LIMIT ?2)";
        Ok(ended + self.conn.prepare_cached(sql)?.execute((before.as_millisecond(), most(limit - ended)))?)
    }
}

/// A piece of the inbox: its last place, the times between which its entries were received, in ms, and when the newest
/// of the whole inbox was.
#[derive(Debug)]
struct Piece {
    end: Seq,
    first: i64,
    last: i64,
    newest: i64,
}

impl Piece {
    /// Whether all of it came after `before`, and so all that stands behind it: entries stand as they arrived. Times
    /// ahead of the newest entry are those of a clock that was wrong, and say nothing.
    fn is_young(&self, before_ms: i64) -> bool {
        self.first >= before_ms && self.last <= self.newest
    }
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
