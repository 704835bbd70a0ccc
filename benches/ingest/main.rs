//! How fast events become durable: Fanfare on SQLite, the same binary with nothing on disk, and its peers, in one run.
//!
//! Every server gets the same signed bodies with ids of their own, over the same number of kept-alive connections, in
//! turns, so that a noisy machine is noisy for all of them. Only the ratios of one run mean anything. Load generator and
//! servers share the machine's cores.
//!
//! Run it through `scripts/bench ingest`, which builds the binary and fetches the peers; or `scripts/bench replicas`, for
//! several on one PostgreSQL (`replicas.rs`), or `scripts/bench way`, for an event's whole way (`way.rs`), or `scripts/bench grown`
//! (`grown.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod figures;
mod grown;
mod load;
#[path = "../../tests/support/postgres.rs"]
#[allow(dead_code)]
mod postgres;
mod replicas;
mod server;
mod sink;
mod usage;
mod way;

use std::time::Duration;

use load::{Load, Result as Measured};
use server::Server;

/// The servers, in the order in which they take turns.
const SERVERS: &[&str] = &["durable", "misses", "memory", "express", "webhook"];

fn main() {
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let connections = usize::try_from(number("CONNECTIONS", 64)).unwrap();
    let seconds = Duration::from_secs(number("SECONDS", 4));
    let rounds = number("ROUNDS", 5);
    if std::env::args().any(|given| given == "way") {
        return way::run(connections, number("EVENTS", 20_000), rounds);
    }
    if std::env::args().any(|given| given == "grown") {
        return grown::run(connections, number("EVENTS", 20_000), rounds);
    }
    if let Some(address) = way::bare_loop() {
        return way::post_all(address, connections);
    }
    if std::env::args().any(|given| given == "replicas") {
        return replicas::run(connections, seconds, rounds, number("DELIVERIES", 6000));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut measured: Vec<(&str, Vec<Measured>)> = SERVERS.iter().map(|name| (*name, Vec::new())).collect();
    for round in 0..rounds {
        for (name, results) in &mut measured {
            let server = match Server::start(name) {
                Ok(server) => server,
                Err(reason) => {
                    eprintln!("{name} is left out: {reason}");
                    continue;
                }
            };
            let load = Load {
                kind: "release.live",
                address: server.address,
                path: server.path,
                connections,
                seconds,
                away: Duration::ZERO,
            };
            let result = runtime.block_on(load.run(round));
            eprintln!("round {}/{rounds}  {name:<8} {:>8.0}/s", round + 1, result.per_second());
            results.push(result);
        }
    }
    report(&measured, connections);
}

fn report(measured: &[(&str, Vec<Measured>)], connections: usize) {
    let median = |results: &[Measured], of: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = results.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let durable =
        measured.iter().find(|(name, _)| *name == "durable").and_then(|(_, r)| median(r, Measured::per_second));
    println!("\n{connections} connections, medians\n");
    println!("{:<9} {:>10} {:>9} {:>9} {:>8}  durable ÷ this", "server", "events/s", "p50 ms", "p99 ms", "not 2xx");
    for (name, results) in measured {
        let Some(rate) = median(results, Measured::per_second) else { continue };
        let p50 = median(results, |result| result.percentile_ms(0.50)).unwrap_or_default();
        let p99 = median(results, |result| result.percentile_ms(0.99)).unwrap_or_default();
        let ratio = durable.unwrap_or_default() / rate;
        let refused = results.iter().map(|result| result.not_accepted).sum::<u64>();
        println!("{name:<9} {rate:>10.0} {p50:>9.2} {p99:>9.2} {refused:>8}  {ratio:.2}");
        let row = [("per_second", rate), ("p50_ms", p50), ("p99_ms", p99), ("durable_to_this", ratio)];
        figures::record("ingest", name, &row);
    }
}
