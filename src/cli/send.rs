//! `fanfare send TYPE|FILE`: signs and posts as the sender does, with its retry schedule and a fresh id each time.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::{CommandOutcome, client, load_without_secrets, pick, runtime, term};
use crate::clock::{Clock, RealClock};
use crate::config::load::{self, Loaded};
use crate::config::substitute::RealEnvironment;
use crate::secret::Secret;
use crate::source::{Outgoing, Source, presets, samples};

/// The waits between JewelMusic's five attempts.
const WAITS: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(1_800), Duration::from_secs(7_200)];
/// How much shorter they are with `--fast`.
const FAST: u32 = 600;
/// As long as a sender waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where and with which secret comes from `fanfare.yaml`, unless flags say otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    /// Samples such as `release.live`, files with a body, or `-`
    #[arg(value_name = "TYPE|FILE", required_unless_present_any = ["list", "all"])]
    what: Vec<String>,
    /// The sixteen types that JewelMusic documents, one after the other
    #[arg(long, conflicts_with = "what")]
    all: bool,
    /// List the samples, and send nothing
    #[arg(long)]
    list: bool,
    /// The source to imitate
    #[arg(long)]
    source: Option<String>,
    /// The URL to post to; by default the configured listening address
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The environment variable with the secret; by default the configured secret
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// The signature scheme; by default the sender's first
    #[arg(long)]
    scheme: Option<String>,
    /// Without a 2xx, retry after 1 min, 5 min, 30 min and 2 h
    #[arg(long)]
    retry: bool,
    /// Make the waits 600 times shorter
    #[arg(long, requires = "retry")]
    fast: bool,
}

impl Send {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        if self.list {
            let loaded = config.exists().then(|| load_without_secrets(config));
            let samples = loaded.and_then(|loaded| loaded.snapshot).map(|snapshot| snapshot.samples);
            for sample in samples.unwrap_or_default().all() {
                println!("{:<34} {}", sample.name, term::dim(&sample.about));
            }
            return Ok(CommandOutcome::Good);
        }
        let loaded = load::load(config, &RealEnvironment, RealClock.now());
        let what: Vec<String> = if self.all {
            samples::ALL[..samples::PAGE].iter().map(|sample| sample.name.to_owned()).collect()
        } else {
            self.what.clone()
        };
        let http = client::http(TIMEOUT)?;
        runtime(false)?.block_on(async {
            let mut outcome = CommandOutcome::Good;
            for name in &what {
                let samples = loaded.snapshot.as_ref().map(|snapshot| snapshot.samples.clone()).unwrap_or_default();
                let picked = pick::pick(&samples, name, RealClock.now())?;
                let (source, url) = self.target(config, &loaded, picked.source.as_deref())?;
                if !self.deliver(&http, (&source, &url), name, &picked).await? {
                    outcome = CommandOutcome::Wrong;
                }
            }
            Ok(outcome)
        })
    }

    /// Whom to speak as, and to which URL.
    fn target(&self, config: &Path, loaded: &Loaded, of: Option<&str>) -> anyhow::Result<(Source, String)> {
        let secret = match &self.secret_env {
            Some(name) => Some(Secret::new(
                std::env::var(name).with_context(|| format!("the environment has no variable `{name}`"))?,
            )),
            None => None,
        };
        let Some(snapshot) = &loaded.snapshot else {
            // Without a configuration, flags must say everything.
            let (Some(url), Some(secret)) = (&self.url, secret) else {
                crate::cli::report(&loaded.problems);
                bail!("`{}` can't be used; name `--url` and `--secret-env`", config.display());
            };
            let preset = presets::named("jewelmusic").context("the preset `jewelmusic` is missing")?;
            return Ok((Source::of("jewelmusic", preset, vec![secret]), url.clone()));
        };
        let source = pick::source_of(snapshot, self.source.as_deref().or(of))?;
        let source = match secret {
            Some(secret) => source.with_secrets(vec![secret]),
            None => source.with_secrets(source.secrets.clone()),
        };
        if let Some(scheme) = &self.scheme
            && !source.schemes.iter().any(|known| known.name == *scheme)
        {
            let known: Vec<&str> = source.schemes.iter().map(|known| known.name).collect();
            bail!("`{}` has no scheme `{scheme}`; known: {}", source.name, known.join(", "));
        }
        let url = self.url.clone().unwrap_or_else(|| {
            let mut address = snapshot.settings.listen;
            if address.ip().is_unspecified() {
                address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
            }
            let scheme = if snapshot.settings.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{address}{}", source.path)
        });
        Ok((source, url))
    }

    /// Posts one event until it is accepted or the schedule ends.
    async fn deliver(
        &self,
        http: &reqwest::Client,
        (source, url): (&Source, &str),
        name: &str,
        picked: &pick::Picked,
    ) -> anyhow::Result<bool> {
        let waits: Vec<Duration> = match (self.retry, self.fast) {
            (false, _) => Vec::new(),
            (true, false) => WAITS.to_vec(),
            (true, true) => WAITS.iter().map(|wait| *wait / FAST).collect(),
        };
        let mut waits = waits.into_iter();
        loop {
            let (accepted, said) = self.post(http, source, url, picked).await?;
            let mark = if accepted { term::good("✓") } else { term::bad("✗") };
            println!("{mark} {name}  {said}");
            if accepted {
                return Ok(true);
            }
            let Some(wait) = waits.next() else { return Ok(false) };
            eprintln!("  again in {wait:?}");
            tokio::time::sleep(wait).await;
        }
    }

    async fn post(
        &self,
        http: &reqwest::Client,
        source: &Source,
        url: &str,
        picked: &pick::Picked,
    ) -> anyhow::Result<(bool, String)> {
        let outgoing = Outgoing { id: &picked.id, kind: &picked.kind, body: &picked.body, at: RealClock.now() };
        let signed = source.sign(self.scheme.as_deref(), &outgoing).context(
            "nothing to sign with: the source has no secret that its scheme can use; set its environment variable",
        )?;
        let mut request = http.post(url).header("content-type", "application/json").body(picked.body.clone());
        for (name, value) in signed {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) => {
                let status = answer.status();
                let body = answer.text().await.unwrap_or_default();
                let said: String = term::safe(body.trim()).chars().take(200).collect();
                Ok((status.is_success(), format!("{status}  {}", term::dim(&said))))
            }
            Err(error) if error.is_connect() => Ok((false, format!("no server answers at {url}"))),
            Err(error) => Ok((false, error.without_url().to_string())),
        }
    }
}
