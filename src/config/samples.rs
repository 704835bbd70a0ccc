//! The team's own samples: events as they came, in the folder `samples/`, a file each. They are evidence of what events
//! look like, and take the place of the built-in ones of their type.
//!
//! A file holds the body as it was posted; or, where the body alone doesn't say its type or isn't the first source's,
//! `{"source": …, "type": …, "body": …}`. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::DEFAULT_PRESET;
use crate::json;
use crate::problem::{File, Location, Problem, Problems};
use crate::source::samples::{self, Basis};
use crate::source::{Source, presets};
use crate::yaml::SIZE_MAX;

/// The members of a file that is more than a body.
const WRAPPED: [&str; 3] = ["body", "source", "type"];
/// How many of the team's own samples of one type are evidence, the first by their paths: what rendering all of them
/// costs stays bounded.
const OF_A_TYPE_MAX: usize = 20;

/// A sample event, ready to be sent or judged.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it is called: its file's name without the ending, or a built-in one's name.
    pub name: String,
    /// Its source; `None` for the one that samples come from where nobody says which.
    pub source: Option<String>,
    /// The event type.
    pub kind: String,
    /// The body, numbers with their text.
    pub body: Value,
    /// How much it says of real events; `None` for the team's own, which is one.
    pub basis: Option<Basis>,
    /// What happened, in a few words, for lists.
    pub about: String,
}

/// The team's own samples, before the built-in ones.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    own: Vec<Sample>,
}

impl Samples {
    /// Reads the files of the folder. What can't be read is a warning: it stops no server.
    pub fn read(files: &[Arc<File>], sources: &BTreeMap<String, Arc<Source>>, problems: &mut Problems) -> Self {
        let own = files.iter().filter_map(|file| match own(file, sources) {
            Ok(sample) => Some(sample),
            Err(problem) => {
                problems.push(*problem);
                None
            }
        });
        Self { own: own.collect() }
    }

    /// The sample that `name` means: a file of that name, the first of the team's own of that type, or a built-in one.
    pub fn named(&self, name: &str) -> Option<Sample> {
        let own = self.own.iter().find(|sample| sample.name == name);
        let own = own.or_else(|| self.own.iter().find(|sample| sample.kind == name));
        own.cloned().or_else(|| samples::named(name).map(Sample::from))
    }

    /// All that are at hand: the team's own, and the built-in ones of all other types.
    pub fn all(&self) -> Vec<Sample> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let own = self.own.iter().filter(|sample| {
            let count = counts.entry(&sample.kind).or_default();
            *count += 1;
            *count <= OF_A_TYPE_MAX
        });
        let mut all: Vec<Sample> = own.cloned().collect();
        let known: BTreeSet<&str> = self.own.iter().map(|sample| sample.kind.as_str()).collect();
        all.extend(samples::ALL.iter().filter(|sample| !known.contains(sample.kind())).map(Sample::from));
        all
    }

    /// Every name that [`named`](Self::named) takes.
    pub fn names(&self) -> Vec<&str> {
        let own = self.own.iter().flat_map(|sample| [sample.name.as_str(), sample.kind.as_str()]);
        own.chain(samples::ALL.iter().map(|sample| sample.name)).collect()
    }
}

/// The text of a sample's file: the body alone where that says its type and comes from the default source, else with both.
pub fn written(body: &Value, (source, kind): (&str, &str), default: &str) -> String {
    let says = |key: &str| body.get(key).and_then(Value::as_str);
    match source == default && says("type").or_else(|| says("event")) == Some(kind) {
        true => format!("{body:#}\n"),
        false => format!("{:#}\n", json!({"source": source, "type": kind, "body": body})),
    }
}

/// The name of a sample's file without its ending: the type, without what a file's name can't hold.
pub fn stem(kind: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let stem: String = kind.chars().map(|c| if is_plain(c) { c } else { '_' }).take(120).collect();
    if stem.starts_with('.') { format!("_{stem}") } else { stem }
}

