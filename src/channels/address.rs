//! An address that rules files keep: `{map: managers, allow: ["*@label.example"]}`, or a choice, or one for all.
//!
//! Only what can't lead away from the service may be left to a map: a mail address, a channel, a chat, a phone; never a
//! URL, a host or a key. The planner asks the map, `allow` bounds what it may say, and here the text becomes an address.
//! Pure.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::channels::{Choice, Sending};
use crate::problem::{Location, Problem, Problems};
use crate::yaml::{Fields, Node, NodeKind};

/// Under which key a person's mail address stands.
pub const MAIL: &str = "email";
/// Under which key a person's phone number stands.
pub const PHONE: &str = "phone";

/// An address of a destination.
#[derive(Debug)]
pub enum Address<T> {
    /// One for all events, or one chosen by the event.
    Chosen(Choice<T>),
    /// What a map of the rules says.
    Mapped {
        /// As it stands in the file.
        by: MappedBy,
        /// Reads one.
        read: fn(&str) -> Option<T>,
    },
}

/// An address that is left to a map.
#[derive(Debug, Clone)]
pub struct MappedBy {
    /// The map's name, and where it stands.
    pub map: (String, Location),
    /// Globs, one of which must accept the whole address.
    pub allow: Vec<(String, Location)>,
    /// Under which key it stands at a person; `None`: only in the map itself.
    pub field: Option<&'static str>,
    /// Whether a text is one bare address.
    pub is: fn(&str) -> bool,
}

/// What may be left to a map.
#[derive(Debug)]
pub struct Mappable<T> {
    /// Under which key it stands at a person; `None`: only in the map itself.
    pub field: Option<&'static str>,
    /// Whether a text is one bare address.
    pub is: fn(&str) -> bool,
    /// Reads one.
    pub read: fn(&str) -> Option<T>,
}

impl<T: Clone> Address<T> {
    /// Reads what a map decides, a choice, or what `read` makes of the node.
    pub fn parse(
        node: &Node,
        mappable: &Mappable<T>,
        problems: &mut Problems,
        read: &mut dyn FnMut(&Node, &mut Problems) -> Option<T>,
    ) -> Option<Self> {
        let has = |wanted: &str| match &node.kind {
            NodeKind::Map(entries) => entries.iter().any(|(key, _)| key.text == wanted),
            _ => false,
        };
        if !has("map") || has("by") {
            return Choice::parse(node, problems, read).map(Self::Chosen);
        }
        let mut fields = Fields::of(node, "an address by a map", problems)?;
        let map = fields.required("map", problems);
        if !fields.has("allow") && !fields.is_misspelt("allow") {
            let problem = Problem::error("missing-key", "an address by a map has no `allow`").at(&fields.place);
            problems.push(problem.hint("say which addresses rules files may lead to: `allow: [\"*@label.example\"]`"));
        }
        let allow = fields.texts("allow", problems);
        fields.finish(problems);
        let (map, at) = map?;
        let allow: Vec<_> = allow.into_iter().map(|(glob, node)| (glob, node.place.clone())).collect();
        let by = MappedBy { map: (map, at.place.clone()), allow, field: mappable.field, is: mappable.is };
        Some(Self::Mapped { by, read: mappable.read })
    }

    /// The one for this event.
    ///
    /// # Errors
    /// No map gave one, or choosing took too many steps.
    pub fn pick(&self, sending: &Sending<'_>) -> Result<Cow<'_, T>, String> {
        match self {
            Self::Chosen(choice) => choice.pick(sending).map(Cow::Borrowed),
            Self::Mapped { by, read } => {
                let to = sending.to.filter(|to| (by.is)(to));
                let found = to.and_then(read).map(Cow::Owned);
                found.ok_or_else(|| format!("no address was chosen by the map `{}`", by.map.0))
            }
        }
    }
}

impl<T> Address<T> {
    /// As [`Choice::chosen`]; what a map says is not known here.
    pub fn chosen(
        &self,
        root: &Value,
        names: &Map<String, Value>,
        shown: impl Fn(&T) -> Option<String>,
    ) -> Option<String> {
        match self {
            Self::Chosen(choice) => choice.chosen(root, names, shown),
            Self::Mapped { .. } => None,
        }
    }

    /// Every value that the configuration itself may give.
    pub fn all(&self) -> Vec<&T> {
        match self {
            Self::Chosen(choice) => choice.all(),
            Self::Mapped { .. } => Vec::new(),
        }
    }

    /// Whether the channel chooses by the event.
    pub fn is_by_event(&self) -> bool {
        matches!(self, Self::Chosen(choice) if choice.is_by_event())
    }

    /// The name that it reads, if it reads one, and where that stands.
    pub fn name(&self) -> Option<(String, Location)> {
        match self {
            Self::Chosen(choice) => choice.name(),
            Self::Mapped { .. } => None,
        }
    }

    /// What it leaves to a map.
    pub fn mapped(&self) -> Option<MappedBy> {
        match self {
            Self::Chosen(_) => None,
            Self::Mapped { by, .. } => Some(by.clone()),
        }
    }
}

/// One or a list of them, at least one. What is wrong with each is reported; `what` names one.
pub fn several<T>(
    node: &Node,
    what: &str,
    problems: &mut Problems,
    one: fn(&Node, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let nodes = node.one_or_more();
    if nodes.is_empty() {
        problems.push(node.expected(what));
        return None;
    }
    let found: Vec<Option<T>> = nodes.iter().map(|node| one(node, problems)).collect();
    found.into_iter().collect()
}

/// Whether a text is one bare mail address in ASCII: no name, no list, nothing quoted.
pub fn is_mail(text: &str) -> bool {
    let fits = |part: &str, more: &[u8]| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    text.len() <= 254
        && text.split_once('@').is_some_and(|(local, domain)| {
            fits(local, b".!#$%&'*+/=?^_`{|}~-") && fits(domain, b".-") && !text.starts_with('-')
        })
}

/// Whether a text is a phone number in E.164, without blanks.
pub fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is what somebody's address or id under a key of `people:` looks like; `None`: there is no such key.
pub fn is_of_person(key: &str, text: &str) -> Option<bool> {
    match key {
        MAIL => Some(is_mail(text)),
        PHONE => Some(is_phone(text)),
        _ => super::named(key)?.mentions.map(|mentions| (mentions.is)(text)),
    }
}

/// The keys of people's addresses and ids.
pub fn person_keys() -> impl Iterator<Item = &'static str> {
    let known = super::ALL.iter().filter(|kind| kind.mentions.is_some()).map(|kind| kind.name);
    [MAIL, PHONE].into_iter().chain(known)
}
