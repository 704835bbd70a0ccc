//! What is known of a kind of channel before any destination is configured: the row that each channel gives of itself.
//!
//! Pure. Whatever treats channels apart (docs, schema, templates, previews, the demo, lints, the planner) reads it here, and
//! names no channel.

use jiff::SignedDuration;

use crate::channels::picture::{Dress, Likeness};
use crate::channels::{Channel, Override, Takes};
use crate::message::template::native::Format;
use crate::problem::{Problem, Problems};
use crate::yaml::{Fields, Node, NodeKind};

/// Everything about one kind of destination.
#[derive(Debug, Clone, Copy)]
pub struct ChannelKind {
    /// Its name in `type:`, and its template suffix.
    pub name: &'static str,
    /// One sentence for docs and completions.
    pub summary: &'static str,
    /// A destination of this kind in YAML, all keys shown, without the keys that every destination has. It can send any
    /// event.
    pub example: &'static str,
    /// The keys that `parse` takes, with a description each, for docs and schema.
    pub keys: &'static [KeyDoc],
    /// What it can do with the later messages of a case, where it is configured for all that it can.
    pub can: Can,
    /// Whether it is there to wake people: a message that it can't take goes elsewhere soon.
    pub pages: bool,
    /// Whether its messages carry the links of their cases without being asked: people read them.
    pub shows_links: bool,
    /// Whether its service can tell what people do there to what was raised, by the lane.
    pub reports: bool,
    /// Where its service only queues what it accepts and never says what became of it: where a person looks.
    pub queues: Option<&'static str>,
    /// The default rate, as the least time between two sends to one destination, if the service asks for one.
    pub spacing: Option<SignedDuration>,
    /// How many may go at once before that spacing is kept.
    pub burst: u32,
    /// What its service refuses beyond: docs print it, and its judge in the tests holds it.
    pub limits: &'static [Limit],
    /// The format of a native override's files; none if the channel takes no override.
    pub native: Option<Format>,
    /// How its messages look to people.
    pub likeness: Likeness,
    /// Whom it can mention; none if it knows no mentions.
    pub mentions: Option<Mentions>,
    /// What an action may say otherwise than the destination.
    pub overrides: &'static [Override],
    /// What its URLs and tokens look like, and those of its predecessors: `check` says where one stands that belongs elsewhere.
    pub credentials: &'static [Credential],
    /// The warnings that its `parse` may give: code, what it is, what to do.
    pub warnings: &'static [(&'static str, &'static str, &'static str)],
    /// Reads a destination's own keys. Whatever is wrong goes to the problems; `None` if it can't be used.
    pub parse: fn(&mut Fields<'_>, &mut Problems) -> Option<Box<dyn Channel>>,
}

/// A key of a destination.
#[derive(Debug, Clone, Copy)]
pub struct KeyDoc {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it must be there.
    pub required: bool,
    /// Whether its value may hold a secret, so that no problem quotes it.
    pub secret: bool,
}

impl KeyDoc {
    /// A key that need not be there, and holds no secret.
    pub const fn new(name: &'static str, takes: Takes, doc: &'static str) -> Self {
        Self { name, doc, takes, required: false, secret: false }
    }

    /// The same; it must be there.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// The same; its value may hold a secret.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// What a channel does with what comes after the first message of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Can {
    /// Later messages stand with the first: in its thread, as answers to its mail.
    pub threads: bool,
    /// A close changes the first message.
    pub edits: bool,
    /// A close resolves what the first message raised.
    pub resolves: bool,
}

impl Can {
    /// Each message stands by itself.
    pub const NOTHING: Self = Self { threads: false, edits: false, resolves: false };

    /// Whether a close of a case changes what was sent, so that a `close` sending is planned at all.
    pub fn closes(self) -> bool {
        self.edits || self.resolves
    }

    /// Whether later messages of a case have anything to do with the first.
    pub fn keeps_together(self) -> bool {
        self != Self::NOTHING
    }
}

