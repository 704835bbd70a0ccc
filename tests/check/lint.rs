//! What is legal and surely not meant: each kind has a case, each case no other problem, and what is right has none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fanfare::lint::{self, ALL};
use fanfare::problem::Gravity;

use super::{CONFIG, PARTIAL, cases, codes, folder, hold, loaded, report};

/// What is reported only with a store: see `past`.
const OF_THE_PAST: &str = "orphaned-cases";

#[test]
fn every_lint_is_reported_as_its_golden_says() {
    let cases = cases("lint", "yaml");
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    hold(&cases, |name, text| {
        let code = name.split('.').next().unwrap();
        let mut files = vec![("fanfare.yaml", CONFIG), ("rules/r.yaml", text)];
        if code == "unused-message" {
            files.extend([("templates/said.md", "x\n"), ("templates/unsaid.md", "x\n")]);
        }
        if code == "severity-by-template" {
            files.push((
                "templates/graded.md",
                "---\nseverity: \"{{ 'critical' if data.streams_flagged > 9 else 'info' }}\"\n---\nx\n",
            ));
        }
        let linked = format!("{CONFIG}links: {{url: \"https://hooks.label.example\"}}\n");
        if code == "native-without-links" {
            files[0].1 = &linked;
            files.extend([("templates/carded.md", "x\n"), ("templates/carded.slack.json", "{\"text\": \"x\"}")]);
        }
        let folder = folder(&files);
        let loaded = loaded(&folder);
        let without: Vec<&str> = PARTIAL.into_iter().filter(|partial| *partial != code).collect();
        let others: BTreeSet<&str> = codes(&loaded).into_iter().filter(|found| !without.contains(found)).collect();
        assert_eq!(others, BTreeSet::from([code]), "{name}: {}", report(&folder, &loaded, &without));
        report(&folder, &loaded, &without)
    });
}

#[test]
fn every_lint_has_a_case_and_says_how_to_fix_it() {
    let cases: BTreeSet<String> =
        cases("lint", "yaml").iter().map(|(name, _)| name.split('.').next().unwrap().to_owned()).collect();
    for lint in ALL.iter().filter(|lint| lint.code != OF_THE_PAST) {
        assert!(cases.contains(lint.code), "no case of `{}`", lint.code);
    }
    for (_, path) in super::cases("lint", "report") {
        let report = fs::read_to_string(&path).unwrap();
        // A contradiction within one test fixes itself once it is seen.
        let is_plain = report.contains("this test never holds");
        let shows_way_out = report.contains("help:") || report.lines().any(|line| line.contains("^ "));
        assert!(is_plain || shows_way_out, "{}: no way out:\n{report}", path.display());
    }
}

#[test]
fn every_warning_of_the_program_stands_in_the_table_with_its_gravity() {
    let mut raised = BTreeSet::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (call, gravity) in [("Problem::warning(", Gravity::Warning), ("Problem::note(", Gravity::Note)] {
            for rest in text.split(call).skip(1) {
                let code = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                raised.insert((
                    code.unwrap_or_else(|| panic!("{}: a code that is not a word", path.display())).to_owned(),
                    gravity,
                ));
            }
        }
        // An error that is only a warning where it hangs on the values of known events.
        if text.contains("gravity: Gravity::Warning, ..source::problem(source, inner)") {
            raised.insert(("template".to_owned(), Gravity::Warning));
        }
    }
    let of_list = ALL.iter().map(|lint| (lint.code.to_owned(), lint.gravity));
    let elsewhere = lint::elsewhere().map(|(code, ..)| (code.to_owned(), Gravity::Warning));
    assert_eq!(raised, of_list.chain(elsewhere).collect::<BTreeSet<_>>());
}

