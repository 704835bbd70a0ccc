//! `fanfare drill`: a marked test message, through the destinations of a rule, and what each answered.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::channels::wire::{Guard, Wire};
use crate::cli::events::print;
use crate::cli::preview::fitting;
use crate::cli::{CommandOutcome, Format, pick, report, rule_named, runtime, term};
use crate::clock::{Clock, RealClock};
use crate::config::substitute::RealEnvironment;
use crate::config::{Destination, Snapshot, load};
use crate::delivery;
use crate::event::Event;
use crate::rehearse::drill::{Drilled, Stop, became, drill, fresh, stops};
use crate::rehearse::show::Wanted;
use crate::rules::Rule;

/// How often a service that queued it is asked what became of it, and how many times.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASKED_MAX: usize = 20;

/// Needs no server, but the secrets. What it raises (an incident, a thread) is closed at once. Exits with 1 if one did not
/// take it.
#[derive(Debug, clap::Args)]
pub(crate) struct Drill {
    /// The rule
    #[arg(value_name = "RULE")]
    rule: String,
    /// A sample, a file with a body, `-`, or an own event; by default the first sample on which the rule acts
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Only to this destination; repeatable
    #[arg(long, value_name = "DESTINATION")]
    to: Vec<String>,
    /// Do it; by default, the command only says where it would send
    #[arg(long)]
    yes: bool,
    /// The output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

impl Drill {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let now = RealClock.now();
        let loaded = load::load(config, &RealEnvironment, now);
        if loaded.problems.has_errors() && report(&loaded.problems) {
            return Ok(CommandOutcome::Wrong);
        }
        let snapshot = Arc::new(loaded.snapshot.context("nothing could be loaded")?);
        let rules = snapshot.rules.clone().context("no rules could be loaded")?;
        let rule = rule_named(&rules, &self.rule)?;
        let stops = self.stops(&snapshot, rule)?;
        let first = stops.first().context("this rule has no destinations")?;
        let event = fresh(match &self.event {
            Some(event) => pick::named(&snapshot, event, None, now)?,
            None => fitting(&snapshot, &[(rule, first.action)], now)?,
        });
        if !self.yes {
            print(self.format, &planned(&stops), |_| plan(rule, &stops));
            return Ok(CommandOutcome::Good);
        }
        let answers = runtime(false)?.block_on(send(&snapshot, rule, &stops, &event, now))?;
        let took = answers.iter().all(|(_, answer)| answer.is_good());
        print(self.format, &told(&answers), |_| table(&answers));
        Ok(if took { CommandOutcome::Good } else { CommandOutcome::Wrong })
    }

    fn stops<'s>(&self, snapshot: &Snapshot, rule: &'s Rule) -> anyhow::Result<Vec<Stop<'s>>> {
        let mut stops = stops(snapshot, rule);
        let known: Vec<&str> = stops.iter().map(|stop| stop.destination.name.as_str()).collect();
        if let Some(unknown) = self.to.iter().find(|to| !known.contains(&to.as_str())) {
            bail!("`{}` does not send to `{unknown}`, but to {}", rule.name.value, known.join(", "));
        }
        stops.retain(|stop| self.to.is_empty() || self.to.contains(&stop.destination.name));
        Ok(stops)
    }
}

type Answers<'s> = Vec<(&'s Stop<'s>, Drilled)>;

async fn send<'s>(
    snapshot: &Arc<Snapshot>,
    rule: &Rule,
    stops: &'s [Stop<'s>],
    event: &Event,
    now: Timestamp,
) -> anyhow::Result<Answers<'s>> {
    let settings = &snapshot.settings;
    let guard = Guard::new(settings.egress_deny.clone(), settings.egress_allow.clone());
    let wire = Wire::new(guard).map_err(anyhow::Error::msg)?;
    let mut answers = Vec::new();
    for stop in stops {
        eprintln!("{}", term::dim_on_stderr(&format!("… {}", stop.destination.name)));
        let wanted = Wanted {
            say: &stop.action.say.value,
            action: Some((rule, stop.action)),
            destination: stop.destination.clone(),
            before: &[],
            event,
            now,
        };
        let mut drilled = drill(snapshot, &wanted, &wire).await;
        drilled.became = ask(stop, &drilled, &wire).await;
        answers.push((stop, drilled));
    }
    Ok(answers)
}

/// Asks what became of it, where it was only queued, until that is decided or enough time has gone by.
async fn ask(stop: &Stop<'_>, drilled: &Drilled, wire: &Wire) -> Option<Result<String, String>> {
    let question = drilled.question.as_ref()?;
    for _ in 0..ASKED_MAX {
        tokio::time::sleep(ASK_EVERY).await;
        if let Some(became) = became(&stop.destination, question, wire).await {
            return Some(became);
        }
    }
    None
}

fn place(stop: &Stop<'_>) -> Value {
    let Destination { name, kind, channel, .. } = &*stop.destination;
    json!({"destination": name, "type": kind.name, "address": channel.facts().address})
}

fn planned(stops: &[Stop<'_>]) -> Value {
    stops.iter().map(place).collect()
}

fn plan(rule: &Rule, stops: &[Stop<'_>]) -> String {
    let row = |stop: &Stop<'_>| {
        let Destination { name, kind, channel, .. } = &*stop.destination;
        vec![term::safe(name), kind.name.to_owned(), term::safe(&channel.facts().address)]
    };
    let rows: Vec<Vec<String>> = stops.iter().map(row).collect();
    let count = term::count(stops.len(), "destination", "destinations");
    let head = format!("a test message of {} would go to {count}:", rule.name.value);
    format!("{head}\n{}\nadd `--yes` to send it", term::table(&["destination", "type", "address"], &rows))
}

fn told(answers: &Answers<'_>) -> Value {
    let row = |(stop, drilled): &(&Stop<'_>, Drilled)| {
        let mut row = place(stop);
        row["outcome"] = drilled.outcome.name().into();
        row["answer"] = drilled.answer.as_str().into();
        row["closed"] = drilled.closed.as_ref().map(|verdict| verdict.outcome.name()).into();
        row["became"] = drilled.became.as_ref().map(|became| became.as_ref().unwrap_or_else(|why| why).as_str()).into();
        row["confirm"] = stop.unconfirmed(drilled).into();
        row
    };
    answers.iter().map(row).collect()
}

fn table(answers: &Answers<'_>) -> String {
    let row = |(stop, drilled): &(&Stop<'_>, Drilled)| {
        let outcome = term::state(drilled.outcome.name());
        let after = term::safe(&after(stop, drilled));
        vec![term::safe(&stop.destination.name), outcome, term::safe(&drilled.answer), after]
    };
    let rows: Vec<Vec<String>> = answers.iter().map(row).collect();
    term::table(&["destination", "", "answer", ""], &rows)
}

/// What became of it, or what a person has to do to find out.
fn after(stop: &Stop<'_>, drilled: &Drilled) -> String {
    let closed = drilled.closed.as_ref().map(|verdict| match verdict.outcome {
        delivery::AttemptOutcome::Delivered => "closed again".to_owned(),
        _ => format!("not closed again: {}", verdict.reason),
    });
    let became = drilled.became.as_ref().map(|became| match became {
        Ok(status) => format!("then: {status}"),
        Err(why) => format!("then it failed: {why}"),
    });
    let queued = stop.unconfirmed(drilled).map(|place| format!("only queued: {place}"));
    became.into_iter().chain(closed).chain(queued).collect::<Vec<_>>().join("; ")
}
