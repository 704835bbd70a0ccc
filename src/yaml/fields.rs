//! A mapping taken apart key by key, so that every unknown, missing or misshapen one is reported at once.

use super::{Key, Node, NodeKind, QUOTE_COMMENT};
use crate::problem::{Location, Problem, Problems, nearest};

/// A mapping under reading: keys are taken one by one, and [`Fields::finish`] reports those that nobody took.
///
/// Every getter reports a misshapen value and gives `None`, so that the reader goes on.
#[derive(Debug)]
pub struct Fields<'n> {
    /// What the mapping is, in words: `a rule`, `destination `oncall``.
    pub what: String,
    /// The mapping's own place.
    pub place: Location,
    entries: Vec<(&'n Key, &'n Node)>,
    known: Vec<&'static str>,
    /// What people write who know other programs, or who put a key one step too high: the key, and what is said of it.
    key_hints: &'static [(&'static str, KeyHint)],
}

/// What a key that is none was meant to be.
#[derive(Debug, Clone, Copy)]
pub enum KeyHint {
    /// This key.
    Key(&'static str),
    /// Something else, in words.
    Words(&'static str),
}

impl<'n> Fields<'n> {
    /// Opens a mapping. A node of another kind is a problem and gives `None`.
    pub fn of(node: &'n Node, what: impl Into<String>, problems: &mut Problems) -> Option<Self> {
        let what = what.into();
        match &node.kind {
            NodeKind::Map(entries) => Some(Self {
                what,
                place: node.place.clone(),
                entries: entries.iter().map(|(key, node)| (key, node)).collect(),
                known: Vec::new(),
                key_hints: &[],
            }),
            _ => {
                problems.push(node.expected(&format!("{what}, a mapping")));
                None
            }
        }
    }

    /// The same, with what is said of keys that are none.
    #[must_use]
    pub fn with_key_hints(self, key_hints: &'static [(&'static str, KeyHint)]) -> Self {
        Self { key_hints, ..self }
    }

    /// Whether one of the keys was surely meant to be this one, and will be told as that.
    pub fn is_misspelt(&self, key: &str) -> bool {
        self.entries.iter().any(|(found, _)| match self.key_hint(&found.text) {
            Some(KeyHint::Key(meant)) => meant == key,
            Some(KeyHint::Words(_)) => false,
            None => nearest(&found.text, [key]).is_some(),
        })
    }

    fn key_hint(&self, key: &str) -> Option<KeyHint> {
        self.key_hints.iter().find(|(written, _)| *written == key).map(|(_, meant)| *meant)
    }

    /// Takes the value of `key`, whatever it is; null counts as present.
    pub fn take(&mut self, key: &'static str) -> Option<(&'n Key, &'n Node)> {
        self.known.push(key);
        let at = self.entries.iter().position(|(found, _)| found.text == key)?;
        Some(self.entries.remove(at))
    }

    /// Takes the node of `key`; null is a problem.
    pub fn node(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'n Node> {
        let (found, node) = self.take(key)?;
        if node.kind == NodeKind::Null {
            let problem = Problem::error("empty", format!("`{key}` has no value"));
            problems.push(match node.cut_by_comment() {
                Some(comment) => problem.at(&comment).hint(QUOTE_COMMENT),
                None => problem.at(&found.place).hint("give it one, or remove the key"),
            });
            return None;
        }
        Some(node)
    }

    /// Takes a text. A number or truth value is taken as it was written.
    pub fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<(String, &'n Node)> {
        let node = self.node(key, problems)?;
        match node.scalar() {
            Some(text) => Some((text.to_owned(), node)),
            None => {
                problems.push(node.expected(&format!("text for `{key}`")));
                None
            }
        }
    }

    /// Takes a node that must be there.
    pub fn required_node(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'n Node> {
        if !self.has(key) {
            self.missing(key, problems);
        }
        self.node(key, problems)
    }

    /// Takes a text that must be there.
    pub fn required(&mut self, key: &'static str, problems: &mut Problems) -> Option<(String, &'n Node)> {
        if !self.has(key) {
            self.missing(key, problems);
        }
        self.text(key, problems)
    }

    /// Takes a truth value.
    pub fn truth(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let node = self.node(key, problems)?;
        match node.kind {
            NodeKind::Bool(truth) => Some(truth),
            _ => {
                problems.push(node.expected(&format!("`true` or `false` for `{key}`")));
                None
            }
        }
    }

    /// Takes a whole number of at least `least`.
    pub fn whole(&mut self, key: &'static str, least: u64, problems: &mut Problems) -> Option<u64> {
        let node = self.node(key, problems)?;
        match node.scalar().and_then(|text| text.parse().ok()).filter(|number| *number >= least) {
            Some(number) => Some(number),
            None => {
                problems.push(node.expected(&format!("a whole number of at least {least} for `{key}`")));
                None
            }
        }
    }

    /// Takes a list of texts, or one text as a list of one.
    pub fn texts(&mut self, key: &'static str, problems: &mut Problems) -> Vec<(String, &'n Node)> {
        let Some(node) = self.node(key, problems) else { return Vec::new() };
        let mut texts = Vec::new();
        for item in node.one_or_more() {
            match item.scalar() {
                Some(text) => texts.push((text.to_owned(), item)),
                None => problems.push(item.expected(&format!("text in `{key}`"))),
            }
        }
        texts
    }

