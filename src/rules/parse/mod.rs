//! From the files of the rules folder to a [`RuleSet`], and to everything that is wrong with them.
//!
//! Pure: texts in, values and problems out. A mistake never ends the reading except for broken YAML syntax, which ends
//! that file's; whatever else is wrong in any file is reported at once, with its place. Two passes: first what all
//! files share (`names`, `lists`, `hours`), then the rules and mutes that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::reading::Paths;
use super::{At, Condition, FileMute, Globs, Hours, List, Name, Person, Presets, Rule, RuleSet, Version};
use crate::event::Mute;
use crate::problem::{File, Location, Problem, Problems};
use crate::yaml::{self, Fields, Node, NodeKind, span_of_time};

mod action;
mod attach;
mod calendar;
mod check;
mod condition;
mod defaults;
mod links;
mod operand;
mod roster;
mod rule;
mod sum;
mod flood;
mod threshold;
mod timing;
mod key_hints;
pub(super) mod shared;
pub mod times;

/// Of an `if_failed` that is about nothing.
const IF_FAILED_ALONE: &str = "`if_failed` without a `when` that could fail";

/// A comparison as other programs write it, `data.title == 'x'`, as a condition.
fn test_of(text: &str) -> Option<String> {
    let signs = [("==", ""), ("!=", "ne"), (">=", "gte"), ("<=", "lte"), (">", "gt"), ("<", "lt"), (" = ", "")];
    let (sign, operator) = signs.into_iter().find(|(sign, _)| text.contains(sign))?;
    let (path, value) = text.split_once(sign)?;
    let (path, value) = (path.trim().trim_start_matches("$."), value.trim().trim_matches(['\'', '"']));
    let is_plain = |text: &str| !text.is_empty() && !text.contains(['&', '|', '(', '`', '{', ',', ':', '#']);
    if !is_plain(path) || !is_plain(value) || path.contains(' ') {
        return None;
    }
    let path = if path.contains('.') { format!("$.{path}") } else { path.to_owned() };
    Some(match operator {
        "" => format!("{{{path}: {value}}}"),
        _ => format!("{{{path}: {{{operator}: {value}}}}}"),
    })
}

/// What is read of a file for the second pass.
struct Later<'n> {
    rules: Vec<&'n Node>,
    mutes: Vec<&'n Node>,
    maps: Vec<(&'n yaml::Key, &'n Node)>,
}

/// Reads rules files (without `*.test.yaml`). `zone` is the default zone, if one is set.
///
/// The set holds what could be read; it is whole only if no error was added to `problems`.
pub fn parse(files: &[Arc<File>], presets: &Presets, zone: Option<TimeZone>, problems: &mut Problems) -> RuleSet {
    let documents: Vec<Node> = files.iter().filter_map(|file| yaml::read(file, problems)).collect();
    let mut shared = Shared { zone, ..Shared::default() };
    let later: Vec<Later<'_>> = documents.iter().filter_map(|document| shared.first_pass(document, problems)).collect();
    shared.add_presets(presets);

    let mut reader = Reader {
        shared: &shared,
        paths: shared.paths.clone(),
        rule_names: Vec::new(),
        former: Vec::new(),
        used: BTreeSet::new(),
        regex_left: operand::REGEX_ALL,
        problems,
    };
    let (mut rules, mut unfinished): (Vec<Rule>, Vec<Rule>) = (Vec::new(), Vec::new());
    for node in later.iter().flat_map(|file| &file.rules) {
        let errors = reader.problems.count().0;
        if let Some(rule) = reader.rule(node) {
            let is_whole = reader.problems.count().0 == errors;
            if is_whole { rules.push(rule) } else { unfinished.push(rule) }
        }
    }
    reader.unique_names();
    // A mute may speak of a rule that could not be read whole.
    let known: BTreeSet<&str> =
        later.iter().flat_map(|file| &file.rules).filter_map(|node| text_of(node, "name")).collect();
    let mut mutes: Vec<FileMute> = Vec::new();
    for node in later.iter().flat_map(|file| &file.mutes) {
        mutes.extend(reader.mute(node, &known));
    }
    reader.unique_mutes(&mutes);
    let maps = reader.value_maps(later.iter().flat_map(|file| &file.maps).copied());
    let used = std::mem::take(&mut reader.used);
    let of_lists = |(section, _): &&(&'static str, String)| matches!(*section, "lists" | "hours" | "maps");
    let unused = shared.places.iter().filter(|(word, _)| of_lists(word) && !used.contains(*word));
    let unused = unused.map(|((section, word), place)| (*section, At { value: word.clone(), place: place.clone() }));
    let unused = unused.collect();
    RuleSet {
        rules,
        unfinished,
        unused,
        names: shared.names,
        lists: shared.lists,
        hours: shared.hours,
        mutes,
        people: shared.people,
        maps,
        version: Version::of(files, presets, shared.zone.as_ref()),
        zone: shared.zone,
        ..RuleSet::default()
    }
}

/// What all files share.
#[derive(Default)]
struct Shared {
    names: BTreeMap<String, Name>,
    lists: BTreeMap<String, Arc<List>>,
    hours: BTreeMap<String, Arc<Hours>>,
    people: BTreeMap<String, Person>,
    /// Where each of them stands, by section and word: to report where the first one is.
    places: BTreeMap<(&'static str, String), Location>,
    zone: Option<TimeZone>,
    /// `holidays:` of all files together.
    holidays: Arc<BTreeSet<Date>>,
    paths: Paths,
}

impl Shared {
    /// The names, lists and hours of a file; its rules and mutes for later.
    fn first_pass<'n>(&mut self, document: &'n Node, problems: &mut Problems) -> Option<Later<'n>> {
        if document.kind == NodeKind::Null {
            return None;
        }
        if let NodeKind::List(_) = document.kind {
            problems.push(document.expected("a mapping with `rules`").hint("put `rules:` above the list"));
            return None;
        }
        let mut fields = Fields::of(document, "a rules file", problems)?.with_key_hints(key_hints::FILE);
        self.read_names(&mut fields, problems);
        self.read_lists(&mut fields, problems);
        self.read_hours(&mut fields, problems);
        self.read_people(&mut fields, problems);
        let maps = shared::section(&mut fields, "maps", problems);
        Arc::make_mut(&mut self.holidays).extend(times::dates(&mut fields, "holidays", problems));
        let later = Later {
            maps: maps.into_iter().filter(|(key, _)| self.define("maps", key, problems)).collect(),
            rules: list_of(&mut fields, "rules", "a list of rules", problems),
            mutes: list_of(&mut fields, "mutes", "a list of mutes", problems),
        };
        if let Some((key, _)) = fields.take("tests") {
            problems.push(
                Problem::error("tests-here", "a rules file can't contain tests")
                    .at(&key.place)
                    .hint("put them into a file whose name ends in `.test.yaml`"),
            );
        }
        fields.finish(problems);
        Some(later)
    }
}