/// Rules that come near to a lint and are what their author meant.
#[test]
fn what_is_meant_has_no_warning() {
    let rows = [
        ("events: release.live", "$.data.format: {exists: true, ne: single}"),
        ("events: release.live", "not: {$.data.format: single}"),
        (
            "events: release.live",
            "- \"$.data.platforms[*].name\": spotify\n      - \"$.data.platforms[*].status\": live",
        ),
        (
            "events: release.live",
            "\"$.data.platforms[*].name\": spotify\n      \"$.data.platforms[*].status\": {none: failed}",
        ),
        ("events: release.live", "\"$.data.platforms[?@.status == 'gone']\": {count: 0}"),
        ("events: release.live", "\"$..status\": live"),
        ("events: release.live", "$.data.platforms: {length: {gte: 2}}"),
        ("events: release.live", "\"$.data.platforms[7].name\": spotify"),
        ("events: release.live", "title: {matches: '^$'}"),
        ("events: release.live", "any: {$.data.release_id: R1, $.data.release.id: R1}"),
        ("events: fraud.action_required", "$.data.streams_flagged: {gte: 5, lte: 5}"),
        ("events: fraud.action_required", "$.data.streams_flagged: {in: [3, 7], gte: 5}"),
        ("events: fraud.action_required", "\"$.data.platforms[*].name\": {count: 0}"),
        (
            "events: fraud.action_required",
            "- \"$.data.platforms[*].name\": spotify\n      - \"$.data.platforms[*].name\": deezer",
        ),
        ("events: fraud.action_required", "$.data.severity: {eq: HIGH, ignore_case: true, ne: high}"),
        ("events: \"fraud.*\"", "$.type: {ends_with: resolved}"),
        ("events: \"fraud.*\"", "$.type: [fraud.resolved, release.live]"),
        // No sample says what these look like.
        ("events: user.quota.exceeded", "$.data.anything: 1"),
        ("events: fanfare.delivery.dead", "$.data.reason: {contains: 404}"),
        ("events: [\"*\", \"!release.*\"]", "$.data.severity: high"),
        ("events: [\"!release.live\"]", "$.data.severity: high"),
    ];
    let mut wrong = String::new();
    for (events, when) in rows {
        let text = format!("rules:\n  - name: r\n    {events}\n    when:\n      {when}\n    actions: {{to: oncall}}\n");
        let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", &text)]);
        let report = report(&folder, &loaded(&folder), &PARTIAL);
        if !report.is_empty() {
            wrong.push_str(&format!("{events} {when}\n{report}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_sender_that_nobody_knows_may_send_anything() {
    let config = CONFIG.replace("sources:\n", "sources:\n  shop: {preset: hmac, secrets: \"${env:S}\"}\n");
    let rules = "rules:\n  - {name: any, events: release.live, when: {$.data.severty: high}, actions: {to: oncall}}\n  \
                 - {name: shop, events: order.paid, source: shop, when: {$.sum: 1}, actions: {to: oncall}}\n  \
                 - {name: jm, events: fraud.resolved, source: jewelmusic, when: {$.data.severty: high}, actions: {to: oncall}}\n";
    let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", rules)]);
    let loaded = loaded(&folder);
    let found: Vec<_> = loaded.problems.iter().filter(|problem| !PARTIAL.contains(&problem.code)).collect();
    assert_eq!(found.len(), 1, "{}", report(&folder, &loaded, &PARTIAL));
    assert_eq!((found[0].code, found[0].place.as_ref().unwrap().line()), ("unknown-path", 4));
}

#[test]
fn what_a_test_sends_is_known() {
    let rules = "rules:\n  - {name: r, events: fraud.action_required, when: {$.data.moon_phase: full}, actions: {to: oncall}}\n";
    let test = "tests:\n  - name: a full moon\n    steps:\n      - send: fraud.action_required\n        set: {$.data.moon_phase: full}\n      \
                - expect: [{to: oncall}]\n";
    let without = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", rules)]);
    assert!(codes(&loaded(&without)).contains("unknown-path"));
    let with = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", rules), ("rules/r.test.yaml", test)]);
    assert!(!codes(&loaded(&with)).contains("unknown-path"));
}

#[test]
fn nothing_is_called_unused_while_a_rule_could_not_be_read() {
    let broken = ["rules: [", "rules:\n  - {name: r, evnts: '*', actions: {to: oncall, message: m}}\n", "a: {b\n"];
    for text in broken {
        let folder = folder(&[
            ("fanfare.yaml", CONFIG),
            ("rules/broken.yaml", text),
            ("rules/good.yaml", "rules:\n  - {name: good, events: release.live, actions: {to: oncall}}\n"),
            ("templates/m.md", "x\n"),
        ]);
        let loaded = loaded(&folder);
        assert!(loaded.problems.has_errors());
        let spurious: Vec<_> = codes(&loaded).into_iter().filter(|code| PARTIAL.contains(code)).collect();
        assert!(spurious.is_empty(), "{text}: {spurious:?}");
    }
}
