//! `fanfare demo`: one command for a newcomer. A server, local inboxes standing in for every channel, the 16 events of
//! JewelMusic, signed, over HTTP.
//!
//! Nothing in it is pretended: the server is the one that `serve` runs, with its store on disk, and what arrives in the
//! inboxes went over the wire.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::admin;
use crate::channels::wire::{Guard, Wire};
use crate::cli::{CommandOutcome, client, report, runtime, starter, term};
use crate::clock::{AnchoredClock, Clock, RealClock, plus};
use crate::config::substitute::Environment;
use crate::delivery::State;
use crate::lint;
use crate::problem::nearest;
use crate::source::{Outgoing, Source, samples};
use crate::steps::reload::{self, Reloaded};
use crate::steps::run::Running;
use crate::steps::{Live, run};
use crate::store::{self, DeliveryFilter};

mod inbox;
mod mail;
mod page;
mod show;

use self::inbox::{Desk, Inbox};

/// The demo's signing secret. It guards nothing: the server listens on loopback and dies with the demo.
const SECRET: &str = "demo-secret-known-to-everyone";
/// Everything must have arrived within this.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether a saved file was taken up.
const LOOK_AT_FILES: Duration = Duration::from_millis(200);
/// How often the demo looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Needs nothing: no configuration, no account, no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Send the events, print a summary, and exit; with 0 only if everything arrived
    #[arg(long)]
    once: bool,
    /// The folder for rules and templates to edit, created if needed
    #[arg(long, value_name = "DIR", default_value = "fanfare-demo")]
    dir: PathBuf,
    /// The port of the page with the inboxes; any free port if it is in use
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

