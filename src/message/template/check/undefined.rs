//! What a template asks for and no event has, with the nearest name that is there.

use std::collections::BTreeSet;

use minijinja::{OutputSpan, OutputSpanKind, Template, Value};

use super::{Checker, OURS, TOLD_MAX};
use crate::message::template::context::{EVENT_KEYS, WORDS};
use crate::message::template::engine::MARK;
use crate::message::template::names::FUNCTIONS;
use crate::message::template::scan;
use crate::problem::Problem;

impl Checker<'_> {
    /// What was undefined where it was printed.
    pub(super) fn undefined(
        &self,
        spans: &[OutputSpan],
        output: &str,
        values: &[(String, Value)],
        found: &mut Vec<(Problem, bool)>,
    ) {
        for span in spans.iter().filter(|span| span.kind() == OutputSpanKind::Expression) {
            let printed = output.get(span.output_range()).unwrap_or_default();
            let Some(source) = self.source(span.name()).filter(|_| printed.contains(MARK)) else { continue };
            let range = span.source_range();
            let expression = source.text.get(range.clone()).unwrap_or_default();
            let path = leading_path(expression);
            let len = if path.is_empty() { range.len() } else { path.len() };
            let place = source.place(range.start..range.start + len);
            if found.len() >= TOLD_MAX {
                return;
            }
            // A loop prints it again and again.
            if found.iter().any(|(known, _)| known.code == "undefined" && known.place.as_ref() == Some(&place)) {
                continue;
            }
            found.push((undefined(if path.is_empty() { expression } else { path }, values).at(&place), true));
        }
    }

    /// Names that no context has, also in branches that none takes.
    pub(super) fn unknown_names(&self, name: &str) -> Vec<Problem> {
        let (Ok(template), Some(source)) = (self.lenient.get_template(name), self.source(name)) else {
            return Vec::new();
        };
        let known: BTreeSet<&str> = WORDS
            .into_iter()
            .chain(FUNCTIONS)
            .chain(self.heard.names.into_iter().flatten().copied())
            .chain(self.heard.contexts.iter().flat_map(|context| context.names.keys().map(String::as_str)))
            .collect();
        let scan = scan::scan(&source.text);
        let mut names: Vec<String> =
            undeclared(&template).into_iter().filter(|name| !known.contains(name.as_str())).collect();
        names.sort();
        let mut problems = Vec::new();
        for unknown in names {
            if let Some(range) = scan.place_of(&source.text, &unknown, 0) {
                let problem = Problem::error("undefined", format!("`{unknown}` is undefined"));
                let problem = problem.at(&source.place(range));
                // The language's own functions are no values to choose from.
                let values = known.iter().copied().filter(|name| !FUNCTIONS.contains(name));
                problems.push(match crate::problem::nearest(&unknown, known.iter().copied()) {
                    Some(_) => problem.suggest(&unknown, known.iter().copied()),
                    None => problem.suggest(&unknown, values),
                });
            }
        }
        problems
    }
}

fn undeclared(template: &Template<'_, '_>) -> Vec<String> {
    template.undeclared_variables(false).into_iter().collect()
}

/// The path that an expression begins with: `data.title` of `data.title|upper`.
fn leading_path(expression: &str) -> &str {
    let end = expression.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).unwrap_or(expression.len());
    let path = expression.get(..end).unwrap_or_default().trim_end_matches('.');
    let rest = expression.get(path.len()..).unwrap_or_default().trim_start();
    // `data["x"]`, `f(x)` and the like are shown whole.
    if rest.starts_with(['[', '(']) { "" } else { path }
}

/// The problem of an undefined path, with the nearest name that is there.
pub(super) fn undefined(path: &str, values: &[(String, Value)]) -> Problem {
    let message = format!("`{path}` is undefined");
    let root = path.split('.').next().unwrap_or_default();
    // What these have is known: what else is asked of them can't be.
    let is_ours = OURS.contains(&root) && !path.starts_with("event.body") && !path.starts_with("event.data");
    let problem = match is_ours {
        true => Problem::error("undefined", message),
        false => Problem::warning("undefined", message),
    };
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let known: Vec<String> = if parent.is_empty() {
        values.iter().map(|(name, _)| name.clone()).collect()
    } else {
        let mut steps = parent.split('.');
        let root = steps.next().unwrap_or_default();
        let mut value = values.iter().find(|(name, _)| name == root).map(|(_, value)| value.clone());
        for step in steps {
            value = value.and_then(|value| value.get_attr(step).ok());
        }
        let is_text = value.as_ref().is_some_and(|value| value.kind() == minijinja::value::ValueKind::String);
        if is_text && !parent.is_empty() {
            return problem.hint(format!("`{parent}` is a text, with nothing in it: print it as it is"));
        }
        match value.map(|value| (value.clone(), value.try_iter())) {
            Some((value, Ok(keys))) if value.kind() == minijinja::value::ValueKind::Map => {
                keys.take(200).map(|key| key.to_string()).collect()
            }
            _ => EVENT_KEYS.iter().filter(|_| parent == "event").map(|key| (*key).to_owned()).collect(),
        }
    };
    problem.suggest(name, known.iter().map(String::as_str))
}
