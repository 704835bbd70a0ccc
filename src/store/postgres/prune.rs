//! What retention takes, in small pieces. Any number may prune at once: each passes over what another has in hand.

use jiff::{SignedDuration, Timestamp};

use super::link::{Tx, get, given, most};
use crate::clock::plus;
use crate::event::Seq;
use crate::store::transitions::week_of;
use crate::store::{Error, LANE_KEPT};

/// With their contents, attempts and needs.
const DELIVERIES: &str = "WITH old AS (
        DELETE FROM deliveries WHERE n IN (
            SELECT n FROM deliveries WHERE state IN ('delivered', 'dead', 'cancelled') AND state = ANY($1) AND finished < $2
             LIMIT $3 FOR UPDATE SKIP LOCKED)
        RETURNING n
    ), c AS (DELETE FROM contents WHERE n IN (SELECT n FROM old)
    ), e AS (DELETE FROM delivery_events WHERE n IN (SELECT n FROM old)
    ), a AS (DELETE FROM attempts WHERE n IN (SELECT n FROM old))
    SELECT count(*) FROM old";

/// Events that nothing kept needs any more, with what rules did about them.
const EVENTS: &str = "WITH old AS (
        DELETE FROM inbox WHERE seq IN (
            SELECT seq FROM inbox WHERE seq <= $1 AND received < $2
               AND NOT EXISTS (SELECT 1 FROM doc_events AS e WHERE e.seq = inbox.seq)
               AND NOT EXISTS (SELECT 1 FROM timers AS e WHERE e.event = inbox.seq AND e.event IS NOT NULL)
               AND NOT EXISTS (SELECT 1 FROM deliveries AS e WHERE e.event = inbox.seq)
               AND NOT EXISTS (SELECT 1 FROM delivery_events AS e WHERE e.seq = inbox.seq)
             ORDER BY seq LIMIT $3 FOR UPDATE SKIP LOCKED)
        RETURNING seq
    ), w AS (DELETE FROM whys WHERE event IN (SELECT seq FROM old))
    SELECT count(*) FROM old";

const CONFLICTS: &str = "DELETE FROM conflicts WHERE n IN (
    SELECT n FROM conflicts WHERE received < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Of cases that ended, unless a delivery still waits in them.
const ENDED_LANES: &str = "DELETE FROM lanes WHERE lane IN (
    SELECT lane FROM lanes WHERE ended > 0 AND used < $1
       AND NOT EXISTS (SELECT 1 FROM deliveries AS e
            WHERE e.lane = lanes.lane AND e.lane IS NOT NULL AND e.state IN ('due', 'retrying', 'sending'))
     LIMIT $2 FOR UPDATE SKIP LOCKED)";

const LANES: &str = "DELETE FROM lanes WHERE lane IN (
    SELECT lane FROM lanes WHERE used < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

const IDS: &str = "DELETE FROM ids WHERE (h, source) IN (
    SELECT h, source FROM ids WHERE week < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

impl Tx {
    /// Deletes at most `limit` things. Gives how many.
    pub async fn prune(&self, before: Timestamp, before_dead: Timestamp, limit: usize) -> Result<u64, Error> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut left = limit;
        for (states, before) in [(vec!["delivered", "cancelled"], before), (vec!["dead"], before_dead)] {
            let gone = self.one(DELIVERIES, given![states, before.as_millisecond(), count(left)]).await?;
            left = left.saturating_sub(get::<i64>(&gone, 0)?.max(0).cast_unsigned());
        }
        let planned: Seq = get(&self.one("SELECT planned FROM planner", given![]).await?, 0)?;
        let gone = self.one(EVENTS, given![planned, before.as_millisecond(), count(left)]).await?;
        left = left.saturating_sub(get::<i64>(&gone, 0)?.max(0).cast_unsigned());
        let lanes_before = plus(before_dead, SignedDuration::ZERO - LANE_KEPT).as_millisecond();
        // The week that this moment is in has not ended by then; those before it have.
        let week = week_of(before_dead);
        let dead = before_dead.as_millisecond();
        for (sql, before) in [(CONFLICTS, dead), (ENDED_LANES, dead), (LANES, lanes_before), (IDS, week)] {
            left = left.saturating_sub(self.run(sql, given![before, count(left)]).await?);
        }
        Ok(limit - left)
    }
}

fn count(left: u64) -> i64 {
    most(usize::try_from(left).unwrap_or(usize::MAX))
}
