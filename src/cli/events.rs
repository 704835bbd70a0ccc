//! `fanfare events`: what came, and what it led to.

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use crate::cli::client::Server;
use crate::cli::{Format, Outcome, runtime, term};

/// Speaks to the admin API of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    #[command(flatten)]
    server: Server,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The newest events
    List {
        /// Only this type, or with a trailing `*` those that begin so
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only this source
        #[arg(long)]
        source: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One event: its body, what each rule did and why, its deliveries
    Show {
        /// Its id, or its place in the inbox
        event: String,
    },
    /// Plan an event again with the rules in force; makes only what isn't there
    Replay {
        /// Its id, or its place in the inbox
        event: String,
        /// Only this rule
        #[arg(long)]
        rule: Option<String>,
        /// Make it anew, even what was sent
        #[arg(long)]
        again: bool,
    },
}

impl Events {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<Outcome> {
        let client = self.server.connect(config)?;
        let runtime = runtime(false)?;
        match self.verb {
            Verb::List { kind, source, limit } => {
                let given = [("type", kind), ("source", source)];
                let query = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                let list = client.list(&["api", "v1", "events"], query, limit, ("before", "seq"));
                let list = runtime.block_on(list)?;
                print(self.format, &list, list_text);
            }
            Verb::Show { event } => {
                let document = runtime.block_on(client.get(&["api", "v1", "events", &event], &[]))?;
                print(self.format, &document, show_text);
            }
            Verb::Replay { event, rule, again } => {
                let mut query = vec![("again", again.to_string())];
                query.extend(rule.map(|rule| ("rule", rule)));
                let answer = runtime.block_on(client.post(&["api", "v1", "events", &event, "replay"], &query))?;
                print(self.format, &answer, |_| format!("`{event}` is planned again"));
            }
        }
        Ok(Outcome::Good)
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
        Value::String(text) => term::safe(text),
        other => other.to_string(),
    }
}

fn list_text(list: &Value) -> String {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return "no events".into();
    }
    let row = |item: &Value| ["received", "type", "id", "source"].iter().map(|key| cell(item, key)).collect();
    term::table(&["received", "type", "id", "source"], &items.iter().map(row).collect::<Vec<_>>())
}

fn show_text(event: &Value) -> String {
    let mut lines = vec![
        format!("{}  {}", term::bold(&cell(event, "type")), cell(event, "id")),
        format!(
            "source {}, created {}, received {}",
            cell(event, "source"),
            cell(event, "created"),
            cell(event, "received")
        ),
        format!("verified by {}", cell(event, "proof")),
        String::new(),
    ];
    let rules = event["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rules.is_empty() {
        lines.push("no rule listens to this type".into());
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
