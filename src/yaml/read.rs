//! From the parser's events to a tree of nodes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::diagnostics::{self, Broken};
use super::{DEPTH_MAX, Key, MISTAKES_MAX, NODES_MAX, Node, NodeKind, is_json_number};
use crate::problem::{File, Location, Problem, Problems};

/// Reads the one document of a file.
pub(super) fn document(file: &Arc<File>, problems: &mut Problems) -> Option<Node> {
    let mut reader = Reader {
        file,
        problems_before: problems.iter().len(),
        problems,
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        read_to: 0,
        content_to: 0,
        plain: None,
        root: None,
    };
    reader.read();
    reader.root
}

struct Reader<'a> {
    file: &'a Arc<File>,
    problems: &'a mut Problems,
    /// How many there were before this file.
    problems_before: usize,
    /// The collections that are open, outermost first.
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    /// How many nodes were made, copies for aliases included.
    nodes: usize,
    /// Where the last event ended.
    read_to: usize,
    /// Where the last scalar, alias or bracket ended.
    content_to: usize,
    /// The last scalar, if it was a plain one.
    plain: Option<Range<usize>>,
    root: Option<Node>,
}

/// A collection under construction.
struct Open {
    start: usize,
    anchor: usize,
    nodes_before: usize,
    /// Levels of nesting below this one.
    height: usize,
    flow: bool,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, first: HashMap<String, Location>, key: KeyRead },
}

/// The key of the entry that is being read.
enum KeyRead {
    Awaited,
    Read(Key),
    /// Reported: its value goes nowhere.
    Mistaken,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    height: usize,
}

/// Whether reading goes on; what stops it has been reported.
type Step = Option<()>;

