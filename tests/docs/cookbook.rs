//! The cookbook keeps its word: every recipe loads without a warning, its tests pass, and its page shows the files
//! themselves and what people get.
//!
//! A page's `yaml all of PATH` is that file, and `text sent PATH` what the first test of that file sends: both are
//! written by `UPDATE=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use fanfare::channels::{Form, Request, Sending};
use fanfare::config::Snapshot;
use fanfare::config::files::Files;
use fanfare::config::substitute::NoEnvironment;
use fanfare::delivery::{DeliveryId, MessageOp, Say};
use fanfare::event::Event;
use fanfare::lint::load;
use fanfare::message::template::context::Context;
use fanfare::message::{Native, plain};
use fanfare::problem::{File, Problems};
use fanfare::rehearse::play::{self, Played};
use fanfare::rehearse::{Sent, Stage};
use fanfare::rules::trial::{Test, What};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::docs::loading::now;
use crate::docs::{message, pages, root};

/// How many wishes there are.
const RECIPES: usize = 33;

/// The cookbook's folder, in the repository.
const FOLDER: &str = "docs/cookbook";

/// The cookbook as a server would load it; nothing may be wrong with it.
fn cookbook() -> (Snapshot, Files) {
    let loaded = load(&root().join(FOLDER).join("fanfare.yaml"), &NoEnvironment, now());
    let problems: Vec<String> = loaded.problems.iter().map(|problem| problem.render(false)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    (loaded.snapshot.unwrap(), loaded.files)
}

/// The tests of these files.
fn tests(stage: &Stage, files: &Files, of: &[Arc<File>]) -> Vec<Test> {
    let mut problems = Problems::new();
    let no_file = |_: &str, _: &str| Err("recipes send samples, or what stands in the test".to_owned());
    let tests = play::read(stage, files, of, &no_file, &mut problems);
    let problems: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    tests
}

/// Everything that the first test of a file sends.
pub fn sent(path: &str) -> String {
    let (snapshot, files) = cookbook();
    let zone = snapshot.settings.timezone.clone().unwrap_or(TimeZone::UTC);
    let stage = Stage::new(snapshot);
    let is_it = |file: &&Arc<File>| root().join(path).canonicalize().unwrap().ends_with(&file.path);
    let file = files.tests.iter().find(is_it).unwrap_or_else(|| panic!("{path} is not a test file of the cookbook"));
    let tests = tests(&stage, &files, std::slice::from_ref(file));
    let played: Vec<Played> = play::play_all(&stage, &[&tests[0]], false);
    let messages: Vec<String> = played[0].sent.iter().map(|sent| shown(sent, &zone)).collect();
    assert!(!messages.is_empty(), "{path}: its first test sends nothing that could be shown");
    messages.join("\n")
}

/// A message as people see it: when, where, how much it matters, and its words.
fn shown(sent: &Sent, zone: &TimeZone) -> String {
    let at = sent.at.to_zoned_datetime(zone.clone()).strftime("%a %-d %b %H:%M").to_string();
    let said = &sent.rendered.message;
    let how = if sent.act == MessageOp::Update { "  changes it to" } else { "" };
    let text = match (&sent.rendered.native, sent.act) {
        (_, MessageOp::Close) => return format!("{at}  {}  closes what it showed\n", sent.destination),
        (Some(Native::Json(json)), _) => format!("{json:#}"),
        (Some(Native::Html(html)), _) => html.clone(),
        (None, _) => plain::message(said),
    };
    let file = sent.rendered.file.as_ref().map(|file| format!("\n\n{}:\n{}", file.name, file.text));
    let text = text.trim().to_owned() + &file.unwrap_or_default();
    let lines = text.trim().lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n");
    let to = sent.to.iter().map(|to| format!(", {}", to.address)).collect::<String>();
    format!("{at}  {}{to}{how}  [{}]\n{}", sent.destination, said.severity, lines.collect::<String>())
}

#[test]
fn the_cookbook_has_a_rule_a_test_and_a_page_for_every_wish() {
    let mut names = BTreeMap::new();
    for entry in fs::read_dir(root().join(FOLDER).join("rules")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".test.yaml") {
            let number: usize = name.split('-').next().unwrap().parse().unwrap();
            names.insert(number, name.to_owned());
        }
    }
    assert_eq!(names.keys().copied().collect::<Vec<_>>(), (1..=RECIPES).collect::<Vec<_>>());
    let pages = pages();
    let page = |name: &str| {
        let path = root().join(FOLDER).join(name);
        let path = path.strip_prefix(root()).unwrap().to_owned();
        pages.iter().find(|page| page.path == path).unwrap_or_else(|| panic!("there is no page {}", path.display()))
    };
    let index = &page("README.md").text;
    for name in names.values() {
        let text = &page(&format!("{name}.md")).text;
        for shown in [
            format!("```yaml all of {FOLDER}/rules/{name}.yaml\n"),
            format!("```yaml all of {FOLDER}/rules/{name}.test.yaml\n"),
            "\n## What people see\n".to_owned(),
            "\n## Pitfalls\n".to_owned(),
        ] {
            assert!(text.contains(&shown), "{name}.md lacks `{}`", shown.trim());
        }
        assert!(index.contains(&format!("]({name}.md)")), "the cookbook's README doesn't name {name}");
    }
}