    /// Takes a time span, see [`span_of_time`].
    pub fn span(&mut self, key: &'static str, problems: &mut Problems) -> Option<jiff::SignedDuration> {
        let (text, node) = self.text(key, problems)?;
        let span = span_of_time(&text);
        if span.is_none() {
            problems.push(
                Problem::error("wrong-span", format!("`{text}` is not a time span"))
                    .at(&node.place)
                    .hint(span_hint(&text)),
            );
        }
        span
    }

    /// The value of `key`, if it is there and nobody took it yet, and leaves it.
    pub fn peek(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(found, _)| found.text == key).map(|(_, node)| *node)
    }

    /// Whether `key` is there and nobody took it yet.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(found, _)| found.text == key)
    }

    /// Where the value of a key stands that was not taken yet.
    pub fn place_of(&self, key: &str) -> Option<Location> {
        self.entries.iter().find(|(found, _)| found.text == key).map(|(_, node)| node.place.clone())
    }

    /// Reports that `key` must be there, unless another key was surely meant: that one is reported as unknown.
    pub fn missing(&self, key: &str, problems: &mut Problems) {
        if self.is_misspelt(key) {
            return;
        }
        problems
            .push(Problem::error("missing-key", format!("{} has no `{key}`", self.what)).at(&self.place.first_line()));
    }

    /// What nobody took so far, in order: for mappings whose keys are the user's own.
    pub fn rest(&mut self) -> Vec<(&'n Key, &'n Node)> {
        std::mem::take(&mut self.entries)
    }

    /// Reports every key that nobody took.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in &self.entries {
            let problem = Problem::error("unknown-key", format!("{} has no key `{}`", self.what, key.text));
            problems.push(match self.key_hint(&key.text) {
                Some(KeyHint::Key(meant)) => problem.at(&key.place).hint(format!("did you mean `{meant}`?")),
                Some(KeyHint::Words(words)) => problem.at(&key.place).hint(words),
                None => problem.at(&key.place).suggest(&key.text, self.known.iter().copied()),
            });
        }
    }
}

/// The entries of a mapping whose keys are the user's own names.
pub fn named<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Vec<(&'n Key, &'n Node)> {
    let Some(mut fields) = Fields::of(node, what, problems) else { return Vec::new() };
    let mut entries = Vec::new();
    for (key, node) in fields.rest() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key.text.is_empty() || !key.text.chars().all(plain) || key.text.len() > 64 {
            problems.push(
                Problem::error("name", format!("`{}` is not a name", key.text))
                    .at(&key.place)
                    .hint("use letters, digits, `-` and `_`, at most 64"),
            );
            continue;
        }
        entries.push((key, node));
    }
    entries
}

/// How to write what is no time span: `2 hours` is `2h`.
pub fn span_hint(text: &str) -> String {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, word) = text.split_at(digits);
    let word = word.trim().to_lowercase();
    let units = [
        ("ms", "ms milliseconds millisecond"),
        ("s", "s sec secs second seconds"),
        ("m", "m min mins minute minutes"),
        ("h", "h hr hrs hour hours"),
        ("d", "d day days"),
        ("w", "w wk week weeks"),
    ];
    let every = [("hourly", "1h"), ("daily", "1d"), ("weekly", "7d")];
    if let Some((_, span)) = every.iter().find(|(known, _)| *known == word && number.is_empty()) {
        return format!("did you mean `{span}`?");
    }
    let unit = units.iter().find(|(_, words)| words.split(' ').any(|known| known == word));
    match unit {
        _ if number.is_empty() => "write a number and a unit: `30s`, `10m`, `2h`, `7d`".into(),
        _ if word.is_empty() => format!("say of what: `{number}m`, `{number}h`, `{number}d`"),
        Some((unit, _)) if span_of_time(&format!("{number}{unit}")).is_some() => {
            format!("did you mean `{number}{unit}`?")
        }
        Some(_) => "at most ten years, `3650d`".into(),
        None => "write a number and a unit: `30s`, `10m`, `2h`, `7d`".into(),
    }
}

/// A time span: a whole number and a unit, such as `500ms`, `10s`, `5m`, `2h`, `7d`, or several: `1h30m`. 1d is 24 h.
pub fn span_of_time(text: &str) -> Option<jiff::SignedDuration> {
    let mut rest = text.trim();
    let mut total_ms: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = rest.split_at(digits);
        let number: i64 = number.parse().ok()?;
        rest = unit.trim_start_matches(|c: char| c.is_ascii_lowercase());
        let ms: i64 = match unit.strip_suffix(rest)? {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total_ms = total_ms.checked_add(number.checked_mul(ms)?)?;
    }
    (total_ms <= 3_650 * 86_400_000).then(|| jiff::SignedDuration::from_millis(total_ms))
}

/// A span in the largest unit that it is whole in, as [`span_of_time`] reads it.
pub fn span_text(span: jiff::SignedDuration) -> String {
    let seconds = span.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds % length == 0 {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}
