//! Which branches of templates were taken: each `if`, `elif` and inline `if` both ways, each loop, and each loop's `else`.
//!
//! For those who ask what their tests reach. A copy of every template has a mark at each branch, and is rendered beside
//! the real one, into nothing: what is sent is never touched by being watched.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::{Environment, Value};

use crate::delivery::Say;
use crate::message::template::context::Context;
use crate::message::template::engine::{self, FUEL, Facts, Mode};
use crate::message::template::files::{Folder, Written};
use crate::message::template::scan::{TagPart, Token, scan};
use crate::message::template::source::Source;
use crate::problem::Location;

/// What a mark calls.
const MARK: &str = "__fanfare_branch";

/// The marked copy, and what was reached of it.
#[derive(Debug)]
pub struct Branches {
    env: Environment<'static>,
    /// Of the rules' own texts, by the text.
    texts: BTreeMap<String, String>,
    all: Vec<Branch>,
    reached: Arc<Mutex<BTreeSet<(usize, bool)>>>,
}

/// A place where a template goes one way or another.
#[derive(Debug, Clone)]
struct Branch {
    /// The file, or the text of a rule, that it belongs to.
    of: String,
    place: Location,
    /// As it is written, shortened.
    words: String,
    kind: BranchKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BranchKind {
    /// Holds or doesn't.
    If,
    /// Has items.
    Loop,
    /// Has items, or something is said in their place.
    LoopOrElse,
}

impl BranchKind {
    /// The ways that it can go.
    fn ways(self) -> &'static [bool] {
        match self {
            BranchKind::If | BranchKind::LoopOrElse => &[true, false],
            BranchKind::Loop => &[true],
        }
    }
}

/// A branch that was not taken.
#[derive(Debug, Clone)]
pub struct Untaken {
    /// Where it stands.
    pub place: Location,
    /// What never happens, in words.
    pub what: String,
}

/// What was reached.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// Ways that were gone.
    pub taken: usize,
    /// Of how many.
    pub of: usize,
    /// Those that were not; a template that was never rendered is one.
    pub untaken: Vec<Untaken>,
}

impl Branches {
    /// Marks all templates of a folder, and the texts of rules.
    pub(crate) fn of<'t>(folder: &Folder, texts: impl Iterator<Item = (&'t str, &'t Location)>) -> Self {
        let reached: Arc<Mutex<BTreeSet<(usize, bool)>>> = Arc::default();
        let mut env = engine::environment(Mode::Send);
        env.set_fuel(Some(4 * FUEL));
        let noted = reached.clone();
        env.add_function(MARK, move |id: usize, way: Value| {
            let way = way.is_true();
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert((id, way));
            way
        });
        let mut branches = Self { env, texts: BTreeMap::new(), all: Vec::new(), reached };
        for (name, source) in &folder.sources {
            let of = source.place(0..0).file.path.clone();
            branches.add(name, source, &of);
        }
        for (text, place) in texts {
            let name = format!("text {}", branches.texts.len());
            branches.add(&name, &Source::scalar(place, text), &name);
            branches.texts.insert(text.to_owned(), name);
        }
        branches
    }

    /// Adds a template's marked copy. One that is known by two names is one.
    fn add(&mut self, name: &str, source: &Source, of: &str) {
        let found = find(&source.text);
        let mut inserts = Vec::new();
        for Found { span, kind, marks } in found {
            let place = source.place(span.clone());
            let same = |known: &Branch| known.place == place;
            let id = match self.all.iter().position(same) {
                Some(id) => id,
                None => {
                    let words = shortened(source.text.get(span).unwrap_or_default());
                    self.all.push(Branch { of: of.to_owned(), place, words, kind });
                    self.all.len() - 1
                }
            };
            inserts.extend(marks.into_iter().map(|mark| (mark.at(), mark.text(id))));
        }
        // What stands at one place stays in its order.
        inserts.sort_by_key(|(at, _)| *at);
        let mut marked = String::with_capacity(source.text.len() * 2);
        let mut from = 0;
        for (at, text) in inserts {
            marked.push_str(source.text.get(from..at).unwrap_or_default());
            marked.push_str(&text);
            from = at;
        }
        marked.push_str(source.text.get(from..).unwrap_or_default());
        // One that can't be compiled has been reported as it was written.
        let _ = self.env.add_template_owned(name.to_owned(), marked);
    }

    /// Renders the marked copies of what `say` names.
    pub(crate) fn watch(&self, folder: &Folder, say: &Say, context: &Context<'_>, native: Option<(&str, &str)>) {
        let facts = Arc::new(Facts::new(context.now, context.zone.clone(), context.locale));
        let values = context.values(&facts);
        let render = |name: &str| {
            if let Ok(template) = self.env.get_template(name) {
                // What it prints, and whether it fails, is the real one's business.
                let _ = engine::render(&template, &values, &facts);
            }
        };
        match say {
            Say::Message(name) => {
                let Some(written) = folder.messages.get(name) else { return };
                written.own().for_each(render);
                written.translations.values().flat_map(Written::own).for_each(render);
                let of_channel = native.and_then(|(channel, ending)| written.native(channel, ending));
                of_channel.into_iter().for_each(render);
            }
            Say::Text(text) => self.texts.get(text).map(String::as_str).into_iter().for_each(render),
            Say::Default | Say::Summary => {}
        }
    }

    /// How much was reached so far.
    pub fn taken(&self) -> Taken {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let rendered: BTreeSet<&str> =
            reached.iter().filter_map(|(id, _)| self.all.get(*id)).map(|branch| branch.of.as_str()).collect();
        let mut taken = Taken::default();
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for (id, branch) in self.all.iter().enumerate() {
            let ways = branch.kind.ways();
            let gone: Vec<bool> = ways.iter().copied().filter(|way| reached.contains(&(id, *way))).collect();
            taken.of += ways.len();
            taken.taken += gone.len();
            if rendered.contains(branch.of.as_str()) {
                taken.untaken.extend(branch.untaken(&gone));
            } else if branch.of == branch.place.file.path && told.insert(&branch.of) {
                // Of the text of an action that never acts, that is enough to know.
                let place = Location::new(&branch.place.file, 0..0);
                taken.untaken.push(Untaken { place, what: "no test renders it".into() });
            }
        }
        taken.untaken.sort_by_key(|one| (one.place.file.path.clone(), one.place.span.start));
        taken
    }
}

