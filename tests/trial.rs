//! Rule tests: what test files say, how they are played, and what is printed when one fails.
//!
//! Cases are files. `house` is a folder with a `fanfare.yaml` whose secrets nobody has: its tests pass. `wrong` are test
//! files with mistakes and `fails` such that fail, each beside what people see. `UPDATE=1` writes what is said now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare::clock::{Clock, RealClock};
use fanfare::config::load::{self, Loaded};
use fanfare::config::substitute::NoEnvironment;
use fanfare::event::Event;
use fanfare::problem::{File, Problems};
use fanfare::rules::trial::Test;
use fanfare::steps::rehearse::cover::Coverage;
use fanfare::steps::rehearse::play::{self, Played};
use fanfare::steps::rehearse::{Stage, Stuck};
use serde_json::json;

mod agreement;
mod front;
mod command;
mod laws;
mod stores;

/// A stage and the files that it was made from.
struct Set {
    stage: Stage,
    loaded: Loaded,
}

fn set(mut loaded: Loaded) -> Set {
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    Set { stage: Stage::new(loaded.snapshot.take().unwrap()), loaded }
}

/// What is shipped, without a `fanfare.yaml`.
fn shipped() -> Set {
    set(load::load_rules_only(Path::new("fanfare.yaml"), RealClock.now()))
}

fn house() -> Set {
    set(load::load(Path::new("tests/trial/house/fanfare.yaml"), &NoEnvironment, RealClock.now()))
}

impl Set {
    fn read(&self, files: &[Arc<File>]) -> (Vec<Test>, Problems) {
        let mut problems = Problems::new();
        let file = |test: &str, name: &str| {
            let path = Path::new(test).parent().unwrap().join(name);
            std::fs::read(path).map_err(|_| "it is not there".to_owned())
        };
        let tests = play::read(&self.stage, &self.loaded.files, files, &file, &mut problems);
        problems.sort();
        (tests, problems)
    }

    /// The tests of these files, which have no mistake.
    fn tests(&self, files: &[Arc<File>]) -> Vec<Test> {
        let (tests, problems) = self.read(files);
        assert!(problems.is_empty(), "{}", mistakes(&problems));
        assert!(!tests.is_empty());
        tests
    }
}

fn mistakes(problems: &Problems) -> String {
    let said: Vec<String> = problems.iter().map(|problem| problem.render(false) + "\n").collect();
    said.join("\n")
}

fn play(set: &Set, tests: &[Test]) -> Vec<Played> {
    play::play_all(&set.stage, &tests.iter().collect::<Vec<_>>(), false)
}

fn report(tests: &[Test], played: &[Played]) -> String {
    let mut out = String::new();
    for (test, played) in tests.iter().zip(played) {
        for note in &played.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        if !played.failed.is_empty() {
            out.push_str(&format!("{}\n", test.name.value));
        }
        for failed in &played.failed {
            out.push_str(&failed.render(&|_, text| text.to_owned()));
        }
    }
    out
}

/// The cases of a folder, each as if it stood in the house's rules folder.
fn cases(folder: &str) -> Vec<(PathBuf, Arc<File>)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(Path::new("tests/trial").join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    let file = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        File::new("tests/trial/house/rules/main.test.yaml", text)
    };
    paths.iter().map(|path| (path.with_extension("report"), file(path))).collect()
}

fn golden(path: &Path, said: &str) -> Option<String> {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, said).unwrap();
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    (known != said).then(|| format!("{}:\n{said}\n", path.display()))
}

