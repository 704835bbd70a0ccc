//! How receiving and dispatching grow with replicas on one PostgreSQL: 1, 2 and 3 of them, in turns, in one run.
//!
//! Growth shows only where one replica's own bounds are the limit, not the machine's, so the world is made slow, as it
//! is: the senders are 20 ms away, and each replica has the same number of them; the destinations are eight that take
//! 100 ms to answer, each with more `concurrency` than there is to use, and a replica has at most 64 deliveries under way.
//! Receiving is measured without rules; dispatching with everything planned already, from the first message that comes
//! out until nearly the last.
//!
//! Senders, replicas, receiver and PostgreSQL share the machine's cores. So it is notified who used them: where nothing is
//! idle any more, the cores are the limit, and what one event and one delivery cost PostgreSQL says how far it would go
//! on cores of its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::figures;
use crate::load::Load;
use crate::postgres;
use crate::server::Server;
use crate::sink::Sink;
use crate::usage::{Usage, Used, cores};

/// How many replicas, in turns.
const COUNTS: [usize; 3] = [1, 2, 3];

/// How far away senders are.
const AWAY: Duration = Duration::from_millis(20);

/// How long a destination takes to answer.
const ANSWER: Duration = Duration::from_millis(100);

/// How many destinations share the deliveries evenly.
const DESTINATIONS: u64 = 8;

/// A replica's own bound: this many deliveries it has under way (`UNDER_WAY_MAX` in `src/steps/dispatch.rs`).
const UNDER_WAY: f64 = 64.0;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// Holds every destination back for an hour, and lets go.
const HOLD: &str =
    "INSERT INTO paces SELECT 'd' || n, '{\"cool_ms\": ' || (extract(epoch FROM now()) * 1000 + 3e6)::bigint
    || '}' FROM generate_series(0, 7) AS n";
const LET_GO: &str = "UPDATE paces SET pace = NULL";

/// One measurement.
#[derive(Clone, Copy)]
struct Measured {
    done: f64,
    used: Used,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.done / self.used.seconds
    }
}

/// Measures and reports.
pub fn run(connections: usize, seconds: Duration, rounds: u64, deliveries: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut received = [const { Vec::new() }; COUNTS.len()];
    let mut dispatched = [const { Vec::new() }; COUNTS.len()];
    for round in 0..rounds {
        for (at, count) in COUNTS.into_iter().enumerate() {
            let receiving = runtime.block_on(LocalSet::new().run_until(receive(count, connections, seconds, round)));
            let dispatching = runtime.block_on(LocalSet::new().run_until(dispatch(count, deliveries, round)));
            eprintln!(
                "round {}/{rounds}  {count} replicas  {:>7.0} received/s  {:>7.0} dispatched/s",
                round + 1,
                receiving.per_second(),
                dispatching.per_second()
            );
            received[at].push(receiving);
            dispatched[at].push(dispatching);
        }
    }
    println!("\nmedians of {rounds} rounds; ratios to one replica; processor time as parts of {} cores", cores());
    let bound = connections as f64 / AWAY.as_secs_f64();
    report(
        &format!("received: {connections} senders for each replica, {} ms away", AWAY.as_millis()),
        &mut received,
        bound,
    );
    report(
        &format!("dispatched: {DESTINATIONS} destinations that answer after {} ms", ANSWER.as_millis()),
        &mut dispatched,
        UNDER_WAY / ANSWER.as_secs_f64(),
    );
}

/// `bound`: what one replica could do at most, were all else for nothing.
fn report(title: &str, measured: &mut [Vec<Measured>], bound: f64) {
    println!("\n{title}\n");
    println!(
        "{:<8} {:>7} {:>6} {:>9}  {:>8} {:>10} {:>5} {:>5}  {:>11} {:>9} {:>8} {:>8}",
        "replicas",
        "/s",
        "",
        "of bound",
        "replicas",
        "PostgreSQL",
        "load",
        "idle",
        "PG ms each",
        "ms each",
        "commits",
        "fsyncs/s"
    );
    let mut one = None;
    for (count, all) in COUNTS.into_iter().zip(measured) {
        all.sort_by(|a, b| a.per_second().total_cmp(&b.per_second()));
        let Some(Measured { done, used }) = all.get(all.len() / 2).copied() else { continue };
        let rate = done / used.seconds;
        let one = *one.get_or_insert(rate);
        let share = |seconds: f64| format!("{:.0} %", 100.0 * seconds / used.seconds / cores());
        println!(
            "{count:<8} {rate:>7.0} {:>5.2}x {:>9}  {:>8} {:>10} {:>5} {:>5}  {:>11.2} {:>9.2} {:>8.2} {:>8.0}",
            rate / one,
            format!("{:.0} %", 100.0 * rate / bound / count as f64),
            share(used.replicas),
            share(used.postgres),
            share(used.load),
            format!("{:.0} %", 100.0 * used.idle),
            1000.0 * used.postgres / done,
            1000.0 * used.replicas / done,
            used.commits / done,
            used.syncs / used.seconds,
        );
        let row = [
            ("per_second", rate),
            ("to_one", rate / one),
            ("idle", used.idle),
            ("postgres_ms", 1000.0 * used.postgres / done),
            ("replica_ms", 1000.0 * used.replicas / done),
            ("commits", used.commits / done),
        ];
        let what = title.split(':').next().unwrap_or(title);
        figures::record(what, &format!("replicas: {count}"), &row);
    }
}

