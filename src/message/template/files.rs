//! The templates folder: which file is what, by its name, and what stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::Environment;

use crate::delivery::Severity;
use crate::message::template::engine::{self, Mode};
use crate::message::template::files::role::{Role, role};
use crate::message::template::misread;
use crate::message::template::native::{Escape, Format};
use crate::message::template::scan::{self, Found, Partials, Scan};
use crate::message::template::source::{self, Source};
use crate::problem::{File, Location, Problem, Problems};
use crate::yaml::{self, Fields, Node, NodeKind};

mod role;
mod translation;

/// The keys of the front matter.
const KEYS: [&str; 5] = ["title", "severity", "link", "fields", "image"];

/// One message of the folder. What is a `String` names a template of the environment.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub title: Option<String>,
    pub severity: Option<String>,
    pub link: Option<String>,
    pub image: Option<String>,
    /// The names as they are, and their values.
    pub fields: Vec<(String, String)>,
    pub body: String,
    /// By the channel's name and the files' ending.
    pub natives: BTreeMap<(String, String), String>,
    /// In other languages, by their codes.
    pub translations: BTreeMap<&'static str, Written>,
    /// Why it can't be rendered, if it can't.
    pub broken: bool,
}

/// What a folder holds.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The channels that take a format of their own.
    pub formats: Vec<(&'static str, Format)>,
    pub env: Environment<'static>,
    pub messages: BTreeMap<String, Written>,
    /// By the name of the template in the environment.
    pub sources: BTreeMap<String, Source>,
    /// What may be included.
    pub partials: Vec<String>,
    /// Cycles among partials are looked for once all are known: which includes which.
    includes: BTreeMap<String, Vec<(String, Location)>>,
    /// The templates that have a mistake of their own.
    broken: BTreeSet<String>,
    /// Those of them that only use words that are unknown.
    unsure: BTreeSet<String>,
    /// What is unknown, for a stand-in: its code and the word.
    pub unknown: Vec<(&'static str, String)>,
}

impl Default for Folder {
    fn default() -> Self {
        Self {
            formats: Vec::new(),
            env: engine::environment(Mode::Send),
            messages: BTreeMap::new(),
            sources: BTreeMap::new(),
            partials: Vec::new(),
            includes: BTreeMap::new(),
            broken: BTreeSet::new(),
            unsure: BTreeSet::new(),
            unknown: Vec::new(),
        }
    }
}

/// Reads all files.
pub(crate) fn load(files: &[Arc<File>], formats: Vec<(&'static str, Format)>, problems: &mut Problems) -> Folder {
    let mut folder = Folder { formats, ..Folder::default() };
    let mut roles = Vec::new();
    let mut seen: BTreeMap<String, &Arc<File>> = BTreeMap::new();
    for file in files {
        let name = file_name(&file.path);
        if name.starts_with('.') {
            continue;
        }
        let Some(role) = role(file, name, &folder.formats, problems) else { continue };
        if yaml::is_too_large(file, problems) {
            continue;
        }
        // Two messages that differ in case only are one on some disks and two on others.
        if let Some(first) = seen.insert(name.to_lowercase(), file) {
            problems.push(
                Problem::error("duplicate-template", format!("there are two templates `{name}`"))
                    .at(&start(file))
                    .also(&start(first), "the other one"),
            );
            continue;
        }
        if let Role::Partial(stem) = role {
            folder.partials.extend([format!("{stem}.md"), stem.to_owned()]);
        }
        roles.push((file, role));
    }
    for (file, role) in &roles {
        if let Role::Partial(stem) = role {
            folder.partial(file, stem, problems);
        }
    }
    for (file, role) in &roles {
        if let Role::Message(name) = role {
            folder.message(file, name, problems);
        }
    }
    for (file, role) in &roles {
        if let Role::Translation(name, locale) = role {
            folder.translation(file, name, locale, problems);
        }
    }
    for (file, role) in &roles {
        if let Role::Native(name, channel, ending) = role {
            folder.native(file, (name, channel, ending), problems);
        }
    }
    folder.cycles(problems);
    folder
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn start(file: &Arc<File>) -> Location {
    Location::new(file, 0..0)
}

impl Folder {
    /// What a value becomes in a channel's own JSON.
    pub fn escape(&self, channel: &str) -> Option<Escape> {
        match self.formats.iter().find(|(known, _)| *known == channel)?.1 {
            Format::Json(escape) => escape,
            Format::Html => None,
        }
    }

    /// Adds a template to the environment; whether it is right.
    fn add(&mut self, name: &str, source: Source, problems: &mut Problems) -> bool {
        let scan = scan::scan(&source.text);
        let found = report(&scan, &source, Partials::Named(&self.partials), problems);
        let right = found.is_empty();
        let unknown = scan::only_unknown(&source.text, &found);
        let includes = scan.includes.iter().map(|(word, _)| (word.text.clone(), source.place(word.span.clone())));
        self.includes.insert(name.to_owned(), includes.collect());
        let added = self.env.add_template_owned(name.to_owned(), source.text.clone());
        if let Err(error) = &added {
            problems.push(source::syntax(&source, &scan, error));
        }
        let right = right && added.is_ok();
        if !right {
            self.broken.insert(name.to_owned());
            if let (Some(unknown), true) = (unknown, added.is_ok()) {
                self.unsure.insert(name.to_owned());
                self.unknown.extend(unknown);
            }
        }
        self.sources.insert(name.to_owned(), source);
        right
    }

    /// Whether a template can be rendered, with all that it includes and with stand-ins for what is unknown: what is wrong
    /// with it has been said.
    pub fn is_sound(&self, name: &str) -> bool {
        let mut reached = BTreeSet::from([name]);
        let mut ahead = vec![name];
        while let Some(from) = ahead.pop() {
            if self.broken.contains(from) && !self.unsure.contains(from) {
                return false;
            }
            for (to, _) in self.includes.get(from).into_iter().flatten() {
                if reached.insert(to) {
                    ahead.push(to);
                }
            }
        }
        true
    }

    fn partial(&mut self, file: &Arc<File>, stem: &str, problems: &mut Problems) {
        if let Some(end) = front_matter(&file.text) {
            problems.push(
                Problem::error("partial-front-matter", "a partial has no front matter")
                    .at(&Location::new(file, 0..end.0))
                    .hint("remove it: the message that includes the partial has its own"),
            );
        }
        let mut own = Problems::new();
        for name in [format!("{stem}.md"), stem.to_owned()] {
            self.add(&name, Source::rest(file, 0), &mut own);
        }
        misread::body(&Source::rest(file, 0), &mut own);
        own.sort();
        problems.extend(own);
    }

    fn message(&mut self, file: &Arc<File>, name: &str, problems: &mut Problems) {
        let written = self.written(file, name, problems);
        self.messages.insert(name.to_owned(), written);
    }

    /// What a message's file says. `name` begins the names of its templates.
    fn written(&mut self, file: &Arc<File>, name: &str, problems: &mut Problems) -> Written {
        let before = problems.count().0;
        let mut written = Written::default();
        let body = match front_matter(&file.text) {
            Some((yaml_end, body)) => {
                if let Some(node) = read_front_matter(file, yaml_end, problems) {
                    self.front_matter(name, &node, &mut written, problems);
                }
                body
            }
            None => {
                never_ends(file, problems);
                misread::first_line(file, &KEYS, problems);
                file.text.len() - file.text.trim_start_matches('\u{feff}').len()
            }
        };
        written.body = format!("{name}.md");
        let source = Source::rest(file, body);
        misread::fences(&source, &KEYS, problems);
        misread::body(&source, problems);
        self.add(&written.body, source, problems);
        written.broken = problems.count().0 > before;
        written
    }

    fn front_matter(&mut self, name: &str, node: &Node, written: &mut Written, problems: &mut Problems) {
        let Some(mut keys) = Fields::of(node, "the front matter", problems) else { return };
        let mut scalar = |folder: &mut Self, key: &'static str, problems: &mut Problems| {
            let (text, node) = keys.text(key, problems)?;
            let template = format!("{name}.md {key}");
            let source = Source::scalar(&node.place, &text);
            misread::dollars(&source, problems);
            folder.add(&template, source, problems);
            Some(template)
        };
        let [title, severity, link, _, image] = KEYS;
        written.title = scalar(self, title, problems);
        written.severity = scalar(self, severity, problems);
        if let Some(source) = written.severity.as_ref().and_then(|name| self.sources.get(name))
            && !literal_severity(source, problems)
        {
            self.broken.extend(written.severity.clone());
        }
        written.link = scalar(self, link, problems);
        written.image = scalar(self, image, problems);
        if let Some(fields) = keys.node("fields", problems) {
            self.fields(name, fields, written, problems);
        }
        keys.finish(problems);
    }

    fn fields(&mut self, name: &str, node: &Node, written: &mut Written, problems: &mut Problems) {
        let NodeKind::Map(entries) = &node.kind else {
            problems.push(node.expected("a mapping of names and values for `fields`"));
            return;
        };
        for (key, value) in entries {
            let Some(text) = value.scalar() else {
                problems.push(value.expected(&format!("text for the field `{}`", key.text)));
                continue;
            };
            let template = format!("{name}.md field {}", key.text);
            self.add(&template, Source::scalar(&value.place, text), problems);
            written.fields.push((key.text.clone(), template));
        }
    }

    fn native(&mut self, file: &Arc<File>, (name, channel, ending): (&str, &str, &str), problems: &mut Problems) {
        let template = format!("{name}.{channel}.{ending}");
        let names: Vec<String> = self.messages.keys().cloned().collect();
        if !self.messages.contains_key(name) {
            problems.push(
                Problem::error(
                    "native-without-message",
                    format!("there is no message `{name}.md` for this to replace"),
                )
                .at(&start(file))
                .suggest(name, names.iter().map(String::as_str)),
            );
            return;
        }
        let right = self.add(&template, Source::rest(file, 0), problems);
        if let Some(written) = self.messages.get_mut(name).filter(|_| right) {
            written.natives.insert((channel.to_owned(), ending.to_owned()), template);
        }
    }

    /// Reports partials that include themselves, in one step or several.
    fn cycles(&mut self, problems: &mut Problems) {
        let mut broken = BTreeSet::new();
        for name in self.partials.iter().filter(|name| name.ends_with(".md")) {
            let mut reached = BTreeSet::new();
            let mut ahead: Vec<&str> = vec![name];
            while let Some(from) = ahead.pop() {
                for (to, place) in self.includes.get(from).into_iter().flatten() {
                    let to = if to.ends_with(".md") { to.clone() } else { format!("{to}.md") };
                    if to == *name {
                        broken.extend([name.clone(), name.trim_end_matches(".md").to_owned()]);
                        problems.push(
                            Problem::error("include-cycle", format!("`{name}` includes itself"))
                                .at(place)
                                .hint("remove this `include`"),
                        );
                    } else if let Some((known, _)) = self.includes.get_key_value(&to)
                        && reached.insert(to)
                    {
                        ahead.push(known);
                    }
                }
            }
        }
        self.unsure.retain(|name| !broken.contains(name));
        self.broken.extend(broken);
    }
}

/// Reports what a look at a template found, and gives it.
pub(crate) fn report(scan: &Scan, source: &Source, partials: Partials<'_>, problems: &mut Problems) -> Vec<Found> {
    let mut found = scan.problems(&source.text, partials);
    found.sort_by_key(|found| found.span.start);
    for found in &found {
        let mut problem = Problem::error(found.code, found.message.clone()).at(&source.place(found.span.clone()));
        problem.hint = found.hint.clone();
        problems.push(problem);
    }
    found
}

/// Reports a severity without values in it that is none; whether it may be one.
fn literal_severity(source: &Source, problems: &mut Problems) -> bool {
    let word = source.text.trim();
    let is_none = !word.contains('{') && Severity::named(&word.to_lowercase()).is_none();
    if is_none {
        problems.push(
            Problem::error("severity", format!("`{word}` is not a severity"))
                .at(&source.place(0..source.text.len()))
                .suggest(word, Severity::ALL.map(Severity::name)),
        );
    }
    !is_none
}

/// Reports a front matter that begins and never ends: all of it would stand in the message.
fn never_ends(file: &Arc<File>, problems: &mut Problems) {
    if let Some(at) = fence(&file.text) {
        problems.push(
            Problem::error("front-matter", "the front matter is never closed")
                .at(&Location::new(file, at..at + 3))
                .hint("end it with another line `---`; for a rule across the message write `***`"),
        );
    }
}

/// Where the text begins with a line `---`, empty lines and a byte order mark aside.
fn fence(text: &str) -> Option<usize> {
    let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
    for line in text.get(at..)?.split_inclusive('\n') {
        match line.trim() {
            "" => at += line.len(),
            _ => return (line.trim_end() == "---").then_some(at),
        }
    }
    None
}

/// Where the front matter's YAML ends and where the body begins, if there is a front matter: a line `---` before all else,
/// and a later one.
fn front_matter(text: &str) -> Option<(usize, usize)> {
    let mut at = fence(text)?;
    for (nth, line) in text.get(at..)?.split_inclusive('\n').enumerate() {
        if nth > 0 && line.trim_end() == "---" {
            return Some((at, at + line.len()));
        }
        at += line.len();
    }
    None
}

/// The front matter's node, every place in it within the whole file.
fn read_front_matter(file: &Arc<File>, end: usize, problems: &mut Problems) -> Option<Node> {
    let head = File::new(file.path.clone(), file.text.get(..end).unwrap_or_default());
    let mut found = Problems::new();
    let node = yaml::read(&head, &mut found);
    for mut problem in found {
        problem.place = problem.place.map(|place| Location::new(file, place.span));
        problem.also = problem.also.map(|(place, label)| (Location::new(file, place.span), label));
        problems.push(problem);
    }
    node.map(|node| within(node, file))
}

fn within(node: Node, file: &Arc<File>) -> Node {
    let kind = match node.kind {
        NodeKind::List(items) => NodeKind::List(items.into_iter().map(|item| within(item, file)).collect()),
        NodeKind::Map(entries) => NodeKind::Map(
            entries
                .into_iter()
                .map(|(mut key, value)| {
                    key.place = Location::new(file, key.place.span);
                    (key, within(value, file))
                })
                .collect(),
        ),
        scalar => scalar,
    };
    Node { kind, place: Location::new(file, node.place.span), plain: node.plain }
}
