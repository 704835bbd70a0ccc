//! Whether events move: what is due is planned, and what is planned is dispatched.
//!
//! A step that has nothing to do, or waits for a destination, a rate or hours, moves. One that makes no step for a minute
//! though something is due has stalled: its loop hangs, or what it needs fails again and again. That is reported by the log, a
//! metric, `/readyz`, and by a heartbeat that stays away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::task::Id;
use tokio::time::Instant;

use crate::delivery::DeliveryId;
use crate::event::Seq;
use crate::steps::Live;

/// How long something due may wait for a step.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The number of looks within that.
const LOOKS: u32 = 12;
/// The store is waited for no longer than this.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// A step that makes none though something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// `plan` or `dispatch`.
    pub step: &'static str,
    /// What is known about it, for the log.
    pub why: String,
}

/// What the loops say about themselves.
#[derive(Debug)]
pub struct Progress {
    state: Mutex<State>,
    stalls: ArcSwap<Vec<Stall>>,
}

#[derive(Debug)]
struct State {
    /// When dispatching last claimed what could be claimed, even if that was nothing.
    claimed: Instant,
    /// What each step failed with last, until it works again.
    failed: HashMap<&'static str, String>,
    /// Deliveries under way, and when each must be over for certain.
    under_way: HashMap<Id, (DeliveryId, Instant)>,
}

impl Default for Progress {
    fn default() -> Self {
        let state = State { claimed: Instant::now(), failed: HashMap::new(), under_way: HashMap::new() };
        Self { state: Mutex::new(state), stalls: ArcSwap::default() }
    }
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has stalled, by the last look.
    pub fn stalls(&self) -> Arc<Vec<Stall>> {
        self.stalls.load_full()
    }

    /// Planning has made a step, or had none to make.
    pub fn planned(&self) {
        self.state().failed.remove("plan");
    }

    /// Dispatching has claimed what could be claimed.
    pub fn claimed(&self) {
        let mut state = self.state();
        state.claimed = Instant::now();
        state.failed.remove("claim");
    }

    /// A step failed.
    pub fn failed(&self, doing: &'static str, said: &str) {
        self.state().failed.insert(doing, said.to_owned());
    }

    /// A delivery is under way, and its lease ends in `lease`.
    pub fn begun(&self, task: Id, delivery: DeliveryId, lease: Duration) {
        self.state().under_way.insert(task, (delivery, Instant::now() + lease));
    }

    /// It is over.
    pub fn ended(&self, task: Id) {
        self.state().under_way.remove(&task);
    }

    /// Why dispatching has stalled, if it has.
    fn dispatch(&self, patience: Duration) -> Option<String> {
        let state = self.state();
        let now = Instant::now();
        let since = now.duration_since(state.claimed);
        if since >= patience {
            let said = state.failed.get("claim").map(|said| format!(": {said}")).unwrap_or_default();
            return Some(format!("nothing could be claimed for {} s{said}", since.as_secs()));
        }
        // By then it has its outcome, or another has it.
        let over = |(_, until): &&(DeliveryId, Instant)| now.saturating_duration_since(*until) >= patience;
        let (delivery, _) = state.under_way.values().find(over)?;
        Some(format!("the delivery {delivery} has not ended though its lease has"))
    }
}

/// What waits longest for planning.
#[derive(Debug, Clone, PartialEq, Eq)]
enum First {
    Entry(Seq),
    Timer(String, Timestamp),
    /// What waits can't be read.
    Unread(String),
}

impl std::fmt::Display for First {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            First::Entry(seq) => write!(f, "entry {seq} of the inbox waits"),
            First::Timer(id, due) => write!(f, "the timer {id} was due at {due}"),
            First::Unread(said) => write!(f, "what waits can't be read: {said}"),
        }
    }
}

/// Looks whether events move, again and again.
#[derive(Debug, Default)]
pub struct Look {
    first: Option<(First, Instant)>,
}

impl Look {
    /// How long until the next look.
    pub fn every(live: &Live) -> Duration {
        live.patience / LOOKS
    }

    /// Looks, and says what changed.
    pub async fn look(&mut self, live: &Live) {
        let plan = self.plan(live).await;
        let found = [("plan", plan), ("dispatch", live.progress.dispatch(live.patience))];
        let mut stalls = Vec::new();
        for (step, why) in found {
            live.telemetry.stalled(step, why.as_deref());
            stalls.extend(why.map(|why| Stall { step, why }));
        }
        live.progress.stalls.store(Arc::new(stalls));
        live.telemetry.tell_refusals();
    }

    /// Why planning has stalled, if it has: what waits longest is the same as a minute ago, no matter who plans.
    async fn plan(&mut self, live: &Live) -> Option<String> {
        let first = first(live).await;
        let now = Instant::now();
        let since = match self.first.take() {
            Some((known, since)) if Some(&known) == first.as_ref() => since,
            _ => now,
        };
        let waited = now.duration_since(since);
        let first = first?;
        let why = (waited >= live.patience).then(|| {
            let said = live.progress.state().failed.get("plan").map(|said| format!(": {said}")).unwrap_or_default();
            format!("{first}, and nothing was planned for {} s{said}", waited.as_secs())
        });
        self.first = Some((first, since));
        why
    }
}

/// What waits longest for planning; nothing while no rules are in force, which is reported otherwise.
async fn first(live: &Live) -> Option<First> {
    live.snapshot.load().rules.as_ref()?;
    match tokio::time::timeout(LOOK_MAX, live.store.waiting(live.clock.now(), 1)).await {
        Ok(Ok(waiting)) => {
            let entry = waiting.entries.first().map(|entry| First::Entry(entry.seq));
            entry.or_else(|| waiting.timers.first().map(|due| First::Timer(due.id.clone(), due.timer.due)))
        }
        Ok(Err(error)) => Some(First::Unread(error.to_string())),
        Err(_) => Some(First::Unread("no answer in time".into())),
    }
}
