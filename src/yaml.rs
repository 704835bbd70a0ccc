//! YAML, read strictly, with the place of everything.
//!
//! The one module that knows the YAML crate. It gives a tree of [`Node`]s, and [`Fields`] to take a mapping apart so
//! that every unknown, missing or misshapen key is reported at once. Only what YAML 1.2's core schema writes in its
//! plainest form is a number, a truth value or null: `no`, `012` and `1_000` stay text. Tags, merge keys, duplicate
//! keys and several documents are errors; aliases are followed within a budget.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::problem::{File, Place, Problem, Problems};

/// The largest file that is read, in bytes.
pub const SIZE_MAX: usize = 1 << 20;
/// The most nodes a file may have, aliases followed.
const NODES_MAX: usize = 200_000;
/// The deepest nesting.
const DEPTH_MAX: usize = 64;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, quotes included.
    pub place: Place,
    /// Whether a plain scalar: neither quoted nor a block.
    pub plain: bool,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in JSON's grammar, with the text it was written as.
    Number(String),
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The text of it; a number's or truth value's own text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    /// The kind in words: `a list`, `text`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a truth value",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar, numbers and truth values as written. `None` for null, lists and mappings.
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) | Kind::Number(text) => Some(text),
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The elements: a list's, or the node itself as the only one (`to: oncall` is `to: [oncall]`). Nothing for null.
    pub fn one_or_more(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The value in JSON, numbers with their text.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect())
            }
        }
    }

    /// A problem of this node: `expected` what, found what.
    pub fn expected(&self, what: &str) -> Problem {
        Problem::error("wrong-kind", format!("expected {what}, found {}", self.kind_name())).at(&self.place)
    }
}

/// Reads the one document of a file. `None` where the syntax is broken (the problem says so) or the file is empty.
pub fn read(file: &Arc<File>, problems: &mut Problems) -> Option<Node> {
    if file.text.len() > SIZE_MAX {
        problems.push(
            Problem::error("too-large", format!("the file is {} bytes long, more than 1 MiB", file.text.len()))
                .at(&Place::new(file, 0..0)),
        );
        return None;
    }
    let mut reader = Reader { file, bytes: Offsets::of(&file.text), anchors: HashMap::new(), nodes: 0, problems };
    reader.document()
}

/// From the parser's character indices to byte offsets.
enum Offsets {
    Ascii,
    Table(Vec<usize>),
}

impl Offsets {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Offsets::Ascii;
        }
        Offsets::Table(text.char_indices().map(|(at, _)| at).chain([text.len()]).collect())
    }

    fn byte(&self, index: usize) -> usize {
        match self {
            Offsets::Ascii => index,
            Offsets::Table(table) => table.get(index).or(table.last()).copied().unwrap_or(0),
        }
    }
}

struct Reader<'a> {
    file: &'a Arc<File>,
    bytes: Offsets,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    problems: &'a mut Problems,
}

/// A collection under construction.
enum Open {
    List { items: Vec<Node>, start: usize, anchor: usize, nodes_before: usize },
    Map { entries: Vec<(Key, Node)>, key: Option<Key>, start: usize, anchor: usize, nodes_before: usize },
}

