//! Rules are live when they are saved, however they are saved; broken ones change nothing and say so.

mod broken;
mod hanging;
mod judged;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::app::{App, code, event, eventually, page_signature, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder, SECRET};
use crate::support::http_peer::HttpPeer;
use crate::support::process::Process;
use crate::support::raw::{exchange, post};

/// One rule that reports everything, and whose name says which version this is.
fn rules(version: usize) -> String {
    EVERYTHING.replace("name: everything", &format!("name: v{version}"))
}

async fn start() -> (HttpPeer, App) {
    let peer = HttpPeer::start().await;
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), &rules(0))).await;
    (peer, app)
}

/// The names of the rules in force.
fn in_force(app: &App) -> Vec<String> {
    let snapshot = app.live.snapshot.load();
    snapshot.rules.iter().flat_map(|rules| &rules.rules).map(|rule| rule.name.value.clone()).collect()
}

async fn until_in_force(app: &App, version: usize) {
    let wanted = [format!("v{version}")];
    eventually(&format!("{wanted:?} in force"), async || (in_force(app) == wanted).then_some(())).await;
}

/// Sends one event after the other while something is done, then checks that each came out once, and the last one by
/// this version of the rules.
async fn under_load(peer: &HttpPeer, app: &App, version: usize, doing: impl Future<Output = ()>) {
    load_while(peer, app, version, "evt", doing).await;
}

/// The same, where it was done before: ids and requests of its own.
async fn under_load_from(peer: &HttpPeer, app: &App, version: usize, doing: impl Future<Output = ()>) {
    load_while(peer, app, version, &format!("evt_v{version}"), doing).await;
}

async fn load_while(peer: &HttpPeer, app: &App, version: usize, prefix: &str, doing: impl Future<Output = ()>) {
    let before = peer.requests().len();
    let (name, last) = (prefix.to_owned(), format!("{prefix}_last"));
    let stop = Arc::new(AtomicBool::new(false));
    let (told, address) = (stop.clone(), app.webhooks);
    let sender = tokio::spawn(async move {
        let mut sent = Vec::new();
        while !told.load(Ordering::SeqCst) {
            let id = format!("{name}_{}", sent.len());
            let body = event(&id, "release.live");
            let signature = page_signature(SECRET, body.as_bytes());
            let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
            assert_eq!(exchange(address, &request).await.status, 200);
            sent.push(id);
        }
        sent
    });
    doing.await;
    until_in_force(app, version).await;
    stop.store(true, Ordering::SeqCst);
    let mut sent = sender.await.unwrap();
    assert!(!sent.is_empty(), "no event came while it was done");
    app.send(&event(&last, "release.live")).await;
    sent.push(last.clone());
    soon("all deliveries", peer.received(before + sent.len())).await;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for request in &peer.requests()[before..] {
        let body = request.json();
        *times.entry(body["event"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
        if body["event"]["id"] == last.as_str() {
            assert_eq!(body["rule"], format!("v{version}"));
        }
    }
    assert_eq!(times.len(), sent.len(), "each event was handled");
    assert!(times.values().all(|times| *times == 1), "and once: {times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_thirty_quick_saves_the_last_is_in_force() {
    let (peer, app) = start().await;
    let saves = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(15));
        for version in 1..=30 {
            app.folder.write("rules/main.yaml", &rules(version));
            ticks.tick().await;
        }
    };
    under_load(&peer, &app, 30, saves).await;
    app.end().await;
}

/// Puts a version where a ConfigMap would: files are links through `..data`, which is swapped as one.
fn project(folder: &Folder, version: usize) {
    let hidden = format!("..2026_{version}");
    folder.write(&format!("rules/{hidden}/main.yaml"), &rules(version));
    symlink(&hidden, folder.file("rules/..data_tmp")).unwrap();
    std::fs::rename(folder.file("rules/..data_tmp"), folder.file("rules/..data")).unwrap();
    if version > 0 {
        std::fs::remove_dir_all(folder.file(&format!("rules/..2026_{}", version - 1))).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_swapped_config_maps_are_each_taken_up() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), "");
    std::fs::remove_file(folder.file("rules/main.yaml")).unwrap();
    project(&folder, 0);
    symlink("..data/main.yaml", folder.file("rules/main.yaml")).unwrap();
    let app = App::start(folder).await;
    assert_eq!(in_force(&app), ["v0"]);
    let swaps = async {
        for version in 1..=5 {
            project(&app.folder, version);
            until_in_force(&app, version).await;
        }
    };
    under_load(&peer, &app, 5, swaps).await;
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_stands_empty_while_it_is_saved_silences_nobody() {
    let (peer, app) = start().await;
    let saves = async {
        for version in 1..=3 {
            app.folder.write("rules/main.yaml", "");
            // As long as a busy disk may take from the one to the other.
            let mut ticks = tokio::time::interval(Duration::from_millis(300));
            ticks.tick().await;
            ticks.tick().await;
            app.folder.write("rules/main.yaml", &rules(version));
            until_in_force(&app, version).await;
        }
    };
    under_load(&peer, &app, 3, saves).await;
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_are_all_gone_at_once_stay_in_force_until_somebody_says_that_none_are_meant() {
    let (peer, app) = start().await;
    let stale = async || eventually("a report", async || app.live.stale.load().as_deref().map(str::to_owned)).await;
    let fixed = async || eventually("no report", async || app.live.stale.load().is_none().then_some(())).await;
    for (version, gone) in [(1, "deleted"), (2, "empty"), (3, "without rules")] {
        let rewritten = async {
            match gone {
                "deleted" => std::fs::remove_file(app.folder.file("rules/main.yaml")).unwrap(),
                "empty" => app.folder.write("rules/main.yaml", ""),
                _ => app.folder.write("rules/main.yaml", "# rules: [] is to follow\nhours: {}\n"),
            }
            let report = stale().await;
            assert!(report.contains("1 rule is in force, and") && report.contains("`rules: []`"), "{gone}: {report}");
            let asked = app.ask("POST", "/-/reload").await;
            assert_eq!(asked.status, 422, "{gone}: {}", asked.text());
            assert_eq!(in_force(&app), [format!("v{}", version - 1)], "{gone}");
            app.folder.write("rules/main.yaml", &rules(version));
        };
        under_load_from(&peer, &app, version, rewritten).await;
        fixed().await;
    }
    app.folder.write("rules/main.yaml", "rules: []\n");
    eventually("none, as it says", async || in_force(&app).is_empty().then_some(())).await;
    assert!(app.live.stale.load().is_none());
    app.end().await;
}

#[tokio::test]
async fn a_start_with_an_empty_folder_is_a_start_and_the_first_rule_is_taken_up() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), "");
    std::fs::remove_file(folder.file("rules/main.yaml")).unwrap();
    let app = App::start(folder).await;
    assert!(in_force(&app).is_empty() && app.live.stale.load().is_none());
    app.folder.write("rules/main.yaml", &rules(1));
    until_in_force(&app, 1).await;
    app.end().await;
}

