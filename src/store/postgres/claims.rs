//! Claiming deliveries. What becomes of a row is [`transitions`](crate::store::transitions)'s to say, what a
//! destination may do [`Pace`]'s; here they meet in one transaction.
//!
//! Anyone who waits for locks takes them in one order, so that no two wait for each other: the planner's row, deliveries in
//! the order of planning, destinations by name, lanes, the head of the inbox. Claims pass over deliveries that somebody
//! else has locked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::deliveries::{COLUMNS, OPEN, Stored, read};
use super::inbox::{Arrival, is_echo};
use super::link::{Lines, Link, STEP_MAX, Tx, get, given, held, maybe_text, text, within};
use crate::clock::from_ms;
use crate::delivery::{DeliveryId, Lane};
use crate::event::Signal;
use crate::pace::Pace;
use crate::store::room::{admit, earlier};
use crate::store::rows::{self, json};
use crate::store::transitions::{LaneState, Taken, whole};
use crate::store::{Claim, Claimed, Error, Room, signals};

/// Whether nothing of the same lane that was planned before is still open.
const LANE_FREE: &str = "(d.lane IS NULL OR NOT EXISTS (
    SELECT 1 FROM deliveries AS e WHERE e.lane = d.lane AND e.n < d.n AND e.lane IS NOT NULL
       AND e.state IN ('due', 'retrying', 'sending')))";

/// How a destination looks at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    under_way: u32,
    /// When the next delivery comes due, or the next lease ends, that has not yet.
    later: Option<Timestamp>,
    /// Whether any delivery could be taken as far as it and its lane say.
    due: bool,
    /// Whether anything is due, whatever its lane says.
    waits: bool,
    /// Its row in `paces`, if it is there.
    pace: Option<Option<Pace>>,
}

impl Look {
    fn places(&self, room: &Room) -> u32 {
        room.limits.concurrency.saturating_sub(self.under_way)
    }

    /// Whether there is something to take, or perhaps to give up. Where all places are taken, the end of a lease is all
    /// that there is to wait for.
    fn is_open(&self, room: &Room, now: Timestamp) -> bool {
        let shut_out = self.pace.flatten().is_some_and(|pace| pace.shuts_out(now));
        (self.due && self.places(room) > 0) || (self.waits && shut_out)
    }
}

/// Looks at destinations, in the order of the rooms.
async fn look(link: &Link, now: Timestamp, rooms: &[&Room]) -> Result<Vec<Look>, Error> {
    let names: Vec<_> = rooms.iter().map(|room| held(&room.destination)).collect();
    let sql = format!(
        "SELECT (SELECT count(*) FROM deliveries WHERE destination = r.name AND state = 'sending' AND next > $2),
                (SELECT min(next) FROM deliveries WHERE destination = r.name AND {OPEN} AND next > $2),
                EXISTS (SELECT 1 FROM deliveries AS d WHERE d.destination = r.name AND d.{OPEN} AND d.next <= $2
                           AND {LANE_FREE}),
                EXISTS (SELECT 1 FROM deliveries AS d WHERE d.destination = r.name AND d.{OPEN} AND d.next <= $2),
                EXISTS (SELECT 1 FROM paces WHERE destination = r.name),
                (SELECT pace FROM paces WHERE destination = r.name)
           FROM unnest($1) WITH ORDINALITY AS r (name, n) ORDER BY r.n"
    );
    let looks = link.rows(&sql, given![names, now.as_millisecond()]).await?;
    let looks = looks.iter().map(|row| {
        Ok(Look {
            under_way: u32::try_from(get::<i64>(row, 0)?).unwrap_or(u32::MAX),
            later: get::<Option<i64>>(row, 1)?.map(from_ms),
            due: get(row, 2)?,
            waits: get(row, 3)?,
            pace: if get(row, 4)? { Some(pace_of(maybe_text(row, 5)?)) } else { None },
        })
    });
    looks.collect()
}

