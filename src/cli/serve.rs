//! `fanfare serve`: loads, opens the store, runs the steps, ends in order.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::channels::wire::{Guard, Wire};
use crate::cli::{CommandOutcome, ENDED, Format, runtime, term};
use crate::clock::{AnchoredClock, Clock, RealClock};
use crate::config::substitute::RealEnvironment;
use crate::lint;
use crate::problem::{Gravity, Problems};
use crate::steps::supervisor::Supervisor;
use crate::steps::{Live, run};
use crate::telemetry::Telemetry;
use crate::telemetry::log::{self, Log};
use crate::{admin, server, store};

/// The last log lines are waited for no longer than this.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);
/// Ending takes no longer than this: more than finishing what is under way may take, and less than supervisors wait.
const END_MAX: Duration = Duration::from_secs(27);
/// What still runs when all is done is waited for no longer than this.
const LEFT_MAX: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT. SIGHUP reloads.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Plan everything, send nothing; count and show what would be sent
    #[arg(long)]
    shadow: bool,
    /// The log level (`error`, `warn`, `info`, `debug`), or a filter such as `info,fanfare::steps=debug`
    #[arg(long, value_name = "FILTER", env = "FANFARE_LOG", default_value = "info")]
    log: String,
    /// The format of log lines; by default text on a terminal, JSON otherwise
    #[arg(long, value_enum, value_name = "FORM")]
    log_format: Option<Format>,
}

impl Serve {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let filter: EnvFilter = self.log.parse().context("`--log` is not a filter")?;
        // A standard error of its own: nobody who writes to the other waits for the thread that writes to this one.
        let stderr = std::io::stderr().as_fd().try_clone_to_owned().context("standard error can't be opened")?;
        let log = Log::start(File::from(stderr)).context("the log can't be started")?;
        let said = Said { log: log.clone(), form: form(self.log_format) };
        start_log(&said, filter);
        log::log_panics();
        let outcome = self.start(config, &said).unwrap_or_else(|error| {
            said.say("ERROR", &format!("{} {error:#}", term::bad("error:")));
            CommandOutcome::Wrong
        });
        log.flush(LAST_LINES_MAX);
        Ok(outcome)
    }

    fn start(self, config: &Path, said: &Said) -> anyhow::Result<CommandOutcome> {
        let loaded = lint::load(config, &RealEnvironment, RealClock.now());
        report(&loaded.problems, said);
        let stale = loaded.problems.has_errors().then(|| (loaded.problems.count().0, loaded.report()));
        let Some(snapshot) = loaded.snapshot else {
            anyhow::bail!("`{}` is broken: nothing was started", config.display());
        };
        let runtime = runtime(true)?;
        let outcome = runtime.block_on(serve(self.shadow, snapshot, stale, &said.log));
        // What hangs, such as a file that doesn't answer or a rendering that was given up, doesn't keep the process.
        runtime.shutdown_timeout(LEFT_MAX);
        outcome
    }
}

