//! What stands in for a destination or a source where its secrets are wanting, as they are to authors and CI.
//!
//! A placeholder may be no address and no key, and the channel can't be made of it; but rules name the destination, tests
//! send to it, and its other keys mean something. So a value that holds a `${…}` is taken from the channel's own example.
//! Where the environment is at hand, what is wrong with a real value is a problem, and then nothing is ever sent. Pure.

use crate::channels::{Channel, ChannelKind};
use crate::problem::{File, Problems};
use crate::source::Source;
use crate::yaml;
use crate::yaml::{Fields, Node, NodeKind};

/// A secret that every scheme can use.
const SECRETS: &str = "secrets: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

/// The channel of a destination with this mapping. `None` where nothing in it is a secret.
pub(super) fn channel(kind: &ChannelKind, node: &Node) -> Option<Box<dyn Channel>> {
    let node = filled(node, &example(kind.example)?)?;
    let mut unheard = Problems::new();
    kind.read(&mut Fields::of(&node, "a destination", &mut unheard)?, &mut unheard)
}

/// The source with this mapping. `None` where nothing in it is a secret.
pub(super) fn source(name: &str, node: &Node) -> Option<Source> {
    let node = filled(node, &example(SECRETS)?)?;
    let mut unheard = Problems::new();
    Source::parse(name, &mut Fields::of(&node, "a source", &mut unheard)?, &mut unheard)
}

fn example(text: &str) -> Option<Node> {
    yaml::read(&File::new("example", text), &mut Problems::new())
}

/// The mapping with the example's values in the place of those that hold a `${…}`; `None` if none does.
fn filled(node: &Node, example: &Node) -> Option<Node> {
    let (NodeKind::Map(entries), NodeKind::Map(examples)) = (&node.kind, &example.kind) else { return None };
    if !holds_secret(node) {
        return None;
    }
    let entries = entries.iter().map(|(key, value)| {
        let example = examples.iter().find(|(known, _)| known.text == key.text).map(|(_, example)| example);
        let value = match example {
            Some(example) if holds_secret(value) => filled(value, example).unwrap_or_else(|| example.clone()),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    Some(Node { kind: NodeKind::Map(entries.collect()), ..node.clone() })
}

/// Whether it is written with a `${…}`: its place still shows what it was before.
fn holds_secret(node: &Node) -> bool {
    node.place.text().contains("${")
}
