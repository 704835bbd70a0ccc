//! `fanfare cases`: what is open, who acknowledged it, what comes next; acknowledge or close it.

use std::path::Path;

use anyhow::bail;
use clap::Subcommand;
use serde_json::Value;

use crate::cli::client::{Client, Server};
use crate::cli::events::{cell, print, table, when};
use crate::cli::term::Moment;
use crate::cli::who::Who;
use crate::cli::{CommandOutcome, Format, deliveries, runtime, term};

/// How many cases of a kind are sorted; of more, the first by id.
const SORTED_MAX: usize = 2_000;

/// Uses the admin API of a running server.
#[derive(Debug, clap::Args)]
pub(crate) struct Cases {
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
    /// List the open cases, those that wait for a person first: who acknowledged them, and what comes next
    List {
        /// Only cases of this rule
        #[arg(long)]
        rule: Option<String>,
        /// Only cases with this key
        #[arg(long)]
        key: Option<String>,
        /// Only acknowledged cases; `--acked=false`: only those that nobody acknowledged
        #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
        acked: Option<bool>,
        /// Only cases that wait for a person; `--waiting=false`: only those that are acknowledged, or kept for their threads
        /// and for `once`
        #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
        waiting: Option<bool>,
        /// Only cases opened since this time, or within a time span such as `2h`
        #[arg(long, value_name = "TIME", value_parser = term::moment)]
        since: Option<Moment>,
        /// Only cases opened before this time, or longer ago than a time span
        #[arg(long, value_name = "TIME", value_parser = term::moment)]
        until: Option<Moment>,
        /// The maximum number of entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show a case: its facts, what comes next, what was sent where
    Show {
        /// Its id, or a key: every open case that has it
        case: String,
    },
    /// Acknowledge cases: their reminders stop, they stay open
    Ack(Named),
    /// Close cases by hand: they send nothing more
    Close(Named),
    #[command(hide = true)]
    Take {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// A case's id, or a key: every open case that has it
    case: String,
    /// Only the case of this rule
    #[arg(long)]
    rule: Option<String>,
    /// A note for others
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    who: Who,
}

impl Cases {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let client = self.server.connect(config)?;
        runtime(false)?.block_on(self.verb.run(&client, self.format))
    }
}

impl Verb {
    async fn run(self, client: &Client, format: Format) -> anyhow::Result<CommandOutcome> {
        match self {
            Verb::List { rule, key, acked, waiting, since, until, limit } => {
                let given = [
                    ("rule", rule),
                    ("key", key),
                    ("acked", acked.map(|acked| acked.to_string())),
                    ("since", since.map(Moment::text)),
                    ("until", until.map(Moment::text)),
                ];
                let query: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                print(format, &listed(client, &query, waiting, limit).await?, list_text);
            }
            Verb::Show { case } => print(format, &shown(client, &case).await?, shows_text),
            Verb::Ack(named) => named.ask(client, "ack", format).await?,
            Verb::Close(named) => named.ask(client, "close", format).await?,
            Verb::Take { .. } => bail!("`cases take` is `cases ack` now: it acknowledges"),
        }
        Ok(CommandOutcome::Good)
    }
}

impl Named {
    async fn ask(self, client: &Client, verb: &str, format: Format) -> anyhow::Result<()> {
        let given = [("by", Some(self.who.name())), ("note", self.note), ("rule", self.rule)];
        let query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let answer = client.post(&["api", "v1", "cases", &self.case, verb], &query).await?;
        print(format, &answer, told_text);
        Ok(())
    }
}

/// What was done to each case, a line a case.
fn told_text(answer: &Value) -> String {
    let cases = answer["cases"].as_array().into_iter().flatten();
    cases.map(|case| cell(case, "told")).collect::<Vec<_>>().join("\n")
}

/// At most this many cases: first those that wait for a person, the next to come due first.
async fn listed(
    client: &Client,
    query: &[(&'static str, String)],
    waiting: Option<bool>,
    limit: usize,
) -> anyhow::Result<Value> {
    let mut all: Vec<Value> = Vec::new();
    for waits in [true, false].into_iter().filter(|waits| waiting.is_none_or(|wanted| wanted == *waits)) {
        if all.len() >= limit {
            break;
        }
        let mut query = query.to_vec();
        query.push(("waiting", waits.to_string()));
        // Pages come by id, and what is due first may be on the last.
        let found = client.list(&["api", "v1", "cases"], query, limit.max(SORTED_MAX), "after").await?;
        let Value::Array(mut found) = found else { bail!("the server answered no list") };
        found.sort_by_key(due);
        all.extend(found.into_iter().take(limit.saturating_sub(all.len())));
    }
    Ok(all.into())
}

/// What a case is sorted by: its next time, if it has one, then since when it is open.
fn due(case: &Value) -> (bool, String, String) {
    let next = coming(case).map(|timer| timer["next"].as_str().unwrap_or_default().to_owned());
    (next.is_none(), next.unwrap_or_default(), case["opened"].as_str().unwrap_or_default().to_owned())
}

/// The case with this id, or all that have this key: one as it is, several as a list.
async fn shown(client: &Client, said: &str) -> anyhow::Result<Value> {
    let same = client.list(&["api", "v1", "cases"], vec![("key", said.to_owned())], SORTED_MAX, "after").await?;
    let ids: Vec<&str> = same.as_array().into_iter().flatten().filter_map(|case| case["id"].as_str()).collect();
    if ids.len() < 2 {
        return client.get(&["api", "v1", "cases", said], &[]).await;
    }
    let mut all = Vec::new();
    for id in ids {
        all.push(client.get(&["api", "v1", "cases", id], &[]).await?);
    }
    Ok(all.into())
}

fn list_text(list: &Value) -> String {
    table(list, "no open cases", &["state", "by", "rule", "key", "opened", "matches", "next", "id"], row)
}

fn row(item: &Value) -> Vec<String> {
    vec![
        term::state(state(item)),
        acknowledged(item),
        cell(item, "rule"),
        cell(item, "key"),
        when(item, "opened"),
        cell(item, "count"),
        coming(item).map(next_text).unwrap_or_default(),
        cell(item, "id"),
    ]
}

/// How a case stands: it waits for a person, somebody acknowledged it, or it is only kept: for its thread and for `once`.
fn state(case: &Value) -> &'static str {
    match (case["waiting"] == true, case["acked_by"].is_null()) {
        (true, _) => "waiting",
        (false, false) => "acknowledged",
        (false, true) => "kept",
    }
}

/// Who acknowledged a case, and their note.
fn acknowledged(case: &Value) -> String {
    match cell(case, "note") {
        note if note.is_empty() => cell(case, "acked_by"),
        note => format!("{}: {note}", cell(case, "acked_by")),
    }
}

/// What comes next by the clock. What came due while no rule asked for it may never come.
fn coming(case: &Value) -> Option<&Value> {
    case["timers"].as_array()?.iter().find(|timer| timer["waits"] != true)
}

/// `2026-01-05 13:00:00 CET to label-heads, finance`.
fn next_text(timer: &Value) -> String {
    let to: Vec<String> =
        timer["to"].as_array().into_iter().flatten().filter_map(Value::as_str).map(term::one_line).collect();
    let next = when(timer, "next");
    if to.is_empty() { format!("{next} (no longer in the rules)") } else { format!("{next} to {}", to.join(", ")) }
}

/// One case, or several.
fn shows_text(shown: &Value) -> String {
    match shown.as_array() {
        Some(several) => several.iter().map(show_text).collect::<Vec<_>>().join("\n\n\n"),
        None => show_text(shown),
    }
}

fn show_text(case: &Value) -> String {
    let acknowledged = match case["acked_by"].as_str() {
        Some(by) => format!("acknowledged by {} {}", term::one_line(by), when(case, "acked_at")),
        None if case["waiting"] == true => term::warn("waits for a person, and nobody acknowledged it"),
        None => "nobody acknowledged it, and it waits for nobody".to_owned(),
    };
    let mut lines = vec![
        format!("{}  {acknowledged}", term::bold(&cell(case, "id"))),
        format!("rule {}, key {}", cell(case, "rule"), cell(case, "key")),
        format!(
            "opened {} by event {} ({}), {}, the last {}",
            when(case, "opened"),
            cell(&case["opening"], "id"),
            cell(&case["opening"], "type"),
            term::count(case["count"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(0), "match", "matches"),
            when(case, "last"),
        ),
    ];
    if !case["note"].is_null() {
        lines.push(format!("note: {}", cell(case, "note")));
    }
    if case["shadow"] == true {
        lines.push("opened in shadow: no reminder of it is sent".into());
    }
    if !case["ends"].is_null() {
        lines.push(format!("closes {} if no event comes", when(case, "ends")));
    }
    match &case["orphaned"] {
        Value::Null => {}
        orphaned if orphaned["rule"] == true => {
            lines.push(term::bad("its rule is gone: it sends nothing more; close it by hand"));
        }
        _ => lines.push(term::bad("the rules in force no longer contain all of its actions")),
    }
    lines.push(String::new());
    let timers = case["timers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if timers.is_empty() {
        lines.push("no timer is set".into());
    }
    lines.extend(timers.iter().map(|timer| match timer["waits"] == true {
        true => format!("not sent {}: it is sent if the rules ask for it again", when(timer, "next")),
        false => format!("next: {}", next_text(timer)),
    }));
    lines.push(String::new());
    lines.push(deliveries::list_text(&case["deliveries"]));
    lines.join("\n")
}