#[tokio::test]
async fn an_editors_rename_over_is_taken_up_and_its_litter_is_not() {
    let (_peer, app) = start().await;
    for version in 1..=3 {
        app.folder.write("rules/.main.yaml.swp", "b0VIM 9.0: no YAML");
        app.folder.write("rules/4913", "");
        app.folder.write("rules/main.yaml~", "rules: [old");
        app.folder.write("rules/#main.yaml#", "rules: [half");
        let _ = symlink("editor@host.1234", app.folder.file("rules/.#main.yaml"));
        app.folder.write("rules/main.yaml.new", &rules(version));
        std::fs::rename(app.folder.file("rules/main.yaml.new"), app.folder.file("rules/main.yaml")).unwrap();
        until_in_force(&app, version).await;
        assert!(app.live.stale.load().is_none());
    }
    app.end().await;
}

#[tokio::test]
async fn a_further_file_in_a_new_folder_is_taken_up_and_so_is_its_end() {
    let (_peer, app) = start().await;
    app.folder.write("rules/team/more.yaml", &rules(1));
    eventually("both rules", async || (in_force(&app) == ["v0", "v1"]).then_some(())).await;
    app.folder.write("rules/team/more.yaml", &rules(2));
    eventually("the changed one", async || (in_force(&app) == ["v0", "v2"]).then_some(())).await;
    std::fs::remove_dir_all(app.folder.file("rules/team")).unwrap();
    until_in_force(&app, 0).await;
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_folder_changes_nothing_until_it_is_back() {
    let (peer, app) = start().await;
    let gone = async {
        std::fs::remove_dir_all(app.folder.file("rules")).unwrap();
        let report = eventually("a report", async || app.live.stale.load().as_deref().map(str::to_owned)).await;
        assert!(report.contains("there is no folder") && report.contains("rules"), "{report}");
        assert_eq!(in_force(&app), ["v0"]);
        app.folder.write("rules/main.yaml", &rules(1));
    };
    under_load(&peer, &app, 1, gone).await;
    assert!(app.live.stale.load().is_none());
    app.folder.write("rules/main.yaml", &rules(2));
    until_in_force(&app, 2).await;
    app.end().await;
}

#[tokio::test]
async fn what_was_saved_before_watching_began_is_taken_up() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules(0));
    let loaded = fanfare::config::load::load(
        &folder.file("fanfare.yaml"),
        &fanfare::config::substitute::RealEnvironment,
        jiff::Timestamp::UNIX_EPOCH,
    );
    folder.write("rules/main.yaml", &rules(1));
    let app = App::start(folder).await;
    // As if the start had taken long: what was read is older than what is there.
    app.live.snapshot.store(Arc::new(loaded.snapshot.unwrap()));
    *app.live.seen.lock().unwrap() = loaded.seen;
    until_in_force(&app, 1).await;
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reloads_from_all_sides_end_with_what_the_files_say() {
    let (_peer, app) = start().await;
    let mut reloads = tokio::task::JoinSet::new();
    for version in 1..=40 {
        app.folder.write("rules/main.yaml", &rules(version));
        for _ in 0..2 {
            let live = app.live.clone();
            reloads.spawn(async move { fanfare::steps::reload::reload(&live).await });
        }
    }
    reloads.join_all().await;
    assert_eq!(in_force(&app), ["v40"]);
    app.end().await;
}

