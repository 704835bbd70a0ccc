//! `fanfare doctor`: looks at all that a running Fanfare rests on, says what is wrong, and how to fix it.
//!
//! Works with a server beside it and without. It changes nothing except for one empty file that it makes beside the
//! store and deletes again, and sends nobody anything: a destination is connected to, and a mail server greeted.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::{CommandOutcome, Format, runtime, term};
use crate::clock::{Clock, RealClock};
use crate::config::Snapshot;
use crate::config::substitute::RealEnvironment;
use crate::lint;

mod files;
mod places;
mod server;

/// Looks at the configuration with its secrets, the store, the disk, the clock, the running server, the webhooks as a
/// sender sees them, and whether each destination can be reached; sends nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// The URL at which senders reach Fanfare, such as `https://hooks.label.example`; by default the listening address
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The output format: text, or an array of findings
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// Well.
    Good,
    /// Not wrong, and worth knowing.
    Note,
    /// A person should do something.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    look: String,
    health: Health,
    says: String,
    fix: Option<String>,
}

impl Finding {
    fn good(look: impl Into<String>, says: impl Into<String>) -> Self {
        Self { look: look.into(), health: Health::Good, says: says.into(), fix: None }
    }

    fn note(look: impl Into<String>, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { look: look.into(), health: Health::Note, says: says.into(), fix: Some(fix.into()) }
    }

    fn wrong(look: impl Into<String>, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { look: look.into(), health: Health::Wrong, says: says.into(), fix: Some(fix.into()) }
    }

    fn word(&self) -> &'static str {
        match self.health {
            Health::Good => "good",
            Health::Note => "note",
            Health::Wrong => "wrong",
        }
    }

    fn json(&self) -> Value {
        json!({"look": self.look, "state": self.word(), "says": self.says, "fix": self.fix})
    }

    fn print(&self) {
        let word = format!("{:<5}", self.word());
        let word = match self.health {
            Health::Good => term::good(&word),
            Health::Note => term::warn(&word),
            Health::Wrong => term::bad(&word),
        };
        let (first, more) = self.says.split_once('\n').unwrap_or((&self.says, ""));
        println!("{word}  {}  {}", term::bold(&format!("{:<24}", self.look)), term::safe(first));
        for line in more.lines() {
            println!("       {}", term::safe(line));
        }
        if let Some(fix) = &self.fix {
            println!("{:33}{} {}", "", term::dim("→"), term::safe(fix));
        }
    }
}

/// What has been found so far; told as it comes.
struct Chart {
    format: Format,
    findings: Vec<Finding>,
}

impl Chart {
    fn add(&mut self, finding: Finding) {
        if self.format == Format::Text {
            finding.print();
        }
        self.findings.push(finding);
    }

    /// Says what takes a while, to anyone who looks on.
    fn doing(&self, what: &str) {
        if self.format == Format::Text {
            eprintln!("{}", term::dim_on_stderr(&format!("… {what}")));
        }
    }

    fn end(self) -> CommandOutcome {
        let count = |health| self.findings.iter().filter(|finding| finding.health == health).count();
        let wrong = count(Health::Wrong);
        match self.format {
            Format::Json => {
                let findings: Vec<Value> = self.findings.iter().map(Finding::json).collect();
                println!("{}", Value::from(findings));
            }
            Format::Text => println!(
                "\n{} checked, {} wrong, {} worth knowing",
                term::count(self.findings.len(), "thing", "things"),
                wrong,
                count(Health::Note)
            ),
        }
        if wrong == 0 { CommandOutcome::Good } else { CommandOutcome::Wrong }
    }
}

impl Doctor {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let mut chart = Chart { format: self.format, findings: Vec::new() };
        let Some(snapshot) = configuration(&mut chart, config) else { return Ok(chart.end()) };
        term::show_times_in(snapshot.settings.zone());
        runtime(false)?.block_on(async {
            let alive = files::look(&mut chart, &snapshot).await;
            server::look(&mut chart, &snapshot, alive, self.url.as_deref()).await;
            places::look(&mut chart, &Arc::new(snapshot)).await;
        });
        Ok(chart.end())
    }
}

/// Loads what a server would load now, secrets and all.
fn configuration(chart: &mut Chart, config: &Path) -> Option<Snapshot> {
    let loaded = lint::load(config, &RealEnvironment, RealClock.now());
    let (errors, warnings) = loaded.problems.count();
    let shown = config.display();
    if errors > 0 {
        let says = format!(
            "{} in `{shown}` and the files that it names\n{}",
            term::count(errors, "mistake", "mistakes"),
            loaded.report()
        );
        chart.add(Finding::wrong(
            "configuration",
            says,
            "fix the files, or set the variables that are missing: `fanfare check`",
        ));
    } else if warnings > 0 {
        let says = format!("`{shown}` is valid, with {}", term::count(warnings, "warning", "warnings"));
        chart.add(Finding::note("configuration", says, "read them: `fanfare check`"));
    } else {
        chart.add(Finding::good(
            "configuration",
            format!("`{shown}` and the files that it names are valid, all secrets are set"),
        ));
    }
    loaded.snapshot
}
