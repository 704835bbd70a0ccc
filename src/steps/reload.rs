//! Reload: watch, load, check, swap. Everything at once or nothing; what is in flight ends with its own snapshot.
//!
//! File events are a hint; the truth is the hash over what the files say, looked at every two seconds. So an editor's
//! rename, a ConfigMap's swapped link and a network mount all work. A save is taken up when two looks in a row see the
//! same, so that of many saves the last one counts and a half-written file none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::config::load::{self, Loaded};
use crate::config::{Settings, Snapshot};
use crate::steps::Live;

/// How often the files are looked at without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long files must stay as they are before they are taken up.
const SETTLED_AFTER: Duration = Duration::from_millis(40);

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// New rules are in force.
    Changed {
        /// Their hash.
        hash: String,
        /// What else the files ask for and only a restart gives.
        needs_restart: Vec<&'static str>,
    },
    /// The files say what is in force already.
    Same,
    /// They are broken: what was in force stays. The whole report.
    Refused(String),
}

/// Loads what the files say now, and swaps it in unless anything is wrong with it.
pub fn reload(live: &Live) -> Reloaded {
    let before = live.snapshot.load_full();
    let loaded = load::load(&before.settings.file, &*live.environment, live.clock.now());
    apply(live, &before, loaded)
}

fn apply(live: &Live, before: &Snapshot, loaded: Loaded) -> Reloaded {
    let report = loaded.report();
    let (errors, _) = loaded.problems.count();
    let usable = loaded.snapshot.filter(|snapshot| snapshot.rules.is_some() && errors == 0);
    let Some(snapshot) = usable else {
        let said = live.stale.load();
        if said.as_deref() != Some(report.as_str()) {
            live.notes.reload_failed(errors, &report);
        }
        live.stale.store(Arc::new(Some(report.clone())));
        return Reloaded::Refused(report);
    };
    let was_stale = live.stale.swap(Arc::new(None)).is_some();
    if snapshot.hash == before.hash && before.rules.is_some() {
        if was_stale {
            live.notes.loaded(&before.hash, before.rule_count(), before.since.as_second());
        }
        return Reloaded::Same;
    }
    let needs_restart = needs_restart(&before.settings, &snapshot.settings);
    let hash = snapshot.hash.clone();
    live.notes.loaded(&hash, snapshot.rule_count(), snapshot.since.as_second());
    if !needs_restart.is_empty() {
        live.notes.needs_restart(&needs_restart);
    }
    live.snapshot.store(Arc::new(snapshot));
    live.to_plan.notify_one();
    live.to_dispatch.notify_one();
    Reloaded::Changed { hash, needs_restart }
}

/// What is bound for the life of the process.
fn needs_restart(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let mut keys = Vec::new();
    let mut unless = |same: bool, key| {
        if !same {
            keys.push(key);
        }
    };
    unless(before.listen == after.listen, "listen");
    unless(before.tls == after.tls, "tls");
    unless(before.admin == after.admin, "admin.listen");
    unless(before.store.open() == after.store.open(), "store");
    unless(before.egress_deny == after.egress_deny && before.egress_allow == after.egress_allow, "egress");
    keys
}

/// Watches until the process drains.
pub async fn watch(live: Arc<Live>) {
    let (hint, mut hinted) = mpsc::channel::<()>(1);
    let mut watched = Watched::new(hint);
    let mut seen = load::fingerprint(&live.snapshot.load().settings);
    loop {
        watched.follow(&live.snapshot.load().settings);
        tokio::select! {
            _ = hinted.recv() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = live.drained() => return,
        }
        let now = load::fingerprint(&live.snapshot.load().settings);
        if now == seen {
            continue;
        }
        let settled = settle(&live, now).await;
        seen = settled;
        let live = live.clone();
        // Loading compiles templates and rules: not on a thread that answers webhooks.
        if let Err(panic) = tokio::task::spawn_blocking(move || reload(&live)).await {
            tracing::error!(%panic, "reload failed");
        }
    }
}

/// Looks again until two looks see the same.
async fn settle(live: &Live, mut last: String) -> String {
    loop {
        tokio::time::sleep(SETTLED_AFTER).await;
        let now = load::fingerprint(&live.snapshot.load().settings);
        if now == last {
            return now;
        }
        last = now;
    }
}

/// The file watcher and what it watches: folders, since a file that is renamed over is another file.
struct Watched {
    watcher: Option<notify::RecommendedWatcher>,
    folders: Vec<PathBuf>,
}

impl Watched {
    fn new(hint: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |_: notify::Result<notify::Event>| {
            // A full channel means that a hint waits already.
            let _ = hint.try_send(());
        });
        Self { watcher: watcher.ok(), folders: Vec::new() }
    }

    fn follow(&mut self, settings: &Settings) {
        let Some(watcher) = &mut self.watcher else { return };
        let parent = settings.file.parent().map(PathBuf::from).filter(|parent| !parent.as_os_str().is_empty());
        let wanted = [
            (parent.unwrap_or_else(|| PathBuf::from(".")), RecursiveMode::NonRecursive),
            (settings.rules.clone(), RecursiveMode::Recursive),
            (settings.templates.clone(), RecursiveMode::Recursive),
        ];
        for (folder, mode) in wanted {
            // A folder that can't be watched (not there yet, no inotify left) is still looked at by hash.
            if !self.folders.contains(&folder) && watcher.watch(&folder, mode).is_ok() {
                self.folders.push(folder);
            }
        }
    }
}