/// Takes what each room has place for. Where there is nothing to take, nothing is locked and nothing is written.
pub(super) async fn claim(lines: &Lines, now: Timestamp, rooms: &[Room]) -> Result<Claimed, Error> {
    let rooms: Vec<&Room> = rooms.iter().filter(|room| room.wanted > 0).collect();
    if rooms.is_empty() {
        return Ok(Claimed::default());
    }
    let link = lines.link().await?;
    let looks = look(&link, now, &rooms).await;
    let (mut open, mut unknown, mut next) = (Vec::new(), Vec::new(), None);
    for (room, look) in rooms.iter().zip(looks?) {
        next = earlier(next, look.later);
        if look.is_open(room, now) {
            open.push(*room);
            if look.pace.is_none() {
                unknown.push(held(&room.destination));
            }
        }
    }
    if !unknown.is_empty() {
        let sql = "INSERT INTO paces (destination) SELECT unnest($1) ON CONFLICT DO NOTHING";
        link.run(sql, given![unknown]).await?;
    }
    link.end(Ok(()))?;
    if open.is_empty() {
        return Ok(Claimed { next, ..Claimed::default() });
    }
    let tx = lines.prepare(STEP_MAX).await?;
    let taken = match tx.take(now, &open).await {
        Ok(take) => take.written(tx, now).await?,
        Err(error) => return tx.end(Err(error)).await,
    };
    Ok(Claimed { next: earlier(next, taken.next), ..taken })
}

/// A message to be kept, with the claim that rendered it.
pub(super) struct Kept {
    pub id: DeliveryId,
    pub token: u64,
    pub message: String,
}

/// Keeps rendered messages, each as long as its claim lives.
pub(super) async fn keep(lines: Arc<Lines>, all: Vec<Kept>) -> Result<Vec<Result<(), Error>>, Error> {
    // The last one of each, should there be several.
    let last: BTreeMap<&DeliveryId, &Kept> = all.iter().map(|kept| (&kept.id, kept)).collect();
    let sql = "WITH mine AS (
             SELECT d.n, k.id, k.message FROM unnest($1, $2, $3) AS k (id, token, message)
               JOIN deliveries AS d ON d.id = k.id AND d.token = k.token AND d.state = 'sending'
              ORDER BY d.n FOR UPDATE OF d
         ) UPDATE contents AS c SET message = m.message FROM mine AS m WHERE c.n = m.n RETURNING m.id";
    let (ids, tokens, messages): (Vec<_>, Vec<_>, Vec<_>) = (
        last.values().map(|kept| held(kept.id.as_str())).collect(),
        last.values().map(|kept| kept.token.cast_signed()).collect(),
        last.values().map(|kept| held(&kept.message)).collect(),
    );
    let rows = within(STEP_MAX, lines.run_alone(sql, given![ids, tokens, messages])).await?;
    let kept: BTreeSet<String> = rows.iter().map(|row| text(row, 0)).collect::<Result<_, _>>()?;
    let answer = |one: &Kept| if kept.contains(one.id.as_str()) { Ok(()) } else { Err(Error::Lost) };
    Ok(all.iter().map(answer).collect())
}

/// A room as it is found once its destination is locked.
pub(super) struct Permit<'r> {
    pub room: &'r Room,
    /// How many more may be under way there.
    pub places: u32,
    pub pace: Option<Pace>,
}

impl Permit<'_> {
    fn wanted(&self) -> usize {
        self.room.wanted.min(self.places) as usize
    }
}

/// What could be taken for a room.
#[derive(Default)]
struct Ready {
    /// At most as many as are wanted, oldest first.
    all: Vec<(Stored, Taken)>,
    /// Whether there are more.
    more: bool,
}

/// What a claim takes, still to be written.
#[derive(Default)]
struct Take {
    paces: Vec<(String, Pace)>,
    all: Vec<Stored>,
    /// When more of what was left could be taken.
    next: Option<Timestamp>,
    told: Vec<Signal>,
}

