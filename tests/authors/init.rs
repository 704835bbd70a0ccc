//! `fanfare init`: what it writes is right as it is, and it touches nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use fanfare::cli::init::FILES;
use fanfare::problem::{File, Problems};
use fanfare::yaml;
use serde_json::Value;
use tempfile::TempDir;

use super::*;

fn starter() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["init", "my label"]);
    let within = folder.path().join("my label");
    (folder, within)
}

#[test]
fn a_new_folder_passes_check_and_test_without_any_environment() {
    let (_kept, folder) = starter();
    for check in [&["check", "--strict"][..], &["check", "--rules-only", "--strict", "--format", "github"]] {
        said(&folder, check);
    }
    let report: Value = serde_json::from_str(&said(&folder, &["test", "--coverage", "--format", "json"])).unwrap();
    assert_eq!(report["failed"], 0);
    assert!(report["tests"].as_array().unwrap().len() >= 5);
    assert_eq!(report["coverage"]["gaps"], Value::Array(Vec::new()), "a starter shows how to reach everything");
}

#[test]
fn every_file_names_a_schema_that_is_there_and_accepts_it() {
    let (_kept, folder) = starter();
    let mut count = 0;
    for (path, text) in FILES.iter().filter(|(path, _)| path.ends_with(".yaml")) {
        let first = text.lines().next().unwrap();
        let schema =
            first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("{path}: {first}"));
        let file = folder.join(path).parent().unwrap().join(schema);
        let schema: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let node = yaml::read(&File::new(*path, *text), &mut Problems::new()).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&node.to_json()).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{path}: {wrong:?}");
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn what_is_there_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    let mine = [".gitignore", "README.md", ".github/workflows/fanfare.yml", "secrets/jewelmusic"];
    mine.iter().for_each(|path| fs::write(folder.path().join(path), "mine").unwrap());
    let out = said(folder.path(), &["init", "."]);
    for path in mine {
        assert_eq!(fs::read_to_string(folder.path().join(path)).unwrap(), "mine", "{path}");
        assert!(out.contains(&format!("kept ./{path}, which already existed")), "{out}");
    }
    assert!(folder.path().join("secrets/.gitignore").exists(), "git leaves the secret out all the same");
    said(folder.path(), &["check", "--rules-only"]);
}

#[test]
fn without_a_name_it_goes_into_an_empty_folder_and_else_into_one_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    let out = said(folder.path(), &["init"]);
    assert!(out.contains("wrote ./fanfare.yaml") && !out.contains("cd "), "{out}");
    said(folder.path(), &["check", "--strict"]);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let out = said(folder.path(), &["init"]);
    assert!(out.starts_with("this folder is not empty, so everything goes to `fanfare`\n"), "{out}");
    assert!(out.contains("  cd fanfare\n"), "{out}");
    said(&folder.path().join("fanfare"), &["check", "--strict"]);
    let again = fanfare(folder.path(), &["init"]);
    assert!(text(&again.stderr).contains("`fanfare/fanfare.yaml` already exists"), "{}", text(&again.stderr));
}

#[test]
fn a_folder_with_rules_is_left_alone() {
    for (taken, is_folder) in [("fanfare.yaml", false), ("rules", true), ("templates", true)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(taken);
        if is_folder {
            fs::create_dir(&path).unwrap()
        } else {
            fs::write(&path, "mine").unwrap()
        }
        let output = fanfare(folder.path(), &["init", "."]);
        assert_eq!(output.status.code(), Some(1), "{taken}");
        assert!(text(&output.stderr).contains(&format!("`./{taken}` already exists")), "{}", text(&output.stderr));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{taken}: nothing is written");
    }
}

#[test]
fn each_folder_has_a_secret_of_its_own_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;

    let (folders, mut secrets) = ([starter(), starter()], BTreeSet::new());
    for (_kept, folder) in &folders {
        let path = folder.join("secrets/jewelmusic");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        secrets.insert(fs::read_to_string(path).unwrap());
    }
    assert_eq!(secrets.len(), 2);
    assert!(secrets.iter().all(|secret| secret.trim().len() == 64), "{secrets:?}");
}

#[test]
fn every_file_of_the_starter_is_written() {
    let mut there = BTreeSet::new();
    let mut open = vec![PathBuf::from("src/cli/init")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { there.extend(fs::read_to_string(path)) }
        }
    }
    let written: BTreeSet<String> = FILES.iter().map(|(_, text)| (*text).to_owned()).collect();
    assert_eq!(there, written);
}

#[test]
fn the_workflow_and_the_page_name_commands_that_there_are() {
    let ours = |line: &str| line.trim_start_matches("run: ").trim().starts_with("fanfare ");
    let mut count = 0;
    for (path, text) in FILES.iter().filter(|(path, _)| path.ends_with(".yml") || path.ends_with(".md")) {
        for line in text.lines().map(str::trim).filter(|line| ours(line)) {
            let command = line.trim_start_matches("run: ").split(" #").next().unwrap();
            if let Err(error) = fanfare::cli::command().try_get_matches_from(command.split_whitespace()) {
                panic!("{path}: `{command}`\n{error}");
            }
            count += 1;
        }
    }
    assert!(count >= 6, "only {count}");
    let (_, workflow) = FILES.iter().find(|(path, _)| path.ends_with(".yml")).unwrap();
    let mut problems = Problems::new();
    let document = yaml::read(&File::new("workflow.yml", *workflow), &mut problems).unwrap().to_json();
    assert!(problems.is_empty());
    assert!(document["jobs"]["rules"]["steps"].as_array().is_some_and(|steps| steps.len() == 5), "{document:#}");
}
