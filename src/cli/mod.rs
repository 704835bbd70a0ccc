//! The commands. Each is a file; this one says which there are.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 good, 1 found something wrong, 2 wrong usage, 70
//! (`serve` only) ended by itself and is to be started again.
//! `--format json` where a program may read it; colour only on a terminal and without `NO_COLOR`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::problem::nearest;
use crate::rules::{Rule, RuleSet};

// First: the others print by its means.
#[macro_use]
mod out;
mod audit;
mod backfill;
mod backtest;
mod backup;
mod cases;
mod check;
mod client;
mod completions;
mod deliveries;
mod demo;
mod doctor;
mod drill;
mod events;
mod explain;
mod flood;
mod health;
mod links;
mod many;
mod mute;
pub mod init;
mod man;
mod mcp;
mod pick;
mod preview;
mod reload;
mod samples;
pub mod schema;
mod send;
mod serve;
mod sheet;
pub mod starter;
mod term;
mod test;
mod upcoming;
mod who;

/// The notification router for record labels: verifies webhooks, matches them against rules, notifies the right people.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, propagate_version = true, disable_help_subcommand = true)]
struct Arguments {
    /// The configuration
    #[arg(long, global = true, value_name = "FILE", env = "FANFARE_CONFIG", default_value = "fanfare.yaml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: a server, local inboxes for every channel, the 16 signed events
    Demo(demo::Demo),
    /// Create a folder of rules with tests, which passes `check` and `test`
    Init(init::Init),
    /// Run the server: receive, plan, dispatch; reload on change
    Serve(serve::Serve),
    /// Report all mistakes in configuration, rules and templates
    Check(check::Check),
    /// Run the tests of the rules
    Test(test::Test),
    /// Show what each rule does about an event, and why
    Explain(explain::Explain),
    /// Show how a message looks in a channel
    Preview(preview::Preview),
    /// Run this folder's rules on received events, and compare with what was sent
    Backtest(backtest::Backtest),
    /// Send a marked test message of a rule to its destinations, and print each answer
    Drill(drill::Drill),
    /// Sign an event as its sender would, and post it
    Send(send::Send),
    /// Have a sender send again what failed while nobody listened
    Backfill(backfill::Backfill),
    /// List, show, follow, export, replay events of a running server
    Events(events::Events),
    /// List, show, retry, cancel deliveries of a running server
    Deliveries(deliveries::Deliveries),
    /// List, show, acknowledge, close open cases of a running server
    Cases(cases::Cases),
    /// List what waits for its time on a running server; send it now or cancel it
    Upcoming(upcoming::Upcoming),
    /// Mute a rule, a destination, types or a condition on a running server for a time
    Mute(mute::Mute),
    /// List the rules that are held because they flood; let go or drop what they hold
    Flood(flood::Flood),
    /// End the links in messages, by which people acknowledge, close or mute a case
    Links(links::Links),
    /// List who acknowledged, closed, muted, retried, cancelled, replayed or reloaded what on a running server
    Audit(audit::Audit),
    /// Reload the files of a running server
    Reload(reload::Reload),
    /// Print the JSON Schema of rules, tests or the configuration, for editors
    Schema(schema::Schema),
    /// Copy the store while it is in use
    Backup(backup::Backup),
    /// Ask a running server whether it is ready; for health checks of containers
    Health(health::Health),
    /// Find problems of store, disk, clock, server and destinations
    Doctor(doctor::Doctor),
    /// Serve check, explain, preview, test and backtest to an assistant as tools (Model Context Protocol)
    Mcp(mcp::Mcp),
    /// Print the manual page, or write one per command
    Man(man::Man),
    /// Print the completion script for your shell
    Completions(completions::Completions),
}

/// How a command's data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandOutcome {
    /// All is well.
    Good,
    /// It found something wrong, or failed and printed why.
    Wrong,
    /// It could not continue; a supervisor restarts it.
    Ended,
}

/// The exit code of a process that could not continue: `EX_SOFTWARE` of sysexits.h.
const ENDED: u8 = 70;

