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
    /// One text or several, or a choice of them.
    Texts,
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
            Takes::Texts => choice(one_or_more(text())),
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

/// A value, or a choice of one by what an event says.
fn choice(value: Value) -> Value {
    let keys = [
        ("by", described(text(), "A path, or a name of `names:`.")),
        ("map", described(mapping(value.clone()), "The address for each value.")),
        ("else", described(value.clone(), "The address for all other values.")),
    ];
    json!({"anyOf": [value, object(keys, &["by", "map", "else"])]})
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
