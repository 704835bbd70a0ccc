//! What acts on many: replays, retries, cancels; what goes on for long: follow and export; and the mistakes people make.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::app::{PATIENCE, event, eventually};
use crate::support::cli::run;
use crate::support::folder::CONFIG;
use crate::support::process::BINARY;

const RULES: &str = r#"
rules:
  - {name: live, events: "release.live", actions: {to: ledger, text: "{{ event.id }}"}}
  - {name: all, events: "*", when: {$.data.label: Warp}, actions: {to: heads, text: "{{ event.id }}"}}
"#;

/// No rule that any of the events concerns.
const NONE: &str = "rules:\n  - {name: none, events: nothing, actions: {to: ledger, text: x}}\n";

/// A program that has four events, of which no rule wanted to know, and then gets the rules that do.
async fn late_rules() -> Desk {
    let desk = Desk::start(NONE).await;
    for (id, kind, label) in [
        ("evt_1", "release.live", "Warp"),
        ("evt_2", "release.rejected", "Warp"),
        ("evt_3", "release.live", "Ninja"),
        ("evt_4", "track.uploaded", "Ninja"),
    ] {
        desk.send(id, kind, json!({"label": label})).await;
        desk.passes(1);
    }
    desk.app.folder.write("rules/main.yaml", RULES);
    assert_eq!(desk.app.ask("POST", "/-/reload").await.status, 200);
    desk
}

/// What was sent where, sorted: `live evt_1`.
async fn sent(desk: &Desk) -> Vec<String> {
    desk.planned().await;
    let list = desk.app.json("/api/v1/deliveries?limit=1000").await;
    let events = desk.app.json("/api/v1/events?limit=1000").await;
    let id = |seq: &Value| {
        let event = events.as_array().unwrap().iter().find(|event| event["seq"] == *seq).unwrap();
        event["id"].as_str().unwrap().to_owned()
    };
    let list = list.as_array().unwrap().iter();
    let mut all: Vec<String> =
        list.map(|one| format!("{} {}", one["rule"].as_str().unwrap(), id(&one["event"]))).collect();
    all.sort();
    all
}

#[tokio::test]
async fn many_events_are_counted_and_then_planned_again() {
    for (arguments, count, expected) in [
        (&["--type", "release.*"][..], 3, &["all evt_1", "all evt_2", "live evt_1", "live evt_3"][..]),
        (&["--type", "{track,release}.*d"], 2, &["all evt_2"]),
        (&["--source", "jewelmusic"], 4, &["all evt_1", "all evt_2", "live evt_1", "live evt_3"]),
        (&["--since", "2026-01-05T11:00:00Z", "--until", "2026-01-05T13:00:00Z"], 2, &["all evt_2", "live evt_3"]),
        (&["--rule", "live"], 2, &["live evt_1", "live evt_3"]),
        (&["--rule", "all", "--type", "release.live"], 1, &["all evt_1"]),
        (&["--source", "other"], 0, &[]),
    ] {
        let desk = late_rules().await;
        let arguments = [&["events", "replay"], arguments].concat();
        let counted = desk.run(&arguments).await;
        let several = format!("{count} events to plan again\nadd `--yes` to do it\n");
        match count {
            0 => assert_eq!(counted.good(), "0 events to plan again\n"),
            1 => assert_eq!(counted.good(), "plan again: 1 event, done\n", "one alone is not asked about"),
            _ => {
                assert_eq!(counted.good(), several, "{arguments:?}");
                assert!(sent(&desk).await.is_empty(), "counting changes nothing");
                let done = desk.run(&[&arguments[..], &["--yes"]].concat()).await.good();
                assert_eq!(done, format!("plan again: {count} events, done\n"), "{arguments:?}");
            }
        }
        assert_eq!(sent(&desk).await, expected, "{arguments:?}");
        let again = desk.run(&[&arguments[..], &["--yes", "--format", "json"]].concat()).await.json();
        assert_eq!(again, json!({"found": count, "replayed": count}));
        assert_eq!(sent(&desk).await, expected, "what is there is not made twice: {arguments:?}");
        desk.app.end().await;
    }
}

#[tokio::test]
async fn again_makes_anew_what_was_sent() {
    let desk = late_rules().await;
    for _ in 0..2 {
        desk.clock.advance(jiff::SignedDuration::from_secs(1));
        let done = desk.run(&["events", "replay", "--rule", "live", "--again", "--yes"]).await.good();
        assert_eq!(done, "plan again: 2 events, done\n");
        desk.planned().await;
    }
    assert_eq!(sent(&desk).await, ["live evt_1", "live evt_1", "live evt_3", "live evt_3"]);
    desk.app.end().await;
}

