//! The ledger while a round works on it: documents are read, changed and at the end compared with what they were.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::event::Seq;
use crate::planner::ledger::{DocChange, Key, Ledger};

/// Ids longer than this keep their start and end in the digest of the whole.
const ID_MAX: usize = 200;

/// A state machine's document: JSON with short stable names. Unknown fields are passed over, and absent ones have a
/// default, so that an older and a newer program read each other's.
pub(crate) trait Doc: Serialize + DeserializeOwned {
    /// The kind that its documents are kept under.
    const KIND: &'static str;

    /// The events that it will need again.
    fn events(&self) -> Vec<Seq> {
        Vec::new()
    }
}

/// An id of several parts, which can't be mistaken for that of others: `/` between them, and escaped within.
pub(crate) fn id(parts: &[&str]) -> String {
    let escaped: Vec<String> = parts.iter().map(|part| part.replace('%', "%25").replace('/', "%2F")).collect();
    let whole = escaped.join("/");
    if whole.len() <= ID_MAX {
        return whole;
    }
    let start = &whole[..whole.floor_char_boundary(ID_MAX / 2)];
    format!("{start}%{}", hex::encode(Sha256::digest(&whole)))
}

/// The key of a document.
pub(crate) fn key<D: Doc>(parts: &[&str]) -> Key {
    Key { kind: D::KIND.into(), id: id(parts) }
}

/// The documents as loaded, and as they stand now.
#[derive(Debug)]
pub(crate) struct Book {
    was: BTreeMap<Key, String>,
    /// What was written (text and the events needed again) or, with `None`, deleted.
    is: BTreeMap<Key, Option<(String, Vec<Seq>)>>,
}

impl Book {
    pub fn new(ledger: Ledger) -> Self {
        Self { was: ledger.docs, is: BTreeMap::new() }
    }

    fn text(&self, key: &Key) -> Option<&str> {
        match self.is.get(key) {
            Some(written) => written.as_ref().map(|(text, _)| text.as_str()),
            None => self.was.get(key).map(String::as_str),
        }
    }

    /// The document, if it is there and can be read.
    pub fn get<D: Doc>(&self, parts: &[&str]) -> Option<D> {
        serde_json::from_str(self.text(&key::<D>(parts))?).ok()
    }

    /// Writes a document.
    pub fn put<D: Doc>(&mut self, parts: &[&str], doc: &D) {
        // Plain structs with text keys always have a JSON text.
        if let Ok(text) = serde_json::to_string(doc) {
            self.is.insert(key::<D>(parts), Some((text, doc.events())));
        }
    }

    /// Deletes a document.
    pub fn delete<D: Doc>(&mut self, parts: &[&str]) {
        self.is.insert(key::<D>(parts), None);
    }

    /// The document of a rule, which may still stand under a former name of it: then it moves to the present one.
    pub fn adopt<D: Doc>(&mut self, names: &[String], rest: &[&str]) -> Option<D> {
        let (present, former) = names.split_first()?;
        if let Some(doc) = self.get::<D>(&[&[present.as_str()], rest].concat()) {
            return Some(doc);
        }
        for name in former {
            let parts = [&[name.as_str()], rest].concat();
            if let Some(doc) = self.get::<D>(&parts) {
                self.delete::<D>(&parts);
                self.put(&[&[present.as_str()], rest].concat(), &doc);
                return Some(doc);
            }
        }
        None
    }

    /// All documents of a kind that are there and can be read, by id.
    pub fn all<D: Doc>(&self) -> Vec<D> {
        let keys = self.was.keys().chain(self.is.keys()).filter(|key| key.kind == D::KIND);
        let mut keys: Vec<&Key> = keys.collect();
        keys.sort();
        keys.dedup();
        keys.into_iter().filter_map(|key| serde_json::from_str(self.text(key)?).ok()).collect()
    }

    /// What differs from what was loaded.
    pub fn into_changes(self) -> Vec<DocChange> {
        let Self { was, is } = self;
        let changed = is.into_iter().filter_map(|(key, written)| match written {
            Some((text, _)) if was.get(&key) == Some(&text) => None,
            Some((text, events)) => Some(DocChange { key, text: Some(text), events }),
            None if was.contains_key(&key) => Some(DocChange { key, text: None, events: Vec::new() }),
            None => None,
        });
        changed.collect()
    }
}
