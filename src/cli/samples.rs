//! Samples of what came, for `fanfare events export --samples`: of each type the newest event, and of each set of fields
//! that differs another, in files that `check` and the other commands for authors go by.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cli::load_without_secrets;
use crate::config::DEFAULT_PRESET;
use crate::config::samples::{stem, written};
use crate::event::OWN_SOURCE;
use crate::json;

/// How many sets of fields are kept of one type, those seen last: senders leave out what is empty, in any combination.
const SHAPES_MAX: usize = 5;
/// How many types are kept.
const TYPES_MAX: usize = 1_000;

/// The samples that were found so far.
pub(super) struct Samples {
    /// The source whose bodies stand in their files alone.
    default: String,
    /// By type and source.
    kinds: BTreeMap<(String, String), Vec<Sample>>,
}

struct Sample {
    shape: BTreeSet<String>,
    text: String,
}

impl Samples {
    /// None as yet, for the folder of this configuration.
    pub fn of(config: &Path) -> Self {
        let snapshot = config.exists().then(|| load_without_secrets(config).snapshot).flatten();
        let source = snapshot.and_then(|snapshot| Some(snapshot.default_source()?.name.to_string()));
        Self { default: source.unwrap_or_else(|| DEFAULT_PRESET.to_owned()), kinds: BTreeMap::new() }
    }

    /// Takes an event as the API shows it, newer than those before. What has no body in JSON is passed over, and so are
    /// Fanfare's own events.
    pub fn add(&mut self, item: &Value) {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let (kind, source) = (text("type"), text("source"));
        let body = json::read(text("raw").as_bytes()).map(|document| document.value);
        let Some(body) = body.filter(Value::is_object) else { return };
        if source == OWN_SOURCE || kind.is_empty() || kind.starts_with("fanfare.") {
            return;
        }
        let is_full = self.kinds.len() >= TYPES_MAX;
        let mut shape = BTreeSet::new();
        fields(&body, "", &mut shape);
        let text = written(&body, (&source, &kind), &self.default);
        let key = (kind, source);
        if is_full && !self.kinds.contains_key(&key) {
            return;
        }
        let samples = self.kinds.entry(key).or_default();
        samples.retain(|sample| sample.shape != shape);
        samples.insert(0, Sample { shape, text });
        samples.truncate(SHAPES_MAX);
    }

    /// Writes them all, or none where one is there already and `force` is not given, and gives how many.
    pub fn write(&self, folder: &Path, force: bool) -> anyhow::Result<usize> {
        let files = self.files(folder);
        if let Some((path, _)) = files.iter().find(|(path, _)| !force && path.exists()) {
            bail!("`{}` already exists: name another folder, or overwrite it with `--force`", path.display());
        }
        std::fs::create_dir_all(folder).with_context(|| format!("can't make `{}`", folder.display()))?;
        for (path, text) in &files {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).create_new(!force);
            let mut file = options.open(path).with_context(|| format!("can't write `{}`", path.display()))?;
            file.write_all(text.as_bytes()).with_context(|| format!("can't write `{}`", path.display()))?;
        }
        Ok(files.len())
    }

    /// Each file's path and text: the same for the same events.
    fn files(&self, folder: &Path) -> Vec<(PathBuf, &str)> {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        let mut files = Vec::new();
        for ((kind, _), samples) in &self.kinds {
            let stem = stem(kind);
            for sample in samples {
                let names = std::iter::once(format!("{stem}.json")).chain((2..).map(|n| format!("{stem}-{n}.json")));
                // Some systems know no capitals in names.
                let free = names.into_iter().find(|name| taken.insert(name.to_lowercase()));
                files.extend(free.map(|name| (folder.join(name), sample.text.as_str())));
            }
        }
        files
    }
}

/// The path of every member, those of a list's elements as one.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let path = format!("{path}.{key}");
                fields(member, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, &format!("{path}[]"), found)),
        _ => {}
    }
}