#[test]
fn every_shipped_test_passes() {
    let set = shipped();
    let tests = set.tests(&set.loaded.files.tests);
    let report = report(&tests, &play(&set, &tests));
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_test_of_the_examples_passes() {
    let examples = std::fs::read_dir("examples").unwrap().map(|entry| entry.unwrap().path().join("fanfare.yaml"));
    let mut count = 0;
    for file in examples.filter(|file| file.exists()) {
        let set = set(load::load(&file, &NoEnvironment, RealClock.now()));
        let tests = set.tests(&set.loaded.files.tests);
        count += tests.len();
        let report = report(&tests, &play(&set, &tests));
        assert!(report.is_empty(), "\n{report}");
    }
    assert!(count > 0);
}

#[test]
fn a_test_needs_no_secret_and_means_what_it_says() {
    let set = house();
    let tests = set.tests(&set.loaded.files.tests);
    let report = report(&tests, &play(&set, &tests));
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_mistake_of_a_test_file_is_told_at_once() {
    let set = house();
    let wrong: Vec<String> = cases("wrong")
        .into_iter()
        .filter_map(|(path, file)| {
            let (_, problems) = set.read(&[file]);
            assert!(problems.has_errors(), "{}: no mistake", path.display());
            golden(&path, &mistakes(&problems))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_test_that_fails_shows_what_was_expected_beside_what_was_sent() {
    let set = house();
    let wrong: Vec<String> = cases("fails")
        .into_iter()
        .filter_map(|(path, file)| {
            let tests = set.tests(&[file]);
            let played = play(&set, &tests);
            assert!(played.iter().all(|played| !played.failed.is_empty()), "{}: a test passes", path.display());
            golden(&path, &report(&tests, &played))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_year_of_daily_reminders_takes_no_time_and_leaves_none_out() {
    let set = house();
    let days = (0..365).map(|_| "{to: bot}").collect::<Vec<_>>().join(", ");
    let text = format!(
        "tests:\n  - name: a year\n    steps:\n      - send: {{type: campaign.started, data: {{campaign: A}}}}\n      \
         - wait: 365d\n      - expect: [{days}]\n"
    );
    let tests = set.tests(&[File::new("tests/trial/house/rules/main.test.yaml", text)]);
    let began = Instant::now();
    let report = report(&tests, &play(&set, &tests));
    assert!(report.is_empty(), "\n{report}");
    // A tenth of that where nothing else runs.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_never_ends_is_stopped() {
    let set = house();
    let rules = set.stage.snapshot().rules.clone().unwrap();
    let mut rehearsal = set.stage.rehearse(rules, "2026-01-05T10:00:00Z".parse().unwrap(), 1).await.unwrap();
    rehearsal.turns_max = 500;
    let mut event = Event::own("campaign.started", "evt_1", rehearsal.now(), json!({"campaign": "A"}));
    event.source = "jewelmusic".into();
    rehearsal.receive(event).await.unwrap();
    let stuck = rehearsal.wait_until("2027-01-05T10:00:00Z".parse().unwrap()).await;
    assert!(matches!(stuck, Err(Stuck::TooLong)), "{stuck:?}");
    assert!(rehearsal.take_sent().len() > 200, "what was sent until then is told");
}

#[test]
fn tests_don_t_see_each_other() {
    let set = house();
    let tests = set.tests(&set.loaded.files.tests);
    let back: Vec<Test> = tests.iter().rev().cloned().collect();
    assert_eq!(report(&back, &play(&set, &back)), "");
    for test in &tests {
        let alone = vec![test.clone()];
        assert_eq!(report(&alone, &play(&set, &alone)), "");
    }
}

#[test]
fn what_no_test_reaches_is_told() {
    let set = house();
    let text =
        "tests:\n  - name: one\n    steps:\n      - send: fraud.action_required\n      - expect: [{to: oncall}]\n";
    let tests = set.tests(&[File::new("tests/trial/house/rules/main.test.yaml", text)]);
    let played = play::play_all(&set.stage, &[&tests[0]], true);
    let mut all = Coverage::default();
    played.into_iter().for_each(|played| all.add(played.coverage));
    let rules = set.stage.snapshot().rules.clone().unwrap();
    let reached = all.reached(&rules);
    assert_eq!(reached.rules, (1, rules.rules.len()));
    assert_eq!(reached.conditions, (1, 2), "held, and never missed");
    let gaps: BTreeSet<String> = reached
        .gaps
        .iter()
        .filter(|gap| gap.rule == "fraud")
        .map(|gap| format!("{}: {}", gap.line, gap.what))
        .collect();
    let expected = [
        "4: the test on `$.data.severity` always holds",
        "9: no test makes the action to finance act",
        "11: no test makes the action to oncall act",
    ];
    assert_eq!(gaps, expected.into_iter().map(str::to_owned).collect());
}
