//! `fanfare explain --plain`: rules in sentences, and with `--against` how a change of files alters them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use similar::{Algorithm, capture_diff_slices};

use crate::cli::{CommandOutcome, Format, load_without_secrets, rule_named, stops, term};
use crate::rules::RuleSet;
use crate::rules::plain::{Sentence, plain};

/// What is asked.
pub(super) struct Asked<'a> {
    /// Only this rule.
    pub rule: Option<&'a str>,
    /// Only what differs from the rules beside this `fanfare.yaml`.
    pub against: Option<&'a Path>,
    pub format: Format,
}

pub(super) fn run(config: &Path, asked: &Asked<'_>) -> anyhow::Result<CommandOutcome> {
    let Some(rules) = load(config)? else { return Ok(CommandOutcome::Wrong) };
    let text = match asked.against {
        Some(against) => {
            let Some(before) = load(against)? else { return Ok(CommandOutcome::Wrong) };
            changes(&before, &rules, asked.rule)
        }
        None => {
            if let Some(name) = asked.rule {
                rule_named(&rules, name)?;
            }
            match asked.format {
                Format::Json => format!("{:#}\n", document(&rules, asked.rule)),
                Format::Text => text(&rules, asked.rule),
            }
        }
    };
    print!("{text}");
    Ok(CommandOutcome::Good)
}

fn load(config: &Path) -> anyhow::Result<Option<std::sync::Arc<RuleSet>>> {
    let loaded = load_without_secrets(config);
    if stops(&loaded.problems) {
        return Ok(None);
    }
    loaded.snapshot.and_then(|snapshot| snapshot.rules).context("no rules could be loaded").map(Some)
}

/// The names that are asked about, in order.
fn names<'r>(rules: &'r RuleSet, only: Option<&str>) -> BTreeSet<&'r str> {
    let names = rules.rules.iter().map(|rule| rule.name.value.as_str());
    names.filter(|name| only.is_none_or(|only| only == *name)).collect()
}

/// The lines of a rule, those below others set in; none if there is no such rule.
fn lines(rules: &RuleSet, name: &str) -> Vec<String> {
    let Some(rule) = rules.rule(name) else { return Vec::new() };
    let set_in = |(depth, text): (usize, &str)| match depth {
        0 => term::one_line(text),
        _ => format!("{}- {}", "  ".repeat(depth), term::one_line(text)),
    };
    plain(rule, rules).iter().flat_map(Sentence::lines).map(set_in).collect()
}

fn text(rules: &RuleSet, only: Option<&str>) -> String {
    let one = |name: &str| {
        let description = rules.rule(name).and_then(|rule| rule.description.as_deref());
        let description = description.map(|text| format!("{}\n", term::dim(&term::one_line(text)))).unwrap_or_default();
        format!("{}\n{description}{}\n", term::bold(name), lines(rules, name).join("\n"))
    };
    names(rules, only).into_iter().map(one).collect::<Vec<_>>().join("\n")
}

fn document(rules: &RuleSet, only: Option<&str>) -> Value {
    fn sentence(one: &Sentence) -> Value {
        json!({"text": one.text, "parts": one.parts.iter().map(sentence).collect::<Vec<_>>()})
    }
    let one = |name: &str| {
        let sentences = rules.rule(name).map(|rule| plain(rule, rules)).unwrap_or_default();
        json!({"rule": name, "sentences": sentences.iter().map(sentence).collect::<Vec<_>>()})
    };
    names(rules, only).into_iter().map(one).collect()
}

/// A rule whose sentences differ.
pub(in crate::cli) struct Changed<'r> {
    /// `new`, `removed` or `changed`.
    pub what: &'static str,
    /// Its name.
    pub name: &'r str,
    /// What was said and what is, each with its sign: `-`, `+`, or a space for what stays.
    pub lines: Vec<(String, String)>,
}

/// Each rule whose sentences differ.
pub(in crate::cli) fn changed<'r>(before: &'r RuleSet, after: &'r RuleSet, only: Option<&str>) -> Vec<Changed<'r>> {
    let all: BTreeSet<&str> = names(before, only).into_iter().chain(names(after, only)).collect();
    let differs = |name: &'r str| {
        let (was, is) = (lines(before, name), lines(after, name));
        let what = match (was.is_empty(), is.is_empty()) {
            _ if was == is => return None,
            (true, _) => "new",
            (_, true) => "removed",
            (false, false) => "changed",
        };
        let ops = capture_diff_slices(Algorithm::Lcs, &was, &is);
        let sentences = ops.iter().flat_map(|op| op.iter_changes(&was, &is));
        let lines = sentences.map(|change| (change.tag().to_string(), change.value_ref().clone())).collect();
        Some(Changed { what, name, lines })
    };
    all.into_iter().filter_map(differs).collect()
}

/// The same as `diff` shows it.
fn changes(before: &RuleSet, after: &RuleSet, only: Option<&str>) -> String {
    let one = |changed: &Changed<'_>| {
        let lines = changed.lines.iter().map(|(tag, line)| format!("{tag} {line}\n"));
        format!("{}: {}\n{}", changed.what, term::one_line(changed.name), lines.collect::<String>())
    };
    changed(before, after, only).iter().map(one).collect::<Vec<_>>().join("\n")
}
