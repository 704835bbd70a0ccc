//! What a server costs that has grown: 100,000 deliveries that wait, a million stored events, 10,000 rules; beside one that
//! hasn't, in turns, in one run. Then what each needs when nothing happens, and how soon it is ready once it starts again.
//!
//! The figures are those of the whole way of an event to one destination (`way.rs`).

use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::figures;
use crate::load::Load;
use crate::server::Server;
use crate::sink::Sink;
use crate::usage::{rss, seconds};
use crate::way::planned;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many events are sent at a time to fill a store.
const AT_A_TIME: u64 = 50_000;

/// How a server has grown: its further rules, and how many events it gets beforehand.
struct Growth {
    name: &'static str,
    rules: u64,
    waiting: u64,
    stored: u64,
}

const GROWTHS: &[Growth] = &[
    Growth { name: "10 rules, nothing stored", rules: 9, waiting: 0, stored: 0 },
    Growth { name: "100 rules", rules: 99, waiting: 0, stored: 0 },
    Growth { name: "10,000 rules", rules: 9_999, waiting: 0, stored: 0 },
    Growth { name: "100,000 deliveries wait", rules: 9, waiting: 100_000, stored: 0 },
    Growth { name: "1,000,000 events stored", rules: 9, waiting: 0, stored: 1_000_000 },
];

struct Grown {
    growth: &'static Growth,
    server: Server,
    sink: Sink,
    /// Events sent so far.
    events: u64,
    cpu: Vec<f64>,
    rate: Vec<f64>,
}

/// Measures and reports.
pub fn run(connections: usize, events: u64, rounds: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(async {
        let mut all = Vec::new();
        for (nth, growth) in GROWTHS.iter().enumerate() {
            all.push(Grown::start(nth, growth, connections).await);
        }
        for round in 0..rounds {
            for grown in &mut all {
                grown.measure(connections, events, round).await;
                eprintln!(
                    "round {}/{rounds}  {:<26} {:>7.1} us",
                    round + 1,
                    grown.growth.name,
                    grown.cpu.last().unwrap()
                );
            }
        }
        println!(
            "\n{:<26} {:>8} {:>7} {:>10} {:>12} {:>9}",
            "grown by", "CPU us", "", "each/s", "idle MiB", "ready ms"
        );
        let mut first = None;
        for grown in &mut all {
            let (cpu, rate) = (median(&mut grown.cpu), median(&mut grown.rate));
            let first = *first.get_or_insert(cpu);
            let (ready, idle) = grown.restart().await;
            let name = grown.growth.name;
            println!("{name:<26} {cpu:>8.1} {:>6.2}x {rate:>10.0} {idle:>12.1} {ready:>9.1}", cpu / first);
            let row = [
                ("cpu_us", cpu),
                ("ratio", cpu / first),
                ("per_second", rate),
                ("idle_mib", idle),
                ("ready_ms", ready),
            ];
            figures::record("grown", name, &row);
        }
    }));
}

impl Grown {
    async fn start(nth: usize, growth: &'static Growth, connections: usize) -> Self {
        let sink = Sink::start(Duration::ZERO).await;
        let settings = format!(
            "retention: 3650d\ndestinations:\n  d0: {{type: http, url: \"http://{}/\", concurrency: 64}}\n  \
             down: {{type: http, url: \"http://127.0.0.1:9/\"}}\n",
            sink.address
        );
        let mut rules =
            "rules:\n  - {name: all, events: release.live, actions: [{to: d0, text: '{{ event.id }}'}]}\n  \
                         - {name: waits, events: release.waiting, actions: [{to: down, text: '{{ event.id }}'}]}\n"
                .to_owned();
        for other in 1..growth.rules {
            // Short: a file of rules has at most a MiB.
            rules += &format!("  - {{name: r{other}, events: track.t{other}, actions: [{{to: d0, text: never}}]}}\n");
        }
        let server = Server::replica(nth, "sqlite:data/bench.db", &settings, &rules).unwrap();
        let mut grown = Self { growth, server, sink, events: 0, cpu: Vec::new(), rate: Vec::new() };
        for (kind, count) in [("release.waiting", growth.waiting), ("release.stored", growth.stored)] {
            for batch in 0..count.div_ceil(AT_A_TIME) {
                grown.send(kind, connections, AT_A_TIME, 1_000 + batch).await;
            }
        }
        planned(&grown.server, grown.events, PATIENCE).await;
        grown
    }

    async fn send(&mut self, kind: &'static str, connections: usize, events: u64, round: u64) {
        let (address, path) = (self.server.address, self.server.path);
        let load = Load { kind, address, path, connections, seconds: PATIENCE, away: Duration::ZERO };
        let sent = load.send(load.sign(round, events)).await;
        assert_eq!(sent.accepted, events, "all are accepted");
        self.events += events;
    }

    async fn measure(&mut self, connections: usize, events: u64, round: u64) {
        let (before, began) = (seconds(self.server.pid(), false), Instant::now());
        let goal = self.sink.taken() + events;
        self.send("release.live", connections, events, round).await;
        self.sink.reaches(goal, PATIENCE).await;
        let took = self.sink.last().map_or(began.elapsed(), |last| last - began);
        // What was answered is still to be recorded.
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.cpu.push(1e6 * (seconds(self.server.pid(), false) - before) / events as f64);
        self.rate.push(events as f64 / took.as_secs_f64());
    }

    /// Starts the server again. Gives the milliseconds until it listens, and the MiB that it needs when nothing happens.
    async fn restart(&mut self) -> (f64, f64) {
        let ready = self.server.restart().unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        (ready.as_secs_f64() * 1000.0, rss(self.server.pid()))
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
