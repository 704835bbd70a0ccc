//! An address that depends on the event: `{by: $.data.label, map: {Warp: "#warp"}, else: "#releases"}`.
//!
//! Any address of any channel may be one. `by` is a path from the event's root or one of the rules' names, `map` goes
//! from the texts it may select to addresses, and `else` must be there, so that no event is without an address. Pure.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use crate::channels::Sending;
use crate::path::{Path, STEPS};
use crate::problem::{Location, Problem, Problems};
use crate::yaml::{Fields, Node, NodeKind};

/// One value for all events, or one chosen by the event.
#[derive(Debug)]
pub enum Choice<T> {
    /// Always this.
    One(T),
    /// What `map` has for the value, else `otherwise`.
    By {
        /// Where the value is.
        by: By,
        /// By the value's text in NFC, in the file's order.
        map: Vec<(String, T)>,
        /// For every other value, and none.
        otherwise: T,
    },
}

/// Where a choice's value is.
#[derive(Debug)]
pub enum By {
    /// A path from the event's root.
    Path(Path),
    /// A name, and where it stands.
    Name(String, Location),
}

impl<T> Choice<T> {
    /// Reads a choice, or what `read` makes of the node when it is no mapping with `by`.
    pub fn parse(
        node: &Node,
        problems: &mut Problems,
        read: &mut dyn FnMut(&Node, &mut Problems) -> Option<T>,
    ) -> Option<Self> {
        let has = |wanted: &str| matches!(&node.kind, NodeKind::Map(entries) if entries.iter().any(|(key, _)| key.text == wanted));
        if has("allow") && has("map") && !has("by") {
            let problem = Problem::error("wrong-choice", "this can't be left to a map of the rules");
            problems
                .push(problem.at(&node.place).hint("it is a URL or a key: write a choice, `{by: …, map: …, else: …}`"));
            return None;
        }
        if !has("by") {
            return read(node, problems).map(Self::One);
        }
        let mut fields = Fields::of(node, "a choice", problems)?;
        let by = fields.required("by", problems).and_then(|(text, node)| By::parse(&text, node, problems));
        let map = fields.required_node("map", problems).and_then(|node| read_map(node, problems, read));
        if !fields.has("else") {
            problems.push(
                Problem::error("missing-key", "a choice has no `else`")
                    .at(&fields.place)
                    .hint("name the address for all values that `map` does not name"),
            );
        }
        let otherwise = fields.node("else", problems).and_then(|node| read(node, problems));
        fields.finish(problems);
        Some(Self::By { by: by?, map: map?, otherwise: otherwise? })
    }

    /// The one for this event. Of several values that a path selects, the first that `map` names decides.
    /// `Err` when the path took too many steps: a guess would send it to the wrong people.
    pub fn pick(&self, sending: &Sending<'_>) -> Result<&T, String> {
        let (by, map, otherwise) = match self {
            Self::One(value) => return Ok(value),
            Self::By { by, map, otherwise } => (by, map, otherwise),
        };
        let found = by.texts(sending.root, sending.context)?;
        Ok(found.iter().find_map(|text| named(map, text)).unwrap_or(otherwise))
    }

    /// What it gives for an event and why, for people: `#warp, as $.data.label is Warp`. `root` is `$` of the event,
    /// `names` what the rules' names select in it; `shown` shows a value, and is `None` for a secret. `None` where there is
    /// nothing to choose.
    pub fn chosen(
        &self,
        root: &Value,
        names: &Map<String, Value>,
        shown: impl Fn(&T) -> Option<String>,
    ) -> Option<String> {
        let Self::By { by, map, otherwise } = self else { return None };
        let found = match by.texts(root, names) {
            Ok(found) => found,
            Err(problem) => return Some(problem),
        };
        let named = found.iter().find_map(|text| Some((text, named(map, text)?)));
        let value = shown(named.map_or(otherwise, |(_, value)| value));
        let why = match named {
            Some((text, _)) => format!("as {} is {text}", by.text()),
            None if found.is_empty() => format!("as {} selects nothing", by.text()),
            None => format!("as its map has no {}", found.join(", ")),
        };
        let value = value.unwrap_or_else(|| match named {
            Some((text, _)) => format!("the address of `{text}`"),
            None => "the address of `else`".to_owned(),
        });
        Some(format!("{value}, {why}"))
    }

    /// Every value it may give.
    pub fn all(&self) -> Vec<&T> {
        match self {
            Self::One(value) => vec![value],
            Self::By { map, otherwise, .. } => {
                map.iter().map(|(_, value)| value).chain(std::iter::once(otherwise)).collect()
            }
        }
    }

    /// Whether the event decides.
    pub fn is_by_event(&self) -> bool {
        matches!(self, Self::By { .. })
    }

    /// The name that it reads, if it reads one, and where that stands.
    pub fn name(&self) -> Option<(String, Location)> {
        match self {
            Self::By { by: By::Name(name, place), .. } => Some((name.clone(), place.clone())),
            _ => None,
        }
    }
}

fn named<'m, T>(map: &'m [(String, T)], text: &str) -> Option<&'m T> {
    map.iter().find(|(key, _)| key == text).map(|(_, value)| value)
}

fn read_map<T>(
    node: &Node,
    problems: &mut Problems,
    read: &mut dyn FnMut(&Node, &mut Problems) -> Option<T>,
) -> Option<Vec<(String, T)>> {
    let mut fields = Fields::of(node, "a choice's `map`", problems)?;
    let mut map = Vec::new();
    let mut all_good = true;
    for (key, node) in fields.rest() {
        match read(node, problems) {
            Some(value) => map.push((key.text.nfc().collect(), value)),
            None => all_good = false,
        }
    }
    all_good.then_some(map)
}

impl By {
    fn parse(text: &str, node: &Node, problems: &mut Problems) -> Option<Self> {
        if !text.starts_with('$') {
            if text.is_empty() || text.contains(|c: char| !(c.is_alphanumeric() || c == '_')) {
                problems.push(
                    Problem::error("wrong-choice", format!("`{text}` is neither a path nor a name"))
                        .at(&node.place)
                        .hint("a path begins with `$`, such as `$.data.label`; a name is one of the rules' `names:`"),
                );
                return None;
            }
            return Some(Self::Name(text.to_owned(), node.place.clone()));
        }
        match Path::parse(text) {
            Ok(path) => Some(Self::Path(path)),
            Err(error) => {
                let mut problem = Problem::error("wrong-path", error.message)
                    .at(&node.place.part(error.offset + usize::from(!node.plain), 1));
                problem.hint = error.hint;
                problems.push(problem);
                None
            }
        }
    }

    /// As it stands in the file.
    fn text(&self) -> &str {
        match self {
            Self::Name(name, _) => name,
            Self::Path(path) => path.text(),
        }
    }

    /// The texts there, in NFC: of texts, numbers (as written) and truth values.
    fn texts(&self, root: &Value, names: &Map<String, Value>) -> Result<Vec<String>, String> {
        let values = match self {
            Self::Name(name, _) => names.get(name).into_iter().collect(),
            Self::Path(path) => path
                .select(root, &mut STEPS.clone())
                .map_err(|_| format!("choosing the address by `{}` took too many steps", path.text()))?,
        };
        Ok(values.into_iter().filter_map(text_of).collect())
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.nfc().collect()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
