//! Giving up what has waited too long for a destination that is known to be down.

use jiff::Timestamp;

use super::claims::{Permit, earlier};
use super::deliveries::{COLUMNS, OPEN, Stored, read};
use super::link::{Tx, given, held};
use crate::event::Signal;
use crate::store::Error;
use crate::store::transitions::OVERDUE_MAX;

impl Tx {
    /// Takes nothing for a destination that is known to be down, of whose deliveries these are due, and gives up what has
    /// waited too long. Gives when to look again.
    pub async fn shut_out(
        &self,
        place: &Permit<'_>,
        mut due: Vec<Stored>,
        now: Timestamp,
        told: &mut Vec<Signal>,
    ) -> Result<Option<Timestamp>, Error> {
        let before = told.len();
        let next = self.give_up(place, now, told).await?;
        if told.len() > before {
            due = self.due(now, &[place.room]).await?;
        }
        let free_at = place.pace.map_or(now, |pace| pace.free_at(&place.room.limits)).max(now);
        let waits = place.places > 0 && !due.is_empty();
        Ok(earlier(next, waits.then_some(free_at)))
    }

    /// Gives up what has waited too long. Gives when to look again.
    async fn give_up(
        &self,
        place: &Permit<'_>,
        now: Timestamp,
        told: &mut Vec<Signal>,
    ) -> Result<Option<Timestamp>, Error> {
        let (room, pace) = (place.room, place.pace.unwrap_or_default());
        let sql = format!(
            "SELECT {COLUMNS} WHERE d.destination = $1 AND d.{OPEN} AND d.next <= $2
              ORDER BY d.next, d.n LIMIT $3 FOR UPDATE OF d SKIP LOCKED"
        );
        let (name, now_ms) = (held(&room.destination), now.as_millisecond());
        let overdue = read(self.rows(&sql, given![name, now_ms, i64::from(OVERDUE_MAX)]).await?)?;
        let (mut next, mut ended, count) = (None, 0, overdue.len());
        for mut stored in overdue {
            let ends = stored.row.ends(stored.used, &pace, room.give_up, now);
            if ends > now {
                next = earlier(next, Some(ends));
                continue;
            }
            let taken = stored.row.recover(now);
            if taken.alive {
                stored.row.give_up(room.give_up, now);
            }
            told.push(self.bury(&stored, &taken, now).await?);
            ended += 1;
        }
        // Where all that were looked at have ended, others may be overdue too.
        Ok(if ended > 0 && ended == count { Some(now) } else { next })
    }
}