impl Reader<'_> {
    fn document(&mut self) -> Option<Node> {
        let mut parser = Parser::new_from_str(&self.file.text);
        let mut stack: Vec<Open> = Vec::new();
        let mut root: Option<Node> = None;
        let mut documents = 0;
        loop {
            let (event, span) = match parser.next_event()? {
                Ok(next) => next,
                Err(error) => {
                    let at = self.bytes.byte(error.marker().index());
                    self.syntax(at, &error.to_string());
                    return None;
                }
            };
            let place = self.place(&span);
            if let Some(tag) = event.tag() {
                self.problems.push(
                    Problem::error("tag", format!("the tag `{}` means nothing here", tag.original()))
                        .at(&place)
                        .hint("leave it out, or quote the text if `!` belongs to it"),
                );
            }
            let node = match event {
                Event::StreamEnd => return root,
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.problems.push(
                            Problem::error("documents", "a second document begins here (`---`)")
                                .at(&place)
                                .hint("put it into a file of its own"),
                        );
                        return root;
                    }
                    continue;
                }
                Event::Scalar(text, style, anchor, _) => {
                    self.nodes += 1;
                    let node = Node { kind: scalar(&text, style), plain: style == ScalarStyle::Plain, place };
                    if anchor != 0 {
                        self.anchors.insert(anchor, (node.clone(), 1));
                    }
                    node
                }
                Event::Alias(id) => match self.anchors.get(&id) {
                    Some((node, size)) => {
                        self.nodes += size;
                        if self.nodes > NODES_MAX {
                            self.too_many(&place);
                            return None;
                        }
                        Node { place, ..node.clone() }
                    }
                    None => {
                        self.problems
                            .push(Problem::error("alias", "this alias stands inside what it names").at(&place));
                        return None;
                    }
                },
                Event::SequenceStart(_, anchor, _) => {
                    if !self.deeper(stack.len(), &place) {
                        return None;
                    }
                    stack.push(Open::List {
                        items: Vec::new(),
                        start: place.span.start,
                        anchor,
                        nodes_before: self.nodes,
                    });
                    continue;
                }
                Event::MappingStart(style, anchor, _) => {
                    if !self.deeper(stack.len(), &place) {
                        return None;
                    }
                    if style == StructureStyle::Flow && self.file.text[place.span.start..].starts_with("{{") {
                        self.problems.push(
                            Problem::error("quote-it", "`{{` begins a mapping within a mapping here")
                                .at(&Place::new(self.file, place.span.start..place.span.start + 2))
                                .hint("quote it: \"{{ … }}\""),
                        );
                        return None;
                    }
                    stack.push(Open::Map {
                        entries: Vec::new(),
                        key: None,
                        start: place.span.start,
                        anchor,
                        nodes_before: self.nodes,
                    });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    self.nodes += 1;
                    let (kind, start, anchor, nodes_before) = match stack.pop()? {
                        Open::List { items, start, anchor, nodes_before } => {
                            (Kind::List(items), start, anchor, nodes_before)
                        }
                        Open::Map { entries, start, anchor, nodes_before, .. } => {
                            (Kind::Map(entries), start, anchor, nodes_before)
                        }
                    };
                    let end = self.end_of_content(start, place.span.end);
                    let node = Node { kind, place: Place::new(self.file, start..end), plain: false };
                    if anchor != 0 {
                        self.anchors.insert(anchor, (node.clone(), self.nodes - nodes_before));
                    }
                    node
                }
                _ => continue,
            };
            if self.nodes > NODES_MAX {
                self.too_many(&node.place);
                return None;
            }
            match stack.last_mut() {
                None => root = Some(node),
                Some(Open::List { items, .. }) => items.push(node),
                Some(Open::Map { entries, key, .. }) => match key.take() {
                    Some(key) => entries.push((key, node)),
                    None => *key = Some(new_key(node, entries, self.problems)),
                },
            }
        }
    }

    fn place(&self, span: &Span) -> Place {
        Place::new(self.file, self.bytes.byte(span.start.index())..self.bytes.byte(span.end.index()))
    }

    /// A block collection's end marker stands at the next token; its content ends before the white space and
    /// comments between.
    fn end_of_content(&self, start: usize, end: usize) -> usize {
        let text = &self.file.text[start..end.max(start)];
        start + text.trim_end().len()
    }

    fn deeper(&mut self, depth: usize, place: &Place) -> bool {
        if depth < DEPTH_MAX {
            return true;
        }
        self.problems.push(Problem::error("too-deep", format!("nested deeper than {DEPTH_MAX} levels")).at(place));
        false
    }

    fn too_many(&mut self, place: &Place) {
        self.problems.push(
            Problem::error("too-large", format!("more than {NODES_MAX} values in one file, aliases followed"))
                .at(place),
        );
    }

    fn syntax(&mut self, at: usize, said: &str) {
        let rest = &self.file.text[self.file.text.floor_char_boundary(at.min(self.file.text.len()))..];
        let line_start = self.file.text[..self.file.text.len() - rest.len()].rfind('\n').map_or(0, |at| at + 1);
        let line = self.file.text[line_start..].lines().next().unwrap_or_default();
        let hint = syntax_hint(rest, line);
        let said = said.split(" at char ").next().unwrap_or(said);
        let len = rest.chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
        let mut problem =
            Problem::error("syntax", format!("this is no YAML: {said}")).at(&Place::new(self.file, at..at + len));
        problem.hint = hint;
        self.problems.push(problem);
    }
}

/// What people most often meant where YAML's syntax broke.
fn syntax_hint(rest: &str, line: &str) -> Option<String> {
    let value = line.split_once(": ").map_or(line, |(_, value)| value).trim().trim_start_matches("- ");
    if rest.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
        return Some("indent with spaces, not tabs".into());
    }
    if value.starts_with('*') {
        return Some(format!("`*` at the start is a YAML alias; quote it: \"{value}\""));
    }
    if value.starts_with('!') {
        return Some(format!("`!` at the start is a YAML tag; quote it: \"{value}\""));
    }
    if ["{{", "${", "[*]", "@", "`", "%"].iter().any(|sign| value.contains(sign)) {
        return Some("quote it: put \"…\" round the whole text".into());
    }
    if value.matches(": ").count() > 0 {
        return Some("a text with `: ` in it must be quoted: \"…\"".into());
    }
    None
}

