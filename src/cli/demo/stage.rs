//! What runs while the demo does, and what a person may ask of it: send an event, move the clock, play the week. The
//! terminal and the page ask alike, one at a time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use crate::admin::live::Pulse;
use crate::cli::demo::inbox::Inbox;
use crate::cli::demo::show;
use crate::cli::demo::told::{News, Told};
use crate::cli::{client, term};
use crate::delivery::State;
use crate::event::Seq;
use crate::source::{Outgoing, Source, samples};
use crate::steps::Live;
use crate::steps::reload::{self, Reloaded};
use crate::store::DeliveryFilter;

/// Everything must have arrived within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the demo looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What the stage is made of.
pub(super) struct Set {
    /// The running server.
    pub live: Arc<Live>,
    /// Who signs.
    pub source: Arc<Source>,
    /// What arrived.
    pub inbox: Arc<Inbox>,
    /// Tells open pages that something moved.
    pub pulse: Arc<Pulse>,
    /// Where the rules and templates are.
    pub folder: PathBuf,
}

/// What runs while the demo does.
pub(super) struct Stage {
    pub set: Set,
    webhooks: OnceLock<SocketAddr>,
    http: reqwest::Client,
    told: Mutex<Told>,
    /// Held by the one who sends or moves the clock.
    pub turn: tokio::sync::Mutex<()>,
    /// What is under way, and the event that was sent last.
    state: Mutex<(Option<String>, Option<Seq>)>,
}

impl Stage {
    pub(super) fn new(set: Set) -> anyhow::Result<Self> {
        Ok(Self {
            webhooks: OnceLock::new(),
            http: client::http(Duration::from_secs(10))?,
            told: Mutex::new(Told::of(&set.live)),
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            set,
        })
    }

    /// Says where webhooks are received, once that is known.
    pub(super) fn is_served_at(&self, webhooks: SocketAddr) {
        // It is said once.
        let _ = self.webhooks.set(webhooks);
    }

    pub(super) fn path(&self) -> &str {
        &self.set.source.path
    }

    /// The name of a scheme by which the sender signs; both take turns.
    pub(super) fn scheme(&self, nth: usize) -> Option<&'static str> {
        let schemes = &self.set.source.schemes;
        schemes.get(nth % schemes.len().max(1)).map(|scheme| scheme.name)
    }

    /// What is under way.
    pub(super) fn doing(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// The event that was sent last.
    pub(super) fn last(&self) -> Option<Seq> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Shows what is under way, or that nothing is any more.
    pub(super) fn does(&self, what: Option<String>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = what;
        self.set.pulse.stir();
    }

    /// Tells what became of a saved file, once: at the terminal, and on the page by what this gives.
    pub(super) fn tell(&self) -> Option<News> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.tell(&self.set.live) {
            self.set.pulse.stir();
        }
        told.news.clone()
    }

    /// Takes up what was saved, so that the next event goes by it. `false` if that is broken: what was in force stays.
    pub(super) async fn takes_up(&self) -> bool {
        let refused = matches!(reload::reload(&self.set.live).await, Some(Reloaded::Refused(_)));
        self.tell();
        if refused {
            println!("{}", term::bad("nothing was sent: fix the file, and press Enter again"));
        }
        !refused
    }

    /// Posts one sample, waits until it has been dealt with, and shows what came of it. Gives the number of messages.
    pub(super) async fn send(&self, name: &str, scheme: Option<&str>) -> anyhow::Result<usize> {
        let sample = samples::named(name).with_context(|| format!("there is no sample `{name}`"))?;
        let live = &self.set.live;
        let now = live.clock.now();
        let instance = sample.instance(&mut fastrand::Rng::new(), now);
        let body = instance.raw();
        let outgoing = Outgoing { id: &instance.id, kind: &instance.kind, body: &body, at: now };
        let signed = self.set.source.sign(scheme, &outgoing).context("the demo's secret can't sign")?;
        let webhooks = self.webhooks.get().context("the demo's server has not started")?;
        let url = format!("http://{webhooks}{}", self.set.source.path);
        let mut request = self.http.post(url).header("content-type", "application/json").body(body);
        for (header, value) in signed {
            request = request.header(header, value);
        }
        let seen = self.set.inbox.last();
        let status = request.send().await?.status();
        if !status.is_success() {
            bail!("the server answered {status} to `{name}`");
        }
        self.settle().await?;
        if let Some(seq) = live.store.find_event(&instance.id).await?.first() {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(*seq);
        }
        let arrived = self.set.inbox.after(seen);
        show::event(live, name, sample.about, &instance.id, &arrived).await?;
        self.set.pulse.stir();
        Ok(arrived.len())
    }

    /// Waits until everything is planned and nothing is due or on its way.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let live = &self.set.live;
        let waited = async {
            loop {
                let census = live.store.census().await?;
                let soon = DeliveryFilter {
                    states: vec![State::Due, State::Sending, State::Retrying],
                    limit: 1,
                    ..DeliveryFilter::default()
                };
                let waiting = live.store.list_deliveries(&soon).await?;
                let next = live.store.timers((Timestamp::MIN, ""), 1).await?;
                let is_due = next.first().is_some_and(|timer| timer.timer.due <= live.clock.now());
                if census.planned >= census.head && waiting.is_empty() && !is_due {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // What takes longer is shown as it stands.
        tokio::time::timeout(PATIENCE, waited).await.unwrap_or(Ok(()))
    }

    /// Counts what went where, and says whether every delivery arrived.
    pub(super) async fn summary(&self, events: usize, messages: usize) -> anyhow::Result<bool> {
        let census = self.set.live.store.census().await?;
        let count = |state| census.deliveries.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
        let delivered = count(State::Delivered);
        let missing: u64 = [State::Due, State::Sending, State::Retrying, State::Dead].into_iter().map(count).sum();
        println!(
            "{} sent, {} arrived, {} waiting for their time",
            term::count(events, "event", "events"),
            term::count(messages, "message", "messages"),
            term::count(usize::try_from(census.timers).unwrap_or(usize::MAX), "timer", "timers"),
        );
        let good = missing == 0 && delivered > 0 && messages > 0;
        if good {
            println!("{}", term::good("every delivery arrived"));
        } else {
            println!("{}", term::bad(&format!("{missing} of {} did not arrive", delivered + missing)));
        }
        Ok(good)
    }
}
