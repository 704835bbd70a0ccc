//! Destinations that hang, drip, flood, or ask for a year's patience: each costs only itself.

use std::time::Duration;

use fanfare::clock::{Clock, RealClock};
use fanfare::delivery::NewDelivery;
use fanfare::planner::Plan;
use fanfare::secret::Secret;
use fanfare::store;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::store::bench::{at, delivery, event as stored_event, start};
use crate::support::app::{App, event, eventually, json, soon, while_it_moves};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::load::{send, until_done};
use crate::support::process::Process;

/// Which of these destinations a rule tells of every event, one action each.
fn telling(destinations: &[String]) -> String {
    let actions: Vec<String> = destinations.iter().map(|to| format!("{{to: {to}, text: '{{{{ event.id }}}}'}}")).collect();
    format!("rules:\n  - name: all\n    events: '*'\n    actions: [{}]\n", actions.join(", "))
}

/// How many requests came for this path.
fn count(peer: &HttpPeer, path: &str) -> usize {
    peer.requests().iter().filter(|request| request.target.starts_with(path)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_never_answer_be_they_ever_so_many_delay_nobody_else() {
    let (hung, well) = (HttpPeer::start().await, HttpPeer::start().await);
    hung.always(Answer::hang());
    let (dripping, endless) = (HttpPeer::start().await, HttpPeer::start().await);
    dripping.always(Answer::status(200).body("x".repeat(500)).drip());
    endless.always(Answer::status(200).endless());
    // A mail server that never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = CONFIG.to_owned();
    let mut names = Vec::new();
    let mut add = |name: &str, keys: String| {
        config.push_str(&format!("  {name}: {{{keys}, timeout: 100s}}\n"));
        names.push(name.to_owned());
    };
    // More of them than there are places, and one that would take all places alone.
    for number in 0..20 {
        add(&format!("hung-{number}"), format!("type: http, url: \"{}\"", hung.url("/http")));
    }
    add("greedy", format!("type: http, url: \"{}\", concurrency: 64", hung.url("/greedy")));
    add("chat", format!("type: slack, webhook_url: \"{}\"", hung.url("/services/T0/B0/aaaaaaaaaaaaaaaaaaaaaaaa")));
    add("talk", format!("type: discord, webhook_url: \"{}\"", hung.url("/api/webhooks/1234567890123456789/aaaaaaaa")));
    add("oncall", format!("type: pagerduty, routing_key: {}, url: \"{}\"", "a".repeat(32), hung.url("/v2/enqueue")));
    add("drip", format!("type: http, url: \"{}\"", dripping.url("/drip")));
    add("flood", format!("type: http, url: \"{}\"", endless.url("/flood")));
    let server = format!("smtp://127.0.0.1:{}?tls=none", mute.local_addr().unwrap().port());
    add("letters", format!("type: email, smtp: \"{server}\", from: a@label.example, to: b@label.example"));
    // The last by name, of whatever order they are taken in.
    add("zz-well", format!("type: http, url: \"{}\"", well.url("/well")));
    let folder = Folder::new(&config, &well.url("/ledger"), &telling(&names));
    let process = Process::start(folder.path()).await;
    for number in 0..30 {
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
    }
    while_it_moves("the one that is well has all", async || {
        let now = count(&well, "/well");
        if now >= 30 { Ok(()) } else { Err(now) }
    })
    .await;
    // All that while the others were under way, and still are.
    let status = json(process.admin, "/api/v1/status").await;
    assert!(status["deliveries"]["sending"].as_u64().unwrap() >= 40, "{status}");
    assert!(hung.requests().len() >= 40, "{}", hung.requests().len());
    assert!(endless.written() < 64 << 20, "{} bytes were taken", endless.written());
    process.kill().await;
}

/// The delivery to `ledger`, once it has had an attempt.
async fn attempted(app: &App) -> Value {
    eventually("an attempt", async || {
        let all = app.json("/api/v1/deliveries").await;
        let one = all[0].clone();
        (one["attempts"].as_u64() >= Some(1) && one["state"] != "sending").then_some(one)
    })
    .await
}

#[tokio::test]
async fn one_that_drips_a_byte_a_second_is_left_at_the_deadline() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(200).body("x".repeat(500)).drip());
    let config = CONFIG.replace("concurrency: 4", "concurrency: 4, timeout: 1s").replace("{first: 1s, max: 1s}", "{first: 1h, max: 1h}");
    let app = App::start(Folder::new(&config, &peer.url("/ledger"), EVERYTHING)).await;
    app.send(&event("evt_1", "release.live")).await;
    let delivery = attempted(&app).await;
    assert_eq!(delivery["state"], "retrying", "nobody knows whether it was heard: {delivery}");
    let id = delivery["id"].as_str().unwrap();
    let whole = app.json(&format!("/api/v1/deliveries/{id}")).await;
    let attempt = &whole["attempts_made"][0];
    assert_eq!(attempt["outcome"], "ambiguous", "{attempt}");
    assert!((900..20_000).contains(&attempt["took_ms"].as_u64().unwrap()), "{attempt}");
    app.end().await;
}

