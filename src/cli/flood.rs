//! `fanfare flood`: what a person decides about a rule that is held because it suddenly sent many times its usual.

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use crate::cli::client::Server;
use crate::cli::events::{cell, print, table, when};
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, Format, runtime, term};

/// Uses the admin API of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Flood {
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
    /// List the rules that are held, and how much they hold
    List,
    /// Send what a rule holds, several messages to one destination as a summary; it is not held again within an hour
    LetGo(Which),
    /// Drop what a rule holds
    Drop(Which),
}

/// A rule that is held.
#[derive(Debug, clap::Args)]
struct Which {
    /// The rule
    rule: String,
    #[command(flatten)]
    who: Who,
}

impl Flood {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        let runtime = runtime(false)?;
        let (verb, which, done) = match self.verb {
            Verb::List => {
                let list = runtime.block_on(client.get(&["api", "v1", "floods"], &[]))?;
                print(self.format, &list, list_text);
                return Ok(CommandOutcome::Good);
            }
            Verb::LetGo(which) => ("let-go", which, "is let go"),
            Verb::Drop(which) => ("drop", which, "is dropped"),
        };
        let path = ["api", "v1", "floods", &which.rule, verb];
        let answer = runtime.block_on(client.post(&path, &[("by", which.who.name())]))?;
        print(self.format, &answer, |answer| {
            format!("what rule {} holds {done}: {}", cell(answer, "rule"), messages(answer))
        });
        Ok(CommandOutcome::Good)
    }
}

fn messages(item: &Value) -> String {
    let held = item["held"].as_u64().and_then(|held| held.try_into().ok()).unwrap_or_default();
    term::count(held, "message", "messages")
}

fn list_text(list: &Value) -> String {
    let row = |item: &Value| {
        vec![
            cell(item, "rule"),
            messages(item),
            cell(item, "usual"),
            cell(item, "limit"),
            when(item, "since"),
            when(item, "ends"),
        ]
    };
    let heads = ["rule", "held", "usual an hour", "limit", "since", "goes by itself"];
    table(list, "no rule is held", &heads, row)
}
