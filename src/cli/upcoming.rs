//! `fanfare upcoming`: what waits for its time; send it now or cancel it.

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use crate::cli::client::{Client, Server};
use crate::cli::events::{cell, print, table, when};
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, Format, runtime, term};

/// Uses the admin API of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Upcoming {
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
    /// List reminders, digests, held messages, deadlines and ends of mutes, the soonest first
    List {
        /// The maximum number of entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Send a reminder, a digest or held messages now
    Send(Named),
    /// Cancel a reminder, a digest or held messages: they are not sent
    Cancel(Named),
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Its id, as the list shows it
    id: String,
    #[command(flatten)]
    who: Who,
}

impl Upcoming {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        runtime(false)?.block_on(self.verb.run(&client, self.format))
    }
}

impl Verb {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<CommandOutcome> {
        match self {
            Verb::List { limit } => {
                let list = client.list(&["api", "v1", "upcoming"], Vec::new(), limit, "after").await?;
                print(format, &list, list_text);
            }
            Verb::Send(named) => named.ask(client, "send", format).await?,
            Verb::Cancel(named) => named.ask(client, "cancel", format).await?,
        }
        Ok(CommandOutcome::Good)
    }
}

impl Named {
    async fn ask(self, client: &Client, verb: &str, format: Format) -> anyhow::Result<()> {
        let answer = client.post(&["api", "v1", "upcoming", &self.id, verb], &[("by", self.who.name())]).await?;
        print(format, &answer, |answer| cell(answer, "told"));
        Ok(())
    }
}

fn list_text(list: &Value) -> String {
    let to = |item: &Value| {
        let to = item["to"].as_array().into_iter().flatten().filter_map(Value::as_str);
        to.map(term::one_line).collect::<Vec<_>>().join(", ")
    };
    let row = |item: &Value| {
        vec![
            when(item, "due"),
            cell(item, "what"),
            cell(item, "words"),
            cell(item, "rule"),
            cell(item, "key"),
            to(item),
            cell(item, "id"),
        ]
    };
    let heads = ["due", "what", "in words", "rule", "case", "to", "id"];
    table(list, "nothing has a time", &heads, row)
}