/// The elements of a list; an empty section is none.
fn list_of<'n>(fields: &mut Fields<'n>, key: &'static str, what: &str, problems: &mut Problems) -> Vec<&'n Node> {
    match fields.take(key).map(|(_, node)| node) {
        None => Vec::new(),
        Some(node) => match &node.kind {
            NodeKind::Null => Vec::new(),
            NodeKind::List(items) => items.iter().collect(),
            _ => {
                problems.push(node.expected(what).hint("begin each with `- `"));
                Vec::new()
            }
        },
    }
}

/// The text of a key of a mapping, if both are there.
fn text_of<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    entry_of(node, key).and_then(|(_, node)| node.scalar())
}

/// A key of a mapping with its value.
fn entry_of<'n>(node: &'n Node, key: &str) -> Option<(&'n yaml::Key, &'n Node)> {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().find(|(found, _)| found.text == key).map(|(key, node)| (key, node)),
        _ => None,
    }
}

/// Reads what uses the shared names, lists and hours.
struct Reader<'a> {
    shared: &'a Shared,
    paths: Paths,
    /// The names of all rules, also of those that could not be read whole.
    rule_names: Vec<At<String>>,
    /// Former names of rules, with the names they have now.
    former: Vec<(At<String>, String)>,
    /// The lists, hours and maps that something names, by section and word.
    used: BTreeSet<(&'static str, String)>,
    /// What regular expressions may still take, in bytes once compiled.
    regex_left: usize,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    /// A path, or a name of `names:`.
    fn name(&mut self, text: &str, place: &Location) -> Option<Name> {
        if text.starts_with('$') {
            return shared::path(text, place, &mut self.paths, self.problems).map(|query| Name {
                text: text.to_owned(),
                paths: vec![query],
                by_source: Vec::new(),
                place: Some(place.clone()),
            });
        }
        if let Some(name) = self.shared.names.get(text) {
            return Some(Name { place: Some(place.clone()), ..name.clone() });
        }
        // One that could not be read has been reported.
        if !self.shared.places.contains_key(&("names", text.to_owned())) {
            self.problems.push(self.no_such_name(text).at(place));
        }
        None
    }

    fn no_such_name(&self, text: &str) -> Problem {
        let problem = Problem::error("unknown-name", format!("`{text}` is neither a path nor one of `names:`"));
        if let Some(span) = Some(text).filter(|text| span_of_time(text).is_some()) {
            return problem.hint(format!("write a time in `every`: `every: {span}`"));
        }
        if let Some(test) = test_of(text) {
            return problem.hint(format!("a test stands below its path: `{test}`"));
        }
        let rooted = text.starts_with(['.', '[', '@']) || text.contains('.');
        if rooted {
            return problem
                .hint(format!("a path begins with `$`: did you mean `$.{}`?", text.trim_start_matches(['.', '@'])));
        }
        if super::operator::named(text).is_some() {
            return problem.hint(format!("write an operator below a path: `$.data.…: {{{text}: …}}`"));
        }
        let known = self.shared.names.keys().map(String::as_str);
        problem.suggest(text, known.chain(["any", "all", "not"]))
    }

    /// Takes a key with one text or a list of them; an empty list is a problem, since it would say nothing silently.
    fn some_texts<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        node: &'n Node,
        key: &'static str,
        what: &str,
    ) -> Vec<(String, &'n Node)> {
        if let Some((key, list)) = entry_of(node, key)
            && list.kind == NodeKind::List(Vec::new())
        {
            self.problems.push(Problem::error("empty", format!("`{}` names no {what}", key.text)).at(&key.place));
        }
        fields.texts(key, self.problems)
    }

    /// Globs of event types: one text, or a list.
    fn globs(&mut self, nodes: &[(String, &Node)]) -> Globs {
        for (_, node) in nodes {
            not_cut_within(node, self.problems);
        }
        Globs::parse(nodes.iter().map(|(text, node)| (text.as_str(), Some(&node.place))), self.problems)
    }
}

