//! `fanfare test`: plays the tests of the rules.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use jiff::tz::TimeZone;

use crate::cli::{CommandOutcome, load_without_secrets, term};
use crate::config::Snapshot;
use crate::config::files::{self, Files};
use crate::config::load::Loaded;
use crate::config::substitute::NoEnvironment;
use crate::message::template::branches::Branches;
use crate::problem::{File, Gravity, Problem, Problems};
use crate::rehearse::Stage;
use crate::rehearse::cover::{Coverage, Reached};
use crate::rehearse::play::{self, Played};
use crate::rules::glob::Glob;
use crate::rules::trial;

mod print;

/// How often `--watch` looks whether anything changed.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// The largest file that a test may send, in bytes.
const EVENT_MAX: u64 = 4 << 20;

/// Needs no server and no secrets. Exits with 1 if a test fails or can't be read.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Test files or folders; by default the rules folder
    #[arg(value_name = "PATH", value_parser = existing)]
    paths: Vec<PathBuf>,
    /// Only tests whose name matches: `*fraud*`
    #[arg(long, value_name = "GLOB", value_parser = filter)]
    filter: Option<Filter>,
    /// The output format
    #[arg(long, value_enum, default_value = "text")]
    format: TestFormat,
    /// List parts of rules and templates that no test covers
    #[arg(long)]
    coverage: bool,
    /// Repeat the tests whenever a file changes
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TestFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For build servers
    Junit,
}

#[derive(Debug, Clone)]
struct Filter {
    text: String,
    glob: Glob,
}

fn existing(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.exists() { Ok(path) } else { Err("there is no such file or folder".into()) }
}

fn filter(text: &str) -> Result<Filter, String> {
    match Glob::parse(text) {
        Ok(glob) => Ok(Filter { text: text.to_owned(), glob }),
        Err(error) => Err(error.message),
    }
}

/// A test and what came of it.
struct Outcomes<'t> {
    tests: Vec<(&'t trial::Test, Played)>,
    /// The zone that times are reported in.
    zone: TimeZone,
    coverage: Option<Reached>,
    took: Duration,
}

impl Outcomes<'_> {
    fn failed(&self) -> usize {
        self.tests.iter().filter(|(_, played)| !played.failed.is_empty()).count()
    }
}

impl Test {
    pub(crate) fn run(self, config: &Path) -> anyhow::Result<CommandOutcome> {
        if !self.watch {
            return Ok(self.once(load_without_secrets(config), &RefCell::default()));
        }
        loop {
            if std::io::stdout().is_terminal() {
                print!("\x1b[2J\x1b[H");
            }
            let sent = RefCell::default();
            let loaded = load_without_secrets(config);
            // Looked at in the same way as later, and before the tests are played.
            let seen = loaded.seen.again(&NoEnvironment);
            self.once(loaded, &sent);
            eprintln!("{}", term::dim("waiting for a change; press Ctrl-C to stop"));
            let (sent, beside) = (sent.borrow(), self.beside(&sent.borrow()));
            while seen.again(&NoEnvironment) == seen && self.beside(&sent) == beside {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// Tests once. `sent` collects the files that tests send.
    fn once(&self, loaded: Loaded, sent: &RefCell<BTreeSet<PathBuf>>) -> CommandOutcome {
        if report_errors(&loaded.problems) {
            return CommandOutcome::Wrong;
        }
        let Some(snapshot) = loaded.snapshot else { return CommandOutcome::Wrong };
        let mut problems = Problems::new();
        let files = match self.paths.is_empty() {
            true => loaded.files.tests.clone(),
            false => self.paths.iter().flat_map(|path| files::tests(path, &mut problems)).collect(),
        };
        let (stage, tests) = tests(snapshot, &loaded.files, &files, sent, &mut problems);
        if report_errors(&problems) {
            return CommandOutcome::Wrong;
        }
        let wanted = |test: &&trial::Test| self.filter.as_ref().is_none_or(|f| f.glob.matches(&test.name.value));
        let chosen: Vec<&trial::Test> = tests.iter().filter(wanted).collect();
        if chosen.is_empty() {
            return self.nothing(&tests);
        }
        let stage = if self.coverage { stage.watching() } else { stage };
        let outcomes = self.play(&stage, &chosen);
        match self.format {
            TestFormat::Text => print!("{}", print::text(&outcomes)),
            TestFormat::Json => println!("{:#}", print::json(&outcomes)),
            TestFormat::Junit => print!("{}", print::junit(&outcomes)),
        }
        if outcomes.failed() > 0 { CommandOutcome::Wrong } else { CommandOutcome::Good }
    }

    fn play<'t>(&self, stage: &Stage, tests: &[&'t trial::Test]) -> Outcomes<'t> {
        let began = Instant::now();
        let played = play::play_all(stage, tests, self.coverage);
        let took = began.elapsed();
        let coverage = stage.snapshot().rules.as_ref().filter(|_| self.coverage).map(|rules| {
            let mut all = Coverage::default();
            played.iter().for_each(|played| all.add(played.coverage.clone()));
            let mut reached = all.reached(rules);
            reached.add_branches(stage.snapshot().templates.branches().map(Branches::taken).unwrap_or_default());
            reached
        });
        let zone = stage.snapshot().settings.zone();
        Outcomes { tests: tests.iter().copied().zip(played).collect(), zone, coverage, took }
    }

