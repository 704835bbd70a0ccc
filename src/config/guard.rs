//! What of `fanfare.yaml` may be shown: secrets may stand in it, wherever something is broken.
//!
//! Nothing is shown that isn't known to hold none. Of a file that could be read that is each value whose key is in
//! `ROOT` as one to show; of one that could not, the first word of a line where it is one of those keys. All else is dots
//! in the lines of a problem, and what a problem's words quote of it is dots there. Pure.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use crate::channels::{self, Takes};
use crate::config::settings::DESTINATION_KEYS;
use crate::config::substitute::shell_variable;
use crate::problem::{DOTS, File, Problem};
use crate::yaml::{Key, Node, NodeKind};

/// What may be shown of a value.
#[derive(Debug, Clone, Copy)]
enum Show {
    /// All of it, unless it looks like a URL with a password.
    All,
    /// Nothing.
    Nothing,
    /// Nothing but a path of a file or `memory:`.
    Store,
    /// What these keys have.
    Keys(&'static [(&'static str, Show)]),
    /// The user's names, and what stands below each.
    Named(&'static [(&'static str, Show)]),
}

use Show::{All, Keys, Named, Nothing};

/// The keys of fanfare.yaml.
static ROOT: LazyLock<Vec<(&'static str, Show)>> = LazyLock::new(|| {
    vec![
        ("listen", All),
        ("tls", Keys(&[("cert", All), ("key", All)])),
        (
            "admin",
            Keys(&[
                ("listen", All),
                ("token", Nothing),
                ("tokens", Named(&[("token", Nothing), ("may", All)])),
                ("proxy", Keys(&[("from", All), ("user", All), ("may", All)])),
                ("url", All),
            ]),
        ),
        ("store", Show::Store),
        ("rules", All),
        ("templates", All),
        ("timezone", All),
        ("locale", All),
        ("retention", All),
        ("egress", Keys(&[("deny", All), ("allow", All)])),
        ("heartbeat", Keys(&[("url", Nothing), ("every", All)])),
        ("sources", Named(SOURCE)),
        ("destinations", Named(&DESTINATION)),
    ]
});

/// Those of a destination, and of its channel, whichever it is. What may be a secret in one channel is hidden in all.
static DESTINATION: LazyLock<Vec<(&'static str, Show)>> = LazyLock::new(|| {
    let keys = channels::ALL.iter().flat_map(|kind| kind.keys);
    let hidden: BTreeSet<&str> = keys.clone().filter(|key| key.secret).map(|key| key.name).collect();
    let of_channels = keys.map(|key| match key.takes {
        Takes::Sign => (key.name, Keys(&[("secret", Nothing)])),
        _ if hidden.contains(key.name) => (key.name, Nothing),
        _ => (key.name, All),
    });
    DESTINATION_KEYS.iter().map(|(name, _)| (*name, All)).chain(of_channels).collect()
});

const SOURCE: &[(&str, Show)] = &[
    ("preset", All),
    ("path", All),
    ("secrets", Nothing),
    ("tolerance", All),
    ("accept", All),
    ("max_body", All),
    ("unsigned", All),
    ("api_key", Nothing),
    ("api_url", All),
    ("webhook", All),
    ("backfill", All),
    ("header", All),
    ("algorithm", All),
    ("encoding", All),
    ("prefix", All),
    ("signed", All),
    ("id", All),
    ("type", All),
    ("time", All),
];

/// Whether something was decided for this key of a destination or a source.
pub fn is_decided(key: &str) -> bool {
    SOURCE.iter().chain(&*DESTINATION).any(|(known, _)| *known == key)
}

/// A longer value is no name, address or span.
const VALUE_MAX: usize = 200;
/// A longer key that isn't known is none that somebody misspelt.
const KEY_MAX: usize = 24;

/// Words of addresses that are no secret by themselves.
const COMMON: [&str; 22] = [
    "http",
    "https",
    "smtp",
    "smtps",
    "postgres",
    "postgresql",
    "hooks",
    "services",
    "webhooks",
    "events",
    "enqueue",
    "label",
    "example",
    "localhost",
    "Bearer",
    "Basic",
    "whsec_",
    "xoxb-",
    "none",
    "env",
    "file",
    "NAME",
];
/// How many letters of a hidden word in a row give it away.
const WINDOW: usize = 5;

/// Allows what may be shown of the file. `tree`: what it was read as; none where it could not be.
pub(super) fn show(file: &File, tree: Option<&Node>) {
    let mut shown = match tree {
        Some(tree) => {
            let mut seen = Seen::default();
            seen.node(tree, Keys(&ROOT));
            seen.with_signs(&file.text)
        }
        None => first_words(&file.text),
    };
    shown.sort_by_key(|part| part.start);
    file.show(shown);
}

