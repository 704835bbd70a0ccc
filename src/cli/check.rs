//! `fanfare check`: everything that is wrong, at once.

use std::collections::BTreeSet;
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::{CommandOutcome, load_without_secrets, term, test};
use crate::clock::{Clock, RealClock};
use crate::config::Settings;
use crate::config::evidence::Past;
use crate::config::load::Loaded;
use crate::config::substitute::RealEnvironment;
use crate::lint;
use crate::problem::{Gravity, Location, Problem};
use crate::store;
use crate::store::{Glance, Wanted};

/// The kind of the documents of open cases.
const CASES: &str = "case";
/// The most open cases that rules are held against.
const CASES_MAX: usize = 10_000;
/// The most events, the latest ones, that count as what events look like.
const EVENTS_MAX: usize = 1_000;

/// Exits with 1 if there is an error, or with `--strict` a warning.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Skip secrets and destinations: needs no environment; for authors and CI
    #[arg(long)]
    rules_only: bool,
    /// Fail on warnings too; notes never fail
    #[arg(long)]
    strict: bool,
    /// The output format of problems
    #[arg(long, value_enum, default_value = "text")]
    format: CheckFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// For people
    Text,
    /// An array of problems
    Json,
    /// Annotations for GitHub Actions
    Github,
    /// SARIF 2.1.0
    Sarif,
}

impl Check {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        let mut loaded = if self.rules_only {
            load_without_secrets(config)
        } else {
            lint::load_after(config, &RealEnvironment, RealClock.now(), past)
        };
        test::check(&mut loaded);
        match self.format {
            CheckFormat::Text => text(&loaded),
            CheckFormat::Json => println!("{:#}", json(&loaded)),
            CheckFormat::Github => loaded.problems.iter().for_each(|problem| println!("{}", github(problem))),
            CheckFormat::Sarif => println!("{:#}", sarif(&loaded)),
        }
        let (errors, warnings) = loaded.problems.count();
        let wrong = errors > 0 || (self.strict && warnings > 0);
        Ok(if wrong { CommandOutcome::Wrong } else { CommandOutcome::Good })
    }
}

/// What happened before, if the store can be read beside a server that may have it open; if not, nothing is said of it.
fn past(settings: &Settings) -> Past {
    let base = settings.file.parent().unwrap_or(Path::new(""));
    let wanted = Wanted { kind: CASES, docs: CASES_MAX, events: EVENTS_MAX };
    let Glance { docs, events } = store::glance(&settings.store, base, &wanted).unwrap_or_default();
    Past { events, cases: docs.iter().filter_map(|text| serde_json::from_str(text).ok()).collect() }
}

fn text(loaded: &Loaded) {
    for problem in loaded.problems.iter() {
        println!("{}\n", problem.render(term::colour_on_stdout()));
    }
    if loaded.problems.left_out() > 0 {
        println!("and {} more\n", loaded.problems.left_out());
    }
    let (errors, warnings) = loaded.problems.count();
    let files = &loaded.files;
    let read = format!(
        "{} and {} read",
        term::count(files.rules.len(), "rules file", "rules files"),
        term::count(files.templates.len(), "template", "templates")
    );
    let notes = loaded.problems.of(Gravity::Note);
    let found: Vec<String> = [
        (errors, "error", "errors", term::bad as fn(&str) -> String),
        (warnings, "warning", "warnings", term::warn),
        (notes, "note", "notes", term::dim),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many, paint)| paint(&term::count(count, one, many)))
    .collect();
    let found = if found.is_empty() { term::good("all is well") } else { found.join(", ") };
    println!("{read}: {found}");
}

fn json(loaded: &Loaded) -> Value {
    loaded.problems.iter().map(problem_json).collect()
}

fn problem_json(problem: &Problem) -> Value {
    json!({
        "code": problem.code,
        "gravity": problem.gravity.name(),
        "message": problem.message,
        "file": problem.place.as_ref().map(|place| &place.file.path),
        "line": problem.place.as_ref().map(|place| place.line()),
        "column": problem.place.as_ref().map(|place| place.column()),
        "hint": problem.hint,
    })
}

/// A workflow command (GitHub Actions, "Workflow commands": setting an error or warning message).
fn github(problem: &Problem) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let escape_property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let place = problem.place.as_ref().map(|place| {
        format!(" file={},line={},col={}", escape_property(&place.file.path), place.line(), place.column())
    });
    let message = match &problem.hint {
        Some(hint) => format!("{} ({hint})", problem.message),
        None => problem.message.clone(),
    };
    // What others call a note is a notice there.
    let command = if problem.gravity == Gravity::Note { "notice" } else { problem.gravity.name() };
    format!("::{command}{}::{}", place.unwrap_or_default(), escape(&message))
}

/// SARIF 2.1.0 (OASIS), one run. What is known of a code beyond its message stands with the tool.
fn sarif(loaded: &Loaded) -> Value {
    let place = |place: &Location| {
        json!({
            "artifactLocation": {"uri": place.file.path},
            "region": {"startLine": place.line(), "startColumn": place.column()},
        })
    };
    let result = |problem: &Problem| {
        let locations: Vec<Value> = problem.place.iter().map(|at| json!({"physicalLocation": place(at)})).collect();
        let related: Vec<Value> = problem
            .also
            .iter()
            .map(|(at, label)| json!({"physicalLocation": place(at), "message": {"text": label}}))
            .collect();
        let text = match &problem.hint {
            Some(hint) => format!("{} ({hint})", problem.message),
            None => problem.message.clone(),
        };
        let mut result = json!({
            "ruleId": problem.code, "level": problem.gravity.name(), "message": {"text": text}, "locations": locations,
        });
        if !related.is_empty() {
            result["relatedLocations"] = related.into();
        }
        result
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "fanfare",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": sarif_rules(loaded),
            }},
            "results": loaded.problems.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// What the codes that occur mean, where that can be said of each of them alike.
fn sarif_rules(loaded: &Loaded) -> Vec<Value> {
    let codes: BTreeSet<&str> = loaded.problems.iter().map(|problem| problem.code).collect();
    let told = lint::ALL.iter().map(|one| (one.code, one.doc, one.fix)).chain(lint::elsewhere());
    told.filter(|(code, ..)| codes.contains(code))
        .map(|(code, doc, fix)| json!({"id": code, "shortDescription": {"text": doc}, "help": {"text": fix}}))
        .collect()
}