/// Reports what a `#` right before a word cut short: `Song #1`. Where a comment is likely and nothing of the kind can go
/// on after a blank, ` # ` with a blank behind it is one.
fn not_cut_within(node: &Node, problems: &mut Problems) {
    if let Some(comment) = node.cut_by_comment()
        && comment.text().trim_start_matches('#').starts_with(|c: char| !c.is_whitespace())
    {
        problems.push(cut(&comment));
    }
}

/// Reports a plain text that a ` #` cut short, whatever stands behind it.
pub(super) fn not_cut(node: &Node, problems: &mut Problems) {
    if let Some(comment) = node.cut_by_comment() {
        problems.push(cut(&comment));
    }
}

fn cut(comment: &Location) -> Problem {
    Problem::error("cut-by-comment", "what follows ` #` is a comment, not part of the text")
        .at(comment)
        .hint("quote it: \"…\"; or put the comment on a line of its own")
}

impl Condition {
    /// Reads a `when` that stands in no file, such as a run-time mute's, in YAML or JSON. It may use the names and lists
    /// of `rules`.
    pub fn parse_text(text: &str, rules: &RuleSet, zone: Option<TimeZone>) -> Result<Condition, Problems> {
        let mut problems = Problems::new();
        let file = File::new("when", text);
        let Some(node) = yaml::read(&file, &mut problems) else {
            if problems.is_empty() {
                problems.push(Problem::error("empty", "the condition is empty"));
            }
            return Err(problems);
        };
        let condition = rules.reading(zone, &mut problems, |reader| reader.condition(&node));
        condition.filter(|_| !problems.has_errors()).ok_or(problems)
    }
}

impl RuleSet {
    /// Reads what stands in no file of the set, with the names and lists in force.
    fn reading<T>(
        &self,
        zone: Option<TimeZone>,
        problems: &mut Problems,
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        // The paths of a condition that is judged by itself are numbered by themselves.
        let mut paths = Paths::default();
        let names = self.names.iter().map(|(word, name)| (word.clone(), shared::renumbered(name, &mut paths)));
        let shared = Shared { names: names.collect(), lists: self.lists.clone(), zone, ..Shared::default() };
        read(&mut Reader {
            shared: &shared,
            paths,
            rule_names: Vec::new(),
            former: Vec::new(),
            used: BTreeSet::new(),
            regex_left: operand::REGEX_ALL,
            problems,
        })
    }

    /// Reads one mute in the form of `mutes:`, in YAML or JSON, as somebody asks for it at run time. `file` is what its
    /// problems are reported under.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place in `text`.
    pub fn read_mute(&self, file: &str, text: &str) -> Result<FileMute, Problems> {
        let mut problems = Problems::new();
        let Some(node) = yaml::read(&File::new(file, text), &mut problems) else {
            if problems.is_empty() {
                problems.push(Problem::error("empty", "there is nothing to read"));
            }
            return Err(problems);
        };
        let known: BTreeSet<&str> = self.rules.iter().map(|rule| rule.name.value.as_str()).collect();
        let mute = self.reading(self.zone.clone(), &mut problems, |reader| reader.mute(&node, &known));
        mute.filter(|_| !problems.has_errors()).ok_or(problems)
    }

    /// The id of a mute, which follows from what it says.
    pub fn mute_id(mute: &Mute) -> String {
        shared::id_of(&Mute { id: String::new(), ..mute.clone() })
    }

    /// A mute made at run time, compiled with the names and lists in force. `Err` says what is wrong with its `events`
    /// or `when`.
    pub fn mute(&self, mute: &Mute) -> Result<FileMute, String> {
        let said = |problems: Problems| {
            let words: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
            words.join("; ")
        };
        let events = match mute.events.as_slice() {
            [] => None,
            events => Some(Globs::of(events).map_err(said)?),
        };
        let when = match &mute.when {
            None => None,
            Some(text) => Some(Condition::parse_text(text, self, self.zone.clone()).map_err(said)?),
        };
        let place = Location::new(&File::new(format!("mute {}", mute.id), ""), 0..0);
        Ok(FileMute {
            destination: mute.destination.clone().map(|value| At { value, place: place.clone() }),
            mute: mute.clone(),
            events,
            when,
            zone: self.zone.clone().unwrap_or(TimeZone::UTC),
            place,
        })
    }
}
