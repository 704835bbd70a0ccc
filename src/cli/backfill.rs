//! `fanfare backfill`: has a sender send again what failed while nobody listened.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::client::{Client, Server};
use crate::cli::events::{cell, print, table, when};
use crate::cli::term::Moment;
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, Format, runtime, term};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the server may take to begin.
const BEGINS_WITHIN: u32 = 60;

/// Asks the API of a sender for what failed, through a running server. Each event arrives as a webhook does, once.
#[derive(Debug, clap::Args)]
pub(crate) struct Backfill {
    #[command(flatten)]
    server: Server,
    /// The source; needed where several have an `api_key`
    #[arg(long)]
    source: Option<String>,
    /// What was created since this time, or within a time span such as `2d`; by default since before the last absence
    #[arg(long, value_name = "TIME", value_parser = term::moment)]
    since: Option<Moment>,
    /// What was created before this time; now by default
    #[arg(long, value_name = "TIME", value_parser = term::moment)]
    until: Option<Moment>,
    /// Return at once; the server continues
    #[arg(long, conflicts_with = "list")]
    no_wait: bool,
    /// List past and present ones, and ask for nothing
    #[arg(long)]
    list: bool,
    /// The output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    who: Who,
}

impl Backfill {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        runtime(false)?.block_on(async {
            if self.list {
                print(self.format, &client.get(&["api", "v1", "backfills"], &[]).await?, list_text);
                return Ok(CommandOutcome::Good);
            }
            let all = [
                ("source", self.source),
                ("since", self.since.map(Moment::text)),
                ("until", self.until.map(Moment::text)),
                ("by", Some(self.who.name())),
            ];
            let query: Vec<(&str, String)> = all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let begun = client.post(&["api", "v1", "backfills"], &query).await?;
            if self.no_wait {
                print(self.format, &begun, |begun| {
                    format!("asks {} for what failed since {}", cell(begun, "source"), when(begun, "since"))
                });
                return Ok(CommandOutcome::Good);
            }
            let ended = follow(&client, &begun).await?;
            print(self.format, &ended, ended_text);
            let is_whole = ended["missing"] == 0 && ended["failed"].is_null();
            Ok(if is_whole { CommandOutcome::Good } else { CommandOutcome::Wrong })
        })
    }
}

/// Prints how far it is, on standard error, until it ended. Who leaves may look later: the server continues.
async fn follow(client: &Client, begun: &Value) -> anyhow::Result<Value> {
    let (mut said, mut looks) = (String::new(), 0);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let list = client.get(&["api", "v1", "backfills"], &[]).await;
        let list = list.context("the server continues when it starts again")?;
        let of_source = list.as_array().into_iter().flatten().find(|one| one["source"] == begun["source"]);
        // One that was under way already has grown by this.
        let found = of_source.filter(|one| one["at"].as_str() >= begun["at"].as_str() || one["state"] == "running");
        looks += 1;
        let Some(one) = found else {
            if looks > BEGINS_WITHIN {
                bail!(
                    "the server did not begin: its planner may be busy; `fanfare backfill --list` shows when it does"
                );
            }
            continue;
        };
        if one["state"] == "ended" {
            return Ok(one.clone());
        }
        let waits = one["waits"].as_str().map(|what| format!("; waits for {}", term::one_line(what)));
        let now = format!("{}{}", cell(one, "account"), waits.unwrap_or_default());
        if now != said {
            eprintln!("{}", term::dim_on_stderr(&now));
            said = now;
        }
    }
}

fn ended_text(one: &Value) -> String {
    let mut lines = vec![cell(one, "account")];
    lines.extend(examples(one));
    lines.join("\n")
}

fn examples(one: &Value) -> impl Iterator<Item = String> + '_ {
    let all = one["examples"].as_array().into_iter().flatten().filter_map(Value::as_str);
    all.map(|example| format!("  {}", term::one_line(example)))
}

fn list_text(list: &Value) -> String {
    let row = |item: &Value| {
        vec![
            term::state(&cell(item, "state")),
            cell(item, "source"),
            when(item, "since"),
            when(item, "until"),
            cell(item, "by"),
            cell(item, "account"),
        ]
    };
    let heads = ["state", "source", "since", "until", "by", ""];
    table(list, "nothing was asked for yet", &heads, row)
}