async fn serve(
    shadow: bool,
    snapshot: crate::config::Snapshot,
    stale: Option<(usize, String)>,
    log: &Log,
) -> anyhow::Result<CommandOutcome> {
    // Before anything can be told to reload: until somebody listens, SIGHUP ends a process.
    let signals = Signals::new()?;
    let settings = snapshot.settings.clone();
    let base = settings.file.parent().unwrap_or(Path::new("")).to_owned();
    let store = store::open(&settings.store, &base).await.context("the store can't be opened")?;
    let guard = Guard::new(settings.egress_deny.clone(), settings.egress_allow.clone());
    let wire = Wire::new(guard).map_err(anyhow::Error::msg)?;
    let (hash, rules, since) = (snapshot.hash.clone(), snapshot.rule_count(), snapshot.since.as_second());
    let mut live =
        Live::new(store, Arc::new(snapshot), Arc::new(AnchoredClock::default()), Arc::new(wire), fastrand::u64(..));
    live.shadow = shadow;
    live.supervisor = Supervisor::find().context("the socket that `NOTIFY_SOCKET` names can't be reached")?;
    live.telemetry = Arc::new(Telemetry::beside(log.dropped()));
    live.bounds = server::files_left().map_or(live.bounds, |files| live.bounds.within(files));
    match stale {
        None => live.telemetry.loaded(&hash, rules, since),
        Some((errors, report)) => {
            live.telemetry.start_failed(errors, &report);
            live.stale.store(Arc::new(Some(report)));
        }
    }
    let live = Arc::new(live);
    let running = run::run(live.clone(), admin::router(live.clone())).await?;
    tracing::info!(webhooks = %running.webhooks, admin = %running.admin, shadow, "listening");
    let failure = signals.until_told(&live).await;
    tokio::spawn(async {
        // A second signal: at once. What was under way is sent again after the next start.
        if let Ok(mut again) = signal(SignalKind::terminate()) {
            tokio::select! { _ = again.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
            std::process::exit(130);
        }
    });
    tracing::info!(why = failure.as_deref().unwrap_or("told to"), "shutting down: finishing deliveries in progress");
    end_within(END_MAX, log.clone());
    let closed = running.drain().await;
    if let Some(why) = failure {
        tracing::error!(why, "this process can't continue: it ends, and the supervisor must restart it");
        return Ok(CommandOutcome::Ended);
    }
    closed.context("the store could not be closed")?;
    Ok(CommandOutcome::Good)
}

/// Ends the process if it hasn't ended by then, whatever hangs: a thread, since the runtime may be what does.
fn end_within(most: Duration, log: Log) {
    let late = move || {
        std::thread::sleep(most);
        tracing::error!("not everything ended in time: ending anyway");
        log.flush(LAST_LINES_MAX);
        std::process::exit(i32::from(ENDED));
    };
    // Without it, the supervisor's patience ends the process.
    let _ = std::thread::Builder::new().name("end".into()).spawn(late);
}

/// What the operating system may ask for.
struct Signals {
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, hangup: signal(SignalKind::hangup())? })
    }

    /// Waits for the end: none when told to, and why where the process can't go on.
    async fn until_told(mut self, live: &Arc<Live>) -> Option<String> {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return None,
                _ = tokio::signal::ctrl_c() => return None,
                why = live.failed() => return Some(why.to_owned()),
                _ = self.hangup.recv() => live.to_reload.notify_one(),
            }
        }
    }
}

/// What is said whatever is to be logged, in the log's form and by its way.
struct Said {
    log: Log,
    form: Format,
}

impl Said {
    fn say(&self, level: &str, text: &str) {
        let line = match self.form {
            Format::Text => format!("{text}\n"),
            Format::Json => {
                json!({"timestamp": RealClock.now().to_string(), "level": level, "message": text}).to_string() + "\n"
            }
        };
        self.log.line(line.as_bytes());
    }
}

/// Says what is wrong with the files.
fn report(problems: &Problems, said: &Said) {
    let end = if said.form == Format::Text { "\n" } else { "" };
    for problem in problems.iter() {
        let level = if problem.gravity == Gravity::Error { "ERROR" } else { "WARN" };
        let colour = said.form == Format::Text && term::colour_on_stderr();
        said.say(level, &(problem.render(colour) + end));
    }
    if problems.left_out() > 0 {
        said.say("WARN", &format!("and {} more{end}", problems.left_out()));
    }
}

/// The form of the log's lines: text for people.
fn form(wanted: Option<Format>) -> Format {
    wanted.unwrap_or(if std::io::stderr().is_terminal() { Format::Text } else { Format::Json })
}

fn start_log(said: &Said, filter: EnvFilter) {
    // What the subscriber itself can't do it would print to standard error, and panic where that can't be written.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(said.log.clone());
    let lines = lines.log_internal_errors(false);
    match said.form {
        Format::Text => lines.with_target(false).with_ansi(term::colour_on_stderr()).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
}