#[tokio::test]
async fn one_that_answers_ten_gigabytes_is_read_for_a_moment() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(200).endless());
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)).await;
    app.send(&event("evt_1", "release.live")).await;
    let delivery = attempted(&app).await;
    assert_eq!(delivery["state"], "delivered", "a 2xx is what counts: {delivery}");
    assert!(peer.written() < 32 << 20, "what stood in buffers, and no more: {}", peer.written());
    app.end().await;
}

#[tokio::test]
async fn one_that_asks_for_three_years_is_asked_again_within_the_hour() {
    for wait in ["99999999", "Tue, 19 Jan 2038 03:14:07 GMT", "18446744073709551616"] {
        let peer = HttpPeer::start().await;
        peer.always(Answer::status(429).header("Retry-After", wait));
        let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)).await;
        app.send(&event("evt_1", "release.live")).await;
        let delivery = attempted(&app).await;
        assert_eq!(delivery["state"], "retrying", "{wait}: {delivery}");
        let next: Timestamp = delivery["next"].as_str().unwrap().parse().unwrap();
        let ahead = next.duration_since(RealClock.now());
        assert!(ahead <= SignedDuration::from_secs(3601), "{wait}: {ahead:#}");
        app.end().await;
    }
}

/// The memory that a process ever had, in KiB.
fn most_memory_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_dead_deliveries_that_wake_at_once_keep_to_their_pace_and_hold_up_nobody() {
    const DEAD: usize = 10_000;
    const RATE: usize = 40;
    let peer = HttpPeer::start().await;
    let flood = format!("  flood: {{type: http, url: \"{}\", rate: {RATE}/s, burst: 5}}\n", peer.url("/flood"));
    let folder = Folder::new(&format!("{CONFIG}{flood}"), &peer.url("/ledger"), EVERYTHING);
    // As a long outage leaves them.
    let address = Secret::new("sqlite:data/fanfare.db");
    let store = store::open(&address, folder.path()).await.unwrap();
    store.append(stored_event("evt_old")).await.unwrap();
    let ids: Vec<String> = (0..DEAD).map(|number| format!("dlv_{number:05}")).collect();
    let deliveries = ids.iter().map(|id| NewDelivery { destination: "flood".into(), ..delivery(id) }).collect();
    let lease = store.lease("somebody", start(), at(60)).await.unwrap().unwrap();
    store.commit(&lease, Plan { upto: Some(1), deliveries, ..Plan::default() }, start()).await.unwrap();
    store.close().await.unwrap();
    let conn = Connection::open(folder.file("data/fanfare.db")).unwrap();
    let sql = "UPDATE deliveries SET state = 'dead', finished = next, attempts = 40";
    assert_eq!(conn.execute(sql, []).unwrap(), DEAD);
    drop(conn);
    let process = Process::start(folder.path()).await;
    let idle_kib = most_memory_kib(&process);
    process.terminate().await;

    // A person wants them all, now.
    let store = store::open(&address, folder.path()).await.unwrap();
    let ids: Vec<_> = ids.into_iter().map(fanfare::delivery::DeliveryId).collect();
    assert_eq!(store.revive(&ids, RealClock.now()).await.unwrap(), DEAD as u64);
    store.close().await.unwrap();
    let process = Process::start(folder.path()).await;
    let began = tokio::time::Instant::now();
    for number in 0..20 {
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
        // Each is told at once, long before the flood is through.
        while_it_moves("others are told", async || {
            let now = count(&peer, "/ledger");
            if now > number { Ok(()) } else { Err(count(&peer, "/flood")) }
        })
        .await;
    }
    soon("some of the flood", async {
        while count(&peer, "/flood") < 100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let (came, elapsed) = (count(&peer, "/flood"), began.elapsed().as_secs_f64() + 1.0);
    assert!(came as f64 <= RATE as f64 * elapsed + 5.0, "{came} in {elapsed} s");
    let more_kib = most_memory_kib(&process).saturating_sub(idle_kib);
    assert!(more_kib < 32 << 10, "{more_kib} KiB more than at rest");
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_end_while_one_hangs_it_ends_in_time_and_sends_again_later() {
    let peer = HttpPeer::start().await;
    let config = CONFIG.replace("concurrency: 4", "concurrency: 4, timeout: 2s");
    let folder = Folder::new(&config, &peer.url("/ledger"), EVERYTHING);
    peer.always(Answer::hang());
    let process = Process::start(folder.path()).await;
    for number in 0..8 {
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
    }
    soon("some under way", peer.received(1)).await;
    let began = tokio::time::Instant::now();
    let (status, log) = process.terminate().await;
    assert!(status.success() && !log.contains("panicked"), "{log}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    peer.always(Answer::status(200));
    let process = Process::start(folder.path()).await;
    until_done(process.admin).await;
    let status = json(process.admin, "/api/v1/status").await;
    assert_eq!(status["deliveries"]["delivered"], 8, "{status}");
    process.terminate().await;
}
