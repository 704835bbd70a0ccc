//! The running parts: receive, plan, dispatch, reload. They never call each other; they meet in the store.
//!
//! ```text
//! receive ──commit──▶ inbox ──plan──▶ deliveries ──dispatch──▶ attempts
//! ```
//!
//! A step is a function of the time that says whether it worked or until when it is idle. Only [`run`] and the wire
//! wait; rehearsals call the same steps on a virtual clock. A step shares nothing with the others but the snapshot in
//! force and a wake-up, which is a hint: looking again is the truth. Each can be killed between any two lines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::channels::wire::Transport;
use crate::clock::Clock;
use crate::config::files::Seen;
use crate::config::substitute::{Environment, RealEnvironment};
use crate::config::{Settings, Snapshot};
use crate::store;
use crate::store::Store;
use crate::telemetry::Telemetry;

pub mod alive;
pub mod dispatch;
pub mod limit;
pub mod plan;
pub mod receive;
pub mod reload;
pub mod render;
pub mod retain;
pub mod run;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// Something; there may be more.
    Worked,
    /// Nothing to do before then, or before a wake-up; `None`: before a wake-up only.
    Idle(Option<Timestamp>),
}

/// At least so many files and sockets are no connection's to listeners.
const FILES_KEPT: usize = 20;

/// What the listeners bear with, from whoever reaches them.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// A request's headers must have come within this; an idle connection is closed after it.
    pub headers: Duration,
    /// A webhook's body must have come whole within this.
    pub body: Duration,
    /// A commit must have been answered within this, or the sender is asked to come again.
    pub commit: Duration,
    /// The most connections at a time on the webhooks' listener.
    pub connections: usize,
    /// The same on the admin's, which is apart so that probes still get through.
    pub admin_connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            body: Duration::from_secs(15),
            commit: Duration::from_secs(8),
            connections: 1024,
            admin_connections: 128,
        }
    }
}

impl Bounds {
    /// The same for a process that may open so many more files and sockets: connections leave some of them for reading
    /// files and for sending.
    #[must_use]
    pub fn within(self, files_left: usize) -> Self {
        let room = files_left.saturating_sub(FILES_KEPT.max(files_left / 8));
        Self {
            connections: self.connections.min((room * 4 / 5).max(1)),
            admin_connections: self.admin_connections.min((room / 5).max(1)),
            ..self
        }
    }
}

/// What the steps share.
pub struct Live {
    /// Where everything durable is.
    pub store: Arc<dyn Store>,
    /// What is in force. Whoever works keeps the one it began with.
    pub snapshot: ArcSwap<Snapshot>,
    /// What was bound at the start, and is for the life of the process.
    pub bound: Settings,
    /// What is wrong with the files on disk while older ones stay in force.
    pub stale: ArcSwap<Option<String>>,
    /// When nobody was there last, for longer than the sender goes on sending again; none if that never was.
    pub absence: ArcSwap<Option<alive::Absence>>,
    /// What was read when files were loaded last, well or not.
    pub seen: Mutex<Seen>,
    /// Where reloading finds secrets.
    pub environment: Arc<dyn Environment>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is logged and counted.
    pub telemetry: Arc<Telemetry>,
    /// What sends.
    pub transport: Arc<dyn Transport>,
    /// Plans everything, sends nothing.
    pub shadow: bool,
    /// Where messages are rendered.
    pub renderer: render::Renderer,
    /// Where chance comes from.
    pub seed: u64,
    /// What the listeners bear with.
    pub bounds: Bounds,
    /// The name under which this process holds leases.
    pub holder: String,
    /// What the planner has brought in line with the rules.
    armed: ArcSwap<Option<plan::Armed>>,
    /// A hint that the inbox has something.
    pub to_plan: Notify,
    /// A hint that deliveries were made.
    pub to_dispatch: Notify,
    draining: AtomicBool,
    drained: Notify,
    broken: Notify,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Live {
    /// Everything that steps share, with nothing under way. `seed` is where all chance comes from.
    pub fn new(
        store: Arc<dyn Store>,
        snapshot: Arc<Snapshot>,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
        seed: u64,
    ) -> Self {
        Self {
            store,
            seen: Mutex::new(snapshot.seen.clone()),
            bound: snapshot.settings.clone(),
            snapshot: ArcSwap::new(snapshot),
            stale: ArcSwap::new(Arc::new(None)),
            absence: ArcSwap::new(Arc::new(None)),
            environment: Arc::new(RealEnvironment),
            clock,
            telemetry: Arc::new(Telemetry::new()),
            transport,
            shadow: false,
            renderer: render::Renderer::default(),
            seed,
            bounds: Bounds::default(),
            holder: format!("{}-{seed:016x}", std::process::id()),
            armed: ArcSwap::new(Arc::new(None)),
            to_plan: Notify::new(),
            to_dispatch: Notify::new(),
            draining: AtomicBool::new(false),
            drained: Notify::new(),
            broken: Notify::new(),
        }
    }

    /// The same, with secrets from elsewhere.
    #[must_use]
    pub fn with_environment(self, environment: Arc<dyn Environment>) -> Self {
        Self { environment, ..self }
    }

    /// Whether the process is about to end: nothing new is begun.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Begins nothing new from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.drained.notify_waiters();
        self.to_plan.notify_one();
        self.to_dispatch.notify_one();
    }

    /// Ends when the process drains.
    pub async fn drained(&self) {
        let drained = self.drained.notified();
        if !self.is_draining() {
            drained.await;
        }
    }

    /// Ends after `span`, or when the process drains.
    pub async fn drained_or(&self, span: Duration) {
        let _ = tokio::time::timeout(span, self.drained()).await;
    }

    /// Looks at what the store said: after some failures only a new start helps.
    pub fn noticed(&self, error: &store::Error) {
        if matches!(error, store::Error::Broken(_) | store::Error::Unusable(_)) {
            self.broken.notify_one();
        }
    }

    /// Ends when the store has failed for good.
    pub async fn broken(&self) {
        self.broken.notified().await;
    }
}
