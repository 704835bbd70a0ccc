//! Every noteworthy thing, once: its log line and its metric together.
//!
//! A step says *what* happened by calling one method; how it is logged and counted is decided here and nowhere else,
//! so the two can't drift apart. Nothing here takes a body, a title or a secret: ids, names from the configuration and
//! closed sets of words only, which also bounds the number of time series.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use tracing::{debug, error, info, warn};

use crate::delivery::{Attempt, AttemptOutcome, DeliveryId, State};
use crate::event::EventId;

pub mod log;
mod refusals;

use self::refusals::Refusals;

/// Names of labels with what each says, in the order of `/metrics`.
type Labels<const N: usize> = [(&'static str, String); N];

/// Which delivery something is said of.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// The delivery.
    pub delivery: &'a DeliveryId,
    /// Where it goes.
    pub destination: &'a str,
    /// The rule that asked for it.
    pub rule: &'a str,
    /// The id of the event that it speaks of, and its type; none where retention took the event.
    pub event: Option<(&'a EventId, &'a str)>,
}

/// Counts and logs. One for each running program, so that tests run side by side.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    events: Family<Labels<2>, Counter>,
    refused: Family<Labels<2>, Counter>,
    rules: Family<Labels<2>, Counter>,
    planned: Counter,
    attempts: Family<Labels<2>, Counter>,
    finished: Family<Labels<2>, Counter>,
    seconds: Family<Labels<1>, Histogram>,
    renderings: Family<Labels<1>, Counter>,
    undefined: Family<Labels<1>, Counter>,
    reloads: Family<Labels<1>, Counter>,
    stale: Gauge,
    store_errors: Family<Labels<1>, Counter>,
    parked: Counter,
    head: Gauge,
    lag: Gauge,
    deliveries: Family<Labels<1>, Gauge>,
    oldest_due: Gauge<f64, AtomicU64>,
    bytes: Gauge,
    cases_waiting: Gauge,
    cases_open: Gauge,
    reached: Family<Labels<1>, Histogram>,
    failing: Family<Labels<1>, Gauge>,
    loaded: Gauge<i64, AtomicI64>,
    absence: Gauge,
    heartbeats: Family<Labels<1>, Counter>,
    task_ends: Family<Labels<1>, Counter>,
    stalled: Family<Labels<1>, Gauge>,
    refusals: Refusals,
    certificate: Family<Labels<1>, Gauge>,
    /// Whether the last heartbeat was called: what goes on for hours is said once.
    beating: AtomicBool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::beside(Counter::default())
    }

    /// The same, beside a log that counts the lines it dropped.
    pub fn beside(log_dropped: Counter) -> Self {
        let mut all = Metrics(Registry::with_prefix("fanfare"));
        all.register("log_lines_dropped", "Log lines that could not be written", log_dropped);
        let build: Family<Labels<1>, Gauge> = all.metric("build_info", "Always 1; the version that runs");
        labelled(&build, [("version", env!("CARGO_PKG_VERSION"))]).set(1);
        Self {
            events: all.metric("events", "Events with a valid signature"),
            refused: all.metric("refused", "Refused requests, by reason"),
            rules: all.metric("rules", "Decisions of rules about events"),
            planned: all.metric("deliveries_planned", "Deliveries planned"),
            attempts: all.metric("attempts", "Attempts by outcome"),
            finished: all.metric("deliveries_finished", "Finished deliveries"),
            seconds: all.register(
                "attempt_seconds",
                "Duration of attempts",
                Family::new_with_constructor(attempt_seconds),
            ),
            renderings: all.metric("template_failures", "Messages that fell back to the default"),
            undefined: all.metric("template_undefined", "Missing values that a template used"),
            reloads: all.metric("reloads", "Reloads by result"),
            stale: all.metric("rules_stale", "1 while files on disk are broken and older rules stay in force"),
            store_errors: all.metric("store_errors", "Failed operations of the store"),
            parked: all.metric("events_parked", "Events that planning could not handle"),
            head: all.metric("inbox_head", "The newest position of the inbox"),
            lag: all.metric("inbox_lag", "Inbox entries not planned yet"),
            deliveries: all.metric("deliveries", "Deliveries by state; PostgreSQL estimates more than 10,000"),
            oldest_due: all.metric("oldest_due_seconds", "How long the oldest due delivery has waited"),
            bytes: all.metric("store_bytes", "Size of the store on disk"),
            cases_waiting: all.metric("cases_waiting", "Cases that wait for a person"),
            cases_open: all.metric("cases_open", "Open cases"),
            reached: all.register(
                "event_to_delivery_seconds",
                "From the receipt of an event to the delivery of a message planned within an hour, without digests",
                Family::new_with_constructor(reached_seconds),
            ),
            failing: all
                .metric("destination_failing", "1 while a destination is marked failing or its breaker is open"),
            loaded: all.metric("loaded_timestamp_seconds", "When the rules in force were loaded"),
            absence: all.metric(
                "absence_seconds",
                "The downtime before this process, if longer than the sender's retries last",
            ),
            heartbeats: all.metric("heartbeats", "Calls of the heartbeat's URL, by result"),
            task_ends: all.metric("task_ends", "Main tasks that ended unexpectedly"),
            stalled: all
                .metric("stalled", "1 while work is due and planning or dispatching has made no step for a minute"),
            certificate: all
                .metric("tls_certificate_expires_timestamp_seconds", "When the certificate in force expires"),
            refusals: Refusals::default(),
            beating: AtomicBool::new(true),
            registry: all.0,
        }
    }

    /// All metrics in the Prometheus text format.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// An event was made durable, or was durable already.
    pub fn received(&self, source: &str, event: &EventId, kind: &str, outcome: &'static str) {
        labelled(&self.events, [("source", source), ("outcome", outcome)]).inc();
        match outcome {
            "conflict" => warn!(source, %event, "a known id came with another body; kept, but no rule acts on it"),
            _ => debug!(source, %event, "type" = kind, outcome, "received"),
        }
    }

    /// A request was refused.
    pub fn refused(&self, source: &str, reason: &'static str, detail: &str) {
        labelled(&self.refused, [("source", source), ("outcome", reason)]).inc();
        self.refusals.refused(source, reason, detail);
    }

    /// Logs the refusals that are counted and not logged yet.
    pub fn tell_refusals(&self) {
        self.refusals.tell();
    }

    /// A main task ended although the process did not. `then` says what comes of it.
    pub fn task_ended(&self, task: &str, how: &str, then: &str) {
        labelled(&self.task_ends, [("task", task)]).inc();
        error!(task, how, then, "a main task ended");
    }

    /// A step makes none although something is due, or makes them again where `why` is none.
    pub fn stalled(&self, step: &'static str, why: Option<&str>) {
        let was = labelled(&self.stalled, [("step", step)]).set(i64::from(why.is_some())) == 1;
        match why {
            Some(why) if !was => error!(step, why, "stalled: due work makes no progress"),
            None if was => info!(step, "work makes progress again"),
            _ => {}
        }
    }

    /// The store could not do something.
    pub fn store_failed(&self, doing: &'static str, said: &str) {
        labelled(&self.store_errors, [("result", doing)]).inc();
        error!(doing, error = said, "the store failed");
    }

    /// A rule did something about this many events.
    pub fn rule(&self, rule: &str, outcome: &str, events: u64) {
        labelled(&self.rules, [("rule", rule), ("outcome", outcome)]).inc_by(events);
    }

    /// A batch was planned.
    pub fn planned(&self, entries: usize, timers: usize, deliveries: u64) {
        self.planned.inc_by(deliveries);
        debug!(entries, timers, deliveries, "planned");
    }

    /// An event could not be planned and was set aside.
    pub fn parked(&self, event: &EventId, reason: &str) {
        self.parked.inc();
        error!(event = %event, reason, "parked: planning this event failed");
    }

    /// An attempt ended.
    pub fn attempted(&self, of: Of<'_>, attempt: &Attempt) {
        let Attempt { number, took_ms, outcome, answer, .. } = attempt;
        let Of { delivery, destination, rule, .. } = of;
        let (event, kind) = of.event.map_or(("", ""), |(id, kind)| (id.as_str(), kind));
        labelled(&self.attempts, [("destination", destination), ("outcome", outcome.name())]).inc();
        labelled(&self.seconds, [("destination", destination)])
            .observe(SignedDuration::from_millis(i64::try_from(*took_ms).unwrap_or(i64::MAX)).as_secs_f64());
        match outcome {
            AttemptOutcome::Delivered => {
                info!(%delivery, destination, rule, event, "type" = kind, attempt = number, took_ms, "delivered");
            }
            _ => {
                let outcome = outcome.name();
                warn!(%delivery, destination, rule, event, "type" = kind, attempt = number, outcome, answer, "an attempt failed");
            }
        }
    }

    /// What a destination leads to is elsewhere now.
    pub fn moved(&self, destination: &str, notice: &str) {
        warn!(destination, notice, "a destination has moved: a person should change its address");
    }

    /// A delivery became final.
    pub fn finished(&self, of: Of<'_>, state: State, reason: &str) {
        let Of { delivery, destination, rule, .. } = of;
        labelled(&self.finished, [("destination", destination), ("outcome", state.name())]).inc();
        if state == State::Dead {
            let (event, kind) = of.event.map_or(("", ""), |(id, kind)| (id.as_str(), kind));
            error!(%delivery, destination, rule, event, "type" = kind, reason, "dead: a person should look");
        }
    }

    /// A message could not be rendered and the default went instead, or a template used a missing value.
    pub fn rendered(&self, message: &str, problem: Option<&str>, undefined: u32) {
        if let Some(problem) = problem {
            labelled(&self.renderings, [("message", message)]).inc();
            error!(template = message, problem, "a template failed; the default message is sent instead");
        }
        if undefined > 0 {
            labelled(&self.undefined, [("message", message)]).inc_by(u64::from(undefined));
            warn!(template = message, undefined, "a template used a value that the event does not have");
        }
    }

    /// Rules were loaded.
    pub fn loaded(&self, hash: &str, rules: usize, since_s: i64) {
        labelled(&self.reloads, [("result", "loaded")]).inc();
        self.stale.set(0);
        self.loaded.set(since_s);
        info!(hash, rules, "in force");
    }

    /// Files ask for something that only a restart gives.
    pub fn needs_restart(&self, keys: &[&str]) {
        warn!(keys = keys.join(", "), "changed; in force only after a restart");
    }

    /// New rules no longer speak of an open case, or have no more what it waits for.
    pub fn orphaned(&self, rule: &str, key: &str, actions: &[String]) {
        warn!(rule, key, actions = actions.join(", "), "the new rules orphan an open case");
    }

    /// Files are broken at the start: events are received and kept, and planned when the rules are right.
    pub fn start_failed(&self, errors: usize, report: &str) {
        labelled(&self.reloads, [("result", "failed")]).inc();
        self.stale.set(1);
        error!(errors, "no rules are in force: events are kept, and planned when the files are correct\n{report}");
    }

    /// Files are broken; what was in force stays. `report` is every problem in full.
    pub fn reload_failed(&self, errors: usize, report: &str) {
        labelled(&self.reloads, [("result", "failed")]).inc();
        self.stale.set(1);
        error!(errors, "reload refused; the old rules stay in force\n{report}");
    }

    /// Nobody was there to take events in, for longer than the sender goes on sending again.
    pub fn absent(&self, from: Timestamp, until: Timestamp, length: &str) {
        self.absence.set(until.duration_since(from).as_secs());
        warn!(
            %from, %until, length,
            "no process received events for longer than the sender retries: ask the sender to resend what failed"
        );
    }

    /// Anyone who watches was called, or wasn't because all is not well.
    pub fn heartbeat(&self, result: &'static str, why: &str) {
        labelled(&self.heartbeats, [("result", result)]).inc();
        let is_called = result == "called";
        match (self.beating.swap(is_called, Ordering::Relaxed), is_called) {
            (true, false) => warn!(result, why, "no heartbeat"),
            (false, true) => info!("the heartbeat is called again"),
            _ => debug!(result, why, "heartbeat"),
        }
    }

    /// The newest position of the inbox, and the last planned one, for the gauges.
    pub fn inbox(&self, head: i64, planned: i64) {
        self.head.set(head);
        self.lag.set(head - planned);
    }

    /// How deliveries stand, for the gauges.
    pub fn census(&self, deliveries: &[(State, u64)], oldest_due_s: f64, bytes: u64) {
        for state in State::ALL {
            let count = deliveries.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            labelled(&self.deliveries, [("state", state.name())]).set(count);
        }
        self.oldest_due.set(oldest_due_s);
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// How many cases are open, and how many of them wait for a person.
    pub fn cases(&self, open: usize, waiting: usize) {
        self.cases_open.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.cases_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// A message arrived this long after its event was received.
    pub fn reached(&self, destination: &str, after: SignedDuration) {
        labelled(&self.reached, [("destination", destination)]).observe(after.as_secs_f64().max(0.0));
    }

    /// Until when the certificate in force is good.
    pub fn certificate(&self, expires: Timestamp) {
        labelled(&self.certificate, [("listener", "webhooks")]).set(expires.as_second());
    }

    /// Whether a destination is marked failing, or its breaker is not shut.
    pub fn failing(&self, destination: &str, failing: bool) {
        labelled(&self.failing, [("destination", destination)]).set(i64::from(failing));
    }
}

/// The metric of a family with these labels.
fn labelled<const N: usize, M: Clone>(
    family: &Family<Labels<N>, M>,
    labels: [(&'static str, &str); N],
) -> impl Deref<Target = M> {
    family.get_or_create(&labels.map(|(name, value)| (name, value.to_owned())))
}

/// The registry while its metrics are made: each is named, explained and kept in one line.
struct Metrics(Registry);

impl Metrics {
    fn metric<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.register(name, help, M::default())
    }

    fn register<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

fn reached_seconds() -> Histogram {
    Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0])
}

fn attempt_seconds() -> Histogram {
    Histogram::new([0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}
