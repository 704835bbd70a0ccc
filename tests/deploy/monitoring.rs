//! Alerts and dashboard: Prometheus accepts them, and every metric and label that they name is one that Fanfare serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::deploy::sandbox::text;
use crate::deploy::tools;
use crate::docs::generated;

const ALERTS: &str = "deploy/monitoring/alerts.yaml";

/// What `/metrics` serves: the labels of each metric.
fn served() -> BTreeMap<String, BTreeSet<String>> {
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in generated::exposition().lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap().to_owned();
        let series = line.split('}').next().unwrap();
        all.entry(name).or_default().extend(label.captures_iter(series).map(|found| found[1].to_owned()));
    }
    all
}

/// Every expression of alerts and dashboard.
fn expressions() -> Vec<String> {
    let alerts: Value = serde_yaml::from_str(&fs::read_to_string(ALERTS).unwrap()).unwrap();
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string("deploy/monitoring/dashboard.json").unwrap()).unwrap();
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| match value.as_str() {
                Some(text) if name == "expr" || (name == "query" && text.contains("fanfare")) => {
                    found.push(text.to_owned());
                }
                _ => walk(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&alerts, &mut found);
    walk(&dashboard, &mut found);
    found
}

#[test]
fn every_metric_and_label_of_alerts_and_dashboard_is_served() {
    let served = served();
    let metric = Regex::new(r"(fanfare_\w+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r"(\w+)(?:=~|!~|!=|=)").unwrap();
    let by = Regex::new(r"by \(([^)]*)\) *\(+").unwrap();
    let expressions = expressions();
    assert!(expressions.len() > 30, "{expressions:?}");
    for expression in &expressions {
        let mut known: BTreeSet<&str> = ["job", "instance"].into();
        for found in metric.captures_iter(expression) {
            let labels = served.get(&found[1]).unwrap_or_else(|| panic!("{} isn't served: {expression}", &found[1]));
            known.extend(labels.iter().map(String::as_str));
            for used in label.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
                assert!(known.contains(&used[1]), "{} has no label `{}`: {expression}", &found[1], &used[1]);
            }
        }
        for found in by.captures_iter(expression) {
            for used in found[1].split(", ") {
                assert!(known.contains(used), "nothing has a label `{used}`: {expression}");
            }
        }
    }
}

#[test]
fn every_alert_says_what_happened_and_what_to_do() {
    let served = served();
    let alerts: Value = serde_yaml::from_str(&fs::read_to_string(ALERTS).unwrap()).unwrap();
    let label = Regex::new(r"\$labels\.(\w+)").unwrap();
    for rule in alerts["groups"][0]["rules"].as_array().unwrap() {
        let (name, expression) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        let metrics: BTreeSet<&str> = served
            .iter()
            .filter(|(name, _)| expression.contains(*name))
            .flat_map(|(_, labels)| labels)
            .map(|l| l.as_str())
            .collect();
        for key in ["summary", "runbook"] {
            let text = rule["annotations"][key].as_str().unwrap_or_else(|| panic!("{name} has no {key}"));
            for used in label.captures_iter(text) {
                assert!(&used[1] == "instance" || metrics.contains(&used[1]), "{name}: no label `{}`", &used[1]);
            }
        }
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
    }
}

#[test]
fn the_runbook_has_a_section_with_steps_for_each_alert() {
    let alerts: Value = serde_yaml::from_str(&fs::read_to_string(ALERTS).unwrap()).unwrap();
    let runbook = fs::read_to_string("docs/RUNBOOK.md").unwrap();
    let sections: BTreeMap<&str, &str> =
        runbook.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(sections.keys().copied().collect::<BTreeSet<_>>(), names);
    for rule in rules {
        let (name, severity) = (rule["alert"].as_str().unwrap(), rule["labels"]["severity"].as_str().unwrap());
        let text = sections[name].to_lowercase();
        assert!(text.starts_with(&format!("\n**{severity}.**")) && text.contains("\n1. "), "{name}: {text}");
    }
}

#[test]
fn prometheus_accepts_the_alerts_and_raises_each_when_it_should() {
    let Some(promtool) = tools::find("bin/promtool") else { return };
    for arguments in [["check", "rules", ALERTS], ["test", "rules", "deploy/monitoring/alerts.test.yaml"]] {
        let ran = Command::new(&promtool).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", text(&ran));
    }
}
