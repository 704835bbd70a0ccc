//! Destinations that hang, drip, flood, or ask for a year's patience: each costs only itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fanfare::clock::{Clock, RealClock, VirtualClock, plus};
use fanfare::delivery::NewDelivery;
use fanfare::planner::Plan;
use fanfare::secret::Secret;
use fanfare::steps::{Bounds, dispatch, plan};
use fanfare::store;
use fanfare::store::Claim;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::store::bench::{due, received};
use crate::support::app::{App, event, eventually, json, live, soon, while_it_moves};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::{Answer, HttpPeer};
use crate::support::load::{send, until_done};
use crate::support::process::{Process, command};

/// So much of an answer is read, with what the reading goes by: 64 KiB of its body, and a buffer.
const BODY_READ: usize = (64 << 10) + (512 << 10);

/// The most that a connection's two sockets hold between them, in bytes: anyone who sends forever gets rid of that though
/// nobody reads it.
fn in_buffers() -> usize {
    let most = |name: &str| {
        let limits = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        limits.split_whitespace().last().unwrap().parse::<usize>().unwrap()
    };
    most("tcp_wmem") + most("tcp_rmem")
}

/// Which of these destinations a rule reports every event, one action each.
fn telling(destinations: &[String]) -> String {
    let actions: Vec<String> =
        destinations.iter().map(|to| format!("{{to: {to}, text: '{{{{ event.id }}}}'}}")).collect();
    format!("rules:\n  - name: all\n    events: '*'\n    actions: [{}]\n", actions.join(", "))
}

/// How many requests came for this path.
fn count(peer: &HttpPeer, path: &str) -> usize {
    peer.requests().iter().filter(|request| request.target.starts_with(path)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_number_that_never_answer_delay_nobody_else() {
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
    let most = endless.connections() * (BODY_READ + in_buffers());
    assert!(endless.written() <= most, "{} bytes were taken of {most}", endless.written());
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

/// The attempts of a delivery.
async fn attempts(app: &App, delivery: &Value) -> Vec<Value> {
    let path = format!("/api/v1/deliveries/{}", delivery["id"].as_str().unwrap());
    app.json(&path).await["attempts_made"].as_array().unwrap().clone()
}

#[tokio::test]
async fn one_that_drips_a_byte_a_second_is_left_at_the_deadline() {
    for (answer, state, outcome) in [
        // Nobody knows whether it was heard.
        (Answer::status(200).body("x".repeat(500)).drip(), "retrying", "ambiguous"),
        // It said that it was, and what it says of that forever is not waited for.
        (Answer::status(200).hang_in_body("o"), "delivered", "delivered"),
    ] {
        let peer = HttpPeer::start().await;
        peer.always(answer);
        let config = CONFIG
            .replace("concurrency: 4", "concurrency: 4, timeout: 1s")
            .replace("{first: 1s, max: 1s}", "{first: 1h, max: 1h}");
        let app = App::start(Folder::new(&config, &peer.url("/ledger"), EVERYTHING)).await;
        app.send(&event("evt_1", "release.live")).await;
        let delivery = attempted(&app).await;
        assert_eq!(delivery["state"], state, "{delivery}");
        let attempts = attempts(&app, &delivery).await;
        assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &Value::from(outcome)), "{attempts:?}");
        // One deadline for all of it: some nine minutes of bytes were still to come.
        assert!(attempts[0]["took_ms"].as_u64().unwrap() >= 900, "{attempts:?}");
        app.end().await;
    }
}

#[tokio::test]
async fn one_that_answers_ten_gigabytes_is_read_for_a_moment() {
    let peer = HttpPeer::start().await;
    peer.always(Answer::status(200).endless());
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)).await;
    for number in 1..=3 {
        app.send(&event(&format!("evt_{number}"), "release.live")).await;
        eventually("it is delivered: a 2xx is what counts", async || {
            let all = app.json("/api/v1/deliveries?state=delivered").await;
            (all.as_array().unwrap().len() == number).then_some(())
        })
        .await;
        // The connection was dropped: the next goes by another.
        assert_eq!(peer.connections(), number);
        let most = number * (BODY_READ + in_buffers());
        assert!(peer.written() <= most, "{} bytes were taken of {most}", peer.written());
    }
    app.end().await;
}

