//! Rule tests: what test files say, how they are played, and what is printed when one fails.

use std::path::Path;
use std::sync::Arc;

use fanfare::clock::{Clock, RealClock};
use fanfare::config::load;
use fanfare::problem::{File, Problems};
use fanfare::rules::trial::Test;
use fanfare::steps::rehearse::Stage;
use fanfare::steps::rehearse::play::{self, Played};

/// The repository's own folder, without secrets and without `fanfare.yaml`.
pub fn shipped() -> (Stage, load::Loaded) {
    let mut loaded =
        load::load_rules_only(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fanfare.yaml"), RealClock.now());
    let stage = Stage::new(loaded.snapshot.take().unwrap());
    (stage, loaded)
}

pub fn read(stage: &Stage, loaded: &load::Loaded, tests: &[Arc<File>]) -> (Vec<Test>, Problems) {
    let mut problems = Problems::new();
    let no_file = |_: &str, name: &str| Err(format!("no file {name}"));
    let tests = play::read(stage, &loaded.files, tests, &no_file, &mut problems);
    (tests, problems)
}

pub fn report(tests: &[&Test], played: &[Played]) -> String {
    let mut out = String::new();
    for (test, played) in tests.iter().zip(played) {
        for note in &played.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        if !played.failed.is_empty() {
            out.push_str(&format!("  {}\n", test.name.value));
        }
        for failed in &played.failed {
            out.push_str(&failed.render(&|_, text| text.to_owned()));
        }
    }
    out
}

#[test]
fn every_shipped_test_passes() {
    let (stage, loaded) = shipped();
    let (tests, problems) = read(&stage, &loaded, &loaded.files.tests);
    let said: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(said.is_empty(), "{}", said.join("\n\n"));
    let tests: Vec<&Test> = tests.iter().collect();
    let played = play::play_all(&stage, &tests, false);
    let report = report(&tests, &played);
    assert!(report.is_empty(), "\n{report}");
}