impl Reader<'_> {
    /// Leaves the tree in `root`; nothing there if the syntax is broken.
    fn read(&mut self) -> Step {
        let mut options = Options::default();
        options.disallow_directives = true;
        options.emit_unresolved_aliases = true;
        let mut parser = Parser::new_from_str_with_options(&self.file.text, options);
        let mut documents = 0;
        while let Some(next) = parser.next_event() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(self.read_to);
                    self.root = None;
                    self.problems.push(diagnostics::syntax(&self.broken(at), error.kind()));
                    return None;
                }
            };
            let at = span.byte_range().unwrap_or(self.read_to..self.read_to);
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
            }
            if documents > 1 {
                self.problems.push(
                    Problem::error("documents", "a second document begins here (`---`)")
                        .at(&Location::new(self.file, at))
                        .hint("put it into a file of its own"),
                );
                return None;
            }
            self.event(event, &span, at.clone())?;
            self.read_to = self.read_to.max(at.end);
        }
        Some(())
    }

    fn broken(&self, at: usize) -> Broken<'_> {
        Broken {
            file: self.file,
            at,
            read_to: self.read_to,
            plain: self.plain.clone(),
            bracket: self
                .stack
                .iter()
                .rev()
                .filter(|open| open.flow)
                .map(|open| open.start)
                .find(|at| self.is_bracket(*at)),
        }
    }

    /// Whether a collection that begins here is one in brackets: a block begins with its first key or `-`, and so does a
    /// pair that stands in brackets without its own.
    fn is_bracket(&self, start: usize) -> bool {
        matches!(self.file.text.as_bytes().get(start), Some(b'[' | b'{'))
    }

    fn event(&mut self, event: Event<'_>, span: &Span, at: Range<usize>) -> Step {
        if self.problems.iter().len() - self.problems_before > MISTAKES_MAX {
            self.problems.push(
                Problem::error("too-many", format!("more than {MISTAKES_MAX} mistakes; the file is read no further"))
                    .at(&Location::new(self.file, at)),
            );
            self.root = None;
            return None;
        }
        let tag = event.tag().map(|tag| self.tag(tag, span, &at));
        if matches!(event, Event::Scalar(..) | Event::Alias(_) | Event::UnresolvedAlias(_)) && !at.is_empty() {
            let text = self.file.text.get(at.clone()).unwrap_or_default();
            self.content_to = at.start + text.trim_end().len();
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.plain = plain.then(|| at.clone());
                let kind = match tag {
                    // A tag with nothing behind it was meant as text.
                    Some(tag) if text.is_empty() && plain => NodeKind::Text(tag),
                    _ => scalar(&text, style),
                };
                let place = Location::new(self.file, at);
                if style == ScalarStyle::DoubleQuoted {
                    self.escapes(&place);
                }
                self.count(1, &place)?;
                self.finished(Node { kind, place, plain }, anchor, 1, 0)
            }
            Event::SequenceStart(style, anchor, _) => self.open(OpenKind::List(Vec::new()), style, anchor, &at),
            Event::MappingStart(style, anchor, _) => {
                let kind = OpenKind::Map { entries: Vec::new(), first: HashMap::new(), key: KeyRead::Awaited };
                self.braces(style, &at)?;
                self.open(kind, style, anchor, &at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Alias(id) => self.alias(id, Location::new(self.file, at)),
            Event::UnresolvedAlias(name) => {
                let place = Location::new(self.file, at);
                let text = format!("*{name}");
                self.problems.push(
                    Problem::error("quote-it", format!("`{text}` is an alias in YAML, and nothing bears that name"))
                        .at(&place)
                        .hint(format!("quote it: \"{text}\"")),
                );
                self.finished(Node { kind: NodeKind::Text(text), place, plain: true }, 0, 1, 0)
            }
            _ => Some(()),
        }
    }

    /// Warns of what is part of a pattern, and within double quotes a character that nobody sees.
    fn escapes(&mut self, place: &Location) {
        let mut signs = place.text().char_indices();
        while let Some((at, sign)) = signs.next() {
            let Some((_, escaped)) = (sign == '\\').then(|| signs.next()).flatten() else { continue };
            let Some((_, what)) = UNSEEN.iter().find(|(sign, _)| *sign == escaped) else { continue };
            self.problems.push(
                Problem::warning("escape-in-quotes", format!("`\\{escaped}` between double quotes is {what}"))
                    .at(&place.part(at, 2))
                    .hint("for a pattern put '…' around it instead, or write two backslashes"),
            );
        }
    }

    /// Reports a tag and gives it as it was written.
    fn tag(&mut self, tag: &Tag, span: &Span, at: &Range<usize>) -> String {
        let original = tag.original();
        let place = span.tag_span().and_then(|span| span.byte_range()).unwrap_or_else(|| at.clone());
        self.problems.push(
            Problem::error("quote-it", format!("`{original}` is a tag in YAML, and means nothing here"))
                .at(&Location::new(self.file, place))
                .hint(format!("if it belongs to the text, quote it: \"{original}\"")),
        );
        original
    }

    /// `{{ title }}` without quotes is a mapping within a mapping.
    fn braces(&mut self, style: StructureStyle, at: &Range<usize>) -> Step {
        let text = self.file.text.get(at.start..).unwrap_or_default();
        if style != StructureStyle::Flow || !text.starts_with("{{") {
            return Some(());
        }
        let line = text.lines().next().unwrap_or_default().trim_end();
        self.problems.push(
            Problem::error("quote-it", "`{{` begins a mapping within a mapping in YAML")
                .at(&Location::new(self.file, at.start..at.start + 2))
                .hint(format!("quote it: \"{}\"", diagnostics::shortened(line))),
        );
        self.root = None;
        None
    }

    fn open(&mut self, kind: OpenKind, style: StructureStyle, anchor: usize, at: &Range<usize>) -> Step {
        self.deep(self.stack.len() + 1, &Location::new(self.file, at.clone()))?;
        self.stack.push(Open {
            start: at.start,
            anchor,
            nodes_before: self.nodes,
            height: 0,
            flow: style == StructureStyle::Flow,
            kind,
        });
        Some(())
    }

    fn close(&mut self, at: Range<usize>) -> Step {
        let Open { start, anchor, nodes_before, height, flow, kind } = self.stack.pop()?;
        let kind = match kind {
            OpenKind::List(items) => NodeKind::List(items),
            OpenKind::Map { entries, .. } => NodeKind::Map(entries),
        };
        // The end of a block collection is marked at the next token, behind white space and comments.
        let end = if flow && self.is_bracket(start) { at.end } else { self.content_to.max(start) };
        self.content_to = end;
        let place = Location::new(self.file, start..end);
        self.count(1, &place)?;
        let nodes = self.nodes - nodes_before;
        self.finished(Node { kind, place, plain: false }, anchor, nodes, height + 1)
    }

    fn alias(&mut self, id: usize, place: Location) -> Step {
        let Some(anchored) = self.anchors.get(&id) else {
            // The anchor's own node is still open.
            self.problems.push(Problem::error("alias", format!("`{}` contains itself", place.text())).at(&place));
            self.root = None;
            return None;
        };
        let (nodes, height) = (anchored.nodes, anchored.height);
        self.deep(self.stack.len() + height, &place)?;
        self.count(nodes, &place)?;
        let node = self.anchors.get(&id).map(|anchored| Node { place, ..anchored.node.clone() })?;
        self.finished(node, 0, nodes, height)
    }

    /// A node is whole: it is kept for its anchor, and goes to where it belongs.
    fn finished(&mut self, node: Node, anchor: usize, nodes: usize, height: usize) -> Step {
        if anchor != 0 {
            // The copy counts too: anchors within anchors would make many.
            self.count(nodes, &node.place)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, height });
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        open.height = open.height.max(height);
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, first, key } => match std::mem::replace(key, KeyRead::Awaited) {
                KeyRead::Awaited => *key = read_key(node, first, self.problems),
                KeyRead::Mistaken => {}
                KeyRead::Read(key) if open.flow && is_without_value(&key, &node) => {
                    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                    let before = entries.last().and_then(|(_, node)| node.scalar()).filter(|text| digits(text));
                    let hint = match before.filter(|_| key.text.len() <= 3 && digits(&key.text)) {
                        Some(before) if key.text.len() == 3 => {
                            format!("write the number without a comma: `{before}{}`", key.text)
                        }
                        Some(before) => format!("write a decimal point: `{before}.{}`", key.text),
                        None => "if a comma or brace belongs to a text, quote the text: \"…\"".into(),
                    };
                    self.problems.push(
                        Problem::error("quote-it", format!("`{}` is a key without a value here", key.text))
                            .at(&key.place)
                            .hint(hint),
                    );
                }
                KeyRead::Read(key) => entries.push((key, node)),
            },
        }
        Some(())
    }

    fn deep(&mut self, depth: usize, place: &Location) -> Step {
        if depth <= DEPTH_MAX {
            return Some(());
        }
        self.root = None;
        self.problems.push(Problem::error("too-deep", format!("nested deeper than {DEPTH_MAX} levels")).at(place));
        None
    }

    fn count(&mut self, nodes: usize, place: &Location) -> Step {
        self.nodes += nodes;
        if self.nodes <= NODES_MAX {
            return Some(());
        }
        self.root = None;
        self.problems.push(
            Problem::error("too-large", format!("more than {NODES_MAX} values in one file, aliases followed"))
                .at(place),
        );
        None
    }
}

