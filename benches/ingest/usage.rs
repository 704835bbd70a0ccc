//! What a measurement cost: the processor's time by whom, and what PostgreSQL did. From `/proc` and PostgreSQL's own
//! statistics; where these aren't to be had, it is nothing.

use std::time::{Duration, Instant};

use crate::postgres;
use crate::server::Server;

/// How `/proc` counts the processor's time.
const TICKS_A_SECOND: f64 = 100.0;

/// What was used up to a moment.
pub struct Usage {
    at: Instant,
    replicas: f64,
    postgres: f64,
    load: f64,
    idle: f64,
    commits: f64,
    syncs: f64,
}

/// What was used between two moments.
#[derive(Clone, Copy, Default)]
pub struct Used {
    pub seconds: f64,
    /// Processor time, in seconds: of all replicas together, …
    pub replicas: f64,
    pub postgres: f64,
    /// … and of this process, which is the senders and the receiver.
    pub load: f64,
    /// Which part of all cores nobody wanted, from 0 to 1.
    pub idle: f64,
    pub commits: f64,
    /// How often PostgreSQL waited for the disk.
    pub syncs: f64,
}

impl Usage {
    /// Up to now.
    pub fn now(replicas: &[Server]) -> Self {
        // What PostgreSQL's processes have counted, they tell within a second.
        let told = postgres::server().sql(
            "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), \
                    (SELECT wal_sync FROM pg_stat_wal), current_setting('data_directory')",
        );
        let mut told = told.split('|');
        let mut number = || told.next().and_then(|value| value.parse().ok()).unwrap_or(0.0);
        let (commits, syncs) = (number(), number());
        let postmaster = std::fs::read_to_string(format!("{}/postmaster.pid", told.next().unwrap_or_default()));
        let postmaster = postmaster.ok().and_then(|text| text.lines().next()?.parse().ok()).unwrap_or(0);
        Self {
            at: Instant::now(),
            replicas: replicas.iter().map(|replica| seconds(replica.pid(), false)).sum(),
            postgres: seconds(postmaster, true) + children(postmaster).map(|pid| seconds(pid, false)).sum::<f64>(),
            load: seconds(std::process::id(), false),
            idle: idle(),
            commits,
            syncs,
        }
    }

    /// What was used since.
    pub fn since(&self, before: &Self) -> Used {
        let seconds = self.at.duration_since(before.at).max(Duration::from_millis(1)).as_secs_f64();
        Used {
            seconds,
            replicas: self.replicas - before.replicas,
            postgres: self.postgres - before.postgres,
            load: self.load - before.load,
            idle: (self.idle - before.idle) / seconds / cores(),
            commits: self.commits - before.commits,
            syncs: self.syncs - before.syncs,
        }
    }
}

/// How many cores there are.
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64)
}

/// The fields of a process's `stat` behind its name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').skip(1).map(|field| field.parse().unwrap_or(0)).collect())
}

/// The processor's time of a process; with `ended`, that of its children which have ended as well.
pub fn seconds(pid: u32, ended: bool) -> f64 {
    let Some(fields) = stat(pid) else { return 0.0 };
    let fields = fields.get(10..if ended { 14 } else { 12 }).unwrap_or_default();
    fields.iter().sum::<u64>() as f64 / TICKS_A_SECOND
}

fn children(parent: u32) -> impl Iterator<Item = u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(move |pid| stat(*pid).is_some_and(|fields| fields.first() == Some(&u64::from(parent))))
}

/// How long the cores had nothing to do, all together.
fn idle() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(4);
    // What waits for the disk wants no core either.
    fields.take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
}

/// What a process has in memory, in MiB.
pub fn rss(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.map_or(0.0, |kib: f64| kib / 1024.0)
}
