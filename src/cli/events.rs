//! `fanfare events`: what came, and what it led to.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::Value;

use crate::cli::client::{Client, PAGE, Server};
use crate::cli::many::{Each, Many};
use crate::cli::out::{self, Out};
use crate::cli::samples::Samples;
use crate::cli::sheet::{self, Sheet};
use crate::cli::term::Moment;
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, Format, runtime, term};

/// Where events are listed.
const EVENTS: &[&str] = &["api", "v1", "events"];
/// How often it is asked whether more has come.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Uses the admin API of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    #[command(flatten)]
    server: Server,
    /// The output format
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the newest events
    List {
        #[command(flatten)]
        which: Which,
        /// The maximum number of entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one event: its body, what each rule did and why, its deliveries
    Show {
        /// Its id, or its position in the inbox
        event: String,
    },
    /// Print events as they arrive, until you stop it
    Follow {
        /// Only these types, as a glob
        #[arg(long = "type", value_name = "GLOB")]
        kind: Option<String>,
        /// Only this source
        #[arg(long)]
        source: Option<String>,
        /// Begin with this number of earlier events
        #[arg(long, default_value_t = 10, value_name = "N")]
        last: usize,
    },
    /// Write events with their original bodies, one JSON object per line, oldest first
    Export {
        #[command(flatten)]
        which: Which,
        /// The output file; by default standard output
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Write a CSV file of these columns instead: each a name of `names:` or a path, such as
        /// `Artist=artist,Amount=$.data.amount`
        #[arg(long, value_name = "COLUMNS", conflicts_with = "samples")]
        columns: Option<String>,
        /// Write the newest event of each type into this folder as a sample; several if their fields differ
        #[arg(long, value_name = "DIR", conflicts_with = "out")]
        samples: Option<PathBuf>,
        /// Overwrite existing samples
        #[arg(long, requires = "samples")]
        force: bool,
    },
    /// Plan events again with the rules in force; creates only missing messages, and opens no case
    Replay(Replay),
}

/// Which events. All that is given must hold.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only these types, as a glob
    #[arg(long = "type", value_name = "GLOB")]
    kind: Option<String>,
    /// Only this source
    #[arg(long)]
    source: Option<String>,
    /// Only events received since this time, or within a time span such as `2h`
    #[arg(long, value_name = "TIME", value_parser = term::moment)]
    since: Option<Moment>,
    /// Only events received before this time, or longer ago than a time span
    #[arg(long, value_name = "TIME", value_parser = term::moment)]
    until: Option<Moment>,
}

/// Some by id, or many by what they have in common.
#[derive(Debug, clap::Args)]
struct Replay {
    /// Their ids, or positions in the inbox
    #[arg(value_name = "EVENT")]
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Only for this rule; without ids, only events on which it acts
    #[arg(long)]
    rule: Option<String>,
    /// Create all messages anew, sent ones included
    #[arg(long)]
    again: bool,
    /// Do it; by default, the command only counts several
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    who: Who,
}