/// What runs while the demo does.
struct Stage {
    live: Arc<Live>,
    running: Running,
    source: Arc<Source>,
    http: reqwest::Client,
    inbox: Arc<Inbox>,
    page: String,
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
        let (stage, mut servers) = self.set(folder).await?;
        let played = tokio::select! {
            played = self.act(&stage, folder) => played?,
            why = ended(&stage.live, &mut servers) => {
                eprintln!("{} {why}: start the demo anew", term::bad("error:"));
                return Ok(CommandOutcome::Ended);
            }
        };
        stage.running.drain().await?;
        Ok(played)
    }

    /// Sends each of the samples, and then what the person asks for.
    async fn act(&self, stage: &Stage, folder: &Path) -> anyhow::Result<CommandOutcome> {
        println!("{}", term::bold("Fanfare demo"));
        println!("the inboxes   {}", stage.page);
        println!("admin page    http://{}/", stage.running.admin);
        println!("webhooks      http://{}{}", stage.running.webhooks, stage.source.path);
        let now = stage.live.clock.now();
        if now.duration_since(RealClock.now()) > SignedDuration::from_mins(1) {
            let shown = now.strftime("%A, %H:%M UTC");
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
            let scheme = stage.source.schemes.get(at % stage.source.schemes.len()).map(|scheme| scheme.name);
            shown += stage.send(sample.name, scheme).await?;
            sent += 1;
        }
        let good = stage.summary(sent, shown).await?;
        if !self.once {
            self.talk(stage).await?;
        }
        Ok(if good { CommandOutcome::Good } else { CommandOutcome::Wrong })
    }

    /// Starts everything: the stage, and the servers beside it.
    async fn set(&self, folder: &Path) -> anyhow::Result<(Stage, JoinSet<&'static str>)> {
        let inbox = Arc::new(Inbox::default());
        let page = match TcpListener::bind(("127.0.0.1", if self.once { 0 } else { self.port })).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("127.0.0.1:0").await?,
        };
        let post = TcpListener::bind("127.0.0.1:0").await?;
        let (page_address, post_address) = (page.local_addr()?, post.local_addr()?);

        starter::write_missing(folder).with_context(|| format!("`{}` can't be written", folder.display()))?;
        let config = folder.join("fanfare.yaml");
        std::fs::write(&config, starter::demo_config(page_address, post_address))?;
        let loaded = lint::load(&config, &DemoEnvironment, RealClock.now());
        if report(&loaded.problems) {
            bail!("`{}` has mistakes; fix them, or remove the folder to start again", folder.display());
        }
        let snapshot = loaded.snapshot.context("the demo's configuration can't be used")?;
        let desk = Desk { inbox: inbox.clone(), destinations: Arc::new(snapshot.destinations.clone()) };
        let mut servers = JoinSet::new();
        let (mail, pages) = (mail::serve(post, desk.clone()), axum::serve(page, inbox::router(desk)));
        servers.spawn(async move {
            mail.await;
            "mail server"
        });
        servers.spawn(async move {
            let _ = pages.await;
            "page"
        });
        let source = snapshot.sources.values().next().cloned().context("the demo has no source")?;
        let store = store::open(&snapshot.settings.store, folder).await?;
        let wire = Wire::new(Guard::new(Vec::new(), Vec::new())).map_err(anyhow::Error::msg)?;
        let clock = AnchoredClock::default();
        clock.correct(to_office_hours(RealClock.now()));
        let live = Live::new(store, Arc::new(snapshot), Arc::new(clock), Arc::new(wire), fastrand::u64(..))
            .with_environment(Arc::new(DemoEnvironment));
        let live = Arc::new(live);
        let running = run::run(live.clone(), admin::router(live.clone())).await?;
        let http = client::http(Duration::from_secs(10))?;
        Ok((Stage { live, running, source, http, inbox, page: format!("http://{page_address}/") }, servers))
    }

    /// Sends on, as the person at the terminal asks. Ends with the input, `q`, or ctrl-c.
    async fn talk(&self, stage: &Stage) -> anyhow::Result<()> {
        println!(
            "Edit a rule or a template, and see the effect here. Press Enter to send another event, or type the name of one"
        );
        println!("({}), or q to end.", term::dim("release.live, fraud.action_required, …"));
        let mut lines = lines_of_stdin();
        let mut next = samples::ALL.iter().cycle();
        let mut told = Told::of(&stage.live);
        let (mut look, mut is_typing) = (tokio::time::interval(LOOK_AT_FILES), true);
        loop {
            let line = tokio::select! {
                line = lines.recv(), if is_typing => line,
                _ = look.tick() => {
                    told.tell(&stage.live);
                    continue;
                }
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            match line.as_deref().map(str::trim) {
                Some("q" | "quit" | "exit") => return Ok(()),
                Some("") if !stage.takes_up(&mut told).await => {}
                Some("") => {
                    let name = next.next().map_or("release.live", |sample| sample.name);
                    stage.send(name, None).await?;
                }
                Some(name) if samples::named(name).is_some() => {
                    if stage.takes_up(&mut told).await {
                        stage.send(name, None).await?;
                    }
                }
                Some(name) => match nearest(name, samples::ALL.iter().map(|sample| sample.name)) {
                    Some(near) => println!("there is no sample `{name}`; did you mean `{near}`?"),
                    None => println!("there is no sample `{name}`"),
                },
                // No terminal: the server runs on until it is asked to end.
                None => is_typing = false,
            }
        }
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

/// How far the next office hours of the shipped rules are ahead, or none within them: a newcomer who looks at night should
/// see what arrives, and not what waits.
fn to_office_hours(now: Timestamp) -> SignedDuration {
    let Ok(zone) = TimeZone::get("Europe/Berlin") else { return SignedDuration::ZERO };
    let is_open = |at: Timestamp| {
        let local = zone.to_datetime(at);
        local.weekday().to_monday_zero_offset() < 5 && (9..17).contains(&local.hour())
    };
    (0..24 * 7).map(SignedDuration::from_hours).find(|ahead| is_open(plus(now, *ahead))).unwrap_or_default()
}

/// What the person types, line by line. A thread of its own reads, since reading a terminal can't be called off.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What the person at the terminal knows of the files: which are in force, and what is wrong with those on disk.
struct Told {
    hash: String,
    stale: Option<String>,
}

impl Told {
    fn of(live: &Live) -> Self {
        Self { hash: live.snapshot.load().hash.clone(), stale: (**live.stale.load()).clone() }
    }

    /// Tells what became of a saved file, once.
    fn tell(&mut self, live: &Live) {
        let now = Self::of(live);
        match &now.stale {
            Some(report) if now.stale != self.stale => {
                println!("{report}\n\n{}", term::bad("your change is not in force: fix this"));
            }
            None if now.hash != self.hash || self.stale.is_some() => {
                let rules = term::count(live.snapshot.load().rule_count(), "rule", "rules");
                println!("{}", term::good(&format!("your change is in force: {rules}")));
            }
            _ => {}
        }
        crate::cli::out::flush();
        *self = now;
    }
}

impl Stage {
    /// Takes up what was saved, so that the next event goes by it. `false` if that is broken: what was in force stays.
    async fn takes_up(&self, told: &mut Told) -> bool {
        let refused = matches!(reload::reload(&self.live).await, Some(Reloaded::Refused(_)));
        told.tell(&self.live);
        if refused {
            println!("{}", term::bad("nothing was sent: fix the file, and press Enter again"));
        }
        !refused
    }

    /// Posts one sample, waits until it has been dealt with, and shows what came of it. Gives the number of messages.
    async fn send(&self, name: &str, scheme: Option<&str>) -> anyhow::Result<usize> {
        let sample = samples::named(name).with_context(|| format!("there is no sample `{name}`"))?;
        let now = self.live.clock.now();
        let instance = sample.instance(&mut fastrand::Rng::new(), now);
        let body = instance.raw();
        let outgoing = Outgoing { id: &instance.id, kind: &instance.kind, body: &body, at: now };
        let signed = self.source.sign(scheme, &outgoing).context("the demo's secret can't sign")?;
        let url = format!("http://{}{}", self.running.webhooks, self.source.path);
        let mut request = self.http.post(url).header("content-type", "application/json").body(body);
        for (header, value) in signed {
            request = request.header(header, value);
        }
        let seen = self.inbox.after(0).last().map_or(0, |last| last.number);
        let status = request.send().await?.status();
        if !status.is_success() {
            bail!("the server answered {status} to `{name}`");
        }
        self.settle().await?;
        let arrived = self.inbox.after(seen);
        show::event(&self.live, name, sample.about, &instance.id, &arrived).await?;
        Ok(arrived.len())
    }

    /// Waits until everything is planned and nothing is on its way.
    async fn settle(&self) -> anyhow::Result<()> {
        let waited = async {
            loop {
                let census = self.live.store.census().await?;
                let soon = DeliveryFilter {
                    states: vec![State::Due, State::Sending, State::Retrying],
                    limit: 100,
                    ..DeliveryFilter::default()
                };
                let waiting = self.live.store.list_deliveries(&soon).await?;
                if census.planned >= census.head && waiting.is_empty() {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // What takes longer is shown as it stands.
        tokio::time::timeout(PATIENCE, waited).await.unwrap_or(Ok(()))
    }

    /// Counts what went where, and says whether every delivery arrived.
    async fn summary(&self, events: usize, messages: usize) -> anyhow::Result<bool> {
        let census = self.live.store.census().await?;
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
