//! Looks at a database without opening it as a store: for `doctor`. Nothing in it is changed.

use std::path::Path;

use jiff::SignedDuration;

use super::connect::{Address, look_into};
use super::deliveries::BYTES;
use super::link::{Link, PEOPLE_MAX, get, given, text, within};
use super::{platform, schema};
use crate::clock::from_ms;
use crate::event::{Seq, body_hash};
use crate::store::rows::TROUBLES;
use crate::store::{Error, Examination, Trouble};

/// How many faults of each kind are reported.
const FAULTS_MAX: usize = 20;

/// How many bodies are read at a time.
const PAGE: i64 = 256;

/// What must hold of every store, as what is wrong where it does not.
const LAWS: &[(&str, &str)] = &[
    ("SELECT (SELECT count(*) FROM planner) <> 1", "the planner's row is missing: nothing can be planned"),
    ("SELECT (SELECT count(*) FROM head) <> 1", "the row with the newest position is missing: nothing can be received"),
    (
        "SELECT (SELECT max(seq) FROM inbox) > (SELECT seq FROM head)",
        "the inbox has entries after its newest position: new entries would collide with them",
    ),
    (
        "SELECT EXISTS (SELECT 1 FROM deliveries AS d WHERE NOT EXISTS (SELECT 1 FROM contents AS c WHERE c.n = d.n))",
        "a delivery has lost its message",
    ),
    (
        "SELECT EXISTS (SELECT 1 FROM attempts AS a WHERE NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.n = a.n))",
        "a row of `attempts` belongs to no delivery",
    ),
];

/// Of the last events that a sender dated, the shortest time between that and their arrival.
const YOUNGEST: &str = "SELECT min(received - created) FROM (SELECT received, created FROM inbox
    WHERE what = 0 AND source <> 'fanfare' ORDER BY seq DESC LIMIT 100) AS last";

/// The transaction that has been open longest, this one aside: who began it, and the milliseconds since.
const OPEN: &str = "SELECT coalesce(nullif(application_name, ''), usename, 'unknown'),
        (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    ORDER BY xact_start LIMIT 1";

/// Reads all of the database and says what is wrong with it.
pub async fn examine(address: &str, base: &Path) -> Result<Examination, Error> {
    let address = Address::read(address, base)?;
    let lines = look_into(&address).await?;
    let link = lines.link().await?;
    let found = look(&link, address.pages_managed).await;
    link.end(found)
}

async fn look(link: &Link, pages_managed: bool) -> Result<Examination, Error> {
    let version = within(PEOPLE_MAX, schema::version(link)).await?;
    let Some(version) = version else {
        return Err(Error::Unusable("the database holds nothing of Fanfare: `serve` makes what it needs".into()));
    };
    within(PEOPLE_MAX, schema::is_for_us(link, version)).await?;
    let mut faults = Vec::new();
    let storage = platform::storage(link, pages_managed).await?;
    for name in platform::forgetful(link, storage).await? {
        faults.push(format!("the server has `{name}` off: a power cut loses acknowledged events"));
    }
    for (sql, fault) in LAWS {
        if get::<Option<bool>>(&link.one(sql, given![]).await?, 0)? == Some(true) {
            faults.push((*fault).to_owned());
        }
    }
    let changed = changed_bodies(link).await?;
    faults.extend(changed.iter().map(|seq| format!("the body at position {seq} was changed on disk")));
    let troubles = link.rows(TROUBLES, given![]).await?;
    let troubles = troubles.iter().map(|row| {
        let count = |column| get::<i64>(row, column).map(|count| count.max(0).cast_unsigned());
        let (destination, last_error) = (get(row, 0)?, get(row, 3)?);
        let is_failing = Trouble::is_failing(get::<Option<String>>(row, 4)?.as_deref());
        Ok(Trouble { destination, dead: count(1)?, retrying: count(2)?, last_error, is_failing })
    });
    let troubles = troubles.collect::<Result<_, Error>>()?;
    let sql = format!(
        "SELECT current_setting('server_version'), (SELECT count(*) FROM inbox WHERE what = 0), ({BYTES}),
             (SELECT at FROM alive),
             (SELECT max(received) FROM (SELECT received FROM inbox ORDER BY seq DESC LIMIT 100) AS last),
             ({YOUNGEST}), (SELECT received FROM inbox ORDER BY seq LIMIT 1)"
    );
    let row = link.one(&sql, given![]).await?;
    let open = link.rows(OPEN, given![]).await?;
    let open = open.first().map(|row| Ok::<_, Error>((text(row, 0)?, SignedDuration::from_millis(get(row, 1)?))));
    let perhaps = |column| get::<Option<i64>>(&row, column);
    Ok(Examination {
        schema: i64::try_from(version).unwrap_or(i64::MAX),
        schema_known: i64::try_from(schema::STEPS.len()).unwrap_or(i64::MAX),
        engine: format!("PostgreSQL {}{}", text(&row, 0)?, storage.words()),
        events: get::<i64>(&row, 1)?.max(0).cast_unsigned(),
        bytes: get::<Option<i64>>(&row, 2)?.unwrap_or(0).max(0).cast_unsigned(),
        alive: perhaps(3)?.map(from_ms),
        newest: perhaps(4)?.map(from_ms),
        youngest: perhaps(5)?.map(SignedDuration::from_millis),
        oldest: perhaps(6)?.map(from_ms),
        open: open.transpose()?,
        troubles,
        faults,
    })
}

/// The places whose bodies aren't those that were verified.
async fn changed_bodies(link: &Link) -> Result<Vec<Seq>, Error> {
    let mut changed = Vec::new();
    let mut last: Seq = 0;
    loop {
        let page = link
            .rows("SELECT seq, body, raw FROM inbox WHERE seq > $1 ORDER BY seq LIMIT $2", given![last, PAGE])
            .await?;
        for row in &page {
            last = get(row, 0)?;
            if get::<i64>(row, 1)? != body_hash(&get::<Vec<u8>>(row, 2)?).cast_signed() {
                changed.push(last);
            }
        }
        if page.is_empty() || changed.len() >= FAULTS_MAX {
            return Ok(changed);
        }
    }
}
