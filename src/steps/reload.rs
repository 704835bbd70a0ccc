//! Reload: watch, load, check, swap. Everything at once or nothing; what is in flight ends with its own snapshot.
//!
//! File events are a hint; the truth is what the files say, looked at every two seconds and compared with what was
//! loaded last. So an editor's rename, a ConfigMap's swapped link, a rotated secret and a network mount all work. A save
//! is taken up when two looks in a row see the same, so that of many saves the last one counts and a half-written file
//! none. Reloads, no matter who asks for them, come one after the other: what was read last is what stays.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecursiveMode, Watcher};
use serde_json::json;
use tokio::sync::mpsc;

use crate::config::files::{self, Seen};
use crate::config::load::Loaded;
use crate::config::{Settings, Snapshot};
use crate::event::{Item, Signal, own};
use crate::lint;
use crate::planner;
use crate::planner::{Case, Orphan};
use crate::problem::{Gravity, Problem, Problems};
use crate::steps::{Live, memory};

/// How often the files are looked at without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long files must stay as they are before they are taken up.
const SETTLED_AFTER: Duration = Duration::from_millis(40);
/// The same where one of them is empty or gone: most often they are just being written, and without their rules nothing
/// would be sent.
const EMPTY_SETTLED_AFTER: Duration = Duration::from_secs(1);
/// The longest that anyone who asks for a reload waits for the files.
const LOAD_MAX: Duration = Duration::from_secs(30);
/// After a look it rests for this many times as long as the look took, within bounds: files that change all the time cost
/// little more than files that don't.
const REST: u32 = 20;
const REST_MIN: Duration = Duration::from_millis(20);
const REST_MAX: Duration = Duration::from_secs(1);

/// The kind of the documents of open cases.
const CASES: &str = "case";
/// How many cases are read at once.
const PAGE: usize = 500;
/// The most open cases that new rules are held against.
const CASES_MAX: usize = 10_000;

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// New rules are in force.
    Changed {
        /// Their hash.
        hash: String,
        /// What else the files ask for and only a restart gives.
        needs_restart: Vec<&'static str>,
        /// The open cases that the new rules leave behind, and the old ones did not.
        orphans: Vec<Orphan>,
    },
    /// The files say what is in force already.
    Same,
    /// They are broken: what was in force stays. The whole report.
    Refused(String),
}

/// Loads what the files say now, and swaps it in unless anything is wrong with it. `None` if loading itself failed, which
/// the log says.
pub async fn reload(live: &Arc<Live>) -> Option<Reloaded> {
    take_up(live, |_| true).await
}

/// The same, unless what it read is not `wanted`: then nothing happens, and there is no outcome.
async fn take_up(live: &Arc<Live>, wanted: impl FnOnce(&Seen) -> bool + Send + 'static) -> Option<Reloaded> {
    let before = live.snapshot.load_full();
    let mut reloaded = load_and_swap(live, wanted).await?;
    if let Reloaded::Changed { orphans, .. } = &mut reloaded {
        *orphans = left_behind(live, &before).await;
        for Orphan { rule, key, actions } in orphans.iter() {
            live.telemetry.orphaned(rule, key, actions);
        }
    }
    Some(reloaded)
}

/// The open cases that the rules in force leave behind, and those before did not. A store that can't be read now is reported
/// by the steps that need it.
async fn left_behind(live: &Live, before: &Snapshot) -> Vec<Orphan> {
    let Some(rules) = live.snapshot.load().rules.clone() else { return Vec::new() };
    let (mut orphans, mut after, mut read) = (Vec::new(), String::new(), 0);
    while let Ok(page) = live.store.docs(CASES, &after, PAGE).await {
        let Some((last, _)) = page.last().filter(|_| read < CASES_MAX) else { break };
        after.clone_from(last);
        read += page.len();
        let cases: Vec<Case> = page.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect();
        let known = before.rules.as_ref().map_or_else(Vec::new, |rules| planner::orphans(rules, &cases));
        orphans.extend(planner::orphans(&rules, &cases).into_iter().filter(|orphan| !known.contains(orphan)));
    }
    orphans
}

async fn load_and_swap(live: &Arc<Live>, wanted: impl FnOnce(&Seen) -> bool + Send + 'static) -> Option<Reloaded> {
    let worker = live.clone();
    let loading = async {
        let turn = live.loading.clone().lock_owned().await;
        // Loading compiles templates and rules: not on a thread that answers webhooks.
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let loaded = load_and_apply(&worker, wanted);
            memory::give_back();
            loaded
        })
        .await
    };
    let loaded = tokio::select! {
        loaded = tokio::time::timeout(LOAD_MAX, loading) => loaded,
        // Nobody who wants to end waits for a disk that doesn't answer.
        () = live.drained() => return None,
    };
    match loaded {
        Ok(Ok(None)) => None,
        Ok(Ok(Some((reloaded, noticed)))) => {
            if let Some(signal) = noticed {
                tell(live, signal).await;
            }
            Some(reloaded)
        }
        Ok(Err(panic)) => {
            tracing::error!(%panic, "reload failed");
            None
        }
        Err(_) => {
            tracing::error!(seconds = LOAD_MAX.as_secs(), "reload failed: the files could not be read in time");
            None
        }
    }
}