    /// No test was chosen: wrong where some were asked for.
    fn nothing(&self, tests: &[trial::Test]) -> CommandOutcome {
        match &self.filter {
            Some(Filter { text, .. }) => {
                let within = tests.iter().any(|test| test.name.value.contains(text.as_str()));
                let hint = if within { format!("; did you mean `*{text}*`?") } else { String::new() };
                eprintln!("{} no test is called `{text}`{hint}", term::bad("error:"));
                CommandOutcome::Wrong
            }
            None if !self.paths.is_empty() => {
                eprintln!("{} there are no tests", term::bad("error:"));
                CommandOutcome::Wrong
            }
            None => {
                eprintln!("there are no tests: put them into the rules folder, in files named `*.test.yaml`");
                CommandOutcome::Good
            }
        }
    }

    /// What the files say that tests depend on beside the rules and templates, as one text.
    fn beside(&self, sent: &BTreeSet<PathBuf>) -> String {
        let mut unread = Problems::new();
        let mut tests: Vec<Arc<File>> = self.paths.iter().flat_map(|path| files::tests(path, &mut unread)).collect();
        tests.extend(sent.iter().filter_map(|path| files::read(path, &files::shown(path), &mut unread)));
        Files { tests, ..Files::default() }.hash()
    }
}

/// Adds the mistakes of the rules folder's tests to what is wrong.
pub(crate) fn check(loaded: &mut Loaded) {
    let Some(snapshot) = loaded.snapshot.take() else { return };
    let mut said = Problems::new();
    tests(snapshot, &loaded.files, &loaded.files.tests, &RefCell::default(), &mut said);
    loaded.problems.extend(said);
    loaded.problems.sort();
}

/// Reads test files, for what `snapshot` says.
fn tests(
    snapshot: Snapshot,
    files: &Files,
    tests: &[Arc<File>],
    sent: &RefCell<BTreeSet<PathBuf>>,
    problems: &mut Problems,
) -> (Stage, Vec<trial::Test>) {
    let stage = Stage::new(snapshot);
    let read = |test: &str, name: &str| {
        let path = Path::new(test).parent().unwrap_or(Path::new("")).join(name);
        sent.borrow_mut().insert(path.clone());
        let metadata = std::fs::metadata(&path).map_err(|error| error.to_string())?;
        if !metadata.is_file() || metadata.len() > EVENT_MAX {
            return Err("it is not a plain file of at most 4 MiB".into());
        }
        std::fs::read(&path).map_err(|error| error.to_string())
    };
    let mut said = Problems::new();
    let tests = play::read(&stage, files, tests, &read, &mut said);
    said.sort();
    problems.extend(said);
    (stage, tests)
}

/// Prints the errors on standard error; warnings are for `check`.
fn report_errors(problems: &Problems) -> bool {
    let is_error = |problem: &&Problem| problem.gravity == Gravity::Error;
    for problem in problems.iter().filter(is_error) {
        eprintln!("{}\n", problem.render(term::colour_on_stderr()));
    }
    if problems.left_out() > 0 {
        eprintln!("and {} more\n", problems.left_out());
    }
    problems.has_errors()
}