/// The most that a service takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Of what: `an embed's title`.
    pub of: &'static str,
    /// How many.
    pub max: usize,
    /// Of which.
    pub unit: Unit,
}

/// What a limit counts. Where a service says "characters", UTF-16 units are safe: a text has at least as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// UTF-16 units of a text.
    Characters,
    /// Bytes.
    Bytes,
    /// Items of a list.
    Items,
}

impl Limit {
    /// How many characters.
    pub const fn characters(of: &'static str, max: usize) -> Self {
        Self { of, max, unit: Unit::Characters }
    }

    /// How many bytes.
    pub const fn bytes(of: &'static str, max: usize) -> Self {
        Self { of, max, unit: Unit::Bytes }
    }

    /// How many items.
    pub const fn items(of: &'static str, max: usize) -> Self {
        Self { of, max, unit: Unit::Items }
    }
}

/// Whom a channel can mention.
#[derive(Debug, Clone, Copy)]
pub struct Mentions {
    /// Whether this is an id that the service knows.
    pub is: fn(&str) -> bool,
    /// What is wrong with one that isn't, and what one looks like; it follows the id.
    pub words: &'static str,
}

/// A kind of URL or token.
#[derive(Debug, Clone, Copy)]
pub struct Credential {
    /// Whether a value is one. It may be any text.
    pub is: fn(&str) -> bool,
    /// What it is: `a Slack bot's token`.
    pub what: &'static str,
    /// The key that takes it; `None` for what no key of the kind takes any more.
    pub key: Option<&'static str>,
    /// What to do where it stands elsewhere.
    pub hint: &'static str,
}

impl ChannelKind {
    /// Reads a destination's own keys. A URL or a token that belongs elsewhere is called what it is, and nothing else is
    /// said of the destination: what it lacks is most likely what that was meant for.
    pub fn read(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Box<dyn Channel>> {
        let misplaced: Vec<Problem> = self.keys.iter().filter_map(|key| self.misplaced(key, fields)).collect();
        if misplaced.is_empty() {
            return (self.parse)(fields, problems);
        }
        misplaced.into_iter().for_each(|problem| problems.push(problem));
        (self.parse)(fields, &mut Problems::new());
        None
    }

    fn misplaced(&self, key: &KeyDoc, fields: &Fields<'_>) -> Option<Problem> {
        let node = fields.peek(key.name)?;
        let kinds = std::iter::once(self).chain(super::ALL.iter().filter(|kind| kind.name != self.name));
        let known = || kinds.clone().flat_map(|kind| kind.credentials.iter().map(move |one| (kind, one)));
        scalars(node).into_iter().find_map(|node| {
            let value = node.scalar()?.trim();
            let (kind, found) = known().find(|(_, credential)| (credential.is)(value))?;
            if kind.name == self.name && found.key == Some(key.name) {
                return None;
            }
            // A receiver of one's own may be anything; what is dead is dead everywhere.
            let fits_anything = self.credentials.is_empty() && found.key.is_some();
            let problem = Problem::error("wrong-credential", format!("`{}` is {}", key.name, found.what));
            (!fits_anything).then(|| problem.at(&node.place).hint(found.hint))
        })
    }

    /// Whether a file can go with its messages.
    pub fn takes_files(&self) -> bool {
        self.likeness.dress == Dress::Mail
    }

    /// Whether an id of `mentions:` is one that the service knows; the words say what one looks like.
    pub fn mention(&self, id: &str) -> Result<(), String> {
        match self.mentions {
            Some(mentions) if (mentions.is)(id) => Ok(()),
            Some(mentions) => Err(format!("`{id}` {}", mentions.words)),
            None => Err(format!("`{id}` can't be mentioned: this kind of destination knows no mentions")),
        }
    }
}

/// The scalars of a value, those of a choice too.
fn scalars(node: &Node) -> Vec<&Node> {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().flat_map(|(_, node)| scalars(node)).collect(),
        NodeKind::List(items) => items.iter().flat_map(scalars).collect(),
        _ => vec![node],
    }
}