fn load_and_apply(live: &Live, wanted: impl FnOnce(&Seen) -> bool) -> Option<(Reloaded, Option<Signal>)> {
    let before = live.snapshot.load_full();
    let mut loaded = lint::load(&before.settings.file, &*live.environment, live.clock.now());
    if !wanted(&loaded.seen) {
        return None;
    }
    *live.seen.lock().unwrap_or_else(PoisonError::into_inner) = loaded.seen.clone();
    let none_left = none_left(&before, &loaded);
    loaded.problems.extend(none_left);
    let (errors, _) = loaded.problems.count();
    Some(match loaded {
        Loaded { snapshot: Some(snapshot), .. } if errors == 0 && snapshot.rules.is_some() => {
            (swap(live, &before, snapshot), None)
        }
        loaded => refuse(live, &before, &loaded, errors),
    })
}

/// Where rules were in force and none would be: most often the files are just being written anew, and events that come
/// meanwhile would be judged by no rule for good.
fn none_left(before: &Snapshot, loaded: &Loaded) -> Problems {
    let mut problems = Problems::new();
    let none = loaded.snapshot.as_ref().filter(|snapshot| snapshot.rules.is_some() && snapshot.rule_count() == 0);
    if let Some(none) = none
        && before.rule_count() > 0
        && !loaded.files.say_no_rules()
    {
        let (folder, count) = (files::shown(&none.settings.rules), before.rule_count());
        let rules = if count == 1 { "1 rule is" } else { &format!("{count} rules are") };
        let message = format!("{rules} in force, and `{folder}` has none any more");
        let hint = "the old rules stay in force; if you want no rules, write `rules: []` in a file there";
        problems.push(Problem::error("no-rules", message).hint(hint));
    }
    problems
}

/// Keeps what is in force. Reports it once: not again while the report stays the same.
fn refuse(live: &Live, before: &Snapshot, loaded: &Loaded, errors: usize) -> (Reloaded, Option<Signal>) {
    let report = loaded.report();
    let is_news = live.stale.swap(Arc::new(Some(report.clone()))).as_deref() != Some(report.as_str());
    if is_news {
        live.telemetry.reload_failed(errors, &report);
    }
    // While no rules are in force no rule could receive it before the files are fixed.
    let signal = (is_news && before.rules.is_some()).then(|| failed(live, loaded, errors));
    (Reloaded::Refused(report), signal)
}

fn swap(live: &Live, before: &Snapshot, snapshot: Snapshot) -> Reloaded {
    let was_stale = live.stale.swap(Arc::new(None)).is_some();
    if snapshot.seen == before.seen && before.rules.is_some() {
        if was_stale {
            live.telemetry.loaded(&before.hash, before.rule_count(), before.since.as_second());
        }
        return Reloaded::Same;
    }
    let needs_restart = needs_restart(&live.bound, &snapshot.settings);
    let hash = snapshot.hash.clone();
    let (rules, since) = (snapshot.rule_count(), snapshot.since.as_second());
    live.snapshot.store(Arc::new(snapshot));
    live.telemetry.loaded(&hash, rules, since);
    if !needs_restart.is_empty() {
        live.telemetry.needs_restart(&needs_restart);
    }
    live.to_plan.notify_one();
    live.to_dispatch.notify_one();
    Reloaded::Changed { hash, needs_restart, orphans: Vec::new() }
}

/// What rules hear as `fanfare.reload.failed`.
fn failed(live: &Live, loaded: &Loaded, errors: usize) -> Signal {
    let first = loaded.problems.iter().find(|problem| problem.gravity == Gravity::Error);
    let data = json!({"errors": errors, "reason": first.map(ToString::to_string)});
    Signal::new(own::RELOAD_FAILED, data, live.clock.now())
}

async fn tell(live: &Live, signal: Signal) {
    let at = signal.at;
    match live.store.tell(Item::Signal(signal), at).await {
        Ok(_) => live.to_plan.notify_one(),
        Err(error) => live.telemetry.store_failed("tell", &error.to_string()),
    }
}

/// What `after` asks for and only a restart gives.
pub fn needs_restart(bound: &Settings, after: &Settings) -> Vec<&'static str> {
    let mut keys = Vec::new();
    let mut unless = |same: bool, key| {
        if !same {
            keys.push(key);
        }
    };
    unless(bound.listen == after.listen, "listen");
    // Which certificate it is, is asked at each handshake; whether there is one, when the listener is made.
    unless(bound.tls.is_some() == after.tls.is_some(), "tls");
    unless(bound.admin == after.admin, "admin.listen");
    unless(bound.store.open() == after.store.open(), "store");
    unless(bound.egress_deny == after.egress_deny && bound.egress_allow == after.egress_allow, "egress");
    keys
}