impl Take {
    /// Takes of what is ready for a room as much as its pace allows.
    fn of(&mut self, place: &Permit<'_>, ready: Ready, now: Timestamp) -> Vec<(Stored, Taken)> {
        let Permit { room, places, pace } = place;
        let admitted = admit(room, *pace, ready.all.len(), now);
        if admitted.is_new {
            self.paces.push((room.destination.clone(), admitted.pace));
        }
        // Where all places are taken, the end of a lease is all that there is to wait for.
        if *places as usize > admitted.count && (ready.more || ready.all.len() > admitted.count) {
            self.next = earlier(self.next, Some(admitted.free_at));
        }
        if admitted.count > 0 {
            self.next = earlier(self.next, Some(whole(admitted.until)));
        }
        let mut taken: Vec<(Stored, Taken)> = ready.all.into_iter().take(admitted.count).collect();
        for (stored, _) in &mut taken {
            stored.row.take(now, admitted.until, stored.used, &admitted.pace);
        }
        taken
    }

    /// Writes it, and commits.
    async fn written(self, tx: Tx, now: Timestamp) -> Result<Claimed, Error> {
        let Self { paces, all, next, told } = self;
        let taken: Vec<&Stored> = all.iter().collect();
        let paces: Vec<(&str, Pace)> = paces.iter().map(|(destination, pace)| (&**destination, *pace)).collect();
        let lanes = lanes_of(&all);
        // Sent together, done one after the other: where one fails, what is called a commit rolls back.
        let (paced, written, states, committed) = tokio::join!(
            biased;
            tx.set_paces(&paces),
            tx.update_deliveries(&taken),
            tx.lanes(&lanes),
            async { if told.is_empty() { tx.send_commit().await } else { Ok(()) } },
        );
        let states = paced.and(written).and(states);
        let any_told = !told.is_empty();
        let states = if told.is_empty() {
            tx.ended(committed.and(states))?
        } else {
            let done = match states {
                Ok(states) => tx.tell_all(told, now).await.map(|()| states),
                Err(error) => Err(error),
            };
            tx.end(done).await?
        };
        Ok(Claimed { next, claims: claims_of(all, &states), told: any_told })
    }
}

/// Deliveries by destination, in their order.
fn by_destination(all: Vec<Stored>) -> BTreeMap<String, Vec<Stored>> {
    let mut by: BTreeMap<String, Vec<Stored>> = BTreeMap::new();
    for stored in all {
        by.entry(stored.row.delivery.planned.destination.clone()).or_default().push(stored);
    }
    by
}

/// The lanes of deliveries.
fn lanes_of(all: &[Stored]) -> BTreeSet<Lane> {
    all.iter().filter_map(|stored| stored.row.delivery.planned.lane.clone()).collect()
}

fn claims_of(all: Vec<Stored>, states: &BTreeMap<Lane, LaneState>) -> Vec<Claim> {
    let claims = all.into_iter().map(|stored| {
        let lane = stored.row.delivery.planned.lane.as_ref().and_then(|lane| states.get(lane));
        let lane = lane.cloned().unwrap_or_default();
        Claim {
            token: stored.row.token,
            until: stored.row.delivery.next,
            delivery: stored.row.delivery,
            receipt: lane.receipt,
            shown: lane.shown,
        }
    });
    claims.collect()
}

impl Tx {
    /// Begins, and takes what each room has place for.
    async fn take(&self, now: Timestamp, rooms: &[&Room]) -> Result<Take, Error> {
        let names: BTreeSet<&str> = rooms.iter().map(|room| &*room.destination).collect();
        // Sent together, done one after the other: what is counted and found is so once it has been locked.
        let (begun, paces, under_way, due) = tokio::join!(
            biased;
            self.begin(),
            self.paces(&names, true),
            self.under_way(now, &names),
            self.due(now, rooms),
        );
        begun?;
        let (paces, under_way, mut take) = (paces?, under_way?, Take::default());
        let places = rooms.iter().map(|room| Permit {
            room,
            places: room.limits.concurrency.saturating_sub(under_way.get(&room.destination).copied().unwrap_or(0)),
            pace: paces.get(&room.destination).copied().flatten(),
        });
        let places: Vec<Permit<'_>> = places.collect();
        let (shut_out, places): (Vec<Permit<'_>>, Vec<Permit<'_>>) =
            places.into_iter().partition(|place| place.pace.is_some_and(|pace| pace.shuts_out(now)));
        let mut due = by_destination(due?);
        for place in &shut_out {
            let due = due.remove(&place.room.destination).unwrap_or_default();
            let next = self.shut_out(place, due, now, &mut take.told).await?;
            take.next = earlier(take.next, next);
        }
        let ready = self.ready(due, now, &places, &mut take.told).await?;
        for (place, ready) in places.iter().zip(ready) {
            for (stored, taken) in take.of(place, ready, now) {
                self.record_lost(&stored, &taken, now).await?;
                take.all.push(stored);
            }
        }
        Ok(take)
    }

