//! `check`: what a person sees of each mistake, and of what is legal and surely not meant.
//!
//! Cases are files. `check/lint` holds rules files, named by the code of the problem that each has (and no other);
//! `check/whole` rules files with mistakes that only all files together show; `check/config` files that stand as `fanfare.yaml`; `check/template` messages, said by a rule of fraud cases. Beside
//! each is the report. `UPDATE=1` writes what is said now. Mistakes of rules files are in `rules/error`, of test files
//! in `trial/wrong`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fanfare::config::load::Loaded;
use fanfare::config::substitute::NoEnvironment;
use fanfare::lint::load;
use jiff::Timestamp;
use tempfile::TempDir;

mod bounds;
mod external;
mod files;
mod guards;
mod lines;
mod lint;
mod past;
mod overrides;
mod roster;
mod samples;

/// What a file by itself, or an example, can't but have: it is not all there is.
pub const PARTIAL: [&str; 8] = [
    "unheard",
    "unused-destination",
    "unused-message",
    "unused-list",
    "unused-hours",
    "unused-map",
    "no-fallback",
    "may-fail",
];

/// The configuration of every case that is none itself.
const CONFIG: &str = include_str!("check/fanfare.yaml");

fn now() -> Timestamp {
    "2026-01-05T12:00:00Z".parse().unwrap()
}

/// A folder with these files, as an author would keep it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(folder.path().join("rules")).unwrap();
    folder
}

fn loaded(folder: &TempDir) -> Loaded {
    load(&folder.path().canonicalize().unwrap().join("fanfare.yaml"), &NoEnvironment, now())
}

/// The problems that a person would see, with those codes left out.
fn report(folder: &TempDir, loaded: &Loaded, without: &[&str]) -> String {
    let problems = loaded.problems.iter().filter(|problem| !without.contains(&problem.code));
    let shown: Vec<String> = problems.map(|problem| problem.render(false) + "\n").collect();
    shown.join("\n").replace(&format!("{}/", folder.path().canonicalize().unwrap().display()), "")
}

/// The cases of a folder with this ending, by name.
fn cases(name: &str, ending: &str) -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort();
    files.into_iter().map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), file)).collect()
}

