//! The same rule tests give the same results wherever things are kept: every test that is shipped, played on the store in
//! memory as `fanfare test` does, on SQLite, and on PostgreSQL.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use fanfare::clock::{Clock, RealClock};
use fanfare::config::load;
use fanfare::config::substitute::NoEnvironment;
use fanfare::secret::Secret;

use super::{Set, play, set, shipped};
use crate::support::postgres;

/// What is shipped: the rules, each example, the cookbook.
fn sets() -> Vec<Set> {
    let mut sets = vec![shipped()];
    let examples = std::fs::read_dir("examples").unwrap().map(|entry| entry.unwrap().path().join("fanfare.yaml"));
    for file in examples.chain([Path::new("docs/cookbook/fanfare.yaml").to_owned()]).filter(|file| file.exists()) {
        sets.push(set(load::load(&file, &NoEnvironment, RealClock.now())));
    }
    sets
}

/// All that each test came to, except for what it reached of the rules.
fn played(sets: &[Set]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for set in sets {
        let tests = set.tests(&set.loaded.files.tests);
        for (test, played) in tests.iter().zip(play(set, &tests)) {
            let results = format!("{:#?}", (&played.failed, &played.sent, &played.notes));
            all.push((format!("{}: {}", test.name.place.file.path, test.name.value), results));
        }
    }
    all
}

fn same_as_in_memory(store: fn() -> Secret) {
    let expected = played(&sets());
    assert!(expected.len() > 60, "only {} tests", expected.len());
    let there: Vec<Set> =
        sets().into_iter().map(|set| Set { stage: set.stage.kept_in(store), loaded: set.loaded }).collect();
    for (expected, found) in expected.iter().zip(played(&there)) {
        assert_eq!(*expected, found, "{}", expected.0);
    }
}

#[test]
fn every_shipped_test_has_the_same_result_on_sqlite() {
    same_as_in_memory(|| {
        static FOLDER: OnceLock<PathBuf> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = FOLDER.get_or_init(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("same-results");
            // What the last run left.
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            folder
        });
        Secret::new(format!("sqlite:{}/{}.db", folder.display(), COUNT.fetch_add(1, Ordering::SeqCst)))
    });
}

#[test]
fn every_shipped_test_has_the_same_result_on_postgres() {
    same_as_in_memory(|| Secret::new(postgres::fresh()));
}
