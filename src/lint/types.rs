//! Event types: globs that match none, and `!` that take away too much or nothing.

use crate::config::load::Whole;
use crate::event::{MISSING, UNPARSED, own};
use crate::problem::{Location, Problem, Problems, nearest};
use crate::rules::Globs;
use crate::rules::glob::{Glob, GlobText};

/// Globs that match no type that any source is known to send: never an error, since senders add types.
pub(super) fn unknown(whole: &Whole, problems: &mut Problems) {
    let Some(known) = whole.known_types() else { return };
    for globs in lists(whole) {
        for glob in globs.texts() {
            let text = glob.text.trim_start_matches('!');
            // What takes nothing away is reported as that.
            if text.starts_with("fanfare.") {
                own(text, glob, problems);
                continue;
            }
            if matched(text, &known).next().is_some() || is_idle(glob, globs) {
                continue;
            }
            let problem = Problem::warning("unknown-type", format!("no known event type matches `{text}`"));
            problems.push(at(problem, glob).hint(match near_type(text, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "a type that is new to Fanfare also works; otherwise fix its name".into(),
            }));
        }
    }
}

/// A glob that begins with `fanfare.`, and matches none of Fanfare's own types: of those, all are known.
fn own(text: &str, glob: &GlobText, problems: &mut Problems) {
    let known: Vec<&str> = own::names().into_iter().chain([UNPARSED, MISSING]).collect();
    if matched(text, &known).next().is_none() {
        let problem = Problem::warning("unknown-type", format!("no event of Fanfare's own matches `{text}`"));
        problems.push(at(problem, glob).suggest(text, known.iter().copied()));
    }
}

/// The type, or the glob with another beginning, that was probably meant.
fn near_type(text: &str, known: &[&str]) -> Option<String> {
    let Some(wild) = text.find(['*', '?', '{']) else {
        return nearest(text, known.iter().copied()).map(str::to_owned);
    };
    let (plain, rest) = text.split_at(wild);
    let start = plain.trim_end_matches('.');
    let starts = known.iter().flat_map(|kind| kind.match_indices('.').filter_map(|(at, _)| kind.get(..at)));
    let near = nearest(start, starts).filter(|_| !start.is_empty())?;
    let glob = format!("{near}{}{rest}", plain.get(start.len()..).unwrap_or_default());
    let is_known = matched(&glob, known).next().is_some();
    is_known.then_some(glob)
}

/// Globs of which a `!` in the same list leaves nothing.
pub(super) fn hidden(whole: &Whole, problems: &mut Problems) {
    let known = whole.known_types();
    for globs in lists(whole) {
        let hiding = |kind: &str| leaving(globs).find(|glob| matches(glob.text.trim_start_matches('!'), kind));
        for glob in globs.texts().iter().filter(|glob| !glob.text.starts_with('!')) {
            let is_exact = !glob.text.contains(['*', '?', '{']);
            let named: Vec<&str> = match &known {
                _ if is_exact => vec![&glob.text],
                Some(known) => matched(&glob.text, known).collect(),
                None => continue,
            };
            let Some(first) = named.first().and_then(|kind| hiding(kind)) else { continue };
            if named.iter().all(|kind| hiding(kind).is_some()) {
                let message = format!("`{}` excludes everything that `{}` names", first.text, glob.text);
                let problem = at(Problem::warning("hidden-by-not", message), glob);
                let problem = problem.hint("remove one of them: a `!` wins, in any position");
                problems.push(match (&first.place, &glob.place) {
                    (Some(place), Some(own)) if near(place, own) => problem.also(place, "taken away here"),
                    _ => problem,
                });
            }
        }
    }
}

/// `!` that take away what no other glob of the list names.
pub(super) fn idle(whole: &Whole, problems: &mut Problems) {
    for globs in lists(whole) {
        for glob in globs.texts().iter().filter(|glob| is_idle(glob, globs)) {
            let text = glob.text.trim_start_matches('!');
            let message = format!("`{}` excludes nothing: no other glob here names `{text}`", glob.text);
            problems.push(at(Problem::warning("takes-nothing-away", message), glob).hint("remove it, or fix its name"));
        }
    }
}

/// Whether it takes away one type, which none of its list names.
fn is_idle(glob: &GlobText, globs: &Globs) -> bool {
    let Some(text) = glob.text.strip_prefix('!').filter(|text| !text.contains(['*', '?', '{'])) else { return false };
    let mut takes = globs.texts().iter().filter(|glob| !glob.text.starts_with('!')).peekable();
    takes.peek().is_some() && !takes.any(|take| matches(&take.text, text))
}

/// Every list of globs that stands in the rules.
fn lists(whole: &Whole) -> Vec<&Globs> {
    let rules = whole.rules.rules.iter().flat_map(|rule| rule.globs());
    rules.chain(whole.rules.mutes.iter().filter_map(|mute| mute.events.as_ref())).collect()
}

fn leaving(globs: &Globs) -> impl Iterator<Item = &GlobText> {
    globs.texts().iter().filter(|glob| glob.text.starts_with('!'))
}

fn matches(glob: &str, kind: &str) -> bool {
    Glob::parse(glob).is_ok_and(|glob| glob.matches(kind))
}

fn matched<'k>(glob: &str, known: &[&'k str]) -> impl Iterator<Item = &'k str> {
    let glob = Glob::parse(glob).ok();
    known.iter().copied().filter(move |kind| glob.as_ref().is_some_and(|glob| glob.matches(kind)))
}

fn at(problem: Problem, glob: &GlobText) -> Problem {
    match &glob.place {
        Some(place) => problem.at(place),
        None => problem,
    }
}

/// Whether both stand in one file.
fn near(one: &Location, other: &Location) -> bool {
    one.file == other.file
}
