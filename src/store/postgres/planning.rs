//! The planner's part: its lease, its documents and timers, and the commit of a plan.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio_postgres::Row;

use super::inbox::Arrival;
use super::link::{Link, Tx, get, given, held, most, text};
use crate::clock::from_ms;
use crate::event::Seq;
use crate::planner::loaded::{DocChange, Key, Keys, LoadedState, Timer};
use crate::planner::why::Decision;
use crate::planner::{End, Plan};
use crate::store::rows;
use crate::store::transitions::{CLOSED, ENDED, holds_on, is_over, whole};
use crate::store::{Error, PlannerLease};

const LEASE: &str = "SELECT holder, token, until FROM planner";

/// What there is to do about the planner's lease.
pub(super) enum Standing {
    /// Nothing: it is the caller's for long enough, or another's.
    Stays(Option<PlannerLease>),
    /// It may be taken, or prolonged, with this token.
    Open(i64),
}

/// Looks at the lease.
pub(super) async fn standing(link: &Link, holder: &str, now: Timestamp, until: Timestamp) -> Result<Standing, Error> {
    judge(&link.one(LEASE, given![]).await?, holder, now, until)
}

fn judge(row: &Row, holder: &str, now: Timestamp, until: Timestamp) -> Result<Standing, Error> {
    let (by, token, ends) = (text(row, 0)?, get::<i64>(row, 1)?, from_ms(get(row, 2)?));
    Ok(match () {
        () if by == holder && holds_on(ends, now, until) => {
            Standing::Stays(Some(PlannerLease { token: token.cast_unsigned(), until: ends }))
        }
        () if by == holder => Standing::Open(token),
        () if is_over(ends, now, until) => Standing::Open(token + 1),
        () => Standing::Stays(None),
    })
}

impl Tx {
    /// Takes or keeps the planner's lease.
    pub async fn lease(&self, holder: &str, now: Timestamp, until: Timestamp) -> Result<Option<PlannerLease>, Error> {
        let row = self.one(&format!("{LEASE} FOR UPDATE"), given![]).await?;
        let token = match judge(&row, holder, now, until)? {
            Standing::Stays(lease) => return Ok(lease),
            Standing::Open(token) => token,
        };
        let until = whole(until);
        let sql = "UPDATE planner SET holder = $1, token = $2, until = $3";
        self.run(sql, given![held(holder), token, until.as_millisecond()]).await?;
        Ok(Some(PlannerLease { token: token.cast_unsigned(), until }))
    }

    /// Commits a plan under its lease. Gives how many deliveries were new.
    pub async fn commit(&self, lease: &PlannerLease, plan: Plan, now: Timestamp) -> Result<u64, Error> {
        // Held to the end: anyone who would take the lease over waits for this commit.
        let row = self.one("SELECT token, planned FROM planner FOR UPDATE", given![]).await?;
        if get::<i64>(&row, 0)?.cast_unsigned() != lease.token {
            return Err(Error::Lost);
        }
        let planned: Seq = get(&row, 1)?;
        self.cancel_untried(&plan.cancel, now).await?;
        let new = self.insert_deliveries(plan.deliveries, now).await?;
        self.end_lanes(&plan.ended, now).await?;
        self.change_docs(&plan.docs).await?;
        self.set_timers(&plan.timers).await?;
        self.note_whys(&plan.whys).await?;
        if let Some(upto) = plan.upto.filter(|upto| *upto > planned) {
            self.run("UPDATE planner SET planned = $1", given![upto]).await?;
        }
        let own: Vec<Arrival> = plan.events.into_iter().map(Arrival::event).collect();
        self.append(&own).await?;
        Ok(new)
    }

    /// The cases of these lanes have ended.
    async fn end_lanes(&self, ended: &[End], now: Timestamp) -> Result<(), Error> {
        if ended.is_empty() {
            return Ok(());
        }
        // Each once, as a close if it is one, and in one order.
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for End { lane, closed } in ended {
            let known = last.entry(&lane.0).or_insert(ENDED);
            *known = if *closed { CLOSED } else { *known };
        }
        let lanes: Vec<_> = last.keys().map(|lane| held(lane)).collect();
        let how: Vec<i64> = last.into_values().collect();
        self.run(
            "INSERT INTO lanes AS l (lane, shown, used, ended)
             SELECT lane, false, $3, ended FROM unnest($1, $2) AS c (lane, ended)
             ON CONFLICT (lane) DO UPDATE SET used = excluded.used, ended = greatest(l.ended, excluded.ended)",
            given![lanes, how, now.as_millisecond()],
        )
        .await
        .map(drop)
    }

