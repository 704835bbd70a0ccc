//! Rehearse: the same steps on a store in memory, a clock that is moved by hand, and a wire that records.
//!
//! What `test` and `backtest` believe in: there is no second evaluator. An event goes through its source's signature,
//! the inbox, `plan::step` and `dispatch`, as it does in a server, and moving the clock stops at every moment at which a
//! server would have woken up. Two things differ. Nobody is there to answer: the wire answers as each channel says that its
//! service does, or not at all where a destination is set to fail; so receipts, and with them threads, edits and closes,
//! are those of the channel. And rates are left out, because they delay messages by seconds and change none, and what a
//! test says would depend on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::channels::redact::Redactor;
use crate::channels::wire::Transport;
use crate::channels::{Can, Channel, ChannelKind, Facts, Footer, HttpRequest, Reply, Request, Sending, Verdict};
use crate::clock::{Clock, VirtualClock, plus};
use crate::config::{Destination, Snapshot};
use crate::delivery::{Addressed, AttemptOutcome, Delivery, DeliveryId, MessageOp, Receipt, Say, State};
use crate::event::{Event, Seq};
use crate::message::{Rendered, plain};
use crate::pace::{Limits, Retry};
use crate::problem::{File, Location};
use crate::rules::{Rule, RuleSet};
use crate::secret::Secret;
use crate::steps::links::Ring;
use crate::steps::render::Renderer;
use crate::steps::{Live, StepResult, dispatch, plan};
use crate::store::{DeliveryFilter, EventFilter};
use crate::{channels, store};

pub mod cover;
pub mod drill;
pub mod past;
pub mod play;
pub mod sample;
pub mod show;

/// The most turns that one rehearsal takes, unless set otherwise: an endless one is stopped, and says so. An hourly
/// reminder takes two of them, so this is more than a year of it; all of them take about a second.
const TURNS_MAX: u64 = 20_000;
/// How often what retention no longer wants is taken, as a server does.
const PRUNE_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How much is taken in one go.
const PRUNE_STEP: usize = 500;
/// All at once.
const NO_LIMITS: Limits = Limits { spacing: None, burst: 1, concurrency: u32::MAX };

/// What rehearsals share: a snapshot whose destinations record.
#[derive(Debug)]
pub struct Stage {
    base: Snapshot,
    destinations: BTreeMap<String, Arc<Destination>>,
    /// The address of an empty store for each rehearsal.
    store: fn() -> Secret,
}

impl Stage {
    /// The stage for a snapshot. Where it knows no destinations, because there is no `fanfare.yaml`, each that a rule
    /// names becomes one that takes everything.
    pub fn new(base: Snapshot) -> Self {
        let mut destinations: BTreeMap<String, Arc<Destination>> =
            base.destinations.values().map(|real| (real.name.clone(), Arc::new(unhurried(real)))).collect();
        if destinations.is_empty() {
            let named = base.rules.iter().flat_map(|rules| rules.destinations()).map(|to| to.value.clone());
            let named: BTreeSet<String> = named.collect();
            destinations =
                named.into_iter().filter_map(|name| Some((name.clone(), Arc::new(neutral(name)?)))).collect();
        }
        Self { base, destinations, store: || Secret::new("memory:") }
    }

    /// The same with each rehearsal on a store of its own at an address that this makes, not in memory.
    #[must_use]
    pub fn kept_in(self, store: fn() -> Secret) -> Self {
        Self { store, ..self }
    }

    /// The same, and it is noted which branches of templates are taken.
    #[must_use]
    pub fn watching(mut self) -> Self {
        let actions = self.base.rules.iter().flat_map(|rules| &rules.rules).flat_map(Rule::all_actions);
        let texts = actions.filter_map(|action| match &action.say.value {
            Say::Text(text) => Some((text.as_str(), &action.say.place)),
            Say::Message(_) | Say::Default | Say::Summary => None,
        });
        let watched = self.base.templates.watching(texts);
        self.base.templates = Arc::new(watched);
        self
    }

    /// The snapshot that it was made from.
    pub fn snapshot(&self) -> &Snapshot {
        &self.base
    }

    /// The names of the destinations.
    pub fn destinations(&self) -> BTreeSet<String> {
        self.destinations.keys().cloned().collect()
    }

    /// A rehearsal with these rules. All chance in it comes from `seed`.
    pub async fn rehearse(&self, rules: Arc<RuleSet>, start: Timestamp, seed: u64) -> Result<Rehearsal, store::Error> {
        let snapshot =
            Snapshot { destinations: self.destinations.clone(), rules: Some(rules), since: start, ..self.base.clone() };
        let store = store::open(&(self.store)(), Path::new("")).await?;
        let clock = VirtualClock::new(start);
        let wire = Arc::new(Recorder::new(self.destinations.clone()));
        let mut live = Live::new(store, Arc::new(snapshot), Arc::new(clock.clone()), wire.clone(), seed);
        live.renderer = Renderer::inline();
        live.judging = Duration::MAX;
        live.links = Ring::hidden();
        Ok(Rehearsal {
            live,
            clock,
            wire,
            sent: Vec::new(),
            turns: 0,
            turns_max: TURNS_MAX,
            pruned: start,
            keeps_all: false,
        })
    }
}