/// Runs SQL in a store's schema.
fn sql(store: &str, statement: &str) -> String {
    let schema = store.split("search_path%3D").nth(1).and_then(|rest| rest.split('&').next()).unwrap();
    postgres::server().sql(&format!("SET search_path = {schema}; {statement}"))
}

/// Sends to all at once. Gives how many events were accepted.
async fn send(loads: Vec<(Load, Vec<Vec<u8>>)>) -> u64 {
    let sending = loads
        .into_iter()
        .map(|(load, signed)| tokio::task::spawn_local(async move { load.send(signed).await.accepted }));
    let mut accepted = 0;
    for load in sending.collect::<Vec<_>>() {
        accepted += load.await.unwrap();
    }
    accepted
}

async fn receive(count: usize, connections: usize, seconds: Duration, round: u64) -> Measured {
    let store = postgres::fresh();
    let replicas: Vec<Server> = (0..count).map(|nth| Server::replica(nth, &store, "", "").unwrap()).collect();
    let enough = connections as u64 * seconds.as_millis() as u64 / AWAY.as_millis() as u64;
    let loads = replicas.iter().enumerate().map(|(nth, replica)| {
        let load = Load {
            kind: "release.live",
            address: replica.address,
            path: replica.path,
            connections,
            seconds,
            away: AWAY,
        };
        // Ids of its own for each.
        let signed = load.sign(round * 10 + nth as u64, enough);
        (load, signed)
    });
    let loads = loads.collect();
    let before = Usage::now(&replicas);
    let accepted = send(loads).await;
    Measured { done: accepted as f64, used: Usage::now(&replicas).since(&before) }
}

async fn dispatch(count: usize, deliveries: u64, round: u64) -> Measured {
    let receiver = Sink::start(ANSWER).await;
    let (settings, rules) = files(receiver.address);
    let store = postgres::fresh();
    let replica = |nth| Server::replica(nth, &store, &settings, &rules).unwrap();
    let mut replicas = vec![replica(0)];
    sql(&store, HOLD);
    fill(&replicas[0], &store, deliveries, round).await;
    replicas.extend((1..count).map(replica));
    // Only now is anything measured: all is planned, and nobody has anything to do.
    sql(&store, LET_GO);
    receiver.reaches(1, PATIENCE).await;
    let before = Usage::now(&replicas);
    let first = receiver.taken();
    // At the end, fewer wait than could be under way.
    let last = receiver.reaches(deliveries.saturating_sub(200 * count as u64).max(first + 1), PATIENCE).await;
    let used = Usage::now(&replicas).since(&before);
    Measured { done: (last - first) as f64, used }
}

/// Sends this many events, and waits until they are planned.
async fn fill(replica: &Server, store: &str, deliveries: u64, round: u64) {
    let (address, path) = (replica.address, replica.path);
    let load = Load { kind: "release.live", address, path, connections: 32, seconds: PATIENCE, away: Duration::ZERO };
    let signed = load.sign(1_000_000 + round, deliveries);
    assert_eq!(send(vec![(load, signed)]).await, deliveries, "all are accepted");
    let began = Instant::now();
    while sql(store, "SELECT count(*) FROM deliveries") != deliveries.to_string() {
        assert!(began.elapsed() < PATIENCE, "not all is planned in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    sql(store, "ANALYZE deliveries, contents, inbox");
}

/// Destinations, and rules that share the events among them by the last digit of their ids.
fn files(receiver: SocketAddr) -> (String, String) {
    let (mut settings, mut rules) = ("destinations:\n".to_owned(), "rules:\n".to_owned());
    for nth in 0..DESTINATIONS {
        settings += &format!("  d{nth}: {{type: http, url: \"http://{receiver}/{nth}\", concurrency: 100}}\n");
        let digits = format!("{nth:x}{:x}", nth + DESTINATIONS);
        rules += &format!(
            "  - {{name: r{nth}, events: '*', when: {{$.id: {{matches: '[{digits}]$'}}}}, actions: [{{to: d{nth}, text: \
             '{{{{ event.id }}}}'}}]}}\n"
        );
    }
    (settings, rules)
}