/// `{a, b}`: a key with neither colon nor value.
fn is_without_value(key: &Key, value: &Node) -> bool {
    value.kind == NodeKind::Null
        && value.place.span.is_empty()
        && !key.place.file.text.get(key.place.span.end..).is_some_and(|rest| rest.trim_start().starts_with(':'))
}

fn read_key(node: Node, first: &mut HashMap<String, Location>, problems: &mut Problems) -> KeyRead {
    let Some(text) = node.scalar().map(str::to_owned) else {
        problems.push(node.expected("a plain key").hint("if this was meant as text, quote it"));
        return KeyRead::Mistaken;
    };
    if text == "<<" && node.plain {
        problems.push(
            Problem::error("merge-key", "merge keys (`<<`) are not followed")
                .at(&node.place)
                .hint("write the keys out"),
        );
        return KeyRead::Mistaken;
    }
    if let Some(first) = first.get(&text) {
        problems.push(
            Problem::error("duplicate-key", format!("the key `{text}` appears here twice"))
                .at(&node.place)
                .also(first, "first here"),
        );
        return KeyRead::Mistaken;
    }
    first.insert(text.clone(), node.place.clone());
    KeyRead::Read(Key { text, place: node.place })
}

/// Escapes of double quotes that mean something else in a pattern (YAML 1.2.2, section 5.7).
const UNSEEN: &[(char, &str)] = &[
    ('b', "a backspace"),
    ('a', "a bell"),
    ('e', "an escape character"),
    ('v', "a vertical tab"),
    ('f', "a form feed"),
    ('0', "a null character"),
    ('N', "a next-line character"),
    ('L', "a line separator"),
    ('P', "a paragraph separator"),
    ('_', "a no-break space"),
];

/// YAML 1.2.2 section 10.3.2, the core schema, narrowed to JSON's own forms for numbers.
fn scalar(text: &str, style: ScalarStyle) -> NodeKind {
    if style != ScalarStyle::Plain {
        return NodeKind::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeKind::Null,
        "true" | "True" | "TRUE" => NodeKind::Bool(true),
        "false" | "False" | "FALSE" => NodeKind::Bool(false),
        _ if is_json_number(text) => NodeKind::Number(text.to_owned()),
        _ => NodeKind::Text(text.to_owned()),
    }
}