/// The problem, with dots for what it quotes of what must not be shown.
pub(super) fn clean(problem: Problem, hidden: &Hidden) -> Problem {
    let also = problem.also.map(|(place, label)| (place, hidden.cut(&label)));
    Problem {
        message: hidden.cut(&problem.message),
        hint: problem.hint.as_deref().map(|hint| hidden.cut(hint)),
        also,
        ..problem
    }
}

/// What was found in a file that was read.
#[derive(Default)]
struct Seen {
    shown: Vec<Range<usize>>,
    /// Keys and values of either kind.
    known: Vec<Range<usize>>,
}

impl Seen {
    fn node(&mut self, node: &Node, show: Show) {
        match (&node.kind, show) {
            (NodeKind::Map(entries), Keys(known)) => {
                entries.iter().for_each(|(key, value)| self.entry(key, value, known))
            }
            (NodeKind::Map(entries), Named(known)) => {
                for (key, value) in entries {
                    // A name has a mapping; what has none may be anything.
                    let is_name = matches!(value.kind, NodeKind::Map(_)) && is_plain(&key.text);
                    self.put(key.place.span.clone(), is_name);
                    self.node(value, if is_name { Keys(known) } else { Nothing });
                }
            }
            (NodeKind::Map(entries), All | Nothing | Show::Store) => {
                for (key, value) in entries {
                    let is_shown = matches!(show, All) || matches!(key.text.as_str(), "by" | "map" | "else");
                    self.put(key.place.span.clone(), is_shown);
                    self.node(value, show);
                }
            }
            (NodeKind::List(items), Keys(_) | Named(_)) => items.iter().for_each(|item| self.node(item, Nothing)),
            (NodeKind::List(items), _) => items.iter().for_each(|item| self.node(item, show)),
            _ => self.scalar(node, show),
        }
    }

    fn entry(&mut self, key: &Key, value: &Node, known: &'static [(&'static str, Show)]) {
        let show = known.iter().find(|(name, _)| *name == key.text).map(|(_, show)| *show);
        let is_word = |text: &str| text.len() <= KEY_MAX && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        self.put(key.place.span.clone(), show.is_some() || is_word(&key.text));
        self.node(value, show.unwrap_or(Nothing));
    }

    fn scalar(&mut self, node: &Node, show: Show) {
        let (span, text) = (node.place.span.clone(), node.place.text());
        let value = node.scalar().unwrap_or_default();
        let is_short = text.len() <= VALUE_MAX && !text.contains('\n');
        let is_shown = match show {
            All => is_short && !(value.contains("://") && value.contains(['@', '?'])),
            Show::Store => is_short && (value.starts_with("sqlite:") || value.starts_with("memory:")),
            _ => false,
        };
        if is_shown {
            return self.put(span, true);
        }
        // The quotation marks, and references to what stands elsewhere.
        let quoted = text.len() > 1 && text.starts_with(['"', '\'']) && text.ends_with(['"', '\'']);
        let inner = if quoted { span.start + 1..span.end - 1 } else { span.clone() };
        self.put(span.start..inner.start, true);
        let mut at = inner.start;
        for part in references(node.place.file.text.get(inner.clone()).unwrap_or_default()) {
            self.put(at..inner.start + part.start, false);
            at = inner.start + part.end;
            self.put(inner.start + part.start..at, true);
        }
        self.put(at..inner.end, false);
        self.put(inner.end..span.end, true);
    }

    fn put(&mut self, part: Range<usize>, is_shown: bool) {
        if part.is_empty() {
            return;
        }
        if is_shown {
            self.shown.push(part.clone());
        }
        self.known.push(part);
    }

    /// What is shown, with the blanks and signs between keys and values, but no comment, and nothing that was left out.
    fn with_signs(mut self, text: &str) -> Vec<Range<usize>> {
        self.known.sort_by_key(|part| part.start);
        let mut at = 0;
        let end = text.len();
        for part in self.known.iter().chain([&(end..end)]) {
            let gap = text.get(at..part.start.max(at)).unwrap_or_default();
            for line in gap.split_inclusive('\n') {
                let is_sign = |c: char| c.is_ascii_whitespace() || "{}[],:-?".contains(c);
                let (before, after) =
                    (line.len() - line.trim_start_matches(is_sign).len(), line.trim_end_matches(is_sign));
                self.shown.push(at..at + before);
                self.shown.push(at + after.len().max(before)..at + line.len());
                at += line.len();
            }
            at = at.max(part.end);
        }
        self.shown
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Where `${env:NAME}`, `$NAME` alone and `${file:PATH}` stand in a text; one with a default of its own is none.
fn references(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // The name of one, where the form is another program's.
    found.extend(shell_variable(text).map(|_| 0..text.len()));
    for (at, _) in text.match_indices("${") {
        let inner = text.get(at + 2..).and_then(|rest| rest.split_once('}')).map(|(inner, _)| inner);
        let name = inner.and_then(|inner| inner.strip_prefix("env:").or_else(|| inner.strip_prefix("file:")));
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        if let (Some(inner), Some(name)) = (inner, name)
            && !name.is_empty()
            && name.chars().all(fits)
        {
            found.push(at..at + inner.len() + 3);
        }
    }
    found
}

/// Of each line the blanks and the `- ` that it begins with, and the word behind them if it is a known key.
fn first_words(text: &str) -> Vec<Range<usize>> {
    let keys = known_keys();
    let mut shown = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches([' ', '\t', '-', '\u{feff}']);
        let indent = line.len() - bare.len();
        let key = bare.split(':').next().filter(|key| bare.len() > key.len() && keys.contains(key));
        let end = start + indent + key.map_or(0, |key| key.len() + 1);
        shown.push(start..end);
        start += line.len();
    }
    shown
}

