//! A destination's own keys as JSON Schema, for editors: made from the rows of [`ALL`](super::ALL). Pure.

use serde_json::{Value, json};

use crate::channels::ChannelKind;
use crate::yaml::schema::{described, mapping, object, one_or_more, text, truth, words};

/// What a key of a destination takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// A text.
    Text,
    /// A text, or a choice of one.
    Choice,
    /// One text or several.
    List,
    /// A text, a choice of one, or what a map of the rules says.
    Address,
    /// One text or several, or a choice of them, or what a map of the rules says.
    Addresses,
    /// A truth value.
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Header names with a text each.
    Headers,
    /// What signs.
    Sign,
}

impl Takes {
    fn schema(self) -> Value {
        match self {
            Takes::Text => text(),
            Takes::Choice => choice(text()),
            Takes::List => one_or_more(text()),
            Takes::Address => address(text()),
            Takes::Addresses => address(one_or_more(text())),
            Takes::Truth => truth(),
            // A placeholder stands for any of them.
            Takes::Word(known) => json!({"anyOf": [words(known.iter().copied()), {"pattern": r"\$\{"}]}),
            Takes::Headers => mapping(text()),
            Takes::Sign => object(
                [("secret", described(one_or_more(text()), "One secret (`whsec_…`), or several during a rotation."))],
                &["secret"],
            ),
        }
    }
}

/// A value, a choice, or what a map of the rules says.
fn address(value: Value) -> Value {
    let keys = [
        ("map", described(text(), "A map of `maps:` in the rules.")),
        ("allow", described(one_or_more(text()), "Globs: which addresses the map may give, as a whole.")),
    ];
    json!({"anyOf": [value.clone(), choice_of(value), object(keys, &["map", "allow"])]})
}

/// A value, or a choice of one by what an event says.
fn choice(value: Value) -> Value {
    json!({"anyOf": [value.clone(), choice_of(value)]})
}

fn choice_of(value: Value) -> Value {
    let keys = [
        ("by", described(text(), "A path, or a name of `names:`.")),
        ("map", described(mapping(value.clone()), "The address for each value.")),
        ("else", described(value, "The address for all other values.")),
    ];
    object(keys, &["by", "map", "else"])
}

/// The keys of a kind, each with what it takes, and those that must be there.
pub fn keys(kind: &ChannelKind) -> (Vec<(&'static str, Value)>, Vec<&'static str>) {
    let takes = kind.keys.iter().map(|key| {
        let doc = format!("{}.", key.doc.trim_end_matches('.'));
        (key.name, described(key.takes.schema(), &doc))
    });
    let required = kind.keys.iter().filter(|key| key.required).map(|key| key.name);
    (takes.collect(), required.collect())
}

/// The kinds as words of `type`, each with what it is.
pub fn kinds(kinds: &[ChannelKind]) -> Value {
    let each = kinds.iter().map(|kind| described(json!({"const": kind.name}), &format!("{}.", kind.summary)));
    json!({"anyOf": each.collect::<Vec<_>>()})
}