    /// How many deliveries of each destination are under way, on whichever replica.
    async fn under_way(&self, now: Timestamp, destinations: &BTreeSet<&str>) -> Result<BTreeMap<String, u32>, Error> {
        let names: Vec<_> = destinations.iter().map(|destination| held(destination)).collect();
        let sql = "SELECT destination, count(*) FROM deliveries
            WHERE destination = ANY($1) AND state = 'sending' AND next > $2 GROUP BY destination";
        let rows = self.rows(sql, given![names, now.as_millisecond()]).await?;
        rows.iter().map(|row| Ok((text(row, 0)?, u32::try_from(get::<i64>(row, 1)?).unwrap_or(u32::MAX)))).collect()
    }

    /// What could be taken, in the order of the rooms. One that was lost too often is set aside on the way, takes no other's
    /// place, and holds its lane no longer.
    async fn ready(
        &self,
        mut due: BTreeMap<String, Vec<Stored>>,
        now: Timestamp,
        places: &[Permit<'_>],
        told: &mut Vec<Signal>,
    ) -> Result<Vec<Ready>, Error> {
        let rooms: Vec<&Room> = places.iter().map(|place| place.room).collect();
        let mut all = Vec::with_capacity(places.len());
        while let Some(place) = places.get(all.len()) {
            let (mut ready, mut buried) = (Ready::default(), false);
            for mut stored in due.remove(&place.room.destination).unwrap_or_default() {
                if ready.all.len() >= place.wanted() {
                    ready.more = true;
                    break;
                }
                let taken = stored.row.recover(now);
                if taken.alive {
                    ready.all.push((stored, taken));
                } else {
                    told.push(self.bury(&stored, &taken, now).await?);
                    buried = true;
                }
            }
            if buried {
                due = by_destination(self.due(now, rooms.get(all.len()..).unwrap_or_default()).await?);
            } else {
                all.push(ready);
            }
        }
        Ok(all)
    }

    /// Due deliveries of each room, oldest first, whose lane is free and that nobody else has in hand: as many as it wants,
    /// and one more, to know whether that is all.
    pub async fn due(&self, now: Timestamp, rooms: &[&Room]) -> Result<Vec<Stored>, Error> {
        let names: Vec<_> = rooms.iter().map(|room| held(&room.destination)).collect();
        let wanted: Vec<i64> = rooms.iter().map(|room| i64::from(room.wanted)).collect();
        let sql = format!(
            "SELECT x.* FROM unnest($1, $3) AS r (name, wanted) CROSS JOIN LATERAL (
                 SELECT {COLUMNS} WHERE d.destination = r.name AND d.{OPEN} AND d.next <= $2 AND {LANE_FREE}
                  ORDER BY d.next, d.n LIMIT r.wanted + 1 FOR UPDATE OF d SKIP LOCKED) AS x"
        );
        let mut due = read(self.rows(&sql, given![names, now.as_millisecond(), wanted]).await?)?;
        due.sort_by_key(|stored| (stored.row.delivery.next, stored.n));
        Ok(due)
    }

    /// Records the attempt whose process ended before it did: perhaps somebody saw it.
    async fn record_lost(&self, stored: &Stored, taken: &Taken, now: Timestamp) -> Result<(), Error> {
        let Some(lost) = &taken.lost else { return Ok(()) };
        self.insert_attempt(stored.n, lost).await?;
        let Some(lane) = &stored.row.delivery.planned.lane else { return Ok(()) };
        let mut state = LaneState::default();
        state.after(lost.outcome, None);
        self.note_lanes(&BTreeMap::from([(lane.clone(), (state, now))])).await
    }

