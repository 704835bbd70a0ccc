//! What can be seen to be wrong with a template before it is needed: rendered with known events, strictly.
//!
//! An error is what can't be, whatever comes: a name, a filter, a function or a key that doesn't exist. What known events
//! lack or can't be read as is a warning at its place, with the nearest name: other events may have it. What only some
//! of them lack is a warning where they are those the template is used with, and nothing where they are all there are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use minijinja::{Environment, Value};

use crate::delivery::Severity;
use crate::message::markdown;
use crate::message::pieces::{self, Masked, Piece};
use crate::message::template::context::Context;
use crate::message::template::engine::{self, Facts, MARK, Mode};
use crate::message::template::files::{Folder, Written};
use crate::message::template::scan::{self, Partials};
use crate::message::template::source::{self, Source};
use crate::message::template::{Templates, files, misread, native};
use crate::problem::{Gravity, Location, Problem, Problems};

mod output;
mod undefined;

use self::output::Output;
use self::undefined::undefined;

/// What a template makes, which decides what can be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    /// Plain text.
    Line,
    /// One of the severities.
    Severity,
    /// A link or picture.
    Url,
    /// Markdown.
    Body,
    /// A channel's own format: its name and ending.
    Native(&'a str, &'a str),
}

/// The most mistakes that are reported per template: a template made to be wrong is not looked at without end.
const TOLD_MAX: usize = 100;

/// How much text is rendered for one template, with all contexts, in bytes: a huge one is rendered with fewer.
const WORK_MAX: usize = 1 << 22;
/// How often a template is rendered anew without what failed.
const FAILED_MAX: usize = 20;

/// The words of templates that hold what Fanfare and the rules say, not what an event says.
const OURS: [&str; 4] = ["event", "case", "rule", "with"];

/// How a value that some contexts lack counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Samples {
    /// They are the events that the template is used for.
    Fitting,
    /// They are all there are: most of them have nothing to do with the template.
    Any,
}

/// What a template is checked with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heard<'a> {
    /// One for each known event that it is used for.
    pub contexts: &'a [Context<'a>],
    /// The names that rules define, where they are known: what else a template names can't be, also where no event is
    /// known.
    pub names: Option<&'a [&'a str]>,
}

impl<'a> Heard<'a> {
    /// These contexts, which have all the names there are.
    pub fn of(contexts: &'a [Context<'a>]) -> Self {
        Self { contexts, names: None }
    }
}

impl Templates {
    /// What can be seen to be wrong with all messages, rendered with each context. A value is undefined, or a rendering fails,
    /// only if it does so in every context.
    pub fn check(&self, contexts: &[Context<'_>], problems: &mut Problems) {
        for written in self.folder.messages.values() {
            self.folder.check(written, Heard::of(contexts), Samples::Any, problems);
        }
    }

    /// What can be seen to be wrong with one message when it is used with events such as these.
    pub fn check_message(&self, name: &str, heard: Heard<'_>, problems: &mut Problems) {
        if let Some(written) = self.folder.messages.get(name) {
            self.folder.check(written, heard, Samples::Fitting, problems);
        }
    }

    /// What can be seen to be wrong with a `text:` that stands in a rule, at its place (the scalar's, quotes included).
    pub fn check_text(&self, text: &str, place: &Location, heard: Heard<'_>, problems: &mut Problems) {
        let source = Source::scalar(place, text);
        let mut found = Problems::new();
        misread::body(&source, &mut found);
        let scan = scan::scan(text);
        let wrong = files::report(&scan, &source, Partials::Named(&self.folder.partials), &mut found);
        let mut env = self.folder.env.clone();
        match env.add_template_owned(super::TEXT, text.to_owned()) {
            Err(error) => found.push(source::syntax(&source, &scan, &error)),
            Ok(()) => {
                if let Some(unknown) = scan::only_unknown(text, &wrong) {
                    scan::placeholder(&mut env, &unknown);
                    let mut checker = Checker::new(&self.folder, env, heard, Samples::Fitting);
                    checker.own = Some(&source);
                    checker.template(super::TEXT, Part::Body, &mut found);
                }
            }
        }
        problems.extend(found);
    }
}

impl Folder {
    fn check(&self, written: &Written, heard: Heard<'_>, samples: Samples, problems: &mut Problems) {
        let mut found = Problems::new();
        let mut checker = Checker::new(self, self.env.clone(), heard, samples);
        let scalars = [
            (&written.title, Part::Line),
            (&written.severity, Part::Severity),
            (&written.link, Part::Url),
            (&written.image, Part::Url),
        ];
        for (template, part) in scalars {
            if let Some(template) = template {
                checker.template(template, part, &mut found);
            }
        }
        for (_, template) in &written.fields {
            checker.template(template, Part::Line, &mut found);
        }
        checker.template(&written.body, Part::Body, &mut found);
        for ((channel, ending), template) in &written.natives {
            checker.template(template, Part::Native(channel, ending), &mut found);
        }
        found.sort();
        problems.extend(found);
        for translation in written.translations.values() {
            self.check(translation, heard, samples, problems);
        }
    }
}

struct Checker<'a> {
    folder: &'a Folder,
    /// As for sending, with names for what is undefined.
    lenient: Environment<'static>,
    strict: Environment<'static>,
    heard: Heard<'a>,
    samples: Samples,
    /// The source of a text that stands in a rule.
    own: Option<&'a Source>,
    /// How often a rendering may still be begun anew.
    anew: usize,
}