    async fn change_docs(&self, changes: &[DocChange]) -> Result<(), Error> {
        // The last value of each counts.
        let last: BTreeMap<&Key, &DocChange> = changes.iter().map(|change| (&change.key, change)).collect();
        if last.is_empty() {
            return Ok(());
        }
        let (mut kinds, mut ids, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut need_kinds, mut need_ids, mut needs) = (Vec::new(), Vec::new(), Vec::new());
        for (key, change) in last {
            kinds.push(held(&key.kind));
            ids.push(held(&key.id));
            texts.push(change.text.as_deref().map(held));
            let needed: BTreeSet<Seq> = change.text.iter().flat_map(|_| change.events.iter().copied()).collect();
            for seq in needed {
                need_kinds.push(held(&key.kind));
                need_ids.push(held(&key.id));
                needs.push(seq);
            }
        }
        let (a, b, c, d) = tokio::join!(
            biased;
            async { self.run(
                "DELETE FROM doc_events AS e USING unnest($1, $2) AS c (kind, id) WHERE e.kind = c.kind AND e.id = c.id",
                given![kinds, ids],
            ).await },
            async { self.run(
                "DELETE FROM docs AS d USING unnest($1, $2, $3) AS c (kind, id, text)
                  WHERE d.kind = c.kind AND d.id = c.id AND c.text IS NULL",
                given![kinds, ids, texts],
            ).await },
            async { self.run(
                "INSERT INTO docs (kind, id, text)
                 SELECT kind, id, text FROM unnest($1, $2, $3) AS c (kind, id, text) WHERE text IS NOT NULL
                 ON CONFLICT (kind, id) DO UPDATE SET text = excluded.text",
                given![kinds, ids, texts],
            ).await },
            async { self.run(
                "INSERT INTO doc_events (kind, id, seq) SELECT * FROM unnest($1, $2, $3)",
                given![need_kinds, need_ids, needs],
            ).await },
        );
        a.and(b).and(c).and(d).map(drop)
    }

    async fn set_timers(&self, timers: &[(String, Option<Timer>)]) -> Result<(), Error> {
        let last: BTreeMap<&String, Option<&Timer>> = timers.iter().map(|(id, timer)| (id, timer.as_ref())).collect();
        if last.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = last.keys().map(|id| held(id)).collect();
        let dues: Vec<_> = last.values().map(|timer| timer.map(|timer| timer.due.as_millisecond())).collect();
        let events: Vec<_> = last.values().map(|timer| timer.and_then(|timer| timer.event)).collect();
        let texts: Vec<_> = last.values().map(|timer| timer.map(|timer| held(&timer.text))).collect();
        let (gone, set) = tokio::join!(
            biased;
            async { self.run(
                "DELETE FROM timers AS t USING unnest($1, $2) AS c (id, due) WHERE t.id = c.id AND c.due IS NULL",
                given![ids, dues],
            ).await },
            async { self.run(
                "INSERT INTO timers (id, due, event, text)
                 SELECT * FROM unnest($1, $2, $3, $4) AS c (id, due, event, text) WHERE due IS NOT NULL
                 ON CONFLICT (id) DO UPDATE SET due = excluded.due, event = excluded.event, text = excluded.text",
                given![ids, dues, events, texts],
            ).await },
        );
        gone.and(set).map(drop)
    }

    async fn note_whys(&self, whys: &[Decision]) -> Result<(), Error> {
        if whys.is_empty() {
            return Ok(());
        }
        let events: Vec<i64> = whys.iter().map(|why| why.event).collect();
        let rules: Vec<_> = whys.iter().map(|why| held(&why.rule)).collect();
        let outcomes: Vec<_> = whys.iter().map(|why| held(&why.outcome)).collect();
        let notes: Vec<_> = whys.iter().map(|why| held(&why.note)).collect();
        let details = whys.iter().map(|why| rows::text(&why.detail).map(|detail| held(&detail).into_owned()));
        let details: Vec<String> = details.collect::<Result<_, _>>()?;
        self.run(
            "INSERT INTO whys (event, rule, outcome, note, detail)
             SELECT event, rule, outcome, note, detail
               FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS w (event, rule, outcome, note, detail, n) ORDER BY n",
            given![events, rules, outcomes, notes, details],
        )
        .await
        .map(drop)
    }
}

/// Loads documents.
pub(super) async fn load(link: &Link, keys: &Keys) -> Result<LoadedState, Error> {
    let kinds: Vec<_> = keys.one.iter().map(|key| held(&key.kind)).collect();
    let ids: Vec<_> = keys.one.iter().map(|key| held(&key.id)).collect();
    let all: Vec<_> = keys.all.iter().map(|kind| held(kind)).collect();
    let (one, all) = tokio::join!(
    biased;
    async { link.rows(
        "SELECT d.kind, d.id, d.text FROM unnest($1, $2) AS k (kind, id)
           JOIN docs AS d ON d.kind = k.kind AND d.id = k.id",
        given![kinds, ids],
    ).await },
    async { link.rows("SELECT kind, id, text FROM docs WHERE kind = ANY($1)", given![all]).await },
    );
    let mut loaded = LoadedState::default();
    for row in one?.iter().chain(&all?) {
        loaded.docs.insert(Key { kind: text(row, 0)?, id: text(row, 1)? }, text(row, 2)?);
    }
    Ok(loaded)
}

/// Documents of a kind, by id, after `after`.
pub(super) async fn docs(link: &Link, kind: &str, after: &str, limit: usize) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT id, text FROM docs WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = link.rows(sql, given![held(kind), held(after), most(limit)]).await?;
    rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?))).collect()
}

/// What each rule did about an event, in the order in which it happened.
pub(super) async fn whys(link: &Link, event: Seq) -> Result<Vec<Decision>, Error> {
    let sql = "SELECT rule, outcome, note, detail FROM whys WHERE event = $1 ORDER BY n";
    let rows = link.rows(sql, given![event]).await?;
    let whys = rows.iter().map(|row| {
        Ok(Decision {
            event,
            rule: text(row, 0)?,
            outcome: text(row, 1)?,
            note: text(row, 2)?,
            detail: rows::json(&text(row, 3)?).unwrap_or_default(),
        })
    });
    whys.collect()
}
