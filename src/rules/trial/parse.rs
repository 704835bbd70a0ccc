//! From a `*.test.yaml` to its tests, and to everything that is wrong with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::set::Setting;
use super::{Body, Known, START_S, Send, Step, Test, What};
use crate::clock::{from_ms, plus};
use crate::json;
use crate::path::{Path, PathPart};
use crate::problem::{File, Location, Problem, Problems};
use crate::rules::At;
use crate::rules::glob::inner;
use crate::rules::parse::not_cut;
use crate::rules::value::written_time;
use crate::yaml::{self, Fields, KeyHint, Node, NodeKind};

mod expect;

/// What a step can be, in the order of the documentation.
pub(super) const ACTS: [&str; 6] = ["send", "expect", "wait", "at", "fail", "heal"];

/// Keys of a step that stand in the test itself.
const OF_A_STEP: &[(&str, KeyHint)] = &[
    ("send", STEP),
    ("set", STEP),
    ("expect", STEP),
    ("wait", STEP),
    ("at", STEP),
    ("fail", STEP),
    ("heal", STEP),
    ("step", KeyHint::Key("steps")),
];
const STEP: KeyHint = KeyHint::Words("it belongs to a step: `steps: [{send: …}, {expect: […]}]`");

/// What people look for in an expectation.
const EXPECTED: &[(&str, KeyHint)] = &[
    ("subject", KeyHint::Key("title")),
    ("body", KeyHint::Key("text")),
    ("destination", KeyHint::Key("to")),
    ("channel", KeyHint::Key("to")),
    ("message", KeyHint::Words("a test sees what is sent: ask for its `title`, `text` or `severity`")),
    ("template", KeyHint::Words("a test sees what is sent: ask for its `title`, `text` or `severity`")),
];

/// What an event's own `id`, `created` and `timestamp` say, where it stands in a test, is kept.
const OWN: [(&str, &str); 3] = [("id", "$.id"), ("created", "$.created"), ("timestamp", "$.timestamp")];

/// Reads a test file. What is wrong goes to the problems; the tests can be played only if that was nothing.
pub fn parse(file: &Arc<File>, known: &Known<'_>, problems: &mut Problems) -> Vec<Test> {
    let Some(root) = yaml::read(file, problems) else { return Vec::new() };
    match root.kind {
        NodeKind::Null => return Vec::new(),
        NodeKind::List(_) => {
            problems.push(root.expected("a mapping with `tests`").hint("put `tests:` above the list"));
            return Vec::new();
        }
        _ => {}
    }
    let Some(mut fields) = Fields::of(&root, "a test file", problems) else { return Vec::new() };
    let nodes = match fields.required_node("tests", problems) {
        Some(Node { kind: NodeKind::List(nodes), .. }) => nodes.as_slice(),
        Some(node) => {
            problems.push(node.expected("a list of tests").hint("begin each with `- name:`"));
            &[]
        }
        None => &[],
    };
    if let Some((key, _)) = fields.take("rules") {
        problems.push(
            Problem::error("rules-here", "a test file can't contain rules")
                .at(&key.place)
                .hint("put them into a file whose name doesn't end in `.test.yaml`"),
        );
    }
    fields.finish(problems);
    let mut reader = Reader { file, known, problems, now: start(), sees: BTreeSet::new() };
    let tests: Vec<Test> = nodes.iter().filter_map(|node| reader.test(node)).collect();
    reader.unique_names(&tests);
    tests
}

fn start() -> Timestamp {
    from_ms(START_S * 1000)
}

struct Reader<'a> {
    file: &'a Arc<File>,
    known: &'a Known<'a>,
    problems: &'a mut Problems,
    /// The clock of the test that is being read.
    now: Timestamp,
    /// The rules that it sees.
    sees: BTreeSet<String>,
}

