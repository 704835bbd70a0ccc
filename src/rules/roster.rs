//! People and maps: whom the team means, and which address an event leads to. Pure.
//!
//! Rules files say who; `fanfare.yaml` says how far that may reach: an address is only one that its `allow` accepts, and
//! never a URL, a host or a key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_normalization::UnicodeNormalization;

use super::glob::Glob;
use super::reading::Reading;
use super::value::text_of;
use super::{At, AtDate, Name, RuleSet};
use crate::delivery::Addressed;
use crate::event::Event;
use crate::locale::Locale;
use crate::problem::Location;

/// A person of `people:`.
#[derive(Debug, Clone)]
pub struct Person {
    /// As people call them, if the file says it.
    pub name: Option<String>,
    /// The zone in which they read times.
    pub zone: Option<TimeZone>,
    /// The language in which they read messages.
    pub locale: Option<&'static Locale>,
    /// Their addresses and ids, by what they are for.
    pub addresses: BTreeMap<String, At<String>>,
    /// Where they stand.
    pub place: Location,
}

/// A map of `maps:`: from what an event says to people or plain texts.
#[derive(Debug, Clone)]
pub struct ValueMap {
    /// What it reads in an event.
    pub by: Name,
    /// By the value's text in NFC.
    pub values: BTreeMap<String, At<String>>,
    /// For every other value, and none.
    pub otherwise: Option<At<String>>,
    /// Where it stands.
    pub place: Location,
}

/// How a destination is addressed that leaves its address to a map.
#[derive(Debug, Clone)]
pub struct Reach {
    /// The map.
    pub map: String,
    /// Which of a person's addresses it takes; `None`: only plain texts.
    pub field: Option<&'static str>,
    /// Whether a text is one bare address of its kind.
    pub is: fn(&str) -> bool,
    /// What an address must be like, as a whole.
    pub allow: Vec<Glob>,
}

/// What a map gives for an event.
#[derive(Debug, Clone, Copy)]
pub struct Mapped<'r> {
    /// A name of `people:`, or a plain text.
    pub to: &'r At<String>,
    /// The value that led to it; `None` where `else` did.
    pub by: Option<&'r str>,
}

impl Reach {
    /// Whether a text may be an address of the destination.
    pub fn allows(&self, address: &str) -> bool {
        (self.is)(address) && self.allow.iter().any(|glob| glob.matches(address))
    }
}

impl ValueMap {
    /// All that it may give, with places.
    pub fn all(&self) -> impl Iterator<Item = &At<String>> {
        self.values.values().chain(&self.otherwise)
    }
}

impl RuleSet {
    /// What a map gives for an event.
    ///
    /// # Errors
    /// Why it gives nothing, in words.
    pub fn mapped(&self, map: &str, event: &Event) -> Result<Mapped<'_>, String> {
        let Some(found) = self.maps.get(map) else { return Err(format!("there is no map `{map}`")) };
        let value = self.value_of(&found.by, event)?;
        let known = value.as_ref().and_then(|value| found.values.get_key_value(value));
        if let Some((by, to)) = known {
            return Ok(Mapped { to, by: Some(by) });
        }
        found.otherwise.as_ref().map(|to| Mapped { to, by: None }).ok_or_else(|| match value {
            Some(value) => format!("the map `{map}` has neither `{value}` nor `else`"),
            None => format!("`{}` selects nothing, and the map `{map}` has no `else`", found.by.text),
        })
    }

    /// The one text that a map's `by` selects in an event, in NFC; `None` where there is none, or no single one.
    fn value_of(&self, by: &Name, event: &Event) -> Result<Option<String>, String> {
        let (root, zone) = (event.root(), self.zone.clone().unwrap_or(TimeZone::UTC));
        let mut reading = Reading::new(event, &root, &zone);
        let mut budget = reading.budget();
        let nodes = reading.select(by, &mut budget).map_err(|_| format!("`{}` takes too many steps", by.text))?;
        Ok(match &*nodes {
            [serde_json::Value::Bool(truth)] => Some(truth.to_string()),
            [value] => text_of(value).map(|text| text.nfc().collect()),
            _ => None,
        })
    }

    /// When a date in an event falls.
    ///
    /// # Errors
    /// Why it says none, in words.
    pub fn moment(&self, at: &AtDate, event: &Event) -> Result<Timestamp, String> {
        let (root, zone) = (event.root(), self.zone.clone().unwrap_or(TimeZone::UTC));
        let mut reading = Reading::new(event, &root, &zone);
        let mut budget = reading.budget();
        Ok(at.falls(at.read(&mut reading, &mut budget)?))
    }

    /// The address that an event leads to at a destination.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn address(&self, reach: &Reach, event: &Event) -> Result<Addressed, String> {
        self.address_of(reach, &self.mapped(&reach.map, event)?.to.value)
    }

    /// The address of a value of a map at a destination.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn address_of(&self, reach: &Reach, to: &str) -> Result<Addressed, String> {
        let found = match (self.people.get(to), reach.field) {
            (None, _) => Addressed { address: to.to_owned(), person: None },
            (Some(person), Some(field)) => match person.addresses.get(field) {
                Some(address) => Addressed { address: address.value.clone(), person: Some(to.to_owned()) },
                None => return Err(format!("`{to}` has no `{field}` in `people:`")),
            },
            (Some(_), None) => return Err(format!("`{to}` is a person, and this needs an address in the map itself")),
        };
        if !(reach.is)(&found.address) {
            return Err(format!("`{}` is not an address for it", found.address));
        }
        if !reach.allows(&found.address) {
            return Err(format!("`{}` is outside of what `allow` in `fanfare.yaml` lets through", found.address));
        }
        Ok(found)
    }
}
