//! The whole program within the test: real listeners, real files, a real SQLite store, the real wire. Only what waits
//! for long is set short.
//!
//! ```ignore
//! let peer = HttpPeer::start().await;
//! let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), EVERYTHING)).await;
//! assert_eq!(app.send(&event("evt_1", "release.live")).await.status, 200);
//! peer.received(1).await;
//! app.end().await;
//! ```

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fanfare::channels::wire::{Guard, Wire};
use fanfare::clock::{Clock, RealClock};
use fanfare::config::load;
use fanfare::config::substitute::RealEnvironment;
use fanfare::steps::run::{self, Running};
use fanfare::steps::{Bounds, Live};
use fanfare::{admin, store};
use serde_json::Value;

use super::folder::{Folder, SECRET};
use super::raw::{Answer, exchange, post};

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The program, running.
pub struct App {
    /// Its files.
    pub folder: Folder,
    /// What its steps share.
    pub live: Arc<Live>,
    /// Where webhooks are received.
    pub webhooks: SocketAddr,
    /// Where the admin surface is.
    pub admin: SocketAddr,
    running: Running,
}

impl App {
    /// Starts on these files.
    pub async fn start(folder: Folder) -> Self {
        Self::start_with(folder, Bounds::default(), Arc::new(RealClock)).await
    }

    /// Starts on these files, with listeners that bear this much, at this time. Broken rules don't keep it from
    /// starting, as with `serve`.
    pub async fn start_with(folder: Folder, bounds: Bounds, clock: Arc<dyn Clock>) -> Self {
        let live = live(&folder, bounds, clock).await;
        Self::start_live(folder, live).await
    }

    /// Starts with what its steps share, as a test has set it up.
    pub async fn start_live(folder: Folder, live: Arc<Live>) -> Self {
        let running = run::run(live.clone(), admin::router(live.clone())).await.unwrap();
        Self { folder, live, webhooks: running.webhooks, admin: running.admin, running }
    }

    /// Posts a body as the source `jewelmusic` would, signed by the scheme of its webhook page.
    pub async fn send(&self, body: &str) -> Answer {
        let signature = ("X-JewelMusic-Signature", page_signature(SECRET, body.as_bytes()));
        exchange(self.webhooks, &post("/webhooks/jewelmusic", &[signature], body.as_bytes())).await
    }

    /// Asks the admin surface, as the command line does.
    pub async fn ask(&self, method: &str, path: &str) -> Answer {
        ask(self.admin, method, path).await
    }

    /// Sends a document to the admin surface, or nothing if it is null.
    pub async fn send_json(&self, method: &str, path: &str, document: &Value) -> Answer {
        let body = if document.is_null() { String::new() } else { document.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nFanfare-Request: 1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.admin,
            body.len()
        );
        exchange(self.admin, request.as_bytes()).await
    }

    /// The same, as JSON, which must come with a 200.
    pub async fn json(&self, path: &str) -> Value {
        json(self.admin, path).await
    }

    /// How many entries the inbox has.
    pub async fn head(&self) -> i64 {
        self.live.store.census().await.unwrap().head
    }

    /// Ends in order, and gives the files back.
    pub async fn end(self) -> Folder {
        self.running.drain().await.unwrap();
        self.folder
    }
}

/// What the program's steps share, on these files, with no step running.
pub async fn live(folder: &Folder, bounds: Bounds, clock: Arc<dyn Clock>) -> Arc<Live> {
    let loaded = load::load(&folder.file("fanfare.yaml"), &RealEnvironment, clock.now());
    let report = loaded.report();
    let stale = loaded.problems.has_errors().then(|| report.clone());
    let snapshot = loaded.snapshot.unwrap_or_else(|| panic!("{report}"));
    let store = store::open(&snapshot.settings.store, folder.path()).await.unwrap();
    let wire = Wire::new(Guard::new(Vec::new(), Vec::new())).unwrap();
    let mut live = Live::new(store, Arc::new(snapshot), clock, Arc::new(wire), 7);
    live.bounds = bounds;
    live.stale.store(Arc::new(stale));
    Arc::new(live)
}

/// Asks an admin surface, as the command line does.
pub async fn ask(admin: SocketAddr, method: &str, path: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nFanfare-Request: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    exchange(admin, request.as_bytes()).await
}

/// The same, as JSON, which must come with a 200.
pub async fn json(admin: SocketAddr, path: &str) -> Value {
    let answer = ask(admin, "GET", path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// An event in the sender's form.
pub fn event(id: &str, kind: &str) -> String {
    format!(r#"{{"id":"{id}","type":"{kind}","created":1767607200,"data":{{"release_id":"rel_1","label":"Warp"}}}}"#)
}

/// The signature of the webhook page: over the body alone.
pub fn page_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", code(secret, &[body]))
}

/// The signature of the SDKs: over a time and the body.
pub fn timed_signature(secret: &str, at_s: i64, body: &[u8]) -> String {
    format!("t={at_s},v1={}", code(secret, &[at_s.to_string().as_bytes(), b".", body]))
}

/// HMAC-SHA256, in hex.
pub fn code(secret: &str, parts: &[&[u8]]) -> String {
    use hmac::{Hmac, KeyInit, Mac};

    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

/// Now, in seconds.
pub fn now_s() -> i64 {
    RealClock.now().as_second()
}

/// Asks again and again until the answer is one, and gives it; fails with `what` if that takes too long.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> T {
    eventually_within(PATIENCE, what, look).await
}

/// The same, of what may take so long.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(
    most: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let looked = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(most, looked).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// What must come within a bearable time.
pub async fn soon<T>(what: &str, awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, awaited).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Asks again and again until the answer is `Ok`, and gives it; fails with `what` once what `Err` says has stood still for
/// too long: a busy machine may take its time, as long as it gets on.
pub async fn while_it_moves<T, M: PartialEq + std::fmt::Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, M>,
) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let (mut last, mut since) = (None, tokio::time::Instant::now());
    loop {
        ticks.tick().await;
        let now = match look().await {
            Ok(found) => return found,
            Err(now) => Some(now),
        };
        if now != last {
            (last, since) = (now, tokio::time::Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "not in time: {what}; it stands at {last:?}");
    }
}
