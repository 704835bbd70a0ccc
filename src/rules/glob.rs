//! Event globs: which event types a rule receives.
//!
//! Pure. `*` is any run of characters, dots too; `?` is one; `{a,b}` is either; `!` before a glob takes away. A glob is
//! compiled to a small program whose threads are run side by side, so matching takes time linear in the text, whatever
//! the glob.

use std::fmt;
use std::sync::Arc;

use crate::problem::{Location, Problem, Problems};

/// The longest glob, in bytes.
pub const GLOB_MAX: usize = 256;

/// The deepest nesting of braces.
const BRACES_MAX: usize = 8;

/// How Fanfare's own events begin: only a glob that begins so reaches them.
const OWN_PREFIX: &str = "fanfare.";

/// One glob without `!`.
#[derive(Debug, Clone)]
pub struct Glob {
    shape: Shape,
}

/// Most globs are a plain name, or a plain beginning and a `*`.
#[derive(Debug, Clone)]
enum Shape {
    Exact(String),
    Prefix(String),
    Program(Arc<[Step]>),
}

/// A step of a compiled glob. A thread stands at a step; `One` and `Char` take a character and go on to the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Char(char),
    One,
    /// Goes on at both.
    Split(usize, usize),
    Jump(usize),
    End,
}

/// Why a text is no glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobError {
    /// What is wrong.
    pub message: String,
    /// Where in the text, in bytes.
    pub offset: usize,
    /// What to do.
    pub hint: Option<String>,
}

impl GlobError {
    fn new(message: impl Into<String>, offset: usize, hint: &str) -> Self {
        Self { message: message.into(), offset, hint: Some(hint.into()) }
    }
}

impl Glob {
    /// Compiles a glob of at most [`GLOB_MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::new("an empty glob matches nothing", 0, "write `*` for everything"));
        }
        if text.len() > GLOB_MAX {
            let message = format!("a glob of {} bytes is longer than {GLOB_MAX}", text.len());
            return Err(GlobError { message, offset: 0, hint: None });
        }
        let plain = |text: &str| !text.contains(['*', '?', '{', '}']);
        let shape = if plain(text) {
            Shape::Exact(text.to_owned())
        } else if let Some(start) = text.strip_suffix('*')
            && plain(start)
        {
            Shape::Prefix(start.to_owned())
        } else {
            Shape::Program(Compiler::compile(text)?)
        };
        Ok(Self { shape })
    }

    /// Whether the whole of `text` is as the glob says. Case-sensitive.
    pub fn matches(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Exact(exact) => exact == text,
            Shape::Prefix(start) => text.starts_with(start.as_str()),
            Shape::Program(program) => run(program, text),
        }
    }

    /// About how many steps matching takes for each byte of text.
    pub fn weight(&self) -> u64 {
        match &self.shape {
            Shape::Exact(_) | Shape::Prefix(_) => 1,
            Shape::Program(program) => program.len() as u64,
        }
    }
}

struct Compiler<'t> {
    text: &'t str,
    at: usize,
    program: Vec<Step>,
}

impl<'t> Compiler<'t> {
    fn compile(text: &'t str) -> Result<Arc<[Step]>, GlobError> {
        let mut compiler = Compiler { text, at: 0, program: Vec::new() };
        compiler.sequence(0)?;
        if compiler.at < text.len() {
            return Err(GlobError::new("`}` without a `{` before it", compiler.at, "write `{a,b}` for either"));
        }
        compiler.program.push(Step::End);
        Ok(compiler.program.into())
    }

