//! The store, the disk it is on, who may read what, and the clock.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use super::{Chart, Finding};
use crate::cli::term;
use crate::clock::{Clock, RealClock};
use crate::config::substitute::secret_files;
use crate::config::{Snapshot, files};
use crate::problem::Problems;
use crate::rules::value::span_words;
use crate::store::{self, Examination};

/// Less free room than this is wrong, in KiB: a quarter of a GiB.
const FREE_KIB_MIN: u64 = 256 << 10;
/// From this age on a store tells how fast it grows.
const GROWTH_MIN_S: u64 = 3_600;
const DAY_S: u64 = 86_400;
/// From here on an open transaction keeps enough dead rows to be named.
const OPEN_MAX: SignedDuration = SignedDuration::from_mins(10);
/// Clocks that differ by less agree.
const AGREE: SignedDuration = SignedDuration::from_secs(5);
/// By so much a sender's clock may be ahead before something is said.
const SENDER_AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// File systems over a network, on which SQLite's log doesn't work.
const OVER_NETWORK: [&str; 12] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "lustre",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.s3fs",
];

/// Looks at all that is kept in files. Gives when somebody was there last to take events in.
pub(super) async fn look(chart: &mut Chart, snapshot: &Snapshot) -> Option<Timestamp> {
    let settings = &snapshot.settings;
    let base = settings.file.parent().unwrap_or(Path::new(""));
    secrets(chart, snapshot, base);
    certificate(chart, snapshot);
    let files = match store::files(&settings.store, base) {
        Ok(files) => files,
        Err(error) => {
            chart.add(Finding::wrong("store", error.to_string(), "fix `store:` in the configuration"));
            return None;
        }
    };
    if !store::remembers(&settings.store) {
        chart.add(Finding::note(
            "store",
            "it forgets everything when the process ends",
            "`store: sqlite:data/fanfare.db`",
        ));
        return None;
    }
    let Some(database) = files.first() else {
        chart.doing("reading all of the store");
        let found = examined(chart, store::examine(&settings.store, base).await, "the database");
        transactions(chart, found.as_ref());
        troubles(chart, found.as_ref());
        clock(chart, None, found.as_ref());
        return found?.alive;
    };
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !database.exists() {
        chart.add(Finding::note(
            "store",
            format!("`{}` doesn't exist yet", database.display()),
            "the first `fanfare serve` creates it",
        ));
        return None;
    }
    chart.doing(&format!("reading all of {} ({})", database.display(), term::size(length(database))));
    let found = examined(chart, store::examine(&settings.store, base).await, &format!("`{}`", database.display()));
    private(chart, &files);
    disk(chart, folder, &files);
    growth(chart, folder, snapshot, found.as_ref());
    troubles(chart, found.as_ref());
    clock(chart, Some(folder), found.as_ref());
    found?.alive
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |meta| meta.len())
}

/// Whether the store is whole.
fn examined(chart: &mut Chart, found: Result<Examination, store::Error>, shown: &str) -> Option<Examination> {
    let restore = "stop Fanfare, keep the files, and restore the newest backup";
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            chart.add(Finding::wrong("store", error.to_string(), restore));
            return None;
        }
    };
    if found.faults.is_empty() {
        let events = term::count(usize::try_from(found.events).unwrap_or(usize::MAX), "event", "events");
        let says = format!("{shown} is whole: {events}, {}, {}", term::size(found.bytes), found.engine);
        chart.add(Finding::good("store", says));
    } else {
        chart.add(Finding::wrong("store", format!("{shown} is damaged\n{}", found.faults.join("\n")), restore));
    }
    if found.schema == found.schema_known {
        chart.add(Finding::good("schema", format!("{}, the newest", found.schema)));
    } else {
        let says = format!("{}, and this program knows {}", found.schema, found.schema_known);
        let advice = match found.schema > found.schema_known {
            true => "a newer version added to it: use that one here, too",
            false => "the next `fanfare serve` migrates it, after a backup",
        };
        chart.add(Finding::note("schema", says, advice));
    }
    Some(found)
}

