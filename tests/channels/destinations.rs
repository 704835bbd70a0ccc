//! The destinations under test.

use std::fs;
use std::path::PathBuf;

use fanfare::channels::{ALL, Channel, ChannelKind, named};
use fanfare::problem::{File, Problems};
use fanfare::yaml::{self, Fields};

/// Where this suite's files are.
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/channels").join(name)
}

/// The files of a folder with this ending: stem and text, in order.
pub fn files(name: &str, ending: &str) -> Vec<(String, String)> {
    let paths = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A destination under test.
pub struct Destination {
    /// The kind's name, or the file's.
    pub name: String,
    pub kind: &'static ChannelKind,
    pub yaml: String,
    pub channel: Box<dyn Channel>,
}

/// Every kind's example, and every file of `destinations/`.
pub fn all() -> Vec<Destination> {
    let examples = ALL.iter().map(|kind| (kind.name.to_owned(), kind.example.to_owned()));
    examples.chain(files("destinations", "yaml")).map(|(name, yaml)| build(&name, &yaml)).collect()
}

/// One destination of each kind: where a message goes changes nothing of it.
pub fn kinds() -> Vec<Destination> {
    ALL.iter().map(|kind| build(kind.name, kind.example)).collect()
}

/// The destination of this name.
pub fn one(name: &str) -> Destination {
    all().into_iter().find(|destination| destination.name == name).unwrap()
}

/// Builds from YAML in which nothing may be wrong.
pub fn build(name: &str, yaml: &str) -> Destination {
    let (built, problems) = read(name, yaml);
    let said: Vec<String> = problems.iter().map(|problem| problem.render(false)).collect();
    assert!(said.is_empty(), "the destination {name} has problems:\n{}", said.join("\n"));
    built.unwrap()
}

/// What is wrong with this YAML.
pub fn problems(yaml: &str) -> Vec<String> {
    let (_, problems) = read("wrong", yaml);
    problems.iter().map(ToString::to_string).collect()
}

fn read(name: &str, yaml: &str) -> (Option<Destination>, Problems) {
    let mut problems = Problems::new();
    let file = File::new(format!("{name}.yaml"), yaml);
    let node = yaml::read(&file, &mut problems).unwrap();
    let mut fields = Fields::of(&node, "the destination", &mut problems).unwrap();
    let kind = fields.text("type", &mut problems).map_or_else(|| name.to_owned(), |(kind, _)| kind);
    let kind = named(&kind).unwrap_or_else(|| panic!("no kind `{kind}`"));
    let channel = kind.read(&mut fields, &mut problems);
    fields.finish(&mut problems);
    let built = channel.map(|channel| Destination { name: name.to_owned(), kind, yaml: yaml.to_owned(), channel });
    (built, problems)
}