/// The whole command line, for documentation and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too: they are no mistakes.
            let printed = error.print();
            if error.use_stderr() {
                return ExitCode::from(2);
            }
            printed.unwrap_or_else(|error| out::end(&error));
            out::flush();
            return ExitCode::SUCCESS;
        }
    };
    let outcome = run(arguments);
    out::flush();
    match outcome {
        Ok(CommandOutcome::Good) => ExitCode::SUCCESS,
        Ok(CommandOutcome::Wrong) => ExitCode::from(1),
        Ok(CommandOutcome::Ended) => ExitCode::from(ENDED),
        Err(error) => {
            if error.is::<client::Report>() {
                eprintln!("{error}");
            } else {
                eprintln!("{} {error:#}", term::bad("error:"));
            }
            ExitCode::from(1)
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<CommandOutcome> {
    let config = arguments.config.as_path();
    match arguments.command {
        Command::Demo(demo) => demo.run(),
        Command::Init(init) => init.run(),
        Command::Serve(serve) => serve.run(config),
        Command::Check(check) => check.run(config),
        Command::Test(test) => test.run(config),
        Command::Explain(explain) => explain.run(config),
        Command::Preview(preview) => preview.run(config),
        Command::Backtest(backtest) => backtest.run(config),
        Command::Drill(drill) => drill.run(config),
        Command::Send(send) => send.run(config),
        Command::Events(events) => events.run(config),
        Command::Deliveries(deliveries) => deliveries.run(config),
        Command::Cases(cases) => cases.run(config),
        Command::Upcoming(upcoming) => upcoming.run(config),
        Command::Mute(mute) => mute.run(config),
        Command::Audit(audit) => audit.run(config),
        Command::Backfill(backfill) => backfill.run(config),
        Command::Flood(flood) => flood.run(config),
        Command::Links(links) => links.run(config),
        Command::Reload(reload) => reload.run(config),
        Command::Schema(schema) => schema.run(),
        Command::Backup(backup) => backup.run(config),
        Command::Health(health) => health.run(config),
        Command::Doctor(doctor) => doctor.run(config),
        Command::Mcp(mcp) => mcp.run(config),
        Command::Man(man) => man.run(),
        Command::Completions(completions) => completions.run(),
    }
}

/// The fewest threads of a server's runtime.
const THREADS_MIN: usize = 2;

/// The runtime of commands that speak to a network. `threads` is for the server only.
pub(crate) fn runtime(threads: bool) -> std::io::Result<tokio::runtime::Runtime> {
    if threads {
        // On a machine with one core, too, one thread that is held up must not hold up all.
        let threads = std::thread::available_parallelism().map_or(THREADS_MIN, |cores| cores.get().max(THREADS_MIN));
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
    } else {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    }
}

/// Loads what authors need: no secrets, and no `fanfare.yaml` if there is none.
pub(crate) fn load_without_secrets(config: &Path) -> crate::config::load::Loaded {
    use crate::clock::{Clock, RealClock};
    use crate::config::substitute::NoEnvironment;
    use crate::lint;

    if config.exists() {
        lint::load(config, &NoEnvironment, RealClock.now())
    } else {
        lint::load_rules_only(config, RealClock.now())
    }
}

/// The rule that somebody names, or the nearest name there is.
pub(crate) fn rule_named<'r>(rules: &'r RuleSet, name: &str) -> anyhow::Result<&'r Rule> {
    rules.rule(name).ok_or_else(|| {
        let near = nearest(name, rules.rules.iter().map(|rule| rule.name.value.as_str()));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        anyhow::anyhow!("there is no rule `{name}`{near}")
    })
}

/// Whether anything stops a command that is about something else: then that is printed, on standard error. Warnings are
/// `check`'s to tell; that there are some is said in one line.
pub(crate) fn stops(problems: &crate::problem::Problems) -> bool {
    if problems.has_errors() {
        return report(problems);
    }
    let (_, warnings) = problems.count();
    if warnings > 0 {
        let count = term::count(warnings, "warning", "warnings");
        eprintln!("{}", term::dim_on_stderr(&format!("{count}: `fanfare check`")));
    }
    false
}

/// Prints what is wrong, on standard error, and says whether anything stops the command.
pub(crate) fn report(problems: &crate::problem::Problems) -> bool {
    for problem in problems.iter() {
        eprintln!("{}\n", problem.render(term::colour_on_stderr()));
    }
    if problems.left_out() > 0 {
        eprintln!("and {} more\n", problems.left_out());
    }
    problems.has_errors()
}

/// The same where something stops the command; else notes and warnings are left to `check`.
pub(crate) fn report_if_errors(problems: &crate::problem::Problems) -> bool {
    problems.has_errors() && report(problems)
}