    /// Up to the end, or to the `,` or `}` that ends an alternative.
    fn sequence(&mut self, depth: usize) -> Result<(), GlobError> {
        let mut after_star = false;
        while let Some(next) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            match next {
                ',' if depth > 0 => return Ok(()),
                '}' => return Ok(()),
                '{' => self.either(depth + 1)?,
                '*' if after_star => self.at += 1,
                '*' => {
                    let start = self.program.len();
                    self.program.extend([Step::Split(start + 1, start + 3), Step::One, Step::Jump(start)]);
                    self.at += 1;
                }
                other => {
                    self.program.push(if other == '?' { Step::One } else { Step::Char(other) });
                    self.at += other.len_utf8();
                }
            }
            after_star = next == '*';
        }
        Ok(())
    }

    fn either(&mut self, depth: usize) -> Result<(), GlobError> {
        let opened = self.at;
        if depth > BRACES_MAX {
            let message = format!("braces within braces, more than {BRACES_MAX} deep");
            return Err(GlobError::new(message, opened, "write several globs as a list"));
        }
        let mut jumps = Vec::new();
        loop {
            // Past the `{` or `,`.
            self.at += 1;
            let split = self.program.len();
            self.program.push(Step::End);
            self.sequence(depth)?;
            match self.text.as_bytes().get(self.at) {
                Some(b',') => {
                    jumps.push(self.program.len());
                    self.program.push(Step::End);
                    self.set(split, Step::Split(split + 1, self.program.len()));
                }
                Some(b'}') => {
                    self.at += 1;
                    self.set(split, Step::Jump(split + 1));
                    break;
                }
                _ => return Err(GlobError::new("`{` is never closed", opened, "write `{a,b}` for either")),
            }
        }
        let end = self.program.len();
        for jump in jumps {
            self.set(jump, Step::Jump(end));
        }
        Ok(())
    }

    fn set(&mut self, at: usize, step: Step) {
        if let Some(place) = self.program.get_mut(at) {
            *place = step;
        }
    }
}

/// The steps at which threads stand, each once.
struct Threads {
    steps: Vec<usize>,
    /// For each step the round in which it was last added.
    added: Vec<u64>,
}

impl Threads {
    fn new(len: usize) -> Self {
        Self { steps: Vec::with_capacity(len), added: vec![0; len] }
    }

    fn add(&mut self, program: &[Step], step: usize, round: u64, open: &mut Vec<usize>) {
        open.push(step);
        while let Some(step) = open.pop() {
            match self.added.get_mut(step) {
                Some(added) if *added != round => *added = round,
                _ => continue,
            }
            match program.get(step) {
                Some(Step::Split(one, other)) => open.extend([*one, *other]),
                Some(Step::Jump(to)) => open.push(*to),
                Some(_) => self.steps.push(step),
                None => {}
            }
        }
    }
}

