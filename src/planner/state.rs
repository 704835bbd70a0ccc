//! The loaded state while a batch is planned: documents are read, changed, and at the end compared with what they were.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::event::Seq;
use crate::planner::loaded::{DocChange, Key, LoadedState};

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

/// Where one document stands. What is loaded before planning and what planning reads are both asked for by slot, so
/// that neither can know of a document that the other doesn't.
#[derive(Debug)]
pub(crate) struct Slot<D> {
    key: Key,
    /// Where it may still stand: under its rule's former names.
    former: Vec<Key>,
    doc: PhantomData<D>,
}

impl<D: Doc> Slot<D> {
    /// The slot with this id, in parts.
    pub fn one(parts: &[&str]) -> Self {
        Self { key: Key { kind: D::KIND.into(), id: id(parts) }, former: Vec::new(), doc: PhantomData }
    }

    /// The slot of a rule with these names, the present one first, and what comes after the name in the id.
    pub fn under(names: &[String], rest: &[&str]) -> Self {
        let slot = |name: &String| Self::one(&[&[name.as_str()], rest].concat());
        let (present, former) = names.split_at(names.len().min(1));
        let present = present.first().map_or_else(|| Self::one(rest), slot);
        Self { former: former.iter().map(|name| slot(name).key).collect(), ..present }
    }

    /// All that must be loaded to know it.
    pub fn keys(self) -> impl Iterator<Item = Key> {
        std::iter::once(self.key).chain(self.former)
    }
}

/// The documents as loaded, and as they stand now.
#[derive(Debug)]
pub(crate) struct State {
    was: BTreeMap<Key, String>,
    /// What was written (text and the events needed again) or, with `None`, deleted.
    is: BTreeMap<Key, Option<(String, Vec<Seq>)>>,
}

impl State {
    pub fn new(loaded: LoadedState) -> Self {
        Self { was: loaded.docs, is: BTreeMap::new() }
    }

    fn text(&self, key: &Key) -> Option<&str> {
        match self.is.get(key) {
            Some(written) => written.as_ref().map(|(text, _)| text.as_str()),
            None => self.was.get(key).map(String::as_str),
        }
    }

    fn read<D: Doc>(&self, key: &Key) -> Option<D> {
        serde_json::from_str(self.text(key)?).ok()
    }

    /// The document, if it is there and can be read. One that stands under a former name moves to the present one.
    pub fn load<D: Doc>(&mut self, slot: &Slot<D>) -> Option<D> {
        if let Some(doc) = self.read(&slot.key) {
            return Some(doc);
        }
        let (former, doc) = slot.former.iter().find_map(|former| Some((former, self.read::<D>(former)?)))?;
        self.is.insert(former.clone(), None);
        self.save(slot, Some(&doc));
        Some(doc)
    }

    /// Writes a document, or deletes it.
    pub fn save<D: Doc>(&mut self, slot: &Slot<D>, doc: Option<&D>) {
        let written = match doc {
            // Plain structs with text keys always have a JSON text.
            Some(doc) => match serde_json::to_string(doc) {
                Ok(text) => Some((text, doc.events())),
                Err(_) => return,
            },
            None => None,
        };
        self.is.insert(slot.key.clone(), written);
    }

    /// Deletes a document that was not loaded, if it is there.
    pub fn forget<D: Doc>(&mut self, slot: &Slot<D>) {
        self.was.entry(slot.key.clone()).or_default();
        self.save(slot, None);
    }

    /// All documents of a kind that are there and can be read, by id.
    pub fn all<D: Doc>(&self) -> Vec<D> {
        let keys = self.was.keys().chain(self.is.keys()).filter(|key| key.kind == D::KIND);
        let mut keys: Vec<&Key> = keys.collect();
        keys.sort();
        keys.dedup();
        keys.into_iter().filter_map(|key| self.read(key)).collect()
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