/// Watches until the process drains.
pub async fn watch(live: Arc<Live>) {
    let (hint, mut hinted) = mpsc::channel::<()>(1);
    let watched = Arc::new(Mutex::new(Watched::new(hint)));
    while !live.is_draining() {
        let seen = live.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let began = Instant::now();
        if let Some(now) = look(&live, &seen, Some(watched.clone())).await.filter(|now| *now != seen) {
            let settled = settle(&live, now, &seen).await;
            // A file that is being saved again just now may be read half: then the next hint has it looked at anew.
            if take_up(&live, move |read| read.is_like(&settled)).await.is_some() {
                continue;
            }
        }
        live.drained_or((began.elapsed() * REST).clamp(REST_MIN, REST_MAX)).await;
        tokio::select! {
            _ = hinted.recv() => {}
            () = live.to_reload.notified() => drop(reload(&live).await),
            () = live.drained_or(LOOK_EVERY) => {}
        }
    }
}

/// What there is to see now where `seen` was seen, and where it is watched from now on. `None` if looking failed, which the
/// log says, or if the process drains.
async fn look(live: &Arc<Live>, seen: &Seen, watched: Option<Arc<Mutex<Watched>>>) -> Option<Seen> {
    let (worker, seen) = (live.clone(), seen.clone());
    let looking = tokio::task::spawn_blocking(move || {
        if let Some(watched) = watched {
            let file = &worker.snapshot.load().settings.file;
            watched.lock().unwrap_or_else(PoisonError::into_inner).follow(file, &seen);
        }
        seen.again(&*worker.environment)
    });
    tokio::select! {
        looked = looking => looked.inspect_err(|panic| tracing::error!(%panic, "reading the files failed")).ok(),
        () = live.drained() => None,
    }
}

/// Looks again until two looks see the same, and gives what they saw.
async fn settle(live: &Arc<Live>, mut last: Seen, loaded: &Seen) -> Seen {
    while !live.is_draining() {
        let is_unlikely = last.has_empty() || last.has_fewer_than(loaded);
        live.drained_or(if is_unlikely { EMPTY_SETTLED_AFTER } else { SETTLED_AFTER }).await;
        match look(live, &last, None).await {
            Some(now) if now != last => last = now,
            _ => break,
        }
    }
    last
}

/// The file watcher and what it watches: folders, since a file that is renamed over is another file.
struct Watched {
    watcher: Option<notify::RecommendedWatcher>,
    /// What changes matter to.
    seen: Arc<ArcSwap<Seen>>,
    /// Each folder with the number that tells it from another of the same name.
    folders: Vec<(PathBuf, u64)>,
}

impl Watched {
    fn new(hint: mpsc::Sender<()>) -> Self {
        let seen = Arc::new(ArcSwap::from_pointee(Seen::default()));
        let matter = seen.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if is_hint(event, &matter.load()) {
                // A full channel means that a hint waits already.
                let _ = hint.try_send(());
            }
        });
        Self { watcher: watcher.ok(), seen, folders: Vec::new() }
    }

    /// Watches the configuration's own folder, and those that it names.
    fn follow(&mut self, file: &Path, seen: &Seen) {
        if **self.seen.load() != *seen {
            self.seen.store(Arc::new(seen.clone()));
        }
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.watch(parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive);
        for folder in seen.folders() {
            self.watch(folder, RecursiveMode::Recursive);
        }
    }

    /// A folder that can't be watched (not there yet, no inotify left) is still looked at.
    fn watch(&mut self, folder: &Path, mode: RecursiveMode) {
        let Some(watcher) = &mut self.watcher else { return };
        let Ok(number) = std::fs::metadata(folder).map(|metadata| metadata.ino()) else { return };
        if self.folders.iter().any(|(known, of)| known == folder && *of == number) {
            return;
        }
        self.folders.retain(|(known, _)| known != folder);
        if watcher.watch(folder, mode).is_ok() {
            self.folders.push((folder.to_owned(), number));
        }
    }
}

/// Whether it is worth a look. Looking opens and reads files: to take that for a hint would be to look without end; and
/// a store that stands beside the configuration changes with every event.
fn is_hint(event: notify::Result<notify::Event>, seen: &Seen) -> bool {
    // What can't be said may be anything.
    let Ok(event) = event else { return true };
    let is_looking = match event.kind {
        EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
        _ => false,
    };
    !is_looking && (event.paths.is_empty() || event.paths.iter().any(|path| seen.concerns(path)))
}