#[tokio::test]
async fn a_rotated_secret_file_is_taken_up() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules(0));
    let secrets = "secrets: [\"${file:run/secret}\"]";
    let config = std::fs::read_to_string(folder.file("fanfare.yaml")).unwrap();
    let (before, after) = config.split_once("secrets: [").unwrap();
    let after = after.split_once(']').unwrap().1;
    folder.write("fanfare.yaml", &format!("{before}{secrets}{after}"));
    folder.write("run/secret", "first-secret-0123456789abcdef\n");
    let app = App::start(folder).await;
    let hash = app.live.snapshot.load().hash.clone();
    let send = async |secret: &str| {
        let body = event(&format!("evt_{}", code(secret, &[])), "release.live");
        let signature = page_signature(secret, body.as_bytes());
        let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
        exchange(app.webhooks, &request).await.status
    };
    assert_eq!(send("first-secret-0123456789abcdef").await, 200);
    app.folder.write("run/secret", "second-secret-0123456789abcdef\n");
    eventually("the new secret", async || (send("second-secret-0123456789abcdef").await == 200).then_some(())).await;
    assert_eq!(send("first-secret-0123456789abcdef").await, 401);
    assert_eq!(app.live.snapshot.load().hash, hash, "what is shown tells nothing of secrets");
    app.end().await;
}

#[tokio::test]
async fn asking_for_a_reload_says_what_came_of_it() {
    let (_peer, app) = start().await;
    let same = app.ask("POST", "/-/reload").await;
    assert_eq!((same.status, &same.json()["reloaded"]), (200, &false.into()));
    app.folder.write("rules/main.yaml", "rules:\n  - name: v1\n    evnts: '*'\n");
    let refused = app.ask("POST", "/-/reload").await;
    assert_eq!(refused.status, 422);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("main.yaml:3:5") && detail.contains("evnts") && detail.contains("`events`"), "{detail}");
    app.end().await;
}

#[tokio::test]
async fn sighup_reloads() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules(0));
    let process = Process::start(folder.path()).await;
    folder.write("rules/main.yaml", &rules(1));
    process.signal("HUP");
    let body = event("evt_1", "release.live");
    let signature = page_signature(SECRET, body.as_bytes());
    eventually("the new rules", async || {
        let status = crate::support::app::json(process.admin, "/api/v1/status").await;
        (status["rules"]["hash"] != "" && process.log().matches("in force").count() == 2).then_some(())
    })
    .await;
    let request = post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], body.as_bytes());
    assert_eq!(exchange(process.webhooks, &request).await.status, 200);
    assert_eq!(soon("the delivery", peer.received(1)).await[0].json()["rule"], "v1");
    let (status, _) = process.terminate().await;
    assert!(status.success(), "{status}");
}
