//! Loads rules and configurations of the documentation as the server would, in a folder of their own.

use std::fs;

use fanfare::channels;
use fanfare::config::load::Loaded;
use fanfare::config::substitute::NoEnvironment;
use fanfare::lint::load;
use fanfare::problem::Problem;
use fanfare::source::presets::PRESETS;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::docs::{examples, root};

/// The cast of the examples: the destinations that their rules speak to.
const CAST: &str = r##"
timezone: Europe/Berlin
sources:
  jewelmusic: {preset: jewelmusic, secrets: "${env:JEWELMUSIC_SECRET}"}
destinations:
  release-team: {type: slack, token: "${env:SLACK}", channel: "#releases", mentions: {lead: U024BE7LH}}
  fans: {type: discord, webhook_url: "${env:DISCORD}"}
  label-heads: {type: email, smtp: "${env:SMTP}", from: fanfare@label.example, to: heads@label.example}
  finance: {type: email, smtp: "${env:SMTP}", from: fanfare@label.example, to: finance@label.example}
  oncall: {type: pagerduty, routing_key: "${env:PAGERDUTY}"}
  ledger: {type: http, url: https://ledger.label.example/events}
links: {url: https://hooks.label.example}
"##;

/// The words of rules that configurations use.
const SHARED: &str = r##"
names: {release_date: $.data.metadata.release_date, title: $.data.title, artist: $.data.artist}
hours: {awake: {from: "08:00", to: "22:00", timezone: UTC}}
people: {nadia: {email: nadia@label.example}}
maps:
  managers: {by: $.data.artist, Mira Okafor: nadia, else: nadia}
  rooms: {by: $.data.label, Halide: "#halide", else: "#releases"}
"##;

/// When everything is loaded.
pub fn now() -> Timestamp {
    "2026-01-05T12:00:00Z".parse().unwrap()
}

/// What is wrong with rules files, by name and text, where every message that they say is there.
pub fn rules_report(files: &[(&str, &str)]) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("fanfare.yaml"), CAST).unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join("rules").join(name), text).unwrap();
    }
    fs::create_dir(folder.path().join("templates")).unwrap();
    for said in files.iter().flat_map(|(_, text)| text.split("message: ").skip(1)) {
        let name: String = said.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        fs::write(folder.path().join(format!("templates/{name}.md")), "{{ event.type }}\n").unwrap();
    }
    report(&folder)
}

/// What is wrong with a `fanfare.yaml`.
pub fn config_report(text: &str) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("fanfare.yaml"), text).unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("rules/shared.yaml"), SHARED).unwrap();
    report(&folder)
}

fn report(folder: &TempDir) -> String {
    let folder = folder.path().canonicalize().unwrap();
    let loaded = load(&folder.join("fanfare.yaml"), &NoEnvironment, now());
    let problems = loaded.problems.iter().filter(|problem| !crate::check::PARTIAL.contains(&problem.code));
    let problems: Vec<String> = problems.map(|problem| problem.render(false)).collect();
    problems.join("\n\n").replace(&format!("{}/", folder.display()), "")
}

/// A rules file around some keys of one rule.
pub fn whole(keys: &str) -> String {
    let has = |key: &str| keys.lines().any(|line| line.starts_with(&format!("{key}:")));
    let mut text = String::from("rules:\n");
    for (key, line) in
        [("name", "name: example"), ("events", "events: \"*\""), ("actions", "actions: {to: release-team}")]
    {
        let is_there = has(key) || (key == "events" && has("missing"));
        if !is_there {
            text.push_str(&format!("    {line}\n"));
        }
    }
    keys.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    // The first of the keys begins the one item of the list.
    text.replacen("rules:\n    ", "rules:\n  - ", 1)
}

#[test]
fn what_lacks_only_its_secrets_is_there_for_authors() {
    let rules = "rules:\n  - {name: r, events: \"*\", source: shop, actions: {to: place}}\n";
    let mut configs: Vec<String> = PRESETS
        .iter()
        .map(|preset| {
            let source = format!("sources: {{shop: {{preset: {}, secrets: [\"${{env:S}}\"]}}}}\n", preset.name);
            source + "destinations: {place: {type: slack, webhook_url: \"${env:HOOK}\"}}\n"
        })
        .collect();
    for kind in channels::ALL {
        // Every value of the example is a secret.
        let keys: Vec<String> =
            kind.example
                .lines()
                .filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()) && !line.starts_with("type:"))
                .filter(|line| !line.starts_with("headers:") && !line.starts_with("broadcast:"))
                .filter_map(|line| line.split_once(':'))
                .map(|(key, _)| {
                    if key == "sign" { "sign: {secret: \"${env:S}\"}".into() } else { format!("{key}: \"${{env:S}}\"") }
                })
                .collect();
        let place = format!("destinations: {{place: {{type: {}, {}}}}}\n", kind.name, keys.join(", "));
        configs.push("sources: {shop: {preset: hmac, secrets: \"${env:S}\"}}\n".to_owned() + &place);
    }
    for config in configs {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("fanfare.yaml"), &config).unwrap();
        fs::create_dir(folder.path().join("rules")).unwrap();
        fs::write(folder.path().join("rules/r.yaml"), rules).unwrap();
        assert_eq!(report(&folder), "", "{config}");
    }
}

#[test]
fn every_example_loads_without_a_mistake_or_a_warning() {
    assert!(!examples().is_empty());
    for example in examples() {
        let loaded: Loaded = load(&root().join(&example).join("fanfare.yaml"), &NoEnvironment, now());
        let problems: Vec<String> = loaded.problems.iter().map(|problem: &Problem| problem.render(false)).collect();
        assert!(problems.is_empty(), "{}:\n{}", example.display(), problems.join("\n\n"));
        let rules = loaded.snapshot.unwrap().rules.unwrap();
        assert!(!rules.rules.is_empty(), "{} has no rule", example.display());
    }
}
