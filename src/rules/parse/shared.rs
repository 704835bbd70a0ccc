//! What all files share: `names`, `lists`, `hours`, and the planned `mutes`.
//!
//! Pure. A word may be defined once over all files; the second definition names the first one's place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use super::super::glob::inner;
use super::super::reading::Paths;
use super::super::value::written_time;
use super::super::{At, FileMute, List, Name, Presets, Query, operator};
use super::{Reader, Shared, times};
use crate::event::Mute;
use crate::problem::{Location, Problem, Problems};
use crate::yaml::{Fields, Key, Node, NodeKind};

/// The most words in `names:`: each is looked up in each event.
const NAMES_MAX: usize = 1_000;

/// The words of templates and conditions that no name may take.
pub(in crate::rules) const RESERVED: &[&str] = &[
    "all",
    "any",
    "not",
    "and",
    "or",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "for",
    "set",
    "with",
    "macro",
    "call",
    "filter",
    "block",
    "include",
    "import",
    "from",
    "extends",
    "do",
    "true",
    "false",
    "none",
    "null",
    "True",
    "False",
    "None",
    "loop",
    "self",
    "super",
    "caller",
    "range",
    "dict",
    "namespace",
    "debug",
    "event",
    "events",
    "data",
    "case",
    "rule",
    "suppressed",
    "sum",
    "more",
    "died",
    "now",
    "always",
    "ignore_case",
];

