//! The house is in order: every file has its paragraph and its place, and reads at a sitting.

use std::path::{Path, PathBuf};

pub mod words;

/// The most lines of a file, by where it is: the first that fits.
const LINES_MAX: &[(&str, usize)] = &[("src", 450), ("tests", 600)];

fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(folder), ending, &mut found);
    found
}

fn code() -> Vec<(PathBuf, String)> {
    let mut all = files("src", ".rs");
    all.extend(files("tests", ".rs"));
    all
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let without: Vec<_> =
        code().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(without.is_empty(), "no `//!` at the top of {without:?}");
}

#[test]
fn no_file_is_longer_than_one_reads_at_a_sitting() {
    let long: Vec<_> = code()
        .into_iter()
        .map(|(path, text)| (text.lines().count(), path))
        .filter(|(lines, path)| LINES_MAX.iter().find(|(folder, _)| path.starts_with(folder)).unwrap().1 < *lines)
        .collect();
    assert!(long.is_empty(), "too many lines: {long:?}");
}

#[test]
fn no_source_file_is_dead() {
    for (path, _) in files("src", ".rs") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        let (parents, module) = match name {
            "lib" | "main" => continue,
            "mod" => (
                vec![
                    folder.with_extension("rs"),
                    folder.parent().unwrap().join("mod.rs"),
                    folder.parent().unwrap().join("lib.rs"),
                ],
                folder.file_name().unwrap().to_str().unwrap(),
            ),
            _ => (vec![folder.join("mod.rs"), folder.join("lib.rs"), folder.with_extension("rs")], name),
        };
        let line = format!("mod {module};");
        let known =
            parents.iter().filter_map(|parent| std::fs::read_to_string(parent).ok()).any(|text| text.contains(&line));
        assert!(known, "{} is not a module of anything", path.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX", "dbg!("];
    for (path, text) in files("src", ".rs") {
        for (number, line) in text.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}:{}: {}", path.display(), number + 1, line.trim());
        }
    }
}

/// Where time is waited for, and why that makes no test slow or chancy.
const WAITS: &[(&str, &str)] = &[
    ("tests/simulation", "on virtual time"),
    ("tests/support/flawed.rs", "on the simulation's virtual time"),
    ("tests/support/http_peer.rs", "a server that sends a byte a second; no test waits for its end"),
];

#[test]
fn no_test_waits_for_time_to_pass() {
    let sleep = ["sleep", "("].concat();
    let until = ["sleep_until", "("].concat();
    for (path, text) in files("tests", ".rs") {
        let is_meant = WAITS.iter().any(|(start, _)| path.to_str().unwrap().starts_with(start));
        assert!(is_meant || !(text.contains(&sleep) || text.contains(&until)), "{} sleeps", path.display());
    }
}