/// Whether others may read what holds events.
fn private(chart: &mut Chart, files: &[PathBuf]) {
    let open: Vec<String> =
        files.iter().filter(|file| mode(file) & 0o077 != 0).map(|file| file.display().to_string()).collect();
    if open.is_empty() {
        chart.add(Finding::good("permissions", "only their owner may read the store's files"));
    } else {
        let says = format!("others may read or write {}", open.join(", "));
        chart.add(Finding::wrong("permissions", says, format!("chmod 600 {}", open.join(" "))));
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().map_or(0, |meta| meta.permissions().mode())
}

/// Whether everybody on this machine may read the files that hold secrets.
fn secrets(chart: &mut Chart, snapshot: &Snapshot, base: &Path) {
    let text = files::read_guarded(&snapshot.settings.file, &mut Problems::new());
    let mut files: Vec<PathBuf> =
        text.iter().flat_map(|file| secret_files(&file.text)).map(|path| base.join(path)).collect();
    files.extend(snapshot.settings.tls.iter().map(|tls| tls.key.clone()));
    if files.is_empty() {
        return;
    }
    let open: Vec<String> =
        files.iter().filter(|file| mode(file) & 0o007 != 0).map(|file| file.display().to_string()).collect();
    if open.is_empty() {
        chart.add(Finding::good(
            "secrets",
            format!("{} with a secret, closed to others", term::count(files.len(), "file", "files")),
        ));
    } else {
        let says = format!("everybody on this machine may read {}", open.join(", "));
        chart.add(Finding::note(
            "secrets",
            says,
            "chmod o= on each, or mount them so; in a container of its own that may be meant",
        ));
    }
}

/// Whether the certificate of `tls` is good for long enough.
fn certificate(chart: &mut Chart, snapshot: &Snapshot) {
    let tls = snapshot.settings.tls.as_ref();
    let Some((tls, certificate)) = tls.and_then(|tls| Some((tls, tls.certificate.as_ref()?))) else { return };
    let shown = crate::config::files::shown(&tls.cert);
    chart.add(match certificate.lateness(RealClock.now()) {
        Some(lateness) => Finding::wrong(
            "certificate",
            format!("the one in `{shown}` {lateness}"),
            "renew it, and find out why it was not renewed: Fanfare serves a renewed one without a restart",
        ),
        None => Finding::good("certificate", format!("the one in `{shown}` is good until {}", certificate.expires)),
    });
}

/// How much room there is, and on what.
fn disk(chart: &mut Chart, folder: &Path, files: &[PathBuf]) {
    let reserve = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "reserve"));
    let is_spent = reserve.is_some_and(|reserve| !reserve.exists());
    let room = "free space, and Fanfare continues; until then it answers 503, and the sender retries";
    match free(folder) {
        None => chart.add(Finding::note("disk", "`df` doesn't say how much room there is", "look yourself")),
        Some((free_kib, size_kib)) => {
            let says = format!("{} free of {}", term::size(free_kib << 10), term::size(size_kib << 10));
            if free_kib < FREE_KIB_MIN || is_spent && free_kib < 2 * FREE_KIB_MIN {
                let spent = if is_spent { ", and the reserve is spent" } else { "" };
                chart.add(Finding::wrong("disk", says + spent, room));
            } else if is_spent {
                chart.add(Finding::note(
                    "disk",
                    says + ", and the reserve is missing",
                    "`fanfare serve` creates it again; check `?max_mib=`",
                ));
            } else if free_kib < size_kib / 20 {
                chart.add(Finding::note("disk", says, "less than 5%: check what grows, and `retention`"));
            } else {
                chart.add(Finding::good("disk", says));
            }
        }
    }
    if let Some(kind) = file_system(folder).filter(|kind| OVER_NETWORK.contains(&kind.as_str())) {
        let says = format!(
            "`{}` is on `{kind}`, a network file system: what is committed there may be lost",
            folder.display()
        );
        chart.add(Finding::wrong("file system", says, "put the store on a local disk"));
    }
}

/// Whether the disk will be full before retention takes as much as comes, going by what came so far.
fn growth(chart: &mut Chart, folder: &Path, snapshot: &Snapshot, found: Option<&Examination>) {
    let oldest = found.and_then(|found| found.oldest);
    let (Some(found), Some(oldest), Some((free_kib, _))) = (found, oldest, free(folder)) else { return };
    let kept_s = snapshot.settings.retention.as_secs().max(0).cast_unsigned();
    let age_s = RealClock.now().duration_since(oldest).as_secs().max(0).cast_unsigned();
    if let Some(days) = full_in_days(found.bytes, age_s, kept_s, free_kib << 10) {
        let says = format!(
            "the store has grown to {} in {}, and keeps events for {}: the disk will be full in about {}",
            term::size(found.bytes),
            term::count(usize::try_from(age_s / DAY_S).unwrap_or(usize::MAX).max(1), "day", "days"),
            term::count(usize::try_from(kept_s / DAY_S).unwrap_or(usize::MAX), "day", "days"),
            term::count(usize::try_from(days).unwrap_or(usize::MAX), "day", "days"),
        );
        chart.add(Finding::wrong("growth", says, "free space, or reduce `retention`"));
    }
}

/// In how many days the room is used up, if that is before the store has the size that it keeps.
fn full_in_days(bytes: u64, age_s: u64, kept_s: u64, free: u64) -> Option<u64> {
    if age_s < GROWTH_MIN_S || age_s >= kept_s {
        return None;
    }
    let still_to_come = u128::from(bytes) * u128::from(kept_s - age_s) / u128::from(age_s);
    (still_to_come > u128::from(free))
        .then(|| u64::try_from(u128::from(free) * u128::from(age_s) / u128::from(bytes.max(1) * DAY_S)).unwrap_or(0))
}