/// What was found, and in how many contexts.
struct Sighting {
    problem: Problem,
    /// Whether some contexts may be without it.
    depends: bool,
    seen: usize,
    /// A type of event that it was seen with.
    with: String,
}

impl<'a> Checker<'a> {
    fn new(folder: &'a Folder, mut env: Environment<'static>, heard: Heard<'a>, samples: Samples) -> Self {
        scan::placeholder(&mut env, &folder.unknown);
        let mut lenient = env.clone();
        engine::set_mode(&mut lenient, Mode::Send);
        lenient.set_debug(true);
        let mut strict = env;
        engine::set_mode(&mut strict, Mode::Check);
        Self { folder, lenient, strict, heard, samples, own: None, anew: 0 }
    }

    fn source(&self, name: &str) -> Option<&'a Source> {
        if name == super::TEXT { self.own } else { self.folder.sources.get(name) }
    }

    /// Checks one template with all contexts. Without any, only names can be looked at, where those of the rules are known.
    fn template(&mut self, name: &str, part: Part<'_>, problems: &mut Problems) {
        if self.heard.contexts.is_empty() && self.heard.names.is_none() {
            return;
        }
        let mut sightings: Vec<Sighting> = Vec::new();
        // What is wrong with one was said when it was loaded; the names in it can be looked at all the same.
        let contexts = if self.folder.is_sound(name) { self.heard.contexts } else { &[] };
        let len = self.source(name).map_or(1, |source| source.text.len()).max(1);
        let contexts = contexts.get(..(WORK_MAX / len).max(1)).unwrap_or(contexts);
        self.anew = WORK_MAX / len;
        for context in contexts {
            let mut found = Vec::new();
            self.with_context(name, part, context, &mut found);
            found.dedup_by(|a, b| a.0 == b.0);
            // One that works without end does so whatever the event: once is enough to wait for.
            if let Some((endless, _)) = found.iter().find(|(problem, _)| problem.code == source::ENDLESS) {
                problems.push(endless.clone());
                return;
            }
            for (problem, depends) in found {
                let is_full = sightings.len() >= TOLD_MAX;
                match sightings.iter_mut().find(|known| same(&known.problem, &problem)) {
                    Some(known) => known.seen += 1,
                    None if is_full => {}
                    None => {
                        sightings.push(Sighting { problem, depends, seen: 1, with: context.event.kind.to_string() });
                    }
                }
            }
        }
        let unknown = self.unknown_names(name);
        sightings.retain(|sighting| !unknown.iter().any(|unknown| overlaps(unknown, &sighting.problem)));
        unknown.into_iter().for_each(|unknown| problems.push(unknown));
        for sighting in sightings {
            let always = sighting.seen >= contexts.len();
            match (sighting.depends && !always, self.samples) {
                (false, _) => problems.push(sighting.problem),
                (true, Samples::Any) => {}
                (true, Samples::Fitting) => {
                    let message = format!("{} in an event `{}`", sighting.problem.message, sighting.with);
                    problems.push(Problem { message, gravity: Gravity::Warning, ..sighting.problem });
                }
            }
        }
    }

    /// Renders with one context: leniently for all that is undefined and printed, then strictly for what else fails.
    fn with_context(&mut self, name: &str, part: Part<'_>, context: &Context<'_>, found: &mut Vec<(Problem, bool)>) {
        let facts = Arc::new(Facts::marking(context.now, context.zone.clone(), context.locale));
        let values = context.values(&facts);
        let lenient = |env: &Environment<'_>| {
            let rendered = env.get_template(name)?.render_with_spans(engine::root(&values, &facts))?;
            facts.check().map(|()| rendered)
        };
        if let Some((output, spans)) = self.until_it_ends(self.lenient.clone(), lenient, &values, found) {
            self.undefined(&spans, &output, &values, found);
            self.made(&Output::of(&output, &spans), part, found);
        }
        if found.iter().any(|(problem, _)| problem.code == source::ENDLESS) {
            return;
        }
        let facts = Arc::new(Facts::new(context.now, context.zone.clone(), context.locale));
        let strict = |env: &Environment<'_>| engine::render(&env.get_template(name)?, &values, &facts);
        self.until_it_ends(self.strict.clone(), strict, &values, found);
    }

    /// Renders until nothing fails: each time without the expressions that failed before, so that all of them are reported at
    /// once. Nothing where what failed is no expression of its own, such as a loop.
    fn until_it_ends<T>(
        &mut self,
        mut env: Environment<'static>,
        render: impl Fn(&Environment<'_>) -> Result<T, minijinja::Error>,
        values: &[(String, Value)],
        found: &mut Vec<(Problem, bool)>,
    ) -> Option<T> {
        let mut texts = BTreeMap::new();
        for _ in 0..FAILED_MAX {
            let error = match render(&env) {
                Ok(rendered) => return Some(rendered),
                Err(error) => error,
            };
            let failed = self.failed(&error, values);
            let is_endless = failed.as_ref().is_some_and(|(problem, _)| problem.code == source::ENDLESS);
            let known = |problem: &Problem| found.iter().any(|(known, _)| overlaps(known, problem));
            found.extend(failed.filter(|(problem, _)| is_endless || !known(problem)));
            if is_endless {
                return None;
            }
            self.anew = self.anew.checked_sub(1)?;
            let (name, text) = self.without(&error, &mut texts)?;
            env.add_template_owned(name, text).ok()?;
        }
        None
    }

    /// The template that failed, and its text without the expression that did: as many blanks stand there, so that every
    /// other place stays what it is.
    fn without(&self, error: &minijinja::Error, texts: &mut BTreeMap<String, String>) -> Option<(String, String)> {
        let inner = source::innermost(error);
        let (name, range) = (inner.name()?.to_owned(), inner.range()?);
        let text = match texts.get(&name) {
            Some(text) => text.clone(),
            None => self.source(&name)?.text.clone(),
        };
        let start = text.get(..range.start + 1)?.rfind("{{")?;
        if text.get(start..range.start)?.contains("}}") || text.get(start..range.start)?.contains("{%") {
            return None;
        }
        let from = range.end.max(start + 2);
        let end = from + text.get(from..)?.find("}}")? + 2;
        let blank: String = text.get(start..end)?.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        let without = format!("{}{blank}{}", text.get(..start)?, text.get(end..)?);
        texts.insert(name.clone(), without.clone());
        Some((name, without))
    }

    fn failed(&self, error: &minijinja::Error, values: &[(String, Value)]) -> Option<(Problem, bool)> {
        let inner = source::innermost(error);
        let source = inner.name().and_then(|name| self.source(name))?;
        let problem = match source::undefined_name(inner) {
            Some(name) => {
                let at = inner.range().map_or(source.text.len(), |range| range.start);
                let read = scan::scan(&source.text).place_of(&source.text, &name, at);
                let place = read.map_or_else(|| source.place_of(inner), |read| source.place(read));
                undefined(&name, values).at(&place)
            }
            None if source::is_certain(inner) => source::problem(source, inner),
            None => Problem { gravity: Gravity::Warning, ..source::problem(source, inner) },
        };
        Some((problem, true))
    }

    /// Whether what came out is what it should be.
    fn made(&self, output: &Output, part: Part<'_>, found: &mut Vec<(Problem, bool)>) {
        let place = |at: usize| self.place_in(output, at..at + 1);
        let whole = || self.place_in(output, 0..output.len());
        match part {
            Part::Line => {}
            Part::Severity => {
                let word = pieces::one_line(&output.pieces);
                if Severity::named(&word.to_lowercase()).is_none() && !output.undefined {
                    let message = format!("`{word}` is not a severity");
                    let written =
                        |quote: char| whole().is_some_and(|at| at.file.text.contains(&format!("{quote}{word}{quote}")));
                    let is_raw = output.pieces.iter().all(|piece| matches!(piece, Piece::Raw(_)));
                    let is_authors = is_raw || written('\'') || written('"');
                    let problem = match is_authors {
                        true => Problem::error("severity", message),
                        false => Problem::warning("severity", message),
                    };
                    let problem = problem.suggest(&word, Severity::ALL.map(Severity::name));
                    found.extend(whole().map(|place| (problem.at(&place), true)));
                }
            }
            Part::Url => {
                if let Err(dead) = pieces::target(&output.pieces)
                    && !output.undefined
                    && dead != crate::message::link::Dead::Empty
                {
                    found.extend(whole().map(|place| (dead_link(dead).at(&place), !dead.is_authors())));
                }
            }
            Part::Body => {
                let Ok(masked) = Masked::of(&output.pieces) else { return };
                for (range, dead) in markdown::parse(&masked).1.into_iter().take(TOLD_MAX) {
                    let within = output.pieces_in(range.clone());
                    if within.iter().any(|piece| piece.text().contains(MARK)) {
                        continue;
                    }
                    let problem = dead_link(dead);
                    found.extend(self.place_in(output, range).map(|place| (problem.at(&place), !dead.is_authors())));
                }
            }
            Part::Native(channel, "json") => {
                if let Err(broken) = native::json(&output.pieces, self.folder.escape(channel)) {
                    // Where a value is missing, that is what is wrong.
                    let problem = match output.undefined {
                        true => Problem::warning("native-json", broken.message),
                        false => Problem::error("native-json", broken.message),
                    };
                    let problem = problem.hint("put a value into a string, or let it be a whole value");
                    found.extend(place(broken.at).map(|place| (problem.at(&place), true)));
                }
            }
            Part::Native(..) => {
                let Ok((_, left_out)) = native::html(&output.pieces) else { return };
                for at in left_out.into_iter().take(TOLD_MAX) {
                    let problem = Problem::error("native-html", "a value can't appear here, and would be dropped");
                    let problem = problem.hint("put it into text, or into an attribute in quotes");
                    found.extend(place(at).map(|place| (problem.at(&place), false)));
                }
            }
        }
    }

    /// Where a range of the masked output comes from.
    fn place_in(&self, output: &Output, range: Range<usize>) -> Option<Location> {
        let first = output.origin(range.start)?;
        let last = output.origin(range.end.saturating_sub(1)).filter(|last| last.0 == first.0);
        let source = self.source(first.0)?;
        let end = last.map_or(first.1.end, |(_, last)| last.end);
        Some(source.place(first.1.start..end.max(first.1.start)))
    }
}

/// The same mistake, whatever the event.
fn same(a: &Problem, b: &Problem) -> bool {
    a.place == b.place && a.code == b.code
}

fn overlaps(a: &Problem, b: &Problem) -> bool {
    match (&a.place, &b.place) {
        (Some(a), Some(b)) => a.file == b.file && a.span.start <= b.span.end && b.span.start <= a.span.end,
        _ => false,
    }
}

fn dead_link(dead: crate::message::link::Dead) -> Problem {
    let message = format!("the link is dropped: {}", dead.reason());
    if dead.is_authors() {
        Problem::error("dead-link", message).hint("write the whole URL, or print a value that is one")
    } else {
        Problem::warning("dead-link", message)
    }
}
