//! `fanfare backtest`: the rules of this folder against events that came already: what they would have sent, beside what
//! was sent.
//!
//! The events come from a running server, which also says what it sent, or from a file that `events export` wrote.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::client::{Client, PAGE, Server};
use crate::cli::{CommandOutcome, load_without_secrets, report_if_errors, rule_named, runtime, term};
use crate::clock::{Clock, RealClock, plus};
use crate::config::Snapshot;
use crate::event::{Event, EventId, MISSING, OWN_SOURCE, Seq};
use crate::rehearse::Stage;
use crate::rehearse::past::Past;
use crate::rules::RuleSet;

mod apart;
mod compare;
mod markdown;

use compare::{Key, Was};

/// How far back a server is asked, unless it is said.
const SINCE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How often progress is reported.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Sends nothing, and changes nothing at the server.
#[derive(Debug, clap::Args)]
pub(crate) struct Backtest {
    #[command(flatten)]
    server: Server,
    /// Events received since this time, or within a time span; 30d by default, unless they come from a file
    #[arg(long, value_name = "TIME", value_parser = term::moment)]
    since: Option<term::Moment>,
    /// Events received before this time, or longer ago than a time span
    #[arg(long, value_name = "TIME", value_parser = term::moment)]
    until: Option<term::Moment>,
    /// A file that `events export` wrote, instead of a running server; `-` is standard input
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Compare with what the rules beside this `fanfare.yaml` would have sent because of the same events
    #[arg(long, value_name = "CONFIG", requires = "events")]
    against: Option<PathBuf>,
    /// Only this rule; repeatable
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// The maximum number of messages listed
    #[arg(long, default_value_t = 20, value_name = "N")]
    show: usize,
    /// The output format
    #[arg(long, value_enum, default_value = "text")]
    format: BacktestFormat,
}

/// How the outcome is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BacktestFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For a comment on a pull request
    Markdown,
}

/// An event as `events export` writes it.
#[derive(Debug, Deserialize)]
pub(super) struct Exported {
    id: EventId,
    seq: Seq,
    source: String,
    r#type: String,
    created: Timestamp,
    received: Timestamp,
    #[serde(default)]
    proof: String,
    raw: Option<String>,
    raw_base64: Option<String>,
}

impl Exported {
    pub(super) fn event(self) -> anyhow::Result<(Seq, Event)> {
        let raw = match (self.raw, self.raw_base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(text)) => STANDARD.decode(text).context("`raw_base64` is not base64")?,
            (None, None) => {
                bail!("it has no body, neither `raw` nor `raw_base64`: write it with `fanfare events export`")
            }
        };
        let event = Event {
            source: self.source.into(),
            id: self.id,
            kind: self.r#type.into(),
            created: self.created,
            received: self.received,
            body: Value::Null,
            raw: raw.into(),
            proof: self.proof.into(),
        };
        Ok((self.seq, event.read()))
    }
}

/// What was played, and beside what.
struct Played {
    /// How many events.
    pub events: usize,
    /// When the first was received.
    pub from: Timestamp,
    /// Up to when it was played.
    pub until: Timestamp,
    /// What would have been sent.
    pub would: Vec<crate::rehearse::past::Would>,
    /// What was sent, where a server said so.
    pub was: Option<Was>,
    /// Why messages are not compared, by the server's word.
    pub apart: apart::Reasons,
}