impl Branch {
    /// What of it never happened, where its template was rendered.
    fn untaken(&self, gone: &[bool]) -> Option<Untaken> {
        let never = match (self.kind, gone) {
            (_, [true, false]) | (BranchKind::Loop, [true]) => return None,
            (BranchKind::If | BranchKind::LoopOrElse, []) => "is never reached",
            (BranchKind::If, [true]) => "always holds",
            (BranchKind::If, _) => "never holds",
            (BranchKind::LoopOrElse, [true]) => "always has items",
            (BranchKind::Loop | BranchKind::LoopOrElse, _) => "never has items",
        };
        Some(Untaken { place: self.place.clone(), what: format!("`{}` {never}", self.words) })
    }
}

fn shortened(words: &str) -> String {
    const WORDS_MAX: usize = 60;
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

// --- finding branches ---

/// A branch in a template's text.
#[derive(Debug)]
struct Found {
    /// From the word that makes it one to the end of what decides.
    span: Range<usize>,
    kind: BranchKind,
    marks: Vec<Mark>,
}

/// Something that is put into the copy.
#[derive(Debug, Clone)]
enum Mark {
    /// Before a condition.
    Open(usize),
    /// Behind it.
    Close(usize),
    /// Where a way begins.
    Way(usize, bool),
}

impl Mark {
    fn at(&self) -> usize {
        match self {
            Mark::Open(at) | Mark::Close(at) | Mark::Way(at, _) => *at,
        }
    }

    fn text(&self, id: usize) -> String {
        match self {
            Mark::Open(_) => format!("{MARK}({id}, ("),
            Mark::Close(_) => "))".to_owned(),
            Mark::Way(_, way) => format!("{{% do {MARK}({id}, {way}) %}}"),
        }
    }
}

/// What is open.
enum Block {
    If,
    /// A loop, with its place among what was found.
    For(usize),
}

/// Every branch of a template.
fn find(source: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut open: Vec<Block> = Vec::new();
    for TagPart { is_tag, tokens, end } in scan(source).parts {
        match is_tag {
            true => tag(&tokens, end, &mut open, &mut found),
            false => inline(&tokens, &mut found),
        }
    }
    found
}

type Slice<'t> = &'t [(Token, Range<usize>)];

fn is_name(token: Option<&(Token, Range<usize>)>, word: &str) -> bool {
    matches!(token, Some((Token::Name(name), _)) if name == word)
}

/// A tag that ends at `end`.
fn tag(tokens: Slice<'_>, end: usize, open: &mut Vec<Block>, found: &mut Vec<Found>) {
    let Some((Token::Name(word), span)) = tokens.first() else { return };
    let rest = tokens.get(1..).unwrap_or_default();
    match word.as_str() {
        "if" | "elif" => {
            if word == "if" {
                open.push(Block::If);
            }
            found.extend(condition(span.start, rest));
            inline(rest, found);
        }
        "for" => {
            let until = rest.last().map_or(span.end, |(_, last)| last.end);
            open.push(Block::For(found.len()));
            found.push(Found { span: span.start..until, kind: BranchKind::Loop, marks: vec![Mark::Way(end, true)] });
        }
        "else" => {
            if let Some(Block::For(nth)) = open.last()
                && let Some(of_loop) = found.get_mut(*nth)
            {
                of_loop.kind = BranchKind::LoopOrElse;
                of_loop.marks.push(Mark::Way(end, false));
            }
        }
        "endif" | "endfor" => drop(open.pop()),
        "raw" => {}
        _ => inline(rest, found),
    }
}

/// A condition of these tokens, whose word begins at `start`.
fn condition(start: usize, tokens: Slice<'_>) -> Option<Found> {
    let (from, to) = (tokens.first()?.1.start, tokens.last()?.1.end);
    Some(Found { span: start..to, kind: BranchKind::If, marks: vec![Mark::Open(from), Mark::Close(to)] })
}

/// Every `… if CONDITION else …` among these tokens.
fn inline(tokens: Slice<'_>, found: &mut Vec<Found>) {
    for (nth, (_, span)) in tokens.iter().enumerate().filter(|(nth, _)| is_name(tokens.get(*nth), "if")) {
        let before = nth.checked_sub(1).and_then(|at| tokens.get(at));
        if before.is_none() || matches!(before, Some((Token::Sign('.'), _))) {
            continue;
        }
        let rest = tokens.get(nth + 1..).unwrap_or_default();
        found.extend(condition(span.start, rest.get(..extent(rest)).unwrap_or_default()));
    }
}

/// How many tokens a condition has that ends with its `else`, or with what holds it.
fn extent(tokens: Slice<'_>) -> usize {
    let mut depth = 0usize;
    for (nth, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') if depth == 0 => return nth,
            Token::Sign(')' | ']' | '}') => depth -= 1,
            Token::Sign(',') if depth == 0 => return nth,
            Token::Name(word) if word == "else" && depth == 0 => return nth,
            _ => {}
        }
    }
    tokens.len()
}