impl From<&'static samples::Sample> for Sample {
    fn from(sample: &'static samples::Sample) -> Self {
        Self {
            name: sample.name.to_owned(),
            source: None,
            kind: sample.kind().to_owned(),
            body: sample.body(),
            basis: Some(sample.basis),
            about: sample.about.to_owned(),
        }
    }
}

fn own(file: &Arc<File>, sources: &BTreeMap<String, Arc<Source>>) -> Result<Sample, Box<Problem>> {
    if file.text.len() > SIZE_MAX {
        let problem = bad(file, 0..0, format!("the sample is longer than {SIZE_MAX} bytes"));
        return Err(Box::new(problem.hint("remove repeated elements from its lists")));
    }
    let Some(document) = json::read(file.text.as_bytes()).map(|document| document.value) else {
        return Err(Box::new(no_json(file)));
    };
    let Value::Object(mut members) = document else {
        return Err(Box::new(bad(file, 0..file.text.len(), "a sample is an object: `{\"type\": …, \"data\": …}`")));
    };
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    let name = name.strip_suffix(".json").unwrap_or(name).to_owned();
    let is_wrapped = members.contains_key("body") && members.keys().all(|key| WRAPPED.contains(&key.as_str()));
    let (source, kind, body) = match members.remove("body").filter(|_| is_wrapped) {
        Some(body) => {
            let text = |key: &str| members.get(key).and_then(Value::as_str).map(str::to_owned);
            (text("source"), text("type"), body)
        }
        None => {
            let read = json::read(file.text.as_bytes());
            (None, None, read.map_or(Value::Null, |document| document.value))
        }
    };
    if let Some(source) = source.as_ref().filter(|source| !sources.is_empty() && !sources.contains_key(*source)) {
        let problem = bad(file, at(file, source), format!("there is no source `{source}`"));
        return Err(Box::new(problem.suggest(source, sources.keys().map(String::as_str))));
    }
    let found = kind.or_else(|| kind_of(&body, source.as_deref(), sources));
    let Some(kind) = found.filter(|kind| !kind.is_empty()) else {
        let problem = bad(file, 0..1, "the sample doesn't say its event type");
        return Err(Box::new(problem.hint("write `{\"source\": \"shop\", \"type\": \"order.paid\", \"body\": …}`")));
    };
    // A body alone is of the default source, which is none of the others' only where there is one.
    let has_default = sources.values().any(|source| source.preset.name == DEFAULT_PRESET);
    let first = sources.keys().next().filter(|_| !has_default).cloned();
    let (source, about) = (source.or(first), format!("yours, `{}`", file.path));
    Ok(Sample { name, source, kind, body, basis: None, about })
}

/// The type that a body says to the source that it is of, or to the default one.
fn kind_of(body: &Value, source: Option<&str>, sources: &BTreeMap<String, Arc<Source>>) -> Option<String> {
    let default = || sources.values().find(|source| source.preset.name == DEFAULT_PRESET);
    let source = match source {
        Some(name) => sources.get(name),
        None => default().or_else(|| sources.values().next()),
    };
    match source {
        Some(source) => source.kind_in(body),
        None => presets::named(DEFAULT_PRESET)
            .and_then(|preset| Source::of(DEFAULT_PRESET, preset, Vec::new()).kind_in(body)),
    }
}

/// Where a text stands as JSON; the beginning, if nowhere.
fn at(file: &File, text: &str) -> std::ops::Range<usize> {
    let quoted = Value::from(text).to_string();
    file.text.find(&quoted).map_or(0..1, |at| at..at + quoted.len())
}

fn no_json(file: &Arc<File>) -> Problem {
    let Err(error) = serde_json::from_str::<Value>(&file.text) else {
        return bad(file, 0..1, "the sample is nested too deeply");
    };
    let line_start: usize = file.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let start = line_start + error.column().saturating_sub(1);
    let whole = error.to_string();
    let what = whole.split(" at line ").next().unwrap_or_default();
    bad(file, start..start + 1, format!("the sample is not JSON: {what}"))
}

fn bad(file: &Arc<File>, span: std::ops::Range<usize>, message: impl Into<String>) -> Problem {
    Problem::warning("bad-sample", message).at(&Location::new(file, span))
}
