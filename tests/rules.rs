//! Rules: parsing, judging, their problems.
//!
//! Cases are files: `rules/judge` (a condition, an event, how it comes out), `rules/error` (a file with a mistake, and
//! the report a person sees), `rules/ok` (files without any), `rules/hours` (when a window is open).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanfare::event::{Event, EventId};
use fanfare::problem::{File, Problems};
use fanfare::rules::{DigestTime, Expected, Held, HoursChoice, Judgement, Presets, Rule, RuleSet, Why, parse};
use fanfare::yaml;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

mod budgets;
mod globs;
mod judging;
mod parsing;

// --- what the tests share ---

/// When every event of these tests was received, and created unless it says otherwise.
const NOW: &str = "2026-01-05T10:00:00Z";

fn event(kind: &str, source: &str, body: Value) -> Event {
    let now: Timestamp = NOW.parse().unwrap();
    Event {
        source: source.into(),
        id: EventId("evt_1".into()),
        kind: kind.into(),
        created: now,
        received: now,
        raw: body.to_string().into_bytes().into(),
        body,
        proof: "test".into(),
    }
}

fn live(data: Value) -> Event {
    event("release.live", "jewelmusic", json!({ "data": data }))
}

fn read(texts: &[&str], zone: Option<&str>) -> (RuleSet, Problems) {
    let files: Vec<Arc<File>> =
        texts.iter().enumerate().map(|(at, text)| File::new(format!("rules/{at}.yaml"), *text)).collect();
    read_files(&files, zone)
}

fn read_files(files: &[Arc<File>], zone: Option<&str>) -> (RuleSet, Problems) {
    let mut problems = Problems::new();
    let zone = zone.map(|zone| TimeZone::get(zone).unwrap());
    let rules = parse(files, &presets(), zone, &mut problems);
    (rules, problems)
}

fn presets() -> Presets {
    let paths = |paths: &[&str]| paths.iter().map(|path| path.to_string()).collect();
    let names = BTreeMap::from([
        ("title".to_string(), paths(&["$.data.title", "$.data.release.title"])),
        ("artist".to_string(), paths(&["$.data.artist"])),
    ]);
    BTreeMap::from([
        ("jewelmusic".to_string(), names),
        ("shop".to_string(), BTreeMap::from([("title".to_string(), paths(&["$.product.name"]))])),
    ])
}

/// A set of rules without any mistake.
fn rules(text: &str) -> RuleSet {
    let (rules, problems) = read(&[text], Some("Europe/Berlin"));
    assert!(problems.is_empty(), "{}", report(&problems));
    rules
}

fn report(problems: &Problems) -> String {
    let mut problems = problems.clone();
    problems.sort();
    let mut report = String::new();
    for problem in problems.iter() {
        report.push_str(&problem.render(false));
        report.push_str("\n\n");
    }
    report
}

/// The files of a folder of cases, by name.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
}

fn document(path: &Path) -> Value {
    let file = File::new(path.display().to_string(), fs::read_to_string(path).unwrap());
    let mut problems = Problems::new();
    let node = yaml::read(&file, &mut problems);
    assert!(problems.is_empty(), "{}", report(&problems));
    node.unwrap().to_json()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

fn why<'r>(judgement: &'r Judgement<'_>) -> &'r Why {
    judgement.why.as_ref().unwrap()
}

fn outcome(held: Held) -> &'static str {
    match held {
        Held::Held => "held",
        Held::Missed => "missed",
        Held::Failed => "failed",
    }
}

/// What planning asks for has the same result as judging with all reasons: the same rules miss, the others come out the
/// same, and all take the same steps.
fn assert_matches_agree(set: &RuleSet, event: &Event) {
    let (whole, matches) = (set.judge(event), set.matches(event));
    let (missed, others): (Vec<_>, Vec<_>) = whole.iter().partition(|judgement| judgement.is_miss());
    let names = |rules: &[&Rule]| rules.iter().map(|rule| rule.name.value.clone()).collect::<Vec<_>>();
    let missed: Vec<&Rule> = missed.iter().map(|judgement| judgement.rule).collect();
    assert_eq!(names(&matches.missed), names(&missed));
    let told = |judgement: &Judgement<'_>| {
        let Judgement { rule, held, why, case, closes, closes_why, arrived, steps, .. } = judgement;
        format!("{} {held:?} {why:?} {case:?} {closes:?} {closes_why:?} {arrived} {steps}", rule.name.value)
    };
    let others: Vec<String> = others.iter().map(|judgement| told(judgement)).collect();
    assert_eq!(matches.judgements.iter().map(told).collect::<Vec<_>>(), others);
    let steps = |judgements: &[Judgement<'_>]| judgements.iter().map(|judgement| judgement.steps).sum::<u64>();
    assert_eq!(steps(&matches.judgements) + matches.steps, steps(&whole));
}

// --- cases in files ---

