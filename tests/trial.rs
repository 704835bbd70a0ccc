//! Rule tests: what test files say, how they are played, and what is printed when one fails.
//!
//! Cases are files. `house` is a folder with a `fanfare.yaml` whose secrets nobody has: its tests pass. `wrong` are test
//! files with mistakes and `fails` such that fail, each beside what people see. `UPDATE=1` writes what is said now.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanfare::clock::{Clock, RealClock};
use fanfare::config::load::{self, Loaded};
use fanfare::config::substitute::NoEnvironment;
use fanfare::event::Event;
use fanfare::problem::{File, Problems};
use fanfare::rehearse::cover::Coverage;
use fanfare::rehearse::play::{self, Played};
use fanfare::rehearse::{Stage, Stuck};
use fanfare::rules::trial::Test;
use jiff::SignedDuration;
use serde_json::json;

mod agreement;
mod front;
mod command;
mod laws;
mod local;
mod shown;
mod stores;
mod watch;

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
            out.push_str(&failed.render(&jiff::tz::TimeZone::UTC, &|_, text| text.to_owned()));
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
fn every_mistake_of_a_test_file_is_reported_at_once() {
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

#[tokio::test]
async fn a_year_of_daily_reminders_leaves_none_out_and_takes_few_turns() {
    let set = house();
    let rules = set.stage.snapshot().rules.clone().unwrap();
    let daily = rules.rules.iter().filter(|rule| rule.name.value != "minutely").map(|rule| rule.name.value.clone());
    let daily = Arc::new(rules.only(&daily.collect()));
    let mut rehearsal = set.stage.rehearse(daily, "2026-01-05T10:00:00Z".parse().unwrap(), 1).await.unwrap();
    let mut event = Event::own("campaign.started", "evt_1", rehearsal.now(), json!({"campaign": "A"}));
    event.source = "jewelmusic".into();
    rehearsal.receive(event).await.unwrap();
    rehearsal.wait_until("2027-01-05T10:00:00Z".parse().unwrap()).await.unwrap();
    let sent = rehearsal.take_sent();
    assert_eq!(sent.len(), 365);
    assert!(sent.windows(2).all(|pair| pair[1].at.duration_since(pair[0].at) == SignedDuration::from_hours(24)));
    // One to plan a reminder, one to send it, one to find that nothing is left. Measured: less than half a second of one
    // core for the year, without optimisation.
    assert!(rehearsal.turns() <= 3 * 365 + 10, "{} turns", rehearsal.turns());
}

#[test]
fn a_test_of_a_year_passes_and_tells_what_a_year_without_one_reminder_lacks() {
    let set = house();
    for (days, passes) in [(365, true), (364, false)] {
        let days = (0..days).map(|_| "{to: bot}").collect::<Vec<_>>().join(", ");
        let text = format!(
            "tests:\n  - name: a year\n    steps:\n      - send: {{type: campaign.started, data: {{campaign: A}}}}\n      \
             - wait: 365d\n      - expect: [{days}]\n"
        );
        let tests = set.tests(&[File::new("tests/trial/house/rules/main.test.yaml", text)]);
        let report = report(&tests, &play(&set, &tests));
        assert_eq!(report.is_empty(), passes, "\n{report}");
        assert!(passes || report.contains("main.test.yaml:6:9: sent, and not expected"), "\n{report}");
    }
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
    assert!(rehearsal.take_sent().len() > 200, "what was sent until then is reported");
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
fn what_no_test_reaches_is_reported() {
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
    assert_eq!(reached.conditions, (1, 4), "held, and never missed");
    let gaps: BTreeSet<String> = reached
        .gaps
        .iter()
        .filter(|gap| gap.rule.as_deref() == Some("fraud"))
        .map(|gap| format!("{}: {}", gap.line, gap.what))
        .collect();
    let expected = [
        "4: the test on `$.data.severity` always holds",
        "9: no test makes the action to finance act",
        "11: no test makes the action to oncall act",
    ];
    assert_eq!(gaps, expected.into_iter().map(str::to_owned).collect());
}

/// A folder with one rule, its message, and a test that sends one event.
fn branched(template: &str, partial: &str, tests: &str) -> (tempfile::TempDir, Set) {
    let folder = tempfile::tempdir().unwrap();
    let rules = "rules:\n  - {name: r, events: '*', actions: {to: t, message: m}}\n  - name: s\n    events: \"b.*\"\n    \
                 actions: {to: t, text: '{% if data.x %}X{% endif %}'}\n";
    for (path, text) in [
        ("rules/r.yaml", rules),
        ("rules/r.test.yaml", tests),
        ("templates/m.md", template),
        ("templates/_p.md", partial),
    ] {
        std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(path), text).unwrap();
    }
    let set = set(load::load_rules_only(&folder.path().join("fanfare.yaml"), RealClock.now()));
    (folder, Set { stage: set.stage.watching(), loaded: set.loaded })
}

#[test]
#[expect(clippy::too_many_lines, reason = "one template, and all that is said of it")]
fn what_branch_of_a_template_no_test_takes_is_reported() {
    let template = "---
title: \"{{ 'A' if data.a else 'B' }}{{ 'C' if (data.b or '') in ['x', 'y'] else '' }}\"
severity: \"{{ ('info' if data.c else 'warning') }}\"
---
{%- if data.a -%}
one
{%- elif (data.b or '') == \"x\" and (1 if data.d else 2) == 2 -%}
two
{% else %}
three
{% endif %}
{% for item in data.items or [] if item %}
- {{ item }}
{% endfor %}
{% for item in data.others or [] %}
{% if loop.first %}first{% endif %}
{% else %}
none
{% endfor %}
{# {% if never %} #}{% raw %}{% if never %}{% endraw %}
{% include \"_p.md\" %}
";
    let partial = "{% if data.p %}p{% else %}q{% endif %}\n";
    let test = |data: &str| {
        format!(
            "tests:\n  - {{name: t, rules: [r], steps: [{{send: {{type: a.b, data: {data}}}}}, {{expect: {{to: t}}}}]}}\n"
        )
    };
    let played = |data: &str| {
        let (folder, set) = branched(template, partial, &test(data));
        let tests = set.tests(&set.loaded.files.tests);
        assert_eq!(report(&tests, &play(&set, &tests)), "");
        let taken = set.stage.snapshot().templates.branches().unwrap().taken();
        let place = |one: &fanfare::message::template::branches::Untaken| {
            let file = one.place.file.path.rsplit('/').next().unwrap().to_owned();
            format!("{file}:{}: {}", one.place.line(), one.what)
        };
        drop(folder);
        (taken.taken, taken.of, taken.untaken.iter().map(place).collect::<Vec<String>>())
    };
    let (taken, of, untaken) = played("{b: x, items: [1]}");
    let expected = [
        "_p.md:1: `if data.p` never holds",
        "m.md:2: `if data.a` never holds",
        "m.md:2: `if (data.b or '') in ['x', 'y']` always holds",
        "m.md:3: `if data.c` never holds",
        "m.md:5: `if data.a` never holds",
        "m.md:7: `elif (data.b or '') == \"x\" and (1 if data.d else 2) == 2` always holds",
        "m.md:7: `if data.d` never holds",
        "m.md:15: `for item in data.others or []` never has items",
        "m.md:16: `if loop.first` is never reached",
    ];
    assert_eq!(untaken, expected);
    // Those, one of them both ways, and the text of the rule that the test doesn't see.
    assert_eq!(of - taken, expected.len() + 1 + 2);
    let (taken, _, untaken) = played("{a: 1, c: 1, p: 1, others: [1, 2]}");
    assert!(
        untaken.contains(
            &"m.md:7: `elif (data.b or '') == \"x\" and (1 if data.d else 2) == 2` is never reached".to_owned()
        )
    );
    assert!(untaken.contains(&"m.md:15: `for item in data.others or []` always has items".to_owned()), "{untaken:?}");
    assert!(taken > 5);
}

#[test]
fn a_template_that_no_test_renders_is_reported_once() {
    let (_folder, set) =
        branched("{% if data.a %}a{% endif %}{% if data.b %}b{% endif %}", "{% if data.p %}p{% endif %}", "tests: []");
    let taken = set.stage.snapshot().templates.branches().unwrap().taken();
    let told: Vec<&str> = taken.untaken.iter().map(|one| one.what.as_str()).collect();
    assert_eq!((taken.taken, taken.of, told), (0, 8, vec!["no test renders it"; 2]));
}