    /// A delivery that was lost too often or given up: dead. Gives how that is reported.
    pub async fn bury(&self, stored: &Stored, taken: &Taken, now: Timestamp) -> Result<Signal, Error> {
        self.record_lost(stored, taken, now).await?;
        self.update_deliveries(&[stored]).await?;
        let delivery = &stored.row.delivery;
        let own = is_echo(self, delivery.planned.event).await?;
        Ok(signals::buried(delivery, own, now))
    }

    /// Puts what was noticed into the inbox: the last thing that a transaction does.
    pub async fn tell_all(&self, told: Vec<Signal>, now: Timestamp) -> Result<(), Error> {
        let told: Vec<Arrival> = told.iter().map(|signal| Arrival::signal(signal, now)).collect::<Result<_, _>>()?;
        self.append(&told).await.map(drop)
    }

    /// Records what lanes remember from now on.
    pub async fn note_lanes(&self, lanes: &BTreeMap<Lane, (LaneState, Timestamp)>) -> Result<(), Error> {
        if lanes.is_empty() {
            return Ok(());
        }
        let receipts = lanes.values().map(|(state, _)| {
            let receipt = state.receipt.as_ref().map(rows::text).transpose()?;
            Ok(receipt.map(|receipt| held(&receipt).into_owned()))
        });
        let receipts: Vec<Option<String>> = receipts.collect::<Result<_, Error>>()?;
        // Two that end at once were both shown if either was, and the first receipt stays.
        self.run(
            "INSERT INTO lanes AS l (lane, receipt, shown, used) SELECT * FROM unnest($1, $2, $3, $4)
             ON CONFLICT (lane) DO UPDATE SET receipt = coalesce(l.receipt, excluded.receipt),
                shown = l.shown OR excluded.shown, used = excluded.used",
            given![
                lanes.keys().map(|lane| held(&lane.0)).collect::<Vec<_>>(),
                receipts,
                lanes.values().map(|(state, _)| state.shown).collect::<Vec<bool>>(),
                lanes.values().map(|(_, used)| used.as_millisecond()).collect::<Vec<i64>>(),
            ],
        )
        .await
        .map(drop)
    }

    async fn lanes(&self, lanes: &BTreeSet<Lane>) -> Result<BTreeMap<Lane, LaneState>, Error> {
        if lanes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<_> = lanes.iter().map(|lane| held(&lane.0)).collect();
        let sql = "SELECT lane, receipt, shown FROM lanes WHERE lane = ANY($1)";
        let mut found = BTreeMap::new();
        for row in self.rows(sql, given![names]).await? {
            let receipt = maybe_text(&row, 1)?.and_then(|receipt| json(&receipt).ok());
            found.insert(Lane(text(&row, 0)?), LaneState { receipt, shown: get(&row, 2)? });
        }
        Ok(found)
    }

    /// How destinations stand; with `lock`, nobody else changes that until this transaction ends.
    pub async fn paces(
        &self,
        destinations: &BTreeSet<&str>,
        lock: bool,
    ) -> Result<BTreeMap<String, Option<Pace>>, Error> {
        let names: Vec<_> = destinations.iter().map(|destination| held(destination)).collect();
        let lock = if lock { " ORDER BY destination FOR UPDATE" } else { "" };
        let sql = format!("SELECT destination, pace FROM paces WHERE destination = ANY($1){lock}");
        let rows = self.rows(&sql, given![names]).await?;
        rows.iter().map(|row| Ok((text(row, 0)?, pace_of(maybe_text(row, 1)?)))).collect()
    }

    /// Writes how destinations stand, whose rows are there and locked.
    pub async fn set_paces(&self, paces: &[(&str, Pace)]) -> Result<(), Error> {
        if paces.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = paces.iter().map(|(_, pace)| rows::text(pace)).collect::<Result<_, _>>()?;
        let names: Vec<_> = paces.iter().map(|(destination, _)| held(destination)).collect();
        let sql = "UPDATE paces AS p SET pace = u.pace FROM unnest($1, $2) AS u (destination, pace)
            WHERE p.destination = u.destination";
        self.run(sql, given![names, texts]).await.map(drop)
    }
}

/// A pace as it stands in its row. One that can't be read holds nobody back.
fn pace_of(text: Option<String>) -> Option<Pace> {
    text.map(|text| json(&text).unwrap_or_default())
}