/// Holds what is said of each case against the report beside it, or writes it.
fn hold(cases: &[(String, PathBuf)], said: impl Fn(&str, &str) -> String) {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = String::new();
    for (name, path) in cases {
        let found = said(name, &fs::read_to_string(path).unwrap());
        let golden = path.with_extension("report");
        if update {
            fs::write(&golden, &found).unwrap();
        }
        if found.is_empty() {
            wrong.push_str(&format!("{name}: no problem at all\n"));
        } else if fs::read_to_string(&golden).unwrap_or_default() != found {
            wrong.push_str(&format!("{name}: another report:\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_mistake_of_a_configuration_is_reported_as_its_golden_says() {
    let cases = cases("config", "yaml");
    assert!(cases.len() >= 20);
    hold(&cases, |_, text| {
        let shared = "hours:\n  awake: {from: \"08:00\", to: \"22:00\", timezone: UTC}\n";
        let folder = folder(&[("fanfare.yaml", text), ("rules/shared.yaml", shared)]);
        report(&folder, &loaded(&folder), &PARTIAL)
    });
}

#[test]
fn every_mistake_of_a_template_is_reported_as_its_golden_says() {
    let cases: Vec<_> = cases("template", "md").into_iter().filter(|(name, _)| !name.starts_with('_')).collect();
    assert!(cases.len() >= 20);
    hold(&cases, |_, text| {
        let mut files = vec![
            ("fanfare.yaml", CONFIG),
            (
                "rules/r.yaml",
                "rules:\n  - {name: r, events: fraud.action_required, actions: {to: oncall, message: m}}\n",
            ),
            ("templates/m.md", text),
            ("templates/_footer.md", include_str!("check/template/_footer.md")),
        ];
        if text.contains("_endless") {
            files.push(("templates/_endless.md", include_str!("check/template/_endless.md")));
        }
        let folder = folder(&files);
        report(&folder, &loaded(&folder), &PARTIAL)
    });
}

#[test]
fn every_mistake_that_only_the_whole_shows_is_reported_as_its_golden_says() {
    let cases = cases("whole", "yaml");
    assert!(cases.len() >= 15);
    hold(&cases, |name, text| {
        let folder = folder(&[
            ("fanfare.yaml", CONFIG),
            ("rules/r.yaml", text),
            ("templates/fraud-alert.md", "look\n"),
            ("templates/_footer.md", "bye\n"),
        ]);
        let loaded = loaded(&folder);
        if name.starts_with("five-") {
            let told = loaded.problems.iter().filter(|problem| !PARTIAL.contains(&problem.code)).count();
            assert_eq!(told, 5, "{}", report(&folder, &loaded, &PARTIAL));
        }
        report(&folder, &loaded, &PARTIAL)
    });
}

#[test]
fn every_format_tells_errors_warnings_and_notes_apart_and_strict_fails_for_warnings() {
    let config = CONFIG.replace("${env:", "${env:CHECK_");
    let of = |when: &str, extra: &str| {
        format!(
            "rules:\n  - name: r\n    events: fanfare.*\n    actions: {{to: oncall}}\n  - name: s\n    events: fraud.action_required\n    \
                 when: {{{when}}}\n    {extra}\n    actions: {{to: [release-team, hooked, label-heads, office]}}\n"
        )
    };
    let note = of("$.data.severity: high", "hours: {days: mon-fri, from: \"22:00\", to: \"06:00\"}");
    let warning = of("$.data.severty: high", "shadow: false");
    let error = of("$.data.severity: {gets: 1}", "shadow: false");
    let rows = [
        (&note, "across-midnight", "note", "notice", true, true),
        (&warning, "unknown-path", "warning", "warning", true, false),
        (&error, "unknown-operator", "error", "error", false, false),
    ];
    for (rules, code, level, command, is_good, is_good_when_strict) in rows {
        let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", rules)]);
        let check = |arguments: &[&str]| {
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
                .args(["check", "--rules-only"])
                .args(arguments)
                .current_dir(folder.path())
                .env_remove("FANFARE_CONFIG")
                .output()
                .unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        };
        assert_eq!(check(&[]).0, is_good, "{code}: {}", check(&[]).1);
        let (success, text) = check(&["--strict"]);
        assert_eq!(success, is_good_when_strict, "{code}: {text}");
        assert!(text.contains(&format!("{level}[{code}]")), "{text}");
        assert!(text.ends_with(&format!("read: 1 {level}\n")), "{text}");
        let json: serde_json::Value = serde_json::from_str(&check(&["--format", "json"]).1).unwrap();
        assert_eq!((&json[0]["code"], &json[0]["gravity"]), (&code.into(), &level.into()));
        assert!(json[0]["line"].as_u64().is_some() && json[0]["hint"].is_string(), "{json}");
        let github = check(&["--format", "github"]).1;
        assert!(github.starts_with(&format!("::{command} file=rules/r.yaml,line=")), "{github}");
        let sarif: serde_json::Value = serde_json::from_str(&check(&["--format", "sarif"]).1).unwrap();
        let run = &sarif["runs"][0];
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&code.into(), &level.into()));
        assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "rules/r.yaml");
        let described = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(described.iter().any(|rule| rule["id"] == code), level != "error", "{sarif}");
    }
}

/// The codes of all problems.
fn codes(loaded: &Loaded) -> BTreeSet<&'static str> {
    loaded.problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn a_byte_that_is_no_utf_8_is_shown_where_it_stands() {
    let folder = folder(&[("rules/good.yaml", "rules: []\n")]);
    std::fs::write(folder.path().join("rules/r.yaml"), b"rules:\n  - name: Beyonc\xe9 # latin-1\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["check", "--rules-only"])
        .current_dir(folder.path())
        .env_remove("FANFARE_CONFIG")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("error[unreadable]: this is not UTF-8\n --> rules/r.yaml:2:17\n"), "{text}");
    assert!(text.contains("- name: Beyonc\u{fffd} # latin-1"), "{text}");
}
