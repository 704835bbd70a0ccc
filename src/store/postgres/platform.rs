//! Whose PostgreSQL it is: whether it can be worked with, and whether what it acknowledges survives a power cut. Reads the
//! server's own functions and settings.
//!
//! Aurora and Neon keep pages and log in storage of their own and so switch `fsync` or `full_page_writes` off; a file system
//! that never tears a page, as ZFS, makes the latter superfluous, which only the operator knows (`pages=managed`).
//! CockroachDB and YugabyteDB speak PostgreSQL's protocol and differ in what claims and notifications need.

use super::link::{Link, get, given, text};
use crate::store::Error;

/// The oldest PostgreSQL that is worked with, as it numbers its versions.
const VERSION_MIN: i64 = 130_000;

/// Others that speak PostgreSQL's protocol, by a word of their `version()`.
const OTHERS: &[(&str, &str)] = &[("CockroachDB", "CockroachDB"), ("-YB-", "YugabyteDB")];

/// Where the server keeps its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// In files on a disk.
    Files,
    /// In files on a file system that tears no page, as the store's address says.
    WholePages,
    /// In Amazon Aurora's storage.
    Aurora,
    /// In Neon's.
    Neon,
}

impl Storage {
    /// The settings that must be on.
    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Files => &["fsync", "full_page_writes"],
            Self::WholePages => &["fsync"],
            Self::Aurora | Self::Neon => &[],
        }
    }

    /// What `doctor` adds to the version.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Files => "",
            Self::WholePages => ", pages kept whole by its file system, as the address says",
            Self::Aurora => ", on Aurora's storage",
            Self::Neon => ", on Neon's storage",
        }
    }
}

/// Finds out where the pages are; `managed`: the store's address says that none is torn.
pub(super) async fn storage(link: &Link, managed: bool) -> Result<Storage, Error> {
    let sql = "SELECT to_regprocedure('aurora_version()') IS NOT NULL,
                      coalesce(current_setting('neon.timeline_id', true), '') <> ''";
    let row = link.one(sql, given![]).await?;
    Ok(match (get::<bool>(&row, 0)?, get::<bool>(&row, 1)?) {
        (true, _) => Storage::Aurora,
        (_, true) => Storage::Neon,
        _ if managed => Storage::WholePages,
        _ => Storage::Files,
    })
}

/// The settings that are off and must not be.
pub(super) async fn forgetful(link: &Link, storage: Storage) -> Result<Vec<&'static str>, Error> {
    let mut off = Vec::new();
    for &name in storage.needs() {
        let row = link.one("SELECT current_setting($1)", given![name]).await?;
        if text(&row, 0)? != "on" {
            off.push(name);
        }
    }
    Ok(off)
}

/// Whether the server can be worked with. Gives the level that commits are to be made at.
pub(super) async fn look_at(link: &Link, managed: bool) -> Result<&'static str, Error> {
    let row = link.one("SELECT version()", given![]).await?;
    let version = text(&row, 0)?;
    if let Some((_, other)) = OTHERS.iter().find(|(word, _)| version.contains(word)) {
        return Err(unusable(format!(
            "this is {other}, whose row locks and notifications differ from PostgreSQL's: use PostgreSQL, 13 or later, \
             with a synchronous standby for availability"
        )));
    }
    let row = link
        .one(
            "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding'),
                    current_setting('synchronous_commit'), pg_is_in_recovery()",
            given![],
        )
        .await?;
    if get::<i64>(&row, 0)? < VERSION_MIN {
        return Err(unusable("this PostgreSQL is too old: 13 or later is needed".to_owned()));
    }
    if text(&row, 1)? != "UTF8" {
        return Err(unusable(
            "the database has another encoding than UTF8: make one with `ENCODING 'UTF8'`".to_owned(),
        ));
    }
    if let Some(name) = forgetful(link, storage(link, managed).await?).await?.first() {
        let unless = match *name {
            "full_page_writes" => {
                "; if its file system never writes a page in part, as ZFS, add `?pages=managed` to the store's address"
            }
            _ => "",
        };
        return Err(unusable(format!(
            "this PostgreSQL has `{name}` off, so that a power cut loses acknowledged events: set `{name} = on`{unless}"
        )));
    }
    if get::<bool>(&row, 3)? {
        return Err(Error::Unavailable("this PostgreSQL is a standby, which only reads: name the primary".into()));
    }
    // Each transaction asks for `on`, whatever the default is, unless that is stricter still.
    Ok(if text(&row, 2)? == "remote_apply" { "remote_apply" } else { "on" })
}

fn unusable(why: String) -> Error {
    Error::Unusable(why)
}
