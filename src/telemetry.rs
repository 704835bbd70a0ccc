//! Every noteworthy thing, once: its log line and its metric together.
//!
//! A step says *what* happened by calling one method; how it is logged and counted is decided here and nowhere else,
//! so the two can't drift apart. Nothing here takes a body, a title or a secret: ids, names from the configuration and
//! closed sets of words only, which also bounds the number of time series.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing::{debug, error, info, warn};

use crate::delivery::{Attempt, DeliveryId, Outcome, State};
use crate::event::EventId;

pub mod log;
mod refusals;

use self::refusals::Refusals;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    rule: String,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationLabels {
    destination: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabels {
    destination: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessageLabels {
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: &'static str,
}

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

/// Counts and logs. One for each running program, so that tests run side by side.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    events: Family<SourceLabels, Counter>,
    refused: Family<SourceLabels, Counter>,
    rules: Family<RuleLabels, Counter>,
    planned: Counter,
    attempts: Family<DestinationLabels, Counter>,
    finished: Family<DestinationLabels, Counter>,
    seconds: Family<NameLabels, Histogram>,
    renderings: Family<MessageLabels, Counter>,
    undefined: Family<MessageLabels, Counter>,
    reloads: Family<ResultLabels, Counter>,
    stale: Gauge,
    store_errors: Family<ResultLabels, Counter>,
    parked: Counter,
    head: Gauge,
    lag: Gauge,
    deliveries: Family<StateLabels, Gauge>,
    oldest_due: Gauge<f64, AtomicU64>,
    bytes: Gauge,
    cases_waiting: Gauge,
    failing: Family<NameLabels, Gauge>,
    loaded: Gauge<i64, AtomicI64>,
    absence: Gauge,
    heartbeats: Family<ResultLabels, Counter>,
    task_ends: Family<TaskLabels, Counter>,
    stalled: Family<StepLabels, Gauge>,
    refusals: Refusals,
    certificate: Family<ListenerLabels, Gauge>,
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
        let mut registry = Registry::with_prefix("fanfare");
        let mut telemetry = Self {
            events: Family::default(),
            refused: Family::default(),
            rules: Family::default(),
            planned: Counter::default(),
            attempts: Family::default(),
            finished: Family::default(),
            seconds: Family::new_with_constructor(attempt_seconds),
            renderings: Family::default(),
            undefined: Family::default(),
            reloads: Family::default(),
            stale: Gauge::default(),
            store_errors: Family::default(),
            parked: Counter::default(),
            head: Gauge::default(),
            lag: Gauge::default(),
            deliveries: Family::default(),
            oldest_due: Gauge::default(),
            bytes: Gauge::default(),
            cases_waiting: Gauge::default(),
            failing: Family::default(),
            loaded: Gauge::default(),
            absence: Gauge::default(),
            heartbeats: Family::default(),
            task_ends: Family::default(),
            stalled: Family::default(),
            refusals: Refusals::default(),
            certificate: Family::default(),
            beating: AtomicBool::new(true),
            registry: Registry::default(),
        };
        registry.register("events", "Events with a valid signature", telemetry.events.clone());
        registry.register("refused", "Refused requests, by reason", telemetry.refused.clone());
        registry.register("rules", "Decisions of rules about events", telemetry.rules.clone());
        registry.register("deliveries_planned", "Deliveries planned", telemetry.planned.clone());
        registry.register("attempts", "Attempts by outcome", telemetry.attempts.clone());
        registry.register("deliveries_finished", "Finished deliveries", telemetry.finished.clone());
        registry.register("attempt_seconds", "Duration of attempts", telemetry.seconds.clone());
        registry.register("template_failures", "Messages that fell back to the default", telemetry.renderings.clone());
        registry.register("template_undefined", "Missing values that a template used", telemetry.undefined.clone());
        registry.register("reloads", "Reloads by result", telemetry.reloads.clone());
        registry.register(
            "rules_stale",
            "1 while files on disk are broken and older rules stay in force",
            telemetry.stale.clone(),
        );
        registry.register("store_errors", "Failed operations of the store", telemetry.store_errors.clone());
        registry.register("events_parked", "Events that planning could not handle", telemetry.parked.clone());
        registry.register("inbox_head", "The newest position of the inbox", telemetry.head.clone());
        registry.register("inbox_lag", "Inbox entries not planned yet", telemetry.lag.clone());
        registry.register("deliveries", "Deliveries by state", telemetry.deliveries.clone());
        registry.register(
            "oldest_due_seconds",
            "How long the oldest due delivery has waited",
            telemetry.oldest_due.clone(),
        );
        registry.register("store_bytes", "Size of the store on disk", telemetry.bytes.clone());
        registry.register("cases_waiting", "Cases that wait for a person", telemetry.cases_waiting.clone());
        registry.register(
            "destination_failing",
            "1 while a destination is marked failing or its breaker is open",
            telemetry.failing.clone(),
        );
        registry.register("loaded_timestamp_seconds", "When the rules in force were loaded", telemetry.loaded.clone());
        registry.register(
            "absence_seconds",
            "The downtime before this process, if longer than the sender's retries last",
            telemetry.absence.clone(),
        );
        registry.register("heartbeats", "Calls of the heartbeat's URL, by result", telemetry.heartbeats.clone());
        registry.register("task_ends", "Main tasks that ended unexpectedly", telemetry.task_ends.clone());
        registry.register(
            "stalled",
            "1 while work is due and planning or dispatching has made no step for a minute",
            telemetry.stalled.clone(),
        );
        registry.register("log_lines_dropped", "Log lines that could not be written", log_dropped);
        registry.register(
            "tls_certificate_expires_timestamp_seconds",
            "When the certificate in force expires",
            telemetry.certificate.clone(),
        );
        telemetry.registry = registry;
        telemetry
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
        self.events.get_or_create(&SourceLabels { source: source.to_owned(), outcome }).inc();
        match outcome {
            "conflict" => warn!(source, %event, "a known id came with another body; kept, but no rule acts on it"),
            _ => debug!(source, %event, "type" = kind, outcome, "received"),
        }
    }

    /// A request was refused.
    pub fn refused(&self, source: &str, reason: &'static str, detail: &str) {
        self.refused.get_or_create(&SourceLabels { source: source.to_owned(), outcome: reason }).inc();
        self.refusals.refused(source, reason, detail);
    }

    /// Logs the refusals that are counted and not logged yet.
    pub fn tell_refusals(&self) {
        self.refusals.tell();
    }

    /// A main task ended although the process did not. `then` says what comes of it.
    pub fn task_ended(&self, task: &str, how: &str, then: &str) {
        self.task_ends.get_or_create(&TaskLabels { task: task.to_owned() }).inc();
        error!(task, how, then, "a main task ended");
    }

    /// A step makes none although something is due, or makes them again where `why` is none.
    pub fn stalled(&self, step: &'static str, why: Option<&str>) {
        let was = self.stalled.get_or_create(&StepLabels { step }).set(i64::from(why.is_some())) == 1;
        match why {
            Some(why) if !was => error!(step, why, "stalled: due work makes no progress"),
            None if was => info!(step, "work makes progress again"),
            _ => {}
        }
    }

    /// The store could not do something.
    pub fn store_failed(&self, doing: &'static str, said: &str) {
        self.store_errors.get_or_create(&ResultLabels { result: doing }).inc();
        error!(doing, error = said, "the store failed");
    }

    /// A rule did something about this many events.
    pub fn rule(&self, rule: &str, outcome: &str, events: u64) {
        self.rules.get_or_create(&RuleLabels { rule: rule.to_owned(), outcome: outcome.to_owned() }).inc_by(events);
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
        let labels = DestinationLabels { destination: destination.to_owned(), outcome: outcome.name() };
        self.attempts.get_or_create(&labels).inc();
        self.seconds
            .get_or_create(&NameLabels { destination: destination.to_owned() })
            .observe(SignedDuration::from_millis(i64::try_from(*took_ms).unwrap_or(i64::MAX)).as_secs_f64());
        match outcome {
            Outcome::Delivered => {
                info!(%delivery, destination, rule, event, "type" = kind, attempt = number, took_ms, "delivered");
            }
            _ => {
                let outcome = outcome.name();
                warn!(%delivery, destination, rule, event, "type" = kind, attempt = number, outcome, answer, "an attempt failed");
            }
        }
    }

    /// A delivery became final.
    pub fn finished(&self, of: Of<'_>, state: State, reason: &str) {
        let Of { delivery, destination, rule, .. } = of;
        self.finished
            .get_or_create(&DestinationLabels { destination: destination.to_owned(), outcome: state.name() })
            .inc();
        if state == State::Dead {
            let (event, kind) = of.event.map_or(("", ""), |(id, kind)| (id.as_str(), kind));
            error!(%delivery, destination, rule, event, "type" = kind, reason, "dead: a person should look");
        }
    }

    /// A message could not be rendered and the default went instead, or a template used a missing value.
    pub fn rendered(&self, message: &str, problem: Option<&str>, undefined: u32) {
        let labels = MessageLabels { message: message.to_owned() };
        if let Some(problem) = problem {
            self.renderings.get_or_create(&labels).inc();
            error!(template = message, problem, "a template failed; the default message is sent instead");
        }
        if undefined > 0 {
            self.undefined.get_or_create(&labels).inc_by(u64::from(undefined));
            warn!(template = message, undefined, "a template used a value that the event does not have");
        }
    }

    /// Rules were loaded.
    pub fn loaded(&self, hash: &str, rules: usize, since_s: i64) {
        self.reloads.get_or_create(&ResultLabels { result: "loaded" }).inc();
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
        self.reloads.get_or_create(&ResultLabels { result: "failed" }).inc();
        self.stale.set(1);
        error!(errors, "no rules are in force: events are kept, and planned when the files are correct\n{report}");
    }

    /// Files are broken; what was in force stays. `report` is every problem in full.
    pub fn reload_failed(&self, errors: usize, report: &str) {
        self.reloads.get_or_create(&ResultLabels { result: "failed" }).inc();
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
        self.heartbeats.get_or_create(&ResultLabels { result }).inc();
        let is_called = result == "called";
        match (self.beating.swap(is_called, Ordering::Relaxed), is_called) {
            (true, false) => warn!(result, why, "no heartbeat"),
            (false, true) => info!("the heartbeat is called again"),
            _ => debug!(result, why, "heartbeat"),
        }
    }

    /// How the store stands, for the gauges.
    pub fn census(&self, head: i64, planned: i64, deliveries: &[(State, u64)], oldest_due_s: f64, bytes: u64) {
        self.head.set(head);
        self.lag.set(head - planned);
        for state in State::ALL {
            let count = deliveries.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.deliveries.get_or_create(&StateLabels { state: state.name() }).set(count);
        }
        self.oldest_due.set(oldest_due_s);
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// How many cases wait for a person.
    pub fn cases_waiting(&self, count: usize) {
        self.cases_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Until when the certificate in force is good.
    pub fn certificate(&self, expires: Timestamp) {
        self.certificate.get_or_create(&ListenerLabels { listener: "webhooks" }).set(expires.as_second());
    }

    /// Whether a destination is marked failing, or its breaker is not shut.
    pub fn failing(&self, destination: &str, failing: bool) {
        self.failing.get_or_create(&NameLabels { destination: destination.to_owned() }).set(i64::from(failing));
    }
}

fn attempt_seconds() -> Histogram {
    Histogram::new([0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}