fn known_keys() -> BTreeSet<&'static str> {
    fn of(show: Show, keys: &mut BTreeSet<&'static str>) {
        if let Keys(known) | Named(known) = show {
            for (key, below) in known {
                keys.insert(key);
                of(*below, keys);
            }
        }
    }
    let mut keys = BTreeSet::new();
    of(Keys(&ROOT), &mut keys);
    keys
}

/// The words of a file that must not be shown, and those that stand in it as well and may.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    words: BTreeSet<String>,
    shown: BTreeSet<String>,
}

impl Hidden {
    /// Of a file for which [`show`] has allowed what may be shown.
    pub fn of(file: &File) -> Self {
        let mut hidden = Self::default();
        let mut in_comment = false;
        for (piece, is_shown) in file.pieces(0..file.text.len()) {
            let text = file.text.get(piece).unwrap_or_default();
            for line in text.split_inclusive('\n') {
                in_comment |= !is_shown && line.starts_with('#');
                // What a comment says in plain words would be missed elsewhere.
                let counts = |word: &&str| !in_comment || word.contains(|c: char| !c.is_ascii_lowercase());
                let found = if is_shown { &mut hidden.shown } else { &mut hidden.words };
                found.extend(words(line).filter(counts).map(str::to_lowercase));
                in_comment &= !line.ends_with('\n');
            }
        }
        let channels = channels::ALL.iter().map(|kind| kind.name);
        hidden.shown.extend(known_keys().into_iter().chain(COMMON).chain(channels).map(str::to_lowercase));
        hidden.words = &hidden.words - &hidden.shown;
        hidden
    }

    /// The text, with dots for each part in backticks or double quotes that gives something away, and for each word
    /// elsewhere that does.
    fn cut(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, quote, inner, after)) = quotation(rest) {
            out.push_str(&self.cut_words(before));
            out.extend([quote, if self.gives_away(inner) { DOTS } else { inner }, quote]);
            rest = after;
        }
        out.push_str(&self.cut_words(rest));
        out
    }

    fn cut_words(&self, text: &str) -> String {
        let is_english = |word: &str| word.chars().all(|c| c.is_ascii_lowercase());
        let cut = |word: &str| {
            let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
            match !is_english(bare) && self.gives_away(bare) {
                true => DOTS.to_owned(),
                false => word.to_owned(),
            }
        };
        text.split(' ').map(cut).collect::<Vec<_>>().join(" ")
    }

    fn gives_away(&self, text: &str) -> bool {
        words(text).map(str::to_lowercase).filter(|word| !self.shown.contains(word)).any(|word| {
            self.words.iter().any(|hidden| {
                let window = |at: usize| word.get(at..at + WINDOW).is_some_and(|part| hidden.contains(part));
                (word.len() >= WINDOW - 1 && hidden.contains(&word))
                    || (hidden.len() >= WINDOW - 1 && word.contains(hidden))
                    || (0..word.len().saturating_sub(WINDOW - 1)).any(window)
            })
        })
    }
}

/// What stands before the first part in backticks or double quotes, its sign, what is in it, and what follows.
fn quotation(text: &str) -> Option<(&str, &str, &str, &str)> {
    let at = text.find(['`', '"'])?;
    let quote = text.get(at..=at)?;
    let (inner, after) = text.get(at + 1..)?.split_once(quote)?;
    Some((text.get(..at)?, quote, inner, after))
}

/// Runs of letters, digits, `-` and `_`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').filter(|word| !word.is_empty())
}