#[tokio::test]
async fn events_named_by_id_are_planned_again() {
    let desk = late_rules().await;
    assert_eq!(desk.run(&["events", "replay", "evt_1", "--rule", "all"]).await.good(), "evt_1  replayed\n");
    assert_eq!(sent(&desk).await, ["all evt_1"]);
    let counted = desk.run(&["events", "replay", "evt_1", "evt_3"]).await.good();
    assert_eq!(counted, "2 events to plan again\nadd `--yes` to do it\n");
    let done = desk.run(&["events", "replay", "evt_1", "evt_9", "evt_3", "--yes"]).await;
    assert_eq!((done.code, done.out.as_str()), (1, "evt_1  replayed\nevt_3  replayed\n"));
    assert_eq!(done.err, "error: there is no event `evt_9` (404 Not Found)\n");
    assert_eq!(sent(&desk).await, ["all evt_1", "live evt_1", "live evt_3"]);
    desk.app.end().await;
}

#[tokio::test]
async fn more_events_than_one_batch_are_all_planned_again() {
    let desk = Desk::start(NONE).await;
    for n in 0..250 {
        assert_eq!(desk.app.send(&event(&format!("evt_{n}"), "release.live")).await.status, 200);
    }
    desk.planned().await;
    let quiet = RULES.replace("name: live,", "name: live, shadow: true,");
    desk.app.folder.write("rules/main.yaml", &quiet);
    assert_eq!(desk.app.ask("POST", "/-/reload").await.status, 200);
    let batch = async |more: &str| {
        let asked = format!("/api/v1/events/replay?type=release.*&rule=live{more}");
        desk.app.ask("POST", &asked).await.json()
    };
    let first = batch("").await;
    assert_eq!((&first["found"], &first["replayed"]), (&200.into(), &200.into()), "{first}");
    let upto = first["upto"].as_i64().unwrap();
    let second = batch(&format!("&after={}&upto={upto}", first["next"])).await;
    assert_eq!((&second["found"], &second["replayed"]), (&50.into(), &50.into()), "{second}");
    let end = batch(&format!("&after={}&upto={upto}", second["next"])).await;
    assert_eq!((&end["found"], &end["next"]), (&0.into(), &Value::Null));
    desk.planned().await;
    let done = desk.run(&["events", "replay", "--rule", "live", "--yes"]).await;
    assert_eq!(done.out, "plan again: 250 events, done\n");
    desk.planned().await;
    for id in ["evt_0", "evt_199", "evt_200", "evt_249"] {
        let whys = desk.app.json(&format!("/api/v1/events/{id}")).await["rules"].clone();
        assert_eq!((&whys[1]["rule"], &whys[1]["outcome"]), (&"live".into(), &"shadow".into()), "{id}: {whys}");
    }
    desk.app.end().await;
}

#[tokio::test]
async fn while_the_planner_is_behind_no_more_is_asked_of_it() {
    let desk = Desk::start(RULES).await;
    desk.send("evt_1", "release.live", json!({})).await;
    // A planner that holds the lease and does nothing.
    let far = "2026-01-05T11:00:50Z".parse().unwrap();
    desk.clock.set("2026-01-05T11:00:00Z".parse().unwrap());
    let now = "2026-01-05T11:00:00Z".parse().unwrap();
    let lease = eventually("the lease", async || desk.app.live.store.lease("another", now, far).await.unwrap()).await;
    assert!(lease.token > 0);
    for n in 0..6 {
        let answer = desk.app.ask("POST", "/api/v1/events/replay?type=*&again=true").await.json();
        assert_eq!(answer["waits"], false, "{n}");
    }
    for n in 0..500 {
        let own = fanfare::event::Command::Replay { event: 1, again: n, rule: None };
        desk.app.live.store.tell(fanfare::event::Item::Command(own), now).await.unwrap();
    }
    let answer = desk.app.ask("POST", "/api/v1/events/replay?type=*&again=true&after=0").await.json();
    assert_eq!(answer, json!({"found": 0, "replayed": 0, "next": 0, "upto": 513, "waits": true}));
    let counted = desk.app.ask("POST", "/api/v1/events/replay?type=*&count=true").await.json();
    assert_eq!((&counted["found"], &counted["waits"]), (&1.into(), &false.into()), "counting is always possible");
    desk.app.end().await;
}