impl Which {
    fn query(self) -> Vec<(&'static str, String)> {
        let all = [
            ("type", self.kind),
            ("source", self.source),
            ("since", self.since.map(Moment::text)),
            ("until", self.until.map(Moment::text)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

impl Events {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        runtime(false)?.block_on(self.verb.run(&client, self.format, config))
    }
}

impl Verb {
    async fn run(self, client: &Client, format: Format, config: &Path) -> anyhow::Result<CommandOutcome> {
        match self {
            Verb::List { which, limit } => {
                let list = client.list(EVENTS, which.query(), limit, "before").await?;
                print(format, &list, list_text);
            }
            Verb::Show { event } => {
                let document = client.get(&["api", "v1", "events", &event], &[]).await?;
                print(format, &document, show_text);
            }
            Verb::Follow { kind, source, last } => {
                let which = Which { kind, source, since: None, until: None };
                follow(client, which.query(), last, format).await?;
            }
            Verb::Export { which, samples: Some(folder), force, .. } => {
                let mut samples = Samples::of(config);
                each(client, which.query(), |item| {
                    samples.add(item);
                    Ok(())
                })
                .await?;
                let count = samples.write(&folder, force)?;
                eprintln!("{} in {}", term::count(count, "sample", "samples"), folder.display());
            }
            Verb::Export { which, out, columns: Some(columns), .. } => {
                let (columns, rules) = (sheet::columns(&columns)?, sheet::rules(config));
                let file: Box<dyn Write> = match &out {
                    Some(path) => Box::new(create(path)?),
                    None => Box::new(Out),
                };
                let mut table = Sheet::begin(&columns, rules.as_deref(), BufWriter::new(file))?;
                let count = each(client, which.query(), |item| table.add(item)).await?;
                table.end()?;
                out.iter()
                    .for_each(|path| eprintln!("{} in {}", term::count(count, "event", "events"), path.display()));
            }
            Verb::Export { which, out, .. } => match out {
                Some(path) => {
                    let file = create(&path)?;
                    let count = export(client, which.query(), &mut BufWriter::new(file)).await?;
                    eprintln!("{} in {}", term::count(count, "event", "events"), path.display());
                }
                None => {
                    export(client, which.query(), &mut BufWriter::new(Out)).await?;
                }
            },
            Verb::Replay(replay) => return replay.run(client, format).await,
        }
        Ok(CommandOutcome::Good)
    }
}

/// Prints the newest events and then each that comes, until it is ended or nobody reads on.
async fn follow(
    client: &Client,
    query: Vec<(&'static str, String)>,
    last: usize,
    format: Format,
) -> anyhow::Result<()> {
    let status = client.get(&["api", "v1", "status"], &[]).await?;
    let mut after = status["inbox"]["head"].as_i64().unwrap_or(0);
    let mut before = query.clone();
    before.push(("before", (after + 1).to_string()));
    let Value::Array(mut list) = client.list(EVENTS, before, last, "before").await? else { return Ok(()) };
    list.reverse();
    let mut away = false;
    loop {
        for item in &list {
            after = item["seq"].as_i64().unwrap_or(after).max(after);
            line(format, item);
        }
        // A full page: there may be more.
        if list.len() < PAGE {
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
        let mut query = query.clone();
        query.extend([("after", after.to_string()), ("limit", PAGE.to_string())]);
        list = match client.get(EVENTS, &query).await {
            Ok(Value::Array(list)) => {
                away = false;
                list
            }
            Ok(_) => Vec::new(),
            Err(error) => {
                // A server that starts anew is waited for, and that is said once.
                if !away {
                    eprintln!("{} {error:#}", term::warn("waiting:"));
                }
                away = true;
                Vec::new()
            }
        };
    }
}

/// One event on a line of its own.
fn line(format: Format, item: &Value) {
    match format {
        Format::Json => println!("{item}"),
        Format::Text => println!(
            "{}  {:28}  {}  {}",
            when(item, "received"),
            cell(item, "type"),
            cell(item, "id"),
            term::dim(&cell(item, "source"))
        ),
    }
    out::flush();
}

/// Writes events, a page at a time, and gives how many.
fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("can't write `{}`", path.display()))
}

async fn export(client: &Client, query: Vec<(&'static str, String)>, out: &mut impl Write) -> anyhow::Result<usize> {
    let count = each(client, query, |item| Ok(writeln!(out, "{item}")?)).await?;
    out.flush()?;
    Ok(count)
}

/// Hands on all events that came until now with their bodies, oldest first, a page at a time, and gives how many.
async fn each(
    client: &Client,
    query: Vec<(&'static str, String)>,
    mut take: impl FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let status = client.get(&["api", "v1", "status"], &[]).await?;
    let end = status["inbox"]["head"].as_i64().unwrap_or(0) + 1;
    let (mut after, mut count) = (0, 0);
    loop {
        let mut query = query.clone();
        // What comes meanwhile is no part of it, or it might never end.
        query.extend([("after", after.to_string()), ("before", end.to_string())]);
        query.extend([("limit", PAGE.to_string()), ("raw", "true".to_owned())]);
        let Value::Array(page) = client.get(EVENTS, &query).await? else { break };
        let Some(last) = page.last() else { break };
        after = last["seq"].as_i64().unwrap_or(end);
        for item in &page {
            take(item)?;
        }
        count += page.len();
    }
    Ok(count)
}

impl Replay {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<CommandOutcome> {
        let mut query = vec![("again", self.again.to_string())];
        query.extend(self.rule.map(|rule| ("rule", rule)));
        if self.ids.is_empty() {
            query.extend(self.which.query());
            if query.len() == 1 {
                anyhow::bail!("which? Name ids, or one of --type, --source, --since, --until, --rule");
            }
            query.push(("by", self.who.name()));
            let many = Many { path: &["api", "v1", "events", "replay"], query, done: "replayed", cursor: "after" };
            return many.run(client, self.yes, format, ("event", "events"), "plan again").await;
        }
        if !self.which.query().is_empty() {
            anyhow::bail!("ids and --type, --source, --since, --until don't go together");
        }
        query.push(("by", self.who.name()));
        let each = Each { path: ("events", "replay"), query, done: "replayed" };
        each.run(client, &self.ids, self.yes, format, ("event", "events"), "plan again").await
    }
}

/// Prints a document as JSON, or as `text` makes of it.
pub(crate) fn print(format: Format, document: &Value, text: impl Fn(&Value) -> String) {
    match format {
        Format::Json => println!("{document:#}"),
        Format::Text => println!("{}", text(document)),
    }
}

/// A member of a document as a cell.
pub(crate) fn cell(item: &Value, key: &str) -> String {
    match &item[key] {
        Value::Null => String::new(),
        Value::String(text) => term::one_line(text),
        other => other.to_string(),
    }
}

/// A time of a document as a cell, local.
pub(crate) fn when(item: &Value, key: &str) -> String {
    item[key].as_str().map(term::time_of).unwrap_or_default()
}

/// A list as a table, or what is said where it is empty.
pub(crate) fn table(list: &Value, empty: &str, heads: &[&str], row: impl Fn(&Value) -> Vec<String>) -> String {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return empty.to_owned();
    }
    term::table(heads, &items.iter().map(row).collect::<Vec<_>>())
}

fn list_text(list: &Value) -> String {
    let row = |item: &Value| {
        let rest = ["type", "id", "source"].iter().map(|key| cell(item, key));
        std::iter::once(when(item, "received")).chain(rest).collect()
    };
    table(list, "no events", &["received", "type", "id", "source"], row)
}

fn show_text(event: &Value) -> String {
    let mut lines = vec![
        format!("{}  {}", term::bold(&cell(event, "type")), cell(event, "id")),
        format!(
            "source {}, created {}, received {}",
            cell(event, "source"),
            when(event, "created"),
            when(event, "received")
        ),
        format!("verified by {}", cell(event, "proof")),
    ];
    if let Some(backfill) = event.get("backfill").filter(|backfill| !backfill.is_null()) {
        lines.push(format!("backfilled: {} asked the sender for it {}", cell(backfill, "by"), when(backfill, "at")));
    }
    lines.push(String::new());
    let rules = event["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if event["planned"] == false {
        lines.push(term::warn("it is not planned yet: the planner is busy, or no rules are in force"));
    } else if rules.is_empty() {
        lines.push("no rule names this type".into());
    } else {
        let row = |item: &Value| vec![cell(item, "rule"), term::state(&cell(item, "outcome")), cell(item, "note")];
        lines.push(term::table(&["rule", "", "why"], &rules.iter().map(row).collect::<Vec<_>>()));
    }
    let deliveries = event["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !deliveries.is_empty() {
        lines.push(String::new());
        lines.push(super::deliveries::list_text(&event["deliveries"]));
    }
    lines.push(String::new());
    lines.push(match &event["body"] {
        Value::Null => cell(event, "raw"),
        body => term::safe(&format!("{body:#}")),
    });
    lines.join("\n")
}
