//! What an event's whole way costs: received over 64 connections, kept, planned, sent to a destination that answers at once,
//! and recorded. Beside it, in the same run and to the same sink: a receiver in Express that forwards by undici and keeps
//! nothing, and a loop that only posts with reqwest. Then what rules cost that listen to an event and don't match, and how
//! long a message takes from the answer to the sender until it arrives, when nothing else is to be done.
//!
//! Senders and sink share the cores with what is measured, so the processor's time of the measured process counts, for each
//! delivery or event, and the rates mean something only beside each other.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::figures;
use crate::load::Load;
use crate::server::Server;
use crate::sink::Sink;
use crate::usage::{rss, seconds};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// How many messages are timed, one after the other.
const TIMED: u64 = 200;

/// One measurement: how many of what, in which time, with how much of the processor's.
#[derive(Clone, Copy)]
struct Measured {
    done: f64,
    seconds: f64,
    cpu: f64,
    bytes: f64,
    rss: f64,
}

/// A way to measure.
type Way = (&'static str, fn(u64) -> (String, String, u64));

/// Each makes settings and rules for a sink at a port; the number is how many deliveries an event makes.
const WAYS: &[Way] = &[
    ("one destination", |port| (destinations(port, 1), sending(1), 1)),
    ("ten destinations", |port| (destinations(port, 10), sending(10), 10)),
    ("no rules", |_| (String::new(), String::new(), 0)),
    ("1 rule that misses", |port| (destinations(port, 1), missing(1), 0)),
    ("100 rules that miss", |port| (destinations(port, 1), missing(100), 0)),
];

fn destinations(port: u64, count: u64) -> String {
    let each = (0..count)
        .map(|nth| format!("  d{nth}: {{type: http, url: \"http://127.0.0.1:{port}/{nth}\", concurrency: 64}}\n"));
    "destinations:\n".to_owned() + &each.collect::<String>()
}

fn sending(count: u64) -> String {
    let to: Vec<String> = (0..count).map(|nth| format!("d{nth}")).collect();
    format!(
        "rules:\n  - {{name: all, events: '*', actions: [{{to: [{}], text: '{{{{ event.id }}}}'}}]}}\n",
        to.join(", ")
    )
}

/// Rules that listen to the event and don't match it.
pub fn missing(count: u64) -> String {
    let each = (0..count).map(|nth| {
        format!(
            "  - {{name: m{nth}, events: release.live, when: {{$.data.title: \"No {nth}\", $.data.label: Warp}}, \
             actions: [{{to: d0, text: never}}]}}\n"
        )
    });
    "rules:\n".to_owned() + &each.collect::<String>()
}

/// Measures and reports.
pub fn run(connections: usize, events: u64, rounds: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut measured: Vec<(String, Vec<Measured>)> = Vec::new();
    let mut times = Vec::new();
    for round in 0..rounds {
        let mut note = |name: &str, one: Measured| {
            eprintln!("round {}/{rounds}  {name:<24} {:>7.1} us of CPU each", round + 1, 1e6 * one.cpu / one.done);
            match measured.iter_mut().find(|(known, _)| known == name) {
                Some((_, all)) => all.push(one),
                None => measured.push((name.to_owned(), vec![one])),
            }
        };
        for (name, files) in WAYS {
            let one = runtime.block_on(LocalSet::new().run_until(fanfare(*files, connections, events, round)));
            note(name, one);
        }
        let peer = runtime.block_on(LocalSet::new().run_until(express(connections, events, round)));
        match peer {
            Ok(one) => note("Express and undici", one),
            Err(reason) => eprintln!("Express is left out: {reason}"),
        }
        note("only reqwest", runtime.block_on(LocalSet::new().run_until(posting(events))));
        times.extend(runtime.block_on(LocalSet::new().run_until(arriving(round))));
    }
    println!("\n{connections} connections, {events} events, medians of {rounds} rounds\n");
    println!("{:<24} {:>9} {:>10} {:>11} {:>9}", "way", "CPU us", "each/s", "bytes kept", "RSS MiB");
    for (name, all) in &mut measured {
        all.sort_by(|a, b| (a.cpu / a.done).total_cmp(&(b.cpu / b.done)));
        let Some(one) = all.get(all.len() / 2) else { continue };
        let (cpu, rate) = (1e6 * one.cpu / one.done, one.done / one.seconds);
        let bytes = one.bytes / one.done;
        println!("{name:<24} {cpu:>9.1} {rate:>10.0} {bytes:>11.0} {:>9.1}", one.rss);
        let row = [("cpu_us", cpu), ("per_second", rate), ("bytes", bytes), ("rss_mib", one.rss)];
        figures::record("way", name, &row);
    }
    times.sort_unstable();
    let part = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!("\nfrom the answer to its arrival, idle: p50 {:?}, p99 {:?}", part(0.5), part(0.99));
    let ms = |share| part(share).as_secs_f64() * 1000.0;
    figures::record("arrival", "idle", &[("p50_ms", ms(0.5)), ("p99_ms", ms(0.99))]);
}

/// What is sent to a server, as fast as it answers.
fn load(server: &Server, connections: usize) -> Load {
    Load {
        kind: "release.live",
        address: server.address,
        path: server.path,
        connections,
        seconds: PATIENCE,
        away: Duration::ZERO,
    }
}

/// Fanfare on SQLite.
async fn fanfare(files: fn(u64) -> (String, String, u64), connections: usize, events: u64, round: u64) -> Measured {
    let sink = Sink::start(Duration::ZERO).await;
    let (settings, rules, fan_out) = files(sink.address.port().into());
    let server = Server::replica(0, "sqlite:data/bench.db", &settings, &rules).unwrap();
    let load = load(&server, connections);
    let signed = load.sign(round, events);
    let (before, began) = (seconds(server.pid(), false), Instant::now());
    let sent = load.send(signed).await;
    assert_eq!(sent.accepted, events, "all are accepted");
    if fan_out > 0 {
        sink.reaches(events * fan_out, PATIENCE).await;
    } else {
        planned(&server, events, PATIENCE).await;
    }
    let took = sink.last().map_or(began.elapsed(), |last| last - began);
    // What was answered is still to be recorded.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cpu = seconds(server.pid(), false) - before;
    let bytes = ["data/bench.db", "data/bench.db-wal"].map(|file| std::fs::metadata(server.folder().join(file)));
    let bytes = bytes.into_iter().flatten().map(|file| file.len()).sum::<u64>();
    let (done, rss) = ((events * fan_out.max(1)) as f64, rss(server.pid()));
    Measured { done, seconds: took.as_secs_f64(), cpu, bytes: bytes as f64, rss }
}

/// Waits until nothing is left to plan.
pub async fn planned(server: &Server, events: u64, patience: Duration) {
    let database = server.folder().join("data/bench.db");
    let began = Instant::now();
    while began.elapsed() < patience {
        let conn = rusqlite::Connection::open(&database).unwrap();
        let at = conn.query_row("SELECT value FROM meta WHERE name = 'planned'", [], |row| row.get::<_, i64>(0));
        if at.is_ok_and(|at| at.unsigned_abs() >= events) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn express(connections: usize, events: u64, round: u64) -> Result<Measured, String> {
    let sink = Sink::start(Duration::ZERO).await;
    let server = Server::forwarder(sink.address)?;
    let load = load(&server, connections);
    let signed = load.sign(round, events);
    let (before, began) = (seconds(server.pid(), false), Instant::now());
    load.send(signed).await;
    let done = sink.reaches(events, PATIENCE).await;
    let took = sink.last().map_or(began.elapsed(), |last| last - began);
    let cpu = seconds(server.pid(), false) - before;
    Ok(Measured { done: done as f64, seconds: took.as_secs_f64(), cpu, bytes: 0.0, rss: rss(server.pid()) })
}

/// This program once more, as a loop that only posts.
async fn posting(events: u64) -> Measured {
    let sink = Sink::start(Duration::ZERO).await;
    let began = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env("POST_TO", sink.address.to_string())
        .env("POSTS", events.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let done = sink.reaches(events, PATIENCE).await;
    let took = began.elapsed();
    let cpu = seconds(child.id(), false);
    let rss = rss(child.id());
    let _ = child.kill();
    let _ = child.wait();
    Measured { done: done as f64, seconds: took.as_secs_f64(), cpu, bytes: 0.0, rss }
}

/// Where this program is to post to, if it is the loop.
pub fn bare_loop() -> Option<SocketAddr> {
    std::env::var("POST_TO").ok()?.parse().ok()
}

/// Posts as many as are asked for, from so many tasks, and waits to be ended.
pub fn post_all(to: SocketAddr, tasks: usize) {
    let posts = std::env::var("POSTS").ok().and_then(|posts| posts.parse::<usize>().ok()).unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let client = reqwest::Client::builder().build().unwrap();
        let all = (0..tasks).map(|nth| {
            let (client, url) = (client.clone(), format!("http://{to}/"));
            tokio::spawn(async move {
                for _ in (nth..posts).step_by(tasks) {
                    let body = r#"{"text":"evt_0123456789abcdef0123456789abcdef"}"#;
                    let request = client.post(&url).header("content-type", "application/json").body(body);
                    if let Ok(answer) = request.send().await {
                        let _ = answer.bytes().await;
                    }
                }
            })
        });
        for task in all.collect::<Vec<_>>() {
            let _ = task.await;
        }
        tokio::time::sleep(PATIENCE).await;
    });
}

/// How long messages take to arrive once their senders are answered, one at a time.
async fn arriving(round: u64) -> Vec<Duration> {
    let sink = Sink::start(Duration::ZERO).await;
    let (settings, rules) = (destinations(sink.address.port().into(), 1), sending(1));
    let server = Server::replica(0, "sqlite:data/bench.db", &settings, &rules).unwrap();
    let load = load(&server, 1);
    let mut times = Vec::new();
    for (nth, signed) in load.sign(1_000 + round, TIMED).into_iter().enumerate() {
        load.send(vec![signed]).await;
        let answered = Instant::now();
        sink.reaches(nth as u64 + 1, PATIENCE).await;
        times.extend(sink.last().map(|last| last.saturating_duration_since(answered)));
    }
    times
}
