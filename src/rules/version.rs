//! The version of a set of rules: everything that judging goes by, as text.
//!
//! Pure. What a rule makes of an event by itself is a function of the event and of this. So it isn't kept for each event
//! that a rule misses, which most do: the version is kept once, and anyone who asks why judges again.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Presets, RuleSet, parse};
use crate::problem::{File, Gravity, Problems};

/// How many hexadecimal digits of a hash name a version or a file.
const ID_DIGITS: usize = 32;

/// All that judging goes by.
#[derive(Debug, Clone, Default)]
pub struct Version {
    /// Its name: the same for the same texts.
    pub id: String,
    /// What it consists of, as JSON; its files by their hashes.
    pub head: String,
    /// The files with their hashes.
    files: Vec<(String, Arc<File>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The program that judges: another may judge otherwise.
    program: String,
    /// The zone of dates without one.
    zone: Option<String>,
    /// The names that sources bring.
    presets: Presets,
    /// Paths and hashes.
    files: Vec<(String, String)>,
}

impl Version {
    /// The version of what is read from these.
    pub(super) fn of(files: &[Arc<File>], presets: &Presets, zone: Option<&TimeZone>) -> Self {
        let files: Vec<(String, Arc<File>)> = files.iter().map(|file| (hash(&file.text), file.clone())).collect();
        let head = Head {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            zone: zone.and_then(TimeZone::iana_name).map(str::to_owned),
            presets: presets.clone(),
            files: files.iter().map(|(hash, file)| (file.path.clone(), hash.clone())).collect(),
        };
        // A plain struct with text keys always has a JSON text.
        let head = serde_json::to_string(&head).unwrap_or_default();
        Self { id: hash(&head), head, files }
    }

    /// The texts of its files, by their hashes.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(hash, file)| (hash.as_str(), file.text.as_str()))
    }

    /// The hashes of the files that a version consists of; none if its head can't be read.
    pub fn files_of(head: &str) -> Vec<String> {
        let head = serde_json::from_str::<Head>(head).ok();
        head.into_iter().flat_map(|head| head.files).map(|(_, hash)| hash).collect()
    }

    /// Reads the rules of a version again; `file` gives the text with a hash.
    ///
    /// # Errors
    /// Why that can't be done, in words: a text is gone, or this program reads the rules of an earlier one no more.
    pub fn read(head: &str, file: impl Fn(&str) -> Option<String>) -> Result<RuleSet, String> {
        let head: Head = serde_json::from_str(head).map_err(|_| "the kept version can't be read".to_owned())?;
        let mut files = Vec::new();
        for (path, hash) in head.files {
            let text = file(&hash).ok_or_else(|| format!("`{path}` of then is gone"))?;
            files.push(File::new(path, text));
        }
        let zone = head.zone.as_deref().map(TimeZone::get).transpose().map_err(|error| error.to_string())?;
        let mut problems = Problems::new();
        let rules = parse(&files, &head.presets, zone, &mut problems);
        let first = problems.iter().find(|problem| problem.gravity == Gravity::Error);
        first.map_or(Ok(rules), |problem| Err(format!("rules of version {}: {}", head.program, problem.message)))
    }
}

fn hash(text: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(text));
    hash.truncate(ID_DIGITS);
    hash
}