/// A destination without a rate: only what is composed and answered counts.
fn unhurried(real: &Destination) -> Destination {
    Destination {
        name: real.name.clone(),
        kind: real.kind,
        retry: real.retry,
        limits: NO_LIMITS,
        timeout: real.timeout,
        hours: real.hours.clone(),
        locale: real.locale,
        fallback: real.fallback.clone(),
        fallback_after: real.fallback_after,
        reach: real.reach.clone(),
        footer: real.footer.clone(),
        mentions: real.mentions.clone(),
        external: real.external,
        audience: real.audience.clone(),
        place: real.place.clone(),
        channel: real.channel.clone(),
        redactor: real.redactor.clone(),
    }
}

/// A destination that no file describes.
fn neutral(name: String) -> Option<Destination> {
    let kind: &'static ChannelKind = channels::ALL.first()?;
    Some(Destination {
        name,
        kind,
        channel: Arc::new(Neutral),
        redactor: Redactor::default(),
        retry: Retry::default(),
        limits: NO_LIMITS,
        timeout: SignedDuration::from_secs(10),
        hours: None,
        locale: None,
        fallback: Vec::new(),
        fallback_after: None,
        reach: None,
        footer: Footer::Usual,
        mentions: BTreeMap::new(),
        external: false,
        audience: None,
        place: Location::new(&File::new("fanfare.yaml", ""), 0..0),
    })
}

/// A channel of no kind, that can change what it sent.
#[derive(Debug)]
struct Neutral;

impl Channel for Neutral {
    fn compose(&self, sending: &Sending<'_>) -> Result<Request, String> {
        Ok(Request::Http(HttpRequest {
            method: "POST",
            url: Secret::new("https://rehearsal.invalid/"),
            headers: Vec::new(),
            body: plain::message(&sending.rendered.message).into_bytes(),
        }))
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        match reply {
            Reply::NotSent(why) => Verdict::new(AttemptOutcome::Temporary, why.clone()),
            _ => Verdict::new(AttemptOutcome::Delivered, "taken").receipt(Receipt::new()),
        }
    }

    fn remembers(&self, _sending: &Sending<'_>) -> Option<Receipt> {
        None
    }

    fn taken(&self, _request: &Request) -> Reply {
        Reply::http(200, "")
    }

    fn chosen(&self, _root: &Value, _names: &Map<String, Value>) -> Option<String> {
        None
    }

    fn facts(&self) -> &Facts {
        static FACTS: Facts = Facts {
            can: Can { threads: false, edits: true, resolves: false },
            secrets: Vec::new(),
            address: String::new(),
            endpoints: Vec::new(),
            names: Vec::new(),
            mapped: None,
            by_event: false,
        };
        &FACTS
    }
}

/// The wire: takes everything as the channel says that its service does, except for destinations that are set to fail, and
/// remembers what it took last.
#[derive(Debug)]
struct Recorder {
    destinations: BTreeMap<String, Arc<Destination>>,
    failing: Mutex<BTreeSet<String>>,
    last: Mutex<Option<Request>>,
}

impl Recorder {
    fn new(destinations: BTreeMap<String, Arc<Destination>>) -> Self {
        Self { destinations, failing: Mutex::default(), last: Mutex::default() }
    }

    fn set(&self, destination: &str, fails: bool) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if fails {
            failing.insert(destination.to_owned());
        } else {
            failing.remove(destination);
        }
    }

    fn take(&self) -> Option<Request> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Transport for Recorder {
    fn send<'a>(
        &'a self,
        destination: &'a str,
        request: &'a Request,
        _deadline: Duration,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
        let fails = self.failing.lock().unwrap_or_else(PoisonError::into_inner).contains(destination);
        let reply = match self.destinations.get(destination).filter(|_| !fails) {
            Some(known) => known.channel.taken(request),
            None => Reply::NotSent("told to fail".into()),
        };
        Box::pin(std::future::ready(reply))
    }
}

/// A message or an update that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// The delivery.
    pub id: DeliveryId,
    /// The event that set it off, by its place in the rehearsal's inbox.
    pub event: Seq,
    /// The rule.
    pub rule: String,
    /// The action, by its identity within the rule.
    pub action: String,
    /// The destination.
    pub destination: String,
    /// The address that a map gave.
    pub to: Option<Addressed>,
    /// What it did to what stood there.
    pub act: MessageOp,
    /// What it said.
    pub rendered: Rendered,
    /// What went over the wire, if anything had to.
    pub request: Option<Request>,
}

