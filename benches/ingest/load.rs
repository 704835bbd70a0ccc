//! The load: kept-alive connections that each post one signed event after the other, as fast as they are answered.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than any server here answers in a second.
const SIGNED_A_SECOND: u64 = 80_000;

/// The secret that every server is given.
pub const SECRET: &str = "bench-secret-0123456789abcdef";

/// What is to be done.
pub struct Load {
    /// The type of its events.
    pub kind: &'static str,
    pub address: SocketAddr,
    pub path: &'static str,
    pub connections: usize,
    pub seconds: Duration,
    /// How long a connection rests after each answer: how far away its sender is.
    pub away: Duration,
}

/// What was measured.
#[derive(Default)]
pub struct Result {
    pub accepted: u64,
    pub not_accepted: u64,
    pub took: Duration,
    latencies_us: Vec<u32>,
}

impl Result {
    pub fn per_second(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64()
    }

    pub fn percentile_ms(&self, share: f64) -> f64 {
        let at = ((self.latencies_us.len() as f64 * share) as usize).min(self.latencies_us.len().saturating_sub(1));
        self.latencies_us.get(at).map_or(0.0, |us| f64::from(*us) / 1_000.0)
    }
}

impl Load {
    /// Runs it; `round` keeps the ids of rounds apart.
    pub async fn run(&self, round: u64) -> Result {
        self.send(self.sign(round, SIGNED_A_SECOND * self.seconds.as_secs())).await
    }

    /// How many events, signed beforehand: the load must cost as little as can be on the cores that the server needs.
    pub fn sign(&self, round: u64, count: u64) -> Vec<Vec<u8>> {
        let mut dice = fastrand::Rng::with_seed(round);
        (0..count).map(|_| request(self.path, self.kind, &mut dice)).collect()
    }

    /// Sends these, until there are none left or the time is over.
    pub async fn send(&self, signed: Vec<Vec<u8>>) -> Result {
        let total = Rc::new(RefCell::new(Result::default()));
        let signed = Rc::new(RefCell::new(signed));
        let began = Instant::now();
        let ends = began + self.seconds;
        let local = tokio::task::LocalSet::new();
        for _ in 0..self.connections {
            let (total, signed, address, away) = (total.clone(), signed.clone(), self.address, self.away);
            local.spawn_local(async move {
                if let Err(error) = one(address, &signed, ends, away, &total).await {
                    eprintln!("a connection broke: {error}");
                    total.borrow_mut().not_accepted += 1;
                }
            });
        }
        local.await;
        let mut result = total.take();
        result.took = began.elapsed();
        result.latencies_us.sort_unstable();
        result
    }
}

async fn one(
    address: SocketAddr,
    signed: &RefCell<Vec<Vec<u8>>>,
    ends: Instant,
    away: Duration,
    total: &RefCell<Result>,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; 16 * 1024];
    while Instant::now() < ends {
        let Some(request) = signed.borrow_mut().pop() else { return Ok(()) };
        let began = Instant::now();
        stream.write_all(&request).await?;
        let status = read_answer(&mut stream, &mut answer).await?;
        let us = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
        if !away.is_zero() {
            tokio::time::sleep(away).await;
        }
        let mut total = total.borrow_mut();
        if (200..300).contains(&status) {
            total.accepted += 1;
        } else {
            total.not_accepted += 1;
        }
        total.latencies_us.push(us);
    }
    Ok(())
}

/// A signed event of about 780 bytes with a random id: the worst case for an index.
fn request(path: &str, kind: &str, dice: &mut fastrand::Rng) -> Vec<u8> {
    let id = format!("evt_{:016x}{:016x}", dice.u64(..), dice.u64(..));
    let body = format!(
        r#"{{"id":"{id}","type":"{kind}","created":1767607200,"data":{{"release_id":"rel_abc123def456","title":"My Album","artist":"Artist Name","label":"Warp","status":"live","platforms":[{{"name":"spotify","status":"live","url":"https://open.spotify.com/album/4uLU6hMCjMI75M1A2tKUQC"}},{{"name":"apple_music","status":"live","url":"https://music.apple.com/album/1440857781"}},{{"name":"deezer","status":"processing","url":null}}],"metadata":{{"isrc":"USJML2500001","upc":"123456789012","release_date":"2025-09-01","genre":"Electronic","explicit":false,"language":"en","copyright":"2025 Warp Records Limited"}},"territories":["DE","FR","GB","US","JP"],"notes":"Delivered by the distribution service, first attempt, no warnings at all."}}}}"#
    );
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return Vec::new() };
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-JewelMusic-Signature: \
         sha256={signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one answer whole and gives its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<u16> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        let text = &buffer[..filled];
        let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let whole = match length {
            Some(length) => filled >= end + 4 + length,
            None => text.ends_with(b"0\r\n\r\n") || head.contains(" 204 "),
        };
        if whole {
            return Ok(head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0));
        }
    }
}