impl Reader<'_> {
    fn test(&mut self, node: &Node) -> Option<Test> {
        let mut fields = Fields::of(node, "a test", self.problems)?.with_key_hints(OF_A_STEP);
        let name = fields.required("name", self.problems);
        if let Some((name, node)) = &name {
            fields.what = format!("test `{name}`");
            not_cut(node, self.problems);
        }
        self.sees = self.sees(&mut fields);
        self.now = start();
        let steps = match fields.required_node("steps", self.problems) {
            Some(Node { kind: NodeKind::List(nodes), .. }) if !nodes.is_empty() => nodes.as_slice(),
            Some(Node { kind: NodeKind::List(_), place, .. }) => {
                self.problems.push(Problem::error("empty", "a test without a step tests nothing").at(place));
                &[]
            }
            Some(node) => {
                self.problems.push(node.expected("a list of steps").hint("begin each with `- `: `- send: …`"));
                &[]
            }
            None => &[],
        };
        fields.finish(self.problems);
        let mut start = self.now;
        let mut read = Vec::new();
        for (nth, node) in steps.iter().enumerate() {
            let step = self.step(node, nth == 0);
            if let (0, Some(Step { what: What::At(at), .. })) = (nth, &step) {
                start = start.min(*at);
            }
            read.extend(step);
        }
        let (value, node) = name?;
        let expects = steps.iter().any(
            |node| matches!(&node.kind, NodeKind::Map(entries) if entries.iter().any(|(key, _)| key.text == "expect")),
        );
        if !expects && !steps.is_empty() && read.len() == steps.len() {
            self.problems.push(
                Problem::warning("expects-nothing", format!("the test `{value}` never says what is to be sent"))
                    .at(&node.place)
                    .hint("add a step `- expect: [{to: …}]`, or `- expect: []` for nothing"),
            );
        }
        Some(Test { name: At { value, place: node.place.clone() }, rules: self.sees.clone(), start, steps: read })
    }

    /// The names of the rules that a test sees: those that it names, else those of the rules file of the same name, else
    /// all.
    fn sees(&mut self, fields: &mut Fields<'_>) -> BTreeSet<String> {
        let rules = &self.known.rules.rules;
        let names_them = fields.has("rules");
        let named = fields.texts("rules", self.problems);
        if names_them {
            let mut sees = BTreeSet::new();
            for (name, node) in named {
                if self.known.rules.rule(&name).is_none() {
                    let known = rules.iter().map(|rule| rule.name.value.as_str());
                    let problem = Problem::error("no-rule", format!("there is no rule `{name}`"));
                    self.problems.push(problem.at(&node.place).suggest(&name, known));
                }
                sees.insert(name);
            }
            return sees;
        }
        let path = &self.file.path;
        let stem = [".test.yaml", ".test.yml"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path);
        let beside = [".yaml", ".yml"].into_iter().map(|ending| format!("{stem}{ending}"));
        let beside = beside.into_iter().find(|path| self.known.files.contains(path));
        let seen = rules.iter().filter(|rule| beside.as_ref().is_none_or(|path| rule.name.place.file.path == *path));
        seen.map(|rule| rule.name.value.clone()).collect()
    }

    fn unique_names(&mut self, tests: &[Test]) {
        for (nth, test) in tests.iter().enumerate() {
            if let Some(first) = tests.iter().take(nth).find(|first| first.name.value == test.name.value) {
                self.problems.push(
                    Problem::error("test-twice", format!("two tests are called `{}`", test.name.value))
                        .at(&test.name.place)
                        .also(&first.name.place, "first here"),
                );
            }
        }
    }

    fn step(&mut self, node: &Node, first: bool) -> Option<Step> {
        if let Some(text) = node.scalar() {
            self.problems.push(node.expected("a step, a mapping").hint(format!("write `send: {text}`")));
            return None;
        }
        let mut fields = Fields::of(node, "a step", self.problems)?;
        let acts: Vec<&str> = ACTS.into_iter().filter(|act| fields.has(act)).collect();
        let place = fields.place.clone();
        let act = match acts.as_slice() {
            [act] => *act,
            [] => {
                self.no_act(fields);
                return None;
            }
            several => {
                let named: Vec<String> = several.iter().map(|act| format!("`{act}`")).collect();
                self.problems.push(
                    Problem::error(
                        "two-steps",
                        format!("a step does one thing, and this one has {}", named.join(" and ")),
                    )
                    .at(&place.first_line())
                    .hint("begin each with `- `"),
                );
                return None;
            }
        };
        fields.what = format!("a step with `{act}`");
        let what = match act {
            "send" => self.send(&mut fields).map(|send| What::Send(Box::new(send))),
            "expect" => self.expect(&mut fields),
            "wait" => self.wait(&mut fields),
            "at" => self.at(&mut fields, first),
            "fail" => self.destinations(&mut fields, "fail").map(What::Fail),
            _ => self.destinations(&mut fields, "heal").map(What::Heal),
        };
        fields.finish(self.problems);
        Some(Step { place, what: what? })
    }

    /// A step that has none of the keys that make one: most likely one of them misspelled.
    fn no_act(&mut self, mut fields: Fields<'_>) {
        let place = fields.place.first_line();
        let entries = fields.rest();
        let near = entries.iter().find_map(|(key, _)| Some((key, crate::problem::nearest(&key.text, ACTS)?)));
        self.problems.push(match (near, entries.first()) {
            (Some((key, near)), _) => Problem::error("unknown-key", format!("a step has no key `{}`", key.text))
                .at(&key.place)
                .hint(format!("did you mean `{near}`?")),
            (None, Some((key, _))) => {
                let problem = Problem::error("unknown-key", format!("a step has no key `{}`", key.text)).at(&key.place);
                match key.text.as_str() {
                    "set" | "source" => problem.hint("write it beside `send`, in the same step: remove its `- `"),
                    _ => problem.suggest(&key.text, ACTS),
                }
            }
            (None, None) => Problem::error("empty", "a step says nothing").at(&place).suggest("", ACTS),
        });
    }

    fn send(&mut self, fields: &mut Fields<'_>) -> Option<Send> {
        let what = fields.node("send", self.problems);
        let set = fields.node("set", self.problems);
        let source = fields.text("source", self.problems);
        let set: Vec<Setting> = set.map(|node| self.settings(node)).unwrap_or_default();
        if let Some((name, node)) = source.as_ref().filter(|(name, _)| !self.known.sources.contains(name)) {
            let known = self.known.sources.iter().map(String::as_str);
            let problem = Problem::error("no-source", format!("there is no source `{name}`"));
            self.problems.push(problem.at(&node.place).suggest(name, known));
        }
        let mut send = self.event(what?)?;
        send.source = source.map(|(name, _)| name).or(send.source);
        send.settings.extend(set);
        self.try_settings(&mut send, what?);
        Some(send)
    }

    /// What a step sends, before anything is set.
    fn event(&mut self, node: &Node) -> Option<Send> {
        let of = |body, kind: &str| Send { body, kind: kind.to_owned(), source: None, settings: Vec::new() };
        if let NodeKind::Map(entries) = &node.kind {
            let mut send = of(Body::Json(node.to_json()), "");
            let text = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value.scalar());
            match text("type").or_else(|| text("event")) {
                Some(Some(kind)) => send.kind = kind.to_owned(),
                Some(None) => {}
                None => self.problems.push(
                    Problem::error("missing-key", "an event has no `type`")
                        .at(&node.place.first_line())
                        .hint("write `{type: release.live, data: {…}}`"),
                ),
            }
            for (key, value) in entries {
                let own = OWN.iter().find(|(name, _)| *name == key.text);
                if let Some(path) = own.and_then(|(_, path)| Path::parse(path).ok()) {
                    let (path, value) = (Arc::new(path), value.to_json());
                    send.settings.push(Setting { path, value, place: key.place.clone() });
                }
            }
            return Some(send);
        }
        let Some(name) = node.scalar() else {
            self.problems.push(node.expected("a sample's name, a file, or an event `{type, data}`"));
            return None;
        };
        if let Some(sample) = (self.known.sample)(name) {
            return Some(Send { source: sample.source, ..of(Body::Json(sample.body), &sample.kind) });
        }
        if !name.contains('/') && !name.ends_with(".json") {
            let problem = Problem::error("no-sample", format!("there is no sample `{name}`")).at(&node.place);
            let near = crate::problem::nearest(name, self.known.samples.iter().copied());
            self.problems.push(problem.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name a sample of `fanfare send --list`, a file (`./event.json`), or write `{type: …}`".into(),
            }));
            return None;
        }
        match (self.known.read)(&self.file.path, name) {
            Ok(bytes) => Some(match json::read(&bytes) {
                Some(document) if document.value.is_object() => {
                    let kind = ["type", "event"].iter().find_map(|key| document.value.get(key)?.as_str());
                    let kind = kind.unwrap_or_default().to_owned();
                    of(Body::Json(document.value), &kind)
                }
                _ => of(Body::Raw(bytes), ""),
            }),
            Err(why) => {
                let problem = Problem::error("no-file", format!("`{name}` can't be read: {why}")).at(&node.place);
                self.problems.push(problem.hint("its path is relative to the test file"));
                None
            }
        }
    }

    fn settings(&mut self, node: &Node) -> Vec<Setting> {
        let Some(mut fields) = Fields::of(node, "`set`", self.problems) else { return Vec::new() };
        let mut settings = Vec::new();
        for (key, value) in fields.rest() {
            match setting(&key.text, &key.place) {
                Ok(path) => {
                    not_cut_text(value, self.problems);
                    let place = key.place.clone();
                    settings.push(Setting { path: Arc::new(path), value: value.to_json(), place });
                }
                Err(problem) => self.problems.push(*problem),
            }
        }
        settings
    }

    /// Sets once what will be set whenever it is sent: what can't be set is wrong now.
    fn try_settings(&mut self, send: &mut Send, node: &Node) {
        match &send.body {
            Body::Raw(_) => {
                if !send.settings.is_empty() {
                    let problem = Problem::error("wrong-set", "nothing can be set in what is not JSON object");
                    self.problems.push(problem.at(&node.place));
                }
            }
            Body::Json(body) => {
                let mut body = body.clone();
                for setting in &send.settings {
                    if let Err(problem) = setting.apply(&mut body) {
                        self.problems.push(*problem);
                    }
                }
            }
        }
    }

    fn wait(&mut self, fields: &mut Fields<'_>) -> Option<What> {
        let span = fields.span("wait", self.problems)?;
        if span <= SignedDuration::ZERO {
            let problem = Problem::error("wrong-span", "`wait` is longer than nothing");
            self.problems.push(problem.at(&fields.place.first_line()).hint("what is due at once is sent at once"));
            return None;
        }
        self.now = plus(self.now, span);
        Some(What::Wait(span))
    }

    fn at(&mut self, fields: &mut Fields<'_>, first: bool) -> Option<What> {
        let (text, node) = fields.text("at", self.problems)?;
        let zone = self.known.rules.zone.clone().unwrap_or(TimeZone::UTC);
        let Ok(at) = text.parse::<Timestamp>().or_else(|_| written_time(&text, &zone)) else {
            self.problems.push(
                Problem::error("wrong-time", format!("`{text}` is not a time"))
                    .at(&node.place)
                    .hint("write date and time, `2026-03-27 18:59`, or with a zone, `2026-03-27T17:59:00Z`"),
            );
            return None;
        };
        if at < self.now && !first {
            self.problems.push(
                Problem::error("wrong-time", "the clock doesn't go back").at(&node.place).hint(format!(
                    "it shows {} here",
                    self.now.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
                )),
            );
            return None;
        }
        self.now = at;
        Some(What::At(at))
    }

    fn destinations(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<String>> {
        let texts = fields.texts(key, self.problems);
        for (name, node) in texts.iter().filter(|(name, _)| !self.known.destinations.contains(name)) {
            let known = self.known.destinations.iter().map(String::as_str);
            let problem = Problem::error("no-destination", format!("there is no destination `{name}`"));
            self.problems.push(problem.at(&node.place).suggest(name, known));
        }
        Some(texts.into_iter().map(|(name, _)| name).collect())
    }
}