/// Why a rehearsal can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// The store in memory failed.
    #[error("the rehearsal's store failed: {0}")]
    Store(#[from] store::Error),
    /// It would take too long.
    #[error("too many steps for a test: use a shorter `wait`, or a longer `repeat`")]
    TooLong,
}

/// The running parts on a store in memory, at a given time.
#[derive(Debug)]
pub struct Rehearsal {
    live: Live,
    clock: VirtualClock,
    wire: Arc<Recorder>,
    sent: Vec<Sent>,
    turns: u64,
    pruned: Timestamp,
    /// The most turns that it takes.
    pub turns_max: u64,
    /// Whether nothing is forgotten, for those who look at everything in the end.
    pub keeps_all: bool,
}

impl Rehearsal {
    /// What its clock shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An event comes, and all that it leads to at once is done.
    pub async fn receive(&mut self, event: Event) -> Result<store::Appended, Stuck> {
        let appended = self.live.store.append(event).await?;
        self.settle().await?;
        Ok(appended)
    }

    /// Moves the clock on to `until`, and does everything on the way at its moment.
    pub async fn wait_until(&mut self, until: Timestamp) -> Result<(), Stuck> {
        while let Some(next) = self.settle().await?.filter(|next| *next <= until) {
            // What was due and could not be done yet must not keep the clock from going on.
            self.clock.set(next.max(plus(self.now(), SignedDuration::from_millis(1))));
            self.prune().await?;
        }
        self.clock.set(until.max(self.now()));
        self.settle().await?;
        Ok(())
    }

    /// How many turns it has taken: of planning, and of dispatching what is due.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// A destination fails from now on, or works again.
    pub fn set_failing(&self, destination: &str, fails: bool) {
        self.wire.set(destination, fails);
    }

    /// What was sent since this was last asked, in the order of sending.
    pub fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// All events, Fanfare's own too, that are still there.
    pub async fn events(&self) -> Result<Vec<Event>, Stuck> {
        let filter = EventFilter { limit: usize::MAX, ..EventFilter::default() };
        Ok(self.live.store.list_events(&filter).await?.into_iter().map(|(_, event)| event.read()).collect())
    }

    /// All deliveries that are still there, sent or not.
    pub async fn deliveries(&self) -> Result<Vec<Delivery>, Stuck> {
        let filter = DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() };
        Ok(self.live.store.list_deliveries(&filter).await?)
    }

    /// Plans and dispatches until there is nothing to do at this moment. Gives when there will be.
    async fn settle(&mut self) -> Result<Option<Timestamp>, Stuck> {
        loop {
            self.turns += 1;
            if self.turns > self.turns_max {
                return Err(Stuck::TooLong);
            }
            let now = self.now();
            let turn = plan::step(&self.live, now).await?;
            let claimed = dispatch::claim(&self.live, &HashMap::new(), now).await?;
            for claim in &claimed.claims {
                let id = claim.delivery.planned.id.clone();
                dispatch::carry_out(&self.live, claim.clone()).await?;
                self.record(&id).await?;
            }
            if let (StepResult::Idle(until), true) = (turn, claimed.claims.is_empty() && !claimed.told) {
                return Ok([until, claimed.next].into_iter().flatten().min());
            }
        }
    }

    /// Records a delivery that was carried out, if it was taken.
    async fn record(&mut self, id: &DeliveryId) -> Result<(), Stuck> {
        let request = self.wire.take();
        let Some((delivery, _)) = self.live.store.delivery(id).await? else { return Ok(()) };
        let rendered = delivery.message.as_deref().and_then(|text| serde_json::from_str(text).ok());
        if let (State::Delivered, Some(rendered)) = (delivery.state, rendered) {
            let planned = delivery.planned;
            self.sent.push(Sent {
                at: self.now(),
                id: planned.id,
                event: planned.event,
                rule: planned.rule,
                action: planned.action,
                destination: planned.destination,
                to: planned.assignment.to,
                act: planned.act,
                rendered,
                request,
            });
        }
        Ok(())
    }

    /// Forgets what a server would have forgotten.
    async fn prune(&mut self) -> Result<(), Stuck> {
        let now = self.now();
        if self.keeps_all || now.duration_since(self.pruned) < PRUNE_EVERY {
            return Ok(());
        }
        self.pruned = now;
        let settings = self.live.snapshot.load().settings.clone();
        let before = plus(now, SignedDuration::ZERO - settings.retention);
        let before_dead = plus(now, SignedDuration::ZERO - settings.retention_dead);
        while self.live.store.prune(before, before_dead, PRUNE_STEP).await? > 0 {}
        Ok(())
    }
}
