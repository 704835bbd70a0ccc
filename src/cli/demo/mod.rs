//! `fanfare demo`: one command for a newcomer. A server, local inboxes standing in for every channel, the 16 events of
//! JewelMusic, signed, over HTTP.
//!
//! Nothing in it is pretended: the server is the one that `serve` runs, with its store on disk, and what arrives in the
//! inboxes went over the wire.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::admin::live::Pulse;
use crate::admin::{self, Beside};
use crate::channels::wire::{Guard, Wire};
use crate::cli::demo::inbox::{Inbox, Served};
use crate::cli::demo::stage::{Set, Stage};
use crate::cli::{CommandOutcome, report_if_errors, runtime, starter, term};
use crate::clock::{AnchoredClock, Clock, RealClock};
use crate::config::substitute::Environment;
use crate::lint;
use crate::source::samples;
use crate::steps::run::Running;
use crate::steps::{Live, run};
use crate::store;

mod inbox;
mod mail;
mod show;
mod stage;
mod talk;
mod time;
mod told;
mod web;
mod week;

/// The demo's signing secret. It guards nothing: the server listens on loopback and dies with the demo.
const SECRET: &str = "demo-secret-known-to-everyone";

/// Needs nothing: no configuration, no account, no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Send the events, print a summary, and exit; with 0 only if everything arrived
    #[arg(long)]
    once: bool,
    /// The folder for rules and templates to edit, created if needed
    #[arg(long, value_name = "DIR", default_value = "fanfare-demo")]
    dir: PathBuf,
    /// The port of the page; any free port if it is in use
    #[arg(long, default_value_t = 8090)]
    port: u16,
}

/// The demo's environment: it has the one secret, and asks the real one for nothing.
struct DemoEnvironment;

impl Environment for DemoEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "JEWELMUSIC_SECRET").then(|| SECRET.to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        Err(format!("the demo reads no secrets, and not `{}`", path.display()))
    }
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<CommandOutcome> {
        let folder = if self.once {
            std::env::temp_dir().join(format!("fanfare-demo-{}", std::process::id()))
        } else {
            self.dir.clone()
        };
        let outcome = runtime(true)?.block_on(self.play(&folder));
        if self.once {
            // What is left in the temporary folder harms nobody.
            let _ = std::fs::remove_dir_all(&folder);
        }
        outcome
    }

    async fn play(&self, folder: &Path) -> anyhow::Result<CommandOutcome> {
        let (stage, running, mut servers) = self.set(folder).await?;
        let played = tokio::select! {
            played = self.act(&stage, &running, folder) => played?,
            why = ended(&stage.set.live, &mut servers) => {
                eprintln!("{} {why}: start the demo anew", term::bad("error:"));
                return Ok(CommandOutcome::Ended);
            }
        };
        running.drain().await?;
        Ok(played)
    }

    /// Sends each of the samples, and then what the person asks for.
    async fn act(&self, stage: &Arc<Stage>, running: &Running, folder: &Path) -> anyhow::Result<CommandOutcome> {
        println!("{}", term::bold("Fanfare demo"));
        println!("page          http://{}/demo", running.admin);
        println!("webhooks      http://{}{}", running.webhooks, stage.path());
        let now = stage.now();
        if now.duration_since(RealClock.now()) > SignedDuration::from_mins(1) {
            let shown = stage.shown(now);
            println!("the clock     set to {shown}: at this hour most messages would wait until the morning");
        }
        if !self.once {
            println!("edit          {} and {}", folder.join("rules").display(), folder.join("templates").display());
        }
        println!();
        let mut sent = 0;
        let mut shown = 0;
        for (at, sample) in samples::ALL[..samples::PAGE].iter().enumerate() {
            // Both of the sender's schemes take turns.
            shown += stage.send(sample.name, stage.scheme(at)).await?;
            sent += 1;
        }
        let good = stage.summary(sent, shown).await?;
        if !self.once {
            talk::talk(stage).await?;
        }
        Ok(if good { CommandOutcome::Good } else { CommandOutcome::Wrong })
    }

    /// Starts everything: the stage, and the servers beside it.
    async fn set(&self, folder: &Path) -> anyhow::Result<(Arc<Stage>, Running, JoinSet<&'static str>)> {
        let inbox = Arc::new(Inbox::default());
        let (web, post) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        let (web_address, post_address) = (web.local_addr()?, post.local_addr()?);

        starter::write_missing(folder).with_context(|| format!("`{}` can't be written", folder.display()))?;
        let config = folder.join("fanfare.yaml");
        std::fs::write(&config, starter::demo_config(web_address, post_address, self.free_port()))?;
        let loaded = lint::load(&config, &DemoEnvironment, RealClock.now());
        if report_if_errors(&loaded.problems) {
            bail!("`{}` has mistakes; fix them, or remove the folder to start again", folder.display());
        }
        let snapshot = loaded.snapshot.context("the demo's configuration can't be used")?;
        let served = Served { inbox: inbox.clone(), destinations: Arc::new(snapshot.destinations.clone()) };
        let mut servers = JoinSet::new();
        let (mail, inboxes) = (mail::serve(post, served.clone()), axum::serve(web, inbox::router(served)));
        servers.spawn(async move {
            mail.await;
            "mail server"
        });
        servers.spawn(async move {
            let _ = inboxes.await;
            "web server"
        });
        let source = snapshot.sources.values().next().cloned().context("the demo has no source")?;
        let store = store::open(&snapshot.settings.store, folder).await?;
        let wire = Wire::new(Guard::new(Vec::new(), Vec::new())).map_err(anyhow::Error::msg)?;
        let clock = AnchoredClock::default();
        clock.correct(time::to_office_hours(RealClock.now()));
        let live = Live::new(store, Arc::new(snapshot), Arc::new(clock), Arc::new(wire), fastrand::u64(..))
            .with_environment(Arc::new(DemoEnvironment));
        let live = Arc::new(live);
        let pulse = Arc::new(Pulse::default());
        let set = Set { live: live.clone(), source, inbox, pulse: pulse.clone(), folder: folder.to_owned() };
        let stage = Arc::new(Stage::new(set)?);
        let beside = Beside { routes: web::routes(stage.clone()), pulse };
        let running = run::run(live.clone(), admin::router_beside(live, beside)).await?;
        stage.is_served_at(running.webhooks);
        Ok((stage, running, servers))
    }

    /// The port of the page: the one that is asked for if it is free, else any.
    fn free_port(&self) -> u16 {
        let is_free = !self.once && std::net::TcpListener::bind(("127.0.0.1", self.port)).is_ok();
        if is_free { self.port } else { 0 }
    }
}

/// Ends when something does that the demo can't go on without, and says what.
async fn ended(live: &Live, servers: &mut JoinSet<&'static str>) -> String {
    tokio::select! {
        why = live.failed() => why.to_owned(),
        Some(ended) = servers.join_next() => match ended {
            Ok(which) => format!("the demo's {which} ended"),
            Err(panic) => format!("a server of the demo failed: {panic}"),
        },
    }
}