/// What becomes of a delivery whose every attempt is answered so, each attempt made just when it is due: after how many
/// seconds each came, and its state after `give_up`, which is three hours, or after four attempts.
async fn asked_to_wait(answer: &Answer) -> (Vec<i64>, String) {
    let peer = HttpPeer::start().await;
    peer.always(answer.clone());
    let start: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
    let clock = VirtualClock::new(start);
    let config = CONFIG.replace("{first: 1s, max: 1s}", "{first: 1s, max: 1s, give_up: 3h}");
    let folder = Folder::new(&config, &peer.url("/ledger"), EVERYTHING);
    let app = App::start_with(folder, Bounds::default(), Arc::new(clock.clone())).await;
    app.send(&event("evt_1", "release.live")).await;
    let mut came = Vec::new();
    let state = loop {
        let delivery = eventually("one attempt more", async || {
            let one = app.json("/api/v1/deliveries").await[0].clone();
            (one["attempts"] == came.len() + 1 && one["state"] != "sending").then_some(one)
        })
        .await;
        came.push(clock.now().duration_since(start).as_secs());
        if delivery["state"] != "retrying" || came.len() == 4 {
            break delivery["state"].as_str().unwrap().to_owned();
        }
        clock.set(delivery["next"].as_str().unwrap().parse().unwrap());
    };
    app.end().await;
    (came, state)
}

#[tokio::test]
async fn one_that_asks_for_three_years_is_asked_again_within_the_hour_and_given_up_in_time() {
    let told = |status: u16, wait: &str| Answer::status(status).header("Retry-After", wait);
    let date = "Tue, 19 Jan 2038 03:14:07 GMT";
    for answer in [
        told(429, "99999999"),
        told(503, "99999999"),
        told(429, "18446744073709551616"),
        told(429, date).header("Date", "Mon, 05 Jan 2026 10:00:00 GMT"),
    ] {
        let (came, state) = asked_to_wait(&answer).await;
        assert_eq!((came.as_slice(), state.as_str()), (&[0, 3600, 7200, 10_800][..], "dead"), "{answer:?}");
    }
    // What asks for nothing that could be granted is passed over, and the schedule stands.
    for wait in ["-1", "soon", "1e9", ""] {
        let (came, state) = asked_to_wait(&told(503, wait)).await;
        assert!(came.iter().all(|second| *second <= 5) && state == "retrying", "{wait}: {came:?} {state}");
    }
}

/// The memory that a process ever had, in KiB.
fn most_memory_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

const DEAD: usize = 10_000;
const RATE: usize = 100;

/// A store in which ten thousand deliveries to `flood` died an hour ago, as a long outage leaves them.
async fn long_outage(folder: &Folder) {
    let ago = plus(RealClock.now(), SignedDuration::from_hours(-1));
    let store = store::open(&Secret::new("sqlite:data/fanfare.db"), folder.path()).await.unwrap();
    store.append(received("evt_old", ago)).await.unwrap();
    let of = |number| NewDelivery { destination: "flood".into(), ..due(&format!("dlv_{number:05}"), ago) };
    let lease = store.lease("somebody", ago, plus(ago, SignedDuration::from_mins(1))).await.unwrap().unwrap();
    let plan = Plan { upto: Some(1), deliveries: (0..DEAD).map(of).collect(), ..Plan::default() };
    store.commit(&lease, plan, ago).await.unwrap();
    store.close().await.unwrap();
    let conn = Connection::open(folder.file("data/fanfare.db")).unwrap();
    let sql = "UPDATE deliveries SET state = 'dead', finished = next, attempts = 40, first_attempt = next";
    assert_eq!(conn.execute(sql, []).unwrap(), DEAD);
}

