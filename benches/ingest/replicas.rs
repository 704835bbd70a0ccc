//! How receiving and dispatching grow with replicas on one PostgreSQL: 1, 2 and 3 of them, in turns, in one run.
//!
//! Receiving is measured without rules; dispatching with one rule that tells a receiver of everything, from the first
//! event sent until the last message has come. The load, the replicas, the receiver and PostgreSQL share the machine's
//! cores, so what is seen here is where PostgreSQL and the cores are the limit, not what a cluster would do.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::load::Load;
use crate::postgres;
use crate::server::Server;

/// So many replicas, in turns.
const COUNTS: [usize; 3] = [1, 2, 3];

/// How long a flood may take to be delivered.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures and reports.
pub fn run(connections: usize, seconds: Duration, rounds: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut received = [const { Vec::new() }; COUNTS.len()];
    let mut dispatched = [const { Vec::new() }; COUNTS.len()];
    for round in 0..rounds {
        for (at, count) in COUNTS.into_iter().enumerate() {
            let local = tokio::task::LocalSet::new();
            let receiving = runtime.block_on(local.run_until(receive(count, connections, seconds, round)));
            let dispatching = runtime.block_on(local.run_until(dispatch(count, connections, round)));
            eprintln!(
                "round {}/{rounds}  {count} replicas  {receiving:>7.0} received/s  {dispatching:>7.0} dispatched/s",
                round + 1
            );
            received[at].push(receiving);
            dispatched[at].push(dispatching);
        }
    }
    println!("\n{connections} connections, medians; ratios to one replica\n");
    println!("{:<9} {:>11} {:>6}  {:>13} {:>6}", "replicas", "received/s", "", "dispatched/s", "");
    let (one_receives, one_dispatches) = (median(&mut received[0]), median(&mut dispatched[0]));
    for (at, count) in COUNTS.into_iter().enumerate() {
        let (receives, dispatches) = (median(&mut received[at]), median(&mut dispatched[at]));
        println!(
            "{count:<9} {receives:>11.0} {:>5.2}x  {dispatches:>13.0} {:>5.2}x",
            receives / one_receives,
            dispatches / one_dispatches,
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn replicas(count: usize, more: &str) -> Vec<Server> {
    let store = postgres::fresh();
    (0..count).map(|nth| Server::replica(nth, &store, more).unwrap()).collect()
}

/// Sends to all of them at once. Gives how many events were accepted, and how fast.
async fn send(replicas: &[Server], connections: usize, seconds: Duration, round: u64) -> (u64, f64) {
    let loads: Vec<_> = replicas
        .iter()
        .enumerate()
        .map(|(nth, replica)| {
            let (address, path) = (replica.address, replica.path);
            let connections = connections.div_ceil(replicas.len());
            // Ids of its own for each.
            let dice = round * 10 + nth as u64;
            tokio::task::spawn_local(async move { Load { address, path, connections, seconds }.run(dice).await })
        })
        .collect();
    let (mut accepted, mut rate) = (0, 0.0);
    for load in loads {
        let result = load.await.unwrap();
        accepted += result.accepted;
        rate += result.per_second();
    }
    (accepted, rate)
}

async fn receive(count: usize, connections: usize, seconds: Duration, round: u64) -> f64 {
    let replicas = replicas(count, "");
    send(&replicas, connections, seconds, round).await.1
}

async fn dispatch(count: usize, connections: usize, round: u64) -> f64 {
    let (receiver, delivered) = receiver().await;
    let more = format!("destinations:\n  all: {{type: http, url: \"http://{receiver}/\", concurrency: 64}}\n");
    let replicas = replicas(count, &more);
    let began = Instant::now();
    let (accepted, _) = send(&replicas, connections, Duration::from_secs(1), round).await;
    while delivered.get() < accepted && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    delivered.get().min(accepted) as f64 / began.elapsed().as_secs_f64()
}

/// A receiver that takes everything at once. Gives its address, and how much it took.
async fn receiver() -> (SocketAddr, Rc<Cell<u64>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Rc::new(Cell::new(0));
    let count = taken.clone();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(take(stream, count.clone()));
        }
    });
    (address, taken)
}

async fn take(mut stream: TcpStream, count: Rc<Cell<u64>>) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        while buffer.len() < end + length.unwrap_or(0) {
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
        }
        buffer.drain(..end + length.unwrap_or(0));
        count.set(count.get() + 1);
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}