#[tokio::test]
async fn more_deliveries_than_one_page_are_cancelled_and_retried() {
    let actions: Vec<String> = (0..11).map(|n| format!("{{to: slow, text: a{n}}}")).collect();
    let rules = format!("rules:\n  - {{name: many, events: \"*\", actions: [{}]}}\n", actions.join(", "));
    let desk = Desk::start_with(&rules, "  slow: {type: http, url: \"PEER\", rate: 1/h}\n").await;
    for n in 0..100 {
        assert_eq!(desk.app.send(&event(&format!("evt_{n}"), "release.live")).await.status, 200);
    }
    let state = async |state: &str| {
        let status = desk.app.json("/api/v1/status").await;
        status["deliveries"][state].as_u64().unwrap()
    };
    eventually("all but the first wait", async || {
        (state("due").await == 1099 && state("delivered").await == 1).then_some(())
    })
    .await;
    let counted = desk.run(&["deliveries", "cancel", "--destination", "slow"]).await.good();
    assert_eq!(counted, "1099 deliveries to cancel\nadd `--yes` to do it\n");
    assert_eq!(state("cancelled").await, 0);
    let first = desk.app.ask("POST", "/api/v1/deliveries/cancel?rule=many").await.json();
    assert_eq!((&first["found"], &first["cancelled"]), (&1000.into(), &1000.into()));
    let next = first["next"].as_str().unwrap();
    let rest = desk.app.ask("POST", &format!("/api/v1/deliveries/cancel?rule=many&before={next}")).await.json();
    assert_eq!((&rest["found"], &rest["cancelled"]), (&99.into(), &99.into()));
    assert_eq!(state("cancelled").await, 1099);
    let retried = desk.run(&["deliveries", "retry", "--state", "cancelled", "--yes", "--format", "json"]).await.json();
    assert_eq!(retried, json!({"found": 1099, "retried": 1099}));
    assert_eq!((state("cancelled").await, state("due").await), (0, 1099));
    let listed =
        desk.run(&["deliveries", "list", "--state", "due", "--limit", "1050", "--format", "json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1050, "a list is as long as it was asked for");
    desk.app.end().await;
}

#[tokio::test]
async fn an_export_holds_every_event_as_it_came() {
    let desk = Desk::start(RULES).await;
    let strange = r#"{ "id":"evt_1","type":"release.live","data":{"n":1250.00,"t":"é\n"}}"#;
    assert_eq!(desk.app.send(strange).await.status, 200);
    desk.send("evt_2", "track.uploaded", json!({})).await;
    let signature = crate::support::app::page_signature(crate::support::folder::SECRET, b"\xff\xfe");
    let request =
        crate::support::raw::post("/webhooks/jewelmusic", &[("X-JewelMusic-Signature", signature)], b"\xff\xfe");
    assert_eq!(crate::support::raw::exchange(desk.app.webhooks, &request).await.status, 200);
    desk.planned().await;
    let out = desk.run(&["events", "export"]).await.good();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert_eq!((&lines[0]["id"], lines[0]["raw"].as_str()), (&"evt_1".into(), Some(strange)));
    assert_eq!((&lines[1]["type"], &lines[1]["source"]), (&"track.uploaded".into(), &"jewelmusic".into()));
    assert_eq!((&lines[2]["type"], &lines[2]["raw_base64"]), (&"fanfare.unparsed".into(), &"//4=".into()));
    let path = desk.app.folder.file("out.jsonl");
    let told = desk.run(&["events", "export", "--type", "track.*", "--out", path.to_str().unwrap()]).await;
    assert_eq!((told.code, told.out.as_str()), (0, ""));
    assert_eq!(told.err, format!("1 event in {}\n", path.display()));
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(line["id"], "evt_2");
    let nowhere = desk.run(&["events", "export", "--out", "/nowhere/x"]).await;
    assert!(nowhere.code == 1 && nowhere.err.starts_with("error: can't write `/nowhere/x`: "), "{nowhere:?}");
    desk.app.end().await;
}

#[tokio::test]
async fn events_are_exported_as_a_sheet() {
    let desk = Desk::start(RULES).await;
    let paid = r#"{"id":"evt_1","type":"royalty.payment.completed","data":{"artist":"=Brim","amount":1250.5,"currency":"EUR"}}"#;
    assert_eq!(desk.app.send(paid).await.status, 200);
    desk.send("evt_2", "royalty.payment.completed", json!({"amount": 9_000_000_000_000_001_i64})).await;
    desk.planned().await;
    let out = desk
        .run(&["events", "export", "--columns", "Id=$.id, Artist=$.data.artist, Amount=$.data.amount"])
        .await
        .good();
    assert_eq!(out, "\"Id\",\"Artist\",\"Amount\"\r\n\"evt_1\",\"'=Brim\",1250.5\r\n\"evt_2\",,9000000000000001\r\n");
    let wrong = desk.run(&["events", "export", "--columns", "Artist=artst"]).await;
    assert!(wrong.code == 1 && wrong.err.contains("there is no name `artst`"), "{wrong:?}");
    desk.app.end().await;
}

/// `fanfare events follow` as a process of its own, and the ids that it printed.
struct Follower {
    child: std::process::Child,
    heard: std::sync::Arc<std::sync::Mutex<mpsc::Receiver<String>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Follower {
    fn start(desk: &Desk, last: usize) -> Self {
        let mut child = Command::new(BINARY)
            .args(["events", "follow", "--type", "release.*", "--last", &last.to_string(), "--format", "json"])
            .args(["--admin", &format!("http://{}", desk.app.admin)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (said, heard) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
                let _ = said.send(line["id"].as_str().unwrap().to_owned());
            }
        });
        Self { child, heard: std::sync::Arc::new(std::sync::Mutex::new(heard)), reader }
    }

    /// What it prints next.
    async fn next(&self) -> String {
        let heard = self.heard.clone();
        tokio::task::spawn_blocking(move || heard.lock().unwrap().recv_timeout(PATIENCE)).await.unwrap().unwrap()
    }

    fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.join().unwrap();
        assert!(self.heard.lock().unwrap().try_recv().is_err(), "nothing twice");
    }
}

#[tokio::test]
async fn a_follower_sees_what_comes_once() {
    let desk = Desk::start(RULES).await;
    for n in 1..=3 {
        desk.send(&format!("evt_{n}"), "release.live", json!({})).await;
    }
    let follower = Follower::start(&desk, 2);
    assert_eq!([follower.next().await, follower.next().await], ["evt_2", "evt_3"], "the last two, oldest first");
    desk.send("evt_4", "track.uploaded", json!({})).await;
    desk.send("evt_5", "release.live", json!({})).await;
    desk.send("evt_6", "release.rejected", json!({})).await;
    assert_eq!([follower.next().await, follower.next().await], ["evt_5", "evt_6"]);
    follower.end();
    desk.app.end().await;
}

#[tokio::test]
async fn a_follower_of_a_new_install_sees_all_that_came_however_little() {
    let desk = Desk::start(RULES).await;
    for count in 0..=4 {
        let follower = Follower::start(&desk, 3);
        let first = 1.max(count - 2);
        for n in first..=count {
            assert_eq!(follower.next().await, format!("evt_{n}"), "{count} came");
        }
        desk.send(&format!("evt_{}", count + 1), "release.live", json!({})).await;
        assert_eq!(follower.next().await, format!("evt_{}", count + 1));
        follower.end();
    }
    desk.app.end().await;
}

#[tokio::test]
async fn without_a_user_in_the_environment_a_command_still_says_who_asks() {
    let desk = Desk::start("rules: [{name: r, events: x.y, case: $.data.id, actions: {to: ledger}}]\n").await;
    desk.send("evt_1", "x.y", json!({"id": "C1"})).await;
    let url = format!("http://{}", desk.app.admin);
    for user in ["", "  "] {
        let variables = [("FANFARE_ADMIN_URL", url.as_str()), ("USER", user), ("LOGNAME", "")];
        let told = run(&variables, &["cases", "ack", "C1"]).await.good();
        assert!(told.contains(" acknowledges case `C1`") && !told.starts_with(' '), "{told}");
    }
    // Not even the commands that name the user are there.
    let variables = [
        ("FANFARE_ADMIN_URL", url.as_str()),
        ("USER", ""),
        ("LOGNAME", ""),
        ("PATH", "/nowhere"),
        ("HOSTNAME", "desk-7"),
    ];
    let told = run(&variables, &["cases", "ack", "C1"]).await.good();
    assert!(told.starts_with("somebody on desk-7 acknowledges case `C1`"), "{told}");
    desk.app.end().await;
}

#[tokio::test]
async fn mistakes_are_reported_with_the_way_out() {
    let desk = late_rules().await;
    for (arguments, said) in [
        (&["events", "replay"][..], "error: which? Name ids, or one of --type, --source, --since, --until, --rule\n"),
        (
            &["events", "replay", "evt_1", "--type", "x"],
            "error: ids and --type, --source, --since, --until don't go together\n",
        ),
        (
            &["events", "replay", "--rule", "lvie"],
            "error: there is no rule `lvie`; did you mean `live`? (400 Bad Request)\n",
        ),
        (
            &["events", "replay", "evt_1", "--rule", "lvie"],
            "error: there is no rule `lvie`; did you mean `live`? (400 Bad Request)\n",
        ),
        (&["events", "show", "evt_9"], "error: there is no event `evt_9` (404 Not Found)\n"),
        (
            &["deliveries", "retry"],
            "error: which? Name ids, or one of --state, --destination, --rule, --event, --since\n",
        ),
        (&["deliveries", "retry", "dlv_1"], "error: no delivery `dlv_1` that could be retried (404 Not Found)\n"),
        (
            &["deliveries", "list", "--state", "deda"],
            "error: there is no state `deda`; did you mean `dead`? (400 Bad Request)\n",
        ),
        (&["deliveries", "cancel", "--event", "evt_9"], "error: there is no event `evt_9` (404 Not Found)\n"),
    ] {
        let ran = desk.run(arguments).await;
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (1, "", said), "{arguments:?}");
    }
    let glob = desk.run(&["events", "list", "--type", "{a"]).await;
    assert!(glob.code == 1 && glob.err.starts_with("error: `type`: "), "{glob:?}");
    let time = desk.run(&["events", "list", "--since", "yesterday"]).await;
    assert!(time.code == 2 && time.err.contains("or a span such as `2h`"), "{time:?}");
    desk.app.end().await;
    let nobody = run(&[("FANFARE_ADMIN_URL", "http://127.0.0.1:9")], &["cases", "list"]).await;
    assert_eq!(nobody.code, 1);
    assert!(
        nobody.err.starts_with("error: no server answers at http://127.0.0.1:9; is `fanfare serve` running?"),
        "{nobody:?}"
    );
}