impl Backtest {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let loaded = load_without_secrets(config);
        if report_if_errors(&loaded.problems) {
            return Ok(CommandOutcome::Wrong);
        }
        let snapshot = loaded.snapshot.context("no rules could be loaded")?;
        let rules = self.rules(&snapshot)?;
        let other = match self.against.as_deref().map(load_without_secrets) {
            None => None,
            Some(other) if report_if_errors(&other.problems) => return Ok(CommandOutcome::Wrong),
            Some(other) => Some(Stage::new(other.snapshot.context("no rules could be loaded to compare with")?)),
        };
        term::show_times_in(snapshot.settings.zone());
        let stage = Stage::new(snapshot);
        let Some(played) = runtime(false)?.block_on(self.play(config, &stage, rules, other))? else {
            eprintln!("no event was received in that time");
            return Ok(CommandOutcome::Good);
        };
        match self.format {
            BacktestFormat::Text => println!("{}", compare::text(&played, self.show)),
            BacktestFormat::Json => println!("{:#}", compare::document(&played)),
            BacktestFormat::Markdown => println!("{}", markdown::text(&played, self.show)),
        }
        Ok(CommandOutcome::Good)
    }

    /// The rules that are asked about.
    fn rules(&self, snapshot: &Snapshot) -> anyhow::Result<RuleSet> {
        let rules = snapshot.rules.as_deref().context("no rules could be loaded")?;
        for name in &self.rule {
            rule_named(rules, name)?;
        }
        self.chosen(snapshot)
    }

    /// Those of them that a folder has: another may lack some.
    fn chosen(&self, snapshot: &Snapshot) -> anyhow::Result<RuleSet> {
        let rules = snapshot.rules.as_deref().context("no rules could be loaded")?;
        let names = rules.rules.iter().map(|rule| &rule.name.value);
        let chosen = names.filter(|name| self.rule.is_empty() || self.rule.contains(name));
        Ok(rules.only(&chosen.cloned().collect()))
    }

    async fn play(
        &self,
        config: &Path,
        stage: &Stage,
        rules: RuleSet,
        other: Option<Stage>,
    ) -> anyhow::Result<Option<Played>> {
        let zone = stage.snapshot().settings.zone();
        let since = self.since.as_ref().map(|since| since.at(&zone));
        let until = self.until.as_ref().map(|until| until.at(&zone));
        match &self.events {
            Some(path) => {
                let mut was = None;
                if let Some(other) = &other {
                    let rules = self.chosen(other.snapshot())?;
                    let mut run = Run::new(other, rules, (since, until));
                    run.file(path).await?;
                    was = run.end(None, None).await?.map(|played| Was::of(played.would));
                }
                let mut run = Run::new(stage, rules, (since, until));
                run.file(path).await?;
                run.end(None, was).await
            }
            None => {
                let since = since.unwrap_or_else(|| plus(RealClock.now(), SignedDuration::ZERO - SINCE));
                let client = self.server.connect(config)?;
                let mut run = Run::new(stage, rules, (Some(since), until));
                run.server(&client).await?;
                let was = run.was(&client, &self.rule).await?;
                let places = std::mem::take(&mut run.came);
                let Some(mut played) = run.end(Some(RealClock.now()), Some(was)).await? else { return Ok(None) };
                played.apart = apart::reasons(&client, &played, &places).await?;
                Ok(Some(played))
            }
        }
    }
}

/// Events while they come.
struct Run<'a> {
    stage: &'a Stage,
    rules: Option<RuleSet>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    past: Option<Past>,
    from: Timestamp,
    last: Timestamp,
    /// What stands at a place of the server's inbox: a sender's event, or `None` for one that says that none came.
    came: HashMap<Seq, Option<EventId>>,
    events: usize,
    told: Instant,
}

impl<'a> Run<'a> {
    fn new(stage: &'a Stage, rules: RuleSet, (since, until): (Option<Timestamp>, Option<Timestamp>)) -> Self {
        Self {
            stage,
            rules: Some(rules),
            since,
            until,
            past: None,
            from: Timestamp::UNIX_EPOCH,
            last: Timestamp::UNIX_EPOCH,
            came: HashMap::new(),
            events: 0,
            told: Instant::now(),
        }
    }