fn new_key(node: Node, entries: &[(Key, Node)], problems: &mut Problems) -> Key {
    let text = match node.scalar() {
        Some(text) => text.to_owned(),
        None => {
            problems.push(node.expected("a plain key").hint("if this was meant as text, quote it"));
            String::new()
        }
    };
    if text == "<<" && node.plain {
        problems.push(
            Problem::error("merge-key", "merge keys (`<<`) are not followed")
                .at(&node.place)
                .hint("write the keys out"),
        );
    }
    if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == text) {
        problems.push(
            Problem::error("duplicate-key", format!("the key `{text}` stands here twice"))
                .at(&node.place)
                .also(&first.place, "first here"),
        );
    }
    Key { text, place: node.place }
}

/// YAML 1.2.2 section 10.3.2, the core schema, narrowed to JSON's own forms for numbers.
fn scalar(text: &str, style: ScalarStyle) -> Kind {
    if style != ScalarStyle::Plain {
        return Kind::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if is_json_number(text) => Kind::Number(text.to_owned()),
        _ => Kind::Text(text.to_owned()),
    }
}

/// Whether `text` is a number in JSON's grammar (RFC 8259, section 6).
pub fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let places = digits(fraction);
        if places == 0 {
            return false;
        }
        rest = &fraction[places..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let places = digits(exponent);
        return places > 0 && places == exponent.len();
    }
    rest.is_empty()
}

/// A mapping under reading: keys are taken one by one, and [`Fields::finish`] reports those that nobody took.
///
/// Every getter reports a misshapen value and gives `None`, so that the reader goes on.
#[derive(Debug)]
pub struct Fields<'n> {
    /// What the mapping is, in words: `a rule`, `destination `oncall``.
    pub what: String,
    /// The mapping's own place.
    pub place: Place,
    entries: Vec<(&'n Key, &'n Node)>,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens a mapping. A node of another kind is a problem and gives `None`.
    pub fn of(node: &'n Node, what: impl Into<String>, problems: &mut Problems) -> Option<Self> {
        let what = what.into();
        match &node.kind {
            Kind::Map(entries) => Some(Self {
                what,
                place: node.place.clone(),
                entries: entries.iter().map(|(key, node)| (key, node)).collect(),
                known: Vec::new(),
            }),
            _ => {
                problems.push(node.expected(&format!("{what}, a mapping")));
                None
            }
        }
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
        if node.kind == Kind::Null {
            problems.push(
                Problem::error("empty", format!("`{key}` has no value"))
                    .at(&found.place)
                    .hint("give it one, or leave the key out"),
            );
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
            Kind::Bool(truth) => Some(truth),
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

    /// Whether `key` is there and nobody took it yet.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(found, _)| found.text == key)
    }

    /// Reports that `key` must be there.
    pub fn missing(&self, key: &str, problems: &mut Problems) {
        problems.push(
            Problem::error("missing-key", format!("{} has no `{key}`", self.what))
                .at(&self.place.part(0, first_line(&self.place))),
        );
    }

    /// What nobody took so far, in order: for mappings whose keys are the user's own.
    pub fn rest(&mut self) -> Vec<(&'n Key, &'n Node)> {
        std::mem::take(&mut self.entries)
    }

    /// Reports every key that nobody took.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in &self.entries {
            problems.push(
                Problem::error("unknown-key", format!("{} has no key `{}`", self.what, key.text))
                    .at(&key.place)
                    .suggest(&key.text, self.known.iter().copied()),
            );
        }
    }
}

fn first_line(place: &Place) -> usize {
    place.text().lines().next().unwrap_or_default().len()
}

/// A span of time: a whole number and a unit, such as `500ms`, `10s`, `5m`, `2h`, `7d`, or several: `1h30m`. 1d is 24 h.
pub fn span_of_time(text: &str) -> Option<jiff::SignedDuration> {
    let mut rest = text.trim();
    let mut total_ms: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let ms: i64 = match &rest[..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        rest = &rest[unit..];
        total_ms = total_ms.checked_add(number.checked_mul(ms)?)?;
    }
    (total_ms <= 3_650 * 86_400_000).then(|| jiff::SignedDuration::from_millis(total_ms))
}

impl<'n> Fields<'n> {
    /// Takes a span of time, see [`span_of_time`].
    pub fn span(&mut self, key: &'static str, problems: &mut Problems) -> Option<jiff::SignedDuration> {
        let (text, node) = self.text(key, problems)?;
        let span = span_of_time(&text);
        if span.is_none() {
            problems.push(
                Problem::error("wrong-span", format!("`{text}` is no span of time"))
                    .at(&node.place)
                    .hint("write a number and a unit: `30s`, `10m`, `2h`, `7d`"),
            );
        }
        span
    }
}