#[tokio::test]
async fn a_wrong_token_is_reported_as_such() {
    let config =
        CONFIG.replace(r#"{listen: "127.0.0.1:0"}"#, r#"{listen: "127.0.0.1:0", token: token-0123456789abcdef}"#);
    let folder = crate::support::folder::Folder::new(&config, "http://127.0.0.1:9/", RULES);
    let app = crate::support::app::App::start(folder).await;
    let url = format!("http://{}", app.admin);
    for (token, code) in [("token-0123456789abcdef", 0), ("another", 1), ("", 1)] {
        let ran = run(&[("FANFARE_ADMIN_URL", &url), ("FANFARE_ADMIN_TOKEN", token)], &["cases", "list"]).await;
        assert_eq!(ran.code, code, "{ran:?}");
        let said = "error: the admin token is missing or wrong (401 Unauthorized)\n";
        assert_eq!(ran.err, if code == 0 { "" } else { said });
    }
    app.end().await;
}

const ONCE: &str = r#"
rules:
  - name: first
    events: opened
    case: $.data.key
    closed_by: closed
    actions: {to: ledger, once: true, text: "{{ event.id }}"}
  - {name: daily, events: opened, actions: {to: heads, text: "{{ events | length }}", digest: {every: 1h}}}
"#;

#[tokio::test]
async fn what_was_left_unsaid_for_a_reason_is_not_said_when_it_is_planned_again() {
    let desk = Desk::start(ONCE).await;
    desk.send("evt_1", "opened", json!({"key": "C1"})).await;
    desk.send("evt_2", "opened", json!({"key": "C1"})).await;
    desk.passes(2);
    eventually("the digest has gone", async || (sent(&desk).await.len() == 2).then_some(())).await;
    desk.send("evt_3", "closed", json!({"key": "C1"})).await;
    desk.send_as(json!({"id": "evt_4", "type": "opened", "created": "2026-01-05T10:30:00Z", "data": {"key": "C1"}}))
        .await;
    desk.passes(2);
    let all = ["daily evt_2", "daily evt_4", "first evt_1"];
    eventually("the second digest has gone", async || (sent(&desk).await == all).then_some(())).await;
    // Neither the second of an open case, nor the one that came late, nor any that a digest told.
    let replayed = desk.run(&["events", "replay", "--type", "opened", "--yes"]).await.good();
    assert!(replayed.contains("3 events, done"), "{replayed}");
    desk.passes(2);
    assert_eq!(sent(&desk).await, all);
    let late = desk.run(&["events", "show", "evt_4"]).await.good();
    assert!(late.contains("late when it came: its case had closed"), "{late}");
    // Anew means anew.
    desk.run(&["events", "replay", "evt_4", "--rule", "first", "--again"]).await.good();
    assert_eq!(sent(&desk).await, ["daily evt_2", "daily evt_4", "first evt_1", "first evt_4"]);
    desk.app.end().await;
}
