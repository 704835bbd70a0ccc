//! `fanfare mute`: silence for a time, with a reason and a name.

use std::path::Path;

use clap::Subcommand;
use serde_json::{Map, Value};

use crate::cli::client::{Client, Server};
use crate::cli::events::{cell, print, table, when};
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, Format, runtime, term};

/// Uses the admin API of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Mute {
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
    /// Mute a rule, a destination, types or a condition; all given options must match
    Add(Add),
    /// List current and future mutes, those in files included
    List,
    /// End a mute before its time
    End {
        /// Its id, or the beginning of it
        mute: String,
        #[command(flatten)]
        who: Who,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Messages of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Messages to this destination
    #[arg(long)]
    destination: Option<String>,
    /// Messages about events of these types; repeatable
    #[arg(long, value_name = "GLOB")]
    events: Vec<String>,
    /// Messages about events that match this condition, in the syntax of a rule's `when:`
    #[arg(long, value_name = "YAML")]
    when: Option<String>,
    /// The duration, such as `2h`
    #[arg(long = "for", value_name = "SPAN", conflicts_with = "until")]
    span: Option<String>,
    /// The end, such as `18:00`, `"friday 09:00"`, `"2026-12-24 18:00"` or `2026-12-24T18:00:00Z`
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The start; by default now
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    who: Who,
}

impl Mute {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        runtime(false)?.block_on(self.verb.run(&client, self.format))
    }
}

impl Verb {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<CommandOutcome> {
        match self {
            Verb::Add(add) => {
                let answer = client.send(&["api", "v1", "mutes"], &add.document()).await?;
                let said = |answer: &Value| format!("{}  {}", cell(answer, "id"), cell(answer, "note"));
                print(format, &answer, said);
            }
            Verb::List => {
                let list = client.get(&["api", "v1", "mutes"], &[]).await?;
                print(format, &list, list_text);
            }
            Verb::End { mute, who } => {
                let answer = client.post(&["api", "v1", "mutes", &mute, "end"], &[("by", who.name())]).await?;
                print(format, &answer, |answer| cell(answer, "note"));
            }
        }
        Ok(CommandOutcome::Good)
    }
}

impl Add {
    fn document(self) -> Value {
        let all = [
            ("rule", self.rule),
            ("destination", self.destination),
            ("when", self.when),
            ("for", self.span),
            ("until", self.until),
            ("from", self.from),
            ("reason", self.reason),
            ("by", Some(self.who.name())),
        ];
        let given = all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        let mut document: Map<String, Value> = given.collect();
        if !self.events.is_empty() {
            document.insert("events".into(), self.events.into());
        }
        document.into()
    }
}

fn list_text(list: &Value) -> String {
    let row = |item: &Value| {
        vec![
            term::state(&cell(item, "state")),
            what_text(item),
            when(item, "until"),
            cell(item, "by"),
            cell(item, "reason"),
            cell(item, "muted"),
            cell(item, "id"),
            cell(item, "place"),
        ]
    };
    let heads = ["state", "what", "until", "by", "reason", "held back", "id", "file"];
    table(list, "nothing is muted", &heads, row)
}

/// What a mute silences: all of it must hold.
fn what_text(mute: &Value) -> String {
    let mut words = Vec::new();
    for key in ["rule", "destination"] {
        if !mute[key].is_null() {
            words.push(format!("{key} {}", cell(mute, key)));
        }
    }
    let globs: Vec<String> =
        mute["events"].as_array().into_iter().flatten().filter_map(Value::as_str).map(term::safe).collect();
    if !globs.is_empty() {
        words.push(format!("events {}", globs.join(", ")));
    }
    if !mute["when"].is_null() {
        words.push(format!("when {}", cell(mute, "when")));
    }
    words.join(", ")
}