/// Sends twenty events, each of which `ledger` is notified of before the next is sent.
async fn others_are_reported(process: &Process, well: &HttpPeer, from: usize) {
    for number in from..from + 20 {
        assert_eq!(send(process.webhooks, &format!("evt_{number}")).await.status, 200);
        soon("another is reported, long before the flood is through", well.received(number + 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_dead_deliveries_that_wake_at_once_keep_to_their_pace_and_hold_up_nobody() {
    let (flood, well) = (HttpPeer::start().await, HttpPeer::start().await);
    flood.always(Answer::hang());
    let keys = format!("rate: {RATE}/s, burst: 5, concurrency: 3, timeout: 100s");
    let config = format!("{CONFIG}  flood: {{type: http, url: \"{}\", {keys}}}\n", flood.url("/flood"));
    let folder = Folder::new(&config, &well.url("/ledger"), EVERYTHING);
    long_outage(&folder).await;
    let process = Process::start(folder.path()).await;
    let idle_kib = most_memory_kib(&process);

    // A person wants them all, now.
    let admin = format!("http://{}", process.admin);
    let (path, filter) = (folder.path().to_owned(), ["--state", "dead", "--destination", "flood", "--admin"]);
    let wants = move |yes: &[&str]| command(&path, &[&["deliveries", "retry"], &filter[..], &[&*admin], yes].concat());
    let (counted, done) = tokio::task::spawn_blocking(move || (wants(&[]), wants(&["--yes"]))).await.unwrap();
    assert!(counted.1.contains("10000 deliveries"), "first it says how many: {counted:?}");
    assert_eq!(done.0, 0, "{done:?}");
    soon("what may be under way at a time", flood.received(3)).await;
    others_are_reported(&process, &well, 0).await;
    let under_way = json(process.admin, "/api/v1/deliveries?destination=flood&state=sending,dead").await;
    assert_eq!(under_way.as_array().unwrap().len(), 3, "{under_way}");
    assert_eq!(flood.requests().len(), 3, "as many as may be under way, and no more");
    let more_kib = most_memory_kib(&process).saturating_sub(idle_kib);
    assert!(more_kib < 32 << 10, "{more_kib} KiB more than at rest");
    process.kill().await;

    // And when it answers again, no faster than it may be asked.
    flood.always(Answer::status(200));
    let began = tokio::time::Instant::now();
    let process = Process::start(folder.path()).await;
    soon("some of the flood", flood.received(3 + 4 * RATE)).await;
    others_are_reported(&process, &well, 20).await;
    let came = flood.requests().len() - 3;
    let most = RATE as f64 * began.elapsed().as_secs_f64() + 5.0;
    assert!(came as f64 <= most, "{came} came, and {most} might");
    assert!(flood.connections() <= 3 + 3 + 1, "{} connections", flood.connections());
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
    let (status, log) = process.terminate().await;
    assert!(status.success() && !log.contains("panicked"), "{log}");
    peer.always(Answer::status(200));
    let process = Process::start(folder.path()).await;
    until_done(process.admin).await;
    let status = json(process.admin, "/api/v1/status").await;
    assert_eq!(status["deliveries"]["delivered"], 8, "{status}");
    process.terminate().await;
}

#[tokio::test]
async fn an_opening_that_died_is_not_sent_by_hand_once_its_case_has_closed() {
    let peer = HttpPeer::start().await;
    let rules = "rules:
  - name: fraud
    events: fraud.action_required
    case: $.data.release_id
    closed_by: fraud.resolved
    actions: [{to: ledger, text: opened}]
    on_close: [{to: ledger, text: over}]
";
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), rules)).await;
    peer.answer(Answer::status(410)).answer(Answer::status(410));
    let mut ids = Vec::new();
    for (id, kind) in [("evt_1", "fraud.action_required"), ("evt_2", "fraud.resolved")] {
        app.send(&event(id, kind)).await;
        let dead = eventually("one more is dead", async || {
            let dead = app.json("/api/v1/deliveries?state=dead").await;
            (dead.as_array().unwrap().len() == ids.len() + 1).then_some(dead)
        })
        .await;
        ids.push(dead[0]["id"].as_str().unwrap().to_owned());
    }
    // What opened it would say that it is open; a person is notified, and nobody is paged.
    let answer = app.ask("POST", &format!("/api/v1/deliveries/{}/retry", ids[0])).await;
    assert!(
        answer.status == 404 && answer.text().contains("speaks of a case that has closed since"),
        "{}",
        answer.text()
    );
    let answer = app.ask("POST", "/api/v1/deliveries/retry?state=dead").await.json();
    assert_eq!((&answer["found"], &answer["retried"]), (&2.into(), &1.into()), "{answer}");
    soon("what was said of its close", peer.received(3)).await;
    assert_eq!(app.ask("POST", "/api/v1/events/evt_1/replay?again=true").await.status, 200);
    soon("its event all the same, where that is wanted", peer.received(4)).await;
    let said: Vec<_> = peer.requests().iter().map(|request| request.json()["message"]["title"].clone()).collect();
    assert_eq!(said, ["opened", "over", "over", "opened"]);
    app.end().await;
}

#[tokio::test]
async fn a_pager_is_tried_again_when_its_own_time_is_over_however_long_others_may_take() {
    let config =
        CONFIG.replace("concurrency: 4}", "timeout: 5s}") + "  slow: {type: http, url: \"PEER\", timeout: 5m}\n";
    let folder = Folder::new(&config, "http://127.0.0.1:9/", &EVERYTHING.replace("to: ledger", "to: [ledger, slow]"));
    let clock = VirtualClock::new("2026-01-05T10:00:00Z".parse().unwrap());
    let live = live(&folder, Bounds::default(), Arc::new(clock.clone())).await;
    live.store.append(received("evt_1", clock.now())).await.unwrap();
    while plan::step(&live, clock.now()).await.unwrap().has_worked() {}
    let lasts = async || {
        let claimed = dispatch::claim(&live, &HashMap::new(), clock.now()).await.unwrap();
        let last = |claim: &Claim| {
            (claim.delivery.planned.destination.clone(), claim.until.duration_since(clock.now()).as_secs())
        };
        claimed.claims.iter().map(last).collect::<BTreeMap<_, _>>()
    };
    // Half a minute is for noting how an attempt ended.
    assert_eq!(lasts().await, [("ledger".to_owned(), 35), ("slow".to_owned(), 330)].into());
    // The process dies in the midst of both.
    clock.advance(SignedDuration::from_secs(36));
    assert_eq!(lasts().await, [("ledger".to_owned(), 35)].into());
}
