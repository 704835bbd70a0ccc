//! `people:` and `maps:`. Pure. Whether an address fits where it is used is for `check`, which knows the destinations.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::super::roster::{Person, ValueMap};
use super::super::{At, AtDate, RuleSet};
use super::{Reader, Shared, not_cut, not_cut_within, times};
use crate::delivery::Mention;
use crate::problem::{Problem, Problems};
use crate::yaml::{Fields, Key, Node, NodeKind};

/// The most people, and the most maps.
const ENTRIES_MAX: usize = 1_000;
/// The most values of a map.
const VALUES_MAX: usize = 10_000;

impl Shared {
    pub(super) fn read_people(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) {
        for (key, node) in super::shared::section(fields, "people", problems) {
            if !self.define("people", key, problems) {
                continue;
            }
            if self.people.len() >= ENTRIES_MAX {
                let problem = Problem::error("too-many", format!("more than {ENTRIES_MAX} people"));
                return problems.push(problem.at(&key.place));
            }
            self.people.extend(person(key, node, problems).map(|person| (key.text.clone(), person)));
        }
    }
}

fn person(key: &Key, node: &Node, problems: &mut Problems) -> Option<Person> {
    let mut fields = Fields::of(node, format!("the person `{}`", key.text), problems)?;
    let name = fields.text("name", problems).map(|(name, _)| name);
    let zone = times::zone_of(&mut fields, problems);
    let locale = times::locale_of(&mut fields, problems);
    let mut addresses = BTreeMap::new();
    for (key, node) in fields.rest() {
        let Some(text) = node.scalar().map(str::trim).filter(|text| !text.is_empty()) else {
            problems.push(node.expected(&format!("a text for `{}`", key.text)));
            continue;
        };
        // ` #` would make half of a channel's name a comment.
        not_cut(node, problems);
        addresses.insert(key.text.clone(), At { value: text.to_owned(), place: key.place.clone() });
    }
    Some(Person { name, zone, locale, addresses, place: key.place.clone() })
}

impl Reader<'_> {
    /// All of `maps:`.
    pub(super) fn value_maps<'n>(
        &mut self,
        maps: impl Iterator<Item = (&'n Key, &'n Node)>,
    ) -> BTreeMap<String, ValueMap> {
        maps.filter_map(|(key, node)| Some((key.text.clone(), self.value_map(key, node)?))).collect()
    }

    /// One of `maps:`.
    fn value_map(&mut self, key: &Key, node: &Node) -> Option<ValueMap> {
        let mut fields = Fields::of(node, format!("the map `{}`", key.text), self.problems)?;
        let by = fields.required("by", self.problems).and_then(|(text, node)| {
            not_cut_within(node, self.problems);
            self.name(&text, &node.place)
        });
        let otherwise = fields.node("else", self.problems).and_then(|node| self.mapped_to("else", node));
        let mut values = BTreeMap::new();
        let rest = fields.rest();
        if rest.is_empty() && otherwise.is_none() {
            let problem = Problem::error("empty", format!("the map `{}` leads nowhere", key.text));
            self.problems.push(problem.at(&key.place).hint("write `VALUE: PERSON` for each value, and `else: PERSON`"));
        }
        if rest.len() > VALUES_MAX {
            let problem = Problem::error("too-many", format!("more than {VALUES_MAX} values in a map"));
            self.problems.push(problem.at(&key.place));
        }
        for (value, node) in rest.into_iter().take(VALUES_MAX) {
            values.extend(self.mapped_to(&value.text, node).map(|to| (value.text.nfc().collect(), to)));
        }
        Some(ValueMap { by: by?, values, otherwise, place: key.place.clone() })
    }

    fn mapped_to(&mut self, value: &str, node: &Node) -> Option<At<String>> {
        not_cut(node, self.problems);
        match node.scalar().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Some(At { value: text.to_owned(), place: node.place.clone() }),
            None if node.kind == NodeKind::Null => {
                let problem = Problem::error("empty", format!("`{value}` leads to nobody")).at(&node.place);
                self.problems.push(problem.hint("write a name of `people:`, or an address"));
                None
            }
            None => {
                self.problems.push(node.expected(&format!("one person or one address for `{value}`")));
                None
            }
        }
    }

    /// `mention:` of an action: names, and maps that say whom.
    pub(super) fn mentions(&mut self, fields: &mut Fields<'_>) -> Vec<At<Mention>> {
        let Some(node) = fields.node("mention", self.problems) else { return Vec::new() };
        node.one_or_more().iter().filter_map(|item| self.mention(item)).collect()
    }

    fn mention(&mut self, node: &Node) -> Option<At<Mention>> {
        if let Some(name) = node.scalar() {
            return Some(At { value: Mention::Named(name.to_owned()), place: node.place.clone() });
        }
        if !matches!(node.kind, NodeKind::Map(_)) {
            self.problems.push(node.expected("a name in `mention`, or `{map: NAME}`"));
            return None;
        }
        let mut fields = Fields::of(node, "a mention", self.problems)?;
        let map = fields.required("map", self.problems);
        fields.finish(self.problems);
        let (map, at) = map?;
        if !self.shared.places.contains_key(&("maps", map.clone())) {
            let known = self.shared.places.keys().filter(|(section, _)| *section == "maps");
            let problem = Problem::error("no-map", format!("there is no map `{map}` in `maps:`")).at(&at.place);
            self.problems.push(problem.suggest(&map, known.map(|(_, word)| word.as_str())));
            return None;
        }
        self.used.insert(("maps", map.clone()));
        Some(At { value: Mention::Mapped { map }, place: node.place.clone() })
    }
}

impl RuleSet {
    /// Reads names and paths that may leave, with the names in force.
    pub fn read_fields(&self, node: &Node, problems: &mut Problems) -> Vec<super::Name> {
        if node.one_or_more().is_empty() {
            let problem = Problem::error("empty", "`fields` names nothing that may leave").at(&node.place);
            problems.push(problem.hint("write `fields: [title, artist]`"));
        }
        let mut found = Vec::new();
        for item in node.one_or_more() {
            let Some(text) = item.scalar() else {
                problems.push(item.expected("a path or a name in `fields`"));
                continue;
            };
            let read = self.reading(self.zone.clone(), problems, |reader| reader.singular(text, &item.place, "fields"));
            found.extend(read);
        }
        found
    }

    /// Reads `until PATH`, with the names in force.
    pub fn read_until(&self, node: &Node, problems: &mut Problems) -> Option<AtDate> {
        let text = node.scalar().map(str::trim).unwrap_or_default();
        let Some(date) = text.strip_prefix("until ") else {
            let problem = Problem::error("wrong-date", "an embargo lasts until a date in the event").at(&node.place);
            problems.push(problem.hint("write `embargo: until release_date`"));
            return None;
        };
        self.reading(self.zone.clone(), problems, |reader| reader.at_date(date.trim(), node))
    }

    /// The maps that are nobody's business: neither a mention nor one of these names them.
    pub fn unused_maps<'r>(&'r self, used: &'r [&str]) -> impl Iterator<Item = &'r At<String>> {
        let unused = self.unused.iter().filter(|(section, _)| *section == "maps").map(|(_, word)| word);
        unused.filter(|word| !used.contains(&word.value.as_str()))
    }
}
