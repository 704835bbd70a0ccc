//! The running parts: receive, plan, dispatch, reload. They never call each other; they meet in the store.
//!
//! ```text
//! receive ──commit──▶ inbox ──plan──▶ deliveries ──dispatch──▶ attempts
//! ```
//!
//! A step is a function of the time that says whether it worked or until when it is idle. Only [`run`] and the wire
//! wait; rehearsals call the same steps on a virtual clock. A step shares nothing with the others but the snapshot in
//! force and a wake-up, which is a hint: looking again is the truth. Each can be killed between any two lines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::channels::wire::Transport;
use crate::clock::Clock;
use crate::config::files::Seen;
use crate::config::substitute::{Environment, RealEnvironment};
use crate::config::{Settings, Snapshot};
pub use crate::server::Bounds;
use crate::server::problem;
use crate::store;
use crate::store::Store;
use crate::telemetry::Telemetry;

mod act;
pub mod alive;
mod apart;
pub mod backfill;
pub mod dispatch;
pub mod judged;
pub mod links;
mod memory;
pub mod plan;
pub mod progress;
pub mod receive;
mod recent;
pub mod reload;
pub mod render;
pub mod retain;
pub mod run;
pub mod supervisor;
pub mod watch;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// This many things; there may be more.
    Worked(u64),
    /// Nothing to do before then, or before a wake-up; `None`: before a wake-up only.
    Idle(Option<Timestamp>),
}

impl StepResult {
    /// Whether it did something.
    pub fn has_worked(self) -> bool {
        matches!(self, Self::Worked(_))
    }
}

/// What the steps share.
pub struct Live {
    /// Where everything durable is.
    pub store: Arc<dyn Store>,
    /// What is in force. Anyone who works keeps the one it began with.
    pub snapshot: ArcSwap<Snapshot>,
    /// What was bound at the start, and is for the life of the process.
    pub bound: Settings,
    /// What is wrong with the files on disk while older ones stay in force.
    pub stale: ArcSwap<Option<String>>,
    /// When nobody was there last, for longer than the sender goes on sending again; none if that never was.
    pub absence: ArcSwap<Option<alive::Absence>>,
    /// The sources that send again what failed, since when: what they signed then is not too old.
    pub sending_again: ArcSwap<BTreeMap<String, Timestamp>>,
    /// What was read when files were loaded last, well or not.
    pub seen: Mutex<Seen>,
    /// Whose turn it is to load files: of two reloads at a time the one that read first could else swap last.
    pub loading: Arc<tokio::sync::Mutex<()>>,
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
    /// The service manager that waits for notices; none if nobody does.
    pub supervisor: Option<supervisor::Supervisor>,
    /// Where messages are rendered.
    pub renderer: render::Renderer,
    /// The events that were planned last.
    recent: recent::Recent,
    /// The keys of links.
    pub links: links::Ring,
    /// Where chance comes from.
    pub seed: u64,
    /// What the listeners tolerate.
    pub bounds: Bounds,
    /// The main tasks.
    pub tasks: watch::Tasks,
    /// Whether events move.
    pub progress: progress::Progress,
    /// How long something due may wait for a step before it is said that nothing moves.
    pub patience: Duration,
    /// How long a round may judge before it goes on with what it has. Without a bound where time is moved by hand: what
    /// happens there is the same on every machine.
    pub judging: Duration,
    /// The name under which this process holds leases.
    pub holder: String,
    /// What the planner has brought in line with the rules.
    armed: ArcSwap<Option<plan::Armed>>,
    /// How large the planner's next round may be.
    planning: Mutex<plan::Size>,
    /// Somebody asks for a reload, and waits for no outcome.
    pub to_reload: Notify,
    /// A hint that the inbox has something.
    pub to_plan: Notify,
    /// A hint that deliveries were made.
    pub to_dispatch: Notify,
    /// A hint that a sender is to be asked for what failed.
    pub to_backfill: Notify,
    draining: AtomicBool,
    drained: Notify,
    failure: OnceLock<String>,
    failed: Notify,
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
            loading: Arc::default(),
            bound: snapshot.settings.clone(),
            snapshot: ArcSwap::new(snapshot),
            stale: ArcSwap::new(Arc::new(None)),
            absence: ArcSwap::new(Arc::new(None)),
            sending_again: ArcSwap::default(),
            environment: Arc::new(RealEnvironment),
            clock,
            telemetry: Arc::new(Telemetry::new()),
            transport,
            shadow: false,
            supervisor: None,
            renderer: render::Renderer::default(),
            recent: recent::Recent::default(),
            links: links::Ring::default(),
            seed,
            bounds: Bounds::default(),
            tasks: watch::Tasks::default(),
            progress: progress::Progress::default(),
            patience: progress::PATIENCE,
            judging: plan::JUDGED_TIME_MAX,
            holder: format!("{}-{seed:016x}", std::process::id()),
            armed: ArcSwap::new(Arc::new(None)),
            planning: Mutex::default(),
            to_reload: Notify::new(),
            to_plan: Notify::new(),
            to_dispatch: Notify::new(),
            to_backfill: Notify::new(),
            draining: AtomicBool::new(false),
            drained: Notify::new(),
            failure: OnceLock::new(),
            failed: Notify::new(),
        }
    }

    /// The same, with secrets from elsewhere.
    #[must_use]
    pub fn with_environment(self, environment: Arc<dyn Environment>) -> Self {
        Self { environment, ..self }
    }

    /// 503: the other side comes again, at a time of its own so that not all come at once.
    fn come_again(&self) -> Response {
        let now_ms = self.clock.now().as_millisecond();
        let seconds = 30 + fastrand::Rng::with_seed(self.seed ^ now_ms.unsigned_abs()).u64(0..=60);
        let mut response = problem(StatusCode::SERVICE_UNAVAILABLE);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        response
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
        self.to_backfill.notify_one();
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
            self.fail(error.to_string());
        }
    }

    /// The process can't go on, and must start anew. Of several reasons the first stays.
    pub fn fail(&self, why: String) {
        if self.failure.set(why).is_ok() {
            self.failed.notify_waiters();
        }
    }

    /// Why the process can't go on, if so.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Ends when the process can't go on, and says why.
    pub async fn failed(&self) -> &str {
        loop {
            let failed = self.failed.notified();
            if let Some(why) = self.failure() {
                return why;
            }
            failed.await;
        }
    }
}
