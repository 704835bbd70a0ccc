//! Paths and names that lead nowhere in any event that is known.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::config::evidence::{Origin, Seen};
use crate::config::load::Whole;
use crate::lint::heard::Hearing;
use crate::path::Unreachable;
use crate::problem::{Problem, Problems, nearest};
use crate::rules::{Name, Query};

/// How deep a misplaced field is looked for.
const DEPTH_MAX: usize = 4;
/// How often a path is looked up in an event at most, so that no file keeps `check` busy: far more than a team's rules need.
const LOOKS_MAX: usize = 100_000;

/// Paths and names that select nothing in any known event of their types. Where not every type has a known event, only
/// what has a near name is reported.
pub(super) fn unknown(whole: &Whole, problems: &mut Problems) {
    // A `case` is asked of the events that open it and of those that close it.
    let mut told: BTreeSet<(&str, usize)> = BTreeSet::new();
    let mut looks = 0;
    for hearing in whole.hearings() {
        let heard = whole.heard(&hearing);
        let Some(first) = heard.first() else { continue };
        let knows_all = whole.knows_all(&hearing, &heard);
        let roots: Vec<&Value> = heard.iter().map(|seen| &seen.root).collect();
        // What a path leads to here, looked up once.
        let mut known: BTreeMap<&str, Option<Missing>> = BTreeMap::new();
        for name in &hearing.names {
            if looks >= LOOKS_MAX {
                return;
            }
            let found = known.entry(&name.text).or_insert_with(|| {
                looks += roots.len();
                match name.queries(&first.event.source) {
                    [query] if name.text.starts_with('$') => one_path(query, &roots, knows_all),
                    queries => none_of_all(name, queries, &roots).filter(|_| knows_all),
                }
            });
            if let (Some(Missing { hint, inner }), Some(place)) = (found.clone(), &name.place)
                && told.insert((&place.file.path, place.span.start))
            {
                let problem = Problem::warning("unknown-path", message(name, inner.as_deref(), &hearing, &heard));
                let problem = problem.at(place);
                problems.push(match hint {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                });
            }
        }
    }
}

/// Filters that are asked of a mapping's members.
pub(super) fn filter_over_mapping(whole: &Whole, problems: &mut Problems) {
    let mut looks = 0;
    for hearing in whole.hearings() {
        let heard = whole.heard(&hearing);
        let roots: Vec<&Value> = heard.iter().map(|seen| &seen.root).collect();
        for name in hearing.names.iter().filter(|name| !roots.is_empty() && name.text.contains("[?")) {
            looks += roots.len();
            if looks > LOOKS_MAX {
                return;
            }
            let mut unreachable = name.all_queries().flat_map(|query| query.path.unreachable(&roots));
            if let (true, Some(place)) =
                (unreachable.any(|absent| absent == Unreachable::FilterOverMapping), &name.place)
            {
                let message = format!("`{}` filters the members of a mapping, not a list", name.text);
                problems.push(
                    Problem::warning("filter-over-mapping", message)
                        .at(place)
                        .hint("test the member itself: `$.data.status: live`"),
                );
            }
        }
    }
}

/// What a path lacks.
#[derive(Clone)]
struct Missing {
    /// What to do.
    hint: Option<String>,
    /// The name that is missing, where it stands within a filter.
    inner: Option<String>,
}

fn one_path(query: &Query, roots: &[&Value], knows_all: bool) -> Option<Missing> {
    let text = query.path.text();
    let mut unreachable =
        query.path.unreachable(roots).into_iter().filter(|absent| *absent != Unreachable::FilterOverMapping);
    let (name, hint, is_near) = match unreachable.next()? {
        Unreachable::List { name } => {
            let hint = replaced(text, &name, &name).map(|(before, after)| format!("{before}[*]{after}"));
            (name, hint, true)
        }
        Unreachable::Member { name, known } => {
            let near = nearest(&name, known.iter().map(String::as_str)).map(|near| with(text, &name, near));
            let elsewhere = || elsewhere(&name, roots).filter(|_| !text.contains('['));
            let is_near = near.is_some();
            let hint = near.or_else(elsewhere);
            let all = || known_words(&known);
            match hint {
                Some(hint) => (name, Some(hint), is_near),
                None => return knows_all.then(|| Missing { inner: inner(text, &name), hint: all() }),
            }
        }
        Unreachable::FilterOverMapping => return None,
    };
    (is_near || knows_all)
        .then(|| Missing { inner: inner(text, &name), hint: hint.map(|hint| format!("did you mean `{hint}`?")) })
}

/// The members that there are, if they are few.
fn known_words(known: &BTreeSet<String>) -> Option<String> {
    let words: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    (!words.is_empty() && words.len() <= 16).then(|| format!("there are {}", words.join(", ")))
}

/// A name none of whose paths leads anywhere.
fn none_of_all(name: &Name, queries: &[Query], roots: &[&Value]) -> Option<Missing> {
    let leads = |query: &Query| query.path.unreachable(roots).is_empty();
    if queries.is_empty() || queries.iter().any(leads) {
        return None;
    }
    let paths: Vec<String> = queries.iter().take(4).map(|query| format!("`{}`", query.path.text())).collect();
    let more = if queries.len() > paths.len() { ", …" } else { "" };
    Some(Missing { hint: Some(format!("`{}` stands for {}{more}", name.text, paths.join(", "))), inner: None })
}

fn message(name: &Name, inner: Option<&str>, hearing: &Hearing<'_>, heard: &[&Seen]) -> String {
    let types = hearing.types();
    let who = match heard.iter().any(|seen| seen.from == Origin::Past) {
        true => format!("neither a sample nor an event seen of {types}"),
        false => format!("no sample of {types}"),
    };
    match inner {
        Some(inner) => format!("`{}`: {who} has `{inner}` there", name.text),
        None => format!("`{}`: {who} has it", name.text),
    }
}

/// The missing name, if it stands within a filter.
fn inner(text: &str, name: &str) -> Option<String> {
    let filter = text.find("[?")?;
    let at = text.find(name)?;
    (at > filter).then(|| name.to_owned())
}

/// The path with another name in the place of one; the name alone where the path has it more than once.
fn with(text: &str, name: &str, near: &str) -> String {
    match replaced(text, name, near) {
        Some((before, after)) => before + &after,
        None => near.to_owned(),
    }
}

/// What stands before a member's name and its dot, and the member with another name and what stands behind it.
fn replaced(text: &str, name: &str, by: &str) -> Option<(String, String)> {
    let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let dotted = format!(".{name}");
    let mut places = text.match_indices(&dotted).filter(|(at, _)| is_end(&text[at + dotted.len()..]));
    let (Some((at, _)), None) = (places.next(), places.next()) else { return None };
    Some((text[..at].to_owned(), format!(".{by}{}", &text[at + dotted.len()..])))
}

/// Where a field of this very name stands: `$.severity` for `$.data.severity` is soon written.
fn elsewhere(name: &str, roots: &[&Value]) -> Option<String> {
    roots.iter().find_map(|root| find(name, root, "$", DEPTH_MAX))
}

fn find(name: &str, node: &Value, path: &str, depth: usize) -> Option<String> {
    let members = node.as_object()?;
    if members.contains_key(name) {
        return Some(format!("{path}.{name}"));
    }
    let depth = depth.checked_sub(1)?;
    members.iter().find_map(|(key, member)| find(name, member, &format!("{path}.{key}"), depth))
}