/// Whether somebody keeps dead rows on a shared server.
fn transactions(chart: &mut Chart, found: Option<&Examination>) {
    let Some((program, since)) = found.and_then(|found| found.open.as_ref()) else { return };
    let whole = SignedDuration::from_secs(since.as_secs());
    let says = format!("`{program}` has had a transaction open for {}", span_words(whole));
    if *since < OPEN_MAX {
        return chart.add(Finding::good("transactions", says));
    }
    chart.add(Finding::note(
        "transactions",
        format!("{says}: until it ends, dead rows stay, and claiming slows down"),
        "let it end or end it; take long dumps from a standby",
    ));
}

/// What does not arrive.
fn troubles(chart: &mut Chart, found: Option<&Examination>) {
    for trouble in found.iter().flat_map(|found| &found.troubles) {
        let look = format!("deliveries {}", trouble.destination);
        let count = |count| usize::try_from(count).unwrap_or(usize::MAX);
        let last = trouble.last_error.as_ref().map(|error| format!("; the last met: {error}")).unwrap_or_default();
        let retrying = format!("{} tried again", term::count(count(trouble.retrying), "is", "are"));
        if trouble.dead == 0 && trouble.is_failing {
            let says = format!("nothing gets through: {retrying}{last}");
            chart.add(Finding::wrong(
                look,
                says,
                "fix what the destination answers: its address, its secret, its service",
            ));
            continue;
        }
        if trouble.dead == 0 {
            chart.add(Finding::note(look, format!("{retrying}{last}"), "check what the destination answers"));
            continue;
        }
        let dead = term::count(count(trouble.dead), "delivery is dead", "deliveries are dead");
        let also = if trouble.retrying > 0 { format!(", {retrying}") } else { String::new() };
        let fix = "fix the cause, then `fanfare deliveries retry`, or `cancel` what is no longer needed";
        chart.add(Finding::wrong(look, format!("{dead}{also}{last}"), fix));
    }
}

/// Free and whole room of the file system of this folder, in KiB, as `df` says.
fn free(folder: &Path) -> Option<(u64, u64)> {
    let said = Command::new("df").arg("-Pk").arg(folder).env("LC_ALL", "C").output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    let fields: Vec<&str> = text.lines().last()?.split_whitespace().collect();
    let [.., size, _used, free, _share, _mount] = fields.as_slice() else { return None };
    Some((free.parse().ok()?, size.parse().ok()?))
}

/// The kind of file system that this folder is on, where Linux says.
fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let at = before.split(' ').nth(4)?.replace("\\040", " ");
        folder.starts_with(&at).then(|| (at.len(), after.split(' ').next().unwrap_or_default().to_owned()))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

/// What there is to compare this machine's clock with: the disk, what was stored before, and what senders said.
fn clock(chart: &mut Chart, folder: Option<&Path>, found: Option<&Examination>) {
    let now = RealClock.now();
    let set = "set the clock and synchronise it (NTP); signed times, timers and retention depend on it";
    let mut agrees = Vec::new();
    match folder.map(|folder| (folder, file_time(folder))) {
        None => {}
        Some((folder, Err(error))) => {
            let says = format!("nothing can be written in `{}`: {error}", folder.display());
            chart.add(Finding::wrong("folder", says, "give Fanfare's user permission to write there"));
        }
        Some((_, Ok(at))) if now.duration_since(at).abs() > AGREE => {
            chart.add(Finding::wrong("clock", format!("it shows {now}, and the file system {at}"), set));
            return;
        }
        Some((_, Ok(_))) => agrees.push("the file system"),
    }
    let stored = found.and_then(|found| found.alive.max(found.newest));
    if let Some(ahead) = stored.map(|at| at.duration_since(now)).filter(|ahead| *ahead > AGREE) {
        let says = format!("the store was written {ahead:#} ahead of it: one of the two times was wrong");
        chart.add(Finding::wrong("clock", says, set));
        return;
    }
    agrees.extend(stored.map(|_| "the store"));
    let youngest = found.and_then(|found| found.youngest);
    if let Some(ahead) = youngest.map(|age| -age).filter(|ahead| *ahead > SENDER_AHEAD) {
        let says = format!("events came {ahead:#} before their senders say they made them");
        chart.add(Finding::wrong("clock", says, format!("if it isn't the senders': {set}")));
        return;
    }
    agrees.extend(youngest.map(|_| "what senders wrote"));
    let with = if agrees.is_empty() {
        "there is nothing to compare it with".into()
    } else {
        format!("{} agree with it", agrees.join(", "))
    };
    let says = format!("{now}; {with}, and no outside clock was asked");
    chart.add(Finding::good("clock", says));
}

/// The time of a file that is made now.
fn file_time(folder: &Path) -> std::io::Result<Timestamp> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    let made = file.metadata().and_then(|meta| meta.modified());
    drop(file);
    std::fs::remove_file(&path)?;
    Timestamp::try_from(made?).map_err(std::io::Error::other)
}