/// A plain word: what may stand for a path in conditions and templates.
fn is_plain_word(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A path, compiled once; what is wrong with it is reported where it is wrong.
pub(super) fn path(text: &str, place: &Location, paths: &mut Paths, problems: &mut Problems) -> Option<Query> {
    match paths.get(text) {
        Ok(query) => Some(query),
        Err(error) => {
            let mut problem = Problem::error("wrong-path", error.message).at(&inner(place, text, error.offset));
            problem.hint = error.hint;
            problems.push(if cut_short(place) {
                problem.hint("` #` begins a comment; if it belongs to the path, quote it: \"…\"")
            } else {
                problem
            });
            None
        }
    }
}

/// Whether a comment follows a plain text on its line.
fn cut_short(place: &Location) -> bool {
    let rest = place.file.text.get(place.span.end..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    !place.text().starts_with(['"', '\'']) && line.starts_with([' ', '\t']) && line.trim_start().starts_with('#')
}

/// A name whose paths have the numbers of another set.
pub(super) fn renumbered(name: &Name, paths: &mut Paths) -> Name {
    let mut again = |queries: &[Query]| -> Vec<Query> { queries.iter().map(|query| paths.put(query)).collect() };
    Name {
        text: name.text.clone(),
        paths: again(&name.paths),
        by_source: name.by_source.iter().map(|(source, queries)| (source.clone(), again(queries))).collect(),
        place: name.place.clone(),
    }
}

/// The entries of a section that is a mapping from words to what they stand for.
pub(super) fn section<'n>(
    fields: &mut Fields<'n>,
    key: &'static str,
    problems: &mut Problems,
) -> Vec<(&'n Key, &'n Node)> {
    let Some((_, node)) = fields.take(key) else { return Vec::new() };
    match &node.kind {
        NodeKind::Null => Vec::new(),
        NodeKind::Map(entries) => entries.iter().map(|(key, node)| (key, node)).collect(),
        _ => {
            problems.push(node.expected(&format!("a mapping in `{key}`")));
            Vec::new()
        }
    }
}

impl Shared {
    /// Records where a word stands; the second time that is a problem.
    pub(super) fn define(&mut self, section: &'static str, key: &Key, problems: &mut Problems) -> bool {
        if let Some(first) = self.places.get(&(section, key.text.clone())) {
            // Within one file the YAML reader has said so.
            if !Arc::ptr_eq(&first.file, &key.place.file) {
                problems.push(
                    Problem::error("defined-twice", format!("`{}` appears twice in `{section}`", key.text))
                        .at(&key.place)
                        .also(first, "first here"),
                );
            }
            return false;
        }
        self.places.insert((section, key.text.clone()), key.place.clone());
        true
    }

    pub(super) fn read_names(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) {
        for (key, node) in section(fields, "names", problems) {
            if self.names.len() >= NAMES_MAX {
                problems.push(
                    Problem::error("too-many", format!("more than {NAMES_MAX} names"))
                        .at(&key.place)
                        .hint("a rule can contain a path that only it uses"),
                );
                return;
            }
            if !self.define("names", key, problems) {
                continue;
            }
            if let Some(problem) = unfit_name(&key.text) {
                problems.push(problem.at(&key.place));
            }
            let paths = self.read_paths(node, &key.text, problems);
            if !paths.is_empty() {
                let place = Some(key.place.clone());
                self.names
                    .insert(key.text.clone(), Name { text: key.text.clone(), paths, by_source: Vec::new(), place });
            }
        }
    }

    fn read_paths(&mut self, node: &Node, word: &str, problems: &mut Problems) -> Vec<Query> {
        let mut paths = Vec::new();
        let items = node.one_or_more();
        if items.is_empty() {
            problems.push(Problem::error("empty", format!("the name `{word}` has no path")).at(&node.place));
        }
        for item in items {
            match &item.kind {
                NodeKind::Text(text) if text.starts_with('$') => {
                    super::not_cut_within(item, problems);
                    paths.extend(path(text, &item.place, &mut self.paths, problems));
                }
                NodeKind::Text(text) => problems.push(
                    Problem::error("wrong-path", format!("`{text}` is not a path"))
                        .at(&item.place)
                        .hint(format!("a path begins with `$`: `$.{}`", text.trim_start_matches('.'))),
                ),
                _ => problems.push(item.expected("a path that begins with `$`")),
            }
        }
        paths
    }

    pub(super) fn read_lists(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) {
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        for (key, node) in section(fields, "lists", problems) {
            if !self.define("lists", key, problems) {
                continue;
            }
            let NodeKind::List(items) = &node.kind else {
                problems.push(node.expected(&format!("a list of values for `{}`", key.text)));
                continue;
            };
            let values = items.iter().filter_map(|item| super::operand::scalar(item, false, &zone, problems)).collect();
            self.lists.insert(key.text.clone(), Arc::new(List { values, place: key.place.clone() }));
        }
    }

    pub(super) fn read_hours(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) {
        for (key, node) in section(fields, "hours", problems) {
            if !self.define("hours", key, problems) {
                continue;
            }
            if key.text == "always" {
                problems.push(
                    Problem::error("reserved", "`always` is not a name for hours: it means that there are none")
                        .at(&key.place),
                );
            }
            let window = times::window(node, &format!("the hours `{}`", key.text), self.zone.as_ref(), problems);
            if let Some(window) = window {
                self.hours.insert(key.text.clone(), Arc::new(window));
            }
        }
    }

    /// The presets' names, where no file has a name of its own for the word.
    pub(super) fn add_presets(&mut self, presets: &Presets) {
        let own: BTreeSet<String> = self.names.keys().cloned().collect();
        for (source, names) in presets {
            for (word, paths) in names.iter().filter(|(word, _)| !own.contains(*word)) {
                let queries = paths.iter().filter_map(|path| self.paths.get(path).ok()).collect();
                let name = self.names.entry(word.clone()).or_insert_with(|| Name {
                    text: word.clone(),
                    paths: Vec::new(),
                    by_source: Vec::new(),
                    place: None,
                });
                name.by_source.push((source.as_str().into(), queries));
            }
        }
    }
}

/// What keeps a word from being a name.
fn unfit_name(word: &str) -> Option<Problem> {
    if !is_plain_word(word) {
        let plain: String = word.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        return Some(
            Problem::error("wrong-name", format!("`{word}` is not a plain word: letters, digits and `_`"))
                .hint(format!("write `{}`", plain.trim_matches('_'))),
        );
    }
    if RESERVED.contains(&word) || operator::named(word).is_some() {
        return Some(
            Problem::error("reserved", format!("`{word}` is a word of conditions or templates, and can't be a name"))
                .hint(format!("write `the_{word}`")),
        );
    }
    None
}

impl Reader<'_> {
    /// One of `mutes:`.
    pub(super) fn mute(&mut self, node: &Node, rules: &BTreeSet<&str>) -> Option<FileMute> {
        let mut fields = Fields::of(node, "a mute", self.problems)?;
        let reason = fields.text("reason", self.problems).map(|(text, _)| text);
        let by = fields.text("by", self.problems).map(|(text, _)| text);
        let events = self.some_texts(&mut fields, node, "events", "event type");
        let rule = fields.text("rule", self.problems);
        let destination = fields.text("destination", self.problems);
        let when = fields.node("when", self.problems);
        let from = fields.text("from", self.problems);
        let until = fields.required("until", self.problems);
        fields.finish(self.problems);

        if let Some((name, node)) = &rule
            && !rules.contains(name.as_str())
        {
            let problem = Problem::error("unknown-rule", format!("there is no rule `{name}`")).at(&node.place);
            self.problems.push(problem.suggest(name, rules.iter().copied()));
        }
        if events.is_empty() && rule.is_none() && destination.is_none() && when.is_none() {
            self.problems.push(
                Problem::error("mutes-all", "this mute would silence everything")
                    .at(&node.place.first_line())
                    .hint("say what: `events`, `rule`, `destination` or `when`; `events: \"*\"` if all is meant"),
            );
        }
        let from = from.and_then(|(text, node)| self.moment(&text, node));
        let until = until.and_then(|(text, node)| Some((self.moment(&text, node)?, node)));
        if let (Some(from), Some((until, node))) = (from, until)
            && until <= from
        {
            self.problems.push(Problem::error("ends-first", "this mute ends before it begins").at(&node.place));
        }
        let mute = Mute {
            id: String::new(),
            reason: reason.unwrap_or_else(|| "planned".into()),
            by: by.unwrap_or_else(|| node.place.file.path.clone()),
            events: events.iter().map(|(text, _)| text.clone()).collect(),
            rule: rule.map(|(text, _)| text),
            destination: destination.as_ref().map(|(text, _)| text.clone()),
            when: when.map(|when| when.to_json().to_string()),
            from: from.unwrap_or(Timestamp::UNIX_EPOCH),
            until: until?.0,
        };
        Some(FileMute {
            mute: Mute { id: id_of(&mute), ..mute },
            destination: destination.map(|(value, node)| At { value, place: node.place.clone() }),
            events: (!events.is_empty()).then(|| self.globs(&events)),
            when: when.and_then(|when| self.condition(when)),
            zone: self.shared.zone.clone().unwrap_or(TimeZone::UTC),
            place: node.place.clone(),
        })
    }

    fn moment(&mut self, text: &str, node: &Node) -> Option<Timestamp> {
        let zone = self.shared.zone.clone().unwrap_or(TimeZone::UTC);
        match written_time(text, &zone) {
            Ok(moment) => Some(moment),
            Err(note) => {
                self.problems.push(Problem::error("wrong-time", note).at(&node.place).hint(
                    "write \"2026-12-24 18:00\", with a zone \"2026-12-24T18:00:00Z\", or a date alone: \"2026-12-24\"",
                ));
                None
            }
        }
    }

    /// Reports mutes that say the same.
    pub(super) fn unique_mutes(&mut self, mutes: &[FileMute]) {
        let mut first: BTreeMap<&str, &Location> = BTreeMap::new();
        for mute in mutes {
            match first.get(mute.mute.id.as_str()) {
                Some(place) => self.problems.push(
                    Problem::error("defined-twice", "this mute appears here twice")
                        .at(&mute.place)
                        .also(place, "first here"),
                ),
                None => {
                    first.insert(&mute.mute.id, &mute.place);
                }
            }
        }
    }
}

/// The id of a mute follows from what it says, so that it stays the same wherever it stands.
pub(super) fn id_of(mute: &Mute) -> String {
    let said = serde_json::to_string(mute).unwrap_or_default();
    let hash = hex::encode(Sha256::digest(said));
    format!("mute_{}", hash.get(..16).unwrap_or_default())
}
