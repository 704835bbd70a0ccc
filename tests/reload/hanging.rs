//! Files that don't answer, and files beside those that matter: neither keeps the program from its work or from its end.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use fanfare::clock::RealClock;
use fanfare::config::substitute::{Environment, RealEnvironment};
use fanfare::steps::{Bounds, Live, run};

use super::{in_force, rules, start, until_in_force};
use crate::support::app::{self, event, eventually, page_signature, soon};
use crate::support::folder::{CONFIG, Folder, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::raw::{exchange, post};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_pipe_in_place_of_any_file_changes_nothing_and_holds_up_neither_reload_nor_end() {
    let (peer, app) = start().await;
    app.folder.write("templates/m.md", "hello\n");
    app.folder.write("rules/more.yaml", "rules: []\n");
    eventually("the template", async || {
        let snapshot = app.live.snapshot.load();
        snapshot.templates.names().contains(&"m").then_some(())
    })
    .await;
    for name in ["fanfare.yaml", "rules/main.yaml", "rules/more.yaml", "templates/m.md"] {
        let at = app.folder.file(name);
        let before = std::fs::read(&at).unwrap();
        pipe_at(&at);
        let report = eventually(name, async || app.live.stale.load().as_deref().map(str::to_owned)).await;
        assert!(report.contains("can't be read: it is a named pipe"), "{name}: {report}");
        assert_eq!(soon("an answer", app.ask("POST", "/-/reload")).await.status, 422);
        assert_eq!(in_force(&app), ["v0"]);
        std::fs::write(at.with_extension("new"), before).unwrap();
        std::fs::rename(at.with_extension("new"), &at).unwrap();
        eventually("as before", async || app.live.stale.load().is_none().then_some(())).await;
    }
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    soon("the delivery", peer.received(1)).await;
    pipe_at(&app.folder.file("rules/main.yaml"));
    soon("its end", app.end()).await;
}

/// Puts a named pipe in place of a file, at once: a look in between would find nothing there.
fn pipe_at(at: &Path) {
    let pipe = at.with_extension("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::rename(pipe, at).unwrap();
}

/// Secrets on a disk that stops answering, and how often they were asked for.
#[derive(Default)]
struct Disk {
    hangs: AtomicBool,
    hung: AtomicUsize,
    looks: AtomicUsize,
    answered: (Mutex<bool>, Condvar),
}

impl Environment for Disk {
    fn variable(&self, name: &str) -> Option<String> {
        RealEnvironment.variable(name)
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            self.hung.fetch_add(1, Ordering::SeqCst);
            let answered = self.answered.0.lock().unwrap();
            drop(self.answered.1.wait_while(answered, |answered| !*answered).unwrap());
        }
        Ok(SECRET.into())
    }
}

impl Disk {
    fn answers(&self) {
        *self.answered.0.lock().unwrap() = true;
        self.answered.1.notify_all();
    }
}

/// A program whose one secret is a file on this disk, with its store beside the configuration.
async fn on(disk: &Arc<Disk>, peer: &HttpPeer) -> (Folder, Arc<Live>, run::Running) {
    let (before, after) = CONFIG.split_once("secrets: [").unwrap();
    let after = after.split_once(']').unwrap().1;
    let config = format!("{before}secrets: [\"${{file:secret}}\"]{after}").replace("data/fanfare.db", "fanfare.db");
    let folder = Folder::new(&config, &peer.url("/ledger"), &rules(0));
    folder.write("secret", SECRET);
    let live = app::live(&folder, Bounds::default(), Arc::new(RealClock)).await;
    let live = Arc::into_inner(live).unwrap().with_environment(disk.clone());
    let live = Arc::new(live);
    let running = run::run(live.clone(), fanfare::admin::router(live.clone())).await.unwrap();
    (folder, live, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_waits_for_no_file_that_is_being_read() {
    let (peer, disk) = (HttpPeer::start().await, Arc::new(Disk::default()));
    let (folder, live, running) = on(&disk, &peer).await;
    disk.hangs.store(true, Ordering::SeqCst);
    eventually("the watcher hangs", async || (disk.hung.load(Ordering::SeqCst) > 0).then_some(())).await;
    folder.write("rules/main.yaml", &rules(1));
    let asked = tokio::spawn({
        let live = live.clone();
        async move { fanfare::steps::reload::reload(&live).await }
    });
    eventually("a reload hangs", async || (disk.hung.load(Ordering::SeqCst) > 1).then_some(())).await;
    // Events go on meanwhile.
    let body = event("evt_1", "release.live");
    let signature = page_signature(SECRET, body.as_bytes());
    let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
    assert_eq!(exchange(running.webhooks, &request).await.status, 200);
    soon("the delivery", peer.received(1)).await;
    let began = Instant::now();
    soon("its end", running.drain()).await.unwrap();
    // Twenty seconds are what an end in order may take where something is under way.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(soon("the reload", asked).await.unwrap(), None);
    disk.answers();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_beside_the_configuration_and_litter_beside_rules_make_nobody_look() {
    let (peer, disk) = (HttpPeer::start().await, Arc::new(Disk::default()));
    let (folder, live, running) = on(&disk, &peer).await;
    let (began, before) = (Instant::now(), disk.looks.load(Ordering::SeqCst));
    for number in 0..200 {
        let body = event(&format!("evt_{number}"), "release.live");
        let signature = page_signature(SECRET, body.as_bytes());
        let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
        assert_eq!(exchange(running.webhooks, &request).await.status, 200);
        folder.write("notes.log", &body);
        folder.write("rules/.main.yaml.swp", &body);
        folder.write("rules/access.log", &body);
    }
    soon("all deliveries", peer.received(200)).await;
    let looks = disk.looks.load(Ordering::SeqCst) - before;
    // It looks every two seconds whatever happens.
    let most = began.elapsed().as_secs() / 2 + 3;
    assert!(looks as u64 <= most, "{looks} looks in {:?}", began.elapsed());
    folder.write("rules/main.yaml", &rules(1));
    eventually("the new rules", async || {
        let snapshot = live.snapshot.load();
        let rules = snapshot.rules.clone().unwrap();
        (rules.rules[0].name.value == "v1").then_some(())
    })
    .await;
    soon("its end", running.drain()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_without_end_costs_little_and_what_is_saved_last_is_in_force() {
    let (_peer, app) = start().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    for number in 0..300 {
        app.folder.write("rules/noise.yaml", &format!("rules: [] # {number}\n"));
        ticks.tick().await;
    }
    app.folder.write("rules/main.yaml", &rules(1));
    until_in_force(&app, 1).await;
    app.end().await;
}
