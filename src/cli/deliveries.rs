//! `fanfare deliveries`: what went, what waits, what died.

use std::path::Path;

use clap::Subcommand;
use serde_json::Value;

use crate::cli::client::{Client, Server};
use crate::cli::events::{cell, print, table, when};
use crate::cli::many::{Each, Many};
use crate::cli::term::Moment;
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, Format, runtime, term};

/// Uses the admin API of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Deliveries {
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
    /// List the newest deliveries
    List {
        #[command(flatten)]
        which: Which,
        /// The maximum number of entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one delivery: its message and every attempt
    Show {
        /// Its id
        delivery: String,
    },
    /// Send again now, rendered anew; without ids, the dead ones unless `--state` says otherwise
    Retry(Several),
    /// Cancel what was not sent yet; deliveries in progress continue
    Cancel(Several),
}

/// Which deliveries. All that is given must hold.
#[derive(Debug, clap::Args)]
struct Which {
    /// In this state: due, sending, retrying, delivered, dead, cancelled; several separated by commas
    #[arg(long)]
    state: Option<String>,
    /// To this destination
    #[arg(long)]
    destination: Option<String>,
    /// Of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Of this event
    #[arg(long)]
    event: Option<String>,
    /// Planned since this time, or within a time span such as `2h`
    #[arg(long, value_name = "TIME", value_parser = term::moment)]
    since: Option<Moment>,
}

/// One by id, or many by what they have in common.
#[derive(Debug, clap::Args)]
struct Several {
    /// Their ids
    #[arg(value_name = "DELIVERY")]
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Do it; by default, the command only counts several
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    who: Who,
}

impl Which {
    fn query(self) -> Vec<(&'static str, String)> {
        let all = [
            ("state", self.state),
            ("destination", self.destination),
            ("rule", self.rule),
            ("event", self.event),
            ("since", self.since.map(Moment::text)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

impl Deliveries {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        let runtime = runtime(false)?;
        match self.verb {
            Verb::List { which, limit } => {
                let list = client.list(&["api", "v1", "deliveries"], which.query(), limit, "before");
                let list = runtime.block_on(list)?;
                print(self.format, &list, list_text);
                Ok(CommandOutcome::Good)
            }
            Verb::Show { delivery } => {
                let document = runtime.block_on(client.get(&["api", "v1", "deliveries", &delivery], &[]))?;
                print(self.format, &document, show_text);
                Ok(CommandOutcome::Good)
            }
            Verb::Retry(several) => runtime.block_on(several.each(&client, "retry", "retried", self.format)),
            Verb::Cancel(several) => runtime.block_on(several.each(&client, "cancel", "cancelled", self.format)),
        }
    }
}

impl Several {
    /// Does `verb` to each, after saying how many there are.
    async fn each(
        self,
        client: &Client,
        verb: &str,
        done: &'static str,
        format: Format,
    ) -> anyhow::Result<CommandOutcome> {
        let mut query = self.which.query();
        if self.ids.is_empty() {
            if query.is_empty() {
                anyhow::bail!("which? Name ids, or one of --state, --destination, --rule, --event, --since");
            }
            query.push(("by", self.who.name()));
            let many = Many { path: &["api", "v1", "deliveries", verb], query, done, cursor: "before" };
            return many.run(client, self.yes, format, ("delivery", "deliveries"), verb).await;
        }
        if !query.is_empty() {
            anyhow::bail!("ids and --state, --destination, --rule, --event, --since don't go together");
        }
        query.push(("by", self.who.name()));
        let each = Each { path: ("deliveries", verb), query, done };
        each.run(client, &self.ids, self.yes, format, ("delivery", "deliveries"), verb).await
    }
}

/// A list of deliveries as a table.
pub(crate) fn list_text(list: &Value) -> String {
    let row = |item: &Value| {
        vec![
            term::state(&cell(item, "state")),
            cell(item, "destination"),
            cell(item, "rule"),
            cell(item, "event"),
            cell(item, "attempts"),
            when(item, "created"),
            cell(item, "id"),
            cell(item, "last_error"),
        ]
    };
    let heads = ["state", "destination", "rule", "event", "attempts", "planned", "id", "last error"];
    table(list, "no deliveries", &heads, row)
}

fn show_text(delivery: &Value) -> String {
    let mut lines = vec![
        format!(
            "{}  {} to {}",
            cell(delivery, "id"),
            term::state(&cell(delivery, "state")),
            term::bold(&cell(delivery, "destination"))
        ),
        format!(
            "rule {}, event {}, planned {}",
            cell(delivery, "rule"),
            cell(delivery, "event"),
            when(delivery, "created")
        ),
    ];
    for (key, what) in
        [("case", "case"), ("next", "next attempt"), ("finished", "finished"), ("last_error", "last error")]
    {
        if !delivery[key].is_null() {
            let said = if matches!(key, "next" | "finished") { when(delivery, key) } else { cell(delivery, key) };
            lines.push(format!("{what}: {said}"));
        }
    }
    for attempt in delivery["attempts_made"].as_array().into_iter().flatten() {
        lines.push(String::new());
        lines.push(format!(
            "attempt {}  {}  {}  {} ms",
            cell(attempt, "number"),
            term::state(&cell(attempt, "outcome")),
            when(attempt, "at"),
            cell(attempt, "took_ms")
        ));
        for key in ["answer", "sent"] {
            // Further lines stand deeper, so that none of them looks like one of ours.
            let text = attempt[key].as_str().map(term::safe).unwrap_or_default().replace('\n', "\n    ");
            if !text.is_empty() {
                lines.push(format!("  {key}: {text}"));
            }
        }
    }
    lines.join("\n")
}