/// A path that `set` takes: from `$` on, to one place that isn't `$` itself.
fn setting(text: &str, place: &Location) -> Result<Path, Box<Problem>> {
    if !text.starts_with('$') {
        let problem = Problem::error("wrong-path", format!("`{text}` is not a path")).at(place);
        let data = if text.starts_with("data.") { "" } else { "data." };
        return Err(Box::new(problem.hint(format!("a path begins with `$`: did you mean `$.{data}{text}`?"))));
    }
    let path = Path::parse(text).map_err(|error| {
        let mut problem = Problem::error("wrong-path", error.message).at(&inner(place, text, error.offset));
        problem.hint = error.hint;
        Box::new(problem)
    })?;
    if path.parts().any(|part| part == PathPart::Several) {
        let problem = Problem::error("wrong-path", format!("`{text}` may select several values")).at(place);
        return Err(Box::new(problem.hint("set one value at a time: `$.data.platforms[0].status`")));
    }
    if path.parts().next().is_none() {
        let problem = Problem::error("wrong-path", "`$` is the whole event").at(place);
        return Err(Box::new(problem.hint("write the event in place of its name: `send: {type: …, data: …}`")));
    }
    Ok(path)
}

/// A text that is set is never cut silently.
fn not_cut_text(node: &Node, problems: &mut Problems) {
    if matches!(node.kind, NodeKind::Text(_)) {
        not_cut(node, problems);
    }
}
