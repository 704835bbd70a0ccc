//! `fanfare serve`: loads, opens the store, runs the steps, ends in order.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::channels::wire::{Guard, Wire};
use crate::cli::{Outcome, report, runtime};
use crate::clock::{AnchoredClock, Clock, RealClock};
use crate::config::load;
use crate::config::substitute::RealEnvironment;
use crate::steps::{Live, limit, reload, run};
use crate::{admin, store};

/// Runs until SIGTERM or SIGINT. SIGHUP reloads.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Plan everything, send nothing: what would go out is counted and shown
    #[arg(long)]
    shadow: bool,
    /// What to log: `error`, `warn`, `info`, `debug`, or a filter such as `info,fanfare::steps=debug`
    #[arg(long, value_name = "FILTER", env = "FANFARE_LOG", default_value = "info")]
    log: String,
    /// The form of log lines; by default text on a terminal, JSON otherwise
    #[arg(long, value_enum, value_name = "FORM")]
    log_format: Option<crate::cli::Format>,
}

impl Serve {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<Outcome> {
        start_log(&self.log, self.log_format)?;
        let loaded = load::load(config, &RealEnvironment, RealClock.now());
        report(&loaded.problems);
        let stale = loaded.problems.has_errors().then(|| (loaded.problems.count().0, loaded.report()));
        let Some(snapshot) = loaded.snapshot else {
            anyhow::bail!("`{}` is broken: nothing was started", config.display());
        };
        let runtime = runtime(true)?;
        let outcome = runtime.block_on(serve(self.shadow, snapshot, stale));
        // A rendering that was given up may still be at it.
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome
    }
}

async fn serve(
    shadow: bool,
    snapshot: crate::config::Snapshot,
    stale: Option<(usize, String)>,
) -> anyhow::Result<Outcome> {
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
    live.bounds = limit::files_left().map_or(live.bounds, |files| live.bounds.within(files));
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
    let failed = signals.until_told(&live).await;
    tokio::spawn(async {
        // A second signal: at once. What was under way is sent again after the next start.
        if let Ok(mut again) = signal(SignalKind::terminate()) {
            tokio::select! { _ = again.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
            std::process::exit(130);
        }
    });
    tracing::info!("ending: finishing what is under way");
    let closed = running.drain().await;
    if failed {
        anyhow::bail!("the store failed; start again once its disk is well");
    }
    closed.context("the store could not be closed")?;
    Ok(Outcome::Good)
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

    /// Waits for the end: false when told to, true when the store failed for good.
    async fn until_told(mut self, live: &Arc<Live>) -> bool {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return false,
                _ = tokio::signal::ctrl_c() => return false,
                () = live.broken() => return true,
                _ = self.hangup.recv() => {
                    reload::reload(live).await;
                }
            }
        }
    }
}

fn start_log(filter: &str, format: Option<crate::cli::Format>) -> anyhow::Result<()> {
    let filter: EnvFilter = filter.parse().context("`--log` is no filter")?;
    let text = match format {
        Some(format) => format == crate::cli::Format::Text,
        None => std::io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if text {
        lines.with_target(false).with_ansi(crate::cli::term::colour_on_stderr()).init();
    } else {
        lines.json().flatten_event(true).init();
    }
    Ok(())
}