#[test]
fn every_condition_comes_out_as_its_case_says() {
    let (mut count, mut wrong) = (0, String::new());
    for path in cases("judge") {
        let topic = document(&path);
        for case in topic["cases"].as_array().unwrap() {
            count += 1;
            let file = json!({
                "names": topic.get("names").unwrap_or(&json!({})),
                "lists": topic.get("lists").unwrap_or(&json!({})),
                "rules": [{"name": "r", "events": "*", "when": case["when"], "actions": {"to": "t", "text": "x"}}],
            });
            let (set, problems) = read(&[&file.to_string()], topic.get("zone").and_then(Value::as_str));
            let name = format!("{}: {}", path.file_stem().unwrap().display(), text(case, "name"));
            if !problems.is_empty() {
                wrong.push_str(&format!("{name}: {}", report(&problems)));
                continue;
            }
            let body = case.get("body").cloned().unwrap_or_else(|| json!({ "data": case["data"] }));
            let event = event("release.live", "jewelmusic", body);
            let judgements = set.judge(&event);
            assert_matches_agree(&set, &event);
            let why = why(&judgements[0]);
            let shown = serde_json::to_string(why).unwrap();
            let note = case.get("note").and_then(Value::as_str).unwrap_or_default();
            if outcome(why.held()) != text(case, "held") || !shown.contains(json!(note).to_string().trim_matches('"')) {
                wrong.push_str(&format!("{name}: expected {} ({note}), got {shown}\n", text(case, "held")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 220, "only {count} cases, where there were more");
}

#[test]
fn every_mistake_is_reported_as_its_golden_says() {
    let update = std::env::var_os("UPDATE").is_some();
    let (mut count, mut wrong) = (0, String::new());
    for path in cases("error") {
        count += 1;
        let name = path.file_name().unwrap().display().to_string();
        let file = File::new(format!("rules/{name}"), fs::read_to_string(&path).unwrap());
        let (_, problems) = read_files(&[file], if name.contains("zone") { None } else { Some("Europe/Berlin") });
        let found = report(&problems);
        let golden = path.with_extension("report");
        if update {
            fs::write(&golden, &found).unwrap();
        }
        if problems.is_empty() {
            wrong.push_str(&format!("{name}: no problem at all\n"));
        } else if fs::read_to_string(&golden).unwrap_or_default() != found {
            wrong.push_str(&format!("{name}: another report:\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 40, "only {count} cases");
}

#[test]
fn what_is_right_has_no_problems() {
    for path in cases("ok") {
        let file = File::new(path.display().to_string(), fs::read_to_string(&path).unwrap());
        let (rules, problems) = read_files(&[file], Some("Europe/Berlin"));
        assert!(problems.is_empty(), "{}: {}", path.display(), report(&problems));
        assert!(!rules.rules.is_empty(), "{}", path.display());
    }
}

#[test]
fn a_window_is_open_when_the_wall_says_so() {
    let (mut count, mut wrong) = (0, String::new());
    for path in cases("hours") {
        let table = document(&path);
        for window in table["windows"].as_array().unwrap() {
            let file = json!({
                "rules": [{"name": "r", "events": "*", "hours": window["hours"], "actions": {"to": "t", "text": "x"}}],
            });
            let (set, problems) = read(&[&file.to_string()], table["zone"].as_str());
            assert!(problems.is_empty(), "{}", report(&problems));
            let Some(HoursChoice::Within(hours)) = &set.rules[0].actions[0].hours else { panic!("{window}") };
            for row in window["at"].as_array().unwrap() {
                count += 1;
                let at: Timestamp = row[0].as_str().unwrap().parse().unwrap();
                let expected = match row[1].as_str().unwrap() {
                    "open" => None,
                    "never" => Some(Timestamp::MAX),
                    moment => Some(moment.parse().unwrap()),
                };
                let found = hours.closed_until(at);
                if found != expected {
                    wrong.push_str(&format!("{} at {row}: {found:?}\n", window["hours"]));
                }
            }
        }
        for row in table["times"].as_array().unwrap() {
            count += 1;
            let file = json!({"rules": [{"name": "r", "events": "*", "actions": {"to": "t", "text": "x"},
                "digest": {"at": row["at"]}}]});
            let mut file = file;
            for key in ["days", "month_days"].into_iter().filter(|key| row.get(key).is_some()) {
                file["rules"][0]["digest"][key] = row[key].clone();
            }
            let zone = row.get("timezone").unwrap_or(&table["zone"]);
            let (set, problems) = read(&[&file.to_string()], zone.as_str());
            assert!(problems.is_empty(), "{}", report(&problems));
            let digest = set.rules[0].actions[0].digest.as_ref().unwrap();
            let DigestTime::At(times) = &digest.when else { panic!("{row}") };
            let expected = match text(row, "next") {
                "never" => Timestamp::MAX,
                moment => moment.parse().unwrap(),
            };
            let found = times.next(text(row, "after").parse().unwrap());
            if found != expected {
                wrong.push_str(&format!("{row}: {found}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 150, "only {count} cases");
}

#[test]
fn a_period_has_a_name_a_beginning_and_a_moment_by_which_one_must_have_come() {
    let table = document(Path::new("tests/rules/periods.yaml"));
    let mut wrong = String::new();
    for row in table.as_array().unwrap() {
        let missing = json!({"events": "x", "each": row["each"], "by": row["by"], "timezone": row["timezone"]});
        let file = json!({"rules": [{"name": "r", "missing": missing, "actions": {"to": "t", "text": "x"}}]});
        let (set, problems) = read(&[&file.to_string()], None);
        assert!(problems.is_empty(), "{}", report(&problems));
        let Some(Expected::Each(periods)) = set.rules[0].missing.as_ref().map(|missing| &missing.expected) else {
            panic!("{row}")
        };
        let first = periods.first_from(text(row, "armed").parse().unwrap()).unwrap();
        let second = periods.after(&first).unwrap();
        for (period, expected) in [(&first, &row["first"]), (&second, &row["second"])] {
            let moments: Vec<Timestamp> = (1..3).map(|at| expected[at].as_str().unwrap().parse().unwrap()).collect();
            if expected[0] != *period.key || moments != [period.from, period.by] {
                wrong.push_str(&format!("{row}: {period:?}\n"));
            }
            assert_eq!(periods.from(period.from).as_ref(), Some(period));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
