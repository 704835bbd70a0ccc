//! Giving up what has waited too long for a destination that is known to be down.

use jiff::Timestamp;

use super::claims::Permit;
use super::deliveries::{COLUMNS, OPEN, Stored, read};
use super::link::{Tx, given, held};
use crate::event::Signal;
use crate::store::Error;
use crate::store::room::{Patience, earlier};
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
        let room = place.room;
        let sql = format!(
            "SELECT {COLUMNS} WHERE d.destination = $1 AND d.{OPEN} AND d.next <= $2
              ORDER BY d.next, d.n LIMIT $3 FOR UPDATE OF d SKIP LOCKED"
        );
        let (name, now_ms) = (held(&room.destination), now.as_millisecond());
        let overdue = read(self.rows(&sql, given![name, now_ms, i64::from(OVERDUE_MAX)]).await?)?;
        let mut patience = Patience::new(room, place.pace.unwrap_or_default(), now);
        for mut stored in overdue {
            if let Some(taken) = patience.judge(&mut stored.row, stored.used) {
                told.push(self.bury(&stored, &taken, now).await?);
            }
        }
        Ok(patience.look_again())
    }
}