fn run(program: &[Step], text: &str) -> bool {
    let (mut now, mut next) = (Threads::new(program.len()), Threads::new(program.len()));
    let mut open = Vec::new();
    now.add(program, 0, 1, &mut open);
    for (round, c) in (2..).zip(text.chars()) {
        next.steps.clear();
        for &step in &now.steps {
            match program.get(step) {
                Some(Step::Char(expected)) if *expected == c => next.add(program, step + 1, round, &mut open),
                Some(Step::One) => next.add(program, step + 1, round, &mut open),
                _ => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
        if now.steps.is_empty() {
            return false;
        }
    }
    now.steps.iter().any(|&step| program.get(step) == Some(&Step::End))
}

/// One or several globs, with those that take away. Without any it accepts nothing.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    take: Vec<OneGlob>,
    leave: Vec<Glob>,
    texts: Vec<GlobText>,
}

#[derive(Debug, Clone)]
struct OneGlob {
    glob: Glob,
    /// Begins with `fanfare.`, so it reaches own events.
    own: bool,
}

/// A glob as it was written.
#[derive(Debug, Clone)]
pub struct GlobText {
    /// With its `!`, if it has one.
    pub text: String,
    /// Where it stands, if in a file.
    pub place: Option<Location>,
}

impl Globs {
    /// Compiles globs that stand in no file, such as a run-time mute's.
    pub fn of<T: AsRef<str>>(texts: &[T]) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let texts = texts.iter().map(|text| (text.as_ref(), None));
        let globs = Self::parse(texts, &mut problems);
        if problems.has_errors() { Err(problems) } else { Ok(globs) }
    }

    /// Compiles globs of event types; what is wrong with one goes to the problems, at its place.
    pub fn parse<'t>(
        texts: impl IntoIterator<Item = (&'t str, Option<&'t Location>)>,
        problems: &mut Problems,
    ) -> Self {
        let mut globs = Self::default();
        for (text, place) in texts {
            if let Err(error) = globs.add(text, place) {
                let mut problem = Problem::error("wrong-glob", error.message);
                problem.hint = error.hint;
                problems.push(match place {
                    Some(place) => problem.at(&inner(place, text, error.offset)),
                    None => problem,
                });
            }
        }
        globs
    }

    fn add(&mut self, text: &str, place: Option<&Location>) -> Result<(), GlobError> {
        let (take, bare) = match text.strip_prefix('!') {
            Some(bare) => (false, bare),
            None => (true, text),
        };
        let shift = text.len() - bare.len();
        only_in_types(bare).map_err(|error| GlobError { offset: error.offset + shift, ..error })?;
        let glob = Glob::parse(bare).map_err(|error| GlobError { offset: error.offset + shift, ..error })?;
        if take {
            self.take.push(OneGlob { glob, own: bare.starts_with(OWN_PREFIX) });
        } else {
            self.leave.push(glob);
        }
        self.texts.push(GlobText { text: text.to_owned(), place: place.cloned() });
        Ok(())
    }

    /// Whether this type is meant. Own events (`fanfare.…`, source `fanfare`) are reached only by a glob that begins
    /// with `fanfare.`.
    pub fn accept(&self, kind: &str, own: bool) -> bool {
        let taken = match self.take.is_empty() {
            // A list of only `!` starts from all, own events excepted.
            true => !self.leave.is_empty() && !own,
            false => self.take.iter().any(|one| (one.own || !own) && one.glob.matches(kind)),
        };
        taken && !self.leave.iter().any(|glob| glob.matches(kind))
    }

    /// The globs as they were written.
    pub fn texts(&self) -> &[GlobText] {
        &self.texts
    }

    /// The types that it can accept, if it names them all; `None` if it has wildcards.
    pub fn exact(&self) -> Option<Vec<&str>> {
        if self.take.is_empty() && !self.leave.is_empty() {
            return None;
        }
        let exact = self.take.iter().map(|one| match &one.glob.shape {
            Shape::Exact(kind) => Some(kind.as_str()),
            Shape::Prefix(_) | Shape::Program(_) => None,
        });
        exact.collect()
    }

    /// Whether it accepts nothing at all.
    pub fn is_empty(&self) -> bool {
        self.take.is_empty() && self.leave.is_empty()
    }

    /// Whether it can reach own events.
    pub fn reaches_own(&self) -> bool {
        self.take.iter().any(|one| one.own)
    }
}

impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.texts.iter().map(|glob| glob.text.as_str()).collect();
        f.write_str(&texts.join(", "))
    }
}

/// What no event type has, and what was then surely meant otherwise.
fn only_in_types(glob: &str) -> Result<(), GlobError> {
    if let Some(at) = glob.find(char::is_whitespace) {
        let message = "a space in a glob, but no event type has one";
        return Err(GlobError::new(message, at, "write several globs as a list: `[a, b]`"));
    }
    let mut depth = 0usize;
    for (at, c) in glob.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                let message = "a comma in a glob, but no event type has one";
                return Err(GlobError::new(message, at, "write `{a,b}`, or a list: `[a, b]`"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The place from `offset` of a text on, whether it is quoted in its file or not.
pub(crate) fn inner(place: &Location, text: &str, offset: usize) -> Location {
    match place.text().find(text) {
        Some(start) => place.part(start + offset, text.len().saturating_sub(offset).max(1)),
        // Written with escapes: there is no simple way from the text back to the file.
        None => place.clone(),
    }
}
