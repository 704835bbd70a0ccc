//! Broken files: nothing changes, everybody can see it, and events wait where no rules were ever right.

use super::{in_force, rules, start, until_in_force};
use crate::support::app::{App, event, eventually, soon};
use crate::support::folder::{CONFIG, Folder};
use crate::support::http_peer::HttpPeer;

/// Two mistakes in one file.
const BROKEN: &str = "rules:
  - {name: one, events: '*', when: {$.data.streams: {gt: many}}, actions: [{to: ledger, text: hello}]}
  - {name: two, events: '*', actions: [{to: legder, text: hello}]}
";

async fn metric(app: &App, name: &str) -> String {
    let metrics = app.ask("GET", "/metrics").await.text();
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{metrics}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

async fn until_stale(app: &App) {
    eventually("a report", async || app.live.stale.load().is_some().then_some(())).await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_reported_in_full() {
    let (peer, app) = start().await;
    let before = app.json("/readyz").await;
    assert_eq!(before["rules"]["stale"], false);
    assert_eq!(metric(&app, "fanfare_rules_stale ").await, "0");

    app.folder.write("rules/main.yaml", BROKEN);
    until_stale(&app).await;
    let after = app.json("/readyz").await;
    assert_eq!(after["rules"]["hash"], before["rules"]["hash"]);
    assert_eq!(after["rules"]["in_force"], true);
    assert_eq!(after["rules"]["stale"], true);
    for shown in [after["rules"]["report"].as_str().unwrap(), &app.ask("GET", "/").await.text()] {
        for part in ["main.yaml:2:58", "main.yaml:3:45", "many", "legder", "did you mean"] {
            assert!(shown.contains(part), "`{part}` is missing from:\n{shown}");
        }
    }
    assert_eq!(metric(&app, "fanfare_rules_stale ").await, "1");
    assert_eq!(metric(&app, "fanfare_reloads_total{result=\"failed\"}").await, "1");
    app.send(&event("evt_1", "release.live")).await;
    assert_eq!(soon("the delivery", peer.received(1)).await[0].json()["rule"], "v0");

    // Back to what it was: in force already, and no longer stale.
    app.folder.write("rules/main.yaml", &rules(0));
    eventually("fixed", async || app.live.stale.load().is_none().then_some(())).await;
    assert_eq!(app.json("/readyz").await["rules"], before["rules"]);
    assert_eq!(metric(&app, "fanfare_rules_stale ").await, "0");
    app.end().await;
}

#[tokio::test]
async fn rules_receive_a_broken_file_once() {
    let (peer, app) = start().await;
    let rules = rules(0)
        + "  - {name: trouble, events: fanfare.reload.failed, actions: [{to: ledger, text: '{{ data.reason }}'}]}\n";
    app.folder.write("rules/main.yaml", &rules);
    eventually("both rules", async || (in_force(&app).len() == 2).then_some(())).await;
    app.folder.write("rules/broken.yaml", BROKEN);
    let requests = soon("the word of it", peer.received(1)).await;
    let body = requests[0].json();
    assert_eq!(body["rule"], "trouble");
    assert_eq!(body["event"]["body"]["data"]["errors"], 2);
    assert!(body["message"]["text"].as_str().unwrap().contains("broken.yaml:2:58"), "{body}");
    // Looked at again, with nothing new to tell.
    assert_eq!(app.ask("POST", "/-/reload").await.status, 422);
    app.send(&event("evt_1", "release.live")).await;
    assert_eq!(soon("the event", peer.received(2)).await[1].json()["event"]["id"], "evt_1");
    app.end().await;
    assert_eq!(peer.requests().len(), 2);
}

#[tokio::test]
async fn every_kind_of_broken_file_is_refused() {
    let (_peer, app) = start().await;
    let config = std::fs::read_to_string(app.folder.file("fanfare.yaml")).unwrap();
    let broken: [(&str, Vec<u8>, &str); 7] = [
        ("fanfare.yaml", config.replace("sources:", "sorces:").into_bytes(), "sorces"),
        ("fanfare.yaml", config.replace("type: http", "type: htpp").into_bytes(), "htpp"),
        ("fanfare.yaml", b"\xff\xfe".to_vec(), "UTF-8"),
        ("rules/main.yaml", b"rules: [".to_vec(), "main.yaml"),
        ("rules/main.yaml", b"rules: []\n# \xff\n".to_vec(), "UTF-8"),
        ("rules/more.yaml", rules(0).into_bytes(), "v0"),
        ("templates/hello.md", b"{{ nothing. }}".to_vec(), "hello.md"),
    ];
    for (name, text, said) in broken {
        let before = std::fs::read(app.folder.file(name)).ok();
        std::fs::create_dir_all(app.folder.file(name).parent().unwrap()).unwrap();
        std::fs::write(app.folder.file(name), &text).unwrap();
        let report = eventually(name, async || app.live.stale.load().as_deref().map(str::to_owned)).await;
        assert!(report.contains(said), "{name}: {report}");
        assert_eq!(in_force(&app), ["v0"]);
        match before {
            Some(before) => std::fs::write(app.folder.file(name), before).unwrap(),
            None => std::fs::remove_file(app.folder.file(name)).unwrap(),
        }
        eventually("fixed", async || app.live.stale.load().is_none().then_some(())).await;
    }
    app.end().await;
}

#[tokio::test]
async fn with_broken_rules_at_the_start_events_are_kept_until_they_are_right() {
    let peer = HttpPeer::start().await;
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), BROKEN)).await;
    assert!(in_force(&app).is_empty());
    for id in ["evt_1", "evt_2", "evt_3"] {
        assert_eq!(app.send(&event(id, "release.live")).await.json()["status"], "accepted");
    }
    let ready = app.json("/readyz").await;
    assert_eq!((&ready["ready"], &ready["rules"]["in_force"]), (&true.into(), &false.into()), "{ready}");
    assert_eq!(app.json("/api/v1/status").await["inbox"]["planned"], 0);
    assert_eq!(peer.requests().len(), 0);

    app.folder.write("rules/main.yaml", &rules(1));
    let requests = soon("the deliveries", peer.received(3)).await;
    let mut ids: Vec<_> =
        requests.iter().map(|request| request.json()["event"]["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, ["evt_1", "evt_2", "evt_3"]);
    assert_eq!(app.json("/readyz").await["rules"]["in_force"], true);
    app.end().await;
}

#[tokio::test]
async fn an_unreadable_rules_file_at_the_start_keeps_nobody_from_being_heard() {
    let peer = HttpPeer::start().await;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), &rules(0));
    std::fs::write(folder.file("rules/main.yaml"), b"rules: [] # \xff\n").unwrap();
    let app = App::start(folder).await;
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    app.folder.write("rules/main.yaml", &rules(1));
    soon("the delivery", peer.received(1)).await;
    app.end().await;
}

#[tokio::test]
async fn what_only_a_restart_gives_is_named_and_the_rest_is_in_force() {
    let (_peer, app) = start().await;
    let config = std::fs::read_to_string(app.folder.file("fanfare.yaml")).unwrap();
    let config =
        config.replace("listen: 127.0.0.1:0\nadmin", "listen: 127.0.0.1:1\nadmin").replace("fanfare.db", "other.db");
    app.folder.write("rules/main.yaml", &rules(1));
    app.folder.write("fanfare.yaml", &config);
    let answer = app.ask("POST", "/-/reload").await.json();
    // The watcher may have been quicker.
    if answer["reloaded"] == true {
        assert_eq!(answer["needs_restart"], serde_json::json!(["listen", "store"]));
    }
    until_in_force(&app, 1).await;
    let status = async || app.json("/api/v1/status").await["rules"]["needs_restart"].clone();
    assert_eq!(status().await, serde_json::json!(["listen", "store"]));
    app.folder.write("rules/main.yaml", &rules(2));
    until_in_force(&app, 2).await;
    assert_eq!(status().await, serde_json::json!(["listen", "store"]), "until it is restarted");
    assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
    app.end().await;
}