#[test]
fn every_recipe_is_proved_by_tests_that_pass_and_say_what_must_not_happen() {
    let (snapshot, files) = cookbook();
    let stage = Stage::new(snapshot);
    let all = tests(&stage, &files, &files.tests);
    let played = play::play_all(&stage, &all.iter().collect::<Vec<_>>(), false);
    let mut silent: BTreeSet<&str> = BTreeSet::new();
    let mut failed = String::new();
    for (test, played) in all.iter().zip(&played) {
        let expects_nothing = |what: &What| matches!(what, What::Expect(expected) if expected.is_empty());
        if test.steps.iter().any(|step| expects_nothing(&step.what)) {
            silent.insert(&test.name.place.file.path);
        }
        played.notes.iter().for_each(|note| failed.push_str(&format!("{}: {note}\n", test.name.value)));
        for one in &played.failed {
            failed.push_str(&format!(
                "{}\n{}",
                test.name.value,
                one.render(&jiff::tz::TimeZone::UTC, &|_, text| text.to_owned())
            ));
        }
    }
    assert!(failed.is_empty(), "\n{failed}");
    let without: Vec<_> = files.tests.iter().filter(|file| !silent.contains(&*file.path)).collect();
    assert!(without.is_empty(), "no test says that nothing is sent: {without:?}");
}

#[test]
fn thirty_imprints_have_thirty_channels_and_a_stranger_has_the_common_one() {
    let (snapshot, _) = cookbook();
    let text = fs::read_to_string(root().join(FOLDER).join("fanfare.yaml")).unwrap();
    let (_, map) = text.split_once("      map:\n").unwrap();
    let (map, _) = map.split_once("      else:").unwrap();
    let imprints: Vec<(&str, &str)> = map.lines().map(|line| line.trim().split_once(": ").unwrap()).collect();
    assert_eq!(imprints.len(), 30);
    let channels: BTreeSet<String> = imprints
        .iter()
        .map(|(label, channel)| {
            let found = channel_of(&snapshot, label);
            assert_eq!(format!("\"{found}\""), *channel, "{label}");
            found
        })
        .collect();
    assert_eq!(channels.len(), 30, "two imprints share a channel");
    assert_eq!(channel_of(&snapshot, "Somebody Else"), "#releases");
}

/// The Slack channel in which a release of this label would be told.
fn channel_of(snapshot: &Snapshot, label: &str) -> String {
    let body = json!({"type": "release.live", "data": {"release": {"id": "R1", "title": "T", "label": label}}});
    let event: Event = message::event_of(body.to_string().as_bytes());
    let names = snapshot.rules.as_ref().unwrap().names_in(&event);
    let context = Context {
        event: &event,
        events: Vec::new(),
        more: 0,
        suppressed: 0,
        sum: None,
        parts: Vec::new(),
        names: names.clone(),
        case: None,
        rule: "imprint-news",
        rule_description: None,
        with: serde_json::Map::new(),
        severity: None,
        died: None,
        now: now(),
        zone: TimeZone::UTC,
        locale: fanfare::locale::english(),
        outside: false,
        admin_url: None,
    };
    let sending = Sending {
        id: &DeliveryId("dlv_1".into()),
        at: now(),
        planned: now(),
        act: MessageOp::Open,
        form: Form::Rich,
        rendered: &snapshot.templates.render(&Say::Default, &context, None),
        rule: "imprint-news",
        event: &json!({}),
        root: &event.root(),
        context: &names,
        to: None,
        overrides: &serde_json::Map::new(),
        mentions: &[],
        lane: None,
        receipt: None,
        footer: &fanfare::channels::Footer::Usual,
        settled: &[],
        links: &[],
        locale: fanfare::locale::english(),
        outside: false,
    };
    let Request::Http(request) = snapshot.destinations["imprints"].channel.compose(&sending).unwrap() else {
        panic!("Slack speaks HTTP")
    };
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    body["channel"].as_str().unwrap().to_owned()
}