    async fn event(&mut self, exported: Exported) -> anyhow::Result<()> {
        let (seq, event) = exported.event()?;
        if self.since.is_some_and(|since| event.received < since)
            || self.until.is_some_and(|until| event.received >= until)
        {
            return Ok(());
        }
        if &*event.source == OWN_SOURCE {
            if &*event.kind == MISSING {
                self.came.insert(seq, None);
            }
            return Ok(());
        }
        let past = match (&mut self.past, self.rules.take()) {
            (Some(past), _) => past,
            (past, rules) => {
                self.from = event.received;
                past.insert(Past::begin(self.stage, rules.unwrap_or_default(), event.received).await?)
            }
        };
        self.came.insert(seq, Some(event.id.clone()));
        self.last = self.last.max(event.received);
        past.receive(event).await?;
        self.events += 1;
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            eprintln!("{}", term::dim_on_stderr(&term::count(self.events, "event", "events")));
        }
        Ok(())
    }

    /// Events of a file, one a line.
    async fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let reader: Box<dyn BufRead> = match path.to_str() {
            Some("-") => Box::new(std::io::stdin().lock()),
            _ => Box::new(BufReader::new(
                File::open(path).with_context(|| format!("`{}` can't be read", path.display()))?,
            )),
        };
        for (number, line) in reader.lines().enumerate() {
            let at = || format!("{}:{}", path.display(), number + 1);
            let line = line.with_context(at)?;
            if line.trim().is_empty() {
                continue;
            }
            let exported = serde_json::from_str(&line)
                .context("this is not an event as `fanfare events export` writes it")
                .with_context(at)?;
            self.event(exported).await.with_context(at)?;
        }
        Ok(())
    }

    /// Events of a running server, oldest first, a page at a time.
    async fn server(&mut self, client: &Client) -> anyhow::Result<()> {
        let mut after: Option<Seq> = None;
        loop {
            let mut query = vec![("after", after.unwrap_or(0).to_string())];
            query.extend([("limit", PAGE.to_string()), ("raw", "true".to_owned())]);
            query.extend(self.since.map(|since| ("since", since.to_string())));
            query.extend(self.until.map(|until| ("until", until.to_string())));
            let Value::Array(page) = client.get(&["api", "v1", "events"], &query).await? else {
                bail!("the server answered no list")
            };
            let Some(last) = page.last() else { return Ok(()) };
            after = last["seq"].as_i64();
            for item in page {
                self.event(
                    serde_json::from_value(item).context("the server answered with something that is not an event")?,
                )
                .await?;
            }
        }
    }

    /// What the server sent because of these events, and what it called off. Updates and own events are left out.
    async fn was(&self, client: &Client, rules: &[String]) -> anyhow::Result<Was> {
        let query = self.since.map(|since| ("since", since.to_string())).into_iter().collect();
        let list = client.list(&["api", "v1", "deliveries"], query, usize::MAX, "before").await?;
        let mut was = Was::default();
        for item in list.as_array().map(Vec::as_slice).unwrap_or_default() {
            let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            let created: Timestamp = text("created").parse().unwrap_or(Timestamp::MAX);
            let rule = text("rule");
            if text("act") == "close"
                || self.until.is_some_and(|until| created >= until)
                || !(rules.is_empty() || rules.contains(&rule))
            {
                continue;
            }
            match item["event"].as_i64().and_then(|seq| self.came.get(&seq)) {
                Some(event) => {
                    let key = Key { rule, destination: text("destination"), event: event.clone() };
                    match (text("state") == "cancelled", item["fallback"] == true) {
                        (true, _) => was.called_off(key, text("last_error")),
                        (false, true) => was.fell_back(key, created),
                        (false, false) => was.add(key, created),
                    }
                }
                None if text("state") == "cancelled" => {}
                None => was.earlier += 1,
            }
        }
        Ok(was)
    }

    /// Plays on until `now`. Of a file, which may be old, nobody asks what would be due by now: `None`, its last event.
    async fn end(self, now: Option<Timestamp>, was: Option<Was>) -> anyhow::Result<Option<Played>> {
        let Some(past) = self.past else { return Ok(None) };
        let end = now.unwrap_or(self.last);
        let until = self.until.map_or(end, |until| until.min(end.max(self.last)));
        let would = past.end(until).await?;
        let apart = apart::Reasons::default();
        Ok(Some(Played { events: self.events, from: self.from, until, would, was, apart }))
    }
}
